//! What an authority must not forget: counters, certificates, seals, their states, revocations. In one SQLite file of its folder, or in a
//! PostgreSQL database.
//!
//! A number is used up on disk before anything carries it, so that a crash may skip one and never gives it twice. Every change is one
//! transaction, on disk before its call returns: what the caller was told is there after a power cut, and half a change never is. Several
//! processes may work on one store. Time never runs backwards here: a clock that was set back is refused, since lists
//! and states are ordered by it.
//!
//! The statements below are the same for both databases; what differs between them is behind [`sql::Sql`].

mod address;
mod postgres;
mod sql;
mod sqlite;

use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use sealagent::files;
use sealagent::pki::seal_status::{SealEntry, SealHistory, SealState, StateChange};
use sealagent::sm::Sm3Digest;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use self::postgres::Postgres;
use self::sql::{Row, Sql, Value};
use self::sqlite::Sqlite;

pub use self::address::{Address, AddressError};

/// Version of the tables.
const VERSION: i64 = 2;
/// How far the clock may step back unnoticed: time services correct by less.
const STEP: SignedDuration = SignedDuration::from_mins(2);
/// Seals that one statement records: fewer round trips to a server, and few enough values for both databases.
const SEALS_AT_ONCE: usize = 100;
/// Names the database of an authority whose records are not in its folder.
const DATABASE_FILE: &str = "database.json";
/// The records of any other authority.
const SQLITE_FILE: &str = "store.sqlite";
/// Largest [`DATABASE_FILE`], in bytes.
const MAX_DATABASE_FILE: u64 = 16 << 10;

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
    /// The connection string.
    #[error("the database's address: {0}")]
    Address(#[from] AddressError),
    /// Another process holds what is needed, and did not let go of it in time.
    #[error("another process is using the records")]
    Busy,
    /// The clock is behind what was stored last.
    #[error("the clock shows {now}, but something was recorded at {last}")]
    ClockSetBack {
        /// The last moment that was recorded.
        last: Timestamp,
        /// What the clock shows.
        now: Timestamp,
    },
    /// Other processes were in the way, again and again. Nothing was changed.
    #[error("other processes changed the same records at the same moment")]
    Conflict,
    /// No room.
    #[error("the disk is full")]
    DiskFull,
    /// There is an authority in the database.
    #[error("the database holds an authority's records")]
    Exists,
    /// The connection broke while a change was being recorded, and the server could not be asked what became of it.
    #[error("the connection broke, and whether the change was recorded is unknown")]
    InDoubt,
    /// A file of the folder cannot be read or written.
    #[error("{file}: {source}")]
    Io {
        /// Which.
        file: &'static str,
        /// Why.
        source: std::io::Error,
    },
    /// The store is damaged, or another program's.
    #[error("the store is not as this program writes it: {0}")]
    Malformed(String),
    /// There is no authority in the database.
    #[error("the database holds no authority's records")]
    Missing,
    /// Another version of this program made it.
    #[error("the records have version {found}, and this program knows {VERSION}")]
    Newer {
        /// The version of the tables.
        found: i64,
    },
    /// The seal is in this state already, or was cancelled, which is for ever.
    #[error("the seal is {0:?} already")]
    NoSuchChange(SealState),
    /// The database asks for a password, and none was found.
    #[error("{host} asks for the password of {user}")]
    PasswordNeeded {
        /// Whose.
        user: String,
        /// The server.
        host: String,
    },
    /// PostgreSQL refuses.
    #[error("{message} ({code})")]
    Postgres {
        /// SQLSTATE.
        code: String,
        /// In the server's words.
        message: String,
    },
    /// SQLite cannot work.
    #[error("{0}")]
    Sqlite(rusqlite::Error),
    /// No seal has this code.
    #[error("this authority made no seal {0}")]
    UnknownSeal(String),
    /// The server's certificate does not prove its name. It was told nothing.
    #[error("{0}")]
    Unproven(String),
    /// The server cannot be reached, or broke the connection.
    #[error("{0}")]
    Unreachable(String),
    /// The server is set up so that records could be lost or altered.
    #[error("{0}")]
    Unsuitable(String),
}

