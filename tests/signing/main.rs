//! The pipeline of ARCHITECTURE §5: order of its steps, and what each failure leaves behind (I1, I3, I7, I9). Numbers are attack items.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod command_line;
#[path = "../common"]
mod common {
    pub mod rig;
    pub mod world;
}

use std::fs;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use common::rig::{NOW, PIN, Rig, TRIES, at, document, draft};
use common::world::with_changed_page;
use sealagent::consent::Requester;
use sealagent::consent::prompt::Canceller;
use sealagent::consent::scripted::Reply;
use sealagent::consent::summary::Summary;
use sealagent::failure::Code;
use sealagent::seals;
use sealagent::ses::Version;
use sealagent::signing::request::run_alone;
use sealagent::signing::{Document, Output, Scratch, Signed, SignedValueKind, SigningItem, SigningRequest, State, Subject};
use sealagent::stamp::{Edge, PageNumber, PageSelection, Stamp};
use sealagent::verify::report::{Indication, Report};
use sealagent::verify::{Context, Verifier};
use ukey_virtual::faults::{Fault, Rule, Step, read_script, write_script};

const WRONG: &str = "902715364801";

type Act = Box<dyn FnOnce() + Send>;

/// An agent whose person gives this PIN after something happened while the question was read.
fn meanwhile(pin: &'static str, act: impl FnOnce(&Rig) -> Act) -> Rig {
    let waiting: Arc<Mutex<Option<Act>>> = Arc::default();
    let now = waiting.clone();
    let reply = move |_: &Summary| {
        if let Some(act) = now.lock().unwrap().take() {
            act();
        }
        Reply::Approve(pin)
    };
    let rig = Rig::with(reply, |_| {});
    *waiting.lock().unwrap() = Some(act(&rig));
    rig
}

fn scratch(rig: &Rig) -> Scratch {
    Scratch::Unlinked(rig.dir.path().join("scratch"))
}

fn taken_in(rig: &Rig, bytes: &[u8]) -> Arc<Document> {
    let path = rig.dir.path().join("input.ofd");
    fs::write(&path, bytes).unwrap();
    Arc::new(Document::of_file(&path, &scratch(rig)).unwrap())
}

fn on_page_one() -> Stamp {
    Stamp::Page { pages: PageSelection::List(vec![PageNumber::new(1).unwrap()]), x: 100.0, y: 200.0, width: None }
}

fn item(rig: &Rig, document: &Arc<Document>, stamp: Stamp) -> SigningItem {
    SigningItem {
        subject: Subject::Document { document: document.clone(), stamp, close: false },
        seal: rig.seal.es_id().to_owned(),
        signed_value: SignedValueKind::Ses,
    }
}

fn sign(rig: &Rig, items: Vec<SigningItem>) -> Signed {
    let (_canceller, cancel) = Canceller::new();
    let request = SigningRequest { requester: Requester::CommandLine, items, timestamp: None, require_valid: false };
    rig.runtime.block_on(run_alone(&rig.app.signer, request, &scratch(rig), cancel)).unwrap()
}

/// One seal on page 1 of a fresh document.
fn sign_one(rig: &Rig) -> Signed {
    let document = taken_in(rig, &document(2));
    sign(rig, vec![item(rig, &document, on_page_one())])
}

fn codes(signed: &Signed) -> Vec<Option<Code>> {
    signed.status.items.iter().map(|i| i.failure.as_ref().map(|f| f.code)).collect()
}

/// The one signed document.
fn bytes_of(signed: &Signed) -> Vec<u8> {
    assert_eq!(signed.status.state, State::Done, "{:?}", signed.status);
    let [Output::Document { draft, .. }] = signed.outputs.as_slice() else { panic!("{:?}", signed.outputs) };
    let mut bytes = Vec::new();
    sealagent::signing::subject::Bytes::new(draft.file.try_clone().unwrap()).unwrap().reader().read_to_end(&mut bytes).unwrap();
    bytes
}

fn report(rig: &Rig, bytes: &[u8]) -> Report {
    Verifier::verify(std::io::Cursor::new(bytes), &Context::new(&rig.app.signer.trust.current(), at(NOW)))
}

fn assert_all_passed(rig: &Rig, bytes: &[u8], signatures: usize) {
    let report = report(rig, bytes);
    assert_eq!(report.signatures.len(), signatures);
    assert_eq!(report.indication, Indication::TotalPassed, "{:#?}", report.signatures);
}

