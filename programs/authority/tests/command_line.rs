//! `sealauthority` as people and scripts call it.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use sealagent::pki::Certificate;
use sealagent::ses::{PictureFormat, Seal, Version};
use sealauthority::{CertificationRequest, Name, PrivateKey, pem};
use ukey::{KeyUsage, Pin};
use ukey_virtual::Token;

const USCC: &str = "91440300MA5DEM0006";

fn run_in(folder: &Path, locale: &str, arguments: &[&str], input: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sealauthority"));
    command.args(arguments).current_dir(folder).env("LC_ALL", locale);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // A program that does not want the input may have closed it already.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

fn run(folder: &Path, arguments: &[&str], input: &str) -> Output {
    run_in(folder, "C.UTF-8", arguments, input)
}

fn good(folder: &Path, arguments: &[&str], input: &str) -> String {
    let output = run(folder, arguments, input);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn refused(folder: &Path, arguments: &[&str], input: &str) -> String {
    let output = run(folder, arguments, input);
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {output:?}");
    String::from_utf8(output.stderr).unwrap()
}

/// A folder with a pilot region `sz` in it.
fn pilot() -> tempfile::TempDir {
    let temp = tempfile::tempdir().unwrap();
    good(temp.path(), &["init", "sz", "--region", "shenzhen", "--name", "深圳", "--division", "440300", "--pilot"], "");
    temp
}

fn ukey_arguments(uscc: &str) -> Vec<&str> {
    let name = "深圳市某某科技有限公司";
    vec!["ukey", "sz", "--tokens", "t", "--label", "合同章", "--uscc", uscc, "--name", name, "--pin-fd", "0", "--json"]
}

#[test]
fn ukey_holds_key_certificate_and_seal_of_one_company() {
    let temp = pilot();
    let said = good(temp.path(), &ukey_arguments(USCC), "135790\n");
    let said: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(said["esId"], "44030000000001");

    let token = Token::list(&temp.path().join("t")).unwrap().remove(0);
    assert_eq!(token.id().0, said["token"]);
    let keys = token.keys().unwrap();
    assert_eq!((keys.len(), keys[0].usage), (1, KeyUsage::Signing));
    let certificate = Certificate::parse(&keys[0].certificate.as_ref().unwrap().0).unwrap();
    assert_eq!(certificate.key().sm2(), Some(&keys[0].public_key));
    let subject = Name::seal_owner(USCC, "深圳市某某科技有限公司", "44030000000001").to_der().unwrap();
    assert_eq!(certificate.subject().raw(), subject);

    let seal = Seal::parse(&token.seals().unwrap()[0]).unwrap();
    assert_eq!((seal.version(), seal.es_id()), (Version::V4, "44030000000001"));
    assert_eq!(seal.lists_certificate(certificate.der()), Some(true));
    assert_eq!((seal.picture().format, seal.picture().width_mm), (PictureFormat::Png, 40));

    let pin = |text: &str| Pin::new(text.as_bytes().to_vec()).unwrap();
    assert!(token.login(&pin("135791")).is_err());
    assert!(token.login(&pin("135790")).is_ok());
}

#[test]
fn ukey_that_cannot_be_finished_leaves_nothing_behind() {
    let temp = pilot();
    let said = refused(temp.path(), &ukey_arguments("91440300MA5DEM0007"), "135790\n");
    assert!(said.contains("check character") && said.contains("hint: "), "{said}");
    assert!(Token::list(&temp.path().join("t")).unwrap().is_empty());
    let said = refused(temp.path(), &ukey_arguments(USCC), "12345\n");
    assert!(said.contains("6 to 16"), "{said}");
    assert!(Token::list(&temp.path().join("t")).unwrap().is_empty());
}

#[test]
fn certificate_from_a_request_and_a_seal_for_it() {
    let temp = pilot();
    let key = PrivateKey::generate().unwrap();
    let request = CertificationRequest::make(&key, &Name::china().common_name("whatever I like")).unwrap();
    std::fs::write(temp.path().join("r.csr"), pem::encode(pem::REQUEST[0], &request)).unwrap();
    let name = ["--uscc", USCC, "--name", "某某公司"];
    good(temp.path(), &[&["issue", "sz", "r.csr", "-o", "c.cer"], name.as_slice()].concat(), "");
    let certificate = pem::decode(&std::fs::read(temp.path().join("c.cer")).unwrap(), &[pem::CERTIFICATE]).unwrap();
    let certificate = Certificate::parse(&certificate).unwrap();
    assert_eq!(certificate.key().sm2(), Some(&key.public_key()));
    assert!(certificate.subject().to_string().contains("某某公司"), "the authority decides the name");

    for (version, expected) in [("v1", Version::V1), ("v4", Version::V4), ("v5", Version::V5)] {
        let seal = ["seal", "sz", "--certificate", "c.cer", "--name", "某某公司", "--caption", "合同专用章", "-o", "s.esl"];
        good(temp.path(), &[seal.as_slice(), &["--version", version]].concat(), "");
        let seal = Seal::parse(&std::fs::read(temp.path().join("s.esl")).unwrap()).unwrap();
        assert_eq!((seal.version(), seal.property().name.as_str()), (expected, "某某公司合同专用章"));
        assert_eq!(seal.lists_certificate(certificate.der()), Some(true));
    }
    std::fs::write(temp.path().join("p.txt"), "no picture").unwrap();
    let wrong = ["seal", "sz", "--certificate", "c.cer", "--name", "某", "-o", "x.esl", "--picture", "p.txt"];
    assert!(refused(temp.path(), &wrong, "").contains("p.txt is not a PNG"));
    assert!(!temp.path().join("x.esl").exists());

    let serial = certificate.serial_hex();
    good(temp.path(), &["revoke", "sz", &serial, "--reason", "key-compromise"], "");
    assert!(refused(temp.path(), &["revoke", "sz", &serial], "").contains("revoked already"));
}

#[test]
fn changed_request_is_refused() {
    let temp = pilot();
    let key = PrivateKey::generate().unwrap();
    let mut request = CertificationRequest::make(&key, &Name::china().common_name("某")).unwrap();
    *request.last_mut().unwrap() ^= 1;
    std::fs::write(temp.path().join("r.csr"), &request).unwrap();
    let said = refused(temp.path(), &["issue", "sz", "r.csr", "-o", "c.cer"], "");
    assert!(said.contains("holds the key"), "{said}");
    assert!(!temp.path().join("c.cer").exists());
}

#[test]
fn failures_are_told_in_the_language_of_the_system() {
    let temp = tempfile::tempdir().unwrap();
    let said = |locale| String::from_utf8(run_in(temp.path(), locale, &["crl", "none"], "").stderr).unwrap();
    assert!(said("C.UTF-8").starts_with("none holds no authority."), "{}", said("C.UTF-8"));
    assert!(said("zh_CN.UTF-8").contains("提示："));
}

#[test]
fn second_init_is_refused_before_a_passphrase_is_asked_for() {
    let temp = pilot();
    let said = refused(temp.path(), &["init", "sz", "--region", "shenzhen", "--name", "深圳", "--passphrase-fd", "0"], "");
    assert!(said.contains("not empty"), "{said}");
}

#[test]
fn next_list_key_is_opened_by_the_passphrase_of_the_others() {
    let temp = tempfile::tempdir().unwrap();
    let with_passphrase = |words: &[&str]| good(temp.path(), &[words, &["--passphrase-fd", "0"]].concat(), "a long passphrase\n");
    with_passphrase(&["init", "r", "--region", "shenzhen", "--name", "深圳"]);
    let announced = with_passphrase(&["list-key", "r", "announce"]);
    let key = std::fs::read_to_string(temp.path().join("r/keys/list-next.key")).unwrap();
    assert!(key.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----"));
    assert_eq!(with_passphrase(&["list-key", "r", "switch"]), announced);
    with_passphrase(&["publish", "r", "out"]);
    assert!(temp.path().join("out/trust-list.p7b").is_file());
}

#[test]
fn passphrase_comes_from_a_descriptor_and_never_from_an_argument() {
    let temp = tempfile::tempdir().unwrap();
    let init = ["init", "r", "--region", "shenzhen", "--name", "深圳", "--passphrase-fd", "0"];
    assert!(refused(temp.path(), &init, "short\n").contains("too short"));
    good(temp.path(), &init, "a long passphrase\n");
    good(temp.path(), &["crl", "r", "--passphrase-fd", "0"], "a long passphrase\n");
    assert!(refused(temp.path(), &["crl", "r", "--passphrase-fd", "0"], "a wrong passphrase\n").contains("passphrase is wrong"));
    let help = good(temp.path(), &["init", "--help"], "");
    assert!(!help.contains("--passphrase ") && !help.contains("--passphrase="), "{help}");
}
