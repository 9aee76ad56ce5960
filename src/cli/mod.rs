//! The command line: one module per subcommand, each with its arguments and one function that returns the exit code.

pub mod verify;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

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
    /// Seal one document.
    Sign(SignArgs),
    /// List the tokens that are plugged in.
    Tokens(Output),
    /// List the seals and which of them can be used now.
    Seals(Output),
    /// Put seals into the seal store, or take them out.
    #[command(subcommand)]
    Seal(SealCommand),
    /// Check or export the record of signatures.
    #[command(subcommand)]
    Audit(AuditCommand),
}

/// How to print.
#[derive(Debug, Args)]
pub struct Output {
    /// Print JSON for programs.
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `sign`.
#[derive(Debug, Args)]
pub struct SignArgs {
    /// The document to seal. It is never changed.
    pub input: PathBuf,
    /// Where the sealed document goes; appears whole or not at all.
    #[arg(short, long)]
    pub output: PathBuf,
    /// Code of the seal (see `sealagent seals`).
    #[arg(long, value_name = "ESID")]
    pub seal: String,
    /// Page that carries the seal, from 1.
    #[arg(long, value_name = "N")]
    pub page: Option<u32>,
    /// Top left corner of the seal, in mm from the page's top left corner.
    #[arg(long, value_name = "X,Y")]
    pub at: Option<String>,
    /// Straddle seal over the edge of all pages: right or left.
    #[arg(long, value_name = "EDGE")]
    pub straddle: Option<String>,
    /// Let no further signature be possible.
    #[arg(long)]
    pub close: bool,
    /// Read one PIN from this descriptor instead of asking (unattended use).
    #[arg(long, value_name = "N")]
    pub pin_fd: Option<u32>,
    /// How to print.
    #[command(flatten)]
    pub output_format: Output,
}

/// `seal import`, `seal remove`.
#[derive(Debug, Subcommand)]
pub enum SealCommand {
    /// Put a seal file into the seal store.
    Import {
        /// The seal (DER of SESeal).
        file: PathBuf,
    },
    /// Take a seal out of the seal store.
    Remove {
        /// Its code.
        es_id: String,
    },
}

/// `audit verify`, `audit export`.
#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// Check the chain: edited, cut or reordered lines, a clock that went back.
    Verify(Output),
    /// Print all lines.
    Export,
}
