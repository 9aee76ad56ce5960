use jiff::Timestamp;
use proptest::prelude::*;

use super::signed_data::limits;
use super::*;
use crate::asn1::{
    Asn1Error, INTEGER, OCTET_STRING, Oid, SEQUENCE, SET, Tlv, UTF8_STRING, bit_string, context, context_primitive, der, der_of,
    integer, object_identifier, oid, sequence, set_of,
};
use crate::sm::{Sm2Signature, Sm3Digest, sm3};

const DATA: &[u8] = b"the document";
const SIGNED_AT: &str = "2026-11-24T06:00:00Z";
const KEY_ID: &[u8] = b"key identifier";

fn name(text: &[u8]) -> Vec<u8> {
    sequence(&[&der(SET, &sequence(&[&object_identifier(Oid(b"\x55\x04\x03")), &der(UTF8_STRING, text)]))])
}

/// What this module looks at in a certificate; keys and dates play no part here.
fn certificate(issuer: &[u8], serial: u64) -> Vec<u8> {
    let key_id = sequence(&[&object_identifier(Oid(b"\x55\x1d\x0e")), &der(OCTET_STRING, &der(OCTET_STRING, KEY_ID))]);
    let tbs = sequence(&[
        &der(context(0), &integer(2)),
        &integer(serial),
        &sequence(&[&object_identifier(oid::SM2_WITH_SM3)]),
        &name(issuer),
        &sequence(&[]),
        &name(b"subject"),
        &sequence(&[]),
        &der(context(3), &sequence(&[&key_id])),
    ]);
    sequence(&[&tbs, &sequence(&[&object_identifier(oid::SM2_WITH_SM3)]), &bit_string(b"signature")])
}

fn signature_value() -> Sm2Signature {
    Sm2Signature { r: [0x81; 32], s: [0x42; 32] }
}

fn draft<'a>(identifiers: Identifiers, content: Content<'a>, certificate: &'a [u8]) -> SignedDataDraft<'a> {
    let attributes = !matches!(content, Content::Digest(_));
    SignedDataDraft {
        identifiers,
        content_type: None,
        content,
        signer_certificate: certificate,
        further_certificates: &[],
        signature_algorithm: oid::SM2_SIGN,
        signing_time: attributes.then(|| SIGNED_AT.parse().unwrap()),
        attributes: &[],
    }
}

fn built(content: Content<'_>) -> SignedData {
    draft(Identifiers::Gm, content, &certificate(b"CA", 7)).to_be_signed().unwrap().assemble(&signature_value()).unwrap()
}

fn detached() -> SignedData {
    built(Content::Detached(sm3(DATA)))
}

#[test]
fn every_form_is_read_back_as_it_was_drafted() {
    let certificate = certificate(b"CA", 7);
    let digest = sm3(DATA);
    for identifiers in [Identifiers::Gm, Identifiers::Pkcs7] {
        for content in [Content::Attached(DATA), Content::Detached(digest), Content::Digest(digest)] {
            let further = [self::certificate(b"Root", 1)];
            let draft = SignedDataDraft { further_certificates: &further, ..draft(identifiers, content, &certificate) };
            let unsigned = draft.to_be_signed().unwrap();
            let signed = unsigned.assemble(&signature_value()).unwrap();
            assert_eq!(unsigned.data_hash(), digest);
            assert_eq!(signed.tolerances(), []);
            let (outer, inner) = match identifiers {
                Identifiers::Gm => (oid::GM_SIGNED_DATA, oid::GM_DATA),
                Identifiers::Pkcs7 => (oid::PKCS7_SIGNED_DATA, oid::PKCS7_DATA),
            };
            assert_eq!((signed.signed_data_type(), signed.content_type(), signed.version()), (outer, inner, 1));
            assert_eq!(signed.certificates(), [certificate.clone(), further[0].clone()]);
            let [signer] = signed.signers() else { panic!("one signer") };
            assert_eq!(signed.certificates_of(signer).collect::<Vec<_>>(), [certificate.as_slice()]);
            assert_eq!(signer.signature(), signature_value().to_der());
            assert_eq!(signer.signature_algorithm().oid(), oid::SM2_SIGN);
            let content_bytes = match content {
                Content::Attached(_) => Some(DATA),
                Content::Detached(_) => None,
                Content::Digest(ref digest) => Some(digest.0.as_slice()),
            };
            assert_eq!(signed.content(), content_bytes);
            assert_eq!(&*signer.signature_input(content_bytes.unwrap_or(DATA)).unwrap(), unsigned.signed_bytes());
            match signer.attributes() {
                None => assert!(matches!(content, Content::Digest(_))),
                Some(attributes) => {
                    assert_eq!(attributes.message_digest(), digest.0);
                    assert_eq!(attributes.content_type(), Some(inner));
                    assert_eq!(attributes.signing_time().unwrap().instant, SIGNED_AT.parse().unwrap());
                    assert_eq!(attributes.signed_bytes()[0], SET);
                }
            }
        }
    }
}

