//! One task a driver: it owns the worker, hands it one request at a time, and decides when a worker has failed.

use std::{
    collections::VecDeque,
    ffi::OsString,
    io, mem,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::{
    sync::{broadcast, mpsc, oneshot, watch},
    task::JoinSet,
    time::{Instant, timeout},
};
use ukey::{
    About, Credential, DriverError, KeyId, Pin, Sm2PublicKey, TokenId, TokenInfo,
    check::classify,
    driver::{check_content, check_tokens},
    library::Machine,
    wire::{self, Answer, Bytes, Request},
};

use super::{
    client::{DriverState, DriverStatus, Inspected, SignJob, Token, TokenEvent, TokenHandle},
    error::{StartFailure, WorkerError},
    library::{self, Library, LibraryError},
    process::Process,
};
use crate::sm;

/// Requests that wait for one driver; more callers wait to be let in.
const QUEUE: usize = 32;

/// One driver as the configuration names it.
#[derive(Clone, Debug)]
pub struct DriverConfig {
    /// Name for the log, the command line and [`TokenHandle`]; unique among drivers.
    pub name: String,
    /// The worker program; see [`DriverConfig::installed_worker`].
    pub program: PathBuf,
    /// What the worker hosts.
    pub kind: DriverKind,
}

impl DriverConfig {
    /// The worker that came with this program: the file beside it.
    pub fn installed_worker() -> std::io::Result<PathBuf> {
        Ok(std::env::current_exe()?.with_file_name(format!("sealagent-worker{}", std::env::consts::EXE_SUFFIX)))
    }

    /// The worker for 32-bit libraries: the file beside that one, if it is installed.
    pub fn worker_32_bit(worker: &Path) -> PathBuf {
        worker.with_file_name(format!("sealagent-worker32{}", std::env::consts::EXE_SUFFIX))
    }
}

/// What a worker hosts.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum DriverKind {
    /// The PC/SC service.
    Pcsc,
    /// A PKCS#11 module.
    Pkcs11 {
        /// The module.
        library: Library,
        /// Name of its profile.
        profile: String,
    },
    /// An SKF library.
    Skf {
        /// The library.
        library: Library,
        /// Name of its profile.
        profile: String,
    },
    /// Virtual tokens.
    Virtual {
        /// Their folder.
        folder: PathBuf,
        /// The folder's fault script is obeyed. For tests; no configuration file can say so.
        faults: bool,
    },
}

/// How long things may take. [`Timing::default`] is what runs; tests give shorter times.
#[derive(Clone, Debug)]
pub struct Timing {
    /// Start of a worker up to its first answer.
    pub hello: Duration,
    /// List of tokens.
    pub list: Duration,
    /// Keys, seals and PIN state of one token.
    pub inspect: Duration,
    /// Login with a PIN typed on the host, and change of PIN.
    pub login: Duration,
    /// Login with a PIN typed on the device.
    pub login_on_device: Duration,
    /// One signature.
    pub sign: Duration,
    /// A login with nothing to sign ends after this.
    pub between_messages: Duration,
    /// Pauses before a worker is started again, after the first failure, the second, and so on within [`Self::failure_window`].
    pub pauses: Vec<Duration>,
    /// This many failures within the window set the driver aside.
    pub failure_limit: usize,
    /// The window.
    pub failure_window: Duration,
    /// How long a driver stays set aside.
    pub set_aside: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            hello: seconds(5),
            list: seconds(5),
            inspect: seconds(10),
            login: seconds(30),
            login_on_device: seconds(90),
            sign: seconds(30),
            between_messages: seconds(30),
            pauses: vec![Duration::from_millis(50), Duration::from_millis(500)],
            failure_limit: 3,
            failure_window: seconds(60),
            set_aside: seconds(300),
        }
    }
}

type Reply<T> = oneshot::Sender<Result<T, WorkerError>>;

/// What a client asks of one driver.
pub(super) enum Job {
    ChangePin { token: TokenId, old: Pin, new: Pin, reply: Reply<()> },
    Inspect(TokenId, Reply<Inspected>),
    Login { token: TokenId, key: KeyId, public_key: Sm2PublicKey, credential: Credential, reply: Reply<mpsc::Sender<SignJob>> },
    Retry(Reply<()>),
    Tokens(Reply<Vec<TokenInfo>>),
}

/// The client's end of one driver.
#[derive(Debug)]
pub(super) struct Supervisor {
    name: String,
    jobs: mpsc::Sender<Job>,
    view: watch::Receiver<View>,
}

