//! Answers: JSON, bytes, files, errors, and the headers that all of them carry.

use std::convert::Infallible;
use std::io::Read;
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::body::{Body, Bytes, Frame, SizeHint};
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};
use serde::Serialize;
use tokio::sync::mpsc;

use super::guard::Caller;
use super::listener::Busy;
use crate::failure::Failure;
use crate::scratch::{Bytes as FileBytes, BytesReader};
use crate::server::ErrorBody;

/// Bytes that are read from a file at once.
const CHUNK: usize = 64 << 10;

/// The body of an answer.
#[derive(Debug)]
pub struct AnswerBody {
    source: Source,
    left: u64,
    _busy: Option<Busy>,
}

#[derive(Debug)]
enum Source {
    Whole(Bytes),
    File(mpsc::Receiver<Bytes>),
}

impl AnswerBody {
    /// Nothing.
    pub fn empty() -> Self {
        Self::whole(Bytes::new())
    }

    /// These bytes.
    pub fn whole(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        Self { left: bytes.len() as u64, source: Source::Whole(bytes), _busy: None }
    }

    /// A file, read while it is sent.
    pub fn file(bytes: &FileBytes) -> Self {
        let (sender, receiver) = mpsc::channel(2);
        let reader = bytes.reader();
        tokio::task::spawn_blocking(move || pump(reader, &sender));
        Self { left: bytes.len(), source: Source::File(receiver), _busy: None }
    }

    /// Keeps the mark that the connection is at work until the answer is sent.
    pub(super) fn during(mut self, busy: Busy) -> Self {
        self._busy = Some(busy);
        self
    }
}

/// Reads until the end or until nobody listens. A file that cannot be read ends early, which the library reports as a broken answer.
fn pump(mut reader: BytesReader, sender: &mpsc::Sender<Bytes>) {
    loop {
        let mut chunk = vec![0; CHUNK];
        match reader.read(&mut chunk) {
            Ok(0) => return,
            Ok(read) => {
                chunk.truncate(read);
                if sender.blocking_send(chunk.into()).is_err() {
                    return;
                }
            }
            Err(error) => return tracing::error!(%error, "a signed document cannot be read"),
        }
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let chunk = match &mut self.source {
            Source::Whole(bytes) => Some(std::mem::take(bytes)).filter(|b| !b.is_empty()),
            Source::File(chunks) => std::task::ready!(chunks.poll_recv(cx)),
        };
        if let Some(chunk) = &chunk {
            self.left = self.left.saturating_sub(chunk.len() as u64);
        }
        Poll::Ready(chunk.map(|chunk| Ok(Frame::data(chunk))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

/// An answer on its way.
pub type Answer = Response<AnswerBody>;

/// An answer without a body.
pub fn status(status: StatusCode) -> Answer {
    let mut answer = Response::new(AnswerBody::empty());
    *answer.status_mut() = status;
    answer
}

/// JSON.
pub fn json(code: StatusCode, value: &impl Serialize) -> Answer {
    match serde_json::to_vec(value) {
        Ok(bytes) => typed(code, "application/json", AnswerBody::whole(bytes)),
        Err(error) => {
            tracing::error!(%error, "an answer cannot be written as JSON");
            status(StatusCode::INTERNAL_SERVER_ERROR)
        }
    }
}

/// A body of a type.
pub fn typed(code: StatusCode, kind: &'static str, body: AnswerBody) -> Answer {
    let mut answer = Response::new(body);
    *answer.status_mut() = code;
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    answer
}

/// An error.
pub fn failure(failure: &Failure, request_id: &str) -> Answer {
    let status = StatusCode::from_u16(failure.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    json(status, &ErrorBody::new(failure, request_id))
}

/// The headers of every answer; CORS headers only for a caller that was admitted.
pub fn finish(mut answer: Answer, request_id: &str, caller: Option<&Caller>) -> Answer {
    let headers = answer.headers_mut();
    let mut put = |name: HeaderName, value: &'static str| drop(headers.insert(name, HeaderValue::from_static(value)));
    put(header::CACHE_CONTROL, "no-store");
    put(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    put(HeaderName::from_static("cross-origin-resource-policy"), "same-origin");
    put(header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'");
    put(header::REFERRER_POLICY, "no-referrer");
    if let Some(caller) = caller {
        put(header::ACCESS_CONTROL_EXPOSE_HEADERS, "content-disposition, x-request-id");
        if !headers.contains_key(header::VARY) {
            headers.insert(header::VARY, HeaderValue::from_static("Origin"));
        }
        // An origin is ASCII without line ends, or it would not have been read.
        if let Ok(origin) = HeaderValue::from_str(caller.origin().as_str()) {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        }
    }
    if let Ok(id) = HeaderValue::from_str(request_id) {
        headers.insert(HeaderName::from_static("x-request-id"), id);
    }
    answer
}
