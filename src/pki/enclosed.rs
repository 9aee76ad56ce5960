//! Revocation lists and OCSP responses that came with a document: in SignedData (RFC 5652 clause 5.1), in the attribute
//! `adbe-revocationInfoArchival` that PDF writers sign (ISO 32000-2 clause 12.8.3.3.2), or in the `/DSS` of a PDF (clause 12.8.4.3).
//!
//! They are data like those of the trust store: each counts by the signature of the certificate's issuer or of its responder, and about
//! the time that it speaks of. That the document brought it proves nothing and spoils nothing.

use std::collections::{HashMap, HashSet};

use sha2::Digest as _;

use super::certificate::Certificate;
use super::crl::Crl;
use super::ocsp::{Answer, OcspResponse};
use crate::asn1::{Asn1Error, Oid, SEQUENCE, Tlv, context};

/// Lists and responses taken from one document, and the bytes of all of them: some dozens of signatures with two of 2 KB each, or the
/// lists of a large CA, which have megabytes. Each is checked under every issuer that it names, so the bytes limit the hashing. What
/// comes first is taken first.
const MAX_ITEMS: usize = 1_024;
const MAX_BYTES: usize = 8 << 20;

/// `adbe-revocationInfoArchival`, `1.2.840.113583.1.1.8`
pub const REVOCATION_INFO_ARCHIVAL: Oid<'static> = Oid(b"\x2a\x86\x48\x86\xf7\x2f\x01\x01\x08");

/// What one document brought.
#[derive(Debug, Default)]
pub struct Enclosed {
    crls: Vec<Crl>,
    responses: Vec<OcspResponse>,
    /// SHA-256 of the DER of all of them: the same list comes with every signature.
    taken: HashSet<[u8; 32]>,
    bytes: usize,
    /// By place in its vector and SHA-256 of the issuer: whether the list, or the response, is signed for it.
    signed: HashMap<(Kind, usize, [u8; 32]), bool>,
}

#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
enum Kind {
    Crl,
    Response,
}

impl Enclosed {
    /// Takes a CertificateList. One that cannot be read says nothing.
    pub fn add_crl(&mut self, der: &[u8]) {
        if self.is_new(der)
            && let Ok(crl) = Crl::parse(der)
        {
            self.crls.push(crl);
        }
    }

    /// Takes an OCSPResponse. One that cannot be read says nothing.
    pub fn add_response(&mut self, der: &[u8]) {
        if self.is_new(der)
            && let Ok(response) = OcspResponse::parse(der)
        {
            self.responses.push(response);
        }
    }

    /// Takes all of a `RevocationInfoArchival ::= SEQUENCE { crl [0] EXPLICIT SEQUENCE OF CertificateList OPTIONAL, ocsp [1] EXPLICIT
    /// SEQUENCE OF OCSPResponse OPTIONAL, otherRevInfo [2] … OPTIONAL }`.
    pub fn add_archival(&mut self, der: &[u8]) -> Result<(), Asn1Error> {
        let mut fields = Tlv::read_all(der)?.expect(SEQUENCE)?.elements();
        for (n, add) in [Self::add_crl as fn(&mut Self, &[u8]), Self::add_response].into_iter().enumerate() {
            let Some(list) = fields.optional(context(n as u8))? else { continue };
            let mut items = Tlv::read_all(list.value)?.expect(SEQUENCE)?.elements();
            while !items.is_empty() {
                add(self, items.any()?.raw);
            }
        }
        Ok(())
    }

    fn is_new(&mut self, der: &[u8]) -> bool {
        let fits = self.taken.len() < MAX_ITEMS && der.len() <= MAX_BYTES - self.bytes;
        if !fits || !self.taken.insert(sha2::Sha256::digest(der).into()) {
            return false;
        }
        self.bytes += der.len();
        true
    }

    /// The lists about `certificate` that `issuer` signed.
    pub(super) fn crls_of(&mut self, certificate: &Certificate, issuer: &Certificate) -> impl Iterator<Item = &Crl> {
        let Self { crls, signed, .. } = self;
        crls.iter().enumerate().filter_map(move |(place, crl)| {
            let key = (Kind::Crl, place, *issuer.sha256());
            let good = crl.covers(certificate) && *signed.entry(key).or_insert_with(|| crl.verify(issuer).is_ok());
            good.then_some(crl)
        })
    }

    /// The answers about `certificate` that are signed for `issuer`.
    pub(super) fn answers_about(&mut self, certificate: &Certificate, issuer: &Certificate) -> impl Iterator<Item = &Answer> {
        let Self { responses, signed, .. } = self;
        responses.iter().enumerate().filter_map(move |(place, response)| {
            let answer = response.answer(certificate, issuer)?;
            let key = (Kind::Response, place, *issuer.sha256());
            signed.entry(key).or_insert_with(|| response.is_signed_for(issuer)).then_some(answer)
        })
    }
}
