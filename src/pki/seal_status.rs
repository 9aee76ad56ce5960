//! What a region's seal system says of seals: a signed list of those that are not plain valid, the changes since one, and answers about a
//! single seal (trust.md §8). No public format is known; this is ours.
//!
//! ```asn1
//! StatusList ::= SEQUENCE {
//!     version     INTEGER (1),
//!     region      UTF8String,
//!     number      INTEGER,                        -- one more with each list or set of changes
//!     base        [0] IMPLICIT INTEGER OPTIONAL,  -- changes only: the number of the list that they are to be applied to
//!     thisUpdate  GeneralizedTime,
//!     nextUpdate  GeneralizedTime,
//!     seals       SEQUENCE OF SealEntry }         -- ascending by esID, then by digest, no two alike
//! SealEntry ::= SEQUENCE {
//!     esId        UTF8String,
//!     sealSm3     OCTET STRING (SIZE (32)) OPTIONAL,  -- one edition of the seal; absent: every edition
//!     changes     SEQUENCE OF Change }                -- ascending by time
//! Change ::= SEQUENCE { state ENUMERATED { valid(0), suspended(1), cancelled(2) }, at INTEGER }   -- seconds since 1970
//! StatusQuery ::= SEQUENCE { version INTEGER (1), esId UTF8String, sealSm3 OCTET STRING OPTIONAL, nonce [0] IMPLICIT OCTET STRING }
//! StatusAnswer ::= SEQUENCE {
//!     version INTEGER (1), region UTF8String, esId UTF8String, sealSm3 OCTET STRING OPTIONAL, nonce [0] IMPLICIT OCTET STRING,
//!     asOf GeneralizedTime, freshUntil GeneralizedTime, known BOOLEAN, changes SEQUENCE OF Change }
//! ```
//!
//! A seal keeps its entry with the whole history after it is reinstated, since a document is judged at its signing time: one made while
//! the seal was suspended stays bad. Changes are cumulative from their base, so a reader needs two files at most, the last full
//! list and the newest changes. A list stays as it was received, with an index of four bytes an entry; a look-up is a binary search.

use std::cmp::Ordering;

use jiff::Timestamp;

use super::signed::{self, DocumentKind, Envelope, SignedError};
use super::trust_list::{ServiceKind, TrustList, enumerated, enumerated_der};
use crate::asn1::{
    Asn1Error, BOOLEAN, INTEGER, OCTET_STRING, Reader, SEQUENCE, Tlv, UTF8_STRING, context_primitive, der, integer, sequence,
};
use crate::sm::Sm3Digest;

/// Largest list, in bytes: the reader's of signed data. An entry takes some 35 bytes, so some 450 000 seals that are not plain valid.
pub const MAX_LIST: usize = 16 << 20;
/// Largest answer, in bytes: a certificate and some lines.
pub const MAX_ANSWER: usize = 64 << 10;
/// Largest query, in bytes.
pub const MAX_QUERY: usize = 1024;
/// Longest seal code, in bytes; UUIDs and free text occur (trust.md §3).
const MAX_ES_ID: usize = 128;
/// Changes of one seal.
const MAX_CHANGES: usize = 64;
/// Bytes of a nonce.
const NONCE: std::ops::RangeInclusive<usize> = 16..=32;

/// State of a seal in its region's seal system (trust.md §8).
#[derive(Clone, Copy, Debug, Eq, PartialEq, serde::Deserialize, serde::Serialize)]
#[cfg_attr(feature = "agent", derive(schemars::JsonSchema), schemars(rename = "SealStatus"))]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the names are the field's")]
pub enum SealState {
    Valid,
    Suspended,
    Cancelled,
}

const STATES: [SealState; 3] = [SealState::Valid, SealState::Suspended, SealState::Cancelled];

/// From when on a seal is in a state.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct StateChange {
    /// From when on; whole seconds.
    pub at: Timestamp,
    /// In which.
    pub state: SealState,
}

/// The changes of one seal, oldest first. None at all: valid from the beginning.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct SealHistory(Vec<StateChange>);

impl SealHistory {
    /// A history from its changes, which must ascend.
    pub fn new(changes: Vec<StateChange>) -> Option<Self> {
        let ascends = changes.windows(2).all(|pair| pair[0].at < pair[1].at);
        (ascends && changes.len() <= MAX_CHANGES).then_some(Self(changes))
    }

