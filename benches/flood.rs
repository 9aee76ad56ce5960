//! What an honest page notices of ten thousand connections of a hostile one: `cargo bench --bench flood`.
//!
//! The flood is a process of its own (this program, started once more), so that the memory that is printed is the agent's: it opens
//! [`CONNECTIONS`] at once and then a thousand a second, each idle, with half a head, or with a whole request of another origin, and
//! closes none by itself. Printed, never asserted; `http_api::a06_*` asserts what does not depend on the machine.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, dead_code)]

#[path = "../tests/common/rig.rs"]
mod rig;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rig::{PIN, Rig, document};
use sealagent::consent::Origin;
use sealagent::consent::scripted::Reply;
use serde_json::json;

const CONNECTIONS: usize = 10_000;
/// Three times, to warm up, alone and in the flood. Each page asks less than twenty times a minute, so twenty pages ask.
const SIGNATURES: usize = 80;
const PAGES: usize = 20;
const PORT: &str = "SEALAGENT_FLOOD_PORT";

fn main() {
    if let Ok(port) = std::env::var(PORT) {
        return flood(port.parse().unwrap());
    }
    let pages: Vec<String> = (0..PAGES).map(|n| format!("https://sign{n}.example")).collect();
    let rig = Rig::with(
        |_| Reply::Approve(PIN),
        |config| config.http.origins.extend(pages.iter().map(|page| Origin::parse(page).unwrap())),
    );
    let contract = document(1);
    let mut turns = pages.iter().cycle();
    let mut measure = || {
        let mut taken: Vec<Duration> = (0..SIGNATURES)
            .map(|_| {
                let page = turns.next().unwrap();
                let start = Instant::now();
                seal(&rig, page, &contract);
                start.elapsed()
            })
            .collect();
        taken.sort();
        [taken[SIGNATURES / 2], taken[SIGNATURES * 99 / 100]]
    };
    measure();
    let (alone, before) = (measure(), memory("VmRSS"));

    let mut hostile = Command::new(std::env::current_exe().unwrap())
        .env(PORT, rig.port.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(hostile.stdout.take().unwrap());
    let mut line = String::new();
    said.read_line(&mut line).unwrap();
    let flooded = measure();
    drop(hostile.stdin.take());
    let mut rest = String::new();
    said.read_to_string(&mut rest).unwrap();
    hostile.wait().unwrap();

    println!("one signature, {SIGNATURES} times {:>31} {:>10}", "p50", "p99");
    row("alone", alone);
    row("during the flood", flooded);
    row("added by the flood", [flooded[0].saturating_sub(alone[0]), flooded[1].saturating_sub(alone[1])]);
    println!("connections opened: {} at once, {} in all", line.trim(), rest.trim());
    println!("memory of the agent: {before} KiB before, {} KiB after, {} KiB at most", memory("VmRSS"), memory("VmHWM"));
}

/// Opens connections until standard input ends; says how many there were at first, and in all.
fn flood(port: u16) {
    let done = thread::spawn(|| std::io::stdin().read_to_end(&mut Vec::new()).unwrap());
    let mut open = std::collections::VecDeque::new();
    let mut count = 0;
    let mut one = || {
        // Refused where the system's own queue is full: the flood goes on.
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { return count };
        let _ = match count % 3 {
            0 => Ok(()),
            1 => stream.write_all(b"GET /v1/info HTTP/1.1\r\nHost: "),
            _ => write!(stream, "GET /v1/seals HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nOrigin: https://evil.example\r\n\r\n"),
        };
        open.push_back(stream);
        if open.len() > CONNECTIONS {
            open.pop_front();
        }
        count += 1;
        count
    };
    while one() < CONNECTIONS {}
    println!("{CONNECTIONS}");
    let mut total = CONNECTIONS;
    while !done.is_finished() {
        for _ in 0..50 {
            total = one();
        }
        thread::sleep(Duration::from_millis(50));
    }
    println!("{total}");
}

/// What a page does: upload, ask, wait, delete.
fn seal(rig: &Rig, page: &str, contract: &[u8]) {
    let origin = ("Origin", page);
    let uploaded = rig.send("POST", "/v1/documents?name=a.ofd", &[origin, ("Content-Type", "application/ofd")], contract);
    let document = uploaded.json()["documentId"].as_str().unwrap().to_owned();
    let stamp = json!({"kind": "page", "pages": [1], "x": 100.0, "y": 100.0});
    let items = json!({"items": [{"documentId": document, "seal": rig.seal.es_id(), "stamp": stamp}]});
    let begun = rig.send("POST", "/v1/signatures", &[origin, ("Content-Type", "application/json")], items.to_string().as_bytes());
    let request = begun.json()["signatureId"].as_str().unwrap().to_owned();
    let mut state = json!("waiting");
    while state == "waiting" || state == "signing" {
        state = rig.send("GET", &format!("/v1/signatures/{request}?wait=20"), &[origin], b"").json()["state"].clone();
    }
    assert_eq!(state, "done");
    for path in [format!("/v1/signatures/{request}"), format!("/v1/documents/{document}")] {
        rig.send("DELETE", &path, &[origin], b"");
    }
}

fn row(what: &str, [p50, p99]: [Duration; 2]) {
    println!("{what:40} {:7.2} ms {:7.2} ms", p50.as_secs_f64() * 1e3, p99.as_secs_f64() * 1e3);
}

/// A line of this process's status, in KiB.
fn memory(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).unwrap_or("0");
    line.split_whitespace().next().and_then(|n| n.parse().ok()).unwrap_or(0)
}
