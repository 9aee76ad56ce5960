//! `cargo run -p sealagent-fuzz --example make_seeds`: makes `fuzz/seeds/` anew, with our own code alone. Keys are random, so the bytes
//! differ from run to run; run it when a format gains a part that the seeds lack.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, dead_code)]

#[path = "../../tests/common/world.rs"]
mod world;

use std::fs;
use std::path::Path;

use sealagent::cms::{Content, Identifiers, SignedDataDraft};
use sealagent::ses::Version;
use sealagent::sm::sm3;
use ukey::{DriverError, KeyId, TokenId, wire};
use world::{World, contract, entry};

fn main() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::new(&folder.path().join("region"));
    let sealed = world.sign(&contract(1, 1), Version::V4);
    let twice = world.sign(&sealed, Version::V1);
    put("ofd", "unsigned.ofd", &contract(1, 1));
    put("ofd", "sealed.ofd", &sealed);
    put("ofd", "sealed-twice.ofd", &twice);
    put("verify", "sealed.ofd", &sealed);
    for version in [Version::V1, Version::V4, Version::V5] {
        put("ses", &format!("seal-{version}.esl"), world.seal(version).raw());
        let value = entry(&world.sign(&contract(1, 0), version), "Doc_0/Signs/Sign_0/SignedValue.dat");
        put("ses", &format!("value-{version}.dat"), &value);
        put("verify", &format!("value-{version}.dat"), &value);
    }
    put("certificate", "company.cer", &world.certificate);
    put("certificate", "root.cer", world.region.root().der());
    let trust = folder.path().join("trust");
    world.region.write_trust_folder(&trust).unwrap();
    for file in fs::read_dir(trust.join("crls")).unwrap().map(|e| e.unwrap().path()) {
        let list = fs::read(&file).unwrap();
        put(
            "revocation",
            &format!("{}.crl", file.file_stem().unwrap().display()),
            &sealagent::pki::trust::decode(&list).unwrap()[0],
        );
    }
    for (name, content) in [
        ("detached", Content::Detached(sm3(b"data"))),
        ("attached", Content::Attached(b"data")),
        ("digest", Content::Digest(sm3(b"data"))),
    ] {
        let draft = SignedDataDraft {
            identifiers: Identifiers::Gm,
            content_type: None,
            content,
            signer_certificate: &world.certificate,
            further_certificates: &[],
            signature_algorithm: sealagent::asn1::oid::SM2_WITH_SM3,
            signing_time: None,
            attributes: &[],
        };
        let unsigned = draft.to_be_signed().unwrap();
        let signed = unsigned.assemble(&world.key.sign(unsigned.signed_bytes())).unwrap();
        put("cms", &format!("{name}.der"), signed.raw());
        put("timestamp", &format!("no-token-{name}.der"), signed.raw());
    }
    let token = TokenId("token".into());
    frame("request-login", &wire::Request::Inspect { token: token.clone() }, b"");
    frame("request-pins", &wire::Request::ChangePin { token }, b"\x06135790\x06246801");
    frame("answer-failed", &wire::Answer::Failed { error: DriverError::KeyAbsent { key: KeyId("1".into()).0 } }, b"");
}

fn put(body: &str, name: &str, bytes: &[u8]) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds").join(body);
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join(name), bytes).unwrap();
}

fn frame(name: &str, header: &impl serde::Serialize, secret: &[u8]) {
    let mut bytes = Vec::new();
    wire::write_frame(&mut bytes, header, secret).unwrap();
    put("worker_frame", name, &bytes);
}
