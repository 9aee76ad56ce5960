//! Answers from a test. Not in any release: the feature that builds it is only a development dependency.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use ukey::{Credential, Pin};

use super::pairing::{PairingAnswer, PairingShown};
use super::pin::{self, PinChangeAnswer, PinChangeShown};
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
/// Old and new PIN, or no.
type PinScript = dyn Fn(&PinChangeShown) -> Option<(&'static str, &'static str)> + Send + Sync;
type PairingScript = dyn Fn(&PairingShown) -> Option<PairingAnswer> + Send + Sync;

/// Answers by a function and keeps what was shown.
#[derive(Clone)]
pub struct Scripted {
    script: Arc<Script>,
    shown: Arc<Mutex<Vec<Summary>>>,
    pairing_script: Arc<Mutex<Arc<PairingScript>>>,
    pairings: Arc<Mutex<Vec<PairingShown>>>,
    pin_script: Arc<Mutex<Arc<PinScript>>>,
    pin_changes: Arc<Mutex<Vec<PinChangeShown>>>,
}

impl Scripted {
    /// Answers by `script`.
    pub fn new(script: impl Fn(&Summary) -> Reply + Send + Sync + 'static) -> Self {
        let refuse: Arc<PairingScript> = Arc::new(|_| Some(PairingAnswer::Refused));
        Self {
            script: Arc::new(script),
            shown: Arc::default(),
            pairing_script: Arc::new(Mutex::new(refuse)),
            pairings: Arc::default(),
            pin_script: Arc::new(Mutex::new(Arc::new(|_| None))),
            pin_changes: Arc::default(),
        }
    }

    /// Answers changes of PIN by `script` from now on. Before, each is refused.
    pub fn on_pin_change(
        &self,
        script: impl Fn(&PinChangeShown) -> Option<(&'static str, &'static str)> + Send + Sync + 'static,
    ) {
        *self.pin_script.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(script);
    }

    /// All changes of PIN that were shown so far.
    pub fn pin_changes(&self) -> Vec<PinChangeShown> {
        self.pin_changes.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) async fn ask_pin_change(&self, shown: &PinChangeShown) -> PinChangeAnswer {
        self.pin_changes.lock().unwrap_or_else(PoisonError::into_inner).push(shown.clone());
        let script = self.pin_script.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let pin = |text: &str| Pin::new(text.as_bytes().to_vec());
        script(shown).map_or(PinChangeAnswer::Decline, |(old, new)| pin::approved(pin(old), pin(new)))
    }

    /// Answers pairings by `script` from now on; `None` is silence. Before, each is refused.
    pub fn on_pairing(&self, script: impl Fn(&PairingShown) -> Option<PairingAnswer> + Send + Sync + 'static) {
        *self.pairing_script.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(script);
    }

    /// All pairings that were shown so far, as often as they were.
    pub fn pairings(&self) -> Vec<PairingShown> {
        self.pairings.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) async fn ask_pairing(&self, shown: &PairingShown) -> PairingAnswer {
        self.pairings.lock().unwrap_or_else(PoisonError::into_inner).push(shown.clone());
        let script = self.pairing_script.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match script(shown) {
            Some(answer) => answer,
            None => std::future::pending().await,
        }
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
