//! Attack item 36, where the PIN has to pass: every byte between agent and worker is kept and looked through, and the worker's memory
//! after the signature. (Logs, answers and files: `http_api::a36_*`; the prompt's memory and core: `window`.)
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common {
    pub mod rig;
}

use std::fs;
use std::os::unix::fs::{FileExt as _, PermissionsExt as _};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use common::rig::{PIN, Rig, document, sibling};
use sealagent::consent::scripted::Reply;
use serde_json::Value;

/// How long what comes after the answer may take, on a machine that has much else to do.
const PATIENCE: Duration = Duration::from_secs(20);

fn count(bytes: &[u8], needle: &[u8]) -> usize {
    bytes.windows(needle.len()).filter(|window| window == &needle).count()
}

/// Headers and secret trailers of a dump (`ukey::wire`), read here by hand: our own reader is what is judged. `None` when its last frame
/// is not all there.
fn frames(mut dump: &[u8]) -> Option<Vec<(Value, &[u8])>> {
    let mut out = Vec::new();
    while !dump.is_empty() {
        let length = |at: usize| Some(u32::from_le_bytes(dump.get(at..at + 4)?.try_into().unwrap()) as usize);
        let (header, secret) = (length(0)?, length(4)?);
        let (frame, rest) = dump[8..].split_at_checked(header + secret)?;
        out.push((serde_json::from_slice(&frame[..header]).unwrap(), &frame[header..]));
        dump = rest;
    }
    Some(out)
}

/// A dump of whole frames, one of them of this kind. `tee` passes bytes on before it keeps them.
fn dump(file: &Path, kind: &str) -> Vec<u8> {
    let until = Instant::now() + PATIENCE;
    loop {
        let bytes = fs::read(file).unwrap();
        if frames(&bytes).is_some_and(|frames| frames.iter().any(|(header, _)| header["kind"] == kind)) {
            return bytes;
        }
        assert!(Instant::now() < until, "no {kind} in {}", file.display());
        thread::sleep(Duration::from_millis(50));
    }
}

fn sign(rig: &Rig) {
    let id = rig.upload(&document(1));
    let request = rig.ask(&id);
    assert_eq!(rig.wait(&request)["state"], "done");
}

#[test]
fn a36_a_dump_of_the_frames_holds_the_pin_once_and_as_the_secret_of_one_login() {
    let rig = Rig::with_programs(
        |_| Reply::Approve(PIN),
        |_| {},
        None,
        |folder| {
            let tapped = folder.join("tapped-worker");
            let (asked, said, worker) = (folder.join("asked"), folder.join("said"), sibling("sealagent-worker"));
            let script = format!(
                "#!/bin/sh\ntee -a '{}' | '{}' \"$@\" | tee -a '{}'\n",
                asked.display(),
                worker.display(),
                said.display()
            );
            fs::write(&tapped, script).unwrap();
            fs::set_permissions(&tapped, fs::Permissions::from_mode(0o700)).unwrap();
            tapped
        },
    );
    sign(&rig);
    let (asked, said) = (dump(&rig.dir.path().join("asked"), "sign"), dump(&rig.dir.path().join("said"), "signed"));
    let (questions, answers) = (frames(&asked).unwrap(), frames(&said).unwrap());
    let with_secret: Vec<_> = questions.into_iter().filter(|(_, secret)| !secret.is_empty()).collect();
    let [(header, secret)] = &with_secret[..] else { panic!("{} frames carry a secret", with_secret.len()) };
    assert_eq!((&header["kind"], *secret), (&Value::from("sign"), PIN.as_bytes()));
    assert_eq!(count(&asked, PIN.as_bytes()), 1);
    assert!(answers.iter().all(|(_, secret)| secret.is_empty()));
    assert_eq!(count(&said, PIN.as_bytes()), 0);
}

/// Programs that this process has started, by name.
fn children(name: &str) -> Vec<u32> {
    let mut out = Vec::new();
    for task in fs::read_dir("/proc/self/task").unwrap() {
        let listed = fs::read_to_string(task.unwrap().path().join("children")).unwrap_or_default();
        let is_named = |pid: &u32| fs::read_to_string(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.contains(name));
        out.extend(listed.split_whitespace().filter_map(|pid| pid.parse().ok()).filter(is_named));
    }
    out
}

/// How often `needle` is in what a process may write to. Its memory belongs to root, whoever runs it.
fn in_memory(pid: u32, needle: &[u8]) -> usize {
    let memory = fs::File::open(format!("/proc/{pid}/mem")).expect("root alone reads a worker's memory: run as root");
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let ranges = maps.lines().filter(|line| line.contains(" rw")).filter_map(|line| line.split(' ').next()?.split_once('-'));
    let mut read = 0;
    let copies = ranges
        .filter_map(|(start, end)| Some((u64::from_str_radix(start, 16).ok()?, u64::from_str_radix(end, 16).ok()?)))
        .map(|(start, end)| {
            let mut bytes = vec![0; usize::try_from(end - start).unwrap()];
            if memory.read_exact_at(&mut bytes, start).is_err() {
                return 0;
            }
            read += bytes.len();
            count(&bytes, needle)
        })
        .sum();
    assert!(read > 100_000, "{read} bytes of {pid} were read");
    copies
}

#[test]
fn a36_after_a_signature_the_worker_keeps_no_copy_of_the_pin() {
    let rig = Rig::new();
    sign(&rig);
    let workers = children("sealagent-worker");
    assert_eq!(workers.len(), 1, "{workers:?}");
    // What must be found proves that the search finds: the worker's own command line names the folder of the tokens.
    let folder = Path::new(rig.dir.path()).file_name().unwrap().to_str().unwrap();
    assert!(in_memory(workers[0], folder.as_bytes()) > 0);
    // The answer is out before the worker has logged out.
    let until = Instant::now() + PATIENCE;
    while in_memory(workers[0], PIN.as_bytes()) > 0 {
        assert!(Instant::now() < until, "the PIN is still in the worker's memory");
        thread::sleep(Duration::from_millis(50));
    }
}
