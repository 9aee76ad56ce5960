//! The compression function (GB/T 32905 clause 5.3.3) on one stream, in general registers.

/// Bytes of a block.
pub(crate) const BLOCK: usize = 64;

/// IV (clause 4.1).
pub(crate) const INITIAL: [u32; 8] =
    [0x7380_166f, 0x4914_b2b9, 0x1724_42d7, 0xda8a_0600, 0xa96f_30bc, 0x1631_38aa, 0xe38d_ee4d, 0xb0fb_0e4e];

/// `T_j <<< (j mod 32)` (clause 4.2).
pub(crate) const T: [u32; 64] = {
    let mut out = [0; 64];
    let mut j = 0;
    while j < 64 {
        let t: u32 = if j < 16 { 0x79cc_4519 } else { 0x7a87_9d8a };
        out[j] = t.rotate_left(j as u32 % 32);
        j += 1;
    }
    out
};

/// Big-endian bytes of the state.
pub(crate) fn to_bytes(state: &[u32; 8]) -> [u8; 32] {
    let mut out = [0; 32];
    for (bytes, word) in out.as_chunks_mut().0.iter_mut().zip(state) {
        *bytes = word.to_be_bytes();
    }
    out
}

/// Takes the blocks into the state, with the instructions that this processor has.
pub(crate) fn compress(state: &mut [u32; 8], blocks: &[[u8; BLOCK]]) {
    #[cfg(target_arch = "x86_64")]
    if let Some(bmi) = crate::x86::Bmi::detect() {
        return bmi.compress(state, blocks);
    }
    compress_portable(state, blocks);
}

/// One round. The names move instead of the values: after it `d` holds the new A and `h` the new E.
macro_rules! round {
    ($first:literal, $a:ident, $b:ident, $c:ident, $d:ident, $e:ident, $f:ident, $g:ident, $h:ident, $j:expr, $w:expr, $w4:expr) => {
        let a12 = $a.rotate_left(12);
        let ss1 = $e.wrapping_add(T[$j]).wrapping_add(a12).rotate_left(7);
        // The halves of FF and GG have no bit in common, so that they can be added one by one.
        if $first {
            $d = $d.wrapping_add($a ^ $b ^ $c);
            $h = $h.wrapping_add($e ^ $f ^ $g);
        } else {
            $d = $d.wrapping_add($a & $b).wrapping_add(($a ^ $b) & $c);
            $h = $h.wrapping_add($e & $f).wrapping_add(!$e & $g);
        }
        $d = $d.wrapping_add($w ^ $w4).wrapping_add(ss1 ^ a12);
        $h = $h.wrapping_add($w).wrapping_add(ss1);
        $h = $h ^ $h.rotate_left(9) ^ $h.rotate_left(17);
        $b = $b.rotate_left(9);
        $f = $f.rotate_left(19);
    };
}

/// Four rounds, after which every value has its name again; each asks for the word four ahead, which is made when it is new.
macro_rules! four_rounds {
    ($first:literal, $v:ident, $w:ident, $j:expr) => {
        let [mut a, mut b, mut c, mut d, mut e, mut f, mut g, mut h] = $v;
        round!($first, a, b, c, d, e, f, g, h, $j, $w[$j % 16], word(&mut $w, $j + 4));
        round!($first, d, a, b, c, h, e, f, g, $j + 1, $w[($j + 1) % 16], word(&mut $w, $j + 5));
        round!($first, c, d, a, b, g, h, e, f, $j + 2, $w[($j + 2) % 16], word(&mut $w, $j + 6));
        round!($first, b, c, d, a, f, g, h, e, $j + 3, $w[($j + 3) % 16], word(&mut $w, $j + 7));
        $v = [a, b, c, d, e, f, g, h];
    };
}

/// W_j, of which the last sixteen are kept (clause 5.3.2).
#[inline(always)]
fn word(w: &mut [u32; 16], j: usize) -> u32 {
    if j >= 16 {
        let x = w[j % 16] ^ w[(j + 7) % 16] ^ w[(j + 13) % 16].rotate_left(15);
        w[j % 16] = x ^ x.rotate_left(15) ^ x.rotate_left(23) ^ w[(j + 3) % 16].rotate_left(7) ^ w[(j + 10) % 16];
    }
    w[j % 16]
}

#[inline(always)]
pub(crate) fn compress_portable(state: &mut [u32; 8], blocks: &[[u8; BLOCK]]) {
    for block in blocks {
        let mut w = [0; 16];
        for (word, bytes) in w.iter_mut().zip(block.as_chunks().0) {
            *word = u32::from_be_bytes(*bytes);
        }
        let mut v = *state;
        four_rounds!(true, v, w, 0);
        four_rounds!(true, v, w, 4);
        four_rounds!(true, v, w, 8);
        four_rounds!(true, v, w, 12);
        four_rounds!(false, v, w, 16);
        four_rounds!(false, v, w, 20);
        four_rounds!(false, v, w, 24);
        four_rounds!(false, v, w, 28);
        four_rounds!(false, v, w, 32);
        four_rounds!(false, v, w, 36);
        four_rounds!(false, v, w, 40);
        four_rounds!(false, v, w, 44);
        four_rounds!(false, v, w, 48);
        four_rounds!(false, v, w, 52);
        four_rounds!(false, v, w, 56);
        four_rounds!(false, v, w, 60);
        state.iter_mut().zip(v).for_each(|(state, v)| *state ^= v);
    }
}
