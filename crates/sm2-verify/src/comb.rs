//! Multiples of a known point without doublings: for each window of a scalar's bits, all multiples that its digit can ask for.

use alloc::vec;
use alloc::vec::Vec;
use std::sync::OnceLock;

use crate::field::Fp;
use crate::point::{Affine, G, Jacobian, to_affine};
use crate::scalar::Scalar;

/// The table of one point: WINDOWS = ⌈256 / WIDTH⌉ rows of 2^(WIDTH−1) points, row i being 1·2^(WIDTH·i)·Q, 2·2^(WIDTH·i)·Q …
pub(crate) struct Comb<const WIDTH: usize, const WINDOWS: usize> {
    points: Vec<Affine>,
}

/// A key's table: 832 points, 52 KiB.
pub(crate) type KeyComb = Comb<5, 52>;
/// The generator's: 2 368 points, 148 KiB.
pub(crate) type GeneratorComb = Comb<7, 37>;

static GENERATOR: OnceLock<GeneratorComb> = OnceLock::new();

/// The generator's table, made when it is first needed.
pub(crate) fn generator() -> &'static GeneratorComb {
    GENERATOR.get_or_init(|| Comb::new(&G))
}

/// Whether it was made already.
pub(crate) fn is_generator_made() -> bool {
    GENERATOR.get().is_some()
}

impl<const WIDTH: usize, const WINDOWS: usize> Comb<WIDTH, WINDOWS> {
    const ROW: usize = 1 << (WIDTH - 1);
    const WINDOWS: usize = WINDOWS;

    pub(crate) fn new(point: &Affine) -> Self {
        let mut firsts = [point.to_jacobian(); WINDOWS];
        for i in 1..WINDOWS {
            firsts[i] = (0..WIDTH).fold(firsts[i - 1], |sum, _| sum.double());
        }
        let mut affine = [G; WINDOWS];
        to_affine(&firsts, &mut [Fp::ONE; WINDOWS], &mut affine);
        let firsts = affine.map(Some);
        let mut points = vec![G; WINDOWS * Self::ROW];
        let mut sums = firsts;
        let mut scratch = Vec::new();
        for multiple in 0..Self::ROW {
            if multiple > 0 {
                add_each(&mut sums, &firsts, &mut scratch);
            }
            for (row, sum) in points.chunks_exact_mut(Self::ROW).zip(&sums) {
                // Never infinity: a multiple below 2^WIDTH of a point of order n.
                if let Some(sum) = sum {
                    row[multiple] = *sum;
                }
            }
        }
        Self { points }
    }

    /// The digit of window `window` and the carry into the next; a digit is in −2^(WIDTH−1) … 2^(WIDTH−1). The last window has bits
    /// to spare and carries nothing.
    fn digit(scalar: &Scalar, window: usize, carry: &mut i32) -> i32 {
        let digit = scalar.bits(window * WIDTH, WIDTH) as i32 + *carry;
        *carry = i32::from(digit > Self::ROW as i32);
        digit - (*carry << WIDTH)
    }

    fn point(&self, window: usize, digit: i32) -> Option<Affine> {
        let index = (digit.unsigned_abs() as usize).checked_sub(1)?;
        let point = &self.points[window * Self::ROW + index];
        Some(if digit < 0 { point.negate() } else { *point })
    }

    /// sum + scalar·Q.
    pub(crate) fn add_to(&self, mut sum: Jacobian, scalar: &Scalar) -> Jacobian {
        let mut carry = 0;
        for window in 0..WINDOWS {
            if let Some(point) = self.point(window, Self::digit(scalar, window, &mut carry)) {
                sum = sum.add_affine(&point);
            }
        }
        sum
    }
}

/// Many sums at a time: `sums[i]` += s\[i\]·G + t\[i\]·Q\[i\], all in step, with one inversion for each window of all.
pub(crate) fn multiply_each(jobs: &[(&KeyComb, &Scalar, &Scalar)]) -> Vec<Option<Affine>> {
    let mut sums = vec![None; jobs.len()];
    let mut addends = vec![None; jobs.len()];
    let mut carries = vec![0; jobs.len()];
    let mut scratch = Vec::with_capacity(jobs.len());
    let generator = generator();
    for window in 0..GeneratorComb::WINDOWS {
        for (((_, s, _), addend), carry) in jobs.iter().zip(&mut addends).zip(&mut carries) {
            *addend = generator.point(window, GeneratorComb::digit(s, window, carry));
        }
        add_each(&mut sums, &addends, &mut scratch);
    }
    carries.fill(0);
    for window in 0..KeyComb::WINDOWS {
        for (((key, _, t), addend), carry) in jobs.iter().zip(&mut addends).zip(&mut carries) {
            *addend = key.point(window, KeyComb::digit(t, window, carry));
        }
        add_each(&mut sums, &addends, &mut scratch);
    }
    sums
}

