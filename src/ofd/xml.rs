//! The structural XML files of a package as small bounded trees.
//!
//! Pull parsing is `quick-xml`'s. Elements are matched by local name in the namespaces that OFD products write, or none; elements of
//! any other namespace are left out with all they hold, as a namespace-aware reader would. Document types and entities are refused.

use std::borrow::Cow;
use std::ops::Range;

use encoding_rs::{Encoding, GB18030, GBK, UTF_8, UTF_16BE, UTF_16LE};
use quick_xml::NsReader;
use quick_xml::events::{BytesStart, Event};
use quick_xml::name::{Namespace, ResolveResult};

use super::package::shorten;
use super::{OfdError, PackagePath, ToleranceKind, XmlFault};
use crate::stamp::RectMm;

/// Bytes of one XML file. A signature that names 50 000 files has 8 MiB; the largest page met has 0.6 MiB.
pub(super) const MAX_XML: u64 = 16 << 20;
/// Nesting. Real files reach 12; nested page blocks make 64 plausible.
const MAX_DEPTH: usize = 64;
/// Elements and attributes kept of one file, some 150 bytes each: three for each of 50 000 references and some around them.
const MAX_NODES: usize = 160_000;
/// Attributes of an element. Real ones have up to 12.
const MAX_ATTRIBUTES: usize = 64;
/// Bytes of one text or attribute. Custom data with whole certificates reaches 8 KiB.
const MAX_TEXT: usize = 1 << 20;

/// The namespace of GB/T 33190-2016.
pub(super) const NAMESPACE: &str = "http://www.ofdspec.org/2016";
/// What some products wrote, some of them until today, in a part of their files.
const NAMESPACE_BEFORE_2016: &str = "http://www.ofdspec.org";

/// An element.
#[derive(Debug)]
pub struct Element {
    /// Without its prefix.
    pub name: Box<str>,
    /// Those without a prefix; namespace declarations left out.
    attributes: Attributes,
    /// Its own text without that of its children, trimmed.
    pub text: String,
    /// The text with its white space, where an element without children has some at its ends.
    untrimmed: Option<Box<str>>,
    /// The elements inside, in their order.
    pub children: Vec<Element>,
    pub(super) span: Span,
}

/// Names and values.
type Attributes = Vec<(Box<str>, Box<str>)>;

/// Byte offsets in the decoded text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    start: u32,
    content: u32,
    content_end: u32,
    end: u32,
}

impl Span {
    /// From the opening `<` to behind the closing `>`.
    pub(super) fn whole(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }

    /// Between the tags; `None` for an element without a closing tag (`<a/>`).
    pub(super) fn inside(self) -> Option<Range<usize>> {
        (self.content_end != self.end).then_some(self.content as usize..self.content_end as usize)
    }
}

impl Element {
    /// An attribute without a prefix.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(key, _)| &**key == name).map(|(_, value)| &**value)
    }

    /// The text as written, white space at its ends included: a leading space in a text object has its place and its width.
    pub fn verbatim(&self) -> &str {
        self.untrimmed.as_deref().unwrap_or(&self.text)
    }

    /// The children of that name.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Self> {
        self.children.iter().filter(move |child| &*child.name == name)
    }

    /// The only child of that name. Two where the standard has one would be two documents to two readers.
    pub(super) fn one(&self, name: &'static str, path: &PackagePath) -> Result<Option<&Self>, OfdError> {
        let mut all = self.all(name);
        match (all.next(), all.next()) {
            (found, None) => Ok(found),
            _ => Err(OfdError::Xml { path: path.clone(), fault: XmlFault::DuplicateElement(name) }),
        }
    }

    /// The only child of that name; `MissingElement` without one.
    pub(super) fn need(&self, name: &'static str, path: &PackagePath) -> Result<&Self, OfdError> {
        self.one(name, path)?.ok_or_else(|| OfdError::MissingElement { path: path.clone(), element: name })
    }

    pub(super) fn need_attribute(&self, name: &'static str, path: &PackagePath) -> Result<&str, OfdError> {
        self.attribute(name).ok_or_else(|| OfdError::MissingElement { path: path.clone(), element: name })
    }

    /// The text of a child that may be missing or empty.
    pub(super) fn text_of(&self, name: &'static str, path: &PackagePath) -> Result<Option<&str>, OfdError> {
        Ok(self.one(name, path)?.map(|child| &*child.text).filter(|text| !text.is_empty()))
    }
}

