//! The records in a PostgreSQL database: for a region that outgrows one machine. Several processes of several machines work on it.
//!
//! They keep out of one another's way by row locks: a counter is a row, and whoever changes it holds it until its transaction
//! is on disk. PostgreSQL's own sequences give a number before that, so after a crash they may give it again.
//!
//! A connection that breaks is made anew, and what was in work is done again from its beginning, since an unfinished transaction
//! leaves nothing. One that broke while its COMMIT was on the way may have counted: each transaction leaves its mark in the records,
//! and then the mark is looked for, so that nothing is done twice and nothing that was done is reported as failed. The server's own
//! answer (`pg_xact_status`) would not do: after a crash, and on a standby that took over without having seen the transaction, its
//! number is given once more, and the answer is about another one.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::time::{Duration, Instant};

use postgres::error::{DbError, Severity, SqlState};
use postgres::types::{ToSql, Type};
use postgres::{Client, NoTls, Statement};
use tokio_postgres_rustls::MakeRustlsConnect;
use zeroize::Zeroizing;

use super::address::{Address, said};
use super::sql::{self, Row, Sql, Value, Work};
use super::{Counter, StoreError, TABLES, VERSION, check_version};

/// How long a connection may take to come about, where the address does not say.
const CONNECT: Duration = Duration::from_secs(10);
/// How long the other side may be silent while something is on the way: then the connection counts as broken.
const SILENCE: Duration = Duration::from_secs(30);
/// Pauses between attempts after a broken connection: a server that is restarted comes back meanwhile.
const PAUSES: [Duration; 5] = [
    Duration::ZERO,
    Duration::from_millis(200),
    Duration::from_millis(600),
    Duration::from_millis(1500),
    Duration::from_millis(3000),
];
/// How long the fate of a transaction is asked for. Longer than the thirty seconds after which the server drops what was left lying.
const DOUBT: Duration = Duration::from_secs(40);
/// Oldest server that is tried.
const OLDEST: i64 = 130_000;
/// The schema that the tables stand in. One database holds one authority.
const SCHEMA: &str = "sealauthority";

/// Said once to each new connection. `synchronous_commit` is never weakened: a stronger setting of the server stays.
const SESSION: &str = "
    SET lock_timeout = '30s';
    SET idle_in_transaction_session_timeout = '30s';
    SET search_path = sealauthority;
    SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off';
";

/// An address, and the connection to it while there is one.
pub struct Postgres {
    address: Address,
    /// Typed by a person, for this run.
    password: Option<Zeroizing<String>>,
    session: RefCell<Option<Session>>,
    /// Nobody else has this number.
    mark: i64,
    /// How many transactions were begun.
    begun: Cell<u64>,
}

impl Postgres {
    fn new(address: Address, password: Option<Zeroizing<String>>) -> Result<Self, StoreError> {
        let mut mark = [0; 8];
        getrandom::fill(&mut mark).map_err(|error| StoreError::Unsuitable(error.to_string()))?;
        Ok(Self { address, password, session: RefCell::new(None), mark: i64::from_ne_bytes(mark), begun: Cell::new(0) })
    }

    /// Makes the tables of a new authority.
    pub fn create(address: Address, password: Option<Zeroizing<String>>) -> Result<Self, StoreError> {
        let store = Self::new(address, password)?;
        let mut rows: Vec<String> = Counter::ALL.iter().map(|counter| format!("('{}', 0)", counter.name())).collect();
        rows.push(format!("('version', {VERSION})"));
        let statements = format!("CREATE SCHEMA {SCHEMA}; {}; INSERT INTO counter VALUES {}", tables(), rows.join(", "));
        store.within(|session| {
            session.transaction(store.next_mark(), &mut |session| match session.client.batch_execute(&statements) {
                Ok(()) => Ok(()),
                Err(error) => Err(match error.code() {
                    // Another one that is made at the same moment shows as a name that is there twice.
                    Some(&SqlState::DUPLICATE_SCHEMA | &SqlState::UNIQUE_VIOLATION) => StoreError::Exists,
                    _ => session.failed(error),
                }),
            })
        })?;
        Ok(store)
    }

    /// Opens the records that are there.
    pub fn open(address: Address, password: Option<Zeroizing<String>>) -> Result<Self, StoreError> {
        let store = Self::new(address, password)?;
        let mut version = None;
        store.read(&mut |sql| {
            let there = "SELECT CAST(count(*) AS BIGINT) FROM pg_namespace WHERE nspname = $1";
            if sql.first(there, &[Value::Text(SCHEMA)])?.is_none_or(|row| row.integer(0).is_ok_and(|count| count == 0)) {
                return Err(StoreError::Missing);
            }
            version = sql.first("SELECT value FROM counter WHERE name = 'version'", &[])?;
            Ok(())
        })?;
        check_version(version.map_or(Ok(0), |row| row.integer(0))?)?;
        Ok(store)
    }

