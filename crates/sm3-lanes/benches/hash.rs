//! One thread: bytes a second, beside the crates `sm3` and `libsm`. `cargo bench -p sm3-lanes`.
#![allow(missing_docs)]

use divan::Bencher;
use divan::counter::BytesCount;
use sm3::Digest as _;

fn main() {
    divan::main();
}

const MIB: usize = 1 << 20;

#[divan::bench]
fn one_stream(bencher: Bencher) {
    let bytes = vec![7; MIB];
    bencher.counter(BytesCount::new(MIB)).bench_local(|| sm3_lanes::sm3(&bytes));
}

#[divan::bench]
fn one_stream_crate_sm3(bencher: Bencher) {
    let bytes = vec![7; MIB];
    bencher.counter(BytesCount::new(MIB)).bench_local(|| sm3::Sm3::digest(&bytes));
}

/// 64 inputs of 16 KiB.
#[divan::bench]
fn many_equal(bencher: Bencher) {
    let bytes = vec![7; MIB];
    let inputs: Vec<_> = bytes.chunks(MIB / 64).collect();
    bencher.counter(BytesCount::new(MIB)).bench_local(|| sm3_lanes::hash_many(&inputs));
}

/// Inputs of 1 byte to 32 KiB, as in an OFD package.
#[divan::bench]
fn many_unequal(bencher: Bencher) {
    let bytes = vec![7; MIB];
    let inputs: Vec<_> = (0..64).map(|i| &bytes[..1 + i * i * 8]).collect();
    let total = inputs.iter().map(|input| input.len()).sum::<usize>();
    bencher.counter(BytesCount::new(total)).bench_local(|| sm3_lanes::hash_many(&inputs));
}

#[divan::bench]
fn many_unequal_crate_sm3(bencher: Bencher) {
    let bytes = vec![7; MIB];
    let inputs: Vec<_> = (0..64).map(|i| &bytes[..1 + i * i * 8]).collect();
    let total = inputs.iter().map(|input| input.len()).sum::<usize>();
    bencher.counter(BytesCount::new(total)).bench_local(|| inputs.iter().map(sm3::Sm3::digest).collect::<Vec<_>>());
}

#[divan::bench]
fn one_stream_crate_libsm(bencher: Bencher) {
    let bytes = vec![7; MIB];
    bencher.counter(BytesCount::new(MIB)).bench_local(|| libsm::sm3::hash::Sm3Hash::new(&bytes).get_hash());
}
