//! The agent's own pages over HTTP: who gets in, what they get, and that nobody else does.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common {
    pub mod rig;
    pub mod world;
}

use common::rig::{Answer, NOW, ORIGIN, PIN, Rig, at, document};
use common::world::{World, contract, with_entry};
use sealagent::config::Places;
use sealagent::consent::Origin;
use sealagent::consent::grants::{Grant, Grants, Key};
use sealagent::consent::scripted::Reply;
use sealagent::consent::summary::{Requester, Shown};
use sealagent::consent::text;
use sealagent::failure::Language;
use sealagent::http::pages::link::Links;
use serde_json::json;

/// Pages of the agent with a session.
struct Own {
    rig: Rig,
    origin: String,
    authorization: String,
}

fn places(rig: &Rig) -> Places {
    rig.app.signer.config.places.clone()
}

fn link(rig: &Rig) -> String {
    Links::new(&places(rig)).create(at(NOW)).unwrap()
}

fn origin(rig: &Rig) -> String {
    format!("http://127.0.0.1:{}", rig.port)
}

fn redeem(rig: &Rig, link: &str) -> Answer {
    let headers = [("Origin", &*origin(rig)), ("Content-Type", "application/json"), ("Sec-Fetch-Site", "same-origin")];
    rig.send("POST", "/app/api/session", &headers, json!({"link": link}).to_string().as_bytes())
}

impl Own {
    fn new() -> Self {
        Self::of(Rig::new())
    }

    fn of(rig: Rig) -> Self {
        let answer = redeem(&rig, &link(&rig));
        assert_eq!(answer.status, 201, "{answer:?}");
        let authorization = format!("SealAgentPage {}", answer.json()["token"].as_str().unwrap());
        Self { origin: origin(&rig), authorization, rig }
    }

    fn send(&self, method: &str, path: &str, kind: &str, body: &[u8]) -> Answer {
        let mut headers = vec![
            ("Origin", &*self.origin),
            ("Sec-Fetch-Site", "same-origin"),
            ("Sec-Fetch-Mode", "cors"),
            ("Authorization", &self.authorization),
        ];
        if method == "POST" {
            headers.push(("Content-Type", kind));
        }
        self.rig.send(method, path, &headers, body)
    }

    fn get(&self, path: &str) -> Answer {
        self.send("GET", path, "", b"")
    }

    fn upload(&self, path: &str, bytes: &[u8]) -> Answer {
        self.send("POST", path, "application/octet-stream", bytes)
    }

    /// Asks for one seal on page 1 and gives the request's last status, with the ids of request and document.
    fn sign(&self, bytes: &[u8]) -> (serde_json::Value, String, String) {
        let document = self.upload("/v1/documents?name=contract.ofd", bytes).json()["documentId"].as_str().unwrap().to_owned();
        let stamp = json!({"kind": "page", "pages": [1], "x": 100.0, "y": 100.0});
        let item = json!({"documentId": document, "seal": self.rig.seal.es_id(), "stamp": stamp});
        let begun = self.send("POST", "/v1/signatures", "application/json", json!({"items": [item]}).to_string().as_bytes());
        assert_eq!(begun.status, 202, "{begun:?}");
        let id = begun.json()["signatureId"].as_str().unwrap().to_owned();
        loop {
            let status = self.get(&format!("/v1/signatures/{id}?wait=20")).json();
            if !matches!(status["state"].as_str(), Some("waiting" | "signing")) {
                return (status, id, document);
            }
        }
    }

    fn sealed(&self, bytes: &[u8]) -> Vec<u8> {
        let (status, id, document) = self.sign(bytes);
        assert_eq!(status["state"], "done", "{status}");
        self.get(&format!("/v1/signatures/{id}/documents/{document}")).body
    }
}

/// The pages, and the scripts and styles that they are made of.
const PAGES: [&str; 8] =
    ["/", "/diagnose", "/app/verify", "/app/sign", "/app/seals", "/app/settings", "/app/history", "/app/diagnose"];
