//! Electronic seals (`SESeal`) and electronic seal signatures (`SES_Signature`) of GM/T 0031-2014 (the V1 family),
//! GB/T 38540-2020 (V4) and GM/T 0031-2025 (V5): reading what stands in files, building what we sign.
//!
//! Reading keeps the received bytes and hands out exactly what was signed; whatever it accepts beyond the standards is named by a
//! [`Tolerance`]. Building is strict DER. Nothing here judges: whether a signature verifies, a date has passed or a certificate is
//! trusted is `verify`'s business. It computes no digest and knows no clock.

mod build;
mod detect;
mod extension;
mod picture;
mod property;
mod read;
mod seal;
mod signature;
mod time;
mod tolerance;

#[cfg(test)]
mod tests;

pub use build::{BuildError, SealDraft, TbsDraft, TbsSign, UnsignedSeal, add_seal_time_stamp, add_time_stamp};
pub use detect::{Kind, decode_text, detect};
pub use extension::Extension;
pub use picture::{Picture, PictureFormat};
pub use property::{CertDigest, CertList, Property};
pub use read::{SesError, limits};
pub use seal::Seal;
pub use signature::{Padded, SesSignature};
pub use time::{Time, TimeInfo, Zone, asn1_time};
pub use tolerance::Tolerance;

use std::fmt;

/// Which standard's structure a seal or a signature has. Decided by structure, never by a version number alone (ses.md §7).
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Version {
    /// GM/T 0031-2014 and its kin
    V1,
    /// GB/T 38540-2020
    V4,
    /// GM/T 0031-2025
    V5,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V1 => "V1",
            Self::V4 => "V4",
            Self::V5 => "V5",
        })
    }
}