/// A parsed file.
pub(super) struct Document<'a> {
    pub(super) root: Element,
    pub(super) text: Cow<'a, str>,
    pub(super) encoding: TextEncoding,
    pub(super) tolerances: Vec<ToleranceKind>,
}

/// How a file's text is encoded: enough to change the text and keep every other byte.
#[derive(Clone, Copy)]
pub(super) struct TextEncoding {
    encoding: &'static Encoding,
    has_bom: bool,
}

impl TextEncoding {
    fn detect<'a>(bytes: &'a [u8]) -> Result<(Self, Cow<'a, str>), XmlFault> {
        let (encoding, has_bom, body) = match Encoding::for_bom(bytes) {
            Some((encoding, length)) => (encoding, true, &bytes[length..]),
            None if bytes.starts_with(b"<\0") => (UTF_16LE, false, bytes),
            None if bytes.starts_with(b"\0<") => (UTF_16BE, false, bytes),
            None => (declared(bytes)?.unwrap_or(UTF_8), false, bytes),
        };
        let fault = || XmlFault::Encoding(encoding.name().to_owned());
        let text = encoding.decode_without_bom_handling_and_without_replacement(body).ok_or_else(fault)?;
        // What the file says of itself must be what it is: readers that believe one and readers that believe the other differ.
        if let Some(declared) = declared(&text.as_bytes()[..text.len().min(256)])? {
            let both_16 = [UTF_16LE, UTF_16BE].contains(&declared) && [UTF_16LE, UTF_16BE].contains(&encoding);
            if declared != encoding && !both_16 {
                return Err(fault());
            }
        }
        Ok((Self { encoding, has_bom }, text))
    }

    fn is_utf8(&self) -> bool {
        self.encoding == UTF_8
    }

    /// The bytes of a changed text.
    pub(super) fn encode(&self, text: &str) -> Vec<u8> {
        let text = if self.has_bom { Cow::Owned(format!("\u{feff}{text}")) } else { Cow::Borrowed(text) };
        if self.encoding == UTF_16LE {
            text.encode_utf16().flat_map(u16::to_le_bytes).collect()
        } else if self.encoding == UTF_16BE {
            text.encode_utf16().flat_map(u16::to_be_bytes).collect()
        } else {
            self.encoding.encode(&text).0.into_owned()
        }
    }
}

/// The encoding that an XML declaration in ASCII names.
fn declared(bytes: &[u8]) -> Result<Option<&'static Encoding>, XmlFault> {
    let head = String::from_utf8_lossy(&bytes[..bytes.len().min(256)]);
    let Some(declaration) = head.strip_prefix("<?xml").and_then(|rest| rest.split_once("?>")) else { return Ok(None) };
    let Some((_, value)) = declaration.0.split_once("encoding") else { return Ok(None) };
    let value = value.trim_start().strip_prefix('=').unwrap_or(value).trim();
    let label = value.trim_start_matches(['"', '\'']).split(['"', '\'']).next().unwrap_or_default();
    match Encoding::for_label(label.as_bytes()) {
        Some(known) if [UTF_8, UTF_16LE, UTF_16BE, GBK, GB18030].contains(&known) => Ok(Some(known)),
        _ => Err(XmlFault::Encoding(shorten(label))),
    }
}

/// Parses `bytes`, the file `path`, whose root element must be `root`. What stands inside elements named in `skip` must be
/// well-formed and is not kept.
pub(super) fn parse<'a>(path: &PackagePath, bytes: &'a [u8], root: &str, skip: &[&str]) -> Result<Document<'a>, OfdError> {
    let (encoding, text) = TextEncoding::detect(bytes).map_err(|fault| OfdError::Xml { path: path.clone(), fault })?;
    let mut builder = Builder { path, skip, open: Vec::new(), root: None, nodes: 0, depth: 0, dropped: None, plain: true };
    builder.run(&text)?;
    let is_named_plainly = builder.plain;
    let Some(found) = builder.root else { return Err(builder.malformed(text.len(), "it has no root element")) };
    if &*found.name != root {
        return Err(OfdError::Xml { path: path.clone(), fault: XmlFault::Root(shorten(&found.name)) });
    }
    let mut tolerances = Vec::new();
    if !encoding.is_utf8() {
        tolerances.push(ToleranceKind::XmlEncoding(encoding.encoding.name().to_owned()));
    }
    if !is_named_plainly {
        tolerances.push(ToleranceKind::Namespace);
    }
    Ok(Document { root: found, text, encoding, tolerances })
}

