//! PDF pages through `hayro`, with fences around what it does not limit itself.
//!
//! Known of version 0.9: a page larger than its 16-bit sizes panics (its size is judged here first); forms that draw each other and
//! streams that inflate without end have no limit but the process's own (memory and time), and end the process, not the agent.

mod text;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::io::Cursor;
use std::sync::{Arc, Mutex, PoisonError};

use hayro::hayro_interpret::font::{FontData, FontQuery};
use hayro::hayro_interpret::hayro_cmap::CidFamily;
use hayro::hayro_interpret::{InterpreterSettings, InterpreterWarning, TransformExt as _};
use hayro::hayro_syntax::object::{Array, Dict, Name};
use hayro::hayro_syntax::page::Page;
use hayro::hayro_syntax::{LoadPdfError, Pdf};
use hayro::kurbo::Affine;
use hayro::vello_cpu::{RasterizerSettings, RenderContext, Resources, TargetInit, color::palette::css::WHITE};
use hayro::{RenderCache, RenderSettings, render_into};
use sealagent::pdf::{self, PdfError};
use sealagent::preview::{FindingKind, PageRequest};
use tiny_skia::{IntSize, Pixmap};

use crate::canvas::Canvas;
use crate::findings::{Findings, shorten};
use crate::fonts::{Fonts, Wanted};
use crate::ofd::Drawn;
use crate::seal;
use crate::size::{Sized, size};

/// Pages; as for OFD.
const MAX_PAGES: usize = 20_000;
/// Side of a page in points: 16 times what the standard once allowed (14 400), and far from what single precision cannot hold.
const MAX_POINTS: f32 = 230_400.0;
/// Millimetres to a point.
const MM: f64 = 25.4 / 72.0;

/// Differences between sizes of a page (mm) that are rounding.
const SLACK: f64 = 0.1;

/// A document whose pages can be drawn.
pub struct PdfDocument {
    pdf: Pdf,
    sheets: Vec<Sheet>,
}

/// A page as the part that signs counts and measures it.
#[derive(Clone, Copy)]
struct Sheet {
    /// Width and height as it is shown.
    mm: [f64; 2],
    /// Millimetres to a unit of the page.
    unit: f64,
    /// Its index for the library; `None` where that does not know it as a page.
    known: Option<usize>,
}

/// What the callbacks of the interpreter saw. They must be shareable between threads, so it is behind a lock.
#[derive(Default)]
struct Seen {
    warnings: BTreeSet<&'static str>,
    substituted: BTreeSet<(String, String)>,
}

impl PdfDocument {
    /// Opens a document, with the empty password if it is encrypted. Why not, in words, when it cannot be.
    pub fn open(bytes: Vec<u8>, findings: &mut Findings) -> Result<Self, String> {
        let ours = pages_to_sign(&bytes);
        let pdf = Pdf::new(bytes).map_err(|error| match error {
            LoadPdfError::Decryption(_) => "the document is encrypted".to_owned(),
            LoadPdfError::Invalid => "not a readable PDF".to_owned(),
        })?;
        let count = pdf.pages().len();
        if count > MAX_PAGES {
            return Err(format!("{count} pages, more than {MAX_PAGES}"));
        }
        let sheets = sheets(&pdf, ours, findings);
        Ok(Self { pdf, sheets })
    }

    /// Width and height of each page in mm, as it is shown.
    pub fn pages(&self) -> Vec<[f64; 2]> {
        self.sheets.iter().map(|sheet| sheet.mm).collect()
    }

    /// Pages with an annotation that is a signature field, counted from 1.
    pub fn sealed(&self) -> Vec<u32> {
        let pages = self.pdf.pages();
        let has_seal = |sheet: &Sheet| sheet.known.and_then(|known| pages.get(known)).is_some_and(has_signature);
        let sealed = self.sheets.iter().enumerate().filter(|(_, sheet)| has_seal(sheet));
        sealed.filter_map(|(index, _)| u32::try_from(index + 1).ok()).collect()
    }

