//! Change of PIN (issue 4): the tries are shown before anything is asked, the old PIN is sent once, and the record has no digit of either.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common {
    pub mod rig;
}

use std::sync::{Arc, Mutex};

use common::rig::{PIN, Rig, TRIES};
use sealagent::consent::prompt::Canceller;
use sealagent::failure::Code;
use sealagent::pin::{self, Outcome};
use ukey::Pin;
use ukey_virtual::faults::{Fault, Rule, Step, write_script};

const NEW: &str = "518273640912";
const WRONG: &str = "902715364801";

fn change(rig: &Rig) -> Outcome {
    let (_canceller, cancel) = Canceller::new();
    rig.runtime.block_on(async {
        let list = rig.app.signer.workers.tokens().await;
        pin::change(&rig.app.signer, &list.tokens[0], &cancel).await
    })
}

fn is_pin(rig: &Rig, text: &str) -> bool {
    rig.token.login(&Pin::new(text.as_bytes().to_vec()).unwrap()).is_ok()
}

fn spend(rig: &Rig, left: u32) {
    while rig.tries_left() > left {
        assert!(!is_pin(rig, WRONG));
    }
}

#[test]
fn a_change_is_shown_recorded_and_made_once() {
    let rig = Rig::new();
    rig.person.on_pin_change(|_| Some((PIN, NEW)));
    assert!(matches!(change(&rig), Outcome::Changed));
    assert!(is_pin(&rig, NEW));
    let [shown] = &rig.person.pin_changes()[..] else { panic!() };
    assert_eq!((shown.pin.tries_left, shown.attempt, shown.token.label.as_str()), (Some(TRIES), 1, "公章"));
    assert_eq!(rig.events(), ["accepted", "pinChanged"]);
    let record = rig.record();
    assert_eq!((&record[0]["matter"], &record[1]["matter"]), (&"pinChange".into(), &"pinChange".into()));
    assert_eq!(record[0]["request"], record[1]["request"]);
    let text = format!("{record:?}");
    assert!(!text.contains(PIN) && !text.contains(NEW), "{text}");
    assert!(sealagent::audit::verify(rig.app.signer.audit.dir()).unwrap().problems.is_empty());
}

#[test]
fn a_wrong_old_pin_spends_one_try_and_is_asked_for_anew_with_what_is_left() {
    let rig = Rig::new();
    rig.person.on_pin_change(|shown| Some((if shown.attempt == 1 { WRONG } else { PIN }, NEW)));
    assert!(matches!(change(&rig), Outcome::Changed));
    let tries: Vec<_> = rig.person.pin_changes().iter().map(|shown| (shown.attempt, shown.pin.tries_left)).collect();
    assert_eq!(tries, [(1, Some(TRIES)), (2, Some(TRIES - 1))]);
    assert_eq!(rig.events(), ["accepted", "accepted", "pinChanged"]);
}

#[test]
fn the_last_try_is_shown_as_such_and_a_locked_pin_asks_nobody() {
    let rig = Rig::new();
    spend(&rig, 1);
    let seen: Arc<Mutex<Vec<bool>>> = Arc::default();
    let last = seen.clone();
    rig.person.on_pin_change(move |shown| {
        last.lock().unwrap().push(shown.is_last_try());
        None
    });
    assert!(matches!(change(&rig), Outcome::Declined));
    assert_eq!((seen.lock().unwrap().clone(), rig.tries_left()), (vec![true], 1));
    assert_eq!(rig.events(), ["declined"]);

    rig.person.on_pin_change(|_| Some((WRONG, NEW)));
    let Outcome::Failed(failure) = change(&rig) else { panic!("the second look finds it locked") };
    assert_eq!((failure.code, rig.tries_left()), (Code::PinBlocked, 0));
    let shown = rig.person.pin_changes().len();
    assert!(matches!(change(&rig), Outcome::Failed(failure) if failure.code == Code::PinBlocked));
    assert_eq!(rig.person.pin_changes().len(), shown, "nobody was asked");
}

#[test]
fn pins_that_break_a_rule_reach_no_token() {
    let rig = Rig::new();
    for (old, new) in [(PIN, PIN), (PIN, "12345"), (PIN, ""), ("", NEW)] {
        rig.person.on_pin_change(move |_| Some((old, new)));
        let Outcome::Failed(failure) = change(&rig) else { panic!("{old} {new}") };
        assert_eq!((failure.code, rig.tries_left()), (Code::PinUnacceptable, TRIES));
    }
    // The token's own rule, longer than ours: no try is spent, and it is not tried again.
    rig.person.on_pin_change(|_| Some((PIN, "12345678901234567890123456789012345678901234567890")));
    let Outcome::Failed(failure) = change(&rig) else { panic!() };
    assert_eq!((failure.code, rig.tries_left()), (Code::PinUnacceptable, TRIES));
    assert!(is_pin(&rig, PIN));
    assert!(!rig.events().contains(&"pinChanged".to_owned()));
}

#[test]
fn a_driver_that_dies_with_both_pins_leaves_that_open_and_sends_nothing_again() {
    for (fault, text) in [(Fault::Crash, PIN), (Fault::Garbage, NEW)] {
        let rig = Rig::new();
        rig.person.on_pin_change(|_| Some((PIN, NEW)));
        write_script(&rig.dir.path().join("tokens"), &[Rule::once(Step::ChangePin, fault)]).unwrap();
        let Outcome::Unknown(failure) = change(&rig) else { panic!() };
        assert_eq!((failure.code, rig.person.pin_changes().len()), (Code::DriverCrashed, 1));
        assert_eq!(rig.events(), ["accepted", "failed"]);
        assert!(is_pin(&rig, text));
    }
}

#[test]
fn a_token_that_is_pulled_out_or_busy_keeps_its_pin() {
    for (fault, code) in [(Fault::Remove, Code::TokenRemoved), (Fault::Busy, Code::TokenBusy)] {
        let rig = Rig::new();
        rig.person.on_pin_change(|_| Some((PIN, NEW)));
        write_script(&rig.dir.path().join("tokens"), &[Rule::once(Step::ChangePin, fault)]).unwrap();
        assert!(matches!(change(&rig), Outcome::Failed(failure) if failure.code == code));
        rig.token.plug().unwrap();
        assert!(is_pin(&rig, PIN));
    }
}

#[test]
fn without_a_record_the_token_is_not_asked() {
    let rig = Rig::new();
    rig.person.on_pin_change(|_| Some((PIN, NEW)));
    let dir = rig.app.signer.audit.dir().to_owned();
    let _ = std::fs::remove_dir_all(&dir);
    std::fs::write(&dir, "no folder").unwrap();
    assert!(matches!(change(&rig), Outcome::Failed(failure) if failure.code == Code::AuditUnavailable));
    assert!(is_pin(&rig, PIN));
}
