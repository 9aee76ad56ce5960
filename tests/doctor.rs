//! `sealagent doctor`: each fault has its own line and a way out, hides no other driver, and makes the exit code 1. The tokens are
//! virtual; libraries, modules, workers and command line are the real ones.

#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common {
    pub mod command;
}

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use common::command::{Kind, PIN, Rig, driver_section, library, said};
use serde_json::{Value, json};
use tempfile::TempDir;
use ukey::Pin;

/// A port that was free a moment ago: the fixed ones may be an agent's of this machine.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// What the doctor found.
struct Found {
    exit: i32,
    checks: Vec<Value>,
}

impl Found {
    fn by(mut command: Command) -> Self {
        let output = command.output().unwrap();
        let printed: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {}", said(&output)));
        assert!(!said(&output).contains(PIN));
        Self { exit: output.status.code().unwrap(), checks: printed["checks"].as_array().unwrap().clone() }
    }

    fn all(&self, finding: &str) -> Vec<&Value> {
        self.checks.iter().filter(|check| check["finding"] == finding).collect()
    }

    /// The one line of this kind, with what it says.
    fn line(&self, finding: &str) -> &str {
        let [one] = self.all(finding)[..] else { panic!("{finding}: {:#?}", self.checks) };
        one["what"].as_str().unwrap()
    }

    fn wrong(&self) -> Vec<&str> {
        self.checks.iter().filter(|check| check["mark"] == "wrong").map(|check| check["finding"].as_str().unwrap()).collect()
    }
}

/// Runs the doctor with these sections in the configuration, beside a port that is free.
fn doctor(rig: &Rig, sections: &str) -> Found {
    fs::write(rig.path("config.toml"), format!("[http]\nport = {}\n{sections}", free_port())).unwrap();
    Found::by(rig.agent(&["doctor", "--json"]))
}

/// A folder that nobody else can write to, all the way up.
fn safe_folder() -> TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

#[test]
fn a_good_machine_has_nothing_wrong_and_an_untested_driver_is_said_so() {
    let rig = Rig::new(365);
    for (kind, word) in [(Kind::Skf, "skf"), (Kind::Pkcs11, "pkcs11")] {
        rig.configure(kind);
        let section = fs::read_to_string(rig.path("config.toml")).unwrap();
        let found = doctor(&rig, &section);
        assert_eq!((found.exit, found.wrong()), (0, vec![]), "{:#?}", found.checks);
        assert!(found.line("driver_fine").contains(word) && found.line("driver_fine").contains("1 UKey"));
        assert!(found.line("driver_untested").contains("untested-hardware"));
        for finding in ["configuration_read", "worker_present", "port_free", "record_fine", "token_fine", "seal_fine"] {
            assert_eq!(found.all(finding).len(), 1, "{finding}: {:#?}", found.checks);
        }
        assert!(found.line("certificate_fine").contains("深圳市某某科技有限公司"));
        let tokens = rig.agent(&["tokens"]).output().unwrap();
        assert!(String::from_utf8_lossy(&tokens.stderr).contains("untested-hardware"), "{}", said(&tokens));
    }
    let found = doctor(&rig, &driver_section("virtual", &rig.path("tokens")));
    assert_eq!((found.exit, found.all("driver_untested").len(), found.all("driver_virtual").len()), (0, 0, 1));
}

/// An ELF file for another machine.
fn elf(machine: u16) -> Vec<u8> {
    let mut head = b"\x7fELF\x01\x01\x01".to_vec();
    head.resize(18, 0);
    head.extend(machine.to_le_bytes());
    head.resize(4096, 0);
    head
}

#[test]
fn each_fault_of_a_library_has_its_line_and_the_good_driver_goes_on() {
    let rig = Rig::new(365);
    let folder = safe_folder();
    let file = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        path
    };
    let good = fs::read(library("skf")).unwrap();
    let writable = file("writable.so", &good);
    fs::set_permissions(&writable, fs::Permissions::from_mode(0o666)).unwrap();
    let fixed = file("fixed.so", &good);
    let cases: Vec<(PathBuf, &str, &str, &str)> = vec![
        (folder.path().join("absent.so"), "skf", "library_absent", "there is no file"),
        (file("text.so", b"no library"), "skf", "library_none", "not a library"),
        (folder.path().to_owned(), "pkcs11", "library_not_a_file", "not a library file"),
        (file("x86.so", &elf(3)), "skf", "library32_bit", "32-bit only"),
        (file("arm.so", &elf(183)), "pkcs11", "library_foreign", "64-bit ARM"),
        (file("cut.so", &good[..200]), "skf", "library_unloadable", "cannot load"),
        (library("pkcs11"), "skf", "library_lacks", "SKF_EnumDev"),
        (library("skf"), "pkcs11", "library_lacks", "C_GetFunctionList"),
        (writable, "skf", "library_writable", "others can write"),
    ];
    let mut sections: String = cases.iter().map(|(path, kind, _, _)| driver_section(kind, path)).collect();
    sections += &format!("{}sha256 = '{}'\n", driver_section("skf", &fixed), "00".repeat(32));
    sections += &format!("{}profile = 'nobodys'\n", driver_section("pkcs11", &library("pkcs11")));
    sections += &driver_section("skf", &library("skf"));
    let found = doctor(&rig, &sections);
    assert_eq!(found.exit, 1);
    for (path, _, finding, words) in &cases {
        let path = path.to_str().unwrap();
        let line = found.all(finding).into_iter().find(|check| check["what"].as_str().unwrap().contains(path));
        let line = line.unwrap_or_else(|| panic!("{finding} of {path}: {:#?}", found.checks));
        assert!(line["what"].as_str().unwrap().contains(words) && !line["hint"].as_str().unwrap().is_empty(), "{line}");
    }
    assert!(found.line("library_digest").contains("SHA-256"));
    assert!(found.line("driver_profile_unknown").contains("nobodys"));
    assert_eq!(found.wrong().len(), cases.len() + 2, "each fault once: {:#?}", found.checks);
    assert!(found.line("driver_fine").contains("1 UKey"));
    assert_eq!(found.all("token_fine").len(), 1);
}

