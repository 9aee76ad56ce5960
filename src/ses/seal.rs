//! `SESeal`: who may use it, its picture, and the seal maker's signature.

use std::borrow::Cow;
use std::ops::Range;

use crate::asn1::{
    BIT_STRING, GENERALIZED_TIME, IA5_STRING, INTEGER, OCTET_STRING, Oid, PRINTABLE_STRING, SEQUENCE, Tlv, UTC_TIME, UTF8_STRING,
    context, sequence,
};

use super::read::{Fields, Notes, SesError, at, limits, within};
use super::{Extension, Time, Tolerance, Version, extension, time};

/// A seal, with the bytes it was read from.
///
/// V1: `SEQUENCE { esealInfo, signInfo }`; V4: `SEQUENCE { eSealInfo, cert, signAlgID, signedValue }`; V5 the same and
/// `timeStamp [0] BIT STRING OPTIONAL`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Seal {
    raw: Vec<u8>,
    version: Version,
    info: Range<usize>,
    header_version: u64,
    vid: String,
    es_id: String,
    property: Property,
    picture: Picture,
    extensions: Vec<Extension>,
    maker_certificate: Vec<u8>,
    /// The certificate's element as it stands, which a V1 maker signs too.
    maker_certificate_element: Vec<u8>,
    algorithm: Vec<u8>,
    signature: Vec<u8>,
    time_stamp: Option<Vec<u8>>,
    tolerances: Vec<Tolerance>,
}

/// `SES_ESPropertyInfo`
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Property {
    /// `type`, of business meaning: 1 unit seal and 2 personal seal in the text, others in use.
    pub kind: u64,
    /// `name`
    pub name: String,
    /// `certListType`: 1 certificates, 2 digests; V1 seals have none. The list itself decides what it is.
    pub cert_list_type: Option<u64>,
    /// `certList`: who may use the seal.
    pub cert_list: CertList,
    /// Elements of certList that are neither, as they stand. They list nobody.
    pub odd_elements: Vec<Vec<u8>>,
    /// `createDate`
    pub created: Time,
    /// `validStart`
    pub valid_from: Time,
    /// `validEnd`
    pub valid_to: Time,
}

/// `SES_CertList`
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum CertList {
    /// DER certificates, compared byte for byte with the signer's.
    Certificates(Vec<Vec<u8>>),
    /// Digests of certificates.
    Digests(Vec<CertDigest>),
}

/// `CertDigestObj`
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CertDigest {
    /// `type`, free text; no standard value is known.
    pub kind: String,
    /// `value`
    pub value: Vec<u8>,
}

/// `SES_ESPictureInfo`
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Picture {
    /// `type` as written: `PNG`, `gif`, `ofd` …
    pub kind: String,
    /// What `data` is, by its first bytes.
    pub format: PictureFormat,
    /// `data`
    pub data: Vec<u8>,
    /// `width` in mm
    pub width_mm: u64,
    /// `height` in mm
    pub height_mm: u64,
}

/// Format of a picture, by its first bytes.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum PictureFormat {
    /// `BM`
    Bmp,
    /// `GIF8`
    Gif,
    /// `ff d8 ff`
    Jpeg,
    /// A package (`PK`): the picture is its first page.
    Ofd,
    /// `89 PNG`
    Png,
    /// XML with an `svg` element near its start
    Svg,
    /// None of these
    Unknown,
}

impl PictureFormat {
    /// By the first bytes of `data`.
    pub fn of(data: &[u8]) -> Self {
        match data {
            [b'B', b'M', ..] => Self::Bmp,
            [b'G', b'I', b'F', b'8', ..] => Self::Gif,
            [0xff, 0xd8, 0xff, ..] => Self::Jpeg,
            [b'P', b'K', 3, 4, ..] => Self::Ofd,
            [0x89, b'P', b'N', b'G', ..] => Self::Png,
            _ if data.iter().find(|b| !b.is_ascii_whitespace() && !b"\xef\xbb\xbf".contains(b)) == Some(&b'<')
                && data[..data.len().min(4096)].windows(4).any(|w| w == b"<svg") =>
            {
                Self::Svg
            }
            _ => Self::Unknown,
        }
    }