    /// Draws a page. An error when there is no such page, or when its size cannot be drawn.
    pub fn draw(&mut self, request: &PageRequest, fonts: &mut Fonts) -> Result<Drawn, String> {
        let sheet = self.sheets.get((request.page as usize).wrapping_sub(1));
        let Sheet { mm, unit, known } = *sheet.ok_or_else(|| format!("there is no page {}", request.page))?;
        let mut findings = Findings::default();
        let pages = self.pdf.pages();
        let Some(page) = known.and_then(|known| pages.get(known)) else {
            findings.add(None, FindingKind::NotDrawn { reason: UNREAD.to_owned() });
            return Drawn::blank(mm, request, findings);
        };
        let (width, height) = page.render_dimensions();
        if !(width <= MAX_POINTS && height <= MAX_POINTS) {
            return Err(format!("a page of {width} × {height} points"));
        }
        if (f64::from(width) * unit - mm[0]).abs() > SLACK || (f64::from(height) * unit - mm[1]).abs() > SLACK {
            findings.add(None, FindingKind::NotDrawn { reason: "its size can be read in two ways".to_owned() });
        }
        let sized = size(mm, request.dpi, request.max_pixels)?;
        let seen = Arc::<Mutex<Seen>>::default();
        // The callbacks own what they use, so the fonts are lent to them while the page is drawn.
        let lent = Arc::new(Mutex::new(std::mem::take(fonts)));
        let settings = settings(lent.clone(), seen.clone());
        let transform = Affine::scale(f64::from(sized.scale) * unit) * page.initial_transform(true).to_kurbo();
        let picture = picture(page, &sized, transform, &settings);
        let walked = text::walk(page, transform, &settings);
        drop(settings);
        *fonts = std::mem::take(&mut *lent.lock().unwrap_or_else(PoisonError::into_inner));
        let seen = std::mem::take(&mut *seen.lock().unwrap_or_else(PoisonError::into_inner));
        for (wanted, used) in seen.substituted {
            findings.add(None, FindingKind::FontSubstituted { wanted, used });
        }
        for what in seen.warnings {
            findings.add(None, FindingKind::ObjectSkipped { what: what.to_owned() });
        }
        let canvas = Canvas::of(picture?);
        if walked.operations > 0 && canvas.is_blank() {
            findings.add(None, FindingKind::BlankPage);
        }
        let searchable = walked.searchable();
        let text = walked.told(&canvas, sized.scale, &mut findings);
        let layers = seal::with_proposed(canvas, request, sized.scale, fonts, &mut findings);
        Ok(Drawn { mm, layers, text, searchable, findings })
    }
}

/// Why a page is blank.
const UNREAD: &str = "the page cannot be read";

/// The pages as they are counted and measured where a seal is set; why not, in words, when they cannot be.
fn pages_to_sign(bytes: &[u8]) -> Result<Vec<pdf::Page>, PdfError> {
    pdf::Document::open(Cursor::new(bytes))?.pages()
}

/// The pages of both readers brought together: page 3 of the picture is page 3 of the signature, or is blank and told.
fn sheets(pdf: &Pdf, ours: Result<Vec<pdf::Page>, PdfError>, findings: &mut Findings) -> Vec<Sheet> {
    let pages = pdf.pages();
    let ours = match ours {
        Ok(ours) => ours,
        Err(error) => {
            // Nothing can be signed here. Encrypted files are read by the library alone.
            if !matches!(error, PdfError::Encrypted) {
                let reason = match error {
                    // The library counts it as often as it stands there.
                    PdfError::PageTwice(_) => error.to_string(),
                    error => format!("pages may be missing: {error}"),
                };
                findings.add(None, FindingKind::NotDrawn { reason: shorten(&reason) });
            }
            let sheet = |(known, page): (usize, &Page<'_>)| {
                let (width, height) = page.render_dimensions();
                Sheet { mm: [width, height].map(|points| f64::from(points) * MM), unit: MM, known: Some(known) }
            };
            return pages.iter().enumerate().map(sheet).collect();
        }
    };
    let numbers: HashMap<u32, usize> =
        pages.iter().enumerate().filter_map(|(index, page)| Some((page.raw().obj_id()?.obj_number, index))).collect();
    let sheets: Vec<Sheet> = ours
        .iter()
        .map(|page| {
            let size = page.size();
            Sheet { mm: [size.width, size.height], unit: page.mm_per_unit(), known: numbers.get(&page.object.number).copied() }
        })
        .collect();
    for index in sheets.iter().enumerate().filter(|(_, sheet)| sheet.known.is_none()).map(|(index, _)| index) {
        findings.add(None, FindingKind::NotDrawn { reason: format!("page {}: {UNREAD}", index + 1) });
    }
    let drawn: HashSet<usize> = sheets.iter().filter_map(|sheet| sheet.known).collect();
    if drawn.len() < pages.len() {
        let more = pages.len() - drawn.len();
        findings.add(None, FindingKind::NotDrawn { reason: format!("{more} pages that not every reader counts") });
    }
    sheets
}

fn has_signature(page: &Page<'_>) -> bool {
    let Some(annotations) = page.raw().get::<Array<'_>>("Annots") else { return false };
    let is_signature = |annotation: Dict<'_>| {
        let is = |dict: &Dict<'_>| dict.get::<Name<'_>>("FT").is_some_and(|kind| kind.as_str() == "Sig");
        is(&annotation) || annotation.get::<Dict<'_>>("Parent").is_some_and(|parent| is(&parent))
    };
    annotations.iter::<Dict<'_>>().take(10_000).any(is_signature)
}

