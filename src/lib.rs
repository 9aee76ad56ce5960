//! sealagent: electronic seal signatures (GB/T 38540, GM/T 0031) on OFD and PDF, made with SM2 keys in UKeys and verified
//! whatever region they come from.
//!
//! Three rings. The **core** ([`asn1`], [`sm`], [`ses`], [`cms`], [`ofd`], [`pdf`], [`pki`], [`verify`], with
//! [`document`] and [`stamp`] shared by the two formats) is functions on bytes: no I/O of
//! its own, no clock, no tokio; time, revocation data and trust are arguments. The **agent** (feature `agent`) is HTTP, consent,
//! worker supervision, signing and audit; its parts that `sealauthority verify-service` needs too stand behind `service`. The **drivers** are other crates, in other processes. Reasons stand in [`manual`].

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod asn1;
pub mod cms;
pub mod document;
pub mod harmless;
pub mod ofd;
pub mod pdf;
pub mod pki;
pub mod preview;
pub mod question;
pub mod ses;
pub mod sm;
pub mod stamp;
pub mod verify;

#[cfg(feature = "agent")]
pub mod agent;
#[cfg(feature = "agent")]
pub mod audit;
#[cfg(feature = "agent")]
pub mod cli;
#[cfg(feature = "agent")]
pub mod config;
#[cfg(feature = "agent")]
pub mod consent;
#[cfg(feature = "agent")]
pub mod demo;
#[cfg(feature = "agent")]
pub mod doctor;
#[cfg(feature = "service")]
pub mod failure;
#[cfg(feature = "service")]
pub mod fetch;
#[cfg(feature = "service")]
pub mod files;
#[cfg(feature = "agent")]
pub mod http;
#[cfg(feature = "agent")]
pub mod log;
#[cfg(feature = "agent")]
pub mod pin;
#[cfg(feature = "service")]
pub mod regions;
#[cfg(feature = "service")]
pub mod scratch;
#[cfg(feature = "agent")]
pub mod seals;
#[cfg(feature = "service")]
pub mod server;
#[cfg(feature = "agent")]
pub mod signing;
#[cfg(feature = "agent")]
pub mod tls;
#[cfg(feature = "service")]
pub mod trust_dir;
#[cfg(feature = "agent")]
pub mod trusted;
#[cfg(feature = "agent")]
pub mod update;
#[cfg(feature = "agent")]
pub mod views;
#[cfg(feature = "agent")]
pub mod workers;

pub mod manual;
