//! One PKCS#11 module as a UKey driver.
//!
//! PKCS#11 has no SM2 of its own, so mechanism numbers come from vendors' profiles (`profiles.toml`), and no number is believed:
//! each signature is checked against `e` and the key before it leaves this crate. On UKeys SKF is the better route where both exist;
//! this one serves HSMs, soft tokens and the UKeys whose module does SM2.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod ffi;
#[allow(unsafe_code)] // the calls into the module
mod module;
mod objects;
pub mod profile;

use std::path::Path;

use ukey::{
    About, Authenticated, Credential, DEFAULT_ID, Driver, DriverError, KeyId, KeyInfo, KeyUsage, Pin, PinStatus, Session,
    Sm2Message, Sm2PublicKey, Sm2Signature, TokenId, TokenInfo, check,
    driver::{Hardware, MAX_KEYS, MAX_TOKENS},
    library::LibraryError,
    pin::MAX_PIN_BYTES,
};
use ukey_native::text;

use crate::{
    ffi::{Function, Ulong},
    module::{Module, SessionHandle, SlotId},
    objects::PrivateKey,
    profile::{Input, SignMechanism},
};

pub use crate::profile::Profile;

/// The mechanism of last resort: ECDSA by its number, SM2 in modules that go by the curve. Only a signature that is SM2 is let out.
const ECDSA: SignMechanism = SignMechanism { number: ffi::CKM_ECDSA, input: Input::Digest, id_parameter: false };

/// The driver.
pub struct Pkcs11 {
    module: Module,
    profiles: Vec<Profile>,
    /// Maker, name and version in its own words.
    library: Option<String>,
}

impl Pkcs11 {
    /// Loads and starts the module at an absolute path. Without a profile the one that knows the module is used, and if none does, the
    /// mechanisms of all of them are tried that the token names.
    pub fn load(path: &Path, profile: Option<Profile>) -> Result<Self, LibraryError> {
        let module = Module::load(path)?;
        let info = module.info().ok();
        let said = |bytes: &[u8]| text::display(field(bytes));
        let (manufacturer, description) =
            info.map_or_else(Default::default, |info| (said(&info.manufacturer), said(&info.description)));
        let library = info.map(|info| {
            let [major, minor] = info.library_version;
            format!("{manufacturer} {description} {major}.{minor}").trim().to_owned()
        });
        let profiles = match profile {
            Some(profile) => vec![profile],
            None => {
                let file = path.file_name().unwrap_or_default().to_string_lossy();
                let mut all = profile::shipped();
                match all.iter().position(|p| p.knows(&file, &manufacturer, &description)) {
                    Some(at) => vec![all.swap_remove(at)],
                    None => all,
                }
            }
        };
        Ok(Self { module, profiles, library })
    }

