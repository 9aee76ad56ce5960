//! Which files the current document draws, and which a signature leaves unprotected (shared `report.md`, coverage rule).

use std::collections::{BTreeMap, HashSet};
use std::io::{Read, Seek};

use super::structure::limit;
use super::xml::Element;
use super::{DocBody, Ofd, OfdError, Package, PackagePath, Signature};

/// Places followed from one document. 50 000 files, each named by several lists.
const MAX_PLACES: usize = 500_000;
/// Missing files noted: the count that a hostile list can name is not bounded by what is in the package.
const MAX_MISSING: usize = 1_000;

/// What a file of the package is to the document.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum FileClass {
    /// Attachments, custom tags, extensions: reachable, not drawn.
    Attached,
    /// Document.xml, page content, templates, resource lists, fonts, media, annotations: changing it can change what a reader
    /// shows. Resources count as drawn whether or not a page uses them.
    Drawn,
    /// OFD.xml.
    EntryFile,
    /// GM/T 0099 list of files and its signed value.
    IntegrityList,
    /// Belongs to another document of the package.
    OtherDocument,
    /// Belongs to a version that is not the current one, or is a version file itself.
    OtherVersion,
    /// Description, signed value or seal of the signature at this place in the list.
    SignatureFile(usize),
    /// The list of signatures.
    SignatureList,
    /// Nothing refers to it.
    Unreferenced,
}

/// Every file of the package with its class.
#[derive(Debug, Default)]
pub struct Contents {
    /// In the order of their paths, each once.
    pub files: Vec<(PackagePath, FileClass)>,
    /// Files that the current document refers to and the package does not have, with the file that names each; at
    /// most a thousand, then the file that names more is among the unreadable.
    pub missing: Vec<(PackagePath, PackagePath)>,
    /// Files of the current document that name others and could not be read. What they name is unknown, so while this is not
    /// empty all that nothing else refers to counts as drawn.
    pub unreadable: Vec<(PackagePath, OfdError)>,
    /// Files with an annotation of type Stamp (GB/T 33190 table 58): it draws a seal, and no signature stands behind it by that.
    pub stamps: Vec<PackagePath>,
}

impl Contents {
    /// The files that none of the signature's references names, whatever came of the references.
    pub fn uncovered_by<'a>(&'a self, signature: &'a Signature) -> impl Iterator<Item = &'a (PackagePath, FileClass)> {
        let covered: HashSet<&PackagePath> =
            signature.references.iter().filter_map(|reference| reference.path.as_ref()).collect();
        self.files.iter().filter(move |(path, _)| !covered.contains(path))
    }

    /// The class of a file.
    pub fn class(&self, path: &PackagePath) -> Option<&FileClass> {
        let at = self.files.binary_search_by(|(file, _)| file.cmp(path)).ok()?;
        Some(&self.files[at].1)
    }
}

impl<R: Read + Seek> Ofd<R> {
    /// Walks the current document of `body` and classes every file of the package; the first of several classes that fit counts,
    /// with `Drawn` before all but OFD.xml.
    pub fn contents(&mut self, body: &DocBody) -> Result<Contents, OfdError> {
        let mut classes = BTreeMap::new();
        if let Some(path) = self.package.find(&PackagePath::entry_file()) {
            classes.insert(path, FileClass::EntryFile);
        }
        let mut current = Walk::of(&mut self.package, &body.current_root);
        current.put_into(&mut classes, [FileClass::Drawn, FileClass::Attached]);
        self.class_signatures(body, &mut classes)?;
        if let Some(list) = self.integrity_list_path() {
            classes.entry(list).or_insert(FileClass::IntegrityList);
            // A list that cannot be read is the verifier's finding.
            if let Ok(Some(list)) = self.integrity_list() {
                classes.entry(list.signed_value).or_insert(FileClass::IntegrityList);
            }
        }
        for version in &body.versions {
            classes.entry(version.path.clone()).or_insert(FileClass::OtherVersion);
        }
        for root in body.versions.iter().filter_map(|version| version.root.as_ref()).chain([&body.root]) {
            if *root != body.current_root {
                let walk = &mut Walk::of(&mut self.package, root);
                walk.put_into(&mut classes, [FileClass::OtherVersion, FileClass::OtherVersion]);
            }
        }
        for other in self.bodies().to_vec() {
            if other.root != body.root {
                let walk = &mut Walk::of(&mut self.package, &other.current_root);
                walk.put_into(&mut classes, [FileClass::OtherDocument, FileClass::OtherDocument]);
                if let Some(list) = other.signature_list {
                    classes.entry(list).or_insert(FileClass::OtherDocument);
                }
            }
        }
        let rest = if current.unreadable.is_empty() { FileClass::Unreferenced } else { FileClass::Drawn };
        let mut files: Vec<(PackagePath, FileClass)> = Vec::new();
        for path in self.package.files() {
            files.push((path.clone(), classes.remove(path).unwrap_or_else(|| rest.clone())));
        }
        files.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(Contents { files, missing: current.missing, unreadable: current.unreadable, stamps: current.stamps })
    }

