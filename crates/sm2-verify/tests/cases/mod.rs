//! What is asked of a judge and of every road this crate has: random cases, and every edge. The judges: the crate `sm2`
//! (differential.rs), OpenSSL's libcrypto (openssl.rs).
#![allow(dead_code, reason = "each test program runs some")]

use sm2::elliptic_curve::PrimeField as _;
use sm2::elliptic_curve::group::Group as _;
use sm2::elliptic_curve::ops::Reduce as _;
use sm2::elliptic_curve::point::{AffineCoordinates as _, DecompressPoint as _};
use sm2::elliptic_curve::sec1::ToSec1Point as _;
use sm2::{AffinePoint, FieldBytes, ProjectivePoint, Scalar};
use sm2_verify::{Item, PreparedItem, PreparedKey, PublicKey, Tables};

pub type Number = [u8; 32];

/// Another implementation.
pub trait Judge {
    /// Whether it takes `x ‖ y` for a public key.
    fn takes_key(&mut self, xy: &[u8; 64]) -> bool;
    /// Whether each (e, r, s) is a signature by that key.
    fn verdicts(&mut self, xy: &[u8; 64], cases: &[[Number; 3]]) -> Vec<bool>;
}

const P: Number = hex("fffffffeffffffffffffffffffffffffffffffff00000000ffffffffffffffff");
const N: Number = hex("fffffffeffffffffffffffffffffffff7203df6b21c6052b53bbf40939d54123");

const fn hex(text: &str) -> Number {
    const fn digit(c: u8) -> u8 {
        if c.is_ascii_digit() { c - b'0' } else { c - b'a' + 10 }
    }
    let (text, mut out, mut i) = (text.as_bytes(), [0; 32], 0);
    while i < 32 {
        out[i] = digit(text[2 * i]) << 4 | digit(text[2 * i + 1]);
        i += 1;
    }
    out
}

/// a + b; `None` from 2^256 on.
fn plus(a: &Number, b: &Number) -> Option<Number> {
    let (mut out, mut carry) = ([0; 32], 0);
    for i in (0..32).rev() {
        let sum = u16::from(a[i]) + u16::from(b[i]) + carry;
        out[i] = sum as u8;
        carry = sum >> 8;
    }
    (carry == 0).then_some(out)
}

fn small(value: u64) -> Number {
    let mut out = [0; 32];
    out[24..].copy_from_slice(&value.to_be_bytes());
    out
}

fn scalar(number: &Number) -> Scalar {
    Scalar::reduce(&FieldBytes::from(*number))
}

fn number(scalar: &Scalar) -> Number {
    scalar.to_repr().into()
}

fn x_of(point: &ProjectivePoint) -> Number {
    point.to_affine().x().into()
}

fn xy_of(point: &ProjectivePoint) -> [u8; 64] {
    point.to_affine().to_sec1_point(false).as_bytes()[1..].try_into().unwrap()
}

/// Numbers that look random and are the same in every run (SplitMix64).
pub struct Random(pub u64);

impl Random {
    fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.word() % bound as u64) as usize
    }

    fn number(&mut self) -> Number {
        let mut out = [0; 32];
        out.chunks_exact_mut(8).for_each(|chunk| chunk.copy_from_slice(&self.word().to_be_bytes()));
        out
    }

    pub fn scalar(&mut self) -> Scalar {
        scalar(&self.number())
    }
}

/// The answers to signatures (e, r, s) by one key: the same on every road and by the judge.
fn verdicts(judge: &mut dyn Judge, key: &PreparedKey, public: &PublicKey, cases: &[[Number; 3]]) -> Vec<bool> {
    let expected = judge.verdicts(public.as_xy(), cases);
    for ([e, r, s], expected) in cases.iter().zip(&expected) {
        let case = || format!("xy {:02x?} e {e:02x?} r {r:02x?} s {s:02x?}", public.as_xy());
        assert_eq!(sm2_verify::verify(public, e, r, s), *expected, "verify: {}", case());
        assert_eq!(key.verify(e, r, s), *expected, "PreparedKey: {}", case());
    }
    let items: Vec<_> = cases.iter().map(|[e, r, s]| Item { key: public, e, r, s }).collect();
    assert_eq!(sm2_verify::verify_many(&items), expected, "verify_many: {:02x?} {cases:02x?}", public.as_xy());
    let items: Vec<_> = cases.iter().map(|[e, r, s]| PreparedItem { key, e, r, s }).collect();
    assert_eq!(sm2_verify::verify_many_prepared(&items), expected, "verify_many_prepared: {:02x?} {cases:02x?}", public.as_xy());
    expected
}

