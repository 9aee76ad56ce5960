//! One SKF library (GM/T 0016-2012, also GB/T 35291) as a UKey driver: the main route to Chinese UKeys.
//!
//! A token is one application on one device; a key is a container's signing or encryption pair; a seal is a file that begins with a DER
//! SEQUENCE. Libraries keep state for the whole process and are not thread-safe, so one process hosts one library and opens one
//! device at a time. `SKF_WaitForDevEvent` is never called: it blocks, and returns at once in some libraries; the host asks for
//! the list again instead.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

#[allow(unsafe_code)] // the calls into the library
mod library;
mod names;
pub mod profile;
mod sar;

use std::{
    path::Path,
    time::{Duration, Instant},
};

use ukey::{
    About, Authenticated, Credential, DEFAULT_ID, Driver, DriverError, KeyId, KeyInfo, KeyUsage, Pin, PinStatus, Session,
    Sm2Message, Sm2PublicKey, Sm2Signature, TokenId, TokenInfo, check, der,
    driver::{Hardware, MAX_KEYS, MAX_SEAL_BYTES, MAX_SEALS, MAX_TOKENS},
    library::LibraryError,
    wire::Bytes,
};
use ukey_native::text;

pub use crate::profile::{Profile, SignInput};
use crate::{
    library::{Application, Container, Device, DeviceInfo, Library, PinAnswer, PinInfo, SIGNATURE_BYTES},
    names::RawName,
};

/// More tries than this are no count: GM/T 0027 §9.2 allows 10, some libraries answer 0xFFFFFFFF for "not limited" or "unknown".
const MAX_TRIES: u32 = 255;
/// A list of tokens costs a connection to each device, which other programs notice. The worker asks every second; while the devices'
/// names stay the same it gets the last answer for this long. (A device swapped under one name is looked at anew when it is opened.)
const LIST_LIFE: Duration = Duration::from_secs(10);
/// `SKF_ReadFile` in pieces that every token takes.
const FILE_CHUNK_BYTES: usize = 1024;
/// RSA containers are not ours.
const CONTAINER_RSA: u32 = 1;

/// The driver.
#[derive(Debug)]
pub struct Skf {
    library: Library,
    profile: Profile,
    seen: Option<Seen>,
}

/// The last list, good while the same devices are present, for [`LIST_LIFE`].
#[derive(Debug)]
struct Seen {
    devices: Vec<RawName>,
    tokens: Vec<TokenInfo>,
    at: Instant,
}

impl Skf {
    /// Loads the library at an absolute path. Nothing of it runs but its initialisers.
    pub fn load(path: &Path, profile: Profile) -> Result<Self, LibraryError> {
        Ok(Self { library: Library::load(path)?, profile, seen: None })
    }

