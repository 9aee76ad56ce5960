//! Makes what the demo needs with the programs that a region and a company would use, and starts the agent.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Deserialize;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use zeroize::Zeroizing;

use super::contract::Contract;
use super::page::Page;
use super::site::Site;
use super::text::text;
use super::{DemoError, at};
use crate::failure::Language;

/// The agent is up within a fraction of a second; a loaded machine is given more.
const START_SECONDS: u64 = 20;
/// Digits of the demo's PIN, as on PIN letters.
const PIN_DIGITS: usize = 6;
/// How much of a failed agent's log is shown, in bytes.
const LOG_TAIL_BYTES: usize = 4096;

/// The company of the demo. The code's check character fits; nobody has it.
const USCC: &str = "91440300MA5DEM0006";
const COMPANY: &str = "深圳市某某科技有限公司";
const LABEL: &str = "DEMO-UKEY";

/// Regions: short name, name, administrative division.
const REGIONS: [(&str, &str, &str); 2] = [("shenzhen", "深圳", "440300"), ("beijing", "北京", "110000")];

/// Everything in place.
pub struct Stage {
    folder: PathBuf,
    programs: Programs,
    pin: Mutex<Zeroizing<String>>,
    es_id: String,
    origin: String,
    agent_port: u16,
    listener: TcpListener,
    site: Arc<Site>,
    contract: Contract,
    contract_bytes: Vec<u8>,
}

/// The sibling programs.
#[derive(Clone, Debug)]
pub struct Programs {
    /// `sealagent`
    pub agent: PathBuf,
    /// `sealauthority`
    pub authority: PathBuf,
}

impl Programs {
    /// Beside this program; the worker is looked for too, since the agent will need it.
    pub fn beside_this() -> Result<Self, DemoError> {
        let agent = std::env::current_exe().map_err(at(Path::new("sealagent")))?;
        let sibling = |name: &str| {
            let path = agent.with_file_name(format!("{name}{}", std::env::consts::EXE_SUFFIX));
            if path.is_file() { Ok(path) } else { Err(DemoError::ProgramMissing(path)) }
        };
        sibling("sealagent-worker")?;
        Ok(Self { authority: sibling("sealauthority")?, agent })
    }
}

/// What `sealauthority ukey --json` prints.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Made {
    es_id: String,
}

impl Stage {
    /// Makes regions, UKey, configuration and site in `folder`, or in a new temporary one that stays.
    pub async fn set(folder: Option<&Path>, language: Language) -> Result<Self, DemoError> {
        let programs = Programs::beside_this()?;
        let folder = make_folder(folder)?;
        let data = folder.join("data");
        std::fs::create_dir(&data).map_err(at(&data))?;

        println!("· {}", text("making_regions", language));
        for (id, name, division) in REGIONS {
            let region = folder.join("regions").join(id);
            let init = [
                "init".as_ref(),
                region.as_os_str(),
                "--region".as_ref(),
                id.as_ref(),
                "--name".as_ref(),
                name.as_ref(),
                "--division".as_ref(),
                division.as_ref(),
                "--pilot".as_ref(),
            ];
            programs.authority(&init, b"").await?;
            let trust = data.join("trust");
            programs.authority(&["trust-folder".as_ref(), region.as_os_str(), trust.as_os_str()], b"").await?;
        }

        println!("· {}", text("making_ukey", language));
        let pin = random_pin()?;
        let (region, tokens) = (folder.join("regions").join(REGIONS[0].0), folder.join("tokens"));
        let ukey = [
            "ukey".as_ref(),
            region.as_os_str(),
            "--tokens".as_ref(),
            tokens.as_os_str(),
            "--label".as_ref(),
            LABEL.as_ref(),
            "--uscc".as_ref(),
            USCC.as_ref(),
            "--name".as_ref(),
            COMPANY.as_ref(),
            "--pin-fd".as_ref(),
            "0".as_ref(),
            "--json".as_ref(),
        ];
        let said = programs.authority(&ukey, pin.as_bytes()).await?;
        let made: Made = serde_json::from_slice(&said)
            .map_err(|error| DemoError::ProgramFailed { program: "sealauthority ukey".to_owned(), said: error.to_string() })?;

        let loopback = Path::new("127.0.0.1");
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(at(loopback))?;
        let host = format!("127.0.0.1:{}", listener.local_addr().map_err(at(loopback))?.port());
        let origin = format!("http://{host}");
        // The agent gets a port that is free now: its page must know the address beforehand.
        let probe = TcpListener::bind(("127.0.0.1", 0)).await.map_err(at(loopback))?;
        let agent_port = probe.local_addr().map_err(at(loopback))?.port();
        drop(probe);
        write_config(&folder, &data, &tokens, agent_port, &origin)?;

        let contract = Contract::sample();
        let contract_bytes = contract
            .write()
            .map_err(|error| DemoError::ProgramFailed { program: contract.file.clone(), said: error.to_string() })?;
        let sample = folder.join(&contract.file);
        std::fs::write(&sample, &contract_bytes).map_err(at(&sample))?;
        let site = Arc::new(Site::new(&host, agent_port, contract_bytes.clone(), &contract.file, &contract.stamp));
        let pin = Mutex::new(pin);
        Ok(Self { folder, programs, pin, es_id: made.es_id, origin, agent_port, listener, site, contract, contract_bytes })
    }

