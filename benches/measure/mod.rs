//! What the benches share: CPU time, documents, a trust store.

use std::fs;
use std::path::Path;

use sealagent::ofd::write::{Item, NewDocument, NewImage, NewPage};
use sealagent::pki::TrustStore;
use sealagent::stamp::{RectMm, SizeMm};

use crate::world::World;

/// Seconds of this thread's CPU that `run` takes: the least of so many runs, after one that does not count.
pub fn cpu<T>(times: usize, mut run: impl FnMut() -> T) -> f64 {
    let mut least = f64::INFINITY;
    for _ in 0..=times {
        let start = now();
        drop(run());
        least = least.min(now() - start);
    }
    least
}

#[cfg(unix)]
fn now() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// The clock on the wall: Windows counts a thread's CPU in ticks of 15 ms.
#[cfg(windows)]
fn now() -> f64 {
    static START: std::sync::LazyLock<std::time::Instant> = std::sync::LazyLock::new(std::time::Instant::now);
    START.elapsed().as_secs_f64()
}

/// One line of the output.
pub fn row(what: &str, seconds: f64) {
    println!("{what:40} {:10.3} ms CPU", seconds * 1e3);
}

/// The same work in several sizes.
pub struct Growth {
    what: &'static str,
    last: Option<(usize, f64)>,
}

impl Growth {
    pub fn new(what: &'static str) -> Self {
        Self { what, last: None }
    }

    /// Prints the next size, with the cost of each further one and the exponent since the size before.
    pub fn add(&mut self, size: usize, seconds: f64) {
        let grown = self.last.map_or(String::new(), |(before, took)| {
            let each = (seconds - took) / (size - before) as f64 * 1e6;
            let exponent = (seconds / took).ln() / (size as f64 / before as f64).ln();
            format!(" {each:9.1} µs each more, exponent {exponent:.2}")
        });
        println!("{:32} {size:6} {:10.3} ms CPU{grown}", self.what, seconds * 1e3);
        self.last = Some((size, seconds));
    }
}

/// A trust store for what `world` signs, out of files in `folder`.
pub fn trust(world: &World, folder: &Path) -> TrustStore {
    world.region.write_trust_folder(folder).unwrap();
    let (store, problems) = sealagent::trust_dir::read(folder, &sealagent::regions::Presets::none()).unwrap();
    assert!(problems.is_empty(), "{problems:?}");
    store
}

/// The same bytes each time, which nothing deflates.
fn noise() -> impl Iterator<Item = u8> {
    let mut state = 1u64;
    std::iter::repeat_with(move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    })
    .flatten()
}

/// A PNG of so many pixels each way, three bytes each.
pub fn picture(side: u32) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, side, side);
    encoder.set_color(png::ColorType::Rgb);
    let pixels: Vec<u8> = noise().take((side * side * 3) as usize).collect();
    encoder.write_header().unwrap().write_image_data(&pixels).unwrap();
    file
}

/// Pages of text with one picture each, whose bytes do not deflate, as of a scanner's photograph.
pub fn scanned(pages: usize, lines: usize, picture: usize) -> Vec<u8> {
    let mut noise = noise();
    let images = (0..pages).map(|_| {
        let mut bytes = b"\xff\xd8\xff\xe0".to_vec();
        bytes.extend(noise.by_ref().take(picture));
        NewImage { format: "JPG".into(), bytes }
    });
    let images = images.collect();
    let page = |n: usize| {
        let line = |i: usize| Item::Text {
            x: 20.0,
            y: 30.0 + i as f64 * 3.0,
            size: 3.0,
            font: "宋体".into(),
            text: format!("第 {} 页第 {i} 行 甲方向乙方采购示例设备，数量与价格见附件。", n + 1),
        };
        let picture = Item::Image { image: n, rect: RectMm { x: 20.0, y: 20.0, width: 100.0, height: 100.0 } };
        NewPage { size: SizeMm { width: 210.0, height: 297.0 }, items: (0..lines).map(line).chain([picture]).collect() }
    };
    let document =
        NewDocument { title: "扫描件".into(), date: "2026-11-01".into(), pages: (0..pages).map(page).collect(), images };
    let mut out = Vec::new();
    document.write(&mut out).unwrap();
    out
}

/// Writes a file and says so when it cannot.
pub fn write(path: &Path, bytes: &[u8]) {
    fs::write(path, bytes).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}
