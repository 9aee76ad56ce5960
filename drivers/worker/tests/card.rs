//! The virtual CanoKey-like card through the real `pcscd` and the real worker. *Ignored* where no `pcscd` of our own can run.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[cfg(unix)]
#[path = "../../virtual/tests/bench/mod.rs"]
mod bench;
#[path = "remote/mod.rs"]
#[allow(dead_code)] // shared with the other test programs
mod remote;
#[cfg(unix)]
#[path = "../../pcsc/tests/card/service.rs"]
mod service;

use libtest_mimic::Arguments;

fn main() {
    let mut arguments = Arguments::from_args();
    arguments.test_threads = Some(1); // one service
    #[cfg(not(unix))]
    let trials = Vec::new();
    #[cfg(unix)]
    let (trials, service) = {
        let service = if arguments.list { None } else { service::Service::start() };
        let trial = |(name, test): &(&'static str, fn())| {
            let test = *test;
            libtest_mimic::Trial::test(*name, move || {
                test();
                Ok(())
            })
            .with_ignored_flag(service.is_none())
        };
        (tests::TESTS.iter().map(trial).collect(), service)
    };
    let conclusion = libtest_mimic::run(&arguments, trials);
    #[cfg(unix)]
    drop(service); // `exit` runs no destructor
    conclusion.exit();
}

#[cfg(unix)]
mod tests {
    use ukey::{
        Driver, DriverError, KeyId, TokenId,
        driver::Lacks,
        wire::{Answer, Bytes, Request},
    };
    use ukey_virtual::{
        LoginPolicy, Token,
        calls::{Act, CallFault},
    };
    use ukey_virtual_card::{Card, Inserted, Switches};

    use crate::bench::{self, PIN};
    use crate::{remote::RemoteDriver, service};

    pub const TESTS: &[(&str, fn())] = &[
        ("contract_holds_for_a_card_across_the_process_border", contract_holds),
        ("insertion_and_removal_are_told_between_requests", insertion_and_removal_are_told),
        ("swapped_card_is_refused_before_the_pin_is_used", swapped_card_is_refused),
        ("card_that_hangs_is_left_behind_when_the_agent_goes", card_that_hangs_is_left_behind),
    ];

    fn token() -> (tempfile::TempDir, Token) {
        let folder = tempfile::tempdir().unwrap();
        let token = bench::token(folder.path(), "card", LoginPolicy::PerSession, 200);
        (folder, token)
    }

    fn insert(token: &Token) -> Inserted {
        Inserted::new(service::port(0), Card::new(token.clone(), Switches::default())).unwrap()
    }

    fn start() -> RemoteDriver {
        RemoteDriver::start(&["pcsc".into()])
    }

    /// Waits until the card's PIV token is listed.
    fn piv(driver: &mut RemoteDriver) -> TokenId {
        loop {
            if let Some(token) = driver.tokens().unwrap().into_iter().find(|t| t.id.0.ends_with("/PIV")) {
                return token.id;
            }
            driver.wait_for_change();
        }
    }

    fn contract_holds() {
        let (folder, token) = token();
        let _card = insert(&token);
        let mut driver = start();
        let id = piv(&mut driver);
        driver.end();
        let lacks = Lacks { seals: true, ..Lacks::default() };
        bench::contract_holds(&mut || Box::new(start()) as Box<dyn Driver>, (folder.path(), &token, id), &[], lacks);
    }

    fn insertion_and_removal_are_told() {
        let (_folder, token) = token();
        let mut driver = start();
        while !driver.tokens().unwrap().is_empty() {
            driver.wait_for_change(); // the card of the test before
        }
        let card = insert(&token);
        driver.wait_for_change();
        assert_eq!(driver.tokens().unwrap().len(), 2, "one for each applet");
        drop(card);
        driver.wait_for_change();
        assert_eq!(driver.tokens().unwrap(), []);
        driver.end();
    }

    fn swapped_card_is_refused() {
        let (_folder, agreed) = token();
        let (_other_folder, other) = token();
        let _card = insert(&other);
        let mut driver = start();
        let id = piv(&mut driver);
        let public_key = agreed.keys().unwrap()[0].public_key;
        let request = Request::Sign { token: id, key: KeyId("piv-9c".into()), public_key, on_device: false };
        let error = driver.ask(&request, bench::WRONG_PIN).unwrap_err();
        assert!(matches!(error, DriverError::KeyChanged { .. }), "{error:?}");
        assert_eq!(other.pin_status().unwrap().tries_left, Some(bench::TRIES));
        driver.end();
    }

    fn card_that_hangs_is_left_behind() {
        let (_folder, token) = token();
        let card = insert(&token);
        let mut driver = start();
        let id = piv(&mut driver);
        let public_key = token.keys().unwrap()[0].public_key;
        card.set(|s| s.faults = vec![CallFault { function: "87".into(), call: 1, act: Act::Hang }]);
        let request = Request::Sign { token: id, key: KeyId("piv-9c".into()), public_key, on_device: false };
        assert!(matches!(driver.ask(&request, PIN), Ok(Answer::LoggedIn)));
        driver.send(&Request::Message { bytes: Bytes(b"m".to_vec()), id: ukey::DEFAULT_ID.into() }, b"");
        assert!(!driver.close().success(), "killed, not ended");
        drop(card);
        // The service and the next worker are well.
        let mut driver = start();
        while !driver.tokens().unwrap().is_empty() {
            driver.wait_for_change();
        }
        let card = insert(&token);
        let id = piv(&mut driver);
        let request = Request::Sign { token: id, key: KeyId("piv-9c".into()), public_key, on_device: false };
        assert!(matches!(driver.ask(&request, PIN), Ok(Answer::LoggedIn)));
        drop(card);
        let message = Request::Message { bytes: Bytes(b"m".to_vec()), id: ukey::DEFAULT_ID.into() };
        assert_eq!(driver.ask(&message, b"").map(drop), Err(DriverError::TokenAbsent));
        driver.end();
    }
}
