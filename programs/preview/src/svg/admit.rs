//! What of SVG is drawn whole by the library as it is built here; everything else is named and refused.
//!
//! The lists are of what is let through: an element, attribute, property or value that nobody thought of is refused, not lost.

use std::collections::HashMap;

use resvg::usvg::roxmltree::{Attribute, Document, Node, NodeId};

const SVG: &str = "http://www.w3.org/2000/svg";
const XLINK: &str = "http://www.w3.org/1999/xlink";
const XML: &str = "http://www.w3.org/XML/1998/namespace";

/// Elements that are drawn, copies counted. The most ornate seal of the samples' makers has some thousand.
const MAX_ELEMENTS: u64 = 50_000;
/// Elements inside each other, and what they refer to. Each may cost a layer of the size of the picture.
const MAX_DEPTH: u32 = 32;

/// Elements that are drawn.
const ELEMENTS: &[&str] = &[
    "circle",
    "clipPath",
    "defs",
    "ellipse",
    "g",
    "line",
    "linearGradient",
    "mask",
    "path",
    "polygon",
    "polyline",
    "radialGradient",
    "rect",
    "stop",
    "style",
    "svg",
    "symbol",
    "use",
];
/// Elements that nobody draws.
const UNSEEN: &[&str] = &["desc", "metadata", "title"];
/// Attributes without meaning for the picture.
const FREE: &[&str] =
    &["baseProfile", "class", "contentScriptType", "contentStyleType", "id", "lang", "role", "version", "zoomAndPan"];
/// Attributes that are lengths.
const LENGTHS: &[&str] =
    &["cx", "cy", "fr", "fx", "fy", "height", "offset", "r", "rx", "ry", "width", "x", "x1", "x2", "y", "y1", "y2"];
/// Attributes with words of their own, which the library knows all.
const WORDS: &[&str] =
    &["clipPathUnits", "gradientUnits", "maskContentUnits", "maskUnits", "preserveAspectRatio", "spreadMethod"];
/// Properties that are drawn.
const PROPERTIES: &[&str] = &[
    "clip-path",
    "clip-rule",
    "color",
    "display",
    "fill",
    "fill-opacity",
    "fill-rule",
    "isolation",
    "mask",
    "mask-type",
    "mix-blend-mode",
    "opacity",
    "overflow",
    "paint-order",
    "shape-rendering",
    "stop-color",
    "stop-opacity",
    "stroke",
    "stroke-dasharray",
    "stroke-dashoffset",
    "stroke-linecap",
    "stroke-linejoin",
    "stroke-miterlimit",
    "stroke-opacity",
    "stroke-width",
    "visibility",
];
/// Properties that are numbers or lengths.
const NUMBERS: &[&str] =
    &["fill-opacity", "opacity", "stop-opacity", "stroke-dashoffset", "stroke-miterlimit", "stroke-opacity", "stroke-width"];
/// Properties of text, filters and screens, of which there are none here. Drawing programs write them everywhere.
const IDLE: &[&str] = &[
    "alignment-baseline",
    "baseline-shift",
    "color-interpolation-filters",
    "color-rendering",
    "cursor",
    "direction",
    "dominant-baseline",
    "enable-background",
    "flood-color",
    "flood-opacity",
    "image-rendering",
    "letter-spacing",
    "lighting-color",
    "line-height",
    "pointer-events",
    "solid-color",
    "solid-opacity",
    "unicode-bidi",
    "white-space",
    "word-spacing",
    "writing-mode",
];
/// Properties that are let through when they say that there is nothing to do.
const NEUTRAL: &[(&str, &[&str])] = &[
    ("clip", &["auto"]),
    ("color-interpolation", &["auto", "sRGB"]),
    ("filter", &["none"]),
    ("marker", &["none"]),
    ("marker-end", &["none"]),
    ("marker-mid", &["none"]),
    ("marker-start", &["none"]),
    ("vector-effect", &["none"]),
];

/// A picture under examination.
struct Picture<'a, 'input> {
    ids: HashMap<&'a str, Node<'a, 'input>>,
    /// What rules of style sheets refer to, by class.
    classes: HashMap<&'a str, Vec<Reference<'a>>>,
    /// For each element that was looked at: elements drawn for it, and how deep they lie; `None` while it is being looked at.
    seen: HashMap<NodeId, Option<(u64, u32)>>,
}

