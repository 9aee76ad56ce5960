//! The one contract suite, through the virtual module: plain, and with everything odd at once.

use ukey::{
    Driver,
    contract::{self, Fixture},
    der,
    driver::Lacks,
};
use ukey_virtual::LoginPolicy;
use ukey_virtual_pkcs11::{Switches, switches::Point};

use crate::harness::{Module, PIN, WRONG_PIN, only_token, seal};

fn contract_holds(login: LoginPolicy, odd: impl FnOnce(&mut Switches)) {
    let module = Module::new().with(odd);
    let token = module.token("公章", login);
    let file = module.switches.folder.join(format!("{}.token.json", token.id()));
    let fresh = std::fs::read(&file).unwrap();
    let id = only_token(&mut module.driver());
    let outcome = contract::run(Fixture {
        driver: &mut || Box::new(module.driver()) as Box<dyn Driver>,
        token: id,
        pin: PIN,
        wrong_pin: WRONG_PIN,
        unacceptable_pins: &[b"12345", b"12345678901234567"],
        max_tries: 6,
        seals: &[seal()],
        certificate_key: &|certificate| der::certificate_public_key(certificate).unwrap().to_sec1(),
        // PKCS#11 has flags for "few left" and "last", but no count.
        lacks: Lacks { tries_left: true, ..Lacks::default() },
        renew: Some(&mut || std::fs::write(&file, &fresh).unwrap()),
    });
    assert!(outcome.left_out.is_empty() && outcome.held.len() > 10, "{outcome:?}");
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
