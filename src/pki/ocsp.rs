//! OCSP (RFC 6960) with SM2 signatures: the question about one certificate, and responses, from files or from whom they were asked.

use std::sync::Arc;

use jiff::Timestamp;

use super::certificate::{Certificate, time};
use super::crl::{Revoked, reason_code};
use super::extensions::OCSP_SIGNING;
use super::name::Name;
use super::signature::{self, Algorithm, Hash};
use crate::asn1::{
    Asn1Error, BIT_STRING, ENUMERATED, INTEGER, NULL, OCTET_STRING, OID, Oid, SEQUENCE, Tlv, context, context_primitive, der,
    der_of, object_identifier, oid, sequence,
};

/// Largest response that is read; real ones have 1 to 5 KB.
pub const MAX_RESPONSE: usize = 256 * 1024;
/// Most answers in one response: requests here are for one certificate.
const MAX_ANSWERS: usize = 64;
/// Most certificates in one response: a responder and its path.
const MAX_CERTIFICATES: usize = 4;

/// id-pkix-ocsp-basic, `1.3.6.1.5.5.7.48.1.1`
const BASIC: Oid<'static> = Oid(b"\x2b\x06\x01\x05\x05\x07\x30\x01\x01");

/// id-pkix-ocsp-nonce, `1.3.6.1.5.5.7.48.1.2`
const NONCE: Oid<'static> = Oid(b"\x2b\x06\x01\x05\x05\x07\x30\x01\x02");

/// Media type of a question (RFC 6960 appendix A.1).
pub const REQUEST_MEDIA_TYPE: &str = "application/ocsp-request";

/// `OCSPRequest` (RFC 6960 clause 4.1.1), DER, about one certificate, not signed by who asks. The certificate is named by SM3 where its issuer
/// has an SM2 key, else by SHA-1, which every responder knows. `nonce`: 16 to 32 random bytes.
pub fn request(certificate: &Certificate, issuer: &Certificate, nonce: &[u8]) -> Vec<u8> {
    let (algorithm, hash) = match issuer.key().sm2() {
        Some(_) => (sequence(&[&object_identifier(oid::SM3)]), Hash::Sm3),
        None => (sequence(&[&object_identifier(signature::SHA1), &der(NULL, &[])]), Hash::Sha1),
    };
    let id = sequence(&[
        &algorithm,
        &der(OCTET_STRING, &hash.digest(certificate.issuer().raw())),
        &der(OCTET_STRING, &hash.digest(issuer.key_bits())),
        &der(INTEGER, certificate.serial()),
    ]);
    let nonce = sequence(&[&object_identifier(NONCE), &der(OCTET_STRING, &der(OCTET_STRING, nonce))]);
    sequence(&[&sequence(&[&sequence(&[&sequence(&[&id])]), &der_of(context(2), &[&sequence(&[&nonce])])])])
}

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
    nonce: Option<Vec<u8>>,
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
        let nonce = match fields.optional(context(1))? {
            // RFC 6960 clause 4.4.1 wraps the nonce into an OCTET STRING of its own; older responders do not.
            Some(extensions) => extension(extensions, NONCE)?.map(|value| {
                Tlv::read_all(value).and_then(|inner| inner.octet_string().map(<[u8]>::to_vec)).unwrap_or(value.to_vec())
            }),
            None => None,
        };
        fields.end()?;
        Ok(Self {
            tbs: tbs.raw.to_vec(),
            signature: signature.to_vec(),
            algorithm: Algorithm::from_oid(algorithm, None),
            responder,
            produced_at,
            answers,
            nonce,
            certificates,
        })
    }

    /// producedAt
    pub fn produced_at(&self) -> Timestamp {
        self.produced_at
    }

    /// The nonce of the question, if the responder gives it back.
    pub fn nonce(&self) -> Option<&[u8]> {
        self.nonce.as_deref()
    }

    /// Serial numbers of the certificates that it speaks of.
    pub fn serials(&self) -> impl Iterator<Item = &[u8]> {
        self.answers.iter().map(|answer| answer.serial.as_slice())
    }

    /// The one of `candidates` whose certificates all of the response is about, and for which it is signed. Nothing is signed for nobody.
    pub fn issuer_among<'a>(&self, candidates: impl IntoIterator<Item = &'a Arc<Certificate>>) -> Option<&'a Arc<Certificate>> {
        let is_about = |issuer: &Certificate| {
            let name = |answer: &Answer| answer.issuer_name_hash == answer.hash.digest(issuer.subject().raw());
            let key = |answer: &Answer| answer.issuer_key_hash == answer.hash.digest(issuer.key_bits());
            !self.answers.is_empty() && self.answers.iter().all(|answer| key(answer) && name(answer))
        };
        candidates.into_iter().find(|issuer| is_about(issuer) && self.is_signed_for(issuer))
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
            extension(extensions, NONCE)?;
        }
        fields.end()?;
        Ok(hash.map(|hash| Self { hash, issuer_name_hash, issuer_key_hash, serial, status, this_update, next_update }))
    }
}

/// The value of the extension `wanted`. No critical extension of a response is understood here; one that is there changes what the
/// response means.
fn extension<'a>(extensions: Tlv<'a>, wanted: Oid<'_>) -> Result<Option<&'a [u8]>, Asn1Error> {
    let mut found = None;
    for extension in Tlv::read_all(extensions.value)?.expect(SEQUENCE)?.children()? {
        let mut elements = extension.expect(SEQUENCE)?.elements();
        let id = elements.next(OID)?.oid()?;
        if elements.optional(crate::asn1::BOOLEAN)?.map(|b| b.boolean()).transpose()?.unwrap_or(false) {
            return Err(Asn1Error::Value(OID));
        }
        if id == wanted {
            found = Some(elements.next(OCTET_STRING)?.value);
        }
    }
    Ok(found)
}
