//! Certificates, lists, stamps, seals and signed packages in which anything can be wrong: what a conforming issuer would refuse to
//! make. Everything is made with fixed keys by the library's own writers and the `sm2` crate.

use std::io::{Cursor, Read as _, Write as _};
use std::sync::Arc;

use jiff::Timestamp;
use sealagent::asn1::{
    BIT_STRING, BOOLEAN, ENUMERATED, GENERALIZED_TIME, NULL, OCTET_STRING, Oid, SET, UTC_TIME, UTF8_STRING, bit_string, context,
    context_primitive, der, der_of, integer, object_identifier, oid, sequence,
};
use sealagent::cms::{Content, Identifiers, SignedDataDraft};
use sealagent::pki::Certificate;
use sealagent::sm::{DEFAULT_ID, Sm2PublicKey, Sm2Signature, sm3};
use sm2::dsa::SigningKey;
use sm2::dsa::signature::Signer as _;

pub mod recipe;

pub const COMMON_NAME: Oid<'static> = Oid(&[0x55, 4, 3]);
pub const ORGANIZATION: Oid<'static> = Oid(&[0x55, 4, 10]);
pub const SUBJECT_KEY_ID: Oid<'static> = Oid(&[0x55, 0x1d, 0x0e]);
pub const KEY_USAGE: Oid<'static> = Oid(&[0x55, 0x1d, 0x0f]);
pub const BASIC_CONSTRAINTS: Oid<'static> = Oid(&[0x55, 0x1d, 0x13]);
pub const REASON_CODE: Oid<'static> = Oid(&[0x55, 0x1d, 0x15]);
pub const AUTHORITY_KEY_ID: Oid<'static> = Oid(&[0x55, 0x1d, 0x23]);
pub const EXTENDED_KEY_USAGE: Oid<'static> = Oid(&[0x55, 0x1d, 0x25]);
pub const EXPIRED_CERTS_ON_CRL: Oid<'static> = Oid(&[0x55, 0x1d, 0x3c]);
pub const TIME_STAMPING: Oid<'static> = Oid(b"\x2b\x06\x01\x05\x05\x07\x03\x08");
pub const OCSP_SIGNING: Oid<'static> = Oid(b"\x2b\x06\x01\x05\x05\x07\x03\x09");
const OCSP_BASIC: Oid<'static> = Oid(b"\x2b\x06\x01\x05\x05\x07\x30\x01\x01");
pub const SHA256_WITH_RSA: Oid<'static> = Oid(b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b");

