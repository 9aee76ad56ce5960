//! Attacks from beside the agent, by the numbers of the list: the way to the worker (46), address schemes (47), updates that a page
//! asks for (48), what installing (49) and removing (50) leaves open, certificate authorities (51). What only an installation shows
//! is in packaging/check-deb.sh and packaging/check-msi.sh, which say the same numbers.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common {
    pub mod rig;
}

use std::fs;
use std::path::{Path, PathBuf};

use common::rig::{ORIGIN, Rig};

/// The text of a file of the folder `packaging`.
fn packaging(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging").join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every text file below `packaging` but this machine's own results.
fn all_of_packaging() -> Vec<(PathBuf, String)> {
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging")];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let path = entry.path();
            match entry.file_type().unwrap() {
                kind if kind.is_dir() => folders.push(path),
                kind if kind.is_file() => {
                    if let Ok(text) = fs::read_to_string(&path) {
                        files.push((path, text));
                    }
                }
                _ => {}
            }
        }
    }
    assert!(files.len() > 15, "{files:?}");
    files
}

#[cfg(target_os = "linux")]
mod worker {
    use std::collections::BTreeMap;

    use super::*;

    fn links(process: &str) -> BTreeMap<String, String> {
        let Ok(entries) = fs::read_dir(format!("/proc/{process}/fd")) else { return BTreeMap::new() };
        let of = |entry: fs::DirEntry| {
            Some((entry.file_name().into_string().ok()?, fs::read_link(entry.path()).ok()?.to_string_lossy().into_owned()))
        };
        entries.filter_map(Result::ok).filter_map(of).collect()
    }

    /// The workers that this process started.
    fn workers() -> Vec<String> {
        let ours = std::process::id().to_string();
        let processes = fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        processes
            .filter(|process| {
                let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
                let behind_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
                stat.contains("(sealagent-worke") && behind_name.split_whitespace().nth(1) == Some(&ours)
            })
            .collect()
    }

    /// There is nothing to connect to, replay to or inject into: three pipes without names, each end held by agent and worker alone.
    #[test]
    fn a46_the_way_to_the_worker_has_no_name_and_no_third_end() {
        let rig = Rig::new();
        assert_eq!(rig.get("/v1/seals").status, 200);
        let mut judged = 0;
        let ours = std::process::id().to_string();
        for worker in &workers() {
            let ends = links(worker);
            if ends.is_empty() {
                continue; // another test's worker, which has ended meanwhile
            }
            judged += 1;
            for descriptor in ["0", "1", "2"] {
                let end = ends.get(descriptor).unwrap_or_else(|| panic!("{worker} has no {descriptor}: {ends:?}"));
                // The worker moves its answers away from what a library may print to; then its output is nowhere or the log's pipe.
                assert!(end.starts_with("pipe:[") || end == "/dev/null", "{worker} {descriptor} is {end}");
            }
            // What everybody here inherits, such as cargo's job server, is not between agent and worker.
            let inherited = links(&std::os::unix::process::parent_id().to_string());
            let is_ours = |end: &&String| end.starts_with("pipe:[") && !inherited.values().any(|other| other == *end);
            let pipes: Vec<&String> = ends.values().filter(is_ours).collect();
            assert!(pipes.len() >= 2, "{ends:?}");
            assert!(!ends.values().any(|end| end.starts_with("socket:[")), "{ends:?}");
            let third = || {
                let processes = fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().into_string().ok());
                let others = processes.filter(|process| *process != ours && process != worker && process.parse::<u32>().is_ok());
                others.into_iter().find(|process| links(process).values().any(|end| pipes.contains(&end)))
            };
            // Another test's worker has everything between fork and exec, for a moment.
            let held = (0..20).all(|_| {
                std::thread::sleep(std::time::Duration::from_millis(50));
                third().is_some()
            });
            assert!(!held, "{:?} holds an end too", third());
        }
        assert!(judged > 0, "no worker runs");
    }
}