    /// Tokens with a user PIN, and their slots.
    fn scan(&self) -> Result<Vec<Found>, DriverError> {
        let mut found = Vec::new();
        for slot in self.module.slots()? {
            match self.module.token_info(slot) {
                Ok(info) if info.flags & ffi::CKF_TOKEN_INITIALIZED != 0 => found.push(Found { slot, info }),
                // A slot for a token that is yet to be made, or one that is not ready, hides no other.
                Ok(_) | Err(DriverError::TokenAbsent | DriverError::Module { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(found)
    }

    /// The token's own words now; [`DriverError::TokenAbsent`] when another one is in the slot.
    fn info(&self, slot: SlotId, serial: [u8; 16]) -> Result<ffi::TokenInfo, DriverError> {
        let info = self.module.token_info(slot)?;
        if info.serial == serial { Ok(info) } else { Err(DriverError::TokenAbsent) }
    }

    /// Modules answer calls to a token that was pulled out with any code. If the token is no longer there, that is why.
    fn explain(&self, slot: SlotId, serial: [u8; 16], error: DriverError) -> DriverError {
        match error {
            DriverError::Module { .. } | DriverError::Protocol { .. } | DriverError::SignatureInvalid { .. } => {
                let there = self.module.slots().is_ok_and(|slots| slots.contains(&slot)) && self.info(slot, serial).is_ok();
                if there { error } else { DriverError::TokenAbsent }
            }
            error => error,
        }
    }
}

/// The flags that show wrong tries.
const PIN_TRIES: Ulong = ffi::CKF_USER_PIN_COUNT_LOW | ffi::CKF_USER_PIN_FINAL_TRY | ffi::CKF_USER_PIN_LOCKED;

/// The two counts that the flags can tell.
fn tries_left(flags: Ulong) -> Option<u32> {
    if flags & ffi::CKF_USER_PIN_LOCKED != 0 {
        Some(0)
    } else if flags & ffi::CKF_USER_PIN_FINAL_TRY != 0 {
        Some(1)
    } else {
        None
    }
}

/// A slot with a token in it.
struct Found {
    slot: SlotId,
    info: ffi::TokenInfo,
}

/// A field that is padded with blanks (PKCS#11 §3.2), in some modules with NUL.
fn field(bytes: &[u8]) -> &[u8] {
    text::field(bytes).trim_ascii_end()
}

impl Found {
    /// The serial number; the slot joins it where two tokens have one, and stands alone where there is none. So an id that was given for
    /// one token never means another one that is plugged in beside it.
    fn id(&self, all: &[Self]) -> TokenId {
        let serial = field(&self.info.serial);
        let twin = |other: &Self| field(&other.info.serial) == serial && other.slot != self.slot;
        if serial.is_empty() || all.iter().any(twin) {
            TokenId(format!("{}@{}", text::id(serial), self.slot.0))
        } else {
            TokenId(text::id(serial))
        }
    }
}

impl Driver for Pkcs11 {
    fn about(&self) -> About {
        let (profile, ran_on) = match self.profiles.as_slice() {
            [only] => (Some(only.name.clone()), only.ran_on.as_slice()),
            _ => (None, [].as_slice()),
        };
        About { profile, library: self.library.clone(), hardware: Hardware::of(ran_on) }
    }

    fn tokens(&mut self) -> Result<Vec<TokenInfo>, DriverError> {
        let found = self.scan()?;
        let info = |token: &Found| TokenInfo {
            id: token.id(&found),
            label: text::display(field(&token.info.label)),
            manufacturer: text::display(field(&token.info.manufacturer)),
            serial: text::display(field(&token.info.serial)),
        };
        Ok(found.iter().take(MAX_TOKENS).map(info).collect())
    }

    fn open(&mut self, token: &TokenId) -> Result<Box<dyn Session + '_>, DriverError> {
        let found = self.scan()?;
        let wanted = found.iter().find(|t| t.id(&found) == *token).ok_or(DriverError::TokenAbsent)?;
        // Writing sessions are for changing the PIN; some modules also want one for CKU_USER. A token that is write-protected gives none.
        let session = self.module.open_session(wanted.slot, true).or_else(|_| self.module.open_session(wanted.slot, false));
        let session = session.map_err(|e| self.explain(wanted.slot, wanted.info.serial, e))?;
        Ok(Box::new(Opened { driver: self, slot: wanted.slot, serial: wanted.info.serial, session }))
    }
}

/// An open session with one token; dropping it closes the session, with which a login ends.
struct Opened<'m> {
    driver: &'m Pkcs11,
    slot: SlotId,
    serial: [u8; 16],
    session: SessionHandle,
}

impl Drop for Opened<'_> {
    fn drop(&mut self) {
        self.module().close_session(self.session);
    }
}

impl<'m> Opened<'m> {
    fn module(&self) -> &'m Module {
        &self.driver.module
    }

    fn info(&self) -> Result<ffi::TokenInfo, DriverError> {
        self.driver.info(self.slot, self.serial)
    }

    fn explain(&self, error: DriverError) -> DriverError {
        self.driver.explain(self.slot, self.serial, error)
    }

    /// Refuses before a try is spent what cannot be right, and a PIN that is locked already.
    fn before_pin(&self, pins: &[&Pin]) -> Result<ffi::TokenInfo, DriverError> {
        let info = self.info()?;
        if info.flags & ffi::CKF_USER_PIN_LOCKED != 0 {
            return Err(DriverError::PinBlocked);
        }
        // Modules that know no lengths say 0 or -1.
        let (least, most) = (info.min_pin as usize, info.max_pin as usize);
        let most = if most == 0 { MAX_PIN_BYTES } else { most.min(MAX_PIN_BYTES) };
        if least <= most && pins.iter().any(|pin| !(least..=most).contains(&pin.expose().len())) {
            return Err(DriverError::PinUnacceptable { reason: format!("{least} to {most} bytes are taken") });
        }
        Ok(info)
    }