    fn class_signatures(&mut self, body: &DocBody, classes: &mut BTreeMap<PackagePath, FileClass>) -> Result<(), OfdError> {
        let Some(path) = &body.signature_list else { return Ok(()) };
        classes.entry(path.clone()).or_insert(FileClass::SignatureList);
        if self.package.find(path).is_none() {
            return Ok(());
        }
        let Some(list) = self.signature_list(body)? else { return Ok(()) };
        for (index, listed) in list.signatures.iter().enumerate() {
            let mut class = |path: PackagePath| {
                classes.entry(path).or_insert(FileClass::SignatureFile(index));
            };
            class(listed.path.clone());
            // One that cannot be read is the verifier's finding on that signature.
            if let Ok(signature) = self.signature(listed) {
                [Some(signature.signed_value), signature.seal, signature.seal_image].into_iter().flatten().for_each(class);
            }
        }
        Ok(())
    }
}

/// A walk from a Document.xml through all that it names.
#[derive(Default)]
struct Walk {
    drawn: Vec<PackagePath>,
    attached: Vec<PackagePath>,
    seen: HashSet<PackagePath>,
    places: usize,
    missing: Vec<(PackagePath, PackagePath)>,
    unreadable: Vec<(PackagePath, OfdError)>,
    stamps: Vec<PackagePath>,
}

impl Walk {
    fn of<R: Read + Seek>(package: &mut Package<R>, root: &PackagePath) -> Self {
        let mut walk = Self::default();
        walk.drawn.push(root.clone());
        walk.seen.insert(root.clone());
        if let Some(document) = walk.read(package, root, "Document", &["Outlines", "Bookmarks"]) {
            walk.document(package, root, &document);
        }
        walk
    }

    fn put_into(&mut self, classes: &mut BTreeMap<PackagePath, FileClass>, [drawn, attached]: [FileClass; 2]) {
        for path in self.drawn.drain(..) {
            classes.entry(path).or_insert_with(|| drawn.clone());
        }
        for path in self.attached.drain(..) {
            classes.entry(path).or_insert_with(|| attached.clone());
        }
    }

    fn document<R: Read + Seek>(&mut self, package: &mut Package<R>, path: &PackagePath, document: &Element) {
        for common in document.all("CommonData") {
            for resources in common.all("PublicRes").chain(common.all("DocumentRes")) {
                self.resources(package, path, &resources.text);
            }
            for template in common.all("TemplatePage") {
                self.page(package, path, template);
            }
        }
        for page in document.all("Pages").flat_map(|pages| pages.all("Page")) {
            self.page(package, path, page);
        }
        for list in document.all("Annotations") {
            if let Some((file, root)) = self.list(package, path, list, "Annotations", true) {
                for location in root.all("Page").flat_map(|page| page.all("FileLoc")) {
                    let Some(annotations) = self.draw(package, &file, &location.text) else { continue };
                    // It names no other file, so one that cannot be read hides none.
                    let read = package.xml(&annotations, "PageAnnot", &["Appearance"]);
                    if read.is_ok_and(|page| page.all("Annot").any(|annot| annot.attribute("Type") == Some("Stamp"))) {
                        self.stamps.push(annotations);
                    }
                }
            }
        }
        for (name, item, locations) in [
            ("Attachments", "Attachment", ["FileLoc", ""]),
            ("CustomTags", "CustomTag", ["FileLoc", "SchemaLoc"]),
            ("Extensions", "Extension", ["ExtendData", ""]),
        ] {
            for list in document.all(name) {
                let Some((file, root)) = self.list(package, path, list, name, false) else { continue };
                for item in root.all(item) {
                    for location in locations.iter().flat_map(|location| item.all(location)) {
                        self.attach(package, &file, &location.text);
                    }
                }
            }
        }
    }

    /// A page or template: its content file and the resource lists that it names itself.
    fn page<R: Read + Seek>(&mut self, package: &mut Package<R>, base: &PackagePath, page: &Element) {
        let Some(location) = page.attribute("BaseLoc") else { return };
        let Some(file) = self.draw(package, base, location) else { return };
        if let Some(content) = self.read(package, &file, "Page", &["Content"]) {
            for resources in content.all("PageRes") {
                self.resources(package, &file, &resources.text);
            }
        }
    }

