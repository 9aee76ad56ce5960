//! Trust lists: reading, succession, and everything that must not take the place of an accepted one.

use std::sync::Arc;

use sealagent::pki::signed::{DocumentKind, SignedError, kind_of};
use sealagent::pki::trust_list::{
    Accepted, ListRefusal, Location, LocationUse, Pointer, ServiceKind, ServiceStatus, SignedTrustList, StatusChange, Succession,
    TrustList,
};
use sealauthority::{StatementError, issue_status_list, issue_trust_list};

use super::world::{Region, at, entry};

fn now() -> jiff::Timestamp {
    at(super::world::NOW)
}

fn read(region: &Region, list: &TrustList) -> SignedTrustList {
    SignedTrustList::parse(&region.signed_list(list)).unwrap()
}

#[test]
fn what_was_written_is_read_back_and_every_changed_byte_is_refused() {
    let region = Region::new("shenzhen");
    let mut list = region.trust_list(7);
    list.locations.push(Location { kind: LocationUse::TrustList, url: "http://lists.example/sz.p7b".into(), private: true });
    list.regions.push(Pointer {
        region: "beijing".into(),
        name: "北京".into(),
        location: Location { kind: LocationUse::TrustList, url: "http://lists.example/bj.p7b".into(), private: false },
        signers: vec![[7; 32]],
    });
    let bytes = region.signed_list(&list);
    let signed = SignedTrustList::parse(&bytes).unwrap();
    assert_eq!(*signed.list(), list);
    assert_eq!(signed.signer().der(), region.list.der());
    assert_eq!(kind_of(&bytes), Some(DocumentKind::TrustList));
    // Every seventh byte: SM2 takes its time.
    for place in (0..bytes.len()).step_by(7) {
        let mut changed = bytes.clone();
        changed[place] ^= 1;
        // A change in the signer's certificate beside its key can be read, but it is another certificate then.
        let passes = SignedTrustList::parse(&changed).is_ok_and(|list| list.signer().sha256() == signed.signer().sha256());
        assert!(!passes, "byte {place}");
    }
    assert!(SignedTrustList::parse(&bytes[..bytes.len() - 1]).is_err());
    assert!(SignedTrustList::parse(&[&bytes[..], &[0]].concat()).is_err());
}

#[test]
fn one_kind_of_document_is_never_taken_for_another() {
    let region = Region::new("shenzhen");
    let status = issue_status_list(&region.list, &region.status_head(1, None), &[]).unwrap();
    assert!(matches!(SignedTrustList::parse(&status), Err(SignedError::Kind(_))));
}

#[test]
fn list_signed_by_a_ca_or_outside_the_signers_dates_is_refused() {
    let region = Region::new("shenzhen");
    let by_ca = issue_trust_list(&region.ca, &region.trust_list(1)).unwrap();
    assert!(matches!(SignedTrustList::parse(&by_ca), Err(SignedError::SignerUnfit(_))));
    let mut early = region.trust_list(1);
    early.issued = at("2025-01-01T00:00:00Z");
    assert!(matches!(SignedTrustList::parse(&region.signed_list(&early)), Err(SignedError::SignerUnfit(_))));
}

#[test]
fn lists_that_cannot_be_are_not_even_signed() {
    let region = Region::new("shenzhen");
    let changes: [fn(&mut TrustList); 9] = [
        |l| l.sequence = 0,
        |l| l.next_update = l.issued,
        |l| l.signers.clear(),
        |l| l.region = "../etc".into(),
        |l| l.name = "深圳\u{7}".into(),
        |l| l.services[0].certificates.clear(),
        |l| l.services[0].history.clear(),
        |l| {
            let from = l.services[0].history[0].from;
            l.services[0].history.push(StatusChange { from, status: ServiceStatus::Withdrawn });
        },
        |l| l.locations.push(Location { kind: LocationUse::Crl, url: "file:///etc/passwd".into(), private: false }),
    ];
    for (i, change) in changes.into_iter().enumerate() {
        let mut list = region.trust_list(1);
        change(&mut list);
        assert!(matches!(issue_trust_list(&region.list, &list), Err(StatementError::Contents(_))), "case {i}");
    }
}

