//! Resources of a document (GB/T 33190 clause 7.9): fonts, images, colour spaces, drawing parameters, composite units.

use std::collections::HashMap;
use std::rc::Rc;

use sealagent::ofd::{Element, PackagePath};
use sealagent::preview::FindingKind;

use super::Source;
use crate::findings::Findings;
use crate::fonts::Wanted;

/// Resources of one document. Real ones have some hundred.
const MAX_RESOURCES: usize = 100_000;

/// `Font`.
pub struct Font {
    /// `FontName`, else `FamilyName`: for findings.
    pub name: String,
    /// What to look for when the file is of no use.
    pub wanted: Wanted,
    /// `FontFile`.
    pub file: Option<PackagePath>,
}

/// `ColorSpace`.
pub struct ColorSpace {
    /// `Type`.
    pub kind: SpaceKind,
    /// `BitsPerComponent`.
    pub bits: u32,
    /// `Palette/CV`.
    pub palette: Vec<String>,
}

/// `ColorSpace/@Type`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum SpaceKind {
    Cmyk,
    Gray,
    Rgb,
}

/// `CompositeGraphicUnit` (or the old `CompositeGraphicUnit` of `VectorG`).
pub struct Unit {
    /// The element; its objects are in `Content`.
    pub element: Element,
}

/// All of them by ID.
#[derive(Default)]
pub struct Resources {
    /// Fonts.
    pub fonts: HashMap<String, Rc<Font>>,
    /// `MultiMedia` files with their `Type`.
    pub media: HashMap<String, (String, PackagePath)>,
    /// Colour spaces.
    pub spaces: HashMap<String, Rc<ColorSpace>>,
    /// `DrawParam`.
    pub draw_params: HashMap<String, Rc<Element>>,
    /// Composite units.
    pub units: HashMap<String, Rc<Unit>>,
    count: usize,
}

impl Resources {
    /// Reads one resource list and adds what is in it.
    pub fn read(&mut self, package: &mut Source, path: &PackagePath, findings: &mut Findings) {
        let root = match package.xml(path, "Res", &[]) {
            Ok(root) => root,
            Err(error) => {
                return findings.add(None, FindingKind::DrawnOtherwise { what: format!("without the resources: {error}") });
            }
        };
        let below = root.attribute("BaseLoc").unwrap_or_default().trim().to_owned();
        for group in root.children {
            for element in group.children {
                let Some(id) = element.attribute("ID").map(|id| id.trim().to_owned()) else { continue };
                self.count += 1;
                if self.count > MAX_RESOURCES {
                    return findings.add(None, FindingKind::Truncated { what: "resources".into(), limit: MAX_RESOURCES as u64 });
                }
                match &*element.name {
                    "Font" => {
                        let file = element.all("FontFile").next().filter(|file| !file.text.is_empty());
                        let file = file.and_then(|file| package.resource(path, &below, &file.text));
                        self.fonts.insert(id, Rc::new(font(&element, file)));
                    }
                    "MultiMedia" => {
                        let file = element.all("MediaFile").next().and_then(|file| package.resource(path, &below, &file.text));
                        if let Some(file) = file {
                            self.media.insert(id, (element.attribute("Type").unwrap_or("Image").to_owned(), file));
                        }
                    }
                    "ColorSpace" => {
                        self.spaces.insert(id, Rc::new(space(&element)));
                    }
                    "DrawParam" => {
                        self.draw_params.insert(id, Rc::new(element));
                    }
                    "CompositeGraphicUnit" => {
                        self.units.insert(id, Rc::new(Unit { element }));
                    }
                    _ => {}
                }
            }
        }
    }
}

fn font(element: &Element, file: Option<PackagePath>) -> Font {
    let flag = |name| element.attribute(name).is_some_and(super::values::is_true);
    let mut names: Vec<String> = Vec::new();
    for name in ["FontName", "FamilyName"].into_iter().filter_map(|name| element.attribute(name)) {
        let name = name.trim();
        // `ABCDEF+Name` marks a subset.
        let name = name.split_once('+').filter(|(tag, _)| tag.len() == 6).map_or(name, |(_, name)| name);
        if !name.is_empty() && !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
    }
    let name = names.first().cloned().unwrap_or_else(|| "(no name)".to_owned());
    let serif = element.attribute("Serif").map(super::values::is_true);
    let wanted = Wanted { names, bold: flag("Bold"), italic: flag("Italic"), serif, fixed: flag("FixedWidth") };
    Font { name, wanted, file }
}

fn space(element: &Element) -> ColorSpace {
    let kind = match element.attribute("Type").map(|kind| kind.trim().to_ascii_uppercase()).as_deref() {
        Some("CMYK") => SpaceKind::Cmyk,
        Some("GRAY" | "GREY") => SpaceKind::Gray,
        _ => SpaceKind::Rgb,
    };
    let bits =
        element.attribute("BitsPerComponent").and_then(|bits| bits.trim().parse().ok()).filter(|bits| (1..=16).contains(bits));
    let palette = element.all("Palette").flat_map(|palette| palette.all("CV")).map(|value| value.text.clone()).collect();
    ColorSpace { kind, bits: bits.unwrap_or(8), palette }
}
