//! What the pages show of the agent itself: who it is and how its parts are, and which web sites may call it.

use hyper::StatusCode;
use serde::Serialize;

use super::super::App;
use super::super::answer::{self, Answer};
use super::super::pairing;
use crate::audit::Event;
use crate::config::PromptKind;
use crate::consent::{Origin, Requester};
use crate::doctor;
use crate::failure::{Code, Failure, Language};
use crate::server::{Query, bad};
use crate::views::OriginView;
use crate::workers::DriverState;

/// `GET /app/api/about`
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct About<'a> {
    version: &'static str,
    port: u16,
    /// The user whose agent this is, as the record names them.
    user: &'a str,
    os: &'static str,
    architecture: &'static str,
    /// The agent's clock.
    now: jiff::Timestamp,
    /// Whether the caller has a session.
    has_session: bool,
    prompt: &'static str,
    has_preview: bool,
    /// Whether web sites may ask to be paired.
    pairing: bool,
    /// Whether strangers get no answer.
    silent: bool,
    /// Whether the person has a folder of trusted certificates.
    has_trust: bool,
    max_upload_bytes: u64,
    drivers: Vec<DriverView>,
}

/// A driver by its name in the configuration; neither library nor path (I6).
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DriverView {
    name: String,
    /// `running`, `starting` or `setAside`.
    state: &'static str,
}

/// Who the agent is and how its parts are.
pub(super) fn about(app: &App, query: &Query, has_session: bool) -> Result<Answer, Failure> {
    query.only(&[])?;
    let (signer, config) = (&app.signer, &app.signer.config);
    let drivers = signer.workers.status().into_iter().map(|driver| DriverView {
        name: driver.name,
        state: match driver.state {
            DriverState::Running => "running",
            DriverState::Starting { .. } => "starting",
            DriverState::SetAside { .. } => "setAside",
        },
    });
    let about = About {
        version: env!("CARGO_PKG_VERSION"),
        port: app.port,
        user: &signer.user,
        os: std::env::consts::OS,
        architecture: std::env::consts::ARCH,
        now: (signer.clock)(),
        has_session,
        prompt: match config.prompt.kind {
            PromptKind::Pinentry => "pinentry",
            PromptKind::Terminal => "terminal",
            PromptKind::Window => "window",
        },
        has_preview: signer.preview.is_some(),
        pairing: config.http.pairing,
        silent: config.http.silent,
        has_trust: config.places.trust().is_dir(),
        max_upload_bytes: config.http.max_upload_bytes,
        drivers: drivers.collect(),
    };
    Ok(answer::json(StatusCode::OK, &about))
}

/// What `sealagent doctor` finds without starting a driver: `GET /app/api/doctor?language=`.
pub(super) async fn doctor(app: &App, query: &Query) -> Result<Answer, Failure> {
    query.only(&["language"])?;
    let language = Language::of_locale(query.get("language").unwrap_or_default());
    let config = app.signer.config.clone();
    let checks = app.signer.in_pool(move || doctor::at_rest(&config, language)).await?;
    Ok(answer::json(StatusCode::OK, &checks.map_err(|error| unreadable(&error))?))
}

/// Which web sites may call.
pub(super) async fn origins(app: &App, query: &Query) -> Result<Answer, Failure> {
    query.only(&[])?;
    let (grants, now) = (app.credentials.grants().clone(), (app.signer.clock)());
    let grants = app.signer.in_pool(move || grants.list(now)).await?.map_err(|error| unreadable(&error))?;
    Ok(answer::json(StatusCode::OK, &OriginView::all(&app.signer.config.http, &grants)))
}

/// Ends all pairings of a web site, at once.
pub(super) async fn revoke(app: &App, query: &Query) -> Result<Answer, Failure> {
    query.only(&["origin"])?;
    let origin = query.get("origin").and_then(|text| Origin::parse(text).ok()).ok_or_else(|| bad("origin"))?;
    let (grants, of) = (app.credentials.grants().clone(), origin.clone());
    match app.signer.in_pool(move || grants.revoke(&of)).await?.map_err(|error| unreadable(&error))? {
        0 => Err(Code::NotFound.into()),
        _ => {
            let line = Event::of_revocation(&origin, Requester::OwnPage, &app.signer.user);
            pairing::record(&app.signer, line).await?;
            Ok(answer::status(StatusCode::NO_CONTENT))
        }
    }
}

fn unreadable(error: &std::io::Error) -> Failure {
    tracing::error!(%error, "a file of the agent cannot be read or changed");
    Code::Internal.into()
}