    /// Takes back what [`Self::create`] made, when the authority did not come about.
    pub fn remove(self) -> Result<(), StoreError> {
        self.within(|session| {
            let dropped = session.client.batch_execute(&format!("DROP SCHEMA {SCHEMA} CASCADE"));
            dropped.map_err(|error| Broken::Before(session.failed(error)))
        })
    }

    /// Runs `work` as one transaction, again when the connection broke under it.
    pub fn transaction(&self, work: Work<'_>) -> Result<(), StoreError> {
        self.within(|session| session.transaction(self.next_mark(), &mut |session| work(session)))
    }

    fn next_mark(&self) -> Mark {
        self.begun.set(self.begun.get() + 1);
        Mark { whose: self.mark, number: self.begun.get() }
    }

    /// Runs `work`, which changes nothing, again when the connection broke under it.
    pub fn read(&self, work: Work<'_>) -> Result<(), StoreError> {
        self.within(|session| work(session).map_err(Broken::Before))
    }

    /// Runs one attempt after the other until one is not cut off.
    fn within(&self, mut attempt: impl FnMut(&mut Session) -> Result<(), Broken>) -> Result<(), StoreError> {
        let mut pauses = PAUSES.iter();
        loop {
            let error = match self.with_session(&mut attempt) {
                Ok(()) => return Ok(()),
                Err(Broken::AtCommit { mark, .. }) if self.counted(mark)? => return Ok(()),
                Err(Broken::AtCommit { error, .. } | Broken::Before(error)) => error,
            };
            let again = matches!(error, StoreError::Unreachable(_) | StoreError::Conflict);
            match pauses.next() {
                Some(pause) if again => std::thread::sleep(*pause),
                _ => return Err(error),
            }
        }
    }

    fn with_session(&self, attempt: &mut dyn FnMut(&mut Session) -> Result<(), Broken>) -> Result<(), Broken> {
        let kept = self.session.take();
        let mut session = match kept {
            Some(session) => session,
            None => self.connect()?,
        };
        let done = attempt(&mut session);
        if !session.is_broken {
            self.session.replace(Some(session));
        }
        done
    }

    /// Whether the transaction with this mark was committed.
    fn counted(&self, mark: Mark) -> Result<bool, StoreError> {
        let end = Instant::now() + DOUBT;
        while Instant::now() < end {
            let mut found = Vec::new();
            let asked = self.with_session(&mut |session| {
                // Waits until the transaction is over: its COMMIT may still arrive.
                session.client.batch_execute(&mark.lock()).map_err(|error| session.failed(error))?;
                found = session.query("SELECT value FROM text WHERE name = $1", &[Value::Text(&mark.name())])?;
                Ok(())
            });
            match asked {
                Ok(()) => {
                    let last = found.first().map_or(Ok(""), |row| row.text(0))?;
                    return Ok(last == mark.number.to_string());
                }
                // The tables themselves were to be made.
                Err(Broken::Before(StoreError::Postgres { code, .. })) if code == SqlState::UNDEFINED_TABLE.code() => {
                    return Ok(false);
                }
                Err(Broken::Before(StoreError::Busy | StoreError::Unreachable(_))) => {
                    std::thread::sleep(Duration::from_millis(100));
                }
                Err(_) => return Err(StoreError::InDoubt),
            }
        }
        Err(StoreError::InDoubt)
    }

    fn connect(&self) -> Result<Session, StoreError> {
        let mut config = self.address.config().clone();
        if config.get_application_name().is_none() {
            config.application_name("sealauthority");
        }
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT);
        }
        if config.get_tcp_user_timeout().is_none() {
            config.tcp_user_timeout(SILENCE);
        }
        if config.get_keepalives_interval().is_none() {
            config.keepalives_idle(SILENCE).keepalives_interval(Duration::from_secs(10)).keepalives_retries(3);
        }
        config.notice_callback(|_| {});
        let stored = if self.password.is_none() { self.address.stored_password()? } else { None };
        if let Some(password) = self.password.as_ref().or(stored.as_ref()) {
            config.password(password.as_bytes());
        }
        let client = match self.address.tls() {
            None => config.connect(NoTls),
            Some(tls) => config.connect(MakeRustlsConnect::new(tls.as_ref().clone())),
        };
        let client = client.map_err(|error| {
            let text = said(&error);
            match error.as_db_error() {
                Some(refusal) if !is_passing(refusal) => StoreError::from(refusal),
                // The library has no name for it.
                None if text.ends_with("password missing") => {
                    let (user, host) = self.address.user_and_host();
                    StoreError::PasswordNeeded { user, host }
                }
                _ if refuses_certificate(&error) => StoreError::Unproven(text),
                _ => StoreError::Unreachable(text),
            }
        })?;
        let mut session = Session { client: Owned(Some(client)), statements: HashMap::new(), is_broken: false };
        session.prepare_session()?;
        Ok(session)
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if let Some(mut session) = self.session.take().filter(|_| self.begun.get() > 0) {
            // A mark that stays, because the connection breaks now, is a row that nobody looks at.
            let name = Mark { whose: self.mark, number: 0 }.name();
            let _ = session.execute("DELETE FROM text WHERE name = $1", &[Value::Text(&name)]);
        }
    }
}

