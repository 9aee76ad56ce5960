//! Cross-reference tables and streams, and the chain they form (ISO 32000-1 7.5.4, 7.5.8).
//!
//! The sections are never merged: an object is looked up *as of* one section, which is how the file was when that section was its end.

use std::{
    collections::HashSet,
    io::{Read, Seek},
};

use super::{
    Ambiguity, Dict, MAX_ENTRIES, MAX_SECTIONS, Object, PdfError, Revision, Tolerance, filter, object::is_space, source::Source,
};

/// Index of a section, 0 the oldest. An object "as of" a section is seen through it and the older ones.
pub(super) type View = u16;

/// Where an object is.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Place {
    Free,
    /// Offset of its `n g obj`.
    At(u64),
    /// In an object stream.
    In {
        stream: u32,
        index: u32,
    },
}

/// One entry; `place` is packed so that an entry takes 16 bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub number: u32,
    pub section: View,
    pub generation: u16,
    packed: u64,
}

/// Most white space in one place of a cross-reference section, in bytes; else 10 000 sections could each make us read the whole file.
const MAX_SPACE: u64 = 4096;
const KIND_AT: u64 = 1 << 62;
const KIND_IN: u64 = 2 << 62;
/// From the stream of a hybrid section.
const HYBRID: u64 = 1 << 61;
const HALF: u32 = 30;

impl Entry {
    fn new(number: u32, section: View, generation: u16, place: Place, hybrid: bool) -> Result<Self, PdfError> {
        let packed = match place {
            Place::Free => 0,
            Place::At(offset) if offset < HYBRID => KIND_AT | offset,
            Place::In { stream, index } if stream < 1 << HALF && index < 1 << HALF => {
                KIND_IN | u64::from(stream) << HALF | u64::from(index)
            }
            _ => return Err(PdfError::Syntax { what: "a cross-reference entry out of range", offset: 0 }),
        };
        Ok(Self { number, section, generation, packed: packed | if hybrid { HYBRID } else { 0 } })
    }

    pub fn place(&self) -> Place {
        let value = self.packed & (HYBRID - 1);
        match self.packed >> 62 {
            1 => Place::At(value),
            2 => Place::In { stream: (value >> HALF) as u32, index: (value & ((1 << HALF) - 1)) as u32 },
            _ => Place::Free,
        }
    }

    fn is_hybrid(&self) -> bool {
        self.packed & HYBRID != 0
    }
}

/// One section of the chain.
#[derive(Debug)]
pub(super) struct Section {
    pub offset: u64,
    pub trailer: Dict,
    /// Whether it is a stream; a hybrid section counts as a table. An update must be of the same kind.
    pub is_stream: bool,
    /// Just after the `%%EOF` that follows it directly.
    pub eof: Option<u64>,
    prev: Option<u64>,
}

/// All sections, oldest first, and all entries by number and section.
#[derive(Debug)]
pub(super) struct Xref {
    pub sections: Vec<Section>,
    entries: Vec<Entry>,
    pub ambiguities: Vec<Ambiguity>,
    pub tolerances: Vec<Tolerance>,
    /// Just after the last `%%EOF`.
    pub end: u64,
}

impl Xref {
    /// Follows the chain from the last `startxref` of the file.
    pub fn read<R: Read + Seek>(source: &mut Source<R>) -> Result<Self, PdfError> {
        let len = source.len();
        let (start, end) = startxref_before(source, len)?
            .ok_or(PdfError::Syntax { what: "no startxref at the end of the file", offset: len })?;
        let mut xref = Self { sections: Vec::new(), entries: Vec::new(), ambiguities: Vec::new(), tolerances: Vec::new(), end };
        let mut seen = HashSet::new();
        let mut next = Some(start);
        while let Some(offset) = next {
            if !seen.insert(offset) {
                return Err(PdfError::Syntax { what: "the cross-reference chain is a circle", offset });
            }
            if xref.sections.len() == MAX_SECTIONS {
                return Err(PdfError::Limit("revisions"));
            }
            let section = xref.read_section(source, offset)?;
            next = section.prev;
            xref.sections.push(section);
        }
        xref.sections.reverse();
        let newest = xref.sections.len() as u16 - 1;
        xref.entries.iter_mut().for_each(|entry| entry.section = newest - entry.section);
        xref.entries.sort_unstable_by_key(|entry| (entry.number, entry.section, entry.is_hybrid(), entry.packed));
        xref.settle_doubles();
        xref.tolerances.sort_unstable_by_key(|tolerance| *tolerance as u8);
        xref.tolerances.dedup();
        Ok(xref)
    }

