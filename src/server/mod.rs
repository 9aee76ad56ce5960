//! What both of our programs that take files by HTTP do alike: the form of a request's head is judged byte by byte, an upload goes into
//! a file that nobody else sees, and what goes wrong is told in one shape.
//!
//! The agent's bridge (on 127.0.0.1 alone) and `sealauthority verify-service` stand on this. Who may call, what is answered, and how many
//! may call at once is theirs.

mod error;
pub mod head;
mod query;
mod strict;
pub mod upload;

pub use error::{ErrorBody, bad};
pub use query::{Query, decoded, one};
pub use strict::Strict;
