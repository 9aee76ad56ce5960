//! Certificates in the profile of GB/T 20518-2018 (X.509 v3, SM2 with SM3): what each kind of subject gets, and issuing it.

use jiff::Timestamp;
use sealagent::asn1::{
    BIT_STRING, BOOLEAN, NULL, OCTET_STRING, Oid, context, context_primitive, der, der_of, integer, object_identifier, sequence,
    unsigned_integer,
};
use sealagent::sm::{Sm2PublicKey, sm3};

use crate::identity::{Identity, IdentityError};
use crate::key::{Key, KeyError, sm2_with_sm3, subject_public_key_info};
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
    /// What was issued cannot be read back.
    #[error("{0}")]
    Identity(#[from] IdentityError),
    /// The issuer's key does not sign.
    #[error("{0}")]
    Key(#[from] KeyError),
    /// The subject's name cannot be written.
    #[error("{0}")]
    Name(#[from] NameError),
    /// The issuer's certificate is not a CA's.
    #[error("the issuer's certificate is not that of a CA")]
    NotCa,
    /// The validity is not inside the issuer's.
    #[error("the validity must lie inside that of the issuer's certificate, which ends {until}")]
    OutlivesIssuer {
        /// End of the issuer's validity.
        until: Timestamp,
    },
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
    /// Signs what a region says: trust lists, seal status, licence statements.
    RegionStatement,
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
            Self::CompanySigning | Self::RegionStatement | Self::SealMaker | Self::TimeStampAuthority => [6, 0xc0],
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
            extension(oid::KEY_USAGE, true, &der(BIT_STRING, &self.key_usage())),
        ];
        let purpose = |purpose| sequence(&[&object_identifier(purpose)]);
        match self {
            Self::OcspResponder => {
                out.push(extension(oid::EXTENDED_KEY_USAGE, false, &purpose(oid::OCSP_SIGNING)));
                out.push(extension(oid::OCSP_NO_CHECK, false, &der(NULL, &[])));
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

/// Issues a certificate, DER.
///
/// Refuses an issuer that is no CA, and a validity that reaches beyond the issuer's: such a certificate would fail before its date.
/// `serial` must be one that this issuer never used: keeping count is the caller's part ([`crate::region`] does).
pub fn issue_certificate(
    issuer: &Identity,
    profile: CertificateProfile,
    subject: &Name,
    public_key: &Sm2PublicKey,
    validity: Validity,
    serial: &SerialNumber,
) -> Result<Vec<u8>, IssueError> {
    let ca = issuer.certificate();
    if !ca.is_ca() {
        return Err(IssueError::NotCa);
    }
    if validity.not_before < ca.not_before() || validity.not_after > ca.not_after() {
        return Err(IssueError::OutlivesIssuer { until: ca.not_after() });
    }
    let extensions = profile.extensions(public_key, &identifier_of(issuer));
    let tbs = tbs_certificate(ca.subject().raw(), &subject.to_der()?, public_key, validity, serial, &extensions)?;
    Ok(issuer.key().signed(&tbs)?)
}

/// Issues a root certificate, signed by its own key.
pub fn self_signed(
    key: impl Into<Key>,
    subject: &Name,
    validity: Validity,
    serial: &SerialNumber,
) -> Result<Identity, IssueError> {
    let key = key.into();
    let name = subject.to_der()?;
    let public_key = key.public_key();
    let extensions = CertificateProfile::RootCa.extensions(&public_key, &key_identifier(&public_key));
    let certificate = key.signed(&tbs_certificate(&name, &name, &public_key, validity, serial, &extensions)?)?;
    Ok(Identity::new(key, &certificate)?)
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

/// The authority key identifier of what this identity issues: its certificate's subject key identifier.
pub(crate) fn identifier_of(issuer: &Identity) -> Vec<u8> {
    match &issuer.certificate().extensions().subject_key_id {
        Some(found) => found.clone(),
        None => key_identifier(&issuer.key().public_key()).to_vec(),
    }
}

/// Key identifier: the first 160 bits of the SM3 of `04 ‖ x ‖ y`. RFC 5280 clause 4.2.1.2 leaves the method open and its example's
/// SHA-1 has no place here; the length is that of the national roots'.
pub fn key_identifier(key: &Sm2PublicKey) -> [u8; 20] {
    let mut out = [0; 20];
    out.copy_from_slice(&sm3(&key.to_sec1()).0[..20]);
    out
}
