//! The part of PKCS#11 2.40 that the driver uses, as C sees it. Windows modules pack their structures (`pkcs11.h`, "pack(1)").
//!
//! Our own few definitions, not `cryptoki`'s: that crate has no 32-bit Windows layout, refuses labels that are not UTF-8, drops vendors'
//! mechanism numbers from lists, and believes the lengths that a module returns.

use std::ffi::{c_ulong, c_void};

pub(crate) type Ulong = c_ulong;

macro_rules! c_structs {
    ($($(#[$meta:meta])* struct $name:ident { $($field:ident: $type:ty,)* })*) => {$(
        $(#[$meta])*
        #[cfg_attr(windows, repr(C, packed(1)))]
        #[cfg_attr(not(windows), repr(C))]
        #[derive(Clone, Copy)]
        pub(crate) struct $name { $(pub(crate) $field: $type,)* }
    )*};
}

c_structs! {
    /// `CK_INFO`
    struct Info {
        cryptoki_version: [u8; 2],
        manufacturer: [u8; 32],
        flags: Ulong,
        description: [u8; 32],
        library_version: [u8; 2],
    }
    /// `CK_TOKEN_INFO`
    struct TokenInfo {
        label: [u8; 32],
        manufacturer: [u8; 32],
        model: [u8; 16],
        serial: [u8; 16],
        flags: Ulong,
        session_counts: [Ulong; 4],
        max_pin: Ulong,
        min_pin: Ulong,
        memory: [Ulong; 4],
        hardware_version: [u8; 2],
        firmware_version: [u8; 2],
        utc_time: [u8; 16],
    }
    /// `CK_ATTRIBUTE`
    struct Attribute {
        kind: Ulong,
        value: *mut c_void,
        len: Ulong,
    }
    /// `CK_MECHANISM`
    struct Mechanism {
        mechanism: Ulong,
        parameter: *const c_void,
        len: Ulong,
    }
    /// `CK_C_INITIALIZE_ARGS`
    struct InitializeArgs {
        mutexes: [*const c_void; 4],
        flags: Ulong,
        reserved: *const c_void,
    }
    /// `CK_FUNCTION_LIST`: a version, then 68 functions.
    struct FunctionList {
        version: [u8; 2],
        functions: [Option<unsafe extern "C" fn()>; 68],
    }
}

/// Places in [`FunctionList`], in the order of `pkcs11f.h`.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Function {
    Initialize = 0,
    Finalize = 1,
    GetInfo = 2,
    GetSlotList = 4,
    GetTokenInfo = 6,
    GetMechanismList = 7,
    SetPin = 11,
    OpenSession = 12,
    CloseSession = 13,
    Login = 18,
    Logout = 19,
    GetAttributeValue = 24,
    FindObjectsInit = 26,
    FindObjects = 27,
    FindObjectsFinal = 28,
    SignInit = 42,
    Sign = 43,
}

impl Function {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Initialize => "C_Initialize",
            Self::Finalize => "C_Finalize",
            Self::GetInfo => "C_GetInfo",
            Self::GetSlotList => "C_GetSlotList",
            Self::GetTokenInfo => "C_GetTokenInfo",
            Self::GetMechanismList => "C_GetMechanismList",
            Self::SetPin => "C_SetPIN",
            Self::OpenSession => "C_OpenSession",
            Self::CloseSession => "C_CloseSession",
            Self::Login => "C_Login",
            Self::Logout => "C_Logout",
            Self::GetAttributeValue => "C_GetAttributeValue",
            Self::FindObjectsInit => "C_FindObjectsInit",
            Self::FindObjects => "C_FindObjects",
            Self::FindObjectsFinal => "C_FindObjectsFinal",
            Self::SignInit => "C_SignInit",
            Self::Sign => "C_Sign",
        }
    }
}

