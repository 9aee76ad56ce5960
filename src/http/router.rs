//! What answers each call of the table of paths ([`super::routes`]).

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hyper::body::Incoming;
use hyper::header::{self, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Method, Request, StatusCode};
use jiff::Timestamp;

use super::App;
use super::answer::{self, Answer, AnswerBody};
use super::api::{Begun, DocumentView, Info, InfoView, ItemView, PublicInfo, SignatureBody, StatusView, name};
use super::documents::IDLE;
use super::events;
use super::guard::{self, Caller};
use super::openapi;
use super::pages::{self, reports::Drawn};
use super::pairing::PairingBody;
use super::routes::{self, Call, MAX_JSON, MAX_WAIT, Operation, PAGE_WIDTHS, Route};
use crate::consent::{Origin, Requester};
use crate::failure::{Code, Failure};
use crate::preview::{self, MAX_PIXELS, PageRequest, PreviewError};
use crate::scratch::{Bytes as FileBytes, of_io};
use crate::seals::{self, KnownSeal};
use crate::server::upload::{self, collect, receive};
use crate::server::{Query, bad};
use crate::ses::PictureFormat;
use crate::signing::{Document, Output, RequestId};
use crate::sm::sm3;
use crate::views::{SealView, TokenView};

/// Width of a page picture when the page asks for none.
const DEFAULT_PAGE_WIDTH: u32 = 800;
/// What this version can do beyond the listing of seals and tokens.
const FEATURES: &[&str] = &["ofd", "pdf", "ses", "gbt35275", "field", "keyword", "straddle", "timestamp", "verify"];

/// Answers one request that came in on `port`.
pub async fn answer(app: Arc<App>, port: u16, request: Request<Incoming>) -> Answer {
    // No randomness is no reason to say nothing.
    let id = RequestId::random().map_or_else(|_| "0".repeat(32), |id| id.as_str().to_owned());
    let (head, body) = request.into_parts();
    if pages::are_asked(&head) {
        return pages::answer(&app, &id, &head, body).await;
    }
    let route = Route::of(head.uri.path());
    let is_paired = |origin: &Origin| app.credentials.grants().knows(origin);
    let caller = match guard::admit(&head, port, route.as_ref(), &app.signer.config.http, is_paired) {
        Ok(caller) => caller,
        Err(failure) => {
            tracing::info!(code = %failure.code, "a request was refused");
            let mut answer = answer::failure(&failure, &id);
            // What follows on this connection is a body that nobody will read.
            answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            return answer::finish(answer, &id, None);
        }
    };
    let answered = if head.method == Method::OPTIONS {
        preflight(&head, route.as_ref())
    } else {
        match route {
            Some(route) => routed(&app, port, &head, body, &route, &caller).await,
            None => Err(Code::NotFound.into()),
        }
    };
    let mut answer = answered.unwrap_or_else(|failure| answer::failure(&failure, &id));
    if answer.status() == StatusCode::METHOD_NOT_ALLOWED
        && let Some(route) = Route::of(head.uri.path())
        && let Ok(allow) = HeaderValue::from_str(&route.methods().collect::<Vec<_>>().join(", "))
    {
        answer.headers_mut().insert(header::ALLOW, allow);
    }
    answer::finish(answer, &id, Some(&caller))
}

/// The answer to a preflight, as browser.md §3d has it.
fn preflight(head: &Parts, route: Option<&Route>) -> Result<Answer, Failure> {
    if route.is_none() {
        return Err(Code::NotFound.into());
    }
    if !head.headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD) {
        return Err(Code::MethodNotAllowed.into());
    }
    let mut answer = answer::status(StatusCode::NO_CONTENT);
    let headers = answer.headers_mut();
    let mut put = |name, value| drop(headers.insert(name, HeaderValue::from_static(value)));
    put(header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, DELETE");
    put(header::ACCESS_CONTROL_ALLOW_HEADERS, "authorization, content-type");
    put(header::ACCESS_CONTROL_MAX_AGE, "600");
    put(
        header::VARY,
        "Origin, Access-Control-Request-Method, Access-Control-Request-Headers, Access-Control-Request-Private-Network",
    );
    // Chromium before 142 asks for this.
    if head.headers.contains_key("access-control-request-private-network") {
        headers.insert("access-control-allow-private-network", HeaderValue::from_static("true"));
    }
    Ok(answer)
}

