//! Public keys of certificates and the signatures they make: SM2 with the default id; RSA and ECDSA with SHA-2, for time stamps and PDF
//! signatures of others.

use p256::ecdsa::signature::hazmat::PrehashVerifier as _;

use crate::asn1::{Asn1Error, BIT_STRING, NULL, OID, Oid, SEQUENCE, Tlv, oid};
use crate::sm::{self, SignatureEncoding, Sm2PublicKey};

/// Largest RSA modulus that is used, in bytes: beyond 8192 bits one check would cost more than all else in a file.
const MAX_RSA_BYTES: usize = 1024;
/// Smallest RSA modulus that is accepted, in bits (NIST SP 800-131A).
const MIN_RSA_BITS: usize = 2048;

/// rsaEncryption, `1.2.840.113549.1.1.1`
pub const RSA: Oid<'static> = Oid(b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01");
/// sha256WithRSAEncryption, `1.2.840.113549.1.1.11`
pub const SHA256_WITH_RSA: Oid<'static> = Oid(b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b");
/// sha384WithRSAEncryption, `1.2.840.113549.1.1.12`
pub const SHA384_WITH_RSA: Oid<'static> = Oid(b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0c");
/// sha512WithRSAEncryption, `1.2.840.113549.1.1.13`
pub const SHA512_WITH_RSA: Oid<'static> = Oid(b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0d");
/// ecdsa-with-SHA256, `1.2.840.10045.4.3.2`
pub const ECDSA_WITH_SHA256: Oid<'static> = Oid(b"\x2a\x86\x48\xce\x3d\x04\x03\x02");
/// ecdsa-with-SHA384, `1.2.840.10045.4.3.3`
pub const ECDSA_WITH_SHA384: Oid<'static> = Oid(b"\x2a\x86\x48\xce\x3d\x04\x03\x03");
/// ecdsa-with-SHA512, `1.2.840.10045.4.3.4`
pub const ECDSA_WITH_SHA512: Oid<'static> = Oid(b"\x2a\x86\x48\xce\x3d\x04\x03\x04");
/// secp256r1, the curve P-256, `1.2.840.10045.3.1.7`
pub const P256: Oid<'static> = Oid(b"\x2a\x86\x48\xce\x3d\x03\x01\x07");
/// secp384r1, the curve P-384, `1.3.132.0.34`
pub const P384: Oid<'static> = Oid(b"\x2b\x81\x04\x00\x22");
/// SHA-1, `1.3.14.3.2.26`
pub const SHA1: Oid<'static> = Oid(b"\x2b\x0e\x03\x02\x1a");
/// SHA-256, `2.16.840.1.101.3.4.2.1`
pub const SHA256: Oid<'static> = Oid(b"\x60\x86\x48\x01\x65\x03\x04\x02\x01");
/// SHA-384, `2.16.840.1.101.3.4.2.2`
pub const SHA384: Oid<'static> = Oid(b"\x60\x86\x48\x01\x65\x03\x04\x02\x02");
/// SHA-512, `2.16.840.1.101.3.4.2.3`
pub const SHA512: Oid<'static> = Oid(b"\x60\x86\x48\x01\x65\x03\x04\x02\x03");

/// The key in a certificate's SubjectPublicKeyInfo.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum PublicKey {
    /// An SM2 key: `1.2.840.10045.2.1` with the SM2 curve, or the variant that names the curve as the algorithm.
    Sm2(Sm2PublicKey),
    /// An RSA key: modulus and exponent, big-endian.
    Rsa {
        /// Modulus.
        n: Vec<u8>,
        /// Public exponent.
        e: Vec<u8>,
    },
    /// A key on P-256 (RFC 5480).
    P256(p256::ecdsa::VerifyingKey),
    /// A key on P-384 (RFC 5480).
    P384(p384::ecdsa::VerifyingKey),
    /// A key on another named curve (P-521, Brainpool …), whose signatures are not judged here: the curve's dotted OID.
    OtherCurve(String),
    /// Anything else: the algorithm as a dotted OID. A curve that is described and not named is one of these: RFC 5480 forbids it.
    Other(String),
}

