//! Signature dictionaries, their byte ranges and what the ranges hold (ISO 32000-1 12.8, shared `pdf-signature.md` §4).

use std::{
    collections::{HashMap, HashSet},
    io::{Read, Seek},
};

use crate::{asn1::Tlv, sm::Sm3Digest, stamp::RectMm};

use super::{
    Ambiguity, Change, Changed, Dict, Document, MAX_SIGNATURES, Object, ObjectId, PdfError, Permitted, Tolerance,
    digest::{self, Wanted},
    document::Located,
    form::{Field, FieldValue},
    object::{hex_digit, is_space, name_text, text},
    xref::{self, Place, View},
};

/// Most places where signatures show: a straddle seal has one on each page.
const MAX_WIDGETS: usize = 300_000;

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
    /// It grants usage rights to Adobe Reader (`/Perms /UR3`) and vouches for nothing else.
    UsageRights,
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
    /// The revision they end at has no such signature dictionary: a later one brought it in.
    #[error("the signature is not part of the revision it signs")]
    NotInRevision,
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
    /// From the top left corner of the page as shown.
    pub rect: RectMm,
}

/// A signature dictionary where it stands.
struct Found {
    id: ObjectId,
    section: View,
    /// Whether the dictionary is the `/V` inside a field and no object of its own.
    inside_field: bool,
    located: Located,
}

/// A field of some revision whose `/V` refers to `value`, or holds it (`value` is then the field itself).
struct Holder {
    field: ObjectId,
    section: View,
    value: u32,
}

/// What one pass over all objects of all revisions finds.
pub(super) struct Inventory {
    signatures: Vec<Found>,
    holders: Vec<Holder>,
}

impl<R: Read + Seek> Document<R> {
    /// Every signature dictionary of every revision, in the order in which they were signed. Reads all objects once, and all bytes once.
    pub fn signatures(&mut self) -> Result<Vec<PdfSignature>, PdfError> {
        let inventory = self.inventory()?;
        let fields = self.form(self.newest())?.fields;
        let shown = self.shown(&fields);
        let mut signatures = Vec::with_capacity(inventory.signatures.len());
        let mut views = Vec::with_capacity(inventory.signatures.len());
        for found in &inventory.signatures {
            let (signature, view) = self.describe(found, &inventory.holders, &fields, &shown)?;
            signatures.push(signature);
            views.push(view);
        }
        self.digest(&mut signatures)?;
        self.place_widgets(&mut signatures, &fields)?;
        self.compare_revisions(&mut signatures, &views)?;
        signatures.sort_by_key(|s| (s.byte_range.map_or(u64::MAX, |range| range.end), s.object));
        Ok(signatures)
    }

    /// Indices of all entries in use, in the order of the file: reading them so is one sweep.
    pub(super) fn file_order(&self) -> Vec<u32> {
        let entries = self.xref.entries();
        let mut order: Vec<u32> = (0..entries.len() as u32).filter(|i| entries[*i as usize].place() != Place::Free).collect();
        order.sort_unstable_by_key(|i| {
            let entry = &entries[*i as usize];
            match entry.place() {
                Place::In { stream, index } => (true, u64::from(stream), entry.section, index),
                Place::At(offset) => (false, offset, entry.section, 0),
                Place::Free => (false, 0, 0, 0),
            }
        });
        order
    }

