//! The async face of all drivers. Pages and the rest of the agent see [`TokenHandle`]s, never a driver's own names (I6).

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};
use tokio::{
    sync::{broadcast, mpsc, oneshot, watch},
    task::JoinSet,
    time::timeout,
};
use ukey::{About, Credential, KeyId, KeyInfo, Pin, PinStatus, Sm2PublicKey, Sm2Signature, TokenId, TokenInfo};

use super::{
    error::WorkerError,
    supervisor::{DriverConfig, Job, Supervisor, Timing},
};
use crate::consent::Authorised;

/// A request that is under way at shutdown may take this long to end; a login then logs out by itself.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(5);
/// Tokens come and go this often before a slow listener misses some; it then lists them again.
const EVENT_BACKLOG: usize = 64;

/// Names one token towards the rest of the agent and pages: a digest of the driver's name and the token's id in it, so it is stable
/// over a re-plug and a restart, and says nothing of library, slot or path.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct TokenHandle(pub String);

impl TokenHandle {
    /// The handle of `token` in the driver that the configuration calls `driver`.
    pub fn new(driver: &str, token: &TokenId) -> Self {
        let mut digest = crate::sm::Sm3::new();
        digest.update(&(driver.len() as u64).to_be_bytes());
        digest.update(driver.as_bytes());
        digest.update(token.0.as_bytes());
        let mut hex = digest.finish().to_string();
        hex.truncate(24);
        Self(hex)
    }
}

impl fmt::Display for TokenHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One token that is plugged in.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Token {
    /// Its name in further calls.
    pub handle: TokenHandle,
    /// Name of its driver in the configuration. For the command line and the log, not for a page.
    pub driver: String,
    /// What it says of itself. Its `id` is the driver's own name for it: not for a page.
    pub info: TokenInfo,
}

/// All tokens of all drivers that answered, and what the others said.
#[derive(Clone, Debug, Default)]
pub struct TokenList {
    /// In the order of the drivers' configuration.
    pub tokens: Vec<Token>,
    /// Drivers that gave no list: name and reason.
    pub failures: Vec<(String, WorkerError)>,
}

/// What a token holds and how its PIN stands.
#[derive(Clone, Debug)]
pub struct Inspected {
    /// Its SM2 keys.
    pub keys: Vec<KeyInfo>,
    /// Objects on it that may be seals, as stored; the caller decides by content.
    pub seals: Vec<Vec<u8>>,
    /// State of the user PIN.
    pub pin: PinStatus,
}

/// The key that a person agreed to sign with.
#[derive(Clone, Debug)]
pub struct SigningKey {
    /// The token.
    pub token: TokenHandle,
    /// The key on it.
    pub key: KeyId,
    /// Its public key as the person saw it, in the certificate. The worker refuses another key under the same name before it
    /// uses the PIN.
    pub public_key: Sm2PublicKey,
}

/// A token was plugged in or pulled out.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum TokenEvent {
    /// It is there now.
    Added(Token),
    /// It is gone.
    Removed(TokenHandle),
}

/// How a driver is.
#[derive(Clone, Debug)]
pub struct DriverStatus {
    /// Its name in the configuration.
    pub name: String,
    /// Whether it can be used.
    pub state: DriverState,
    /// What it says of itself, once it has run.
    pub about: Option<About>,
}

/// Whether a driver can be used.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum DriverState {
    /// The worker is being started.
    Starting {
        /// Why the last one ended, when there was one.
        after: Option<String>,
    },
    /// The worker runs.
    Running,
    /// It failed too often and is left alone for a while.
    SetAside {
        /// The last failure.
        reason: String,
    },
}

/// All workers. Dropping it kills them.
#[derive(Debug)]
pub struct Workers {
    client: Client,
    tasks: JoinSet<()>,
    /// Dropped at shutdown; every supervisor watches it.
    running: watch::Sender<()>,
}

/// A cheap handle to all drivers.
#[derive(Clone, Debug)]
pub struct Client {
    drivers: std::sync::Arc<[Supervisor]>,
    events: broadcast::Sender<TokenEvent>,
}

impl Workers {
    /// Starts a supervisor for each driver; each starts its worker at once and none is waited for. Must be called inside a tokio runtime.
    pub fn start(drivers: Vec<DriverConfig>, timing: Timing) -> Self {
        let (events, _) = broadcast::channel(EVENT_BACKLOG);
        let (running, _) = watch::channel(());
        let mut tasks = JoinSet::new();
        let supervisors = drivers
            .into_iter()
            .map(|config| Supervisor::start(config, timing.clone(), events.clone(), running.subscribe(), &mut tasks))
            .collect();
        Self { client: Client { drivers: supervisors, events }, tasks, running }
    }

