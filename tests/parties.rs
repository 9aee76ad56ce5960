//! Contracts of several parties: three companies of two regions sign one after the other, in PDF and in OFD; whatever else happens to
//! the document between two of them is named, and nobody signs on top of it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common {
    pub mod pdf;
    pub mod rig;
    pub mod world;
}

use std::cell::RefCell;
use std::fs;
use std::io::{Cursor, Read as _};
use std::sync::Arc;

use common::pdf::file;
use common::rig::{NOW, PIN, Rig, at, company, document as ofd};
use common::world::with_changed_page;
use sealagent::consent::Requester;
use sealagent::consent::prompt::Canceller;
use sealagent::consent::scripted::Reply;
use sealagent::failure::Code;
use sealagent::pdf::{self, Changed};
use sealagent::ses::Seal;
use sealagent::signing::request::run_alone;
use sealagent::signing::subject::Bytes;
use sealagent::signing::{Document, Output, Scratch, Signed, SigningItem, SigningRequest, State, Subject};
use sealagent::stamp::{Edge, PageSelection, Stamp};
use sealagent::verify::report::{Code as Finding, Indication, Report};
use sealagent::verify::{Context, Verifier};
use sealauthority::{KeyProtection, Region, RegionNames};

/// Three companies: the first and the last of one region, the second of another.
struct Parties {
    rig: Rig,
    seals: [Seal; 3],
}

impl Parties {
    fn new() -> Self {
        let other = RefCell::new(None);
        let mut rig = Rig::with(
            |_| Reply::Approve(PIN),
            |config| {
                let folder = config.places.data.with_file_name("other-region");
                let names = RegionNames { id: "yunnan".into(), name: "云南".into(), division: "530000".into() };
                let region = Region::init(&folder, &names, &KeyProtection::PlainForPilot, at(NOW - 86_400)).unwrap();
                region.write_trust_folder(&config.places.trust()).unwrap();
                *other.borrow_mut() = Some(region);
            },
        );
        let tokens = rig.dir.path().join("tokens");
        let second = company(other.borrow_mut().as_mut().unwrap(), &tokens).2;
        let third = company(&mut rig.region, &tokens).2;
        let seals = [rig.seal.clone(), second, third];
        Self { rig, seals }
    }

    fn take_in(&self, bytes: &[u8]) -> Arc<Document> {
        let path = self.rig.dir.path().join("contract");
        fs::write(&path, bytes).unwrap();
        let scratch = Scratch::Unlinked(self.rig.dir.path().join("scratch"));
        Arc::new(Document::of_file(&path, &scratch).unwrap())
    }

    fn try_sign(&self, bytes: &[u8], party: usize, stamp: Stamp, require_valid: bool) -> Signed {
        let document = self.take_in(bytes);
        let item = SigningItem {
            signed_value: document.format.signed_value(),
            subject: Subject::Document { document, stamp, close: false },
            seal: self.seals[party].es_id().to_owned(),
        };
        let request = SigningRequest { requester: Requester::CommandLine, items: vec![item], timestamp: None, require_valid };
        let (_canceller, cancel) = Canceller::new();
        let scratch = Scratch::Unlinked(self.rig.dir.path().join("scratch"));
        self.rig.runtime.block_on(run_alone(&self.rig.app.signer, request, &scratch, cancel)).unwrap()
    }

    fn sign(&self, bytes: &[u8], party: usize, stamp: Stamp) -> Vec<u8> {
        let signed = self.try_sign(bytes, party, stamp, true);
        assert_eq!(signed.status.state, State::Done, "{:?}", signed.status);
        let [Output::Document { draft, .. }] = signed.outputs.as_slice() else { panic!("{:?}", signed.outputs) };
        let mut bytes = Vec::new();
        Bytes::new(draft.file.try_clone().unwrap()).unwrap().reader().read_to_end(&mut bytes).unwrap();
        bytes
    }

