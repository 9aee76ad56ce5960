//! Signature dictionaries, their byte ranges and what the ranges hold (ISO 32000-1 12.8, shared `pdf-signature.md` §4).

use crate::sm::Sm3Digest;

use super::{Change, ObjectId, Permitted};

/// One signature dictionary of one revision, with all that can be said about it without its cryptography.
///
/// Which kind of signed value `contents` is, its bytes decide and not `sub_filter`.
#[derive(Clone, Debug)]
pub struct PdfSignature {
    /// Object that holds the signature dictionary (the field's, where it stands inside).
    pub object: ObjectId,
    /// Fully qualified name of its field (`/T` joined by dots); `None` for a dictionary that no field uses.
    pub field: Option<String>,
    /// Whether the current document still shows it.
    pub state: FieldState,
    /// Signature or document time stamp.
    pub purpose: SignaturePurpose,
    /// `/Filter`, e.g. `Adobe.PPKLite`.
    pub filter: Option<String>,
    /// `/SubFilter`, e.g. `adbe.pkcs7.detached`.
    pub sub_filter: Option<String>,
    /// The bytes that are signed, or why they are not what they should be (finding `BYTE_RANGE`).
    pub byte_range: Result<ByteRange, ByteRangeFault>,
    /// Digests of those bytes; `None` with a fault that leaves no bytes to digest.
    pub digests: Option<Digests>,
    /// The first DER value of `/Contents`; all of it where it does not start with one.
    pub contents: Vec<u8>,
    /// What follows the first value, without the zeros at the end: empty in nearly all files.
    pub trailing: Vec<u8>,
    /// Index in [`super::Document::revisions`] of the state that was signed; `None` with a fault.
    pub revision: Option<usize>,
    /// Changes between that state and the file's end that only sign, stamp, add validation data, or were allowed.
    pub permitted: Vec<Permitted>,
    /// All other changes (finding `CHANGED_AFTER_SIGNING`). Empty without a byte range to compare from.
    pub changes: Vec<Change>,
    /// `/M`, the signer's claim; `None` where absent, unreadable or encrypted.
    pub claimed_time: Option<jiff::Timestamp>,
    /// `/M` as it stands.
    pub m: Option<Vec<u8>>,
    /// `/Name`.
    pub name: Option<String>,
    /// `/Reason`.
    pub reason: Option<String>,
    /// `/Location`.
    pub location: Option<String>,
    /// DocMDP permission, when this is a certification signature.
    pub doc_mdp: Option<DocMdp>,
    /// Fields that this signature locks (FieldMDP).
    pub lock: Option<FieldLock>,
    /// Where it shows, in the current document.
    pub widgets: Vec<Widget>,
}

impl PdfSignature {
    /// Whether the digest covers the file to its end (only white space may follow).
    pub fn covers_whole_file(&self) -> bool {
        self.byte_range.is_ok_and(|range| range.whole_file)
    }
}

/// What a signature dictionary is to the current document.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FieldState {
    /// A field of the current AcroForm has it as value.
    Shown,
    /// An earlier revision's field had it; a later revision took it away or put another in its place.
    Removed,
    /// No field of any revision has it.
    Orphan,
}

/// `/Type` of the dictionary.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SignaturePurpose {
    /// `Sig`, or absent.
    Signature,
    /// `DocTimeStamp`: `contents` is an RFC 3161 token over the ranges.
    DocTimeStamp,
}

/// Two ranges, `0..first_end` and `second_start..end`, between which stands exactly the `/Contents` string. Offsets in bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ByteRange {
    /// Offset of the `<` of `/Contents`.
    pub first_end: u64,
    /// Offset just after its `>`.
    pub second_start: u64,
    /// Offset just after the last byte.
    pub end: u64,
    /// Whether `end` is the file's end.
    pub whole_file: bool,
}

/// Why a `/ByteRange` is refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ByteRangeFault {
    /// No `/ByteRange`.
    #[error("there is no ByteRange")]
    Absent,
    /// Not an array of direct integers.
    #[error("ByteRange is not an array of direct integers")]
    NotIntegers,
    /// Not two ranges.
    #[error("ByteRange does not name two ranges")]
    NotTwoRanges,
    /// A negative number.
    #[error("ByteRange has a negative number")]
    Negative,
    /// The first range does not start at byte 0.
    #[error("the first range does not start at byte 0")]
    StartsLate,
    /// The second range starts inside the first.
    #[error("the ranges overlap")]
    Overlap,
    /// The end is beyond the file (or a sum overflows).
    #[error("the ranges end beyond the file")]
    BeyondFile,
    /// The gap is not exactly this dictionary's `/Contents` hexadecimal string.
    #[error("the gap between the ranges is not exactly the Contents string")]
    Gap,
    /// `/Contents` is absent, not a hexadecimal string, or stands twice.
    #[error("Contents is not one hexadecimal string")]
    Contents,
    /// The end is neither the file's end nor a revision's.
    #[error("the ranges do not end where a revision of the file ends")]
    EndsInside,
    /// The revision they end at is not one that the current document is built on.
    #[error("the signed revision is not part of the current document's cross-reference chain")]
    OutsideChain,
}

/// Digests of the signed bytes. SM3 always; another when the object identifier of its algorithm stands in `/Contents`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Digests {
    /// SM3 (GB/T 32905).
    pub sm3: Sm3Digest,
    /// SHA-1, also for the SubFilter `adbe.pkcs7.sha1`.
    pub sha1: Option<[u8; 20]>,
    /// SHA-256.
    pub sha256: Option<[u8; 32]>,
    /// SHA-384.
    pub sha384: Option<[u8; 48]>,
    /// SHA-512.
    pub sha512: Option<[u8; 64]>,
}

/// What a certification signature allows afterwards (`/P` of DocMDP transform parameters).
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum DocMdp {
    /// 1: nothing (time stamps and validation data excepted).
    NoChanges,
    /// 2: form filling and signing.
    FormFilling,
    /// 3: annotations too. We treat new annotations as changes all the same.
    Annotations,
}

/// Fields that nobody may change (`/Lock`, FieldMDP).
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum FieldLock {
    /// Every field.
    All,
    /// These, and the fields below them.
    Include(Vec<String>),
    /// Every field except these and those below them.
    Exclude(Vec<String>),
}

/// Where a field shows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Widget {
    /// Index of the page, from 0.
    pub page: usize,
    /// Left, top, width and height in mm from the top left corner of the page as shown.
    pub rect_mm: [f64; 4],
}
