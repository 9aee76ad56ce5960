//! OpenSSL as a judge. It must accept the good artefact first, and refuse it with one byte changed.
//!
//! OpenSSL's default SM2 id is empty, so the id is given everywhere; where its command line cannot take one (whole paths with their
//! root, revocation lists, seals), the library is asked by a few lines of C (`chain.c`), or the signed bytes are cut out and given to
//! `openssl dgst`. Needs `openssl`, a C compiler and OpenSSL's headers: `scripts/setup-debian.sh --test` installs them.

#![allow(dead_code, reason = "each test uses its part")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use jiff::{SignedDuration, Timestamp};
use sealagent::asn1::{SEQUENCE, Tlv};
use sealauthority::{
    CertificateProfile, Identity, Name, PrivateKey, SerialNumber, Validity, issue_certificate, pem, self_signed,
};

/// The SM2 id as OpenSSL's options take it.
pub const ID: &str = "distid:1234567812345678";

pub fn openssl(arguments: &[&str], files: &[&Path]) -> Output {
    let mut command = Command::new("openssl");
    command.args(arguments).args(files);
    command.output().expect("openssl runs: install it with scripts/setup-debian.sh --test")
}

/// A scratch folder with the region's paths of certificates.
pub struct Bench {
    pub folder: tempfile::TempDir,
    pub root: Identity,
    pub ca: Identity,
}

pub fn serial(n: u64) -> SerialNumber {
    SerialNumber::from_number(n.try_into().unwrap())
}

pub fn years(n: i64) -> Validity {
    let now = Timestamp::now();
    Validity { not_before: now - SignedDuration::from_hours(1), not_after: now + SignedDuration::from_hours(24 * 365 * n) }
}

impl Bench {
    pub fn new() -> Self {
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

    pub fn file(&self, name: &str, contents: impl AsRef<[u8]>) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, contents).unwrap();
        path
    }

    pub fn certificate(&self, name: &str, der: &[u8]) -> PathBuf {
        self.file(name, pem::encode(pem::CERTIFICATE, der))
    }

    /// A key and a certificate of the CA for it.
    pub fn issue(&self, profile: CertificateProfile) -> Identity {
        let key = PrivateKey::generate().unwrap();
        let name = Name::seal_owner("91440300MA5DEM0006", "深圳市某某科技有限公司", "44030000000001");
        let certificate = issue_certificate(&self.ca, profile, &name, &key.public_key(), years(5), &serial(0x80)).unwrap();
        Identity::new(key, &certificate).unwrap()
    }

    /// Whether OpenSSL takes the signature over the first element of `signed` (certificate, list) for the key of `issuer`'s certificate.
    pub fn judge(&self, issuer: &[u8], signed: &[u8]) -> bool {
        let parts = Tlv::read_all(signed).unwrap().expect(SEQUENCE).unwrap().children().unwrap();
        self.judge_signature(issuer, parts[0].raw, parts[2].bit_string().unwrap())
    }

    /// Whether OpenSSL takes the DER signature over these bytes for the key of `signer`'s certificate.
    pub fn judge_signature(&self, signer: &[u8], message: &[u8], signature: &[u8]) -> bool {
        let signer = self.certificate("signer.pem", signer);
        let key = openssl(&["x509", "-noout", "-pubkey", "-in"], &[&signer]).stdout;
        let (key, message, signature) =
            (self.file("key.pem", key), self.file("message", message), self.file("signature", signature));
        let option = Path::new("-signature");
        let output = openssl(&["dgst", "-sm3", "-sigopt", ID, "-verify"], &[&key, option, &signature, &message]);
        output.status.success() && output.stdout.starts_with(b"Verified OK")
    }

    /// The whole path, judged by OpenSSL's library: root first, leaf last.
    pub fn chain(&self, path: &[&[u8]]) -> bool {
        let program = self.folder.path().join("chain");
        if !program.exists() {
            let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bench/chain.c");
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
pub fn changed(der: &[u8], from_end: usize) -> Vec<u8> {
    let mut out = der.to_vec();
    let at = out.len() - from_end;
    out[at] ^= 1;
    out
}
