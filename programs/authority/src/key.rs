//! Private keys of the authority: SM2, in PKCS#8 files (RFC 5958), encrypted with a passphrase (PBES2: scrypt, AES-256); or on a token.
//!
//! Signing with a key from a file is the `sm2` crate's, which works in constant time and takes its nonce from key and message (RFC 6979 with SM3).

use std::fmt;

use pkcs8::{DecodePrivateKey as _, EncodePrivateKey as _, LineEnding};
use sealagent::asn1::{bit_string, object_identifier, oid, sequence};
use sealagent::sm::{DEFAULT_ID, Sm2PublicKey, Sm2Signature};
use sm2::dsa::{SigningKey, signature::Signer as _};
use sm2::elliptic_curve::Generate as _;
use zeroize::Zeroizing;

use crate::token::{TokenError, TokenKey};

/// Stands above a key that is not encrypted, so that whoever finds the file knows what it is. PEM readers skip it.
pub const PLAIN_KEY_WARNING: &str = "\
# PILOT ONLY. This private key is NOT encrypted: whoever reads this file can issue certificates and seals in its name.
# 仅供试点。此私钥未加密：能读取本文件者即可冒名签发证书和印章。
";

/// Order of the curve, less one, big-endian (GB/T 32918.5).
const N_MINUS_1: &[u8; 32] =
    b"\xff\xff\xff\xfe\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x72\x03\xdf\x6b\x21\xc6\x05\x2b\x53\xbb\xf4\x09\x39\xd5\x41\x22";

/// Why a key cannot be had, or does not sign.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The system gave no random numbers.
    #[error("the system gave no random numbers")]
    Random,
    /// The file is no SM2 key in PKCS#8 form.
    #[error("not an SM2 private key in PKCS#8 form")]
    Format,
    /// The passphrase does not open it (or the file is damaged: the encryption cannot tell).
    #[error("the passphrase is wrong or the key file is damaged")]
    Passphrase,
    /// The key is encrypted and no passphrase was given.
    #[error("the key is encrypted and no passphrase was given")]
    PassphraseNeeded,
    /// The key is on a token.
    #[error("{0}")]
    Token(#[from] TokenError),
}

/// A key that signs.
#[derive(Clone, Debug)]
pub enum Key {
    /// From a file.
    File(PrivateKey),
    /// On a token, which is asked each time.
    Token(TokenKey),
}

impl From<PrivateKey> for Key {
    fn from(key: PrivateKey) -> Self {
        Self::File(key)
    }
}

impl Key {
    /// The public half.
    pub fn public_key(&self) -> Sm2PublicKey {
        match self {
            Self::File(key) => key.public_key(),
            Self::Token(key) => key.place().public_key,
        }
    }

    /// Asks for the PIN that the next signature needs, if it needs one.
    pub fn unlock(&self) -> Result<(), KeyError> {
        match self {
            Self::File(_) => Ok(()),
            Self::Token(key) => Ok(key.unlock()?),
        }
    }

    /// Signs under the default id (GB/T 32918.2, id of GM/T 0009).
    pub fn sign(&self, message: &[u8]) -> Result<Sm2Signature, KeyError> {
        match self {
            Self::File(key) => Ok(key.sign(message)),
            Self::Token(key) => Ok(key.sign(message)?),
        }
    }

    /// [`signed`] with this key.
    pub(crate) fn signed(&self, tbs: &[u8]) -> Result<Vec<u8>, KeyError> {
        Ok(signed(tbs, &self.sign(tbs)?))
    }
}

/// An SM2 private key. It prints as `PrivateKey(..)` and is wiped when it is dropped.
#[derive(Clone)]
pub struct PrivateKey(sm2::SecretKey);

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey(..)")
    }
}

impl PrivateKey {
    /// A new random key.
    pub fn generate() -> Result<Self, KeyError> {
        let key = sm2::SecretKey::try_generate().map_err(|_| KeyError::Random)?;
        Self::checked(key).ok_or(KeyError::Random)
    }

    /// From the number d, 32 bytes, big-endian: for tests that need the same key each time. `None` outside 1 ≤ d ≤ n − 2.
    pub fn from_bytes(d: &[u8; 32]) -> Option<Self> {
        Self::checked(sm2::SecretKey::from_slice(d).ok()?)
    }

    /// d = n − 1 has no (1 + d)⁻¹, so SM2 cannot sign with it (GB/T 32918.1 clause 6.1); the `sm2` crate does not look.
    fn checked(key: sm2::SecretKey) -> Option<Self> {
        let is_n_minus_1 = Zeroizing::new(<[u8; 32]>::from(key.to_bytes())).as_slice() == N_MINUS_1;
        (!is_n_minus_1 && SigningKey::new(DEFAULT_ID, &key).is_ok()).then_some(Self(key))
    }

