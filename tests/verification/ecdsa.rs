//! SignedData with ECDSA, as PAdES signers make it: judged by the same rules as RSA, named as not SM2, and every value out of its range
//! refused. The certificates are issued by the SM2 CA of the recipe, so that all else is as in the good document.

use std::io::Cursor;

use p256::ecdsa::signature::hazmat::PrehashSigner as _;
use sealagent::asn1::{
    INTEGER, OCTET_STRING, Oid, SET, UTC_TIME, context, der, der_of, integer, object_identifier, oid, sequence, set_of,
    unsigned_integer,
};
use sealagent::cms;
use sealagent::pki::signature::{
    self, ECDSA_WITH_SHA256, ECDSA_WITH_SHA384, ECDSA_WITH_SHA512, Hash, SHA1, SHA256, SHA384, SHA512,
};
use sealagent::verify::Context;
use sealagent::verify::report::{Code, Indication, Level, Report, SignatureKind, SubIndication};

use crate::findings::{base, seen};
use crate::forge::recipe::Recipe;
use crate::forge::{Key, Spec, ec_public_key, issue};
use crate::known::Verifier;

const DATA: &[u8] = b"the original data";
/// ecdsa-with-SHA1, `1.2.840.10045.4.1`
const ECDSA_WITH_SHA1: Oid<'static> = Oid(b"\x2a\x86\x48\xce\x3d\x04\x01");
/// secp521r1, `1.3.132.0.35`
const P521: Oid<'static> = Oid(b"\x2b\x81\x04\x00\x23");
/// Order of P-256 (SEC 2 clause 2.4.2).
const N: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e,
    0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];

/// One fixed key on each curve.
#[derive(Clone, Copy, Debug)]
pub enum Curve {
    P256,
    P384,
}
pub use Curve::P256;

impl Curve {
    /// Its SubjectPublicKeyInfo.
    pub fn public_key(self) -> Vec<u8> {
        match self {
            Self::P256 => {
                let key = p256::ecdsa::SigningKey::from_slice(&[7; 32]).unwrap();
                ec_public_key(signature::P256, key.verifying_key().to_sec1_point(false).as_bytes())
            }
            Self::P384 => {
                let key = p384::ecdsa::SigningKey::from_slice(&[7; 48]).unwrap();
                ec_public_key(signature::P384, key.verifying_key().to_sec1_point(false).as_bytes())
            }
        }
    }

    /// `r` and `s` over a digest.
    pub fn sign(self, digest: &[u8]) -> [Vec<u8>; 2] {
        let raw = match self {
            Self::P256 => {
                let key = p256::ecdsa::SigningKey::from_slice(&[7; 32]).unwrap();
                let value: p256::ecdsa::Signature = key.sign_prehash(digest).unwrap();
                value.to_bytes().to_vec()
            }
            Self::P384 => {
                let key = p384::ecdsa::SigningKey::from_slice(&[7; 48]).unwrap();
                let value: p384::ecdsa::Signature = key.sign_prehash(digest).unwrap();
                value.to_bytes().to_vec()
            }
        };
        let (r, s) = raw.split_at(raw.len() / 2);
        [r.to_vec(), s.to_vec()]
    }
}

/// From `r` and `s` to what stands in the value.
type Encode = fn([Vec<u8>; 2]) -> Vec<u8>;

