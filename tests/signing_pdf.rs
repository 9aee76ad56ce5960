//! PDFs through the pipeline: which value they carry, how several parties follow each other, and what is refused before anybody is asked.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common {
    pub mod pdf;
    pub mod rig;
}

use std::fs;
use std::io::{Cursor, Read as _};
use std::sync::Arc;

use common::pdf::file;
use common::rig::{NOW, ORIGIN, PIN, Rig, at, company, document as ofd};
use sealagent::config::PdfIdentifiers;
use sealagent::consent::Requester;
use sealagent::consent::prompt::Canceller;
use sealagent::consent::scripted::Reply;
use sealagent::consent::summary::DocumentShown;
use sealagent::failure::Code;
use sealagent::pdf::{self, PdfSignature};
use sealagent::signing::request::run_alone;
use sealagent::signing::subject::{Bytes, FileError};
use sealagent::signing::{Document, Output, Scratch, Signed, SignedValueKind, SigningItem, SigningRequest, State, Subject};
use sealagent::stamp::{Edge, PageNumber, PageSelection, RectMm, Stamp};
use sealagent::verify::report::{Code as Finding, Indication, Report, SignatureKind};
use sealagent::verify::{Context, Verifier};
use serde_json::json;

/// A contract of so many A4 pages with an empty signature field `buyer` on page 1; `trailer` goes into the trailer.
fn contract(pages: usize, trailer: &str) -> Vec<u8> {
    contract_with(pages, trailer, "")
}

/// The same; `field` goes into the field.
fn contract_with(pages: usize, trailer: &str, field: &str) -> Vec<u8> {
    let kids: String = (0..pages).map(|i| format!("{} 0 R ", 5 + 2 * i)).collect();
    let mut objects = vec![
        "<</Type/Catalog/Pages 2 0 R/AcroForm<</Fields[4 0 R]>>>>".to_owned(),
        format!("<</Type/Pages/Kids[{kids}]/Count {pages}/MediaBox[0 0 595.276 841.89]>>"),
        "<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>".into(),
        format!("<</Type/Annot/Subtype/Widget/FT/Sig/T(buyer)/F 4/P 5 0 R/Rect[100 100 240 220]{field}>>"),
    ];
    for i in 0..pages {
        let annotations = if i == 0 { "/Annots[4 0 R]" } else { "" };
        let content = content(&format!("Contract, page {}", i + 1));
        objects
            .push(format!("<</Type/Page/Parent 2 0 R/Resources<</Font<</F 3 0 R>>>>/Contents {} 0 R{annotations}>>", 6 + 2 * i));
        objects.push(content);
    }
    file(&objects, &format!("/ID[<00><00>]{trailer}"))
}

fn content(text: &str) -> String {
    let content = format!("BT /F 20 Tf 60 700 Td ({text}) Tj ET");
    format!("<</Length {}>>stream\n{content}\nendstream", content.len())
}

/// The file with a revision on top in which page 1 says something else.
fn with_other_text(bytes: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(bytes);
    let prev: usize = text.rsplit("startxref\n").next().unwrap().lines().next().unwrap().parse().unwrap();
    let size = text.rsplit("/Size ").next().unwrap().split(|c: char| !c.is_ascii_digit()).next().unwrap().to_owned();
    let mut out = bytes.to_vec();
    let object = out.len();
    out.extend(format!("6 0 obj\n{}\nendobj\n", content("Contract, for more")).as_bytes());
    let xref = out.len();
    out.extend(
        format!("xref\n6 1\n{object:010} 00000 n \ntrailer\n<</Size {size}/Root 1 0 R/Prev {prev}>>\nstartxref\n{xref}\n%%EOF\n")
            .as_bytes(),
    );
    out
}

fn scratch(rig: &Rig) -> Scratch {
    Scratch::Unlinked(rig.dir.path().join("scratch"))
}

fn open(rig: &Rig, bytes: &[u8]) -> Result<Arc<Document>, FileError> {
    let path = rig.dir.path().join("contract");
    fs::write(&path, bytes).unwrap();
    Document::of_file(&path, &scratch(rig)).map(Arc::new)
}

