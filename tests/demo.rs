//! The demo as a newcomer runs it, without a display. Starts the real programs, which `cargo build --workspace --bins` makes.

#![allow(clippy::unwrap_used, clippy::expect_used)]
#![cfg(unix)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn sealagent() -> Command {
    let program = Path::new(env!("CARGO_BIN_EXE_sealagent"));
    for sibling in ["sealauthority", "sealagent-worker"] {
        let sibling = program.with_file_name(sibling);
        assert!(sibling.is_file(), "{} is missing: cargo build --workspace --bins", sibling.display());
    }
    let mut command = Command::new(program);
    command.env_remove("DISPLAY").env_remove("WAYLAND_DISPLAY");
    command
}

fn demo(folder: &Path, locale: &str) -> Output {
    sealagent().args(["demo", "--folder"]).arg(folder).env("LC_ALL", locale).output().unwrap()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut out = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { out.extend(files(&path)) } else { out.push(path) }
    }
    out
}

#[test]
fn headless_demo_ends_totally_passed_and_leaves_no_pin() {
    for (locale, origin_asked, verdict) in
        [("C.UTF-8", "Request from", "✔ valid (TOTAL_PASSED)"), ("zh_CN.UTF-8", "请求来自", "✔ 有效 (TOTAL_PASSED)")]
    {
        let temp = tempfile::tempdir().unwrap();
        let folder = temp.path().join("demo");
        let output = demo(&folder, locale);
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
        for expected in [origin_asked, verdict, "①", "②", "③", "④", "⑤", "44030000000001", "深圳市某某科技有限公司"]
        {
            assert!(said.contains(expected), "{expected:?} is missing from:\n{said}");
        }

        let pin = said.split("DEMO-UKEY: ").nth(1).and_then(|rest| rest.get(..6)).unwrap();
        assert!(pin.bytes().all(|b| b.is_ascii_digit()), "{pin:?}");
        assert_eq!(said.matches(pin).count(), 1, "the PIN is shown once");
        let mut looked_at = Vec::new();
        // Keys and signatures are long random texts in which any six digits may stand; what speaks of the request must not.
        for path in
            files(&folder).into_iter().filter(|path| path.extension().is_some_and(|e| e == "log" || e == "toml" || e == "jsonl"))
        {
            let contents = std::fs::read(&path).unwrap();
            assert!(!contents.windows(6).any(|window| window == pin.as_bytes()), "the PIN is in {}", path.display());
            looked_at.push(path);
        }
        assert!(looked_at.len() >= 3, "{looked_at:?}");
    }
}

#[test]
fn demo_document_is_verified_anew_and_refused_with_a_changed_byte() {
    let temp = tempfile::tempdir().unwrap();
    let folder = temp.path().join("demo");
    assert!(demo(&folder, "C.UTF-8").status.success());
    let verify = |file: &Path| {
        let output = sealagent().args(["verify", "--json", "--trust"]).arg(folder.join("data/trust")).arg(file).output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let signed = folder.join("signed.ofd");
    let (code, report) = verify(&signed);
    assert!(code == Some(0) && report.contains("\"TOTAL_PASSED\""), "{code:?} {report}");

    let mut bytes = std::fs::read(&signed).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    let altered = folder.join("altered.ofd");
    std::fs::write(&altered, bytes).unwrap();
    let (code, report) = verify(&altered);
    assert!(code == Some(1) && report.contains("\"TOTAL_FAILED\""), "{code:?} {report}");

    let stranger = temp.path().join("stranger");
    std::fs::create_dir_all(stranger.join("anchors")).unwrap();
    let output = sealagent().args(["verify", "--json", "--trust"]).arg(&stranger).arg(&signed).output().unwrap();
    assert_eq!(output.status.code(), Some(3), "without the regions' anchors nothing is certain");
}

#[test]
fn folder_in_use_is_refused_and_left_alone() {
    let temp = tempfile::tempdir().unwrap();
    std::fs::write(temp.path().join("mine"), "x").unwrap();
    let output = demo(temp.path(), "C.UTF-8");
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("not empty"), "{output:?}");
    assert_eq!(std::fs::read_dir(temp.path()).unwrap().count(), 1);
}

#[test]
fn rehearsal_ends_as_it_must_and_names_every_reason() {
    let temp = tempfile::tempdir().unwrap();
    let folder = temp.path().join("rehearsal");
    let output = sealagent().args(["demo", "--rehearse", "--folder"]).arg(&folder).env("LC_ALL", "C.UTF-8").output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    for expected in ["SEAL_STATUS_CANCELLED", "not accepted here any more", "stays in use until it is too old", "✘ "] {
        assert!(said.contains(expected), "{expected:?} is missing from:\n{said}");
    }
}
