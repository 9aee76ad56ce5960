//! An open document: objects as of a section, streams, page tree.

use std::{
    collections::{HashMap, HashSet},
    io::{Read, Seek},
    sync::Arc,
};

use super::{
    Ambiguity, Dict, Encryption, MAX_DEPTH, MAX_LISTED, MAX_OBJECT_STREAM, MAX_PAGES, Object, ObjectId, Page, PdfError, Revision,
    SignatureOptions, Tolerance, filter,
    form::{FieldValue, Node},
    object::{ParseError, Parser, is_space, name_text},
    source::Source,
    xref::{self, Place, View, Xref},
};

/// Decoded object streams kept: a page tree's neighbours stand in the same one.
const CACHED_STREAMS: usize = 3;
/// Most objects in one object stream, 16 bytes each; writers put 100 to 200, some put all of a file into one.
const MAX_STREAM_OBJECTS: usize = 200_000;

/// A PDF file, read as it is needed.
pub struct Document<R> {
    pub(super) source: Source<R>,
    pub(super) xref: Xref,
    pub(super) revisions: Vec<(View, Revision)>,
    encryption: Option<Encryption>,
    streams: Vec<Arc<ObjectStream>>,
    /// Where the objects of each section end, as far as they have been read.
    pub(super) ends: Vec<u64>,
    pub(super) nodes: HashMap<(u32, View), Arc<Node>>,
    ambiguities: Vec<Ambiguity>,
    pub(super) options: SignatureOptions,
}

/// An object where it stands.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Located {
    pub object: Object,
    /// Offset of its end in the file; of a stream, of its dictionary's. 0 for an object in an object stream.
    pub end: u64,
    /// Offset of the keyword's end after `stream`, when it is a stream.
    pub stream: Option<u64>,
    /// File ranges of hexadecimal strings under `/Contents`; none for an object in an object stream.
    pub contents: Vec<(u64, u64)>,
}

impl Located {
    pub fn null() -> Self {
        Self { object: Object::Null, end: 0, stream: None, contents: Vec::new() }
    }
}

/// A decoded object stream.
struct ObjectStream {
    /// Offset of its object in the file, which names it among all revisions.
    offset: u64,
    /// Number and start of each object in `bytes`.
    index: Vec<(u32, usize)>,
    bytes: Vec<u8>,
}

impl<R: Read + Seek> Document<R> {
    /// Reads the header and the cross-reference chain, nothing else.
    pub fn open(source: R) -> Result<Self, PdfError> {
        let mut source = Source::new(source)?;
        if source.at(0, 5)? != b"%PDF-" {
            return Err(PdfError::NotPdf);
        }
        let mut xref = Xref::read(&mut source)?;
        let revisions = xref.revisions();
        let ambiguities = std::mem::take(&mut xref.ambiguities);
        let ends = vec![0; xref.sections.len()];
        let mut document = Self {
            source,
            xref,
            revisions,
            encryption: None,
            streams: Vec::new(),
            ends,
            nodes: HashMap::new(),
            ambiguities,
            options: SignatureOptions::default(),
        };
        document.encryption = document.read_encryption()?;
        Ok(document)
    }

    /// Length of the file in bytes.
    pub fn file_len(&self) -> u64 {
        self.source.len()
    }

    /// The states of the file, oldest first. The last is the current document.
    pub fn revisions(&self) -> Vec<Revision> {
        self.revisions.iter().map(|(_, revision)| *revision).collect()
    }

    /// How the file is encrypted, if it is.
    pub fn encryption(&self) -> Option<&Encryption> {
        self.encryption.as_ref()
    }

    /// Where readers disagree, of what has been read so far: complete after [`Document::signatures`]. At most [`MAX_LISTED`].
    pub fn ambiguities(&self) -> &[Ambiguity] {
        &self.ambiguities
    }

    /// What was tolerated.
    pub fn tolerances(&self) -> &[Tolerance] {
        &self.xref.tolerances
    }

    /// The source, to be read again from its start.
    pub fn into_inner(self) -> R {
        self.source.into_inner()
    }

