//! `sealagent doctor`: looks at all that signing needs, and says of each what is so and what to do about it. Changes nothing, asks for
//! no PIN and spends no try.

mod browser;
mod check;
mod drivers;
mod port;

use std::fmt::Display;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use jiff::Timestamp;
use serde::Serialize;
use tokio::runtime::Runtime;

pub use self::check::{Check, Finding, Mark};
pub use self::drivers::untested;
use super::{FAILED, Problem};
use crate::audit;
use crate::config::{self, Config, PromptKind};
use crate::failure::Language;
use crate::preview;
use crate::trust_dir;
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

/// All that is looked at without starting a driver or taking a port; the diagnosis page of a running agent shows the same. Blocks.
pub fn at_rest(config: &Config, language: Language) -> io::Result<Vec<Check>> {
    let worker = DriverConfig::installed_worker()?;
    let mut checks = vec![program(&worker, language)];
    let mut add = |finding, values: &[(&str, &dyn Display)]| checks.push(Check::new(finding, language, values));
    programs(config, &worker, &mut add);
    record(config, &mut add);
    trust(config, &mut add);
    checks.extend(browser::checks(config, language));
    Ok(checks)
}

fn program(worker: &Path, language: Language) -> Check {
    if worker.is_file() {
        Check::new(Finding::WorkerPresent, language, &[("version", &env!("CARGO_PKG_VERSION"))])
    } else {
        Check::new(Finding::WorkerMissing, language, &[("path", &worker.display())])
    }
}

fn print(checks: &[Check], language: Language) {
    for check in checks {
        println!("{} {}", check.mark, check.what);
        if !check.hint.is_empty() {
            println!("  {}{}", language.pick("hint: ", "提示："), check.hint);
        }
    }
}

/// The programs beside this one that show things.
fn programs(config: &Config, worker: &Path, add: &mut impl FnMut(Finding, &[(&str, &dyn Display)])) {
    let beside = |name: &str| worker.with_file_name(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    match config.prompt.kind {
        PromptKind::Terminal => add(Finding::PromptTerminal, &[]),
        PromptKind::Window if beside("sealagent-prompt").is_file() => add(Finding::PromptPresent, &[]),
        PromptKind::Window => add(Finding::PromptMissing, &[("path", &beside("sealagent-prompt").display())]),
    }
    match preview::Program::installed() {
        Some(_) => add(Finding::PreviewPresent, &[]),
        None => add(Finding::PreviewMissing, &[("path", &beside("sealagent-preview").display())]),
    }
}

fn record(config: &Config, add: &mut impl FnMut(Finding, &[(&str, &dyn Display)])) {
    let folder = config.places.audit();
    if !folder.exists() {
        return add(Finding::RecordFine, &[("count", &0)]); // nothing was signed yet
    }
    match audit::verify(&folder) {
        Ok(found) if found.problems.is_empty() => add(Finding::RecordFine, &[("count", &found.lines)]),
        Ok(found) => add(Finding::RecordDamaged, &[("count", &found.problems.len())]),
        Err(error) => add(Finding::RecordUnreadable, &[("problem", &error)]),
    }
}

fn trust(config: &Config, add: &mut impl FnMut(Finding, &[(&str, &dyn Display)])) {
    let folder = config.places.trust();
    if !folder.exists() {
        return add(Finding::TrustNone, &[("path", &folder.display())]);
    }
    match trust_dir::read(&folder, &config.presets) {
        Ok((store, problems)) => {
            for problem in &problems {
                add(Finding::TrustProblem, &[("problem", problem)]);
            }
            add(Finding::TrustFine, &[("count", &store.certificates().len())]);
        }
        Err(error) => add(Finding::TrustProblem, &[("problem", &error)]),
    }
}
