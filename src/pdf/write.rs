//! Objects and incremental updates as bytes (ISO 32000-1 7.3, 7.5.6). What stands in the file is never written again.

use std::collections::BTreeMap;
use std::io::{Read, Seek};

use super::{Dict, Document, Object, ObjectId, PdfError};

/// Largest offset in a cross-reference table: ten digits.
const MAX_TABLE_OFFSET: u64 = 9_999_999_999;

impl Object {
    /// Appends the object as it stands in a file.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Null => out.extend(b"null"),
            Self::Boolean(value) => out.extend(value.to_string().as_bytes()),
            Self::Integer(value) => out.extend(value.to_string().as_bytes()),
            // Never with an exponent, always as many digits as the value needs.
            Self::Real(value) => out.extend(value.to_string().as_bytes()),
            Self::String(bytes) => write_string(bytes, out),
            Self::Name(name) => write_name(name, out),
            Self::Array(elements) => {
                out.push(b'[');
                for (i, element) in elements.iter().enumerate() {
                    if i > 0 {
                        out.push(b' ');
                    }
                    element.write(out);
                }
                out.push(b']');
            }
            Self::Dictionary(dict) => dict.write(out),
            Self::Reference(id) => out.extend(id.to_string().as_bytes()),
        }
    }
}

impl Dict {
    /// Appends the dictionary as it stands in a file.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.extend(b"<<");
        for (key, value) in &self.0 {
            write_name(key, out);
            out.push(b' ');
            value.write(out);
        }
        out.extend(b">>");
    }

    /// Puts `value` under `key`, in the place of what is there.
    pub(super) fn put(&mut self, key: &str, value: impl Into<Object>) -> &mut Self {
        self.0.retain(|(k, _)| k != key.as_bytes());
        self.0.push((key.as_bytes().to_vec(), value.into()));
        self
    }
}

impl From<i64> for Object {
    fn from(value: i64) -> Self {
        Self::Integer(value)
    }
}

impl From<f64> for Object {
    fn from(value: f64) -> Self {
        Self::Real(value)
    }
}

impl From<ObjectId> for Object {
    fn from(value: ObjectId) -> Self {
        Self::Reference(value)
    }
}

impl From<Dict> for Object {
    fn from(value: Dict) -> Self {
        Self::Dictionary(value)
    }
}

impl From<Vec<Object>> for Object {
    fn from(value: Vec<Object>) -> Self {
        Self::Array(value)
    }
}

/// A name; for values, since text has its own function.
impl From<&str> for Object {
    fn from(value: &str) -> Self {
        Self::Name(value.as_bytes().to_vec())
    }
}

/// A rectangle or matrix, rounded to 1/10 000 point: a third of a tenth of a micrometre.
pub(super) fn numbers<const N: usize>(values: [f64; N]) -> Object {
    Object::Array(values.iter().map(|value| Object::Real((value * 10_000.0).round() / 10_000.0)).collect())
}

/// A text string: ASCII as it is, all else in UTF-16 (7.9.2.2).
pub(super) fn text_string(text: &str) -> Object {
    if text.bytes().all(|b| (b' '..=b'~').contains(&b)) {
        return Object::String(text.as_bytes().to_vec());
    }
    let units = text.encode_utf16().flat_map(u16::to_be_bytes);
    Object::String([0xfe, 0xff].into_iter().chain(units).collect())
}

fn write_name(name: &[u8], out: &mut Vec<u8>) {
    out.push(b'/');
    for byte in name {
        match byte {
            b'!'..=b'~' if !b"()<>[]{}/%#".contains(byte) => out.push(*byte),
            _ => out.extend(format!("#{byte:02x}").as_bytes()),
        }
    }
}

fn write_string(bytes: &[u8], out: &mut Vec<u8>) {
    if bytes.iter().all(|b| (b' '..=b'~').contains(b)) {
        out.push(b'(');
        for byte in bytes {
            if b"()\\".contains(byte) {
                out.push(b'\\');
            }
            out.push(*byte);
        }
        out.push(b')');
    } else {
        out.push(b'<');
        bytes.iter().for_each(|byte| out.extend(format!("{byte:02x}").as_bytes()));
        out.push(b'>');
    }
}

/// An update under construction: new objects, and the place of each.
pub(super) struct Update {
    /// Offset at which `bytes` will stand.
    start: u64,
    pub bytes: Vec<u8>,
    places: BTreeMap<u32, (u16, u64)>,
    next: u32,
}

impl Update {
    /// To be appended to a file whose objects have numbers below `next`.
    pub fn new(start: u64, next: u32, ends_line: bool) -> Self {
        Self { start, bytes: if ends_line { Vec::new() } else { b"\n".to_vec() }, places: BTreeMap::new(), next }
    }

    /// A number for a new object.
    pub fn reserve(&mut self) -> ObjectId {
        let id = ObjectId { number: self.next, generation: 0 };
        self.next += 1;
        id
    }

    /// Writes an object, new or in the place of an older one.
    pub fn object(&mut self, id: ObjectId, object: &Object) {
        self.begin(id);
        object.write(&mut self.bytes);
        self.bytes.extend(b"\nendobj\n");
    }

    /// Writes a stream; `/Length` is added.
    pub fn stream(&mut self, id: ObjectId, mut dict: Dict, data: &[u8]) {
        dict.put("Length", data.len() as i64);
        self.begin(id);
        dict.write(&mut self.bytes);
        self.bytes.extend(b"\nstream\n");
        self.bytes.extend(data);
        self.bytes.extend(b"\nendstream\nendobj\n");
    }

