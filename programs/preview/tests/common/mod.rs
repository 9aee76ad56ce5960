//! Packages made for one test each, and a preview to draw them, in this process.
#![allow(dead_code, reason = "each test program uses a part")]
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::io::{Cursor, Read as _, Write as _};

use sealagent::preview::{Ask, Finding, FindingKind, MAX_PIXELS, PageHead, PageRequest, Told};
use sealagent_preview::fonts::Fonts;
use sealagent_preview::serve::serve;
use ukey::wire;
use zip::write::SimpleFileOptions;

/// A document with one page of 100 × 80 mm, unless told otherwise.
pub struct Recipe {
    /// What is in the page's `Layer`.
    pub objects: String,
    /// What is in the page beside its `Content`.
    pub page: String,
    /// What is in `CommonData` beside area and resources.
    pub common: String,
    /// What is in `Document` after `Pages`.
    pub document: String,
    /// What is in the resource list.
    pub resources: String,
    /// Width and height of the page.
    pub size: (f64, f64),
    /// Further files.
    pub files: Vec<(String, Vec<u8>)>,
}

impl Recipe {
    pub fn new(objects: impl Into<String>) -> Self {
        Self {
            objects: objects.into(),
            page: String::new(),
            common: String::new(),
            document: String::new(),
            resources: String::new(),
            size: (100.0, 80.0),
            files: Vec::new(),
        }
    }

    pub fn file(mut self, name: &str, bytes: impl Into<Vec<u8>>) -> Self {
        self.files.push((name.to_owned(), bytes.into()));
        self
    }

    pub fn resources(mut self, resources: impl Into<String>) -> Self {
        self.resources = resources.into();
        self
    }

    pub fn bytes(&self) -> Vec<u8> {
        package(self.list())
    }

    /// The package with other contents of one of its files.
    pub fn bytes_with(&self, name: &str, bytes: Vec<u8>) -> Vec<u8> {
        package(self.list().into_iter().map(|(n, b)| if n == name { (n, bytes.clone()) } else { (n, b) }).collect())
    }

    /// One of its files.
    pub fn bytes_of(&self, name: &str) -> Vec<u8> {
        self.list().into_iter().find(|(n, _)| n == name).unwrap().1
    }

    fn list(&self) -> Vec<(String, Vec<u8>)> {
        let (width, height) = self.size;
        let info = "<ofd:DocInfo><ofd:DocID>0</ofd:DocID></ofd:DocInfo>";
        let entry = format!("<ofd:DocBody>{info}<ofd:DocRoot>Doc_0/Document.xml</ofd:DocRoot></ofd:DocBody>");
        let area = format!("<ofd:PageArea><ofd:PhysicalBox>0 0 {width} {height}</ofd:PhysicalBox></ofd:PageArea>");
        let common = format!("<ofd:CommonData>{area}<ofd:PublicRes>Res.xml</ofd:PublicRes>{}</ofd:CommonData>", self.common);
        let pages = "<ofd:Pages><ofd:Page ID=\"1\" BaseLoc=\"Page.xml\"/></ofd:Pages>";
        let fonts = "<ofd:Fonts><ofd:Font ID=\"9\" FontName=\"宋体\"/></ofd:Fonts>";
        let content = format!("{}<ofd:Content><ofd:Layer ID=\"2\">{}</ofd:Layer></ofd:Content>", self.page, self.objects);
        let mut files = vec![
            ("OFD.xml".to_owned(), xml("OFD", &entry)),
            ("Doc_0/Document.xml".to_owned(), xml("Document", &format!("{common}{pages}{}", self.document))),
            ("Doc_0/Res.xml".to_owned(), xml("Res", &format!("{fonts}{}", self.resources))),
            ("Doc_0/Page.xml".to_owned(), xml("Page", &content)),
        ];
        files.extend(self.files.iter().cloned());
        files
    }
}

