//! One more signature (GB/T 33190 clause 18; shared `ofd-signature.md` §6): every file that is there stays as it is, byte for byte,
//! but for the list of signatures and, before the first signature, OFD.xml.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::io::{Read, Seek, Write};
use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::signature::{SM3_OID, id_number};
use super::xml::{self, Document, Element, MAX_XML, NAMESPACE, escape};
use super::zip_write::PackageWriter;
use super::{DocBody, Ofd, OfdError, Package, PackagePath, SignatureList, XmlFault};
use crate::document::{DocumentError, Prepared, Signable, SignatureKind, SigningPlan};
use crate::sm::{Sm3Digest, sm3};
use crate::stamp::{Placement, RectMm};

/// SM2 signature with SM3, as `SignatureMethod` names it.
const SM2_SM3_OID: &str = "1.2.156.10197.1.501";

/// An OFD that waits for its signed value.
pub struct PreparedOfd<R> {
    package: Package<R>,
    /// New files and new contents of old ones, in the order in which they are written.
    files: Vec<(PackagePath, Vec<u8>)>,
    signature: PackagePath,
    signed_value: PackagePath,
    digest: Sm3Digest,
}

impl<R: Read + Seek> Signable for Ofd<R> {
    type Prepared = PreparedOfd<R>;

    fn prepare(mut self, plan: &SigningPlan) -> Result<PreparedOfd<R>, DocumentError> {
        if self.is_encrypted() {
            return Err(DocumentError::Encrypted);
        }
        let body = self.single_body()?;
        if let Some(list) = self.integrity_list_path() {
            return Err(DocumentError::Closed { by: list.to_string() });
        }
        self.package.hash_what_is_read();
        let before = Before::read(&mut self, &body)?;
        let mut ids = before.ids();
        let id = ids.next();
        let stamps = self.stamps(&body, &plan.placements, &mut ids)?;

        let mut files: Vec<(PackagePath, Vec<u8>)> = Vec::new();
        let list_path = match &body.signature_list {
            Some(path) => path.clone(),
            None => {
                let signs = format!("{}/Signs", body.current_root.directory());
                let path = unused(&self.package, &signs, |n| match n {
                    0 => "Signatures.xml".to_owned(),
                    n => format!("Signatures_{n}.xml"),
                });
                let (entry_file, bytes) = self.entry_file_with_list(&path)?;
                files.push((entry_file, bytes));
                path
            }
        };
        let directory = unused(&self.package, &before.signs_directory(&list_path), |n| format!("Sign_{}", before.count() + n));
        let inside = |name| child(directory.as_str(), name);
        let (signature, signed_value) = (inside("Signature.xml"), inside("SignedValue.dat"));
        let seal = match &plan.kind {
            SignatureKind::Seal(bytes) => {
                let path = inside("Seal.esl");
                files.push((path.clone(), bytes.clone()));
                Some(path)
            }
            SignatureKind::Sign => None,
        };
        let line = ListLine { id: &id, kind: &plan.kind, path: &signature, max_sign_id: &ids.last() };
        files.push((list_path.clone(), line.add_to(&before, &list_path)?));

        let uncovered = (!plan.close).then_some(&list_path);
        let references = references(&mut self.package, &files, uncovered)?;
        let description = description(plan, &references, &stamps, seal.as_ref(), &signed_value);
        let digest = sm3(description.as_bytes());
        files.push((signature.clone(), description.into_bytes()));
        Ok(PreparedOfd { package: self.package, files, signature, signed_value, digest })
    }
}

impl<R: Read + Seek> Prepared for PreparedOfd<R> {
    /// SM3 of the new Signature.xml.
    fn digest(&self) -> Sm3Digest {
        self.digest
    }

    /// Path of the new Signature.xml, absolute in the package.
    fn property(&self) -> &str {
        self.signature.as_str()
    }

    /// The source must be as it was at `prepare`: what is copied is not hashed again. (The agent verifies what it hands out.)
    fn embed(mut self, signed_value: &[u8], out: &mut dyn Write) -> Result<(), DocumentError> {
        let mut writer = PackageWriter::new(out);
        let replaced: Vec<&PackagePath> = self.files.iter().map(|(path, _)| path).collect();
        self.package.copy_to(&mut writer, &replaced)?;
        for (path, bytes) in &self.files {
            writer.add(path, bytes)?;
        }
        writer.add(&self.signed_value, signed_value)?;
        writer.finish()
    }
}