const PARTS: [&str; 6] = ["/app/app.js", "/app/dom.js", "/app/report.js", "/app/style.css", "/app/words.json", "/app/icon.svg"];

#[test]
fn a_link_opens_one_session_and_no_second() {
    let rig = Rig::new();
    let link = link(&rig);
    assert_eq!(redeem(&rig, &link).status, 201);
    assert_eq!(redeem(&rig, &link).json()["code"], "session_ended");
    assert_eq!(redeem(&rig, &"0".repeat(64)).status, 401);
}

#[test]
fn a_link_ends_after_a_minute() {
    let rig = Rig::new();
    let link = link(&rig);
    rig.set_clock(NOW + 61);
    assert_eq!(redeem(&rig, &link).status, 401);
}

#[test]
fn every_page_and_every_error_of_them_carries_the_headers_that_keep_others_out() {
    let rig = Rig::new();
    let navigation = [("Sec-Fetch-Site", "none"), ("Sec-Fetch-Mode", "navigate"), ("Sec-Fetch-Dest", "document")];
    let found = PAGES.iter().chain(&PARTS).map(|path| (200, rig.send("GET", path, &navigation, b"")));
    let refused = [(404, "/app/nothing"), (401, "/app/api/history")].map(|(status, path)| {
        (status, rig.send("GET", path, &[("Sec-Fetch-Site", "same-origin"), ("Sec-Fetch-Mode", "cors")], b""))
    });
    for (status, answer) in found.chain(refused) {
        assert_eq!(answer.status, status, "{answer:?}");
        let policy = answer.header("content-security-policy").unwrap();
        for part in [
            "default-src 'none'",
            "script-src 'self'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
            "form-action 'none'",
            "trusted-types 'none'",
        ] {
            assert!(policy.contains(part), "{policy}");
        }
        assert!(!policy.contains("unsafe") && !policy.contains("https:"), "{policy}");
        for (name, value) in [
            ("x-frame-options", "DENY"),
            ("x-content-type-options", "nosniff"),
            ("cross-origin-resource-policy", "same-origin"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cache-control", "no-store"),
            ("referrer-policy", "no-referrer"),
        ] {
            assert_eq!(answer.header(name), Some(value), "{answer:?}");
        }
        assert_eq!(answer.header("access-control-allow-origin"), None);
        assert_eq!(answer.header("set-cookie"), None);
    }
}

/// Attack items 1 and 2.
#[test]
fn the_pages_have_one_name() {
    let rig = Rig::new();
    for host in ["localhost", "evil.example", "127.0.0.1.evil.example", "127.1"] {
        let host = format!("{host}:{}", rig.port);
        for path in ["/app/verify", "/app/api/about"] {
            let answer = rig.send("GET", path, &[("Host", &host), ("Sec-Fetch-Site", "same-origin")], b"");
            assert_eq!(answer.status, 421, "{host}");
        }
    }
    assert_eq!(rig.send("GET", "/app/verify", &[("Host", "127.0.0.1:1")], b"").status, 421);
}

/// Attack items 11, 14 and 17.
#[test]
fn nobody_else_frames_loads_or_posts_to_the_pages() {
    let rig = Rig::new();
    for dest in ["iframe", "frame", "embed", "object"] {
        let headers = [("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Mode", "navigate"), ("Sec-Fetch-Dest", dest)];
        assert_eq!(rig.send("GET", "/app/verify", &headers, b"").status, 403, "{dest}");
    }
    for (site, mode, dest) in [
        ("cross-site", "no-cors", "script"),
        ("same-site", "no-cors", "script"),
        ("cross-site", "cors", "empty"),
        ("cross-site", "no-cors", "image"),
    ] {
        for path in PARTS.iter().chain(&["/app/verify"]) {
            let headers = [("Sec-Fetch-Site", site), ("Sec-Fetch-Mode", mode), ("Sec-Fetch-Dest", dest)];
            assert_eq!(rig.send("GET", path, &headers, b"").status, 403, "{path} {site} {mode}");
        }
    }
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "HEAD"] {
        assert_eq!(rig.send(method, "/app/verify", &[("Origin", ORIGIN)], b"").status, 405, "{method}");
    }
    // A preflight of another origin is not answered, so no browser lets it send the header of a session.
    let asked =
        [("Origin", ORIGIN), ("Access-Control-Request-Method", "POST"), ("Access-Control-Request-Headers", "authorization")];
    let preflight = rig.send("OPTIONS", "/app/api/reports", &asked, b"");
    assert_eq!((preflight.status, preflight.header("access-control-allow-origin")), (403, None));
}

