//! What is on the page is in the picture, where it belongs; what is not is told.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;
#[path = "../../../tests/common/pdf.rs"]
mod pdf;

use common::{Recipe, but_fonts, draw, draw_as, png_file, rectangle, request, text, xml};
use sealagent::ofd::write::{Item, NewDocument, NewPage};
use sealagent::preview::{FindingKind as K, Hidden, PageRequest, ProposedStamp, TextSource, Told, keyword};
use sealagent::sm::sm3;
use sealagent::stamp::SizeMm;
use ukey::wire::Bytes;

const WHITE: [u8; 3] = [255; 3];
const RED: [u8; 3] = [255, 0, 0];

#[test]
fn text_boxes_are_those_of_the_document() {
    let item = Item::Text { x: 20.0, y: 30.0, size: 4.0, font: "宋体".into(), text: "甲方A1盖章".into() };
    let page = NewPage { size: SizeMm { width: 100.0, height: 80.0 }, items: vec![item] };
    let mut bytes = Vec::new();
    NewDocument { title: "t".into(), date: "2026-11-24".into(), pages: vec![page], images: vec![] }.write(&mut bytes).unwrap();
    let drawn = draw(&bytes);
    assert_eq!((drawn.head.width, drawn.head.height), (567, 454));
    let [run] = drawn.head.text.as_slice() else { panic!("{:?}", drawn.head.text) };
    assert_eq!((run.text.as_str(), run.source, run.hidden), ("甲方A1盖章", TextSource::Page, None));
    let lefts = [20.0, 24.0, 28.0, 30.0, 32.0, 36.0];
    for (place, (left, width)) in run.boxes.iter().zip(lefts.into_iter().zip([4.0, 4.0, 2.0, 2.0, 4.0, 4.0])) {
        let expected = [left, 30.0 - 0.88 * 4.0, width, 4.0];
        assert!(place.iter().zip(expected).all(|(a, b): (&f32, f32)| (a - b).abs() < 0.01), "{place:?} {expected:?}");
    }
    let found = keyword::all(&drawn.head.text, "盖章").unwrap()[0];
    assert!((found.x - 32.0).abs() < 0.01 && (found.width - 8.0).abs() < 0.01, "{found:?}");
    assert!(drawn.has_ink([20.0, 26.5, 4.0, 4.0]) && !drawn.has_ink([42.0, 26.5, 10.0, 4.0]));
}

#[test]
fn repeated_distances_and_leading_spaces_keep_their_width() {
    let code = "<ofd:TextObject ID=\"5\" Boundary=\"10 10 60 6\" Font=\"9\" Size=\"4\"><ofd:TextCode X=\"1\" Y=\"4\" \
                DeltaX=\"g 2 5 3\" DeltaY=\"0 0 2\"> 甲乙丙</ofd:TextCode></ofd:TextObject>";
    let drawn = draw(&Recipe::new(code).bytes());
    let lefts: Vec<f32> = drawn.head.text.iter().flat_map(|run| &run.boxes).map(|place| place[0]).collect();
    let tops: Vec<f32> = drawn.head.text.iter().flat_map(|run| &run.boxes).map(|place| place[1]).collect();
    assert_eq!(lefts, [11.0, 16.0, 21.0, 24.0]);
    assert!((tops[3] - tops[0] - 2.0).abs() < 0.001, "{tops:?}");
}