fn at_page_one() -> Stamp {
    Stamp::Page { pages: PageSelection::List(vec![PageNumber::new(1).unwrap()]), x: 50.0, y: 188.0, width: None }
}

/// An item with the format's own kind of value.
fn item(document: &Arc<Document>, seal: &str, stamp: Stamp) -> SigningItem {
    let subject = Subject::Document { document: document.clone(), stamp, close: false };
    SigningItem { subject, seal: seal.to_owned(), signed_value: document.format.signed_value() }
}

fn sign(rig: &Rig, items: Vec<SigningItem>) -> Signed {
    let (_canceller, cancel) = Canceller::new();
    let request = SigningRequest { requester: Requester::CommandLine, items, timestamp: None, require_valid: false };
    rig.runtime.block_on(run_alone(&rig.app.signer, request, &scratch(rig), cancel)).unwrap()
}

fn code(signed: &Signed) -> Option<Code> {
    signed.status.items.iter().find_map(|item| item.failure.as_ref()).map(|failure| failure.code)
}

fn outputs(signed: &Signed) -> Vec<Vec<u8>> {
    assert_eq!(signed.status.state, State::Done, "{:?}", signed.status);
    let read = |output: &Output| {
        let Output::Document { draft, .. } = output else { panic!("{output:?}") };
        let mut bytes = Vec::new();
        Bytes::new(draft.file.try_clone().unwrap()).unwrap().reader().read_to_end(&mut bytes).unwrap();
        bytes
    };
    signed.outputs.iter().map(read).collect()
}

/// `bytes` with one more signature that shows the seal at `stamp`.
fn sealed(rig: &Rig, bytes: &[u8], seal: &str, stamp: Stamp) -> Vec<u8> {
    let signed = sign(rig, vec![item(&open(rig, bytes).unwrap(), seal, stamp)]);
    let [out] = outputs(&signed).try_into().unwrap();
    out
}

/// Sealed by the rig's company on page 1, with nothing allowed afterwards.
fn closed(rig: &Rig, bytes: &[u8]) -> Vec<u8> {
    let mut wish = item(&open(rig, bytes).unwrap(), rig.seal.es_id(), at_page_one());
    let Subject::Document { close, .. } = &mut wish.subject else { unreachable!() };
    *close = true;
    let [out] = outputs(&sign(rig, vec![wish])).try_into().unwrap();
    out
}

fn report(rig: &Rig, bytes: &[u8]) -> Report {
    Verifier::verify(Cursor::new(bytes), &Context::new(&rig.app.signer.trust.current(), at(NOW)))
}

fn assert_all_passed(rig: &Rig, bytes: &[u8], kinds: &[SignatureKind]) {
    let report = report(rig, bytes);
    assert_eq!(report.indication, Indication::TotalPassed, "{:#?} {:#?}", report.signatures, report.findings);
    assert_eq!(report.signatures.iter().map(|s| s.kind).collect::<Vec<_>>(), kinds);
}

fn signatures(bytes: &[u8]) -> Vec<PdfSignature> {
    pdf::Document::open(Cursor::new(bytes)).unwrap().signatures().unwrap()
}

fn assert_near(found: RectMm, expected: RectMm) {
    let differences = [found.x - expected.x, found.y - expected.y, found.width - expected.width, found.height - expected.height];
    assert!(differences.iter().all(|d| d.abs() < 0.01), "{found:?} is not {expected:?}");
}

