//! The bridge as a page, a hostile page and a hostile program meet it (I2, I5, I6). Numbers in comments are the attack items.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common {
    pub mod rig;
}

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

use common::rig::{NOW, ORIGIN, PIN, Rig, TRIES, document, parse};
use sealagent::consent::Origin;
use sealagent::consent::scripted::Reply;
use serde_json::{Value, json};

/// Whether a token was asked for a signature or a PIN was spent, by the only ones who know.
fn nothing_was_asked(rig: &Rig) {
    assert_eq!(rig.person.shown().len(), 0, "a prompt was shown");
    assert_eq!(rig.events(), [] as [&str; 0], "something was recorded");
    assert_eq!(rig.tries_left(), TRIES);
}

#[test]
fn a_page_gets_its_document_sealed_and_valid() {
    let rig = Rig::new();
    let id = rig.upload(&document(3));
    let request = rig.ask(&id);
    let status = rig.wait(&request);
    assert_eq!(status, json!({"state": "done", "items": [{"state": "done"}]}));
    let signed = rig.get(&format!("/v1/signatures/{request}/documents/{id}"));
    assert_eq!((signed.status, signed.header("content-type")), (200, Some("application/ofd")));
    let again = rig.get(&format!("/v1/signatures/{request}/documents/{id}"));
    assert_eq!(signed.body, again.body, "repeatable");

    let headers = [("Origin", ORIGIN), ("Content-Type", "application/ofd")];
    let report = rig.send("POST", "/v1/verifications?name=a.ofd", &headers, &signed.body).json();
    assert_eq!(report["indication"], "TOTAL_PASSED", "{report:#}");
    assert_eq!(report["signatures"][0]["seal"]["esId"], rig.seal.es_id());
    let summary = &rig.person.shown()[0];
    assert_eq!(summary.requester.to_string(), ORIGIN);
    assert_eq!(rig.events(), ["accepted", "signed"]);

    let delete = rig.send("DELETE", &format!("/v1/signatures/{request}"), &[("Origin", ORIGIN)], b"");
    assert_eq!(delete.status, 204);
    assert_eq!(rig.get(&format!("/v1/signatures/{request}")).status, 404);
    assert_eq!(rig.send("DELETE", &format!("/v1/documents/{id}"), &[("Origin", ORIGIN)], b"").status, 204);
    assert_eq!(rig.send("DELETE", &format!("/v1/documents/{id}"), &[("Origin", ORIGIN)], b"").status, 404);
}

#[test]
fn seals_and_tokens_are_listed_without_driver_slot_or_path() {
    let rig = Rig::new();
    let (tokens, seals) = (rig.get("/v1/tokens"), rig.get("/v1/seals"));
    assert_eq!(tokens.json()[0]["pin"]["triesLeft"], TRIES);
    assert_eq!(seals.json()[0]["state"], "ready");
    let one = rig.get(&format!("/v1/seals/{}", rig.seal.es_id()));
    assert_eq!(one.json(), seals.json()[0]);
    let picture = rig.get(&format!("/v1/seals/{}/picture", rig.seal.es_id()));
    assert_eq!((picture.header("content-type"), &picture.body), (Some("image/png"), &rig.seal.picture().data));
    assert_eq!(rig.get(&format!("/v1/seals/{}/data", rig.seal.es_id())).json()["code"], "policy_refused");
    let all = [tokens.body, seals.body].concat();
    let all = String::from_utf8(all).unwrap();
    assert!(!all.contains("tokens\"") && !all.contains(rig.dir.path().to_str().unwrap()) && !all.contains("driver"), "{all}");

    rig.token.unplug().unwrap();
    assert_eq!(rig.get("/v1/tokens").json(), json!([]));
    assert_eq!(rig.get(&format!("/v1/seals/{}", rig.seal.es_id())).json()["code"], "seal_not_found", "it was on the token");
}

