//! Whether a library may be loaded into a worker. Checked here, in the parent, before the worker starts: once a library is loaded it is too late.
//!
//! The path is absolute; neither the file nor any folder above it can be written by anyone but root and the user; links are
//! resolved first, and what they lead to is what is checked and loaded; when a digest is configured, the file has it.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use sha2::{Digest as _, Sha256};
use ukey::library::{HEAD_BYTES, Machine};

use crate::pki::certificate::hex;

/// No vendor library comes near this; reading stops here.
const MAX_LIBRARY_BYTES: u64 = 256 << 20;

/// A library that the policy or the user's configuration names.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Library {
    /// Absolute path.
    pub path: PathBuf,
    /// SHA-256 of the file, when the configuration fixes it.
    pub sha256: Option<[u8; 32]>,
}

/// Why a library is not loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LibraryError {
    /// The file is another one than the configuration fixes.
    #[error("{}: its SHA-256 is {found}, not the one in the configuration", path.display())]
    Digest {
        /// The file.
        path: PathBuf,
        /// Its digest.
        found: String,
    },
    /// It cannot be read.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is a folder, a device, or larger than any library.
    #[error("{}: not a library file", .0.display())]
    NotAFile(PathBuf),
    /// The path depends on the current folder or on a network share.
    #[error("{}: not an absolute local path", .0.display())]
    NotAbsolute(PathBuf),
    /// Somebody else could put another file there.
    #[error("{}: can be written by other users", .0.display())]
    WritableByOthers(PathBuf),
}

impl Library {
    /// The path to load, links resolved, when the library may be loaded.
    pub fn check(&self) -> Result<PathBuf, LibraryError> {
        if !is_absolute_and_local(&self.path) {
            return Err(LibraryError::NotAbsolute(self.path.clone()));
        }
        let path = fs::canonicalize(&self.path).map_err(|source| LibraryError::Io { path: self.path.clone(), source })?;
        let metadata = fs::metadata(&path).map_err(|source| LibraryError::Io { path: path.clone(), source })?;
        if !metadata.is_file() || metadata.len() > MAX_LIBRARY_BYTES {
            return Err(LibraryError::NotAFile(path));
        }
        check_writers(&path)?;
        if let Some(expected) = self.sha256 {
            let found = digest(&path).map_err(|source| LibraryError::Io { path: path.clone(), source })?;
            if found != expected {
                let found = hex(&found);
                return Err(LibraryError::Digest { path, found });
            }
        }
        Ok(path)
    }
}

/// The processor that a library is for, by its first bytes; `None` for what is no library, or cannot be read.
pub fn machine(path: &Path) -> Option<Machine> {
    let mut head = Vec::new();
    io::Read::read_to_end(&mut io::Read::take(File::open(path).ok()?, HEAD_BYTES as u64), &mut head).ok()?;
    Machine::of_library(&head)
}

fn digest(path: &Path) -> io::Result<[u8; 32]> {
    let mut file = io::Read::take(File::open(path)?, MAX_LIBRARY_BYTES);
    let (mut digest, mut block) = (Sha256::new(), vec![0; 1 << 16]);
    loop {
        match io::Read::read(&mut file, &mut block)? {
            0 => return Ok(digest.finalize().into()),
            n => digest.update(&block[..n]),
        }
    }
}

#[cfg(unix)]
fn is_absolute_and_local(path: &Path) -> bool {
    path.is_absolute()
}

/// A drive letter and nothing that reaches a share, a device or a volume by another name.
#[cfg(windows)]
fn is_absolute_and_local(path: &Path) -> bool {
    use std::path::{Component, Prefix};
    path.is_absolute() && matches!(path.components().next(), Some(Component::Prefix(p)) if matches!(p.kind(), Prefix::Disk(_)))
}

/// Every place on the way is owned by root or by us, and not writable by group or others. A sticky folder such as `/tmp` still lets
/// others add names to it, so it counts as writable.
#[cfg(unix)]
fn check_writers(path: &Path) -> Result<(), LibraryError> {
    use std::os::unix::fs::MetadataExt as _;
    for place in path.ancestors() {
        let metadata = fs::metadata(place).map_err(|source| LibraryError::Io { path: place.to_owned(), source })?;
        let ours = metadata.uid() == 0 || metadata.uid() == rustix::process::geteuid().as_raw();
        if !ours || metadata.mode() & 0o022 != 0 {
            return Err(LibraryError::WritableByOthers(place.to_owned()));
        }
    }
    Ok(())
}

