//! s·G + t·Q for a Q never met before: one run of doublings for both, digits of width [`WIDTH_G`] and [`WIDTH_Q`] (wNAF).

use alloc::vec;
use alloc::vec::Vec;

use crate::field::Fp;
use crate::point::{Affine, G, Jacobian, odd_multiples, to_affine};
use crate::scalar::Scalar;

/// Width of G's digits: 64 points, 4 KiB, made when the crate is compiled.
const WIDTH_G: usize = 8;
const COUNT_G: usize = 1 << (WIDTH_G - 2);
/// Width of Q's digits: 8 points, made anew for each Q. One wider costs more in the table than it saves in the sum.
const WIDTH_Q: usize = 5;
const COUNT_Q: usize = 1 << (WIDTH_Q - 2);

/// G, 3·G, 5·G … 127·G.
static TABLE_G: [Affine; COUNT_G] = {
    let (mut products, mut out) = ([Fp::ONE; COUNT_G], [G; COUNT_G]);
    to_affine(&odd_multiples::<COUNT_G>(&G), &mut products, &mut out);
    out
};

/// The digits of a scalar, least significant first: each zero or odd and below 2^(width−1) in absolute value, and of any `width` in a
/// row at most one is not zero. `width` is at most 8.
fn wnaf(scalar: &Scalar, width: usize) -> [i8; 257] {
    let mut digits = [0; 257];
    let (mut at, mut carry) = (0, 0);
    while at < digits.len() {
        if scalar.bits(at, 1) == carry {
            at += 1;
            continue;
        }
        // Odd, as the lowest bit differs from the carry.
        let window = (scalar.bits(at, width) + carry) as i32;
        carry = (window >> (width - 1)) as u32 & 1;
        digits[at] = (window - ((carry as i32) << width)) as i8;
        at += width;
    }
    digits
}

/// s·G + t·Q.
pub(crate) fn multiply(s: &Scalar, t: &Scalar, q: &Affine) -> Jacobian {
    let table: [Jacobian; COUNT_Q] = odd_multiples(q);
    run(s, t, &table, Jacobian::negate, Jacobian::add)
}

/// s·G + t·Q with Q's table in affine form.
pub(crate) fn multiply_affine(s: &Scalar, t: &Scalar, table: &[Affine; COUNT_Q]) -> Jacobian {
    run(s, t, table, Affine::negate, Jacobian::add_affine)
}

/// The tables of many points, with one inversion for all.
pub(crate) fn affine_tables<'a>(points: impl Iterator<Item = &'a Affine>) -> Vec<[Affine; COUNT_Q]> {
    let tables: Vec<[Jacobian; COUNT_Q]> = points.map(odd_multiples).collect();
    let mut out = vec![[G; COUNT_Q]; tables.len()];
    let mut products = vec![Fp::ONE; tables.len() * COUNT_Q];
    to_affine(tables.as_flattened(), &mut products, out.as_flattened_mut());
    out
}

#[inline(always)]
fn run<P>(
    s: &Scalar,
    t: &Scalar,
    table: &[P; COUNT_Q],
    negate: impl Fn(&P) -> P,
    add: impl Fn(&Jacobian, &P) -> Jacobian,
) -> Jacobian {
    let (digits_g, digits_q) = (wnaf(s, WIDTH_G), wnaf(t, WIDTH_Q));
    let mut sum = Jacobian::INFINITY;
    for (digit_g, digit_q) in digits_g.iter().zip(&digits_q).rev() {
        sum = sum.double();
        if *digit_q != 0 {
            let point = &table[usize::from(digit_q.unsigned_abs() / 2)];
            sum = if *digit_q > 0 { add(&sum, point) } else { add(&sum, &negate(point)) };
        }
        if *digit_g != 0 {
            let point = &TABLE_G[usize::from(digit_g.unsigned_abs() / 2)];
            sum = if *digit_g > 0 { sum.add_affine(point) } else { sum.add_affine(&point.negate()) };
        }
    }
    sum
}

/// Whether the x of `point` is `x` modulo n, without an inversion: x·Z² = X, and the same for x + n where that is below p. Infinity has
/// no x.
pub(crate) fn has_x(point: &Jacobian, x: &Scalar) -> bool {
    if point.is_infinity() {
        return false;
    }
    let zz = point.z.square();
    let matches = |digits| Fp::new(digits).is_some_and(|x| x.mul(&zz).equals(&point.x));
    matches(x.0) || x.plus_n().is_some_and(matches)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scalar::N;

    #[test]
    fn digits_are_sparse_odd_and_add_up_to_the_scalar() {
        for width in [WIDTH_Q, WIDTH_G] {
            for digits in [
                [0; 4],
                [1, 0, 0, 0],
                [N[0] - 1, N[1], N[2], N[3]],
                [0x5555_5555_5555_5555; 4],
                [u64::MAX, u64::MAX, u64::MAX, N[3] - 1],
            ] {
                let found = wnaf(&Scalar(digits), width);
                let places: Vec<_> = (0..257).filter(|i| found[*i] != 0).collect();
                assert!(places.windows(2).all(|pair| pair[1] - pair[0] >= width));
                assert!(places.iter().all(|i| found[*i] % 2 != 0 && i32::from(found[*i]).abs() < 1 << (width - 1)));
                // Modulo 2^256, from the top.
                let sum = found.iter().rev().fold([0u64; 4], |sum, digit| {
                    let double = crate::field::add_wide(&sum, &sum).0;
                    let magnitude = [u64::from(digit.unsigned_abs()), 0, 0, 0];
                    if *digit < 0 {
                        crate::field::sub_wide(&double, &magnitude).0
                    } else {
                        crate::field::add_wide(&double, &magnitude).0
                    }
                });
                assert_eq!(sum, digits);
            }
        }
    }
}
