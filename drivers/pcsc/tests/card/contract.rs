//! The one contract suite, through the real service: both applets, plain and odd.

use ukey::{
    Driver,
    contract::{self, Fixture},
    der,
    driver::Lacks,
};
use ukey_pcsc::Pcsc;
use ukey_virtual::LoginPolicy;
use ukey_virtual_card::Switches;

use crate::cards::{Bench, PIN, WRONG_PIN};

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
    let file = bench.folder.path().join(format!("{}.token.json", bench.token.id()));
    let fresh = std::fs::read(&file).unwrap();
    let id = bench.wait_for(applet);
    let outcome = contract::run(Fixture {
        driver: &mut || Box::new(Pcsc::new()) as Box<dyn Driver>,
        token: id,
        pin: PIN,
        wrong_pin: WRONG_PIN,
        unacceptable_pins: &[b"12345", b"12345678901234567"],
        max_tries: 6,
        seals: &[],
        certificate_key: &|certificate| der::certificate_public_key(certificate).unwrap().to_sec1(),
        // Objects on these cards are too small for a seal.
        lacks: Lacks { seals: true, ..Lacks::default() },
        renew: Some(&mut || std::fs::write(&file, &fresh).unwrap()),
    });
    assert!(outcome.left_out.is_empty() && outcome.held.len() > 10, "{outcome:?}");
}
