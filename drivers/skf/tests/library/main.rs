//! The driver against the virtual UKey as a real SKF library, loaded into the test process.

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../../../virtual/tests/bench/mod.rs"]
mod bench;
mod contract;
mod module;
mod quirks;
