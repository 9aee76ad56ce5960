//! What large documents cost: a PDF of 1 GB and an OFD of 5 000 pages, signed and verified by the program itself:
//! `cargo bench --bench sizes`.
//!
//! Memory is the peak of the resident set (`VmHWM`, mapped files and the program's own pages included), read every 10 ms while the process
//! runs. The files take up to 4 GB in the system's folder for temporary files and are deleted. Linux only.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, dead_code)]

#[path = "../tests/common/rig.rs"]
mod rig;

use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rig::{PIN, Rig};
use sealagent::ofd::write::{Item, NewDocument, NewPage};
use sealagent::stamp::SizeMm;

/// Bytes of the PDF.
const PDF_BYTES: usize = 1 << 30;
/// Pages of the OFD, each with forty lines.
const OFD_PAGES: usize = 5000;

fn main() {
    if !cfg!(target_os = "linux") {
        println!("only Linux tells the peak of a process while it runs");
        return;
    }
    let rig = Rig::new();
    let folder = rig.dir.path();
    let path = |name: &str| folder.join(name).display().to_string();
    let driver = format!("[[driver]]\nkind = \"virtual\"\nlibrary = {:?}\n", path("tokens"));
    fs::write(folder.join("config.toml"), format!("[places]\ndata = {:?}\nstate = {:?}\n{driver}", path("data"), path("state")))
        .unwrap();
    fs::write(folder.join("pin"), PIN).unwrap();
    println!("{:44} {:>9} {:>10} {:>8}", "", "file", "peak", "time");
    for (name, write) in [("large.pdf", large_pdf as fn(&Path)), ("many.ofd", many_pages)] {
        write(&folder.join(name));
        let sign = |output: &str, stamp: &[&str]| {
            let mut arguments =
                vec!["--config", "config.toml", "sign", name, "-o", output, "--pin-fd", "0", "--seal", rig.seal.es_id()];
            arguments.extend(stamp);
            arguments.iter().map(|argument| (*argument).to_owned()).collect::<Vec<_>>()
        };
        measure(folder, &format!("sign {name}, a seal on page 1"), name, &sign("once", &["--at", "120,200"]));
        measure(folder, &format!("sign {name}, a straddle seal over all pages"), name, &sign("twice", &["--straddle", "right"]));
        let trust = folder.join("data/trust").display().to_string();
        let verify: Vec<String> = ["verify", "twice", "--trust", &trust].map(str::to_owned).into();
        measure(folder, &format!("verify {name} with the straddle seal"), "twice", &verify);
        for file in [name, "once", "twice"] {
            fs::remove_file(folder.join(file)).unwrap();
        }
    }
}

fn measure(folder: &Path, what: &str, file: &str, arguments: &[String]) {
    let start = Instant::now();
    let mut child = Command::new(env!("CARGO_BIN_EXE_sealagent"))
        .args(arguments)
        .current_dir(folder)
        .stdin(File::open(folder.join("pin")).unwrap())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut peak = 0;
    while child.try_wait().unwrap().is_none() {
        let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
        peak = line.split_whitespace().next().and_then(|kib| kib.parse().ok()).unwrap_or(peak);
        std::thread::sleep(Duration::from_millis(10));
    }
    let time = start.elapsed().as_secs_f64();
    let output = child.wait_with_output().unwrap();
    let size = fs::metadata(folder.join(file)).unwrap().len() as f64 / 1e6;
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    // Verifying says 0 for valid alone; what is not expected is shown.
    let said = if output.status.success() { "" } else { text.as_str() };
    println!("{what:44} {size:6.0} MB {:7.1} MB {time:6.1} s  {said}", f64::from(peak) / 1024.0);
}

/// One page that draws nothing, and embedded data in streams of 64 MB.
fn large_pdf(path: &Path) {
    let mut out = BufWriter::new(File::create(path).unwrap());
    let objects = [
        "<</Type/Catalog/Pages 2 0 R>>",
        "<</Type/Pages/Kids[3 0 R]/Count 1/MediaBox[0 0 595 842]>>",
        "<</Type/Page/Parent 2 0 R>>",
    ];
    let mut at = 0;
    let mut put = |bytes: &[u8]| {
        out.write_all(bytes).unwrap();
        at += bytes.len();
        at
    };
    let mut offsets = Vec::new();
    let mut end = put(b"%PDF-1.7\n");
    for (n, object) in objects.iter().enumerate() {
        offsets.push(end);
        end = put(format!("{} 0 obj\n{object}\nendobj\n", n + 1).as_bytes());
    }
    let block: Vec<u8> = (0..1 << 20).map(|n| b' ' + (n % 89) as u8).collect();
    for _ in 0..PDF_BYTES >> 26 {
        offsets.push(end);
        put(format!("{} 0 obj\n<</Length {}>>stream\n", offsets.len(), 64 << 20).as_bytes());
        (0..64).for_each(|_| {
            put(&block);
        });
        end = put(b"\nendstream\nendobj\n");
    }
    let mut tail = format!("xref\n0 {}\n0000000000 65535 f \n", offsets.len() + 1);
    offsets.iter().for_each(|offset| tail.push_str(&format!("{offset:010} 00000 n \n")));
    tail.push_str(&format!("trailer\n<</Size {}/Root 1 0 R>>\nstartxref\n{end}\n%%EOF\n", offsets.len() + 1));
    put(tail.as_bytes());
    out.flush().unwrap();
}

fn many_pages(path: &Path) {
    let line = |page: usize, line: usize| Item::Text {
        x: 20.0,
        y: 20.0 + 6.0 * line as f64,
        size: 4.0,
        font: "宋体".into(),
        text: format!("第 {page} 页第 {line} 条：双方约定如下。"),
    };
    let page = |n| NewPage { size: SizeMm { width: 210.0, height: 297.0 }, items: (1..=40).map(|i| line(n, i)).collect() };
    let document = NewDocument {
        title: "采购合同".into(),
        date: "2026-11-24".into(),
        pages: (1..=OFD_PAGES).map(page).collect(),
        images: Vec::new(),
    };
    document.write(&mut BufWriter::new(File::create(path).unwrap())).unwrap();
}