fn nothing_came_out(rig: &Rig, signed: &Signed) {
    assert!(signed.outputs.is_empty(), "{:?}", signed.outputs);
    let left: Vec<_> = fs::read_dir(rig.dir.path().join("scratch")).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}

/// The order of the steps, seen from the person's chair and from the record.
#[test]
fn nothing_is_recorded_or_spent_before_the_person_has_answered() {
    let seen: Arc<Mutex<Vec<usize>>> = Arc::default();
    let lines = seen.clone();
    let rig = meanwhile(PIN, |rig| {
        let dir = rig.app.signer.audit.dir().to_owned();
        Box::new(move || {
            let is_record = |file: &fs::DirEntry| file.path().extension().is_some_and(|x| x == "jsonl");
            lines.lock().unwrap().push(fs::read_dir(dir).unwrap().filter(|file| is_record(file.as_ref().unwrap())).count());
        })
    });
    let signed = sign_one(&rig);
    assert_all_passed(&rig, &bytes_of(&signed), 1);
    assert_eq!(*seen.lock().unwrap(), [0], "the record was empty when the prompt was shown");
    assert_eq!(rig.events(), ["accepted", "signed"]);
    let record = rig.record();
    assert_eq!(record[0]["request"], record[1]["request"]);
    assert_eq!(record[1]["items"][0]["name"], "input.ofd");
    assert!(record[1]["items"][0]["signed"].is_string());
    assert_eq!(record[1]["token"], rig.token.info().unwrap().serial);
}

#[test]
fn the_acceptance_is_on_record_before_the_token_is_asked() {
    let rig = Rig::new();
    write_script(&rig.dir.path().join("tokens"), &[Rule::once(Step::Login, Fault::Crash)]).unwrap();
    let signed = sign_one(&rig);
    assert_eq!((signed.status.state, codes(&signed)), (State::Failed, vec![Some(Code::DriverCrashed)]));
    assert_eq!(rig.events(), ["accepted", "failed"]);
    assert_eq!(rig.person.shown().len(), 1, "the PIN is not sent again");
    nothing_came_out(&rig, &signed);
}

#[test]
fn whoever_does_not_say_yes_signs_nothing_and_spends_nothing() {
    for (reply, state, code, event) in [
        (Reply::Decline, State::Declined, None, "declined"),
        (Reply::TimeOut, State::Expired, None, "expired"),
        (Reply::NoPrompt, State::Failed, Some(Code::PromptUnavailable), "failed"),
        (Reply::Approve(""), State::Failed, Some(Code::PinUnacceptable), "failed"),
    ] {
        let rig = Rig::with(move |_| reply.clone(), |_| {});
        let signed = sign_one(&rig);
        assert_eq!((signed.status.state, codes(&signed)), (state, vec![code]));
        assert_eq!(rig.events(), [event]);
        assert_eq!(rig.tries_left(), TRIES);
        nothing_came_out(&rig, &signed);
    }
}

/// 32: a person who thinks long, and a page that is gone for 30 s meanwhile.
#[test]
fn a32_a_page_that_vanishes_takes_its_prompt_with_it() {
    let rig = Rig::with(|_| Reply::Silence, |_| {});
    let id = rig.upload(&document(1));
    let start = Instant::now();
    rig.ask(&id);
    while rig.events().is_empty() && start.elapsed() < Duration::from_secs(40) {
        std::thread::sleep(Duration::from_millis(200));
    }
    assert!(start.elapsed() >= Duration::from_secs(29), "{:?}", start.elapsed());
    assert_eq!(rig.events(), ["cancelled"]);
    assert_eq!(rig.tries_left(), TRIES);
}

/// I3, 34
#[test]
fn a34_a_wrong_pin_spends_one_try_and_asks_again_with_the_tries_that_are_left() {
    let rig = Rig::with(|summary| Reply::Approve(if summary.attempt < 3 { WRONG } else { PIN }), |_| {});
    let signed = sign_one(&rig);
    assert_all_passed(&rig, &bytes_of(&signed), 1);
    let shown = rig.person.shown();
    let seen: Vec<_> = shown.iter().map(|s| (s.attempt, s.pin.tries_left.unwrap())).collect();
    assert_eq!(seen, [(1, TRIES), (2, TRIES - 1), (3, TRIES - 2)]);
    assert_eq!(rig.events(), ["accepted", "accepted", "accepted", "signed"]);
}

