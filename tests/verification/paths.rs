//! Paths, revocation lists and responses, away from documents.

use std::sync::Arc;

use sealagent::pki::path::{PathFinder, PathOutcome, PathRule};
use sealagent::pki::revocation::{self, Moment, Revocation, WhyUnknown};
use sealagent::pki::trust::{TrustFile, TrustRole};
use sealagent::pki::{Certificate, Crl, Enclosed, OcspResponse, Purpose, TimeStampToken, TrustStore};

use crate::forge::{Identity, Key, ListSpec, OCSP_SIGNING, Spec, at, crl, issue, ocsp, time_stamp};

const NOW: &str = "2026-11-24T06:00:00Z";

fn store(files: &[(TrustRole, &[u8])]) -> TrustStore {
    let files = files.iter().map(|(role, bytes)| TrustFile { role: *role, name: format!("{role:?}"), bytes: bytes.to_vec() });
    let (store, problems) = TrustStore::from_files(files);
    assert!(problems.is_empty(), "{problems:?}");
    store
}

fn find(store: &TrustStore, extra: &[&Identity], leaf: &Identity) -> PathOutcome {
    let mut finder = PathFinder::new(store);
    extra.iter().for_each(|identity| finder.add(identity.certificate.clone()));
    finder.find(&leaf.certificate, Purpose::Signer, at(NOW))
}

fn root() -> Identity {
    issue(None, Key::new(1), &Spec::ca("Root", 1))
}

#[test]
fn certificates_that_came_with_the_document_help_but_are_not_trusted() {
    let root = root();
    let ca = issue(Some(&root), Key::new(2), &Spec::ca("CA", 2));
    let leaf = issue(Some(&ca), Key::new(3), &Spec::leaf("Company", "Company", 3));
    let anchor = store(&[(TrustRole::Anchor, root.der())]);
    assert!(matches!(find(&anchor, &[], &leaf), PathOutcome::NoAnchor { .. }));
    assert!(matches!(find(&anchor, &[&ca], &leaf), PathOutcome::Trusted(path) if path.certificates.len() == 3));
    let nobody = store(&[(TrustRole::Intermediate, root.der())]);
    assert!(matches!(find(&nobody, &[&root, &ca], &leaf), PathOutcome::NoAnchor { .. }));
}

#[test]
fn anchors_of_one_purpose_end_no_path_of_another() {
    let root = root();
    let leaf = issue(Some(&root), Key::new(3), &Spec::leaf("Company", "Company", 3));
    for role in [TrustRole::Maker, TrustRole::TimeStamp] {
        let outcome = find(&store(&[(role, root.der())]), &[], &leaf);
        assert!(matches!(outcome, PathOutcome::NoAnchor { .. }), "{role:?}: {outcome:?}");
    }
}

#[test]
fn a_signers_certificate_among_the_anchors_vouches_for_nobody() {
    let leaf = issue(None, Key::new(3), &Spec::leaf("Company", "Company", 3));
    let outcome = find(&store(&[(TrustRole::Anchor, leaf.der())]), &[], &leaf);
    assert!(matches!(outcome, PathOutcome::NoAnchor { .. }), "{outcome:?}");
}

#[test]
fn name_twins_with_another_key_never_chain_and_never_hide_the_true_issuer() {
    let root = root();
    let twin = issue(None, Key::new(9), &Spec::ca("Root", 1));
    let leaf = issue(Some(&root), Key::new(3), &Spec::leaf("Company", "Company", 3));
    let false_leaf = issue(Some(&twin), Key::new(4), &Spec::leaf("Company", "Company", 3));
    let trust = store(&[(TrustRole::Anchor, root.der())]);
    assert!(matches!(find(&trust, &[&twin], &leaf), PathOutcome::Trusted(_)));
    assert!(matches!(find(&trust, &[&twin], &false_leaf), PathOutcome::NoAnchor { .. }));

    // The false leaf claims the true root's key too: then it is damaged or forged, not unknown.
    let spec = Spec { authority_key_id: Some(root.key.id()), ..Spec::leaf("Company", "Company", 3) };
    let forged = issue(Some(&twin), Key::new(4), &spec);
    let outcome = find(&trust, &[&twin], &forged);
    assert!(matches!(outcome, PathOutcome::Broken { rule: PathRule::Signature, .. }), "{outcome:?}");
}

