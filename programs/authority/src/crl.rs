//! Revocation lists: X.509 v2 CRLs, signed with SM2 and SM3 (RFC 5280 clause 5, GB/T 20518 clause 5.3).

use jiff::Timestamp;
use sealagent::asn1::{
    ENUMERATED, INTEGER, OCTET_STRING, OID, SEQUENCE, Tlv, context, context_primitive, der, der_of, integer, sequence,
};

use crate::certificate::{SerialNumber, extension, identifier_of};
use crate::identity::Identity;
use crate::key::{KeyError, sm2_with_sm3};
use crate::oid;
use crate::time::{generalized_time, time};

/// `CRLReason` (RFC 5280 clause 5.3.1). Written as its number.
#[derive(Clone, Copy, Debug, Eq, PartialEq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the names are the standard's")]
pub enum RevocationReason {
    KeyCompromise = 1,
    CaCompromise = 2,
    AffiliationChanged = 3,
    Superseded = 4,
    CessationOfOperation = 5,
    CertificateHold = 6,
    PrivilegeWithdrawn = 9,
}

impl RevocationReason {
    /// From its number.
    pub fn from_number(number: u8) -> Option<Self> {
        use RevocationReason::*;
        let all = [
            KeyCompromise,
            CaCompromise,
            AffiliationChanged,
            Superseded,
            CessationOfOperation,
            CertificateHold,
            PrivilegeWithdrawn,
        ];
        all.into_iter().find(|reason| *reason as u8 == number)
    }
}

/// One entry of a list.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RevokedCertificate {
    /// Which certificate of this issuer.
    pub serial: SerialNumber,
    /// From when on it does not count.
    pub at: Timestamp,
    /// Why; `None` leaves the reason code out, as the standard wants for "unspecified".
    pub reason: Option<RevocationReason>,
}

/// What a list says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CrlContents {
    /// cRLNumber: one more with each list of this issuer.
    pub number: u64,
    /// When it was made.
    pub this_update: Timestamp,
    /// By when there will be a newer one; a verifier takes an older list for stale.
    pub next_update: Timestamp,
    /// Certificates that expired since then stay on it (expiredCertsOnCRL), so that it says of an old signature's certificate, too,
    /// that it was not revoked; `None` makes a list that is silent about expired ones.
    pub expired_since: Option<Timestamp>,
    /// The certificates revoked, in any order.
    pub revoked: Vec<RevokedCertificate>,
}

/// Signs a revocation list, DER.
pub fn issue_crl(issuer: &Identity, contents: &CrlContents) -> Result<Vec<u8>, KeyError> {
    let entries: Vec<Vec<u8>> = contents.revoked.iter().map(entry).collect();
    // RFC 5280 clause 5.1.2.6: no entries, no list of entries.
    let entries = match entries.as_slice() {
        [] => Vec::new(),
        entries => sequence(&entries.iter().map(Vec::as_slice).collect::<Vec<_>>()),
    };
    let authority = sequence(&[&der(context_primitive(0), &identifier_of(issuer))]);
    let expired = contents.expired_since.map(|since| extension(oid::EXPIRED_CERTS_ON_CRL, false, &generalized_time(since)));
    let extensions = sequence(&[
        &extension(oid::AUTHORITY_KEY_IDENTIFIER, false, &authority),
        &extension(oid::CRL_NUMBER, false, &integer(contents.number)),
        &expired.unwrap_or_default(),
    ]);
    let tbs = sequence(&[
        &integer(1),
        &sm2_with_sm3(),
        issuer.certificate().subject().raw(),
        &time(contents.this_update),
        &time(contents.next_update),
        &entries,
        &der_of(context(0), &[&extensions]),
    ]);
    issuer.key().signed(&tbs)
}

/// The number of a list that [`issue_crl`] made; `None` for anything else.
pub(crate) fn crl_number(list: &[u8]) -> Option<u64> {
    let tbs = Tlv::read_all(list).ok()?.expect(SEQUENCE).ok()?.elements().next(SEQUENCE).ok()?;
    let extensions = tbs.children().ok()?.last()?.expect(context(0)).ok()?;
    for extension in Tlv::read_all(extensions.value).ok()?.expect(SEQUENCE).ok()?.children().ok()? {
        let mut fields = extension.elements();
        if fields.next(OID).ok()?.oid().ok()? == oid::CRL_NUMBER {
            let number = Tlv::read_all(fields.next(OCTET_STRING).ok()?.value).ok()?.expect(INTEGER).ok()?;
            return number.small_integer().ok();
        }
    }
    None
}

fn entry(revoked: &RevokedCertificate) -> Vec<u8> {
    let extensions = match revoked.reason {
        None => Vec::new(),
        Some(reason) => sequence(&[&extension(oid::REASON_CODE, false, &der(ENUMERATED, &[reason as u8]))]),
    };
    sequence(&[&revoked.serial.to_der(), &time(revoked.at), &extensions])
}
