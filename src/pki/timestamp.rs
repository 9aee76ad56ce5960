//! Time stamps (RFC 3161, GM/T 0033, GB/T 20520): tokens with SM2 and SM3, or RSA and SHA-2 from foreign authorities.

use std::sync::Arc;

use jiff::Timestamp;

use super::certificate::{Certificate, time};
use super::signature::{self, Algorithm, Hash, SignatureFault};
use super::trust::TrustStore;
use crate::asn1::{Asn1Error, INTEGER, OCTET_STRING, OID, Oid, SEQUENCE, Tlv, context, oid};
use crate::cms::{CmsError, SignedData, SignerId, SignerInfo};

/// signingCertificate, `1.2.840.113549.1.9.16.2.12`: SHA-1 of the authority's certificate.
const SIGNING_CERTIFICATE: Oid<'static> = Oid(b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x02\x0c");
/// signingCertificateV2, `1.2.840.113549.1.9.16.2.47`: the same with a digest of choice.
const SIGNING_CERTIFICATE_V2: Oid<'static> = Oid(b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x02\x2f");

/// Why bytes are not a time stamp token.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TimeStampError {
    /// The SignedData around it.
    #[error(transparent)]
    SignedData(#[from] CmsError),
    /// TSTInfo, or a response's status.
    #[error("TSTInfo: {0}")]
    TstInfo(#[from] Asn1Error),
    /// The response refuses a time stamp.
    #[error("the authority refused (status {0})")]
    Refused(u64),
    /// SignedData about something else.
    #[error("the content is {0}, not TSTInfo")]
    Content(String),
    /// Not exactly one signer (RFC 3161 clause 2.4.2).
    #[error("it has {0} signers, not one")]
    Signers(usize),
    /// An imprint by an algorithm that is not accepted.
    #[error("the imprint is by {0}")]
    Imprint(String),
}

/// Why a token does not prove its time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TimeStampFault {
    /// An algorithm that is not accepted.
    Algorithm,
    /// messageDigest is not that of TSTInfo, or the signed certificate digest is another certificate's.
    Digest,
    /// The signature is wrong.
    Signature,
}

/// A TimeStampToken: SignedData over TSTInfo.
#[derive(Clone, Debug)]
pub struct TimeStampToken {
    signed_data: SignedData,
    certificates: Vec<Arc<Certificate>>,
    hash: Hash,
    imprint: Vec<u8>,
    time: Timestamp,
    serial: Vec<u8>,
    nonce: Option<Vec<u8>>,
}

impl TimeStampToken {
    /// Reads a token (ContentInfo) or a TimeStampResp that grants one.
    pub fn parse(der: &[u8]) -> Result<Self, TimeStampError> {
        let mut outer = Tlv::read_all(der)?.expect(SEQUENCE)?.elements();
        let token = match outer.peek() {
            Some(SEQUENCE) => {
                // TimeStampResp ::= SEQUENCE { status PKIStatusInfo, timeStampToken OPTIONAL }
                let status = outer.any()?.elements().next(INTEGER)?.small_integer()?;
                if status > 1 || outer.is_empty() {
                    return Err(TimeStampError::Refused(status));
                }
                outer.any()?.raw
            }
            _ => der,
        };
        let signed_data = SignedData::parse(token)?;
        // GM/T 0033 is said to name other content types; TSTInfo is told by its structure then.
        let kind = signed_data.content_type();
        let content = signed_data.content().ok_or_else(|| TimeStampError::Content(kind.dotted()))?;
        if kind != oid::TST_INFO && kind != oid::GM_DATA {
            return Err(TimeStampError::Content(kind.dotted()));
        }
        if signed_data.signers().len() != 1 {
            return Err(TimeStampError::Signers(signed_data.signers().len()));
        }
        let info = TstInfo::parse(content)?;
        let hash = Hash::from_oid(Oid(&info.hash)).filter(|hash| hash.resists_collisions());
        let hash = hash.ok_or_else(|| TimeStampError::Imprint(Oid(&info.hash).dotted()))?;
        let certificates =
            signed_data.certificates().iter().filter_map(|der| Certificate::parse(der).ok().map(Arc::new)).collect();
        Ok(Self {
            certificates,
            hash,
            imprint: info.imprint,
            time: info.time,
            serial: info.serial,
            nonce: info.nonce,
            signed_data,
        })
    }

    /// DER of the token, without the response that it may have come in.
    pub fn raw(&self) -> &[u8] {
        self.signed_data.raw()
    }

    /// Contents octets of the nonce that the request had.
    pub fn nonce(&self) -> Option<&[u8]> {
        self.nonce.as_deref()
    }

    /// genTime
    pub fn time(&self) -> Timestamp {
        self.time
    }

    /// hashedMessage of the messageImprint.
    pub fn imprint(&self) -> &[u8] {
        &self.imprint
    }

    /// Contents octets of the token's serial number.
    pub fn serial(&self) -> &[u8] {
        &self.serial
    }

    /// The imprint's digest algorithm.
    pub fn hash(&self) -> Hash {
        self.hash
    }

    /// The SignedData that the token is.
    pub fn signed_data(&self) -> &SignedData {
        &self.signed_data
    }

    /// The certificates in the token.
    pub fn certificates(&self) -> &[Arc<Certificate>] {
        &self.certificates
    }

