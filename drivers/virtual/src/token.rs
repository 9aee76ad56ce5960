//! One token: its file, its PIN, its keys.
//!
//! Every change takes the token's lock file, reads the file anew, and replaces it whole (temporary file, flush, rename), so that
//! two programs on one folder never undo each other's try counter. The counter goes down **before** the PIN is looked at: pulling
//! the plug in between costs a try and never gives one.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::OnceLock,
};

use serde::{Deserialize, Serialize};
use sm2::dsa::{SigningKey, signature::hazmat::PrehashSigner as _};
use ukey::{
    DEFAULT_ID, DriverError, KeyId, KeyInfo, KeyUsage, Pin, PinStatus, Sm2Digest, Sm2PublicKey, Sm2Signature, TokenId, TokenInfo,
    driver::{MAX_CERTIFICATE_BYTES, MAX_KEYS, MAX_SEAL_BYTES, MAX_SEALS, MAX_TOKENS},
    wire::Bytes,
};

use crate::protect::{Key, Wrapped, key_from_pin, random_key};

/// Shortest PIN, in bytes (GM/T 0027-2014 clause 9.2).
pub const MIN_PIN_BYTES: usize = 6;
/// Longest PIN, in bytes: what common tokens take.
pub const MAX_PIN_BYTES: usize = 16;
/// Most tries a token may be made with (GM/T 0027-2014 clause 9.2).
pub const MAX_TRIES: u32 = 10;

/// A token's file may be this large: 64 keys and a dozen seals of ordinary size are well below; an answer frame holds it.
const MAX_FILE_BYTES: u64 = 8 << 20;
const FILE_VERSION: u32 = 1;
const TOKEN_SUFFIX: &str = ".token.json";
const LOCK_SUFFIX: &str = ".lock";
const UNPLUGGED_SUFFIX: &str = ".unplugged";

/// When the token forgets that the PIN was right.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum LoginPolicy {
    /// At the end of the session, as most tokens in the field.
    #[default]
    PerSession,
    /// After each signature, as GM/T 0027-2014 clause 9.2 demands.
    PerSignature,
}

/// What [`Token::create`] may be told beside label and PIN.
#[derive(Clone, Copy, Debug)]
pub struct TokenOptions {
    /// When the token forgets the login.
    pub login: LoginPolicy,
    /// Tries after a right PIN, 1 to [`MAX_TRIES`].
    pub max_tries: u32,
}

impl Default for TokenOptions {
    fn default() -> Self {
        Self { login: LoginPolicy::PerSession, max_tries: 6 }
    }
}

/// Why a token could not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// As a driver would say it: absent, PIN wrong, PIN blocked, no such key.
    #[error(transparent)]
    Driver(#[from] DriverError),
    /// A file could not be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is no token of ours.
    #[error("{}: not a token file: {reason}", path.display())]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The login has ended ([`LoginPolicy::PerSignature`]); log in again.
    #[error("the token wants the PIN again")]
    LoginEnded,
    /// More or larger than a token may hold.
    #[error("the token takes no more: {0}")]
    Full(&'static str),
    /// The system gives no random bytes, or no memory for the PIN's key.
    #[error("no key material: {0}")]
    KeyMaterial(String),
}

impl From<TokenError> for DriverError {
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::Driver(error) => error,
            other => DriverError::protocol("virtual token", other.to_string()),
        }
    }
}

impl From<getrandom::Error> for TokenError {
    fn from(error: getrandom::Error) -> Self {
        Self::KeyMaterial(error.to_string())
    }
}

/// One token of a folder. Holds no state of its own: every call reads the file.
#[derive(Clone, Debug)]
pub struct Token {
    folder: PathBuf,
    id: TokenId,
}