/// What can be known of a driver without asking it.
#[derive(Clone, Debug)]
struct View {
    state: DriverState,
    about: Option<About>,
    tokens: Vec<TokenInfo>,
    /// A login is under way; requests wait until it ends.
    signing: bool,
}

impl Supervisor {
    pub(super) fn start(
        config: DriverConfig,
        timing: Timing,
        events: broadcast::Sender<TokenEvent>,
        running: watch::Receiver<()>,
        tasks: &mut JoinSet<()>,
    ) -> Self {
        let (jobs, queue) = mpsc::channel(QUEUE);
        let state = DriverState::Starting { after: None };
        let (publish, view) = watch::channel(View { state, about: None, tokens: Vec::new(), signing: false });
        let name = config.name.clone();
        let driver = Driver {
            config,
            timing,
            events,
            publish,
            worker: None,
            announced: Vec::new(),
            stale: false,
            failures: VecDeque::new(),
            set_aside: None,
            resume: Instant::now(),
        };
        tasks.spawn(driver.run(queue, running));
        Self { name, jobs, view }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn status(&self) -> DriverStatus {
        let view = self.view.borrow();
        DriverStatus { name: self.name.clone(), state: view.state.clone(), about: view.about.clone() }
    }

    /// The driver's own name for the token, if it was in the last list.
    pub(super) fn known(&self, handle: &TokenHandle) -> Option<TokenId> {
        let view = self.view.borrow();
        view.tokens.iter().map(|info| &info.id).find(|id| TokenHandle::new(&self.name, id) == *handle).cloned()
    }

    pub(super) fn tokens(&self) -> impl Future<Output = Result<Vec<TokenInfo>, WorkerError>> + use<> {
        let view = self.view.borrow();
        let known = view.signing.then(|| view.tokens.clone());
        let ask = self.ask(Job::Tokens);
        async move {
            match known {
                Some(tokens) => Ok(tokens),
                None => ask.await,
            }
        }
    }

    pub(super) fn token(&self, info: TokenInfo) -> Token {
        token(&self.name, info)
    }

    pub(super) fn ask<T, F: FnOnce(Reply<T>) -> Job>(&self, job: F) -> impl Future<Output = Result<T, WorkerError>> + use<T, F> {
        let (reply, answer) = oneshot::channel();
        let (job, jobs) = (job(reply), self.jobs.clone());
        async move {
            jobs.send(job).await.map_err(|_| WorkerError::ShuttingDown)?;
            answer.await.map_err(|_| WorkerError::ShuttingDown)?
        }
    }
}

fn token(driver: &str, info: TokenInfo) -> Token {
    Token { handle: TokenHandle::new(driver, &info.id), driver: driver.to_owned(), info }
}

/// The task of one driver.
struct Driver {
    config: DriverConfig,
    timing: Timing,
    events: broadcast::Sender<TokenEvent>,
    publish: watch::Sender<View>,
    worker: Option<Process>,
    /// The tokens that listeners believe to be there.
    announced: Vec<TokenInfo>,
    /// The list of tokens may have changed.
    stale: bool,
    /// When it failed, within the window.
    failures: VecDeque<Instant>,
    /// The failure for which it is set aside.
    set_aside: Option<Box<WorkerError>>,
    /// No worker is started before this.
    resume: Instant,
}

/// How a worker failed.
enum Failure {
    /// It ended, or its pipe did.
    Ended,
    /// No answer in time.
    Deadline,
    /// It could not be started.
    NotStarted(StartFailure),
    /// It answered what is no frame, or no answer to the question.
    Nonsense(String),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof | io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => Self::Ended,
            _ => Self::Nonsense(error.to_string()),
        }
    }
}

impl Driver {
    async fn run(mut self, mut jobs: mpsc::Receiver<Job>, mut running: watch::Receiver<()>) {
        loop {
            tokio::select! {
                _ = running.changed() => break,
                job = jobs.recv() => match job {
                    Some(job) => self.serve(job).await,
                    None => break,
                },
                answer = idle_answer(self.worker.as_mut()) => match answer {
                    Ok(Answer::TokensChanged) => self.stale = true,
                    Ok(_) => drop(self.failed(Failure::Nonsense("an answer to no question".into())).await),
                    Err(error) => drop(self.failed(error.into()).await),
                },
                () = tokio::time::sleep_until(self.resume), if self.worker.is_none() => drop(self.start().await),
            }
            if mem::take(&mut self.stale) && self.worker.is_some() {
                drop(self.tokens().await); // a failure is counted and logged where it happens
            }
        }
        if let Some(worker) = self.worker {
            worker.close().await;
        }
    }

