//! Everything that a prompt shows, in the order of ui.md: who asks, what is signed, with which seal, what happens next.
//!
//! Texts of strangers are kept as [`Shown`], which is harmless by construction, so no prompter can forget it.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};
use ukey::{PinStatus, Sm3Digest, TokenInfo};

use super::Origin;
use crate::harmless;

/// A text that was made fit to be shown (see [`crate::harmless`]).
#[derive(Clone, Debug, Default, Deserialize, Eq, schemars::JsonSchema, PartialEq, Serialize)]
#[serde(from = "String", into = "String")]
pub struct Shown(String);

impl Shown {
    /// Makes a text harmless.
    pub fn new(text: &str) -> Self {
        Self(harmless::line(text))
    }

    /// The harmless text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for Shown {
    fn from(text: String) -> Self {
        Self::new(&text)
    }
}

impl From<Shown> for String {
    fn from(shown: Shown) -> Self {
        shown.0
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Who asks. Written as the origin, `cli`, or `own-page`.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "String", into = "String")]
pub enum Requester {
    /// A command of the same user.
    CommandLine,
    /// A web page.
    Origin(Origin),
    /// The agent's own page, which a command of the same user opened.
    OwnPage,
}

impl fmt::Display for Requester {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CommandLine => f.write_str("cli"),
            Self::Origin(origin) => origin.fmt(f),
            Self::OwnPage => f.write_str("own-page"),
        }
    }
}

impl From<Requester> for String {
    fn from(requester: Requester) -> Self {
        requester.to_string()
    }
}

impl TryFrom<String> for Requester {
    type Error = super::NotAnOrigin;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        match text.as_str() {
            "cli" => Ok(Self::CommandLine),
            "own-page" => Ok(Self::OwnPage),
            origin => Origin::parse(origin).map(Self::Origin),
        }
    }
}

/// One prompt's worth of information.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// Who asks. The largest text of any prompt.
    pub requester: Requester,
    /// What is signed with which seal, an entry a signature.
    pub items: Vec<SummaryItem>,
    /// The host of the time stamp service that will be asked about the signatures; `None` when none will be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stamped_by: Option<Shown>,
    /// The token that will sign.
    pub token: TokenShown,
    /// State of its PIN, read just now.
    pub pin: PinStatus,
    /// Which answer to the same request this is: 1, and one more after each wrong PIN.
    pub attempt: u32,
}

/// One signature to be made.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SummaryItem {
    /// The document.
    pub document: DocumentShown,
    /// The seal that will be used.
    pub seal: SealShown,
    /// Where it lands.
    pub placements: Vec<PlacementShown>,
    /// Whether no further signature is possible afterwards.
    pub closes: bool,
    /// The page on which it lands first, with the seal on it; `None` when there is no picture.
    #[serde(skip)]
    pub page: Option<PageShown>,
    /// Gives the other pages; `None` where pages cannot be drawn.
    #[serde(skip)]
    pub leaves: Option<Leaves>,
}

/// Any page of one document, while the person looks at it. What draws them ends with the last of these.
#[derive(Clone, Debug)]
pub struct Leaves {
    /// Index of the item.
    pub item: usize,
    /// To the one who draws.
    pub looks: mpsc::Sender<Look>,
}

/// A page that is wanted.
#[derive(Debug)]
pub struct Look {
    /// Index of the item.
    pub item: usize,
    /// The page, from 1.
    pub page: u32,
    /// Without the seals that are to be put on it.
    pub bare: bool,
    /// Where the page is awaited.
    pub answer: oneshot::Sender<Option<PageShown>>,
}

impl Leaves {
    /// The page, or `None` when it cannot be drawn.
    pub async fn page(&self, page: u32, bare: bool) -> Option<PageShown> {
        let (answer, shown) = oneshot::channel();
        self.looks.send(Look { item: self.item, page, bare, answer }).await.ok()?;
        shown.await.ok()?
    }
}

