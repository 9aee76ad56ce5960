//! The contract suite on a real token, through the real worker. *Ignored* unless one is named:
//!
//! ```text
//! SEALAGENT_HARDWARE='skf|/opt/vendor/libskf.so|profile'  (or 'pkcs11|MODULE', or 'pcsc')
//! SEALAGENT_HARDWARE_TOKEN=ID                             (when more than one is plugged in)
//! cargo test -p sealagent-worker --test hardware
//! ```
//! The PIN is typed at the terminal. It must be right: the suite sends it a dozen times, and no wrong one ever, so no try is lost.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "remote/mod.rs"]
#[allow(dead_code)] // shared with the other test programs
mod remote;

use std::ffi::OsString;

use libtest_mimic::{Arguments, Trial};
use remote::RemoteDriver;
use ukey::{
    Driver as _, TokenId,
    contract::{self, Fixture},
    der,
    driver::Lacks,
};

fn main() {
    let arguments = Arguments::from_args();
    let named = std::env::var("SEALAGENT_HARDWARE").ok();
    let ignored = named.is_none();
    let trial = Trial::test("contract_holds_for_the_named_token", move || {
        contract_holds(&named.unwrap_or_default());
        Ok(())
    });
    libtest_mimic::run(&arguments, vec![trial.with_ignored_flag(ignored)]).exit();
}

fn contract_holds(named: &str) {
    let worker: Vec<OsString> = named.split('|').map(OsString::from).collect();
    let mut driver = RemoteDriver::start(&worker);
    let tokens = driver.tokens().unwrap();
    let token = match (std::env::var("SEALAGENT_HARDWARE_TOKEN"), tokens.as_slice()) {
        (Ok(id), _) => TokenId(id),
        (Err(_), [one]) => one.id.clone(),
        _ => panic!("name one of these in SEALAGENT_HARDWARE_TOKEN: {tokens:#?}"),
    };
    let mut session = driver.open(&token).unwrap();
    let (seals, pin) = (session.seals().unwrap(), session.pin_status().unwrap());
    drop(session);
    driver.end();
    assert!(!pin.blocked && !pin.last_try, "this token cannot lose a try: {pin:?}");
    let typed = rpassword::prompt_password(format!("PIN of {token}: ")).unwrap();
    let outcome = contract::run(Fixture {
        driver: &mut || Box::new(RemoteDriver::start(&worker)) as Box<dyn ukey::Driver>,
        token,
        pin: typed.as_bytes(),
        wrong_pin: &[],
        unacceptable_pins: &[],
        max_tries: pin.tries_left.unwrap_or(1),
        seals: &seals,
        certificate_key: &|certificate| der::certificate_public_key(certificate).expect("an SM2 certificate").to_sec1(),
        lacks: Lacks { seals: false, change_pin: false, tries_left: pin.tries_left.is_none() },
        renew: None,
    });
    eprintln!("{outcome:#?}");
}
