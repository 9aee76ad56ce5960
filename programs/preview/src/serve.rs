//! Questions in, pictures out (see [`sealagent::preview`]).

use std::io::{self, Read, Write};

use sealagent::preview::{Ask, FindingKind, Format, MAX_DOCUMENT, PageHead, PageRequest, Told};
use sealagent::ses::{Kind, detect};
use sealagent::sm::sm3;
use tiny_skia::Pixmap;
use ukey::wire::{self, Bytes};

use crate::fonts::Fonts;
use crate::ofd::{Drawn, OfdDocument};
#[cfg(feature = "pdf")]
use crate::pdf::PdfDocument;
use crate::size::size;
use crate::{Findings, seal};

/// A document of either kind.
enum Document {
    Ofd(Box<OfdDocument>),
    #[cfg(feature = "pdf")]
    Pdf(Box<PdfDocument>),
}

/// Answers until the questions end. `renew_time` is called before each.
pub fn serve(input: &mut impl Read, output: &mut impl Write, mut fonts: Fonts, renew_time: fn()) -> io::Result<()> {
    let document = match wire::read_frame(input)? {
        Some((Ask::Open { bytes }, _)) => match file(input, bytes)? {
            Some(document) => document,
            None => return refuse(output, format!("a document of {bytes} bytes, more than {MAX_DOCUMENT}")),
        },
        Some((Ask::Seal { bytes, mm, dpi, max_pixels }, _)) => {
            let drawn = match (file(input, bytes)?, size(mm, dpi, max_pixels)) {
                (Some(file), Ok(size)) => seal::alone(&file, &size, &mut fonts),
                (None, _) => Err(format!("a picture of {bytes} bytes, more than {MAX_DOCUMENT}")),
                (_, Err(reason)) => Err(reason),
            };
            return match drawn {
                Ok(drawn) => tell_seal(output, drawn),
                Err(reason) => refuse(output, reason),
            };
        }
        _ => return Err(io::Error::new(io::ErrorKind::InvalidData, "no document on standard input")),
    };
    let digest = Bytes(sm3(&document).0.to_vec());
    let mut findings = Findings::default();
    let (mut document, format) = match open(document, &mut findings) {
        Ok(document) => document,
        Err(reason) => return refuse(output, reason),
    };
    let (pages, sealed) = match &mut document {
        Document::Ofd(ofd) => (ofd.pages().iter().map(|page| [page.area.width, page.area.height]).collect(), ofd.sealed()),
        #[cfg(feature = "pdf")]
        Document::Pdf(pdf) => (pdf.pages(), pdf.sealed()),
    };
    let opened = Told::Opened { format, sm3: digest, pages, sealed, findings: findings.into_list() };
    wire::write_frame(output, &opened, &[])?;
    while let Some((ask, _)) = wire::read_frame::<Ask>(input)? {
        renew_time();
        let Ask::Page(request) = ask else {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a second document"));
        };
        let drawn = match &mut document {
            Document::Ofd(ofd) => ofd.draw(&request, &mut fonts),
            #[cfg(feature = "pdf")]
            Document::Pdf(pdf) => pdf.draw(&request, &mut fonts),
        };
        match drawn {
            Ok(drawn) => tell(output, &request, drawn)?,
            Err(reason) => refuse(output, reason)?,
        }
    }
    Ok(())
}

/// As many bytes as were announced; `None` when that is more than is drawn.
fn file(input: &mut impl Read, bytes: u64) -> io::Result<Option<Vec<u8>>> {
    if bytes > MAX_DOCUMENT {
        return Ok(None);
    }
    let mut file = Vec::new();
    input.take(bytes).read_to_end(&mut file)?;
    if file.len() as u64 == bytes { Ok(Some(file)) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

fn open(bytes: Vec<u8>, findings: &mut Findings) -> Result<(Document, Format), String> {
    match detect(&bytes) {
        Kind::Ofd => {
            let document = OfdDocument::open(bytes, findings).map_err(|error| error.to_string())?;
            Ok((Document::Ofd(Box::new(document)), Format::Ofd))
        }
        #[cfg(feature = "pdf")]
        Kind::Pdf => Ok((Document::Pdf(Box::new(PdfDocument::open(bytes, findings)?)), Format::Pdf)),
        _ => Err("neither OFD nor PDF".to_owned()),
    }
}

fn refuse(output: &mut impl Write, reason: String) -> io::Result<()> {
    wire::write_frame(output, &Told::Refused { reason: crate::findings::shorten(&reason) }, &[])
}

fn tell_seal(output: &mut impl Write, drawn: Pixmap) -> io::Result<()> {
    wire::write_frame(output, &Told::Seal { width: drawn.width(), height: drawn.height() }, &[])?;
    for pixel in drawn.pixels() {
        let plain = pixel.demultiply();
        output.write_all(&[plain.red(), plain.green(), plain.blue(), plain.alpha()])?;
    }
    output.flush()
}

fn tell(output: &mut impl Write, request: &PageRequest, mut drawn: Drawn) -> io::Result<()> {
    if !drawn.searchable {
        drawn.findings.add(None, FindingKind::TextUnsearchable);
    }
    let (width, height) = drawn.layers.first().map_or((0, 0), |layer| (layer.width(), layer.height()));
    let head = PageHead {
        page: request.page,
        width_mm: drawn.mm[0],
        height_mm: drawn.mm[1],
        width,
        height,
        layers: drawn.layers.len() as u32,
        text: drawn.text,
        searchable: drawn.searchable,
        findings: drawn.findings.into_list(),
    };
    wire::write_frame(output, &Told::Page(head), &[])?;
    // Pages are white paper, so nothing is transparent and the pixels are what they seem.
    for layer in drawn.layers {
        output.write_all(layer.data())?;
    }
    output.flush()
}