/// 1, 2, 4
#[test]
fn a01_a02_a04_every_other_host_is_misdirected() {
    let rig = Rig::new();
    let port = rig.port;
    for host in ["evil.example", "127.0.0.1.evil.example", "127.1", "0x7f.1", "0.0.0.0", "127.0.0.1.", "[::1]", "192.168.1.5"] {
        let answer = rig.send("GET", "/v1/info", &[("Host", &format!("{host}:{port}")), ("Origin", ORIGIN)], b"");
        assert_eq!((answer.status, &answer.json()["code"]), (421, &json!("wrong_host")), "{host}");
        assert_eq!(answer.header("access-control-allow-origin"), None, "{host}");
    }
    for host in ["127.0.0.1".to_owned(), format!("127.0.0.1:{}", port.wrapping_add(1))] {
        assert_eq!(rig.send("GET", "/v1/info", &[("Host", &host), ("Origin", ORIGIN)], b"").status, 421, "{host}");
    }
    let localhost = format!("localhost:{port}");
    assert_eq!(rig.send("GET", "/v1/info", &[("Host", &localhost), ("Origin", ORIGIN)], b"").status, 200);
    nothing_was_asked(&rig);
}

/// 2, 5, 6
#[test]
fn a02_a05_a06_heads_that_two_programs_could_read_differently_end_the_connection() {
    let rig = Rig::new();
    let good = format!("Host: 127.0.0.1:{}\r\nOrigin: {ORIGIN}\r\n", rig.port);
    let get = "GET /v1/info HTTP/1.1\r\n";
    for (name, bytes) in [
        ("no host", format!("{get}Origin: {ORIGIN}\r\n\r\n")),
        ("two hosts", format!("{get}{good}Host: evil.example\r\n\r\n")),
        ("absolute target", format!("GET http://127.0.0.1:{}/v1/info HTTP/1.1\r\n{good}\r\n", rig.port)),
        ("length and chunks", format!("{get}{good}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")),
        ("chunks", format!("{get}{good}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n")),
        ("two lengths", format!("{get}{good}Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd")),
        ("bare line feed", format!("{get}{good}X: y\n\r\n")),
        ("folded line", format!("{get}{good}X: y\r\n z\r\n\r\n")),
        ("a head of 1 MiB", format!("{get}{good}X: {}\r\n\r\n", "y".repeat(1 << 20))),
        ("a hundred thousand headers", format!("{get}{good}{}\r\n", "X: y\r\n".repeat(100_000))),
        ("HTTP/1.0", format!("GET /v1/info HTTP/1.0\r\n{good}\r\n")),
    ] {
        let answer = rig.raw(bytes.as_bytes());
        // 400, or nothing at all where the rest of a large head was thrown away with the connection.
        assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 400 "), "{name}: {}", String::from_utf8_lossy(&answer));
    }
    let two = format!("{get}{good}\r\n{get}{good}\r\n");
    let answer = rig.raw(two.as_bytes());
    let answers = answer.windows(12).filter(|w| w == b"HTTP/1.1 200").count();
    assert!(answers <= 1, "a pipelined second request is not answered");
    nothing_was_asked(&rig);
}

/// 3
#[test]
fn a03_nothing_listens_beyond_the_loopback_address() {
    let rig = Rig::new();
    for address in ["127.0.0.2", "::1"] {
        assert!(TcpStream::connect((address, rig.port)).is_err(), "{address}");
    }
    // The address that this machine has on its network, as the system routes.
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
    let outside = socket.connect("192.0.2.1:9").and_then(|()| socket.local_addr()).map(|a| a.ip());
    if let Ok(ip) = outside
        && !ip.is_loopback()
    {
        assert!(TcpStream::connect((ip, rig.port)).is_err(), "{ip}");
    }
}

/// 6
#[test]
fn a06_a_flood_of_idle_connections_does_not_lock_the_honest_page_out() {
    let rig = Rig::new();
    let flood: Vec<TcpStream> = (0..700).map(|_| TcpStream::connect(("127.0.0.1", rig.port)).unwrap()).collect();
    let start = Instant::now();
    assert_eq!(rig.get("/v1/info").status, 200);
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    // Each of them has sent half a head, and none more.
    for mut stream in &flood {
        let _ = stream.write_all(b"GET /v1/info HTTP/1.1\r\nHost: ");
    }
    let start = Instant::now();
    assert_eq!(rig.get("/v1/info").status, 200);
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
}

