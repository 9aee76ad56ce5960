//! Reads a trust directory (report.md, `--trust DIR`) into a [`TrustStore`].

use std::io;
use std::path::{Path, PathBuf};

use crate::pki::trust::{MAX_FILES, TrustFile, TrustFileError, TrustRole, TrustStore};

/// Largest file taken from a trust directory: a revocation list at its own limit, as PEM.
const MAX_FILE: u64 = 100 << 20;

/// The folders and what is in them.
const FOLDERS: [(&str, TrustRole); 6] = [
    ("anchors", TrustRole::Anchor),
    ("makers", TrustRole::Maker),
    ("tsa", TrustRole::TimeStamp),
    ("intermediates", TrustRole::Intermediate),
    ("crls", TrustRole::Crl),
    ("ocsp", TrustRole::Ocsp),
];

/// Why a trust directory cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrustDirError {
    /// The directory, or a file in it, cannot be read.
    #[error("cannot read {path}: {error}")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// None of the folders is there: the directory is some other one.
    #[error("{0} has none of the folders anchors, makers, tsa, intermediates, crls, ocsp")]
    NotATrustDirectory(PathBuf),
}

/// Reads all folders that are there; their files in order of name. Files that are no certificates, lists or responses are left out
/// and told.
pub fn read(dir: &Path) -> Result<(TrustStore, Vec<TrustFileError>), TrustDirError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |error| TrustDirError::Read { path, error }
    };
    std::fs::read_dir(dir).map_err(failed(dir))?;
    let mut files = Vec::new();
    let mut found = false;
    for (folder, role) in FOLDERS {
        let folder_path = dir.join(folder);
        let entries = match std::fs::read_dir(&folder_path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(failed(&folder_path)(error)),
        };
        found = true;
        let mut paths = Vec::new();
        for entry in entries {
            paths.push(entry.map_err(failed(&folder_path))?.path());
        }
        paths.sort();
        for path in paths {
            let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
            let metadata = std::fs::metadata(&path).map_err(failed(&path))?;
            if hidden || !metadata.is_file() || metadata.len() > MAX_FILE || files.len() > MAX_FILES {
                continue;
            }
            let bytes = std::fs::read(&path).map_err(failed(&path))?;
            files.push(TrustFile { role, name: path.display().to_string(), bytes });
        }
    }
    if !found {
        return Err(TrustDirError::NotATrustDirectory(dir.to_owned()));
    }
    Ok(TrustStore::from_files(files))
}