pub(super) async fn routed(
    app: &App,
    port: u16,
    head: &Parts,
    body: Incoming,
    route: &Route,
    caller: &Caller,
) -> Result<Answer, Failure> {
    let operation = route.operation(&head.method).ok_or(Code::MethodNotAllowed)?;
    let query = Query::parse(head.uri.query().unwrap_or(""))?;
    let length = check_body(app, head, operation)?;
    let (origin, id) = (caller.origin(), route.value(0));
    // A page of a paired origin proves itself: over its JSON, which is read first, or before its file is.
    let is_json = matches!(operation.body, Some(routes::Body::Json(..)));
    let body = match caller {
        _ if operation.call.is_open() => Body::Stream(body),
        Caller::Allowed(_) | Caller::Own(_) if is_json => Body::Json(collect(body, MAX_JSON).await?),
        Caller::Allowed(_) | Caller::Own(_) => Body::Stream(body),
        Caller::Paired(_) => {
            let claim = app.credentials.claim(head, origin)?;
            let body = if is_json { Body::Json(collect(body, MAX_JSON).await?) } else { Body::Stream(body) };
            app.credentials.prove(claim, head, body.json())?;
            body
        }
        // `admit` lets a stranger no further than what is open.
        Caller::Stranger(_) => return Err(Code::OriginRefused.into()),
    };
    // Only now: who does not prove itself learns nothing of its mistakes.
    query.only(&operation.parameters())?;
    let requester = caller.requester();
    match operation.call {
        Call::Events => events::begin(app, head, caller),
        Call::Info => info(app, port, &query, caller),
        Call::BeginPairing => {
            let body: PairingBody = serde_json::from_slice(&collect(body.stream()?, MAX_JSON).await?).map_err(bad)?;
            Ok(answer::json(StatusCode::ACCEPTED, &app.pairings.begin(origin, &body)?))
        }
        Call::PairingStatus => Ok(answer::json(StatusCode::OK, &app.pairings.status(id, origin, wait(&query)?).await?)),
        Call::WithdrawPairing => {
            let is_gone = app.pairings.withdraw(id, origin);
            if is_gone { Ok(answer::status(StatusCode::NO_CONTENT)) } else { Err(Code::NotFound.into()) }
        }
        Call::Contract => Ok(answer::json(StatusCode::OK, &*openapi::DOCUMENT)),
        Call::Tokens => Ok(answer::json(StatusCode::OK, &TokenView::all(&known(app).await))),
        Call::Token => {
            let tokens = TokenView::all(&known(app).await);
            let token = tokens.iter().find(|t| t.id.0 == *id).ok_or(Code::NotFound)?;
            Ok(answer::json(StatusCode::OK, token))
        }
        Call::Seals => Ok(answer::json(StatusCode::OK, &SealView::all(&known(app).await, (app.signer.clock)()))),
        Call::Seal => Ok(answer::json(StatusCode::OK, &SealView::of(&seal(app, id).await?, (app.signer.clock)()))),
        Call::SealPicture => {
            let known = seal(app, id).await?;
            let picture = known.seal.picture();
            // Sites get what stands in the seal; the agent's own pages show it, so what must be drawn is drawn for them.
            if requester == Requester::OwnPage
                && matches!(picture.format, PictureFormat::Ofd | PictureFormat::Svg)
                && let Ok(drawn) = app.signer.impression(&known).await
            {
                return Ok(answer::typed(StatusCode::OK, "image/png", AnswerBody::whole(drawn.to_vec())));
            }
            Ok(answer::typed(StatusCode::OK, media_type(picture.format), AnswerBody::whole(picture.data.clone())))
        }
        Call::SealData => {
            if !app.signer.config.http.digest_only.contains(origin) {
                return Err(Failure::new(Code::PolicyRefused, "this origin may not ask for signatures over digests"));
            }
            let known = seal(app, id).await?;
            Ok(answer::typed(StatusCode::OK, "application/octet-stream", AnswerBody::whole(known.seal.raw().to_vec())))
        }
        Call::TakeDocument => {
            take_document(app, origin, name(query.get("name").unwrap_or_default())?, length, body.stream()?).await
        }
        Call::DeleteDocument => {
            if app.documents.delete(id, origin) {
                Ok(answer::status(StatusCode::NO_CONTENT))
            } else {
                Err(Code::DocumentNotFound.into())
            }
        }
        Call::DocumentPage => {
            let document = app.documents.find(id, origin).ok_or(Code::DocumentNotFound)?;
            let page = route.value(1).parse().map_err(|_| Code::NotFound)?;
            page_picture(app, &document.bytes, |index| Some(document.pages.get(index)?.width), page, &query).await
        }
        Call::BeginSignatures => begin(app, caller, body.json().unwrap_or_default()).await,
        Call::CancelSignatures => {
            if app.requests.delete(id, &requester) {
                Ok(answer::status(StatusCode::NO_CONTENT))
            } else {
                Err(Code::NotFound.into())
            }
        }
        Call::SignatureStatus => status(app, id, &requester, wait(&query)?).await,
        Call::SignedDocument => signed_document(app, id, route.value(1), &requester),
        Call::Verify => {
            let at = at(&query)?;
            verify(app, at, body.stream()?).await
        }
    }
}

