//! Time stamps from a configured service (RFC 3161 over HTTP), asked for after the person has agreed and the token has signed.
//!
//! What leaves the machine is the digest of a signature value and a random number. What comes back is believed only after its imprint,
//! its nonce, its signature and its certificate have been judged as every verifier will judge them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::pipeline::Clock;
use crate::asn1::{BOOLEAN, INTEGER, OCTET_STRING, der, integer, object_identifier, oid, sequence};
use crate::config::Timestamp as Service;
use crate::failure::{Code, Failure};
use crate::fetch::{Ask, FetchError, Fetcher, Target};
use crate::pki::signature::Hash;
use crate::pki::timestamp::{TimeStampError, TimeStampToken};
use crate::pki::trust::TrustStore;
use crate::sm::{Sm3Digest, sm3};
use crate::verify::{self, Context};

/// From the name of the service to the last byte of its answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// Largest answer, in bytes: a token with a chain of certificates has 2 to 8 KB, and the room in a PDF ends at 16 KiB.
const MAX_ANSWER: usize = 14 << 10;

/// Why there is no time stamp.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StampError {
    /// The service does not answer as HTTP has it.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// The answer is no time stamp, or a refusal.
    #[error("the answer is no time stamp: {0}")]
    Answer(#[from] TimeStampError),
    /// It stamps another digest or answers another question.
    #[error("the time stamp is not about what was asked")]
    Other,
    /// The system gives no random numbers.
    #[error("the system gives no random numbers")]
    Random,
    /// Nobody who judges by this machine's trust would accept it.
    #[error("the time stamp is not trusted: {0}")]
    Untrusted(String),
}

/// One service, for the items of one request.
pub struct Stamper {
    service: Service,
    fetcher: Fetcher,
    trust: Arc<TrustStore>,
    clock: Clock,
    /// It failed once in this request: a batch does not wait for it again and again.
    is_down: AtomicBool,
}

impl Stamper {
    /// For a service of the configuration, asked through the proxy that the configuration names.
    pub fn new(service: Service, proxy: Option<&str>, trust: Arc<TrustStore>, clock: Clock) -> Result<Self, FetchError> {
        let fetcher = proxy.map_or_else(|| Ok(Fetcher::new()), Fetcher::through)?.within(PATIENCE);
        Ok(Self { service, fetcher, trust, clock, is_down: AtomicBool::new(false) })
    }

    /// Who is asked, for people; the address was looked at when the configuration was read.
    pub fn host(&self) -> String {
        Target::parse(&self.service.url, true).map_or_else(|_| self.service.url.clone(), |target| target.host().to_owned())
    }

    /// Whether a signature without its stamp is a failure.
    pub fn is_required(&self) -> bool {
        self.service.required
    }

    /// DER of a TimeStampToken over these octets.
    pub async fn stamp(&self, octets: &[u8]) -> Result<Vec<u8>, Failure> {
        self.stamp_digest(&sm3(octets)).await
    }

    /// DER of a TimeStampToken over octets that have this digest.
    pub async fn stamp_digest(&self, imprint: &Sm3Digest) -> Result<Vec<u8>, Failure> {
        let failure =
            |what: &dyn std::fmt::Display| Failure::new(Code::TimestampFailed, format!("{}: {what}", self.service.name));
        if self.is_down.load(Ordering::Relaxed) {
            return Err(failure(&"it failed before in this request"));
        }
        self.ask(imprint).await.map_err(|error| {
            tracing::warn!(%error, service = self.service.name, "no time stamp");
            self.is_down.store(true, Ordering::Relaxed);
            failure(&error)
        })
    }

    async fn ask(&self, imprint: &Sm3Digest) -> Result<Vec<u8>, StampError> {
        let mut nonce = [0; 16];
        getrandom::fill(&mut nonce).map_err(|_| StampError::Random)?;
        // A positive INTEGER without leading zeros, which comes back as it was sent.
        nonce[0] = nonce[0] & 0x7f | 0x40;
        let ask = Ask::Post { content_type: "application/timestamp-query", body: request(imprint, &nonce) };
        // Whoever configured the address may have it on a private network.
        let answer = self.fetcher.fetch(&Target::parse(&self.service.url, true)?, &ask, MAX_ANSWER).await?;
        let token = TimeStampToken::parse(&answer)?;
        if token.hash() != Hash::Sm3 || token.imprint() != imprint.0 || token.nonce() != Some(&nonce[..]) {
            return Err(StampError::Other);
        }
        let judged = verify::time_stamp(&token, &imprint.0, &Context::new(&self.trust, (self.clock)()));
        judged.map_err(|findings| {
            let reasons: Vec<&str> = findings.iter().map(|finding| finding.code.name()).collect();
            StampError::Untrusted(reasons.join(", "))
        })?;
        Ok(token.raw().to_vec())
    }
}

/// `TimeStampReq ::= SEQUENCE { version, messageImprint, nonce, certReq TRUE }` (RFC 3161 clause 2.4.1)
fn request(imprint: &Sm3Digest, nonce: &[u8]) -> Vec<u8> {
    let algorithm = sequence(&[&object_identifier(oid::SM3)]);
    let imprint = sequence(&[&algorithm, &der(OCTET_STRING, &imprint.0)]);
    sequence(&[&integer(1), &imprint, &der(INTEGER, nonce), &der(BOOLEAN, &[0xff])])
}
