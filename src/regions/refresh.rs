//! Fetching what accepted lists name: the next list, seal status, revocation lists.
//!
//! Only a place that an accepted list names is asked, and at a private address only where the list says so. What comes is taken by the same rules as
//! a file that somebody brought. A kept file is used until its own nextUpdate and fetched anew from half of its time on. When a server
//! is gone, the kept file stays in use, and the report says when it has grown old.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{KnownRegion, RegionError, Regions, Taken, at, read_file, write};
use crate::fetch::{Ask, FetchError, Fetcher, Target};
use crate::pki::Crl;
use crate::pki::seal_status;
use crate::pki::trust::decode;
use crate::pki::trust_list::{self, Location, LocationUse, SignedTrustList};

/// Largest revocation list that is fetched, in bytes. The largest known one has some megabytes.
const MAX_CRL: usize = 32 << 20;
/// Largest `fetched.json`, in bytes: a hundred places.
const MAX_FETCHED: u64 = 256 << 10;

/// Why something was not had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RefreshError {
    /// It could not be fetched.
    #[error("{0}")]
    Fetch(#[from] FetchError),
    /// No accepted list names a place for it.
    #[error("the trust list of region {0} names no place for it")]
    NoPlace(String),
    /// What came was not taken.
    #[error("{0}")]
    Region(#[from] RegionError),
}

/// One place that was asked.
#[derive(Debug)]
pub struct Refreshed {
    /// The region.
    pub region: String,
    /// Where.
    pub location: Location,
    /// What became of it.
    pub result: Result<Taken, RefreshError>,
}

/// What is fetched, in this order: each rests on the one before.
const ORDER: [LocationUse; 4] = [LocationUse::TrustList, LocationUse::StatusList, LocationUse::StatusChanges, LocationUse::Crl];

impl Regions {
    /// Fetches for one region, or all, what is due, or everything when `all` is set.
    pub async fn refresh(&self, fetcher: &Fetcher, only: Option<&str>, all: bool, now: Timestamp) -> Vec<Refreshed> {
        let mut out = Vec::new();
        let names = |regions: &Self| regions.accepted().map(|known| known.list.list().region.clone()).collect::<Vec<_>>();
        for name in self.off_thread(names).await.unwrap_or_default() {
            if only.is_some_and(|only| only != name) {
                continue;
            }
            for kind in ORDER {
                let of = name.clone();
                let due = self.off_thread(move |regions| regions.due(&of, kind, all, now)).await.unwrap_or_default();
                // Places of revocation lists are one for each CA; the others stand for each other, and the first that answers does.
                for location in due {
                    let result = self.fetch_one(fetcher, &name, &location, now).await;
                    let done = result.is_ok() && kind != LocationUse::Crl;
                    out.push(Refreshed { region: name.clone(), location, result });
                    if done {
                        break;
                    }
                }
            }
        }
        out
    }

    /// Work on the folder, off the threads that answer: files are read, signatures checked, and the lock may be another program's.
    pub(super) async fn off_thread<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> T + Send + 'static,
    ) -> Result<T, RegionError> {
        let regions = self.clone();
        let ended = tokio::task::spawn_blocking(move || work(&regions)).await;
        ended.map_err(|error| at(&self.folder)(std::io::Error::other(error)))
    }

    /// The places of one kind that are to be asked now.
    fn due(&self, region: &str, kind: LocationUse, all: bool, now: Timestamp) -> Vec<Location> {
        // The list may have been replaced a moment ago, and its places with it.
        let Ok(Some(region)) = self.read(region) else { return Vec::new() };
        if !all && !self.is_due(&region, kind, now) {
            return Vec::new();
        }
        let fetched = Fetched::read(&self.fetched_path(&region.list.list().region));
        let places = region.list.list().places(kind, now);
        places.filter(|location| all || kind != LocationUse::Crl || fetched.is_due(&location.url, now)).cloned().collect()
    }

    fn fetched_path(&self, region: &str) -> PathBuf {
        self.folder.join(region).join("fetched.json")
    }

    /// Notes that a revocation list was had from a place.
    fn note_fetched(&self, region: &str, url: &str, until: Timestamp, now: Timestamp) -> Result<(), RegionError> {
        let Some(known) = self.read(region)? else { return Ok(()) };
        let path = self.fetched_path(region);
        let _lock = self.lock()?;
        let mut fetched = Fetched::read(&path);
        // Places that the list names no more are forgotten.
        fetched.0.retain(|known_url, _| known.list.list().places(LocationUse::Crl, now).any(|place| place.url == *known_url));
        fetched.0.insert(url.to_owned(), Span { at: now, until });
        let malformed = |error: serde_json::Error| RegionError::Malformed { path: path.clone(), reason: error.to_string() };
        write(&path, &serde_json::to_vec_pretty(&fetched).map_err(malformed)?)
    }

    async fn fetch_one(
        &self,
        fetcher: &Fetcher,
        region: &str,
        location: &Location,
        now: Timestamp,
    ) -> Result<Taken, RefreshError> {
        let limit = match location.kind {
            LocationUse::TrustList => trust_list::MAX_LIST,
            LocationUse::StatusList | LocationUse::StatusChanges => seal_status::MAX_LIST,
            _ => MAX_CRL,
        };
        let bytes = fetcher.fetch(&Target::parse(&location.url, location.private)?, &Ask::Get, limit).await?;
        let (region, location) = (region.to_owned(), location.clone());
        let taken = self.off_thread(move |regions| {
            // A list that comes by itself never makes a new region: nobody is there to compare its fingerprint.
            let taken = regions.take(&bytes, now, &mut |_| false)?;
            if location.kind == LocationUse::Crl
                && let Some(until) = next_update(&bytes)
            {
                regions.note_fetched(&region, &location.url, until, now)?;
            }
            Ok::<_, RegionError>(taken)
        });
        Ok(taken.await??)
    }

    /// Whether half of the time of what is kept has passed.
    fn is_due(&self, region: &KnownRegion, kind: LocationUse, now: Timestamp) -> bool {
        let half = |from: Timestamp, until: Timestamp| now >= from + until.duration_since(from) / 2;
        let list = region.list.list();
        let (full, changes) = self.status_parts(region);
        match kind {
            LocationUse::TrustList => half(list.issued, list.next_update),
            // A full list stays good for the changes that are made on it, however old it is by itself.
            LocationUse::StatusList => match (full, changes) {
                (Some(full), Some(changes)) => changes.head().base != Some(full.head().number),
                (Some(full), None) => half(full.head().this_update, full.head().next_update),
                (None, _) => true,
            },
            LocationUse::StatusChanges => changes.is_none_or(|kept| half(kept.head().this_update, kept.head().next_update)),
            _ => true,
        }
    }

    /// Fetches the list of a region that an accepted list points to. Its signer must be one that the pointer names; whether the
    /// region is accepted, `take` asks.
    pub async fn follow_pointer(&self, fetcher: &Fetcher, region: &str) -> Result<Vec<u8>, RefreshError> {
        let wanted = region.to_owned();
        let pointer = self.off_thread(move |regions| {
            let mut pointers = regions.accepted().flat_map(|known| known.list.list().regions.clone());
            pointers.find(|pointer| pointer.region == wanted)
        });
        let pointer = pointer.await?.ok_or_else(|| RegionError::Unknown(region.to_owned()))?;
        let target = Target::parse(&pointer.location.url, pointer.location.private)?;
        let bytes = fetcher.fetch(&target, &Ask::Get, trust_list::MAX_LIST).await?;
        let list = SignedTrustList::parse(&bytes).map_err(RegionError::from)?;
        if list.list().region != region || !pointer.signers.contains(list.signer().sha256()) {
            let refusal = trust_list::ListRefusal::WrongSigner(list.signer().sha256_hex());
            return Err(RegionError::from(refusal).into());
        }
        Ok(bytes.to_vec())
    }
}

