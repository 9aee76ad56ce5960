//! What an unknown blob is, by its contents (ses.md §7). File names and declared types play no part.

use crate::asn1::{BIT_STRING, GENERALIZED_TIME, IA5_STRING, INTEGER, OCTET_STRING, OID, SEQUENCE, Tag, Tlv, UTC_TIME, context};

use super::Version;

/// Longest text that is decoded: the largest seal in base64, with its line breaks and PEM armour.
const MAX_TEXT: usize = 12 << 20;

/// What bytes look like from outside. Being of a kind does not mean that the whole of it parses.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Kind {
    /// `SEQUENCE { r INTEGER, s INTEGER }`
    BareSignature,
    /// An X.509 certificate
    Certificate,
    /// A certificate revocation list
    CertificateList,
    /// ContentInfo of CMS, PKCS#7 or GB/T 35275: it begins with an OID
    Cms,
    /// A ZIP archive, as OFD packages are
    Ofd,
    /// A PDF
    Pdf,
    /// SESeal
    Seal(Version),
    /// SES_Signature
    Signature(Version),
    /// PEM or base64 text; [`decode_text`] gives what is inside
    Text,
    /// None of these
    Unknown,
}

/// Looks at the outermost structure of `bytes`. Zeros after it do not matter.
pub fn detect(bytes: &[u8]) -> Kind {
    match bytes {
        [b'P', b'K', 3 | 5, 4 | 6, ..] => Kind::Ofd,
        [SEQUENCE, 0x80, OID, ..] => Kind::Cms, // BER, indefinite length
        [SEQUENCE | OCTET_STRING, ..] => Tlv::read(bytes).map_or(Kind::Unknown, |(tlv, _)| of_value(tlv)),
        // Readers accept a PDF header within the first kilobyte.
        _ if bytes[..bytes.len().min(1024)].windows(5).any(|w| w == b"%PDF-") => Kind::Pdf,
        _ if decode_text(bytes).is_some() => Kind::Text,
        _ => Kind::Unknown,
    }
}

/// The bytes inside the first PEM block of `bytes`, or inside base64 text without armour. `None` when it is neither.
pub fn decode_text(bytes: &[u8]) -> Option<Vec<u8>> {
    use base64::Engine as _;

    const BEGIN: &str = "-----BEGIN ";
    const DASHES: &str = "-----";
    if bytes.len() > MAX_TEXT || !bytes.is_ascii() {
        return None;
    }
    let text = std::str::from_utf8(bytes).ok()?;
    let body = match text.find(BEGIN) {
        Some(start) => {
            let armour = &text[start + BEGIN.len()..];
            let body = &armour[armour.find(DASHES)? + DASHES.len()..];
            &body[..body.find(DASHES)?]
        }
        None => text,
    };
    let digits: Vec<u8> = body.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
    if digits.is_empty() {
        return None;
    }
    let unpadded = digits.strip_suffix(b"==").or(digits.strip_suffix(b"=")).unwrap_or(&digits);
    base64::engine::general_purpose::STANDARD_NO_PAD.decode(unpadded).ok()
}

fn of_value(tlv: Tlv<'_>) -> Kind {
    match tlv.tag {
        // Some wrap a seal (ses.md §6.5); nothing else in an OCTET STRING is looked for.
        OCTET_STRING => match Tlv::read_all(tlv.value).map(of_sequence) {
            Ok(kind @ Kind::Seal(_)) => kind,
            _ => Kind::Unknown,
        },
        _ => of_sequence(tlv),
    }
}

fn of_sequence(outer: Tlv<'_>) -> Kind {
    if outer.tag != SEQUENCE {
        return Kind::Unknown;
    }
    let elements = first_elements(outer);
    let tags: Vec<Tag> = elements.iter().map(|e| e.tag).collect();
    match tags.as_slice() {
        [OID, ..] => Kind::Cms,
        [INTEGER, INTEGER] => Kind::BareSignature,
        [SEQUENCE, SEQUENCE, BIT_STRING] => of_x509(elements[0]),
        [SEQUENCE, rest @ ..] => {
            let first = first_elements(elements[0]);
            match first.first().map(|e| e.tag) {
                Some(SEQUENCE) => seal_version(outer).map_or(Kind::Unknown, Kind::Seal),
                Some(INTEGER) => signature_version(&first, rest.len() + 1).map_or(Kind::Unknown, Kind::Signature),
                _ => Kind::Unknown,
            }
        }
        _ => Kind::Unknown,
    }
}

/// At most six elements: no structure that is recognised has more outside. Stops at the first that is cut.
fn first_elements(tlv: Tlv<'_>) -> Vec<Tlv<'_>> {
    let mut reader = tlv.elements();
    std::iter::from_fn(|| reader.any().ok()).take(6).collect()
}

/// Version of a SESeal by its structure, or nothing.
fn seal_version(seal: Tlv<'_>) -> Option<Version> {
    let elements = first_elements(seal);
    let info = first_elements(*elements.first()?);
    let header = first_elements(info.first()?.expect(SEQUENCE).ok()?);
    let [id, number, ..] = header.as_slice() else { return None };
    if id.tag != IA5_STRING || id.value != b"ES" {
        return None;
    }
    match (elements.len(), number.small_integer().ok()) {
        (2, _) => Some(Version::V1),
        (4, Some(5)) | (5, _) => Some(Version::V5),
        (4, _) => Some(Version::V4),
        _ => None,
    }
}

/// Version of a SES_Signature from the first elements of its TBS_Sign and the number of its own elements.
fn signature_version(tbs: &[Tlv<'_>], elements: usize) -> Option<Version> {
    let [_version, eseal, ..] = tbs else { return None };
    let eseal = if eseal.tag == OCTET_STRING { Tlv::read_all(eseal.value).ok()? } else { *eseal };
    let seal = seal_version(eseal)?;
    match elements {
        2 => Some(Version::V1),
        4 | 5 if seal == Version::V5 => Some(Version::V5),
        4 | 5 => Some(Version::V4),
        _ => None,
    }
}

/// A certificate or a list, from the part that its issuer signed.
fn of_x509(tbs: Tlv<'_>) -> Kind {
    let tags: Vec<Tag> = first_elements(tbs).iter().map(|e| e.tag).collect();
    match tags.as_slice() {
        [tag, INTEGER, SEQUENCE, ..] if *tag == context(0) => Kind::Certificate,
        [INTEGER, SEQUENCE, SEQUENCE, SEQUENCE, ..] => Kind::Certificate,
        [INTEGER, SEQUENCE, SEQUENCE, UTC_TIME | GENERALIZED_TIME, ..]
        | [SEQUENCE, SEQUENCE, UTC_TIME | GENERALIZED_TIME, ..] => Kind::CertificateList,
        _ => Kind::Unknown,
    }
}
