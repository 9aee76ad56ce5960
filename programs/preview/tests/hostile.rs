//! Files made to stop a renderer, given to the real program with its real limits: each ends in time, with a finding or with the end of
//! that one process, and whoever asked is untouched.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;
#[path = "../../../tests/common/pdf.rs"]
mod pdf;

use std::io::Cursor;
use std::io::Write as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use common::{Recipe, but_fonts, rectangle, text};
use sealagent::preview::{Finding, FindingKind as K, MAX_PIXELS, PagePicture, PageRequest, PreviewError, Program};

fn program() -> Program {
    // A debug build on a busy machine; the limits of the process itself are the shipped ones.
    Program::at(PathBuf::from(env!("CARGO_BIN_EXE_sealagent-preview")))
        .with_deadlines(Duration::from_secs(60), Duration::from_secs(120))
}

fn draw_at(program: &Program, bytes: Vec<u8>, dpi: f32) -> Result<PagePicture, PreviewError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let length = bytes.len() as u64;
        let mut session = program.open(Cursor::new(bytes), length).await?;
        session.page(&PageRequest { page: 1, dpi, max_pixels: MAX_PIXELS, stamps: Vec::new() }).await
    })
}

fn findings(bytes: Vec<u8>) -> Vec<Finding> {
    let drawn = draw_at(&program(), bytes, 144.0).unwrap();
    but_fonts(&drawn.head.findings).into_iter().cloned().collect()
}

/// The document cannot be opened at all, and that is why.
fn refused(bytes: Vec<u8>, why: &str) {
    let drawn = draw_at(&program(), bytes, 144.0);
    assert!(matches!(&drawn, Err(PreviewError::Refused(reason)) if reason.contains(why)), "{:?}", drawn.err());
}

fn is_truncated(findings: &[Finding]) -> bool {
    findings.iter().any(|finding| matches!(finding.kind, K::Truncated { .. }))
}

fn units(list: impl IntoIterator<Item = (u32, String)>) -> String {
    let unit = |(id, content)| {
        format!(
            "<ofd:CompositeGraphicUnit ID=\"{id}\" Width=\"9\" Height=\"9\"><ofd:Content>{content}</ofd:Content></ofd:CompositeGraphicUnit>"
        )
    };
    format!("<ofd:CompositeGraphicUnits>{}</ofd:CompositeGraphicUnits>", list.into_iter().map(unit).collect::<String>())
}

fn composite(unit: u32) -> String {
    format!("<ofd:CompositeObject ID=\"{}\" ResourceID=\"{unit}\" Boundary=\"0 0 100 80\"/>", unit + 1000)
}

#[test]
fn composites_that_multiply_end_at_the_limit_of_operations() {
    let list = (100..115).map(|id| (id, composite(id + 1).repeat(8))).chain([(115, rectangle(7, [0.0, 0.0, 1.0, 1.0], "0 0 0"))]);
    assert!(is_truncated(&findings(Recipe::new(composite(100)).resources(units(list)).bytes())));
}

#[test]
fn a_composite_that_draws_itself_ends_at_the_limit_of_nesting() {
    assert!(is_truncated(&findings(Recipe::new(composite(100)).resources(units([(100, composite(100))])).bytes())));
}

#[test]
fn fills_of_the_whole_page_end_at_the_limit_of_work() {
    let mut recipe = Recipe::new(rectangle(7, [0.0, 0.0, 400.0, 400.0], "1 2 3").repeat(3000));
    recipe.size = (400.0, 400.0);
    let drawn = draw_at(&program(), recipe.bytes(), 1200.0).unwrap();
    assert!(drawn.head.width * drawn.head.height > MAX_PIXELS / 2);
    assert!(is_truncated(&drawn.head.findings));
}

#[test]
fn clips_of_the_whole_page_end_at_the_limit_of_work() {
    let clip = "<ofd:Clips><ofd:Clip><ofd:Area><ofd:Path Boundary=\"0 0 9 9\"><ofd:AbbreviatedData>M 0 0 L 300 1 L 1 300 C</ofd:AbbreviatedData>\
                </ofd:Path></ofd:Area></ofd:Clip></ofd:Clips>";
    let object = rectangle(7, [0.0, 0.0, 1.0, 1.0], "0 0 0").replace("<ofd:Abb", &format!("{clip}<ofd:Abb"));
    let mut recipe = Recipe::new(object.repeat(4000));
    recipe.size = (400.0, 400.0);
    let drawn = draw_at(&program(), recipe.bytes(), 1200.0).unwrap();
    assert!(is_truncated(&drawn.head.findings));
}