    /// Each reply goes to whoever still waits for it.
    async fn serve(&mut self, job: Job) {
        match job {
            Job::ChangePin { token, old, new, reply } => drop(reply.send(self.change_pin(token, old, new).await)),
            Job::Inspect(token, reply) => drop(reply.send(self.inspect(token).await)),
            Job::Login { token, key, public_key, credential, reply } => {
                self.publish.send_modify(|view| view.signing = true);
                match self.login(token, key, public_key, credential).await {
                    Err(error) => drop(reply.send(Err(error))),
                    Ok(()) => {
                        let (messages, queue) = mpsc::channel(1);
                        drop(reply.send(Ok(messages)));
                        self.sign(queue).await;
                    }
                }
                self.publish.send_modify(|view| view.signing = false);
            }
            Job::Retry(reply) => {
                if self.worker.is_none() {
                    self.failures.clear();
                    self.resume = Instant::now();
                }
                drop(reply.send(self.ready().await));
            }
            Job::Tokens(reply) => drop(reply.send(self.tokens().await)),
        }
    }

    async fn tokens(&mut self) -> Result<Vec<TokenInfo>, WorkerError> {
        let deadline = self.timing.list;
        let tokens = self
            .ask(Request::Tokens, deadline, |answer| match answer {
                Answer::Tokens { tokens } => Some(tokens),
                _ => None,
            })
            .await?;
        self.stale = false;
        self.publish.send_modify(|view| view.tokens.clone_from(&tokens));
        self.announce(tokens.clone());
        Ok(tokens)
    }

    async fn inspect(&mut self, token: TokenId) -> Result<Inspected, WorkerError> {
        let deadline = self.timing.inspect;
        self.ask(Request::Inspect { token }, deadline, inspected).await
    }

    async fn login(
        &mut self,
        token: TokenId,
        key: KeyId,
        public_key: Sm2PublicKey,
        credential: Credential,
    ) -> Result<(), WorkerError> {
        let (on_device, deadline) = match credential {
            Credential::OnDevice => (true, self.timing.login_on_device),
            Credential::Pin(_) => (false, self.timing.login),
        };
        let request = Request::Sign { token: token.clone(), key, public_key, on_device };
        let secret: &[u8] = match &credential {
            Credential::OnDevice => &[],
            Credential::Pin(pin) => pin.expose(),
        };
        self.ask_with_pin(&token, &request, secret, deadline, |answer| matches!(answer, Answer::LoggedIn).then_some(())).await
    }

    async fn change_pin(&mut self, token: TokenId, old: Pin, new: Pin) -> Result<(), WorkerError> {
        let secret = wire::join_pins(&old, &new);
        drop((old, new));
        let (request, deadline) = (Request::ChangePin { token: token.clone() }, self.timing.login);
        self.ask_with_pin(&token, &request, &secret, deadline, |answer| matches!(answer, Answer::PinChanged).then_some(())).await
    }

    /// Signs what comes until the other end is dropped, nothing comes for too long, or a message fails; then logs out.
    async fn sign(&mut self, mut queue: mpsc::Receiver<SignJob>) {
        while let Ok(Some((message, reply))) = timeout(self.timing.between_messages, queue.recv()).await {
            let message = message.message();
            let request = Request::Message { bytes: Bytes(message.bytes().to_vec()), id: message.id().to_owned() };
            let result = match self.exchange(&request, &[], self.timing.sign).await {
                Ok(Answer::Signed { signature }) => {
                    // Before anything uses it (I7): by our own verifier, whatever the worker found.
                    if sm::verify_digest(message.key(), message.digest(), &signature) {
                        Ok(signature)
                    } else {
                        Err(WorkerError::SignatureInvalid(classify(&signature, message, &[])))
                    }
                }
                Ok(Answer::Failed { error }) => {
                    drop(reply.send(Err(error.into())));
                    return; // the worker has logged out
                }
                Ok(_) => Err(self.failed(wrong_answer()).await),
                Err(failure) => Err(self.failed(failure).await),
            };
            let failed = result.is_err();
            drop(reply.send(result));
            if failed {
                break;
            }
        }
        if self.worker.is_none() {
            return;
        }
        match self.exchange(&Request::End, &[], self.timing.sign).await {
            Ok(Answer::Ended | Answer::Failed { .. }) => {}
            Ok(_) => drop(self.failed(wrong_answer()).await),
            Err(failure) => drop(self.failed(failure).await),
        }
    }

