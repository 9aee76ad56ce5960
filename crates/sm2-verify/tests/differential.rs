//! Every answer against the crate `sm2`, on every road this crate has. Also the tables of [`Tables`].
#![allow(clippy::unwrap_used)]

mod cases;

use cases::{Judge, Number, Random, keys};
use libtest_mimic::{Arguments, Trial};
use sm2::ProjectivePoint;
use sm2::dsa::signature::hazmat::PrehashVerifier as _;
use sm2::elliptic_curve::group::Group as _;
use sm2_verify::Tables;

struct CrateSm2;

fn key_of(xy: &[u8; 64]) -> Option<sm2::dsa::VerifyingKey> {
    let mut sec1 = [4; 65];
    sec1[1..].copy_from_slice(xy);
    sm2::dsa::VerifyingKey::from_sec1_bytes("", &sec1).ok()
}

impl Judge for CrateSm2 {
    fn takes_key(&mut self, xy: &[u8; 64]) -> bool {
        key_of(xy).is_some()
    }

    fn verdicts(&mut self, xy: &[u8; 64], cases: &[[Number; 3]]) -> Vec<bool> {
        let Some(key) = key_of(xy) else { return vec![false; cases.len()] };
        let one = |[e, r, s]: &[Number; 3]| {
            let signature = sm2::dsa::Signature::from_slice(&[*r, *s].concat());
            signature.is_ok_and(|signature| key.verify_prehash(e, &signature).is_ok())
        };
        cases.iter().map(one).collect()
    }
}

/// Those marked run with `--ignored`: `cargo test --release -p sm2-verify -- --ignored`, minutes.
fn main() {
    let arguments = Arguments::from_args();
    let trial = |name: String, run: fn(&mut dyn Judge)| {
        Trial::test(name, move || {
            run(&mut CrateSm2);
            Ok(())
        })
    };
    let mut trials = vec![
        trial("twenty_thousand_random_cases_get_the_answer_of_sm2".into(), |judge| cases::random_cases(judge, 20_000, 1)),
        trial("a_million_random_cases_get_the_answer_of_sm2".into(), |judge| cases::random_cases(judge, 1_000_000, 2))
            .with_ignored_flag(true),
        trial("very_many_sums_that_meet_get_the_answer_of_sm2".into(), cases::very_many_sums_that_meet).with_ignored_flag(true),
        trial("tables_are_made_for_keys_that_come_back_and_forgotten_in_order_of_use".into(), |_| order_of_use()),
    ];
    trials.extend(cases::EDGES.iter().map(|(name, run)| trial(format!("{name}_get_the_answer_of_sm2"), *run)));
    libtest_mimic::run(&arguments, trials).exit();
}

fn order_of_use() {
    let mut random = Random(10);
    let tables = Tables::new(2);
    let [a, b, c] = [1, 2, 3].map(|_| keys(&(ProjectivePoint::generator() * random.scalar())).0);
    // With the generator's table made, all keys wait the same.
    assert!(!keys(&ProjectivePoint::generator()).1.verify(&[1; 32], &[1; 32], &[1; 32]));
    let sightings = |key| (1..100).find(|_| tables.prepared(key).is_some()).unwrap();
    let first = sightings(&a);
    assert!(first > 1, "a key met once gets no table");
    assert!(tables.prepared(&a).is_some());
    assert_eq!(sightings(&b), first);
    assert!(tables.prepared(&a).is_some(), "a is now the more recently used");
    assert!(tables.prepared(&c).is_none(), "takes the place of b");
    assert!(tables.prepared(&a).is_some());
    assert_eq!(sightings(&b), first, "b was forgotten");
    assert!(Tables::new(0).prepared(&a).is_none());
}
