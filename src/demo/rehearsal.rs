//! `sealagent demo --rehearse`: two regions recognise each other's seals, and stop doing so, with the programs that regions and companies
//! would use.
//!
//! Shenzhen and Beijing each run an authority (`sealauthority serve`). A company of each has a UKey and an agent of its own, and accepts
//! both regions by their fingerprints. The Shenzhen company seals a contract, the Beijing side verifies it with what it
//! fetched; the Beijing company seals it too, the Shenzhen side verifies. Then the Beijing seal is cancelled, and the next
//! verification says so; then trust in Beijing is withdrawn. Each verdict is compared with what it must be.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;

use super::contract::Contract;
use super::text::{print_report, text};
use super::{DemoError, at, setup};
use crate::failure::Language;

/// A region and its company: short name, name, division, code and name of the company.
const SIDES: [[&str; 5]; 2] = [
    ["shenzhen", "深圳", "440300", "91440300MA5DEM0006", "深圳市某某科技有限公司"],
    ["beijing", "北京", "110000", "91110108756730417W", "北京某某贸易有限公司"],
];
/// Where each company puts its seal: mm from the page's top left corner.
const PLACES: [&str; 2] = ["30,200", "120,200"];

/// One side: its authority, its company, its agent's files.
struct Side {
    id: &'static str,
    folder: PathBuf,
    programs: setup::Programs,
    pin: zeroize::Zeroizing<String>,
    es_id: String,
    fingerprint: String,
    /// Ended when dropped.
    server: Server,
}

struct Server(Mutex<Child>);

impl Server {
    fn end(&self) {
        let mut child = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = child.kill();
        let _ = child.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
    }
}

/// Runs the rehearsal from beginning to end.
pub fn run(folder: Option<&Path>, language: Language) -> Result<(), DemoError> {
    let programs = setup::Programs::beside_this()?;
    let folder = setup::make_folder(folder)?;
    let say = |key: &str| println!("\n● {}", text(key, language));

    say("rehearse_regions");
    let mut sides = Vec::new();
    for side in SIDES {
        sides.push(Side::set(&folder.join(side[0]), &programs, side)?);
    }
    let [shenzhen, beijing] = sides.as_slice() else { return Err(DemoError::NoSeal) };
    for side in &sides {
        println!("    {}  {}  SHA-256 {}", side.id, side.es_id, side.fingerprint);
    }

    say("rehearse_accept");
    for side in &sides {
        for other in &sides {
            side.agent(&["trust", "import", &other.published("trust-list.p7b"), "--fingerprint", &other.fingerprint], "")?;
        }
        println!("    {}: trust import shenzhen, beijing", side.id);
        side.refresh()?;
    }

    let contract = Contract::sample();
    let failed =
        |error: &dyn std::fmt::Display| DemoError::ProgramFailed { program: contract.file.clone(), said: error.to_string() };
    let documents = ["contract.ofd", "first.ofd", "second.ofd"].map(|name| folder.join(name));
    std::fs::write(&documents[0], contract.write().map_err(|error| failed(&error))?).map_err(at(&documents[0]))?;

    say("rehearse_first");
    shenzhen.sign(&documents[0], &documents[1], PLACES[0])?;
    beijing.verify(&documents[1], &["TOTAL_PASSED"], None, language)?;

    say("rehearse_second");
    beijing.sign(&documents[1], &documents[2], PLACES[1])?;
    shenzhen.verify(&documents[2], &["TOTAL_PASSED", "TOTAL_PASSED"], None, language)?;

    say("rehearse_cancel");
    // Times are in whole seconds, and a state of the same second as the signature counts against it.
    std::thread::sleep(Duration::from_secs(2));
    beijing.authority(&["cancel", &beijing.region(), &beijing.es_id], "")?;
    beijing.authority(&["publish", &beijing.region(), &beijing.published(""), "--status-only"], "")?;
    shenzhen.refresh()?;
    let cancelled = Some("SEAL_STATUS_CANCELLED");
    shenzhen.verify(&documents[2], &["TOTAL_PASSED", "INDETERMINATE"], cancelled, language)?;

    say("rehearse_again");
    beijing.refresh()?;
    let again = folder.join("again.ofd");
    match beijing.sign(&documents[0], &again, PLACES[1]) {
        Err(DemoError::ProgramFailed { said, .. }) => println!("    ✘ {}", said.lines().next().unwrap_or("")),
        Err(error) => return Err(error),
        Ok(()) => beijing.verify(&again, &["TOTAL_FAILED"], cancelled, language)?,
    }

    say("rehearse_gone");
    if let Some(line) = shenzhen.refresh_with_outage(beijing)?.first() {
        println!("    {line}");
    }
    shenzhen.verify(&documents[2], &["TOTAL_PASSED", "INDETERMINATE"], cancelled, language)?;

    say("rehearse_withdraw");
    shenzhen.agent(&["trust", "remove", beijing.id], "")?;
    shenzhen.verify(&documents[2], &["TOTAL_PASSED", "INDETERMINATE"], Some("SIGNER_CERT_CHAIN"), language)?;

    println!("\n{}: {}", text("files", language), folder.display());
    Ok(())
}

