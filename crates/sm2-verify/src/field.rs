//! The field of the curve, p = 2^256 − 2^224 − 2^96 + 2^64 − 1, in Montgomery form with R = 2^256.
//!
//! −p⁻¹ mod 2^64 is 1 and the digits of p are sparse, so that a reduction step needs no multiplication: only shifts and additions.

/// p, least significant digit first.
pub(crate) const P: [u64; 4] = [0xffff_ffff_ffff_ffff, 0xffff_ffff_0000_0000, 0xffff_ffff_ffff_ffff, 0xffff_fffe_ffff_ffff];
/// 2^256 − p, which is also R mod p.
const P_COMPLEMENT: [u64; 4] = [1, 0x0000_0000_ffff_ffff, 0, 0x0000_0001_0000_0000];
/// R² mod p: brings a number into Montgomery form.
const R_SQUARED: [u64; 4] = [0x0000_0002_0000_0003, 0x0000_0002_ffff_ffff, 0x0000_0001_0000_0001, 0x0000_0004_0000_0002];

/// a + b + carry: the digit and the next carry.
#[inline(always)]
pub(crate) const fn add_carry(a: u64, b: u64, carry: bool) -> (u64, bool) {
    let (sum, over) = a.overflowing_add(b);
    let (sum, over_again) = sum.overflowing_add(carry as u64);
    (sum, over | over_again)
}

/// a − b − borrow: the digit and the next borrow.
#[inline(always)]
pub(crate) const fn sub_borrow(a: u64, b: u64, borrow: bool) -> (u64, bool) {
    let (difference, under) = a.overflowing_sub(b);
    let (difference, under_again) = difference.overflowing_sub(borrow as u64);
    (difference, under | under_again)
}

/// a + b·c + carry: the digit and the next carry. Cannot overflow: (2^64 − 1)² + 2·(2^64 − 1) = 2^128 − 1.
#[inline(always)]
const fn mul_add(a: u64, b: u64, c: u64, carry: u64) -> (u64, u64) {
    let wide = a as u128 + b as u128 * c as u128 + carry as u128;
    (wide as u64, (wide >> 64) as u64)
}

/// a + b, with the carry out.
#[inline(always)]
pub(crate) const fn add_wide(a: &[u64; 4], b: &[u64; 4]) -> ([u64; 4], bool) {
    let (d0, c) = add_carry(a[0], b[0], false);
    let (d1, c) = add_carry(a[1], b[1], c);
    let (d2, c) = add_carry(a[2], b[2], c);
    let (d3, c) = add_carry(a[3], b[3], c);
    ([d0, d1, d2, d3], c)
}

/// a − b, with the borrow out.
#[inline(always)]
pub(crate) const fn sub_wide(a: &[u64; 4], b: &[u64; 4]) -> ([u64; 4], bool) {
    let (d0, c) = sub_borrow(a[0], b[0], false);
    let (d1, c) = sub_borrow(a[1], b[1], c);
    let (d2, c) = sub_borrow(a[2], b[2], c);
    let (d3, c) = sub_borrow(a[3], b[3], c);
    ([d0, d1, d2, d3], c)
}

/// The value `carry·2^256 + a`, known to be below 2m, reduced modulo m; `complement` is 2^256 − m.
///
/// a ≥ m shows as a carry out of a + (2^256 − m). Adding the complement rather than subtracting m keeps the compiler's carry chain whole.
#[inline(always)]
pub(crate) const fn subtract_once(a: [u64; 4], carry: bool, complement: &[u64; 4]) -> [u64; 4] {
    let (less, over) = add_wide(&a, complement);
    // Digit by digit, so that the compiler selects instead of branching: the outcome is close to a coin toss.
    let take = carry | over;
    [
        if take { less[0] } else { a[0] },
        if take { less[1] } else { a[1] },
        if take { less[2] } else { a[2] },
        if take { less[3] } else { a[3] },
    ]
}

/// Whether a < b.
pub(crate) const fn is_less(a: &[u64; 4], b: &[u64; 4]) -> bool {
    sub_wide(a, b).1
}

/// Whether a is zero.
pub(crate) const fn is_zero(a: &[u64; 4]) -> bool {
    a[0] | a[1] | a[2] | a[3] == 0
}

