//! A document as it was handed over: bytes that nobody can change any more, and what must be known of it before anyone is asked.

use std::fs::File;
use std::io::{self, Read as _, Write};
use std::path::Path;
use std::sync::OnceLock;

use super::SignedValueKind;
use crate::document::{DocumentError, Prepared, Signable as _, SigningPlan};
use crate::failure::{Code, Failure};
use crate::ofd::{Ofd, OfdError, PackagePath, PreparedOfd};
use crate::pdf::{self, DocMdp, FieldState, PdfError, PictureError, PreparedPdf, SignatureField, SignatureOptions, SigningError};
use crate::sm::{Sm3, Sm3Digest};
use crate::stamp::{PageNumber, Placement, RectMm, SizeMm, Spot, Stamp};

pub use crate::scratch::{Bytes, BytesReader, Draft, Scratch, of_io};

/// A document format that can be signed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Format {
    /// GB/T 33190.
    Ofd,
    /// ISO 32000.
    Pdf,
}

impl Format {
    /// As pages and policies write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ofd => "ofd",
            Self::Pdf => "pdf",
        }
    }

    /// As a person reads it.
    pub fn shown(self) -> &'static str {
        match self {
            Self::Ofd => "OFD",
            Self::Pdf => "PDF",
        }
    }

    /// What a document of this format carries where nothing else is asked for: in OFD the signature of its own standard, in PDF the
    /// one that most readers know.
    pub fn signed_value(self) -> SignedValueKind {
        match self {
            Self::Ofd => SignedValueKind::Ses,
            Self::Pdf => SignedValueKind::Gbt35275,
        }
    }

    /// Makes room for one more signature in a document of this format. `options` matter to PDF alone. Blocks.
    pub fn prepare(
        self,
        bytes: &Bytes,
        plan: &SigningPlan,
        options: SignatureOptions,
    ) -> Result<PreparedDocument, DocumentError> {
        match self {
            Self::Ofd => Ok(PreparedDocument::Ofd(Box::new(Ofd::open(bytes.reader())?.prepare(plan)?))),
            Self::Pdf => {
                let mut document = pdf::Document::open(bytes.reader())?;
                document.set_signature_options(options);
                Ok(PreparedDocument::Pdf(document.prepare(plan)?))
            }
        }
    }
}

/// A document of either format that waits for its signed value.
pub enum PreparedDocument {
    /// A package.
    Ofd(Box<PreparedOfd<BytesReader>>),
    /// A file with an update.
    Pdf(PreparedPdf<BytesReader>),
}

impl Prepared for PreparedDocument {
    fn digest(&self) -> Sm3Digest {
        match self {
            Self::Ofd(prepared) => prepared.digest(),
            Self::Pdf(prepared) => prepared.digest(),
        }
    }

    fn property(&self) -> &str {
        match self {
            Self::Ofd(prepared) => prepared.property(),
            Self::Pdf(prepared) => prepared.property(),
        }
    }

    fn embed(self, signed_value: &[u8], out: &mut dyn Write) -> Result<(), DocumentError> {
        match self {
            Self::Ofd(prepared) => prepared.embed(signed_value, out),
            Self::Pdf(prepared) => prepared.embed(signed_value, out),
        }
    }
}

/// A document that was handed over.
#[derive(Debug)]
pub struct Document {
    /// Under which a page knows it; never a name in any file system.
    pub id: OnceLock<String>,
    /// The name that page or person gave it. Text of a stranger.
    pub name: String,
    /// Its format, by its first bytes.
    pub format: Format,
    /// Its bytes.
    pub bytes: Bytes,
    /// SM3 of its bytes.
    pub sm3: Sm3Digest,
    /// Sizes of its pages, in reading order.
    pub pages: Vec<SizeMm>,
    /// Number of signatures in it.
    pub signatures: usize,
    /// Whether one of them closed it.
    pub closed: bool,
    /// Its signature fields, signed or not; OFD has none.
    pub fields: Vec<SignatureField>,
}

/// What is read of a document when it is opened.
struct Contents {
    format: Format,
    pages: Vec<SizeMm>,
    signatures: usize,
    closed: bool,
    fields: Vec<SignatureField>,
}

impl Document {
    /// Whether a page knows it under this id.
    pub fn is(&self, id: &str) -> bool {
        self.id.get().is_some_and(|own| own == id)
    }

