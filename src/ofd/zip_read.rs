//! The ZIP structure of a package, read so strictly that no other reader can see another package in the same bytes.
//!
//! Written here and not taken from a crate because those read the directory alone, or the entries' own headers alone, and this is about
//! the two agreeing: every byte of the file must belong to exactly one entry, one directory record or the end record. Entries may be
//! stored or deflated ([`super::entry_reader`]).
//!
//! Offsets in comments are those of APPNOTE.TXT 6.3.10, sections 4.3.7, 4.3.9, 4.3.12, 4.3.14 to 4.3.16.

use std::collections::HashMap;
use std::io::{BufReader, Read, Seek, SeekFrom};

use super::path::{PackagePath, fold, has_drive_or_scheme};
use super::{NameFault, OfdError, Tolerance, ToleranceKind};

/// Bytes of a package. A signed copy grows by a few megabytes and must stay below the 4 GiB that plain ZIP offsets reach.
const MAX_PACKAGE: u64 = 3 << 30;
/// Entries. 5000 pages with content, annotations and several pictures each; a record here takes about 200 bytes of memory.
const MAX_ENTRIES: u64 = 50_000;
/// Bytes of one name. The longest met in real files has 80; Windows cannot unpack more than 260.
const MAX_NAME: usize = 512;
/// Bytes of the directory. The largest count of entries with names and extra fields as real products write them takes 10 MiB.
const MAX_DIRECTORY: u64 = 32 << 20;
/// Inflated bytes of one entry: an attachment may be a video.
const MAX_ENTRY: u64 = 1 << 30;
/// Inflated bytes of all entries: what hashing everything once may cost, some seconds.
const MAX_TOTAL: u64 = 2 << 30;
/// How many times larger than the package its inflated entries may be. Repetitive page XML reaches 50; deflate can reach 1032.
const MAX_RATIO: u64 = 200;
/// Inflated bytes that are never a question of ratio: small packages of white pictures.
const FREE_OF_RATIO: u64 = 64 << 20;

const LOCAL: u32 = 0x0403_4b50;
const CENTRAL: u32 = 0x0201_4b50;
const END: u32 = 0x0605_4b50;
const END64_LOCATOR: u32 = 0x0706_4b50;
const END64: u32 = 0x0606_4b50;
const DESCRIPTOR: u32 = 0x0807_4b50;
pub(super) const ZIP64_EXTRA: u16 = 0x0001;
const UNICODE_PATH_EXTRA: u16 = 0x7075;

/// Encrypted, or strongly encrypted, or with a masked directory (bits 0, 6, 13).
const FLAGS_ENCRYPTED: u16 = 1 | 1 << 6 | 1 << 13;
/// Sizes and CRC follow the data (bit 3).
const FLAG_DESCRIPTOR: u16 = 1 << 3;
/// A patch against another file (bit 5).
const FLAG_PATCH: u16 = 1 << 5;
/// The name is UTF-8 (bit 11).
const FLAG_UTF8: u16 = 1 << 11;

/// A file or directory of a package.
#[derive(Debug)]
pub(super) struct Entry {
    /// Decoded, slashes forward.
    pub(super) path: PackagePath,
    pub(super) is_directory: bool,
    pub(super) deflated: bool,
    pub(super) compressed: u64,
    pub(super) size: u64,
    pub(super) crc: u32,
    /// Where its own header begins.
    pub(super) start: u64,
    /// Where its data begins.
    pub(super) data: u64,
    /// Where the next entry begins: past data and descriptor.
    pub(super) end: u64,
    /// Where its directory record begins.
    pub(super) record: u64,
}

impl Entry {
    pub(super) fn name(&self) -> String {
        self.path.entry_name().to_owned()
    }

    fn mismatch(&self, field: &'static str) -> OfdError {
        OfdError::HeaderMismatch { name: self.name(), field }
    }
}

/// All entries of a package.
#[derive(Debug)]
pub(super) struct Directory {
    /// In the order of the ZIP directory.
    pub(super) entries: Vec<Entry>,
    /// By folded path.
    by_path: HashMap<Box<str>, u32>,
    /// Tolerated names.
    pub(super) tolerances: Vec<Tolerance>,
}

