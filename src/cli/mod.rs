//! The command line: one module per subcommand, each with its arguments and one function that returns the exit code.

pub mod audit;
pub mod diagnostics;
pub mod doctor;
pub mod lists;
pub mod open;
pub mod origins;
pub mod pin;
pub mod preview;
pub mod run;
pub mod seal;
pub mod sign;
mod sign_folder;
pub mod tls;
pub mod trust;
pub mod update;
pub mod upgrade;
pub mod verify;

use std::fmt::Display;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use tokio::runtime::Runtime;

use crate::agent::{Agent, Means, StartError};
use crate::config::{Config, ConfigError};
use crate::consent::prompt::Prompter;
use crate::failure::{Code, Failure, Language};

/// Makes and verifies electronic seal signatures with SM2 keys in UKeys.
#[derive(Debug, Parser)]
#[command(name = "sealagent", version, disable_help_subcommand = true)]
pub struct Cli {
    /// Configuration file instead of the user's own.
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve web pages of this machine until stopped.
    Run,
    /// Show all of it with a virtual UKey: two regions, a company's seal, a signing page.
    Demo(crate::demo::DemoArgs),
    /// Open the agent's own pages in the browser: verify, sign, settings, history, diagnosis.
    Open(open::Args),
    /// Seal a document, or all documents of a folder.
    Sign(sign::Args),
    /// Give signatures what they need to be judged long after: a time stamp, and in PDF revocation data.
    Upgrade(upgrade::Args),
    /// Draw pages as pictures.
    Preview(preview::Args),
    /// Judge signed documents, seals and signatures.
    Verify(verify::Args),
    /// Look for what is wrong, and say what to do about it.
    Doctor(doctor::Args),
    /// List the tokens that are plugged in.
    Tokens(Output),
    /// List the seals and which of them can be used now.
    Seals(Output),
    /// List the regions that are accepted, accept one, update what is known from them, or take trust back.
    Trust(trust::Args),
    /// List the web sites that were paired, or end their pairings.
    Origins(origins::Args),
    /// Change the PIN of a token.
    #[command(subcommand)]
    Pin(pin::Command),
    /// Put a seal into the seal store, or take one out.
    #[command(subcommand)]
    Seal(seal::Command),
    /// Check or export the record of signatures.
    #[command(subcommand)]
    Audit(audit::Command),
    /// Write a file for the help desk that names nobody.
    Diagnostics(diagnostics::Args),
    /// Make or remove the certificate for https.
    #[command(subcommand)]
    Tls(tls::Command),
    /// Ask whether a newer version is offered. Never installs, never fetches.
    #[command(subcommand)]
    Update(update::Command),
}

/// How to print.
#[derive(Clone, Copy, Debug, Args)]
pub struct Output {
    /// Print JSON for programs.
    #[arg(long)]
    pub json: bool,
}

/// Refused or failed.
pub const FAILED: u8 = 1;
/// Wrong use.
pub const WRONG_USE: u8 = 2;
/// The input cannot be read.
pub const UNREADABLE: u8 = 4;
/// The token is absent or was removed.
pub const NO_TOKEN: u8 = 5;
/// The PIN is wrong or locked.
pub const PIN: u8 = 6;

