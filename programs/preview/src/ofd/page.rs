//! One page, from its content file to pixels, text and findings.

use sealagent::ofd::Element;
use sealagent::preview::{FindingKind, PageRequest, TextRun, TextSource};
use tiny_skia::{Pixmap, Transform};

use super::OfdDocument;
use super::resources::Resources;
use super::text::{Run, told};
use super::walk::{Scope, Walk};
use crate::canvas::Canvas;
use crate::findings::{Findings, shorten};
use crate::fonts::Fonts;
use crate::seal;
use crate::size::{Sized, size};

/// A page that was drawn.
pub struct Drawn {
    /// Width and height in mm.
    pub mm: [f64; 2],
    /// The page with all seals; and without the proposed ones, when there are some.
    pub layers: Vec<Pixmap>,
    /// Its text.
    pub text: Vec<TextRun>,
    /// Whether every glyph has a character.
    pub searchable: bool,
    /// What is not as the file has it.
    pub findings: Findings,
}

impl Drawn {
    /// White paper where a page cannot be read; `findings` say so.
    pub(crate) fn blank(mm: [f64; 2], request: &PageRequest, findings: Findings) -> Result<Self, String> {
        let Sized { width, height, .. } = size(mm, request.dpi, request.max_pixels)?;
        let blank = Canvas::new(width, height, true).ok_or("no room for the picture")?.into_pixmap();
        let layers = vec![blank; if request.stamps.is_empty() { 1 } else { 2 }];
        Ok(Self { mm, layers, text: Vec::new(), searchable: true, findings })
    }
}

/// A page's own file and all that it draws beside it.
struct Parts {
    page: Element,
    own: Resources,
    templates: Vec<(Element, bool)>,
    annotations: Vec<Element>,
}

/// What is fixed while one page is drawn.
#[derive(Clone, Copy)]
struct Frame {
    width: u32,
    height: u32,
    transform: Transform,
    paper: bool,
}

/// What one pass over a page gave.
struct Pass {
    canvas: Canvas,
    findings: Findings,
    runs: Vec<Run>,
    objects: usize,
    over_text: bool,
}

impl OfdDocument {
    /// Draws a page. An error when there is no such page, or when its size cannot be drawn.
    pub fn draw(&mut self, request: &PageRequest, fonts: &mut Fonts) -> Result<Drawn, String> {
        let index = (request.page as usize).wrapping_sub(1);
        let page = self.pages.get(index).ok_or_else(|| format!("there is no page {}", request.page))?.clone();
        let mm = [page.area.width, page.area.height];
        let Sized { width, height, scale } = size(mm, request.dpi, request.max_pixels)?;
        let transform = Transform::from_scale(scale, scale).pre_translate(-page.area.x as f32, -page.area.y as f32);
        let frame = Frame { width, height, transform, paper: true };
        let mut findings = Findings::default();
        let parts = match self.parts(index, &mut findings) {
            Ok(parts) => parts,
            Err(reason) => {
                findings.add(None, FindingKind::NotDrawn { reason });
                return Drawn::blank(mm, request, findings);
            }
        };
        let pass = self.pass(&parts, frame, fonts, findings, None).ok_or("no room for the picture")?;
        let Pass { mut canvas, mut findings, runs, objects, over_text } = pass;
        // Drawn again without its text: where both are the same, no text can be seen.
        let mut without = None;
        if over_text && runs.iter().any(|run| !run.glyphs.is_empty()) {
            without = self.pass(&parts, frame, fonts, Findings::muted(), Some(&canvas)).map(|pass| pass.canvas.into_pixmap());
        }
        let covered = |pixels| without.as_ref().is_some_and(|without| !canvas.differs(without, pixels));
        let text = told(runs, scale, covered);
        for run in &text {
            if let Some(why) = run.hidden.filter(|_| !run.text.trim().is_empty()) {
                findings.add(None, FindingKind::HiddenText { text: shorten(&run.text), why });
            }
        }
        if let Some(exhausted) = canvas.exhausted {
            findings.add(None, FindingKind::Truncated { what: exhausted.what.into(), limit: exhausted.limit });
        } else if objects > 0 && canvas.is_blank() {
            findings.add(None, FindingKind::BlankPage);
        }
        canvas.renew();
        for stamp in self.stamps.get(&page.id).cloned().unwrap_or_default() {
            match stamp.picture(&mut self.ofd.package) {
                Ok(picture) => {
                    let place = seal::Place::new(stamp.boundary, stamp.clip);
                    let drawn = seal::draw(&mut canvas, &picture, &place, transform, fonts, &mut findings);
                    if let Err(reason) = drawn {
                        findings.add(Some(&stamp.signature), FindingKind::SealSkipped { reason });
                    }
                }
                Err(reason) => findings.add(Some(&stamp.signature), FindingKind::SealSkipped { reason }),
            }
        }
        let layers = seal::with_proposed(canvas, request, scale, fonts, &mut findings);
        Ok(Drawn { mm, layers, text, searchable: true, findings })
    }

