//! What OFD refuses, and what it lets pass with a name.

use std::fmt;
use std::io;

use super::PackagePath;

/// Why a package, or a file in it, is refused. Paths are absolute in the package; names are as the ZIP directory gives them.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OfdError {
    /// A value has the wrong form.
    #[error("{path}: {field} is {value:?}")]
    BadValue {
        /// The file.
        path: PackagePath,
        /// The attribute or element.
        field: &'static str,
        /// What it says, shortened.
        value: String,
    },
    /// The ZIP directory or its end record contradicts itself.
    #[error("the ZIP directory is damaged: {what}")]
    DirectoryDamaged {
        /// What is wrong.
        what: &'static str,
    },
    /// Two entries have the same name, or names that differ only in case or in the direction of their slashes: readers disagree
    /// which one counts.
    #[error("the ZIP entries {name:?} and {twin:?} have the same name")]
    DuplicateName {
        /// The second entry.
        name: String,
        /// The first one.
        twin: String,
    },
    /// The entry is encrypted.
    #[error("the ZIP entry {name:?} is encrypted")]
    EncryptedEntry {
        /// The entry.
        name: String,
    },
    /// The entry's bytes are not what its headers say: they do not inflate, or length or CRC differ.
    #[error("the ZIP entry {name:?} is damaged: {what}")]
    EntryDamaged {
        /// The entry.
        name: String,
        /// What is wrong.
        what: &'static str,
    },
    /// The entry's own header says something else than the directory: readers that look at one and readers that look at the other
    /// see different packages.
    #[error("the ZIP entry {name:?} has another {field} in its own header than in the directory")]
    HeaderMismatch {
        /// The entry.
        name: String,
        /// What differs.
        field: &'static str,
    },
    /// The source cannot be read.
    #[error("cannot read the document: {0}")]
    Io(#[source] io::Error),
    /// A limit of this reader.
    #[error("{subject}: more than {limit} {what}")]
    Limit {
        /// Entry or file, or "package".
        subject: String,
        /// What there is too much of.
        what: &'static str,
        /// The limit.
        limit: u64,
    },
    /// An element or attribute that the standard requires is not there.
    #[error("{path}: {element} is missing")]
    MissingElement {
        /// The file.
        path: PackagePath,
        /// The element or attribute.
        element: &'static str,
    },
    /// A file that another one names is not in the package.
    #[error("{path} is not in the package")]
    MissingFile {
        /// The file.
        path: PackagePath,
    },
    /// A compression method other than stored and deflate (GB/T 33190 clause 6 allows no other).
    #[error("the ZIP entry {name:?} is compressed by method {method}")]
    Method {
        /// The entry.
        name: String,
        /// The number in the ZIP header.
        method: u16,
    },
    /// An entry's name is unusable.
    #[error("the ZIP entry name {name:?} {fault}")]
    Name {
        /// The name, undecodable bytes replaced.
        name: String,
        /// Why.
        fault: NameFault,
    },
    /// The bytes are no ZIP file.
    #[error("not an OFD document: no ZIP directory was found")]
    NotAPackage,
    /// A ZIP file without `OFD.xml`.
    #[error("not an OFD document: the package has no OFD.xml")]
    NoEntryFile,
    /// Two entries share bytes of the file.
    #[error("the ZIP entry {name:?} overlaps the one before it")]
    OverlappingEntry {
        /// The later entry.
        name: String,
    },
    /// A path leaves the package or is not a path of it.
    #[error("{path}: the location {location:?} is not one inside the package")]
    Location {
        /// The file that says it.
        path: PackagePath,
        /// What it says, shortened.
        location: String,
    },
    /// The package has several documents (`DocBody`) where one was asked for.
    #[error("the package holds {count} documents, not one")]
    SeveralDocuments {
        /// How many.
        count: usize,
    },
    /// The entry is a symbolic link or another special file.
    #[error("the ZIP entry {name:?} is not a regular file")]
    SpecialFile {
        /// The entry.
        name: String,
    },
    /// Bytes that belong to no entry: before the first, between two, or after the end record.
    #[error("{length} bytes at offset {offset} belong to no ZIP entry")]
    StrayBytes {
        /// Where they begin.
        offset: u64,
        /// How many.
        length: u64,
    },
    /// An XML file is malformed or uses what is not accepted.
    #[error("{path}: {fault}")]
    Xml {
        /// The file.
        path: PackagePath,
        /// Why.
        fault: XmlFault,
    },
}

