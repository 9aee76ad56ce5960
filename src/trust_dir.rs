//! Reads trust directories (report.md, `--trust DIR`) and files that regions signed into a [`TrustStore`].

use std::io;
use std::path::{Path, PathBuf};

use crate::files::read_bounded;
use crate::pki::licence::Licence;
use crate::pki::seal_status::{StatusAnswer, status_list};
use crate::pki::signed::{DocumentKind, SignedError, kind_of};
use crate::pki::trust::{MAX_FILES, TrustFile, TrustFileError, TrustFileProblem, TrustRole, TrustStore};
use crate::pki::trust_list::SignedTrustList;
use crate::regions::{Presets, RegionError, Regions};

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
    #[error("{0} has none of the folders anchors, makers, tsa, intermediates, crls, ocsp, regions")]
    NotATrustDirectory(PathBuf),
}

/// Something that was left out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LeftOut {
    /// A file of a folder.
    #[error(transparent)]
    File(#[from] TrustFileError),
    /// Of an accepted region.
    #[error(transparent)]
    Region(#[from] RegionError),
    /// A file that was named by itself.
    #[error("{}: {reason}", .path.display())]
    Named {
        /// Which.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}

/// Reads one directory. Files that are no certificates, lists or responses are left out and told.
/// Accepted regions below it count as far as `presets` allow.
pub fn read(dir: &Path, presets: &Presets) -> Result<(TrustStore, Vec<LeftOut>), TrustDirError> {
    read_all(&[dir.to_owned()], presets)
}

/// Reads directories, and files that regions signed. A trust list that is named here is believed because it is; what else is
/// signed counts if one of these lists names its signer.
pub fn read_all(named: &[PathBuf], presets: &Presets) -> Result<(TrustStore, Vec<LeftOut>), TrustDirError> {
    let mut store = TrustStore::empty();
    let mut left_out = Vec::new();
    let (files, folders): (Vec<_>, Vec<_>) = named.iter().partition(|path| path.is_file());
    for folder in folders {
        for (i, file) in read_folder(folder)?.into_iter().enumerate() {
            let problem = if i < MAX_FILES { store.add_file(&file).err() } else { Some(TrustFileProblem::TooMany) };
            left_out.extend(problem.map(|problem| TrustFileError { file: file.name, problem }.into()));
        }
        left_out.extend(Regions::new(folder, presets.clone()).fill(&mut store).into_iter().map(LeftOut::from));
    }
    let mut lists = Vec::new();
    let mut others = Vec::new();
    for path in files {
        let bytes = read_file(path)?;
        match kind_of(&bytes) {
            Some(DocumentKind::TrustList) => match SignedTrustList::parse(&bytes) {
                Ok(list) => lists.push(list),
                Err(error) => left_out.push(LeftOut::Named { path: path.clone(), reason: error.to_string() }),
            },
            kind => others.push((path, kind, bytes)),
        }
    }
    for list in &lists {
        let (region, services) = list.list().region(true);
        store.add_region(region, services);
    }
    for (path, kind, bytes) in others {
        if let Err(reason) = add_signed(&mut store, &lists, path, kind, bytes) {
            left_out.push(LeftOut::Named { path: path.clone(), reason });
        }
    }
    store.link();
    Ok((store, left_out))
}

/// Adds what the signer of one of `lists` says, or a revocation list.
fn add_signed(
    store: &mut TrustStore,
    lists: &[SignedTrustList],
    path: &Path,
    kind: Option<DocumentKind>,
    bytes: Vec<u8>,
) -> Result<(), String> {
    let Some(kind) = kind else {
        let file = TrustFile { role: TrustRole::Crl, name: path.display().to_string(), bytes };
        return store.add_file(&file).map_err(|problem| problem.to_string());
    };
    let mut reason = "none of the trust lists names its signer".to_owned();
    for list in lists.iter().map(SignedTrustList::list) {
        let added = match kind {
            DocumentKind::StatusList => status_list(list, &bytes).map(|status| store.add_status_list(status)),
            DocumentKind::StatusAnswer => StatusAnswer::read(list, None, &bytes).map(|a| store.add_statuses([a.into()])),
            DocumentKind::Licence => Licence::read(list, &bytes).map(|licence| store.add_licences([licence])),
            DocumentKind::TrustList => return Ok(()),
        };
        match added {
            Ok(()) => return Ok(()),
            Err(SignedError::OtherRegion(_)) => {}
            Err(error) => reason = error.to_string(),
        }
    }
    Err(reason)
}

fn read_file(path: &Path) -> Result<Vec<u8>, TrustDirError> {
    read_bounded(path, MAX_FILE).map_err(|error| TrustDirError::Read { path: path.to_owned(), error })
}

/// The files of all folders that are there, in order of name.
fn read_folder(dir: &Path) -> Result<Vec<TrustFile>, TrustDirError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |error| TrustDirError::Read { path, error }
    };
    std::fs::read_dir(dir).map_err(failed(dir))?;
    let mut files = Vec::new();
    let mut found = dir.join("regions").is_dir();
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
    Ok(files)
}
