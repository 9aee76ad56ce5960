//! SM2 and SM3 values whose types keep them from being mixed up (GB/T 32918, GB/T 32905, GB/T 35276).

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sm3::{Digest as _, Sm3};

/// The signer identity that every verifiable real seal, certificate and CRL uses (GM/T 0009).
pub const DEFAULT_ID: &str = "1234567812345678";

/// Curve parameters a, b, xG, yG of GB/T 32918.5, big-endian, in the order in which Z hashes them.
const CURVE: [u8; 128] = *b"\xff\xff\xff\xfe\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xfc\
\x28\xe9\xfa\x9e\x9d\x9f\x5e\x34\x4d\x5a\x9e\x4b\xcf\x65\x09\xa7\xf3\x97\x89\xf5\x15\xab\x8f\x92\xdd\xbc\xbd\x41\x4d\x94\x0e\x93\
\x32\xc4\xae\x2c\x1f\x19\x81\x19\x5f\x99\x04\x46\x6a\x39\xc9\x94\x8f\xe3\x0b\xbf\xf2\x66\x0b\xe1\x71\x5a\x45\x89\x33\x4c\x74\xc7\
\xbc\x37\x36\xa2\xf4\xf6\x77\x9c\x59\xbd\xce\xe3\x6b\x69\x21\x53\xd0\xa9\x87\x7c\xc6\x2a\x47\x40\x02\xdf\x32\xe5\x21\x39\xf0\xa0";

/// A plain SM3 digest, **without** Z: `dataHash`, a reference digest, a fingerprint.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Sm3Digest(pub [u8; 32]);

/// `e = SM3(Z ‖ M)`: what SM2 signs. A bare SM3 in its place is accepted by nobody else, hence its own type.
#[derive(Clone, Copy, Eq, PartialEq)]
pub struct Sm2Digest([u8; 32]);

impl Sm2Digest {
    /// `e` for a message under the signer's key and identity (GB/T 32918.2 clause 5.5). `id` is at most 8191 bytes; a longer one
    /// cannot be encoded in ENTL and gives `None`.
    pub fn new(message: &[u8], id: &str, key: &Sm2PublicKey) -> Option<Self> {
        let z = z_value(id, key)?;
        Some(Self(Sm3::new().chain_update(z).chain_update(message).finalize().into()))
    }

    /// From bytes that another program computed as `e`: standards' vectors and the far end of a worker's pipe.
    pub fn from_bytes(e: [u8; 32]) -> Self {
        Self(e)
    }

    /// Big-endian bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// `Z = SM3(ENTL ‖ ID ‖ a ‖ b ‖ xG ‖ yG ‖ xA ‖ yA)` (GB/T 32918.2 clause 5.5); `None` when `id` is longer than 8191 bytes.
pub fn z_value(id: &str, key: &Sm2PublicKey) -> Option<[u8; 32]> {
    let bits = u16::try_from(id.len().checked_mul(8)?).ok()?;
    Some(Sm3::new().chain_update(bits.to_be_bytes()).chain_update(id).chain_update(CURVE).chain_update(key.0).finalize().into())
}

/// A public key, `x ‖ y`, 32 bytes each, big-endian. Being on the curve is checked where it is used to verify.
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
pub struct Sm2PublicKey([u8; 64]);

impl Sm2PublicKey {
    /// From `x ‖ y`. `None` when the point is not on the curve (coordinates out of range included).
    pub fn new(xy: [u8; 64]) -> Option<Self> {
        let mut sec1 = [4; 65];
        sec1[1..].copy_from_slice(&xy);
        ::sm2::PublicKey::from_sec1_bytes(&sec1).ok()?;
        Some(Self(xy))
    }

    /// From `04 ‖ x ‖ y`, the only form that GB/T 20518 certificates carry.
    pub fn from_sec1(bytes: &[u8]) -> Option<Self> {
        match bytes.split_first()? {
            (4, xy) => Self::new(xy.try_into().ok()?),
            _ => None,
        }
    }

    /// `x ‖ y`.
    pub fn as_bytes(&self) -> &[u8; 64] {
        &self.0
    }

    /// `04 ‖ x ‖ y`.
    pub fn to_sec1(self) -> [u8; 65] {
        let mut sec1 = [4; 65];
        sec1[1..].copy_from_slice(&self.0);
        sec1
    }
}

/// The pair (r, s), 32 bytes each, big-endian. Range checks belong to verification.
#[derive(Clone, Copy, Eq, PartialEq)]
pub struct Sm2Signature {
    /// `r`
    pub r: [u8; 32],
    /// `s`
    pub s: [u8; 32],
}

impl Sm2Signature {
    /// From `r ‖ s`.
    pub fn from_raw(bytes: &[u8; 64]) -> Self {
        let (mut r, mut s) = ([0; 32], [0; 32]);
        r.copy_from_slice(&bytes[..32]);
        s.copy_from_slice(&bytes[32..]);
        Self { r, s }
    }

