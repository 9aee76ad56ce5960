//! A fresh OFD: pages with text, lines and pictures. For samples and tests, not a layout engine.

use std::fmt::Write as _;
use std::io::Write;

use super::sign::{millimetres, st_box};
use super::xml::{NAMESPACE, escape};
use super::zip_write::PackageWriter;
use super::{OfdError, PackagePath};
use crate::document::DocumentError;
use crate::sm::Sm3;
use crate::stamp::{RectMm, SizeMm};

/// A document to write.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NewDocument {
    /// `DocInfo/Title`.
    pub title: String,
    /// `DocInfo/CreationDate`, e.g. `2026-11-24`.
    pub date: String,
    /// At least one.
    pub pages: Vec<NewPage>,
    /// Pictures that pages place by their index here.
    pub images: Vec<NewImage>,
}

/// A page.
#[derive(Clone, Debug, PartialEq)]
pub struct NewPage {
    /// Its size.
    pub size: SizeMm,
    /// What is on it, later ones on top.
    pub items: Vec<Item>,
}

/// A picture file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NewImage {
    /// `PNG` or `JPG`.
    pub format: String,
    /// The file.
    pub bytes: Vec<u8>,
}

/// Something on a page. Lengths in mm from the page's top left corner.
#[derive(Clone, Debug, PartialEq)]
pub enum Item {
    /// A picture.
    Image {
        /// Index into the document's images.
        image: usize,
        /// Where.
        rect: RectMm,
    },
    /// A straight line.
    Line {
        /// From (x, y).
        from: (f64, f64),
        /// To (x, y).
        to: (f64, f64),
        /// Thickness.
        width: f64,
    },
    /// One line of text.
    Text {
        /// Left edge.
        x: f64,
        /// Baseline.
        y: f64,
        /// Height of a character.
        size: f64,
        /// Name of the font, e.g. `宋体`.
        font: String,
        /// The text.
        text: String,
    },
}

impl NewDocument {
    /// Writes the package. The same document always gives the same bytes. `MissingFile` for a picture that `images` does not have,
    /// `NoPageChosen` for a document without pages.
    pub fn write(&self, out: &mut dyn Write) -> Result<(), DocumentError> {
        if self.pages.is_empty() {
            return Err(DocumentError::NoPageChosen { pages: 0 });
        }
        let layout = Layout::of(self)?;
        let mut package = PackageWriter::new(out);
        let mut add = |name: &str, bytes: &[u8]| package.add(&PackagePath::from_entry_name(name), bytes);
        add("OFD.xml", self.entry_file(&layout.pages).as_bytes())?;
        add("Doc_0/Document.xml", layout.document.as_bytes())?;
        add("Doc_0/PublicRes.xml", layout.public_resources.as_bytes())?;
        add("Doc_0/DocumentRes.xml", layout.document_resources.as_bytes())?;
        for (index, content) in layout.pages.iter().enumerate() {
            add(&format!("Doc_0/Pages/Page_{index}/Content.xml"), content.as_bytes())?;
        }
        for (index, image) in self.images.iter().enumerate() {
            add(&format!("Doc_0/Res/{}", image.file_name(index)), &image.bytes)?;
        }
        package.finish()
    }

    fn entry_file(&self, pages: &[String]) -> String {
        let mut content = Sm3::new();
        for text in [&self.title, &self.date].into_iter().chain(pages) {
            content.update(text.as_bytes());
        }
        let id = &content.finish().to_string()[..32];
        let info = format!(
            "<ofd:DocID>{id}</ofd:DocID><ofd:Title>{}</ofd:Title><ofd:CreationDate>{}</ofd:CreationDate><ofd:Creator>sealagent</ofd:Creator>",
            escape(&self.title),
            escape(&self.date)
        );
        let body = format!("<ofd:DocInfo>{info}</ofd:DocInfo><ofd:DocRoot>Doc_0/Document.xml</ofd:DocRoot>");
        root("OFD", " DocType=\"OFD\" Version=\"1.1\"", &format!("<ofd:DocBody>{body}</ofd:DocBody>"))
    }
}

impl NewImage {
    fn file_name(&self, index: usize) -> String {
        let extension: String = self.format.chars().filter(char::is_ascii_alphanumeric).collect();
        format!("image_{index}.{}", extension.to_ascii_lowercase())
    }
}

/// The XML files of a document, with ids given out.
#[derive(Default)]
struct Layout {
    document: String,
    public_resources: String,
    document_resources: String,
    pages: Vec<String>,
}

