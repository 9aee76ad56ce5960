//! What an authority must not forget, in one SQLite file: counters, certificates, seals, their states, revocations.
//!
//! A number is used up on disk before anything carries it, so that a crash may skip one and never gives it twice. Every change is one
//! transaction, flushed before its call returns (WAL, `synchronous = FULL`): what the caller was told is there after a
//! power cut, and half a change never is. Several processes of one machine may use the file side by side. Time never runs
//! backwards here: a clock that was set back is refused, since lists and states are ordered by it.

use std::path::Path;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, OpenFlags, OptionalExtension as _, Transaction, TransactionBehavior, params};
use sealagent::pki::seal_status::{SealEntry, SealHistory, SealState, StateChange};
use sealagent::sm::Sm3Digest;

/// Version of the tables.
const VERSION: i64 = 2;
/// How long a process waits for another one's transaction.
const WAIT: Duration = Duration::from_secs(30);
/// How far the clock may step back unnoticed: time services correct by less.
const STEP: SignedDuration = SignedDuration::from_mins(2);

const TABLES: &str = "
    CREATE TABLE counter (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE text (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE certificate (serial TEXT PRIMARY KEY, der BLOB NOT NULL, issued INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE revocation (serial TEXT PRIMARY KEY, issuer TEXT NOT NULL, at INTEGER NOT NULL, reason INTEGER) WITHOUT ROWID;
    CREATE TABLE seal (es_id TEXT NOT NULL, sm3 BLOB NOT NULL, made INTEGER NOT NULL, PRIMARY KEY (es_id, sm3)) WITHOUT ROWID;
    CREATE TABLE change (es_id TEXT NOT NULL, at INTEGER NOT NULL, state INTEGER NOT NULL, number INTEGER NOT NULL,
        PRIMARY KEY (es_id, at)) WITHOUT ROWID;
    CREATE INDEX change_number ON change (number);
";

/// Why something is not stored or found.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The clock is behind what was stored last.
    #[error("the clock shows {now}, but something was recorded at {last}")]
    ClockSetBack {
        /// The last moment that was recorded.
        last: Timestamp,
        /// What the clock shows.
        now: Timestamp,
    },
    /// No room.
    #[error("the disk is full")]
    DiskFull,
    /// The file is damaged, or another program's.
    #[error("the store is not as this program writes it: {0}")]
    Malformed(String),
    /// The seal is in this state already, or was cancelled, which is for ever.
    #[error("the seal is {0:?} already")]
    NoSuchChange(SealState),
    /// SQLite cannot work.
    #[error("{0}")]
    Sqlite(rusqlite::Error),
    /// No seal has this code.
    #[error("this authority made no seal {0}")]
    UnknownSeal(String),
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DiskFull) => Self::DiskFull,
            Some(rusqlite::ErrorCode::NotADatabase | rusqlite::ErrorCode::DatabaseCorrupt) => Self::Malformed(error.to_string()),
            _ => Self::Sqlite(error),
        }
    }
}

/// What is counted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Counter {
    /// cRLNumber
    Crl,
    /// Sequence numbers of trust lists.
    List,
    /// Seal codes.
    Seal,
    /// Serial numbers.
    Serial,
    /// Numbers of seal status lists.
    Status,
    /// The number of the last full status list, and when it was made.
    StatusBase,
    /// When the last full status list was made.
    StatusBaseAt,
    /// Serial numbers of time stamps.
    TimeStamp,
    /// The latest moment that was recorded.
    LastTime,
}

impl Counter {
    fn name(self) -> &'static str {
        match self {
            Self::Crl => "crl",
            Self::List => "list",
            Self::Seal => "seal",
            Self::Serial => "serial",
            Self::Status => "status",
            Self::StatusBase => "statusBase",
            Self::StatusBaseAt => "statusBaseAt",
            Self::TimeStamp => "timeStamp",
            Self::LastTime => "lastTime",
        }
    }
}

/// A certificate that was taken back.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Revocation {
    /// Serial number, hexadecimal.
    pub serial: String,
    /// Who issued it.
    pub issuer: String,
    /// From when on.
    pub at: Timestamp,
    /// CRLReason.
    pub reason: Option<u8>,
}

/// An open store.
pub struct Store {
    connection: Connection,
}

