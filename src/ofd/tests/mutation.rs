//! Whatever the bytes are: no panic, an end, and never a reference that holds over a changed file.

use std::io::Cursor;

use proptest::prelude::*;

use super::super::{Ofd, ReferenceOutcome};
use super::signing::{contract, open, plan, sign, signatures};
use super::zip_builder::{RawEntry, zip};
use crate::document::{Prepared as _, Signable as _};

/// Does everything that this module does to a document.
fn exercise(bytes: &[u8]) {
    let Ok(mut ofd) = Ofd::open(Cursor::new(bytes.to_vec())) else { return };
    for body in ofd.bodies().to_vec() {
        let _ = ofd.pages(&body.current_root);
        let _ = ofd.contents(&body);
        let Ok(Some(list)) = ofd.signature_list(&body) else { continue };
        for listed in &list.signatures {
            let Ok(signature) = ofd.signature(listed) else { continue };
            let _ = ofd.check_references(&signature);
            let _ = ofd.signed_value(&signature);
            let _ = ofd.seal_file(&signature);
        }
    }
    let _ = ofd.integrity_list();
    if let Ok(prepared) = ofd.prepare(&plan(vec![])) {
        let _ = prepared.embed(b"v", &mut Vec::new());
    }
}

fn signed() -> Vec<u8> {
    sign(&contract(2), &plan(vec![]), b"value")
}

fn entries(bytes: &[u8]) -> Vec<RawEntry> {
    let mut ofd = open(bytes);
    let paths: Vec<_> = ofd.package.files().cloned().collect();
    paths.iter().map(|path| RawEntry::new(path.entry_name(), ofd.package.read(path, 1 << 20).unwrap())).collect()
}

#[test]
fn every_cut_is_refused() {
    let bytes = signed();
    for length in 0..bytes.len() {
        assert!(Ofd::open(Cursor::new(bytes[..length].to_vec())).is_err(), "{length}");
    }
}

/// One changed byte anywhere: refused, or a reference fails, or it lies in what the signature does not protect.
#[test]
fn every_changed_byte_is_noticed() {
    let bytes = signed();
    let unprotected = ["Signatures.xml", "Signature.xml", "SignedValue.dat"];
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 0x20;
        exercise(&changed);
        let Ok(mut ofd) = Ofd::open(Cursor::new(changed)) else { continue };
        let before: Vec<_> = entries(&bytes).into_iter().map(|entry| (entry.name, entry.data)).collect();
        for (name, data) in before {
            let path = super::super::PackagePath::from_entry_name(std::str::from_utf8(&name).unwrap());
            if unprotected.contains(&path.file_name()) {
                continue;
            }
            let Ok(now) = ofd.package.read(&path, 1 << 20) else { continue };
            assert_eq!(now, data, "byte {at} changed {path} and no CRC saw it");
        }
    }
}

#[test]
fn a_changed_missing_or_damaged_file_fails_its_reference() {
    let good = entries(&signed());
    for index in 0..good.len() {
        let name = String::from_utf8(good[index].name.clone()).unwrap();
        if ["OFD.xml", "Signatures.xml", "Signature.xml", "SignedValue.dat"].iter().any(|file| name.ends_with(file)) {
            continue;
        }
        let outcome = |entries: &[RawEntry]| {
            let mut ofd = open(zip(entries));
            let signature = signatures(&mut ofd).remove(0);
            let results = ofd.check_references(&signature).unwrap();
            assert_eq!(results.iter().filter(|result| result.outcome != ReferenceOutcome::Ok).count(), 1, "{name}");
            results.iter().find(|result| result.path[1..] == name).unwrap().outcome
        };
        let mut changed = good.clone();
        changed[index].data.push(b' ');
        assert_eq!(outcome(&changed), ReferenceOutcome::Changed);
        let mut damaged = good.clone();
        damaged[index].crc = Some(1);
        assert_eq!(outcome(&damaged), ReferenceOutcome::Changed);
        let mut missing = good.clone();
        missing.remove(index);
        assert_eq!(outcome(&missing), ReferenceOutcome::Missing);
    }
}

#[test]
fn references_that_say_nothing_are_told_apart() {
    let description = "<Signature><SignedInfo><References CheckMethod='sm3'><Reference FileRef='/../x'><CheckValue/></Reference><Reference FileRef='/OFD.xml'><CheckValue>?</CheckValue></Reference><Reference FileRef='OFD.xml'><CheckValue>AAAA</CheckValue></Reference><Reference FileRef='/gone'><CheckValue>AAAA</CheckValue></Reference></References></SignedInfo><SignedValue>v</SignedValue></Signature>";
    let list = "<Signatures><Signature ID='1' BaseLoc='S.xml' Type='SIGN' Relative='0'/></Signatures>";
    let entry = "<OFD><DocBody><DocRoot>D.xml</DocRoot><Signatures>L.xml</Signatures></DocBody></OFD>";
    let with = |description: &str| {
        let files = [("OFD.xml", entry), ("L.xml", list), ("S.xml", description)];
        let mut ofd = open(super::signing::by_hand(&files));
        let signature = signatures(&mut ofd).remove(0);
        ofd.check_references(&signature).unwrap().iter().map(|result| result.outcome).collect::<Vec<_>>()
    };
    use ReferenceOutcome::{BadMethod, BadPath, BadValue, Missing};
    assert_eq!(with(description), [BadPath, BadValue, BadValue, Missing]);
    for method in ["", " CheckMethod='MD5'", " CheckMethod='1.2.156.10197.1.401.2'", " CheckMethod='SHA256'"] {
        assert_eq!(with(&description.replace(" CheckMethod='sm3'", method)), [BadPath, BadMethod, BadMethod, Missing]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn mutated_packages_never_panic(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8)) {
        let mut bytes = signed();
        for (index, value) in changes {
            let at = index.index(bytes.len());
            bytes[at] = value;
        }
        exercise(&bytes);
    }

    /// Changes inside the files, packed honestly, so that they reach the parsers behind the ZIP.
    #[test]
    fn mutated_files_never_panic(
        file in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut entries = entries(&signed());
        let entry = file.get(&entries).name.clone();
        let entry = entries.iter_mut().find(|other| other.name == entry).unwrap();
        for (index, value) in changes {
            let at = index.index(entry.data.len());
            entry.data[at] = value;
        }
        if let Some(cut) = cut {
            let length = cut.index(entry.data.len());
            entry.data.truncate(length);
        }
        exercise(&zip(&entries));
    }

    #[test]
    fn noise_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        exercise(&bytes);
        exercise(&zip(&[RawEntry::new("OFD.xml", &bytes)]));
    }
}
