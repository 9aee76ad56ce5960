//! What was found out under one document never changes the report about another. Every file that any test of this suite judges goes
//! through [`Verifier`], so all mutations of all parts meet the same memory, in the order and from the threads that chance gives.

use std::io::{Cursor, Read, Seek};
use std::sync::LazyLock;

use sealagent::pki::{Known, TrustStore};
use sealagent::verify::report::{Code, Indication, Report};
use sealagent::verify::{Context, Verifier as Real};

use crate::findings::revoked;
use crate::forge::at;
use crate::forge::recipe::Recipe;

/// [`sealagent::verify::Verifier`], twice: alone, and with what all earlier files of this process brought to light.
pub struct Verifier;

impl Verifier {
    pub fn verify<R: Read + Seek>(mut input: R, context: &Context<'_>) -> Report {
        static KNOWN: LazyLock<Known> = LazyLock::new(Known::new);
        let alone = Real::verify(&mut input, context);
        input.rewind().unwrap();
        let together = Real::verify(&mut input, &Context { known: Some(&KNOWN), ..*context });
        assert_eq!(format!("{alone:?}"), format!("{together:?}"));
        together
    }
}

/// A good document, and what else it takes to judge it otherwise.
struct Bench {
    recipe: Recipe,
    package: Vec<u8>,
}

impl Bench {
    fn of(change: impl FnOnce(&mut Recipe)) -> Self {
        let recipe = Recipe::with(change);
        Self { package: recipe.package(&recipe.world()), recipe }
    }

    fn judge(&self, trust: &TrustStore, now: &str, known: &Known) -> Report {
        Real::verify(Cursor::new(&self.package), &Context { known: Some(known), ..Context::new(trust, at(now)) })
    }

    fn trust(&self) -> TrustStore {
        self.recipe.trust_store(&self.recipe.world())
    }
}

fn codes(report: &Report) -> Vec<Code> {
    report.signatures.iter().flat_map(|s| &s.findings).map(|f| f.code).collect()
}

#[test]
fn whom_one_store_trusts_the_next_does_not() {
    let bench = Bench::of(|_| {});
    let (trusted, nobody, now, known) = (bench.trust(), TrustStore::empty(), bench.recipe.now, Known::new());
    for _ in 0..3 {
        assert_eq!(bench.judge(&trusted, now, &known).indication, Indication::TotalPassed);
        let stranger = bench.judge(&nobody, now, &known);
        assert_eq!(stranger.indication, Indication::Indeterminate);
        assert!(codes(&stranger).contains(&Code::SignerCertChain) && codes(&stranger).contains(&Code::SealMakerCertChain));
    }
}

#[test]
fn what_was_good_before_a_revocation_is_judged_again_after_it() {
    let good = Bench::of(|_| {});
    let bad = Bench::of(|r| r.ca_list = revoked(12, "2026-05-01T00:00:00Z"));
    assert_eq!(good.package, bad.package, "the same document under another list");
    let known = Known::new();
    for _ in 0..3 {
        assert_eq!(good.judge(&good.trust(), good.recipe.now, &known).indication, Indication::TotalPassed);
        let report = bad.judge(&bad.trust(), bad.recipe.now, &known);
        assert_eq!(report.indication, Indication::TotalFailed, "{:?}", codes(&report));
        assert!(codes(&report).contains(&Code::SignerCertRevoked));
    }
}

#[test]
fn a_seal_with_a_changed_byte_is_not_the_seal_that_was_good() {
    let recipe = Recipe::with(|_| {});
    let (world, known) = (recipe.world(), Known::new());
    let (seal, trust) = (recipe.seal(&world), recipe.trust_store(&world));
    let judge = |bytes: &[u8]| Real::verify(Cursor::new(bytes), &Context { known: Some(&known), ..recipe.context(&trust) });
    let alone = |bytes: &[u8]| format!("{:?}", Real::verify(Cursor::new(bytes), &recipe.context(&trust)));
    let good = judge(seal.raw());
    assert_eq!(good.indication, Indication::TotalPassed);
    for place in 0..seal.raw().len() {
        let mut changed = seal.raw().to_vec();
        changed[place] ^= 1;
        // Twice: the second time its own answer is known.
        for _ in 0..2 {
            let report = judge(&changed);
            assert_ne!(report.indication, Indication::TotalPassed, "byte {place}");
            assert_eq!(format!("{report:?}"), alone(&changed), "byte {place}");
        }
        assert_eq!(format!("{good:?}"), format!("{:?}", judge(seal.raw())), "after byte {place}");
    }
}
