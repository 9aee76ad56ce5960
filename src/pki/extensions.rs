//! Certificate extensions (RFC 5280 clause 4.2, GB/T 20518 clause 5.2.4): what path checking and people need, and which critical
//! ones nobody here understands.

use crate::asn1::{Asn1Error, BIT_STRING, BOOLEAN, INTEGER, OCTET_STRING, OID, Oid, SEQUENCE, Tlv, context, context_primitive};

/// Most extensions in one certificate; real ones have up to sixteen.
const MAX_EXTENSIONS: usize = 128;
/// Most addresses kept of one certificate: they are shown, never followed here.
const MAX_ADDRESSES: usize = 16;

/// id-kp-timeStamping, `1.3.6.1.5.5.7.3.8`
pub const TIME_STAMPING: Oid<'static> = Oid(b"\x2b\x06\x01\x05\x05\x07\x03\x08");
/// id-kp-OCSPSigning, `1.3.6.1.5.5.7.3.9`
pub const OCSP_SIGNING: Oid<'static> = Oid(b"\x2b\x06\x01\x05\x05\x07\x03\x09");

const SUBJECT_KEY_ID: Oid<'static> = Oid(b"\x55\x1d\x0e");
const KEY_USAGE: Oid<'static> = Oid(b"\x55\x1d\x0f");
const SUBJECT_ALT_NAME: Oid<'static> = Oid(b"\x55\x1d\x11");
const BASIC_CONSTRAINTS: Oid<'static> = Oid(b"\x55\x1d\x13");
const CRL_DISTRIBUTION_POINTS: Oid<'static> = Oid(b"\x55\x1d\x1f");
const CERTIFICATE_POLICIES: Oid<'static> = Oid(b"\x55\x1d\x20");
const AUTHORITY_KEY_ID: Oid<'static> = Oid(b"\x55\x1d\x23");
const EXTENDED_KEY_USAGE: Oid<'static> = Oid(b"\x55\x1d\x25");
const AUTHORITY_INFO_ACCESS: Oid<'static> = Oid(b"\x2b\x06\x01\x05\x05\x07\x01\x01");
const OCSP_NO_CHECK: Oid<'static> = Oid(b"\x2b\x06\x01\x05\x05\x07\x30\x01\x05");

/// Bits of keyUsage (RFC 5280 clause 4.2.1.3), bit 0 of the standard first.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct KeyUsage(u16);

impl KeyUsage {
    /// digitalSignature or nonRepudiation: what a certificate for seals must have (trust.md §1).
    pub fn signs(self) -> bool {
        self.0 & 0b11 != 0
    }

    /// keyCertSign
    pub fn signs_certificates(self) -> bool {
        self.0 & 1 << 5 != 0
    }

    /// cRLSign
    pub fn signs_crls(self) -> bool {
        self.0 & 1 << 6 != 0
    }

    fn parse(value: &[u8]) -> Result<Self, Asn1Error> {
        match Tlv::read_all(value)?.expect(BIT_STRING)?.value {
            [unused @ 0..=7, bits @ ..] if bits.len() <= 2 && (!bits.is_empty() || *unused == 0) => {
                Ok(Self(bits.iter().enumerate().fold(0, |all, (i, byte)| all | u16::from(byte.reverse_bits()) << (8 * i))))
            }
            _ => Err(Asn1Error::Value(BIT_STRING)),
        }
    }
}

/// basicConstraints of a CA certificate.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct BasicConstraints {
    /// cA
    pub ca: bool,
    /// pathLenConstraint
    pub path_len: Option<u64>,
}

