//! Points of the curve y² = x³ − 3x + b: affine ones for tables, Jacobian ones (x = X/Z², y = Y/Z³) for sums.

use crate::field::{Fp, from_be_bytes};

const fn constant(digits: [u64; 4]) -> Fp {
    match Fp::new(digits) {
        Some(value) => value,
        None => panic!("a constant below p"), // at compile time only
    }
}

/// The curve's b.
const B: Fp = constant([0xddbc_bd41_4d94_0e93, 0xf397_89f5_15ab_8f92, 0x4d5a_9e4b_cf65_09a7, 0x28e9_fa9e_9d9f_5e34]);
/// The generator.
pub(crate) const G: Affine = Affine {
    x: constant([0x715a_4589_334c_74c7, 0x8fe3_0bbf_f266_0be1, 0x5f99_0446_6a39_c994, 0x32c4_ae2c_1f19_8119]),
    y: constant([0x02df_32e5_2139_f0a0, 0xd0a9_877c_c62a_4740, 0x59bd_cee3_6b69_2153, 0xbc37_36a2_f4f6_779c]),
};

/// A point other than infinity.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Affine {
    pub(crate) x: Fp,
    pub(crate) y: Fp,
}

impl Affine {
    /// From x ‖ y, big-endian. `None` when a coordinate is not below p or the point is not on the curve.
    pub(crate) fn from_xy(xy: &[u8; 64]) -> Option<Self> {
        let (x, y) = xy.split_at(32);
        let x = Fp::new(from_be_bytes(x.try_into().ok()?))?;
        let y = Fp::new(from_be_bytes(y.try_into().ok()?))?;
        let three_x = x.double().add(&x);
        let right = x.square().mul(&x).sub(&three_x).add(&B);
        y.square().equals(&right).then_some(Self { x, y })
    }

    #[inline(always)]
    pub(crate) const fn negate(&self) -> Self {
        Self { x: self.x, y: self.y.negate() }
    }

    pub(crate) const fn to_jacobian(self) -> Jacobian {
        Jacobian { x: self.x, y: self.y, z: Fp::ONE }
    }
}

/// A point; infinity has z = 0.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Jacobian {
    pub(crate) x: Fp,
    pub(crate) y: Fp,
    pub(crate) z: Fp,
}

impl Jacobian {
    pub(crate) const INFINITY: Self = Self { x: Fp::ONE, y: Fp::ONE, z: Fp::ZERO };

    #[inline(always)]
    pub(crate) const fn is_infinity(&self) -> bool {
        self.z.is_zero()
    }

    #[inline(always)]
    pub(crate) const fn negate(&self) -> Self {
        Self { x: self.x, y: self.y.negate(), z: self.z }
    }

    /// 2·self. Infinity stays infinity (z = 0); no point has order two.
    #[inline]
    pub(crate) const fn double(&self) -> Self {
        let zz = self.z.square();
        let yy = self.y.square();
        let xyy = self.x.mul(&yy);
        let slope = self.x.sub(&zz).mul(&self.x.add(&zz));
        let slope = slope.double().add(&slope);
        let xyy4 = xyy.double().double();
        let x = slope.square().sub(&xyy4.double());
        let z = self.y.mul(&self.z).double();
        let yyyy8 = yy.double().square().double();
        let y = slope.mul(&xyy4.sub(&x)).sub(&yyyy8);
        Self { x, y, z }
    }

    /// self + other, every case included.
    #[inline]
    pub(crate) const fn add_affine(&self, other: &Affine) -> Self {
        if self.is_infinity() {
            return other.to_jacobian();
        }
        let zz = self.z.square();
        let h = other.x.mul(&zz).sub(&self.x);
        let r = other.y.mul(&self.z.mul(&zz)).sub(&self.y);
        if h.is_zero() {
            return if r.is_zero() { self.double() } else { Self::INFINITY };
        }
        Self::chord(&self.x, &self.y, &h, &r, self.z.mul(&h))
    }

    /// self + other, every case included.
    #[inline]
    pub(crate) const fn add(&self, other: &Self) -> Self {
        if self.is_infinity() {
            return *other;
        }
        if other.is_infinity() {
            return *self;
        }
        let (zz1, zz2) = (self.z.square(), other.z.square());
        let (x1, y1) = (self.x.mul(&zz2), self.y.mul(&other.z.mul(&zz2)));
        let h = other.x.mul(&zz1).sub(&x1);
        let r = other.y.mul(&self.z.mul(&zz1)).sub(&y1);
        if h.is_zero() {
            return if r.is_zero() { self.double() } else { Self::INFINITY };
        }
        Self::chord(&x1, &y1, &h, &r, self.z.mul(&other.z).mul(&h))
    }