    pub(super) fn inventory(&mut self) -> Result<Inventory, PdfError> {
        let mut inventory = Inventory { signatures: Vec::new(), holders: Vec::new() };
        for i in self.file_order() {
            let entry = self.xref.entries()[i as usize];
            let id = ObjectId { number: entry.number, generation: entry.generation };
            let located = self.load_place(id, entry.place(), entry.section)?;
            let end = self.end_of(id, &located, entry.section)?;
            let section_end = &mut self.ends[usize::from(entry.section)];
            *section_end = end.max(*section_end);
            let Some(dict) = located.object.dict() else { continue };
            let value = dict.value("V");
            let holds = value.dict().is_some_and(is_signature);
            let may_hold = dict.value("FT") == &Object::Null || dict.is("FT", "Sig");
            let held = if holds { Some(id.number) } else { value.reference().filter(|_| may_hold).map(|v| v.number) };
            inventory.holders.extend(held.map(|value| Holder { field: id, section: entry.section, value }));
            if holds || is_signature(dict) {
                let found = Found { id, section: entry.section, inside_field: holds, located };
                inventory.signatures.push(found);
            }
            if inventory.signatures.len() > MAX_SIGNATURES || inventory.holders.len() > 20 * MAX_SIGNATURES {
                return Err(PdfError::Limit("signatures"));
            }
        }
        Ok(inventory)
    }

    /// Object numbers of the signature dictionaries that the current form shows. Two fields with one value, or two signature fields
    /// of one name, are ambiguous: readers pick either.
    fn shown(&mut self, fields: &[Field]) -> HashMap<u32, usize> {
        let mut shown = HashMap::new();
        let mut names = HashSet::new();
        for (i, field) in fields.iter().enumerate().filter(|(_, field)| field.is_signature) {
            let value = match field.value {
                FieldValue::None => None,
                FieldValue::Direct => Some(field.id.number),
                FieldValue::Reference(id) => Some(id.number),
            };
            let value_twice = value.is_some_and(|value| shown.insert(value, i).is_some());
            if value_twice || !names.insert(field.name.as_str()) {
                self.note(Ambiguity::FieldTwice(field.name.clone()));
            }
        }
        shown
    }

    fn describe(
        &mut self,
        found: &Found,
        holders: &[Holder],
        fields: &[Field],
        shown: &HashMap<u32, usize>,
    ) -> Result<(PdfSignature, Option<View>), PdfError> {
        let object = if found.inside_field {
            found.located.object.dict().map_or(&Object::Null, |field| field.value("V"))
        } else {
            &found.located.object
        };
        let empty = Dict::default();
        let dict = object.dict().unwrap_or(&empty);
        let range = self.byte_range(found, dict)?;
        let (byte_range, view) = match range {
            Ok((range, view)) => (Ok(range), Some(view)),
            Err(fault) => (Err(fault), None),
        };
        // The dictionary's object may have been given to something else since.
        let current = self.xref.lookup(found.id.number, self.newest()).map(|entry| entry.section) == Some(found.section);
        let holder = holders.iter().rev().find(|h| h.value == found.id.number && h.section >= found.section);
        let (field, state) = match (shown.get(&found.id.number), holder) {
            (Some(field), _) if current => (Some(fields[*field].name.clone()), FieldState::Shown),
            (_, Some(holder)) => (Some(self.field_name(holder.field, holder.section)?), FieldState::Removed),
            (_, None) if self.is_usage_rights(found.id)? => (None, FieldState::UsageRights),
            (_, None) => (None, FieldState::Orphan),
        };
        let bytes = dict.value("Contents").string().unwrap_or_default();
        let (contents, trailing) = match Tlv::read(bytes) {
            Ok((first, rest)) => (first.raw, &rest[..rest.iter().rposition(|b| *b != 0).map_or(0, |last| last + 1)]),
            Err(_) => (bytes, [].as_slice()),
        };
        let encrypted = self.encryption().is_some();
        let plain = |key| dict.value(key).string().filter(|_| !encrypted).map(text);
        let m = dict.value("M").string().map(<[u8]>::to_vec);
        let (doc_mdp, lock) = self.transforms(dict, found.section)?;
        let signature = PdfSignature {
            object: found.id,
            field,
            state,
            purpose: if dict.is("Type", "DocTimeStamp") || dict.is("SubFilter", "ETSI.RFC3161") {
                SignaturePurpose::DocTimeStamp
            } else {
                SignaturePurpose::Signature
            },
            filter: dict.value("Filter").name().map(name_text),
            sub_filter: dict.value("SubFilter").name().map(name_text),
            byte_range,
            digests: None,
            contents: contents.to_vec(),
            trailing: trailing.to_vec(),
            revision: view.and_then(|view| self.revisions.iter().position(|(v, _)| *v == view)),
            permitted: Vec::new(),
            changes: Vec::new(),
            claimed_time: plain("M").and_then(|m| date(&m)),
            m,
            name: plain("Name"),
            reason: plain("Reason"),
            location: plain("Location"),
            doc_mdp,
            lock,
            widgets: Vec::new(),
        };
        Ok((signature, view))
    }

