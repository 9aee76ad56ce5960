//! Requests of pages while they live: begun, watched, cancelled, fetched, forgotten.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use serde::Serialize;
use tokio::sync::{broadcast, watch};
use tokio::time::Instant;

use super::pipeline::{Output, Signed, Signer};
use super::progress::{Progress, Sink};
use super::{Scratch, SigningRequest, State, Status};
use crate::consent::Requester;
use crate::consent::prompt::{Cancel, Canceller, Place};
use crate::failure::{Code, Failure};
use crate::pki::certificate::hex;
use crate::sm::Sm3Digest;

/// A page that shows no sign of life for this long before the token is asked is gone.
const GONE: Duration = Duration::from_secs(30);
/// How often a request is looked after.
const TICK: Duration = Duration::from_millis(500);
/// A finished request that nobody fetches is forgotten after this.
const FORGOTTEN: Duration = Duration::from_secs(600);
/// Most requests of one requester that are kept, finished ones included.
const MAX_KEPT: usize = 64;
/// Requests of one requester in [`RATE_WINDOW`].
const RATE: usize = 20;
/// See [`RATE`].
const RATE_WINDOW: Duration = Duration::from_secs(60);

/// 128 random bits in hexadecimal digits.
#[derive(Clone, Debug, Eq, Hash, PartialEq, Serialize)]
#[serde(transparent)]
pub struct RequestId(String);

impl RequestId {
    /// A new one. Fails only when the system has no randomness to give.
    pub fn random() -> Result<Self, Failure> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).map_err(|error| {
            tracing::error!(%error, "the system gives no random numbers");
            Failure::from(Code::Internal)
        })?;
        Ok(Self(hex(&bytes)))
    }

    /// The digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Changes that a slow listener may lag behind.
const CHANGES: usize = 64;

/// The requests of all pages.
pub struct Requests {
    signer: Arc<Signer>,
    scratch: Scratch,
    table: Arc<Mutex<Table>>,
    changes: broadcast::Sender<Changed>,
}

/// A request stands elsewhere than before.
#[derive(Clone, Debug)]
pub struct Changed {
    /// Whose it is; nobody else must hear of it.
    pub requester: Requester,
    /// Which.
    pub id: RequestId,
    /// Where it stands now.
    pub state: State,
    /// How many of its items are done.
    pub done: usize,
}

/// While it lives, its requester counts as there.
pub struct Present {
    _alive: Arc<()>,
}

#[derive(Default)]
struct Table {
    entries: HashMap<String, Entry>,
    begun: HashMap<Requester, Vec<Instant>>,
    /// Requesters that listen to changes.
    present: HashMap<Requester, Weak<()>>,
}

struct Entry {
    request: SigningRequest,
    idempotency: Option<(String, Sm3Digest)>,
    status: watch::Receiver<Status>,
    progress: Progress,
    canceller: Canceller,
    outputs: Arc<Mutex<Vec<Output>>>,
    /// Calls of the page that are waiting right now.
    watchers: Arc<()>,
    seen: Instant,
    deleted: bool,
    /// Whether the page was given a result.
    fetched: bool,
}

impl Entry {
    fn is_of(&self, requester: &Requester) -> bool {
        self.request.requester == *requester
    }

    /// The items that are left, when the request was interrupted after others were signed.
    fn left(&self) -> Option<Vec<usize>> {
        let status = self.status.borrow();
        let places = |done: bool| {
            let items = status.items.iter().enumerate();
            items.filter(move |(_, item)| (item.state == State::Done) == done).map(|(n, _)| n).collect::<Vec<_>>()
        };
        let is_interrupted = status.state.is_final() && !self.deleted && !places(true).is_empty();
        Some(places(false)).filter(|left| is_interrupted && !left.is_empty())
    }

    /// For each item, whether it was signed although the page never got anything; `None` when nothing was lost so.
    fn undelivered(&self) -> Option<Vec<bool>> {
        let done: Vec<bool> = self.status.borrow().items.iter().map(|item| item.state == State::Done).collect();
        Some(done).filter(|done| !self.fetched && done.contains(&true))
    }
}

