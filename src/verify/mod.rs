//! One verdict with reasons: the ordered checks of ARCHITECTURE §6 that fill a [`report::Report`].

pub mod report;