#[test]
fn other_content_types_have_version_3_and_further_attributes_are_kept() {
    let certificate = certificate(b"TSA", 9);
    let draft = SignedDataDraft {
        content_type: Some(oid::TST_INFO),
        attributes: &[(oid::SM3, integer(5))],
        ..draft(Identifiers::Pkcs7, Content::Attached(DATA), &certificate)
    };
    let signed = draft.to_be_signed().unwrap().assemble(&signature_value()).unwrap();
    assert_eq!((signed.version(), signed.content_type()), (3, oid::TST_INFO));
    let attributes = signed.signers()[0].attributes().unwrap();
    assert_eq!(attributes.content_type(), Some(oid::TST_INFO));
    let further = attributes.all().iter().find(|a| a.oid() == oid::SM3).unwrap();
    assert_eq!(further.values, [integer(5)]);
}

#[test]
fn a_form_without_attributes_takes_none() {
    let certificate = certificate(b"CA", 7);
    let plain = draft(Identifiers::Gm, Content::Digest(Sm3Digest([1; 32])), &certificate);
    let with_time = SignedDataDraft { signing_time: Some(Timestamp::UNIX_EPOCH), ..plain.clone() };
    assert_eq!(with_time.to_be_signed().unwrap_err(), BuildError::NoAttributes);
    let with_attribute = SignedDataDraft { attributes: &[(oid::SM3, integer(5))], ..plain.clone() };
    assert_eq!(with_attribute.to_be_signed().unwrap_err(), BuildError::NoAttributes);
    assert_eq!(SignedDataDraft { signer_certificate: b"x", ..plain }.to_be_signed().unwrap_err(), BuildError::Certificate);
}

#[test]
fn a_time_stamp_is_added_without_touching_what_is_signed() {
    let signed = detached();
    let token = sequence(&[&integer(1)]);
    let stamped = add_time_stamp(&signed, 0, &token).unwrap();
    let (before, after) = (&signed.signers()[0], &stamped.signers()[0]);
    assert_eq!(after.time_stamps().collect::<Vec<_>>(), [token.as_slice()]);
    assert_eq!(before.time_stamps().count(), 0);
    assert_eq!((after.attributes(), after.signature(), after.id()), (before.attributes(), before.signature(), before.id()));
    assert_eq!((stamped.certificates(), stamped.content_type()), (signed.certificates(), signed.content_type()));
    assert_eq!(stamped.tolerances(), []);
    assert_eq!(add_time_stamp(&stamped, 0, &token), Err(BuildError::TimeStampPresent));
    assert_eq!(add_time_stamp(&signed, 1, &token), Err(BuildError::NoSigner(1)));
}

#[test]
fn a_time_stamp_joins_other_unauthenticated_attributes() {
    let other = sequence(&[&object_identifier(oid::SM3), &der(SET, &integer(5))]);
    let signed = rebuilt(|signer| signer.push(der(context(1), &other)));
    let stamped = add_time_stamp(&signed, 0, &integer(1)).unwrap();
    let attributes = stamped.signers()[0].unauthenticated_attributes();
    assert_eq!(attributes.len(), 2);
    assert!(attributes.iter().any(|a| a.oid() == oid::SM3 && a.values == [integer(5)]));
    assert_eq!(stamped.signers()[0].time_stamps().collect::<Vec<_>>(), [integer(1).as_slice()]);
}

fn elements(bytes: &[u8]) -> Vec<Vec<u8>> {
    Tlv::read_all(bytes).unwrap().children().unwrap().iter().map(|e| e.raw.to_vec()).collect()
}

/// The detached value with the elements of its signer changed.
fn changed(change: impl FnOnce(&mut Vec<Vec<u8>>)) -> Vec<u8> {
    let signed = detached();
    let outer = elements(signed.raw());
    let explicit = elements(&outer[1]);
    let mut fields = elements(&explicit[0]);
    let signers = fields.pop().unwrap();
    let mut signer = elements(&elements(&signers)[0]);
    change(&mut signer);
    let inner = sequence(&[&fields.concat(), &der(SET, &der(SEQUENCE, &signer.concat()))]);
    sequence(&[&outer[0], &der(context(0), &inner)])
}

