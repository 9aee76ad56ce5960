//! Pairing over HTTP: who may begin, what the person sees, what the key proves, and how it ends. Numbers are those of the list of
//! attacks.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common {
    pub mod rig;
}

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};

use common::rig::{Answer, NOW, ORIGIN, Rig, document};
use sealagent::consent::Origin;
use sealagent::consent::pairing::PairingAnswer;
use sealagent::consent::scripted::Reply;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

const SITE: &str = "https://new.example";
const OTHER: &str = "https://other.example";

/// What a page keeps of a pairing.
struct Page {
    origin: &'static str,
    id: String,
    key: Vec<u8>,
    run: String,
    number: u64,
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn mac(key: &[u8], lines: &[&str]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(lines.join("\n").as_bytes());
    hex(&mac.finalize().into_bytes())
}

fn begin(rig: &Rig, origin: &str) -> Answer {
    let headers = [("Origin", origin), ("Content-Type", "application/json")];
    rig.send("POST", "/v1/pairings", &headers, r#"{"label":"政务服务网"}"#.as_bytes())
}

fn ask(rig: &Rig, origin: &str, path: &str) -> Answer {
    rig.send("GET", path, &[("Origin", origin)], b"")
}

/// Begins a pairing and returns its id and code.
fn begun(rig: &Rig, origin: &str) -> (String, String) {
    let answer = begin(rig, origin);
    assert_eq!(answer.status, 202, "{answer:?}");
    let text = |key: &str| answer.json()[key].as_str().unwrap().to_owned();
    (text("pairingId"), text("code"))
}

fn end(rig: &Rig, origin: &str, id: &str) -> Value {
    ask(rig, origin, &format!("/v1/pairings/{id}?wait=20")).json()
}

impl Page {
    fn pair(rig: &Rig, origin: &'static str, answer: PairingAnswer) -> Self {
        rig.person.on_pairing(move |_| Some(answer));
        let (id, _) = begun(rig, origin);
        let granted = end(rig, origin, &id);
        assert_eq!(granted["state"], "granted", "{granted}");
        let mut page = Self {
            origin,
            id: granted["id"].as_str().unwrap().to_owned(),
            key: URL_SAFE_NO_PAD.decode(granted["key"].as_str().unwrap()).unwrap(),
            run: String::new(),
            number: 0,
        };
        page.run = page.greet(rig)["run"].as_str().unwrap().to_owned();
        page
    }

    fn greet(&self, rig: &Rig) -> Value {
        ask(rig, self.origin, &format!("/v1/info?challenge=abc123&pairing={}", self.id)).json()
    }

    fn credential(&mut self, method: &str, path: &str, json: Option<&[u8]>) -> String {
        self.number += 1;
        let digest = json.map(|json| hex(&Sha256::digest(json))).unwrap_or_default();
        let number = self.number.to_string();
        let proof = mac(&self.key, &["SealAgent-request-1", &self.run, method, path, &number, &digest]);
        format!("SealAgent id={}, n={number}, mac={proof}", self.id)
    }

    fn get(&mut self, rig: &Rig, path: &str) -> Answer {
        let credential = self.credential("GET", path, None);
        rig.send("GET", path, &[("Origin", self.origin), ("Authorization", &credential)], b"")
    }
}

#[test]
fn a_paired_page_signs_with_proved_calls() {
    let rig = Rig::new();
    let mut page = Page::pair(&rig, SITE, PairingAnswer::Always);
    assert_eq!(page.get(&rig, "/v1/seals").json().as_array().unwrap().len(), 1);
    let path = "/v1/documents?name=a.ofd";
    let credential = page.credential("POST", path, None);
    let headers = [("Origin", SITE), ("Content-Type", "application/ofd"), ("Authorization", &credential)];
    let uploaded = rig.send("POST", path, &headers, &document(1));
    assert_eq!(uploaded.status, 201, "{uploaded:?}");
    let item = json!({
        "documentId": uploaded.json()["documentId"], "seal": rig.seal.es_id(),
        "stamp": {"kind": "page", "pages": [1], "x": 100.0, "y": 100.0},
    });
    let body = json!({"items": [item]}).to_string();
    let credential = page.credential("POST", "/v1/signatures", Some(body.as_bytes()));
    let headers = [("Origin", SITE), ("Content-Type", "application/json"), ("Authorization", &credential)];
    let asked = rig.send("POST", "/v1/signatures", &headers, body.as_bytes());
    assert_eq!(asked.status, 202, "{asked:?}");
    let path = format!("/v1/signatures/{}?wait=20", asked.json()["signatureId"].as_str().unwrap());
    let state = (0..10)
        .map(|_| page.get(&rig, &path).json()["state"].as_str().unwrap().to_owned())
        .find(|state| state != "waiting" && state != "signing");
    assert_eq!(state.as_deref(), Some("done"));
    assert_eq!(rig.person.shown().len(), 1, "the person was asked although the site is paired");
}

/// Attack item 22.
#[test]
fn person_sees_the_origin_the_browser_names_and_the_pages_own_code() {
    let rig = Rig::new();
    rig.person.on_pairing(|_| None);
    let (_, code) = begun(&rig, SITE);
    let (_, other_code) = begun(&rig, OTHER);
    let deadline = Instant::now() + Duration::from_secs(5);
    while rig.person.pairings().is_empty() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(10));
    }
    let shown = rig.person.pairings();
    assert_eq!(shown.len(), 1, "one at a time");
    assert_eq!((shown[0].origin.as_str(), &shown[0].code), (SITE, &code));
    assert_eq!(shown[0].label.as_ref().unwrap().as_str(), "政务服务网");
    assert_ne!(code, other_code);
}