impl Directory {
    pub(super) fn read<R: Read + Seek>(source: &mut R) -> Result<Self, OfdError> {
        let length = source.seek(SeekFrom::End(0))?;
        if length > MAX_PACKAGE {
            return Err(limit("package", "bytes", MAX_PACKAGE));
        }
        let end = EndRecord::find(source, length)?;
        let (mut entries, raw_names, tolerances) = read_records(source, &end)?;
        let mut order: Vec<usize> = (0..entries.len()).collect();
        order.sort_by_key(|i| entries[*i].start);
        let mut position = 0;
        for (n, &i) in order.iter().enumerate() {
            let next = order.get(n + 1).map_or(end.directory, |j| entries[*j].start);
            let entry = &mut entries[i];
            if entry.start > position {
                return Err(OfdError::StrayBytes { offset: position, length: entry.start - position });
            }
            if entry.start < position {
                return Err(OfdError::OverlappingEntry { name: entry.name() });
            }
            check_local_header(source, entry, &raw_names[i], next)?;
            position = entry.end;
        }
        if position < end.directory {
            return Err(OfdError::StrayBytes { offset: position, length: end.directory - position });
        }
        let by_path = index(&entries)?;
        check_sizes(&entries, length)?;
        Ok(Self { entries, by_path, tolerances })
    }

    /// The entry of that path, or the one whose path differs from it only in case: there is at most one.
    pub(super) fn find(&self, path: &PackagePath) -> Option<(usize, &Entry)> {
        let index = *self.by_path.get(path.folded().as_str())? as usize;
        let entry = &self.entries[index];
        (!entry.is_directory).then_some((index, entry))
    }
}

/// Where the directory is.
struct EndRecord {
    count: u64,
    directory: u64,
    directory_end: u64,
}

impl EndRecord {
    fn find<R: Read + Seek>(source: &mut R, length: u64) -> Result<Self, OfdError> {
        const SIZE: u64 = 22;
        let tail_start = length.saturating_sub(SIZE + u64::from(u16::MAX));
        source.seek(SeekFrom::Start(tail_start))?;
        let mut tail = Vec::new();
        source.by_ref().take(SIZE + u64::from(u16::MAX)).read_to_end(&mut tail)?;
        // The last signature in the file counts for every reader that searches backwards; a comment may not hide another.
        let at = tail
            .windows(4)
            .rposition(|bytes| bytes == END.to_le_bytes())
            .filter(|at| tail.len() - at >= SIZE as usize)
            .ok_or(OfdError::NotAPackage)?;
        let offset = tail_start + at as u64;
        let mut record = Fields(&tail[at + 4..]);
        let disks = (record.u16(), record.u16());
        let counts = (u64::from(record.u16()), u64::from(record.u16()));
        let size = u64::from(record.u32());
        let start = u64::from(record.u32());
        let comment = u64::from(record.u16());
        if offset + SIZE + comment > length {
            return Err(OfdError::DirectoryDamaged { what: "its end record is cut off" });
        }
        if offset + SIZE + comment < length {
            let offset = offset + SIZE + comment;
            return Err(OfdError::StrayBytes { offset, length: length - offset });
        }
        if disks != (0, 0) || counts.0 != counts.1 {
            return Err(OfdError::DirectoryDamaged { what: "it is split over several files" });
        }
        let mut end = Self { count: counts.0, directory: start, directory_end: offset };
        let mut declared = size;
        if let Some(end64) = End64::find(source, offset)? {
            let agrees = |plain: u64, saturated: u64, long: u64| plain == long || plain == saturated;
            if !agrees(counts.0, u64::from(u16::MAX), end64.count)
                || !agrees(size, u64::from(u32::MAX), end64.size)
                || !agrees(start, u64::from(u32::MAX), end64.start)
            {
                return Err(OfdError::DirectoryDamaged { what: "its two end records disagree" });
            }
            end = Self { count: end64.count, directory: end64.start, directory_end: end64.offset };
            declared = end64.size;
        }
        if end.count > MAX_ENTRIES {
            return Err(limit("package", "entries", MAX_ENTRIES));
        }
        if declared > MAX_DIRECTORY {
            return Err(limit("package", "bytes of ZIP directory", MAX_DIRECTORY));
        }
        match end.directory.checked_add(declared) {
            Some(found) if found == end.directory_end => Ok(end),
            Some(found) if found < end.directory_end => {
                Err(OfdError::StrayBytes { offset: found, length: end.directory_end - found })
            }
            _ => Err(OfdError::DirectoryDamaged { what: "it runs past its end" }),
        }
    }
}

