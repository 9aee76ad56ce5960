//! The little DER that a driver needs: where an object ends, and which key a certificate holds and what for.
//!
//! The host reads certificates and seals properly (`sealagent::pki`, `sealagent::ses`); a driver only has to trim what a token
//! stores with padding, and to pair certificates with keys. Limits: lengths of at most four bytes, no recursion.

use crate::Sm2PublicKey;

const SEQUENCE: u8 = 0x30;
/// `AlgorithmIdentifier` of an SM2 key: id-ecPublicKey with the curve 1.2.156.10197.1.301 (GB/T 20518).
const SM2_ALGORITHM: &[u8] = b"\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x81\x1c\xcf\x55\x01\x82\x2d";
/// id-ce-keyUsage, 2.5.29.15, with its tag and length.
const KEY_USAGE: &[u8] = b"\x06\x03\x55\x1d\x0f";

/// One element: tag, value, and what follows. `None` when it is cut off or its length is not definite.
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = bytes.split_first()?;
    if tag & 0x1f == 0x1f {
        return None; // no certificate or seal has a tag of several bytes
    }
    let (&first, rest) = rest.split_first()?;
    let (len, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x84 => {
            let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (digits.iter().fold(0usize, |len, digit| len << 8 | usize::from(*digit)), rest)
        }
        _ => return None,
    };
    let (value, rest) = rest.split_at_checked(len)?;
    Some((tag, value, rest))
}

/// The length in bytes, header included, that the SEQUENCE at the start of `head` claims; `head` need not hold all of it.
/// `None` when it does not start with a SEQUENCE of definite length.
pub fn sequence_length(head: &[u8]) -> Option<usize> {
    match head {
        [SEQUENCE, len @ 0..=0x7f, ..] => Some(2 + usize::from(*len)),
        [SEQUENCE, count @ 0x81..=0x84, rest @ ..] => {
            let digits = rest.get(..usize::from(count & 0x7f))?;
            let len = digits.iter().fold(0u64, |len, digit| len << 8 | u64::from(*digit));
            usize::try_from(len).ok()?.checked_add(2 + digits.len())
        }
        _ => None,
    }
}

/// `bytes` without what follows its outer SEQUENCE (a file on a token has the size it was made with). `None` when the SEQUENCE is
/// cut off or there is none.
pub fn trim_sequence(bytes: &[u8]) -> Option<&[u8]> {
    bytes.get(..sequence_length(bytes)?)
}

/// The fields of a certificate's `TBSCertificate` from `subjectPublicKeyInfo` on.
fn from_public_key_on(certificate: &[u8]) -> Option<&[u8]> {
    let (SEQUENCE, certificate, _) = element(certificate)? else { return None };
    let (SEQUENCE, mut fields, _) = element(certificate)? else { return None };
    if fields.first() == Some(&0xa0) {
        fields = element(fields)?.2; // version
    }
    for _ in ["serialNumber", "signature", "issuer", "validity", "subject"] {
        fields = element(fields)?.2;
    }
    Some(fields)
}

/// The SM2 key that a certificate certifies; `None` when it is no certificate or its key is of another kind.
pub fn certificate_public_key(certificate: &[u8]) -> Option<Sm2PublicKey> {
    let (SEQUENCE, info, _) = element(from_public_key_on(certificate)?)? else { return None };
    let (SEQUENCE, SM2_ALGORITHM, rest) = element(info)? else { return None };
    match element(rest)? {
        (3, [0, point @ ..], _) => Sm2PublicKey::from_sec1(point),
        _ => None,
    }
}

/// Whether the certificate says of its key that it may sign: `keyUsage` has digitalSignature or nonRepudiation, or is absent.
/// `None` when it is no certificate.
pub fn certificate_may_sign(certificate: &[u8]) -> Option<bool> {
    let mut fields = element(from_public_key_on(certificate)?)?.2;
    while !fields.is_empty() {
        let (tag, value, rest) = element(fields)?;
        fields = rest;
        if tag != 0xa3 {
            continue;
        }
        let (SEQUENCE, mut extensions, _) = element(value)? else { return None };
        while !extensions.is_empty() {
            let (_, extension, rest) = element(extensions)?;
            extensions = rest;
            let Some(mut value) = extension.strip_prefix(KEY_USAGE) else { continue };
            if value.first() == Some(&1) {
                value = element(value)?.2; // critical
            }
            let (4, octets, _) = element(value)? else { return None };
            let (3, [_, bits, ..], _) = element(octets)? else { return None };
            return Some(bits & 0xc0 != 0);
        }
    }
    Some(true)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tlv(tag: u8, value: &[u8]) -> Vec<u8> {
        let mut out = vec![tag, 0x82];
        out.extend((value.len() as u16).to_be_bytes());
        out.extend(value);
        out
    }

    fn certificate(key: &Sm2PublicKey, usage: Option<u8>) -> Vec<u8> {
        let info = tlv(SEQUENCE, &[tlv(SEQUENCE, SM2_ALGORITHM), tlv(3, &[&[0], key.to_sec1().as_slice()].concat())].concat());
        let mut fields = tlv(0xa0, &[2, 1, 2]);
        for tag in [2, SEQUENCE, SEQUENCE, SEQUENCE, SEQUENCE] {
            fields.extend(tlv(tag, &[]));
        }
        fields.extend(info);
        if let Some(bits) = usage {
            let extension = [KEY_USAGE, &[1, 1, 0xff], &[4, 4, 3, 2, 0, bits]].concat();
            fields.extend(tlv(0xa3, &tlv(SEQUENCE, &tlv(SEQUENCE, &extension))));
        }
        tlv(SEQUENCE, &tlv(SEQUENCE, &fields))
    }

    fn key() -> Sm2PublicKey {
        let secret = ::sm2::SecretKey::from_slice(&[0x42; 32]).unwrap();
        Sm2PublicKey::from_sec1(&secret.public_key().to_sec1_bytes()).unwrap()
    }

    #[test]
    fn certificate_gives_its_key_and_usage() {
        for (usage, may_sign) in [(None, true), (Some(0xc0), true), (Some(0x80), true), (Some(0x38), false)] {
            let certificate = certificate(&key(), usage);
            assert_eq!(certificate_public_key(&certificate), Some(key()));
            assert_eq!(certificate_may_sign(&certificate), Some(may_sign));
        }
    }

    #[test]
    fn padding_after_a_sequence_is_trimmed_and_a_cut_one_refused() {
        let mut file = tlv(SEQUENCE, &[7; 300]);
        let len = file.len();
        file.extend([0xff; 50]);
        assert_eq!(trim_sequence(&file), Some(&file[..len]));
        assert_eq!(trim_sequence(&file[..len - 1]), None);
        assert_eq!(sequence_length(&[SEQUENCE, 0x80, 0, 0]), None);
        assert_eq!(sequence_length(b"\x31\x02ab"), None);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), cut in 0usize..400) {
            let good = certificate(&key(), Some(0xc0));
            for bytes in [bytes.as_slice(), &good[..cut.min(good.len())]] {
                let _ = certificate_public_key(bytes);
                let _ = certificate_may_sign(bytes);
                let _ = trim_sequence(bytes);
            }
        }
    }
}
