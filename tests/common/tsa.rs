//! A time stamp service on a free port, of a region of its own, and what it can do wrong.

use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use sealagent::asn1::{INTEGER, OCTET_STRING, SEQUENCE, Tlv, integer, sequence};
use sealagent::sm::{Sm3Digest, sm3};
use sealauthority::{
    CertificateProfile, Identity, KeyProtection, Name, PrivateKey, Region, RegionNames, SerialNumber, issue_time_stamp,
};
use tempfile::TempDir;

use super::question::question;
use super::rig::{NOW, at};

/// What the service does wrong.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Wrong {
    /// It is another authority than the trusted one.
    Authority,
    /// It stamps another digest.
    Imprint,
    /// It answers another question.
    Nonce,
    /// It refuses.
    Refusal,
    /// It closes the connection.
    Silence,
    /// It sends more than an answer can have.
    Size,
    /// It sends an error page.
    Status,
}

/// The service.
pub struct Tsa {
    port: u16,
    asked: Arc<AtomicUsize>,
    region: Region,
    _folder: TempDir,
}

fn region(folder: &Path) -> Region {
    let names = RegionNames { id: "tsa".into(), name: "时间戳".into(), division: "440300".into() };
    Region::init(folder, &names, &KeyProtection::PlainForPilot, at(NOW - 86_400)).unwrap()
}

impl Tsa {
    /// Serves until the test ends.
    pub fn new(wrong: Option<Wrong>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut trusted = region(&folder.path().join("region"));
        let mut stranger = region(&folder.path().join("stranger"));
        let issuer = if wrong == Some(Wrong::Authority) { &mut stranger } else { &mut trusted };
        let key = PrivateKey::generate().unwrap();
        let subject = Name::china().organization("Test").common_name("TSA");
        let (profile, issued) = (CertificateProfile::TimeStampAuthority, at(NOW - 86_400));
        let certificate = issuer.issue(profile, &subject, &key.public_key(), issued, 365).unwrap();
        let authority = Identity::new(key, &certificate).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::new(AtomicUsize::new(0));
        let count = asked.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                count.fetch_add(1, Ordering::SeqCst);
                // The agent may have gone; the next question is another connection.
                let _ = answer(stream.unwrap(), &authority, wrong);
            }
        });
        Self { port, asked, region: trusted, _folder: folder }
    }

    /// Where it is.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/stamp", self.port)
    }

    /// How often it was asked.
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    /// Its region makes new lists on this day after the others.
    pub fn renew(&mut self, days: i64) {
        self.region.renew_crls(at(NOW + days * 86_400 - 3600)).unwrap();
    }

    /// Puts the service's region into a trust folder.
    pub fn trust(&self, trust: &Path) {
        self.region.write_trust_folder(trust).unwrap();
        let tsa = trust.join("tsa");
        std::fs::create_dir_all(&tsa).unwrap();
        std::fs::rename(trust.join("anchors/tsa-root.pem"), tsa.join("root.pem")).unwrap();
    }
}

fn answer(mut stream: TcpStream, authority: &Identity, wrong: Option<Wrong>) -> std::io::Result<()> {
    let (head, body) = question(&mut stream)?;
    let head = head.to_ascii_lowercase();
    assert!(head.starts_with("post /stamp http/1.1") && head.contains("content-type: application/timestamp-query"), "{head}");
    // TimeStampReq: the digest and the nonce are all that it says.
    let mut fields = Tlv::read_all(&body).unwrap().expect(SEQUENCE).unwrap().elements();
    fields.next(INTEGER).unwrap();
    let mut imprint = fields.next(SEQUENCE).unwrap().elements();
    imprint.next(SEQUENCE).unwrap();
    let mut digest = Sm3Digest(imprint.next(OCTET_STRING).unwrap().value.try_into().unwrap());
    let mut nonce = fields.next(INTEGER).unwrap().value.to_vec();
    let mut status = 0;
    match wrong {
        Some(Wrong::Imprint) => digest = sm3(b"another"),
        Some(Wrong::Nonce) => nonce[3] ^= 1,
        Some(Wrong::Refusal) => status = 2,
        Some(Wrong::Silence) => return Ok(()),
        Some(Wrong::Status) => return stream.write_all(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"),
        _ => {}
    }
    let (serial, nonce) = (SerialNumber::new(&[7]).unwrap(), SerialNumber::new(&nonce).unwrap());
    let token = issue_time_stamp(authority, &digest, at(NOW), &serial, Some(&nonce)).unwrap();
    let mut reply = sequence(&[&sequence(&[&integer(status)]), &token]);
    if wrong == Some(Wrong::Size) {
        reply.resize(100_000, 0);
    }
    write!(stream, "HTTP/1.1 200 OK\r\nContent-Type: application/timestamp-reply\r\nContent-Length: {}\r\n\r\n", reply.len())?;
    stream.write_all(&reply)
}
