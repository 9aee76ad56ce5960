//! OpenSSL judges what the authority issues. It must accept the good artefact first, and refuse it with one byte changed.
//!
//! OpenSSL's default SM2 id is empty, so the id is given everywhere; where its command line cannot take one (whole paths with their
//! root, revocation lists), the library is asked by a few lines of C (`tests/chain.c`), or the signed bytes are cut out and given to
//! `openssl dgst`. Needs `openssl`, a C compiler and OpenSSL's headers: `scripts/setup-debian.sh --test` installs them.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use base64::Engine as _;
use jiff::{SignedDuration, Timestamp};
use sealagent::asn1::{SEQUENCE, Tlv};
use sealauthority::{
    CertificateProfile, CertificationRequest, CrlContents, Identity, IssueError, Name, PrivateKey, RevocationReason,
    RevokedCertificate, SerialNumber, Validity, issue_certificate, issue_crl, self_signed,
};

const ID: &str = "distid:1234567812345678";

fn openssl(arguments: &[&str], files: &[&Path]) -> Output {
    let mut command = Command::new("openssl");
    command.args(arguments).args(files);
    command.output().expect("openssl runs: install it with scripts/setup-debian.sh --test")
}

fn pem(label: &str, der: &[u8]) -> String {
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let lines: Vec<&str> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

/// A scratch folder with the region's paths of certificates.
struct Bench {
    folder: tempfile::TempDir,
    root: Identity,
    ca: Identity,
}

fn serial(n: u64) -> SerialNumber {
    SerialNumber::from_number(n.try_into().unwrap())
}

fn years(n: i64) -> Validity {
    let now = Timestamp::now();
    Validity { not_before: now - SignedDuration::from_hours(1), not_after: now + SignedDuration::from_hours(24 * 365 * n) }
}

impl Bench {
    fn new() -> Self {
        let root = self_signed(
            PrivateKey::generate().unwrap(),
            &Name::china().organization("深圳").common_name("深圳 ROOT"),
            years(30), // ends after 2049: GeneralizedTime
            &serial(1),
        )
        .unwrap();
        let key = PrivateKey::generate().unwrap();
        let name = Name::china().organization("深圳").common_name("深圳 CA");
        let ca =
            issue_certificate(&root, CertificateProfile::IssuingCa, &name, &key.public_key(), years(10), &serial(2)).unwrap();
        let ca = Identity::new(key, &ca).unwrap();
        Self { folder: tempfile::tempdir().unwrap(), root, ca }
    }

    fn file(&self, name: &str, contents: impl AsRef<[u8]>) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, contents).unwrap();
        path
    }

    fn certificate(&self, name: &str, der: &[u8]) -> PathBuf {
        self.file(name, pem("CERTIFICATE", der))
    }

    fn issue(&self, profile: CertificateProfile) -> Vec<u8> {
        let key = PrivateKey::generate().unwrap();
        let name = Name::seal_owner("91440300MA5DEMO00X", "深圳市某某科技有限公司", "44030000000001");
        issue_certificate(&self.ca, profile, &name, &key.public_key(), years(5), &serial(0x80)).unwrap()
    }

    /// Whether OpenSSL takes `signature` over the first element of `signed` (certificate, list) for the key of `issuer`'s certificate.
    fn dgst(&self, issuer: &[u8], signed: &[u8]) -> bool {
        let parts = Tlv::read_all(signed).unwrap().expect(SEQUENCE).unwrap().children().unwrap();
        let issuer = self.certificate("issuer.pem", issuer);
        let key = openssl(&["x509", "-noout", "-pubkey", "-in"], &[&issuer]).stdout;
        let (key, tbs) = (self.file("key.pem", key), self.file("tbs", parts[0].raw));
        let signature = self.file("signature", parts[2].bit_string().unwrap());
        let output = openssl(&["dgst", "-sm3", "-sigopt", ID, "-verify"], &[&key, Path::new("-signature"), &signature, &tbs]);
        output.status.success() && output.stdout.starts_with(b"Verified OK")
    }

    /// The whole path, judged by OpenSSL's library: root first, leaf last.
    fn chain(&self, path: &[&[u8]]) -> bool {
        let program = self.folder.path().join("chain");
        if !program.exists() {
            let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/chain.c");
            let built = Command::new("cc").arg(source).arg("-o").arg(&program).arg("-lcrypto").status();
            assert!(built.expect("cc runs: scripts/setup-debian.sh --test").success(), "chain.c compiles (libssl-dev)");
        }
        let files: Vec<PathBuf> =
            path.iter().enumerate().map(|(i, der)| self.certificate(&format!("path{i}.pem"), der)).collect();
        let output = Command::new(program).args(files).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(said.starts_with("good") || said.starts_with("bad"), "the judge gave no verdict: {output:?}");
        output.status.success() && said.starts_with("good")
    }
}