#[test]
fn newer_list_of_a_named_signer_succeeds_and_everything_else_is_refused() {
    let (region, other) = (Region::new("shenzhen"), Region::new("beijing"));
    let accepted = read(&region, &region.trust_list(5)).accepted();
    assert_eq!(accepted.judge(&read(&region, &region.trust_list(6)), now()), Ok(Succession::Newer));
    // Signed anew (another signature value), the same list is the same list.
    assert_eq!(accepted.judge(&read(&region, &region.trust_list(5)), now()), Ok(Succession::Same));

    let refusal = |list: &TrustList, by: &Region| {
        accepted.judge(&SignedTrustList::parse(&issue_trust_list(&by.list, list).unwrap()).unwrap(), now()).unwrap_err()
    };
    assert_eq!(refusal(&region.trust_list(4), &region), ListRefusal::Rollback { accepted: 5, found: 4 });
    let mut same_number = region.trust_list(5);
    same_number.name = "别的".into();
    assert_eq!(refusal(&same_number, &region), ListRefusal::Disagrees(5));
    assert!(matches!(refusal(&region.trust_list(6), &other), ListRefusal::WrongSigner(_)));
    assert!(matches!(refusal(&other.trust_list(6), &other), ListRefusal::OtherRegion { .. }));
    let mut future = region.trust_list(6);
    (future.issued, future.next_update) = (at("2027-11-24T00:00:00Z"), at("2027-12-24T00:00:00Z"));
    assert!(matches!(refusal(&future, &region), ListRefusal::FromTheFuture(_)));
}

#[test]
fn list_key_rolls_over_through_a_list_that_names_the_next_key() {
    let region = Region::new("shenzhen");
    let next = region.statement_key("信任列表二");
    let certificate = |identity: &sealauthority::Identity| Arc::new(identity.certificate().clone());
    let first = read(&region, &region.trust_list(1)).accepted();

    let mut by_next = region.trust_list(3);
    by_next.signers = vec![certificate(&next)];
    let by_next = SignedTrustList::parse(&issue_trust_list(&next, &by_next).unwrap()).unwrap();
    assert!(matches!(first.judge(&by_next, now()), Err(ListRefusal::WrongSigner(_))), "not named yet");

    let mut announcement = region.trust_list(2);
    announcement.signers = vec![certificate(&region.list), certificate(&next)];
    let announcement = read(&region, &announcement);
    assert_eq!(first.judge(&announcement, now()), Ok(Succession::Newer));
    let second = announcement.accepted();
    assert_eq!(second.judge(&by_next, now()), Ok(Succession::Newer));

    // Once rolled over, the old key says nothing any more.
    let third: Accepted = by_next.accepted();
    assert!(matches!(third.judge(&read(&region, &region.trust_list(4)), now()), Err(ListRefusal::WrongSigner(_))));
}

#[test]
fn service_counts_between_its_grant_and_its_withdrawal() {
    let region = Region::new("shenzhen");
    let mut list = region.trust_list(1);
    let maker = list.services.iter_mut().find(|s| s.kind == ServiceKind::SealMaker).unwrap();
    for (from, status) in [("2026-03-01T00:00:00Z", ServiceStatus::Withdrawn), ("2026-05-01T00:00:00Z", ServiceStatus::Granted)] {
        maker.history.push(StatusChange { from: at(from), status });
    }
    let grants = |when| list.grants(ServiceKind::SealMaker, region.maker.certificate(), at(when));
    let table = [
        ("2026-01-04T23:59:59Z", false),
        ("2026-01-05T00:00:00Z", true),
        ("2026-02-28T23:59:59.9Z", true),
        ("2026-03-01T00:00:00Z", false),
        ("2026-04-30T23:59:59Z", false),
        ("2026-05-01T00:00:00Z", true),
        ("2030-01-01T00:00:00Z", true),
    ];
    for (when, granted) in table {
        assert_eq!(grants(when), granted, "{when}");
    }
    assert!(!list.grants(ServiceKind::RootCa, region.maker.certificate(), at("2026-06-01T00:00:00Z")), "a maker is no CA");
}

#[test]
fn status_list_of_another_service_or_region_is_refused() {
    use sealagent::pki::seal_status::{SealState, status_list};
    let (region, other) = (Region::new("shenzhen"), Region::new("beijing"));
    let list = region.trust_list(1);
    let seals = [entry("44030000000001", &[(SealState::Cancelled, "2026-03-01T00:00:00Z")])];
    assert!(status_list(&list, &region.signed_status(1, None, &seals)).is_ok());
    assert!(status_list(&list, &other.signed_status(1, None, &seals)).is_err(), "another region");
    let by_list_key = issue_status_list(&region.list, &region.status_head(1, None), &seals).unwrap();
    assert!(matches!(status_list(&list, &by_list_key), Err(SignedError::SignerUnfit(_))), "the list key is no status service");
    let head = sealagent::pki::seal_status::StatusHead { region: "shenzhen".into(), ..other.status_head(1, None) };
    let by_other = issue_status_list(&other.status, &head, &seals).unwrap();
    assert!(matches!(status_list(&list, &by_other), Err(SignedError::SignerUnfit(_))), "another region's service");
    let mut withdrawn = list;
    let service = withdrawn.services.iter_mut().find(|s| s.kind == ServiceKind::SealStatus).unwrap();
    service.history.push(StatusChange { from: at("2026-04-01T00:00:00Z"), status: ServiceStatus::Withdrawn });
    assert!(matches!(status_list(&withdrawn, &region.signed_status(1, None, &seals)), Err(SignedError::SignerUnfit(_))));
}