    /// `r ‖ s`.
    pub fn to_raw(self) -> [u8; 64] {
        let mut out = [0; 64];
        out[..32].copy_from_slice(&self.r);
        out[32..].copy_from_slice(&self.s);
        out
    }

    /// DER `SEQUENCE { r INTEGER, s INTEGER }` (GB/T 35276 clause 7.3).
    pub fn to_der(self) -> Vec<u8> {
        let mut body = der_integer(&self.r);
        body.extend(der_integer(&self.s));
        let mut out = vec![0x30, body.len() as u8]; // two integers of at most 35 bytes: always the short form
        out.extend(body);
        out
    }

    /// Strict DER, as a standard-conforming token returns it; anything else is `None`. (Lenient reading of documents: `sealagent::sm`.)
    pub fn from_der(bytes: &[u8]) -> Option<Self> {
        let body = match bytes {
            [0x30, len, body @ ..] if usize::from(*len) == body.len() && *len < 0x80 => body,
            _ => return None,
        };
        let (r, rest) = der_read_integer(body)?;
        let (s, rest) = der_read_integer(rest)?;
        rest.is_empty().then_some(Self { r, s })
    }
}

fn der_integer(value: &[u8; 32]) -> Vec<u8> {
    let start = value.iter().position(|b| *b != 0).unwrap_or(31);
    let digits = &value[start..];
    let mut out = vec![2, digits.len() as u8];
    if digits[0] & 0x80 != 0 {
        out[1] += 1;
        out.push(0);
    }
    out.extend_from_slice(digits);
    out
}

fn der_read_integer(bytes: &[u8]) -> Option<([u8; 32], &[u8])> {
    let (len, rest) = match bytes {
        [2, len, rest @ ..] => (usize::from(*len), rest),
        _ => return None,
    };
    let (digits, rest) = rest.split_at_checked(len)?;
    let digits = match digits {
        [] => return None,
        [0, next, ..] if next & 0x80 == 0 => return None, // not minimal
        [0, tail @ ..] if !tail.is_empty() => tail,
        [first, ..] if first & 0x80 != 0 => return None, // negative
        _ => digits,
    };
    let mut out = [0; 32];
    out.get_mut(32usize.checked_sub(digits.len())?..)?.copy_from_slice(digits);
    Some((out, rest))
}

/// A message ready for SM2. Bytes, signer id and `e = SM3(Z ‖ M)` are made together, so they cannot disagree; a driver uses
/// whichever form its token accepts.
#[derive(Clone, Debug)]
pub struct Sm2Message {
    bytes: Vec<u8>,
    id: String,
    key: Sm2PublicKey,
    digest: Sm2Digest,
}

impl Sm2Message {
    /// Prepares `bytes` for signing with `key` under `id` (usually [`DEFAULT_ID`]). `None` when `id` is longer than 8191 bytes.
    pub fn new(bytes: Vec<u8>, id: &str, key: Sm2PublicKey) -> Option<Self> {
        let digest = Sm2Digest::new(&bytes, id, &key)?;
        Some(Self { bytes, id: id.to_owned(), key, digest })
    }

    /// The message itself.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The signer identity.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The key whose Z is inside [`Self::digest`].
    pub fn key(&self) -> &Sm2PublicKey {
        &self.key
    }

    /// `e = SM3(Z ‖ M)`.
    pub fn digest(&self) -> &Sm2Digest {
        &self.digest
    }
}

fn to_hex(bytes: &[u8]) -> String {
    use fmt::Write as _;
    bytes.iter().fold(String::new(), |mut out, b| {
        let _ = write!(out, "{b:02x}");
        out
    })
}

fn from_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let text = text.as_bytes();
    if text.len() != 2 * N {
        return None;
    }
    let mut out = [0; N];
    for (byte, pair) in out.iter_mut().zip(text.chunks(2)) {
        let digit = |c: u8| char::from(c).to_digit(16);
        *byte = (digit(pair[0])? << 4 | digit(pair[1])?) as u8;
    }
    Some(out)
}

macro_rules! hex_text {
    ($type:ident, $len:literal, $bytes:expr, $make:expr) => {
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let bytes: fn(&$type) -> Vec<u8> = $bytes;
                f.write_str(&to_hex(&bytes(self)))
            }
        }
        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($type), "({})"), self)
            }
        }
        impl std::str::FromStr for $type {
            type Err = NotHex;
            fn from_str(text: &str) -> Result<Self, NotHex> {
                let make: fn([u8; $len]) -> Option<$type> = $make;
                from_hex(text).and_then(make).ok_or(NotHex(stringify!($type)))
            }
        }
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
            }
        }
    };
}

