//! `GET /v1/events`: tokens that come and go, requests that change, over one WebSocket. While it is open its page counts as there.
//!
//! Not server-sent events: six open streams stall every further call of a site, in all its tabs.

use std::sync::Arc;
use std::time::Duration;

use hyper::header::{self, HeaderName, HeaderValue};
use hyper::http::request::Parts;
use hyper::upgrade::OnUpgrade;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncWrite, AsyncWriteExt as _};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{Instant, interval_at, timeout};

use super::App;
use super::answer::{self, Answer};
use super::credential::Credentials;
use super::guard::Caller;
use super::websocket::{self, Close, Ended, Incoming};
use crate::consent::{Origin, Requester};
use crate::failure::{Code, Failure};
use crate::server::one;
use crate::signing::State;
use crate::signing::request::Present;
use crate::workers::{TokenEvent, TokenHandle};

/// What a page must offer and is answered with.
const PROTOCOL: &str = "sealagent.v1";
/// Most that are open, of all pages together. A tab needs one.
const MAX_OPEN: usize = 64;
/// How long a paired page may take to prove itself.
const FIRST_FRAME: Duration = Duration::from_secs(10);
/// How often a page is asked whether it is there.
const PING: Duration = Duration::from_secs(20);
/// How often the pairing of a page is looked at: another program may have ended it.
const LOOK: Duration = Duration::from_secs(2);
/// Most frames that a page may send between two pings: its credential, a pong, a few pings of its own.
const MAX_FRAMES: u32 = 16;
/// A page that does not take a frame for this long is gone.
const STALLED: Duration = Duration::from_secs(10);

/// How long a page has to close its end after ours.
const GOODBYE: Duration = Duration::from_secs(1);

/// One event.
#[derive(JsonSchema, Serialize)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub(super) enum Event<'a> {
    PairingChanged { state: PairingChange },
    SignatureChanged { signature_id: &'a str, state: State, done: usize },
    TokenAdded { token: &'a TokenHandle },
    TokenRemoved { token: &'a TokenHandle },
}

/// What became of an origin's pairing.
#[derive(JsonSchema, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum PairingChange {
    /// The person allowed it, anew or for the first time.
    Granted,
    /// It was ended; the stream ends after this.
    Revoked,
}

/// The first frame of a paired page: as the header of its calls would be, over `GET /v1/events`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FirstFrame {
    authorization: String,
}

/// How many are open.
pub struct Events(Arc<Semaphore>);

impl Default for Events {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MAX_OPEN)))
    }
}

/// Answers the handshake; what follows on the connection is served in a task of its own.
pub fn begin(app: &App, head: &Parts, caller: &Caller) -> Result<Answer, Failure> {
    let (answer, upgrade) = switch(head)?;
    let permit = app.events.0.clone().try_acquire_owned().map_err(|_| Code::Busy)?;
    let requester = caller.requester();
    let stream = Stream {
        origin: caller.origin().clone(),
        must_prove: matches!(caller, Caller::Paired(_)),
        credentials: app.credentials.clone(),
        tokens: app.signer.workers.events(),
        signatures: app.requests.changes(),
        granted: app.pairings.granted(),
        _present: app.requests.present(&requester),
        requester,
        _permit: permit,
    };
    tokio::spawn(async move {
        match upgrade.await {
            Ok(connection) => stream.serve(TokioIo::new(connection)).await,
            Err(error) => tracing::debug!(%error, "a WebSocket did not come about"),
        }
    });
    Ok(answer)
}

/// A WebSocket on which nothing is said but goodbye: whether a browser lets one through.
pub(super) fn try_out(app: &App, head: &Parts) -> Result<Answer, Failure> {
    let (answer, upgrade) = switch(head)?;
    let permit = app.events.0.clone().try_acquire_owned().map_err(|_| Code::Busy)?;
    tokio::spawn(async move {
        let _permit = permit;
        if let Ok(connection) = upgrade.await {
            let (mut reader, mut writer) = tokio::io::split(TokioIo::new(connection));
            // The page closes once it is open; a server that hangs up first looks like a failure to some browsers.
            let _ = timeout(FIRST_FRAME, websocket::read(&mut reader)).await;
            let _ = timeout(GOODBYE, websocket::close(&mut writer, Close::Normal)).await;
        }
    });
    Ok(answer)
}

