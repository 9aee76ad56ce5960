//! One signing request from policy to answer, in the order of ARCHITECTURE §5. [`Signer::sign`] reads top to bottom; what it calls
//! stands below it.

use std::io::{BufWriter, Write};
use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::{Semaphore, watch};
use ukey::{DriverError, PinStatus};

use super::pages;
use super::subject::{Bytes, Document, Draft, Format, PreparedDocument, Scratch, of_document, of_io};
use super::value;
use super::{ItemStatus, MAX_ITEMS, SignedValueKind, SigningItem, SigningRequest, State, Status, Subject};
use crate::audit::{Audit, Event, ItemRecord, Kind};
use crate::config::{Config, PdfIdentifiers};
use crate::consent::policy::{self, Wish};
use crate::consent::prompt::{Cancel, Crowded, Place, PromptQueue};
use crate::consent::summary::{DocumentShown, PlacementShown, SealShown, Shown, SummaryItem, TokenShown};
use crate::consent::{self, Asked, Consent, ConsentItem, DataHash, Outcome, Refusal};
use crate::document::{Prepared as _, Provider, SignatureKind, SigningPlan};
use crate::failure::{Code, Failure};
use crate::pdf::SignatureOptions;
use crate::pki::subject::subject_codes;
use crate::pki::trust::TrustStore;
use crate::preview;
use crate::seals::{self, Holder, KnownSeal};
use crate::sm::{Sm3, Sm3Digest};
use crate::stamp::{Placement, SizeMm, Stamp};
use crate::verify::report::{Layer, LayerState, SignatureReport};
use crate::verify::{Context, Verifier};
use crate::views::signer;
use crate::workers::{Client, LoggedIn, WorkerError};

/// Gives the time. A value, so that tests can stop it.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Room for a signed value beside the seal and the signer's certificate: attributes, and a time stamp with its certificates.
const ROOM: usize = 16 << 10;

/// All that signing needs of the agent.
pub struct Signer {
    /// Policy.
    pub config: Arc<Config>,
    /// The drivers.
    pub workers: Client,
    /// The record.
    pub audit: Audit,
    /// The person.
    pub prompts: PromptQueue,
    /// Trust for the checks before and after signing.
    pub trust: Arc<TrustStore>,
    /// The time.
    pub clock: Clock,
    /// How many documents are worked on at once.
    pub pool: Arc<Semaphore>,
    /// Draws pages for the prompt; `None` where it is not installed.
    pub preview: Option<preview::Program>,
    /// The user of this machine, for the record.
    pub user: String,
}

/// What came of a request.
#[derive(Debug)]
pub struct Signed {
    /// The final states.
    pub status: Status,
    /// What was made.
    pub outputs: Vec<Output>,
}

/// Something that was made.
#[derive(Debug)]
pub enum Output {
    /// A signed document.
    Document {
        /// The document it was made of.
        document: Arc<Document>,
        /// Its file.
        draft: Draft,
        /// SM3 of the file.
        sm3: Sm3Digest,
    },
    /// The signed value of a digest-only item.
    Value {
        /// Index of the item.
        item: usize,
        /// `SES_Signature` or `SignedData`, DER.
        value: Vec<u8>,
    },
}

/// Why a request ended before its items were signed.
#[derive(Debug)]
enum Ended {
    /// Something was in the way of one item, and so of all.
    Failed(usize, Failure),
    /// There is no consent.
    Refused(Refusal),
}

/// An item on its way.
struct Job {
    item: SigningItem,
    seal: KnownSeal,
    holder: Holder,
    placements: Vec<Placement>,
    /// The earlier item on the same document.
    after: Option<usize>,
    /// Whether a later item follows on the same document.
    followed: bool,
    room: Room,
    outcome: Result<Option<Sm3Digest>, Failure>,
}

/// What an item signs, as far as it is known.
enum Room {
    /// A digest that was given.
    Digest { data_hash: Sm3Digest, property: String },
    /// A document that waits for its signed value.
    Prepared(Box<PreparedDocument>),
    /// Waits for the item before it, or is used up.
    None,
}