/// What tells a transaction from all others.
#[derive(Clone, Copy, Debug)]
struct Mark {
    /// Of the store.
    whose: i64,
    /// Of the transaction: a store has one after the other.
    number: u64,
}

impl Mark {
    /// The row of the store's last transaction.
    fn name(self) -> String {
        format!("mark:{}", self.whose)
    }

    /// Held by this transaction from its beginning to its end.
    fn lock(self) -> String {
        format!("SELECT pg_advisory_xact_lock({})", self.whose.wrapping_add_unsigned(self.number))
    }

    /// Leaves the mark and commits.
    fn commit(self) -> String {
        let Self { number, .. } = self;
        let name = self.name();
        format!("INSERT INTO text VALUES ('{name}', '{number}') ON CONFLICT (name) DO UPDATE SET value = excluded.value; COMMIT")
    }
}

/// Whether the server's certificate is the reason, which does not pass by waiting.
fn refuses_certificate(error: &postgres::Error) -> bool {
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        let inner = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        if matches!(inner.and_then(|inner| inner.downcast_ref()), Some(rustls::Error::InvalidCertificate(_))) {
            return true;
        }
        cause = error.source();
    }
    false
}

/// The tables in PostgreSQL's words. Text is ordered by its bytes, as SQLite orders it, and as lists are.
fn tables() -> String {
    TABLES
        .replace(" WITHOUT ROWID", "")
        .replace("INTEGER", "BIGINT")
        .replace("BLOB", "BYTEA")
        .replace(" TEXT", " TEXT COLLATE \"C\"")
}

/// How an attempt ended before its time.
enum Broken {
    /// Nothing was done.
    Before(StoreError),
    /// It is unknown whether it was done.
    AtCommit {
        /// The transaction's.
        mark: Mark,
        /// What broke.
        error: StoreError,
    },
}

impl From<StoreError> for Broken {
    fn from(error: StoreError) -> Self {
        Self::Before(error)
    }
}

/// An open connection.
struct Session {
    client: Owned,
    /// What was prepared on it.
    statements: HashMap<String, Statement>,
    /// It is of no more use.
    is_broken: bool,
}

impl Session {
    /// Says how it shall work, and refuses a server that would forget.
    fn prepare_session(&mut self) -> Result<(), StoreError> {
        let found = self.one(
            "SELECT CAST(current_setting('server_version_num') AS BIGINT), current_setting('fsync'), current_setting('server_encoding')",
        )?;
        if found.integer(0)? < OLDEST {
            return Err(StoreError::Unsuitable("PostgreSQL 13 or newer is needed".to_owned()));
        }
        if found.text(1)? != "on" {
            return Err(StoreError::Unsuitable("fsync is off, so a power cut would lose what was recorded".to_owned()));
        }
        if found.text(2)? != "UTF8" {
            return Err(StoreError::Unsuitable(format!("its encoding is {}, and names need UTF8", found.text(2)?)));
        }
        let set = self.client.batch_execute(SESSION);
        set.map_err(|error| self.failed(error))
    }

    fn one(&mut self, statement: &str) -> Result<Row, StoreError> {
        self.first(statement, &[])?.ok_or_else(|| StoreError::Malformed("an empty answer".to_owned()))
    }

    fn transaction(&mut self, mark: Mark, work: &mut dyn FnMut(&mut Self) -> Result<(), StoreError>) -> Result<(), Broken> {
        let begun = self.client.batch_execute(&format!("BEGIN ISOLATION LEVEL READ COMMITTED; {}", mark.lock()));
        begun.map_err(|error| {
            let error = self.failed(error);
            // A refusal of the second statement leaves a failed transaction open: the connection is not used again.
            self.is_broken = true;
            error
        })?;
        if let Err(error) = work(self) {
            return Err(Broken::Before(self.rolled_back(error)));
        }
        match self.client.batch_execute(&mark.commit()) {
            Ok(()) => Ok(()),
            Err(error) => {
                let error = self.failed(error);
                // The server's "no" is certain. Silence is not.
                Err(if self.is_broken { Broken::AtCommit { mark, error } } else { Broken::Before(self.rolled_back(error)) })
            }
        }
    }

