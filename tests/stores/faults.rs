//! What can go wrong between an authority and its PostgreSQL server.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use sealagent::pki::seal_status::SealState::Suspended;
use sealagent::pki::seal_status::StatusQuery;
use sealagent::sm::sm3;
use sealauthority::store::Revocation;
use sealauthority::{Counter, Region, StoreError};

use super::cluster::{self, Cluster, said};
use super::proxy::{Cut, Proxy};
use super::rig::{Given, Kind, Rig, codes, fill, goes_on, hours, now, sealauthority, seals};

pub const CASES: &[(&str, fn())] = &[
    ("commit_that_did_not_arrive_is_done_again", commit_that_did_not_arrive_is_done_again),
    ("commit_whose_answer_was_lost_is_not_done_again", commit_whose_answer_was_lost_is_not_done_again),
    ("connections_that_are_cut_while_issuing_lose_and_double_nothing", connections_that_are_cut_while_issuing),
    ("commit_that_a_fail_over_lost_is_done_again_on_the_new_server", fail_over_that_lost_the_commit),
    ("files_are_given_out_while_the_database_is_gone_and_answers_come_when_it_is_back", files_without_the_database),
    ("full_disk_of_the_server_changes_nothing_and_is_named", full_disk_of_the_server),
    ("marks_of_transactions_are_cleared_away", marks_are_cleared),
    ("server_that_is_gone_is_named_and_nothing_is_half_done", server_that_is_gone),
    ("service_answers_again_after_its_connection_was_cut", service_answers_again),
];

/// From now on the authority of `rig` reaches its server through this.
fn proxied(rig: &Rig, socket: PathBuf) -> Proxy {
    let proxy = Proxy::new(socket);
    let through = format!("postgres://{}@127.0.0.1:{}/{}", cluster::user(), proxy.port(), rig.database_name());
    std::fs::write(rig.folder().join("database.json"), format!("{{\"database\": \"{through}\"}}")).unwrap();
    proxy
}

/// Everything that writes, once, through a connection that breaks when it commits.
fn each_write_once(cut: Cut) {
    let rig = Rig::new(Kind::Postgres);
    let code = seals(&mut rig.pilot(now()), 1).remove(0);
    let proxy = proxied(&rig, cluster::shared(Cluster::socket));
    let region = rig.opened();
    let store = region.store();
    let broken = |what: &str, write: &dyn Fn()| {
        proxy.arm(cut);
        write();
        assert!(proxy.has_cut(), "{what} committed nothing");
    };
    let before = store.counter(Counter::Seal).unwrap();
    broken("take_numbers", &|| assert_eq!(store.take_numbers(Counter::Seal, 5).unwrap(), before + 1));
    assert_eq!(store.counter(Counter::Seal).unwrap(), before + 5);
    broken("add_seals", &|| store.add_seals(&[("new".to_owned(), sm3(b"new"))], now()).unwrap());
    assert_eq!(store.seal_count().unwrap(), 2);
    broken("change_seal", &|| region.change_seal(&code, Suspended, hours(1)).unwrap());
    assert_eq!(store.history(&code).unwrap().changes().len(), 1);
    broken("add_certificate", &|| store.add_certificate("0a", b"der", hours(1)).unwrap());
    let revocation = Revocation { serial: "0a".to_owned(), issuer: "ca".to_owned(), at: hours(1), reason: None };
    broken("revoke", &|| assert!(store.revoke(&revocation).unwrap(), "reported as revoked before"));
    broken("set_text_once", &|| assert!(store.set_text_once("a", "b").unwrap(), "reported as set before"));
}

fn commit_that_did_not_arrive_is_done_again() {
    each_write_once(Cut::Before);
}

fn commit_whose_answer_was_lost_is_not_done_again() {
    each_write_once(Cut::After);
}

/// The transaction is on the server that is lost, and on the new one its number is given to another transaction.
fn fail_over_that_lost_the_commit() {
    let server = Cluster::start(&[]);
    let rig = Rig::at(&server.address(&server.database()));
    rig.pilot(now());
    let proxy = proxied(&rig, server.socket());
    let region = rig.opened();
    let store = region.store();
    store.set_text("before", "b").unwrap();
    let standby = server.fail_over();
    for _ in 0..50 {
        standby.psql(rig.database_name(), "SELECT pg_current_xact_id()");
    }
    proxy.turn_to(standby.socket());
    proxy.arm(Cut::After);
    assert!(store.set_text_once("a", "b").unwrap());
    assert!(proxy.has_cut());
    let there = |server: &Cluster, name| {
        let statement = format!("SELECT count(*) FROM sealauthority.text WHERE name = '{name}'");
        server.psql(rig.database_name(), &statement)
    };
    assert_eq!([there(&standby, "before"), there(&server, "a"), there(&standby, "a")], ["1", "1", "1"]);
}

/// A store leaves nothing behind but its records.
fn marks_are_cleared() {
    let rig = Rig::new(Kind::Postgres);
    let store = rig.store();
    let marks = "SELECT count(*) FROM sealauthority.text WHERE name LIKE 'mark:%'";
    let marks = || cluster::shared(|cluster| cluster.psql(rig.database_name(), marks));
    store.set_text("a", "b").unwrap();
    store.set_text("a", "c").unwrap();
    assert_eq!(marks(), "1", "one row, however many transactions");
    drop(store);
    assert_eq!(marks(), "0");
}