/// 6: what this costs the agent is measured in `commands::a06_*`, what it costs the honest page in `cargo bench --bench flood`.
#[test]
fn a06_the_honest_page_signs_among_ten_thousand_connections() {
    let rig = Rig::new();
    let port = rig.port;
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let flood = scope.spawn(|| {
            let mut open = std::collections::VecDeque::new();
            let mut count = 0;
            while count < 10_000 || !stop.load(std::sync::atomic::Ordering::Relaxed) {
                let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { continue };
                let _ = match count % 3 {
                    0 => Ok(()),
                    1 => stream.write_all(b"GET /v1/info HTTP/1.1\r\nHost: "),
                    _ => {
                        write!(stream, "GET /v1/seals HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nOrigin: https://evil.example\r\n\r\n")
                    }
                };
                open.push_back(stream);
                open.drain(..open.len().saturating_sub(600));
                count += 1;
            }
            count
        });
        for _ in 0..5 {
            let status = rig.wait(&rig.ask(&rig.upload(&document(1))));
            assert_eq!(status["state"], "done", "{status}");
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        assert!(flood.join().unwrap() >= 10_000);
    });
    assert_eq!(rig.events(), ["accepted", "signed"].repeat(5));
}

#[test]
fn a_connection_that_waits_for_its_first_byte_is_kept() {
    let rig = Rig::new();
    let mut stream = TcpStream::connect(("127.0.0.1", rig.port)).unwrap();
    std::thread::sleep(Duration::from_secs(2));
    let request =
        format!("GET /v1/info HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nOrigin: {ORIGIN}\r\nConnection: close\r\n\r\n", rig.port);
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    assert_eq!(parse(&answer).status, 200);
}

/// 7, 14
#[test]
fn a07_a14_bodies_of_other_types_sizes_and_encodings_are_refused_before_work() {
    let rig = Rig::with(|_| Reply::Approve(PIN), |config| config.http.max_upload_bytes = 1 << 20);
    let post = |path: &str, kind: Option<&str>, extra: &[(&str, &str)], body: &[u8]| {
        let mut headers = vec![("Origin", ORIGIN)];
        headers.extend(kind.map(|kind| ("Content-Type", kind)));
        headers.extend(extra);
        let answer = rig.send("POST", path, &headers, body);
        (answer.status, answer.json()["code"].as_str().unwrap_or_default().to_owned())
    };
    let body = json!({"items": []}).to_string();
    for kind in [
        None,
        Some("text/plain"),
        Some("application/x-www-form-urlencoded"),
        Some("multipart/form-data; boundary=x"),
        Some("application/jsonx"),
    ] {
        assert_eq!(post("/v1/signatures", kind, &[], body.as_bytes()), (415, "wrong_content_type".into()), "{kind:?}");
        assert_eq!(post("/v1/documents?name=a", kind, &[], b"PK"), (415, "wrong_content_type".into()), "{kind:?}");
    }
    let json = Some("application/json");
    assert_eq!(post("/v1/signatures", json, &[("Content-Encoding", "gzip")], b"\x1f\x8b").0, 415);
    assert_eq!(post("/v1/documents?name=a", json, &[], b"{}").0, 415);
    assert_eq!(post("/v1/signatures", json, &[("Content-Length", "2000000")], b"{").1, "too_large");
    let ofd = Some("application/ofd");
    assert_eq!(post("/v1/documents?name=a", ofd, &[("Content-Length", "2000000")], b"PK"), (413, "too_large".into()));
    assert_eq!(post("/v1/documents?name=a", ofd, &[], &[b'x'; 100]), (422, "document_malformed".into()));
    // Fewer bytes than announced, then silence of a closed connection: no answer is owed, nothing stays.
    let mut stream = TcpStream::connect(("127.0.0.1", rig.port)).unwrap();
    let head = format!(
        "POST /v1/documents?name=a HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nOrigin: {ORIGIN}\r\nContent-Type: application/ofd\r\nContent-Length: 900000\r\n\r\nPK",
        rig.port
    );
    stream.write_all(head.as_bytes()).unwrap();
    drop(stream);
    std::thread::sleep(Duration::from_millis(300));
    rig.upload(&document(1));
    nothing_was_asked(&rig);
}

