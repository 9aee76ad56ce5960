//! The kinds of PDF that people have, made here or by the writers of Debian, beside Poppler's pictures of them: at most 5 % of the pixels
//! differ where the fonts do, 1 % elsewhere. What is absent from the machine is reported as ignored: `apt-get install poppler-utils qpdf
//! mupdf-tools ghostscript groff texlive-latex-base texlive-latex-extra libreoffice-writer fop`.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;
#[path = "../../../tests/common/pdf.rs"]
mod pdf;
#[path = "common/poppler.rs"]
mod poppler;

use std::path::Path;
use std::process::Command;

use common::{but_fonts, converse, draw, request};
use libtest_mimic::{Arguments, Failed, Trial};
use pdf::Cjk;
use poppler::{Limit, NO_TEXT, OTHER_FONTS, SAME_FONTS};
use sealagent::preview::Told;

fn main() {
    let arguments = Arguments::from_args();
    let poppler = poppler::is_absent();
    let no = |program: &str| Command::new(program).arg("--version").output().is_err();
    let mut trials = Vec::new();
    let mut row = |name: &str, ignored: bool, most: Limit, make: Box<dyn Fn() -> Vec<u8> + Send>| {
        let run = move || poppler::beside(&make(), most).map_err(Failed::from);
        trials.push(Trial::test(name, run).with_ignored_flag(ignored || poppler));
    };
    row("text_in_standard_fonts", false, OTHER_FONTS, Box::new(|| pdf::pages(&[text(), text()])));
    for (name, script) in [("gb1", 0), ("japan1", 1), ("korea1", 2)] {
        row(&format!("cjk_{name}_not_embedded"), false, OTHER_FONTS, Box::new(move || cjk(&SCRIPTS[script])));
    }
    row("images_masks_gradients_alpha_blend_clip_dash", false, NO_TEXT, Box::new(painted));
    row("forms_annotations_and_turned_pages", false, NO_TEXT, Box::new(forms));
    row("a_crop_box", false, NO_TEXT, Box::new(|| with_page("/CropBox[20 20 120 100]", "1 0 0 rg 30 30 100 50 re f")));
    let qpdf = no("qpdf");
    for (name, options) in [
        ("linearised", &["--linearize"] as &[&str]),
        ("object_streams", &["--object-streams=generate"]),
        ("rc4_128_empty_password", &["--allow-weak-crypto", "--encrypt", "", "owner", "128", "--"]),
        ("aes_128_empty_password", &["--allow-weak-crypto", "--encrypt", "", "owner", "128", "--use-aes=y", "--"]),
        ("aes_256_empty_password", &["--encrypt", "", "owner", "256", "--"]),
    ] {
        row(&format!("qpdf_{name}"), qpdf, NO_TEXT, Box::new(move || converted("qpdf", options, &painted())));
        row(&format!("qpdf_{name}_cjk"), qpdf, OTHER_FONTS, Box::new(move || converted("qpdf", options, &cjk(&SCRIPTS[0]))));
    }
    let (cairo, mutool, gs) = (no("pdftocairo"), no("mutool"), no("gs"));
    row("cairo_painted", cairo, NO_TEXT, Box::new(|| converted("pdftocairo", &["-pdf"], &painted())));
    row("cairo_cjk", cairo, SAME_FONTS, Box::new(|| converted("pdftocairo", &["-pdf"], &cjk(&SCRIPTS[0]))));
    row("mutool_painted", mutool, NO_TEXT, Box::new(|| converted("mutool", &["clean", "-gggz"], &painted())));
    row("mutool_cjk", mutool, OTHER_FONTS, Box::new(|| converted("mutool", &["clean", "-gggz"], &cjk(&SCRIPTS[0]))));
    row("ghostscript_painted", gs, NO_TEXT, Box::new(|| ghostscript(&painted())));
    // Its CJK comes out as subsets of Type 1C.
    row("ghostscript_cjk", gs, SAME_FONTS, Box::new(|| ghostscript(&cjk(&SCRIPTS[0]))));
    row("groff", no("groff"), SAME_FONTS, Box::new(groff));
    row("latex", no("pdflatex"), SAME_FONTS, Box::new(latex));
    row("libreoffice", no("soffice"), SAME_FONTS, Box::new(libreoffice));
    row("fop", no("fop"), OTHER_FONTS, Box::new(fop));
    trials.push(Trial::test("a_unit_of_its_own", unit));
    trials.push(Trial::test("cjk_cns1_not_embedded", traditional));
    trials.push(Trial::test("a_password_is_not_guessed", locked).with_ignored_flag(qpdf));
    libtest_mimic::run(&arguments, trials).exit();
}

