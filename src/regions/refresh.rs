//! Fetching what accepted lists name: the next list, seal status, revocation lists, answers about a seal.
//!
//! Only a place that an accepted list names is asked, and at a private address only where the list says so. What comes is taken by the same rules as
//! a file that somebody brought. A kept file is used until its own nextUpdate and fetched anew from half of its time on. When a server
//! is gone, the kept file stays in use, and the report says when it has grown old.

use jiff::Timestamp;

use super::{KnownRegion, RegionError, Regions, Taken, at};
use crate::fetch::{Ask, FetchError, Fetcher, Target};
use crate::pki::seal_status::{self, StatusQuery};
use crate::pki::trust_list::{self, Location, LocationUse, SignedTrustList};
use crate::sm::Sm3Digest;

/// Largest revocation list that is fetched, in bytes. The largest known one has some megabytes.
const MAX_CRL: usize = 32 << 20;

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
        for region in self.all().0 {
            let name = region.list.list().region.clone();
            if !region.accepted || only.is_some_and(|only| only != name) {
                continue;
            }
            for kind in ORDER {
                // The list may have been replaced a moment ago, and its places with it.
                let Ok(Some(region)) = self.read(&name) else { continue };
                if all || self.is_due(&region, kind, now) {
                    out.extend(self.refresh_kind(fetcher, &region, kind, now).await);
                }
            }
        }
        out
    }

    /// Asks the places for one kind. Those of revocation lists are one for each CA; the others stand for each other, and the first that answers
    /// does.
    async fn refresh_kind(&self, fetcher: &Fetcher, region: &KnownRegion, kind: LocationUse, now: Timestamp) -> Vec<Refreshed> {
        let mut out = Vec::new();
        for location in region.list.list().places(kind, now) {
            let result = self.fetch_one(fetcher, location, now).await;
            let done = result.is_ok() && kind != LocationUse::Crl;
            out.push(Refreshed { region: region.list.list().region.clone(), location: location.clone(), result });
            if done {
                break;
            }
        }
        out
    }

    async fn fetch_one(&self, fetcher: &Fetcher, location: &Location, now: Timestamp) -> Result<Taken, RefreshError> {
        let limit = match location.kind {
            LocationUse::TrustList => trust_list::MAX_LIST,
            LocationUse::StatusList | LocationUse::StatusChanges => seal_status::MAX_LIST,
            _ => MAX_CRL,
        };
        let bytes = fetcher.fetch(&Target::parse(&location.url, location.private)?, &Ask::Get, limit).await?;
        // A list that comes by itself never makes a new region: nobody is there to compare its fingerprint.
        Ok(self.take(&bytes, now, &mut |_| false)?)
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

    /// Asks a region's status service about one seal, and keeps the answer.
    pub async fn ask_status(
        &self,
        fetcher: &Fetcher,
        region: &str,
        es_id: &str,
        seal_sm3: Sm3Digest,
        now: Timestamp,
    ) -> Result<Taken, RefreshError> {
        let known = self.read(region)?.filter(|known| known.accepted).ok_or_else(|| RegionError::Unknown(region.to_owned()))?;
        let list = known.list.list();
        let location = list.places(LocationUse::StatusQuery, now).next();
        let location = location.ok_or_else(|| RefreshError::NoPlace(region.to_owned()))?;
        let mut nonce = vec![0; 16];
        getrandom::fill(&mut nonce).map_err(|_| at(&self.folder)(std::io::ErrorKind::Other.into()))?;
        let query = StatusQuery { es_id: es_id.to_owned(), seal_sm3: Some(seal_sm3), nonce };
        let ask = Ask::Post { content_type: StatusQuery::MEDIA_TYPE, body: query.to_der() };
        let target = Target::parse(&location.url, location.private)?;
        let bytes = fetcher.fetch(&target, &ask, seal_status::MAX_ANSWER).await?;
        let answer = seal_status::StatusAnswer::read(list, Some(&query), &bytes).map_err(RegionError::from)?;
        if answer.as_of > now + crate::pki::trust::CLOCK_SKEW || answer.fresh_until < now {
            return Err(RegionError::from(crate::pki::signed::SignedError::Value("the answer is not of now")).into());
        }
        Ok(self.take(&bytes, now, &mut |_| false)?)
    }

    /// Fetches the list of a region that an accepted list points to. Its signer must be one that the pointer names; whether the
    /// region is accepted, `take` asks.
    pub async fn follow_pointer(&self, fetcher: &Fetcher, region: &str) -> Result<Vec<u8>, RefreshError> {
        let accepted = self.all().0.into_iter().filter(|known| known.accepted);
        let pointer = accepted.flat_map(|known| known.list.list().regions.clone()).find(|pointer| pointer.region == region);
        let pointer = pointer.ok_or_else(|| RegionError::Unknown(region.to_owned()))?;
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
