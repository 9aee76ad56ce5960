#![cfg_attr(not(feature = "std"), no_std)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]
//! Verifies SM2 signatures (GB/T 32918.2 clause 7, GM/T 0003.2, curve of GB/T 32918.5), fast.
//!
//! **Public data only.** Keys, digests and signatures go through branches and table look-ups that depend on them: time tells what they
//! are. Nothing here may be given a secret, and nothing here signs. The crate has no `unsafe` code, no global state but constants, and
//! does not panic whatever it is given.
//!
//! | call | for | how |
//! |---|---|---|
//! | [`verify`] | a key met once | joint run of 256 doublings, G's table in the binary |
//! | [`verify_many`] | many signatures by keys met once | the same, the keys' small tables share an inversion |
//! | [`PreparedKey::verify`] | a key that comes back | no doublings: a table of 52 KiB for the key, 148 KiB for G |
//! | [`verify_many_prepared`] | many signatures by such keys | in affine coordinates, the sums share their inversions |
//! | [`Tables`] | when it is not known which | gives a table to a key at its fourth signature, to the first such key at its 14th; bounded, least recently used |
//!
//! # Measured
//! `benches/table.sh` of the workspace, 24 November 2026, one thread of a shared two-core Zen 5 virtual machine, fastest sample of each,
//! all in one run: [`verify`] 27 556 /s, 4.0 times the crate `sm2` 0.14 (6 863 /s), 6.1 times OpenSSL 3.0 (4 515 /s), 8.7 times `libsm` 0.6
//! (3 164 /s); [`verify_many`] 30 491 /s; [`Tables::verify`] of a known key 106 236 /s, 15 times `sm2`; [`verify_many_prepared`]
//! 132 877 /s. A key's table takes 114 µs. Time goes into about 3 200 field multiplications for an unknown key (two thirds of them in
//! doublings) and 1 000 for a known one.

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
