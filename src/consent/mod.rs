//! Whether something may be signed: the policy that lets an origin ask, the summary that a person reads, the prompt that brings back
//! their answer, and [`Consent`], the proof of it.
//!
//! Nothing else in the program makes a `Consent`, and nothing but a `Consent` makes the [`Authorised`] message that a worker accepts (I1).
//! This module reads no document and no certificate: what it shows it was given.

pub mod harmless;
pub mod origin;
pub mod summary;

use crate::sm::{Sm2PublicKey, Sm3Digest};
use ukey::Sm2Message;

pub use origin::{NotAnOrigin, Origin};
pub use summary::{Requester, Summary};

/// What one item of a consent binds: the person agreed to exactly this.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ConsentItem {
    /// What goes into `TBS_Sign.dataHash`, or messageDigest. Fixed before the summary was shown.
    pub data_hash: DataHash,
    /// What goes into `TBS_Sign.propertyInfo`.
    pub property: String,
    /// SM3 of the seal's bytes, whose picture and name were shown.
    pub seal: Sm3Digest,
    /// The key whose certificate was shown.
    pub key: Sm2PublicKey,
}

/// The digest that an item binds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum DataHash {
    /// Known before the person was asked.
    Fixed(Sm3Digest),
    /// The item signs what an earlier item (its index) makes of the same document, so its digest is known only after that. It is
    /// settled once, by [`Consent::settle`].
    After(usize),
}

/// What is about to be signed, as the builder of it states it.
#[derive(Clone, Debug)]
pub struct ToBeSigned {
    /// `dataHash` or messageDigest in it.
    pub data_hash: Sm3Digest,
    /// `propertyInfo` in it.
    pub property: String,
    /// SM3 of the seal in or beside it.
    pub seal: Sm3Digest,
    /// The bytes to sign and the key they are for.
    pub message: Sm2Message,
}

/// Proof that a person agreed to exactly these items.
///
/// ```compile_fail
/// let forged = sealagent::consent::Consent { items: Vec::new() };
/// ```
/// ```compile_fail
/// fn twice(consent: &sealagent::consent::Consent) -> sealagent::consent::Consent { consent.clone() }
/// ```
#[derive(Debug)]
#[must_use]
pub struct Consent {
    items: Vec<State>,
}

#[derive(Debug)]
enum State {
    Open(ConsentItem),
    Used,
}

/// A message that a person agreed to have signed, once.
///
/// ```compile_fail
/// fn forge(message: ukey::Sm2Message) -> sealagent::consent::Authorised { sealagent::consent::Authorised { message } }
/// ```
/// ```compile_fail
/// fn twice(a: &sealagent::consent::Authorised) -> sealagent::consent::Authorised { a.clone() }
/// ```
#[derive(Debug)]
#[must_use]
pub struct Authorised {
    message: Sm2Message,
}

impl Authorised {
    /// The message, for the worker.
    pub fn message(&self) -> &Sm2Message {
        &self.message
    }
}

/// Why a message is not authorised. Each is a fault of this program or an attack, never something a person can repair.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the person did not agree to this: {0}")]
pub struct NotConsented(&'static str);

impl Consent {
    /// The message of `item`, if it is what the person agreed to; the item is used up by it.
    pub fn authorise(&mut self, item: usize, tbs: ToBeSigned) -> Result<Authorised, NotConsented> {
        let state = self.items.get_mut(item).ok_or(NotConsented("no such item"))?;
        let State::Open(agreed) = state else { return Err(NotConsented("the item was used already")) };
        let DataHash::Fixed(data_hash) = agreed.data_hash else { return Err(NotConsented("the item's digest is not settled")) };
        if tbs.data_hash != data_hash {
            return Err(NotConsented("another digest"));
        }
        if tbs.property != agreed.property {
            return Err(NotConsented("another property"));
        }
        if tbs.seal != agreed.seal {
            return Err(NotConsented("another seal"));
        }
        if *tbs.message.key() != agreed.key {
            return Err(NotConsented("another key"));
        }
        *state = State::Used;
        Ok(Authorised { message: tbs.message })
    }

    /// Fixes digest and property of an item that follows another one on the same document, once that one is in the document.
    pub fn settle(&mut self, item: usize, data_hash: Sm3Digest, property: String) -> Result<(), NotConsented> {
        let Some(State::Open(ConsentItem { data_hash: DataHash::After(earlier), .. })) = self.items.get(item) else {
            return Err(NotConsented("the item follows no other, or is settled already"));
        };
        if !matches!(self.items.get(*earlier), Some(State::Used)) {
            return Err(NotConsented("the item before it is not signed yet"));
        }
        if let Some(State::Open(open)) = self.items.get_mut(item) {
            open.data_hash = DataHash::Fixed(data_hash);
            open.property = property;
        }
        Ok(())
    }
}
