//! `sealagent audit verify` and `sealagent audit export`.

use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::Subcommand;

use super::{FAILED, Output, Problem};
use crate::audit::{Audit, Problem as Wrong, verify};
use crate::config::Config;
use crate::failure::Language;

/// `audit verify`, `audit export`.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Check the chain: edited, cut or moved lines, a clock that went back.
    Verify(Output),
    /// Print all lines, one JSON object each.
    Export,
}

/// Runs `audit …`.
pub fn run(config: &Config, command: &Command, language: Language) -> Result<ExitCode, Problem> {
    let audit = Audit::open(&config.places.audit()).map_err(|e| Problem::new(FAILED, e, ""))?;
    match command {
        Command::Export => {
            let mut out = io::stdout().lock();
            audit.export(&mut out)?;
            out.flush()?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Verify(output) => {
            let found = verify(audit.dir())?;
            if output.json {
                println!("{}", serde_json::to_string(&found).map_err(io::Error::from)?);
            } else {
                for finding in &found.problems {
                    println!("✘ {}:{}  {}", finding.file, finding.line, words(finding.problem, language));
                }
                let mark = if found.problems.is_empty() { '✔' } else { '✘' };
                println!("{mark} {} {}", found.lines, language.pick("lines", "行记录"));
            }
            Ok(if found.problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(FAILED) })
        }
    }
}

fn words(problem: Wrong, language: Language) -> &'static str {
    match problem {
        Wrong::ChainBroken => language.pick("this line or the one before it was changed or moved", "本行或上一行被修改或移动"),
        Wrong::ClockWentBack => language.pick("older than the line before it", "时间早于上一行"),
        Wrong::HeadDamaged => language.pick("the head file is damaged", "head 文件已损坏"),
        Wrong::HeadMissing => language.pick("the head file is missing", "head 文件缺失"),
        Wrong::LinesMissing => language.pick("lines before this one are missing", "此行之前有记录缺失"),
        Wrong::NotALine => language.pick("not a line of the record", "不是有效的记录行"),
        Wrong::TailAdded => language.pick("there are more lines than the head counts", "记录行数多于 head 所记"),
        Wrong::TailCut => language.pick("lines at the end are missing or changed", "末尾的记录缺失或被修改"),
    }
}