impl Token {
    /// Makes a token with a fresh serial number in `folder`, which is made too (0700). The PIN has [`MIN_PIN_BYTES`] to
    /// [`MAX_PIN_BYTES`] bytes.
    pub fn create(folder: &Path, label: &str, pin: &Pin, options: TokenOptions) -> Result<Self, TokenError> {
        check_new_pin(pin)?;
        if !(1..=MAX_TRIES).contains(&options.max_tries) {
            return Err(TokenError::Full("tries"));
        }
        make_folder(folder)?;
        let mut serial = [0; 8];
        getrandom::fill(&mut serial)?;
        let serial = format!("V{:016X}", u64::from_be_bytes(serial));
        let token = Self { folder: folder.to_owned(), id: TokenId(serial.clone()) };
        let data_key = random_key()?;
        let state = State {
            version: FILE_VERSION,
            label: label.to_owned(),
            serial,
            login: options.login,
            pin: PinRecord::new(pin, &data_key, options.max_tries)?,
            keys: Vec::new(),
            seals: Vec::new(),
        };
        let _lock = token.lock()?;
        token.save(&state)?;
        Ok(token)
    }

    /// All plugged-in tokens of `folder`, in the order of their ids; none when the folder is not there. At most
    /// [`MAX_TOKENS`] are given.
    pub fn list(folder: &Path) -> Result<Vec<Self>, TokenError> {
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(TokenError::Io { path: folder.to_owned(), source }),
        };
        let mut ids: Vec<_> = entries
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok()?.strip_suffix(TOKEN_SUFFIX).map(str::to_owned))
            .filter(|id| is_id(id))
            .map(|id| Self { folder: folder.to_owned(), id: TokenId(id) })
            .filter(Self::is_plugged)
            .collect();
        ids.sort_by(|a, b| a.id.cmp(&b.id));
        ids.truncate(MAX_TOKENS);
        Ok(ids)
    }

    /// One plugged-in token; [`DriverError::TokenAbsent`] when it is not.
    pub fn open(folder: &Path, id: &TokenId) -> Result<Self, TokenError> {
        let token = Self { folder: folder.to_owned(), id: id.clone() };
        if is_id(&id.0) && token.is_plugged() { Ok(token) } else { Err(DriverError::TokenAbsent.into()) }
    }

    /// Its name in its folder: the serial number.
    pub fn id(&self) -> &TokenId {
        &self.id
    }

    /// What it says of itself.
    pub fn info(&self) -> Result<TokenInfo, TokenError> {
        let state = self.load()?;
        Ok(TokenInfo {
            id: self.id.clone(),
            label: state.label,
            manufacturer: "sealagent virtual UKey".into(),
            serial: state.serial,
        })
    }

    /// Its keys, in the order in which they were made.
    pub fn keys(&self) -> Result<Vec<KeyInfo>, TokenError> {
        let keys = self.load()?.keys.into_iter();
        Ok(keys.map(|k| KeyInfo { id: k.id, usage: k.usage, public_key: k.public_key, certificate: k.certificate }).collect())
    }

    /// Its seals as they were put there.
    pub fn seals(&self) -> Result<Vec<Vec<u8>>, TokenError> {
        Ok(self.load()?.seals.into_iter().map(|seal| seal.0).collect())
    }

    /// State of the PIN.
    pub fn pin_status(&self) -> Result<PinStatus, TokenError> {
        let pin = self.load()?.pin;
        Ok(PinStatus {
            tries_left: Some(pin.tries_left),
            max_tries: Some(pin.max_tries),
            blocked: pin.tries_left == 0,
            last_try: pin.tries_left == 1,
            on_device: false,
        })
    }

    /// When it forgets a login.
    pub fn login_policy(&self) -> Result<LoginPolicy, TokenError> {
        Ok(self.load()?.login)
    }

    /// Logs in. A PIN of impossible length spends no try; any other wrong one spends exactly one.
    pub fn login(&self, pin: &Pin) -> Result<Unlocked, TokenError> {
        let _lock = self.lock()?;
        let mut state = self.load()?;
        let data_key = self.spend_try(&mut state, pin)?;
        Ok(Unlocked {
            token: self.clone(),
            login: state.login,
            keys: state.keys.into_iter().map(LoadedKey::new).collect(),
            data_key,
            spent: false,
        })
    }

    /// Changes the PIN; spends at most one try of the old one. The new PIN's form is looked at first.
    pub fn change_pin(&self, old: &Pin, new: &Pin) -> Result<(), TokenError> {
        check_new_pin(new)?;
        let _lock = self.lock()?;
        let mut state = self.load()?;
        let data_key = self.spend_try(&mut state, old)?;
        state.pin = PinRecord::new(new, &data_key, state.pin.max_tries)?;
        self.save(&state)
    }

    /// Stores the certificate of a key, as given.
    pub fn put_certificate(&self, key: &KeyId, der: &[u8]) -> Result<(), TokenError> {
        if der.len() > MAX_CERTIFICATE_BYTES {
            return Err(TokenError::Full("certificate"));
        }
        self.change(|state| {
            let record =
                state.keys.iter_mut().find(|k| k.id == *key).ok_or_else(|| DriverError::KeyAbsent { key: key.0.clone() })?;
            record.certificate = Some(Bytes(der.to_vec()));
            Ok(())
        })
    }

    /// Stores a seal, as given; one that is there already is not stored twice.
    pub fn put_seal(&self, der: &[u8]) -> Result<(), TokenError> {
        if der.len() > MAX_SEAL_BYTES {
            return Err(TokenError::Full("seal"));
        }
        self.change(|state| {
            if state.seals.iter().any(|seal| seal.0 == der) {
                return Ok(());
            }
            if state.seals.len() >= MAX_SEALS {
                return Err(TokenError::Full("seals"));
            }
            state.seals.push(Bytes(der.to_vec()));
            Ok(())
        })
    }

    /// Removes a seal; nothing happens when it is not there.
    pub fn remove_seal(&self, der: &[u8]) -> Result<(), TokenError> {
        self.change(|state| {
            state.seals.retain(|seal| seal.0 != der);
            Ok(())
        })
    }

    /// Pulls the token out of its socket: it is absent until [`Self::plug`].
    pub fn unplug(&self) -> Result<(), TokenError> {
        let path = self.path(UNPLUGGED_SUFFIX);
        open_private(&path).map(drop).map_err(|source| TokenError::Io { path, source })
    }

    /// Puts it back.
    pub fn plug(&self) -> Result<(), TokenError> {
        remove_file(self.path(UNPLUGGED_SUFFIX))
    }

    /// Destroys the token, its keys with it.
    pub fn remove(self) -> Result<(), TokenError> {
        for suffix in [TOKEN_SUFFIX, UNPLUGGED_SUFFIX, LOCK_SUFFIX] {
            remove_file(self.path(suffix))?;
        }
        Ok(())
    }

    /// Whether it is in its socket.
    pub fn is_plugged(&self) -> bool {
        self.path(TOKEN_SUFFIX).is_file() && !self.path(UNPLUGGED_SUFFIX).exists()
    }

    /// Takes a try away, on disk, then looks at the PIN; gives the tries back when it is right.
    fn spend_try(&self, state: &mut State, pin: &Pin) -> Result<Key, TokenError> {
        if state.pin.tries_left == 0 {
            return Err(DriverError::PinBlocked.into());
        }
        check_new_pin(pin)?;
        state.pin.tries_left -= 1;
        self.save(state)?;
        let Some(data_key) = state.pin.open(pin)? else {
            return Err(DriverError::PinIncorrect { tries_left: Some(state.pin.tries_left) }.into());
        };
        state.pin.tries_left = state.pin.max_tries;
        self.save(state)?;
        Ok(data_key)
    }

    fn change(&self, change: impl FnOnce(&mut State) -> Result<(), TokenError>) -> Result<(), TokenError> {
        let _lock = self.lock()?;
        let mut state = self.load()?;
        change(&mut state)?;
        self.save(&state)
    }

    fn path(&self, suffix: &str) -> PathBuf {
        self.folder.join(format!("{}{suffix}", self.id))
    }

    fn lock(&self) -> Result<File, TokenError> {
        let path = self.path(LOCK_SUFFIX);
        let lock = || {
            let file = open_private(&path)?;
            file.lock()?;
            Ok(file)
        };
        lock().map_err(|source| TokenError::Io { path: path.clone(), source })
    }

    fn load(&self) -> Result<State, TokenError> {
        if !self.is_plugged() {
            return Err(DriverError::TokenAbsent.into());
        }
        let path = self.path(TOKEN_SUFFIX);
        let bytes = match read_limited(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(DriverError::TokenAbsent.into()),
            Err(source) => return Err(TokenError::Io { path, source }),
        };
        let state: State =
            serde_json::from_slice(&bytes).map_err(|e| TokenError::Malformed { path: path.clone(), reason: e.to_string() })?;
        if state.version != FILE_VERSION {
            return Err(TokenError::Malformed { path, reason: format!("version {}", state.version) });
        }
        Ok(state)
    }

    fn save(&self, state: &State) -> Result<(), TokenError> {
        let path = self.path(TOKEN_SUFFIX);
        let bytes =
            serde_json::to_vec_pretty(state).map_err(|e| TokenError::Malformed { path: path.clone(), reason: e.to_string() })?;
        if bytes.len() as u64 > MAX_FILE_BYTES {
            return Err(TokenError::Full("file"));
        }
        replace_file(&path, &bytes).map_err(|source| TokenError::Io { path, source })
    }
}