pub fn at(text: &str) -> Timestamp {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// A key pair made from one byte.
#[derive(Clone)]
pub struct Key {
    signing: SigningKey,
    empty_id: SigningKey,
    pub public: Sm2PublicKey,
}

impl Key {
    pub fn new(seed: u8) -> Self {
        let secret = sm2::SecretKey::from_slice(&[seed; 32]).unwrap();
        let public = Sm2PublicKey::from_sec1(&secret.public_key().to_sec1_bytes()).unwrap();
        let signing = |id: &str| SigningKey::new(id, &secret).unwrap();
        Self { signing: signing(DEFAULT_ID), empty_id: signing(""), public }
    }

    pub fn sign(&self, message: &[u8]) -> Sm2Signature {
        let signature: sm2::dsa::Signature = self.signing.sign(message);
        Sm2Signature::from_raw(signature.to_bytes().as_slice().try_into().unwrap())
    }

    fn sign_with_empty_id(&self, message: &[u8]) -> Sm2Signature {
        let signature: sm2::dsa::Signature = self.empty_id.sign(message);
        Sm2Signature::from_raw(signature.to_bytes().as_slice().try_into().unwrap())
    }

    /// First 20 octets of the SM3 of the key.
    pub fn id(&self) -> Vec<u8> {
        sm3(&self.public.to_sec1()).0[..20].to_vec()
    }
}

/// What a certificate shall say.
#[derive(Clone)]
pub struct Spec {
    pub organization: String,
    pub common_name: String,
    pub serial: u8,
    pub from: &'static str,
    pub to: &'static str,
    /// Contents of the BIT STRING, unused bits first.
    pub key_usage: Option<[u8; 2]>,
    pub ca: Option<(bool, Option<u64>)>,
    pub purpose: Option<Oid<'static>>,
    /// OID, critical, value.
    pub extra: Vec<(Oid<'static>, bool, Vec<u8>)>,
    /// Sign under the empty id, as programs do that know no id.
    pub empty_id: bool,
    /// Another SubjectPublicKeyInfo than the SM2 key's.
    pub public_key: Option<Vec<u8>>,
    /// Claim to be issued by the key with this identifier.
    pub authority_key_id: Option<Vec<u8>>,
}

pub const SIGNING: Option<[u8; 2]> = Some([6, 0xc0]);
pub const CERTIFYING: Option<[u8; 2]> = Some([1, 0x06]);

impl Spec {
    pub fn leaf(organization: &str, common_name: &str, serial: u8) -> Self {
        Self {
            organization: organization.to_owned(),
            common_name: common_name.to_owned(),
            serial,
            from: "2025-01-01T00:00:00Z",
            to: "2030-01-01T00:00:00Z",
            key_usage: SIGNING,
            ca: Some((false, None)),
            purpose: None,
            extra: Vec::new(),
            empty_id: false,
            public_key: None,
            authority_key_id: None,
        }
    }

    pub fn ca(common_name: &str, serial: u8) -> Self {
        let from = "2020-01-01T00:00:00Z";
        let to = "2040-01-01T00:00:00Z";
        Self { from, to, key_usage: CERTIFYING, ca: Some((true, None)), ..Self::leaf("Test", common_name, serial) }
    }
}

/// A key with its certificate.
#[derive(Clone)]
pub struct Identity {
    pub key: Key,
    pub certificate: Arc<Certificate>,
}

impl Identity {
    pub fn der(&self) -> &[u8] {
        self.certificate.der()
    }

    pub fn serial(&self) -> u8 {
        *self.certificate.serial().last().unwrap()
    }
}

/// Issues a certificate; by its own key without an issuer.
pub fn issue(issuer: Option<&Identity>, key: Key, spec: &Spec) -> Identity {
    let subject = name(&spec.organization, &spec.common_name);
    let issuer_name = issuer.map_or_else(|| subject.clone(), |i| i.certificate.subject().raw().to_vec());
    let issuer_key = issuer.map_or(&key, |i| &i.key);
    let authority = spec.authority_key_id.clone().unwrap_or_else(|| issuer_key.id());
    let mut extensions = vec![
        extension(AUTHORITY_KEY_ID, false, &sequence(&[&der(context_primitive(0), &authority)])),
        extension(SUBJECT_KEY_ID, false, &der(OCTET_STRING, &key.id())),
    ];
    if let Some((ca, path_len)) = spec.ca {
        let ca = if ca { der(BOOLEAN, &[0xff]) } else { Vec::new() };
        let value = sequence(&[&ca, &path_len.map(integer).unwrap_or_default()]);
        extensions.push(extension(BASIC_CONSTRAINTS, true, &value));
    }
    if let Some(usage) = spec.key_usage {
        extensions.push(extension(KEY_USAGE, true, &der(BIT_STRING, &usage)));
    }
    if let Some(purpose) = spec.purpose {
        extensions.push(extension(EXTENDED_KEY_USAGE, true, &sequence(&[&object_identifier(purpose)])));
    }
    extensions.extend(spec.extra.iter().map(|(oid, critical, value)| extension(*oid, *critical, value)));
    let tbs = sequence(&[
        &der_of(context(0), &[&integer(2)]),
        &integer(u64::from(spec.serial)),
        &sm2_with_sm3(),
        &issuer_name,
        &sequence(&[&time(spec.from), &time(spec.to)]),
        &subject,
        &spec.public_key.clone().unwrap_or_else(|| ec_public_key(oid::SM2_CURVE, &key.public.to_sec1())),
        &der_of(context(3), &[&sequence(&[&extensions.concat()])]),
    ]);
    let signature = if spec.empty_id { issuer_key.sign_with_empty_id(&tbs) } else { issuer_key.sign(&tbs) };
    let certificate = sequence(&[&tbs, &sm2_with_sm3(), &bit_string(&signature.to_der())]);
    Identity { certificate: Arc::new(Certificate::parse(&certificate).unwrap()), key }
}

/// A SubjectPublicKeyInfo with this point.
pub fn ec_public_key(curve: Oid<'_>, point: &[u8]) -> Vec<u8> {
    let algorithm = sequence(&[&object_identifier(oid::EC_PUBLIC_KEY), &object_identifier(curve)]);
    sequence(&[&algorithm, &bit_string(point)])
}

fn name(organization: &str, common_name: &str) -> Vec<u8> {
    let attribute = |oid, text: &str| der_of(SET, &[&sequence(&[&object_identifier(oid), &der(UTF8_STRING, text.as_bytes())])]);
    sequence(&[&attribute(ORGANIZATION, organization), &attribute(COMMON_NAME, common_name)])
}

pub fn extension(oid: Oid<'_>, critical: bool, value: &[u8]) -> Vec<u8> {
    let critical = if critical { der(BOOLEAN, &[0xff]) } else { Vec::new() };
    sequence(&[&object_identifier(oid), &critical, &der(OCTET_STRING, value)])
}

fn sm2_with_sm3() -> Vec<u8> {
    sequence(&[&object_identifier(oid::SM2_WITH_SM3)])
}

fn digits(text: &str) -> String {
    text.chars().filter(char::is_ascii_digit).collect()
}

/// UTCTime, or GeneralizedTime from 2050.
fn time(text: &str) -> Vec<u8> {
    let digits = digits(text);
    match digits.as_str() {
        late if late >= "2050" => generalized_time(text),
        digits => der(UTC_TIME, format!("{}Z", &digits[2..]).as_bytes()),
    }
}

pub fn generalized_time(text: &str) -> Vec<u8> {
    der(GENERALIZED_TIME, format!("{}Z", digits(text)).as_bytes())
}

/// A revocation list.
#[derive(Clone)]
pub struct ListSpec {
    pub this_update: &'static str,
    pub next_update: &'static str,
    /// Serial number, date, reason.
    pub revoked: Vec<(u8, &'static str, Option<u8>)>,
    /// expiredCertsOnCRL
    pub keeps_expired_since: Option<&'static str>,
}

impl Default for ListSpec {
    fn default() -> Self {
        Self {
            this_update: "2026-11-20T00:00:00Z",
            next_update: "2026-12-20T00:00:00Z",
            revoked: Vec::new(),
            keeps_expired_since: None,
        }
    }
}

pub fn crl(issuer: &Identity, spec: &ListSpec) -> Vec<u8> {
    let entries: Vec<Vec<u8>> = spec
        .revoked
        .iter()
        .map(|(serial, date, reason)| {
            let reason = reason.map(|r| sequence(&[&extension(REASON_CODE, false, &der(ENUMERATED, &[r]))])).unwrap_or_default();
            sequence(&[&integer(u64::from(*serial)), &time(date), &reason])
        })
        .collect();
    let entries = if entries.is_empty() { Vec::new() } else { sequence(&[&entries.concat()]) };
    let mut extensions = extension(AUTHORITY_KEY_ID, false, &sequence(&[&der(context_primitive(0), &issuer.key.id())]));
    if let Some(since) = spec.keeps_expired_since {
        extensions.extend(extension(EXPIRED_CERTS_ON_CRL, false, &generalized_time(since)));
    }
    let tbs = sequence(&[
        &integer(1),
        &sm2_with_sm3(),
        issuer.certificate.subject().raw(),
        &time(spec.this_update),
        &time(spec.next_update),
        &entries,
        &der_of(context(0), &[&sequence(&[&extensions])]),
    ]);
    sequence(&[&tbs, &sm2_with_sm3(), &bit_string(&issuer.key.sign(&tbs).to_der())])
}

/// An OCSP response about one certificate; `revoked` is a date. Signed by `responder`, whose certificate is put inside.
pub fn ocsp(issuer: &Identity, responder: &Identity, subject: &Identity, revoked: Option<&str>) -> Vec<u8> {
    let id = sequence(&[
        &sequence(&[&object_identifier(oid::SM3), &der(NULL, &[])]),
        &der(OCTET_STRING, &sm3(issuer.certificate.subject().raw()).0),
        &der(OCTET_STRING, &sm3(issuer.certificate.key_bits()).0),
        &integer(u64::from(subject.serial())),
    ]);
    let status = match revoked {
        None => der(context_primitive(0), &[]),
        Some(date) => der(context(1), &generalized_time(date)),
    };
    let this = generalized_time("2026-11-23T00:00:00Z");
    let next = der(context(0), &generalized_time("2026-11-30T00:00:00Z"));
    let tbs = sequence(&[
        &der(context(1), responder.certificate.subject().raw()),
        &generalized_time("2026-11-23T00:00:00Z"),
        &sequence(&[&sequence(&[&id, &status, &this, &next])]),
    ]);
    let basic = sequence(&[
        &tbs,
        &sm2_with_sm3(),
        &bit_string(&responder.key.sign(&tbs).to_der()),
        &der(context(0), &sequence(&[responder.der()])),
    ]);
    let bytes = sequence(&[&object_identifier(OCSP_BASIC), &der(OCTET_STRING, &basic)]);
    sequence(&[&der(ENUMERATED, &[0]), &der(context(0), &bytes)])
}

/// A time stamp token over `message`.
pub fn time_stamp(authority: &Identity, message: &[u8], gen_time: &str) -> Vec<u8> {
    let imprint = sequence(&[&sequence(&[&object_identifier(oid::SM3)]), &der(OCTET_STRING, &sm3(message).0)]);
    let info =
        sequence(&[&integer(1), &object_identifier(Oid(b"\x2a\x03\x04")), &imprint, &integer(7), &generalized_time(gen_time)]);
    let draft = SignedDataDraft {
        identifiers: Identifiers::Pkcs7,
        content_type: Some(oid::TST_INFO),
        content: Content::Attached(&info),
        signer_certificate: authority.der(),
        further_certificates: &[],
        signature_algorithm: oid::SM2_WITH_SM3,
        signing_time: None,
        attributes: &[],
    };
    let unsigned = draft.to_be_signed().unwrap();
    unsigned.assemble(&authority.key.sign(unsigned.signed_bytes())).unwrap().raw().to_vec()
}

/// The files of a package, in order.
pub type Files = Vec<(String, Vec<u8>)>;

pub fn unzip(package: &[u8]) -> Files {
    let mut archive = zip::ZipArchive::new(Cursor::new(package)).unwrap();
    (0..archive.len())
        .map(|i| {
            let mut entry = archive.by_index(i).unwrap();
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).unwrap();
            (entry.name().unwrap().into_owned(), bytes)
        })
        .collect()
}

pub fn zip(files: &Files) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    for (name, bytes) in files {
        writer.start_file(name.as_str(), options).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

/// The bytes of a file of a package.
pub fn file<'f>(files: &'f mut Files, name: &str) -> &'f mut Vec<u8> {
    let found = files.iter_mut().find(|(n, _)| n == name);
    &mut found.unwrap_or_else(|| panic!("no {name}")).1
}

/// Replaces text in a file, which must be there.
pub fn replace(files: &mut Files, name: &str, from: &str, to: &str) {
    let bytes = file(files, name);
    let text = String::from_utf8(bytes.clone()).unwrap();
    assert!(text.contains(from), "{from} is not in {text}");
    *bytes = text.replacen(from, to, 1).into_bytes();
}
