//! PDF against files and programs that are not ours: the shared samples, and qpdf, pdfsig and mutool as judges.
//! What is absent from the machine is reported as ignored.

use std::{fs::File, path::PathBuf};

use libtest_mimic::{Arguments, Failed, Trial};
use sealagent::pdf::{Document, FieldState};

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

/// SM3 of the ranges by `openssl dgst -sm3` over both parts, as shared `pdf-signature.md` gives the file.
fn foxit_sample(path: &PathBuf) -> Result<(), Failed> {
    let mut document = Document::open(File::open(path)?)?;
    let signatures = document.signatures()?;
    println!("{signatures:#?}\n{:?} {:?} {:?}", document.ambiguities(), document.tolerances(), document.revisions());
    println!("{:?}", document.pages()?.iter().map(|p| p.size_mm()).collect::<Vec<_>>());
    assert_eq!(signatures.len(), 1);
    assert_eq!(signatures[0].state, FieldState::Shown);
    Ok(())
}
