//! One region's authority: its keys, certificates, counters and revocations, in a folder.
//!
//! ```text
//! DIR/region.json        name, counters, revocations     (replaced whole, under a lock)
//!     keys/*.key         root, ca, maker: PKCS#8, encrypted, or plain for a pilot
//!     certificates/*.cer the same three
//!     issued/SERIAL.cer  everything issued
//!     crls/*.crl         root's and CA's lists
//! ```
//!
//! A serial number is used up on disk before anything carries it, so that a crash may skip one and never gives it twice. Every file
//! appears whole or not at all. Who may write the folder is the authority; there is no other access control.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};
use sealagent::pki::Certificate;
use sealagent::ses::{Seal, SealDraft, Version};
use sealagent::sm::Sm2PublicKey;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::certificate::{CertificateProfile, IssueError, SerialNumber, Validity, issue_certificate, self_signed};
use crate::crl::{CrlContents, RevocationReason, RevokedCertificate, issue_crl};
use crate::identity::{Identity, IdentityError};
use crate::key::{KeyError, PrivateKey};
use crate::name::Name;
use crate::pem;
use crate::seal::{SealError, make_seal};

/// How long the root counts, in days.
const ROOT_DAYS: i64 = 30 * 365;
/// How long the issuing CA counts, in days.
const CA_DAYS: i64 = 20 * 365;
/// How long the seal maker's certificate counts, in days.
const MAKER_DAYS: i64 = 10 * 365;
/// A list is replaced within this time: 30 days, as the national roots' lists (trust.md §5).
const CRL_DAYS: i64 = 30;
/// Largest file of the folder that is read back, in bytes: a region.json with a hundred thousand revocations.
const MAX_FILE_BYTES: u64 = 16 << 20;
const STATE_VERSION: u32 = 1;

