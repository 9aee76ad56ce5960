//! `sealagent doctor`: the check list of [`crate::doctor`], for people and for programs.

use std::fmt::Display;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use jiff::Timestamp;
use serde::Serialize;
use tokio::runtime::Runtime;

use super::{FAILED, Problem};
use crate::config::{self, Config};
use crate::doctor::{Check, Finding, Mark, at_rest, browser, drivers, port, program};
use crate::failure::Language;
use crate::workers::DriverConfig;

/// `doctor`
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Args {
    /// Print JSON for programs.
    #[arg(long)]
    json: bool,
    /// Print what an administrator gives the browsers, so that they do not ask each person.
    #[arg(long, conflicts_with = "json")]
    policy: bool,
}

#[derive(Serialize)]
struct Printed<'a> {
    version: &'static str,
    checks: &'a [Check],
}

/// Runs `doctor`.
pub fn run(file: &Option<PathBuf>, args: Args, language: Language) -> Result<ExitCode, Problem> {
    let config = Config::load(file.as_deref());
    if args.policy {
        print!("{}", browser::snippets(config.as_ref().ok(), language));
        return Ok(ExitCode::SUCCESS);
    }
    let mut checks = Vec::new();
    let mut add = |finding, values: &[(&str, &dyn Display)]| checks.push(Check::new(finding, language, values));
    let policy = config::policy_path();
    if policy.exists() && config.is_ok() {
        add(Finding::PolicyRead, &[("path", &policy.display())]);
    }
    match &config {
        Ok(_) => add(Finding::ConfigurationRead, &[]),
        Err(error) => add(Finding::ConfigurationWrong, &[("problem", &error), ("hint", &error.hint(language))]),
    }
    let worker = DriverConfig::installed_worker()?;
    if config.is_err() {
        checks.push(program(&worker, language));
    }
    if let Ok(config) = &config {
        checks.extend(at_rest(config, language)?);
        checks.extend(port::checks(&config.http, language));
        if worker.is_file() {
            checks.extend(Runtime::new()?.block_on(drivers::checks(config, &worker, Timestamp::now(), language)));
        }
    }
    if args.json {
        let printed = Printed { version: env!("CARGO_PKG_VERSION"), checks: &checks };
        println!("{}", serde_json::to_string(&printed).map_err(io::Error::from)?);
    } else {
        print(&checks, language);
    }
    let is_wrong = checks.iter().any(|check| check.mark == Mark::Wrong);
    Ok(if is_wrong { ExitCode::from(FAILED) } else { ExitCode::SUCCESS })
}

fn print(checks: &[Check], language: Language) {
    for check in checks {
        println!("{} {}", check.mark, check.what);
        if !check.hint.is_empty() {
            println!("  {}{}", language.pick("hint: ", "提示："), check.hint);
        }
    }
}
