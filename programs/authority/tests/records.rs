//! What must survive: seals, their states, numbers. Through power cuts (kill -9), a full disk, and a clock that is set back.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use sealagent::pki::SignedTrustList;
use sealagent::pki::seal_status::SealState::{Cancelled, Suspended, Valid};
use sealagent::pki::seal_status::status_list;
use sealagent::ses::{CertList, Picture, SealDraft, Version};
use sealagent::sm::sm3;
use sealauthority::region::write_whole;
use sealauthority::{
    CertificateProfile, Counter, KeyProtection, Name, PrivateKey, Publication, Region, RegionError, RegionNames, Role, Store,
    StoreError, pem,
};

fn now() -> Timestamp {
    "2026-11-24T06:00:00Z".parse().unwrap()
}

fn hours(n: i64) -> Timestamp {
    now() + SignedDuration::from_hours(n)
}

fn pilot(folder: &Path, at: Timestamp) -> Region {
    let names = RegionNames { id: "shenzhen".to_owned(), name: "深圳".to_owned(), division: "440300".to_owned() };
    Region::init(folder, &names, &KeyProtection::PlainForPilot, at).unwrap()
}

fn certificate(region: &mut Region, at: Timestamp) -> Vec<u8> {
    let key = PrivateKey::generate().unwrap().public_key();
    region.issue(CertificateProfile::CompanySigning, &Name::china().common_name("某公司"), &key, at, 365).unwrap()
}

fn draft(certificate: Vec<u8>, at: Timestamp) -> SealDraft {
    SealDraft {
        es_id: String::new(),
        vid: "sealagent".to_owned(),
        kind: 1,
        name: "某公司".to_owned(),
        cert_list: CertList::Certificates(vec![certificate]),
        created: at,
        valid_from: at,
        valid_to: at + SignedDuration::from_hours(24 * 300),
        picture: Picture::new("PNG", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec(), 40, 40),
        extensions: Vec::new(),
    }
}

fn seals(region: &mut Region, count: u64) -> Vec<String> {
    let draft = draft(certificate(region, now()), now());
    region.make_seals(&draft, Version::V4, count).unwrap().iter().map(|seal| seal.es_id().to_owned()).collect()
}

/// Each round starts the program, lets it make seals by the thousand and kills it at another moment. What it printed is there, and
/// no code is given twice.
#[cfg(unix)]
#[test]
fn killed_while_making_seals_it_loses_none_and_makes_none_twice() {
    let temp = tempfile::tempdir().unwrap();
    let folder = temp.path().join("r");
    let company = {
        let at = Timestamp::now();
        let mut region = pilot(&folder, at);
        let path = temp.path().join("company.cer");
        write_whole(&path, pem::encode(pem::CERTIFICATE, &certificate(&mut region, at)).as_bytes()).unwrap();
        path
    };
    let mut printed: Vec<(String, String)> = Vec::new();
    for round in 0..12u64 {
        let mut child = Command::new(env!("CARGO_BIN_EXE_sealauthority"))
            .arg("seals")
            .arg(&folder)
            .args(["--count", "1000000", "--name", "某公司", "--certificate"])
            .arg(&company)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        // Half of the rounds die in their first step, the others in a later one.
        if round % 2 == 1 {
            let line = lines.next().unwrap().unwrap();
            let (first, last) = line.split_once(' ').unwrap();
            printed.push((first.to_owned(), last.to_owned()));
        }
        std::thread::sleep(Duration::from_millis(13 * round));
        child.kill().unwrap();
        child.wait().unwrap();
        // What was printed before the kill reached it.
        for line in lines.map_while(Result::ok) {
            let (first, last) = line.split_once(' ').unwrap();
            printed.push((first.to_owned(), last.to_owned()));
        }
    }
    assert!(printed.len() >= 6);
    let region = Region::open(&folder, None).unwrap();
    let mut codes = BTreeSet::new();
    for (first, last) in &printed {
        for code in first.parse::<u64>().unwrap()..=last.parse().unwrap() {
            assert!(codes.insert(code), "{code} was given twice");
            assert!(region.store().knows_seal(&code.to_string(), None).unwrap(), "{code} is lost");
        }
    }
    // Steps that were cut off are not there by half.
    assert_eq!(region.store().seal_count().unwrap() % 1000, 0);
}

#[test]
fn disk_that_is_full_changes_nothing_and_is_named() {
    let temp = tempfile::tempdir().unwrap();
    let store = Store::create(&temp.path().join("s.sqlite")).unwrap();
    store.limit_pages(40).unwrap();
    let batch = |from: u32| (from..from + 200).map(|n| (format!("{n:014}"), sm3(&n.to_be_bytes()))).collect::<Vec<_>>();
    let mut kept = 0;
    let error = loop {
        match store.add_seals(&batch(kept), now()) {
            Ok(()) => kept += 200,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, StoreError::DiskFull), "{error:?}");
    assert!(kept >= 200);
    assert_eq!(store.seal_count().unwrap(), u64::from(kept), "no half of a batch");
    // With room again, it goes on.
    store.limit_pages(10_000).unwrap();
    store.add_seals(&batch(kept), now()).unwrap();
    assert_eq!(store.seal_count().unwrap(), u64::from(kept) + 200);
}

