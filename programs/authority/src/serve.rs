//! `serve`: the published files, seal status, OCSP and time stamps over plain HTTP (`http`: everything is signed).
//!
//! For pilots, and behind an ordinary web server for more: what is published is files, so only the three questions reach this program.
//! Each question is bounded, read by a strict parser, answered from the store, and forgotten. One key operation makes an answer;
//! the keys are opened once. Several processes may serve one folder.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use jiff::{SignedDuration, Timestamp};
use sealagent::asn1::{Asn1Error, ENUMERATED, INTEGER, OCTET_STRING, OID, SEQUENCE, Tlv, context, der, integer, oid, sequence};
use sealagent::pki::seal_status::{MAX_QUERY, StatusQuery};
use sealagent::sm::{Sm3Digest, sm3};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::MissedTickBehavior;

use crate::certificate::SerialNumber;
use crate::identity::Identity;
use crate::publish::FILES;
use crate::region::{Region, RegionError, Role};
use crate::store::Counter;
use crate::timestamp::issue_time_stamp;

/// Connections at a time; further ones wait in the system's queue.
const MAX_CONNECTIONS: usize = 256;
/// How long a head may take, and a whole exchange.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(30);
/// How long an answer may take: records that cannot be reached are waited for in vain, and whoever asked should hear so.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);
/// Questions that are being answered at a time. Those whose askers gave up wait for the records no longer, but for these: without a bound they
/// would take all the threads that files are read on.
const MAX_ANSWERS: usize = 16;
/// Largest OCSP or time stamp question, in bytes; real ones have some hundred.
const MAX_QUESTION: usize = 16 << 10;
/// Certificates that one OCSP question may name.
const MAX_SERIALS: usize = 16;

/// How to serve.
#[derive(Clone, Debug)]
pub struct Service {
    /// The published folder.
    pub published: PathBuf,
    /// How long answers about seals and certificates count; status files are made anew after a third of it.
    pub fresh_for: SignedDuration,
}

struct Authority {
    region: Mutex<Region>,
    status: Identity,
    ocsp: Identity,
    time_stamp: Identity,
    service: Service,
    /// For questions that are being answered.
    places: Arc<Semaphore>,
}

/// Serves on a bound address until the future is dropped. `bound` is told the address.
pub async fn serve(
    region: Region,
    service: Service,
    address: SocketAddr,
    bound: impl FnOnce(SocketAddr),
) -> Result<(), RegionError> {
    let failed = |source| RegionError::Io { path: PathBuf::from(address.to_string()), source };
    let authority = Arc::new(Authority {
        status: region.identity(Role::Status)?,
        ocsp: region.identity(Role::Ocsp)?,
        time_stamp: region.identity(Role::TimeStamp)?,
        region: Mutex::new(region),
        service,
        places: Arc::new(Semaphore::new(MAX_ANSWERS)),
    });
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    bound(listener.local_addr().map_err(failed)?);
    let renew = keep_new(Arc::clone(&authority));
    let take = crate::connections::take(&listener, Arc::new(Semaphore::new(MAX_CONNECTIONS)), |stream| {
        let authority = Arc::clone(&authority);
        async move {
            let answering = hyper::service::service_fn(|request| {
                let authority = Arc::clone(&authority);
                async move { Ok::<_, Infallible>(answer(authority, request).await) }
            });
            let mut server = hyper::server::conn::http1::Builder::new();
            server.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_buf_size(16 << 10);
            let exchange = server.serve_connection(TokioIo::new(stream), answering);
            // Whoever goes away, or is too slow, is no concern of the others.
            let _ = tokio::time::timeout(EXCHANGE_TIMEOUT, exchange).await;
        }
    });
    // Beside one another: while the records cannot be reached, the files are still given out.
    tokio::select! {
        () = renew => {}
        () = take => {}
    }
    Ok(())
}

/// Makes seal status anew when it is time, for ever; one renewal after the other, however long the records keep it waiting.
async fn keep_new(authority: Arc<Authority>) {
    let every = Duration::try_from(authority.service.fresh_for / 3).unwrap_or(Duration::from_secs(60));
    let mut timer = tokio::time::interval(every.max(Duration::from_secs(1)));
    timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        timer.tick().await;
        let worker = Arc::clone(&authority);
        if let Ok(Err(error)) = tokio::task::spawn_blocking(move || worker.renew()).await {
            eprintln!("sealauthority: seal status is not renewed: {error}");
        }
    }
}