impl Layout {
    fn of(document: &NewDocument) -> Result<Self, DocumentError> {
        let mut ids = 0;
        let mut next = || {
            ids += 1;
            ids
        };
        let mut fonts: Vec<(&str, u32)> = Vec::new();
        let images: Vec<u32> = document.images.iter().map(|_| next()).collect();
        let mut layout = Self::default();
        let mut page_list = String::new();
        for (index, page) in document.pages.iter().enumerate() {
            let page_id = next();
            let layer = next();
            let mut objects = String::new();
            for item in &page.items {
                let id = next();
                objects.push_str(&match item {
                    Item::Text { x, y, size, font, text } => {
                        let known = fonts.iter().find(|(name, _)| name == font).map(|(_, id)| *id);
                        let font = known.unwrap_or_else(|| {
                            let id = next();
                            fonts.push((font, id));
                            id
                        });
                        text_object(id, font, (*x, *y), *size, text)
                    }
                    Item::Line { from, to, width } => line_object(id, *from, *to, *width),
                    Item::Image { image, rect } => {
                        let missing =
                            || OfdError::MissingFile { path: PackagePath::from_entry_name(&format!("Doc_0/Res/image_{image}")) };
                        image_object(id, *images.get(*image).ok_or_else(missing)?, rect)
                    }
                });
            }
            let area = format!("<ofd:Area>{}</ofd:Area>", physical_box(page.size));
            let content = format!("<ofd:Content><ofd:Layer ID=\"{layer}\">{objects}</ofd:Layer></ofd:Content>");
            layout.pages.push(root("Page", "", &format!("{area}{content}")));
            let _ = write!(page_list, "<ofd:Page ID=\"{page_id}\" BaseLoc=\"Pages/Page_{index}/Content.xml\"/>");
        }
        let mut list = String::new();
        for (name, id) in &fonts {
            let name = escape(name);
            let _ = write!(list, "<ofd:Font ID=\"{id}\" FontName=\"{name}\" FamilyName=\"{name}\"/>");
        }
        layout.public_resources = root("Res", " BaseLoc=\"Res\"", &format!("<ofd:Fonts>{list}</ofd:Fonts>"));
        let mut list = String::new();
        for (index, (image, id)) in document.images.iter().zip(&images).enumerate() {
            let (format, file) = (escape(&image.format), image.file_name(index));
            let _ = write!(
                list,
                "<ofd:MultiMedia ID=\"{id}\" Type=\"Image\" Format=\"{format}\"><ofd:MediaFile>{file}</ofd:MediaFile></ofd:MultiMedia>"
            );
        }
        layout.document_resources = root("Res", " BaseLoc=\"Res\"", &format!("<ofd:MultiMedias>{list}</ofd:MultiMedias>"));
        let area = format!("<ofd:PageArea>{}</ofd:PageArea>", physical_box(document.pages[0].size));
        let resources = "<ofd:PublicRes>PublicRes.xml</ofd:PublicRes><ofd:DocumentRes>DocumentRes.xml</ofd:DocumentRes>";
        let common = format!("<ofd:CommonData><ofd:MaxUnitID>{}</ofd:MaxUnitID>{area}{resources}</ofd:CommonData>", next() - 1);
        layout.document = root("Document", "", &format!("{common}<ofd:Pages>{page_list}</ofd:Pages>"));
        Ok(layout)
    }
}

/// Chinese characters advance by the size, others by half of it.
fn text_object(id: u32, font: u32, (x, y): (f64, f64), size: f64, text: &str) -> String {
    let advance = |character: char| if character.is_ascii() { size / 2.0 } else { size };
    let width: f64 = text.chars().map(advance).sum();
    let deltas: Vec<String> = text.chars().map(|character| millimetres(advance(character))).collect();
    let deltas = deltas.split_last().map_or(String::new(), |(_, before)| before.join(" "));
    let boundary = st_box(&RectMm { x, y: y - size, width: width.max(size), height: size * 1.25 });
    let size = millimetres(size);
    let text = escape(text);
    format!(
        "<ofd:TextObject ID=\"{id}\" Boundary=\"{boundary}\" Font=\"{font}\" Size=\"{size}\"><ofd:TextCode X=\"0\" Y=\"{size}\" DeltaX=\"{deltas}\">{text}</ofd:TextCode></ofd:TextObject>"
    )
}

fn line_object(id: u32, from: (f64, f64), to: (f64, f64), width: f64) -> String {
    let (x, y) = (from.0.min(to.0), from.1.min(to.1));
    let size = ((from.0 - to.0).abs().max(width), (from.1 - to.1).abs().max(width));
    let boundary = st_box(&RectMm { x, y, width: size.0, height: size.1 });
    let [x1, y1, x2, y2] = [from.0 - x, from.1 - y, to.0 - x, to.1 - y].map(millimetres);
    let width = millimetres(width);
    format!(
        "<ofd:PathObject ID=\"{id}\" Boundary=\"{boundary}\" LineWidth=\"{width}\"><ofd:AbbreviatedData>M {x1} {y1} L {x2} {y2}</ofd:AbbreviatedData></ofd:PathObject>"
    )
}

fn image_object(id: u32, image: u32, rect: &RectMm) -> String {
    let (width, height) = (millimetres(rect.width), millimetres(rect.height));
    let boundary = st_box(rect);
    format!("<ofd:ImageObject ID=\"{id}\" ResourceID=\"{image}\" Boundary=\"{boundary}\" CTM=\"{width} 0 0 {height} 0 0\"/>")
}

fn physical_box(size: SizeMm) -> String {
    let area = RectMm { x: 0.0, y: 0.0, width: size.width, height: size.height };
    format!("<ofd:PhysicalBox>{}</ofd:PhysicalBox>", st_box(&area))
}

fn root(name: &str, attributes: &str, content: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ofd:{name} xmlns:ofd=\"{NAMESPACE}\"{attributes}>{content}</ofd:{name}>\n"
    )
}
