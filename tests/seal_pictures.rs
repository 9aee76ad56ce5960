//! Seals whose pictures must be drawn (SVG, OFD): in PDF at their true size as the person was shown them, judged by Poppler, qpdf and
//! MuPDF; and nothing signed where a picture cannot be drawn whole. What is absent from the machine is reported as ignored:
//! `apt-get install qpdf poppler-utils mupdf-tools`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common {
    pub mod pdf;
    pub mod rig;
    pub mod world;
}

use std::fs;
use std::io::{Cursor, Read as _};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use common::pdf::pages;
use common::rig::{NOW, PIN, Rig, at, document as ofd, draft, sibling};
use common::world::with_entry;
use libtest_mimic::{Arguments, Failed, Trial};
use sealagent::consent::Requester;
use sealagent::consent::prompt::Canceller;
use sealagent::consent::scripted::Reply;
use sealagent::failure::{Code, Failure, Language};
use sealagent::http::pages::link::Links;
use sealagent::ofd::write::{NewDocument, NewPage};
use sealagent::preview::{PagePicture, PageRequest, Program, ProposedStamp};
use sealagent::ses::{Picture, SealDraft, Version};
use sealagent::signing::request::run_alone;
use sealagent::signing::subject::Bytes;
use sealagent::signing::{Document, Output, Scratch, Signed, SignedValueKind, SigningItem, SigningRequest, Subject};
use sealagent::stamp::{PageSelection, SizeMm, Stamp};
use sealagent::verify::report::Indication;
use sealagent::verify::{Context, Verifier};
use ukey::wire;

/// Where the seal is set: left and top in mm.
const CORNER: [f64; 2] = [120.0, 200.0];
/// Side of the seal in mm.
const SIDE: f64 = 40.0;
/// Dots per inch of what is compared.
const DPI: f32 = 144.0;

fn main() {
    let arguments = Arguments::from_args();
    let no = |program: &str| Command::new(program).arg("--help").output().is_err();
    let (toppm, qpdf, pdfsig, mutool) = (no("pdftoppm"), no("qpdf"), no("pdfsig"), no("mutool"));
    let mut trials = Vec::new();
    let mut trial = |name: String, ignored: bool, run: Box<dyn FnOnce() -> Result<(), Failed> + Send>| {
        trials.push(Trial::test(name, run).with_ignored_flag(ignored));
    };
    for (kind, file) in [("svg", svg as fn() -> Vec<u8>), ("ofd", package)] {
        let shown = move || shown_is_printed(kind, file());
        trial(format!("poppler_shows_the_{kind}_seal_as_the_person_saw_it"), toppm, Box::new(shown));
        let accepted = move |command: &'static [&'static str], says: &'static str| judged(kind, file(), command, says);
        let check = move || accepted(&["qpdf", "--check"], "No syntax or stream encoding errors found");
        trial(format!("qpdf_accepts_a_pdf_with_an_{kind}_seal"), qpdf, Box::new(check));
        let list = move || accepted(&["pdfsig", "-nocert"], "Total document signed");
        trial(format!("pdfsig_lists_the_signature_with_an_{kind}_seal"), pdfsig, Box::new(list));
        let read = move || accepted(&["mutool", "info"], "Pages: 1");
        trial(format!("mutool_reads_a_pdf_with_an_{kind}_seal"), mutool, Box::new(read));
    }
    trial("each_of_two_seals_on_one_pdf_has_the_picture".into(), false, Box::new(two_on_one));
    trial("an_svg_seal_on_an_ofd_is_drawn_from_its_signed_value".into(), false, Box::new(svg_on_ofd));
    trial("the_verification_page_shows_seals_that_must_be_drawn".into(), false, Box::new(on_the_page));
    trial("own_pages_get_the_drawn_seal_and_sites_its_file".into(), false, Box::new(in_the_list));
    trial("a_picture_that_is_not_drawn_whole_signs_nothing".into(), false, Box::new(refused));
    trial("without_a_preview_nothing_is_put_into_a_pdf".into(), false, Box::new(no_preview));
    libtest_mimic::run(&arguments, trials).exit();
}

