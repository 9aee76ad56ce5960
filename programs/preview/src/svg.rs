//! SVG pictures of seals, drawn by `resvg` on nothing.
//!
//! The library leaves out what it does not know, and with these features of it that is much: text, images, filters, animation. A seal
//! must not be drawn without a part of it, so every element, attribute and property is looked at first ([`admit`]) and only a picture
//! that is drawn whole is let through; any other is refused with the name of what is in the way.

mod admit;

use resvg::usvg::{Options, Tree, roxmltree};
use tiny_skia::{Pixmap, Transform};

use crate::findings::shorten;

/// Bytes of a picture; those inside a seal cannot be larger.
const MAX_BYTES: usize = 4 << 20;
/// Nodes of XML: a traced seal has some thousand paths.
const MAX_NODES: u32 = 200_000;
/// Side of a picture in its own units, which have no meaning; a real one has at most some thousand.
const MAX_SIDE: f32 = 1e6;

/// The picture with that many pixels, stretched to them as every other picture of a seal is. Why not, in words, when it cannot be drawn
/// whole.
pub fn draw(bytes: &[u8], width: u32, height: u32) -> Result<Pixmap, String> {
    if bytes.len() > MAX_BYTES {
        return Err(format!("SVG of {} bytes, more than {MAX_BYTES}", bytes.len()));
    }
    let text = std::str::from_utf8(bytes).map_err(|_| "SVG that is not in UTF-8")?;
    // Entities multiply text, and attributes of a document type are unknown to the library.
    let has_declarations = text.contains("<!ENTITY")
        || text.split_once("<!DOCTYPE").is_some_and(|(_, rest)| rest.split('>').next().unwrap_or_default().contains('['));
    if has_declarations {
        return Err("SVG with entities or other declarations of its own".to_owned());
    }
    let options = roxmltree::ParsingOptions { allow_dtd: true, nodes_limit: MAX_NODES, ..Default::default() };
    let document = roxmltree::Document::parse_with_options(text, options).map_err(|error| shorten(&format!("SVG: {error}")))?;
    admit::whole(&document).map_err(|what| shorten(&format!("SVG with {what}")))?;
    let tree = Tree::from_xmltree(&document, &Options::default()).map_err(|error| shorten(&error.to_string()))?;
    let size = tree.size();
    if size.width() > MAX_SIDE || size.height() > MAX_SIDE {
        return Err(format!("SVG of {} × {} units", size.width(), size.height()));
    }
    let mut pixmap = Pixmap::new(width, height).ok_or("no room for the picture")?;
    let fit = Transform::from_scale(width as f32 / size.width(), height as f32 / size.height());
    resvg::render(&tree, fit, &mut pixmap.as_mut());
    if pixmap.pixels().iter().all(|pixel| pixel.alpha() == 0) {
        return Err("SVG in which nothing can be seen".to_owned());
    }
    Ok(pixmap)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn svg(inside: &str) -> Vec<u8> {
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" xmlns:xlink=\"http://www.w3.org/1999/xlink\" width=\"40mm\" height=\"40mm\" \
             viewBox=\"0 0 40 40\">{inside}</svg>"
        )
        .into_bytes()
    }

    fn at(pixmap: &Pixmap, x: u32, y: u32) -> [u8; 4] {
        let pixel = pixmap.pixel(x, y).unwrap().demultiply();
        [pixel.red(), pixel.green(), pixel.blue(), pixel.alpha()]
    }

    /// What drawing programs write, in one picture: styles by sheet, by attribute and by property, gradients, clips, copies.
    #[test]
    fn a_usual_seal_is_drawn_on_nothing() {
        let file = svg("<title>印</title><metadata><rdf:RDF xmlns:rdf=\"urn:x\"><image/></rdf:RDF></metadata>\
             <style type=\"text/css\"><![CDATA[ .st0{fill:url(#g);} g > .st1 , #d{fill:#E60012;stroke:none} ]]></style>\
             <defs><linearGradient id=\"g\"><stop offset=\"0%\" style=\"stop-color:#e60012\"/><stop offset=\"1\" stop-color=\"red\"/></linearGradient>\
             <clipPath id=\"c\"><rect width=\"40\" height=\"20\"/></clipPath><path id=\"p\" d=\"M0 0h4v4h-4z\"/></defs>\
             <g clip-path=\"url(#c)\"><circle class=\"st0\" cx=\"20\" cy=\"20\" r=\"18\"/></g>\
             <g fill=\"blue\" style=\"fill-opacity:.5;-inkscape-stroke:none\"><use xlink:href=\"#p\" transform=\"translate(18 30) scale(1)\"/></g>");
        let drawn = draw(&file, 80, 80).unwrap();
        let [red, green, blue, alpha] = at(&drawn, 10, 38);
        assert!(red > 225 && green < 4 && blue < 20 && alpha == 255, "{:?}", at(&drawn, 10, 38));
        assert_eq!(at(&drawn, 40, 50), [0; 4]);
        assert_eq!(at(&drawn, 40, 64), [0, 0, 255, 128]);
        // Stretched like every other picture.
        assert_eq!(at(&draw(&file, 160, 40).unwrap(), 80, 32), [0, 0, 255, 128]);
    }

    /// The seed of the fuzz body is let in, so that what is behind the door is reached.
    #[test]
    fn a_seal_with_all_that_is_let_in_is_drawn() {
        let drawn = draw(include_bytes!("../../../fuzz/seeds/seal_svg/seal.svg"), 80, 80).unwrap();
        let [star, ring] = [at(&drawn, 44, 39), at(&drawn, 40, 77)];
        assert!(star[0] > 220 && star[1] < 9 && (190..220).contains(&star[3]), "{star:?}");
        assert_ne!(ring[3], at(&drawn, 40, 70)[3]);
        let marked = [b"\xef\xbb\xbf".as_slice(), include_bytes!("../../../fuzz/seeds/seal_svg/nested.svg")].concat();
        let marked = String::from_utf8(marked).unwrap().replace("<text>x</text>", "");
        assert!(draw(marked.as_bytes(), 9, 9).is_ok());
    }

    /// Whatever the library would leave out ends with its name.
    #[test]
    fn what_would_not_be_drawn_is_refused_by_name() {
        let rect = "<rect width=\"9\" height=\"9\"/>";
        for (inside, why) in [
            ("<text>公章</text>", "<text>"),
            ("<image href=\"data:image/png;base64,AA\"/>", "<image>"),
            ("<foreignObject/>", "<foreignObject>"),
            ("<script>1</script>", "<script>"),
            ("<switch><g/></switch>", "<switch>"),
            ("<pattern id=\"p\"/>", "<pattern>"),
            ("<marker id=\"p\"/>", "<marker>"),
            ("<filter id=\"f\"/>", "<filter>"),
            ("<rect><animate/></rect>", "<animate>"),
            ("<g onload=\"x()\"/>", "onload"),
            ("<g filter=\"url(#f)\"/>", "filter"),
            ("<g style=\"filter:blur(2px)\"/>", "filter"),
            ("<g style=\"FILL:red\"/>", "FILL"),
            ("<g style=\"transform:rotate(5deg)\"/>", "transform"),
            ("<path vector-effect=\"non-scaling-stroke\"/>", "vector-effect"),
            ("<g systemLanguage=\"zh\"/>", "systemLanguage"),
            ("<g xml:base=\"http://x/\"/>", "base"),
            ("<use href=\"http://example.com/a.svg#b\"/>", "another file"),
            ("<use href=\"b.svg\"/>", "another file"),
            ("<use href=\"#nobody\"/>", "#nobody"),
            ("<use/>", "without a reference"),
            ("<rect fill=\"url(http://example.com/#a)\"/>", "another file"),
            ("<rect fill=\"url(#nobody) red\"/>", "#nobody"),
            ("<rect id=\"r\" fill=\"url(#r)\"/>", "#r"),
            ("<rect fill=\"var(--ink)\"/>", "var(--ink)"),
            ("<rect width=\"calc(1px)\"/>", "calc(1px)"),
            ("<rect transform=\"rotateX(4)\"/>", "rotateX(4)"),
            ("<path d=\"M0 0 path\"/>", "M0 0 path"),
            ("<g id=\"a\"/><g id=\"a\"/>", "two elements"),
            ("<style>@import url(x.css);</style>", "style sheet"),
            ("<style>rect:hover{fill:red}</style>", "style sheet"),
            ("<style>rect{fill:red}<!-- --></style>", "style sheet"),
            ("<style>rect{fill:url(#g)}</style>", "style sheet"),
            ("<style>rect{font-family:/*}*/;fill:red}</style>", "comments"),
            ("<g style=\"font-family:a\\;b\"/>", "escapes"),
            ("<style>rect{filter:none;cursor:pointer;clip:rect(0)}</style>", "clip"),
            ("<style media=\"print\">rect{fill:red}</style>", "media"),
            ("<g xmlns=\"\"><rect/></g>", "namespace"),
        ] {
            let drawn = draw(&svg(&format!("{rect}{inside}")), 40, 40);
            assert!(matches!(&drawn, Err(reason) if reason.contains(why)), "{inside}: {:?}", drawn.err());
        }
        let bare = |file: &str| draw(file.as_bytes(), 40, 40).unwrap_err();
        let xmlns = "xmlns=\"http://www.w3.org/2000/svg\"";
        assert!(bare("<svg/>").contains("namespace"));
        assert!(bare(&format!("<svg {xmlns}><rect/></svg>")).contains("size"));
        assert!(bare(&format!("<?xml-stylesheet href=\"x.css\"?><svg {xmlns} viewBox=\"0 0 9 9\"/>")).contains("xml-stylesheet"));
        assert!(bare(&format!("<svg {xmlns} viewBox=\"0 0 9 9\"/>")).contains("nothing can be seen"));
        assert!(bare(&format!("<svg {xmlns} viewBox=\"0 0 1e9 1e9\"><rect width=\"1\" height=\"1\"/></svg>")).contains("units"));
        assert!(bare(&format!("<svg {xmlns} viewBox=\"0 0 0 9\"/>")).contains("viewBox"));
        assert!(bare("<svg").contains("SVG"));
    }

    #[test]
    fn what_multiplies_is_refused_before_it_does() {
        let laughs = "<!DOCTYPE svg [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;\">]><svg xmlns=\"http://www.w3.org/2000/svg\">&b;</svg>";
        assert!(draw(laughs.as_bytes(), 40, 40).unwrap_err().contains("entities"));
        let uses: String =
            (1..30).map(|n| format!("<g id=\"u{n}\"><use href=\"#u{0}\"/><use href=\"#u{0}\"/></g>", n - 1)).collect();
        let bomb = svg(&format!("<defs><rect id=\"u0\" width=\"1\" height=\"1\"/>{uses}</defs><use href=\"#u29\"/>"));
        assert!(draw(&bomb, 40, 40).unwrap_err().contains("elements"), "{:?}", draw(&bomb, 40, 40).err());
        let circle = svg("<g id=\"a\"><use href=\"#b\"/></g><g id=\"b\"><use href=\"#a\"/></g>");
        assert!(draw(&circle, 40, 40).unwrap_err().contains("itself"));
        let clips = svg(
            "<clipPath id=\"a\" clip-path=\"url(#a)\"><rect width=\"9\" height=\"9\"/></clipPath><rect clip-path=\"url(#a)\"/>",
        );
        assert!(draw(&clips, 40, 40).unwrap_err().contains("itself"));
        let deep = svg(&("<g>".repeat(5000) + &"</g>".repeat(5000)));
        assert!(draw(&deep, 40, 40).unwrap_err().contains("nested"));
        let chain: String = (1..200).map(|n| format!("<g id=\"u{n}\"><use href=\"#u{}\"/></g>", n - 1)).collect();
        let chain = svg(&format!("<g id=\"u0\"/>{chain}"));
        assert!(draw(&chain, 40, 40).unwrap_err().contains("nested"));
    }
}
