//! OFD.xml, Document.xml and the heads of pages (GB/T 33190 clauses 7.4, 7.5, 7.7): which documents, pages and files there are.

use std::io::{Read, Seek};

use super::{OfdError, Package, PackagePath};
use crate::stamp::{PageNumber, RectMm, SizeMm};

/// One document of a package: `DocBody` of OFD.xml.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DocBody {
    /// `DocInfo/DocID`.
    pub doc_id: Option<String>,
    /// `DocInfo/Title`.
    pub title: Option<String>,
    /// `DocRoot`: the document as OFD.xml names it.
    pub root: PackagePath,
    /// The document that readers show: of the version marked `Current`, else `root`.
    pub current_root: PackagePath,
    /// `Versions`.
    pub versions: Vec<DocVersion>,
    /// `Signatures`: the list of signatures. `None` for a document that was never signed.
    pub signature_list: Option<PackagePath>,
}

/// `Versions/Version` with the file it points to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DocVersion {
    /// `ID`.
    pub id: String,
    /// `Index`.
    pub index: Option<String>,
    /// `Current`.
    pub current: bool,
    /// The version file (`BaseLoc`).
    pub path: PackagePath,
    /// `DocRoot` in the version file.
    pub root: PackagePath,
}

/// A page.
#[derive(Clone, Debug, PartialEq)]
pub struct Page {
    /// `ID`: what `StampAnnot/@PageRef` names.
    pub id: String,
    /// Place in reading order.
    pub number: PageNumber,
    /// Its content file.
    pub path: PackagePath,
    /// What is shown of it, in its own coordinates: its `PhysicalBox`, else the document's. Need not begin at 0,0.
    pub area: RectMm,
}

/// An opened OFD: the package and what its OFD.xml says.
pub struct Ofd<R> {
    /// The files.
    pub package: Package<R>,
    bodies: Vec<DocBody>,
}

impl<R: Read + Seek> Ofd<R> {
    /// Opens a package and reads OFD.xml and the version files.
    pub fn open(source: R) -> Result<Self, OfdError> {
        Ok(Self { package: Package::open(source)?, bodies: Vec::new() })
    }

    /// The documents of the package, at least one.
    pub fn bodies(&self) -> &[DocBody] {
        &self.bodies
    }

    /// The one document; `SeveralDocuments` when there are more.
    pub fn single_body(&self) -> Result<DocBody, OfdError> {
        todo!()
    }

    /// Whether the package is encrypted (GM/T 0099 annex C, `Encryptions.xml`): nothing but its signatures' form can be judged.
    pub fn is_encrypted(&self) -> bool {
        todo!()
    }

    /// The pages of a document (`root` = `DocBody::current_root`), in reading order.
    pub fn pages(&mut self, _root: &PackagePath) -> Result<Vec<Page>, OfdError> {
        todo!()
    }

    /// The sizes of the pages, for [`Stamp::place`](crate::stamp::Stamp::place).
    pub fn page_sizes(&mut self, _root: &PackagePath) -> Result<Vec<SizeMm>, OfdError> {
        todo!()
    }
}
