//! Each quirk and fault of cards, one test each.

use std::{
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;
use ukey::{DEFAULT_ID, Driver as _, DriverError, KeyId, KeyUsage, Sm2Message, Sm2PublicKey, TokenId};
use ukey_pcsc::Pcsc;
use ukey_virtual::{
    LoginPolicy, Token,
    calls::{Act, CallFault},
};
use ukey_virtual_card::{Card, Inserted, Switches};

use crate::bench::{self, PIN, pin, sign, typed};
use crate::service;

/// Makes certificates of realistic size: their reading takes several commands.
const NAME_BYTES: usize = 200;

pub const TESTS: &[(&str, fn())] = &[
    ("insertion_and_removal_are_seen_within_a_second", insertion_and_removal_are_seen_within_a_second),
    ("card_shows_its_maker_serial_and_keys", card_shows_its_maker_serial_and_keys),
    ("every_slot_with_an_sm2_key_signs", every_slot_with_an_sm2_key_signs),
    ("card_without_metadata_is_taken_by_its_certificate", card_without_metadata_is_taken_by_its_certificate),
    ("card_without_sm2_is_no_token", card_without_sm2_is_no_token),
    ("switched_off_algorithm_is_told_by_its_status", switched_off_algorithm_is_told_by_its_status),
    ("certificate_of_another_key_is_not_shown_as_the_keys", certificate_of_another_key_is_not_shown_as_the_keys),
    ("pin_is_sent_again_only_while_it_was_right", pin_is_sent_again_only_while_it_was_right),
    ("answers_cut_in_half_are_refused", answers_cut_in_half_are_refused),
    ("answer_without_end_is_refused", answer_without_end_is_refused),
    ("card_that_fails_is_looked_at_three_times", card_that_fails_is_looked_at_three_times),
    ("status_words_are_passed_on", status_words_are_passed_on),
    ("card_pulled_out_at_each_step_is_absent", card_pulled_out_at_each_step_is_absent),
    ("swapped_card_is_not_signed_with", swapped_card_is_not_signed_with),
    ("two_cards_of_one_serial_are_two_and_the_old_id_means_neither", two_cards_of_one_serial),
    ("card_that_another_program_holds_is_busy", card_that_another_program_holds_is_busy),
    ("reset_by_another_program_is_survived", reset_by_another_program_is_survived),
    ("service_that_stops_is_told_and_found_again_when_it_runs", service_that_stops_is_found_again),
    ("card_is_left_without_login_and_without_reset", card_is_left_without_login_and_without_reset),
];

/// A virtual token and the card that it is in.
pub struct Bench {
    pub folder: TempDir,
    pub token: Token,
    card: Option<Inserted>,
}

impl Bench {
    pub fn new(login: LoginPolicy, switches: Switches) -> Self {
        Self::in_reader(0, login, switches)
    }

    fn in_reader(reader: u16, login: LoginPolicy, switches: Switches) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let token = bench::token(folder.path(), "card", login, NAME_BYTES);
        wait_until_empty(reader.into());
        let card = Some(Inserted::new(service::port(reader), Card::new(token.clone(), switches)).unwrap());
        Self { folder, token, card }
    }

    fn plain() -> Self {
        Self::new(LoginPolicy::PerSession, Switches::default())
    }

    fn set(&self, change: impl FnOnce(&mut Switches)) {
        self.card.as_ref().unwrap().set(change);
    }

    fn fault(&self, instruction: &str, call: u32, act: Act) {
        self.set(|s| s.faults = vec![CallFault { function: instruction.into(), call, act }]);
    }

    /// Waits until the service shows this card's applet and no other card's.
    pub fn wait_for(&self, applet: &str) -> TokenId {
        let mut driver = Pcsc::new();
        wait_for(&mut driver, applet, 1).remove(0)
    }
}

/// Waits until the service has noticed that the card before was pulled out.
fn wait_until_empty(reader: usize) {
    let context = pcsc::Context::establish(pcsc::Scope::User).unwrap();
    let name = context.list_readers_owned().unwrap().remove(reader);
    let start = Instant::now();
    loop {
        let mut state = [pcsc::ReaderState::new(name.clone(), pcsc::State::UNAWARE)];
        context.get_status_change(Duration::ZERO, &mut state).unwrap();
        if !state[0].event_state().contains(pcsc::State::PRESENT) {
            return;
        }
        assert!(start.elapsed() < Duration::from_secs(5), "a card is still there");
        thread::sleep(Duration::from_millis(20));
    }
}

