//! The agent's own pages in real browsers: `tests/browser/pages.*` drive them, this starts the agent, makes the files, plays the person,
//! and judges what was asked. Where the browser, node or its packages are missing the row is *ignored*; `scripts/test-browsers.sh` says
//! what to install.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common {
    pub mod pdf;
    pub mod rig;
    pub mod world;
}

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use common::pdf::pages_with_fields;
use common::rig::{NOW, PIN, Rig, at, document, sibling};
use common::world::{World, contract, with_entry};
use libtest_mimic::{Arguments, Failed, Trial};
use sealagent::config::Config;
use sealagent::consent::Origin;
use sealagent::consent::grants::{Grant, Grants, Key};
use sealagent::consent::scripted::Reply;
use sealagent::consent::summary::{Requester, Shown};
use sealagent::http::pages::link::Links;
use sealagent::preview::Program;
use sealagent::ses::Version;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let browsers = [("chromium", "playwright-core"), ("firefox-esr", "ws")];
    let trials = browsers.map(|(name, package)| {
        let program = found(name);
        let package = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser/node_modules").join(package);
        let is_missing = program.is_none() || found("node").is_none() || !package.is_dir();
        let program = program.unwrap_or_default();
        let tests = format!("tests/browser/pages.{}.test.mjs", name.trim_end_matches("-esr"));
        Trial::test(name, move || drive(&program, &tests)).with_ignored_flag(is_missing)
    });
    // One after the other: each takes the machine for itself.
    let arguments = Arguments { test_threads: Some(1), ..arguments };
    libtest_mimic::run(&arguments, trials.into()).exit_code()
}

fn found(program: &str) -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?).map(|folder| folder.join(program)).find(|path| path.is_file())
}

fn drive(program: &Path, tests: &str) -> Result<(), Failed> {
    // The port of the site that the demo page is on must be known before its origin can be allowed.
    let site_port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
    let site = Origin::of_loopback(site_port);
    let allow = |config: &mut Config| config.http.origins.extend([site.clone()]);
    let rig = Rig::with_preview(|_| Reply::Approve(PIN), allow, Some(Program::at(sibling("sealagent-preview"))));
    let places = rig.app.signer.config.places.clone();
    let paired = Grant {
        id: "a".repeat(32),
        origin: Origin::parse("https://paired.example").unwrap(),
        label: Some(Shown::new("<b>政务</b>")),
        paired: at(NOW),
        key: Key::random().unwrap(),
        once: None,
    };
    Grants::new(places.pairings()).add(&paired).unwrap();

    let folder = tempfile::tempdir()?;
    let file = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).unwrap();
    let id = rig.upload(&contract(3, 12));
    let request = rig.ask(&id);
    assert_eq!(rig.wait(&request)["state"], "done");
    let sealed = rig.get(&format!("/v1/signatures/{request}/documents/{id}")).body;
    file("good.ofd", &sealed);
    let change = |bytes: &mut Vec<u8>| *bytes = String::from_utf8(bytes.clone()).unwrap().replace("乙方", "丙方").into_bytes();
    file("changed.ofd", &with_entry(&sealed, "Doc_0/Pages/Page_0/Content.xml", change));
    file("stranger.ofd", &World::new(&folder.path().join("elsewhere")).sign(&contract(2, 8), Version::V4));
    file("plain.ofd", &document(2));
    let fields = [("buyer", 0, "100 100 240 220"), ("seller", 1, "300 500 400 600"), ("<b>witness", 1, "0 0 0 0")];
    file("fields.pdf", &pages_with_fields(&["BT /F 20 Tf 60 700 Td (Contract) Tj ET", "q Q"], &fields));
    // The clock stands still, so none of them ends.
    let links: Vec<_> = (0..20).map(|_| Links::new(&places).create(at(NOW)).unwrap()).collect();
    file("links", links.join("\n").as_bytes());

    let output = Command::new("node")
        .args(["--test-reporter=spec"])
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join(tests))
        .env("BROWSER_TEST_FOLDER", folder.path())
        .env("BROWSER_TEST_AGENT_PORT", rig.port.to_string())
        .env("BROWSER_TEST_SITE_PORT", site_port.to_string())
        .env("BROWSER_TEST_PROGRAM", program)
        .stderr(std::process::Stdio::inherit())
        .output()?;
    if !output.status.success() {
        return Err(Failed::from(String::from_utf8_lossy(&output.stdout).into_owned()));
    }
    // The person was asked for the file that was sealed before, for the two that the agent's page sealed, for both files of the demo page
    // at once, by click and by keyword, and for a field of a third, where that was driven too, and for nothing else.
    let asked: Vec<_> = rig.person.shown().iter().map(|summary| (summary.requester.clone(), summary.items.len())).collect();
    assert_eq!(asked[1..3], [(Requester::OwnPage, 1), (Requester::OwnPage, 1)]);
    let in_field = rig.person.shown()[2].items[0].placements.clone();
    // In the middle of `buyer`, 140 points wide and 120 high, the seal is as high as the field.
    assert!(matches!(&in_field[..], [place] if place.page == 1 && (place.height - 42.3).abs() < 0.1), "{in_field:?}");
    let is_chromium = tests.contains("chromium");
    let by_site = if is_chromium { vec![2, 2, 1] } else { Vec::new() };
    assert_eq!(asked[3..], by_site.into_iter().map(|n| (Requester::Origin(site.clone()), n)).collect::<Vec<_>>());
    Ok(())
}
