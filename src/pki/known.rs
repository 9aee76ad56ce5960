//! What was found out about certificates and seals, for the next document that carries the same ones.
//!
//! An archive holds the same few seals under a hundred thousand documents. Three things about them are functions of their bytes and of
//! nothing else, so they are remembered: a certificate as it was read, whether one certificate's key signed another certificate, and of
//! a seal its digest and whether its maker signed it.
//!
//! # Why this cannot make a wrong "valid"
//!
//! * Nothing that depends on trust, time or revocation is kept: no path, no validity, no verdict. Each document's paths are built and
//!   judged anew, at that document's times, under the trust store of its own [`Context`](crate::verify::Context).
//! * What is kept is found by the bytes it is about: certificates and seals by all their bytes, compared one by one; a pair of certificates
//!   by the SHA-256 of both, as paths tell them apart within one document too. A changed byte is another certificate, another seal.
//! * Both answers are kept, yes and no; neither can become the other, and forgetting one costs time only.
//! * What else decides within one document stays with the document: which certificates are candidates there, how many wrong signatures
//!   are looked at ([`PathFinder`](super::PathFinder) counts a wrong one the same whether it was known or not). So a report is the
//!   same, byte for byte, whatever was judged before; tests run the whole mutation table so, in both directions.
//!
//! A hostile file can only fill the memory with its own certificates and seals, and so push out others.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::certificate::{Certificate, CertificateError};
use crate::sm::{Sm3Digest, sm3};

/// Weight of the certificates kept, twice at most (see [`Generations`]): about 2 000 of 2 KB.
const CERTIFICATES: usize = 6 << 20;
/// Pairs of certificates: some 10 000, twice at most.
const LINKS: usize = 2 << 20;
/// Seals: 150 of 40 KB, twice at most. A city's departments have fewer.
const SEALS: usize = 6 << 20;

/// What is known of certificates and seals, for all threads of one run. Some 28 MB at most.
#[derive(Debug)]
pub struct Known {
    certificates: Answers<Result<Arc<Certificate>, CertificateError>>,
    links: Answers<bool>,
    seals: Answers<Arc<SealFacts>>,
}

impl Default for Known {
    fn default() -> Self {
        Self::new()
    }
}

impl Known {
    /// Nothing yet.
    pub fn new() -> Self {
        // What was read of a certificate weighs about as much as its bytes.
        Self { certificates: Answers::new(CERTIFICATES, 1024), links: Answers::new(LINKS, 128), seals: Answers::new(SEALS, 128) }
    }

    /// The certificate that `der` is.
    pub fn certificate(&self, der: &[u8]) -> Result<Arc<Certificate>, CertificateError> {
        self.certificates.recall(der, || Certificate::parse(der).map(Arc::new))
    }

    /// Whether `issuer`'s key signed `child`.
    pub fn is_issued_by(&self, child: &Certificate, issuer: &Certificate) -> bool {
        let pair = [*child.sha256(), *issuer.sha256()];
        self.links.recall(pair.as_flattened(), || child.verify_issued_by(issuer).is_ok())
    }

    /// The seal with these bytes.
    pub fn seal(&self, raw: &[u8]) -> Arc<SealFacts> {
        self.seals.recall(raw, || Arc::new(SealFacts { digest: sm3(raw), made_by_its_maker: OnceLock::new() }))
    }
}

/// What the bytes of a seal tell.
#[derive(Debug)]
pub struct SealFacts {
    digest: Sm3Digest,
    made_by_its_maker: OnceLock<bool>,
}

impl SealFacts {
    /// SM3 of the whole seal.
    pub fn digest(&self) -> &Sm3Digest {
        &self.digest
    }

    /// Whether its maker signed it. `check` must find it out from the seal's bytes alone: the maker's certificate, the signature and
    /// what is signed are all in them.
    pub fn is_made_by_its_maker(&self, check: impl FnOnce() -> bool) -> bool {
        *self.made_by_its_maker.get_or_init(check)
    }
}

/// Answers by the bytes that they are about.
#[derive(Debug)]
struct Answers<V> {
    /// Keyed by chance, so that nobody can make bytes that fall together.
    hash: RandomState,
    kept: Mutex<Generations<V>>,
}

