//! The one contract suite, through the real service: both applets, plain and odd.

use ukey::{Driver, driver::Lacks};
use ukey_pcsc::Pcsc;
use ukey_virtual::LoginPolicy;
use ukey_virtual_card::Switches;

use crate::bench;
use crate::cards::Bench;

pub const TESTS: &[(&str, fn())] = &[
    ("contract_holds_for_the_piv_applet", || contract_holds("PIV", LoginPolicy::PerSession, |_| {})),
    ("contract_holds_for_an_odd_piv_applet", || {
        contract_holds("PIV", LoginPolicy::PerSignature, |s| {
            s.algorithm = 0x99;
            s.exact_le = true;
            s.pin_always = true;
            s.zipped = true;
        });
    }),
    ("contract_holds_for_the_openpgp_applet", || contract_holds("OpenPGP", LoginPolicy::PerSession, |_| {})),
];

fn contract_holds(applet: &str, login: LoginPolicy, odd: impl FnOnce(&mut Switches)) {
    let mut switches = Switches::default();
    odd(&mut switches);
    let bench = Bench::new(login, switches);
    let id = bench.wait_for(applet);
    // Objects on these cards are too small for a seal.
    let lacks = Lacks { seals: true, ..Lacks::default() };
    let mut driver = || Box::new(Pcsc::new()) as Box<dyn Driver>;
    bench::contract_holds(&mut driver, (bench.folder.path(), &bench.token, id), &[], lacks);
}
