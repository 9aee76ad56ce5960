//! What we make, judged by programs that we did not write: OpenSSL, Bouncy Castle (tests/judges/BcJudge.java) and the ofd-core crate
//! (tests/judges/ofd-core). Each must accept the good file first and refuse it with one byte changed. Debian's pinentry must ask as we
//! say. Where a judge is not installed its cases are reported as ignored; `scripts/setup-debian.sh --test` installs all of them.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

#[path = "common/world.rs"]
mod world;

#[cfg(unix)]
#[path = "judges/pinentry.rs"]
mod pinentry;
#[path = "judges/regions.rs"]
mod regions;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use libtest_mimic::{Arguments, Failed, Trial};
use sealagent::ses::{SesSignature, Version};
use sealagent::sm::sm3;
use sealauthority::{
    CertificateProfile, CertificateStatus, Identity, Name, PrivateKey, SerialNumber, SingleResponse, issue_ocsp_response,
    issue_time_stamp,
};
use world::{World, contract, entry, with_entry};

const SIGNATURE_XML: &str = "Doc_0/Signs/Sign_0/Signature.xml";
const SIGNED_VALUE: &str = "Doc_0/Signs/Sign_0/SignedValue.dat";
const JARS: [&str; 3] = ["/usr/share/java/bcprov.jar", "/usr/share/java/bcpkix.jar", "/usr/share/java/bcutil.jar"];

fn main() {
    let arguments = Arguments::from_args();
    let no_java = !runs("javac", "-version") || JARS.iter().any(|jar| !Path::new(jar).exists());
    let no_openssl = !runs("openssl", "version");
    let mut trials = Vec::new();
    let mut case = |name: &str, missing: bool, run: fn() -> Result<(), Failed>| {
        trials.push(Trial::test(name, run).with_ignored_flag(missing));
    };
    case("openssl_verifies_tbs_sign_with_the_signers_key", no_openssl, openssl_tbs_sign);
    case("bouncy_castle_verifies_seals_of_all_versions", no_java, bouncy_castle_seals);
    case("bouncy_castle_verifies_the_signed_value", no_java, bouncy_castle_value);
    case("bouncy_castle_verifies_the_sealed_ofd", no_java, bouncy_castle_ofd);
    case("bouncy_castle_verifies_three_seals_on_one_ofd", no_java, bouncy_castle_three);
    case("bouncy_castle_builds_the_path_with_its_revocation_lists", no_java, bouncy_castle_path);
    case("bouncy_castle_verifies_lists_answers_and_statements_of_regions", no_java, regions::by_bouncy_castle);
    case("openssl_verifies_lists_answers_and_statements_of_regions", no_openssl, regions::by_openssl);
    case("bouncy_castle_verifies_our_ocsp_answers", no_java, bouncy_castle_ocsp);
    case("openssl_reads_our_ocsp_question_as_its_own", no_openssl, openssl_ocsp_question);
    case("bouncy_castle_verifies_our_time_stamps", no_java, bouncy_castle_time_stamp);
    case("ofd_core_reads_the_sealed_ofd_and_its_digests", false, ofd_core);
    #[cfg(unix)]
    case("pinentry_tty_asks_screen_after_screen", !Path::new(pinentry::PROGRAM).exists(), pinentry::asks_screen_after_screen);
    libtest_mimic::run(&arguments, trials).exit();
}

fn runs(program: &str, argument: &str) -> bool {
    Command::new(program).arg(argument).output().is_ok_and(|out| out.status.success())
}

/// Files of one case and the verdicts on them.
struct Bench {
    folder: tempfile::TempDir,
    world: World,
    sealed: Vec<u8>,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let world = World::new(&folder.path().join("region"));
        let sealed = world.sign(&contract(2, 5), Version::V4);
        Self { folder, world, sealed }
    }

    fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    }
}

/// Good must be accepted, every bad one refused: a judge that refuses everything looks like a working judge.
fn judge(accepts: impl Fn(&[u8]) -> bool, good: &[u8], bad: &[(&str, Vec<u8>)]) -> Result<(), Failed> {
    if !accepts(good) {
        return Err("the judge refuses the good one".into());
    }
    match bad.iter().find(|(_, bytes)| accepts(bytes)) {
        Some((what, _)) => Err(format!("the judge accepts {what}").into()),
        None => Ok(()),
    }
}

fn flipped(bytes: &[u8], at: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[at] ^= 1;
    bytes
}