    /// The changes.
    pub fn changes(&self) -> &[StateChange] {
        &self.0
    }

    /// The last change at or before `at`.
    pub fn change_before(&self, at: Timestamp) -> Option<StateChange> {
        self.0.iter().take_while(|change| change.at <= at).last().copied()
    }

    /// The state at a moment.
    pub fn state_at(&self, at: Timestamp) -> SealState {
        self.change_before(at).map_or(SealState::Valid, |change| change.state)
    }

    /// The last change and its state.
    pub fn last(&self) -> Option<StateChange> {
        self.0.last().copied()
    }

    fn to_der(&self) -> Vec<u8> {
        let changes: Vec<Vec<u8>> = self.0.iter().map(change_der).collect();
        der(SEQUENCE, &changes.concat())
    }

    fn read(tlv: Tlv<'_>) -> Result<Self, SignedError> {
        let mut elements = tlv.expect(SEQUENCE)?.elements();
        let mut changes = Vec::new();
        while !elements.is_empty() {
            if changes.len() == MAX_CHANGES {
                return Err(SignedError::Limit { what: "changes of a seal", limit: MAX_CHANGES });
            }
            changes.push(change(elements.any()?)?);
        }
        Self::new(changes).ok_or(SignedError::Value("the changes of a seal are out of order"))
    }
}

fn change_der(change: &StateChange) -> Vec<u8> {
    let seconds = change.at.as_second().max(0) as u64; // no seal is older than 1970
    sequence(&[&enumerated_der(&change.state, &STATES), &integer(seconds)])
}

fn change(tlv: Tlv<'_>) -> Result<StateChange, SignedError> {
    let mut fields = tlv.expect(SEQUENCE)?.elements();
    let state = enumerated(fields.any()?, &STATES)?;
    let seconds = fields.next(INTEGER)?.small_integer()?;
    fields.end()?;
    let seconds = i64::try_from(seconds).map_err(|_| Asn1Error::Value(INTEGER))?;
    let at = Timestamp::from_second(seconds).map_err(|_| Asn1Error::Value(INTEGER))?;
    Ok(StateChange { at, state })
}

/// One seal of a list that is to be made.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SealEntry {
    /// Seal code.
    pub es_id: String,
    /// SM3 of the seal, when only this edition of it is meant.
    pub seal_sm3: Option<Sm3Digest>,
    /// Its changes.
    pub history: SealHistory,
}

impl SealEntry {
    fn to_der(&self) -> Vec<u8> {
        sequence(&[&signed::text_der(&self.es_id), &digest_der(self.seal_sm3.as_ref()), &self.history.to_der()])
    }

    fn key(&self) -> Key<'_> {
        (self.es_id.as_bytes(), self.seal_sm3.as_ref().map(|digest| digest.0.as_slice()))
    }
}

/// What entries are ordered by.
type Key<'a> = (&'a [u8], Option<&'a [u8]>);

fn digest_der(digest: Option<&Sm3Digest>) -> Vec<u8> {
    digest.map_or(Vec::new(), |digest| der(OCTET_STRING, &digest.0))
}

/// What stands at the head of a list.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StatusHead {
    /// The region that speaks.
    pub region: String,
    /// One more with each list or set of changes.
    pub number: u64,
    /// For changes, the number of the list that they belong to.
    pub base: Option<u64>,
    /// When this was so.
    pub this_update: Timestamp,
    /// By when there is something newer.
    pub next_update: Timestamp,
}

/// A list, or changes since one, as received, and ready for look-ups.
#[derive(Clone)]
pub struct StatusList {
    head: StatusHead,
    /// Concatenated entries.
    entries: Vec<u8>,
    /// Where each begins.
    offsets: Vec<u32>,
}

impl std::fmt::Debug for StatusList {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "StatusList({} {}, {} seals)", self.head.region, self.head.number, self.offsets.len())
    }
}

