//! Two processes behind nginx, with the configuration of `docs/verify-service.nginx.conf`.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::client::{Client, post};
use super::{Bench, program, until, verifications};

/// Files that are sent, by so many senders at once.
const FILES: usize = 240;
const SENDERS: usize = 4;

/// A process that is ended with the value.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A process of the service, and where it listens.
fn verify_service(bench: &Bench) -> (Process, SocketAddr) {
    let mut command = Command::new(program("sealauthority"));
    command.args(["verify-service", "--listen", "127.0.0.1:0", "--concurrent", "8", "--trust"]).arg(bench.trust());
    command.arg("--scratch").arg(bench.folder.path()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let address = line.trim().trim_start_matches("http://").trim_end_matches('/').parse().unwrap();
    (Process(child), address)
}

fn nginx(folder: &Path, one: SocketAddr, two: SocketAddr) -> (Process, SocketAddr) {
    let probe = TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = probe.local_addr().unwrap();
    drop(probe);
    let site = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/verify-service.nginx.conf")).unwrap();
    let site = [("127.0.0.1:8061", one), ("127.0.0.1:8062", two), ("127.0.0.1:8060", listen)]
        .iter()
        .fold(site, |site, (known, address)| site.replace(known, &address.to_string()));
    let place = folder.display();
    let temporary =
        ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(|of| format!("{of}_temp_path {place}/{of};")).concat();
    let whole = format!(
        "user root; worker_processes 1; daemon off; pid {place}/nginx.pid; error_log {place}/error.log;\n\
         events {{ worker_connections 128; }}\n\
         http {{ {temporary} log_format tries '$status [$upstream_addr] [$upstream_status]'; access_log {place}/access.log tries;\n{site} }}\n"
    );
    let configuration = folder.join("nginx.conf");
    fs::write(&configuration, whole).unwrap();
    let mut command = Command::new("nginx");
    command.arg("-p").arg(folder).arg("-c").arg(&configuration).arg("-e").arg(folder.join("error.log")).stderr(Stdio::null());
    let process = Process(command.spawn().unwrap());
    until(|| TcpStream::connect(listen).is_ok());
    (process, listen)
}

/// Every request is answered, and rightly, although one of the two processes is killed in the middle of them.
pub fn killed() {
    let bench = Bench::make();
    let (first, one) = verify_service(&bench);
    let (_second, two) = verify_service(&bench);
    let folder = bench.folder.path().join("nginx");
    fs::create_dir(&folder).unwrap();
    let (mut balancer, address) = nginx(&folder, one, two);
    let (next, answered, first) = (AtomicUsize::new(0), AtomicUsize::new(0), std::sync::Mutex::new(Some(first)));
    thread::scope(|scope| {
        for _ in 0..SENDERS {
            scope.spawn(|| {
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if n >= FILES {
                        return;
                    }
                    let (bytes, expected) = match n % 2 {
                        0 => (&bench.sealed, "TOTAL_PASSED"),
                        _ => (&bench.changed, "TOTAL_FAILED"),
                    };
                    let answer = Client::new(address).ask(&post(&verifications(), bytes));
                    assert_eq!(answer.status, 200, "file {n}: {answer:?}");
                    assert_eq!(answer.json()["indication"], expected, "file {n}");
                    if answered.fetch_add(1, Ordering::Relaxed) + 1 == FILES / 3 {
                        first.lock().unwrap().take(); // killed, not asked to stop
                    }
                }
            });
        }
    });
    assert_eq!(answered.load(Ordering::Relaxed), FILES);
    assert!(TcpStream::connect(one).is_err(), "the first process is gone");
    stop(&mut balancer);
    let log = fs::read_to_string(folder.join("access.log")).unwrap();
    let served: BTreeSet<_> = log.lines().filter_map(|line| line.split(['[', ']']).nth(1)).collect();
    assert!(served.contains(&*one.to_string()) && served.contains(&*two.to_string()), "both took part: {served:?}");
    assert!(served.contains(&*format!("{one}, {two}")), "a request was sent again: {served:?}");
    assert!(log.lines().filter(|line| line.contains('[') && !line.contains("[-]")).all(|line| line.starts_with("200 ")), "{log}");
}

/// Ends nginx by its number, as its manual says, so that its log is whole.
fn stop(balancer: &mut Process) {
    let pid = balancer.0.id().to_string();
    assert!(Command::new("kill").args(["-QUIT", &pid]).status().unwrap().success());
    balancer.0.wait().unwrap();
}
