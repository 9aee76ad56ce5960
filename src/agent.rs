//! Builds the agent from a configuration, runs it, and shuts it down in order.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Semaphore;

use crate::audit::{Audit, AuditError};
use crate::config::{self, Config, DriverKind as Kind, PromptKind};
use crate::consent::pinentry::Pinentry;
use crate::consent::prompt::{PromptQueue, Prompter};
use crate::consent::terminal::Terminal;
use crate::consent::window::Window;
use crate::failure::Language;
use crate::preview::Program;
use crate::signing::pipeline::{Clock, Signer};
use crate::trust_dir::TrustDirError;
use crate::trusted::Trusted;
use crate::workers::library::Library;
use crate::workers::{DriverConfig, DriverKind, Timing, Workers};

/// How long requests that the token was asked for may take to end when the agent stops.
const LAST_REQUESTS: Duration = Duration::from_secs(60);

/// What an agent takes from outside, so that a test can give something else.
pub struct Means {
    /// Who is asked.
    pub prompter: Prompter,
    /// The time.
    pub clock: Clock,
    /// The worker program.
    pub worker: PathBuf,
    /// The program that draws pages; `None` where it is not installed.
    pub preview: Option<Program>,
    /// Deadlines of workers.
    pub timing: Timing,
    /// Whether virtual tokens obey fault scripts. For tests.
    pub faults: bool,
}

impl Means {
    /// The system's clock, the installed worker, and the prompt that the configuration names.
    pub fn of_system(config: &Config, language: Language) -> io::Result<Self> {
        let prompter = match config.prompt.kind {
            PromptKind::Pinentry => {
                let program = config.prompt.program.clone().ok_or(io::ErrorKind::InvalidInput)?;
                let terminal = Pinentry::own_terminal();
                Prompter::Pinentry(Pinentry { program, terminal, language, delay: config.prompt.delay })
            }
            PromptKind::Terminal => Prompter::Terminal(Terminal { language, delay: config.prompt.delay }),
            PromptKind::Window => {
                let name = format!("sealagent-prompt{}", std::env::consts::EXE_SUFFIX);
                let program = std::env::current_exe()?.with_file_name(name);
                let (delay, timeout) = (config.prompt.delay, config.prompt.timeout);
                Prompter::Window(Window { program, language, delay, timeout })
            }
        };
        Ok(Self {
            prompter,
            clock: Arc::new(Timestamp::now),
            worker: DriverConfig::installed_worker()?,
            preview: Program::installed(),
            timing: Timing::default(),
            faults: false,
        })
    }
}

/// Why the agent does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The record cannot be opened.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// Something of the system is missing.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The user's trust folder cannot be read.
    #[error(transparent)]
    Trust(#[from] TrustDirError),
}

/// The parts that run: workers, and what signs with them.
pub struct Agent {
    /// Signs and lists.
    pub signer: Arc<Signer>,
    workers: Workers,
}

impl Agent {
    /// Starts the workers. Must be called inside a tokio runtime.
    pub fn start(config: Config, means: Means) -> Result<Self, StartError> {
        raise_file_limit();
        let audit = Audit::open(&config.places.audit())?;
        let trust = Trusted::open(config.places.trust(), &config.presets, (means.clock)())?;
        let workers = Workers::start(drivers(&config, &means.worker, means.faults), means.timing);
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let signer = Signer {
            workers: workers.client(),
            audit,
            prompts: PromptQueue::new(means.prompter, config.prompt.timeout),
            trust: Arc::new(trust),
            clock: means.clock,
            pool: Arc::new(Semaphore::new(cores)),
            preview: means.preview,
            user: config::user(),
            config: Arc::new(config),
        };
        Ok(Self { signer: Arc::new(signer), workers })
    }

    /// Ends the workers. A request that is under way is given up.
    pub async fn shut_down(self) {
        self.workers.shut_down().await;
    }

    /// Waits for requests that the token was asked for, then ends the workers.
    pub async fn shut_down_after(self, idle: impl Future<Output = ()>) {
        if tokio::time::timeout(LAST_REQUESTS, idle).await.is_err() {
            tracing::warn!("a request did not end; it is given up");
        }
        self.shut_down().await;
    }
}

/// As many open files as the system lets this user have: a batch of a thousand documents holds two for each, and the usual soft limit of
/// 1024 is only for programs that keep them in bit sets. A failure leaves things as they are.
fn raise_file_limit() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let limit = getrlimit(Resource::Nofile);
        let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    }
}

/// The drivers of the configuration under unique names: the kind, then the kind and a number.
pub(crate) fn drivers(config: &Config, worker: &Path, faults: bool) -> Vec<DriverConfig> {
    let mut count = BTreeMap::new();
    let mut out = Vec::new();
    for driver in &config.drivers {
        let kind_name = driver.kind.as_str();
        let n = count.entry(kind_name).and_modify(|n| *n += 1).or_insert(1);
        let name = if *n == 1 { kind_name.to_owned() } else { format!("{kind_name}-{n}") };
        let library = || Library { path: driver.library.clone().unwrap_or_default(), sha256: driver.sha256() };
        let profile = || driver.profile.clone().unwrap_or_else(|| "generic".to_owned());
        let kind = match driver.kind {
            Kind::Pcsc => DriverKind::Pcsc,
            Kind::Pkcs11 => DriverKind::Pkcs11 { library: library(), profile: profile() },
            Kind::Skf => DriverKind::Skf { library: library(), profile: profile() },
            Kind::Virtual => {
                let folder = driver.library.clone().unwrap_or_else(|| config.places.virtual_token());
                DriverKind::Virtual { folder, faults }
            }
        };
        out.push(DriverConfig { name, program: worker.to_owned(), kind });
    }
    out
}
