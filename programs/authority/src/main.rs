//! `sealauthority`: a region's CA and seal maker on the command line, for pilots and tests.

use std::process::ExitCode;

use clap::Parser as _;

mod cli;

fn main() -> ExitCode {
    let arguments = cli::Arguments::parse();
    let language = cli::Language::of_environment();
    match cli::run(arguments, jiff::Timestamp::now()) {
        Ok(said) => {
            print!("{said}");
            ExitCode::SUCCESS
        }
        Err(failure) => {
            eprint!("{}", failure.text(language));
            ExitCode::FAILURE
        }
    }
}