/// Carries out what was asked.
pub fn main(cli: Cli) -> ExitCode {
    let language = Language::of_environment();
    let result = match cli.command {
        Command::Demo(args) => return crate::demo::run(&args),
        Command::Verify(args) => return verify::run(&args, cli.config.as_deref()),
        Command::Trust(args) => configured(&cli.config, |config| trust::run(&config, &args, language)),
        Command::Preview(args) => preview::run(&args, language),
        Command::Doctor(args) => doctor::run(&cli.config, args, language),
        Command::Run => configured(&cli.config, |config| run::run(config, language)),
        Command::Open(args) => configured(&cli.config, |config| open::run(&config, &args, language)),
        Command::Sign(args) => configured(&cli.config, |config| sign::run(config, &args, language)),
        Command::Upgrade(args) => configured(&cli.config, |config| upgrade::run(&config, &args, language)),
        Command::Tokens(output) => configured(&cli.config, |config| lists::tokens(config, output, language)),
        Command::Seals(output) => configured(&cli.config, |config| lists::seals(config, output, language)),
        Command::Origins(args) => configured(&cli.config, |config| origins::run(&config, &args, language)),
        Command::Pin(command) => configured(&cli.config, |config| pin::run(config, &command, language)),
        Command::Seal(command) => configured(&cli.config, |config| seal::run(&config, &command, language)),
        Command::Audit(command) => configured(&cli.config, |config| audit::run(&config, &command, language)),
        Command::Diagnostics(args) => configured(&cli.config, |config| diagnostics::run(config, &args, language)),
        Command::Tls(command) => configured(&cli.config, |config| tls::run(&config, &command, language)),
        Command::Update(command) => configured(&cli.config, |config| update::run(&config, &command, language)),
    };
    result.unwrap_or_else(|problem| problem.tell(language))
}

fn configured(file: &Option<PathBuf>, run: impl FnOnce(Config) -> Result<ExitCode, Problem>) -> Result<ExitCode, Problem> {
    run(Config::load(file.as_deref())?)
}

/// Why nothing is fetched for a person who asks for it ([`crate::config::Fetch::by_hand`]).
fn no_fetching(language: Language) -> &'static str {
    language.pick("the policy of this machine forbids fetching", "本机策略禁止联网获取")
}

/// Why a command ends: what a person is told, and the exit code.
#[derive(Debug)]
pub struct Problem {
    what: String,
    hint: String,
    exit: u8,
}

impl Problem {
    /// A problem in words.
    pub fn new(exit: u8, what: impl Display, hint: &str) -> Self {
        Self { what: what.to_string(), hint: hint.to_owned(), exit }
    }

    /// A problem of the catalogue.
    pub fn of(failure: &Failure, language: Language) -> Self {
        let detail = failure.detail.as_ref().map_or(String::new(), |detail| format!(" ({})", crate::harmless::line(detail)));
        let what = format!("{}{detail}", failure.code.message(language));
        Self { what, hint: failure.code.hint(language).to_owned(), exit: exit_code(failure.code) }
    }

    fn tell(&self, language: Language) -> ExitCode {
        eprintln!("sealagent: {}", self.what);
        if !self.hint.is_empty() {
            eprintln!("{}{}", language.pick("hint: ", "提示："), self.hint);
        }
        ExitCode::from(self.exit)
    }
}

impl From<ConfigError> for Problem {
    fn from(error: ConfigError) -> Self {
        Self::new(WRONG_USE, &error, error.hint(Language::of_environment()))
    }
}

impl From<StartError> for Problem {
    fn from(error: StartError) -> Self {
        Self::new(FAILED, &error, "")
    }
}

impl From<std::io::Error> for Problem {
    fn from(error: std::io::Error) -> Self {
        Self::new(FAILED, &error, "")
    }
}

/// Exit code of a failure.
pub fn exit_code(code: Code) -> u8 {
    match code {
        Code::DocumentMalformed | Code::DocumentEncrypted => UNREADABLE,
        Code::PinBlocked | Code::PinIncorrect | Code::PinLastTry | Code::PinUnacceptable => PIN,
        Code::TokenAbsent | Code::TokenRemoved => NO_TOKEN,
        _ => FAILED,
    }
}

/// A runtime, and an agent without its listener in it, for one command.
fn with_agent<T>(
    config: Config,
    prompter: Option<Prompter>,
    language: Language,
    work: impl AsyncFnOnce(&Agent) -> T,
) -> Result<T, Problem> {
    let runtime = Runtime::new()?;
    runtime.block_on(async {
        let mut means = Means::of_system(&config, language)?;
        if let Some(prompter) = prompter {
            means.prompter = prompter;
        }
        let agent = Agent::start(config, means)?;
        let result = work(&agent).await;
        agent.shut_down().await;
        Ok(result)
    })
}