impl Side {
    fn set(
        folder: &Path,
        programs: &setup::Programs,
        [id, name, division, uscc, company]: [&'static str; 5],
    ) -> Result<Self, DemoError> {
        std::fs::create_dir_all(folder.join("data")).map_err(at(folder))?;
        let pin = setup::random_pin()?;
        let region = folder.join("authority").display().to_string();
        let tokens = folder.join("tokens");
        authority(programs, &["init", &region, "--region", id, "--name", name, "--division", division, "--pilot"], "")?;
        let label = tokens.display().to_string();
        let made =
            ["ukey", &region, "--tokens", &label, "--label", id, "--uscc", uscc, "--name", company, "--pin-fd", "0", "--json"];
        let made = authority(programs, &made, &pin)?;
        let made: Value = serde_json::from_str(&made)
            .map_err(|error| DemoError::ProgramFailed { program: "sealauthority ukey".to_owned(), said: error.to_string() })?;
        let es_id = made.get("esId").and_then(Value::as_str).ok_or(DemoError::NoSeal)?.to_owned();
        setup::write_config(folder, &folder.join("data"), &tokens, 0, "http://127.0.0.1")?;
        let (server, fingerprint) = start(programs, &region, &folder.join("published"))?;
        Ok(Self { id, folder: folder.to_owned(), programs: programs.clone(), pin, es_id, fingerprint, server })
    }

    fn region(&self) -> String {
        self.folder.join("authority").display().to_string()
    }

    fn published(&self, file: &str) -> String {
        self.folder.join("published").join(file).display().to_string()
    }

    fn authority(&self, arguments: &[&str], input: &str) -> Result<String, DemoError> {
        authority(&self.programs, arguments, input)
    }

    fn agent(&self, arguments: &[&str], input: &str) -> Result<String, DemoError> {
        let config = self.folder.join("config.toml").display().to_string();
        let arguments = [&["--config", &config], arguments].concat();
        run_program(&self.programs.agent, "sealagent", &arguments, input).map(|(said, _)| said)
    }

    /// Fetches lists, seal status and revocation lists of all accepted regions.
    fn refresh(&self) -> Result<(), DemoError> {
        let said = self.agent(&["trust", "update"], "")?;
        println!("    {}: trust update ({})", self.id, said.lines().count());
        Ok(())
    }

    /// Ends the other side's server and fetches again: what is said then.
    fn refresh_with_outage(&self, other: &Self) -> Result<Vec<String>, DemoError> {
        other.server.end();
        match self.agent(&["trust", "update", other.id], "") {
            Err(DemoError::ProgramFailed { said, .. }) => Ok(said.lines().map(str::to_owned).collect()),
            Err(error) => Err(error),
            Ok(_) => Err(DemoError::NotPassed("the server is not gone".to_owned())),
        }
    }

    fn sign(&self, input: &Path, output: &Path, place: &str) -> Result<(), DemoError> {
        let (input, output) = (input.display().to_string(), output.display().to_string());
        let arguments = ["sign", &input, "-o", &output, "--seal", &self.es_id, "--page", "1", "--at", place, "--pin-fd", "0"];
        self.agent(&arguments, &format!("{}\n", self.pin.as_str()))?;
        println!("    {}: sign → {output}", self.id);
        Ok(())
    }

    /// Verifies with what this side knows; the verdicts must be these, and the last signature must name this reason.
    fn verify(&self, document: &Path, expected: &[&str], reason: Option<&str>, language: Language) -> Result<(), DemoError> {
        let config = self.folder.join("config.toml").display().to_string();
        let document = document.display().to_string();
        println!("    {}: verify {document}", self.id);
        let arguments = ["--config", &config, "verify", "--json", &document];
        let said = match run_program(&self.programs.agent, "sealagent", &arguments, "") {
            Ok((said, _)) => said,
            Err(DemoError::ProgramFailed { said, .. }) => said,
            Err(error) => return Err(error),
        };
        let report: Value = serde_json::from_str(&said).map_err(|_| DemoError::NotPassed(said.clone()))?;
        print_report(&report, language);
        let signatures = report.get("signatures").and_then(Value::as_array).cloned().unwrap_or_default();
        let verdicts: Vec<_> = signatures.iter().filter_map(|s| s.get("indication").and_then(Value::as_str)).collect();
        let named = reason.is_none_or(|code| {
            let findings = signatures.last().and_then(|s| s.get("findings")).and_then(Value::as_array);
            findings.is_some_and(|all| all.iter().any(|f| f.get("code").and_then(Value::as_str) == Some(code)))
        });
        if verdicts == expected && named { Ok(()) } else { Err(DemoError::NotPassed(verdicts.join(", "))) }
    }
}

fn authority(programs: &setup::Programs, arguments: &[&str], input: &str) -> Result<String, DemoError> {
    run_program(&programs.authority, "sealauthority", arguments, input).map(|(said, _)| said)
}

/// Runs a program to its end. One that fails gives what it said, on whichever stream.
fn run_program(program: &Path, name: &str, arguments: &[&str], input: &str) -> Result<(String, String), DemoError> {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(at(program))?;
    if let Some(mut stdin) = child.stdin.take() {
        // A program that asks nothing may have closed it already.
        let _ = stdin.write_all(input.as_bytes());
    }
    let output = child.wait_with_output().map_err(at(program))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() {
        return Ok((text(&output.stdout), text(&output.stderr)));
    }
    let said = if output.stdout.is_empty() { text(&output.stderr) } else { text(&output.stdout) };
    let command = arguments.iter().find(|argument| !argument.starts_with('-') && !argument.contains('/')).unwrap_or(&"");
    Err(DemoError::ProgramFailed { program: format!("{name} {command}"), said: said.trim().to_owned() })
}

/// Starts a region's server on a free port; gives it and the fingerprint of the list's signer once it listens.
fn start(programs: &setup::Programs, region: &str, published: &Path) -> Result<(Server, String), DemoError> {
    let loopback = Path::new("127.0.0.1");
    // The lists name the port, so it must be known before the server has it.
    let probe = TcpListener::bind(("127.0.0.1", 0)).map_err(at(loopback))?;
    let address = probe.local_addr().map_err(at(loopback))?.to_string();
    drop(probe);
    let (url, published) = (format!("http://{address}"), published.display().to_string());
    let arguments = ["serve", region, &published, "--url", &url, "--private", "--listen", &address];
    let mut command = Command::new(&programs.authority);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(at(&programs.authority))?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let server = Server(Mutex::new(child));
    let mut fingerprint = String::new();
    for line in stdout.into_iter().flat_map(|stdout| BufReader::new(stdout).lines()).map_while(Result::ok) {
        if let Some(found) = line.strip_prefix("SHA-256 ") {
            found.clone_into(&mut fingerprint);
        }
        if line.starts_with("http://") {
            return Ok((server, fingerprint));
        }
    }
    let mut said = String::new();
    if let Some(mut stderr) = stderr {
        server.end();
        let _ = stderr.read_to_string(&mut said);
    }
    Err(DemoError::ProgramFailed { program: "sealauthority serve".to_owned(), said })
}
