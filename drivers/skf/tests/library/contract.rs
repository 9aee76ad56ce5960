//! The one contract suite, through the virtual SKF library: plain, and with everything odd at once.

use ukey::{Driver, driver::Lacks};
use ukey_virtual::LoginPolicy;
use ukey_virtual_skf::{Switches, switches::Alignment};

use crate::module::{self, Module, only_token, seal};

fn contract_holds(login: LoginPolicy, odd: impl FnOnce(&mut Switches)) {
    let module = Module::new().with(odd);
    let token = module.token("公章", login);
    let id = only_token(&mut module.driver());
    let mut driver = || Box::new(module.driver()) as Box<dyn Driver>;
    module::contract_holds(&mut driver, (&module.switches.folder, &token, id), &[seal()], Lacks::default());
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