/// What earlier signatures left.
struct Before {
    list: Option<(SignatureList, Vec<u8>)>,
    /// Ids of signatures and of their stamps: they share one counter.
    ids: HashSet<String>,
}

impl Before {
    /// Reads every earlier signature; `Closed` when one of them protects the list.
    fn read<R: Read + Seek>(ofd: &mut Ofd<R>, body: &DocBody) -> Result<Self, DocumentError> {
        let mut before = Self { list: None, ids: HashSet::new() };
        let Some(path) = &body.signature_list else { return Ok(before) };
        if ofd.package.find(path).is_none() {
            return Ok(before);
        }
        let bytes = ofd.package.read(path, MAX_XML)?;
        let Some(list) = ofd.signature_list(body)? else { return Ok(before) };
        before.ids.extend(list.max_sign_id.clone());
        for listed in &list.signatures {
            let signature = ofd.signature(listed)?;
            if signature.references.iter().any(|reference| reference.path.as_ref() == Some(path)) {
                return Err(DocumentError::Closed { by: format!("signature {}", listed.id) });
            }
            before.ids.insert(listed.id.clone());
            before.ids.extend(signature.stamps.into_iter().map(|stamp| stamp.id));
        }
        before.list = Some((list, bytes));
        Ok(before)
    }

    fn count(&self) -> usize {
        self.list.as_ref().map_or(0, |(list, _)| list.signatures.len())
    }

    /// New ids in the manner of those that are there; `s001` and so on for a first signature.
    fn ids(&self) -> Ids<'_> {
        let first = self.list.as_ref().and_then(|(list, _)| list.signatures.first());
        let with_letter = first.is_none_or(|signature| signature.id.starts_with(['s', 'S']));
        Ids { taken: &self.ids, number: self.ids.iter().filter_map(|id| id_number(id)).max().unwrap_or(0), with_letter }
    }

    /// Where the `Sign_N` of earlier signatures are, else where the list is.
    fn signs_directory(&self, list: &PackagePath) -> String {
        let last = self.list.as_ref().and_then(|(list, _)| list.signatures.last());
        match last.and_then(|signature| signature.path.directory().rsplit_once('/')) {
            Some((parent, _)) => parent.to_owned(),
            None => list.directory().to_owned(),
        }
    }
}

struct Ids<'a> {
    taken: &'a HashSet<String>,
    number: u32,
    with_letter: bool,
}

impl Ids<'_> {
    fn next(&mut self) -> String {
        loop {
            self.number += 1; // ids that are read have at most nine digits
            let id = self.last();
            if !self.taken.contains(&id) {
                return id;
            }
        }
    }

    /// The id given last.
    fn last(&self) -> String {
        if self.with_letter { format!("s{:03}", self.number) } else { self.number.to_string() }
    }
}

/// `StampAnnot` of the new signature.
struct NewStamp {
    id: String,
    page_ref: String,
    boundary: RectMm,
    clip: Option<RectMm>,
}

impl<R: Read + Seek> Ofd<R> {
    fn stamps(&mut self, body: &DocBody, placements: &[Placement], ids: &mut Ids<'_>) -> Result<Vec<NewStamp>, DocumentError> {
        if placements.is_empty() {
            return Ok(Vec::new());
        }
        let pages = self.pages(&body.current_root)?;
        let stamp = |placement: &Placement| {
            let page = pages
                .get(placement.page.index())
                .ok_or(DocumentError::PageNotFound { asked: placement.page, pages: pages.len() })?;
            let rect = placement.rect;
            let boundary = RectMm { x: page.area.x + rect.x, y: page.area.y + rect.y, ..rect };
            Ok(NewStamp { id: ids.next(), page_ref: page.id.clone(), boundary, clip: placement.clip })
        };
        placements.iter().map(stamp).collect()
    }

