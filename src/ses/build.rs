//! Making seals and seal signatures: strict DER, in two steps, because the signature comes from a token in between.
//!
//! [`SealDraft`] → [`UnsignedSeal`] → [`Seal`] and [`TbsDraft`] → [`TbsSign`] → [`SesSignature`]. What is assembled is read back with
//! our own reader before it is given out, so nothing leaves here that its limits or rules refuse, or that needed a tolerance.

use jiff::Timestamp;

use crate::asn1::{
    BOOLEAN, IA5_STRING, OCTET_STRING, PRINTABLE_STRING, SEQUENCE, Tlv, UTF8_STRING, bit_string, context, der, der_of, integer,
    object_identifier, oid, sequence,
};
use crate::sm::{Sm2Signature, Sm3Digest};

use super::seal::v1_signed_bytes;
use super::time::{generalized_time, utc_time};
use super::{CertList, Extension, Picture, Seal, SesError, SesSignature, Tolerance, Version};

/// Why a seal or signature cannot be built.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// A V1 seal lists certificates only.
    #[error("a V1 seal cannot list certificate digests")]
    DigestsInV1,
    /// Nobody could use the seal.
    #[error("the seal lists no certificate")]
    NobodyListed,
    /// An IA5String or PrintableString with other characters.
    #[error("{field} may only hold {allowed} characters")]
    Characters {
        /// The standard's name of the field.
        field: &'static str,
        /// `ASCII` or `PrintableString`
        allowed: &'static str,
    },
    /// The picture has no size.
    #[error("width and height of the picture must be at least 1 mm")]
    PictureSize,
    /// What was built is not what the reader takes without tolerance.
    #[error("the result is not readable: {0}")]
    Unreadable(#[from] SesError),
    /// What was built would need a tolerance to be read.
    #[error("the result is not strict: {}", .0.name())]
    NotStrict(Tolerance),
    /// A year that the time type cannot express.
    #[error("{field} cannot be expressed")]
    Time {
        /// The standard's name of the field.
        field: &'static str,
    },
    /// There is a time stamp already.
    #[error("a time stamp is present already")]
    TimeStampPresent,
    /// This version has no place for a time stamp (seals before V5, signatures before V4).
    #[error("{0} has no place for a time stamp")]
    TimeStampUnsupported(Version),
    /// validStart is not before validEnd.
    #[error("validStart is not before validEnd")]
    Validity,
}

/// What a seal shall say.
#[derive(Clone, Debug)]
pub struct SealDraft {
    /// `esID`, ASCII
    pub es_id: String,
    /// `header.Vid`, ASCII
    pub vid: String,
    /// `property.type`
    pub kind: u64,
    /// `name`
    pub name: String,
    /// `certList`
    pub cert_list: CertList,
    /// `createDate`
    pub created: Timestamp,
    /// `validStart`
    pub valid_from: Timestamp,
    /// `validEnd`
    pub valid_to: Timestamp,
    /// `picture`
    pub picture: Picture,
    /// `extDatas`; none are written when empty.
    pub extensions: Vec<Extension>,
}

impl SealDraft {
    /// The seal in the structure of `version`, ready for the signature of the maker whose DER certificate is given.
    pub fn to_be_signed(&self, version: Version, maker_certificate: &[u8]) -> Result<UnsignedSeal, BuildError> {
        if self.valid_from >= self.valid_to {
            return Err(BuildError::Validity);
        }
        if self.picture.width_mm == 0 || self.picture.height_mm == 0 {
            return Err(BuildError::PictureSize);
        }
        let header_version = match version {
            Version::V1 => 1,
            Version::V4 => 4,
            Version::V5 => 5,
        };
        let header = sequence(&[&ia5("header.ID", "ES")?, &integer(header_version), &ia5("header.Vid", &self.vid)?]);
        let picture = sequence(&[
            &ia5("picture.type", &self.picture.kind)?,
            &der(OCTET_STRING, &self.picture.data),
            &integer(self.picture.width_mm),
            &integer(self.picture.height_mm),
        ]);
        let mut info = vec![header, ia5("esID", &self.es_id)?, self.property(version)?, picture];
        if !self.extensions.is_empty() {
            info.push(extension_datas(&self.extensions));
        }
        Ok(UnsignedSeal { version, info: der(SEQUENCE, &info.concat()), maker_certificate: maker_certificate.to_vec() })
    }