#[test]
fn counts_and_dashes_without_end_cost_nothing() {
    let wide = "<ofd:TextObject ID=\"5\" Boundary=\"10 10 60 6\" Font=\"9\" Size=\"4\"><ofd:TextCode X=\"1\" Y=\"4\" \
                DeltaX=\"g 2000000000 1 g 99999999999 2\">甲乙</ofd:TextCode></ofd:TextObject>";
    let dashed = "<ofd:PathObject ID=\"6\" Boundary=\"0 0 90 9\" DashPattern=\"0.0000001 0.0000001\"><ofd:AbbreviatedData>M 0 1 L 90 1\
                  </ofd:AbbreviatedData></ofd:PathObject>";
    let found = findings(Recipe::new(format!("{wide}{dashed}")).bytes());
    assert!(
        matches!(&found[..], [finding] if matches!(&finding.kind, K::DrawnOtherwise { what } if what.contains("dash"))),
        "{found:?}"
    );
}

#[test]
fn blocks_nested_without_end_are_refused() {
    let (open, close) = ("<ofd:PageBlock>".repeat(20_000), "</ofd:PageBlock>".repeat(20_000));
    refused(Recipe::new(format!("{open}{}{close}", text(5, 1.0, 9.0, "", "", "甲"))).bytes(), "nested");
    // As deep as the reader lets through.
    let (open, close) = ("<ofd:PageBlock>".repeat(58), "</ofd:PageBlock>".repeat(58));
    assert!(is_truncated(&findings(Recipe::new(format!("{open}{}{close}", text(5, 1.0, 9.0, "", "", "甲"))).bytes())));
}

#[test]
fn a_page_that_inflates_is_refused() {
    refused(Recipe::new(" ".repeat(40 << 20)).bytes(), "bytes");
}

#[test]
fn pages_of_any_size_have_pictures_within_bounds() {
    for size in [(1e6, 1e6), (1e6, 0.001), (0.001, 1e6), (0.0001, 0.0001)] {
        let mut recipe = Recipe::new(rectangle(7, [0.0, 0.0, 1e6, 1e6], "0 0 0"));
        recipe.size = size;
        let drawn = draw_at(&program(), recipe.bytes(), 600.0).unwrap();
        assert!(drawn.head.width * drawn.head.height <= MAX_PIXELS, "{size:?}");
    }
}

#[test]
fn images_that_claim_too_much_are_not_decoded_and_told() {
    let mut bomb = common::png_file(1, 1, [0; 4]);
    bomb[16..24].copy_from_slice(&[0, 0, 0xea, 0x60, 0, 0, 0xea, 0x60]); // 60 000 × 60 000
    let media = "<ofd:MultiMedias><ofd:MultiMedia ID=\"30\" Type=\"Image\"><ofd:MediaFile>i.png</ofd:MediaFile></ofd:MultiMedia></ofd:MultiMedias>";
    let object = "<ofd:ImageObject ID=\"11\" ResourceID=\"30\" Boundary=\"0 0 9 9\"/>";
    for file in [bomb, b"\xff\xd8\xff\xe0".to_vec(), b"GIF89a\xff\xff\xff\xff\0\0\0".to_vec(), b"BM".to_vec(), Vec::new()] {
        let found = findings(Recipe::new(object).resources(media).file("Doc_0/i.png", file).bytes());
        assert!(matches!(&found[..], [Finding { kind: K::ImageUnreadable { .. }, .. }]), "{found:?}");
    }
}

