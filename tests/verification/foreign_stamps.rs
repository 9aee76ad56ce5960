//! Time stamps of authorities that know no SM2: which digests prove a time.

use sealagent::asn1::{INTEGER, OCTET_STRING, Oid, SET, context, der, der_of, integer, object_identifier, oid, sequence, set_of};
use sealagent::cms;
use sealagent::pki::TimeStampToken;
use sealagent::pki::signature::{ECDSA_WITH_SHA256, Hash, SHA1, SHA256, SHA384};
use sealagent::verify::report::{Code, Level};
use sealagent::verify::time_stamp;

use crate::ecdsa::{P256, strict};
use crate::forge::recipe::Recipe;
use crate::forge::{Key, Spec, at, generalized_time, issue};

const TIME: &str = "2026-06-01T08:31:00Z";
const STAMPED: &[u8] = b"what was stamped";

/// A token by a P-256 authority of the recipe's CA. The signature is ecdsa-with-SHA256 in any case; `digest` makes messageDigest.
fn judge(digest: (Oid<'_>, Hash)) -> Result<jiff::Timestamp, Vec<(Code, Level, String)>> {
    let recipe = Recipe::good();
    let world = recipe.world();
    let authority = issue(Some(&world.ca), Key::new(13), &Spec { public_key: Some(P256.public_key()), ..recipe.tsa.clone() });
    let algorithm = |oid| sequence(&[&object_identifier(oid)]);
    let attribute = |oid, value: Vec<u8>| sequence(&[&object_identifier(oid), &der_of(SET, &[&value])]);
    let imprint = sequence(&[&algorithm(SHA256), &der(OCTET_STRING, &Hash::Sha256.digest(STAMPED))]);
    let policy = object_identifier(Oid(b"\x2a\x03\x04"));
    let info = sequence(&[&integer(1), &policy, &imprint, &integer(7), &generalized_time(TIME)]);
    let attributes = set_of(&[
        attribute(oid::CONTENT_TYPE, object_identifier(oid::TST_INFO)),
        attribute(oid::MESSAGE_DIGEST, der(OCTET_STRING, &digest.1.digest(&info))),
    ]);
    let value = strict(P256.sign(&Hash::Sha256.digest(&attributes)));
    let mut implicit = attributes;
    implicit[0] = context(0);
    let (issuer, serial) = cms::issuer_and_serial(authority.der()).unwrap();
    let signer = sequence(&[
        &integer(1),
        &sequence(&[issuer, &der(INTEGER, serial)]),
        &algorithm(digest.0),
        &implicit,
        &algorithm(ECDSA_WITH_SHA256),
        &der(OCTET_STRING, &value),
    ]);
    let signed = sequence(&[
        &integer(3),
        &der_of(SET, &[&algorithm(digest.0)]),
        &sequence(&[&object_identifier(oid::TST_INFO), &der_of(context(0), &[&der(OCTET_STRING, &info)])]),
        &der_of(context(0), &[authority.der()]),
        &der_of(SET, &[&signer]),
    ]);
    let token = sequence(&[&object_identifier(oid::PKCS7_SIGNED_DATA), &der_of(context(0), &[&signed])]);
    let token = TimeStampToken::parse(&token).unwrap();
    let trust = recipe.trust_store(&world);
    let judged = time_stamp(&token, &Hash::Sha256.digest(STAMPED), &recipe.context(&trust));
    judged.map_err(|findings| findings.into_iter().map(|finding| (finding.code, finding.level, finding.message)).collect())
}

#[test]
fn a_foreign_stamp_by_sha2_proves_its_time() {
    for digest in [(SHA256, Hash::Sha256), (SHA384, Hash::Sha384)] {
        assert_eq!(judge(digest), Ok(at(TIME)), "{digest:?}");
    }
}

#[test]
fn a_stamp_whose_content_is_bound_by_sha1_proves_no_time() {
    let findings = judge((SHA1, Hash::Sha1)).unwrap_err();
    let [(Code::TimestampSig, Level::Error, message)] = &findings[..] else { panic!("{findings:?}") };
    assert!(message.contains("the algorithm is not accepted"), "{message}");
}
