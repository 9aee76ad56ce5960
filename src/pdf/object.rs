//! PDF objects (ISO 32000-1 7.3) and the parser for one object.
//!
//! The parser reads a slice that may end before the object does ([`ParseError::Cut`]: the caller gives more), recurses at most
//! [`MAX_DEPTH`] deep, and makes at most [`MAX_VALUES`] values.

use std::{fmt, ops::Range};

use super::{MAX_DEPTH, MAX_VALUES};

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

impl Object {
    /// The dictionary, if it is one.
    pub fn dict(&self) -> Option<&Dict> {
        if let Self::Dictionary(dict) = self { Some(dict) } else { None }
    }

    /// The elements, if it is an array.
    pub fn array(&self) -> Option<&[Self]> {
        if let Self::Array(elements) = self { Some(elements) } else { None }
    }

    /// The name, if it is one.
    pub fn name(&self) -> Option<&[u8]> {
        if let Self::Name(name) = self { Some(name) } else { None }
    }

    /// The bytes, if it is a string.
    pub fn string(&self) -> Option<&[u8]> {
        if let Self::String(bytes) = self { Some(bytes) } else { None }
    }

    /// The integer, if it is one.
    pub fn integer(&self) -> Option<i64> {
        if let Self::Integer(n) = self { Some(*n) } else { None }
    }

    /// The number, if it is one.
    pub fn number(&self) -> Option<f64> {
        match self {
            Self::Integer(n) => Some(*n as f64),
            Self::Real(n) => Some(*n),
            _ => None,
        }
    }

    /// The reference, if it is one.
    pub fn reference(&self) -> Option<ObjectId> {
        if let Self::Reference(id) = self { Some(*id) } else { None }
    }

    /// Calls `visit` with every reference inside, and the key of the innermost dictionary that leads to it.
    pub(super) fn references<'a>(&'a self, key: &'a [u8], visit: &mut impl FnMut(&'a [u8], ObjectId)) {
        match self {
            Self::Reference(id) => visit(key, *id),
            Self::Array(elements) => elements.iter().for_each(|element| element.references(key, visit)),
            Self::Dictionary(dict) => dict.0.iter().for_each(|(key, value)| value.references(key, visit)),
            _ => {}
        }
    }
}

/// A dictionary in the order of the file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Dict(pub(super) Vec<(Vec<u8>, Object)>);

impl Dict {
    /// The value under `key`, `Null` where there is none; of a key that stands twice, the last (each such key is an
    /// [`super::Ambiguity`]).
    pub fn value(&self, key: &str) -> &Object {
        self.0.iter().rev().find(|(k, _)| k == key.as_bytes()).map_or(&Object::Null, |(_, v)| v)
    }

    /// Whether `key` has the name `name` as value.
    pub fn is(&self, key: &str, name: &str) -> bool {
        self.value(key).name() == Some(name.as_bytes())
    }

    /// The keys, as they stand.
    pub fn keys(&self) -> impl Iterator<Item = &[u8]> {
        self.0.iter().map(|(key, _)| key.as_slice())
    }
}

/// Text of a PDF text string: UTF-16 or UTF-8 by its mark, else PDFDocEncoding (as Latin-1, which it is for letters).
pub(super) fn text(bytes: &[u8]) -> String {
    match bytes {
        [0xfe, 0xff, rest @ ..] => encoding_rs::UTF_16BE.decode_without_bom_handling(rest).0.into_owned(),
        [0xff, 0xfe, rest @ ..] => encoding_rs::UTF_16LE.decode_without_bom_handling(rest).0.into_owned(),
        [0xef, 0xbb, 0xbf, rest @ ..] => String::from_utf8_lossy(rest).into_owned(),
        // Writers in the field put UTF-8 or GB18030 without a mark into text strings.
        _ if !bytes.is_ascii() => match std::str::from_utf8(bytes) {
            Ok(text) => text.to_owned(),
            Err(_) => encoding_rs::GB18030.decode_without_bom_handling(bytes).0.into_owned(),
        },
        _ => bytes.iter().map(|b| char::from(*b)).collect(),
    }
}

/// Text of a name, for people and reports.
pub(super) fn name_text(name: &[u8]) -> String {
    String::from_utf8_lossy(name).into_owned()
}

