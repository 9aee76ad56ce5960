//! OFD pages drawn (GB/T 33190-2016): the version that readers show and that would be signed, with its templates, annotations and
//! seals. Reading is lenient, and says so; nothing that is skipped is skipped in silence.

mod page;
mod paint;
mod path;
mod resources;
mod seal;
mod text;
mod values;
mod walk;

use std::collections::{BTreeMap, HashMap};
use std::io::Cursor;
use std::rc::Rc;
use std::sync::Arc;

use sealagent::ofd::{DocBody, Ofd, OfdError, Package, PackagePath, Page};
use sealagent::preview::FindingKind;
use tiny_skia::Pixmap;

use crate::findings::{Findings, shorten};
use crate::fonts::{Face, Fonts};
use resources::Resources;
use seal::Stamp;

pub use page::Drawn;

/// Pixels of all images that are kept decoded.
const MAX_KEPT_PIXELS: usize = 64 << 20;
/// Pixels that are decoded for one document.
const MAX_DECODED_PIXELS: usize = 512 << 20;
/// Seals of one document that are drawn. Contracts have a dozen.
const MAX_SEALS: usize = 2_000;
/// Files with annotations of one document.
const MAX_ANNOTATION_FILES: usize = 20_000;

/// A package in memory.
type Source = Package<Cursor<Vec<u8>>>;

/// A document whose pages can be drawn.
pub struct OfdDocument {
    ofd: Ofd<Cursor<Vec<u8>>>,
    pages: Vec<Page>,
    /// Why pages cannot be read, by their indices; they keep their places, blank.
    unread: BTreeMap<usize, OfdError>,
    resources: Resources,
    shared: Shared,
    /// `TemplatePage` by ID.
    templates: HashMap<String, PackagePath>,
    /// Annotation files by the ID of their page.
    annotations: HashMap<String, Vec<PackagePath>>,
    /// Seals by the ID of their page.
    stamps: HashMap<String, Vec<Stamp>>,
}

/// What pages share: embedded fonts and images, read once.
#[derive(Default)]
pub(crate) struct Shared {
    faces: HashMap<PackagePath, Option<Arc<Face>>>,
    images: HashMap<PackagePath, Result<Rc<Pixmap>, String>>,
    kept: usize,
    decoded: usize,
}

impl Shared {
    /// Keeps a decoded image while there is room. An error when more was decoded than one document may cost.
    fn keep(&mut self, path: &PackagePath, image: &Result<Rc<Pixmap>, String>) -> Result<(), String> {
        let pixels = image.as_ref().map_or(0, |image| image.pixels().len());
        self.decoded = self.decoded.saturating_add(pixels);
        if self.decoded > MAX_DECODED_PIXELS {
            return Err(format!("more than {MAX_DECODED_PIXELS} pixels of images in one document"));
        }
        if self.kept + pixels <= MAX_KEPT_PIXELS {
            self.kept += pixels;
            self.images.insert(path.clone(), image.clone());
        }
        Ok(())
    }
}

impl OfdDocument {
    /// Opens a package and reads what all pages need. What is wrong with parts of it goes to `findings`.
    pub fn open(bytes: Vec<u8>, findings: &mut Findings) -> Result<Self, OfdError> {
        let mut document = Self::open_plain(bytes, findings)?;
        if document.ofd.is_encrypted() {
            findings.add(None, FindingKind::NotDrawn { reason: "the document is encrypted".into() });
        }
        let bodies = document.ofd.bodies();
        let body = bodies[0].clone();
        if bodies.len() > 1 {
            let reason = format!("{} further documents of the package", bodies.len() - 1);
            findings.add(None, FindingKind::NotDrawn { reason });
        }
        if body.current_root != body.root {
            findings.add(None, FindingKind::VersionNotDrawn { version: body.root.to_string() });
        }
        document.find_stamps(&body, findings);
        Ok(document)
    }

