//! Every page of the shared samples, drawn and judged: nothing blank, nothing untold, words where they belong; PDF beside Poppler.
//! An absent samples folder, or absent Poppler, shows as ignored rows.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;
#[path = "common/poppler.rs"]
mod poppler;

use std::collections::BTreeSet;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use common::{Drawn, but_fonts, converse, request};
use libtest_mimic::{Arguments, Failed, Trial};
use sealagent::ofd::Ofd;
use sealagent::preview::{FindingKind as K, PageRequest, Told, keyword};
use sealagent::ses::{PictureFormat, SesSignature};

/// A sample and what is known of it.
struct Sample {
    file: &'static str,
    pages: usize,
    /// Kinds of findings that its pages have, fonts aside; no others may appear.
    findings: &'static [&'static str],
    /// Findings of the document.
    document: &'static [&'static str],
    /// Words with page, and left and top in mm.
    words: &'static [(u32, &'static str, f64, f64)],
    /// Places with page, left, top and size in mm, and the least share of them that a seal or picture makes red or dark.
    marks: &'static [(u32, [f64; 4], Mark)],
}

#[derive(Clone, Copy)]
enum Mark {
    Dark(f64),
    Red(f64),
}

const SAMPLES: &[Sample] = &[
    Sample {
        file: "antchain-zhejiang-list",
        pages: 1,
        findings: &["drawnOtherwise"],
        document: &[],
        words: &[(1, "电子凭证", 90.0, 7.0), (1, "9.91150442", 119.0, 57.5)],
        marks: &[(1, [87.0, 4.0, 34.0, 26.0], Mark::Red(0.08))],
    },
    Sample {
        file: "dms360-v1-broken",
        pages: 2,
        findings: &[],
        document: &[],
        words: &[(1, "关于同意张阿三同志辞职的批复", 52.1, 106.4)],
        marks: &[(1, [39.0, 38.0, 133.0, 15.0], Mark::Red(0.1))],
    },
    Sample {
        file: "gomain-yunnan-two-seals-pages-edited",
        pages: 2,
        findings: &[],
        document: &[],
        words: &[(1, "建筑工程施工许可证", 39.0, 39.0), (2, "本附件随", 28.6, 276.8), (2, "有效", 95.0, 280.0)],
        marks: &[
            (1, [32.0, 151.0, 22.0, 22.0], Mark::Dark(0.3)),
            (1, [87.0, 140.0, 45.0, 45.0], Mark::Red(0.1)),
            (2, [142.0, 244.0, 45.0, 45.0], Mark::Red(0.1)),
        ],
    },
    Sample {
        file: "kinggrid-tax-test-999",
        pages: 5,
        findings: &["drawnOtherwise"],
        document: &[],
        words: &[(1, "91500102563638729E", 36.0, 109.5), (5, "餐饮服务", 15.5, 68.0)],
        marks: &[(1, [8.5, 3.5, 20.0, 20.0], Mark::Dark(0.3)), (1, [90.0, 8.0, 30.0, 20.0], Mark::Red(0.1))],
    },
    Sample {
        file: "kinsec-fujian-two-seals-versions",
        pages: 1,
        findings: &["hiddenText"],
        document: &["versionNotDrawn"],
        words: &[(1, "现场验收检查原始记录", 77.0, 20.5), (1, "配件质量及安装", 49.5, 221.5)],
        marks: &[(1, [31.0, 31.0, 38.0, 38.0], Mark::Red(0.05)), (1, [161.0, 21.0, 38.0, 38.0], Mark::Red(0.05))],
    },
    Sample { file: "ofdrw-bare-rs-sign", pages: 1, findings: &[], document: &[], words: &[], marks: &[] },
    Sample { file: "ofdrw-gmt0099-integrity", pages: 2, findings: &[], document: &[], words: &[], marks: &[] },
    Sample {
        file: "ofdrw-two-sigs-list-protected",
        pages: 5,
        findings: &[],
        document: &["drawnOtherwise"],
        words: &[],
        marks: &[(1, [50.0, 50.0, 40.0, 40.0], Mark::Red(0.05)), (3, [202.0, 128.5, 8.0, 40.0], Mark::Red(0.02))],
    },
    Sample { file: "ofdrw-v4-single", pages: 1, findings: &[], document: &[], words: &[], marks: &[] },
    Sample {
        file: "ofdrw-v4-straddle-right",
        pages: 5,
        findings: &[],
        document: &["drawnOtherwise"],
        words: &[],
        marks: &[(3, [202.0, 40.0, 8.0, 40.0], Mark::Red(0.1))],
    },
    Sample { file: "unsigned-helloworld", pages: 1, findings: &[], document: &[], words: &[], marks: &[] },
    Sample {
        file: "yunnan-cms-two-sign",
        pages: 1,
        findings: &[],
        document: &[],
        words: &[(1, "临沧市临翔区自然资源局", 102.9, 184.9)],
        marks: &[(1, [19.0, 13.5, 28.0, 28.0], Mark::Dark(0.3))],
    },
];

