//! The record for the person's eyes: its lines, newest first, a page at a time, and whether its chain holds.

use std::io;

use serde::Serialize;

use super::super::App;
use super::super::answer::{self, Answer};
use crate::audit::{self, Line, Verification};
use crate::failure::{Code, Failure};
use crate::server::{Query, bad};
use hyper::StatusCode;

/// Most lines in one answer.
const MAX_LINES: usize = 200;
/// Lines in an answer when the page asks for no number.
const LINES: usize = 50;
/// Longest text to look for, in bytes.
const MAX_TEXT: usize = 200;

/// Lines of the record.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct History {
    /// Newest first.
    lines: Vec<Line>,
    /// Whether there are older ones that fit.
    has_more: bool,
    /// The state of the whole chain; with the newest lines only, since all of the record is read for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    chain: Option<Verification>,
}

/// Answers `GET /app/api/history?before=&count=&text=&event=`.
pub(super) async fn answer(app: &App, query: &Query) -> Result<Answer, Failure> {
    query.only(&["before", "count", "text", "event"])?;
    let number = |name: &str| query.get(name).map(|text| text.parse::<u64>().map_err(|_| bad(name))).transpose();
    let before = number("before")?;
    let count = number("count")?.map_or(LINES, |count| usize::try_from(count).unwrap_or(MAX_LINES)).clamp(1, MAX_LINES);
    let wanted = query.get("text").unwrap_or_default().to_lowercase();
    if wanted.len() > MAX_TEXT {
        return Err(bad(format!("text: at most {MAX_TEXT} bytes")));
    }
    let event = query.get("event").filter(|event| !event.is_empty()).map(str::to_owned);
    let record = app.signer.audit.clone();
    let read = app.signer.in_pool(move || {
        let fits = |line: &Line| is_wanted(line, &wanted, event.as_deref());
        let mut lines = record.newest(before, count + 1, fits)?;
        let has_more = lines.len() > count;
        lines.truncate(count);
        let chain = if before.is_none() { Some(audit::verify(record.dir())?) } else { None };
        Ok::<_, io::Error>(History { lines, has_more, chain })
    });
    let history = read.await?.map_err(|error| {
        tracing::error!(%error, "the record cannot be read");
        Failure::from(Code::AuditUnavailable)
    })?;
    Ok(answer::json(StatusCode::OK, &history))
}

/// Whether a line names the text, in any of what a person sees of it.
fn is_wanted(line: &Line, text: &str, event: Option<&str>) -> bool {
    if let Some(event) = event
        && serde_json::to_value(line.event.event).ok().as_ref().and_then(|kind| kind.as_str()) != Some(event)
    {
        return false;
    }
    let has = |field: &str| field.to_lowercase().contains(text);
    text.is_empty()
        || has(&line.event.requester.to_string())
        || has(&line.event.request)
        || line.event.token.as_ref().is_some_and(|token| has(token.as_str()))
        || line.event.items.iter().any(|item| {
            let signed = item.signed.map(|digest| digest.to_string());
            has(item.name.as_str())
                || has(item.seal.as_str())
                || has(&item.sm3.to_string())
                || signed.is_some_and(|signed| has(&signed))
        })
}
