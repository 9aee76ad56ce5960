//! Answers from a test. Not in any release: the feature that builds it is only a development dependency.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use ukey::{Credential, Pin};

use super::prompt::Answer;
use super::summary::Summary;

/// What a script says to one summary.
#[derive(Clone, Debug)]
pub enum Reply {
    /// Yes, with this PIN.
    Approve(&'static str),
    /// No.
    Decline,
    /// Nothing to show a prompt on.
    NoPrompt,
    /// Nothing, until the prompt is withdrawn.
    Silence,
    /// Nobody came in time.
    TimeOut,
}

type Script = dyn Fn(&Summary) -> Reply + Send + Sync;

/// Answers by a function and keeps what was shown.
#[derive(Clone)]
pub struct Scripted {
    script: Arc<Script>,
    shown: Arc<Mutex<Vec<Summary>>>,
}

impl Scripted {
    /// Answers by `script`.
    pub fn new(script: impl Fn(&Summary) -> Reply + Send + Sync + 'static) -> Self {
        Self { script: Arc::new(script), shown: Arc::default() }
    }

    /// All summaries that were shown so far.
    pub fn shown(&self) -> Vec<Summary> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) async fn ask(&self, summary: &Summary) -> Answer {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner).push(summary.clone());
        match (self.script)(summary) {
            Reply::Approve(pin) => match Pin::new(pin.as_bytes().to_vec()) {
                Some(pin) => Answer::Approve(Credential::Pin(pin)),
                None => Answer::Unacceptable,
            },
            Reply::Decline => Answer::Decline,
            Reply::NoPrompt => Answer::NoPrompt,
            Reply::Silence => std::future::pending().await,
            Reply::TimeOut => Answer::TimeOut,
        }
    }
}

impl fmt::Debug for Scripted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Scripted")
    }
}
