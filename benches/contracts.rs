//! Signing as companies do it, through the whole pipeline with a virtual token in its worker: `cargo bench --bench contracts`.
//!
//! One document at a time, of one page and of five hundred; then a thousand in one batch, against the token alone in the same run. The
//! token takes 40 ms for a signature, as a UKey does; without that there would be nothing to compare. Printed, never asserted: machines
//! are noisy. `SEALAGENT_BATCH` gives another number of documents.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, dead_code)]

#[path = "../tests/common/pdf.rs"]
mod pdf;
#[path = "../tests/common/rig.rs"]
mod rig;

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rig::{PIN, Rig, document as ofd};
use sealagent::consent::Requester;
use sealagent::consent::prompt::Canceller;
use sealagent::signing::progress::{Progress, Sink};
use sealagent::signing::request::{run_alone, run_batch};
use sealagent::signing::{Document, Output, Scratch, SigningItem, SigningRequest, State, Subject};
use sealagent::stamp::{PageNumber, PageSelection, Stamp};
use ukey::{Credential, DEFAULT_ID, Driver as _, Pin, Sm2Message};
use ukey_virtual::VirtualDriver;
use ukey_virtual::faults::{Fault, Faults, Rule, Step, write_script};

/// Times that a document is signed.
const TIMES: usize = 15;
/// What a UKey takes for a signature.
const TOKEN: Duration = Duration::from_millis(40);
/// Signatures by which the token alone is measured.
const ALONE: usize = 200;

fn main() {
    one_by_one();
    batch();
}

fn one_by_one() {
    let rig = Rig::new();
    println!("one signature, prompt answered at once, {TIMES} times {:>20} {:>10}", "p50", "max");
    for pages in [1, 500] {
        for (format, bytes) in [("OFD", ofd(pages)), ("PDF", contract(pages))] {
            let document = take_in(&rig, &bytes);
            let mut taken: Vec<Duration> = (0..=TIMES)
                .map(|_| {
                    let start = Instant::now();
                    let (_canceller, cancel) = Canceller::new();
                    let signed = rig.runtime.block_on(run_alone(
                        &rig.app.signer,
                        request(&rig, vec![document.clone()]),
                        &scratch(&rig),
                        cancel,
                    ));
                    assert_eq!(signed.unwrap().status.state, State::Done);
                    start.elapsed()
                })
                .skip(1)
                .collect();
            taken.sort();
            let ms = |time: Duration| time.as_secs_f64() * 1e3;
            println!(
                "{format} of {pages:3} pages, {:7.2} MB {:31.1} ms {:7.1} ms",
                bytes.len() as f64 / 1e6,
                ms(taken[TIMES / 2]),
                ms(taken[TIMES - 1])
            );
        }
    }
}

fn batch() {
    let count = std::env::var("SEALAGENT_BATCH").ok().and_then(|n| n.parse().ok()).unwrap_or(1000);
    let rig = Rig::new();
    let tokens = rig.dir.path().join("tokens");
    let slow = |times: usize| {
        let fault = Fault::Slow { milliseconds: TOKEN.as_millis() as u64 };
        write_script(&tokens, &[Rule { at: Step::Sign, fault, skip: 0, times: times as u32 }]).unwrap();
    };
    slow(ALONE);
    let alone = alone(&rig, &tokens);
    slow(count);
    let documents: Vec<_> = (0..count).map(|n| take_in(&rig, &if n % 2 == 0 { contract(2) } else { ofd(2) })).collect();
    let made = Arc::new(AtomicUsize::new(0));
    let counter = made.clone();
    let sink: Sink = Arc::new(move |output| {
        let Output::Document { .. } = output else { panic!("{output:?}") };
        counter.fetch_add(1, Ordering::Relaxed);
    });
    let (progress, mut states) = Progress::new(count, sink);
    let (_canceller, cancel) = Canceller::new();
    let (wish, place) = (request(&rig, documents), scratch(&rig));
    let (prepared, signed) = rig.runtime.block_on(async {
        let start = Instant::now();
        let began = async {
            states.wait_for(|status| status.state == State::Signing).await.unwrap();
            start.elapsed()
        };
        let (began, status) = tokio::join!(began, run_batch(&rig.app.signer, wish, &place, &progress, cancel));
        assert_eq!(status.unwrap().state, State::Done);
        (began, start.elapsed() - began)
    });
    assert_eq!(made.load(Ordering::Relaxed), count);
    let batch = count as f64 / signed.as_secs_f64();
    println!("\na batch of {count} documents, a token of {} ms a signature", TOKEN.as_millis());
    println!("{:50} {:8.1} s", "from the request to the prompt", prepared.as_secs_f64());
    println!("{:50} {:8.2} /s", "the token alone (one login)", alone);
    println!("{:50} {:8.2} /s", "the batch, each document written and judged", batch);
    println!("{:50} {:8.1} %", "of the token's own rate", batch / alone * 100.0);
}

/// Signatures a second of the token by itself, in this process.
fn alone(rig: &Rig, tokens: &Path) -> f64 {
    let mut driver = VirtualDriver::with_faults(tokens, Faults::new(tokens));
    let mut session = driver.open(rig.token.id()).unwrap();
    let pin = Pin::new(PIN.as_bytes().to_vec()).unwrap();
    let mut unlocked = session.login(Credential::Pin(pin)).unwrap();
    let certificate = rig.token.keys().unwrap()[0].certificate.clone().unwrap().0;
    let key = *sealagent::pki::Certificate::parse(&certificate).unwrap().key().sm2().unwrap();
    let start = Instant::now();
    for n in 0..ALONE {
        let message = Sm2Message::new(n.to_be_bytes().repeat(100), DEFAULT_ID, key).unwrap();
        unlocked.sign(&rig.key, &message).unwrap();
    }
    ALONE as f64 / start.elapsed().as_secs_f64()
}

fn scratch(rig: &Rig) -> Scratch {
    Scratch::Unlinked(rig.dir.path().join("scratch"))
}

fn take_in(rig: &Rig, bytes: &[u8]) -> Arc<Document> {
    let path = rig.dir.path().join("document");
    fs::write(&path, bytes).unwrap();
    Arc::new(Document::of_file(&path, &scratch(rig)).unwrap())
}

fn request(rig: &Rig, documents: Vec<Arc<Document>>) -> SigningRequest {
    let pages = PageSelection::List(PageNumber::new(1).into_iter().collect());
    let item = |document: Arc<Document>| SigningItem {
        signed_value: document.format.signed_value(),
        subject: Subject::Document {
            document,
            stamp: Stamp::Page { pages: pages.clone(), x: 120.0, y: 200.0, width: None },
            close: false,
        },
        seal: rig.seal.es_id().to_owned(),
    };
    let items = documents.into_iter().map(item).collect();
    SigningRequest { requester: Requester::CommandLine, items, timestamp: None, require_valid: false }
}

/// A document of so many A4 pages, each with some 3 KB of text.
fn contract(count: usize) -> Vec<u8> {
    let content = |page: usize| {
        let line = |n: usize| {
            format!("BT /F 10 Tf 60 {} Td (Clause {n} of page {page}: as agreed by both parties.) Tj ET\n", 800 - 15 * n)
        };
        (0..45).map(line).collect::<String>()
    };
    pdf::pages(&(1..=count).map(content).collect::<Vec<_>>())
}
