//! What holds on either store.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use sealagent::pki::seal_status::SealState::{Cancelled, Suspended, Valid};
use sealagent::pki::seal_status::{StatusList, status_list};
use sealagent::pki::signed::{DocumentKind, Envelope};
use sealagent::pki::{Certificate, Crl, SignedTrustList};
use sealagent::sm::sm3;
use sealauthority::store::Revocation;
use sealauthority::{Counter, Publication, Region, RegionError, Role, SerialNumber, StoreError};

use super::company::certificate;
use super::rig::{Given, Kind, Rig, codes, fill, goes_on, hours, now, seals};

/// A case and its name.
pub type Case = (&'static str, fn(Kind));

pub const CASES: &[Case] = &[
    (
        "killed_while_making_seals_it_loses_none_and_makes_none_twice",
        killed_while_making_seals_it_loses_none_and_makes_none_twice,
    ),
    (
        "clock_that_was_set_back_is_refused_and_nothing_is_dated_before",
        clock_that_was_set_back_is_refused_and_nothing_is_dated_before,
    ),
    ("states_follow_one_another_only_as_they_can", states_follow_one_another_only_as_they_can),
    (
        "published_files_are_read_by_a_verifier_and_changes_follow_their_full_list",
        published_files_are_read_by_a_verifier_and_changes_follow_their_full_list,
    ),
    ("list_key_rolls_over_in_two_steps_that_readers_follow", list_key_rolls_over_in_two_steps_that_readers_follow),
    ("several_processes_never_use_up_the_same_number", several_processes_never_use_up_the_same_number),
    (
        "several_processes_issue_at_once_and_give_no_code_and_no_serial_number_twice",
        several_processes_issue_at_once_and_give_no_code_and_no_serial_number_twice,
    ),
    ("change_that_meets_a_full_list_is_in_it_or_in_its_changes", change_that_meets_a_full_list_is_in_it_or_in_its_changes),
    (
        "changes_belong_to_the_full_list_that_is_published_beside_them",
        changes_belong_to_the_full_list_that_is_published_beside_them,
    ),
    ("newest_of_the_revocation_lists_that_are_made_at_once_stays", newest_of_the_revocation_lists_that_are_made_at_once_stays),
    ("serial_number_that_was_used_is_refused", serial_number_that_was_used_is_refused),
    ("records_of_a_newer_program_are_refused", records_of_a_newer_program_are_refused),
];

/// Each round starts the program, lets it make seals by the thousand and kills it at another moment. What it printed is there, and
/// no code is given twice.
fn killed_while_making_seals_it_loses_none_and_makes_none_twice(kind: Kind) {
    let rig = Rig::new(kind);
    let company = rig.company();
    let mut printed: Vec<(u64, u64)> = Vec::new();
    for round in 0..12u64 {
        let mut child = rig.seals(&company, 1_000_000).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        // Half of the rounds die in their first step, the others in a later one.
        if round % 2 == 1 {
            printed.push(codes(&lines.next().unwrap().unwrap()));
        }
        std::thread::sleep(Duration::from_millis(13 * round));
        child.kill().unwrap();
        child.wait().unwrap();
        // What was printed before the kill reached it.
        for line in lines.map_while(Result::ok) {
            printed.push(codes(&line));
        }
    }
    assert!(printed.len() >= 6);
    let region = Region::open(&rig.folder(), None).unwrap();
    let mut given = Given::default();
    printed.into_iter().for_each(|codes| given.add(codes));
    given.are_in(region.store());
    // Steps that were cut off are not there by half.
    assert_eq!(region.store().seal_count().unwrap() % 1000, 0);
}

fn clock_that_was_set_back_is_refused_and_nothing_is_dated_before(kind: Kind) {
    let rig = Rig::new(kind);
    let mut region = rig.pilot(now());
    let code = seals(&mut region, 1).remove(0);
    region.change_seal(&code, Suspended, hours(5)).unwrap();
    let back = |result: Result<(), RegionError>| matches!(result, Err(RegionError::Store(StoreError::ClockSetBack { .. })));
    assert!(back(region.change_seal(&code, Cancelled, hours(4))));
    assert!(back(region.renew_crls(hours(4))));
    assert!(back(region.trust_list(&Publication::default(), hours(4)).map(drop)));
    assert!(back(region.publish(&rig.out(), &Publication::default(), hours(4))));
    region.change_seal(&code, Cancelled, hours(5) - SignedDuration::from_secs(1)).unwrap();
    let history = region.store().history(&code).unwrap();
    assert!(history.changes()[1].at > history.changes()[0].at, "a small step back keeps the order");
}

fn states_follow_one_another_only_as_they_can(kind: Kind) {
    let rig = Rig::new(kind);
    let mut region = rig.pilot(now());
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

fn published_files_are_read_by_a_verifier_and_changes_follow_their_full_list(kind: Kind) {
    let rig = Rig::new(kind);
    let out = rig.out();
    let mut region = rig.pilot(now());
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
    let state = |code: &str| together.history(code, || sm3(b"")).map(|history| history.last().unwrap().state);
    assert_eq!(codes.iter().map(|code| state(code)).collect::<Vec<_>>(), [Some(Cancelled), Some(Suspended), None]);

    region.publish(&out, &publication, hours(24 * 8)).unwrap();
    assert_eq!(status_list(newer.list(), &read("status.p7b")).unwrap().len(), 2, "a new full list after a week");
}

fn list_key_rolls_over_in_two_steps_that_readers_follow(kind: Kind) {
    let rig = Rig::new(kind);
    let region = rig.pilot(now());
    let list = |at| SignedTrustList::parse(&region.trust_list(&Publication::default(), at).unwrap()).unwrap();
    let first = list(hours(1));
    let announced = region.announce_list_key(hours(2)).unwrap();
    assert_eq!(region.announce_list_key(hours(2)).unwrap(), announced, "made once");
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

fn several_processes_never_use_up_the_same_number(kind: Kind) {
    let rig = Rig::new(kind);
    drop(rig.store());
    let take = || {
        let store = rig.store_again().unwrap();
        (0..50).map(|_| store.take_number(Counter::Seal).unwrap()).collect::<Vec<_>>()
    };
    let mut all: Vec<u64> = std::thread::scope(|scope| {
        let handles: Vec<_> = (0..4).map(|_| scope.spawn(take)).collect();
        handles.into_iter().flat_map(|handle| handle.join().unwrap()).collect()
    });
    all.sort_unstable();
    assert_eq!(all, (1..=200).collect::<Vec<_>>());
}

fn several_processes_issue_at_once_and_give_no_code_and_no_serial_number_twice(kind: Kind) {
    let rig = Rig::new(kind);
    let company = rig.company();
    let children: Vec<_> = (0..3).map(|_| rig.seals(&company, 4_000).stdout(Stdio::piped()).spawn().unwrap()).collect();
    let issue = || {
        let mut region = Region::open(&rig.folder(), None).unwrap();
        let serial = |der: Vec<u8>| Certificate::parse(&der).unwrap().serial_hex();
        (0..25).map(|_| serial(certificate(&mut region, Timestamp::now()))).collect::<Vec<_>>()
    };
    let serials: Vec<String> = std::thread::scope(|scope| {
        let handles: Vec<_> = (0..3).map(|_| scope.spawn(issue)).collect();
        handles.into_iter().flat_map(|handle| handle.join().unwrap()).collect()
    });
    // The counter is in the first half; the other half is random and would hide a number that was given twice.
    let counted: BTreeSet<&str> = serials.iter().map(|serial| &serial[..serial.len() - 16]).collect();
    assert_eq!(counted.len(), 75);
    let store = rig.opened();
    assert!(serials.iter().all(|serial| store.store().certificate(serial).unwrap().is_some()));
    let mut given = Given::default();
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap().lines().for_each(|line| given.add(codes(line)));
    }
    assert_eq!((given.len(), store.store().seal_count().unwrap()), (12_000, 12_000));
}

/// A change that is recorded while a full list is made must be in that list, or in the changes that follow it.
fn change_that_meets_a_full_list_is_in_it_or_in_its_changes(kind: Kind) {
    let rig = Rig::new(kind);
    let codes = seals(&mut rig.pilot(now()), 60);
    let is_over = AtomicBool::new(false);
    let lists = std::thread::scope(|scope| {
        let changers: Vec<_> = codes
            .chunks(20)
            .map(|codes| {
                let region = rig.opened();
                scope.spawn(move || codes.iter().for_each(|code| region.change_seal(code, Suspended, hours(1)).unwrap()))
            })
            .collect();
        let (region, is_over) = (rig.opened(), &is_over);
        let publisher = scope.spawn(move || {
            let mut lists = Vec::new();
            while !is_over.load(Ordering::SeqCst) {
                lists.push(region.status(None, SignedDuration::from_hours(1), hours(1)).unwrap().0.unwrap());
            }
            lists
        });
        changers.into_iter().for_each(|changer| changer.join().unwrap());
        is_over.store(true, Ordering::SeqCst);
        publisher.join().unwrap()
    });
    let region = rig.opened();
    for full in &lists {
        let (none, changes) = region.status(Some(full), SignedDuration::from_hours(1), hours(2)).unwrap();
        assert!(none.is_none());
        let together = list(full).with_changes(&list(&changes)).unwrap();
        assert_eq!(together.len(), 60);
    }
}

fn list(bytes: &[u8]) -> StatusList {
    StatusList::parse(Envelope::parse(DocumentKind::StatusList, bytes, bytes.len()).unwrap().content()).unwrap()
}

/// A power cut between the making of a full list and its being on disk; and a second folder that is published into.
fn changes_belong_to_the_full_list_that_is_published_beside_them(kind: Kind) {
    let rig = Rig::new(kind);
    let mut region = rig.pilot(now());
    let codes = seals(&mut region, 2);
    let fresh = SignedDuration::from_hours(1);
    let base_and_number = |out: &str| {
        let read = |file| list(&std::fs::read(rig.temp.path().join(out).join(file)).unwrap()).head().clone();
        (read("changes.p7b").base, Some(read("status.p7b").number))
    };
    region.publish(&rig.temp.path().join("a"), &Publication::default(), hours(1)).unwrap();
    drop(region.status(None, fresh, hours(2)).unwrap()); // made, and lost
    region.change_seal(&codes[0], Cancelled, hours(3)).unwrap();
    for (out, at) in [("a", 4), ("b", 5), ("a", 6), ("b", 7)] {
        region.publish(&rig.temp.path().join(out), &Publication::default(), hours(at)).unwrap();
        let (base, number) = base_and_number(out);
        assert_eq!(base, number, "{out} {at}");
    }
    let read = |file| std::fs::read(rig.temp.path().join("a").join(file)).unwrap();
    assert_eq!((list(&read("status.p7b")).len(), list(&read("changes.p7b")).len()), (0, 1), "the full list of the week stays");
    // What somebody else put there is replaced, not built upon.
    for other in [b"no list".to_vec(), read("changes.p7b"), std::fs::read(rig.temp.path().join("a/trust-list.p7b")).unwrap()] {
        std::fs::write(rig.temp.path().join("a/status.p7b"), other).unwrap();
        region.publish_status(&rig.temp.path().join("a"), fresh, hours(8)).unwrap();
        let (base, number) = base_and_number("a");
        assert_eq!(base, number);
    }
    assert_eq!(list(&read("status.p7b")).len(), 1);
}

fn newest_of_the_revocation_lists_that_are_made_at_once_stays(kind: Kind) {
    let rig = Rig::new(kind);
    let mut region = rig.pilot(now());
    let serial = |der: Vec<u8>| SerialNumber::new(Certificate::parse(&der).unwrap().serial()).unwrap();
    let serials: Vec<_> = (0..24).map(|_| serial(certificate(&mut region, now()))).collect();
    let path = rig.folder().join("crls/ca.crl");
    let list = || Crl::parse(&std::fs::read(&path).unwrap()).unwrap();
    std::thread::scope(|scope| {
        for serials in serials.chunks(6) {
            let (mut region, list) = (rig.opened(), &list);
            scope.spawn(move || {
                for serial in serials {
                    region.revoke(serial, None, now()).unwrap();
                    assert!(list().find(serial.as_bytes()).is_some(), "an older list was written over it");
                }
            });
        }
    });
    assert_eq!(list().len(), 24);
}

fn serial_number_that_was_used_is_refused(kind: Kind) {
    let rig = Rig::new(kind);
    let store = rig.store();
    store.add_certificate("0a", b"first", now()).unwrap();
    assert!(store.add_certificate("0a", b"second", now()).is_err());
    assert_eq!(store.certificate("0a").unwrap().as_deref(), Some(&b"first"[..]));
    let revocation = |reason| Revocation { serial: "0a".to_owned(), issuer: "ca".to_owned(), at: now(), reason };
    assert!(store.revoke(&revocation(Some(4))).unwrap());
    assert!(!store.revoke(&revocation(None)).unwrap(), "the first one stays");
    assert_eq!(store.revocations(Some("0a")).unwrap(), [revocation(Some(4))]);
    assert_eq!(store.revocations(None).unwrap().len(), 1);
    assert_eq!(store.revocations(Some("0b")).unwrap(), []);
}

fn records_of_a_newer_program_are_refused(kind: Kind) {
    let rig = Rig::new(kind);
    drop(rig.store());
    match &rig.address {
        Some(_) => {
            let statement = "UPDATE sealauthority.counter SET value = 99 WHERE name = 'version'";
            super::cluster::shared(|cluster| cluster.psql(rig.database_name(), statement));
        }
        None => {
            // The user version stands at byte 60 of the file (SQLite, "Database File Format", 1.3).
            let path = rig.temp.path().join("store.sqlite");
            let mut bytes = std::fs::read(&path).unwrap();
            bytes[60..64].copy_from_slice(&99u32.to_be_bytes());
            std::fs::write(path, bytes).unwrap();
        }
    }
    assert!(matches!(rig.store_again(), Err(StoreError::Newer { found: 99 })));
}

/// On SQLite alone: the disk is this machine's.
pub fn disk_that_is_full_changes_nothing_and_is_named() {
    let rig = Rig::new(Kind::Sqlite);
    let store = rig.store();
    store.limit_pages(40).unwrap();
    let kept = fill(&store, 200);
    store.limit_pages(10_000).unwrap();
    goes_on(&store, kept, 200);
}