/// Something that an element refers to.
#[derive(Clone, Copy)]
struct Reference<'a> {
    id: &'a str,
    /// Elements that it may be.
    kinds: &'static [&'static str],
}

/// Whether all of a picture is drawn; what is in the way, if not.
pub(super) fn whole(document: &Document<'_>) -> Result<(), String> {
    let root = document.root_element();
    let mut picture = Picture { ids: HashMap::new(), classes: HashMap::new(), seen: HashMap::new() };
    let instructions = document.descendants().filter_map(|node| node.pi());
    if instructions.into_iter().any(|instruction| instruction.target == "xml-stylesheet") {
        return Err("an xml-stylesheet in another file".to_owned());
    }
    if root.tag_name().namespace() != Some(SVG) || root.tag_name().name() != "svg" {
        return Err("a root of another namespace than that of SVG".to_owned());
    }
    has_size(root)?;
    for node in document.descendants().filter(Node::is_element) {
        if let Some(id) = node.attribute("id")
            && picture.ids.insert(id, node).is_some()
        {
            return Err(format!("two elements of the name {id}"));
        }
    }
    for sheet in document.descendants().filter(|node| node.has_tag_name("style")) {
        picture.sheet(sheet)?;
    }
    picture.element(root, 0).map(drop)
}

/// A size or a `viewBox`: without either each program shows something else.
fn has_size(root: Node<'_, '_>) -> Result<(), String> {
    let is_fixed = |name: &str| root.attribute(name).is_some_and(|length| !length.trim().ends_with('%'));
    match root.attribute("viewBox") {
        None if is_fixed("width") && is_fixed("height") => Ok(()),
        None => Err("neither a size nor a viewBox".to_owned()),
        Some(_) => Ok(()),
    }
}

impl<'a, 'input> Picture<'a, 'input> {
    /// An element and everything under it and that it refers to: how many elements are drawn, and how deep they lie.
    fn element(&mut self, node: Node<'a, 'input>, depth: u32) -> Result<(u64, u32), String> {
        let too_deep = || format!("elements nested more than {MAX_DEPTH} deep");
        if depth > MAX_DEPTH {
            return Err(too_deep());
        }
        match self.seen.get(&node.id()) {
            Some(Some(known)) if depth + known.1 > MAX_DEPTH => return Err(too_deep()),
            Some(Some(known)) => return Ok(*known),
            Some(None) => return Err("an element that draws itself".to_owned()),
            None => {}
        }
        self.seen.insert(node.id(), None);
        let name = node.tag_name().name();
        if !ELEMENTS.contains(&name) {
            return Err(format!("an element <{name}>"));
        }
        let mut references = self.attributes(node)?;
        for class in node.attribute("class").unwrap_or_default().split_ascii_whitespace() {
            references.extend(self.classes.get(class).into_iter().flatten());
        }
        let (mut count, mut height) = (1u64, 0);
        let mut take = |(more, deep): (u64, u32)| {
            count = count.saturating_add(more);
            height = height.max(deep + 1);
        };
        for reference in references {
            let target = self.ids.get(reference.id).filter(|target| {
                let name = target.tag_name();
                name.namespace() == Some(SVG) && (reference.kinds.is_empty() || reference.kinds.contains(&name.name()))
            });
            let target = *target.ok_or_else(|| format!("a reference to #{}, which is no such thing", reference.id))?;
            take(self.element(target, depth + 1)?);
        }
        for child in node.children().filter(Node::is_element) {
            match child.tag_name().namespace() {
                Some(SVG) if UNSEEN.contains(&child.tag_name().name()) => {}
                Some(SVG) => take(self.element(child, depth + 1)?),
                None | Some("") => return Err(format!("an element {} without a namespace", child.tag_name().name())),
                // Of other programs, for themselves.
                Some(_) => {}
            }
        }
        if count > MAX_ELEMENTS {
            return Err(format!("more than {MAX_ELEMENTS} elements, copies counted"));
        }
        self.seen.insert(node.id(), Some((count, height)));
        Ok((count, height))
    }

