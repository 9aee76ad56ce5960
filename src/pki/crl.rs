//! Certificate revocation lists (RFC 5280 clause 5, GB/T 20518 clause 5.3).

use jiff::Timestamp;

use super::certificate::{Certificate, time};
use super::name::Name;
use super::signature::{self, Algorithm, SignatureFault};
use crate::asn1::{
    Asn1Error, BIT_STRING, BOOLEAN, ENUMERATED, GENERALIZED_TIME, INTEGER, OCTET_STRING, OID, Oid, Reader, SEQUENCE, Tlv,
    UTC_TIME, context, context_primitive,
};

/// Largest list that is read: a CA with half a million revoked certificates stays below it.
pub const MAX_CRL: usize = 64 * 1024 * 1024;

const REASON_CODE: Oid<'static> = Oid(b"\x55\x1d\x15");
const DELTA_CRL_INDICATOR: Oid<'static> = Oid(b"\x55\x1d\x1b");
const ISSUING_DISTRIBUTION_POINT: Oid<'static> = Oid(b"\x55\x1d\x1c");
const CERTIFICATE_ISSUER: Oid<'static> = Oid(b"\x55\x1d\x1d");
const EXPIRED_CERTS_ON_CRL: Oid<'static> = Oid(b"\x55\x1d\x3c");

/// Which certificates a list speaks about (issuingDistributionPoint).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Scope {
    All,
    CaOnly,
    UsersOnly,
    /// A delta, indirect or partial list, or a critical extension not understood: it proves nothing by itself.
    Unsupported,
}

/// A certificate's entry in a list or a response.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Revoked {
    /// revocationDate
    pub at: Timestamp,
    /// reasonCode (RFC 5280 clause 5.3.1)
    pub reason: Option<u8>,
}

impl Revoked {
    /// certificateHold, the one reason that can be taken back.
    pub fn is_hold(&self) -> bool {
        self.reason == Some(6)
    }
}

/// A revocation list.
#[derive(Clone, Debug)]
pub struct Crl {
    tbs: Vec<u8>,
    signature: Vec<u8>,
    algorithm: Option<Algorithm>,
    issuer: Name,
    this_update: Timestamp,
    next_update: Option<Timestamp>,
    pub(crate) scope: Scope,
    expired_certificates_since: Option<Timestamp>,
    /// Sorted by serial number.
    entries: Vec<(Box<[u8]>, Revoked)>,
}

impl Crl {
    /// Reads one DER list that must be all of `der`.
    pub fn parse(der: &[u8]) -> Result<Self, Asn1Error> {
        if der.len() > MAX_CRL {
            return Err(Asn1Error::Limit);
        }
        let mut outer = Tlv::read_all(der)?.expect(SEQUENCE)?.elements();
        let tbs = outer.next(SEQUENCE)?;
        let algorithm = outer.next(SEQUENCE)?;
        let signature = outer.next(BIT_STRING)?.bit_string()?;
        outer.end()?;
        let mut fields = tbs.elements();
        fields.optional(INTEGER)?;
        if fields.next(SEQUENCE)?.raw != algorithm.raw {
            return Err(Asn1Error::Value(SEQUENCE));
        }
        let issuer = Name::parse(fields.next(SEQUENCE)?)?;
        let this_update = time(fields.any()?)?;
        let next_update = match fields.peek() {
            Some(UTC_TIME | GENERALIZED_TIME) => Some(time(fields.any()?)?),
            _ => None,
        };
        let mut scope = Scope::All;
        let mut entries: Vec<(Box<[u8]>, Revoked)> = Vec::new();
        if let Some(list) = fields.optional(SEQUENCE)? {
            let mut list = list.elements();
            while !list.is_empty() {
                let (serial, revoked, understood) = entry(list.next(SEQUENCE)?)?;
                if !understood {
                    scope = Scope::Unsupported;
                }
                entries.push((serial.into(), revoked));
            }
        }
        entries.sort_by(|(a, _), (b, _)| a.cmp(b));
        let mut expired_certificates_since = None;
        if let Some(extensions) = fields.optional(context(0))? {
            for extension in Tlv::read_all(extensions.value)?.expect(SEQUENCE)?.children()? {
                let (oid, critical, value) = read_extension(extension)?;
                match oid {
                    ISSUING_DISTRIBUTION_POINT => scope = narrower(scope, issuing_distribution_point(value)?),
                    DELTA_CRL_INDICATOR => scope = Scope::Unsupported,
                    EXPIRED_CERTS_ON_CRL => expired_certificates_since = Some(time(Tlv::read_all(value)?)?),
                    _ if critical => scope = Scope::Unsupported,
                    _ => {}
                }
            }
        }
        fields.end()?;
        Ok(Self {
            tbs: tbs.raw.to_vec(),
            signature: signature.to_vec(),
            algorithm: Algorithm::from_oid(signature::algorithm_oid(algorithm)?, None),
            issuer,
            this_update,
            next_update,
            scope,
            expired_certificates_since,
            entries,
        })
    }

    /// Who issued it.
    pub fn issuer(&self) -> &Name {
        &self.issuer
    }

    /// thisUpdate
    pub fn this_update(&self) -> Timestamp {
        self.this_update
    }

    /// nextUpdate; a list without one is never fresh.
    pub fn next_update(&self) -> Option<Timestamp> {
        self.next_update
    }