    /// OFD.xml with the place of the list in its only `DocBody`.
    fn entry_file_with_list(&mut self, list: &PackagePath) -> Result<(PackagePath, Vec<u8>), DocumentError> {
        let path = self.package.find(&PackagePath::entry_file()).ok_or(OfdError::NoEntryFile)?;
        let bytes = self.package.read(&path, MAX_XML)?;
        let document = xml::parse(&path, &bytes, "OFD", &[])?;
        let body = document.root.need("DocBody", &path)?;
        let prefix = prefix(&document.text, body);
        let element = format!("<{prefix}Signatures>{}</{prefix}Signatures>", escape(list.as_str()));
        let place = match (body.one("Signatures", &path)?, body.span.inside()) {
            (Some(empty), _) => empty.span.whole(),
            (None, Some(inside)) => inside.end..inside.end,
            (None, None) => return Err(OfdError::MissingElement { path, element: "DocRoot" }.into()),
        };
        let edit = Edit { place, text: element };
        let bytes = edited(&path, &bytes, &document, vec![edit])?;
        Ok((path, bytes))
    }
}

/// The new `Signature` of the list.
struct ListLine<'a> {
    id: &'a str,
    kind: &'a SignatureKind,
    path: &'a PackagePath,
    max_sign_id: &'a str,
}

impl ListLine<'_> {
    fn add_to(&self, before: &Before, path: &PackagePath) -> Result<Vec<u8>, OfdError> {
        const EMPTY: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ofd:Signatures xmlns:ofd=\"";
        let empty = format!("{EMPTY}{NAMESPACE}\"/>\n");
        let bytes = before.list.as_ref().map_or(empty.as_bytes(), |(_, bytes)| bytes);
        let document = xml::parse(path, bytes, "Signatures", &[])?;
        let root = &document.root;
        let prefix = prefix(&document.text, root);
        let max = |id: &str| format!("<{prefix}MaxSignId>{}</{prefix}MaxSignId>", escape(id));
        let kind = match self.kind {
            SignatureKind::Seal(_) => "Seal",
            SignatureKind::Sign => "Sign",
        };
        let line =
            format!("<{prefix}Signature ID=\"{}\" Type=\"{kind}\" BaseLoc=\"{}\"/>", escape(self.id), escape(self.path.as_str()));
        let max_of = |element: &Element| Edit { place: element.span.whole(), text: max(self.max_sign_id) };
        let mut edits: Vec<Edit> = root.all("MaxSignId").map(max_of).collect();
        let first = if edits.is_empty() { max(self.max_sign_id) } else { String::new() };
        match root.span.inside() {
            Some(inside) => {
                edits.push(Edit { place: inside.start..inside.start, text: first });
                edits.push(Edit { place: inside.end..inside.end, text: line });
            }
            None => {
                // `<Signatures … />` becomes an element with content.
                let open = document.text[root.span.whole()].trim_end_matches('>').trim_end_matches('/');
                let text = format!("{open}>{first}{line}</{prefix}Signatures>");
                edits.push(Edit { place: root.span.whole(), text });
            }
        }
        edited(path, bytes, &document, edits)
    }
}

/// A part of a text, and what takes its place.
struct Edit {
    place: Range<usize>,
    text: String,
}

/// The file with the edits made and every other byte as it was. Edits do not overlap.
fn edited(path: &PackagePath, bytes: &[u8], document: &Document<'_>, mut edits: Vec<Edit>) -> Result<Vec<u8>, OfdError> {
    let mut text = document.text.to_string();
    if document.encoding.encode(&text) != bytes {
        let fault = XmlFault::Encoding("cannot be written again as it was".into());
        return Err(OfdError::Xml { path: path.clone(), fault });
    }
    edits.sort_by_key(|edit| (edit.place.start, edit.place.end));
    for edit in edits.iter().rev() {
        text.replace_range(edit.place.clone(), &edit.text);
    }
    Ok(document.encoding.encode(&text))
}

/// The namespace prefix of an element, with its colon.
fn prefix<'a>(text: &'a str, element: &Element) -> &'a str {
    let name = text[element.span.whole()].trim_start_matches('<');
    let name = &name[..name.find(|c: char| c.is_whitespace() || matches!(c, '/' | '>')).unwrap_or(name.len())];
    name.find(':').map_or("", |colon| &name[..=colon])
}