    /// Whether a picture's `type` text names this format. Case is free; so are the usual other spellings.
    fn is_named(self, kind: &str) -> bool {
        let names: &[&str] = match self {
            Self::Bmp => &["bmp"],
            Self::Gif => &["gif"],
            Self::Jpeg => &["jpg", "jpeg"],
            Self::Ofd => &["ofd"],
            Self::Png => &["png"],
            Self::Svg => &["svg"],
            Self::Unknown => &[],
        };
        names.iter().any(|name| kind.trim().trim_start_matches('.').eq_ignore_ascii_case(name))
    }
}

impl Seal {
    /// Reads a seal that is all of `bytes`.
    pub fn parse(bytes: &[u8]) -> Result<Self, SesError> {
        within("SESeal", bytes.len(), limits::BYTES)?;
        Self::read(Tlv::read_all(bytes).map_err(at("SESeal"))?)
    }

    /// Reads a seal from the value it stands in: its SEQUENCE, or an OCTET STRING around that.
    pub(super) fn read(tlv: Tlv<'_>) -> Result<Self, SesError> {
        let mut notes = Notes::default();
        let seal = match tlv.tag {
            OCTET_STRING => {
                notes.add(Tolerance::SealInOctetString);
                Tlv::read_all(tlv.value).map_err(at("SESeal"))?
            }
            _ => tlv,
        };
        let seal = seal.expect(SEQUENCE).map_err(at("SESeal"))?;
        let elements = count("SESeal", seal)?;
        let mut fields = Fields::of(seal, &mut notes);
        let info_tlv = fields.next("esealInfo", SEQUENCE)?;
        let header_version = header_version(info_tlv)?;
        let version = match elements {
            2 => Version::V1,
            4 if header_version != 5 => Version::V4,
            4 | 5 => Version::V5,
            _ => return Err(SesError::Shape { structure: "SESeal", elements }),
        };
        let info = Info::read(info_tlv, version, fields.notes)?;
        let sign = if version == Version::V1 { sign_info(&mut fields)? } else { SignInfo::read(&mut fields, "signedValue")? };
        let time_stamp = time_stamp(&mut fields)?;
        fields.end("SESeal")?;
        let start = info_tlv.raw.as_ptr() as usize - seal.raw.as_ptr() as usize;
        Ok(Self {
            raw: seal.raw.to_vec(),
            version,
            info: start..start + info_tlv.raw.len(),
            header_version,
            vid: info.vid,
            es_id: info.es_id,
            property: info.property,
            picture: info.picture,
            extensions: info.extensions,
            maker_certificate: sign.certificate,
            maker_certificate_element: sign.certificate_element,
            algorithm: sign.algorithm,
            signature: sign.signature,
            time_stamp,
            tolerances: notes.finish(),
        })
    }

    /// DER of the seal exactly as received, without what it was wrapped in.
    pub fn raw(&self) -> &[u8] {
        &self.raw
    }

    /// Which standard's structure it has.
    pub fn version(&self) -> Version {
        self.version
    }

    /// `header.version`: 4 and 5 for those standards; free before (1 and 2 are in use).
    pub fn header_version(&self) -> u64 {
        self.header_version
    }

    /// Whether [`Self::header_version`] belongs to another standard than the structure.
    pub fn has_version_mismatch(&self) -> bool {
        match self.version {
            Version::V1 => self.header_version == 4 || self.header_version == 5,
            Version::V4 => self.header_version != 4,
            Version::V5 => self.header_version != 5,
        }
    }

    /// `header.Vid`, the vendor.
    pub fn vid(&self) -> &str {
        &self.vid
    }

    /// `esID`, the seal's number.
    pub fn es_id(&self) -> &str {
        &self.es_id
    }

    /// `property`
    pub fn property(&self) -> &Property {
        &self.property
    }

    /// `picture`
    pub fn picture(&self) -> &Picture {
        &self.picture
    }

    /// `extDatas`
    pub fn extensions(&self) -> &[Extension] {
        &self.extensions
    }

