//! Arguments → one function per subcommand → exit code.

use std::process::ExitCode;

use clap::Parser as _;
use sealagent::cli::{self, Cli, Command};

fn main() -> ExitCode {
    // Logs go to standard error, so that standard output is what a program reads. They hold no PIN and no content of documents.
    let cli = Cli::parse();
    // The doctor says it all in its own words.
    let level = if matches!(cli.command, Command::Doctor(_)) { "off" } else { "warn" };
    let filter = tracing_subscriber::EnvFilter::try_from_env("SEALAGENT_LOG").unwrap_or_else(|_| level.into());
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    cli::main(cli)
}
