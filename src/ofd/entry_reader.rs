//! The contents of one entry, held against what its headers say.

use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};

use flate2::Crc;
use flate2::bufread::DeflateDecoder;

use super::OfdError;
use super::zip_read::Entry;

/// An entry's contents. Reading past the end checks length and CRC, so a stream that ended without error is whole.
pub(super) struct EntryReader<'a, R> {
    data: Data<'a, R>,
    name: String,
    crc: Crc,
    expected_crc: u32,
    left: u64,
}

enum Data<'a, R> {
    Stored(io::Take<&'a mut R>),
    Deflated(DeflateDecoder<BufReader<io::Take<&'a mut R>>>),
}

impl<'a, R: Read + Seek> EntryReader<'a, R> {
    pub(super) fn new(source: &'a mut R, entry: &Entry) -> Result<Self, OfdError> {
        source.seek(SeekFrom::Start(entry.data))?;
        let raw = source.take(entry.compressed);
        let data = if entry.deflated {
            Data::Deflated(DeflateDecoder::new(BufReader::with_capacity(32 << 10, raw)))
        } else {
            Data::Stored(raw)
        };
        Ok(Self { data, name: entry.name(), crc: Crc::new(), expected_crc: entry.crc, left: entry.size })
    }

    fn damaged(&self, what: &'static str) -> io::Error {
        io::Error::other(OfdError::EntryDamaged { name: self.name.clone(), what })
    }

    /// What must hold once the contents are at their end.
    fn check_end(&mut self) -> io::Result<()> {
        if self.left != 0 {
            return Err(self.damaged("it is shorter than declared"));
        }
        if self.crc.sum() != self.expected_crc {
            return Err(self.damaged("its CRC differs"));
        }
        let unread = match &mut self.data {
            Data::Stored(raw) => raw.limit() != 0,
            Data::Deflated(decoder) => !decoder.get_mut().fill_buf()?.is_empty(),
        };
        if unread { Err(self.damaged("bytes follow the end of its compressed data")) } else { Ok(()) }
    }
}

impl<R: Read + Seek> Read for EntryReader<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let read = match &mut self.data {
            Data::Stored(raw) => raw.read(buffer)?,
            Data::Deflated(decoder) => decoder.read(buffer).map_err(|error| {
                if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof)
                {
                    let name = self.name.clone();
                    io::Error::other(OfdError::EntryDamaged { name, what: "it does not inflate" })
                } else {
                    error
                }
            })?,
        };
        if read == 0 {
            self.check_end()?;
            return Ok(0);
        }
        self.left = self.left.checked_sub(read as u64).ok_or_else(|| self.damaged("it is longer than declared"))?;
        self.crc.update(&buffer[..read]);
        Ok(read)
    }
}
