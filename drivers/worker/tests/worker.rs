//! The real worker program: the contract suite through its pipes, and what the pipes themselves must withstand.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../../virtual/tests/bench/mod.rs"]
mod bench;
mod remote;

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use remote::RemoteDriver;
use ukey::{
    Driver, DriverError, KeyId, KeyInfo, KeyUsage, Pin, Sm2PublicKey, TokenId,
    driver::Lacks,
    wire::{self, Answer, Bytes, Request},
};
use ukey_virtual::{
    LoginPolicy, Token, TokenOptions,
    faults::{self, Fault, Rule, Step},
};

const PIN: &[u8] = b"13572468";

fn pin() -> Pin {
    Pin::new(PIN.to_vec()).unwrap()
}

fn token(folder: &Path, login: LoginPolicy) -> (Token, KeyId, Sm2PublicKey) {
    let token = Token::create(folder, "公章 1", &pin(), TokenOptions { login, max_tries: 5 }).unwrap();
    let (key, public_key) = token.login(&pin()).unwrap().generate_key(KeyUsage::Signing).unwrap();
    (token, key, public_key)
}

fn worker(folder: &Path) -> RemoteDriver {
    RemoteDriver::start(&["virtual".into(), folder.into(), "--faults".into()])
}

fn sign_request(token: &Token, key: &KeyId, public_key: Sm2PublicKey) -> Request {
    Request::Sign { token: token.id().clone(), key: key.clone(), public_key, on_device: false }
}

fn contract_holds(login: LoginPolicy) {
    let folder = tempfile::tempdir().unwrap();
    let token = bench::token(folder.path(), "公章 1", login, 0);
    let seals = [vec![0x30, 3, 2, 1, 1], vec![0xff; 30_000]];
    seals.iter().for_each(|seal| token.put_seal(seal).unwrap());
    let arguments = ["virtual".into(), folder.path().into()];
    let mut driver = || Box::new(RemoteDriver::start(&arguments)) as Box<dyn Driver>;
    bench::contract_holds(&mut driver, (folder.path(), &token, token.id().clone()), &seals, Lacks::default());
}

#[test]
fn contract_holds_across_the_process_border() {
    contract_holds(LoginPolicy::PerSession);
}

#[test]
fn contract_holds_across_the_process_border_with_a_login_per_signature() {
    contract_holds(LoginPolicy::PerSignature);
}

#[test]
fn what_a_library_prints_reaches_no_frame() {
    let folder = tempfile::tempdir().unwrap();
    let (token, key, public_key) = token(folder.path(), LoginPolicy::PerSession);
    let steps = [Step::Tokens, Step::Open, Step::Keys, Step::Seals, Step::PinStatus, Step::Login, Step::Sign];
    let rules: Vec<_> = steps.into_iter().map(|at| Rule { at, fault: Fault::Noise, skip: 0, times: 100 }).collect();
    faults::write_script(folder.path(), &rules).unwrap();
    let mut driver = worker(folder.path());
    assert_eq!(driver.tokens().unwrap().len(), 1);
    driver.open(token.id()).unwrap();
    assert!(matches!(driver.ask(&sign_request(&token, &key, public_key), PIN), Ok(Answer::LoggedIn)));
    let message = Request::Message { bytes: Bytes(b"message".to_vec()), id: ukey::DEFAULT_ID.into() };
    assert!(matches!(driver.ask(&message, b""), Ok(Answer::Signed { .. })));
    assert!(matches!(driver.ask(&Request::End, b""), Ok(Answer::Ended)));
    driver.end();
}

#[test]
fn another_key_under_the_agreed_name_is_refused_before_the_pin_is_used() {
    let folder = tempfile::tempdir().unwrap();
    let (token, key, _) = token(folder.path(), LoginPolicy::PerSession);
    let (_, _, other) = self::token(folder.path(), LoginPolicy::PerSession);
    let mut driver = worker(folder.path());
    // A wrong PIN: had it been tried, a try would be gone.
    let error = driver.ask(&sign_request(&token, &key, other), b"00000000").unwrap_err();
    assert_eq!(error, DriverError::KeyChanged { key: key.0 });
    assert_eq!(token.pin_status().unwrap().tries_left, Some(5));
    driver.end();
}