    fn report(&self, bytes: &[u8]) -> Report {
        Verifier::verify(Cursor::new(bytes), &Context::new(&self.rig.app.signer.trust.current(), at(NOW)))
    }

    /// Nobody is asked to sign on top of it.
    fn assert_refused(&self, bytes: &[u8]) {
        let asked = self.rig.person.shown().len();
        let signed = self.try_sign(bytes, 1, Stamp::Nowhere, false);
        assert_eq!(signed.status.items[0].failure.as_ref().map(|f| f.code), Some(Code::DocumentSignatureBroken));
        assert_eq!(self.rig.person.shown().len(), asked);
    }
}

fn on_all(x: f64) -> Stamp {
    Stamp::Page { pages: PageSelection::All, x, y: 200.0, width: None }
}

fn contract() -> Vec<u8> {
    let content = "BT /F 20 Tf 60 700 Td (Contract) Tj ET";
    let objects = [
        "<</Type/Catalog/Pages 2 0 R/AcroForm<</Fields[5 0 R 6 0 R]>>>>".to_owned(),
        "<</Type/Pages/Kids[3 0 R]/Count 1/MediaBox[0 0 595.276 841.89]>>".to_owned(),
        "<</Type/Page/Parent 2 0 R/Resources<</Font<</F 7 0 R>>>>/Contents 4 0 R/Annots[5 0 R 6 0 R]>>".to_owned(),
        format!("<</Length {}>>stream\n{content}\nendstream", content.len()),
        "<</Type/Annot/Subtype/Widget/FT/Tx/T(price)/V(100)/P 3 0 R/Rect[60 600 200 620]>>".to_owned(),
        "<</Type/Annot/Subtype/Widget/FT/Tx/T(term)/V(1 year)/P 3 0 R/Rect[60 560 200 580]>>".to_owned(),
        "<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>".to_owned(),
    ];
    file(&objects, "")
}

/// The file with a revision on top in which this object is another.
fn with_object(bytes: &[u8], number: u32, object: &str) -> Vec<u8> {
    let text = String::from_utf8_lossy(bytes);
    let prev: usize = text.rsplit("startxref\n").next().unwrap().lines().next().unwrap().parse().unwrap();
    let size = text.rsplit("/Size ").next().unwrap().split(|c: char| !c.is_ascii_digit()).next().unwrap().to_owned();
    let mut out = bytes.to_vec();
    let at = out.len();
    out.extend(format!("{number} 0 obj\n{object}\nendobj\n").as_bytes());
    let xref = out.len();
    let trailer = format!("trailer\n<</Size {size}/Root 1 0 R/Prev {prev}>>\nstartxref\n{xref}\n%%EOF\n");
    out.extend(format!("xref\n{number} 1\n{at:010} 00000 n \n{trailer}").as_bytes());
    out
}

/// The newest version of an object of the file.
fn object(bytes: &[u8], number: u32) -> String {
    let text = String::from_utf8_lossy(bytes).into_owned();
    let head = format!("\n{number} 0 obj\n");
    let start = text.rfind(&head).unwrap() + head.len();
    text[start..start + text[start..].find("\nendobj").unwrap()].to_owned()
}

#[test]
fn three_parties_of_two_regions_sign_in_order_and_nothing_else_changed() {
    let parties = Parties::new();
    for contract in [contract(), ofd(3)] {
        let mut bytes = contract;
        let stamps = [on_all(20.0), Stamp::Straddle { edge: Edge::Right, pages: PageSelection::All, y: 60.0 }, on_all(120.0)];
        for (party, stamp) in stamps.into_iter().enumerate() {
            bytes = parties.sign(&bytes, party, stamp);
        }
        let report = parties.report(&bytes);
        assert_eq!(report.indication, Indication::TotalPassed, "{:#?}", report.signatures);
        let serials: Vec<_> = report.signatures.iter().map(|s| s.signer.as_ref().unwrap().serial.clone()).collect();
        let es_ids: Vec<_> = parties.seals.iter().map(|seal| seal.es_id().to_owned()).collect();
        let issuers: Vec<_> = report.signatures.iter().map(|s| s.signer.as_ref().unwrap().issuer.clone()).collect();
        assert!(issuers[0] == issuers[2] && issuers[0] != issuers[1], "{issuers:?}");
        assert!(serials[0] != serials[2] && es_ids.len() == 3);
        let order = report.order.unwrap();
        assert_eq!((order.signers.len(), order.nothing_else), (3, true), "{:#?}", report.signatures);
    }
}

