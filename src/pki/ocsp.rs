//! OCSP responses (RFC 6960) with SM2 signatures, read from files that somebody fetched.

use std::sync::Arc;

use jiff::Timestamp;

use super::certificate::{Certificate, time};
use super::crl::{Revoked, reason_code};
use super::extensions::OCSP_SIGNING;
use super::name::Name;
use super::signature::{self, Algorithm, Hash};
use crate::asn1::{
    Asn1Error, BIT_STRING, ENUMERATED, INTEGER, OCTET_STRING, OID, Oid, SEQUENCE, Tlv, context, context_primitive,
};

/// Largest response that is read; real ones have 1 to 5 KB.
pub const MAX_RESPONSE: usize = 256 * 1024;
/// Most answers in one response: requests here are for one certificate.
const MAX_ANSWERS: usize = 64;
/// Most certificates in one response: a responder and its path.
const MAX_CERTIFICATES: usize = 4;

/// id-pkix-ocsp-basic, `1.3.6.1.5.5.7.48.1.1`
const BASIC: Oid<'static> = Oid(b"\x2b\x06\x01\x05\x05\x07\x30\x01\x01");

/// What a responder said about one certificate.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[allow(missing_docs, reason = "the names are the standard's")]
pub enum CertStatus {
    Good,
    Revoked(Revoked),
    Unknown,
}

/// SingleResponse.
#[derive(Clone, Debug)]
pub struct Answer {
    hash: Hash,
    issuer_name_hash: Vec<u8>,
    issuer_key_hash: Vec<u8>,
    serial: Vec<u8>,
    /// certStatus
    pub status: CertStatus,
    /// thisUpdate
    pub this_update: Timestamp,
    /// nextUpdate; an answer without one is never fresh.
    pub next_update: Option<Timestamp>,
}

#[derive(Clone, Debug)]
enum ResponderId {
    Name(Name),
    KeyHash(Vec<u8>),
}

/// A BasicOCSPResponse.
#[derive(Clone, Debug)]
pub struct OcspResponse {
    tbs: Vec<u8>,
    signature: Vec<u8>,
    algorithm: Option<Algorithm>,
    responder: ResponderId,
    produced_at: Timestamp,
    answers: Vec<Answer>,
    certificates: Vec<Arc<Certificate>>,
}

impl OcspResponse {
    /// Reads an OCSPResponse with status successful and a basic response, all of `der`.
    pub fn parse(der: &[u8]) -> Result<Self, Asn1Error> {
        if der.len() > MAX_RESPONSE {
            return Err(Asn1Error::Limit);
        }
        let mut outer = Tlv::read_all(der)?.expect(SEQUENCE)?.elements();
        if outer.next(ENUMERATED)?.value != [0] {
            return Err(Asn1Error::Value(ENUMERATED));
        }
        let mut bytes = Tlv::read_all(outer.next(context(0))?.value)?.expect(SEQUENCE)?.elements();
        outer.end()?;
        if bytes.next(OID)?.oid()? != BASIC {
            return Err(Asn1Error::Value(OID));
        }
        let mut basic = Tlv::read_all(bytes.next(OCTET_STRING)?.value)?.expect(SEQUENCE)?.elements();
        bytes.end()?;
        let tbs = basic.next(SEQUENCE)?;
        let algorithm = signature::algorithm_oid(basic.next(SEQUENCE)?)?;
        let signature = basic.next(BIT_STRING)?.bit_string()?;
        let mut certificates = Vec::new();
        if let Some(list) = basic.optional(context(0))? {
            for certificate in Tlv::read_all(list.value)?.expect(SEQUENCE)?.children()?.into_iter().take(MAX_CERTIFICATES) {
                // One that cannot be read is of no use, but does no harm either.
                certificates.extend(Certificate::parse(certificate.raw).ok().map(Arc::new));
            }
        }
        basic.end()?;

        let mut fields = tbs.elements();
        fields.optional(context(0))?;
        let responder = fields.any()?;
        let responder = match responder.tag {
            tag if tag == context(1) => ResponderId::Name(Name::parse(Tlv::read_all(responder.value)?)?),
            tag if tag == context(2) => ResponderId::KeyHash(Tlv::read_all(responder.value)?.octet_string()?.to_vec()),
            found => return Err(Asn1Error::Tag { expected: context(1), found: Some(found) }),
        };
        let produced_at = time(fields.any()?)?;
        let mut answers = Vec::new();
        for answer in fields.next(SEQUENCE)?.children()? {
            if answers.len() == MAX_ANSWERS {
                return Err(Asn1Error::Limit);
            }
            // An answer about a certificate hashed in an unknown way is about none of ours.
            answers.extend(Answer::parse(answer)?);
        }
        if let Some(extensions) = fields.optional(context(1))? {
            refuse_critical(extensions)?;
        }
        fields.end()?;
        Ok(Self {
            tbs: tbs.raw.to_vec(),
            signature: signature.to_vec(),
            algorithm: Algorithm::from_oid(algorithm, None),
            responder,
            produced_at,
            answers,
            certificates,
        })
    }

