//! SignedData without attributes over data that are elsewhere: the value is over the digest of the data (RFC 5652 clause 5.4). OpenSSL
//! makes them; the certificates are issued by the SM2 CA of the recipe.

use std::fs;
use std::io::Cursor;
use std::path::Path;
use std::process::Command;

use base64::Engine as _;
use sealagent::asn1::{INTEGER, OCTET_STRING, Oid, SET, context, der, der_of, integer, object_identifier, oid, sequence, set_of};
use sealagent::cms;
use sealagent::pki::signature::{ECDSA_WITH_SHA256, Hash, SHA256};
use sealagent::sm::sm3;
use sealagent::verify::Context;
use sealagent::verify::report::{Code, Indication, Level, Report, SignatureKind};

use crate::ecdsa::{P256, strict};
use crate::findings::{base, seen};
use crate::forge::recipe::Recipe;
use crate::forge::{Identity, Key, Spec, issue};
use crate::known::Verifier;
use crate::pdf::Pdf;

const DATA: &[u8] = b"the original data";
const JUDGED: (Code, Level) = (Code::NotSm2, Level::Info);
const KINDS: [&[&str]; 3] = [
    &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
    &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
    &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"],
];

fn judge(recipe: &Recipe, bytes: &[u8], data: Option<&[u8]>) -> Report {
    let trust = recipe.trust_store(&recipe.world());
    Verifier::verify(Cursor::new(bytes), &Context { data, ..recipe.context(&trust) })
}

fn added(report: &Report) -> Vec<(Code, Level)> {
    seen(report).difference(&base()).copied().collect()
}

/// A key of OpenSSL's in a folder, with a certificate of the recipe's CA.
struct OpenSsl {
    folder: tempfile::TempDir,
}