/// A token that has seen the right PIN. Dropping it logs out.
pub struct Unlocked {
    token: Token,
    login: LoginPolicy,
    keys: Vec<LoadedKey>,
    data_key: Key,
    spent: bool,
}

impl Unlocked {
    /// Makes a key pair on the token; signing keys are named `sign-1`, `sign-2` …, others `enc-1` ….
    pub fn generate_key(&mut self, usage: KeyUsage) -> Result<(KeyId, Sm2PublicKey), TokenError> {
        let prefix = match usage {
            KeyUsage::Signing => "sign",
            KeyUsage::Encryption => "enc",
        };
        let (secret, public_key) = random_key_pair()?;
        let mut made = None;
        self.token.change(|state| {
            if state.keys.len() >= MAX_KEYS {
                return Err(TokenError::Full("keys"));
            }
            let number = 1 + state.keys.iter().filter(|k| k.usage == usage).count();
            let id = KeyId(format!("{prefix}-{number}"));
            let private_key = Wrapped::new(&self.data_key, &id.0, secret.as_slice())?;
            let record = KeyRecord { id, usage, public_key, private_key, certificate: None };
            state.keys.push(record.clone());
            made = Some(record);
            Ok(())
        })?;
        let record = made.ok_or(TokenError::Full("keys"))?;
        let id = record.id.clone();
        self.keys.push(LoadedKey::new(record));
        Ok((id, public_key))
    }

