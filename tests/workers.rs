//! The fault matrix of the workers: each fault × each request gives a typed error, spends at most one try of a PIN that was given
//! once, leaves the other driver alone, and is over with the next request.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "common/consent.rs"]
mod consent;
#[path = "common/worker.rs"]
mod worker;

use std::{
    io,
    path::PathBuf,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use consent::consented;
use sealagent::workers::{
    Client, DriverConfig, DriverKind, DriverState, SigningKey, Timing, TokenEvent, TokenHandle, WorkerError, Workers,
};
use tempfile::TempDir;
use ukey::{Credential, DriverError, KeyId, KeyUsage, Pin, PinStatus, Sm2PublicKey, Sm2Signature, check::SignatureKind};
use ukey_virtual::{
    Token, TokenOptions,
    faults::{self, Fault, Rule, Step},
};

const PIN: &str = "13572468";
const NEW_PIN: &str = "86427531";
const WRONG_PIN: &str = "00000000";
const TRIES: u32 = 5;

fn pin(text: &str) -> Pin {
    Pin::new(text.as_bytes().to_vec()).unwrap()
}

/// Deadlines that a hang reaches soon and that a busy machine does not.
fn timing() -> Timing {
    let deadline = Duration::from_secs(2);
    Timing {
        hello: deadline,
        list: deadline,
        inspect: deadline,
        login: deadline,
        login_on_device: deadline,
        sign: deadline,
        between_messages: deadline,
        pauses: vec![Duration::from_millis(200)],
        failure_limit: 100,
        ..Timing::default()
    }
}

/// A folder with one token that has one key.
struct Key {
    folder: TempDir,
    token: Token,
    id: KeyId,
    public_key: Sm2PublicKey,
}

impl Key {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let token =
            Token::create(folder.path(), "公章", &pin(PIN), TokenOptions { max_tries: TRIES, ..Default::default() }).unwrap();
        let (id, public_key) = token.login(&pin(PIN)).unwrap().generate_key(KeyUsage::Signing).unwrap();
        Self { folder, token, id, public_key }
    }

    fn config(&self, name: &str) -> DriverConfig {
        let folder = self.folder.path().to_owned();
        DriverConfig { name: name.into(), program: worker::program(), kind: DriverKind::Virtual { folder, faults: true } }
    }

    fn handle(&self, driver: &str) -> TokenHandle {
        TokenHandle::new(driver, self.token.id())
    }

    fn signing_key(&self, driver: &str) -> SigningKey {
        SigningKey { token: self.handle(driver), key: self.id.clone(), public_key: self.public_key }
    }

    fn script(&self, rules: &[Rule]) {
        faults::write_script(self.folder.path(), rules).unwrap();
    }

    fn tries_left(&self) -> u32 {
        self.token.pin_status().unwrap().tries_left.unwrap()
    }
}

/// What the agent asks.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Asked {
    Hello,
    Tokens,
    Inspect,
    Login,
    Sign,
    ChangePin,
}

impl Asked {
    async fn ask(self, client: &Client, key: &Key, pin_text: &'static str) -> Result<(), WorkerError> {
        match self {
            Self::Hello | Self::Inspect => client.inspect(&key.handle("faulty")).await.map(drop),
            Self::Tokens => {
                let mut list = client.tokens().await;
                let Some((_, error)) = list.failures.pop() else { return Ok(()) };
                Err(error)
            }
            Self::Login => client.login(&key.signing_key("faulty"), Credential::Pin(pin(pin_text))).await.map(drop),
            Self::Sign => sign(client, &key.signing_key("faulty"), pin_text).await.map(drop),
            Self::ChangePin => client.change_pin(&key.handle("faulty"), pin(pin_text), pin(NEW_PIN)).await,
        }
    }

    fn gives_pin(self) -> bool {
        matches!(self, Self::Login | Self::Sign | Self::ChangePin)
    }
}

