//! A company with its seal and token, and the real programs on the command line.

#![allow(dead_code, reason = "several tests share it, and each uses its part")]

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use jiff::{SignedDuration, Timestamp};
use sealagent::ses::{CertList, Picture, PictureFormat, SealDraft, Version};
use sealauthority::{CertificateProfile, CertificationRequest, KeyProtection, Name, Region, RegionNames};
use tempfile::TempDir;
use ukey::{KeyUsage, Pin, Sm2PublicKey};
use ukey_virtual::{Token, TokenOptions};

/// The token's PIN.
pub const PIN: &str = "73826190";

/// The kinds of driver.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// A card through the service.
    Pcsc,
    /// Our PKCS#11 module.
    Pkcs11,
    /// Our SKF library.
    Skf,
    /// The virtual token itself.
    Virtual,
}

/// A company with its seal and token, and the folders of the agent.
pub struct Rig {
    /// Everything that is on the disk.
    pub dir: TempDir,
    /// The token.
    pub token: Token,
    /// Its signing key.
    pub public_key: Sm2PublicKey,
    /// Code of the seal.
    pub seal_code: String,
    /// The seal, which is on the token.
    pub seal: Vec<u8>,
}

impl Rig {
    /// All of it, with a certificate for so many days from yesterday.
    pub fn new(days: u32) -> Self {
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
        let certificate = region.issue(profile, request.subject(), request.public_key(), yesterday, days).unwrap();
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

    /// A file of it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The agent's program, about to run with these arguments.
    pub fn agent(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sealagent"));
        command.arg("--config").arg(self.path("config.toml")).args(arguments).env("LC_ALL", "C.UTF-8");
        for (variable, folder) in [("XDG_DATA_HOME", "data"), ("XDG_STATE_HOME", "state"), ("XDG_CONFIG_HOME", "config")] {
            command.env(variable, self.path(folder));
        }
        let switches = self.path("switches.json");
        fs::write(&switches, serde_json::json!({ "folder": self.path("tokens") }).to_string()).unwrap();
        command.env("UKEY_VIRTUAL_SKF", &switches).env("UKEY_VIRTUAL_PKCS11", &switches);
        command
    }

    /// Writes the configuration with one driver.
    pub fn configure(&self, kind: Kind) {
        let driver = match kind {
            Kind::Pcsc => "[[driver]]\nkind = \"pcsc\"\n".to_owned(),
            Kind::Pkcs11 => driver_section("pkcs11", &library("pkcs11")),
            Kind::Skf => driver_section("skf", &library("skf")),
            Kind::Virtual => driver_section("virtual", &self.path("tokens")),
        };
        fs::write(self.path("config.toml"), driver).unwrap();
    }
}

/// `[[driver]]` of a configuration.
pub fn driver_section(kind: &str, library: &Path) -> String {
    format!("[[driver]]\nkind = \"{kind}\"\nlibrary = '{}'\n", library.display())
}

/// What cargo built beside the test program.
pub fn library(name: &str) -> PathBuf {
    let folder = std::env::current_exe().unwrap().parent().unwrap().to_owned();
    folder.join(format!("{}ukey_virtual_{name}{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX))
}

/// The smallest PNG there is: one red pixel.
fn picture() -> Picture {
    const PNG: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC";
    let data = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, PNG).unwrap();
    Picture { kind: "png".into(), format: PictureFormat::Png, data, width_mm: 40, height_mm: 40 }
}

/// All that a program printed.
pub fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Runs a program with the PIN on its standard input.
pub fn with_pin(mut command: Command) -> Output {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(PIN.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}