#[test]
fn pdf_carries_signed_data_and_shows_the_seal_where_the_person_was_told() {
    let rig = Rig::new();
    let before = contract(2, "");
    let after = sealed(&rig, &before, rig.seal.es_id(), at_page_one());
    assert_all_passed(&rig, &after, &[SignatureKind::Gbt35275]);
    assert!(after.starts_with(&before), "no byte of the contract is touched");
    // Room for certificate, attributes and a time stamp, two digits a byte; the seal itself is not in the value.
    assert!(after.len() - before.len() < 45_000, "{}", after.len() - before.len());

    let [signature] = signatures(&after).try_into().unwrap();
    assert_eq!(
        (signature.filter.as_deref(), signature.sub_filter.as_deref()),
        (Some("Adobe.PPKLite"), Some("adbe.pkcs7.detached"))
    );
    assert!(signature.covers_whole_file());
    assert_near(signature.widgets[0].rect, RectMm { x: 50.0, y: 188.0, width: 40.0, height: 40.0 });

    let shown = rig.person.shown();
    let item = &shown[0].items[0];
    assert!(matches!(&item.document, DocumentShown::Seen { format: "PDF", pages: 2, .. }), "{:?}", item.document);
    assert_eq!((item.placements[0].page, item.placements[0].x, item.placements[0].y), (1, 50.0, 188.0));
    assert_eq!(rig.events(), ["accepted", "signed"]);
}

#[test]
fn seal_signature_is_made_on_wish_under_the_names_of_the_configuration() {
    for filters in [None, Some(("GM.PKILite", "GM.eSeal"))] {
        let names = filters.map(|(filter, sub)| (filter.to_owned(), sub.to_owned()));
        let rig = Rig::with(|_| Reply::Approve(PIN), |config| config.pdf.seal_filters = names);
        let mut wish = item(&open(&rig, &contract(1, "")).unwrap(), rig.seal.es_id(), at_page_one());
        wish.signed_value = SignedValueKind::Ses;
        let [out] = outputs(&sign(&rig, vec![wish])).try_into().unwrap();
        assert_all_passed(&rig, &out, &[SignatureKind::SesV4]);
        let [signature] = signatures(&out).try_into().unwrap();
        let found = (signature.filter.as_deref().unwrap(), signature.sub_filter.as_deref().unwrap());
        assert_eq!(found, filters.unwrap_or(("Adobe.PPKLite", "GM.sm2seal")));
    }
}

#[test]
fn content_types_are_those_of_the_configuration() {
    let signed_data_of_pkcs7 = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02";
    for (identifiers, is_pkcs7) in [(PdfIdentifiers::Gm, false), (PdfIdentifiers::Pkcs7, true)] {
        let rig = Rig::with(|_| Reply::Approve(PIN), |config| config.pdf.identifiers = identifiers);
        let out = sealed(&rig, &contract(1, ""), rig.seal.es_id(), at_page_one());
        assert_all_passed(&rig, &out, &[SignatureKind::Gbt35275]);
        let [signature] = signatures(&out).try_into().unwrap();
        assert_eq!(signature.contents.windows(11).any(|window| window == signed_data_of_pkcs7), is_pkcs7);
    }
}

#[test]
fn three_parties_sign_one_after_another_and_all_stay_valid() {
    let mut rig = Rig::new();
    let tokens = rig.dir.path().join("tokens");
    let seals = [rig.seal.clone(), company(&mut rig.region, &tokens).2, company(&mut rig.region, &tokens).2];
    let mut bytes = contract(3, "");
    let edge = Stamp::Straddle { edge: Edge::Right, pages: PageSelection::All, y: 60.0 };
    for (seal, stamp) in seals.iter().zip([at_page_one(), edge, Stamp::Nowhere]) {
        bytes = sealed(&rig, &bytes, seal.es_id(), stamp);
    }
    assert_all_passed(&rig, &bytes, &[SignatureKind::Gbt35275; 3]);
    let found = signatures(&bytes);
    assert!(found.iter().all(|signature| signature.changes.is_empty()), "{found:?}");
    assert_eq!(found[1].widgets.iter().map(|widget| widget.page).collect::<Vec<_>>(), [0, 1, 2], "a strip on each page");
    let signers: std::collections::BTreeSet<_> =
        report(&rig, &bytes).signatures.iter().map(|s| s.signer.as_ref().unwrap().sha256.clone()).collect();
    assert_eq!(signers.len(), 3);
}