struct End64 {
    offset: u64,
    count: u64,
    size: u64,
    start: u64,
}

impl End64 {
    /// The ZIP64 end record that a locator directly before the end record at `end` points to.
    fn find<R: Read + Seek>(source: &mut R, end: u64) -> Result<Option<Self>, OfdError> {
        const LOCATOR_SIZE: u64 = 20;
        const SIZE: u64 = 56;
        const DAMAGED: OfdError = OfdError::DirectoryDamaged { what: "its ZIP64 end record is malformed" };
        let Some(locator_at) = end.checked_sub(LOCATOR_SIZE) else { return Ok(None) };
        let locator: [u8; LOCATOR_SIZE as usize] = read_at(source, locator_at)?;
        let mut locator = Fields(&locator);
        if locator.u32() != END64_LOCATOR {
            return Ok(None);
        }
        let disk = locator.u32();
        let offset = locator.u64();
        if (disk, locator.u32()) != (0, 1) || offset.checked_add(SIZE) != Some(locator_at) {
            return Err(DAMAGED);
        }
        let record: [u8; SIZE as usize] = read_at(source, offset)?;
        let mut record = Fields(&record);
        let signature = record.u32();
        let rest = record.u64();
        record.skip(4); // versions
        let disks = (record.u32(), record.u32());
        let counts = (record.u64(), record.u64());
        if signature != END64 || rest != SIZE - 12 || disks != (0, 0) || counts.0 != counts.1 {
            return Err(DAMAGED);
        }
        Ok(Some(Self { offset, count: counts.0, size: record.u64(), start: record.u64() }))
    }
}

type Records = (Vec<Entry>, Vec<RawName>, Vec<Tolerance>);

/// What must be the same in the entry's own header.
struct RawName {
    bytes: Box<[u8]>,
    flags: u16,
    method: u16,
}

fn read_records<R: Read + Seek>(source: &mut R, end: &EndRecord) -> Result<Records, OfdError> {
    source.seek(SeekFrom::Start(end.directory))?;
    let mut source = BufReader::with_capacity(64 << 10, source).take(end.directory_end - end.directory);
    let mut records = Records::default();
    let mut position = end.directory;
    for _ in 0..end.count {
        let record = CentralRecord::read(&mut source)?;
        let (entry, raw) = record.check(position, &mut records.2)?;
        if entry.start >= end.directory {
            return Err(OfdError::EntryDamaged { name: entry.name(), what: "it begins behind the entries" });
        }
        position += record.length();
        records.0.push(entry);
        records.1.push(raw);
    }
    if position != end.directory_end {
        return Err(OfdError::DirectoryDamaged { what: "it holds more than it counts" });
    }
    Ok(records)
}

/// A record of the ZIP directory, as it stands there.
pub(super) struct CentralRecord {
    pub(super) fixed: [u8; 46],
    pub(super) name: Vec<u8>,
    pub(super) extra: Vec<u8>,
    pub(super) comment: Vec<u8>,
}

impl CentralRecord {
    pub(super) fn read(source: &mut impl Read) -> Result<Self, OfdError> {
        const CUT: OfdError = OfdError::DirectoryDamaged { what: "it is cut off" };
        let mut fixed = [0; 46];
        source.read_exact(&mut fixed).map_err(|_| CUT)?;
        let mut fields = Fields(&fixed);
        if fields.u32() != CENTRAL {
            return Err(OfdError::DirectoryDamaged { what: "a record does not begin where it should" });
        }
        fields.skip(24);
        let lengths = [fields.u16(), fields.u16(), fields.u16()];
        let mut part = |length: u16| {
            let mut bytes = vec![0; usize::from(length)];
            source.read_exact(&mut bytes).map_err(|_| CUT)?;
            Ok::<_, OfdError>(bytes)
        };
        Ok(Self { fixed, name: part(lengths[0])?, extra: part(lengths[1])?, comment: part(lengths[2])? })
    }

    fn length(&self) -> u64 {
        (self.fixed.len() + self.name.len() + self.extra.len() + self.comment.len()) as u64
    }

