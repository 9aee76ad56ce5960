//! `verify-service`: verification for the counter or the portal that checks uploads, over plain HTTP behind a load balancer that speaks TLS.
//!
//! | call | answer |
//! |---|---|
//! | `POST /v1/verifications?name=&at=`, the body is the file | the report, as the agent and `sealagent verify --json` give it |
//! | `GET /healthz` | 200 while it takes requests, 503 once it is being stopped |
//! | `GET /metrics` | [`metrics`] |
//!
//! It holds nothing from one request to the next that a verdict depends on, and has no key: any number of processes answer alike, and a request
//! may be sent again to another one, since judging changes nothing. Nothing is fetched; whoever runs it keeps the trust folder fresh.
//! A file lies in a file without a name while it is judged, and nothing of it is written down.
//!
//! Heads pass [`sealagent::server::Strict`], as the agent's do: HTTP/1.1 with `Content-Length`. A load balancer in front is told so, and then
//! it and this program cannot read one request as two.

pub mod metrics;
mod patience;
mod trust;

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::http::request::Parts;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use jiff::Timestamp;
use sealagent::failure::{Code, Failure};
use sealagent::pki::Known;
use sealagent::scratch::{Bytes as FileBytes, Scratch, of_io};
use sealagent::server::head::MAX_HEADERS;
use sealagent::server::{ErrorBody, Query, Strict, bad, upload};
use sealagent::trust_dir::TrustDirError;
use sealagent::verify::{Context, Report, Verifier};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;

use metrics::{MEDIA_TYPE, Metrics};
use patience::Patient;
use trust::{LOOK, Trust};

/// Connections at a time; further ones wait in the system's queue. Below the usual limit of 1024 open files, with room for uploads.
const MAX_CONNECTIONS: u32 = 512;
/// How long a head may take, and how long a kept connection may idle.
const HEAD: Duration = Duration::from_secs(30);
/// How long a peer may leave an answer unread.
const UNREAD: Duration = Duration::from_secs(30);
/// How long the rest of a refused body is read, so that its sender sees the answer.
const DRAIN: Duration = Duration::from_secs(5);
/// Longest name of a request that a load balancer may give it, in characters.
const MAX_REQUEST_ID: usize = 64;

/// What one process may be asked to do.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Largest file, in bytes.
    pub bytes: u64,
    /// Files that are received and judged at a time; a further one is answered 503 at once.
    pub requests: usize,
    /// How long a request may take from its head to its report: 408 where the sender was slow, 503 where we were.
    pub exchange: Duration,
}

/// How to serve.
#[derive(Clone, Debug)]
pub struct VerifyService {
    /// Folders and files, as for `sealagent verify --trust`.
    pub trust: Vec<PathBuf>,
    /// Folder in which the folder for uploads is made; the system's own for temporary files when absent.
    pub scratch: Option<PathBuf>,
    /// Limits.
    pub limits: Limits,
}

