//! The worker's ends of the two pipes.

use std::{
    fs::File,
    io::{self, Write as _},
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread,
    time::Duration,
};

use ukey::wire::{self, Answer, Request};
use zeroize::Zeroizing;

use crate::sys;

/// When the agent is gone, a call that is under way has this long to end; then the process is killed, whatever the library is in.
const GRACE: Duration = Duration::from_secs(2);

/// Bytes to write in place of the next answer; the argument says whether it is the one to `Hello`.
pub(crate) type Corruption = Box<dyn Fn(bool) -> Option<Vec<u8>>>;

/// What wakes the main thread.
pub(crate) enum Event {
    /// One request and its secret, from the agent.
    Request(Request, Zeroizing<Vec<u8>>),
    /// The agent closed the pipe, or sent what is no frame.
    End(io::Result<()>),
}

/// Where answers go.
pub(crate) struct Answers {
    out: File,
    pub(crate) corruption: Option<Corruption>,
}

impl Answers {
    pub(crate) fn write(&mut self, answer: &Answer) -> io::Result<()> {
        let hello = matches!(answer, Answer::Hello { .. });
        match self.corruption.as_ref().and_then(|corruption| corruption(hello)) {
            Some(bytes) => self.out.write_all(&bytes),
            None => wire::write_frame(&mut self.out, answer, b""),
        }
    }
}

/// Takes standard input and output away from the rest of the process: input becomes empty, output goes to standard error.
pub(crate) fn take_standard_streams() -> io::Result<(File, Answers)> {
    let (input, out) = sys::take_standard_streams()?;
    Ok((input, Answers { out, corruption: None }))
}

/// Reads frames on a thread of its own, so that the main thread can wait with a limit, and so that the end of the agent is noticed
/// while a library hangs. (Not by `PR_SET_PDEATHSIG`: that follows the agent's thread, not the agent.)
pub(crate) fn listen(input: File) -> Receiver<Event> {
    // One place: the agent sends a request only after it has the answer to the one before.
    let (events, receiver) = sync_channel(1);
    thread::spawn(move || read_requests(input, &events));
    receiver
}

fn read_requests(mut input: File, events: &SyncSender<Event>) {
    loop {
        let event = match wire::read_frame::<Request>(&mut input) {
            Ok(Some((request, secret))) => {
                sys::lock_memory(&secret);
                Event::Request(request, secret)
            }
            Ok(None) => Event::End(Ok(())),
            Err(error) => Event::End(Err(error)),
        };
        let end = matches!(event, Event::End(_));
        if events.send(event).is_err() {
            return;
        }
        if end {
            break;
        }
    }
    thread::sleep(GRACE);
    sys::kill_self();
}
