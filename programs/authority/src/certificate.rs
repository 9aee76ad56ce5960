//! Certificates in the profile of GB/T 20518-2018 (X.509 v3, SM2 with SM3): what each kind of subject gets, and issuing it.

use jiff::Timestamp;
use sealagent::asn1::{
    Asn1Error, BOOLEAN, OCTET_STRING, Oid, SEQUENCE, Tlv, context, context_primitive, der, der_of, integer, object_identifier,
    oid as gm, sequence, unsigned_integer,
};
use sealagent::sm::{Sm2PublicKey, sm3};

use crate::key::{PrivateKey, sm2_with_sm3, subject_public_key_info};
use crate::name::{Name, NameError};
use crate::oid;
use crate::time::time;

/// Why a certificate is not issued.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum IssueError {
    /// Validity ends before it begins.
    #[error("the validity ends before it begins")]
    Dates,
    /// The issuer's certificate is unreadable.
    #[error("the issuer's certificate is unreadable: {0}")]
    IssuerCertificate(#[from] Asn1Error),
    /// Key and certificate of the issuer do not belong together.
    #[error("the issuer's key does not belong to its certificate")]
    IssuerKey,
    /// The subject's name cannot be written.
    #[error("{0}")]
    Name(#[from] NameError),
}

/// What a certificate is for. Decides key usage, basic constraints and extended key usage.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CertificateProfile {
    /// The encryption half of a company's pair: keyEncipherment, dataEncipherment, keyAgreement.
    CompanyEncryption,
    /// The signing half of a company's pair: digitalSignature, nonRepudiation (`03 02 06 C0`).
    CompanySigning,
    /// Signs revocation lists in the CA's place: cRLSign alone.
    CrlSigner,
    /// Issues certificates to everybody but CAs: path length 0.
    IssuingCa,
    /// Answers OCSP requests: OCSPSigning, and itself not asked about (id-pkix-ocsp-nocheck).
    OcspResponder,
    /// A region's trust anchor.
    RootCa,
    /// Signs seals: digitalSignature, nonRepudiation.
    SealMaker,
    /// Signs time stamps: critical extended key usage timeStamping alone (RFC 3161 clause 2.3).
    TimeStampAuthority,
}

impl CertificateProfile {
    /// keyUsage as the contents of its BIT STRING: unused bits, then bits from digitalSignature down.
    fn key_usage(self) -> [u8; 2] {
        match self {
            Self::CompanyEncryption => [3, 0x38],
            Self::CompanySigning | Self::SealMaker | Self::TimeStampAuthority => [6, 0xc0],
            Self::CrlSigner => [1, 0x02],
            Self::IssuingCa | Self::RootCa => [1, 0x06],
            Self::OcspResponder => [7, 0x80],
        }
    }

    fn basic_constraints(self) -> Vec<u8> {
        match self {
            Self::RootCa => sequence(&[&der(BOOLEAN, &[0xff])]),
            Self::IssuingCa => sequence(&[&der(BOOLEAN, &[0xff]), &integer(0)]),
            _ => sequence(&[]),
        }
    }

    fn is_ca(self) -> bool {
        matches!(self, Self::IssuingCa | Self::RootCa)
    }

    fn extensions(self, subject: &Sm2PublicKey, authority_key_identifier: &[u8]) -> Vec<Vec<u8>> {
        let authority = sequence(&[&der(context_primitive(0), authority_key_identifier)]);
        let mut out = vec![
            extension(oid::AUTHORITY_KEY_IDENTIFIER, false, &authority),
            extension(oid::SUBJECT_KEY_IDENTIFIER, false, &der(OCTET_STRING, &key_identifier(subject))),
            extension(oid::BASIC_CONSTRAINTS, self.is_ca(), &self.basic_constraints()),
            extension(oid::KEY_USAGE, true, &der(sealagent::asn1::BIT_STRING, &self.key_usage())),
        ];
        let purpose = |purpose| sequence(&[&object_identifier(purpose)]);
        match self {
            Self::OcspResponder => {
                out.push(extension(oid::EXTENDED_KEY_USAGE, false, &purpose(oid::OCSP_SIGNING)));
                out.push(extension(oid::OCSP_NO_CHECK, false, &der(sealagent::asn1::NULL, &[])));
            }
            Self::TimeStampAuthority => out.push(extension(oid::EXTENDED_KEY_USAGE, true, &purpose(oid::TIME_STAMPING))),
            _ => {}
        }
        out
    }
}