/// What turns a question into an answer.
type Answering = fn(&Authority, &[u8]) -> Result<Vec<u8>, Refused>;

async fn answer(authority: Arc<Authority>, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let path = request.uri().path().trim_start_matches('/').to_owned();
    if let Some(file) = FILES.into_iter().find(|file| *file == path) {
        if request.method() != Method::GET {
            return plain(StatusCode::METHOD_NOT_ALLOWED);
        }
        return match tokio::fs::read(authority.service.published.join(file)).await {
            Ok(bytes) => respond("application/octet-stream", bytes),
            Err(_) => plain(StatusCode::NOT_FOUND),
        };
    }
    let (kind, limit): (Answering, usize) = match path.as_str() {
        "status" => (Authority::status, MAX_QUERY),
        "ocsp" => (Authority::ocsp, MAX_QUESTION),
        "tsa" => (Authority::time_stamp, MAX_QUESTION),
        _ => return plain(StatusCode::NOT_FOUND),
    };
    if request.method() != Method::POST {
        return plain(StatusCode::METHOD_NOT_ALLOWED);
    }
    let Ok(body) = Limited::new(request.into_body(), limit).collect().await else {
        return plain(StatusCode::PAYLOAD_TOO_LARGE);
    };
    let (body, content_type) = (body.to_bytes(), media_type(&path));
    let answering = async {
        // Held until the work ends, also when nobody waits for it any more.
        let place = Arc::clone(&authority.places).acquire_owned().await;
        tokio::task::spawn_blocking(move || {
            let _held = place;
            kind(&authority, &body)
        })
        .await
    };
    let Ok(answered) = tokio::time::timeout(ANSWER_TIMEOUT, answering).await else {
        return plain(StatusCode::SERVICE_UNAVAILABLE);
    };
    match answered {
        Ok(Ok(bytes)) => respond(content_type, bytes),
        Ok(Err(Refused::Question)) => plain(StatusCode::BAD_REQUEST),
        Ok(Err(Refused::Authority(error))) => {
            eprintln!("sealauthority: {error}");
            plain(StatusCode::INTERNAL_SERVER_ERROR)
        }
        Err(_) => plain(StatusCode::INTERNAL_SERVER_ERROR),
    }
}

fn media_type(path: &str) -> &'static str {
    match path {
        "ocsp" => "application/ocsp-response",
        "tsa" => "application/timestamp-reply",
        _ => "application/vnd.sealagent.seal-status-answer",
    }
}

