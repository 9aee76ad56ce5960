//! An authority whose root, CA and maker keys are on a token: through the real worker, with the virtual token itself, and with it behind our
//! PKCS#11 module and our SKF library. Starts `sealauthority` and `sealagent-worker`, which `cargo build --workspace --bins` makes.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]
#![cfg(unix)]

#[path = "common/command.rs"]
mod command;
#[path = "common/terminal.rs"]
mod terminal;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::channel;
use std::time::Duration;

use command::library;
use jiff::{SignedDuration, Timestamp};
use sealagent::pki::{Certificate, Crl};
use sealagent::ses::Seal;
use sealagent::sm::{self, verify};
use sealauthority::token::{DriverWords, PinQuestion, fingerprint};
use sealauthority::{
    CertificateProfile, CertificationRequest, Counter, InitOptions, IssueError, KeyError, KeyProtection, Name, PrivateKey,
    Publication, Region, RegionError, RegionNames, Role, SerialNumber, TokenError, Tokens, pem,
};
use terminal::Terminal;
use ukey::{Credential, DriverError, KeyUsage, Pin, Sm2PublicKey};
use ukey_virtual::faults::{Fault, Rule, Step, write_script};
use ukey_virtual::{Token, TokenOptions};

const PIN: &str = "73826190";

fn program(name: &str) -> PathBuf {
    let program = Path::new(env!("CARGO_BIN_EXE_sealagent")).with_file_name(name);
    assert!(program.is_file(), "{} is missing: cargo build --workspace --bins", program.display());
    program
}

fn pin(text: &str) -> Pin {
    Pin::new(text.as_bytes().to_vec()).unwrap()
}

/// A token with a key for each of root, CA and maker.
struct Desk {
    temp: tempfile::TempDir,
    token: Token,
    keys: Vec<Sm2PublicKey>,
}

impl Desk {
    fn new() -> Self {
        let temp = tempfile::tempdir().unwrap();
        let token = Token::create(&temp.path().join("tokens"), "机构", &pin(PIN), TokenOptions::default()).unwrap();
        let mut unlocked = token.login(&pin(PIN)).unwrap();
        let keys = (0..3).map(|_| unlocked.generate_key(KeyUsage::Signing).unwrap().1).collect();
        drop(unlocked);
        Self { temp, token, keys }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.temp.path().join(name)
    }

    /// The virtual token by its own driver, which obeys the folder's faults.
    fn driver(&self) -> DriverWords {
        let folder = self.path("tokens").to_str().unwrap().to_owned();
        serde_json::from_value(serde_json::json!(["virtual", folder, "--faults"])).unwrap()
    }

    /// Tokens whose person types this PIN, and how often they were asked.
    fn person(&self, typed: &'static str) -> (Tokens, Arc<AtomicU32>) {
        let asked = Arc::<AtomicU32>::default();
        let count = Arc::clone(&asked);
        let ask = move |_: &PinQuestion| {
            count.fetch_add(1, Ordering::SeqCst);
            Some(Credential::Pin(pin(typed)))
        };
        (Tokens::new(program("sealagent-worker"), ask), asked)
    }

    fn region(&self, tokens: &Tokens) -> Region {
        let find = |key: &Sm2PublicKey| tokens.find(&self.driver(), &fingerprint(key)).unwrap();
        let roles = [Role::Root, Role::Ca, Role::Maker];
        let on_token = roles.into_iter().zip(self.keys.iter().map(find)).collect();
        let options = InitOptions { on_token, tokens: tokens.clone(), ..InitOptions::default() };
        let names = RegionNames { id: "shenzhen".into(), name: "深圳".into(), division: "440300".into() };
        Region::init_with(&self.path("r"), &names, &KeyProtection::PlainForPilot, &options, now()).unwrap()
    }

    /// Opened with tokens whose person types this PIN.
    fn opened(&self, typed: &'static str) -> (Region, Arc<AtomicU32>) {
        let (tokens, asked) = self.person(typed);
        let access = sealauthority::Access { tokens, ..Default::default() };
        (Region::open_with(&self.path("r"), access).unwrap(), asked)
    }