    /// Every application on every device. A device that another program holds or that is pulled out meanwhile hides no other;
    /// only when there is nothing to show at all its error is.
    fn scan(&self, devices: &[RawName]) -> Result<Vec<Found>, DriverError> {
        let mut found = Vec::new();
        let mut failure = None;
        for device in devices {
            match self.scan_device(device).map_err(|e| explain(&self.library, device, e)) {
                Ok(applications) => found.extend(applications),
                Err(DriverError::TokenAbsent) => {}
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        match failure {
            Some(error) if found.is_empty() => Err(error),
            _ => Ok(found),
        }
    }

    fn open_found(&self, wanted: &Found) -> Result<Opened<'_>, DriverError> {
        let device = Connected::new(&self.library, &wanted.device)?;
        if self.library.device_info(device.handle)?.serial != wanted.info.serial {
            return Err(DriverError::TokenAbsent); // another one in the same socket
        }
        let application = self.library.open_application(device.handle, &wanted.application)?;
        Ok(Opened { device, application, device_name: wanted.device.clone(), profile: &self.profile })
    }

    fn scan_device(&self, name: &RawName) -> Result<Vec<Found>, DriverError> {
        let device = Connected::new(&self.library, name)?;
        let info = self.library.device_info(device.handle)?;
        let applications = self.library.applications(device.handle)?;
        Ok(applications.into_iter().map(|application| Found { device: name.clone(), info: info.clone(), application }).collect())
    }
}

/// One application on one device.
struct Found {
    device: RawName,
    info: DeviceInfo,
    application: RawName,
}

impl Found {
    /// Serial number and application; the device's name joins them where two devices have one serial, and stands alone where there
    /// is none. So an id that was given for one device never means another one that is plugged in beside it.
    fn id(&self, all: &[Self]) -> TokenId {
        let serial = text::id(&self.info.serial);
        let twin = |other: &&Self| other.info.serial == self.info.serial && other.device != self.device;
        let device = match (serial.is_empty(), all.iter().any(|other| twin(&other))) {
            (true, _) => format!("@{}", self.device.to_id()),
            (false, true) => format!("{serial}@{}", self.device.to_id()),
            (false, false) => serial,
        };
        TokenId(format!("{device}/{}", self.application.to_id()))
    }
}

impl Driver for Skf {
    fn about(&self) -> About {
        About { profile: Some(self.profile.name.clone()), library: None, hardware: Hardware::of(&self.profile.ran_on) }
    }

    fn tokens(&mut self) -> Result<Vec<TokenInfo>, DriverError> {
        let devices = self.library.devices()?;
        if let Some(seen) = self.seen.as_ref().filter(|seen| seen.devices == devices && seen.at.elapsed() < LIST_LIFE) {
            return Ok(seen.tokens.clone());
        }
        self.seen = None;
        let found = self.scan(&devices)?;
        let info = |token: &Found| TokenInfo {
            id: token.id(&found),
            label: if token.info.label.is_empty() { token.application.to_text() } else { token.info.label.clone() },
            manufacturer: token.info.manufacturer.clone(),
            serial: text::display(&token.info.serial),
        };
        let tokens: Vec<_> = found.iter().take(MAX_TOKENS).map(info).collect();
        self.seen = Some(Seen { devices, tokens: tokens.clone(), at: Instant::now() });
        Ok(tokens)
    }

    fn open(&mut self, token: &TokenId) -> Result<Box<dyn Session + '_>, DriverError> {
        let found = self.scan(&self.library.devices()?)?;
        let wanted = found.iter().find(|t| t.id(&found) == *token).ok_or(DriverError::TokenAbsent)?;
        let opened = self.open_found(wanted).map_err(|e| explain(&self.library, &wanted.device, e))?;
        Ok(Box::new(opened))
    }
}

/// Libraries answer calls to a device that was pulled out with any code. If the device is no longer listed, that is why.
fn explain(library: &Library, device: &RawName, error: DriverError) -> DriverError {
    match error {
        DriverError::Module { .. } | DriverError::Protocol { .. }
            if library.devices().is_ok_and(|devices| !devices.contains(device)) =>
        {
            DriverError::TokenAbsent
        }
        error => error,
    }
}

/// A connected device; dropping it disconnects.
struct Connected<'l> {
    library: &'l Library,
    handle: Device,
}

impl<'l> Connected<'l> {
    fn new(library: &'l Library, name: &RawName) -> Result<Self, DriverError> {
        Ok(Self { library, handle: library.connect(name)? })
    }
}

impl Drop for Connected<'_> {
    fn drop(&mut self) {
        self.library.disconnect(self.handle);
    }
}

/// An open container; dropping it closes it.
struct OpenContainer<'l> {
    library: &'l Library,
    handle: Container,
}

impl Drop for OpenContainer<'_> {
    fn drop(&mut self) {
        self.library.close_container(self.handle);
    }
}

/// An open application. Fields drop after `drop` runs: the application is closed before the device.
struct Opened<'l> {
    device: Connected<'l>,
    application: Application,
    device_name: RawName,
    profile: &'l Profile,
}

