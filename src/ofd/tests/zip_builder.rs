//! A ZIP writer that writes whatever it is told, lies included.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::DeflateEncoder;

/// An entry. `None` means the truth.
#[derive(Clone, Default)]
pub(super) struct RawEntry {
    pub(super) name: Vec<u8>,
    pub(super) data: Vec<u8>,
    pub(super) stored: bool,
    pub(super) flags: u16,
    pub(super) mode: u32,
    pub(super) method: Option<u16>,
    pub(super) crc: Option<u32>,
    pub(super) size: Option<u32>,
    pub(super) compressed: Option<Vec<u8>>,
    pub(super) compressed_size: Option<u32>,
    pub(super) extra: Vec<u8>,
    pub(super) offset: Option<u32>,
    pub(super) local_name: Option<Vec<u8>>,
    pub(super) local_flags: Option<u16>,
    pub(super) local_method: Option<u16>,
    pub(super) local_crc: Option<u32>,
    pub(super) local_sizes: Option<(u32, u32)>,
    pub(super) local_extra: Option<Vec<u8>>,
    /// Written behind the data.
    pub(super) descriptor: Vec<u8>,
    /// Junk between this entry and the next.
    pub(super) gap: Vec<u8>,
}

impl RawEntry {
    pub(super) fn new(name: impl AsRef<[u8]>, data: impl AsRef<[u8]>) -> Self {
        Self { name: name.as_ref().to_vec(), data: data.as_ref().to_vec(), ..Self::default() }
    }

    pub(super) fn deflated(&self) -> Vec<u8> {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(&self.data).unwrap();
        encoder.finish().unwrap()
    }
}

/// The frame around the entries.
#[derive(Clone, Default)]
pub(super) struct Frame {
    pub(super) prefix: Vec<u8>,
    pub(super) before_end: Vec<u8>,
    pub(super) comment: Vec<u8>,
    pub(super) suffix: Vec<u8>,
    pub(super) count: Option<u16>,
    pub(super) directory_size: Option<u32>,
    pub(super) directory_offset: Option<u32>,
    /// ZIP64 end record and locator with (count, size, offset); `None` in a place is the truth.
    pub(super) zip64: Option<[Option<u64>; 3]>,
}

pub(super) fn crc(data: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(data);
    crc.sum()
}

pub(super) fn zip(entries: &[RawEntry]) -> Vec<u8> {
    zip_in(entries, &Frame::default())
}

pub(super) fn zip_in(entries: &[RawEntry], frame: &Frame) -> Vec<u8> {
    let mut out = frame.prefix.clone();
    let mut directory = Vec::new();
    for entry in entries {
        let compressed =
            entry.compressed.clone().unwrap_or_else(|| if entry.stored { entry.data.clone() } else { entry.deflated() });
        let method = entry.method.unwrap_or(if entry.stored { 0 } else { 8 });
        let crc = entry.crc.unwrap_or_else(|| crc(&entry.data));
        let compressed_size = entry.compressed_size.unwrap_or(compressed.len() as u32);
        let size = entry.size.unwrap_or(entry.data.len() as u32);
        let start = out.len() as u32;
        let (local_compressed, local_size) = entry.local_sizes.unwrap_or((compressed_size, size));
        let local_name = entry.local_name.as_ref().unwrap_or(&entry.name);
        let local_extra = entry.local_extra.as_ref().unwrap_or(&entry.extra);
        out.extend(b"PK\x03\x04\x14\0");
        out.extend(entry.local_flags.unwrap_or(entry.flags).to_le_bytes());
        out.extend(entry.local_method.unwrap_or(method).to_le_bytes());
        out.extend([0, 0, 0x21, 0]);
        out.extend(entry.local_crc.unwrap_or(crc).to_le_bytes());
        out.extend(local_compressed.to_le_bytes());
        out.extend(local_size.to_le_bytes());
        out.extend((local_name.len() as u16).to_le_bytes());
        out.extend((local_extra.len() as u16).to_le_bytes());
        for part in [local_name, local_extra, &compressed, &entry.descriptor, &entry.gap] {
            out.extend(part);
        }
        directory.extend(b"PK\x01\x02\x14\x03\x14\0");
        directory.extend(entry.flags.to_le_bytes());
        directory.extend(method.to_le_bytes());
        directory.extend([0, 0, 0x21, 0]);
        directory.extend(crc.to_le_bytes());
        directory.extend(compressed_size.to_le_bytes());
        directory.extend(size.to_le_bytes());
        directory.extend((entry.name.len() as u16).to_le_bytes());
        directory.extend((entry.extra.len() as u16).to_le_bytes());
        directory.extend([0; 6]);
        directory.extend((entry.mode << 16).to_le_bytes());
        directory.extend(entry.offset.unwrap_or(start).to_le_bytes());
        directory.extend(&entry.name);
        directory.extend(&entry.extra);
    }
    let start = out.len() as u64;
    out.extend(&directory);
    out.extend(&frame.before_end);
    if let Some([count, size, offset]) = frame.zip64 {
        let at = out.len() as u64;
        out.extend(b"PK\x06\x06");
        out.extend(44u64.to_le_bytes());
        out.extend([45, 3, 45, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        let count = count.unwrap_or(entries.len() as u64);
        for value in [count, count, size.unwrap_or(directory.len() as u64), offset.unwrap_or(start)] {
            out.extend(value.to_le_bytes());
        }
        out.extend(b"PK\x06\x07\0\0\0\0");
        out.extend(at.to_le_bytes());
        out.extend(1u32.to_le_bytes());
    }
    let count = frame.count.unwrap_or(entries.len() as u16);
    out.extend(b"PK\x05\x06\0\0\0\0");
    out.extend(count.to_le_bytes());
    out.extend(count.to_le_bytes());
    out.extend(frame.directory_size.unwrap_or(directory.len() as u32).to_le_bytes());
    out.extend(frame.directory_offset.unwrap_or(start as u32).to_le_bytes());
    out.extend((frame.comment.len() as u16).to_le_bytes());
    out.extend(&frame.comment);
    out.extend(&frame.suffix);
    out
}
