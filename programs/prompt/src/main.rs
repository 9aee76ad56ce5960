//! `sealagent-prompt`: one question on standard input, one answer on standard output, between them the pages that the person turns to
//! (`sealagent::question`; frames of `ukey::wire`). It takes no arguments,
//! opens no file and no socket but the display's. Started by the agent for each question.
#![cfg_attr(windows, windows_subsystem = "windows")]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod fonts;
mod paper;
mod picture;
mod pin_field;
mod view;
mod window;
mod words;

use std::fs::File;
use std::io;
use std::process::ExitCode;
use std::time::Instant;

use sealagent::question::{Answer, Leaf, Question, Said};
use ukey::wire;
use winit::event_loop::EventLoop;

fn main() -> ExitCode {
    keep_memory_private();
    match answer() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("sealagent-prompt: {error}; it is started by the agent, not by hand");
            ExitCode::FAILURE
        }
    }
}

fn answer() -> io::Result<()> {
    let mut input = io::stdin().lock();
    let Some((question, _)) = wire::read_frame::<Question>(&mut input)? else {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "no question on standard input"));
    };
    drop(input);
    let (answer, secret) = match EventLoop::with_user_event().build() {
        Ok(event_loop) => {
            let proxy = event_loop.create_proxy();
            std::thread::spawn(move || {
                // Until the agent closes its end.
                while let Ok(Some((leaf, _))) = wire::read_frame::<Leaf>(&mut io::stdin().lock()) {
                    let _ = proxy.send_event(window::Happened::Leaf(leaf));
                }
                let _ = proxy.send_event(window::Happened::Withdrawn);
            });
            let mut out = raw_stdout()?;
            // A look that the agent cannot hear brings no page; its end of the pipe is closed, so the question is withdrawn too.
            let look = move |look| drop(wire::write_frame(&mut out, &Said::Look(look), &[]));
            window::run(event_loop, view::View::new(question, Instant::now()), Box::new(look))
        }
        Err(error) => (Answer::Failed { reason: format!("no display: {error}") }, Default::default()),
    };
    wire::write_frame(&mut raw_stdout()?, &Said::Answer(answer), &secret)
}

/// Standard output without the library's buffer, which would keep a copy of the PIN.
fn raw_stdout() -> io::Result<File> {
    #[cfg(unix)]
    {
        use std::os::fd::AsFd as _;
        Ok(File::from(io::stdout().as_fd().try_clone_to_owned()?))
    }
    #[cfg(windows)]
    {
        use std::os::windows::io::AsHandle as _;
        Ok(File::from(io::stdout().as_handle().try_clone_to_owned()?))
    }
}

/// No core dump and no debugger of the same user while a PIN is here. A refusal changes nothing for the person, so it is not an error.
fn keep_memory_private() {
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
        let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
        let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    }
}
