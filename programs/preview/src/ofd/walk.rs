//! Walks the objects of a page, its templates, annotations and composites, and draws each.
//!
//! What is not drawn is told. Nesting, operations and work have limits that hold after everything is expanded.

use std::rc::Rc;

use sealagent::ofd::{Element, PackagePath};
use sealagent::preview::{FindingKind, TextSource};
use tiny_skia::{
    BlendMode, FillRule, LineCap, LineJoin, Mask, Paint, Path, PathBuilder, Pixmap, Rect, Shader, Stroke, StrokeDash, Transform,
};

use super::paint::opacity;
use super::resources::Resources;
use super::text::Run;
use super::values::{area, is_true, matrix, number, numbers};
use super::{Shared, Source, path};
use crate::canvas::{Canvas, Ink};
use crate::findings::{Findings, shorten};
use crate::fonts::Fonts;
use crate::image;

/// Blocks, composites and templates inside each other. Real files reach 3.
const MAX_DEPTH: u32 = 24;
/// Drawing parameters that build on each other.
const MAX_RELATIVES: usize = 8;
/// Dashes of one line. A page full of dotted leaders has some thousand.
const MAX_DASHES: f32 = 20_000.0;
/// Bytes of one image file.
const MAX_IMAGE_FILE: u64 = 64 << 20;
/// Width of a line when nothing says it, in mm (table 24).
const LINE_WIDTH: f32 = 0.353;

/// Where and how objects are drawn.
#[derive(Clone)]
pub(super) struct Scope {
    /// From the coordinates of the objects to pixels.
    pub transform: Transform,
    /// Outside of it nothing is drawn.
    pub clip: Option<Rc<Mask>>,
    /// Opacity of all that is around.
    pub alpha: f32,
    /// `DrawParam` of the layer.
    pub draw_param: Option<Rc<Element>>,
    /// Blocks and composites around.
    pub depth: u32,
    /// What text belongs to.
    pub source: TextSource,
}

/// One page being drawn.
pub(super) struct Walk<'a> {
    pub package: &'a mut Source,
    pub resources: &'a Resources,
    /// `PageRes`: of this page only; looked up first.
    pub own: &'a Resources,
    pub shared: &'a mut Shared,
    pub fonts: &'a mut Fonts,
    pub canvas: Canvas,
    pub findings: Findings,
    pub runs: Vec<Run>,
    pub glyphs: usize,
    /// Text is left out: the page is drawn again to see what text is covered.
    pub without_text: bool,
    /// Something was drawn after text, so some of it may be covered.
    pub over_text: bool,
    /// Objects that should leave a mark.
    pub objects: usize,
}

/// What an object has in common with all others (CT_GraphicUnit).
pub(super) struct Graphic<'e> {
    pub element: &'e Element,
    pub id: &'e str,
    /// From the object's coordinates to pixels.
    pub transform: Transform,
    /// Its `Boundary`, and how that gets to pixels.
    boundary: Option<[f32; 4]>,
    outer: Transform,
    pub clip: Option<Rc<Mask>>,
    pub alpha: f32,
    pub blend: BlendMode,
    /// Its own drawing parameters, then those it builds on, then the layer's.
    params: Vec<Rc<Element>>,
}

impl Graphic<'_> {
    /// An attribute of the object, or of its drawing parameters.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.element.attribute(name).or_else(|| self.params.iter().find_map(|param| param.attribute(name)))
    }

    fn number(&self, name: &str) -> Option<f32> {
        self.attribute(name).and_then(number)
    }

    /// `FillColor` or `StrokeColor` of the object, or of its drawing parameters.
    pub fn color(&self, name: &'static str) -> Option<&Element> {
        self.element.all(name).next().or_else(|| self.params.iter().find_map(|param| param.all(name).next()))
    }

    pub fn ink<'p>(&self, shader: Shader<'p>) -> Ink<'p> {
        Ink { paint: Paint { shader, blend_mode: self.blend, anti_alias: true, ..Paint::default() }, clip: self.clip.clone() }
    }
}

impl<'a> Walk<'a> {
    /// A resource: of the page, else of the document.
    pub fn find<T>(&self, pick: impl Fn(&Resources) -> Option<T>) -> Option<T> {
        pick(self.own).or_else(|| pick(self.resources))
    }

    /// The layers of a page or template of one `Type`, in their order.
    pub fn layers(&mut self, page: &Element, kind: &str, scope: &Scope) {
        for layer in page.all("Content").flat_map(|content| content.all("Layer")) {
            if layer.attribute("Type").map_or("Body", str::trim).eq_ignore_ascii_case(kind) {
                let draw_param = layer.attribute("DrawParam").and_then(|id| self.draw_param(id, ""));
                self.objects(layer, &Scope { draw_param, ..scope.clone() });
            }
        }
    }

