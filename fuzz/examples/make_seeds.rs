//! `cargo run -p sealagent-fuzz --example make_seeds`: makes `fuzz/seeds/` anew, with our own code alone. Keys are random, so the bytes
//! differ from run to run; run it when a format gains a part that the seeds lack.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, dead_code)]

#[path = "../../tests/common/world.rs"]
mod world;

use std::fs;
use std::io::Cursor;
use std::path::Path;

use sealagent::cms::{Content, Identifiers, SignedData, SignedDataDraft};
use sealagent::document::{Prepared as _, Provider, Signable as _, SignatureKind, SigningPlan};
use sealagent::pdf::{Document, SignatureOptions, ValidationData};
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
    for (name, with_stream) in [("table", false), ("stream", true)] {
        let unsigned = pdf(with_stream);
        let mut signed = Vec::new();
        let plan = SigningPlan {
            placements: Vec::new(),
            kind: SignatureKind::Sign,
            provider: Provider { name: "sealagent".into(), version: "0".into() },
            time: world::SIGNED_AT.parse().unwrap(),
            close: false,
            room: 64,
        };
        let prepared = Document::open(Cursor::new(&unsigned)).unwrap().prepare(&plan).unwrap();
        prepared.embed(b"\x04\x04seal", &mut signed).unwrap();
        put("pdf", &format!("{name}.pdf"), &unsigned);
        put("pdf", &format!("{name}-signed.pdf"), &signed);
        put("verify", &format!("{name}-signed.pdf"), &signed);
        // As `sealagent upgrade` leaves it; what the stamp says is not the point.
        let data = ValidationData { certificates: vec![world.certificate.clone()], ..ValidationData::default() };
        let mut document = Document::open(Cursor::new(&signed)).unwrap();
        document.set_signature_options(SignatureOptions { stamps_document: Some(data), ..SignatureOptions::default() });
        let mut upgraded = Vec::new();
        document.prepare(&plan).unwrap().embed(b"\x04\x05stamp", &mut upgraded).unwrap();
        put("pdf", &format!("{name}-upgraded.pdf"), &upgraded);
        put("verify", &format!("{name}-upgraded.pdf"), &upgraded);
    }
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
    let now = world::MADE_AT.parse().unwrap();
    let seal = world.seal(Version::V4);
    world.region.change_seal(seal.es_id(), sealagent::pki::seal_status::SealState::Suspended, now).unwrap();
    let publication = sealauthority::Publication { base_url: Some("http://lists.example".into()), ..Default::default() };
    let content = |signed: &[u8]| SignedData::parse(signed).unwrap().content().unwrap().to_vec();
    let list = world.region.trust_list(&publication, now).unwrap();
    let (full, changes) = world.region.status(None, publication.fresh_for, now).unwrap();
    let query = sealagent::pki::seal_status::StatusQuery {
        es_id: seal.es_id().into(),
        seal_sm3: Some(sm3(seal.raw())),
        nonce: vec![9; 16],
    };
    put("regions", "query", &query.to_der());
    let signer = world.region.identity(sealauthority::Role::Status).unwrap();
    let answer = world.region.status_answer(&signer, query, publication.fresh_for, now).unwrap();
    for (name, signed) in [("list", &list), ("status", &full.unwrap()), ("changes", &changes), ("answer", &answer)] {
        put("regions", name, &content(signed));
    }
    put("regions", "signed-list", &list);
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
    // The byte says how the body reads the five numbers after it: xy, e, r, s; or k, –, t, –, s.
    put("sm2", "standard", &[[0].as_slice(), STANDARD.map(number).as_flattened()].concat());
    let (three, minus_one, zero, s) = ([&[0; 31], [3].as_slice()].concat(), number(N_LESS_ONE), [0; 32], [8; 32]);
    put("sm2", "three", &[&[2], three.as_slice(), &zero, &[5; 32], &zero, &s].concat());
    put("sm2", "infinity", &[[2].as_slice(), &minus_one, &zero, &s, &zero, &s].concat());
    put(
        "http_head",
        "upload",
        b"\x40POST /v1/documents?name=a HTTP/1.1\r\nHost: 127.0.0.1:17329\r\nContent-Length: 5\r\n\r\nhello",
    );
    put("http_head", "origin", b"https://sign.example.gov.cn:8443");
    let token = TokenId("token".into());
    frame("request-login", &wire::Request::Inspect { token: token.clone() }, b"");
    frame("request-pins", &wire::Request::ChangePin { token }, b"\x06135790\x06246801");
    frame("answer-failed", &wire::Answer::Failed { error: DriverError::KeyAbsent { key: KeyId("1".into()).0 } }, b"");
}

/// One page, a form and an annotation; its cross-reference a table or a stream.
fn pdf(with_stream: bool) -> Vec<u8> {
    let objects = [
        "<</Type/Catalog/Pages 2 0 R/AcroForm<</Fields[5 0 R]>>>>",
        "<</Type/Pages/Kids[3 0 R]/Count 1/MediaBox[0 0 595 842]>>",
        "<</Type/Page/Parent 2 0 R/Contents 4 0 R/Annots[5 0 R]>>",
        "<</Length 1>>stream\nq\nendstream",
        "<</Type/Annot/Subtype/Widget/FT/Sig/T(a)/Rect[9 9 99 99]/P 3 0 R>>",
    ];
    let mut bytes = b"%PDF-1.7\n".to_vec();
    let mut offsets = Vec::new();
    for (i, object) in objects.iter().enumerate() {
        offsets.push(bytes.len() as u32);
        bytes.extend(format!("{} 0 obj\n{object}\nendobj\n", i + 1).as_bytes());
    }
    let xref = bytes.len();
    if with_stream {
        offsets.push(xref as u32);
        bytes.extend(b"6 0 obj\n<</Type/XRef/Size 7/Root 1 0 R/W[1 4 1]/Index[1 6]/Length 36>>stream\n");
        for offset in offsets {
            bytes.push(1);
            bytes.extend(offset.to_be_bytes());
            bytes.push(0);
        }
        bytes.extend(b"\nendstream\nendobj\n");
    } else {
        let table: String = offsets.iter().map(|at| format!("{at:010} 00000 n \n")).collect();
        bytes.extend(format!("xref\n1 5\n{table}trailer\n<</Size 6/Root 1 0 R>>\n").as_bytes());
    }
    bytes.extend(format!("startxref\n{xref}\n%%EOF\n").as_bytes());
    bytes
}

/// Key, e, r and s of GB/T 32918.5 Annex A.2.
const STANDARD: [&str; 5] = [
    "09f9df311e5421a150dd7d161e4bc5c672179fad1833fc076bb08ff356f35020",
    "ccea490ce26775a52dc6ea718cc1aa600aed05fbf35e084a6632f6072da9ad13",
    "f0b43e94ba45accaace692ed534382eb17e6ab5a19ce7b31f4486fdfc0d28640",
    "f5a03b0648d2c4630eeac513e1bb81a15944da3827d5b74143ac7eaceee720b3",
    "b1b6aa29df212fd8763182bc0d421ca1bb9038fd1f7f42d4840b69c485bbc1aa",
];
/// k with which s = t gives infinity.
const N_LESS_ONE: &str = "fffffffeffffffffffffffffffffffff7203df6b21c6052b53bbf40939d54122";

fn number(hex: &str) -> [u8; 32] {
    hex.parse::<sealagent::sm::Sm3Digest>().unwrap().0
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
