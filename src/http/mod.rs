//! The bridge for web pages: HTTP/1.1 on 127.0.0.1 and nowhere else (I5).
//!
//! A connection is nothing: it costs little, may wait long for its first byte (a browser opens it before it asks the person), and
//! the oldest idle ones are dropped when there are too many. A request passes, in this order and before its body is read: the form
//! of its head ([`crate::server::head`]), the peer's user ([`peer`]), host, origin and fetch mode ([`guard`]), path, method, content type, size.
//!
//! ```text
//! listener ─ head ─ peer ─ guard ─ router ─┬─ documents   handed over, kept for ten idle minutes
//!                                          ├─ signatures  crate::signing::Requests
//!                                          ├─ verifications, seals, tokens, info
//!                                          └─ pages       the agent's own, with checks of their own
//! ```

pub mod answer;
pub mod api;
pub mod credential;
pub mod documents;
pub mod events;
pub mod guard;
mod listener;
pub mod openapi;
pub mod pages;
pub mod pairing;
pub mod peer;
pub mod router;
pub mod routes;
pub mod websocket;

use std::sync::Arc;

use crate::signing::{Requests, Scratch, Signer};
use credential::Credentials;
use documents::Documents;
use pairing::Pairings;

pub use listener::{ListenError, Listener};

/// What the routes work with.
pub struct App {
    /// Seals, tokens, trust, time.
    pub signer: Arc<Signer>,
    /// Requests of pages.
    pub requests: Requests,
    /// Documents of pages.
    pub documents: Documents,
    /// Pairings that are asked for.
    pub pairings: Pairings,
    /// Pairings that were granted.
    pub credentials: Arc<Credentials>,
    /// The agent's own pages.
    pub pages: pages::Pages,
    /// Open event streams.
    pub events: events::Events,
    /// Where their bytes are.
    pub scratch: Scratch,
    /// The port that is listened on: part of the one right `Host`.
    pub port: u16,
}

impl App {
    /// The routes for one agent.
    pub fn new(signer: Arc<Signer>, port: u16) -> Self {
        // On the disk of the state, not in memory: a document may have two gigabytes.
        let scratch = Scratch::Unlinked(signer.config.places.state.join("scratch"));
        scratch.clear();
        let requests = Requests::new(signer.clone(), scratch.clone());
        let documents = Documents::new(signer.config.http.max_upload_bytes);
        let credentials = Arc::new(Credentials::new(&signer));
        let pairings = Pairings::new(signer.clone(), credentials.clone());
        let events = events::Events::default();
        let pages = pages::Pages::new(&signer.config, port);
        Self { signer, requests, documents, pairings, credentials, pages, events, scratch, port }
    }
}