    /// Of two entries for a number in one section, the table's in use goes before the stream's (7.5.8.4); where readers would see
    /// different objects, that is noted.
    fn settle_doubles(&mut self) {
        for group in self.entries.chunk_by(|a, b| a.number == b.number) {
            let conflict = group.iter().enumerate().any(|(i, entry)| {
                let older = &group[..i];
                if entry.is_hybrid() {
                    // A reader that knows no streams sees the newest entry of a table.
                    let table = older.iter().rev().find(|e| !e.is_hybrid());
                    return table.is_some_and(|t| t.place() != Place::Free && t.place() != entry.place());
                }
                older.iter().any(|e| e.section == entry.section && e.place() != entry.place())
            });
            if conflict && self.ambiguities.len() < super::MAX_LISTED {
                self.ambiguities.push(Ambiguity::TwoPlaces(group[0].number));
            }
        }
        self.entries.dedup_by(|later, kept| {
            let same = later.number == kept.number && later.section == kept.section;
            if same && kept.place() == Place::Free {
                *kept = *later;
            }
            same
        });
    }

    /// The entries of one number, oldest first.
    pub fn group(&self, number: u32) -> &[Entry] {
        let start = self.entries.partition_point(|entry| entry.number < number);
        let len = self.entries[start..].iter().take_while(|entry| entry.number == number).count();
        &self.entries[start..start + len]
    }

    /// The entry of `number` as of `view`.
    pub fn lookup(&self, number: u32, view: View) -> Option<Entry> {
        let start = self.entries.partition_point(|entry| (entry.number, entry.section) <= (number, view));
        self.entries[..start].last().copied().filter(|entry| entry.number == number)
    }

    /// Where `number` is as of `view`.
    pub fn place(&self, number: u32, view: View) -> Place {
        self.lookup(number, view).map_or(Place::Free, |entry| entry.place())
    }

    /// All entries, by number and then section.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The newest section.
    pub fn newest(&self) -> View {
        (self.sections.len() - 1) as View
    }

    /// The states of the file. The two sections of a linearised file are one: the newer of them stands before the older.
    pub fn revisions(&self) -> Vec<(View, Revision)> {
        let mut revisions = Vec::new();
        for (i, section) in self.sections.iter().enumerate() {
            let linearised = self.sections.get(i + 1).is_some_and(|newer| newer.offset < section.offset);
            if !linearised {
                let older = i.checked_sub(1).map(|older| &self.sections[older]).filter(|s| s.offset > section.offset);
                let end = older.and_then(|older| older.eof).or(section.eof).unwrap_or(self.end);
                revisions.push((i as View, Revision { xref: section.offset, end }));
            }
        }
        revisions
    }

    fn push(&mut self, entry: Entry) -> Result<(), PdfError> {
        if self.entries.len() == MAX_ENTRIES {
            return Err(PdfError::Limit("objects"));
        }
        self.entries.push(entry);
        Ok(())
    }

    fn read_section<R: Read + Seek>(&mut self, source: &mut Source<R>, offset: u64) -> Result<Section, PdfError> {
        let section = self.sections.len() as View;
        let mut cursor = Cursor { source, at: offset };
        cursor.skip_space()?;
        if cursor.byte()? != Some(b'x') {
            let (trailer, at) = self.read_stream(source, offset, section, false)?;
            return Self::finish(source, offset, trailer, at, true);
        }
        cursor.expect(b"xref")?;
        self.read_table(&mut cursor, section)?;
        let at = cursor.at;
        let (trailer, at) = source.parse(at, |parser| parser.value())?;
        let Object::Dictionary(trailer) = trailer else {
            return Err(PdfError::Syntax { what: "a trailer that is no dictionary", offset: at });
        };
        match trailer.value("XRefStm") {
            Object::Null => {}
            Object::Integer(stream) if u64::try_from(*stream).is_ok() => {
                self.read_stream(source, *stream as u64, section, true)?;
            }
            _ => return Err(PdfError::Syntax { what: "XRefStm is no offset", offset: at }),
        }
        Self::finish(source, offset, trailer, at, false)
    }

