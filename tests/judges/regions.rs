//! What regions sign, as SignedData: Bouncy Castle and, for the second opinion, `openssl dgst` behind a TLV walk in Python.

use std::path::Path;
use std::process::Command;

use libtest_mimic::Failed;
use sealagent::pki::licence::{Licence, LicenceState};
use sealagent::pki::seal_status::{SealState, StatusQuery};
use sealagent::ses::Version;
use sealagent::sm::sm3;
use sealauthority::{Publication, Role};

use super::{Bench, bouncy_castle, flipped, judge};

/// Each kind of document by name, its bytes, and a place inside what is signed.
fn documents(bench: &mut Bench) -> Vec<(&'static str, Vec<u8>)> {
    let now = super::world::SIGNED_AT.parse().unwrap();
    let seal = bench.world.seal(Version::V4);
    let region = &mut bench.world.region;
    region.change_seal(seal.es_id(), SealState::Suspended, now).unwrap();
    let publication = Publication { base_url: Some("http://lists.example/sz".into()), ..Publication::default() };
    let list = region.trust_list(&publication, now).unwrap();
    let (full, changes) = region.status(None, publication.fresh_for, now).unwrap();
    let query = StatusQuery { es_id: seal.es_id().into(), seal_sm3: Some(sm3(seal.raw())), nonce: vec![9; 16] };
    let status = region.identity(Role::Status).unwrap();
    let answer = region.status_answer(&status, query, publication.fresh_for, now).unwrap();
    let licence = Licence {
        region: String::new(),
        uscc: super::world::USCC.into(),
        name: "深圳市示例科技有限公司".into(),
        representative: "张三".into(),
        state: LicenceState::Active,
        state_since: now,
        valid_from: now,
        valid_to: None,
        as_of: now,
        fresh_until: now + publication.fresh_for,
        source: "pilot".into(),
        evidence: None,
    };
    let licence = region.licence(licence).unwrap();
    vec![
        ("trust list", list),
        ("status list", full.unwrap()),
        ("status changes", changes),
        ("status answer", answer),
        ("licence", licence),
    ]
}

fn judged(accepts: impl Fn(&Path) -> bool) -> Result<(), Failed> {
    let mut bench = Bench::new();
    for (what, bytes) in documents(&mut bench) {
        // The region's name stands in every document; the signature is the end of the file.
        let name = bytes.windows(8).position(|window| window == b"shenzhen").unwrap();
        let changed = [("changed contents", flipped(&bytes, name)), ("a changed signature", flipped(&bytes, bytes.len() - 1))];
        let file = |bytes: &[u8]| accepts(&bench.file("document.p7b", bytes));
        judge(file, &bytes, &changed).map_err(|error| format!("{what}: {}", error.message().unwrap_or_default()))?;
    }
    Ok(())
}

/// [`bouncy_castle`] on lists, answers and statements.
pub fn by_bouncy_castle() -> Result<(), Failed> {
    judged(|file| bouncy_castle(&[file], "cms"))
}

/// The second code base.
pub fn by_openssl() -> Result<(), Failed> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/judges/cms_second.py");
    judged(|file| Command::new("python3").arg(script).arg(file).output().unwrap().status.success())
}
