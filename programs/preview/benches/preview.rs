//! Pages as pictures, as a person waits for them: from the request to the PNG file, the program started for it. The clock on the wall,
//! since that is what a person has, in the middle of several runs and at the least; and CPU time, since machines are shared: that of the
//! one who asks and that of the program, which wait for each other and so add up to what the wall shows where nothing else runs.
//! `cargo bench -p sealagent-preview --bench preview [-- PART…]` with the parts `first`, `leaf`, `seal`; all unless told.
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "../../../tests/common/pdf.rs"]
mod file;

use std::io::Cursor;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use file::Cjk;
use sealagent::ofd::write::{Item, NewDocument, NewPage};
use sealagent::preview::{PageRequest, Program, Session, png};
use sealagent::stamp::SizeMm;
use tokio::runtime::Runtime;

/// Lines on a page, 30 characters each.
const LINES: usize = 40;
/// Dots per inch of a page in the prompt.
const DPI: f32 = 110.0;
/// Starts that are measured.
const TIMES: usize = 21;
/// A usual seal in SVG.
const SEAL: &[u8] = include_bytes!("../../../fuzz/seeds/seal_svg/seal.svg");

fn main() {
    let chosen: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let patience = Duration::from_secs(300);
    let program = Program::at(PathBuf::from(env!("CARGO_BIN_EXE_sealagent-preview"))).with_deadlines(patience, patience);
    for (name, part) in [("first", first as fn(&Runtime, &Program)), ("leaf", leaf), ("seal", seal)] {
        if chosen.is_empty() || chosen.iter().any(|c| c == name) {
            part(&runtime, &program);
        }
    }
}

/// What one run took: on the wall, and of CPU here and in the program.
#[derive(Clone, Copy)]
struct Took {
    wall: Duration,
    cpu: [Duration; 2],
}

/// Measures a run. `child` is the program that it uses, where that runs already.
struct Watch {
    start: Instant,
    cpu: [Duration; 2],
}

impl Watch {
    fn start(child: Option<&str>) -> Self {
        Self { start: Instant::now(), cpu: [cpu("self"), child.map_or(Duration::ZERO, cpu)] }
    }

    fn stop(self, child: &str) -> Took {
        let wall = self.start.elapsed();
        Took { wall, cpu: [cpu("self").saturating_sub(self.cpu[0]), cpu(child).saturating_sub(self.cpu[1])] }
    }
}

/// CPU time of a process's first thread; none where there is no `/proc`.
fn cpu(process: &str) -> Duration {
    let told = std::fs::read_to_string(format!("/proc/{process}/schedstat")).unwrap_or_default();
    Duration::from_nanos(told.split_whitespace().next().and_then(|ns| ns.parse().ok()).unwrap_or(0))
}

/// One line of the output.
fn row(what: &str, mut runs: Vec<Took>) {
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    runs.sort_unstable_by_key(|took| took.wall);
    let (middle, least) = (ms(runs[runs.len() / 2].wall), ms(runs[0].wall));
    runs.sort_unstable_by_key(|took| took.cpu[0] + took.cpu[1]);
    let [asker, program] = runs[0].cpu.map(ms);
    println!("{what:40} {middle:7.1} ms, least {least:7.1} ms; CPU {asker:5.1} + {program:5.1} ms");
}

/// A page, asked for and made a file of.
async fn page(session: &mut Session, page: u32) -> usize {
    let request = PageRequest { page, dpi: DPI, max_pixels: 4 << 20, stamps: Vec::new() };
    let drawn = session.page(&request).await.unwrap();
    assert!(!drawn.head.findings.iter().any(|finding| finding.is_incomplete()), "{:?}", drawn.head.findings);
    png(drawn.head.width, drawn.head.height, &drawn.layers[0]).unwrap().len()
}

async fn open(program: &Program, document: &[u8]) -> Session {
    program.open(Cursor::new(document.to_vec()), document.len() as u64).await.unwrap()
}

fn documents() -> [(&'static str, Vec<u8>); 4] {
    [("OFD, 1 page", ofd(1)), ("OFD, 500 pages", ofd(500)), ("PDF, 1 page", pdf(1)), ("PDF, 500 pages", pdf(500))]
}

/// The first page with a program that was not running before.
fn first(runtime: &Runtime, program: &Program) {
    for (what, document) in documents() {
        let run = |_| {
            runtime.block_on(async {
                let watch = Watch::start(None);
                let mut session = open(program, &document).await;
                page(&mut session, 1).await;
                watch.stop(&child())
            })
        };
        row(&format!("first page, cold, {what}"), (0..TIMES).map(run).collect());
    }
}

/// 500 pages one after the other: time a page, and memory on the way.
fn leaf(runtime: &Runtime, program: &Program) {
    for (what, document) in documents().into_iter().filter(|(what, _)| what.contains("500")) {
        runtime.block_on(async {
            let mut session = open(program, &document).await;
            let (mut runs, mut memory) = (Vec::new(), Vec::new());
            for number in 1..=500 {
                let watch = Watch::start(Some(&child()));
                page(&mut session, number).await;
                runs.push(watch.stop(&child()));
                if number == 50 || number == 500 {
                    memory.push(format!("{} MB and {} MB at page {number}", resident("self"), resident(&child())));
                }
            }
            row(&format!("each page, leafing, {what}"), runs);
            println!("{:40} {}", "  memory of asker and program", memory.join(", "));
        });
    }
}

/// The picture of a seal at 600 dpi with a program that was not running before.
fn seal(runtime: &Runtime, program: &Program) {
    let run = |_| {
        let watch = Watch::start(None);
        runtime.block_on(program.seal(SEAL, [40.0, 40.0], 600.0)).unwrap();
        watch.stop("")
    };
    row("seal of 40 mm, cold, SVG", (0..TIMES).map(run).collect());
}

/// The one process that this one started.
fn child() -> String {
    let id = std::process::id();
    let children = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
    children.split_whitespace().last().unwrap_or_default().to_owned()
}

/// Resident memory of a process in MB; 0 where there is no `/proc`.
fn resident(process: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or(0) / 1024
}

fn line(page: usize, line: usize) -> String {
    format!("第 {} 条 甲方向乙方采购示例设备，数量与价格见附件第 {} 页。", line + 1, page + 1)
}

fn ofd(pages: usize) -> Vec<u8> {
    let text = |page: usize, n: usize| Item::Text {
        x: 20.0,
        y: 25.0 + n as f64 * 6.0,
        size: 4.0,
        font: "宋体".into(),
        text: line(page, n),
    };
    let page =
        |page| NewPage { size: SizeMm { width: 210.0, height: 297.0 }, items: (0..LINES).map(|n| text(page, n)).collect() };
    let document = NewDocument {
        title: "采购合同".into(),
        date: "2026-11-01".into(),
        pages: (0..pages).map(page).collect(),
        images: Vec::new(),
    };
    let mut out = Vec::new();
    document.write(&mut out).unwrap();
    out
}

/// Chinese text in a font that is not embedded.
fn pdf(pages: usize) -> Vec<u8> {
    let content = |page: usize| {
        let text = |n: usize| format!("1 0 0 1 57 {:.1} Tm {}", 770.0 - n as f64 * 17.0, Cjk::shown(&line(page, n)));
        format!("BT /F 11.3 Tf {}ET", (0..LINES).map(text).collect::<String>())
    };
    Cjk::GB1.pages(&(0..pages).map(content).collect::<Vec<_>>())
}
