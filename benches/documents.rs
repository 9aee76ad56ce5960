//! Documents: judged and signed, one thread, everything in memory, no token: `cargo bench --bench documents`.
//!
//! The bytes are those of the files inside, inflated: text of our own making, which deflates well.
#![allow(clippy::unwrap_used, missing_docs, dead_code)]

#[path = "../tests/common/world.rs"]
mod world;

use std::fs;
use std::io::Cursor;
use std::path::Path;

use divan::Bencher;
use divan::counter::BytesCount;
use sealagent::pki::TrustStore;
use sealagent::pki::trust::{TrustFile, TrustRole};
use sealagent::ses::Version;
use sealagent::verify::report::Indication;
use sealagent::verify::{Context, Verifier};
use world::{World, contract};

/// Lines on a page: about 100 kB of page description.
const LINES: usize = 500;

fn main() {
    divan::main();
}

fn trust(world: &World, folder: &Path) -> TrustStore {
    world.region.write_trust_folder(folder).unwrap();
    let roles = [
        ("anchors", TrustRole::Anchor),
        ("crls", TrustRole::Crl),
        ("intermediates", TrustRole::Intermediate),
        ("makers", TrustRole::Maker),
        ("tsa", TrustRole::TimeStamp),
    ];
    let mut files = Vec::new();
    for (name, role) in roles {
        for entry in fs::read_dir(folder.join(name)).into_iter().flatten() {
            let path = entry.unwrap().path();
            files.push(TrustFile { role, name: path.display().to_string(), bytes: fs::read(&path).unwrap() });
        }
    }
    let (store, problems) = TrustStore::from_files(files);
    assert!(problems.is_empty(), "{problems:?}");
    store
}

/// Bytes of all files of a package, inflated.
fn inflated(package: &[u8]) -> u64 {
    let mut archive = zip::ZipArchive::new(Cursor::new(package)).unwrap();
    (0..archive.len()).map(|i| archive.by_index_raw(i).unwrap().size()).sum()
}

#[divan::bench(args = [1, 10, 100, 500])]
fn verify(bencher: Bencher, pages: usize) {
    let folder = tempfile::tempdir().unwrap();
    let world = World::new(&folder.path().join("region"));
    let signed = world.sign(&contract(pages, LINES), Version::V4);
    let store = trust(&world, &folder.path().join("trust"));
    let context = Context::new(&store, world::SIGNED_AT.parse().unwrap());
    bencher.counter(BytesCount::new(inflated(&signed))).bench_local(|| {
        let report = Verifier::verify(Cursor::new(&signed), &context);
        assert_eq!(report.indication, Indication::TotalPassed);
    });
}

/// The key is in memory: the signature itself is the crate `sm2`'s.
#[divan::bench(args = [1, 10, 100, 500])]
fn sign(bencher: Bencher, pages: usize) {
    let folder = tempfile::tempdir().unwrap();
    let world = World::new(&folder.path().join("region"));
    let document = contract(pages, LINES);
    bencher.counter(BytesCount::new(inflated(&document))).bench_local(|| world.sign(&document, Version::V4));
}
