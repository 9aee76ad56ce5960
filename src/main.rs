//! Arguments → one function per subcommand → exit code.

use std::env;
use std::process::ExitCode;

use clap::Parser as _;
use sealagent::cli::{self, Cli, Command};
use sealagent::log::Log;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::prelude::*;

fn main() -> ExitCode {
    // Logs go to standard error, so that standard output is what a program reads. They hold no PIN and no content of documents.
    let cli = Cli::parse();
    // The doctor says it all in its own words.
    let level = if matches!(cli.command, Command::Doctor(_)) { LevelFilter::OFF } else { LevelFilter::WARN };
    let wish = env::var("SEALAGENT_LOG").ok().map(|wish| wish.parse::<Targets>());
    let filter = wish.as_ref().and_then(|wish| wish.as_ref().ok()).cloned().unwrap_or_else(|| Targets::new().with_default(level));
    let lines = tracing_subscriber::fmt::layer().with_writer(|| Log).with_ansi(false);
    tracing_subscriber::registry().with(lines.with_filter(filter)).init();
    if let Some(Err(error)) = wish {
        tracing::warn!("SEALAGENT_LOG is not used: it names levels, as in \"info\" or \"sealagent=debug,hyper=warn\": {error}");
    }
    cli::main(cli)
}