/// The handshake's answer, and the connection once it is sent.
fn switch(head: &Parts) -> Result<(Answer, OnUpgrade), Failure> {
    let bad = |what: &str| Failure::new(Code::BadRequest, what);
    let lists = |name: HeaderName, wanted: &str| {
        one(&head.headers, name).is_some_and(|list| list.split(',').any(|one| one.trim().eq_ignore_ascii_case(wanted)))
    };
    if !lists(header::UPGRADE, "websocket") || !lists(header::CONNECTION, "upgrade") {
        return Err(bad("this address speaks WebSocket"));
    }
    if one(&head.headers, header::SEC_WEBSOCKET_VERSION) != Some("13") {
        return Err(bad("Sec-WebSocket-Version: 13"));
    }
    if !lists(header::SEC_WEBSOCKET_PROTOCOL, PROTOCOL) {
        return Err(bad("Sec-WebSocket-Protocol: sealagent.v1"));
    }
    let accept = one(&head.headers, header::SEC_WEBSOCKET_KEY).and_then(websocket::accept);
    let accept = accept.and_then(|text| HeaderValue::from_str(&text).ok()).ok_or_else(|| bad("Sec-WebSocket-Key"))?;
    let upgrade = head.extensions.get::<OnUpgrade>().cloned().ok_or(Code::Internal)?;
    let mut answer = answer::status(StatusCode::SWITCHING_PROTOCOLS);
    let headers = answer.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(PROTOCOL));
    headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    Ok((answer, upgrade))
}

struct Stream {
    origin: Origin,
    must_prove: bool,
    credentials: Arc<Credentials>,
    tokens: tokio::sync::broadcast::Receiver<TokenEvent>,
    signatures: tokio::sync::broadcast::Receiver<crate::signing::request::Changed>,
    granted: tokio::sync::broadcast::Receiver<Origin>,
    requester: Requester,
    /// Dropped when the page is gone.
    _present: Present,
    _permit: OwnedSemaphorePermit,
}

impl Stream {
    async fn serve(self, connection: TokioIo<hyper::upgrade::Upgraded>) {
        let (mut reader, mut writer) = tokio::io::split(connection);
        // Frames are read in a task, since half of one must not be lost when an event comes in between.
        let (sender, mut frames) = mpsc::channel(1);
        let mut reading = tokio::spawn(async move {
            loop {
                let frame = websocket::read(&mut reader).await;
                let is_end = frame.is_err();
                if sender.send(frame).await.is_err() || is_end {
                    break;
                }
            }
            let _ = tokio::io::copy(&mut reader, &mut tokio::io::sink()).await;
        });
        if let Ended::Close(code) = self.run(&mut frames, &mut writer).await {
            frames.close();
            let goodbye = async {
                let _ = websocket::close(&mut writer, code).await;
                let _ = writer.shutdown().await;
                // What the page still sends is taken, or the system would throw our close frame away with the connection.
                let _ = (&mut reading).await;
            };
            let _ = timeout(GOODBYE, goodbye).await;
        }
        reading.abort();
    }

