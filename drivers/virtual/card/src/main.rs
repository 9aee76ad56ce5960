//! `ukey-virtual-card FOLDER [PORT]`: puts the first virtual token of a folder into vpcd's reader, until the reader goes.

use std::{path::Path, process::ExitCode};

use ukey_virtual::Token;
use ukey_virtual_card::{Card, Inserted, Switches};

/// Where Debian's vpcd listens for the card in its first slot.
const VPCD_PORT: u16 = 35963;

fn main() -> ExitCode {
    match run(&std::env::args().skip(1).collect::<Vec<_>>()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<(), Box<dyn std::error::Error>> {
    let (folder, port) = match arguments {
        [folder] => (folder, VPCD_PORT),
        [folder, port] => (folder, port.parse()?),
        _ => return Err("usage: ukey-virtual-card FOLDER [PORT]".into()),
    };
    let token = Token::list(Path::new(folder))?.into_iter().next().ok_or("no token in this folder")?;
    Ok(Inserted::new(port, Card::new(token, Switches::default()))?.wait()?)
}