    fn property(&self, version: Version) -> Result<Vec<u8>, BuildError> {
        let (list_type, elements) = match &self.cert_list {
            CertList::Certificates(list) => (1, list.iter().map(|c| der(OCTET_STRING, c)).collect::<Vec<_>>()),
            CertList::Digests(_) if version == Version::V1 => return Err(BuildError::DigestsInV1),
            CertList::Digests(list) => {
                let element = |d: &super::CertDigest| Ok(sequence(&[&printable(&d.kind)?, &der(OCTET_STRING, &d.value)]));
                (2, list.iter().map(element).collect::<Result<_, BuildError>>()?)
            }
        };
        if elements.is_empty() {
            return Err(BuildError::NobodyListed);
        }
        let time = |field, time| {
            let written = if version == Version::V1 { utc_time(time) } else { generalized_time(time) };
            written.ok_or(BuildError::Time { field })
        };
        let list_type = if version == Version::V1 { Vec::new() } else { integer(list_type) };
        Ok(sequence(&[
            &integer(self.kind),
            &der(UTF8_STRING, self.name.as_bytes()),
            &list_type,
            &der(SEQUENCE, &elements.concat()),
            &time("createDate", self.created)?,
            &time("validStart", self.valid_from)?,
            &time("validEnd", self.valid_to)?,
        ]))
    }
}

/// A seal that lacks its maker's signature.
#[derive(Clone, Debug)]
pub struct UnsignedSeal {
    version: Version,
    info: Vec<u8>,
    maker_certificate: Vec<u8>,
}

impl UnsignedSeal {
    /// What the maker signs (SM2 over SM3 with Z).
    pub fn signed_bytes(&self) -> Vec<u8> {
        match self.version {
            Version::V1 => v1_signed_bytes(&self.info, &der(OCTET_STRING, &self.maker_certificate), oid::SM2_WITH_SM3.0),
            Version::V4 | Version::V5 => self.info.clone(),
        }
    }

    /// The seal with its maker's signature. A time stamp over it (V5) comes afterwards: [`add_seal_time_stamp`].
    pub fn assemble(&self, signature: &Sm2Signature) -> Result<Seal, BuildError> {
        let sign =
            [der(OCTET_STRING, &self.maker_certificate), object_identifier(oid::SM2_WITH_SM3), bit_string(&signature.to_der())]
                .concat();
        let sign = if self.version == Version::V1 { der(SEQUENCE, &sign) } else { sign };
        strict_seal(&sequence(&[&self.info, &sign]))
    }
}

/// The V5 seal with `time_stamp`, the DER of a token over [`Seal::signature`]. Everything else stays byte for byte.
pub fn add_seal_time_stamp(seal: &Seal, time_stamp: &[u8]) -> Result<Seal, BuildError> {
    if seal.version() != Version::V5 {
        return Err(BuildError::TimeStampUnsupported(seal.version()));
    }
    if seal.time_stamp().is_some() {
        return Err(BuildError::TimeStampPresent);
    }
    Ok(Seal::parse(&with_time_stamp(seal.raw(), time_stamp)?)?)
}

/// What a seal signature shall say. Its version is that of the seal, as the standards demand.
#[derive(Clone, Debug)]
pub struct TbsDraft<'a> {
    /// The seal, embedded byte for byte.
    pub seal: &'a Seal,
    /// `timeInfo`
    pub time: Timestamp,
    /// `dataHash`
    pub data_hash: Sm3Digest,
    /// `propertyInfo`, ASCII: for OFD the absolute path of Signature.xml.
    pub property_info: &'a str,
    /// DER of the signer's certificate.
    pub signer_certificate: &'a [u8],
}

impl TbsDraft<'_> {
    /// The bytes that the signer signs, and what else the signature needs.
    pub fn to_be_signed(&self) -> Result<TbsSign, BuildError> {
        let version = self.seal.version();
        let number = integer(self.seal.header_version());
        let no_time = BuildError::Time { field: "timeInfo" };
        let data_hash = bit_string(&self.data_hash.0);
        let property_info = ia5("propertyInfo", self.property_info)?;
        let bytes = match version {
            Version::V1 => sequence(&[
                &number,
                self.seal.raw(),
                &bit_string(&utc_time(self.time).ok_or(no_time)?),
                &data_hash,
                &property_info,
                &der(OCTET_STRING, self.signer_certificate),
                &object_identifier(oid::SM2_WITH_SM3),
            ]),
            Version::V4 | Version::V5 => {
                sequence(&[&number, self.seal.raw(), &generalized_time(self.time).ok_or(no_time)?, &data_hash, &property_info])
            }
        };
        Ok(TbsSign {
            version,
            bytes,
            seal_raw: self.seal.raw().to_vec(),
            data_hash: self.data_hash,
            property_info: self.property_info.to_owned(),
            signer_certificate: self.signer_certificate.to_vec(),
        })
    }
}