#[test]
fn removal_and_insertion_are_told_between_requests() {
    let folder = tempfile::tempdir().unwrap();
    let (token, ..) = token(folder.path(), LoginPolicy::PerSession);
    let mut driver = worker(folder.path());
    assert_eq!(driver.tokens().unwrap().len(), 1);
    token.unplug().unwrap();
    driver.wait_for_change();
    assert_eq!(driver.tokens().unwrap(), []);
    token.plug().unwrap();
    driver.wait_for_change();
    assert_eq!(driver.tokens().unwrap().len(), 1);
    driver.end();
}

#[test]
fn agent_that_dies_during_a_hang_takes_the_worker_with_it() {
    let folder = tempfile::tempdir().unwrap();
    faults::write_script(folder.path(), &[Rule::once(Step::Tokens, Fault::Hang)]).unwrap();
    let mut driver = worker(folder.path());
    driver.send(&Request::Tokens, b"");
    assert!(!driver.close().success(), "killed, not ended");
}

#[test]
fn frame_that_is_none_ends_the_worker() {
    let folder = tempfile::tempdir().unwrap();
    for bytes in [b"GET / HTTP/1.1\r\n\r\n".as_slice(), &[0xff; 8], b"\x02\0\0\0\0\0\0\0[]"] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_sealagent-worker"))
            .arg("virtual")
            .arg(folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::io::Write::write_all(child.stdin.as_mut().unwrap(), bytes).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(!output.status.success());
        assert_eq!(output.stdout, b"", "nothing is answered");
    }
}

#[test]
fn unknown_driver_is_told_in_the_first_answer() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_sealagent-worker"))
        .arg("quantum")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    wire::write_frame(child.stdin.as_mut().unwrap(), &Request::Hello { version: wire::VERSION }, b"").unwrap();
    let output = child.wait_with_output().unwrap();
    let (answer, _) = wire::read_frame::<Answer>(&mut output.stdout.as_slice()).unwrap().unwrap();
    assert!(matches!(answer, Answer::Failed { error: DriverError::Unsupported { .. } }), "{answer:?}");
}

#[cfg(target_os = "linux")]
#[test]
fn linux_worker_has_no_new_privileges_no_core_and_is_not_dumpable() {
    let folder = tempfile::tempdir().unwrap();
    let driver = worker(folder.path());
    let proc = Path::new("/proc").join(driver.pid().to_string());
    let status = fs::read_to_string(proc.join("status")).unwrap();
    assert!(status.contains("NoNewPrivs:\t1"), "{status}");
    let limits = fs::read_to_string(proc.join("limits")).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().nth(4), Some("0"), "{core}");
    // What is not dumpable belongs to root, whoever runs it.
    assert_eq!(std::os::unix::fs::MetadataExt::uid(&fs::metadata(proc.join("environ")).unwrap()), 0);
    driver.end();
}

/// The scripted worker needs its folder; one outside it stands for everything else.
#[cfg(target_os = "linux")]
#[test]
fn linux_worker_of_virtual_tokens_writes_only_in_their_folder() {
    let (inside, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (token, ..) = token(outside.path(), LoginPolicy::PerSession);
    fs::create_dir(inside.path().join("tokens")).unwrap();
    let name = format!("{}.token.json", token.id());
    fs::copy(outside.path().join(&name), inside.path().join("tokens").join(&name)).unwrap();
    // The lock file is a link that leads out of the folder.
    let lock = format!("{}.lock", token.id());
    std::os::unix::fs::symlink(outside.path().join("stolen"), inside.path().join("tokens").join(&lock)).unwrap();
    let mut driver = worker(&inside.path().join("tokens"));
    let KeyInfo { id, public_key, .. } = driver.open(&TokenId(token.id().0.clone())).unwrap().keys().unwrap().remove(0);
    let error = driver.ask(&sign_request(&token, &id, public_key), PIN).unwrap_err();
    assert!(matches!(&error, DriverError::Protocol { what, .. } if what.contains("denied")), "{error:?}");
    assert!(!outside.path().join("stolen").exists());
    driver.end();
}