struct Builder<'a> {
    path: &'a PackagePath,
    skip: &'a [&'a str],
    open: Vec<Element>,
    root: Option<Element>,
    nodes: usize,
    /// Elements open, kept or not.
    depth: usize,
    /// Depth of the element that is not kept, nor what it holds.
    dropped: Option<usize>,
    /// The root is in the namespace of the standard.
    plain: bool,
}

impl Builder<'_> {
    fn run(&mut self, text: &str) -> Result<(), OfdError> {
        let mut reader = NsReader::from_str(text);
        reader.config_mut().check_end_names = true;
        loop {
            let before = reader.buffer_position() as usize;
            let (namespace, event) = match reader.read_resolved_event() {
                Ok(event) => event,
                Err(error) => return Err(self.malformed(before, &error.to_string())),
            };
            let known = self.is_known(&namespace, before)?;
            drop(namespace);
            let after = reader.buffer_position() as usize;
            match event {
                Event::Start(tag) => {
                    self.open(&tag, known, before, after)?;
                }
                Event::Empty(tag) => {
                    self.open(&tag, known, before, after)?;
                    self.close(after, after);
                }
                Event::End(_) => self.close(before, after),
                // Nobody looks at it: most of a page is text inside elements that are left out.
                Event::Text(_) | Event::CData(_) if self.dropped.is_some() => {}
                Event::Text(piece) => self.text(&piece.xml10_content(), before)?,
                Event::CData(piece) => self.text(&piece.xml10_content(), before)?,
                Event::GeneralRef(reference) => {
                    let fault = || XmlFault::Entity(shorten(&reference));
                    let character = reference.resolve_char_ref().map_err(|_| self.fault(fault()))?;
                    let character = match (character, &*reference) {
                        (Some(character), _) => character,
                        (None, "amp") => '&',
                        (None, "lt") => '<',
                        (None, "gt") => '>',
                        (None, "apos") => '\'',
                        (None, "quot") => '"',
                        _ => return Err(self.fault(fault())),
                    };
                    self.text(character.encode_utf8(&mut [0; 4]), before)?;
                }
                Event::DocType(_) => return Err(self.fault(XmlFault::Doctype)),
                Event::Decl(_) if before != 0 => return Err(self.malformed(before, "a declaration that is not at the start")),
                Event::Decl(_) | Event::Comment(_) | Event::PI(_) => {}
                Event::Eof if self.depth != 0 => return Err(self.malformed(before, "an element is not closed")),
                Event::Eof => return Ok(()),
            }
        }
    }

    /// Whether elements of that namespace are read.
    fn is_known(&mut self, namespace: &ResolveResult<'_>, offset: usize) -> Result<bool, OfdError> {
        let of_standard = match namespace {
            ResolveResult::Unknown(prefix) => return Err(self.malformed(offset, &format!("unknown prefix {}", shorten(prefix)))),
            ResolveResult::Bound(Namespace(uri)) if *uri == NAMESPACE => true,
            ResolveResult::Bound(Namespace(uri)) if *uri == NAMESPACE_BEFORE_2016 => false,
            ResolveResult::Bound(_) => return Ok(false),
            ResolveResult::Unbound => false,
        };
        if self.depth == 0 && self.root.is_none() {
            self.plain = of_standard;
        }
        Ok(true)
    }

    fn open(&mut self, tag: &BytesStart<'_>, known: bool, start: usize, content: usize) -> Result<(), OfdError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.limit("nested elements", MAX_DEPTH));
        }
        if self.depth == 1 && self.root.is_some() {
            return Err(self.malformed(start, "a second root element"));
        }
        if self.dropped.is_some() {
            return Ok(());
        }
        if !known || self.open.last().is_some_and(|parent| self.skip.contains(&&*parent.name)) {
            self.dropped = Some(self.depth);
            return Ok(());
        }
        let name: Box<str> = tag.local_name().into_inner().into();
        let attributes = self.attributes(tag, start)?;
        self.nodes += 1 + attributes.len();
        if self.nodes > MAX_NODES {
            return Err(self.limit("elements and attributes", MAX_NODES));
        }
        let span = Span { start: offset(start), content: offset(content), content_end: offset(content), end: offset(content) };
        self.open.push(Element { name, attributes, text: String::new(), untrimmed: None, children: Vec::new(), span });
        Ok(())
    }

    fn attributes(&self, tag: &BytesStart<'_>, offset: usize) -> Result<Attributes, OfdError> {
        let mut attributes = Vec::new();
        for (count, attribute) in tag.attributes().enumerate() {
            if count >= MAX_ATTRIBUTES {
                return Err(self.limit("attributes of one element", MAX_ATTRIBUTES));
            }
            let attribute = attribute.map_err(|error| self.malformed(offset, &error.to_string()))?;
            let key = attribute.key.into_inner();
            let value = attribute
                .normalized_value(quick_xml::XmlVersion::Explicit1_0)
                .map_err(|error| self.malformed(offset, &error.to_string()))?;
            if value.len() > MAX_TEXT {
                return Err(self.limit("bytes of one attribute", MAX_TEXT));
            }
            if key != "xmlns" && !key.contains(':') {
                attributes.push((key.into(), (*value).into()));
            }
        }
        Ok(attributes)
    }

    fn text(&mut self, piece: &str, offset: usize) -> Result<(), OfdError> {
        if self.depth == 0 {
            return if piece.trim_ascii().is_empty() {
                Ok(())
            } else {
                Err(self.malformed(offset, "text outside the root element"))
            };
        }
        if self.dropped.is_some() {
            return Ok(());
        }
        let Some(element) = self.open.last_mut() else { return Ok(()) };
        if element.text.len() + piece.len() > MAX_TEXT {
            return Err(self.limit("bytes of one text", MAX_TEXT));
        }
        let piece = if element.text.is_empty() && !element.children.is_empty() { piece.trim_start() } else { piece };
        element.text.push_str(piece);
        Ok(())
    }

    fn close(&mut self, content_end: usize, end: usize) {
        let depth = self.depth;
        self.depth = self.depth.saturating_sub(1);
        if let Some(dropped) = self.dropped {
            if dropped == depth {
                self.dropped = None;
            }
            return;
        }
        let Some(mut element) = self.open.pop() else { return };
        element.span.content_end = offset(content_end);
        element.span.end = offset(end);
        let trimmed = element.text.trim();
        if trimmed.len() != element.text.len() {
            let trimmed = trimmed.to_owned();
            let raw = std::mem::replace(&mut element.text, trimmed);
            element.untrimmed = element.children.is_empty().then(|| raw.into_boxed_str());
        }
        match self.open.last_mut() {
            Some(parent) => parent.children.push(element),
            None => self.root = Some(element),
        }
    }

    fn fault(&self, fault: XmlFault) -> OfdError {
        OfdError::Xml { path: self.path.clone(), fault }
    }

    fn malformed(&self, offset: usize, what: &str) -> OfdError {
        self.fault(XmlFault::Malformed { offset: offset as u64, what: shorten(what) })
    }

    fn limit(&self, what: &'static str, limit: usize) -> OfdError {
        OfdError::Limit { subject: self.path.to_string(), what, limit: limit as u64 }
    }
}

/// An offset in a text, which is at most twice as long as [`MAX_XML`].
fn offset(position: usize) -> u32 {
    u32::try_from(position).unwrap_or(u32::MAX)
}

/// Four numbers, "x y w h" in mm (ST_Box); `None` for anything else.
pub fn rectangle(text: &str) -> Option<RectMm> {
    let mut numbers = text.split_ascii_whitespace().map(|number| number.parse().ok().filter(|number: &f64| number.is_finite()));
    let rect = RectMm { x: numbers.next()??, y: numbers.next()??, width: numbers.next()??, height: numbers.next()?? };
    numbers.next().is_none().then_some(rect)
}

/// Text for an element or attribute.
pub(super) fn escape(text: &str) -> Cow<'_, str> {
    quick_xml::escape::escape(text)
}
