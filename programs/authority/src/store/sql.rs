//! What the two databases have in common: one statement with values in, rows out.
//!
//! Statements are written once, in the words that SQLite and PostgreSQL share. Values stand as `$1`, `$2` …

use super::StoreError;

/// A value that goes into a statement.
#[derive(Clone, Copy, Debug)]
pub enum Value<'a> {
    /// `BLOB`, `BYTEA`
    Bytes(&'a [u8]),
    /// `INTEGER`, `BIGINT`
    Integer(i64),
    /// NULL where an integer could stand.
    NoInteger,
    /// `TEXT`
    Text(&'a str),
}

/// A value that comes out of a row.
#[derive(Debug)]
pub enum Cell {
    Bytes(Vec<u8>),
    Integer(i64),
    Null,
    Text(String),
}

/// What a query found.
#[derive(Debug)]
pub struct Row(pub Vec<Cell>);

impl Row {
    /// The integer in column `at`.
    pub fn integer(&self, at: usize) -> Result<i64, StoreError> {
        self.optional_integer(at)?.ok_or_else(|| wrong(at))
    }

    /// The integer in column `at`, where there is one.
    pub fn optional_integer(&self, at: usize) -> Result<Option<i64>, StoreError> {
        match self.0.get(at) {
            Some(Cell::Integer(value)) => Ok(Some(*value)),
            Some(Cell::Null) => Ok(None),
            _ => Err(wrong(at)),
        }
    }

    /// The text in column `at`.
    pub fn text(&self, at: usize) -> Result<&str, StoreError> {
        match self.0.get(at) {
            Some(Cell::Text(value)) => Ok(value),
            _ => Err(wrong(at)),
        }
    }

    /// The bytes in column `at`.
    pub fn bytes(&self, at: usize) -> Result<&[u8], StoreError> {
        match self.0.get(at) {
            Some(Cell::Bytes(value)) => Ok(value),
            _ => Err(wrong(at)),
        }
    }
}

fn wrong(at: usize) -> StoreError {
    StoreError::Malformed(format!("column {} of a row", at + 1))
}

/// A connection, or an open transaction.
pub trait Sql {
    /// Runs a statement; gives how many rows it changed.
    fn execute(&mut self, statement: &str, values: &[Value<'_>]) -> Result<u64, StoreError>;

    /// Runs a query, or a statement with `RETURNING`.
    fn query(&mut self, statement: &str, values: &[Value<'_>]) -> Result<Vec<Row>, StoreError>;

    /// Put behind a query, it keeps others from changing the row until this transaction ends. Nothing where transactions that write
    /// follow one another anyway.
    fn for_update(&self) -> &'static str;

    /// The first row of a query.
    fn first(&mut self, statement: &str, values: &[Value<'_>]) -> Result<Option<Row>, StoreError> {
        Ok(self.query(statement, values)?.into_iter().next())
    }
}

/// What a transaction does. It may run more than once, each time from the beginning, when the database threw it out without a trace: it
/// has no effect but through the statements.
pub type Work<'a> = &'a mut dyn FnMut(&mut dyn Sql) -> Result<(), StoreError>;
