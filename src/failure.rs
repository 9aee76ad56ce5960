//! What can go wrong, as a page, a program and a person are told it: one stable code, one text in two languages.
//!
//! Every layer has an error type of its own; where it leaves the agent (HTTP answer, item state, command line) it becomes one
//! [`Failure`]. Vendor codes and paths go to the log, never in here. The texts are data: `failures.json`.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

/// A language of the catalogue.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Language {
    /// English.
    #[default]
    English,
    /// Simplified Chinese.
    Chinese,
}

impl Language {
    /// From `LC_ALL`, `LC_MESSAGES` or `LANG`, in that order, as POSIX has it; on Windows else the user's own setting.
    pub fn of_environment() -> Self {
        let locale = ["LC_ALL", "LC_MESSAGES", "LANG"].iter().filter_map(|name| std::env::var(name).ok()).find(|v| !v.is_empty());
        #[cfg(all(windows, feature = "agent"))] // which sets none of them
        let locale = locale.or_else(crate::config::locale);
        Self::of_locale(locale.as_deref().unwrap_or(""))
    }

    /// From the name of a locale, such as `zh_CN.UTF-8`.
    pub fn of_locale(locale: &str) -> Self {
        if locale.starts_with("zh") { Self::Chinese } else { Self::English }
    }

