//! Whether something may be signed: the policy that lets an origin ask, the summary that a person reads, the prompt that brings back
//! their answer, and [`Consent`], the proof of it.
//!
//! Nothing else in the program makes a `Consent`, and nothing but a `Consent` makes the [`Authorised`] message that a worker accepts (I1).
//! This module reads no document and no certificate: what it shows it was given.

pub mod descriptor;
pub mod grants;
pub mod origin;
pub mod pairing;
pub mod pin;
pub mod pinentry;
pub mod policy;
pub mod prompt;
#[cfg(any(test, feature = "scripted-prompter"))]
pub mod scripted;
pub mod summary;
pub mod terminal;
pub mod text;
pub mod window;

use ukey::{Credential, Sm2Message};

use crate::sm::{Sm2PublicKey, Sm3Digest};
use prompt::{Answer, Cancel, Turn};
use summary::{Shown, SummaryItem, TokenShown};

pub use origin::{NotAnOrigin, Origin};
pub use summary::{Requester, Summary};

/// One item to ask for: what the person sees, and what their "yes" binds. They travel together so that neither can be left out.
#[derive(Clone, Debug)]
pub struct Asked {
    /// What is shown.
    pub shown: SummaryItem,
    /// What is bound.
    pub bound: ConsentItem,
}

/// What came of asking.
#[derive(Debug)]
#[must_use]
pub enum Outcome {
    /// Yes to all of it, with the credential for one login.
    Approved(Consent, Credential),
    /// Not yes.
    Not(Refusal),
}

/// Why there is no consent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Refusal {
    /// The request was withdrawn.
    Cancelled,
    /// The person said no.
    Declined,
    /// Nobody answered.
    Expired,
    /// One try is left, and nobody is there to confirm it.
    LastTry,
    /// There is nothing to show a prompt on.
    NoPrompt,
    /// The one PIN that there was is wrong.
    PinIncorrect,
    /// The PIN cannot be one; it was not sent.
    PinUnacceptable,
}