/// 34: five requests at once, and a person who types the wrong PIN once and then has enough.
#[test]
fn a34_one_wrong_pin_among_many_requests_is_one_try() {
    let typed = std::sync::atomic::AtomicBool::new(false);
    let once = move |_: &_| {
        if typed.swap(true, std::sync::atomic::Ordering::SeqCst) { Reply::Decline } else { Reply::Approve(WRONG) }
    };
    let rig = Rig::with(once, |_| {});
    let pages: Vec<_> = (0..5).map(|_| rig.upload(&document(1))).collect();
    let asked: Vec<_> = pages.iter().map(|page| rig.try_ask(page)).filter(|answer| answer.status == 202).collect();
    assert!(asked.len() > 1);
    for answer in &asked {
        let status = rig.wait(answer.json()["signatureId"].as_str().unwrap());
        assert_ne!(status["state"], "done");
    }
    assert_eq!(rig.tries_left(), TRIES - 1);
}

/// 35: a token whose PIN is one of the usual ones is looked at in every way there is. The script notes any login by dying of it.
#[test]
fn a35_no_usual_pin_is_tried_by_itself() {
    for usual in ["12345678", "88888888", "000000", "111111"] {
        let rig = Rig::with(|_| Reply::Decline, |_| {});
        let tokens = rig.dir.path().join("tokens");
        let pin = ukey::Pin::new(usual.as_bytes().to_vec()).unwrap();
        ukey_virtual::Token::create(&tokens, "出厂口令", &pin, ukey_virtual::TokenOptions::default()).unwrap();
        write_script(&tokens, &[Rule::once(Step::Login, Fault::Crash)]).unwrap();
        assert_eq!(rig.get("/v1/tokens").json().as_array().unwrap().len(), 2);
        assert_eq!(rig.get("/v1/seals").status, 200);
        assert_eq!(sign_one(&rig).status.state, State::Declined);
        assert_eq!(read_script(&tokens).unwrap().len(), 1, "{usual}: somebody logged in");
        assert_eq!(rig.tries_left(), TRIES);
    }
}

#[test]
fn a_pin_that_gets_locked_ends_the_request_and_the_next_one_asks_nobody() {
    let rig = Rig::with(|_| Reply::Approve(WRONG), |_| {});
    let signed = sign_one(&rig);
    assert_eq!(codes(&signed), [Some(Code::PinBlocked)]);
    assert_eq!(rig.person.shown().len(), TRIES as usize);
    assert!(rig.person.shown().last().unwrap().pin.last_try || rig.person.shown().last().unwrap().pin.tries_left == Some(1));
    let again = sign_one(&rig);
    assert_eq!(codes(&again), [Some(Code::PinBlocked)]);
    assert_eq!(rig.person.shown().len(), TRIES as usize, "nobody was asked");
    nothing_came_out(&rig, &again);
}

/// I9: the record breaks while the person reads.
#[test]
fn without_a_record_the_token_is_not_asked() {
    let rig = meanwhile(WRONG, |rig| {
        let dir = rig.app.signer.audit.dir().to_owned();
        Box::new(move || {
            fs::remove_dir_all(&dir).unwrap();
            fs::write(&dir, "no folder any more").unwrap();
        })
    });
    let signed = sign_one(&rig);
    assert_eq!((signed.status.state, codes(&signed)), (State::Failed, vec![Some(Code::AuditUnavailable)]));
    assert_eq!(rig.tries_left(), TRIES, "the wrong PIN never reached the token");
    nothing_came_out(&rig, &signed);
}

/// I9: the record breaks while the token signs.
#[test]
fn what_cannot_be_recorded_is_not_given_out() {
    let rig = Rig::new();
    let tokens = rig.dir.path().join("tokens");
    write_script(&tokens, &[Rule::once(Step::Sign, Fault::Slow { milliseconds: 1500 })]).unwrap();
    let dir = rig.app.signer.audit.dir().to_owned();
    let signed = std::thread::scope(|scope| {
        scope.spawn(move || {
            // The rule goes when it is met: the acceptance is written, and the token is at work.
            while !read_script(&tokens).is_ok_and(|rules| rules.is_empty()) {
                std::thread::sleep(Duration::from_millis(10));
            }
            fs::remove_dir_all(&dir).unwrap();
            fs::write(&dir, "no folder any more").unwrap();
        });
        sign_one(&rig)
    });
    assert_eq!((signed.status.state, codes(&signed)), (State::Failed, vec![Some(Code::AuditUnavailable)]));
    nothing_came_out(&rig, &signed);
}

