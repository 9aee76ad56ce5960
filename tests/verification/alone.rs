//! Seals, seal signatures, SignedData and bare signatures that come as files of their own.

use std::io::Cursor;
use std::sync::Arc;

use base64::Engine as _;
use sealagent::pki::TrustStore;
use sealagent::pki::trust::SealState;
use sealagent::ses::Version;
use sealagent::verify::Context;
use sealagent::verify::report::{Code, FileFormat, Indication, Layer, LayerState, Level, Report, SignatureKind, SubIndication};

use crate::findings::{Seen, base, revoked, seen, status};
use crate::forge::at;
use crate::forge::recipe::{Recipe, USCC, Value, stamp};
use crate::known::Verifier;

const DATA: &[u8] = b"the original data";

fn judge(recipe: &Recipe, bytes: &[u8], data: Option<&[u8]>) -> Report {
    let world = recipe.world();
    let trust = recipe.trust_store(&world);
    Verifier::verify(Cursor::new(bytes), &Context { data, ..recipe.context(&trust) })
}

fn added(report: &Report) -> Vec<(Code, Level)> {
    seen(report).difference(&base()).copied().collect()
}

#[test]
fn seal_by_itself_is_judged_now() {
    type Row = (&'static str, fn(&mut Recipe), Indication, &'static [(Code, Level)]);
    let unknown = (Code::SealStatusUnknown, Level::Info);
    let cases: [Row; 8] = [
        ("good", |_| {}, Indication::TotalPassed, &[]),
        ("V1", |r| r.version = Version::V1, Indication::TotalPassed, &[]),
        ("V5", |r| r.version = Version::V5, Indication::TotalPassed, &[]),
        ("expired", |r| r.valid[1] = "2026-11-01T00:00:00Z", Indication::TotalFailed, &[(Code::SealExpired, Level::Error)]),
        (
            "not yet valid",
            |r| r.valid[0] = "2026-12-01T00:00:00Z",
            Indication::TotalFailed,
            &[(Code::SealNotYetValid, Level::Error)],
        ),
        ("changed", |r| r.wrong_seal_value = true, Indication::TotalFailed, &[(Code::SealSig, Level::Error)]),
        (
            "maker revoked since",
            |r| r.ca_list = revoked(11, "2026-08-01T00:00:00Z"),
            Indication::Indeterminate,
            &[(Code::SealMakerCertRevoked, Level::Indeterminate)],
        ),
        (
            "cancelled",
            |r| r.store = |s, _| s.add_statuses([status(SealState::Cancelled, "2026-10-01T00:00:00Z")]),
            Indication::TotalFailed,
            &[(Code::SealStatusCancelled, Level::Error)],
        ),
    ];
    for (name, change, indication, adds) in cases {
        let recipe = Recipe::with(change);
        let report = judge(&recipe, recipe.seal(&recipe.world()).raw(), None);
        let found: Seen = seen(&report).into_iter().filter(|f| *f != unknown).collect();
        assert_eq!((report.format, report.seals.len(), report.signatures.len()), (FileFormat::Seal, 1, 0), "{name}");
        assert_eq!(report.indication, indication, "{name}: {report:#?}");
        assert_eq!(found, adds.iter().copied().collect(), "{name}");
        assert!(report.seals[0].signer.is_none() && report.seals[0].signed_at.is_none());
        assert!(report.seals[0].seal_picture.as_ref().is_some_and(|p| p.data == recipe.picture), "{name}");
    }
}

#[test]
fn seal_signature_by_itself_needs_its_data() {
    let recipe = Recipe::good();
    let value = recipe.signed_value(&recipe.world(), DATA, "/Doc_0/Signs/Sign_0/Signature.xml");
    let report = judge(&recipe, &value, Some(DATA));
    assert_eq!((report.format, report.indication), (FileFormat::SesSignature, Indication::TotalPassed), "{report:#?}");
    assert_eq!(report.signatures[0].layers[&Layer::Coverage], LayerState::Skipped);

    let report = judge(&recipe, &value, None);
    assert_eq!(report.signatures[0].sub_indication, Some(SubIndication::SignedDataNotFound));
    assert_eq!(added(&report), [(Code::DataMissing, Level::Indeterminate)]);
    let report = judge(&recipe, &value, Some(b"other data"));
    assert_eq!(added(&report), [(Code::DataHash, Level::Error)]);
}

