//! The traits that a driver implements. Calls block; a driver runs alone in its worker.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::wire::Bytes;
use crate::{DriverError, Pin, Sm2Message, Sm2PublicKey, Sm2Signature};

/// Longest token or key id that is accepted, in bytes.
pub const MAX_ID_BYTES: usize = 512;
/// Most tokens one driver may report.
pub const MAX_TOKENS: usize = 64;
/// Most keys one token may report.
pub const MAX_KEYS: usize = 64;
/// Most seals one token may report.
pub const MAX_SEALS: usize = 64;
/// Largest seal that is read from a token, in bytes. Real ones are 5 to 60 KB.
pub const MAX_SEAL_BYTES: usize = 1 << 20;
/// Largest certificate that is read from a token, in bytes.
pub const MAX_CERTIFICATE_BYTES: usize = 64 << 10;

/// Names one token of one driver for as long as it stays plugged in; stable over a re-plug where the token has a serial number.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct TokenId(pub String);

/// Names one key on a token (PC/SC key reference, `CKA_ID` in hex, SKF container name).
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct KeyId(pub String);

impl fmt::Display for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a token says of itself without a PIN.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TokenInfo {
    /// The name to use in later calls.
    pub id: TokenId,
    /// The label a person gave or sees on it.
    pub label: String,
    /// Who made it.
    pub manufacturer: String,
    /// Serial number as the token prints it; may be empty.
    pub serial: String,
}

/// What the key is for, by its place on the token and its certificate's key usage.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum KeyUsage {
    /// The decryption half of a GM double certificate. Never used by sealagent.
    Encryption,
    /// Signing.
    Signing,
}

/// One key pair and its certificate.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyInfo {
    /// The name to use in [`Authenticated::sign`].
    pub id: KeyId,
    /// What it is for.
    pub usage: KeyUsage,
    /// The public key as the token gives it.
    pub public_key: Sm2PublicKey,
    /// The certificate, DER as stored; `None` when the token holds a bare key.
    pub certificate: Option<Bytes>,
}

/// The state of the user PIN. Reading it must not spend a try.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PinStatus {
    /// Tries left; `None` when the token does not say.
    pub tries_left: Option<u32>,
    /// Tries after a right PIN; `None` when the token does not say.
    pub max_tries: Option<u32>,
    /// No further try is possible.
    pub blocked: bool,
    /// The last try is next (a token may say this without giving a number).
    pub last_try: bool,
    /// The PIN is typed on the device and never on the host.
    pub on_device: bool,
}

/// How the person proves to the token that it is them.
#[derive(Debug)]
pub enum Credential {
    /// The person types the PIN on the device itself.
    OnDevice,
    /// A PIN typed on the host.
    Pin(Pin),
}

/// One way to reach tokens: the PC/SC service, one PKCS#11 module, one SKF library, or the virtual token's folder.
pub trait Driver {
    /// All tokens that are plugged in now.
    fn tokens(&mut self) -> Result<Vec<TokenInfo>, DriverError>;
    /// Opens one of them. [`DriverError::TokenAbsent`] when it is gone.
    fn open(&mut self, token: &TokenId) -> Result<Box<dyn Session + '_>, DriverError>;
}

/// An open token. Dropping it closes the token without resetting it.
pub trait Session {
    /// Its SM2 keys.
    fn keys(&mut self) -> Result<Vec<KeyInfo>, DriverError>;
    /// Objects on the token that may be seals, as stored; the caller decides by content.
    fn seals(&mut self) -> Result<Vec<Vec<u8>>, DriverError>;
    /// State of the user PIN, without spending a try.
    fn pin_status(&mut self) -> Result<PinStatus, DriverError>;
    /// Logs in: at most one try is spent, whatever happens.
    fn login(&mut self, credential: Credential) -> Result<Box<dyn Authenticated + '_>, DriverError>;
    /// Changes the user PIN: at most one try of the old PIN is spent.
    fn change_pin(&mut self, old: Pin, new: Pin) -> Result<(), DriverError>;
}

/// A logged-in session. Dropping it logs out and wipes the PIN.
///
/// GM/T 0027 lets a token forget the PIN after each signature. An implementation may therefore hold the [`Pin`] and log in again
/// **when the token asks**, never after a refusal.
pub trait Authenticated {
    /// Signs one message with one key. The result is what the token returned, not yet verified by the host.
    fn sign(&mut self, key: &KeyId, message: &Sm2Message) -> Result<Sm2Signature, DriverError>;
}

/// What a driver cannot do. It says so here, and the contract suite checks that it is so; nothing is skipped in silence.
#[derive(Clone, Copy, Debug, Default)]
pub struct Lacks {
    /// It cannot store seals on a token.
    pub seals: bool,
    /// It cannot change the PIN.
    pub change_pin: bool,
    /// It cannot tell how many tries are left before a wrong try.
    pub tries_left: bool,
}
