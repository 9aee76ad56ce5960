//! One more signature, as an incremental update (ISO 32000-1 7.5.6, 12.7.4.5, 12.8): no byte that is there is touched.
//!
//! What is appended: the signature dictionary with room for its value, the field and its widgets, an appearance for each placement
//! with the seal's picture at its true size, and new versions of the few objects that refer to them.

mod writer;

use std::collections::{HashMap, HashSet, hash_map};
use std::io::{self, Read, Seek, SeekFrom, Write};

use crate::document::{DocumentError, Prepared, Signable, SignatureKind, SigningPlan};
use crate::ses::Seal;
use crate::sm::{Sm3, Sm3Digest};
use crate::stamp::{PageNumber, Placement, RectMm, SizeMm};

use super::form::{Field, FieldValue, Form};
use super::picture::{Image, PictureError, deflate};
use writer::Writer;

use super::write::{Update, numbers, text_string};
use super::{Ambiguity, Dict, DocMdp, Document, Object, ObjectId, Page, PdfError, ValidationData, Widget};

/// Why a PDF cannot be signed as asked; what stands in [`DocumentError`] already is not here.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SigningError {
    /// Readers disagree about what the document is, so nobody knows what would be signed.
    #[error("the document is ambiguous: {0}")]
    Ambiguous(Ambiguity),
    /// An XFA form that is drawn by the reader: its pages are not what people see.
    #[error("the document is a dynamic form (XFA)")]
    DynamicForm,
    /// A name that no new field can have: empty, or with a dot.
    #[error("{0:?} cannot be the name of a new field")]
    FieldName(String),
    /// The field of that name is signed already, or no signature field.
    #[error("the field {0} is signed already or is no signature field")]
    FieldTaken(String),
    /// Appearances are asked for, and there is no picture.
    #[error("there is no picture to show")]
    NothingToShow,
    /// The seal's picture cannot be drawn.
    #[error(transparent)]
    Picture(#[from] PictureError),
    /// The signed value is larger than the room that was made for it.
    #[error("the signed value has {value} bytes, there is room for {room}")]
    RoomExceeded {
        /// Bytes set aside.
        room: usize,
        /// Bytes of the value.
        value: usize,
    },
    /// The bytes to sign with are no seal.
    #[error("the seal cannot be read")]
    Seal,
    /// The file cannot be read.
    #[error(transparent)]
    Unreadable(#[from] PdfError),
}

impl From<PdfError> for DocumentError {
    fn from(error: PdfError) -> Self {
        Self::Pdf(error.into())
    }
}

/// What a PDF signature has beyond the plan that all formats share.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct SignatureOptions {
    /// Fully qualified name of the field. One that exists and is empty is signed where it stands, its widgets get the seal's picture
    /// and the plan's placements are not looked at; else a field of this name is made. `None` makes one with a name of its own.
    pub field: Option<String>,
    /// `/Filter` and `/SubFilter`; `None` is `Adobe.PPKLite` with `adbe.pkcs7.detached` for `SignedData`, `Adobe.PPKLite` with
    /// `GM.sm2seal` for an `SES_Signature`. No national value is known (shared `pdf-signature.md` §3).
    pub filters: Option<(String, String)>,
    /// Picture to show: the seal's own where the signed value is `SignedData`, and what was drawn of it where the seal's own cannot be
    /// put into PDF as it stands (SVG, OFD). `None` shows the picture of the seal that is in the signed value.
    pub picture: Option<Vec<u8>>,
    /// `/Name`
    pub name: Option<String>,
    /// `/Reason`
    pub reason: Option<String>,
    /// `/Location`
    pub location: Option<String>,
    /// The value will be a time stamp token over the document (ISO 32000-2 12.8.5) and this data goes in under it. Such a stamp changes
    /// nothing that anybody agreed to, so documents that are closed to signatures take it, too.
    pub stamps_document: Option<ValidationData>,
}

/// A field for a signature.
#[derive(Clone, Debug, PartialEq)]
pub struct SignatureField {
    /// Fully qualified name.
    pub name: String,
    /// Whether it has a value.
    pub is_signed: bool,
    /// Whether its own `/Lock` allows nothing further once it is signed (12.7.4.5).
    pub closes: bool,
    /// Where it shows.
    pub widgets: Vec<Widget>,
}