impl Signer {
    /// Steps 1 and 2: whether this may be asked at all. Refusals of policy are recorded.
    pub async fn allow(&self, id: &str, request: &SigningRequest) -> Result<(), Failure> {
        if request.items.is_empty() || request.items.len() > MAX_ITEMS {
            return Err(Failure::new(Code::BadRequest, format!("items: between 1 and {MAX_ITEMS}")));
        }
        for item in &request.items {
            let wish = match &item.subject {
                Subject::Digest { .. } => Wish::Digest { seal: &item.seal },
                Subject::Document { document, .. } => Wish::Document { seal: &item.seal, format: document.format.as_str() },
            };
            if let Err(refused) = policy::allow(&self.config, &request.requester, wish) {
                self.record(Kind::Refused, id, request, None, |_| (None, Some(Code::PolicyRefused))).await?;
                return Err(Failure::new(Code::PolicyRefused, refused));
            }
        }
        Ok(())
    }

    /// A place in the queue before the person.
    pub fn admit(&self, request: &SigningRequest) -> Result<Place, Failure> {
        self.prompts.admit(&request.requester).map_err(|crowded| match crowded {
            Crowded::CoolDown => Failure::new(Code::TooManyRequests, crowded),
            Crowded::Full => Failure::new(Code::Busy, crowded),
        })
    }

    /// Steps 3 to 11. Runs to its end whatever becomes of the caller once the token was asked; before, `cancel` ends it.
    pub async fn sign(
        &self,
        id: &str,
        request: SigningRequest,
        place: Place,
        scratch: &Scratch,
        progress: &watch::Sender<Status>,
        mut cancel: Cancel,
    ) -> Signed {
        let count = request.items.len();
        // 3: seal, token and key of each item
        // 4: placements, document digests, room for the values
        let jobs = match self.prepare(&request, &mut cancel).await {
            Ok(jobs) => jobs,
            Err(ended) => return self.end(id, &request, None, ended).await,
        };
        let Some(holder) = jobs.first().map(|job| job.holder.clone()) else {
            return Signed { status: Status::all(count, State::Failed, Some(Code::BadRequest.into())), outputs: Vec::new() };
        };
        let token = Shown::new(&holder.token.info.serial);
        let mut asked = jobs.iter().map(asked).collect::<Vec<_>>();
        if let Err(failure) = self.show_pages(&jobs, &mut asked).await {
            return self.end(id, &request, Some(token), Ended::Failed(0, failure)).await;
        }

        // 5 to 8: one person, one answer, one login
        let Some(turn) = self.prompts.turn(place, &mut cancel).await else {
            return self.end(id, &request, Some(token), Ended::Refused(Refusal::Cancelled)).await;
        };
        let mut attempt = 1;
        let (mut consent, mut login, first) = loop {
            let pin = match self.pin_status(&holder).await {
                Ok(pin) => pin,
                Err(failure) => return self.end(id, &request, Some(token), Ended::Failed(0, failure)).await,
            };
            // 5: the summary, fresh each time
            let (mut consent, credential) =
                match consent::obtain(&turn, &asked, token_shown(&holder), pin, attempt, &cancel).await {
                    Outcome::Approved(consent, credential) => (consent, credential),
                    Outcome::Not(refusal) => return self.end(id, &request, Some(token), Ended::Refused(refusal)).await,
                };
            // 6: on the record before the token is asked
            if let Err(failure) = self.record(Kind::Accepted, id, &request, Some(token.clone()), |_| (None, None)).await {
                return self.end(id, &request, Some(token), Ended::Failed(0, failure)).await;
            }
            // 7: the first message, built and authorised before the PIN is used
            let first = match self.authorise(&mut consent, 0, &jobs[0]) {
                Ok(first) => first,
                Err(failure) => return self.end(id, &request, Some(token), Ended::Failed(0, failure)).await,
            };
            // 8: one login with this credential
            progress.send_replace(Status::all(count, State::Signing, None));
            match self.workers.login(&holder.key, credential).await {
                Ok(login) => break (consent, login, first),
                Err(error) => match after_login(&error) {
                    AfterLogin::AskAgain => {
                        attempt += 1;
                        progress.send_replace(Status::all(count, State::Waiting, None));
                    }
                    AfterLogin::Declined => {
                        return self.end(id, &request, Some(token), Ended::Refused(Refusal::Declined)).await;
                    }
                    AfterLogin::Failed(failure) => {
                        return self.end(id, &request, Some(token), Ended::Failed(0, failure)).await;
                    }
                },
            }
        };
        drop(turn);

        // 7 to 10 for each item: build, authorise, sign, verify, assemble, embed
        let mut jobs = jobs;
        let mut outputs = Vec::new();
        let mut first = Some(first);
        for n in 0..count {
            let made = match first.take() {
                Some(first) => self.make(&mut jobs, n, first, &mut login, scratch).await,
                None => self.make_next(&mut consent, &mut jobs, n, &mut login, scratch, &outputs).await,
            };
            let (outcome, output) = match made {
                Ok((digest, output)) => (Ok(digest), Some(output)),
                Err(failure) => (Err(failure), None),
            };
            jobs[n].outcome = outcome;
            if let Some(output) = output {
                // A document with one more seal takes the place of the one before it.
                outputs.retain(|earlier| !is_same_document(earlier, &output));
                outputs.push(output);
            }
            progress.send_modify(|status| status.items[n] = item_status(&jobs[n]));
        }
        drop(login);
        // A document on which one item failed is not given out: it would lack a seal that was asked for.
        let failed: Vec<Arc<Document>> =
            jobs.iter().filter(|j| j.outcome.is_err()).filter_map(|j| j.item.subject.document().cloned()).collect();
        outputs.retain(
            |output| !matches!(output, Output::Document { document, .. } if failed.iter().any(|f| Arc::ptr_eq(f, document))),
        );

        // 11: on the record before the answer
        let done = jobs.iter().all(|job| job.outcome.is_ok());
        let kind = if done { Kind::Signed } else { Kind::Failed };
        let outcomes: Vec<_> = jobs.iter().map(|job| job.outcome.clone()).collect();
        let recorded = self
            .record(kind, id, &request, Some(token), |n| match &outcomes[n] {
                Ok(digest) => (*digest, None),
                Err(failure) => (None, Some(failure.code)),
            })
            .await;
        match recorded {
            Ok(()) => {
                let state = if done { State::Done } else { State::Failed };
                Signed { status: Status { state, items: jobs.iter().map(item_status).collect() }, outputs }
            }
            Err(failure) => Signed { status: Status::all(count, State::Failed, Some(failure)), outputs: Vec::new() },
        }
    }

