//! Real libraries in the real worker program: the contract suite through its pipes, libraries that hang, die, print or are none.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../../virtual/tests/bench/mod.rs"]
mod bench;
#[path = "remote/mod.rs"]
#[allow(dead_code)] // shared with the other test programs
mod remote;

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use bench::PIN;
use remote::RemoteDriver;
use ukey::{
    Driver, DriverError, KeyInfo, KeyUsage,
    driver::Lacks,
    wire::{self, Answer, Bytes, Request},
};
use ukey_virtual::{
    LoginPolicy, Token,
    calls::{Act, CallFault},
};

/// The two interfaces whose libraries are loaded.
#[derive(Clone, Copy)]
enum Kind {
    Pkcs11,
    Skf,
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Self::Pkcs11 => "pkcs11",
            Self::Skf => "skf",
        }
    }

    /// What cargo built beside the test program.
    fn library(self) -> PathBuf {
        let folder = std::env::current_exe().unwrap().parent().unwrap().to_owned();
        folder.join(format!("{}ukey_virtual_{}{}", std::env::consts::DLL_PREFIX, self.word(), std::env::consts::DLL_SUFFIX))
    }

    fn switches(self, folder: &Path, faults: Vec<CallFault>, odd: bool) -> Vec<u8> {
        match self {
            Self::Pkcs11 => serde_json::to_vec(&ukey_virtual_pkcs11::Switches {
                folder: folder.into(),
                faults,
                der_results: odd,
                shared_ids: odd,
                ..Default::default()
            }),
            Self::Skf => serde_json::to_vec(&ukey_virtual_skf::Switches {
                folder: folder.into(),
                faults,
                prints: odd,
                gbk_names: odd,
                wide_ulong: odd,
                ..Default::default()
            }),
        }
        .unwrap()
    }

    fn lacks(self) -> Lacks {
        match self {
            Self::Pkcs11 => Lacks { tries_left: true, ..Lacks::default() },
            Self::Skf => Lacks::default(),
        }
    }

    fn sign_call(self) -> &'static str {
        match self {
            Self::Pkcs11 => "C_Sign",
            Self::Skf => "SKF_ECCSignData",
        }
    }
}

struct Bench {
    kind: Kind,
    folder: tempfile::TempDir,
    token: Token,
}

impl Bench {
    fn new(kind: Kind, login: LoginPolicy, odd: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let token = bench::token(&folder.path().join("tokens"), "公章", login, 0);
        let bench = Self { kind, folder, token };
        bench.script(Vec::new(), odd);
        bench
    }

    fn script(&self, faults: Vec<CallFault>, odd: bool) {
        let switches = self.kind.switches(&self.folder.path().join("tokens"), faults, odd);
        fs::write(self.folder.path().join("switches.json"), switches).unwrap();
    }

    fn start(&self) -> RemoteDriver {
        let variable = format!("UKEY_VIRTUAL_{}", self.kind.word().to_uppercase());
        let arguments = [self.kind.word().into(), self.kind.library().into_os_string()];
        RemoteDriver::start_with(&arguments, &[(variable.as_ref(), self.folder.path().join("switches.json").as_os_str())])
    }
}

fn contract_holds(kind: Kind, login: LoginPolicy, odd: bool) {
    let bench = Bench::new(kind, login, odd);
    let seals = [vec![0x30, 3, 2, 1, 1], [vec![0x30, 0x82, 0x75, 0x30], vec![0x55; 30_000]].concat()];
    seals.iter().for_each(|seal| bench.token.put_seal(seal).unwrap());
    let mut driver = bench.start();
    let id = driver.tokens().unwrap().remove(0).id;
    driver.end();
    let mut driver = || Box::new(bench.start()) as Box<dyn Driver>;
    bench::contract_holds(&mut driver, (&bench.folder.path().join("tokens"), &bench.token, id), &seals, kind.lacks());
}

#[test]
fn contract_holds_for_an_skf_library() {
    contract_holds(Kind::Skf, LoginPolicy::PerSession, false);
}

#[test]
fn contract_holds_for_an_odd_skf_library_that_prints() {
    contract_holds(Kind::Skf, LoginPolicy::PerSignature, true);
}

#[test]
fn contract_holds_for_a_pkcs11_module() {
    contract_holds(Kind::Pkcs11, LoginPolicy::PerSession, false);
}

