//! Writing a package: entries of another one copied as they are, new ones deflated. Strict: UTF-8 names, sizes in the headers, no
//! data descriptors, no ZIP64 (a package read here is at most 3 GiB), one fixed time, so that the same input gives the same bytes.

use std::io::{self, Read, Seek, SeekFrom, Write};

use flate2::write::DeflateEncoder;
use flate2::{Compression, Crc};

use super::zip_read::{CentralRecord, Entry, extra_field};
use super::{OfdError, PackagePath};
use crate::document::DocumentError;

/// 1980-01-01 00:00, the first moment that a ZIP can name. (Times belong to the document, not to its package.)
const EPOCH: u32 = 0x0021_0000;
const VERSION: u16 = 20;
const FLAG_UTF8: u16 = 1 << 11;
const METHOD_DEFLATE: u16 = 8;

/// A package being written.
pub(super) struct PackageWriter<'a> {
    out: &'a mut dyn Write,
    position: u64,
    records: Vec<u8>,
    count: u16,
}

impl<'a> PackageWriter<'a> {
    pub(super) fn new(out: &'a mut dyn Write) -> Self {
        Self { out, position: 0, records: Vec::new(), count: 0 }
    }

    /// Copies an entry of `source` byte for byte: header, data, descriptor.
    pub(super) fn copy<R: Read + Seek>(&mut self, source: &mut R, entry: &Entry) -> Result<(), DocumentError> {
        source.seek(SeekFrom::Start(entry.record)).map_err(OfdError::from)?;
        let record = CentralRecord::read(&mut io::BufReader::with_capacity(1 << 10, &mut *source))?;
        self.copy_record(&record, entry)?;
        source.seek(SeekFrom::Start(entry.start)).map_err(OfdError::from)?;
        let mut left = entry.end - entry.start;
        let mut buffer = vec![0; 64 << 10];
        while left > 0 {
            let length = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            source.read_exact(&mut buffer[..length]).map_err(OfdError::from)?;
            self.put(&buffer[..length])?;
            left -= length as u64;
        }
        Ok(())
    }

    /// The directory record of a copied entry: as it was, but for its place and for sizes that ZIP64 had moved.
    fn copy_record(&mut self, record: &CentralRecord, entry: &Entry) -> Result<(), DocumentError> {
        let extra = without_zip64(&record.extra);
        let start = self.begin_record()?;
        let mut fixed = record.fixed;
        fixed[20..24].copy_from_slice(&plain(entry.compressed)?.to_le_bytes());
        fixed[24..28].copy_from_slice(&plain(entry.size)?.to_le_bytes());
        fixed[30..32].copy_from_slice(&(extra.len() as u16).to_le_bytes()); // shorter than it was
        fixed[42..46].copy_from_slice(&start.to_le_bytes());
        for part in [fixed.as_slice(), &record.name, &extra, &record.comment] {
            self.records.extend_from_slice(part);
        }
        Ok(())
    }

    /// Adds a file.
    pub(super) fn add(&mut self, path: &PackagePath, bytes: &[u8]) -> Result<(), DocumentError> {
        let mut deflated = DeflateEncoder::new(Vec::new(), Compression::default());
        let deflated = deflated.write_all(bytes).and_then(|()| deflated.finish()).map_err(DocumentError::Write)?;
        let mut crc = Crc::new();
        crc.update(bytes);
        let start = self.begin_record()?;

        let name = path.entry_name().as_bytes();
        let name_length = u16::try_from(name.len()).map_err(|_| too_large())?;
        let mut shared = Vec::with_capacity(26); // the fields that both headers have, in the same order
        for field in [VERSION, FLAG_UTF8, METHOD_DEFLATE] {
            shared.extend(field.to_le_bytes());
        }
        for field in [EPOCH, crc.sum(), plain(deflated.len() as u64)?, plain(bytes.len() as u64)?] {
            shared.extend(field.to_le_bytes());
        }
        shared.extend(name_length.to_le_bytes());
        shared.extend([0; 2]); // no extra field

        self.records.extend(b"PK\x01\x02");
        self.records.extend(VERSION.to_le_bytes());
        self.records.extend(&shared);
        self.records.extend([0; 10]); // no comment, disk 0, no attributes
        self.records.extend(start.to_le_bytes());
        self.records.extend(name);
        for part in [b"PK\x03\x04", shared.as_slice(), name, &deflated] {
            self.put(part)?;
        }
        Ok(())
    }

    /// Writes the directory.
    pub(super) fn finish(mut self) -> Result<(), DocumentError> {
        let start = plain(self.position)?;
        let records = std::mem::take(&mut self.records);
        self.put(&records)?;
        let mut end = Vec::with_capacity(22);
        end.extend(b"PK\x05\x06\0\0\0\0");
        end.extend(self.count.to_le_bytes());
        end.extend(self.count.to_le_bytes());
        end.extend(plain(records.len() as u64)?.to_le_bytes());
        end.extend(start.to_le_bytes());
        end.extend([0; 2]);
        self.put(&end)
    }

    /// Counts one more entry and gives its place.
    fn begin_record(&mut self) -> Result<u32, DocumentError> {
        self.count = self.count.checked_add(1).filter(|count| *count < u16::MAX).ok_or_else(too_large)?;
        plain(self.position)
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), DocumentError> {
        self.out.write_all(bytes).map_err(DocumentError::Write)?;
        self.position += bytes.len() as u64;
        Ok(())
    }
}

/// A value that fits a ZIP without ZIP64: `u32::MAX` itself means "look elsewhere".
fn plain(value: u64) -> Result<u32, DocumentError> {
    u32::try_from(value).ok().filter(|value| *value != u32::MAX).ok_or_else(too_large)
}

fn too_large() -> DocumentError {
    OfdError::Limit { subject: "package".into(), what: "bytes in one ZIP without ZIP64", limit: u64::from(u32::MAX) }.into()
}

/// An extra field without its ZIP64 part. Reading has checked its form.
fn without_zip64(extra: &[u8]) -> Vec<u8> {
    let Ok(Some(zip64)) = extra_field(extra, super::zip_read::ZIP64_EXTRA) else { return extra.to_vec() };
    let start = zip64.as_ptr() as usize - extra.as_ptr() as usize - 4;
    [&extra[..start], &extra[start + 4 + zip64.len()..]].concat()
}
