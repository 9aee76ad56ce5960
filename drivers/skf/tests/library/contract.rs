//! The one contract suite, through the virtual SKF library: plain, and with everything odd at once.

use crate::module::{Module, PIN, WRONG_PIN, only_token, seal};
use ukey::{
    Driver,
    contract::{self, Fixture},
    der,
    driver::Lacks,
};
use ukey_virtual::LoginPolicy;
use ukey_virtual_skf::{Switches, switches::Alignment};

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
        lacks: Lacks::default(),
        renew: Some(&mut || std::fs::write(&file, &fresh).unwrap()),
    });
    assert!(outcome.left_out.is_empty() && outcome.held.len() > 10, "{outcome:?}");
}

#[test]
fn contract_holds_for_a_plain_library() {
    contract_holds(LoginPolicy::PerSession, |_| {});
}

#[test]
fn contract_holds_for_an_odd_library_whose_token_forgets_the_pin() {
    contract_holds(LoginPolicy::PerSignature, |s| {
        s.wide_ulong = true;
        s.gbk_names = true;
        s.alignment = Alignment::Left;
        s.certificates_swapped = true;
        s.empty_list_size = 2;
        s.wrong_pin_code = 0x0A00_0029;
    });
}
