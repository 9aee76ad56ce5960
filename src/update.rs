//! Whether a newer version is offered, and whether a package is the one that was offered. Packages stay the way to install.
//!
//! The IT department brings a manifest onto the machine (a share, its own deployment) and names it and the key that signs it in the
//! policy. Nothing here is fetched, nothing is installed, and no page can ask for any of it.
//!
//! ```text
//! update.json        the manifest, below 64 KiB
//! update.json.sm2    SM2 signature over its bytes, DER, signer's id 1234567812345678
//! ```
//! A manifest counts when the pinned key signed it, while it is in date, and when its sequence number is not below the highest that
//! was seen: an old one cannot be played again. A version below the running one is never offered.

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use ukey::{Sm2PublicKey, Sm3Digest};

use crate::files::{make_private_dir, read_bounded, write_whole};
use crate::sm::{self, SignatureEncoding, Sm3, read_signature, sm3};

/// Largest manifest, in bytes: it names a few dozen packages.
const MAX_MANIFEST_BYTES: u64 = 64 << 10;
/// Largest signature, in bytes: DER of two numbers has at most 72.
const MAX_SIGNATURE_BYTES: u64 = 128;
/// Largest package, in bytes. Ours have some ten million.
const MAX_PACKAGE_BYTES: u64 = 1 << 30;
/// How far the issuer's clock may be ahead of ours.
const CLOCKS: SignedDuration = SignedDuration::from_hours(24);

/// `[update]` of the policy.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Channel {
    /// The manifest, by absolute path; its signature lies beside it.
    pub manifest: PathBuf,
    /// The key that signs it: 130 hexadecimal digits, `04` and both coordinates.
    pub key: String,
}

/// What is offered.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Manifest {
    /// `sealagent`.
    pub product: String,
    /// Grows with each manifest.
    pub sequence: u64,
    /// When it was issued.
    pub issued: Timestamp,
    /// From when on it counts for nothing.
    pub expires: Timestamp,
    /// The version that it offers: three numbers with dots.
    pub version: String,
    /// Its packages.
    pub packages: Vec<Package>,
}

/// One package of the version.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Package {
    /// File name.
    pub file: String,
    /// Length in bytes.
    pub bytes: u64,
    /// SM3 of the file, hexadecimal.
    pub sm3: Sm3Digest,
}

/// Why nothing is offered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UpdateError {
    /// It offers less than what runs. Nothing is installed from it.
    #[error("the manifest offers version {offered}, this is {running}")]
    Downgrade {
        /// The manifest's.
        offered: String,
        /// Ours.
        running: &'static str,
    },
    /// Its time is over.
    #[error("the manifest expired at {0}")]
    Expired(Timestamp),
    /// It cannot be read, or what was seen cannot be kept.
    #[error("{}: {source}", .path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The key of the policy is none.
    #[error("update.key is not an SM2 public key of 130 hexadecimal digits")]
    Key,
    /// It is signed, but not a manifest.
    #[error("not a manifest: {0}")]
    Malformed(String),
    /// An address, or a path that depends on the current folder.
    #[error("{}: the manifest is a file with an absolute path; nothing is fetched from the network", .0.display())]
    NotAFile(PathBuf),
    /// The package is not one of the manifest's, or not whole.
    #[error("{}: not the package that the manifest names", .0.display())]
    Package(PathBuf),
    /// Another manifest with this number, or a higher number, was seen before.
    #[error("manifest {sequence} is older than, or another than, manifest {seen} that was seen before")]
    Rollback {
        /// Its number.
        sequence: u64,
        /// The highest number that was seen.
        seen: u64,
    },
    /// The pinned key did not sign these bytes.
    #[error("the manifest is not signed by the key of the policy")]
    Signature,
    /// It is dated after today.
    #[error("the manifest is issued at {0}, after now; check the clock")]
    TooEarly(Timestamp),
}