    /// What a call that looked at a PIN means. Where a module has a code of its own for a wrong PIN, the flags tell.
    fn judge(&self, function: Function, before: Ulong, code: u32) -> Result<(), DriverError> {
        let after = || self.info().map(|info| info.flags).unwrap_or(before);
        Err(match code {
            ffi::CKR_OK => return Ok(()),
            ffi::CKR_PIN_INCORRECT => DriverError::PinIncorrect { tries_left: tries_left(after()) },
            ffi::CKR_PIN_LOCKED => DriverError::PinBlocked,
            ffi::CKR_PIN_INVALID | ffi::CKR_PIN_LEN_RANGE => {
                DriverError::PinUnacceptable { reason: "the token refuses its length or its characters".into() }
            }
            // We logged out just before: it is another program's login, and the PIN was not looked at.
            ffi::CKR_USER_ALREADY_LOGGED_IN | ffi::CKR_USER_ANOTHER_ALREADY_LOGGED_IN => DriverError::Busy,
            _ if after() & !before & PIN_TRIES != 0 => DriverError::PinIncorrect { tries_left: tries_left(after()) },
            code => self.explain(module::error(function, code)),
        })
    }

    /// Sends the PIN once (or asks for it on the device), logged out before, so that success means that this PIN was looked at.
    fn log_in(&self, credential: &Credential) -> Result<(), DriverError> {
        let info = match credential {
            Credential::Pin(pin) => self.before_pin(&[pin])?,
            Credential::OnDevice => self.before_pin(&[])?,
        };
        let on_device = info.flags & ffi::CKF_PROTECTED_AUTHENTICATION_PATH != 0;
        match (credential, on_device) {
            (Credential::Pin(_), true) => return Err(DriverError::unsupported("a PIN typed on the host")),
            (Credential::OnDevice, false) => return Err(DriverError::unsupported("a PIN typed on the device")),
            _ => {}
        }
        self.module().logout(self.session);
        let code = self.module().login(self.session, ffi::CKU_USER, credential)?;
        self.judge(Function::Login, info.flags, code)
    }
}

impl Session for Opened<'_> {
    fn keys(&mut self) -> Result<Vec<KeyInfo>, DriverError> {
        self.key_list().map_err(|e| self.explain(e))
    }

    fn seals(&mut self) -> Result<Vec<Vec<u8>>, DriverError> {
        self.seal_list().map_err(|e| self.explain(e))
    }

    fn pin_status(&mut self) -> Result<PinStatus, DriverError> {
        let flags = self.info().map_err(|e| self.explain(e))?.flags;
        Ok(PinStatus {
            tries_left: None,
            max_tries: None,
            blocked: flags & ffi::CKF_USER_PIN_LOCKED != 0,
            last_try: flags & ffi::CKF_USER_PIN_FINAL_TRY != 0,
            on_device: flags & ffi::CKF_PROTECTED_AUTHENTICATION_PATH != 0,
        })
    }

    fn login(&mut self, credential: Credential) -> Result<Box<dyn Authenticated + '_>, DriverError> {
        let mut login = LoggedIn { session: self, secret: Secret::Held(credential), ready: Vec::new() };
        login.log_in()?;
        Ok(Box::new(login))
    }

    fn change_pin(&mut self, old: Pin, new: Pin) -> Result<(), DriverError> {
        let info = self.before_pin(&[&old, &new])?;
        self.module().logout(self.session);
        let code = self.module().set_pin(self.session, &old, &new)?;
        self.judge(Function::SetPin, info.flags, code)
    }
}

/// The credential of one batch, or why the token refused it. After a refusal it is gone and never used again.
enum Secret {
    Held(Credential),
    Refused(DriverError),
}

/// A key of this login that has signed: object and mechanism are known to work.
struct Ready {
    id: KeyId,
    public_key: Sm2PublicKey,
    private_key: PrivateKey,
    mechanism: SignMechanism,
}

/// A logged-in session; dropping it logs out.
struct LoggedIn<'s, 'm> {
    session: &'s Opened<'m>,
    secret: Secret,
    ready: Vec<Ready>,
}

impl Drop for LoggedIn<'_, '_> {
    fn drop(&mut self) {
        self.session.module().logout(self.session.session);
    }
}

/// What came of one attempt with one object and one mechanism.
enum Attempt {
    Signed(Sm2Signature),
    /// This mechanism is not for this token or key: the code says so.
    NotThisWay(DriverError),
    Failed(DriverError),
}

