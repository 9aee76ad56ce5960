//! An agent on a free port, with a virtual token behind a real worker, a scripted person and a clock that stands still.

#![allow(dead_code, reason = "several tests share it, and each uses its part")]

#[path = "contract.rs"]
pub mod contract;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use sealagent::agent::{Agent, Means};
use sealagent::config::{Config, Driver, DriverKind, Places};
use sealagent::consent::Origin;
use sealagent::consent::prompt::Prompter;
use sealagent::consent::scripted::{Reply, Scripted};
use sealagent::consent::summary::Summary;
use sealagent::http::{App, Listener};
use sealagent::ofd::write::{Item, NewDocument, NewPage};
use sealagent::preview::Program;
use sealagent::ses::{CertList, Picture, PictureFormat, Seal, SealDraft, Version};
use sealagent::stamp::SizeMm;
use sealagent::workers::Timing;
use sealauthority::{CertificateProfile, CertificationRequest, KeyProtection, Name, Region, RegionNames};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use ukey::{KeyId, KeyUsage, Pin};
use ukey_virtual::{Token, TokenOptions};

/// The right PIN. Long and odd enough that finding it anywhere is no accident.
pub const PIN: &str = "738261904517";
/// Tries of a fresh token.
pub const TRIES: u32 = 6;
/// The page that is allowed.
pub const ORIGIN: &str = "https://sign.example";
/// When the tests play, in seconds: 2026-11-24T06:00:00Z.
pub const NOW: i64 = 1_795_500_000;

/// Company, region, token, agent.
pub struct Rig {
    /// Everything that is on the disk.
    pub dir: TempDir,
    /// The token.
    pub token: Token,
    /// Its key.
    pub key: KeyId,
    /// The seal on it.
    pub seal: Seal,
    /// The region that made it.
    pub region: Region,
    /// The person.
    pub person: Scripted,
    /// The routes.
    pub app: Arc<App>,
    /// Runs the agent.
    pub runtime: Runtime,
    /// The port.
    pub port: u16,
    clock: Arc<AtomicI64>,
    agent: Option<Agent>,
    stop: Option<oneshot::Sender<()>>,
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// Status code.
    pub status: u16,
    /// Status line and headers, as sent.
    pub head: String,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// The body as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {}{}", self.head, String::from_utf8_lossy(&self.body)))
    }

    /// A header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (n, value) = line.split_once(':')?;
            n.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }
}

/// A program beside the agent that cargo built for the tests.
pub fn sibling(name: &str) -> PathBuf {
    let name = format!("{name}{}", std::env::consts::EXE_SUFFIX);
    let program = Path::new(env!("CARGO_BIN_EXE_sealagent")).with_file_name(name);
    assert!(program.is_file(), "run: cargo build --workspace --bins");
    program
}

/// A document of so many A4 pages.
pub fn document(pages: usize) -> Vec<u8> {
    let text =
        |n: usize| Item::Text { x: 20.0, y: 30.0, size: 6.0, font: "宋体".into(), text: format!("采购合同 第 {n} 页") };
    let page = |n| NewPage { size: SizeMm { width: 210.0, height: 297.0 }, items: vec![text(n)] };
    let mut bytes = Vec::new();
    let new = NewDocument {
        title: "采购合同".into(),
        date: "2026-11-24".into(),
        pages: (1..=pages).map(page).collect(),
        images: Vec::new(),
    };
    new.write(&mut bytes).unwrap();
    bytes
}

/// The smallest PNG there is: one red pixel.
fn picture() -> Picture {
    const PNG: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC";
    let data = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, PNG).unwrap();
    Picture { kind: "png".into(), format: PictureFormat::Png, data, width_mm: 40, height_mm: 40 }
}

impl Rig {
    /// An agent whose person says yes to everything, with the right PIN.
    pub fn new() -> Self {
        Self::with(|_| Reply::Approve(PIN), |_| {})
    }

    /// An agent whose person answers by `script`, configured by `configure`.
    pub fn with(script: impl Fn(&Summary) -> Reply + Send + Sync + 'static, configure: impl FnOnce(&mut Config)) -> Self {
        Self::with_preview(script, configure, None)
    }