/// Attack items 12, 13, 15, 16 and 21: a session's token is worth nothing in the hands of another page.
#[test]
fn a_session_serves_no_other_origin() {
    let own = Own::new();
    let other_port = format!("http://127.0.0.1:{}", own.rig.port ^ 1);
    let calls = [
        ("GET", "/v1/seals"),
        ("GET", "/v1/tokens"),
        ("GET", "/app/api/history"),
        ("GET", "/app/api/origins"),
        ("POST", "/v1/signatures"),
        ("DELETE", "/app/api/origins?origin=https://a.example"),
    ];
    for (method, path) in calls {
        for origin in [
            "null",
            ORIGIN,
            "https://evil.example",
            "http://localhost",
            &other_port,
            &own.origin.to_uppercase(),
            &format!("{}/", own.origin),
        ] {
            let headers = [("Origin", origin), ("Authorization", &*own.authorization), ("Content-Type", "application/json")];
            let answer = own.rig.send(method, path, &headers, b"");
            assert_eq!((answer.status, answer.header("access-control-allow-origin")), (403, None), "{method} {path} {origin}");
        }
        for site in ["cross-site", "same-site", "none"] {
            let headers = [
                ("Origin", &*own.origin),
                ("Sec-Fetch-Site", site),
                ("Authorization", &own.authorization),
                ("Content-Type", "application/json"),
            ];
            assert_eq!(own.rig.send(method, path, &headers, b"").status, 403, "{method} {path} {site}");
        }
        // Without `Origin` and without `Sec-Fetch-Site` nothing says who calls.
        let headers = [("Authorization", &*own.authorization), ("Content-Type", "application/json")];
        assert_eq!(own.rig.send(method, path, &headers, b"").status, 403, "{method} {path}");
    }
    assert!(own.rig.person.shown().is_empty());
    assert_eq!(own.get("/v1/seals").json().as_array().unwrap().len(), 1, "the pages themselves are served");
}

/// Attack item 18.
#[test]
fn without_a_session_the_pages_learn_nothing_of_the_person() {
    let rig = Rig::new();
    let own = origin(&rig);
    for wrong in ["", "SealAgentPage ", &format!("SealAgentPage {}", "0".repeat(64)), "Bearer x"] {
        let mut headers = vec![("Origin", &*own), ("Sec-Fetch-Site", "same-origin")];
        if !wrong.is_empty() {
            headers.push(("Authorization", wrong));
        }
        for path in ["/v1/seals", "/v1/tokens", "/app/api/history", "/app/api/origins"] {
            let answer = rig.send("GET", path, &headers, b"");
            assert!(matches!(answer.status, 401 | 403), "{wrong} {path}: {answer:?}");
            assert!(!String::from_utf8_lossy(&answer.body).contains("深圳"), "{answer:?}");
        }
    }
    let about = rig.send("GET", "/app/api/about", &[("Sec-Fetch-Site", "same-origin")], b"");
    assert_eq!(about.json()["hasSession"], false);
    let text = String::from_utf8_lossy(&about.body);
    for secret in ["深圳", "91110108", rig.dir.path().to_str().unwrap()] {
        assert!(!text.contains(secret), "{text}");
    }
}