    /// Looks at the attributes of an element; gives what they refer to.
    fn attributes(&self, node: Node<'a, 'input>) -> Result<Vec<Reference<'a>>, String> {
        let mut references = Vec::new();
        for attribute in node.attributes() {
            let (name, value) = (attribute.name(), attribute.value());
            let is_good = match attribute.namespace() {
                Some(XLINK) if name == "href" => continue,
                // The library takes those of these three for plain ones.
                Some(XLINK) => matches!(name, "actuate" | "arcrole" | "role" | "show" | "title" | "type"),
                Some(XML) => matches!(name, "lang" | "space"),
                Some(SVG) => false,
                Some(_) => true,
                None => match name {
                    "href" => continue,
                    "style" => {
                        references.extend(declarations(value)?);
                        true
                    }
                    "d" => value.bytes().all(|b| b.is_ascii_whitespace() || b"MmZzLlHhVvCcSsQqTtAa0123456789+-.eE,".contains(&b)),
                    "points" => value.bytes().all(|b| b.is_ascii_whitespace() || b"0123456789+-.eE,".contains(&b)),
                    "viewBox" => is_view_box(value),
                    "transform" | "gradientTransform" => is_transform(value),
                    "type" => value == "text/css",
                    _ if LENGTHS.contains(&name) => is_length(value),
                    _ if FREE.contains(&name) || WORDS.contains(&name) => true,
                    _ if name.starts_with("aria-") || name.starts_with("data-") => true,
                    _ => {
                        references.extend(property(name, value)?);
                        true
                    }
                },
            };
            if !is_good {
                return Err(format!("an attribute {name}=\"{value}\""));
            }
        }
        references.extend(linked(node)?);
        Ok(references)
    }

    /// Looks at a style sheet, and remembers what its rules refer to.
    fn sheet(&mut self, node: Node<'a, 'input>) -> Result<(), String> {
        let unknown = |what: &str| format!("a style sheet with {what}");
        let is_plain = |attribute: &Attribute<'_, '_>| {
            attribute.namespace() == Some(XML)
                || attribute.name() == "id"
                || (attribute.name(), attribute.value()) == ("type", "text/css")
        };
        if let Some(attribute) = node.attributes().find(|attribute| !is_plain(attribute)) {
            return Err(unknown(&format!("{}=\"{}\"", attribute.name(), attribute.value())));
        }
        // The library reads the first piece of text alone.
        let mut children = node.children();
        let text = match (children.next(), children.next()) {
            (None, _) => return Ok(()),
            (Some(text), None) if text.is_text() => text.text().unwrap_or_default(),
            _ => return Err(unknown("something else than text")),
        };
        let mut rest = text.trim();
        while !rest.is_empty() {
            let (selectors, body) = rest.split_once('{').ok_or_else(|| unknown("text outside of its rules"))?;
            let (body, after) = body.split_once('}').ok_or_else(|| unknown("a rule without an end"))?;
            let is_plain = |c: char| c.is_ascii_alphanumeric() || c.is_ascii_whitespace() || "-_.#*,>".contains(c);
            if !selectors.chars().all(is_plain) {
                return Err(unknown(&format!("a rule for {}", selectors.trim())));
            }
            let references = declarations(body)?;
            for selector in selectors.split(',').map(str::trim).filter(|_| !references.is_empty()) {
                let is_name = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
                match selector.strip_prefix('.').filter(|class| class.chars().all(is_name)) {
                    Some(class) => self.classes.entry(class).or_default().extend(&references),
                    None => return Err(unknown(&format!("a reference in a rule for {selector}"))),
                }
            }
            rest = after.trim();
        }
        Ok(())
    }
}

/// What an element takes from another by its `href`.
fn linked<'a>(node: Node<'a, '_>) -> Result<Option<Reference<'a>>, String> {
    let is_link =
        |attribute: &Attribute<'_, '_>| attribute.name() == "href" && matches!(attribute.namespace(), None | Some(XLINK));
    let mut links = node.attributes().filter(is_link);
    let link = links.next();
    if let (Some(a), Some(b)) = (link, links.next())
        && a.value() != b.value()
    {
        return Err("an element with two references".to_owned());
    }
    let name = node.tag_name().name();
    let kinds: &[&str] = match name {
        "use" => &[],
        "linearGradient" | "radialGradient" => &["linearGradient", "radialGradient"],
        _ if link.is_some() => return Err(format!("a reference of an element <{name}>")),
        _ => return Ok(None),
    };
    match link {
        None if name == "use" => Err("an element <use> without a reference".to_owned()),
        None => Ok(None),
        Some(link) => local(link.value().trim()).map(|id| Some(Reference { id, kinds })),
    }
}