/// `fetched.json`: when each place of a revocation list was asked last, and until when counts what came.
#[derive(Debug, Default, Deserialize, Serialize)]
struct Fetched(BTreeMap<String, Span>);

#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
struct Span {
    at: Timestamp,
    until: Timestamp,
}

impl Fetched {
    /// What cannot be read was never fetched.
    fn read(path: &Path) -> Self {
        let bytes = read_file(path, MAX_FETCHED).unwrap_or_default();
        serde_json::from_slice(&bytes).unwrap_or_default()
    }

    /// Whether half of the time is over that the list had left when it was fetched: a list that its CA has not renewed by then is asked for
    /// more and more often until it ends, and one that has ended each time. A clock that was set back makes due.
    fn is_due(&self, url: &str, now: Timestamp) -> bool {
        let Some(Span { at, until }) = self.0.get(url).copied() else { return true };
        now < at || now >= at + until.duration_since(at) / 2
    }
}

/// nextUpdate of a revocation list in DER or PEM.
fn next_update(bytes: &[u8]) -> Option<Timestamp> {
    let [der] = &decode(bytes).ok()?[..] else { return None };
    Crl::parse(der).ok()?.next_update()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn revocation_list_is_due_after_half_of_what_was_left_and_always_once_it_ended() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let span = Span { at: at("2026-11-01T00:00:00Z"), until: at("2026-11-11T00:00:00Z") };
        let fetched = Fetched([("a".to_owned(), span)].into());
        for (now, due) in [
            ("2026-10-31T00:00:00Z", true), // the clock was set back
            ("2026-11-01T00:00:00Z", false),
            ("2026-11-05T23:59:59Z", false),
            ("2026-11-06T00:00:00Z", true),
            ("2026-11-12T00:00:00Z", true),
        ] {
            assert_eq!(fetched.is_due("a", at(now)), due, "{now}");
        }
        assert!(fetched.is_due("b", at("2026-11-02T00:00:00Z")), "never fetched");
        let ended = Fetched([("a".to_owned(), Span { at: span.until, until: span.at })].into());
        assert!(ended.is_due("a", span.until));
    }
}
