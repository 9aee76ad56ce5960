//! A better value for a signature that is there: the same one with a time stamp over it, which no signature covers.

use std::io::{Read, Seek, Write};

use super::zip_write::PackageWriter;
use super::{Ofd, OfdError, PackagePath};
use crate::document::DocumentError;

/// Largest signed value that is read: seal, certificates and a time stamp have 20 to 130 KB.
const MAX_VALUE: u64 = 16 << 20;

/// A signature's value.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SignedValue {
    /// Id of the signature.
    pub id: String,
    /// Where its value is.
    pub path: PackagePath,
    /// The value.
    pub bytes: Vec<u8>,
    /// Id of another signature that protects the file: then it must stay as it is.
    pub protected_by: Option<String>,
}

impl<R: Read + Seek> Ofd<R> {
    /// The values of all signatures, in the order of the list.
    pub fn signed_values(&mut self) -> Result<Vec<SignedValue>, DocumentError> {
        let body = self.single_body()?;
        let Some(list) = self.signature_list(&body)? else { return Ok(Vec::new()) };
        let mut signatures = Vec::new();
        for listed in &list.signatures {
            signatures.push((listed.id.clone(), self.signature(listed)?));
        }
        let mut values = Vec::new();
        for (id, signature) in &signatures {
            let path = signature.signed_value.clone();
            let bytes = self.package.read(&path, MAX_VALUE)?;
            let protects =
                |(_, other): &&(String, super::Signature)| other.references.iter().any(|r| r.path.as_ref() == Some(&path));
            let protected_by = signatures.iter().find(protects).map(|(id, _)| id.clone());
            values.push(SignedValue { id: id.clone(), path, bytes, protected_by });
        }
        Ok(values)
    }

    /// Writes the package with other bytes in these files, which it has; all else is copied as it is.
    pub fn write_with(mut self, files: &[(PackagePath, Vec<u8>)], out: &mut dyn Write) -> Result<(), DocumentError> {
        let mut writer = PackageWriter::new(out);
        let replaced: Vec<&PackagePath> = files.iter().map(|(path, _)| path).collect();
        if let Some(missing) = replaced.iter().find(|path| self.package.find(path).is_none()) {
            return Err(OfdError::MissingFile { path: (*missing).clone() }.into());
        }
        self.package.copy_to(&mut writer, &replaced)?;
        for (path, bytes) in files {
            writer.add(path, bytes)?;
        }
        writer.finish()
    }
}