    /// The first page alone, on nothing, as large as asked.
    pub(super) fn first_page(
        &mut self,
        width: u32,
        height: u32,
        fonts: &mut Fonts,
        findings: &mut Findings,
    ) -> Result<Pixmap, String> {
        let area = self.pages.first().ok_or("a package without pages")?.area;
        let (sx, sy) = (width as f32 / area.width as f32, height as f32 / area.height as f32);
        let transform = Transform::from_scale(sx, sy).pre_translate(-area.x as f32, -area.y as f32);
        let frame = Frame { width, height, transform, paper: false };
        let parts = self.parts(0, findings)?;
        let pass = self.pass(&parts, frame, fonts, std::mem::take(findings), None).ok_or("no room for the picture")?;
        *findings = pass.findings;
        if let Some(exhausted) = pass.canvas.exhausted {
            findings.add(None, FindingKind::Truncated { what: exhausted.what.into(), limit: exhausted.limit });
        }
        Ok(pass.canvas.into_pixmap())
    }

    fn parts(&mut self, index: usize, findings: &mut Findings) -> Result<Parts, String> {
        if let Some(error) = self.unread.get(&index) {
            return Err(shorten(&error.to_string()));
        }
        let path = self.pages[index].path.clone();
        let id = self.pages[index].id.clone();
        let package = &mut self.ofd.package;
        let page = package.xml(&path, "Page", &[]).map_err(|error| shorten(&error.to_string()))?;
        let mut own = Resources::default();
        for list in page.all("PageRes") {
            match package.locate(&path, &list.text) {
                Ok(list) => own.read(package, &list, findings),
                Err(error) => findings.add(None, FindingKind::NotDrawn { reason: shorten(&error.to_string()) }),
            }
        }
        let mut templates = Vec::new();
        for template in page.all("Template") {
            let name = template.attribute("TemplateID").unwrap_or_default().trim();
            let content = match self.templates.get(name) {
                Some(path) => package.xml(path, "Page", &[]).map_err(|error| shorten(&error.to_string())),
                None => Err("the document has none of this name".to_owned()),
            };
            match content {
                Ok(content) => {
                    for list in content.all("PageRes") {
                        if let Ok(list) = package.locate(&self.templates[name], &list.text) {
                            own.read(package, &list, findings);
                        }
                    }
                    if content.all("Template").next().is_some() {
                        findings.add(Some(name), FindingKind::ObjectSkipped { what: "the template of a template".into() });
                    }
                    let front = template.attribute("ZOrder").is_some_and(|order| order.trim().eq_ignore_ascii_case("Foreground"));
                    templates.push((content, front));
                }
                Err(reason) => {
                    findings.add(Some(name), FindingKind::ObjectSkipped { what: format!("a template: {reason}") });
                }
            }
        }
        let mut annotations = Vec::new();
        for file in self.annotations.get(&id).into_iter().flatten() {
            match package.xml(file, "PageAnnot", &[]) {
                Ok(list) => annotations.push(list),
                Err(error) => findings.add(None, FindingKind::AnnotationSkipped { reason: shorten(&error.to_string()) }),
            }
        }
        Ok(Parts { page, own, templates, annotations })
    }

    /// Draws everything of a page once; with `again`, without text, and paying for what was drawn before.
    fn pass(
        &mut self,
        parts: &Parts,
        frame: Frame,
        fonts: &mut Fonts,
        findings: Findings,
        again: Option<&Canvas>,
    ) -> Option<Pass> {
        let mut canvas = Canvas::new(frame.width, frame.height, frame.paper)?;
        if let Some(again) = again {
            canvas.charge(again);
        }
        let mut walk = Walk {
            package: &mut self.ofd.package,
            resources: &self.resources,
            own: &parts.own,
            shared: &mut self.shared,
            fonts,
            canvas,
            findings,
            runs: Vec::new(),
            glyphs: 0,
            without_text: again.is_some(),
            over_text: false,
            objects: 0,
        };
        let on_page =
            Scope { transform: frame.transform, clip: None, alpha: 1.0, draw_param: None, depth: 0, source: TextSource::Page };
        let on_template = Scope { source: TextSource::Template, ..on_page.clone() };
        let templates = |walk: &mut Walk<'_>, front: bool| {
            for (content, _) in parts.templates.iter().filter(|(_, is_front)| *is_front == front) {
                for kind in ["Background", "Body", "Foreground"] {
                    walk.layers(content, kind, &on_template);
                }
            }
        };
        templates(&mut walk, false);
        for kind in ["Background", "Body", "Foreground"] {
            walk.layers(&parts.page, kind, &on_page);
        }
        templates(&mut walk, true);
        for annotation in parts.annotations.iter().flat_map(|list| list.all("Annot")) {
            walk.annotation(annotation, &Scope { source: TextSource::Annotation, ..on_page.clone() });
        }
        Some(Pass {
            objects: walk.objects,
            over_text: walk.over_text,
            runs: walk.runs,
            findings: walk.findings,
            canvas: walk.canvas,
        })
    }
}

impl Walk<'_> {
    /// The appearance of an annotation, whose objects are measured from the corner of its Boundary.
    fn annotation(&mut self, annotation: &Element, scope: &Scope) {
        let id = annotation.attribute("ID").unwrap_or_default();
        if annotation.attribute("Visible").is_some_and(|visible| !super::values::is_true(visible)) {
            return self.findings.add(Some(id), FindingKind::Invisible { what: "annotation".into() });
        }
        for appearance in annotation.all("Appearance") {
            let [x, y, ..] = appearance.attribute("Boundary").and_then(super::values::area).unwrap_or_default();
            self.objects(appearance, &Scope { transform: scope.transform.pre_translate(x, y), ..scope.clone() });
        }
    }
}
