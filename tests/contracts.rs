//! What contracts need beyond one seal on one page: places by keyword, batches that are handed out as they are made and continued when
//! they break off, time stamps, whole folders. Numbers are attack items.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common {
    pub mod pdf;
    pub mod question;
    pub mod rig;
    pub mod tsa;
}

use std::fs;
use std::io::Cursor;
use std::num::NonZeroU32;
use std::path::Path;
use std::process::{Command, Output as Ran};
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::pdf::{file, pages};
use common::rig::{NOW, PIN, Rig, TRIES, at, document as ofd, sibling};
use common::tsa::{Tsa, Wrong};
use sealagent::consent::Origin;
use sealagent::consent::Requester;
use sealagent::consent::prompt::Canceller;
use sealagent::consent::scripted::Reply;
use sealagent::failure::Code;
use sealagent::ofd::write::{Item, NewDocument, NewPage};
use sealagent::pdf;
use sealagent::preview::Program;
use sealagent::signing::request::run_alone;
use sealagent::signing::subject::Bytes;
use sealagent::signing::{Document, Output, Scratch, Signed, SignedValueKind, SigningItem, SigningRequest, State, Subject};
use sealagent::stamp::{Edge, Occurrence, PageSelection, SizeMm, Stamp};
use sealagent::verify::report::{Indication, Report, TimeSource};
use sealagent::verify::{Context, Verifier};
use serde_json::{Value, json};
use ukey_virtual::faults::{Fault, Rule, Step, write_script};

/// An agent that can draw and search pages.
fn seeing() -> Rig {
    let patience = Duration::from_secs(120);
    let program = Program::at(sibling("sealagent-preview")).with_deadlines(patience, patience);
    Rig::with_preview(|_| Reply::Approve(PIN), |_| {}, Some(program))
}

fn scratch(rig: &Rig) -> Scratch {
    Scratch::Unlinked(rig.dir.path().join("scratch"))
}

fn open(rig: &Rig, bytes: &[u8]) -> Arc<Document> {
    let path = rig.dir.path().join("contract");
    fs::write(&path, bytes).unwrap();
    Arc::new(Document::of_file(&path, &scratch(rig)).unwrap())
}

fn item(rig: &Rig, document: &Arc<Document>, stamp: Stamp) -> SigningItem {
    SigningItem {
        subject: Subject::Document { document: document.clone(), stamp, close: false },
        seal: rig.seal.es_id().to_owned(),
        signed_value: document.format.signed_value(),
    }
}

fn sign(rig: &Rig, items: Vec<SigningItem>, timestamp: Option<&str>) -> Signed {
    let (_canceller, cancel) = Canceller::new();
    let request = SigningRequest {
        requester: Requester::CommandLine,
        items,
        timestamp: timestamp.map(str::to_owned),
        require_valid: false,
    };
    rig.runtime.block_on(run_alone(&rig.app.signer, request, &scratch(rig), cancel)).unwrap()
}

fn codes(signed: &Signed) -> Vec<Option<Code>> {
    signed.status.items.iter().map(|item| item.failure.as_ref().map(|failure| failure.code)).collect()
}

fn bytes_of(output: &Output) -> Vec<u8> {
    use std::io::Read as _;
    let Output::Document { draft, .. } = output else { panic!("{output:?}") };
    let mut bytes = Vec::new();
    Bytes::new(draft.file.try_clone().unwrap()).unwrap().reader().read_to_end(&mut bytes).unwrap();
    bytes
}

fn report(rig: &Rig, bytes: &[u8]) -> Report {
    Verifier::verify(Cursor::new(bytes), &Context::new(&rig.app.signer.trust.current(), at(NOW)))
}

/// Text with its baseline at (x, y) in points from the bottom left corner; mode 3 leaves no mark.
fn text(x: u32, y: u32, mode: u32, text: &str) -> String {
    format!("BT /F 12 Tf {mode} Tr {x} {y} Td ({text}) Tj ET ")
}

fn keyword(text: &str, occurrence: Occurrence, dx: f64, dy: f64) -> Stamp {
    Stamp::Keyword { text: text.into(), occurrence, dx, dy }
}

fn nth(n: u32) -> Occurrence {
    Occurrence::Nth(NonZeroU32::new(n).unwrap())
}

/// The person's places: page, x, y.
fn shown(rig: &Rig, prompt: usize, item: usize) -> Vec<(u32, f64, f64)> {
    rig.person.shown()[prompt].items[item].placements.iter().map(|p| (p.page, p.x, p.y)).collect()
}