/// 10
#[test]
fn a10_other_methods_are_refused_and_overrides_are_not_heard() {
    let rig = Rig::new();
    for (method, path, allow) in [
        ("TRACE", "/v1/info", "GET"),
        ("PUT", "/v1/documents", "POST"),
        ("GET", "/v1/documents", "POST"),
        ("POST", "/v1/seals", "GET"),
        ("PATCH", "/v1/signatures/00", "GET, DELETE"),
        ("BREW", "/v1/tokens", "GET"),
        ("HEAD", "/v1/info", "GET"),
    ] {
        let answer = rig.send(method, path, &[("Origin", ORIGIN)], b"");
        assert_eq!((answer.status, answer.header("allow")), (405, Some(allow)), "{method} {path}");
    }
    let id = rig.upload(&document(1));
    let path = format!("/v1/documents/{id}");
    let override_headers = [("Origin", ORIGIN), ("X-HTTP-Method-Override", "DELETE"), ("Content-Type", "application/json")];
    assert_eq!(rig.send("POST", &path, &override_headers, b"{}").status, 405);
    assert_eq!(rig.send("DELETE", &path, &[("Origin", ORIGIN)], b"").status, 204, "it is still there");
}

/// 11, 12, 13, 15, 18, 21
#[test]
fn a11_to_a18_other_origins_learn_nothing_and_do_nothing() {
    let rig = Rig::new();
    let body = json!({"digests": [{"name": "x", "sm3": "00".repeat(32), "property": "p", "seal": rig.seal.es_id()}]}).to_string();
    for origin in [
        "null",
        "https://sign.example.evil.com",
        "https://evilsign.example",
        "https://sign.example@evil.com",
        "https://sign.example:444",
        "https://sign.example:443",
        "http://sign.example",
        "https://SIGN.example",
        "https://sign.example.",
        "https://xn--sgn-0na.example",
        "chrome-extension://abcdefghijklmnopabcdefghijklmnop",
        "https://evil.example",
        "",
    ] {
        for (method, path, body) in [
            ("GET", "/v1/seals", ""),
            ("GET", "/v1/tokens", ""),
            ("POST", "/v1/signatures", body.as_str()),
            ("OPTIONS", "/v1/signatures", ""),
        ] {
            let headers = [("Origin", origin), ("Content-Type", "application/json"), ("Access-Control-Request-Method", "POST")];
            let answer = rig.send(method, path, &headers, body.as_bytes());
            assert_eq!(answer.status, 403, "{origin} {method} {path}");
            assert_eq!(answer.header("access-control-allow-origin"), None, "{origin} {method} {path}");
            assert!(!String::from_utf8_lossy(&answer.body).contains(rig.seal.es_id()), "{origin}");
        }
    }
    let without = rig.send("GET", "/v1/info", &[], b"");
    assert_eq!((without.status, without.json()["code"].clone()), (403, json!("origin_refused")));
    for mode in ["navigate", "no-cors"] {
        let answer = rig.send("GET", "/v1/info", &[("Origin", ORIGIN), ("Sec-Fetch-Mode", mode)], b"");
        assert_eq!(answer.status, 403, "{mode}");
    }
    nothing_was_asked(&rig);
}

/// 18
#[test]
fn a18_a_stranger_learns_the_products_name_and_the_api_version_alone() {
    let rig = Rig::new();
    let answer = rig.send("GET", "/v1/info", &[("Origin", "https://evil.example")], b"");
    assert_eq!(answer.json(), json!({"product": "sealagent", "apiVersions": [1]}));
    assert_eq!(answer.header("access-control-allow-origin"), Some("https://evil.example"));
    assert_eq!(rig.send("GET", "/v1/info", &[("Origin", "http://evil.example")], b"").status, 403);
    let own = rig.get("/v1/info").json();
    assert_eq!((&own["product"], &own["paired"], &own["apiVersions"]), (&json!("sealagent"), &json!(true), &json!([1])));

    let silent = Rig::with(|_| Reply::Decline, |config| config.http.silent = true);
    assert_eq!(silent.send("GET", "/v1/info", &[("Origin", "https://evil.example")], b"").status, 403);
    assert_eq!(silent.get("/v1/info").status, 200);
}

