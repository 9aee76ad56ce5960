//! Bodies: judged by their head, read at a pace, put where nobody else sees them.

use std::io::Write as _;
use std::time::Duration;

use http_body_util::BodyExt as _;
use hyper::body::{Bytes, Incoming};
use hyper::http::request::Parts;
use hyper::{Method, header};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::{bad, one};
use crate::failure::{Code, Failure};
use crate::scratch::{Draft, Scratch, of_io};
use crate::sm::{Sm3, Sm3Digest};

/// How long a body may stand still.
const BODY_STALL: Duration = Duration::from_secs(30);
/// The types of a body that is a file to be signed or judged.
pub const FILE_TYPES: &[&str] = &["application/ofd", "application/pdf", "application/octet-stream"];

/// Content type and length of a body, judged before a byte of it is read: one of `kinds`, at most `most` bytes. Gives the length.
pub fn check(head: &Parts, kinds: &[&str], most: u64) -> Result<u64, Failure> {
    let length = match head.headers.get(header::CONTENT_LENGTH) {
        Some(text) => text.to_str().ok().and_then(|t| t.parse().ok()).ok_or_else(|| bad("Content-Length"))?,
        None => 0,
    };
    if head.method != Method::POST {
        return if length == 0 { Ok(0) } else { Err(bad("no body belongs here")) };
    }
    if head.headers.contains_key(header::CONTENT_ENCODING) {
        return Err(Failure::new(Code::WrongContentType, "Content-Encoding"));
    }
    let kind = one(&head.headers, header::CONTENT_TYPE).unwrap_or_default().to_ascii_lowercase();
    let kind = kind.strip_suffix("; charset=utf-8").or(kind.strip_suffix(";charset=utf-8")).unwrap_or(&kind);
    if !kinds.contains(&kind) {
        return Err(Failure::new(Code::WrongContentType, format!("expected {}", kinds.join(" or "))));
    }
    if length > most {
        return Err(Failure::new(Code::TooLarge, format!("the limit is {most} bytes")));
    }
    Ok(length)
}

/// A body of at most `most` bytes, whole.
pub async fn collect(mut body: Incoming, most: u64) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    while let Some(chunk) = next_chunk(&mut body).await? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() as u64 > most {
            return Err(Code::TooLarge.into());
        }
    }
    Ok(bytes)
}

async fn next_chunk(body: &mut Incoming) -> Result<Option<Bytes>, Failure> {
    loop {
        match timeout(BODY_STALL, body.frame()).await {
            Err(_) => return Err(Failure::new(Code::TimedOut, "the body stopped coming")),
            Ok(None) => return Ok(None),
            Ok(Some(Err(_))) => return Err(bad("the body ended early")),
            Ok(Some(Ok(frame))) => {
                if let Ok(data) = frame.into_data() {
                    return Ok(Some(data));
                }
            }
        }
    }
}

/// A body into a file without a name, with its SM3 and length, written off the threads that answer. [`check`] has bounded the length, and
/// the library gives no more than that. Dropped in the middle, it leaves nothing behind.
pub async fn receive(scratch: &Scratch, body: &mut Incoming) -> Result<(Draft, Sm3Digest, u64), Failure> {
    let draft = {
        let scratch = scratch.clone();
        tokio::task::spawn_blocking(move || scratch.draft()).await
    };
    let mut draft = draft.map_err(|_| Code::Internal)?.map_err(|e| of_io(&e))?;
    let (sender, mut chunks) = mpsc::channel::<Bytes>(4);
    let writer = tokio::task::spawn_blocking(move || {
        let (mut digest, mut length) = (Sm3::new(), 0);
        while let Some(chunk) = chunks.blocking_recv() {
            digest.update(&chunk);
            draft.file.write_all(&chunk)?;
            length += chunk.len() as u64;
        }
        Ok::<_, std::io::Error>((draft, digest.finish(), length))
    });
    let mut received = Ok(());
    while let Some(chunk) = next_chunk(body).await.unwrap_or_else(|failure| {
        received = Err(failure);
        None
    }) {
        if sender.send(chunk).await.is_err() {
            break; // the writer failed, and says below how
        }
    }
    drop(sender);
    let written = writer.await.map_err(|_| Code::Internal)?.map_err(|e| of_io(&e))?;
    received.map(|()| written)
}

/// Reads what is left of a body that nobody wants, and forgets it: for as long as `most` at most. Whoever still sends cannot see the answer
/// otherwise, since a connection that ends with bytes unread takes the answer with it.
pub async fn drain(mut body: Incoming, most: Duration) {
    let _ = timeout(most, async { while let Some(Ok(_)) = body.frame().await {} }).await;
}
