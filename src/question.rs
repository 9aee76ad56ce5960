//! The words between agent and prompt, each a frame of [`ukey::wire`]: one [`Question`] in, one [`Answer`] out, and between them any
//! number of pages that the person turns to ([`Look`] out, [`Leaf`] in). The PIN travels only in the answer's secret trailer.
//!
//! The agent closes the prompt's standard input when the question is no longer wanted; the prompt then goes without an answer.

use serde::{Deserialize, Serialize};
use ukey::wire::Bytes;

/// Fewest characters of a new PIN (GM/T 0027 clause 9.2, GM/T 0016 clause 8.2.4).
pub const MIN_NEW_PIN: usize = 6;

/// What the person is asked. All texts may come from hostile places; the window makes them harmless once more ([`crate::harmless`]).
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Question {
    /// `zh` or `en`.
    pub language: Language,
    /// Who asks, as the browser sent it (scheme, host, port), or what the command line is called.
    pub origin: String,
    /// What is known of the origin, such as the day it was paired.
    pub origin_note: Option<String>,
    /// The matter itself.
    pub subject: Subject,
    /// Milliseconds in which nothing can be accepted, counted anew whenever the window gets the focus.
    pub wait_ms: u64,
    /// Seconds until the question lapses.
    pub timeout_s: u64,
}

/// Language of the window.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Language {
    /// English.
    En,
    /// Chinese.
    Zh,
}

/// The three kinds of question.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
#[allow(clippy::large_enum_variant, reason = "one question exists in a process")]
pub enum Subject {
    /// A new PIN in place of the old one.
    ChangePin {
        /// The token.
        token: Token,
    },
    /// May this origin talk to the agent at all?
    Pair {
        /// Six digits, shown on the page too.
        code: String,
        /// What the page calls itself; shown as its own words.
        label: Option<String>,
    },
    /// Seal these documents.
    Sign {
        /// What is signed, in order.
        documents: Vec<Document>,
        /// The seals that are used; each document names its own by index.
        seals: Vec<Seal>,
        /// The host of the time stamp service that will be asked about the signatures, where one will be.
        #[serde(default)]
        stamped_by: Option<String>,
        /// By which token.
        token: Token,
    },
}

/// One document to sign.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Document {
    /// The name that the page gave.
    pub name: String,
    /// `OFD` or `PDF`.
    pub format: String,
    /// Number of pages.
    pub pages: Option<u32>,
    /// Size of the file.
    pub bytes: Option<u64>,
    /// SM3 of the file, or of what the page says is one, in hexadecimal digits.
    pub sm3: String,
    /// Index of its seal in `seals`.
    pub seal: usize,
    /// Where the seal lands, in words; each place a line.
    pub placement: Option<String>,
    /// Whether no further signature is possible afterwards.
    pub closes: bool,
    /// Whether the agent has seen the document, or a digest only.
    pub seen: bool,
    /// The page on which the seal lands first.
    pub page: Option<Page>,
    /// Whether its other pages can be asked for.
    pub can_leaf: bool,
}

/// A page with the seal on it, as it will be after signing.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Page {
    /// Its number, from 1.
    pub number: u32,
    /// Its picture.
    pub picture: Picture,
    /// Parts of the page could not be shown in it.
    pub incomplete: bool,
}

/// The prompt asks for a page.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Look {
    /// Index of the document in the question.
    pub document: u32,
    /// Number of the page, from 1.
    pub page: u32,
    /// Without the seals that are to be put on it: what lies under them.
    pub bare: bool,
}

/// The agent's answer to a [`Look`].
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Leaf {
    /// What was asked for.
    pub look: Look,
    /// The page, when it can be drawn.
    pub page: Option<Page>,
}

/// What the prompt says.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(tag = "said", rename_all = "camelCase")]
pub enum Said {
    /// The answer, and the end.
    Answer(Answer),
    /// A page is wanted.
    Look(Look),
}

/// The seal that will be used.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Seal {
    /// Its name.
    pub name: String,
    /// Its code (`esID`).
    pub es_id: String,
    /// Last day of its validity, as shown.
    pub valid_to: String,
    /// Name in the signer's certificate.
    pub signer: String,
    /// Unified social credit code, where the certificate holds one.
    pub uscc: Option<String>,
    /// What the company's registry says of it, where a statement is at hand and agrees.
    #[serde(default)]
    pub licence: Option<String>,
    /// The host that could not be asked just now whether the seal is suspended or cancelled.
    #[serde(default)]
    pub unanswered: Option<String>,
    /// Its picture.
    pub picture: Option<Picture>,
}

/// The token that will sign.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Token {
    /// Label and the end of its serial number.
    pub name: String,
    /// Tries left, where the token says.
    pub tries_left: Option<u32>,
    /// The next wrong PIN locks it.
    pub last_try: bool,
    /// The PIN is typed on the device.
    pub on_device: bool,
    /// The PIN before this one was wrong.
    pub was_wrong: bool,
}

/// A PNG picture.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Picture {
    /// PNG file.
    pub png: Bytes,
}

/// What the person said. Everything but the approvals means "no".
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(tag = "answer", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Answer {
    /// Yes, this once. For `Sign` the secret is the PIN (none when it is typed on the device); for `ChangePin` both
    /// ([`ukey::wire::join_pins`]).
    Approve,
    /// Yes, and for viewing always (`Pair` only).
    ApproveAlways,
    /// No: button, Escape, closed window.
    Decline,
    /// The window could not be shown.
    Failed {
        /// Why, for the log.
        reason: String,
    },
    /// Nobody answered in time.
    TimedOut,
}
