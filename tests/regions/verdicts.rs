//! The table: region × date × seal status × revocation → verdict and codes. Both companies' documents, judged with both regions' lists.

use std::io::Cursor;

use sealagent::pki::licence::LicenceState;
use sealagent::pki::seal_status::SealState::{self, Cancelled, Suspended, Valid};
use sealagent::pki::trust::{Period, Region as TrustRegion, Service};
use sealagent::pki::trust_list::{ServiceKind, ServiceStatus, StatusChange, TrustList};
use sealagent::pki::{Purpose, TrustStore};
use sealagent::verify::report::{Code, Indication, Level, Report, SubIndication};
use sealagent::verify::{Context, Verifier};

use super::world::{Company, Known, MADE, NOW, Region, SIGNED, at, contract, entry};

use Code::*;
use Indication::{Indeterminate, TotalFailed, TotalPassed};

const SHENZHEN: &str = "44030000000001";
const BEIJING: &str = "11010000000001";

struct Two {
    shenzhen: Region,
    beijing: Region,
    buyer: Company,
    seller: Company,
}

fn two() -> Two {
    let (shenzhen, beijing) = (Region::new("shenzhen"), Region::new("beijing"));
    let buyer = shenzhen.company("91440300MA5DEM0019", "深圳市示例科技有限公司", SHENZHEN);
    let seller = beijing.company("91110108756730417W", "北京示例贸易有限公司", BEIJING);
    Two { shenzhen, beijing, buyer, seller }
}

fn judge(document: &[u8], store: &TrustStore) -> Report {
    Verifier::verify(Cursor::new(document), &Context::new(store, at(NOW)))
}

/// Codes above "info" beside the ones that every claimed time has.
fn codes(report: &Report) -> Vec<Code> {
    let mut codes: Vec<Code> = report
        .signatures
        .iter()
        .flat_map(|s| &s.findings)
        .filter(|f| matches!(f.level, Level::Error | Level::Indeterminate))
        .map(|f| f.code)
        .collect();
    codes.sort_unstable();
    codes.dedup();
    codes
}

type Changes = &'static [(SealState, &'static str)];

const BEFORE: &str = "2026-05-01T00:00:00Z";
const AFTER: &str = "2026-07-01T00:00:00Z";
const LATER: &str = "2026-09-01T00:00:00Z";

/// Whoever vouches for a maker is heard about its seals, not only the region whose list was read first.
#[test]
fn seal_cancelled_by_one_of_two_regions_that_name_its_maker_is_cancelled() {
    let two = two();
    let (home, mut other) = (two.shenzhen.trust_list(1), two.beijing.trust_list(1));
    other.services.push(two.shenzhen.service(ServiceKind::SealMaker, &two.shenzhen.maker));
    let document = two.buyer.sign(&contract(), SIGNED, None);
    for (seals, expected) in [
        (Vec::new(), (TotalPassed, vec![])),
        (vec![entry(SHENZHEN, &[(Cancelled, BEFORE)])], (TotalFailed, vec![SealStatusCancelled])),
    ] {
        let store = Known::default()
            .region(&two.beijing, &other, true)
            .region(&two.shenzhen, &home, true)
            .status(&other, &two.beijing.signed_status(1, None, &[]))
            .status(&home, &two.shenzhen.signed_status(1, None, &seals))
            .crls(two.shenzhen.crls(&[]))
            .store();
        let report = judge(&document, &store);
        assert_eq!((report.indication, codes(&report)), expected, "{report:#?}");
    }
}

