//! Pages of a document as pictures: the words between agent and `sealagent-preview`, which alone reads page content.
//!
//! ```text
//! agent → preview   frame Ask::Open, then the document's bytes
//! preview → agent   frame Told::Opened
//! agent → preview   frame Ask::Page                     any number of times
//! preview → agent   frame Told::Page, then its pixels
//!
//! agent → preview   frame Ask::Seal, then the bytes of a seal's picture
//! preview → agent   frame Told::Seal, then its pixels
//! ```
//! Frames are those of [`ukey::wire`] with an empty secret. Bytes that follow a frame are as many as it says and nothing else; pixels
//! are `layers` pictures of `width × height × 4` bytes, red, green, blue, alpha, rows from the top. Whoever reads them checks the
//! numbers against what was asked before making room.
//!
//! A picture is made from the file by our program; it is no proof. What could not be shown as the file has it is a [`Finding`].

#[cfg(feature = "agent")]
mod client;
#[cfg(all(feature = "agent", windows))]
mod job;
pub mod keyword;
mod words;

#[cfg(feature = "agent")]
pub use client::{Opened, PagePicture, PreviewError, Program, Session, png};

use serde::{Deserialize, Serialize};
use ukey::wire::Bytes;

/// Bytes of a document that is drawn. It is held in memory beside its pictures, and the process may take 1 GiB.
pub const MAX_DOCUMENT: u64 = 256 << 20;
/// Pixels of one picture: A4 at 480 dpi, A3 at 340.
pub const MAX_PIXELS: u32 = 16 << 20;
/// Pixels of a side: what both drawing libraries can address.
pub const MAX_SIDE: u32 = 16_000;
/// Glyphs in the text of one page; more are drawn and not told.
pub const MAX_GLYPHS: usize = 100_000;
/// Findings of one page or document; the last one says that there are more.
pub const MAX_FINDINGS: usize = 200;

/// What the agent asks.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(tag = "ask", rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum Ask {
    /// First and once: the document follows.
    Open {
        /// Its length, at most [`MAX_DOCUMENT`].
        bytes: u64,
    },
    /// One page.
    Page(PageRequest),
    /// Instead of a document, and once: the file of a seal's picture follows, to be drawn by itself on nothing.
    Seal {
        /// Its length, at most [`MAX_DOCUMENT`].
        bytes: u64,
        /// Width and height in mm; the picture is stretched to them.
        mm: [f64; 2],
        /// Dots per inch; less when the picture would have more than `max_pixels`.
        dpi: f32,
        /// Pixels of the picture, at most [`MAX_PIXELS`].
        max_pixels: u32,
    },
}

/// How a page shall be drawn.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PageRequest {
    /// The page, counted from 1.
    pub page: u32,
    /// Dots per inch; less when the picture would have more than `max_pixels`.
    pub dpi: f32,
    /// Pixels of the picture, at most [`MAX_PIXELS`].
    pub max_pixels: u32,
    /// Seals to put on the page as they will be after signing. With any, a second layer without them follows.
    pub stamps: Vec<ProposedStamp>,
}

/// A seal where it will land. Lengths in mm from the page's top left corner.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProposedStamp {
    /// The whole seal: x, y, width, height.
    pub rect: [f64; 4],
    /// The part that is shown, measured from the corner of `rect`.
    pub clip: Option<[f64; 4]>,
    /// The file of the seal's picture: PNG, JPEG, GIF, BMP, SVG or OFD, by its first bytes.
    pub picture: Bytes,
}

/// What the preview tells.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(tag = "told", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Told {
    /// The document can be drawn.
    Opened {
        /// Of which kind it is.
        format: Format,
        /// SM3 of the bytes that are drawn.
        sm3: Bytes,
        /// Width and height of each page in mm, as it is shown.
        pages: Vec<[f64; 2]>,
        /// Pages that carry seals, counted from 1.
        sealed: Vec<u32>,
        /// What concerns no single page.
        findings: Vec<Finding>,
    },
    /// The page; its pixels follow.
    Page(PageHead),
    /// The seal's picture, whole; its pixels follow, not multiplied by their alpha.
    Seal {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
    },
    /// It cannot be drawn at all.
    Refused {
        /// Why, in English.
        reason: String,
    },
}