    /// The same, with a program that draws pages.
    pub fn with_preview(
        script: impl Fn(&Summary) -> Reply + Send + Sync + 'static,
        configure: impl FnOnce(&mut Config),
        preview: Option<Program>,
    ) -> Self {
        Self::with_programs(script, configure, preview, |_| sibling("sealagent-worker"))
    }

    /// The same, with the worker that `worker` makes for the rig's folder.
    pub fn with_programs(
        script: impl Fn(&Summary) -> Reply + Send + Sync + 'static,
        configure: impl FnOnce(&mut Config),
        preview: Option<Program>,
        worker: impl FnOnce(&Path) -> PathBuf,
    ) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let places = Places { data: dir.path().join("data"), state: dir.path().join("state") };
        let issued = at(NOW - 86_400);
        let names = RegionNames { id: "shenzhen".into(), name: "深圳".into(), division: "440300".into() };
        let mut region = Region::init(&dir.path().join("region"), &names, &KeyProtection::PlainForPilot, issued).unwrap();
        let (token, key, seal) = company(&mut region, &dir.path().join("tokens"));
        region.write_trust_folder(&places.trust()).unwrap();

        let mut config = Config::empty(places);
        config.http.port = Some(0);
        config.http.origins.insert(Origin::parse(ORIGIN).unwrap());
        let folder = dir.path().join("tokens");
        config.drivers.push(Driver { kind: DriverKind::Virtual, library: Some(folder), profile: None, sha256: None });
        configure(&mut config);

        let person = Scripted::new(script);
        let clock = Arc::new(AtomicI64::new(NOW));
        let shown = clock.clone();
        let deadline = Duration::from_secs(5);
        let means = Means {
            prompter: Prompter::Scripted(person.clone()),
            clock: Arc::new(move || at(shown.load(Ordering::SeqCst))),
            worker: worker(dir.path()),
            preview,
            timing: Timing {
                pauses: vec![Duration::from_millis(50)],
                failure_limit: 100,
                login: deadline,
                sign: deadline,
                ..Timing::default()
            },
            faults: true,
        };
        let runtime = Runtime::new().unwrap();
        let (agent, app, port, stop) = runtime.block_on(async {
            let listener = Listener::bind(config.http.port).await.unwrap();
            let port = listener.port();
            let agent = Agent::start(config, means).unwrap();
            let app = Arc::new(App::new(agent.signer.clone(), port));
            let (stop, stopped) = oneshot::channel();
            tokio::spawn(listener.serve(app.clone(), async { drop(stopped.await) }));
            (agent, app, port, stop)
        });
        Self { dir, token, key, seal, region, person, app, runtime, port, clock, agent: Some(agent), stop: Some(stop) }
    }

    /// Moves the clock.
    pub fn set_clock(&self, seconds: i64) {
        self.clock.store(seconds, Ordering::SeqCst);
    }

    /// Tries left on the token.
    pub fn tries_left(&self) -> u32 {
        self.token.pin_status().unwrap().tries_left.unwrap()
    }

    /// Sends bytes on a connection of its own and returns all that comes back until it is closed.
    pub fn raw(&self, bytes: &[u8]) -> Vec<u8> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(40))).unwrap();
        // A server that has refused may close before everything is written.
        let _ = stream.write_all(bytes);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        answer
    }

    /// One request with exactly these headers beside `Host` and `Content-Length`. The answer must be one that the contract has.
    pub fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut request = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n");
        if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            request += &format!("Host: 127.0.0.1:{}\r\n", self.port);
        }
        for (name, value) in headers {
            request += &format!("{name}: {value}\r\n");
        }
        if !body.is_empty() && !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-length")) {
            request += &format!("Content-Length: {}\r\n", body.len());
        }
        request += "\r\n";
        let answer = parse(&self.raw(&[request.as_bytes(), body].concat()));
        if answer.status != 0 {
            contract::check(method, path, answer.status, answer.header("content-type"), &answer.body);
        }
        answer
    }

    /// `GET` of the allowed page.
    pub fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[("Origin", ORIGIN)], b"")
    }

    /// `POST` of JSON by the allowed page.
    pub fn post(&self, path: &str, body: &serde_json::Value) -> Answer {
        self.send("POST", path, &[("Origin", ORIGIN), ("Content-Type", "application/json")], body.to_string().as_bytes())
    }

    /// Hands a document over as the allowed page and returns its id.
    pub fn upload(&self, bytes: &[u8]) -> String {
        let answer =
            self.send("POST", "/v1/documents?name=a.ofd", &[("Origin", ORIGIN), ("Content-Type", "application/ofd")], bytes);
        assert_eq!(answer.status, 201, "{answer:?}");
        answer.json()["documentId"].as_str().unwrap().to_owned()
    }

    /// Asks for one seal on page 1.
    pub fn try_ask(&self, document: &str) -> Answer {
        let stamp = serde_json::json!({"kind": "page", "pages": [1], "x": 100.0, "y": 100.0});
        let item = serde_json::json!({"documentId": document, "seal": self.seal.es_id(), "stamp": stamp});
        self.post("/v1/signatures", &serde_json::json!({"items": [item]}))
    }

    /// Asks for one seal on page 1 and returns the request's id.
    pub fn ask(&self, document: &str) -> String {
        let answer = self.try_ask(document);
        assert_eq!(answer.status, 202, "{answer:?}");
        answer.json()["signatureId"].as_str().unwrap().to_owned()
    }

    /// Waits for the end of a request and returns its last state.
    pub fn wait(&self, id: &str) -> serde_json::Value {
        for _ in 0..10 {
            let status = self.get(&format!("/v1/signatures/{id}?wait=20")).json();
            if !matches!(status["state"].as_str(), Some("waiting" | "signing")) {
                return status;
            }
        }
        panic!("the request {id} does not end");
    }

    /// The record's lines.
    pub fn record(&self) -> Vec<serde_json::Value> {
        let mut out = Vec::new();
        self.app.signer.audit.export(&mut out).unwrap();
        String::from_utf8(out).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// What happened, by the record.
    pub fn events(&self) -> Vec<String> {
        self.record().iter().map(|line| line["event"].as_str().unwrap().to_owned()).collect()
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(agent) = self.agent.take() {
            self.runtime.block_on(agent.shut_down());
        }
    }
}

