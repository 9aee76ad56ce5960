//! The fuzz bodies on a stable toolchain: random bytes, and seeds of our own making with random changes.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]
use std::fs;

use proptest::prelude::*;
use sealagent_fuzz::BODIES;

/// Files that earlier runs found worth keeping, each named for its body: `seeds/BODY/...`.
fn seeds(body: &str) -> Vec<Vec<u8>> {
    let folder = format!("{}/seeds/{body}", env!("CARGO_MANIFEST_DIR"));
    let mut files: Vec<_> =
        fs::read_dir(&folder).unwrap_or_else(|e| panic!("{folder}: {e}")).map(|e| e.unwrap().path()).collect();
    files.sort();
    files.into_iter().map(|path| fs::read(path).unwrap()).collect()
}

#[test]
fn every_body_has_a_program_and_seeds() {
    for (name, _) in BODIES {
        assert!(fs::exists(format!("{}/fuzz_targets/{name}.rs", env!("CARGO_MANIFEST_DIR"))).unwrap(), "{name}");
        assert!(!seeds(name).is_empty(), "{name}");
    }
}

#[test]
fn every_seed_ends_without_a_panic() {
    for (name, body) in BODIES {
        for seed in seeds(name) {
            body(&seed);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn random_bytes_end_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        for (_, body) in BODIES {
            body(&bytes);
        }
    }

    #[test]
    fn changed_seeds_end_without_a_panic(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8), cut in any::<prop::sample::Index>(), which in any::<prop::sample::Index>()) {
        for (name, body) in BODIES {
            let seeds = seeds(name);
            let mut bytes = which.get(&seeds).clone();
            for (place, value) in &changes {
                if !bytes.is_empty() {
                    let at = place.index(bytes.len());
                    bytes[at] = *value;
                }
            }
            body(&bytes);
            bytes.truncate(cut.index(bytes.len() + 1));
            body(&bytes);
        }
    }
}
