//! The package-level list of GM/T 0099-2020 clause 7.4 and annex D: names without digests, so it covers no content.

use std::io::{Read, Seek};

use super::{Ofd, OfdError, PackagePath};
use crate::sm::Sm3Digest;

/// `OFDEntries.xml` and what it says against what is there.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct IntegrityList {
    /// Its file.
    pub path: PackagePath,
    /// Its bytes as received.
    pub raw: Vec<u8>,
    /// SM3 of `raw`: what the signed value is about.
    pub digest: Sm3Digest,
    /// `SignedValueLoc`.
    pub signed_value: PackagePath,
    /// `FileList/File`.
    pub files: Vec<PackagePath>,
    /// Listed, and not in the package.
    pub missing: Vec<PackagePath>,
    /// In the package, and not listed: smuggled. The list itself and its signed value do not count.
    pub unlisted: Vec<PackagePath>,
}

impl<R: Read + Seek> Ofd<R> {
    /// The list, where the package has one.
    pub fn integrity_list(&mut self) -> Result<Option<IntegrityList>, OfdError> {
        todo!()
    }
}
