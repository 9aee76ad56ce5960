//! A PostgreSQL server for the cases, in a temporary folder, reachable by its socket there and on 127.0.0.1.

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

static SHARED: Mutex<Option<Cluster>> = Mutex::new(None);
static DATABASES: AtomicU32 = AtomicU32::new(1);

/// Where `initdb`, `postgres` and `psql` are: Debian keeps them in a folder per version.
pub fn programs() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").ok()?.flatten().map(|entry| entry.path());
    versions.map(|version| version.join("bin")).filter(|bin| bin.join("initdb").is_file()).max()
}

/// Starts the server that most cases share.
pub fn start_shared() {
    *SHARED.lock().unwrap() = Some(Cluster::start(&[]));
}

/// Stops it.
pub fn stop_shared() {
    SHARED.lock().unwrap().take();
}

/// Runs with the server that most cases share.
pub fn shared<T>(run: impl FnOnce(&Cluster) -> T) -> T {
    run(SHARED.lock().unwrap().as_ref().expect("started by main"))
}

/// A server that runs until it is dropped.
pub struct Cluster {
    folder: tempfile::TempDir,
    server: Child,
    port: u16,
    /// What stands before the server's own command line.
    limits: Vec<String>,
}

/// Whose the server is: it refuses to be root's.
fn as_server(command: &[&str]) -> Command {
    let is_root = said(Command::new("id").arg("-u").output().unwrap()) == "0";
    let mut out = Command::new("setpriv");
    if is_root {
        out.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]);
    }
    // Ends with the thread that started it, also when a test is killed.
    out.args(["--pdeathsig=QUIT", "--"]).args(command);
    out
}

/// The user who runs the tests, who is also the server's superuser (peer authentication).
pub fn user() -> String {
    said(Command::new("id").arg("-un").output().unwrap())
}

pub fn said(output: Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

impl Cluster {
    /// `limits`: a program that starts the server under limits, such as `prlimit`.
    pub fn start(limits: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        if user() == "root" {
            said(Command::new("chown").arg("postgres").arg(folder.path()).output().unwrap());
        }
        let bin = programs().expect("PostgreSQL is not installed: scripts/setup-debian.sh --test");
        let (initdb, data) = (bin.join("initdb"), folder.path().join("data"));
        let (initdb, data, user) = (initdb.to_str().unwrap(), data.to_str().unwrap(), user());
        let options =
            ["--auth-local=peer", "--auth-host=scram-sha-256", "-E", "UTF8", "--no-locale", "--no-sync", "--wal-segsize=1"];
        said(as_server(&[&[initdb, "-D", data, "-U", &user][..], &options].concat()).output().unwrap());
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let limits = limits.iter().map(|&word| word.to_owned()).collect();
        let server = Command::new("true").spawn().unwrap();
        let mut cluster = Self { folder, server, port, limits };
        cluster.start_again();
        cluster
    }

    /// A standby that has seen all up to now and nothing since, and takes over.
    pub fn fail_over(&self) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut copy = Command::new(programs().unwrap().join("pg_basebackup"));
        copy.args(["--write-recovery-conf", "--no-sync", "--checkpoint=fast", "-p", &self.port.to_string(), "-D"]);
        said(copy.arg(folder.path().join("data")).arg("-h").arg(self.socket_folder()).output().unwrap());
        if user() == "root" {
            said(Command::new("chown").arg("-R").arg("postgres").arg(folder.path()).output().unwrap());
        }
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut standby = Self { folder, server: Command::new("true").spawn().unwrap(), port, limits: Vec::new() };
        standby.start_again();
        assert_eq!(standby.psql("postgres", "SELECT pg_promote()"), "t");
        standby
    }

    /// Starts the server that was stopped.
    pub fn start_again(&mut self) {
        self.server.wait().unwrap();
        let (server, data, port) = (programs().unwrap().join("postgres"), self.folder.path().join("data"), self.port.to_string());
        let mut words: Vec<&str> = self.limits.iter().map(String::as_str).collect();
        words.extend([
            server.to_str().unwrap(),
            "-D",
            data.to_str().unwrap(),
            "-p",
            &port,
            "-k",
            self.socket_folder().to_str().unwrap(),
        ]);
        words.extend(["-c", "listen_addresses=127.0.0.1", "-c", "max_connections=60"]);
        let log = File::options().create(true).append(true).open(self.folder.path().join("log")).unwrap();
        self.server = as_server(&words).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap();
        let end = Instant::now() + Duration::from_secs(60);
        while !self.psql_output("postgres", "SELECT 1").status.success() {
            assert!(Instant::now() < end, "{}", fs::read_to_string(self.folder.path().join("log")).unwrap());
            assert!(self.server.try_wait().unwrap().is_none(), "{}", fs::read_to_string(self.folder.path().join("log")).unwrap());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Sends the server a signal: `INT` ends it in order, `QUIT` as a power cut would.
    pub fn signal(&self, signal: &str) {
        said(Command::new("kill").args(["-s", signal, &self.pid()]).output().unwrap());
    }

    /// Until it has ended.
    pub fn wait(&mut self) {
        self.server.wait().unwrap();
    }

    /// Lets the files of new connections grow again.
    pub fn lift_limit(&self) {
        said(as_server(&["prlimit", "--fsize=unlimited", "--pid", &self.pid()]).output().unwrap());
    }

    fn pid(&self) -> String {
        self.server.id().to_string()
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where its files may be put that the server reads.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    pub fn socket_folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn socket(&self) -> PathBuf {
        self.folder.path().join(format!(".s.PGSQL.{}", self.port))
    }

    fn psql_output(&self, database: &str, statement: &str) -> Output {
        let mut psql = Command::new(programs().unwrap().join("psql"));
        psql.args(["-XAtq", "-v", "ON_ERROR_STOP=1", "-d", database, "-p", &self.port.to_string(), "-c", statement]);
        psql.arg("-h").arg(self.socket_folder()).output().unwrap()
    }

    /// What PostgreSQL's own program gets for a statement.
    pub fn psql(&self, database: &str, statement: &str) -> String {
        said(self.psql_output(database, statement))
    }

    /// Makes a database that nobody else has.
    pub fn database(&self) -> String {
        let name = format!("region{}", DATABASES.fetch_add(1, Ordering::Relaxed));
        self.psql("postgres", &format!("CREATE DATABASE {name}"));
        name
    }

    /// Its address by the socket.
    pub fn address(&self, database: &str) -> String {
        format!("postgres:///{database}?host={}&port={}", self.socket_folder().display(), self.port)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if self.server.try_wait().is_ok_and(|ended| ended.is_none()) {
            self.signal("INT");
            let _ = self.server.wait();
        }
    }
}