/// A moment.
pub fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap()
}

/// A token with key, certificate and seal of a company.
pub fn company(region: &mut Region, tokens: &Path) -> (Token, KeyId, Seal) {
    let pin = Pin::new(PIN.as_bytes().to_vec()).unwrap();
    let token = Token::create(tokens, "公章", &pin, TokenOptions { max_tries: TRIES, ..TokenOptions::default() }).unwrap();
    let mut unlocked = token.login(&pin).unwrap();
    let (key, public_key) = unlocked.generate_key(KeyUsage::Signing).unwrap();
    let code = region.next_seal_code().unwrap();
    let subject = Name::seal_owner("91110108756730417W", "深圳市某某科技有限公司", &code);
    let info = CertificationRequest::to_be_signed(&public_key, &subject).unwrap();
    let signature = unlocked.sign_message(&key, &info).unwrap();
    let request = CertificationRequest::read(&CertificationRequest::assemble(&info, &signature)).unwrap();
    let issued = at(NOW - 86_400);
    let certificate =
        region.issue(CertificateProfile::CompanySigning, request.subject(), request.public_key(), issued, 365).unwrap();
    token.put_certificate(&key, &certificate).unwrap();
    let seal = region.make_seal(&draft(&code, vec![certificate], 0, 365), Version::V4).unwrap();
    token.put_seal(seal.raw()).unwrap();
    (token, key, seal)
}

/// A seal of that code, valid from and to so many days after yesterday.
pub fn draft(code: &str, certificates: Vec<Vec<u8>>, from: i64, to: i64) -> SealDraft {
    let day = |n: i64| at(NOW - 86_400 + n * 86_400);
    SealDraft {
        es_id: code.into(),
        vid: "sealagent".into(),
        kind: 1,
        name: "深圳市某某科技有限公司合同专用章".into(),
        cert_list: CertList::Certificates(certificates),
        created: day(0),
        valid_from: day(from),
        valid_to: day(to),
        picture: picture(),
        extensions: Vec::new(),
    }
}

/// Takes an answer apart.
pub fn parse(bytes: &[u8]) -> Answer {
    let end = bytes.windows(4).position(|w| w == b"\r\n\r\n").map_or(bytes.len(), |n| n + 4);
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let status = head.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or(0);
    Answer { status, head, body: bytes[end..].to_vec() }
}