impl StatusList {
    /// The encoding of a list; entries in any order. Two for the same seal are an error of the caller, whose list nobody will read.
    pub fn to_der(head: &StatusHead, entries: &[SealEntry]) -> Vec<u8> {
        let mut sorted: Vec<&SealEntry> = entries.iter().collect();
        sorted.sort_by(|a, b| a.key().cmp(&b.key()));
        let mut bytes = Vec::with_capacity(sorted.len() * 48);
        for entry in sorted {
            bytes.extend_from_slice(&entry.to_der());
        }
        let base = head.base.map_or(Vec::new(), |base| {
            let number = integer(base);
            [&[context_primitive(0)], &number[1..]].concat()
        });
        sequence(&[
            &integer(1),
            &signed::text_der(&head.region),
            &integer(head.number),
            &base,
            &signed::time_der(head.this_update),
            &signed::time_der(head.next_update),
            &der(SEQUENCE, &bytes),
        ])
    }

    /// Reads a list or changes: every entry is looked at once, and they must ascend.
    pub fn parse(bytes: &[u8]) -> Result<Self, SignedError> {
        if bytes.len() > MAX_LIST {
            return Err(SignedError::Limit { what: "the list", limit: MAX_LIST });
        }
        let mut fields = Tlv::read_all(bytes)?.expect(SEQUENCE)?.elements();
        if fields.next(INTEGER)?.small_integer()? != 1 {
            return Err(SignedError::Value("a version of the list that is not known here"));
        }
        let region = signed::region(fields.any()?)?;
        let number = fields.next(INTEGER)?.small_integer()?;
        let base = fields.optional(context_primitive(0))?;
        let base = base.map(|tlv| Tlv { tag: INTEGER, ..tlv }.small_integer()).transpose()?;
        let head = StatusHead {
            region,
            number,
            base,
            this_update: signed::time(fields.any()?)?,
            next_update: signed::time(fields.any()?)?,
        };
        let entries = fields.next(SEQUENCE)?.value.to_vec();
        fields.end()?;
        if head.next_update <= head.this_update || head.base.is_some_and(|base| base >= number) {
            return Err(SignedError::Value("dates or numbers of the list do not fit each other"));
        }
        Self::index(head, entries)
    }

    fn index(head: StatusHead, mut entries: Vec<u8>) -> Result<Self, SignedError> {
        entries.shrink_to_fit();
        let mut offsets: Vec<u32> = Vec::new();
        let mut reader = Reader::new(&entries);
        let mut at = 0;
        let mut before: Option<Key<'_>> = None;
        while !reader.is_empty() {
            let tlv = reader.any()?;
            let (key, history) = entry(tlv)?;
            if key.0.is_empty() || key.0.len() > MAX_ES_ID || std::str::from_utf8(key.0).is_err() {
                return Err(SignedError::Value("a seal code that cannot be"));
            }
            SealHistory::read(history)?;
            if before.is_some_and(|before| before >= key) {
                return Err(SignedError::NotStrict("the seals are not in ascending order"));
            }
            before = Some(key);
            offsets.push(at);
            at += tlv.raw.len() as u32; // the whole is within MAX_LIST
        }
        offsets.shrink_to_fit();
        Ok(Self { head, entries, offsets })
    }

    /// Its head.
    pub fn head(&self) -> &StatusHead {
        &self.head
    }

    /// How many seals it names.
    pub fn len(&self) -> usize {
        self.offsets.len()
    }

    /// Whether it names none: all are valid.
    pub fn is_empty(&self) -> bool {
        self.offsets.is_empty()
    }

    /// Bytes that it holds in memory.
    pub fn memory(&self) -> usize {
        self.entries.capacity() + self.offsets.capacity() * size_of::<u32>()
    }

    /// What it says of a seal; an entry for this edition counts before one for all. `None`: nothing, so the seal is valid. The digest is
    /// asked for only where the list has entries of this code, as it has of few.
    pub fn history(&self, es_id: &str, seal_sm3: impl Fn() -> Sm3Digest) -> Option<SealHistory> {
        let es_id = es_id.as_bytes();
        let first = self.offsets.partition_point(|offset| self.at(*offset).is_none_or(|((code, _), _)| code < es_id));
        self.at(*self.offsets.get(first)?).filter(|((code, _), _)| *code == es_id)?;
        self.find((es_id, Some(seal_sm3().0.as_slice()))).or_else(|| self.find((es_id, None)))
    }

    fn find(&self, wanted: Key<'_>) -> Option<SealHistory> {
        let found = self.offsets.binary_search_by(|offset| match self.at(*offset) {
            Some((key, _)) => key.cmp(&wanted),
            None => Ordering::Less,
        });
        let (_, history) = self.at(*self.offsets.get(found.ok()?)?)?;
        SealHistory::read(history).ok()
    }