/// `sums[i] += addends[i]` for all i, every case included (`None` is infinity), with one inversion for all.
fn add_each(sums: &mut [Option<Affine>], addends: &[Option<Affine>], scratch: &mut Vec<(Fp, Fp)>) {
    // Forwards: each sum's denominator and the product of all before it.
    scratch.clear();
    let mut product = Fp::ONE;
    for (sum, addend) in sums.iter().zip(addends) {
        let denominator = match (sum, addend) {
            (Some(a), Some(b)) => {
                let dx = b.x.sub(&a.x);
                if !dx.is_zero() {
                    dx
                } else if a.y.equals(&b.y) {
                    a.y.double() // not zero: no point has order two
                } else {
                    Fp::ONE
                }
            }
            _ => Fp::ONE,
        };
        scratch.push((denominator, product));
        product = product.mul(&denominator);
    }
    // Backwards: each denominator's inverse, and with it the sum.
    let mut inverse = product.invert();
    for ((sum, addend), (denominator, before)) in sums.iter_mut().zip(addends).zip(scratch.iter()).rev() {
        let inverted = inverse.mul(before);
        inverse = inverse.mul(denominator);
        let Some(b) = addend else { continue };
        let Some(a) = sum else {
            *sum = Some(*b);
            continue;
        };
        let slope = if !b.x.sub(&a.x).is_zero() {
            b.y.sub(&a.y).mul(&inverted)
        } else if a.y.equals(&b.y) {
            let third = a.x.sub(&Fp::ONE).mul(&a.x.add(&Fp::ONE));
            third.double().add(&third).mul(&inverted)
        } else {
            *sum = None;
            continue;
        };
        let x = slope.square().sub(&a.x).sub(&b.x);
        let y = slope.mul(&a.x.sub(&x)).sub(&a.y);
        *sum = Some(Affine { x, y });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_case_of_adding_in_step() {
        let multiples: Vec<Affine> = Comb::<5, 52>::new(&G).points[..4].to_vec();
        let [one, two, three, four] = [0, 1, 2, 3].map(|i| Some(multiples[i]));
        let minus_one = Some(G.negate());
        let cases = [
            (one, one, two),
            (one, two, three),
            (two, two, four),
            (one, minus_one, None),
            (None, one, one),
            (one, None, one),
            (None, None, None),
            (minus_one, two, one),
            (three, one, four),
        ];
        for skip in 0..cases.len() {
            let mut sums: Vec<_> = cases[skip..].iter().map(|(a, ..)| *a).collect();
            let addends: Vec<_> = cases[skip..].iter().map(|(_, b, _)| *b).collect();
            add_each(&mut sums, &addends, &mut Vec::new());
            for (sum, (_, _, expected)) in sums.iter().zip(&cases[skip..]) {
                match (sum, expected) {
                    (Some(a), Some(b)) => assert!(a.x.equals(&b.x) && a.y.equals(&b.y)),
                    (a, b) => assert!(a.is_none() && b.is_none()),
                }
            }
        }
    }

    #[test]
    fn digits_of_windows_add_up_to_the_scalar() {
        use crate::scalar::N;
        for digits in [
            [0; 4],
            [1, 0, 0, 0],
            [N[0] - 1, N[1], N[2], N[3]],
            [0x5555_5555_5555_5555; 4],
            [u64::MAX, u64::MAX, u64::MAX, N[3] - 1],
        ] {
            let (mut carry, mut sum) = (0, Jacobian::INFINITY);
            let found: Vec<_> = (0..52).map(|window| KeyComb::digit(&Scalar(digits), window, &mut carry)).collect();
            assert_eq!(carry, 0);
            assert!(found.iter().all(|digit| (-16..=16).contains(digit)));
            for digit in found.iter().rev() {
                sum = (0..5).fold(sum, |sum, _| sum.double());
                for _ in 0..digit.abs() {
                    sum = sum.add_affine(&if *digit < 0 { G.negate() } else { G });
                }
            }
            let other = generator().add_to(Jacobian::INFINITY, &Scalar(digits)).add(&sum.negate());
            assert!(other.is_infinity());
        }
    }
}
