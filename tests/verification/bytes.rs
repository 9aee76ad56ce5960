//! Any byte of a good file changed: never a pass, never a panic, and a finding that names the part.

use std::io::Cursor;

use sealagent::verify::report::{Code, Indication, Report};

use crate::forge::recipe::{DESCRIPTION, LIST, Recipe, VALUE, Value, stamp};
use crate::forge::{unzip, zip};
use crate::known::Verifier;

/// How many bytes of one part are changed, spread over it evenly, the first and last included.
const SAMPLES: usize = 40;

fn places(length: usize) -> impl Iterator<Item = usize> {
    let count = length.min(SAMPLES);
    (0..count).map(move |i| if count == 1 { 0 } else { i * (length - 1) / (count - 1) })
}

struct Bench {
    recipe: Recipe,
    trust: sealagent::pki::TrustStore,
    package: Vec<u8>,
}

impl Bench {
    fn of(change: impl FnOnce(&mut Recipe)) -> Self {
        let recipe = Recipe::with(change);
        let world = recipe.world();
        Self { trust: recipe.trust_store(&world), package: recipe.package(&world), recipe }
    }

    fn judge(&self, package: &[u8]) -> Report {
        Verifier::verify(Cursor::new(package), &self.recipe.context(&self.trust))
    }
}

fn texts(report: &Report) -> String {
    let findings = report.signatures.iter().flat_map(|s| &s.findings).chain(&report.findings);
    findings.map(|f| format!("{} {} {}\n", f.code.name(), f.subject.as_deref().unwrap_or_default(), f.message)).collect()
}

#[test]
fn a_changed_byte_of_a_protected_file_fails_and_the_file_is_named() {
    let bench = Bench::of(|r| r.close = true);
    assert_eq!(bench.judge(&bench.package).indication, Indication::TotalPassed);
    let files = unzip(&bench.package);
    for index in 0..files.len() {
        let (name, contents) = &files[index];
        // Where a byte can take the signatures out of sight, every one is tried.
        let all = matches!(name.as_str(), "OFD.xml" | LIST);
        let places: Vec<usize> = if all { (0..contents.len()).collect() } else { places(contents.len()).collect() };
        for place in places {
            let mut changed = files.clone();
            changed[index].1[place] ^= 1;
            let report = bench.judge(&zip(&changed));
            assert_eq!(report.indication, Indication::TotalFailed, "{name} at {place}: {}", texts(&report));
            let named = match name.as_str() {
                // Their own findings speak of what they are: the signature, the seal, the certificate, the digest.
                VALUE | DESCRIPTION => true,
                // These say where the others are: what is not there any more is named instead.
                "OFD.xml" | LIST if texts(&report).contains("FORMAT") => true,
                name => texts(&report).contains(name),
            };
            assert!(named, "{name} at {place}: {}", texts(&report));
        }
    }
}

#[test]
fn a_changed_byte_of_an_open_list_never_adds_a_pass_for_other_contents() {
    let bench = Bench::of(|_| {});
    let files = unzip(&bench.package);
    let index = files.iter().position(|(name, _)| name == LIST).unwrap();
    for place in 0..files[index].1.len() {
        let mut changed = files.clone();
        changed[index].1[place] ^= 1;
        let report = bench.judge(&zip(&changed));
        // The list is not protected, so that others can sign: what it may change is an id or a default, never what was signed.
        if report.indication == Indication::TotalPassed {
            assert_eq!(report.signatures.len(), 1, "at {place}");
            assert!(report.signatures[0].uncovered.is_empty(), "at {place}");
        }
    }
}

#[test]
fn a_changed_byte_of_the_zip_structure_fails_or_changes_no_content() {
    let bench = Bench::of(|r| r.close = true);
    let good = unzip(&bench.package);
    let contents: Vec<(usize, usize)> = good
        .iter()
        .map(|(_, bytes)| (bench.package.windows(bytes.len()).position(|w| w == bytes).unwrap(), bytes.len()))
        .collect();
    let mut judged = 0;
    for place in 0..bench.package.len() {
        if contents.iter().any(|(start, length)| (*start..start + length).contains(&place)) {
            continue;
        }
        let mut changed = bench.package.clone();
        changed[place] ^= 1;
        judged += 1;
        let report = bench.judge(&changed);
        if report.indication == Indication::TotalPassed {
            assert_eq!(unzip(&changed), good, "at {place}");
        } else {
            assert!(report.findings.iter().chain(report.signatures.iter().flat_map(|s| &s.findings)).count() > 0);
        }
    }
    assert!(judged > 500, "{judged}");
}

#[test]
fn every_changed_bit_of_a_stamped_value_is_no_pass() {
    for change in [
        (|r: &mut Recipe| r.stamp = stamp("2026-06-01T08:31:00Z")) as fn(&mut Recipe),
        |r| {
            r.value = Value::Attributes;
            r.stamp = stamp("2026-06-01T08:31:00Z");
        },
        |r| r.value = Value::Digest,
    ] {
        let bench = Bench::of(change);
        let files = unzip(&bench.package);
        let index = files.iter().position(|(name, _)| name == VALUE).unwrap();
        for place in places(files[index].1.len()).chain((0..files[index].1.len()).step_by(37)) {
            for bit in [0, 7] {
                let mut changed = files.clone();
                changed[index].1[place] ^= 1 << bit;
                let report = bench.judge(&zip(&changed));
                // What is left may be the same value in another encoding, and then it says so.
                let tolerated = texts(&report).contains(Code::EncNonstd.name());
                assert!(
                    report.indication != Indication::TotalPassed || tolerated,
                    "{:?} at {place} bit {bit}: {}",
                    bench.recipe.value,
                    texts(&report)
                );
            }
        }
    }
}

#[test]
fn a_file_cut_anywhere_is_never_a_pass() {
    let bench = Bench::of(|_| {});
    for length in places(bench.package.len() - 1) {
        assert_ne!(bench.judge(&bench.package[..length]).indication, Indication::TotalPassed, "{length}");
    }
}
