//! One more signature, as an incremental update (ISO 32000-1 7.5.6, 12.7.4.5, 12.8): no byte that is there is touched.
//!
//! What is appended: the signature dictionary with room for its value, the field and its widgets, an appearance for each placement
//! with the seal's picture at its true size, and new versions of the few objects that refer to them.

use std::collections::{HashMap, HashSet, hash_map};
use std::io::{self, Read, Seek, SeekFrom, Write};

use crate::document::{DocumentError, Prepared, Signable, SignatureKind, SigningPlan};
use crate::ses::Seal;
use crate::sm::{Sm3, Sm3Digest};
use crate::stamp::{PageNumber, Placement, RectMm, SizeMm};

use super::form::{Field, FieldValue, Form};
use super::picture::{Image, PictureError, deflate};
use super::write::{Update, numbers, text_string};
use super::{Ambiguity, Dict, DocMdp, Document, Object, ObjectId, Page, PdfError, ValidationData, Widget};

/// Room that is made where the plan names none: certificate, time stamp and attributes of `SignedData` take 4 to 12 KB.
const DEFAULT_ROOM: usize = 16 << 10;
/// Most room: hexadecimal digits twice that many are written.
const MAX_ROOM: usize = 1 << 20;
/// Places in `/ByteRange` for one number: a file of a terabyte.
const RANGE_DIGITS: usize = 12;
/// Most appearances of one signature.
const MAX_PLACEMENTS: usize = 10_000;

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
    /// Picture to show where the signed value is `SignedData`; with a seal, the seal's own is shown.
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
    let bytes = match (&plan.kind, &options.picture) {
        (SignatureKind::Seal(der), _) => {
            seal = Seal::parse(der).map_err(|_| SigningError::Seal)?;
            Some(&seal.picture().data)
        }
        (SignatureKind::Sign, picture) => picture.as_ref(),
    };
    match bytes {
        // Nothing is shown, so the picture need not be one that can be.
        _ if plan.placements.is_empty() && options.field.is_none() => Ok(None),
        Some(bytes) => Ok(Some(Image::read(bytes).map_err(SigningError::Picture)?)),
        None if plan.placements.is_empty() => Ok(None),
        None => Err(SigningError::NothingToShow.into()),
    }
}

/// Writes the objects of one update.
struct Writer<'a, R> {
    document: &'a mut Document<R>,
    update: Update,
    plan: &'a SigningPlan,
    options: &'a SignatureOptions,
    pages: Vec<Page>,
    /// New widgets by the index of their page.
    annotations: HashMap<usize, Vec<ObjectId>>,
    /// The new field, where one is made.
    field: Option<ObjectId>,
    /// `/Lock` of a field that was there.
    prepared_lock: Dict,
}