/// Reads 32 big-endian bytes.
pub(crate) const fn from_be_bytes(bytes: &[u8; 32]) -> [u64; 4] {
    let mut out = [0; 4];
    let mut i = 0;
    while i < 32 {
        out[3 - i / 8] = out[3 - i / 8] << 8 | bytes[i] as u64;
        i += 1;
    }
    out
}

/// An element of the field in Montgomery form. Any number below 2^256 stands for its class modulo p: the few classes below 2^256 − p have
/// two forms, and only [`Fp::is_zero`] and [`Fp::equals`] need to know. That saves a comparison with p, which the
/// compiler makes long, in each operation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fp([u64; 4]);

/// `carry·(2^256 − p)`: what stands for a carry out of 2^256.
#[inline(always)]
const fn folded(carry: bool) -> [u64; 4] {
    let mask = (carry as u64).wrapping_neg();
    [carry as u64, mask >> 32, 0, mask & 1 << 32]
}

impl Fp {
    pub(crate) const ZERO: Self = Self([0; 4]);
    /// R mod p.
    pub(crate) const ONE: Self = Self(P_COMPLEMENT);

    /// From a number; `None` when it is not below p.
    pub(crate) const fn new(digits: [u64; 4]) -> Option<Self> {
        if is_less(&digits, &P) { Some(Self(digits).mul(&Self(R_SQUARED))) } else { None }
    }

    /// The number itself, out of Montgomery form, below p.
    #[cfg(test)]
    pub(crate) const fn to_digits(self) -> [u64; 4] {
        subtract_once(reduce([self.0[0], self.0[1], self.0[2], self.0[3], 0, 0, 0, 0]), false, &P_COMPLEMENT)
    }

    #[inline(always)]
    pub(crate) const fn is_zero(&self) -> bool {
        let a = &self.0;
        is_zero(a) || is_zero(&[a[0] ^ P[0], a[1] ^ P[1], a[2] ^ P[2], a[3] ^ P[3]])
    }

    #[inline(always)]
    pub(crate) const fn equals(&self, other: &Self) -> bool {
        self.sub(other).is_zero()
    }

    #[inline(always)]
    pub(crate) const fn add(&self, other: &Self) -> Self {
        let (sum, carry) = add_wide(&self.0, &other.0);
        let (sum, again) = add_wide(&sum, &folded(carry));
        // Only where both were p or more. What is left is below 2^256 − p: no third carry.
        if again { Self(add_wide(&sum, &folded(true)).0) } else { Self(sum) }
    }

    #[inline(always)]
    pub(crate) const fn double(&self) -> Self {
        self.add(self)
    }

    #[inline(always)]
    pub(crate) const fn sub(&self, other: &Self) -> Self {
        let (difference, borrow) = sub_wide(&self.0, &other.0);
        let (difference, again) = sub_wide(&difference, &folded(borrow));
        // Only where the second was p or more. What is left is above p: no third borrow.
        if again { Self(sub_wide(&difference, &folded(true)).0) } else { Self(difference) }
    }

    #[inline(always)]
    pub(crate) const fn negate(&self) -> Self {
        Self::ZERO.sub(self)
    }

    #[inline(always)]
    pub(crate) const fn mul(&self, other: &Self) -> Self {
        let (a, b) = (&self.0, &other.0);
        let (t0, c) = mul_add(0, a[0], b[0], 0);
        let (t1, c) = mul_add(0, a[0], b[1], c);
        let (t2, c) = mul_add(0, a[0], b[2], c);
        let (t3, t4) = mul_add(0, a[0], b[3], c);
        let (t1, c) = mul_add(t1, a[1], b[0], 0);
        let (t2, c) = mul_add(t2, a[1], b[1], c);
        let (t3, c) = mul_add(t3, a[1], b[2], c);
        let (t4, t5) = mul_add(t4, a[1], b[3], c);
        let (t2, c) = mul_add(t2, a[2], b[0], 0);
        let (t3, c) = mul_add(t3, a[2], b[1], c);
        let (t4, c) = mul_add(t4, a[2], b[2], c);
        let (t5, t6) = mul_add(t5, a[2], b[3], c);
        let (t3, c) = mul_add(t3, a[3], b[0], 0);
        let (t4, c) = mul_add(t4, a[3], b[1], c);
        let (t5, c) = mul_add(t5, a[3], b[2], c);
        let (t6, t7) = mul_add(t6, a[3], b[3], c);
        Self(reduce([t0, t1, t2, t3, t4, t5, t6, t7]))
    }

