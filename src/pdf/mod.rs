//! PDF: reads what is signed, says what was changed afterwards, and appends one more signature (ISO 32000-1, GM/T 0112).
//!
//! [`Document`] reads lazily from a `Read + Seek`: the cross-reference entries and one object at a time are in memory, never the
//! file. Nothing is repaired: where readers that do repair would see another document than we do, that is an [`Ambiguity`], and a
//! signature on such a file is not good. Content streams are never interpreted.
//!
//! Our own reader and not a crate, because a signature is judged on the file *as it stood* at one revision: which section of the
//! cross-reference chain gave each object must be known, and where each byte of it lies. The crates that read PDF (lopdf, pdf,
//! hayro-syntax) merge the sections, load the whole file, and repair silently.
//!
//! ```text
//! Document::open(source) ─┬─ signatures()        each with byte range, digests, first value, later changes
//!                         ├─ ambiguities(), tolerances(), encryption(), revisions(), unsigned_pictures()
//!                         ├─ pages(), signature_fields()      sizes and places, for Stamp::place
//!                         └─ set_signature_options(), prepare(plan) ─ digest(), property() ─ embed(value, out)
//! ```
//!
//! # Limits
//! | what | limit | reason |
//! |---|---|---|
//! | objects in all revisions | [`MAX_ENTRIES`] | 24 bytes each must fit beside the rest in 64 MB |
//! | revisions | [`MAX_SECTIONS`] | each signature is one; 2 000 are met in tests |
//! | one object without its stream | [`MAX_OBJECT`] | `/Contents` of a real seal is at most 130 KB of hex |
//! | one decoded object stream | [`MAX_OBJECT_STREAM`] | writers put 100 to 200 objects in one |
//! | nesting | [`MAX_DEPTH`] | real objects nest under ten deep |
//! | work | [`work_limit`] | entries may overlap; a real file is read about twice |

mod changes;
mod digest;
mod document;
mod filter;
mod form;
mod object;
mod picture;
mod sign;
#[cfg(test)]
mod sign_tests;
mod signature;
mod source;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod validation;
mod write;
mod xref;

pub use validation::{ValidationData, ValidationKind, ValidationValue};

pub use changes::{Change, Changed, Permitted};
pub use document::Document;
pub use object::{Dict, Object, ObjectId};
pub use picture::{MAX_PICTURE_PIXELS, PictureError};
pub use sign::{PreparedPdf, SignatureField, SignatureOptions, SigningError};
pub use signature::{ByteRange, ByteRangeFault, Digests, DocMdp, FieldLock, FieldState, PdfSignature, SignaturePurpose, Widget};

use crate::stamp::{RectMm, SizeMm};

/// Most cross-reference entries in all revisions together: 24 bytes each, 36 MB.
pub const MAX_ENTRIES: usize = 1_500_000;
/// Most cross-reference sections.
pub const MAX_SECTIONS: usize = 10_000;
/// Most bytes of one object without its stream.
pub const MAX_OBJECT: usize = 4 << 20;
/// Most values in one object: an array of short numbers needs 16 times its length in memory.
pub const MAX_VALUES: usize = 400_000;
/// Most bytes of one decoded object stream.
pub const MAX_OBJECT_STREAM: usize = 8 << 20;
/// Deepest nesting of arrays and dictionaries in one object, and of page and field trees.
pub const MAX_DEPTH: usize = 64;
/// Most pages.
pub const MAX_PAGES: usize = 200_000;
/// Most signatures.
pub const MAX_SIGNATURES: usize = 5_000;

/// Most findings of one kind that are listed for one signature: more tell a person nothing.
pub const MAX_LISTED: usize = 100;

/// Most bytes that may be read, inflated and digested for a file of `len` bytes.
pub fn work_limit(len: u64) -> u64 {
    len.saturating_mul(16).saturating_add(256 << 20)
}