/// A PDF that waits for its signed value.
pub struct PreparedPdf<R> {
    source: R,
    source_len: u64,
    /// What is appended, with zeros in the place of the value.
    update: Vec<u8>,
    /// Where the digits of `/Contents` begin in `update`.
    digits: usize,
    room: usize,
    digest: Sm3Digest,
    property: String,
}

impl<R: Read + Seek> Document<R> {
    /// What the signature shall have beyond the plan; see [`Signable::prepare`].
    pub fn set_signature_options(&mut self, options: SignatureOptions) {
        self.options = options;
    }

    /// The signature fields of the form, signed or not, in the form's order.
    pub fn signature_fields(&mut self) -> Result<Vec<SignatureField>, PdfError> {
        let fields = self.form(self.newest())?.fields;
        let mut found: Vec<SignatureField> = Vec::new();
        let mut owner = HashMap::new();
        for field in fields.into_iter().filter(|field| field.is_signature) {
            let dict = self.resolve_dict(&field.id.into(), self.newest())?;
            let lock = self.resolve_dict(dict.value("Lock"), self.newest())?;
            let closes = *lock.value("Action") != Object::Null && lock.value("P").integer() == Some(1);
            owner.extend(field.widgets.iter().map(|widget| (widget.number, found.len())));
            let is_signed = field.value != FieldValue::None;
            found.push(SignatureField { name: field.name, is_signed, closes, widgets: Vec::new() });
        }
        for (_, i, widget) in self.widgets(&owner)? {
            found[i].widgets.push(widget);
        }
        Ok(found)
    }

    /// The empty field that is to be signed; `None` where one is made.
    fn target(&self, form: &Form, options: &SignatureOptions) -> Result<Option<Field>, SigningError> {
        let Some(name) = &options.field else { return Ok(None) };
        match form.fields.iter().find(|field| field.name == *name) {
            Some(field) if field.is_signature && field.value == FieldValue::None => Ok(Some(field.clone())),
            None if form.top_names().all(|top| top != name) => Ok(None),
            _ => Err(SigningError::FieldTaken(name.clone())),
        }
    }

    /// Refuses what would break or be broken: encryption, ambiguity, an earlier signature that allows no more.
    fn check_open(&mut self, form: &Form, target: Option<&Field>, stamps_document: bool) -> Result<(), DocumentError> {
        if self.encryption().is_some() {
            return Err(DocumentError::Encrypted);
        }
        self.inventory()?;
        if let Some(ambiguity) = self.ambiguities().first() {
            return Err(SigningError::Ambiguous(ambiguity.clone()).into());
        }
        if !self.is_white_space(self.xref.end, self.file_len())? {
            return Err(PdfError::Syntax { what: "bytes after the end of the document", offset: self.xref.end }.into());
        }
        let view = self.newest();
        let catalog = self.catalog(view)?;
        if catalog.value("NeedsRendering") == &Object::Boolean(true) {
            return Err(SigningError::DynamicForm.into());
        }
        let permissions = self.resolve_dict(catalog.value("Perms"), view)?;
        let mut values: Vec<(String, Object)> = vec![("DocMDP".into(), permissions.value("DocMDP").clone())];
        for field in form.fields.iter().filter(|field| field.is_signature) {
            if let FieldValue::Reference(id) = field.value {
                values.push((field.name.clone(), id.into()));
            } else if field.value == FieldValue::Direct {
                let dict = self.resolve_dict(&field.id.into(), view)?;
                values.push((field.name.clone(), dict.value("V").clone()));
            }
        }
        for (by, value) in values {
            let dict = self.resolve_dict(&value, view)?;
            let (doc_mdp, lock) = self.transforms(&dict, view)?;
            let locked = lock.zip(target).is_some_and(|(lock, target)| lock.covers(&target.name));
            if (doc_mdp == Some(DocMdp::NoChanges) && !stamps_document) || locked {
                return Err(DocumentError::Closed { by: format!("signature {by}") });
            }
        }
        Ok(())
    }
}

impl<R: Read + Seek> Signable for Document<R> {
    type Prepared = PreparedPdf<R>;