    fn tries_left(&self) -> Option<u32> {
        self.token.pin_status().unwrap().tries_left
    }
}

fn now() -> Timestamp {
    "2026-11-24T06:00:00Z".parse().unwrap()
}

fn issue(region: &mut Region) -> Result<Vec<u8>, RegionError> {
    let key = PrivateKey::generate().unwrap().public_key();
    region.issue(CertificateProfile::CompanySigning, &Name::china().common_name("某公司"), &key, now(), 365)
}

fn token_error(result: Result<Vec<u8>, RegionError>) -> TokenError {
    match result {
        Err(RegionError::Issue(IssueError::Key(KeyError::Token(error)))) => error,
        other => panic!("{other:?}"),
    }
}

#[test]
fn pin_is_asked_once_for_all_keys_of_a_token_in_a_run() {
    let desk = Desk::new();
    let (tokens, asked) = desk.person(PIN);
    let mut region = desk.region(&tokens);
    let certificate = Certificate::parse(&issue(&mut region).unwrap()).unwrap();
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    assert_eq!(region.ca().certificate().key().sm2(), Some(&desk.keys[1]));
    assert!(certificate.verify_issued_by(region.ca().certificate()).is_ok());
    assert!(region.ca().certificate().verify_issued_by(region.root().certificate()).is_ok());
    for role in ["root", "ca", "maker"] {
        assert!(!desk.path("r/keys").join(format!("{role}.key")).exists());
        assert!(desk.path("r/keys").join(format!("{role}.token")).exists());
    }
    let serial = SerialNumber::new(certificate.serial()).unwrap();
    drop(region);
    // Another run asks again, and what needs none of these keys asks nobody.
    let (mut region, asked) = desk.opened(PIN);
    region.publish(&desk.path("out"), &Publication::default(), now() + SignedDuration::from_hours(1)).unwrap();
    assert_eq!(asked.load(Ordering::SeqCst), 0, "revocation lists that are young enough stay");
    assert_eq!(region.store().counter(Counter::Crl).unwrap(), 2, "lists that are not made use up no number");
    region.revoke(&serial, None, now() + SignedDuration::from_hours(2)).unwrap();
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    region.publish(&desk.path("out"), &Publication::default(), now() + SignedDuration::from_hours(24 * 16)).unwrap();
    let list = Crl::parse(&fs::read(desk.path("out/ca.crl")).unwrap()).unwrap();
    assert_eq!((list.len(), list.this_update()), (1, now() + SignedDuration::from_hours(24 * 16)), "half of its time is over");
    assert!(list.verify(region.ca().certificate()).is_ok());
}

#[test]
fn wrong_pin_is_sent_once_and_nothing_is_issued() {
    let desk = Desk::new();
    drop(desk.region(&desk.person(PIN).0));
    let before = desk.tries_left().unwrap();
    let (mut region, asked) = desk.opened("11111111");
    let error = token_error(issue(&mut region));
    assert!(matches!(error, TokenError::Driver(DriverError::PinIncorrect { .. })), "{error:?}");
    assert_eq!((asked.load(Ordering::SeqCst), desk.tries_left()), (1, Some(before - 1)));
    assert!(matches!(region.renew_crls(now()), Err(RegionError::Key(KeyError::Token(TokenError::Driver(_))))));
    assert_eq!(region.store().counter(Counter::Crl).unwrap(), 2, "no list is made, and no number used up");
    drop(region);
    // Nobody there: not a try is spent.
    let mut region = Region::open(&desk.path("r"), None).unwrap();
    let driver_is_there = token_error(issue(&mut region));
    assert!(matches!(driver_is_there, TokenError::NoPin | TokenError::Worker { .. }), "{driver_is_there:?}");
    assert_eq!(desk.tries_left(), Some(before - 2));
}

