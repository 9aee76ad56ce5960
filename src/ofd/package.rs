//! A package: files by name, each hashed once.

use std::io::{BufRead, Read, Seek};

use super::{OfdError, PackagePath, Tolerance};
use crate::sm::Sm3Digest;

/// The files of a package. Opening reads and checks every header and none of the contents.
pub struct Package<R> {
    source: R,
}

impl<R: Read + Seek> Package<R> {
    /// Opens a package and checks its whole ZIP structure; nothing is inflated yet.
    pub fn open(source: R) -> Result<Self, OfdError> {
        Ok(Self { source })
    }

    /// The files (directories left out), in the order of the ZIP directory.
    pub fn files(&self) -> impl Iterator<Item = &PackagePath> {
        std::iter::empty()
    }

    /// The file that a path names: itself, or the one whose name differs only in case (then a tolerance is noted). `None` when
    /// there is none.
    pub fn find(&mut self, _path: &PackagePath) -> Option<PackagePath> {
        todo!()
    }

    /// Length of a file's contents as its headers declare it; reading checks it.
    pub fn length(&self, _path: &PackagePath) -> Result<u64, OfdError> {
        todo!()
    }

    /// A file's contents whole, at most `limit` bytes.
    pub fn read(&mut self, _path: &PackagePath, _limit: u64) -> Result<Vec<u8>, OfdError> {
        todo!()
    }

    /// A file's contents as a stream. Its last read fails when length or CRC are not as declared.
    pub fn reader(&mut self, _path: &PackagePath) -> Result<impl BufRead, OfdError> {
        let _ = &mut self.source;
        Ok(std::io::empty())
    }

    /// SM3 of a file's contents. Computed once, by streaming, and kept.
    pub fn digest(&mut self, _path: &PackagePath) -> Result<Sm3Digest, OfdError> {
        todo!()
    }

    /// What was let pass so far, by name, without repetition.
    pub fn tolerances(&self) -> impl Iterator<Item = &Tolerance> {
        std::iter::empty()
    }
}
