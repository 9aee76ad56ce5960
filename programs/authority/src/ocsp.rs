//! OCSP answers (RFC 6960 clause 4.2), signed with SM2 and SM3, certificates named by their SM3.

use jiff::Timestamp;
use sealagent::asn1::{
    ENUMERATED, OCTET_STRING, bit_string, context, context_primitive, der, der_of, object_identifier, oid as gm, sequence,
};
use sealagent::pki::Certificate;
use sealagent::sm::sm3;

use crate::certificate::{SerialNumber, extension};
use crate::crl::RevocationReason;
use crate::identity::Identity;
use crate::key::sm2_with_sm3;
use crate::oid;
use crate::time::generalized_time;

/// What is said of one certificate.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CertificateStatus {
    /// Issued and not revoked.
    Good,
    /// Revoked.
    Revoked {
        /// From when on.
        at: Timestamp,
        /// Why, if it is said.
        reason: Option<RevocationReason>,
    },
    /// This responder does not know it.
    Unknown,
}

/// One `SingleResponse`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SingleResponse {
    /// Which certificate of the issuer.
    pub serial: SerialNumber,
    /// Its status.
    pub status: CertificateStatus,
    /// When this was known to be so.
    pub this_update: Timestamp,
    /// By when there is newer information; `None` says that there always is.
    pub next_update: Option<Timestamp>,
}

/// Signs an answer about certificates of `issuer`, DER of an `OCSPResponse`. `nonce` is the request's, given back.
///
/// `responder` is the issuer itself or holds a certificate of it for [`crate::CertificateProfile::OcspResponder`], which is then sent along.
pub fn issue_ocsp_response(
    responder: &Identity,
    issuer: &Certificate,
    responses: &[SingleResponse],
    produced_at: Timestamp,
    nonce: Option<&[u8]>,
) -> Vec<u8> {
    let responses: Vec<Vec<u8>> = responses.iter().map(|response| single_response(issuer, response)).collect();
    let extensions = nonce.map_or(Vec::new(), |nonce| {
        let nonce = extension(oid::OCSP_NONCE, false, &der(OCTET_STRING, nonce));
        der_of(context(1), &[&sequence(&[&nonce])])
    });
    let data = sequence(&[
        &der_of(context(1), &[responder.certificate().subject().raw()]), // byName
        &generalized_time(produced_at),
        &sequence(&responses.iter().map(Vec::as_slice).collect::<Vec<_>>()),
        &extensions,
    ]);
    let certificates = match responder.certificate() == issuer {
        true => Vec::new(),
        false => der_of(context(0), &[&sequence(&[responder.der()])]),
    };
    // OCSPResponseStatus internalError(2): a key on a token did not sign.
    let Ok(signature) = responder.key().sign(&data) else { return sequence(&[&der(ENUMERATED, &[2])]) };
    let signature = bit_string(&signature.to_der());
    let basic = sequence(&[&data, &sm2_with_sm3(), &signature, &certificates]);
    let bytes = sequence(&[&object_identifier(oid::OCSP_BASIC), &der(OCTET_STRING, &basic)]);
    sequence(&[&der(ENUMERATED, &[0]), &der_of(context(0), &[&bytes])])
}

fn single_response(issuer: &Certificate, response: &SingleResponse) -> Vec<u8> {
    let certificate_id = sequence(&[
        &sequence(&[&object_identifier(gm::SM3)]),
        &der(OCTET_STRING, &sm3(issuer.subject().raw()).0),
        &der(OCTET_STRING, &sm3(issuer.key_bits()).0),
        &response.serial.to_der(),
    ]);
    let status = match response.status {
        CertificateStatus::Good => der(context_primitive(0), &[]),
        CertificateStatus::Revoked { at, reason } => {
            let reason = reason.map_or(Vec::new(), |reason| der_of(context(0), &[&der(ENUMERATED, &[reason as u8])]));
            der_of(context(1), &[&generalized_time(at), &reason])
        }
        CertificateStatus::Unknown => der(context_primitive(2), &[]),
    };
    let next_update = response.next_update.map_or(Vec::new(), |at| der_of(context(0), &[&generalized_time(at)]));
    sequence(&[&certificate_id, &status, &generalized_time(response.this_update), &next_update])
}