#[test]
fn numbers_that_are_none_are_told_and_stop_nothing() {
    let objects = [
        "<ofd:PathObject ID=\"5\" Boundary=\"NaN 0 1 1\" LineWidth=\"-inf\" MiterLimit=\"1e38\"><ofd:AbbreviatedData>M 1e38 0 L -1e38 9</ofd:AbbreviatedData></ofd:PathObject>",
        "<ofd:PathObject ID=\"6\" Boundary=\"0 0 9 9\" CTM=\"0 0 0 0 0 0\"><ofd:AbbreviatedData>M 0 0 L 9 9</ofd:AbbreviatedData></ofd:PathObject>",
        "<ofd:PathObject ID=\"7\" Boundary=\"0 0 9 9\" LineWidth=\"999999\"><ofd:AbbreviatedData>M 0 0 A 1e6 1e-9 45 1 1 9 9 B 1 1 999999 -999999 3 3 C</ofd:AbbreviatedData></ofd:PathObject>",
        "<ofd:TextObject ID=\"8\" Boundary=\"0 0 9 9\" Font=\"9\" Size=\"1000000\" HScale=\"1000000\"><ofd:TextCode X=\"0\" Y=\"0\">甲</ofd:TextCode></ofd:TextObject>",
        "<ofd:TextObject ID=\"10\" Boundary=\"0 0 9 9\" Font=\"9\" Size=\"NaN\"><ofd:TextCode>甲</ofd:TextCode></ofd:TextObject>",
    ];
    let drawn =
        draw_at(&program(), Recipe::new(objects.concat() + &rectangle(9, [50.0, 50.0, 9.0, 9.0], "0 0 255")).bytes(), 144.0)
            .unwrap();
    let told: Vec<&str> = drawn.head.findings.iter().filter_map(|finding| finding.object.as_deref()).collect();
    assert!(told.contains(&"5") && told.contains(&"10"), "{:?}", drawn.head.findings);
}

#[test]
fn bytes_that_were_changed_never_end_the_process() {
    let objects =
        text(11, 10.0, 10.0, "", "", "甲方盖章") + &rectangle(12, [50.0, 10.0, 20.0, 20.0], "255 0 0") + &composite(100);
    let recipe = Recipe::new(objects).resources(units([(100, rectangle(7, [0.0, 40.0, 9.0, 9.0], "0 0 255"))]));
    let page = String::from_utf8(recipe.bytes_of("Doc_0/Page.xml")).unwrap();
    let mut seed = 1u64;
    let mut drawn = 0;
    for _ in 0..60 {
        let mut bytes = page.clone().into_bytes();
        for _ in 0..3 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let at = (seed >> 33) as usize % bytes.len();
            bytes[at] = b"0123456789 -.gMLC\"<>/"[(seed >> 20) as usize % 21];
        }
        let (_, pages) = common::converse(&recipe.bytes_with("Doc_0/Page.xml", bytes), &[common::request(1)]);
        drawn += pages.iter().filter(|page| page.is_ok()).count();
    }
    // Mostly the page is no XML any more, or the document has no page; now and then it is drawn.
    assert!(drawn > 5, "{drawn}");
}

fn seal(file: &[u8]) -> Result<Vec<u8>, PreviewError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(program().seal(file, [40.0, 40.0], 600.0))
}

/// Seals that were made to stop whoever draws them, or to be drawn without a part of themselves: refused, in time, with the reason.
#[test]
fn seals_made_to_stop_or_deceive_the_renderer_are_refused() {
    let svg = |inside: &str| {
        format!("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 40 40\"><rect width=\"9\" height=\"9\"/>{inside}</svg>")
            .into_bytes()
    };
    let entities: String = (1..10).map(|n| format!("<!ENTITY l{n} \"{}\">", format!("&l{};", n - 1).repeat(10))).collect();
    let laughs = format!("<!DOCTYPE svg [<!ENTITY l0 \"ha\">{entities}]><svg xmlns=\"http://www.w3.org/2000/svg\">&l9;</svg>")
        .into_bytes();
    let uses: String =
        (1..40).map(|n| format!("<g id=\"u{n}\">{}</g>", format!("<use href=\"#u{}\"/>", n - 1).repeat(2))).collect();
    let huge = b"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"1e30\" height=\"1e30\"><rect width=\"1\" height=\"1\"/></svg>"
        .to_vec();
    for (file, why) in [
        (laughs, "entities"),
        (svg(&format!("<g id=\"u0\"/>{uses}")), "copies counted"),
        (svg(&"<path d=\"M0 0h9\"/>".repeat(60_000)), "50000 elements"),
        (svg(&"<g>".repeat(100_000)), "SVG"),
        (huge, "units"),
        (svg("<text>章</text>"), "<text>"),
        (svg("<image href=\"file:///etc/passwd\"/>"), "<image>"),
        (svg("<use href=\"http://127.0.0.1/seal.svg#a\"/>"), "another file"),
        (vec![b' '; 5 << 20], "neither"),
        (svg(&" ".repeat(5 << 20)), "bytes"),
        (Recipe::new("").bytes(), "nothing"),
        (Recipe::new("<ofd:VideoObject ID=\"5\"/>").bytes(), "VideoObject"),
        (common::png_file(1, 1, [0; 4]), "neither"),
    ] {
        let drawn = seal(&file);
        assert!(matches!(&drawn, Err(PreviewError::Refused(reason)) if reason.contains(why)), "{why}: {:?}", drawn.err());
    }
    assert!(seal(&svg("")).unwrap().starts_with(b"\x89PNG"));
}