/// 17, 19
#[test]
fn a17_a19_every_answer_carries_its_guards() {
    let rig = Rig::new();
    let strange = rig.send("GET", "/v1/seals", &[("Origin", "https://evil.example")], b"");
    for answer in [rig.get("/v1/info"), rig.get("/v1/nothing"), rig.get("/v1/seals/none"), strange] {
        for (name, value) in [
            ("cache-control", "no-store"),
            ("x-content-type-options", "nosniff"),
            ("cross-origin-resource-policy", "same-origin"),
            ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
        ] {
            assert_eq!(answer.header(name), Some(value), "{answer:?}");
        }
        assert_eq!(answer.header("access-control-allow-credentials"), None);
        assert_eq!(answer.header("x-request-id").map(str::len), Some(32));
    }
    assert_eq!(rig.get("/v1/info").header("vary"), Some("Origin"));
    let (a, b) = (rig.get("/v1/info"), rig.send("GET", "/v1/info", &[("Origin", "https://evil.example")], b""));
    assert_ne!(a.header("access-control-allow-origin"), b.header("access-control-allow-origin"));
    let error = rig.get("/v1/seals/none");
    assert_eq!(error.json()["requestId"].as_str(), error.header("x-request-id"));
}

#[test]
fn preflights_are_answered_as_browsers_want_them() {
    let rig = Rig::new();
    let headers =
        [("Origin", ORIGIN), ("Access-Control-Request-Method", "POST"), ("Access-Control-Request-Headers", "content-type")];
    let answer = rig.send("OPTIONS", "/v1/signatures", &headers, b"");
    assert_eq!(answer.status, 204);
    for (name, value) in [
        ("access-control-allow-origin", ORIGIN),
        ("access-control-allow-methods", "GET, POST, DELETE"),
        ("access-control-allow-headers", "authorization, content-type"),
        ("access-control-max-age", "600"),
        ("vary", "Origin, Access-Control-Request-Method, Access-Control-Request-Headers, Access-Control-Request-Private-Network"),
        ("cache-control", "no-store"),
    ] {
        assert_eq!(answer.header(name), Some(value));
    }
    assert_eq!(answer.header("access-control-allow-private-network"), None);
    let old = [&headers[..], &[("Access-Control-Request-Private-Network", "true")]].concat();
    let answer = rig.send("OPTIONS", "/v1/signatures", &old, b"");
    assert_eq!(answer.header("access-control-allow-private-network"), Some("true"));
    let stranger = [("Origin", "https://evil.example"), ("Access-Control-Request-Method", "GET")];
    assert_eq!(rig.send("OPTIONS", "/v1/info", &stranger, b"").status, 204);
    assert_eq!(rig.send("OPTIONS", "/v1/seals", &stranger, b"").status, 403);
}

/// 31
#[test]
fn a31_ids_of_one_origin_are_nothing_to_another() {
    let other = "https://other.example";
    let rig = Rig::with(
        |_| Reply::Approve(PIN),
        |config| {
            config.http.origins.insert(Origin::parse(other).unwrap());
        },
    );
    let id = rig.upload(&document(1));
    let request = rig.ask(&id);
    assert_eq!(rig.wait(&request)["state"], "done");
    let as_other = |method: &str, path: &str| rig.send(method, path, &[("Origin", other)], b"").status;
    for (method, path) in [
        ("GET", format!("/v1/signatures/{request}")),
        ("DELETE", format!("/v1/signatures/{request}")),
        ("GET", format!("/v1/signatures/{request}/documents/{id}")),
        ("DELETE", format!("/v1/documents/{id}")),
    ] {
        assert_eq!(as_other(method, &path), 404, "{method} {path}");
    }
    let item = json!({"documentId": id, "seal": rig.seal.es_id(), "stamp": {"kind": "none"}});
    let headers = [("Origin", other), ("Content-Type", "application/json")];
    let answer = rig.send("POST", "/v1/signatures", &headers, json!({"items": [item]}).to_string().as_bytes());
    assert_eq!(answer.json()["code"], "document_not_found");
}

/// 33, 37, 52: no field of any request takes a PIN, library or path.
#[test]
fn a33_a37_a52_fields_that_do_not_exist_are_refused() {
    let rig = Rig::new();
    let id = rig.upload(&document(1));
    let good = json!({"documentId": id, "seal": rig.seal.es_id(), "stamp": {"kind": "none"}});
    for (field, value) in [
        ("pin", json!(PIN)),
        ("path", json!("/etc/passwd")),
        ("library", json!("\\\\evil\\x.dll")),
        ("url", json!("file:///etc/passwd")),
    ] {
        let mut item = good.clone();
        item[field] = value.clone();
        assert_eq!(rig.post("/v1/signatures", &json!({"items": [item]})).json()["code"], "bad_request", "{field} in the item");
        let mut body = json!({"items": [good.clone()]});
        body[field] = value.clone();
        assert_eq!(rig.post("/v1/signatures", &body).json()["code"], "bad_request", "{field} in the body");
        let path = format!("/v1/tokens?{field}=x");
        assert_eq!(rig.get(&path).json()["code"], "bad_request", "{field} in the query");
    }
    nothing_was_asked(&rig);
}