/// I7, 39, 42
#[test]
fn a39_a_signature_that_does_not_verify_is_thrown_away() {
    for fault in [Fault::BadSignature, Fault::DoubleHash, Fault::NoZ, Fault::Ecdsa, Fault::OtherKey] {
        let rig = Rig::new();
        write_script(&rig.dir.path().join("tokens"), &[Rule::once(Step::Sign, fault.clone())]).unwrap();
        let signed = sign_one(&rig);
        assert_eq!(codes(&signed), [Some(Code::TokenSignatureInvalid)], "{fault:?}");
        assert_eq!(rig.events(), ["accepted", "failed"]);
        nothing_came_out(&rig, &signed);
        assert_all_passed(&rig, &bytes_of(&sign_one(&rig)), 1);
    }
}

/// 40
#[test]
fn a40_a_token_that_goes_away_gives_a_typed_error_at_every_step() {
    for (step, fault, code) in [
        (Step::Login, Fault::Remove, Code::TokenRemoved),
        (Step::Sign, Fault::Remove, Code::TokenRemoved),
        (Step::Login, Fault::Busy, Code::TokenBusy),
        (Step::Sign, Fault::Crash, Code::DriverCrashed),
        (Step::Login, Fault::Hang, Code::DriverTimeout),
        (Step::Sign, Fault::Code { function: "SKF_ECCSignData".into(), code: 0x0A00_0001 }, Code::DriverCrashed),
    ] {
        let rig = Rig::new();
        write_script(&rig.dir.path().join("tokens"), &[Rule::once(step, fault.clone())]).unwrap();
        let signed = sign_one(&rig);
        assert_eq!(codes(&signed), [Some(code)], "{step:?} {fault:?}");
        let text = format!("{:?}", signed.status);
        assert!(
            !text.contains("SKF_") && !text.contains(rig.dir.path().to_str().unwrap()),
            "vendor codes and paths stay inside: {text}"
        );
        nothing_came_out(&rig, &signed);
    }
}

#[test]
fn a_token_that_is_pulled_out_while_the_person_reads_is_missed() {
    let rig = Rig::new();
    rig.token.unplug().unwrap();
    let signed = sign_one(&rig);
    assert_eq!(codes(&signed), [Some(Code::SealNotFound)], "the seal was on the token");

    rig.token.plug().unwrap();
    let path = rig.dir.path().join("seal.esl");
    fs::write(&path, rig.seal.raw()).unwrap();
    seals::import(&path, &rig.app.signer.config.places.seals()).unwrap();
    rig.token.unplug().unwrap();
    assert_eq!(codes(&sign_one(&rig)), [Some(Code::TokenAbsent)], "the seal is in the store");
    assert_eq!(rig.person.shown().len(), 0);
}

/// 40: another token under the same label while the person reads.
#[test]
fn a40_another_token_with_the_same_label_never_signs() {
    let rig = meanwhile(PIN, |rig| {
        let (folder, old) = (rig.dir.path().join("tokens"), rig.token.id().clone());
        Box::new(move || {
            ukey_virtual::Token::open(&folder, &old).unwrap().unplug().unwrap();
            let pin = ukey::Pin::new(PIN.as_bytes().to_vec()).unwrap();
            let token = ukey_virtual::Token::create(&folder, "公章", &pin, ukey_virtual::TokenOptions::default()).unwrap();
            token.login(&pin).unwrap().generate_key(ukey::KeyUsage::Signing).unwrap();
        })
    });
    let signed = sign_one(&rig);
    assert_eq!(codes(&signed), [Some(Code::TokenRemoved)]);
    nothing_came_out(&rig, &signed);
}

/// 40: the same serial number and the same name of the key, but another key.
#[test]
fn a40_another_key_under_the_agreed_name_never_signs_and_spends_no_try() {
    let rig = meanwhile(PIN, |rig| {
        let file = rig.dir.path().join(format!("tokens/{}.token.json", rig.token.id()));
        Box::new(move || {
            let elsewhere = tempfile::tempdir().unwrap();
            let pin = ukey::Pin::new(WRONG.as_bytes().to_vec()).unwrap();
            let options = ukey_virtual::TokenOptions { max_tries: TRIES, ..Default::default() };
            let other = ukey_virtual::Token::create(elsewhere.path(), "公章", &pin, options).unwrap();
            other.login(&pin).unwrap().generate_key(ukey::KeyUsage::Signing).unwrap();
            fs::copy(elsewhere.path().join(format!("{}.token.json", other.id())), file).unwrap();
        })
    });
    let signed = sign_one(&rig);
    assert_eq!(codes(&signed), [Some(Code::TokenRemoved)]);
    assert_eq!(rig.tries_left(), TRIES, "the PIN was not used");
    nothing_came_out(&rig, &signed);
}

