//! The contract suite on virtual tokens of both kinds of login.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;

use ukey::{
    Driver, KeyUsage, Pin,
    contract::{self, Fixture},
    driver::Lacks,
};
use ukey_virtual::{LoginPolicy, Token, TokenOptions, VirtualDriver};

fn contract_holds(login: LoginPolicy) {
    let folder = tempfile::tempdir().unwrap();
    let pin = Pin::new(b"13572468".to_vec()).unwrap();
    let token = Token::create(folder.path(), "公章 1", &pin, TokenOptions { login, max_tries: 5 }).unwrap();
    let mut unlocked = token.login(&pin).unwrap();
    let (key, public_key) = unlocked.generate_key(KeyUsage::Signing).unwrap();
    unlocked.generate_key(KeyUsage::Encryption).unwrap();
    // What a token stores it does not read: the key itself stands in for a certificate of it.
    token.put_certificate(&key, &public_key.to_sec1()).unwrap();
    let seals = [vec![0x30, 3, 2, 1, 1], vec![0xff; 30_000]];
    seals.iter().for_each(|seal| token.put_seal(seal).unwrap());
    let file = folder.path().join(format!("{}.token.json", token.id()));
    let fresh = fs::read(&file).unwrap();

    let outcome = contract::run(Fixture {
        driver: &mut || Box::new(VirtualDriver::new(folder.path())) as Box<dyn Driver>,
        token: token.id().clone(),
        pin: b"13572468",
        wrong_pin: b"00000000",
        unacceptable_pins: &[b"12345", b"12345678901234567"],
        max_tries: 5,
        seals: &seals,
        certificate_key: &|certificate| certificate.try_into().unwrap(),
        lacks: Lacks::default(),
        renew: Some(&mut || fs::write(&file, &fresh).unwrap()),
    });
    assert!(outcome.left_out.is_empty() && outcome.held.len() > 10, "{outcome:?}");
}

#[test]
fn contract_holds_for_a_login_per_session() {
    contract_holds(LoginPolicy::PerSession);
}

#[test]
fn contract_holds_for_a_login_per_signature() {
    contract_holds(LoginPolicy::PerSignature);
}