#[test]
fn the_report_is_the_one_that_web_sites_get_with_what_a_person_looks_at() {
    let own = Own::new();
    let sealed = own.sealed(&document(2));
    let judged = own.upload("/app/api/reports?name=contract.ofd", &sealed).json();
    let headers = [("Origin", ORIGIN), ("Content-Type", "application/ofd")];
    let plain = own.rig.send("POST", "/v1/verifications?name=contract.ofd", &headers, &sealed).json();
    assert_eq!(judged["report"], plain);
    assert_eq!(plain["indication"], "TOTAL_PASSED");
    assert_eq!(judged["pages"].as_array().unwrap().len(), 2);
    let mark = &judged["marks"][0];
    assert_eq!(
        [&mark["signature"], &mark["page"], &mark["x"], &mark["width"]],
        [&json!(0), &json!(1), &json!(100.0), &json!(40.0)]
    );
    assert_eq!(judged["pictures"], json!([[40, 40]]));
    let id = judged["reportId"].as_str().unwrap();
    let picture = own.get(&format!("/app/api/reports/{id}/seals/0"));
    assert_eq!(picture.header("content-type"), Some("image/png"));
    assert!(picture.body.starts_with(b"\x89PNG"));
    assert_eq!(own.get(&format!("/app/api/reports/{id}/seals/1")).status, 404);
    assert_eq!(own.send("DELETE", &format!("/app/api/reports/{id}"), "", b"").status, 204);
    assert_eq!(own.get(&format!("/app/api/reports/{id}/seals/0")).json()["code"], "document_not_found");
}

#[test]
fn changed_undetermined_and_broken_files_are_told_apart() {
    let own = Own::new();
    let judge = |bytes: &[u8]| own.upload("/app/api/reports?name=a", bytes).json()["report"].clone();
    let sealed = own.sealed(&document(1));
    let changed = with_entry(&sealed, "Doc_0/Pages/Page_0/Content.xml", |bytes| {
        let text = String::from_utf8(bytes.clone()).unwrap().replace("采购", "出售");
        *bytes = text.into_bytes();
    });
    assert_eq!(judge(&changed)["indication"], "TOTAL_FAILED");
    let stranger = World::new(&own.rig.dir.path().join("elsewhere")).sign(&contract(1, 3), sealagent::ses::Version::V4);
    let report = judge(&stranger);
    assert_eq!(
        (&report["indication"], &report["signatures"][0]["subIndication"]),
        (&json!("INDETERMINATE"), &json!("NO_CERTIFICATE_CHAIN_FOUND"))
    );
    let nothing = judge(b"not a document");
    assert_eq!((&nothing["format"], &nothing["indication"]), (&json!("unknown"), &json!("TOTAL_FAILED")));
}

#[test]
fn the_page_that_draws_unprotected_content_is_named() {
    let own = Own::new();
    let sealed = own.sealed(&document(3));
    // The second page's content is taken out of the protected files.
    let loosened = with_entry(&sealed, "Doc_0/Signs/Sign_0/Signature.xml", |bytes| {
        let text = String::from_utf8(bytes.clone()).unwrap();
        let start = text.find("<ofd:Reference FileRef=\"/Doc_0/Pages/Page_1/Content.xml\"").unwrap();
        let end = start + text[start..].find("</ofd:Reference>").unwrap() + "</ofd:Reference>".len();
        *bytes = format!("{}{}", &text[..start], &text[end..]).into_bytes();
    });
    let judged = own.upload("/app/api/reports?name=a.ofd", &loosened).json();
    let uncovered: Vec<_> = judged["pages"].as_array().unwrap().iter().map(|page| page["uncoveredBy"].clone()).collect();
    assert_eq!(uncovered, [json!(null), json!([0]), json!(null)]);
}