/// 28
#[test]
fn a28_a_file_that_is_changed_while_the_person_reads_is_signed_as_it_was_shown() {
    let rig = meanwhile(PIN, |rig| {
        let input = rig.dir.path().join("input.ofd");
        Box::new(move || fs::write(input, document(9)).unwrap())
    });
    let original = document(2);
    let taken = taken_in(&rig, &original);
    assert_eq!(taken.sm3, sealagent::sm::sm3(&original));
    let signed = sign(&rig, vec![item(&rig, &taken, on_page_one())]);
    let bytes = bytes_of(&signed);
    assert_all_passed(&rig, &bytes, 1);
    let again = taken_in(&rig, &bytes);
    assert_eq!(again.pages.len(), 2);
}

#[test]
fn several_seals_on_one_document_are_one_prompt_one_login_and_all_valid() {
    let rig = Rig::new();
    let document = taken_in(&rig, &document(5));
    let straddle = Stamp::Straddle { edge: Edge::Right, pages: PageSelection::All, y: 120.0 };
    let items =
        vec![item(&rig, &document, on_page_one()), item(&rig, &document, straddle), item(&rig, &document, Stamp::Nowhere)];
    let signed = sign(&rig, items);
    assert_all_passed(&rig, &bytes_of(&signed), 3);
    let shown = rig.person.shown();
    assert_eq!((shown.len(), shown[0].items.len()), (1, 3));
    assert_eq!(shown[0].items[1].placements.len(), 5);
    let strip = &shown[0].items[1].placements[0];
    assert_eq!((strip.x, strip.width), (202.0, 8.0), "what is shown on the page, not the whole seal");
    assert_eq!(rig.events(), ["accepted", "signed"]);
}

#[test]
fn in_a_batch_a_document_whose_seal_failed_is_not_given_out_and_the_others_are() {
    let rig = Rig::new();
    let (a, b) = (taken_in(&rig, &document(1)), taken_in(&rig, &document(2)));
    let rule = Rule { at: Step::Sign, fault: Fault::Remove, skip: 2, times: 1 };
    write_script(&rig.dir.path().join("tokens"), &[rule]).unwrap();
    let items = vec![item(&rig, &a, on_page_one()), item(&rig, &b, on_page_one()), item(&rig, &b, Stamp::Nowhere)];
    let signed = sign(&rig, items);
    assert_eq!(signed.status.state, State::Failed);
    assert_eq!(codes(&signed), [None, Some(Code::TokenRemoved), Some(Code::TokenRemoved)]);
    let [Output::Document { document, .. }] = signed.outputs.as_slice() else { panic!("{:?}", signed.outputs) };
    assert!(Arc::ptr_eq(document, &a));
    assert_eq!(rig.events(), ["accepted", "failed"]);
    let last = rig.record().pop().unwrap();
    assert_eq!(last["items"][2]["code"], "token_removed");
    assert_eq!((&last["items"][1]["code"], last["items"][1].get("signed")), (&serde_json::json!("token_removed"), None));
}

#[test]
fn a_closed_document_and_a_broken_one_are_refused_before_anyone_is_asked() {
    let rig = Rig::new();
    let fresh = taken_in(&rig, &document(1));
    let mut closing = item(&rig, &fresh, on_page_one());
    let Subject::Document { close, .. } = &mut closing.subject else { unreachable!() };
    *close = true;
    let closed = bytes_of(&sign(&rig, vec![closing.clone()]));
    assert!(rig.person.shown()[0].items[0].closes);
    let again = taken_in(&rig, &closed);
    assert!(again.closed);
    assert_eq!(codes(&sign(&rig, vec![item(&rig, &again, on_page_one())])), [Some(Code::DocumentClosed)]);
    let after = sign(&rig, vec![closing, item(&rig, &fresh, on_page_one())]);
    assert_eq!(codes(&after)[1], Some(Code::DocumentClosed), "an item after the one that closes");

    let good = bytes_of(&sign_one(&rig));
    let broken = with_changed_page(&good);
    assert_eq!(report(&rig, &broken).indication, Indication::TotalFailed);
    let broken = taken_in(&rig, &broken);
    assert_eq!(codes(&sign(&rig, vec![item(&rig, &broken, on_page_one())])), [Some(Code::DocumentSignatureBroken)]);
    assert_eq!(rig.person.shown().len(), 2);
}