/// The programs in a folder of their own, as they are installed.
fn installed(programs: &[&str]) -> TempDir {
    let folder = safe_folder();
    let built = Path::new(env!("CARGO_BIN_EXE_sealagent")).parent().unwrap();
    for program in programs {
        fs::hard_link(built.join(program), folder.path().join(program)).unwrap();
    }
    folder
}

fn as_installed(rig: &Rig, folder: &TempDir, arguments: &[&str]) -> Command {
    let mut command = Command::new(folder.path().join("sealagent"));
    let usual = rig.agent(arguments);
    command.args(usual.get_args());
    command.envs(usual.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command
}

#[test]
fn a_32_bit_library_gets_the_32_bit_worker() {
    let rig = Rig::new(365);
    let folder = installed(&["sealagent", "sealagent-worker"]);
    let path = folder.path().join("x86.so");
    fs::write(&path, elf(3)).unwrap();
    let sections = driver_section("skf", &path) + &driver_section("skf", &library("skf"));
    fs::write(rig.path("config.toml"), format!("[http]\nport = {}\n{sections}", free_port())).unwrap();
    let found = Found::by(as_installed(&rig, &folder, &["doctor", "--json"]));
    assert!(found.line("library32_bit").contains("32-bit"));
    // A stand-in for that worker, whose exit code shows that it was the one that ran.
    let worker = folder.path().join("sealagent-worker32");
    fs::write(&worker, "#!/bin/sh\nexit 32\n").unwrap();
    fs::set_permissions(&worker, fs::Permissions::from_mode(0o755)).unwrap();
    let found = Found::by(as_installed(&rig, &folder, &["doctor", "--json"]));
    assert!(found.line("driver_crashes").contains("32"), "{:#?}", found.checks);
    assert!(found.line("driver_fine").contains("1 UKey"), "the other library has the usual worker");
}

#[test]
fn missing_programs_are_named() {
    let rig = Rig::new(365);
    let folder = installed(&["sealagent"]);
    let sections = format!("[prompt]\nkind = 'window'\n{}", driver_section("virtual", &rig.path("tokens")));
    fs::write(rig.path("config.toml"), format!("[http]\nport = {}\n{sections}", free_port())).unwrap();
    let found = Found::by(as_installed(&rig, &folder, &["doctor", "--json"]));
    assert_eq!((found.exit, found.wrong()), (1, vec!["worker_missing", "prompt_missing"]));
    assert_eq!(found.all("preview_missing").len(), 1);
    assert!(found.line("worker_missing").contains(folder.path().to_str().unwrap()));
}

#[test]
fn a_pinentry_that_is_not_there_is_named() {
    let rig = Rig::new(365);
    for (program, finding) in [("/bin/sh", "prompt_pinentry"), ("/nonexistent/pinentry", "prompt_pinentry_unusable")] {
        let prompt = format!("[prompt]\nkind = 'pinentry'\nprogram = '{program}'\n");
        let sections = prompt + &driver_section("virtual", &rig.path("tokens"));
        fs::write(rig.path("config.toml"), format!("[http]\nport = {}\n{sections}", free_port())).unwrap();
        let found = Found::by(rig.agent(&["doctor", "--json"]));
        assert!(found.line(finding).contains(program), "{:#?}", found.checks);
        assert_eq!(found.wrong().contains(&finding), finding.ends_with("unusable"));
    }
}

#[test]
fn a_driver_that_hangs_or_crashes_and_a_service_that_is_not_there_are_told_apart() {
    let rig = Rig::new(365);
    let sections = driver_section("skf", &library("skf"))
        + &driver_section("pkcs11", &library("pkcs11"))
        + "[[driver]]\nkind = 'pcsc'\n"
        + &driver_section("virtual", &rig.path("tokens"));
    fs::write(rig.path("config.toml"), format!("[http]\nport = {}\n{sections}", free_port())).unwrap();
    let mut command = rig.agent(&["doctor", "--json"]);
    let fault = |function: &str, act: &str| json!({ "folder": rig.path("tokens"), "faults": [{ "function": function, "call": 0, "act": act }] });
    for (variable, switches) in
        [("UKEY_VIRTUAL_SKF", fault("SKF_EnumDev", "hang")), ("UKEY_VIRTUAL_PKCS11", fault("C_GetSlotList", "crash"))]
    {
        fs::write(rig.path(variable), switches.to_string()).unwrap();
        command.env(variable, rig.path(variable));
    }
    command.env("PCSCLITE_CSOCK_NAME", rig.path("no-service"));
    let found = Found::by(command);
    assert_eq!(found.exit, 1);
    assert!(found.line("driver_hangs").starts_with("skf"));
    assert!(found.line("driver_crashes").starts_with("pkcs11"));
    let [service] = found.all("pcsc_service")[..] else { panic!("{:#?}", found.checks) };
    assert!(service["hint"].as_str().unwrap().contains("pcscd"), "{service}");
    assert!(found.line("driver_fine").starts_with("virtual"));
}

#[test]
fn few_tries_a_last_try_and_a_locked_pin_are_told_and_no_try_is_spent() {
    let rig = Rig::new(365);
    let wrong = Pin::new(b"00000000".to_vec()).unwrap();
    let tries = || rig.token.pin_status().unwrap().tries_left.unwrap();
    for (left, finding, exit) in [(3, "token_few_tries", 0), (1, "token_last_try", 0), (0, "token_locked", 1)] {
        while tries() > left {
            assert!(rig.token.login(&wrong).is_err());
        }
        for section in [driver_section("virtual", &rig.path("tokens")), driver_section("skf", &library("skf"))] {
            let found = doctor(&rig, &section);
            assert_eq!(found.exit, exit, "{:#?}", found.checks);
            assert_eq!(found.all(finding).len(), 1, "{finding}: {:#?}", found.checks);
        }
        assert_eq!(tries(), left);
    }
}

#[test]
fn certificates_that_have_expired_or_soon_will_are_told_with_the_days() {
    // Counted from yesterday, to the second.
    for (days, finding, words, exit) in
        [(1, "certificate_expired", ["expired on"; 2], 1), (11, "certificate_soon", [" 9 days", " 10 days"], 0)]
    {
        let rig = Rig::new(days);
        let found = doctor(&rig, &driver_section("virtual", &rig.path("tokens")));
        assert_eq!(found.exit, exit, "{:#?}", found.checks);
        assert!(words.iter().any(|words| found.line(finding).contains(words)), "{}", found.line(finding));
    }
}

#[test]
fn a_taken_port_names_its_taker_and_our_own_agent_is_known() {
    let rig = Rig::new(365);
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    fs::write(rig.path("config.toml"), format!("[http]\nport = {port}\n")).unwrap();
    let found = Found::by(rig.agent(&["doctor", "--json"]));
    assert_eq!((found.exit, found.wrong()), (1, vec!["port_taken"]));
    assert!(found.line("port_taken").contains(&std::process::id().to_string()), "{}", found.line("port_taken"));
    assert_eq!(found.all("driver_none").len(), 1);
    drop(taken);

    let mut agent = rig.agent(&["run"]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(agent.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let found = Found::by(rig.agent(&["doctor", "--json"]));
    agent.kill().unwrap();
    agent.wait().unwrap();
    assert!(line.contains(&port.to_string()), "{line}");
    assert_eq!((found.exit, found.all("port_ours").len()), (0, 1), "{:#?}", found.checks);
}

#[test]
fn a_malformed_file_is_named_with_its_line() {
    let rig = Rig::new(365);
    fs::write(rig.path("config.toml"), "[http]\nport = 17329\noriginz = []\n").unwrap();
    let found = Found::by(rig.agent(&["doctor", "--json"]));
    assert_eq!((found.exit, found.wrong()), (1, vec!["configuration_wrong"]));
    assert!(found.line("configuration_wrong").contains("line 3"), "{}", found.line("configuration_wrong"));
    let printed = rig.agent(&["doctor", "--policy"]).output().unwrap();
    assert!(printed.status.success(), "the snippets need no configuration");
}

#[test]
fn the_list_is_in_the_persons_language_with_marks() {
    let rig = Rig::new(365);
    let sections = driver_section("virtual", &rig.path("tokens")) + &driver_section("skf", Path::new("/nonexistent/libskf.so"));
    fs::write(
        rig.path("config.toml"),
        format!("[http]\nport = {}\norigins = ['https://a.gov.example']\n{sections}", free_port()),
    )
    .unwrap();
    let output = rig.agent(&["doctor"]).env("LC_ALL", "zh_CN.UTF-8").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.lines().all(|line| ["✔ ", "! ", "✘ ", "  提示："].iter().any(|start| line.starts_with(start))), "{text}");
    assert!(text.contains("✘ skf：文件 /nonexistent/libskf.so 不存在。"), "{text}");
    let policy = rig.agent(&["doctor", "--policy"]).output().unwrap();
    let text = String::from_utf8(policy.stdout).unwrap();
    assert!(text.contains("LoopbackNetworkAllowedForUrls") && text.contains("SkipDomains"), "{text}");
    assert!(text.contains("https://a.gov.example") && !text.contains("sign.example"), "{text}");
}
