//! One body per parser that meets hostile bytes. A body must end, in bounded memory, without a panic; what it finds is not its matter.
//! cargo-fuzz runs them on a nightly toolchain (`fuzz/run.sh`), proptest on stable (`tests/stable.rs`): the same code.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

use std::io::Cursor;

use jiff::Timestamp;
use sealagent::asn1::Tlv;
use sealagent::document::{Prepared as _, Provider, Signable as _, SignatureKind, SigningPlan};
use sealagent::pki::{self, TrustStore};
use sealagent::verify::{Context, Verifier};
use sealagent::{cms, ofd, pdf, ses};
use ukey::wire;

/// A fuzz body.
pub type Body = fn(&[u8]);

/// Every body by name; `fuzz_targets/` has one program for each.
pub const BODIES: &[(&str, Body)] = &[
    ("certificate", certificate),
    ("cms", signed_data),
    ("ofd", ofd_package),
    ("pdf", pdf_document),
    ("revocation", revocation),
    ("ses", seals),
    ("timestamp", time_stamp),
    ("verify", verify),
    ("worker_frame", worker_frame),
];

/// Seals and seal signatures of all versions, padded or not (src/ses).
pub fn seals(bytes: &[u8]) {
    let _ = ses::detect(bytes);
    let _ = ses::decode_text(bytes);
    let _ = ses::Seal::parse(bytes);
    if let Ok(signature) = ses::SesSignature::parse(bytes) {
        assert_eq!(signature.raw(), bytes, "a signature that was read keeps the bytes it was read from");
    }
    let _ = ses::SesSignature::parse_padded(bytes);
}

/// SignedData, DER and BER (src/cms).
pub fn signed_data(bytes: &[u8]) {
    let _ = cms::SignedData::parse(bytes);
    let _ = cms::SignedData::parse_padded(bytes);
}

/// Certificates, their names and extensions (src/pki).
pub fn certificate(bytes: &[u8]) {
    if let Ok(certificate) = pki::Certificate::parse(bytes) {
        let _ = pki::subject_codes(&certificate);
    }
}

/// CRLs and OCSP responses (src/pki).
pub fn revocation(bytes: &[u8]) {
    let _ = pki::Crl::parse(bytes);
    let _ = pki::OcspResponse::parse(bytes);
}

/// RFC 3161 tokens and responses (src/pki).
pub fn time_stamp(bytes: &[u8]) {
    let _ = pki::TimeStampToken::parse(bytes);
}

/// Everything that is read of a package (src/ofd).
pub fn ofd_package(bytes: &[u8]) {
    let Ok(mut package) = ofd::Ofd::open(Cursor::new(bytes)) else { return };
    for body in package.bodies().to_vec() {
        let _ = package.contents(&body);
        let _ = package.pages(&body.current_root);
        let Ok(Some(list)) = package.signature_list(&body) else { continue };
        for listed in &list.signatures {
            if let Ok(signature) = package.signature(listed) {
                let _ = package.check_references(&signature);
            }
        }
    }
}

/// Everything that is read of a PDF, and room made for one more signature (src/pdf).
pub fn pdf_document(bytes: &[u8]) {
    let Ok(mut document) = pdf::Document::open(Cursor::new(bytes)) else { return };
    let _ = document.signatures();
    let _ = document.unsigned_pictures();
    let _ = document.signature_fields();
    let plan = SigningPlan {
        placements: Vec::new(),
        kind: SignatureKind::Sign,
        provider: Provider { name: "fuzz".into(), version: "0".into() },
        time: Timestamp::UNIX_EPOCH,
        close: false,
        room: 16,
    };
    let Ok(prepared) = document.prepare(&plan) else { return };
    let (digest, mut signed) = (prepared.digest(), Vec::new());
    if prepared.embed(&[4, 0], &mut signed).is_err() {
        return;
    }
    assert!(signed.starts_with(bytes), "signing touches nothing that was there");
    let mut document = pdf::Document::open(Cursor::new(&signed)).unwrap_or_else(|e| panic!("we wrote what we do not read: {e}"));
    let signatures = document.signatures().unwrap_or_else(|e| panic!("we wrote what we do not read: {e}"));
    let ours = signatures.iter().filter(|s| s.digests.as_ref().is_some_and(|d| d.sm3 == digest));
    assert!(ours.count() == 1, "the digest that was signed is the one that is found");
}

/// Any file at all, the whole road (src/verify): nothing without trust is ever passed.
pub fn verify(bytes: &[u8]) {
    let trust = TrustStore::empty();
    let report = Verifier::verify(Cursor::new(bytes), &Context::new(&trust, Timestamp::UNIX_EPOCH));
    assert_ne!(report.indication, sealagent::verify::report::Indication::TotalPassed, "passed with nobody trusted");
    let _ = Tlv::read(bytes);
}

/// Both directions of the worker's pipe (drivers/ukey/src/wire.rs).
pub fn worker_frame(bytes: &[u8]) {
    let _ = wire::read_frame::<wire::Request>(&mut &bytes[..]);
    let _ = wire::read_frame::<wire::Answer>(&mut &bytes[..]);
    let _ = wire::split_pins(bytes);
}