/// `der` with one byte changed, `from_end` bytes before its end (1 = the last).
fn changed(der: &[u8], from_end: usize) -> Vec<u8> {
    let mut out = der.to_vec();
    let at = out.len() - from_end;
    out[at] ^= 1;
    out
}

#[test]
fn request_is_accepted_and_a_changed_one_refused() {
    let bench = Bench::new();
    let request = CertificationRequest::make(&PrivateKey::generate().unwrap(), &Name::china().common_name("某公司")).unwrap();
    let verify = |der: &[u8]| {
        let file = bench.file("request.pem", pem("CERTIFICATE REQUEST", der));
        let output = openssl(&["req", "-noout", "-verify", "-vfyopt", ID, "-in"], &[&file]);
        String::from_utf8_lossy(&output.stderr).contains("verify OK") && output.status.success()
    };
    assert!(verify(&request));
    assert!(!verify(&changed(&request, 1)));
}

#[test]
fn request_of_openssl_is_read() {
    let bench = Bench::new();
    let key = bench.folder.path().join("key.pem");
    assert!(openssl(&["genpkey", "-algorithm", "SM2", "-out"], &[&key]).status.success());
    let made = openssl(
        &["req", "-new", "-utf8", "-sm3", "-sigopt", ID, "-subj", "/C=CN/O=某公司/CN=44030000000001", "-outform", "DER", "-key"],
        &[&key],
    );
    assert!(made.status.success(), "{made:?}");
    let request = CertificationRequest::read(&made.stdout).unwrap();
    assert_eq!(request.subject(), &Name::china().organization("某公司").common_name("44030000000001"));
}

#[test]
fn key_files_open_in_openssl() {
    let bench = Bench::new();
    let key = PrivateKey::generate().unwrap();
    let expected = pem("PUBLIC KEY", &{
        let parts = Tlv::read_all(bench.root.der()).unwrap().children().unwrap()[0].children().unwrap();
        let mut spki = parts[6].raw.to_vec();
        let at = spki.len() - 64;
        spki[at..].copy_from_slice(key.public_key().as_bytes());
        spki
    });
    let plain = bench.file("plain.key", key.to_plain_pem().unwrap().as_bytes());
    let output = openssl(&["pkey", "-pubout", "-in"], &[&plain]);
    assert_eq!(String::from_utf8_lossy(&output.stdout), expected, "{output:?}");
    let encrypted = bench.file("encrypted.key", key.to_encrypted_pem(b"passphrase").unwrap().as_bytes());
    let output = openssl(&["pkey", "-pubout", "-passin", "pass:passphrase", "-in"], &[&encrypted]);
    assert_eq!(String::from_utf8_lossy(&output.stdout), expected, "{output:?}");
    assert!(!openssl(&["pkey", "-pubout", "-passin", "pass:other", "-in"], &[&encrypted]).status.success());
}

#[test]
fn every_profile_is_accepted_over_its_own_link_and_a_changed_one_refused() {
    let bench = Bench::new();
    for profile in [
        CertificateProfile::CompanyEncryption,
        CertificateProfile::CompanySigning,
        CertificateProfile::CrlSigner,
        CertificateProfile::OcspResponder,
        CertificateProfile::SealMaker,
        CertificateProfile::TimeStampAuthority,
    ] {
        let good = bench.issue(profile);
        let verify = |der: &[u8]| {
            let (ca, leaf) = (bench.certificate("ca.pem", bench.ca.der()), bench.certificate("leaf.pem", der));
            openssl(&["verify", "-x509_strict", "-vfyopt", ID, "-partial_chain", "-trusted"], &[&ca, &leaf]).status.success()
        };
        assert!(verify(&good), "{profile:?}");
        assert!(!verify(&changed(&good, 1)), "{profile:?}");
        assert!(bench.dgst(bench.ca.der(), &good), "{profile:?}");
        // Some 100 bytes before the end are the signature; before that stand the extensions, which the signature covers.
        assert!(!bench.dgst(bench.ca.der(), &changed(&good, 130)), "{profile:?}");
    }
}

#[test]
fn whole_path_is_accepted_and_refused_with_any_link_changed() {
    let bench = Bench::new();
    let leaf = bench.issue(CertificateProfile::CompanySigning);
    let (root, ca) = (bench.root.der(), bench.ca.der());
    assert!(bench.chain(&[root, ca, &leaf]));
    assert!(!bench.chain(&[&changed(root, 1), ca, &leaf]));
    assert!(!bench.chain(&[root, &changed(ca, 1), &leaf]));
    assert!(!bench.chain(&[root, ca, &changed(&leaf, 1)]));
    assert!(!bench.chain(&[root, &leaf]), "the CA is missing");
}