#[test]
fn another_run_revokes_while_a_person_is_asked_for_a_pin() {
    let desk = Arc::new(Desk::new());
    let mut region = desk.region(&desk.person(PIN).0);
    let serials =
        [(); 2].map(|()| SerialNumber::new(Certificate::parse(&issue(&mut region).unwrap()).unwrap().serial()).unwrap());
    drop(region);
    let listed = |desk: &Desk| {
        let list = Crl::parse(&fs::read(desk.path("r/crls/ca.crl")).unwrap()).unwrap();
        serials.clone().map(|serial| list.find(serial.as_bytes()).is_some())
    };
    let (colleagues, second) = (Arc::clone(&desk), serials[1].clone());
    // Looks for the PIN, while a colleague with another copy of the token revokes the second certificate.
    let ask = move |_: &PinQuestion| {
        let (desk, second, (done, is_done)) = (Arc::clone(&colleagues), second.clone(), channel());
        std::thread::spawn(move || done.send(desk.opened(PIN).0.revoke(&second, None, now())));
        is_done.recv_timeout(Duration::from_secs(60)).expect("nobody waits for a person").unwrap();
        Some(Credential::Pin(pin(PIN)))
    };
    let access = sealauthority::Access { tokens: Tokens::new(program("sealagent-worker"), ask), ..Default::default() };
    let mut region = Region::open_with(&desk.path("r"), access).unwrap();
    region.revoke(&serials[0], None, now()).unwrap();
    assert_eq!(listed(&desk), [true, true], "the newest list is the one that stays");
}

#[test]
fn wrong_signature_is_never_used() {
    for fault in [Fault::BadSignature, Fault::OtherKey] {
        let desk = Desk::new();
        drop(desk.region(&desk.person(PIN).0));
        let (mut region, _) = desk.opened(PIN);
        write_script(&desk.path("tokens"), &[Rule::once(Step::Sign, fault.clone())]).unwrap();
        let error = token_error(issue(&mut region));
        let is_wrong = matches!(error, TokenError::Signature | TokenError::Driver(DriverError::SignatureInvalid { .. }));
        assert!(is_wrong, "{fault:?}: {error:?}");
        assert!(issue(&mut region).is_ok(), "{fault:?}");
    }
}

#[test]
fn worker_that_dies_is_replaced_and_a_pin_that_it_had_at_login_is_not_sent_again() {
    let desk = Desk::new();
    drop(desk.region(&desk.person(PIN).0));
    let (mut region, asked) = desk.opened(PIN);
    write_script(&desk.path("tokens"), &[Rule::once(Step::Login, Fault::Crash)]).unwrap();
    assert!(matches!(token_error(issue(&mut region)), TokenError::Worker { .. }));
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    issue(&mut region).unwrap();
    assert_eq!(asked.load(Ordering::SeqCst), 2, "a person decided to type it again");
    write_script(&desk.path("tokens"), &[Rule::once(Step::Sign, Fault::Crash)]).unwrap();
    assert!(matches!(token_error(issue(&mut region)), TokenError::Worker { .. }));
    issue(&mut region).unwrap();
    assert_eq!(asked.load(Ordering::SeqCst), 2, "the token took it before: it is right");
}

#[test]
fn other_key_under_the_same_name_is_refused_before_a_pin_is_asked_for() {
    let desk = Desk::new();
    drop(desk.region(&desk.person(PIN).0));
    // The folder's file and certificate stay; the token holds another key there.
    let path = desk.path("r/keys/ca.token");
    let mut place: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let maker: serde_json::Value = serde_json::from_slice(&fs::read(desk.path("r/keys/maker.token")).unwrap()).unwrap();
    place["key"] = maker["key"].clone();
    fs::write(&path, place.to_string()).unwrap();
    let (mut region, asked) = desk.opened(PIN);
    assert!(matches!(token_error(issue(&mut region)), TokenError::Driver(DriverError::KeyChanged { .. })));
    desk.token.unplug().unwrap();
    assert!(matches!(token_error(issue(&mut region)), TokenError::Driver(DriverError::TokenAbsent)));
    assert_eq!(asked.load(Ordering::SeqCst), 0);
    place["publicKey"] = maker["publicKey"].clone();
    fs::write(&path, place.to_string()).unwrap();
    assert!(matches!(Region::open(&desk.path("r"), None), Err(RegionError::Identity(_))), "the certificate is another key's");
}

