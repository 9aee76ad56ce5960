//! SM3 digests, SM2 verification and the encodings of SM2 signatures (GB/T 32905, GB/T 32918, GB/T 35276).
//!
//! Public data only: nothing here touches a private key. Signing happens in a token. The curve arithmetic is `sm2-verify`'s, which takes
//! its time by the data; with the feature `reference-sm2` it is the constant-time crate `sm2`'s, so that every suite can be run with each.

#[cfg(not(feature = "reference-sm2"))]
use std::sync::LazyLock;

use sm3::Digest as _;

pub use ukey::{DEFAULT_ID, Sm2Digest, Sm2PublicKey, Sm2Signature, Sm3Digest};

use crate::asn1::{Asn1Error, INTEGER, SEQUENCE, Tlv};

/// SM3 over bytes that arrive in pieces.
#[derive(Clone, Debug, Default)]
pub struct Sm3(sm3::Sm3);

impl Sm3 {
    /// An empty digest.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest of all that was added.
    pub fn finish(self) -> Sm3Digest {
        Sm3Digest(self.0.finalize().into())
    }
}

impl std::io::Write for Sm3 {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Plain SM3 of `bytes` (no Z).
pub fn sm3(bytes: &[u8]) -> Sm3Digest {
    let mut digest = Sm3::new();
    digest.update(bytes);
    digest.finish()
}

/// Whether `signature` is the SM2 signature of `message` by `key` under the default id (GB/T 32918.2 clause 7).
pub fn verify(key: &Sm2PublicKey, message: &[u8], signature: &Sm2Signature) -> bool {
    Sm2Digest::new(message, DEFAULT_ID, key).is_some_and(|e| verify_digest(key, &e, signature))
}

/// How many keys that keep coming back have a table: issuers, seal makers, time stamp authorities. At 52 KiB each they take 1.6 MiB at
/// most, and nothing before a key has come back.
#[cfg(not(feature = "reference-sm2"))]
const KEYS_WITH_TABLES: usize = 32;

/// Whether `signature` is the SM2 signature over `e` by `key`. Zero and out-of-range r and s, and r + s = n, are refused.
#[cfg(not(feature = "reference-sm2"))]
pub fn verify_digest(key: &Sm2PublicKey, e: &Sm2Digest, signature: &Sm2Signature) -> bool {
    // Only speed depends on what it remembers.
    static TABLES: LazyLock<sm2_verify::Tables> = LazyLock::new(|| sm2_verify::Tables::new(KEYS_WITH_TABLES));
    sm2_verify::PublicKey::from_xy(key.as_bytes())
        .is_some_and(|key| TABLES.verify(&key, e.as_bytes(), &signature.r, &signature.s))
}

/// Whether `signature` is the SM2 signature over `e` by `key`. Zero and out-of-range r and s, and r + s = n, are refused.
#[cfg(feature = "reference-sm2")]
pub fn verify_digest(key: &Sm2PublicKey, e: &Sm2Digest, signature: &Sm2Signature) -> bool {
    use sm2::dsa::signature::hazmat::PrehashVerifier as _;
    let Ok(signature) = sm2::dsa::Signature::from_slice(&signature.to_raw()) else { return false };
    // The id plays no part in `verify_prehash`: Z is inside `e` already.
    sm2::dsa::VerifyingKey::from_sec1_bytes(DEFAULT_ID, &key.to_sec1())
        .is_ok_and(|key| key.verify_prehash(e.as_bytes(), &signature).is_ok())
}

/// How far a signature's encoding was from DER. Each is a named tolerance that the report shows (ses.md §5, §6.2).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SignatureEncoding {
    /// DER `SEQUENCE { r, s }`.
    Der,
    /// 64 bytes `r ‖ s`.
    Raw,
    /// DER but for a missing leading zero: r or s would be negative.
    NegativeInteger,
    /// DER but for superfluous leading zeros.
    NonMinimalInteger,
}

/// Reads an SM2 signature in any encoding met in valid real documents, and says which it was.
pub fn read_signature(bytes: &[u8]) -> Result<(Sm2Signature, SignatureEncoding), Asn1Error> {
    match read_der_signature(bytes) {
        Ok(found) => Ok(found),
        Err(error) => match bytes.try_into() {
            Ok(raw) => Ok((Sm2Signature::from_raw(raw), SignatureEncoding::Raw)),
            Err(_) => Err(error),
        },
    }
}

fn read_der_signature(bytes: &[u8]) -> Result<(Sm2Signature, SignatureEncoding), Asn1Error> {
    let mut elements = Tlv::read_all(bytes)?.expect(SEQUENCE)?.elements();
    let (r, r_encoding) = read_scalar(elements.next(INTEGER)?.value)?;
    let (s, s_encoding) = read_scalar(elements.next(INTEGER)?.value)?;
    elements.end()?;
    let encoding = if r_encoding == SignatureEncoding::Der { s_encoding } else { r_encoding };
    Ok((Sm2Signature { r, s }, encoding))
}

