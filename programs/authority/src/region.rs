//! One region's authority: its keys and certificates in files, everything that is counted and recorded in a [`Store`], in a folder.
//!
//! ```text
//! DIR/store.sqlite       names, counters, certificates, seals and their states, revocations; or instead of it
//!     database.json      where the PostgreSQL database is that has them
//!     keys/*.key         root, ca, maker, tsa, list, status, registry, ocsp: PKCS#8, encrypted, or plain for a pilot
//!     keys/*.token       instead of it for root, ca and maker: on which token the key is
//!     certificates/*.cer the same
//!     crls/*.crl         root's and CA's lists
//! ```
//!
//! Every file appears whole or not at all. Who may write the folder is the authority; there is no other access control. For several
//! machines over one database each has a copy of the folder; they bring their keys along, and make the lists in it from the database.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};
use sealagent::files;
use sealagent::pki::seal_status::SealState;
use sealagent::pki::{Certificate, Crl};
use sealagent::ses::{Seal, SealDraft, Version};
use sealagent::sm::{Sm2PublicKey, sm3};
use zeroize::Zeroizing;

use crate::certificate::{CertificateProfile, IssueError, SerialNumber, Validity, issue_certificate, self_signed};
use crate::crl::{CrlContents, RevocationReason, RevokedCertificate, crl_number, issue_crl};
use crate::identity::{Identity, IdentityError};
use crate::key::{Key, KeyError, PrivateKey};
use crate::name::Name;
use crate::pem;
use crate::seal::{SealError, make_seal};
use crate::statement::StatementError;
use crate::store::{Counter, Database, Revocation, Store, StoreError};
use crate::token::{TokenKey, TokenPlace, Tokens};

