//! The lines of the record.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::genesis;
use crate::consent::summary::{Requester, Shown};
use crate::failure::Code;
use crate::sm::Sm3Digest;

/// Longest line, in bytes: 2 000 items of a batch with names of 120 characters fit.
pub const MAX_LINE_BYTES: usize = 4 << 20;

/// What happened.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum Kind {
    /// A person agreed; the token is asked next.
    Accepted,
    /// The request was deleted, or the page went away, before the token was asked.
    Cancelled,
    /// A person said no.
    Declined,
    /// Nobody answered the prompt.
    Expired,
    /// Something was in the way; each item says what.
    Failed,
    /// It was signed, and nobody fetched the result.
    NotDelivered,
    /// The PIN of the token was changed.
    PinChanged,
    /// Policy refused the request.
    Refused,
    /// All items were signed.
    Signed,
    /// These items are signed and given out; others of the request are under way.
    SignedInPart,
}

/// What was asked for.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum Matter {
    /// A new PIN for the token.
    PinChange,
    /// The items of the line. Not written, as it is the usual one.
    #[default]
    Signatures,
}

impl Matter {
    fn is_usual(&self) -> bool {
        *self == Self::Signatures
    }
}

/// One event.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// What happened.
    pub event: Kind,
    /// What was asked for.
    #[serde(default, skip_serializing_if = "Matter::is_usual")]
    pub matter: Matter,
    /// Number of the request, the same in all its lines.
    pub request: String,
    /// Who asked: an origin, or the command line.
    pub requester: Requester,
    /// The user of this machine.
    pub user: String,
    /// What was to be signed.
    pub items: Vec<ItemRecord>,
    /// Why not, for what has no items.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<Code>,
    /// Serial number of the token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<Shown>,
}

/// One signature that was asked for.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ItemRecord {
    /// The document's name as given.
    pub name: Shown,
    /// SM3 of the document as handed over, or the digest itself.
    pub sm3: Sm3Digest,
    /// Whether only the digest was given.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub digest_only: bool,
    /// Code of the seal.
    pub seal: Shown,
    /// SM3 of the signed document, once there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed: Option<Sm3Digest>,
    /// Why not, if not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<Code>,
}

/// One line.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Line {
    /// Counts from 0 through all files.
    pub n: u64,
    /// When.
    pub at: Timestamp,
    /// SM3 of the line before, without its line end.
    pub prev: Sm3Digest,
    /// The event.
    #[serde(flatten)]
    pub event: Event,
}

/// What `head` says of the last line.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Head {
    /// Number of lines in all files.
    pub count: u64,
    /// SM3 of the last one.
    pub digest: Sm3Digest,
    /// Length of the current file after it, in bytes.
    pub length: u64,
    /// The current file.
    pub month: String,
    /// Where the record begins since old months were removed: number of its first line, and digest of the line before.
    #[serde(default)]
    pub start: Start,
}

/// Where a record begins.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Start {
    /// Number of its first line.
    pub n: u64,
    /// Digest of the line before.
    pub prev: Sm3Digest,
}

impl Default for Start {
    fn default() -> Self {
        Self { n: 0, prev: genesis() }
    }
}

impl Default for Head {
    fn default() -> Self {
        Self { count: 0, digest: genesis(), length: 0, month: String::new(), start: Start::default() }
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    pub fn event(kind: Kind) -> Event {
        Event {
            event: kind,
            matter: Matter::default(),
            request: "00112233445566778899aabbccddeeff".into(),
            requester: Requester::CommandLine,
            user: "user (1000)".into(),
            items: vec![ItemRecord {
                name: Shown::new("contract.ofd"),
                sm3: crate::sm::sm3(b"x"),
                digest_only: false,
                seal: Shown::new("44030000012345"),
                signed: None,
                code: None,
            }],
            code: None,
            token: Some(Shown::new("V0001")),
        }
    }
}
