//! The driver against the virtual CanoKey-like card in a virtual reader, through the real `pcscd`.
//!
//! One `pcscd` is started for all tests and stopped by its process id. Where it or vpcd's reader driver is not installed, where another
//! `pcscd` runs, or without the right to start one, all tests are reported as *ignored*.

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[cfg(unix)]
#[path = "../../../virtual/tests/bench/mod.rs"]
mod bench;
#[cfg(unix)]
mod cards;
#[cfg(unix)]
mod contract;
#[cfg(unix)]
mod service;

use libtest_mimic::Arguments;

fn main() {
    let mut arguments = Arguments::from_args();
    arguments.test_threads = Some(1); // one service, two readers
    #[cfg(not(unix))]
    let trials = Vec::new();
    #[cfg(unix)]
    let (trials, service) = {
        let service = if arguments.list { None } else { service::Service::start() };
        let tests = cards::TESTS.iter().chain(contract::TESTS);
        let trial = |(name, test): &(&'static str, fn())| {
            let test = *test;
            libtest_mimic::Trial::test(*name, move || {
                test();
                Ok(())
            })
            .with_ignored_flag(service.is_none())
        };
        (tests.map(trial).collect(), service)
    };
    let conclusion = libtest_mimic::run(&arguments, trials);
    #[cfg(unix)]
    drop(service); // `exit` runs no destructor
    conclusion.exit();
}