    /// producedAt
    pub fn produced_at(&self) -> Timestamp {
        self.produced_at
    }

    /// The answer about `certificate`, issued by `issuer`, if the response has one.
    pub fn answer(&self, certificate: &Certificate, issuer: &Certificate) -> Option<&Answer> {
        self.answers.iter().find(|a| {
            a.serial == certificate.serial()
                && a.issuer_key_hash == a.hash.digest(issuer.key_bits())
                && (a.issuer_name_hash == a.hash.digest(issuer.subject().raw())
                    || a.issuer_name_hash == a.hash.digest(certificate.issuer().raw()))
        })
    }

    /// Whether `issuer`, or a responder that it certified for this (id-kp-OCSPSigning, RFC 6960 clause 4.2.2.2), signed the response.
    pub fn is_signed_for(&self, issuer: &Certificate) -> bool {
        self.is_signed_by(issuer)
            || self.certificates.iter().any(|responder| {
                responder.issuer().matches(issuer.subject())
                    && responder.extensions().has_purpose(OCSP_SIGNING)
                    && responder.extensions().unknown_critical.is_empty()
                    && responder.extensions().key_usage.is_none_or(|usage| usage.signs())
                    && responder.valid_at(self.produced_at)
                    && self.is_signed_by(responder)
                    && responder.verify_issued_by(issuer).is_ok()
            })
    }

    fn is_signed_by(&self, signer: &Certificate) -> bool {
        let named = match &self.responder {
            ResponderId::Name(name) => name.matches(signer.subject()),
            // SHA-1 by RFC 6960; SM3 where a profile replaced it.
            ResponderId::KeyHash(hash) => {
                let hashed_by = if hash.len() == 32 { Hash::Sm3 } else { Hash::Sha1 };
                *hash == hashed_by.digest(signer.key_bits())
            }
        };
        named && self.algorithm.is_some_and(|a| signature::verify(signer.key(), a, &self.tbs, &self.signature).is_ok())
    }
}

impl Answer {
    fn parse(tlv: Tlv<'_>) -> Result<Option<Self>, Asn1Error> {
        let mut fields = tlv.expect(SEQUENCE)?.elements();
        let mut id = fields.next(SEQUENCE)?.elements();
        let hash = Hash::from_oid(signature::algorithm_oid(id.next(SEQUENCE)?)?);
        let issuer_name_hash = id.next(OCTET_STRING)?.value.to_vec();
        let issuer_key_hash = id.next(OCTET_STRING)?.value.to_vec();
        let serial = id.next(INTEGER)?.value.to_vec();
        id.end()?;
        let status = fields.any()?;
        let status = match status.tag {
            tag if tag == context_primitive(0) => CertStatus::Good,
            tag if tag == context(1) => {
                let mut info = status.elements();
                let at = time(info.any()?)?;
                let reason = match info.optional(context(0))? {
                    Some(reason) => reason_code(Tlv::read_all(reason.value)?)?,
                    None => None,
                };
                CertStatus::Revoked(Revoked { at, reason })
            }
            tag if tag == context_primitive(2) => CertStatus::Unknown,
            found => return Err(Asn1Error::Tag { expected: context_primitive(0), found: Some(found) }),
        };
        let this_update = time(fields.any()?)?;
        let next_update = match fields.optional(context(0))? {
            Some(next) => Some(time(Tlv::read_all(next.value)?)?),
            None => None,
        };
        if let Some(extensions) = fields.optional(context(1))? {
            refuse_critical(extensions)?;
        }
        fields.end()?;
        Ok(hash.map(|hash| Self { hash, issuer_name_hash, issuer_key_hash, serial, status, this_update, next_update }))
    }
}

/// No critical extension of a response is understood here; one that is there changes what the response means.
fn refuse_critical(extensions: Tlv<'_>) -> Result<(), Asn1Error> {
    for extension in Tlv::read_all(extensions.value)?.expect(SEQUENCE)?.children()? {
        let mut elements = extension.expect(SEQUENCE)?.elements();
        elements.next(OID)?;
        if elements.optional(crate::asn1::BOOLEAN)?.map(|b| b.boolean()).transpose()?.unwrap_or(false) {
            return Err(Asn1Error::Value(OID));
        }
    }
    Ok(())
}