    /// A resource list: fonts, media, colour profiles below its `BaseLoc`.
    fn resources<R: Read + Seek>(&mut self, package: &mut Package<R>, base: &PackagePath, location: &str) {
        let Some(file) = self.draw(package, base, location) else { return };
        let Some(root) = self.read(package, &file, "Res", &["Content"]) else { return };
        let below = root.attribute("BaseLoc").map(|base| base.trim_end_matches(['/', '\\'])).unwrap_or_default();
        let fonts = root.all("Fonts").flat_map(|list| list.all("Font")).flat_map(|font| font.all("FontFile"));
        let media = root.all("MultiMedias").flat_map(|list| list.all("MultiMedia")).flat_map(|item| item.all("MediaFile"));
        let files = fonts.chain(media).map(|element| element.text.as_str());
        let spaces = root.all("ColorSpaces").flat_map(|list| list.all("ColorSpace"));
        for location in files.chain(spaces.filter_map(|space| space.attribute("Profile"))) {
            if self.place(package, &file, location).is_some()
                && let Some(path) = package.resource(&file, below, location)
            {
                self.note(package, &file, path, true);
            }
        }
    }

    /// A file that lists others, and its root element. One that only names attachments and the like may be unreadable.
    fn list<R: Read + Seek>(
        &mut self,
        package: &mut Package<R>,
        base: &PackagePath,
        element: &Element,
        root: &str,
        drawn: bool,
    ) -> Option<(PackagePath, Element)> {
        if drawn {
            let path = self.draw(package, base, &element.text)?;
            let root = self.read(package, &path, root, &[])?;
            return Some((path, root));
        }
        let path = self.attach(package, base, &element.text)?;
        let root = package.xml(&path, root, &[]).ok()?;
        Some((path, root))
    }

    /// Notes a drawn file; gives it when it is there and was not met before.
    fn draw<R: Read + Seek>(&mut self, package: &mut Package<R>, base: &PackagePath, location: &str) -> Option<PackagePath> {
        let path = self.place(package, base, location)?;
        self.note(package, base, path.clone(), true).then_some(path)
    }

    /// The same for a file that is not drawn.
    fn attach<R: Read + Seek>(&mut self, package: &mut Package<R>, base: &PackagePath, location: &str) -> Option<PackagePath> {
        self.places += 1;
        let path = package.locate(base, location).ok().filter(|_| self.places <= MAX_PLACES)?;
        self.note(package, base, path.clone(), false).then_some(path)
    }

    /// Whether the file is there and new.
    fn note<R: Read + Seek>(&mut self, package: &mut Package<R>, base: &PackagePath, path: PackagePath, drawn: bool) -> bool {
        if self.seen.contains(&path) {
            return false;
        }
        if package.find(&path).is_none() {
            if self.missing.len() == MAX_MISSING {
                self.give_up(base, limit(base, "missing files", MAX_MISSING));
            } else if self.missing.iter().all(|(missing, _)| *missing != path) {
                self.missing.push((path, base.clone()));
            }
            return false;
        }
        self.seen.insert(path.clone());
        if drawn { &mut self.drawn } else { &mut self.attached }.push(path);
        true
    }

    /// The place that `base` names, while there are not too many: what is not followed makes `base` unreadable.
    fn place<R: Read + Seek>(&mut self, package: &mut Package<R>, base: &PackagePath, location: &str) -> Option<PackagePath> {
        if location.is_empty() {
            return None; // `<PublicRes/>`: nothing is named
        }
        self.places += 1;
        let error = match package.locate(base, location) {
            _ if self.places > MAX_PLACES => limit(base, "places in one document", MAX_PLACES),
            Ok(path) => return Some(path),
            Err(error) => error,
        };
        self.give_up(base, error);
        None
    }

    /// Notes that not all that `base` names is known.
    fn give_up(&mut self, base: &PackagePath, error: OfdError) {
        if self.unreadable.iter().all(|(path, _)| path != base) {
            self.unreadable.push((base.clone(), error));
        }
    }

    fn read<R: Read + Seek>(
        &mut self,
        package: &mut Package<R>,
        path: &PackagePath,
        root: &str,
        skip: &[&str],
    ) -> Option<Element> {
        match package.xml(path, root, skip) {
            Ok(element) => Some(element),
            Err(error) => {
                self.unreadable.push((path.clone(), error));
                None
            }
        }
    }
}
