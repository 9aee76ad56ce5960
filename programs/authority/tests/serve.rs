//! `serve`: questions made by OpenSSL, answers read by OpenSSL and by our own verifier.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;

use jiff::{SignedDuration, Timestamp};
use sealagent::pki::{Certificate, TimeStampToken, TrustStore};
use sealagent::sm::sm3;
use sealauthority::region::write_whole;
use sealauthority::serve::{Service, serve};
use sealauthority::{
    CertificateProfile, KeyProtection, Name, PrivateKey, Publication, Region, RegionNames, Role, SerialNumber, pem,
};

/// Status and body of an answer.
fn ask(address: SocketAddr, method: &str, path: &str, body: &[u8]) -> (u16, Vec<u8>) {
    let mut stream = TcpStream::connect(address).unwrap();
    let head = format!("{method} {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len());
    stream.write_all(head.as_bytes()).unwrap();
    let _ = stream.write_all(body); // a body that is too long is not read to its end
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
    let status = std::str::from_utf8(&answer[9..12]).unwrap().parse().unwrap();
    (status, answer[end..].to_vec())
}

fn openssl(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new("openssl").current_dir(folder).args(arguments).output().unwrap();
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[tokio::test(flavor = "multi_thread")]
async fn ocsp_time_stamps_and_files_are_served_and_nothing_else() {
    let temp = tempfile::tempdir().unwrap();
    let folder = temp.path();
    let names = RegionNames { id: "shenzhen".into(), name: "深圳".into(), division: "440300".into() };
    let mut region = Region::init(&folder.join("r"), &names, &KeyProtection::PlainForPilot, Timestamp::now()).unwrap();
    let key = PrivateKey::generate().unwrap().public_key();
    let name = Name::china().common_name("company");
    let leaf = region.issue(CertificateProfile::CompanySigning, &name, &key, Timestamp::now(), 300).unwrap();
    let certificate = |file: &str, der: &[u8]| {
        write_whole(&folder.join(file), pem::encode(pem::CERTIFICATE, der).as_bytes()).unwrap();
    };
    certificate("ca.pem", region.ca().der());
    certificate("leaf.pem", &leaf);
    let time_stamp_authority = region.certificate(Role::TimeStamp).unwrap();
    region.publish(&folder.join("out"), &Publication::default(), Timestamp::now()).unwrap();
    let service = Service { published: folder.join("out"), fresh_for: SignedDuration::from_hours(1) };
    let served = Region::open(&folder.join("r"), None).unwrap();
    let (tell, told) = tokio::sync::oneshot::channel();
    tokio::spawn(async move {
        let bound = move |address| tell.send(address).unwrap();
        serve(served, service, "127.0.0.1:0".parse().unwrap(), bound).await
    });
    let address = told.await.unwrap();

    openssl(folder, &["ocsp", "-issuer", "ca.pem", "-sm3", "-cert", "leaf.pem", "-reqout", "question"]);
    let question = std::fs::read(folder.join("question")).unwrap();
    let status = || {
        let (code, answer) = ask(address, "POST", "/ocsp", &question);
        assert_eq!(code, 200);
        std::fs::write(folder.join("answer"), answer).unwrap();
        openssl(folder, &["ocsp", "-issuer", "ca.pem", "-sm3", "-cert", "leaf.pem", "-respin", "answer", "-noverify"])
    };
    assert!(status().contains("leaf.pem: good"));
    let serial = SerialNumber::new(Certificate::parse(&leaf).unwrap().serial()).unwrap();
    region.revoke(&serial, None, Timestamp::now()).unwrap();
    assert!(status().contains("leaf.pem: revoked"), "in the same second, by another process");

    std::fs::write(folder.join("data"), b"signature value").unwrap();
    openssl(folder, &["ts", "-query", "-data", "data", "-sm3", "-cert", "-out", "stamp.tsq"]);
    let (code, answer) = ask(address, "POST", "/tsa", &std::fs::read(folder.join("stamp.tsq")).unwrap());
    let token = TimeStampToken::parse(&answer).unwrap();
    assert_eq!((code, token.imprint()), (200, sm3(b"signature value").0.as_slice()));
    assert!(token.verify(&token.signer(&TrustStore::empty()).unwrap()).is_ok());
    assert_eq!(token.signer(&TrustStore::empty()).unwrap().der(), time_stamp_authority.der());
    openssl(folder, &["ts", "-query", "-data", "data", "-sha256", "-out", "other.tsq"]);
    let (_, refused) = ask(address, "POST", "/tsa", &std::fs::read(folder.join("other.tsq")).unwrap());
    assert!(TimeStampToken::parse(&refused).is_err(), "another digest than SM3");

    let list = std::fs::read(folder.join("out/trust-list.p7b")).unwrap();
    assert_eq!(ask(address, "GET", "/trust-list.p7b", b""), (200, list));
    for (method, path, body, expected) in [
        ("GET", "/../r/keys/root.key", Vec::new(), 404),
        ("GET", "/store.sqlite", Vec::new(), 404),
        ("POST", "/trust-list.p7b", Vec::new(), 405),
        ("GET", "/ocsp", Vec::new(), 405),
        ("POST", "/ocsp", b"no question".to_vec(), 400),
        ("POST", "/tsa", vec![0x30, 0x80], 400),
        ("POST", "/status", vec![0; 2_000], 413),
    ] {
        assert_eq!(ask(address, method, path, &body).0, expected, "{method} {path}");
    }
}
