//! The interactive form (ISO 32000-1 12.7): its fields, their names, kinds and widgets.

use std::{
    collections::HashSet,
    io::{Read, Seek},
    sync::Arc,
};

use super::{
    Document, MAX_DEPTH, Object, ObjectId, PdfError,
    object::text,
    xref::{Place, View},
};

/// Most fields and widgets in one form; government forms have a few thousand.
const MAX_FIELDS: usize = 100_000;

/// A terminal field.
#[derive(Clone, Debug)]
pub(super) struct Field {
    pub id: ObjectId,
    /// `/T` of the field and its parents, joined by dots.
    pub name: String,
    pub is_signature: bool,
    /// What `/V` is.
    pub value: FieldValue,
    /// Itself where field and widget are one dictionary, else its kids.
    pub widgets: Vec<ObjectId>,
}

/// The value of a field, as far as signatures need to know.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum FieldValue {
    None,
    Direct,
    Reference(ObjectId),
}

impl From<&Object> for FieldValue {
    fn from(value: &Object) -> Self {
        match value {
            Object::Null => Self::None,
            Object::Reference(id) => Self::Reference(*id),
            _ => Self::Direct,
        }
    }
}

/// The form of one revision.
#[derive(Clone, Debug, Default)]
pub(super) struct Form {
    /// The terminal fields, in order.
    pub fields: Vec<Field>,
    /// Fields that only hold others.
    pub groups: HashSet<u32>,
}

impl Form {
    /// The first part of each field's name.
    pub fn top_names(&self) -> impl Iterator<Item = &str> {
        self.fields.iter().map(|field| field.name.split('.').next().unwrap_or_default())
    }
}

/// What a field's own dictionary says, kept because each revision's form is walked and few of its fields change.
#[derive(Clone, Debug)]
pub(super) struct Node {
    part: Option<String>,
    is_signature: Option<bool>,
    value: FieldValue,
    kids: Vec<ObjectId>,
}

impl<R: Read + Seek> Document<R> {
    fn node(&mut self, id: ObjectId, view: View) -> Result<Arc<Node>, PdfError> {
        let version = match self.xref.lookup(id.number, view) {
            Some(entry) if entry.generation == id.generation => (id.number, entry.section),
            _ => (id.number, View::MAX),
        };
        // Where an object in an object stream is depends on the view as well.
        let fixed = matches!(self.xref.place(id.number, view), Place::At(_));
        if let Some(node) = self.nodes.get(&version).filter(|_| fixed) {
            return Ok(Arc::clone(node));
        }
        let dict = self.resolve_dict(&Object::Reference(id), view)?;
        let kids = match dict.value("Kids") {
            // A list in an object of its own may change while the field does not.
            Object::Reference(_) => None,
            kids => Some(kids.array().unwrap_or_default().to_vec()),
        };
        let keep = fixed && kids.is_some();
        let kids = match kids {
            Some(kids) => kids,
            None => self.resolve_array(dict.value("Kids"), view)?,
        };
        let node = Arc::new(Node {
            part: dict.value("T").string().map(text),
            is_signature: dict.value("FT").name().map(|kind| kind == b"Sig"),
            value: dict.value("V").into(),
            kids: kids.iter().filter_map(Object::reference).collect(),
        });
        if keep && self.nodes.len() < MAX_FIELDS {
            self.nodes.insert(version, Arc::clone(&node));
        }
        Ok(node)
    }

    /// The form as of `view`. A field that is no indirect object is passed over: none can be signed.
    pub(super) fn form(&mut self, view: View) -> Result<Form, PdfError> {
        let catalog = self.catalog(view)?;
        let form = self.resolve_dict(catalog.value("AcroForm"), view)?;
        let roots = self.resolve_array(form.value("Fields"), view)?;
        let mut form = Form::default();
        let mut seen = HashSet::new();
        let start = Above { name: String::new(), is_signature: false, value: FieldValue::None };
        let mut stack: Vec<_> = roots.iter().rev().filter_map(Object::reference).map(|root| (root, 0, start.clone())).collect();
        while let Some((id, depth, above)) = stack.pop() {
            if depth > MAX_DEPTH || !seen.insert(id.number) {
                continue;
            }
            if seen.len() > MAX_FIELDS || stack.len() > MAX_FIELDS {
                return Err(PdfError::Limit("form fields"));
            }
            let node = self.node(id, view)?;
            let here = above.with(&node);
            let mut widgets = Vec::new();
            let mut deeper = Vec::new();
            for kid in &node.kids {
                match self.node(*kid, view)?.part {
                    Some(_) => deeper.push(*kid),
                    None => widgets.push(*kid),
                }
            }
            if deeper.is_empty() {
                if widgets.is_empty() {
                    widgets.push(id);
                }
                let Above { name, is_signature, value } = here;
                form.fields.push(Field { id, name, is_signature, value, widgets });
            } else {
                form.groups.insert(id.number);
                stack.extend(deeper.into_iter().rev().map(|kid| (kid, depth + 1, here.clone())));
            }
        }
        Ok(form)
    }

    /// The fully qualified name of the field `id` as of `view`, by its parents.
    pub(super) fn field_name(&mut self, id: ObjectId, view: View) -> Result<String, PdfError> {
        let mut parts = Vec::new();
        let mut node = Object::Reference(id);
        for _ in 0..MAX_DEPTH {
            let dict = self.resolve_dict(&node, view)?;
            parts.extend(dict.value("T").string().map(text));
            node = dict.value("Parent").clone();
            if node.reference().is_none() {
                break;
            }
        }
        parts.reverse();
        Ok(parts.join("."))
    }
}

/// What a field inherits.
#[derive(Clone)]
struct Above {
    name: String,
    is_signature: bool,
    value: FieldValue,
}

impl Above {
    fn with(&self, node: &Node) -> Self {
        let name = match &node.part {
            // The depth is bounded; a name of megabytes is cut.
            Some(part) if self.name.is_empty() => part.chars().take(1000).collect(),
            Some(part) => format!("{}.{part}", self.name).chars().take(1000).collect(),
            None => self.name.clone(),
        };
        let value = if node.value == FieldValue::None { self.value } else { node.value };
        Self { name, is_signature: node.is_signature.unwrap_or(self.is_signature), value }
    }
}
