//! What the module does otherwise than a plain one. Read from JSON, by tests only.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use ukey_virtual::calls::{Act, CallFault, Lie};

/// Form of `CKA_EC_POINT`.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Point {
    /// `04 ‖ x ‖ y` without a wrapping.
    Bare,
    /// In a BIT STRING.
    BitString,
    /// x and y in two attributes of the vendor's ([`Switches::point_attributes`]).
    Coordinates,
    /// In an OCTET STRING, as PKCS#11 says.
    #[default]
    Wrapped,
}

/// All switches; the default is a module with IBM's numbers for SM2.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Switches {
    /// The folder of virtual tokens; each is a slot.
    pub folder: PathBuf,
    /// Private keys want the PIN again for each signature (`CKA_ALWAYS_AUTHENTICATE`).
    pub always_authenticate: bool,
    /// Keys are `CKK_EC`, not the vendor's type.
    pub ec_key_type: bool,
    /// Results are DER, not raw.
    pub der_results: bool,
    /// `CKM_ECDSA` computes SM2, as a SoftHSM fork does.
    pub ecdsa_is_sm2: bool,
    /// What happens at which call.
    pub faults: Vec<CallFault>,
    /// The token's label is GBK.
    pub gbk_label: bool,
    /// The mechanism that signs `e` takes it for a message.
    pub hashes_again: bool,
    /// `CKK_…` of SM2 keys.
    pub key_type: u32,
    /// Functions whose counts or lengths lie.
    pub lies: Vec<(String, Lie)>,
    /// `CK_INFO.manufacturerID`.
    pub manufacturer: String,
    /// The mechanism that signs `e`; none when 0.
    pub digest_mechanism: u32,
    /// The mechanism that hashes with Z; none when 0.
    pub message_mechanism: u32,
    /// Keys name no curve.
    pub no_curve: bool,
    /// Form of the public point.
    pub point: Point,
    /// Where [`Point::Coordinates`] lie.
    pub point_attributes: [u32; 2],
    /// Private keys show their point too.
    pub private_point: bool,
    /// The PIN is typed on the device: this one.
    pub protected_path: Option<String>,
    /// Code of every call to a token that was pulled out.
    pub removed_code: u32,
    /// Serial number of every token, in place of its own.
    pub serial: Option<String>,
    /// Signing and encryption key of one number have one `CKA_ID`.
    pub shared_ids: bool,
    /// Mechanism information does not say that the SM2 mechanisms sign.
    pub wrong_flags: bool,
    /// Code for a wrong PIN.
    pub wrong_pin_code: u32,
}

impl Default for Switches {
    fn default() -> Self {
        Self {
            folder: PathBuf::new(),
            always_authenticate: false,
            ec_key_type: false,
            der_results: false,
            ecdsa_is_sm2: false,
            faults: Vec::new(),
            gbk_label: false,
            hashes_again: false,
            key_type: 0x8005_0002,
            lies: Vec::new(),
            manufacturer: "sealagent".into(),
            digest_mechanism: 0x8005_000b,
            message_mechanism: 0x8005_000c,
            no_curve: false,
            point: Point::Wrapped,
            point_attributes: [0x8000_0002, 0x8000_0003],
            private_point: false,
            protected_path: None,
            removed_code: crate::DEVICE_REMOVED,
            serial: None,
            shared_ids: false,
            wrong_flags: false,
            wrong_pin_code: crate::PIN_INCORRECT,
        }
    }
}