/// `sealauthority` at a terminal: each answer is typed when its question stands on the screen. Gives what was shown.
fn at_a_terminal(desk: &Desk, words: &[&str], answers: &[(&str, &str)]) -> String {
    let switches = desk.path("switches.json");
    fs::write(&switches, serde_json::json!({ "folder": desk.path("tokens") }).to_string()).unwrap();
    let sealauthority = program("sealauthority");
    let words = std::iter::once(sealauthority.to_str().unwrap()).chain(words.iter().copied());
    let mut terminal = Terminal::start(words, |process| {
        process.current_dir(desk.temp.path()).env("UKEY_VIRTUAL_SKF", &switches).env("UKEY_VIRTUAL_PKCS11", &switches);
    });
    answers.iter().for_each(|(question, answer)| terminal.answer(question, answer));
    let (ended_well, shown) = terminal.end();
    assert!(ended_well, "{shown}");
    assert!(!shown.contains(PIN), "{shown}");
    shown
}

fn authority_at_a_terminal(kind: &str) {
    let desk = Desk::new();
    let place = if kind == "virtual" { desk.path("tokens") } else { library(kind) };
    let place = place.to_str().unwrap();
    let listed = at_a_terminal(&desk, &["tokens", kind, place], &[]);
    assert_eq!(listed.lines().filter(|line| line.contains("机构")).count(), 3, "{listed}");
    let driver = format!("{kind},{place}");
    let mut init = vec!["init", "r", "--region", "shenzhen", "--name", "深圳", "--pilot", "--token-driver", &driver];
    let roles: Vec<String> =
        ["root", "ca", "maker"].iter().zip(&desk.keys).map(|(role, key)| format!("{role}={}", &fingerprint(key)[..16])).collect();
    roles.iter().for_each(|role| init.extend(["--on-token", role]));
    let question = [("PIN of token 机构", PIN)];
    let shown = at_a_terminal(&desk, &init, &question);
    assert_eq!(shown.matches("PIN of token").count(), 1, "{shown}");

    let company = PrivateKey::generate().unwrap();
    let request = CertificationRequest::make(&company, &Name::china().common_name("某公司")).unwrap();
    fs::write(desk.path("r.csr"), pem::encode(pem::REQUEST[0], &request)).unwrap();
    at_a_terminal(&desk, &["issue", "r", "r.csr", "-o", "c.cer"], &question);
    at_a_terminal(&desk, &["seal", "r", "--certificate", "c.cer", "--name", "某公司", "-o", "s.esl"], &question);

    let read = |name: &str| {
        let der = pem::decode(&fs::read(desk.path(name)).unwrap(), &[pem::CERTIFICATE]).unwrap();
        Certificate::parse(&der).unwrap()
    };
    let (certificate, ca, root) = (read("c.cer"), read("r/certificates/ca.cer"), read("r/certificates/root.cer"));
    assert!(certificate.verify_issued_by(&ca).is_ok() && ca.verify_issued_by(&root).is_ok());
    let seal = Seal::parse(&fs::read(desk.path("s.esl")).unwrap()).unwrap();
    let (signature, _) = sm::read_signature(seal.signature()).unwrap();
    assert!(verify(&desk.keys[2], &seal.signed_bytes(), &signature));
    for entry in fs::read_dir(desk.path("r/keys")).unwrap() {
        assert!(!fs::read_to_string(entry.unwrap().path()).unwrap().contains(PIN));
    }
}

#[test]
fn authority_on_the_virtual_token_at_a_terminal() {
    authority_at_a_terminal("virtual");
}

#[test]
fn authority_behind_a_pkcs11_module_at_a_terminal() {
    authority_at_a_terminal("pkcs11");
}

#[test]
fn authority_behind_an_skf_library_at_a_terminal() {
    authority_at_a_terminal("skf");
}
