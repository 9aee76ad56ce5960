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
/// Most bytes of seals that one token may hold together; an answer frame holds them.
pub const MAX_SEALS_BYTES: usize = 8 << 20;
/// Longest label, maker's name or serial number, in bytes.
pub const MAX_TEXT_BYTES: usize = 512;
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

impl PinStatus {
    /// Whether the next wrong PIN locks the token, in whichever way it says so.
    pub fn is_last_try(&self) -> bool {
        self.last_try || self.tries_left == Some(1)
    }
}

/// How the person proves to the token that it is them.
#[derive(Debug)]
pub enum Credential {
    /// The person types the PIN on the device itself.
    OnDevice,
    /// A PIN typed on the host.
    Pin(Pin),
}

/// What a driver says of itself, for the person who sets it up. Not for a page.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct About {
    /// Name of the profile that it works by; `None` where there are none, or none that knows the library.
    pub profile: Option<String>,
    /// Maker, name and version of the library in its own words; `None` where it has none.
    pub library: Option<String>,
    /// What it was run on.
    pub hardware: Hardware,
}

/// Which real devices a driver was run on, under the profile it works by.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Hardware {
    /// On none: all that is known comes from documents and from doubles.
    Never,
    /// It drives no device.
    Virtual,
    /// On these: device, system and day of each.
    RanOn(Vec<String>),
}

impl Hardware {
    /// From a profile's list.
    pub fn of(ran_on: &[String]) -> Self {
        if ran_on.is_empty() { Self::Never } else { Self::RanOn(ran_on.to_vec()) }
    }
}

/// One way to reach tokens: the PC/SC service, one PKCS#11 module, one SKF library, or the virtual token's folder.
pub trait Driver {
    /// What it says of itself.
    fn about(&self) -> About;
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

/// Whether a list of tokens keeps the limits above. Libraries have answered lengths that cannot be true.
pub fn check_tokens(tokens: &[TokenInfo]) -> Result<(), DriverError> {
    let texts = |t: &TokenInfo| [t.label.len(), t.manufacturer.len(), t.serial.len()].iter().all(|len| *len <= MAX_TEXT_BYTES);
    let fine = tokens.len() <= MAX_TOKENS && tokens.iter().all(|t| t.id.0.len() <= MAX_ID_BYTES && texts(t));
    if fine { Ok(()) } else { Err(DriverError::protocol("token list", "more or longer than can be")) }
}

/// Whether what a token holds keeps the limits above; seals by their lengths.
pub fn check_content(keys: &[KeyInfo], seals: impl IntoIterator<Item = usize>) -> Result<(), DriverError> {
    let certificate = |k: &KeyInfo| k.certificate.as_ref().map_or(0, |c| c.0.len());
    let key = |k: &KeyInfo| k.id.0.len() <= MAX_ID_BYTES && certificate(k) <= MAX_CERTIFICATE_BYTES;
    if keys.len() > MAX_KEYS || !keys.iter().all(key) {
        return Err(DriverError::protocol("keys", "more or longer than can be"));
    }
    let (mut count, mut total) = (0, 0);
    for len in seals {
        count += 1;
        total += len;
        if count > MAX_SEALS || len > MAX_SEAL_BYTES || total > MAX_SEALS_BYTES {
            return Err(DriverError::protocol("seals", "more or larger than can be"));
        }
    }
    Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;

    fn token(id: &str) -> TokenInfo {
        TokenInfo { id: TokenId(id.into()), label: String::new(), manufacturer: String::new(), serial: String::new() }
    }

    #[test]
    fn more_tokens_or_longer_names_than_can_be_are_refused() {
        assert!(check_tokens(&vec![token("t"); MAX_TOKENS]).is_ok());
        assert!(check_tokens(&vec![token("t"); MAX_TOKENS + 1]).is_err());
        assert!(check_tokens(&[token(&"t".repeat(MAX_ID_BYTES + 1))]).is_err());
        assert!(check_tokens(&[TokenInfo { label: "l".repeat(MAX_TEXT_BYTES + 1), ..token("t") }]).is_err());
    }

    #[test]
    fn more_keys_or_seals_than_can_be_are_refused() {
        let secret = ::sm2::SecretKey::from_slice(&[9; 32]).unwrap();
        let public_key = Sm2PublicKey::from_sec1(&secret.public_key().to_sec1_bytes()).unwrap();
        let key =
            |len| KeyInfo { id: KeyId("k".into()), usage: KeyUsage::Signing, public_key, certificate: Some(Bytes(vec![0; len])) };
        assert!(check_content(&vec![key(1); MAX_KEYS], [MAX_SEAL_BYTES; 8]).is_ok());
        assert!(check_content(&vec![key(1); MAX_KEYS + 1], []).is_err());
        assert!(check_content(&[key(MAX_CERTIFICATE_BYTES + 1)], []).is_err());
        assert!(check_content(&[], [MAX_SEAL_BYTES + 1]).is_err());
        assert!(check_content(&[], [MAX_SEAL_BYTES; 9]).is_err());
        assert!(check_content(&[], [1; MAX_SEALS + 1]).is_err());
    }
}
