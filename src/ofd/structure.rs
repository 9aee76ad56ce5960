//! OFD.xml, Document.xml and the heads of pages (GB/T 33190 clauses 7.4, 7.5, 7.7): which documents, pages and files there are.

use std::collections::{BTreeMap, HashMap};
use std::io::{Read, Seek};

use super::package::shorten;
use super::xml::{self, Element};
use super::{OfdError, Package, PackagePath};
use crate::stamp::{PageNumber, RectMm, SizeMm};

/// Documents in one package. All that were met have one.
const MAX_BODIES: usize = 64;
/// Versions of one document. The most met is two; a person saves some dozens.
const MAX_VERSIONS: usize = 1_000;
/// Pages. Four times the largest document that must work.
const MAX_PAGES: usize = 20_000;

/// One document of a package: `DocBody` of OFD.xml.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DocBody {
    /// `DocInfo/DocID`.
    pub doc_id: Option<String>,
    /// `DocInfo/Title`.
    pub title: Option<String>,
    /// `DocRoot`: the document as OFD.xml names it.
    pub root: PackagePath,
    /// The document that readers show: of the version marked `Current`, else `root`.
    pub current_root: PackagePath,
    /// `Versions`.
    pub versions: Vec<DocVersion>,
    /// `Signatures`: the list of signatures. `None` for a document that was never signed.
    pub signature_list: Option<PackagePath>,
}

/// `Versions/Version` with the file it points to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DocVersion {
    /// `ID`.
    pub id: String,
    /// `Index`.
    pub index: Option<String>,
    /// `Current`.
    pub current: bool,
    /// The version file (`BaseLoc`).
    pub path: PackagePath,
    /// `DocRoot` in the version file; `None` when that cannot be read (the current one always can).
    pub root: Option<PackagePath>,
}

/// A page.
#[derive(Clone, Debug, PartialEq)]
pub struct Page {
    /// `ID`: what `StampAnnot/@PageRef` names.
    pub id: String,
    /// Place in reading order.
    pub number: PageNumber,
    /// Its content file.
    pub path: PackagePath,
    /// What is shown of it, in its own coordinates: its `PhysicalBox`, else the document's. Need not begin at 0,0.
    pub area: RectMm,
}

/// An opened OFD: the package and what its OFD.xml says.
pub struct Ofd<R> {
    /// The files.
    pub package: Package<R>,
    bodies: Vec<DocBody>,
}

impl<R: Read + Seek> Ofd<R> {
    /// Opens a package and reads OFD.xml and the version files.
    pub fn open(source: R) -> Result<Self, OfdError> {
        let mut package = Package::open(source)?;
        let path = package.find(&PackagePath::entry_file()).ok_or(OfdError::NoEntryFile)?;
        let root = package.xml(&path, "OFD", &[])?;
        let mut bodies = Vec::new();
        for body in root.all("DocBody") {
            if bodies.len() == MAX_BODIES {
                return Err(limit(&path, "documents", MAX_BODIES));
            }
            bodies.push(read_body(&mut package, &path, body)?);
        }
        if bodies.is_empty() {
            return Err(OfdError::MissingElement { path, element: "DocBody" });
        }
        Ok(Self { package, bodies })
    }

    /// From now on most files that are read will have their digests asked for: each is then inflated once for both.
    pub fn hash_what_is_read(&mut self) {
        self.package.hash_what_is_read();
    }

    /// The documents of the package, at least one.
    pub fn bodies(&self) -> &[DocBody] {
        &self.bodies
    }

    /// The one document; `SeveralDocuments` when there are more: which of them a page number or a seal means would be a guess.
    pub fn single_body(&self) -> Result<DocBody, OfdError> {
        match self.bodies.as_slice() {
            [body] => Ok(body.clone()),
            bodies => Err(OfdError::SeveralDocuments { count: bodies.len() }),
        }
    }

    /// Whether the package is encrypted (GM/T 0099 annex C, `Encryptions.xml`): its content cannot be judged.
    pub fn is_encrypted(&mut self) -> bool {
        PackagePath::entry_file().resolve("Encryptions.xml").is_some_and(|path| self.package.find(&path).is_some())
    }

    /// The pages of a document (`root` = [`DocBody::current_root`]), in reading order. An error when any of them cannot be read.
    pub fn pages(&mut self, root: &PackagePath) -> Result<Vec<Page>, OfdError> {
        self.each_page(root)?.into_iter().collect()
    }

    /// The same for whoever shows the others where some cannot be read: those keep their places, as large as the first of the others,
    /// without an ID and with `root` for a file; and why, by their indices. An error when none can be read.
    pub fn readable_pages(&mut self, root: &PackagePath) -> Result<(Vec<Page>, BTreeMap<usize, OfdError>), OfdError> {
        let each = self.each_page(root)?;
        let area = each.iter().flatten().next().map(|page| page.area);
        let (mut pages, mut unread) = (Vec::new(), BTreeMap::new());
        for (index, page) in each.into_iter().enumerate() {
            match (page, area, PageNumber::from_index(index)) {
                (Ok(page), ..) => pages.push(page),
                (Err(error), Some(area), Some(number)) => {
                    unread.insert(index, error);
                    pages.push(Page { id: String::new(), number, path: root.clone(), area });
                }
                (Err(error), ..) => return Err(error),
            }
        }
        Ok((pages, unread))
    }