impl LoggedIn<'_, '_> {
    /// Uses the credential once; a refusal ends it.
    fn log_in(&mut self) -> Result<(), DriverError> {
        let result = match &self.secret {
            Secret::Held(credential) => self.session.log_in(credential),
            Secret::Refused(error) => Err(error.clone()),
        };
        if let Err(error) = &result {
            self.secret = Secret::Refused(error.clone());
        }
        result
    }

    /// `CKA_ALWAYS_AUTHENTICATE`: the token wants the PIN between `C_SignInit` and `C_Sign`.
    fn log_in_for_key(&mut self) -> Result<(), DriverError> {
        let before = self.session.info()?.flags;
        let result = match &self.secret {
            Secret::Held(credential) => {
                let code = self.session.module().login(self.session.session, ffi::CKU_CONTEXT_SPECIFIC, credential)?;
                self.session.judge(Function::Login, before, code)
            }
            Secret::Refused(error) => Err(error.clone()),
        };
        if let Err(error) = &result {
            self.secret = Secret::Refused(error.clone());
        }
        result
    }

    /// One signature, with at most one more login if the token has forgotten the last.
    fn attempt(&mut self, private_key: PrivateKey, mechanism: SignMechanism, message: &Sm2Message) -> Attempt {
        match self.raw_signature(private_key, mechanism, message) {
            Err(DriverError::Module { code: ffi::CKR_USER_NOT_LOGGED_IN, .. }) => {
                if let Err(error) = self.log_in() {
                    return Attempt::Failed(error);
                }
                sorted(self.raw_signature(private_key, mechanism, message), message)
            }
            result => sorted(result, message),
        }
    }

    fn raw_signature(
        &mut self,
        private_key: PrivateKey,
        mechanism: SignMechanism,
        message: &Sm2Message,
    ) -> Result<Vec<u8>, DriverError> {
        let (module, session) = (self.session.module(), self.session.session);
        let input = match mechanism.input {
            Input::Digest => message.digest().as_bytes().as_slice(),
            Input::Message if message.id() == DEFAULT_ID || mechanism.id_parameter => message.bytes(),
            Input::Message => return Err(module::error(Function::SignInit, ffi::CKR_MECHANISM_PARAM_INVALID)),
        };
        let parameter = if mechanism.id_parameter { message.id().as_bytes() } else { &[] };
        module::ok(Function::SignInit, module.sign_init(session, mechanism.number, parameter, private_key.object)?)?;
        if private_key.always_authenticate {
            self.log_in_for_key()?;
        }
        module.sign(session, input)?.map_err(|code| module::error(Function::Sign, code))
    }

    /// The mechanisms to try, in order. Flags in mechanism lists are wrong in places, so they only say which unknown vendor's numbers
    /// are worth a try; `C_SignInit` decides.
    fn mechanisms(&self) -> Vec<SignMechanism> {
        let named = self.session.module().mechanisms(self.session.slot).unwrap_or_default();
        let profiles = &self.session.driver.profiles;
        let mut all: Vec<_> = profiles.iter().flat_map(|p| p.mechanisms.iter().copied()).collect();
        if profiles.len() > 1 {
            all.retain(|m| named.contains(&m.number));
            all.sort_by_key(|m| m.input == Input::Message);
        }
        all.push(ECDSA);
        all
    }

    /// Tries each private key of that id with each mechanism until one gives an SM2 signature by the right key.
    fn find_way(&mut self, key: &KeyId, message: &Sm2Message) -> Result<Sm2Signature, DriverError> {
        let known = self.session.key_list()?;
        let absent = || DriverError::KeyAbsent { key: key.0.clone() };
        let found = known.iter().find(|k| k.id == *key && k.usage == KeyUsage::Signing).ok_or_else(absent)?;
        if found.public_key != *message.key() {
            return Err(DriverError::KeyChanged { key: key.0.clone() });
        }
        let mut wrong = None;
        let mut refused = None;
        for private_key in self.session.private_keys(key, message.key())? {
            for mechanism in self.mechanisms() {
                match self.attempt(private_key, mechanism, message) {
                    Attempt::Signed(signature) => {
                        let others = || known.iter().map(|k| k.public_key).collect();
                        match check::require_sm2("C_Sign", &signature, message, others) {
                            Ok(()) => {
                                let (id, public_key) = (key.clone(), *message.key());
                                self.ready.push(Ready { id, public_key, private_key, mechanism });
                                return Ok(signature);
                            }
                            Err(error) => wrong = Some(error),
                        }
                    }
                    Attempt::NotThisWay(error) => refused = Some(error),
                    Attempt::Failed(error) => return Err(error),
                }
            }
        }
        Err(match (wrong, refused) {
            (Some(error), _) => error,
            (None, Some(error)) => match self.session.explain(error) {
                DriverError::TokenAbsent => DriverError::TokenAbsent,
                error => DriverError::unsupported(format!("SM2 signing by any known mechanism (the last: {error})")),
            },
            (None, None) => absent(),
        })
    }
}

