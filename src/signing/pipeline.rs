//! One signing request from policy to answer, in the order of ARCHITECTURE §5. [`Signer::sign`] reads top to bottom; what it calls
//! stands below it.

use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::Semaphore;
use ukey::{DriverError, PinStatus};

use super::batch::{self, Batch, Message};
use super::finish::Finisher;
use super::job::{Bound, Job, Room, has_place_for_a_stamp, item_status, plan};
use super::pages;
use super::progress::Progress;
use super::shown::asked;
use super::subject::{Document, Draft, Format, Scratch};
use super::timestamp::Stamper;
use super::value;
use super::{ItemStatus, MAX_ITEMS, SigningRequest, State, Status, Subject};
use crate::audit::{Audit, Kind};
use crate::config::{self, Config, PdfIdentifiers};
use crate::consent::policy::{self, Wish};
use crate::consent::prompt::{Cancel, Crowded, Place, PromptQueue};
use crate::consent::summary::{Shown, TokenShown};
use crate::consent::{self, Asked, Consent, Outcome, Refusal};
use crate::document::Prepared as _;
use crate::failure::{Code, Failure};
use crate::preview;
use crate::seals::{self, Holder, KnownSeal};
use crate::sm::Sm3Digest;
use crate::trusted::Trusted;
use crate::workers::{Client, WorkerError};

/// Gives the time. A value, so that tests can stop it.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

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
    pub trust: Arc<Trusted>,
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
pub(super) enum Ended {
    /// Something was in the way of these items, and so of all.
    Failed(Vec<(usize, Failure)>),
    /// There is no consent.
    Refused(Refusal),
}

impl Ended {
    /// The items that something was in the way of.
    fn unfit(&self) -> Vec<usize> {
        match self {
            Self::Failed(failures) => failures.iter().map(|(n, _)| *n).collect(),
            Self::Refused(_) => Vec::new(),
        }
    }

    /// Something was in the way of one item.
    pub fn one(n: usize, failure: Failure) -> Self {
        Self::Failed(vec![(n, failure)])
    }
}

