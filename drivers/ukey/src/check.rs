//! What a signature that a token returned turns out to be, found out before anything uses it.
//!
//! Libraries are met that hash again what is a digest already, and modules that answer with ECDSA on the SM2 curve. Each is named,
//! so that a person can be told what to change; none is ever handed on.

use std::fmt;

use ::sm2::elliptic_curve::{Group as _, ops::Reduce as _, point::AffineCoordinates as _};
use ::sm2::{FieldBytes, NonZeroScalar, ProjectivePoint, PublicKey, Scalar, dsa};
use dsa::signature::hazmat::PrehashVerifier as _;
use sm3::{Digest as _, Sm3};

use crate::{DEFAULT_ID, DriverError, Sm2Digest, Sm2Message, Sm2PublicKey, Sm2Signature};

/// What a returned signature is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SignatureKind {
    /// The library took `e` for a message and computed `SM3(Z ‖ e)`.
    DoubleHashed,
    /// ECDSA over `e` (or over the plain SM3) on the SM2 curve.
    Ecdsa,
    /// SM2 over `e`, but by another key of the same token.
    OtherKey,
    /// SM2 over `e` by the message's key: the only good one.
    Sm2,
    /// None of the others: wrong bytes, or a key that nobody named.
    Unrelated,
    /// SM2 over the plain SM3 of the message, without Z.
    WithoutZ,
}

/// For the log and for the person who sets the driver up.
impl fmt::Display for SignatureKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::DoubleHashed => {
                "the digest was hashed again (double hashing): this library needs a profile with sign_input = \"message\""
            }
            Self::Ecdsa => "an ECDSA signature on the SM2 curve, which is not SM2",
            Self::OtherKey => "signed with another key of the token",
            Self::Sm2 => "an SM2 signature over e",
            Self::Unrelated => "a signature that does not verify with the key and the message",
            Self::WithoutZ => "signed the plain SM3 of the message, without Z",
        })
    }
}

/// Names what `signature` is, given the message (which knows the key it was made for) and the other public keys of the token.
pub fn classify(signature: &Sm2Signature, message: &Sm2Message, others: &[Sm2PublicKey]) -> SignatureKind {
    let (key, e) = (message.key(), message.digest());
    if verifies(key, e, signature) {
        return SignatureKind::Sm2;
    }
    let plain = Sm2Digest::from_bytes(Sm3::digest(message.bytes()).into());
    if Sm2Digest::new(e.as_bytes(), DEFAULT_ID, key).is_some_and(|twice| verifies(key, &twice, signature)) {
        SignatureKind::DoubleHashed
    } else if verifies(key, &plain, signature) {
        SignatureKind::WithoutZ
    } else if is_ecdsa(key, e, signature) || is_ecdsa(key, &plain, signature) {
        SignatureKind::Ecdsa
    } else if others.iter().any(|other| other != key && verifies(other, e, signature)) {
        SignatureKind::OtherKey
    } else {
        SignatureKind::Unrelated
    }
}

/// `Ok` for [`SignatureKind::Sm2`], else [`DriverError::SignatureInvalid`] of `function` (the interface's own name of the call that
/// returned it), naming what it is. `others` is only asked for when the signature is not good.
pub fn require_sm2(
    function: &str,
    signature: &Sm2Signature,
    message: &Sm2Message,
    others: impl FnOnce() -> Vec<Sm2PublicKey>,
) -> Result<(), DriverError> {
    if verifies(message.key(), message.digest(), signature) {
        return Ok(());
    }
    Err(DriverError::signature(function, classify(signature, message, &others()).to_string()))
}

/// Whether `signature` is SM2 over `e` by `key` (GB/T 32918.2 clause 7); scalars out of range are refused.
pub fn verifies(key: &Sm2PublicKey, e: &Sm2Digest, signature: &Sm2Signature) -> bool {
    let Ok(signature) = dsa::Signature::from_slice(&signature.to_raw()) else { return false };
    dsa::VerifyingKey::from_sec1_bytes(DEFAULT_ID, &key.to_sec1())
        .is_ok_and(|key| key.verify_prehash(e.as_bytes(), &signature).is_ok())
}