/// Whether `x ‖ y` is a key, to both.
fn takes_key(judge: &mut dyn Judge, xy: &[u8; 64]) -> bool {
    let taken = PublicKey::from_xy(xy).is_some();
    assert_eq!(judge.takes_key(xy), taken, "the judge on {xy:02x?}");
    taken
}

fn verdict(judge: &mut dyn Judge, key: &PreparedKey, public: &PublicKey, e: &Number, r: &Number, s: &Number) -> bool {
    verdicts(judge, key, public, &[[*e, *r, *s]])[0]
}

pub fn keys(point: &ProjectivePoint) -> (PublicKey, PreparedKey) {
    let public = PublicKey::from_xy(&xy_of(point)).unwrap();
    (public, PreparedKey::new(&public))
}

/// e, r, s such that verification computes exactly s·G + t·Q, and is right unless that is infinity (then e = r: an x of zero would do).
fn signature_of(q: &ProjectivePoint, s: &Scalar, t: &Scalar) -> ([Number; 3], bool) {
    let sum = ProjectivePoint::generator() * s + q * t;
    let r = t - s;
    let infinity = bool::from(sum.is_identity());
    let x = if infinity { Scalar::ZERO } else { scalar(&x_of(&sum)) };
    let good = !infinity && r != Scalar::ZERO && *s != Scalar::ZERO && *t != Scalar::ZERO;
    ([number(&(r - x)), number(&r), number(s)], good)
}

pub fn random_cases(judge: &mut dyn Judge, cases: usize, seed: u64) {
    let mut random = Random(seed);
    let mut accepted = 0;
    let mut made = 0;
    while made < cases {
        let secret = random.scalar();
        let q = ProjectivePoint::generator() * secret;
        let (public, prepared) = keys(&q);
        let mut cases = Vec::new();
        for _ in 0..50 {
            let ([mut e, mut r, mut s], good) = signature_of(&q, &random.scalar(), &random.scalar());
            assert!(good);
            match random.below(4) {
                0 => {
                    let bit = random.below(768);
                    let field = [&mut e, &mut r, &mut s].into_iter().nth(bit / 256).unwrap();
                    field[bit % 256 / 8] ^= 1 << (bit % 8);
                }
                1 if random.below(4) == 0 => (e, r, s) = (random.number(), random.number(), random.number()),
                _ => {}
            }
            cases.push([e, r, s]);
        }
        made += cases.len();
        accepted += verdicts(judge, &prepared, &public, &cases).into_iter().filter(|right| *right).count();
    }
    assert!(accepted * 10 > made * 6 && accepted * 10 < made * 8, "{accepted} of {made} were right");
}

fn power_of_two(exponent: u32) -> Scalar {
    (0..exponent).fold(Scalar::ONE, |power, _| power + power)
}

/// Scalars at which digits, windows and carries turn over.
fn edge_scalars(bits: &[u32]) -> Vec<Scalar> {
    let mut out: Vec<_> = [1u64, 2, 3, 5, 7, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 129].map(Scalar::from).into();
    for bit in bits {
        let power = power_of_two(*bit);
        out.extend([power, power + Scalar::ONE, power - Scalar::ONE, power + power + power]);
    }
    let negative: Vec<_> = out.iter().map(|s| -s).collect();
    out.extend(negative);
    out
}

/// Q = k·G, so that the sums of multiples of G and of Q meet: equal points, opposite points, infinity on the way and at the end.
fn meeting_points(judge: &mut dyn Judge, ks: &[Scalar], scalars: &[Scalar]) {
    let (mut right, mut infinite) = (0, 0);
    for k in ks {
        let q = ProjectivePoint::generator() * k;
        let (public, prepared) = keys(&q);
        for s in scalars {
            let (cases, good): (Vec<_>, Vec<_>) = scalars.iter().map(|t| signature_of(&q, s, t)).unzip();
            assert_eq!(verdicts(judge, &prepared, &public, &cases), good);
            right += good.iter().filter(|good| **good).count();
            // t = −s/k: infinity at the end.
            let t = -s * k.invert().unwrap();
            let ([e, r, s], good) = signature_of(&q, s, &t);
            assert!(!good);
            assert!(!verdict(judge, &prepared, &public, &e, &r, &s));
            infinite += 1;
        }
    }
    assert!(right > infinite && infinite > 0);
}