    /// The end of a request that signed nothing: recorded, then told.
    async fn end(&self, id: &str, request: &SigningRequest, token: Option<Shown>, ended: Ended) -> Signed {
        let count = request.items.len();
        let (kind, status, code) = match ended {
            Ended::Failed(item, failure) => {
                let mut status = Status::all(count, State::Failed, Some(Failure::from(failure.code)));
                let code = failure.code;
                status.items[item].failure = Some(failure);
                (Kind::Failed, status, Some(code))
            }
            Ended::Refused(refusal) => {
                let (kind, state, code) = match refusal {
                    Refusal::Cancelled => (Kind::Cancelled, State::Cancelled, None),
                    Refusal::Declined => (Kind::Declined, State::Declined, None),
                    Refusal::Expired => (Kind::Expired, State::Expired, None),
                    Refusal::LastTry => (Kind::Failed, State::Failed, Some(Code::PinLastTry)),
                    Refusal::NoPrompt => (Kind::Failed, State::Failed, Some(Code::PromptUnavailable)),
                    Refusal::PinIncorrect => (Kind::Failed, State::Failed, Some(Code::PinIncorrect)),
                    Refusal::PinUnacceptable => (Kind::Failed, State::Failed, Some(Code::PinUnacceptable)),
                };
                (kind, Status::all(count, state, code.map(Failure::from)), code)
            }
        };
        // Nothing was signed, so a record that cannot be written changes nothing but the reason.
        match self.record(kind, id, request, token, |_| (None, code)).await {
            Err(failure) if kind != Kind::Failed => {
                Signed { status: Status::all(count, State::Failed, Some(failure)), outputs: Vec::new() }
            }
            _ => Signed { status, outputs: Vec::new() },
        }
    }

    /// Steps 3 and 4.
    async fn prepare(&self, request: &SigningRequest, cancel: &mut Cancel) -> Result<Vec<Job>, Ended> {
        let store = self.config.places.seals();
        let known = tokio::select! {
            biased;
            () = cancel.cancelled() => return Err(Ended::Refused(Refusal::Cancelled)),
            known = seals::all(&self.workers, &store) => known,
        };
        let now = (self.clock)();
        let mut bound: Vec<(KnownSeal, Holder)> = Vec::new();
        for (n, item) in request.items.iter().enumerate() {
            let failed = |failure: Failure| Ended::Failed(n, failure);
            let seal = known.find(&item.seal, now).ok_or_else(|| failed(Code::SealNotFound.into()))?;
            let holder = seal.holder.clone().ok_or_else(|| failed(self.why_absent(seal, &known)))?;
            if let Some((_, other)) = bound.first()
                && (&other.key.token, &other.key.key) != (&holder.key.token, &holder.key.key)
            {
                return Err(failed(Failure::new(Code::BadRequest, "all items of a request must be signed with one key")));
            }
            bound.push((seal.clone(), holder));
        }
        let (items, config, trust) = (request.items.clone(), self.config.clone(), self.trust.clone());
        self.in_pool(move || plan(&items, bound, &config, &trust, now)).await.map_err(|failure| Ended::Failed(0, failure))?
    }