fn of_database_file(source: std::io::Error) -> StoreError {
    StoreError::Io { file: DATABASE_FILE, source }
}

fn check_version(found: i64) -> Result<(), StoreError> {
    match found {
        VERSION => Ok(()),
        _ if found > VERSION => Err(StoreError::Newer { found }),
        _ => Err(StoreError::Malformed(format!("version {found}"))),
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
    /// Serial numbers of time stamps.
    TimeStamp,
    /// The latest moment that was recorded.
    LastTime,
}

impl Counter {
    /// All of them.
    const ALL: [Self; 7] = [Self::Crl, Self::List, Self::Seal, Self::Serial, Self::Status, Self::TimeStamp, Self::LastTime];

    fn name(self) -> &'static str {
        match self {
            Self::Crl => "crl",
            Self::List => "list",
            Self::Seal => "seal",
            Self::Serial => "serial",
            Self::Status => "status",
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

/// A database that takes an authority's records instead of a file in its folder.
#[derive(Clone)]
pub struct Database {
    /// Where it is.
    pub address: Address,
    /// The password that a person typed for this run; it is written nowhere.
    pub password: Option<Zeroizing<String>>,
}

/// [`DATABASE_FILE`]
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct DatabaseFile {
    database: String,
    /// Whether `sslmode=disable` was allowed for another machine.
    #[serde(default)]
    plaintext: bool,
}

/// An open store.
pub struct Store(Backend);

enum Backend {
    Postgres(Box<Postgres>),
    Sqlite(Sqlite),
}

impl Store {
    /// Makes an empty store for the authority in `folder`: in a new file, or in a database that the folder names from now on.
    pub fn create(folder: &Path, database: Option<&Database>) -> Result<Self, StoreError> {
        let Some(Database { address, password }) = database else {
            return Ok(Self(Backend::Sqlite(Sqlite::create(&folder.join(SQLITE_FILE))?)));
        };
        let file = DatabaseFile { database: address.text().to_owned(), plaintext: address.plaintext() };
        let text = serde_json::to_string_pretty(&file).map_err(|error| StoreError::Malformed(error.to_string()))? + "\n";
        files::write_whole(&folder.join(DATABASE_FILE), text.as_bytes()).map_err(of_database_file)?;
        Ok(Self(Backend::Postgres(Box::new(Postgres::create(address.clone(), password.clone())?))))
    }

    /// Whether `folder` has, or names, a store.
    pub fn is_in(folder: &Path) -> bool {
        [SQLITE_FILE, DATABASE_FILE].iter().any(|file| folder.join(file).is_file())
    }

    /// Opens the store of the authority in `folder`. `password` is for a database that asks for one, when the user's password file has none.
    pub fn open(folder: &Path, password: Option<Zeroizing<String>>) -> Result<Self, StoreError> {
        let path = folder.join(DATABASE_FILE);
        if !path.is_file() {
            return Ok(Self(Backend::Sqlite(Sqlite::open(&folder.join(SQLITE_FILE))?)));
        }
        let text = files::read_bounded(&path, MAX_DATABASE_FILE).map_err(of_database_file)?;
        let file: DatabaseFile =
            serde_json::from_slice(&text).map_err(|error| StoreError::Malformed(format!("{DATABASE_FILE}: {error}")))?;
        let store = Postgres::open(Address::parse(&file.database, file.plaintext)?, password)?;
        Ok(Self(Backend::Postgres(Box::new(store))))
    }

    /// Takes back what [`Self::create`] made in a database. A file goes with its folder.
    pub fn remove(self) -> Result<(), StoreError> {
        match self.0 {
            Backend::Postgres(store) => store.remove(),
            Backend::Sqlite(_) => Ok(()),
        }
    }

    fn transaction<T>(&self, mut work: impl FnMut(&mut dyn Sql) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let mut done = None;
        let work = &mut |sql: &mut dyn Sql| {
            done = Some(work(sql)?);
            Ok(())
        };
        match &self.0 {
            Backend::Postgres(store) => store.transaction(work),
            Backend::Sqlite(store) => store.transaction(work),
        }?;
        done.ok_or_else(|| StoreError::Malformed("a transaction without an end".to_owned()))
    }

    /// Reads by one query.
    fn query(&self, statement: &str, values: &[Value<'_>]) -> Result<Vec<Row>, StoreError> {
        let mut rows = Vec::new();
        let work = &mut |sql: &mut dyn Sql| {
            rows = sql.query(statement, values)?;
            Ok(())
        };
        match &self.0 {
            Backend::Postgres(store) => store.read(work),
            Backend::Sqlite(store) => store.read(work),
        }?;
        Ok(rows)
    }

    fn first(&self, statement: &str, values: &[Value<'_>]) -> Result<Option<Row>, StoreError> {
        Ok(self.query(statement, values)?.into_iter().next())
    }

    /// Uses up `count` numbers and gives the first.
    pub fn take_numbers(&self, counter: Counter, count: u64) -> Result<u64, StoreError> {
        self.transaction(|sql| take(sql, counter, count))
    }

    /// Uses up the next number.
    pub fn take_number(&self, counter: Counter) -> Result<u64, StoreError> {
        self.take_numbers(counter, 1)
    }

    /// The last number that was used up.
    pub fn counter(&self, counter: Counter) -> Result<u64, StoreError> {
        let row = self.first("SELECT value FROM counter WHERE name = $1", &[Value::Text(counter.name())])?;
        Ok(row.map_or(Ok(0), |row| row.integer(0))? as u64)
    }

    /// Refuses a clock that is behind what was recorded, and records `now`.
    pub fn check_clock(&self, now: Timestamp) -> Result<(), StoreError> {
        self.transaction(|sql| check_clock(sql, now))
    }

    /// Sets a text.
    pub fn set_text(&self, name: &str, value: &str) -> Result<(), StoreError> {
        let statement = "INSERT INTO text VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value";
        self.transaction(|sql| sql.execute(statement, &[Value::Text(name), Value::Text(value)]))?;
        Ok(())
    }

    /// Sets a text that was never set; `false` when it was.
    pub fn set_text_once(&self, name: &str, value: &str) -> Result<bool, StoreError> {
        let statement = "INSERT INTO text VALUES ($1, $2) ON CONFLICT (name) DO NOTHING";
        self.transaction(|sql| Ok(sql.execute(statement, &[Value::Text(name), Value::Text(value)])? == 1))
    }

    /// A text; empty when it was never set.
    pub fn text(&self, name: &str) -> Result<String, StoreError> {
        let found = self.first("SELECT value FROM text WHERE name = $1", &[Value::Text(name)])?;
        found.map_or(Ok(String::new()), |row| Ok(row.text(0)?.to_owned()))
    }

    /// Keeps a certificate. A serial number that was used is refused.
    pub fn add_certificate(&self, serial: &str, der: &[u8], now: Timestamp) -> Result<(), StoreError> {
        let values = [Value::Text(serial), Value::Bytes(der), Value::Integer(now.as_second())];
        self.transaction(|sql| {
            check_clock(sql, now)?;
            sql.execute("INSERT INTO certificate VALUES ($1, $2, $3)", &values)
        })?;
        Ok(())
    }

    /// A certificate that was issued.
    pub fn certificate(&self, serial: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let row = self.first("SELECT der FROM certificate WHERE serial = $1", &[Value::Text(serial)])?;
        row.map(|row| Ok(row.bytes(0)?.to_vec())).transpose()
    }

    /// Records a revocation; `false` when there was one already.
    pub fn revoke(&self, revocation: &Revocation) -> Result<bool, StoreError> {
        let Revocation { serial, issuer, at, reason } = revocation;
        let reason = reason.map_or(Value::NoInteger, |reason| Value::Integer(i64::from(reason)));
        let values = [Value::Text(serial), Value::Text(issuer), Value::Integer(at.as_second()), reason];
        self.transaction(|sql| {
            check_clock(sql, *at)?;
            Ok(sql.execute("INSERT INTO revocation VALUES ($1, $2, $3, $4) ON CONFLICT (serial) DO NOTHING", &values)? == 1)
        })
    }

    /// All revocations, or that of one certificate.
    pub fn revocations(&self, serial: Option<&str>) -> Result<Vec<Revocation>, StoreError> {
        let rows = match serial {
            Some(serial) => {
                self.query("SELECT serial, issuer, at, reason FROM revocation WHERE serial = $1", &[Value::Text(serial)])
            }
            None => self.query(REVOCATIONS, &[]),
        }?;
        rows.iter().map(revocation).collect()
    }

    /// Uses up the next cRLNumber, and gives all revocations that a list with it has. A list with a higher number has these, too: the
    /// counter is held until they are read.
    pub fn take_crl_number(&self) -> Result<(u64, Vec<Revocation>), StoreError> {
        self.transaction(|sql| {
            let number = take(sql, Counter::Crl, 1)?;
            let rows = sql.query(REVOCATIONS, &[])?;
            Ok((number, rows.iter().map(revocation).collect::<Result<_, _>>()?))
        })
    }

    /// Records seals that are about to be handed out, all or none. Their createDate is whoever's who ordered them, so it is not held
    /// against the clock.
    pub fn add_seals(&self, seals: &[(String, Sm3Digest)], created: Timestamp) -> Result<(), StoreError> {
        self.transaction(|sql| {
            for seals in seals.chunks(SEALS_AT_ONCE) {
                let rows: Vec<String> = (1..=seals.len()).map(|n| format!("(${}, ${}, $1)", 2 * n, 2 * n + 1)).collect();
                let mut values = vec![Value::Integer(created.as_second())];
                values.extend(seals.iter().flat_map(|(es_id, sm3)| [Value::Text(es_id), Value::Bytes(&sm3.0)]));
                let statement = format!("INSERT INTO seal VALUES {} ON CONFLICT (es_id, sm3) DO NOTHING", rows.join(", "));
                sql.execute(&statement, &values)?;
            }
            Ok(())
        })
    }

    /// Whether a seal, or this edition of it, was made here.
    pub fn knows_seal(&self, es_id: &str, sm3: Option<&Sm3Digest>) -> Result<bool, StoreError> {
        let found = match sm3 {
            None => self.first("SELECT es_id FROM seal WHERE es_id = $1 LIMIT 1", &[Value::Text(es_id)]),
            Some(sm3) => {
                let values = [Value::Text(es_id), Value::Bytes(&sm3.0)];
                self.first("SELECT es_id FROM seal WHERE es_id = $1 AND sm3 = $2", &values)
            }
        }?;
        Ok(found.is_some())
    }

    /// How many seals were made.
    pub fn seal_count(&self) -> Result<u64, StoreError> {
        let row = self.first("SELECT count(*) FROM seal", &[])?;
        Ok(row.map_or(Ok(0), |row| row.integer(0))? as u64)
    }

    /// Changes the state of a seal from `at` on. It belongs into the next status list.
    pub fn change_seal(&self, es_id: &str, state: SealState, at: Timestamp) -> Result<(), StoreError> {
        self.transaction(|sql| {
            check_clock(sql, at)?;
            // Held until the change is on disk: no list takes this number without the change, and no other change of the seal comes between.
            let number = locked(sql, Counter::Status)? + 1;
            if sql.first("SELECT es_id FROM seal WHERE es_id = $1 LIMIT 1", &[Value::Text(es_id)])?.is_none() {
                return Err(StoreError::UnknownSeal(es_id.to_owned()));
            }
            let last = history(&sql.query(HISTORY, &[Value::Text(es_id)])?)?.last();
            let is_in = last.map_or(SealState::Valid, |change| change.state);
            if is_in == state || is_in == SealState::Cancelled {
                return Err(StoreError::NoSuchChange(is_in));
            }
            // Within one second of the last change it counts from the next second: a history ascends.
            let at = last.map_or(at.as_second(), |last| at.as_second().max(last.at.as_second() + 1));
            let values = [Value::Text(es_id), Value::Integer(at), Value::Integer(number_of(state)), Value::Integer(number)];
            sql.execute("INSERT INTO change VALUES ($1, $2, $3, $4)", &values)
        })?;
        Ok(())
    }

    /// The changes of one seal.
    pub fn history(&self, es_id: &str) -> Result<SealHistory, StoreError> {
        history(&self.query(HISTORY, &[Value::Text(es_id)])?)
    }

    /// Every seal that changed in or after status list `since`, with its whole history; 0 for all that ever changed.
    pub fn changed_seals(&self, since: u64) -> Result<Vec<SealEntry>, StoreError> {
        let rows = match since {
            0 => self.query("SELECT at, state, es_id FROM change ORDER BY es_id, at", &[]),
            _ => {
                let statement = "SELECT at, state, es_id FROM change
                    WHERE es_id IN (SELECT es_id FROM change WHERE number > $1) ORDER BY es_id, at";
                self.query(statement, &[Value::Integer(since as i64)])
            }
        }?;
        let same_seal = |a: &Row, b: &Row| matches!((a.text(2), b.text(2)), (Ok(a), Ok(b)) if a == b);
        let entry = |rows: &[Row]| {
            let es_id = rows.first().map_or(Ok(""), |row| row.text(2))?.to_owned();
            Ok(SealEntry { es_id, seal_sm3: None, history: history(rows)? })
        };
        rows.chunk_by(same_seal).map(entry).collect()
    }

    /// Sets the most pages of a file, to show what happens on a full disk.
    pub fn limit_pages(&self, pages: u32) -> Result<(), StoreError> {
        match &self.0 {
            Backend::Postgres(_) => Err(StoreError::Unsuitable("it is no file".to_owned())),
            Backend::Sqlite(store) => store.limit_pages(pages),
        }
    }
}

const REVOCATIONS: &str = "SELECT serial, issuer, at, reason FROM revocation ORDER BY serial";
const HISTORY: &str = "SELECT at, state FROM change WHERE es_id = $1 ORDER BY at";

fn check_clock(sql: &mut dyn Sql, now: Timestamp) -> Result<(), StoreError> {
    let name = Value::Text(Counter::LastTime.name());
    let last = sql.first("SELECT value FROM counter WHERE name = $1", &[name])?.map_or(Ok(0), |row| row.integer(0))?;
    if now + STEP < moment(last) {
        return Err(StoreError::ClockSetBack { last: moment(last), now });
    }
    if now.as_second() > last {
        let statement = "INSERT INTO counter VALUES ($1, $2)
            ON CONFLICT (name) DO UPDATE SET value = excluded.value WHERE counter.value < excluded.value";
        sql.execute(statement, &[name, Value::Integer(now.as_second())])?;
    }
    Ok(())
}

/// Uses up `count` numbers and gives the first.
fn take(sql: &mut dyn Sql, counter: Counter, count: u64) -> Result<u64, StoreError> {
    let statement = "INSERT INTO counter VALUES ($1, $2)
        ON CONFLICT (name) DO UPDATE SET value = counter.value + excluded.value RETURNING value";
    let row = sql.first(statement, &[Value::Text(counter.name()), Value::Integer(count as i64)])?;
    let last = row.ok_or_else(|| StoreError::Malformed(format!("counter {}", counter.name())))?.integer(0)?;
    Ok((last as u64).saturating_sub(count) + 1)
}

/// A counter that nobody else changes until this transaction ends.
fn locked(sql: &mut dyn Sql, counter: Counter) -> Result<i64, StoreError> {
    let statement = format!("SELECT value FROM counter WHERE name = $1{}", sql.for_update());
    sql.first(&statement, &[Value::Text(counter.name())])?.map_or(Ok(0), |row| row.integer(0))
}

/// A row of [`REVOCATIONS`].
fn revocation(row: &Row) -> Result<Revocation, StoreError> {
    let reason = row.optional_integer(3)?.and_then(|reason| u8::try_from(reason).ok());
    let (serial, issuer) = (row.text(0)?.to_owned(), row.text(1)?.to_owned());
    Ok(Revocation { serial, issuer, at: moment(row.integer(2)?), reason })
}

/// The changes in rows that begin with time and state.
fn history(rows: &[Row]) -> Result<SealHistory, StoreError> {
    let change = |row: &Row| Ok(StateChange { at: moment(row.integer(0)?), state: state_of(row.integer(1)?) });
    let changes = rows.iter().map(change).collect::<Result<Vec<_>, StoreError>>()?;
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