    fn finish<R: Read + Seek>(
        source: &mut Source<R>,
        offset: u64,
        trailer: Dict,
        at: u64,
        is_stream: bool,
    ) -> Result<Section, PdfError> {
        let prev = match trailer.value("Prev") {
            Object::Null => None,
            // Some writers give a real number, and 0 for "none".
            Object::Integer(0) => None,
            Object::Integer(prev) if u64::try_from(*prev).is_ok() => Some(*prev as u64),
            _ => return Err(PdfError::Syntax { what: "Prev is no offset", offset }),
        };
        let mut cursor = Cursor { source, at };
        cursor.skip_space()?;
        let eof = cursor.end_of_revision()?;
        Ok(Section { offset, trailer, is_stream, eof, prev })
    }

    fn read_table<R: Read + Seek>(&mut self, cursor: &mut Cursor<'_, R>, section: View) -> Result<(), PdfError> {
        loop {
            cursor.skip_space()?;
            if cursor.byte()? == Some(b't') {
                return cursor.expect(b"trailer");
            }
            let first = cursor.number()?;
            let count = cursor.number()?;
            for number in first..first.saturating_add(count) {
                let offset = cursor.number()?;
                let generation = cursor.number()?;
                cursor.skip_space()?;
                let in_use = match cursor.byte()? {
                    Some(b'n') => true,
                    Some(b'f') => false,
                    _ => return cursor.syntax("a cross-reference entry is neither n nor f"),
                };
                cursor.at += 1;
                let Ok(number) = u32::try_from(number) else { return cursor.syntax("object number out of range") };
                let generation = match u16::try_from(generation) {
                    Ok(generation) => generation,
                    Err(_) if !in_use => {
                        self.tolerances.push(Tolerance::GenerationOutOfRange);
                        u16::MAX
                    }
                    Err(_) => return cursor.syntax("generation out of range"),
                };
                let place = match in_use {
                    true if offset == 0 => {
                        self.tolerances.push(Tolerance::UsedEntryAtZero);
                        Place::Free
                    }
                    true => Place::At(offset),
                    false => Place::Free,
                };
                self.push(Entry::new(number, section, generation, place, false)?)?;
                self.tolerances.dedup();
            }
        }
    }

    /// Reads a cross-reference stream; gives its dictionary and where its object ends.
    fn read_stream<R: Read + Seek>(
        &mut self,
        source: &mut Source<R>,
        offset: u64,
        section: View,
        hybrid: bool,
    ) -> Result<(Dict, u64), PdfError> {
        let bad = |what| PdfError::Syntax { what, offset };
        let (dict, data) = source.parse(offset, |parser| {
            parser.object_header()?;
            let value = parser.value()?;
            parser.keyword("stream")?;
            Ok(value)
        })?;
        let Object::Dictionary(dict) = dict else { return Err(bad("a stream without dictionary")) };
        if !dict.is("Type", "XRef") {
            return Err(bad("no cross-reference section where one should be"));
        }
        let data = stream_data(source, data)?;
        let length = dict.value("Length").integer().and_then(|n| u64::try_from(n).ok());
        let length = length.filter(|n| data.checked_add(*n).is_some_and(|end| end <= source.len()));
        let length = length.ok_or(bad("a cross-reference stream without direct length"))?;
        let widths: Vec<usize> = dict
            .value("W")
            .array()
            .and_then(|w| w.iter().map(|w| w.integer().and_then(|n| n.try_into().ok()).filter(|n| *n <= 8)).collect())
            .filter(|w: &Vec<usize>| w.len() == 3 && w.iter().sum::<usize>() > 0)
            .ok_or(bad("field widths of a cross-reference stream"))?;
        let ranges: Vec<u64> = match dict.value("Index") {
            Object::Null => dict.value("Size").integer().and_then(|n| n.try_into().ok()).map(|size| vec![0, size]),
            index => index.array().and_then(|index| index.iter().map(|n| n.integer().and_then(|n| n.try_into().ok())).collect()),
        }
        .filter(|ranges: &Vec<u64>| ranges.len().is_multiple_of(2))
        .ok_or(bad("Index of a cross-reference stream"))?;

        let mut rows = filter::decode(&dict, source.range(data, length)?)?;
        let mut row = vec![0; widths.iter().sum()];
        let mut inflated = 0;
        for range in ranges.chunks(2) {
            for number in range[0]..range[0].saturating_add(range[1]) {
                rows.read_exact(&mut row).map_err(PdfError::from_range)?;
                inflated += row.len() as u64;
                let mut fields = [1, 0, 0];
                let mut rest = row.as_slice();
                for (field, width) in fields.iter_mut().zip(&widths) {
                    let (digits, tail) = rest.split_at(*width);
                    if *width > 0 {
                        *field = digits.iter().fold(0u64, |n, digit| n << 8 | u64::from(*digit));
                    }
                    rest = tail;
                }
                let number = u32::try_from(number).map_err(|_| bad("object number out of range"))?;
                let half = |n: u64| u32::try_from(n).map_err(|_| bad("object number out of range"));
                let (place, generation) = match fields {
                    [0, _, _] => (Place::Free, 0),
                    [1, 0, _] => {
                        self.tolerances.push(Tolerance::UsedEntryAtZero);
                        self.tolerances.dedup();
                        (Place::Free, 0)
                    }
                    [1, at, generation] => (Place::At(at), generation.try_into().map_err(|_| bad("generation out of range"))?),
                    [2, stream, index] => (Place::In { stream: half(stream)?, index: half(index)? }, 0),
                    // 7.5.8.3: an unknown type is a reference to null.
                    _ => (Place::Free, 0),
                };
                self.push(Entry::new(number, section, generation, place, hybrid)?)?;
            }
        }
        drop(rows);
        source.work(inflated)?;
        let ((), end) = source.parse(data + length, |parser| {
            parser.keyword("endstream")?;
            parser.keyword("endobj")
        })?;
        Ok((dict, end))
    }
}