/// A ring that touches the sides of its square, a half transparent bar, and nothing else.
fn svg() -> Vec<u8> {
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?><svg xmlns=\"http://www.w3.org/2000/svg\" width=\"160\" height=\"160\" viewBox=\"0 0 40 40\">\
     <style>.ring{fill:none;stroke:#E60012;stroke-width:2}</style><circle class=\"ring\" cx=\"20\" cy=\"20\" r=\"19\"/>\
     <rect x=\"8\" y=\"17\" width=\"24\" height=\"6\" fill=\"blue\" opacity=\".4\"/></svg>"
        .into()
}

/// The same as a package.
fn package() -> Vec<u8> {
    let page = NewPage { size: SizeMm { width: SIDE, height: SIDE }, items: Vec::new() };
    let document = NewDocument { title: "印".into(), date: "2026-11-24".into(), pages: vec![page], images: Vec::new() };
    let mut bytes = Vec::new();
    document.write(&mut bytes).unwrap();
    let ring = "M 1 20 A 19 19 0 1 1 39 20 A 19 19 0 1 1 1 20 C";
    let page = format!(
        "<ofd:Page xmlns:ofd=\"http://www.ofdspec.org/2016\"><ofd:Area><ofd:PhysicalBox>0 0 40 40</ofd:PhysicalBox></ofd:Area><ofd:Content>\
         <ofd:Layer ID=\"2\"><ofd:PathObject ID=\"3\" Boundary=\"0 0 40 40\" LineWidth=\"2\"><ofd:StrokeColor Value=\"230 0 18\"/>\
         <ofd:AbbreviatedData>{ring}</ofd:AbbreviatedData></ofd:PathObject><ofd:PathObject ID=\"4\" Boundary=\"8 17 24 6\" Stroke=\"false\" \
         Fill=\"true\" Alpha=\"102\"><ofd:FillColor Value=\"0 0 255\"/><ofd:AbbreviatedData>M 0 0 L 24 0 L 24 6 L 0 6 C</ofd:AbbreviatedData>\
         </ofd:PathObject></ofd:Layer></ofd:Content></ofd:Page>"
    );
    with_entry(&bytes, "Doc_0/Pages/Page_0/Content.xml", |content| *content = page.clone().into_bytes())
}

/// A page with text under the place of the seal: above the bar, and under it.
fn contract() -> Vec<u8> {
    let at = |x: f64, y: f64| ((CORNER[0] + x) / 25.4 * 72.0, 841.89 - (CORNER[1] + y) / 25.4 * 72.0);
    let text = |(x, y): (f64, f64)| format!("BT /F 12 Tf {x:.2} {y:.2} Td (Contract) Tj ET ");
    pages(&[text(at(12.0, 14.0)) + &text(at(12.0, 21.5))])
}

fn program() -> Program {
    let patience = Duration::from_secs(120);
    Program::at(sibling("sealagent-preview")).with_deadlines(patience, patience)
}

/// An agent with a seal that has this picture, and the code of the seal.
fn rig(kind: &str, file: Vec<u8>, preview: Option<Program>) -> (Rig, String) {
    let mut rig = Rig::with_preview(|_| Reply::Approve(PIN), |_| {}, preview);
    let certificate = rig.token.keys().unwrap()[0].certificate.clone().unwrap().0;
    let code = rig.region.next_seal_code().unwrap();
    let picture = Picture::new(kind, file, SIDE as u64, SIDE as u64);
    let draft = SealDraft { picture, ..draft(&code, vec![certificate], 0, 365) };
    let seal = rig.region.make_seal(&draft, Version::V4).unwrap();
    rig.token.put_seal(seal.raw()).unwrap();
    let code = seal.es_id().to_owned();
    (rig, code)
}

fn scratch(rig: &Rig) -> Scratch {
    Scratch::Unlinked(rig.dir.path().join("scratch"))
}

fn at_corner() -> Stamp {
    Stamp::Page { pages: PageSelection::All, x: CORNER[0], y: CORNER[1], width: None }
}

