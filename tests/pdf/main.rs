//! PDF against files and programs that are not ours: the shared samples; qpdf, pdfsig, mutool, pdftoppm and pyHanko as judges of what
//! we sign; odd inputs made by qpdf, mutool and cairo. What is absent from the machine is reported as ignored:
//! `apt-get install qpdf poppler-utils mupdf-tools`, and pyHanko for the Python that `SEALAGENT_PYTHON` names (else `python3`).
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

#[path = "../common/world.rs"]
mod world;

mod makers;
mod pades;
mod pictures;
mod values;

use std::fs::{self, File};
use std::io::{BufReader, BufWriter, Cursor, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use libtest_mimic::{Arguments, Failed, Trial};
use makers::{Maker, contract, pdf};
use sealagent::asn1::oid;
use sealagent::cms::{Content, Identifiers, SignedDataDraft};
use sealagent::document::{DocumentError, Prepared as _, Provider, Signable as _, SignatureKind, SigningPlan};
use sealagent::pdf::{Changed, Document, FieldState, Page, SignatureOptions, Tolerance};
use sealagent::pki::TrustStore;
use sealagent::ses::{TbsDraft, Version};
use sealagent::stamp::{Edge, PageNumber, PageSelection, Placement, RectMm, SizeMm, Stamp};
use sealagent::verify::report::{Layer, LayerState, Level, Report};
use sealagent::verify::{Context, Verifier};
use world::World;

/// Set for the child that measures its own memory; names the folder to work in.
const MEMORY_CHILD: &str = "SEALAGENT_PDF_MEMORY_CHILD";

fn main() {
    if let Some(folder) = std::env::var_os(MEMORY_CHILD) {
        return memory_child(Path::new(&folder));
    }
    let arguments = Arguments::from_args();
    let no = |program: &str| Command::new(program).arg("--help").output().is_err();
    let (qpdf, pdfsig, mutool, toppm) = (no("qpdf"), no("pdfsig"), no("mutool"), no("pdftoppm"));
    let pyhanko = !run(&python(), &["-c", "import pyhanko"]).is_ok_and(|out| out.status.success());
    let foxit = samples().join("pdf/foxit-sm-detached-ses-page1.pdf");
    let no_foxit = !foxit.exists();
    let (again, no_linux) = (foxit.clone(), !cfg!(target_os = "linux"));
    let mut trials = Vec::new();
    let mut trial = |name: &str, ignored: bool, run: Box<dyn FnOnce() -> Result<(), Failed> + Send>| {
        trials.push(Trial::test(name, run).with_ignored_flag(ignored));
    };
    trial("foxit_sample_is_read_as_the_index_says", no_foxit, Box::new(move || foxit_sample(&foxit)));
    trial("foxit_sample_takes_our_signature_beside_its_own", no_foxit || qpdf, Box::new(move || sign_foxit(&again)));
    trial("verifier_accepts_what_we_sign_and_names_what_is_changed", false, Box::new(verifier));
    trial("files_of_a_quarter_gigabyte_take_little_memory", no_linux, Box::new(memory));
    trial("encrypted_files_are_refused", qpdf, Box::new(encrypted));
    trial("seal_is_drawn_where_it_was_asked_for", toppm, Box::new(drawn));
    for (kind, digest, judged) in pades::ROWS {
        let name =
            format!("pades_by_pyhanko_with_{kind}_and_{digest}_is_{}", if judged { "judged_as_openssl_does" } else { "told" });
        trial(&name, pyhanko || no("openssl"), Box::new(move || pades::row(kind, digest, judged)));
    }
    let (no_java, no_openssl) = (!values::has_java(), no("openssl"));
    trial("bouncy_castle_verifies_the_values_in_a_pdf", no_java, Box::new(values::by_bouncy_castle));
    trial("openssl_verifies_the_values_in_a_pdf", no_openssl, Box::new(values::by_openssl));
    trial("poppler_and_chromium_show_the_seal_alike", toppm || no("chromium"), Box::new(pictures::alike));
    for (name, maker) in [
        ("plain", Maker::Ours),
        ("hybrid", Maker::Hybrid),
        ("object_streams", Maker::Qpdf(&["--object-streams=generate"])),
        ("linearised", Maker::Qpdf(&["--linearize"])),
        ("linearised_object_streams", Maker::Qpdf(&["--linearize", "--object-streams=generate"])),
        ("uncompressed", Maker::Qpdf(&["--qdf"])),
        ("mutool", Maker::Mutool),
        ("cairo", Maker::Cairo),
        ("groff", Maker::Groff),
        ("latex", Maker::Latex),
        ("libreoffice", Maker::LibreOffice),
    ] {
        let ignored = maker.program().is_some_and(no);
        let input = move || maker.make(&contract(3));
        trial(&format!("we_verify_our_signatures_on_{name}"), ignored, Box::new(move || by_ourselves(&input())));
        let input = move || maker.make(&contract(3));
        trial(&format!("qpdf_accepts_our_signatures_on_{name}"), qpdf || ignored, Box::new(move || by_qpdf(&input())));
        let input = move || maker.make(&contract(3));
        trial(
            &format!("pdfsig_lists_our_signatures_on_{name}"),
            qpdf || ignored || pdfsig,
            Box::new(move || by_pdfsig(&input())),
        );
        let input = move || maker.make(&contract(3));
        trial(
            &format!("mutool_reads_our_signatures_on_{name}"),
            qpdf || ignored || mutool,
            Box::new(move || by_mutool(&input())),
        );
        let input = move || maker.make(&contract(3));
        trial(
            &format!("pyhanko_sees_signing_only_on_{name}"),
            qpdf || ignored || pyhanko,
            Box::new(move || by_pyhanko(&input())),
        );
    }
    libtest_mimic::run(&arguments, trials).exit();
}

fn samples() -> PathBuf {
    std::env::var_os("SEALAGENT_SAMPLES")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/samples"), PathBuf::from)
}

fn python() -> String {
    std::env::var("SEALAGENT_PYTHON").unwrap_or_else(|_| "python3".into())
}

fn run(program: &str, arguments: &[&str]) -> std::io::Result<Output> {
    Command::new(program).args(arguments).output()
}

fn sizes(bytes: &[u8]) -> Vec<SizeMm> {
    Document::open(Cursor::new(bytes)).unwrap().pages().unwrap().iter().map(Page::size).collect()
}

fn plan(world: Option<&World>, placements: Vec<Placement>) -> SigningPlan {
    SigningPlan {
        placements,
        kind: world.map_or(SignatureKind::Sign, |world| SignatureKind::Seal(world.seal(Version::V4).raw().to_vec())),
        provider: Provider { name: "sealagent".into(), version: "0".into() },
        time: world::SIGNED_AT.parse().unwrap(),
        close: false,
        room: 0,
    }
}

fn place(page: u32, x: f64, y: f64) -> Placement {
    let rect = RectMm { x, y, width: 40.0, height: 40.0 };
    Placement { page: PageNumber::new(page).unwrap(), rect, clip: None }
}

/// Signed with an `SES_Signature`.
fn sign_ses(world: &World, bytes: &[u8], placements: Vec<Placement>) -> Vec<u8> {
    let prepared = Document::open(Cursor::new(bytes)).unwrap().prepare(&plan(Some(world), placements)).unwrap();
    let seal = world.seal(Version::V4);
    let tbs = TbsDraft {
        seal: &seal,
        time: world::SIGNED_AT.parse().unwrap(),
        data_hash: prepared.digest(),
        property_info: prepared.property(),
        signer_certificate: &world.certificate,
    };
    let tbs = tbs.to_be_signed().unwrap();
    let value = tbs.assemble(&world.key.sign(tbs.signed_bytes()), None).unwrap();
    let mut out = Vec::new();
    prepared.embed(value.raw(), &mut out).unwrap();
    out
}

/// Signed with `SignedData`; the seal's picture is shown.
fn sign_cms(world: &World, bytes: &[u8], placements: Vec<Placement>) -> Vec<u8> {
    let mut document = Document::open(Cursor::new(bytes)).unwrap();
    let picture = Some(world.seal(Version::V4).picture().data.clone());
    document.set_signature_options(SignatureOptions { picture, ..SignatureOptions::default() });
    let prepared = document.prepare(&plan(None, placements)).unwrap();
    let draft = SignedDataDraft {
        identifiers: Identifiers::Pkcs7,
        content_type: None,
        content: Content::Detached(prepared.digest()),
        signer_certificate: &world.certificate,
        further_certificates: &[],
        signature_algorithm: oid::SM2_WITH_SM3,
        signing_time: Some(world::SIGNED_AT.parse().unwrap()),
        attributes: &[],
    };
    let value = draft.to_be_signed().unwrap();
    let value = value.assemble(&world.key.sign(value.signed_bytes())).unwrap();
    let mut out = Vec::new();
    prepared.embed(value.raw(), &mut out).unwrap();
    out
}

/// A party's seal on page 1, another's over the edge of all pages, and one that shows nothing.
fn signed_three_times(bytes: &[u8]) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let world = World::new(&folder.path().join("region"));
    let once = sign_ses(&world, bytes, vec![place(1, 120.0, 200.0)]);
    let stamp = Stamp::Straddle { edge: Edge::Right, pages: PageSelection::All, y: 60.0 };
    let strips = stamp.place(&sizes(&once), SizeMm { width: 40.0, height: 40.0 }, &[]).unwrap();
    let twice = sign_cms(&world, &once, strips);
    sign_ses(&world, &twice, Vec::new())
}