    /// The entry that this record, found at `position`, describes; its own header has not been looked at.
    fn check(&self, position: u64, tolerances: &mut Vec<Tolerance>) -> Result<(Entry, RawName), OfdError> {
        let mut fields = Fields(&self.fixed[8..]); // past signature and versions
        let flags = fields.u16();
        let method = fields.u16();
        fields.skip(4); // time and date
        let crc = fields.u32();
        let mut compressed = u64::from(fields.u32());
        let mut size = u64::from(fields.u32());
        fields.skip(6); // lengths
        let disk = fields.u16();
        fields.skip(2); // internal attributes
        let mode = fields.u32() >> 16;
        let mut start = u64::from(fields.u32());

        if self.name.len() > MAX_NAME {
            return Err(limit(&String::from_utf8_lossy(&self.name[..64]), "bytes of name", MAX_NAME as u64));
        }
        let (path, is_directory) = entry_path(&self.name, flags, tolerances)?;
        let name = || path.entry_name().to_owned();
        if flags & FLAGS_ENCRYPTED != 0 {
            return Err(OfdError::EncryptedEntry { name: name() });
        }
        let deflated = match method {
            0 => false,
            8 => true,
            method => return Err(OfdError::Method { name: name(), method }),
        };
        if flags & FLAG_PATCH != 0 || disk != 0 {
            return Err(OfdError::EntryDamaged { name: name(), what: "it is a patch or lies in another file" });
        }
        // File type bits of a Unix mode, whatever system the record names: regular, directory or none.
        match (mode >> 12, is_directory) {
            (0, _) | (0o10, _) | (0o4, true) => {}
            _ => return Err(OfdError::SpecialFile { name: name() }),
        }
        apply_zip64(&self.extra, [&mut size, &mut compressed, &mut start], &path)?;
        check_unicode_path(&self.extra, &path, is_directory)?;
        if (is_directory && size != 0) || (!deflated && compressed != size) {
            return Err(OfdError::EntryDamaged { name: name(), what: "its sizes contradict its kind" });
        }
        if size > MAX_ENTRY {
            return Err(limit(path.entry_name(), "inflated bytes", MAX_ENTRY));
        }
        let entry = Entry { path, is_directory, deflated, compressed, size, crc, start, data: 0, end: 0, record: position };
        Ok((entry, RawName { bytes: self.name.clone().into(), flags, method }))
    }
}

/// Compares the entry's own header with its directory record and finds where its data lies; `next` is where the next entry begins.
fn check_local_header<R: Read + Seek>(source: &mut R, entry: &mut Entry, raw: &RawName, next: u64) -> Result<(), OfdError> {
    let overlaps = |entry: &Entry| OfdError::OverlappingEntry { name: entry.name() };
    if next.saturating_sub(entry.start) < 30 {
        return Err(overlaps(entry));
    }
    let fixed: [u8; 30] = read_at(source, entry.start)?;
    let mut fields = Fields(&fixed);
    if fields.u32() != LOCAL {
        return Err(entry.mismatch("signature"));
    }
    fields.skip(2); // version
    let flags = fields.u16();
    let method = fields.u16();
    fields.skip(4); // time and date
    let crc = fields.u32();
    let mut compressed = u64::from(fields.u32());
    let mut size = u64::from(fields.u32());
    let name_length = usize::from(fields.u16());
    let extra_length = usize::from(fields.u16());

    if name_length != raw.bytes.len() {
        return Err(entry.mismatch("name"));
    }
    let mut variable = vec![0; name_length + extra_length];
    source.read_exact(&mut variable).map_err(|_| overlaps(entry))?;
    let (name, extra) = variable.split_at(name_length);
    if name != &*raw.bytes {
        return Err(entry.mismatch("name"));
    }
    // The UTF-8 flag may differ where it changes nothing (Suwell writes it in one place only).
    let meaning = FLAGS_ENCRYPTED | FLAG_DESCRIPTOR | FLAG_PATCH | if name.is_ascii() { 0 } else { FLAG_UTF8 };
    if (flags ^ raw.flags) & meaning != 0 {
        return Err(entry.mismatch("flags"));
    }
    if method != raw.method {
        return Err(entry.mismatch("method"));
    }
    apply_zip64(extra, [&mut size, &mut compressed, &mut 0], &entry.path)?;
    check_unicode_path(extra, &entry.path, entry.is_directory)?;
    let has_descriptor = flags & FLAG_DESCRIPTOR != 0;
    let agrees = |here: u64, there: u64| here == there || (has_descriptor && here == 0);
    if !agrees(u64::from(crc), u64::from(entry.crc)) {
        return Err(entry.mismatch("CRC"));
    }
    if !agrees(size, entry.size) || !agrees(compressed, entry.compressed) {
        return Err(entry.mismatch("size"));
    }

    entry.data = entry.start + (fixed.len() + variable.len()) as u64;
    let data_end = entry.data.checked_add(entry.compressed).ok_or_else(|| overlaps(entry))?;
    entry.end = data_end;
    if has_descriptor {
        entry.end = data_end + descriptor_length(source, entry, data_end, next)?;
    }
    if entry.end > next { Err(overlaps(entry)) } else { Ok(()) }
}