fn package(files: Vec<(String, Vec<u8>)>) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in files {
        zip.start_file(name, SimpleFileOptions::default()).unwrap();
        zip.write_all(&bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// A package with other bytes in one of its files.
pub fn with_file(bytes: &[u8], name: &str, other: Vec<u8>) -> Vec<u8> {
    let mut source = zip::ZipArchive::new(Cursor::new(bytes)).unwrap();
    let files = (0..source.len()).map(|n| {
        let mut file = source.by_index(n).unwrap();
        let own = file.name().unwrap().into_owned();
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).unwrap();
        if own == name { (own, other.clone()) } else { (own, bytes) }
    });
    package(files.collect())
}

pub fn xml(root: &str, content: &str) -> Vec<u8> {
    format!("<ofd:{root} xmlns:ofd=\"http://www.ofdspec.org/2016\">{content}</ofd:{root}>").into_bytes()
}

/// A path filled with a colour: x, y, width, height.
pub fn rectangle(id: u32, [x, y, w, h]: [f64; 4], color: &str) -> String {
    format!(
        "<ofd:PathObject ID=\"{id}\" Boundary=\"{x} {y} {w} {h}\" Stroke=\"false\" Fill=\"true\"><ofd:FillColor Value=\"{color}\"/>\
         <ofd:AbbreviatedData>M 0 0 L {w} 0 L {w} {h} L 0 {h} C</ofd:AbbreviatedData></ofd:PathObject>"
    )
}

/// A line of text of size 4, its baseline at y.
pub fn text(id: u32, x: f64, y: f64, attributes: &str, inside: &str, text: &str) -> String {
    format!(
        "<ofd:TextObject ID=\"{id}\" Boundary=\"{x} {} 60 6\" Font=\"9\" Size=\"4\" {attributes}>{inside}\
         <ofd:TextCode X=\"0\" Y=\"4\" DeltaX=\"g 50 4\">{text}</ofd:TextCode></ofd:TextObject>",
        y - 4.0
    )
}

pub struct Drawn {
    pub head: PageHead,
    pub layers: Vec<Vec<u8>>,
}

impl Drawn {
    /// The colour at a place in mm.
    pub fn at(&self, x: f64, y: f64) -> [u8; 3] {
        self.pixel(0, x, y)
    }

    pub fn pixel(&self, layer: usize, x: f64, y: f64) -> [u8; 3] {
        let column = (x / self.head.width_mm * f64::from(self.head.width)) as usize;
        let row = (y / self.head.height_mm * f64::from(self.head.height)) as usize;
        let at = (row * self.head.width as usize + column) * 4;
        self.layers[layer][at..at + 3].try_into().unwrap()
    }

    /// Whether anything but white is in a box of mm.
    pub fn has_ink(&self, [x, y, w, h]: [f64; 4]) -> bool {
        let step = self.head.width_mm / f64::from(self.head.width);
        let (columns, rows) = ((w / step) as u32, (h / step) as u32);
        (0..columns)
            .any(|c| (0..rows).any(|r| self.at(x + f64::from(c) * step, y + f64::from(r) * step).iter().any(|v| *v < 128)))
    }

    pub fn kinds(&self) -> Vec<&FindingKind> {
        self.head.findings.iter().map(|finding| &finding.kind).collect()
    }
}

pub fn request(page: u32) -> PageRequest {
    PageRequest { page, dpi: 144.0, max_pixels: MAX_PIXELS, stamps: Vec::new() }
}

/// The first page of a document that can be drawn.
pub fn draw(bytes: &[u8]) -> Drawn {
    draw_as(bytes, &request(1))
}

pub fn draw_as(bytes: &[u8], request: &PageRequest) -> Drawn {
    let (opened, mut pages) = converse(bytes, std::slice::from_ref(request));
    assert!(matches!(opened, Told::Opened { .. }), "{opened:?}");
    pages.remove(0).unwrap_or_else(|reason| panic!("{reason}"))
}

/// Opens a document and asks for pages, in the words of the process.
pub fn converse(bytes: &[u8], requests: &[PageRequest]) -> (Told, Vec<Result<Drawn, String>>) {
    let mut input = Vec::new();
    wire::write_frame(&mut input, &Ask::Open { bytes: bytes.len() as u64 }, &[]).unwrap();
    input.extend_from_slice(bytes);
    for request in requests {
        wire::write_frame(&mut input, &Ask::Page(request.clone()), &[]).unwrap();
    }
    let mut output = Vec::new();
    serve(&mut input.as_slice(), &mut output, Fonts::of_folders(Fonts::folders()), || {}).unwrap();
    let mut output = output.as_slice();
    let (opened, _) = wire::read_frame::<Told>(&mut output).unwrap().unwrap();
    let mut pages = Vec::new();
    while let Some((told, _)) = wire::read_frame::<Told>(&mut output).unwrap() {
        pages.push(match told {
            Told::Page(head) => {
                let mut layers = Vec::new();
                for _ in 0..head.layers {
                    let mut pixels = vec![0; head.width as usize * head.height as usize * 4];
                    output.read_exact(&mut pixels).unwrap();
                    layers.push(pixels);
                }
                Ok(Drawn { head, layers })
            }
            Told::Refused { reason } => Err(reason),
            Told::Opened { .. } | Told::Seal { .. } => panic!("an answer to another question"),
        });
    }
    (opened, pages)
}

/// A seal's picture by itself, in the words of the process: width, height and pixels, or why not.
pub fn seal(file: &[u8], mm: [f64; 2]) -> Result<(u32, u32, Vec<u8>), String> {
    let mut input = Vec::new();
    let ask = Ask::Seal { bytes: file.len() as u64, mm, dpi: 300.0, max_pixels: MAX_PIXELS };
    wire::write_frame(&mut input, &ask, &[]).unwrap();
    input.extend_from_slice(file);
    let mut output = Vec::new();
    serve(&mut input.as_slice(), &mut output, Fonts::of_folders(Fonts::folders()), || {}).unwrap();
    let mut output = output.as_slice();
    match wire::read_frame::<Told>(&mut output).unwrap().unwrap().0 {
        Told::Seal { width, height } => Ok((width, height, output.to_vec())),
        Told::Refused { reason } => Err(reason),
        told => panic!("{told:?}"),
    }
}

/// A PNG file of one colour.
pub fn png_file(width: u32, height: u32, rgba: [u8; 4]) -> Vec<u8> {
    let pixels: Vec<u8> = rgba.into_iter().cycle().take((width * height * 4) as usize).collect();
    let mut out = Vec::new();
    let mut encoder = png::Encoder::new(&mut out, width, height);
    encoder.set_color(png::ColorType::Rgba);
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(&pixels).unwrap();
    drop(writer);
    out
}

/// Findings that are not about fonts of this machine.
pub fn but_fonts(findings: &[Finding]) -> Vec<&Finding> {
    findings.iter().filter(|finding| !matches!(finding.kind, FindingKind::FontSubstituted { .. })).collect()
}