    fn is_usage_rights(&mut self, id: ObjectId) -> Result<bool, PdfError> {
        let catalog = self.catalog(self.newest())?;
        let permissions = self.resolve_dict(catalog.value("Perms"), self.newest())?;
        Ok(["UR", "UR3"].iter().any(|key| permissions.value(key).reference() == Some(id)))
    }

    /// Checks `/ByteRange` and finds the revision it signs.
    fn byte_range(&mut self, found: &Found, dict: &Dict) -> Result<Result<(ByteRange, View), ByteRangeFault>, PdfError> {
        let [first_end, second_start, end] = match numbers(dict.value("ByteRange"), self.file_len()) {
            Ok(numbers) => numbers,
            Err(fault) => return Ok(Err(fault)),
        };
        if dict.keys().filter(|key| *key == b"Contents").count() != 1 || dict.value("Contents").string().is_none() {
            return Ok(Err(ByteRangeFault::Contents));
        }
        if !found.located.contents.contains(&(first_end, second_start)) {
            return Ok(Err(ByteRangeFault::Gap));
        }
        // With several `/Contents` inside one object the gap must be this dictionary's.
        let gap = self.source.at(first_end, (second_start - first_end) as usize)?;
        if !is_hex_of(gap, dict.value("Contents").string().unwrap_or_default()) {
            return Ok(Err(ByteRangeFault::Gap));
        }
        let Some((start, eof)) = xref::startxref_before(&mut self.source, end)? else {
            return Ok(Err(ByteRangeFault::EndsInside));
        };
        if !self.is_white_space(eof, end)? {
            return Ok(Err(ByteRangeFault::EndsInside));
        }
        let Some(view) = self.xref.sections.iter().position(|section| section.offset == start) else {
            return Ok(Err(ByteRangeFault::OutsideChain));
        };
        if view < usize::from(found.section) {
            return Ok(Err(ByteRangeFault::NotInRevision));
        }
        let whole_file = self.is_white_space(end, self.file_len())?;
        if whole_file && end < self.file_len() && !self.xref.tolerances.contains(&Tolerance::TrailingWhiteSpace) {
            self.xref.tolerances.push(Tolerance::TrailingWhiteSpace);
        }
        Ok(Ok((ByteRange { first_end, second_start, end, whole_file }, view as View)))
    }

    /// Whether at most 1 024 bytes of white space are all there is from `start` to `end`.
    pub(super) fn is_white_space(&mut self, start: u64, end: u64) -> Result<bool, PdfError> {
        match end.checked_sub(start) {
            Some(len) if len <= 1024 => Ok(self.source.at(start, len as usize)?.iter().all(|b| is_space(*b))),
            _ => Ok(false),
        }
    }

    /// DocMDP and FieldMDP of `/Reference` (ISO 32000-1 12.8.2), as of `view`.
    pub(super) fn transforms(&mut self, dict: &Dict, view: View) -> Result<(Option<DocMdp>, Option<FieldLock>), PdfError> {
        let (mut doc_mdp, mut lock) = (None, None);
        for reference in self.resolve_array(dict.value("Reference"), view)?.iter().take(16) {
            let reference = self.resolve_dict(reference, view)?;
            let parameters = self.resolve_dict(reference.value("TransformParams"), view)?;
            let permission = parameters.value("P");
            if reference.is("TransformMethod", "DocMDP") {
                doc_mdp = Some(doc_mdp_of(permission).unwrap_or(DocMdp::FormFilling));
            } else if reference.is("TransformMethod", "FieldMDP") {
                lock = self.lock(&parameters, view)?;
                // A lock may forbid all changes, too (ISO 32000-2 table 258).
                doc_mdp = doc_mdp_of(permission).or(doc_mdp);
            }
        }
        Ok((doc_mdp, lock))
    }

