//! The records in one SQLite file: for one machine, without a server.
//!
//! Every change is flushed before its call returns (WAL, `synchronous = FULL`). Several processes of the machine may use the file.

use std::path::Path;
use std::time::Duration;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags, ToSql, Transaction, TransactionBehavior};

use super::sql::{Cell, Row, Sql, Value, Work};
use super::{StoreError, TABLES, VERSION, check_version};

/// How long a process waits for another one's transaction.
const WAIT: Duration = Duration::from_secs(30);

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode::{DatabaseBusy, DatabaseCorrupt, DiskFull, NotADatabase};
        match error.sqlite_error_code() {
            Some(DatabaseBusy) => Self::Busy,
            Some(DiskFull) => Self::DiskFull,
            Some(NotADatabase | DatabaseCorrupt) => Self::Malformed(error.to_string()),
            _ => Self::Sqlite(error),
        }
    }
}

/// An open file.
pub struct Sqlite(Connection);

impl Sqlite {
    /// Makes a new file.
    pub fn create(path: &Path) -> Result<Self, StoreError> {
        let store = Self::connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE)?;
        store.0.execute_batch(TABLES)?;
        store.0.pragma_update(None, "user_version", VERSION)?;
        Ok(store)
    }

    /// Opens a file that is there.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let store = Self::connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        check_version(store.0.pragma_query_value(None, "user_version", |row| row.get(0))?)?;
        Ok(store)
    }

    fn connect(path: &Path, flags: OpenFlags) -> Result<Self, StoreError> {
        let connection = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
        connection.busy_timeout(WAIT)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        Ok(Self(connection))
    }

    /// Runs `work` as one transaction.
    pub fn transaction(&self, work: Work<'_>) -> Result<(), StoreError> {
        // Immediate: two processes never both read a counter before one writes it.
        let transaction = Transaction::new_unchecked(&self.0, TransactionBehavior::Immediate)?;
        work(&mut &*transaction)?;
        Ok(transaction.commit()?)
    }

    /// Runs `work`, which changes nothing.
    pub fn read(&self, work: Work<'_>) -> Result<(), StoreError> {
        work(&mut &self.0)
    }

    /// Sets the most pages of the file.
    pub fn limit_pages(&self, pages: u32) -> Result<(), StoreError> {
        Ok(self.0.pragma_update(None, "max_page_count", pages)?)
    }
}

impl Sql for &Connection {
    fn execute(&mut self, statement: &str, values: &[Value<'_>]) -> Result<u64, StoreError> {
        Ok(self.prepare_cached(&numbered(statement))?.execute(&parameters(values)[..])? as u64)
    }

    fn query(&mut self, statement: &str, values: &[Value<'_>]) -> Result<Vec<Row>, StoreError> {
        let mut statement = self.prepare_cached(&numbered(statement))?;
        let columns = statement.column_count();
        let rows =
            statement.query_map(&parameters(values)[..], |row| (0..columns).map(|at| cell(at, row.get_ref(at)?)).collect())?;
        Ok(rows.map(|row| row.map(Row)).collect::<Result<_, _>>()?)
    }

    fn for_update(&self) -> &'static str {
        ""
    }
}

/// SQLite's numbered parameters: its `$1` would be a name, counted by where it stands first.
fn numbered(statement: &str) -> String {
    statement.replace('$', "?")
}

fn parameters<'a>(values: &'a [Value<'a>]) -> Vec<&'a dyn ToSql> {
    let parameter = |value: &'a Value<'a>| -> &'a dyn ToSql {
        match value {
            Value::Bytes(bytes) => bytes,
            Value::Integer(integer) => integer,
            Value::NoInteger => &None::<i64>,
            Value::Text(text) => text,
        }
    };
    values.iter().map(parameter).collect()
}

fn cell(at: usize, value: ValueRef<'_>) -> rusqlite::Result<Cell> {
    match value {
        ValueRef::Blob(bytes) => Ok(Cell::Bytes(bytes.to_vec())),
        ValueRef::Integer(integer) => Ok(Cell::Integer(integer)),
        ValueRef::Null => Ok(Cell::Null),
        ValueRef::Text(_) => Ok(Cell::Text(value.as_str()?.to_owned())),
        ValueRef::Real(_) => Err(rusqlite::Error::InvalidColumnType(at, String::new(), rusqlite::types::Type::Real)),
    }
}