/// Why a slice is not an object.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum ParseError {
    /// The slice ends first.
    Cut,
    /// A limit: depth or number of values.
    Limit(&'static str),
    /// Not the syntax of an object: what is wrong, and where in the slice.
    Syntax(&'static str, usize),
}

pub(super) fn is_space(byte: u8) -> bool {
    matches!(byte, 0 | b'\t' | b'\n' | 0x0c | b'\r' | b' ')
}

fn is_delimiter(byte: u8) -> bool {
    matches!(byte, b'(' | b')' | b'<' | b'>' | b'[' | b']' | b'{' | b'}' | b'/' | b'%')
}

fn is_regular(byte: u8) -> bool {
    !is_space(byte) && !is_delimiter(byte)
}

/// Reads tokens and values from a slice.
pub(super) struct Parser<'a> {
    bytes: &'a [u8],
    /// Position in the slice.
    pub at: usize,
    /// Whether the end of the slice ends a token as white space does.
    complete: bool,
    values: usize,
    /// The first key that a dictionary has twice.
    pub duplicate_key: Option<Vec<u8>>,
    /// Where the hexadecimal strings under keys `/Contents` stand in the slice, `<` and `>` included.
    pub contents: Vec<Range<usize>>,
}

impl<'a> Parser<'a> {
    /// Over the start of a longer text.
    pub fn partial(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, complete: false, values: 0, duplicate_key: None, contents: Vec::new() }
    }

    /// Over a whole text, from `at`.
    pub fn complete(bytes: &'a [u8], at: usize) -> Self {
        Self { complete: true, at, ..Self::partial(bytes) }
    }

    fn peek(&self) -> Result<u8, ParseError> {
        self.bytes.get(self.at).copied().ok_or(ParseError::Cut)
    }

    fn syntax<T>(&self, what: &'static str) -> Result<T, ParseError> {
        Err(ParseError::Syntax(what, self.at))
    }

    /// Skips white space and comments.
    pub fn skip_space(&mut self) -> Result<(), ParseError> {
        while let Some(byte) = self.bytes.get(self.at) {
            match byte {
                b'%' => {
                    let Some(line) = self.bytes[self.at..].iter().position(|b| matches!(b, b'\r' | b'\n')) else {
                        return if self.complete {
                            self.at = self.bytes.len();
                            Ok(())
                        } else {
                            Err(ParseError::Cut)
                        };
                    };
                    self.at += line;
                }
                byte if is_space(*byte) => self.at += 1,
                _ => return Ok(()),
            }
        }
        if self.complete { Ok(()) } else { Err(ParseError::Cut) }
    }

    /// The regular characters from here.
    fn word(&mut self) -> Result<&'a [u8], ParseError> {
        let rest = &self.bytes[self.at..];
        let end = match rest.iter().position(|b| !is_regular(*b)) {
            Some(end) => end,
            None if self.complete => rest.len(),
            None => return Err(ParseError::Cut),
        };
        self.at += end;
        Ok(&rest[..end])
    }

    /// Consumes the keyword `word` after white space.
    pub fn keyword(&mut self, word: &'static str) -> Result<(), ParseError> {
        self.skip_space()?;
        let start = self.at;
        if self.word()? == word.as_bytes() {
            Ok(())
        } else {
            self.at = start;
            Err(ParseError::Syntax("another keyword than expected", start))
        }
    }

    /// Consumes a non-negative integer after white space.
    pub fn unsigned(&mut self) -> Result<u64, ParseError> {
        self.skip_space()?;
        let start = self.at;
        let word = self.word()?;
        decimal(word).ok_or(ParseError::Syntax("a number is expected", start))
    }

    /// Consumes `n g obj`.
    pub fn object_header(&mut self) -> Result<ObjectId, ParseError> {
        let number = self.unsigned()?;
        let generation = self.unsigned()?;
        self.keyword("obj")?;
        match (number.try_into(), generation.try_into()) {
            (Ok(number), Ok(generation)) => Ok(ObjectId { number, generation }),
            _ => self.syntax("object number out of range"),
        }
    }

    /// One value after white space.
    pub fn value(&mut self) -> Result<Object, ParseError> {
        self.nested_value(0)
    }

    fn nested_value(&mut self, depth: usize) -> Result<Object, ParseError> {
        if depth > MAX_DEPTH {
            return Err(ParseError::Limit("levels of nesting"));
        }
        self.values += 1;
        if self.values > MAX_VALUES {
            return Err(ParseError::Limit("values in one object"));
        }
        self.skip_space()?;
        match self.peek()? {
            b'/' => Ok(Object::Name(self.name()?)),
            b'(' => Ok(Object::String(self.literal_string()?)),
            b'[' => self.array(depth),
            b'<' => match self.bytes.get(self.at + 1) {
                None => Err(ParseError::Cut),
                Some(b'<') => self.dictionary(depth),
                Some(_) => Ok(Object::String(self.hex_string()?)),
            },
            b'0'..=b'9' | b'+' | b'-' | b'.' => self.number_or_reference(),
            _ => match self.word()? {
                b"true" => Ok(Object::Boolean(true)),
                b"false" => Ok(Object::Boolean(false)),
                b"null" => Ok(Object::Null),
                _ => self.syntax("not a value"),
            },
        }
    }

    fn number_or_reference(&mut self) -> Result<Object, ParseError> {
        let start = self.at;
        let word = self.word()?;
        let Some(number) = decimal(word) else {
            let text = std::str::from_utf8(word).unwrap_or("x");
            let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
            if digits.bytes().any(|b| !b.is_ascii_digit() && b != b'.') {
                return Err(ParseError::Syntax("not a number", start));
            }
            return match (text.parse(), text.parse::<f64>()) {
                (Ok(n), _) => Ok(Object::Integer(n)),
                // Hundreds of digits would be infinite.
                (_, Ok(n)) if n.is_finite() => Ok(Object::Real(n)),
                _ => Err(ParseError::Syntax("not a number", start)),
            };
        };
        let after = self.at;
        if let Ok(number) = number.try_into() {
            match self.rest_of_reference() {
                Ok(Some(generation)) => return Ok(Object::Reference(ObjectId { number, generation })),
                Err(ParseError::Cut) => return Err(ParseError::Cut),
                _ => self.at = after,
            }
        }
        Ok(i64::try_from(number).map_or(Object::Real(number as f64), Object::Integer))
    }

    /// `g R` after a number; `None` where something else follows.
    fn rest_of_reference(&mut self) -> Result<Option<u16>, ParseError> {
        self.skip_space()?;
        if !self.bytes.get(self.at).is_some_and(u8::is_ascii_digit) {
            return Ok(None);
        }
        let Some(generation) = decimal(self.word()?).and_then(|n| n.try_into().ok()) else { return Ok(None) };
        self.skip_space()?;
        if self.bytes.get(self.at) != Some(&b'R') || self.word()? != b"R" {
            return Ok(None);
        }
        Ok(Some(generation))
    }

    fn name(&mut self) -> Result<Vec<u8>, ParseError> {
        self.at += 1;
        let word = self.word()?;
        if !word.contains(&b'#') {
            return Ok(word.to_vec());
        }
        let mut name = Vec::with_capacity(word.len());
        let mut rest = word;
        while let [first, tail @ ..] = rest {
            match tail {
                [high, low, tail @ ..] if *first == b'#' && high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                    name.push(hex_digit(*high) << 4 | hex_digit(*low));
                    rest = tail;
                }
                _ => {
                    name.push(*first);
                    rest = tail;
                }
            }
        }
        Ok(name)
    }

    fn literal_string(&mut self) -> Result<Vec<u8>, ParseError> {
        self.at += 1;
        let mut string = Vec::new();
        let mut open = 1;
        loop {
            let byte = self.peek()?;
            self.at += 1;
            match byte {
                b'(' => open += 1,
                b')' => {
                    open -= 1;
                    if open == 0 {
                        return Ok(string);
                    }
                }
                b'\r' => {
                    if self.peek()? == b'\n' {
                        self.at += 1;
                    }
                    string.push(b'\n');
                    continue;
                }
                b'\\' => {
                    string.extend(self.escape()?);
                    continue;
                }
                _ => {}
            }
            string.push(byte);
        }
    }

    fn escape(&mut self) -> Result<Option<u8>, ParseError> {
        let byte = self.peek()?;
        self.at += 1;
        Ok(match byte {
            b'n' => Some(b'\n'),
            b'r' => Some(b'\r'),
            b't' => Some(b'\t'),
            b'b' => Some(8),
            b'f' => Some(0x0c),
            b'\n' => None,
            b'\r' => {
                if self.peek()? == b'\n' {
                    self.at += 1;
                }
                None
            }
            b'0'..=b'7' => {
                let mut value = u16::from(byte - b'0');
                for _ in 0..2 {
                    let next = self.peek()?;
                    if !matches!(next, b'0'..=b'7') {
                        break;
                    }
                    value = value << 3 | u16::from(next - b'0');
                    self.at += 1;
                }
                Some(value as u8)
            }
            other => Some(other),
        })
    }

    fn hex_string(&mut self) -> Result<Vec<u8>, ParseError> {
        self.at += 1;
        let rest = &self.bytes[self.at..];
        let end = rest.iter().position(|b| *b == b'>').ok_or(ParseError::Cut)?;
        let mut string = Vec::with_capacity(end / 2 + 1);
        let mut high = None;
        for byte in rest[..end].iter().filter(|b| !is_space(**b)) {
            if !byte.is_ascii_hexdigit() {
                return self.syntax("not a hexadecimal digit");
            }
            match high.take() {
                None => high = Some(hex_digit(*byte)),
                Some(high) => string.push(high << 4 | hex_digit(*byte)),
            }
        }
        string.extend(high.map(|high| high << 4));
        self.at += end + 1;
        Ok(string)
    }

    fn array(&mut self, depth: usize) -> Result<Object, ParseError> {
        self.at += 1;
        let mut elements = Vec::new();
        loop {
            self.skip_space()?;
            if self.peek()? == b']' {
                self.at += 1;
                return Ok(Object::Array(elements));
            }
            elements.push(self.nested_value(depth + 1)?);
        }
    }

    fn dictionary(&mut self, depth: usize) -> Result<Object, ParseError> {
        self.at += 2;
        let mut entries = Vec::new();
        loop {
            self.skip_space()?;
            match self.peek()? {
                b'>' => match self.bytes.get(self.at + 1) {
                    None => return Err(ParseError::Cut),
                    Some(b'>') => break,
                    Some(_) => return self.syntax("'>' alone in a dictionary"),
                },
                b'/' => {}
                _ => return self.syntax("a dictionary key is no name"),
            }
            let key = self.name()?;
            self.skip_space()?;
            let start = self.at;
            let value = self.nested_value(depth + 1)?;
            if key == b"Contents" && self.bytes[start] == b'<' && matches!(value, Object::String(_)) {
                self.contents.push(start..self.at);
            }
            entries.push((key, value));
        }
        self.at += 2;
        if self.duplicate_key.is_none() {
            let mut keys: Vec<_> = entries.iter().map(|(key, _)| key).collect();
            keys.sort_unstable();
            self.duplicate_key = keys.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0].clone());
        }
        Ok(Object::Dictionary(Dict(entries)))
    }
}