/// One path may cross itself as often as a seal has bytes: what takes too long is given up, and the next seal is drawn.
#[test]
fn a_seal_that_takes_too_long_is_given_up() {
    let zigzag: String = (0..400_000).map(|n| if n % 2 == 0 { "L0 9" } else { "L40 8" }).collect();
    let layers = "<g opacity=\".9\">".repeat(20) + &format!("<path d=\"M0 0{zigzag}\" stroke=\"red\"/>") + &"</g>".repeat(20);
    let file = format!("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 40 40\">{layers}</svg>");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let program = program().with_deadlines(Duration::from_secs(2), Duration::from_secs(2));
    let started = Instant::now();
    let drawn = runtime.block_on(program.seal(file.as_bytes(), [40.0, 40.0], 600.0));
    assert!(matches!(drawn, Err(PreviewError::TooLate | PreviewError::NotRunning(_))), "{:?}", drawn.err());
    assert!(started.elapsed() < Duration::from_secs(6));
}

fn page_of(media_box: &str, resources: &str, content: &str, more: Vec<String>) -> Vec<u8> {
    let stream = |content: &str| format!("<< /Length {} >>\nstream\n{content}\nendstream", content.len());
    let mut objects = vec![
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>".to_owned(),
        format!("<< /Type /Page /Parent 2 0 R /MediaBox [{media_box}] /Resources << {resources} >> /Contents 4 0 R >>"),
        stream(content),
    ];
    objects.extend(more);
    pdf::file(&objects, "")
}

fn form(next: usize, times: usize) -> String {
    let content = "/F Do ".repeat(times);
    format!(
        "<< /Type /XObject /Subtype /Form /BBox [0 0 9 9] /Resources << /XObject << /F {next} 0 R >> >> /Length {} >>\nstream\n{content}\nendstream",
        content.len()
    )
}

#[test]
fn pdf_pages_of_any_size_are_drawn_or_refused() {
    for size in ["0 0 200000 200000", "0 0 1e9 1e9", "0 0 0 0", "0 0 100 1e-9", "5 5 -300 -400"] {
        let drawn = draw_at(&program(), page_of(size, "", "0 0 50 50 re f", Vec::new()), 144.0);
        assert!(matches!(drawn, Ok(_) | Err(PreviewError::Refused(_))), "{size}: {:?}", drawn.err());
    }
}

#[test]
fn pdf_page_that_stands_twice_in_the_page_tree_is_named() {
    let page = "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 300 300] >>";
    let objects = |kids: &str| {
        let pages = format!("<< /Type /Pages /Kids [{kids}] /Count 3 >>");
        ["<< /Type /Catalog /Pages 2 0 R >>", &pages, page, page].map(str::to_owned)
    };
    let told = |kids: &str| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let bytes = pdf::file(&objects(kids), "");
        let length = bytes.len() as u64;
        let session = runtime.block_on(program().open(Cursor::new(bytes), length)).unwrap();
        session.document.findings.clone()
    };
    assert_eq!(told("3 0 R 4 0 R"), []);
    let doubled = told("3 0 R 4 0 R 3 0 R");
    let [Finding { kind: K::NotDrawn { reason }, .. }] = &doubled[..] else { panic!("{doubled:?}") };
    assert_eq!(reason, "page object 3 stands twice in the page tree");
    // A circle is no doubled page.
    let circle = told("3 0 R 2 0 R");
    assert!(matches!(&circle[..], [Finding { kind: K::NotDrawn { reason }, .. }] if reason.contains("circle")), "{circle:?}");
}

