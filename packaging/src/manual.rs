//! Manual pages and shell completions, from the definitions that the programs themselves parse with.

use std::fs;
use std::path::Path;

use clap::{Command, CommandFactory as _};
use clap_complete::{Shell, generate_to};
use clap_mangen::Man;
use jiff::Timestamp;

use crate::{Problem, at};

/// The command line of `sealauthority` is no part of its library, so it is read here as its program reads it.
#[path = "../../programs/authority/src/cli/arguments.rs"]
#[allow(missing_docs, dead_code, reason = "another program's module")]
mod authority;

/// Writes `man/` and `completions/`.
pub fn write(folder: &Path, date: Timestamp) -> Result<(), Problem> {
    let (man, completions) = (folder.join("man"), folder.join("completions"));
    for made in [&man, &completions] {
        if made.exists() {
            fs::remove_dir_all(made).map_err(at(made))?;
        }
        fs::create_dir_all(made).map_err(at(made))?;
    }
    let date = date.strftime("%Y-%m-%d").to_string();
    for program in [sealagent::cli::Cli::command(), authority::Arguments::command()] {
        let name = program.get_name().to_owned();
        for shell in [Shell::Bash, Shell::Fish, Shell::Zsh] {
            generate_to(shell, &mut program.clone(), &name, &completions).map_err(at(&completions))?;
        }
        page(program, &name, &date, &man)?;
    }
    Ok(())
}

/// The page of one command and, below it, of each of its subcommands: `sealagent-audit-verify.1`.
fn page(command: Command, name: &str, date: &str, folder: &Path) -> Result<(), Problem> {
    // Built under its full name, so that usage lines read as they are typed.
    let mut command = command.disable_help_subcommand(true).name(name.to_owned()).bin_name(name.replace('-', " "));
    command.build();
    let path = folder.join(format!("{name}.1"));
    let mut text = Vec::new();
    Man::new(command.clone())
        .title(name.to_uppercase())
        .date(date)
        .source(format!("sealagent {}", env!("CARGO_PKG_VERSION")))
        .manual("sealagent")
        .render(&mut text)
        .map_err(at(&path))?;
    fs::write(&path, text).map_err(at(&path))?;
    let below: Vec<Command> = command.get_subcommands().filter(|sub| !sub.is_hide_set()).cloned().collect();
    for sub in below {
        let full = format!("{name}-{}", sub.get_name());
        page(sub, &full, date, folder)?;
    }
    Ok(())
}