impl PublicKey {
    /// Reads a SubjectPublicKeyInfo. A key that is no point of its curve (SM2, P-256, P-384) is an error; an unknown kind is not.
    pub fn parse(spki: Tlv<'_>) -> Result<Self, Asn1Error> {
        let mut elements = spki.expect(SEQUENCE)?.elements();
        let mut algorithm = elements.next(SEQUENCE)?.elements();
        let kind = algorithm.next(OID)?.oid()?;
        let parameter = algorithm.optional(OID)?.map(|p| p.oid()).transpose()?;
        let bits = elements.next(BIT_STRING)?.bit_string()?;
        elements.end()?;
        if kind == oid::SM2_CURVE || kind == oid::EC_PUBLIC_KEY && parameter == Some(oid::SM2_CURVE) {
            return Sm2PublicKey::from_sec1(bits).map(Self::Sm2).ok_or(Asn1Error::Value(BIT_STRING));
        }
        if kind == RSA {
            let mut key = Tlv::read_all(bits)?.expect(SEQUENCE)?.elements();
            let n = key.next(crate::asn1::INTEGER)?.value.to_vec();
            let e = key.next(crate::asn1::INTEGER)?.value.to_vec();
            return Ok(Self::Rsa { n, e });
        }
        let off_curve = |_| Asn1Error::Value(BIT_STRING);
        match parameter.filter(|_| kind == oid::EC_PUBLIC_KEY) {
            Some(P256) => p256::ecdsa::VerifyingKey::from_sec1_bytes(bits).map(Self::P256).map_err(off_curve),
            Some(P384) => p384::ecdsa::VerifyingKey::from_sec1_bytes(bits).map(Self::P384).map_err(off_curve),
            Some(curve) => Ok(Self::OtherCurve(curve.dotted())),
            None => Ok(Self::Other(kind.dotted())),
        }
    }

    /// What kind of key it is, for people.
    pub fn name(&self) -> String {
        match self {
            Self::Sm2(_) => "SM2".to_owned(),
            Self::Rsa { .. } => "RSA".to_owned(),
            Self::P256(_) => "ECDSA P-256".to_owned(),
            Self::P384(_) => "ECDSA P-384".to_owned(),
            Self::OtherCurve(curve) => format!("ECDSA {curve}"),
            Self::Other(kind) => kind.clone(),
        }
    }

    /// The SM2 key, if it is one.
    pub fn sm2(&self) -> Option<&Sm2PublicKey> {
        match self {
            Self::Sm2(key) => Some(key),
            _ => None,
        }
    }
}

/// The algorithms whose signatures are judged here.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Algorithm {
    /// SM2 with SM3, default id.
    Sm2Sm3,
    /// RSA PKCS#1 v1.5 with SHA-256, SHA-384 or SHA-512.
    Rsa(Hash),
    /// ECDSA (FIPS 186-5) with SHA-256, SHA-384 or SHA-512, on whichever curve the key is.
    Ecdsa(Hash),
}

/// Digest algorithms of foreign structures.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Hash {
    Sm3,
    Sha1,
    Sha256,
    Sha384,
    Sha512,
}

impl Hash {
    /// By its OID.
    pub fn from_oid(oid: Oid<'_>) -> Option<Self> {
        Some(match oid {
            oid::SM3 => Self::Sm3,
            SHA1 => Self::Sha1,
            SHA256 => Self::Sha256,
            SHA384 => Self::Sha384,
            SHA512 => Self::Sha512,
            _ => return None,
        })
    }

    /// Whether nobody can make two contents with one digest, so that a signature over the digest is about one content only.
    pub const fn resists_collisions(self) -> bool {
        match self {
            Self::Sm3 | Self::Sha256 | Self::Sha384 | Self::Sha512 => true,
            Self::Sha1 => false,
        }
    }

