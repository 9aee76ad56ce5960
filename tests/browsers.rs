//! Real browsers against a real agent: `tests/browser` drives them, this starts the agent, plays the person, and judges what was
//! asked. Where the browser, node or its packages are missing the row is *ignored*; `scripts/test-browsers.sh` says what to install.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common {
    pub mod rig;
}

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::thread;
use std::time::Duration;

use common::rig::{PIN, Rig, document};
use libtest_mimic::{Arguments, Failed, Trial};
use sealagent::consent::Origin;
use sealagent::consent::pairing::PairingAnswer;
use sealagent::consent::scripted::Reply;
use sealagent::consent::summary::{DocumentShown, Summary};

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let browsers: [(&str, &str, &[&str]); 2] = [
        ("chromium", "playwright-core", &["sign", "sign", "second", "third", "pair", "pair"]),
        ("firefox-esr", "ws", &["sign", "pair", "second"]),
    ];
    let trials = browsers.map(|(name, package, asked)| {
        let program = found(name);
        let package = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser/node_modules").join(package);
        let is_missing = program.is_none() || found("node").is_none() || found("openssl").is_none() || !package.is_dir();
        let program = program.unwrap_or_default();
        let tests = format!("tests/browser/{}.test.mjs", name.trim_end_matches("-esr"));
        Trial::test(name, move || drive(&program, &tests, asked)).with_ignored_flag(is_missing)
    });
    // One after the other: each takes the machine for itself.
    let arguments = Arguments { test_threads: Some(1), ..arguments };
    libtest_mimic::run(&arguments, trials.into()).exit_code()
}

fn found(program: &str) -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?).map(|folder| folder.join(program)).find(|path| path.is_file())
}

/// The person goes by the document's name.
fn person(summary: &Summary) -> Reply {
    let (DocumentShown::Seen { name, .. } | DocumentShown::DigestOnly { name, .. }) = &summary.items[0].document;
    match name.as_str() {
        "decline.ofd" => Reply::Decline,
        "silent.ofd" => Reply::Silence,
        _ => Reply::Approve(PIN),
    }
}

/// `asked`: the sites whose signatures the person was asked about, in order.
fn drive(program: &Path, tests: &str, asked: &[&str]) -> Result<(), Failed> {
    // The page's port must be known before its origin can be allowed. Both are free now, and nobody listens on the second.
    let free = || TcpListener::bind(("127.0.0.1", 0));
    let (one, other) = (free()?, free()?);
    let (port, closed_port) = (one.local_addr()?.port(), other.local_addr()?.port());
    drop((one, other));
    let site = |name: &str| Origin::parse(&format!("https://{name}.example:{port}")).unwrap();
    let rig = Rig::with(person, |config| config.http.origins.extend(["sign", "second", "third"].map(site)));
    let paired = site("pair");
    rig.person.on_pairing(move |shown| Some(if shown.origin == paired { PairingAnswer::Always } else { PairingAnswer::Refused }));
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("sample.ofd"), document(3))?;
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join(tests);
    let driver = Command::new("node")
        .args(["--test-reporter=spec"])
        .arg(tests)
        .env("BROWSER_TEST_FOLDER", folder.path())
        .env("BROWSER_TEST_AGENT_PORT", rig.port.to_string())
        .env("BROWSER_TEST_SITE_PORT", port.to_string())
        .env("BROWSER_TEST_PROGRAM", program)
        .env("BROWSER_TEST_CLOSED_PORT", closed_port.to_string())
        .env("BROWSER_TEST_SEAL", rig.seal.es_id())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::inherit())
        .spawn()?;
    let output = thread::spawn(move || driver.wait_with_output());
    let done = |what: &str| std::fs::remove_file(folder.path().join(what)).is_ok();
    let asked_for = |what: &str| folder.path().join(what).exists();
    while !output.is_finished() && !asked_for("stop") {
        if asked_for("unplug") {
            rig.token.unplug()?;
            assert!(done("unplug"));
        }
        if asked_for("plug") {
            rig.token.plug()?;
            assert!(done("plug"));
        }
        thread::sleep(Duration::from_millis(50));
    }

    let pairings = rig.person.pairings();
    let origins = rig.person.shown().iter().map(|summary| summary.requester.to_string()).collect::<Vec<_>>();
    drop(rig);
    done("stop");
    let output = output.join().unwrap()?;
    let said = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        return Err(Failed::from(said.into_owned()));
    }
    // A case that this machine cannot run is told, not called passed.
    said.lines().filter(|line| line.contains("SKIP")).for_each(|line| eprintln!("{line}"));

    // Attack item 22: the code on the page is the one that the person saw, under the origin that the browser sent.
    let shown: Vec<_> = pairings.iter().map(|shown| (shown.origin.as_str(), shown.code.as_str())).collect();
    let code = std::fs::read_to_string(folder.path().join("code"))?;
    assert_eq!(shown[0], (site("pair").as_str(), code.as_str()));
    assert_eq!(shown.last().map(|(origin, _)| *origin), Some(site("refuse").as_str()));
    // Attack item 15: of all that the pages tried, the person was asked about what the client asked for, and nothing else.
    let expected: Vec<_> = asked.iter().map(|name| site(name).to_string()).collect();
    assert_eq!(origins, expected);
    Ok(())
}
