//! The event stream over a WebSocket, as an honest page, a paired page and a hostile page meet it. Numbers are those of the list of
//! attacks.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common {
    pub mod rig;
}

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use common::rig::{ORIGIN, Rig, company, document};
use sealagent::consent::Origin;
use sealagent::consent::scripted::Reply;
use serde_json::{Value, json};

const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

/// A page's end of the stream.
struct Socket(TcpStream);

/// A frame of the agent.
#[derive(Debug, PartialEq)]
enum Frame {
    Text(Value),
    Pong(Vec<u8>),
    Close(u16),
}

/// The handshake with these headers beside `Host`; the status and what follows.
fn handshake(rig: &Rig, headers: &[(&str, &str)]) -> (u16, String, Socket) {
    let mut stream = TcpStream::connect(("127.0.0.1", rig.port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(15))).unwrap();
    let mut request = format!("GET /v1/events HTTP/1.1\r\nHost: 127.0.0.1:{}\r\n", rig.port);
    for (name, value) in headers {
        request += &format!("{name}: {value}\r\n");
    }
    stream.write_all((request + "\r\n").as_bytes()).unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), head, Socket(stream))
}

const GOOD: [(&str, &str); 5] = [
    ("Connection", "keep-alive, Upgrade"),
    ("Upgrade", "websocket"),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Key", KEY),
    ("Sec-WebSocket-Protocol", "sealagent.v1"),
];

fn open(rig: &Rig, origin: &str) -> Socket {
    let (status, head, socket) = handshake(rig, &[&GOOD[..], &[("Origin", origin)]].concat());
    assert_eq!(status, 101, "{head}");
    assert!(head.to_ascii_lowercase().contains("sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo="), "{head}");
    socket
}

impl Socket {
    fn send(&mut self, first: u8, payload: &[u8]) {
        let mut frame = vec![first, 0x80 | u8::try_from(payload.len()).unwrap(), 1, 2, 3, 4];
        assert!(payload.len() < 126);
        frame.extend(payload.iter().zip([1, 2, 3, 4].iter().cycle()).map(|(byte, mask)| byte ^ mask));
        let _ = self.0.write_all(&frame);
    }

    /// The next frame that is not about tokens: the agent may find its token while the test begins.
    fn next(&mut self) -> Frame {
        loop {
            match self.any() {
                Frame::Text(event) if event["type"] == "tokenAdded" => {}
                frame => return frame,
            }
        }
    }

    fn any(&mut self) -> Frame {
        let mut head = [0; 2];
        self.0.read_exact(&mut head).unwrap();
        let mut length = usize::from(head[1]);
        assert!(length < 127, "masked or long");
        if length == 126 {
            let mut long = [0; 2];
            self.0.read_exact(&mut long).unwrap();
            length = usize::from(u16::from_be_bytes(long));
        }
        let mut payload = vec![0; length];
        self.0.read_exact(&mut payload).unwrap();
        match head[0] {
            0x81 => Frame::Text(serde_json::from_slice(&payload).unwrap()),
            0x88 => Frame::Close(u16::from_be_bytes(payload.try_into().unwrap())),
            0x8a => Frame::Pong(payload),
            other => panic!("frame {other:#x}"),
        }
    }

    fn is_closed(&mut self) -> bool {
        matches!(self.0.read(&mut [0; 1]), Ok(0) | Err(_))
    }
}