impl Table {
    /// The request that was begun with this key, if it was the same.
    fn earlier(&self, requester: &Requester, idempotency: Option<&(String, Sm3Digest)>) -> Result<Option<RequestId>, Failure> {
        let Some((key, body)) = idempotency else { return Ok(None) };
        for (id, entry) in self.entries.iter().filter(|(_, entry)| entry.is_of(requester)) {
            match &entry.idempotency {
                Some((k, b)) if k == key && b == body => return Ok(Some(RequestId(id.clone()))),
                Some((k, _)) if k == key => return Err(Code::IdempotencyConflict.into()),
                _ => {}
            }
        }
        Ok(None)
    }

    /// Counts a request against the limits of its requester.
    fn count(&mut self, requester: &Requester, now: Instant) -> Result<(), Failure> {
        if self.entries.values().filter(|entry| entry.is_of(requester)).count() >= MAX_KEPT {
            return Err(Code::Busy.into());
        }
        self.count_begun(requester, now)
    }

    /// The same for a request that is there already and begins anew.
    fn count_begun(&mut self, requester: &Requester, now: Instant) -> Result<(), Failure> {
        let begun = self.begun.entry(requester.clone()).or_default();
        begun.retain(|at| now.duration_since(*at) < RATE_WINDOW);
        if begun.len() >= RATE {
            return Err(Code::TooManyRequests.into());
        }
        begun.push(now);
        Ok(())
    }

    fn find(&mut self, id: &str, requester: &Requester) -> Option<&mut Entry> {
        self.entries.get_mut(id).filter(|entry| entry.is_of(requester) && !entry.deleted)
    }
}

/// A page's call that waits for a change. While it lives, the page counts as there.
pub struct Watching {
    status: watch::Receiver<Status>,
    _alive: Arc<()>,
}

impl Watching {
    /// Where the request stands now.
    pub fn status(&self) -> Status {
        self.status.borrow().clone()
    }

    /// Where it stands once it, or one of its items, stands elsewhere than at the start of the call, or after `time`.
    pub async fn changed(mut self, time: Duration) -> Status {
        let now = self.status.borrow_and_update().clone();
        if !now.state.is_final() {
            let is_new = |status: &Status| {
                status.state != now.state || status.items.iter().zip(&now.items).any(|(new, old)| new.state != old.state)
            };
            let _ = tokio::time::timeout(time, self.status.wait_for(is_new)).await;
        }
        self.status()
    }
}

impl Requests {
    /// No requests yet. Outputs are files without a name in `scratch`.
    pub fn new(signer: Arc<Signer>, scratch: Scratch) -> Self {
        Self { signer, scratch, table: Arc::default(), changes: broadcast::Sender::new(CHANGES) }
    }

    /// Hears of every request's changes from now on.
    pub fn changes(&self) -> broadcast::Receiver<Changed> {
        self.changes.subscribe()
    }

    /// Counts a requester as there while the answer lives.
    pub fn present(&self, requester: &Requester) -> Present {
        let mut table = self.lock();
        table.present.retain(|_, listeners| listeners.strong_count() > 0);
        let alive = table.present.get(requester).and_then(Weak::upgrade).unwrap_or_default();
        table.present.insert(requester.clone(), Arc::downgrade(&alive));
        Present { _alive: alive }
    }

