//! What happened to a document after a signature.
//!
//! Two states of the file are compared object by object: what a later revision wrote anew is either accounted for by one of the few
//! things that signing does (a new signature field, its widget in a page's list, validation data), or it is a change. What is not
//! known is a change. That a page *looks* the same is not asked.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    io::{Read, Seek},
};

use super::{
    DocMdp, Document, FieldLock, MAX_LISTED, ObjectId, PdfError, PdfSignature,
    xref::{Place, View},
};
use comparison::Comparison;

mod comparison;

/// A later change that does not touch what was signed. Each names the thing it happened to.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Permitted {
    /// A further signature in this field (its own appearance included). It vouches for its appearance: while it does not pass,
    /// what it draws over the page is nobody's.
    Signature {
        /// Fully qualified field name.
        field: String,
    },
    /// A document time stamp in this field.
    DocTimeStamp {
        /// Fully qualified field name.
        field: String,
    },
    /// An empty, invisible signature field was added.
    EmptySignatureField {
        /// Fully qualified field name.
        field: String,
    },
    /// Validation data (`/DSS`).
    ValidationData,
    /// A field was filled in, as the DocMDP permission 2 or 3 of this signature allows.
    FormFilled {
        /// Fully qualified field name.
        field: String,
    },
    /// Modification date or producer in the document information, or the XMP metadata.
    Metadata,
}

/// A later change that a reader may see or that cannot be explained. One is enough for `CHANGED_AFTER_SIGNING`.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Change {
    /// The object changed, added or removed; `None` for the trailer and for bytes that belong to no object.
    pub object: Option<ObjectId>,
    /// What it is.
    pub what: Changed,
    /// Where in it: keys from the document's root, e.g. `/Root/Pages/Kids[0]/Contents`; a field's name; empty where unknown.
    pub place: String,
}

/// What a [`Change`] touched.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Changed {
    /// An annotation was added, removed or changed.
    Annotation,
    /// Bytes after the signed revision that belong to no revision.
    Bytes,
    /// The catalog, under a key that signing does not touch.
    Catalog,
    /// The certification signature allows no change of this kind (DocMDP P 1).
    Certified,
    /// A form field that is no signature field, or the form itself.
    Field,
    /// A reference that led nowhere when signed leads to something now.
    Filled,
    /// The document information (title, author…).
    Information,
    /// More changes than this reader compares.
    Limit,
    /// Page content, resources, size or order.
    Page,
    /// The signed revision's own objects lie beyond its end.
    Shadow,
    /// A signature was taken away or replaced, or its field or appearance changed.
    Signature,
    /// The trailer.
    Trailer,
    /// An object whose part in the document is not known here.
    Unknown,
}

/// What happened between two signed states, before it is judged by what a signature allows.
enum Step {
    Permitted(Permitted),
    /// A signature in a field that was there, empty: a lock may forbid it.
    Signed(String),
    /// A field of another kind got another value: only some certifications allow it.
    Filled(String),
    Bad(Change),
}

/// Most changed objects between two signed states that are compared; a signer changes a dozen.
const MAX_CHANGED: usize = 100_000;
/// Most references to changed objects that are kept, 12 bytes each.
const MAX_REFERRERS: usize = 1_000_000;
/// Most objects in validation data or in one appearance.
const MAX_CLOSURE: usize = 50_000;

/// Keys that signing an empty field may change in the field or its widget.
const SIGNING_KEYS: &[&str] = &["AP", "AS", "DA", "F", "M", "MK", "NM", "P", "V"];
/// Keys that filling may change.
const FILLING_KEYS: &[&str] = &["AP", "AS", "I", "M", "RV", "TI", "V"];

/// Which live object refers to which changed one, with the section that gives the referrer.
type Referrers = HashMap<u32, Vec<(u32, View)>>;

