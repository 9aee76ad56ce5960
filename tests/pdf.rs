//! PDF against files and programs that are not ours: the shared samples, and qpdf, pdfsig and mutool as judges.
//! What is absent from the machine is reported as ignored.

use std::{fs::File, path::PathBuf};

use libtest_mimic::{Arguments, Failed, Trial};
use sealagent::pdf::{Document, FieldState, Tolerance};

fn main() {
    let arguments = Arguments::from_args();
    let mut trials = Vec::new();
    let foxit = samples().join("pdf/foxit-sm-detached-ses-page1.pdf");
    let absent = !foxit.exists();
    trials.push(Trial::test("foxit_sample_is_read_as_the_index_says", move || foxit_sample(&foxit)).with_ignored_flag(absent));
    libtest_mimic::run(&arguments, trials).exit();
}

fn samples() -> PathBuf {
    std::env::var_os("SEALAGENT_SAMPLES")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/samples"), PathBuf::from)
}

/// A hybrid file with two earlier revisions and object streams; SM3 of the ranges is Python's `hashlib.new("sm3")` over them.
fn foxit_sample(path: &PathBuf) -> Result<(), Failed> {
    let mut document = Document::open(File::open(path)?)?;
    let signatures = document.signatures()?;
    let [signature] = signatures.as_slice() else { return Err(format!("{} signatures", signatures.len()).into()) };
    assert_eq!((signature.field.as_deref(), signature.state), (Some("S1"), FieldState::Shown));
    assert_eq!(signature.sub_filter.as_deref(), Some("fxit.sm.detached"));
    assert!(signature.covers_whole_file() && signature.changes.is_empty() && signature.permitted.is_empty());
    assert_eq!(signature.revision, Some(2));
    assert_eq!(signature.contents.len(), 40_392);
    let sm3 = signature.digests.as_ref().map(|digests| digests.sm3.to_string());
    assert_eq!(sm3.as_deref(), Some("883575bf9009083c8dc44b3e818f8151ee48cea87a7095f52ac566bd3717ccde"));
    assert_eq!(document.ambiguities(), []);
    assert_eq!(document.tolerances(), [Tolerance::GenerationOutOfRange]);
    let sizes: Vec<_> = document.pages()?.iter().map(|page| page.size()).collect();
    assert!(sizes.len() == 3 && sizes.iter().all(|s| (s.width - 210.0).abs() < 0.1 && (s.height - 297.0).abs() < 0.1), "{sizes:?}");
    Ok(())
}
