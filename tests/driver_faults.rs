//! The fault matrix of each library: at the call that each request needs, the library crashes, hangs, loses the token or answers a
//! foreign code; the real worker hosts it, and the agent's client is what sees it. Each row gives a typed error, spends no try of a PIN
//! that was right, leaves the other driver alone, and is over with the next worker. (PC/SC: `drivers/pcsc/tests`, `drivers/worker/tests`;
//! virtual: `tests/workers.rs`.)

#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "common/consent.rs"]
mod consent;
#[path = "common/worker.rs"]
mod worker;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::Duration;

use consent::consented;
use sealagent::workers::library::Library;
use sealagent::workers::{Client, DriverConfig, DriverKind, SigningKey, Timing, TokenHandle, WorkerError, Workers};
use serde_json::json;
use tempfile::TempDir;
use ukey::{Credential, DriverError, KeyUsage, Pin, Sm2PublicKey};
use ukey_virtual::calls::{Act, CallFault};
use ukey_virtual::{Token, TokenOptions};

const PIN: &str = "13572468";
const NEW_PIN: &str = "86427531";
const WRONG_PIN: &str = "00000000";
const TRIES: u32 = 5;

fn pin(text: &str) -> Pin {
    Pin::new(text.as_bytes().to_vec()).unwrap()
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    Pkcs11,
    Skf,
}

const KINDS: [Kind; 2] = [Kind::Skf, Kind::Pkcs11];

/// What the agent asks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Asked {
    Tokens,
    Inspect,
    Login,
    Sign,
    ChangePin,
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Self::Pkcs11 => "pkcs11",
            Self::Skf => "skf",
        }
    }

    fn library(self) -> PathBuf {
        let folder = std::env::current_exe().unwrap().parent().unwrap().to_owned();
        folder.join(format!("{}ukey_virtual_{}{}", std::env::consts::DLL_PREFIX, self.word(), std::env::consts::DLL_SUFFIX))
    }

    /// Every request, by the calls that the driver makes for it.
    fn steps(self) -> &'static [(Asked, &'static str)] {
        use Asked::*;
        match self {
            Self::Skf => &[
                (Tokens, "SKF_EnumDev"),
                (Tokens, "SKF_ConnectDev"),
                (Inspect, "SKF_OpenApplication"),
                (Inspect, "SKF_EnumContainer"),
                (Inspect, "SKF_ExportPublicKey"),
                (Login, "SKF_LockDev"),
                (Login, "SKF_VerifyPIN"),
                (Sign, "SKF_ECCSignData"),
                (ChangePin, "SKF_ChangePIN"),
            ],
            Self::Pkcs11 => &[
                (Tokens, "C_GetSlotList"),
                (Tokens, "C_GetTokenInfo"),
                (Inspect, "C_OpenSession"),
                (Inspect, "C_FindObjectsInit"),
                (Inspect, "C_GetAttributeValue"),
                (Login, "C_Login"),
                (Sign, "C_SignInit"),
                (Sign, "C_Sign"),
                (ChangePin, "C_SetPIN"),
            ],
        }
    }
}

/// Deadlines that a hang reaches, and that a busy machine does not.
fn timing(deadline: u64) -> Timing {
    let deadline = Duration::from_secs(deadline);
    Timing {
        hello: Duration::from_secs(20),
        list: deadline,
        inspect: deadline,
        login: deadline,
        sign: deadline,
        between_messages: Duration::from_secs(20),
        pauses: vec![Duration::from_millis(20)],
        failure_limit: 100,
        ..Timing::default()
    }
}

/// One token behind one library.
struct Bench {
    kind: Kind,
    folder: TempDir,
    token: Token,
    public_key: Sm2PublicKey,
}

