//! The trust that a running agent uses, replaced as a whole when a region was accepted, updated or removed.
//!
//! Whoever changes the regions ([`crate::regions`]) leaves a new mark beside them; each use compares the mark, which is one small
//! file, and reads everything anew when it differs. So nothing wakes an idle agent, and a command of `sealagent trust` counts for the next
//! verification. What cannot be read leaves the last good trust in use, and the log says so.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use crate::fetch::Fetcher;
use crate::pki::TrustStore;
use crate::regions::{Presets, Regions, Said};
use crate::signing::pipeline::Clock;
use crate::trust_dir::{self, TrustDirError};
use crate::verify::looked_up::Lookups;
use crate::verify::report::{Asked, Outcome};

/// How often the lists of accepted regions are looked after, where fetching is on. What is fetched is only what is due.
const EVERY: Duration = Duration::from_secs(600);

/// The trust of one folder.
#[derive(Debug)]
pub struct Trusted {
    folder: PathBuf,
    regions: Regions,
    now: Mutex<(Vec<u8>, Arc<TrustStore>)>,
}

impl Trusted {
    /// Reads the folder, after taking the lists that the policy brings.
    pub fn open(folder: PathBuf, presets: &Presets, now: Timestamp) -> Result<Self, TrustDirError> {
        let regions = Regions::new(&folder, presets.clone());
        for path in &presets.lists {
            let taken = std::fs::read(path)
                .map_err(|error| error.to_string())
                .and_then(|bytes| regions.take(&bytes, now, &mut |_| false).map_err(|error| error.to_string()));
            if let Err(problem) = taken {
                tracing::warn!(path = %path.display(), problem, "a trust list of the policy is not taken");
            }
        }
        let mark = regions.mark();
        let store = Arc::new(read(&folder, presets)?);
        Ok(Self { folder, regions, now: Mutex::new((mark, store)) })
    }

    /// The trust as it is now. Reads files, so it is no call for a thread that answers.
    pub fn current(&self) -> Arc<TrustStore> {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        let mark = self.regions.mark();
        if mark != now.0 {
            match read(&self.folder, self.regions.presets()) {
                Ok(store) => *now = (mark, Arc::new(store)),
                // The mark stays as it was, so the next use tries again: what was taken back must not be trusted on for long.
                Err(problem) => tracing::warn!(%problem, "the trust folder cannot be read anew"),
            }
        }
        Arc::clone(&now.1)
    }

    /// Asks the services of accepted regions about what was looked up ([`Regions::ask`]); what they answer is part of the trust from then on.
    /// `said` serves whoever judges many files in one run; whoever is about to sign asks anew.
    pub async fn ask(
        &self,
        fetcher: &Fetcher,
        lookups: Lookups,
        patience: Duration,
        now: Timestamp,
        said: Option<&Said>,
    ) -> Vec<Asked> {
        let asked = self.regions.ask(fetcher, lookups, patience, now, said).await;
        for one in asked.iter().filter(|one| one.outcome != Outcome::Answered) {
            let detail = one.detail.as_deref().unwrap_or("the region names no place to ask");
            tracing::warn!(region = one.region, question = ?one.question, detail, "not answered; what is here counts by its dates");
        }
        asked
    }

    /// Fetches what is due, again and again, until dropped.
    pub async fn keep_fresh(self: Arc<Self>, fetcher: Fetcher, clock: Clock) {
        loop {
            for one in self.regions.refresh(&fetcher, None, false, clock()).await {
                match one.result {
                    Ok(taken) => tracing::info!(url = one.location.url, ?taken, "fetched"),
                    Err(problem) => tracing::warn!(url = one.location.url, %problem, "not fetched; what is here stays in use"),
                }
            }
            tokio::time::sleep(EVERY).await;
        }
    }
}

/// The store of a folder; none where there is no folder.
fn read(folder: &std::path::Path, presets: &Presets) -> Result<TrustStore, TrustDirError> {
    if !folder.is_dir() {
        return Ok(TrustStore::empty());
    }
    let (trust, problems) = trust_dir::read(folder, presets)?;
    for problem in problems {
        tracing::warn!(%problem, "left out of the trust folder");
    }
    Ok(trust)
}
