//! The objects of one update: the signature dictionary, its field and widgets, their looks, and what refers to them.

use super::*;

/// Room that is made where the plan names none: certificate, time stamp and attributes of `SignedData` take 4 to 12 KB.
const DEFAULT_ROOM: usize = 16 << 10;
/// Most room: hexadecimal digits twice that many are written.
const MAX_ROOM: usize = 1 << 20;
/// Places in `/ByteRange` for one number: a file of a terabyte.
const RANGE_DIGITS: usize = 12;
/// Most appearances of one signature.
const MAX_PLACEMENTS: usize = 10_000;

/// Writes the objects of one update.
pub(super) struct Writer<'a, R> {
    pub(super) document: &'a mut Document<R>,
    pub(super) update: Update,
    pub(super) plan: &'a SigningPlan,
    pub(super) options: &'a SignatureOptions,
    pub(super) pages: Vec<Page>,
    /// New widgets by the index of their page.
    pub(super) annotations: HashMap<usize, Vec<ObjectId>>,
    /// The new field, where one is made.
    pub(super) field: Option<ObjectId>,
    /// `/Lock` of a field that was there.
    pub(super) prepared_lock: Dict,
}

impl<R: Read + Seek> Writer<'_, R> {
    /// Bytes for the value.
    pub(super) fn room(&self) -> usize {
        let least = match &self.plan.kind {
            // The signed value holds the whole seal.
            SignatureKind::Seal(seal) => seal.len() + DEFAULT_ROOM,
            SignatureKind::Sign => DEFAULT_ROOM,
        };
        if self.plan.room == 0 { least } else { self.plan.room }
    }

    /// Signs an empty field where it stands: only its value and the look of its widgets change.
    pub(super) fn sign_field(&mut self, field: &Field, value: ObjectId, image: Option<&Image>) -> Result<String, DocumentError> {
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
    pub(super) fn add_field(&mut self, form: &Form, value: ObjectId, image: Option<&Image>) -> Result<String, DocumentError> {
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
    pub(super) fn form(&mut self, certified_by: Option<ObjectId>) -> Result<(), PdfError> {
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
    pub(super) fn value(&mut self, id: ObjectId, certifies: bool) -> Result<(usize, usize), PdfError> {
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

    pub(super) fn finish(&mut self) -> Result<(), PdfError> {
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