#[test]
fn requests_of_wrong_form_are_refused_with_their_reason() {
    let rig = Rig::new();
    let id = rig.upload(&document(1));
    let seal = rig.seal.es_id().to_owned();
    let item = |stamp: Value| json!({"documentId": id, "seal": seal, "stamp": stamp});
    let code = |body: Value| rig.post("/v1/signatures", &body).json()["code"].as_str().unwrap_or_default().to_owned();
    assert_eq!(code(json!({})), "bad_request");
    assert_eq!(code(json!({"items": []})), "bad_request");
    assert_eq!(code(json!({"items": vec![item(json!({"kind": "none"})); 1001]})), "bad_request");
    assert_eq!(code(json!({"items": [item(json!({"kind": "page", "pages": [0], "x": 1, "y": 1}))]})), "page_not_found");
    assert_eq!(code(json!({"items": [item(json!({"kind": "keyword", "text": "", "dx": 0, "dy": 0}))]})), "bad_request");
    assert_eq!(code(json!({"items": [item(json!({"kind": "stamp"}))]})), "bad_request");
    assert_eq!(code(json!({"items": [item(json!({"kind": "none"}))], "timestamp": "x"})), "bad_request");
    assert_eq!(code(json!({"digests": [{"name": "x", "sm3": "00", "property": "p", "seal": "1"}]})), "bad_request");
    let digest = json!({"name": "x", "sm3": "00".repeat(32), "property": "p", "seal": seal});
    assert_eq!(code(json!({"digests": [digest]})), "policy_refused");
    assert_eq!(rig.events(), ["refused"], "a refusal of policy is recorded");
    // Nothing that could search is installed here, which shows when the document is looked at.
    let begun =
        rig.post("/v1/signatures", &json!({"items": [item(json!({"kind": "keyword", "text": "盖章", "dx": 0, "dy": 0}))]}));
    let ended = rig.wait(begun.json()["signatureId"].as_str().unwrap());
    assert_eq!(ended["items"][0]["code"], "keyword_unsearchable", "{ended}");
}

/// What fails after 202 is told in the item, with the code of the catalogue.
#[test]
fn failures_of_items_have_stable_codes() {
    let rig = Rig::new();
    let id = rig.upload(&document(2));
    let ask = |seal: &str, stamp: Value| {
        let item = json!({"documentId": id, "seal": seal, "stamp": stamp});
        let answer = rig.post("/v1/signatures", &json!({"items": [item]}));
        assert_eq!(answer.status, 202, "{answer:?}");
        let status = rig.wait(answer.json()["signatureId"].as_str().unwrap());
        assert_eq!(status["state"], "failed");
        assert!(status["items"][0]["messageZh"].as_str().is_some_and(|m| m.ends_with('。')));
        status["items"][0]["code"].as_str().unwrap().to_owned()
    };
    let seal = rig.seal.es_id();
    assert_eq!(ask("99999999999999", json!({"kind": "none"})), "seal_not_found");
    assert_eq!(ask(seal, json!({"kind": "page", "pages": [3], "x": 1, "y": 1})), "page_not_found");
    assert_eq!(ask(seal, json!({"kind": "page", "pages": [1], "x": 200, "y": 1})), "stamp_outside_page");
    rig.set_clock(NOW + 400 * 86_400);
    assert_eq!(ask(seal, json!({"kind": "none"})), "certificate_expired");
    rig.set_clock(NOW - 10 * 86_400);
    assert_eq!(ask(seal, json!({"kind": "none"})), "certificate_expired");
    rig.set_clock(NOW);
    assert_eq!(rig.person.shown().len(), 0, "nobody is asked for what cannot be done");
}

