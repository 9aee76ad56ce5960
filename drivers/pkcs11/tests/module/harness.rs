//! A private copy of the virtual module with switches of its own, and a folder of virtual tokens behind it.

use std::{ffi::CString, fs, mem::ManuallyDrop, path::PathBuf};

use tempfile::TempDir;
use ukey::{
    Credential, DEFAULT_ID, Driver as _, DriverError, KeyId, KeyUsage, Pin, Sm2Message, Sm2PublicKey, Sm2Signature, TokenId,
};
use ukey_pkcs11::{Pkcs11, Profile};
use ukey_virtual::{LoginPolicy, Token, TokenOptions};
use ukey_virtual_pkcs11::{
    Switches,
    switches::{Act, CallFault},
};

pub const PIN: &[u8] = b"246813";
pub const WRONG_PIN: &[u8] = b"135790";

pub fn pin(bytes: &[u8]) -> Pin {
    Pin::new(bytes.to_vec()).unwrap()
}

/// The module that cargo built for this test crate: it lies beside the test program.
pub fn built_module() -> PathBuf {
    let folder = std::env::current_exe().unwrap().parent().unwrap().to_owned();
    folder.join(format!("{}ukey_virtual_pkcs11{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX))
}

pub struct Module {
    folder: TempDir,
    name: String,
    pub switches: Switches,
    configure: ManuallyDrop<libloading::Library>,
}

impl Module {
    pub fn new() -> Self {
        Self::named("module")
    }

    /// A copy under a file name that profiles may know.
    pub fn named(name: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let name = format!("{name}{}", std::env::consts::DLL_SUFFIX);
        let path = folder.path().join(&name);
        fs::copy(built_module(), &path).unwrap();
        // SAFETY: our own module.
        #[allow(unsafe_code)]
        let configure = ManuallyDrop::new(unsafe { libloading::Library::new(&path) }.unwrap());
        let switches = Switches { folder: folder.path().join("tokens"), ..Switches::default() };
        let module = Self { folder, name, switches, configure };
        module.apply();
        module
    }

    pub fn path(&self) -> PathBuf {
        self.folder.path().join(&self.name)
    }

    pub fn with(mut self, change: impl FnOnce(&mut Switches)) -> Self {
        self.set(change);
        self
    }

    pub fn set(&mut self, change: impl FnOnce(&mut Switches)) {
        change(&mut self.switches);
        self.apply();
    }

    pub fn fault(&mut self, function: &str, call: u32, act: Act) {
        self.set(|s| s.faults = vec![CallFault { function: function.into(), call, act }]);
    }

    fn apply(&self) {
        let json = CString::new(serde_json::to_vec(&self.switches).unwrap()).unwrap();
        type Configure = unsafe extern "C" fn(*const std::ffi::c_char) -> u32;
        // SAFETY: our own function, of this type.
        #[allow(unsafe_code)]
        let code = unsafe { self.configure.get::<Configure>(b"UKEY_VIRTUAL_PKCS11_Configure").unwrap()(json.as_ptr()) };
        assert_eq!(code, 0);
    }

    /// A token with one signing key, its encryption key, certificates for both, and a seal.
    pub fn token(&self, label: &str, login: LoginPolicy) -> Token {
        let options = TokenOptions { login, ..TokenOptions::default() };
        let token = Token::create(&self.switches.folder, label, &pin(PIN), options).unwrap();
        let mut unlocked = token.login(&pin(PIN)).unwrap();
        for (usage, bits) in [(KeyUsage::Signing, 0xc0), (KeyUsage::Encryption, 0x38)] {
            let (id, key) = unlocked.generate_key(usage).unwrap();
            token.put_certificate(&id, &certificate(&key, bits)).unwrap();
        }
        token.put_seal(&seal()).unwrap();
        token
    }

    pub fn driver(&self) -> Pkcs11 {
        self.driver_with(None)
    }

    pub fn driver_with(&self, profile: Option<Profile>) -> Pkcs11 {
        Pkcs11::load(&self.path(), profile).unwrap()
    }
}

/// A SEQUENCE of 3000 bytes.
pub fn seal() -> Vec<u8> {
    let mut seal = vec![0x30, 0x82, 0x0b, 0xb4];
    seal.resize(3000, 0x5a);
    seal
}

fn tlv(tag: u8, value: &[u8]) -> Vec<u8> {
    let mut out = vec![tag, 0x82];
    out.extend((value.len() as u16).to_be_bytes());
    out.extend(value);
    out
}

/// The frame of a certificate: only key and key usage are real.
pub fn certificate(key: &Sm2PublicKey, usage: u8) -> Vec<u8> {
    let algorithm = b"\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x81\x1c\xcf\x55\x01\x82\x2d";
    let info = tlv(0x30, &[tlv(0x30, algorithm), tlv(3, &[&[0], key.to_sec1().as_slice()].concat())].concat());
    let mut fields = [tlv(0xa0, &[2, 1, 2]), tlv(2, &[1])].concat();
    for _ in ["signature", "issuer", "validity", "subject"] {
        fields.extend(tlv(0x30, &[]));
    }
    fields.extend(info);
    fields
        .extend(tlv(0xa3, &tlv(0x30, &tlv(0x30, &[b"\x06\x03\x55\x1d\x0f\x04\x04\x03\x02\x00".as_slice(), &[usage]].concat()))));
    tlv(0x30, &tlv(0x30, &fields))
}

pub fn only_token(driver: &mut Pkcs11) -> TokenId {
    let tokens = driver.tokens().unwrap();
    assert_eq!(tokens.len(), 1, "{tokens:?}");
    tokens[0].id.clone()
}

pub fn signing_key(driver: &mut Pkcs11, token: &TokenId) -> (KeyId, Sm2PublicKey) {
    let keys = driver.open(token).unwrap().keys().unwrap();
    let key = keys.iter().find(|k| k.usage == KeyUsage::Signing).unwrap();
    (key.id.clone(), key.public_key)
}

pub fn message(key: Sm2PublicKey, number: usize) -> Sm2Message {
    Sm2Message::new(format!("message {number}").into_bytes(), DEFAULT_ID, key).unwrap()
}

/// Opens, logs in and signs `count` messages.
pub fn sign(
    driver: &mut Pkcs11,
    token: &TokenId,
    (key, public_key): &(KeyId, Sm2PublicKey),
    credential: Credential,
    count: usize,
) -> Result<Vec<Sm2Signature>, DriverError> {
    let mut session = driver.open(token)?;
    let mut login = session.login(credential)?;
    let sign = |number| {
        let message = message(*public_key, number);
        let signature = login.sign(key, &message)?;
        assert!(ukey::check::verifies(public_key, message.digest(), &signature));
        Ok(signature)
    };
    (0..count).map(sign).collect()
}

pub fn typed(bytes: &[u8]) -> Credential {
    Credential::Pin(pin(bytes))
}
