//! `sealagent-worker` hosts exactly one driver and answers the agent's frames. It is started by the agent and by nobody else:
//!
//! ```text
//! sealagent-worker pcsc
//! sealagent-worker pkcs11 MODULE [PROFILE]
//! sealagent-worker skf LIBRARY [PROFILE]
//! sealagent-worker virtual FOLDER [--faults]
//! ```
//!
//! A vendor's library may crash, hang, print, or read what it should not: it gets this process and nothing more. The process ends
//! when its standard input does.

mod confine;
mod frames;
mod host;
mod serve;
mod sys;

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    // First of all: from here on nothing that a library prints or reads can touch the frames.
    let (input, mut answers) = match frames::take_standard_streams() {
        Ok(streams) => streams,
        Err(error) => {
            eprintln!("standard streams: {error}");
            return ExitCode::FAILURE;
        }
    };
    confine::process();
    let events = frames::listen(input);
    let served = match host::host(&arguments) {
        Ok(mut hosted) => {
            answers.corruption = hosted.corruption.take();
            serve::serve(hosted, &events, &mut answers)
        }
        Err(error) => serve::refuse(error, &events, &mut answers),
    };
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