    /// Copies a file of the user to where nobody changes it, and opens it. Blocks.
    pub fn of_file(path: &Path, scratch: &Scratch) -> Result<Self, FileError> {
        let mut input = File::open(path).map_err(FileError::Unreadable)?;
        let mut draft = scratch.draft().map_err(|e| FileError::Failed(of_io(&e)))?;
        let mut digest = Sm3::new();
        let mut buffer = vec![0; 1 << 16];
        loop {
            let read = match input.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => &buffer[..read],
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(FileError::Unreadable(e)),
            };
            digest.update(read);
            draft.file.write_all(read).map_err(|e| FileError::Failed(of_io(&e)))?;
        }
        let name = path.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
        Self::open(draft.file, name, digest.finish()).map_err(FileError::Failed)
    }

    /// Opens a document whose bytes are in `file` and have the digest `sm3`. Blocks.
    pub fn open(file: File, name: String, sm3: Sm3Digest) -> Result<Self, Failure> {
        let bytes = Bytes::new(file).map_err(|e| of_io(&e))?;
        let mut head = [0; 5];
        let read = bytes.reader().read(&mut head).map_err(|e| of_io(&e))?;
        let contents = match &head[..read] {
            [b'P', b'K', 3, 4, ..] => Contents::of_ofd(&bytes),
            b"%PDF-" => Contents::of_pdf(&bytes),
            _ => return Err(Failure::new(Code::DocumentMalformed, "neither OFD nor PDF")),
        };
        let Contents { format, pages, signatures, closed, fields } = contents.map_err(|e| of_document(&e))?;
        Ok(Self { id: OnceLock::new(), name, format, bytes, sm3, pages, signatures, closed, fields })
    }

    /// Where a seal of that size lands; `keywords` as for [`Stamp::place`].
    pub fn place(&self, stamp: &Stamp, seal: SizeMm, keywords: &[Spot]) -> Result<Vec<Placement>, DocumentError> {
        let Stamp::Field { name } = stamp else { return stamp.place(&self.pages, seal, keywords) };
        let field = self.fields.iter().find(|field| field.name == *name && !field.is_signed);
        let field = field.ok_or_else(|| DocumentError::NoSuchField { name: name.clone() })?;
        let placement = |widget: &pdf::Widget| {
            let is_shown = widget.rect.width > 0.0 && widget.rect.height > 0.0;
            let page = PageNumber::from_index(widget.page).filter(|_| is_shown)?;
            // As it will be drawn: in its own proportion, in the middle of the field.
            let RectMm { x, y, width, height } = widget.rect;
            let (w, h) = (width.min(height * seal.width / seal.height), height.min(width * seal.height / seal.width));
            let rect = RectMm { x: x + (width - w) / 2.0, y: y + (height - h) / 2.0, width: w, height: h };
            Some(Placement { page, rect, clip: None })
        };
        Ok(field.widgets.iter().filter_map(placement).collect())
    }
}

impl Contents {
    fn of_ofd(bytes: &Bytes) -> Result<Self, DocumentError> {
        let mut ofd = Ofd::open(bytes.reader())?;
        if ofd.is_encrypted() {
            return Err(DocumentError::Encrypted);
        }
        let body = ofd.single_body()?;
        let pages = ofd.page_sizes(&body.current_root)?;
        let (mut signatures, mut closed) = (0, false);
        if let Some(list) = ofd.signature_list(&body)? {
            signatures = list.signatures.len();
            for listed in &list.signatures {
                let signature = ofd.signature(listed)?;
                closed |= signature.references.iter().any(|r| r.path.as_ref() == Some::<&PackagePath>(&list.path));
            }
        }
        Ok(Self { format: Format::Ofd, pages, signatures, closed, fields: Vec::new() })
    }

    fn of_pdf(bytes: &Bytes) -> Result<Self, DocumentError> {
        let mut document = pdf::Document::open(bytes.reader())?;
        if document.encryption().is_some() {
            return Err(DocumentError::Encrypted);
        }
        let pages = document.pages()?.iter().map(pdf::Page::size).collect();
        let fields = document.signature_fields()?;
        let found = document.signatures()?;
        // Those that a report lists: usage rights of a reader are nobody's signature.
        let signatures = found.iter().filter(|signature| signature.state != FieldState::UsageRights).count();
        let closed = found.iter().any(|signature| signature.doc_mdp == Some(DocMdp::NoChanges));
        Ok(Self { format: Format::Pdf, pages, signatures, closed, fields })
    }
}

/// Why a file of the user cannot be taken in.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It cannot be read.
    #[error("cannot be read: {0}")]
    Unreadable(io::Error),
    /// It was read and is not what can be signed, or there is no room for it.
    #[error(transparent)]
    Failed(#[from] Failure),
}

/// What an error of a document means to the outside.
pub fn of_document(error: &DocumentError) -> Failure {
    let code = match error {
        DocumentError::Closed { .. } => Code::DocumentClosed,
        DocumentError::Encrypted => Code::DocumentEncrypted,
        DocumentError::NoPageChosen { .. } | DocumentError::PageNotFound { .. } => Code::PageNotFound,
        DocumentError::OutsidePage { .. } => Code::StampOutsidePage,
        DocumentError::Write(e)
        | DocumentError::Ofd(OfdError::Io(e))
        | DocumentError::Pdf(SigningError::Unreadable(PdfError::Io(e))) => return of_io(e),
        DocumentError::Ofd(OfdError::EncryptedEntry { .. })
        | DocumentError::Pdf(SigningError::Unreadable(PdfError::Encrypted)) => Code::DocumentEncrypted,
        DocumentError::NoSuchField { .. } => Code::BadRequest,
        DocumentError::Pdf(error) => match error {
            SigningError::FieldName(_) | SigningError::FieldTaken(_) => Code::BadRequest,
            SigningError::Picture(PictureError::Kind(_)) => Code::SealPictureUnsupported,
            SigningError::Picture(_) | SigningError::Seal => Code::SealInvalid,
            SigningError::NothingToShow | SigningError::RoomExceeded { .. } => {
                tracing::error!(%error, "a PDF was prepared wrongly");
                Code::Internal
            }
            _ => Code::DocumentMalformed,
        },
        _ => Code::DocumentMalformed,
    };
    Failure::new(code, error)
}