#[test]
fn contents_decide_what_a_file_is_also_inside_base64_and_pem() {
    let recipe = Recipe::good();
    let seal = recipe.seal(&recipe.world()).raw().to_vec();
    let base64 = base64::engine::general_purpose::STANDARD.encode(&seal);
    let pem = format!("-----BEGIN SEAL-----\n{base64}\n-----END SEAL-----\n");
    for bytes in [seal.as_slice(), base64.as_bytes(), pem.as_bytes()] {
        assert_eq!(judge(&recipe, bytes, None).indication, Indication::TotalPassed);
    }
    for other in [b"hello".as_slice(), b"", b"PK\x03\x04", &[0x30, 0x82], &[0x30, 0x80, 0, 0]] {
        let report = judge(&recipe, other, None);
        assert_eq!(report.indication, Indication::TotalFailed, "{other:?}");
        assert_eq!(report.findings[0].code, Code::Format, "{other:?}");
    }
}

#[test]
fn signed_data_by_itself_in_every_shape() {
    for value in [Value::Attributes, Value::Digest] {
        let recipe = Recipe::with(|r| r.value = value);
        let bytes = recipe.signed_value(&recipe.world(), DATA, "");
        let report = judge(&recipe, &bytes, Some(DATA));
        // Without attributes nothing says when; it is judged now, and now everything is good.
        assert_eq!((report.format, report.indication), (FileFormat::Cms, Indication::TotalPassed), "{value:?} {report:#?}");
        assert_eq!(report.signatures[0].kind, SignatureKind::Gbt35275);
        assert_eq!(report.signatures[0].signer.as_ref().unwrap().uscc.as_deref(), Some(USCC));
        assert_eq!(added(&judge(&recipe, &bytes, None)), [(Code::DataMissing, Level::Indeterminate)], "{value:?}");
        assert_eq!(added(&judge(&recipe, &bytes, Some(b"other"))), [(Code::DataHash, Level::Error)], "{value:?}");
    }
}

#[test]
fn bare_signature_needs_data_and_certificate() {
    let recipe = Recipe::with(|r| r.value = Value::Bare);
    let world = recipe.world();
    let trust = recipe.trust_store(&world);
    let bytes = recipe.signed_value(&world, DATA, "");
    let with = |certificate, data| {
        let context = Context { data, signer_certificate: certificate, ..recipe.context(&trust) };
        Verifier::verify(Cursor::new(&bytes), &context)
    };
    assert_eq!(with(Some(&world.signer.certificate), Some(DATA)).indication, Indication::TotalPassed);
    assert_eq!(added(&with(Some(&world.maker.certificate), Some(DATA))), [(Code::SigValue, Level::Error)]);
    assert_eq!(added(&with(Some(&world.signer.certificate), Some(b"other"))), [(Code::SigValue, Level::Error)]);
    assert_eq!(added(&with(Some(&world.signer.certificate), None)), [(Code::DataMissing, Level::Indeterminate)]);
    assert_eq!(added(&with(None, Some(DATA))), [(Code::SignerCertMissing, Level::Indeterminate)]);
}

#[test]
fn stamp_in_signed_data_fixes_the_time() {
    let recipe = Recipe::with(|r| {
        r.value = Value::Attributes;
        r.stamp = stamp("2026-06-01T08:31:00Z");
    });
    let report = judge(&recipe, &recipe.signed_value(&recipe.world(), DATA, ""), Some(DATA));
    assert_eq!(report.signatures[0].signed_at, Some(at("2026-06-01T08:31:00Z")));
    assert!(serde_json::to_string(&report).unwrap().contains(r#""timeSource":"timestamp""#));
}

#[test]
fn whoever_trusts_nobody_gets_no_verdict_and_no_failure() {
    let recipe = Recipe::good();
    let package = recipe.package(&recipe.world());
    let trust = TrustStore::empty();
    let nobody: Option<&Arc<sealagent::pki::Certificate>> = None;
    let context = Context { signer_certificate: nobody, ..recipe.context(&trust) };
    let report = Verifier::verify(Cursor::new(package), &context);
    let chains = [(Code::SealMakerCertChain, Level::Indeterminate), (Code::SignerCertChain, Level::Indeterminate)];
    assert_eq!((report.indication, added(&report)), (Indication::Indeterminate, chains.to_vec()));
}
