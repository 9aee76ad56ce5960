//! A signature as the token returned it: verified before anything uses it (I7), and when it is wrong, told what it is instead.

use sm2::{
    AffinePoint, ProjectivePoint, Scalar, U256,
    elliptic_curve::{PrimeField as _, bigint::Encoding as _, ops::Reduce as _, point::AffineCoordinates as _},
};
use ukey::Sm2Message;

use super::error::Misbehaviour;
use crate::sm::{self, Sm2Digest, Sm2PublicKey, Sm2Signature};

/// Whether it is the SM2 signature of `message`.
pub(super) fn check(message: &Sm2Message, signature: &Sm2Signature) -> Result<(), Misbehaviour> {
    let key = message.key();
    if sm::verify_digest(key, message.digest(), signature) {
        return Ok(());
    }
    let verifies = |e: Option<Sm2Digest>| e.is_some_and(|e| sm::verify_digest(key, &e, signature));
    if verifies(Sm2Digest::new(message.digest().as_bytes(), message.id(), key)) {
        return Err(Misbehaviour::DoubleHash);
    }
    let bare = sm::sm3(message.bytes()).0;
    if verifies(Some(Sm2Digest::from_bytes(bare))) {
        return Err(Misbehaviour::NoZ);
    }
    if [*message.digest().as_bytes(), bare].iter().any(|digest| is_ecdsa(key, digest, signature) == Some(true)) {
        return Err(Misbehaviour::Ecdsa);
    }
    Err(Misbehaviour::Unknown)
}

/// Whether it is ECDSA over `digest` with the same key (FIPS 186-5 clause 6.4.2); `None` when numbers are out of range.
fn is_ecdsa(key: &Sm2PublicKey, digest: &[u8; 32], signature: &Sm2Signature) -> Option<bool> {
    let r = Option::<Scalar>::from(Scalar::from_repr(signature.r.into()))?;
    let s = Option::<Scalar>::from(Scalar::from_repr(signature.s.into()))?;
    let s_inverse = Option::<Scalar>::from(s.invert())?;
    let e = Scalar::reduce(&U256::from_be_bytes((*digest).into()));
    let q = sm2::PublicKey::from_sec1_bytes(&key.to_sec1()).ok()?;
    let point = ProjectivePoint::GENERATOR * (e * s_inverse) + ProjectivePoint::from(*q.as_affine()) * (r * s_inverse);
    Some(Scalar::reduce(&AffinePoint::from(point).x()) == r)
}