    /// Indices, from 0, of the pages that show what looks like a seal and belongs to no signature: a stamp annotation, or a signature
    /// field without value that has an appearance. At most [`MAX_LISTED`].
    pub fn unsigned_pictures(&mut self) -> Result<Vec<usize>, PdfError> {
        let view = self.newest();
        let empty: HashSet<u32> = self
            .form(view)?
            .fields
            .iter()
            .filter(|field| field.is_signature && field.value == FieldValue::None)
            .flat_map(|field| field.widgets.iter().map(|widget| widget.number))
            .collect();
        let mut pages = Vec::new();
        for (index, page) in self.pages()?.into_iter().enumerate() {
            for annotation in self.annotations(page.object, view)? {
                let is_field = annotation.reference().is_some_and(|id| empty.contains(&id.number));
                let dict = self.resolve_dict(&annotation, view)?;
                if (is_field || dict.is("Subtype", "Stamp")) && *dict.value("AP") != Object::Null {
                    pages.push(index);
                    break;
                }
            }
            if pages.len() == MAX_LISTED {
                break;
            }
        }
        Ok(pages)
    }

    pub(super) fn newest(&self) -> View {
        self.xref.newest()
    }

    pub(super) fn trailer(&self, view: View) -> &Dict {
        &self.xref.sections[usize::from(view)].trailer
    }

    pub(super) fn note(&mut self, ambiguity: Ambiguity) {
        if self.ambiguities.len() < MAX_LISTED && !self.ambiguities.contains(&ambiguity) {
            self.ambiguities.push(ambiguity);
        }
    }

    fn read_encryption(&mut self) -> Result<Option<Encryption>, PdfError> {
        let view = self.newest();
        // A later trailer that forgets the key does not make the file plain.
        let entry = self.xref.sections.iter().rev().map(|s| s.trailer.value("Encrypt")).find(|v| **v != Object::Null);
        let Some(entry) = entry.cloned() else { return Ok(None) };
        let entry = self.resolve(&entry, view)?;
        let Some(dict) = entry.dict() else {
            return Err(PdfError::Syntax { what: "Encrypt is no dictionary", offset: 0 });
        };
        Ok(Some(Encryption {
            filter: dict.value("Filter").name().map(name_text).unwrap_or_default(),
            version: dict.value("V").integer().unwrap_or(0),
        }))
    }

    /// The object `id` as of `view`; `Null` where there is none. What does not parse is `Null` too, and noted as an ambiguity.
    pub(super) fn load(&mut self, id: ObjectId, view: View) -> Result<Located, PdfError> {
        match self.xref.lookup(id.number, view) {
            Some(entry) if entry.generation == id.generation => self.load_place(id, entry.place(), view),
            _ => Ok(Located::null()),
        }
    }

    /// The object at `place`, which the cross-reference gives for `id`.
    pub(super) fn load_place(&mut self, id: ObjectId, place: Place, view: View) -> Result<Located, PdfError> {
        let result = match place {
            Place::Free => return Ok(Located::null()),
            Place::At(offset) => self.load_at(id, offset),
            Place::In { stream, index } => self.load_in(id, stream, index as usize, view),
        };
        match result {
            Err(PdfError::Syntax { .. }) => {
                self.note(Ambiguity::ObjectMissing(id));
                Ok(Located::null())
            }
            other => other,
        }
    }

    fn load_at(&mut self, id: ObjectId, offset: u64) -> Result<Located, PdfError> {
        let (found, end) = self.source.parse(offset, |parser| {
            let found = parser.object_header()?;
            let object = parser.value()?;
            let stream = match parser.keyword("endobj") {
                Ok(()) => None,
                Err(ParseError::Syntax(..)) if object.dict().is_some() => {
                    parser.keyword("stream")?;
                    Some(parser.at as u64)
                }
                Err(error) => return Err(error),
            };
            Ok((found, object, stream, std::mem::take(&mut parser.contents), parser.duplicate_key.take()))
        })?;
        let (found, object, stream, contents, duplicate_key) = found;
        if found != id {
            return Err(PdfError::Syntax { what: "another object than the cross-reference says", offset });
        }
        if let Some(key) = duplicate_key {
            self.note(Ambiguity::DuplicateKey { object: id, key: name_text(&key) });
        }
        let contents = contents.into_iter().map(|span| (offset + span.start as u64, offset + span.end as u64)).collect();
        Ok(Located { object, end, stream: stream.map(|at| offset + at), contents })
    }