/// Waits for so many tokens of an applet.
fn wait_for(driver: &mut Pcsc, applet: &str, count: usize) -> Vec<TokenId> {
    let start = Instant::now();
    loop {
        let tokens = driver.tokens().unwrap_or_default();
        let ids: Vec<_> = tokens.into_iter().map(|t| t.id).filter(|id| id.0.ends_with(applet)).collect();
        if ids.len() == count {
            return ids;
        }
        assert!(start.elapsed() < Duration::from_secs(5), "{ids:?}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// A driver that sees one card, its PIV token and signing key.
fn opened(bench: &Bench) -> (Pcsc, TokenId, (KeyId, Sm2PublicKey)) {
    let mut driver = Pcsc::new();
    let id = wait_for(&mut driver, "PIV", 1).remove(0);
    let key = bench.token.keys().unwrap().remove(0);
    (driver, id, (KeyId("piv-9c".into()), key.public_key))
}

fn certificate(key: &Sm2PublicKey, usage: u8) -> Vec<u8> {
    bench::certificate_with_names(key, usage, NAME_BYTES)
}

fn insertion_and_removal_are_seen_within_a_second() {
    let mut driver = Pcsc::new();
    wait_for(&mut driver, "PIV", 0);
    let mut bench = Bench::plain();
    let inserted = Instant::now();
    wait_for(&mut driver, "PIV", 1);
    assert!(inserted.elapsed() < Duration::from_secs(1), "{:?}", inserted.elapsed());
    drop(bench.card.take());
    let removed = Instant::now();
    wait_for(&mut driver, "PIV", 0);
    assert!(removed.elapsed() < Duration::from_secs(1), "{:?}", removed.elapsed());
}

fn card_shows_its_maker_serial_and_keys() {
    let bench = Bench::plain();
    let (mut driver, id, key) = opened(&bench);
    assert_eq!(id.0, "00003039/PIV");
    let info = driver.tokens().unwrap().into_iter().find(|t| t.id == id).unwrap();
    assert_eq!((info.manufacturer.as_str(), info.serial.as_str()), ("CanoKey", "00003039"));
    let keys = driver.open(&id).unwrap().keys().unwrap();
    assert_eq!(keys[0].id, key.0);
    assert_eq!(keys[0].certificate.as_ref().unwrap().0, certificate(&key.1, 0xc0));
    assert_eq!((keys[1].id.0.as_str(), keys[1].usage), ("piv-9d", KeyUsage::Encryption));
    let openpgp = wait_for(&mut driver, "OpenPGP", 1).remove(0);
    assert_eq!(openpgp.0, "F1D000003039/OpenPGP");
    let keys = driver.open(&openpgp).unwrap().keys().unwrap();
    assert_eq!(keys[0].certificate.as_ref().unwrap().0, certificate(&key.1, 0xc0));
}

fn every_slot_with_an_sm2_key_signs() {
    let bench = Bench::plain();
    let mut unlocked = bench.token.login(&pin(PIN)).unwrap();
    let others = [unlocked.generate_key(KeyUsage::Signing).unwrap().1, unlocked.generate_key(KeyUsage::Signing).unwrap().1];
    let (mut driver, id, key) = opened(&bench);
    let keys = [key, (KeyId("piv-9a".into()), others[0]), (KeyId("piv-9e".into()), others[1])];
    for key in &keys {
        sign(&mut driver, &id, key, typed(PIN), 2).unwrap();
    }
    // One slot's name with another slot's key.
    let crossed = (keys[0].0.clone(), others[0]);
    assert_eq!(sign(&mut driver, &id, &crossed, typed(PIN), 1), Err(DriverError::KeyChanged { key: "piv-9c".into() }));
}

fn card_without_metadata_is_taken_by_its_certificate() {
    let bench = Bench::new(LoginPolicy::PerSession, Switches { no_metadata: true, ..Switches::default() });
    let (mut driver, id, key) = opened(&bench);
    sign(&mut driver, &id, &key, typed(PIN), 2).unwrap();
}

fn card_without_sm2_is_no_token() {
    let bench = Bench::new(LoginPolicy::PerSession, Switches { piv: false, ..Switches::default() });
    let mut driver = Pcsc::new();
    wait_for(&mut driver, "OpenPGP", 1);
    wait_for(&mut driver, "PIV", 0);
    drop(bench);
    wait_for(&mut driver, "OpenPGP", 0);
    let _none = Bench::new(LoginPolicy::PerSession, Switches { piv: false, openpgp: false, ..Switches::default() });
    thread::sleep(Duration::from_millis(600)); // as long as a card with applets takes to be seen
    assert_eq!(driver.tokens().unwrap(), []);
}

fn switched_off_algorithm_is_told_by_its_status() {
    let bench = Bench::new(LoginPolicy::PerSession, Switches { sm2_off: true, ..Switches::default() });
    let (mut driver, id, key) = opened(&bench);
    assert_eq!(sign(&mut driver, &id, &key, typed(PIN), 1), Err(DriverError::module("GENERAL AUTHENTICATE", 0x6A86)));
}

fn certificate_of_another_key_is_not_shown_as_the_keys() {
    let bench = Bench::plain();
    let keys = bench.token.keys().unwrap();
    bench.token.put_certificate(&keys[0].id, &certificate(&keys[1].public_key, 0xc0)).unwrap();
    let (mut driver, id, _) = opened(&bench);
    let shown = driver.open(&id).unwrap().keys().unwrap();
    assert_eq!((shown[0].public_key, &shown[0].certificate), (keys[0].public_key, &None));
}

fn pin_is_sent_again_only_while_it_was_right() {
    let bench = Bench::new(LoginPolicy::PerSession, Switches { pin_always: true, ..Switches::default() });
    let (mut driver, id, key) = opened(&bench);
    sign(&mut driver, &id, &key, typed(PIN), 3).unwrap();
    let mut session = driver.open(&id).unwrap();
    let mut login = session.login(typed(PIN)).unwrap();
    let message = Sm2Message::new(b"m".to_vec(), DEFAULT_ID, key.1).unwrap();
    login.sign(&key.0, &message).unwrap();
    bench.token.change_pin(&pin(PIN), &pin(b"88888888")).unwrap();
    for _ in 0..3 {
        assert_eq!(login.sign(&key.0, &message), Err(DriverError::PinIncorrect { tries_left: Some(5) }));
    }
    assert_eq!(bench.token.pin_status().unwrap().tries_left, Some(5));
    drop(login);
    drop(session);
    // A card that never believes the login is asked twice, not for ever.
    bench.set(|s| s.pin_always = false);
    bench.fault("87", 0, Act::Return(0x6982));
    let denied = sign(&mut driver, &id, &key, typed(b"88888888"), 1);
    assert_eq!(denied, Err(DriverError::module("GENERAL AUTHENTICATE", 0x6982)));
}

fn answers_cut_in_half_are_refused() {
    let bench = Bench::plain();
    let (mut driver, id, key) = opened(&bench);
    bench.set(|s| s.corrupt = vec![0x87]);
    assert!(matches!(sign(&mut driver, &id, &key, typed(PIN), 1), Err(DriverError::SignatureInvalid { .. })));
    bench.set(|s| s.corrupt = vec![0xF7]);
    assert_eq!(sign(&mut driver, &id, &key, typed(PIN), 1), Err(DriverError::KeyAbsent { key: "piv-9c".into() }));
    bench.set(|s| s.corrupt = vec![0xCB]);
    assert_eq!(driver.open(&id).unwrap().keys().unwrap()[0].certificate, None);
    bench.set(|s| s.corrupt = vec![0xF8]);
    assert_eq!(sign(&mut driver, &id, &key, typed(PIN), 1), Err(DriverError::TokenAbsent), "not the serial number it had");
}

fn answer_without_end_is_refused() {
    let bench = Bench::plain();
    let (mut driver, id, _) = opened(&bench);
    bench.set(|s| s.endless = true);
    assert!(matches!(driver.open(&id).unwrap().keys(), Err(DriverError::Protocol { .. })));
}

fn card_that_fails_is_looked_at_three_times() {
    for (failures, seen) in [(2, true), (3, false)] {
        // The certificate never ends, for as many pieces as one look takes before it gives up.
        let pieces = 1..=300 * failures;
        let faults = pieces.map(|call| CallFault { function: "C0".into(), call, act: Act::Return(0x6100) }).collect();
        let switches = Switches { faults, openpgp: false, ..Switches::default() };
        let bench = Bench::new(LoginPolicy::PerSession, switches);
        let mut driver = Pcsc::new();
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(3) && driver.tokens().unwrap().is_empty() {
            thread::sleep(Duration::from_millis(100));
        }
        assert_eq!(!driver.tokens().unwrap().is_empty(), seen, "{failures}");
        drop(bench);
        wait_for(&mut driver, "PIV", 0);
    }
}

fn status_words_are_passed_on() {
    let bench = Bench::plain();
    let (mut driver, id, key) = opened(&bench);
    for status in [0x6F00, 0x6985, 0x6581] {
        bench.fault("87", 0, Act::Return(status));
        assert_eq!(sign(&mut driver, &id, &key, typed(PIN), 1), Err(DriverError::module("GENERAL AUTHENTICATE", status)));
    }
    // VERIFY: the first asks for the tries, the second carries the PIN.
    for (status, error) in [
        (0x63C2, DriverError::PinIncorrect { tries_left: Some(2) }),
        (0x6983, DriverError::PinBlocked),
        (0x6F00, DriverError::module("VERIFY", 0x6F00)),
    ] {
        bench.fault("20", 2, Act::Return(status));
        assert_eq!(sign(&mut driver, &id, &key, typed(PIN), 1), Err(error));
    }
    bench.fault("20", 1, Act::Return(0x6983));
    assert_eq!(sign(&mut driver, &id, &key, typed(PIN), 1), Err(DriverError::PinBlocked));
    assert_eq!(bench.token.pin_status().unwrap().tries_left, Some(6));
}

fn card_pulled_out_at_each_step_is_absent() {
    for step in ["A4", "F8", "F7", "CB", "20", "87"] {
        let bench = Bench::plain();
        let (mut driver, id, key) = opened(&bench);
        bench.fault(step, 1, Act::Remove);
        assert_eq!(sign(&mut driver, &id, &key, typed(PIN), 1), Err(DriverError::TokenAbsent), "{step}");
        drop(bench);
        wait_for(&mut driver, "PIV", 0);
    }
    let bench = Bench::plain();
    let (mut driver, id, _) = opened(&bench);
    bench.fault("24", 1, Act::Remove);
    assert_eq!(driver.open(&id).unwrap().change_pin(pin(PIN), pin(b"888888")), Err(DriverError::TokenAbsent), "CHANGE PIN");
    assert!(bench.token.login(&pin(PIN)).is_ok(), "the old PIN is still the PIN");
    drop(bench);
    wait_for(&mut driver, "PIV", 0);
}

fn swapped_card_is_not_signed_with() {
    let first = Bench::plain();
    let (mut driver, id, key) = opened(&first);
    let mut session = driver.open(&id).unwrap();
    session.keys().unwrap();
    drop(first);
    wait_for(&mut Pcsc::new(), "PIV", 0);
    let second = Bench::plain();
    second.wait_for("PIV");
    // The open session is the old card's.
    assert_eq!(session.login(typed(PIN)).map(drop), Err(DriverError::TokenAbsent));
    drop(session);
    // The serial number is the same, so the id is; the key is not.
    assert_eq!(sign(&mut driver, &id, &key, typed(PIN), 1), Err(DriverError::KeyChanged { key: "piv-9c".into() }));
    let third = Switches { serial: [9; 4], ..Switches::default() };
    drop(second);
    let _third = Bench::new(LoginPolicy::PerSession, third);
    wait_for(&mut driver, "09090909/PIV", 1);
    assert_eq!(sign(&mut driver, &id, &key, typed(PIN), 1), Err(DriverError::TokenAbsent));
}

fn two_cards_of_one_serial() {
    let first = Bench::plain();
    let (mut driver, id, key) = opened(&first);
    let _second = Bench::in_reader(1, LoginPolicy::PerSession, Switches::default());
    let ids = wait_for(&mut driver, "PIV", 2);
    assert!(ids[0] != ids[1] && !ids.contains(&id), "{ids:?}");
    assert_eq!(sign(&mut driver, &id, &key, typed(PIN), 1), Err(DriverError::TokenAbsent));
    let signed = ids.iter().filter(|id| sign(&mut driver, id, &key, typed(PIN), 1).is_ok()).count();
    assert_eq!(signed, 1, "one of them has the key");
}

fn card_that_another_program_holds_is_busy() {
    let bench = Bench::plain();
    let (mut driver, id, key) = opened(&bench);
    let other = pcsc::Context::establish(pcsc::Scope::User).unwrap();
    let reader = other.list_readers_owned().unwrap().remove(0);
    let card = other.connect(&reader, pcsc::ShareMode::Exclusive, pcsc::Protocols::ANY).unwrap();
    assert_eq!(sign(&mut driver, &id, &key, typed(PIN), 1), Err(DriverError::Busy));
    assert_eq!(Pcsc::new().tokens(), Err(DriverError::Busy));
    card.disconnect(pcsc::Disposition::LeaveCard).map_err(|(_, e)| e).unwrap();
    sign(&mut driver, &id, &key, typed(PIN), 1).unwrap();
}

fn reset_by_another_program_is_survived() {
    let bench = Bench::plain();
    let (mut driver, id, key) = opened(&bench);
    let mut session = driver.open(&id).unwrap();
    session.keys().unwrap();
    let other = pcsc::Context::establish(pcsc::Scope::User).unwrap();
    let reader = other.list_readers_owned().unwrap().remove(0);
    let card = other.connect(&reader, pcsc::ShareMode::Shared, pcsc::Protocols::ANY).unwrap();
    card.disconnect(pcsc::Disposition::ResetCard).map_err(|(_, e)| e).unwrap();
    let mut login = session.login(typed(PIN)).unwrap();
    login.sign(&key.0, &Sm2Message::new(b"m".to_vec(), DEFAULT_ID, key.1).unwrap()).unwrap();
}

fn service_that_stops_is_found_again() {
    let bench = Bench::plain();
    let (mut driver, id, key) = opened(&bench);
    service::stop();
    // Whichever call meets it first gets the service's code, and none says that the card is gone or the PIN wrong.
    let codes = [pcsc::Error::NoService, pcsc::Error::ServiceStopped, pcsc::Error::InvalidHandle].map(|code| code as u32);
    for result in
        [driver.tokens().map(drop), sign(&mut driver, &id, &key, typed(PIN), 1).map(drop), Pcsc::new().tokens().map(drop)]
    {
        assert!(matches!(&result, Err(DriverError::Module { code, .. }) if codes.contains(code)), "{result:?}");
    }
    service::start_again();
    assert_eq!(bench.token.pin_status().unwrap().tries_left, Some(bench::TRIES));
    drop(bench);
    let bench = Bench::plain();
    let (_, id, key) = opened(&bench);
    wait_for(&mut driver, "PIV", 1);
    sign(&mut driver, &id, &key, typed(PIN), 1).unwrap();
}

fn card_is_left_without_login_and_without_reset() {
    let bench = Bench::plain();
    let (mut driver, id, key) = opened(&bench);
    let other = pcsc::Context::establish(pcsc::Scope::User).unwrap();
    let reader = other.list_readers_owned().unwrap().remove(0);
    let card = other.connect(&reader, pcsc::ShareMode::Shared, pcsc::Protocols::ANY).unwrap();
    sign(&mut driver, &id, &key, typed(PIN), 1).unwrap();
    let mut answer = [0; 258];
    // No "card was reset", the applet still selected, and the PIN forgotten.
    assert_eq!(card.transmit(&[0, 0x20, 0, 0x80], &mut answer).unwrap(), [0x63, 0xC6]);
    card.disconnect(pcsc::Disposition::LeaveCard).map_err(|(_, e)| e).unwrap();
}
