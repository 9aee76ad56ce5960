//! Where on the pages of a document its seals are, and on which pages content stands that a signature leaves unprotected.
//!
//! This is orientation for a person who looks at page pictures. The verdict is the report's alone.

use std::collections::{BTreeSet, HashMap};

use serde::Serialize;

use crate::document::DocumentError;
use crate::ofd::{Ofd, OfdError};
use crate::pdf;
use crate::signing::subject::Bytes;
use crate::stamp::RectMm;
use crate::verify::Report;
use crate::verify::report::FileFormat;

/// Pages whose sizes are told; more are not drawn either.
const MAX_PAGES: usize = 20_000;
/// Places of seals that are told: a straddle seal over a thousand pages, and again for some further signatures.
const MAX_MARKS: usize = 5_000;
/// Signatures that are named for one page. A file of some megabytes can have two thousand, on each of twenty thousand pages.
const MAX_OPEN: usize = 100;

/// The pages, and what is where on them.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Places {
    /// In reading order. Empty when the file has none or they cannot be read.
    pub pages: Vec<PagePlace>,
    /// Where seals show.
    pub marks: Vec<Mark>,
}

/// A page.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PagePlace {
    /// Width in mm.
    pub width_mm: f64,
    /// Height in mm.
    pub height_mm: f64,
    /// Signatures (places in the report) that leave something of what this page draws unprotected.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub uncovered_by: Vec<usize>,
}

/// Where the seal of a signature shows. Lengths in mm from the page's top left corner.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Mark {
    /// Its place in the report.
    pub signature: usize,
    /// The page, from 1.
    pub page: usize,
    x: f64,
    y: f64,
    width: f64,
    height: f64,
}

impl Mark {
    fn new(signature: usize, page: usize, rect: RectMm) -> Self {
        Self { signature, page, x: rect.x, y: rect.y, width: rect.width, height: rect.height }
    }
}

/// The places of a document that was judged. What cannot be read is left out: the report says why. Blocks.
pub(super) fn of(bytes: &Bytes, report: &Report) -> Places {
    let places = match report.format {
        FileFormat::Ofd => of_ofd(bytes, report).map_err(DocumentError::from),
        FileFormat::Pdf => of_pdf(bytes, report),
        _ => Ok(Places::default()),
    };
    places.unwrap_or_else(|error| {
        tracing::debug!(%error, "the places of a document cannot be told");
        Places::default()
    })
}

fn of_ofd(bytes: &Bytes, report: &Report) -> Result<Places, OfdError> {
    let mut ofd = Ofd::open(bytes.reader())?;
    let body = ofd.single_body()?;
    // One that cannot be read keeps its place, and its picture says so.
    let (pages, _) = ofd.readable_pages(&body.current_root)?;
    let files = ofd.page_files(&body.current_root)?;
    let mut places = Places::default();
    let uncovered: Vec<BTreeSet<&str>> =
        report.signatures.iter().map(|signature| signature.uncovered.iter().map(String::as_str).collect()).collect();
    for (page, files) in pages.iter().zip(&files).take(MAX_PAGES) {
        let files: Vec<String> = files.iter().map(ToString::to_string).collect();
        let leaves = |(n, open): (usize, &BTreeSet<&str>)| files.iter().any(|file| open.contains(file.as_str())).then_some(n);
        places.pages.push(PagePlace {
            width_mm: page.area.width,
            height_mm: page.area.height,
            uncovered_by: uncovered
                .iter()
                .enumerate()
                .filter(|(_, open)| !open.is_empty())
                .filter_map(leaves)
                .take(MAX_OPEN)
                .collect(),
        });
    }
    let by_id: HashMap<&str, (usize, RectMm)> =
        pages.iter().enumerate().map(|(n, page)| (page.id.as_str(), (n + 1, page.area))).collect();
    let Some(list) = ofd.signature_list(&body)? else { return Ok(places) };
    for (n, listed) in list.signatures.iter().enumerate().take(report.signatures.len()) {
        let Ok(signature) = ofd.signature(listed) else { continue };
        for stamp in &signature.stamps {
            let Some((page, area)) = by_id.get(stamp.page_ref.as_str()) else { continue };
            let shown = stamp.clip.map_or(stamp.boundary, |clip| RectMm {
                x: stamp.boundary.x + clip.x,
                y: stamp.boundary.y + clip.y,
                ..clip
            });
            if places.marks.len() < MAX_MARKS {
                places.marks.push(Mark::new(n, *page, RectMm { x: shown.x - area.x, y: shown.y - area.y, ..shown }));
            }
        }
    }
    Ok(places)
}

fn of_pdf(bytes: &Bytes, report: &Report) -> Result<Places, DocumentError> {
    let mut document = pdf::Document::open(bytes.reader())?;
    let mut places = Places::default();
    for page in document.pages()?.iter().take(MAX_PAGES) {
        let size = page.size();
        places.pages.push(PagePlace { width_mm: size.width, height_mm: size.height, uncovered_by: Vec::new() });
    }
    let fields = document.signature_fields()?;
    for (n, signature) in report.signatures.iter().enumerate() {
        let Some(field) = fields.iter().find(|field| field.is_signed && field.name == signature.id) else { continue };
        let shown = field.widgets.iter().filter(|widget| widget.rect.width > 0.0 && widget.rect.height > 0.0);
        for widget in shown.take(MAX_MARKS.saturating_sub(places.marks.len())) {
            places.marks.push(Mark::new(n, widget.page + 1, widget.rect));
        }
    }
    Ok(places)
}
