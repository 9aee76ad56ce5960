//! The authority's side: seals issued, lists made, questions answered.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use sealagent::pki::seal_status::{SealState, StatusQuery, status_list};
use sealagent::pki::trust_list::SignedTrustList;
use sealagent::ses::Version;
use sealauthority::serve::Service;
use sealauthority::{Address, Database, InitOptions, KeyProtection, Publication, Region, RegionNames};

use super::cluster::{self, Cluster};
use super::company::{certificate, draft};

/// Where the service's authority is.
const FOLDER: &str = "SEALAGENT_BENCH_AUTHORITY";
/// Seals that are not valid.
const CHANGED: u64 = 20_000;
const CLIENTS: usize = 16;
const SECONDS: u64 = 5;

pub fn is_service() -> bool {
    std::env::var_os(FOLDER).is_some()
}

/// The service, until it is killed.
pub fn serve() {
    let folder = std::env::var(FOLDER).unwrap();
    let region = Region::open(Path::new(&folder), None).unwrap();
    let service = Service { published: Path::new(&folder).join("out"), fresh_for: SignedDuration::from_hours(24) };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let bound = |address| println!("{address}");
    runtime.block_on(sealauthority::serve::serve(region, service, "127.0.0.1:0".parse().unwrap(), bound)).unwrap();
}

pub fn figures() {
    let count = std::env::var("SEALS").map_or(10_000, |count| count.parse().unwrap());
    store("SQLite", None, count);
    if cluster::programs().is_some() {
        let server = Cluster::start(&[]);
        let address = Address::parse(&server.address(&server.database()), false).unwrap();
        store("PostgreSQL", Some(Database { address, password: None }), count);
    }
}

fn store(name: &str, database: Option<Database>, count: u64) {
    let temp = tempfile::tempdir().unwrap();
    let folder = temp.path().join("r");
    let names = RegionNames { id: "shenzhen".into(), name: "深圳".into(), division: "440300".into() };
    let at = Timestamp::now();
    let options = InitOptions { database, ..InitOptions::default() };
    let mut region = Region::init_with(&folder, &names, &KeyProtection::PlainForPilot, &options, at).unwrap();
    let draft = draft(certificate(&mut region, at), at);

    let (begin, used) = (Instant::now(), processor_time("self"));
    for _ in 0..count.div_ceil(1_000) {
        region.make_seals(&draft, Version::V4, 1_000).unwrap();
    }
    let (taken, used) = (begin.elapsed(), processor_time("self") - used);
    println!(
        "{name}: {count} seals issued in {taken:.1?}, {:.0} a second; {used:.1?} of this process on a core",
        rate(count, taken)
    );

    let codes = (1..=count.min(CHANGED)).map(|n| format!("440300{n:08}"));
    let (begin, mut changed) = (Instant::now(), 0);
    for code in codes {
        region.change_seal(&code, SealState::Suspended, at).unwrap();
        changed += 1;
    }
    println!("{name}: {changed} seals suspended one by one, {:.0} a second", rate(changed, begin.elapsed()));

    let begin = Instant::now();
    let (full, _) = region.status(None, SignedDuration::from_hours(24), at).unwrap();
    let (full, made) = (full.unwrap(), begin.elapsed());
    let begin = Instant::now();
    for code in (1..=1_000).map(|n| format!("440300{n:08}")) {
        region.change_seal(&code, SealState::Valid, at).unwrap();
    }
    let thousand = begin.elapsed();
    let begin = Instant::now();
    let (_, delta) = region.status(Some(&full), SignedDuration::from_hours(24), at).unwrap();
    println!(
        "{name}: full list of {changed} made and signed in {made:.1?}, {} bytes; changes of 1 000 in {:.1?}, {} bytes ({thousand:.1?} to record)",
        full.len(),
        begin.elapsed(),
        delta.len()
    );
    let out = folder.join("out");
    region.publish(&out, &Publication::default(), at).unwrap();
    let list = SignedTrustList::parse(&fs::read(out.join("trust-list.p7b")).unwrap()).unwrap();
    let before = resident();
    let begin = Instant::now();
    let loaded = status_list(list.list(), &full).unwrap().with_changes(&status_list(list.list(), &delta).unwrap()).unwrap();
    println!(
        "{name}: full list and changes verified and joined in {:.1?}; {} bytes in memory, process {} KB larger",
        begin.elapsed(),
        loaded.memory(),
        resident().saturating_sub(before)
    );
    drop(region);
    answers(name, &folder);
}

