//! Asking a region's services about one seal or one certificate that was seen: seal status, and OCSP.
//!
//! The rules are those of all fetching: only a place that an accepted list names, no private address unless the list says so, limits on time
//! and length. A certificate is asked about only where its issuer stands in the list beside the place. The answer must be signed by
//! whom the list names, about what was asked, of now, with our nonce; then it is kept, and used by its own dates when the service is gone.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::{Instant, timeout_at};

use super::refresh::RefreshError;
use super::said::{Came, Said};
use super::{RegionError, Regions, Taken, at};
use crate::fetch::{Ask, FetchError, Fetcher, Target};
use crate::pki::ocsp::{self, CertStatus, OcspResponse};
use crate::pki::seal_status::{self, StatusAnswer, StatusQuery};
use crate::pki::signed::SignedError;
use crate::pki::trust::CLOCK_SKEW;
use crate::pki::trust_list::{Location, LocationUse, ServiceKind};
use crate::pki::{Certificate, TrustList};
use crate::sm::Sm3Digest;
use crate::verify::looked_up::{Lookups, SealLookup};
use crate::verify::report::{Asked, Outcome, Question};

/// An answer of status service or responder that is not of now proves nothing about now.
const NOT_OF_NOW: SignedError = SignedError::Value("the answer is not of now");

/// One thing to ask, and where.
struct Asking {
    region: String,
    what: What,
    /// `None`: the region names no place.
    location: Option<Location>,
}

/// What is asked about.
pub(super) enum What {
    /// A certificate and its issuer.
    Certificate(Arc<Certificate>, Arc<Certificate>),
    /// A seal.
    Seal(SealLookup),
}

impl Regions {
    /// Asks about all that was looked up, one after another, and keeps what was answered. After `patience`, and after a service could not be
    /// had, the rest is not asked. Nothing is said of certificates whose issuer has no responder: their lists are fetched. With `said`, what
    /// came of the same question a moment ago stands, and two who have one question at once ask it once.
    pub async fn ask(
        &self,
        fetcher: &Fetcher,
        lookups: Lookups,
        patience: Duration,
        now: Timestamp,
        said: Option<&Said>,
    ) -> Vec<Asked> {
        let until = Instant::now() + patience;
        let askings = self.off_thread(move |regions| regions.askings(lookups, now)).await.unwrap_or_default();
        let mut gone: HashSet<String> = HashSet::new();
        let mut out = Vec::new();
        for Asking { region, what, location } in askings {
            let (question, subject) = match &what {
                What::Certificate(certificate, _) => (Question::Certificate, certificate.subject().to_string()),
                What::Seal(seal) => (Question::Seal, seal.es_id.clone()),
            };
            let host = location.as_ref().map(|location| host(&location.url));
            let mut asked = Asked { question, subject, region, host, outcome: Outcome::NoPlace, detail: None };
            if let Some(location) = location {
                let place = said.map(|said| said.about(&what));
                let mut held = match &place {
                    Some(place) => timeout_at(until, place.lock()).await.ok(),
                    None => None,
                };
                let known = held.as_ref().and_then(|came| came.as_ref()).filter(|came| came.counts()).cloned();
                let left = until.saturating_duration_since(Instant::now());
                let host = asked.host.clone().unwrap_or_default();
                let came = match known {
                    Some(came) => came,
                    None if gone.contains(&host) || left.is_zero() => {
                        Came::now(Outcome::Unreachable, Some(FetchError::TimedOut { host, after: patience }.to_string()))
                    }
                    None => {
                        let came = self.came_of(&fetcher.clone().within(left), &asked.region, &location, &what, now).await;
                        if came.outcome == Outcome::Unreachable {
                            gone.insert(host);
                        }
                        if let Some(held) = &mut held {
                            **held = Some(came.clone());
                        }
                        came
                    }
                };
                (asked.outcome, asked.detail) = (came.outcome, came.detail);
            }
            out.push(asked);
        }
        out
    }

