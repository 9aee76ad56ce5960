//! What was found out about certificates and seals, for the next document that carries the same ones.
//!
//! An archive holds the same few seals under a hundred thousand documents. Three things about them are functions of their bytes and of
//! nothing else, so they are remembered: a certificate as it was read, whether one certificate's key signed another certificate, and of
//! a seal its digest, whether its maker signed it, and how the digest of a signature with it begins.
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
use crate::sm::{DEFAULT_ID, Sm2Digest, Sm2PublicKey, Sm3, Sm3Digest, sm3};

/// Weight of the certificates kept, twice at most (see [`Generations`]): about 2 000 of 2 KB.
const CERTIFICATES: usize = 6 << 20;
/// Pairs of certificates: some 10 000, twice at most.
const LINKS: usize = 2 << 20;
/// Seals: 150 of 40 KB, twice at most. A city's departments have fewer.
const SEALS: usize = 6 << 20;

/// How many bytes at the end tell entries apart in most cases.
const TAIL: usize = 128;

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
        Self { certificates: Answers::new(CERTIFICATES, 1024), links: Answers::new(LINKS, 128), seals: Answers::new(SEALS, 512) }
    }

    /// The certificate that `der` is.
    pub fn certificate(&self, der: &[u8]) -> Result<Arc<Certificate>, CertificateError> {
        self.certificates.recall(der, |_| Certificate::parse(der).map(Arc::new))
    }

    /// Whether `issuer`'s key signed `child`.
    pub fn is_issued_by(&self, child: &Certificate, issuer: &Certificate) -> bool {
        let pair = [*child.sha256(), *issuer.sha256()];
        self.links.recall(pair.as_flattened(), |_| child.verify_issued_by(issuer).is_ok())
    }

    /// The seal with these bytes.
    pub fn seal(&self, raw: &[u8]) -> Arc<SealFacts> {
        self.seals.recall(raw, |raw| {
            let (digest, made_by_its_maker, begun) = Default::default();
            Arc::new(SealFacts { raw: Arc::clone(raw), digest, made_by_its_maker, begun })
        })
    }
}

/// What the bytes of a seal tell, found out when it is first asked for.
#[derive(Debug)]
pub struct SealFacts {
    raw: Arc<[u8]>,
    digest: OnceLock<Sm3Digest>,
    made_by_its_maker: OnceLock<bool>,
    begun: Mutex<Option<Begun>>,
}

/// SM3 of Z of a key and of all up to the end of the seal in what that key signs.
#[derive(Debug)]
struct Begun {
    key: Sm2PublicKey,
    before_seal: Box<[u8]>,
    state: Sm3,
}

impl SealFacts {
    /// SM3 of the whole seal.
    pub fn digest(&self) -> Sm3Digest {
        *self.digest.get_or_init(|| sm3(&self.raw))
    }

    /// Whether its maker signed it. `check` must find it out from the seal's bytes alone: the maker's certificate, the signature and
    /// what is signed are all in them.
    pub fn is_made_by_its_maker(&self, check: impl FnOnce() -> bool) -> bool {
        *self.made_by_its_maker.get_or_init(check)
    }

    /// [`Sm2Digest`] of `message` for `key` and the default id; this seal stands in the message from byte `at` on.
    ///
    /// The seal is nearly all of what a seal signature signs, and what one company signs begins alike: the state of SM3 behind the seal is
    /// kept from the last one. A message that does not hold these very bytes there is digested as a whole.
    pub fn signed_digest(&self, key: &Sm2PublicKey, message: &[u8], at: usize) -> Option<Sm2Digest> {
        let parts = message.split_at_checked(at).and_then(|(before, from)| Some((before, from.strip_prefix(&*self.raw)?)));
        let Some((before_seal, rest)) = parts else {
            return Sm2Digest::new(message, DEFAULT_ID, key);
        };
        let mut begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        let mut state = match &*begun {
            Some(begun) if begun.key == *key && *begun.before_seal == *before_seal => begun.state.clone(),
            _ => {
                let mut state = Sm3::new();
                state.update(&ukey::sm2::z_value(DEFAULT_ID, key)?);
                state.update(before_seal);
                state.update(&self.raw);
                *begun = Some(Begun { key: *key, before_seal: before_seal.into(), state: state.clone() });
                state
            }
        };
        drop(begun);
        state.update(rest);
        Some(Sm2Digest::from_bytes(state.finish().0))
    }
}

