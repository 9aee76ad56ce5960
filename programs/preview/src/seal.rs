//! Pictures of seals on a page: those that are there, and those that are asked for.

use sealagent::preview::{FindingKind, PageRequest};
use sealagent::question::Language;
use sealagent::ses::PictureFormat;
use sealagent::stamp::RectMm;
use tiny_skia::{BlendMode, FillRule, PathBuilder, Pixmap, Rect, Transform};

use crate::canvas::Canvas;
use crate::findings::Findings;
use crate::fonts::Fonts;
use crate::size::Sized;
use crate::{image, ofd, svg};

/// Pixels that a seal may cover on a page.
const MAX_NESTED: f32 = (16 << 20) as f32;

/// Where a seal lands, in mm.
pub(crate) struct Place {
    rect: [f32; 4],
    clip: Option<[f32; 4]>,
}

impl Place {
    /// A seal of the size of `rect`, of which `clip` (measured from its corner) is shown.
    pub fn new(rect: RectMm, clip: Option<RectMm>) -> Self {
        let numbers = |r: RectMm| [r.x as f32, r.y as f32, r.width as f32, r.height as f32];
        Self { rect: numbers(rect), clip: clip.map(numbers) }
    }
}

/// The pixels of a seal's picture, whatever its kind: of one that is drawn, that many.
fn pixels(file: &[u8], across: u32, down: u32, fonts: &mut Fonts, findings: &mut Findings) -> Result<Pixmap, String> {
    match PictureFormat::of(file) {
        PictureFormat::Ofd => ofd::picture(file, across, down, fonts, findings),
        PictureFormat::Svg => svg::draw(file, across, down),
        _ => image::decode(file),
    }
}

/// A seal's picture that needs a renderer (SVG, OFD) by itself, on nothing, to be put where the file cannot be shown. A seal is drawn whole
/// or not at all: why not, in words, when something of it cannot be.
pub(crate) fn alone(file: &[u8], size: &Sized, fonts: &mut Fonts) -> Result<Pixmap, String> {
    if !matches!(PictureFormat::of(file), PictureFormat::Ofd | PictureFormat::Svg) {
        return Err("neither SVG nor OFD".to_owned());
    }
    let mut findings = Findings::default();
    let drawn = pixels(file, size.width, size.height, fonts, &mut findings)?;
    match findings.into_list().iter().find(|finding| finding.is_incomplete()) {
        Some(finding) => Err(finding.line(Language::En)),
        None if drawn.pixels().iter().all(|pixel| pixel.alpha() == 0) => Err("nothing in it can be seen".to_owned()),
        None => Ok(drawn),
    }
}

/// Draws a seal's picture, whatever its kind. `transform` leads from mm to pixels.
pub(crate) fn draw(
    canvas: &mut Canvas,
    file: &[u8],
    place: &Place,
    transform: Transform,
    fonts: &mut Fonts,
    findings: &mut Findings,
) -> Result<(), String> {
    let [x, y, width, height] = place.rect;
    let whole = Rect::from_xywh(x, y, width, height).filter(|rect| rect.width() > 0.0 && rect.height() > 0.0);
    let on_page = whole.and_then(|rect| rect.transform(transform)).ok_or("its place has no area")?;
    let (across, down) = (on_page.width().ceil().max(1.0), on_page.height().ceil().max(1.0));
    if across * down > MAX_NESTED {
        return Err("its place is too large".to_owned());
    }
    let decoded = pixels(file, across as u32, down as u32, fonts, findings)?;
    let small = image::shrunk(&decoded, on_page.width(), on_page.height());
    let pixels = small.as_ref().unwrap_or(&decoded);
    // A picture without transparency would hide the text below: it is drawn as ink, as it is in a PDF.
    let is_opaque = decoded.pixels().iter().all(|pixel| pixel.is_opaque());
    let blend = if is_opaque { BlendMode::Multiply } else { BlendMode::SourceOver };
    let clip = match place.clip {
        None => None,
        Some([cx, cy, cw, ch]) => {
            let rect = Rect::from_xywh(x + cx, y + cy, cw, ch).ok_or("its clip has no area")?;
            let path = PathBuilder::from_rect(rect);
            Some(canvas.clip(&path, FillRule::Winding, transform, None).ok_or("its clip cannot be drawn")?)
        }
    };
    let fit = transform.pre_translate(x, y).pre_scale(width / pixels.width() as f32, height / pixels.height() as f32);
    canvas.picture(pixels.as_ref(), 1.0, blend, clip.as_ref(), fit);
    Ok(())
}

/// The finished layers: with the proposed seals, then without; one layer when none are proposed.
pub(crate) fn with_proposed(
    mut canvas: Canvas,
    request: &PageRequest,
    scale: f32,
    fonts: &mut Fonts,
    findings: &mut Findings,
) -> Vec<Pixmap> {
    if request.stamps.is_empty() {
        return vec![canvas.into_pixmap()];
    }
    let before = canvas.pixmap().clone();
    for stamp in &request.stamps {
        let rect = |[x, y, width, height]: [f64; 4]| RectMm { x, y, width, height };
        let place = Place::new(rect(stamp.rect), stamp.clip.map(rect));
        let drawn = draw(&mut canvas, &stamp.picture.0, &place, Transform::from_scale(scale, scale), fonts, findings);
        if let Err(reason) = drawn {
            findings.add(None, FindingKind::SealSkipped { reason: format!("the seal to be set: {reason}") });
        }
    }
    vec![canvas.into_pixmap(), before]
}