#[test]
fn status_and_revocation_are_judged_at_the_signing_time() {
    let two = two();
    let list = two.shenzhen.trust_list(1);
    let claimed = two.buyer.sign(&contract(), SIGNED, None);
    let stamped = two.buyer.sign(&contract(), SIGNED, Some(&two.shenzhen.tsa));
    type Row = (Changes, Option<&'static str>, [(Indication, &'static [Code]); 2]);
    // Changes of the seal, revocation of the signer's certificate → verdict without and with a time stamp.
    let table: &[Row] = &[
        (&[], None, [(TotalPassed, &[]), (TotalPassed, &[])]),
        (&[(Suspended, BEFORE)], None, [(TotalFailed, &[SealStatusSuspended]), (TotalFailed, &[SealStatusSuspended])]),
        (&[(Cancelled, BEFORE)], None, [(TotalFailed, &[SealStatusCancelled]), (TotalFailed, &[SealStatusCancelled])]),
        (&[(Cancelled, SIGNED)], None, [(TotalFailed, &[SealStatusCancelled]), (TotalFailed, &[SealStatusCancelled])]),
        (&[(Cancelled, AFTER)], None, [(Indeterminate, &[SealStatusCancelled]), (TotalPassed, &[])]),
        (&[(Suspended, AFTER)], None, [(Indeterminate, &[SealStatusSuspended]), (TotalPassed, &[])]),
        (
            &[(Suspended, BEFORE), (Valid, AFTER)],
            None,
            [(TotalFailed, &[SealStatusSuspended]), (TotalFailed, &[SealStatusSuspended])],
        ),
        (&[(Suspended, "2026-04-01T00:00:00Z"), (Valid, BEFORE)], None, [(TotalPassed, &[]), (TotalPassed, &[])]),
        (&[(Suspended, AFTER), (Valid, LATER)], None, [(TotalPassed, &[]), (TotalPassed, &[])]),
        (
            &[(Suspended, BEFORE), (Valid, AFTER), (Cancelled, LATER)],
            None,
            [(TotalFailed, &[SealStatusSuspended]), (TotalFailed, &[SealStatusSuspended])],
        ),
        (&[], Some(BEFORE), [(TotalFailed, &[SignerCertRevoked]), (TotalFailed, &[SignerCertRevoked])]),
        (&[], Some(AFTER), [(Indeterminate, &[SignerCertRevoked]), (TotalPassed, &[])]),
        (&[(Cancelled, AFTER)], Some(AFTER), [(Indeterminate, &[SealStatusCancelled, SignerCertRevoked]), (TotalPassed, &[])]),
        (
            &[(Cancelled, BEFORE)],
            Some(AFTER),
            [(TotalFailed, &[SealStatusCancelled, SignerCertRevoked]), (TotalFailed, &[SealStatusCancelled])],
        ),
    ];
    for (i, (changes, revoked, expected)) in table.iter().enumerate() {
        let seals = if changes.is_empty() { Vec::new() } else { vec![entry(SHENZHEN, changes)] };
        let revoked: Vec<_> = revoked.iter().map(|when| (two.buyer.identity.certificate(), *when)).collect();
        let store = Known::default()
            .region(&two.shenzhen, &list, true)
            .status(&list, &two.shenzhen.signed_status(1, None, &seals))
            .crls(two.shenzhen.crls(&revoked))
            .store();
        for (document, (indication, expected)) in [&claimed, &stamped].into_iter().zip(expected) {
            let report = judge(document, &store);
            let time = if std::ptr::eq(document, &stamped) { "stamped" } else { "claimed" };
            assert_eq!((report.indication, codes(&report)), (*indication, expected.to_vec()), "row {i}, {time}: {report:#?}");
        }
    }
}

/// One contract, sealed in Shenzhen first and in Beijing second.
fn contract_of(two: &Two) -> Vec<u8> {
    let first = two.buyer.sign(&contract(), SIGNED, Some(&two.shenzhen.tsa));
    two.seller.sign(&first, "2026-06-02T08:30:00Z", Some(&two.beijing.tsa))
}

fn knows(two: &Two, region: &Region, known: Known, list: &TrustList, accepted: bool, seals: Changes) -> Known {
    let es_id = if std::ptr::eq(region, &two.shenzhen) { SHENZHEN } else { BEIJING };
    let seals = if seals.is_empty() { Vec::new() } else { vec![entry(es_id, seals)] };
    known.region(region, list, accepted).status(list, &region.signed_status(1, None, &seals)).crls(region.crls(&[]))
}