    /// Ends a transaction that failed. Where this fails too, the server rolls back on its own: the connection is not used again.
    fn rolled_back(&mut self, error: StoreError) -> StoreError {
        let rolled_back = if self.is_broken { Ok(()) } else { self.client.batch_execute("ROLLBACK") };
        self.is_broken |= rolled_back.is_err();
        error
    }

    fn prepared(&mut self, statement: &str) -> Result<Statement, StoreError> {
        if let Some(prepared) = self.statements.get(statement) {
            return Ok(prepared.clone());
        }
        let prepared = self.client.prepare(statement);
        let prepared = prepared.map_err(|error| self.failed(error))?;
        self.statements.insert(statement.to_owned(), prepared.clone());
        Ok(prepared)
    }

    /// Notes what the error means for this connection.
    fn failed(&mut self, error: postgres::Error) -> StoreError {
        match error.as_db_error() {
            Some(refusal) if !matches!(refusal.parsed_severity(), Some(Severity::Fatal | Severity::Panic)) => refusal.into(),
            _ => {
                self.is_broken = true;
                StoreError::Unreachable(said(&error))
            }
        }
    }
}

/// Whether the server lets nobody in at the moment: another attempt may find it ready.
fn is_passing(refusal: &DbError) -> bool {
    let passing =
        [SqlState::ADMIN_SHUTDOWN, SqlState::CRASH_SHUTDOWN, SqlState::CANNOT_CONNECT_NOW, SqlState::TOO_MANY_CONNECTIONS];
    passing.contains(refusal.code())
}

impl From<&DbError> for StoreError {
    fn from(refusal: &DbError) -> Self {
        match *refusal.code() {
            SqlState::DISK_FULL => Self::DiskFull,
            SqlState::LOCK_NOT_AVAILABLE => Self::Busy,
            SqlState::T_R_DEADLOCK_DETECTED | SqlState::T_R_SERIALIZATION_FAILURE => Self::Conflict,
            _ => Self::Postgres { code: refusal.code().code().to_owned(), message: refusal.message().to_owned() },
        }
    }
}

impl Sql for Session {
    fn execute(&mut self, statement: &str, values: &[Value<'_>]) -> Result<u64, StoreError> {
        let prepared = self.prepared(statement)?;
        let changed = self.client.execute(&prepared, &parameters(values));
        changed.map_err(|error| self.failed(error))
    }

    fn query(&mut self, statement: &str, values: &[Value<'_>]) -> Result<Vec<Row>, StoreError> {
        let prepared = self.prepared(statement)?;
        let rows = self.client.query(&prepared, &parameters(values));
        rows.map_err(|error| self.failed(error))?.iter().map(row).collect()
    }

    fn for_update(&self) -> &'static str {
        " FOR UPDATE"
    }
}

fn parameters<'a>(values: &'a [Value<'a>]) -> Vec<&'a (dyn ToSql + Sync)> {
    let parameter = |value: &'a Value<'a>| -> &'a (dyn ToSql + Sync) {
        match value {
            Value::Bytes(bytes) => bytes,
            Value::Integer(integer) => integer,
            Value::NoInteger => &None::<i64>,
            Value::Text(text) => text,
        }
    };
    values.iter().map(parameter).collect()
}

fn row(row: &postgres::Row) -> Result<Row, StoreError> {
    let cell = |(at, column): (usize, &postgres::Column)| {
        let cell = match *column.type_() {
            Type::INT8 => row.try_get::<_, Option<i64>>(at).map(|value| value.map(sql::Cell::Integer)),
            Type::BYTEA => row.try_get::<_, Option<Vec<u8>>>(at).map(|value| value.map(sql::Cell::Bytes)),
            _ => row.try_get::<_, Option<String>>(at).map(|value| value.map(sql::Cell::Text)),
        };
        cell.map(|cell| cell.unwrap_or(sql::Cell::Null)).map_err(|error| StoreError::Malformed(said(&error)))
    };
    row.columns().iter().enumerate().map(cell).collect::<Result<_, _>>().map(Row)
}

/// The connection, which ends on a thread of its own: the library waits for the end, and must not within somebody else's tokio.
struct Owned(Option<Client>);

impl std::ops::Deref for Owned {
    type Target = Client;

    #[expect(clippy::expect_used, reason = "taken out in `drop` alone")]
    fn deref(&self) -> &Client {
        self.0.as_ref().expect("there until dropped")
    }
}

impl std::ops::DerefMut for Owned {
    #[expect(clippy::expect_used, reason = "taken out in `drop` alone")]
    fn deref_mut(&mut self) -> &mut Client {
        self.0.as_mut().expect("there until dropped")
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        let client = self.0.take();
        let _ = std::thread::spawn(move || drop(client)).join();
    }
}
