//! The driver against the virtual UKey as a real PKCS#11 module, loaded into the test process.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod contract;
mod harness;
mod quirks;