async fn sign(client: &Client, key: &SigningKey, pin_text: &'static str) -> Result<Sm2Signature, WorkerError> {
    let (mut messages, credential) = consented(key.public_key, 1, pin_text).await;
    client.login(key, credential).await?.sign(messages.remove(0)).await
}

/// Every request, by the steps a driver takes for it.
const STEPS: &[(Asked, Step)] = &[
    (Asked::Hello, Step::Hello),
    (Asked::Tokens, Step::Tokens),
    (Asked::Inspect, Step::Open),
    (Asked::Inspect, Step::Keys),
    (Asked::Inspect, Step::Seals),
    (Asked::Inspect, Step::PinStatus),
    (Asked::Login, Step::Open),
    (Asked::Login, Step::Keys),
    (Asked::Login, Step::Login),
    (Asked::Login, Step::LoggedIn),
    (Asked::Sign, Step::Sign),
    (Asked::ChangePin, Step::Open),
    (Asked::ChangePin, Step::ChangePin),
];

/// One row: the request meets the fault at the step. Gives the error after checking all that must hold for every row.
async fn meet(asked: Asked, step: Step, fault: Fault) -> Result<(), WorkerError> {
    let row = format!("{asked:?} at {step:?} with {fault:?}");
    let (faulty, healthy) = (Key::new(), Key::new());
    // The worker that starts meets the fault first, and the request, which starts the next one, meets it again.
    let times = if fault == Fault::Remove { 1 } else { 2 };
    let hello = Rule { at: Step::Hello, fault: fault.clone(), skip: 0, times };
    if asked == Asked::Hello {
        faulty.script(&[hello]);
    }
    let workers = Workers::start(vec![faulty.config("faulty"), healthy.config("healthy")], timing());
    let client = workers.client();
    if asked != Asked::Hello {
        assert_eq!(client.tokens().await.tokens.len(), 2, "{row}");
        faulty.script(&[Rule::once(step, fault.clone())]);
    }
    let others = async {
        client.inspect(&healthy.handle("healthy")).await.expect("the other driver works meanwhile");
    };
    let (result, ()) = tokio::join!(asked.ask(&client, &faulty, PIN), others);
    assert!(faults::read_script(faulty.folder.path()).unwrap().is_empty(), "{row}: the fault was not met");

    faulty.token.plug().unwrap();
    let spent = TRIES - faulty.tries_left();
    assert!(spent <= u32::from(asked.gives_pin()), "{row}: {spent} tries spent");

    // A corrupted answer to a change that was made: the token has the new PIN, and the agent could not know.
    let made = result.is_ok() || matches!(fault, Fault::Garbage | Fault::Oversize);
    let new_pin = asked == Asked::ChangePin && made;
    let again = sign(&client, &faulty.signing_key("faulty"), if new_pin { NEW_PIN } else { PIN }).await;
    again.unwrap_or_else(|error| panic!("{row}: the next request fails: {error}"));
    assert_eq!(client.tokens().await.tokens.len(), 2, "{row}");
    workers.shut_down().await;
    result
}

/// Runs all rows of a fault at once and gives each request's error to `expect`.
async fn each_request(fault: Fault, expect: fn(Asked, Step, Result<(), WorkerError>) -> bool) {
    let rows: Vec<_> = STEPS.iter().map(|&(asked, step)| (asked, step, tokio::spawn(meet(asked, step, fault.clone())))).collect();
    for (asked, step, row) in rows {
        let result = row.await.unwrap();
        let shown = format!("{result:?}");
        assert!(expect(asked, step, result), "{asked:?} at {step:?}: {shown}");
    }
}

