//! One verdict with reasons: the ordered checks of ARCHITECTURE §6 that fill a [`report::Report`].
//!
//! Refuses to guess: what cannot be checked is said, and is never a pass. A broken file is a finding, not an error. Words for people
//! are in `catalogue.json`; what a finding does to a verdict is in [`reason`].

pub mod carried;
mod catalogue;
mod certificate;
mod cms;
mod coverage;
mod findings;
pub mod looked_up;
mod ofd;
pub mod order;
mod pdf;
mod picture;
pub mod reason;
pub mod report;
mod seal;
mod seal_signature;
mod time;
mod verifier;

pub use report::Report;
pub use time::time_stamp;
pub use verifier::{Context, Verifier};
