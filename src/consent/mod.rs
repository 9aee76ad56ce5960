//! Whether something may be signed.

/// A message that a person agreed to have signed, once.
#[derive(Debug)]
#[must_use]
pub struct Authorised {
    message: ukey::Sm2Message,
}

impl Authorised {
    /// The message, for the worker.
    pub fn message(&self) -> &ukey::Sm2Message {
        &self.message
    }
}
