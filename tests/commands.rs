//! `sealagent tls` and `sealagent diagnostics`, as a person at a terminal and a help desk meet them. OpenSSL and curl judge the
//! certificate and the listener.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common {
    pub mod rig;
}

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use common::rig::{ORIGIN, PIN, Rig, document};
use serde_json::{Value, json};

/// A configuration of its own in a folder.
struct Place {
    folder: PathBuf,
}

impl Place {
    fn new(folder: &Path, more: &str) -> Self {
        let places = format!("[places]\ndata = {:?}\nstate = {:?}\n", folder.join("data"), folder.join("state"));
        fs::write(folder.join("config.toml"), format!("[http]\nport = 0\ntls_port = 0\norigins = [{ORIGIN:?}]\n{places}{more}"))
            .unwrap();
        Self { folder: folder.to_owned() }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sealagent"));
        command.arg("--config").arg(self.folder.join("config.toml")).args(arguments).env("LC_ALL", "C");
        command
    }

    fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        let Output { status, stdout, stderr } = self.command(arguments).output().unwrap();
        (status.code().unwrap(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
    }
}

/// An agent that runs until it is dropped, and its addresses.
struct Running(Child, Vec<String>);

impl Running {
    /// Reads `count` addresses.
    fn start(place: &Place, count: usize) -> Self {
        let mut agent = place.command(&["run"]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let said = BufReader::new(agent.stdout.take().unwrap());
        let addresses = said.lines().take(count).map(Result::unwrap).collect();
        Self(agent, addresses)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn openssl(arguments: &[&str], file: &Path) -> String {
    let output = Command::new("openssl").args(arguments).arg("-in").arg(file).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn curl(address: &str, more: &[&str]) -> (bool, String) {
    let output = Command::new("curl")
        .args(["--silent", "--show-error", "--noproxy", "*", "--max-time", "20", "-H", &format!("Origin: {ORIGIN}")])
        .args(more)
        .arg(format!("{address}/v1/info"))
        .output()
        .unwrap();
    (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Attack item 6: what ten thousand connections leave in the agent's memory.
#[cfg(target_os = "linux")]
#[test]
fn a06_ten_thousand_connections_cost_the_agent_little_memory() {
    let folder = tempfile::tempdir().unwrap();
    let agent = Running::start(&Place::new(folder.path(), ""), 1);
    let most = || -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", agent.0.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.split_whitespace().next().unwrap().parse().unwrap()
    };
    assert!(curl(&agent.1[0], &[]).0);
    let (before, address) = (most(), agent.1[0].trim_start_matches("http://"));
    let mut open = std::collections::VecDeque::new();
    for n in 0..10_000 {
        let mut stream = TcpStream::connect(address).unwrap();
        let _ = match n % 3 {
            0 => Ok(()),
            1 => write!(stream, "GET /v1/info HTTP/1.1\r\nHost: {address}\r\nX: {}", "x".repeat(8000)),
            _ => write!(stream, "GET /v1/seals HTTP/1.1\r\nHost: {address}\r\nOrigin: https://evil.example\r\n\r\n"),
        };
        open.push_back(stream);
        open.drain(..open.len().saturating_sub(600));
        if n % 1000 == 0 {
            assert!(curl(&agent.1[0], &[]).0, "the honest page after {n}");
        }
    }
    // The 512 that are kept at once have 64 KiB to read into at most.
    let grown = most() - before;
    assert!(grown < 48 << 10, "{grown} KiB");
}

/// Attack items 6 and 51.
#[test]
fn a51_a_certificate_for_this_computer_alone_is_made_used_and_removed() {
    let folder = tempfile::tempdir().unwrap();
    let place = Place::new(folder.path(), "");
    assert_eq!(place.run(&["tls", "status", "--json"]), (0, "null\n".into(), String::new()));
    assert_eq!(Running::start(&place, 1).1.len(), 1, "no https before somebody wants it");

    let (code, said, _) = place.run(&["tls", "create"]);
    assert!(code == 0 && said.contains("certutil"), "{said}");
    assert_eq!(place.run(&["tls", "create"]).0, 1, "there is one already");
    let tls = folder.path().join("data/tls");
    let (authority, certificate) = (tls.join("authority.pem"), tls.join("certificate.pem"));
    let text = openssl(&["x509", "-noout", "-text"], &authority);
    for part in [
        "X509v3 Name Constraints: critical",
        "DNS:localhost",
        "IP:127.0.0.1/255.255.255.255",
        "CA:TRUE, pathlen:0",
        "TLS Web Server Authentication",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains("Code Signing") && !text.contains("CRL Sign"), "{text}");
    let text = openssl(&["x509", "-noout", "-text"], &certificate);
    assert!(text.contains("DNS:localhost, IP Address:127.0.0.1") && text.contains("CA:FALSE"), "{text}");
    let verify = |name: &[&str]| {
        let mut command = Command::new("openssl");
        command.args(["verify", "-x509_strict", "-purpose", "sslserver"]).args(name).arg("-CAfile");
        command.arg(&authority).arg(&certificate).output().unwrap().status.success()
    };
    assert!(verify(&["-verify_ip", "127.0.0.1"]) && verify(&["-verify_hostname", "localhost"]));
    assert!(!verify(&["-verify_hostname", "sign.example"]) && !verify(&["-verify_ip", "127.0.0.2"]));

    let agent = Running::start(&place, 2);
    let (plain, by_tls) = (&agent.1[0], &agent.1[1]);
    assert!(by_tls.starts_with("https://127.0.0.1:"), "{by_tls}");
    let trust = ["--cacert", authority.to_str().unwrap()];
    assert!(curl(by_tls, &trust).1.contains("\"apiVersions\":[1]"));
    assert!(curl(&by_tls.replace("127.0.0.1", "localhost"), &trust).0);
    assert!(!curl(by_tls, &[]).0, "nobody trusts it by itself");
    // The port belongs to the host: the other one's name is another's.
    let other = format!("Host: {}", plain.trim_start_matches("http://"));
    assert!(curl(by_tls, &[&trust[..], &["-H", &other]].concat()).1.contains("wrong_host"));
    assert!(curl(plain, &[]).1.contains("\"apiVersions\":[1]"));

    // Handshakes that are begun and left lock nobody out.
    let address = by_tls.trim_start_matches("https://");
    let half: Vec<TcpStream> = (0..600)
        .map(|_| {
            let mut stream = TcpStream::connect(address).unwrap();
            let _ = stream.write_all(b"\x16\x03\x01\x02\x00\x01\x00");
            stream
        })
        .collect();
    assert!(curl(by_tls, &trust).0 && curl(plain, &[]).0);
    drop(half);
    let mut spoken = TcpStream::connect(address).unwrap();
    spoken.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    write!(spoken, "GET /v1/info HTTP/1.1\r\nHost: {address}\r\nOrigin: {ORIGIN}\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    let _ = spoken.read_to_end(&mut answer);
    assert!(!answer.starts_with(b"HTTP/"), "no http on the https port");
    drop(agent);

    assert_eq!(place.run(&["tls", "remove"]).0, 0);
    assert!(!tls.exists());
    assert_eq!(place.run(&["tls", "remove"]).0, 1, "there is none");
    assert_eq!(Running::start(&place, 1).1.len(), 1);
}

/// Attack item 67: everything that must not be in the file is planted where it could come from.
#[test]
fn a67_the_file_for_the_help_desk_names_nobody() {
    let rig = Rig::new();
    let name = "王小明的离职协议.ofd";
    let uploaded = rig.send(
        "POST",
        "/v1/documents?name=%E7%8E%8B%E5%B0%8F%E6%98%8E%E7%9A%84%E7%A6%BB%E8%81%8C%E5%8D%8F%E8%AE%AE.ofd",
        &[("Origin", ORIGIN), ("Content-Type", "application/ofd")],
        &document(1),
    );
    assert_eq!(uploaded.json()["name"], name);
    rig.wait(&rig.ask(uploaded.json()["documentId"].as_str().unwrap()));
    rig.person.on_pairing(|_| Some(sealagent::consent::pairing::PairingAnswer::Always));
    let site = [("Origin", "https://pair.example"), ("Content-Type", "application/json")];
    let begun = rig.send("POST", "/v1/pairings", &site, json!({"label": "张三的网站"}).to_string().as_bytes()).json();
    let path = format!("/v1/pairings/{}?wait=20", begun["pairingId"].as_str().unwrap());
    let granted = rig.send("GET", &path, &site[..1], b"").json();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let token = rig.get("/v1/tokens").json()[0].clone();

    let secrets = [
        PIN.to_owned(),
        name.to_owned(),
        "王小明".to_owned(),
        "张三".to_owned(),
        text(&granted["key"]),
        text(&granted["id"]),
        text(&token["serial"]),
        text(&token["keys"][0]["signer"]),
        text(&token["keys"][0]["uscc"]),
        rig.seal.es_id().to_owned(),
        rig.seal.property().name.clone(),
    ];
    // Somebody's library or a future line of ours says too much.
    let log = rig.dir.path().join("state/log");
    fs::create_dir_all(&log).unwrap();
    let mut lines =
        String::from("2026-11-24T06:00:00.000000Z  WARN sealagent::seals: a token cannot be inspected driver=\"virtual\"\n");
    for secret in &secrets {
        lines += &format!(
            "2026-11-24T06:00:01.000000Z  WARN x: {secret}\n2026-11-24T06:00:01.000000Z  INFO w: worker prints line={secret}\n"
        );
    }
    fs::write(log.join("agent.log"), lines).unwrap();

    let driver = format!("[[driver]]\nkind = \"virtual\"\nlibrary = {:?}\n", rig.dir.path().join("tokens"));
    let place = Place::new(rig.dir.path(), &driver);
    let file = rig.dir.path().join("diagnostics.json");
    let (code, _, error) = place.run(&["diagnostics", "-o", file.to_str().unwrap()]);
    assert_eq!(code, 0, "{error}");
    let written = fs::read_to_string(&file).unwrap();
    for secret in &secrets {
        let escaped = serde_json::to_string(secret).unwrap();
        assert!(!written.contains(secret.as_str()) && !written.contains(escaped.trim_matches('"')), "{secret}: {written}");
    }
    assert_eq!(place.run(&["diagnostics", "-o", file.to_str().unwrap()]).0, 1, "a file that is there stays");

    // And it says what a help desk asks for.
    let report: Value = serde_json::from_str(&written).unwrap();
    assert_eq!(report["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!((&report["drivers"][0]["name"], &report["drivers"][0]["state"]), (&json!("virtual"), &json!("running")));
    assert_eq!(report["tokens"][0]["pin"]["triesLeft"], json!(rig.tries_left()));
    assert_eq!(report["seals"].as_array().unwrap().len(), 1);
    assert_eq!(report["pairings"][0]["origin"], "https://pair.example");
    assert_eq!((&report["record"]["lines"], &report["record"]["problems"]), (&json!(3), &json!([])));
    assert!(report["log"][0].as_str().unwrap().contains("a token cannot be inspected"), "{}", report["log"]);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
