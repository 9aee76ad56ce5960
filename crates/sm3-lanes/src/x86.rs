//! What needs instructions that not every x86-64 processor has. The only module with `unsafe` code; each type here exists only where its
//! instructions do, which is what makes the calls sound.
#![allow(unsafe_code)]

use std::arch::x86_64::*;

use crate::compress::{BLOCK, T, compress_portable};
use crate::many::States;

/// BMI1 and BMI2: rotations that keep their source (RORX), and-not.
#[derive(Clone, Copy)]
pub(crate) struct Bmi(());

impl Bmi {
    pub(crate) fn detect() -> Option<Self> {
        (is_x86_feature_detected!("bmi1") && is_x86_feature_detected!("bmi2")).then_some(Self(()))
    }

    pub(crate) fn compress(self, state: &mut [u32; 8], blocks: &[[u8; BLOCK]]) {
        #[target_feature(enable = "bmi1,bmi2")]
        fn compress(state: &mut [u32; 8], blocks: &[[u8; BLOCK]]) {
            compress_portable(state, blocks);
        }
        // SAFETY: `self` was made by `detect`, which found both features.
        unsafe { compress(state, blocks) }
    }
}

/// AVX2: eight lanes.
#[derive(Clone, Copy)]
pub(crate) struct Avx2(());

impl Avx2 {
    pub(crate) fn detect() -> Option<Self> {
        is_x86_feature_detected!("avx2").then_some(Self(()))
    }

    /// Takes `count` blocks of every lane into its state. No slice is shorter.
    pub(crate) fn compress(self, states: &mut States<8>, blocks: &[&[[u8; BLOCK]]; 8], count: usize) {
        // SAFETY: `self` was made by `detect`, which found AVX2.
        unsafe { compress_eight(states, blocks, count) }
    }
}

