//! Text objects (GB/T 33190 clause 11): which glyph, where, how large, and whether anybody can see it.
//!
//! Every glyph stands where the document says, whatever face draws it. A face that took another's place is squeezed where its glyph
//! is wider than its room; a glyph that nothing has leaves a box.

use std::rc::Rc;
use std::sync::Arc;

use sealagent::ofd::Element;
use sealagent::preview::{FindingKind, Hidden, MAX_GLYPHS, TextRun, TextSource};
use tiny_skia::{PathBuilder, Rect, Stroke, Transform};

use super::resources::Font;
use super::values::{deltas, is_true, number, numbers};
use super::walk::{Graphic, Scope, Walk, scale_of};
use crate::canvas::{Mark, PixelBox};
use crate::fonts::Face;

/// Height of a font above its baseline, in em: of Chinese faces.
const ASCENT: f32 = 0.88;
/// Thickness that makes a face heavy that has no heavy kin, in em.
const EMBOLDEN: f32 = 0.03;
/// Slant that makes a face italic, as a tangent.
const SLANT: f32 = 0.2;
/// Pixels to the em below which the thinnest strokes of a face may get lost.
const SMALL: f32 = 40.0;
/// Pixels that are then put around an outline.
const HAIR: f32 = 0.2;
/// A weight from which on a face is heavy.
const BOLD: f32 = 600.0;
/// Bytes of an embedded font.
const MAX_FONT: u64 = 64 << 20;

/// Text that was drawn in one go.
pub(super) struct Run {
    pub source: TextSource,
    pub glyphs: Vec<Glyph>,
}

/// One character of it.
pub(super) struct Glyph {
    pub character: char,
    /// x, y, width, height in pixels of the page.
    pub place: [f32; 4],
    pub mark: Mark,
    /// The pixels that it may have marked.
    pub pixels: Option<PixelBox>,
}

/// How the glyphs of one object are drawn.
struct Style {
    size: f32,
    /// `HScale`.
    stretch: f32,
    /// `CharDirection` in degrees.
    turn: f32,
    bold: bool,
    italic: bool,
    fills: bool,
    strokes: Option<f32>,
}

/// A glyph that was chosen.
struct Chosen {
    face: Arc<Face>,
    glyph: u32,
    embedded: bool,
}

