//! Numbers modulo n, the order of the generator. Verification adds and subtracts them, nothing more.

use crate::field::{add_wide, from_be_bytes, is_less, is_zero, sub_wide, subtract_once};

/// n, least significant digit first.
pub(crate) const N: [u64; 4] = [0x53bb_f409_39d5_4123, 0x7203_df6b_21c6_052b, 0xffff_ffff_ffff_ffff, 0xffff_fffe_ffff_ffff];
/// 2^256 − n.
const N_COMPLEMENT: [u64; 4] = [!N[0] + 1, !N[1], !N[2], !N[3]];

/// A number below n.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Scalar(pub(crate) [u64; 4]);

impl Scalar {
    /// r or s of a signature: `None` unless it is in 1 … n − 1.
    pub(crate) fn nonzero(bytes: &[u8; 32]) -> Option<Self> {
        let digits = from_be_bytes(bytes);
        (is_less(&digits, &N) && !is_zero(&digits)).then_some(Self(digits))
    }

    /// A digest, reduced: 2^256 < 2n, so one subtraction does.
    pub(crate) fn reduced(bytes: &[u8; 32]) -> Self {
        Self(subtract_once(from_be_bytes(bytes), false, &N_COMPLEMENT))
    }

    pub(crate) fn add(&self, other: &Self) -> Self {
        let (sum, carry) = add_wide(&self.0, &other.0);
        Self(subtract_once(sum, carry, &N_COMPLEMENT))
    }

    pub(crate) fn sub(&self, other: &Self) -> Self {
        let (difference, borrow) = sub_wide(&self.0, &other.0);
        Self(if borrow { add_wide(&difference, &N).0 } else { difference })
    }

    pub(crate) fn is_zero(&self) -> bool {
        is_zero(&self.0)
    }

    /// self + n, where that is below 2^256.
    pub(crate) fn plus_n(&self) -> Option<[u64; 4]> {
        let (sum, carry) = add_wide(&self.0, &N);
        (!carry).then_some(sum)
    }

    /// `count` bits from bit `start` on; bits beyond 255 are zero. `count` is at most 8.
    pub(crate) fn bits(&self, start: usize, count: usize) -> u32 {
        let (digit, shift) = (start / 64, start % 64);
        let low = self.0.get(digit).map_or(0, |d| d >> shift);
        let high = if shift + count > 64 { self.0.get(digit + 1).map_or(0, |d| d << (64 - shift)) } else { 0 };
        ((low | high) & ((1 << count) - 1)) as u32
    }
}