/// When a certificate counts, both ends included, to the second.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Validity {
    /// First second.
    pub not_before: Timestamp,
    /// Last second.
    pub not_after: Timestamp,
}

/// A certificate serial number: 1 to 20 octets, big-endian, positive (RFC 5280 clause 4.1.2.2).
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct SerialNumber(Vec<u8>);

impl SerialNumber {
    /// From big-endian digits; leading zeros are dropped. `None` for zero and for more than 20 octets (a sign octet counts).
    pub fn new(digits: &[u8]) -> Option<Self> {
        let digits = &digits[digits.iter().take_while(|d| **d == 0).count()..];
        match digits {
            [] => None,
            [first, ..] if digits.len() + usize::from(first & 0x80 != 0) > 20 => None,
            _ => Some(Self(digits.to_vec())),
        }
    }

    /// From a number other than 0: for tests, and where a list counts its own editions.
    pub fn from_number(n: std::num::NonZeroU64) -> Self {
        Self(n.get().to_be_bytes().into_iter().skip_while(|d| *d == 0).collect())
    }

    /// Big-endian digits without leading zeros.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub(crate) fn to_der(&self) -> Vec<u8> {
        unsigned_integer(&self.0)
    }
}

impl std::fmt::Display for SerialNumber {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

impl std::str::FromStr for SerialNumber {
    type Err = BadSerialNumber;

    /// Hexadecimal digits, with or without colons.
    fn from_str(text: &str) -> Result<Self, BadSerialNumber> {
        let digits: String = text.chars().filter(|c| *c != ':').collect();
        if digits.len() % 2 == 1 || digits.len() > 64 || !digits.is_ascii() {
            return Err(BadSerialNumber);
        }
        let bytes: Option<Vec<u8>> =
            (0..digits.len()).step_by(2).map(|i| u8::from_str_radix(digits.get(i..i + 2)?, 16).ok()).collect();
        bytes.and_then(|bytes| Self::new(&bytes)).ok_or(BadSerialNumber)
    }
}

/// The text is no serial number in hexadecimal digits.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not a serial number in hexadecimal digits")]
pub struct BadSerialNumber;

/// A CA ready to issue: its key, its certificate, and what of the certificate goes into what it issues.
#[derive(Clone, Debug)]
pub struct Issuer {
    key: PrivateKey,
    certificate: Vec<u8>,
    name: Vec<u8>,
    key_identifier: Vec<u8>,
}

impl Issuer {
    /// Joins a key with its certificate (DER). Refuses a certificate of another key.
    pub fn new(key: PrivateKey, certificate: Vec<u8>) -> Result<Self, IssueError> {
        let parts = CertificateParts::read(&certificate)?;
        if parts.public_key != key.public_key().to_sec1() {
            return Err(IssueError::IssuerKey);
        }
        let key_identifier = match parts.subject_key_identifier {
            Some(found) => found.to_vec(),
            None => key_identifier(&key.public_key()).to_vec(),
        };
        let name = parts.subject.to_vec();
        Ok(Self { key, name, key_identifier, certificate })
    }

    /// Its key.
    pub fn key(&self) -> &PrivateKey {
        &self.key
    }

    /// Its certificate, DER.
    pub fn certificate(&self) -> &[u8] {
        &self.certificate
    }

    /// DER of its subject name: the issuer name of what it issues.
    pub fn name(&self) -> &[u8] {
        &self.name
    }