impl Drop for Opened<'_> {
    fn drop(&mut self) {
        self.device.library.close_application(self.application);
    }
}

impl<'l> Opened<'l> {
    fn library(&self) -> &'l Library {
        self.device.library
    }

    fn explain(&self, error: DriverError) -> DriverError {
        explain(self.library(), &self.device_name, error)
    }

    /// `None` where the library answers with an error of its own: what was asked for is not there.
    fn optional<T>(&self, result: Result<T, DriverError>) -> Result<Option<T>, DriverError> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(error @ (DriverError::Module { .. } | DriverError::Unsupported { .. })) => match self.explain(error) {
                DriverError::TokenAbsent => Err(DriverError::TokenAbsent),
                _ => Ok(None),
            },
            Err(error) => Err(error),
        }
    }

    fn open_container(&self, name: &RawName) -> Result<OpenContainer<'l>, DriverError> {
        let library = self.library();
        Ok(OpenContainer { library, handle: library.open_container(self.application, name.as_c_str())? })
    }

    /// Signing and encryption key of one container, each with the certificate that certifies it, whichever place that lies in.
    fn container_keys(&self, name: &RawName) -> Result<Vec<KeyInfo>, DriverError> {
        let library = self.library();
        let container = self.open_container(name)?;
        if self.optional(library.container_type(container.handle))? == Some(CONTAINER_RSA) {
            return Ok(Vec::new());
        }
        let mut certificates = Vec::new();
        for signing in [true, false] {
            let der = self.optional(library.certificate(container.handle, signing))?.unwrap_or_default();
            if let Some(der) = der::trim_sequence(&der) {
                certificates.push((signing, der.to_vec()));
            }
        }
        let mut keys = Vec::<KeyInfo>::new();
        for signing in [true, false] {
            let in_place = || certificates.iter().find(|(place, _)| *place == signing).map(|(_, der)| der.as_slice());
            let public_key = match self.optional(library.public_key(container.handle, signing)) {
                Ok(Some(key)) => key,
                // A library without the function still shows whose certificate it holds; any signature is checked against it.
                Ok(None) => match in_place().and_then(der::certificate_public_key) {
                    Some(key) => key,
                    None => continue,
                },
                Err(DriverError::Protocol { .. }) => continue, // a key of another curve
                Err(error) => return Err(error),
            };
            let certificate =
                certificates.iter().map(|(_, der)| der).find(|der| der::certificate_public_key(der) == Some(public_key));
            let may_sign = signing && certificate.and_then(|der| der::certificate_may_sign(der)) != Some(false);
            if keys.iter().any(|key| key.public_key == public_key) {
                continue; // a library that ignores which of the two was asked for
            }
            keys.push(KeyInfo {
                id: key_id(name, signing),
                usage: if may_sign { KeyUsage::Signing } else { KeyUsage::Encryption },
                public_key,
                certificate: certificate.map(|der| Bytes(der.clone())),
            });
        }
        Ok(keys)
    }

    /// A file's content without its padding; `None` when it is no DER SEQUENCE.
    fn sequence_file(&self, file: &RawName) -> Result<Option<Vec<u8>>, DriverError> {
        let library = self.library();
        let size = library.file_size(self.application, file)?;
        let mut content = library.read_file(self.application, file, 0, size.min(FILE_CHUNK_BYTES))?;
        let Some(len) = der::sequence_length(&content).filter(|len| *len <= size.min(MAX_SEAL_BYTES)) else { return Ok(None) };
        while content.len() < len {
            let wanted = (len - content.len()).min(FILE_CHUNK_BYTES);
            let chunk = library.read_file(self.application, file, content.len(), wanted)?;
            if chunk.is_empty() {
                return Err(DriverError::protocol("SKF_ReadFile", "the file ends before its own length"));
            }
            content.extend(chunk);
        }
        content.truncate(len);
        Ok(Some(content))
    }

    fn tries(&self) -> Result<Option<PinInfo>, DriverError> {
        let info = self.optional(self.library().pin_info(self.application))?;
        Ok(info.filter(|info| info.left <= MAX_TRIES))
    }

    /// Refuses what cannot be right, and a PIN that is locked already, before a try is spent.
    fn before_pin(&self, pins: &[&Pin]) -> Result<Option<u32>, DriverError> {
        let [least, most] = self.profile.pin_bytes;
        if pins.iter().any(|pin| !(least..=most).contains(&pin.expose().len())) {
            return Err(DriverError::PinUnacceptable { reason: format!("{least} to {most} bytes are taken") });
        }
        match self.tries()?.map(|info| info.left) {
            Some(0) => Err(DriverError::PinBlocked),
            left => Ok(left),
        }
    }

    /// What a call that looked at a PIN means. Codes for a wrong PIN differ between libraries, so a count that went down decides.
    fn judge(&self, function: &str, before: Option<u32>, answer: PinAnswer) -> Result<(), DriverError> {
        if answer.code == sar::OK {
            return Ok(());
        }
        let after = self.tries().ok().flatten().map(|info| info.left).or(answer.tries_left);
        let spent = before.zip(after).is_some_and(|(before, after)| after < before);
        Err(match answer.code {
            sar::DEVICE_REMOVED => DriverError::TokenAbsent,
            _ if spent => DriverError::PinIncorrect { tries_left: after },
            sar::PIN_LOCKED => DriverError::PinBlocked,
            sar::PIN_INCORRECT => DriverError::PinIncorrect { tries_left: after },
            sar::PIN_INVALID | sar::PIN_LEN_RANGE => {
                DriverError::PinUnacceptable { reason: "the token refuses its length or its characters".into() }
            }
            // We logged out just before: another program is logged in, and the PIN was not looked at.
            sar::USER_ALREADY_LOGGED_IN => DriverError::Busy,
            code => self.explain(DriverError::module(function, code)),
        })
    }

    /// Sends the PIN once, logged out before, so that success means that this PIN was looked at.
    fn verify_pin(&self, pin: &Pin) -> Result<(), DriverError> {
        let before = self.before_pin(&[pin])?;
        self.library().clear_secure_state(self.application);
        self.judge("SKF_VerifyPIN", before, self.library().verify_pin(self.application, pin)?)
    }
}

