//! `sealagent sign` as an unattended job uses it, and on a full disk.

use super::*;

/// Writes the configuration of a command that works on the rig's places and token.
fn configuration(rig: &Rig) -> std::path::PathBuf {
    let path = |name: &str| rig.dir.path().join(name).display().to_string();
    let text = format!(
        "[places]\ndata = {:?}\nstate = {:?}\n[[driver]]\nkind = \"virtual\"\nlibrary = {:?}\n",
        path("data"),
        path("state"),
        path("tokens")
    );
    let config = rig.dir.path().join("config.toml");
    fs::write(&config, text).unwrap();
    config
}

#[test]
fn pin_fd_gives_its_pin_once_and_never_as_the_last_try() {
    let wrong = Arc::new(AtomicBool::new(true));
    let say = wrong.clone();
    // A person burns all tries but one.
    let rig = Rig::with(
        move |summary| if say.load(Ordering::SeqCst) && summary.attempt < TRIES { Reply::Approve(WRONG) } else { Reply::Decline },
        |_| {},
    );
    assert_eq!(sign_one(&rig).status.state, State::Declined);
    assert_eq!(rig.tries_left(), 1);
    let descriptor = rig.dir.path().join("pin");
    fs::write(&descriptor, PIN).unwrap();
    let outcome = command(&rig, &descriptor);
    assert_eq!(outcome.0, 6, "{}", outcome.1);
    assert!(outcome.1.contains("pin_last_try"), "{}", outcome.1);
    assert_eq!(rig.tries_left(), 1);
}