    /// Where everything is.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The trust folder of both regions.
    pub fn trust(&self) -> PathBuf {
        self.folder.join("data").join("trust")
    }

    /// Origin of the signing page.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Port of the agent.
    pub fn agent_port(&self) -> u16 {
        self.agent_port
    }

    /// Code of the company's seal.
    pub fn es_id(&self) -> &str {
        &self.es_id
    }

    /// The sample contract.
    pub fn contract(&self) -> &Contract {
        &self.contract
    }

    /// The sample contract as an OFD.
    pub fn contract_bytes(&self) -> &[u8] {
        &self.contract_bytes
    }

    /// Shows the PIN as a PIN letter would, once.
    pub fn show_pin_letter(&self, language: Language) {
        println!("┌──");
        println!("│ {}", text("pin_letter", language));
        println!("│ {LABEL}: {}", self.pin.lock().unwrap_or_else(PoisonError::into_inner).as_str());
        println!("└──");
    }

    /// The PIN, for the person who is played. Gone afterwards.
    pub fn take_pin(&self) -> Zeroizing<String> {
        std::mem::take(&mut *self.pin.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Serves the signing page until dropped.
    pub async fn serve(&self) -> Result<(), DemoError> {
        Err(at(Path::new("127.0.0.1"))(self.site.clone().serve(&self.listener).await))
    }

    /// Starts the agent on this program's own terminal.
    pub async fn start_agent(&self, language: Language) -> Result<Agent, DemoError> {
        let mut command = Command::new(&self.programs.agent);
        command.arg("run").arg("--config").arg(self.config()).stdin(Stdio::null());
        self.start(command, language).await
    }

    /// Starts the agent with a pseudo-terminal as its terminal, and gives that terminal's other end.
    #[cfg(unix)]
    pub async fn start_agent_on_terminal(&self, language: Language) -> Result<(Agent, super::person::Terminal), DemoError> {
        let (terminal, device) = super::person::Terminal::open()?;
        let mut command = Command::new(&self.programs.agent);
        command.arg("demo").arg("--become-agent").arg(self.config()).stdin(device);
        Ok((self.start(command, language).await?, terminal))
    }

    fn config(&self) -> PathBuf {
        self.folder.join("config.toml")
    }

    async fn start(&self, mut command: Command, language: Language) -> Result<Agent, DemoError> {
        println!("· {}", text("starting_agent", language));
        let log = self.folder.join("agent.log");
        let file = std::fs::File::create(&log).map_err(at(&log))?;
        command.stdout(file.try_clone().map_err(at(&log))?).stderr(file).kill_on_drop(true);
        let child = command.spawn().map_err(at(&self.programs.agent))?;
        let mut agent = Agent { child, log: log.clone() };
        let page = Page::new(self.agent_port, self.origin.clone());
        let answers = async {
            while !page.agent_answers().await {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::select! {
            () = answers => Ok(agent),
            ended = agent.ended() => Err(ended),
            () = tokio::time::sleep(Duration::from_secs(START_SECONDS)) => Err(DemoError::AgentSilent { seconds: START_SECONDS, log }),
        }
    }
}

/// The running agent; ended when dropped.
#[derive(Debug)]
pub struct Agent {
    child: Child,
    log: PathBuf,
}

impl Agent {
    /// Returns when the agent has ended by itself.
    pub async fn ended(&mut self) -> DemoError {
        let status = match self.child.wait().await {
            Ok(status) => status.to_string(),
            Err(error) => error.to_string(),
        };
        let said = std::fs::read(&self.log).unwrap_or_default();
        let said = String::from_utf8_lossy(&said[said.len().saturating_sub(LOG_TAIL_BYTES)..]).into_owned();
        DemoError::AgentEnded { status, log: self.log.clone(), said }
    }

    /// Ends it and waits until it has gone, so that nothing writes into the folder any more.
    #[cfg(unix)]
    pub async fn stop(mut self) {
        let id = self.child.id().and_then(|id| rustix::process::Pid::from_raw(id.cast_signed()));
        if let Some(id) = id {
            let _ = rustix::process::kill_process(id, rustix::process::Signal::TERM);
        }
        let _ = tokio::time::timeout(Duration::from_secs(5), self.child.wait()).await;
    }
}

impl Programs {
    /// Runs `sealauthority` to its end, with `input` on its standard input; gives what it printed.
    async fn authority(&self, arguments: &[&std::ffi::OsStr], input: &[u8]) -> Result<Vec<u8>, DemoError> {
        let mut command = Command::new(&self.authority);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().map_err(at(&self.authority))?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(input).await.map_err(at(&self.authority))?;
        }
        let output = child.wait_with_output().await.map_err(at(&self.authority))?;
        if output.status.success() {
            return Ok(output.stdout);
        }
        let name = arguments.first().map(|name| name.to_string_lossy()).unwrap_or_default();
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        Err(DemoError::ProgramFailed { program: format!("sealauthority {name}"), said })
    }
}

/// The named folder, which must be absent or empty, or a new temporary one that stays.
pub fn make_folder(named: Option<&Path>) -> Result<PathBuf, DemoError> {
    let Some(folder) = named else {
        let made = tempfile::Builder::new().prefix("sealagent-demo-").tempdir().map_err(at(&std::env::temp_dir()))?;
        return Ok(made.keep());
    };
    if std::fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(DemoError::FolderUsed(folder.to_owned()));
    }
    std::fs::create_dir_all(folder).map_err(at(folder))?;
    std::path::absolute(folder).map_err(at(folder))
}

/// A fresh PIN: each digit equally likely.
pub fn random_pin() -> Result<Zeroizing<String>, DemoError> {
    let mut pin = Zeroizing::new(String::with_capacity(PIN_DIGITS));
    while pin.len() < PIN_DIGITS {
        let mut byte = Zeroizing::new([0]);
        getrandom::fill(&mut *byte).map_err(|_| DemoError::Random)?;
        if byte[0] < 250 {
            pin.push(char::from(b'0' + byte[0] % 10));
        }
    }
    Ok(pin)
}

/// Writes `config.toml` of an agent whose files lie in these folders.
pub fn write_config(folder: &Path, data: &Path, tokens: &Path, port: u16, origin: &str) -> Result<(), DemoError> {
    let path = folder.join("config.toml");
    let mut config = toml::Table::new();
    let table = |entries: Vec<(&str, toml::Value)>| {
        toml::Value::Table(entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
    };
    let text = |path: &Path| toml::Value::String(path.display().to_string());
    config.insert(
        "http".to_owned(),
        table(vec![("port", i64::from(port).into()), ("origins", toml::Value::Array(vec![origin.into()]))]),
    );
    config.insert("prompt".to_owned(), table(vec![("kind", "terminal".into())]));
    config.insert("places".to_owned(), table(vec![("data", text(data)), ("state", text(&folder.join("state")))]));
    let driver = table(vec![("kind", "virtual".into()), ("library", text(tokens))]);
    config.insert("driver".to_owned(), toml::Value::Array(vec![driver]));
    std::fs::write(&path, config.to_string()).map_err(at(&path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pins_have_six_digits_and_differ() {
        let (one, other) = (random_pin().unwrap(), random_pin().unwrap());
        assert!(one.len() == 6 && one.bytes().all(|b| b.is_ascii_digit()));
        // Equal once in a million runs; thrice in a row never.
        assert!(one != other || one != random_pin().unwrap());
    }

    #[test]
    fn folder_in_use_is_refused() {
        let temp = tempfile::tempdir().unwrap();
        std::fs::write(temp.path().join("x"), "").unwrap();
        assert!(matches!(make_folder(Some(temp.path())), Err(DemoError::FolderUsed(_))));
        assert!(make_folder(Some(&temp.path().join("new"))).unwrap().is_absolute());
    }

    #[test]
    fn company_code_fits_its_check_character() {
        assert!(crate::pki::subject::is_uscc(USCC.as_bytes()));
    }

    #[test]
    fn configuration_is_one_that_the_agent_reads() {
        let temp = tempfile::tempdir().unwrap();
        let (data, tokens) = (temp.path().join("data"), temp.path().join("tokens"));
        write_config(temp.path(), &data, &tokens, 12345, "http://127.0.0.1:54321").unwrap();
        let read = crate::config::Config::load(Some(&temp.path().join("config.toml"))).unwrap();
        assert_eq!(read.http.port, Some(12345));
        assert!(read.http.origins.iter().any(|origin| origin.to_string() == "http://127.0.0.1:54321"));
        assert_eq!(read.drivers[0].library.as_deref(), Some(tokens.as_path()));
        assert_eq!(read.places.data, data);
    }
}