    /// Writes `n g obj`; the caller writes the rest.
    pub fn begin(&mut self, id: ObjectId) {
        self.places.insert(id.number, (id.generation, self.start + self.bytes.len() as u64));
        self.bytes.extend(format!("{} {} obj\n", id.number, id.generation).as_bytes());
    }

    /// Writes the cross-reference section, of the kind the file has, and the end of the file.
    ///
    /// `trailer` has the keys that go on (`/Root`, `/Info`, `/ID`); `/Size` and `/Prev` are added.
    pub fn finish(&mut self, mut trailer: Dict, prev: u64, as_stream: bool) -> Result<(), PdfError> {
        let own = as_stream.then(|| self.reserve());
        let at = self.start + self.bytes.len() as u64;
        trailer.put("Size", i64::from(self.next)).put("Prev", prev as i64);
        if let Some(id) = own {
            self.places.insert(id.number, (0, at));
            self.xref_stream(id, trailer);
        } else {
            self.xref_table(&trailer)?;
        }
        self.bytes.extend(format!("startxref\n{at}\n%%EOF\n").as_bytes());
        Ok(())
    }

    fn xref_table(&mut self, trailer: &Dict) -> Result<(), PdfError> {
        let mut table = b"xref\n".to_vec();
        for run in self.runs() {
            table.extend(format!("{} {}\n", run[0].0, run.len()).as_bytes());
            for (_, generation, offset) in run {
                if offset > MAX_TABLE_OFFSET {
                    return Err(PdfError::Limit("bytes in a file with a cross-reference table"));
                }
                table.extend(format!("{offset:010} {generation:05} n\r\n").as_bytes());
            }
        }
        self.bytes.extend(table);
        self.bytes.extend(b"trailer\n");
        trailer.write(&mut self.bytes);
        self.bytes.push(b'\n');
        Ok(())
    }

    fn xref_stream(&mut self, id: ObjectId, mut dict: Dict) {
        let (mut index, mut rows) = (Vec::new(), Vec::new());
        for run in self.runs() {
            index.extend([Object::Integer(i64::from(run[0].0)), Object::Integer(run.len() as i64)]);
            for (_, generation, offset) in run {
                rows.push(1);
                rows.extend(&offset.to_be_bytes()[2..]);
                rows.extend(generation.to_be_bytes());
            }
        }
        dict.put("Type", "XRef").put("W", vec![Object::Integer(1), Object::Integer(6), Object::Integer(2)]).put("Index", index);
        dict.put("Length", rows.len() as i64);
        self.bytes.extend(format!("{} 0 obj\n", id.number).as_bytes());
        dict.write(&mut self.bytes);
        self.bytes.extend(b"\nstream\n");
        self.bytes.extend(rows);
        self.bytes.extend(b"\nendstream\nendobj\n");
    }

    /// Number, generation and offset of each object, in runs of numbers that follow each other.
    fn runs(&self) -> Vec<Vec<(u32, u16, u64)>> {
        let mut runs: Vec<Vec<(u32, u16, u64)>> = Vec::new();
        for (number, (generation, offset)) in &self.places {
            match runs.last_mut() {
                Some(run) if run.last().is_some_and(|(last, ..)| last + 1 == *number) => {
                    run.push((*number, *generation, *offset))
                }
                _ => runs.push(vec![(*number, *generation, *offset)]),
            }
        }
        runs
    }
}

impl<R: Read + Seek> Document<R> {
    /// An update to this file.
    pub(super) fn update(&mut self) -> Result<Update, PdfError> {
        let len = self.file_len();
        let last = self.source.at(len - 1, 1)?.first().copied();
        let size = self.trailer(self.newest()).value("Size").integer().and_then(|size| u32::try_from(size).ok()).unwrap_or(0);
        let used = self.xref.entries().last().map_or(0, |entry| entry.number).saturating_add(1);
        let next = size.max(used);
        // Readers take no larger numbers (Annex C).
        if next > 8_388_000 {
            return Err(PdfError::Limit("object numbers"));
        }
        Ok(Update::new(len, next, matches!(last, Some(b'\n' | b'\r'))))
    }
}

#[cfg(test)]
mod tests {
    use super::super::object::Parser;
    use super::*;

    #[test]
    fn objects_are_read_back_as_they_were() {
        let text = b"<</A#20B#2f[1 -2 3.25 -0.0001 12345678901 true null]/S(a\\(\\)\\\\)/T<fe ff 00>/R 3 0 R/D<</X/>>>>";
        let object = Parser::complete(text, 0).value().unwrap();
        let mut written = Vec::new();
        object.write(&mut written);
        assert_eq!(Parser::complete(&written, 0).value().unwrap(), object, "{}", String::from_utf8_lossy(&written));
    }

    #[test]
    fn text_outside_ascii_is_utf_16() {
        assert_eq!(text_string("a b"), Object::String(b"a b".to_vec()));
        assert_eq!(text_string("\u{7532}"), Object::String(vec![0xfe, 0xff, 0x75, 0x32]));
        assert_eq!(super::super::object::text(text_string("\u{7532}\u{1f600}").string().unwrap()), "\u{7532}\u{1f600}");
    }
}