    /// A `/Lock` dictionary or FieldMDP parameters. An action that is none of the three locks all.
    fn lock(&mut self, parameters: &Dict, view: View) -> Result<Option<FieldLock>, PdfError> {
        if parameters.value("Action") == &Object::Null {
            return Ok(None);
        }
        let names = self.resolve_array(parameters.value("Fields"), view)?;
        let names = names.iter().filter_map(|name| name.string().map(text)).collect();
        Ok(Some(match parameters.value("Action").name() {
            Some(b"Include") => FieldLock::Include(names),
            Some(b"Exclude") => FieldLock::Exclude(names),
            _ => FieldLock::All,
        }))
    }

    fn digest(&mut self, signatures: &mut [PdfSignature]) -> Result<(), PdfError> {
        let wanted: Vec<_> =
            signatures.iter().enumerate().filter_map(|(i, s)| s.byte_range.ok().map(|range| (i, range, Wanted::by(s)))).collect();
        for (i, digests) in digest::digest(&mut self.source, &wanted)? {
            signatures[i].digests = Some(digests);
        }
        Ok(())
    }

    /// Finds the pages on which the widgets of shown signatures stand.
    fn place_widgets(&mut self, signatures: &mut [PdfSignature], fields: &[Field]) -> Result<(), PdfError> {
        let names: HashMap<&str, &Field> = fields.iter().map(|field| (field.name.as_str(), field)).collect();
        let mut owner = HashMap::new();
        for (i, signature) in signatures.iter().enumerate().filter(|(_, s)| s.state == FieldState::Shown) {
            if let Some(field) = signature.field.as_deref().and_then(|name| names.get(name)) {
                owner.extend(field.widgets.iter().map(|widget| (widget.number, i)));
            }
        }
        for (_, i, widget) in self.widgets(&owner)? {
            signatures[i].widgets.push(widget);
        }
        Ok(())
    }

    /// Where the widgets with these object numbers show, by the pages' own lists; each with what the map has for it.
    pub(super) fn widgets(&mut self, owner: &HashMap<u32, usize>) -> Result<Vec<(u32, usize, Widget)>, PdfError> {
        let view = self.newest();
        let mut widgets = Vec::new();
        if owner.is_empty() {
            return Ok(widgets);
        }
        for (index, page) in self.pages()?.into_iter().enumerate() {
            for annotation in self.annotations(page.object, view)? {
                let Some((number, i)) = annotation.reference().and_then(|id| Some((id.number, *owner.get(&id.number)?))) else {
                    continue;
                };
                let dict = self.resolve_dict(&annotation, view)?;
                if let Some(rect) = self.rectangle(dict.value("Rect"), view)? {
                    if widgets.len() == MAX_WIDGETS {
                        return Err(PdfError::Limit("signature widgets"));
                    }
                    widgets.push((number, i, Widget { page: index, rect: page.shown(rect) }));
                }
            }
        }
        Ok(widgets)
    }

    /// The elements of a page's `/Annots`.
    pub(super) fn annotations(&mut self, page: ObjectId, view: View) -> Result<Vec<Object>, PdfError> {
        let page = self.resolve_dict(&Object::Reference(page), view)?;
        self.resolve_array(page.value("Annots"), view)
    }

    fn compare_revisions(&mut self, signatures: &mut [PdfSignature], views: &[Option<View>]) -> Result<(), PdfError> {
        let end = self.xref.end;
        if !self.is_white_space(end, self.file_len())? {
            for signature in signatures.iter_mut().filter(|s| s.byte_range.is_ok()) {
                signature.changes.push(Change { object: None, what: Changed::Bytes, place: String::new() });
            }
        }
        self.later_changes(signatures, views)
    }
}

