//! The items of one login: the token signs one message after the other and never waits for a document to be written. What is finished
//! is handed out while others are under way, each on the record first (I9).

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;

use super::finish::{Finisher, Made, Unfinished};
use super::job::{Job, Room, RoomPlan};
use super::pipeline::{Output, Signer, of_worker};
use super::progress::{Finished, Progress};
use super::subject::{Bytes, of_io};
use super::{SigningRequest, Subject, value};
use crate::audit::Kind;
use crate::consent::summary::Shown;
use crate::consent::{self, Consent};
use crate::document::Prepared as _;
use crate::failure::{Code, Failure};
use crate::sm::Sm3Digest;
use crate::workers::LoggedIn;

/// Most signed items whose documents are being written: each holds a document's update in memory.
const MAX_UNDER_WAY: usize = 8;
/// Finished items go on the record, and out, together and not more often than this: a line costs three writes to the disk.
const PART: Duration = Duration::from_secs(1);

/// A message, and what it was built of.
pub(super) type Message = (value::ToBeSigned, consent::Authorised);

/// A batch under way.
pub(super) struct Batch<'a> {
    pub signer: &'a Signer,
    pub id: &'a str,
    pub request: &'a SigningRequest,
    pub token: &'a Shown,
    pub consent: Consent,
    pub jobs: Vec<Job>,
    pub finisher: Arc<Finisher>,
    pub progress: &'a Progress,
    /// Why the token is not asked any more.
    pub stopped: Option<Failure>,
}

/// What is done beside the token.
#[derive(Default)]
struct Beside {
    writing: JoinSet<(usize, Result<Made, Failure>)>,
    /// Documents that a later item is still to be put on, by the item that was last.
    halfway: HashMap<usize, Made>,
    /// Complete and not yet on the record.
    finished: Vec<Complete>,
    recording: Option<Recording>,
    recorded_at: Option<Instant>,
}

/// A document that is done, and what the record is told of each of its items.
struct Complete {
    finished: Finished,
    digests: Vec<(usize, Option<Sm3Digest>)>,
}

/// A line of the record that is being written, and the items it is about.
struct Recording {
    items: Vec<usize>,
    task: JoinHandle<Result<(), Failure>>,
}

/// How a batch ended.
pub(super) struct Ended {
    pub jobs: Vec<Job>,
    /// Complete, and to be given out once the end is on the record.
    pub finished: Vec<Finished>,
}

