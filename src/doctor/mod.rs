//! Looks at all that signing needs, and says of each what is so and what to do about it: for `sealagent doctor` and for the diagnosis page.
//! Changes nothing, asks for no PIN and spends no try.

pub mod browser;
mod check;
pub mod drivers;
pub mod port;

use std::fmt::Display;
use std::io;
use std::path::Path;

pub use self::check::{Check, Finding, Mark};
pub use self::drivers::untested;
use crate::audit;
use crate::config::{Config, PromptKind};
use crate::failure::Language;
use crate::preview;
use crate::trust_dir;
use crate::workers::DriverConfig;
use crate::workers::library::Library;

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

/// The worker, without which no driver runs.
pub fn program(worker: &Path, language: Language) -> Check {
    if worker.is_file() {
        Check::new(Finding::WorkerPresent, language, &[("version", &env!("CARGO_PKG_VERSION"))])
    } else {
        Check::new(Finding::WorkerMissing, language, &[("path", &worker.display())])
    }
}

/// The programs beside this one that show things.
fn programs(config: &Config, worker: &Path, add: &mut impl FnMut(Finding, &[(&str, &dyn Display)])) {
    let beside = |name: &str| worker.with_file_name(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    match config.prompt.kind {
        PromptKind::Pinentry => {
            let path = config.prompt.program.clone().unwrap_or_default();
            match (Library { path: path.clone(), sha256: None }).check() {
                Ok(_) => add(Finding::PromptPinentry, &[("path", &path.display())]),
                Err(problem) => add(Finding::PromptPinentryUnusable, &[("problem", &problem)]),
            }
        }
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
