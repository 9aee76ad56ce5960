//! A picture that is being drawn, and what it may cost.

use std::rc::Rc;

use tiny_skia::{BlendMode, FillRule, Mask, Paint, Path, Pixmap, PixmapPaint, PixmapRef, Rect, Stroke, Transform};

/// Operations of one page, after composites and templates are expanded. The densest real page has 4 000.
const MAX_OPERATIONS: u32 = 200_000;
/// Work of one page, in pixels: 100 times the largest picture, which takes some seconds.
const MAX_WORK: u64 = 1_600_000_000;
/// What a segment of a path costs, in the same unit.
const SEGMENT: u64 = 64;
/// Smallest difference of a channel that counts as a mark. Less is not seen on paper or screen.
const VISIBLE: u8 = 12;

/// What drawing a shape left on the picture.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Mark {
    /// It is there.
    Made,
    /// It lies on the picture and changed nothing.
    Nothing,
    /// It lies outside.
    Outside,
}

/// A pixel rectangle: left, top, right, bottom.
pub type PixelBox = [u32; 4];

/// A limit that a page reached.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Exhausted {
    /// Which.
    pub what: &'static str,
    /// Its value.
    pub limit: u64,
}

/// A picture and the budget for it.
pub struct Canvas {
    pixmap: Pixmap,
    operations: u32,
    work: u64,
    /// The first limit that was reached; nothing is drawn afterwards.
    pub exhausted: Option<Exhausted>,
}

/// How a shape is put on the picture.
pub struct Ink<'a> {
    /// Colour or shading, in the coordinates of the shape; anti-aliasing and blending.
    pub paint: Paint<'a>,
    /// Outside of it nothing is drawn.
    pub clip: Option<Rc<Mask>>,
}

impl Canvas {
    /// A picture of that size: white paper, or transparent. `None` when it is empty or too large.
    pub fn new(width: u32, height: u32, paper: bool) -> Option<Self> {
        let mut pixmap = Pixmap::new(width, height)?;
        if paper {
            pixmap.fill(tiny_skia::Color::WHITE);
        }
        Some(Self { pixmap, operations: 0, work: 0, exhausted: None })
    }

    /// A picture that something else drew, to put seals on.
    #[cfg(feature = "pdf")]
    pub fn of(pixmap: Pixmap) -> Self {
        Self { pixmap, operations: 0, work: 0, exhausted: None }
    }

    /// The picture so far.
    pub fn pixmap(&self) -> &Pixmap {
        &self.pixmap
    }

    /// The finished picture.
    pub fn into_pixmap(self) -> Pixmap {
        self.pixmap
    }

    /// Accounts for an object that is looked at; false when nothing is left.
    pub fn step(&mut self) -> bool {
        if self.exhausted.is_none() {
            self.operations += 1;
            if self.operations > MAX_OPERATIONS {
                self.exhausted = Some(Exhausted { what: "drawing operations", limit: MAX_OPERATIONS.into() });
            }
        }
        self.exhausted.is_none()
    }

    /// A new budget, for what our own program puts on the page.
    pub fn renew(&mut self) {
        (self.operations, self.work, self.exhausted) = (0, 0, None);
    }

    /// Takes over what another picture of the same page has cost.
    pub fn charge(&mut self, other: &Self) {
        self.operations = self.operations.saturating_add(other.operations);
        self.work = self.work.saturating_add(other.work);
        self.exhausted = self.exhausted.or(other.exhausted);
    }

    /// Fills a shape.
    pub fn fill(&mut self, path: &Path, rule: FillRule, ink: &Ink<'_>, transform: Transform) -> Mark {
        let Some(bounds) = path.bounds().transform(transform) else { return Mark::Outside };
        if !self.spend(path.len(), bounds) {
            return Mark::Outside;
        }
        self.pixmap.fill_path(path, &ink.paint, rule, transform, ink.clip.as_deref());
        Mark::Made
    }

    /// Draws the line of a shape. Width and dashes are in the coordinates of the shape.
    pub fn stroke(&mut self, path: &Path, stroke: &Stroke, ink: &Ink<'_>, transform: Transform) -> Mark {
        // Joins reach out by the miter limit at most; half a pixel is the thinnest line.
        let reach = stroke.width * stroke.miter_limit.max(1.0);
        let bounds = path.bounds().outset(reach, reach).and_then(|bounds| bounds.transform(transform));
        let Some(bounds) = bounds.and_then(|bounds| bounds.outset(1.0, 1.0)) else { return Mark::Outside };
        if !self.spend(path.len() * 4, bounds) {
            return Mark::Outside;
        }
        self.pixmap.stroke_path(path, &ink.paint, stroke, transform, ink.clip.as_deref());
        Mark::Made
    }

    /// Fills a shape and says whether that can be seen, with the pixels it is on.
    pub fn fill_checked(&mut self, path: &Path, ink: &Ink<'_>, transform: Transform) -> (Mark, Option<PixelBox>) {
        let Some(area) = path.bounds().transform(transform).and_then(|bounds| self.pixels(bounds)) else {
            return (Mark::Outside, None);
        };
        let before = self.copy(area);
        if self.fill(path, FillRule::Winding, ink, transform) == Mark::Outside {
            return (Mark::Outside, None);
        }
        let mark = if differ(&before, &self.copy(area)) { Mark::Made } else { Mark::Nothing };
        (mark, Some(area))
    }

