//! The trust that the service judges by: folders and files, read anew when they change.
//!
//! Whoever keeps them fresh (a copy from the region's web server, `sealagent trust update`) replaces files; every process of the service sees
//! it within [`LOOK`]. What cannot be read leaves the last good trust in use: it grows old by its own dates, and verdicts say so.

use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use sealagent::pki::TrustStore;
use sealagent::regions::Presets;
use sealagent::trust_dir::{self, TrustDirError};

/// How often is looked whether something changed. A look is one `stat` for each file.
pub const LOOK: Duration = Duration::from_secs(5);
/// Folders below a named one that are looked into: `regions/ID/crls`.
const MAX_DEPTH: usize = 4;
/// Files that are looked at. A trust folder has some hundred; more than this, and a change may be missed until the next start.
const MAX_FILES: usize = 100_000;

/// A file as it was: another one has another length, time or number.
type Seen = (PathBuf, u64, Option<SystemTime>, u64);

/// Trust that follows its files.
#[derive(Debug)]
pub struct Trust {
    named: Vec<PathBuf>,
    now: RwLock<(Vec<Seen>, Arc<TrustStore>)>,
}

impl Trust {
    /// Reads folders and files as `sealagent verify --trust` does. `tell` hears what is left out.
    pub fn read(named: Vec<PathBuf>, tell: &dyn Fn(String)) -> Result<Self, TrustDirError> {
        let seen = look(&named);
        let store = read(&named, tell)?;
        Ok(Self { named, now: RwLock::new((seen, store)) })
    }

    /// As it is now.
    pub fn current(&self) -> Arc<TrustStore> {
        Arc::clone(&self.now.read().unwrap_or_else(PoisonError::into_inner).1)
    }

    /// Reads anew what has changed since it was read; whether there was anything. Blocks.
    pub fn refresh(&self, tell: &dyn Fn(String)) -> Result<bool, TrustDirError> {
        // Before reading: what changes meanwhile is seen the next time.
        let seen = look(&self.named);
        if seen == self.now.read().unwrap_or_else(PoisonError::into_inner).0 {
            return Ok(false);
        }
        let store = read(&self.named, tell)?;
        *self.now.write().unwrap_or_else(PoisonError::into_inner) = (seen, store);
        Ok(true)
    }
}

fn read(named: &[PathBuf], tell: &dyn Fn(String)) -> Result<Arc<TrustStore>, TrustDirError> {
    // Whoever names a folder says whom to trust.
    let (store, left_out) = trust_dir::read_all(named, &Presets::none())?;
    left_out.into_iter().for_each(|problem| tell(problem.to_string()));
    Ok(Arc::new(store))
}

fn look(named: &[PathBuf]) -> Vec<Seen> {
    let mut seen = Vec::new();
    for path in named {
        // One that is missing is seen as missing.
        if look_at(path, 0, &mut seen).is_err() {
            seen.push((path.clone(), u64::MAX, None, 0));
        }
    }
    seen.sort();
    seen
}

fn look_at(path: &Path, depth: usize, seen: &mut Vec<Seen>) -> io::Result<()> {
    let metadata = fs::metadata(path)?;
    if seen.len() >= MAX_FILES || depth > MAX_DEPTH {
        return Ok(());
    }
    if metadata.is_dir() {
        for entry in fs::read_dir(path)? {
            // A file that went between the two calls is not there.
            let _ = look_at(&entry?.path(), depth + 1, seen);
        }
        return Ok(());
    }
    seen.push((path.to_owned(), metadata.len(), metadata.modified().ok(), number(&metadata)));
    Ok(())
}

#[cfg(unix)]
fn number(metadata: &Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(metadata)
}

#[cfg(not(unix))]
fn number(_: &Metadata) -> u64 {
    0
}