#[test]
fn hidden_text_is_told_and_never_found() {
    let white = "<ofd:FillColor Value=\"255 255 255\"/>";
    let clear = "<ofd:FillColor Value=\"0 0 0\" Alpha=\"0\"/>";
    let objects = [
        text(11, 10.0, 10.0, "", white, "白字"),
        text(12, 10.0, 20.0, "", clear, "透明"),
        text(13, 200.0, 30.0, "", "", "页外"),
        text(14, 10.0, 40.0, "", "", "盖住"),
        rectangle(15, [5.0, 35.0, 30.0, 8.0], "255 255 255"),
        text(16, 10.0, 50.0, "", "", "图下"),
        "<ofd:ImageObject ID=\"17\" ResourceID=\"30\" Boundary=\"5 45 30 8\" CTM=\"30 0 0 8 0 0\"/>".to_owned(),
        text(18, 10.0, 60.0, "", "", "看见"),
        rectangle(19, [5.0, 55.0, 30.0, 8.0], "255 255 0").replace("Fill=\"true\"", "Fill=\"true\" Alpha=\"80\""),
    ];
    let media = "<ofd:MultiMedias><ofd:MultiMedia ID=\"30\" Type=\"Image\"><ofd:MediaFile>i.png</ofd:MediaFile></ofd:MultiMedia></ofd:MultiMedias>";
    let recipe = Recipe::new(objects.concat()).resources(media).file("Doc_0/i.png", png_file(30, 8, [0, 90, 200, 255]));
    let drawn = draw(&recipe.bytes());
    let hidden: Vec<(&str, Option<Hidden>)> = drawn.head.text.iter().map(|run| (run.text.as_str(), run.hidden)).collect();
    let expected = [
        ("白字", Some(Hidden::NoMark)),
        ("透明", Some(Hidden::NoMark)),
        ("页外", Some(Hidden::OutsidePage)),
        ("盖住", Some(Hidden::Covered)),
        ("图下", Some(Hidden::Covered)),
        ("看见", None),
    ];
    assert_eq!(hidden, expected);
    for (word, why) in expected {
        assert_eq!(!keyword::all(&drawn.head.text, word).unwrap().is_empty(), why.is_none(), "{word}");
        let told = drawn
            .kinds()
            .iter()
            .any(|kind| matches!(kind, K::HiddenText { text, why: told } if text == word && Some(*told) == why));
        assert_eq!(told, why.is_some(), "{word}");
    }
}

#[test]
fn a_missing_glyph_leaves_a_box_and_is_told() {
    let drawn = draw(&Recipe::new(text(11, 10.0, 20.0, "", "", "\u{10abcd}")).bytes());
    assert!(drawn.kinds().iter().any(|kind| matches!(kind, K::GlyphMissing { characters } if characters == "\u{10abcd}")));
    assert!(drawn.has_ink([10.0, 16.0, 5.0, 5.0]));
    assert!(drawn.head.findings.iter().any(|finding| finding.is_incomplete()));
}

#[test]
fn what_is_not_drawn_is_told_with_its_object() {
    let objects = [
        "<ofd:VideoObject ID=\"11\"/>".to_owned(),
        "<ofd:ImageObject ID=\"12\" ResourceID=\"77\" Boundary=\"0 0 9 9\"/>".to_owned(),
        "<ofd:CompositeObject ID=\"13\" ResourceID=\"78\" Boundary=\"0 0 9 9\"/>".to_owned(),
        rectangle(14, [1.0, 1.0, 5.0, 5.0], "0 0 0").replace("ID=\"14\"", "ID=\"14\" Visible=\"false\""),
        rectangle(15, [50.0, 50.0, 5.0, 5.0], "0 0 0")
            .replace("<ofd:FillColor Value=\"0 0 0\"/>", "<ofd:FillColor><ofd:Pattern/></ofd:FillColor>"),
        rectangle(16, [60.0, 50.0, 5.0, 5.0], "0 0 0").replace(" C<", " X 3<"),
    ];
    let mut recipe = Recipe::new(objects.concat());
    recipe.page = "<ofd:Template TemplateID=\"55\"/>".into();
    let drawn = draw(&recipe.bytes());
    let told: Vec<&str> = drawn.head.findings.iter().filter_map(|finding| finding.object.as_deref()).collect();
    assert_eq!(told, ["55", "11", "12", "13", "14", "15", "16"]);
    // What cannot be filled as asked is grey, not gone.
    assert_eq!(drawn.at(52.0, 52.0), [128; 3]);
}