/// The page on white paper.
fn picture(page: &Page<'_>, sized: &Sized, transform: Affine, settings: &InterpreterSettings) -> Result<Pixmap, String> {
    let (Ok(width), Ok(height)) = (u16::try_from(sized.width), u16::try_from(sized.height)) else {
        return Err(format!("a picture of {} × {} pixels", sized.width, sized.height));
    };
    let mut context = RenderContext::new(width, height);
    render_into(page, &RenderCache::new(), settings, &RenderSettings::default(), &mut context, transform);
    context.flush();
    let mut out = hayro::vello_cpu::Pixmap::new(width, height);
    let target = RasterizerSettings { target_init: TargetInit::Clear(WHITE), ..Default::default() };
    context.render_with(&mut out, &mut Resources::default(), target);
    let size = IntSize::from_wh(sized.width, sized.height);
    size.and_then(|size| Pixmap::from_vec(out.data_as_u8_slice().to_vec(), size)).ok_or_else(|| "no picture".to_owned())
}

fn settings(fonts: Arc<Mutex<Fonts>>, seen: Arc<Mutex<Seen>>) -> InterpreterSettings {
    let warned = seen.clone();
    InterpreterSettings {
        font_resolver: Arc::new(move |query| {
            let mut fonts = fonts.lock().unwrap_or_else(PoisonError::into_inner);
            let (data, index, substituted) = resolve(query, &mut fonts);
            if let Some(substituted) = substituted {
                seen.lock().unwrap_or_else(PoisonError::into_inner).substituted.insert(substituted);
            }
            Some((data, index))
        }),
        warning_sink: Arc::new(move |warning| {
            let what = match warning {
                InterpreterWarning::UnsupportedFont => "text in a font that cannot be read",
                InterpreterWarning::ImageDecodeFailure => "an image that cannot be read",
                InterpreterWarning::UnresolvedAnnotationAppearance => "an annotation without a usable appearance",
                _ => "something that the renderer does not know",
            };
            warned.lock().unwrap_or_else(PoisonError::into_inner).warnings.insert(what);
        }),
        ..InterpreterSettings::default()
    }
}

/// The font for one that is not embedded, and which name it takes the place of.
fn resolve(query: &FontQuery, fonts: &mut Fonts) -> (FontData, u32, Option<(String, String)>) {
    let fallback = match query {
        // Every reader has these fourteen.
        FontQuery::Standard(standard) => {
            let (data, index) = standard.get_font_data();
            return (data, index, None);
        }
        FontQuery::Fallback(fallback) => fallback,
    };
    let given = [&fallback.post_script_name, &fallback.font_name, &fallback.font_family];
    let names: Vec<String> = given.into_iter().flatten().cloned().collect();
    let name = names.first().map_or_else(|| "(no name)".to_owned(), |name| shorten(name));
    // A character that only fonts of this script have, and the faces that draw it as that script does.
    let script = fallback.character_collection.as_ref().and_then(|collection| match collection.family {
        CidFamily::AdobeGB1 => Some(('国', "SC")),
        CidFamily::AdobeCNS1 => Some(('國', "TC")),
        CidFamily::AdobeJapan1 => Some(('の', "JP")),
        CidFamily::AdobeKorea1 => Some(('한', "KR")),
        _ => None,
    });
    let kin = |script: &str| ["Serif", "Sans"].map(|kind| format!("Noto {kind} CJK {script}"));
    let mut wanted = Wanted {
        names,
        bold: fallback.is_bold || fallback.font_weight >= 600,
        italic: fallback.is_italic,
        serif: Some(fallback.is_serif),
        fixed: fallback.is_fixed_pitch && script.is_none(),
    };
    if let Some((_, script)) = script {
        let mut kin = kin(script);
        if !fallback.is_serif {
            kin.reverse();
        }
        wanted.names.extend(kin);
    }
    let choice = fonts.choose(&wanted, script.map_or('A', |(sample, _)| sample));
    let choice = choice.filter(|choice| script.is_some() || choice.exact);
    match choice {
        Some(choice) => {
            let (data, index) = choice.face.file();
            let used = choice.face.name.clone();
            let substituted = (!crate::fonts::is_same_family(&used, &name)).then_some((name, used));
            (data, index, substituted)
        }
        None => {
            let standard = fallback.pick_standard_font();
            let (data, index) = standard.get_font_data();
            (data, index, Some((name, standard.postscript_name().to_owned())))
        }
    }
}
