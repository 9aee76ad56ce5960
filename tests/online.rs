//! A running agent that asks its regions: before a seal is used, and while a file is judged. Off unless the configuration says so; a page's
//! file only where the policy says so; a service that is gone stops nothing, and is told of.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common {
    pub mod question;
    pub mod rig;
}

use std::io::Write as _;
use std::net::TcpListener;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;

use common::question::question;
use common::rig::{NOW, ORIGIN, PIN, Rig, at, document};
use jiff::{SignedDuration, Timestamp};
use sealagent::consent::scripted::Reply;
use sealagent::pki::seal_status::{SealState, StatusQuery};
use sealagent::regions::{Presets, Regions};
use sealauthority::{Publication, Region, Role, SerialNumber};
use serde_json::{Value, json};

/// A region's services on a port of this machine, at the time of the tests.
struct Services {
    port: u16,
    asked: Arc<AtomicUsize>,
    gone: Arc<AtomicBool>,
    folder: mpsc::Sender<std::path::PathBuf>,
}

/// The time at which the agent of these tests lives.
fn then() -> Timestamp {
    at(NOW)
}

impl Services {
    fn new() -> Self {
        Self::at(then)
    }

    fn at(clock: fn() -> Timestamp) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (asked, gone) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let (folder, told) = mpsc::channel::<std::path::PathBuf>();
        let (count, is_gone) = (Arc::clone(&asked), Arc::clone(&gone));
        thread::spawn(move || {
            let Ok(folder) = told.recv() else { return };
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                count.fetch_add(1, Ordering::SeqCst);
                if is_gone.load(Ordering::SeqCst) {
                    continue; // closed without a word
                }
                let (head, asked) = question(&mut stream).unwrap();
                let body = answer(&folder, head.split(' ').nth(1).unwrap(), &asked, clock());
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
                stream.write_all(&[head.as_bytes(), &body].concat()).unwrap();
            }
        });
        Self { port, asked, gone, folder }
    }

    fn asked(&self) -> usize {
        self.asked.swap(0, Ordering::SeqCst)
    }
}

fn answer(folder: &Path, path: &str, question: &[u8], now: Timestamp) -> Vec<u8> {
    let region = Region::open(folder, None).unwrap();
    let hour = SignedDuration::from_hours(1);
    match path {
        "/status" => {
            let query = StatusQuery::parse(question).unwrap();
            region.status_answer(&region.identity(Role::Status).unwrap(), query, hour, now).unwrap()
        }
        "/ocsp" => {
            // The serial number stands before the nonce, which ends the question.
            let serial = serial(question);
            let nonce = &question[question.len() - 16..];
            region.ocsp_answer(&region.identity(Role::Ocsp).unwrap(), &[serial], Some(nonce), hour, now).unwrap()
        }
        other => panic!("{other} was asked"),
    }
}

/// OCSPRequest → tbsRequest → requestList → Request → CertID → serialNumber
fn serial(question: &[u8]) -> SerialNumber {
    use sealagent::asn1::Tlv;
    let mut at = Tlv::read_all(question).unwrap();
    for _ in 0..4 {
        at = at.children().unwrap()[0];
    }
    SerialNumber::new(at.children().unwrap()[3].value).unwrap()
}

/// An agent that accepts the region, whose list names the services.
fn rig(services: &Services, fetching: bool, for_pages: bool) -> Rig {
    let rig = Rig::with(
        |_| Reply::Approve(PIN),
        |config| {
            config.fetch.enabled = fetching;
            config.fetch.for_pages = for_pages;
        },
    );
    let base_url = Some(format!("http://127.0.0.1:{}", services.port));
    let publication = Publication { base_url, private: true, ..Publication::default() };
    let regions = Regions::new(&rig.dir.path().join("data").join("trust"), Presets::none());
    let list = rig.region.trust_list(&publication, at(NOW)).unwrap();
    regions.take(&list, at(NOW), &mut |_| true).unwrap();
    services.folder.send(rig.dir.path().join("region")).unwrap();
    rig
}

/// Signs a document; its state, its code, and the signed file if there is one.
fn sign(rig: &Rig) -> (Value, Option<Vec<u8>>) {
    let document = rig.upload(&document(1));
    let id = rig.ask(&document);
    let status = rig.wait(&id);
    let signed = rig.get(&format!("/v1/signatures/{id}/documents/{document}"));
    (status, (signed.status == 200).then_some(signed.body))
}