impl Store {
    /// Makes an empty store in a new file.
    pub fn create(path: &Path) -> Result<Self, StoreError> {
        let store = Self::connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE)?;
        store.connection.execute_batch(TABLES)?;
        store.connection.pragma_update(None, "user_version", VERSION)?;
        Ok(store)
    }

    /// Opens a store that is there.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let store = Self::connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        let version: i64 = store.connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
        if version == VERSION { Ok(store) } else { Err(StoreError::Malformed(format!("version {version}"))) }
    }

    fn connect(path: &Path, flags: OpenFlags) -> Result<Self, StoreError> {
        let connection = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
        connection.busy_timeout(WAIT)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        Ok(Self { connection })
    }

    fn transaction<T>(&self, work: impl FnOnce(&Transaction<'_>) -> Result<T, StoreError>) -> Result<T, StoreError> {
        // Immediate: two processes never both read a counter before one writes it.
        let transaction = Transaction::new_unchecked(&self.connection, TransactionBehavior::Immediate)?;
        let done = work(&transaction)?;
        transaction.commit()?;
        Ok(done)
    }

    /// Uses up `count` numbers and gives the first.
    pub fn take_numbers(&self, counter: Counter, count: u64) -> Result<u64, StoreError> {
        self.transaction(|tx| {
            let before = value(tx, counter)?;
            set(tx, counter, before + count as i64)?;
            Ok(before as u64 + 1)
        })
    }

    /// Uses up the next number.
    pub fn take_number(&self, counter: Counter) -> Result<u64, StoreError> {
        self.take_numbers(counter, 1)
    }

    /// The last number that was used up, or what was set.
    pub fn counter(&self, counter: Counter) -> Result<u64, StoreError> {
        Ok(value(&self.connection, counter)? as u64)
    }

    /// Sets a number that is no count.
    pub fn set_counter(&self, counter: Counter, value: u64) -> Result<(), StoreError> {
        self.transaction(|tx| set(tx, counter, value as i64))
    }

    /// Refuses a clock that is behind what was recorded, and records `now`.
    pub fn check_clock(&self, now: Timestamp) -> Result<(), StoreError> {
        self.transaction(|tx| check_clock(tx, now))
    }

    /// Sets a text.
    pub fn set_text(&self, name: &str, value: &str) -> Result<(), StoreError> {
        self.connection.execute("INSERT OR REPLACE INTO text VALUES (?1, ?2)", params![name, value])?;
        Ok(())
    }

    /// A text; empty when it was never set.
    pub fn text(&self, name: &str) -> Result<String, StoreError> {
        let found = self.connection.query_row("SELECT value FROM text WHERE name = ?1", [name], |row| row.get(0)).optional()?;
        Ok(found.unwrap_or_default())
    }

    /// Keeps a certificate.
    pub fn add_certificate(&self, serial: &str, der: &[u8], now: Timestamp) -> Result<(), StoreError> {
        self.transaction(|tx| {
            check_clock(tx, now)?;
            tx.execute("INSERT INTO certificate VALUES (?1, ?2, ?3)", params![serial, der, now.as_second()])?;
            Ok(())
        })
    }

    /// A certificate that was issued.
    pub fn certificate(&self, serial: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let query = "SELECT der FROM certificate WHERE serial = ?1";
        Ok(self.connection.query_row(query, [serial], |row| row.get(0)).optional()?)
    }

    /// Records a revocation; `false` when there was one already.
    pub fn revoke(&self, revocation: &Revocation) -> Result<bool, StoreError> {
        self.transaction(|tx| {
            check_clock(tx, revocation.at)?;
            let values = params![revocation.serial, revocation.issuer, revocation.at.as_second(), revocation.reason];
            Ok(tx.execute("INSERT OR IGNORE INTO revocation VALUES (?1, ?2, ?3, ?4)", values)? == 1)
        })
    }

    /// All revocations, or that of one certificate.
    pub fn revocations(&self, serial: Option<&str>) -> Result<Vec<Revocation>, StoreError> {
        let mut query = self.connection.prepare_cached(
            "SELECT serial, issuer, at, reason FROM revocation WHERE ?1 IS NULL OR serial = ?1 ORDER BY serial",
        )?;
        let rows = query.query_map([serial], |row| {
            let at: i64 = row.get(2)?;
            Ok(Revocation { serial: row.get(0)?, issuer: row.get(1)?, at: moment(at), reason: row.get(3)? })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Records seals that are about to be handed out, all or none. Their createDate is whoever's who ordered them, so it is not held
    /// against the clock.
    pub fn add_seals(&self, seals: &[(String, Sm3Digest)], created: Timestamp) -> Result<(), StoreError> {
        self.transaction(|tx| {
            let mut insert = tx.prepare_cached("INSERT OR IGNORE INTO seal VALUES (?1, ?2, ?3)")?;
            for (es_id, sm3) in seals {
                insert.execute(params![es_id, &sm3.0[..], created.as_second()])?;
            }
            Ok(())
        })
    }

    /// Whether a seal, or this edition of it, was made here.
    pub fn knows_seal(&self, es_id: &str, sm3: Option<&Sm3Digest>) -> Result<bool, StoreError> {
        let query = "SELECT 1 FROM seal WHERE es_id = ?1 AND (?2 IS NULL OR sm3 = ?2) LIMIT 1";
        let digest = sm3.map(|digest| &digest.0[..]);
        Ok(self.connection.query_row(query, params![es_id, digest], |_| Ok(())).optional()?.is_some())
    }

    /// How many seals were made.
    pub fn seal_count(&self) -> Result<u64, StoreError> {
        let count: i64 = self.connection.query_row("SELECT count(*) FROM seal", [], |row| row.get(0))?;
        Ok(count as u64)
    }

    /// Changes the state of a seal from `at` on. It belongs into the next status list.
    pub fn change_seal(&self, es_id: &str, state: SealState, at: Timestamp) -> Result<(), StoreError> {
        self.transaction(|tx| {
            check_clock(tx, at)?;
            let made = "SELECT 1 FROM seal WHERE es_id = ?1 LIMIT 1";
            if tx.query_row(made, [es_id], |_| Ok(())).optional()?.is_none() {
                return Err(StoreError::UnknownSeal(es_id.to_owned()));
            }
            let last = history(tx, es_id)?.last();
            let is_in = last.map_or(SealState::Valid, |change| change.state);
            if is_in == state || is_in == SealState::Cancelled {
                return Err(StoreError::NoSuchChange(is_in));
            }
            // Within one second of the last change it counts from the next second: a history ascends.
            let at = last.map_or(at.as_second(), |last| at.as_second().max(last.at.as_second() + 1));
            let number = value(tx, Counter::Status)? + 1;
            tx.execute("INSERT INTO change VALUES (?1, ?2, ?3, ?4)", params![es_id, at, number_of(state), number])?;
            Ok(())
        })
    }

    /// The changes of one seal.
    pub fn history(&self, es_id: &str) -> Result<SealHistory, StoreError> {
        history(&self.connection, es_id)
    }

    /// Every seal that changed in or after status list `since`, with its whole history; 0 for all that ever changed.
    pub fn changed_seals(&self, since: u64) -> Result<Vec<SealEntry>, StoreError> {
        let query = "SELECT es_id, at, state FROM change
            WHERE ?1 = 0 OR es_id IN (SELECT es_id FROM change WHERE number > ?1) ORDER BY es_id, at";
        let mut query = self.connection.prepare_cached(query)?;
        let mut rows = query.query([since as i64])?;
        let mut all: Vec<(String, Vec<StateChange>)> = Vec::new();
        while let Some(row) = rows.next()? {
            let es_id: String = row.get(0)?;
            let change = StateChange { at: moment(row.get(1)?), state: state_of(row.get(2)?) };
            match all.last_mut() {
                Some((last, changes)) if *last == es_id => changes.push(change),
                _ => all.push((es_id, vec![change])),
            }
        }
        let entry = |(es_id, changes)| {
            let history = SealHistory::new(changes).ok_or_else(|| StoreError::Malformed("changes out of order".to_owned()))?;
            Ok(SealEntry { es_id, seal_sm3: None, history })
        };
        all.into_iter().map(entry).collect()
    }

    /// Sets the most pages of the file, to show what happens on a full disk.
    pub fn limit_pages(&self, pages: u32) -> Result<(), StoreError> {
        self.connection.pragma_update(None, "max_page_count", pages)?;
        Ok(())
    }
}

fn check_clock(connection: &Connection, now: Timestamp) -> Result<(), StoreError> {
    let last = value(connection, Counter::LastTime)?;
    if now + STEP < moment(last) {
        return Err(StoreError::ClockSetBack { last: moment(last), now });
    }
    if now.as_second() > last { set(connection, Counter::LastTime, now.as_second()) } else { Ok(()) }
}

fn value(connection: &Connection, counter: Counter) -> Result<i64, StoreError> {
    let query = "SELECT value FROM counter WHERE name = ?1";
    Ok(connection.query_row(query, [counter.name()], |row| row.get(0)).optional()?.unwrap_or(0))
}

fn set(connection: &Connection, counter: Counter, value: i64) -> Result<(), StoreError> {
    connection.execute("INSERT OR REPLACE INTO counter VALUES (?1, ?2)", params![counter.name(), value])?;
    Ok(())
}

fn history(connection: &Connection, es_id: &str) -> Result<SealHistory, StoreError> {
    let mut query = connection.prepare_cached("SELECT at, state FROM change WHERE es_id = ?1 ORDER BY at")?;
    let rows = query.query_map([es_id], |row| Ok(StateChange { at: moment(row.get(0)?), state: state_of(row.get(1)?) }))?;
    let changes = rows.collect::<Result<Vec<_>, _>>()?;
    SealHistory::new(changes).ok_or_else(|| StoreError::Malformed("changes out of order".to_owned()))
}

/// Seconds since 1970, as they were stored.
fn moment(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap_or(Timestamp::UNIX_EPOCH)
}

fn number_of(state: SealState) -> i64 {
    match state {
        SealState::Valid => 0,
        SealState::Suspended => 1,
        SealState::Cancelled => 2,
    }
}

/// A state that nobody wrote counts as the worst: a damaged row makes no seal valid.
fn state_of(number: i64) -> SealState {
    match number {
        0 => SealState::Valid,
        1 => SealState::Suspended,
        _ => SealState::Cancelled,
    }
}
