//! A UKey in software: a folder with one file for each token. For demos, pilots and tests; it keeps no secret from a program of
//! the same user that guesses six digits, and says "virtual" wherever a maker's name is shown.
//!
//! * [`Token`] is the token itself: made, given keys, certificates and seals, unplugged and plugged. The SKF and PKCS#11 modules of
//!   our tests are built on it.
//! * [`VirtualDriver`] shows a folder of them through the traits of [`ukey`].
//! * [`faults`] makes it misbehave, only where a constructor was told so; no configuration file can.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod calls;
pub mod driver;
pub mod faults;
mod protect;
pub mod token;

pub use crate::driver::VirtualDriver;
pub use crate::token::{LoginPolicy, Token, TokenError, TokenOptions, Unlocked};
