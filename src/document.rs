//! What signing needs of a document, whatever its format: [`Signable`] takes a [`SigningPlan`] and becomes [`Prepared`], which says
//! what is signed and then takes the signed value in.

use std::io::{self, Write};

use crate::ofd::OfdError;
use crate::pdf::PdfError;
use crate::sm::Sm3Digest;
use crate::stamp::{PageNumber, Placement, RectMm, SizeMm};

/// A document that can take one more signature. It is read from a `Read + Seek`, so that 1 GB is signed in 64 MB.
pub trait Signable: Sized {
    /// The document with room made for the signed value.
    type Prepared: Prepared;

    /// Makes room for one more signature. Nothing of the source is changed.
    fn prepare(self, plan: &SigningPlan) -> Result<Self::Prepared, DocumentError>;
}

/// A document that waits for its signed value.
pub trait Prepared {
    /// SM3 of what the signature protects; becomes `TBS_Sign.dataHash` (or the messageDigest of GB/T 35275).
    fn digest(&self) -> Sm3Digest;

    /// Where the signature is found in the document; becomes `TBS_Sign.propertyInfo`.
    fn property(&self) -> &str;

    /// Writes the whole document with `signed_value` in it. `out` is not flushed.
    fn embed(self, signed_value: &[u8], out: &mut dyn Write) -> Result<(), DocumentError>;
}

/// What the signed value will be.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum SignatureKind {
    /// An `SES_Signature` made with this `SESeal` (DER, as the maker signed it).
    Seal(Vec<u8>),
    /// GB/T 35275 `SignedData`, without a seal.
    Sign,
}

/// The product that signs, as documents name it (OFD: `Provider`).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Provider {
    /// `ProviderName`.
    pub name: String,
    /// `Version`.
    pub version: String,
}

/// All that a format must know before the digest is computed.
#[derive(Clone, Debug)]
pub struct SigningPlan {
    /// Appearances, measured from each page's top left corner; none for a signature that shows nothing.
    pub placements: Vec<Placement>,
    /// What is signed with.
    pub kind: SignatureKind,
    /// Who signs it, as a product.
    pub provider: Provider,
    /// The time written into the document (informational: the signed time is in the signed value).
    pub time: jiff::Timestamp,
    /// No further signature shall be possible.
    pub close: bool,
    /// Bytes to set aside for the signed value where the format needs to know (PDF). OFD does not look at it.
    pub room: usize,
}

/// Why a document cannot be signed as asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DocumentError {
    /// An earlier signature protects the list of signatures, or a list of all files allows no new ones.
    #[error("{by} closed the document to further signatures")]
    Closed {
        /// `signature s001`, or the path of the list of files (GM/T 0099).
        by: String,
    },
    /// The content is encrypted.
    #[error("the document is encrypted")]
    Encrypted,
    /// The selection is empty: even pages of a one-page document, or no page at all.
    #[error("none of the {pages} pages is chosen")]
    NoPageChosen {
        /// Pages of the document.
        pages: usize,
    },
    /// What OFD refuses.
    #[error(transparent)]
    Ofd(#[from] OfdError),
    /// A seal would not lie on its page.
    #[error("the seal at {:.2},{:.2} mm ({:.2} by {:.2}) leaves page {page} ({:.2} by {:.2} mm)", shown.x, shown.y, shown.width, shown.height, size.width, size.height)]
    OutsidePage {
        /// The page.
        page: PageNumber,
        /// Its size.
        size: SizeMm,
        /// The part of the seal that would be shown.
        shown: RectMm,
    },
    /// There is no such page.
    #[error("page {asked} does not exist, the document has {pages}")]
    PageNotFound {
        /// The page asked for.
        asked: PageNumber,
        /// Pages of the document.
        pages: usize,
    },
    /// What PDF refuses.
    #[error(transparent)]
    Pdf(#[from] PdfError),
    /// The result could not be written.
    #[error("cannot write the signed document: {0}")]
    Write(#[source] io::Error),
}
