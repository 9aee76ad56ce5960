//! `sealagent sign` with each kind of driver, from the configuration file to the sealed document, verified by `sealagent verify` and by
//! OpenSSL. The tokens are virtual; library, module, card service, worker and command line are the real ones.
//!
//! What is not installed (`pcscd` with vpcd, the samples) makes its case *ignored*.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common {
    pub mod command;
}

#[cfg(unix)]
#[path = "../drivers/pcsc/tests/card/service.rs"]
mod service;

use std::{
    fs,
    io::{Read as _, Write as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use common::command::{Kind, PIN, Rig, driver_section, library, said, with_pin};
use libtest_mimic::{Arguments, Trial};
use sealagent::{
    ofd::write::{Item, NewDocument, NewPage},
    ses::SesSignature,
    stamp::SizeMm,
};

fn main() {
    let mut arguments = Arguments::from_args();
    arguments.test_threads = Some(1); // one card service
    #[cfg(unix)]
    let service = if arguments.list { None } else { service::Service::start() };
    #[cfg(unix)]
    let card = service.is_some();
    #[cfg(not(unix))]
    let card = false;
    let sample = samples().join("ofd/unsigned-helloworld.ofd");
    let mut trials = Vec::new();
    for kind in [Kind::Pcsc, Kind::Pkcs11, Kind::Skf, Kind::Virtual] {
        let possible = cfg!(unix) && (kind != Kind::Pcsc || card);
        let name = format!("{kind:?}").to_lowercase();
        let own = move || {
            signs_and_verifies(kind, &own_document());
            Ok(())
        };
        trials.push(Trial::test(format!("{name}_signs_our_own_document"), own).with_ignored_flag(!possible));
        let path = sample.clone();
        let of_sample = move || {
            signs_and_verifies(kind, &fs::read(&path).unwrap());
            Ok(())
        };
        let ignored = !possible || !sample.is_file();
        trials.push(Trial::test(format!("{name}_signs_the_sample"), of_sample).with_ignored_flag(ignored));
        let change = move || {
            changes_the_pin(kind);
            Ok(())
        };
        let ignored = !possible || !Path::new(SCRIPT).is_file();
        trials.push(Trial::test(format!("{name}_changes_the_pin_at_a_terminal"), change).with_ignored_flag(ignored));
    }
    let faulty = || {
        broken_drivers_hide_no_other();
        Ok(())
    };
    trials.push(Trial::test("broken_drivers_hide_no_other", faulty).with_ignored_flag(!cfg!(unix)));
    let conclusion = libtest_mimic::run(&arguments, trials);
    #[cfg(unix)]
    drop(service); // `exit` runs no destructor
    conclusion.exit();
}

fn samples() -> PathBuf {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/samples");
    std::env::var_os("SEALAGENT_SAMPLES").map_or_else(beside, PathBuf::from)
}

fn own_document() -> Vec<u8> {
    let items = vec![Item::Text { x: 20.0, y: 30.0, size: 6.0, font: "宋体".into(), text: "采购合同".into() }];
    let pages = vec![NewPage { size: SizeMm { width: 210.0, height: 297.0 }, items }];
    let mut bytes = Vec::new();
    let new = NewDocument { title: "采购合同".into(), date: "2026-11-24".into(), pages, images: Vec::new() };
    new.write(&mut bytes).unwrap();
    bytes
}

/// Puts the token where this kind of driver finds it, and waits until it is listed.
struct Plugged {
    #[cfg(unix)]
    _card: Option<ukey_virtual_card::Inserted>,
}

impl Plugged {
    fn new(kind: Kind, rig: &Rig) -> Self {
        rig.configure(kind);
        let plugged = Self {
            #[cfg(unix)]
            _card: (kind == Kind::Pcsc).then(|| {
                let switches = ukey_virtual_card::Switches { openpgp: false, ..Default::default() };
                let card = ukey_virtual_card::Card::new(rig.token.clone(), switches);
                ukey_virtual_card::Inserted::new(service::port(0), card).unwrap()
            }),
        };
        let start = Instant::now();
        loop {
            let tokens = rig.agent(&["tokens"]).output().unwrap();
            if String::from_utf8_lossy(&tokens.stdout).contains(if kind == Kind::Pcsc { "CanoKey" } else { "公章" }) {
                return plugged;
            }
            assert!(start.elapsed() < Duration::from_secs(20), "{}", said(&tokens));
        }
    }
}

/// Runs a command on a terminal of its own (Debian's bsdutils).
const SCRIPT: &str = "/usr/bin/script";

/// `pin change` as a person does it: each answer is typed when its question stands on the screen.
fn changes_the_pin(kind: Kind) {
    const NEW_PIN: &str = "19062837";
    let rig = Rig::new(365);
    let _plugged = Plugged::new(kind, &rig);
    let agent = rig.agent(&["pin", "change"]);
    let words: Vec<_> =
        [agent.get_program()].into_iter().chain(agent.get_args()).map(|word| format!("'{}'", word.to_str().unwrap())).collect();
    let mut command = Command::new(SCRIPT);
    command.args(["--quiet", "--return", "--flush", "--command", &words.join(" "), "/dev/null"]);
    command.envs(agent.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let (mut keyboard, mut screen) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let mut shown = String::new();
    let mut wait_for = |words: &str| {
        let mut bytes = [0; 1024];
        while !shown.contains(words) {
            let count = screen.read(&mut bytes).unwrap();
            assert!(count > 0, "{words} does not come: {shown}");
            shown += &String::from_utf8_lossy(&bytes[..count]);
        }
        shown.clone()
    };
    for (question, answer) in [("Old PIN", PIN), ("New PIN, 6", NEW_PIN), ("New PIN again", NEW_PIN)] {
        wait_for(question);
        keyboard.write_all(format!("{answer}\n").as_bytes()).unwrap();
    }
    let shown = wait_for("The PIN was changed.");
    drop(keyboard);
    assert!(child.wait().unwrap().success(), "{shown}");
    assert!(!shown.contains(PIN) && !shown.contains(NEW_PIN), "{shown}");
    let tries = if kind == Kind::Pkcs11 { "does not say how many tries" } else { "Tries left: " };
    assert!(shown.find(tries).unwrap() < shown.find("Old PIN").unwrap(), "{shown}");
    assert!(rig.token.login(&ukey::Pin::new(NEW_PIN.as_bytes().to_vec()).unwrap()).is_ok());
    let record = rig.agent(&["audit", "export"]).output().unwrap();
    let record = String::from_utf8(record.stdout).unwrap();
    assert!(record.contains("pinChanged") && !record.contains(PIN) && !record.contains(NEW_PIN), "{record}");
}

fn signs_and_verifies(kind: Kind, document: &[u8]) {
    let rig = Rig::new(365);
    let input = rig.path("input.ofd");
    fs::write(&input, document).unwrap();
    let _plugged = Plugged::new(kind, &rig);
    if kind == Kind::Pcsc {
        // A card holds no seal: it comes from the store.
        fs::write(rig.path("seal.esl"), &rig.seal).unwrap();
        let imported = rig.agent(&["seal", "import"]).arg(rig.path("seal.esl")).output().unwrap();
        assert!(imported.status.success(), "{}", said(&imported));
    }
    let signed = rig.path("signed.ofd");
    let mut command = rig.agent(&["sign", "--seal", &rig.seal_code, "--page", "1", "--at", "20,20", "--pin-fd", "0"]);
    command.arg("--output").arg(&signed).arg(&input);
    let output = with_pin(command);
    assert!(output.status.success(), "{}", said(&output));
    assert!(!said(&output).contains(PIN));

    let verified = rig.agent(&["verify", "--json", "--trust"]).arg(rig.path("trust")).arg(&signed).output().unwrap();
    assert!(verified.status.success() && said(&verified).contains("\"TOTAL_PASSED\""), "{}", said(&verified));
    openssl_verifies(&rig, &signed);
}

/// Takes the signed value out of the package and gives TBS_Sign, signature and key to OpenSSL.
fn openssl_verifies(rig: &Rig, signed: &Path) {
    let mut package = zip::ZipArchive::new(fs::File::open(signed).unwrap()).unwrap();
    let name = package.file_names().flatten().find(|name| name.ends_with("SignedValue.dat")).unwrap().into_owned();
    let mut value = Vec::new();
    package.by_name(&name).unwrap().read_to_end(&mut value).unwrap();
    let value = SesSignature::parse(&value).unwrap();
    let algorithm = b"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x81\x1c\xcf\x55\x01\x82\x2d\x03\x42\x00";
    fs::write(rig.path("key.der"), [algorithm.as_slice(), &rig.public_key.to_sec1()].concat()).unwrap();
    fs::write(rig.path("signature"), value.signature()).unwrap();
    let verify = |bytes: &[u8]| {
        fs::write(rig.path("message"), bytes).unwrap();
        let mut command = Command::new("openssl");
        command.args(["dgst", "-sm3", "-sigopt", "distid:1234567812345678", "-keyform", "DER", "-verify"]);
        command.arg(rig.path("key.der")).arg("-signature").arg(rig.path("signature")).arg(rig.path("message"));
        command.output().unwrap().status.success()
    };
    assert!(verify(value.signed_bytes()), "openssl refuses the signature");
    assert!(!verify(&[value.signed_bytes(), &[0]].concat()), "openssl accepts anything");
}

/// A library that is absent, one that is no library, two of another kind: each is told why, and the driver that works goes on.
fn broken_drivers_hide_no_other() {
    let rig = Rig::new(365);
    let broken = Path::new(env!("CARGO_TARGET_TMPDIR")).join("no-library.so");
    fs::write(&broken, "no library").unwrap();
    let sections = [
        driver_section("skf", Path::new("/usr/lib/no-such-library.so")),
        driver_section("skf", &broken),
        driver_section("skf", &library("pkcs11")),
        driver_section("pkcs11", &library("skf")),
        driver_section("skf", &library("skf")),
    ];
    fs::write(rig.path("config.toml"), sections.concat()).unwrap();
    let tokens = rig.agent(&["tokens"]).output().unwrap();
    assert!(String::from_utf8_lossy(&tokens.stdout).contains("公章"), "{}", said(&tokens));
    let told = String::from_utf8_lossy(&tokens.stderr).into_owned();
    for reason in ["No such file", "not a library", "does not export SKF_EnumDev", "does not export C_GetFunctionList"] {
        assert!(told.contains(reason), "{reason}: {told}");
    }
}