#[test]
fn an_edit_between_two_parties_is_named_and_nobody_signs_on_top_of_it() {
    let parties = Parties::new();
    let text = "<</Length 37>>stream\nBT /F 20 Tf 60 700 Td (Other) Tj ET  \nendstream";
    for (edited, code) in [
        (with_object(&parties.sign(&contract(), 0, on_all(20.0)), 4, text), Finding::ChangedAfterSigning),
        (with_changed_page(&parties.sign(&ofd(1), 0, on_all(20.0))), Finding::ProtectedFileChanged),
    ] {
        let report = parties.report(&edited);
        assert_eq!(report.indication, Indication::TotalFailed);
        assert!(report.signatures[0].findings.iter().any(|finding| finding.code == code), "{:#?}", report.signatures);
        assert!(!report.order.as_ref().unwrap().nothing_else);
        parties.assert_refused(&edited);
    }
}

#[test]
fn a_form_field_that_is_withdrawn_or_refilled_is_named() {
    let parties = Parties::new();
    let signed = parties.sign(&contract(), 0, Stamp::Nowhere);
    let catalog = object(&signed, 1);
    let withdrawn = with_object(&signed, 1, &catalog.replace("6 0 R", ""));
    assert_ne!(withdrawn.len(), with_object(&signed, 1, &catalog).len(), "the field was in the list: {catalog}");
    let refilled = with_object(&signed, 5, &object(&signed, 5).replace("(100)", "(900)"));
    for (changed, name) in [(withdrawn, "term"), (refilled, "price")] {
        let signatures = pdf::Document::open(Cursor::new(&changed)).unwrap().signatures().unwrap();
        let named = signatures[0].changes.iter().any(|change| change.what == Changed::Field && change.place == name);
        assert!(named, "{name}: {:?}", signatures[0].changes);
        let report = parties.report(&changed);
        let finding = report.signatures[0].findings.iter().find(|f| f.code == Finding::ChangedAfterSigning).unwrap();
        assert!(finding.message.contains(name), "{}", finding.message);
        parties.assert_refused(&changed);
    }
}

/// A party can refuse to sign a document whose earlier signatures it does not believe, though they are not broken.
#[test]
fn a_party_may_demand_that_all_before_it_is_valid() {
    let parties = Parties::new();
    // Of a region that these do not know.
    let strangers = Rig::new();
    let path = strangers.dir.path().join("contract.ofd");
    fs::write(&path, ofd(1)).unwrap();
    let id = strangers.upload(&ofd(1));
    let request = strangers.ask(&id);
    assert_eq!(strangers.wait(&request)["state"], "done");
    let foreign = strangers.get(&format!("/v1/signatures/{request}/documents/{id}")).body;
    assert_eq!(parties.report(&foreign).indication, Indication::Indeterminate);

    let refused = parties.try_sign(&foreign, 1, on_all(60.0), true);
    let failure = refused.status.items[0].failure.clone().unwrap();
    assert_eq!(failure.code, Code::DocumentSignatureBroken);
    assert!(failure.detail.unwrap().contains("CERT_CHAIN"));
    assert_eq!(parties.rig.person.shown().len(), 0);
    let accepted = parties.try_sign(&foreign, 1, on_all(60.0), false);
    assert_eq!(accepted.status.state, State::Done, "not broken, and nobody demanded more: {:?}", accepted.status);
}