#[test]
fn a_page_hears_of_its_requests_and_of_nobody_elses() {
    let other = "https://other.example";
    let rig =
        Rig::with(|_| Reply::Approve(common::rig::PIN), |config| config.http.origins.extend([Origin::parse(other).unwrap()]));
    let (mut own, mut foreign) = (open(&rig, ORIGIN), open(&rig, other));
    let request = rig.ask(&rig.upload(&document(1)));
    let mut states = Vec::new();
    while states.last().is_none_or(|state| state != "done") {
        let Frame::Text(event) = own.next() else { panic!("no event") };
        assert_eq!((&event["type"], &event["signatureId"]), (&json!("signatureChanged"), &json!(request)));
        states.push(event["state"].as_str().unwrap().to_owned());
    }
    assert!(states.iter().all(|state| ["signing", "done"].contains(&state.as_str())), "{states:?}");
    foreign.send(0x89, b"x");
    assert_eq!(foreign.next(), Frame::Pong(b"x".to_vec()), "nothing came before the pong");
    own.send(0x88, &1000u16.to_be_bytes());
    assert_eq!(own.next(), Frame::Close(1000));
    assert!(own.is_closed());
}

#[test]
fn a_page_hears_of_a_token_that_comes() {
    let mut rig = Rig::new();
    let known = rig.get("/v1/tokens").json();
    let mut page = open(&rig, ORIGIN);
    let tokens = rig.dir.path().join("tokens");
    company(&mut rig.region, &tokens);
    let token = loop {
        let Frame::Text(event) = page.any() else { panic!("no event") };
        assert_eq!(event["type"], "tokenAdded");
        if event["token"] != known[0]["id"] {
            break event["token"].clone();
        }
    };
    let now = rig.get("/v1/tokens").json();
    assert!(now.as_array().unwrap().iter().any(|listed| listed["id"] == token), "{token} in {now}");
}

/// Attack item 16.
#[test]
fn only_pages_that_may_call_get_a_stream() {
    let rig = Rig::new();
    for origin in ["https://evil.example", "null", "http://sign.example", "https://sign.example.evil.example"] {
        let (status, head, _) = handshake(&rig, &[&GOOD[..], &[("Origin", origin)]].concat());
        assert_eq!(status, 403, "{origin}");
        assert!(!head.to_ascii_lowercase().contains("sec-websocket-accept"));
    }
    assert_eq!(handshake(&rig, &GOOD).0, 403, "no origin");
    for (n, (name, wrong)) in [
        ("Connection", "close"),
        ("Upgrade", "h2c"),
        ("Sec-WebSocket-Version", "8"),
        ("Sec-WebSocket-Key", "short"),
        ("Sec-WebSocket-Protocol", "other"),
    ]
    .into_iter()
    .enumerate()
    {
        let mut headers = [&GOOD[..], &[("Origin", ORIGIN)]].concat();
        headers[n].1 = wrong;
        assert_eq!(handshake(&rig, &headers).0, 400, "{name}: {wrong}");
    }
}

/// Attack item 8.
#[test]
fn floods_and_what_no_page_sends_end_the_stream() {
    let rig = Rig::new();
    let mut flooding = open(&rig, ORIGIN);
    for _ in 0..40 {
        flooding.send(0x89, b"");
    }
    let end = std::iter::repeat_with(|| flooding.next()).find(|frame| *frame != Frame::Pong(Vec::new()));
    assert_eq!(end, Some(Frame::Close(1008)));
    for (first, payload, code) in
        [(0x01, b"a".as_slice(), 1008), (0x82, b"a", 1003), (0xc1, b"a", 1002), (0x81, b"\xff", 1007), (0x81, b"text", 1008)]
    {
        let mut socket = open(&rig, ORIGIN);
        socket.send(first, payload);
        assert_eq!(socket.next(), Frame::Close(code), "{first:#x}");
        assert!(socket.is_closed());
    }
    let mut unmasked = open(&rig, ORIGIN);
    unmasked.0.write_all(&[0x81, 1, b'a']).unwrap();
    assert_eq!(unmasked.next(), Frame::Close(1002));
    // Many streams, bounded; the page that calls is served all the same.
    let open_now: Vec<_> = (0..80).map(|_| handshake(&rig, &[&GOOD[..], &[("Origin", ORIGIN)]].concat())).collect();
    assert_eq!(open_now.iter().filter(|(status, ..)| *status == 101).count(), 64);
    assert_eq!(rig.get("/v1/seals").status, 200);
}
