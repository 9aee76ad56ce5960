//! Files to measure whole processes with, and the signing of one of them: `cargo bench --bench corpus -- make FOLDER`, then
//! `cargo bench --bench corpus -- sign FOLDER`. benches/table.sh does both. Without arguments it does nothing.
//!
//! | in FOLDER | |
//! |---|---|
//! | `trust/` | whom to believe |
//! | `one.ofd` | one page, one seal |
//! | `many/` | a thousand documents of one page under one seal |
//! | `names-N` | lists of them for `--files-from`; beyond a thousand they begin again |
//! | `large.ofd` | 500 pages with a picture each, 52 MB, signed; `unsigned.ofd` before that |
//! | `large.pdf` | 100 MB, signed |
#![allow(clippy::unwrap_used, missing_docs, dead_code)]

mod measure;
#[path = "../tests/common/world.rs"]
mod world;

use std::fs::{self, File};
use std::io::{BufReader, BufWriter, Write as _};
use std::path::Path;

use sealagent::ofd::Ofd;
use sealagent::pdf::Document;
use sealagent::ses::Version;
use sealagent::stamp::{PageNumber, Placement, RectMm};
use world::{World, contract};

const MANY: usize = 1_000;
const LISTS: [usize; 5] = [1, 200, 1_000, 10_000, 100_000];
const PDF_BYTES: usize = 100 << 20;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["make", folder] => make(Path::new(folder)),
        ["sign", folder] => sign(Path::new(folder)),
        _ => {}
    }
}

fn make(folder: &Path) {
    fs::create_dir_all(folder.join("many")).unwrap();
    let world = World::new(&folder.join("region"));
    world.region.write_trust_folder(&folder.join("trust")).unwrap();
    measure::write(&folder.join("one.ofd"), &world.sign(&contract(1, 80), Version::V4));
    let name = |i: usize| folder.join(format!("many/{i:03}.ofd"));
    for i in 0..MANY {
        measure::write(&name(i), &world.sign(&contract(1, 40 + i % 80), Version::V4));
    }
    for count in LISTS {
        let mut list = BufWriter::new(File::create(folder.join(format!("names-{count}"))).unwrap());
        (0..count).for_each(|i| writeln!(list, "{}", name(i % MANY).display()).unwrap());
    }
    let unsigned = measure::scanned(500, 80, 100 << 10);
    measure::write(&folder.join("unsigned.ofd"), &unsigned);
    measure::write(&folder.join("large.ofd"), &world.sign(&unsigned, Version::V4));
    pdf(&folder.join("unsigned.pdf"));
    let document = Document::open(BufReader::new(File::open(folder.join("unsigned.pdf")).unwrap())).unwrap();
    let mut out = BufWriter::new(File::create(folder.join("large.pdf")).unwrap());
    world.sign_into(document, Version::V4, Vec::new(), &mut out);
}

/// A page, and an embedded stream that is nearly all of the file.
fn pdf(path: &Path) {
    let mut file = BufWriter::new(File::create(path).unwrap());
    let head = format!(
        "%PDF-1.6\n1 0 obj\n<</Type/Catalog/Pages 2 0 R>>\nendobj\n2 0 obj\n<</Type/Pages/Kids[3 0 R]/Count 1/MediaBox[0 0 595 842]>>\nendobj\n\
         3 0 obj\n<</Type/Page/Parent 2 0 R>>\nendobj\n4 0 obj\n<</Length {PDF_BYTES}>>stream\n"
    );
    let offsets = (1..=4).map(|n| head.find(&format!("{n} 0 obj")).unwrap());
    let table: String = offsets.map(|at| format!("{at:010} 00000 n \n")).collect();
    file.write_all(head.as_bytes()).unwrap();
    let block = vec![b'.'; 1 << 20];
    (0..PDF_BYTES >> 20).for_each(|_| file.write_all(&block).unwrap());
    let tail = "\nendstream\nendobj\n";
    let xref = head.len() + PDF_BYTES + tail.len();
    write!(file, "{tail}xref\n1 4\n{table}trailer\n<</Size 5/Root 1 0 R>>\nstartxref\n{xref}\n%%EOF\n").unwrap();
}

/// Prints `CPU in ms, peak of resident memory in MB` of signing `unsigned.ofd` from file to file, and of this process before that.
fn sign(folder: &Path) {
    let world = World::new(&folder.join("region-of-sign"));
    let before = peak();
    let seconds = measure::cpu(0, || {
        let document = Ofd::open(BufReader::new(File::open(folder.join("unsigned.ofd")).unwrap())).unwrap();
        let rect = RectMm { x: 120.0, y: 200.0, width: 40.0, height: 40.0 };
        let placement = Placement { page: PageNumber::new(1).unwrap(), rect, clip: None };
        let mut out = BufWriter::with_capacity(1 << 20, File::create(folder.join("signed.ofd")).unwrap());
        world.sign_into(document, Version::V4, vec![placement], &mut out);
        out.flush().unwrap();
    });
    println!("{:.1} {:.1} {before:.1}", seconds * 1e3, peak());
    fs::remove_dir_all(folder.join("region-of-sign")).unwrap();
    fs::remove_file(folder.join("signed.ofd")).unwrap();
}

/// Of resident memory so far, in MB.
fn peak() -> f64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("0");
    line.split_whitespace().next().and_then(|n| n.parse::<f64>().ok()).unwrap_or(0.0) / 1024.0
}