/// Thirty lines of a contract.
fn text() -> String {
    let line = |n: u32| {
        format!("1 0 0 1 60 {} Tm ({n}. The buyer takes from the seller what is listed below, at its price.) Tj ", 780 - n * 22)
    };
    format!("BT /F 11 Tf {}ET", (1..=30).map(line).collect::<String>())
}

/// A font, and a line in it.
struct Script {
    font: Cjk,
    line: &'static str,
}

const SCRIPTS: [Script; 4] = [
    Script { font: Cjk::GB1, line: "第一条 甲方向乙方采购设备，数量与价格见附件。" },
    Script {
        font: Cjk { ordering: "Japan1", supplement: 2, encoding: "UniJIS-UCS2-H", font: "HeiseiMin-W3" },
        line: "第一条 甲は乙に次の物品を売り渡すものとする。",
    },
    Script {
        font: Cjk { ordering: "Korea1", supplement: 1, encoding: "UniKS-UCS2-H", font: "HYSMyeongJo-Medium" },
        line: "제일조 갑은 을에게 다음 물품을 매도한다.",
    },
    Script {
        font: Cjk { ordering: "CNS1", supplement: 0, encoding: "UniCNS-UCS2-H", font: "MSung-Light" },
        line: "第一條 甲方向乙方採購設備，數量與價格見附件。",
    },
];

/// A page of lines in a font that is not in the file.
fn cjk(Script { font, line }: &Script) -> Vec<u8> {
    let content: String = (0..24).map(|n| format!("1 0 0 1 60 {} Tm {}", 780 - n * 30, Cjk::shown(line))).collect();
    font.pages(&[format!("BT /F 14 Tf {content}ET")])
}

/// Poppler of Debian 12 draws nothing of this script, so it is no judge: every line is there, and every character is known.
fn traditional() -> Result<(), Failed> {
    let drawn = draw(&cjk(&SCRIPTS[3]));
    if !but_fonts(&drawn.head.findings).is_empty() || !drawn.head.searchable {
        return Err(format!("{:?}", drawn.head.findings).into());
    }
    let lost = (0..24).find(|n| !drawn.has_ink([21.2, (841.89 - 780.0 + f64::from(*n) * 30.0) / 72.0 * 25.4 - 4.5, 110.0, 4.0]));
    let text: String = drawn.head.text.iter().map(|run| run.text.as_str()).collect();
    match lost {
        Some(n) => Err(format!("line {n} is not there").into()),
        None if text.matches(SCRIPTS[3].line).count() == 24 => Ok(()),
        None => Err(format!("the text is {text}").into()),
    }
}

/// One page of 200 × 150 points with these entries.
fn with_page(entries: &str, content: &str) -> Vec<u8> {
    pdf::file(
        &[
            "<</Type/Catalog/Pages 2 0 R>>".to_owned(),
            "<</Type/Pages/Kids[3 0 R]/Count 1/MediaBox[0 0 200 150]>>".to_owned(),
            format!("<</Type/Page/Parent 2 0 R/Resources<<>>/Contents 4 0 R{entries}>>"),
            format!("<</Length {}>>stream\n{content}\nendstream", content.len()),
        ],
        "",
    )
}