fn sign(rig: &Rig, seal: &str, bytes: &[u8], stamp: Stamp, signed_value: Option<SignedValueKind>) -> Signed {
    sign_all(rig, seal, bytes, vec![stamp], signed_value)
}

/// One document with as many signatures as there are stamps.
fn sign_all(rig: &Rig, seal: &str, bytes: &[u8], stamps: Vec<Stamp>, signed_value: Option<SignedValueKind>) -> Signed {
    let path = rig.dir.path().join("contract");
    fs::write(&path, bytes).unwrap();
    let document = Arc::new(Document::of_file(&path, &scratch(rig)).unwrap());
    let signed_value = signed_value.unwrap_or(document.format.signed_value());
    let item = |stamp| {
        let subject = Subject::Document { document: document.clone(), stamp, close: false };
        SigningItem { subject, seal: seal.to_owned(), signed_value }
    };
    let items = stamps.into_iter().map(item).collect();
    let (_canceller, cancel) = Canceller::new();
    let request = SigningRequest { requester: Requester::CommandLine, items, timestamp: None, require_valid: false };
    rig.runtime.block_on(run_alone(&rig.app.signer, request, &scratch(rig), cancel)).unwrap()
}

fn failure(signed: &Signed) -> Option<Failure> {
    signed.status.items[0].failure.clone()
}

/// The signed document, which passes.
fn out(rig: &Rig, signed: &Signed) -> Result<Vec<u8>, Failed> {
    let [Output::Document { draft, .. }] = signed.outputs.as_slice() else { return Err(format!("{:?}", signed.status).into()) };
    let mut bytes = Vec::new();
    Bytes::new(draft.file.try_clone()?)?.reader().read_to_end(&mut bytes)?;
    let report = Verifier::verify(Cursor::new(&bytes), &Context::new(&rig.app.signer.trust.current(), at(NOW)));
    if report.indication != Indication::TotalPassed {
        return Err(format!("{:#?}", report.signatures).into());
    }
    Ok(bytes)
}

fn draw(rig: &Rig, bytes: Vec<u8>, stamps: Vec<ProposedStamp>) -> Result<PagePicture, Failed> {
    let length = bytes.len() as u64;
    let drawn = rig.runtime.block_on(async {
        let mut session = program().open(Cursor::new(bytes), length).await?;
        session.page(&PageRequest { page: 1, dpi: DPI, max_pixels: 16 << 20, stamps }).await
    });
    drawn.map_err(|error| error.to_string().into())
}

/// Both kinds of signed value: the page that the person was shown is the page that Poppler shows afterwards.
fn shown_is_printed(kind: &str, file: Vec<u8>) -> Result<(), Failed> {
    let (rig, seal) = rig(kind, file, Some(program()));
    for value in [SignedValueKind::Gbt35275, SignedValueKind::Ses] {
        let signed = sign(&rig, &seal, &contract(), at_corner(), Some(value));
        let bytes = out(&rig, &signed)?;
        let shown = rig.person.shown();
        let shown = &shown.last().ok_or("nobody was asked")?.items[0];
        if !shown.seal.picture.starts_with(b"\x89PNG") || shown.page.as_ref().is_none_or(|page| page.is_incomplete) {
            return Err("the prompt has no picture of the seal, or an incomplete one of the page".into());
        }
        let rect = [CORNER[0], CORNER[1], SIDE, SIDE];
        let proposed = ProposedStamp { rect, clip: None, picture: wire::Bytes(shown.seal.picture.to_vec()) };
        let ours = draw(&rig, contract(), vec![proposed])?;
        let path = rig.dir.path().join("signed.pdf");
        fs::write(&path, &bytes)?;
        let theirs = Png::of_poppler(&path)?;
        theirs.beside(&ours)?;
        theirs.judge()?;
    }
    Ok(())
}

/// What Poppler shows.
struct Png {
    width: usize,
    height: usize,
    pixels: Vec<u8>,
}

