//! Arguments → one function per subcommand → exit code.

use std::process::ExitCode;

use clap::Parser;
use sealagent::cli::verify;

/// Makes and verifies electronic seal signatures with SM2 keys in UKeys.
#[derive(Parser)]
#[command(name = "sealagent", version)]
enum Cli {
    /// Judge signed documents, seals and signatures.
    Verify(verify::Args),
}

fn main() -> ExitCode {
    match Cli::parse() {
        Cli::Verify(args) => verify::run(&args),
    }
}