    /// A handle for requests.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// Ends all workers: each finishes the request it is in, is told by the end of its input, and is killed if that takes too long.
    pub async fn shut_down(mut self) {
        drop(self.running);
        let all = async { while self.tasks.join_next().await.is_some() {} };
        let _ = timeout(SHUTDOWN_GRACE, all).await; // what is left is killed with `tasks`
    }
}

impl Client {
    /// Asks every driver for its tokens, all at once. A driver that is signing gives the list it last had.
    pub async fn tokens(&self) -> TokenList {
        let asked: Vec<_> = self.drivers.iter().map(|driver| (driver, tokio::spawn(driver.tokens()))).collect();
        let mut list = TokenList::default();
        for (driver, answer) in asked {
            match answer.await.unwrap_or(Err(WorkerError::ShuttingDown)) {
                Ok(infos) => list.tokens.extend(infos.into_iter().map(|info| driver.token(info))),
                Err(error) => list.failures.push((driver.name().to_owned(), error)),
            }
        }
        list
    }

    /// Keys, seals and PIN state of a token. Needs no PIN and spends no try.
    pub async fn inspect(&self, token: &TokenHandle) -> Result<Inspected, WorkerError> {
        let (driver, id) = self.find(token).await?;
        driver.ask(|reply| Job::Inspect(id, reply)).await
    }

    /// Logs in once for [`LoggedIn::sign`]. At most one try is spent, whatever happens.
    ///
    /// The token belongs to this login until it is dropped; other requests to the same driver wait.
    pub async fn login(&self, key: &SigningKey, credential: Credential) -> Result<LoggedIn, WorkerError> {
        let (driver, token) = self.find(&key.token).await?;
        let (key, public_key) = (key.key.clone(), key.public_key);
        let messages = driver.ask(|reply| Job::Login { token, key, public_key, credential, reply }).await?;
        Ok(LoggedIn { messages })
    }

    /// Changes the user PIN. At most one try of the old one is spent. After [`WorkerError::DiedWithPin`] either PIN may be the right one.
    pub async fn change_pin(&self, token: &TokenHandle, old: Pin, new: Pin) -> Result<(), WorkerError> {
        let (driver, token) = self.find(token).await?;
        driver.ask(|reply| Job::ChangePin { token, old, new, reply }).await
    }

    /// How each driver is, without asking it.
    pub fn status(&self) -> Vec<DriverStatus> {
        self.drivers.iter().map(Supervisor::status).collect()
    }

    /// Tokens that come and go from now on.
    pub fn events(&self) -> broadcast::Receiver<TokenEvent> {
        self.events.subscribe()
    }

    /// Takes up the driver of this name again if it was set aside: the person has done something about it.
    pub async fn retry(&self, driver: &str) -> bool {
        let Some(driver) = self.drivers.iter().find(|d| d.name() == driver) else { return false };
        driver.ask(Job::Retry).await.is_ok()
    }

    /// The driver that has the token, and the driver's own name for it. Looks at what is known first, then asks. When nobody has it
    /// and a driver did not answer, that driver's failure is the likelier reason.
    async fn find(&self, token: &TokenHandle) -> Result<(&Supervisor, TokenId), WorkerError> {
        let known = || self.drivers.iter().find_map(|driver| Some((driver, driver.known(token)?)));
        if let Some(found) = known() {
            return Ok(found);
        }
        let failures = self.tokens().await.failures;
        known().ok_or_else(|| failures.into_iter().next().map_or(WorkerError::TokenAbsent, |(_, error)| error))
    }
}

/// A token that has taken the PIN. Dropping it logs out.
#[derive(Debug)]
pub struct LoggedIn {
    messages: mpsc::Sender<SignJob>,
}

/// A message and where its signature goes.
pub(super) type SignJob = (Authorised, oneshot::Sender<Result<Sm2Signature, WorkerError>>);

impl LoggedIn {
    /// Signs one message that the person agreed to. The signature has been verified against the message and the public key of
    /// [`SigningKey`]. After an error the login is over.
    pub async fn sign(&mut self, message: Authorised) -> Result<Sm2Signature, WorkerError> {
        let (reply, answer) = oneshot::channel();
        self.messages.send((message, reply)).await.map_err(|_| WorkerError::LoginExpired)?;
        answer.await.map_err(|_| WorkerError::LoginExpired)?
    }
}