/// The highest manifest that was seen: `update-seen.json` among the user's data.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Seen {
    sequence: u64,
    sm3: Sm3Digest,
}

/// Reads the channel's manifest as of `now`. What was seen is kept below `data`.
pub fn check(channel: &Channel, data: &Path, now: Timestamp) -> Result<Manifest, UpdateError> {
    let path = &channel.manifest;
    if !path.is_absolute() {
        return Err(UpdateError::NotAFile(path.clone()));
    }
    let key = key(&channel.key).ok_or(UpdateError::Key)?;
    let bytes = read(path, MAX_MANIFEST_BYTES)?;
    let mut beside = path.clone().into_os_string();
    beside.push(".sm2");
    let signature = read(Path::new(&beside), MAX_SIGNATURE_BYTES)?;
    match read_signature(&signature) {
        Ok((signature, SignatureEncoding::Der)) if sm::verify(&key, &bytes, &signature) => {}
        _ => return Err(UpdateError::Signature),
    }
    let manifest: Manifest = serde_json::from_slice(&bytes).map_err(|error| UpdateError::Malformed(error.to_string()))?;
    let Some(offered) = numbers(&manifest.version).filter(|_| manifest.product == "sealagent") else {
        return Err(UpdateError::Malformed("not a version of sealagent".to_owned()));
    };
    if now + CLOCKS < manifest.issued {
        return Err(UpdateError::TooEarly(manifest.issued));
    }
    if manifest.expires <= now {
        return Err(UpdateError::Expired(manifest.expires));
    }
    keep_highest(manifest.sequence, sm3(&bytes), &data.join("update-seen.json"))?;
    let running = env!("CARGO_PKG_VERSION");
    if numbers(running).is_some_and(|running| offered < running) {
        return Err(UpdateError::Downgrade { offered: manifest.version, running });
    }
    Ok(manifest)
}

impl Manifest {
    /// Whether it offers more than what runs.
    pub fn is_newer(&self) -> bool {
        numbers(&self.version) > numbers(env!("CARGO_PKG_VERSION"))
    }

    /// Whether this file is one of the packages, whole and unchanged.
    pub fn check_package(&self, file: &Path) -> Result<(), UpdateError> {
        let io = |source| UpdateError::Io { path: file.to_owned(), source };
        let wrong = || UpdateError::Package(file.to_owned());
        let name = file.file_name().and_then(|name| name.to_str()).ok_or_else(wrong)?;
        let package = self.packages.iter().find(|package| package.file == name).ok_or_else(wrong)?;
        let mut input = fs::File::open(file).map_err(io)?.take(MAX_PACKAGE_BYTES);
        let (mut digest, mut block, mut bytes) = (Sm3::new(), vec![0; 1 << 16], 0);
        loop {
            match input.read(&mut block).map_err(io)? {
                0 => break,
                n => {
                    digest.update(&block[..n]);
                    bytes += n as u64;
                }
            }
        }
        if bytes == package.bytes && digest.finish() == package.sm3 { Ok(()) } else { Err(wrong()) }
    }
}

fn read(path: &Path, limit: u64) -> Result<Vec<u8>, UpdateError> {
    let io = |source| UpdateError::Io { path: path.to_owned(), source };
    read_bounded(path, limit).map_err(io)
}

fn key(digits: &str) -> Option<Sm2PublicKey> {
    let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    if digits.len() != 130 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let bytes: Vec<u8> = digits.as_bytes().chunks_exact(2).map(pair).collect::<Option<_>>()?;
    Sm2PublicKey::from_sec1(&bytes)
}

/// Three numbers with dots, and nothing else.
fn numbers(version: &str) -> Option<[u32; 3]> {
    let parts: Vec<u32> = version.split('.').map(|part| part.parse().ok()).collect::<Option<_>>()?;
    parts.try_into().ok()
}

