//! The one contract suite, through the virtual module: plain, and with everything odd at once.

use ukey::{Driver, driver::Lacks};
use ukey_virtual::LoginPolicy;
use ukey_virtual_pkcs11::{Switches, switches::Point};

use crate::harness::{self, Module, only_token, seal};

fn contract_holds(login: LoginPolicy, odd: impl FnOnce(&mut Switches)) {
    let module = Module::new().with(odd);
    let token = module.token("公章", login);
    let id = only_token(&mut module.driver());
    // PKCS#11 has flags for "few left" and "last", but no count.
    let lacks = Lacks { tries_left: true, ..Lacks::default() };
    let mut driver = || Box::new(module.driver()) as Box<dyn Driver>;
    harness::contract_holds(&mut driver, (&module.switches.folder, &token, id), &[seal()], lacks);
}

#[test]
fn contract_holds_for_a_plain_module() {
    contract_holds(LoginPolicy::PerSession, |_| {});
}

#[test]
fn contract_holds_for_an_odd_module_whose_token_forgets_the_pin() {
    contract_holds(LoginPolicy::PerSignature, |s| {
        s.der_results = true;
        s.gbk_label = true;
        s.point = Point::Bare;
        s.private_point = true;
        s.shared_ids = true;
        s.wrong_flags = true;
    });
}
