//! From a request to signed documents: the pipeline of ARCHITECTURE §5 and the states that a page can watch.

mod batch;
mod finish;
mod impression;
mod job;
mod keywords;
mod licence;
pub mod online;
mod pages;
pub mod pipeline;
pub mod progress;
mod record;
pub mod request;
mod shown;
pub mod subject;
pub mod timestamp;
mod value;

pub(crate) use finish::is_intact;
pub(crate) use value::SignedValue;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::consent::Requester;
use crate::failure::Failure;
use crate::sm::Sm3Digest;
use crate::stamp::Stamp;

pub use pipeline::{Output, Signed, Signer};
pub use request::{RequestId, Requests};
pub use subject::{Document, Format, Scratch};

/// Most signatures in one request: one dialog can list them, one audit line holds them, and a company's bids for a year fit.
pub const MAX_ITEMS: usize = 1000;

/// What somebody asked to have signed, parsed and checked for form, nothing more.
#[derive(Clone, Debug)]
pub struct SigningRequest {
    /// Who asks.
    pub requester: Requester,
    /// The signatures, in order. Several on one document follow each other.
    pub items: Vec<SigningItem>,
    /// The configured service that shall stamp the signatures; `None` is the first that the configuration requires, if there is one.
    pub timestamp: Option<String>,
    /// Whether every signature that is in a document must be valid in all respects, by this machine's trust, before another is added.
    /// Without it none may be broken: that is refused always.
    pub require_valid: bool,
}

/// One signature to make.
#[derive(Clone, Debug)]
pub struct SigningItem {
    /// What to sign.
    pub subject: Subject,
    /// Code of the seal (`esID`).
    pub seal: String,
    /// What the document carries afterwards.
    pub signed_value: SignedValueKind,
}

/// What an item signs.
#[derive(Clone, Debug)]
pub enum Subject {
    /// A digest that the requester computed; its content is not seen.
    Digest {
        /// The requester's name for it.
        name: String,
        /// Becomes `dataHash`.
        sm3: Sm3Digest,
        /// Becomes `propertyInfo`.
        property: String,
    },
    /// A document that was handed over.
    Document {
        /// The document.
        document: Arc<Document>,
        /// Where the seal is to land.
        stamp: Stamp,
        /// Whether no further signature shall be possible.
        close: bool,
    },
}

impl Subject {
    pub(crate) fn document(&self) -> Option<&Arc<Document>> {
        match self {
            Self::Digest { .. } => None,
            Self::Document { document, .. } => Some(document),
        }
    }

    /// The field that is to be signed, and in which document.
    fn field(&self) -> Option<(*const Document, &str)> {
        match self {
            Self::Document { document, stamp: Stamp::Field { name }, .. } => Some((Arc::as_ptr(document), name)),
            _ => None,
        }
    }

    fn is(&self, document: &Arc<Document>) -> bool {
        self.document().is_some_and(|own| Arc::ptr_eq(own, document))
    }
}

/// Kind of signed value.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, schemars::JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum SignedValueKind {
    /// GB/T 35275 `SignedData` with signed attributes.
    Gbt35275,
    /// `SES_Signature`, of the seal's version.
    #[default]
    Ses,
}

/// Where a request, or one of its items, stands (api.md).
#[derive(Clone, Copy, Debug, Deserialize, Eq, schemars::JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum State {
    /// Waiting for the person, also while a wrong PIN is asked again.
    Waiting,
    /// The token was asked; from here the request runs to its end.
    Signing,
    /// Signed.
    Done,
    /// The person said no.
    Declined,
    /// Nobody answered.
    Expired,
    /// Deleted, or the page went away before the token was asked.
    Cancelled,
    /// It could not be done.
    Failed,
}

impl State {
    /// Whether nothing will change any more.
    pub fn is_final(self) -> bool {
        !matches!(self, Self::Waiting | Self::Signing)
    }
}

/// Where a request and its items stand.
#[derive(Clone, Debug)]
pub struct Status {
    /// The request as a whole: `Done` when every item is.
    pub state: State,
    /// Its items, in order.
    pub items: Vec<ItemStatus>,
    /// Items that kept the request from being asked about; without them the others could be.
    pub unfit: Vec<usize>,
}

/// Where one item stands.
#[derive(Clone, Debug)]
pub struct ItemStatus {
    /// Its state.
    pub state: State,
    /// Why not, if not.
    pub failure: Option<Failure>,
    /// What did not go as wished although it is done: no time stamp could be had, or else the seal's region did not answer.
    pub warning: Option<Failure>,
}

impl Status {
    /// All of it in one state.
    pub fn all(items: usize, state: State, failure: Option<Failure>) -> Self {
        Self { state, items: vec![ItemStatus { state, failure, warning: None }; items], unfit: Vec::new() }
    }
}
