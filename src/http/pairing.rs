//! Pairings while they are asked for: begun by a page that is not allowed yet, shown to the person, fetched once.
//!
//! Everything here can be called by any https page, so everything is bounded: how many are open, how many are begun in a minute, and
//! how soon an origin may come again after a "no".

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::{broadcast, watch};
use tokio::time::Instant;

use super::credential::Credentials;
use super::openapi::DateTime;
use crate::audit::{Event, Kind};
use crate::consent::Origin;
use crate::consent::grants::{Grant, Key, Once};
use crate::consent::pairing::{PairingAnswer, PairingShown};
use crate::consent::prompt::Canceller;
use crate::consent::summary::Shown;
use crate::failure::{Code, Failure};
use crate::signing::{RequestId, Signer};

/// How long the person has, waiting behind others included.
const LIFE: Duration = Duration::from_secs(120);
/// A page that does not ask how it stands for this long is gone, and its question is taken away.
const GONE: Duration = Duration::from_secs(15);
/// How long the end can be fetched.
const KEPT: Duration = Duration::from_secs(60);
/// Most that are open at once, of all origins; each origin has one.
const MAX_OPEN: usize = 4;
/// Most that are kept, ended ones included.
const MAX_KEPT: usize = 64;
/// Pairings begun in [`RATE_WINDOW`], of all origins.
const RATE: usize = 6;
/// See [`RATE`].
const RATE_WINDOW: Duration = Duration::from_secs(60);
/// How long an origin is kept off after the first "no"; four times as long after each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(15);
/// The longest that an origin is kept off.
const LONGEST_PAUSE: Duration = Duration::from_secs(4 * 3600);
/// Most origins whose refusals are remembered; the one whose pause ends first is forgotten.
const MAX_REFUSED: usize = 1024;
/// Grants that a slow listener may miss.
const BACKLOG: usize = 16;
/// Longest label, in bytes.
const MAX_LABEL: usize = 1024;

/// `POST /v1/pairings`
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PairingBody {
    /// What the page calls itself.
    #[serde(default)]
    pub label: String,
}

/// `202` of `POST /v1/pairings`
#[derive(Debug, JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BegunPairing {
    /// Names it.
    pub pairing_id: String,
    /// Six digits for the page to show.
    pub code: String,
    /// When the question lapses.
    #[schemars(with = "DateTime")]
    pub expires_at: Timestamp,
}

/// `GET /v1/pairings/{id}`
#[derive(Debug, JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PairingView {
    /// How it stands.
    pub state: PairingState,
    /// Names the credential; once, with the key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The key, base64url; once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

/// How a pairing stands.
#[derive(Clone, Copy, Debug, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PairingState {
    /// For the person.
    Waiting,
    /// Allowed. The first who fetches this gets the key.
    Granted,
    /// The person said no.
    Refused,
    /// Nobody answered, or the page went away.
    Expired,
}

/// The pairings that are asked for.
pub struct Pairings {
    signer: Arc<Signer>,
    credentials: Arc<Credentials>,
    table: Arc<Mutex<Table>>,
    granted: broadcast::Sender<Origin>,
}

#[derive(Default)]
struct Table {
    entries: HashMap<String, Entry>,
    begun: VecDeque<Instant>,
    refused: HashMap<Origin, (u32, Instant)>,
}

struct Entry {
    origin: Origin,
    label: Option<Shown>,
    answer: watch::Receiver<Option<PairingAnswer>>,
    canceller: Canceller,
    seen: Instant,
    watchers: Arc<()>,
}

impl Pairings {
    /// None yet.
    pub fn new(signer: Arc<Signer>, credentials: Arc<Credentials>) -> Self {
        Self { signer, credentials, table: Arc::default(), granted: broadcast::channel(BACKLOG).0 }
    }

    /// Origins whose pairing was granted just now.
    pub fn granted(&self) -> broadcast::Receiver<Origin> {
        self.granted.subscribe()
    }