#[test]
fn a_flood_of_twins_costs_a_bounded_number_of_signatures() {
    let trust = store(&[(TrustRole::Anchor, root().der())]);
    let spec = Spec { authority_key_id: Some(vec![7]), ..Spec::ca("CA", 2) };
    let leaf = issue(Some(&issue(None, Key::new(50), &spec)), Key::new(3), &Spec::leaf("Company", "Company", 3));
    let mut finder = PathFinder::new(&trust);
    for seed in 100..250 {
        let twin = issue(None, Key::new(seed), &Spec { serial: seed, ..Spec::ca("CA", 2) });
        // Without its key identifier each could be the issuer.
        let der: Vec<u8> = twin.der().to_vec();
        finder.add(Arc::new(Certificate::parse(&der).unwrap()));
    }
    assert!(matches!(finder.find(&leaf.certificate, Purpose::Signer, at(NOW)), PathOutcome::NoAnchor { .. }));
}

#[test]
fn cross_signed_circles_end() {
    let (a, b) = (Key::new(21), Key::new(22));
    let a_root = issue(None, a.clone(), &Spec::ca("A", 1));
    let b_root = issue(None, b.clone(), &Spec::ca("B", 2));
    let a_by_b = issue(Some(&b_root), a, &Spec::ca("A", 3));
    let b_by_a = issue(Some(&a_root), b, &Spec::ca("B", 4));
    let leaf = issue(Some(&a_root), Key::new(3), &Spec::leaf("Company", "Company", 3));
    let trust = store(&[(TrustRole::Anchor, root().der())]);
    assert!(matches!(find(&trust, &[&a_by_b, &b_by_a], &leaf), PathOutcome::NoAnchor { .. }));
    let trust = store(&[(TrustRole::Anchor, b_root.der())]);
    let outcome = find(&trust, &[&a_by_b, &b_by_a], &leaf);
    assert!(matches!(&outcome, PathOutcome::Trusted(path) if path.certificates.len() == 3), "{outcome:?}");
}

#[test]
fn paths_longer_than_the_limit_are_not_followed() {
    let mut chain = vec![root()];
    for n in 2..12 {
        chain.push(issue(chain.last(), Key::new(n), &Spec::ca(&format!("CA {n}"), n)));
    }
    let trust = store(&[(TrustRole::Anchor, chain[0].der())]);
    let extra: Vec<&Identity> = chain.iter().collect();
    assert!(matches!(find(&trust, &extra, &chain[7]), PathOutcome::Trusted(path) if path.certificates.len() == 8));
    assert!(matches!(find(&trust, &extra, &chain[8]), PathOutcome::NoAnchor { .. }));
}

fn state(files: &[(TrustRole, &[u8])], subject: &Identity, issuer: &Identity) -> Revocation {
    let moment = Moment { used: at("2026-06-01T00:00:00Z"), proven: false, now: at(NOW) };
    revocation::check(&store(files), &mut Enclosed::default(), &subject.certificate, &issuer.certificate, moment)
}

#[test]
fn ocsp_answers_count_from_the_ca_or_a_responder_it_certified() {
    let ca = root();
    let subject = issue(Some(&ca), Key::new(3), &Spec::leaf("Company", "Company", 3));
    let spec = Spec { purpose: Some(OCSP_SIGNING), ..Spec::leaf("Test", "Responder", 8) };
    let responder = issue(Some(&ca), Key::new(8), &spec);
    let without_purpose = issue(Some(&ca), Key::new(8), &Spec { purpose: None, ..spec.clone() });
    let stranger = issue(None, Key::new(8), &spec);
    let answer = |by: &Identity, date| state(&[(TrustRole::Ocsp, &ocsp(&ca, by, &subject, date))], &subject, &ca);
    assert_eq!(answer(&responder, None), Revocation::Good);
    assert_eq!(answer(&ca, None), Revocation::Good);
    assert!(
        matches!(answer(&responder, Some("2026-05-01T00:00:00Z")), Revocation::Revoked(r) if r.at == at("2026-05-01T00:00:00Z"))
    );
    for by in [&without_purpose, &stranger] {
        assert_eq!(answer(by, None), Revocation::Unknown(WhyUnknown::NoData));
    }
    let other = issue(Some(&ca), Key::new(4), &Spec::leaf("Company", "Company", 4));
    let about_other = ocsp(&ca, &responder, &other, None);
    assert_eq!(state(&[(TrustRole::Ocsp, &about_other)], &subject, &ca), Revocation::Unknown(WhyUnknown::NoData));
}