impl<V: Clone> Answers<V> {
    /// `weight` is that of an answer beside the bytes.
    fn new(room: usize, weight: usize) -> Self {
        let kept = Generations { young: HashMap::new(), old: HashMap::new(), weight: 0, room, each: weight };
        Self { hash: RandomState::new(), kept: Mutex::new(kept) }
    }

    /// The answer that is kept, else the one that `find` gives. The lock is not held meanwhile: two threads may find out the same.
    fn recall(&self, bytes: &[u8], find: impl FnOnce() -> V) -> V {
        let place = self.hash.hash_one(bytes);
        // A thread that panicked left whole entries behind: each is put in by one call.
        if let Some(known) = self.kept.lock().unwrap_or_else(PoisonError::into_inner).find(place, bytes) {
            return known;
        }
        let found = find();
        let entry = Entry { bytes: bytes.into(), answer: found.clone() };
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).keep(place, entry);
        found
    }
}

#[derive(Debug)]
struct Entry<V> {
    bytes: Box<[u8]>,
    answer: V,
}

/// Forgets what was not asked for lately: when the young generation has its weight it becomes the old one, and what the old one held is
/// dropped; what is found in the old one is young again.
#[derive(Debug)]
struct Generations<V> {
    /// By a hash of the bytes, which only finds the place: an entry counts when all its bytes are the same.
    young: HashMap<u64, Entry<V>>,
    old: HashMap<u64, Entry<V>>,
    weight: usize,
    room: usize,
    each: usize,
}

impl<V: Clone> Generations<V> {
    fn find(&mut self, place: u64, bytes: &[u8]) -> Option<V> {
        if let Some(entry) = self.young.get(&place) {
            return (*entry.bytes == *bytes).then(|| entry.answer.clone());
        }
        let entry = self.old.remove(&place).filter(|entry| *entry.bytes == *bytes)?;
        let answer = entry.answer.clone();
        self.keep(place, entry);
        Some(answer)
    }

    fn keep(&mut self, place: u64, entry: Entry<V>) {
        let weight = entry.bytes.len() + self.each;
        if weight > self.room {
            return;
        }
        if self.weight + weight > self.room {
            self.old = std::mem::take(&mut self.young);
            self.weight = 0;
        }
        self.weight += weight;
        if let Some(replaced) = self.young.insert(place, entry) {
            self.weight -= replaced.bytes.len() + self.each;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_stays_and_the_rest_goes_when_there_is_no_room() {
        let answers = Answers::new(1_000, 1);
        let asked = |answer: usize| answers.recall(b"asked again and again", || answer);
        assert_eq!(asked(7), 7);
        for n in 0..10_000_usize {
            assert_eq!(answers.recall(&n.to_le_bytes(), || n), n);
            assert_eq!(asked(n), 7, "forgotten after {n}");
            let kept = answers.kept.lock().unwrap();
            assert!(kept.young.values().chain(kept.old.values()).map(|e| e.bytes.len() + 1).sum::<usize>() <= 2_000, "after {n}");
        }
        assert_eq!(answers.recall(&9_999_usize.to_le_bytes(), || 0), 9_999);
        assert_eq!(answers.recall(&0_usize.to_le_bytes(), || 1), 1, "long forgotten");
        let heavy = [0; 1_000];
        assert_eq!(
            (answers.recall(&heavy, || 1), answers.recall(&heavy, || 2)),
            (1, 2),
            "what has no room is found out each time"
        );
    }

    #[test]
    fn an_answer_is_found_out_once_and_a_changed_byte_is_another_question() {
        let answers = Answers::new(1 << 20, 1);
        assert!(answers.recall(b"seal", || true));
        assert!(answers.recall(b"seal", || false), "what was found out first stays");
        for other in [b"seam".as_slice(), b"sea", b"seal\0", b""] {
            assert!(!answers.recall(other, || false));
            assert!(!answers.recall(other, || true));
        }
    }

    #[test]
    fn bytes_that_fall_together_are_told_apart() {
        let mut kept = Generations { young: HashMap::new(), old: HashMap::new(), weight: 0, room: 100, each: 1 };
        kept.keep(1, Entry { bytes: b"good".as_slice().into(), answer: true });
        assert_eq!((kept.find(1, b"evil"), kept.find(1, b"good")), (None, Some(true)));
        kept.old = std::mem::take(&mut kept.young);
        assert_eq!(kept.find(1, b"evil"), None);
    }
}
