//! Writes what the packages need besides the programs: `sealagent-packaging FOLDER TARGET`.
//!
//! ```text
//! FOLDER/man/*.1                      manual pages, made from the arguments that the programs take
//! FOLDER/completions/                 for bash, zsh and fish
//! FOLDER/sealagent.cdx.json           bill of materials (CycloneDX 1.5) of the programs for TARGET
//! FOLDER/licences.txt                 every crate in them with its licence and that licence's text
//! ```
//! The same checkout gives the same files: dates come from `SOURCE_DATE_EPOCH`, nothing names this machine.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod bill;
mod manual;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Why a file cannot be written.
#[derive(Debug, thiserror::Error)]
enum Problem {
    /// `cargo metadata` failed.
    #[error("cargo metadata: {0}")]
    Cargo(String),
    /// Its answer lacks something.
    #[error("cargo metadata gives no {0}")]
    Metadata(&'static str),
    /// Reading or writing failed.
    #[error("{}: {source}", .path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// No date is given.
    #[error("SOURCE_DATE_EPOCH must be set to seconds since 1970")]
    NoDate,
}

fn at(path: &Path) -> impl Fn(std::io::Error) -> Problem {
    let path = path.to_owned();
    move |source| Problem::Io { path: path.clone(), source }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, target] = arguments.as_slice() else {
        eprintln!("usage: sealagent-packaging FOLDER TARGET");
        return ExitCode::from(2);
    };
    match write_all(Path::new(folder), target) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("sealagent-packaging: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn write_all(folder: &Path, target: &str) -> Result<(), Problem> {
    let date = std::env::var("SOURCE_DATE_EPOCH").ok().and_then(|text| text.parse().ok());
    let date = date.and_then(|seconds| jiff::Timestamp::from_second(seconds).ok()).ok_or(Problem::NoDate)?;
    std::fs::create_dir_all(folder).map_err(at(folder))?;
    manual::write(folder, date)?;
    bill::write(folder, target, date)
}