    /// Signs `e`. An encryption key does not sign ([`DriverError::KeyAbsent`]).
    pub fn sign(&mut self, key: &KeyId, e: &Sm2Digest) -> Result<Sm2Signature, TokenError> {
        let signing_key = self.signing_key(key)?;
        let signature: sm2::dsa::Signature =
            signing_key.sign_prehash(e.as_bytes()).map_err(|_| TokenError::KeyMaterial("no signature".into()))?;
        self.spent = self.login == LoginPolicy::PerSignature;
        let mut raw = [0; 64];
        raw.copy_from_slice(&signature.to_bytes());
        Ok(Sm2Signature::from_raw(&raw))
    }

    /// Signs a message under the default id: certification requests, and whatever else is made outside an agent.
    pub fn sign_message(&mut self, key: &KeyId, message: &[u8]) -> Result<Sm2Signature, TokenError> {
        let absent = || DriverError::KeyAbsent { key: key.0.clone() };
        let public_key = self.keys.iter().find(|k| k.record.id == *key).ok_or_else(absent)?.record.public_key;
        // The default id is 16 bytes long, so there is always a digest.
        let e = Sm2Digest::new(message, DEFAULT_ID, &public_key).ok_or_else(absent)?;
        self.sign(key, &e)
    }

    /// The private key itself, for faults that sign wrongly.
    pub(crate) fn signing_key(&self, key: &KeyId) -> Result<&SigningKey, TokenError> {
        if !self.token.is_plugged() {
            return Err(DriverError::TokenAbsent.into());
        }
        if self.spent {
            return Err(TokenError::LoginEnded);
        }
        let found = self.keys.iter().find(|k| k.record.id == *key && k.record.usage == KeyUsage::Signing);
        found.ok_or_else(|| DriverError::KeyAbsent { key: key.0.clone() })?.signing_key(&self.data_key)
    }
}

impl std::fmt::Debug for Unlocked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Unlocked").field("token", &self.token.id).finish_non_exhaustive()
    }
}

/// A key of a logged-in session; taken out of its wrap when it is first used.
struct LoadedKey {
    record: KeyRecord,
    signing_key: OnceLock<SigningKey>,
}