/// The statement that ends every connection of this authority.
fn cut_connections(rig: &Rig) -> String {
    format!("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = '{}'", rig.database_name())
}

fn connections_that_are_cut_while_issuing() {
    let rig = Rig::new(Kind::Postgres);
    let company = rig.company();
    let count = rig.opened().store().seal_count().unwrap();
    let mut child = rig.seals(&company, 12_000).stdout(Stdio::piped()).spawn().unwrap();
    let printed = BufReader::new(child.stdout.take().unwrap());
    let cut = cut_connections(&rig);
    let (mut cuts, mut given) = (0, Given::default());
    // Once in a step, each time a little later: a step that is cut again and again, as by a clock on a busy machine, is given up.
    for (line, step) in printed.lines().zip(0..) {
        given.add(codes(&line.unwrap()));
        std::thread::sleep(Duration::from_millis(30 * step));
        cuts += cluster::shared(|cluster| cluster.psql("postgres", &cut)).parse::<u32>().unwrap();
    }
    assert!(child.wait().unwrap().success() && cuts >= 2, "{cuts} cuts");
    let region = rig.opened();
    assert_eq!(region.store().seal_count().unwrap() - count, 12_000);
    assert_eq!(given.len(), 12_000);
    given.are_in(region.store());
}

fn server_that_is_gone() {
    let mut server = Cluster::start(&[]);
    let rig = Rig::at(&server.address(&server.database()));
    let company = rig.company();
    let mut child = rig.seals(&company, 1_000_000).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut printed = vec![codes(&lines.next().unwrap().unwrap()), codes(&lines.next().unwrap().unwrap())];
    server.signal("QUIT"); // no farewell to transactions, as at a power cut
    printed.extend(lines.map_while(Result::ok).map(|line| codes(&line)));
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("hint: ") && (text.contains("cannot be reached") || text.contains("cannot be asked")), "{text}");
    let opened = Region::open(&rig.folder(), None);
    assert!(matches!(opened, Err(sealauthority::RegionError::Store(StoreError::Unreachable(_)))));

    server.start_again();
    let region = rig.opened();
    let mut given = Given::default();
    printed.iter().for_each(|codes| given.add(*codes));
    given.are_in(region.store());
    assert_eq!(region.store().seal_count().unwrap() % 1000, 0, "no half of a step");
    let next = said(rig.seals(&company, 1000).output().unwrap());
    assert!(codes(&next).0 > printed.last().unwrap().1);
}

/// The server's files may not grow beyond two megabytes and a half page: what it meets is a disk that takes half a page and no more.
fn full_disk_of_the_server() {
    let server = Cluster::start(&["prlimit", "--fsize=2101248:unlimited"]);
    let rig = Rig::at(&server.address(&server.database()));
    let store = rig.store();
    let kept = fill(&store, 500);
    drop(store);
    server.lift_limit();
    goes_on(&rig.store_again().unwrap(), kept, 500);
}

/// `sealauthority serve`, until it is dropped.
struct Serving {
    child: Child,
    address: String,
}

impl Serving {
    fn new(rig: &Rig) -> Self {
        let mut service = sealauthority();
        service.arg("serve").arg(rig.folder()).arg(rig.out()).args(["--listen", "127.0.0.1:0"]);
        let mut child = service.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let address = lines.find_map(|line| Some(line.strip_prefix("http://")?.trim_end_matches('/').to_owned())).unwrap();
        Self { child, address }
    }

    fn exchange(&self, head: &str, body: &[u8]) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let head = format!("{head} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len());
        stream.write_all(&[head.as_bytes(), body].concat()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        String::from_utf8_lossy(&answer[9..12]).into_owned()
    }

    /// A question about a seal; gives the status of the answer.
    fn ask(&self) -> String {
        let question = StatusQuery { es_id: "44030000000001".to_owned(), seal_sm3: None, nonce: vec![7; 16] };
        self.exchange("POST /status", &question.to_der())
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn service_answers_again() {
    let rig = Rig::new(Kind::Postgres);
    rig.company();
    let service = Serving::new(&rig);
    assert_eq!(service.ask(), "200");
    assert_eq!(cluster::shared(|cluster| cluster.psql("postgres", &cut_connections(&rig))), "1");
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        match service.ask().as_str() {
            "200" => break,
            "503" => assert!(Instant::now() < end, "not ready after a minute"), // too slow, as a busy machine may be
            refused => panic!("{refused}"),
        }
    }
}

fn files_without_the_database() {
    let mut server = Cluster::start(&[]);
    let rig = Rig::at(&server.address(&server.database()));
    rig.company();
    let service = Serving::new(&rig);
    assert_eq!(service.ask(), "200");
    server.signal("INT");
    server.wait();
    // Many ask at once, wait in vain, and go away: what is still done for them takes few of the service's threads.
    std::thread::scope(|scope| {
        for _ in 0..100 {
            scope.spawn(|| {
                let refused = service.ask();
                assert!(["500", "503"].contains(&refused.as_str()), "{refused}");
            });
        }
    });
    let threads = std::fs::read_dir(format!("/proc/{}/task", service.child.id())).unwrap().count();
    assert!(threads < 50 + std::thread::available_parallelism().unwrap().get(), "{threads} threads");
    assert_eq!(service.exchange("GET /changes.p7b", b""), "200");
    server.start_again();
    assert_eq!(service.ask(), "200");
}