#[test]
fn seal_and_straddle_seal_in_one_request_ask_once() {
    let rig = Rig::new();
    let document = open(&rig, &contract(3, "")).unwrap();
    let edge = Stamp::Straddle { edge: Edge::Left, pages: PageSelection::All, y: 120.0 };
    let code = rig.seal.es_id();
    let signed = sign(&rig, vec![item(&document, code, at_page_one()), item(&document, code, edge)]);
    let [out] = outputs(&signed).try_into().unwrap();
    assert_all_passed(&rig, &out, &[SignatureKind::Gbt35275; 2]);
    assert_eq!(rig.person.shown().len(), 1);
}

#[test]
fn document_that_was_closed_is_refused_before_anybody_is_asked() {
    let rig = Rig::new();
    // Closed by its first signature (DocMDP, P=1), and by a second one that locks all.
    let first = closed(&rig, &contract(1, ""));
    let second = closed(&rig, &sealed(&rig, &contract(1, ""), rig.seal.es_id(), Stamp::Nowhere));
    for (bytes, count) in [(first, 1), (second, 2)] {
        assert_all_passed(&rig, &bytes, &vec![SignatureKind::Gbt35275; count]);
        let asked = rig.person.shown().len();
        let document = open(&rig, &bytes).unwrap();
        assert!(document.closed);
        let signed = sign(&rig, vec![item(&document, rig.seal.es_id(), at_page_one())]);
        assert_eq!(code(&signed), Some(Code::DocumentClosed));
        assert!(signed.outputs.is_empty());
        assert_eq!(rig.person.shown().len(), asked);
    }
}

#[test]
fn encrypted_document_is_not_taken_in() {
    let rig = Rig::new();
    let bytes = contract(1, "/Encrypt<</Filter/Standard/V 2/R 3/Length 128/P -4/O(0)/U(0)>>");
    match open(&rig, &bytes) {
        Err(FileError::Failed(failure)) => assert_eq!(failure.code, Code::DocumentEncrypted),
        other => panic!("{other:?}"),
    }
    let answer = rig.send("POST", "/v1/documents?name=a.pdf", &[("Origin", ORIGIN), ("Content-Type", "application/pdf")], &bytes);
    assert_eq!((answer.status, answer.json()["code"].as_str()), (422, Some("document_encrypted")));
}

#[test]
fn nobody_signs_on_top_of_a_broken_signature() {
    let rig = Rig::new();
    let bytes = sealed(&rig, &contract(1, ""), rig.seal.es_id(), at_page_one());
    let mut flipped = bytes.clone();
    let place = flipped.windows(8).position(|window| window == b"Contract").unwrap();
    flipped[place] = b'c';
    let edited = with_other_text(&bytes);
    let changed = report(&rig, &edited);
    let names_it = changed.signatures[0].findings.iter().any(|finding| finding.code == Finding::ChangedAfterSigning);
    assert!(names_it, "the edit is what it is refused for: {changed:#?}");
    for broken in [flipped, edited] {
        let signed = sign(&rig, vec![item(&open(&rig, &broken).unwrap(), rig.seal.es_id(), at_page_one())]);
        assert_eq!(code(&signed), Some(Code::DocumentSignatureBroken));
        assert!(signed.outputs.is_empty());
    }
    assert_eq!(rig.person.shown().len(), 1, "only the good one was asked for");
}