#[test]
fn clock_that_was_set_back_is_refused_and_nothing_is_dated_before() {
    let temp = tempfile::tempdir().unwrap();
    let mut region = pilot(&temp.path().join("r"), now());
    let code = seals(&mut region, 1).remove(0);
    region.change_seal(&code, Suspended, hours(5)).unwrap();
    let back = |result: Result<(), RegionError>| matches!(result, Err(RegionError::Store(StoreError::ClockSetBack { .. })));
    assert!(back(region.change_seal(&code, Cancelled, hours(4))));
    assert!(back(region.renew_crls(hours(4))));
    assert!(back(region.trust_list(&Publication::default(), hours(4)).map(drop)));
    assert!(back(region.publish(&temp.path().join("out"), &Publication::default(), hours(4))));
    region.change_seal(&code, Cancelled, hours(5) - SignedDuration::from_secs(1)).unwrap();
    let history = region.store().history(&code).unwrap();
    assert!(history.changes()[1].at > history.changes()[0].at, "a small step back keeps the order");
}

#[test]
fn states_follow_one_another_only_as_they_can() {
    let temp = tempfile::tempdir().unwrap();
    let mut region = pilot(&temp.path().join("r"), now());
    let code = seals(&mut region, 1).remove(0);
    let refused = |state, at| {
        let result = region.change_seal(&code, state, at);
        matches!(result, Err(RegionError::Store(StoreError::NoSuchChange(_))))
    };
    assert!(refused(Valid, hours(1)));
    region.change_seal(&code, Suspended, hours(1)).unwrap();
    assert!(refused(Suspended, hours(2)));
    region.change_seal(&code, Valid, hours(2)).unwrap();
    region.change_seal(&code, Cancelled, hours(3)).unwrap();
    assert!(refused(Valid, hours(4)) && refused(Suspended, hours(4)) && refused(Cancelled, hours(4)));
    let unknown = region.change_seal("99999999999999", Suspended, hours(4));
    assert!(matches!(unknown, Err(RegionError::Store(StoreError::UnknownSeal(_)))));
}

#[test]
fn published_files_are_read_by_a_verifier_and_changes_follow_their_full_list() {
    let temp = tempfile::tempdir().unwrap();
    let out = temp.path().join("out");
    let mut region = pilot(&temp.path().join("r"), now());
    let codes = seals(&mut region, 3);
    region.change_seal(&codes[0], Cancelled, hours(1)).unwrap();
    let publication = Publication { base_url: Some("http://lists.example/sz".into()), ..Publication::default() };
    region.publish(&out, &publication, hours(2)).unwrap();
    let read = |file: &str| std::fs::read(out.join(file)).unwrap();
    let list = SignedTrustList::parse(&read("trust-list.p7b")).unwrap();
    let full = status_list(list.list(), &read("status.p7b")).unwrap();
    assert_eq!((full.len(), full.head().base), (1, None));

    region.change_seal(&codes[1], Suspended, hours(3)).unwrap();
    region.publish(&out, &publication, hours(4)).unwrap();
    let newer = SignedTrustList::parse(&read("trust-list.p7b")).unwrap();
    assert_eq!(newer.list().sequence, list.list().sequence + 1);
    assert!(list.accepted().judge(&newer, hours(4)).is_ok());
    let full = status_list(newer.list(), &read("status.p7b")).unwrap();
    let changes = status_list(newer.list(), &read("changes.p7b")).unwrap();
    assert_eq!((full.len(), changes.len()), (1, 1), "the full list of the week stays");
    let together = full.with_changes(&changes).unwrap();
    let state = |code: &str| together.history(code, &sm3(b"")).map(|history| history.last().unwrap().state);
    assert_eq!(codes.iter().map(|code| state(code)).collect::<Vec<_>>(), [Some(Cancelled), Some(Suspended), None]);

    region.publish(&out, &publication, hours(24 * 8)).unwrap();
    assert_eq!(status_list(newer.list(), &read("status.p7b")).unwrap().len(), 2, "a new full list after a week");
}

#[test]
fn list_key_rolls_over_in_two_steps_that_readers_follow() {
    let temp = tempfile::tempdir().unwrap();
    let region = pilot(&temp.path().join("r"), now());
    let list = |at| SignedTrustList::parse(&region.trust_list(&Publication::default(), at).unwrap()).unwrap();
    let first = list(hours(1));
    let announced = region.announce_list_key(&KeyProtection::PlainForPilot, hours(2)).unwrap();
    assert_eq!(region.announce_list_key(&KeyProtection::PlainForPilot, hours(2)).unwrap(), announced, "made once");
    let second = list(hours(3));
    assert_eq!(second.signer().der(), first.signer().der());
    assert_eq!(second.list().signers.len(), 2);
    region.switch_list_key().unwrap();
    let third = list(hours(4));
    assert_eq!(third.signer().der(), announced.der());
    assert!(first.accepted().judge(&second, hours(4)).is_ok());
    assert!(second.accepted().judge(&third, hours(4)).is_ok());
    assert!(first.accepted().judge(&third, hours(4)).is_err(), "a reader that missed the announcement must compare the key");
    assert!(region.identity(Role::List).is_ok());
}

#[test]
fn two_processes_never_use_up_the_same_number() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("s.sqlite");
    drop(Store::create(&path).unwrap());
    let take = || {
        let store = Store::open(&path).unwrap();
        (0..50).map(|_| store.take_number(Counter::Seal).unwrap()).collect::<Vec<_>>()
    };
    let mut all: Vec<u64> = std::thread::scope(|scope| {
        let handles: Vec<_> = (0..4).map(|_| scope.spawn(take)).collect();
        handles.into_iter().flat_map(|handle| handle.join().unwrap()).collect()
    });
    all.sort_unstable();
    assert_eq!(all, (1..=200).collect::<Vec<_>>());
}