/// Runs a judge on a signed file; gives what it printed.
fn judged(signed: &[u8], program: &str, arguments: &[&str]) -> Result<(String, tempfile::TempDir), Failed> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("signed.pdf");
    fs::write(&path, signed)?;
    let arguments = [arguments, &[path.to_str().unwrap()]].concat();
    let out = run(program, &arguments)?;
    let text = format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    if out.status.success() { Ok((text, folder)) } else { Err(format!("{program}: {}\n{text}", out.status).into()) }
}

/// All three hold, and what came after the first two is only signing.
fn by_ourselves(input: &[u8]) -> Result<(), Failed> {
    let signed = signed_three_times(input);
    let report = verdict(&signed);
    let errors: Vec<_> = (0..report.signatures.len()).map(|i| errors(&report, i)).collect();
    let signatures = Document::open(Cursor::new(&signed))?.signatures()?;
    let is_clean = signatures.iter().all(|signature| signature.changes.is_empty() && signature.byte_range.is_ok());
    if errors == [Vec::<&str>::new(), Vec::new(), Vec::new()] && is_clean && signed.starts_with(input) {
        Ok(())
    } else {
        Err(format!("{errors:?} {:?}", signatures.iter().map(|s| &s.changes).collect::<Vec<_>>()).into())
    }
}