    /// The entry at an offset. All were read once, so none is unreadable.
    fn at(&self, offset: u32) -> Option<(Key<'_>, Tlv<'_>)> {
        let (tlv, _) = Tlv::read(self.entries.get(offset as usize..)?).ok()?;
        entry(tlv).ok()
    }

    /// This list with newer changes: theirs replace the entries of the same seals. The result stands for the list of their number.
    pub fn with_changes(&self, changes: &Self) -> Result<Self, SignedError> {
        if changes.head.base != Some(self.head.number) || self.head.base.is_some() || changes.head.region != self.head.region {
            return Err(SignedError::Value("these are not changes of this list"));
        }
        let mut entries = Vec::with_capacity(self.entries.len() + changes.entries.len());
        let (mut old, mut new) = (Reader::new(&self.entries), Reader::new(&changes.entries));
        let (mut left, mut right) = (next(&mut old)?, next(&mut new)?);
        loop {
            let order = match (&left, &right) {
                (None, None) => break,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some((a, _)), Some((b, _))) => a.cmp(b),
            };
            if order == Ordering::Less {
                entries.extend_from_slice(left.map_or(&[], |(_, raw)| raw));
            } else {
                entries.extend_from_slice(right.map_or(&[], |(_, raw)| raw));
            }
            if order != Ordering::Greater {
                left = next(&mut old)?;
            }
            if order != Ordering::Less {
                right = next(&mut new)?;
            }
        }
        Self::index(StatusHead { base: None, ..changes.head.clone() }, entries)
    }
}

/// The key and bytes of the next entry.
fn next<'a>(reader: &mut Reader<'a>) -> Result<Option<(Key<'a>, &'a [u8])>, SignedError> {
    if reader.is_empty() {
        return Ok(None);
    }
    let tlv = reader.any()?;
    Ok(Some((entry(tlv)?.0, tlv.raw)))
}

/// Key and changes of an entry.
fn entry(tlv: Tlv<'_>) -> Result<(Key<'_>, Tlv<'_>), SignedError> {
    let mut fields = tlv.expect(SEQUENCE)?.elements();
    let es_id = fields.next(UTF8_STRING)?.value;
    let digest = fields.optional(OCTET_STRING)?.map(|tlv| tlv.value);
    let history = fields.next(SEQUENCE)?;
    fields.end()?;
    if digest.is_some_and(|digest| digest.len() != 32) {
        return Err(Asn1Error::Value(OCTET_STRING).into());
    }
    Ok(((es_id, digest), history))
}

/// Reads a signed list or signed changes of the region of `list`, signed by its status service.
pub fn status_list(list: &TrustList, bytes: &[u8]) -> Result<StatusList, SignedError> {
    let envelope = Envelope::parse(DocumentKind::StatusList, bytes, MAX_LIST)?;
    let status = StatusList::parse(envelope.content())?;
    check_speaker(list, &envelope, &status.head.region, status.head.this_update)?;
    Ok(status)
}

/// Refuses a signer who is not the region's status service at that moment.
fn check_speaker(list: &TrustList, envelope: &Envelope, region: &str, at: Timestamp) -> Result<(), SignedError> {
    if region != list.region {
        return Err(SignedError::OtherRegion(region.to_owned()));
    }
    envelope.check_signer(at)?;
    if list.grants(ServiceKind::SealStatus, envelope.signer(), at) {
        Ok(())
    } else {
        Err(SignedError::SignerUnfit(envelope.signer().subject().to_string()))
    }
}

/// A question about one seal.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StatusQuery {
    /// Seal code.
    pub es_id: String,
    /// SM3 of the seal.
    pub seal_sm3: Option<Sm3Digest>,
    /// Random bytes, 16 to 32, so that an old answer cannot be given.
    pub nonce: Vec<u8>,
}

impl StatusQuery {
    /// Media type of a query.
    pub const MEDIA_TYPE: &str = "application/vnd.sealagent.seal-status-query";

    /// Its encoding.
    pub fn to_der(&self) -> Vec<u8> {
        let nonce = der(context_primitive(0), &self.nonce);
        sequence(&[&integer(1), &signed::text_der(&self.es_id), &digest_der(self.seal_sm3.as_ref()), &nonce])
    }