fn assert_near(found: &[(u32, f64, f64)], expected: &[(u32, f64, f64)]) {
    let close = |(a, b): (&(u32, f64, f64), &(u32, f64, f64))| a.0 == b.0 && (a.1 - b.1).abs() < 1.0 && (a.2 - b.2).abs() < 1.5;
    assert!(found.len() == expected.len() && found.iter().zip(expected).all(close), "{found:?} is not {expected:?}");
}

const MM: f64 = 25.4 / 72.0;

#[test]
fn seals_land_by_the_keyword_that_a_person_can_see() {
    let rig = seeing();
    let hidden = text(60, 800, 3, "Seal here") + &text(100, 600, 0, "Seal here") + &text(300, 600, 0, "Seal here");
    let contract = open(&rig, &pages(&[&hidden, &text(200, 400, 0, "Seal here")]));
    let items = vec![
        item(&rig, &contract, keyword("Seal here", nth(1), 2.0, -3.0)),
        item(&rig, &contract, keyword("sealhere".replace('s', "S").as_str(), nth(3), 0.0, 0.0)),
        item(&rig, &contract, keyword("Seal here", Occurrence::All, -10.0, -10.0)),
    ];
    let signed = sign(&rig, items, None);
    assert_eq!(signed.status.state, State::Done, "{:?}", signed.status);
    // The font's box begins above the baseline by about its size.
    let top = |y: f64| (841.89 - y - 11.0) * MM;
    let (a, b, c) = ((100.0 * MM, top(600.0)), (300.0 * MM, top(600.0)), (200.0 * MM, top(400.0)));
    assert_near(&shown(&rig, 0, 0), &[(1, a.0 + 2.0, a.1 - 3.0)]);
    assert_near(&shown(&rig, 0, 1), &[(2, c.0, c.1)]);
    let all = [(1, a.0 - 10.0, a.1 - 10.0), (1, b.0 - 10.0, b.1 - 10.0), (2, c.0 - 10.0, c.1 - 10.0)];
    assert_near(&shown(&rig, 0, 2), &all);

    let bytes = bytes_of(&signed.outputs[0]);
    assert_eq!(report(&rig, &bytes).indication, Indication::TotalPassed);
    let signatures = pdf::Document::open(Cursor::new(&bytes)).unwrap().signatures().unwrap();
    let widgets: Vec<_> = signatures[2].widgets.iter().map(|w| (w.page as u32 + 1, w.rect.x, w.rect.y)).collect();
    for (widget, place) in widgets.iter().zip(shown(&rig, 0, 2)) {
        let same = widget.0 == place.0 && (widget.1 - place.1).abs() < 0.01 && (widget.2 - place.2).abs() < 0.01;
        assert!(same, "what lands is what was shown: {widget:?} {place:?}");
    }
}

#[test]
fn behind_a_page_that_cannot_be_searched_no_occurrence_is_counted() {
    let rig = seeing();
    let encoding = "/Encoding<</Type/Encoding/Differences[65/q1/q2/q3/q4/q5/q6/q7/q8/q9]>>";
    let page = |content: usize, font: usize| {
        format!("<</Type/Page/Parent 2 0 R/Resources<</Font<</F {font} 0 R>>>>/Contents {content} 0 R>>")
    };
    let stream = |content: &str| format!("<</Length {}>>stream\n{content}\nendstream", content.len());
    let contract = |order: &str| {
        let objects = [
            "<</Type/Catalog/Pages 2 0 R>>".to_owned(),
            format!("<</Type/Pages/Kids[{order}]/Count 2/MediaBox[0 0 595.276 841.89]>>"),
            "<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>".to_owned(),
            format!("<</Type/Font/Subtype/Type1/BaseFont/Helvetica{encoding}>>"),
            page(7, 4),
            page(8, 3),
            stream("BT /F 20 Tf 60 700 Td (ABCDEFGHI) Tj ET"),
            stream("BT /F 20 Tf 60 700 Td (Seal here) Tj ET"),
        ];
        open(&rig, &file(&objects, ""))
    };
    let (behind, before) = (contract("5 0 R 6 0 R"), contract("6 0 R 5 0 R"));
    let ask =
        |document: &Arc<Document>, which| sign(&rig, vec![item(&rig, document, keyword("Seal here", which, 2.0, -3.0))], None);
    for which in [nth(1), Occurrence::All] {
        assert_eq!(codes(&ask(&behind, which)), [Some(Code::KeywordUnsearchable)], "{which:?}");
    }
    assert_eq!(codes(&ask(&before, Occurrence::All)), [Some(Code::KeywordUnsearchable)]);
    assert_eq!(codes(&ask(&before, nth(1))), [None], "nothing before it is unknown");
}