    fn load_in(&mut self, id: ObjectId, stream: u32, index: usize, view: View) -> Result<Located, PdfError> {
        let stream = self.object_stream(stream, view)?;
        let syntax = |what| PdfError::Syntax { what, offset: stream.offset };
        let (number, start) = *stream.index.get(index).ok_or(syntax("no such object in the object stream"))?;
        if number != id.number || id.generation != 0 {
            return Err(syntax("another object in the object stream than the cross-reference says"));
        }
        let mut parser = Parser::complete(&stream.bytes, start);
        let object = parser.value().map_err(|error| match error {
            ParseError::Limit(what) => PdfError::Limit(what),
            _ => syntax("no object in the object stream"),
        })?;
        let (len, duplicate_key) = (parser.at - start, parser.duplicate_key.take());
        if let Some(key) = duplicate_key {
            self.note(Ambiguity::DuplicateKey { object: id, key: name_text(&key) });
        }
        self.source.work(len as u64)?;
        Ok(Located { object, ..Located::null() })
    }

    fn object_stream(&mut self, number: u32, view: View) -> Result<Arc<ObjectStream>, PdfError> {
        let Some(entry) = self.xref.lookup(number, view) else {
            return Err(PdfError::Syntax { what: "no such object stream", offset: 0 });
        };
        let Place::At(offset) = entry.place() else {
            return Err(PdfError::Syntax { what: "an object stream inside another", offset: 0 });
        };
        if let Some(at) = self.streams.iter().position(|stream| stream.offset == offset) {
            self.streams[..=at].rotate_right(1);
            return Ok(Arc::clone(&self.streams[0]));
        }
        if self.encryption.is_some() {
            return Err(PdfError::Encrypted);
        }
        let stream = Arc::new(self.decode_object_stream(ObjectId { number, generation: entry.generation }, offset, view)?);
        self.streams.truncate(CACHED_STREAMS - 1);
        self.streams.insert(0, Arc::clone(&stream));
        Ok(stream)
    }

    fn decode_object_stream(&mut self, id: ObjectId, offset: u64, view: View) -> Result<ObjectStream, PdfError> {
        let syntax = |what| PdfError::Syntax { what, offset };
        let located = self.load_at(id, offset)?;
        let (Some(dict), Some(keyword_end)) = (located.object.dict(), located.stream) else {
            return Err(syntax("an object stream that is no stream"));
        };
        if !dict.is("Type", "ObjStm") {
            return Err(syntax("an object stream of another type"));
        }
        let small = |key| dict.value(key).integer().and_then(|n| usize::try_from(n).ok());
        let (count, first) = small("N").zip(small("First")).ok_or(syntax("N or First of an object stream"))?;
        let (data, length) = self.stream_range(dict, keyword_end, view)?;
        let mut bytes = Vec::new();
        let raw = self.source.range(data, length)?;
        filter::decode(dict, raw)?.take(MAX_OBJECT_STREAM as u64 + 1).read_to_end(&mut bytes).map_err(PdfError::from_range)?;
        if bytes.len() > MAX_OBJECT_STREAM {
            return Err(PdfError::Limit("bytes in one object stream"));
        }
        self.source.work(bytes.len() as u64)?;
        if count > MAX_STREAM_OBJECTS {
            return Err(PdfError::Limit("objects in one object stream"));
        }
        if first > bytes.len() {
            return Err(syntax("N or First of an object stream"));
        }
        let mut parser = Parser::complete(&bytes[..first], 0);
        let mut index = Vec::with_capacity(count);
        for _ in 0..count {
            let pair = parser.unsigned().and_then(|number| Ok((number, parser.unsigned()?)));
            let (number, start) = pair.map_err(|_| syntax("the head of an object stream"))?;
            let number = u32::try_from(number).map_err(|_| syntax("the head of an object stream"))?;
            let start = usize::try_from(start).ok().and_then(|start| start.checked_add(first));
            index.push((number, start.filter(|s| *s <= bytes.len()).ok_or(syntax("the head of an object stream"))?));
        }
        let mut numbers: Vec<_> = index.iter().map(|(number, _)| *number).collect();
        numbers.sort_unstable();
        if let Some(twice) = numbers.windows(2).find(|pair| pair[0] == pair[1]) {
            self.note(Ambiguity::DuplicateInObjectStream(twice[0]));
        }
        Ok(ObjectStream { offset, index, bytes })
    }