/// The text that says whose records these are: SHA-256 of the root certificate.
const ROOT_TEXT: &str = "root";
/// How long the root counts, in days.
const ROOT_DAYS: i64 = 30 * 365;
/// How long the issuing CA counts, in days.
const CA_DAYS: i64 = 20 * 365;
/// How long the seal maker's certificate counts, in days.
const MAKER_DAYS: i64 = 10 * 365;
/// A list is replaced within this time: 30 days, as the national roots' lists (trust.md §5).
const CRL_DAYS: i64 = 30;
/// How long the other services' certificates count, in days.
const SERVICE_DAYS: i64 = 10 * 365;
/// Largest file of the folder that is read back, in bytes: a revocation list with some hundred thousand entries.
const MAX_FILE_BYTES: u64 = 16 << 20;

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
    /// The database has the records of another authority.
    #[error("the database has the records of the authority with root SHA-256 {found}, not of the one in {}", .folder.display())]
    OtherRecords {
        /// The authority's folder.
        folder: PathBuf,
        /// SHA-256 of the root certificate that the records belong to, hexadecimal.
        found: String,
    },
    /// The region's short name is used in file names and in reports.
    #[error("the region's short name must be 1 to 32 lower-case letters, digits or hyphens, found {0:?}")]
    RegionId(String),
    /// A seal is not made.
    #[error("{0}")]
    Seal(#[from] SealError),
    /// A list, an answer or a statement is not signed.
    #[error("{0}")]
    Statement(#[from] StatementError),
    /// What is recorded.
    #[error("{0}")]
    Store(#[from] StoreError),
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

/// What an authority is opened with, beyond its folder.
#[derive(Clone, Default)]
pub struct Access {
    /// Opens its key files, unless they are a pilot's.
    pub passphrase: Option<Zeroizing<Vec<u8>>>,
    /// Of its database, where that asks for one ([`StoreError::PasswordNeeded`]).
    pub password: Option<Zeroizing<String>>,
    /// Reaches those of its keys that are on tokens.
    pub tokens: Tokens,
}

/// What is not usual about a new authority.
#[derive(Clone, Default)]
pub struct InitOptions {
    /// A database for its records, which must hold no authority's yet.
    pub database: Option<Database>,
    /// Keys that are on a token already, for root, CA and maker. All others are made and kept in files, since they answer without a
    /// person, and the CA can replace them.
    pub on_token: Vec<(Role, TokenPlace)>,
    /// Reaches them.
    pub tokens: Tokens,
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

/// Who signs what. Each has a key of its own.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Role {
    Root,
    Ca,
    Maker,
    TimeStamp,
    List,
    NextList,
    Status,
    Registry,
    Ocsp,
}

impl Role {
    /// All that `init` makes, issuers first.
    const MADE: [Self; 8] =
        [Self::Root, Self::Ca, Self::Maker, Self::TimeStamp, Self::List, Self::Status, Self::Registry, Self::Ocsp];

    /// Name of its files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Ca => "ca",
            Self::Maker => "maker",
            Self::TimeStamp => "tsa",
            Self::List => "list",
            Self::NextList => "list-next",
            Self::Status => "status",
            Self::Registry => "registry",
            Self::Ocsp => "ocsp",
        }
    }

    /// What its certificate is for, its name, and how many days it counts.
    fn profile(self) -> (CertificateProfile, &'static str, i64) {
        match self {
            Self::Root => (CertificateProfile::RootCa, "根CA", ROOT_DAYS),
            Self::Ca => (CertificateProfile::IssuingCa, "CA", CA_DAYS),
            Self::Maker => (CertificateProfile::SealMaker, "制章中心", MAKER_DAYS),
            Self::TimeStamp => (CertificateProfile::TimeStampAuthority, "时间戳服务", SERVICE_DAYS),
            Self::List | Self::NextList => (CertificateProfile::RegionStatement, "信任列表", SERVICE_DAYS),
            Self::Status => (CertificateProfile::RegionStatement, "印章状态服务", SERVICE_DAYS),
            Self::Registry => (CertificateProfile::RegionStatement, "登记机关", SERVICE_DAYS),
            Self::Ocsp => (CertificateProfile::OcspResponder, "OCSP", SERVICE_DAYS),
        }
    }
}

/// An open authority. Several programs may have it open.
pub struct Region {
    pub(crate) folder: PathBuf,
    pub(crate) store: Store,
    names: RegionNames,
    access: Access,
    root: Identity,
    ca: Identity,
    maker: Identity,
}

impl Region {
    /// Makes root, issuing CA, seal maker and their first revocation lists in `folder`, which must be absent or empty. It appears whole or not
    /// at all.
    pub fn init(folder: &Path, names: &RegionNames, protection: &KeyProtection, now: Timestamp) -> Result<Self, RegionError> {
        Self::init_with(folder, names, protection, &InitOptions::default(), now)
    }

    /// [`Self::init`] with the records in a database, or with keys on tokens.
    pub fn init_with(
        folder: &Path,
        names: &RegionNames,
        protection: &KeyProtection,
        options: &InitOptions,
        now: Timestamp,
    ) -> Result<Self, RegionError> {
        let id_is_plain = names.id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if !(1..=32).contains(&names.id.len()) || !id_is_plain || names.id.starts_with('-') {
            return Err(RegionError::RegionId(names.id.clone()));
        }
        Self::check_vacant(folder)?;
        let parent = match folder.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        fs::create_dir_all(parent).map_err(io_at(parent))?;
        let building = tempfile::Builder::new().prefix(".sealauthority-").tempdir_in(parent).map_err(io_at(parent))?;
        Self::build(building.path(), names, protection, options, now)?;
        let password = options.database.as_ref().and_then(|database| database.password.clone());
        // An empty folder of that name may be there; rename does not replace it everywhere.
        let _ = fs::remove_dir(folder);
        if let Err(error) = fs::rename(building.path(), folder) {
            let _ = Store::open(building.path(), password).and_then(Store::remove);
            return Err(io_at(folder)(error));
        }
        let _ = building.keep(); // it has moved: nothing to clean up
        sync_folder(parent)?;
        let passphrase = protection.passphrase().map(|passphrase| Zeroizing::new(passphrase.to_vec()));
        Self::open_with(folder, Access { passphrase, password, tokens: options.tokens.clone() })
    }

    /// Refuses a folder that [`Self::init`] would refuse, before anybody is asked for a passphrase.
    pub fn check_vacant(folder: &Path) -> Result<(), RegionError> {
        let is_used = fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some()) || folder.is_file();
        if is_used { Err(RegionError::Exists(folder.to_owned())) } else { Ok(()) }
    }

    fn build(
        folder: &Path,
        names: &RegionNames,
        protection: &KeyProtection,
        options: &InitOptions,
        now: Timestamp,
    ) -> Result<(), RegionError> {
        let store = Store::create(folder, options.database.as_ref())?;
        let filled = Self::fill(folder, &store, names, protection, options, now);
        if filled.is_err() {
            let _ = store.remove(); // what went wrong first is what the caller is told
        }
        filled
    }

    fn fill(
        folder: &Path,
        store: &Store,
        names: &RegionNames,
        protection: &KeyProtection,
        options: &InitOptions,
        now: Timestamp,
    ) -> Result<(), RegionError> {
        for sub in ["keys", "certificates", "crls"] {
            let path = folder.join(sub);
            fs::create_dir(&path).map_err(io_at(&path))?;
        }
        for (name, value) in [("region", &names.id), ("name", &names.name), ("division", &names.division)] {
            store.set_text(name, value)?;
        }
        let mut made: Vec<Identity> = Vec::new();
        for role in Role::MADE {
            let (profile, who, for_days) = role.profile();
            let name = service_name(&names.name, who);
            let key = match options.on_token.iter().find(|(on_token, _)| *on_token == role) {
                Some((_, place)) => Key::Token(TokenKey::new(place.clone(), options.tokens.clone())),
                None => Key::File(PrivateKey::generate()?),
            };
            let (validity, serial) = (days(now, for_days), next_serial(store)?);
            let identity = match made.as_slice() {
                [] => self_signed(key, &name, validity, &serial)?,
                [root] => below(root, profile, key, &name, validity, &serial)?,
                [_, ca, ..] => below(ca, profile, key, &name, validity, &serial)?,
            };
            write_identity(folder, role, &identity, protection)?;
            made.push(identity);
        }
        if let [root, ca, ..] = made.as_slice() {
            store.set_text(ROOT_TEXT, &root.certificate().sha256_hex())?;
            write_crls(folder, store, &[(Role::Root, root), (Role::Ca, ca)], now)?;
        }
        Ok(())
    }

    /// Opens the authority in `folder`. The passphrase is needed unless its keys are a pilot's.
    pub fn open(folder: &Path, passphrase: Option<&[u8]>) -> Result<Self, RegionError> {
        let passphrase = passphrase.map(|passphrase| Zeroizing::new(passphrase.to_vec()));
        Self::open_with(folder, Access { passphrase, ..Access::default() })
    }

    /// Opens the authority in `folder`. Tokens are asked when one of their keys signs, not before.
    pub fn open_with(folder: &Path, access: Access) -> Result<Self, RegionError> {
        if !Store::is_in(folder) {
            return Err(RegionError::NoRegion(folder.to_owned()));
        }
        let store = Store::open(folder, access.password.clone())?;
        let names = RegionNames { id: store.text("region")?, name: store.text("name")?, division: store.text("division")? };
        let identity = |role: Role| read_identity(folder, role, &access);
        let (root, ca, maker) = (identity(Role::Root)?, identity(Role::Ca)?, identity(Role::Maker)?);
        // A file lies beside its keys; a database might be anybody's.
        let found = store.text(ROOT_TEXT)?;
        if !found.is_empty() && found != root.certificate().sha256_hex() {
            return Err(RegionError::OtherRecords { folder: folder.to_owned(), found });
        }
        Ok(Self { folder: folder.to_owned(), store, names, access, root, ca, maker })
    }

    /// Whether the authority in `folder` has key files that a passphrase opens.
    pub fn needs_passphrase(folder: &Path) -> bool {
        let files = Role::MADE.into_iter().filter_map(|role| read_file(&key_path(folder, role)).ok());
        files.map(Zeroizing::new).any(|pem| String::from_utf8_lossy(&pem).contains("BEGIN ENCRYPTED PRIVATE KEY"))
    }

    /// The key and certificate of one role. Decrypts the key, which takes its time: keep it where it is used often.
    pub fn identity(&self, role: Role) -> Result<Identity, RegionError> {
        read_identity(&self.folder, role, &self.access)
    }

    /// What is recorded.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Its short name.
    pub fn id(&self) -> &str {
        &self.names.id
    }

    /// Its name for people.
    pub fn name(&self) -> &str {
        &self.names.name
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
        let serial = next_serial(&self.store)?;
        let validity = days(now, i64::from(for_days));
        let certificate = issue_certificate(&self.ca, profile, subject, public_key, validity, &serial)?;
        self.store.add_certificate(&serial.to_string(), &certificate, now)?;
        Ok(certificate)
    }

    /// The next seal code: the division and eight digits (trust.md §3). Never given twice.
    pub fn next_seal_code(&mut self) -> Result<String, RegionError> {
        let number = self.store.take_number(Counter::Seal)?;
        Ok(self.seal_code(number))
    }

    /// Makes key and certificate for one more role.
    pub(crate) fn make_identity(&self, role: Role, now: Timestamp) -> Result<(), RegionError> {
        let (profile, who, for_days) = role.profile();
        let name = service_name(&self.names.name, who);
        let serial = next_serial(&self.store)?;
        let key = Key::File(PrivateKey::generate()?);
        let identity = below(&self.ca, profile, key, &name, days(now, for_days), &serial)?;
        let protection = match &self.access.passphrase {
            Some(passphrase) => KeyProtection::Passphrase(passphrase.clone()),
            None => KeyProtection::PlainForPilot,
        };
        write_identity(&self.folder, role, &identity, &protection)
    }

    /// Whether the CA issued a certificate with this serial number.
    pub(crate) fn knows_certificate(&self, serial: &SerialNumber) -> Result<bool, RegionError> {
        if self.store.certificate(&serial.to_string())?.is_some() {
            return Ok(true);
        }
        let services = Role::MADE.into_iter().filter(|role| !matches!(role, Role::Root | Role::Ca));
        let mut certificates = services.filter_map(|role| self.certificate(role).ok());
        Ok(certificates.any(|certificate| SerialNumber::new(certificate.serial()).as_ref() == Some(serial)))
    }

    fn seal_code(&self, number: u64) -> String {
        format!("{}{number:08}", self.names.division)
    }

    /// Makes a seal. It is recorded before it is given out, as made at its createDate.
    pub fn make_seal(&self, draft: &SealDraft, version: Version) -> Result<Seal, RegionError> {
        let seal = make_seal(&self.maker, draft, version)?;
        self.store.add_seals(&[(draft.es_id.clone(), sm3(seal.raw()))], draft.created)?;
        Ok(seal)
    }

    /// Makes `count` seals with the next codes, alike but for the code, in one transaction: for pilots with many.
    pub fn make_seals(&self, draft: &SealDraft, version: Version, count: u64) -> Result<Vec<Seal>, RegionError> {
        let first = self.store.take_numbers(Counter::Seal, count)?;
        let mut seals = Vec::new();
        for number in first..first + count {
            seals.push(make_seal(&self.maker, &SealDraft { es_id: self.seal_code(number), ..draft.clone() }, version)?);
        }
        let records: Vec<_> = seals.iter().map(|seal| (seal.es_id().to_owned(), sm3(seal.raw()))).collect();
        self.store.add_seals(&records, draft.created)?;
        Ok(seals)
    }

    /// Refuses a clock that is behind what was recorded last.
    pub fn check_clock(&self, now: Timestamp) -> Result<(), RegionError> {
        Ok(self.store.check_clock(now)?)
    }

    /// Changes the state of a seal from `now` on.
    pub fn change_seal(&self, es_id: &str, state: SealState, now: Timestamp) -> Result<(), RegionError> {
        Ok(self.store.change_seal(es_id, state, now)?)
    }

    /// Revokes a certificate from `now` on and makes new revocation lists.
    pub fn revoke(&mut self, serial: &SerialNumber, reason: Option<RevocationReason>, now: Timestamp) -> Result<(), RegionError> {
        let serial_text = serial.to_string();
        let is = |identity: &Identity| SerialNumber::new(identity.certificate().serial()).as_ref() == Some(serial);
        let issuer = if is(&self.ca) {
            Role::Root
        } else if self.knows_certificate(serial)? {
            Role::Ca
        } else {
            return Err(RegionError::UnknownSerial(serial.clone()));
        };
        let reason = reason.map(|reason| reason as u8);
        let revocation = Revocation { serial: serial_text, issuer: issuer.as_str().to_owned(), at: now, reason };
        if !self.store.revoke(&revocation)? {
            return Err(RegionError::AlreadyRevoked(serial.clone()));
        }
        let its = |(role, _): &(Role, &Identity)| *role == issuer;
        write_crls(&self.folder, &self.store, &self.issuers().into_iter().filter(its).collect::<Vec<_>>(), now)
    }

    fn issuers(&self) -> [(Role, &Identity); 2] {
        [(Role::Root, &self.root), (Role::Ca, &self.ca)]
    }

    /// Makes new revocation lists where it is time: of a key on a token, which costs a person and a PIN, when something was revoked since or
    /// half of the list's time is over; of the others each time.
    pub(crate) fn renew_due_crls(&self, now: Timestamp) -> Result<(), RegionError> {
        let revocations = self.store.revocations(None)?;
        let is_due = |(role, issuer): &(Role, &Identity)| {
            let old = read_file(&crl_path(&self.folder, *role)).ok().and_then(|bytes| Crl::parse(&bytes).ok());
            let revoked = revocations.iter().filter(|revocation| revocation.issuer == role.as_str()).count();
            let is_young = |list: &Crl| now.duration_since(list.this_update()) < SignedDuration::from_hours(12 * CRL_DAYS);
            matches!(issuer.key(), Key::File(_)) || !old.is_some_and(|list| is_young(&list) && list.len() == revoked)
        };
        let due: Vec<_> = self.issuers().into_iter().filter(is_due).collect();
        write_crls(&self.folder, &self.store, &due, now)
    }

    /// Makes new revocation lists of root and CA.
    pub fn renew_crls(&mut self, now: Timestamp) -> Result<(), RegionError> {
        write_crls(&self.folder, &self.store, &self.issuers(), now)
    }

    /// Writes what verifiers need of this region into `out`, beside what other regions wrote there (report.md, `--trust DIR`).
    pub fn write_trust_folder(&self, out: &Path) -> Result<(), RegionError> {
        let id = self.id();
        let certificates = [("anchors", "root", &self.root), ("intermediates", "ca", &self.ca), ("makers", "maker", &self.maker)];
        for (sub, who, identity) in certificates {
            let path = out.join(sub);
            fs::create_dir_all(&path).map_err(io_at(&path))?;
            write_whole(&path.join(format!("{id}-{who}.pem")), pem::encode(pem::CERTIFICATE, identity.der()).as_bytes())?;
        }
        let crls = out.join("crls");
        fs::create_dir_all(&crls).map_err(io_at(&crls))?;
        for role in [Role::Root, Role::Ca] {
            let list = read_file(&crl_path(&self.folder, role))?;
            write_whole(&crls.join(format!("{id}-{}.crl", role.as_str())), &list)?;
        }
        Ok(())
    }
}