/// Answers by the bytes that they are about.
#[derive(Debug)]
struct Answers<V> {
    /// Keyed by chance: nobody can make different ends that fall together.
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
    fn recall(&self, bytes: &[u8], find: impl FnOnce(&Arc<[u8]>) -> V) -> V {
        // Certificates and seals end in a signature, which no two have in common. Made with one end, they only push out each other.
        let place = self.hash.hash_one((bytes.len(), &bytes[bytes.len().saturating_sub(TAIL)..]));
        // A thread that panicked left whole entries behind: each is put in by one call.
        if let Some(known) = self.kept.lock().unwrap_or_else(PoisonError::into_inner).find(place, bytes) {
            return known;
        }
        let bytes = Arc::from(bytes);
        let found = find(&bytes);
        let entry = Entry { bytes, answer: found.clone() };
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).keep(place, entry);
        found
    }
}

#[derive(Debug)]
struct Entry<V> {
    bytes: Arc<[u8]>,
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
        let asked = |answer: usize| answers.recall(b"asked again and again", |_| answer);
        assert_eq!(asked(7), 7);
        for n in 0..10_000_usize {
            assert_eq!(answers.recall(&n.to_le_bytes(), |_| n), n);
            assert_eq!(asked(n), 7, "forgotten after {n}");
            let kept = answers.kept.lock().unwrap();
            assert!(kept.young.values().chain(kept.old.values()).map(|e| e.bytes.len() + 1).sum::<usize>() <= 2_000, "after {n}");
        }
        assert_eq!(answers.recall(&9_999_usize.to_le_bytes(), |_| 0), 9_999);
        assert_eq!(answers.recall(&0_usize.to_le_bytes(), |_| 1), 1, "long forgotten");
        let heavy = [0; 1_000];
        assert_eq!(
            (answers.recall(&heavy, |_| 1), answers.recall(&heavy, |_| 2)),
            (1, 2),
            "what has no room is found out each time"
        );
    }

    #[test]
    fn an_answer_is_found_out_once_and_a_changed_byte_is_another_question() {
        let answers = Answers::new(1 << 20, 1);
        assert!(answers.recall(b"seal", |_| true));
        assert!(answers.recall(b"seal", |_| false), "what was found out first stays");
        for other in [b"seam".as_slice(), b"sea", b"seal\0", b""] {
            assert!(!answers.recall(other, |_| false));
            assert!(!answers.recall(other, |_| true));
        }
    }

    #[test]
    fn what_begins_alike_is_digested_as_if_nothing_were_known() {
        let [one, other] = [2, 3].map(|secret| {
            let key = sm2::SecretKey::from_slice(&[secret; 32]).unwrap().public_key();
            Sm2PublicKey::from_sec1(&key.to_sec1_bytes()).unwrap()
        });
        let known = Known::new();
        // Longer than the part that finds the place, and alike there.
        let seals = [[1; 100], [2; 100]].map(|start| [start, [3; 100], [3; 100]].concat());
        let messages: Vec<(Vec<u8>, usize)> = [b"".as_slice(), b"head", b"heap", &[7; 64]]
            .iter()
            .flat_map(|head| [b"".as_slice(), b"rest", &[9; 200]].map(|rest| (*head, rest)))
            .flat_map(|(head, rest)| seals.clone().map(|seal| ([head, &seal, rest].concat(), head.len())))
            .collect();
        for _ in 0..2 {
            for key in [&one, &other] {
                for (message, at) in &messages {
                    for seal in &seals {
                        let facts = known.seal(seal);
                        assert_eq!(facts.digest(), sm3(seal));
                        for at in [*at, 0, 1, message.len(), message.len() + 1, usize::MAX] {
                            assert_eq!(facts.signed_digest(key, message, at), Sm2Digest::new(message, DEFAULT_ID, key));
                        }
                    }
                }
            }
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