fn openssl_tbs_sign() -> Result<(), Failed> {
    let bench = Bench::new();
    let signed = SesSignature::parse(&entry(&bench.sealed, SIGNED_VALUE)).unwrap();
    let key = bench.file("signer.pem", pem_of_public_key(&bench.world).as_bytes());
    let signature = bench.file("signature", signed.signature());
    let accepts = |message: &[u8]| {
        let message = bench.file("message", message);
        Command::new("openssl")
            .args(["dgst", "-sm3", "-sigopt", "distid:1234567812345678", "-verify"])
            .arg(&key)
            .arg("-signature")
            .arg(&signature)
            .arg(message)
            .output()
            .unwrap()
            .status
            .success()
    };
    let tbs = signed.signed_bytes();
    judge(accepts, tbs, &[("a changed first byte", flipped(tbs, 8)), ("a changed last byte", flipped(tbs, tbs.len() - 1))])
}

fn pem_of_public_key(world: &World) -> String {
    let point = world.key.public_key().to_sec1();
    let algorithm = b"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x81\x1c\xcf\x55\x01\x82\x2d\x03\x42\x00";
    sealauthority::pem::encode("PUBLIC KEY", &[algorithm.as_slice(), &point].concat())
}

/// Compiles the judge once; its classes lie in the target folder.
fn bouncy_castle(arguments: &[&Path], command: &str) -> bool {
    static CLASSES: OnceLock<PathBuf> = OnceLock::new();
    let classes = CLASSES.get_or_init(|| {
        let classes = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bc-judge");
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/judges/BcJudge.java");
        let compiled = Command::new("javac").args(["-cp", &JARS.join(":"), "-d"]).arg(&classes).arg(source).status().unwrap();
        assert!(compiled.success(), "BcJudge.java does not compile");
        classes
    });
    let output = Command::new("java")
        .args(["-XX:TieredStopAtLevel=1", "-cp", &format!("{}:{}", classes.display(), JARS.join(":")), "BcJudge", command])
        .args(arguments)
        .output()
        .unwrap();
    output.status.success()
}

fn bouncy_castle_seals() -> Result<(), Failed> {
    let bench = Bench::new();
    for version in [Version::V1, Version::V4, Version::V5] {
        let seal = bench.world.seal(version);
        let raw = seal.raw();
        let name = raw.windows(6).position(|w| w == "合同".as_bytes()).unwrap();
        let accepts = |bytes: &[u8]| bouncy_castle(&[&bench.file("seal.esl", bytes)], "ses");
        judge(accepts, raw, &[("a changed name", flipped(raw, name + 5)), ("a changed signature", flipped(raw, raw.len() - 1))])
            .map_err(|e| format!("{version}: {}", e.message().unwrap_or_default()))?;
    }
    Ok(())
}

fn bouncy_castle_value() -> Result<(), Failed> {
    let bench = Bench::new();
    let description = bench.file("Signature.xml", &entry(&bench.sealed, SIGNATURE_XML));
    let value = entry(&bench.sealed, SIGNED_VALUE);
    let accepts = |bytes: &[u8]| bouncy_castle(&[&bench.file("SignedValue.dat", bytes), &description], "ses");
    let name = value.windows(6).position(|w| w == "合同".as_bytes()).unwrap();
    judge(
        accepts,
        &value,
        &[("a changed seal", flipped(&value, name + 5)), ("a changed signature", flipped(&value, value.len() - 1))],
    )?;
    let other = bench.file("Signature.xml", &flipped(&entry(&bench.sealed, SIGNATURE_XML), 60));
    if bouncy_castle(&[&bench.file("SignedValue.dat", &value), &other], "ses") {
        return Err("the judge accepts another Signature.xml".into());
    }
    Ok(())
}

fn changed_packages(sealed: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let flip = |name: &'static str, from_end: usize| {
        with_entry(sealed, name, move |bytes| {
            let at = bytes.len() - from_end;
            bytes[at] ^= 1;
        })
    };
    vec![
        ("a changed page", flip("Doc_0/Pages/Page_0/Content.xml", 60)),
        ("a changed Signature.xml", flip(SIGNATURE_XML, 60)),
        ("a changed signed value", flip(SIGNED_VALUE, 1)),
        ("a changed seal file", flip("Doc_0/Signs/Sign_0/Seal.esl", 1)),
    ]
}

fn bouncy_castle_ofd() -> Result<(), Failed> {
    let bench = Bench::new();
    let accepts = |bytes: &[u8]| bouncy_castle(&[&bench.file("sealed.ofd", bytes)], "ofd");
    judge(accepts, &bench.sealed, &changed_packages(&bench.sealed))
}