/// Why the authority does not do what is asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegionError {
    /// The certificate is revoked already.
    #[error("certificate {0} is revoked already")]
    AlreadyRevoked(SerialNumber),
    /// `init` found something there.
    #[error("{} is not empty; an authority is made once, in a folder of its own", .0.display())]
    Exists(PathBuf),
    /// A key and its certificate do not fit.
    #[error("{0}")]
    Identity(#[from] IdentityError),
    /// A file could not be read or written.
    #[error("{}: {source}", .path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A certificate is not issued.
    #[error("{0}")]
    Issue(#[from] IssueError),
    /// A key cannot be had.
    #[error("{0}")]
    Key(#[from] KeyError),
    /// A file of the folder is not what it should be.
    #[error("{}: not as this program writes it: {reason}", .path.display())]
    Malformed {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// There is no authority in the folder.
    #[error("{} holds no authority; make one with `sealauthority init`", .0.display())]
    NoRegion(PathBuf),
    /// The region's short name is used in file names and in reports.
    #[error("the region's short name must be 1 to 32 lower-case letters, digits or hyphens, found {0:?}")]
    RegionId(String),
    /// A seal is not made.
    #[error("{0}")]
    Seal(#[from] SealError),
    /// No certificate of this authority has the serial number.
    #[error("this authority issued no certificate with serial number {0}")]
    UnknownSerial(SerialNumber),
}

/// How private keys lie on the disk.
pub enum KeyProtection {
    /// Encrypted with this passphrase.
    Passphrase(Zeroizing<Vec<u8>>),
    /// Not at all: for a pilot, with a warning in the file.
    PlainForPilot,
}

impl KeyProtection {
    fn passphrase(&self) -> Option<&[u8]> {
        match self {
            Self::Passphrase(passphrase) => Some(passphrase),
            Self::PlainForPilot => None,
        }
    }
}

/// What a new region is called.
#[derive(Clone, Debug)]
pub struct RegionNames {
    /// Short name: file names, reports (`shenzhen`).
    pub id: String,
    /// Name for people and certificates (`深圳`).
    pub name: String,
    /// Administrative division, six digits: the seal codes begin with it.
    pub division: String,
}

/// Who signs: the two CAs and the maker.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
enum Role {
    Root,
    Ca,
    Maker,
}

impl Role {
    const ALL: [Self; 3] = [Self::Root, Self::Ca, Self::Maker];

    fn as_str(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Ca => "ca",
            Self::Maker => "maker",
        }
    }
}

/// `region.json`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct State {
    version: u32,
    region: String,
    name: String,
    division: String,
    next_serial: u64,
    next_seal: u64,
    crl_number: u64,
    revoked: Vec<Revocation>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Revocation {
    issuer: Role,
    serial: String,
    at: Timestamp,
    reason: Option<RevocationReason>,
}

/// An open authority. Holds the folder's lock: a second program waits.
pub struct Region {
    folder: PathBuf,
    state: State,
    root: Identity,
    ca: Identity,
    maker: Identity,
    _lock: File,
}

impl Region {
    /// Makes root, issuing CA, seal maker and their first revocation lists in `folder`, which must be absent or empty. It appears whole or not
    /// at all.
    pub fn init(folder: &Path, names: &RegionNames, protection: &KeyProtection, now: Timestamp) -> Result<Self, RegionError> {
        let id_is_plain = names.id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if !(1..=32).contains(&names.id.len()) || !id_is_plain || names.id.starts_with('-') {
            return Err(RegionError::RegionId(names.id.clone()));
        }
        Self::check_vacant(folder)?;
        let parent = match folder.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        fs::create_dir_all(parent).map_err(at(parent))?;
        let building = tempfile::Builder::new().prefix(".sealauthority-").tempdir_in(parent).map_err(at(parent))?;
        Self::build(building.path(), names, protection, now)?;
        // An empty folder of that name may be there; rename does not replace it everywhere.
        let _ = fs::remove_dir(folder);
        fs::rename(building.path(), folder).map_err(at(folder))?;
        let _ = building.keep(); // it has moved: nothing to clean up
        sync_folder(parent)?;
        Self::open(folder, protection.passphrase())
    }

    /// Refuses a folder that [`Self::init`] would refuse, before anybody is asked for a passphrase.
    pub fn check_vacant(folder: &Path) -> Result<(), RegionError> {
        let is_used = fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some()) || folder.is_file();
        if is_used { Err(RegionError::Exists(folder.to_owned())) } else { Ok(()) }
    }

    fn build(folder: &Path, names: &RegionNames, protection: &KeyProtection, now: Timestamp) -> Result<(), RegionError> {
        for sub in ["keys", "certificates", "issued", "crls"] {
            let path = folder.join(sub);
            fs::create_dir(&path).map_err(at(&path))?;
        }
        let mut state = State {
            version: STATE_VERSION,
            region: names.id.clone(),
            name: names.name.clone(),
            division: names.division.clone(),
            next_serial: 1,
            next_seal: 1,
            crl_number: 0,
            revoked: Vec::new(),
        };
        let organization = format!("{}电子印章试点", names.name);
        let name = |who: &str| Name::china().organization(&organization).common_name(&format!("{organization}{who}"));
        let root = self_signed(PrivateKey::generate()?, &name("根CA"), days(now, ROOT_DAYS), &state.serial()?)?;
        let mut below = |issuer: &Identity, profile, who, validity| -> Result<Identity, RegionError> {
            let key = PrivateKey::generate()?;
            let certificate = issue_certificate(issuer, profile, &name(who), &key.public_key(), validity, &state.serial()?)?;
            Ok(Identity::new(key, &certificate)?)
        };
        let ca = below(&root, CertificateProfile::IssuingCa, "CA", days(now, CA_DAYS))?;
        let maker = below(&ca, CertificateProfile::SealMaker, "制章中心", days(now, MAKER_DAYS))?;
        for (role, identity) in Role::ALL.into_iter().zip([&root, &ca, &maker]) {
            let key = match protection {
                KeyProtection::Passphrase(passphrase) => identity.key().to_encrypted_pem(passphrase)?,
                KeyProtection::PlainForPilot => identity.key().to_plain_pem()?,
            };
            write_whole(&key_path(folder, role), key.as_bytes())?;
            write_whole(&certificate_path(folder, role), pem::encode(pem::CERTIFICATE, identity.der()).as_bytes())?;
        }
        write_crls(folder, &mut state, &root, &ca, now)?;
        state.save(folder)
    }

    /// Opens the authority in `folder`. The passphrase is needed unless its keys are a pilot's.
    pub fn open(folder: &Path, passphrase: Option<&[u8]>) -> Result<Self, RegionError> {
        let state_path = folder.join("region.json");
        if !state_path.is_file() {
            return Err(RegionError::NoRegion(folder.to_owned()));
        }
        let lock_path = folder.join("lock");
        let lock = File::options().create(true).truncate(false).write(true).open(&lock_path).map_err(at(&lock_path))?;
        lock.lock().map_err(at(&lock_path))?;
        let malformed = |reason: String| RegionError::Malformed { path: state_path.clone(), reason };
        let state: State = serde_json::from_slice(&read_file(&state_path)?).map_err(|error| malformed(error.to_string()))?;
        if state.version != STATE_VERSION {
            return Err(malformed(format!("version {}", state.version)));
        }
        let identity = |role: Role| -> Result<Identity, RegionError> {
            let key = read_file(&key_path(folder, role)).map(Zeroizing::new)?;
            let key = PrivateKey::from_pem(std::str::from_utf8(&key).map_err(|_| KeyError::Format)?, passphrase)?;
            Ok(Identity::new(key, &read_certificate(&certificate_path(folder, role))?)?)
        };
        let (root, ca, maker) = (identity(Role::Root)?, identity(Role::Ca)?, identity(Role::Maker)?);
        Ok(Self { folder: folder.to_owned(), state, root, ca, maker, _lock: lock })
    }

    /// Its short name.
    pub fn id(&self) -> &str {
        &self.state.region
    }

    /// Its name for people.
    pub fn name(&self) -> &str {
        &self.state.name
    }

    /// The root.
    pub fn root(&self) -> &Identity {
        &self.root
    }

    /// The CA that issues everybody's certificates.
    pub fn ca(&self) -> &Identity {
        &self.ca
    }

    /// The seal maker.
    pub fn maker(&self) -> &Identity {
        &self.maker
    }

    /// Issues a certificate by the CA, DER, from `now` for so many days, and keeps it.
    pub fn issue(
        &mut self,
        profile: CertificateProfile,
        subject: &Name,
        public_key: &Sm2PublicKey,
        now: Timestamp,
        for_days: u32,
    ) -> Result<Vec<u8>, RegionError> {
        let serial = self.state.serial()?;
        self.state.save(&self.folder)?;
        let validity = days(now, i64::from(for_days));
        let certificate = issue_certificate(&self.ca, profile, subject, public_key, validity, &serial)?;
        let path = self.issued_path(&serial);
        write_whole(&path, pem::encode(pem::CERTIFICATE, &certificate).as_bytes())?;
        Ok(certificate)
    }

    /// The next seal code: the division and eight digits (trust.md §3). Never given twice.
    pub fn next_seal_code(&mut self) -> Result<String, RegionError> {
        let number = self.state.next_seal;
        self.state.next_seal += 1;
        self.state.save(&self.folder)?;
        Ok(format!("{}{number:08}", self.state.division))
    }

    /// Makes a seal.
    pub fn make_seal(&self, draft: &SealDraft, version: Version) -> Result<Seal, RegionError> {
        Ok(make_seal(&self.maker, draft, version)?)
    }

    /// Revokes a certificate from `now` on and makes new revocation lists.
    pub fn revoke(&mut self, serial: &SerialNumber, reason: Option<RevocationReason>, now: Timestamp) -> Result<(), RegionError> {
        let is = |identity: &Identity| SerialNumber::new(identity.certificate().serial()).as_ref() == Some(serial);
        let issuer = if is(&self.ca) {
            Role::Root
        } else if is(&self.maker) || self.issued_path(serial).is_file() {
            Role::Ca
        } else {
            return Err(RegionError::UnknownSerial(serial.clone()));
        };
        let serial_text = serial.to_string();
        if self.state.revoked.iter().any(|revocation| revocation.serial == serial_text) {
            return Err(RegionError::AlreadyRevoked(serial.clone()));
        }
        self.state.revoked.push(Revocation { issuer, serial: serial_text, at: now, reason });
        self.state.save(&self.folder)?;
        self.renew_crls(now)
    }

    /// Makes new revocation lists of root and CA.
    pub fn renew_crls(&mut self, now: Timestamp) -> Result<(), RegionError> {
        write_crls(&self.folder, &mut self.state, &self.root, &self.ca, now)?;
        self.state.save(&self.folder)
    }

    /// Writes what verifiers need of this region into `out`, beside what other regions wrote there (report.md, `--trust DIR`).
    pub fn write_trust_folder(&self, out: &Path) -> Result<(), RegionError> {
        let id = self.id();
        let certificates = [("anchors", "root", &self.root), ("intermediates", "ca", &self.ca), ("makers", "maker", &self.maker)];
        for (sub, who, identity) in certificates {
            let path = out.join(sub);
            fs::create_dir_all(&path).map_err(at(&path))?;
            write_whole(&path.join(format!("{id}-{who}.pem")), pem::encode(pem::CERTIFICATE, identity.der()).as_bytes())?;
        }
        let crls = out.join("crls");
        fs::create_dir_all(&crls).map_err(at(&crls))?;
        for role in [Role::Root, Role::Ca] {
            let list = read_file(&crl_path(&self.folder, role))?;
            write_whole(&crls.join(format!("{id}-{}.crl", role.as_str())), &list)?;
        }
        Ok(())
    }

    fn issued_path(&self, serial: &SerialNumber) -> PathBuf {
        self.folder.join("issued").join(format!("{serial}.cer"))
    }
}

impl State {
    /// The next serial number: a counter, so that none is used twice, then eight random bytes, so that none can be foreseen.
    fn serial(&mut self) -> Result<SerialNumber, RegionError> {
        let mut random = [0; 8];
        getrandom::fill(&mut random).map_err(|_| KeyError::Random)?;
        let digits = [self.next_serial.to_be_bytes(), random].concat();
        self.next_serial += 1;
        #[expect(clippy::expect_used, reason = "16 bytes that begin with a counter from 1")]
        Ok(SerialNumber::new(&digits).expect("not zero"))
    }

    fn save(&self, folder: &Path) -> Result<(), RegionError> {
        let path = folder.join("region.json");
        let mut text = serde_json::to_vec_pretty(self)
            .map_err(|error| RegionError::Malformed { path: path.clone(), reason: error.to_string() })?;
        text.push(b'\n');
        write_whole(&path, &text)
    }
}

fn write_crls(folder: &Path, state: &mut State, root: &Identity, ca: &Identity, now: Timestamp) -> Result<(), RegionError> {
    state.crl_number += 1;
    for (role, issuer) in [(Role::Root, root), (Role::Ca, ca)] {
        let mut revoked = Vec::new();
        for revocation in state.revoked.iter().filter(|revocation| revocation.issuer == role) {
            let serial = revocation.serial.parse().map_err(|_| RegionError::Malformed {
                path: folder.join("region.json"),
                reason: format!("serial number {:?}", revocation.serial),
            })?;
            revoked.push(RevokedCertificate { serial, at: revocation.at, reason: revocation.reason });
        }
        let next_update = now + SignedDuration::from_hours(24 * CRL_DAYS);
        // No revocation is ever taken off a list.
        let expired_since = Some(issuer.certificate().not_before());
        let contents = CrlContents { number: state.crl_number, this_update: now, next_update, expired_since, revoked };
        write_whole(&crl_path(folder, role), &issue_crl(issuer, &contents))?;
    }
    Ok(())
}

fn key_path(folder: &Path, role: Role) -> PathBuf {
    folder.join("keys").join(format!("{}.key", role.as_str()))
}

fn certificate_path(folder: &Path, role: Role) -> PathBuf {
    folder.join("certificates").join(format!("{}.cer", role.as_str()))
}

fn crl_path(folder: &Path, role: Role) -> PathBuf {
    folder.join("crls").join(format!("{}.crl", role.as_str()))
}

/// From this second for so many days.
fn days(from: Timestamp, days: i64) -> Validity {
    Validity { not_before: from, not_after: from + SignedDuration::from_hours(24 * days) }
}

/// Reads a certificate file, PEM or DER, and checks that it is one.
pub fn read_certificate(path: &Path) -> Result<Vec<u8>, RegionError> {
    let malformed = |reason: String| RegionError::Malformed { path: path.to_owned(), reason };
    let der = pem::decode(&read_file(path)?, &[pem::CERTIFICATE]).ok_or_else(|| malformed("no certificate in it".to_owned()))?;
    Certificate::parse(&der).map_err(|error| malformed(error.to_string()))?;
    Ok(der)
}

/// Reads a whole file of bounded size.
pub fn read_file(path: &Path) -> Result<Vec<u8>, RegionError> {
    use io::Read as _;
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)).map_err(at(path))?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(RegionError::Malformed { path: path.to_owned(), reason: format!("larger than {MAX_FILE_BYTES} bytes") });
    }
    Ok(bytes)
}

/// Writes a file that appears whole or not at all: temporary file (0600), flush, rename, flush of the folder.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), RegionError> {
    use io::Write as _;
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let mut file = tempfile::NamedTempFile::new_in(parent).map_err(at(parent))?;
    file.write_all(bytes).and_then(|()| file.as_file().sync_all()).map_err(at(path))?;
    file.persist(path).map_err(|error| at(path)(error.error))?;
    sync_folder(parent)
}

/// Makes a rename last over a power cut. Windows has no such call and needs none for NTFS metadata.
fn sync_folder(folder: &Path) -> Result<(), RegionError> {
    if cfg!(unix) {
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(at(folder))?;
    }
    Ok(())
}

fn at(path: &Path) -> impl Fn(io::Error) -> RegionError {
    let path = path.to_owned();
    move |source| RegionError::Io { path: path.clone(), source }
}
