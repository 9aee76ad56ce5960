//! One thread: how long a verification takes, beside the crate `sm2`. `cargo bench -p sm2-verify`.
#![allow(missing_docs, clippy::unwrap_used)]

use divan::Bencher;
use sm2::dsa::signature::hazmat::{PrehashSigner as _, PrehashVerifier as _};

fn main() {
    divan::main();
}

/// A key and signatures by it: xy, and (e, r, s) each.
fn signed(count: u8) -> ([u8; 64], Vec<[[u8; 32]; 3]>) {
    let secret = sm2::SecretKey::from_slice(&[0x42; 32]).unwrap();
    let xy = secret.public_key().to_sec1_bytes()[1..].try_into().unwrap();
    let signing = sm2::dsa::SigningKey::new("", &secret).unwrap();
    let items = (0..count).map(|i| {
        let e = [i.wrapping_mul(37); 32];
        let signature: sm2::dsa::Signature = signing.sign_prehash(&e).unwrap();
        let raw = signature.to_bytes();
        [e, raw[..32].try_into().unwrap(), raw[32..].try_into().unwrap()]
    });
    (xy, items.collect())
}

#[divan::bench]
fn any_key(bencher: Bencher) {
    let (xy, items) = signed(64);
    let mut next = items.iter().cycle();
    bencher.bench_local(|| {
        let [e, r, s] = next.next().unwrap();
        let key = sm2_verify::PublicKey::from_xy(&xy).unwrap();
        assert!(sm2_verify::verify(&key, e, r, s));
    });
}

#[divan::bench]
fn known_key(bencher: Bencher) {
    let (xy, items) = signed(64);
    let key = sm2_verify::PreparedKey::new(&sm2_verify::PublicKey::from_xy(&xy).unwrap());
    let mut next = items.iter().cycle();
    bencher.bench_local(|| {
        let [e, r, s] = next.next().unwrap();
        assert!(key.verify(e, r, s));
    });
}

#[divan::bench]
fn known_key_from_tables(bencher: Bencher) {
    let (xy, items) = signed(64);
    let tables = sm2_verify::Tables::new(32);
    let mut next = items.iter().cycle();
    bencher.bench_local(|| {
        let [e, r, s] = next.next().unwrap();
        let key = sm2_verify::PublicKey::from_xy(&xy).unwrap();
        assert!(tables.verify(&key, e, r, s));
    });
}

#[divan::bench]
fn table_of_a_key(bencher: Bencher) {
    let (xy, _) = signed(0);
    let key = sm2_verify::PublicKey::from_xy(&xy).unwrap();
    bencher.bench_local(|| sm2_verify::PreparedKey::new(&key));
}

/// 128 signatures each iteration.
#[divan::bench]
fn many_any_key_128(bencher: Bencher) {
    let (xy, items) = signed(128);
    let key = sm2_verify::PublicKey::from_xy(&xy).unwrap();
    let items: Vec<_> = items.iter().map(|[e, r, s]| sm2_verify::Item { key: &key, e, r, s }).collect();
    bencher.bench_local(|| assert!(sm2_verify::verify_many(&items).iter().all(|v| *v)));
}

/// 128 signatures each iteration.
#[divan::bench]
fn many_known_key_128(bencher: Bencher) {
    let (xy, items) = signed(128);
    let key = sm2_verify::PreparedKey::new(&sm2_verify::PublicKey::from_xy(&xy).unwrap());
    let items: Vec<_> = items.iter().map(|[e, r, s]| sm2_verify::PreparedItem { key: &key, e, r, s }).collect();
    bencher.bench_local(|| assert!(sm2_verify::verify_many_prepared(&items).iter().all(|v| *v)));
}

#[divan::bench]
fn crate_sm2(bencher: Bencher) {
    let (xy, items) = signed(64);
    let mut sec1 = [4; 65];
    sec1[1..].copy_from_slice(&xy);
    let mut next = items.iter().cycle();
    bencher.bench_local(|| {
        let [e, r, s] = next.next().unwrap();
        let key = sm2::dsa::VerifyingKey::from_sec1_bytes("", &sec1).unwrap();
        let signature = sm2::dsa::Signature::from_slice(&[r.as_slice(), s].concat()).unwrap();
        assert!(key.verify_prehash(e, &signature).is_ok());
    });
}