/// A container's name is its signing key's; `/encryption` cannot be part of one (`/` is escaped).
fn key_id(container: &RawName, signing: bool) -> KeyId {
    KeyId(format!("{}{}", container.to_id(), if signing { "" } else { "/encryption" }))
}

impl Session for Opened<'_> {
    fn keys(&mut self) -> Result<Vec<KeyInfo>, DriverError> {
        let mut keys = Vec::new();
        for container in self.library().containers(self.application, MAX_KEYS).map_err(|e| self.explain(e))? {
            keys.extend(self.container_keys(&container).map_err(|e| self.explain(e))?);
        }
        keys.truncate(MAX_KEYS);
        Ok(keys)
    }

    fn seals(&mut self) -> Result<Vec<Vec<u8>>, DriverError> {
        let Some(files) = self.optional(self.library().files(self.application))? else { return Ok(Vec::new()) };
        let mut seals = Vec::new();
        for file in files {
            // A file that may not be read without a PIN, or is no file of ours, hides no other.
            if let Some(Some(content)) = self.optional(self.sequence_file(&file))? {
                seals.push(content);
            }
        }
        seals.truncate(MAX_SEALS);
        Ok(seals)
    }

    fn pin_status(&mut self) -> Result<PinStatus, DriverError> {
        let Some(info) = self.tries()? else { return Ok(PinStatus::default()) };
        Ok(PinStatus {
            tries_left: Some(info.left),
            max_tries: Some(info.max).filter(|max| (1..=MAX_TRIES).contains(max)),
            blocked: info.left == 0,
            last_try: info.left == 1,
            on_device: false,
        })
    }

    fn login(&mut self, credential: Credential) -> Result<Box<dyn Authenticated + '_>, DriverError> {
        let Credential::Pin(pin) = credential else { return Err(DriverError::unsupported("a PIN typed on the device")) };
        let mut login = LoggedIn {
            locked: Locked::new(&self.device)?,
            session: self,
            secret: Secret::Pin(pin),
            containers: Vec::new(),
            each_signature: self.profile.login_each_signature,
            fresh: false,
        };
        login.log_in()?;
        Ok(Box::new(login))
    }

    fn change_pin(&mut self, old: Pin, new: Pin) -> Result<(), DriverError> {
        let _locked = Locked::new(&self.device)?;
        let before = self.before_pin(&[&old, &new])?;
        self.library().clear_secure_state(self.application);
        let answer = self.library().change_pin(self.application, &old, &new);
        self.library().clear_secure_state(self.application);
        self.judge("SKF_ChangePIN", before, answer?)
    }
}