#[test]
fn prepared_field_takes_the_seal_once() {
    let rig = Rig::new();
    let field = |name: &str| Stamp::Field { name: name.into() };
    let seal = rig.seal.es_id();
    let bytes = sealed(&rig, &contract(1, ""), seal, field("buyer"));
    assert_all_passed(&rig, &bytes, &[SignatureKind::Gbt35275]);
    let [signature] = signatures(&bytes).try_into().unwrap();
    assert_eq!(signature.field.as_deref(), Some("buyer"));
    let placement = &rig.person.shown()[0].items[0].placements[0];
    // A square seal in a field of 140 × 120 points: what is shown is what is drawn.
    assert!((placement.x - 110.0 * 25.4 / 72.0).abs() < 0.01 && placement.page == 1, "{placement:?}");
    assert!((placement.width - 120.0 * 25.4 / 72.0).abs() < 0.01 && placement.width == placement.height, "{placement:?}");

    let fresh = open(&rig, &contract(1, "")).unwrap();
    let package = open(&rig, &ofd(1)).unwrap();
    for refused in [
        vec![item(&open(&rig, &bytes).unwrap(), seal, field("buyer"))],
        vec![item(&fresh, seal, field("seller"))],
        vec![item(&fresh, seal, field("buyer")), item(&fresh, seal, field("buyer"))],
        vec![item(&package, seal, field("buyer"))],
    ] {
        assert_eq!(code(&sign(&rig, refused)), Some(Code::BadRequest));
    }
    assert_eq!(rig.person.shown().len(), 1);
}

/// A form's author may have prepared a field so that its signature is the last one.
#[test]
fn field_that_closes_the_document_says_so_to_the_person() {
    let rig = Rig::new();
    let bytes = contract_with(1, "", "/Lock<</Type/SigFieldLock/Action/All/P 1>>");
    let signed = sealed(&rig, &bytes, rig.seal.es_id(), Stamp::Field { name: "buyer".into() });
    assert!(rig.person.shown()[0].items[0].closes);
    assert!(open(&rig, &signed).unwrap().closed);
    sealed(&rig, &contract(1, ""), rig.seal.es_id(), Stamp::Field { name: "buyer".into() });
    assert!(!rig.person.shown()[1].items[0].closes);
}

#[test]
fn ofd_and_pdf_in_one_request_each_get_what_is_theirs() {
    let rig = Rig::new();
    let items = [open(&rig, &ofd(2)).unwrap(), open(&rig, &contract(2, "")).unwrap()];
    let signed = sign(&rig, items.iter().map(|document| item(document, rig.seal.es_id(), at_page_one())).collect());
    let [package, contract] = outputs(&signed).try_into().unwrap();
    assert_all_passed(&rig, &package, &[SignatureKind::SesV4]);
    assert_all_passed(&rig, &contract, &[SignatureKind::Gbt35275]);
    assert_eq!(rig.person.shown().len(), 1);
}

#[test]
fn page_gets_its_pdf_sealed() {
    let rig = Rig::new();
    let headers = [("Origin", ORIGIN), ("Content-Type", "application/pdf")];
    let answer = rig.send("POST", "/v1/documents?name=a.pdf", &headers, &contract(2, ""));
    let document = answer.json();
    assert_eq!((answer.status, document["format"].as_str()), (201, Some("pdf")));
    assert!((document["pages"][1]["widthMm"].as_f64().unwrap() - 210.0).abs() < 0.01, "{document}");
    let [field] = document["fields"].as_array().unwrap().as_slice() else { panic!("{document}") };
    assert_eq!((&field["name"], &field["closes"], &field["places"][0]["page"]), (&json!("buyer"), &json!(false), &json!(1)));
    // From the top, in mm: 841.89 - 220 points.
    assert!((field["places"][0]["y"].as_f64().unwrap() - 219.4).abs() < 0.1, "{document}");
    let id = document["documentId"].as_str().unwrap();
    let request = rig.ask(id);
    assert_eq!(rig.wait(&request)["state"], "done");
    let answer = rig.get(&format!("/v1/signatures/{request}/documents/{id}"));
    assert_eq!((answer.status, answer.header("Content-Type")), (200, Some("application/pdf")));
    assert_all_passed(&rig, &answer.body, &[SignatureKind::Gbt35275]);
    let in_field = sealed(&rig, &contract(1, ""), rig.seal.es_id(), Stamp::Field { name: "buyer".into() });
    let again = rig.send("POST", "/v1/documents?name=b.pdf", &headers, &in_field).json();
    assert_eq!(again["fields"], json!([]), "a signed field is none to choose");
}