/// Attack items 18 and 23.
#[test]
fn pairing_is_its_origins_alone_and_gives_its_key_once() {
    let rig = Rig::new();
    rig.person.on_pairing(|_| Some(PairingAnswer::Always));
    let (id, _) = begun(&rig, SITE);
    for (origin, path) in [(OTHER, format!("/v1/pairings/{id}")), (SITE, format!("/v1/pairings/{}", "0".repeat(32)))] {
        let answer = ask(&rig, origin, &path);
        assert_eq!((answer.status, answer.json()["code"].as_str()), (404, Some("not_found")), "{origin}");
    }
    assert_eq!(rig.send("DELETE", &format!("/v1/pairings/{id}"), &[("Origin", OTHER)], b"").status, 404);
    assert_eq!(end(&rig, SITE, &id)["state"], "granted");
    assert_eq!(ask(&rig, SITE, &format!("/v1/pairings/{id}")).status, 404, "fetched twice");
}

#[test]
fn refused_and_unseen_pairings_leave_nothing() {
    let rig = Rig::new();
    let (id, _) = begun(&rig, SITE);
    assert_eq!(end(&rig, SITE, &id), json!({"state": "refused"}));
    let again = begin(&rig, SITE);
    assert_eq!((again.status, again.json()["code"].as_str()), (429, Some("too_many_requests")), "the pause after a no");
    rig.person.on_pairing(|_| Some(PairingAnswer::TimedOut));
    let (id, _) = begun(&rig, OTHER);
    assert_eq!(end(&rig, OTHER, &id), json!({"state": "expired"}));
    assert_eq!(ask(&rig, SITE, "/v1/seals").status, 403);
    assert!(!rig.app.credentials.grants().knows(&Origin::parse(SITE).unwrap()));
    assert_eq!(rig.events(), ["pairingRefused"]);
}