    /// How many certificates it names.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether it names none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The date from which expired certificates stay on it (expiredCertsOnCRL, X.509 clause 9.5.2.8); without it a list is silent about
    /// a certificate that had expired before [`Self::this_update`].
    pub fn expired_certificates_since(&self) -> Option<Timestamp> {
        self.expired_certificates_since
    }

    /// Whether the list can speak about `certificate` at all.
    pub fn covers(&self, certificate: &Certificate) -> bool {
        self.issuer.matches(certificate.issuer())
            && match self.scope {
                Scope::All => true,
                Scope::CaOnly => certificate.is_ca(),
                Scope::UsersOnly => !certificate.is_ca(),
                Scope::Unsupported => false,
            }
    }

    /// The entry of this serial number (contents octets; a superfluous leading zero on either side does not hide it).
    pub fn find(&self, serial: &[u8]) -> Option<Revoked> {
        let serial = strip(serial);
        self.entries.binary_search_by(|(found, _)| (**found).cmp(serial)).ok().map(|i| self.entries[i].1)
    }

    /// Whether `issuer` signed this list and may sign lists.
    pub fn verify(&self, issuer: &Certificate) -> Result<(), SignatureFault> {
        if issuer.extensions().key_usage.is_some_and(|usage| !usage.signs_crls()) {
            return Err(SignatureFault::Algorithm);
        }
        let algorithm = self.algorithm.ok_or(SignatureFault::Algorithm)?;
        signature::verify(issuer.key(), algorithm, &self.tbs, &self.signature)
    }
}

fn strip(serial: &[u8]) -> &[u8] {
    &serial[serial.iter().take_while(|b| **b == 0).count().min(serial.len().saturating_sub(1))..]
}

fn entry(entry: Tlv<'_>) -> Result<(&[u8], Revoked, bool), Asn1Error> {
    let mut fields = entry.elements();
    let serial = strip(fields.next(INTEGER)?.value);
    let at = time(fields.any()?)?;
    let (mut reason, mut understood) = (None, true);
    if let Some(extensions) = fields.optional(SEQUENCE)? {
        let mut extensions = extensions.elements();
        while !extensions.is_empty() {
            let (oid, critical, value) = read_extension(extensions.any()?)?;
            match oid {
                REASON_CODE => reason = reason_code(Tlv::read_all(value)?)?,
                CERTIFICATE_ISSUER => understood = false,
                _ => understood &= !critical,
            }
        }
    }
    fields.end()?;
    Ok((serial, Revoked { at, reason }, understood))
}

pub(crate) fn reason_code(tlv: Tlv<'_>) -> Result<Option<u8>, Asn1Error> {
    match tlv.expect(ENUMERATED)?.value {
        [code @ 0..=10] => Ok(Some(*code)),
        _ => Err(Asn1Error::Value(ENUMERATED)),
    }
}

fn read_extension(tlv: Tlv<'_>) -> Result<(Oid<'_>, bool, &[u8]), Asn1Error> {
    let mut elements: Reader<'_> = tlv.expect(SEQUENCE)?.elements();
    let oid = elements.next(OID)?.oid()?;
    let critical = elements.optional(BOOLEAN)?.map(|b| b.boolean()).transpose()?.unwrap_or(false);
    let value = elements.next(OCTET_STRING)?.value;
    elements.end()?;
    Ok((oid, critical, value))
}

fn issuing_distribution_point(value: &[u8]) -> Result<Scope, Asn1Error> {
    let mut fields = Tlv::read_all(value)?.expect(SEQUENCE)?.elements();
    let mut scope = Scope::All;
    while !fields.is_empty() {
        let field = fields.any()?;
        let yes = field.value.iter().any(|b| *b != 0);
        scope = narrower(
            scope,
            match field.tag {
                tag if tag == context(0) => Scope::All,
                tag if tag == context_primitive(1) && yes => Scope::UsersOnly,
                tag if tag == context_primitive(2) && yes => Scope::CaOnly,
                _ if yes => Scope::Unsupported,
                _ => Scope::All,
            },
        );
    }
    Ok(scope)
}

fn narrower(a: Scope, b: Scope) -> Scope {
    match (a, b) {
        (Scope::All, other) | (other, Scope::All) => other,
        (a, b) if a == b => a,
        _ => Scope::Unsupported,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_narrow_to_the_stricter_and_contradictions_prove_nothing() {
        assert_eq!(narrower(Scope::All, Scope::CaOnly), Scope::CaOnly);
        assert_eq!(narrower(Scope::UsersOnly, Scope::CaOnly), Scope::Unsupported);
        assert_eq!(issuing_distribution_point(&[0x30, 3, 0x81, 1, 0xff]), Ok(Scope::UsersOnly));
        assert_eq!(issuing_distribution_point(&[0x30, 3, 0x84, 1, 0xff]), Ok(Scope::Unsupported));
        assert_eq!(issuing_distribution_point(&[0x30, 3, 0x84, 1, 0]), Ok(Scope::All));
    }

    #[test]
    fn serials_are_found_with_and_without_leading_zeros() {
        assert_eq!(strip(&[0, 0x81]), [0x81]);
        assert_eq!(strip(&[0]), [0]);
        assert_eq!(strip(&[]), [0u8; 0]);
    }
}