    /// One of two texts.
    pub fn pick<'a>(self, english: &'a str, chinese: &'a str) -> &'a str {
        match self {
            Self::English => english,
            Self::Chinese => chinese,
        }
    }
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// A stable code. The names never change; new ones may come.
        #[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
        #[cfg_attr(feature = "agent", derive(schemars::JsonSchema))]
        #[non_exhaustive]
        pub enum Code {
            $($(#[$doc])* #[serde(rename = $text)] $name,)*
        }

        impl Code {
            /// Every code.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The code as it is written.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

codes! {
    /// The record cannot be written, so nothing is signed.
    AuditUnavailable = "audit_unavailable",
    /// The request is not what the contract says.
    BadRequest = "bad_request",
    /// Too much is waiting already.
    Busy = "busy",
    /// The signing certificate is outside its dates.
    CertificateExpired = "certificate_expired",
    /// No room to write.
    DiskFull = "disk_full",
    /// An earlier signature closed the document.
    DocumentClosed = "document_closed",
    /// The document is encrypted.
    DocumentEncrypted = "document_encrypted",
    /// The document is not what its format says.
    DocumentMalformed = "document_malformed",
    /// No such document, or of another origin, or gone.
    DocumentNotFound = "document_not_found",
    /// A signature in the document is broken already.
    DocumentSignatureBroken = "document_signature_broken",
    /// The driver's worker ended unexpectedly.
    DriverCrashed = "driver_crashed",
    /// The driver did not answer in time.
    DriverTimeout = "driver_timeout",
    /// The same idempotency key with another request.
    IdempotencyConflict = "idempotency_conflict",
    /// A fault of this program.
    Internal = "internal",
    /// The keyword is not in the document.
    KeywordNotFound = "keyword_not_found",
    /// The document's text cannot be searched.
    KeywordUnsearchable = "keyword_unsearchable",
    /// Licence and seal name different companies.
    LicenceMismatch = "licence_mismatch",
    /// A method that the path does not have.
    MethodNotAllowed = "method_not_allowed",
    /// No such path or thing.
    NotFound = "not_found",
    /// The origin is not paired.
    NotPaired = "not_paired",
    /// The origin is not allowed.
    OriginRefused = "origin_refused",
    /// The page number does not exist.
    PageNotFound = "page_not_found",
    /// The PIN is locked.
    PinBlocked = "pin_blocked",
    /// The token's PIN cannot be changed by this program (command line only).
    PinChangeUnsupported = "pin_change_unsupported",
    /// The PIN was wrong, and nobody is there to ask again (command line only).
    PinIncorrect = "pin_incorrect",
    /// One try is left, and nobody is there to confirm it (command line only).
    PinLastTry = "pin_last_try",
    /// The PIN cannot be right for this token: length or characters; no try was spent (command line only).
    PinUnacceptable = "pin_unacceptable",
    /// Policy says no.
    PolicyRefused = "policy_refused",
    /// The program that draws pages and seals is needed, and is not there.
    PreviewUnavailable = "preview_unavailable",
    /// There is nothing to show a prompt on.
    PromptUnavailable = "prompt_unavailable",
    /// The seal was cancelled or suspended by its maker.
    SealCancelled = "seal_cancelled",
    /// The signing certificate is not in the seal's list.
    SealCertificateMismatch = "seal_certificate_mismatch",
    /// The seal is past its dates.
    SealExpired = "seal_expired",
    /// The seal's own signature or structure is wrong.
    SealInvalid = "seal_invalid",
    /// No seal of this code.
    SealNotFound = "seal_not_found",
    /// The seal is before its dates.
    SealNotYetValid = "seal_not_yet_valid",
    /// The seal's picture cannot be drawn whole, so it is not put into this format.
    SealPictureUnsupported = "seal_picture_unsupported",
    /// Signed, but the region could not be asked beforehand whether the seal is suspended or cancelled (a warning only).
    SealStatusUnanswered = "seal_status_unanswered",
    /// The session of the agent's own page has ended, or there was none.
    SessionEnded = "session_ended",
    /// The seal would land outside the page.
    StampOutsidePage = "stamp_outside_page",
    /// The request took too long to come, or to be answered.
    TimedOut = "timed_out",
    /// The time stamp could not be had.
    TimestampFailed = "timestamp_failed",
    /// The token that can use the seal is not plugged in.
    TokenAbsent = "token_absent",
    /// Another program holds the token.
    TokenBusy = "token_busy",
    /// The token was pulled out while it was needed.
    TokenRemoved = "token_removed",
    /// The token returned a signature that does not verify.
    TokenSignatureInvalid = "token_signature_invalid",
    /// Larger than the limit.
    TooLarge = "too_large",
    /// Too many requests.
    TooManyRequests = "too_many_requests",
    /// The service has no room, or is being stopped (verification service only).
    Unavailable = "unavailable",
    /// A body of another type than the path takes.
    WrongContentType = "wrong_content_type",
    /// The `Host` header does not name this agent.
    WrongHost = "wrong_host",
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What the catalogue says about one code.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Entry {
    /// HTTP status when it answers a request; absent for codes that only an item or the command line carries.
    #[serde(default)]
    status: Option<u16>,
    /// Whether the same request may succeed later without a change.
    #[serde(default)]
    retryable: bool,
    /// What happened, and what to do about it.
    en: [String; 2],
    zh: [String; 2],
}

static CATALOGUE: LazyLock<BTreeMap<Code, Entry>> = LazyLock::new(|| {
    #[expect(clippy::expect_used, reason = "the catalogue is part of the program, and a test reads it")]
    serde_json::from_str(include_str!("failures.json")).expect("failures.json")
});

impl Code {
    fn entry(self) -> Option<&'static Entry> {
        CATALOGUE.get(&self)
    }

    /// HTTP status of an answer with this code; 500 for a code that no answer should carry.
    pub fn status(self) -> u16 {
        self.entry().and_then(|e| e.status).unwrap_or(500)
    }

    /// Whether the same request may succeed later without a change.
    pub fn retryable(self) -> bool {
        self.entry().is_some_and(|e| e.retryable)
    }

    /// What happened, in one sentence.
    pub fn message(self, language: Language) -> &'static str {
        self.text(language, 0)
    }

    /// What to do about it, in one sentence.
    pub fn hint(self, language: Language) -> &'static str {
        self.text(language, 1)
    }

    fn text(self, language: Language, part: usize) -> &'static str {
        self.entry().map_or("", |e| match language {
            Language::English => &e.en[part],
            Language::Chinese => &e.zh[part],
        })
    }
}

/// A code and what is particular about this case. The detail is a technical phrase for the help desk: it holds nothing of the
/// machine (paths, vendor codes) and nothing of another origin.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{}", .code.message(Language::English))]
pub struct Failure {
    /// What went wrong.
    pub code: Code,
    /// Which part of the request or document it is about.
    pub detail: Option<String>,
}

impl Failure {
    /// A failure with a particular.
    pub fn new(code: Code, detail: impl fmt::Display) -> Self {
        Self { code, detail: Some(detail.to_string()) }
    }
}

impl From<Code> for Failure {
    fn from(code: Code) -> Self {
        Self { code, detail: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_both_languages_and_nothing_else_is_in_the_catalogue() {
        let raw: BTreeMap<String, Entry> = serde_json::from_str(include_str!("failures.json")).unwrap();
        let named: Vec<_> = Code::ALL.iter().map(|c| c.as_str().to_owned()).collect();
        assert_eq!(raw.keys().cloned().collect::<Vec<_>>(), named);
        let is_chinese = |c: char| ('\u{4e00}'..'\u{9fff}').contains(&c);
        for (code, entry) in raw {
            assert!(entry.en.iter().all(|t| t.ends_with('.') && !t.contains(is_chinese)), "{code}");
            assert!(entry.zh.iter().all(|t| t.ends_with('。') && t.contains(is_chinese)), "{code}");
        }
    }

    #[test]
    fn language_follows_the_locale() {
        assert_eq!(Language::of_locale("zh_CN.UTF-8"), Language::Chinese);
        assert_eq!(Language::of_locale("C"), Language::English);
    }
}
