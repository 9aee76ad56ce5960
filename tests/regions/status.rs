//! Seal status: lists, changes, answers, and their figures.

use std::time::Instant;

use sealagent::pki::seal_status::{SealEntry, SealState, StatusAnswer, StatusHead, StatusList, StatusQuery, status_list};
use sealagent::sm::{Sm3Digest, sm3};
use sealauthority::issue_status_answer;

use super::world::{Region, at, entry, history};

use SealState::{Cancelled, Suspended, Valid};

const MARCH: &str = "2026-03-01T00:00:00Z";
const MAY: &str = "2026-05-01T00:00:00Z";
const JULY: &str = "2026-07-01T00:00:00Z";

#[test]
fn state_is_that_of_the_moment() {
    let seal = history(&[(Suspended, MARCH), (Valid, MAY), (Cancelled, JULY)]);
    let table = [
        ("2026-02-28T23:59:59Z", Valid),
        (MARCH, Suspended),
        ("2026-04-30T23:59:59Z", Suspended),
        (MAY, Valid),
        ("2026-06-30T23:59:59Z", Valid),
        (JULY, Cancelled),
        ("2036-01-01T00:00:00Z", Cancelled),
    ];
    for (when, state) in table {
        assert_eq!(seal.state_at(at(when)), state, "{when}");
    }
}

#[test]
fn changes_are_applied_to_their_own_base_only() {
    let region = Region::new("shenzhen");
    let list = region.trust_list(1);
    let read = |number, base, seals: &[SealEntry]| status_list(&list, &region.signed_status(number, base, seals)).unwrap();
    let full = read(10, None, &[entry("A", &[(Suspended, MARCH)]), entry("C", &[(Cancelled, MARCH)])]);
    let changes = read(12, Some(10), &[entry("A", &[(Suspended, MARCH), (Valid, MAY)]), entry("B", &[(Cancelled, MAY)])]);
    let now = full.with_changes(&changes).unwrap();
    let state = |es_id: &str| now.history(es_id, || sm3(b"seal")).map(|h| h.last().unwrap().state);
    assert_eq!((state("A"), state("B"), state("C"), state("D")), (Some(Valid), Some(Cancelled), Some(Cancelled), None));
    assert_eq!((now.head().number, now.head().base, now.len()), (12, None, 3));
    assert!(read(11, None, &[]).with_changes(&changes).is_err(), "changes of another base");
    assert!(changes.with_changes(&changes).is_err());
    assert!(full.with_changes(&full).is_err());
}

#[test]
fn one_edition_of_a_seal_can_be_cancelled_alone() {
    let head = Region::new("shenzhen").status_head(1, None);
    let (old, new) = (sm3(b"old edition"), sm3(b"new edition"));
    let entries = [
        SealEntry { seal_sm3: Some(old), ..entry("A", &[(Cancelled, MARCH)]) },
        SealEntry { seal_sm3: Some(new), ..entry("B", &[(Valid, MAY)]) },
        entry("B", &[(Cancelled, MARCH)]),
    ];
    let list = StatusList::parse(&StatusList::to_der(&head, &entries)).unwrap();
    let last = |es_id, digest: &Sm3Digest| list.history(es_id, || *digest).map(|h| h.last().unwrap().state);
    assert_eq!((last("A", &old), last("A", &new)), (Some(Cancelled), None));
    assert_eq!((last("B", &old), last("B", &new)), (Some(Cancelled), Some(Valid)));
}

#[test]
fn lists_out_of_order_or_with_a_seal_twice_are_refused() {
    let head = Region::new("shenzhen").status_head(1, None);
    let twice = [entry("A", &[(Cancelled, MARCH)]), entry("A", &[(Suspended, MARCH)])];
    assert!(StatusList::parse(&StatusList::to_der(&head, &twice)).is_err());
    let good = StatusList::to_der(&head, &[entry("A", &[(Cancelled, MARCH)]), entry("B", &[(Cancelled, MARCH)])]);
    assert_eq!(StatusList::parse(&good).unwrap().len(), 2);
    let place = good.iter().position(|b| *b == b'A').unwrap();
    let mut swapped = good;
    swapped[place] = b'C';
    assert!(StatusList::parse(&swapped).is_err());
    let old_base = StatusHead { base: Some(1), ..head };
    assert!(StatusList::parse(&StatusList::to_der(&old_base, &[])).is_err(), "changes of a list that is not older");
}

#[test]
fn answer_counts_for_its_question_its_region_and_its_service_only() {
    let (region, other) = (Region::new("shenzhen"), Region::new("beijing"));
    let list = region.trust_list(1);
    let query = StatusQuery { es_id: "44030000000001".into(), seal_sm3: Some(sm3(b"seal")), nonce: vec![7; 16] };
    assert_eq!(StatusQuery::parse(&query.to_der()).unwrap(), query);
    let answer = StatusAnswer {
        region: "shenzhen".into(),
        query: query.clone(),
        as_of: at("2026-11-24T06:00:00Z"),
        fresh_until: at("2026-11-24T06:10:00Z"),
        known: true,
        history: history(&[(Cancelled, MAY)]),
    };
    let bytes = issue_status_answer(&region.status, &answer).unwrap();
    assert_eq!(StatusAnswer::read(&list, Some(&query), &bytes).unwrap(), answer);
    let replayed = StatusQuery { nonce: vec![8; 16], ..query.clone() };
    assert!(StatusAnswer::read(&list, Some(&replayed), &bytes).is_err(), "an old answer");
    assert!(StatusAnswer::read(&list, Some(&query), &issue_status_answer(&other.status, &answer).unwrap()).is_err());
    assert!(StatusAnswer::read(&other.trust_list(1), Some(&query), &bytes).is_err());
    let mut changed = bytes;
    let place = changed.len() / 2;
    changed[place] ^= 1;
    assert!(StatusAnswer::read(&list, Some(&query), &changed).is_err());
    for nonce in [0, 15, 33] {
        let wrong = StatusQuery { nonce: vec![1; nonce], ..query.clone() };
        assert!(StatusQuery::parse(&wrong.to_der()).is_err(), "{nonce} bytes");
    }
}

/// 20 000 seals of a million that are not valid: under 32 MB, and under 10 µs a look-up in a release build.
#[test]
fn twenty_thousand_entries_are_small_and_looked_up_fast() {
    let head = Region::new("shenzhen").status_head(1, None);
    let code = |n: u32| format!("440300{n:08}");
    let entries: Vec<SealEntry> =
        (0..20_000).map(|n| entry(&code(n * 50), &[(Suspended, MARCH), (Valid, MAY), (Cancelled, JULY)])).collect();
    let list = StatusList::parse(&StatusList::to_der(&head, &entries)).unwrap();
    assert!(list.memory() < 4 << 20, "{} bytes", list.memory());
    let seal = sm3(b"seal");
    let started = Instant::now();
    let mut found = 0;
    for n in 0..20_000 {
        found += usize::from(list.history(&code(n * 50 + n % 2), || seal).is_some());
    }
    let each = started.elapsed() / 20_000;
    assert_eq!(found, 10_000);
    let most = if cfg!(debug_assertions) { 2_000 } else { 10 };
    assert!(each.as_micros() < most, "{each:?} a look-up");
    println!("{} bytes, {each:?} a look-up", list.memory());
}