#[test]
fn keywords_are_found_in_ofd_too_and_odd_pages_can_be_straddled() {
    let rig = seeing();
    let line = |y: f64, text: &str| Item::Text { x: 30.0, y, size: 5.0, font: "宋体".into(), text: text.into() };
    let page = |items| NewPage { size: SizeMm { width: 210.0, height: 297.0 }, items };
    let pages = vec![
        page(vec![line(50.0, "甲方：深圳市某某科技有限公司")]),
        page(vec![line(100.0, "甲方（盖章）"), line(140.0, "乙方（盖章）")]),
        page(vec![line(60.0, "附件")]),
    ];
    let mut bytes = Vec::new();
    NewDocument { title: "合同".into(), date: "2026-11-24".into(), pages, images: Vec::new() }.write(&mut bytes).unwrap();
    let contract = open(&rig, &bytes);
    let straddle = Stamp::Straddle { edge: Edge::Left, pages: PageSelection::Odd, y: 200.0 };
    let items = vec![item(&rig, &contract, keyword("乙方(盖章)", nth(1), 10.0, -20.0)), item(&rig, &contract, straddle)];
    let signed = sign(&rig, items, None);
    assert_eq!(signed.status.state, State::Done, "{:?}", signed.status);
    assert_near(&shown(&rig, 0, 0), &[(2, 40.0, 140.0 - 0.88 * 5.0 - 20.0)]);
    assert_near(&shown(&rig, 0, 1), &[(1, 0.0, 200.0), (3, 0.0, 200.0)]);
    assert_eq!(report(&rig, &bytes_of(&signed.outputs[0])).indication, Indication::TotalPassed);
}

#[test]
fn a_keyword_that_is_not_there_is_told_before_anyone_is_asked() {
    let rig = seeing();
    let contract = open(&rig, &pages(&[&(text(60, 700, 0, "Seal here") + &text(60, 500, 3, "Only hidden"))]));
    for (stamp, why) in [
        (keyword("Sign here", nth(1), 0.0, 0.0), "no visible text"),
        (keyword("Only hidden", nth(1), 0.0, 0.0), "no visible text"),
        (keyword("Seal here", nth(2), 0.0, 0.0), "occurs 1 times"),
    ] {
        let signed = sign(&rig, vec![item(&rig, &contract, stamp)], None);
        assert_eq!(codes(&signed), [Some(Code::KeywordNotFound)]);
        let detail = signed.status.items[0].failure.as_ref().unwrap().detail.clone().unwrap();
        assert!(detail.contains(why), "{detail}");
    }
    let outside = sign(&rig, vec![item(&rig, &contract, keyword("Seal here", nth(1), -60.0, 0.0))], None);
    assert_eq!(codes(&outside), [Some(Code::StampOutsidePage)]);
    assert_eq!(rig.person.shown().len(), 0);

    let blind = Rig::new();
    let id = blind.upload(&ofd(1));
    let stamp = json!({"kind": "keyword", "text": "合同", "nth": "all", "dx": 0.0, "dy": 0.0});
    let answer =
        blind.post("/v1/signatures", &json!({"items": [{"documentId": id, "seal": blind.seal.es_id(), "stamp": stamp}]}));
    let status = blind.wait(answer.json()["signatureId"].as_str().unwrap());
    assert_eq!(status["items"][0]["code"], "keyword_unsearchable", "no preview is installed: {status}");
}

#[test]
fn page_asks_by_keyword() {
    let rig = seeing();
    let id = rig.upload(&ofd(2));
    let ask = |stamp: Value| {
        rig.post("/v1/signatures", &json!({"items": [{"documentId": id, "seal": rig.seal.es_id(), "stamp": stamp}]}))
    };
    let answer = ask(json!({"kind": "keyword", "text": "采购合同", "nth": "all", "dx": 5.0, "dy": 10.0}));
    let status = rig.wait(answer.json()["signatureId"].as_str().unwrap());
    assert_eq!(status["state"], "done", "{status}");
    assert_eq!(rig.person.shown()[0].items[0].placements.len(), 2);
    for wrong in [
        json!({"kind": "keyword", "text": " ", "dx": 0.0, "dy": 0.0}),
        json!({"kind": "keyword", "text": "合同", "nth": 0, "dx": 0.0, "dy": 0.0}),
        json!({"kind": "keyword", "text": "合同", "nth": "last", "dx": 0.0, "dy": 0.0}),
        json!({"kind": "keyword", "text": "合同"}),
    ] {
        assert_eq!(ask(wrong.clone()).status, 400, "{wrong}");
    }
}

fn on_page_one() -> Value {
    json!({"kind": "page", "pages": [1], "x": 100.0, "y": 100.0})
}