    /// Begins a request and returns its id; the same id again for the same key and the same body. A request that was interrupted after
    /// some of its items were signed is continued by that: the person is asked for those that are left, and no item is signed twice.
    /// Must be called in a runtime.
    pub async fn begin(&self, request: SigningRequest, idempotency: Option<(String, Sm3Digest)>) -> Result<RequestId, Failure> {
        let earlier = self.lock().earlier(&request.requester, idempotency.as_ref())?;
        if let Some(id) = earlier {
            self.resume(&id).await?;
            return Ok(id);
        }
        let id = RequestId::random()?;
        self.lock().count(&request.requester, Instant::now())?;
        self.signer.allow(id.as_str(), &request).await?;

        let mut table = self.lock();
        // Asked again: another call with the same key may have come in between.
        if let Some(id) = table.earlier(&request.requester, idempotency.as_ref())? {
            return Ok(id);
        }
        let place = self.signer.admit(&request)?;
        let outputs = Arc::new(Mutex::new(Vec::new()));
        let made = outputs.clone();
        let sink: Sink = Arc::new(move |output| made.lock().unwrap_or_else(PoisonError::into_inner).push(output));
        let (progress, status) = Progress::new(request.items.len(), sink);
        let (canceller, cancel) = Canceller::new();
        let entry = Entry {
            request: request.clone(),
            idempotency,
            status,
            progress: progress.clone(),
            canceller,
            outputs,
            watchers: Arc::default(),
            seen: Instant::now(),
            deleted: false,
            fetched: false,
        };
        let mut changed = entry.status.clone();
        table.entries.insert(id.as_str().to_owned(), entry);
        drop(table);
        let (changes, requester, own) = (self.changes.clone(), request.requester.clone(), id.clone());
        tokio::spawn(async move {
            let mut last = (State::Waiting, 0);
            while changed.changed().await.is_ok() {
                let (state, done) = {
                    let status = changed.borrow_and_update();
                    (status.state, status.items.iter().filter(|item| item.state == State::Done).count())
                };
                if std::mem::replace(&mut last, (state, done)) != (state, done) {
                    // Nobody listening is no failure.
                    let _ = changes.send(Changed { requester: requester.clone(), id: own.clone(), state, done });
                }
            }
        });
        self.start(&id, request, place, progress, cancel);
        self.watch_over(id.as_str().to_owned());
        Ok(id)
    }

    fn start(&self, id: &RequestId, request: SigningRequest, place: Place, progress: Progress, cancel: Cancel) {
        let (signer, scratch, name) = (self.signer.clone(), self.scratch.clone(), id.as_str().to_owned());
        tokio::spawn(async move {
            let status = signer.sign(&name, request, place, &scratch, &progress, cancel).await;
            tracing::info!(request = name, state = ?status.state, "a signing request ended");
            progress.end(&status);
        });
    }

    /// Asks for what is left of an interrupted request; does nothing about any other.
    async fn resume(&self, id: &RequestId) -> Result<(), Failure> {
        let left = {
            let mut table = self.lock();
            let Some(entry) = table.entries.get(id.as_str()) else { return Ok(()) };
            let Some(left) = entry.left() else { return Ok(()) };
            let requester = entry.request.requester.clone();
            let items = left.iter().map(|n| entry.request.items[*n].clone()).collect();
            let request = SigningRequest { items, ..entry.request.clone() };
            table.count_begun(&requester, Instant::now())?;
            (request, left)
        };
        let (request, left) = left;
        // Policy may have changed meanwhile.
        self.signer.allow(id.as_str(), &request).await?;
        let mut table = self.lock();
        // Another call may have continued it meanwhile.
        let Some(entry) = table.entries.get_mut(id.as_str()).filter(|entry| entry.left().as_ref() == Some(&left)) else {
            return Ok(());
        };
        let place = self.signer.admit(&request)?;
        let (canceller, cancel) = Canceller::new();
        let progress = entry.progress.of(left);
        progress.all(State::Waiting);
        (entry.canceller, entry.seen) = (canceller, Instant::now());
        drop(table);
        self.start(id, request, place, progress, cancel);
        Ok(())
    }

    /// A request of this requester; of others nobody learns that it exists.
    pub fn watch(&self, id: &str, requester: &Requester) -> Option<Watching> {
        let mut table = self.lock();
        let entry = table.find(id, requester)?;
        entry.seen = Instant::now();
        Some(Watching { status: entry.status.clone(), _alive: entry.watchers.clone() })
    }

