//! Regions that recognise each other: trust lists, seal status and licences, made by the pilot authority's code and judged by ours.

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "common/question.rs"]
mod question;

mod regions {
    pub mod accepted;
    pub mod lists;
    pub mod online;
    pub mod status;
    pub mod verdicts;
    pub mod world;
}