fn main() {
    let arguments = Arguments::from_args();
    let folder = std::env::var_os("SEALAGENT_SAMPLES")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/samples"), PathBuf::from);
    let mut trials: Vec<Trial> = SAMPLES
        .iter()
        .map(|sample| {
            let path = folder.join("ofd").join(sample.file).with_extension("ofd");
            let absent = !path.is_file();
            Trial::test(format!("ofd/{}", sample.file), move || judge(sample, &path)).with_ignored_flag(absent)
        })
        .collect();
    let ofd = folder.join("ofd");
    let absent = !ofd.is_dir();
    trials.push(Trial::test("ofd/seals_that_are_packages", move || nested_seals(&ofd)).with_ignored_flag(absent));
    let pdf = folder.join("pdf/foxit-sm-detached-ses-page1.pdf");
    let absent = !pdf.is_file();
    let path = pdf.clone();
    trials.push(Trial::test("pdf/words", move || pdf_words(&path)).with_ignored_flag(absent));
    let beside = move || poppler::beside(&std::fs::read(&pdf)?, poppler::NO_TEXT).map_err(Failed::from);
    trials.push(Trial::test("pdf/beside_poppler", beside).with_ignored_flag(absent || poppler::is_absent()));
    libtest_mimic::run(&arguments, trials).exit();
}

/// Seals of real makers whose pictures are packages are drawn whole, in their colour, on nothing.
fn nested_seals(folder: &Path) -> Result<(), Failed> {
    let mut seen = 0;
    for sample in SAMPLES {
        let mut ofd = Ofd::open(Cursor::new(std::fs::read(folder.join(sample.file).with_extension("ofd"))?))?;
        let body = ofd.bodies()[0].clone();
        for listed in ofd.signature_list(&body)?.map(|list| list.signatures).unwrap_or_default() {
            let signature = ofd.signature(&listed)?;
            let Ok(value) = SesSignature::parse(&ofd.package.read(&signature.signed_value, 8 << 20)?) else { continue };
            let picture = value.seal().picture();
            if picture.format != PictureFormat::Ofd {
                continue;
            }
            seen += 1;
            let mm = [picture.width_mm as f64, picture.height_mm as f64];
            let (width, height, pixels) = common::seal(&picture.data, mm).map_err(|why| format!("{}: {why}", sample.file))?;
            let share = |is: fn(&[u8]) -> bool| {
                pixels.chunks_exact(4).filter(|pixel| is(pixel)).count() as f64 / f64::from(width * height)
            };
            let red = share(|p| p[3] > 128 && p[0] > 150 && p[1] < 130 && p[2] < 130);
            let clear = share(|p| p[3] == 0);
            if red < 0.02 || clear < 0.3 {
                return Err(format!("{}: {red:.3} red, {clear:.3} transparent", sample.file).into());
            }
        }
    }
    if seen < 2 { Err(format!("{seen} such seals").into()) } else { Ok(()) }
}

fn pages(path: &Path, dpi: f32, count: usize) -> Result<(Told, Vec<Drawn>), Failed> {
    let bytes = std::fs::read(path)?;
    let requests: Vec<PageRequest> = (1..=count as u32).map(|page| PageRequest { dpi, ..request(page) }).collect();
    let (told, pages) = converse(&bytes, &requests);
    Ok((told, pages.into_iter().collect::<Result<_, _>>()?))
}

