//! The agent's own pages: verify, sign, seals, settings, history, diagnose. They come from the agent's own port, so the browser keeps
//! every other origin away from them, and they are the only thing that this port shows to a person.
//!
//! | what | who gets it |
//! |---|---|
//! | files of the pages ([`assets`]) | whoever navigates to them at `127.0.0.1:PORT`; nothing else may load them, nothing may frame them |
//! | judging a file, who the agent is | scripts of these pages: `Origin` and `Sec-Fetch-Site` say so, which no other page can forge |
//! | seals, tokens, signing, settings, history | the same with a session, which [`link`] opens once and [`session`] keeps |
//!
//! A session signs as the person at the machine: policy limits of web sites do not bind it, and every signature is asked for by the
//! prompt as ever, which says that this computer's own page asks.

mod assets;
mod history;
pub mod link;
mod places;
pub(super) mod reports;
mod session;
mod settings;

use std::time::Instant;

use hyper::body::Incoming;
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Method, StatusCode};
use serde::{Deserialize, Serialize};

use super::App;
use super::answer::{self, Answer, AnswerBody};
use super::events;
use super::guard::Caller;
use super::router;
use super::routes::Route;
use crate::config::Config;
use crate::consent::Origin;
use crate::failure::{Code, Failure};
use crate::server::{Query, bad, one, upload};
use link::Links;
use reports::Reports;
use session::Sessions;

/// Largest body of a page's own call, in bytes: a link's token fits.
const MAX_JSON: u64 = 1 << 10;

/// What the pages need beside the rest of the agent.
#[derive(Debug)]
pub struct Pages {
    /// Links that open a session.
    links: Links,
    sessions: Sessions,
    reports: Reports,
    /// The one origin that these pages have.
    origin: Origin,
    /// What the pages may load and do.
    policy: HeaderValue,
}

impl Pages {
    /// The pages of an agent on a port.
    pub fn new(config: &Config, port: u16) -> Self {
        let policy = format!(
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self' ws://127.0.0.1:{port}; \
             base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
        );
        #[expect(clippy::expect_used, reason = "ASCII of this file and a number")]
        let policy = HeaderValue::from_str(&policy).expect("a header");
        Self {
            links: Links::new(&config.places),
            sessions: Sessions::default(),
            reports: Reports::new(config.http.max_upload_bytes),
            origin: Origin::of_loopback(port),
            policy,
        }
    }

    /// Forgets what was idle too long, for ever; sleeps while there is nothing to forget.
    pub async fn keep_swept(&self) {
        self.reports.keep_swept().await;
    }
}

/// Whether a request is about the agent's own pages: it goes to one of their paths, or its credential is a session's.
pub fn are_asked(head: &Parts) -> bool {
    let path = head.uri.path();
    let has_session = || one(&head.headers, header::AUTHORIZATION).is_some_and(|text| text.starts_with(session::SCHEME));
    path.starts_with("/app/") || assets::find(path).is_some() || has_session()
}

