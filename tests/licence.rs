//! The business licence as proof of the subject: required, shown, refused, in a running agent that takes up what a command brings.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, dead_code)]

mod common {
    pub mod rig;
}

use std::sync::{Arc, Mutex};

use common::rig::{NOW, PIN, Rig, at, document};
use sealagent::consent::Requester;
use sealagent::consent::prompt::Canceller;
use sealagent::consent::scripted::Reply;
use sealagent::failure::Code;
use sealagent::pki::licence::{Licence, LicenceState};
use sealagent::regions::{Presets, Regions};
use sealagent::signing::request::run_alone;
use sealagent::signing::{Document, Scratch, SignedValueKind, SigningItem, SigningRequest, State, Subject};
use sealagent::stamp::Stamp;
use sealauthority::Publication;

fn sign(rig: &Rig) -> (State, Option<Code>) {
    let path = rig.dir.path().join("input.ofd");
    std::fs::write(&path, document(1)).unwrap();
    let scratch = Scratch::Unlinked(rig.dir.path().join("scratch"));
    let document = Arc::new(Document::of_file(&path, &scratch).unwrap());
    let item = SigningItem {
        subject: Subject::Document { document, stamp: Stamp::Nowhere, close: false },
        seal: rig.seal.es_id().to_owned(),
        signed_value: SignedValueKind::Ses,
    };
    let (_canceller, cancel) = Canceller::new();
    let request = SigningRequest { requester: Requester::CommandLine, items: vec![item], timestamp: None, require_valid: false };
    let signed = rig.runtime.block_on(run_alone(&rig.app.signer, request, &scratch, cancel)).unwrap();
    (signed.status.state, signed.status.items[0].failure.as_ref().map(|failure| failure.code))
}

fn statement(rig: &Rig, state: LicenceState, hour: i64) -> Vec<u8> {
    let licence = Licence {
        region: String::new(),
        uscc: "91110108756730417W".into(),
        name: "深圳市某某科技有限公司".into(),
        representative: "张三".into(),
        state,
        state_since: at(NOW - 3600 * 24),
        valid_from: at(NOW - 3600 * 24 * 900),
        valid_to: None,
        as_of: at(NOW - 3600 * hour),
        fresh_until: at(NOW + 3600),
        source: "pilot".into(),
        evidence: None,
    };
    rig.region.licence(licence).unwrap()
}

#[test]
fn licence_that_policy_requires_is_asked_for_shown_and_obeyed() {
    let shown = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&shown);
    let script = move |summary: &sealagent::consent::summary::Summary| {
        seen.lock().unwrap().push(summary.items[0].seal.licence.as_ref().map(ToString::to_string));
        Reply::Approve(PIN)
    };
    let rig = Rig::with(script, |config| config.licence_required = true);
    assert_eq!(sign(&rig), (State::Failed, Some(Code::LicenceMismatch)), "no statement is at hand");

    // As `sealagent trust import` does it, beside the running agent.
    let regions = Regions::new(&rig.dir.path().join("data").join("trust"), Presets::none());
    let take = |bytes: &[u8]| regions.take(bytes, at(NOW), &mut |_| true).unwrap();
    take(&rig.region.trust_list(&Publication::default(), at(NOW)).unwrap());
    assert_eq!(sign(&rig), (State::Failed, Some(Code::LicenceMismatch)));
    take(&statement(&rig, LicenceState::Active, 2));
    assert_eq!(sign(&rig), (State::Done, None));
    let line = shown.lock().unwrap().last().cloned().flatten().unwrap();
    assert!(line.contains("深圳市某某科技有限公司") && line.contains("张三") && line.contains("存续"), "{line}");

    take(&statement(&rig, LicenceState::Cancelled, 1));
    assert_eq!(sign(&rig), (State::Failed, Some(Code::LicenceMismatch)), "a company that is gone seals nothing");
    assert_eq!(shown.lock().unwrap().len(), 1, "nobody was asked about what cannot be");
}