/// Whether a dictionary is a signature dictionary (ISO 32000-1 table 252), also one that forgot its type.
pub(super) fn is_signature(dict: &Dict) -> bool {
    dict.is("Type", "Sig")
        || dict.is("Type", "DocTimeStamp")
        || (dict.value("ByteRange") != &Object::Null && dict.value("Contents") != &Object::Null)
}

/// `/P` of DocMDP.
fn doc_mdp_of(permission: &Object) -> Option<DocMdp> {
    match permission.integer() {
        Some(1) => Some(DocMdp::NoChanges),
        Some(2) => Some(DocMdp::FormFilling),
        Some(3) => Some(DocMdp::Annotations),
        // Anything else that stands there is taken as the strictest.
        Some(_) => Some(DocMdp::NoChanges),
        None => None,
    }
}

/// The rules of the four numbers: gives the ends of both ranges and the start of the second.
fn numbers(value: &Object, file_len: u64) -> Result<[u64; 3], ByteRangeFault> {
    let elements = match value {
        Object::Null => return Err(ByteRangeFault::Absent),
        other => other.array().ok_or(ByteRangeFault::NotIntegers)?,
    };
    let numbers: Vec<i64> = elements.iter().map(Object::integer).collect::<Option<_>>().ok_or(ByteRangeFault::NotIntegers)?;
    if numbers.iter().any(|n| *n < 0) {
        return Err(ByteRangeFault::Negative);
    }
    let [start, first_len, second_start, second_len] =
        <[i64; 4]>::try_from(numbers).map_err(|_| ByteRangeFault::NotTwoRanges)?.map(i64::unsigned_abs);
    if start != 0 {
        return Err(ByteRangeFault::StartsLate);
    }
    if second_start <= first_len {
        return Err(ByteRangeFault::Overlap);
    }
    match second_start.checked_add(second_len) {
        Some(end) if end <= file_len => Ok([first_len, second_start, end]),
        _ => Err(ByteRangeFault::BeyondFile),
    }
}

/// Whether `gap` is `<`, the hexadecimal digits of `bytes` without anything between, and `>`.
fn is_hex_of(gap: &[u8], bytes: &[u8]) -> bool {
    let [b'<', digits @ .., b'>'] = gap else { return false };
    digits.len().div_ceil(2) == bytes.len()
        && digits.iter().all(u8::is_ascii_hexdigit)
        && digits
            .chunks(2)
            .zip(bytes)
            .all(|(pair, byte)| hex_digit(pair[0]) << 4 | pair.get(1).map_or(0, |low| hex_digit(*low)) == *byte)
}

/// A PDF date (ISO 32000-1 7.9.4). Without a time zone it is taken as UTC.
fn date(text: &str) -> Option<jiff::Timestamp> {
    let digits = text.strip_prefix("D:").unwrap_or(text);
    let (local, zone) = digits.split_at(digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len()));
    let part = |at: usize, default: i8| match local.get(at..at + 2) {
        Some(two) => two.parse().ok(),
        None => Some(default),
    };
    let year: i16 = local.get(..4)?.parse().ok()?;
    let civil = jiff::civil::DateTime::new(year, part(4, 1)?, part(6, 1)?, part(8, 0)?, part(10, 0)?, part(12, 0)?.min(59), 0);
    let sign = match zone.chars().next() {
        None | Some('Z') => 0,
        Some('+') => 1,
        Some('-') => -1,
        Some(_) => return None,
    };
    let mut fields = zone.get(1..).unwrap_or_default().split('\'');
    let hours: i32 = fields.next().filter(|h| sign != 0 && !h.is_empty()).map_or(Some(0), |h| h.get(..2)?.parse().ok())?;
    let minutes: i32 = fields.next().filter(|m| sign != 0 && !m.is_empty()).map_or(Some(0), |m| m.parse().ok())?;
    let offset = jiff::tz::Offset::from_seconds(sign * (hours * 60 + minutes) * 60).ok()?;
    offset.to_timestamp(civil.ok()?).ok()
}
