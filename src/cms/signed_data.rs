//! `ContentInfo` with `SignedData`.

use crate::asn1::{INTEGER, OCTET_STRING, OID, Oid, Reader, SEQUENCE, SET, Tag, Tlv, context, oid};

use super::signer::{Algorithm, SignerId, SignerInfo};
use super::{CmsError, Notes, Tolerance, at, ber, within};

/// Limits of the reader. Input is hostile; each number is far above any real value.
pub mod limits {
    /// Bytes of the whole. Signed documents have 2 to 20 KB; with revocation lists or an attached trust list, megabytes.
    pub const BYTES: usize = 16 << 20;
    /// Certificates in one set; bundles of a whole CA tree have some dozens.
    pub const CERTIFICATES: usize = 512;
    /// Revocation lists in one set.
    pub const CRLS: usize = 64;
    /// Signers; documents have one, and each costs an SM2 verification.
    pub const SIGNERS: usize = 16;
    /// Digest algorithms listed; one or two in use.
    pub const ALGORITHMS: usize = 32;
    /// Attributes of one signer; CAdES signers have about ten.
    pub const ATTRIBUTES: usize = 64;
    /// Values of one attribute; one in nearly all.
    pub const ATTRIBUTE_VALUES: usize = 16;
    /// Bytes of a signature value; RSA with 16384 bits has 2048.
    pub const SIGNATURE_BYTES: usize = 2 << 10;
}

/// A `SignedData`, with its bytes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SignedData {
    raw: Vec<u8>,
    signed_data_type: Vec<u8>,
    version: u64,
    digest_algorithms: Vec<Algorithm>,
    content_type: Vec<u8>,
    content: Option<Vec<u8>>,
    certificates: Vec<Vec<u8>>,
    crls: Vec<Vec<u8>>,
    signers: Vec<SignerInfo>,
    tolerances: Vec<Tolerance>,
}

/// A `SignedData` at the start of a larger field, the `/Contents` of a PDF.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Padded {
    /// The value.
    pub signed_data: SignedData,
    /// What follows it without the zeros at the end; empty when there was only padding.
    pub after: Vec<u8>,
}

impl SignedData {
    /// Reads a value that is all of `bytes`.
    pub fn parse(bytes: &[u8]) -> Result<Self, CmsError> {
        let (signed_data, taken) = Self::read_first(bytes)?;
        if taken == bytes.len() { Ok(signed_data) } else { Err(at("ContentInfo")(crate::asn1::Asn1Error::Trailing)) }
    }

    /// Reads the value at the start of `bytes` and says what follows it.
    pub fn parse_padded(bytes: &[u8]) -> Result<Padded, CmsError> {
        let (signed_data, taken) = Self::read_first(bytes)?;
        let rest = &bytes[taken..];
        let end = rest.iter().rposition(|b| *b != 0).map_or(0, |last| last + 1);
        Ok(Padded { signed_data, after: rest[..end].to_vec() })
    }

    /// The value at the start of `bytes` and its length there. BER is only looked at where reading DER failed.
    fn read_first(bytes: &[u8]) -> Result<(Self, usize), CmsError> {
        within("ContentInfo", bytes.len(), limits::BYTES)?;
        let first = Tlv::read(bytes).map_err(at("ContentInfo"));
        let error = match first.and_then(|(tlv, _)| Ok((Self::read(tlv, Notes::default())?, tlv.raw.len()))) {
            Ok(found) => return Ok(found),
            Err(error) => error,
        };
        match ber::to_definite(bytes) {
            Ok((der, taken)) if der != bytes[..taken] => {
                let mut notes = Notes::default();
                notes.add(Tolerance::BerEncoding);
                Ok((Self::read(Tlv::read_all(&der).map_err(at("ContentInfo"))?, notes)?, taken))
            }
            _ => Err(error),
        }
    }