/// Streams carry an [`OfdError`] inside an `io::Error`; this takes it out again.
impl From<io::Error> for OfdError {
    fn from(error: io::Error) -> Self {
        error.downcast().unwrap_or_else(Self::Io)
    }
}

/// Why an entry's name is refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum NameFault {
    /// Begins with a slash, or with a drive or scheme (`C:`, `file:`).
    #[error("is absolute")]
    Absolute,
    /// Holds a control character or NUL.
    #[error("has a control character")]
    ControlCharacter,
    /// Empty, or an empty part (`a//b`).
    #[error("has an empty part")]
    EmptyPart,
    /// Neither UTF-8 nor GBK.
    #[error("is neither UTF-8 nor GBK")]
    Encoding,
    /// Has `.` or `..` as a part.
    #[error("has a part that moves between directories")]
    Traversal,
}

/// Why an XML file is refused.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum XmlFault {
    /// The same attribute twice on one element.
    #[error("an element has the attribute {0} twice")]
    DuplicateAttribute(String),
    /// An element twice where the standard has one: two readers would take different ones.
    #[error("the element {0} is there twice")]
    DuplicateElement(&'static str),
    /// A document type declaration: entities, external files.
    #[error("it has a document type declaration, which OFD does not allow")]
    Doctype,
    /// The declared encoding is unknown, or the bytes are not in it.
    #[error("it is not text in its declared encoding ({0})")]
    Encoding(String),
    /// An entity other than the five of XML and character references.
    #[error("it uses the unknown entity {0}")]
    Entity(String),
    /// Not well-formed.
    #[error("it is not well-formed at byte {offset}: {what}")]
    Malformed {
        /// Offset in the decoded text.
        offset: u64,
        /// What the parser says.
        what: String,
    },
    /// Another root element than this file must have.
    #[error("its root element is {0}")]
    Root(String),
}

/// A deviation that was read all the same, and where.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Tolerance {
    /// The file or entry.
    pub path: String,
    /// What was tolerated.
    pub kind: ToleranceKind,
}

impl fmt::Display for Tolerance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.kind)
    }
}

/// Deviations that real products make and that change no meaning.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, thiserror::Error)]
#[non_exhaustive]
pub enum ToleranceKind {
    /// A ZIP name with backslashes instead of slashes.
    #[error("ZIP name with backslashes")]
    BackslashName,
    /// A path with backslashes instead of slashes.
    #[error("path with backslashes")]
    BackslashPath,
    /// A path that names its file only when case is ignored.
    #[error("path differs in case from the file's name")]
    CaseFolded,
    /// A `Reference` without a leading slash: GB/T 33190 wants absolute paths there.
    #[error("FileRef is not absolute")]
    FileRefRelative,
    /// A ZIP name in GBK.
    #[error("ZIP name in GBK")]
    GbkName,
    /// No namespace, or the one of before 2016.
    #[error("namespace is not http://www.ofdspec.org/2016")]
    Namespace,
    /// There were more deviations than are kept.
    #[error("further deviations are not listed")]
    Further,
    /// `MaxSignId` is lower than an id in the list, or is no number.
    #[error("MaxSignId is not the largest id")]
    MaxSignIdWrong,
    /// More than one `MaxSignId`; the last is used.
    #[error("MaxSignId is there more than once")]
    MaxSignIdRepeated,
    /// `Provider` fields as child elements instead of attributes.
    #[error("Provider fields are elements")]
    ProviderElements,
    /// A file found beside its resource list instead of below its `BaseLoc`.
    #[error("resource is not below BaseLoc")]
    ResourceBeside,
    /// Two signatures of a list have the same id.
    #[error("signature id {0} is there more than once")]
    SignatureIdRepeated(String),
    /// `SignatureDateTime` is in no known form.
    #[error("SignatureDateTime is in no known form")]
    SignatureDateTimeForm,
    /// A `StampAnnot` without ID.
    #[error("StampAnnot has no ID")]
    StampIdMissing,
    /// A ZIP name in UTF-8 without the flag that says so.
    #[error("ZIP name in UTF-8 without its flag")]
    Utf8NameUnflagged,
    /// An XML file in another encoding than UTF-8.
    #[error("XML in {0}")]
    XmlEncoding(String),
}
