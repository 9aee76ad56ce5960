//! `sealagent-start`: starts `sealagent run` beside it and ends. It takes no arguments.
//!
//! Windows opens a console for a console program that is started at sign-in. The agent is one, since it prints to the terminal that it
//! is called in, so the Run key names this program instead, which has no console and gives the agent none.
#![cfg_attr(windows, windows_subsystem = "windows")]

use std::process::{Command, ExitCode, Stdio};

fn main() -> ExitCode {
    let name = format!("sealagent{}", std::env::consts::EXE_SUFFIX);
    let Ok(agent) = std::env::current_exe().map(|this| this.with_file_name(name)) else { return ExitCode::FAILURE };
    let mut command = Command::new(&agent);
    command.arg("run").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    if let Some(folder) = agent.parent() {
        command.current_dir(folder);
    }
    #[cfg(windows)] // CREATE_NO_WINDOW
    std::os::windows::process::CommandExt::creation_flags(&mut command, 0x0800_0000);
    if command.spawn().is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