#[test]
fn a_page_whose_content_leaves_no_mark_is_told() {
    let drawn = draw(&Recipe::new(rectangle(11, [0.0, 0.0, 50.0, 50.0], "255 255 255")).bytes());
    assert_eq!(drawn.kinds(), [&K::BlankPage]);
    assert!(draw(&Recipe::new("").bytes()).head.findings.is_empty());
}

#[test]
fn templates_layers_annotations_and_composites_are_drawn_in_their_order() {
    let unit = "<ofd:CompositeGraphicUnits><ofd:CompositeGraphicUnit ID=\"40\" Width=\"10\" Height=\"10\"><ofd:Content>{}</ofd:Content>\
                </ofd:CompositeGraphicUnit></ofd:CompositeGraphicUnits>";
    let unit = unit.replace("{}", &rectangle(41, [0.0, 0.0, 10.0, 10.0], "0 255 0"));
    let objects = rectangle(11, [20.0, 0.0, 20.0, 20.0], "0 0 255")
        + "<ofd:CompositeObject ID=\"12\" ResourceID=\"40\" Boundary=\"60 0 20 20\" CTM=\"2 0 0 2 0 0\"/>";
    let mut recipe = Recipe::new(objects).resources(unit);
    recipe.common = "<ofd:TemplatePage ID=\"50\" BaseLoc=\"T.xml\"/><ofd:TemplatePage ID=\"51\" BaseLoc=\"U.xml\"/>".into();
    recipe.page = "<ofd:Template TemplateID=\"50\"/><ofd:Template TemplateID=\"51\" ZOrder=\"Foreground\"/>".into();
    recipe.document = "<ofd:Annotations>Annots.xml</ofd:Annotations>".into();
    let layer = |objects: String| xml("Page", &format!("<ofd:Content><ofd:Layer>{objects}</ofd:Layer></ofd:Content>"));
    let appearance = format!(
        "<ofd:Appearance Boundary=\"0 40 20 20\">{}</ofd:Appearance>",
        rectangle(71, [5.0, 0.0, 10.0, 10.0], "255 0 255")
    );
    let recipe = recipe
        .file("Doc_0/T.xml", layer(rectangle(61, [0.0, 0.0, 30.0, 20.0], "255 0 0")))
        .file("Doc_0/U.xml", layer(rectangle(62, [35.0, 0.0, 10.0, 20.0], "0 0 0")))
        .file("Doc_0/Annots.xml", xml("Annotations", "<ofd:Page PageID=\"1\"><ofd:FileLoc>A.xml</ofd:FileLoc></ofd:Page>"))
        .file("Doc_0/A.xml", xml("PageAnnot", &format!("<ofd:Annot ID=\"70\" Type=\"Stamp\">{appearance}</ofd:Annot>")));
    let drawn = draw(&recipe.bytes());
    assert!(drawn.head.findings.is_empty(), "{:?}", drawn.head.findings);
    let places = [(10.0, RED), (25.0, [0, 0, 255]), (38.0, [0; 3]), (42.0, [0; 3]), (50.0, WHITE), (78.0, [0, 255, 0])];
    for (x, color) in places {
        assert_eq!(drawn.at(x, 10.0), color, "{x}");
    }
    assert_eq!((drawn.at(2.0, 45.0), drawn.at(10.0, 45.0)), (WHITE, [255, 0, 255]));
}