fn by_qpdf(input: &[u8]) -> Result<(), Failed> {
    let (text, _) = judged(&signed_three_times(input), "qpdf", &["--check"])?;
    if text.contains("WARNING") { Err(text.into()) } else { Ok(()) }
}

/// Without a straddle seal: pdfsig takes each widget below a field for a field of its own, and says that it is not signed.
fn by_pdfsig(input: &[u8]) -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let world = World::new(&folder.path().join("region"));
    let once = sign_cms(&world, input, vec![place(1, 120.0, 200.0)]);
    let twice = sign_ses(&world, &once, vec![place(2, 10.0, 20.0)]);
    let (text, _) = judged(&twice, "pdfsig", &["-nocert"])?;
    let count = |what: &str| text.matches(what).count();
    // One covers all, the other its own revision.
    if (count("Signed Ranges"), count("Total document signed"), count("Not total document signed")) == (2, 1, 1) {
        Ok(())
    } else {
        Err(text.into())
    }
}

fn by_mutool(input: &[u8]) -> Result<(), Failed> {
    let (text, _) = judged(&signed_three_times(input), "mutool", &["info"])?;
    let pages = text.contains("Pages: 3");
    if pages && !text.contains("warning") && !text.contains("error") { Ok(()) } else { Err(text.into()) }
}

fn by_pyhanko(input: &[u8]) -> Result<(), Failed> {
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/judges/pdf_changes.py");
    let script = script.to_str().ok_or("the path is not UTF-8")?;
    let (text, folder) = judged(&signed_three_times(input), &python(), &[script])?;
    if text.lines().count() != 3 {
        return Err(text.into());
    }
    // The judge must also be able to say no.
    let path = folder.path().join("signed.pdf");
    let changed = with_title(&fs::read(&path)?);
    fs::write(&path, changed)?;
    let out = run(&python(), &[script, path.to_str().unwrap()])?;
    if out.status.success() { Err("pyHanko accepts a later change of the page".into()) } else { Ok(()) }
}