    /// Offset and length of a stream's raw data.
    pub(super) fn stream_range(&mut self, dict: &Dict, keyword_end: u64, view: View) -> Result<(u64, u64), PdfError> {
        let data = xref::stream_data(&mut self.source, keyword_end)?;
        let length = match dict.value("Length") {
            Object::Reference(id) => {
                // One level only: a length is a plain number in the file, not in an object stream that needs its own length.
                match self.xref.lookup(id.number, view).map(|entry| entry.place()) {
                    Some(Place::At(offset)) => self.load_at(*id, offset)?.object.integer(),
                    Some(place @ Place::In { .. }) if !dict.is("Type", "ObjStm") => {
                        self.load_place(*id, place, view)?.object.integer()
                    }
                    _ => None,
                }
            }
            direct => direct.integer(),
        };
        let length = length.and_then(|n| u64::try_from(n).ok());
        let end = length.and_then(|n| data.checked_add(n)).filter(|end| *end <= self.source.len());
        let (Some(length), Some(end)) = (length, end) else {
            return Err(PdfError::Syntax { what: "the length of a stream", offset: data });
        };
        let tail = self.source.at(end, 16)?;
        let tail = &tail[tail.iter().take_while(|b| is_space(**b)).count().min(2)..];
        if !tail.starts_with(b"endstream") {
            return Err(PdfError::Syntax { what: "no endstream after a stream's length", offset: end });
        }
        Ok((data, length))
    }

    /// Offset of an object's end, its stream's data included. A stream whose length does not lead to its end is noted: readers
    /// search for the end, each in its way.
    pub(super) fn end_of(&mut self, id: ObjectId, located: &Located, view: View) -> Result<u64, PdfError> {
        let (Some(dict), Some(keyword_end)) = (located.object.dict(), located.stream) else { return Ok(located.end) };
        match self.stream_range(dict, keyword_end, view) {
            Ok((data, length)) => Ok(data + length),
            Err(PdfError::Syntax { .. }) => {
                self.note(Ambiguity::StreamLength(id));
                Ok(self.source.len())
            }
            Err(error) => Err(error),
        }
    }

    /// `value`, or what it refers to as of `view`. A reference to a reference is followed once more, not for ever.
    pub(super) fn resolve(&mut self, value: &Object, view: View) -> Result<Object, PdfError> {
        let mut value = value.clone();
        for _ in 0..4 {
            match value {
                Object::Reference(id) => value = self.load(id, view)?.object,
                other => return Ok(other),
            }
        }
        Ok(Object::Null)
    }

    /// The dictionary that `value` is or refers to; empty where it is none.
    pub(super) fn resolve_dict(&mut self, value: &Object, view: View) -> Result<Dict, PdfError> {
        Ok(match self.resolve(value, view)? {
            Object::Dictionary(dict) => dict,
            _ => Dict::default(),
        })
    }

    /// The elements of the array that `value` is or refers to.
    pub(super) fn resolve_array(&mut self, value: &Object, view: View) -> Result<Vec<Object>, PdfError> {
        Ok(match self.resolve(value, view)? {
            Object::Array(elements) => elements,
            _ => Vec::new(),
        })
    }