pub(crate) const CKF_OS_LOCKING_OK: Ulong = 2;
pub(crate) const CKF_RW_SESSION: Ulong = 2;
pub(crate) const CKF_SERIAL_SESSION: Ulong = 4;
pub(crate) const CKF_PROTECTED_AUTHENTICATION_PATH: Ulong = 0x100;
pub(crate) const CKF_TOKEN_INITIALIZED: Ulong = 0x400;
pub(crate) const CKF_USER_PIN_COUNT_LOW: Ulong = 0x1_0000;
pub(crate) const CKF_USER_PIN_FINAL_TRY: Ulong = 0x2_0000;
pub(crate) const CKF_USER_PIN_LOCKED: Ulong = 0x4_0000;

pub(crate) const CKU_USER: Ulong = 1;
pub(crate) const CKU_CONTEXT_SPECIFIC: Ulong = 2;

pub(crate) const CKO_DATA: Ulong = 0;
pub(crate) const CKO_CERTIFICATE: Ulong = 1;
pub(crate) const CKO_PUBLIC_KEY: Ulong = 2;
pub(crate) const CKO_PRIVATE_KEY: Ulong = 3;
pub(crate) const CKK_EC: Ulong = 3;
pub(crate) const CKM_ECDSA: u32 = 0x1041;

pub(crate) const CKA_CLASS: Ulong = 0;
pub(crate) const CKA_VALUE: Ulong = 0x11;
pub(crate) const CKA_KEY_TYPE: Ulong = 0x100;
pub(crate) const CKA_ID: Ulong = 0x102;
pub(crate) const CKA_SIGN: Ulong = 0x108;
pub(crate) const CKA_VERIFY: Ulong = 0x10A;
pub(crate) const CKA_EC_PARAMS: Ulong = 0x180;
pub(crate) const CKA_EC_POINT: Ulong = 0x181;
pub(crate) const CKA_ALWAYS_AUTHENTICATE: Ulong = 0x202;

pub(crate) const CKR_OK: u32 = 0;
pub(crate) const CKR_SLOT_ID_INVALID: u32 = 3;
pub(crate) const CKR_CANT_LOCK: u32 = 0x0A;
pub(crate) const CKR_ATTRIBUTE_SENSITIVE: u32 = 0x11;
pub(crate) const CKR_ATTRIBUTE_TYPE_INVALID: u32 = 0x12;
pub(crate) const CKR_ATTRIBUTE_VALUE_INVALID: u32 = 0x13;
pub(crate) const CKR_DEVICE_REMOVED: u32 = 0x32;
pub(crate) const CKR_FUNCTION_CANCELED: u32 = 0x50;
pub(crate) const CKR_FUNCTION_NOT_SUPPORTED: u32 = 0x54;
pub(crate) const CKR_MECHANISM_INVALID: u32 = 0x70;
pub(crate) const CKR_MECHANISM_PARAM_INVALID: u32 = 0x71;
pub(crate) const CKR_PIN_INCORRECT: u32 = 0xA0;
pub(crate) const CKR_PIN_INVALID: u32 = 0xA1;
pub(crate) const CKR_PIN_LEN_RANGE: u32 = 0xA2;
pub(crate) const CKR_PIN_LOCKED: u32 = 0xA4;
pub(crate) const CKR_TOKEN_NOT_PRESENT: u32 = 0xE0;
pub(crate) const CKR_TOKEN_NOT_RECOGNIZED: u32 = 0xE1;
pub(crate) const CKR_USER_ALREADY_LOGGED_IN: u32 = 0x100;
pub(crate) const CKR_USER_NOT_LOGGED_IN: u32 = 0x101;
pub(crate) const CKR_USER_ANOTHER_ALREADY_LOGGED_IN: u32 = 0x104;
pub(crate) const CKR_BUFFER_TOO_SMALL: u32 = 0x150;
pub(crate) const CKR_CRYPTOKI_ALREADY_INITIALIZED: u32 = 0x191;
pub(crate) const CKR_FUNCTION_REJECTED: u32 = 0x200;
