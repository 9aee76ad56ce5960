//! What pages send and are sent as JSON (api.md). These types go no further than the routes.

use std::num::NonZeroU32;
use std::sync::Arc;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::openapi::{DateTime, Digest};
use crate::consent::Requester;
use crate::failure::{Code, Failure, Language};
use crate::pdf::{SignatureField, Widget};
use crate::preview::keyword;
use crate::signing::{Document, ItemStatus, MAX_ITEMS, SignedValueKind, SigningItem, SigningRequest, State, Subject};
use crate::sm::Sm3Digest;
use crate::stamp::{Edge, Occurrence, PageNumber, PageSelection, RectMm, Stamp};

/// Most fields of a document that a page is told of, and most places of each: a person chooses one of them.
const MAX_FIELDS: usize = 200;
const MAX_PLACES: usize = 20;
/// Longest name of a document, in characters.
const MAX_NAME: usize = 10_000;
/// Longest `property` of a digest, in bytes.
const MAX_PROPERTY: usize = 1024;
/// Longest idempotency key, in bytes.
const MAX_KEY: usize = 128;

/// `GET /v1/info` for an origin that is allowed.
#[derive(JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Info<'a> {
    /// `sealagent`
    pub product: &'static str,
    /// Version of the program.
    pub version: &'static str,
    /// Versions of this interface.
    pub api_versions: [u32; 1],
    /// Short name of the user whose agent this is.
    pub user: &'a str,
    /// What this version can do.
    pub features: &'static [&'static str],
    /// Whether the asking origin is allowed.
    pub paired: bool,
    /// Marks this run of the agent; for a paired page, whose credentials name it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// What the agent proves itself with to a paired page ([`super::credential`]).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proof: Option<String>,
    /// The highest number that its credentials have used in this run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seen: Option<u64>,
}

/// `GET /v1/info` for any other.
#[derive(JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PublicInfo {
    /// `sealagent`
    pub product: &'static str,
    /// Versions of this interface.
    pub api_versions: [u32; 1],
}

/// `GET /v1/info`
#[derive(JsonSchema, Serialize)]
#[serde(untagged)]
pub enum InfoView<'a> {
    /// For an origin that is allowed.
    Allowed(Info<'a>),
    /// For any other.
    Stranger(PublicInfo),
}

/// A document that was handed over.
#[derive(JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DocumentView<'a> {
    /// Names it in other calls.
    pub document_id: &'a str,
    /// As the page named it.
    pub name: &'a str,
    /// `ofd` or `pdf`.
    pub format: &'static str,
    /// Its pages, in reading order.
    pub pages: Vec<PageView>,
    /// SM3 of its bytes.
    #[schemars(with = "Digest")]
    pub sm3: Sm3Digest,
    /// Number of signatures in it.
    pub signatures: usize,
    /// Whether one of them closed it.
    pub closed: bool,
    /// Its empty signature fields, in the order of its form; at most 200.
    pub fields: Vec<FieldView<'a>>,
    /// When it will be gone, if nobody asks about it before.
    #[schemars(with = "DateTime")]
    pub expires_at: Timestamp,
}

/// An empty signature field of a PDF.
#[derive(JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FieldView<'a> {
    /// Fully qualified name: what a stamp of kind `field` names.
    pub name: &'a str,
    /// Whether nothing further can be signed once it is.
    pub closes: bool,
    /// Where it shows; at most 20 places, and none where it is invisible.
    pub places: Vec<PlaceView>,
}

/// A rectangle on a page, in mm from the top left corner.
#[derive(JsonSchema, Serialize)]
pub struct PlaceView {
    page: usize,
    x: f64,
    y: f64,
    width: f64,
    height: f64,
}

impl<'a> FieldView<'a> {
    fn new(field: &'a SignatureField) -> Self {
        let shown = field.widgets.iter().filter(|widget| widget.rect.width > 0.0 && widget.rect.height > 0.0);
        let place = |widget: &Widget| {
            let RectMm { x, y, width, height } = widget.rect;
            PlaceView { page: widget.page + 1, x, y, width, height }
        };
        Self { name: &field.name, closes: field.closes, places: shown.map(place).take(MAX_PLACES).collect() }
    }
}

/// A page.
#[derive(JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PageView {
    number: usize,
    width_mm: f64,
    height_mm: f64,
}