#[test]
fn contract_of_two_regions_passes_where_both_are_accepted_and_says_which_is_not() {
    let two = two();
    let document = contract_of(&two);
    let lists = [two.shenzhen.trust_list(1), two.beijing.trust_list(1)];
    let both = |accepted: [bool; 2], seals: Changes| {
        let known = knows(&two, &two.shenzhen, Known::default(), &lists[0], accepted[0], &[]);
        knows(&two, &two.beijing, known, &lists[1], accepted[1], seals).store()
    };
    let report = judge(&document, &both([true, true], &[]));
    assert_eq!(report.indication, TotalPassed, "{report:#?}");
    let regions: Vec<_> = report.signatures.iter().map(|s| s.signer.as_ref().unwrap().region.clone().unwrap()).collect();
    assert_eq!(regions, ["shenzhen", "beijing"]);
    assert_eq!(report.signatures[1].seal.as_ref().unwrap().status, Some(Valid));

    // The Beijing seal is cancelled before it signed: the next verification says so, the first signature's own layers stay good.
    let report = judge(&document, &both([true, true], &[(Cancelled, BEFORE)]));
    assert_eq!(report.indication, TotalFailed);
    assert_eq!(report.signatures[1].sub_indication, Some(SubIndication::Revoked));

    // Trust in Beijing is withdrawn: nothing failed, nothing is known, and the reason names the region.
    let report = judge(&document, &both([true, false], &[]));
    let second = &report.signatures[1];
    assert_eq!((second.indication, second.sub_indication), (Indeterminate, Some(SubIndication::NoCertificateChainFound)));
    for code in [SealMakerCertChain, SignerCertChain] {
        let finding = second.findings.iter().find(|f| f.code == code).unwrap();
        assert!(finding.message.contains("beijing") && finding.message.contains("not accepted"), "{}", finding.message);
    }
    // Beijing was never heard of.
    let store = knows(&two, &two.shenzhen, Known::default(), &lists[0], true, &[]).store();
    let second = judge(&document, &store).signatures.remove(1);
    assert_eq!((second.indication, second.sub_indication), (Indeterminate, Some(SubIndication::NoCertificateChainFound)));
}

#[test]
fn services_count_by_their_history_and_an_old_list_decides_nothing() {
    let two = two();
    let document = two.buyer.sign(&contract(), SIGNED, None);
    type Change = fn(&mut TrustList);
    fn end(list: &mut TrustList, kind: ServiceKind, from: &str) {
        let service = list.services.iter_mut().find(|s| s.kind == kind).unwrap();
        service.history.push(StatusChange { from: at(from), status: ServiceStatus::Withdrawn });
    }
    const BEFORE_SEAL: &str = "2026-01-06T00:00:00Z";
    let table: &[(Change, Indication, &[Code])] = &[
        (|_| {}, TotalPassed, &[]),
        (|l| end(l, ServiceKind::SealMaker, "2026-02-01T00:00:00Z"), TotalPassed, &[]),
        (|l| end(l, ServiceKind::SealMaker, BEFORE_SEAL), TotalFailed, &[SealMakerNotAuthorised]),
        (|l| l.services.retain(|s| s.kind != ServiceKind::SealMaker), Indeterminate, &[SealMakerCertChain]),
        (|l| end(l, ServiceKind::IssuingCa, AFTER), TotalPassed, &[]),
        // The root above still counts, the CA in between does not.
        (|l| end(l, ServiceKind::IssuingCa, BEFORE), Indeterminate, &[SignerCertChain]),
        (
            |l| {
                end(l, ServiceKind::IssuingCa, BEFORE);
                end(l, ServiceKind::RootCa, BEFORE);
            },
            Indeterminate,
            &[SignerCertChain],
        ),
        (|l| l.next_update = at("2026-11-20T00:00:00Z"), Indeterminate, &[TrustListExpired]),
    ];
    for (i, (change, indication, expected)) in table.iter().enumerate() {
        let mut list = two.shenzhen.trust_list(1);
        change(&mut list);
        let store = knows(&two, &two.shenzhen, Known::default(), &list, true, &[]).store();
        let report = judge(&document, &store);
        assert_eq!((report.indication, codes(&report)), (*indication, expected.to_vec()), "row {i}: {report:#?}");
    }
}

#[test]
fn two_accepted_lists_that_disagree_decide_nothing() {
    let two = two();
    let document = two.buyer.sign(&contract(), SIGNED, None);
    let list = two.shenzhen.trust_list(1);
    let judged = |granted: Vec<Period>, accepted| {
        let mut store = knows(&two, &two.shenzhen, Known::default(), &list, true, &[]).store();
        let maker = std::sync::Arc::new(two.shenzhen.maker.certificate().clone());
        let region = TrustRegion { name: "beijing".into(), next_update: None, status_service: false, accepted };
        store.add_region(region, [Service::new(Purpose::SealMaker, maker, Some("beijing".into()), granted)]);
        judge(&document, &store)
    };
    let since = |from| vec![Period { from: Some(at(from)), until: None }];
    let report = judged(since(AFTER), true);
    assert_eq!((report.indication, codes(&report)), (Indeterminate, vec![TrustListConflict]), "{report:#?}");
    assert_eq!(judged(since(MADE), true).indication, TotalPassed);
    assert_eq!(judged(since(AFTER), false).indication, TotalPassed, "a region that is not accepted has no say");
}

