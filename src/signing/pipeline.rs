//! One signing request from policy to answer, in the order of ARCHITECTURE §5. [`Signer::sign`] reads top to bottom; what it calls
//! stands below it.

use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::{Semaphore, watch};
use ukey::{DriverError, PinStatus};

use super::finish::{embed, judge};
use super::job::{Job, Room, RoomPlan, item_status, plan};
use super::pages;
use super::shown::asked;
use super::subject::{Bytes, Document, Draft, Format, Scratch, of_io};
use super::value;
use super::{MAX_ITEMS, SigningRequest, State, Status, Subject};
use crate::audit::{Audit, Kind};
use crate::config::{Config, PdfIdentifiers};
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
use crate::workers::{Client, LoggedIn, WorkerError};

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
    /// Something was in the way of one item, and so of all.
    Failed(usize, Failure),
    /// There is no consent.
    Refused(Refusal),
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
                match consent::obtain(&turn, &asked, TokenShown::of(&holder.token.info), pin, attempt, &cancel).await {
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
        let keywords = tokio::select! {
            biased;
            () = cancel.cancelled() => return Err(Ended::Refused(Refusal::Cancelled)),
            keywords = self.keywords(&request.items) => keywords?,
        };
        let (items, config, trust) = (request.items.clone(), self.config.clone(), self.trust.clone());
        let licence_required = policy::licence_required(&config, &request.requester);
        self.in_pool(move || plan(&items, bound, &keywords, &config, licence_required, &trust.current(), now))
            .await
            .map_err(|failure| Ended::Failed(0, failure))?
    }

    /// What the person will see of each document, where the preview is installed.
    async fn show_pages(&self, jobs: &[Job], asked: &mut [Asked]) -> Result<(), Failure> {
        let Some(preview) = &self.preview else { return Ok(()) };
        let wanted = |job: &Job| {
            let document = job.item.subject.document()?.clone();
            Some(pages::Wanted { document, placements: job.placements.clone(), seal: job.seal.seal.picture().data.clone() })
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
        let (trust, now, scratch) = (self.trust.current(), (self.clock)(), scratch.clone());
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
pub(crate) fn of_worker(error: &WorkerError) -> Failure {
    tracing::warn!(%error, "a token did not do what was asked");
    error.code().into()
}