impl<R: Read + Seek> Document<R> {
    /// Fills `permitted` and `changes` of each signature, whose signed state is `views`.
    ///
    /// Neighbouring signed states are compared, and a signature gets what happened in all steps after it. So a change that a later
    /// revision takes back is reported all the same.
    pub(super) fn later_changes(&mut self, signatures: &mut [PdfSignature], views: &[Option<View>]) -> Result<(), PdfError> {
        let mut stops: Vec<View> = views.iter().flatten().copied().collect();
        stops.push(self.newest());
        stops.sort_unstable();
        stops.dedup();
        self.shadows(signatures, views);
        let changed: Vec<_> = stops.windows(2).map(|pair| self.changed_numbers(pair[0], pair[1])).collect();
        let referrers = self.referrers(&stops, &changed)?;
        let mut before = self.form(stops[0])?;
        for (pair, changed) in stops.windows(2).zip(changed) {
            let after = self.form(pair[1])?;
            let steps = Comparison::new(self, pair[0], pair[1], changed, &referrers).steps(&before, &after)?;
            for (signature, _) in signatures.iter_mut().zip(views).filter(|(_, v)| v.is_some_and(|v| v <= pair[0])) {
                steps.iter().for_each(|step| signature.judge(step));
            }
            before = after;
        }
        // A certification's permission also speaks for the approvals after it, about filling only.
        let filling = signatures.iter().filter_map(|s| s.doc_mdp).min().is_some_and(|p| p >= DocMdp::FormFilling);
        for signature in signatures.iter_mut() {
            signature.settle_filling(filling);
        }
        Ok(())
    }

    /// An object of a signed state that lies or reaches beyond the signed bytes was put there afterwards.
    fn shadows(&self, signatures: &mut [PdfSignature], views: &[Option<View>]) {
        // Where the objects of each section end; the section itself and its hybrid stream count, too.
        let mut last = self.ends.clone();
        for (last, section) in last.iter_mut().zip(&self.xref.sections) {
            let hybrid = section.trailer.value("XRefStm").integer().and_then(|n| n.try_into().ok()).unwrap_or(0);
            *last = section.offset.max(hybrid).max(*last);
        }
        for i in 1..last.len() {
            last[i] = last[i].max(last[i - 1]);
        }
        for (signature, view) in signatures.iter_mut().zip(views) {
            if let (Ok(range), Some(view)) = (signature.byte_range, view)
                && last[usize::from(*view)] > range.end
            {
                signature.change(Change { object: None, what: Changed::Shadow, place: String::new() });
            }
        }
    }

    /// Numbers whose place differs between two states.
    fn changed_numbers(&self, a: View, b: View) -> BTreeSet<u32> {
        let mut numbers: BTreeSet<u32> = self
            .xref
            .entries()
            .iter()
            .filter(|entry| a < entry.section && entry.section <= b)
            .map(|entry| entry.number)
            .filter(|number| self.xref.place(*number, a) != self.xref.place(*number, b))
            .collect();
        // Objects in an object stream change with it, whatever their own entries say.
        let streams: HashSet<u32> = numbers.iter().copied().collect();
        numbers.extend(self.xref.entries().iter().filter(|e| e.section <= a).filter_map(|entry| match entry.place() {
            Place::In { stream, .. } if streams.contains(&stream) && self.xref.place(stream, a) != Place::Free => {
                Some(entry.number)
            }
            _ => None,
        }));
        numbers
    }

    /// One more pass over all objects, only where something changed: who refers to the changed objects.
    fn referrers(&mut self, stops: &[View], changed: &[BTreeSet<u32>]) -> Result<Referrers, PdfError> {
        let mut targets: HashMap<u32, bool> = changed.iter().flatten().map(|number| (*number, false)).collect();
        let mut referrers = Referrers::new();
        if targets.is_empty() {
            return Ok(referrers);
        }
        for view in stops {
            for number in self.validation_data_nodes(*view)? {
                targets.insert(number, true);
            }
        }
        let trailers: HashSet<u64> = self.xref.sections.iter().map(|section| section.offset).collect();
        let mut kept = 0;
        for i in self.file_order() {
            let entry = self.xref.entries()[i as usize];
            // What a cross-reference stream refers to, it does as a trailer.
            if matches!(entry.place(), Place::At(offset) if trailers.contains(&offset)) {
                continue;
            }
            let id = ObjectId { number: entry.number, generation: entry.generation };
            let object = self.load_place(id, entry.place(), entry.section)?.object;
            object.references(b"", &mut |_, target| {
                // Only a change after the referrer was written can be a change to it.
                let matters = match targets.get(&target.number) {
                    Some(true) => true,
                    Some(false) => self.xref.group(target.number).last().is_some_and(|e| e.section > entry.section),
                    None => false,
                };
                if matters && kept < MAX_REFERRERS {
                    kept += 1;
                    referrers.entry(target.number).or_default().push((entry.number, entry.section));
                }
            });
            if kept == MAX_REFERRERS {
                return Err(PdfError::Limit("references to changed objects"));
            }
        }
        Ok(referrers)
    }