/// A list of documents as a page sends it.
fn list(rig: &Rig, documents: &[String]) -> Vec<Value> {
    let entry = |id: &String| json!({"documentId": id, "seal": rig.seal.es_id(), "stamp": on_page_one()});
    documents.iter().map(entry).collect()
}

/// 31: what is asked for is what the page's list says, or it is not asked for.
#[test]
fn a31_a_list_is_held_to_its_count_its_digests_and_its_names() {
    let other = "https://other.example";
    let rig = Rig::with(|_| Reply::Approve(PIN), |config| config.http.origins.extend([Origin::parse(other).unwrap()]));
    let files = [ofd(1), ofd(2)];
    let documents = files.each_ref().map(|bytes| rig.upload(bytes));
    let digests = files.each_ref().map(|bytes| sealagent::sm::sm3(bytes).to_string());
    let body = |change: &dyn Fn(&mut Value)| {
        let mut items = list(&rig, &documents);
        for (item, sm3) in items.iter_mut().zip(&digests) {
            (item["sm3"], item["name"]) = (json!(sm3), json!("a.ofd"));
        }
        let mut body = json!({"items": items, "count": 2, "idempotencyKey": "list-1"});
        change(&mut body);
        body
    };
    for (what, change) in [
        ("over the count", &(|body: &mut Value| body["count"] = json!(1)) as &dyn Fn(&mut Value)),
        ("under the count", &|body| body["count"] = json!(3)),
        ("another document", &|body| body["items"][0]["documentId"] = body["items"][1]["documentId"].clone()),
        ("another name", &|body| body["items"][1]["name"] = json!("b.ofd")),
    ] {
        let answer = rig.post("/v1/signatures", &body(change));
        assert_eq!((answer.status, answer.json()["code"].as_str()), (400, Some("bad_request")), "{what}");
    }
    let stolen = rig.send(
        "POST",
        "/v1/signatures",
        &[("Origin", other), ("Content-Type", "application/json")],
        body(&|_| {}).to_string().as_bytes(),
    );
    assert_eq!(stolen.json()["code"], "document_not_found", "another origin's documents");
    assert_eq!(rig.person.shown().len(), 0);

    let begun = rig.post("/v1/signatures", &body(&|_| {}));
    let id = begun.json()["signatureId"].as_str().unwrap().to_owned();
    assert_eq!(rig.wait(&id)["state"], "done");
    assert_eq!(rig.person.shown()[0].items.len(), 2, "one consent over the list");
    let swapped = rig.post("/v1/signatures", &body(&|body| body["items"].as_array_mut().unwrap().reverse()));
    assert_eq!(swapped.json()["code"], "idempotency_conflict", "the same key for another list");
    let again = rig.post("/v1/signatures", &body(&|_| {}));
    assert_eq!((again.status, again.json()["signatureId"].as_str()), (202, Some(id.as_str())));
    let watched = rig.send("GET", &format!("/v1/signatures/{id}"), &[("Origin", other)], b"");
    assert_eq!(watched.status, 404, "another origin uses the id");
    assert_eq!(rig.person.shown().len(), 1);
}

/// Which of the documents can be fetched.
fn signed_documents(rig: &Rig, id: &str, documents: &[String]) -> Vec<bool> {
    documents.iter().map(|document| rig.get(&format!("/v1/signatures/{id}/documents/{document}")).status == 200).collect()
}

#[test]
fn an_interrupted_batch_is_continued_where_it_broke_off() {
    let rig = Rig::new();
    let documents: Vec<String> = (1..=4).map(|pages| rig.upload(&ofd(pages))).collect();
    let tokens = rig.dir.path().join("tokens");
    write_script(&tokens, &[Rule { at: Step::Sign, fault: Fault::Remove, skip: 2, times: 1 }]).unwrap();
    let body = json!({"items": list(&rig, &documents), "idempotencyKey": "bids"});
    let ask = || rig.post("/v1/signatures", &body).json()["signatureId"].as_str().unwrap().to_owned();
    let id = ask();
    let status = rig.wait(&id);
    assert_eq!(status["state"], "failed");
    let states = |status: &Value| status["items"].as_array().unwrap().iter().map(|i| i["state"].clone()).collect::<Vec<_>>();
    assert_eq!(states(&status), ["done", "done", "failed", "failed"]);
    assert_eq!(status["items"][3]["code"], "token_removed", "the token is not asked again");
    assert_eq!(signed_documents(&rig, &id, &documents), [true, true, false, false]);
    let first = rig.get(&format!("/v1/signatures/{id}/documents/{}", documents[0])).body;

    rig.token.plug().unwrap();
    assert_eq!(ask(), id);
    let status = rig.wait(&id);
    assert_eq!((status["state"].as_str(), states(&status)), (Some("done"), vec![json!("done"); 4]), "{status}");
    assert_eq!(signed_documents(&rig, &id, &documents), [true; 4]);
    assert_eq!(rig.get(&format!("/v1/signatures/{id}/documents/{}", documents[0])).body, first, "not signed twice");
    let shown: Vec<usize> = rig.person.shown().iter().map(|summary| summary.items.len()).collect();
    assert_eq!(shown, [4, 2], "the person agrees to what is left");
    assert_eq!(ask(), id, "and there is nothing more to do");
    assert_eq!(rig.person.shown().len(), 2);
    for document in &documents {
        let bytes = rig.get(&format!("/v1/signatures/{id}/documents/{document}")).body;
        let report = report(&rig, &bytes);
        assert_eq!((report.signatures.len(), report.indication), (1, Indication::TotalPassed));
    }
    assert_eq!(rig.events(), ["accepted", "failed", "accepted", "signed"]);
}