/// Length of the data descriptor at `at`, which must end at `next` and say what the directory says. Four forms exist: with and
/// without signature, sizes of 4 and of 8 bytes.
fn descriptor_length<R: Read + Seek>(source: &mut R, entry: &Entry, at: u64, next: u64) -> Result<u64, OfdError> {
    let Some(length @ (12 | 16 | 20 | 24)) = next.checked_sub(at) else {
        return Err(entry.mismatch("data descriptor"));
    };
    source.seek(SeekFrom::Start(at))?;
    let mut bytes = [0; 24];
    source.read_exact(&mut bytes[..length as usize])?;
    let mut fields = Fields(&bytes);
    if matches!(length, 16 | 24) && fields.u32() != DESCRIPTOR {
        return Err(entry.mismatch("data descriptor"));
    }
    let crc = fields.u32();
    let long = length >= 20;
    let mut size = || if long { fields.u64() } else { u64::from(fields.u32()) };
    let (compressed, size) = (size(), size());
    if (crc, compressed, size) == (entry.crc, entry.compressed, entry.size) {
        Ok(length)
    } else {
        Err(entry.mismatch("data descriptor"))
    }
}

/// Puts the values of a ZIP64 extra field in the place of saturated ones (APPNOTE 4.5.3: in this order, only those). A field beside
/// values that are not saturated must repeat them.
fn apply_zip64(extra: &[u8], values: [&mut u64; 3], path: &PackagePath) -> Result<(), OfdError> {
    let damaged = |what| OfdError::EntryDamaged { name: path.entry_name().to_owned(), what };
    let saturated = |value: &u64| *value == u64::from(u32::MAX);
    let Some(field) = extra_field(extra, ZIP64_EXTRA).map_err(damaged)? else {
        return if values.iter().any(|value| saturated(value)) { Err(damaged("its ZIP64 sizes are missing")) } else { Ok(()) };
    };
    let any_saturated = values.iter().any(|value| saturated(value));
    let mut longs = field.chunks_exact(8).map(|bytes| Fields(bytes).u64());
    for value in values {
        if saturated(value) {
            *value = longs.next().ok_or_else(|| damaged("its ZIP64 sizes are missing"))?;
        } else if !any_saturated && longs.next().is_some_and(|long| long != *value) {
            return Err(damaged("its ZIP64 sizes contradict the others"));
        }
    }
    if longs.next().is_some() { Err(damaged("its ZIP64 field is too long")) } else { Ok(()) }
}

/// An Info-ZIP Unicode name that differs from the name would be another file to the readers that prefer it.
fn check_unicode_path(extra: &[u8], path: &PackagePath, is_directory: bool) -> Result<(), OfdError> {
    let name = path.entry_name();
    let damaged = |what| OfdError::EntryDamaged { name: name.to_owned(), what };
    let Some(field) = extra_field(extra, UNICODE_PATH_EXTRA).map_err(damaged)? else { return Ok(()) };
    let other = field.get(5..).and_then(|bytes| std::str::from_utf8(bytes).ok());
    let other = other.map(|other| other.replace('\\', "/"));
    let other = other.as_deref().map(|other| if is_directory { other.trim_end_matches('/') } else { other });
    if other == Some(name) { Ok(()) } else { Err(OfdError::HeaderMismatch { name: name.to_owned(), field: "Unicode name" }) }
}