/// Where the data of a stream begins, given the offset after the keyword `stream`.
pub(super) fn stream_data<R: Read + Seek>(source: &mut Source<R>, keyword_end: u64) -> Result<u64, PdfError> {
    match source.at(keyword_end, 2)? {
        [b'\r', b'\n'] => Ok(keyword_end + 2),
        [b'\n', ..] => Ok(keyword_end + 1),
        _ => Err(PdfError::Syntax { what: "no end of line after the keyword stream", offset: keyword_end }),
    }
}

/// The offset that the last `startxref` before `end` gives, and where the `%%EOF` after it ends. Only white space may follow, and
/// all of it stands in the last 1 024 bytes (Annex H of Adobe's implementation notes).
pub(super) fn startxref_before<R: Read + Seek>(source: &mut Source<R>, end: u64) -> Result<Option<(u64, u64)>, PdfError> {
    let start = end.saturating_sub(1024);
    let tail = source.at(start, (end - start) as usize)?;
    let Some(at) = tail.windows(9).rposition(|word| word == b"startxref") else { return Ok(None) };
    let mut cursor = Cursor { source, at: start + at as u64 };
    let Some(eof) = cursor.end_of_revision()? else { return Ok(None) };
    if eof > end {
        return Ok(None);
    }
    let mut cursor = Cursor { source, at: start + at as u64 + 9 };
    Ok(Some((cursor.number()?, eof)))
}

/// Walks the file byte by byte.
struct Cursor<'a, R> {
    source: &'a mut Source<R>,
    at: u64,
}

impl<R: Read + Seek> Cursor<'_, R> {
    fn byte(&mut self) -> Result<Option<u8>, PdfError> {
        Ok(self.source.at(self.at, 1)?.first().copied())
    }

    fn syntax<T>(&self, what: &'static str) -> Result<T, PdfError> {
        Err(PdfError::Syntax { what, offset: self.at })
    }

    fn skip_space(&mut self) -> Result<(), PdfError> {
        let start = self.at;
        while self.byte()?.is_some_and(is_space) {
            self.at += 1;
            if self.at - start > MAX_SPACE {
                return self.syntax("too much white space");
            }
        }
        Ok(())
    }

    fn expect(&mut self, word: &'static [u8]) -> Result<(), PdfError> {
        if self.source.at(self.at, word.len())? != word {
            return self.syntax("another keyword than expected");
        }
        self.at += word.len() as u64;
        Ok(())
    }

    fn number(&mut self) -> Result<u64, PdfError> {
        self.skip_space()?;
        let mut number = 0u64;
        let start = self.at;
        while let Some(digit) = self.byte()?.filter(u8::is_ascii_digit) {
            number = number * 10 + u64::from(digit - b'0');
            self.at += 1;
            if self.at - start > 18 {
                return self.syntax("a number too long");
            }
        }
        if self.at == start {
            return self.syntax("a number is expected");
        }
        Ok(number)
    }

    /// `startxref N %%EOF` from here: where it ends. `None` where something else stands.
    fn end_of_revision(&mut self) -> Result<Option<u64>, PdfError> {
        if self.expect(b"startxref").is_err() || self.number().is_err() {
            return Ok(None);
        }
        self.skip_space()?;
        Ok(self.expect(b"%%EOF").is_ok().then_some(self.at))
    }
}