impl Bench {
    fn new(kind: Kind) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let tokens = folder.path().join("tokens");
        let options = TokenOptions { max_tries: TRIES, ..TokenOptions::default() };
        let token = Token::create(&tokens, "公章", &pin(PIN), options).unwrap();
        let (_, public_key) = token.login(&pin(PIN)).unwrap().generate_key(KeyUsage::Signing).unwrap();
        // Each row has its own switches: the worker is started by a script that names them.
        let script = folder.path().join("worker");
        let variable = format!("UKEY_VIRTUAL_{}", kind.word().to_uppercase());
        let switches = folder.path().join("switches.json");
        let text = format!("#!/bin/sh\n{variable}='{}' exec '{}' \"$@\"\n", switches.display(), worker::program().display());
        fs::write(&script, text).unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
        let bench = Self { kind, folder, token, public_key };
        bench.script(&[]);
        bench
    }

    fn script(&self, faults: &[CallFault]) {
        let switches = json!({ "folder": self.folder.path().join("tokens"), "faults": faults });
        fs::write(self.folder.path().join("switches.json"), switches.to_string()).unwrap();
    }

    fn config(&self) -> DriverConfig {
        let library = Library { path: self.kind.library(), sha256: None };
        let profile = "generic".to_owned();
        let kind = match self.kind {
            Kind::Pkcs11 => DriverKind::Pkcs11 { library, profile },
            Kind::Skf => DriverKind::Skf { library, profile },
        };
        DriverConfig { name: "faulty".into(), program: self.folder.path().join("worker"), kind }
    }

    /// The library beside a driver that works.
    fn workers(&self, other: &Other, deadline: u64) -> Workers {
        let folder = other.folder.path().to_owned();
        let kind = DriverKind::Virtual { folder, faults: false };
        let healthy = DriverConfig { name: "healthy".into(), program: worker::program(), kind };
        Workers::start(vec![self.config(), healthy], timing(deadline))
    }

    /// The only token, and its key as the person saw it.
    async fn agreed(&self, client: &Client) -> Result<SigningKey, WorkerError> {
        let list = client.tokens().await;
        if let Some((_, error)) = list.failures.into_iter().next() {
            return Err(error);
        }
        let token = list.tokens.into_iter().find(|token| token.driver == "faulty").ok_or(WorkerError::TokenAbsent)?.handle;
        let keys = client.inspect(&token).await?.keys;
        let key = keys.into_iter().find(|key| key.public_key == self.public_key);
        let key = key.ok_or_else(|| DriverError::KeyAbsent { key: "the only one".into() })?;
        Ok(SigningKey { token, key: key.id, public_key: key.public_key })
    }

    fn tries_left(&self) -> u32 {
        self.token.pin_status().unwrap().tries_left.unwrap()
    }
}

/// A driver that must go on working.
struct Other {
    folder: TempDir,
    handle: TokenHandle,
}

impl Other {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let token = Token::create(folder.path(), "other", &pin(PIN), TokenOptions::default()).unwrap();
        Self { handle: TokenHandle::new("healthy", token.id()), folder }
    }
}

async fn sign(client: &Client, key: &SigningKey, text: &'static str) -> Result<(), WorkerError> {
    let (mut messages, credential) = consented(key.public_key, 1, text).await;
    client.login(key, credential).await?.sign(messages.remove(0)).await.map(drop)
}

/// The request, up to the first error.
async fn ask(asked: Asked, bench: &Bench, client: &Client) -> Result<(), WorkerError> {
    let key = bench.agreed(client).await?;
    match asked {
        Asked::Tokens | Asked::Inspect => Ok(()),
        Asked::Login => client.login(&key, Credential::Pin(pin(PIN))).await.map(drop),
        Asked::Sign => sign(client, &key, PIN).await,
        Asked::ChangePin => client.change_pin(&key.token, pin(PIN), pin(NEW_PIN)).await,
    }
}

/// One row: gives its result after checking what must hold for every row.
async fn meet(kind: Kind, asked: Asked, function: &'static str, act: Act) -> Result<(), WorkerError> {
    let row = format!("{kind:?}: {asked:?} at {function} with {act:?}");
    let (bench, other) = (Bench::new(kind), Other::new());
    // A library that dies or hangs does so in each worker; the token is pulled out once.
    let call = u32::from(act == Act::Remove);
    bench.script(&[CallFault { function: function.into(), call, act }]);
    let workers = bench.workers(&other, if act == Act::Hang { 2 } else { 20 });
    let client = workers.client();
    let (result, inspected) = tokio::join!(ask(asked, &bench, &client), client.inspect(&other.handle));
    inspected.unwrap_or_else(|error| panic!("{row}: the other driver: {error}"));
    workers.shut_down().await;

    bench.token.plug().unwrap();
    assert_eq!(bench.tries_left(), TRIES, "{row}: a right PIN costs no try");
    bench.script(&[]);
    let workers = bench.workers(&other, 20);
    let client = workers.client();
    let key = bench.agreed(&client).await.unwrap_or_else(|error| panic!("{row}: afterwards: {error}"));
    let new = asked == Asked::ChangePin && result.is_ok();
    sign(&client, &key, if new { NEW_PIN } else { PIN }).await.unwrap_or_else(|error| panic!("{row}: afterwards: {error}"));
    workers.shut_down().await;
    result
}

/// All rows of a fault, some at a time.
async fn each_step(act: Act, expect: fn(Asked, &Result<(), WorkerError>) -> bool) {
    for kind in KINDS {
        for rows in kind.steps().chunks(3) {
            let rows: Vec<_> =
                rows.iter().map(|&(asked, step)| (asked, step, tokio::spawn(meet(kind, asked, step, act)))).collect();
            for (asked, step, row) in rows {
                let result = row.await.unwrap();
                assert!(expect(asked, &result), "{kind:?}: {asked:?} at {step} with {act:?}: {result:?}");
            }
        }
    }
}