/// Attack items 22 and 29: each signature is asked for by the prompt, which says that no web site asks.
#[test]
fn own_pages_sign_by_the_prompt_and_the_record_says_so() {
    let own = Own::new();
    own.sealed(&document(1));
    let shown = own.rig.person.shown();
    assert_eq!(shown.iter().map(|summary| &summary.requester).collect::<Vec<_>>(), [&Requester::OwnPage]);
    for (language, words) in [(Language::English, "this computer's own page"), (Language::Chinese, "自己的页面")] {
        assert!(text::lines(&shown[0], language).iter().any(|line| line.contains(words)));
    }
    let record = own.rig.record();
    assert_eq!(
        record.iter().map(|line| (&line["event"], &line["requester"])).collect::<Vec<_>>(),
        [(&json!("accepted"), &json!("own-page")), (&json!("signed"), &json!("own-page")),]
    );
}

#[test]
fn own_pages_are_declined_like_everybody_and_may_not_sign_what_nobody_sees() {
    let own = Own::of(Rig::with(|_| Reply::Decline, |_| {}));
    let (status, ..) = own.sign(&document(1));
    assert_eq!(status["state"], "declined");
    let digest = json!({"name": "a", "sm3": "00".repeat(32), "property": "p", "seal": own.rig.seal.es_id()});
    let answer = own.send("POST", "/v1/signatures", "application/json", json!({"digests": [digest]}).to_string().as_bytes());
    assert_eq!(answer.json()["code"], "policy_refused");
}

#[test]
fn requests_and_documents_of_web_sites_are_not_the_pages_to_see() {
    let own = Own::new();
    let document = own.rig.upload(&document(1));
    let request = own.rig.ask(&document);
    own.rig.wait(&request);
    for path in [
        format!("/v1/signatures/{request}"),
        format!("/v1/signatures/{request}/documents/{document}"),
        format!("/v1/documents/{document}/pages/1.png"),
    ] {
        assert_eq!(own.get(&path).status, 404, "{path}");
    }
}

#[test]
fn the_doctor_says_on_the_page_what_it_says_in_the_terminal() {
    let own = Own::new();
    let chinese = own.get("/app/api/doctor?language=zh").json();
    let findings: Vec<_> = chinese.as_array().unwrap().iter().map(|check| check["finding"].as_str().unwrap()).collect();
    for finding in ["record_fine", "trust_fine"] {
        assert!(findings.contains(&finding), "{findings:?}");
    }
    let is_chinese = |text: &str| text.chars().any(|c| ('\u{4e00}'..='\u{9fff}').contains(&c));
    assert!(chinese.as_array().unwrap().iter().all(|check| is_chinese(check["what"].as_str().unwrap())));
    let without = [("Origin", &*own.origin), ("Sec-Fetch-Site", "same-origin")];
    assert_eq!(own.rig.send("GET", "/app/api/doctor", &without, b"").status, 401);
}

#[test]
fn revoked_pairings_end_and_configured_sites_stay() {
    let own = Own::new();
    let grants = Grants::new(places(&own.rig).pairings());
    let paired = Origin::parse("https://paired.example").unwrap();
    grants
        .add(&Grant {
            id: "a".repeat(32),
            origin: paired.clone(),
            label: Some(Shown::new("<b>政务\u{202e}</b>")),
            paired: at(NOW),
            key: Key::random().unwrap(),
            once: None,
        })
        .unwrap();
    let listed = own.get("/app/api/origins");
    assert_eq!(listed.json()[1]["origin"], "https://paired.example");
    assert_eq!(listed.json()[1]["label"], "<b>政务‹U+202E›</b>");
    assert!(!String::from_utf8_lossy(&listed.body).contains("key"));
    let revoke = |origin: &str| own.send("DELETE", &format!("/app/api/origins?origin={origin}"), "", b"").status;
    assert_eq!(revoke("https://paired.example"), 204);
    assert!(!grants.knows(&paired));
    assert_eq!(revoke("https://paired.example"), 404);
    assert_eq!(revoke(ORIGIN), 404, "what the configuration allows is changed there");
    assert_eq!(revoke("..%2F..%2Fetc"), 400);
    assert_eq!(own.get("/app/api/origins").json().as_array().unwrap().len(), 1);
}