#[test]
fn below_an_issuing_ca_no_further_ca_counts() {
    let bench = Bench::new();
    let key = PrivateKey::generate().unwrap();
    let name = Name::china().common_name("CA below the CA");
    let below =
        issue_certificate(&bench.ca, CertificateProfile::IssuingCa, &name, &key.public_key(), years(5), &serial(9)).unwrap();
    let below = Identity::new(key, &below).unwrap();
    let leaf_key = PrivateKey::generate().unwrap();
    let leaf = issue_certificate(
        &below,
        CertificateProfile::CompanySigning,
        &Name::china().common_name("leaf"),
        &leaf_key.public_key(),
        years(1),
        &serial(1),
    )
    .unwrap();
    assert!(!bench.chain(&[bench.root.der(), bench.ca.der(), below.der(), &leaf]));
}

#[test]
fn company_signing_certificate_reads_as_the_profile_says() {
    let bench = Bench::new();
    let leaf = bench.certificate("leaf.pem", &bench.issue(CertificateProfile::CompanySigning));
    let output = openssl(&["x509", "-noout", "-text", "-nameopt", "utf8,sep_comma_plus", "-in"], &[&leaf]);
    let text = String::from_utf8_lossy(&output.stdout);
    for expected in [
        "Version: 3",
        "Serial Number: 128 (0x80)",
        "Signature Algorithm: SM2-with-SM3",
        "Subject: C=CN,O=91440300MA5DEMO00X深圳市某某科技有限公司,CN=44030000000001",
        "Issuer: C=CN,O=深圳,CN=深圳 CA",
        "ASN1 OID: SM2",
        "X509v3 Key Usage: critical\n                Digital Signature, Non Repudiation\n",
        "CA:FALSE",
    ] {
        assert!(text.contains(expected), "{expected:?} is missing from:\n{text}");
    }
    let root = bench.certificate("root.pem", bench.root.der());
    let asn1 = openssl(&["asn1parse", "-in"], &[&root]).stdout;
    assert!(String::from_utf8_lossy(&asn1).contains("GENERALIZEDTIME"), "an end after 2049 is GeneralizedTime");
}

#[test]
fn identity_needs_its_own_certificate() {
    let bench = Bench::new();
    assert!(Identity::new(PrivateKey::generate().unwrap(), bench.ca.der()).is_err());
    assert!(Identity::new(bench.ca.key().clone(), b"\x30\x00").is_err());
}

#[test]
fn only_a_ca_issues_and_nothing_outlives_it() {
    let bench = Bench::new();
    let key = PrivateKey::generate().unwrap();
    let name = Name::china().common_name("leaf");
    let issue = |issuer: &Identity, validity| {
        issue_certificate(issuer, CertificateProfile::CompanySigning, &name, &key.public_key(), validity, &serial(3))
    };
    assert!(matches!(issue(&bench.ca, years(20)), Err(IssueError::OutlivesIssuer { .. })));
    let leaf = Identity::new(key.clone(), &issue(&bench.ca, years(1)).unwrap()).unwrap();
    assert_eq!(issue(&leaf, years(1)), Err(IssueError::NotCa));
    let backwards = Validity { not_before: years(1).not_after, not_after: years(1).not_before };
    assert_eq!(issue(&bench.ca, backwards), Err(IssueError::Dates));
}

#[test]
fn revocation_list_is_accepted_reads_as_made_and_a_changed_one_is_refused() {
    let bench = Bench::new();
    let at: Timestamp = "2026-10-01T08:00:00Z".parse().unwrap();
    let contents = CrlContents {
        number: 7,
        this_update: "2026-11-01T00:00:00Z".parse().unwrap(),
        next_update: "2026-12-01T00:00:00Z".parse().unwrap(),
        revoked: vec![
            RevokedCertificate { serial: serial(0x80), at, reason: Some(RevocationReason::KeyCompromise) },
            RevokedCertificate { serial: serial(5), at, reason: None },
        ],
    };
    for contents in [CrlContents { revoked: Vec::new(), ..contents.clone() }, contents.clone()] {
        let good = issue_crl(&bench.ca, &contents);
        assert!(bench.dgst(bench.ca.der(), &good));
        assert!(!bench.dgst(bench.ca.der(), &changed(&good, 120)));
    }
    let file = bench.file("list.pem", pem("X509 CRL", &issue_crl(&bench.ca, &contents)));
    let output = openssl(&["crl", "-noout", "-text", "-in"], &[&file]);
    let text = String::from_utf8_lossy(&output.stdout);
    for expected in [
        "Version 2",
        "Last Update: Nov  1 00:00:00 2026 GMT",
        "Next Update: Dec  1 00:00:00 2026 GMT",
        "CRL Number: \n                7\n",
        "Serial Number: 80\n        Revocation Date: Oct  1 08:00:00 2026 GMT",
        "Key Compromise",
        "Serial Number: 05",
    ] {
        assert!(text.contains(expected), "{expected:?} is missing from:\n{text}");
    }
}