    /// Begins one for a page of this origin. Must be called in a runtime.
    pub fn begin(&self, origin: &Origin, body: &PairingBody) -> Result<BegunPairing, Failure> {
        if body.label.len() > MAX_LABEL {
            return Err(Failure::new(Code::BadRequest, format!("label: at most {MAX_LABEL} bytes")));
        }
        let label = (!body.label.is_empty()).then(|| Shown::new(&body.label));
        let (id, code) = (RequestId::random()?, code()?);
        let now = Instant::now();
        let (canceller, cancel) = Canceller::new();
        let (ended, answer) = watch::channel(None);
        {
            let mut table = self.lock();
            table.make_room(origin, now)?;
            let entry =
                Entry { origin: origin.clone(), label: label.clone(), answer, canceller, seen: now, watchers: Arc::default() };
            table.entries.insert(id.as_str().to_owned(), entry);
        }
        let shown = PairingShown { origin: origin.clone(), code: code.clone(), label };
        let (signer, table, end) = (self.signer.clone(), self.table.clone(), now + LIFE);
        let number = id.as_str().to_owned();
        let asked = tokio::spawn(async move {
            let answer = signer.prompts.ask_pairing(&shown, end, &cancel).await;
            tracing::info!(origin = %shown.origin, ?answer, "a pairing was asked for");
            lock(&table).note(&shown.origin, answer, Instant::now());
            if answer == PairingAnswer::Refused
                && let Err(failure) =
                    record(&signer, Event::of_pairing(Kind::PairingRefused, &number, &shown.origin, &signer.user)).await
            {
                // Nothing follows from a refusal, so it stands without its line.
                tracing::error!(code = %failure.code, "a refused pairing is not in the record");
            }
            ended.send_replace(Some(answer));
        });
        tokio::spawn(watch_over(Arc::downgrade(&self.table), id.as_str().to_owned(), asked));
        let expires_at = (self.signer.clock)().saturating_add(SignedDuration::from_secs(LIFE.as_secs() as i64));
        Ok(BegunPairing { pairing_id: id.as_str().to_owned(), code, expires_at: expires_at.unwrap_or(Timestamp::MAX) })
    }

    /// How one stands that this origin began, once it has ended or after `wait`. Who fetches a grant first gets the key; then the
    /// pairing is forgotten.
    pub async fn status(&self, id: &str, origin: &Origin, wait: Duration) -> Result<PairingView, Failure> {
        let (mut answer, _alive) = {
            let mut table = self.lock();
            let entry = table.entries.get_mut(id).filter(|entry| entry.origin == *origin).ok_or(Code::NotFound)?;
            entry.seen = Instant::now();
            (entry.answer.clone(), entry.watchers.clone())
        };
        let _ = tokio::time::timeout(wait, answer.wait_for(Option::is_some)).await;
        let Some(answer) = *answer.borrow() else { return Ok(PairingView::of(PairingState::Waiting)) };
        let once = match answer {
            PairingAnswer::Always => false,
            PairingAnswer::Once => true,
            PairingAnswer::NoPrompt => return Err(Code::PromptUnavailable.into()),
            PairingAnswer::Refused => return Ok(PairingView::of(PairingState::Refused)),
            PairingAnswer::TimedOut | PairingAnswer::Withdrawn => return Ok(PairingView::of(PairingState::Expired)),
        };
        // Taken out under the lock: of two that ask at once, one gets the key.
        let entry = self.lock().entries.remove(id).ok_or(Code::NotFound)?;
        self.grant(id, entry, once).await
    }

    async fn grant(&self, id: &str, entry: Entry, once: bool) -> Result<PairingView, Failure> {
        let internal = |error: std::io::Error| {
            tracing::error!(%error, "a pairing cannot be kept");
            Failure::from(Code::Internal)
        };
        let paired = (self.signer.clock)();
        let grant = Grant {
            id: RequestId::random()?.as_str().to_owned(),
            origin: entry.origin,
            label: entry.label,
            paired,
            key: Key::random().map_err(internal)?,
            once: once.then(|| Once::from(paired, self.credentials.run())),
        };
        let view =
            PairingView { state: PairingState::Granted, id: Some(grant.id.clone()), key: Some(grant.key.to_text().to_string()) };
        let kind = if once { Kind::PairedOnce } else { Kind::Paired };
        record(&self.signer, Event::of_pairing(kind, id, &grant.origin, &self.signer.user)).await?;
        let (grants, origin) = (self.credentials.grants().clone(), grant.origin.clone());
        self.signer.in_pool(move || grants.add(&grant)).await?.map_err(internal)?;
        let _ = self.granted.send(origin); // an error says that nobody listens
        Ok(view)
    }

    /// Takes back one that this origin began. Whether there was one.
    pub fn withdraw(&self, id: &str, origin: &Origin) -> bool {
        let mut table = self.lock();
        let Some(entry) = table.entries.get(id).filter(|entry| entry.origin == *origin) else { return false };
        entry.canceller.cancel();
        table.entries.remove(id);
        true
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        lock(&self.table)
    }
}

impl PairingView {
    fn of(state: PairingState) -> Self {
        Self { state, id: None, key: None }
    }
}

impl Table {
    /// Whether one more may begin.
    fn make_room(&mut self, origin: &Origin, now: Instant) -> Result<(), Failure> {
        if self.refused.get(origin).is_some_and(|(_, until)| now < *until) {
            return Err(Failure::new(Code::TooManyRequests, "the person refused a moment ago"));
        }
        while self.begun.front().is_some_and(|at| now.duration_since(*at) >= RATE_WINDOW) {
            self.begun.pop_front();
        }
        if self.begun.len() >= RATE {
            return Err(Code::TooManyRequests.into());
        }
        let open = self.entries.values().filter(|entry| entry.answer.borrow().is_none());
        let (all, own) = open.fold((0, 0), |(all, own), entry| (all + 1, own + usize::from(entry.origin == *origin)));
        if own > 0 || all >= MAX_OPEN || self.entries.len() >= MAX_KEPT {
            return Err(Code::Busy.into());
        }
        self.begun.push_back(now);
        Ok(())
    }

