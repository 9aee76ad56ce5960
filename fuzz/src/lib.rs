//! One body per parser that meets hostile bytes. A body must end, in bounded memory, without a panic; what it finds is not its matter.
//! cargo-fuzz runs them on a nightly toolchain (`fuzz/run.sh`), proptest on stable (`tests/stable.rs`): the same code.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod bridge;
pub mod pages;
mod regions;

use std::io::Cursor;

use jiff::Timestamp;
use sealagent::asn1::Tlv;
use sealagent::consent::Origin;
use sealagent::document::{Prepared as _, Provider, Signable as _, SignatureKind, SigningPlan};
use sealagent::pki::{self, TrustStore};
use sealagent::server::head::HeadScanner;
use sealagent::verify::{Context, Verifier};
use sealagent::{cms, ofd, pdf, ses};
use sm2::dsa::signature::hazmat::PrehashVerifier as _;
use sm2::elliptic_curve::ops::Reduce as _;
use sm2::elliptic_curve::point::AffineCoordinates as _;
use sm2::elliptic_curve::sec1::ToSec1Point as _;
use sm2::{FieldBytes, ProjectivePoint, Scalar};
use sm2_verify::{Item, PreparedItem, PreparedKey, PublicKey};
use ukey::wire;

pub use regions::region_documents;

/// A fuzz body.
pub type Body = fn(&[u8]);

/// Every body by name; `fuzz_targets/` has one program for each.
pub const BODIES: &[(&str, Body)] = &[
    ("certificate", certificate),
    ("cms", signed_data),
    ("http_head", http_head),
    ("json_request", bridge::json_request),
    ("ofd", ofd_package),
    ("pairing", bridge::pairing),
    ("ofd_page", pages::ofd_page),
    ("pdf", pdf_document),
    ("policy", bridge::policy),
    ("regions", regions::region_documents),
    ("revocation", revocation),
    ("seal_svg", pages::seal_svg),
    ("ses", seals),
    ("sm2", sm2_signature),
    ("timestamp", time_stamp),
    ("verify", verify),
    ("websocket", bridge::stream_frames),
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

/// Heads of requests, cut anywhere, and origins (src/http, src/consent).
pub fn http_head(bytes: &[u8]) {
    let mut scanner = HeadScanner::default();
    let piece = bytes.first().map_or(1, |n| usize::from(*n) + 1);
    for part in bytes.chunks(piece) {
        if scanner.received(part).is_err() {
            break;
        }
        scanner.sent();
    }
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Ok(origin) = Origin::parse(text)
    {
        assert_eq!(origin.to_string(), text, "an origin is only ever what was sent");
    }
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
    let _ = document.validation_values();
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

/// SM2 verification by `sm2-verify` and by `sm2`: one answer (crates/sm2-verify). The first byte says what the next 160 are: key, e, r
/// and s as they come; a scalar k in place of the key, which is k·G; or k, s and t from which a signature is made that sums s·G + t·k·G.
pub fn sm2_signature(bytes: &[u8]) {
    let Some((kind, rest)) = bytes.split_first() else { return };
    let mut fields = [[0; 32]; 5];
    fields.as_flattened_mut().iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
    let [first, second, mut e, mut r, s] = fields;
    let scalar = |digits: [u8; 32]| Scalar::reduce(&FieldBytes::from(digits));
    let key = ProjectivePoint::GENERATOR * scalar(first);
    let xy: Option<[u8; 64]> = match kind % 3 {
        0 => [first, second].as_flattened().try_into().ok(),
        _ => key.to_affine().to_sec1_point(false).as_bytes().get(1..).and_then(|xy| xy.try_into().ok()),
    };
    let Some(xy) = xy else { return }; // k = 0
    if kind % 3 == 2 {
        let sum = ProjectivePoint::GENERATOR * scalar(s) + key * scalar(e);
        let wanted = scalar(e) - scalar(s);
        r = wanted.to_bytes().into();
        e = (wanted - Scalar::reduce(&sum.to_affine().x())).to_bytes().into();
    }
    let mut sec1 = [4; 65];
    sec1[1..].copy_from_slice(&xy);
    let reference = sm2::dsa::VerifyingKey::from_sec1_bytes("", &sec1);
    let public = PublicKey::from_xy(&xy);
    assert_eq!(public.is_some(), reference.is_ok(), "the two disagree on the key");
    let (Some(public), Ok(reference)) = (public, reference) else { return };
    let answer = sm2::dsa::Signature::from_slice([r, s].as_flattened()).is_ok_and(|s| reference.verify_prehash(&e, &s).is_ok());
    let prepared = PreparedKey::new(&public);
    assert_eq!(sm2_verify::verify(&public, &e, &r, &s), answer, "verify");
    assert_eq!(prepared.verify(&e, &r, &s), answer, "PreparedKey");
    assert_eq!(sm2_verify::verify_many(&[Item { key: &public, e: &e, r: &r, s: &s }]), [answer], "verify_many");
    let item = PreparedItem { key: &prepared, e: &e, r: &r, s: &s };
    assert_eq!(sm2_verify::verify_many_prepared(&[item]), [answer], "verify_many_prepared");
}

/// Both directions of the worker's pipe (drivers/ukey/src/wire.rs).
pub fn worker_frame(bytes: &[u8]) {
    let _ = wire::read_frame::<wire::Request>(&mut &bytes[..]);
    let _ = wire::read_frame::<wire::Answer>(&mut &bytes[..]);
    let _ = wire::split_pins(bytes);
}
