//! What every UKey driver means by token, key, PIN and signature, and the frames between agent and worker.
//!
//! Words (ARCHITECTURE §1): a *token* is a card in a reader (PC/SC), a token in a slot (PKCS#11) or a device with one
//! application (SKF, GM/T 0016); a *key* is an SM2 key pair with a certificate on it. This crate does no I/O of its own:
//! [`wire`] reads and writes frames on streams that the caller opened.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod check;
pub mod der;
pub mod driver;
pub mod error;
pub mod library;
pub mod pin;
pub mod sm2;
pub mod wire;

#[cfg(feature = "contract")]
pub mod contract;

pub use crate::driver::{
    About, Authenticated, Credential, Driver, KeyId, KeyInfo, KeyUsage, PinStatus, Session, TokenId, TokenInfo,
};
pub use crate::error::DriverError;
pub use crate::pin::Pin;
pub use crate::sm2::{DEFAULT_ID, Sm2Digest, Sm2Message, Sm2PublicKey, Sm2Signature, Sm3Digest};