    /// Critical extensions. The standards define none and no processing rule, so every one is unknown.
    pub fn critical_extensions(&self) -> impl Iterator<Item = &Extension> {
        self.extensions.iter().filter(|e| e.critical)
    }

    /// DER of the seal maker's certificate.
    pub fn maker_certificate(&self) -> &[u8] {
        &self.maker_certificate
    }

    /// The maker's signature algorithm.
    pub fn signature_algorithm(&self) -> Oid<'_> {
        Oid(&self.algorithm)
    }

    /// What the seal maker signed: V1 `SEQUENCE { esealInfo, cert, signatureAlgorithm }` of the parts as they stand; later the
    /// eSealInfo alone.
    pub fn signed_bytes(&self) -> Cow<'_, [u8]> {
        let info = &self.raw[self.info.clone()];
        match self.version {
            Version::V1 => v1_signed_bytes(info, &self.maker_certificate_element, &self.algorithm).into(),
            Version::V4 | Version::V5 => info.into(),
        }
    }

    /// The signature value: contents of the BIT STRING. Read it with [`crate::sm::read_signature`].
    pub fn signature(&self) -> &[u8] {
        &self.signature
    }

    /// DER of the time stamp over [`Self::signature`], unjudged. Present in V5 only.
    pub fn time_stamp(&self) -> Option<&[u8]> {
        self.time_stamp.as_deref()
    }

    /// What was accepted although the standards do not allow it, each once, in order of name.
    pub fn tolerances(&self) -> &[Tolerance] {
        &self.tolerances
    }

    /// Whether the seal lists exactly this certificate, byte for byte. `None` when the seal lists digests instead.
    pub fn lists_certificate(&self, certificate: &[u8]) -> Option<bool> {
        match &self.property.cert_list {
            CertList::Certificates(list) => Some(list.iter().any(|c| c == certificate)),
            CertList::Digests(_) => None,
        }
    }
}

/// What a V1 seal maker signs, from the parts as they stand; `algorithm` is the OID's contents octets.
pub(super) fn v1_signed_bytes(info: &[u8], certificate_element: &[u8], algorithm: &[u8]) -> Vec<u8> {
    sequence(&[info, certificate_element, &crate::asn1::object_identifier(Oid(algorithm))])
}

/// Elements of an outer SEQUENCE; more than five are as wrong as six.
pub(super) fn count(structure: &'static str, outer: Tlv<'_>) -> Result<usize, SesError> {
    let mut reader = outer.elements();
    let mut n = 0;
    while !reader.is_empty() && n < 6 {
        reader.any().map_err(at(structure))?;
        n += 1;
    }
    Ok(n)
}

/// Number in the header of an esealInfo, read ahead because it decides between V4 and V5.
pub(super) fn header_version(info: Tlv<'_>) -> Result<u64, SesError> {
    let mut header = info.elements().next(SEQUENCE).map_err(at("header"))?.elements();
    header.next(IA5_STRING).map_err(at("header.ID"))?;
    header.next(INTEGER).and_then(Tlv::small_integer).map_err(at("header.version"))
}

/// `timeStamp`, if one follows: `[0]` EXPLICIT or IMPLICIT, or an untagged BIT STRING.
pub(super) fn time_stamp(fields: &mut Fields<'_, '_>) -> Result<Option<Vec<u8>>, SesError> {
    const FIELD: &str = "timeStamp";
    let bits = match fields.peek() {
        None => return Ok(None),
        Some(tag) if tag == context(0) => {
            let explicit = fields.any(FIELD)?;
            let mut inner = Fields::of(explicit, fields.notes);
            let bits = inner.bits(FIELD, limits::BYTES)?;
            inner.end(FIELD)?;
            bits
        }
        Some(0x80) => {
            fields.notes.add(Tolerance::TimeStampImplicit);
            let implicit = fields.any(FIELD)?;
            Tlv { tag: BIT_STRING, ..implicit }.bit_string().map_err(at(FIELD))?
        }
        Some(_) => {
            let bits = fields.bits(FIELD, limits::BYTES)?;
            fields.notes.add(Tolerance::TimeStampUntagged);
            bits
        }
    };
    Ok(Some(bits.to_vec()))
}