    /// The pixels that a shape may be on.
    pub fn pixels_of(&self, path: &Path, transform: Transform) -> Option<PixelBox> {
        self.pixels(path.bounds().transform(transform)?)
    }

    /// Draws a picture whose unit is the pixel through `transform`.
    pub fn picture(&mut self, picture: PixmapRef<'_>, alpha: f32, blend: BlendMode, clip: Option<&Mask>, transform: Transform) {
        let size = Rect::from_xywh(0.0, 0.0, picture.width() as f32, picture.height() as f32);
        let Some(bounds) = size.and_then(|size| size.transform(transform)) else { return };
        if !self.spend(4, bounds) {
            return;
        }
        let quality = tiny_skia::FilterQuality::Bilinear;
        self.pixmap.draw_pixmap(0, 0, picture, &PixmapPaint { opacity: alpha, blend_mode: blend, quality }, transform, clip);
    }

    /// A clip: the part of `within` that lies inside a shape.
    pub fn clip(&mut self, path: &Path, rule: FillRule, transform: Transform, within: Option<&Mask>) -> Option<Mask> {
        let (width, height) = (self.pixmap.width(), self.pixmap.height());
        self.work = self.work.saturating_add(u64::from(width) * u64::from(height) / 4);
        if !self.spend(path.len(), Rect::from_xywh(0.0, 0.0, 1.0, 1.0)?) {
            return None;
        }
        let mut mask = match within {
            Some(mask) => mask.clone(),
            None => {
                let mut mask = Mask::new(width, height)?;
                mask.fill_path(path, rule, true, transform);
                return Some(mask);
            }
        };
        mask.intersect_path(path, rule, true, transform);
        Some(mask)
    }

    /// Whether two pictures of one page look different in a box.
    pub fn differs(&self, other: &Pixmap, area: PixelBox) -> bool {
        differ(&self.copy(area), &copy(other, area))
    }

    /// Whether everything has one colour.
    pub fn is_blank(&self) -> bool {
        let mut pixels = self.pixmap.pixels().iter();
        let first = pixels.next();
        pixels.all(|pixel| Some(pixel) == first)
    }

    /// Whether a rectangle of left, top, right and bottom shows one colour, as far as an eye can tell.
    #[cfg(feature = "pdf")]
    pub fn is_one_colour(&self, [left, top, right, bottom]: [f64; 4]) -> bool {
        let rect = Rect::from_ltrb(left as f32, top as f32, right as f32, bottom as f32);
        let Some(area) = rect.and_then(|rect| self.pixels(rect)) else { return true };
        let pixels = self.copy(area);
        let first = &pixels[..pixels.len().min(4)];
        pixels.chunks_exact(4).all(|pixel| !differ(first, pixel))
    }

    /// The pixels that a rectangle touches; `None` outside of the picture.
    fn pixels(&self, bounds: Rect) -> Option<PixelBox> {
        let (width, height) = (self.pixmap.width() as f32, self.pixmap.height() as f32);
        if !(bounds.left() < width && bounds.top() < height && bounds.right() > 0.0 && bounds.bottom() > 0.0) {
            return None;
        }
        // A glyph's hairline can lie between two rows of pixels; one pixel around it is looked at too.
        let low = |v: f32| (v.floor() - 1.0).max(0.0) as u32;
        let high = |v: f32, limit: f32| (v.ceil() + 1.0).min(limit) as u32;
        Some([low(bounds.left()), low(bounds.top()), high(bounds.right(), width), high(bounds.bottom(), height)])
    }

    fn copy(&self, area: PixelBox) -> Vec<u8> {
        copy(&self.pixmap, area)
    }

    /// Accounts for one operation; false when it is outside of the picture, or when nothing is left.
    fn spend(&mut self, segments: usize, bounds: Rect) -> bool {
        if !self.step() {
            return false;
        }
        let area = self.pixels(bounds).map(|[l, t, r, b]| u64::from(r - l) * u64::from(b - t));
        let cost = area.unwrap_or(0) + segments as u64 * SEGMENT;
        self.work = self.work.saturating_add(cost);
        if self.work > MAX_WORK {
            self.exhausted = Some(Exhausted { what: "pixels of work", limit: MAX_WORK });
            return false;
        }
        area.is_some()
    }
}

fn copy(pixmap: &Pixmap, [left, top, right, bottom]: PixelBox) -> Vec<u8> {
    let row = |y: u32| {
        let start = (y * pixmap.width() + left) as usize * 4;
        &pixmap.data()[start..start + (right - left) as usize * 4]
    };
    (top..bottom).flat_map(row).copied().collect()
}

fn differ(a: &[u8], b: &[u8]) -> bool {
    a.iter().zip(b).any(|(a, b)| a.abs_diff(*b) >= VISIBLE)
}
