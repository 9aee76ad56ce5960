//! Digests of the signed ranges of all signatures in one pass over the file.
//!
//! All first ranges start at byte 0, so one running digest serves them all: it is copied where a first range ends, and each copy
//! goes on over its second range, which in a file with many signatures is short.

use std::io::{Read, Seek};

use sha1::Sha1;
use sha2::{Digest as _, Sha256, Sha384, Sha512};

use crate::sm::Sm3;

use super::{ByteRange, Digests, PdfError, PdfSignature, source::Source};

/// Bytes read at once.
const CHUNK: usize = 64 << 10;

/// Which digests besides SM3 a signature may need.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Wanted {
    sha1: bool,
    sha256: bool,
    sha384: bool,
    sha512: bool,
}

impl Wanted {
    /// By the object identifiers of the algorithms that stand in the signed value: more than are used, never fewer.
    pub fn by(signature: &PdfSignature) -> Self {
        let holds = |oid: &[u8]| signature.contents.windows(oid.len()).any(|window| window == oid);
        Self {
            sha1: holds(b"\x06\x05\x2b\x0e\x03\x02\x1a") || signature.sub_filter.as_deref() == Some("adbe.pkcs7.sha1"),
            sha256: holds(b"\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01"),
            sha384: holds(b"\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x02"),
            sha512: holds(b"\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x03"),
        }
    }

    fn or(self, other: Self) -> Self {
        Self {
            sha1: self.sha1 || other.sha1,
            sha256: self.sha256 || other.sha256,
            sha384: self.sha384 || other.sha384,
            sha512: self.sha512 || other.sha512,
        }
    }
}

#[derive(Clone)]
struct Hashers {
    sm3: Sm3,
    sha1: Option<Sha1>,
    sha256: Option<Sha256>,
    sha384: Option<Sha384>,
    sha512: Option<Sha512>,
}

impl Hashers {
    fn new(wanted: Wanted) -> Self {
        Self {
            sm3: Sm3::new(),
            sha1: wanted.sha1.then(Sha1::new),
            sha256: wanted.sha256.then(Sha256::new),
            sha384: wanted.sha384.then(Sha384::new),
            sha512: wanted.sha512.then(Sha512::new),
        }
    }

    fn only(&self, wanted: Wanted) -> Self {
        Self {
            sm3: self.sm3.clone(),
            sha1: self.sha1.clone().filter(|_| wanted.sha1),
            sha256: self.sha256.clone().filter(|_| wanted.sha256),
            sha384: self.sha384.clone().filter(|_| wanted.sha384),
            sha512: self.sha512.clone().filter(|_| wanted.sha512),
        }
    }

    fn update(&mut self, bytes: &[u8]) {
        self.sm3.update(bytes);
        if let Some(hasher) = &mut self.sha1 {
            hasher.update(bytes);
        }
        if let Some(hasher) = &mut self.sha256 {
            hasher.update(bytes);
        }
        if let Some(hasher) = &mut self.sha384 {
            hasher.update(bytes);
        }
        if let Some(hasher) = &mut self.sha512 {
            hasher.update(bytes);
        }
    }

    fn finish(self) -> Digests {
        Digests {
            sm3: self.sm3.finish(),
            sha1: self.sha1.map(|hasher| hasher.finalize().into()),
            sha256: self.sha256.map(|hasher| hasher.finalize().into()),
            sha384: self.sha384.map(|hasher| hasher.finalize().into()),
            sha512: self.sha512.map(|hasher| hasher.finalize().into()),
        }
    }
}

/// A second range under way.
struct Running {
    label: usize,
    range: ByteRange,
    hashers: Hashers,
}

/// Digests each range, named by a label of the caller's.
pub(super) fn digest<R: Read + Seek>(
    source: &mut Source<R>,
    ranges: &[(usize, ByteRange, Wanted)],
) -> Result<Vec<(usize, Digests)>, PdfError> {
    let mut waiting = ranges.to_vec();
    waiting.sort_by_key(|(_, range, _)| std::cmp::Reverse(range.first_end));
    let all = ranges.iter().fold(Wanted::default(), |all, (_, _, wanted)| all.or(*wanted));
    let mut running: Vec<Running> = Vec::new();
    let mut done = Vec::with_capacity(ranges.len());
    let mut prefix = Hashers::new(all);
    let mut at = 0;
    while !waiting.is_empty() || !running.is_empty() {
        while let Some((label, range, wanted)) = waiting.pop_if(|(_, range, _)| range.first_end == at) {
            running.push(Running { label, range, hashers: prefix.only(wanted) });
        }
        let next = running
            .iter()
            .map(|r| if r.range.second_start > at { r.range.second_start } else { r.range.end })
            .chain(waiting.last().map(|(_, range, _)| range.first_end))
            .min()
            .unwrap_or(at);
        while at < next {
            let want = usize::try_from(next - at).unwrap_or(CHUNK).min(CHUNK);
            let active = running.iter().filter(|r| r.range.second_start <= at).count() + usize::from(!waiting.is_empty());
            // Digesting costs several times as much as reading.
            source.work((want * active) as u64)?;
            let bytes = source.at(at, want)?;
            if bytes.is_empty() {
                return Err(PdfError::Syntax { what: "the file became shorter", offset: at });
            }
            if !waiting.is_empty() {
                prefix.update(bytes);
            }
            running.iter_mut().filter(|r| r.range.second_start <= at).for_each(|r| r.hashers.update(bytes));
            at += bytes.len() as u64;
        }
        let (finished, rest) = running.into_iter().partition(|r| r.range.end <= at);
        running = rest;
        let finished: Vec<Running> = finished;
        done.extend(finished.into_iter().map(|r| (r.label, r.hashers.finish())));
    }
    Ok(done)
}