    /// What the person will see of each document, where the preview is installed.
    async fn show_pages(&self, jobs: &[Job], asked: &mut [Asked]) -> Result<(), Failure> {
        let Some(preview) = &self.preview else { return Ok(()) };
        let wanted = |job: &Job| {
            let document = job.item.subject.document()?.clone();
            Some(pages::Wanted { document, placements: job.placements.clone(), seal: job.seal.seal.picture().data.clone() })
        };
        let pictures = pages::pictures(preview, &jobs.iter().map(wanted).collect::<Vec<_>>()).await?;
        for (asked, page) in asked.iter_mut().zip(pictures) {
            asked.shown.page = page;
        }
        Ok(())
    }

    /// A seal that no present key can use: its token is away, or what is plugged in has another certificate.
    fn why_absent(&self, seal: &KnownSeal, known: &seals::Seals) -> Failure {
        let busy = known.tokens.failures.iter().any(|(_, e)| matches!(e, WorkerError::Driver(DriverError::Busy)));
        let renewed = known.holders.iter().any(|holder| {
            let crate::ses::CertList::Certificates(list) = &seal.seal.property().cert_list else { return false };
            list.iter()
                .filter_map(|c| crate::pki::Certificate::parse(c).ok())
                .any(|c| c.key().sm2() == Some(&holder.key.public_key) || c.subject().matches(holder.certificate.subject()))
        });
        match (renewed, busy) {
            (true, _) => Code::SealCertificateMismatch.into(),
            (_, true) => Code::TokenBusy.into(),
            _ => Code::TokenAbsent.into(),
        }
    }

    /// The tries left, read just before they are shown.
    async fn pin_status(&self, holder: &Holder) -> Result<PinStatus, Failure> {
        let inspected = self.workers.inspect(&holder.key.token).await.map_err(|e| match of_worker(&e) {
            Failure { code: Code::TokenAbsent, .. } => Code::TokenRemoved.into(),
            failure => failure,
        })?;
        if inspected.pin.blocked { Err(Code::PinBlocked.into()) } else { Ok(inspected.pin) }
    }

    /// Step 7: what the token will be given, if it is what the person agreed to.
    fn authorise(&self, consent: &mut Consent, n: usize, job: &Job) -> Result<(value::ToBeSigned, consent::Authorised), Failure> {
        let (data_hash, property) = match &job.room {
            Room::Digest { data_hash, property } => (*data_hash, property.as_str()),
            Room::Prepared(prepared) => (prepared.digest(), prepared.property()),
            Room::None => return Err(Code::Internal.into()),
        };
        let time = (self.clock)();
        // Time has passed while the person was asked.
        if !job.seal.is_in_dates(time) {
            return Err(Code::SealExpired.into());
        }
        let identifiers = match job.item.subject.document() {
            Some(document) if document.format == Format::Pdf => self.config.pdf.identifiers,
            _ => PdfIdentifiers::Gm,
        };
        let (kind, seal, holder) = (job.item.signed_value, &job.seal, &job.holder);
        let draft = value::Draft { kind, identifiers, seal, holder, data_hash, property, time };
        let (value, tbs) = draft.to_be_signed()?;
        let authorised = consent.authorise(n, tbs).map_err(|error| {
            tracing::error!(%error, "a message was built that nobody agreed to");
            Failure::from(Code::Internal)
        })?;
        Ok((value, authorised))
    }