/// Kind of document.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the names say it")]
pub enum Format {
    Ofd,
    Pdf,
}

/// All of a page but its pixels.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PageHead {
    /// The page, counted from 1.
    pub page: u32,
    /// Width in mm as it is shown (after rotation, the crop box of a PDF).
    pub width_mm: f64,
    /// Height in mm.
    pub height_mm: f64,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Pictures that follow: 1, or 2 when seals were proposed (first with them, then without).
    pub layers: u32,
    /// Its text.
    pub text: Vec<TextRun>,
    /// Whether the text can be searched: false when glyphs have no characters.
    pub searchable: bool,
    /// What is not as the file has it.
    pub findings: Vec<Finding>,
}

/// Glyphs that were drawn in one go.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TextRun {
    /// Its characters.
    pub text: String,
    /// A box for each character: x, y, width, height in mm from the page's top left corner. Height is that of the font, not of the ink.
    pub boxes: Vec<[f32; 4]>,
    /// What it belongs to.
    pub source: TextSource,
    /// Why nobody can see it. The text of a run is either all visible or all hidden.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub hidden: Option<Hidden>,
}

/// What text belongs to.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the names say it")]
pub enum TextSource {
    Annotation,
    Page,
    Template,
}

/// Why text cannot be seen.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Hidden {
    /// Something lies on it.
    Covered,
    /// It leaves no mark: the colour of what is under it, transparent, cut away, or marked as invisible.
    NoMark,
    /// It lies outside the page.
    OutsidePage,
}

/// Something that is not in the picture as the file has it, or that the file wants nobody to see.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// ID of the object, as the file gives it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub object: Option<String>,
    /// What it is.
    #[serde(flatten)]
    pub kind: FindingKind,
}

/// The kinds of findings. Texts in them may come from the file: show them made harmless ([`crate::harmless`]).
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase")]
#[non_exhaustive]
#[allow(missing_docs, reason = "each field is the detail that the words of the kind name")]
pub enum FindingKind {
    /// An annotation was not drawn.
    AnnotationSkipped { reason: String },
    /// The page has content, and its picture is one colour.
    BlankPage,
    /// Drawn, but not exactly as asked: a blend mode, a missing drawing parameter.
    DrawnOtherwise { what: String },
    /// Another font took the place of one that is neither embedded nor installed, or that lacks the characters.
    FontSubstituted { wanted: String, used: String },
    /// Characters that no font has; boxes stand in their places.
    GlyphMissing { characters: String },
    /// Text that nobody sees.
    HiddenText { text: String, why: Hidden },
    /// An image could not be read.
    ImageUnreadable { reason: String },
    /// An object that the file marks as invisible.
    Invisible { what: String },
    /// There are more findings than are told.
    More,
    /// The page could not be drawn, or not from here on.
    NotDrawn { reason: String },
    /// An object was not drawn.
    ObjectSkipped { what: String },
    /// A seal of the document was not drawn.
    SealSkipped { reason: String },
    /// Glyphs without characters: the text cannot be searched.
    TextUnsearchable,
    /// A limit was reached; what follows is not drawn.
    Truncated { what: String, limit: u64 },
    /// The document has versions; another one than the current is in the file too and is not drawn.
    VersionNotDrawn { version: String },
}

impl Finding {
    /// Whether the picture lacks something that the file has: a person must hear "parts of this page could not be shown".
    pub fn is_incomplete(&self) -> bool {
        use FindingKind as K;
        match self.kind {
            K::AnnotationSkipped { .. }
            | K::BlankPage
            | K::GlyphMissing { .. }
            | K::ImageUnreadable { .. }
            | K::More
            | K::NotDrawn { .. }
            | K::ObjectSkipped { .. }
            | K::SealSkipped { .. }
            | K::Truncated { .. } => true,
            K::DrawnOtherwise { .. }
            | K::FontSubstituted { .. }
            | K::HiddenText { .. }
            | K::Invisible { .. }
            | K::TextUnsearchable
            | K::VersionNotDrawn { .. } => false,
        }
    }
}