impl Png {
    fn of_poppler(path: &Path) -> Result<Self, Failed> {
        let image = path.with_extension("");
        let dpi = DPI.to_string();
        let run = Command::new("pdftoppm").args(["-png", "-singlefile", "-r", &dpi]).arg(path).arg(&image).output()?;
        if !run.status.success() {
            return Err(String::from_utf8_lossy(&run.stderr).into_owned().into());
        }
        let file = fs::File::open(image.with_extension("png"))?;
        let mut reader = png::Decoder::new(std::io::BufReader::new(file)).read_info()?;
        let mut pixels = vec![0; reader.output_buffer_size().ok_or("too large")?];
        let info = reader.next_frame(&mut pixels)?;
        Ok(Self { width: info.width as usize, height: info.height as usize, pixels })
    }

    fn at(&self, x: usize, y: usize) -> [u8; 3] {
        let at = (y * self.width + x) * 3;
        [self.pixels[at], self.pixels[at + 1], self.pixels[at + 2]]
    }

    /// At most 1 % of the pixels differ by a quarter of their range or more.
    fn beside(&self, ours: &PagePicture) -> Result<(), Failed> {
        let (width, height) = (ours.head.width as usize, ours.head.height as usize);
        if width.abs_diff(self.width) > 1 || height.abs_diff(self.height) > 1 {
            return Err(format!("{width} × {height} beside {} × {}", self.width, self.height).into());
        }
        let (columns, rows) = (width.min(self.width), height.min(self.height));
        let differs = |n: &usize| {
            let (x, y) = (n % columns, n / columns);
            ours.layers[0][(y * width + x) * 4..][..3].iter().zip(self.at(x, y)).any(|(a, b)| a.abs_diff(b) >= 64)
        };
        let off = (0..columns * rows).filter(differs).count() as f64 / (columns * rows) as f64;
        if off > 0.01 { Err(format!("{:.2} % of the pixels differ", off * 100.0).into()) } else { Ok(()) }
    }

    /// The ring fills its square to a fifth of a mm, the paper shows through, and the text under it can be read.
    fn judge(&self) -> Result<(), Failed> {
        let scale = f64::from(DPI) / 25.4;
        let places = || (0..self.height).flat_map(|y| (0..self.width).map(move |x| (x, y)));
        let is_red = |[r, g, b]: [u8; 3]| r > 200 && g < 90 && b < 100;
        let red: Vec<(usize, usize)> = places().filter(|(x, y)| is_red(self.at(*x, *y))).collect();
        let found = [
            red.iter().map(|p| p.0).min(),
            red.iter().map(|p| p.1).min(),
            red.iter().map(|p| p.0 + 1).max(),
            red.iter().map(|p| p.1 + 1).max(),
        ];
        let expected = [CORNER[0], CORNER[1], CORNER[0] + SIDE, CORNER[1] + SIDE];
        for (found, expected) in found.into_iter().zip(expected) {
            let found = found.ok_or("no seal is shown")? as f64 / scale;
            if (found - expected).abs() > 0.2 {
                return Err(format!("an edge of the seal is at {found:.2} mm, not at {expected}").into());
            }
        }
        let mm = |x: f64, y: f64| self.at(((CORNER[0] + x) * scale) as usize, ((CORNER[1] + y) * scale) as usize);
        if mm(20.0, 30.0) != [255; 3] || mm(0.5, 0.5) != [255; 3] {
            return Err("the paper does not show through the seal".into());
        }
        let bar = mm(10.0, 18.0);
        if bar.iter().zip([153u8, 153, 255]).any(|(a, b)| a.abs_diff(b) > 6) {
            return Err(format!("the half transparent bar has the colour {bar:?}").into());
        }
        let dark = |from: f64, to: f64| {
            let is_inside = |(x, y): &(usize, usize)| {
                let (x, y) = (*x as f64 / scale - CORNER[0], *y as f64 / scale - CORNER[1]);
                (12.0..28.0).contains(&x) && (from..to).contains(&y)
            };
            places().filter(is_inside).filter(|(x, y)| self.at(*x, *y)[0] < 110).count()
        };
        if dark(11.0, 15.0) < 100 || dark(17.5, 22.5) < 100 {
            return Err("the text under the seal cannot be read".into());
        }
        Ok(())
    }
}