/// Certificate, algorithm and value of the seal maker's signature.
struct SignInfo {
    certificate: Vec<u8>,
    certificate_element: Vec<u8>,
    algorithm: Vec<u8>,
    signature: Vec<u8>,
}

impl SignInfo {
    fn read(fields: &mut Fields<'_, '_>, value: &'static str) -> Result<Self, SesError> {
        let (element, certificate) = fields.certificate("cert")?;
        Ok(Self {
            certificate: certificate.to_vec(),
            certificate_element: element.to_vec(),
            algorithm: fields.oid("signatureAlgorithm")?,
            signature: fields.bits(value, limits::SIGNATURE_BYTES)?.to_vec(),
        })
    }
}

/// `SES_SignInfo` of a V1 seal: a SEQUENCE, or a BIT STRING around it.
fn sign_info(fields: &mut Fields<'_, '_>) -> Result<SignInfo, SesError> {
    const FIELD: &str = "signInfo";
    let tlv = match fields.optional(FIELD, BIT_STRING)? {
        Some(bits) => {
            fields.notes.add(Tolerance::SignInfoInBitString);
            let inner = bits.bit_string().and_then(Tlv::read_all).map_err(at(FIELD))?;
            inner.expect(SEQUENCE).map_err(at(FIELD))?
        }
        None => fields.next(FIELD, SEQUENCE)?,
    };
    let mut inner = Fields::of(tlv, fields.notes);
    let sign = SignInfo::read(&mut inner, "signData")?;
    inner.end(FIELD)?;
    Ok(sign)
}

/// `SES_SealInfo`
struct Info {
    vid: String,
    es_id: String,
    property: Property,
    picture: Picture,
    extensions: Vec<Extension>,
}

impl Info {
    fn read(tlv: Tlv<'_>, version: Version, notes: &mut Notes) -> Result<Self, SesError> {
        let mut fields = Fields::of(tlv, notes);
        let header = fields.next("header", SEQUENCE)?;
        let mut header = Fields::of(header, fields.notes);
        if header.next("header.ID", IA5_STRING)?.value != b"ES" {
            return Err(SesError::HeaderId);
        }
        header.integer("header.version")?;
        let (vid, _) = header.text("header.Vid", IA5_STRING, limits::TEXT_BYTES)?;
        header.end("header")?;
        let (es_id, _) = fields.text("esID", IA5_STRING, limits::TEXT_BYTES)?;
        let property = fields.next("property", SEQUENCE)?;
        let property = Property::read(property, version, fields.notes)?;
        let picture = fields.next("picture", SEQUENCE)?;
        let picture = Picture::read(picture, fields.notes)?;
        let extensions = match fields.peek() {
            None => Vec::new(),
            Some(SEQUENCE) => {
                let list = fields.next("extDatas", SEQUENCE)?;
                extension::read(list, fields.notes)?
            }
            Some(_) => {
                let tagged = fields.next("extDatas", context(0))?;
                fields.notes.add(Tolerance::ExtensionsTagged);
                let list = Tlv::read_all(tagged.value).and_then(|l| l.expect(SEQUENCE)).map_err(at("extDatas"))?;
                extension::read(list, fields.notes)?
            }
        };
        fields.end("esealInfo")?;
        Ok(Self { vid, es_id, property, picture, extensions })
    }
}

impl Property {
    fn read(tlv: Tlv<'_>, version: Version, notes: &mut Notes) -> Result<Self, SesError> {
        let mut fields = Fields::of(tlv, notes);
        let kind = fields.integer("property.type")?;
        let (name, _) = fields.text("name", UTF8_STRING, limits::TEXT_BYTES)?;
        let cert_list_type = if fields.peek() == Some(INTEGER) { Some(fields.integer("certListType")?) } else { None };
        let list = fields.next("certList", SEQUENCE)?;
        let (cert_list, odd_elements) = CertList::read(list, fields.notes)?;
        let expected_type = match (version, &cert_list) {
            (Version::V1, _) => None,
            (_, CertList::Certificates(_)) => Some(1),
            (_, CertList::Digests(_)) => Some(2),
        };
        if cert_list_type != expected_type {
            fields.notes.add(Tolerance::CertListTypeMismatch);
        }
        let time_type = if version == Version::V1 { UTC_TIME } else { GENERALIZED_TIME };
        let mut date = |field| {
            let tlv = fields.any(field)?;
            time::read(field, tlv, time_type, fields.notes)
        };
        let (created, valid_from, valid_to) = (date("createDate")?, date("validStart")?, date("validEnd")?);
        fields.end("property")?;
        Ok(Self { kind, name, cert_list_type, cert_list, odd_elements, created, valid_from, valid_to })
    }
}