#[inline]
#[target_feature(enable = "avx2")]
fn load_words(words: &[u32; 8]) -> __m256i {
    // SAFETY: the reference promises 32 readable bytes; `loadu` asks for no alignment.
    unsafe { _mm256_loadu_si256(words.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx2")]
fn store_words(words: &mut [u32; 8], value: __m256i) {
    // SAFETY: the reference promises 32 writable bytes; `storeu` asks for no alignment.
    unsafe { _mm256_storeu_si256(words.as_mut_ptr().cast(), value) }
}

#[inline]
#[target_feature(enable = "avx2")]
fn load_bytes(bytes: &[u8; 32]) -> __m256i {
    // SAFETY: the reference promises 32 readable bytes; `loadu` asks for no alignment.
    unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) }
}

/// Eight lanes' next eight words, big-endian: from a row for each lane to a row for each word.
#[inline]
#[target_feature(enable = "avx2")]
fn transposed(rows: [&[u8; 32]; 8]) -> [__m256i; 8] {
    let big_endian = _mm256_broadcastsi128_si256(_mm_set_epi8(12, 13, 14, 15, 8, 9, 10, 11, 4, 5, 6, 7, 0, 1, 2, 3));
    let r = rows.map(|row| _mm256_shuffle_epi8(load_bytes(row), big_endian));
    let pair = |i: usize| [_mm256_unpacklo_epi32(r[i], r[i + 1]), _mm256_unpackhi_epi32(r[i], r[i + 1])];
    let [[a0, a1], [b0, b1], [c0, c1], [d0, d1]] = [pair(0), pair(2), pair(4), pair(6)];
    let four = [
        [_mm256_unpacklo_epi64(a0, b0), _mm256_unpacklo_epi64(c0, d0)],
        [_mm256_unpackhi_epi64(a0, b0), _mm256_unpackhi_epi64(c0, d0)],
        [_mm256_unpacklo_epi64(a1, b1), _mm256_unpacklo_epi64(c1, d1)],
        [_mm256_unpackhi_epi64(a1, b1), _mm256_unpackhi_epi64(c1, d1)],
    ];
    let low = four.map(|[x, y]| _mm256_permute2x128_si256::<0x20>(x, y));
    let high = four.map(|[x, y]| _mm256_permute2x128_si256::<0x31>(x, y));
    [low[0], low[1], low[2], low[3], high[0], high[1], high[2], high[3]]
}

macro_rules! rotate_left {
    ($x:expr, $n:literal) => {{
        let x = $x;
        _mm256_or_si256(_mm256_slli_epi32::<$n>(x), _mm256_srli_epi32::<{ 32 - $n }>(x))
    }};
}

macro_rules! xor {
    ($x:expr, $y:expr $(, $more:expr)*) => { xor!(@ _mm256_xor_si256($x, $y) $(, $more)*) };
    (@ $x:expr, $y:expr $(, $more:expr)*) => { xor!(@ _mm256_xor_si256($x, $y) $(, $more)*) };
    (@ $x:expr) => { $x };
}

macro_rules! add {
    ($x:expr, $y:expr $(, $more:expr)*) => { add!(@ _mm256_add_epi32($x, $y) $(, $more)*) };
    (@ $x:expr, $y:expr $(, $more:expr)*) => { add!(@ _mm256_add_epi32($x, $y) $(, $more)*) };
    (@ $x:expr) => { $x };
}

/// W_j for all lanes, as in `compress::word`.
#[inline]
#[target_feature(enable = "avx2")]
fn word(w: &mut [__m256i; 16], j: usize) -> __m256i {
    if j >= 16 {
        let x = xor!(w[j % 16], w[(j + 7) % 16], rotate_left!(w[(j + 13) % 16], 15));
        w[j % 16] = xor!(x, rotate_left!(x, 15), rotate_left!(x, 23), rotate_left!(w[(j + 3) % 16], 7), w[(j + 10) % 16]);
    }
    w[j % 16]
}

#[target_feature(enable = "avx2")]
fn compress_eight(states: &mut States<8>, blocks: &[&[[u8; BLOCK]]; 8], count: usize) {
    for block in 0..count {
        let halves = |half: usize| blocks.map(|lane| &lane[block].as_chunks::<32>().0[half]);
        let (first, second) = (transposed(halves(0)), transposed(halves(1)));
        let mut w = [first[0]; 16];
        w[..8].copy_from_slice(&first);
        w[8..].copy_from_slice(&second);
        let before = states.each_ref().map(|words| load_words(words));
        let [mut a, mut b, mut c, mut d, mut e, mut f, mut g, mut h] = before;
        macro_rules! round {
            ($first:expr, $a:ident, $b:ident, $c:ident, $d:ident, $e:ident, $f:ident, $g:ident, $h:ident, $j:expr) => {
                let j = $j;
                let now = w[j % 16];
                let ahead = word(&mut w, j + 4);
                let a12 = rotate_left!($a, 12);
                let ss1 = rotate_left!(add!($e, _mm256_set1_epi32(T[j] as i32), a12), 7);
                let (ff, gg) = if $first {
                    (xor!($a, $b, $c), xor!($e, $f, $g))
                } else {
                    let ff = _mm256_or_si256(_mm256_and_si256($a, $b), _mm256_and_si256(xor!($a, $b), $c));
                    (ff, xor!(_mm256_and_si256(xor!($f, $g), $e), $g))
                };
                $d = add!($d, ff, xor!(now, ahead), xor!(ss1, a12));
                $h = add!($h, gg, now, ss1);
                $h = xor!($h, rotate_left!($h, 9), rotate_left!($h, 17));
                $b = rotate_left!($b, 9);
                $f = rotate_left!($f, 19);
            };
        }
        macro_rules! four_rounds {
            ($first:expr, $j:expr) => {
                round!($first, a, b, c, d, e, f, g, h, $j);
                round!($first, d, a, b, c, h, e, f, g, $j + 1);
                round!($first, c, d, a, b, g, h, e, f, $j + 2);
                round!($first, b, c, d, a, f, g, h, e, $j + 3);
            };
        }
        macro_rules! sixteen_rounds {
            ($first:expr, $j:expr) => {
                four_rounds!($first, $j);
                four_rounds!($first, $j + 4);
                four_rounds!($first, $j + 8);
                four_rounds!($first, $j + 12);
            };
        }
        sixteen_rounds!(true, 0);
        sixteen_rounds!(false, 16);
        sixteen_rounds!(false, 32);
        sixteen_rounds!(false, 48);
        for ((words, before), after) in states.iter_mut().zip(before).zip([a, b, c, d, e, f, g, h]) {
            store_words(words, xor!(before, after));
        }
    }
}
