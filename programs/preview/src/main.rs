//! `sealagent-preview`: one document and questions about its pages on standard input, pictures on standard output. No arguments, no
//! network; of the file system only the folders of fonts. Started by the agent for each document.
#![cfg_attr(windows, windows_subsystem = "windows")]

mod confine;

use std::io::{self, BufWriter};
use std::process::ExitCode;

use sealagent_preview::fonts::Fonts;
use sealagent_preview::serve;

fn main() -> ExitCode {
    let folders = Fonts::folders();
    confine::process(&folders);
    let fonts = Fonts::of_folders(folders);
    match serve::serve(&mut io::stdin().lock(), &mut BufWriter::new(io::stdout().lock()), fonts, confine::renew_time) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("sealagent-preview: {error}; it is started by the agent, not by hand");
            ExitCode::FAILURE
        }
    }
}