fn read_scalar(digits: &[u8]) -> Result<([u8; 32], SignatureEncoding), Asn1Error> {
    let encoding = match digits {
        [] => return Err(Asn1Error::Value(INTEGER)),
        [0, next, ..] if next & 0x80 == 0 => SignatureEncoding::NonMinimalInteger,
        [first, ..] if first & 0x80 != 0 => SignatureEncoding::NegativeInteger,
        _ => SignatureEncoding::Der,
    };
    let digits = &digits[digits.iter().take_while(|d| **d == 0).count()..];
    let mut out = [0; 32];
    let start = out.len().checked_sub(digits.len()).ok_or(Asn1Error::Value(INTEGER))?;
    out[start..].copy_from_slice(digits);
    Ok((out, encoding))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sm2::dsa::{SigningKey, signature::Signer as _};

    use super::*;

    fn key_pair() -> (SigningKey, Sm2PublicKey) {
        let secret = sm2::SecretKey::from_slice(&[0x42; 32]).unwrap();
        let public = Sm2PublicKey::from_sec1(&secret.public_key().to_sec1_bytes()).unwrap();
        (SigningKey::new(DEFAULT_ID, &secret).unwrap(), public)
    }

    fn sign(message: &[u8]) -> (Sm2PublicKey, Sm2Signature) {
        let (signing, public) = key_pair();
        let signature: sm2::dsa::Signature = signing.sign(message);
        (public, Sm2Signature::from_raw(signature.to_bytes().as_slice().try_into().unwrap()))
    }

    /// GB/T 32905-2016 Annex A.1 and A.2.
    #[test]
    fn standard_sm3_examples() {
        assert_eq!(sm3(b"abc").to_string(), "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0");
        let block = b"abcd".repeat(16);
        assert_eq!(sm3(&block).to_string(), "debe9ff92275b8a138604889c18e5a4d6fdb70e5387e5765293dcba39c0c5732");
    }

    #[test]
    fn good_signature_verifies_and_every_changed_bit_does_not() {
        let (key, good) = sign(b"message");
        assert!(verify(&key, b"message", &good));
        assert!(!verify(&key, b"messagf", &good));
        for bit in 0..512 {
            let mut raw = good.to_raw();
            raw[bit / 8] ^= 1 << (bit % 8);
            assert!(!verify(&key, b"message", &Sm2Signature::from_raw(&raw)), "bit {bit}");
        }
    }

    #[test]
    fn scalars_out_of_range_are_refused() {
        const N: &str = "fffffffeffffffffffffffffffffffff7203df6b21c6052b53bbf40939d54123";
        let (key, good) = sign(b"message");
        let n: Sm3Digest = N.parse().unwrap();
        for bad in [[0; 32], n.0, [0xff; 32]] {
            assert!(!verify(&key, b"message", &Sm2Signature { r: bad, s: good.s }));
            assert!(!verify(&key, b"message", &Sm2Signature { r: good.r, s: bad }));
        }
        let mut minus_r = n.0; // s = n − r makes t = 0
        let mut borrow = 0i16;
        for i in (0..32).rev() {
            let digit = i16::from(minus_r[i]) - i16::from(good.r[i]) - borrow;
            borrow = i16::from(digit < 0);
            minus_r[i] = digit.rem_euclid(256) as u8;
        }
        assert!(!verify(&key, b"message", &Sm2Signature { r: good.r, s: minus_r }));
    }

    #[test]
    fn wrong_id_and_bare_sm3_are_refused() {
        let (key, good) = sign(b"message");
        let other = Sm2Digest::new(b"message", "", &key).unwrap();
        assert!(!verify_digest(&key, &other, &good));
        assert!(!verify_digest(&key, &Sm2Digest::from_bytes(sm3(b"message").0), &good));
    }

    #[test]
    fn every_tolerated_encoding_is_named() {
        let signature = Sm2Signature { r: [0x81; 32], s: [0x7f; 32] };
        assert_eq!(read_signature(&signature.to_der()), Ok((signature, SignatureEncoding::Der)));
        assert_eq!(read_signature(&signature.to_raw()), Ok((signature, SignatureEncoding::Raw)));
        let negative =
            crate::asn1::sequence(&[&crate::asn1::der(INTEGER, &signature.r), &crate::asn1::der(INTEGER, &signature.s)]);
        assert_eq!(read_signature(&negative), Ok((signature, SignatureEncoding::NegativeInteger)));
        let long = [&[0, 0], signature.r.as_slice()].concat();
        let long = crate::asn1::sequence(&[&crate::asn1::der(INTEGER, &long), &crate::asn1::der(INTEGER, &signature.s)]);
        assert_eq!(read_signature(&long), Ok((signature, SignatureEncoding::NonMinimalInteger)));
    }

    proptest! {
        #[test]
        fn read_signature_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = read_signature(&bytes);
        }
    }
}