#[test]
fn a47_no_package_registers_an_address_scheme() {
    for (path, text) in all_of_packaging() {
        for sign in ["x-scheme-handler", "URL Protocol", "URL:sealagent", "MimeType="] {
            assert!(!text.contains(sign), "{}: {sign}", path.display());
        }
    }
    // What a desktop starts takes nothing from outside either.
    for file in ["deb/sealagent.desktop", "deb/sealagent-autostart.desktop"] {
        let text = packaging(file);
        let exec = text.lines().find_map(|line| line.strip_prefix("Exec=")).unwrap();
        assert!(!exec.contains('%'), "{file}: {exec}");
    }
}

#[test]
fn a48_no_page_can_ask_for_an_update() {
    let rig = Rig::new();
    for path in ["/v1/update", "/v1/updates", "/v1/update/check", "/update", "/v1/install"] {
        for method in ["GET", "POST", "PUT"] {
            let answer = rig.send(method, path, &[("Origin", ORIGIN), ("Content-Type", "application/json")], b"{}");
            assert!(matches!(answer.status, 404 | 405), "{method} {path}: {}", answer.head);
        }
    }
}

#[test]
fn a49_what_runs_while_installing_lies_where_only_administrators_write() {
    let msi = packaging("msi.sh");
    for action in msi.lines().filter(|line| line.contains("INSERT INTO CustomAction")) {
        let sets_a_property = action.contains("('Keep$name', 51, ");
        let runs_windows_own = action.contains("'System64Folder', '[System64Folder]taskkill.exe ");
        assert!(sets_a_property || runs_windows_own, "{action}");
    }
    let source = packaging("msi/sealagent.wxs");
    assert!(source.contains(r#"Value="&quot;[INSTALLDIR]sealagent-start.exe&quot;""#), "a path with spaces must be quoted");
    for sign in ["CustomAction", "ServiceInstall", "AppDataFolder\"", "LocalAppDataFolder", "TempFolder", "HKCU"] {
        let found = source.replace("CommonAppDataFolder\"", "").contains(sign);
        assert!(!found, "{sign}");
    }
    // The folder of the policy belongs to administrators, whoever made one of that name before.
    assert!(msi.contains("O:BAD:PAI(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;0x1200a9;;;BU)"));
    for script in ["postinst", "prerm", "postrm"] {
        let text = packaging(&format!("deb/scripts/{script}"));
        for sign in ["/tmp", "$HOME", "curl", "wget", "chmod", "chown", "sudo"] {
            assert!(!text.contains(sign), "{script}: {sign}");
        }
    }
}

#[test]
fn a50_whatever_a_package_enables_its_removal_disables() {
    let (installs, removes) =
        (packaging("deb/scripts/postinst"), packaging("deb/scripts/postrm") + &packaging("deb/scripts/prerm"));
    assert!(installs.contains("deb-systemd-helper --user enable"));
    for undone in ["--user mask", "--user purge", "--user unmask", "--user stop", "kill -TERM"] {
        assert!(removes.contains(undone), "{undone}");
    }
    let source = packaging("msi/sealagent.wxs");
    // Only the policy stays; everything else of the MSI has a component that goes.
    assert!(!source.contains("Permanent=\"yes\""));
    assert_eq!(packaging("msi.sh").matches("WHERE Component = 'Policy'").count(), 1);
    for sign in ["NativeMessagingHosts", "netsh", "FirewallException", "certutil", "update-ca-certificates"] {
        for (path, text) in all_of_packaging() {
            assert!(!text.contains(sign), "{}: {sign}", path.display());
        }
    }
}

#[test]
fn a51_no_package_brings_or_makes_a_certificate_authority() {
    for (path, text) in all_of_packaging() {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        assert!(!["pem", "crt", "cer", "der", "p12", "pfx"].iter().any(|kind| name.ends_with(&format!(".{kind}"))), "{name}");
        assert!(!text.contains(concat!("-----BEGIN ", "CERTIFICATE")), "{name}");
        assert!(!text.contains("usr/local/share/ca-certificates"), "{name}");
    }
}