    /// The authority's certificate: the one that the signer's id names, from the token or from the store.
    pub fn signer(&self, store: &TrustStore) -> Option<Arc<Certificate>> {
        let id = self.signer_info()?.id();
        let named = |certificate: &&Arc<Certificate>| match id {
            SignerId::IssuerAndSerial { issuer, serial } => {
                certificate.issuer().raw() == issuer && certificate.serial() == serial
            }
            SignerId::SubjectKeyId(id) => certificate.extensions().subject_key_id.as_ref() == Some(id),
        };
        self.certificates.iter().chain(store.certificates()).find(named).cloned()
    }

    /// Whether `signer` signed this token: messageDigest over TSTInfo, the signature over the attributes as they stand, and the digest
    /// of the certificate where the attributes name one. messageDigest is what ties the signature to TSTInfo, so its algorithm must be
    /// one that is accepted, whatever the signature's is; the digest of the certificate only has to tell it from others (RFC 5816).
    pub fn verify(&self, signer: &Certificate) -> Result<(), TimeStampFault> {
        let (Some(info), Some(content)) = (self.signer_info(), self.signed_data.content()) else {
            return Err(TimeStampFault::Digest);
        };
        let hash = Hash::from_oid(info.digest_algorithm().oid()).filter(|hash| hash.resists_collisions());
        let hash = hash.ok_or(TimeStampFault::Algorithm)?;
        let algorithm = Algorithm::from_oid(info.signature_algorithm().oid(), Some(hash)).ok_or(TimeStampFault::Algorithm)?;
        let attributes = info.attributes().ok_or(TimeStampFault::Digest)?;
        if attributes.message_digest() != hash.digest(content) {
            return Err(TimeStampFault::Digest);
        }
        let named = attributes.all().iter().find_map(|attribute| {
            let v2 = attribute.oid() == SIGNING_CERTIFICATE_V2;
            let value = (v2 || attribute.oid() == SIGNING_CERTIFICATE).then(|| attribute.values.first())?;
            Some(value.and_then(|value| certificate_digest(value, v2).ok()))
        });
        match named {
            None => {}
            Some(Some((hash, digest))) if hash.digest(signer.der()) == digest => {}
            Some(_) => return Err(TimeStampFault::Digest),
        }
        signature::verify(signer.key(), algorithm, &attributes.signed_bytes(), info.signature()).map_err(|fault| match fault {
            SignatureFault::Algorithm => TimeStampFault::Algorithm,
            SignatureFault::Wrong => TimeStampFault::Signature,
        })
    }

    fn signer_info(&self) -> Option<&SignerInfo> {
        self.signed_data.signers().first()
    }
}

/// `TSTInfo ::= SEQUENCE { version, policy, messageImprint, serialNumber, genTime, … }` (RFC 3161 clause 2.4.2)
struct TstInfo {
    hash: Vec<u8>,
    imprint: Vec<u8>,
    time: Timestamp,
    serial: Vec<u8>,
    nonce: Option<Vec<u8>>,
}

impl TstInfo {
    fn parse(der: &[u8]) -> Result<Self, Asn1Error> {
        let mut fields = Tlv::read_all(der)?.expect(SEQUENCE)?.elements();
        if fields.next(INTEGER)?.small_integer()? != 1 {
            return Err(Asn1Error::Value(INTEGER));
        }
        fields.next(OID)?;
        let mut imprint = fields.next(SEQUENCE)?.elements();
        let hash = signature::algorithm_oid(imprint.next(SEQUENCE)?)?.0.to_vec();
        let digest = imprint.next(OCTET_STRING)?.value.to_vec();
        imprint.end()?;
        let serial = fields.next(INTEGER)?.value.to_vec();
        let time = time(fields.any()?)?;
        let (nonce, extensions) = nonce_and_extensions(fields)?;
        if let Some(extensions) = extensions {
            // A critical extension that is not understood changes what the stamp means (RFC 3161 clause 2.4.2).
            for extension in extensions.children()? {
                let critical = extension.expect(SEQUENCE)?.children()?.iter().any(|f| f.tag == crate::asn1::BOOLEAN);
                if critical {
                    return Err(Asn1Error::Value(OID));
                }
            }
        }
        Ok(Self { hash, imprint: digest, time, serial, nonce })
    }
}

/// Skips accuracy, ordering and tsa.
fn nonce_and_extensions(mut fields: crate::asn1::Reader<'_>) -> Result<(Option<Vec<u8>>, Option<Tlv<'_>>), Asn1Error> {
    let (mut nonce, mut extensions) = (None, None);
    while !fields.is_empty() {
        let field = fields.any()?;
        match field.tag {
            INTEGER => nonce = Some(field.value.to_vec()),
            tag if tag == context(1) => extensions = Some(field),
            _ => {}
        }
    }
    Ok((nonce, extensions))
}

/// The first ESSCertID or ESSCertIDv2 (RFC 5035 clause 4): the digest of the authority's certificate.
fn certificate_digest(value: &[u8], v2: bool) -> Result<(Hash, Vec<u8>), Asn1Error> {
    let mut ids = Tlv::read_all(value)?.expect(SEQUENCE)?.elements().next(SEQUENCE)?.elements();
    let mut id = ids.next(SEQUENCE)?.elements();
    let hash = match id.optional(SEQUENCE)? {
        Some(algorithm) => Hash::from_oid(signature::algorithm_oid(algorithm)?).ok_or(Asn1Error::Value(OID))?,
        None if v2 => Hash::Sha256,
        None => Hash::Sha1,
    };
    Ok((hash, id.next(OCTET_STRING)?.value.to_vec()))
}
