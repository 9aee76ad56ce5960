//! Keys on a token, reached as the agent reaches them: a `sealagent-worker` per driver, in which the vendor's library lives.
//!
//! The authority has no private key then; it sends what is to be signed. Each signature is checked on the host before it is used.
//! A PIN is asked for once per run and token, sent once, and never again after a refusal: the token counts the tries. It is
//! kept for this run, for a token that holds several of the keys, and wiped at its end.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sealagent::sm::{DEFAULT_ID, Sm2PublicKey, Sm2Signature, sm3, verify};
use serde::{Deserialize, Serialize};
use ukey::wire::{self, Answer, Bytes, Request};
use ukey::{Credential, DriverError, KeyId, KeyInfo, KeyUsage, Pin, TokenId, TokenInfo};

/// How long a worker may take to start, or to say what is on its tokens.
const LOOK: Duration = Duration::from_secs(15);
/// How long a login or a signature may take.
const SIGN: Duration = Duration::from_secs(30);
/// How long a person may take to type a PIN on the device.
const ON_DEVICE: Duration = Duration::from_secs(90);
/// A worker whose input was closed has this long to log out and end.
const CLOSING: Duration = Duration::from_secs(2);

/// Why a key on a token does not sign.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// The driver or the token says no.
    #[error("{0}")]
    Driver(#[from] DriverError),
    /// Nobody was there to type the PIN.
    #[error("the PIN is needed, and was not given")]
    NoPin,
    /// No token has the key.
    #[error("no token has a signing key with fingerprint {0}")]
    NoKey(String),
    /// It signed something else, or with another key.
    #[error("the token's signature is wrong")]
    Signature,
    /// The worker did not answer in time.
    #[error("the driver does not answer")]
    Timeout,
    /// The worker cannot be started, or broke off.
    #[error("{}: {reason}", .program.display())]
    Worker {
        /// The program.
        program: PathBuf,
        /// Why.
        reason: String,
    },
}

/// Which driver: what a worker is started with.
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(transparent)]
pub struct DriverWords(Vec<String>);

impl DriverWords {
    /// `pcsc`; or `pkcs11` or `skf`, the library, and perhaps the name of a profile; or `virtual` and its folder. `None` for anything else,
    /// and for a path that is not absolute: the worker runs elsewhere.
    pub fn new(words: &[String]) -> Option<Self> {
        let fits = match words {
            [kind] => kind == "pcsc",
            [kind, path] | [kind, path, _] => {
                let takes_profile = matches!(kind.as_str(), "pkcs11" | "skf");
                (takes_profile || (kind == "virtual" && words.len() == 2)) && Path::new(path).is_absolute()
            }
            _ => false,
        };
        fits.then(|| Self(words.to_vec()))
    }
}

/// Where a key is. It is what the authority's folder keeps in place of a key file.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TokenPlace {
    /// The driver.
    pub driver: DriverWords,
    /// The token.
    pub token: TokenId,
    /// The key on it.
    pub key: KeyId,
    /// Its public half: another key under the same name is refused before a PIN is used.
    pub public_key: Sm2PublicKey,
}

/// What a person is told who is asked for a PIN.
#[derive(Clone, Debug)]
pub struct PinQuestion {
    /// Label of the token.
    pub label: String,
    /// Tries left, where the token says so.
    pub tries_left: Option<u32>,
    /// The next wrong PIN locks the token.
    pub last_try: bool,
    /// The PIN is typed on the device.
    pub on_device: bool,
}

/// Asks a person.
pub type AskPin = dyn FnMut(&PinQuestion) -> Option<Credential> + Send;

/// The tokens of one run: a worker for each driver, and the PINs that were typed.
#[derive(Clone)]
pub struct Tokens(Arc<Mutex<State>>);

struct State {
    program: PathBuf,
    ask: Box<AskPin>,
    workers: HashMap<DriverWords, Worker>,
    pins: HashMap<(DriverWords, TokenId), Pin>,
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tokens(..)")
    }
}

impl Default for Tokens {
    /// With the worker that came with this program, and nobody to type a PIN.
    fn default() -> Self {
        Self::new(installed_worker(), |_| None)
    }
}

/// The worker: beside this program, or where the package `sealagent` has it.
pub fn installed_worker() -> PathBuf {
    let name = format!("sealagent-worker{}", std::env::consts::EXE_SUFFIX);
    let Ok(program) = std::env::current_exe() else { return PathBuf::from(name) };
    let packaged = program.parent().and_then(Path::parent).map(|prefix| prefix.join("libexec/sealagent").join(&name));
    let beside = program.with_file_name(&name);
    packaged.filter(|packaged| packaged.is_file() && !beside.is_file()).unwrap_or(beside)
}