fn rebuilt(change: impl FnOnce(&mut Vec<Vec<u8>>)) -> SignedData {
    SignedData::parse(&changed(change)).unwrap()
}

fn attribute(oid: Oid<'_>, values: &[Vec<u8>]) -> Vec<u8> {
    sequence(&[&object_identifier(oid), &der(SET, &values.concat())])
}

fn message_digest() -> Vec<u8> {
    attribute(oid::MESSAGE_DIGEST, &[der(OCTET_STRING, &sm3(DATA).0)])
}

#[test]
fn attributes_that_could_be_read_in_two_ways_are_refused() {
    let digest = || der(OCTET_STRING, &[1; 32]);
    let content_type = attribute(oid::CONTENT_TYPE, &[object_identifier(oid::GM_DATA)]);
    let rows: &[(&str, Vec<Vec<u8>>)] = &[
        ("messageDigest", vec![content_type.clone()]),
        ("messageDigest", vec![message_digest(), message_digest()]),
        ("messageDigest", vec![attribute(oid::MESSAGE_DIGEST, &[digest(), digest()])]),
        ("messageDigest", vec![attribute(oid::MESSAGE_DIGEST, &[])]),
        ("contentType", vec![content_type.clone(), content_type, message_digest()]),
    ];
    for (name, attributes) in rows {
        let bytes = changed(|signer| signer[3] = der(context(0), &attributes.concat()));
        assert_eq!(SignedData::parse(&bytes), Err(CmsError::AttributeCount { attribute: name }));
    }
}

/// A signature over attributes must not be passed off as one over content.
#[test]
fn content_that_is_a_set_of_attributes_is_refused_without_attributes() {
    let attributes = detached().signers()[0].attributes().unwrap().signed_bytes();
    let stripped = rebuilt(|signer| drop(signer.remove(3)));
    let signer = &stripped.signers()[0];
    assert_eq!(signer.signature_input(&attributes), Err(CmsError::ContentLooksLikeAttributes));
    assert_eq!(&*signer.signature_input(DATA).unwrap(), DATA);
}

#[test]
fn attributes_are_signed_as_they_stand_whatever_their_order() {
    let mut attributes = [message_digest(), attribute(oid::CONTENT_TYPE, &[object_identifier(oid::PKCS7_DATA)])];
    attributes.sort();
    attributes.reverse();
    let signed = rebuilt(|signer| signer[3] = der(context(0), &attributes.concat()));
    assert_eq!(&*signed.signers()[0].signature_input(DATA).unwrap(), der(SET, &attributes.concat()));
    assert_eq!(signed.tolerances(), [Tolerance::AttributesNotSorted, Tolerance::ContentTypeDiffers]);
    let alone = rebuilt(|signer| signer[3] = der(context(0), &message_digest()));
    assert_eq!(alone.tolerances(), [Tolerance::ContentTypeMissing]);
}

#[test]
fn variants_seen_in_documents_are_read() {
    let null = sequence(&[&object_identifier(oid::SM3), &[5, 0]]);
    let signed = rebuilt(|signer| signer[2] = null);
    assert_eq!(signed.signers()[0].digest_algorithm().parameters, Some(vec![5, 0]));
    assert_eq!(detached().signers()[0].digest_algorithm().parameters, None);
    assert_eq!(signed.tolerances(), []);
    let raw = rebuilt(|signer| signer[5] = der(OCTET_STRING, &signature_value().to_raw()));
    assert_eq!(raw.signers()[0].signature(), signature_value().to_raw());
    let by_key = rebuilt(|signer| signer[1] = der(context_primitive(0), KEY_ID));
    assert_eq!(by_key.signers()[0].id(), &SignerId::SubjectKeyId(KEY_ID.to_vec()));
    assert_eq!(by_key.certificates_of(&by_key.signers()[0]).count(), 1);
    let stranger = rebuilt(|signer| signer[1] = sequence(&[&name(b"CA"), &integer(8)]));
    assert_eq!(stranger.certificates_of(&stranger.signers()[0]).count(), 0);
    let outer = elements(detached().raw());
    let mixed = SignedData::parse(&sequence(&[&object_identifier(oid::PKCS7_SIGNED_DATA), &outer[1]])).unwrap();
    assert_eq!(mixed.tolerances(), [Tolerance::MixedIdentifiers]);
}