#[test]
fn clips_and_boundaries_cut() {
    let clip = "<ofd:Clips TransFlag=\"false\"><ofd:Clip><ofd:Area><ofd:Path Boundary=\"5 5 10 10\"><ofd:AbbreviatedData>\
                M 0 0 L 10 0 L 10 10 L 0 10 C</ofd:AbbreviatedData></ofd:Path></ofd:Area></ofd:Clip></ofd:Clips>";
    let clipped = rectangle(11, [10.0, 10.0, 20.0, 20.0], "255 0 0").replace("<ofd:Abb", &format!("{clip}<ofd:Abb"));
    let beyond = rectangle(12, [50.0, 10.0, 20.0, 20.0], "255 0 0").replace("50 10 20 20", "50 10 20 5");
    let edge = "<ofd:PathObject ID=\"13\" Boundary=\"10 60 50 0\" LineWidth=\"2\"><ofd:AbbreviatedData>M 0 0 L 50 0</ofd:AbbreviatedData></ofd:PathObject>";
    let drawn = draw(&Recipe::new(clipped + &beyond + edge).bytes());
    assert_eq!([drawn.at(20.0, 20.0), drawn.at(12.0, 12.0), drawn.at(27.0, 20.0)], [RED, WHITE, WHITE]);
    assert_eq!([drawn.at(60.0, 12.0), drawn.at(60.0, 20.0)], [RED, WHITE]);
    // A line on the edge of its Boundary keeps its whole width.
    assert_eq!([drawn.at(30.0, 59.3), drawn.at(30.0, 60.7)], [[0; 3], [0; 3]]);
}

#[test]
fn images_are_read_by_their_first_bytes_and_shadings_shade() {
    let media = "<ofd:MultiMedias><ofd:MultiMedia ID=\"30\" Type=\"Image\" Format=\"JPG\"><ofd:MediaFile>i.jpg</ofd:MediaFile></ofd:MultiMedia></ofd:MultiMedias>";
    let image = "<ofd:ImageObject ID=\"11\" ResourceID=\"30\" Boundary=\"10 10 20 20\"/>".to_owned();
    let stops = "<ofd:Segment Position=\"0\"><ofd:Color Value=\"255 0 0\"/></ofd:Segment><ofd:Segment Position=\"1\"><ofd:Color Value=\"0 0 255\"/></ofd:Segment>";
    let shaded = |id, x, shading: String| {
        rectangle(id, [x, 50.0, 20.0, 20.0], "0")
            .replace("<ofd:FillColor Value=\"0\"/>", &format!("<ofd:FillColor>{shading}</ofd:FillColor>"))
    };
    let axial = shaded(12, 10.0, format!("<ofd:AxialShd StartPoint=\"0 0\" EndPoint=\"20 0\">{stops}</ofd:AxialShd>"));
    let radial = shaded(
        13,
        50.0,
        format!(
            "<ofd:RadialShd StartPoint=\"10 10\" EndPoint=\"10 10\" StartRadius=\"0\" EndRadius=\"10\">{stops}</ofd:RadialShd>"
        ),
    );
    let recipe = Recipe::new(image + &axial + &radial).resources(media).file("Doc_0/i.jpg", png_file(4, 4, [0, 128, 0, 255]));
    let drawn = draw(&recipe.bytes());
    assert!(drawn.head.findings.is_empty(), "{:?}", drawn.head.findings);
    assert_eq!(drawn.at(20.0, 20.0), [0, 128, 0]);
    let [left, right] = [drawn.at(10.5, 60.0), drawn.at(29.5, 60.0)];
    assert!(left[0] > 230 && left[2] < 30 && right[0] < 30 && right[2] > 230, "{left:?} {right:?}");
    let [middle, rim] = [drawn.at(60.0, 60.0), drawn.at(51.0, 51.0)];
    assert!(middle[0] > 230 && rim[2] > 230, "{middle:?} {rim:?}");
}

