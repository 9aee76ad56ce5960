//! What the tests of all drivers share: a virtual token with all that a real one holds, and a driver's calls in one line each. Included
//! by path.

#![allow(dead_code)] // each test program uses its part

use std::{fs, path::Path};

use ukey::{
    Credential, DEFAULT_ID, Driver, DriverError, KeyId, KeyUsage, Pin, Sm2Message, Sm2PublicKey, Sm2Signature, TokenId,
    contract::{self, Fixture},
    der,
    driver::Lacks,
};
use ukey_virtual::{LoginPolicy, Token, TokenOptions};

/// As long as every other PIN of the contract: OpenPGP's command for a change has no mark between old and new.
pub const PIN: &[u8] = b"24681357";
pub const WRONG_PIN: &[u8] = b"13570246";
/// Tries of a fresh token.
pub const TRIES: u32 = 6;

pub fn pin(bytes: &[u8]) -> Pin {
    Pin::new(bytes.to_vec()).unwrap()
}

pub fn typed(bytes: &[u8]) -> Credential {
    Credential::Pin(pin(bytes))
}

/// A token with one signing key, its encryption key, and certificates for both, each with names of so many bytes.
pub fn token(folder: &Path, label: &str, login: LoginPolicy, name_bytes: usize) -> Token {
    let token = Token::create(folder, label, &pin(PIN), TokenOptions { login, max_tries: TRIES }).unwrap();
    let mut unlocked = token.login(&pin(PIN)).unwrap();
    for (usage, bits) in [(KeyUsage::Signing, 0xc0), (KeyUsage::Encryption, 0x38)] {
        let (id, key) = unlocked.generate_key(usage).unwrap();
        token.put_certificate(&id, &certificate_with_names(&key, bits, name_bytes)).unwrap();
    }
    token
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
    certificate_with_names(key, usage, 0)
}

/// The same, as large as its names make it.
pub fn certificate_with_names(key: &Sm2PublicKey, usage: u8, name_bytes: usize) -> Vec<u8> {
    let algorithm = b"\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x81\x1c\xcf\x55\x01\x82\x2d";
    let info = tlv(0x30, &[tlv(0x30, algorithm), tlv(3, &[&[0], key.to_sec1().as_slice()].concat())].concat());
    let mut fields = [tlv(0xa0, &[2, 1, 2]), tlv(2, &[1])].concat();
    for _ in ["signature", "issuer", "validity", "subject"] {
        fields.extend(tlv(0x30, &vec![0x55; name_bytes]));
    }
    fields.extend(info);
    fields
        .extend(tlv(0xa3, &tlv(0x30, &tlv(0x30, &[b"\x06\x03\x55\x1d\x0f\x04\x04\x03\x02\x00".as_slice(), &[usage]].concat()))));
    tlv(0x30, &tlv(0x30, &fields))
}

pub fn only_token(driver: &mut dyn Driver) -> TokenId {
    let tokens = driver.tokens().unwrap();
    assert_eq!(tokens.len(), 1, "{tokens:?}");
    tokens[0].id.clone()
}

pub fn signing_key(driver: &mut dyn Driver, token: &TokenId) -> (KeyId, Sm2PublicKey) {
    let keys = driver.open(token).unwrap().keys().unwrap();
    let key = keys.iter().find(|k| k.usage == KeyUsage::Signing).unwrap();
    (key.id.clone(), key.public_key)
}

pub fn message(key: Sm2PublicKey, number: usize) -> Sm2Message {
    Sm2Message::new(format!("message {number}").into_bytes(), DEFAULT_ID, key).unwrap()
}

/// Opens, logs in and signs `count` messages.
pub fn sign(
    driver: &mut dyn Driver,
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

/// The one contract suite on the token in `folder` that the driver calls `id`; what the driver lacks is declared, nothing is left out.
pub fn contract_holds(
    driver: &mut dyn FnMut() -> Box<dyn Driver>,
    (folder, token, id): (&Path, &Token, TokenId),
    seals: &[Vec<u8>],
    lacks: Lacks,
) {
    let file = folder.join(format!("{}.token.json", token.id()));
    let fresh = fs::read(&file).unwrap();
    let outcome = contract::run(Fixture {
        driver,
        token: id,
        pin: PIN,
        wrong_pin: WRONG_PIN,
        unacceptable_pins: &[b"12345", b"12345678901234567"],
        max_tries: TRIES,
        seals,
        certificate_key: &|certificate| der::certificate_public_key(certificate).unwrap().to_sec1(),
        lacks,
        renew: Some(&mut || fs::write(&file, &fresh).unwrap()),
    });
    assert!(outcome.left_out.is_empty() && outcome.held.len() > 10, "{outcome:?}");
}