fn bouncy_castle_three() -> Result<(), Failed> {
    let bench = Bench::new();
    let thrice = bench.world.sign(&bench.world.sign(&bench.sealed, Version::V5), Version::V1);
    let accepts = |bytes: &[u8]| bouncy_castle(&[&bench.file("sealed.ofd", bytes)], "ofd");
    let first = with_entry(&thrice, SIGNED_VALUE, |bytes| *bytes.last_mut().unwrap() ^= 1);
    judge(accepts, &thrice, &[("a changed first value", first)])
}

fn bouncy_castle_path() -> Result<(), Failed> {
    let mut bench = Bench::new();
    let now = world::SIGNED_AT.parse().unwrap();
    let root = bench.file("root.cer", bench.world.region.root().der());
    let ca = bench.file("ca.cer", bench.world.region.ca().der());
    let at: PathBuf = "1793606400".into(); // 2026-11-02T08:00:00Z
    let crls = |bench: &Bench| {
        let trust = bench.folder.path().join("trust");
        let _ = fs::remove_dir_all(&trust);
        bench.world.region.write_trust_folder(&trust).unwrap();
        fs::read_dir(trust.join("crls")).unwrap().map(|e| e.unwrap().path()).collect::<Vec<_>>()
    };
    let accepts = |leaf: &[u8], crls: &[PathBuf]| {
        let leaf = bench.file("leaf.cer", leaf);
        let (crl, when) = (Path::new("--crl"), Path::new("--at"));
        let mut arguments = vec![root.as_path(), &ca, &leaf, when, &at];
        crls.iter().for_each(|path| arguments.extend([crl, path]));
        bouncy_castle(&arguments, "path")
    };
    let lists = crls(&bench);
    let good = bench.world.certificate.clone();
    judge(
        |leaf| accepts(leaf, &lists),
        &good,
        &[("a changed signature", flipped(&good, good.len() - 1)), ("a changed name", flipped(&good, good.len() / 2))],
    )?;
    let serial =
        sealauthority::certificate::SerialNumber::new(sealagent::pki::Certificate::parse(&good).unwrap().serial()).unwrap();
    bench.world.region.revoke(&serial, None, now).unwrap();
    let lists = crls(&bench);
    let leaf = bench.file("leaf.cer", &good);
    let mut arguments = vec![root.as_path(), &ca, &leaf, Path::new("--at"), Path::new("1793692800")];
    lists.iter().for_each(|path| arguments.extend([Path::new("--crl"), path]));
    if bouncy_castle(&arguments, "path") { Err("the judge accepts the revoked certificate".into()) } else { Ok(()) }
}

/// Somebody of the region with a certificate for `profile`.
fn officer(bench: &mut Bench, profile: CertificateProfile) -> Identity {
    let key = PrivateKey::generate().unwrap();
    let name = Name::seal_owner(world::USCC, "深圳市示例科技有限公司", "44030000000002");
    let certificate = bench.world.region.issue(profile, &name, &key.public_key(), world::MADE_AT.parse().unwrap(), 365).unwrap();
    Identity::new(key, &certificate).unwrap()
}

/// Where the last of these bytes begins.
fn last(bytes: &[u8], part: &[u8]) -> usize {
    bytes.windows(part.len()).rposition(|window| window == part).unwrap()
}

/// By a responder of the CA, and by the CA itself.
fn bouncy_castle_ocsp() -> Result<(), Failed> {
    let mut bench = Bench::new();
    let at = world::SIGNED_AT.parse().unwrap();
    let responder = officer(&mut bench, CertificateProfile::OcspResponder);
    let leaf = sealagent::pki::Certificate::parse(&bench.world.certificate).unwrap();
    let serial = SerialNumber::new(leaf.serial()).unwrap();
    let ca = bench.world.region.ca();
    let (issuer, subject) = (bench.file("ca.cer", ca.der()), bench.file("leaf.cer", leaf.der()));
    let accepts = |response: &[u8]| bouncy_castle(&[&issuer, &subject, &bench.file("response", response)], "ocsp");
    let answer = |by: &Identity, serial: SerialNumber| {
        let single = SingleResponse { serial, status: CertificateStatus::Good, this_update: at, next_update: None };
        issue_ocsp_response(by, ca.certificate(), &[single], at, None)
    };
    for by in [&responder, ca] {
        let good = answer(by, serial.clone());
        let bad = [
            ("a changed time", flipped(&good, last(&good, b"20261102080000Z") + 6)),
            ("a changed last byte", flipped(&good, good.len() - 1)),
            ("an answer about another certificate", answer(by, SerialNumber::from_number(7u64.try_into().unwrap()))),
        ];
        judge(accepts, &good, &bad)?;
    }
    let stranger = officer(&mut Bench::new(), CertificateProfile::OcspResponder);
    if accepts(&answer(&stranger, serial)) { Err("the judge accepts another CA's responder".into()) } else { Ok(()) }
}