/// The folders that only an administrator can write: Windows' own and those of installed programs.
#[cfg(windows)]
fn check_writers(path: &Path) -> Result<(), LibraryError> {
    let folders = ["SystemRoot", "ProgramFiles", "ProgramFiles(x86)", "ProgramW6432"];
    let mut folders = folders.iter().filter_map(std::env::var_os).filter_map(|folder| fs::canonicalize(folder).ok());
    // Windows' own temporary and spool folders take files from everybody.
    let open = |rest: &Path| rest.starts_with("Temp") || rest.starts_with("Tasks") || rest.starts_with("Tracing");
    let protected = folders.any(|folder| path.strip_prefix(&folder).is_ok_and(|rest| !open(rest)));
    if protected { Ok(()) } else { Err(LibraryError::WritableByOthers(path.to_owned())) }
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use tempfile::TempDir;

    use super::*;

    /// A folder that others cannot write, all the way up: the target folder of this build, not `/tmp`.
    fn folder() -> TempDir {
        let build = std::env::current_exe().unwrap().parent().unwrap().to_owned();
        tempfile::tempdir_in(build).unwrap()
    }

    fn library(path: PathBuf) -> Library {
        fs::write(&path, b"\x7fELF").unwrap();
        Library { path, sha256: None }
    }

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn library_in_a_safe_place_is_allowed_and_links_are_resolved() {
        let folder = folder();
        let library = library(folder.path().join("libskf.so"));
        set_mode(&library.path, 0o755);
        let real = fs::canonicalize(&library.path).unwrap();
        assert_eq!(library.check().unwrap(), real);
        let link = folder.path().join("link.so");
        symlink(&library.path, &link).unwrap();
        assert_eq!(Library { path: link, sha256: None }.check().unwrap(), real);
    }

    #[test]
    fn relative_missing_and_special_files_are_refused() {
        let folder = folder();
        let check = |path: &Path| Library { path: path.to_owned(), sha256: None }.check();
        assert!(matches!(check(Path::new("libskf.so")), Err(LibraryError::NotAbsolute(_))));
        assert!(matches!(check(&folder.path().join("missing.so")), Err(LibraryError::Io { .. })));
        assert!(matches!(check(folder.path()), Err(LibraryError::NotAFile(_))));
        assert!(matches!(check(Path::new("/dev/null")), Err(LibraryError::NotAFile(_))));
    }

    #[test]
    fn library_or_folder_that_others_can_write_is_refused() {
        let folder = folder();
        let inner = folder.path().join("inner");
        fs::create_dir(&inner).unwrap();
        let library = library(inner.join("libskf.so"));
        for (place, mode) in [(&library.path, 0o664), (&library.path, 0o646), (&inner, 0o775), (&inner, 0o1777)] {
            set_mode(&inner, 0o755);
            set_mode(&library.path, 0o644);
            library.check().unwrap();
            set_mode(place, mode);
            let error = library.check().unwrap_err();
            assert!(
                matches!(&error, LibraryError::WritableByOthers(found) if found.ends_with(place.file_name().unwrap())),
                "{error}"
            );
        }
    }

    #[test]
    fn library_with_another_digest_than_configured_is_refused() {
        let folder = folder();
        let mut library = library(folder.path().join("libskf.so"));
        // `printf '\x7fELF' | sha256sum`
        library.sha256 = Some(*b"\x3b\xdb\xb4\xfe\x83\x97\xcd\x2b\x84\x24\x30\xb3\x9c\xcf\xf0\x1a\x86\x63\xc7\x51\x94\x5e\xf5\xe9\xa0\x9e\x26\x7f\xb8\xb1\xd3\x59");
        library.check().unwrap();
        fs::write(&library.path, b"\x7fELF, but another").unwrap();
        assert!(matches!(library.check(), Err(LibraryError::Digest { .. })));
    }
}