    /// From PEM, encrypted (`passphrase` needed) or not. Text before the PEM block is skipped.
    pub fn from_pem(pem: &str, passphrase: Option<&[u8]>) -> Result<Self, KeyError> {
        let block = pem.find("-----BEGIN ").and_then(|start| pem.get(start..)).ok_or(KeyError::Format)?;
        let key = if block.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----") {
            let passphrase = passphrase.ok_or(KeyError::PassphraseNeeded)?;
            sm2::SecretKey::from_pkcs8_encrypted_pem(block, passphrase).map_err(|_| KeyError::Passphrase)?
        } else {
            sm2::SecretKey::from_pkcs8_pem(block).map_err(|_| KeyError::Format)?
        };
        Self::checked(key).ok_or(KeyError::Format)
    }

    /// PEM, encrypted with the passphrase.
    pub fn to_encrypted_pem(&self, passphrase: &[u8]) -> Result<Zeroizing<String>, KeyError> {
        self.0.to_pkcs8_encrypted_pem(passphrase, LineEnding::LF).map_err(|_| KeyError::Random)
    }

    /// PEM without encryption, below [`PLAIN_KEY_WARNING`]. Pilots and tests only.
    pub fn to_plain_pem(&self) -> Result<Zeroizing<String>, KeyError> {
        let pem = self.0.to_pkcs8_pem(LineEnding::LF).map_err(|_| KeyError::Format)?;
        Ok(Zeroizing::new(format!("{PLAIN_KEY_WARNING}{}", pem.as_str())))
    }

    /// The public half.
    pub fn public_key(&self) -> Sm2PublicKey {
        let sec1 = self.0.public_key().to_sec1_bytes();
        #[expect(clippy::expect_used, reason = "the point of a private key is on the curve, and sm2 gives SEC1 uncompressed")]
        Sm2PublicKey::from_sec1(&sec1).expect("a private key has a public key")
    }

    /// Signs under the default id (GB/T 32918.2, id of GM/T 0009).
    pub fn sign(&self, message: &[u8]) -> Sm2Signature {
        #[expect(clippy::expect_used, reason = "every constructor made this very signing key once")]
        let signing = SigningKey::new(DEFAULT_ID, &self.0).expect("a checked key signs");
        let signature: sm2::dsa::Signature = signing.sign(message);
        Sm2Signature::from_raw(&signature.to_bytes().into())
    }
}

/// `SEQUENCE { tbs, algorithm, BIT STRING }`: how certificates, requests, revocation lists and OCSP answers carry a signature. `tbs` is DER.
pub(crate) fn signed(tbs: &[u8], signature: &Sm2Signature) -> Vec<u8> {
    sequence(&[tbs, &sm2_with_sm3(), &bit_string(&signature.to_der())])
}

/// AlgorithmIdentifier SM2-with-SM3, parameters absent (GB/T 33560).
pub(crate) fn sm2_with_sm3() -> Vec<u8> {
    sequence(&[&object_identifier(oid::SM2_WITH_SM3)])
}

/// SubjectPublicKeyInfo: `id-ecPublicKey` with the SM2 curve, `04 ‖ x ‖ y`.
pub(crate) fn subject_public_key_info(key: &Sm2PublicKey) -> Vec<u8> {
    let algorithm = sequence(&[&object_identifier(oid::EC_PUBLIC_KEY), &object_identifier(oid::SM2_CURVE)]);
    sequence(&[&algorithm, &bit_string(&key.to_sec1())])
}

#[cfg(test)]
mod tests {
    use sealagent::sm::verify;

    use super::*;

    #[test]
    fn signature_verifies_under_the_default_id() {
        let key = PrivateKey::generate().unwrap();
        assert!(verify(&key.public_key(), b"message", &key.sign(b"message")));
        assert!(!verify(&key.public_key(), b"massage", &key.sign(b"message")));
    }

    #[test]
    fn key_that_cannot_sign_is_refused() {
        let mut n_minus_1 = *N_MINUS_1;
        assert!(PrivateKey::from_bytes(&n_minus_1).is_none());
        n_minus_1[31] -= 1;
        assert!(PrivateKey::from_bytes(&n_minus_1).is_some());
        assert!(PrivateKey::from_bytes(&[0; 32]).is_none());
    }

    #[test]
    fn encrypted_key_opens_with_its_passphrase_only() {
        let key = PrivateKey::generate().unwrap();
        let pem = key.to_encrypted_pem("口令 passphrase".as_bytes()).unwrap();
        assert_eq!(PrivateKey::from_pem(&pem, Some("口令 passphrase".as_bytes())).unwrap().public_key(), key.public_key());
        assert!(matches!(PrivateKey::from_pem(&pem, Some(b"other")), Err(KeyError::Passphrase)));
        assert!(matches!(PrivateKey::from_pem(&pem, None), Err(KeyError::PassphraseNeeded)));
        assert!(!pem.contains("BEGIN PRIVATE KEY"));
    }

    #[test]
    fn plain_key_says_what_it_is_and_is_read_back() {
        let key = PrivateKey::generate().unwrap();
        let pem = key.to_plain_pem().unwrap();
        assert!(pem.starts_with("# PILOT ONLY"));
        assert_eq!(PrivateKey::from_pem(&pem, None).unwrap().public_key(), key.public_key());
        assert_eq!(format!("{key:?}"), "PrivateKey(..)");
    }
}