    fn prepare(mut self, plan: &SigningPlan) -> Result<PreparedPdf<R>, DocumentError> {
        let options = std::mem::take(&mut self.options);
        let form = self.form(self.newest())?;
        let target = self.target(&form, &options)?;
        self.check_open(&form, target.as_ref(), options.stamps_document.is_some())?;
        let image = picture(plan, &options)?;
        let pages = self.pages()?;
        let update = self.update()?;
        let mut writer = Writer {
            document: &mut self,
            update,
            plan,
            options: &options,
            pages,
            annotations: HashMap::new(),
            field: None,
            prepared_lock: Dict::default(),
        };
        let value = writer.update.reserve();
        let name = match &target {
            Some(field) => writer.sign_field(field, value, image.as_ref())?,
            None => writer.add_field(&form, value, image.as_ref())?,
        };
        let certifies = plan.close && form.fields.iter().all(|field| !field.is_signature || field.value == FieldValue::None);
        writer.form(certifies.then_some(value))?;
        let (digits, range) = writer.value(value, certifies)?;
        let room = writer.room();
        writer.finish()?;
        let update = std::mem::take(&mut writer.update.bytes);
        let property = if name.is_ascii() { name } else { value.to_string() };
        Ok(PreparedPdf::new(self, update, digits, range, room, property)?)
    }
}

impl<R: Read + Seek> PreparedPdf<R> {
    fn new(
        document: Document<R>,
        mut update: Vec<u8>,
        digits: usize,
        range: usize,
        room: usize,
        property: String,
    ) -> Result<Self, PdfError> {
        let source_len = document.file_len();
        let gap = [digits - 1, digits + 2 * room + 1].map(|at| source_len + at as u64);
        let end = source_len + update.len() as u64;
        let numbers = format!("0 {} {} {}", gap[0], gap[1], end - gap[1]);
        update[range..range + numbers.len()].copy_from_slice(numbers.as_bytes());
        let mut source = document.into_inner();
        let mut digest = Sm3::new();
        source.seek(SeekFrom::Start(0))?;
        if io::copy(&mut source.by_ref().take(source_len), &mut digest)? != source_len {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        digest.update(&update[..digits - 1]);
        digest.update(&update[digits + 2 * room + 1..]);
        Ok(Self { source, source_len, update, digits, room, digest: digest.finish(), property })
    }
}

impl<R: Read + Seek> Prepared for PreparedPdf<R> {
    /// SM3 of the bytes that `/ByteRange` names.
    fn digest(&self) -> Sm3Digest {
        self.digest
    }

    /// Fully qualified name of the field; the reference of the signature dictionary where the name is not ASCII.
    fn property(&self) -> &str {
        &self.property
    }

    fn embed(mut self, signed_value: &[u8], out: &mut dyn Write) -> Result<(), DocumentError> {
        if signed_value.len() > self.room {
            return Err(SigningError::RoomExceeded { room: self.room, value: signed_value.len() }.into());
        }
        for (pair, byte) in self.update[self.digits..].chunks_exact_mut(2).zip(signed_value) {
            pair.copy_from_slice(format!("{byte:02x}").as_bytes());
        }
        self.source.seek(SeekFrom::Start(0)).map_err(PdfError::Io)?;
        let copied = io::copy(&mut self.source.by_ref().take(self.source_len), out).map_err(DocumentError::Write)?;
        if copied != self.source_len {
            return Err(PdfError::Io(io::ErrorKind::UnexpectedEof.into()).into());
        }
        out.write_all(&self.update).map_err(DocumentError::Write)
    }
}

/// The picture that is shown, if anything is.
fn picture(plan: &SigningPlan, options: &SignatureOptions) -> Result<Option<Image>, DocumentError> {
    let seal;
    let own = match &plan.kind {
        SignatureKind::Seal(der) => {
            seal = Seal::parse(der).map_err(|_| SigningError::Seal)?;
            Some(&seal.picture().data)
        }
        SignatureKind::Sign => None,
    };
    let bytes = options.picture.as_ref().or(own);
    match bytes {
        // Nothing is shown, so the picture need not be one that can be.
        _ if plan.placements.is_empty() && options.field.is_none() => Ok(None),
        Some(bytes) => Ok(Some(Image::read(bytes).map_err(SigningError::Picture)?)),
        None if plan.placements.is_empty() => Ok(None),
        None => Err(SigningError::NothingToShow.into()),
    }
}
