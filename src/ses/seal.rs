//! `SESeal`: who may use it, its picture, and the seal maker's signature.

use std::borrow::Cow;
use std::ops::Range;

use crate::asn1::{BIT_STRING, IA5_STRING, INTEGER, OCTET_STRING, Oid, SEQUENCE, Tlv, context, sequence};

use super::read::{Fields, Notes, SesError, at, limits, within};
use super::{CertList, Extension, Picture, Property, Tolerance, Version, extension};

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
        let vid = header.text("header.Vid", IA5_STRING, limits::TEXT_BYTES)?;
        header.end("header")?;
        let es_id = fields.text("esID", IA5_STRING, limits::TEXT_BYTES)?;
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