    fn read(tlv: Tlv<'_>, mut notes: Notes) -> Result<Self, CmsError> {
        let notes_ref = &mut notes;
        let mut outer = tlv.expect(SEQUENCE).map_err(at("ContentInfo"))?.elements();
        let signed_data_type = next(&mut outer, "contentType", OID, notes_ref)?.oid().map_err(at("contentType"))?;
        if signed_data_type != oid::GM_SIGNED_DATA && signed_data_type != oid::PKCS7_SIGNED_DATA {
            return Err(CmsError::NotSignedData(signed_data_type.dotted()));
        }
        let explicit = next(&mut outer, "content", context(0), notes_ref)?;
        outer.end().map_err(at("ContentInfo"))?;
        let signed_data = Tlv::read_all(explicit.value).and_then(|s| s.expect(SEQUENCE)).map_err(at("SignedData"))?;
        let mut fields = signed_data.elements();
        let version = next(&mut fields, "version", INTEGER, notes_ref)?.small_integer().map_err(at("version"))?;
        let algorithms = next(&mut fields, "digestAlgorithms", SET, notes_ref)?;
        let digest_algorithms = many("digestAlgorithms", algorithms, limits::ALGORITHMS)?
            .into_iter()
            .map(|a| Algorithm::read("digestAlgorithms", a))
            .collect::<Result<_, _>>()?;
        let (content_type, content) = read_content(next(&mut fields, "contentInfo", SEQUENCE, notes_ref)?, notes_ref)?;
        let families = [(oid::GM_SIGNED_DATA, oid::PKCS7_DATA), (oid::PKCS7_SIGNED_DATA, oid::GM_DATA)];
        if families.contains(&(signed_data_type, content_type)) {
            notes_ref.add(Tolerance::MixedIdentifiers);
        }
        let certificates = sequences(&mut fields, "certificates", 0, limits::CERTIFICATES)?;
        let crls = sequences(&mut fields, "crls", 1, limits::CRLS)?;
        let signer_infos = next(&mut fields, "signerInfos", SET, notes_ref)?;
        fields.end().map_err(at("SignedData"))?;
        let signers = many("signerInfos", signer_infos, limits::SIGNERS)?
            .into_iter()
            .map(|s| SignerInfo::read(s.expect(SEQUENCE).map_err(at("SignerInfo"))?, content_type, notes_ref))
            .collect::<Result<_, _>>()?;
        notes.0.sort_unstable();
        Ok(Self {
            raw: tlv.raw.to_vec(),
            signed_data_type: signed_data_type.0.to_vec(),
            version,
            digest_algorithms,
            content_type: content_type.0.to_vec(),
            content,
            certificates,
            crls,
            signers,
            tolerances: notes.0,
        })
    }

    /// The ContentInfo as received, padding excluded; where BER was read ([`Tolerance::BerEncoding`]), with definite lengths.
    pub fn raw(&self) -> &[u8] {
        &self.raw
    }

    /// contentType of the outer ContentInfo: signedData by GB/T 35275 or by PKCS#7.
    pub fn signed_data_type(&self) -> Oid<'_> {
        Oid(&self.signed_data_type)
    }

    /// `version`
    pub fn version(&self) -> u64 {
        self.version
    }

    /// `digestAlgorithms`
    pub fn digest_algorithms(&self) -> &[Algorithm] {
        &self.digest_algorithms
    }

    /// contentType of the inner contentInfo: data, TSTInfo …
    pub fn content_type(&self) -> Oid<'_> {
        Oid(&self.content_type)
    }

    /// Contents octets of the inner content (without its tag and length); `None` when it is detached.
    pub fn content(&self) -> Option<&[u8]> {
        self.content.as_deref()
    }

    /// DER of each certificate. Attribute certificates and other forms are left out.
    pub fn certificates(&self) -> &[Vec<u8>] {
        &self.certificates
    }

    /// DER of each revocation list. Other revocation data are left out.
    pub fn crls(&self) -> &[Vec<u8>] {
        &self.crls
    }

    /// `signerInfos`; empty in a bundle of certificates.
    pub fn signers(&self) -> &[SignerInfo] {
        &self.signers
    }

    /// The certificates of the set that `signer` may mean. More than one only when the set holds different certificates with the same
    /// issuer and number (or key identifier); then the one whose key verifies is the signer's.
    pub fn certificates_of(&self, signer: &SignerInfo) -> impl Iterator<Item = &[u8]> {
        let id = signer.id().clone();
        self.certificates.iter().map(Vec::as_slice).filter(move |certificate| match &id {
            SignerId::IssuerAndSerial { issuer, serial } => {
                issuer_and_serial(certificate) == Some((issuer.as_slice(), serial.as_slice()))
            }
            SignerId::SubjectKeyId(wanted) => subject_key_id(certificate) == Some(wanted.as_slice()),
        })
    }

    /// What was accepted although the standards do not allow it, each once, in order of name.
    pub fn tolerances(&self) -> &[Tolerance] {
        &self.tolerances
    }
}