    /// The digest of `bytes`.
    pub fn digest(self, bytes: &[u8]) -> Vec<u8> {
        let mut hasher = self.hasher();
        hasher.update(bytes);
        hasher.finish()
    }

    /// For bytes that arrive in pieces.
    pub fn hasher(self) -> Hasher {
        match self {
            Self::Sm3 => Hasher::Sm3(sm::Sm3::new()),
            Self::Sha1 => Hasher::Sha1(sha1::Sha1::default()),
            Self::Sha256 => Hasher::Sha256(sha2::Sha256::default()),
            Self::Sha384 => Hasher::Sha384(sha2::Sha384::default()),
            Self::Sha512 => Hasher::Sha512(sha2::Sha512::default()),
        }
    }
}

/// A digest in the making.
#[derive(Clone)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Hasher {
    Sm3(sm::Sm3),
    Sha1(sha1::Sha1),
    Sha256(sha2::Sha256),
    Sha384(sha2::Sha384),
    Sha512(sha2::Sha512),
}

impl Hasher {
    /// Adds bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        use sha2::Digest as _;
        match self {
            Self::Sm3(hasher) => hasher.update(bytes),
            Self::Sha1(hasher) => hasher.update(bytes),
            Self::Sha256(hasher) => hasher.update(bytes),
            Self::Sha384(hasher) => hasher.update(bytes),
            Self::Sha512(hasher) => hasher.update(bytes),
        }
    }

    /// The digest of all that was added.
    pub fn finish(self) -> Vec<u8> {
        use sha2::Digest as _;
        match self {
            Self::Sm3(hasher) => hasher.finish().0.to_vec(),
            Self::Sha1(hasher) => hasher.finalize().to_vec(),
            Self::Sha256(hasher) => hasher.finalize().to_vec(),
            Self::Sha384(hasher) => hasher.finalize().to_vec(),
            Self::Sha512(hasher) => hasher.finalize().to_vec(),
        }
    }
}

impl std::io::Write for Hasher {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Algorithm {
    /// By the signature algorithm's OID; for CMS, where RSA or an EC key may be named without the digest, with the digest algorithm
    /// beside it.
    pub fn from_oid(signature: Oid<'_>, digest: Option<Hash>) -> Option<Self> {
        Some(match signature {
            oid::SM2_WITH_SM3 => Self::Sm2Sm3,
            oid::SM2_SIGN | oid::SM2_CURVE if matches!(digest, Some(Hash::Sm3)) => Self::Sm2Sm3,
            SHA256_WITH_RSA => Self::Rsa(Hash::Sha256),
            SHA384_WITH_RSA => Self::Rsa(Hash::Sha384),
            SHA512_WITH_RSA => Self::Rsa(Hash::Sha512),
            ECDSA_WITH_SHA256 => Self::Ecdsa(Hash::Sha256),
            ECDSA_WITH_SHA384 => Self::Ecdsa(Hash::Sha384),
            ECDSA_WITH_SHA512 => Self::Ecdsa(Hash::Sha512),
            RSA | oid::EC_PUBLIC_KEY => match digest? {
                hash @ (Hash::Sha256 | Hash::Sha384 | Hash::Sha512) if signature == RSA => Self::Rsa(hash),
                hash @ (Hash::Sha256 | Hash::Sha384 | Hash::Sha512) => Self::Ecdsa(hash),
                _ => return None,
            },
            _ => return None,
        })
    }

    /// The family that it names, for people.
    pub const fn family(self) -> &'static str {
        match self {
            Self::Sm2Sm3 => "SM2",
            Self::Rsa(_) => "RSA",
            Self::Ecdsa(_) => "ECDSA",
        }
    }
}

/// Why a signature does not count.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SignatureFault {
    /// An algorithm that is not accepted, or one that does not fit the key.
    #[error("algorithm not accepted")]
    Algorithm,
    /// The signature does not verify.
    #[error("signature does not verify")]
    Wrong,
}

