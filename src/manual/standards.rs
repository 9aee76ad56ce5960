//! Which clause stands behind which module.
//!
//! | module | standard | what we had |
//! |---|---|---|
//! | [`crate::sm`] | GB/T 32905 (SM3), GB/T 32918 (SM2), GB/T 35276 (encodings) | the standards' examples, real signatures |
//! | [`crate::ses`] | GM/T 0031-2014 ("V1"), GB/T 38540-2020 (V4), GM/T 0031-2025 (V5) | the text of the first; write-ups and real bytes of the others |
//! | [`crate::cms`] | GB/T 35275 (GM/T 0010), PKCS#7 1.5, RFC 5652 | real bytes of two shapes |
//! | [`crate::ofd`] | GB/T 33190-2016 chapter 18, GM/T 0099-2020 | quotations, real packages of seven vendors |
//! | [`crate::pdf`] | ISO 32000, GM/T 0112-2021 | the first; of the second only its table of contents |
//! | [`crate::pki`] | GB/T 20518, RFC 5280, RFC 6960, RFC 3161, GM/T 0033 | real certificates and CRLs; no real SM2 OCSP answer |
//! | [`crate::verify`] | ETSI EN 319 102-1 for the terms | |
//! | `drivers/skf` | GM/T 0016-2012 | its text |
//! | `drivers/pkcs11` | OASIS PKCS#11 3.2, vendors' SM2 numbers | public headers |
//! | `drivers/pcsc` | ISO 7816-4, NIST SP 800-73, CanoKey's SM2 extension | exchanges with the real firmware |
//!
//! Where real bytes and a text disagree, the bytes win, and the tolerance has a name in the report (`ENC_NONSTD`).
