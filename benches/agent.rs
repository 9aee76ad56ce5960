//! What the agent adds to one signature, how fast it is there, and what it weighs: `cargo bench --bench agent`.
//!
//! Whole requests are timed (upload and wait included), one after the other, against the token's own login and signature in the same
//! run; the differences of the percentiles are what a person waits for because of us. Printed, never asserted: machines are noisy.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, dead_code)]

#[path = "../tests/common/rig.rs"]
mod rig;

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rig::{PIN, Rig, document};
use sealagent::consent::Origin;
use sealagent::consent::scripted::Reply;
use ukey::Pin;

/// The one before the counted ones included, each page asks less than twenty times.
const SIGNATURES: usize = 180;
const PAGES: usize = 10;
const STARTS: usize = 20;

fn main() {
    latency();
    start_and_weight();
}

fn latency() {
    // One page may ask twenty times a minute, so ten pages ask.
    let pages: Vec<String> = (0..PAGES).map(|n| format!("https://sign{n}.example")).collect();
    let rig = Rig::with(
        |_| Reply::Approve(PIN),
        |config| config.http.origins.extend(pages.iter().map(|page| Origin::parse(page).unwrap())),
    );
    let contract = document(1);
    let token = percentiles(SIGNATURES, || {
        let mut unlocked = rig.token.login(&Pin::new(PIN.as_bytes().to_vec()).unwrap()).unwrap();
        unlocked.sign_message(&rig.key, &contract).unwrap();
    });
    let mut turns = pages.iter().cycle();
    let whole = percentiles(SIGNATURES, || seal(&rig, turns.next().unwrap(), &contract));
    println!("one signature, {SIGNATURES} times {:>31} {:>10}", "p50", "p99");
    row("token alone (login + sign)", token);
    row("through HTTP, from upload to done", whole);
    row("added by the agent", [whole[0].saturating_sub(token[0]), whole[1].saturating_sub(token[1])]);
}

/// What a page does: upload, ask, wait, delete.
fn seal(rig: &Rig, page: &str, contract: &[u8]) {
    let origin = ("Origin", page);
    let uploaded = rig.send("POST", "/v1/documents?name=a.ofd", &[origin, ("Content-Type", "application/ofd")], contract);
    let document = uploaded.json()["documentId"].as_str().unwrap().to_owned();
    let stamp = serde_json::json!({"kind": "page", "pages": [1], "x": 100.0, "y": 100.0});
    let items = serde_json::json!({"items": [{"documentId": document, "seal": rig.seal.es_id(), "stamp": stamp}]});
    let begun = rig.send("POST", "/v1/signatures", &[origin, ("Content-Type", "application/json")], items.to_string().as_bytes());
    let request = begun.json()["signatureId"].as_str().unwrap().to_owned();
    loop {
        let status = rig.send("GET", &format!("/v1/signatures/{request}?wait=20"), &[origin], b"").json();
        match status["state"].as_str() {
            Some("done") => break,
            Some("waiting" | "signing") => {}
            _ => panic!("{status}"),
        }
    }
    for path in [format!("/v1/signatures/{request}"), format!("/v1/documents/{document}")] {
        rig.send("DELETE", &path, &[origin], b"");
    }
}

fn row(what: &str, [p50, p99]: [Duration; 2]) {
    println!("{what:40} {:7.2} ms {:7.2} ms", p50.as_secs_f64() * 1e3, p99.as_secs_f64() * 1e3);
}

fn percentiles(times: usize, mut run: impl FnMut()) -> [Duration; 2] {
    run();
    let mut taken: Vec<Duration> = (0..times)
        .map(|_| {
            let start = Instant::now();
            run();
            start.elapsed()
        })
        .collect();
    taken.sort();
    [taken[times / 2], taken[times * 99 / 100]]
}

/// The program as it is installed: started with an empty configuration on a free port, asked once, looked at, stopped.
fn start_and_weight() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("config.toml");
    let places = format!("[places]\ndata = {:?}\nstate = {:?}\n", folder.path().join("data"), folder.path().join("state"));
    fs::write(&config, format!("[http]\nport = 0\norigins = [\"https://sign.example\"]\n{places}")).unwrap();
    let mut resident = 0;
    let taken = percentiles(STARTS, || {
        let mut agent = Command::new(env!("CARGO_BIN_EXE_sealagent"))
            .args(["run", "--config"])
            .arg(&config)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(agent.stdout.take().unwrap());
        let mut line = String::new();
        while !line.contains("127.0.0.1:") {
            line.clear();
            assert!(said.read_line(&mut line).unwrap() > 0, "the agent did not say where it listens");
        }
        let port = line.split("127.0.0.1:").nth(1).unwrap().chars().take_while(char::is_ascii_digit).collect::<String>();
        let mut stream = TcpStream::connect(format!("127.0.0.1:{port}")).unwrap();
        write!(
            stream,
            "GET /v1/info HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nOrigin: https://sign.example\r\nConnection: close\r\n\r\n"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        resident = resident_kib(agent.id());
        agent.kill().unwrap();
        agent.wait().unwrap();
    });
    println!("\nstart to the first answered /v1/info, {STARTS} times");
    row("process start, answer, process end", taken);
    println!("{:40} {:7.1} MB", "resident memory when idle", resident as f64 / 1024.0);
}

fn resident_kib(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or("0");
    line.split_whitespace().next().and_then(|n| n.parse().ok()).unwrap_or(0)
}
