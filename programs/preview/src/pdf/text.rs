//! The text of a page with its places, from the same instructions that draw it.
//!
//! There is no box per glyph in a PDF: a glyph is as wide as it is to the next one, and as high as its font. Whether it can be seen is
//! judged by the finished picture, by what was drawn over it, and by how it was meant to be drawn.

use hayro::hayro_interpret::font::GlyphRun;
use hayro::hayro_interpret::hayro_cmap::{BfString, WritingMode};
use hayro::hayro_interpret::{
    BlendMode, ClipPath, Context, Device, DrawMode, DrawProps, Image, ImageDrawProps, InterpreterCache, InterpreterSettings,
    Paint, SoftMask, interpret_page,
};
use hayro::hayro_syntax::object::Dict;
use hayro::hayro_syntax::page::Page;
use hayro::kurbo::{Affine, BezPath, Point, Rect, Shape as _};
use sealagent::preview::{FindingKind, Hidden, MAX_GLYPHS, TextRun, TextSource};

use crate::canvas::Canvas;
use crate::findings::{Findings, shorten};

/// Units of an em in the coordinates of a glyph.
const EM: f64 = 1000.0;
/// Height above the baseline, in em, as for OFD.
const ASCENT: f64 = 0.88;
/// Things that lie over text and are remembered. Pages with more are drawn; text under the rest counts as seen.
const MAX_COVERS: usize = 5_000;

/// What a walk over a page saw.
pub(super) struct Walked {
    runs: Vec<Run>,
    /// Opaque rectangles in pixels, each with the number of glyphs before it.
    covers: Vec<(Rect, usize)>,
    glyphs: usize,
    /// Glyphs without a character.
    unknown: usize,
    /// Things drawn.
    pub operations: usize,
    groups: Vec<f32>,
    clips: Vec<Rect>,
}

struct Run {
    glyphs: Vec<Glyph>,
    /// Drawn so that nobody sees it.
    unseen: bool,
}

struct Glyph {
    characters: String,
    /// In pixels.
    place: Rect,
    /// How many glyphs came before.
    number: usize,
}

/// Walks over a page; `transform` leads to the pixels of its picture.
pub(super) fn walk(page: &Page<'_>, transform: Affine, settings: &InterpreterSettings) -> Walked {
    let area = Rect::new(-1e6, -1e6, 1e6, 1e6);
    let cache = InterpreterCache::new();
    let mut context = Context::new(transform, area, &cache, page.xref(), settings.clone());
    let mut walked = Walked {
        runs: Vec::new(),
        covers: Vec::new(),
        glyphs: 0,
        unknown: 0,
        operations: 0,
        groups: Vec::new(),
        clips: Vec::new(),
    };
    interpret_page(page, &mut context, &mut walked);
    walked
}

impl Walked {
    /// Whether the text can be searched: nearly every glyph has a character. Subsets without a map have none, or wrong ones.
    pub fn searchable(&self) -> bool {
        self.unknown * 20 <= self.glyphs
    }

    /// The runs in mm, cut where what can be seen ends, with a finding for what cannot.
    pub fn told(self, canvas: &Canvas, scale: f32, findings: &mut Findings) -> Vec<TextRun> {
        let (width, height) = (f64::from(canvas.pixmap().width()), f64::from(canvas.pixmap().height()));
        let paper = Rect::new(0.0, 0.0, width, height);
        let mut out: Vec<TextRun> = Vec::new();
        let mut hidden_text: Vec<(Hidden, String)> = Vec::new();
        for run in &self.runs {
            let mut last = None;
            for glyph in &run.glyphs {
                let blank = glyph.characters.trim().is_empty();
                let hidden = if blank {
                    last.unwrap_or(None)
                } else if !glyph.place.overlaps(paper) {
                    Some(Hidden::OutsidePage)
                } else if run.unseen {
                    Some(Hidden::NoMark)
                } else if self.covers.iter().any(|(cover, before)| *before > glyph.number && covers(*cover, glyph.place)) {
                    Some(Hidden::Covered)
                } else {
                    canvas
                        .is_one_colour([glyph.place.x0, glyph.place.y0, glyph.place.x1, glyph.place.y1])
                        .then_some(Hidden::NoMark)
                };
                if last != Some(hidden) {
                    out.push(TextRun { text: String::new(), boxes: Vec::new(), source: TextSource::Page, hidden });
                }
                last = Some(hidden);
                let Some(told) = out.last_mut() else { continue };
                // A glyph of several characters gives each its share.
                let share = glyph.place.width() / glyph.characters.chars().count().max(1) as f64;
                for (k, character) in glyph.characters.chars().enumerate() {
                    told.text.push(character);
                    let left = glyph.place.x0 + share * k as f64;
                    let place = [left, glyph.place.y0, share, glyph.place.height()];
                    told.boxes.push(place.map(|pixels| (pixels as f32 / scale * 1000.0).round() / 1000.0));
                }
                if let Some(why) = hidden.filter(|_| !blank) {
                    match hidden_text.iter_mut().find(|(known, _)| *known == why) {
                        Some((_, text)) => text.push_str(&glyph.characters),
                        None => hidden_text.push((why, glyph.characters.clone())),
                    }
                }
            }
        }
        for (why, text) in hidden_text {
            findings.add(None, FindingKind::HiddenText { text: shorten(&text), why });
        }
        out
    }

    fn opacity(&self) -> f32 {
        self.groups.iter().product()
    }