/// The device, kept from other programs where the library can; dropping it gives it back.
struct Locked<'l>(Option<(&'l Library, Device)>);

impl<'l> Locked<'l> {
    fn new(device: &Connected<'l>) -> Result<Self, DriverError> {
        Ok(Self(device.library.lock(device.handle)?.then_some((device.library, device.handle))))
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        if let Some((library, device)) = self.0 {
            library.unlock(device);
        }
    }
}

/// The PIN of one batch, or why the token refused it. After a refusal it is gone and never sent again.
enum Secret {
    Pin(Pin),
    Refused(DriverError),
}

/// A logged-in application. `drop` logs out; then the containers close, and the lock goes last of all.
struct LoggedIn<'s, 'l> {
    session: &'s Opened<'l>,
    secret: Secret,
    /// Containers used in this batch: opening and checking them once keeps a batch at the library's own speed.
    containers: Vec<(KeyId, Sm2PublicKey, OpenContainer<'l>)>,
    /// The token forgets the PIN after each signature; known from the profile, or learnt.
    each_signature: bool,
    /// Nothing was signed since the PIN was sent.
    fresh: bool,
    #[expect(dead_code, reason = "held for its drop")]
    locked: Locked<'l>,
}

impl<'l> LoggedIn<'_, 'l> {
    /// Sends the PIN once; a refusal wipes it.
    fn log_in(&mut self) -> Result<(), DriverError> {
        let result = match &self.secret {
            Secret::Pin(pin) => self.session.verify_pin(pin),
            Secret::Refused(error) => Err(error.clone()),
        };
        match &result {
            Ok(()) => self.fresh = true,
            Err(error) => self.secret = Secret::Refused(error.clone()),
        }
        result
    }

    /// The place in `containers` of a key, opened and compared with the public key that the message was made for.
    fn container(&mut self, key: &KeyId, public_key: &Sm2PublicKey) -> Result<usize, DriverError> {
        if let Some(at) = self.containers.iter().position(|(id, known, _)| id == key && known == public_key) {
            return Ok(at);
        }
        let absent = || DriverError::KeyAbsent { key: key.0.clone() };
        let names = self.session.library().containers(self.session.application, MAX_KEYS)?;
        let name = names.iter().find(|name| key_id(name, true) == *key).ok_or_else(absent)?;
        let keys = self.session.container_keys(name)?;
        let found = keys.iter().find(|k| k.id == *key && k.usage == KeyUsage::Signing).ok_or_else(absent)?;
        if found.public_key != *public_key {
            return Err(DriverError::KeyChanged { key: key.0.clone() });
        }
        self.containers.push((key.clone(), *public_key, self.session.open_container(name)?));
        Ok(self.containers.len() - 1)
    }