#[test]
fn lists_of_a_name_twin_or_changed_ones_do_not_count() {
    let ca = root();
    let subject = issue(Some(&ca), Key::new(3), &Spec::leaf("Company", "Company", 3));
    let twin = issue(None, Key::new(9), &Spec::ca("Root", 1));
    let list = crl(&twin, &ListSpec { revoked: vec![(3, "2026-01-01T00:00:00Z", None)], ..ListSpec::default() });
    let unknown = Revocation::Unknown(WhyUnknown::NoData);
    assert_eq!(state(&[(TrustRole::Anchor, ca.der()), (TrustRole::Crl, &list)], &subject, &ca), unknown);
    let mut list = crl(&ca, &ListSpec::default());
    let middle = list.len() / 2;
    list[middle] ^= 1;
    let known = matches!(
        TrustStore::from_files([TrustFile { role: TrustRole::Crl, name: String::new(), bytes: list.clone() }]).1.len(),
        0
    );
    if known {
        assert_eq!(state(&[(TrustRole::Crl, &list)], &subject, &ca), unknown);
    }
}

#[test]
fn a_lifted_hold_is_forgotten_and_a_fresh_one_counts() {
    let ca = root();
    let subject = issue(Some(&ca), Key::new(3), &Spec::leaf("Company", "Company", 3));
    let hold = |this, next| {
        let revoked = vec![(3, "2026-05-01T00:00:00Z", Some(6))];
        crl(&ca, &ListSpec { this_update: this, next_update: next, revoked, ..ListSpec::default() })
    };
    let fresh = hold("2026-11-20T00:00:00Z", "2026-12-20T00:00:00Z");
    assert!(matches!(state(&[(TrustRole::Crl, &fresh)], &subject, &ca), Revocation::Revoked(_)));
    let stale = hold("2026-05-02T00:00:00Z", "2026-06-02T00:00:00Z");
    let lifted = crl(&ca, &ListSpec::default());
    assert_eq!(state(&[(TrustRole::Crl, &stale), (TrustRole::Crl, &lifted)], &subject, &ca), Revocation::Good);
}

#[test]
fn no_changed_byte_of_a_certificate_list_response_or_stamp_verifies() {
    let ca = root();
    let subject = issue(Some(&ca), Key::new(3), &Spec::leaf("Company", "Company", 3));
    let responder = issue(Some(&ca), Key::new(8), &Spec { purpose: Some(OCSP_SIGNING), ..Spec::leaf("Test", "Responder", 8) });
    let authority = issue(Some(&ca), Key::new(9), &Spec::leaf("Test", "TSA", 9));
    let revoked = vec![(3, "2026-01-01T00:00:00Z", Some(1)), (5, "2026-02-01T00:00:00Z", None)];
    let list = crl(&ca, &ListSpec { revoked, ..ListSpec::default() });
    let answer = ocsp(&ca, &responder, &subject, None);
    let stamp = time_stamp(&authority, b"message", "2026-06-01T00:00:00Z");
    let no_store = TrustStore::empty();

    type Verifies<'a> = Box<dyn Fn(&[u8]) -> bool + 'a>;
    let artefacts: [(&str, &[u8], Verifies<'_>); 4] = [
        (
            "certificate",
            subject.der(),
            Box::new(|b| Certificate::parse(b).is_ok_and(|c| c.verify_issued_by(&ca.certificate).is_ok())),
        ),
        ("list", &list, Box::new(|b| Crl::parse(b).is_ok_and(|c| c.verify(&ca.certificate).is_ok()))),
        ("response", &answer, Box::new(|b| OcspResponse::parse(b).is_ok_and(|r| r.is_signed_for(&ca.certificate)))),
        (
            "stamp",
            &stamp,
            Box::new(|b| {
                let Ok(token) = TimeStampToken::parse(b) else { return false };
                token
                    .signer(&no_store)
                    .is_some_and(|signer| signer.verify_issued_by(&ca.certificate).is_ok() && token.verify(&signer).is_ok())
            }),
        ),
    ];
    for (name, good, verifies) in artefacts {
        assert!(verifies(good), "{name}");
        let mut tolerated = 0;
        for place in 0..good.len() {
            let mut changed = good.to_vec();
            changed[place] ^= 1;
            tolerated += usize::from(verifies(&changed));
            assert!(!verifies(&good[..place]), "{name} cut at {place}");
        }
        // Around a stamp's signed parts stand a few octets that no signature covers: versions and lists of algorithms.
        let free = if name == "stamp" { 20 } else { 0 };
        assert!(tolerated <= free, "{name}: {tolerated}");
    }
}