    /// One request without a PIN.
    async fn ask<T>(&mut self, request: Request, deadline: Duration, read: fn(Answer) -> Option<T>) -> Result<T, WorkerError> {
        self.ready().await?;
        match self.exchange(&request, &[], deadline).await.and_then(|answer| understand(answer, read)) {
            Ok(result) => Ok(result?),
            Err(failure) => Err(self.failed(failure).await),
        }
    }

    /// One request that hands the PIN to the token. If the worker fails with it, a fresh one reads how the PIN stands.
    async fn ask_with_pin<T>(
        &mut self,
        token: &TokenId,
        request: &Request,
        secret: &[u8],
        deadline: Duration,
        read: fn(Answer) -> Option<T>,
    ) -> Result<T, WorkerError> {
        self.ready().await?;
        let failure = match self.exchange(request, secret, deadline).await.and_then(|answer| understand(answer, read)) {
            Ok(result) => return Ok(result?),
            Err(failure) => failure,
        };
        let cause = Box::new(self.failed(failure).await);
        let (request, deadline) = (Request::Inspect { token: token.clone() }, self.timing.inspect);
        let pin = self.ask(request, deadline, inspected).await.ok().map(|inspected| inspected.pin);
        Err(WorkerError::DiedWithPin { cause, pin })
    }

    /// Sends one frame and waits for the next; a change of tokens in between is noted.
    async fn exchange(&mut self, request: &Request, secret: &[u8], deadline: Duration) -> Result<Answer, Failure> {
        let Some(worker) = &mut self.worker else { return Err(Failure::Ended) };
        let exchange = async {
            worker.send(request, secret).await?;
            loop {
                match worker.answer().await? {
                    Answer::TokensChanged => self.stale = true,
                    answer => return Ok(answer),
                }
            }
        };
        timeout(deadline, exchange).await.unwrap_or(Err(Failure::Deadline))
    }

    /// A worker that has said hello, after the pause that is due.
    async fn ready(&mut self) -> Result<(), WorkerError> {
        if self.worker.is_some() {
            return Ok(());
        }
        if let Some(cause) = self.set_aside.clone().filter(|_| Instant::now() < self.resume) {
            return Err(WorkerError::SetAside { driver: self.config.name.clone(), cause });
        }
        tokio::time::sleep_until(self.resume).await;
        self.start().await
    }

    async fn start(&mut self) -> Result<(), WorkerError> {
        match self.spawn().await {
            Ok(about) => {
                self.set_aside = None;
                self.publish.send_modify(|view| (view.state, view.about) = (DriverState::Running, about));
                self.stale = true;
                Ok(())
            }
            Err(failure) => Err(self.failed(failure).await),
        }
    }

    async fn spawn(&mut self) -> Result<Option<About>, Failure> {
        let (kind, program) = (self.config.kind.clone(), self.config.program.clone());
        // Reading a library to take its digest and its machine type is file work.
        let ready = tokio::task::spawn_blocking(move || kind.command(&program)).await;
        let (program, arguments) = ready.map_err(|e| Failure::Nonsense(e.to_string()))?.map_err(Failure::NotStarted)?;
        let process = Process::spawn(&program, &arguments, &self.config.name)
            .map_err(|e| Failure::NotStarted(StartFailure::Program { program, reason: e.to_string() }))?;
        self.worker = Some(process);
        match self.exchange(&Request::Hello { version: wire::VERSION }, &[], self.timing.hello).await? {
            Answer::Hello { version: wire::VERSION, about } => Ok(about),
            Answer::Hello { version, .. } => {
                Err(Failure::Nonsense(format!("worker of version {version}; install agent and worker together")))
            }
            Answer::Failed { error } => Err(Failure::NotStarted(error.into())),
            _ => Err(wrong_answer()),
        }
    }