/// Poppler of Debian 12 does not know `UserUnit`, so it is no judge: the page is half as large again, and so is what is on it.
fn unit() -> Result<(), Failed> {
    let drawn = draw(&with_page("/UserUnit 1.5", "1 0 0 rg 30 30 100 50 re f"));
    let mm = |points: f64| points * 1.5 / 72.0 * 25.4;
    if (drawn.head.width_mm - mm(200.0)).abs() > 0.01 || drawn.head.findings.iter().any(|finding| finding.is_incomplete()) {
        return Err(format!("{:?}", drawn.head).into());
    }
    let corners = [(29.0, 100.0), (31.0, 100.0), (129.0, 100.0), (131.0, 100.0), (60.0, 69.0), (60.0, 71.0)];
    let found: Vec<bool> = corners.iter().map(|(x, y)| drawn.at(mm(*x), mm(*y)) == [255, 0, 0]).collect();
    if found == [false, true, true, false, false, true] { Ok(()) } else { Err(format!("{found:?}").into()) }
}

fn hexadecimal(bytes: impl Iterator<Item = u8>) -> String {
    bytes.map(|byte| format!("{byte:02x}")).collect::<String>() + ">"
}

/// Everything of a page that is no text.
fn painted() -> Vec<u8> {
    let side = 64u32;
    let places = || (0..side).flat_map(|y| (0..side).map(move |x| (x, y)));
    let rgb = hexadecimal(places().flat_map(|(x, y)| [(x * 4) as u8, (y * 4) as u8, 128]));
    let soft = hexadecimal(places().map(|(x, y)| (255 - (x + y) * 2) as u8));
    let stencil = hexadecimal((0..8).map(|row| if row % 2 == 0 { 0xcc } else { 0x33 }));
    let image = |entries: &str, data: &str| {
        format!("<</Type/XObject/Subtype/Image{entries}/Filter/ASCIIHexDecode/Length {}>>stream\n{data}\nendstream", data.len())
    };
    let content = "q 200 0 0 200 50 600 cm /I Do Q q 160 0 0 160 300 620 cm 0 0.3 0.6 rg /M Do Q \
        /G gs 1 0 0 rg 60 400 150 120 re f 0 0 1 rg 140 350 150 120 re f /N gs \
        /P gs 1 1 0 rg 330 380 120 120 re f 0 1 1 rg 390 340 120 120 re f /N gs \
        q 60 120 200 180 re W n /A sh Q q 300 120 200 180 re W n /R sh Q \
        q 400 60 m 480 60 l 440 110 l h W n 0 0.5 0 rg 380 40 140 90 re f Q \
        0 0 0 RG 4 w [12 6] 3 d 60 60 m 260 90 l S [] 0 d 1 J 1 j 10 w 300 60 m 330 100 l 360 60 l S \
        0.2 g 60 320 m 110 320 l 110 370 l 60 370 l h 75 335 m 95 335 l 95 355 l 75 355 l h f*";
    let function = "<</FunctionType 2/Domain[0 1]/C0[1 0 0]/C1[0 0 1]/N 1>>";
    pdf::file(
        &[
            "<</Type/Catalog/Pages 2 0 R>>".to_owned(),
            "<</Type/Pages/Kids[3 0 R]/Count 1/MediaBox[0 0 595.276 841.89]>>".to_owned(),
            format!(
                "<</Type/Page/Parent 2 0 R/Contents 4 0 R/Resources<</XObject<</I 5 0 R/M 7 0 R>>/ExtGState<</G<</ca .5>>/P<</BM/Multiply>>\
                 /N<</ca 1/BM/Normal>>>>/Shading<</A<</ShadingType 2/ColorSpace/DeviceRGB/Coords[60 0 260 0]/Function {function}>>\
                 /R<</ShadingType 3/ColorSpace/DeviceRGB/Coords[400 210 0 400 210 90]/Extend[false true]/Function {function}>>>>>>>>"
            ),
            format!("<</Length {}>>stream\n{content}\nendstream", content.len()),
            image("/Width 64/Height 64/ColorSpace/DeviceRGB/BitsPerComponent 8/SMask 6 0 R", &rgb),
            image("/Width 64/Height 64/ColorSpace/DeviceGray/BitsPerComponent 8", &soft),
            image("/Width 8/Height 8/ImageMask true/BitsPerComponent 1", &stencil),
        ],
        "",
    )
}