impl CertList {
    /// What kind of list it is, its first well-formed element decides; elements of the other kind are odd.
    fn read(list: Tlv<'_>, notes: &mut Notes) -> Result<(Self, Vec<Vec<u8>>), SesError> {
        let mut fields = Fields::of(list, notes);
        let (mut certificates, mut digests, mut odd) = (Vec::new(), Vec::new(), Vec::new());
        while fields.peek().is_some() {
            within("certList", certificates.len() + digests.len() + odd.len() + 1, limits::CERTIFICATES)?;
            let element = fields.any("certList")?;
            within("certList", element.value.len(), limits::CERTIFICATE_BYTES)?;
            match element.tag {
                OCTET_STRING if digests.is_empty() => certificates.push(element.value.to_vec()),
                SEQUENCE => match CertDigest::read(element, fields.notes) {
                    Some(digest) if certificates.is_empty() => digests.push(digest),
                    None if digests.is_empty() && is_certificate(element) => {
                        fields.notes.add(Tolerance::CertificateUnwrapped);
                        certificates.push(element.raw.to_vec());
                    }
                    _ => odd.push(element.raw.to_vec()),
                },
                _ => odd.push(element.raw.to_vec()),
            }
        }
        if !odd.is_empty() {
            notes.add(Tolerance::CertListOddElement);
        }
        let list = if digests.is_empty() { Self::Certificates(certificates) } else { Self::Digests(digests) };
        Ok((list, odd))
    }
}

impl CertDigest {
    /// `SEQUENCE { type PrintableString, value OCTET STRING }`, or nothing.
    fn read(tlv: Tlv<'_>, notes: &mut Notes) -> Option<Self> {
        let mut elements = tlv.elements();
        let kind = elements.any().ok()?;
        let value = elements.next(OCTET_STRING).ok()?.value.to_vec();
        elements.end().ok()?;
        let text = kind.text()?;
        if kind.tag != PRINTABLE_STRING {
            notes.add(Tolerance::StringType);
        }
        Some(Self { kind: text, value })
    }
}

fn is_certificate(tlv: Tlv<'_>) -> bool {
    matches!(tlv.children().as_deref(), Ok([tbs, algorithm, value])
        if (tbs.tag, algorithm.tag, value.tag) == (SEQUENCE, SEQUENCE, BIT_STRING))
}

impl Picture {
    /// A picture of `data`, its format found by its first bytes.
    pub fn new(kind: &str, data: Vec<u8>, width_mm: u64, height_mm: u64) -> Self {
        Self { kind: kind.to_owned(), format: PictureFormat::of(&data), data, width_mm, height_mm }
    }

    fn read(tlv: Tlv<'_>, notes: &mut Notes) -> Result<Self, SesError> {
        let mut fields = Fields::of(tlv, notes);
        let (kind, _) = fields.text("picture.type", IA5_STRING, limits::TEXT_BYTES)?;
        let data = fields.next("picture.data", OCTET_STRING)?.value;
        within("picture.data", data.len(), limits::PICTURE_BYTES)?;
        let (width_mm, height_mm) = (fields.integer("picture.width")?, fields.integer("picture.height")?);
        let format = PictureFormat::of(data);
        if !format.is_named(&kind) {
            fields.notes.add(Tolerance::PictureTypeDiffers);
        }
        fields.end("picture")?;
        Ok(Self { kind, format, data: data.to_vec(), width_mm, height_mm })
    }
}