/// Why a file cannot be read as a PDF.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PdfError {
    /// The structure needed to find signatures is encrypted (object streams of an encrypted file).
    #[error("the file's structure is encrypted")]
    Encrypted,
    /// The source failed.
    #[error("the file cannot be read: {0}")]
    Io(#[from] std::io::Error),
    /// A limit of this reader, named.
    #[error("more {0} than this reader accepts")]
    Limit(&'static str),
    /// No `%PDF-` at the first byte.
    #[error("not a PDF file")]
    NotPdf,
    /// The page tree leads twice to one page, by the number of its object: readers count it once, twice, or refuse the file.
    #[error("page object {0} stands twice in the page tree")]
    PageTwice(u32),
    /// Broken where readers would have to guess: what is wrong, and the offset in bytes.
    #[error("{what} at byte {offset}")]
    Syntax {
        /// What is wrong there.
        what: &'static str,
        /// Offset in the file (in the decoded stream for objects in object streams).
        offset: u64,
    },
}

impl PdfError {
    /// Of an error from reading a stream: a limit comes through as itself, and what does not inflate is a fault of the file.
    fn from_range(error: std::io::Error) -> Self {
        use std::io::ErrorKind;
        match error.downcast::<Self>() {
            Ok(error) => error,
            Err(error) => match error.kind() {
                ErrorKind::InvalidData | ErrorKind::InvalidInput | ErrorKind::UnexpectedEof => {
                    Self::Syntax { what: "a stream does not decode", offset: 0 }
                }
                _ => Self::Io(error),
            },
        }
    }
}

/// A place where conforming readers disagree about what the document is. One is enough to judge no signature on the file good.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Ambiguity {
    /// An object stream lists one object number twice.
    #[error("object {0} stands twice in one object stream")]
    DuplicateInObjectStream(u32),
    /// A dictionary that structure depends on has one key twice.
    #[error("object {object} has the key {key} twice")]
    DuplicateKey {
        /// The object it stands in.
        object: ObjectId,
        /// The key.
        key: String,
    },
    /// One cross-reference section gives an object two places: a table twice, or the two halves of a hybrid section (ISO 32000-1
    /// 7.5.8.4), where also an older table counts that readers of tables alone would see.
    #[error("the cross-reference gives object {0} two places")]
    TwoPlaces(u32),
    /// The cross-reference entry points where no such object is: readers search the file for it, or take it as null.
    #[error("object {0} is not where the cross-reference says")]
    ObjectMissing(ObjectId),
    /// A stream's length does not lead to its `endstream`.
    #[error("the length of stream {0} is wrong")]
    StreamLength(ObjectId),
    /// Two fields, or two revisions of one, use one signature dictionary, or one field name stands for two fields.
    #[error("the signature field {0} exists twice")]
    FieldTwice(String),
}

/// What was read although the standard does not allow it: harmless, since every reader reads it so, but shown.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Tolerance {
    /// A free entry with a generation number above 65 535 (met in files of Foxit).
    GenerationOutOfRange,
    /// White space after the last `%%EOF`, outside every signature.
    TrailingWhiteSpace,
    /// An entry in use at offset 0, read as free (met in files of several writers).
    UsedEntryAtZero,
}

/// One state of the file that was once its end: everything up to an `%%EOF`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Revision {
    /// Offset of its cross-reference section, in bytes.
    pub xref: u64,
    /// Offset just after its `%%EOF` (without the end of line), in bytes.
    pub end: u64,
}

/// How the file is encrypted (ISO 32000-1 7.6). `/Contents` of signatures never is; digests run over the bytes of the file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Encryption {
    /// `/Filter`, `Standard` for passwords.
    pub filter: String,
    /// `/V`, the algorithm's number.
    pub version: i64,
}

/// A page as a reader shows it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Page {
    /// Its object.
    pub object: ObjectId,
    /// Visible area in points, before rotation: CropBox within MediaBox as `[left, bottom, right, top]`.
    pub area: [f64; 4],
    /// Clockwise rotation: 0, 90, 180 or 270 degrees.
    pub rotate: u16,
    /// Points per unit of `area` are 1/72 inch times this (`/UserUnit`).
    pub user_unit: f64,
}

impl Page {
    /// Width and height as shown.
    pub fn size(&self) -> SizeMm {
        let [left, bottom, right, top] = self.area;
        let (width, height) = ((right - left) * self.mm_per_unit(), (top - bottom) * self.mm_per_unit());
        if self.rotate % 180 == 90 { SizeMm { width: height, height: width } } else { SizeMm { width, height } }
    }

    /// Millimetres in one unit of the page's coordinates.
    pub fn mm_per_unit(&self) -> f64 {
        self.user_unit * 25.4 / 72.0
    }

    /// Where a rectangle in the page's own coordinates shows, from the top left corner of the page as shown.
    pub fn shown(&self, rect: [f64; 4]) -> RectMm {
        let mm = self.mm_per_unit();
        let [left, bottom, right, top] = self.area;
        let [x0, y0, x1, y1] = rect;
        let (x, y, width, height) = match self.rotate {
            90 => (y0 - bottom, x0 - left, y1 - y0, x1 - x0),
            180 => (right - x1, y0 - bottom, x1 - x0, y1 - y0),
            270 => (top - y1, right - x1, y1 - y0, x1 - x0),
            _ => (x0 - left, top - y1, x1 - x0, y1 - y0),
        };
        RectMm { x: x * mm, y: y * mm, width: width * mm, height: height * mm }
    }

    /// The rectangle in the page's own coordinates, `[left, bottom, right, top]`, that shows at `shown`.
    pub fn rect(&self, shown: RectMm) -> [f64; 4] {
        let mm = self.mm_per_unit();
        let (x, y, width, height) = (shown.x / mm, shown.y / mm, shown.width / mm, shown.height / mm);
        let [left, bottom, right, top] = self.area;
        match self.rotate {
            90 => [left + y, bottom + x, left + y + height, bottom + x + width],
            180 => [right - x - width, bottom + y, right - x, bottom + y + height],
            270 => [right - y - height, top - x - width, right - y, top - x],
            _ => [left + x, top - y - height, left + x + width, top - y],
        }
    }
}
