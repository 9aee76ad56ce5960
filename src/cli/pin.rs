//! `sealagent pin change`: a new PIN for a token, typed into the agent's own prompt.

use std::process::ExitCode;

use clap::Subcommand;

use super::{FAILED, NO_TOKEN, Problem, WRONG_USE, with_agent};
use crate::agent::Agent;
use crate::config::Config;
use crate::consent::prompt::Canceller;
use crate::consent::text::text;
use crate::failure::{Code, Failure, Language};
use crate::harmless;
use crate::pin::{self, Outcome};
use crate::workers::{Token, TokenList};

/// `pin change`.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Ask for the old PIN and a new one, and have the token change it.
    Change {
        /// Which token, as `sealagent tokens` names it; needed where several are plugged in.
        #[arg(long, value_name = "ID")]
        token: Option<String>,
    },
}

/// Runs `pin …`.
pub fn run(config: Config, command: &Command, language: Language) -> Result<ExitCode, Problem> {
    let Command::Change { token } = command;
    with_agent(config, None, language, async |agent: &Agent| {
        let list = agent.signer.workers.tokens().await;
        let token = choose(&list, token.as_deref(), language)?;
        let (_canceller, cancel) = Canceller::new();
        told(pin::change(&agent.signer, token, &cancel).await, language)
    })?
}

/// The token of that name, or the only one.
fn choose<'a>(list: &'a TokenList, wanted: Option<&str>, language: Language) -> Result<&'a Token, Problem> {
    for (driver, error) in &list.failures {
        eprintln!("{}{driver}: {error}", language.pick("hint: ", "提示："));
    }
    match (wanted, list.tokens.as_slice()) {
        (Some(wanted), tokens) => tokens
            .iter()
            .find(|token| token.handle.0 == wanted)
            .ok_or_else(|| Problem::of(&Failure::from(Code::TokenAbsent), language)),
        (None, [only]) => Ok(only),
        (None, []) => {
            let what = language.pick("no UKey is plugged in that a driver knows", "没有驱动能识别的 UKey");
            Err(Problem::new(NO_TOKEN, what, language.pick("see: sealagent doctor", "请运行 sealagent doctor 查看原因")))
        }
        (None, several) => {
            let names: Vec<_> = several.iter().map(|t| format!("{} ({})", t.handle, harmless::line(&t.info.label))).collect();
            let hint = format!("{}{}", language.pick("name one with --token: ", "请用 --token 指定其中一个："), names.join(", "));
            Err(Problem::new(WRONG_USE, language.pick("several UKeys are plugged in", "插入了多个 UKey"), &hint))
        }
    }
}

fn told(outcome: Outcome, language: Language) -> Result<ExitCode, Problem> {
    let no = |key| Err(Problem::new(FAILED, text(key, language), ""));
    match outcome {
        Outcome::Changed => {
            println!("{}", text("pin_change_done", language));
            Ok(ExitCode::SUCCESS)
        }
        Outcome::Cancelled | Outcome::Declined | Outcome::Expired => no("pin_change_declined"),
        Outcome::Failed(failure) => Err(Problem::of(&failure, language)),
        Outcome::Unknown(failure) => {
            let what = Problem::of(&failure, language).what;
            Err(Problem::new(super::PIN, what, text("pin_change_unknown", language)))
        }
    }
}
