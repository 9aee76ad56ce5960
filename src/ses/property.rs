//! `property` of a seal: what it is called, who may use it, and when.

use crate::asn1::{BIT_STRING, GENERALIZED_TIME, INTEGER, OCTET_STRING, PRINTABLE_STRING, SEQUENCE, Tlv, UTC_TIME, UTF8_STRING};

use super::read::{Fields, Notes, SesError, limits, within};
use super::{Time, Tolerance, Version, time};

/// `SES_ESPropertyInfo`
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Property {
    /// `type`, of business meaning: 1 unit seal and 2 personal seal in the text, others in use.
    pub kind: u64,
    /// `name`
    pub name: String,
    /// `certListType`: 1 certificates, 2 digests; V1 seals have none. The list itself decides what it is.
    pub cert_list_type: Option<u64>,
    /// `certList`: who may use the seal.
    pub cert_list: CertList,
    /// Elements of certList that are neither, as they stand. They list nobody.
    pub odd_elements: Vec<Vec<u8>>,
    /// `createDate`
    pub created: Time,
    /// `validStart`
    pub valid_from: Time,
    /// `validEnd`
    pub valid_to: Time,
}

/// `SES_CertList`
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum CertList {
    /// DER certificates, compared byte for byte with the signer's.
    Certificates(Vec<Vec<u8>>),
    /// Digests of certificates.
    Digests(Vec<CertDigest>),
}

/// `CertDigestObj`
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CertDigest {
    /// `type`, free text; no standard value is known.
    pub kind: String,
    /// `value`
    pub value: Vec<u8>,
}

impl Property {
    pub(super) fn read(tlv: Tlv<'_>, version: Version, notes: &mut Notes) -> Result<Self, SesError> {
        let mut fields = Fields::of(tlv, notes);
        let kind = fields.integer("property.type")?;
        let name = fields.text("name", UTF8_STRING, limits::TEXT_BYTES)?;
        let cert_list_type = if fields.peek() == Some(INTEGER) { Some(fields.integer("certListType")?) } else { None };
        let list = fields.next("certList", SEQUENCE)?;
        let (cert_list, odd_elements) = CertList::read(list, fields.notes)?;
        let expected_type = match (version, &cert_list) {
            (Version::V1, _) => None,
            (_, CertList::Certificates(_)) => Some(1),
            (_, CertList::Digests(_)) => Some(2),
        };
        if cert_list_type != expected_type {
            fields.notes.add(Tolerance::CertListTypeMismatch);
        }
        let time_type = if version == Version::V1 { UTC_TIME } else { GENERALIZED_TIME };
        let mut date = |field| {
            let tlv = fields.any(field)?;
            time::read(field, tlv, time_type, fields.notes)
        };
        let (created, valid_from, valid_to) = (date("createDate")?, date("validStart")?, date("validEnd")?);
        fields.end("property")?;
        Ok(Self { kind, name, cert_list_type, cert_list, odd_elements, created, valid_from, valid_to })
    }
}

impl CertList {
    /// What kind of list it is, its first well-formed element decides; elements of the other kind are odd.
    fn read(list: Tlv<'_>, notes: &mut Notes) -> Result<(Self, Vec<Vec<u8>>), SesError> {
        let mut fields = Fields::of(list, notes);
        let (mut certificates, mut digests, mut odd) = (Vec::new(), Vec::new(), Vec::new());
        while fields.peek().is_some() {
            within("certList", certificates.len() + digests.len() + odd.len() + 1, limits::CERTIFICATES)?;
            let element = fields.any("certList")?;
            within("certList", element.value.len(), limits::CERTIFICATE_BYTES)?;
            match element.tag {
                OCTET_STRING if digests.is_empty() => certificates.push(element.value.to_vec()),
                SEQUENCE => match CertDigest::read(element, fields.notes) {
                    Some(digest) if certificates.is_empty() => digests.push(digest),
                    None if digests.is_empty() && is_certificate(element) => {
                        fields.notes.add(Tolerance::CertificateUnwrapped);
                        certificates.push(element.raw.to_vec());
                    }
                    _ => odd.push(element.raw.to_vec()),
                },
                _ => odd.push(element.raw.to_vec()),
            }
        }
        if !odd.is_empty() {
            notes.add(Tolerance::CertListOddElement);
        }
        let list = if digests.is_empty() { Self::Certificates(certificates) } else { Self::Digests(digests) };
        Ok((list, odd))
    }
}

impl CertDigest {
    /// `SEQUENCE { type PrintableString, value OCTET STRING }`, or nothing.
    fn read(tlv: Tlv<'_>, notes: &mut Notes) -> Option<Self> {
        let mut elements = tlv.elements();
        let kind = elements.any().ok()?;
        let value = elements.next(OCTET_STRING).ok()?.value.to_vec();
        elements.end().ok()?;
        let text = kind.text()?;
        if kind.tag != PRINTABLE_STRING {
            notes.add(Tolerance::StringType);
        }
        Some(Self { kind: text, value })
    }
}

fn is_certificate(tlv: Tlv<'_>) -> bool {
    matches!(tlv.children().as_deref(), Ok([tbs, algorithm, value])
        if (tbs.tag, algorithm.tag, value.tag) == (SEQUENCE, SEQUENCE, BIT_STRING))
}