/// The cause of an error: where the worker had the PIN, the error says so.
fn cause(asked: Asked, result: &Result<(), WorkerError>) -> Option<&WorkerError> {
    match (asked, result) {
        (Asked::Login | Asked::ChangePin, Err(WorkerError::DiedWithPin { cause, pin: Some(_) })) => Some(cause),
        (Asked::Login | Asked::ChangePin, _) => None,
        (_, result) => result.as_ref().err(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_at_each_call_costs_the_request_that_met_it() {
    each_step(Act::Crash, |asked, result| matches!(cause(asked, result), Some(WorkerError::Crashed { .. }))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hang_at_each_call_ends_at_the_deadline() {
    each_step(Act::Hang, |asked, result| matches!(cause(asked, result), Some(WorkerError::Deadline { .. }))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_pulled_out_at_each_call_is_absent() {
    each_step(Act::Remove, |_, result| {
        matches!(result, Err(WorkerError::TokenAbsent | WorkerError::Driver(DriverError::TokenAbsent)))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_code_at_each_call_is_passed_on_and_is_no_wrong_pin() {
    // SAR_FAIL and CKR_DEVICE_ERROR are known; a vendor's own number is not.
    for code in [0x0A00_0001, 0x30, 0x0B00_0077] {
        each_step(Act::Return(code), |_, result| match result {
            // Optional calls are done without.
            Ok(()) => true,
            Err(WorkerError::Driver(error)) => !matches!(error, DriverError::PinIncorrect { .. } | DriverError::PinBlocked),
            Err(WorkerError::TokenAbsent) => true,
            Err(_) => false,
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_pin_costs_one_try_and_a_locked_one_is_not_sent() {
    for kind in KINDS {
        let (bench, other) = (Bench::new(kind), Other::new());
        let workers = bench.workers(&other, 20);
        let client = workers.client();
        let key = bench.agreed(&client).await.unwrap();
        for left in (0..TRIES).rev() {
            let error = sign(&client, &key, WRONG_PIN).await.unwrap_err();
            assert!(matches!(error, WorkerError::Driver(DriverError::PinIncorrect { .. })), "{kind:?}: {error:?}");
            assert_eq!(bench.tries_left(), left, "{kind:?}");
        }
        for error in [
            sign(&client, &key, PIN).await.unwrap_err(),
            client.change_pin(&key.token, pin(PIN), pin(NEW_PIN)).await.unwrap_err(),
        ] {
            assert!(matches!(error, WorkerError::Driver(DriverError::PinBlocked)), "{kind:?}: {error:?}");
        }
        assert!(client.inspect(&key.token).await.unwrap().pin.blocked, "{kind:?}");
        workers.shut_down().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_swapped_between_consent_and_signing_never_signs_and_keeps_its_tries() {
    for kind in KINDS {
        let (bench, other) = (Bench::new(kind), Other::new());
        let workers = bench.workers(&other, 20);
        let client = workers.client();
        let agreed = bench.agreed(&client).await.unwrap();
        // The same serial number under the same label, and a key of the same name: only the key itself is another.
        let elsewhere = Bench::new(kind);
        let file = |bench: &Bench| bench.folder.path().join(format!("tokens/{}.token.json", bench.token.id()));
        let mut state: serde_json::Value = serde_json::from_slice(&fs::read(file(&elsewhere)).unwrap()).unwrap();
        state["serial"] = bench.token.info().unwrap().serial.into();
        fs::write(file(&bench), state.to_string()).unwrap();
        let error = sign(&client, &agreed, WRONG_PIN).await.unwrap_err();
        assert!(matches!(error, WorkerError::Driver(DriverError::KeyChanged { .. })), "{kind:?}: {error:?}");
        assert_eq!(bench.tries_left(), TRIES, "{kind:?}");
        workers.shut_down().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_tokens_with_one_label_the_agreed_one_signs() {
    for kind in KINDS {
        let (bench, other) = (Bench::new(kind), Other::new());
        let tokens = bench.folder.path().join("tokens");
        let twin =
            Token::create(&tokens, "公章", &pin(NEW_PIN), TokenOptions { max_tries: TRIES, ..Default::default() }).unwrap();
        twin.login(&pin(NEW_PIN)).unwrap().generate_key(KeyUsage::Signing).unwrap();
        let workers = bench.workers(&other, 20);
        let client = workers.client();
        let list = client.tokens().await;
        let own: Vec<_> = list.tokens.iter().filter(|token| token.driver == "faulty").collect();
        assert!(own.len() == 2 && own[0].handle != own[1].handle && own[0].info.label == own[1].info.label, "{kind:?}: {own:?}");
        for token in own {
            let inspected = client.inspect(&token.handle).await.unwrap();
            let key = inspected.keys.into_iter().find(|key| key.usage == KeyUsage::Signing).unwrap();
            let is_first = key.public_key == bench.public_key;
            let key = SigningKey { token: token.handle.clone(), key: key.id, public_key: key.public_key };
            sign(&client, &key, if is_first { PIN } else { NEW_PIN }).await.unwrap();
        }
        assert_eq!((bench.tries_left(), twin.pin_status().unwrap().tries_left), (TRIES, Some(TRIES)), "{kind:?}");
        workers.shut_down().await;
    }
}
