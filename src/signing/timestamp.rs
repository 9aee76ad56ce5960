//! Time stamps from a configured service (RFC 3161 over HTTP), asked for after the person has agreed and the token has signed.
//!
//! What leaves the machine is the digest of a signature value and a random number. What comes back is believed only after its imprint,
//! its nonce, its signature and its certificate have been judged as every verifier will judge them. No proxy, no redirection, no TLS: the
//! answer carries its own protection, and a changed question is noticed by its answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper::{Request, StatusCode, Uri, header};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::pipeline::Clock;
use crate::asn1::{BOOLEAN, INTEGER, OCTET_STRING, der, integer, object_identifier, oid, sequence};
use crate::config::Timestamp as Service;
use crate::failure::{Code, Failure};
use crate::pki::signature::Hash;
use crate::pki::timestamp::{TimeStampError, TimeStampToken};
use crate::pki::trust::TrustStore;
use crate::sm::{Sm3Digest, sm3};
use crate::verify::{self, Context};

/// From the first packet to the last.
const PATIENCE: Duration = Duration::from_secs(10);
/// Largest answer, in bytes: a token with a chain of certificates has 2 to 8 KB, and the room in a PDF ends at 16 KiB.
const MAX_ANSWER: usize = 14 << 10;

/// Why there is no time stamp.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StampError {
    /// The service does not answer as HTTP has it.
    #[error("the service cannot be reached: {0}")]
    Http(String),
    /// The answer is no time stamp, or a refusal.
    #[error("the answer is no time stamp: {0}")]
    Answer(#[from] TimeStampError),
    /// It stamps another digest or answers another question.
    #[error("the time stamp is not about what was asked")]
    Other,
    /// The system gives no random numbers.
    #[error("the system gives no random numbers")]
    Random,
    /// It took longer than ten seconds.
    #[error("the service does not answer in time")]
    TooLate,
    /// Nobody who judges by this machine's trust would accept it.
    #[error("the time stamp is not trusted: {0}")]
    Untrusted(String),
}

/// One service, for the items of one request.
pub struct Stamper {
    service: Service,
    trust: Arc<TrustStore>,
    clock: Clock,
    /// It failed once in this request: a batch does not wait for it again and again.
    is_down: AtomicBool,
}

impl Stamper {
    /// For a service of the configuration.
    pub fn new(service: Service, trust: Arc<TrustStore>, clock: Clock) -> Self {
        Self { service, trust, clock, is_down: AtomicBool::new(false) }
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
        let stamped = tokio::time::timeout(PATIENCE, self.ask(imprint)).await.unwrap_or(Err(StampError::TooLate));
        stamped.map_err(|error| {
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
        let answer = post(&self.service.url, request(imprint, &nonce)).await?;
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

/// RFC 3161 clause 3.4: one exchange on a connection of its own.
async fn post(url: &str, body: Vec<u8>) -> Result<Vec<u8>, StampError> {
    let http = |error: &dyn std::fmt::Display| StampError::Http(error.to_string());
    let url: Uri = url.parse().map_err(|error| http(&error))?;
    let (Some(authority), Some(host)) = (url.authority(), url.host()) else { return Err(http(&"its address has no host")) };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let stream = TcpStream::connect((host, url.port_u16().unwrap_or(80))).await.map_err(|error| http(&error))?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|error| http(&error))?;
    // Ends with this call, however that ends.
    let mut connections = JoinSet::new();
    connections.spawn(connection);
    let request = Request::post(url.path_and_query().map_or("/", |path| path.as_str()))
        .header(header::HOST, authority.as_str())
        .header(header::CONTENT_TYPE, "application/timestamp-query")
        .header(header::ACCEPT, "application/timestamp-reply")
        .body(Full::new(Bytes::from(body)))
        .map_err(|error| http(&error))?;
    let answer = sender.send_request(request).await.map_err(|error| http(&error))?;
    if answer.status() != StatusCode::OK {
        return Err(http(&answer.status()));
    }
    let whole = Limited::new(answer.into_body(), MAX_ANSWER).collect().await.map_err(|error| http(&error))?;
    Ok(whole.to_bytes().to_vec())
}