/// 31: a second PIN error, as a token that forgets the PIN between two signatures would report it.
#[test]
fn a31_after_the_first_error_of_the_token_it_is_not_asked_again() {
    let rig = Rig::new();
    let fault = Fault::Code { function: "SKF_ECCSignData".into(), code: 0x0A00_0024 };
    write_script(&rig.dir.path().join("tokens"), &[Rule { at: Step::Sign, fault, skip: 1, times: 1 }]).unwrap();
    let documents: Vec<_> = (1..=4).map(|pages| open(&rig, &ofd(pages))).collect();
    let stamp = || Stamp::Page { pages: PageSelection::All, x: 10.0, y: 10.0, width: None };
    let signed = sign(&rig, documents.iter().map(|document| item(&rig, document, stamp())).collect(), None);
    let codes = codes(&signed);
    assert_eq!((codes[0], codes[2], codes[3]), (None, codes[1], codes[1]), "{codes:?}");
    assert!(codes[1].is_some());
    assert_eq!(signed.outputs.len(), 1);
    assert_eq!(rig.tries_left(), TRIES);
}

#[test]
fn what_is_done_is_given_out_while_the_rest_is_under_way() {
    let rig = Rig::new();
    let documents: Vec<String> = (0..4).map(|_| rig.upload(&ofd(1))).collect();
    let slow = Rule { at: Step::Sign, fault: Fault::Slow { milliseconds: 900 }, skip: 0, times: 4 };
    write_script(&rig.dir.path().join("tokens"), &[slow]).unwrap();
    let begun = rig.post("/v1/signatures", &json!({"items": list(&rig, &documents)})).json();
    let id = begun["signatureId"].as_str().unwrap();
    let start = Instant::now();
    let early = loop {
        assert!(start.elapsed() < Duration::from_secs(30));
        let status = rig.get(&format!("/v1/signatures/{id}?wait=20")).json();
        assert_ne!(status["state"], "done", "nothing was given out before the end");
        if status["items"][0]["state"] == "done" {
            break status;
        }
    };
    assert_eq!((early["state"].as_str(), early["items"][3]["state"].as_str()), (Some("signing"), Some("signing")));
    let bytes = rig.get(&format!("/v1/signatures/{id}/documents/{}", documents[0])).body;
    assert_eq!(report(&rig, &bytes).indication, Indication::TotalPassed);
    assert!(rig.events().contains(&"signedInPart".to_owned()), "on the record first");
    assert_eq!(rig.wait(id)["state"], "done");
    assert_eq!(rig.events().last().unwrap(), "signed");
}

fn with_tsa(tsa: &Tsa, required: bool) -> Rig {
    let service = sealagent::config::Timestamp { name: "city".into(), url: tsa.url(), required };
    Rig::with(
        |_| Reply::Approve(PIN),
        |config| {
            tsa.trust(&config.places.trust());
            config.timestamps.push(service);
        },
    )
}