fn judge(sample: &Sample, path: &Path) -> Result<(), Failed> {
    let (told, drawn) = pages(path, 96.0, sample.pages)?;
    let Told::Opened { pages, findings, .. } = told else { return Err(format!("{told:?}").into()) };
    if pages.len() != sample.pages {
        return Err(format!("{} pages", pages.len()).into());
    }
    let kinds = |findings: &[sealagent::preview::Finding]| -> BTreeSet<String> {
        let kind =
            |finding: &&sealagent::preview::Finding| serde_json::to_value(finding).unwrap()["kind"].as_str().unwrap().to_owned();
        but_fonts(findings).iter().map(kind).collect()
    };
    let expected = |list: &[&str]| list.iter().map(|kind| (*kind).to_owned()).collect::<BTreeSet<_>>();
    if kinds(&findings) != expected(sample.document) {
        return Err(format!("document: {findings:?}").into());
    }
    let all: Vec<_> = drawn.iter().flat_map(|page| page.head.findings.clone()).collect();
    if kinds(&all) != expected(sample.findings) || all.iter().any(|finding| finding.is_incomplete()) {
        return Err(format!("pages: {:?}", but_fonts(&all)).into());
    }
    for page in &drawn {
        if share(page, [0.0, 0.0, page.head.width_mm - 1.0, page.head.height_mm - 1.0], |[r, g, b]| r.min(g).min(b) < 200)
            < 0.0005
        {
            return Err(format!("page {} is blank", page.head.page).into());
        }
    }
    for (page, word, x, y) in sample.words {
        near(&drawn[*page as usize - 1], word, *x, *y)?;
    }
    for (page, place, mark) in sample.marks {
        let drawn = &drawn[*page as usize - 1];
        let (found, least) = match mark {
            Mark::Dark(least) => (share(drawn, *place, |[r, g, b]| r.max(g).max(b) < 100), *least),
            Mark::Red(least) => (share(drawn, *place, |[r, g, b]| r > 150 && g < 130 && b < 130), *least),
        };
        if found < least {
            return Err(format!("page {page}: {found:.3} of {place:?} is marked, less than {least}").into());
        }
    }
    Ok(())
}

/// The word is found once or more, and its first place is within 2 mm.
fn near(page: &Drawn, word: &str, x: f64, y: f64) -> Result<(), Failed> {
    let all = keyword::all(&page.head.text, word).unwrap();
    if all.iter().any(|found| (found.x - x).abs() < 2.0 && (found.y - y).abs() < 2.5) {
        return Ok(());
    }
    Err(format!("{word} at {all:?}, not at {x}, {y}").into())
}

fn share(page: &Drawn, [x, y, w, h]: [f64; 4], is: impl Fn([u8; 3]) -> bool) -> f64 {
    let steps = 120;
    let places = (0..steps * steps)
        .map(|n| (x + w * f64::from(n % steps) / f64::from(steps), y + h * f64::from(n / steps) / f64::from(steps)));
    let marked = places.filter(|(x, y)| is(page.at(*x, *y))).count();
    marked as f64 / f64::from(steps * steps)
}

fn pdf_words(path: &Path) -> Result<(), Failed> {
    let (told, drawn) = pages(path, 96.0, 3)?;
    let Told::Opened { sealed, .. } = told else { return Err(format!("{told:?}").into()) };
    if sealed != [1] || drawn.iter().any(|page| !page.head.searchable) {
        return Err(format!("sealed {sealed:?}").into());
    }
    near(&drawn[0], "签章文件测试", 94.0, 26.5)?;
    near(&drawn[0], "右侧关键字", 159.5, 180.5)?;
    near(&drawn[2], "左侧关键字", 31.7, 213.5)?;
    let hidden =
        drawn.iter().flat_map(|page| &page.head.findings).filter(|finding| matches!(finding.kind, K::HiddenText { .. })).count();
    if hidden > 0 { Err("visible text called hidden".into()) } else { Ok(()) }
}