    /// Runs until somebody ends it.
    async fn run(
        mut self,
        frames: &mut mpsc::Receiver<Result<Incoming, Ended>>,
        writer: &mut (impl AsyncWrite + Unpin),
    ) -> Ended {
        let pairing = match self.proved(frames).await {
            Ok(pairing) => pairing,
            Err(ended) => return ended,
        };
        let (mut pings, mut looks) = (interval_at(Instant::now() + PING, PING), interval_at(Instant::now() + LOOK, LOOK));
        let credentials = self.credentials.clone();
        let origin = self.origin.clone();
        let is_revoked = || pairing.as_ref().is_some_and(|id| !credentials.is_granted(id, &origin));
        let (mut received, mut is_alive) = (0, true);
        loop {
            let sent = tokio::select! {
                frame = frames.recv() => {
                    received += 1;
                    is_alive = true;
                    match frame {
                        _ if received > MAX_FRAMES => return Ended::Close(Close::Policy),
                        Some(Ok(Incoming::Ping(payload))) => timeout(STALLED, websocket::pong(writer, &payload)).await,
                        Some(Ok(Incoming::Pong)) => continue,
                        Some(Ok(Incoming::Text(_))) => return Ended::Close(Close::Policy),
                        Some(Err(ended)) => return ended,
                        None => return Ended::Gone,
                    }
                }
                _ = pings.tick() => {
                    if !std::mem::take(&mut is_alive) {
                        return Ended::Gone;
                    }
                    received = 0;
                    timeout(STALLED, websocket::ping(writer)).await
                }
                // Only a pairing can end.
                _ = looks.tick(), if pairing.is_some() => {
                    if is_revoked() {
                        return revoked(writer).await;
                    }
                    continue;
                }
                event = self.next() => {
                    if is_revoked() {
                        return revoked(writer).await;
                    }
                    match event {
                        Some(text) => timeout(STALLED, websocket::text(writer, &text)).await,
                        None => return Ended::Gone,
                    }
                }
            };
            if !matches!(sent, Ok(Ok(()))) {
                return Ended::Gone;
            }
        }
    }

    /// The pairing that the page has proved; none for a page that the configuration allows.
    async fn proved(&self, frames: &mut mpsc::Receiver<Result<Incoming, Ended>>) -> Result<Option<String>, Ended> {
        if !self.must_prove {
            return Ok(None);
        }
        let refused = || Ended::Close(Close::Policy);
        let text = match timeout(FIRST_FRAME, frames.recv()).await {
            Ok(Some(Ok(Incoming::Text(text)))) => text,
            Ok(Some(Err(ended))) => return Err(ended),
            _ => return Err(refused()),
        };
        let first: FirstFrame = serde_json::from_str(&text).map_err(|_| refused())?;
        let claimed = Request::builder().method(Method::GET).uri("/v1/events").header(header::AUTHORIZATION, first.authorization);
        let (head, ()) = claimed.body(()).map_err(|_| refused())?.into_parts();
        let claim = self.credentials.claim(&head, &self.origin).map_err(|_| refused())?;
        let id = claim.id().to_owned();
        self.credentials.prove(claim, &head, None).map_err(|_| refused())?;
        Ok(Some(id))
    }

    /// The next event for this requester, as JSON. One that was missed because the page is slow is no loss: the page reads the state.
    async fn next(&mut self) -> Option<String> {
        loop {
            let json = tokio::select! {
                event = self.tokens.recv() => match event {
                    Ok(TokenEvent::Added(token)) => serde_json::to_string(&Event::TokenAdded { token: &token.handle }),
                    Ok(TokenEvent::Removed(token)) => serde_json::to_string(&Event::TokenRemoved { token: &token }),
                    Err(RecvError::Lagged(_)) => continue,
                    Err(RecvError::Closed) => return None,
                },
                change = self.signatures.recv() => match change {
                    Ok(change) if change.requester == self.requester => {
                        let (signature_id, state, done) = (change.id.as_str(), change.state, change.done);
                        serde_json::to_string(&Event::SignatureChanged { signature_id, state, done })
                    }
                    Ok(_) | Err(RecvError::Lagged(_)) => continue,
                    Err(RecvError::Closed) => return None,
                },
                granted = self.granted.recv() => match granted {
                    Ok(origin) if origin == self.origin => {
                        serde_json::to_string(&Event::PairingChanged { state: PairingChange::Granted })
                    }
                    Ok(_) | Err(RecvError::Lagged(_)) => continue,
                    Err(RecvError::Closed) => return None,
                },
            };
            if let Ok(json) = json {
                return Some(json);
            }
        }
    }
}

/// Tells the page that its pairing has ended, and ends the stream.
async fn revoked(writer: &mut (impl AsyncWrite + Unpin)) -> Ended {
    if let Ok(json) = serde_json::to_string(&Event::PairingChanged { state: PairingChange::Revoked }) {
        let _ = timeout(STALLED, websocket::text(writer, &json)).await;
    }
    Ended::Close(Close::Policy)
}
