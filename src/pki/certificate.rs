//! X.509 certificates in the SM2 profile (GB/T 20518, GM/T 0015).

use std::fmt;
use std::ops::Range;

use jiff::Timestamp;
use sha2::Digest as _;

use super::extensions::Extensions;
use super::name::Name;
use super::signature::{self, Algorithm, PublicKey, SignatureFault};
use crate::asn1::{Asn1Error, BIT_STRING, GENERALIZED_TIME, INTEGER, SEQUENCE, Tag, Tlv, UTC_TIME, context, context_primitive};

/// Largest certificate that is read. Real ones have up to 3 KB; some carry a picture of the holder.
pub const MAX_CERTIFICATE: usize = 256 * 1024;
/// Longest serial number: 20 octets by RFC 5280, some more for issuers that did not count the sign octet.
const MAX_SERIAL: usize = 32;

/// Why bytes are not a certificate that can be judged.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// The structure.
    #[error("not a certificate: {0}")]
    Structure(#[from] Asn1Error),
    /// Larger than [`MAX_CERTIFICATE`].
    #[error("the certificate is larger than {MAX_CERTIFICATE} bytes")]
    TooLarge,
    /// The algorithm inside the signed part is not the one outside.
    #[error("the certificate names two different signature algorithms")]
    AlgorithmsDiffer,
}

/// A certificate, with its bytes as received.
///
/// ```asn1
/// Certificate ::= SEQUENCE { tbsCertificate, signatureAlgorithm AlgorithmIdentifier, signatureValue BIT STRING }
/// ```
#[derive(Clone)]
pub struct Certificate {
    der: Vec<u8>,
    tbs: Range<usize>,
    signature: Range<usize>,
    spki: Range<usize>,
    key_bits: Range<usize>,
    sha256: [u8; 32],
    serial: Vec<u8>,
    algorithm: String,
    known_algorithm: Option<Algorithm>,
    issuer: Name,
    subject: Name,
    not_before: Timestamp,
    not_after: Timestamp,
    key: PublicKey,
    version: u64,
    extensions: Extensions,
}

impl Certificate {
    /// Reads one DER certificate that must be all of `der`.
    pub fn parse(der: &[u8]) -> Result<Self, CertificateError> {
        if der.len() > MAX_CERTIFICATE {
            return Err(CertificateError::TooLarge);
        }
        // A window on `der` as a range in it: what is kept must outlive the borrow.
        let at = |part: &[u8]| {
            let start = part.as_ptr() as usize - der.as_ptr() as usize;
            start..start + part.len()
        };
        let mut outer = Tlv::read_all(der)?.expect(SEQUENCE)?.elements();
        let tbs = outer.next(SEQUENCE)?;
        let algorithm = outer.next(SEQUENCE)?;
        let signature = outer.next(BIT_STRING)?.bit_string()?;
        outer.end()?;

        let mut fields = tbs.elements();
        let version = match fields.optional(context(0))? {
            Some(version) => Tlv::read_all(version.value)?.small_integer()? + 1,
            None => 1,
        };
        let serial = fields.next(INTEGER)?.value;
        if serial.is_empty() || serial.len() > MAX_SERIAL {
            return Err(Asn1Error::Value(INTEGER).into());
        }
        let inner_algorithm = fields.next(SEQUENCE)?;
        let issuer = Name::parse(fields.next(SEQUENCE)?)?;
        let mut validity = fields.next(SEQUENCE)?.elements();
        let (not_before, not_after) = (time(validity.any()?)?, time(validity.any()?)?);
        validity.end()?;
        let subject = Name::parse(fields.next(SEQUENCE)?)?;
        let spki = fields.next(SEQUENCE)?;
        let mut spki_elements = spki.elements();
        spki_elements.next(SEQUENCE)?;
        let key_bits = spki_elements.next(BIT_STRING)?.bit_string()?;
        fields.optional(context_primitive(1))?;
        fields.optional(context_primitive(2))?;
        let extensions = match fields.optional(context(3))? {
            Some(extensions) => Extensions::parse(Tlv::read_all(extensions.value)?)?,
            None => Extensions::default(),
        };
        fields.end()?;
        if inner_algorithm.raw != algorithm.raw {
            return Err(CertificateError::AlgorithmsDiffer);
        }
        let oid = signature::algorithm_oid(algorithm)?;
        Ok(Self {
            tbs: at(tbs.raw),
            signature: at(signature),
            spki: at(spki.raw),
            key_bits: at(key_bits),
            sha256: sha2::Sha256::digest(der).into(),
            serial: serial.to_vec(),
            algorithm: oid.dotted(),
            known_algorithm: Algorithm::from_oid(oid, None),
            issuer,
            subject,
            not_before,
            not_after,
            key: PublicKey::parse(spki)?,
            version,
            extensions,
            der: der.to_vec(),
        })
    }

    /// The bytes as received.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The raw tbsCertificate: what the issuer signed.
    pub fn tbs(&self) -> &[u8] {
        &self.der[self.tbs.clone()]
    }

    /// The issuer's signature: contents of the BIT STRING.
    pub fn signature(&self) -> &[u8] {
        &self.der[self.signature.clone()]
    }

    /// The raw SubjectPublicKeyInfo.
    pub fn spki(&self) -> &[u8] {
        &self.der[self.spki.clone()]
    }

    /// Contents of the subjectPublicKey BIT STRING, without the unused-bits octet: what key identifiers are digests of.
    pub fn key_bits(&self) -> &[u8] {
        &self.der[self.key_bits.clone()]
    }

    /// Fingerprint, as people compare it.
    pub fn sha256(&self) -> &[u8; 32] {
        &self.sha256
    }