/// A body that was read because its credential covers it, or one that is still to come.
enum Body {
    Json(Vec<u8>),
    Stream(Incoming),
}

impl Body {
    fn json(&self) -> Option<&[u8]> {
        match self {
            Self::Json(json) => Some(json),
            Self::Stream(_) => None,
        }
    }

    fn stream(self) -> Result<Incoming, Failure> {
        match self {
            Self::Json(_) => Err(Code::Internal.into()),
            Self::Stream(body) => Ok(body),
        }
    }
}

/// Who we are: to strangers the name, to pages that are allowed a little more, to a page that names its pairing the proof of it.
fn info(app: &App, port: u16, query: &Query, caller: &Caller) -> Result<Answer, Failure> {
    let proof = match (query.get("pairing"), query.get("challenge")) {
        (Some(id), Some(challenge)) => app.credentials.introduce(caller.origin(), id, challenge, port),
        (None, None) => None,
        _ => return Err(bad("query: challenge and pairing belong together")),
    };
    if !matches!(caller, Caller::Allowed(_) | Caller::Own(_)) && proof.is_none() {
        return Ok(answer::json(StatusCode::OK, &InfoView::Stranger(PublicInfo { product: "sealagent", api_versions: [1] })));
    }
    let user = sm3(app.signer.user.as_bytes()).to_string();
    let (run, proof, seen) = proof.map_or((None, None, None), |p| (Some(p.run), Some(p.proof), Some(p.seen)));
    let info = Info {
        product: "sealagent",
        version: env!("CARGO_PKG_VERSION"),
        api_versions: [1],
        user: &user[..8],
        features: FEATURES,
        paired: true,
        run,
        proof,
        seen,
    };
    Ok(answer::json(StatusCode::OK, &InfoView::Allowed(info)))
}

/// How long a long poll may take.
fn wait(query: &Query) -> Result<Duration, Failure> {
    match query.get("wait") {
        Some(text) => {
            let seconds = text.parse().ok().filter(|s: &u32| *s <= MAX_WAIT).ok_or_else(|| bad("wait: 0 to 20 seconds"))?;
            Ok(Duration::from_secs(seconds.into()))
        }
        None => Ok(Duration::ZERO),
    }
}

