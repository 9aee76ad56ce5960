//! Two signed states of a document, compared object by object: what differs is accounted for, or it is a change.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    io::{Read, Seek},
};

use super::super::{
    Dict, Document, MAX_LISTED, Object, ObjectId, PdfError, SignaturePurpose,
    document::Located,
    form::{Field, FieldValue, Form},
    object::name_text,
    signature::is_signature,
    xref::{Place, View},
};
use super::{Change, Changed, FILLING_KEYS, MAX_CHANGED, MAX_CLOSURE, Permitted, Referrers, SIGNING_KEYS, Step};

/// The comparison of two states `a` and `b` of one document.
pub(super) struct Comparison<'a, R> {
    document: &'a mut Document<R>,
    a: View,
    b: View,
    /// Numbers that differ.
    changed: BTreeSet<u32>,
    /// Those of them whose difference is accounted for.
    explained: HashSet<u32>,
    referrers: &'a Referrers,
    steps: Vec<Step>,
}

impl<'a, R: Read + Seek> Comparison<'a, R> {
    pub fn new(document: &'a mut Document<R>, a: View, b: View, changed: BTreeSet<u32>, referrers: &'a Referrers) -> Self {
        Self { document, a, b, changed, explained: HashSet::new(), referrers, steps: Vec::new() }
    }

    pub fn steps(mut self, before: &Form, after: &Form) -> Result<Vec<Step>, PdfError> {
        if self.changed.len() > MAX_CHANGED {
            self.bad(None, Changed::Limit, "");
            return Ok(self.steps);
        }
        self.drop_equal()?;
        self.trailer()?;
        let widgets = self.fields(before, after)?;
        self.catalog(before)?;
        self.validation_data()?;
        self.rest(&widgets, before, after)?;
        Ok(self.steps)
    }

    fn bad(&mut self, object: Option<u32>, what: Changed, place: &str) {
        if self.steps.len() < 10 * MAX_LISTED {
            let object = object.map(|number| self.id(number));
            self.steps.push(Step::Bad(Change { object, what, place: place.to_owned() }));
        }
    }

    fn id(&self, number: u32) -> ObjectId {
        let entry = [self.b, self.a].into_iter().find_map(|view| self.document.xref.lookup(number, view));
        ObjectId { number, generation: entry.map_or(0, |entry| entry.generation) }
    }

    fn was_there(&self, number: u32) -> bool {
        self.document.xref.place(number, self.a) != Place::Free
    }

    fn load(&mut self, number: u32, view: View) -> Result<Located, PdfError> {
        match self.document.xref.lookup(number, view) {
            Some(entry) => {
                let id = ObjectId { number, generation: entry.generation };
                self.document.load_place(id, entry.place(), view)
            }
            None => Ok(Located::null()),
        }
    }

    /// Forgets the objects that were written again as they were.
    fn drop_equal(&mut self) -> Result<(), PdfError> {
        for number in self.changed.clone() {
            let same_generation = [self.a, self.b].map(|v| self.document.xref.lookup(number, v).map(|e| e.generation));
            if same_generation[0] != same_generation[1] {
                continue;
            }
            let (old, new) = (self.load(number, self.a)?, self.load(number, self.b)?);
            let streams = match (old.stream, new.stream) {
                (None, None) => true,
                (Some(old_at), Some(new_at)) => match (old.object.dict(), new.object.dict()) {
                    (Some(old), Some(new)) => {
                        let old = self.document.stream_range(old, old_at, self.a);
                        let new = self.document.stream_range(new, new_at, self.b);
                        match (old, new) {
                            (Ok(old), Ok(new)) => self.document.same_stream(old, new)?,
                            (Err(error @ (PdfError::Io(_) | PdfError::Limit(_))), _)
                            | (_, Err(error @ (PdfError::Io(_) | PdfError::Limit(_)))) => return Err(error),
                            _ => false,
                        }
                    }
                    _ => false,
                },
                _ => false,
            };
            if streams && old.object == new.object {
                self.changed.remove(&number);
            }
        }
        Ok(())
    }

