//! A package: files by name, each inflated and hashed once.
//!
//! A page is read for what it names and again for its digest. Once [`Package::hash_what_is_read`] was called, what was read whole for the
//! one waits in memory for the other, and several files are hashed side by side ([`sm3_lanes::hash_many`]).

use std::collections::{BTreeSet, HashMap, HashSet};
use std::io::{Read, Seek};

use super::entry_reader::EntryReader;
use super::xml::{self, Element, MAX_XML};
use super::zip_read::{Directory, Entry};
use super::zip_write::PackageWriter;
use super::{OfdError, PackagePath, Tolerance, ToleranceKind};
use crate::document::DocumentError;
use crate::sm::{Sm3, Sm3Digest};

/// Tolerances noted of one package. A hostile one can spell a name in more ways than memory holds; nobody reads a thousand.
const MAX_TOLERANCES: usize = 1_000;

/// Bytes of files that wait to be hashed side by side: eight lanes full of the largest that may wait.
const BATCH: usize = 8 * MAX_IN_BATCH as usize;
/// Largest file that waits in memory; larger ones are hashed as they are inflated. Pages have 100 KB, pictures on them a few hundred.
const MAX_IN_BATCH: u64 = 512 << 10;

/// The files of a package. Opening reads and checks every header and none of the contents.
pub struct Package<R> {
    source: R,
    directory: Directory,
    /// By place in the directory; why there is none for a damaged entry.
    digests: HashMap<usize, Result<Sm3Digest, &'static str>>,
    waiting: Box<Waiting>,
    tolerances: BTreeSet<Tolerance>,
}

/// Contents that wait to be hashed.
#[derive(Default)]
struct Waiting {
    /// By place in the directory.
    contents: HashMap<usize, Vec<u8>>,
    bytes: usize,
    /// Whether XML files that are read come here.
    takes_what_is_read: bool,
}

impl<R: Read + Seek> Package<R> {
    /// Opens a package and checks its whole ZIP structure; nothing is inflated yet.
    pub fn open(mut source: R) -> Result<Self, OfdError> {
        let mut directory = Directory::read(&mut source)?;
        let noted = std::mem::take(&mut directory.tolerances);
        let mut package =
            Self { source, directory, digests: HashMap::new(), waiting: Box::default(), tolerances: BTreeSet::new() };
        noted.into_iter().for_each(|tolerance| package.note(tolerance));
        Ok(package)
    }

    /// The files (directories left out), in the order of the ZIP directory.
    pub fn files(&self) -> impl Iterator<Item = &PackagePath> {
        self.directory.entries.iter().filter(|entry| !entry.is_directory).map(|entry| &entry.path)
    }

    /// The file that a path names: itself, or the one whose name differs only in case (then a tolerance is noted). `None` when
    /// there is none.
    pub fn find(&mut self, path: &PackagePath) -> Option<PackagePath> {
        let found = self.directory.find(path)?.1.path.clone();
        if found != *path {
            self.tolerate(path, ToleranceKind::CaseFolded);
        }
        Some(found)
    }

    /// Folded names of what is directly in a directory (`/Doc_0`, or empty for the root).
    pub(super) fn names_in(&self, directory: &str) -> HashSet<String> {
        let directory = super::path::fold(&format!("{directory}/"));
        let name = |entry: &Entry| entry.path.folded().strip_prefix(&directory)?.split('/').next().map(str::to_owned);
        self.directory.entries.iter().filter_map(name).collect()
    }

    /// Length of a file's contents as its headers declare it; reading checks it.
    pub fn length(&self, path: &PackagePath) -> Result<u64, OfdError> {
        Ok(self.entry(path)?.1.size)
    }

    /// A file's contents whole, at most `limit` bytes.
    pub fn read(&mut self, path: &PackagePath, limit: u64) -> Result<Vec<u8>, OfdError> {
        let length = self.length(path)?;
        if length > limit {
            return Err(OfdError::Limit { subject: path.to_string(), what: "bytes", limit });
        }
        // What the headers declare is not believed beyond a page's length.
        let mut bytes = Vec::with_capacity(length.min(MAX_IN_BATCH) as usize);
        self.reader(path)?.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// A file's contents as a stream. Its last read fails when length or CRC are not as declared; an [`OfdError`] inside the
    /// `io::Error` says so.
    pub fn reader(&mut self, path: &PackagePath) -> Result<impl Read, OfdError> {
        let entry = find(&self.directory, path)?.1;
        EntryReader::new(&mut self.source, entry)
    }

    /// From now on the digests of XML files that are read will be asked for.
    pub(super) fn hash_what_is_read(&mut self) {
        self.waiting.takes_what_is_read = true;
    }

    /// SM3 of a file's contents. Computed once, and kept.
    pub fn digest(&mut self, path: &PackagePath) -> Result<Sm3Digest, OfdError> {
        let (index, entry) = self.entry(path)?;
        if self.waiting.contents.contains_key(&index) {
            self.hash_waiting();
            return self.digest(path);
        }
        if let Some(known) = self.digests.get(&index) {
            return known.map_err(|what| OfdError::EntryDamaged { name: entry.name(), what });
        }
        let digest = self.reader(path).and_then(sm3_of);
        match &digest {
            Ok(digest) => drop(self.digests.insert(index, Ok(*digest))),
            Err(OfdError::EntryDamaged { what, .. }) => drop(self.digests.insert(index, Err(what))),
            Err(_) => {}
        }
        digest
    }

    /// Computes the digests of those of the files that are there, several at a time, for [`Self::digest`] to give. What goes wrong is told
    /// there.
    pub(super) fn digest_together<'p>(&mut self, paths: impl IntoIterator<Item = &'p PackagePath>) {
        for path in paths {
            let Some((index, entry)) = self.directory.find(path) else { continue };
            if entry.size <= MAX_IN_BATCH
                && !self.digests.contains_key(&index)
                && !self.waiting.contents.contains_key(&index)
                && let Ok(bytes) = self.read(path, MAX_IN_BATCH)
            {
                self.hash_later(index, bytes);
            }
        }
        self.hash_waiting();
    }