impl OpenSsl {
    fn new(recipe: &Recipe, kind: &[&str]) -> Self {
        let made = Self { folder: tempfile::tempdir().unwrap() };
        made.run(&[&["genpkey"], kind, &["-out", "key"]].concat());
        made.run(&["pkey", "-in", "key", "-pubout", "-outform", "DER", "-out", "public"]);
        let public_key = Some(fs::read(made.path().join("public")).unwrap());
        let signer = issue(Some(&recipe.world().ca), Key::new(12), &Spec { public_key, ..recipe.signer.clone() });
        let text = base64::engine::general_purpose::STANDARD.encode(signer.der());
        let lines: Vec<&str> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
        let pem = format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"));
        fs::write(made.path().join("certificate"), pem).unwrap();
        made
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn run(&self, arguments: &[&str]) {
        let output = Command::new("openssl").current_dir(self.path()).args(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// Signs data, by this digest.
    fn sign(&self, data: &[u8], digest: &str) -> Vec<u8> {
        fs::write(self.path().join("data"), data).unwrap();
        let sign = ["cms", "-sign", "-noattr", "-binary", "-md", digest, "-signer", "certificate", "-inkey", "key"];
        self.run(&[&sign[..], &["-in", "data", "-outform", "DER", "-out", "value"]].concat());
        fs::read(self.path().join("value")).unwrap()
    }
}

#[test]
fn a_value_of_openssl_without_attributes_is_over_the_data() {
    let recipe = Recipe::good();
    for kind in KINDS {
        let openssl = OpenSsl::new(&recipe, kind);
        for digest in ["sha256", "sha384", "sha512"] {
            let value = openssl.sign(DATA, digest);
            let report = judge(&recipe, &value, Some(DATA));
            assert_eq!(report.indication, Indication::TotalPassed, "{kind:?} {digest} {report:#?}");
            assert_eq!((report.signatures[0].kind, added(&report)), (SignatureKind::Pades, vec![JUDGED]));

            let wrong = [JUDGED, (Code::SigValue, Level::Error)];
            assert_eq!(added(&judge(&recipe, &value, Some(b"the original date"))), wrong, "{kind:?} {digest}");
            let mut changed = value.clone();
            *changed.last_mut().unwrap() ^= 1;
            assert_eq!(added(&judge(&recipe, &changed, Some(DATA))), wrong, "{kind:?} {digest}");
            let missing = [JUDGED, (Code::DataMissing, Level::Indeterminate)];
            assert_eq!(added(&judge(&recipe, &value, None)), missing, "{kind:?} {digest}");
        }
        let weak = openssl.sign(DATA, "sha1");
        assert_eq!(added(&judge(&recipe, &weak, Some(DATA))), [(Code::AlgUnsupported, Level::Error)], "{kind:?}");
    }
}

#[test]
fn a_pdf_may_be_signed_without_attributes() {
    let recipe = Recipe::good();
    for kind in KINDS {
        let openssl = OpenSsl::new(&recipe, kind);
        let mut pdf = Pdf::new();
        pdf.sign(10, "first", "10 0 R", "adbe.pkcs7.detached", |data| openssl.sign(data, "sha256"));
        let report = judge(&recipe, &pdf.bytes, None);
        assert_eq!((report.indication, added(&report)), (Indication::TotalPassed, vec![JUDGED]), "{kind:?} {report:#?}");

        let mut changed = pdf.bytes.clone();
        let page = changed.windows(3).position(|bytes| bytes == b"595").unwrap();
        changed[page] = b'4';
        assert_eq!(added(&judge(&recipe, &changed, None)), [JUDGED, (Code::SigValue, Level::Error)], "{kind:?}");
    }
}

/// SignedData without attributes around this value.
fn bare(signer: &Identity, digest: Oid<'_>, algorithm: Oid<'_>, value: &[u8]) -> Vec<u8> {
    let named = |oid| sequence(&[&object_identifier(oid)]);
    let (issuer, serial) = cms::issuer_and_serial(signer.der()).unwrap();
    let info = sequence(&[
        &integer(1),
        &sequence(&[issuer, &der(INTEGER, serial)]),
        &named(digest),
        &named(algorithm),
        &der(OCTET_STRING, value),
    ]);
    let signed = sequence(&[
        &integer(1),
        &der_of(SET, &[&named(digest)]),
        &sequence(&[&object_identifier(oid::PKCS7_DATA)]),
        &der_of(context(0), &[signer.der()]),
        &der_of(SET, &[&info]),
    ]);
    sequence(&[&object_identifier(oid::PKCS7_SIGNED_DATA), &der_of(context(0), &[&signed])])
}

#[test]
fn a_signature_over_attributes_is_none_over_data_that_look_like_them() {
    let recipe = Recipe::good();
    let world = recipe.world();
    let attribute = |oid, value: Vec<u8>| sequence(&[&object_identifier(oid), &der_of(SET, &[&value])]);
    let attributes = set_of(&[
        attribute(oid::CONTENT_TYPE, object_identifier(oid::PKCS7_DATA)),
        attribute(oid::MESSAGE_DIGEST, der(OCTET_STRING, &sm3(DATA).0)),
    ]);
    let p256 = Spec { public_key: Some(P256.public_key()), ..recipe.signer.clone() };
    let p256 = issue(Some(&world.ca), Key::new(12), &p256);
    let by_sm2 = |data: &[u8]| bare(&world.signer, oid::SM3, oid::SM2_WITH_SM3, &world.signer.key.sign(data).to_der());
    let by_p256 = |data: &[u8]| bare(&p256, SHA256, ECDSA_WITH_SHA256, &strict(P256.sign(&Hash::Sha256.digest(data))));
    for sign in [&by_sm2 as &dyn Fn(&[u8]) -> Vec<u8>, &by_p256] {
        // As data that are no attributes, the same bytes behind another.
        let other = [&[0], attributes.as_slice()].concat();
        assert_eq!(judge(&recipe, &sign(&other), Some(&other)).indication, Indication::TotalPassed);
        let report = judge(&recipe, &sign(&attributes), Some(&attributes));
        assert!(seen(&report).contains(&(Code::SigValue, Level::Error)), "{report:#?}");
    }
}
