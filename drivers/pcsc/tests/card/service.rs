//! A `pcscd` of our own, with vpcd's two virtual readers on ports that were free.

use std::{
    fs::{self, File},
    net::TcpListener,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Mutex,
        atomic::{AtomicU16, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

const PCSCD: &str = "/usr/sbin/pcscd";
const READER_DRIVER: &str = "/usr/lib/pcsc/drivers/serial/libifdvpcd.so";
/// Where clients of `pcscd` look for it: fixed when it was built.
const SOCKET: &str = "/run/pcscd/pcscd.comm";

/// Port of the first reader; the second has the next one.
static PORT: AtomicU16 = AtomicU16::new(0);

/// The folder that names the readers.
static READERS: Mutex<PathBuf> = Mutex::new(PathBuf::new());
/// The process, while it runs.
static CHILD: Mutex<Option<Child>> = Mutex::new(None);

/// The running service; dropping it stops it.
pub struct Service {
    #[expect(dead_code, reason = "its files are read while the service runs")]
    folder: TempDir,
    #[expect(dead_code, reason = "keeps other test programs from starting one of their own")]
    lock: File,
}

impl Service {
    /// `None` where this machine cannot run one for us.
    pub fn start() -> Option<Self> {
        if !Path::new(PCSCD).exists() || !Path::new(READER_DRIVER).exists() || !rustix::process::geteuid().is_root() {
            return None;
        }
        let lock =
            File::options().create(true).append(true).open(std::env::temp_dir().join("sealagent-test-pcscd.lock")).unwrap();
        lock.lock().unwrap();
        if UnixStream::connect(SOCKET).is_ok() {
            eprintln!("another pcscd is running");
            return None;
        }
        fs::create_dir_all("/run/pcscd").unwrap();
        let folder = tempfile::tempdir().unwrap();
        let port = two_free_ports();
        PORT.store(port, Ordering::Relaxed);
        let readers = format!(
            "FRIENDLYNAME \"Virtual PCD\"\nDEVICENAME /dev/null:0x{port:X}\nLIBPATH {READER_DRIVER}\nCHANNELID 0x{port:X}\n"
        );
        fs::write(folder.path().join("vpcd"), readers).unwrap();
        run(folder.path());
        *READERS.lock().unwrap() = folder.path().to_owned();
        Some(Self { folder, lock })
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        stop();
    }
}

/// Stops the process; [`start_again`] starts the next. Cards that were in are pulled out by it.
pub fn stop() {
    let Some(mut child) = CHILD.lock().unwrap().take() else { return };
    let pid = rustix::process::Pid::from_child(&child);
    let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM); // it may have ended
    let _ = child.wait();
}

/// Starts it with the same readers.
#[allow(dead_code)] // one test program does
pub fn start_again() {
    let readers = READERS.lock().unwrap().clone();
    run(&readers);
}

fn run(readers: &Path) {
    let child = Command::new(PCSCD)
        .arg("--foreground")
        .arg("-c")
        .arg(readers)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    *CHILD.lock().unwrap() = Some(child);
    let start = Instant::now();
    while UnixStream::connect(SOCKET).is_err() {
        assert!(start.elapsed() < Duration::from_secs(20), "pcscd does not answer");
        thread::sleep(Duration::from_millis(20));
    }
}

/// Port of a reader, 0 or 1.
pub fn port(reader: u16) -> u16 {
    PORT.load(Ordering::Relaxed) + reader
}

fn two_free_ports() -> u16 {
    for _ in 0..100 {
        let first = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = first.local_addr().unwrap().port();
        if port < u16::MAX && TcpListener::bind(("127.0.0.1", port + 1)).is_ok() {
            return port;
        }
    }
    panic!("no two free ports")
}
