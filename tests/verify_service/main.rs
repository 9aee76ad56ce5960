//! `sealauthority verify-service`: reports, limits, answers, metrics, changed trust, the end of a process, and two processes behind nginx.
//!
//! What needs a program that is not installed is *ignored*, and fails with `MUST_RUN=yes`; `scripts/setup-debian.sh --test` installs all.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[path = "../common/world.rs"]
mod world;

mod balanced;
mod client;
mod monitored;

use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::thread;
use std::time::{Duration, Instant};

use libtest_mimic::{Arguments, Failed, Trial};
use sealagent::regions::Presets;
use sealagent::ses::Version;
use sealagent::verify::{Context, Verifier};
use sealauthority::verify_service::{Limits, VerifyService, serve};
use serde_json::{Value, json};
use tempfile::TempDir;

use client::{Client, post};
use world::{World, contract, with_changed_page};

/// When everything is judged.
pub const AT: &str = "2026-11-02T09:00:00Z";

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let must_run = std::env::var_os("MUST_RUN").is_some_and(|value| value == "yes");
    let mut trials = Vec::new();
    let mut case = |name: &str, missing: bool, run: fn()| {
        let run = move || {
            run();
            Ok::<(), Failed>(())
        };
        trials.push(Trial::test(name, run).with_ignored_flag(missing && !must_run));
    };
    case("report_is_that_of_the_verifier_byte_for_byte", false, report_is_the_verifiers);
    case("wrong_requests_are_told_what_is_wrong", false, wrong_requests);
    case("file_beyond_the_limit_is_answered_413_while_it_is_still_sent", false, too_large);
    case("slow_sender_is_answered_408", false, slow_sender);
    case("request_beyond_the_places_is_answered_503_and_a_later_one_200", false, no_place);
    case("stopped_service_takes_nothing_new_and_answers_what_it_has", false, stopped);
    case("changed_trust_is_read_and_broken_trust_leaves_the_last_good_one", false, changed_trust);
    case("metrics_are_in_the_grammar_and_count_what_was_done", false, monitored::grammar);
    case("prometheus_client_reads_the_metrics", !monitored::has_parser(), monitored::by_prometheus_client);
    case("process_that_is_killed_behind_nginx_is_replaced_by_the_other", !runs("nginx", "-v"), balanced::killed);
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn runs(program: &str, argument: &str) -> bool {
    Command::new(program).arg(argument).output().is_ok_and(|output| output.status.success())
}

/// A region's trust folder, a sealed contract, and the same with another word in it.
pub struct Bench {
    pub folder: TempDir,
    pub sealed: Vec<u8>,
    pub changed: Vec<u8>,
}

impl Bench {
    pub fn make() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let world = World::new(&folder.path().join("region"));
        world.region.write_trust_folder(&folder.path().join("trust")).unwrap();
        let sealed = world.sign(&contract(1, 3), Version::V4);
        Self { folder, changed: with_changed_page(&sealed), sealed }
    }

    pub fn trust(&self) -> PathBuf {
        self.folder.path().join("trust")
    }

    /// What the verifier says by itself.
    fn judged(&self, bytes: &[u8]) -> Value {
        let (trust, _) = sealagent::trust_dir::read(&self.trust(), &Presets::none()).unwrap();
        let report = Verifier::verify(std::io::Cursor::new(bytes), &Context::new(&trust, AT.parse().unwrap()));
        serde_json::to_value(&report).unwrap()
    }

    /// A service in this process, with other limits than the usual ones.
    pub fn serve(&self, bytes: u64, requests: usize, exchange: Duration) -> Served {
        let limits = Limits { bytes, requests, exchange };
        let service = VerifyService { trust: vec![self.trust()], scratch: Some(self.folder.path().to_owned()), limits };
        let (tell_address, address) = std::sync::mpsc::channel();
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            let stop = async {
                let _ = stopped.await;
            };
            runtime.block_on(serve(service, "127.0.0.1:0".parse().unwrap(), stop, |at| tell_address.send(at).unwrap())).unwrap();
        });
        Served { address: address.recv().unwrap(), stop: Some(stop), thread: Some(thread) }
    }

    pub fn usual(&self) -> Served {
        self.serve(1 << 20, 8, Duration::from_secs(30))
    }
}

