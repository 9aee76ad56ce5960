//! PDF objects (ISO 32000-1 7.3) and the parser for one object.

use std::fmt;

/// Number and generation of an indirect object.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ObjectId {
    /// Object number, from 1.
    pub number: u32,
    /// Generation, 0 in nearly all files.
    pub generation: u16,
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} R", self.number, self.generation)
    }
}

/// A value. Streams are read apart from their dictionary.
#[derive(Clone, Debug, PartialEq)]
pub enum Object {
    /// `null`, and everything that does not exist.
    Null,
    /// `true`, `false`.
    Boolean(bool),
    /// A number without a point.
    Integer(i64),
    /// A number with a point.
    Real(f64),
    /// A string, decoded from its `( )` or `< >` form, not decrypted.
    String(Vec<u8>),
    /// A name without its `/`, `#xx` decoded.
    Name(Vec<u8>),
    /// An array.
    Array(Vec<Object>),
    /// A dictionary.
    Dictionary(Dict),
    /// A reference to an indirect object.
    Reference(ObjectId),
}

/// A dictionary in the order of the file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Dict(pub(super) Vec<(Vec<u8>, Object)>);

impl Dict {
    /// The value under `key`; of a key that stands twice, the last (each such key is an [`super::Ambiguity`] where it matters).
    pub fn find(&self, key: &str) -> Option<&Object> {
        self.0.iter().rev().find(|(k, _)| k == key.as_bytes()).map(|(_, v)| v)
    }
}
