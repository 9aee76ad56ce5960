//! How a request that fails is answered.

use serde::Serialize;

use crate::failure::{Code, Failure, Language};

/// What an error answer says.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "agent", derive(schemars::JsonSchema), schemars(rename = "Failure"))]
#[serde(rename_all = "camelCase")]
pub struct ErrorBody<'a> {
    /// Stable.
    code: Code,
    /// What happened and what to do, in English.
    message: String,
    /// The same in Chinese.
    message_zh: String,
    /// Names the call in the agent's log.
    request_id: &'a str,
    /// Whether the same call may succeed later.
    retryable: bool,
    /// What is particular, for the help desk.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a str>,
}

impl<'a> ErrorBody<'a> {
    /// The body about a failure.
    pub fn new(failure: &'a Failure, request_id: &'a str) -> Self {
        let code = failure.code;
        let text = |language, gap| format!("{}{gap}{}", code.message(language), code.hint(language));
        Self {
            code,
            message: text(Language::English, " "),
            message_zh: text(Language::Chinese, ""),
            request_id,
            retryable: code.retryable(),
            detail: failure.detail.as_deref(),
        }
    }
}

/// A request that is not what the contract says.
pub fn bad(what: impl std::fmt::Display) -> Failure {
    Failure::new(Code::BadRequest, what)
}
