//! Which files the current document draws, and which a signature leaves unprotected (shared `report.md`, coverage rule).

use std::io::{Read, Seek};

use super::{DocBody, Ofd, OfdError, PackagePath, Signature};

/// What a file of the package is to the document.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum FileClass {
    /// Attachments, custom tags, extensions, outlines' targets: reachable, not drawn.
    Attached,
    /// Document.xml, page content, templates, resource lists, fonts, media, annotations: changing it can change what a reader
    /// shows. Resources count as drawn whether or not a page uses them.
    Drawn,
    /// OFD.xml.
    EntryFile,
    /// GM/T 0099 list of files and its signed value.
    IntegrityList,
    /// Belongs to a version that is not the current one, or is a version file itself.
    OtherVersion,
    /// Belongs to another document of the package.
    OtherDocument,
    /// The list of signatures.
    SignatureList,
    /// Description, signed value or seal of the signature at this place in the list.
    SignatureFile(usize),
    /// Nothing refers to it.
    Unreferenced,
}

/// Every file of the package with its class.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Contents {
    /// In the order of their paths, each once.
    pub files: Vec<(PackagePath, FileClass)>,
    /// Files that the current document refers to and the package does not have, with the file that names each.
    pub missing: Vec<(PackagePath, PackagePath)>,
}

impl Contents {
    /// The files that none of the signature's references names, whatever came of the references.
    pub fn uncovered_by<'a>(&'a self, _signature: &'a Signature) -> impl Iterator<Item = &'a (PackagePath, FileClass)> {
        self.files.iter()
    }
}

impl<R: Read + Seek> Ofd<R> {
    /// Walks the current document of `body` and classes every file of the package. A file that the walk cannot read stays classed
    /// by what named it.
    pub fn contents(&mut self, _body: &DocBody) -> Result<Contents, OfdError> {
        todo!()
    }
}