/// The contents of the extra field with that id; fails when fields overrun or the id is there twice.
pub(super) fn extra_field(mut extra: &[u8], id: u16) -> Result<Option<&[u8]>, &'static str> {
    let mut found = None;
    while extra.len() >= 4 {
        let mut fields = Fields(extra);
        let this = fields.u16();
        let length = usize::from(fields.u16());
        let Some(field) = extra.get(4..4 + length) else { return Err("an extra field is cut off") };
        if this == id && found.replace(field).is_some() {
            return Err("an extra field is there twice");
        }
        extra = &extra[4 + length..];
    }
    // Fewer than four bytes are padding of programs that align entries.
    if extra.iter().all(|byte| *byte == 0) { Ok(found) } else { Err("an extra field is cut off") }
}

/// Decodes a name and refuses what could mean another place than one inside the package.
fn entry_path(raw: &[u8], flags: u16, tolerances: &mut Vec<Tolerance>) -> Result<(PackagePath, bool), OfdError> {
    let lossy = || String::from_utf8_lossy(raw).into_owned();
    let fault = |fault| OfdError::Name { name: lossy(), fault };
    let mut tolerated = Vec::new();
    let mut name = match std::str::from_utf8(raw) {
        Ok(name) => {
            if flags & FLAG_UTF8 == 0 && !name.is_ascii() {
                tolerated.push(ToleranceKind::Utf8NameUnflagged);
            }
            name.to_owned()
        }
        Err(_) if flags & FLAG_UTF8 != 0 => return Err(fault(NameFault::Encoding)),
        Err(_) => {
            tolerated.push(ToleranceKind::GbkName);
            let decoded = encoding_rs::GBK.decode_without_bom_handling_and_without_replacement(raw);
            decoded.ok_or_else(|| fault(NameFault::Encoding))?.into_owned()
        }
    };
    if name.contains('\\') {
        tolerated.push(ToleranceKind::BackslashName);
        name = name.replace('\\', "/");
    }
    if name.chars().any(char::is_control) {
        return Err(fault(NameFault::ControlCharacter));
    }
    if name.starts_with('/') || has_drive_or_scheme(&name) {
        return Err(fault(NameFault::Absolute));
    }
    let is_directory = name.ends_with('/');
    let name = name.strip_suffix('/').unwrap_or(&name);
    for part in name.split('/') {
        match part {
            "" => return Err(fault(NameFault::EmptyPart)),
            "." | ".." => return Err(fault(NameFault::Traversal)),
            _ => {}
        }
    }
    tolerances.extend(tolerated.into_iter().map(|kind| Tolerance { path: format!("/{name}"), kind }));
    Ok((PackagePath::from_entry_name(name), is_directory))
}

fn index(entries: &[Entry]) -> Result<HashMap<Box<str>, u32>, OfdError> {
    let mut by_path = HashMap::with_capacity(entries.len());
    for (i, entry) in entries.iter().enumerate() {
        if let Some(twin) = by_path.insert(fold(entry.path.as_str()).into_boxed_str(), i as u32) {
            return Err(OfdError::DuplicateName { name: entry.name(), twin: entries[twin as usize].name() });
        }
    }
    Ok(by_path)
}

fn check_sizes(entries: &[Entry], package: u64) -> Result<(), OfdError> {
    let total: u64 = entries.iter().map(|entry| entry.size).sum(); // 50 000 times 1 GiB: no overflow
    if total > MAX_TOTAL {
        return Err(limit("package", "inflated bytes", MAX_TOTAL));
    }
    if total > FREE_OF_RATIO && total / MAX_RATIO > package {
        return Err(limit("package", "times its size when inflated", MAX_RATIO));
    }
    Ok(())
}

/// Little-endian fields, one after another, of a buffer whose length the caller has fixed.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut value = [0; N];
        value.copy_from_slice(&self.0[..N]);
        self.0 = &self.0[N..];
        value
    }

    fn u16(&mut self) -> u16 {
        u16::from_le_bytes(self.bytes())
    }

    fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.bytes())
    }

    fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.bytes())
    }

    fn skip(&mut self, count: usize) {
        self.0 = &self.0[count..];
    }
}

fn read_at<R: Read + Seek, const N: usize>(source: &mut R, offset: u64) -> Result<[u8; N], OfdError> {
    source.seek(SeekFrom::Start(offset))?;
    let mut bytes = [0; N];
    source.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn limit(subject: &str, what: &'static str, limit: u64) -> OfdError {
    OfdError::Limit { subject: subject.to_owned(), what, limit }
}