#[test]
fn contract_holds_for_an_odd_pkcs11_module() {
    contract_holds(Kind::Pkcs11, LoginPolicy::PerSignature, true);
}

#[test]
fn library_that_dies_at_a_signature_costs_one_worker_and_no_try() {
    for kind in [Kind::Skf, Kind::Pkcs11] {
        let bench = Bench::new(kind, LoginPolicy::PerSession, false);
        bench.script(vec![CallFault { function: kind.sign_call().into(), call: 1, act: Act::Crash }], false);
        let mut driver = bench.start();
        let token = driver.tokens().unwrap().remove(0).id;
        let KeyInfo { id, public_key, .. } =
            driver.open(&token).unwrap().keys().unwrap().into_iter().find(|k| k.usage == KeyUsage::Signing).unwrap();
        let request = Request::Sign { token, key: id, public_key, on_device: false };
        assert!(matches!(driver.ask(&request, PIN), Ok(Answer::LoggedIn)));
        driver.send(&Request::Message { bytes: Bytes(b"m".to_vec()), id: ukey::DEFAULT_ID.into() }, b"");
        assert!(!driver.close().success());
        assert_eq!(bench.token.pin_status().unwrap().tries_left, Some(bench::TRIES));
        bench.script(Vec::new(), false);
        let mut driver = bench.start();
        assert_eq!(driver.tokens().unwrap().len(), 1);
        driver.end();
    }
}

#[test]
fn library_that_hangs_is_left_behind_when_the_agent_goes() {
    for (kind, function) in [(Kind::Skf, "SKF_EnumDev"), (Kind::Pkcs11, "C_GetSlotList")] {
        let bench = Bench::new(kind, LoginPolicy::PerSession, false);
        bench.script(vec![CallFault { function: function.into(), call: 1, act: Act::Hang }], false);
        let mut driver = bench.start();
        driver.send(&Request::Tokens, b"");
        assert!(!driver.close().success(), "killed, not ended");
    }
}

#[test]
fn removal_and_insertion_are_told_between_requests() {
    for kind in [Kind::Skf, Kind::Pkcs11] {
        let bench = Bench::new(kind, LoginPolicy::PerSession, false);
        let mut driver = bench.start();
        assert_eq!(driver.tokens().unwrap().len(), 1);
        bench.token.unplug().unwrap();
        driver.wait_for_change();
        assert_eq!(driver.tokens().unwrap(), []);
        bench.token.plug().unwrap();
        driver.wait_for_change();
        assert_eq!(driver.tokens().unwrap().len(), 1);
        driver.end();
    }
}

/// The first answer of a worker that has no driver.
fn refusal(arguments: &[OsString]) -> DriverError {
    let mut child = Command::new(env!("CARGO_BIN_EXE_sealagent-worker"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    wire::write_frame(child.stdin.as_mut().unwrap(), &Request::Hello { version: wire::VERSION }, b"").unwrap();
    let output = child.wait_with_output().unwrap();
    match wire::read_frame::<Answer>(&mut output.stdout.as_slice()).unwrap().unwrap().0 {
        Answer::Failed { error } => error,
        answer => panic!("{answer:?}"),
    }
}

#[test]
fn why_a_library_is_none_is_told_in_the_first_answer() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("text.so");
    fs::write(&text, "not a library").unwrap();
    let reason = |arguments: &[OsString]| match refusal(arguments) {
        DriverError::Library { reason, .. } => reason,
        error => panic!("{error:?}"),
    };
    for kind in [Kind::Skf, Kind::Pkcs11] {
        let other = if matches!(kind, Kind::Skf) { Kind::Pkcs11 } else { Kind::Skf };
        for (path, words) in [
            (PathBuf::from("relative.so"), "not absolute"),
            (folder.path().join("absent.so"), "not there"),
            (text.clone(), "not a library"),
            (other.library(), "does not export"),
        ] {
            let reason = reason(&[kind.word().into(), path.clone().into()]);
            assert!(reason.contains(words), "{}: {reason}", path.display());
        }
    }
    let unknown = [Kind::Skf.word().into(), Kind::Skf.library().into_os_string(), "nobodys".into()];
    assert!(matches!(refusal(&unknown), DriverError::Unsupported { .. }));
}