#[test]
fn other_content_infos_are_named() {
    let enveloped = sequence(&[&object_identifier(oid::GM_DATA), &der(context(0), &integer(1))]);
    assert_eq!(SignedData::parse(&enveloped), Err(CmsError::NotSignedData("1.2.156.10197.6.1.4.2.1".to_owned())));
}

#[test]
fn limits_are_refused_as_limits() {
    let many = |field: &'static str, limit| Err(CmsError::Limit { field, limit });
    let attributes = vec![message_digest(); limits::ATTRIBUTES + 1].concat();
    let bytes = changed(|signer| signer[3] = der(context(0), &attributes));
    assert_eq!(SignedData::parse(&bytes), many("authenticatedAttributes", limits::ATTRIBUTES));
    let values = attribute(oid::MESSAGE_DIGEST, &vec![integer(1); limits::ATTRIBUTE_VALUES + 1]);
    let bytes = changed(|signer| signer[3] = der(context(0), &values));
    assert_eq!(SignedData::parse(&bytes), many("authenticatedAttributes", limits::ATTRIBUTE_VALUES));
    let bytes = bundle(&vec![certificate(b"CA", 7); limits::CERTIFICATES + 1]);
    assert_eq!(SignedData::parse(&bytes), many("certificates", limits::CERTIFICATES));
    assert_eq!(SignedData::parse(&vec![0; limits::BYTES + 1]), many("ContentInfo", limits::BYTES));
}

/// A certificate-only bundle (p7b).
fn bundle(certificates: &[Vec<u8>]) -> Vec<u8> {
    let inner = sequence(&[
        &integer(1),
        &set_of(&[]),
        &sequence(&[&object_identifier(oid::PKCS7_DATA)]),
        &der(context(0), &certificates.concat()),
        &set_of(&[]),
    ]);
    sequence(&[&object_identifier(oid::PKCS7_SIGNED_DATA), &der(context(0), &inner)])
}

/// The same value with indefinite lengths on the outer `levels`, following the last element inward.
fn indefinite(value: &[u8], levels: usize) -> Vec<u8> {
    let tlv = Tlv::read_all(value).unwrap();
    if levels == 0 || tlv.tag & 0x20 == 0 {
        return value.to_vec();
    }
    let contents: Vec<Vec<u8>> = tlv.children().unwrap().iter().map(|e| indefinite(e.raw, levels - 1)).collect();
    [&[tlv.tag, 0x80], contents.concat().as_slice(), &[0, 0]].concat()
}

#[test]
fn indefinite_lengths_are_read_and_named() {
    let certificates = [certificate(b"CA", 7), certificate(b"Root", 1)];
    for levels in 1..4 {
        let signed = SignedData::parse(&indefinite(&bundle(&certificates), levels)).unwrap();
        assert_eq!(signed.certificates(), certificates);
        assert_eq!(signed.raw(), bundle(&certificates));
        assert_eq!(signed.tolerances(), [Tolerance::BerEncoding]);
    }
    let ber = indefinite(detached().raw(), 9);
    let signed = SignedData::parse(&ber).unwrap();
    assert_eq!(signed.signers(), detached().signers());
    let padded = SignedData::parse_padded(&[ber.as_slice(), &[0; 5]].concat()).unwrap();
    assert_eq!((padded.signed_data, padded.after), (signed, Vec::new()));
}

#[test]
fn content_in_pieces_is_joined() {
    let pieces = [der(OCTET_STRING, &DATA[..5]), der(OCTET_STRING, &DATA[5..])].concat();
    let whole = der(OCTET_STRING, DATA);
    for in_pieces in [der(0x24, &pieces), [&[0x24, 0x80], pieces.as_slice(), &[0, 0]].concat()] {
        let outer = elements(built(Content::Attached(DATA)).raw());
        let mut fields = elements(&elements(&outer[1])[0]);
        assert_eq!(fields[2], sequence(&[&object_identifier(oid::GM_DATA), &der(context(0), &whole)]));
        fields[2] = sequence(&[&object_identifier(oid::GM_DATA), &der(context(0), &in_pieces)]);
        let bytes = sequence(&[&outer[0], &der_of(context(0), &[&der(SEQUENCE, &fields.concat())])]);
        let signed = SignedData::parse(&bytes).unwrap();
        assert_eq!(signed.content(), Some(DATA));
        assert_eq!(signed.tolerances(), [Tolerance::BerEncoding]);
    }
}