#[test]
fn signatures_carry_the_time_stamp_of_the_configured_service() {
    let tsa = Tsa::new(None);
    let rig = with_tsa(&tsa, false);
    let stamp = || Stamp::Page { pages: PageSelection::All, x: 10.0, y: 10.0, width: None };
    let (package, contract) = (open(&rig, &ofd(1)), open(&rig, &pages(&[&text(60, 700, 0, "Contract")])));
    let mut seal_in_pdf = item(&rig, &contract, stamp());
    seal_in_pdf.signed_value = SignedValueKind::Ses;
    for wish in [item(&rig, &package, stamp()), item(&rig, &contract, stamp()), seal_in_pdf] {
        let signed = sign(&rig, vec![wish], Some("city"));
        assert_eq!(signed.status.state, State::Done, "{:?}", signed.status);
        assert!(signed.status.items[0].warning.is_none());
        let report = report(&rig, &bytes_of(&signed.outputs[0]));
        assert_eq!(report.indication, Indication::TotalPassed, "{:#?}", report.signatures);
        assert_eq!(report.signatures[0].time_source, Some(TimeSource::Timestamp));
        assert_eq!(report.signatures[0].signed_at, Some(at(NOW)));
    }
    let named = |rig: &Rig| rig.person.shown().last().unwrap().stamped_by.as_ref().map(ToString::to_string);
    assert_eq!(named(&rig).as_deref(), Some("127.0.0.1"), "the person was told");
    let plain = sign(&rig, vec![item(&rig, &package, stamp())], None);
    let report = report(&rig, &bytes_of(&plain.outputs[0]));
    assert_eq!(report.signatures[0].time_source, Some(TimeSource::Claimed), "nobody asked for it");
    assert_eq!((named(&rig), tsa.asked()), (None, 3));
    // One prompt for all of a batch says it once.
    let both = vec![item(&rig, &package, stamp()), item(&rig, &contract, stamp())];
    assert_eq!(sign(&rig, both, Some("city")).status.state, State::Done);
    let shown = rig.person.shown();
    assert_eq!((shown.last().unwrap().items.len(), named(&rig).as_deref()), (2, Some("127.0.0.1")));
    assert_eq!(tsa.asked(), 5);
}

#[test]
fn a_wrong_or_missing_time_stamp_is_never_embedded() {
    let stamp = || Stamp::Page { pages: PageSelection::All, x: 10.0, y: 10.0, width: None };
    for wrong in [Wrong::Nonce, Wrong::Imprint, Wrong::Authority, Wrong::Refusal, Wrong::Silence, Wrong::Status, Wrong::Size] {
        let tsa = Tsa::new(Some(wrong));
        let rig = with_tsa(&tsa, false);
        let (first, second) = (open(&rig, &ofd(1)), open(&rig, &ofd(2)));
        let signed = sign(&rig, vec![item(&rig, &first, stamp()), item(&rig, &second, stamp())], Some("city"));
        assert_eq!(signed.status.state, State::Done, "{wrong:?} {:?}", signed.status);
        let warnings: Vec<_> = signed.status.items.iter().map(|i| i.warning.as_ref().map(|w| w.code)).collect();
        assert_eq!(warnings, [Some(Code::TimestampFailed); 2], "{wrong:?}");
        for output in &signed.outputs {
            assert_eq!(report(&rig, &bytes_of(output)).signatures[0].time_source, Some(TimeSource::Claimed), "{wrong:?}");
        }

        let rig = with_tsa(&tsa, true);
        let signed = sign(&rig, vec![item(&rig, &open(&rig, &ofd(1)), stamp())], None);
        assert_eq!(codes(&signed), [Some(Code::TimestampFailed)], "{wrong:?}");
        assert!(signed.outputs.is_empty());
        assert_eq!(rig.events(), ["accepted", "failed"]);
    }
}

#[test]
fn page_names_a_service_and_never_an_address() {
    let tsa = Tsa::new(None);
    let rig = with_tsa(&tsa, false);
    let id = rig.upload(&ofd(1));
    let ask =
        |name: &str| rig.post("/v1/signatures", &json!({"items": list(&rig, std::slice::from_ref(&id)), "timestamp": name}));
    for name in ["other", &tsa.url()] {
        let answer = ask(name);
        assert_eq!((answer.status, answer.json()["code"].as_str()), (400, Some("bad_request")));
    }
    assert_eq!(tsa.asked(), 0);
    let begun = ask("city").json();
    assert_eq!(rig.wait(begun["signatureId"].as_str().unwrap())["state"], "done");
    assert_eq!(tsa.asked(), 1);
}