/// 29, 30
#[test]
fn a29_a30_digest_only_is_for_its_origins_and_says_that_nothing_was_seen() {
    let digest = "https://digest.example";
    let rig = Rig::with(
        |_| Reply::Approve(PIN),
        |config| {
            config.http.digest_only.insert(Origin::parse(digest).unwrap());
        },
    );
    let headers = [("Origin", digest), ("Content-Type", "application/json")];
    let item = |kind: &str| json!({"name": "contract", "sm3": "11".repeat(32), "property": "/Doc_0/Signs/Sign_0/Signature.xml", "seal": rig.seal.es_id(), "signedValue": kind});
    let body = json!({"digests": [item("ses"), item("gbt35275")]}).to_string();
    let answer = rig.send("POST", "/v1/signatures", &headers, body.as_bytes());
    let path = format!("/v1/signatures/{}?wait=20", answer.json()["signatureId"].as_str().unwrap());
    let mut status = Value::Null;
    for _ in 0..10 {
        status = rig.send("GET", &path, &[("Origin", digest)], b"").json();
        if status["state"] == "done" {
            break;
        }
    }
    assert_eq!(status["state"], "done", "{status}");
    let value = |n: usize| {
        let text = status["items"][n]["signedValue"].as_str().unwrap();
        base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, text).unwrap()
    };
    let ses = sealagent::ses::SesSignature::parse(&value(0)).unwrap();
    assert_eq!(ses.data_hash(), [0x11; 32]);
    let cms = sealagent::cms::SignedData::parse(&value(1)).unwrap();
    assert!(cms.signers()[0].attributes().is_some(), "never bare bytes of the page");
    let shown = &rig.person.shown()[0].items;
    assert!(shown.iter().all(|i| matches!(i.document, sealagent::consent::summary::DocumentShown::DigestOnly { .. })));
    let data = rig.send("GET", &format!("/v1/seals/{}/data", rig.seal.es_id()), &[("Origin", digest)], b"");
    assert_eq!(data.body, rig.seal.raw());
}

#[test]
fn the_same_idempotency_key_is_the_same_request() {
    let rig = Rig::new();
    let id = rig.upload(&document(1));
    let body = |close: bool| {
        let item = json!({"documentId": id, "seal": rig.seal.es_id(), "stamp": {"kind": "none"}, "close": close});
        json!({"items": [item], "idempotencyKey": "k1"})
    };
    let first = rig.post("/v1/signatures", &body(false)).json();
    assert_eq!(rig.post("/v1/signatures", &body(false)).json(), first);
    let conflict = rig.post("/v1/signatures", &body(true));
    assert_eq!((conflict.status, conflict.json()["code"].clone()), (409, json!("idempotency_conflict")));
    rig.wait(first["signatureId"].as_str().unwrap());
    assert_eq!(rig.person.shown().len(), 1);
}

/// 20, 24
#[test]
fn a20_a24_a_flood_of_requests_shows_one_prompt_and_is_refused() {
    let rig = Rig::with(|_| Reply::Silence, |_| {});
    let id = rig.upload(&document(1));
    let item = json!({"documentId": id, "seal": rig.seal.es_id(), "stamp": {"kind": "none"}});
    let codes: Vec<u16> = (0..100).map(|_| rig.post("/v1/signatures", &json!({"items": [item]})).status).collect();
    let accepted = codes.iter().filter(|c| **c == 202).count();
    assert!(accepted <= 4, "{accepted}");
    assert!(codes.iter().all(|c| matches!(c, 202 | 409 | 429)), "{codes:?}");
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(rig.person.shown().len(), 1, "one is visible");
}