/// The next serial number: a counter, so that none is used twice, then eight random bytes, so that none can be foreseen.
fn next_serial(store: &Store) -> Result<SerialNumber, RegionError> {
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(|_| KeyError::Random)?;
    let digits = [store.take_number(Counter::Serial)?.to_be_bytes(), random].concat();
    #[expect(clippy::expect_used, reason = "16 bytes that begin with a counter from 1")]
    Ok(SerialNumber::new(&digits).expect("not zero"))
}

fn below(
    issuer: &Identity,
    profile: CertificateProfile,
    key: Key,
    name: &Name,
    validity: Validity,
    serial: &SerialNumber,
) -> Result<Identity, RegionError> {
    let certificate = issue_certificate(issuer, profile, name, &key.public_key(), validity, serial)?;
    Ok(Identity::new(key, &certificate)?)
}

fn service_name(region: &str, who: &str) -> Name {
    let organization = format!("{region}电子印章试点");
    Name::china().organization(&organization).common_name(&format!("{organization}{who}"))
}

fn write_identity(folder: &Path, role: Role, identity: &Identity, protection: &KeyProtection) -> Result<(), RegionError> {
    match (identity.key(), protection) {
        (Key::File(key), KeyProtection::Passphrase(passphrase)) => {
            write_whole(&key_path(folder, role), key.to_encrypted_pem(passphrase)?.as_bytes())?;
        }
        (Key::File(key), KeyProtection::PlainForPilot) => {
            write_whole(&key_path(folder, role), key.to_plain_pem()?.as_bytes())?;
        }
        (Key::Token(key), _) => {
            let path = token_path(folder, role);
            let malformed = |error: serde_json::Error| RegionError::Malformed { path: path.clone(), reason: error.to_string() };
            write_whole(&path, &serde_json::to_vec_pretty(key.place()).map_err(malformed)?)?;
        }
    }
    write_whole(&certificate_path(folder, role), pem::encode(pem::CERTIFICATE, identity.der()).as_bytes())
}