    /// Numbers of the `/DSS` dictionary and what it and its `/VRI` refer to.
    fn validation_data_nodes(&mut self, view: View) -> Result<Vec<u32>, PdfError> {
        let catalog = self.catalog(view)?;
        let dss = self.resolve_dict(catalog.value("DSS"), view)?;
        let vri = self.resolve_dict(dss.value("VRI"), view)?;
        let mut numbers: Vec<u32> = catalog.value("DSS").reference().map(|id| id.number).into_iter().collect();
        for (_, value) in dss.0.iter().chain(&vri.0) {
            numbers.extend(value.reference().map(|id| id.number));
        }
        Ok(numbers)
    }

    /// Whether two streams' raw bytes are equal.
    fn same_stream(&mut self, a: (u64, u64), b: (u64, u64)) -> Result<bool, PdfError> {
        if a.1 != b.1 {
            return Ok(false);
        }
        let mut at = 0;
        while at < a.1 {
            let want = usize::try_from(a.1 - at).unwrap_or(CHUNK).min(CHUNK);
            let first = self.source.at(a.0 + at, want)?.to_vec();
            if self.source.at(b.0 + at, want)? != first {
                return Ok(false);
            }
            at += want as u64;
        }
        Ok(true)
    }
}

/// Bytes compared at once.
const CHUNK: usize = 16 << 10;

impl PdfSignature {
    fn judge(&mut self, step: &Step) {
        let certified = |field: &str| Change { object: None, what: Changed::Certified, place: field.to_owned() };
        let closed = self.doc_mdp == Some(DocMdp::NoChanges);
        match step {
            Step::Bad(change) => self.change(change.clone()),
            Step::Signed(field) if closed || self.lock.as_ref().is_some_and(|lock| lock.covers(field)) => {
                self.change(certified(field));
            }
            Step::Signed(field) => self.permit(Permitted::Signature { field: field.clone() }),
            Step::Filled(field) if self.lock.as_ref().is_some_and(|lock| lock.covers(field)) => {
                self.change(Change { object: None, what: Changed::Field, place: field.clone() });
            }
            Step::Filled(field) => self.permit(Permitted::FormFilled { field: field.clone() }),
            Step::Permitted(Permitted::Signature { field } | Permitted::EmptySignatureField { field }) if closed => {
                self.change(certified(field));
            }
            Step::Permitted(permitted) => self.permit(permitted.clone()),
        }
    }

    /// Turns filled fields into changes where no certification allows filling.
    fn settle_filling(&mut self, allowed: bool) {
        if allowed {
            return;
        }
        let (filled, permitted) =
            std::mem::take(&mut self.permitted).into_iter().partition(|p| matches!(p, Permitted::FormFilled { .. }));
        self.permitted = permitted;
        let filled: Vec<Permitted> = filled;
        for permitted in filled {
            if let Permitted::FormFilled { field } = permitted {
                self.change(Change { object: None, what: Changed::Field, place: field });
            }
        }
    }

    fn permit(&mut self, permitted: Permitted) {
        if self.permitted.len() < MAX_LISTED && !self.permitted.contains(&permitted) {
            self.permitted.push(permitted);
        }
    }

    fn change(&mut self, change: Change) {
        if self.changes.len() < MAX_LISTED && !self.changes.contains(&change) {
            self.changes.push(change);
        }
    }
}

impl FieldLock {
    /// Whether the field of this fully qualified name is locked.
    pub fn covers(&self, field: &str) -> bool {
        let among = |names: &[String]| {
            names.iter().any(|name| field == name || field.strip_prefix(name.as_str()).is_some_and(|r| r.starts_with('.')))
        };
        match self {
            Self::All => true,
            Self::Include(names) => among(names),
            Self::Exclude(names) => !among(names),
        }
    }
}