fn respond(content_type: &'static str, bytes: Vec<u8>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(bytes));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

fn plain(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    response
}

/// Why a question gets no answer.
enum Refused {
    /// It is none.
    Question,
    /// The authority cannot.
    Authority(RegionError),
}

impl From<Asn1Error> for Refused {
    fn from(_: Asn1Error) -> Self {
        Self::Question
    }
}

impl From<RegionError> for Refused {
    fn from(error: RegionError) -> Self {
        Self::Authority(error)
    }
}

impl Authority {
    fn renew(&self) -> Result<(), RegionError> {
        let region = self.region.lock().unwrap_or_else(PoisonError::into_inner);
        region.publish_status(&self.service.published, self.service.fresh_for, Timestamp::now())
    }

    fn status(&self, question: &[u8]) -> Result<Vec<u8>, Refused> {
        let query = StatusQuery::parse(question).map_err(|_| Refused::Question)?;
        let region = self.region.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(region.status_answer(&self.status, query, self.service.fresh_for, Timestamp::now())?)
    }

    fn ocsp(&self, question: &[u8]) -> Result<Vec<u8>, Refused> {
        let region = self.region.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(question) = OcspQuestion::parse(question, region.ca())? else {
            // OCSPResponseStatus unauthorized(6): another CA's certificates, or named by another digest than SM3.
            return Ok(sequence(&[&der(ENUMERATED, &[6])]));
        };
        let now = Timestamp::now();
        Ok(region.ocsp_answer(&self.ocsp, &question.serials, question.nonce.as_deref(), self.service.fresh_for, now)?)
    }

    fn time_stamp(&self, question: &[u8]) -> Result<Vec<u8>, Refused> {
        let question = TimeStampQuestion::parse(question)?;
        let Some(imprint) = question.imprint else {
            // PKIStatus rejection(2): a digest that is not SM3, or an extension.
            return Ok(sequence(&[&sequence(&[&integer(2)])]));
        };
        let number = {
            let region = self.region.lock().unwrap_or_else(PoisonError::into_inner);
            region.store().take_number(Counter::TimeStamp).map_err(RegionError::from)?
        };
        let serial = SerialNumber::new(&number.to_be_bytes()).ok_or(Refused::Question)?;
        let token = issue_time_stamp(&self.time_stamp, &imprint, Timestamp::now(), &serial, question.nonce.as_ref());
        let token = token.map_err(RegionError::from)?;
        Ok(sequence(&[&sequence(&[&integer(0)]), &token]))
    }
}

/// `OCSPRequest` (RFC 6960 clause 4.1.1), as far as it is answered. A signature of the asker is not looked at.
#[derive(Debug)]
struct OcspQuestion {
    serials: Vec<SerialNumber>,
    nonce: Option<Vec<u8>>,
}

impl OcspQuestion {
    /// `None` for certificates of another CA than `ca`.
    fn parse(bytes: &[u8], ca: &Identity) -> Result<Option<Self>, Asn1Error> {
        let mut tbs = Tlv::read_all(bytes)?.expect(SEQUENCE)?.elements().next(SEQUENCE)?.elements();
        tbs.optional(context(0))?; // version
        tbs.optional(context(1))?; // requestorName
        let ids = [sm3(ca.certificate().subject().raw()), sm3(ca.certificate().key_bits())];
        let mut serials = Vec::new();
        let mut list = tbs.next(SEQUENCE)?.elements();
        while !list.is_empty() {
            if serials.len() == MAX_SERIALS {
                return Err(Asn1Error::Limit);
            }
            let mut id = list.next(SEQUENCE)?.elements().next(SEQUENCE)?.elements();
            let algorithm = id.next(SEQUENCE)?.elements().next(OID)?.oid()?;
            let (name, key) = (id.next(OCTET_STRING)?.value, id.next(OCTET_STRING)?.value);
            let serial = SerialNumber::new(id.next(INTEGER)?.value).ok_or(Asn1Error::Value(INTEGER))?;
            if algorithm != oid::SM3 || name != ids[0].0 || key != ids[1].0 {
                return Ok(None);
            }
            serials.push(serial);
        }
        let mut nonce = None;
        if let Some(extensions) = tbs.optional(context(2))? {
            let mut extensions = Tlv::read_all(extensions.value)?.expect(SEQUENCE)?.elements();
            while !extensions.is_empty() {
                let extension = extensions.next(SEQUENCE)?.children()?;
                if let (Some(kind), Some(value)) = (extension.first(), extension.last())
                    && kind.oid()? == crate::oid::OCSP_NONCE
                {
                    nonce = Some(Tlv::read_all(value.octet_string()?)?.octet_string()?.to_vec());
                }
            }
        }
        if serials.is_empty() || nonce.as_ref().is_some_and(|nonce| nonce.len() > 32) {
            return Err(Asn1Error::Limit);
        }
        Ok(Some(Self { serials, nonce }))
    }
}

/// `TimeStampReq` (RFC 3161 clause 2.4.1).
struct TimeStampQuestion {
    /// Nothing, when it is asked in a way that is not answered.
    imprint: Option<Sm3Digest>,
    nonce: Option<SerialNumber>,
}

impl TimeStampQuestion {
    fn parse(bytes: &[u8]) -> Result<Self, Asn1Error> {
        let mut fields = Tlv::read_all(bytes)?.expect(SEQUENCE)?.elements();
        if fields.next(INTEGER)?.small_integer()? != 1 {
            return Err(Asn1Error::Value(INTEGER));
        }
        let mut imprint = fields.next(SEQUENCE)?.elements();
        let algorithm = imprint.next(SEQUENCE)?.elements().next(OID)?.oid()?;
        let digest = imprint.next(OCTET_STRING)?.value;
        fields.optional(OID)?; // reqPolicy: there is one policy
        let nonce = fields.optional(INTEGER)?.and_then(|nonce| SerialNumber::new(nonce.value));
        fields.optional(sealagent::asn1::BOOLEAN)?; // certReq: the certificate always comes along
        let plain = algorithm == oid::SM3 && fields.is_empty();
        let imprint = digest.try_into().ok().filter(|_| plain).map(Sm3Digest);
        Ok(Self { imprint, nonce })
    }
}