    fn each_page(&mut self, root: &PackagePath) -> Result<Vec<Result<Page, OfdError>>, OfdError> {
        let document = self.package.xml(root, "Document", &[])?;
        let default = match document.one("CommonData", root)? {
            Some(common) => page_area(common, "PageArea", root)?,
            None => None,
        };
        let list = document.need("Pages", root)?;
        let mut areas = HashMap::new();
        let mut pages = Vec::new();
        for (index, page) in list.all("Page").enumerate() {
            let number =
                PageNumber::from_index(index).filter(|_| index < MAX_PAGES).ok_or_else(|| limit(root, "pages", MAX_PAGES))?;
            pages.push(self.page(root, page, number, default, &mut areas));
        }
        Ok(pages)
    }

    /// One entry of `Pages`; `areas` are those of the page files that were read before.
    fn page(
        &mut self,
        root: &PackagePath,
        page: &Element,
        number: PageNumber,
        default: Option<RectMm>,
        areas: &mut HashMap<PackagePath, Option<RectMm>>,
    ) -> Result<Page, OfdError> {
        let path = self.package.locate(root, page.need_attribute("BaseLoc", root)?)?;
        let own = match areas.get(&path) {
            Some(known) => *known,
            None => {
                let content = self.package.xml(&path, "Page", &["Content"])?;
                let own = page_area(&content, "Area", &path)?;
                areas.insert(path.clone(), own);
                own
            }
        };
        let area = own.or(default).ok_or_else(|| OfdError::MissingElement { path: path.clone(), element: "PhysicalBox" })?;
        Ok(Page { id: page.need_attribute("ID", root)?.to_owned(), number, path, area })
    }

    /// The sizes of the pages, for [`Stamp::place`](crate::stamp::Stamp::place).
    pub fn page_sizes(&mut self, root: &PackagePath) -> Result<Vec<SizeMm>, OfdError> {
        Ok(self.pages(root)?.iter().map(|page| page.area.size()).collect())
    }
}

fn read_body<R: Read + Seek>(package: &mut Package<R>, path: &PackagePath, body: &Element) -> Result<DocBody, OfdError> {
    let info = body.one("DocInfo", path)?;
    let info = |name| Ok::<_, OfdError>(info.map(|info| info.text_of(name, path)).transpose()?.flatten().map(str::to_owned));
    let root = package.locate(path, &body.need("DocRoot", path)?.text)?;
    let signature_list = match body.text_of("Signatures", path)? {
        Some(location) => Some(package.locate(path, location)?),
        None => None,
    };
    let mut versions = Vec::new();
    if let Some(list) = body.one("Versions", path)? {
        for version in list.all("Version") {
            if versions.len() == MAX_VERSIONS {
                return Err(limit(path, "versions", MAX_VERSIONS));
            }
            versions.push(read_version(package, path, version)?);
        }
    }
    let mut current = versions.iter().filter(|version| version.current);
    let current_root = match (current.next(), current.next()) {
        (None, _) => root.clone(),
        (Some(version), None) => version.root.clone().unwrap_or_else(|| root.clone()),
        (Some(_), Some(_)) => {
            return Err(OfdError::BadValue { path: path.clone(), field: "Current", value: "true on several versions".into() });
        }
    };
    Ok(DocBody { doc_id: info("DocID")?, title: info("Title")?, root, current_root, versions, signature_list })
}

fn read_version<R: Read + Seek>(package: &mut Package<R>, path: &PackagePath, version: &Element) -> Result<DocVersion, OfdError> {
    let file = package.locate(path, version.need_attribute("BaseLoc", path)?)?;
    let current = version.attribute("Current").is_some_and(|value| matches!(value.trim(), "true" | "True" | "TRUE" | "1"));
    let root = package.xml(&file, "DocVersion", &["FileList"]).and_then(|content| {
        let location = content.need("DocRoot", &file)?;
        package.locate(&file, &location.text)
    });
    let root = match root {
        Ok(root) => Some(root),
        Err(error) if current => return Err(error),
        Err(_) => None,
    };
    let id = version.attribute("ID").unwrap_or_default().to_owned();
    Ok(DocVersion { id, index: version.attribute("Index").map(str::to_owned), current, path: file, root })
}

/// The `PhysicalBox` inside the element `area` of `parent`. It must have an area itself.
fn page_area(parent: &Element, area: &'static str, path: &PackagePath) -> Result<Option<RectMm>, OfdError> {
    let Some(area) = parent.one(area, path)? else { return Ok(None) };
    let Some(text) = area.text_of("PhysicalBox", path)? else { return Ok(None) };
    match xml::rectangle(text).filter(|rect| rect.width > 0.0 && rect.height > 0.0) {
        Some(rect) => Ok(Some(rect)),
        None => Err(OfdError::BadValue { path: path.clone(), field: "PhysicalBox", value: shorten(text) }),
    }
}

pub(super) fn limit(path: &PackagePath, what: &'static str, limit: usize) -> OfdError {
    OfdError::Limit { subject: path.to_string(), what, limit: limit as u64 }
}