    /// Its subject key identifier: the authority key identifier of what it issues.
    pub fn key_identifier(&self) -> &[u8] {
        &self.key_identifier
    }
}

/// Issues a certificate, DER.
///
/// `serial` must be one that this issuer never used: keeping count is the caller's part ([`crate::region`] does).
pub fn issue_certificate(
    issuer: &Issuer,
    profile: CertificateProfile,
    subject: &Name,
    public_key: &Sm2PublicKey,
    validity: Validity,
    serial: &SerialNumber,
) -> Result<Vec<u8>, IssueError> {
    let extensions = profile.extensions(public_key, &issuer.key_identifier);
    let tbs = tbs_certificate(&issuer.name, &subject.to_der()?, public_key, validity, serial, &extensions)?;
    Ok(issuer.key.signed(&tbs))
}

/// Issues a root certificate, signed by its own key.
pub fn self_signed(key: PrivateKey, subject: &Name, validity: Validity, serial: &SerialNumber) -> Result<Issuer, IssueError> {
    let name = subject.to_der()?;
    let public_key = key.public_key();
    let extensions = CertificateProfile::RootCa.extensions(&public_key, &key_identifier(&public_key));
    let certificate = key.signed(&tbs_certificate(&name, &name, &public_key, validity, serial, &extensions)?);
    Ok(Issuer { key, certificate, name, key_identifier: key_identifier(&public_key).to_vec() })
}

/// `TBSCertificate` (RFC 5280 clause 4.1.1.1).
fn tbs_certificate(
    issuer: &[u8],
    subject: &[u8],
    public_key: &Sm2PublicKey,
    validity: Validity,
    serial: &SerialNumber,
    extensions: &[Vec<u8>],
) -> Result<Vec<u8>, IssueError> {
    if validity.not_after < validity.not_before {
        return Err(IssueError::Dates);
    }
    let extensions = sequence(&extensions.iter().map(Vec::as_slice).collect::<Vec<_>>());
    Ok(sequence(&[
        &der_of(context(0), &[&integer(2)]),
        &serial.to_der(),
        &sm2_with_sm3(),
        issuer,
        &sequence(&[&time(validity.not_before), &time(validity.not_after)]),
        subject,
        &subject_public_key_info(public_key),
        &der_of(context(3), &[&extensions]),
    ]))
}

/// `Extension`; DER leaves out `critical` when it is false.
pub(crate) fn extension(oid: Oid<'_>, critical: bool, value: &[u8]) -> Vec<u8> {
    let critical = if critical { der(BOOLEAN, &[0xff]) } else { Vec::new() };
    sequence(&[&object_identifier(oid), &critical, &der(OCTET_STRING, value)])
}

/// Key identifier: the first 160 bits of the SM3 of `04 ‖ x ‖ y`. RFC 5280 clause 4.2.1.2 leaves the method open and its example's
/// SHA-1 has no place here; the length is that of the national roots'.
pub fn key_identifier(key: &Sm2PublicKey) -> [u8; 20] {
    let mut out = [0; 20];
    out.copy_from_slice(&sm3(&key.to_sec1()).0[..20]);
    out
}

/// What of a certificate its issuer needs.
struct CertificateParts<'a> {
    subject: &'a [u8],
    public_key: &'a [u8],
    subject_key_identifier: Option<&'a [u8]>,
}

impl<'a> CertificateParts<'a> {
    fn read(certificate: &'a [u8]) -> Result<Self, Asn1Error> {
        let mut tbs = Tlv::read_all(certificate)?.expect(SEQUENCE)?.elements().next(SEQUENCE)?.elements();
        tbs.next(context(0))?;
        tbs.any()?; // serial number
        tbs.next(SEQUENCE)?; // signature algorithm
        tbs.next(SEQUENCE)?; // issuer
        tbs.next(SEQUENCE)?; // validity
        let subject = tbs.next(SEQUENCE)?.raw;
        let mut spki = tbs.next(SEQUENCE)?.elements();
        let mut algorithm = spki.next(SEQUENCE)?.elements();
        if algorithm.any()?.oid()? != gm::EC_PUBLIC_KEY || algorithm.any()?.oid()? != gm::SM2_CURVE {
            return Err(Asn1Error::Value(sealagent::asn1::OID));
        }
        let public_key = spki.any()?.bit_string()?;
        let mut subject_key_identifier = None;
        while !tbs.is_empty() {
            let Some(extensions) = tbs.optional(context(3))? else {
                tbs.any()?;
                continue;
            };
            for extension in Tlv::read_all(extensions.value)?.expect(SEQUENCE)?.children()? {
                let mut parts = extension.expect(SEQUENCE)?.elements();
                if parts.any()?.oid()? == oid::SUBJECT_KEY_IDENTIFIER {
                    parts.optional(BOOLEAN)?;
                    subject_key_identifier = Some(Tlv::read_all(parts.any()?.octet_string()?)?.octet_string()?);
                }
            }
        }
        Ok(Self { subject, public_key, subject_key_identifier })
    }
}