#[test]
fn endless_nesting_is_refused() {
    for bomb in [[0x30, 0x80].repeat(100_000), [0x24, 0x80].repeat(100_000)] {
        assert_eq!(to_definite(&bomb), Err(Asn1Error::Limit));
        assert!(SignedData::parse(&bomb).is_err());
    }
    let mut definite = integer(1);
    for _ in 0..60 {
        definite = der(SEQUENCE, &definite);
    }
    assert_eq!(to_definite(&definite), Err(Asn1Error::Limit));
    assert_eq!(to_definite(&[0x04, 0x80, 0, 0]), Err(Asn1Error::Length));
    assert_eq!(to_definite(&[0x30, 0x80, 0x02]), Err(Asn1Error::Cut));
}

#[test]
fn bytes_after_the_value_are_refused_except_padding_where_it_is_asked_for() {
    let signed = detached();
    let padded = [signed.raw(), &[0; 9]].concat();
    assert!(matches!(SignedData::parse(&padded), Err(CmsError::Field { error: Asn1Error::Trailing, .. })));
    assert_eq!(SignedData::parse_padded(&padded).unwrap(), Padded { signed_data: signed.clone(), after: Vec::new() });
    let second = [signed.raw(), &[0, 7, 0, 0]].concat();
    assert_eq!(SignedData::parse_padded(&second).unwrap().after, [0, 7]);
}

/// All that a verifier looks at, except the raw bytes, which differ anyway.
fn meaning(s: &SignedData) -> String {
    format!(
        "{} {} {:?} {:?} {:?} {:?} {:?} {:?} {:?}",
        s.signed_data_type(),
        s.content_type(),
        s.version(),
        s.digest_algorithms(),
        s.content(),
        s.certificates(),
        s.crls(),
        s.signers(),
        s.tolerances()
    )
}

#[test]
fn every_changed_byte_is_refused_or_seen() {
    for content in [Content::Attached(DATA), Content::Detached(sm3(DATA)), Content::Digest(sm3(DATA))] {
        let signed = add_time_stamp(&built(content), 0, &integer(1)).unwrap();
        let before = meaning(&signed);
        for i in 0..signed.raw().len() {
            for mask in [0x01, 0x80, 0xff] {
                let mut bytes = signed.raw().to_vec();
                bytes[i] ^= mask;
                if let Ok(changed) = SignedData::parse(&bytes) {
                    assert!(meaning(&changed) != before, "byte {i} mask {mask:#x}");
                }
            }
        }
    }
}

#[test]
fn issuer_and_serial_are_those_of_the_certificate() {
    let certificate = certificate(b"CA", 300);
    assert_eq!(issuer_and_serial(&certificate), Some((name(b"CA").as_slice(), [1, 44].as_slice())));
    assert_eq!(issuer_and_serial(&certificate[1..]), None);
    let v1 = sequence(&[&sequence(&[&integer(5), &sequence(&[]), &name(b"CA")]), &sequence(&[]), &bit_string(b"")]);
    assert_eq!(issuer_and_serial(&v1), Some((name(b"CA").as_slice(), [5].as_slice())));
    assert_eq!(Tlv::read_all(&integer(5)).unwrap().tag, INTEGER);
}

proptest! {
    #[test]
    fn reading_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = (SignedData::parse(&bytes), SignedData::parse_padded(&bytes), to_definite(&bytes), issuer_and_serial(&bytes));
    }

    #[test]
    fn reading_a_damaged_value_never_panics(
        levels in 0usize..6,
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = indefinite(detached().raw(), levels);
        for (index, byte) in damage {
            let len = bytes.len();
            bytes[index.index(len)] = byte;
        }
        let _ = SignedData::parse(&bytes);
        bytes.truncate(cut.index(bytes.len()));
        let _ = SignedData::parse_padded(&bytes);
    }

    #[test]
    fn definite_values_stay_byte_for_byte(contents in prop::collection::vec(any::<u8>(), 0..300), levels in 0usize..5) {
        let value = sequence(&[&der(OCTET_STRING, &contents), &integer(contents.len() as u64)]);
        prop_assert_eq!(to_definite(&value).unwrap(), (value.clone(), value.len()));
        let ber = indefinite(&value, levels);
        prop_assert_eq!(to_definite(&ber).unwrap(), (value, ber.len()));
    }

    #[test]
    fn any_attached_content_is_read_back(content in prop::collection::vec(any::<u8>(), 0..70_000)) {
        let signed = built(Content::Attached(&content));
        prop_assert_eq!(signed.content(), Some(content.as_slice()));
        prop_assert_eq!(signed.signers()[0].attributes().unwrap().message_digest().to_vec(), sm3(&content).0.to_vec());
        prop_assert_eq!(SignedData::parse(signed.raw()).unwrap(), signed);
    }
}