/// Answers one request about them.
pub async fn answer(app: &App, id: &str, head: &Parts, body: Incoming) -> Answer {
    let found = if let Err(failure) = check_host(head, app.port) {
        Err(failure)
    } else if let Some(asset) = assets::find(head.uri.path()) {
        file(head, asset)
    } else {
        call(app, head, body).await
    };
    let is_refused = found.is_err();
    let answer = found.unwrap_or_else(|failure| answer::failure(&failure, id));
    let mut answer = answer::finish(answer, id, None);
    let headers = answer.headers_mut();
    if is_refused && head.method == Method::POST {
        // What follows on this connection may be a body that nobody will read.
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    let mut put = |name: &'static str, value: &'static str| drop(headers.insert(name, HeaderValue::from_static(value)));
    put("x-frame-options", "DENY");
    put("cross-origin-opener-policy", "same-origin");
    put("permissions-policy", "camera=(), microphone=(), geolocation=(), usb=(), serial=(), hid=(), payment=()");
    put("vary", "Sec-Fetch-Dest, Sec-Fetch-Mode, Sec-Fetch-Site, Origin, Authorization");
    headers.insert(header::CONTENT_SECURITY_POLICY, app.pages.policy.clone());
    answer
}

/// These pages have one name; `localhost` would be another origin with a session of its own.
fn check_host(head: &Parts, port: u16) -> Result<(), Failure> {
    let host = one(&head.headers, header::HOST).and_then(|host| host.strip_prefix("127.0.0.1"));
    let is_own = host.is_some_and(|rest| rest == format!(":{port}") || (port == 80 && rest.is_empty()));
    if is_own { Ok(()) } else { Err(Code::WrongHost.into()) }
}

fn fetched(head: &Parts, name: &'static str) -> Option<String> {
    // Twice the same header is as good as a wrong one.
    let name = HeaderName::from_static(name);
    head.headers.contains_key(&name).then(|| one(&head.headers, name).unwrap_or("twice").to_owned())
}

/// A file of the pages: to a navigation of a whole tab, or to the pages themselves. Reading it does nothing.
fn file(head: &Parts, asset: &assets::Asset) -> Result<Answer, Failure> {
    if head.method != Method::GET {
        return Err(Code::MethodNotAllowed.into());
    }
    let (site, mode, dest) = (fetched(head, "sec-fetch-site"), fetched(head, "sec-fetch-mode"), fetched(head, "sec-fetch-dest"));
    let is_navigation = asset.kind.starts_with("text/html")
        && mode.as_deref().is_none_or(|mode| mode == "navigate")
        && dest.as_deref().is_none_or(|dest| dest == "document");
    let is_own = matches!(site.as_deref(), None | Some("none" | "same-origin"))
        && !matches!(dest.as_deref(), Some("iframe" | "frame" | "embed" | "object"));
    if !is_navigation && !is_own {
        return Err(Code::OriginRefused.into());
    }
    Ok(answer::typed(StatusCode::OK, asset.kind, AnswerBody::whole(asset.bytes)))
}

/// Whether a script of these pages calls. A browser tells by `Origin` (with every call that can change something) or by
/// `Sec-Fetch-Site` (with every other), and what it tells must not contradict.
fn check_caller(app: &App, head: &Parts) -> Result<(), Failure> {
    let origin = fetched(head, "origin");
    let is_own_origin = origin.as_deref() == Some(app.pages.origin.as_str());
    let site = fetched(head, "sec-fetch-site");
    let is_same_site = site.as_deref() == Some("same-origin");
    let contradicts = (origin.is_some() && !is_own_origin) || (site.is_some() && !is_same_site);
    let is_vouched = if head.method == Method::GET { is_own_origin || is_same_site } else { is_own_origin };
    let mode = fetched(head, "sec-fetch-mode");
    let is_script = mode.as_deref().is_none_or(|mode| matches!(mode, "cors" | "same-origin" | "websocket"));
    // A WebSocket of Chromium carries no `Sec-Fetch` headers, and always an `Origin`.
    if is_vouched && !contradicts && is_script { Ok(()) } else { Err(Code::OriginRefused.into()) }
}

/// A call of a script.
async fn call(app: &App, head: &Parts, body: Incoming) -> Result<Answer, Failure> {
    check_caller(app, head)?;
    let authorization = one(&head.headers, header::AUTHORIZATION);
    let has_session = authorization.is_some_and(|text| app.pages.sessions.admits(text, Instant::now()));
    if let Some(route) = Route::of(head.uri.path()) {
        if !has_session {
            return Err(Code::SessionEnded.into());
        }
        return router::routed(app, app.port, head, body, &route, &Caller::Own(app.pages.origin.clone())).await;
    }
    let path: Vec<&str> = head.uri.path().strip_prefix("/app/api/").ok_or(Code::NotFound)?.split('/').collect();
    let query = Query::parse(head.uri.query().unwrap_or(""))?;
    let method = head.method.as_str();
    // Open to these pages without a session: they give nothing away of the person, and a help desk has them open the page by its address.
    match (method, path.as_slice()) {
        ("POST", ["session"]) => return begin_session(app, head, body).await,
        ("GET", ["about"]) => return settings::about(app, &query, has_session),
        ("GET", ["socket"]) => return events::try_out(app, head),
        ("POST", ["reports"]) => {
            upload::check(head, upload::FILE_TYPES, app.signer.config.http.max_upload_bytes)?;
            return reports::judge(app, &query, body).await;
        }
        ("GET", ["reports", id, "seals", number]) => return reports::seal(app, id, number).await,
        ("GET", ["reports", id, "pages", page]) => return reports::page(app, id, page, &query).await,
        ("DELETE", ["reports", id]) => {
            return if app.pages.reports.delete(id) {
                Ok(answer::status(StatusCode::NO_CONTENT))
            } else {
                Err(Code::NotFound.into())
            };
        }
        _ => {}
    }
    if !has_session {
        return Err(Code::SessionEnded.into());
    }
    match (method, path.as_slice()) {
        ("GET", ["doctor"]) => settings::doctor(app, &query).await,
        ("GET", ["history"]) => history::answer(app, &query).await,
        ("GET", ["origins"]) => settings::origins(app, &query).await,
        ("DELETE", ["origins"]) => settings::revoke(app, &query).await,
        (_, ["about" | "doctor" | "socket" | "session" | "reports" | "history" | "origins", ..]) => {
            Err(Code::MethodNotAllowed.into())
        }
        _ => Err(Code::NotFound.into()),
    }
}

/// `POST /app/api/session`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LinkBody {
    link: String,
}

#[derive(Serialize)]
struct SessionView {
    token: String,
}

async fn begin_session(app: &App, head: &Parts, body: Incoming) -> Result<Answer, Failure> {
    upload::check(head, &["application/json"], MAX_JSON)?;
    let body: LinkBody = serde_json::from_slice(&upload::collect(body, MAX_JSON).await?).map_err(bad)?;
    let (links, now) = (app.pages.links.clone(), (app.signer.clock)());
    let is_good = app.signer.in_pool(move || links.redeem(&body.link, now)).await?;
    if !is_good {
        tracing::warn!("a link to the own pages was used that does not count (any more)");
        return Err(Code::SessionEnded.into());
    }
    let token = app.pages.sessions.begin(Instant::now()).map_err(|error| {
        tracing::error!(%error, "the system gives no random numbers");
        Failure::from(Code::Internal)
    })?;
    Ok(answer::json(StatusCode::CREATED, &SessionView { token }))
}
