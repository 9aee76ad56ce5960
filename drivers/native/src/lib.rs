//! What the drivers of native libraries share: loading a vendor's library for good, and making text of what it says.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

#[allow(unsafe_code)] // loading runs foreign code
pub mod library;
pub mod text;

pub use crate::library::Library;
