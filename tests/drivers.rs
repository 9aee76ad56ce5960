//! `sealagent sign` with each kind of driver, from the configuration file to the sealed document, verified by `sealagent verify` and by
//! OpenSSL. The tokens are virtual; library, module, card service, worker and command line are the real ones.
//!
//! What is not installed (`pcscd` with vpcd, the samples) makes its case *ignored*.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "common/worker.rs"]
mod worker;

#[cfg(unix)]
#[path = "../drivers/pcsc/tests/card/service.rs"]
mod service;

use std::{
    fs,
    io::{Read as _, Write as _},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

use jiff::{SignedDuration, Timestamp};
use libtest_mimic::{Arguments, Trial};
use sealagent::{
    ofd::write::{Item, NewDocument, NewPage},
    ses::{CertList, Picture, PictureFormat, SealDraft, SesSignature, Version},
    stamp::SizeMm,
};
use sealauthority::{CertificateProfile, CertificationRequest, KeyProtection, Name, Region, RegionNames};
use tempfile::TempDir;
use ukey::{KeyUsage, Pin, Sm2PublicKey};
use ukey_virtual::{Token, TokenOptions};

const PIN: &str = "73826190";

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Pcsc,
    Pkcs11,
    Skf,
    Virtual,
}

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

/// A company with its seal and token, and the folders of the agent.
struct Rig {
    dir: TempDir,
    token: Token,
    public_key: Sm2PublicKey,
    seal_code: String,
    seal: Vec<u8>,
}

impl Rig {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let yesterday = Timestamp::now() - SignedDuration::from_hours(24);
        let names = RegionNames { id: "shenzhen".into(), name: "深圳".into(), division: "440300".into() };
        let mut region = Region::init(&dir.path().join("region"), &names, &KeyProtection::PlainForPilot, yesterday).unwrap();
        region.write_trust_folder(&dir.path().join("trust")).unwrap();
        let pin = Pin::new(PIN.as_bytes().to_vec()).unwrap();
        let token = Token::create(&dir.path().join("tokens"), "公章", &pin, TokenOptions::default()).unwrap();
        let mut unlocked = token.login(&pin).unwrap();
        let (key, public_key) = unlocked.generate_key(KeyUsage::Signing).unwrap();
        unlocked.generate_key(KeyUsage::Encryption).unwrap();
        let code = region.next_seal_code().unwrap();
        let subject = Name::seal_owner("91110108756730417W", "深圳市某某科技有限公司", &code);
        let info = CertificationRequest::to_be_signed(&public_key, &subject).unwrap();
        let signature = unlocked.sign_message(&key, &info).unwrap();
        let request = CertificationRequest::read(&CertificationRequest::assemble(&info, &signature)).unwrap();
        let profile = CertificateProfile::CompanySigning;
        let certificate = region.issue(profile, request.subject(), request.public_key(), yesterday, 365).unwrap();
        token.put_certificate(&key, &certificate).unwrap();
        let draft = SealDraft {
            es_id: code.clone(),
            vid: "sealagent".into(),
            kind: 1,
            name: "深圳市某某科技有限公司合同专用章".into(),
            cert_list: CertList::Certificates(vec![certificate]),
            created: yesterday,
            valid_from: yesterday,
            valid_to: yesterday + SignedDuration::from_hours(24 * 365),
            picture: picture(),
            extensions: Vec::new(),
        };
        let seal = region.make_seal(&draft, Version::V4).unwrap().raw().to_vec();
        token.put_seal(&seal).unwrap();
        Self { dir, token, public_key, seal_code: code, seal }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn agent(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sealagent"));
        assert!(worker::program().is_file());
        command.arg("--config").arg(self.path("config.toml")).args(arguments).env("LC_ALL", "C.UTF-8");
        for (variable, folder) in [("XDG_DATA_HOME", "data"), ("XDG_STATE_HOME", "state"), ("XDG_CONFIG_HOME", "config")] {
            command.env(variable, self.path(folder));
        }
        let switches = self.path("switches.json");
        fs::write(&switches, serde_json::json!({ "folder": self.path("tokens") }).to_string()).unwrap();
        command.env("UKEY_VIRTUAL_SKF", &switches).env("UKEY_VIRTUAL_PKCS11", &switches);
        command
    }

    fn configure(&self, kind: Kind) {
        let driver = match kind {
            Kind::Pcsc => "[[driver]]\nkind = \"pcsc\"\n".to_owned(),
            Kind::Pkcs11 => driver_section("pkcs11", &library("pkcs11")),
            Kind::Skf => driver_section("skf", &library("skf")),
            Kind::Virtual => driver_section("virtual", &self.path("tokens")),
        };
        fs::write(self.path("config.toml"), driver).unwrap();
    }
}

fn driver_section(kind: &str, library: &Path) -> String {
    format!("[[driver]]\nkind = \"{kind}\"\nlibrary = '{}'\n", library.display())
}

/// What cargo built beside the test program.
fn library(name: &str) -> PathBuf {
    let folder = std::env::current_exe().unwrap().parent().unwrap().to_owned();
    folder.join(format!("{}ukey_virtual_{name}{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX))
}

/// The smallest PNG there is: one red pixel.
fn picture() -> Picture {
    const PNG: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC";
    let data = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, PNG).unwrap();
    Picture { kind: "png".into(), format: PictureFormat::Png, data, width_mm: 40, height_mm: 40 }
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn with_pin(mut command: Command) -> Output {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(PIN.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn signs_and_verifies(kind: Kind, document: &[u8]) {
    let rig = Rig::new();
    rig.configure(kind);
    let input = rig.path("input.ofd");
    fs::write(&input, document).unwrap();
    #[cfg(unix)]
    let _card = (kind == Kind::Pcsc).then(|| {
        // A card holds no seal: it comes from the store.
        fs::write(rig.path("seal.esl"), &rig.seal).unwrap();
        let imported = rig.agent(&["seal", "import"]).arg(rig.path("seal.esl")).output().unwrap();
        assert!(imported.status.success(), "{}", said(&imported));
        let card =
            ukey_virtual_card::Card::new(rig.token.clone(), ukey_virtual_card::Switches { openpgp: false, ..Default::default() });
        ukey_virtual_card::Inserted::new(service::port(0), card).unwrap()
    });
    let start = Instant::now();
    loop {
        let tokens = rig.agent(&["tokens"]).output().unwrap();
        if String::from_utf8_lossy(&tokens.stdout).contains(if kind == Kind::Pcsc { "CanoKey" } else { "公章" }) {
            break;
        }
        assert!(start.elapsed() < Duration::from_secs(5), "{}", said(&tokens));
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
    let rig = Rig::new();
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