/// `sealagent sign --pin-fd 0 --json` with that file as standard input: exit code and output.
fn command(rig: &Rig, pin: &Path) -> (i32, String) {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_sealagent"))
        .arg("--config")
        .arg(configuration(rig))
        .args(["sign", "input.ofd", "-o", "output.ofd", "--no-impression", "--pin-fd", "0", "--json", "--seal", rig.seal.es_id()])
        .current_dir(rig.dir.path())
        .stdin(fs::File::open(pin).unwrap())
        .output()
        .unwrap();
    (output.status.code().unwrap(), String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn pin_fd_with_a_wrong_pin_ends_with_6_after_one_try() {
    let rig = Rig::new();
    fs::write(rig.dir.path().join("input.ofd"), document(1)).unwrap();
    let pin = rig.dir.path().join("pin");
    fs::write(&pin, format!("{WRONG}\n")).unwrap();
    let (exit, out) = command(&rig, &pin);
    assert_eq!(exit, 6, "{out}");
    assert!(out.contains("pin_incorrect"));
    assert_eq!(rig.tries_left(), TRIES - 1);
    fs::write(&pin, PIN).unwrap();
    assert_eq!(command(&rig, &pin).0, 0);
    fs::remove_file(rig.dir.path().join("input.ofd")).unwrap();
    assert_eq!(command(&rig, &pin).0, 4, "an input that cannot be read");
    fs::write(rig.dir.path().join("input.ofd"), document(1)).unwrap();
    rig.token.unplug().unwrap();
    let path = rig.dir.path().join("seal.esl");
    fs::write(&path, rig.seal.raw()).unwrap();
    seals::import(&path, &rig.app.signer.config.places.seals()).unwrap();
    assert_eq!(command(&rig, &pin).0, 5, "a token that is away");
}

/// What the command line leaves on a full disk: the limit on file sizes stands in for the disk's end.
#[cfg(unix)]
mod full_disk {
    use std::process::{Command, Output, Stdio};

    use sealagent::audit::{Audit, Event, ItemRecord, Kind, Matter};
    use sealagent::consent::summary::Shown;

    use super::*;

    struct Desk {
        rig: Rig,
        config: std::path::PathBuf,
    }

    impl Desk {
        fn new() -> Self {
            let rig = Rig::new();
            let config = configuration(&rig);
            fs::write(rig.dir.path().join("input.ofd"), document(3)).unwrap();
            Self { rig, config }
        }

        fn audit(&self) -> Audit {
            self.rig.app.signer.audit.clone()
        }

        /// `sealagent sign` where no file may grow beyond so many KiB.
        fn sign(&self, kib: Option<u64>) -> Output {
            let program = env!("CARGO_BIN_EXE_sealagent");
            let limit = kib.map_or(String::new(), |kib| format!("trap '' XFSZ; ulimit -f {kib}; "));
            let mut child = Command::new("bash")
                .args(["-c", &format!("{limit}exec \"$0\" \"$@\""), program, "--config"])
                .arg(&self.config)
                .args(["sign", "input.ofd", "-o", "output.ofd", "--at", "20,20", "--pin-fd", "0", "--json", "--seal"])
                .arg(self.rig.seal.es_id())
                .current_dir(self.rig.dir.path())
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap();
            child.stdin.take().unwrap().write_all(format!("{PIN}\n").as_bytes()).unwrap();
            child.wait_with_output().unwrap()
        }

        fn assert_failed(&self, output: &Output, code: &str) {
            let printed: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
            assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
            assert_eq!(printed["code"].as_str().unwrap_or("disk_full"), code, "{printed}");
            assert!(!self.rig.dir.path().join("output.ofd").exists());
            assert_eq!(fs::read(self.rig.dir.path().join("input.ofd")).unwrap(), document(3), "the input is never touched");
            let left: Vec<_> = fs::read_dir(self.rig.dir.path())
                .unwrap()
                .map(|e| e.unwrap().file_name().into_string().unwrap())
                .filter(|n| n.starts_with(".sealagent-"))
                .collect();
            assert!(left.is_empty(), "{left:?}");
            let chain = sealagent::audit::verify(self.audit().dir()).unwrap();
            assert!(chain.problems.is_empty(), "{:?}", chain.problems);
        }

        /// Lines of the record until its file has exactly so many bytes left to `kib`.
        fn fill_record(&self, kib: u64, left: u64) {
            let event = |padding: u64| Event {
                event: Kind::Signed,
                matter: Matter::default(),
                request: "0".repeat(padding as usize),
                requester: Requester::CommandLine,
                user: "u".into(),
                items: vec![ItemRecord {
                    name: Shown::new("x"),
                    sm3: sealagent::sm::sm3(b""),
                    digest_only: false,
                    seal: Shown::new("1"),
                    signed: None,
                    code: None,
                }],
                code: None,
                token: None,
                origin: None,
            };
            let (audit, now) = (self.audit(), jiff::Timestamp::now());
            let size = || {
                let files = fs::read_dir(audit.dir()).unwrap().map(|e| e.unwrap().path());
                files.filter(|p| p.extension().is_some_and(|x| x == "jsonl")).map(|p| fs::metadata(p).unwrap().len()).sum::<u64>()
            };
            audit.append(now, &event(10_000)).unwrap();
            let target = kib * 1024 - left;
            while target - size() > 12_000 {
                audit.append(now, &event(9_000)).unwrap();
            }
            let before = size();
            audit.append(now, &event(0)).unwrap();
            let one = size() - before;
            audit.append(now, &event(target - size() - one)).unwrap();
            assert!(size().abs_diff(target) < 4, "{} {target}", size());
        }
    }

    #[test]
    fn with_room_it_signs() {
        let desk = Desk::new();
        let output = desk.sign(Some(1024));
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        let signed = fs::read(desk.rig.dir.path().join("output.ofd")).unwrap();
        assert_eq!(report(&desk.rig, &signed).signatures.len(), 1);
    }

    #[test]
    fn before_the_document_is_taken_in() {
        let desk = Desk::new();
        desk.assert_failed(&desk.sign(Some(0)), "disk_full");
        assert_eq!(desk.rig.tries_left(), TRIES);
    }

    #[test]
    fn before_step_6_the_token_is_not_asked() {
        let desk = Desk::new();
        desk.fill_record(64, 300);
        let lines = desk.rig.record().len();
        desk.assert_failed(&desk.sign(Some(64)), "audit_unavailable");
        assert_eq!(desk.rig.record().len(), lines, "no part of a line stays behind");
    }

    #[test]
    fn in_step_10_nothing_appears() {
        let desk = Desk::new();
        // The document has under 4 KiB, the signed one more: seal and certificate are in it.
        assert!(document(3).len() < 4 << 10);
        desk.assert_failed(&desk.sign(Some(4)), "disk_full");
        assert_eq!(desk.rig.events(), ["accepted", "failed"]);
    }

    #[test]
    fn before_step_11_nothing_is_given_out() {
        let desk = Desk::new();
        // Room for the acceptance (some 480 bytes), none for the outcome after it.
        desk.fill_record(64, 700);
        desk.assert_failed(&desk.sign(Some(64)), "audit_unavailable");
        assert_eq!(desk.rig.events().last().unwrap(), "accepted");
    }
}