/// A `TBS_Sign`, ready for the signer's signature. Made only by [`TbsDraft::to_be_signed`], so its parts are what its bytes say.
#[derive(Clone, Debug)]
pub struct TbsSign {
    version: Version,
    bytes: Vec<u8>,
    seal_raw: Vec<u8>,
    data_hash: Sm3Digest,
    property_info: String,
    signer_certificate: Vec<u8>,
}

impl TbsSign {
    /// DER of toSign: what the signer signs (SM2 over SM3 with Z).
    pub fn signed_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// DER of the embedded seal.
    pub fn seal_raw(&self) -> &[u8] {
        &self.seal_raw
    }

    /// `dataHash`
    pub fn data_hash(&self) -> Sm3Digest {
        self.data_hash
    }

    /// `propertyInfo`
    pub fn property_info(&self) -> &str {
        &self.property_info
    }

    /// DER of the certificate whose key must sign.
    pub fn signer_certificate(&self) -> &[u8] {
        &self.signer_certificate
    }

    /// The seal signature, with a time stamp over its value if there is one (V4 and V5).
    pub fn assemble(&self, signature: &Sm2Signature, time_stamp: Option<&[u8]>) -> Result<SesSignature, BuildError> {
        let value = bit_string(&signature.to_der());
        let whole = match self.version {
            Version::V1 => sequence(&[&self.bytes, &value]),
            Version::V4 | Version::V5 => sequence(&[
                &self.bytes,
                &der(OCTET_STRING, &self.signer_certificate),
                &object_identifier(oid::SM2_WITH_SM3),
                &value,
            ]),
        };
        let signed = SesSignature::parse(&whole)?;
        if let Some(tolerance) = signed.tolerances().first() {
            return Err(BuildError::NotStrict(*tolerance));
        }
        match time_stamp {
            Some(token) => add_time_stamp(&signed, token),
            None => Ok(signed),
        }
    }
}

/// The V4 or V5 signature with `time_stamp`, the DER of a token over [`SesSignature::signature`]. Everything else stays byte for byte,
/// so the signatures inside stay good.
pub fn add_time_stamp(signed: &SesSignature, time_stamp: &[u8]) -> Result<SesSignature, BuildError> {
    if signed.version() == Version::V1 {
        return Err(BuildError::TimeStampUnsupported(Version::V1));
    }
    if signed.time_stamp().is_some() {
        return Err(BuildError::TimeStampPresent);
    }
    Ok(SesSignature::parse(&with_time_stamp(signed.raw(), time_stamp)?)?)
}

/// The outer SEQUENCE with `[0] EXPLICIT BIT STRING` at its end.
fn with_time_stamp(raw: &[u8], time_stamp: &[u8]) -> Result<Vec<u8>, BuildError> {
    let outer = Tlv::read_all(raw).map_err(super::read::at("timeStamp"))?;
    Ok(sequence(&[outer.value, &der(context(0), &bit_string(time_stamp))]))
}

fn strict_seal(bytes: &[u8]) -> Result<Seal, BuildError> {
    let seal = Seal::parse(bytes)?;
    match seal.tolerances().first() {
        Some(tolerance) => Err(BuildError::NotStrict(*tolerance)),
        None => Ok(seal),
    }
}

/// `ExtensionDatas`, `critical` left out where it is FALSE.
fn extension_datas(extensions: &[Extension]) -> Vec<u8> {
    let element = |e: &Extension| {
        let critical = if e.critical { der(BOOLEAN, &[0xff]) } else { Vec::new() };
        sequence(&[&object_identifier(e.oid()), &critical, &der(OCTET_STRING, &e.value)])
    };
    der(SEQUENCE, &extensions.iter().map(element).collect::<Vec<_>>().concat())
}

fn ia5(field: &'static str, text: &str) -> Result<Vec<u8>, BuildError> {
    if text.is_ascii() { Ok(der(IA5_STRING, text.as_bytes())) } else { Err(BuildError::Characters { field, allowed: "ASCII" }) }
}

fn printable(text: &str) -> Result<Vec<u8>, BuildError> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b" '()+,-./:=?".contains(&b);
    if text.bytes().all(allowed) {
        Ok(der_of(PRINTABLE_STRING, &[text.as_bytes()]))
    } else {
        Err(BuildError::Characters { field: "CertDigestObj.type", allowed: "PrintableString" })
    }
}
