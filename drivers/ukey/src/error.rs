//! Why a driver call did not give what was asked.

use serde::{Deserialize, Serialize};

use crate::library::{LibraryError, LibraryFault};

/// One situation each; the fields are what is needed to act on it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize, thiserror::Error)]
#[serde(tag = "error", rename_all = "camelCase", rename_all_fields = "camelCase")]
#[non_exhaustive]
pub enum DriverError {
    /// Another program holds the token.
    #[error("another program is using the token")]
    Busy,
    /// The person cancelled on the device.
    #[error("cancelled on the device")]
    Cancelled,
    /// The key is not on this token, or has no private part for signing.
    #[error("the token has no signing key {key}")]
    KeyAbsent {
        /// The key that was asked for.
        key: String,
    },
    /// Another key is under this name than the person agreed to: the token was swapped or written anew. The PIN was not used.
    #[error("key {key} is another one than was agreed to")]
    KeyChanged {
        /// The key that was asked for.
        key: String,
    },
    /// The library that the driver needs cannot be used: a [`LibraryError`](crate::library::LibraryError).
    #[error("{reason}")]
    Library {
        /// What is wrong with the library.
        fault: LibraryFault,
        /// The same in words, with its particulars.
        reason: String,
    },
    /// A call of the token interface failed: `SAR_*`, `CKR_*` or SW1 SW2, and the call that gave it. For the log, not for a page.
    #[error("{function} answered {code:#010x}")]
    Module {
        /// The interface's own name for the call, such as `SKF_ECCSignData`.
        function: String,
        /// The code as received, 32 bits of it.
        code: u32,
    },
    /// The PIN is locked. Only the issuer can unlock it.
    #[error("the PIN is locked")]
    PinBlocked,
    /// The token refused the PIN; one try is spent.
    #[error("the PIN is wrong")]
    PinIncorrect {
        /// What the token says is left, where it says so.
        tries_left: Option<u32>,
    },
    /// The PIN cannot be right for this token (length, characters). No try is spent.
    #[error("the token takes no PIN of this form: {reason}")]
    PinUnacceptable {
        /// Which rule it breaks.
        reason: String,
    },
    /// The driver answered something that cannot be true (lengths, counts, encodings).
    #[error("{function} answered nonsense: {what}")]
    Protocol {
        /// The interface's own name for the call.
        function: String,
        /// What was wrong with the answer.
        what: String,
    },
    /// The token returned a signature that is not SM2 over e by the agreed key. It was not passed on.
    #[error("{function} answered a wrong signature: {what}")]
    SignatureInvalid {
        /// The interface's own name for the call.
        function: String,
        /// What the signature turned out to be.
        what: String,
    },
    /// Never there, or pulled out.
    #[error("the token is not there")]
    TokenAbsent,
    /// The token or its library cannot do this at all.
    #[error("not supported by this token: {what}")]
    Unsupported {
        /// What was asked for.
        what: String,
    },
}

impl From<LibraryError> for DriverError {
    fn from(error: LibraryError) -> Self {
        Self::Library { fault: error.fault(), reason: error.to_string() }
    }
}

impl DriverError {
    /// A failed call and its code.
    pub fn module(function: &str, code: u32) -> Self {
        Self::Module { function: function.to_owned(), code }
    }

    /// An answer that cannot be true.
    pub fn protocol(function: &str, what: impl Into<String>) -> Self {
        Self::Protocol { function: function.to_owned(), what: what.into() }
    }

    /// A signature that is none, and what it is instead.
    pub fn signature(function: &str, what: impl Into<String>) -> Self {
        Self::SignatureInvalid { function: function.to_owned(), what: what.into() }
    }

    /// Something this token or library lacks.
    pub fn unsupported(what: impl Into<String>) -> Self {
        Self::Unsupported { what: what.into() }
    }
}