#[test]
fn stale_or_missing_status_is_not_taken_for_valid() {
    let two = two();
    let list = two.shenzhen.trust_list(1);
    let document = two.buyer.sign(&contract(), SIGNED, None);
    let without = Known::default().region(&two.shenzhen, &list, true).crls(two.shenzhen.crls(&[])).store();
    let report = judge(&document, &without);
    assert_eq!((report.indication, codes(&report)), (Indeterminate, vec![SealStatusUnknown]));
    let mut head = two.shenzhen.status_head(1, None);
    (head.this_update, head.next_update) = (at("2026-11-01T00:00:00Z"), at("2026-11-02T00:00:00Z"));
    let stale = |seals: &[_]| sealauthority::issue_status_list(&two.shenzhen.status, &head, seals).unwrap();
    let with = |bytes: &[u8]| {
        Known::default().region(&two.shenzhen, &list, true).status(&list, bytes).crls(two.shenzhen.crls(&[])).store()
    };
    let report = judge(&document, &with(&stale(&[])));
    assert_eq!((report.indication, codes(&report)), (Indeterminate, vec![SealStatusUnknown]));
    // A cancellation does not grow old.
    let report = judge(&document, &with(&stale(&[entry(SHENZHEN, &[(Cancelled, BEFORE)])])));
    assert_eq!((report.indication, codes(&report)), (TotalFailed, vec![SealStatusCancelled, SealStatusUnknown]));
}

#[test]
fn licence_is_compared_with_certificate_and_seal() {
    let two = two();
    let list = two.shenzhen.trust_list(1);
    let document = two.buyer.sign(&contract(), SIGNED, None);
    let judged = |change: Option<fn(&mut sealagent::pki::Licence)>, required| {
        let mut known = knows(&two, &two.shenzhen, Known::default(), &list, true, &[]);
        if let Some(change) = change {
            let mut licence = two.shenzhen.licence(&two.buyer, LicenceState::Active);
            change(&mut licence);
            known = known.licence(&list, &two.shenzhen.signed_licence(&licence));
        }
        let store = known.store();
        let context = Context { licence_required: required, ..Context::new(&store, at(NOW)) };
        Verifier::verify(Cursor::new(&document), &context)
    };
    let report = judged(Some(|_| {}), true);
    assert_eq!(report.indication, TotalPassed, "{report:#?}");
    let licence = report.signatures[0].signer.as_ref().unwrap().licence.as_ref().unwrap();
    assert_eq!((licence.name.as_str(), licence.state), ("深圳市示例科技有限公司", LicenceState::Active));
    let info: Vec<_> = report.signatures[0].findings.iter().filter(|f| f.code == LicenceChecked).collect();
    assert!(info.len() == 1 && info[0].message_zh.contains("存续"), "{info:?}");

    type Row = (Option<fn(&mut sealagent::pki::Licence)>, bool, Indication, &'static [Code]);
    let table: &[Row] = &[
        (None, false, TotalPassed, &[]),
        (None, true, Indeterminate, &[LicenceUnknown]),
        (Some(|l| l.state = LicenceState::Abnormal), true, TotalPassed, &[]),
        (Some(|l| l.state = LicenceState::Revoked), true, TotalFailed, &[Code::LicenceState]),
        (Some(|l| l.state = LicenceState::Cancelled), false, TotalFailed, &[Code::LicenceState]),
        (
            Some(|l| {
                l.state = LicenceState::Cancelled;
                l.state_since = at(AFTER);
            }),
            true,
            TotalPassed,
            &[],
        ),
        (Some(|l| l.valid_to = Some(at(BEFORE))), true, TotalFailed, &[Code::LicenceState]),
        (Some(|l| l.name = "深圳市别的有限公司".into()), true, TotalFailed, &[SubjectMismatch]),
        (Some(|l| l.fresh_until = at("2026-11-24T05:00:00Z")), true, Indeterminate, &[LicenceUnknown]),
        (Some(|l| l.uscc = "91110108756730417W".into()), true, Indeterminate, &[LicenceUnknown]),
    ];
    for (i, (change, required, indication, expected)) in table.iter().enumerate() {
        let report = judged(*change, *required);
        assert_eq!((report.indication, codes(&report)), (*indication, expected.to_vec()), "row {i}: {report:#?}");
    }
    // Only the registry of the region speaks.
    let licence = two.shenzhen.licence(&two.buyer, LicenceState::Active);
    assert!(sealagent::pki::Licence::read(&list, &two.beijing.signed_licence(&licence)).is_err());
    let by_status = sealauthority::issue_licence(&two.shenzhen.status, &licence).unwrap();
    assert!(sealagent::pki::Licence::read(&list, &by_status).is_err());
}