fn read_identity(folder: &Path, role: Role, access: &Access) -> Result<Identity, RegionError> {
    let path = token_path(folder, role);
    let key = if path.is_file() {
        let malformed = |error: serde_json::Error| RegionError::Malformed { path: path.clone(), reason: error.to_string() };
        let place = serde_json::from_slice(&read_file(&path)?).map_err(malformed)?;
        Key::Token(TokenKey::new(place, access.tokens.clone()))
    } else {
        let pem = read_file(&key_path(folder, role)).map(Zeroizing::new)?;
        let pem = std::str::from_utf8(&pem).map_err(|_| KeyError::Format)?;
        Key::File(PrivateKey::from_pem(pem, access.passphrase.as_ref().map(|passphrase| passphrase.as_slice()))?)
    };
    Ok(Identity::new(key, &read_certificate(&certificate_path(folder, role))?)?)
}

/// Makes new revocation lists of these issuers. Nobody else waits while a person is asked for a PIN: each is signed first, and written when
/// it is this process's turn. A PIN that is wrong or not given uses up no number.
fn write_crls(folder: &Path, store: &Store, issuers: &[(Role, &Identity)], now: Timestamp) -> Result<(), RegionError> {
    store.check_clock(now)?;
    for &(role, issuer) in issuers {
        issuer.key().unlock()?;
        let (number, revocations) = store.take_crl_number()?;
        let mut revoked = Vec::new();
        for revocation in revocations.iter().filter(|revocation| revocation.issuer == role.as_str()) {
            let serial = revocation.serial.parse().map_err(|_| StoreError::Malformed(revocation.serial.clone()))?;
            let reason = revocation.reason.and_then(RevocationReason::from_number);
            revoked.push(RevokedCertificate { serial, at: revocation.at, reason });
        }
        let next_update = now + SignedDuration::from_hours(24 * CRL_DAYS);
        // No revocation is ever taken off a list.
        let expired_since = Some(issuer.certificate().not_before());
        let contents = CrlContents { number, this_update: now, next_update, expired_since, revoked };
        write_crl(folder, role, store, number, &issue_crl(issuer, &contents)?)?;
    }
    Ok(())
}