    /// The objects inside a layer, block, composite unit or appearance.
    pub fn objects(&mut self, block: &Element, scope: &Scope) {
        for element in &block.children {
            if !self.canvas.step() {
                return;
            }
            self.object(element, scope);
        }
    }

    fn object(&mut self, element: &Element, scope: &Scope) {
        let id = element.attribute("ID").unwrap_or_default();
        match &*element.name {
            "PageBlock" | "Layer" => {
                if scope.depth >= MAX_DEPTH {
                    return self
                        .findings
                        .add(Some(id), FindingKind::Truncated { what: "nesting".into(), limit: MAX_DEPTH.into() });
                }
                self.objects(element, &Scope { depth: scope.depth + 1, ..scope.clone() });
            }
            "TextObject" | "PathObject" | "ImageObject" | "CompositeObject" => {
                if element.attribute("Visible").is_some_and(|visible| !is_true(visible)) {
                    return self.findings.add(Some(id), FindingKind::Invisible { what: element.name.to_string() });
                }
                let graphic = self.graphic(element, id, scope);
                match &*element.name {
                    "TextObject" => self.text(&graphic, scope),
                    "PathObject" => self.path(&graphic),
                    "ImageObject" => self.image(&graphic),
                    _ => self.composite(&graphic, scope),
                }
            }
            name => self.findings.add(Some(id), FindingKind::ObjectSkipped { what: shorten(name) }),
        }
    }

    fn graphic<'e>(&mut self, element: &'e Element, id: &'e str, scope: &Scope) -> Graphic<'e> {
        let boundary = element.attribute("Boundary").and_then(area);
        let otherwise = |what: &str| FindingKind::DrawnOtherwise { what: what.to_owned() };
        match boundary {
            None => self.findings.add(Some(id), otherwise("an object without a readable Boundary, at the corner")),
            Some([_, _, w, h]) if w < 0.0 || h < 0.0 => {
                self.findings.add(Some(id), otherwise("a Boundary of negative size, as none"))
            }
            Some(_) => {}
        }
        let corner = boundary.map_or((0.0, 0.0), |[x, y, ..]| (x, y));
        let placed = scope.transform.pre_translate(corner.0, corner.1);
        let transform = match element.attribute("CTM") {
            None => placed,
            Some(text) => match matrix(text) {
                Some(matrix) => placed.pre_concat(matrix),
                None => {
                    self.findings.add(Some(id), otherwise("an unreadable CTM, as none"));
                    placed
                }
            },
        };
        let mut params = Vec::new();
        let mut next = element.attribute("DrawParam").and_then(|name| self.draw_param(name, id));
        while let Some(param) = next.take().filter(|_| params.len() < MAX_RELATIVES) {
            next = param.attribute("Relative").and_then(|name| self.draw_param(name, id));
            params.push(param);
        }
        params.extend(scope.draw_param.clone());
        let blend = match element.attribute("BlendMode").map(str::trim) {
            None | Some("" | "Normal") => BlendMode::SourceOver,
            Some(name) => blend_mode(name).unwrap_or_else(|| {
                self.findings.add(Some(id), otherwise(&format!("the blend mode {} as normal", shorten(name))));
                BlendMode::SourceOver
            }),
        };
        let alpha = scope.alpha * opacity(element.attribute("Alpha"));
        let mut graphic =
            Graphic { element, id, transform, boundary, outer: scope.transform, clip: scope.clip.clone(), alpha, blend, params };
        for clips in element.all("Clips") {
            let follows = clips.attribute("TransFlag").is_none_or(is_true);
            for clip in clips.all("Clip") {
                self.clip(&mut graphic, clip, if follows { transform } else { placed });
            }
        }
        graphic
    }