/// Questions about seals, over connections that stay open.
fn answers(name: &str, folder: &Path) {
    let on_core = |core: &str| {
        let mut command = Command::new("taskset");
        command.args(["-c", core]);
        command
    };
    let mut service =
        on_core("0").arg(std::env::current_exe().unwrap()).env(FOLDER, folder).stdout(Stdio::piped()).spawn().unwrap();
    let mut address = String::new();
    BufReader::new(service.stdout.take().unwrap()).read_line(&mut address).unwrap();
    let address = address.trim();
    let mine = std::process::id().to_string();
    Command::new("taskset").args(["-acp", "1", &mine]).stdout(Stdio::null()).status().unwrap();

    let (is_over, answered) = (AtomicBool::new(false), AtomicU64::new(0));
    let (begin, used) = (Instant::now(), processor_time(&service.id().to_string()));
    std::thread::scope(|scope| {
        for client in 0..CLIENTS {
            let (is_over, answered) = (&is_over, &answered);
            scope.spawn(move || {
                let mut connection = BufReader::new(TcpStream::connect(address).unwrap());
                let mut n = client as u64;
                while !is_over.load(Ordering::Relaxed) {
                    n += 997;
                    ask(&mut connection, n);
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        std::thread::sleep(Duration::from_secs(SECONDS));
        is_over.store(true, Ordering::Relaxed);
    });
    let taken = begin.elapsed();
    let used = processor_time(&service.id().to_string()) - used;
    let answered = answered.into_inner();
    println!(
        "{name}: {:.0} signed status answers a second by a service on one core; {:.0} for a second of its processor time",
        rate(answered, taken),
        rate(answered, used)
    );
    end(&mut service);
    Command::new("taskset").args(["-acp", "0-1", &mine]).stdout(Stdio::null()).status().unwrap();
}

fn end(service: &mut Child) {
    service.kill().unwrap();
    service.wait().unwrap();
}

fn ask(connection: &mut BufReader<TcpStream>, n: u64) {
    let nonce = [n.to_be_bytes(), n.to_le_bytes()].concat();
    let question = StatusQuery { es_id: format!("440300{:08}", n % 30_000 + 1), seal_sm3: None, nonce }.to_der();
    let head = format!("POST /status HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", question.len());
    connection.get_mut().write_all(&[head.as_bytes(), &question].concat()).unwrap();
    let (mut line, mut length) = (String::new(), 0);
    connection.read_line(&mut line).unwrap();
    assert!(line.starts_with("HTTP/1.1 200"), "{line}");
    while line != "\r\n" {
        line.clear();
        connection.read_line(&mut line).unwrap();
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
    }
    connection.read_exact(&mut vec![0; length]).unwrap();
}

fn rate(count: u64, taken: Duration) -> f64 {
    count as f64 / taken.as_secs_f64()
}

/// What a process has used of the processors (`/proc/PID/stat`, fields 14 and 15, in ticks of 10 ms).
fn processor_time(process: &str) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    let ticks: u64 =
        stat.rsplit(')').next().unwrap().split_whitespace().skip(11).take(2).map(|n| n.parse::<u64>().unwrap()).sum();
    Duration::from_millis(10 * ticks)
}

/// Resident memory of this process, in KB.
fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
