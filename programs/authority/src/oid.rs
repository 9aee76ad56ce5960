//! Object identifiers of certificates and their status, as contents octets. Those of SM2, SM3 and signed data are
//! [`sealagent::asn1::oid`]'s.

use sealagent::asn1::Oid;

/// countryName, `2.5.4.6`
pub const COUNTRY: Oid<'static> = Oid(&[0x55, 4, 6]);
/// stateOrProvinceName, `2.5.4.8`
pub const STATE: Oid<'static> = Oid(&[0x55, 4, 8]);
/// localityName, `2.5.4.7`
pub const LOCALITY: Oid<'static> = Oid(&[0x55, 4, 7]);
/// organizationName, `2.5.4.10`
pub const ORGANIZATION: Oid<'static> = Oid(&[0x55, 4, 10]);
/// organizationalUnitName, `2.5.4.11`
pub const ORGANIZATIONAL_UNIT: Oid<'static> = Oid(&[0x55, 4, 11]);
/// commonName, `2.5.4.3`
pub const COMMON_NAME: Oid<'static> = Oid(&[0x55, 4, 3]);

/// subjectKeyIdentifier, `2.5.29.14`
pub const SUBJECT_KEY_IDENTIFIER: Oid<'static> = Oid(&[0x55, 0x1d, 14]);
/// keyUsage, `2.5.29.15`
pub const KEY_USAGE: Oid<'static> = Oid(&[0x55, 0x1d, 15]);
/// basicConstraints, `2.5.29.19`
pub const BASIC_CONSTRAINTS: Oid<'static> = Oid(&[0x55, 0x1d, 19]);
/// cRLNumber, `2.5.29.20`
pub const CRL_NUMBER: Oid<'static> = Oid(&[0x55, 0x1d, 20]);
/// reasonCode, `2.5.29.21`
pub const REASON_CODE: Oid<'static> = Oid(&[0x55, 0x1d, 21]);
/// authorityKeyIdentifier, `2.5.29.35`
pub const AUTHORITY_KEY_IDENTIFIER: Oid<'static> = Oid(&[0x55, 0x1d, 35]);
/// extKeyUsage, `2.5.29.37`
pub const EXTENDED_KEY_USAGE: Oid<'static> = Oid(&[0x55, 0x1d, 37]);
/// expiredCertsOnCRL, `2.5.29.60`
pub const EXPIRED_CERTS_ON_CRL: Oid<'static> = Oid(&[0x55, 0x1d, 60]);

/// id-kp-timeStamping, `1.3.6.1.5.5.7.3.8`
pub const TIME_STAMPING: Oid<'static> = Oid(b"\x2b\x06\x01\x05\x05\x07\x03\x08");
/// id-kp-OCSPSigning, `1.3.6.1.5.5.7.3.9`
pub const OCSP_SIGNING: Oid<'static> = Oid(b"\x2b\x06\x01\x05\x05\x07\x03\x09");
/// id-pkix-ocsp-nocheck, `1.3.6.1.5.5.7.48.1.5`
pub const OCSP_NO_CHECK: Oid<'static> = Oid(b"\x2b\x06\x01\x05\x05\x07\x30\x01\x05");
/// id-pkix-ocsp-basic, `1.3.6.1.5.5.7.48.1.1`
pub const OCSP_BASIC: Oid<'static> = Oid(b"\x2b\x06\x01\x05\x05\x07\x30\x01\x01");
/// id-pkix-ocsp-nonce, `1.3.6.1.5.5.7.48.1.2`
pub const OCSP_NONCE: Oid<'static> = Oid(b"\x2b\x06\x01\x05\x05\x07\x30\x01\x02");
/// id-aa-signingCertificateV2, `1.2.840.113549.1.9.16.2.47`
pub const SIGNING_CERTIFICATE_V2: Oid<'static> = Oid(b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x02\x2f");