#[test]
fn a_proposed_seal_is_on_the_first_layer_only_and_cut_to_its_strip() {
    let recipe = Recipe::new(text(11, 10.0, 20.0, "", "", "甲方"));
    let rect = [80.0, 20.0, 40.0, 40.0];
    let stamp = ProposedStamp { rect, clip: Some([0.0, 0.0, 10.0, 40.0]), picture: Bytes(png_file(10, 10, [255, 0, 0, 255])) };
    let broken = ProposedStamp { rect, clip: None, picture: Bytes(b"GIF89a".to_vec()) };
    let drawn = draw_as(&recipe.bytes(), &PageRequest { stamps: vec![stamp, broken], ..request(1) });
    assert_eq!(drawn.layers.len(), 2);
    assert_eq!([drawn.pixel(0, 85.0, 40.0), drawn.pixel(0, 92.0, 40.0), drawn.pixel(1, 85.0, 40.0)], [RED, WHITE, WHITE]);
    assert!(matches!(but_fonts(&drawn.head.findings)[..], [f] if matches!(f.kind, K::SealSkipped { .. })));
    assert_eq!(drawn.layers[1], draw(&recipe.bytes()).layers[0]);
}

#[test]
fn an_opaque_seal_is_ink_and_not_paper() {
    // 2 × 2 pixels, 24 bits: blue, green, red bytes with rows padded to 8.
    let pixels = [[255, 255, 255, 255, 255, 255, 0, 0], [0, 0, 255, 0, 0, 255, 0, 0]].concat();
    let header = [
        &b"BM"[..],
        &[0; 8],
        &54u32.to_le_bytes(),
        &40u32.to_le_bytes(),
        &2u32.to_le_bytes(),
        &2u32.to_le_bytes(),
        &[1, 0, 24, 0],
        &[0; 24],
    ];
    let bmp = [header.concat(), pixels].concat();
    let recipe = Recipe::new(rectangle(11, [0.0, 0.0, 100.0, 80.0], "0 0 0"));
    let stamp = ProposedStamp { rect: [10.0, 10.0, 40.0, 40.0], clip: None, picture: Bytes(bmp.clone()) };
    let drawn = draw_as(&recipe.bytes(), &PageRequest { stamps: vec![stamp.clone()], ..request(1) });
    assert_eq!(drawn.at(30.0, 45.0), [0; 3]);
    let drawn = draw_as(&Recipe::new("").bytes(), &PageRequest { stamps: vec![stamp], ..request(1) });
    assert_eq!([drawn.at(30.0, 12.0), drawn.at(30.0, 48.0)], [RED, WHITE]);
}

#[test]
fn the_digest_is_of_the_bytes_that_are_drawn() {
    let bytes = Recipe::new("").bytes();
    let (told, _) = common::converse(&bytes, &[]);
    let Told::Opened { sm3: digest, pages, .. } = told else { panic!("{told:?}") };
    assert_eq!(digest.0, sm3(&bytes).0);
    assert_eq!(pages, [[100.0, 80.0]]);
    let (told, pages) = common::converse(b"PK but no package", &[request(1)]);
    assert!(matches!(told, Told::Refused { .. }) && pages.is_empty(), "{told:?}");
    let (_, pages) = common::converse(&bytes, &[request(0), request(2), request(1)]);
    assert_eq!(pages.iter().map(Result::is_ok).collect::<Vec<_>>(), [false, false, true]);
}