/// The name in a reference to something in the same file.
fn local(reference: &str) -> Result<&str, String> {
    reference.strip_prefix('#').filter(|id| !id.is_empty()).ok_or_else(|| format!("a reference to another file: {reference}"))
}

/// Looks at `property: value` pairs; gives what they refer to.
fn declarations(text: &str) -> Result<Vec<Reference<'_>>, String> {
    // What is a comment for one reader must not be a property for another.
    if text.contains("/*") || text.contains(['\\', '<']) {
        return Err("a style sheet with comments or escapes".to_owned());
    }
    let mut references = Vec::new();
    for declaration in text.split(';').map(str::trim).filter(|declaration| !declaration.is_empty()) {
        let (name, value) = declaration.split_once(':').ok_or_else(|| format!("a style sheet with {declaration}"))?;
        references.extend(property(name.trim(), value.trim())?);
    }
    Ok(references)
}

/// Looks at one property; gives what it refers to.
fn property<'a>(name: &str, value: &'a str) -> Result<Option<Reference<'a>>, String> {
    let value = value.trim();
    let refused = || format!("a property {name}: {value}");
    let plain = value.strip_suffix("!important").unwrap_or(value).trim_end();
    if let Some((_, values)) = NEUTRAL.iter().find(|(neutral, _)| *neutral == name) {
        return if values.contains(&plain) { Ok(None) } else { Err(refused()) };
    }
    let is_idle = IDLE.contains(&name) || ["-", "font", "text-"].iter().any(|prefix| name.starts_with(prefix));
    if is_idle {
        return Ok(None);
    }
    let is_number = |value: &str| is_length(value) || matches!(value, "inherit" | "initial");
    let is_good = match name {
        _ if !PROPERTIES.contains(&name) => false,
        "stroke-dasharray" => {
            plain == "none" || plain.split(|c: char| c == ',' || c.is_ascii_whitespace()).filter(|n| !n.is_empty()).all(is_number)
        }
        _ if NUMBERS.contains(&name) => is_number(plain),
        _ => !plain.contains(['\\', '/', '"', '\'', '@']) || plain.starts_with("url("),
    };
    if !is_good {
        return Err(refused());
    }
    let Some((function, inside)) = plain.split_once('(') else { return Ok(None) };
    match function.trim() {
        "rgb" | "rgba" | "hsl" | "hsla" => Ok(None),
        "url" => {
            let kinds: &[&str] = match name {
                "fill" | "stroke" => &["linearGradient", "radialGradient"],
                "clip-path" => &["clipPath"],
                "mask" => &["mask"],
                _ => return Err(refused()),
            };
            let (target, _) = inside.split_once(')').ok_or_else(refused)?;
            local(target.trim().trim_matches(['"', '\''])).map(|id| Some(Reference { id, kinds }))
        }
        _ => Err(refused()),
    }
}

/// A number, with a unit or without.
fn is_length(value: &str) -> bool {
    let value = value.trim();
    let number = value.trim_end_matches(|c: char| c.is_ascii_alphabetic() || c == '%');
    let unit = &value[number.len()..];
    let is_unit = matches!(unit, "" | "%" | "px" | "pt" | "pc" | "mm" | "cm" | "in" | "em" | "ex");
    is_unit && number.parse::<f64>().is_ok_and(f64::is_finite)
}

fn is_view_box(value: &str) -> bool {
    let parts = value.split(|c: char| c == ',' || c.is_ascii_whitespace()).filter(|part| !part.is_empty());
    let numbers: Vec<f64> = parts.map_while(|part| part.parse().ok()).collect();
    matches!(numbers[..], [_, _, width, height] if width > 0.0 && height > 0.0 && numbers.iter().all(|n| n.is_finite()))
}

fn is_transform(value: &str) -> bool {
    let words = value.split(|c: char| !c.is_ascii_alphabetic()).filter(|word| !word.is_empty());
    let is_known = |word| matches!(word, "matrix" | "translate" | "scale" | "rotate" | "skewX" | "skewY" | "e" | "E");
    words.into_iter().all(is_known) && value.is_ascii()
}