/// Reads an AlgorithmIdentifier whose parameters must be absent or NULL.
pub fn algorithm_oid(tlv: Tlv<'_>) -> Result<Oid<'_>, Asn1Error> {
    let mut elements = tlv.expect(SEQUENCE)?.elements();
    let oid = elements.next(OID)?.oid()?;
    elements.optional(NULL)?;
    elements.end()?;
    Ok(oid)
}

/// Checks `signature` over `message`. SM2 values are read in every encoding that [`sm::read_signature`] names except the raw one:
/// certificates, CRLs and responses are DER. ECDSA values are strict DER with both numbers from 1 to n - 1 (SEC 1 clause 4.1.4).
pub fn verify(key: &PublicKey, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> Result<(), SignatureFault> {
    match (key, algorithm) {
        (PublicKey::Sm2(key), Algorithm::Sm2Sm3) => match sm::read_signature(signature) {
            Ok((signature, encoding)) if encoding != SignatureEncoding::Raw && sm::verify(key, message, &signature) => Ok(()),
            _ => Err(SignatureFault::Wrong),
        },
        (key, Algorithm::Rsa(hash) | Algorithm::Ecdsa(hash)) => verify_digest(key, algorithm, &hash.digest(message), signature),
        _ => Err(SignatureFault::Algorithm),
    }
}

/// As [`verify`], over the digest of a message that is not in memory, by the algorithm's own [`Hash`]. RSA and ECDSA only: SM2 signs `e`,
/// which the plain digest does not give ([`sm::verify_digest`]).
pub fn verify_digest(key: &PublicKey, algorithm: Algorithm, digest: &[u8], signature: &[u8]) -> Result<(), SignatureFault> {
    match (key, algorithm) {
        (PublicKey::Rsa { n, e }, Algorithm::Rsa(hash)) => verify_rsa(n, e, hash, digest, signature),
        (PublicKey::P256(key), Algorithm::Ecdsa(_)) => p256::ecdsa::Signature::from_der(signature)
            .and_then(|signature| key.verify_prehash(digest, &signature))
            .map_err(|_| SignatureFault::Wrong),
        (PublicKey::P384(key), Algorithm::Ecdsa(_)) => p384::ecdsa::Signature::from_der(signature)
            .and_then(|signature| key.verify_prehash(digest, &signature))
            .map_err(|_| SignatureFault::Wrong),
        _ => Err(SignatureFault::Algorithm),
    }
}

fn verify_rsa(n: &[u8], e: &[u8], hash: Hash, digest: &[u8], signature: &[u8]) -> Result<(), SignatureFault> {
    use rsa::pkcs1v15::{Signature, VerifyingKey};
    if n.len() > MAX_RSA_BYTES + 1 || e.len() > 8 {
        return Err(SignatureFault::Algorithm);
    }
    let (n, e) = (rsa::BoxedUint::from_be_slice_vartime(n), rsa::BoxedUint::from_be_slice_vartime(e));
    if (n.bit_width() as usize) < MIN_RSA_BITS {
        return Err(SignatureFault::Algorithm);
    }
    let key =
        rsa::PublicKey::new_with_size_limits(n, e, MIN_RSA_BITS..=MAX_RSA_BYTES * 8).map_err(|_| SignatureFault::Algorithm)?;
    let signature = Signature::try_from(signature).map_err(|_| SignatureFault::Wrong)?;
    match hash {
        Hash::Sha256 => VerifyingKey::<sha2::Sha256>::new(key).verify_prehash(digest, &signature),
        Hash::Sha384 => VerifyingKey::<sha2::Sha384>::new(key).verify_prehash(digest, &signature),
        Hash::Sha512 => VerifyingKey::<sha2::Sha512>::new(key).verify_prehash(digest, &signature),
        Hash::Sm3 | Hash::Sha1 => return Err(SignatureFault::Algorithm),
    }
    .map_err(|_| SignatureFault::Wrong)
}