    #[inline(always)]
    pub(crate) const fn square(&self) -> Self {
        let a = &self.0;
        // The products of different digits, once,
        let (t1, c) = mul_add(0, a[0], a[1], 0);
        let (t2, c) = mul_add(0, a[0], a[2], c);
        let (t3, t4) = mul_add(0, a[0], a[3], c);
        let (t3, c) = mul_add(t3, a[1], a[2], 0);
        let (t4, t5) = mul_add(t4, a[1], a[3], c);
        let (t5, t6) = mul_add(t5, a[2], a[3], 0);
        // doubled,
        let t7 = t6 >> 63;
        let t6 = t6 << 1 | t5 >> 63;
        let t5 = t5 << 1 | t4 >> 63;
        let t4 = t4 << 1 | t3 >> 63;
        let t3 = t3 << 1 | t2 >> 63;
        let t2 = t2 << 1 | t1 >> 63;
        let t1 = t1 << 1;
        // and the squares.
        let (t0, h0) = mul_add(0, a[0], a[0], 0);
        let (l1, h1) = mul_add(0, a[1], a[1], 0);
        let (l2, h2) = mul_add(0, a[2], a[2], 0);
        let (l3, h3) = mul_add(0, a[3], a[3], 0);
        let (t1, c) = add_carry(t1, h0, false);
        let (t2, c) = add_carry(t2, l1, c);
        let (t3, c) = add_carry(t3, h1, c);
        let (t4, c) = add_carry(t4, l2, c);
        let (t5, c) = add_carry(t5, h2, c);
        let (t6, c) = add_carry(t6, l3, c);
        let (t7, _) = add_carry(t7, h3, c);
        Self(reduce([t0, t1, t2, t3, t4, t5, t6, t7]))
    }

    const fn square_times(self, times: u32) -> Self {
        let mut out = self;
        let mut i = 0;
        while i < times {
            out = out.square();
            i += 1;
        }
        out
    }

    /// The inverse, by Fermat's little theorem; zero gives zero.
    pub(crate) const fn invert(&self) -> Self {
        // Each `onesN` is self^(2^N − 1). p − 2 in words of 32 bits: fffffffe, ffffffff ×4, 00000000, ffffffff, fffffffd.
        let ones3 = self.square().mul(self).square().mul(self);
        let ones6 = ones3.square_times(3).mul(&ones3);
        let ones12 = ones6.square_times(6).mul(&ones6);
        let ones15 = ones12.square_times(3).mul(&ones3);
        let ones30 = ones15.square_times(15).mul(&ones15);
        let ones31 = ones30.square().mul(self);
        let ones32 = ones31.square().mul(self);
        let mut out = ones31.square();
        let mut word = 0;
        while word < 4 {
            out = out.square_times(32).mul(&ones32);
            word += 1;
        }
        out.square_times(64).mul(&ones32).square_times(30).mul(&ones30).square_times(2).mul(self)
    }
}

/// Montgomery reduction: the number divided by 2^256, modulo p, and below 2^256.
#[inline(always)]
const fn reduce(t: [u64; 8]) -> [u64; 4] {
    let window = [t[0], t[1], t[2], t[3]];
    let window = reduce_digit(reduce_digit(reduce_digit(reduce_digit(window))));
    // window ≤ p, so that the sum less p is below 2^256: no second carry.
    let (sum, carry) = add_wide(&window, &[t[4], t[5], t[6], t[7]]);
    add_wide(&sum, &folded(carry)).0
}

/// (w + m·p) / 2^64 where m = w[0], as p ≡ −1 modulo 2^64. It is below 2^192 + p < 2^256: nothing is carried out.
#[inline(always)]
const fn reduce_digit(w: [u64; 4]) -> [u64; 4] {
    // (m·p + m) / 2^64 = m·(2^192 − 2^160 − 2^32 + 1)
    let m = w[0];
    let (low, high) = (m << 32, m >> 32);
    let (u0, b) = sub_borrow(m, low, false);
    let (u1, b) = sub_borrow(0, high, b);
    let (u2, b) = sub_borrow(0, low, b);
    let (u3, _) = sub_borrow(m, high, b);
    let (d0, c) = add_carry(w[1], u0, false);
    let (d1, c) = add_carry(w[2], u1, c);
    let (d2, c) = add_carry(w[3], u2, c);
    let (d3, _) = add_carry(u3, 0, c);
    [d0, d1, d2, d3]
}