/// Content type and length of the body, judged before a byte of it is read. Returns the length.
fn check_body(app: &App, head: &Parts, operation: &Operation) -> Result<u64, Failure> {
    let (kinds, most) = match operation.body {
        Some(body @ routes::Body::File) => (body.content_types(), app.signer.config.http.max_upload_bytes),
        Some(body @ routes::Body::Json(_, most)) => (body.content_types(), most),
        None => (&[][..], 0),
    };
    upload::check(head, kinds, most)
}

/// The time that a call names to be judged at.
pub(super) fn at(query: &Query) -> Result<Option<Timestamp>, Failure> {
    let at = query.get("at").map(str::parse).transpose();
    at.map_err(|_| bad("at: a time such as 2026-11-24T06:00:00Z"))
}

/// A picture of a page (from 1), as many pixels wide as the query's `width` says; a header tells what of it is not as the file has it.
/// `width_mm` gives the width of a page by its index, where there is one.
pub(super) async fn page_picture(
    app: &App,
    bytes: &FileBytes,
    width_mm: impl Fn(usize) -> Option<f64>,
    page: u32,
    query: &Query,
) -> Result<Answer, Failure> {
    let width = query.get("width").map_or(Some(DEFAULT_PAGE_WIDTH), |text| text.parse().ok());
    let (from, to) = (PAGE_WIDTHS.start(), PAGE_WIDTHS.end());
    let width = width.filter(|width| PAGE_WIDTHS.contains(width)).ok_or_else(|| bad(format!("width: {from} to {to} pixels")))?;
    let width_mm = (page as usize).checked_sub(1).and_then(width_mm).ok_or(Code::PageNotFound)?;
    let preview = app.signer.preview.as_ref().ok_or_else(|| Failure::new(Code::NotFound, "no preview is installed"))?;
    let dpi = (f64::from(width) * 25.4 / width_mm) as f32;
    let _permit = app.signer.pool.acquire().await.map_err(|_| Failure::from(Code::Internal))?;
    let drawn = async {
        let mut session = preview.open(bytes.reader(), bytes.len()).await?;
        let request = PageRequest { page, dpi, max_pixels: MAX_PIXELS, stamps: Vec::new() };
        let drawn = session.page(&request).await?;
        let pixels = drawn.layers.first().map_or(&[][..], Vec::as_slice);
        let findings = session.document.findings.iter().chain(&drawn.head.findings).cloned().collect::<Vec<_>>();
        Ok::<_, PreviewError>((preview::png(drawn.head.width, drawn.head.height, pixels)?, Drawn::of(&findings)))
    };
    match drawn.await {
        Ok((png, drawn)) => {
            let mut answer = answer::typed(StatusCode::OK, "image/png", AnswerBody::whole(png));
            answer.headers_mut().insert("x-sealagent-drawn", drawn.header());
            Ok(answer)
        }
        Err(error @ PreviewError::TooLarge(_)) => Err(Failure::new(Code::TooLarge, error)),
        Err(error @ PreviewError::NotRunning(_)) => {
            tracing::warn!(%error, "a page cannot be drawn");
            Err(Failure::new(Code::DocumentMalformed, "the page cannot be drawn"))
        }
        Err(error) => Err(Failure::new(Code::DocumentMalformed, error)),
    }
}

async fn known(app: &App) -> seals::Seals {
    seals::all(&app.signer.workers, &app.signer.config.places.seals()).await
}

async fn seal(app: &App, es_id: &str) -> Result<KnownSeal, Failure> {
    known(app).await.find(es_id, (app.signer.clock)()).cloned().ok_or_else(|| Code::SealNotFound.into())
}

/// How the picture of a seal is sent.
pub(super) fn media_type(format: PictureFormat) -> &'static str {
    match format {
        PictureFormat::Bmp => "image/bmp",
        PictureFormat::Gif => "image/gif",
        PictureFormat::Jpeg => "image/jpeg",
        PictureFormat::Ofd => "application/ofd",
        PictureFormat::Png => "image/png",
        // An SVG can hold scripts; the page gets it as bytes.
        _ => "application/octet-stream",
    }
}