/// A value in the making, and what can be wrong about it.
struct Draft {
    /// In the certificate.
    public_key: Vec<u8>,
    /// That signs.
    curve: Curve,
    /// Named, and used for messageDigest.
    digest: (Oid<'static>, Hash),
    /// Named, and used for the value.
    algorithm: (Oid<'static>, Hash),
    encode: Encode,
    data: &'static [u8],
}

/// As it must stand.
pub fn strict([r, s]: [Vec<u8>; 2]) -> Vec<u8> {
    sequence(&[&unsigned_integer(&r), &unsigned_integer(&s)])
}

fn draft(curve: Curve, digest: (Oid<'static>, Hash), algorithm: Oid<'static>) -> Draft {
    Draft { public_key: curve.public_key(), curve, digest, algorithm: (algorithm, digest.1), encode: strict, data: DATA }
}

fn good() -> Draft {
    draft(Curve::P256, (SHA256, Hash::Sha256), ECDSA_WITH_SHA256)
}

impl Draft {
    fn judge(&self) -> Report {
        let recipe = Recipe::good();
        let world = recipe.world();
        let spec = Spec { public_key: Some(self.public_key.clone()), ..recipe.signer.clone() };
        let signer = issue(Some(&world.ca), Key::new(12), &spec);
        let (issuer, serial) = cms::issuer_and_serial(signer.der()).unwrap();
        let algorithm = |oid| sequence(&[&object_identifier(oid)]);
        let attribute = |oid, value: Vec<u8>| sequence(&[&object_identifier(oid), &der_of(SET, &[&value])]);
        let attributes = set_of(&[
            attribute(oid::CONTENT_TYPE, object_identifier(oid::PKCS7_DATA)),
            attribute(oid::SIGNING_TIME, der(UTC_TIME, b"260601083000Z")),
            attribute(oid::MESSAGE_DIGEST, der(OCTET_STRING, &self.digest.1.digest(self.data))),
        ]);
        let value = (self.encode)(self.curve.sign(&self.algorithm.1.digest(&attributes)));
        let mut implicit = attributes;
        implicit[0] = context(0);
        let info = sequence(&[
            &integer(1),
            &sequence(&[issuer, &der(INTEGER, serial)]),
            &algorithm(self.digest.0),
            &implicit,
            &algorithm(self.algorithm.0),
            &der(OCTET_STRING, &value),
        ]);
        let signed = sequence(&[
            &integer(1),
            &der_of(SET, &[&algorithm(self.digest.0)]),
            &sequence(&[&object_identifier(oid::PKCS7_DATA)]),
            &der_of(context(0), &[signer.der()]),
            &der_of(SET, &[&info]),
        ]);
        let bytes = sequence(&[&object_identifier(oid::PKCS7_SIGNED_DATA), &der_of(context(0), &[&signed])]);
        let trust = recipe.trust_store(&world);
        Verifier::verify(Cursor::new(bytes), &Context { data: Some(DATA), ..recipe.context(&trust) })
    }

    fn added(&self) -> Vec<(Code, Level)> {
        seen(&self.judge()).difference(&base()).copied().collect()
    }
}

const JUDGED: (Code, Level) = (Code::NotSm2, Level::Info);

#[test]
fn ecdsa_on_p256_and_p384_with_sha2_is_judged_and_named_as_not_sm2() {
    let digests = [
        (ECDSA_WITH_SHA256, (SHA256, Hash::Sha256)),
        (ECDSA_WITH_SHA384, (SHA384, Hash::Sha384)),
        (ECDSA_WITH_SHA512, (SHA512, Hash::Sha512)),
    ];
    for curve in [Curve::P256, Curve::P384] {
        for (algorithm, digest) in digests {
            // Some signers name the kind of key instead of the algorithm.
            for algorithm in [algorithm, oid::EC_PUBLIC_KEY] {
                let report = draft(curve, digest, algorithm).judge();
                assert_eq!(report.indication, Indication::TotalPassed, "{curve:?} {digest:?} {report:#?}");
                assert_eq!(report.signatures[0].kind, SignatureKind::Pades);
                assert_eq!(seen(&report).difference(&base()).copied().collect::<Vec<_>>(), [JUDGED]);
            }
        }
    }
}

#[test]
fn changed_data_and_keys_of_others_fail() {
    assert_eq!(Draft { data: b"other data", ..good() }.added(), [JUDGED, (Code::DataHash, Level::Error)]);
    let other_digest = Draft { algorithm: (ECDSA_WITH_SHA256, Hash::Sha384), ..good() };
    assert_eq!(other_digest.added(), [JUDGED, (Code::SigValue, Level::Error)]);
    // The certificate is about another curve than the one that signed.
    let other_curve = Draft { public_key: Curve::P384.public_key(), ..good() };
    assert_eq!(other_curve.added(), [JUDGED, (Code::SigValue, Level::Error)]);
    let other_curve = Draft { curve: Curve::P384, ..good() };
    assert_eq!(other_curve.added(), [JUDGED, (Code::SigValue, Level::Error)]);
}

#[test]
fn algorithms_that_disagree_with_one_another_or_with_the_key_are_refused() {
    let refused = [(Code::AlgUnsupported, Level::Error)];
    let sha1 = Draft { digest: (SHA1, Hash::Sha1), algorithm: (ECDSA_WITH_SHA1, Hash::Sha1), ..good() };
    assert_eq!(sha1.added(), refused);
    let two = Draft { digest: (SHA384, Hash::Sha384), algorithm: (ECDSA_WITH_SHA256, Hash::Sha256), ..good() };
    assert_eq!(two.added(), refused);
    let sm2 = Draft { public_key: ec_public_key(oid::SM2_CURVE, &Key::new(12).public.to_sec1()), ..good() };
    assert_eq!(sm2.added(), [(Code::AlgUnsupported, Level::Error), JUDGED]);
    assert_eq!(sm2.judge().signatures[0].sub_indication, Some(SubIndication::CryptoConstraintsFailure));
}

#[test]
fn a_curve_that_is_not_judged_here_is_named() {
    let report = Draft { public_key: ec_public_key(P521, &[4; 133]), ..good() }.judge();
    assert_eq!((report.indication, report.signatures[0].kind), (Indication::Indeterminate, SignatureKind::Unsupported));
    let told = report.signatures[0].findings.iter().find(|finding| finding.code == Code::NotSm2).unwrap();
    assert_eq!(told.level, Level::Indeterminate);
    assert!(told.message.contains("1.3.132.0.35"), "{}", told.message);
}

#[test]
fn values_out_of_range_or_in_another_encoding_fail() {
    let encodings: [(&str, Encode); 8] = [
        ("raw", |[r, s]| [r, s].concat()),
        ("a changed bit", |[r, mut s]| {
            s[31] ^= 1;
            strict([r, s])
        }),
        ("r = 0", |[_, s]| strict([vec![0], s])),
        ("s = 0", |[r, _]| strict([r, vec![0]])),
        ("s = n", |[r, _]| strict([r, N.to_vec()])),
        ("longer than the curve", |[r, s]| strict([[&[1], r.as_slice()].concat(), s])),
        ("superfluous zeros", |[r, s]| sequence(&[&der(INTEGER, &[&[0, 0], r.as_slice()].concat()), &unsigned_integer(&s)])),
        ("more behind", |value| [strict(value), vec![0]].concat()),
    ];
    for (name, encode) in encodings {
        assert_eq!(Draft { encode, ..good() }.added(), [JUDGED, (Code::SigValue, Level::Error)], "{name}");
    }
}

#[test]
fn a_point_off_its_curve_is_no_certificate() {
    for curve in [signature::P256, signature::P384] {
        let spki = ec_public_key(curve, &[&[4], [1; 64].as_slice()].concat());
        let tlv = sealagent::asn1::Tlv::read_all(&spki).unwrap();
        assert!(signature::PublicKey::parse(tlv).is_err());
    }
}
