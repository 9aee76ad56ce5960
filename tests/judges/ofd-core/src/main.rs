//! `ofd-core-judge FILE N`: succeeds when ofd-core finds the package conforming, with exactly N signatures whose digests all fit.
//! It checks digests and structure, not the signed values.

use std::process::ExitCode;

use ofd_core::verify::{SigVerdict, check_path};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, file, count] = arguments.as_slice() else { return ExitCode::from(2) };
    let report = check_path(file);
    let good = report.signatures.iter().filter(|s| s.verdict() == SigVerdict::Valid).count();
    println!("conforms {} problems {:?} signatures {} good {good}", report.conforms(), report.problems, report.signatures.len());
    let all = report.conforms() && count.parse() == Ok(good) && report.signatures.len() == good;
    if all { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
