//! Asking the regions' services before a seal is used, and while a file is judged: where fetching is on, and only whom accepted lists name.
//!
//! A service that cannot be had stops nothing: what was kept counts by its own dates, and prompt, page and report say who did not answer.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::pipeline::Signer;
use crate::consent::summary::Shown;
use crate::failure::Failure;
use crate::scratch::Bytes;
use crate::seals::{KnownSeal, looked_up};
use crate::verify::Report;
use crate::verify::looked_up::{LookedUp, Lookups};
use crate::verify::report::Outcome;
use crate::verify::{Context, Verifier};

/// How long a person waits at most for regions before the prompt appears.
const BEFORE_SIGNING: Duration = Duration::from_secs(5);
/// How long a report waits at most for them.
pub const FOR_A_REPORT: Duration = Duration::from_secs(20);

impl Signer {
    /// Judges a file as of this moment, or as of one that was named. With `ask`, and where fetching is on, the regions' services are asked about
    /// what the verdict looked up, and the report rests on their answers too. An answer of today says nothing new about another moment, so
    /// then nobody is asked.
    pub async fn judge(self: &Arc<Self>, bytes: &Bytes, at: Option<Timestamp>, ask: bool) -> Result<Report, Failure> {
        let fetcher = if ask && at.is_none() { self.config.fetch.fetcher() } else { None };
        let looked_up = fetcher.is_some().then(|| Arc::new(LookedUp::default()));
        let report = self.judge_once(bytes, at, looked_up.clone()).await?;
        let (Some(fetcher), Some(looked_up)) = (fetcher, looked_up) else { return Ok(report) };
        let asked = self.trust.ask(&fetcher, looked_up.take(), FOR_A_REPORT, (self.clock)(), None).await;
        if asked.is_empty() {
            return Ok(report);
        }
        // After the answers: they are of a moment later than the first look.
        Ok(Report { asked, ..self.judge_once(bytes, at, None).await? })
    }

    async fn judge_once(
        self: &Arc<Self>,
        bytes: &Bytes,
        at: Option<Timestamp>,
        looked_up: Option<Arc<LookedUp>>,
    ) -> Result<Report, Failure> {
        let (signer, reader) = (Arc::clone(self), bytes.reader());
        self.in_pool(move || {
            let trust = signer.trust.current();
            let now = at.unwrap_or_else(|| (signer.clock)());
            Verifier::verify(reader, &Context { looked_up: looked_up.as_deref(), ..Context::new(&trust, now) })
        })
        .await
    }

    /// Asks what the regions of these seals say of them now, where fetching is on. Gives the hosts of those that could not be asked, by the
    /// seal's code: the person decides with what is kept, and knows it. A region that names no place to ask publishes lists instead.
    pub(super) async fn ask_about_seals(&self, seals: &[&KnownSeal], now: Timestamp) -> HashMap<String, Shown> {
        let Some(fetcher) = self.config.fetch.fetcher() else { return HashMap::new() };
        let trust = Arc::clone(&self.trust);
        // The items of a batch mostly have one seal.
        let mut known = HashSet::new();
        let seals = seals.iter().filter(|seal| known.insert(seal.digest)).map(|seal| Arc::clone(&seal.seal));
        let seals: Vec<_> = seals.collect();
        let lookups = self.in_pool(move || {
            let trust = trust.current();
            let seals = seals.iter().flat_map(|seal| looked_up(seal, &trust, now).seals).collect();
            Lookups { seals, certificates: Vec::new() }
        });
        let lookups = lookups.await.unwrap_or_default();
        if lookups.is_empty() {
            return HashMap::new();
        }
        let asked = self.trust.ask(&fetcher, lookups, BEFORE_SIGNING, now, None).await;
        let unanswered = asked.into_iter().filter(|one| !matches!(one.outcome, Outcome::Answered | Outcome::NoPlace));
        unanswered.map(|one| (one.subject, Shown::new(one.host.as_deref().unwrap_or(&one.region)))).collect()
    }
}