/// Reads a result as a signature, and tells a mechanism that does not fit from a failure.
fn sorted(result: Result<Vec<u8>, DriverError>, message: &Sm2Message) -> Attempt {
    match result {
        Ok(bytes) => match read_signature(&bytes, message) {
            Some(signature) => Attempt::Signed(signature),
            None => Attempt::NotThisWay(DriverError::signature("C_Sign", format!("{} bytes that are none", bytes.len()))),
        },
        Err(error @ DriverError::Module { code, .. }) if code >= 0x8000_0000 || NOT_THIS_WAY.contains(&code) => {
            Attempt::NotThisWay(error)
        }
        Err(error @ DriverError::Unsupported { .. }) => Attempt::NotThisWay(error),
        Err(error) => Attempt::Failed(error),
    }
}

/// Codes by which modules say that a mechanism, its parameter, its input or its key type is none of theirs.
const NOT_THIS_WAY: [u32; 9] = [
    0x05, // CKR_GENERAL_ERROR
    0x06, // CKR_FUNCTION_FAILED
    0x07, // CKR_ARGUMENTS_BAD
    0x20, // CKR_DATA_INVALID
    0x21, // CKR_DATA_LEN_RANGE
    0x63, // CKR_KEY_TYPE_INCONSISTENT
    0x68, // CKR_KEY_FUNCTION_NOT_PERMITTED
    ffi::CKR_MECHANISM_INVALID,
    ffi::CKR_MECHANISM_PARAM_INVALID,
];

/// Raw `r ‖ s` or DER. 64 bytes can be both: then the reading that verifies is the right one, raw if neither does.
fn read_signature(bytes: &[u8], message: &Sm2Message) -> Option<Sm2Signature> {
    let raw = <&[u8; 64]>::try_from(bytes).ok().map(Sm2Signature::from_raw);
    match (Sm2Signature::from_der(bytes), raw) {
        (Some(der), Some(raw)) => Some(if check::verifies(message.key(), message.digest(), &der) { der } else { raw }),
        (der, raw) => der.or(raw),
    }
}

impl Authenticated for LoggedIn<'_, '_> {
    fn sign(&mut self, key: &KeyId, message: &Sm2Message) -> Result<Sm2Signature, DriverError> {
        if let Secret::Refused(error) = &self.secret {
            return Err(error.clone());
        }
        let ready = self.ready.iter().find(|r| r.id == *key && r.public_key == *message.key());
        let result = match ready.map(|ready| (ready.private_key, ready.mechanism)) {
            None => self.find_way(key, message),
            Some((private_key, mechanism)) => match self.attempt(private_key, mechanism, message) {
                Attempt::Signed(signature) => {
                    let others = || self.session.key_list().unwrap_or_default().iter().map(|k| k.public_key).collect();
                    check::require_sm2("C_Sign", &signature, message, others).map(|()| signature)
                }
                Attempt::NotThisWay(error) | Attempt::Failed(error) => Err(error),
            },
        };
        result.map_err(|e| self.session.explain(e))
    }
}

/// Cuts a list to what the traits allow.
fn at_most_keys(mut keys: Vec<KeyInfo>) -> Vec<KeyInfo> {
    keys.truncate(MAX_KEYS);
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raw_and_der_results_are_told_apart() {
        let key = "32c4ae2c1f1981195f9904466a39c9948fe30bbff2660be1715a4589334c74c7bc3736a2f4f6779c59bdcee36b692153d0a9877cc62a474002df32e52139f0a0";
        let message = Sm2Message::new(b"m".to_vec(), DEFAULT_ID, key.parse().unwrap()).unwrap();
        let signature = Sm2Signature { r: [0x81; 32], s: [7; 32] };
        assert!(read_signature(&signature.to_raw(), &message) == Some(signature));
        assert!(read_signature(&signature.to_der(), &message) == Some(signature));
        assert!(read_signature(&[1; 63], &message).is_none());
        assert!(read_signature(&[], &message).is_none());
    }
}