/// What OpenSSL reads in our question is what it reads in its own about the same certificate, but for the nonce.
fn openssl_ocsp_question() -> Result<(), Failed> {
    let bench = Bench::new();
    let pem = |der: &[u8]| sealauthority::pem::encode(sealauthority::pem::CERTIFICATE, der);
    let (ca, leaf) = (bench.world.region.ca(), &bench.world.certificate);
    let issuer = bench.file("ca.pem", pem(ca.der()).as_bytes());
    let subject = bench.file("leaf.pem", pem(leaf).as_bytes());
    let theirs = bench.file("theirs", b"");
    let openssl = |arguments: &[&str], files: &[&Path]| {
        let output = Command::new("openssl").arg("ocsp").args(arguments).args(files).output().unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let mut command = Command::new("openssl");
    command.args(["ocsp", "-issuer"]).arg(&issuer).args(["-sm3", "-cert"]).arg(&subject);
    let made = command.args(["-no_nonce", "-reqout"]).arg(&theirs).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let (_, expected) = openssl(&["-req_text", "-reqin"], &[&theirs]);
    let leaf = sealagent::pki::Certificate::parse(leaf).unwrap();
    let ours = sealagent::pki::ocsp::request(&leaf, ca.certificate(), &[0xa7; 16]);
    let accepts = |question: &[u8]| {
        let (good, text) = openssl(&["-req_text", "-reqin"], &[&bench.file("ours", question)]);
        let nonce = ["A7"; 16].concat();
        good && text.starts_with(expected.trim_end()) && text.contains("OCSP Nonce") && text.contains(&nonce)
    };
    let id = ours.windows(32).position(|window| window == sm3(ca.certificate().subject().raw()).0).unwrap();
    judge(accepts, &ours, &[("a changed issuer", flipped(&ours, id)), ("a changed length", flipped(&ours, 1))])
}

fn bouncy_castle_time_stamp() -> Result<(), Failed> {
    let mut bench = Bench::new();
    let authority = officer(&mut bench, CertificateProfile::TimeStampAuthority);
    let at = world::SIGNED_AT.parse().unwrap();
    let serial = SerialNumber::from_number(77u64.try_into().unwrap());
    let token = issue_time_stamp(&authority, &sm3(b"a signature value"), at, &serial, None).unwrap();
    let certificate = bench.file("tsa.cer", authority.der());
    let (data, other) = (bench.file("data", b"a signature value"), bench.file("other", b"a signature valud"));
    let accepts = |token: &[u8]| bouncy_castle(&[&certificate, &data, &bench.file("token", token)], "tsp");
    let time = token.windows(15).position(|window| window == b"20261102080000Z").unwrap();
    judge(
        accepts,
        &token,
        &[("a changed time", flipped(&token, time + 6)), ("a changed signature", flipped(&token, token.len() - 1))],
    )?;
    if bouncy_castle(&[&certificate, &other, &bench.file("token", &token)], "tsp") {
        return Err("the judge accepts the stamp of other data".into());
    }
    Ok(())
}

fn ofd_core() -> Result<(), Failed> {
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/judges/ofd-core/Cargo.toml");
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let built = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--locked", "--manifest-path", manifest, "--target-dir"])
        .arg(target)
        .status()
        .unwrap();
    assert!(built.success(), "the ofd-core judge does not build");
    let bench = Bench::new();
    let accepts = |bytes: &[u8]| {
        let path = bench.file("sealed.ofd", bytes);
        Command::new(target.join("debug/ofd-core-judge")).arg(path).arg("1").output().unwrap().status.success()
    };
    let changed = with_entry(&bench.sealed, "Doc_0/Pages/Page_0/Content.xml", |bytes| {
        let at = bytes.len() - 60;
        bytes[at] ^= 1;
    });
    judge(accepts, &bench.sealed, &[("a changed page", changed)])
}