#[test]
fn the_record_is_paged_searched_and_its_chain_judged() {
    let own = Own::new();
    for _ in 0..3 {
        own.sealed(&document(1));
    }
    let numbers = |answer: &serde_json::Value| {
        answer["lines"].as_array().unwrap().iter().map(|line| line["n"].as_u64().unwrap()).collect::<Vec<_>>()
    };
    let first = own.get("/app/api/history?count=4").json();
    assert_eq!((numbers(&first), &first["hasMore"]), (vec![5, 4, 3, 2], &json!(true)));
    assert_eq!((&first["chain"]["lines"], first["chain"]["problems"].as_array().unwrap().len()), (&json!(6), 0));
    let second = own.get("/app/api/history?count=4&before=2").json();
    assert_eq!((numbers(&second), &second["hasMore"], &second["chain"]), (vec![1, 0], &json!(false), &json!(null)));
    assert_eq!(numbers(&own.get("/app/api/history?event=signed").json()), [5, 3, 1]);
    assert_eq!(numbers(&own.get("/app/api/history?text=CONTRACT").json()).len(), 6);
    assert_eq!(numbers(&own.get("/app/api/history?text=nowhere").json()).len(), 0);
    assert_eq!(own.get("/app/api/history?count=x").status, 400);
    // A name changed by hand.
    let month = std::fs::read_dir(places(&own.rig).audit())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|e| e == "jsonl"));
    let month = month.unwrap();
    let edited = std::fs::read_to_string(&month).unwrap().replacen("contract.ofd", "another1.ofd", 1);
    std::fs::write(&month, edited).unwrap();
    let chain = &own.get("/app/api/history").json()["chain"];
    assert_eq!(chain["problems"][0]["problem"], "chainBroken");
}

/// Attack items 7 and 14.
#[test]
fn bodies_are_judged_before_they_are_read() {
    let rig = Rig::with(|_| Reply::Approve(PIN), |config| config.http.max_upload_bytes = 1000);
    let own = origin(&rig);
    let post = |path: &str, kind: &str, length: &str| {
        let headers = [("Origin", &*own), ("Sec-Fetch-Site", "same-origin"), ("Content-Type", kind), ("Content-Length", length)];
        rig.send("POST", path, &headers, b"x").status
    };
    assert_eq!(post("/app/api/reports?name=a", "application/octet-stream", "1001"), 413);
    assert_eq!(post("/app/api/reports?name=a", "text/plain", "1"), 415);
    assert_eq!(post("/app/api/reports?name=a", "multipart/form-data", "1"), 415);
    assert_eq!(post("/app/api/session", "application/x-www-form-urlencoded", "1"), 415);
    assert_eq!(post("/app/api/session", "application/json", "5000"), 413);
    assert_eq!(post("/app/api/session", "application/json", "1"), 400);
}

#[cfg(target_os = "linux")]
mod killed {
    use std::io::{BufRead as _, BufReader, Write as _};
    use std::net::TcpStream;
    use std::path::Path;
    use std::process::{Child, Command, Stdio};
    use std::time::{Duration, Instant};

    use sealagent::http::pages::link::PortFile;

    use super::*;

    /// A running agent; ended with the test, however that ends.
    struct Agent(Child);

    impl Agent {
        fn kill(&mut self) {
            self.0.kill().unwrap();
            self.0.wait().unwrap();
        }
    }