/// The file with a revision on top that gives page 1 other content.
fn with_title(bytes: &[u8]) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("f.pdf");
    fs::write(&path, bytes).unwrap();
    let shown = run("qpdf", &["--json", "--json-key=pages", path.to_str().unwrap()]).unwrap();
    let json: serde_json::Value = serde_json::from_slice(&shown.stdout).unwrap();
    let content = json["pages"][0]["contents"][0].as_str().unwrap().to_owned();
    let number = content.split(' ').next().unwrap();
    let text = String::from_utf8_lossy(bytes);
    let prev = text.rsplit("startxref\n").next().unwrap().lines().next().unwrap().to_owned();
    let root = text.rsplit("/Root ").next().unwrap().split(" R").next().unwrap().to_owned();
    let mut out = bytes.to_vec();
    let at = out.len();
    out.extend(format!("{number} 0 obj\n<</Length 1>>stream\nq\nendstream\nendobj\n").as_bytes());
    let xref = out.len();
    if bytes.windows(5).any(|w| w == b"\nxref") {
        out.extend(
            format!("xref\n{number} 1\n{at:010} 00000 n \ntrailer\n<</Size 9999/Root {root} R/Prev {prev}>>\n").as_bytes(),
        );
    } else {
        out.extend(format!("9998 0 obj\n<</Type/XRef/Size 9999/Root {root} R/Prev {prev}/W[1 4 1]/Index[{number} 1 9998 1]/Length 12>>stream\n").as_bytes());
        for offset in [at, xref] {
            out.push(1);
            out.extend((offset as u32).to_be_bytes());
            out.push(0);
        }
        out.extend(b"\nendstream\nendobj\n");
    }
    out.extend(format!("startxref\n{xref}\n%%EOF\n").as_bytes());
    out
}

fn verdict(bytes: &[u8]) -> Report {
    let trust = TrustStore::empty();
    Verifier::verify(Cursor::new(bytes), &Context::new(&trust, world::SIGNED_AT.parse().unwrap()))
}

/// Codes of the errors of signature `i`.
fn errors(report: &Report, i: usize) -> Vec<&'static str> {
    let mut codes: Vec<_> =
        report.signatures[i].findings.iter().filter(|f| f.level == Level::Error).map(|f| f.code.name()).collect();
    codes.dedup();
    codes
}

fn verifier() -> Result<(), Failed> {
    let good = signed_three_times(&contract(3));
    let report = verdict(&good);
    assert_eq!(report.signatures.len(), 3);
    for (i, signature) in report.signatures.iter().enumerate() {
        assert_eq!(errors(&report, i), Vec::<&str>::new());
        for layer in [Layer::Format, Layer::Integrity, Layer::Signature] {
            assert_eq!(signature.layers.get(&layer), Some(&LayerState::Passed), "{layer:?}");
        }
    }
    // Every signed byte counts: one changed in the first page's text, one in the last update.
    for (word, broken) in [(b"Contract, page 1".as_slice(), [true, true, true]), (b"Signature3", [false, false, true])] {
        let mut bytes = good.clone();
        let at = bytes.windows(word.len()).rposition(|w| w == word).ok_or("the word is gone")?;
        bytes[at + word.len() - 1] ^= 1;
        let report = verdict(&bytes);
        for (i, broken) in broken.into_iter().enumerate() {
            assert_eq!(errors(&report, i).contains(&"DATA_HASH"), broken, "{i} {:?}", errors(&report, i));
        }
    }
    let mut shown = good.clone();
    shown.extend(b"\n5 0 obj\n<</Length 1>>stream\nq\nendstream\nendobj\n");
    let at = good.len() + 1;
    let text = String::from_utf8_lossy(&good);
    let prev = text.rsplit("startxref\n").next().unwrap().lines().next().unwrap().to_owned();
    let xref = shown.len();
    shown.extend(
        format!("xref\n5 1\n{at:010} 00000 n \ntrailer\n<</Size 99/Root 1 0 R/Prev {prev}>>\nstartxref\n{xref}\n%%EOF\n")
            .as_bytes(),
    );
    let report = verdict(&shown);
    assert!((0..3).all(|i| errors(&report, i) == ["CHANGED_AFTER_SIGNING"]), "{:?}", errors(&report, 0));
    let changes = Document::open(Cursor::new(shown))?.signatures()?[0].changes.clone();
    assert_eq!(changes.iter().map(|c| c.what).collect::<Vec<_>>(), [Changed::Page]);
    Ok(())
}