    /// Without the seals: what a seal's picture needs.
    fn open_plain(bytes: Vec<u8>, findings: &mut Findings) -> Result<Self, OfdError> {
        let mut ofd = Ofd::open(Cursor::new(bytes))?;
        let root = ofd.bodies()[0].current_root.clone();
        let (pages, unread) = ofd.readable_pages(&root)?;
        for (index, error) in &unread {
            findings.add(None, FindingKind::NotDrawn { reason: shorten(&format!("page {}: {error}", index + 1)) });
        }
        let mut resources = Resources::default();
        let mut templates = HashMap::new();
        let package = &mut ofd.package;
        let document = package.xml(&root, "Document", &[])?;
        for element in document.all("CommonData").flat_map(|common| &common.children) {
            let list = matches!(&*element.name, "PublicRes" | "DocumentRes");
            if list && let Ok(path) = package.locate(&root, &element.text) {
                resources.read(package, &path, findings);
            }
            if &*element.name == "TemplatePage"
                && let (Some(id), Some(location)) = (element.attribute("ID"), element.attribute("BaseLoc"))
                && let Ok(path) = package.locate(&root, location)
            {
                templates.insert(id.trim().to_owned(), path);
            }
        }
        let mut annotations: HashMap<String, Vec<PackagePath>> = HashMap::new();
        let mut files = 0;
        for element in document.all("Annotations").filter(|element| !element.text.is_empty()) {
            let list = package.locate(&root, &element.text).and_then(|path| Ok((package.xml(&path, "Annotations", &[])?, path)));
            let (list, path) = match list {
                Ok(list) => list,
                Err(error) => {
                    findings.add(None, FindingKind::AnnotationSkipped { reason: shorten(&error.to_string()) });
                    continue;
                }
            };
            for page in list.all("Page") {
                let id = page.attribute("PageID").unwrap_or_default().trim();
                for location in page.all("FileLoc") {
                    files += 1;
                    match package.locate(&path, &location.text) {
                        Ok(file) if files <= MAX_ANNOTATION_FILES => annotations.entry(id.to_owned()).or_default().push(file),
                        Ok(_) => findings.add(None, FindingKind::AnnotationSkipped { reason: "too many of them".into() }),
                        Err(error) => findings.add(None, FindingKind::AnnotationSkipped { reason: shorten(&error.to_string()) }),
                    }
                }
            }
        }
        for id in annotations.keys().filter(|id| !pages.iter().any(|page| page.id == **id)) {
            let reason = format!("it belongs to the page {}, which does not exist", shorten(id));
            findings.add(None, FindingKind::AnnotationSkipped { reason });
        }
        Ok(Self { ofd, pages, unread, resources, shared: Shared::default(), templates, annotations, stamps: HashMap::new() })
    }

    /// The pages.
    pub fn pages(&self) -> &[Page] {
        &self.pages
    }

    /// Pages that carry seals, counted from 1, in order.
    pub fn sealed(&self) -> Vec<u32> {
        self.pages.iter().filter(|page| self.stamps.contains_key(&page.id)).map(|page| page.number.number()).collect()
    }

    fn find_stamps(&mut self, body: &DocBody, findings: &mut Findings) {
        let skipped = |reason: String| FindingKind::SealSkipped { reason: shorten(&reason) };
        let list = match self.ofd.signature_list(body) {
            Ok(list) => list.map(|list| list.signatures).unwrap_or_default(),
            Err(error) => return findings.add(None, skipped(error.to_string())),
        };
        for listed in &list {
            let signature = match self.ofd.signature(listed) {
                Ok(signature) => signature,
                Err(error) => {
                    findings.add(Some(&listed.id), skipped(error.to_string()));
                    continue;
                }
            };
            for stamp in &signature.stamps {
                if self.stamps.values().map(Vec::len).sum::<usize>() >= MAX_SEALS {
                    return findings.add(None, FindingKind::Truncated { what: "seals".into(), limit: MAX_SEALS as u64 });
                }
                if !self.pages.iter().any(|page| page.id == stamp.page_ref) {
                    findings.add(Some(&listed.id), skipped(format!("there is no page {}", stamp.page_ref)));
                    continue;
                }
                self.stamps.entry(stamp.page_ref.clone()).or_default().push(Stamp {
                    signature: listed.id.clone(),
                    signed_value: signature.signed_value.clone(),
                    boundary: stamp.boundary,
                    clip: stamp.clip,
                });
            }
        }
    }
}

/// The first page of a package as a picture of that many pixels, on nothing: a seal's picture of type `ofd`.
pub(crate) fn picture(
    bytes: &[u8],
    width: u32,
    height: u32,
    fonts: &mut Fonts,
    findings: &mut Findings,
) -> Result<Pixmap, String> {
    let mut document = OfdDocument::open_plain(bytes.to_vec(), findings).map_err(|error| shorten(&error.to_string()))?;
    document.first_page(width, height, fonts, findings)
}
