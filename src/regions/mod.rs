//! The regions that this user accepts, and what was had from them: trust lists, seal status, licences, revocation lists.
//!
//! ```text
//! TRUST/regions/ID/region.json        number and digest of the accepted list, its signers' fingerprints, whether accepted
//!                  list-N.p7b         the accepted list
//!                  status.p7b         the last full status list      changes.p7b   the newest changes since it
//!                  answers/ licences/ crls/ ocsp/                    one file each, named by what it is about
//!                  fetched.json        when revocation lists were fetched last, by their places
//! ```
//!
//! A region is accepted by a person who compared a fingerprint, or by the IT department's policy. After that its lists take each
//! other's place by the rules of [`Accepted`]; what is refused leaves the last good one where it is. A region that was removed keeps its
//! `region.json`, so that an old list cannot come in by the back door; `forget` drops that too. Everything written appears whole or
//! not at all, under a lock that is never held while a person thinks. A program of the same user can write here as well; which regions policy allows is beyond its reach.

mod ask;
pub mod refresh;
mod said;
mod take;

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use said::Said;

use crate::files::{make_private_dir, read_bounded, write_whole};
use crate::pki::certificate::hex;
use crate::pki::licence::{self, Licence};
use crate::pki::seal_status::{self, StatusAnswer, StatusList, status_list};
use crate::pki::signed::{SignedError, is_region_name};
use crate::pki::trust::{TrustFile, TrustRole, TrustStore};
use crate::pki::trust_list::{self, Accepted, ListRefusal, SignedTrustList};
use crate::sm::Sm3Digest;

/// Regions that are read; a country has some hundreds.
const MAX_REGIONS: usize = 1_000;
/// Files of one kind of one region that are read.
const MAX_FILES: usize = 10_000;
/// Largest revocation list or answer, in bytes.
const MAX_REVOCATION: u64 = 100 << 20;
/// Largest `region.json`, in bytes.
const MAX_STATE: u64 = 64 << 10;
const VERSION: u32 = 1;

/// Why a file is not taken, or a region not changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegionError {
    /// The person said no.
    #[error("not accepted")]
    Declined,
    /// A folder or file cannot be used.
    #[error("{}: {source}", .path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file of the folder is not what this program wrote.
    #[error("{}: {reason}", .path.display())]
    Malformed {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Nothing that belongs here.
    #[error("neither a trust list, a status list or answer, a licence statement, nor a revocation list or answer")]
    NotKnown,
    /// An older revocation list, answer or licence statement than the one that is here.
    #[error("a newer one is here already")]
    Older,
    /// An older status list than the one that is here.
    #[error("the status list has number {found}, and number {have} is here already")]
    OldStatus {
        /// Here.
        have: u64,
        /// Its own.
        found: u64,
    },
    /// Policy allows its own regions only.
    #[error("the policy of this machine does not allow region {0}, or not under this key")]
    Policy(String),
    /// The list does not take the place of the accepted one.
    #[error("{0}")]
    Refused(#[from] ListRefusal),
    /// Not what it should be.
    #[error("{0}")]
    Signed(#[from] SignedError),
    /// No accepted region vouches for it.
    #[error("no accepted region vouches for it")]
    Unclaimed,
    /// There is no such region.
    #[error("there is no region {0} here")]
    Unknown(String),
}

/// `region.json`
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct State {
    version: u32,
    region: String,
    sequence: u64,
    content: String,
    signers: Vec<String>,
    accepted: bool,
    since: Timestamp,
}

impl State {
    fn of(list: &SignedTrustList, accepted: bool, since: Timestamp) -> Self {
        let remembered = list.accepted();
        Self {
            version: VERSION,
            region: remembered.region,
            sequence: remembered.sequence,
            content: hex(&remembered.content.0),
            signers: remembered.signers.iter().map(|s| hex(s)).collect(),
            accepted,
            since,
        }
    }

    fn remembered(&self) -> Option<Accepted> {
        let signers: Option<Vec<_>> = self.signers.iter().map(|s| unhex(s)).collect();
        Some(Accepted {
            region: self.region.clone(),
            sequence: self.sequence,
            content: Sm3Digest(unhex(&self.content)?),
            signers: signers?,
        })
    }
}

/// 64 hexadecimal digits, colons and blanks between them allowed, as people copy fingerprints.
pub fn unhex(text: &str) -> Option<[u8; 32]> {
    let digits: String = text.chars().filter(|c| !matches!(c, ':' | ' ')).collect();
    let mut out = [0; 32];
    if digits.len() != 64 || !digits.is_ascii() {
        return None;
    }
    for (i, byte) in out.iter_mut().enumerate() {
        *byte = u8::from_str_radix(digits.get(2 * i..2 * i + 2)?, 16).ok()?;
    }
    Some(out)
}

/// A region and its list.
#[derive(Clone, Debug)]
pub struct KnownRegion {
    /// Its list.
    pub list: SignedTrustList,
    /// Whether it is believed: somebody accepted it, and policy allows it, which may have come later.
    pub accepted: bool,
    /// Since when it is or is not.
    pub since: Timestamp,
}

/// What a person is shown before a region is accepted.
#[derive(Clone, Debug)]
pub struct Introduction {
    /// The list.
    pub list: SignedTrustList,
    /// Accepted regions whose lists point to this one: the name, and whether they name the same key.
    pub named_by: Vec<(String, bool)>,
    /// Whether the region was here before and was removed.
    pub removed_before: bool,
}

/// What became of a file.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Taken {
    /// A region was accepted.
    Accepted(String),
    /// A region's list was replaced by one of this number.
    Updated(String, u64),
    /// It was here already, and nothing was written.
    Unchanged(String),
    /// A region's seal status, and its number.
    Status(String, u64),
    /// An answer about a seal.
    Answer(String, String),
    /// A licence statement about this company.
    Licence(String, String),
    /// A revocation list or answer.
    Revocation(String),
}

/// Regions that policy accepts: short name and fingerprint of the list's signer.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Presets {
    /// Region and SHA-256 of the certificate that may sign its first list.
    pub regions: Vec<(String, [u8; 32])>,
    /// Whether others may be accepted too.
    pub others: bool,
    /// Files of lists that the agent takes when it starts.
    pub lists: Vec<PathBuf>,
}