#[test]
fn pdf_form_that_draws_itself_ends() {
    let drawn = draw_at(&program(), page_of("0 0 99 99", "/XObject << /F 5 0 R >>", "/F Do", vec![form(5, 1)]), 144.0);
    assert!(drawn.is_ok(), "{:?}", drawn.err());
}

#[test]
fn pdf_forms_that_multiply_are_ended_and_the_asker_goes_on() {
    let forms = (0..25).map(|n| form(6 + n, 2)).chain([form(4, 0)]);
    let bytes = page_of("0 0 99 99", "/XObject << /F 5 0 R >>", "/F Do", forms.collect());
    let program = program().with_deadlines(Duration::from_secs(3), Duration::from_secs(60));
    let started = Instant::now();
    assert!(matches!(draw_at(&program, bytes, 144.0), Err(PreviewError::TooLate)));
    assert!(started.elapsed() < Duration::from_secs(6));
    assert!(draw_at(&self::program(), Recipe::new("").bytes(), 72.0).is_ok());
}

/// Without an asker who loses patience, the limit of computing time ends it.
#[test]
#[cfg(target_os = "linux")]
fn pdf_that_computes_for_ever_is_ended_by_its_own_limit() {
    let forms = (0..30).map(|n| form(6 + n, 2)).chain([form(4, 0)]);
    let bytes = page_of("0 0 99 99", "/XObject << /F 5 0 R >>", "/F Do", forms.collect());
    let program = program().with_deadlines(Duration::from_secs(300), Duration::from_secs(300));
    assert!(matches!(draw_at(&program, bytes, 144.0), Err(PreviewError::NotRunning(_))));
}

#[test]
#[cfg(target_os = "linux")]
fn pdf_that_inflates_without_end_takes_no_more_memory_than_it_may() {
    let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    let spaces = vec![b' '; 1 << 20];
    (0..1500).for_each(|_| zlib.write_all(&spaces).unwrap());
    let data = zlib.finish().unwrap();
    let mut bytes = b"%PDF-1.7\n1 0 obj\n<< /Type /Catalog /Pages 2 0 R >>\nendobj\n2 0 obj\n<< /Type /Pages /Kids [3 0 R] /Count 1 >>\nendobj\n3 0 obj\n\
        << /Type /Page /Parent 2 0 R /MediaBox [0 0 99 99] /Contents 4 0 R >>\nendobj\n4 0 obj\n"
        .to_vec();
    write!(bytes, "<< /Length {} /Filter /FlateDecode >>\nstream\n", data.len()).unwrap();
    bytes.extend(data);
    bytes.extend(b"\nendstream\nendobj\ntrailer\n<< /Size 5 /Root 1 0 R >>\n%%EOF\n");
    // It dies of it, or draws what it got: either way within its gigabyte.
    let drawn = draw_at(&program(), bytes, 144.0);
    assert!(matches!(drawn, Ok(_) | Err(PreviewError::NotRunning(_) | PreviewError::Refused(_))), "{:?}", drawn.err());
}

/// The walls stand before the first byte of a document is read.
#[test]
#[cfg(target_os = "linux")]
fn the_process_is_confined_before_it_is_told_anything() {
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_sealagent-preview"))
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let proc = |name: &str| std::fs::read_to_string(format!("/proc/{}/{name}", child.id())).unwrap();
    let until = Instant::now() + Duration::from_secs(20);
    let status = loop {
        let status = proc("status");
        if status.contains("Seccomp:\t2") || Instant::now() > until {
            break status;
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    let limits = proc("limits");
    child.kill().unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(
        status.contains("Seccomp:\t2") && status.contains("NoNewPrivs:\t1"),
        "{status}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let limit = |name: &str, value: &str| {
        limits.lines().any(|line| line.starts_with(name) && line.split_whitespace().any(|word| word == value))
    };
    assert!(
        limit("Max address space", "1073741824") && limit("Max open files", "16") && limit("Max core file size", "0"),
        "{limits}"
    );
    assert!(limit("Max cpu time", "20"), "{limits}");
}