/// Why the service does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The address cannot be listened on.
    #[error("{address}: {source}")]
    Address {
        /// Which.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// There is no room for uploads.
    #[error("no folder for uploads: {0}")]
    Scratch(io::Error),
    /// The trust cannot be read.
    #[error(transparent)]
    Trust(#[from] TrustDirError),
}

struct State {
    trust: Trust,
    /// What is found out about certificates and seals serves all requests, and changes no verdict.
    known: Known,
    scratch: Scratch,
    limits: Limits,
    places: Arc<Semaphore>,
    cores: Arc<Semaphore>,
    metrics: Metrics,
    stopping: watch::Receiver<bool>,
}

/// Serves until `stop` completes; then takes no more, answers what it has, and returns. `bound` is told the address.
pub async fn serve(
    service: VerifyService,
    address: SocketAddr,
    stop: impl Future<Output = ()>,
    bound: impl FnOnce(SocketAddr),
) -> Result<(), StartError> {
    let failed = |source| StartError::Address { address, source };
    let parent = service.scratch.unwrap_or_else(std::env::temp_dir);
    let folder = tempfile::Builder::new().prefix("sealauthority-").tempdir_in(parent).map_err(StartError::Scratch)?;
    let (tell_stop, stopping) = watch::channel(false);
    let exchange = service.limits.exchange;
    let state = Arc::new(State {
        trust: Trust::read(service.trust, &tell)?,
        known: Known::new(),
        scratch: Scratch::Unlinked(folder.path().to_owned()),
        places: Arc::new(Semaphore::new(service.limits.requests)),
        cores: Arc::new(Semaphore::new(std::thread::available_parallelism().map_or(1, usize::from))),
        limits: service.limits,
        metrics: Metrics::default(),
        stopping,
    });
    state.metrics.trust_read(true, Timestamp::now());
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    bound(listener.local_addr().map_err(failed)?);
    let connections = Arc::new(Semaphore::new(MAX_CONNECTIONS as usize));
    let keep_fresh = keep_fresh(Arc::clone(&state));
    let take = crate::connections::take(&listener, Arc::clone(&connections), |stream| speak(stream, Arc::clone(&state)));
    tokio::select! {
        () = stop => {}
        () = take => {}
        () = keep_fresh => {}
    }
    drop(listener);
    let _ = tell_stop.send(true);
    // Every connection holds one; those that do not end by themselves are given up.
    let _ = timeout(exchange + DRAIN, connections.acquire_many(MAX_CONNECTIONS)).await;
    Ok(())
}

fn tell(problem: String) {
    eprintln!("sealauthority: {problem}");
}

/// Reads the trust anew when it changes, for ever.
async fn keep_fresh(state: Arc<State>) {
    loop {
        tokio::time::sleep(LOOK).await;
        let worker = Arc::clone(&state);
        match tokio::task::spawn_blocking(move || worker.trust.refresh(&tell)).await {
            Ok(Ok(false)) => {}
            Ok(Ok(true)) => state.metrics.trust_read(true, Timestamp::now()),
            Ok(Err(problem)) => {
                state.metrics.trust_read(false, Timestamp::now());
                tell(format!("{problem}; the trust that was read before stays in use"));
            }
            Err(_) => state.metrics.trust_read(false, Timestamp::now()),
        }
    }
}

/// HTTP on one connection. It ends after the answer that is under way when the service is stopped.
async fn speak(stream: TcpStream, state: Arc<State>) {
    let _ = stream.set_nodelay(true);
    let mut stopping = state.stopping.clone();
    let service = service_fn(move |request| {
        let state = Arc::clone(&state);
        async move { Ok::<_, Infallible>(answer(&state, request).await) }
    });
    let stream = Patient::new(Strict::new(stream, Arc::new(AtomicBool::new(false))), UNREAD);
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD).max_headers(MAX_HEADERS + 1).max_buf_size(64 << 10);
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    tokio::select! {
        // Whoever goes away, or is too slow, is no concern of the others.
        _ = connection.as_mut() => return,
        _ = stopping.wait_for(|stopping| *stopping) => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = connection.await;
}

type Answer = Response<Full<Bytes>>;

async fn answer(state: &Arc<State>, request: Request<Incoming>) -> Answer {
    let started = Instant::now();
    let (head, mut body) = request.into_parts();
    let id = request_id(&head.headers);
    let stopping = *state.stopping.borrow();
    let answered = match (head.uri.path(), &head.method) {
        ("/healthz", &Method::GET | &Method::HEAD) => Ok(match stopping {
            false => text(StatusCode::OK, "text/plain; charset=utf-8", "ok\n".into()),
            true => text(StatusCode::SERVICE_UNAVAILABLE, "text/plain; charset=utf-8", "stopping\n".into()),
        }),
        ("/metrics", &Method::GET | &Method::HEAD) => Ok(text(StatusCode::OK, MEDIA_TYPE, state.metrics.text())),
        ("/v1/verifications", &Method::POST) => verify(state, &head, &mut body, started).await,
        ("/healthz" | "/metrics" | "/v1/verifications", _) => Err(Code::MethodNotAllowed.into()),
        _ => Err(Code::NotFound.into()),
    };
    let mut answer = answered.unwrap_or_else(|failure| {
        state.metrics.failed(failure.code);
        let status = StatusCode::from_u16(failure.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut answer = json(status, &ErrorBody::new(&failure, &id));
        if failure.code == Code::Unavailable {
            answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        if failure.code == Code::MethodNotAllowed {
            let allow = if head.uri.path() == "/v1/verifications" { "POST" } else { "GET, HEAD" };
            answer.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allow));
        }
        // What may follow on this connection is a body that nobody will read.
        answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        tokio::spawn(upload::drain(body, DRAIN));
        answer
    });
    let headers = answer.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if let Ok(id) = HeaderValue::from_str(&id) {
        headers.insert(HeaderName::from_static("x-request-id"), id);
    }
    answer
}

async fn verify(state: &Arc<State>, head: &Parts, body: &mut Incoming, started: Instant) -> Result<Answer, Failure> {
    let query = Query::parse(head.uri.query().unwrap_or(""))?;
    query.only(&["name", "at"])?;
    let at = match query.get("at") {
        Some(text) => text.parse().map_err(|_| bad("at: a time such as 2026-11-24T06:00:00Z"))?,
        None => Timestamp::now(),
    };
    let length = upload::check(head, upload::FILE_TYPES, state.limits.bytes)?;
    let limit = state.limits.exchange;
    let left = || limit.saturating_sub(started.elapsed());
    let place = Arc::clone(&state.places).try_acquire_owned();
    let place = place.map_err(|_| Failure::new(Code::Unavailable, "as many files as may be are being judged"))?;
    let _in_flight = state.metrics.in_flight();
    let received = timeout(left(), upload::receive(&state.scratch, body)).await;
    let (draft, ..) = received.map_err(|_| Failure::new(Code::TimedOut, format!("the limit is {} s", limit.as_secs())))??;
    let late = |_| Failure::new(Code::Unavailable, format!("the file was not judged within {} s", limit.as_secs()));
    let core = timeout(left(), Arc::clone(&state.cores).acquire_owned()).await.map_err(late)?.map_err(|_| Code::Internal)?;
    let worker = Arc::clone(state);
    let judging = tokio::task::spawn_blocking(move || {
        // Held until the work ends, also when nobody waits for it any more.
        let _held = (place, core);
        let bytes = FileBytes::new(draft.file)?;
        let trust = worker.trust.current();
        let context = Context { known: Some(&worker.known), ..Context::new(&trust, at) };
        Ok::<Report, io::Error>(Verifier::verify(bytes.reader(), &context))
    });
    let judged = timeout(left(), judging).await.map_err(late)?;
    let report = judged.map_err(|_| Failure::new(Code::Internal, "the file could not be judged"))?.map_err(|e| of_io(&e))?;
    state.metrics.judged(report.indication, length, started.elapsed());
    Ok(json(StatusCode::OK, &report))
}

/// The name that a load balancer gave to the request, or a new one.
fn request_id(headers: &HeaderMap) -> String {
    let is_plain = |id: &&str| {
        (1..=MAX_REQUEST_ID).contains(&id.len())
            && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
    };
    let given = sealagent::server::one(headers, HeaderName::from_static("x-request-id")).filter(is_plain);
    given.map_or_else(
        || {
            let mut bytes = [0; 16];
            // Names a line of a log and nothing else: no randomness is no reason to say nothing.
            let _ = getrandom::fill(&mut bytes);
            format!("{:032x}", u128::from_be_bytes(bytes))
        },
        str::to_owned,
    )
}

fn json(status: StatusCode, value: &impl serde::Serialize) -> Answer {
    // Strings, numbers and times only: nothing in a report or an error can fail to be JSON.
    text(status, "application/json", serde_json::to_string(value).unwrap_or_default())
}

fn text(status: StatusCode, kind: &'static str, body: String) -> Answer {
    let mut answer = Response::new(Full::from(body));
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    answer
}