/// Attack items 23 and 24.
#[test]
fn one_origin_asks_once_at_a_time_and_many_share_a_rate() {
    let rig = Rig::new();
    rig.person.on_pairing(|_| None);
    let (id, _) = begun(&rig, SITE);
    assert_eq!(begin(&rig, SITE).json()["code"], "busy");
    assert_eq!(rig.send("DELETE", &format!("/v1/pairings/{id}"), &[("Origin", SITE)], b"").status, 204);
    assert_eq!(ask(&rig, SITE, &format!("/v1/pairings/{id}")).status, 404);
    let statuses: Vec<u16> = (0..10).map(|n| begin(&rig, &format!("https://flood{n}.example")).status).collect();
    assert_eq!(statuses.iter().filter(|s| **s == 202).count(), 4, "{statuses:?}");
    assert!(statuses.iter().all(|s| matches!(s, 202 | 409 | 429)), "{statuses:?}");
    // A signature is asked for all the same.
    let asked = rig.ask(&rig.upload(&document(1)));
    assert_eq!(rig.wait(&asked)["state"], "done");
}

#[test]
fn strangers_send_little_and_in_json() {
    let rig = Rig::new();
    let send =
        |kind: &str, body: &[u8]| rig.send("POST", "/v1/pairings", &[("Origin", SITE), ("Content-Type", kind)], body).status;
    assert_eq!(send("text/plain", b"{}"), 415);
    assert_eq!(send("application/json", b"{\"label\":1}"), 400);
    assert_eq!(send("application/json", b"{\"pin\":\"1\"}"), 400);
    assert_eq!(send("application/json", &vec![b' '; 5000]), 413);
    assert_eq!(begin(&rig, "http://intranet.example").status, 403, "neither https nor loopback");
    assert_eq!(begin(&rig, "null").status, 403);
    assert_eq!(rig.person.pairings().len(), 0);
}