/// The text is not the hexadecimal form of the named type.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("not the hexadecimal form of {0}")]
pub struct NotHex(&'static str);

hex_text!(Sm3Digest, 32, |d| d.0.to_vec(), |b| Some(Sm3Digest(b)));
hex_text!(Sm2Digest, 32, |d| d.0.to_vec(), |b| Some(Sm2Digest(b)));
hex_text!(Sm2PublicKey, 64, |k| k.0.to_vec(), Sm2PublicKey::new);
hex_text!(Sm2Signature, 64, |s| s.to_raw().to_vec(), |b| Some(Sm2Signature::from_raw(&b)));

#[cfg(test)]
mod tests {
    use ::sm2::dsa::{SigningKey, VerifyingKey, signature::Signer as _, signature::hazmat::PrehashVerifier as _};
    use proptest::prelude::*;

    use super::*;

    fn hex(text: &str) -> [u8; 32] {
        from_hex(text).unwrap()
    }

    /// GB/T 32918.5-2017 Annex A.2: key, Z, e, r and s of the standard's example.
    #[test]
    fn standard_example_gives_its_z_and_e() {
        let mut xy = [0; 64];
        xy[..32].copy_from_slice(&hex("09f9df311e5421a150dd7d161e4bc5c672179fad1833fc076bb08ff356f35020"));
        xy[32..].copy_from_slice(&hex("ccea490ce26775a52dc6ea718cc1aa600aed05fbf35e084a6632f6072da9ad13"));
        let key = Sm2PublicKey::new(xy).unwrap();
        assert_eq!(
            to_hex(&z_value(DEFAULT_ID, &key).unwrap()),
            "b2e14c5c79c6df5b85f4fe7ed8db7a262b9da7e07ccb0ea9f4747b8ccda8a4f3"
        );
        let e = Sm2Digest::new(b"message digest", DEFAULT_ID, &key).unwrap();
        assert_eq!(e.to_string(), "f0b43e94ba45accaace692ed534382eb17e6ab5a19ce7b31f4486fdfc0d28640");
        let signature = Sm2Signature {
            r: hex("f5a03b0648d2c4630eeac513e1bb81a15944da3827d5b74143ac7eaceee720b3"),
            s: hex("b1b6aa29df212fd8763182bc0d421ca1bb9038fd1f7f42d4840b69c485bbc1aa"),
        };
        let verifying = VerifyingKey::from_sec1_bytes(DEFAULT_ID, &key.to_sec1()).unwrap();
        verifying.verify_prehash(e.as_bytes(), &::sm2::dsa::Signature::from_slice(&signature.to_raw()).unwrap()).unwrap();
    }

    #[test]
    fn point_off_the_curve_is_refused() {
        assert!(Sm2PublicKey::new([7; 64]).is_none());
        assert!(Sm2PublicKey::from_sec1(&[2; 33]).is_none());
    }

    #[test]
    fn id_too_long_for_entl_is_refused() {
        let secret = ::sm2::SecretKey::from_slice(&[9; 32]).unwrap();
        let key = Sm2PublicKey::from_sec1(&secret.public_key().to_sec1_bytes()).unwrap();
        assert!(z_value(&"x".repeat(8191), &key).is_some());
        assert!(z_value(&"x".repeat(8192), &key).is_none());
    }

    proptest! {
        #[test]
        fn signature_of_sm2_crate_verifies_under_our_e(secret in prop::array::uniform32(1u8..), message in prop::collection::vec(any::<u8>(), 0..200)) {
            let secret = ::sm2::SecretKey::from_slice(&secret);
            prop_assume!(secret.is_ok());
            let secret = secret.unwrap();
            let key = Sm2PublicKey::from_sec1(&secret.public_key().to_sec1_bytes()).unwrap();
            let signature: ::sm2::dsa::Signature = SigningKey::new(DEFAULT_ID, &secret).unwrap().sign(&message);
            let e = Sm2Digest::new(&message, DEFAULT_ID, &key).unwrap();
            let verifying = VerifyingKey::from_sec1_bytes(DEFAULT_ID, &key.to_sec1()).unwrap();
            prop_assert!(verifying.verify_prehash(e.as_bytes(), &signature).is_ok());
        }

        #[test]
        fn der_and_raw_round_trip(raw in prop::array::uniform32(any::<u8>()), tail in prop::array::uniform32(any::<u8>())) {
            let signature = Sm2Signature { r: raw, s: tail };
            prop_assert_eq!(Sm2Signature::from_raw(&signature.to_raw()), signature);
            prop_assert_eq!(Sm2Signature::from_der(&signature.to_der()), Some(signature));
            prop_assert_eq!(signature.to_string().parse::<Sm2Signature>().unwrap(), signature);
        }

        #[test]
        fn from_der_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            if let Some(signature) = Sm2Signature::from_der(&bytes) {
                prop_assert_eq!(signature.to_der(), bytes);
            }
        }
    }
}