    /// Ends the worker, counts the failure, and says when the next may start.
    async fn failed(&mut self, failure: Failure) -> WorkerError {
        let driver = self.config.name.clone();
        let worker = self.worker.take();
        let (error, reason) = match failure {
            Failure::Deadline => (WorkerError::Deadline { driver: driver.clone() }, "no answer in time".to_owned()),
            Failure::NotStarted(cause) => {
                let reason = cause.to_string();
                (WorkerError::NotStarted { driver: driver.clone(), cause }, reason)
            }
            Failure::Nonsense(reason) => (WorkerError::Crashed { driver: driver.clone(), reason: reason.clone() }, reason),
            Failure::Ended => {
                let reason = match worker {
                    Some(worker) => worker.end().await,
                    None => "ended".to_owned(),
                };
                (WorkerError::Crashed { driver: driver.clone(), reason: reason.clone() }, reason)
            }
        };
        let now = Instant::now();
        self.failures.push_back(now);
        self.failures.retain(|at| now.duration_since(*at) <= self.timing.failure_window);
        let count = self.failures.len();
        let state = if count >= self.timing.failure_limit {
            self.resume = now + self.timing.set_aside;
            self.failures.clear();
            self.set_aside = Some(Box::new(error.clone()));
            self.announce(Vec::new());
            tracing::error!(driver, reason, "driver set aside after {count} failures");
            DriverState::SetAside { reason }
        } else {
            self.resume = now + self.timing.pauses.get(count - 1).or(self.timing.pauses.last()).copied().unwrap_or_default();
            tracing::warn!(driver, reason, "worker failed");
            DriverState::Starting { after: Some(reason) }
        };
        self.publish.send_modify(|view| view.state = state);
        error
    }

    /// Tells listeners what came and went. Nobody may be listening.
    fn announce(&mut self, tokens: Vec<TokenInfo>) {
        let name = &self.config.name;
        for gone in self.announced.iter().filter(|old| !tokens.contains(old)) {
            let _ = self.events.send(TokenEvent::Removed(TokenHandle::new(name, &gone.id)));
        }
        for new in tokens.iter().filter(|new| !self.announced.contains(new)) {
            let _ = self.events.send(TokenEvent::Added(token(name, new.clone())));
        }
        self.announced = tokens;
    }
}

impl DriverKind {
    /// The worker that can host it, and its arguments. A library is checked here, each time it is about to be loaded.
    fn command(&self, worker: &Path) -> Result<(PathBuf, Vec<OsString>), StartFailure> {
        let (kind, library, profile) = match self {
            Self::Pcsc => return Ok((worker.to_owned(), vec!["pcsc".into()])),
            Self::Virtual { folder, faults } => {
                let absolute = std::path::absolute(folder);
                let folder = absolute.map_err(|source| Arc::new(LibraryError::Io { path: folder.clone(), source }))?;
                let mut arguments = vec!["virtual".into(), folder.into_os_string()];
                arguments.extend(faults.then(|| "--faults".into()));
                return Ok((worker.to_owned(), arguments));
            }
            Self::Pkcs11 { library, profile } => ("pkcs11", library, profile),
            Self::Skf { library, profile } => ("skf", library, profile),
        };
        let path = library.check().map_err(Arc::new)?;
        let worker = worker_for(&path, worker)?;
        Ok((worker, vec![kind.into(), path.into_os_string(), profile.into()]))
    }
}

/// The 32-bit worker for a 32-bit library of a 64-bit machine; else the usual one, which says what it makes of the library.
fn worker_for(library: &Path, worker: &Path) -> Result<PathBuf, StartFailure> {
    let is_32_bit = Machine::of_this_program() == Some(Machine::X86_64) && library::machine(library) == Some(Machine::X86);
    if !is_32_bit {
        return Ok(worker.to_owned());
    }
    let worker = DriverConfig::worker_32_bit(worker);
    if worker.is_file() { Ok(worker) } else { Err(StartFailure::No32BitWorker { library: library.to_owned(), worker }) }
}

/// The next answer of a worker that was asked nothing; never, when there is no worker.
async fn idle_answer(worker: Option<&mut Process>) -> io::Result<Answer> {
    match worker {
        Some(worker) => worker.answer().await,
        None => std::future::pending().await,
    }
}

/// Splits what the token says from what only a broken worker says. The worker keeps the same limits; but a library may have
/// written over the worker.
fn understand<T>(answer: Answer, read: fn(Answer) -> Option<T>) -> Result<Result<T, DriverError>, Failure> {
    match answer {
        Answer::Failed { error } => Ok(Err(error)),
        Answer::Tokens { tokens } if check_tokens(&tokens).is_err() => Err(Failure::Nonsense("more tokens than can be".into())),
        Answer::Inspected { keys, seals, .. } if check_content(&keys, seals.iter().map(|s| s.0.len())).is_err() => {
            Err(Failure::Nonsense("more on a token than can be".into()))
        }
        answer => read(answer).map(Ok).ok_or_else(wrong_answer),
    }
}

fn inspected(answer: Answer) -> Option<Inspected> {
    match answer {
        Answer::Inspected { keys, seals, pin } => {
            Some(Inspected { keys, seals: seals.into_iter().map(|Bytes(seal)| seal).collect(), pin })
        }
        _ => None,
    }
}

fn wrong_answer() -> Failure {
    Failure::Nonsense("the answer does not fit the question".into())
}
