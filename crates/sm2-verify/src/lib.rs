#![cfg_attr(not(feature = "std"), no_std)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]
//! Verifies SM2 signatures (GB/T 32918.2 clause 7, GM/T 0003.2, curve of GB/T 32918.5), fast.
//!
//! **Public data only.** Keys, digests and signatures go through branches and table look-ups that depend on them: time tells what they
//! are. Nothing here may be given a secret, and nothing here signs. The crate has no `unsafe` code, no global state but constants, and
//! does not panic whatever it is given.

extern crate alloc;

mod field;
mod joint;
mod point;
mod scalar;

use point::Affine;
use scalar::Scalar;

/// A public key: a point on the curve, checked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PublicKey(Affine);

impl PublicKey {
    /// From `x ‖ y`, 32 bytes each, big-endian. `None` when a coordinate is not below p or the point is not on the curve; every other
    /// point has order n.
    pub fn from_xy(xy: &[u8; 64]) -> Option<Self> {
        Affine::from_xy(xy).map(Self)
    }
}

/// What a signature says of a key and a digest: t = r + s, s, and the x (modulo n) that s·G + t·Q must have.
struct Equation {
    s: Scalar,
    t: Scalar,
    x: Scalar,
}

impl Equation {
    /// `None` when r or s is not in 1 … n − 1 or r + s = n.
    fn new(e: &[u8; 32], r: &[u8; 32], s: &[u8; 32]) -> Option<Self> {
        let (r, s) = (Scalar::nonzero(r)?, Scalar::nonzero(s)?);
        let t = r.add(&s);
        if t.is_zero() {
            return None;
        }
        Some(Self { s, t, x: r.sub(&Scalar::reduced(e)) })
    }
}

/// Whether (r, s) is the signature of `e` = SM3(Z ‖ M) by `key`; all three are 32 bytes, big-endian.
pub fn verify(key: &PublicKey, e: &[u8; 32], r: &[u8; 32], s: &[u8; 32]) -> bool {
    Equation::new(e, r, s).is_some_and(|wanted| joint::has_x(&joint::multiply(&wanted.s, &wanted.t, &key.0), &wanted.x))
}