async fn take_document(app: &App, origin: &Origin, name: String, length: u64, mut body: Incoming) -> Result<Answer, Failure> {
    let reserved = app.documents.reserve(origin, length)?;
    let (draft, sm3, received) = receive(&app.scratch, &mut body).await?;
    if received != length {
        return Err(bad("Content-Length"));
    }
    let opened = in_pool(app, move || Document::open(draft.file, name, sm3)).await??;
    let document = Arc::new(opened);
    let id = reserved.fill(document.clone());
    let expires = (app.signer.clock)().saturating_add(jiff::SignedDuration::from_secs(IDLE.as_secs() as i64));
    let expires = expires.unwrap_or(Timestamp::MAX);
    Ok(answer::json(StatusCode::CREATED, &DocumentView::new(id.as_str(), &document, expires)))
}

async fn begin(app: &App, caller: &Caller, body: &[u8]) -> Result<Answer, Failure> {
    let parsed: SignatureBody = serde_json::from_slice(body).map_err(bad)?;
    let request = parsed.parse(caller.requester(), |id| app.documents.find(id, caller.origin()))?;
    let idempotency = parsed.idempotency_key.map(|key| (key, sm3(body)));
    let id = app.requests.begin(request, idempotency).await?;
    Ok(answer::json(StatusCode::ACCEPTED, &Begun { signature_id: id.as_str() }))
}

async fn status(app: &App, id: &str, requester: &Requester, wait: Duration) -> Result<Answer, Failure> {
    let watching = app.requests.watch(id, requester).ok_or(Code::NotFound)?;
    let status = watching.changed(wait).await;
    let values = |outputs: &[Output]| -> Option<Vec<(usize, String)>> {
        let values = outputs.iter().filter_map(|output| match output {
            Output::Value { item, value } => Some((*item, URL_SAFE_NO_PAD.encode(value))),
            Output::Document { .. } => None,
        });
        Some(values.collect()).filter(|values: &Vec<_>| !values.is_empty())
    };
    let mut values = app.requests.fetch(id, requester, values).unwrap_or_default();
    let mut view = |(n, item)| {
        let value = values.iter_mut().find(|(item, _)| *item == n).map(|(_, value)| std::mem::take(value));
        ItemView::new(item, value)
    };
    let items = status.items.iter().enumerate().map(&mut view).collect();
    Ok(answer::json(StatusCode::OK, &StatusView { state: status.state, items }))
}

fn signed_document(app: &App, id: &str, document: &str, requester: &Requester) -> Result<Answer, Failure> {
    let find = |outputs: &[Output]| {
        outputs.iter().find_map(|output| match output {
            Output::Document { document: of, draft, .. } if of.is(document) => {
                Some((draft.file.try_clone().and_then(FileBytes::new), of.format))
            }
            _ => None,
        })
    };
    let found = app.requests.fetch(id, requester, find);
    let (bytes, format) = found.ok_or(Code::NotFound)?;
    let kind = match format {
        crate::signing::Format::Ofd => "application/ofd",
        crate::signing::Format::Pdf => "application/pdf",
    };
    let mut answer = answer::typed(StatusCode::OK, kind, AnswerBody::file(&bytes.map_err(|e| of_io(&e))?));
    answer.headers_mut().insert(header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment"));
    Ok(answer)
}

async fn verify(app: &App, at: Option<Timestamp>, mut body: Incoming) -> Result<Answer, Failure> {
    let (draft, ..) = receive(&app.scratch, &mut body).await?;
    let bytes = FileBytes::new(draft.file).map_err(|e| of_io(&e))?;
    let report = app.signer.judge(&bytes, at, app.signer.config.fetch.for_pages).await?;
    Ok(answer::json(StatusCode::OK, &report))
}

async fn in_pool<T: Send + 'static>(app: &App, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Failure> {
    app.signer.in_pool(work).await
}