fn encrypted() -> Result<(), Failed> {
    let bytes = Maker::Qpdf(&["--encrypt", "", "owner", "256", "--"]).make(&contract(1));
    let refused = Document::open(Cursor::new(&bytes))?.prepare(&plan(None, Vec::new())).map(drop);
    assert!(matches!(refused, Err(DocumentError::Encrypted)), "{refused:?}");
    let streams = Maker::Qpdf(&["--object-streams=generate", "--encrypt", "", "owner", "256", "--"]).make(&contract(1));
    let report = verdict(&streams);
    assert_eq!(report.findings.iter().map(|f| f.code.name()).collect::<Vec<_>>(), ["VERSION_UNSUPPORTED"]);
    Ok(())
}

/// Black pixels of the seal (a dark square) stand exactly in the rectangle that was asked for, on upright and turned pages.
fn drawn() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let mut picture = Vec::new();
    {
        let mut encoder = png::Encoder::new(&mut picture, 2, 2);
        encoder.set_color(png::ColorType::Rgba);
        // Red above, blue below: the seal must not stand on its head.
        let pixels = [[255, 0, 0, 255], [255, 0, 0, 255], [0, 0, 255, 255], [0, 0, 255, 255]].concat();
        encoder.write_header()?.write_image_data(&pixels)?;
    }
    for rotate in [0, 90, 180, 270] {
        let objects = [
            "<</Type/Catalog/Pages 2 0 R>>".to_owned(),
            "<</Type/Pages/Kids[3 0 R]/Count 1/MediaBox[0 0 595 842]>>".to_owned(),
            format!("<</Type/Page/Parent 2 0 R/CropBox[20 30 520 800]/Rotate {rotate}>>"),
        ];
        let mut document = Document::open(Cursor::new(pdf(&objects, &[])))?;
        document.set_signature_options(SignatureOptions { picture: Some(picture.clone()), ..SignatureOptions::default() });
        // Cut to the right half, as a straddle seal is.
        let clip = RectMm { x: 20.0, y: 0.0, width: 20.0, height: 40.0 };
        let cut = Placement { clip: Some(clip), ..place(1, 30.0, 50.0) };
        let prepared = document.prepare(&plan(None, vec![cut]))?;
        let (path, image) = (folder.path().join("d.pdf"), folder.path().join("d"));
        prepared.embed(&[4, 0], &mut File::create(&path)?)?;
        // 254 dots an inch are ten a millimetre.
        let out = run("pdftoppm", &["-r", "254", "-cropbox", "-singlefile", path.to_str().unwrap(), image.to_str().unwrap()])?;
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        let ppm = fs::read(folder.path().join("d.ppm"))?;
        let mut head = ppm.splitn(4, |b| *b == b'\n');
        let size = String::from_utf8(head.nth(1).unwrap().to_vec())?;
        let width: usize = size.split(' ').next().unwrap().parse()?;
        let pixels = head.nth(1).unwrap();
        let at = |x: usize, y: usize| &pixels[3 * (y * width + x)..3 * (y * width + x) + 3];
        let (red, blue, white): (&[u8], &[u8], &[u8]) = (&[255, 0, 0], &[0, 0, 255], &[255, 255, 255]);
        for (x, y, expected) in [
            (520, 520, red),
            (680, 620, red),
            (520, 780, blue),
            (680, 880, blue),
            (480, 700, white),
            (720, 700, white),
            (600, 480, white),
            (600, 920, white),
        ] {
            assert_eq!(at(x, y), expected, "turned {rotate}, at {x},{y} tenths of a millimetre");
        }
    }
    Ok(())
}

/// Limits of the child: the reading and signing of a file of 256 MB, most of it one stream.
fn memory() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let out = Command::new(std::env::current_exe()?).env(MEMORY_CHILD, folder.path()).output()?;
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    let peak: u64 = text.trim().parse().map_err(|_| format!("{text}{}", String::from_utf8_lossy(&out.stderr)))?;
    if peak < 64 << 10 { Ok(()) } else { Err(format!("{peak} KB").into()) }
}