    /// The catalog as of `view`.
    pub(super) fn catalog(&mut self, view: View) -> Result<Dict, PdfError> {
        let root = self.trailer(view).value("Root").clone();
        self.resolve_dict(&root, view)
    }

    /// All pages of the current document, in order.
    pub fn pages(&mut self) -> Result<Vec<Page>, PdfError> {
        let view = self.newest();
        let catalog = self.catalog(view)?;
        let mut pages = Vec::new();
        let mut seen = HashSet::new();
        let mut stack: Vec<(Object, usize, Inherited)> = vec![(catalog.value("Pages").clone(), 0, Inherited::default())];
        while let Some((node, depth, mut inherited)) = stack.pop() {
            let Some(id) = node.reference() else { continue };
            let is_new = seen.insert(id.number);
            if !is_new && pages.iter().any(|page: &Page| page.object.number == id.number) {
                return Err(PdfError::PageTwice(id.number));
            }
            if depth > MAX_DEPTH || !is_new {
                return Err(PdfError::Syntax { what: "the page tree is a circle or too deep", offset: 0 });
            }
            let dict = self.resolve_dict(&node, view)?;
            inherited.read(self, &dict, view)?;
            match dict.value("Kids") {
                Object::Null => {
                    if pages.len() == MAX_PAGES {
                        return Err(PdfError::Limit("pages"));
                    }
                    pages.push(inherited.page(id, &dict));
                }
                kids => {
                    let kids = self.resolve_array(&kids.clone(), view)?;
                    stack.extend(kids.into_iter().rev().map(|kid| (kid, depth + 1, inherited)));
                }
            }
        }
        Ok(pages)
    }
}

/// Page attributes that the page tree hands down (ISO 32000-1 table 30).
#[derive(Clone, Copy, Default)]
struct Inherited {
    media_box: Option<[f64; 4]>,
    crop_box: Option<[f64; 4]>,
    rotate: i64,
}

impl Inherited {
    fn read<R: Read + Seek>(&mut self, document: &mut Document<R>, dict: &Dict, view: View) -> Result<(), PdfError> {
        let media_box = document.rectangle(dict.value("MediaBox"), view)?;
        self.media_box = media_box.or(self.media_box);
        let crop_box = document.rectangle(dict.value("CropBox"), view)?;
        self.crop_box = crop_box.or(self.crop_box);
        if let Some(rotate) = document.resolve(dict.value("Rotate"), view)?.integer() {
            self.rotate = rotate;
        }
        Ok(())
    }

    fn page(&self, object: ObjectId, dict: &Dict) -> Page {
        // Letter where nothing is said, as readers do.
        let media = self.media_box.unwrap_or([0.0, 0.0, 612.0, 792.0]);
        let crop = self.crop_box.unwrap_or(media);
        let cut = [crop[0].max(media[0]), crop[1].max(media[1]), crop[2].min(media[2]), crop[3].min(media[3])];
        let area = if cut[0] < cut[2] && cut[1] < cut[3] { cut } else { media };
        let user_unit = dict.value("UserUnit").number().filter(|unit| (0.001..=75_000.0).contains(unit)).unwrap_or(1.0);
        Page { object, area, rotate: self.rotate.rem_euclid(360) as u16 / 90 * 90, user_unit }
    }
}

impl<R: Read + Seek> Document<R> {
    /// A rectangle with its corners in order; `None` where it is none.
    pub(super) fn rectangle(&mut self, value: &Object, view: View) -> Result<Option<[f64; 4]>, PdfError> {
        if *value == Object::Null {
            return Ok(None);
        }
        let mut corners = [0.0; 4];
        let elements = self.resolve_array(value, view)?;
        if elements.len() != 4 {
            return Ok(None);
        }
        for (corner, element) in corners.iter_mut().zip(&elements) {
            match self.resolve(element, view)?.number().filter(|n| n.is_finite()) {
                Some(number) => *corner = number,
                None => return Ok(None),
            }
        }
        let [a, b, c, d] = corners;
        Ok(Some([a.min(c), b.min(d), a.max(c), b.max(d)]))
    }
}
