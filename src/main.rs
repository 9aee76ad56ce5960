//! Arguments → one function per subcommand → exit code.

use std::process::ExitCode;

use clap::Parser as _;
use sealagent::cli::{self, Cli};
use sealagent::log::Log;

fn main() -> ExitCode {
    // Logs go to standard error, so that standard output is what a program reads. They hold no PIN and no content of documents.
    let filter = tracing_subscriber::EnvFilter::try_from_env("SEALAGENT_LOG").unwrap_or_else(|_| "warn".into());
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(|| Log).with_ansi(false).init();
    cli::main(Cli::parse())
}