/// A name and what to run.
pub type Case = (&'static str, fn(&mut dyn Judge));

/// All edges.
pub const EDGES: &[Case] = &[
    ("sums_that_meet", sums_that_meet),
    ("sums_that_turn_infinite_half_way", sums_that_turn_infinite_half_way),
    ("scalars_out_of_range", scalars_out_of_range),
    ("r_and_s_that_are_n_more", r_and_s_that_are_n_more),
    ("digest_that_is_n_or_more", digest_that_is_n_or_more),
    ("x_between_n_and_p", x_between_n_and_p),
    ("coordinates_out_of_range", coordinates_out_of_range),
    ("points_off_the_curve", points_off_the_curve),
    ("many_signatures_of_several_keys", many_signatures_of_several_keys),
    ("keys_with_tables", keys_with_tables),
    ("standard_example", standard_example),
];

fn sums_that_meet(judge: &mut dyn Judge) {
    let ks = [Scalar::ONE, -Scalar::ONE, Scalar::from(3u64)];
    meeting_points(judge, &ks, &edge_scalars(&[35]));
}

pub fn very_many_sums_that_meet(judge: &mut dyn Judge) {
    let ks: Vec<_> =
        [1u64, 2, 3, 5, 7, 15, 16, 31, 32, 64, 127, 128, 1 << 35].into_iter().map(Scalar::from).flat_map(|k| [k, -k]).collect();
    meeting_points(judge, &ks, &edge_scalars(&[8, 35, 70, 128, 192, 254, 255]));
}

fn sums_that_turn_infinite_half_way(judge: &mut dyn Judge) {
    // Q = −G. From the top (joint run): s and t agree in their high bits. From the bottom (tables): s is t's low windows.
    let q = -ProjectivePoint::generator();
    let (public, prepared) = keys(&q);
    let mut random = Random(3);
    for bit in (1..250).step_by(3) {
        let low = Scalar::from(1 + random.word() % 1000);
        let high = Scalar::from(random.word()) * power_of_two(bit);
        for (s, t) in [(high + low, high), (high, high + low), (low, high + low), (low, low + low), (high, high + high)] {
            let ([e, r, s], good) = signature_of(&q, &s, &t);
            assert!(good);
            assert!(verdict(judge, &prepared, &public, &e, &r, &s));
        }
    }
}

fn scalars_out_of_range(judge: &mut dyn Judge) {
    let mut random = Random(4);
    let q = ProjectivePoint::generator() * random.scalar();
    let (public, prepared) = keys(&q);
    let ([e, r, s], _) = signature_of(&q, &random.scalar(), &random.scalar());
    assert!(verdict(judge, &prepared, &public, &e, &r, &s));
    let n_less_one = number(&-Scalar::ONE);
    let edges = [[0; 32], small(1), n_less_one, N, plus(&N, &small(1)).unwrap(), P, [0xff; 32]];
    for a in edges.iter().chain([&r, &s]) {
        for b in edges.iter().chain([&r, &s]) {
            let right = a == &r && b == &s;
            assert_eq!(verdict(judge, &prepared, &public, &e, a, b), right);
        }
    }
    // r + s = n, and r + s = n ± 1 which is in range.
    let minus_r = -scalar(&r);
    assert!(!verdict(judge, &prepared, &public, &e, &r, &number(&minus_r)));
    for t in [Scalar::ONE, -Scalar::ONE, Scalar::from(2u64)] {
        for s in [Scalar::from(7u64), -Scalar::from(7u64), random.scalar()] {
            let ([e, r, s], good) = signature_of(&q, &s, &t);
            assert!(good && verdict(judge, &prepared, &public, &e, &r, &s));
        }
    }
    // s at its least and greatest, with an r that fits.
    for s in [Scalar::ONE, -Scalar::ONE] {
        let ([e, r, s], good) = signature_of(&q, &s, &random.scalar());
        assert!(good && verdict(judge, &prepared, &public, &e, &r, &s));
    }
    // r at its least and greatest.
    for r in [Scalar::ONE, -Scalar::ONE] {
        let s = random.scalar();
        let ([e, r, s], good) = signature_of(&q, &s, &(r + s));
        assert!(good && verdict(judge, &prepared, &public, &e, &r, &s));
    }
}

fn r_and_s_that_are_n_more(judge: &mut dyn Judge) {
    // A small r and a small s: r + n and s + n still fit in 32 bytes and mean the same modulo n.
    let mut random = Random(5);
    let (s, t) = (Scalar::from(random.word()), random.scalar());
    let r = Scalar::from(random.word());
    for (s, t) in [(s, t), (t - r, t)] {
        let q = ProjectivePoint::generator() * random.scalar();
        let (public, prepared) = keys(&q);
        let ([e, r, s], good) = signature_of(&q, &s, &t);
        assert!(good && verdict(judge, &prepared, &public, &e, &r, &s));
        let more = [plus(&r, &N).map(|r| (r, s)), plus(&s, &N).map(|s| (r, s))];
        assert!(more.iter().any(Option::is_some));
        for (r, s) in more.into_iter().flatten() {
            assert!(!verdict(judge, &prepared, &public, &e, &r, &s));
        }
    }
}

fn digest_that_is_n_or_more(judge: &mut dyn Judge) {
    let mut random = Random(6);
    let q = ProjectivePoint::generator() * random.scalar();
    let (public, prepared) = keys(&q);
    for e in [N, plus(&N, &small(1)).unwrap(), P, [0xff; 32], [0; 32]] {
        // A key that makes exactly this e right: x = r − e must be the sum's, so choose the sum and solve for Q.
        let (sum, s, t) = (ProjectivePoint::generator() * random.scalar(), random.scalar(), random.scalar());
        let r = scalar(&e) + scalar(&x_of(&sum));
        let t = if t == Scalar::ZERO { Scalar::ONE } else { t };
        let s_fitting = t - r;
        let q = (sum - ProjectivePoint::generator() * s_fitting) * t.invert().unwrap();
        let (own_public, own_prepared) = keys(&q);
        assert!(verdict(judge, &own_prepared, &own_public, &e, &number(&r), &number(&s_fitting)));
        assert!(!verdict(judge, &prepared, &public, &e, &number(&r), &number(&s)));
    }
}

/// The points with the `count` least x from `start` on.
fn points_from(start: &Number, count: usize) -> Vec<ProjectivePoint> {
    let candidates = (0..).map(|i| plus(start, &small(i)).unwrap());
    let points = candidates.filter_map(|x| Option::<AffinePoint>::from(AffinePoint::decompress(&FieldBytes::from(x), 0.into())));
    points.take(count).map(ProjectivePoint::from).collect()
}

fn x_between_n_and_p(judge: &mut dyn Judge) {
    let mut random = Random(7);
    for sum in points_from(&N, 20) {
        let x = x_of(&sum);
        assert!(x >= N && x < P);
        let (e, t) = (random.number(), random.scalar());
        let r = scalar(&e) + scalar(&x);
        let s = t - r;
        let q = (sum - ProjectivePoint::generator() * s) * t.invert().unwrap();
        let (public, prepared) = keys(&q);
        assert!(verdict(judge, &prepared, &public, &e, &number(&r), &number(&s)));
        let off_by_one = number(&(scalar(&e) + Scalar::ONE));
        assert!(!verdict(judge, &prepared, &public, &off_by_one, &number(&r), &number(&s)));
    }
}

fn coordinates_out_of_range(judge: &mut dyn Judge) {
    // Points with a small x: x + p fits in 32 bytes and is the same class.
    for point in points_from(&[0; 32], 10) {
        for point in [point, -point] {
            let xy = xy_of(&point);
            assert!(takes_key(judge, &xy));
            let (x, y) = (xy[..32].try_into().unwrap(), xy[32..].try_into().unwrap());
            let more = plus(&x, &P).unwrap();
            assert!(!takes_key(judge, &[more, y].concat().try_into().unwrap()));
            if let Some(more) = plus(&y, &P) {
                assert!(!takes_key(judge, &[x, more].concat().try_into().unwrap()));
            }
        }
    }
    // The same for y: x³ − 3x + b − y² = 0 has a root x for about a third of all small y; x = 0 has a y, and p − y is its other.
    for xy in [[[0; 32], [0; 32]], [P, P], [[0xff; 32], [0xff; 32]], [N, N], [[0; 32], P], [small(1), small(1)]] {
        assert!(!takes_key(judge, &xy.concat().try_into().unwrap()));
    }
}

fn points_off_the_curve(judge: &mut dyn Judge) {
    let mut random = Random(8);
    for round in 0..2000 {
        let mut xy = xy_of(&(ProjectivePoint::generator() * random.scalar()));
        if round % 4 != 0 {
            xy[random.below(64)] ^= 1 << random.below(8);
        }
        assert_eq!(takes_key(judge, &xy), round % 4 == 0, "{xy:02x?}");
    }
}

fn many_signatures_of_several_keys(judge: &mut dyn Judge) {
    let mut random = Random(9);
    let pairs: Vec<_> = (0..5).map(|_| ProjectivePoint::generator() * random.scalar()).map(|q| (q, keys(&q))).collect();
    let mut cases = Vec::new();
    for i in 0..400 {
        let (q, _) = &pairs[i % 5];
        let ([mut e, r, mut s], _) = signature_of(q, &random.scalar(), &random.scalar());
        match random.below(5) {
            0 => e = random.number(),
            1 => s = [0; 32],
            _ => {}
        }
        cases.push((i % 5, e, r, s));
    }
    for count in [0, 1, 2, 63, 64, 65, 127, 128, 129, 400] {
        let cases = &cases[..count];
        let expected: Vec<_> =
            cases.iter().map(|(key, e, r, s)| judge.verdicts(pairs[*key].1.0.as_xy(), &[[*e, *r, *s]])[0]).collect();
        let items: Vec<_> = cases.iter().map(|(key, e, r, s)| Item { key: &pairs[*key].1.0, e, r, s }).collect();
        assert_eq!(sm2_verify::verify_many(&items), expected);
        let items: Vec<_> = cases.iter().map(|(key, e, r, s)| PreparedItem { key: &pairs[*key].1.1, e, r, s }).collect();
        assert_eq!(sm2_verify::verify_many_prepared(&items), expected);
        assert!(count < 63 || expected.contains(&true) && expected.contains(&false));
    }
}

fn keys_with_tables(judge: &mut dyn Judge) {
    let mut random = Random(11);
    for capacity in [0, 1, 3] {
        let tables = Tables::new(capacity);
        let points: Vec<_> = (0..4).map(|_| ProjectivePoint::generator() * random.scalar()).collect();
        for _ in 0..200 {
            let q = &points[random.below(points.len())];
            let public = PublicKey::from_xy(&xy_of(q)).unwrap();
            let ([mut e, r, s], _) = signature_of(q, &random.scalar(), &random.scalar());
            if random.below(2) == 0 {
                e[31] ^= 1;
            }
            assert_eq!(tables.verify(&public, &e, &r, &s), judge.verdicts(public.as_xy(), &[[e, r, s]])[0]);
        }
    }
}

/// GB/T 32918.5-2017 Annex A.2, with `e` under the default id; and the same under another Z.
fn standard_example(judge: &mut dyn Judge) {
    let x = hex("09f9df311e5421a150dd7d161e4bc5c672179fad1833fc076bb08ff356f35020");
    let y = hex("ccea490ce26775a52dc6ea718cc1aa600aed05fbf35e084a6632f6072da9ad13");
    let public = PublicKey::from_xy(&[x, y].concat().try_into().unwrap()).unwrap();
    let prepared = PreparedKey::new(&public);
    let e = hex("f0b43e94ba45accaace692ed534382eb17e6ab5a19ce7b31f4486fdfc0d28640");
    let r = hex("f5a03b0648d2c4630eeac513e1bb81a15944da3827d5b74143ac7eaceee720b3");
    let s = hex("b1b6aa29df212fd8763182bc0d421ca1bb9038fd1f7f42d4840b69c485bbc1aa");
    assert!(verdict(judge, &prepared, &public, &e, &r, &s));
    let digest = |z: &[u8]| -> Number {
        use sm3::Digest as _;
        sm3::Sm3::new().chain_update(z).chain_update(b"message digest").finalize().into()
    };
    let z = hex("b2e14c5c79c6df5b85f4fe7ed8db7a262b9da7e07ccb0ea9f4747b8ccda8a4f3");
    assert_eq!(digest(&z), e);
    let mut other = z;
    other[0] ^= 1;
    for z in [other.as_slice(), &[], &[0; 32]] {
        assert!(!verdict(judge, &prepared, &public, &digest(z), &r, &s));
    }
}