/// The extensions of one certificate.
#[derive(Clone, Debug, Default)]
pub struct Extensions {
    /// keyUsage; absent in some test certificates.
    pub key_usage: Option<KeyUsage>,
    /// basicConstraints
    pub basic_constraints: Option<BasicConstraints>,
    /// subjectKeyIdentifier
    pub subject_key_id: Option<Vec<u8>>,
    /// keyIdentifier of authorityKeyIdentifier
    pub authority_key_id: Option<Vec<u8>>,
    /// Contents octets of the OIDs in extKeyUsage.
    pub extended_key_usage: Option<Vec<Vec<u8>>>,
    /// Whether extKeyUsage is critical.
    pub extended_key_usage_critical: bool,
    /// Addresses of CRLs as the certificate gives them, malformed ones included.
    pub crl_addresses: Vec<String>,
    /// Addresses of OCSP responders as the certificate gives them.
    pub ocsp_addresses: Vec<String>,
    /// id-pkix-ocsp-nocheck (RFC 6960 clause 4.2.2.2.1)
    pub ocsp_no_check: bool,
    /// Dotted OIDs of critical extensions that are not understood here.
    pub unknown_critical: Vec<String>,
    /// Contents octets of OID and value of the extensions that are none of the above: some carry the subject's codes.
    pub others: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Extensions {
    /// Reads `Extensions ::= SEQUENCE OF Extension`. An explicit `critical FALSE` and a value that is no DER (trust.md §2) are met in
    /// the field; a second extension of the same kind is refused.
    pub fn parse(tlv: Tlv<'_>) -> Result<Self, Asn1Error> {
        let mut out = Self::default();
        let mut seen: Vec<&[u8]> = Vec::new();
        for extension in tlv.expect(SEQUENCE)?.children()? {
            if seen.len() == MAX_EXTENSIONS {
                return Err(Asn1Error::Limit);
            }
            let mut elements = extension.expect(SEQUENCE)?.elements();
            let oid = elements.next(OID)?.oid()?;
            let critical = elements.optional(BOOLEAN)?.map(|b| b.boolean()).transpose()?.unwrap_or(false);
            let value = elements.next(OCTET_STRING)?.value;
            elements.end()?;
            if seen.contains(&oid.0) {
                return Err(Asn1Error::Value(OID));
            }
            seen.push(oid.0);
            out.take(oid, critical, value)?;
        }
        Ok(out)
    }

    fn take(&mut self, oid: Oid<'_>, critical: bool, value: &[u8]) -> Result<(), Asn1Error> {
        match oid {
            KEY_USAGE => self.key_usage = Some(KeyUsage::parse(value)?),
            BASIC_CONSTRAINTS => {
                let mut elements = Tlv::read_all(value)?.expect(SEQUENCE)?.elements();
                let ca = elements.optional(BOOLEAN)?.map(|b| b.boolean()).transpose()?.unwrap_or(false);
                let path_len = elements.optional(INTEGER)?.map(|n| n.small_integer()).transpose()?;
                elements.end()?;
                self.basic_constraints = Some(BasicConstraints { ca, path_len });
            }
            SUBJECT_KEY_ID => self.subject_key_id = Some(Tlv::read_all(value)?.octet_string()?.to_vec()),
            AUTHORITY_KEY_ID => {
                let mut elements = Tlv::read_all(value)?.expect(SEQUENCE)?.elements();
                self.authority_key_id = elements.optional(context_primitive(0))?.map(|id| id.value.to_vec());
            }
            EXTENDED_KEY_USAGE => {
                let usages = Tlv::read_all(value)?.expect(SEQUENCE)?.children()?;
                self.extended_key_usage =
                    Some(usages.into_iter().map(|u| Ok(u.oid()?.0.to_vec())).collect::<Result<_, Asn1Error>>()?);
                self.extended_key_usage_critical = critical;
            }
            OCSP_NO_CHECK => self.ocsp_no_check = true,
            // Informative here: addresses are shown, alternative names and policies are not judged. All may be malformed.
            CRL_DISTRIBUTION_POINTS => self.crl_addresses = crl_addresses(value).unwrap_or_default(),
            AUTHORITY_INFO_ACCESS => self.ocsp_addresses = ocsp_addresses(value).unwrap_or_default(),
            SUBJECT_ALT_NAME | CERTIFICATE_POLICIES => self.others.push((oid.0.to_vec(), value.to_vec())),
            _ => {
                if critical {
                    self.unknown_critical.push(oid.dotted());
                }
                self.others.push((oid.0.to_vec(), value.to_vec()));
            }
        }
        Ok(())
    }

    /// Whether extKeyUsage names this purpose.
    pub fn has_purpose(&self, purpose: Oid<'_>) -> bool {
        self.extended_key_usage.as_ref().is_some_and(|all| all.iter().any(|oid| oid == purpose.0))
    }
}

fn crl_addresses(value: &[u8]) -> Result<Vec<String>, Asn1Error> {
    let mut out = Vec::new();
    for point in Tlv::read_all(value)?.expect(SEQUENCE)?.children()? {
        let Some(name) = point.expect(SEQUENCE)?.elements().optional(context(0))? else { continue };
        let Some(full) = name.elements().optional(context(0))? else { continue };
        out.extend(full.children()?.into_iter().filter_map(uri));
    }
    out.truncate(MAX_ADDRESSES);
    Ok(out)
}

fn ocsp_addresses(value: &[u8]) -> Result<Vec<String>, Asn1Error> {
    const OCSP: Oid<'static> = Oid(b"\x2b\x06\x01\x05\x05\x07\x30\x01");
    let mut out = Vec::new();
    for access in Tlv::read_all(value)?.expect(SEQUENCE)?.children()? {
        let mut elements = access.expect(SEQUENCE)?.elements();
        if elements.next(OID)?.oid()? == OCSP {
            out.extend(uri(elements.any()?));
        }
    }
    out.truncate(MAX_ADDRESSES);
    Ok(out)
}

fn uri(name: Tlv<'_>) -> Option<String> {
    (name.tag == context_primitive(6)).then(|| String::from_utf8_lossy(name.value).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::asn1::{der, object_identifier, sequence};

    fn extension(oid: Oid<'_>, critical: Option<u8>, value: &[u8]) -> Vec<u8> {
        let critical = critical.map(|b| der(BOOLEAN, &[b])).unwrap_or_default();
        sequence(&[&object_identifier(oid), &critical, &der(OCTET_STRING, value)])
    }

    fn parse(extensions: &[Vec<u8>]) -> Result<Extensions, Asn1Error> {
        Extensions::parse(Tlv::read_all(&der(SEQUENCE, &extensions.concat()))?)
    }

    #[test]
    fn key_usage_bits_have_the_standards_meaning() {
        let usage = |bits: &[u8]| parse(&[extension(KEY_USAGE, None, &der(BIT_STRING, bits))]).map(|e| e.key_usage.unwrap());
        let signing = usage(&[6, 0xc0]).unwrap();
        assert!(signing.signs() && !signing.signs_certificates());
        let encryption = usage(&[3, 0x38]).unwrap();
        assert!(!encryption.signs());
        let ca = usage(&[1, 0x06]).unwrap();
        assert!(ca.signs_certificates() && ca.signs_crls() && !ca.signs());
        assert!(usage(&[9, 0xc0]).is_err());
    }

    #[test]
    fn unknown_critical_extensions_are_named_and_twins_refused() {
        let odd = Oid(b"\x2a\x03");
        let found = parse(&[extension(odd, Some(0xff), b"x"), extension(SUBJECT_ALT_NAME, Some(0xff), b"x")]).unwrap();
        assert_eq!(found.unknown_critical, ["1.2.3"]);
        assert!(parse(&[extension(odd, Some(0), b"x")]).unwrap().unknown_critical.is_empty());
        assert!(parse(&[extension(odd, None, b"x"), extension(odd, None, b"x")]).is_err());
    }
}