impl<'a> DocumentView<'a> {
    /// A document under its id.
    pub fn new(id: &'a str, document: &'a Document, expires_at: Timestamp) -> Self {
        let page =
            |(n, size): (usize, &crate::stamp::SizeMm)| PageView { number: n + 1, width_mm: size.width, height_mm: size.height };
        Self {
            document_id: id,
            name: &document.name,
            format: document.format.as_str(),
            pages: document.pages.iter().enumerate().map(page).collect(),
            sm3: document.sm3,
            signatures: document.signatures,
            closed: document.closed,
            fields: document.fields.iter().filter(|field| !field.is_signed).map(FieldView::new).take(MAX_FIELDS).collect(),
            expires_at,
        }
    }
}

/// `POST /v1/signatures`
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SignatureBody {
    #[serde(default)]
    items: Option<Vec<ItemBody>>,
    #[serde(default)]
    digests: Option<Vec<DigestBody>>,
    /// How many items there must be.
    #[serde(default)]
    count: Option<usize>,
    #[serde(default)]
    timestamp: Option<String>,
    /// Whether every signature that is there must be valid.
    #[serde(default)]
    require_valid: bool,
    #[serde(default)]
    licence: Option<String>,
    /// The same key with the same body is the same request.
    #[serde(default)]
    pub idempotency_key: Option<String>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ItemBody {
    document_id: String,
    seal: String,
    /// SM3 that the document must have: what the page's list says of it.
    #[serde(default)]
    #[schemars(with = "Option<Digest>")]
    sm3: Option<Sm3Digest>,
    /// The name that the document must have.
    #[serde(default)]
    name: Option<String>,
    stamp: StampBody,
    #[serde(default)]
    signed_value: Option<SignedValueKind>,
    #[serde(default)]
    close: bool,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct DigestBody {
    name: String,
    #[schemars(with = "Digest")]
    sm3: Sm3Digest,
    property: String,
    seal: String,
    #[serde(default)]
    signed_value: SignedValueKind,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "camelCase", deny_unknown_fields)]
enum StampBody {
    Field {
        name: String,
    },
    Keyword {
        text: String,
        #[serde(default)]
        nth: Option<NthBody>,
        dx: f64,
        dy: f64,
    },
    None {},
    Page {
        pages: PagesBody,
        x: f64,
        y: f64,
        #[serde(default)]
        width: Option<f64>,
    },
    Straddle {
        edge: EdgeBody,
        pages: PagesBody,
        y: f64,
    },
}

/// Which occurrence of a keyword; the first when it is not said.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
enum NthBody {
    Number(NonZeroU32),
    Word(NthWord),
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
enum NthWord {
    All,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
enum EdgeBody {
    Left,
    Right,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
enum PagesBody {
    List(Vec<u32>),
    Named(PagesName),
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
enum PagesName {
    All,
    Even,
    Odd,
}

fn bad(what: impl std::fmt::Display) -> Failure {
    Failure::new(Code::BadRequest, what)
}

impl PagesBody {
    fn parse(&self) -> Result<PageSelection, Failure> {
        Ok(match self {
            Self::List(numbers) => {
                let list: Option<Vec<_>> = numbers.iter().map(|n| PageNumber::new(*n)).collect();
                PageSelection::List(list.ok_or(Code::PageNotFound)?)
            }
            Self::Named(PagesName::All) => PageSelection::All,
            Self::Named(PagesName::Even) => PageSelection::Even,
            Self::Named(PagesName::Odd) => PageSelection::Odd,
        })
    }
}

impl StampBody {
    fn parse(&self) -> Result<Stamp, Failure> {
        Ok(match self {
            Self::Field { name } => Stamp::Field { name: name.clone() },
            Self::Keyword { text, .. } if !keyword::is_keyword(text) => return Err(bad("stamp.text: 1 to 200 characters")),
            Self::Keyword { text, nth, dx, dy } => {
                let occurrence = match nth {
                    None => Occurrence::Nth(NonZeroU32::MIN),
                    Some(NthBody::Number(nth)) => Occurrence::Nth(*nth),
                    Some(NthBody::Word(NthWord::All)) => Occurrence::All,
                };
                Stamp::Keyword { text: text.clone(), occurrence, dx: *dx, dy: *dy }
            }
            Self::None {} => Stamp::Nowhere,
            Self::Page { pages, x, y, width } => Stamp::Page { pages: pages.parse()?, x: *x, y: *y, width: *width },
            Self::Straddle { edge, pages, y } => {
                let edge = match edge {
                    EdgeBody::Left => Edge::Left,
                    EdgeBody::Right => Edge::Right,
                };
                Stamp::Straddle { edge, pages: pages.parse()?, y: *y }
            }
        })
    }
}

impl SignatureBody {
    /// The request, if its form is right and its documents are there.
    pub fn parse(&self, requester: Requester, find: impl Fn(&str) -> Option<Arc<Document>>) -> Result<SigningRequest, Failure> {
        if self.licence.is_some() {
            return Err(bad("licence: no licence of this id was imported"));
        }
        if self.idempotency_key.as_ref().is_some_and(|key| key.is_empty() || key.len() > MAX_KEY) {
            return Err(bad(format!("idempotencyKey: 1 to {MAX_KEY} bytes")));
        }
        let items = match (&self.items, &self.digests) {
            (Some(items), None) if items.len() <= MAX_ITEMS => {
                items.iter().map(|item| item.parse(&find)).collect::<Result<Vec<_>, _>>()?
            }
            (None, Some(digests)) if digests.len() <= MAX_ITEMS => {
                digests.iter().map(DigestBody::parse).collect::<Result<Vec<_>, _>>()?
            }
            (None, None) | (Some(_), Some(_)) => return Err(bad("either items or digests")),
            _ => return Err(bad(format!("at most {MAX_ITEMS} items"))),
        };
        if self.count.is_some_and(|count| count != items.len()) {
            return Err(bad(format!("count: there are {} items", items.len())));
        }
        Ok(SigningRequest { requester, items, timestamp: self.timestamp.clone(), require_valid: self.require_valid })
    }
}

impl ItemBody {
    fn parse(&self, find: &impl Fn(&str) -> Option<Arc<Document>>) -> Result<SigningItem, Failure> {
        let document = find(&self.document_id).ok_or(Code::DocumentNotFound)?;
        // A list that says what it holds is held to it: nobody puts another document in the place of one that was meant.
        if self.sm3.is_some_and(|sm3| sm3 != document.sm3) {
            return Err(bad(format!("sm3: document {} is another one", self.document_id)));
        }
        if self.name.as_ref().is_some_and(|name| *name != document.name) {
            return Err(bad(format!("name: document {} has another one", self.document_id)));
        }
        let stamp = self.stamp.parse()?;
        let signed_value = self.signed_value.unwrap_or_else(|| document.format.signed_value());
        let subject = Subject::Document { document, stamp, close: self.close };
        Ok(SigningItem { subject, seal: self.seal.clone(), signed_value })
    }
}

impl DigestBody {
    fn parse(&self) -> Result<SigningItem, Failure> {
        if self.property.is_empty()
            || self.property.len() > MAX_PROPERTY
            || !self.property.bytes().all(|b| (0x20..0x7f).contains(&b))
        {
            return Err(bad(format!("property: 1 to {MAX_PROPERTY} printable ASCII characters")));
        }
        let subject = Subject::Digest { name: name(&self.name)?, sm3: self.sm3, property: self.property.clone() };
        Ok(SigningItem { subject, seal: self.seal.clone(), signed_value: self.signed_value })
    }
}

/// A name that a page gives to a document.
pub fn name(text: &str) -> Result<String, Failure> {
    let length = text.chars().count();
    if length == 0 || length > MAX_NAME { Err(bad(format!("name: 1 to {MAX_NAME} characters"))) } else { Ok(text.to_owned()) }
}

/// `202` of `POST /v1/signatures`
#[derive(JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Begun<'a> {
    /// Names the request.
    pub signature_id: &'a str,
}

/// `GET /v1/signatures/{id}`
#[derive(JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StatusView {
    /// Of the request.
    pub state: State,
    /// Of its items, in order.
    pub items: Vec<ItemView>,
}

/// One item.
#[derive(JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ItemView {
    /// Its state.
    pub state: State,
    /// Why not, if not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<Code>,
    /// The same in English.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The same in Chinese.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message_zh: Option<String>,
    /// What is particular, for the help desk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// What did not go as wished although it is done: `timestamp_failed`, else `seal_status_unanswered`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warning: Option<Code>,
    /// The signed value of a digest-only item, base64url.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signed_value: Option<String>,
}

impl ItemView {
    /// An item, with its value if it has one.
    pub fn new(item: &ItemStatus, signed_value: Option<String>) -> Self {
        let failure = item.failure.as_ref();
        let text = |language, gap: &str| failure.map(|f| format!("{}{gap}{}", f.code.message(language), f.code.hint(language)));
        Self {
            state: item.state,
            code: failure.map(|f| f.code),
            message: text(Language::English, " "),
            message_zh: text(Language::Chinese, ""),
            detail: failure.and_then(|f| f.detail.clone()),
            warning: item.warning.as_ref().map(|f| f.code),
            signed_value,
        }
    }
}