/// DER of the issuer's Name and contents octets of the serial number of an X.509 certificate.
pub fn issuer_and_serial(certificate: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut tbs = tbs_certificate(certificate)?;
    let serial = tbs.next(INTEGER).ok()?.value;
    tbs.next(SEQUENCE).ok()?; // signature
    Some((tbs.next(SEQUENCE).ok()?.raw, serial))
}

/// Contents of the subjectKeyIdentifier extension (2.5.29.14).
fn subject_key_id(certificate: &[u8]) -> Option<&[u8]> {
    let mut tbs = tbs_certificate(certificate)?;
    let extensions = loop {
        let field = tbs.any().ok()?;
        if field.tag == context(3) {
            break Tlv::read_all(field.value).ok()?;
        }
    };
    let mut extensions = extensions.elements();
    loop {
        let elements = extensions.next(SEQUENCE).ok()?.children().ok()?;
        if elements.first()?.value == b"\x55\x1d\x0e" {
            return Tlv::read_all(elements.last()?.octet_string().ok()?).ok()?.octet_string().ok();
        }
    }
}

/// The fields of a TBSCertificate after its version.
fn tbs_certificate(certificate: &[u8]) -> Option<Reader<'_>> {
    let outer = Tlv::read_all(certificate).ok()?.expect(SEQUENCE).ok()?;
    let mut tbs = outer.elements().next(SEQUENCE).ok()?.elements();
    tbs.optional(context(0)).ok()?;
    Some(tbs)
}

/// The next element, which must have this tag.
pub(super) fn next<'a>(fields: &mut Reader<'a>, field: &'static str, tag: Tag, notes: &mut Notes) -> Result<Tlv<'a>, CmsError> {
    let tlv = fields.next(tag).map_err(at(field))?;
    if !tlv.has_minimal_length() {
        notes.add(Tolerance::LengthNotMinimal);
    }
    Ok(tlv)
}

/// The inner contentInfo: its type, and the contents octets of its content.
fn read_content<'a>(info: Tlv<'a>, notes: &mut Notes) -> Result<(Oid<'a>, Option<Vec<u8>>), CmsError> {
    const FIELD: &str = "contentInfo";
    let mut elements = info.elements();
    let content_type = next(&mut elements, FIELD, OID, notes)?.oid().map_err(at(FIELD))?;
    let content = match elements.optional(context(0)).map_err(at(FIELD))? {
        None => None,
        Some(explicit) => {
            let content = Tlv::read_all(explicit.value).map_err(at(FIELD))?;
            // PKCS#7 allows any type here; an OCTET STRING in pieces is BER and is joined first.
            if content.tag == OCTET_STRING | 0x20 {
                return Err(at(FIELD)(crate::asn1::Asn1Error::Length));
            }
            if content.tag != OCTET_STRING {
                notes.add(Tolerance::ContentNotOctetString);
            }
            Some(content.value.to_vec())
        }
    };
    elements.end().map_err(at(FIELD))?;
    Ok((content_type, content))
}

/// The elements of a set.
fn many<'a>(field: &'static str, set: Tlv<'a>, limit: usize) -> Result<Vec<Tlv<'a>>, CmsError> {
    let mut out = Vec::new();
    let mut elements = set.elements();
    while !elements.is_empty() {
        within(field, out.len() + 1, limit)?;
        out.push(elements.any().map_err(at(field))?);
    }
    Ok(out)
}

/// `[n] IMPLICIT SET OF`, if it stands there: its elements that are SEQUENCEs (other choices have context tags).
fn sequences(fields: &mut Reader<'_>, field: &'static str, n: u8, limit: usize) -> Result<Vec<Vec<u8>>, CmsError> {
    let Some(set) = fields.optional(context(n)).map_err(at(field))? else { return Ok(Vec::new()) };
    Ok(many(field, set, limit)?.into_iter().filter(|e| e.tag == SEQUENCE).map(|e| e.raw.to_vec()).collect())
}