    /// Narrows the clip of an object to the union of the areas of one `Clip`.
    fn clip(&mut self, graphic: &mut Graphic<'_>, clip: &Element, base: Transform) {
        let mut outline = PathBuilder::new();
        let mut rule = FillRule::Winding;
        for area in clip.all("Area") {
            let base = area.attribute("CTM").and_then(matrix).map_or(base, |ctm| base.pre_concat(ctm));
            for shape in &area.children {
                if &*shape.name != "Path" {
                    let what = format!("a clip by {}", shorten(&shape.name));
                    return self.findings.add(Some(graphic.id), FindingKind::DrawnOtherwise { what });
                }
                let corner = shape.attribute("Boundary").and_then(self::area).unwrap_or_default();
                let mut placed = base.pre_translate(corner[0], corner[1]);
                if let Some(ctm) = shape.attribute("CTM").and_then(matrix) {
                    placed = placed.pre_concat(ctm);
                }
                rule = fill_rule(shape);
                let data = shape.all("AbbreviatedData").next().map_or("", |data| &data.text);
                if let Some(path) = path::outline(data).path.and_then(|path| path.transform(placed)) {
                    outline.push_path(&path);
                }
            }
        }
        // A clip without an outline leaves nothing.
        let path = outline.finish().or_else(|| {
            self.findings.add(Some(graphic.id), FindingKind::DrawnOtherwise { what: "an unreadable clip, as none".into() });
            None
        });
        if let Some(path) = path {
            self.narrow(&mut graphic.clip, &path, rule);
        }
    }

    /// Narrows a clip to a shape in pixels. Nothing happens where the shape holds the whole picture.
    fn narrow(&mut self, clip: &mut Option<Rc<Mask>>, path: &Path, rule: FillRule) {
        let (width, height) = (self.canvas.pixmap().width() as f32, self.canvas.pixmap().height() as f32);
        let bounds = path.bounds();
        let holds = bounds.left() <= 0.0 && bounds.top() <= 0.0 && bounds.right() >= width && bounds.bottom() >= height;
        if holds && path.len() <= 6 && is_upright_rectangle(path) {
            return;
        }
        *clip = self.canvas.clip(path, rule, Transform::identity(), clip.as_deref()).map(Rc::new).or_else(|| clip.clone());
    }

    /// Cuts an object at its `Boundary`, as the standard wants, if it reaches beyond by more than `slack` mm. `bounds` in pixels.
    fn cut(&mut self, graphic: &mut Graphic<'_>, bounds: Option<Rect>, slack: f32) {
        let Some([x, y, width, height]) = graphic.boundary else { return };
        let Some(rect) = Rect::from_xywh(x - slack, y - slack, width + 2.0 * slack, height + 2.0 * slack) else { return };
        if width < 0.0 || height < 0.0 {
            return;
        }
        let path = PathBuilder::from_rect(rect);
        let Some(path) = path.transform(graphic.outer) else { return };
        let outer = path.bounds();
        let inside = |inner: Rect| {
            inner.left() >= outer.left() - 1.0
                && inner.top() >= outer.top() - 1.0
                && inner.right() <= outer.right() + 1.0
                && inner.bottom() <= outer.bottom() + 1.0
        };
        if !bounds.is_some_and(inside) {
            let mut clip = graphic.clip.take();
            self.narrow(&mut clip, &path, FillRule::Winding);
            graphic.clip = clip;
        }
    }

    fn draw_param(&mut self, name: &str, object: &str) -> Option<Rc<Element>> {
        let found = self.find(|resources| resources.draw_params.get(name.trim()).cloned());
        if found.is_none() {
            let what = format!("without the drawing parameters {}", shorten(name));
            self.findings.add(Some(object).filter(|id| !id.is_empty()), FindingKind::DrawnOtherwise { what });
        }
        found
    }

    fn path(&mut self, graphic: &Graphic<'_>) {
        let mut graphic = Graphic { clip: graphic.clip.clone(), params: graphic.params.clone(), ..*graphic };
        let data = graphic.element.all("AbbreviatedData").next().map_or("", |data| &data.text);
        let outline = path::outline(data);
        if !outline.whole {
            self.findings.add(Some(graphic.id), FindingKind::ObjectSkipped { what: "the rest of a malformed path".into() });
        }
        let Some(path) = outline.path else { return };
        let fills = graphic.element.attribute("Fill").is_some_and(is_true);
        let strokes = graphic.element.attribute("Stroke").is_none_or(is_true);
        let width = graphic.number("LineWidth").filter(|width| *width >= 0.0).unwrap_or(LINE_WIDTH);
        let bounds = path.bounds().transform(graphic.transform);
        // A line on the edge of its Boundary keeps its whole width.
        let slack = if strokes { width * scale_of(graphic.transform) / scale_of(graphic.outer).max(1e-6) / 2.0 } else { 0.0 };
        self.cut(&mut graphic, bounds, slack);
        self.over_text |= !self.runs.is_empty();
        // The standard's default is transparent.
        if fills && let Some(color) = graphic.color("FillColor") {
            let shader = self.paint_of(color, graphic.alpha, graphic.id);
            self.objects += 1;
            self.canvas.fill(&path, fill_rule(graphic.element), &graphic.ink(shader), graphic.transform);
        }
        if strokes {
            let shader = self.stroke_paint(&graphic);
            let stroke = self.stroke_of(&graphic, width, &path);
            self.objects += 1;
            self.canvas.stroke(&path, &stroke, &graphic.ink(shader), graphic.transform);
        }
    }