fn keep_highest(sequence: u64, digest: Sm3Digest, path: &Path) -> Result<(), UpdateError> {
    let io = |source| UpdateError::Io { path: path.to_owned(), source };
    let seen: Option<Seen> = match fs::read(path) {
        Ok(bytes) => Some(serde_json::from_slice(&bytes).map_err(|error| io(error.into()))?),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(io(error)),
    };
    match seen {
        Some(seen) if sequence < seen.sequence || (sequence == seen.sequence && digest != seen.sm3) => {
            return Err(UpdateError::Rollback { sequence, seen: seen.sequence });
        }
        Some(seen) if sequence == seen.sequence => return Ok(()),
        _ => {}
    }
    let folder = path.parent().unwrap_or(Path::new("."));
    make_private_dir(folder).map_err(io)?;
    let seen = serde_json::to_vec(&Seen { sequence, sm3: digest }).map_err(|error| io(error.into()))?;
    write_whole(path, &seen).map_err(io)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A key pair of its own for each test, with the crate that makes signatures in the virtual UKey.
    struct Issuer(sm2::dsa::SigningKey);

    impl Issuer {
        fn new(seed: u8) -> Self {
            Self(sm2::dsa::SigningKey::from_bytes(ukey::DEFAULT_ID, &[seed; 32].into()).unwrap())
        }

        fn key(&self) -> String {
            use sm2::elliptic_curve::sec1::ToSec1Point as _;
            let point = self.0.verifying_key().to_sec1_point(false);
            point.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
        }

        fn publish(&self, folder: &Path, manifest: &[u8]) -> Channel {
            use sm2::dsa::signature::Signer as _;
            let path = folder.join("update.json");
            let signature: sm2::dsa::Signature = self.0.sign(manifest);
            let raw: [u8; 64] = signature.to_bytes().into();
            fs::write(&path, manifest).unwrap();
            fs::write(folder.join("update.json.sm2"), ukey::Sm2Signature::from_raw(&raw).to_der()).unwrap();
            Channel { manifest: path, key: self.key() }
        }
    }

    fn now() -> Timestamp {
        "2026-11-24T12:00:00Z".parse().unwrap()
    }

    fn manifest(sequence: u64, version: &str) -> Manifest {
        Manifest {
            product: "sealagent".to_owned(),
            sequence,
            issued: "2026-11-24T00:00:00Z".parse().unwrap(),
            expires: "2026-12-24T00:00:00Z".parse().unwrap(),
            version: version.to_owned(),
            packages: vec![Package { file: "sealagent.deb".to_owned(), bytes: 7, sm3: sm3(b"package") }],
        }
    }

    fn bytes(manifest: &Manifest) -> Vec<u8> {
        serde_json::to_vec(manifest).unwrap()
    }

    #[test]
    fn newer_version_is_offered_and_its_package_known() {
        let folder = tempfile::tempdir().unwrap();
        let channel = Issuer::new(1).publish(folder.path(), &bytes(&manifest(1, "9.0.0")));
        let found = check(&channel, folder.path(), now()).unwrap();
        assert!(found.is_newer());
        let package = folder.path().join("sealagent.deb");
        fs::write(&package, b"package").unwrap();
        found.check_package(&package).unwrap();
        assert!(
            !check(&Issuer::new(1).publish(folder.path(), &bytes(&manifest(2, env!("CARGO_PKG_VERSION")))), folder.path(), now())
                .unwrap()
                .is_newer()
        );
    }

    #[test]
    fn a48_an_older_manifest_or_version_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let issuer = Issuer::new(1);
        let checked = |manifest: &Manifest| check(&issuer.publish(folder.path(), &bytes(manifest)), folder.path(), now());
        checked(&manifest(5, "9.0.1")).unwrap();
        checked(&manifest(5, "9.0.1")).unwrap();
        assert!(matches!(checked(&manifest(4, "9.0.0")), Err(UpdateError::Rollback { sequence: 4, seen: 5 })));
        assert!(matches!(checked(&manifest(5, "9.0.2")), Err(UpdateError::Rollback { sequence: 5, seen: 5 })));
        assert!(matches!(checked(&manifest(6, "0.0.1")), Err(UpdateError::Downgrade { .. })));
        // Refused ones count as seen: the number never goes back.
        assert!(matches!(checked(&manifest(5, "9.0.1")), Err(UpdateError::Rollback { seen: 6, .. })));
    }

    #[test]
    fn a48_expired_future_and_foreign_manifests_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let issuer = Issuer::new(1);
        let checked = |manifest: &Manifest| check(&issuer.publish(folder.path(), &bytes(manifest)), folder.path(), now());
        let dated = |issued: &str, expires: &str| Manifest {
            issued: issued.parse().unwrap(),
            expires: expires.parse().unwrap(),
            ..manifest(1, "9.0.0")
        };
        assert!(matches!(checked(&dated("2026-10-01T00:00:00Z", "2026-11-24T12:00:00Z")), Err(UpdateError::Expired(_))));
        assert!(matches!(checked(&dated("2026-11-26T00:00:00Z", "2026-12-24T00:00:00Z")), Err(UpdateError::TooEarly(_))));
        assert!(matches!(
            checked(&Manifest { product: "other".to_owned(), ..manifest(1, "9.0.0") }),
            Err(UpdateError::Malformed(_))
        ));
        assert!(matches!(checked(&manifest(1, "9.0")), Err(UpdateError::Malformed(_))));
        // None of them left a trace that would keep out the real first one.
        checked(&manifest(1, "9.0.0")).unwrap();
    }

    #[test]
    fn a48_wrong_signer_changed_byte_and_missing_signature_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let good = bytes(&manifest(1, "9.0.0"));
        let mut channel = Issuer::new(1).publish(folder.path(), &good);
        channel.key = Issuer::new(2).key();
        assert!(matches!(check(&channel, folder.path(), now()), Err(UpdateError::Signature)));
        channel.key = Issuer::new(1).key();
        for (at, _) in good.iter().enumerate() {
            let mut changed = good.clone();
            changed[at] ^= 1;
            fs::write(&channel.manifest, changed).unwrap();
            assert!(matches!(check(&channel, folder.path(), now()), Err(UpdateError::Signature)), "byte {at}");
        }
        for cut in [0, 1, good.len() - 1] {
            fs::write(&channel.manifest, &good[..cut]).unwrap();
            assert!(matches!(check(&channel, folder.path(), now()), Err(UpdateError::Signature)), "cut at {cut}");
        }
        fs::remove_file(folder.path().join("update.json.sm2")).unwrap();
        assert!(matches!(check(&channel, folder.path(), now()), Err(UpdateError::Io { .. })));
        for key in ["", "04", &"00".repeat(65), &"zz".repeat(65), &"é".repeat(65)] {
            channel.key = key.to_owned();
            assert!(matches!(check(&channel, folder.path(), now()), Err(UpdateError::Key)));
        }
    }

    #[test]
    fn a48_partial_and_changed_packages_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let offered = manifest(1, "9.0.0");
        let package = folder.path().join("sealagent.deb");
        for content in [b"packag".as_slice(), b"packagf", b"package+", b""] {
            fs::write(&package, content).unwrap();
            assert!(matches!(offered.check_package(&package), Err(UpdateError::Package(_))));
        }
        let other = folder.path().join("other.deb");
        fs::write(&other, b"package").unwrap();
        assert!(matches!(offered.check_package(&other), Err(UpdateError::Package(_))));
    }

    #[test]
    fn a48_addresses_and_relative_paths_are_no_channel() {
        let folder = tempfile::tempdir().unwrap();
        for manifest in
            ["http://updates.example/update.json", "https://updates.example/update.json", "update.json", "../update.json"]
        {
            let channel = Channel { manifest: manifest.into(), key: Issuer::new(1).key() };
            assert!(matches!(check(&channel, folder.path(), now()), Err(UpdateError::NotAFile(_))), "{manifest}");
        }
    }
}