    /// Reads a query, at the service.
    pub fn parse(bytes: &[u8]) -> Result<Self, SignedError> {
        if bytes.len() > MAX_QUERY {
            return Err(SignedError::Limit { what: "the query", limit: MAX_QUERY });
        }
        let mut fields = Tlv::read_all(bytes)?.expect(SEQUENCE)?.elements();
        if fields.next(INTEGER)?.small_integer()? != 1 {
            return Err(SignedError::Value("a version of the query that is not known here"));
        }
        let out = Self { es_id: es_id(&mut fields)?, seal_sm3: digest(&mut fields)?, nonce: nonce(&mut fields)? };
        fields.end()?;
        Ok(out)
    }
}

fn es_id(fields: &mut Reader<'_>) -> Result<String, SignedError> {
    let es_id = signed::text(fields.any()?)?;
    if es_id.is_empty() || es_id.len() > MAX_ES_ID { Err(SignedError::Value("a seal code that cannot be")) } else { Ok(es_id) }
}

fn digest(fields: &mut Reader<'_>) -> Result<Option<Sm3Digest>, SignedError> {
    let Some(tlv) = fields.optional(OCTET_STRING)? else { return Ok(None) };
    let digest: [u8; 32] = tlv.value.try_into().map_err(|_| Asn1Error::Value(OCTET_STRING))?;
    Ok(Some(Sm3Digest(digest)))
}

fn nonce(fields: &mut Reader<'_>) -> Result<Vec<u8>, SignedError> {
    let nonce = fields.next(context_primitive(0))?.value;
    if NONCE.contains(&nonce.len()) {
        Ok(nonce.to_vec())
    } else {
        Err(SignedError::Value("a nonce of another length than 16 to 32"))
    }
}

/// An answer about one seal.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StatusAnswer {
    /// The region that speaks.
    pub region: String,
    /// What was asked.
    pub query: StatusQuery,
    /// When this was so.
    pub as_of: Timestamp,
    /// Until when the answer may be used.
    pub fresh_until: Timestamp,
    /// Whether the system knows the seal at all.
    pub known: bool,
    /// Its changes.
    pub history: SealHistory,
}

impl StatusAnswer {
    /// Its encoding.
    pub fn to_der(&self) -> Vec<u8> {
        sequence(&[
            &integer(1),
            &signed::text_der(&self.region),
            &signed::text_der(&self.query.es_id),
            &digest_der(self.query.seal_sm3.as_ref()),
            &der(context_primitive(0), &self.query.nonce),
            &signed::time_der(self.as_of),
            &signed::time_der(self.fresh_until),
            &der(BOOLEAN, &[if self.known { 0xff } else { 0 }]),
            &self.history.to_der(),
        ])
    }

    /// Reads the contents of an answer.
    pub fn parse(bytes: &[u8]) -> Result<Self, SignedError> {
        let mut fields = Tlv::read_all(bytes)?.expect(SEQUENCE)?.elements();
        if fields.next(INTEGER)?.small_integer()? != 1 {
            return Err(SignedError::Value("a version of the answer that is not known here"));
        }
        let region = signed::region(fields.any()?)?;
        let query = StatusQuery { es_id: es_id(&mut fields)?, seal_sm3: digest(&mut fields)?, nonce: nonce(&mut fields)? };
        let out = Self {
            region,
            query,
            as_of: signed::time(fields.any()?)?,
            fresh_until: signed::time(fields.any()?)?,
            known: fields.next(BOOLEAN)?.boolean()?,
            history: SealHistory::read(fields.any()?)?,
        };
        fields.end()?;
        if out.to_der() != bytes || out.fresh_until < out.as_of {
            return Err(SignedError::NotStrict("the answer is not in its one encoding"));
        }
        Ok(out)
    }

    /// Reads a signed answer of the region of `list`. `query` is what was asked now; without it (an answer from a file) any question fits.
    pub fn read(list: &TrustList, query: Option<&StatusQuery>, bytes: &[u8]) -> Result<Self, SignedError> {
        let envelope = Envelope::parse(DocumentKind::StatusAnswer, bytes, MAX_ANSWER)?;
        let answer = Self::parse(envelope.content())?;
        check_speaker(list, &envelope, &answer.region, answer.as_of)?;
        if query.is_some_and(|query| *query != answer.query) {
            return Err(SignedError::Value("it answers another question"));
        }
        Ok(answer)
    }
}