/// A picture of a page.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PageShown {
    /// The page, from 1.
    pub number: u32,
    /// PNG file, made by this program from pixels.
    pub png: Vec<u8>,
    /// Parts of the page could not be shown.
    pub is_incomplete: bool,
}

/// A document, or the little that is known of it.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum DocumentShown {
    /// Seen by this program.
    Seen {
        /// The name that page or person gave it.
        name: Shown,
        /// `OFD` or `PDF`.
        format: &'static str,
        /// Number of pages.
        pages: usize,
        /// Size in bytes.
        bytes: u64,
        /// SM3 of the file as handed over.
        sm3: Sm3Digest,
    },
    /// Only a digest was given: the content was not seen.
    DigestOnly {
        /// The name that the page gave it.
        name: Shown,
        /// The digest that will be signed.
        sm3: Sm3Digest,
    },
}

/// The seal and who signs with it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SealShown {
    /// Its name.
    pub name: Shown,
    /// Its code.
    pub es_id: Shown,
    /// First and last moment of its validity.
    pub valid_from: Timestamp,
    /// Last moment of its validity.
    pub valid_to: Timestamp,
    /// Common name in the signer's certificate.
    pub signer: Shown,
    /// Unified social credit code in the signer's certificate.
    pub uscc: Option<Shown>,
    /// What the registry of the signer's region says of the company, where a statement is at hand and agrees.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub licence: Option<Shown>,
    /// The host of the region's service that could not be asked just now whether the seal is suspended or cancelled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unanswered: Option<Shown>,
    /// The picture as it is put on a page: the file that the seal holds (PNG, GIF, BMP, JPEG), or the PNG that was drawn of it (SVG,
    /// OFD); the file that cannot be shown where it could not be drawn.
    #[serde(skip)]
    pub picture: Arc<[u8]>,
}

/// Where one impression lands.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PlacementShown {
    /// Page number, from 1.
    pub page: u32,
    /// Left edge in mm from the page's left.
    pub x: f64,
    /// Top edge in mm from the page's top.
    pub y: f64,
    /// Width in mm.
    pub width: f64,
    /// Height in mm.
    pub height: f64,
}

/// The token that will sign.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TokenShown {
    /// Its label.
    pub label: Shown,
    /// The last four characters of its serial number.
    pub serial_tail: Shown,
}

impl TokenShown {
    /// From what the token says of itself.
    pub fn of(info: &TokenInfo) -> Self {
        let serial: Vec<char> = info.serial.chars().collect();
        let tail: String = serial[serial.len().saturating_sub(4)..].iter().collect();
        Self { label: Shown::new(&info.label), serial_tail: Shown::new(&tail) }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// One document of one origin, five tries left.
    pub fn summary() -> Summary {
        Summary {
            requester: Requester::Origin(Origin::parse("https://sign.example").unwrap()),
            items: vec![SummaryItem {
                document: DocumentShown::Seen {
                    name: Shown::new("contract\u{202e}.ofd"),
                    format: "OFD",
                    pages: 3,
                    bytes: 182_000,
                    sm3: crate::sm::sm3(b"contract"),
                },
                seal: SealShown {
                    name: Shown::new("深圳市某某科技有限公司 合同专用章"),
                    es_id: Shown::new("44030000012345"),
                    valid_from: Timestamp::UNIX_EPOCH,
                    valid_to: Timestamp::MAX,
                    signer: Shown::new("深圳市某某科技有限公司"),
                    uscc: Some(Shown::new("91440300MA5EXAMPLE")),
                    licence: None,
                    unanswered: None,
                    picture: Arc::default(),
                },
                placements: vec![PlacementShown { page: 1, x: 120.0, y: 200.0, width: 40.0, height: 40.0 }],
                closes: false,
                page: None,
                leaves: None,
            }],
            stamped_by: None,
            token: TokenShown { label: Shown::new("UKey"), serial_tail: Shown::new("4F2A") },
            pin: PinStatus { tries_left: Some(5), max_tries: Some(6), ..PinStatus::default() },
            attempt: 1,
        }
    }
}
