//! The contract suite on virtual tokens of both kinds of login.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod bench;

use ukey::{Driver, driver::Lacks};
use ukey_virtual::{LoginPolicy, VirtualDriver};

fn contract_holds(login: LoginPolicy) {
    let folder = tempfile::tempdir().unwrap();
    let token = bench::token(folder.path(), "公章 1", login, 0);
    let seals = [vec![0x30, 3, 2, 1, 1], vec![0xff; 30_000]];
    seals.iter().for_each(|seal| token.put_seal(seal).unwrap());
    let id = token.id().clone();
    let mut driver = || Box::new(VirtualDriver::new(folder.path())) as Box<dyn Driver>;
    bench::contract_holds(&mut driver, (folder.path(), &token, id), &seals, Lacks::default());
}

#[test]
fn contract_holds_for_a_login_per_session() {
    contract_holds(LoginPolicy::PerSession);
}

#[test]
fn contract_holds_for_a_login_per_signature() {
    contract_holds(LoginPolicy::PerSignature);
}