    /// Numbers of the live objects of state `a` that refer to `number`. Complete only for changed numbers and validation data.
    fn live_referrers(&self, number: u32) -> impl Iterator<Item = u32> + '_ {
        let all = self.referrers.get(&number).map(Vec::as_slice).unwrap_or_default();
        let live = |(referrer, section): &&(u32, View)| {
            self.document.xref.lookup(*referrer, self.a).is_some_and(|entry| entry.section == *section)
        };
        all.iter().filter(live).map(|(referrer, _)| *referrer)
    }

    /// Whether nothing refers to `number` in state `a` but these.
    fn belongs_to(&self, number: u32, owners: &HashSet<u32>) -> bool {
        self.live_referrers(number).all(|referrer| owners.contains(&referrer))
    }

    /// Whether the catalog of state `a` refers to `number` under `key` only.
    fn only_under(catalog: &Dict, key: &str, number: u32) -> bool {
        let mut elsewhere = false;
        for (other, value) in catalog.0.iter().filter(|(other, _)| other != key.as_bytes()) {
            value.references(other, &mut |_, id| elsewhere |= id.number == number);
        }
        !elsewhere
    }

    fn trailer(&mut self) -> Result<(), PdfError> {
        let value = |this: &Self, key, view| this.document.trailer(view).value(key).clone();
        for key in ["Root", "Encrypt"] {
            if value(self, key, self.a) != value(self, key, self.b) {
                self.bad(None, Changed::Trailer, key);
            }
        }
        let (old, new) = (value(self, "Info", self.a), value(self, "Info", self.b));
        let number = new.reference().map(|id| id.number);
        let touched = old != new || number.is_some_and(|number| self.changed.contains(&number));
        if new == Object::Null || !touched {
            return Ok(());
        }
        let old_dict = self.document.resolve_dict(&old, self.a)?;
        let new_dict = self.document.resolve_dict(&new, self.b)?;
        match differing(&old_dict, &new_dict).iter().find(|key| !matches!(key.as_str(), "ModDate" | "Producer")) {
            Some(key) => self.bad(number, Changed::Information, &format!("/Info/{key}")),
            None => self.steps.push(Step::Permitted(Permitted::Metadata)),
        }
        self.explained.extend(number.filter(|number| self.belongs_to(*number, &HashSet::new())));
        Ok(())
    }

    fn catalog(&mut self, before: &Form) -> Result<(), PdfError> {
        let Some(root) = self.document.trailer(self.b).value("Root").reference().map(|id| id.number) else {
            return Ok(());
        };
        let (old, new) = (self.document.catalog(self.a)?, self.document.catalog(self.b)?);
        for key in differing(&old, &new) {
            match key.as_str() {
                // These are compared by what is in them; the other two say which version of the format the updates use.
                "AcroForm" | "DSS" | "Metadata" | "Extensions" | "Version" => {}
                _ => self.bad(Some(root), Changed::Catalog, &format!("/Root/{key}")),
            }
        }
        self.explained.insert(root);
        let owner = HashSet::from([root]);
        if let Some(metadata) = new.value("Metadata").reference().map(|id| id.number)
            && (self.changed.contains(&metadata) || old.value("Metadata") != new.value("Metadata"))
        {
            self.steps.push(Step::Permitted(Permitted::Metadata));
            if self.belongs_to(metadata, &owner) && Self::only_under(&old, "Metadata", metadata) {
                self.explained.insert(metadata);
            }
        }
        self.form_dictionary(&old, &new, owner, before)
    }

    /// The form's own dictionary; its fields are compared apart.
    fn form_dictionary(&mut self, old: &Dict, new: &Dict, mut owner: HashSet<u32>, before: &Form) -> Result<(), PdfError> {
        let (old_value, new_value) = (old.value("AcroForm"), new.value("AcroForm"));
        let number = new_value.reference().map(|id| id.number);
        let old_form = self.document.resolve_dict(old_value, self.a)?;
        let new_form = self.document.resolve_dict(new_value, self.b)?;
        let only_signatures = before.fields.iter().all(|field| field.is_signature);
        for key in differing(&old_form, &new_form) {
            let (old, new) = (old_form.value(&key), new_form.value(&key));
            let fine = match key.as_str() {
                "Fields" => true,
                "SigFlags" => new.integer() >= old.integer(),
                "NeedAppearances" => matches!(new, Object::Null | Object::Boolean(false)),
                // Default resources and appearance matter to fields with text; where there is none, they are the signer's own.
                "DR" | "DA" => *old == Object::Null && only_signatures,
                _ => false,
            };
            if !fine {
                self.bad(number, Changed::Field, &format!("/Root/AcroForm/{key}"));
            }
        }
        let list = new_form.value("Fields").reference().map(|id| id.number);
        for part in [number, list].into_iter().flatten() {
            if self.belongs_to(part, &owner) && Self::only_under(old, "AcroForm", part) {
                self.explained.insert(part);
                owner.insert(part);
            }
        }
        Ok(())
    }

    /// Compares the fields; gives the widgets by which annotation lists may grow.
    fn fields(&mut self, before: &Form, after: &Form) -> Result<HashSet<u32>, PdfError> {
        let mut widgets = HashSet::new();
        let old: HashMap<u32, &Field> = before.fields.iter().map(|field| (field.id.number, field)).collect();
        let old_names: HashSet<&str> = before.fields.iter().map(|field| field.name.as_str()).collect();
        let mut kept = 0;
        for field in &after.fields {
            match old.get(&field.id.number) {
                Some(old) => {
                    kept += 1;
                    self.kept_field(old, field)?;
                    if field.is_signature && old.value == FieldValue::None && field.value != FieldValue::None {
                        widgets.extend(field.widgets.iter().map(|widget| widget.number));
                    }
                }
                None => {
                    let name_taken = old_names.contains(field.name.as_str());
                    if self.new_field(field, name_taken)? {
                        widgets.extend(field.widgets.iter().map(|widget| widget.number));
                    }
                }
            }
        }
        if kept < before.fields.len() {
            let now: HashSet<u32> = after.fields.iter().map(|field| field.id.number).collect();
            for field in before.fields.iter().filter(|field| !now.contains(&field.id.number)) {
                let signed = field.is_signature && field.value != FieldValue::None;
                let what = if signed { Changed::Signature } else { Changed::Field };
                self.bad(Some(field.id.number), what, &field.name);
            }
        }
        Ok(widgets)
    }

    fn kept_field(&mut self, old: &Field, new: &Field) -> Result<(), PdfError> {
        if old.widgets != new.widgets || old.is_signature != new.is_signature || old.name != new.name {
            self.bad(Some(new.id.number), Changed::Field, &new.name);
            return Ok(());
        }
        let parts: Vec<u32> = std::iter::once(new.id).chain(new.widgets.iter().copied()).map(|id| id.number).collect();
        if !parts.iter().any(|part| self.changed.contains(part)) && old.value == new.value {
            return Ok(());
        }
        let signed_before = old.is_signature && old.value != FieldValue::None;
        let allowed = if new.is_signature { SIGNING_KEYS } else { FILLING_KEYS };
        let kind = if new.is_signature { Changed::Signature } else { Changed::Field };
        let mut fine = !signed_before && (!new.is_signature || new.value != FieldValue::None);
        for part in &parts {
            let (old, new) = (self.load(*part, self.a)?.object, self.load(*part, self.b)?.object);
            fine &= match (old.dict(), new.dict()) {
                (Some(old), Some(new)) => differing(old, new).iter().all(|key| allowed.contains(&key.as_str())),
                _ => false,
            };
        }
        if new.is_signature && fine {
            fine = self.is_new_signature(new)?;
        }
        if !fine {
            self.bad(Some(new.id.number), kind, &new.name);
            return Ok(());
        }
        let name = new.name.clone();
        let step = match self.purpose(new)? {
            _ if !new.is_signature => Step::Filled(name),
            SignaturePurpose::DocTimeStamp => Step::Permitted(Permitted::DocTimeStamp { field: name }),
            SignaturePurpose::Signature => Step::Signed(name),
        };
        self.steps.push(step);
        self.explained.extend(&parts);
        let owners: HashSet<u32> = parts.iter().copied().collect();
        for part in parts {
            let old = self.load(part, self.a)?.object;
            if let Some(dict) = old.dict() {
                let mut roots = Vec::new();
                dict.value("AP").references(b"", &mut |_, id| roots.push(id.number));
                self.explain_owned(roots, owners.clone(), self.a)?;
            }
        }
        Ok(())
    }

    /// Accounts for the changed objects below `roots` that nothing else referred to in state `a`.
    fn explain_owned(&mut self, mut roots: Vec<u32>, mut owners: HashSet<u32>, view: View) -> Result<(), PdfError> {
        let mut seen = HashSet::new();
        while let Some(number) = roots.pop() {
            if seen.len() > MAX_CLOSURE {
                return Err(PdfError::Limit("objects in one appearance"));
            }
            if !self.changed.contains(&number) || !self.belongs_to(number, &owners) || !seen.insert(number) {
                continue;
            }
            owners.insert(number);
            self.explained.insert(number);
            let object = self.load(number, view)?.object;
            object.references(b"", &mut |_, id| roots.push(id.number));
        }
        Ok(())
    }

    /// Whether the value of a field is a signature dictionary that state `a` did not have.
    fn is_new_signature(&mut self, field: &Field) -> Result<bool, PdfError> {
        let holder = match field.value {
            FieldValue::None => return Ok(false),
            FieldValue::Direct => field.id,
            FieldValue::Reference(id) if self.was_there(id.number) => return Ok(false),
            FieldValue::Reference(id) => id,
        };
        let object = self.load(holder.number, self.b)?.object;
        let dict = object.dict();
        let value = match field.value {
            FieldValue::Direct => dict.and_then(|dict| dict.value("V").dict()),
            _ => dict,
        };
        Ok(value.is_some_and(is_signature))
    }

    fn purpose(&mut self, field: &Field) -> Result<SignaturePurpose, PdfError> {
        let FieldValue::Reference(id) = field.value else { return Ok(SignaturePurpose::Signature) };
        let object = self.load(id.number, self.b)?.object;
        let stamp = object.dict().is_some_and(|dict| dict.is("Type", "DocTimeStamp"));
        Ok(if stamp { SignaturePurpose::DocTimeStamp } else { SignaturePurpose::Signature })
    }

    /// Judges an added field; true where it may show on pages.
    fn new_field(&mut self, field: &Field, name_taken: bool) -> Result<bool, PdfError> {
        let number = field.id.number;
        let mut parts = vec![number];
        parts.extend(field.widgets.iter().map(|widget| widget.number));
        if !field.is_signature || parts.iter().any(|part| self.was_there(*part)) {
            self.bad(Some(number), Changed::Field, &field.name);
            return Ok(false);
        }
        if name_taken {
            self.bad(Some(number), Changed::Signature, &field.name);
            return Ok(false);
        }
        let mut visible = false;
        for part in &parts {
            let object = self.load(*part, self.b)?.object;
            let Some(dict) = object.dict() else { continue };
            // An action on a signature's widget is not part of signing.
            if ["A", "AA"].iter().any(|key| *dict.value(key) != Object::Null) {
                self.bad(Some(number), Changed::Field, &field.name);
                return Ok(false);
            }
            let rect = self.document.rectangle(dict.value("Rect"), self.b)?;
            let has_area = rect.is_some_and(|[x0, y0, x1, y1]| x0 < x1 && y0 < y1);
            visible |= has_area && *dict.value("AP") != Object::Null;
        }
        if field.value == FieldValue::None {
            if visible {
                self.bad(Some(number), Changed::Annotation, &field.name);
                return Ok(false);
            }
            self.steps.push(Step::Permitted(Permitted::EmptySignatureField { field: field.name.clone() }));
            return Ok(true);
        }
        if !self.is_new_signature(field)? {
            self.bad(Some(number), Changed::Signature, &field.name);
            return Ok(false);
        }
        let name = field.name.clone();
        let permitted = match self.purpose(field)? {
            SignaturePurpose::DocTimeStamp => Permitted::DocTimeStamp { field: name },
            SignaturePurpose::Signature => Permitted::Signature { field: name },
        };
        self.steps.push(Step::Permitted(permitted));
        Ok(true)
    }

    /// `/DSS` and all below it that is only validation data.
    fn validation_data(&mut self) -> Result<(), PdfError> {
        let Some(root) = self.document.trailer(self.b).value("Root").reference() else { return Ok(()) };
        let (old, new) = (self.document.catalog(self.a)?, self.document.catalog(self.b)?);
        let mut touched = old.value("DSS") != new.value("DSS");
        // Objects that may only be reached through the catalog's entry, by the old state.
        let mut owners = HashSet::from([root.number]);
        let nodes = self.document.validation_data_nodes(self.a)?;
        for _ in 0..3 {
            for node in &nodes {
                let own = self.belongs_to(*node, &owners) && Self::only_under(&old, "DSS", *node);
                if self.was_there(*node) && own {
                    owners.insert(*node);
                }
            }
        }
        owners.remove(&root.number);
        for node in nodes.iter().filter(|node| owners.contains(node)) {
            if self.changed.contains(node) {
                touched = true;
                self.explained.insert(*node);
            }
        }
        if touched {
            self.steps.push(Step::Permitted(Permitted::ValidationData));
        }
        Ok(())
    }

    /// Everything that is not explained yet.
    fn rest(&mut self, widgets: &HashSet<u32>, before: &Form, after: &Form) -> Result<(), PdfError> {
        let new_fields: HashSet<u32> = after.fields.iter().map(|field| field.id.number).collect();
        for number in self.changed.clone() {
            if !self.was_there(number) {
                let referrer = self.live_referrers(number).next();
                if let Some(referrer) = referrer {
                    let place = self.key_in(referrer, number)?;
                    self.bad(Some(number), Changed::Filled, &place);
                }
                continue;
            }
            if self.explained.contains(&number) {
                continue;
            }
            let (old, new) = (self.load(number, self.a)?, self.load(number, self.b)?);
            let fine = match (&old.object, &new.object) {
                (Object::Dictionary(old), Object::Dictionary(new)) if old.is("Type", "Page") && new.is("Type", "Page") => {
                    differing(old, new).iter().all(|key| key == "Annots")
                        && self.grew(old.value("Annots"), new.value("Annots"), widgets)?
                }
                (Object::Dictionary(old), Object::Dictionary(new))
                    if before.groups.contains(&number) && after.groups.contains(&number) =>
                {
                    differing(old, new).iter().all(|key| key == "Kids")
                        && self.grew(old.value("Kids"), new.value("Kids"), &new_fields)?
                }
                (Object::Array(_), Object::Array(_)) => {
                    self.is_list_of_annotations(number)? && {
                        let (old, new) = (old.object.clone(), new.object.clone());
                        self.grew(&old, &new, widgets)?
                    }
                }
                // The cross-reference stream of an older revision; its object is read by nobody but through startxref.
                (Object::Dictionary(old), _) => old.is("Type", "XRef") && self.live_referrers(number).next().is_none(),
                _ => false,
            };
            if !fine {
                let (what, place) = self.name_change(number, &old.object)?;
                self.bad(Some(number), what, &place);
            }
        }
        Ok(())
    }

    /// Whether a list kept its elements in order and gained only references to `allowed`.
    fn grew(&mut self, old: &Object, new: &Object, allowed: &HashSet<u32>) -> Result<bool, PdfError> {
        let old = self.document.resolve_array(old, self.a)?;
        let new = self.document.resolve_array(new, self.b)?;
        let mut left = old.iter().peekable();
        for element in &new {
            if left.peek() == Some(&element) {
                left.next();
            } else if !element.reference().is_some_and(|id| allowed.contains(&id.number)) {
                return Ok(false);
            }
        }
        Ok(left.next().is_none())
    }

    /// Whether `number` is used as `/Annots` of pages and as nothing else.
    fn is_list_of_annotations(&mut self, number: u32) -> Result<bool, PdfError> {
        let referrers: Vec<u32> = self.live_referrers(number).collect();
        for referrer in &referrers {
            let object = self.load(*referrer, self.a)?.object;
            let Some(dict) = object.dict().filter(|dict| dict.is("Type", "Page")) else { return Ok(false) };
            let mut elsewhere = false;
            object.references(b"", &mut |key, id| elsewhere |= id.number == number && key != b"Annots");
            if elsewhere || dict.value("Annots").reference().map(|id| id.number) != Some(number) {
                return Ok(false);
            }
        }
        Ok(!referrers.is_empty())
    }

    /// Under which key `referrer` refers to `number`, for people.
    fn key_in(&mut self, referrer: u32, number: u32) -> Result<String, PdfError> {
        let object = self.load(referrer, self.a)?.object;
        let mut found = None;
        object.references(b"", &mut |key, id| {
            if id.number == number && found.is_none() {
                found = Some(name_text(key));
            }
        });
        Ok(format!("{}/{}", self.id(referrer), found.unwrap_or_default()))
    }

    /// What kind of thing changed, by its own type or by who refers to it.
    fn name_change(&mut self, number: u32, old: &Object) -> Result<(Changed, String), PdfError> {
        let referrer = self.live_referrers(number).next();
        let place = match referrer {
            Some(referrer) => self.key_in(referrer, number)?,
            None => String::new(),
        };
        if let Some(dict) = old.dict() {
            let kind = match dict.value("Type").name() {
                Some(b"Page" | b"Pages") => Some(Changed::Page),
                Some(b"Annot") => Some(Changed::Annotation),
                Some(b"Sig" | b"DocTimeStamp") => Some(Changed::Signature),
                Some(b"Catalog") => Some(Changed::Catalog),
                _ if *dict.value("Rect") != Object::Null => Some(Changed::Annotation),
                _ if *dict.value("FT") != Object::Null => Some(Changed::Field),
                _ => None,
            };
            if let Some(kind) = kind {
                return Ok((kind, place));
            }
        }
        let Some(referrer) = referrer else { return Ok((Changed::Unknown, place)) };
        let by_page = self.load(referrer, self.a)?.object.dict().is_some_and(|d| d.is("Type", "Page") || d.is("Type", "Pages"));
        let what = match place.rsplit('/').next() {
            Some("Annots") => Changed::Annotation,
            Some("AP" | "N" | "D" | "R") => Changed::Annotation,
            _ if by_page => Changed::Page,
            Some("Contents" | "Resources" | "Font" | "XObject" | "Kids") => Changed::Page,
            _ => Changed::Unknown,
        };
        Ok((what, place))
    }
}

/// Keys whose values differ; `null` and absent are the same.
fn differing(old: &Dict, new: &Dict) -> BTreeSet<String> {
    old.keys().chain(new.keys()).map(name_text).filter(|key| old.value(key) != new.value(key)).collect()
}