fn verify(rig: &Rig, file: &[u8], query: &str) -> Value {
    let headers = [("Origin", ORIGIN), ("Content-Type", "application/ofd")];
    let answer = rig.send("POST", &format!("/v1/verifications{query}"), &headers, file);
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

fn codes(report: &Value) -> Vec<&str> {
    report["signatures"][0]["findings"].as_array().unwrap().iter().map(|finding| finding["code"].as_str().unwrap()).collect()
}

#[test]
fn seal_that_was_cancelled_a_moment_ago_is_refused_before_the_person_is_asked() {
    let services = Services::new();
    let rig = rig(&services, true, false);
    assert_eq!(sign(&rig).0["state"], "done");
    assert_eq!(services.asked(), 1, "the seal's state");
    rig.region.change_seal(rig.seal.es_id(), SealState::Cancelled, at(NOW)).unwrap();
    let prompts = rig.person.shown().len();
    let status = sign(&rig).0;
    assert_eq!((&status["state"], &status["items"][0]["code"]), (&json!("failed"), &json!("seal_cancelled")));
    assert_eq!(rig.person.shown().len(), prompts);
    assert_eq!(rig.tries_left(), common::rig::TRIES);
    // The service goes; what it said stays.
    services.gone.store(true, Ordering::SeqCst);
    assert_eq!(sign(&rig).0["items"][0]["code"], "seal_cancelled");
    assert_ne!(services.asked(), 0);
}

#[test]
fn service_that_is_gone_stops_no_signature_and_nobody_is_asked_unless_fetching_is_on() {
    let services = Services::new();
    services.gone.store(true, Ordering::SeqCst);
    let rig = rig(&services, true, false);
    let (status, _) = sign(&rig);
    assert_eq!((&status["state"], &status["items"][0]["warning"]), (&json!("done"), &json!("seal_status_unanswered")));
    assert_ne!(services.asked(), 0);
    let told = |rig: &Rig| rig.person.shown().last().unwrap().items[0].seal.unanswered.as_ref().map(ToString::to_string);
    assert_eq!(told(&rig).as_deref(), Some("127.0.0.1"), "the person is told before they agree");
    services.gone.store(false, Ordering::SeqCst);
    let (status, _) = sign(&rig);
    assert_eq!((&status["state"], status["items"][0].get("warning"), told(&rig)), (&json!("done"), None, None));
    let off = Services::new();
    let rig = self::rig(&off, false, true);
    let (status, signed) = sign(&rig);
    assert_eq!((&status["state"], status["items"][0].get("warning"), told(&rig)), (&json!("done"), None, None));
    assert!(verify(&rig, &signed.unwrap(), "").get("asked").is_none());
    assert_eq!(off.asked(), 0);
}

#[test]
fn report_says_what_was_asked_and_rests_on_it_and_says_who_did_not_answer() {
    let services = Services::new();
    let rig = rig(&services, true, true);
    let signed = sign(&rig).1.unwrap();
    services.asked();
    let report = verify(&rig, &signed, "");
    let asked = |report: &Value| -> Vec<(String, String)> {
        let asked = report["asked"].as_array().unwrap();
        let text = |one: &Value, field: &str| one[field].as_str().unwrap().to_owned();
        asked.iter().map(|one| (text(one, "question"), text(one, "outcome"))).collect()
    };
    let all =
        |outcome: &str| ["seal", "certificate", "certificate"].map(|question| (question.to_owned(), outcome.to_owned())).to_vec();
    assert_eq!(asked(&report), all("answered"), "the seal, its maker and the signer; the CA's issuer has no responder");
    assert_eq!(report["asked"][0]["subject"], rig.seal.es_id());
    assert_eq!((&report["asked"][0]["region"], &report["asked"][0]["host"]), (&json!("shenzhen"), &json!("127.0.0.1")));
    assert_eq!(report["indication"], "TOTAL_PASSED", "{report}");
    assert_eq!(services.asked(), 3);

    // For another moment than now nobody is asked.
    assert!(verify(&rig, &signed, "?at=2026-11-24T06:00:00Z").get("asked").is_none());
    assert_eq!(services.asked(), 0);

    // The service goes: the kept answers count for their hour, and then no more.
    services.gone.store(true, Ordering::SeqCst);
    let report = verify(&rig, &signed, "");
    assert_eq!(asked(&report), all("unreachable"));
    assert_eq!(report["indication"], "TOTAL_PASSED", "{report}");
    assert_eq!(services.asked(), 1, "one that is gone is tried once");
    rig.set_clock(NOW + 2 * 3600);
    let report = verify(&rig, &signed, "");
    assert_eq!((&report["indication"], asked(&report)), (&json!("INDETERMINATE"), all("unreachable")));
    assert!(codes(&report).contains(&"SEAL_STATUS_UNKNOWN"), "{report}");
    assert!(report["asked"][0]["detail"].as_str().unwrap().contains("127.0.0.1"));

    // It comes back, and the seal was cancelled before the signature meanwhile.
    rig.set_clock(NOW);
    services.gone.store(false, Ordering::SeqCst);
    rig.region.change_seal(rig.seal.es_id(), SealState::Cancelled, at(NOW)).unwrap();
    let report = verify(&rig, &signed, "");
    assert_eq!((&report["indication"], asked(&report)), (&json!("TOTAL_FAILED"), all("answered")));
    assert!(codes(&report).contains(&"SEAL_STATUS_CANCELLED"), "{report}");
}

#[test]
fn file_of_a_page_is_judged_without_asking_unless_policy_says_so_and_the_persons_own_with_it() {
    let services = Services::new();
    let rig = rig(&services, true, false);
    let signed = sign(&rig).1.unwrap();
    services.asked();
    assert!(verify(&rig, &signed, "").get("asked").is_none());
    assert_eq!(services.asked(), 0);
    // The person's own page, on which the person handed the file over, is another matter.
    let own = format!("http://127.0.0.1:{}", rig.port);
    let headers = [("Origin", own.as_str()), ("Content-Type", "application/octet-stream")];
    let judged = rig.send("POST", "/app/api/reports?name=a.ofd", &headers, &signed).json();
    assert_eq!(judged["report"]["asked"][0]["outcome"], "answered", "{judged}");
    assert_eq!(services.asked(), 3);
}

/// A file that the agent signed, and the command that judges it with the agent's data. On the command line, which lives in the present; how
/// old the certificates are by then is not its matter.
struct CommandLine {
    rig: Rig,
    signed: std::path::PathBuf,
}

impl CommandLine {
    fn new(services: &Services) -> Self {
        let rig = rig(services, false, false);
        let signed = rig.dir.path().join("signed.ofd");
        std::fs::write(&signed, sign(&rig).1.unwrap()).unwrap();
        // The agent's data, where the program looks for it.
        let home = rig.dir.path().join("home");
        std::fs::create_dir(&home).unwrap();
        std::fs::rename(rig.dir.path().join("data"), home.join("sealagent")).unwrap();
        Self { rig, signed }
    }

    fn verify(&self, arguments: &[&str]) -> String {
        let home = self.rig.dir.path().join("home");
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_sealagent"));
        command.arg("verify").args(arguments).env("LC_ALL", "C.UTF-8").env("XDG_DATA_HOME", &home);
        let output = command.env("XDG_CONFIG_HOME", &home).env("XDG_STATE_HOME", &home).output().unwrap();
        String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap()
    }
}

#[test]
fn command_line_asks_with_online_and_says_what_came_of_it() {
    let services = Services::at(Timestamp::now);
    let line = CommandLine::new(&services);
    let run = |arguments: &[&str]| line.verify(&[arguments, &[line.signed.to_str().unwrap()]].concat());
    assert!(!run(&["--json"]).contains("\"asked\""));
    assert_eq!(services.asked(), 0);
    let report: Value = serde_json::from_str(&run(&["--json", "--online"])).unwrap();
    let outcomes: Vec<_> = report["asked"].as_array().unwrap().iter().map(|one| one["outcome"].as_str().unwrap()).collect();
    assert_eq!(outcomes, ["answered"; 3], "{report}");
    services.gone.store(true, Ordering::SeqCst);
    let text = run(&["--online"]);
    assert!(text.contains("127.0.0.1: cannot be reached; judged by what is kept"), "{text}");
    assert!(run(&["--online", "--at", "2026-11-24T06:00:00Z"]).contains("cannot be used with"));
}

#[test]
fn many_files_with_one_seal_ask_about_it_once() {
    let services = Services::at(Timestamp::now);
    let line = CommandLine::new(&services);
    let names: Vec<_> = (0..40).map(|n| line.rig.dir.path().join(format!("{n}.ofd")).display().to_string()).collect();
    for name in &names {
        std::fs::copy(&line.signed, name).unwrap();
    }
    let arguments: Vec<&str> = ["--json", "--online"].into_iter().chain(names.iter().map(String::as_str)).collect();
    // What is told beside the reports has its own lines.
    let reports = |said: String| said.lines().filter_map(|text| serde_json::from_str(text).ok()).collect::<Vec<Value>>();
    let judge = || reports(line.verify(&arguments));
    let outcomes = |report: &Value| -> Vec<String> {
        report["asked"].as_array().unwrap().iter().map(|one| one["outcome"].as_str().unwrap().to_owned()).collect()
    };
    let reports = judge();
    assert_eq!(services.asked(), 3, "a seal and two certificates");
    assert_eq!(reports.iter().map(|report| report["file"].as_str().unwrap()).collect::<Vec<_>>(), names);
    for report in &reports {
        assert_eq!(outcomes(report), ["answered"; 3], "{report}");
        assert_eq!((&report["indication"], &report["signatures"]), (&reports[0]["indication"], &reports[0]["signatures"]));
    }

    // Each run asks for itself, and a service that is gone is tried once for each question.
    services.gone.store(true, Ordering::SeqCst);
    let reports = judge();
    assert!((1..=3).contains(&services.asked()));
    assert!(reports.len() == names.len() && reports.iter().all(|report| outcomes(report) == ["unreachable"; 3]), "{reports:#?}");
}
