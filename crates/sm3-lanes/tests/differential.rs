//! Every digest against the crate `sm3`.
#![allow(clippy::unwrap_used)]

use sm3::Digest as _;
use sm3_lanes::{Sm3, hash_many, sm3};

fn judge(bytes: &[u8]) -> [u8; 32] {
    ::sm3::Sm3::digest(bytes).into()
}

/// Numbers that look random and are the same in every run (SplitMix64).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % bound as u64) as usize
    }

    fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.below(256) as u8).collect()
    }
}

/// GB/T 32905-2016 Annex A.1 and A.2.
#[test]
fn standard_examples() {
    let hex = |digest: [u8; 32]| digest.map(|b| format!("{b:02x}")).concat();
    assert_eq!(hex(sm3(b"abc")), "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0");
    assert_eq!(hex(sm3(&b"abcd".repeat(16))), "debe9ff92275b8a138604889c18e5a4d6fdb70e5387e5765293dcba39c0c5732");
}

#[test]
fn every_length_gets_the_digest_of_sm3() {
    let bytes = Random(1).bytes(1000);
    for length in 0..=bytes.len() {
        assert_eq!(sm3(&bytes[..length]), judge(&bytes[..length]), "{length} bytes");
    }
}

#[test]
fn pieces_of_any_size_give_the_digest_of_the_whole() {
    let mut random = Random(2);
    for _ in 0..500 {
        let length = random.below(1000);
        let bytes = random.bytes(length);
        let mut digest = Sm3::new();
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            let size = [1, 63, 64, 65, 128, 200][random.below(6)].min(rest.len());
            let (now, later) = rest.split_at(random.below(size + 1));
            digest.update(now);
            rest = later;
        }
        assert_eq!(digest.clone().finish(), judge(&bytes));
        assert_eq!(digest.finish(), judge(&bytes), "a clone goes its own way");
    }
}

#[test]
fn many_inputs_of_every_length_get_their_own_digests_in_order() {
    let bytes = Random(3).bytes(600);
    for count in 0..=40 {
        let inputs: Vec<_> = (0..count).map(|i| &bytes[i..i + (i * 37) % 300]).collect();
        assert_eq!(hash_many(&inputs), inputs.iter().map(|input| judge(input)).collect::<Vec<_>>(), "{count} inputs");
    }
    let inputs: Vec<_> = (0..300).map(|length| &bytes[..length]).collect();
    assert_eq!(hash_many(&inputs), inputs.iter().map(|input| judge(input)).collect::<Vec<_>>());
}

#[test]
fn random_batches_get_the_digests_of_sm3() {
    let mut random = Random(4);
    let bytes = random.bytes(100_000);
    for _ in 0..200 {
        // Short ones, and now and then one that outlasts the rest.
        let inputs: Vec<_> = (0..random.below(30))
            .map(|_| {
                let longest = [64, 300, 5000, 60_000][random.below(4)];
                let start = random.below(1000);
                &bytes[start..start + random.below(longest)]
            })
            .collect();
        assert_eq!(hash_many(&inputs), inputs.iter().map(|input| judge(input)).collect::<Vec<_>>());
    }
}
