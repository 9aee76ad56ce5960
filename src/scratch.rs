//! Files that nobody else sees: where uploads and results are while they are worked on.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::sync::Arc;

use tempfile::TempPath;

use crate::failure::{Code, Failure};
use crate::files::make_private_dir;

/// Where files that nobody else may see are made.
#[derive(Clone, Debug)]
pub enum Scratch {
    /// In this folder, under names, to be renamed into place.
    Named(PathBuf),
    /// In this folder, without a name: gone with the last handle, also after a crash.
    Unlinked(PathBuf),
}

/// A file being written.
#[derive(Debug)]
pub struct Draft {
    /// The file, open for reading and writing.
    pub file: File,
    /// Its name, removed on drop; `None` where it has none.
    pub path: Option<TempPath>,
}

impl Scratch {
    /// Removes what a run that ended in the middle of something left behind. Files without a name are gone by themselves; those of a
    /// file system that cannot make such have a name for a moment.
    pub fn clear(&self) {
        let Self::Unlinked(folder) = self else { return };
        let Ok(entries) = std::fs::read_dir(folder) else { return };
        for entry in entries.flatten() {
            if let Err(error) = std::fs::remove_file(entry.path()) {
                tracing::warn!(%error, "a left-over file cannot be removed");
            }
        }
    }

    /// A new empty file, for this user only.
    pub fn draft(&self) -> io::Result<Draft> {
        match self {
            Self::Named(folder) => {
                let (file, path) = tempfile::Builder::new().prefix(".sealagent-").tempfile_in(folder)?.into_parts();
                Ok(Draft { file, path: Some(path) })
            }
            Self::Unlinked(folder) => {
                make_private_dir(folder)?;
                Ok(Draft { file: tempfile::tempfile_in(folder)?, path: None })
            }
        }
    }
}

/// Bytes of a file that only this process has open. Each reader has a position of its own.
#[derive(Clone, Debug)]
pub struct Bytes {
    file: Arc<File>,
    len: u64,
}

impl Bytes {
    /// All that `file` holds now.
    pub fn new(file: File) -> io::Result<Self> {
        let len = file.metadata()?.len();
        Ok(Self { file: Arc::new(file), len })
    }

    /// Number of bytes.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// A reader from the start.
    pub fn reader(&self) -> BytesReader {
        BytesReader { bytes: self.clone(), at: 0 }
    }
}

/// Reads [`Bytes`].
#[derive(Clone, Debug)]
pub struct BytesReader {
    bytes: Bytes,
    at: u64,
}

impl Read for BytesReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        #[cfg(unix)]
        let read = std::os::unix::fs::FileExt::read_at(&*self.bytes.file, buffer, self.at)?;
        #[cfg(windows)]
        let read = std::os::windows::fs::FileExt::seek_read(&*self.bytes.file, buffer, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

impl Seek for BytesReader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
            SeekFrom::End(by) => self.bytes.len.checked_add_signed(by),
        };
        self.at = at.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}

/// What an error of our own files means to the outside.
pub fn of_io(error: &io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => Code::DiskFull.into(),
        _ => {
            tracing::error!(%error, "a file of the agent cannot be used");
            Code::Internal.into()
        }
    }
}
