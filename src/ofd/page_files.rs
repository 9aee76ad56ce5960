//! Which files each page is drawn from, for telling a person on which pages something is unprotected. Best effort: what cannot be read
//! is left out, since coverage itself is judged by [`Contents`](super::Contents).

use std::collections::HashMap;
use std::io::{Read, Seek};

use super::structure::limit;
use super::{Ofd, OfdError, PackagePath};

/// Files named by all pages together. Twenty thousand pages with ten files each.
const MAX_FILES: usize = 200_000;

impl<R: Read + Seek> Ofd<R> {
    /// For each page of a document (`root` = [`DocBody::current_root`](super::DocBody::current_root)), in reading order: its content
    /// file, its templates, its own resource lists and its annotations; nothing for one that has no file.
    pub fn page_files(&mut self, root: &PackagePath) -> Result<Vec<Vec<PackagePath>>, OfdError> {
        let document = self.package.xml(root, "Document", &["Outlines", "Bookmarks"])?;
        let mut templates = HashMap::new();
        for template in document.all("CommonData").flat_map(|common| common.all("TemplatePage")) {
            let path = template.attribute("BaseLoc").and_then(|location| self.package.locate(root, location).ok());
            templates.extend(template.attribute("ID").map(str::to_owned).zip(path));
        }
        let mut annotations: HashMap<String, Vec<PackagePath>> = HashMap::new();
        for list in document.all("Annotations").filter(|list| !list.text.is_empty()) {
            let Ok(file) = self.package.locate(root, &list.text) else { continue };
            let Ok(pages) = self.package.xml(&file, "Annotations", &[]) else { continue };
            for page in pages.all("Page") {
                let Some(id) = page.attribute("PageID") else { continue };
                let files = page.all("FileLoc").filter_map(|location| self.package.locate(&file, &location.text).ok());
                annotations.entry(id.to_owned()).or_default().extend(files);
            }
        }
        let (mut out, mut named) = (Vec::new(), 0);
        for page in document.need("Pages", root)?.all("Page") {
            let Some(path) = page.attribute("BaseLoc").and_then(|location| self.package.locate(root, location).ok()) else {
                out.push(Vec::new());
                continue;
            };
            let mut files = vec![path.clone()];
            if let Ok(content) = self.package.xml(&path, "Page", &["Content"]) {
                let of_page =
                    content.all("Template").filter_map(|template| templates.get(template.attribute("TemplateID")?).cloned());
                files.extend(of_page);
                files.extend(content.all("PageRes").filter_map(|list| self.package.locate(&path, &list.text).ok()));
            }
            files.extend(page.attribute("ID").and_then(|id| annotations.get(id)).into_iter().flatten().cloned());
            named += files.len();
            if named > MAX_FILES {
                return Err(limit(root, "files of pages", MAX_FILES));
            }
            out.push(files);
        }
        Ok(out)
    }
}