/// Attack item 15.
#[test]
fn calls_without_a_right_credential_are_refused_and_reach_no_token() {
    let rig = Rig::new();
    let mut page = Page::pair(&rig, SITE, PairingAnswer::Always);
    let mut other = Page::pair(&rig, OTHER, PairingAnswer::Always);
    let path = "/v1/seals";
    let good = page.credential("GET", path, None);
    let send = |origin: &str, path: &str, credential: &str| {
        let answer = rig.send("GET", path, &[("Origin", origin), ("Authorization", credential)], b"");
        if answer.status != 200 {
            assert_eq!((answer.status, answer.json()["code"].as_str()), (401, Some("not_paired")), "{credential}");
            assert_eq!(answer.header("access-control-allow-origin"), Some(origin), "the page must be able to read it");
        }
        answer.status
    };
    assert_eq!(ask(&rig, SITE, path).status, 401, "none at all");
    assert_eq!(send(SITE, "/v1/tokens", &good), 401, "for another path");
    assert_eq!(send(SITE, "/v1/seals?x=1", &good), 401, "for another query");
    assert_eq!(send(OTHER, path, &good), 401, "of another origin");
    assert_eq!(send(SITE, path, &other.credential("GET", path, None)), 401, "of another pairing");
    let flipped = if good.ends_with('0') { "1" } else { "0" };
    assert_eq!(send(SITE, path, &format!("{}{flipped}", &good[..good.len() - 1])), 401, "one digit off");
    let number = good.replace("n=1,", "n=2,");
    assert_eq!(send(SITE, path, &number), 401, "under another number");
    assert_eq!(send(SITE, path, &good), 200);
    assert_eq!(send(SITE, path, &good), 401, "played again");

    let body = br#"{"items":[]}"#;
    let credential = page.credential("POST", "/v1/signatures", Some(body));
    let headers = [("Origin", SITE), ("Content-Type", "application/json"), ("Authorization", credential.as_str())];
    assert_eq!(rig.send("POST", "/v1/signatures", &headers, br#"{"items": []}"#).status, 401, "over other JSON");
    assert_eq!(rig.send("POST", "/v1/signatures", &headers, body).json()["code"], "bad_request", "over this JSON");
    assert_eq!(rig.events(), ["paired", "paired"], "and nothing else");
}

/// Attack item 44.
#[test]
fn the_agent_proves_itself_over_challenge_port_and_run() {
    let rig = Rig::new();
    let mut page = Page::pair(&rig, SITE, PairingAnswer::Always);
    page.get(&rig, "/v1/seals");
    let info = page.greet(&rig);
    let expected = mac(&page.key, &["SealAgent-info-1", "abc123", &rig.port.to_string(), &page.run]);
    assert_eq!((info["proof"].as_str(), info["seen"].as_u64()), (Some(expected.as_str()), Some(1)));
    // Without the pairing's id, or with another origin's, it is a stranger's answer.
    let stranger = json!({"product": "sealagent", "apiVersions": [1]});
    assert_eq!(ask(&rig, SITE, "/v1/info").json(), stranger);
    assert_eq!(ask(&rig, OTHER, &format!("/v1/info?challenge=abc&pairing={}", page.id)).json(), stranger);
    assert_eq!(ask(&rig, SITE, &format!("/v1/info?challenge=a%0Ab&pairing={}", page.id)).json(), stranger);
    assert_eq!(ask(&rig, ORIGIN, "/v1/info").json()["paired"], true, "the configuration allows it");
}

/// Opens a stream and sends the credential; the first byte of the answer, and the stream.
fn stream(rig: &Rig, authorization: &str) -> (u8, TcpStream) {
    let head = "GET /v1/events HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: sealagent.v1\r\n";
    let head = format!("{head}Host: 127.0.0.1:{}\r\nOrigin: {SITE}\r\n\r\n", rig.port);
    let mut stream = TcpStream::connect(("127.0.0.1", rig.port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        answer.push(byte[0]);
    }
    assert!(answer.starts_with(b"HTTP/1.1 101"));
    let text = json!({ "authorization": authorization }).to_string();
    // Masked with zeros; then a ping, which is answered only once the page has proved itself.
    let length = u16::try_from(text.len()).unwrap().to_be_bytes();
    let sent = [&[0x81, 0xfe, length[0], length[1], 0, 0, 0, 0], text.as_bytes(), &[0x89, 0x80, 0, 0, 0, 0]].concat();
    stream.write_all(&sent).unwrap();
    (frame(&mut stream).0, stream)
}

/// The next frame, its text as JSON. That a token was found may come at any moment, and is none of these tests' matter.
fn frame(stream: &mut TcpStream) -> (u8, Value) {
    loop {
        let mut head = [0; 2];
        stream.read_exact(&mut head).unwrap();
        let mut text = vec![0; usize::from(head[1])];
        stream.read_exact(&mut text).unwrap();
        let text: Value = serde_json::from_slice(&text).unwrap_or_default();
        if text["type"] != "tokenAdded" {
            return (head[0], text);
        }
    }
}

/// Attack item 16: a stream of a paired origin is nothing without its proof, given once.
#[test]
fn a_stream_is_proved_in_its_first_frame() {
    let rig = Rig::new();
    let mut page = Page::pair(&rig, SITE, PairingAnswer::Always);
    let good = page.credential("GET", "/v1/events", None);
    let other = page.credential("GET", "/v1/seals", None);
    assert_eq!(stream(&rig, &other).0, 0x88, "over another path");
    assert_eq!(stream(&rig, &good).0, 0x8a);
    assert_eq!(stream(&rig, &good).0, 0x88, "played again");
}

#[test]
fn a_stream_hears_that_its_pairing_was_granted_anew_or_ended() {
    let rig = Rig::new();
    let mut page = Page::pair(&rig, SITE, PairingAnswer::Always);
    let (first, mut stream) = stream(&rig, &page.credential("GET", "/v1/events", None));
    assert_eq!(first, 0x8a);
    let mut heard = || frame(&mut stream);
    let told = |state: &str| (0x81, json!({"type": "pairingChanged", "state": state}));
    Page::pair(&rig, OTHER, PairingAnswer::Once);
    Page::pair(&rig, SITE, PairingAnswer::Once);
    assert_eq!(heard(), told("granted"), "its own, and not that of another");
    rig.app.credentials.grants().revoke(&Origin::parse(SITE).unwrap()).unwrap();
    assert_eq!(heard(), told("revoked"));
    assert_eq!(heard().0, 0x88, "and no more");
}

#[test]
fn once_ends_and_revoking_ends_at_once() {
    let rig = Rig::new();
    let mut once = Page::pair(&rig, SITE, PairingAnswer::Once);
    let mut always = Page::pair(&rig, OTHER, PairingAnswer::Always);
    assert_eq!((once.get(&rig, "/v1/seals").status, always.get(&rig, "/v1/seals").status), (200, 200));
    rig.set_clock(NOW + 9 * 3600);
    assert_eq!((once.get(&rig, "/v1/seals").status, always.get(&rig, "/v1/seals").status), (401, 200));
    assert_eq!(rig.app.credentials.grants().revoke(&Origin::parse(OTHER).unwrap()).unwrap(), 1);
    assert_eq!(always.get(&rig, "/v1/seals").status, 403);
    assert_eq!(rig.events(), ["pairedOnce", "paired"]);
}

#[test]
fn policy_forbids_pairing_and_what_was_paired_before() {
    let rig = Rig::with(|_| Reply::Decline, |config| config.http.pairing = false);
    let answer = begin(&rig, SITE);
    assert_eq!((answer.status, answer.header("access-control-allow-origin")), (403, None));
    let paired = Rig::new();
    let page = Page::pair(&paired, SITE, PairingAnswer::Always);
    let grants = paired.dir.path().join("data/pairings");
    std::fs::create_dir_all(rig.dir.path().join("data")).unwrap();
    std::fs::rename(&grants, rig.dir.path().join("data/pairings")).unwrap();
    assert!(rig.app.credentials.grants().knows(&Origin::parse(page.origin).unwrap()));
    assert_eq!(ask(&rig, SITE, "/v1/seals").status, 403);
}

#[test]
fn command_lists_and_revokes_and_tells_no_key() {
    let rig = Rig::new();
    let page = Page::pair(&rig, SITE, PairingAnswer::Always);
    let config = rig.dir.path().join("config.toml");
    let places = format!("[places]\ndata = {:?}\nstate = {:?}\n", rig.dir.path().join("data"), rig.dir.path().join("state"));
    std::fs::write(&config, format!("{places}[http]\norigins = [\"{ORIGIN}\"]\n")).unwrap();
    let origins = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sealagent"));
        let output = command.arg("--config").arg(&config).arg("origins").args(arguments).env("LC_ALL", "C").output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, list, _) = origins(&["--json"]);
    let views: Value = serde_json::from_str(&list).unwrap();
    assert_eq!((code, views.as_array().unwrap().len()), (Some(0), 2));
    assert_eq!((&views[0]["origin"], &views[0]["source"]), (&json!(ORIGIN), &json!("configuration")));
    assert_eq!((&views[1]["origin"], &views[1]["label"]), (&json!(SITE), &json!("政务服务网")));
    assert!(!list.contains(&URL_SAFE_NO_PAD.encode(&page.key)), "the key is in the list");
    assert!(origins(&[]).1.contains(SITE));
    assert_eq!(origins(&["revoke", SITE]).0, Some(0));
    assert_eq!(ask(&rig, SITE, "/v1/seals").status, 403, "the agent that runs obeys");
    assert_eq!(origins(&["revoke", SITE]).0, Some(1), "not paired any more");
    assert_eq!(origins(&["revoke", ORIGIN]).0, Some(1), "allowed by the configuration");
    assert_eq!(origins(&["revoke", "https://NEW.example"]).0, Some(2), "no origin");
    assert_eq!(rig.events(), ["paired", "revoked"]);
    let line = rig.record().pop().unwrap();
    assert_eq!((&line["requester"], &line["origin"]), (&json!("cli"), &json!(SITE)));
}