#[cfg(test)]
mod tests {
    use sm2::elliptic_curve::bigint::{NonZero, U256};

    use super::*;

    /// Digits at which carries turn over, all combinations: numbers from p to 2^256 − 1 among them.
    fn edges() -> Vec<[u64; 4]> {
        let digits = [0, 1, 0xffff_ffff, 0xffff_fffe_ffff_ffff, 0xffff_ffff_0000_0000, u64::MAX];
        let mut out = Vec::new();
        for i in 0..digits.len().pow(4) {
            out.push([0, 1, 2, 3].map(|place| digits[i / digits.len().pow(place) % digits.len()]));
        }
        for near in [P, P_COMPLEMENT, R_SQUARED] {
            for distance in [1, 2, 1 << 32] {
                out.push(add_wide(&near, &[distance, 0, 0, 0]).0);
                out.push(sub_wide(&near, &[distance, 0, 0, 0]).0);
            }
        }
        out
    }

    fn big(digits: [u64; 4]) -> U256 {
        U256::from_words(digits)
    }

    fn modulus() -> NonZero<U256> {
        NonZero::new(big(P)).unwrap()
    }

    /// What `a` stands for: a / R.
    fn class(a: &Fp) -> U256 {
        big(a.to_digits())
    }

    #[test]
    fn operations_on_edges_agree_with_crypto_bigint() {
        let p = modulus();
        let edges = edges();
        // The classes, by an independent road: a·R⁻¹ where R⁻¹ is found as the inverse of 2^256 mod p.
        let r_inverse = Option::<U256>::from(big(P_COMPLEMENT).invert_odd_mod(&p.get().to_odd().unwrap())).unwrap();
        let classes: Vec<_> = edges.iter().map(|a| big(*a).rem(&p).mul_mod(&r_inverse, &p)).collect();
        for (a, a_class) in edges.iter().zip(&classes) {
            let a = Fp(*a);
            assert_eq!(class(&a), *a_class);
            assert_eq!(class(&a.square()), a_class.square_mod(&p));
            assert_eq!(class(&a.negate()), a_class.neg_mod(&p));
            assert_eq!(a.is_zero(), *a_class == U256::ZERO);
        }
        // Every edge with a spread of others; all pairs would take minutes.
        for (i, (a, a_class)) in edges.iter().zip(&classes).enumerate() {
            for (b, b_class) in edges.iter().zip(&classes).skip(i % 17).step_by(17) {
                let (a, b) = (Fp(*a), Fp(*b));
                assert_eq!(class(&a.mul(&b)), a_class.mul_mod(b_class, &p), "{a:x?} {b:x?}");
                assert_eq!(class(&a.add(&b)), a_class.add_mod(b_class, &p), "{a:x?} {b:x?}");
                assert_eq!(class(&a.sub(&b)), a_class.sub_mod(b_class, &p), "{a:x?} {b:x?}");
                assert_eq!(a.equals(&b), a_class == b_class, "{a:x?} {b:x?}");
            }
        }
    }

    #[test]
    fn inverse_times_itself_is_one() {
        for a in edges().into_iter().step_by(7).map(Fp) {
            let product = a.mul(&a.invert());
            assert!(if a.is_zero() { product.is_zero() } else { product.equals(&Fp::ONE) });
        }
    }

    #[test]
    fn numbers_from_p_on_are_not_elements() {
        assert!(Fp::new(P).is_none());
        assert!(Fp::new([u64::MAX; 4]).is_none());
        assert!(Fp::new(add_wide(&P, &[1, 0, 0, 0]).0).is_none());
        let largest = sub_wide(&P, &[1, 0, 0, 0]).0;
        assert_eq!(Fp::new(largest).unwrap().to_digits(), largest);
        assert_eq!(Fp::new([0; 4]).unwrap().to_digits(), [0; 4]);
    }
}