/// Shows all items in one prompt and brings back the consent to exactly these. The only maker of [`Consent`].
///
/// `stamped_by` is the host of the time stamp service that will be asked. `attempt` is 1, and one more after each wrong PIN: every attempt is a prompt, an answer and at most one try.
pub async fn obtain(
    turn: &Turn<'_>,
    asked: &[Asked],
    stamped_by: Option<&Shown>,
    token: TokenShown,
    pin: ukey::PinStatus,
    attempt: u32,
    cancel: &Cancel,
) -> Outcome {
    let items = asked.iter().map(|a| a.shown.clone()).collect();
    let summary = Summary { requester: turn.requester().clone(), items, stamped_by: stamped_by.cloned(), token, pin, attempt };
    let answer = turn.ask(&summary, cancel.clone()).await;
    match answer {
        Answer::Approve(_) if cancel.is_cancelled() => Outcome::Not(Refusal::Cancelled),
        Answer::Approve(credential) => {
            let items = asked.iter().map(|a| State::Open(a.bound.clone())).collect();
            Outcome::Approved(Consent { items }, credential)
        }
        Answer::Cancelled => Outcome::Not(Refusal::Cancelled),
        Answer::Decline => Outcome::Not(Refusal::Declined),
        Answer::LastTry => Outcome::Not(Refusal::LastTry),
        Answer::NoMore => Outcome::Not(Refusal::PinIncorrect),
        Answer::NoPrompt => Outcome::Not(Refusal::NoPrompt),
        Answer::TimeOut => Outcome::Not(Refusal::Expired),
        Answer::Unacceptable => Outcome::Not(Refusal::PinUnacceptable),
    }
}

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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::prompt::{Canceller, Crowded, PromptQueue, Prompter};
    use super::scripted::{Reply, Scripted};
    use super::summary::tests::summary;
    use super::*;
    use crate::sm::sm3;

    fn key(seed: u8) -> Sm2PublicKey {
        let secret = sm2::SecretKey::from_slice(&[seed; 32]).unwrap();
        Sm2PublicKey::from_sec1(&secret.public_key().to_sec1_bytes()).unwrap()
    }

    fn item(data_hash: DataHash) -> ConsentItem {
        ConsentItem { data_hash, property: "/Doc_0/Signs/Sign_0/Signature.xml".into(), seal: sm3(b"seal"), key: key(7) }
    }

    fn tbs(data: &[u8]) -> ToBeSigned {
        ToBeSigned {
            data_hash: sm3(data),
            property: "/Doc_0/Signs/Sign_0/Signature.xml".into(),
            seal: sm3(b"seal"),
            message: Sm2Message::new(b"tbs".to_vec(), ukey::DEFAULT_ID, key(7)).unwrap(),
        }
    }

    fn consent(items: Vec<ConsentItem>) -> Consent {
        Consent { items: items.into_iter().map(State::Open).collect() }
    }

    /// Attack items 28 and 31.
    #[test]
    fn only_the_agreed_item_is_authorised_and_only_once() {
        let mut consent = consent(vec![item(DataHash::Fixed(sm3(b"a"))), item(DataHash::Fixed(sm3(b"b")))]);
        let refused = |result: Result<Authorised, NotConsented>| result.unwrap_err().0;
        assert_eq!(refused(consent.authorise(0, tbs(b"b"))), "another digest");
        assert_eq!(refused(consent.authorise(0, ToBeSigned { property: "/x".into(), ..tbs(b"a") })), "another property");
        assert_eq!(refused(consent.authorise(0, ToBeSigned { seal: sm3(b"other"), ..tbs(b"a") })), "another seal");
        let other_key = Sm2Message::new(b"tbs".to_vec(), ukey::DEFAULT_ID, key(8)).unwrap();
        assert_eq!(refused(consent.authorise(0, ToBeSigned { message: other_key, ..tbs(b"a") })), "another key");
        assert_eq!(refused(consent.authorise(2, tbs(b"a"))), "no such item");
        assert_eq!(consent.authorise(0, tbs(b"a")).unwrap().message().bytes(), b"tbs");
        assert_eq!(refused(consent.authorise(0, tbs(b"a"))), "the item was used already");
        assert!(consent.authorise(1, tbs(b"b")).is_ok());
    }

    #[test]
    fn following_item_is_settled_once_and_after_the_one_before_it() {
        let mut consent = consent(vec![item(DataHash::Fixed(sm3(b"a"))), item(DataHash::After(0))]);
        let place = "/Doc_0/Signs/Sign_0/Signature.xml";
        assert!(consent.authorise(1, tbs(b"b")).is_err());
        assert!(consent.settle(1, sm3(b"b"), place.into()).is_err());
        assert!(consent.settle(0, sm3(b"b"), place.into()).is_err());
        let _ = consent.authorise(0, tbs(b"a")).unwrap();
        consent.settle(1, sm3(b"b"), place.into()).unwrap();
        assert!(consent.settle(1, sm3(b"c"), place.into()).is_err());
        assert!(consent.authorise(1, tbs(b"b")).is_ok());
    }

    fn origin(name: &str) -> Requester {
        Requester::Origin(Origin::parse(&format!("https://{name}.example")).unwrap())
    }

    async fn ask(queue: &PromptQueue, who: &Requester) -> Result<Outcome, Crowded> {
        let (_canceller, mut cancel) = Canceller::new();
        let turn = queue.turn(queue.admit(who)?, &mut cancel).await.unwrap();
        let shown = summary();
        let asked = [Asked { shown: shown.items[0].clone(), bound: item(DataHash::Fixed(sm3(b"a"))) }];
        Ok(obtain(&turn, &asked, None, shown.token, shown.pin, 1, &cancel).await)
    }

    /// Attack items 20 and 24.
    #[tokio::test(start_paused = true)]
    async fn one_prompt_is_visible_and_a_flood_is_refused() {
        let script = Scripted::new(|_| Reply::Silence);
        let queue = PromptQueue::new(Prompter::Scripted(script.clone()), Duration::from_secs(60));
        let (a, b) = (origin("a"), origin("b"));
        let (first, second, _) = tokio::join!(ask(&queue, &a), ask(&queue, &b), async {
            tokio::time::sleep(Duration::from_secs(30)).await;
            assert_eq!(script.shown().len(), 1, "the second waits for the first");
            let places: Vec<_> = (0..10).map(|_| queue.admit(&a)).collect();
            assert_eq!(places.iter().filter(|p| p.is_ok()).count(), 3);
            assert!(places[9].as_ref().is_err_and(|e| *e == Crowded::Full));
            assert!(queue.admit(&b).is_ok(), "another origin is not locked out");
        });
        assert!(matches!(first, Ok(Outcome::Not(Refusal::Expired))));
        assert!(matches!(second, Ok(Outcome::Not(Refusal::Expired))));
        assert_eq!(script.shown().len(), 2);
    }

    #[tokio::test]
    async fn an_origin_cools_down_after_a_no() {
        let queue = PromptQueue::new(Prompter::Scripted(Scripted::new(|_| Reply::Decline)), Duration::from_secs(60));
        assert!(matches!(ask(&queue, &origin("a")).await, Ok(Outcome::Not(Refusal::Declined))));
        assert!(matches!(ask(&queue, &origin("a")).await, Err(Crowded::CoolDown)));
        assert!(matches!(ask(&queue, &origin("b")).await, Ok(Outcome::Not(Refusal::Declined))));
        assert!(matches!(ask(&queue, &Requester::CommandLine).await, Ok(Outcome::Not(Refusal::Declined))));
        assert!(
            matches!(ask(&queue, &Requester::CommandLine).await, Ok(Outcome::Not(Refusal::Declined))),
            "commands never cool down"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_withdrawn_request_gives_no_consent() {
        let queue = PromptQueue::new(Prompter::Scripted(Scripted::new(|_| Reply::Silence)), Duration::from_secs(60));
        let (canceller, mut cancel) = Canceller::new();
        let turn = queue.turn(queue.admit(&origin("a")).unwrap(), &mut cancel).await.unwrap();
        let shown = summary();
        let asked = [Asked { shown: shown.items[0].clone(), bound: item(DataHash::Fixed(sm3(b"a"))) }];
        let (outcome, ()) = tokio::join!(obtain(&turn, &asked, None, shown.token, shown.pin, 1, &cancel), async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            canceller.cancel();
        });
        assert!(matches!(outcome, Outcome::Not(Refusal::Cancelled)));
    }
}
