//! One thing wrong at a time: what each finding takes, and that nothing wrong is ever `TOTAL_PASSED`.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod alone;
mod bytes;
mod documents;
mod dss;
mod ecdsa;
mod enclosed;
mod findings;
mod foreign_stamps;
mod forge;
mod known;
mod paths;
mod pdf;
mod regions;
mod without_attributes;
