//! The ways to ask, and the one queue before them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedMutexGuard, watch};
use ukey::Credential;

use super::descriptor::Descriptor;
use super::pairing::{PairingAnswer, PairingShown};
use super::pin::{PinChangeAnswer, PinChangeShown};
use super::pinentry::Pinentry;
#[cfg(any(test, feature = "scripted-prompter"))]
use super::scripted::Scripted;
use super::summary::{Requester, Summary};
use super::terminal::Terminal;
use super::window::Window;

/// Most prompts that wait at once. A person answers one at a time.
const MAX_WAITING: usize = 16;
/// Most prompts of one origin that wait at once.
const MAX_WAITING_OF_ONE: usize = 4;
/// How long an origin is kept off after the first "no"; doubled by each further one.
const FIRST_COOL_DOWN: Duration = Duration::from_secs(3);
/// The longest that an origin is kept off.
const LONGEST_COOL_DOWN: Duration = Duration::from_secs(300);

/// Shows a summary, brings back the answer.
#[derive(Debug)]
#[non_exhaustive]
pub enum Prompter {
    /// One PIN from a descriptor, for `sign --pin-fd`: the command is the consent.
    Descriptor(Descriptor),
    /// A `pinentry` program of the system.
    Pinentry(Pinentry),
    /// Answers from a test.
    #[cfg(any(test, feature = "scripted-prompter"))]
    Scripted(Scripted),
    /// The terminal that this program was started in.
    Terminal(Terminal),
    /// A window of its own.
    Window(Window),
}

/// What came back from one prompt.
#[derive(Debug)]
#[non_exhaustive]
pub enum Answer {
    /// Yes, and the PIN (or the promise to type it on the device).
    Approve(Credential),
    /// The request was withdrawn while the prompt was shown.
    Cancelled,
    /// No.
    Decline,
    /// One try is left, and nobody is there to confirm that it may be used.
    LastTry,
    /// The one PIN that there was has been used; it was wrong.
    NoMore,
    /// There is nothing to show a prompt on.
    NoPrompt,
    /// No answer in time.
    TimeOut,
    /// The PIN that was given cannot be a PIN; it was not sent.
    Unacceptable,
}

/// Says whether a request is still wanted.
#[derive(Clone, Debug)]
pub struct Cancel(watch::Receiver<bool>);

/// Withdraws a request. Dropping it withdraws nothing.
#[derive(Debug)]
pub struct Canceller(watch::Sender<bool>);

impl Canceller {
    /// A pair of both ends.
    pub fn new() -> (Self, Cancel) {
        let (sender, receiver) = watch::channel(false);
        (Self(sender), Cancel(receiver))
    }

    /// Withdraws the request.
    pub fn cancel(&self) {
        self.0.send_replace(true);
    }
}

impl Cancel {
    /// Whether it was withdrawn.
    pub fn is_cancelled(&self) -> bool {
        *self.0.borrow()
    }

    /// Returns once it is withdrawn.
    pub async fn cancelled(&mut self) {
        if self.0.wait_for(|c| *c).await.is_err() {
            std::future::pending::<()>().await; // nobody is left who could withdraw it
        }
    }
}

impl Prompter {
    /// Shows a pairing until it is answered, or takes it away when `interrupt` completes.
    pub(super) async fn ask_pairing<I>(
        &self,
        shown: &PairingShown,
        timeout: Duration,
        interrupt: impl Future<Output = I>,
    ) -> Result<PairingAnswer, I> {
        let stop = Arc::new(AtomicBool::new(false));
        let dialog = async {
            match self {
                Self::Descriptor(_) => PairingAnswer::NoPrompt,
                Self::Pinentry(pinentry) => pinentry.ask_pairing(shown).await,
                #[cfg(any(test, feature = "scripted-prompter"))]
                Self::Scripted(scripted) => scripted.ask_pairing(shown).await,
                Self::Terminal(terminal) => terminal.ask_pairing(shown, &stop).await,
                Self::Window(window) => window.ask_pairing(shown, timeout).await,
            }
        };
        self.until(dialog, interrupt, &stop).await
    }

    /// Shows a change of PIN until it is answered, or takes it away when `interrupt` completes.
    pub(super) async fn ask_pin_change<I>(
        &self,
        shown: &PinChangeShown,
        interrupt: impl Future<Output = I>,
    ) -> Result<PinChangeAnswer, I> {
        let stop = Arc::new(AtomicBool::new(false));
        let dialog = async {
            match self {
                Self::Descriptor(_) => PinChangeAnswer::NoPrompt,
                Self::Pinentry(pinentry) => pinentry.ask_pin_change(shown).await,
                #[cfg(any(test, feature = "scripted-prompter"))]
                Self::Scripted(scripted) => scripted.ask_pin_change(shown).await,
                Self::Terminal(terminal) => terminal.ask_pin_change(shown, &stop).await,
                Self::Window(window) => window.ask_pin_change(shown).await,
            }
        };
        self.until(dialog, interrupt, &stop).await
    }

    async fn ask(&self, summary: &Summary, timeout: Duration, mut cancel: Cancel) -> Answer {
        let stop = Arc::new(AtomicBool::new(false));
        let dialog = async {
            match self {
                Self::Descriptor(descriptor) => descriptor.ask(summary),
                Self::Pinentry(pinentry) => pinentry.ask(summary).await,
                #[cfg(any(test, feature = "scripted-prompter"))]
                Self::Scripted(scripted) => scripted.ask(summary).await,
                Self::Terminal(terminal) => terminal.ask(summary, &stop).await,
                Self::Window(window) => window.ask(summary).await,
            }
        };
        let interrupt = async {
            tokio::select! {
                () = cancel.cancelled() => Answer::Cancelled,
                () = tokio::time::sleep(timeout) => Answer::TimeOut,
            }
        };
        self.until(dialog, interrupt, &stop).await.unwrap_or_else(|interrupted| interrupted)
    }

