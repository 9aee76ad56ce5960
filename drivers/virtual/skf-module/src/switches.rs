//! What the library does otherwise than the standard says. Read from JSON, by tests only.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use ukey_virtual::calls::{Act, CallFault, Lie};

/// Where blobs put 32-byte integers in their 64-byte fields.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Alignment {
    /// Both close together in the first half of the blob.
    Compact,
    /// At the start of the field.
    Left,
    /// At its end, as GmSSL and most libraries have it.
    #[default]
    Right,
}

/// What `SKF_ECCSignData` does with its input.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum SignAs {
    /// Signs the 32 bytes as `e`.
    #[default]
    Digest,
    /// Returns bytes that are no signature.
    Garbage,
    /// Takes the input for a message and signs `SM3(Z ‖ input)`.
    Message,
    /// Signs `e` with another key of the token.
    OtherKey,
}

/// All switches; the default is a library that does what the standard says.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Switches {
    /// The folder of virtual tokens; each is a device with one application.
    pub folder: PathBuf,
    /// `SKF_VerifyPIN` says that somebody is logged in and looks at no PIN.
    pub already_logged_in: bool,
    /// `DEVINFO` with natural alignment (296 bytes), not packed (294).
    pub aligned_device_info: bool,
    /// The certificate places of signing and encryption key are exchanged.
    pub certificates_swapped: bool,
    /// Size of an empty list: 0, 1 or 2.
    pub empty_list_size: u32,
    /// What happens at which call.
    pub faults: Vec<CallFault>,
    /// Names are GBK, not ASCII.
    pub gbk_names: bool,
    /// Functions whose lengths lie.
    pub lies: Vec<(String, Lie)>,
    /// `SKF_LockDev` waits for another program that holds the device.
    pub locked_by_other: bool,
    /// Writes a line to standard output with each list of devices.
    pub prints: bool,
    /// Code of every call to a device that was pulled out.
    pub removed_code: u32,
    /// Serial number of every device, in place of its own.
    pub serial: Option<String>,
    /// What signing does.
    pub sign_as: SignAs,
    /// Layout of `ECCSIGNATUREBLOB` and `ECCPUBLICKEYBLOB` (`Compact` only for the former).
    pub alignment: Alignment,
    /// `SKF_WaitForDevEvent` says "inserted" at once.
    pub wait_returns_at_once: bool,
    /// `ULONG` is eight bytes wide.
    pub wide_ulong: bool,
    /// Code for a wrong PIN.
    pub wrong_pin_code: u32,
}

impl Default for Switches {
    fn default() -> Self {
        Self {
            folder: PathBuf::new(),
            already_logged_in: false,
            aligned_device_info: false,
            certificates_swapped: false,
            empty_list_size: 1,
            faults: Vec::new(),
            gbk_names: false,
            lies: Vec::new(),
            locked_by_other: false,
            prints: false,
            removed_code: crate::DEVICE_REMOVED,
            serial: None,
            sign_as: SignAs::Digest,
            alignment: Alignment::Right,
            wait_returns_at_once: false,
            wide_ulong: false,
            wrong_pin_code: crate::PIN_INCORRECT,
        }
    }
}
