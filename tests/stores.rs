//! What an authority must not forget, on both stores: SQLite in its folder, and PostgreSQL. Through power cuts (kill -9), full disks, clocks
//! that are set back, several processes at once, and connections that break.
//!
//! The PostgreSQL is Debian's (`scripts/setup-debian.sh --test`): the cases start a server of their own in a temporary folder, as an
//! unprivileged user, and stop it. Where it is not installed they show as ignored; with `MUST_RUN=yes` they fail. Starts the program
//! `sealauthority`, which `cargo build --workspace --bins` makes.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

#[cfg(unix)]
#[path = "stores/cluster.rs"]
mod cluster;
#[cfg(unix)]
#[path = "stores/company.rs"]
mod company;
#[cfg(unix)]
#[path = "stores/faults.rs"]
mod faults;
#[cfg(unix)]
#[path = "stores/proxy.rs"]
mod proxy;
#[cfg(unix)]
#[path = "stores/reach.rs"]
mod reach;
#[cfg(unix)]
#[path = "stores/records.rs"]
mod records;
#[cfg(unix)]
#[path = "stores/rig.rs"]
mod rig;
#[cfg(unix)]
#[path = "common/terminal.rs"]
mod terminal;

#[cfg(unix)]
fn main() {
    use libtest_mimic::{Arguments, Trial};

    let arguments = Arguments::from_args();
    let is_missing = cluster::programs().is_none() && std::env::var_os("MUST_RUN").is_none();
    let mut trials = Vec::new();
    for (name, run) in records::CASES {
        for kind in [rig::Kind::Sqlite, rig::Kind::Postgres] {
            let case = move || {
                run(kind);
                Ok(())
            };
            let is_missing = is_missing && matches!(kind, rig::Kind::Postgres);
            trials.push(Trial::test(format!("{}::{name}", kind.name()), case).with_ignored_flag(is_missing));
        }
    }
    let disk = || {
        records::disk_that_is_full_changes_nothing_and_is_named();
        Ok(())
    };
    trials.push(Trial::test("sqlite::disk_that_is_full_changes_nothing_and_is_named", disk));
    for (name, run) in faults::CASES.iter().chain(reach::CASES) {
        let case = move || {
            run();
            Ok(())
        };
        trials.push(Trial::test(format!("postgres::{name}"), case).with_ignored_flag(is_missing));
    }
    // On this thread, which outlives them all: the server ends with the thread that started it.
    if !is_missing && !arguments.list {
        cluster::start_shared();
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    cluster::stop_shared();
    conclusion.exit();
}

#[cfg(not(unix))]
fn main() {}