    /// What comes of one question, whose answer is kept.
    async fn came_of(&self, fetcher: &Fetcher, region: &str, location: &Location, what: &What, now: Timestamp) -> Came {
        match self.put(fetcher, region, location, what, now).await {
            Ok(_) => Came::now(Outcome::Answered, None),
            Err(RefreshError::Fetch(error)) if error.is_outage() => Came::now(Outcome::Unreachable, Some(error.to_string())),
            Err(error) => Came::now(Outcome::Refused, Some(error.to_string())),
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
        let list = self.list_of(region).await?;
        let location = list.places(LocationUse::StatusQuery, now).next();
        let location = location.ok_or_else(|| RefreshError::NoPlace(region.to_owned()))?;
        let seal = SealLookup { region: region.to_owned(), es_id: es_id.to_owned(), sm3: seal_sm3 };
        self.put(fetcher, region, location, &What::Seal(seal), now).await
    }

    /// The places for what was looked up.
    fn askings(&self, lookups: Lookups, now: Timestamp) -> Vec<Asking> {
        let regions: Vec<_> = self.accepted().collect();
        let lists = || regions.iter().map(|known| known.list.list());
        let mut out = Vec::new();
        for seal in lookups.seals {
            let Some(list) = lists().find(|list| list.region == seal.region) else { continue };
            let location = list.places(LocationUse::StatusQuery, now).next().cloned();
            let names_service = list.services.iter().any(|s| s.kind == ServiceKind::SealStatus && s.is_granted(now));
            if location.is_some() || names_service {
                out.push(Asking { region: seal.region.clone(), what: What::Seal(seal), location });
            }
        }
        for (certificate, issuer) in lookups.certificates {
            let place = lists().find_map(|list| Some((list.region.clone(), responder(list, &issuer, now)?.clone())));
            if let Some((region, location)) = place {
                out.push(Asking { region, what: What::Certificate(certificate, issuer), location: Some(location) });
            }
        }
        out
    }

    async fn put(
        &self,
        fetcher: &Fetcher,
        region: &str,
        location: &Location,
        what: &What,
        now: Timestamp,
    ) -> Result<Taken, RefreshError> {
        let mut nonce = vec![0; 16];
        getrandom::fill(&mut nonce).map_err(|_| at(&self.folder)(std::io::ErrorKind::Other.into()))?;
        let target = Target::parse(&location.url, location.private)?;
        let bytes = match what {
            What::Seal(seal) => {
                let query = StatusQuery { es_id: seal.es_id.clone(), seal_sm3: Some(seal.sm3), nonce };
                let ask = Ask::Post { content_type: StatusQuery::MEDIA_TYPE, body: query.to_der() };
                let bytes = fetcher.fetch(&target, &ask, seal_status::MAX_ANSWER).await?;
                let list = self.list_of(region).await?;
                let answer = StatusAnswer::read(&list, Some(&query), &bytes).map_err(RegionError::from)?;
                if answer.as_of > now + CLOCK_SKEW || answer.fresh_until < now {
                    return Err(RegionError::from(NOT_OF_NOW).into());
                }
                bytes
            }
            What::Certificate(certificate, issuer) => {
                let body = ocsp::request(certificate, issuer, &nonce);
                let ask = Ask::Post { content_type: ocsp::REQUEST_MEDIA_TYPE, body };
                let bytes = fetcher.fetch(&target, &ask, ocsp::MAX_RESPONSE).await?;
                check_response(&bytes, certificate, issuer, &nonce, now).map_err(RegionError::from)?;
                bytes
            }
        };
        // By the same rules as a file that somebody brought.
        let taken = self.off_thread(move |regions| regions.take(&bytes, now, &mut |_| false));
        Ok(taken.await??)
    }

    async fn list_of(&self, region: &str) -> Result<TrustList, RegionError> {
        let name = region.to_owned();
        let known = self.off_thread(move |regions| regions.read(&name)).await??.filter(|known| known.accepted);
        known.map(|known| known.list.list().clone()).ok_or_else(|| RegionError::Unknown(region.to_owned()))
    }
}

/// Where to ask about certificates of `issuer`: at the service of the list that is granted and has this very certificate.
fn responder<'a>(list: &'a TrustList, issuer: &Certificate, now: Timestamp) -> Option<&'a Location> {
    let services = list.services.iter().filter(|s| s.is_granted(now) && s.certificates.iter().any(|c| **c == *issuer));
    services.flat_map(|service| &service.locations).find(|location| location.kind == LocationUse::Ocsp)
}

/// Whether a response is signed for the issuer, about the certificate, and of now. A responder that makes its answers beforehand gives no
/// nonce back (RFC 6960 clause 4.4.1); its answer counts by its dates, as a file would. Another nonce is another question's.
fn check_response(
    bytes: &[u8],
    certificate: &Certificate,
    issuer: &Arc<Certificate>,
    nonce: &[u8],
    now: Timestamp,
) -> Result<(), SignedError> {
    let response = OcspResponse::parse(bytes)?;
    if response.nonce().is_some_and(|given| given != nonce) {
        return Err(SignedError::Value("the nonce of another question"));
    }
    let answer = response.answer(certificate, issuer).ok_or(SignedError::Value("nothing about the certificate"))?;
    if !response.is_signed_for(issuer) {
        return Err(SignedError::Value("not signed for the certificate's issuer"));
    }
    let begun = answer.this_update <= now + CLOCK_SKEW;
    // Without nextUpdate there is always a newer answer. A revocation is final, however old the answer that says so.
    let lasts = answer.next_update.map_or(now <= answer.this_update + CLOCK_SKEW, |next| now <= next);
    let revoked = matches!(answer.status, CertStatus::Revoked(_));
    if begun && (lasts || revoked) { Ok(()) } else { Err(NOT_OF_NOW) }
}

/// Who is asked, as a person is told.
fn host(url: &str) -> String {
    Target::parse(url, true).map(|target| target.host().to_owned()).unwrap_or_default()
}