/// 32
#[test]
fn a32_a_deleted_request_closes_its_prompt_and_signs_nothing() {
    let rig = Rig::with(|_| Reply::Silence, |_| {});
    let id = rig.upload(&document(1));
    let request = rig.ask(&id);
    while rig.person.shown().is_empty() {
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(rig.send("DELETE", &format!("/v1/signatures/{request}"), &[("Origin", ORIGIN)], b"").status, 204);
    while rig.events().is_empty() {
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(rig.events(), ["cancelled"]);
    assert_eq!(rig.tries_left(), TRIES);
    assert_eq!(rig.get(&format!("/v1/signatures/{request}")).status, 404);
}

/// 32
#[test]
fn a32_a_result_that_nobody_fetched_is_recorded_as_not_delivered() {
    let rig = Rig::new();
    let id = rig.upload(&document(1));
    for fetch in [true, false] {
        let request = rig.ask(&id);
        assert_eq!(rig.wait(&request)["state"], "done");
        if fetch {
            assert_eq!(rig.get(&format!("/v1/signatures/{request}/documents/{id}")).status, 200);
        }
        assert_eq!(rig.send("DELETE", &format!("/v1/signatures/{request}"), &[("Origin", ORIGIN)], b"").status, 204);
        std::thread::sleep(Duration::from_millis(1500));
    }
    assert_eq!(rig.events(), ["accepted", "signed", "accepted", "signed", "notDelivered"]);
}

/// 36 (I2): after a right and a wrong PIN neither is anywhere.
#[test]
fn a36_a_pin_is_in_no_log_answer_or_file() {
    const WRONG: &str = "902715364801";
    let logs = capture_logs();
    let rig = Rig::with(|summary| Reply::Approve(if summary.attempt == 1 { WRONG } else { PIN }), |_| {});
    let id = rig.upload(&document(1));
    let request = rig.ask(&id);
    let status = rig.wait(&request);
    assert_eq!(status["state"], "done");
    assert_eq!(rig.person.shown().len(), 2);
    let mut places = vec![("answers".to_owned(), status.to_string().into_bytes())];
    places.push(("signed".into(), rig.get(&format!("/v1/signatures/{request}/documents/{id}")).body));
    places.push(("tokens".into(), rig.get("/v1/tokens").body));
    files_below(rig.dir.path(), &mut places);
    places.push(("logs".into(), logs.lock().unwrap().clone()));
    assert!(places.iter().any(|(name, bytes)| name == "logs" && !bytes.is_empty()), "the logs were looked at");
    assert!(places.len() > 8);
    for (name, bytes) in places {
        for pin in [PIN, WRONG] {
            let utf16: Vec<u8> = pin.encode_utf16().flat_map(u16::to_le_bytes).collect();
            for needle in [pin.as_bytes(), utf16.as_slice()] {
                assert!(!bytes.windows(needle.len()).any(|w| w == needle), "a PIN is in {name}");
            }
        }
    }
}

fn files_below(folder: &Path, out: &mut Vec<(String, Vec<u8>)>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files_below(&path, out);
        } else {
            out.push((path.display().to_string(), std::fs::read(&path).unwrap()));
        }
    }
}

/// All that this process logs, at every level.
fn capture_logs() -> std::sync::Arc<std::sync::Mutex<Vec<u8>>> {
    #[derive(Clone)]
    struct Sink(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);
    impl std::io::Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let sink = Sink(std::sync::Arc::default());
    let logs = sink.0.clone();
    tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(move || sink.clone()).init();
    logs
}

/// The codes that answers carry, with their statuses: a contract.
#[test]
fn codes_and_statuses_are_those_of_the_contract() {
    use sealagent::failure::Code;
    let contract = [
        (400, "bad_request"),
        (401, "not_paired session_ended"),
        (403, "origin_refused policy_refused"),
        (404, "not_found seal_not_found document_not_found"),
        (405, "method_not_allowed"),
        (408, "timed_out"),
        (409, "busy idempotency_conflict"),
        (413, "too_large"),
        (415, "wrong_content_type"),
        (421, "wrong_host"),
        (429, "too_many_requests"),
        (
            422,
            "document_malformed document_closed document_encrypted document_signature_broken page_not_found stamp_outside_page \
             keyword_not_found keyword_unsearchable seal_expired seal_not_yet_valid seal_invalid seal_cancelled \
             seal_certificate_mismatch seal_picture_unsupported certificate_expired licence_mismatch",
        ),
        (500, "internal audit_unavailable"),
        (503, "unavailable"),
        (507, "disk_full"),
    ];
    let mut known = BTreeSet::new();
    for (status, codes) in contract {
        for code in codes.split_whitespace() {
            let found = Code::ALL.iter().find(|c| c.as_str() == code).unwrap_or_else(|| panic!("{code} is gone"));
            assert_eq!(found.status(), status, "{code}");
            known.insert(code);
        }
    }
    let items = "token_absent token_removed token_busy pin_blocked driver_timeout driver_crashed token_signature_invalid \
                 timestamp_failed seal_status_unanswered preview_unavailable prompt_unavailable pin_change_unsupported pin_incorrect pin_last_try pin_unacceptable";
    known.extend(items.split_whitespace());
    assert_eq!(Code::ALL.iter().map(|c| c.as_str()).collect::<BTreeSet<_>>(), known);
}
