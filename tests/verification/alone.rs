//! Seals, seal signatures, SignedData and bare signatures that come as files of their own, and PDF fields.

use std::io::{self, Cursor, Write};
use std::sync::Arc;

use base64::Engine as _;
use sealagent::pki::TrustStore;
use sealagent::ses::Version;
use sealagent::verify::pdf::{SignatureField, SignedPdf};
use sealagent::verify::report::{Code, FileFormat, Indication, Layer, LayerState, Level, Report, SignatureKind, SubIndication};
use sealagent::verify::{Context, Verifier};

use crate::findings::{Seen, base, revoked, seen, status};
use crate::forge::recipe::{Recipe, USCC, Value, stamp};
use crate::forge::{at, time_stamp};
use sealagent::pki::trust::SealState;

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
    type Change = fn(&mut Recipe);
    let unknown = (Code::SealStatusUnknown, Level::Info);
    let cases: [(&str, Change, Indication, &[(Code, Level)]); 8] = [
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

/// A PDF as the reader hands it over.
#[derive(Default)]
struct Pdf {
    fields: Vec<SignatureField>,
    bytes: Vec<u8>,
    image: Option<String>,
    encrypted: bool,
}

impl SignedPdf for Pdf {
    fn fields(&self) -> &[SignatureField] {
        &self.fields
    }

    fn pour(&mut self, _field: usize, out: &mut dyn Write) -> io::Result<()> {
        out.write_all(&self.bytes)
    }

    fn image_only(&self) -> Option<String> {
        self.image.clone()
    }

    fn is_encrypted(&self) -> bool {
        self.encrypted
    }
}

fn judge_pdf(recipe: &Recipe, change: impl FnOnce(&mut Pdf)) -> Report {
    let world = recipe.world();
    let trust = recipe.trust_store(&world);
    let mut contents = recipe.signed_value(&world, DATA, "Signature.xml");
    contents.extend([0; 50]);
    let field = SignatureField { name: "Signature1".into(), sub_filter: "GM.sm2seal".into(), contents, ..Default::default() };
    let mut pdf = Pdf { fields: vec![field], bytes: DATA.to_vec(), ..Pdf::default() };
    change(&mut pdf);
    Verifier::verify_pdf(&mut pdf, &recipe.context(&trust))
}

#[test]
fn pdf_fields_are_judged_by_contents_ranges_and_later_changes() {
    let seal = Recipe::good();
    for value in [Value::Ses, Value::Attributes, Value::Digest] {
        let report = judge_pdf(&Recipe::with(|r| r.value = value), |_| {});
        assert_eq!((report.format, report.indication), (FileFormat::Pdf, Indication::TotalPassed), "{value:?} {report:#?}");
    }
    let codes = |change: fn(&mut Pdf)| added(&judge_pdf(&seal, change));
    assert_eq!(codes(|pdf| pdf.bytes[0] ^= 1), [(Code::DataHash, Level::Error)]);
    let gap = codes(|pdf| pdf.fields[0].byte_range_faults = vec!["a gap".into()]);
    assert_eq!(gap, [(Code::DataMissing, Level::Indeterminate), (Code::ByteRange, Level::Error)]);
    let changed = codes(|pdf| pdf.fields[0].later_changes = vec!["page 1".into()]);
    assert_eq!(changed, [(Code::ChangedAfterSigning, Level::Error)]);
    let unknown = codes(|pdf| {
        pdf.fields[0].sub_filter = "GM.SM2".into();
        pdf.fields[0].contents = b"what".to_vec();
    });
    assert_eq!(unknown, [(Code::VersionUnsupported, Level::Indeterminate)]);
    assert_eq!(codes(|pdf| pdf.fields[0].contents = b"what".to_vec()), [(Code::Format, Level::Error)]);
    assert_eq!(codes(|pdf| pdf.fields.clear()), [(Code::NoSignature, Level::Indeterminate)]);
    assert_eq!(codes(|pdf| pdf.image = Some("page 2".into())), [(Code::ImageOnly, Level::Warning)]);
    assert_eq!(codes(|pdf| pdf.encrypted = true), [(Code::VersionUnsupported, Level::Indeterminate)]);
    assert_eq!(codes(|pdf| pdf.fields[0].contents.push(7)), [(Code::EncNonstd, Level::Warning)]);
}

#[test]
fn a_time_stamp_is_nobodys_signature() {
    let recipe = Recipe::good();
    let world = recipe.world();
    let token = time_stamp(&world.tsa, DATA, "2026-06-01T08:31:00Z");
    let add = |pdf: &mut Pdf| {
        let field = SignatureField { name: "Stamp".into(), contents: token.clone(), ..SignatureField::default() };
        pdf.fields.push(field);
    };
    // Beside a signature it is welcome, alone it is none, and over other bytes it is wrong.
    assert_eq!(judge_pdf(&recipe, add).indication, Indication::TotalPassed);
    let alone = judge_pdf(&recipe, |pdf| {
        pdf.fields.clear();
        add(pdf);
    });
    assert_eq!(added(&alone), [(Code::NoSignature, Level::Indeterminate)]);
    let other = judge_pdf(&recipe, |pdf| {
        pdf.fields.clear();
        pdf.bytes.push(1);
        add(pdf);
    });
    assert!(added(&other).contains(&(Code::TimestampImprint, Level::Error)));
    // In the place of an OFD's signature, or as SignedData by itself, it is damage.
    let report = judge(&recipe, &token, Some(DATA));
    assert!(added(&report).contains(&(Code::Format, Level::Error)), "{report:#?}");
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
