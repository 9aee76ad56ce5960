//! `sealagent-start`: starts `sealagent run` beside it and ends. With `--open`, as the menu calls it, it opens the agent's pages, and
//! starts the agent before where it does not run.
//!
//! Windows opens a console for a console program that is started at sign-in. The agent is one, since it prints to the terminal that it
//! is called in, so the Run key names this program instead, which has no console and gives the agent none.
#![cfg_attr(windows, windows_subsystem = "windows")]

use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

/// How often a page is tried to be opened while the agent starts, and how long between.
const TRIES: u32 = 20;
const PAUSE: Duration = Duration::from_millis(500);

fn main() -> ExitCode {
    let name = format!("sealagent{}", std::env::consts::EXE_SUFFIX);
    let Ok(agent) = std::env::current_exe().map(|this| this.with_file_name(name)) else { return ExitCode::FAILURE };
    let opens = std::env::args_os().nth(1).is_some_and(|argument| argument == "--open");
    let open = || quiet(&agent, "open").status().is_ok_and(|status| status.success());
    if opens && open() {
        return ExitCode::SUCCESS;
    }
    let started = quiet(&agent, "run").spawn().is_ok();
    let opened = || {
        (0..TRIES).any(|_| {
            std::thread::sleep(PAUSE);
            open()
        })
    };
    if started && (!opens || opened()) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// A call of the agent without streams and without a console.
fn quiet(agent: &Path, subcommand: &str) -> Command {
    let mut command = Command::new(agent);
    command.arg(subcommand).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    if let Some(folder) = agent.parent() {
        command.current_dir(folder);
    }
    #[cfg(windows)] // CREATE_NO_WINDOW
    std::os::windows::process::CommandExt::creation_flags(&mut command, 0x0800_0000);
    command
}