/// Path and digest of every file that the package will have, those of `new` with their new contents, `uncovered` left out.
fn references<R: Read + Seek>(
    package: &mut Package<R>,
    new: &[(PackagePath, Vec<u8>)],
    uncovered: Option<&PackagePath>,
) -> Result<Vec<(PackagePath, Sm3Digest)>, OfdError> {
    let old: Vec<PackagePath> = package.files().filter(|path| new.iter().all(|(new, _)| new != *path)).cloned().collect();
    let mut references = Vec::with_capacity(old.len() + new.len());
    package.digest_together(&old);
    for path in old {
        let digest = package.digest(&path)?;
        references.push((path, digest));
    }
    references.extend(new.iter().filter(|(path, _)| Some(path) != uncovered).map(|(path, bytes)| (path.clone(), sm3(bytes))));
    Ok(references)
}

/// The new Signature.xml (clause 18.2).
fn description(
    plan: &SigningPlan,
    references: &[(PackagePath, Sm3Digest)],
    stamps: &[NewStamp],
    seal: Option<&PackagePath>,
    signed_value: &PackagePath,
) -> String {
    let mut xml = String::with_capacity(1024 + references.len() * 160);
    // Writing to a String cannot fail.
    let _ = write!(
        xml,
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ofd:Signature xmlns:ofd=\"{NAMESPACE}\"><ofd:SignedInfo>\
         <ofd:Provider ProviderName=\"{}\" Version=\"{}\"/><ofd:SignatureMethod>{SM2_SM3_OID}</ofd:SignatureMethod>\
         <ofd:SignatureDateTime>{}</ofd:SignatureDateTime><ofd:References CheckMethod=\"{SM3_OID}\">",
        escape(&plan.provider.name),
        escape(&plan.provider.version),
        plan.time.strftime("%Y%m%d%H%M%SZ"),
    );
    for (path, digest) in references {
        let value = BASE64.encode(digest.0);
        let path = escape(path.as_str());
        let _ = write!(xml, "<ofd:Reference FileRef=\"{path}\"><ofd:CheckValue>{value}</ofd:CheckValue></ofd:Reference>");
    }
    xml.push_str("</ofd:References>");
    for stamp in stamps {
        let (id, page, boundary) = (escape(&stamp.id), escape(&stamp.page_ref), st_box(&stamp.boundary));
        let _ = write!(xml, "<ofd:StampAnnot ID=\"{id}\" PageRef=\"{page}\" Boundary=\"{boundary}\"");
        if let Some(clip) = &stamp.clip {
            let _ = write!(xml, " Clip=\"{}\"", st_box(clip));
        }
        xml.push_str("/>");
    }
    if let Some(seal) = seal {
        let _ = write!(xml, "<ofd:Seal><ofd:BaseLoc>{}</ofd:BaseLoc></ofd:Seal>", escape(seal.as_str()));
    }
    let value = escape(signed_value.as_str());
    let _ = write!(xml, "</ofd:SignedInfo><ofd:SignedValue>{value}</ofd:SignedValue></ofd:Signature>");
    xml
}

/// ST_Box: "x y w h".
pub(super) fn st_box(rect: &RectMm) -> String {
    [rect.x, rect.y, rect.width, rect.height].map(millimetres).join(" ")
}

/// A length with at most four decimals: a tenth of a micrometre.
pub(super) fn millimetres(value: f64) -> String {
    let text = format!("{value:.4}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

/// The first of the names that nothing in the directory has, case ignored.
fn unused<R: Read + Seek>(package: &Package<R>, directory: &str, name: impl Fn(usize) -> String) -> PackagePath {
    let taken = package.names_in(directory);
    let mut n = 0;
    loop {
        let name = name(n);
        if !taken.contains(&super::path::fold(&name)) {
            return child(directory, &name);
        }
        n += 1; // ends: a package has finitely many names
    }
}

/// `directory` as [`PackagePath::directory`] gives it.
fn child(directory: &str, name: &str) -> PackagePath {
    PackagePath::from_entry_name(format!("{directory}/{name}").trim_start_matches('/'))
}