    /// Remembers a refusal, or forgets those before a "yes". A question that nobody answered, or that the page took back after it was
    /// shown, weighs as much as a "no".
    fn note(&mut self, origin: &Origin, answer: PairingAnswer, now: Instant) {
        match answer {
            PairingAnswer::Always | PairingAnswer::Once => {
                self.refused.remove(origin);
            }
            PairingAnswer::NoPrompt => {}
            PairingAnswer::Refused | PairingAnswer::TimedOut | PairingAnswer::Withdrawn => {
                if self.refused.len() >= MAX_REFUSED
                    && !self.refused.contains_key(origin)
                    && let Some(first) = self.refused.iter().min_by_key(|(_, (_, until))| *until).map(|(o, _)| o.clone())
                {
                    self.refused.remove(&first);
                }
                let (count, until) = self.refused.entry(origin.clone()).or_insert((0, now));
                let pause = FIRST_PAUSE.saturating_mul(4u32.saturating_pow(*count)).min(LONGEST_PAUSE);
                (*count, *until) = (count.saturating_add(1), now + pause);
            }
        }
    }
}

/// Puts a line into the record.
pub(super) async fn record(signer: &Signer, event: Event) -> Result<(), Failure> {
    let (audit, at) = (signer.audit.clone(), (signer.clock)());
    let written = tokio::task::spawn_blocking(move || audit.append(at, &event)).await;
    written.map_err(|_| Code::Internal)?.map_err(|error| {
        tracing::error!(%error, "a pairing cannot be recorded");
        Code::AuditUnavailable.into()
    })
}

/// Withdraws a pairing whose page is gone, and forgets one that has ended and is not fetched.
async fn watch_over(table: std::sync::Weak<Mutex<Table>>, id: String, asked: tokio::task::JoinHandle<()>) {
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let Some(table) = table.upgrade() else { return };
        let mut table = lock(&table);
        let Some(entry) = table.entries.get_mut(&id) else { return };
        if asked.is_finished() {
            break;
        }
        if Arc::strong_count(&entry.watchers) > 1 {
            entry.seen = Instant::now();
        } else if entry.seen.elapsed() > GONE {
            entry.canceller.cancel();
        }
    }
    tokio::time::sleep(KEPT).await;
    if let Some(table) = table.upgrade() {
        lock(&table).entries.remove(&id);
    }
}

fn lock(table: &Mutex<Table>) -> MutexGuard<'_, Table> {
    table.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Six digits, each code as likely as the other.
fn code() -> Result<String, Failure> {
    const CODES: u32 = 1_000_000;
    loop {
        let mut bytes = [0; 4];
        getrandom::fill(&mut bytes).map_err(|error| {
            tracing::error!(%error, "the system gives no random numbers");
            Failure::from(Code::Internal)
        })?;
        let number = u32::from_ne_bytes(bytes);
        if number < u32::MAX / CODES * CODES {
            return Ok(format!("{:06}", number % CODES));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_grows_with_each_refusal_and_ends_with_a_yes() {
        let mut table = Table::default();
        let origin = Origin::parse("https://a.example").unwrap();
        let now = Instant::now();
        let mut pauses = Vec::new();
        for _ in 0..8 {
            table.note(&origin, PairingAnswer::Refused, now);
            pauses.push(table.refused[&origin].1.duration_since(now).as_secs());
        }
        assert_eq!(pauses, [15, 60, 240, 960, 3840, 14400, 14400, 14400]);
        assert!(table.make_room(&origin, now).is_err());
        assert!(table.make_room(&Origin::parse("https://b.example").unwrap(), now).is_ok());
        table.note(&origin, PairingAnswer::Once, now);
        assert!(table.make_room(&origin, now).is_ok());
    }

    /// Attack item 24.
    #[test]
    fn many_origins_share_one_rate_and_bounded_memory() {
        let mut table = Table::default();
        let now = Instant::now();
        let origin = |n: usize| Origin::parse(&format!("https://a{n}.example")).unwrap();
        for n in 0..RATE {
            assert!(table.make_room(&origin(n), now).is_ok(), "{n}");
        }
        assert!(table.make_room(&origin(RATE), now).is_err());
        assert!(table.make_room(&origin(RATE), now + RATE_WINDOW).is_ok());
        for n in 0..3 * MAX_REFUSED {
            table.note(&origin(n), PairingAnswer::Refused, now);
        }
        assert_eq!(table.refused.len(), MAX_REFUSED);
    }

    #[test]
    fn codes_have_six_digits_and_differ() {
        let codes: std::collections::BTreeSet<String> = (0..50).map(|_| code().unwrap()).collect();
        assert!(codes.len() > 40 && codes.iter().all(|c| c.len() == 6 && c.bytes().all(|b| b.is_ascii_digit())));
    }
}
