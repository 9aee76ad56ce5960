//! A region at the size of a million seals, 20 000 of them not valid: to issue on either store, to publish, to read, to look up, and to
//! answer questions about. `cargo bench --bench regions`; `SEALS=1000000` issues that many instead of 10 000.
//!
//! The service is a process of its own (this program, started once more) that `taskset` keeps on one core, with its clients on another.
//! What it answers for each second of processor time is printed beside what it answers in a second: on a machine that does other work the
//! first is the truer number. PostgreSQL is measured where it is installed. Printed, never asserted.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

#[cfg(unix)]
#[path = "regions/authority.rs"]
mod authority;
#[cfg(unix)]
#[allow(dead_code, reason = "the tests use all of it")]
#[path = "../tests/stores/cluster.rs"]
mod cluster;
#[cfg(unix)]
#[path = "../tests/stores/company.rs"]
mod company;

use std::hint::black_box;

use divan::Bencher;
use divan::counter::ItemsCount;
use sealagent::pki::seal_status::{SealEntry, SealHistory, SealState, StateChange, StatusHead, StatusList};
use sealagent::sm::sm3;

fn main() {
    #[cfg(unix)]
    if authority::is_service() {
        return authority::serve();
    }
    let bytes = StatusList::to_der(&head(None), &entries(20_000));
    if let Ok(list) = StatusList::parse(&bytes) {
        println!("20 000 entries: {} bytes as a file, {} in memory", bytes.len(), list.memory());
    }
    println!("1 000 changes: {} bytes", StatusList::to_der(&head(Some(1)), &entries(1_000)).len());
    #[cfg(unix)]
    if !std::env::args().any(|argument| argument == "--list" || argument == "--test") {
        authority::figures();
    }
    divan::main();
}

fn head(base: Option<u64>) -> StatusHead {
    let at = |second| jiff::Timestamp::from_second(second).unwrap_or_default();
    let (this_update, next_update) = (at(1_795_000_000), at(1_795_003_600));
    StatusHead { region: "shenzhen".into(), number: 2, base, this_update, next_update }
}

fn code(n: u64) -> String {
    format!("440300{n:08}")
}

fn entries(count: u64) -> Vec<SealEntry> {
    let change = |second, state| StateChange { at: jiff::Timestamp::from_second(second).unwrap_or_default(), state };
    let history = |n: u64| match n % 4 {
        0 => vec![change(1_790_000_000, SealState::Suspended), change(1_791_000_000, SealState::Valid)],
        _ => vec![change(1_790_000_000, SealState::Cancelled)],
    };
    let entry =
        |n: u64| SealEntry { es_id: code(n * 50), seal_sm3: None, history: SealHistory::new(history(n)).unwrap_or_default() };
    (0..count).map(entry).collect()
}

#[divan::bench]
fn build(bencher: Bencher<'_, '_>) {
    let entries = entries(20_000);
    bencher.bench(|| StatusList::to_der(&head(None), black_box(&entries)));
}

#[divan::bench]
fn read(bencher: Bencher<'_, '_>) {
    let bytes = StatusList::to_der(&head(None), &entries(20_000));
    bencher.bench(|| StatusList::parse(black_box(&bytes)).is_ok());
}

#[divan::bench]
fn look_up(bencher: Bencher<'_, '_>) {
    let Ok(list) = StatusList::parse(&StatusList::to_der(&head(None), &entries(20_000))) else { return };
    let codes: Vec<String> = (0..1_000).map(|n| code(n * 997)).collect();
    let seal = sm3(b"seal");
    let all = || codes.iter().filter(|code| list.history(black_box(code), || seal).is_some()).count();
    bencher.counter(ItemsCount::new(codes.len())).bench(all);
}