/// A filled field, a ticked box, a note with a look of its own; the second page turned.
fn forms() -> Vec<u8> {
    let form = |bbox: &str, content: &str| {
        format!("<</Type/XObject/Subtype/Form/BBox[{bbox}]/Resources<<>>/Length {}>>stream\n{content}\nendstream", content.len())
    };
    let content = "0.9 g 50 50 495 740 re f 0 0 0.6 rg 100 700 300 20 re f";
    pdf::file(
        &[
            "<</Type/Catalog/Pages 2 0 R/AcroForm<</Fields[6 0 R 7 0 R]>>>>".to_owned(),
            "<</Type/Pages/Kids[3 0 R 4 0 R]/Count 2/MediaBox[0 0 595.276 841.89]>>".to_owned(),
            "<</Type/Page/Parent 2 0 R/Resources<<>>/Contents 5 0 R/Annots[6 0 R 7 0 R 8 0 R]>>".to_owned(),
            "<</Type/Page/Parent 2 0 R/Resources<<>>/Contents 5 0 R/Annots[8 0 R]/Rotate 90>>".to_owned(),
            format!("<</Length {}>>stream\n{content}\nendstream", content.len()),
            "<</Type/Annot/Subtype/Widget/FT/Tx/T(a)/V(x)/F 4/Rect[100 500 300 530]/AP<</N 9 0 R>>>>".to_owned(),
            "<</Type/Annot/Subtype/Widget/FT/Btn/T(b)/V/On/AS/On/F 4/Rect[100 450 120 470]/AP<</N<</On 10 0 R/Off 11 0 R>>>>>>"
                .to_owned(),
            "<</Type/Annot/Subtype/Square/F 4/Rect[300 300 420 380]/AP<</N 12 0 R>>>>".to_owned(),
            form("0 0 200 30", "1 1 0.6 rg 0 0 200 30 re f 0 g 10 8 90 12 re f"),
            form("0 0 20 20", "2 w 2 2 16 16 re S 4 10 m 9 4 l 17 17 l S"),
            form("0 0 20 20", "2 w 2 2 16 16 re S"),
            form("0 0 60 40", "1 0 0 RG 6 w 3 3 54 34 re S"),
        ],
        "",
    )
}

/// A document that has a user password is refused, and says why.
fn locked() -> Result<(), Failed> {
    for options in [["--encrypt", "secret", "owner", "256", "--"], ["--encrypt", "secret", "owner", "128", "--"]] {
        let bytes = converted("qpdf", &[&["--allow-weak-crypto"], &options[..]].concat(), &painted());
        match converse(&bytes, &[request(1)]).0 {
            Told::Refused { reason } if reason.contains("encrypted") => {}
            told => return Err(format!("{told:?}").into()),
        }
    }
    Ok(())
}