/// Whether (r, s) is an ECDSA signature over `e`: the x coordinate of (e/s)G + (r/s)P is r modulo n.
fn is_ecdsa(key: &Sm2PublicKey, e: &Sm2Digest, signature: &Sm2Signature) -> bool {
    let Ok(key) = PublicKey::from_sec1_bytes(&key.to_sec1()) else { return false };
    let scalar = |bytes: [u8; 32]| Option::<NonZeroScalar>::from(NonZeroScalar::from_repr(FieldBytes::from(bytes)));
    let (Some(r), Some(s)) = (scalar(signature.r), scalar(signature.s)) else { return false };
    let Some(inverse) = Option::<Scalar>::from(s.invert()) else { return false };
    let e = Scalar::reduce(&FieldBytes::from(*e.as_bytes()));
    let point = ProjectivePoint::generator() * (e * inverse) + ProjectivePoint::from(*key.as_affine()) * (*r * inverse);
    !bool::from(point.is_identity()) && Scalar::reduce(&point.to_affine().x()) == *r
}

#[cfg(test)]
mod tests {
    use ::sm2::SecretKey;
    use dsa::{SigningKey, signature::hazmat::PrehashSigner as _};

    use super::*;

    fn pair(seed: u8) -> (SecretKey, Sm2PublicKey) {
        let secret = SecretKey::from_slice(&[seed; 32]).unwrap();
        let public = Sm2PublicKey::from_sec1(&secret.public_key().to_sec1_bytes()).unwrap();
        (secret, public)
    }

    fn sm2_over(secret: &SecretKey, digest: &[u8; 32]) -> Sm2Signature {
        let signature: dsa::Signature = SigningKey::new(DEFAULT_ID, secret).unwrap().sign_prehash(digest).unwrap();
        Sm2Signature::from_raw(signature.to_bytes().as_slice().try_into().unwrap())
    }

    /// ECDSA with a fixed nonce: s = k⁻¹(e + r·d). Only to make the wrong signature that stock soft tokens return.
    fn ecdsa_over(secret: &SecretKey, digest: &[u8; 32]) -> Sm2Signature {
        let k = NonZeroScalar::from_repr(FieldBytes::from([0x33; 32])).unwrap();
        let r = Scalar::reduce(&(ProjectivePoint::generator() * *k).to_affine().x());
        let s = k.invert().unwrap() * (Scalar::reduce(&FieldBytes::from(*digest)) + r * *secret.to_nonzero_scalar());
        Sm2Signature { r: r.to_bytes().into(), s: s.to_bytes().into() }
    }

    #[test]
    fn each_kind_of_wrong_signature_is_named() {
        let ((secret, key), (other_secret, other)) = (pair(0x42), pair(0x43));
        let message = Sm2Message::new(b"message".to_vec(), DEFAULT_ID, key).unwrap();
        let e = *message.digest().as_bytes();
        let plain: [u8; 32] = Sm3::digest(b"message").into();
        let twice = *Sm2Digest::new(&e, DEFAULT_ID, &key).unwrap().as_bytes();
        for (signature, kind) in [
            (sm2_over(&secret, &e), SignatureKind::Sm2),
            (sm2_over(&secret, &twice), SignatureKind::DoubleHashed),
            (sm2_over(&secret, &plain), SignatureKind::WithoutZ),
            (ecdsa_over(&secret, &e), SignatureKind::Ecdsa),
            (ecdsa_over(&secret, &plain), SignatureKind::Ecdsa),
            (sm2_over(&other_secret, &e), SignatureKind::OtherKey),
            (Sm2Signature { r: [1; 32], s: [2; 32] }, SignatureKind::Unrelated),
            (Sm2Signature { r: [0; 32], s: [0xff; 32] }, SignatureKind::Unrelated),
        ] {
            assert_eq!(classify(&signature, &message, &[key, other]), kind);
            assert_eq!(require_sm2("f", &signature, &message, || vec![other]).is_ok(), kind == SignatureKind::Sm2);
        }
        assert_eq!(classify(&sm2_over(&other_secret, &e), &message, &[]), SignatureKind::Unrelated);
    }
}