    /// Remembers an opaque rectangle that is drawn over what is there.
    fn cover(&mut self, rect: Rect) {
        let rect = self.clips.last().map_or(rect, |clip| rect.intersect(*clip));
        if self.glyphs > 0 && self.opacity() >= 1.0 && rect.area() > 0.0 && self.covers.len() < MAX_COVERS {
            self.covers.push((rect, self.glyphs));
        }
    }

    fn narrow(&mut self, rect: Rect) {
        let rect = self.clips.last().map_or(rect, |clip| rect.intersect(*clip));
        self.clips.push(rect);
    }

    /// A filled path: covers what is below when it is an upright rectangle in one solid colour.
    fn filled(&mut self, bounds: Rect, is_rectangle: bool, props: &DrawProps<'_>, mode: &DrawMode) {
        self.operations += 1;
        let solid = matches!(&props.paint, Paint::Color(color) if color.to_rgba().to_rgba8()[3] == 255);
        let fills = matches!(mode, DrawMode::Fill(_) | DrawMode::FillAndStroke(..));
        let upright = {
            let [a, b, c, d, ..] = props.transform.as_coeffs();
            (b == 0.0 && c == 0.0) || (a == 0.0 && d == 0.0)
        };
        if is_rectangle && upright && solid && fills && props.soft_mask.is_none() && props.blend_mode == BlendMode::Normal {
            self.cover(props.transform.transform_rect_bbox(bounds));
        }
    }
}

/// Whether a rectangle hides a glyph: all but a rim of it.
fn covers(cover: Rect, glyph: Rect) -> bool {
    cover.intersect(glyph).area() >= 0.95 * glyph.area()
}

impl<'a> Device<'a> for Walked {
    fn draw_path(&mut self, path: &BezPath, props: DrawProps<'a>, mode: &DrawMode) {
        let bounds = path.bounding_box();
        let is_rectangle = path.elements().len() <= 6 && (path.area().abs() - bounds.area()).abs() <= 1e-3 * bounds.area();
        self.filled(bounds, is_rectangle, &props, mode);
    }

    fn draw_rect(&mut self, rect: &Rect, props: DrawProps<'a>, mode: &DrawMode) {
        self.filled(*rect, true, &props, mode);
    }

    fn push_clip_path(&mut self, clip: &ClipPath) {
        self.narrow(clip.path.bounding_box());
    }

    fn push_clip_rect(&mut self, rect: &Rect) {
        self.narrow(*rect);
    }

    fn push_transparency_group(&mut self, opacity: f32, mask: Option<SoftMask<'a>>, blend_mode: BlendMode) {
        // Below a mask or a blend nothing is surely hidden, nor surely shown: only "not opaque" is known.
        let opaque = mask.is_none() && blend_mode == BlendMode::Normal;
        self.groups.push(if opaque { opacity } else { opacity.min(0.99) });
    }

    fn draw_glyph_run(&mut self, run: &GlyphRun<'_, 'a>, props: DrawProps<'a>, mode: &DrawMode) {
        self.operations += run.glyphs().len();
        let transparent = matches!(&props.paint, Paint::Color(color) if color.to_rgba().to_rgba8()[3] == 0);
        let unseen = matches!(mode, DrawMode::Invisible) || transparent || self.opacity() == 0.0;
        let places: Vec<Affine> = run.glyphs().iter().map(|glyph| props.transform * glyph.transform()).collect();
        let upright = run.writing_mode() == WritingMode::Horizontal;
        let mut glyphs = Vec::new();
        let mut width = None;
        for (n, glyph) in run.glyphs().iter().enumerate() {
            if self.glyphs >= MAX_GLYPHS {
                break;
            }
            let characters = match glyph.as_unicode() {
                Some(BfString::Char(character)) => character.to_string(),
                Some(BfString::String(text)) => text,
                None => String::new(),
            };
            let place = places[n];
            // To the next glyph, measured along the line in the units of this one.
            let next = places
                .get(n + 1)
                .filter(|_| upright && place.determinant() != 0.0)
                .map(|next| (place.inverse() * *next * Point::ORIGIN).x);
            let usual = if characters.is_ascii() { EM / 2.0 } else { EM };
            width = next.filter(|advance| (1.0..4.0 * EM).contains(advance)).or(width).or(Some(usual));
            let top = Rect::new(0.0, -(1.0 - ASCENT) * EM, width.unwrap_or(EM), ASCENT * EM);
            self.glyphs += 1;
            if characters.is_empty() || characters.contains('\u{fffd}') {
                self.unknown += 1;
                continue;
            }
            glyphs.push(Glyph { characters, place: place.transform_rect_bbox(top), number: self.glyphs });
        }
        self.runs.push(Run { glyphs, unseen });
    }

    fn draw_image(&mut self, image: Image<'a, '_>, props: ImageDrawProps<'a>) {
        self.operations += 1;
        if let Image::Raster(raster) = &image {
            let stream: &Dict<'_> = raster.stream().dict();
            let opaque = !stream.contains_key("SMask") && !stream.contains_key("Mask");
            if opaque && props.soft_mask.is_none() && props.blend_mode == BlendMode::Normal {
                let size = Rect::new(0.0, 0.0, f64::from(image.width()), f64::from(image.height()));
                self.cover(props.transform.transform_rect_bbox(size));
            }
        }
    }

    fn pop_clip(&mut self) {
        self.clips.pop();
    }

    fn pop_transparency_group(&mut self) {
        self.groups.pop();
    }
}