    /// Steps 8 to 10 for an item whose message is authorised.
    async fn make(
        &self,
        jobs: &mut [Job],
        n: usize,
        (value, authorised): (value::ToBeSigned, consent::Authorised),
        login: &mut LoggedIn,
        scratch: &Scratch,
    ) -> Result<(Option<Sm3Digest>, Output), Failure> {
        // 8
        let signature = login.sign(authorised).await.map_err(|e| of_worker(&e))?;
        // 9: nothing is embedded that does not verify
        let value = value.assemble(&jobs[n].holder, &signature)?;
        // 10
        let job = &mut jobs[n];
        let (prepared, document) = match (std::mem::replace(&mut job.room, Room::None), &job.item.subject) {
            (Room::Prepared(prepared), Subject::Document { document, .. }) => (prepared, document.clone()),
            _ => return Ok((None, Output::Value { item: n, value })),
        };
        let new_signatures = jobs[..=n].iter().filter(|j| j.item.subject.is(&document)).count();
        let complete = !jobs[n].followed;
        let (trust, now, scratch) = (self.trust.clone(), (self.clock)(), scratch.clone());
        let (draft, sm3) = self
            .in_pool(move || {
                let (draft, sm3) = embed(*prepared, &value, &scratch)?;
                let draft = if complete { judge(draft, document.signatures, new_signatures, &trust, now)? } else { draft };
                Ok::<_, Failure>((draft, sm3))
            })
            .await??;
        let Some(document) = jobs[n].item.subject.document().cloned() else { return Err(Code::Internal.into()) };
        Ok((Some(sm3), Output::Document { document, draft, sm3 }))
    }

    /// Steps 7 to 10 for a further item. One that follows another on the same document is prepared on what that one made.
    async fn make_next(
        &self,
        consent: &mut Consent,
        jobs: &mut [Job],
        n: usize,
        login: &mut LoggedIn,
        scratch: &Scratch,
        outputs: &[Output],
    ) -> Result<(Option<Sm3Digest>, Output), Failure> {
        if let (Some(after), Subject::Document { document, .. }) = (jobs[n].after, &jobs[n].item.subject) {
            if let Err(failure) = &jobs[after].outcome {
                return Err(Failure::new(failure.code, format!("item {after} on the same document failed")));
            }
            let made = outputs.iter().find_map(|output| match output {
                Output::Document { document: of, draft, .. } if Arc::ptr_eq(of, document) => draft.file.try_clone().ok(),
                _ => None,
            });
            let bytes = Bytes::new(made.ok_or(Code::Internal)?).map_err(|e| of_io(&e))?;
            let job = &jobs[n];
            let room = RoomPlan::new(&job.item, &job.seal, &job.holder, &job.placements, &self.config, (self.clock)());
            let format = document.format;
            let prepared = self.in_pool(move || room.make(format, &bytes)).await??;
            consent.settle(n, prepared.digest(), prepared.property().to_owned()).map_err(|error| {
                tracing::error!(%error, "a following item cannot be settled");
                Failure::from(Code::Internal)
            })?;
            jobs[n].room = Room::Prepared(Box::new(prepared));
        }
        let authorised = self.authorise(consent, n, &jobs[n])?;
        self.make(jobs, n, authorised, login, scratch).await
    }

    /// Work on documents, off the threads that answer, and not more at once than there are permits.
    pub(crate) async fn in_pool<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Failure> {
        let _permit = self.pool.acquire().await.map_err(|_| Failure::from(Code::Internal))?;
        tokio::task::spawn_blocking(work).await.map_err(|error| {
            tracing::error!(%error, "work on a document ended unexpectedly");
            Code::Internal.into()
        })
    }

    /// A line for a request whose result nobody fetched.
    pub(super) async fn record_not_delivered(&self, id: &str, request: &SigningRequest) {
        // The result is gone in any case; a record that cannot be written has been logged.
        let _ = self.record(Kind::NotDelivered, id, request, None, |_| (None, None)).await;
    }

    async fn record(
        &self,
        kind: Kind,
        id: &str,
        request: &SigningRequest,
        token: Option<Shown>,
        outcome: impl Fn(usize) -> (Option<Sm3Digest>, Option<Code>),
    ) -> Result<(), Failure> {
        let (audit, event, at) = (self.audit.clone(), self.event(kind, id, request, token, outcome), (self.clock)());
        let written = tokio::task::spawn_blocking(move || audit.append(at, &event)).await;
        match written {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => {
                tracing::error!(%error, "the record cannot be written");
                Err(Code::AuditUnavailable.into())
            }
            Err(error) => {
                tracing::error!(%error, "writing the record ended unexpectedly");
                Err(Code::AuditUnavailable.into())
            }
        }
    }