    fn sign_once(&mut self, container: usize, input: &[u8]) -> Result<[u8; SIGNATURE_BYTES], DriverError> {
        let (_, _, container) = &self.containers[container];
        let result = container.library.sign(container.handle, input);
        self.fresh = false;
        result
    }

    fn blob(&mut self, container: usize, input: &[u8]) -> Result<[u8; SIGNATURE_BYTES], DriverError> {
        if self.each_signature && !self.fresh {
            self.log_in()?;
        }
        match self.sign_once(container, input) {
            Err(DriverError::Module { code: sar::USER_NOT_LOGGED_IN, .. }) => {
                self.each_signature = true;
                self.log_in()?;
                self.sign_once(container, input)
            }
            result => result,
        }
    }
}

impl Drop for LoggedIn<'_, '_> {
    fn drop(&mut self) {
        self.session.library().clear_secure_state(self.session.application);
    }
}

impl Authenticated for LoggedIn<'_, '_> {
    fn sign(&mut self, key: &KeyId, message: &Sm2Message) -> Result<Sm2Signature, DriverError> {
        if let Secret::Refused(error) = &self.secret {
            return Err(error.clone());
        }
        let input = match self.session.profile.sign_input {
            SignInput::Digest => message.digest().as_bytes().as_slice(),
            SignInput::Message if message.id() == DEFAULT_ID => message.bytes(),
            SignInput::Message => return Err(DriverError::unsupported("a signer id other than the default one")),
        };
        let session = self.session;
        let container = self.container(key, message.key()).map_err(|e| session.explain(e))?;
        let blob = self.blob(container, input).map_err(|e| session.explain(e))?;
        let readings = signature_readings(&blob);
        let good = |s: &&Sm2Signature| check::verifies(message.key(), message.digest(), s);
        if let Some(signature) = readings.iter().find(good) {
            return Ok(*signature);
        }
        let Some(signature) = readings.first() else {
            return Err(DriverError::signature("SKF_ECCSignData", "r and s are not where any library puts them"));
        };
        let others = || {
            let names = session.library().containers(session.application, MAX_KEYS).unwrap_or_default();
            names.iter().flat_map(|n| session.container_keys(n).unwrap_or_default()).map(|k| k.public_key).collect()
        };
        check::require_sm2("SKF_ECCSignData", signature, message, others).map(|()| *signature)
    }
}

/// `ECCSIGNATUREBLOB`: r and s in 64 bytes each, right-aligned in libraries seen, left-aligned in a few; or 32 bytes each, close together.
fn signature_readings(blob: &[u8; SIGNATURE_BYTES]) -> Vec<Sm2Signature> {
    let layouts = [(32, 96), (0, 64), (0, 32)];
    let scalar = |at: usize| <[u8; 32]>::try_from(&blob[at..at + 32]).unwrap_or_default();
    let mut readings = Vec::new();
    for (r, s) in layouts {
        let outside = blob.iter().enumerate().filter(|(at, _)| !(r..r + 32).contains(at) && !(s..s + 32).contains(at));
        if outside.into_iter().all(|(_, byte)| *byte == 0) {
            readings.push(Sm2Signature { r: scalar(r), s: scalar(s) });
        }
    }
    readings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signature_is_read_in_every_alignment_and_no_other() {
        for (r, s) in [(32, 96), (0, 64), (0, 32)] {
            let mut blob = [0; SIGNATURE_BYTES];
            blob[r..r + 32].copy_from_slice(&[5; 32]);
            blob[s..s + 32].copy_from_slice(&[6; 32]);
            assert_eq!(signature_readings(&blob), [Sm2Signature { r: [5; 32], s: [6; 32] }]);
            blob[127] = 1;
            blob[0] = 1;
            blob[33] = 1;
            assert!(signature_readings(&blob).is_empty() || (r, s) == (0, 32));
        }
        assert!(signature_readings(&[1; SIGNATURE_BYTES]).is_empty());
    }
}
