//! `SES_Signature`: a seal put on a document.

use std::ops::Range;

use crate::asn1::{BIT_STRING, GENERALIZED_TIME, IA5_STRING, OCTET_STRING, Oid, SEQUENCE, Tlv, UTC_TIME, context};

use super::read::{Fields, Notes, SesError, at, limits, within};
use super::seal::{count, time_stamp};
use super::{Extension, Seal, Time, TimeInfo, Tolerance, Version, extension, time};

/// A seal signature, with the bytes it was read from.
///
/// V1: `SEQUENCE { toSign, signature }`; V4 and V5: `SEQUENCE { toSign, cert, signatureAlgID, signature, timeStamp [0] OPTIONAL }`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SesSignature {
    raw: Vec<u8>,
    version: Version,
    to_sign: Range<usize>,
    tbs: Tbs,
    signer_certificate: Vec<u8>,
    algorithm: Vec<u8>,
    signature: Vec<u8>,
    time_stamp: Option<Vec<u8>>,
    tolerances: Vec<Tolerance>,
}

/// The fields of `TBS_Sign` that every version has.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Tbs {
    version: u64,
    /// Where the seal begins in toSign.
    seal_at: usize,
    seal: Seal,
    time_info: TimeInfo,
    data_hash: Vec<u8>,
    property_info: String,
    property_info_raw: Vec<u8>,
    extensions: Vec<Extension>,
}

/// A signature at the start of a larger field, the `/Contents` of a PDF.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Padded {
    /// The signature.
    pub signature: SesSignature,
    /// What follows it without the zeros at the end; empty when there was only padding.
    pub after: Vec<u8>,
}

impl SesSignature {
    /// Reads a signature that is all of `bytes`.
    pub fn parse(bytes: &[u8]) -> Result<Self, SesError> {
        within("SES_Signature", bytes.len(), limits::BYTES)?;
        Self::read(Tlv::read_all(bytes).map_err(at("SES_Signature"))?)
    }

    /// Reads the signature at the start of `bytes` and says what follows it.
    pub fn parse_padded(bytes: &[u8]) -> Result<Padded, SesError> {
        within("SES_Signature", bytes.len(), limits::BYTES)?;
        let (tlv, rest) = Tlv::read(bytes).map_err(at("SES_Signature"))?;
        let end = rest.iter().rposition(|b| *b != 0).map_or(0, |last| last + 1);
        Ok(Padded { signature: Self::read(tlv)?, after: rest[..end].to_vec() })
    }

    fn read(tlv: Tlv<'_>) -> Result<Self, SesError> {
        let mut notes = Notes::default();
        let outer = tlv.expect(SEQUENCE).map_err(at("SES_Signature"))?;
        let elements = count("SES_Signature", outer)?;
        let mut fields = Fields::of(outer, &mut notes);
        let tbs_tlv = fields.next("toSign", SEQUENCE)?;
        let v1 = match elements {
            2 => true,
            4 | 5 => false,
            _ => return Err(SesError::Shape { structure: "SES_Signature", elements }),
        };
        let mut inner = Fields::of(tbs_tlv, fields.notes);
        let tbs = Tbs::read(&mut inner, tbs_tlv.raw, v1)?;
        let (signer_certificate, algorithm) = if v1 { signer(&mut inner)? } else { Default::default() };
        inner.end("toSign")?;
        let (signer_certificate, algorithm) = if v1 { (signer_certificate, algorithm) } else { signer(&mut fields)? };
        let version = match (v1, tbs.seal.version()) {
            (true, _) => Version::V1,
            (false, Version::V5) => Version::V5,
            (false, _) => Version::V4,
        };
        let signature = fields.bits("signature", limits::SIGNATURE_BYTES)?.to_vec();
        let time_stamp = time_stamp(&mut fields)?;
        fields.end("SES_Signature")?;
        let start = tbs_tlv.raw.as_ptr() as usize - outer.raw.as_ptr() as usize;
        Ok(Self {
            raw: outer.raw.to_vec(),
            version,
            to_sign: start..start + tbs_tlv.raw.len(),
            tbs,
            signer_certificate,
            algorithm,
            signature,
            time_stamp,
            tolerances: notes.finish(),
        })
    }

    /// DER of the signature exactly as received, padding excluded.
    pub fn raw(&self) -> &[u8] {
        &self.raw
    }

    /// Which standard's structure it has.
    pub fn version(&self) -> Version {
        self.version
    }

    /// `TBS_Sign.version`; should be the seal's.
    pub fn tbs_version(&self) -> u64 {
        self.tbs.version
    }

    /// Whether the versions contradict one another: TBS_Sign's number and the seal header's, the structures of signature and seal,
    /// or the seal's number and its own structure.
    pub fn has_version_mismatch(&self) -> bool {
        let seal = self.seal();
        seal.has_version_mismatch() || self.tbs.version != seal.header_version() || self.version != seal.version()
    }

    /// `eseal`: the embedded seal, its bytes as they stand in the signature.
    pub fn seal(&self) -> &Seal {
        &self.tbs.seal
    }

    /// `timeInfo`: the signer's claim (or, in V1, possibly a time stamp).
    pub fn time_info(&self) -> &TimeInfo {
        &self.tbs.time_info
    }

    /// `dataHash`: 32 bytes of plain SM3 in a sound signature; the length is not checked here.
    pub fn data_hash(&self) -> &[u8] {
        &self.tbs.data_hash
    }