/// Writes a revocation list, unless a newer one was written meanwhile: that has every revocation of this one.
fn write_crl(folder: &Path, role: Role, store: &Store, number: u64, list: &[u8]) -> Result<(), RegionError> {
    let path = crl_path(folder, role);
    let _turn = turn(folder)?;
    // A number that the records never gave is another store's, as where one came from a backup.
    let last = store.counter(Counter::Crl)?;
    let there = read_file(&path).ok().and_then(|list| crl_number(&list));
    match there {
        Some(there) if there > number && there <= last => Ok(()),
        _ => write_whole(&path, list),
    }
}

/// Waits until no other process writes lists into this folder. It is never held while a person is asked for something.
pub(crate) fn turn(folder: &Path) -> Result<File, RegionError> {
    let path = folder.join(".turn");
    let file = File::options().create(true).truncate(false).read(true).write(true).open(&path).map_err(io_at(&path))?;
    file.lock().map_err(io_at(&path))?;
    Ok(file)
}

pub(crate) fn key_path(folder: &Path, role: Role) -> PathBuf {
    folder.join("keys").join(format!("{}.key", role.as_str()))
}

fn token_path(folder: &Path, role: Role) -> PathBuf {
    folder.join("keys").join(format!("{}.token", role.as_str()))
}

pub(crate) fn certificate_path(folder: &Path, role: Role) -> PathBuf {
    folder.join("certificates").join(format!("{}.cer", role.as_str()))
}

pub(crate) fn crl_path(folder: &Path, role: Role) -> PathBuf {
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
    files::read_bounded(path, MAX_FILE_BYTES).map_err(io_at(path))
}

/// Writes a file that appears whole or not at all: temporary file (0600), flush, rename, flush of the folder.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), RegionError> {
    files::write_whole(path, bytes).map_err(io_at(path))
}

/// Makes a rename last over a power cut. Windows has no such call and needs none for NTFS metadata.
pub(crate) fn sync_folder(folder: &Path) -> Result<(), RegionError> {
    files::sync_folder(folder).map_err(io_at(folder))
}

pub(crate) fn io_at(path: &Path) -> impl Fn(io::Error) -> RegionError + use<> {
    let path = path.to_owned();
    move |source| RegionError::Io { path: path.clone(), source }
}