/// `sealagent sign` in the rig's folder, with the PIN on standard input.
fn command(rig: &Rig, arguments: &[&str]) -> Ran {
    let path = |name: &str| rig.dir.path().join(name).display().to_string();
    let config = rig.dir.path().join("config.toml");
    let text = format!(
        "[places]\ndata = {:?}\nstate = {:?}\n[[driver]]\nkind = \"virtual\"\nlibrary = {:?}\n",
        path("data"),
        path("state"),
        path("tokens")
    );
    fs::write(&config, text).unwrap();
    let pin = rig.dir.path().join("pin");
    fs::write(&pin, PIN).unwrap();
    Command::new(env!("CARGO_BIN_EXE_sealagent"))
        .arg("--config")
        .arg(config)
        .arg("sign")
        .args(arguments)
        .args(["--pin-fd", "0", "--seal", rig.seal.es_id()])
        .current_dir(rig.dir.path())
        .env("LC_ALL", "C.UTF-8")
        .stdin(fs::File::open(pin).unwrap())
        .output()
        .unwrap()
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn folder_is_sealed_in_one_go_and_continued_by_the_same_command() {
    let rig = Rig::new();
    let (bids, sealed) = (rig.dir.path().join("bids"), rig.dir.path().join("sealed"));
    fs::create_dir(&bids).unwrap();
    fs::write(bids.join("a.ofd"), ofd(1)).unwrap();
    fs::write(bids.join("b.PDF"), pages(&[&text(60, 700, 0, "Bid")])).unwrap();
    fs::write(bids.join("notes.txt"), "no document").unwrap();
    let arguments = ["bids", "-o", "sealed", "--at", "100,200", "--straddle", "right", "--json"];
    let ran = command(&rig, &arguments);
    let out = String::from_utf8_lossy(&ran.stdout).into_owned();
    assert_eq!(ran.status.code(), Some(0), "{out}{}", String::from_utf8_lossy(&ran.stderr));
    assert_eq!(names(&sealed), ["a.ofd", "b.PDF"], "nothing half done is left");
    let lines: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines.len() == 2 && lines.iter().all(|line| line["state"] == "done"), "{out}");
    for name in ["a.ofd", "b.PDF"] {
        let report = report_now(&rig, &fs::read(sealed.join(name)).unwrap());
        assert_eq!(report.signatures.len(), 2, "{name}");
    }
    assert_eq!(rig.events(), ["accepted", "signed"], "one consent, one PIN");

    let before = fs::read(sealed.join("a.ofd")).unwrap();
    fs::write(bids.join("c.ofd"), ofd(3)).unwrap();
    fs::write(bids.join("d.ofd"), b"PK\x03\x04 no package").unwrap();
    let ran = command(&rig, &arguments);
    let out = String::from_utf8_lossy(&ran.stdout).into_owned();
    assert_eq!(ran.status.code(), Some(4), "{out}");
    let lines: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let fate = |name: &str| {
        let line = lines.iter().find(|line| line["file"].as_str().unwrap().ends_with(name)).unwrap();
        line["state"].as_str().unwrap().to_owned()
    };
    assert_eq!(["a.ofd", "b.PDF", "c.ofd", "d.ofd"].map(fate), ["skipped", "skipped", "done", "failed"]);
    assert_eq!(fs::read(sealed.join("a.ofd")).unwrap(), before);
    assert_eq!(names(&sealed), ["a.ofd", "b.PDF", "c.ofd"]);
    assert!(String::from_utf8_lossy(&ran.stderr).contains("1 sealed, 1 failed, 2 skipped"), "{ran:?}");
}

/// A document that cannot be sealed as asked keeps no other one back.
#[test]
fn a_document_that_is_in_the_way_is_left_out() {
    let rig = Rig::new();
    let bids = rig.dir.path().join("bids");
    fs::create_dir(&bids).unwrap();
    fs::write(bids.join("long.ofd"), ofd(4)).unwrap();
    fs::write(bids.join("short.ofd"), ofd(1)).unwrap();
    let ran = command(&rig, &["bids", "-o", "sealed", "--at", "100,200", "--page", "3"]);
    assert_eq!(ran.status.code(), Some(1), "{ran:?}");
    assert_eq!(names(&rig.dir.path().join("sealed")), ["long.ofd"]);
    let out = String::from_utf8_lossy(&ran.stdout).into_owned();
    assert!(out.contains("failed  bids/short.ofd") && out.contains("page 3 does not exist"), "{out}");
}

fn report_now(rig: &Rig, bytes: &[u8]) -> Report {
    Verifier::verify(Cursor::new(bytes), &Context::new(&rig.app.signer.trust.current(), jiff::Timestamp::now()))
}

/// `sealagent upgrade` of a file of the rig's folder, with this service; standard output.
fn upgrade(rig: &Rig, tsa: &Tsa, input: &str, output: &str) -> String {
    let path = |name: &str| rig.dir.path().join(name).display().to_string();
    let config = rig.dir.path().join("upgrade.toml");
    let places = format!("[places]\ndata = {:?}\nstate = {:?}\n", path("data"), path("state"));
    fs::write(&config, format!("{places}[[timestamp]]\nname = \"city\"\nurl = {:?}\n", tsa.url())).unwrap();
    let ran = Command::new(env!("CARGO_BIN_EXE_sealagent"))
        .arg("--config")
        .arg(config)
        .args(["upgrade", input, "-o", output])
        .current_dir(rig.dir.path())
        .env("LC_ALL", "C.UTF-8")
        .output()
        .unwrap();
    assert_eq!(ran.status.code(), Some(0), "{ran:?}");
    String::from_utf8(ran.stdout).unwrap()
}