/// A program that must read a PDF with such a seal, say this, and complain of nothing.
fn judged(kind: &str, file: Vec<u8>, command: &[&str], says: &str) -> Result<(), Failed> {
    let (rig, seal) = rig(kind, file, Some(program()));
    let bytes = out(&rig, &sign(&rig, &seal, &contract(), at_corner(), None))?;
    let path = rig.dir.path().join("signed.pdf");
    fs::write(&path, bytes)?;
    let run = Command::new(command[0]).args(&command[1..]).arg(&path).output()?;
    let told = format!("{}{}", String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
    let complains = ["warning", "WARNING", "error:", "damaged"].iter().any(|word| told.contains(word));
    if run.status.success() && told.contains(says) && !complains { Ok(()) } else { Err(told.into()) }
}

/// The second is prepared on what the first made, after the person was asked.
fn two_on_one() -> Result<(), Failed> {
    let (rig, seal) = rig("svg", svg(), Some(program()));
    let below = Stamp::Page { pages: PageSelection::All, x: 10.0, y: 10.0, width: None };
    let bytes = out(&rig, &sign_all(&rig, &seal, &contract(), vec![below, at_corner()], None))?;
    let drawn = draw(&rig, bytes, Vec::new())?;
    for [x, y] in [[10.0, 10.0], CORNER] {
        let found = pixel(&drawn, x + 20.0, y + 1.0);
        if !is_near(found, [230, 0, 18]) {
            return Err(format!("{found:?} at {x}, {y}").into());
        }
    }
    Ok(())
}

/// The colour at a place in mm.
fn pixel(drawn: &PagePicture, x: f64, y: f64) -> [u8; 3] {
    let scale = f64::from(drawn.head.width) / drawn.head.width_mm;
    let at = (y * scale) as usize * drawn.head.width as usize + (x * scale) as usize;
    [drawn.layers[0][at * 4], drawn.layers[0][at * 4 + 1], drawn.layers[0][at * 4 + 2]]
}

fn is_near(a: [u8; 3], b: [u8; 3]) -> bool {
    a.iter().zip(b).all(|(a, b)| a.abs_diff(b) < 6)
}

fn svg_on_ofd() -> Result<(), Failed> {
    let (rig, seal) = rig("svg", svg(), Some(program()));
    let bytes = out(&rig, &sign(&rig, &seal, &ofd(1), at_corner(), None))?;
    let drawn = draw(&rig, bytes, Vec::new())?;
    if drawn.head.findings.iter().any(|finding| finding.is_incomplete()) {
        return Err(format!("{:?}", drawn.head.findings).into());
    }
    let at = |x: f64, y: f64| pixel(&drawn, CORNER[0] + x, CORNER[1] + y);
    let found = [at(20.0, 1.0), at(10.0, 20.0), at(20.0, 30.0)];
    let expected = [[230, 0, 18], [153, 153, 255], [255, 255, 255]];
    if found.into_iter().zip(expected).all(|(a, b)| is_near(a, b)) { Ok(()) } else { Err(format!("{found:?}").into()) }
}

/// As PNG: a browser gets neither a package nor a file that may hold scripts. What is not drawn whole is not shown.
fn on_the_page() -> Result<(), Failed> {
    let text = b"<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 40 40\"><text>x</text></svg>".to_vec();
    for (kind, file, status) in [("svg", svg(), 200), ("ofd", package(), 200), ("svg", text, 422)] {
        let (rig, seal) = rig(kind, file, Some(program()));
        let bytes = out(&rig, &sign(&rig, &seal, &ofd(1), at_corner(), None))?;
        let origin = format!("http://127.0.0.1:{}", rig.port);
        let headers = [("Origin", &*origin), ("Sec-Fetch-Site", "same-origin"), ("Sec-Fetch-Mode", "cors")];
        let typed = [&headers[..], &[("Content-Type", "application/ofd")]].concat();
        let judged = rig.send("POST", "/app/api/reports?name=a.ofd", &typed, &bytes).json();
        if judged["pictures"] != serde_json::json!([[40, 40]]) {
            return Err(judged.to_string().into());
        }
        let id = judged["reportId"].as_str().ok_or("no report")?;
        let picture = rig.send("GET", &format!("/app/api/reports/{id}/seals/0"), &headers, b"");
        let is_png = picture.header("content-type") == Some("image/png") && picture.body.starts_with(b"\x89PNG");
        if picture.status != status || is_png != (status == 200) {
            return Err(format!("{picture:?}").into());
        }
    }
    Ok(())
}

fn in_the_list() -> Result<(), Failed> {
    let (rig, seal) = rig("svg", svg(), Some(program()));
    let origin = format!("http://127.0.0.1:{}", rig.port);
    let link = Links::new(&rig.app.signer.config.places).create(at(NOW)).map_err(|error| error.to_string())?;
    let headers = [("Origin", &*origin), ("Content-Type", "application/json"), ("Sec-Fetch-Site", "same-origin")];
    let session = rig.send("POST", "/app/api/session", &headers, serde_json::json!({ "link": link }).to_string().as_bytes());
    let token = format!("SealAgentPage {}", session.json()["token"].as_str().ok_or("no session")?);
    let own = [("Origin", &*origin), ("Sec-Fetch-Site", "same-origin"), ("Sec-Fetch-Mode", "cors"), ("Authorization", &*token)];
    let path = format!("/v1/seals/{seal}/picture");
    let (ours, theirs) = (rig.send("GET", &path, &own, b""), rig.get(&path));
    let kinds = [ours.header("content-type"), theirs.header("content-type")];
    if kinds != [Some("image/png"), Some("application/octet-stream")]
        || !ours.body.starts_with(b"\x89PNG")
        || theirs.body != svg()
    {
        return Err(format!("{kinds:?}").into());
    }
    Ok(())
}

/// The failure says which seal and what is in the way, nothing is signed, and nobody was asked; other ways to sign stay open.
fn refused() -> Result<(), Failed> {
    let svg = |inside: &str| {
        format!("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 40 40\"><circle r=\"9\"/>{inside}</svg>").into_bytes()
    };
    let skipped = with_entry(&package(), "Doc_0/Pages/Page_0/Content.xml", |content| {
        let with = String::from_utf8(content.clone()).unwrap().replace("</ofd:Layer>", "<ofd:VideoObject ID=\"9\"/></ofd:Layer>");
        *content = with.into_bytes();
    });
    for (kind, file, why) in [
        ("svg", svg("<text>公章</text>"), "<text>"),
        ("svg", svg("<use href=\"http://example.com/seal.svg\"/>"), "another file"),
        ("ofd", skipped, "VideoObject"),
    ] {
        let (rig, seal) = rig(kind, file, Some(program()));
        let signed = sign(&rig, &seal, &contract(), at_corner(), None);
        let failure = failure(&signed).ok_or("signed")?;
        let detail = failure.detail.clone().unwrap_or_default();
        if failure.code != Code::SealPictureUnsupported || !signed.outputs.is_empty() || !rig.person.shown().is_empty() {
            return Err(format!("{signed:?}").into());
        }
        if !detail.contains(why) || !detail.contains(&seal) || !detail.contains("合同专用章") {
            return Err(format!("the detail says {detail}").into());
        }
        for (bytes, stamp) in [(contract(), Stamp::Nowhere), (ofd(1), at_corner())] {
            out(&rig, &sign(&rig, &seal, &bytes, stamp, None))?;
        }
    }
    Ok(())
}

fn no_preview() -> Result<(), Failed> {
    let absent = Program::at(Path::new("/nonexistent/sealagent-preview").to_owned());
    for preview in [None, Some(absent)] {
        let (rig, seal) = rig("svg", svg(), preview);
        let signed = sign(&rig, &seal, &contract(), at_corner(), None);
        let failure = failure(&signed).ok_or("signed")?;
        if failure.code != Code::PreviewUnavailable || !signed.outputs.is_empty() || !rig.person.shown().is_empty() {
            return Err(format!("{signed:?}").into());
        }
        for language in [Language::English, Language::Chinese] {
            if !failure.code.hint(language).contains("sealagent-preview") {
                return Err("the way out is not told".into());
            }
        }
    }
    Ok(())
}