/// Plain decimal digits.
pub(super) fn decimal(word: &[u8]) -> Option<u64> {
    if word.is_empty() || word.len() > 19 || !word.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(word.iter().fold(0, |n, digit| n * 10 + u64::from(digit - b'0')))
}

pub(super) fn hex_digit(byte: u8) -> u8 {
    match byte {
        b'0'..=b'9' => byte - b'0',
        _ => (byte | 0x20).wrapping_sub(b'a').wrapping_add(10),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Result<Object, ParseError> {
        Parser::complete(text.as_bytes(), 0).value()
    }

    #[test]
    fn values_of_every_type_are_read() {
        let text = "<</A#42 [1 -2 +3 4.5 -.5 5. 1 0 R 7 8]/S(a(b)\\)\\061\\\r\nx\r\n)/H<4a4B 5>/N null/T true/D<</K/V>>>>";
        let object = read(text).unwrap();
        let dict = object.dict().unwrap();
        assert_eq!(
            dict.value("AB").array().unwrap(),
            [
                Object::Integer(1),
                Object::Integer(-2),
                Object::Integer(3),
                Object::Real(4.5),
                Object::Real(-0.5),
                Object::Real(5.0),
                Object::Reference(ObjectId { number: 1, generation: 0 }),
                Object::Integer(7),
                Object::Integer(8),
            ]
        );
        assert_eq!(dict.value("S").string(), Some(b"a(b))1x\n".as_slice()));
        assert_eq!(dict.value("H").string(), Some(b"JKP".as_slice()));
        assert!(dict.value("D").dict().unwrap().is("K", "V"));
    }

    #[test]
    fn what_is_no_value_is_refused() {
        for bad in
            ["", "<</A 1 2>>", "<<1 2>>", "[1 2", "(a", "<4x>", "1.2.3", "--1", "1e5", &"9".repeat(400), "endobj", ">", "<</A 1>"]
        {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn deep_nesting_is_refused() {
        assert_eq!(read(&"[".repeat(100_000)), Err(ParseError::Limit("levels of nesting")));
        assert_eq!(read(&"<</A".repeat(100_000)), Err(ParseError::Limit("levels of nesting")));
    }

    #[test]
    fn duplicate_keys_are_noticed_at_any_depth() {
        let mut parser = Parser::complete(b"<</A 1/B<</C 1/#43 2>>>>", 0);
        parser.value().unwrap();
        assert_eq!(parser.duplicate_key.as_deref(), Some(b"C".as_slice()));
    }

    /// A slice that ends inside an object asks for more, whatever it ends in; it never gives another object.
    #[test]
    fn cut_objects_ask_for_more() {
        let text = b"12 0 obj <</A 1 0 R/B(x)/C<41>/D[1 2 R]/E 12>> endobj ";
        for len in 0..text.len() {
            let mut parser = Parser::partial(&text[..len]);
            let result = parser.object_header().and_then(|_| parser.value()).and_then(|_| parser.keyword("endobj"));
            assert_eq!(result, Err(ParseError::Cut), "{len}");
        }
    }

    proptest! {
        #[test]
        fn parser_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Parser::complete(&bytes, 0).value();
            let _ = Parser::partial(&bytes).value();
        }

        #[test]
        fn parser_never_panics_on_near_objects(text in "[<>\\[\\]()/%R0-9a-f#\\\\ \r\n+.-]{0,80}") {
            let _ = read(&text);
        }
    }
}