    /// The sum of two points on a common denominator: the first is (x1, y1), h and r are the differences to the second.
    #[inline(always)]
    const fn chord(x1: &Fp, y1: &Fp, h: &Fp, r: &Fp, z: Fp) -> Self {
        let hh = h.square();
        let hhh = hh.mul(h);
        let v = x1.mul(&hh);
        let x = r.square().sub(&hhh).sub(&v.double());
        let y = r.mul(&v.sub(&x)).sub(&y1.mul(&hhh));
        Self { x, y, z }
    }
}

/// 1·P, 3·P, 5·P … as many as asked for.
pub(crate) const fn odd_multiples<const COUNT: usize>(point: &Affine) -> [Jacobian; COUNT] {
    let mut out = [point.to_jacobian(); COUNT];
    let twice = out[0].double();
    let mut i = 1;
    while i < COUNT {
        out[i] = out[i - 1].add(&twice);
        i += 1;
    }
    out
}

/// Writes the points in affine form to `out`, with one inversion for all. None of them may be infinity; `products` is room to work in.
/// All three have the same length.
pub(crate) const fn to_affine(points: &[Jacobian], products: &mut [Fp], out: &mut [Affine]) {
    let mut product = Fp::ONE;
    let mut i = 0;
    while i < points.len() {
        products[i] = product;
        product = product.mul(&points[i].z);
        i += 1;
    }
    let mut inverse = product.invert();
    while i > 0 {
        i -= 1;
        let z = inverse.mul(&products[i]);
        inverse = inverse.mul(&points[i].z);
        let zz = z.square();
        out[i] = Affine { x: points[i].x.mul(&zz), y: points[i].y.mul(&zz.mul(&z)) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same(a: &Jacobian, b: &Jacobian) -> bool {
        match (a.is_infinity(), b.is_infinity()) {
            (false, false) => {
                let (za, zb) = (a.z.square(), b.z.square());
                a.x.mul(&zb).equals(&b.x.mul(&za)) && a.y.mul(&zb.mul(&b.z)).equals(&b.y.mul(&za.mul(&a.z)))
            }
            (a, b) => a == b,
        }
    }

    /// The same point with another denominator.
    fn disguised(a: &Jacobian, z: &Fp) -> Jacobian {
        let zz = z.square();
        Jacobian { x: a.x.mul(&zz), y: a.y.mul(&zz.mul(z)), z: a.z.mul(z) }
    }

    #[test]
    fn every_case_of_addition() {
        let g = G.to_jacobian();
        let two = g.double();
        let three = two.add(&g);
        let z = constant([7, 0, 0, 9]);
        assert!(!same(&two, &g) && !same(&three, &two) && !three.is_infinity());
        for g in [g, disguised(&g, &z)] {
            assert!(same(&g.add(&G.to_jacobian()), &two), "equal points");
            assert!(same(&g.add_affine(&G), &two), "equal points");
            assert!(g.add(&G.to_jacobian().negate()).is_infinity(), "opposite points");
            assert!(g.add_affine(&G.negate()).is_infinity(), "opposite points");
            assert!(same(&g.add(&Jacobian::INFINITY), &g));
            assert!(same(&Jacobian::INFINITY.add(&g), &g));
            assert!(same(&g.add(&two), &three));
            assert!(same(&two.add_affine(&G), &three));
            assert!(same(&three.add_affine(&G.negate()), &two));
        }
        assert!(same(&Jacobian::INFINITY.add_affine(&G), &g));
        assert!(Jacobian::INFINITY.add(&Jacobian::INFINITY).is_infinity());
        assert!(Jacobian::INFINITY.double().is_infinity());
        // Infinity that came of a sum goes on as any other.
        let infinity = g.add_affine(&G.negate());
        assert!(same(&infinity.double().add_affine(&G), &g) && same(&infinity.add(&two), &two));
    }

    #[test]
    fn odd_multiples_are_odd_multiples() {
        let table: [Jacobian; 5] = odd_multiples(&G);
        let mut sum = G.to_jacobian();
        for multiple in table {
            assert!(same(&multiple, &sum));
            sum = sum.add_affine(&G).add_affine(&G);
        }
        let (mut products, mut out) = ([Fp::ONE; 5], [G; 5]);
        to_affine(&table, &mut products, &mut out);
        assert!(table.iter().zip(out).all(|(a, b)| same(a, &b.to_jacobian())));
    }
}