impl Batch<'_> {
    /// Signs all items, the first with a message that is authorised already. After the first error of the token it is not asked again:
    /// the items that are left fail for the same reason.
    pub async fn run(mut self, first: Message, mut login: LoggedIn) -> Ended {
        let mut beside = Beside { recorded_at: Some(Instant::now()), ..Beside::default() };
        let mut first = Some(first);
        for n in 0..self.jobs.len() {
            self.make_way(&mut beside, n).await;
            if let Some(failure) = self.recorded(&mut beside, false).await {
                self.stopped.get_or_insert(failure);
            }
            if let Some(failure) = self.stopped.clone() {
                self.fail(n, failure);
                continue;
            }
            let message = match first.take() {
                Some(first) => Ok(first),
                None => self.message(&mut beside, n).await,
            };
            let (value, authorised) = match message {
                Ok(message) => message,
                Err(failure) => {
                    self.fail(n, failure);
                    continue;
                }
            };
            match login.sign(authorised).await {
                Ok(signature) => {
                    let job = &mut self.jobs[n];
                    let room = std::mem::replace(&mut job.room, Room::None);
                    let unfinished = Unfinished { n, value, signature, holder: job.bound.holder.clone(), room };
                    let document = job.item.subject.document().cloned().map(|document| {
                        let new = self.jobs[..=n].iter().filter(|j| j.item.subject.is(&document)).count();
                        (document, new, !self.jobs[n].followed)
                    });
                    let finisher = self.finisher.clone();
                    beside.writing.spawn(async move { (n, finisher.finish(unfinished, document).await) });
                }
                Err(error) => {
                    let failure = of_worker(&error);
                    self.fail(n, failure.clone());
                    self.stopped = Some(failure);
                }
            }
        }
        drop(login);
        while let Some(done) = beside.writing.join_next().await {
            self.settle(&mut beside, done);
        }
        let _ = self.recorded(&mut beside, true).await;
        // A document is given out with all its items or not at all: what stands under a seal that failed is not done.
        for n in (0..self.jobs.len()).rev() {
            let Some(after) = self.jobs[n].after else { continue };
            let failure = match &self.jobs[n].outcome {
                Some(Ok(_)) => continue,
                Some(Err(failure)) => failure.clone(),
                None => Code::Internal.into(),
            };
            self.fail(after, failure);
        }
        let mut finished: Vec<_> = beside.finished.into_iter().map(|complete| complete.finished).collect();
        // In the order of the request, not in that in which they were written.
        finished.sort_by_key(|finished| finished.items.iter().map(|(n, _)| *n).min());
        Ended { jobs: self.jobs, finished }
    }

    /// Takes what is written, and waits while there is too much of it or while the item before on the same document is among it.
    async fn make_way(&mut self, beside: &mut Beside, n: usize) {
        while let Some(done) = beside.writing.try_join_next() {
            self.settle(beside, done);
        }
        let waits = |batch: &Self| batch.jobs[n].after.is_some_and(|after| batch.jobs[after].outcome.is_none());
        while beside.writing.len() >= MAX_UNDER_WAY || waits(self) {
            match beside.writing.join_next().await {
                Some(done) => self.settle(beside, done),
                None => break,
            }
        }
    }

    fn settle(&mut self, beside: &mut Beside, done: Result<(usize, Result<Made, Failure>), tokio::task::JoinError>) {
        let (n, made) = match done {
            Ok(done) => done,
            Err(error) => {
                // Its item has no outcome and so fails at the end.
                tracing::error!(%error, "writing a document ended unexpectedly");
                return;
            }
        };
        match made {
            Err(failure) => {
                // What the token would sign now would fail for want of the same stamp.
                if failure.code == Code::TimestampFailed {
                    self.stopped.get_or_insert(failure.clone());
                }
                self.fail(n, failure);
            }
            Ok(made) => {
                self.jobs[n].outcome = Some(Ok(made.sm3));
                if let Some(warning) = &made.warning {
                    self.jobs[n].warning = Some(warning.clone());
                }
                if self.jobs[n].followed {
                    beside.halfway.insert(n, made);
                    return;
                }
                // With its document all earlier items on it are done.
                let (mut items, mut digests, mut next) = (Vec::new(), Vec::new(), Some(n));
                while let Some(item) = next {
                    items.push((item, self.jobs[item].warning.clone()));
                    digests.push((item, self.jobs[item].outcome.clone().and_then(Result::ok).flatten()));
                    next = self.jobs[item].after;
                }
                beside.finished.push(Complete { finished: Finished { items, output: made.output }, digests });
            }
        }
    }

    fn fail(&mut self, n: usize, failure: Failure) {
        self.progress.failed(n, &failure);
        self.jobs[n].outcome = Some(Err(failure));
    }

    /// Puts what is finished on the record and then gives it out, beside the token's work. Returns why that failed, if it did; `wait`
    /// waits for what is under way and begins nothing.
    async fn recorded(&mut self, beside: &mut Beside, wait: bool) -> Option<Failure> {
        let mut failed = None;
        if beside.recording.as_ref().is_some_and(|recording| wait || recording.task.is_finished())
            && let Some(Recording { items, task }) = beside.recording.take()
        {
            let outcome = task.await.unwrap_or_else(|_| Err(Code::AuditUnavailable.into()));
            if let Err(failure) = outcome {
                items.into_iter().for_each(|n| self.fail(n, failure.clone()));
                failed = Some(failure);
            }
        }
        let is_due = beside.recorded_at.is_none_or(|at| at.elapsed() >= PART);
        if wait || failed.is_some() || beside.recording.is_some() || beside.finished.is_empty() || !is_due {
            return failed;
        }
        beside.recorded_at = Some(Instant::now());
        let finished = std::mem::take(&mut beside.finished);
        let digests: HashMap<usize, Option<Sm3Digest>> =
            finished.iter().flat_map(|complete| complete.digests.iter().copied()).collect();
        let items = digests.keys().copied().collect();
        let outcome = |n: usize| digests.get(&n).map(|digest| (*digest, None));
        let line = self.signer.line(Kind::SignedInPart, self.id, self.request, Some(self.token.clone()), outcome);
        let progress = self.progress.clone();
        let task = tokio::spawn(async move {
            line.await?;
            finished.into_iter().for_each(|complete| progress.done(complete.finished));
            Ok(())
        });
        beside.recording = Some(Recording { items, task });
        None
    }

    /// Step 7 for a further item. One that follows another on the same document is prepared on what that one made.
    async fn message(&mut self, beside: &mut Beside, n: usize) -> Result<Message, Failure> {
        if let (Some(after), Subject::Document { document, .. }) = (self.jobs[n].after, &self.jobs[n].item.subject) {
            let made = match (&self.jobs[after].outcome, beside.halfway.remove(&after)) {
                (Some(Ok(_)), Some(Made { output: Output::Document { draft, .. }, .. })) => draft,
                (Some(Err(failure)), _) => {
                    return Err(Failure::new(failure.code, format!("item {after} on the same document failed")));
                }
                _ => return Err(Code::Internal.into()),
            };
            let bytes = Bytes::new(made.file.try_clone().map_err(|e| of_io(&e))?).map_err(|e| of_io(&e))?;
            let job = &self.jobs[n];
            let signer = self.signer;
            let room = RoomPlan::new(&job.item, &job.bound, &job.placements, &signer.config, (signer.clock)());
            let format = document.format;
            let prepared = signer.in_pool(move || room.make(format, &bytes)).await??;
            self.consent.settle(n, prepared.digest(), prepared.property().to_owned()).map_err(|error| {
                tracing::error!(%error, "a following item cannot be settled");
                Failure::from(Code::Internal)
            })?;
            self.jobs[n].room = Room::Prepared(Box::new(prepared));
        }
        self.signer.authorise(&mut self.consent, n, &self.jobs[n])
    }
}