    fn hash_later(&mut self, index: usize, bytes: Vec<u8>) {
        self.waiting.bytes += bytes.len();
        self.waiting.contents.insert(index, bytes);
        if self.waiting.bytes >= BATCH {
            self.hash_waiting();
        }
    }

    fn hash_waiting(&mut self) {
        let contents = std::mem::take(&mut self.waiting.contents);
        let inputs: Vec<&[u8]> = contents.values().map(Vec::as_slice).collect();
        let digests = sm3_lanes::hash_many(&inputs).into_iter().map(|digest| Ok(Sm3Digest(digest)));
        self.digests.extend(contents.keys().copied().zip(digests));
        self.waiting.bytes = 0;
    }

    /// What was let pass so far, by name, without repetition; `Further` stands for those
    /// beyond a thousand.
    pub fn tolerances(&self) -> impl Iterator<Item = &Tolerance> {
        self.tolerances.iter()
    }

    pub(super) fn tolerate(&mut self, path: &PackagePath, kind: ToleranceKind) {
        self.note(Tolerance { path: path.to_string(), kind });
    }

    fn note(&mut self, tolerance: Tolerance) {
        let tolerance = match self.tolerances.len() {
            0..MAX_TOLERANCES => tolerance,
            _ => Tolerance { path: PackagePath::entry_file().to_string(), kind: ToleranceKind::Further },
        };
        self.tolerances.insert(tolerance);
    }

    /// The file that `location`, as it stands in the file `base`, names. It need not exist; where it does, the result is its name.
    pub fn locate(&mut self, base: &PackagePath, location: &str) -> Result<PackagePath, OfdError> {
        let Some(path) = base.resolve(location) else {
            return Err(OfdError::Location { path: base.clone(), location: shorten(location) });
        };
        if super::path::has_backslash(location) {
            self.tolerate(base, ToleranceKind::BackslashPath);
        }
        Ok(self.find(&path).unwrap_or(path))
    }

    /// The file that a resource list names: below the list's `BaseLoc`, else beside the list (some products forget it).
    pub fn resource(&mut self, list: &PackagePath, below: &str, location: &str) -> Option<PackagePath> {
        let proper = if below.is_empty() || location.trim_start().starts_with(['/', '\\']) {
            self.locate(list, location).ok()?
        } else {
            self.locate(list, &format!("{below}/{}", location.trim())).ok()?
        };
        if self.find(&proper).is_none()
            && let Ok(beside) = self.locate(list, location)
            && self.find(&beside).is_some()
        {
            self.tolerate(list, ToleranceKind::ResourceBeside);
            return Some(beside);
        }
        Some(proper)
    }

    /// Copies every entry but those in `without`, byte for byte, in their order in the file.
    pub(super) fn copy_to(&mut self, out: &mut PackageWriter<'_>, without: &[&PackagePath]) -> Result<(), DocumentError> {
        let mut order: Vec<&Entry> = self.directory.entries.iter().filter(|entry| !without.contains(&&entry.path)).collect();
        order.sort_by_key(|entry| entry.start);
        order.into_iter().try_for_each(|entry| out.copy(&mut self.source, entry))
    }

    /// An XML file whose root element must be `root`; what stands inside elements named in `skip` is not kept.
    pub fn xml(&mut self, path: &PackagePath, root: &str, skip: &[&str]) -> Result<Element, OfdError> {
        let bytes = self.read(path, MAX_XML)?;
        let parsed = xml::parse(path, &bytes, root, skip).map(|document| (document.root, document.tolerances));
        if self.waiting.takes_what_is_read && bytes.len() as u64 <= MAX_IN_BATCH {
            let index = self.entry(path)?.0;
            if !self.digests.contains_key(&index) && !self.waiting.contents.contains_key(&index) {
                self.hash_later(index, bytes);
            }
        }
        let (root, tolerances) = parsed?;
        for kind in tolerances {
            self.tolerate(path, kind);
        }
        Ok(root)
    }

    fn entry(&self, path: &PackagePath) -> Result<(usize, &Entry), OfdError> {
        find(&self.directory, path)
    }
}

fn sm3_of(mut reader: impl Read) -> Result<Sm3Digest, OfdError> {
    let mut sm3 = Sm3::new();
    let mut buffer = vec![0; 64 << 10];
    loop {
        match reader.read(&mut buffer)? {
            0 => return Ok(sm3.finish()),
            read => sm3.update(&buffer[..read]),
        }
    }
}

fn find<'a>(directory: &'a Directory, path: &PackagePath) -> Result<(usize, &'a Entry), OfdError> {
    directory.find(path).ok_or_else(|| OfdError::MissingFile { path: path.clone() })
}

/// As much of a hostile value as an error message should repeat.
pub(super) fn shorten(value: &str) -> String {
    const MAX: usize = 80;
    match value.char_indices().nth(MAX) {
        Some((end, _)) => format!("{}…", &value[..end]),
        None => value.to_owned(),
    }
}
