#![cfg_attr(not(feature = "std"), no_std)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]
//! Verifies SM2 signatures (GB/T 32918.2 clause 7, GM/T 0003.2, curve of GB/T 32918.5), fast.
//!
//! **Public data only.** Keys, digests and signatures go through branches and table look-ups that depend on them: time tells what they
//! are. Nothing here may be given a secret, and nothing here signs. The crate has no `unsafe` code, no global state but constants, and
//! does not panic whatever it is given.

extern crate alloc;

#[cfg(feature = "std")]
mod comb;
mod field;
mod joint;
mod point;
#[cfg(feature = "std")]
mod prepared;
mod scalar;

use alloc::vec;
use alloc::vec::Vec;

#[cfg(feature = "std")]
pub use prepared::{PreparedItem, PreparedKey, Tables, verify_many_prepared};

use point::Affine;
use scalar::Scalar;

/// A public key: a point on the curve, checked.
#[derive(Clone, Copy, Debug)]
pub struct PublicKey {
    point: Affine,
    /// As given; compared and returned.
    xy: [u8; 64],
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.xy == other.xy
    }
}

impl Eq for PublicKey {}

impl PublicKey {
    /// From `x ‖ y`, 32 bytes each, big-endian. `None` when a coordinate is not below p or the point is not on the curve; every other
    /// point has order n.
    pub fn from_xy(xy: &[u8; 64]) -> Option<Self> {
        Some(Self { point: Affine::from_xy(xy)?, xy: *xy })
    }

    /// `x ‖ y`.
    pub fn as_xy(&self) -> &[u8; 64] {
        &self.xy
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
    Equation::new(e, r, s).is_some_and(|wanted| joint::has_x(&joint::multiply(&wanted.s, &wanted.t, &key.point), &wanted.x))
}

/// One signature, for [`verify_many`].
#[derive(Clone, Copy)]
pub struct Item<'a> {
    /// The key.
    pub key: &'a PublicKey,
    /// SM3(Z ‖ M).
    pub e: &'a [u8; 32],
    /// r.
    pub r: &'a [u8; 32],
    /// s.
    pub s: &'a [u8; 32],
}

/// How many keys share one inversion: 64 tables of 8 points are 32 KiB.
const IN_STEP: usize = 64;

/// Verifies many signatures by keys not met before: the verdicts, in order. The keys' tables share their inversions.
pub fn verify_many(items: &[Item<'_>]) -> Vec<bool> {
    let mut verdicts = vec![false; items.len()];
    for (items, verdicts) in items.chunks(IN_STEP).zip(verdicts.chunks_mut(IN_STEP)) {
        let tables = joint::affine_tables(items.iter().map(|item| &item.key.point));
        for ((item, table), verdict) in items.iter().zip(&tables).zip(verdicts) {
            *verdict = Equation::new(item.e, item.r, item.s)
                .is_some_and(|wanted| joint::has_x(&joint::multiply_affine(&wanted.s, &wanted.t, table), &wanted.x));
        }
    }
    verdicts
}