/// In a folder of its own: what a program makes.
fn made(name: &str, input: &[u8], run: impl FnOnce(&Path) -> std::io::Result<std::process::Output>) -> Vec<u8> {
    static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let number = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("made-{}-{number}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(name), input).unwrap();
    let output = run(&folder).unwrap();
    let made = std::fs::read(folder.join("out.pdf"));
    std::fs::remove_dir_all(&folder).unwrap();
    made.unwrap_or_else(|error| {
        let told = [output.stdout, output.stderr].concat();
        panic!("{error}: {}", String::from_utf8_lossy(&told))
    })
}

fn converted(program: &str, options: &[&str], bytes: &[u8]) -> Vec<u8> {
    made("in.pdf", bytes, |folder| Command::new(program).args(options).args(["in.pdf", "out.pdf"]).current_dir(folder).output())
}

fn ghostscript(bytes: &[u8]) -> Vec<u8> {
    let options = ["-q", "-dBATCH", "-dNOPAUSE", "-sDEVICE=pdfwrite", "-sOutputFile=out.pdf", "in.pdf"];
    made("in.pdf", bytes, |folder| Command::new("gs").args(options).current_dir(folder).output())
}

fn groff() -> Vec<u8> {
    let line = "The buyer takes from the seller what is listed below, at its price, and pays within thirty days.\n";
    let input = format!(".po 1i\n.ft B\nContract\n.ft R\n.sp\n{}.bp\n{}", line.repeat(40), line.repeat(5));
    made("in.roff", input.as_bytes(), |folder| {
        Command::new("sh").args(["-c", "groff -Tpdf in.roff > out.pdf"]).current_dir(folder).output()
    })
}

/// Text, formulas, rules and colour, in its own fonts.
fn latex() -> Vec<u8> {
    let line = "The buyer takes from the seller $n$ items at $\\sum_{i=1}^{n} p_i \\le \\frac{P}{2}$, as listed. ";
    let table = "\\begin{tabular}{|l|r|}\\hline Item & Price \\\\\\hline One & 1\\,000 \\\\\\hline\\end{tabular}";
    let body = format!(
        "\\section{{Contract}}{}\n\n{table}\n\n\\newpage\\textbf{{Second}} \\textit{{page}}. {}",
        line.repeat(20),
        line.repeat(4)
    );
    let input = format!("\\documentclass{{article}}\\begin{{document}}{body}\\end{{document}}\n");
    made("out.tex", input.as_bytes(), |folder| {
        Command::new("pdflatex").args(["-interaction=batchmode", "out.tex"]).current_dir(folder).output()
    })
}

/// Chinese text, plain and bold, in embedded subsets, on two pages.
fn libreoffice() -> Vec<u8> {
    let escaped = |text: &str| -> String {
        text.chars().map(|c| if c.is_ascii() { c.to_string() } else { format!("\\u{}?", c as u32) }).collect()
    };
    let line = escaped("第一条 甲方向乙方采购设备，数量与价格见附件。 The price is listed below. ");
    let input = format!("{{\\rtf1\\ansi\\b {}\\b0\\par {}\\page {line}}}", escaped("采购合同"), line.repeat(20));
    made("out.rtf", input.as_bytes(), |folder| {
        let profile = format!("-env:UserInstallation=file://{}/profile", folder.display());
        let convert = ["--headless", "--convert-to", "pdf:writer_pdf_Export", "out.rtf"];
        Command::new("soffice").arg(profile).args(convert).current_dir(folder).env("HOME", folder).output()
    })
}

fn fop() -> Vec<u8> {
    let line = "The buyer takes from the seller what is listed below, at its price. ".repeat(30);
    let input = format!(
        "<fo:root xmlns:fo=\"http://www.w3.org/1999/XSL/Format\"><fo:layout-master-set><fo:simple-page-master master-name=\"a\" page-height=\"297mm\" \
         page-width=\"210mm\" margin=\"20mm\"><fo:region-body/></fo:simple-page-master></fo:layout-master-set><fo:page-sequence master-reference=\"a\">\
         <fo:flow flow-name=\"xsl-region-body\"><fo:block>{line}</fo:block></fo:flow></fo:page-sequence></fo:root>"
    );
    made("in.fo", input.as_bytes(), |folder| {
        Command::new("fop").args(["-fo", "in.fo", "-pdf", "out.pdf"]).current_dir(folder).output()
    })
}