    fn event(
        &self,
        kind: Kind,
        id: &str,
        request: &SigningRequest,
        token: Option<Shown>,
        outcome: impl Fn(usize) -> (Option<Sm3Digest>, Option<Code>),
    ) -> Event {
        let record = |(n, item): (usize, &SigningItem)| {
            let (name, sm3, digest_only) = match &item.subject {
                Subject::Digest { name, sm3, .. } => (name, *sm3, true),
                Subject::Document { document, .. } => (&document.name, document.sm3, false),
            };
            let (signed, code) = outcome(n);
            ItemRecord { name: Shown::new(name), sm3, digest_only, seal: Shown::new(&item.seal), signed, code }
        };
        Event {
            event: kind,
            request: id.to_owned(),
            requester: request.requester.clone(),
            user: self.user.clone(),
            items: request.items.iter().enumerate().map(record).collect(),
            token,
            origin: None,
        }
    }
}

impl Subject {
    fn document(&self) -> Option<&Arc<Document>> {
        match self {
            Self::Digest { .. } => None,
            Self::Document { document, .. } => Some(document),
        }
    }

    /// The field that is to be signed, and in which document.
    fn field(&self) -> Option<(*const Document, &str)> {
        match self {
            Self::Document { document, stamp: Stamp::Field { name }, .. } => Some((Arc::as_ptr(document), name)),
            _ => None,
        }
    }

    fn is(&self, document: &Arc<Document>) -> bool {
        self.document().is_some_and(|own| Arc::ptr_eq(own, document))
    }
}

/// Step 4: each item's seal is checked, its stamp placed, and room made in its document if it is the first on it.
fn plan(
    items: &[SigningItem],
    bound: Vec<(KnownSeal, Holder)>,
    config: &Config,
    trust: &TrustStore,
    now: Timestamp,
) -> Result<Vec<Job>, Ended> {
    let mut jobs: Vec<Job> = Vec::new();
    for (n, (item, (seal, holder))) in items.iter().zip(bound).enumerate() {
        let after = item.subject.document().and_then(|document| jobs.iter().rposition(|job| job.item.subject.is(document)));
        let is_taken = jobs.iter().any(|job| item.subject.field().is_some_and(|field| job.item.subject.field() == Some(field)));
        if is_taken {
            return Err(Ended::Failed(n, Failure::new(Code::BadRequest, "an item before it signs the same field")));
        }
        let planned = plan_one(item, &seal, &holder, after.map(|a| &jobs[a]), config, trust, now);
        let (placements, room) = planned.map_err(|failure| Ended::Failed(n, failure))?;
        if let Some(after) = after {
            jobs[after].followed = true;
        }
        jobs.push(Job { item: item.clone(), seal, holder, placements, after, followed: false, room, outcome: Ok(None) });
    }
    Ok(jobs)
}

fn plan_one(
    item: &SigningItem,
    seal: &KnownSeal,
    holder: &Holder,
    after: Option<&Job>,
    config: &Config,
    trust: &TrustStore,
    now: Timestamp,
) -> Result<(Vec<Placement>, Room), Failure> {
    seals::check(&seal.seal, &holder.certificate, trust, now)?;
    let (document, stamp) = match &item.subject {
        Subject::Digest { sm3, property, .. } => {
            return Ok((Vec::new(), Room::Digest { data_hash: *sm3, property: property.clone() }));
        }
        Subject::Document { document, stamp, .. } => (document, stamp),
    };
    // OFD draws the seal that stands in the signed value, PDF the picture that is put beside it.
    if document.format == Format::Ofd && item.signed_value == SignedValueKind::Gbt35275 && *stamp != Stamp::Nowhere {
        return Err(Failure::new(Code::BadRequest, "in OFD a value of kind gbt35275 carries no seal: stamp must be none"));
    }
    let picture = seal.seal.picture();
    let size = SizeMm { width: picture.width_mm as f64, height: picture.height_mm as f64 };
    let placements = document.place(stamp, size).map_err(|e| of_document(&e))?;
    match after {
        Some(Job { item: SigningItem { subject: Subject::Document { close: true, .. }, .. }, .. }) => {
            return Err(Failure::new(Code::DocumentClosed, "the item before it closes the document"));
        }
        Some(_) => return Ok((placements, Room::None)),
        None => {}
    }
    if document.signatures > 0 {
        let report = Verifier::verify(document.bytes.reader(), &Context::new(trust, now));
        if let Some(broken) = report.signatures.iter().find(|s| !is_intact(s)) {
            return Err(Failure::new(Code::DocumentSignatureBroken, format!("signature {}", Shown::new(&broken.id))));
        }
    }
    let prepared = RoomPlan::new(item, seal, holder, &placements, config, now).make(document.format, &document.bytes)?;
    Ok((placements, Room::Prepared(Box::new(prepared))))
}

