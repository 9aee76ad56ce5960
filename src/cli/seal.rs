//! `sealagent seal import FILE` and `sealagent seal remove ESID`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;

use super::{FAILED, Problem, UNREADABLE};
use crate::config::Config;
use crate::failure::{Code, Language};
use crate::harmless;
use crate::seals::{self, SealFileError};

/// `seal import`, `seal remove`.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Put a seal file into the seal store.
    Import {
        /// The seal: DER of SESeal, or base64 of it.
        file: PathBuf,
    },
    /// Take a seal out of the seal store.
    Remove {
        /// Its code.
        es_id: String,
    },
}

/// Runs `seal …`.
pub fn run(config: &Config, command: &Command, language: Language) -> Result<ExitCode, Problem> {
    let store = config.places.seals();
    match command {
        Command::Import { file } => {
            let seal = seals::import(file, &store).map_err(|error| {
                let exit = if matches!(error, SealFileError::StoreFull) { FAILED } else { UNREADABLE };
                let hint = language.pick("ask the maker of the seal for its file", "请向制章机构索取印章文件");
                Problem::new(exit, format!("{}: {error}", file.display()), hint)
            })?;
            println!("{}  {}", harmless::line(seal.es_id()), harmless::line(&seal.property().name));
            Ok(ExitCode::SUCCESS)
        }
        Command::Remove { es_id } => match seals::remove(es_id, &store)? {
            0 => Err(Problem::of(&Code::SealNotFound.into(), language)),
            _ => Ok(ExitCode::SUCCESS),
        },
    }
}
