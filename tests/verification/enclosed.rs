//! Revocation data that a signature brings along: as good as the store's, and no better.

use sealagent::asn1::{Oid, context, der_of, sequence};
use sealagent::pki::enclosed::REVOCATION_INFO_ARCHIVAL;
use sealagent::verify::report::{Code, Indication, Report};

use crate::findings::revoked;
use crate::forge::recipe::{Recipe, Value, World};
use crate::forge::{Key, ListSpec, Spec, crl, issue, ocsp};

type Attributes = Vec<(Oid<'static>, Vec<u8>)>;

fn archival(lists: &[Vec<u8>], responses: &[Vec<u8>]) -> Attributes {
    let all = |items: &[Vec<u8>]| sequence(&items.iter().map(Vec::as_slice).collect::<Vec<_>>());
    let parts = [der_of(context(0), &[&all(lists)]), der_of(context(1), &[&all(responses)])];
    vec![(REVOCATION_INFO_ARCHIVAL, sequence(&[&parts[0], &parts[1]]))]
}

/// SignedData, judged by somebody who has no revocation data.
fn judge(attributes: fn(&World) -> Attributes) -> Report {
    let change = |r: &mut Recipe| {
        (r.value, r.root_list, r.ca_list) = (Value::Attributes, None, None);
        r.attributes = attributes;
    };
    Recipe::with(change).judge()
}

fn has(report: &Report, code: Code) -> bool {
    report.signatures[0].findings.iter().any(|finding| finding.code == code)
}

#[test]
fn lists_and_responses_of_the_issuers_answer_for_the_signer_and_the_ca() {
    let without = judge(|_| Vec::new());
    assert_eq!(without.indication, Indication::Indeterminate);
    assert!(has(&without, Code::RevocationUnknown));
    let with: [fn(&World) -> Attributes; 2] = [
        |w| archival(&[crl(&w.root, &ListSpec::default()), crl(&w.ca, &ListSpec::default())], &[]),
        |w| archival(&[crl(&w.root, &ListSpec::default())], &[ocsp(&w.ca, &w.ca, &w.signer, None)]),
    ];
    for attributes in with {
        let report = judge(attributes);
        assert_eq!(report.indication, Indication::TotalPassed, "{:?}", report.signatures);
    }
}

#[test]
fn what_a_stranger_signed_what_is_stale_and_what_cannot_be_read_says_nothing() {
    let cases: [fn(&World) -> Attributes; 4] = [
        |w| {
            let twin = issue(None, Key::new(99), &Spec::ca("CA", 2));
            archival(
                &[crl(&w.root, &ListSpec::default()), crl(&twin, &ListSpec::default())],
                &[ocsp(&twin, &twin, &w.signer, None)],
            )
        },
        |w| {
            let stale = ListSpec { next_update: "2026-11-21T00:00:00Z", ..ListSpec::default() };
            archival(&[crl(&w.root, &ListSpec::default()), crl(&w.ca, &stale)], &[])
        },
        |w| archival(&[crl(&w.root, &ListSpec::default()), vec![0x30, 0]], &[vec![0x30, 0]]),
        |_| vec![(REVOCATION_INFO_ARCHIVAL, vec![4, 1, 0])],
    ];
    for (n, attributes) in cases.into_iter().enumerate() {
        let report = judge(attributes);
        assert_eq!(report.indication, Indication::Indeterminate, "case {n}: {:?}", report.signatures);
        assert!(has(&report, Code::RevocationUnknown), "case {n}");
    }
}

#[test]
fn a_revocation_counts_wherever_it_comes_from() {
    let report = judge(|w| {
        let list = revoked(12, "2026-05-01T00:00:00Z").unwrap();
        archival(&[crl(&w.root, &ListSpec::default()), crl(&w.ca, &list)], &[ocsp(&w.ca, &w.ca, &w.signer, None)])
    });
    assert_eq!(report.indication, Indication::TotalFailed);
    assert!(has(&report, Code::SignerCertRevoked));
    // The store says so, and the document brings a good answer: it stays revoked.
    let report = Recipe::with(|r| {
        (r.value, r.ca_list) = (Value::Attributes, revoked(12, "2026-05-01T00:00:00Z"));
        r.attributes = |w| archival(&[], &[ocsp(&w.ca, &w.ca, &w.signer, None)]);
    })
    .judge();
    assert_eq!(report.indication, Indication::TotalFailed);
    assert!(has(&report, Code::SignerCertRevoked));
}