    /// Runs one dialog to its end, or takes it away when `interrupt` completes.
    async fn until<T, I>(
        &self,
        dialog: impl Future<Output = T>,
        interrupt: impl Future<Output = I>,
        stop: &AtomicBool,
    ) -> Result<T, I> {
        tokio::pin!(dialog);
        let interrupted = tokio::select! {
            answer = &mut dialog => return Ok(answer),
            interrupted = interrupt => interrupted,
        };
        stop.store(true, Ordering::Relaxed);
        if let Self::Terminal(_) = self {
            dialog.await; // leaves the terminal as it was found; a PIN that came at the last moment is dropped and wiped
        }
        Err(interrupted)
    }
}

/// One queue for all prompts: one is visible, the others wait in the order in which they came. Pairings wait in a queue of their own
/// behind them ([`super::pairing`]).
#[derive(Debug)]
pub struct PromptQueue {
    prompter: Prompter,
    timeout: Duration,
    visible: Arc<tokio::sync::Mutex<()>>,
    pairings: tokio::sync::Mutex<()>,
    crowd: Arc<Mutex<Crowd>>,
    /// How many signing requests have a place.
    signing: watch::Sender<usize>,
}

#[derive(Debug, Default)]
struct Crowd {
    waiting: BTreeMap<Requester, usize>,
    refusals: BTreeMap<Requester, (u32, Instant)>,
}

/// Why a request is not even queued.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Crowded {
    /// The person said no a moment ago.
    #[error("the person refused a moment ago")]
    CoolDown,
    /// Too many prompts wait.
    #[error("too many prompts are waiting")]
    Full,
}

/// A place in the queue. Dropping it gives it up.
#[derive(Debug)]
pub struct Place {
    requester: Requester,
    crowd: Arc<Mutex<Crowd>>,
    signing: watch::Sender<usize>,
}

/// The right to show prompts, one after the other, for one request.
#[derive(Debug)]
pub struct Turn<'a> {
    queue: &'a PromptQueue,
    place: Place,
    _visible: OwnedMutexGuard<()>,
}

impl PromptQueue {
    /// A queue before `prompter`, where each prompt waits for its answer as long as `timeout`.
    pub fn new(prompter: Prompter, timeout: Duration) -> Self {
        let signing = watch::Sender::new(0);
        Self {
            prompter,
            timeout,
            visible: Arc::default(),
            pairings: tokio::sync::Mutex::default(),
            crowd: Arc::default(),
            signing,
        }
    }

    pub(super) fn prompter(&self) -> &Prompter {
        &self.prompter
    }

    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    pub(super) fn pairings(&self) -> &tokio::sync::Mutex<()> {
        &self.pairings
    }

    pub(super) fn signing(&self) -> watch::Receiver<usize> {
        self.signing.subscribe()
    }

    pub(super) async fn visible(&self) -> OwnedMutexGuard<()> {
        self.visible.clone().lock_owned().await
    }

    /// Takes a place in the queue, or says why there is none.
    pub fn admit(&self, requester: &Requester) -> Result<Place, Crowded> {
        let mut crowd = self.crowd.lock().unwrap_or_else(PoisonError::into_inner);
        if crowd.refusals.get(requester).is_some_and(|(_, until)| Instant::now() < *until) {
            return Err(Crowded::CoolDown);
        }
        if crowd.waiting.values().sum::<usize>() >= MAX_WAITING {
            return Err(Crowded::Full);
        }
        let own = crowd.waiting.entry(requester.clone()).or_default();
        if *own >= MAX_WAITING_OF_ONE {
            return Err(Crowded::Full);
        }
        *own += 1;
        self.signing.send_modify(|waiting| *waiting += 1);
        Ok(Place { requester: requester.clone(), crowd: self.crowd.clone(), signing: self.signing.clone() })
    }

    /// Waits until no other prompt is visible; `None` when the request is withdrawn before.
    pub async fn turn(&self, place: Place, cancel: &mut Cancel) -> Option<Turn<'_>> {
        tokio::select! {
            biased;
            () = cancel.cancelled() => None,
            visible = self.visible.clone().lock_owned() => Some(Turn { queue: self, place, _visible: visible }),
        }
    }
}

impl Turn<'_> {
    /// Whose turn it is.
    pub fn requester(&self) -> &Requester {
        &self.place.requester
    }

    /// Shows one prompt.
    pub(super) async fn ask(&self, summary: &Summary, cancel: Cancel) -> Answer {
        let answer = self.queue.prompter.ask(summary, self.queue.timeout, cancel).await;
        let mut crowd = self.place.crowd.lock().unwrap_or_else(PoisonError::into_inner);
        match (&answer, &self.place.requester) {
            (Answer::Approve(_), who) => {
                crowd.refusals.remove(who);
            }
            (Answer::Cancelled | Answer::Decline | Answer::TimeOut, who @ Requester::Origin(_)) => {
                let (count, until) = crowd.refusals.entry(who.clone()).or_insert((0, Instant::now()));
                let pause = FIRST_COOL_DOWN.saturating_mul(1 << (*count).min(10)).min(LONGEST_COOL_DOWN);
                (*count, *until) = (*count + 1, Instant::now() + pause);
            }
            _ => {}
        }
        answer
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.signing.send_modify(|waiting| *waiting -= 1);
        let mut crowd = self.crowd.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = crowd.waiting.get_mut(&self.requester) {
            *own -= 1;
            if *own == 0 {
                crowd.waiting.remove(&self.requester);
            }
        }
    }
}