/// Whether the worker had the PIN when it failed: then the error says so and how the PIN stands.
fn failed_as(asked: Asked, result: Result<(), WorkerError>, is_cause: fn(&WorkerError) -> bool) -> bool {
    match (asked, result) {
        // No try is lost at these steps: the token has not seen the PIN, or has found it right.
        (Asked::Login | Asked::ChangePin, Err(WorkerError::DiedWithPin { cause, pin: Some(pin) })) => {
            is_cause(&cause) && pin.tries_left == Some(TRIES)
        }
        (Asked::Login | Asked::ChangePin, _) => false,
        (_, Err(error)) => is_cause(&error),
        (_, Ok(())) => false,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn removal_is_told_as_an_absent_token() {
    each_request(Fault::Remove, |asked, step, result| match (asked, result) {
        (Asked::Tokens, result) => result.is_ok(), // an empty list
        // Removed before its worker was ready, it was never in a list.
        (Asked::Hello, Err(WorkerError::TokenAbsent)) => true,
        // The token took the PIN before it was pulled out; the next call would notice.
        (Asked::Login, Ok(())) => step == Step::LoggedIn,
        (_, Err(WorkerError::Driver(DriverError::TokenAbsent))) => true,
        _ => false,
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hang_ends_at_the_deadline() {
    each_request(Fault::Hang, |asked, _, result| failed_as(asked, result, |e| matches!(e, WorkerError::Deadline { .. }))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn crash_costs_the_request_that_met_it() {
    each_request(Fault::Crash, |asked, _, result| failed_as(asked, result, |e| matches!(e, WorkerError::Crashed { .. }))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_in_place_of_a_frame_counts_as_a_crash() {
    each_request(Fault::Garbage, |asked, _, result| failed_as(asked, result, |e| matches!(e, WorkerError::Crashed { .. }))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn frame_over_the_limit_counts_as_a_crash() {
    each_request(Fault::Oversize, |asked, _, result| failed_as(asked, result, |e| matches!(e, WorkerError::Crashed { .. })))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_pin_is_sent_once() {
    for asked in [Asked::Login, Asked::Sign, Asked::ChangePin] {
        let key = Key::new();
        let workers = Workers::start(vec![key.config("faulty")], timing());
        let error = asked.ask(&workers.client(), &key, WRONG_PIN).await.unwrap_err();
        let named = matches!(error, WorkerError::Driver(DriverError::PinIncorrect { tries_left: Some(4) }));
        assert!(named, "{asked:?}: {error:?}");
        assert_eq!(key.tries_left(), TRIES - 1, "{asked:?}");
        sign(&workers.client(), &key.signing_key("faulty"), PIN).await.unwrap();
        assert_eq!(key.tries_left(), TRIES, "{asked:?}");
    }
}

/// The counter goes down before the token looks at the PIN. A worker that dies there costs the try and no second one.
#[tokio::test(flavor = "multi_thread")]
async fn wrong_pin_and_a_crash_after_it_spend_one_try() {
    for fault in [Fault::Crash, Fault::Hang, Fault::Garbage] {
        let key = Key::new();
        let workers = Workers::start(vec![key.config("faulty")], timing());
        let client = workers.client();
        client.tokens().await;
        // The answer to the wrong PIN is lost: garbage is set when the key is read, and the others end the worker there.
        key.script(&[Rule::once(Step::Keys, fault.clone())]);
        let error = Asked::Login.ask(&client, &key, WRONG_PIN).await.unwrap_err();
        let WorkerError::DiedWithPin { pin: Some(PinStatus { tries_left: Some(left), .. }), .. } = error else {
            panic!("{error:?}")
        };
        assert_eq!(left, key.tries_left(), "what is told is what is so");
        assert_eq!(left, if fault == Fault::Garbage { TRIES - 1 } else { TRIES }, "{fault:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn blocked_pin_is_named_by_each_request_that_needs_it() {
    let key = Key::new();
    for _ in 0..TRIES {
        key.token.login(&pin(WRONG_PIN)).unwrap_err();
    }
    let workers = Workers::start(vec![key.config("faulty")], timing());
    let client = workers.client();
    assert_eq!(client.tokens().await.tokens.len(), 1);
    assert!(client.inspect(&key.handle("faulty")).await.unwrap().pin.blocked);
    for asked in [Asked::Login, Asked::Sign, Asked::ChangePin] {
        let error = asked.ask(&client, &key, PIN).await.unwrap_err();
        assert!(matches!(error, WorkerError::Driver(DriverError::PinBlocked)), "{asked:?}: {error:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn busy_token_and_foreign_codes_are_passed_on() {
    let key = Key::new();
    let workers = Workers::start(vec![key.config("faulty")], timing());
    let client = workers.client();
    client.tokens().await;
    key.script(&[Rule::once(Step::Open, Fault::Busy)]);
    let error = client.inspect(&key.handle("faulty")).await.unwrap_err();
    assert!(matches!(error, WorkerError::Driver(DriverError::Busy)), "{error:?}");
    key.script(&[Rule::once(Step::Sign, Fault::Code { function: "SKF_ECCSignData".into(), code: 0x0A00_0001 })]);
    let error = sign(&client, &key.signing_key("faulty"), PIN).await.unwrap_err();
    let WorkerError::Driver(error) = error else { panic!("{error:?}") };
    assert_eq!(error, DriverError::module("SKF_ECCSignData", 0x0A00_0001));
}

#[tokio::test(flavor = "multi_thread")]
async fn signature_that_does_not_verify_is_named_and_not_passed_on() {
    let key = Key::new();
    let workers = Workers::start(vec![key.config("faulty")], timing());
    for (fault, expected) in [
        (Fault::BadSignature, SignatureKind::Unrelated),
        (Fault::DoubleHash, SignatureKind::DoubleHashed),
        (Fault::Ecdsa, SignatureKind::Ecdsa),
        (Fault::NoZ, SignatureKind::WithoutZ),
        (Fault::OtherKey, SignatureKind::Unrelated),
    ] {
        key.script(&[Rule::once(Step::Sign, fault)]);
        let error = sign(&workers.client(), &key.signing_key("faulty"), PIN).await.unwrap_err();
        let WorkerError::SignatureInvalid(found) = error else { panic!("{expected:?}: {error:?}") };
        assert_eq!(found, expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn token_with_another_key_under_the_same_name_never_signs() {
    let (key, other) = (Key::new(), Key::new());
    let workers = Workers::start(vec![key.config("faulty")], timing());
    let agreed = SigningKey { public_key: other.public_key, ..key.signing_key("faulty") };
    let error = workers.client().login(&agreed, Credential::Pin(pin(WRONG_PIN))).await.unwrap_err();
    assert!(matches!(error, WorkerError::Driver(DriverError::KeyChanged { .. })), "{error:?}");
    assert_eq!(key.tries_left(), TRIES, "the PIN was not used");
}

#[tokio::test(flavor = "multi_thread")]
async fn three_failures_set_a_driver_aside_until_it_is_taken_up_again() {
    let (faulty, healthy) = (Key::new(), Key::new());
    let timing = Timing { failure_limit: 3, pauses: vec![Duration::from_millis(1)], ..timing() };
    let workers = Workers::start(vec![faulty.config("faulty"), healthy.config("healthy")], timing);
    let client = workers.client();
    client.tokens().await;
    for _ in 0..3 {
        faulty.script(&[Rule::once(Step::Open, Fault::Crash)]);
        let error = client.inspect(&faulty.handle("faulty")).await.unwrap_err();
        assert!(matches!(error, WorkerError::Crashed { .. }), "{error:?}");
    }
    let error = client.inspect(&faulty.handle("faulty")).await.unwrap_err();
    assert!(matches!(error, WorkerError::SetAside { .. }), "{error:?}");
    assert!(matches!(client.status()[0].state, DriverState::SetAside { .. }));
    assert!(matches!(client.status()[1].state, DriverState::Running));
    client.inspect(&healthy.handle("healthy")).await.unwrap();
    assert!(client.retry("faulty").await);
    client.inspect(&faulty.handle("faulty")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn worker_that_is_not_there_is_told_and_the_other_driver_works() {
    let healthy = Key::new();
    let missing = DriverConfig { program: PathBuf::from("/nonexistent/sealagent-worker"), ..healthy.config("missing") };
    let workers = Workers::start(vec![missing, healthy.config("healthy")], timing());
    let list = workers.client().tokens().await;
    assert_eq!(list.tokens.len(), 1);
    assert!(matches!(list.failures.as_slice(), [(name, WorkerError::NotStarted { .. })] if name == "missing"), "{list:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_messages_are_signed_in_one_login() {
    let key = Key::new();
    let workers = Workers::start(vec![key.config("faulty")], timing());
    let (messages, credential) = consented(key.public_key, 20, PIN).await;
    let mut login = workers.client().login(&key.signing_key("faulty"), credential).await.unwrap();
    for message in messages {
        login.sign(message).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn login_with_nothing_to_sign_ends_by_itself() {
    let key = Key::new();
    let timing = Timing { between_messages: Duration::from_millis(50), ..timing() };
    let workers = Workers::start(vec![key.config("faulty")], timing);
    let (mut messages, credential) = consented(key.public_key, 1, PIN).await;
    let mut login = workers.client().login(&key.signing_key("faulty"), credential).await.unwrap();
    workers.client().inspect(&key.handle("faulty")).await.expect("the token is free again");
    let error = login.sign(messages.remove(0)).await.unwrap_err();
    assert!(matches!(error, WorkerError::LoginExpired), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_listed_while_one_is_signing() {
    let key = Key::new();
    let workers = Workers::start(vec![key.config("faulty")], timing());
    let login = workers.client().login(&key.signing_key("faulty"), Credential::Pin(pin(PIN))).await.unwrap();
    let asked = Instant::now();
    assert_eq!(workers.client().tokens().await.tokens.len(), 1);
    assert!(asked.elapsed() < timing().between_messages, "the list waited for the login to end");
    drop(login);
}

#[tokio::test(flavor = "multi_thread")]
async fn insertion_and_removal_are_told() {
    let key = Key::new();
    key.token.unplug().unwrap();
    let workers = Workers::start(vec![key.config("faulty")], timing());
    let client = workers.client();
    assert!(client.tokens().await.tokens.is_empty());
    let mut events = client.events();
    key.token.plug().unwrap();
    let TokenEvent::Added(token) = events.recv().await.unwrap() else { panic!() };
    assert_eq!(token.handle, key.handle("faulty"));
    key.token.unplug().unwrap();
    assert_eq!(events.recv().await.unwrap(), TokenEvent::Removed(key.handle("faulty")));
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A vendor's library may print the PIN. On one thread, so that the test's own subscriber hears every task.
#[tokio::test]
async fn what_a_worker_prints_is_logged_until_it_has_had_a_pin() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).with_ansi(false).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let text = || String::from_utf8(log.0.lock().unwrap().clone()).unwrap();

    let key = Key::new();
    let workers = Workers::start(vec![key.config("faulty")], timing());
    let client = workers.client();
    client.tokens().await;
    key.script(&[Rule::once(Step::Open, Fault::Noise)]);
    client.inspect(&key.handle("faulty")).await.unwrap();
    let patience = Instant::now() + Duration::from_secs(5);
    while text().matches("noise on standard").count() < 2 && Instant::now() < patience {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(text().matches("noise on standard").count(), 2, "{}", text());
    key.script(&[Step::LoggedIn, Step::Sign].map(|at| Rule::once(at, Fault::Noise)));
    sign(&client, &key.signing_key("faulty"), PIN).await.unwrap();
    // The worker ends, so all it printed has been read when the shutdown is done.
    workers.shut_down().await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(text().matches("noise on standard").count(), 2, "{}", text());
    assert!(!text().contains(PIN));
}