impl<R: Read + Seek> Writer<'_, R> {
    /// Bytes for the value.
    fn room(&self) -> usize {
        let least = match &self.plan.kind {
            // The signed value holds the whole seal.
            SignatureKind::Seal(seal) => seal.len() + DEFAULT_ROOM,
            SignatureKind::Sign => DEFAULT_ROOM,
        };
        if self.plan.room == 0 { least } else { self.plan.room }
    }

    /// Signs an empty field where it stands: only its value and the look of its widgets change.
    fn sign_field(&mut self, field: &Field, value: ObjectId, image: Option<&Image>) -> Result<String, DocumentError> {
        let view = self.document.newest();
        let picture = self.image(image)?;
        let owner = field.widgets.iter().map(|widget| (widget.number, 0)).collect();
        let on_pages = self.document.widgets(&owner)?;
        let mut parts: Vec<ObjectId> = vec![field.id];
        parts.extend(field.widgets.iter().filter(|widget| **widget != field.id));
        for part in parts {
            let mut dict = self.document.resolve_dict(&part.into(), view)?;
            if part == field.id {
                dict.put("V", value);
            }
            let rect = self.document.rectangle(dict.value("Rect"), view)?;
            let page = on_pages.iter().find(|(number, ..)| *number == part.number).map(|(.., widget)| self.pages[widget.page]);
            if let (Some(picture), Some(rect), Some(page)) = (&picture, rect, page)
                && rect[0] < rect[2]
                && rect[1] < rect[3]
            {
                let shown = page.shown(rect);
                // The whole seal, as large as the field allows, in its middle.
                let (width, height) =
                    (shown.width.min(shown.height * picture.ratio), shown.height.min(shown.width / picture.ratio));
                let x = (shown.width - width) / 2.0;
                let y = (shown.height - height) / 2.0;
                let appearance = self.appearance(&page, shown.size(), RectMm { x, y, width, height }, picture)?;
                let mut looks = Dict::default();
                looks.put("N", appearance);
                dict.put("AP", looks);
            }
            if part == field.id {
                self.prepared_lock = self.document.resolve_dict(dict.value("Lock"), view)?;
            }
            self.update.object(part, &dict.into());
        }
        Ok(field.name.clone())
    }

    /// Makes a field with a widget for each placement, or one that shows nothing.
    fn add_field(&mut self, form: &Form, value: ObjectId, image: Option<&Image>) -> Result<String, DocumentError> {
        let name = self.field_name(form)?;
        let picture = self.image(image)?;
        if self.plan.placements.len() > MAX_PLACEMENTS {
            return Err(PdfError::Limit("appearances of one signature").into());
        }
        let field = self.update.reserve();
        self.field = Some(field);
        let mut dict = Dict::default();
        dict.put("FT", "Sig").put("T", text_string(&name)).put("V", value);
        if self.plan.close {
            dict.put("Lock", self.lock());
        }
        let placements: Vec<Option<&Placement>> = match self.plan.placements.as_slice() {
            [] => vec![None],
            some => some.iter().map(Some).collect(),
        };
        let single = placements.len() == 1;
        let mut kids = Vec::new();
        for placement in placements {
            let widget = self.widget(placement, picture.as_ref())?;
            if single {
                dict.0.extend(widget.0);
                self.annotate(placement, field);
            } else {
                let id = self.update.reserve();
                let mut widget = widget;
                widget.put("Parent", field);
                self.update.object(id, &widget.into());
                self.annotate(placement, id);
                kids.push(id.into());
            }
        }
        if !single {
            dict.put("Kids", kids);
        }
        self.update.object(field, &dict.into());
        Ok(name)
    }

    fn annotate(&mut self, placement: Option<&Placement>, widget: ObjectId) {
        let page = placement.map_or(0, |placement| placement.page.index());
        self.annotations.entry(page).or_default().push(widget);
    }

    /// The name asked for, or the first free `Signature1`, `Signature2`…
    fn field_name(&self, form: &Form) -> Result<String, SigningError> {
        if let Some(name) = &self.options.field {
            // A dot would make it a child of a field that does not exist.
            return if name.is_empty() || name.contains('.') {
                Err(SigningError::FieldName(name.clone()))
            } else {
                Ok(name.clone())
            };
        }
        let taken: HashSet<&str> = form.top_names().collect();
        (1..=taken.len() + 1)
            .map(|n| format!("Signature{n}"))
            .find(|name| !taken.contains(name.as_str()))
            .ok_or(SigningError::Unreadable(PdfError::Limit("form fields")))
    }

    fn widget(&mut self, placement: Option<&Placement>, picture: Option<&Drawn>) -> Result<Dict, DocumentError> {
        let mut dict = Dict::default();
        // Print and Locked (table 165).
        dict.put("Type", "Annot").put("Subtype", "Widget").put("F", Object::Integer(132));
        let index = placement.map_or(0, |placement| placement.page.index());
        let Some(page) = self.pages.get(index).copied() else {
            let asked = placement.map(|placement| placement.page).or_else(|| PageNumber::from_index(0));
            return Err(match asked {
                Some(asked) => DocumentError::PageNotFound { asked, pages: self.pages.len() },
                None => PdfError::Limit("pages").into(),
            });
        };
        dict.put("P", page.object);
        let (Some(placement), Some(picture)) = (placement, picture) else {
            dict.put("Rect", numbers([0.0; 4]));
            return Ok(dict);
        };
        let whole = placement.rect;
        let clip = placement.clip.unwrap_or(RectMm { x: 0.0, y: 0.0, width: whole.width, height: whole.height });
        let shown = RectMm { x: whole.x + clip.x, y: whole.y + clip.y, width: clip.width, height: clip.height };
        if ![shown.x, shown.y, shown.width, shown.height].iter().all(|n| n.is_finite())
            || shown.width <= 0.0
            || shown.height <= 0.0
        {
            return Err(DocumentError::OutsidePage { page: placement.page, size: page.size(), shown });
        }
        dict.put("Rect", numbers(page.rect(shown)));
        let seal = RectMm { x: -clip.x, y: -clip.y, width: whole.width, height: whole.height };
        let appearance = self.appearance(&page, shown.size(), seal, picture)?;
        let mut looks = Dict::default();
        looks.put("N", appearance);
        dict.put("AP", looks);
        Ok(dict)
    }

    fn image(&mut self, image: Option<&Image>) -> Result<Option<Drawn>, PdfError> {
        image
            .map(|image| Ok(Drawn { object: image.write(&mut self.update)?, ratio: image.ratio(), multiply: image.is_opaque() }))
            .transpose()
    }

    /// A form of `size` that draws the seal at `seal` (mm from the form's top left corner), upright on the page as shown.
    fn appearance(&mut self, page: &Page, size: SizeMm, seal: RectMm, picture: &Drawn) -> Result<ObjectId, PdfError> {
        let points = 1.0 / page.mm_per_unit();
        let (width, height) = (seal.width * points, seal.height * points);
        let (x, y) = (seal.x * points, (size.height - seal.y) * points - height);
        let state = if picture.multiply { "/M gs " } else { "" };
        let content = format!("q {state}{width:.4} 0 0 {height:.4} {x:.4} {y:.4} cm /S Do Q\n");
        let mut images = Dict::default();
        images.put("S", picture.object);
        let mut resources = Dict::default();
        resources.put("XObject", images);
        if picture.multiply {
            let (mut state, mut states) = (Dict::default(), Dict::default());
            state.put("Type", "ExtGState").put("BM", "Multiply");
            states.put("M", state);
            resources.put("ExtGState", states);
        }
        let mut form = Dict::default();
        form.put("Type", "XObject")
            .put("Subtype", "Form")
            .put("BBox", numbers([0.0, 0.0, size.width * points, size.height * points]));
        // Turned against the page's own turn; the reader moves the result into the widget's rectangle (12.5.5, algorithm 8.1).
        form.put(
            "Matrix",
            numbers(match page.rotate {
                90 => [0.0, 1.0, -1.0, 0.0, 0.0, 0.0],
                180 => [-1.0, 0.0, 0.0, -1.0, 0.0, 0.0],
                270 => [0.0, -1.0, 1.0, 0.0, 0.0, 0.0],
                _ => [1.0, 0.0, 0.0, 1.0, 0.0, 0.0],
            }),
        );
        form.put("Resources", resources).put("Filter", "FlateDecode");
        let id = self.update.reserve();
        self.update.stream(id, form, &deflate(content.as_bytes())?);
        Ok(id)
    }

    fn lock(&self) -> Dict {
        let mut lock = Dict::default();
        lock.put("Type", "SigFieldLock").put("Action", "All").put("P", Object::Integer(1));
        lock
    }

    /// New versions of the catalog, the form and the pages' lists of annotations, as far as they change.
    fn form(&mut self, certified_by: Option<ObjectId>) -> Result<(), PdfError> {
        let view = self.document.newest();
        let mut catalog = self.document.catalog(view)?;
        let mut catalog_changes = false;
        let value = catalog.value("AcroForm").clone();
        let mut form = self.document.resolve_dict(&value, view)?;
        let mut form_changes = false;
        if let Some(field) = self.field.map(Object::from) {
            match form.value("Fields").clone() {
                Object::Reference(list) => {
                    let mut fields = self.document.resolve_array(&list.into(), view)?;
                    fields.push(field);
                    self.update.object(list, &fields.into());
                }
                direct => {
                    let mut fields = direct.array().unwrap_or_default().to_vec();
                    fields.push(field);
                    form.put("Fields", fields);
                    form_changes = true;
                }
            }
        }
        let flags = form.value("SigFlags").integer().unwrap_or(0);
        if flags & 3 != 3 {
            form.put("SigFlags", flags | 3);
            form_changes = true;
        }
        if form_changes {
            match value {
                Object::Reference(id) => self.update.object(id, &form.into()),
                Object::Null => {
                    let id = self.update.reserve();
                    self.update.object(id, &form.into());
                    catalog.put("AcroForm", id);
                    catalog_changes = true;
                }
                _ => {
                    catalog.put("AcroForm", form);
                    catalog_changes = true;
                }
            }
        }
        if let Some(value) = certified_by {
            let mut permissions = self.document.resolve_dict(catalog.value("Perms"), view)?;
            permissions.put("DocMDP", value);
            catalog.put("Perms", permissions);
            catalog_changes = true;
        }
        if let Some(data) = &self.options.stamps_document {
            let dss = self.document.add_validation_data(&mut self.update, &catalog, data)?;
            catalog.put("DSS", dss);
            catalog_changes = true;
        }
        if catalog_changes {
            let root = self.document.trailer(view).value("Root").reference();
            let root = root.ok_or(PdfError::Syntax { what: "Root is no reference", offset: 0 })?;
            self.update.object(root, &catalog.into());
        }
        self.page_lists()
    }

    fn page_lists(&mut self) -> Result<(), PdfError> {
        let view = self.document.newest();
        let mut pages: Vec<(usize, Vec<ObjectId>)> = std::mem::take(&mut self.annotations).into_iter().collect();
        pages.sort_unstable();
        // One list may serve several pages, or one page's widgets stand in it twice: it is written once, with all of them.
        let mut lists: HashMap<ObjectId, Vec<Object>> = HashMap::new();
        for (index, widgets) in pages {
            let page = self.pages[index].object;
            let mut dict = self.document.resolve_dict(&page.into(), view)?;
            match dict.value("Annots").clone() {
                Object::Reference(list) => {
                    let entry = match lists.entry(list) {
                        hash_map::Entry::Occupied(entry) => entry.into_mut(),
                        hash_map::Entry::Vacant(entry) => entry.insert(self.document.resolve_array(&list.into(), view)?),
                    };
                    entry.extend(widgets.into_iter().map(Object::from));
                }
                direct => {
                    let mut all = direct.array().unwrap_or_default().to_vec();
                    all.extend(widgets.into_iter().map(Object::from));
                    dict.put("Annots", all);
                    self.update.object(page, &dict.into());
                }
            }
        }
        let mut lists: Vec<_> = lists.into_iter().collect();
        lists.sort_unstable_by_key(|(id, _)| *id);
        for (id, list) in lists {
            self.update.object(id, &list.into());
        }
        Ok(())
    }

    /// Writes the signature dictionary; gives where the digits of `/Contents` and the numbers of `/ByteRange` begin.
    fn value(&mut self, id: ObjectId, certifies: bool) -> Result<(usize, usize), PdfError> {
        let room = self.room();
        if !(1..=MAX_ROOM).contains(&room) {
            return Err(PdfError::Limit("bytes of room for a signed value"));
        }
        let default = match self.plan.kind {
            SignatureKind::Seal(_) => ("Adobe.PPKLite", "GM.sm2seal"),
            SignatureKind::Sign => ("Adobe.PPKLite", "adbe.pkcs7.detached"),
        };
        let (filter, sub_filter) = self.options.filters.as_ref().map_or(default, |(f, s)| (f.as_str(), s.as_str()));
        let mut dict = Dict::default();
        if self.options.stamps_document.is_some() {
            dict.put("Type", "DocTimeStamp").put("Filter", "Adobe.PPKLite").put("SubFilter", "ETSI.RFC3161");
            return Ok(self.with_room(id, &dict, room));
        }
        dict.put("Type", "Sig").put("Filter", filter).put("SubFilter", sub_filter);
        let time = self.plan.time.strftime("D:%Y%m%d%H%M%SZ").to_string();
        dict.put("M", Object::String(time.into_bytes()));
        for (key, value) in [("Name", &self.options.name), ("Reason", &self.options.reason), ("Location", &self.options.location)]
        {
            if let Some(value) = value {
                dict.put(key, text_string(value));
            }
        }
        let (mut build, mut app) = (Dict::default(), Dict::default());
        app.put("Name", self.plan.provider.name.as_str()).put("REx", text_string(&self.plan.provider.version));
        build.put("App", app);
        dict.put("Prop_Build", build);
        let closing = self.plan.close.then(|| closing(certifies)).or_else(|| locking(&self.prepared_lock));
        if let Some(reference) = closing {
            dict.put("Reference", vec![reference.into()]);
        }
        Ok(self.with_room(id, &dict, room))
    }

    /// Writes a dictionary with `/ByteRange` and room in `/Contents` at its end; gives where their values begin.
    fn with_room(&mut self, id: ObjectId, dict: &Dict, room: usize) -> (usize, usize) {
        self.update.begin(id);
        dict.write(&mut self.update.bytes);
        // Before the dictionary's end.
        let end = self.update.bytes.len() - 2;
        self.update.bytes.truncate(end);
        self.update.bytes.extend(b"/ByteRange[");
        let range = self.update.bytes.len();
        self.update.bytes.extend(" ".repeat(2 + 3 * (RANGE_DIGITS + 1)).as_bytes());
        self.update.bytes.extend(b"]/Contents<");
        let digits = self.update.bytes.len();
        self.update.bytes.resize(digits + 2 * room, b'0');
        self.update.bytes.extend(b">>>\nendobj\n");
        (digits, range)
    }

    fn finish(&mut self) -> Result<(), PdfError> {
        let view = self.document.newest();
        let old = self.document.trailer(view).clone();
        let mut trailer = Dict::default();
        for key in ["Root", "Info"] {
            if *old.value(key) != Object::Null {
                trailer.put(key, old.value(key).clone());
            }
        }
        if let Some([first, _]) = old.value("ID").array() {
            let mut changed = Sm3::new();
            changed.update(&self.update.bytes);
            changed.update(self.plan.time.to_string().as_bytes());
            let second = Object::String(changed.finish().0[..16].to_vec());
            trailer.put("ID", vec![first.clone(), second]);
        }
        let newest = &self.document.xref.sections[usize::from(view)];
        self.update.finish(trailer, newest.offset, newest.is_stream)
    }
}