    /// `propertyInfo` as text; bytes beyond ASCII are read as UTF-8, else as GB18030.
    pub fn property_info(&self) -> &str {
        &self.tbs.property_info
    }

    /// `propertyInfo` as it stands.
    pub fn property_info_raw(&self) -> &[u8] {
        &self.tbs.property_info_raw
    }

    /// `extDatas` of TBS_Sign
    pub fn extensions(&self) -> &[Extension] {
        &self.tbs.extensions
    }

    /// Where the seal begins in [`Self::signed_bytes`].
    pub fn seal_at(&self) -> usize {
        self.tbs.seal_at
    }

    /// What the signer signed: toSign exactly as it stands.
    pub fn signed_bytes(&self) -> &[u8] {
        &self.raw[self.to_sign.clone()]
    }

    /// DER of the signer's certificate.
    pub fn signer_certificate(&self) -> &[u8] {
        &self.signer_certificate
    }

    /// The signer's signature algorithm.
    pub fn signature_algorithm(&self) -> Oid<'_> {
        Oid(&self.algorithm)
    }

    /// The signature value: contents of the BIT STRING, which a time stamp covers. Read it with [`crate::sm::read_signature`].
    pub fn signature(&self) -> &[u8] {
        &self.signature
    }

    /// DER of the time stamp over [`Self::signature`], unjudged. (A V1 one may stand in [`Self::time_info`].)
    pub fn time_stamp(&self) -> Option<&[u8]> {
        self.time_stamp.as_deref()
    }

    /// What was accepted outside the seal although the standards do not allow it, each once, in order of name. The embedded seal
    /// has its own list.
    pub fn tolerances(&self) -> &[Tolerance] {
        &self.tolerances
    }
}

/// `cert, signatureAlgorithm`: inside TBS_Sign in V1, after it later.
fn signer(fields: &mut Fields<'_, '_>) -> Result<(Vec<u8>, Vec<u8>), SesError> {
    let (_, certificate) = fields.certificate("cert")?;
    Ok((certificate.to_vec(), fields.oid("signatureAlgorithm")?))
}

impl Tbs {
    fn read(fields: &mut Fields<'_, '_>, whole: &[u8], v1: bool) -> Result<Self, SesError> {
        let version = fields.integer("TBS_Sign.version")?;
        let eseal = fields.any("eseal")?;
        let seal_at = eseal.raw.as_ptr() as usize - whole.as_ptr() as usize;
        let seal = Seal::read(eseal)?;
        let time_info = if v1 {
            let contents = fields.bits_or_octets("timeInfo", limits::BYTES, Tolerance::TimeInfoType)?;
            TimeInfo::from_v1(contents, fields.notes)
        } else {
            TimeInfo::Claimed(time_info(fields)?)
        };
        let data_hash = fields.bits_or_octets("dataHash", limits::DATA_HASH_BYTES, Tolerance::DataHashInOctetString)?.to_vec();
        let (property_info, raw) =
            fields.text_and_raw("propertyInfo", IA5_STRING, limits::PROPERTY_INFO_BYTES, Tolerance::PropertyInfoNotAscii)?;
        let extensions = if v1 { Vec::new() } else { extensions(fields)? };
        Ok(Self { version, seal_at, seal, time_info, data_hash, property_info, property_info_raw: raw.to_vec(), extensions })
    }
}

/// `timeInfo` of V4 and V5: a GeneralizedTime, or one inside the BIT STRING or OCTET STRING of a V1 writer.
fn time_info(fields: &mut Fields<'_, '_>) -> Result<Time, SesError> {
    const FIELD: &str = "timeInfo";
    let tlv = fields.any(FIELD)?;
    let contents = match tlv.tag {
        UTC_TIME | GENERALIZED_TIME => return time::read(FIELD, tlv, GENERALIZED_TIME, fields.notes),
        BIT_STRING => tlv.bit_string().map_err(at(FIELD))?,
        OCTET_STRING => tlv.value,
        _ => return Err(SesError::Time { field: FIELD }),
    };
    fields.notes.add(Tolerance::TimeInfoType);
    match TimeInfo::from_v1(contents, fields.notes) {
        TimeInfo::Claimed(time) => Ok(time),
        _ => Err(SesError::Time { field: FIELD }),
    }
}

/// `extDatas [0] ExtensionDatas OPTIONAL`: EXPLICIT in real files; IMPLICIT and untagged are accepted.
fn extensions(fields: &mut Fields<'_, '_>) -> Result<Vec<Extension>, SesError> {
    const FIELD: &str = "extDatas";
    match fields.peek() {
        None => Ok(Vec::new()),
        Some(SEQUENCE) => {
            fields.notes.add(Tolerance::ExtensionsUntagged);
            let list = fields.next(FIELD, SEQUENCE)?;
            extension::read(list, fields.notes)
        }
        Some(_) => {
            let tagged = fields.next(FIELD, context(0))?;
            // EXPLICIT holds one SEQUENCE whose elements are SEQUENCEs; IMPLICIT holds those elements, which begin with an OID.
            match Tlv::read_all(tagged.value) {
                Ok(list) if list.tag == SEQUENCE && matches!(list.value.first(), None | Some(&SEQUENCE)) => {
                    extension::read(list, fields.notes)
                }
                _ => {
                    fields.notes.add(Tolerance::ExtensionsUntagged);
                    extension::read(tagged, fields.notes)
                }
            }
        }
    }
}