    /// What the request made, for `read`; what that finds counts as delivered.
    pub fn fetch<T>(&self, id: &str, requester: &Requester, read: impl FnOnce(&[Output]) -> Option<T>) -> Option<T> {
        let mut table = self.lock();
        let entry = table.find(id, requester)?;
        entry.seen = Instant::now();
        let found = read(&entry.outputs.lock().unwrap_or_else(PoisonError::into_inner));
        entry.fetched |= found.is_some();
        found
    }

    /// Withdraws and forgets a request. Once the token was asked it still runs to its end. Whether there was one.
    pub fn delete(&self, id: &str, requester: &Requester) -> bool {
        let mut table = self.lock();
        let Some(entry) = table.find(id, requester) else { return false };
        entry.canceller.cancel();
        entry.deleted = true; // forgotten by its watcher, once it has ended
        true
    }

    /// Withdraws what the token was not yet asked for. For the end of the agent.
    pub fn cancel_all(&self) {
        for entry in self.lock().entries.values() {
            entry.canceller.cancel();
        }
    }

    /// Returns once no request is under way.
    pub async fn idle(&self) {
        loop {
            let busy = self.lock().entries.values().map(|e| e.status.clone()).find(|s| !s.borrow().state.is_final());
            match busy {
                Some(mut status) => drop(status.wait_for(|s| s.state.is_final()).await),
                None => return,
            }
        }
    }

    /// Withdraws a request whose page is gone, and forgets one that was deleted, or that is finished and that nobody fetches.
    fn watch_over(&self, id: String) {
        let (table, signer) = (Arc::downgrade(&self.table), self.signer.clone());
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(TICK).await;
                let Some(table) = table.upgrade() else { return };
                let forgotten = {
                    let mut table = table.lock().unwrap_or_else(PoisonError::into_inner);
                    let Table { entries, present, .. } = &mut *table;
                    let Some(entry) = entries.get_mut(&id) else { return };
                    let listens = present.get(&entry.request.requester).is_some_and(|listeners| listeners.strong_count() > 0);
                    if listens || Arc::strong_count(&entry.watchers) > 1 {
                        entry.seen = Instant::now();
                    }
                    let idle = entry.seen.elapsed();
                    let ended = entry.status.borrow().state.is_final();
                    if ended && (entry.deleted || idle > FORGOTTEN) {
                        entries.remove(&id)
                    } else {
                        if !ended && idle > GONE {
                            entry.canceller.cancel();
                        }
                        None
                    }
                };
                if let Some(entry) = forgotten {
                    if let Some(done) = entry.undelivered() {
                        signer.record_not_delivered(&id, &entry.request, &done).await;
                    }
                    return;
                }
            }
        });
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request of the command line: nobody watches it, nothing withdraws it but the person at the prompt.
pub async fn run_alone(signer: &Signer, request: SigningRequest, scratch: &Scratch, cancel: Cancel) -> Result<Signed, Failure> {
    let outputs = Arc::new(Mutex::new(Vec::new()));
    let made = outputs.clone();
    let sink: Sink = Arc::new(move |output| made.lock().unwrap_or_else(PoisonError::into_inner).push(output));
    let (progress, _status) = Progress::new(request.items.len(), sink);
    let status = run_batch(signer, request, scratch, &progress, cancel).await?;
    let outputs = std::mem::take(&mut *outputs.lock().unwrap_or_else(PoisonError::into_inner));
    Ok(Signed { status, outputs })
}

/// The same for many documents: `progress` hears of each item, and its sink takes each document, as soon as it is on the record. With
/// the states comes whether the person was asked: if not, the items that failed were in the way of all.
pub async fn run_batch(
    signer: &Signer,
    request: SigningRequest,
    scratch: &Scratch,
    progress: &Progress,
    cancel: Cancel,
) -> Result<Status, Failure> {
    let id = RequestId::random()?;
    signer.allow(id.as_str(), &request).await?;
    let place = signer.admit(&request)?;
    let status = signer.sign(id.as_str(), request, place, scratch, progress, cancel).await;
    progress.end(&status);
    Ok(status)
}