/// How room is made for an item's signed value.
struct RoomPlan {
    plan: SigningPlan,
    options: SignatureOptions,
}

impl RoomPlan {
    fn new(
        item: &SigningItem,
        seal: &KnownSeal,
        holder: &Holder,
        placements: &[Placement],
        config: &Config,
        time: Timestamp,
    ) -> Self {
        let certificate = &holder.certificate;
        let (kind, seal_len) = match item.signed_value {
            SignedValueKind::Ses => (SignatureKind::Seal(seal.seal.raw().to_vec()), seal.seal.raw().len()),
            SignedValueKind::Gbt35275 => (SignatureKind::Sign, 0),
        };
        let filters = config.pdf.seal_filters.clone().filter(|_| item.signed_value == SignedValueKind::Ses);
        let plan = SigningPlan {
            placements: placements.to_vec(),
            kind,
            provider: Provider { name: "sealagent".into(), version: env!("CARGO_PKG_VERSION").into() },
            time,
            close: matches!(item.subject, Subject::Document { close: true, .. }),
            room: seal_len + certificate.der().len() + ROOM,
        };
        let options = SignatureOptions {
            field: item.subject.field().map(|(_, name)| name.to_owned()),
            filters,
            picture: Some(seal.seal.picture().data.clone()),
            name: Some(signer(certificate).as_str().to_owned()),
            ..SignatureOptions::default()
        };
        Self { plan, options }
    }

    fn make(self, format: Format, bytes: &Bytes) -> Result<PreparedDocument, Failure> {
        format.prepare(bytes, &self.plan, self.options).map_err(|e| of_document(&e))
    }
}

/// Step 10: the document with the value in it, on the disk.
fn embed(prepared: PreparedDocument, value: &[u8], scratch: &Scratch) -> Result<(Draft, Sm3Digest), Failure> {
    let draft = scratch.draft().map_err(|e| of_io(&e))?;
    let sm3 = {
        let mut out = Hashing { out: BufWriter::new(&draft.file), digest: Sm3::new() };
        prepared.embed(value, &mut out).map_err(|e| of_document(&e))?;
        out.flush().map_err(|e| of_io(&e))?;
        out.digest.clone().finish()
    };
    draft.file.sync_data().map_err(|e| of_io(&e))?;
    Ok((draft, sm3))
}

/// The last check: the finished document, read from the disk as anyone else would, has exactly the new signatures more, and they are
/// good in all that does not depend on whom a reader trusts.
fn judge(draft: Draft, before: usize, new: usize, trust: &TrustStore, now: Timestamp) -> Result<Draft, Failure> {
    let bytes = Bytes::new(draft.file.try_clone().map_err(|e| of_io(&e))?).map_err(|e| of_io(&e))?;
    let report = Verifier::verify(bytes.reader(), &Context::new(trust, now));
    let signatures = &report.signatures;
    if signatures.len() != before + new || !signatures.iter().all(is_intact) {
        for finding in signatures.iter().flat_map(|s| &s.findings).chain(&report.findings) {
            tracing::error!(code = ?finding.code, level = ?finding.level, finding.message, "our own signature does not verify");
        }
        return Err(Code::Internal.into());
    }
    Ok(draft)
}

/// Whether form, digests and the signer's signature hold.
fn is_intact(signature: &SignatureReport) -> bool {
    [Layer::Format, Layer::Integrity, Layer::Signature]
        .iter()
        .all(|layer| signature.layers.get(layer).is_none_or(|state| *state != LayerState::Failed))
}

/// Digests what it passes on.
struct Hashing<W> {
    out: W,
    digest: Sm3,
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.digest.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.out.flush()
    }
}

