//! The package-level list of GM/T 0099-2020 clause 7.4 and annex D: names without digests, so it covers no content.

use std::collections::HashSet;
use std::io::{Read, Seek};

use super::xml::{self, MAX_XML};
use super::{Ofd, OfdError, PackagePath};
use crate::sm::{Sm3Digest, sm3};

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
        let Some(path) = self.integrity_list_path() else { return Ok(None) };
        let package = &mut self.package;
        let raw = package.read(&path, MAX_XML)?;
        let root = xml::parse(&path, &raw, "DocEntries", &[])?.root;
        let signed_value = package.locate(&path, &root.need("SignedValueLoc", &path)?.text)?;
        let (mut files, mut missing) = (Vec::new(), Vec::new());
        for file in root.need("FileList", &path)?.all("File") {
            let file = package.locate(&path, file.need_attribute("FileLoc", &path)?)?;
            if package.find(&file).is_none() {
                missing.push(file.clone());
            }
            files.push(file);
        }
        let listed: HashSet<&PackagePath> = files.iter().chain([&path, &signed_value]).collect();
        let unlisted = package.files().filter(|file| !listed.contains(file)).cloned().collect();
        Ok(Some(IntegrityList { digest: sm3(&raw), raw, signed_value, files, missing, unlisted, path }))
    }

    /// The bytes of the list's signed value: GB/T 35275 `SignedData`.
    pub fn integrity_value(&mut self, list: &IntegrityList) -> Result<Vec<u8>, OfdError> {
        self.package.read(&list.signed_value, super::signature::MAX_SIGNED_VALUE)
    }

    pub(super) fn integrity_list_path(&mut self) -> Option<PackagePath> {
        let path = PackagePath::entry_file().resolve("OFDEntries.xml")?;
        self.package.find(&path)
    }
}