    impl Drop for Agent {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    fn start(folder: &Path) -> (Agent, u16) {
        let config = folder.join("config.toml");
        let text =
            format!("[http]\nport = 0\n[places]\ndata = {0:?}\nstate = {1:?}\n", folder.join("data"), folder.join("state"));
        std::fs::write(&config, text).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_sealagent"))
            .arg("--config")
            .arg(&config)
            .arg("run")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let port = line.trim().rsplit_once(':').unwrap().1.parse().unwrap();
        (Agent(child), port)
    }

    /// Sends a document and, when `whole`, waits for the answer.
    fn upload(port: u16, document: &[u8], whole: bool) -> TcpStream {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let head = format!(
            "POST /app/api/reports?name=a HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nOrigin: http://127.0.0.1:{port}\r\nContent-Type: application/octet-stream\r\nContent-Length: {}\r\n\r\n",
            document.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        let sent = if whole { document.len() } else { document.len() / 2 };
        stream.write_all(&document[..sent]).unwrap();
        if whole {
            let mut line = String::new();
            BufReader::new(stream.try_clone().unwrap()).read_line(&mut line).unwrap();
            assert!(line.contains("200"), "{line}");
        }
        stream
    }

    fn holds(folder: &Path, needle: &[u8]) -> Option<std::path::PathBuf> {
        std::fs::read_dir(folder).ok()?.flatten().find_map(|entry| {
            let path = entry.path();
            if path.is_dir() {
                return holds(&path, needle);
            }
            std::fs::read(&path).unwrap().windows(needle.len()).any(|bytes| bytes == needle).then_some(path)
        })
    }

    #[test]
    fn copies_of_documents_are_gone_after_a_kill() {
        let folder = tempfile::tempdir().unwrap();
        let (mut child, port) = start(folder.path());
        // Not a document, which needs no more: its bytes are received and kept all the same.
        let marked = [b"%PDF-1.7 confidential-words ".repeat(9000), document(1)].concat();
        let _open = (upload(port, &marked, true), upload(port, &marked, false));
        // The agent holds them: through its open files their bytes can be read.
        let kept = || {
            let files = std::fs::read_dir(format!("/proc/{}/fd", child.0.id())).unwrap().flatten();
            files.filter(|entry| std::fs::metadata(entry.path()).is_ok_and(|file| file.is_file() && file.len() > 100_000)).count()
        };
        let until = Instant::now() + Duration::from_secs(20);
        while kept() < 2 && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(20));
        }
        assert_eq!(kept(), 2);
        child.kill();
        assert_eq!(holds(folder.path(), b"confidential-words"), None);

        // What a file system without nameless files may leave behind goes with the next start.
        let left = folder.path().join("state/scratch/.tmpLEFT");
        std::fs::write(&left, b"confidential-words").unwrap();
        let (mut child, port) = start(folder.path());
        assert_eq!(holds(folder.path(), b"confidential-words"), None);
        let places = Places { data: folder.path().join("data"), state: folder.path().join("state") };
        assert_eq!(PortFile::read(&places), Some(port));
        child.kill();
    }

    #[test]
    fn open_gives_a_link_to_the_agent_that_runs_and_none_to_another() {
        let folder = tempfile::tempdir().unwrap();
        let (mut child, port) = start(folder.path());
        let open = || {
            let mut command = Command::new(env!("CARGO_BIN_EXE_sealagent"));
            command.arg("--config").arg(folder.path().join("config.toml")).args(["open", "history", "--print"]).output().unwrap()
        };
        let said = String::from_utf8(open().stdout).unwrap();
        let (address, token) = said.trim().split_once('#').unwrap();
        assert_eq!(address, format!("http://127.0.0.1:{port}/app/history"));
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let body = json!({"link": token}).to_string();
        let head = format!(
            "POST /app/api/session HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nOrigin: http://127.0.0.1:{port}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).unwrap();
        assert!(line.contains("201"), "{line}");
        child.kill();
        // The port was told and nobody answers any more.
        let refused = open();
        assert!(!refused.status.success() && refused.stdout.is_empty(), "{refused:?}");
    }
}
