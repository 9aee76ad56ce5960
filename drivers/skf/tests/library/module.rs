//! A private copy of the virtual SKF library with switches of its own, and a folder of virtual tokens behind it.

use std::{
    ffi::CString,
    fs,
    path::{Path, PathBuf},
};

use tempfile::TempDir;
use ukey::{
    Credential, DEFAULT_ID, Driver as _, DriverError, KeyId, KeyUsage, Pin, Sm2Message, Sm2PublicKey, Sm2Signature, TokenId,
};
use ukey_skf::{Profile, Skf};
use ukey_virtual::{LoginPolicy, Token, TokenOptions};
use ukey_virtual_skf::{
    Switches,
    switches::{Act, CallFault},
};

pub const PIN: &[u8] = b"246813";
pub const WRONG_PIN: &[u8] = b"135790";

pub fn pin(bytes: &[u8]) -> Pin {
    Pin::new(bytes.to_vec()).unwrap()
}

/// The library that cargo built for this test crate: it lies beside the test program.
pub fn built_library() -> PathBuf {
    let folder = std::env::current_exe().unwrap().parent().unwrap().to_owned();
    folder.join(format!("{}ukey_virtual_skf{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX))
}

pub struct Module {
    folder: TempDir,
    pub switches: Switches,
    configure: std::mem::ManuallyDrop<libloading::Library>,
}

impl Module {
    pub fn new() -> Self {
        Self::without(&[])
    }

    /// A library that does not export some functions: their names are overwritten in the copy's symbol table.
    pub fn without(functions: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut bytes = fs::read(built_library()).unwrap();
        for function in functions {
            let name = format!("\0{function}\0");
            let mut at = 0;
            let mut found = false;
            while let Some(next) = bytes[at..].windows(name.len()).position(|w| w == name.as_bytes()) {
                bytes[at + next + 1] = b'X';
                at += next + name.len();
                found = true;
            }
            assert!(found, "{function} is not exported");
        }
        fs::write(Self::path_in(folder.path()), bytes).unwrap();
        // SAFETY: our own library.
        #[allow(unsafe_code)]
        let configure = unsafe { libloading::Library::new(Self::path_in(folder.path())) }.unwrap();
        let switches = Switches { folder: folder.path().join("tokens"), ..Switches::default() };
        let module = Self { folder, switches, configure: std::mem::ManuallyDrop::new(configure) };
        module.apply();
        module
    }

    fn path_in(folder: &Path) -> PathBuf {
        folder.join(format!("library{}", std::env::consts::DLL_SUFFIX))
    }

    pub fn path(&self) -> PathBuf {
        Self::path_in(self.folder.path())
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
        type Configure = unsafe extern "system" fn(*const std::ffi::c_char) -> u32;
        // SAFETY: our own function, of this type.
        #[allow(unsafe_code)]
        let code = unsafe { self.configure.get::<Configure>(b"UKEY_VIRTUAL_SKF_Configure").unwrap()(json.as_ptr()) };
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

    pub fn driver(&self) -> Skf {
        self.driver_with(Profile::default())
    }

    pub fn driver_with(&self, profile: Profile) -> Skf {
        Skf::load(&self.path(), profile).unwrap()
    }
}

/// A SEQUENCE of 3000 bytes: as large as a small seal, and longer than one chunk.
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

pub fn only_token(driver: &mut Skf) -> TokenId {
    let tokens = driver.tokens().unwrap();
    assert_eq!(tokens.len(), 1, "{tokens:?}");
    tokens[0].id.clone()
}

pub fn signing_key(driver: &mut Skf, token: &TokenId) -> (KeyId, Sm2PublicKey) {
    let keys = driver.open(token).unwrap().keys().unwrap();
    let key = keys.iter().find(|k| k.usage == KeyUsage::Signing).unwrap();
    (key.id.clone(), key.public_key)
}

pub fn message(key: Sm2PublicKey, number: usize) -> Sm2Message {
    Sm2Message::new(format!("message {number}").into_bytes(), DEFAULT_ID, key).unwrap()
}

/// Opens, logs in and signs `count` messages.
pub fn sign(
    driver: &mut Skf,
    token: &TokenId,
    (key, public_key): &(KeyId, Sm2PublicKey),
    secret: &[u8],
    count: usize,
) -> Result<Vec<Sm2Signature>, DriverError> {
    let mut session = driver.open(token)?;
    let mut login = session.login(Credential::Pin(pin(secret)))?;
    let sign = |number| {
        let message = message(*public_key, number);
        let signature = login.sign(key, &message)?;
        assert!(ukey::check::verifies(public_key, message.digest(), &signature));
        Ok(signature)
    };
    (0..count).map(sign).collect()
}