impl LoadedKey {
    fn new(record: KeyRecord) -> Self {
        Self { record, signing_key: OnceLock::new() }
    }

    fn signing_key(&self, data_key: &Key) -> Result<&SigningKey, TokenError> {
        if let Some(key) = self.signing_key.get() {
            return Ok(key);
        }
        let broken = || DriverError::protocol("virtual token", "the private key does not open");
        let secret = self.record.private_key.open(data_key, &self.record.id.0).ok_or_else(broken)?;
        let key = SigningKey::from_slice(DEFAULT_ID, &secret).map_err(|_| broken())?;
        Ok(self.signing_key.get_or_init(|| key))
    }
}

/// The token's file.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct State {
    version: u32,
    label: String,
    serial: String,
    login: LoginPolicy,
    pin: PinRecord,
    keys: Vec<KeyRecord>,
    seals: Vec<Bytes>,
}

#[derive(Clone, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct KeyRecord {
    id: KeyId,
    usage: KeyUsage,
    public_key: Sm2PublicKey,
    private_key: Wrapped,
    certificate: Option<Bytes>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PinRecord {
    salt: Bytes,
    data_key: Wrapped,
    tries_left: u32,
    max_tries: u32,
}

const DATA_KEY: &str = "data key";

impl PinRecord {
    fn new(pin: &Pin, data_key: &Key, max_tries: u32) -> Result<Self, TokenError> {
        let mut salt = [0; 16];
        getrandom::fill(&mut salt)?;
        let pin_key = key_from_pin(pin, &salt).map_err(|e| TokenError::KeyMaterial(e.to_string()))?;
        let data_key = Wrapped::new(&pin_key, DATA_KEY, data_key.as_slice())?;
        Ok(Self { salt: Bytes(salt.to_vec()), data_key, tries_left: max_tries, max_tries })
    }

    /// The data key when the PIN is right.
    fn open(&self, pin: &Pin) -> Result<Option<Key>, TokenError> {
        let pin_key = key_from_pin(pin, &self.salt.0).map_err(|e| TokenError::KeyMaterial(e.to_string()))?;
        Ok(self.data_key.open(&pin_key, DATA_KEY).and_then(|bytes| {
            let mut key = Key::default();
            (bytes.len() == key.len()).then(|| key.copy_from_slice(&bytes))?;
            Some(key)
        }))
    }
}

fn check_new_pin(pin: &Pin) -> Result<(), DriverError> {
    let len = pin.expose().len();
    if (MIN_PIN_BYTES..=MAX_PIN_BYTES).contains(&len) {
        return Ok(());
    }
    Err(DriverError::PinUnacceptable { reason: format!("{MIN_PIN_BYTES} to {MAX_PIN_BYTES} bytes are taken") })
}

fn random_key_pair() -> Result<(Key, Sm2PublicKey), TokenError> {
    loop {
        let secret = random_key()?;
        // Zero and values from n on are no private keys: 2^-32 of all draws.
        let Ok(key) = sm2::SecretKey::from_slice(secret.as_slice()) else { continue };
        if let Some(public_key) = Sm2PublicKey::from_sec1(&key.public_key().to_sec1_bytes()) {
            return Ok((secret, public_key));
        }
    }
}

fn is_id(id: &str) -> bool {
    (1..=64).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

fn make_folder(folder: &Path) -> Result<(), TokenError> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder).map_err(|source| TokenError::Io { path: folder.to_owned(), source })
}

/// Opens an empty marker file, made when it is not there, 0600.
fn open_private(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.create(true).append(true).open(path)
}

fn read_limited(path: &Path) -> io::Result<Vec<u8>> {
    use io::Read as _;
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE_BYTES { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok(bytes) }
}

/// Replaces the file whole: what is at `path` is the old bytes or the new ones, on disk, 0600.
pub(crate) fn replace_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new().prefix(".new-").tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    #[cfg(unix)] // on Windows a folder is no file that could be flushed
    File::open(folder)?.sync_all()?;
    Ok(())
}

fn remove_file(path: PathBuf) -> Result<(), TokenError> {
    match fs::remove_file(&path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => Err(TokenError::Io { path, source }),
        _ => Ok(()),
    }
}
