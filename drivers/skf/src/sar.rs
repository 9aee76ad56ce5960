//! Return codes (GM/T 0016-2012 annex A) that the driver acts on. All others are passed on as numbers.

pub(crate) const OK: u32 = 0;
pub(crate) const NOT_SUPPORTED_YET: u32 = 0x0A00_0003;
pub(crate) const TIMEOUT: u32 = 0x0A00_000F;
pub(crate) const BUFFER_TOO_SMALL: u32 = 0x0A00_0020;
pub(crate) const DEVICE_REMOVED: u32 = 0x0A00_0023;
pub(crate) const PIN_INCORRECT: u32 = 0x0A00_0024;
pub(crate) const PIN_LOCKED: u32 = 0x0A00_0025;
pub(crate) const PIN_INVALID: u32 = 0x0A00_0026;
pub(crate) const PIN_LEN_RANGE: u32 = 0x0A00_0027;
/// From `SKF_VerifyPIN`: somebody is logged in, and this PIN was not looked at.
pub(crate) const USER_ALREADY_LOGGED_IN: u32 = 0x0A00_0028;
pub(crate) const USER_NOT_LOGGED_IN: u32 = 0x0A00_002D;