impl Presets {
    /// A machine without policy: the person decides.
    pub fn none() -> Self {
        Self { regions: Vec::new(), others: true, lists: Vec::new() }
    }

    /// Whether a region of this name may count at all.
    fn allow(&self, region: &str) -> bool {
        self.others || self.regions.iter().any(|(name, _)| name == region)
    }

    /// Whether policy accepts this list by itself; an error when it forbids it.
    fn judge(&self, list: &SignedTrustList) -> Result<bool, RegionError> {
        let region = &list.list().region;
        let mut named = self.regions.iter().filter(|(name, _)| name == region).peekable();
        let is_named = named.peek().is_some();
        if named.any(|(_, signer)| signer == list.signer().sha256()) {
            return Ok(true);
        }
        // A region that policy names counts under policy's key alone.
        if is_named || !self.others { Err(RegionError::Policy(region.clone())) } else { Ok(false) }
    }
}

/// The folder of accepted regions.
#[derive(Clone, Debug)]
pub struct Regions {
    folder: PathBuf,
    presets: Presets,
}

impl Regions {
    /// The regions below a trust folder.
    pub fn new(trust_folder: &Path, presets: Presets) -> Self {
        Self { folder: trust_folder.join("regions"), presets }
    }

    /// What policy says of regions.
    pub fn presets(&self) -> &Presets {
        &self.presets
    }

    /// All regions, in order of name, and what could not be read.
    pub fn all(&self) -> (Vec<KnownRegion>, Vec<RegionError>) {
        let (mut regions, mut problems) = (Vec::new(), Vec::new());
        for name in self.names() {
            match self.read(&name) {
                Ok(Some(region)) => regions.push(region),
                Ok(None) => {}
                Err(error) => problems.push(error),
            }
        }
        (regions, problems)
    }

    /// The regions that are believed.
    fn accepted(&self) -> impl Iterator<Item = KnownRegion> + use<> {
        self.all().0.into_iter().filter(|region| region.accepted)
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let mut names: Vec<String> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.retain(|name| is_region_name(name));
        names.sort();
        names.truncate(MAX_REGIONS);
        names
    }