    /// Fingerprint in lower-case hexadecimal digits.
    pub fn sha256_hex(&self) -> String {
        hex(&self.sha256)
    }

    /// Contents octets of the serial number, as they stand.
    pub fn serial(&self) -> &[u8] {
        &self.serial
    }

    /// Serial number in lower-case hexadecimal digits.
    pub fn serial_hex(&self) -> String {
        hex(&self.serial)
    }

    /// Dotted OID of the algorithm that the issuer signed with.
    pub fn algorithm(&self) -> &str {
        &self.algorithm
    }

    /// Who issued it.
    pub fn issuer(&self) -> &Name {
        &self.issuer
    }

    /// Whose it is.
    pub fn subject(&self) -> &Name {
        &self.subject
    }

    /// Start of the validity, itself valid.
    pub fn not_before(&self) -> Timestamp {
        self.not_before
    }

    /// End of the validity, itself valid.
    pub fn not_after(&self) -> Timestamp {
        self.not_after
    }

    /// Whether `at` is within the validity, both ends included (RFC 5280 clause 4.1.2.5).
    pub fn valid_at(&self, at: Timestamp) -> bool {
        self.not_before <= at && at <= self.not_after
    }

    /// The holder's key.
    pub fn key(&self) -> &PublicKey {
        &self.key
    }

    /// 1 to 3.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The extensions.
    pub fn extensions(&self) -> &Extensions {
        &self.extensions
    }

    /// Whether basicConstraints say CA.
    pub fn is_ca(&self) -> bool {
        self.extensions.basic_constraints.is_some_and(|b| b.ca)
    }

    /// Whether subject and issuer are the same name.
    pub fn is_self_issued(&self) -> bool {
        self.subject.matches(&self.issuer)
    }

    /// Whether `issuer`'s key signed this certificate. Says nothing else about the two.
    pub fn verify_issued_by(&self, issuer: &Self) -> Result<(), SignatureFault> {
        let algorithm = self.known_algorithm.ok_or(SignatureFault::Algorithm)?;
        signature::verify(&issuer.key, algorithm, self.tbs(), self.signature())
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Certificate({} from {})", self.subject, self.issuer)
    }
}

impl PartialEq for Certificate {
    fn eq(&self, other: &Self) -> bool {
        self.der == other.der
    }
}

impl Eq for Certificate {}

pub(crate) fn hex(bytes: &[u8]) -> String {
    use fmt::Write as _;
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut out, b| {
        let _ = write!(out, "{b:02x}");
        out
    })
}

/// Time of certificates, CRLs and responses: UTCTime `YYMMDDhhmmssZ` (1950 to 2049) or GeneralizedTime `YYYYMMDDhhmmss[.f…]Z`
/// (RFC 5280 clause 4.1.2.5; fractions occur in TSTInfo, RFC 3161 clause 2.4.2).
pub(crate) fn time(tlv: Tlv<'_>) -> Result<Timestamp, Asn1Error> {
    let wrong = Asn1Error::Value(tlv.tag);
    let (year_digits, text) = match tlv.tag {
        UTC_TIME => (2, tlv.value),
        GENERALIZED_TIME => (4, tlv.value),
        found => return Err(Asn1Error::Tag { expected: GENERALIZED_TIME as Tag, found: Some(found) }),
    };
    let text = text.strip_suffix(b"Z").ok_or(wrong)?;
    let (whole, fraction) = match text.iter().position(|b| *b == b'.') {
        Some(dot) if year_digits == 4 => (&text[..dot], &text[dot + 1..]),
        Some(_) => return Err(wrong),
        None => (text, &text[..0]),
    };
    if whole.len() != year_digits + 10 || !whole.iter().chain(fraction).all(u8::is_ascii_digit) || fraction.len() > 9 {
        return Err(wrong);
    }
    let number = |digits: &[u8]| digits.iter().fold(0i32, |n, d| n * 10 + i32::from(d - b'0'));
    let mut year = number(&whole[..year_digits]);
    if year_digits == 2 {
        year += if year < 50 { 2000 } else { 1900 };
    }
    let rest = &whole[year_digits..];
    let two = |i: usize| number(&rest[2 * i..2 * i + 2]) as i8;
    let nanos = number(fraction) * 10i32.pow(9 - fraction.len() as u32);
    jiff::civil::DateTime::new(year as i16, two(0), two(1), two(2), two(3), two(4), nanos)
        .and_then(|t| jiff::tz::TimeZone::UTC.to_timestamp(t))
        .map_err(|_| wrong)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::asn1::der;

    #[test]
    fn both_time_types_are_read_and_malformed_ones_refused() {
        let read = |tag, text: &str| time(Tlv::read_all(&der(tag, text.as_bytes())).unwrap()).map(|t| t.to_string());
        assert_eq!(read(UTC_TIME, "120714031159Z").unwrap(), "2012-07-14T03:11:59Z");
        assert_eq!(read(UTC_TIME, "500101000000Z").unwrap(), "1950-01-01T00:00:00Z");
        assert_eq!(read(GENERALIZED_TIME, "20530101000000Z").unwrap(), "2053-01-01T00:00:00Z");
        assert_eq!(read(GENERALIZED_TIME, "20530101000000.25Z").unwrap(), "2053-01-01T00:00:00.25Z");
        for wrong in ["20530101000000", "20531301000000Z", "205301010000Z", "2053010100000aZ", "20530101000000.1234567890Z", ""] {
            assert!(read(GENERALIZED_TIME, wrong).is_err(), "{wrong}");
        }
        assert!(read(UTC_TIME, "120714031159.5Z").is_err());
    }
}
