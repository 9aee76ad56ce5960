//! Draws pages of OFD and PDF documents that nobody trusts. Runs as `sealagent-preview`, a process of its own with limits; the words
//! between it and the agent are [`sealagent::preview`].
//!
//! ```text
//! main ─ confine ─ serve ─┬─ document ─┬─ ofd   our own renderer, on tiny-skia
//!                         │            └─ pdf   hayro behind fences
//!                         └─ seal's picture ─┬─ ofd, image
//!                                            └─ svg   resvg behind fences
//! ```
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod canvas;
mod findings;
pub mod fonts;
mod image;
pub mod ofd;
#[cfg(feature = "pdf")]
pub mod pdf;
mod seal;
pub mod serve;
mod size;
pub mod svg;

pub use findings::Findings;