#[test]
fn seals_of_every_version_sign_and_pass() {
    for version in [Version::V1, Version::V4, Version::V5] {
        let mut rig = Rig::new();
        let certificate = rig.token.keys().unwrap()[0].certificate.clone().unwrap().0;
        let code = rig.region.next_seal_code().unwrap();
        let seal = rig.region.make_seal(&draft(&code, vec![certificate], 0, 365), version).unwrap();
        let path = rig.dir.path().join("seal.esl");
        fs::write(&path, seal.raw()).unwrap();
        seals::import(&path, &rig.app.signer.config.places.seals()).unwrap();
        let document = taken_in(&rig, &document(1));
        let mut item = item(&rig, &document, on_page_one());
        item.seal = code;
        assert_all_passed(&rig, &bytes_of(&sign(&rig, vec![item])), 1);
    }
}

#[test]
fn a_seal_out_of_its_dates_or_for_another_certificate_is_refused() {
    let mut rig = Rig::new();
    let certificate = rig.token.keys().unwrap()[0].certificate.clone().unwrap().0;
    let store = rig.app.signer.config.places.seals();
    let ask = |rig: &mut Rig, certificate: Vec<u8>, from: i64, to: i64| {
        let code = rig.region.next_seal_code().unwrap();
        let seal = rig.region.make_seal(&draft(&code, vec![certificate], from, to), Version::V4).unwrap();
        let path = rig.dir.path().join("seal.esl");
        fs::write(&path, seal.raw()).unwrap();
        seals::import(&path, &store).unwrap();
        let document = taken_in(rig, &document(1));
        let mut item = item(rig, &document, on_page_one());
        item.seal = code;
        codes(&sign(rig, vec![item]))[0]
    };
    assert_eq!(ask(&mut rig, certificate.clone(), -10, -1), Some(Code::SealExpired));
    assert_eq!(ask(&mut rig, certificate.clone(), 10, 20), Some(Code::SealNotYetValid));
    // The certificate was renewed: same key, another certificate.
    let old = sealagent::pki::Certificate::parse(&certificate).unwrap();
    let subject = sealauthority::Name::from_der(old.subject().raw()).unwrap();
    let profile = sealauthority::CertificateProfile::CompanySigning;
    let renewed = rig.region.issue(profile, &subject, old.key().sm2().unwrap(), at(NOW - 100), 365).unwrap();
    rig.token.put_certificate(&rig.key, &renewed).unwrap();
    assert_eq!(ask(&mut rig, certificate, 0, 365), Some(Code::SealCertificateMismatch));
    assert_eq!(ask(&mut rig, renewed, 0, 365), None);
}

#[test]
fn a_seal_whose_bytes_were_changed_is_not_imported() {
    let rig = Rig::new();
    let path = rig.dir.path().join("seal.esl");
    let store = rig.app.signer.config.places.seals();
    let mut bytes = rig.seal.raw().to_vec();
    let at = bytes.windows(9).position(|w| w == "深圳市".as_bytes()).unwrap();
    bytes[at + 2] ^= 1;
    fs::write(&path, &bytes).unwrap();
    assert!(seals::import(&path, &store).is_err());
    assert!(seals::stored(&store).unwrap().is_empty());
    fs::write(&path, "not a seal").unwrap();
    assert!(seals::import(&path, &store).is_err());
    fs::write(&path, rig.seal.raw()).unwrap();
    seals::import(&path, &store).unwrap();
    assert_eq!(seals::remove(rig.seal.es_id(), &store).unwrap(), 1);
    assert!(seals::stored(&store).unwrap().is_empty());
}

/// GB/T 35275 in the document instead of a seal signature.
#[test]
fn signed_data_of_gbt35275_is_made_and_judged() {
    let rig = Rig::new();
    let document = taken_in(&rig, &document(1));
    let mut wish = item(&rig, &document, Stamp::Nowhere);
    wish.signed_value = SignedValueKind::Gbt35275;
    let signed = bytes_of(&sign(&rig, vec![wish.clone()]));
    assert_all_passed(&rig, &signed, 1);
    let Subject::Document { stamp, .. } = &mut wish.subject else { unreachable!() };
    *stamp = on_page_one();
    assert_eq!(codes(&sign(&rig, vec![wish])), [Some(Code::BadRequest)]);
}