    /// The paint of lines: black when nothing says it.
    pub fn stroke_paint(&mut self, graphic: &Graphic<'_>) -> Shader<'static> {
        match graphic.color("StrokeColor") {
            Some(color) => self.paint_of(color, graphic.alpha, graphic.id),
            None => {
                Shader::SolidColor(tiny_skia::Color::from_rgba(0.0, 0.0, 0.0, graphic.alpha).unwrap_or(tiny_skia::Color::BLACK))
            }
        }
    }

    fn stroke_of(&mut self, graphic: &Graphic<'_>, width: f32, path: &Path) -> Stroke {
        let line_cap = match graphic.attribute("Cap").map(str::trim) {
            Some("Round") => LineCap::Round,
            Some("Square") => LineCap::Square,
            _ => LineCap::Butt,
        };
        let line_join = match graphic.attribute("Join").map(str::trim) {
            Some("Round") => LineJoin::Round,
            Some("Bevel") => LineJoin::Bevel,
            _ => LineJoin::Miter,
        };
        let miter_limit = graphic.number("MiterLimit").filter(|limit| (1.0..=100.0).contains(limit)).unwrap_or(3.528);
        let mut dash = None;
        if let Some(text) = graphic.attribute("DashPattern") {
            dash = self.dash(text, graphic.number("DashOffset").unwrap_or(0.0), path);
            if dash.is_none() {
                let what = "an unreadable or endless dash pattern as a solid line".into();
                self.findings.add(Some(graphic.id), FindingKind::DrawnOtherwise { what });
            }
        }
        Stroke { width, miter_limit, line_cap, line_join, dash }
    }

    fn dash(&self, text: &str, offset: f32, path: &Path) -> Option<StrokeDash> {
        let mut pattern = numbers(text)?;
        if pattern.len() > 64 || pattern.iter().any(|length| *length < 0.0) {
            return None;
        }
        if pattern.len() % 2 == 1 {
            pattern.extend(pattern.clone());
        }
        let period: f32 = pattern.iter().sum();
        let bounds = path.bounds();
        // A curve inside its control points is not longer than twice the way around them, for each segment.
        let length = (bounds.width() + bounds.height()) * 2.0 * path.len() as f32;
        let dashes = length / period * pattern.len() as f32;
        (dashes <= MAX_DASHES).then(|| StrokeDash::new(pattern, offset))?
    }

    fn composite(&mut self, graphic: &Graphic<'_>, scope: &Scope) {
        let name = graphic.element.attribute("ResourceID").unwrap_or_default().trim();
        let Some(unit) = self.find(|resources| resources.units.get(name).cloned()) else {
            let what = format!("a composite whose unit {} is missing", shorten(name));
            return self.findings.add(Some(graphic.id), FindingKind::ObjectSkipped { what });
        };
        if scope.depth >= MAX_DEPTH {
            let kind = FindingKind::Truncated { what: "nesting".into(), limit: MAX_DEPTH.into() };
            return self.findings.add(Some(graphic.id), kind);
        }
        let mut graphic = Graphic { clip: graphic.clip.clone(), params: graphic.params.clone(), ..*graphic };
        if graphic.blend != BlendMode::SourceOver {
            let what = "the blend mode of a composite as normal".into();
            self.findings.add(Some(graphic.id), FindingKind::DrawnOtherwise { what });
        }
        self.cut(&mut graphic, None, 0.0);
        let inner = Scope {
            transform: graphic.transform,
            clip: graphic.clip.clone(),
            alpha: graphic.alpha,
            draw_param: None,
            depth: scope.depth + 1,
            source: scope.source,
        };
        for content in unit.element.all("Content") {
            self.objects(content, &inner);
        }
    }

    fn image(&mut self, graphic: &Graphic<'_>) {
        let mut graphic = Graphic { clip: graphic.clip.clone(), params: graphic.params.clone(), ..*graphic };
        let name = graphic.element.attribute("ResourceID").unwrap_or_default().trim();
        let image = match self.decoded(name) {
            Ok(image) => image,
            Err(reason) => return self.findings.add(Some(graphic.id), FindingKind::ImageUnreadable { reason }),
        };
        let masked = match graphic.element.attribute("ImageMask").map(str::trim).filter(|mask| !mask.is_empty()) {
            None => None,
            Some(mask) => match self.decoded(mask) {
                Ok(mask) => {
                    // The standard does not say which of the two colours shows.
                    let what = "an image shown where its mask is white".into();
                    self.findings.add(Some(graphic.id), FindingKind::DrawnOtherwise { what });
                    Some(Rc::new(image::masked(&image, &mask)))
                }
                Err(reason) => {
                    let reason = format!("its mask: {reason}");
                    return self.findings.add(Some(graphic.id), FindingKind::ImageUnreadable { reason });
                }
            },
        };
        if graphic.element.all("Border").next().is_some() {
            self.findings.add(Some(graphic.id), FindingKind::DrawnOtherwise { what: "an image without its border".into() });
        }
        // Without a CTM the image fills its Boundary.
        let unit = match (graphic.element.attribute("CTM"), graphic.boundary) {
            (None, Some([_, _, width, height])) => graphic.transform.pre_scale(width, height),
            _ => graphic.transform,
        };
        let Some(bounds) = Rect::from_xywh(0.0, 0.0, 1.0, 1.0).and_then(|square| square.transform(unit)) else {
            let reason = "its CTM makes it a line".into();
            return self.findings.add(Some(graphic.id), FindingKind::ImageUnreadable { reason });
        };
        self.cut(&mut graphic, Some(bounds), 0.0);
        let image = masked.unwrap_or(image);
        let (across, down) = (unit.sx.hypot(unit.ky), unit.kx.hypot(unit.sy));
        let small = image::shrunk(&image, across, down);
        let image: &Pixmap = small.as_ref().unwrap_or(&image);
        let transform = unit.pre_scale(1.0 / image.width() as f32, 1.0 / image.height() as f32);
        self.objects += 1;
        self.over_text |= !self.runs.is_empty();
        self.canvas.picture(image.as_ref(), graphic.alpha, graphic.blend, graphic.clip.as_deref(), transform);
    }

    fn decoded(&mut self, resource: &str) -> Result<Rc<Pixmap>, String> {
        let found = self.find(|resources| resources.media.get(resource).cloned());
        let (kind, path) = found.ok_or_else(|| format!("there is no image {}", shorten(resource)))?;
        if !kind.trim().eq_ignore_ascii_case("image") {
            return Err(format!("a medium of the type {}", shorten(&kind)));
        }
        self.decode(&path)
    }

    fn decode(&mut self, path: &PackagePath) -> Result<Rc<Pixmap>, String> {
        if let Some(known) = self.shared.images.get(path) {
            return known.clone();
        }
        let bytes = self.package.read(path, MAX_IMAGE_FILE).map_err(|error| shorten(&error.to_string()))?;
        let image = image::decode(&bytes).map(Rc::new).map_err(|reason| shorten(&reason));
        self.shared.keep(path, &image)?;
        image
    }
}

fn fill_rule(shape: &Element) -> FillRule {
    match shape.attribute("Rule").map(str::trim) {
        Some("Even-Odd" | "EvenOdd") => FillRule::EvenOdd,
        _ => FillRule::Winding,
    }
}

/// How much a transform makes things larger, on average of both directions.
pub(super) fn scale_of(transform: Transform) -> f32 {
    (transform.sx * transform.sy - transform.kx * transform.ky).abs().sqrt()
}

fn is_upright_rectangle(path: &Path) -> bool {
    let bounds = path.bounds();
    let on = |v: f32, a: f32, b: f32| (v - a).abs() < 0.01 || (v - b).abs() < 0.01;
    path.points().iter().all(|p| on(p.x, bounds.left(), bounds.right()) && on(p.y, bounds.top(), bounds.bottom()))
}

fn blend_mode(name: &str) -> Option<BlendMode> {
    Some(match name {
        "Multiply" => BlendMode::Multiply,
        "Screen" => BlendMode::Screen,
        "Overlay" => BlendMode::Overlay,
        "Darken" => BlendMode::Darken,
        "Lighten" => BlendMode::Lighten,
        "ColorDodge" => BlendMode::ColorDodge,
        "ColorBurn" => BlendMode::ColorBurn,
        "HardLight" => BlendMode::HardLight,
        "SoftLight" => BlendMode::SoftLight,
        "Difference" => BlendMode::Difference,
        "Exclusion" => BlendMode::Exclusion,
        "Hue" => BlendMode::Hue,
        "Saturation" => BlendMode::Saturation,
        "Color" => BlendMode::Color,
        "Luminosity" => BlendMode::Luminosity,
        _ => return None,
    })
}