/// What the person is shown of a job, and what their "yes" binds.
fn asked(job: &Job) -> Asked {
    let property = job.seal.seal.property();
    let certificate = &job.holder.certificate;
    let codes = subject_codes(certificate);
    let seal = SealShown {
        name: Shown::new(&property.name),
        es_id: Shown::new(job.seal.seal.es_id()),
        valid_from: property.valid_from.instant,
        valid_to: property.valid_to.instant,
        signer: signer(certificate),
        uscc: codes.first().map(|code| Shown::new(&code.uscc)),
        picture: job.seal.seal.picture().data.clone(),
    };
    let (document, closes) = match &job.item.subject {
        Subject::Digest { name, sm3, .. } => (DocumentShown::DigestOnly { name: Shown::new(name), sm3: *sm3 }, false),
        Subject::Document { document, close, .. } => {
            let field = job.item.subject.field().and_then(|(_, name)| document.fields.iter().find(|field| field.name == name));
            let shown = DocumentShown::Seen {
                name: Shown::new(&document.name),
                format: document.format.shown(),
                pages: document.pages.len(),
                bytes: document.bytes.len(),
                sm3: document.sm3,
            };
            (shown, *close || field.is_some_and(|field| field.closes))
        }
    };
    let placements = job.placements.iter().map(placement_shown).collect();
    let (data_hash, bound_property) = match (&job.room, job.after) {
        (Room::Digest { data_hash, property }, _) => (DataHash::Fixed(*data_hash), property.clone()),
        (Room::Prepared(prepared), _) => (DataHash::Fixed(prepared.digest()), prepared.property().to_owned()),
        (Room::None, after) => (DataHash::After(after.unwrap_or(usize::MAX)), String::new()),
    };
    let bound = ConsentItem { data_hash, property: bound_property, seal: job.seal.digest, key: job.holder.key.public_key };
    Asked { shown: SummaryItem { document, seal, placements, closes, page: None }, bound }
}

/// The part of the page that will show the seal.
fn placement_shown(placement: &Placement) -> PlacementShown {
    let (rect, clip) = (placement.rect, placement.clip);
    let (x, y, width, height) = match clip {
        Some(clip) => (rect.x + clip.x, rect.y + clip.y, clip.width, clip.height),
        None => (rect.x, rect.y, rect.width, rect.height),
    };
    PlacementShown { page: placement.page.number(), x, y, width, height }
}

fn token_shown(holder: &Holder) -> TokenShown {
    let serial: Vec<char> = holder.token.info.serial.chars().collect();
    let tail: String = serial[serial.len().saturating_sub(4)..].iter().collect();
    TokenShown { label: Shown::new(&holder.token.info.label), serial_tail: Shown::new(&tail) }
}

fn item_status(job: &Job) -> ItemStatus {
    match &job.outcome {
        Ok(_) => ItemStatus { state: State::Done, failure: None },
        Err(failure) => ItemStatus { state: State::Failed, failure: Some(failure.clone()) },
    }
}

fn is_same_document(a: &Output, b: &Output) -> bool {
    matches!((a, b), (Output::Document { document: a, .. }, Output::Document { document: b, .. }) if Arc::ptr_eq(a, b))
}

/// What to do after a login that failed.
enum AfterLogin {
    AskAgain,
    Declined,
    Failed(Failure),
}

fn after_login(error: &WorkerError) -> AfterLogin {
    match error {
        WorkerError::Driver(DriverError::PinIncorrect { .. } | DriverError::PinUnacceptable { .. }) => AfterLogin::AskAgain,
        WorkerError::Driver(DriverError::Cancelled) => AfterLogin::Declined,
        error => AfterLogin::Failed(of_worker(error)),
    }
}

/// What an error of a worker means to the outside. Vendor codes stay in the log.
fn of_worker(error: &WorkerError) -> Failure {
    tracing::warn!(%error, "a token did not do what was asked");
    let code = match error {
        WorkerError::Driver(driver) => match driver {
            DriverError::Busy => Code::TokenBusy,
            DriverError::PinBlocked => Code::PinBlocked,
            DriverError::PinIncorrect { .. } => Code::PinIncorrect,
            DriverError::PinUnacceptable { .. } => Code::PinUnacceptable,
            DriverError::TokenAbsent | DriverError::KeyAbsent { .. } => Code::TokenRemoved,
            _ => Code::DriverCrashed,
        },
        WorkerError::Deadline { .. } | WorkerError::LoginExpired => Code::DriverTimeout,
        WorkerError::DiedWithPin { cause, .. } => return of_worker(cause),
        WorkerError::ShuttingDown => Code::Internal,
        WorkerError::SignatureInvalid(_) => Code::TokenSignatureInvalid,
        WorkerError::TokenAbsent => Code::TokenRemoved,
        _ => Code::DriverCrashed,
    };
    code.into()
}