impl Walk<'_> {
    pub(super) fn text(&mut self, graphic: &Graphic<'_>, scope: &Scope) {
        if self.without_text {
            return;
        }
        let object = graphic.id;
        let flag = |name, default| graphic.element.attribute(name).map_or(default, is_true);
        let of = |name| graphic.element.attribute(name).and_then(number);
        let Some(size) = of("Size").filter(|size| *size > 0.0) else {
            return self.findings.add(Some(object), FindingKind::ObjectSkipped { what: "text without a size".into() });
        };
        let name = graphic.element.attribute("Font").unwrap_or_default().trim();
        let font = self.find(|resources| resources.fonts.get(name).cloned()).unwrap_or_else(|| {
            let what = format!("text without the font {}", crate::findings::shorten(name));
            self.findings.add(Some(object), FindingKind::DrawnOtherwise { what });
            Rc::new(Font { name: "?".into(), wanted: Default::default(), file: None })
        });
        let embedded = self.embedded(&font);
        let width = graphic.attribute("LineWidth").and_then(number).unwrap_or(0.353);
        let style = Style {
            size,
            stretch: of("HScale").filter(|scale| *scale > 0.0).unwrap_or(1.0),
            turn: of("CharDirection").unwrap_or(0.0),
            bold: of("Weight").is_some_and(|weight| weight >= BOLD) || embedded.is_none() && font.wanted.bold,
            italic: flag("Italic", false),
            fills: flag("Fill", true),
            strokes: flag("Stroke", false).then_some(width),
        };
        let mut transforms: Vec<&Element> = Vec::new();
        let mut start = (0.0, 0.0);
        for child in &graphic.element.children {
            match &*child.name {
                "CGTransform" => transforms.push(child),
                "TextCode" => {
                    let of = |name| child.attribute(name).and_then(number);
                    // A code without X or Y begins where the one before began.
                    start = (of("X").unwrap_or(start.0), of("Y").unwrap_or(start.1));
                    self.code(graphic, scope, &font, embedded.as_ref(), &style, child, &std::mem::take(&mut transforms), start);
                }
                _ => {}
            }
        }
    }

    /// The usable embedded face of a font.
    fn embedded(&mut self, font: &Font) -> Option<Arc<Face>> {
        let path = font.file.as_ref()?;
        if let Some(known) = self.shared.faces.get(path) {
            return known.clone();
        }
        let face =
            self.package.read(path, MAX_FONT).map_err(|error| error.to_string()).and_then(|b| Face::embedded(b, &font.name));
        let face = match face {
            Ok(face) => Some(face),
            Err(reason) => {
                let wanted = format!("{} (embedded file: {})", font.name, crate::findings::shorten(&reason));
                self.findings.add(None, FindingKind::FontSubstituted { wanted, used: "another font".into() });
                None
            }
        };
        self.shared.faces.insert(path.clone(), face.clone());
        face
    }

    #[allow(clippy::too_many_arguments, reason = "one loop over the characters of one code, called once")]
    fn code(
        &mut self,
        graphic: &Graphic<'_>,
        scope: &Scope,
        font: &Rc<Font>,
        embedded: Option<&Arc<Face>>,
        style: &Style,
        code: &Element,
        transforms: &[&Element],
        start: (f32, f32),
    ) {
        let characters: Vec<char> = characters(code.verbatim());
        let count = characters.len();
        let shifts = |name| code.attribute(name).map(|text| deltas(text, count));
        let (dx, dy) = (shifts("DeltaX"), shifts("DeltaY"));
        if [&dx, &dy].iter().any(|shift| matches!(shift, Some(None))) {
            let what = "text with unreadable distances".into();
            self.findings.add(Some(graphic.id), FindingKind::DrawnOtherwise { what });
        }
        let (dx, dy) = (dx.flatten(), dy.flatten());
        let numbered = self.numbered(graphic.id, transforms, count);
        let mut run = Run { source: scope.source, glyphs: Vec::new() };
        let (mut x, mut y) = start;
        let mut before: Option<(bool, f32)> = None;
        for (n, character) in characters.iter().enumerate() {
            if !self.canvas.step() {
                break;
            }
            // Numbers mean glyphs of the embedded font; without it they mean nothing.
            let chosen = match (numbered.get(n), embedded) {
                (Some(Numbered::Glyphs(glyphs)), Some(face)) => {
                    let of = |number: &u32| Some(Chosen { face: face.clone(), glyph: face.numbered(*number)?, embedded: true });
                    glyphs.iter().map(of).collect()
                }
                _ => self.choose(font, embedded, style, *character).map(|chosen| vec![chosen]),
            };
            let own =
                chosen.as_ref().and_then(|all: &Vec<Chosen>| all.first()).and_then(|c| c.face.advance(c.glyph)).unwrap_or(1.0);
            let own = own * style.size * style.stretch;
            // Where the next character stands: as the document says, else as the font says.
            let next = match (&dx, &dy) {
                (None, None) => (own, 0.0),
                _ => {
                    let step = |list: &Option<Vec<f32>>| list.as_ref().and_then(|list| list.get(n).copied());
                    match (step(&dx), step(&dy)) {
                        (None, None) => (if dx.is_some() { own } else { 0.0 }, if dx.is_none() { style.size } else { 0.0 }),
                        (x, y) => (x.unwrap_or(0.0), y.unwrap_or(0.0)),
                    }
                }
            };
            // The last character has no next one to say how wide it is: as wide as the one before it, if both are of a kind.
            let room = if next.0 > 0.0 && n + 1 < count {
                next.0
            } else {
                before.filter(|(kind, _)| *kind == character.is_ascii()).map_or(own, |(_, room)| room.min(own))
            };
            before = Some((character.is_ascii(), room));
            let glyph = self.glyph(graphic, style, *character, chosen.as_deref(), (x, y), room);
            if self.glyphs < MAX_GLYPHS {
                self.glyphs += 1;
                run.glyphs.push(glyph);
            } else {
                self.findings.add(None, FindingKind::Truncated { what: "glyphs told".into(), limit: MAX_GLYPHS as u64 });
            }
            (x, y) = (x + next.0, y + next.1);
        }
        self.runs.push(run);
    }

    /// Glyph numbers for each character out of `CGTransform`.
    fn numbered(&mut self, object: &str, transforms: &[&Element], count: usize) -> Vec<Numbered> {
        let mut out: Vec<Numbered> = Vec::new();
        for transform in transforms {
            let whole =
                |name, default| transform.attribute(name).map_or(Some(default), |value| value.trim().parse::<usize>().ok());
            let glyphs = transform.all("Glyphs").next().and_then(|glyphs| numbers(&glyphs.text));
            let (Some(position), Some(codes), Some(glyphs)) = (whole("CodePosition", 0), whole("CodeCount", 1), glyphs) else {
                let what = "text with unreadable glyph numbers".into();
                self.findings.add(Some(object), FindingKind::DrawnOtherwise { what });
                continue;
            };
            if position >= count || glyphs.is_empty() {
                continue;
            }
            let codes = codes.clamp(1, count - position);
            out.resize(out.len().max(position + codes), Numbered::LookUp);
            out[position..position + codes].fill(Numbered::Glyphs(Vec::new()));
            for (k, glyph) in glyphs.into_iter().take(count).enumerate() {
                if let Numbered::Glyphs(all) = &mut out[position + k.min(codes - 1)] {
                    all.push(glyph as u32);
                }
            }
        }
        out
    }

    /// The face and glyph of a character: the embedded one, else one of this system.
    fn choose(&mut self, font: &Font, embedded: Option<&Arc<Face>>, style: &Style, character: char) -> Option<Chosen> {
        if let Some(face) = embedded
            && let Some(glyph) = face.glyph(character)
        {
            return Some(Chosen { face: face.clone(), glyph, embedded: true });
        }
        if character.is_whitespace() || character.is_control() {
            return None;
        }
        let mut wanted = font.wanted.clone();
        wanted.bold |= style.bold;
        wanted.italic |= style.italic;
        let choice = self.fonts.choose(&wanted, character);
        match choice {
            Some(choice) => {
                if !choice.exact || embedded.is_some() {
                    let why = if embedded.is_some() { " (embedded, without some of its characters)" } else { "" };
                    let (wanted, used) = (format!("{}{why}", font.name), choice.face.name.clone());
                    self.findings.add(None, FindingKind::FontSubstituted { wanted, used });
                }
                Some(Chosen { face: choice.face, glyph: choice.glyph, embedded: false })
            }
            None => {
                self.findings.add(None, FindingKind::GlyphMissing { characters: character.to_string() });
                None
            }
        }
    }

    /// Draws the glyphs of one character with its origin at (x, y).
    #[allow(clippy::too_many_arguments, reason = "one glyph's circumstances, called once")]
    fn glyph(
        &mut self,
        graphic: &Graphic<'_>,
        style: &Style,
        character: char,
        chosen: Option<&[Chosen]>,
        (x, y): (f32, f32),
        room: f32,
    ) -> Glyph {
        let place = graphic.transform.pre_translate(x, y).pre_rotate(style.turn);
        let box_of = |width: f32| Rect::from_xywh(0.0, -ASCENT * style.size, width.max(style.size * 0.05), style.size);
        let area = box_of(room).and_then(|rect| rect.transform(place));
        let mut glyph = Glyph {
            character,
            place: area.map_or([0.0; 4], |rect| [rect.x(), rect.y(), rect.width(), rect.height()]),
            mark: Mark::Made,
            pixels: None,
        };
        if character.is_whitespace() || character.is_control() {
            return glyph;
        }
        let mut along = 0.0;
        let mut marks: Option<Mark> = None;
        match chosen {
            Some(all) => {
                for one in all {
                    let advance = one.face.advance(one.glyph).unwrap_or(1.0) * style.size * style.stretch;
                    let squeeze = if !one.embedded && advance > room * 1.02 { room / advance } else { 1.0 };
                    let outline = one.face.outline(one.glyph);
                    if let Some(outline) = outline {
                        let scale = place.pre_translate(along, 0.0).pre_scale(style.size * style.stretch * squeeze, -style.size);
                        let slant = if style.italic && !one.face.italic {
                            Transform::from_skew(SLANT, 0.0)
                        } else {
                            Transform::identity()
                        };
                        let bold = style.bold && !one.face.bold;
                        let (mark, pixels) = self.shape(graphic, style, &outline, scale.pre_concat(slant), bold);
                        glyph.pixels = union(glyph.pixels, pixels);
                        marks = Some(match (marks, mark) {
                            (Some(Mark::Made), _) | (_, Mark::Made) => Mark::Made,
                            (_, mark) => mark,
                        });
                    }
                    along += advance;
                }
            }
            None => marks = Some(self.missing(graphic, style, character, place, room)),
        }
        glyph.mark = marks.unwrap_or(Mark::Made);
        glyph
    }

    /// Fills and strokes one outline.
    fn shape(
        &mut self,
        graphic: &Graphic<'_>,
        style: &Style,
        outline: &tiny_skia::Path,
        transform: Transform,
        bold: bool,
    ) -> (Mark, Option<PixelBox>) {
        self.objects += 1;
        let mut result = (Mark::Nothing, None);
        if style.fills {
            let shader = match graphic.color("FillColor") {
                Some(color) => self.paint_of(color, graphic.alpha, graphic.id),
                None => {
                    let black = tiny_skia::Color::from_rgba(0.0, 0.0, 0.0, graphic.alpha);
                    tiny_skia::Shader::SolidColor(black.unwrap_or(tiny_skia::Color::BLACK))
                }
            };
            let ink = graphic.ink(shader);
            result = self.canvas.fill_checked(outline, &ink, transform);
            // Strokes thinner than a quarter of a pixel can fall between the samples of the rasteriser: 上 becomes ⊥.
            let em = scale_of(transform);
            let thin = if em < SMALL { HAIR / em.max(1e-3) } else { 0.0 };
            let width = if bold { EMBOLDEN.max(thin) } else { thin };
            if width > 0.0 && result.0 != Mark::Outside {
                self.canvas.stroke(outline, &Stroke { width, ..Stroke::default() }, &ink, transform);
            }
        }
        // The standard's default for the lines of text is transparent.
        if let (Some(width), Some(_)) = (style.strokes, graphic.color("StrokeColor")) {
            let shader = self.stroke_paint(graphic);
            let stroke = Stroke { width: width / style.size, ..Stroke::default() };
            let mark = self.canvas.stroke(outline, &stroke, &graphic.ink(shader), transform);
            if mark == Mark::Made {
                result = (Mark::Made, result.1.or_else(|| self.canvas.pixels_of(outline, transform)));
            }
        }
        result
    }

    /// A box where a glyph should be: a gap could hide an amount.
    fn missing(&mut self, graphic: &Graphic<'_>, style: &Style, character: char, place: Transform, room: f32) -> Mark {
        self.findings.add(None, FindingKind::GlyphMissing { characters: character.to_string() });
        let width = (room * 0.8).max(style.size * 0.3);
        let Some(rect) = Rect::from_xywh(room * 0.1, -0.75 * style.size, width, 0.8 * style.size) else { return Mark::Outside };
        let path = PathBuilder::from_rect(rect);
        let ink = graphic.ink(tiny_skia::Shader::SolidColor(tiny_skia::Color::BLACK));
        self.objects += 1;
        self.canvas.stroke(&path, &Stroke { width: style.size * 0.06, ..Stroke::default() }, &ink, place)
    }
}