/// One page that cannot be read keeps its place, blank; the others are shown; and neither it nor the document looks complete.
#[test]
fn a_page_that_cannot_be_read_keeps_its_place_and_is_told() {
    let mark = |n: usize| Item::Line { from: (10.0, 10.0 * n as f64), to: (90.0, 10.0 * n as f64), width: 2.0 };
    let page = |n| NewPage { size: SizeMm { width: 100.0, height: 80.0 }, items: vec![mark(n)] };
    let mut bytes = Vec::new();
    let document =
        NewDocument { title: "t".into(), date: "2026-11-24".into(), pages: (1..=3).map(page).collect(), images: vec![] };
    document.write(&mut bytes).unwrap();
    let broken = common::with_file(&bytes, "Doc_0/Pages/Page_1/Content.xml", b"<ofd:Page".to_vec());
    let (told, pages) = common::converse(&broken, &[request(1), request(2), request(3)]);
    let Told::Opened { pages: sizes, findings, .. } = told else { panic!("{told:?}") };
    assert_eq!(sizes, [[100.0, 80.0]; 3]);
    assert!(
        matches!(&findings[..], [f] if matches!(&f.kind, K::NotDrawn { reason } if reason.contains("page 2"))),
        "{findings:?}"
    );
    let pages: Vec<_> = pages.into_iter().map(Result::unwrap).collect();
    assert!(pages[0].has_ink([10.0, 8.0, 80.0, 4.0]) && pages[2].has_ink([10.0, 28.0, 80.0, 4.0]));
    assert!(!pages[1].has_ink([0.0, 0.0, 99.0, 79.0]));
    assert!(pages[1].head.findings.iter().any(sealagent::preview::Finding::is_incomplete), "{:?}", pages[1].head.findings);
    // Of nothing but such pages there is nothing to show.
    let none = common::with_file(&draw_nothing(), "Doc_0/Pages/Page_0/Content.xml", b"<ofd:Page".to_vec());
    assert!(matches!(common::converse(&none, &[]).0, Told::Refused { .. }));
}

fn draw_nothing() -> Vec<u8> {
    let page = NewPage { size: SizeMm { width: 100.0, height: 80.0 }, items: Vec::new() };
    let mut bytes = Vec::new();
    NewDocument { title: "t".into(), date: "2026-11-24".into(), pages: vec![page], images: vec![] }.write(&mut bytes).unwrap();
    bytes
}

/// The library leaves out what it does not take for a page, and would show page 3 as page 2.
#[test]
fn a_pdf_page_that_cannot_be_read_keeps_its_place_and_is_told() {
    let page = |content: u32| format!("<</Type/Page/Parent 2 0 R/Resources<<>>/Contents {content} 0 R>>");
    let bar = |y: u32| {
        let content = format!("0 g 20 {y} 160 10 re f");
        format!("<</Length {}>>stream\n{content}\nendstream", content.len())
    };
    let file = |second: &str, kids: &str| {
        let pages = format!("<</Type/Pages/Kids[{kids}]/Count 3/MediaBox[0 0 200 150]>>");
        pdf::file(&["<</Type/Catalog/Pages 2 0 R>>".into(), pages, page(6), second.into(), page(7), bar(100), bar(40)], "")
    };
    let usual = "3 0 R 4 0 R 5 0 R";
    for (second, kids) in [("null", usual), ("(no page)", usual), (&*page(6), "3 0 R 99 0 R 5 0 R")] {
        let (told, pages) = common::converse(&file(second, kids), &[request(1), request(2), request(3)]);
        let Told::Opened { pages: sizes, findings, .. } = told else { panic!("{told:?}") };
        assert_eq!(sizes.len(), 3, "{second}");
        assert!(
            matches!(&findings[..], [f] if matches!(&f.kind, K::NotDrawn { reason } if reason.contains("page 2"))),
            "{second}: {findings:?}"
        );
        let pages: Vec<_> = pages.into_iter().map(Result::unwrap).collect();
        let place = |y: f64| [8.0, (145.0 - y) / 72.0 * 25.4 - 1.0, 50.0, 2.0];
        assert!(pages[0].has_ink(place(100.0)) && pages[2].has_ink(place(40.0)), "{second}");
        assert!(pages[1].head.findings.iter().any(sealagent::preview::Finding::is_incomplete), "{second}");
    }
    // One that stands in the list itself is no page for those who sign, and must not look as if it were shown.
    let direct = format!("3 0 R {} 5 0 R", page(6));
    let (told, pages) = common::converse(&file("null", &direct), &[request(1), request(2)]);
    let Told::Opened { pages: sizes, findings, .. } = told else { panic!("{told:?}") };
    assert_eq!((sizes.len(), pages.len()), (2, 2));
    assert!(findings.iter().any(sealagent::preview::Finding::is_incomplete), "{findings:?}");
}