/// What a key is called on paper and on the screen: SM3 of its public half, hexadecimal.
pub fn fingerprint(key: &Sm2PublicKey) -> String {
    sm3(&key.to_sec1()).0.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Tokens {
    /// With this worker program, and somebody who types PINs.
    pub fn new(program: PathBuf, ask: impl FnMut(&PinQuestion) -> Option<Credential> + Send + 'static) -> Self {
        Self(Arc::new(Mutex::new(State { program, ask: Box::new(ask), workers: HashMap::new(), pins: HashMap::new() })))
    }

    /// The signing keys on a driver's tokens. Needs no PIN.
    pub fn keys(&self, driver: &DriverWords) -> Result<Vec<(TokenInfo, KeyInfo)>, TokenError> {
        self.with(|state| state.keys(driver))
    }

    /// The key whose fingerprint is, or begins with, these 16 digits or more.
    pub fn find(&self, driver: &DriverWords, digits: &str) -> Result<TokenPlace, TokenError> {
        let wanted = digits.to_ascii_lowercase();
        let mut fitting = self.keys(driver)?.into_iter().filter(|(_, key)| fingerprint(&key.public_key).starts_with(&wanted));
        match (fitting.next(), fitting.next()) {
            (Some((token, key)), None) if wanted.len() >= 16 => {
                Ok(TokenPlace { driver: driver.clone(), token: token.id, key: key.id, public_key: key.public_key })
            }
            _ => Err(TokenError::NoKey(digits.to_owned())),
        }
    }

    fn with<T>(&self, act: impl FnOnce(&mut State) -> Result<T, TokenError>) -> Result<T, TokenError> {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A key on a token.
#[derive(Clone, Debug)]
pub struct TokenKey {
    place: TokenPlace,
    tokens: Tokens,
}

impl TokenKey {
    /// The key at that place, reached through these tokens. Nothing is asked of them yet.
    pub fn new(place: TokenPlace, tokens: Tokens) -> Self {
        Self { place, tokens }
    }

    /// Where it is.
    pub fn place(&self) -> &TokenPlace {
        &self.place
    }

    /// Logs in to the token, unless this key is logged in. Asks for the PIN the first time.
    pub fn unlock(&self) -> Result<(), TokenError> {
        self.tokens.with(|state| state.unlock(&self.place))
    }

    /// Signs under the default id. Asks for the PIN the first time.
    pub fn sign(&self, message: &[u8]) -> Result<Sm2Signature, TokenError> {
        self.tokens.with(|state| state.sign(&self.place, message))
    }
}

impl State {
    /// The worker of this driver, started when there is none.
    fn worker(&mut self, driver: &DriverWords) -> Result<&mut Worker, TokenError> {
        if self.workers.get(driver).is_none_or(|worker| worker.is_broken) {
            self.workers.insert(driver.clone(), Worker::start(&self.program, driver)?);
        }
        self.workers.get_mut(driver).ok_or(TokenError::Timeout)
    }

    fn keys(&mut self, driver: &DriverWords) -> Result<Vec<(TokenInfo, KeyInfo)>, TokenError> {
        let worker = self.worker(driver)?;
        let Answer::Tokens { tokens } = worker.ask(&Request::Tokens, &[], LOOK)? else { return Err(worker.nonsense()) };
        let mut found = Vec::new();
        for token in tokens {
            let asked = worker.ask(&Request::Inspect { token: token.id.clone() }, &[], LOOK)?;
            let Answer::Inspected { keys, .. } = asked else { return Err(worker.nonsense()) };
            let signing = keys.into_iter().filter(|key| key.usage == KeyUsage::Signing);
            found.extend(signing.map(|key| (token.clone(), key)));
        }
        Ok(found)
    }

    fn unlock(&mut self, place: &TokenPlace) -> Result<(), TokenError> {
        if self.worker(&place.driver)?.logged_in.as_ref() == Some(&(place.token.clone(), place.key.clone())) {
            return Ok(());
        }
        self.log_in(place)
    }

    fn sign(&mut self, place: &TokenPlace, message: &[u8]) -> Result<Sm2Signature, TokenError> {
        self.unlock(place)?;
        let request = Request::Message { bytes: Bytes(message.to_vec()), id: DEFAULT_ID.to_owned() };
        let worker = self.worker(&place.driver)?;
        let Answer::Signed { signature } = worker.ask(&request, &[], SIGN)? else { return Err(worker.nonsense()) };
        if verify(&place.public_key, message, &signature) { Ok(signature) } else { Err(TokenError::Signature) }
    }

    /// One login, with the PIN of this run, which is asked for at the first.
    fn log_in(&mut self, place: &TokenPlace) -> Result<(), TokenError> {
        let worker = self.worker(&place.driver)?;
        worker.log_out()?;
        let asked = worker.ask(&Request::Inspect { token: place.token.clone() }, &[], LOOK)?;
        let Answer::Inspected { keys, pin: status, .. } = asked else { return Err(worker.nonsense()) };
        match keys.iter().find(|key| key.id == place.key) {
            None => return Err(DriverError::KeyAbsent { key: place.key.0.clone() }.into()),
            Some(key) if key.public_key != place.public_key => {
                return Err(DriverError::KeyChanged { key: place.key.0.clone() }.into());
            }
            Some(_) if status.blocked => return Err(DriverError::PinBlocked.into()),
            Some(_) => {}
        }
        let whose = (place.driver.clone(), place.token.clone());
        let credential = match self.pins.remove(&whose) {
            Some(pin) => Credential::Pin(pin),
            None => {
                let Answer::Tokens { tokens } = self.worker(&place.driver)?.ask(&Request::Tokens, &[], LOOK)? else {
                    return Err(self.worker(&place.driver)?.nonsense());
                };
                let label = tokens.into_iter().find(|token| token.id == place.token).map(|token| token.label);
                let question = PinQuestion {
                    label: label.unwrap_or_else(|| place.token.0.clone()),
                    tries_left: status.tries_left,
                    last_try: status.is_last_try(),
                    on_device: status.on_device,
                };
                (self.ask)(&question).ok_or(TokenError::NoPin)?
            }
        };
        let on_device = matches!(credential, Credential::OnDevice);
        let request =
            Request::Sign { token: place.token.clone(), key: place.key.clone(), public_key: place.public_key, on_device };
        let (secret, limit): (&[u8], _) = match &credential {
            Credential::OnDevice => (&[], ON_DEVICE),
            Credential::Pin(pin) => (pin.expose(), SIGN),
        };
        let worker = self.worker(&place.driver)?;
        let Answer::LoggedIn = worker.ask(&request, secret, limit)? else { return Err(worker.nonsense()) };
        worker.logged_in = Some((place.token.clone(), place.key.clone()));
        if let Credential::Pin(pin) = credential {
            self.pins.insert(whose, pin);
        }
        Ok(())
    }
}

/// A running worker.
struct Worker {
    program: PathBuf,
    child: Child,
    /// `None` once it is closed.
    input: Option<ChildStdin>,
    answers: Receiver<io::Result<Answer>>,
    /// Token and key of the open login.
    logged_in: Option<(TokenId, KeyId)>,
    is_broken: bool,
}

impl Worker {
    fn start(program: &Path, driver: &DriverWords) -> Result<Self, TokenError> {
        let failed = |error: io::Error| TokenError::Worker { program: program.to_owned(), reason: error.to_string() };
        let mut command = Command::new(program);
        if let Some(folder) = program.parent().filter(|folder| folder.is_absolute()) {
            command.current_dir(folder); // a library may load others from the current folder
        }
        // What a library prints is not shown: it might be a PIN.
        command.args(&driver.0).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().map_err(failed)?;
        let (input, output) = (child.stdin.take(), child.stdout.take());
        let mut output = output.ok_or_else(|| failed(io::ErrorKind::BrokenPipe.into()))?;
        let (sender, answers) = sync_channel(1);
        std::thread::spawn(move || {
            loop {
                let answer = match wire::read_frame::<Answer>(&mut output) {
                    Ok(Some((Answer::TokensChanged, _))) => continue,
                    Ok(Some((answer, _))) => Ok(answer),
                    Ok(None) => Err(io::ErrorKind::UnexpectedEof.into()),
                    Err(error) => Err(error),
                };
                let is_end = answer.is_err();
                if sender.send(answer).is_err() || is_end {
                    return;
                }
            }
        });
        let mut worker = Self { program: program.to_owned(), child, input, answers, logged_in: None, is_broken: false };
        match worker.ask(&Request::Hello { version: wire::VERSION }, &[], LOOK)? {
            Answer::Hello { version: wire::VERSION, .. } => Ok(worker),
            _ => Err(TokenError::Worker { program: program.to_owned(), reason: "another version".to_owned() }),
        }
    }

    /// One request and its answer. After a failure of the worker itself it is of no more use.
    fn ask(&mut self, request: &Request, secret: &[u8], limit: Duration) -> Result<Answer, TokenError> {
        let broken = |reason: io::Error| TokenError::Worker { program: self.program.clone(), reason: reason.to_string() };
        let input = self.input.as_mut().ok_or_else(|| broken(io::ErrorKind::BrokenPipe.into()))?;
        let answer = match wire::write_frame(input, request, secret) {
            Err(error) => Err(broken(error)),
            Ok(()) => match self.answers.recv_timeout(limit) {
                Ok(Ok(Answer::Failed { error })) => {
                    self.logged_in = None;
                    return Err(error.into());
                }
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(error)) => Err(broken(error)),
                Err(RecvTimeoutError::Timeout) => Err(TokenError::Timeout),
                Err(RecvTimeoutError::Disconnected) => Err(broken(io::ErrorKind::UnexpectedEof.into())),
            },
        };
        self.is_broken = true;
        answer
    }

    fn log_out(&mut self) -> Result<(), TokenError> {
        if self.logged_in.take().is_none() {
            return Ok(());
        }
        match self.ask(&Request::End, &[], SIGN)? {
            Answer::Ended => Ok(()),
            _ => Err(self.nonsense()),
        }
    }

    /// An answer to another question than was asked.
    fn nonsense(&mut self) -> TokenError {
        self.is_broken = true;
        DriverError::protocol("worker", "an answer to another question").into()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // Closing its input makes it log out and end.
        self.input = None;
        let end = Instant::now() + if self.is_broken { Duration::ZERO } else { CLOSING };
        while Instant::now() < end {
            match self.child.try_wait() {
                Ok(None) => std::thread::sleep(Duration::from_millis(5)),
                _ => return,
            }
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