/// What `CGTransform` says of a character.
#[derive(Clone)]
enum Numbered {
    /// Its glyphs; none when it shares that of the character before it.
    Glyphs(Vec<u32>),
    /// Nothing: its glyph is found like any other's.
    LookUp,
}

fn union(a: Option<PixelBox>, b: Option<PixelBox>) -> Option<PixelBox> {
    match (a, b) {
        (Some(a), Some(b)) => Some([a[0].min(b[0]), a[1].min(b[1]), a[2].max(b[2]), a[3].max(b[3])]),
        (a, b) => a.or(b),
    }
}

/// The characters of a code. White space at its ends counts, except for the line breaks of indented files.
fn characters(text: &str) -> Vec<char> {
    let trimmed = if text.contains('\n') && text.trim() != text { text.trim() } else { text };
    trimmed.chars().collect()
}

/// The runs as they are told: in mm, cut where what can be seen ends. `covered` says of pixels whether what was drawn there is gone.
pub(super) fn told(runs: Vec<Run>, scale: f32, covered: impl Fn(PixelBox) -> bool) -> Vec<TextRun> {
    let mut out = Vec::new();
    for run in runs {
        let mut last = None;
        for (n, glyph) in run.glyphs.iter().enumerate() {
            let blank = glyph.character.is_whitespace() || glyph.character.is_control();
            let hidden = match glyph.mark {
                _ if blank => last.unwrap_or(None),
                Mark::Nothing => Some(Hidden::NoMark),
                Mark::Outside => Some(Hidden::OutsidePage),
                Mark::Made => glyph.pixels.filter(|pixels| covered(*pixels)).map(|_| Hidden::Covered),
            };
            if n == 0 || last != Some(hidden) {
                out.push(TextRun { text: String::new(), boxes: Vec::new(), source: run.source, hidden });
            }
            last = Some(hidden);
            if let Some(told) = out.last_mut() {
                told.text.push(glyph.character);
                told.boxes.push(glyph.place.map(|pixels| (pixels / scale * 1000.0).round() / 1000.0));
            }
        }
    }
    out
}