impl Signer {
    /// Steps 1 and 2: whether this may be asked at all. Refusals of policy are recorded.
    pub async fn allow(&self, id: &str, request: &SigningRequest) -> Result<(), Failure> {
        if request.items.is_empty() || request.items.len() > MAX_ITEMS {
            return Err(Failure::new(Code::BadRequest, format!("items: between 1 and {MAX_ITEMS}")));
        }
        if request.timestamp.is_some() && self.service(request).is_none() {
            return Err(Failure::new(Code::BadRequest, "timestamp: no time stamp service of this name is configured"));
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

    /// The service that stamps this request's signatures: the one it names, else the first that the configuration requires.
    fn service(&self, request: &SigningRequest) -> Option<config::Timestamp> {
        let services = &self.config.timestamps;
        let found = match &request.timestamp {
            Some(name) => services.iter().find(|service| service.name == *name),
            None => services.iter().find(|service| service.required),
        };
        found.cloned()
    }

    async fn stamper(&self, request: &SigningRequest) -> Result<Option<Stamper>, Failure> {
        let Some(service) = self.service(request) else { return Ok(None) };
        let trust = self.trust.clone();
        let trust = self.in_pool(move || trust.current()).await?;
        let stamper = Stamper::new(service, self.config.fetch.proxy.as_deref(), trust, self.clock.clone());
        stamper.map(Some).map_err(|error| Failure::new(Code::TimestampFailed, error))
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
        progress: &Progress,
        mut cancel: Cancel,
    ) -> Status {
        let count = request.items.len();
        // 3: seal, token and key of each item
        // 4: placements, document digests, room for the values
        let jobs = match self.prepare(&request, &mut cancel).await {
            Ok(jobs) => jobs,
            Err(ended) => {
                let unfit = ended.unfit();
                return Status { unfit, ..self.end(id, &request, None, ended).await };
            }
        };
        let Some(holder) = jobs.first().map(|job| job.bound.holder.clone()) else {
            return Status::all(count, State::Failed, Some(Code::BadRequest.into()));
        };
        let token = Shown::new(&holder.token.info.serial);
        let stamper = match self.stamper(&request).await {
            Ok(stamper) => stamper,
            Err(failure) => return self.end(id, &request, Some(token), Ended::one(0, failure)).await,
        };
        let stamped_by = stamper.as_ref().filter(|_| jobs.iter().any(Job::has_place_for_a_stamp)).map(|s| Shown::new(&s.host()));
        let mut asked = jobs.iter().map(asked).collect::<Vec<_>>();
        if let Err(failure) = self.show_pages(&jobs, &mut asked).await {
            return self.end(id, &request, Some(token), Ended::one(0, failure)).await;
        }

        // 5 to 8: one person, one answer, one login
        let Some(turn) = self.prompts.turn(place, &mut cancel).await else {
            return self.end(id, &request, Some(token), Ended::Refused(Refusal::Cancelled)).await;
        };
        let mut attempt = 1;
        let (consent, login, first) = loop {
            let pin = match self.pin_status(&holder).await {
                Ok(pin) => pin,
                Err(failure) => return self.end(id, &request, Some(token), Ended::one(0, failure)).await,
            };
            // 5: the summary, fresh each time
            let (mut consent, credential) = match consent::obtain(
                &turn,
                &asked,
                stamped_by.as_ref(),
                TokenShown::of(&holder.token.info),
                pin,
                attempt,
                &cancel,
            )
            .await
            {
                Outcome::Approved(consent, credential) => (consent, credential),
                Outcome::Not(refusal) => return self.end(id, &request, Some(token), Ended::Refused(refusal)).await,
            };
            // 6: on the record before the token is asked
            if let Err(failure) = self.record(Kind::Accepted, id, &request, Some(token.clone()), |_| (None, None)).await {
                return self.end(id, &request, Some(token), Ended::one(0, failure)).await;
            }
            // 7: the first message, built and authorised before the PIN is used
            let first = match self.authorise(&mut consent, 0, &jobs[0]) {
                Ok(first) => first,
                Err(failure) => return self.end(id, &request, Some(token), Ended::one(0, failure)).await,
            };
            // 8: one login with this credential
            progress.all(State::Signing);
            match self.workers.login(&holder.key, credential).await {
                Ok(login) => break (consent, login, first),
                Err(error) => match after_login(&error) {
                    AfterLogin::AskAgain => {
                        attempt += 1;
                        progress.all(State::Waiting);
                    }
                    AfterLogin::Declined => {
                        return self.end(id, &request, Some(token), Ended::Refused(Refusal::Declined)).await;
                    }
                    AfterLogin::Failed(failure) => {
                        return self.end(id, &request, Some(token), Ended::one(0, failure)).await;
                    }
                },
            }
        };
        drop(turn);

        // 7 to 10 for each item: build, authorise, sign, verify, assemble, embed; what is finished is recorded and given out meanwhile
        let finisher = Finisher {
            pool: self.pool.clone(),
            trust: self.trust.clone(),
            clock: self.clock.clone(),
            scratch: scratch.clone(),
            stamper,
        };
        let finisher = Arc::new(finisher);
        let (request, token) = (&request, &token);
        let batch = Batch { signer: self, id, request, token, consent, jobs, finisher, progress, stopped: None };
        let batch::Ended { jobs, finished } = batch.run(first, login).await;

        // 11: on the record before the answer
        let items: Vec<_> = jobs.iter().map(item_status).collect();
        let done = items.iter().all(|item| item.state == State::Done);
        let kind = if done { Kind::Signed } else { Kind::Failed };
        let outcome = |n: usize| match &jobs[n].outcome {
            Some(Ok(digest)) => (*digest, None),
            Some(Err(failure)) => (None, Some(failure.code)),
            None => (None, Some(Code::Internal)),
        };
        match self.record(kind, id, request, Some(token.clone()), outcome).await {
            Ok(()) => {
                finished.into_iter().for_each(|finished| progress.done(finished));
                Status { state: if done { State::Done } else { State::Failed }, items, unfit: Vec::new() }
            }
            Err(failure) => {
                let mut status = Status { state: State::Failed, items, unfit: Vec::new() };
                // What was given out before has a line of its own.
                for n in finished.iter().flat_map(|finished| &finished.items).map(|(n, _)| *n) {
                    status.items[n] = ItemStatus { state: State::Failed, failure: Some(failure.clone()), warning: None };
                }
                status
            }
        }
    }

    /// The end of a request that signed nothing: recorded, then told.
    async fn end(&self, id: &str, request: &SigningRequest, token: Option<Shown>, ended: Ended) -> Status {
        let count = request.items.len();
        let (kind, status, code) = match ended {
            Ended::Failed(failures) => {
                let code = failures.first().map_or(Code::Internal, |(_, failure)| failure.code);
                let mut status = Status::all(count, State::Failed, Some(code.into()));
                failures.into_iter().for_each(|(n, failure)| status.items[n].failure = Some(failure));
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
            Err(failure) if kind != Kind::Failed => Status::all(count, State::Failed, Some(failure)),
            _ => status,
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
            let failed = |failure: Failure| Ended::one(n, failure);
            let seal = known.find(&item.seal, now).ok_or_else(|| failed(Code::SealNotFound.into()))?;
            let holder = seal.holder.clone().ok_or_else(|| failed(self.why_absent(seal, &known)))?;
            if let Some((_, other)) = bound.first()
                && (&other.key.token, &other.key.key) != (&holder.key.token, &holder.key.key)
            {
                return Err(failed(Failure::new(Code::BadRequest, "all items of a request must be signed with one key")));
            }
            if !has_place_for_a_stamp(item, seal) && self.service(request).is_some_and(|service| service.required) {
                let why = "a required time stamp has no place in a signature with a V1 seal";
                return Err(failed(Failure::new(Code::TimestampFailed, why)));
            }
            bound.push((seal.clone(), holder));
        }
        let seals: Vec<&KnownSeal> = bound.iter().map(|(seal, _)| seal).collect();
        let unanswered = tokio::select! {
            biased;
            () = cancel.cancelled() => return Err(Ended::Refused(Refusal::Cancelled)),
            unanswered = self.ask_about_seals(&seals, now) => unanswered,
        };
        let keywords = tokio::select! {
            biased;
            () = cancel.cancelled() => return Err(Ended::Refused(Refusal::Cancelled)),
            keywords = self.keywords(&request.items) => keywords?,
        };
        let impressions = tokio::select! {
            biased;
            () = cancel.cancelled() => return Err(Ended::Refused(Refusal::Cancelled)),
            impressions = self.impressions(bound.iter().map(|(seal, _)| seal)) => impressions,
        };
        let bound = bound.into_iter().map(|(seal, holder)| {
            let impression = impressions.get(&seal.digest).cloned().unwrap_or_else(|| Err(Code::Internal.into()));
            let unanswered = unanswered.get(seal.seal.es_id()).cloned();
            Bound { seal, holder, impression, unanswered }
        });
        let bound = bound.collect();
        let (request, config, trust) = (request.clone(), self.config.clone(), self.trust.clone());
        let licence_required = policy::licence_required(&config, &request.requester);
        self.in_pool(move || plan(&request, bound, &keywords, &config, licence_required, &trust.current(), now))
            .await
            .map_err(|failure| Ended::one(0, failure))?
    }

    /// What the person will see of each document, where the preview is installed.
    async fn show_pages(&self, jobs: &[Job], asked: &mut [Asked]) -> Result<(), Failure> {
        let Some(preview) = &self.preview else { return Ok(()) };
        let wanted = |job: &Job| {
            let document = job.item.subject.document()?.clone();
            Some(pages::Wanted { document, placements: job.placements.clone(), seal: job.bound.shown() })
        };
        let mut pages = pages::Pages::new(preview.clone(), jobs.iter().map(wanted).collect());
        let first = pages.first().await?;
        for ((asked, page), leaves) in asked.iter_mut().zip(first).zip(pages.leaves()) {
            (asked.shown.page, asked.shown.leaves) = (page, leaves);
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
    pub(super) fn authorise(&self, consent: &mut Consent, n: usize, job: &Job) -> Result<Message, Failure> {
        let (data_hash, property) = match &job.room {
            Room::Digest { data_hash, property } => (*data_hash, property.as_str()),
            Room::Prepared(prepared) => (prepared.digest(), prepared.property()),
            Room::None => return Err(Code::Internal.into()),
        };
        let time = (self.clock)();
        // Time has passed while the person was asked.
        if !job.bound.seal.is_in_dates(time) {
            return Err(Code::SealExpired.into());
        }
        let identifiers = match job.item.subject.document() {
            Some(document) if document.format == Format::Pdf => self.config.pdf.identifiers,
            _ => PdfIdentifiers::Gm,
        };
        let (kind, seal, holder) = (job.item.signed_value, &job.bound.seal, &job.bound.holder);
        let draft = value::Draft { kind, identifiers, seal, holder, data_hash, property, time };
        let (value, tbs) = draft.to_be_signed()?;
        let authorised = consent.authorise(n, tbs).map_err(|error| {
            tracing::error!(%error, "a message was built that nobody agreed to");
            Failure::from(Code::Internal)
        })?;
        Ok((value, authorised))
    }

    /// Work on documents, off the threads that answer, and not more at once than there are permits.
    pub(crate) async fn in_pool<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Failure> {
        in_pool(&self.pool, work).await
    }
}

/// Work for which one of the permits is needed, off the threads that answer.
pub(super) async fn in_pool<T: Send + 'static>(
    pool: &Semaphore,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Failure> {
    let _permit = pool.acquire().await.map_err(|_| Failure::from(Code::Internal))?;
    tokio::task::spawn_blocking(work).await.map_err(|error| {
        tracing::error!(%error, "work on a document ended unexpectedly");
        Code::Internal.into()
    })
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
pub(crate) fn of_worker(error: &WorkerError) -> Failure {
    tracing::warn!(%error, "a token did not do what was asked");
    error.code().into()
}