    fn state(&self, region: &str) -> Result<Option<State>, RegionError> {
        let path = self.folder.join(region).join("region.json");
        let bytes = match read_file(&path, MAX_STATE) {
            Ok(bytes) => bytes,
            Err(RegionError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let malformed = |reason: String| RegionError::Malformed { path: path.clone(), reason };
        let state: State = serde_json::from_slice(&bytes).map_err(|error| malformed(error.to_string()))?;
        if state.version != VERSION || state.region != region || state.remembered().is_none() {
            return Err(malformed("not as this program writes it".to_owned()));
        }
        Ok(Some(state))
    }

    fn read(&self, region: &str) -> Result<Option<KnownRegion>, RegionError> {
        let Some(state) = self.state(region)? else { return Ok(None) };
        let path = self.list_path(region, state.sequence);
        let list = SignedTrustList::parse(&read_file(&path, trust_list::MAX_LIST as u64)?)?;
        if Some(list.accepted()) != state.remembered() {
            return Err(RegionError::Malformed { path, reason: "not the list that was accepted".to_owned() });
        }
        let accepted = state.accepted && self.presets.allow(region);
        Ok(Some(KnownRegion { list, accepted, since: state.since }))
    }

    fn list_path(&self, region: &str, sequence: u64) -> PathBuf {
        self.folder.join(region).join(format!("list-{sequence}.p7b"))
    }

    fn write(&self, list: &SignedTrustList, accepted: bool, now: Timestamp) -> Result<(), RegionError> {
        let region = &list.list().region;
        let folder = self.folder.join(region);
        make_private_dir(&folder).map_err(at(&folder))?;
        write(&self.list_path(region, list.list().sequence), list.raw())?;
        self.write_state(&State::of(list, accepted, now))
    }

    fn write_state(&self, state: &State) -> Result<(), RegionError> {
        let path = self.folder.join(&state.region).join("region.json");
        let text = serde_json::to_vec_pretty(state)
            .map_err(|error| RegionError::Malformed { path: path.clone(), reason: error.to_string() })?;
        write(&path, &text)
    }

    fn status_parts(&self, region: &KnownRegion) -> (Option<StatusList>, Option<StatusList>) {
        let folder = self.folder.join(&region.list.list().region);
        let read = |file: &str| {
            let bytes = read_file(&folder.join(file), seal_status::MAX_LIST as u64).ok()?;
            status_list(region.list.list(), &bytes).ok()
        };
        (read("status.p7b"), read("changes.p7b"))
    }

    /// The newest status that can be put together of the files that are here.
    fn status(&self, region: &KnownRegion) -> Option<StatusList> {
        match self.status_parts(region) {
            (Some(full), Some(changes)) if changes.head().base == Some(full.head().number) => {
                full.with_changes(&changes).ok().or(Some(full))
            }
            (full, _) => full,
        }
    }

    /// Takes trust in a region back. With `forget` nothing is remembered of it, not even which list was its last.
    pub fn remove(&self, region: &str, forget: bool, now: Timestamp) -> Result<(), RegionError> {
        if !is_region_name(region) {
            return Err(RegionError::Unknown(region.to_owned()));
        }
        let _lock = self.lock()?;
        let folder = self.folder.join(region);
        if forget {
            match fs::remove_dir_all(&folder) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(RegionError::Unknown(region.to_owned())),
                result => result.map_err(at(&folder))?,
            }
            return self.changed();
        }
        let state = self.state(region)?.filter(|state| state.accepted).ok_or_else(|| RegionError::Unknown(region.to_owned()))?;
        self.write_state(&State { accepted: false, since: now, ..state })?;
        self.changed()
    }

    /// Adds everything to a store; gives what was left out. The caller links the store.
    pub fn fill(&self, store: &mut TrustStore) -> Vec<RegionError> {
        let (regions, mut problems) = self.all();
        for region in regions {
            let list = region.list.list();
            let (told, services) = list.region(region.accepted);
            store.add_region(told, services);
            if !region.accepted {
                continue;
            }
            if let Some(status) = self.status(&region) {
                store.add_status_list(status);
            }
            let folder = self.folder.join(&list.region);
            let read = |kind: &str, limit| files(&folder.join(kind), limit);
            store.add_statuses(
                read("answers", seal_status::MAX_ANSWER as u64)
                    .filter_map(|(_, bytes)| StatusAnswer::read(list, None, &bytes).ok().map(Into::into)),
            );
            store.add_licences(
                read("licences", licence::MAX_LICENCE as u64).filter_map(|(_, bytes)| Licence::read(list, &bytes).ok()),
            );
            for (role, kind) in [(TrustRole::Crl, "crls"), (TrustRole::Ocsp, "ocsp")] {
                for (path, bytes) in read(kind, MAX_REVOCATION) {
                    let file = TrustFile { role, name: path.display().to_string(), bytes };
                    if let Err(reason) = store.add_file(&file) {
                        problems.push(RegionError::Malformed { path, reason: reason.to_string() });
                    }
                }
            }
        }
        problems
    }

    /// What differs after each change: so that a running agent sees what a command did.
    pub fn mark(&self) -> Vec<u8> {
        read_file(&self.folder.join(MARK), 64).unwrap_or_default()
    }

    fn changed(&self) -> Result<(), RegionError> {
        let mut mark = [0; 16];
        getrandom::fill(&mut mark).map_err(|_| at(&self.folder)(io::ErrorKind::Other.into()))?;
        write(&self.folder.join(MARK), &mark)
    }

    fn lock(&self) -> Result<File, RegionError> {
        make_private_dir(&self.folder).map_err(at(&self.folder))?;
        let path = self.folder.join(".lock");
        let lock = File::options().create(true).truncate(false).write(true).open(&path).map_err(at(&path))?;
        lock.lock().map_err(at(&path))?;
        Ok(lock)
    }
}

/// The files of a folder with their contents, in order of name.
fn files(folder: &Path, limit: u64) -> impl Iterator<Item = (PathBuf, Vec<u8>)> + use<> {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    paths.sort();
    paths.truncate(MAX_FILES);
    paths.into_iter().filter_map(move |path| read_file(&path, limit).ok().map(|bytes| (path, bytes)))
}

fn read_file(path: &Path, limit: u64) -> Result<Vec<u8>, RegionError> {
    read_bounded(path, limit).map_err(at(path))
}

/// Name of the file that is another after each change.
const MARK: &str = ".changed";

fn write(path: &Path, bytes: &[u8]) -> Result<(), RegionError> {
    write_whole(path, bytes).map_err(at(path))
}

fn at(path: &Path) -> impl Fn(io::Error) -> RegionError {
    let path = path.to_owned();
    move |source| RegionError::Io { path: path.clone(), source }
}