/// Half a year later nobody gives out the lists of then any more.
#[test]
fn an_upgraded_pdf_brings_what_is_needed_to_judge_it_later() {
    let mut tsa = Tsa::new(None);
    let mut rig = with_tsa(&tsa, false);
    let stamp = Stamp::Page { pages: PageSelection::All, x: 10.0, y: 10.0, width: None };
    let contract = open(&rig, &pages(&[&text(60, 700, 0, "Contract")]));
    let signed = bytes_of(&sign(&rig, vec![item(&rig, &contract, stamp)], None).outputs[0]);
    fs::write(rig.dir.path().join("signed.pdf"), &signed).unwrap();
    let trust = rig.app.signer.config.places.trust();
    rig.region.renew_crls(at(NOW + 60)).unwrap();
    rig.region.write_trust_folder(&trust).unwrap();
    let told = upgrade(&rig, &tsa, "signed.pdf", "upgraded.pdf");
    assert!(told.contains("revocation lists") && !told.contains("before the signature's time stamp"), "{told}");
    let upgraded = fs::read(rig.dir.path().join("upgraded.pdf")).unwrap();
    assert!(upgraded.starts_with(&signed), "no byte that is there is touched");

    // The service still tells of its own certificates; the company's authority is gone.
    fs::remove_dir_all(trust.join("crls")).unwrap();
    tsa.renew(180);
    tsa.trust(&trust);
    let (bare, problems) = sealagent::trust_dir::read(&trust, &sealagent::regions::Presets::none()).unwrap();
    assert!(problems.is_empty());
    let judge = |bytes: &[u8], days: i64| Verifier::verify(Cursor::new(bytes), &Context::new(&bare, at(NOW + days * 86_400)));
    assert_eq!(judge(&signed, 180).indication, Indication::Indeterminate, "nothing is known of revocations");
    let later = judge(&upgraded, 180);
    assert_eq!(later.indication, Indication::TotalPassed, "{:#?}", later.signatures);
    assert_eq!(later.signatures[0].time_source, Some(TimeSource::Timestamp));
    let order = later.order.unwrap();
    assert!(order.nothing_else, "{:#?}", later.signatures);
    // Its stamp vouches for what lies under it, and for nothing if that is changed.
    let mut changed = upgraded.clone();
    let place = changed.windows(8).position(|window| window == b"Contract").unwrap();
    changed[place] = b'c';
    assert_eq!(judge(&changed, 180).indication, Indication::TotalFailed);
}

#[test]
fn lists_from_before_the_time_stamp_are_told_of_when_a_file_is_upgraded() {
    let tsa = Tsa::new(None);
    let rig = with_tsa(&tsa, false);
    let stamp = Stamp::Page { pages: PageSelection::All, x: 10.0, y: 10.0, width: None };
    let contract = open(&rig, &pages(&[&text(60, 700, 0, "Contract")]));
    let signed = bytes_of(&sign(&rig, vec![item(&rig, &contract, stamp)], None).outputs[0]);
    fs::write(rig.dir.path().join("signed.pdf"), &signed).unwrap();
    let told = upgrade(&rig, &tsa, "signed.pdf", "upgraded.pdf");
    assert!(told.contains("before the signature's time stamp") && told.contains("upgrade the result again"), "{told}");
}

#[test]
fn an_upgraded_ofd_has_a_stamp_where_there_is_room_for_one() {
    let tsa = Tsa::new(None);
    let rig = with_tsa(&tsa, false);
    let at_x = |x| Stamp::Page { pages: PageSelection::All, x, y: 10.0, width: None };
    let document = open(&rig, &ofd(1));
    let items = vec![item(&rig, &document, at_x(10.0)), item(&rig, &document, at_x(100.0))];
    fs::write(rig.dir.path().join("signed.ofd"), bytes_of(&sign(&rig, items, None).outputs[0])).unwrap();
    let told = upgrade(&rig, &tsa, "signed.ofd", "upgraded.ofd");
    assert!(told.contains("s001: left as it is: signature s003 protects its value"), "{told}");
    assert!(told.contains("s003: time-stamped") && told.contains("no place for revocation data"), "{told}");
    let report = report(&rig, &fs::read(rig.dir.path().join("upgraded.ofd")).unwrap());
    assert_eq!(report.indication, Indication::TotalPassed, "{:#?}", report.signatures);
    let sources: Vec<_> = report.signatures.iter().map(|s| s.time_source).collect();
    assert_eq!(sources, [Some(TimeSource::Claimed), Some(TimeSource::Timestamp)]);
}