/// Signs and reads; prints the peak of its memory in KB.
fn memory_child(folder: &Path) {
    let (input, output) = (folder.join("in.pdf"), folder.join("out.pdf"));
    let size = 256usize << 20;
    {
        let mut file = BufWriter::new(File::create(&input).unwrap());
        let head = format!(
            "%PDF-1.6\n1 0 obj\n<</Type/Catalog/Pages 2 0 R>>\nendobj\n2 0 obj\n<</Type/Pages/Kids[3 0 R]/Count 1/MediaBox[0 0 595 842]>>\nendobj\n\
             3 0 obj\n<</Type/Page/Parent 2 0 R>>\nendobj\n4 0 obj\n<</Length {size}>>stream\n"
        );
        let offsets: Vec<usize> = (1..=4).map(|n| head.find(&format!("{n} 0 obj")).unwrap()).collect();
        file.write_all(head.as_bytes()).unwrap();
        let block = vec![b'.'; 1 << 20];
        (0..size >> 20).for_each(|_| file.write_all(&block).unwrap());
        let table: String = offsets.iter().map(|at| format!("{at:010} 00000 n \n")).collect();
        let tail = "\nendstream\nendobj\n";
        let xref = head.len() + size + tail.len();
        write!(file, "{tail}xref\n1 4\n{table}trailer\n<</Size 5/Root 1 0 R>>\nstartxref\n{xref}\n%%EOF\n").unwrap();
    }
    let prepared = Document::open(BufReader::new(File::open(&input).unwrap())).unwrap().prepare(&plan(None, Vec::new())).unwrap();
    prepared.embed(&[4, 0], &mut BufWriter::new(File::create(&output).unwrap())).unwrap();
    let mut document = Document::open(BufReader::new(File::open(&output).unwrap())).unwrap();
    assert!(document.signatures().unwrap()[0].covers_whole_file());
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    println!("{}", peak.trim().trim_end_matches(" kB"));
}

/// A hybrid file with two earlier revisions and object streams; SM3 of the ranges is Python's `hashlib.new("sm3")` over them.
fn foxit_sample(path: &Path) -> Result<(), Failed> {
    let mut document = Document::open(File::open(path)?)?;
    let signatures = document.signatures()?;
    let [signature] = signatures.as_slice() else { return Err(format!("{} signatures", signatures.len()).into()) };
    assert_eq!((signature.field.as_deref(), signature.state), (Some("S1"), FieldState::Shown));
    assert_eq!(signature.sub_filter.as_deref(), Some("fxit.sm.detached"));
    assert!(signature.covers_whole_file() && signature.changes.is_empty() && signature.permitted.is_empty());
    assert_eq!(signature.revision, Some(2));
    assert_eq!(signature.contents.len(), 40_392);
    let sm3 = signature.digests.as_ref().map(|digests| digests.sm3.to_string());
    assert_eq!(sm3.as_deref(), Some("883575bf9009083c8dc44b3e818f8151ee48cea87a7095f52ac566bd3717ccde"));
    assert_eq!(document.ambiguities(), []);
    assert_eq!(document.tolerances(), [Tolerance::GenerationOutOfRange]);
    let sizes: Vec<_> = document.pages()?.iter().map(|page| page.size()).collect();
    assert!(
        sizes.len() == 3 && sizes.iter().all(|s| (s.width - 210.0).abs() < 0.1 && (s.height - 297.0).abs() < 0.1),
        "{sizes:?}"
    );
    Ok(())
}

/// A real file with hybrid cross-references under ours.
fn sign_foxit(path: &Path) -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let world = World::new(&folder.path().join("region"));
    let signed = sign_ses(&world, &fs::read(path)?, vec![place(2, 20.0, 20.0)]);
    let signatures = Document::open(Cursor::new(&signed))?.signatures()?;
    assert_eq!(signatures.len(), 2);
    assert!(signatures.iter().all(|s| s.changes.is_empty()), "{signatures:?}");
    let path = folder.path().join("foxit.pdf");
    fs::write(&path, signed)?;
    let out = run("qpdf", &["--check", path.to_str().unwrap()])?;
    if out.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&out.stderr).into_owned().into()) }
}