/// A service that ends with the value.
pub struct Served {
    pub address: SocketAddr,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Served {
    fn ask_to_stop(&mut self) {
        self.stop.take();
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.ask_to_stop();
        let ended = self.thread.take().unwrap().join();
        assert!(ended.is_ok() || thread::panicking(), "the service did not end well");
    }
}

fn verifications() -> String {
    format!("/v1/verifications?at={AT}")
}

fn report_is_the_verifiers() {
    let bench = Bench::make();
    let served = bench.usual();
    let mut client = Client::new(served.address);
    for (bytes, indication) in
        [(&bench.sealed, "TOTAL_PASSED"), (&bench.changed, "TOTAL_FAILED"), (&b"no document".to_vec(), "TOTAL_FAILED")]
    {
        // Several on one connection.
        let answer = client.ask(&post(&verifications(), bytes));
        assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")));
        assert_eq!(answer.json(), bench.judged(bytes));
        assert_eq!(answer.json()["indication"], indication);
        assert_eq!(answer.header("cache-control"), Some("no-store"));
    }
    let named = client.ask(&post("/v1/verifications?name=%E5%90%88%E5%90%8C.ofd", &bench.sealed));
    assert_eq!(named.status, 200, "{named:?}");
    let left: Vec<_> = std::fs::read_dir(bench.folder.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    let scratch = left.iter().find(|path| path.file_name().unwrap().to_string_lossy().starts_with("sealauthority-")).unwrap();
    assert_eq!(std::fs::read_dir(scratch).unwrap().count(), 0, "files under judgement have no name");
    let scratch = scratch.clone();
    drop(served);
    assert!(!scratch.exists());
}

fn wrong_requests() {
    let bench = Bench::make();
    let served = bench.usual();
    let good = String::from_utf8_lossy(&post("/v1/verifications", b"x")).into_owned();
    let cases = [
        (good.replace("/v1/verifications", "/v1/verifications?at=yesterday"), 400, "bad_request"),
        (good.replace("/v1/verifications", "/v1/verifications?trust=/etc"), 400, "bad_request"),
        (good.replace("application/octet-stream", "multipart/form-data"), 415, "wrong_content_type"),
        (good.replace("Content-Length", "Content-Encoding: gzip\r\nContent-Length"), 415, "wrong_content_type"),
        (good.replace("POST", "PUT"), 405, "method_not_allowed"),
        ("POST /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n".into(), 405, "method_not_allowed"),
        ("GET /v1/verifications HTTP/1.1\r\nHost: a\r\n\r\n".into(), 405, "method_not_allowed"),
        ("GET /etc/passwd HTTP/1.1\r\nHost: a\r\n\r\n".into(), 404, "not_found"),
    ];
    for (request, status, code) in cases {
        let answer = Client::new(served.address).ask(request.as_bytes());
        assert_eq!((answer.status, &answer.json()["code"]), (status, &json!(code)), "{request}");
        assert_eq!(answer.header("allow").is_some(), status == 405, "{request}");
        let id = answer.json()["requestId"].as_str().unwrap().to_owned();
        assert_eq!(answer.header("x-request-id"), Some(&*id));
    }
    // What two programs could read differently never reaches the service.
    let chunked = good
        .replace("Content-Length: 1\r\n", "Transfer-Encoding: chunked\r\n")
        .replace("\r\n\r\nx", "\r\n\r\n1\r\nx\r\n0\r\n\r\n");
    let twice = good.replace("Content-Length: 1\r\n", "Content-Length: 1\r\nContent-Length: 2\r\n");
    let long = good.replace("Host: a", &format!("Host: a\r\nX: {}", "a".repeat(20 << 10)));
    for request in [chunked, twice, long] {
        assert_eq!(Client::new(served.address).ask(request.as_bytes()).status, 400, "{:.80}", request);
    }
    let named = good.replace("Host: a", "Host: a\r\nX-Request-Id: lb-17.a_b");
    assert_eq!(Client::new(served.address).ask(named.as_bytes()).header("x-request-id"), Some("lb-17.a_b"));
    let forged = good.replace("Host: a", "Host: a\r\nX-Request-Id: a b");
    let answer = Client::new(served.address).ask(forged.as_bytes());
    assert_eq!(answer.header("x-request-id").map(str::len), Some(32), "an unfit name is replaced");
    assert_eq!(Client::new(served.address).ask(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n").body, b"ok\n");
    assert_eq!(Client::new(served.address).ask(b"HEAD /healthz HTTP/1.1\r\nHost: a\r\n\r\n").status, 200);
}

fn too_large() {
    let bench = Bench::make();
    let served = bench.usual();
    // Far more than all buffers in between hold: the answer comes although the sender does not look before it has sent everything.
    let answer = Client::new(served.address).ask(&post(&verifications(), &vec![b'x'; 32 << 20]));
    assert_eq!((answer.status, &answer.json()["code"]), (413, &json!("too_large")));
    assert_eq!(answer.json()["retryable"], json!(false));
    let at_the_limit = vec![b'x'; 1 << 20];
    assert_eq!(Client::new(served.address).ask(&post(&verifications(), &at_the_limit)).status, 200);
    let beyond = vec![b'x'; (1 << 20) + 1];
    assert_eq!(Client::new(served.address).ask(&post(&verifications(), &beyond)).status, 413);
}

fn slow_sender() {
    let bench = Bench::make();
    let served = bench.serve(1 << 20, 8, Duration::from_millis(500));
    let mut client = Client::new(served.address);
    let request = post(&verifications(), &bench.sealed);
    client.stream.write_all(&request[..request.len() - 100]).unwrap();
    let began = Instant::now();
    let answer = client.answer();
    assert_eq!((answer.status, &answer.json()["code"]), (408, &json!("timed_out")));
    assert_eq!(answer.json()["retryable"], json!(true));
    assert!(began.elapsed() < Duration::from_secs(5));
}

fn no_place() {
    let bench = Bench::make();
    let served = bench.serve(1 << 20, 1, Duration::from_secs(30));
    let request = post(&verifications(), &bench.sealed);
    let mut first = Client::new(served.address);
    first.stream.write_all(&request[..request.len() - 1]).unwrap();
    // The place is taken when the head has been read.
    let metrics = || Client::new(served.address).ask(b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n").text();
    until(|| metrics().contains("in_flight_requests 1\n"));
    let refused = Client::new(served.address).ask(&request);
    assert_eq!((refused.status, &refused.json()["code"]), (503, &json!("unavailable")));
    assert_eq!(refused.header("retry-after"), Some("1"));
    first.stream.write_all(&request[request.len() - 1..]).unwrap();
    assert_eq!(first.answer().status, 200);
    until(|| metrics().contains("in_flight_requests 0\n"));
    assert_eq!(Client::new(served.address).ask(&request).status, 200);
}

fn stopped() {
    let bench = Bench::make();
    let mut served = bench.usual();
    let request = post(&verifications(), &bench.sealed);
    let (mut busy, mut idle) = (Client::new(served.address), Client::new(served.address));
    assert_eq!(idle.ask(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n").status, 200);
    busy.stream.write_all(&request[..request.len() - 1]).unwrap();
    let metrics = || Client::new(served.address).ask(b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n").text();
    until(|| metrics().contains("in_flight_requests 1\n"));
    served.ask_to_stop();
    until(|| std::net::TcpStream::connect(served.address).is_err());
    // An idle connection is closed at once, a request that is under way is answered.
    assert_eq!(idle.stream.read(&mut [0; 16]).unwrap(), 0);
    busy.stream.write_all(&request[request.len() - 1..]).unwrap();
    let answer = busy.answer();
    assert_eq!((answer.status, &answer.json()["indication"]), (200, &json!("TOTAL_PASSED")));
    assert_eq!(busy.stream.read(&mut [0; 16]).unwrap(), 0, "and its connection ends");
}

fn changed_trust() {
    let bench = Bench::make();
    let served = bench.usual();
    let request = post(&verifications(), &bench.sealed);
    let indication = || Client::new(served.address).ask(&request).json()["indication"].clone();
    let metric = |name: &str| {
        let text = Client::new(served.address).ask(b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n").text();
        let line = text.lines().find(|line| line.starts_with(&format!("sealauthority_verify_{name} "))).unwrap();
        line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap()
    };
    assert_eq!(indication(), "TOTAL_PASSED");
    // Trust is withdrawn: the folder of anchors is emptied.
    let anchors = bench.trust().join("anchors");
    std::fs::rename(&anchors, bench.folder.path().join("aside")).unwrap();
    std::fs::create_dir(&anchors).unwrap();
    until(|| indication() == "INDETERMINATE");
    // The folder is gone altogether: what was read last stays in use, and the monitor can see that.
    std::fs::rename(bench.trust(), bench.folder.path().join("gone")).unwrap();
    until(|| metric("trust_problems_total") >= 1.0);
    assert_eq!(indication(), "INDETERMINATE");
    std::fs::rename(bench.folder.path().join("gone"), bench.trust()).unwrap();
    std::fs::remove_dir(&anchors).unwrap();
    std::fs::rename(bench.folder.path().join("aside"), &anchors).unwrap();
    until(|| indication() == "TOTAL_PASSED");
}

/// Waits until something is so.
pub fn until(mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < Duration::from_secs(60), "it did not come to that");
        thread::sleep(Duration::from_millis(20));
    }
}

/// A program that cargo built beside the agent.
pub fn program(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_BIN_EXE_sealagent")).with_file_name(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    assert!(path.is_file(), "cargo build --workspace --bins makes {name}");
    path
}
