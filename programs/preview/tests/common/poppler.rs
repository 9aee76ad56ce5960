//! Pages of a PDF beside those of Poppler's `pdftoppm`.

use std::process::Command;

use sealagent::preview::{PageRequest, Told};

use super::common::{Drawn, converse, request};

/// Shares of the pixels that may differ.
#[derive(Clone, Copy)]
pub struct Limit {
    /// From the one at the same place.
    there: f64,
    /// From all that are at the same place or beside it: Poppler sets glyphs at quarters of a pixel.
    near: f64,
}

/// Shapes and images.
pub const NO_TEXT: Limit = Limit { there: 0.01, near: 0.01 };
/// Text in fonts of the file.
#[allow(dead_code, reason = "one of the test programs uses it")]
pub const SAME_FONTS: Limit = Limit { there: 0.05, near: 0.01 };
/// Text in fonts that each has for itself.
#[allow(dead_code, reason = "one of the test programs uses it")]
pub const OTHER_FONTS: Limit = Limit { there: 0.05, near: 1.0 };
/// A channel that differs by so much is another colour.
const DIFFERENT: u8 = 64;
/// Dots per inch.
const DPI: f32 = 144.0;

/// Whether there is no `pdftoppm` here.
pub fn is_absent() -> bool {
    Command::new("pdftoppm").arg("-v").output().is_err()
}

/// Every page: the same size, at most that share of pixels of another colour, and as much ink, so that no line of text is gone. An error
/// says what differs.
pub fn beside(bytes: &[u8], most: Limit) -> Result<(), String> {
    let (told, _) = converse(bytes, &[]);
    let Told::Opened { pages, findings, .. } = told else { return Err(format!("{told:?}")) };
    let requests: Vec<PageRequest> = (1..=pages.len() as u32).map(|page| PageRequest { dpi: DPI, ..request(page) }).collect();
    let drawn = converse(bytes, &requests).1.into_iter().collect::<Result<Vec<_>, _>>()?;
    let all = findings.iter().chain(drawn.iter().flat_map(|page| &page.head.findings));
    if let Some(finding) = all.into_iter().find(|finding| finding.is_incomplete()) {
        return Err(format!("{finding:?}"));
    }
    let folder = tempfile();
    std::fs::write(folder.join("in.pdf"), bytes).map_err(|error| error.to_string())?;
    let judged = drawn.iter().try_for_each(|page| page_beside(page, &folder.join("in.pdf"), most));
    std::fs::remove_dir_all(&folder).map_err(|error| error.to_string())?;
    judged
}

/// A new folder among the files of tests.
fn tempfile() -> std::path::PathBuf {
    static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let number = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("poppler-{}-{number}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

fn page_beside(page: &Drawn, path: &std::path::Path, most: Limit) -> Result<(), String> {
    let number = page.head.page.to_string();
    let output = Command::new("pdftoppm").args(["-cropbox", "-r", "144", "-f", &number, "-l", &number]).arg(path).output();
    let output = output.map_err(|error| error.to_string())?;
    let (width, height, theirs) = ppm(&output.stdout).ok_or("pdftoppm gave no picture")?;
    if page.head.width.abs_diff(width) > 1 || page.head.height.abs_diff(height) > 1 {
        return Err(format!("{} × {} beside {width} × {height}", page.head.width, page.head.height));
    }
    let (columns, rows) = (width.min(page.head.width) as usize, height.min(page.head.height) as usize);
    let pixel = |x: usize, y: usize| &theirs[(y * width as usize + x) * 3..][..3];
    let differs = |a: &[u8], b: &[u8]| a.iter().zip(b).any(|(a, b)| a.abs_diff(*b) >= DIFFERENT);
    let is_ink = |pixel: &[u8]| u32::from(pixel.iter().any(|channel| *channel < 128));
    let (mut there, mut near, mut our_ink, mut their_ink) = (0u32, 0u32, 0u32, 0u32);
    for (x, y) in (0..rows).flat_map(|y| (0..columns).map(move |x| (x, y))) {
        let ours = &page.layers[0][(y * page.head.width as usize + x) * 4..][..3];
        our_ink += is_ink(ours);
        their_ink += is_ink(pixel(x, y));
        if differs(ours, pixel(x, y)) {
            there += 1;
            let around = |n: usize, end: usize| n.saturating_sub(1)..(n + 2).min(end);
            let mut neighbours = around(y, rows).flat_map(|y| around(x, columns).map(move |x| (x, y)));
            near += u32::from(neighbours.all(|(x, y)| differs(ours, pixel(x, y))));
        }
    }
    let [there, near] = [there, near].map(|count| f64::from(count) / (columns * rows) as f64);
    let ink = f64::from(our_ink.max(1)) / f64::from(their_ink.max(1));
    let told = format!(
        "page {number}: {:.2} % of the pixels differ, {:.2} % from their neighbours too, {ink:.2} times the ink",
        there * 100.0,
        near * 100.0
    );
    println!("{told}");
    if there > most.there || near > most.near {
        return Err(told);
    }
    // Other faces are lighter or heavier, but no line of text is gone.
    if their_ink == 0 || !(0.6..1.67).contains(&ink) {
        return Err(told);
    }
    Ok(())
}

/// Width, height and pixels of a binary PPM.
fn ppm(bytes: &[u8]) -> Option<(u32, u32, &[u8])> {
    let mut fields = bytes.splitn(4, |byte| byte.is_ascii_whitespace());
    let magic = fields.next()?;
    let number = |field: &[u8]| std::str::from_utf8(field).ok()?.parse().ok();
    let (width, height) = (number(fields.next()?)?, number(fields.next()?)?);
    let rest = fields.next()?.strip_prefix(b"255\n")?;
    (magic == b"P6").then_some((width, height, rest))
}