/// A picture that is drawn.
struct Drawn {
    object: ObjectId,
    /// Width by height.
    ratio: f64,
    /// White must not hide the page.
    multiply: bool,
}

/// The reference that closes a document: as certification when nothing was signed before, else by locking all fields.
fn closing(certifies: bool) -> Dict {
    let (mut parameters, mut reference) = (Dict::default(), Dict::default());
    parameters.put("Type", "TransformParams").put("V", "1.2").put("P", Object::Integer(1));
    if !certifies {
        parameters.put("Action", "All");
    }
    let method = if certifies { "DocMDP" } else { "FieldMDP" };
    reference.put("Type", "SigRef").put("TransformMethod", method).put("TransformParams", parameters);
    reference
}

/// The reference that a field's own `/Lock` asks of its signature (12.7.4.5).
fn locking(lock: &Dict) -> Option<Dict> {
    let (mut parameters, mut reference) = (Dict::default(), Dict::default());
    parameters.put("Type", "TransformParams").put("V", "1.2");
    for key in ["Action", "Fields", "P"] {
        if *lock.value(key) != Object::Null {
            parameters.put(key, lock.value(key).clone());
        }
    }
    reference.put("Type", "SigRef").put("TransformMethod", "FieldMDP").put("TransformParams", parameters);
    (*lock.value("Action") != Object::Null).then_some(reference)
}
