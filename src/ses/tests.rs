use jiff::Timestamp;
use proptest::prelude::*;

use super::read::limits;
use super::*;
use crate::asn1::{
    Asn1Error, BIT_STRING, BOOLEAN, GENERALIZED_TIME, IA5_STRING, INTEGER, OCTET_STRING, OID, Oid, PRINTABLE_STRING, SEQUENCE,
    Tlv, UTC_TIME, UTF8_STRING, bit_string, context, context_primitive, der, integer, object_identifier, oid, sequence,
};
use crate::sm::{Sm2Signature, sm3};

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n picture";
const MAKER: &[u8] = b"maker's certificate";
const SIGNER: &[u8] = b"signer's certificate";
const PROPERTY_INFO: &str = "/Doc_0/Signs/Sign_0/Signature.xml";
const VERSIONS: [Version; 3] = [Version::V1, Version::V4, Version::V5];

fn signature_value() -> Sm2Signature {
    Sm2Signature { r: [0x81; 32], s: [0x42; 32] }
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn draft() -> SealDraft {
    SealDraft {
        es_id: "44030000000001".to_owned(),
        vid: "VENDOR".to_owned(),
        kind: 1,
        name: "深圳市测试有限公司".to_owned(),
        cert_list: CertList::Certificates(vec![SIGNER.to_vec(), b"another".to_vec()]),
        created: at("2026-01-02T03:04:05Z"),
        valid_from: at("2026-01-02T03:04:05Z"),
        valid_to: at("2029-01-02T03:04:05Z"),
        picture: Picture::new("PNG", PNG.to_vec(), 40, 40),
        extensions: vec![Extension::new(oid::SM3, false, b"value".to_vec()), Extension::new(oid::SM2_CURVE, true, Vec::new())],
    }
}

fn seal(version: Version) -> Seal {
    draft().to_be_signed(version, MAKER).unwrap().assemble(&signature_value()).unwrap()
}

fn tbs(seal: &Seal) -> TbsSign {
    let draft = TbsDraft {
        seal,
        time: at("2026-11-24T06:00:00Z"),
        data_hash: sm3(b"document"),
        property_info: PROPERTY_INFO,
        signer_certificate: SIGNER,
    };
    draft.to_be_signed().unwrap()
}

fn signature(version: Version) -> SesSignature {
    tbs(&seal(version)).assemble(&signature_value(), None).unwrap()
}

#[test]
fn a_built_signature_says_what_its_draft_said() {
    for version in VERSIONS {
        let seal = seal(version);
        let tbs = tbs(&seal);
        let signed = tbs.assemble(&signature_value(), None).unwrap();
        assert_eq!((signed.version(), signed.seal()), (version, &seal));
        assert_eq!(signed.signed_bytes(), tbs.signed_bytes());
        assert_eq!(signed.time_info().claimed().unwrap().instant, at("2026-11-24T06:00:00Z"));
        assert_eq!(signed.data_hash(), sm3(b"document").0);
        assert_eq!(signed.property_info(), PROPERTY_INFO);
        assert_eq!(signed.signer_certificate(), SIGNER);
        assert_eq!(signed.signature(), signature_value().to_der());
        assert_eq!(signed.signature_algorithm(), oid::SM2_WITH_SM3);
        assert_eq!(signed.tbs_version(), seal.header_version());
        assert!(!signed.has_version_mismatch());
        assert_eq!(detect(signed.raw()), Kind::Signature(version));
        assert_eq!(detect(seal.raw()), Kind::Seal(version));
        assert_eq!(signed.seal().lists_certificate(SIGNER), Some(true));
        assert_eq!(signed.seal().lists_certificate(b"anothe"), Some(false));
    }
}

#[test]
fn makers_of_v1_seals_sign_certificate_and_algorithm_too() {
    let seal = seal(Version::V1);
    let elements = Tlv::read_all(&seal.signed_bytes()).unwrap().children().unwrap().len();
    assert_eq!(elements, 3);
    let v4 = self::seal(Version::V4);
    assert!(v4.raw().windows(v4.signed_bytes().len()).any(|w| w == &*v4.signed_bytes()));
}

#[test]
fn a_time_stamp_is_added_without_touching_another_byte() {
    for version in [Version::V4, Version::V5] {
        let signed = signature(version);
        let stamped = add_time_stamp(&signed, b"token").unwrap();
        assert_eq!(stamped.time_stamp(), Some(b"token".as_slice()));
        assert_eq!(stamped.signed_bytes(), signed.signed_bytes());
        assert_eq!(stamped.signature(), signed.signature());
        let contents = |s: &SesSignature| Tlv::read_all(s.raw()).unwrap().value.to_vec();
        assert!(contents(&stamped).starts_with(&contents(&signed)));
        assert_eq!(add_time_stamp(&stamped, b"token"), Err(BuildError::TimeStampPresent));
        assert_eq!(tbs(&seal(version)).assemble(&signature_value(), Some(b"token")).unwrap(), stamped);
    }
    assert_eq!(add_time_stamp(&signature(Version::V1), b"token"), Err(BuildError::TimeStampUnsupported(Version::V1)));
}

#[test]
fn only_v5_seals_take_a_time_stamp() {
    let v5 = seal(Version::V5);
    let stamped = add_seal_time_stamp(&v5, b"token").unwrap();
    assert_eq!((stamped.time_stamp(), stamped.signed_bytes()), (Some(b"token".as_slice()), v5.signed_bytes()));
    assert_eq!(add_seal_time_stamp(&stamped, b"token"), Err(BuildError::TimeStampPresent));
    for version in [Version::V1, Version::V4] {
        assert_eq!(add_seal_time_stamp(&seal(version), b"token"), Err(BuildError::TimeStampUnsupported(version)));
    }
}

/// All that a verifier looks at, except the raw bytes, which differ anyway.
fn meaning(s: &SesSignature) -> impl PartialEq + use<> {
    let seal = s.seal();
    (
        (s.version(), s.signed_bytes().to_vec(), s.signature().to_vec(), s.signer_certificate().to_vec()),
        (s.signature_algorithm().dotted(), s.time_stamp().map(<[u8]>::to_vec), s.tolerances().to_vec()),
        (seal.signed_bytes().into_owned(), seal.signature().to_vec(), seal.tolerances().to_vec()),
    )
}

#[test]
fn every_changed_byte_is_refused_or_seen() {
    for version in VERSIONS {
        let signed = signature(version);
        let signed = if version == Version::V1 { signed } else { add_time_stamp(&signed, b"token").unwrap() };
        for i in 0..signed.raw().len() {
            for mask in [0x01, 0x80, 0xff] {
                let mut bytes = signed.raw().to_vec();
                bytes[i] ^= mask;
                if let Ok(changed) = SesSignature::parse(&bytes) {
                    assert!(meaning(&changed) != meaning(&signed), "{version} byte {i} mask {mask:#x}");
                }
            }
        }
    }
}

#[test]
fn bytes_after_a_signature_are_refused_except_padding_where_it_is_asked_for() {
    let signed = signature(Version::V4);
    let padded = [signed.raw(), &[0; 9]].concat();
    assert!(matches!(SesSignature::parse(&padded), Err(SesError::Field { error: Asn1Error::Trailing, .. })));
    assert_eq!(SesSignature::parse_padded(&padded).unwrap(), Padded { signature: signed.clone(), after: Vec::new() });
    let second = [signed.raw(), &[0, 7, 0, 0]].concat();
    assert_eq!(SesSignature::parse_padded(&second).unwrap().after, [0, 7]);
}

/// The elements of a signature, so that a test can write one of them otherwise.
struct Parts {
    v1: bool,
    header: Vec<Vec<u8>>,
    es_id: Vec<u8>,
    property: Vec<Vec<u8>>,
    picture: Vec<Vec<u8>>,
    seal_extensions: Vec<u8>,
    sign_info: Vec<Vec<u8>>,
    tbs: Vec<Vec<u8>>,
    after: Vec<Vec<u8>>,
    wrap_sign_info: bool,
    wrap_seal: bool,
}

impl Parts {
    fn new(v1: bool) -> Self {
        let date = if v1 { der(UTC_TIME, b"260102030405Z") } else { der(GENERALIZED_TIME, b"20260102030405Z") };
        let certificates = der(SEQUENCE, &der(OCTET_STRING, SIGNER));
        let mut property = vec![integer(1), der(UTF8_STRING, b"name")];
        property.extend((!v1).then(|| integer(1)));
        property.extend([certificates, date.clone(), date.clone(), date.clone()]);
        let time = if v1 { bit_string(&date) } else { date };
        Self {
            v1,
            header: vec![der(IA5_STRING, b"ES"), integer(if v1 { 1 } else { 4 }), der(IA5_STRING, b"V")],
            es_id: der(IA5_STRING, b"id"),
            property,
            picture: vec![der(IA5_STRING, b"PNG"), der(OCTET_STRING, PNG), integer(40), integer(30)],
            seal_extensions: Vec::new(),
            sign_info: vec![der(OCTET_STRING, MAKER), object_identifier(oid::SM2_WITH_SM3), bit_string(b"value")],
            tbs: vec![time, bit_string(&[7; 32]), der(IA5_STRING, b"info")],
            after: Vec::new(),
            wrap_sign_info: false,
            wrap_seal: false,
        }
    }

    fn seal(&self) -> Vec<u8> {
        let info = [
            der(SEQUENCE, &self.header.concat()),
            self.es_id.clone(),
            der(SEQUENCE, &self.property.concat()),
            der(SEQUENCE, &self.picture.concat()),
            self.seal_extensions.clone(),
        ];
        let sign = self.sign_info.concat();
        let sign = match (self.v1, self.wrap_sign_info) {
            (false, _) => sign,
            (true, false) => der(SEQUENCE, &sign),
            (true, true) => bit_string(&der(SEQUENCE, &sign)),
        };
        let seal = sequence(&[&der(SEQUENCE, &info.concat()), &sign]);
        if self.wrap_seal { der(OCTET_STRING, &seal) } else { seal }
    }

    fn signature(&self) -> Vec<u8> {
        let signer = [der(OCTET_STRING, SIGNER), object_identifier(oid::SM2_WITH_SM3)].concat();
        let (inside, outside) = if self.v1 { (signer, Vec::new()) } else { (Vec::new(), signer) };
        let tbs = sequence(&[&integer(if self.v1 { 1 } else { 4 }), &self.seal(), &self.tbs.concat(), &inside]);
        sequence(&[&tbs, &outside, &bit_string(b"value"), &self.after.concat()])
    }

    fn tolerances(&self) -> Vec<Tolerance> {
        let signed = SesSignature::parse(&self.signature()).unwrap();
        [signed.tolerances(), signed.seal().tolerances()].concat()
    }
}

/// With a length in one octet more than needed; `value` is shorter than 128 bytes.
fn long_length(value: &[u8]) -> Vec<u8> {
    [&[value[0], 0x81, value[1]], &value[2..]].concat()
}

fn extensions(id: &[u8], critical: &[u8]) -> Vec<u8> {
    der(SEQUENCE, &sequence(&[&der(OID, id), critical, &der(OCTET_STRING, b"v")]))
}

#[test]
fn every_deviation_is_accepted_under_its_name_and_no_other() {
    type Change = fn(&mut Parts);
    let rows: &[(Tolerance, bool, Change)] = &[
        (Tolerance::BooleanNotDer, false, |p| p.seal_extensions = extensions(oid::SM3.0, &der(BOOLEAN, &[1]))),
        (Tolerance::CertListOddElement, true, |p| p.property[2] = der(SEQUENCE, &der(IA5_STRING, b"certID"))),
        (Tolerance::CertListTypeMismatch, false, |p| p.property[2] = integer(2)),
        (Tolerance::CertListTypeMismatch, false, |p| drop(p.property.remove(2))),
        (Tolerance::CertListTypeMismatch, true, |p| p.property.insert(2, integer(1))),
        (Tolerance::CertificateUnwrapped, false, |p| {
            let certificate = sequence(&[&sequence(&[]), &sequence(&[]), &bit_string(b"")]);
            p.property[3] = der(SEQUENCE, &certificate);
        }),
        (Tolerance::CertificateUnwrapped, false, |p| p.sign_info[0] = sequence(&[&integer(1)])),
        (Tolerance::DataHashInOctetString, true, |p| p.tbs[1] = der(OCTET_STRING, &[7; 32])),
        (Tolerance::DefaultFalseEncoded, false, |p| p.seal_extensions = extensions(oid::SM3.0, &der(BOOLEAN, &[0]))),
        (Tolerance::ExtensionOidNonsense, false, |p| p.seal_extensions = extensions(b"Version", &[])),
        (Tolerance::ExtensionOidNonsense, true, |p| p.seal_extensions = extensions(b"\xff", &[])),
        (Tolerance::ExtensionsTagged, true, |p| p.seal_extensions = der(context(0), &extensions(oid::SM3.0, &[]))),
        (Tolerance::ExtensionsUntagged, false, |p| p.tbs.push(extensions(oid::SM3.0, &[]))),
        (Tolerance::ExtensionsUntagged, false, |p| {
            let mut implicit = extensions(oid::SM3.0, &[]);
            implicit[0] = context(0);
            p.tbs.push(implicit);
        }),
        (Tolerance::IntegerNotMinimal, false, |p| p.picture[2] = der(INTEGER, &[0, 40])),
        (Tolerance::LengthNotMinimal, false, |p| p.es_id = long_length(&p.es_id)),
        (Tolerance::PictureTypeDiffers, false, |p| p.picture[0] = der(IA5_STRING, b"gif")),
        (Tolerance::PropertyInfoNotAscii, false, |p| p.tbs[2] = der(IA5_STRING, "公文".as_bytes())),
        (Tolerance::SealInOctetString, true, |p| p.wrap_seal = true),
        (Tolerance::SignInfoInBitString, true, |p| p.wrap_sign_info = true),
        (Tolerance::StringType, false, |p| p.es_id = der(UTF8_STRING, b"id")),
        (Tolerance::StringType, false, |p| p.header[2] = der(IA5_STRING, "厂商".as_bytes())),
        (Tolerance::TimeForm, false, |p| p.tbs[0] = der(GENERALIZED_TIME, b"20260102030405.5Z")),
        (Tolerance::TimeInfoText, true, |p| p.tbs[0] = bit_string(b"20211014033404Z")),
        (Tolerance::TimeInfoType, true, |p| p.tbs[0] = der(OCTET_STRING, &der(UTC_TIME, b"260102030405Z"))),
        (Tolerance::TimeInfoType, false, |p| p.tbs[0] = bit_string(&der(GENERALIZED_TIME, b"20260102030405Z"))),
        (Tolerance::TimeStampImplicit, false, |p| p.after.push(der(context_primitive(0), b"\0token"))),
        (Tolerance::TimeStampUntagged, false, |p| p.after.push(bit_string(b"token"))),
        (Tolerance::TimeType, true, |p| p.property[3] = der(GENERALIZED_TIME, b"20260102030405Z")),
        (Tolerance::TimeType, false, |p| p.tbs[0] = der(UTC_TIME, b"260102030405Z")),
        (Tolerance::TimeWithoutZone, false, |p| p.tbs[0] = der(GENERALIZED_TIME, b"20260102030405")),
    ];
    for v1 in [false, true] {
        assert_eq!(Parts::new(v1).tolerances(), [], "the unchanged signature is strict");
    }
    for (i, (expected, v1, change)) in rows.iter().enumerate() {
        let mut parts = Parts::new(*v1);
        change(&mut parts);
        assert_eq!(parts.tolerances(), [*expected], "row {i}");
    }
}

#[test]
fn deviations_that_no_valid_file_has_are_refused() {
    type Change = fn(&mut Parts);
    let rows: &[Change] = &[
        |p| p.header[0] = der(IA5_STRING, b"es"),
        |p| p.header.push(integer(1)),
        |p| p.property.push(integer(1)),
        |p| p.picture[3] = der(INTEGER, &[0x80]),
        |p| p.sign_info[2] = der(BIT_STRING, &[1, 0]),
        |p| p.sign_info.push(integer(1)),
        |p| p.tbs[0] = der(GENERALIZED_TIME, b"20261302030405Z"),
        |p| p.tbs.push(integer(1)),
        |p| p.after.extend([bit_string(b"token"), bit_string(b"token")]),
        |p| p.after.push(integer(1)),
    ];
    for (i, change) in rows.iter().enumerate() {
        let mut parts = Parts::new(false);
        change(&mut parts);
        assert!(SesSignature::parse(&parts.signature()).is_err(), "row {i}");
    }
}

#[test]
fn limits_are_refused_as_limits() {
    type Change = fn(&mut Parts);
    let rows: &[Change] = &[
        |p| p.property[3] = der(SEQUENCE, &der(OCTET_STRING, b"c").repeat(limits::CERTIFICATES + 1)),
        |p| p.property[1] = der(UTF8_STRING, &vec![b'n'; limits::TEXT_BYTES + 1]),
        |p| p.picture[1] = der(OCTET_STRING, &vec![0; limits::PICTURE_BYTES + 1]),
        |p| {
            let one = sequence(&[&object_identifier(oid::SM3), &der(OCTET_STRING, b"")]);
            p.seal_extensions = der(SEQUENCE, &one.repeat(limits::EXTENSIONS + 1));
        },
        |p| p.sign_info[0] = der(OCTET_STRING, &vec![0; limits::CERTIFICATE_BYTES + 1]),
        |p| p.sign_info[2] = bit_string(&vec![0; limits::SIGNATURE_BYTES + 1]),
        |p| p.tbs[1] = bit_string(&[0; limits::DATA_HASH_BYTES + 1]),
        |p| p.tbs[2] = der(IA5_STRING, &vec![b'i'; limits::PROPERTY_INFO_BYTES + 1]),
        |p| p.after.push(bit_string(&vec![0; limits::BYTES])),
    ];
    for (i, change) in rows.iter().enumerate() {
        let mut parts = Parts::new(false);
        change(&mut parts);
        let found = SesSignature::parse(&parts.signature());
        assert!(matches!(found, Err(SesError::Limit { .. })), "row {i}: {found:?}");
    }
}

#[test]
fn versions_that_contradict_one_another_are_seen() {
    let mut parts = Parts::new(false);
    assert!(!SesSignature::parse(&parts.signature()).unwrap().has_version_mismatch());
    parts.header[1] = integer(3);
    let signed = SesSignature::parse(&parts.signature()).unwrap();
    assert_eq!((signed.version(), signed.seal().header_version()), (Version::V4, 3));
    assert!(signed.has_version_mismatch());
    assert!(signed.seal().has_version_mismatch());
    // A time stamp makes a seal V5, whatever its header says.
    let seal = seal(Version::V4);
    let contents = Tlv::read_all(seal.raw()).unwrap().value;
    let stamped = Seal::parse(&sequence(&[contents, &der(context(0), &bit_string(b"token"))])).unwrap();
    assert_eq!((stamped.version(), seal.has_version_mismatch(), stamped.has_version_mismatch()), (Version::V5, false, true));
    // A V4 signature around a V1 seal.
    let signer = [der(OCTET_STRING, SIGNER), object_identifier(oid::SM2_WITH_SM3)].concat();
    let tbs = sequence(&[&integer(4), &Parts::new(true).seal(), &Parts::new(false).tbs.concat()]);
    let mixed = SesSignature::parse(&sequence(&[&tbs, &signer, &bit_string(b"value")])).unwrap();
    assert_eq!((mixed.version(), mixed.seal().version()), (Version::V4, Version::V1));
    assert!(mixed.has_version_mismatch());
}

#[test]
fn a_digest_list_is_read_by_its_content() {
    let digests = vec![CertDigest { kind: "SM3".to_owned(), value: sm3(SIGNER).0.to_vec() }];
    let draft = SealDraft { cert_list: CertList::Digests(digests.clone()), ..draft() };
    let seal = draft.to_be_signed(Version::V4, MAKER).unwrap().assemble(&signature_value()).unwrap();
    assert_eq!(seal.property().cert_list, CertList::Digests(digests));
    assert_eq!((seal.property().cert_list_type, seal.lists_certificate(SIGNER)), (Some(2), None));
    assert_eq!(draft.to_be_signed(Version::V1, MAKER).unwrap_err(), BuildError::DigestsInV1);
    let mut mixed = Parts::new(false);
    let digest = sequence(&[&der(PRINTABLE_STRING, b"SM3"), &der(OCTET_STRING, &[1; 32])]);
    mixed.property[3] = sequence(&[&der(OCTET_STRING, SIGNER), &digest]);
    assert_eq!(mixed.tolerances(), [Tolerance::CertListOddElement]);
    let seal = Seal::parse(&mixed.seal()).unwrap();
    assert_eq!(seal.property().cert_list, CertList::Certificates(vec![SIGNER.to_vec()]));
    assert_eq!(seal.property().odd_elements, [digest]);
}

#[test]
fn drafts_that_cannot_become_a_strict_seal_are_refused() {
    let refused =
        |draft: SealDraft, version| draft.to_be_signed(version, MAKER).and_then(|u| u.assemble(&signature_value())).unwrap_err();
    let v4 = Version::V4;
    assert_eq!(
        refused(SealDraft { es_id: "印章".to_owned(), ..draft() }, v4),
        BuildError::Characters { field: "esID", allowed: "ASCII" }
    );
    assert_eq!(refused(SealDraft { cert_list: CertList::Certificates(Vec::new()), ..draft() }, v4), BuildError::NobodyListed);
    assert_eq!(refused(SealDraft { valid_to: draft().valid_from, ..draft() }, v4), BuildError::Validity);
    let late = SealDraft { valid_to: at("2050-01-01T00:00:00Z"), ..draft() };
    assert_eq!(refused(late.clone(), Version::V1), BuildError::Time { field: "validEnd" });
    assert!(late.to_be_signed(v4, MAKER).is_ok());
    let flat = Picture::new("PNG", PNG.to_vec(), 40, 0);
    assert_eq!(refused(SealDraft { picture: flat, ..draft() }, v4), BuildError::PictureSize);
    let not_png = Picture::new("PNG", b"GIF89a".to_vec(), 40, 40);
    assert_eq!(refused(SealDraft { picture: not_png, ..draft() }, v4), BuildError::NotStrict(Tolerance::PictureTypeDiffers));
    let huge = Picture::new("PNG", [PNG, &vec![0; limits::PICTURE_BYTES]].concat(), 40, 40);
    assert!(matches!(refused(SealDraft { picture: huge, ..draft() }, v4), BuildError::Unreadable(SesError::Limit { .. })));
}

#[test]
fn times_are_read_in_every_form_seen_and_nonsense_is_not() {
    let text = |contents: &[u8]| TimeInfo::from_v1(contents, &mut Default::default());
    let rows: &[(&[u8], &str, Zone)] = &[
        (b"20211014033404Z", "2021-10-14T03:34:04Z", Zone::Utc),
        (b"2020-01-25T07:31:56.377Z", "2020-01-25T07:31:56.377Z", Zone::Utc),
        (b"2020-01-01 12:00:00", "2020-01-01T04:00:00Z", Zone::Missing),
        (b"2020-01-01T12:00:00+08:00", "2020-01-01T04:00:00Z", Zone::Offset),
        (b"211014033404Z", "2021-10-14T03:34:04Z", Zone::Utc),
        (b"501014033404Z", "1950-10-14T03:34:04Z", Zone::Utc),
        (b"20211014033404-0330", "2021-10-14T07:04:04Z", Zone::Offset),
        (b"\x17\x0d211014033404Z", "2021-10-14T03:34:04Z", Zone::Utc),
        (b"\x17\x0b2110140334Z", "2021-10-14T03:34:00Z", Zone::Utc),
        (b"\x18\x0f20211014033404Z", "2021-10-14T03:34:04Z", Zone::Utc),
        (b"\x18\x132021101403.3404+0800", "", Zone::Utc),
        (b"\x18\x0b2021101403Z", "2021-10-14T03:00:00Z", Zone::Utc),
        (b"\x17\x0921101403Z", "", Zone::Utc),
        (b"20211014036004Z", "", Zone::Utc),
        (b"20210229000000Z", "", Zone::Utc),
        (b"20211014033404ZZ", "", Zone::Utc),
        (b"20211014033404+15", "", Zone::Utc),
        (b"20211014033404.Z", "", Zone::Utc),
        (b"yesterday", "", Zone::Utc),
        (b"", "", Zone::Utc),
    ];
    for (contents, expected, zone) in rows {
        match text(contents) {
            TimeInfo::Claimed(time) => {
                assert_eq!((time.instant, time.zone), (at(expected), *zone), "{contents:?}");
            }
            other => {
                assert_eq!(other, TimeInfo::Unreadable(contents.to_vec()));
                assert_eq!(*expected, "", "{contents:?}");
            }
        }
    }
    let token = sequence(&[&object_identifier(oid::PKCS7_SIGNED_DATA)]);
    assert_eq!(text(&token), TimeInfo::TimeStamp(token));
}

#[test]
fn kinds_are_told_by_content() {
    use base64::Engine as _;

    let seal = seal(Version::V5);
    let base64 = base64::engine::general_purpose::STANDARD.encode(seal.raw());
    let pem = format!("note\n-----BEGIN SEAL-----\n{}\n{}\n-----END SEAL-----\n", &base64[..64], &base64[64..]);
    for text in [base64.as_bytes(), pem.as_bytes()] {
        assert_eq!(detect(text), Kind::Text);
        assert_eq!(decode_text(text).as_deref(), Some(seal.raw()));
    }
    let cms = sequence(&[&object_identifier(oid::GM_SIGNED_DATA)]);
    let stamped = add_seal_time_stamp(&seal, b"token").unwrap();
    let rows: &[(&[u8], Kind)] = &[
        (b"PK\x03\x04 and so on", Kind::Ofd),
        (b"%PDF-1.7\n", Kind::Pdf),
        (b"junk before\n%PDF-1.7\n", Kind::Pdf),
        (&signature_value().to_der(), Kind::BareSignature),
        (&cms, Kind::Cms),
        (b"\x30\x80\x06\x00", Kind::Cms),
        (&der(OCTET_STRING, seal.raw()), Kind::Seal(Version::V5)),
        (&der(OCTET_STRING, &cms), Kind::Unknown),
        (&[seal.raw(), &[0; 4]].concat(), Kind::Seal(Version::V5)),
        (stamped.raw(), Kind::Seal(Version::V5)),
        (b"\x30\x00", Kind::Unknown),
        (b"", Kind::Unknown),
        (b"-----BEGIN SEAL-----", Kind::Unknown),
        ("不是文件".as_bytes(), Kind::Unknown),
    ];
    for (bytes, expected) in rows {
        assert_eq!(detect(bytes), *expected, "{bytes:02x?}");
    }
}

#[test]
fn pictures_are_told_by_their_first_bytes() {
    let rows: &[(&[u8], PictureFormat)] = &[
        (PNG, PictureFormat::Png),
        (b"BM....", PictureFormat::Bmp),
        (b"GIF89a", PictureFormat::Gif),
        (b"\xff\xd8\xff\xe0", PictureFormat::Jpeg),
        (b"PK\x03\x04", PictureFormat::Ofd),
        (b"\xef\xbb\xbf <?xml version='1.0'?><svg/>", PictureFormat::Svg),
        (b"<html>", PictureFormat::Unknown),
        (b"", PictureFormat::Unknown),
    ];
    for (data, expected) in rows {
        assert_eq!(PictureFormat::of(data), *expected, "{data:?}");
    }
}

fn any_draft() -> impl Strategy<Value = SealDraft> {
    let bytes = || prop::collection::vec(any::<u8>(), 0..200);
    let list = prop_oneof![
        prop::collection::vec(bytes(), 1..4).prop_map(CertList::Certificates),
        prop::collection::vec(("[A-Za-z0-9 ]{0,9}", bytes()), 1..4)
            .prop_map(|list| { CertList::Digests(list.into_iter().map(|(kind, value)| CertDigest { kind, value }).collect()) }),
    ];
    let extension = (any::<bool>(), bytes()).prop_map(|(critical, value)| Extension::new(oid::SM3, critical, value));
    // 1950-01-01 to 2049-12-31, which every version can write
    let dates = (-631_152_000i64..2_524_608_000 - 1, -631_152_000i64..2_524_608_000 - 1, 1i64..1000);
    let texts = ("[ -~]{0,40}", "[ -~]{0,40}", "\\PC{0,40}", any::<u64>());
    let picture = (bytes(), 1u64..1000, 1u64..100_000);
    (texts, list, dates, picture, prop::collection::vec(extension, 0..4)).prop_map(
        |((es_id, vid, name, kind), cert_list, (created, from, days), (data, width, height), extensions)| {
            let second = |s: i64| Timestamp::from_second(s.min(2_524_607_999)).unwrap();
            SealDraft {
                es_id,
                vid,
                kind,
                name,
                cert_list,
                created: second(created),
                valid_from: second(from),
                valid_to: second(from + days),
                picture: Picture::new("png", [PNG, &data].concat(), width, height),
                extensions,
            }
        },
    )
}

proptest! {
    #[test]
    fn any_built_seal_is_read_back_identically(draft in any_draft(), version in prop::sample::select(VERSIONS.to_vec())) {
        let digests = matches!(draft.cert_list, CertList::Digests(_));
        let version = if digests { version.max(Version::V4) } else { version };
        let unsigned = draft.to_be_signed(version, MAKER).unwrap();
        let seal = unsigned.assemble(&signature_value()).unwrap();
        prop_assert_eq!(seal.signed_bytes().into_owned(), unsigned.signed_bytes());
        prop_assert_eq!((seal.version(), seal.es_id(), seal.vid()), (version, draft.es_id.as_str(), draft.vid.as_str()));
        let property = seal.property();
        prop_assert_eq!((property.kind, &property.name, &property.cert_list), (draft.kind, &draft.name, &draft.cert_list));
        let dates = (property.created.instant, property.valid_from.instant, property.valid_to.instant);
        prop_assert_eq!(dates, (draft.created, draft.valid_from, draft.valid_to));
        prop_assert_eq!(seal.picture(), &draft.picture);
        prop_assert_eq!(seal.extensions(), &draft.extensions);
        prop_assert_eq!(seal.maker_certificate(), MAKER);
        prop_assert_eq!(seal.tolerances(), &[]);
        prop_assert_eq!(Seal::parse(seal.raw()).unwrap(), seal);
    }

    #[test]
    fn reading_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = (detect(&bytes), Seal::parse(&bytes), SesSignature::parse(&bytes), SesSignature::parse_padded(&bytes));
        let _ = (TimeInfo::from_v1(&bytes, &mut Default::default()), Oid(&bytes).dotted());
    }

    #[test]
    fn reading_a_damaged_signature_never_panics(
        version in prop::sample::select(VERSIONS.to_vec()),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = signature(version).raw().to_vec();
        for (index, byte) in damage {
            let len = bytes.len();
            bytes[index.index(len)] = byte;
        }
        let _ = (detect(&bytes), SesSignature::parse(&bytes));
        bytes.truncate(cut.index(bytes.len()));
        let _ = (detect(&bytes), SesSignature::parse(&bytes));
    }
}
