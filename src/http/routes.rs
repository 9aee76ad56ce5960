//! The paths of the interface: one table, which the router obeys and the contract ([`super::openapi`]) is written from. A call that does
//! not stand here cannot be reached, and nothing can be called that is not described.

use std::ops::RangeInclusive;

use hyper::Method;
use schemars::{Schema, SchemaGenerator};

use super::api::{Begun, DocumentView, InfoView, SignatureBody, StatusView};
use super::openapi::Document;
use super::pairing::{BegunPairing, PairingBody, PairingView};
use crate::server::upload::FILE_TYPES;
use crate::server::{ErrorBody, decoded};
use crate::verify::report::Report;
use crate::views::{SealView, TokenView};

/// Largest JSON body, in bytes: 500 items with names fit.
pub const MAX_JSON: u64 = 1 << 20;
/// Largest body that a stranger may send, in bytes: a label fits.
const MAX_PAIRING: u64 = 4 << 10;
/// Longest wait of a long poll, in seconds.
pub const MAX_WAIT: u32 = 20;
/// Narrowest and widest picture of a page, in pixels.
pub const PAGE_WIDTHS: RangeInclusive<u32> = 50..=2000;

/// Who may call a path.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Access {
    /// Origins that are allowed, and pages of paired origins that prove themselves.
    Allowed,
    /// The same, and origins that ask to be paired, unless policy forbids that.
    Pairing,
    /// The same, and whoever may ask whether this program is there.
    Stranger,
}

/// What the router does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[allow(missing_docs, reason = "each is described in the table")]
pub(super) enum Call {
    BeginPairing,
    BeginSignatures,
    CancelSignatures,
    Contract,
    DeleteDocument,
    DocumentPage,
    Events,
    Info,
    PairingStatus,
    Seal,
    SealData,
    SealPicture,
    Seals,
    SignatureStatus,
    SignedDocument,
    TakeDocument,
    Token,
    Tokens,
    Verify,
    WithdrawPairing,
}

impl Call {
    /// Whether it needs no proof: whoever is admitted to the path may make it. A WebSocket carries no `Authorization`; a paired page
    /// proves itself in its first frame.
    pub fn is_open(self) -> bool {
        matches!(self, Self::BeginPairing | Self::Events | Self::Info | Self::PairingStatus | Self::WithdrawPairing)
    }
}

/// A path and what can be done with it.
#[derive(Debug)]
pub struct Path {
    /// As OpenAPI writes it, `{name}` for what varies.
    pub template: &'static str,
    /// Who may call it.
    pub access: Access,
    /// What varies in it, in order.
    pub parameters: &'static [Parameter],
    /// At most one for each method.
    pub operations: &'static [Operation],
}

/// Something that varies in a path, or stands behind `?`.
#[derive(Debug)]
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// What it means.
    pub about: &'static str,
    /// What it looks like.
    pub form: Form,
    /// Behind `?`: whether it must be there.
    pub required: bool,
}

/// What a parameter looks like.
#[derive(Clone, Copy, Debug)]
pub enum Form {
    /// A whole number, from and to.
    Number(u32, u32),
    /// Any text.
    Text,
    /// RFC 3339.
    Time,
}

/// A method that some path has.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[allow(missing_docs, reason = "the names are those of RFC 9110")]
pub enum Verb {
    Delete,
    Get,
    Post,
}

impl Verb {
    /// As it stands in a request.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Delete => "DELETE",
            Self::Get => "GET",
            Self::Post => "POST",
        }
    }
}

/// One method of a path.
#[derive(Clone, Copy)]
pub struct Operation {
    /// The method.
    pub method: Verb,
    pub(super) call: Call,
    /// What it does.
    pub summary: &'static str,
    /// What may stand behind `?`; anything else is refused.
    pub query: &'static [Parameter],
    /// The body that it takes.
    pub body: Option<Body>,
    /// Status of success.
    pub status: u16,
    /// What is answered then.
    pub answer: Content,
}

impl std::fmt::Debug for Operation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} {:?}", self.method, self.call)
    }
}

impl Operation {
    /// The names of what may stand behind `?`.
    pub fn parameters(&self) -> Vec<&'static str> {
        self.query.iter().map(|parameter| parameter.name).collect()
    }
}

/// Writes down what a JSON value looks like.
pub type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// A body.
#[derive(Clone, Copy)]
pub enum Body {
    /// A file, as large as the configuration allows.
    File,
    /// JSON of at most so many bytes.
    Json(SchemaOf, u64),
}

impl Body {
    /// The content types that it may have.
    pub fn content_types(self) -> &'static [&'static str] {
        match self {
            Self::File => FILE_TYPES,
            Self::Json(..) => &["application/json"],
        }
    }
}

/// What is answered.
#[derive(Clone, Copy)]
pub enum Content {
    /// Bytes of one of these types.
    File(&'static [&'static str]),
    /// JSON.
    Json(SchemaOf),
    /// Nothing.
    None,
}

/// A request's path, taken apart.
#[derive(Clone, Debug)]
pub struct Route {
    /// Its row of the table.
    pub path: &'static Path,
    values: Vec<String>,
}

impl Route {
    /// The route of a path; `None` where there is none.
    pub fn of(path: &str) -> Option<Self> {
        let parts: Vec<&str> = path.split('/').collect();
        PATHS.iter().find_map(|path| Some(Self { path, values: path.matched(&parts)? }))
    }

    /// What is done for a method.
    pub fn operation(&self, method: &Method) -> Option<&'static Operation> {
        self.path.operations.iter().find(|operation| operation.method.as_str() == method.as_str())
    }

    /// The methods that it has.
    pub fn methods(&self) -> impl Iterator<Item = &'static str> {
        self.path.operations.iter().map(|operation| operation.method.as_str())
    }

    /// What stands in the place of the parameter with this number.
    pub fn value(&self, number: usize) -> &str {
        self.values.get(number).map_or("", String::as_str)
    }
}

impl Path {
    /// The values of the parameters, percent-decoded, when a path has this form.
    fn matched(&self, parts: &[&str]) -> Option<Vec<String>> {
        let mut values = Vec::new();
        let mut expected = self.template.split('/');
        for part in parts {
            let wanted = expected.next()?;
            match wanted.strip_prefix('{').and_then(|variable| variable.split_once('}')) {
                // Behind the name there may be an ending, such as `.png`.
                Some((_, ending)) => values.push(decoded(part.strip_suffix(ending)?)?),
                None if wanted == *part => {}
                None => return None,
            }
        }
        expected.next().is_none().then_some(values)
    }
}

const fn parameter(name: &'static str, about: &'static str) -> Parameter {
    Parameter { name, about, form: Form::Text, required: false }
}

const fn get(call: Call, summary: &'static str, answer: Content) -> Operation {
    Operation { method: Verb::Get, call, summary, query: &[], body: None, status: 200, answer }
}

const fn delete(call: Call, summary: &'static str) -> Operation {
    Operation { method: Verb::Delete, call, summary, query: &[], body: None, status: 204, answer: Content::None }
}

const fn post(call: Call, summary: &'static str, body: Body, status: u16, answer: Content) -> Operation {
    Operation { method: Verb::Post, call, summary, query: &[], body: Some(body), status, answer }
}

const NAME: Parameter = Parameter { required: true, ..parameter("name", "The document's name, shown to the person.") };
const WAIT: Parameter = Parameter {
    form: Form::Number(0, MAX_WAIT),
    ..parameter("wait", "Answer when the state has changed, or after so many seconds.")
};
const ES_ID: Parameter = parameter("esId", "The seal's code.");
const DOCUMENT_ID: Parameter = parameter("documentId", "As it was given when the document was handed over.");
const SIGNATURE_ID: Parameter = parameter("signatureId", "As it was given when the request was made.");
const PAIRING_ID: Parameter = parameter("pairingId", "As it was given when the pairing was asked for.");
const PICTURES: &[&str] = &["image/png", "image/jpeg", "image/bmp", "image/gif", "application/ofd", "application/octet-stream"];

/// An error, of any operation.
pub const FAILURE: SchemaOf = SchemaGenerator::subschema_for::<ErrorBody<'static>>;

/// The interface.
pub static PATHS: &[Path] = &[
    Path {
        template: "/v1/documents",
        access: Access::Allowed,
        parameters: &[],
        operations: &[Operation {
            query: &[NAME],
            ..post(
                Call::TakeDocument,
                "Hand a document over. It is gone on DELETE, or ten minutes after its last use.",
                Body::File,
                201,
                Content::Json(SchemaGenerator::subschema_for::<DocumentView<'static>>),
            )
        }],
    },
    Path {
        template: "/v1/documents/{documentId}",
        access: Access::Allowed,
        parameters: &[DOCUMENT_ID],
        operations: &[delete(Call::DeleteDocument, "Take a document back.")],
    },
    Path {
        template: "/v1/documents/{documentId}/pages/{number}.png",
        access: Access::Allowed,
        parameters: &[DOCUMENT_ID, Parameter { form: Form::Number(1, u32::MAX), ..parameter("number", "The page, from 1.") }],
        operations: &[Operation {
            query: &[Parameter {
                form: Form::Number(*PAGE_WIDTHS.start(), *PAGE_WIDTHS.end()),
                ..parameter("width", "Width of the picture in pixels; 800 if it is not said.")
            }],
            ..get(Call::DocumentPage, "Draw a page.", Content::File(&["image/png"]))
        }],
    },
    Path {
        template: "/v1/events",
        access: Access::Allowed,
        parameters: &[],
        operations: &[Operation {
            status: 101,
            ..get(
                Call::Events,
                "A WebSocket of the subprotocol sealagent.v1: each text frame of the agent is one Event. A page of a paired origin sends \
                 its credential, {\"authorization\": \"SealAgent ...\"}, as the first frame, and nothing else.",
                Content::None,
            )
        }],
    },
    Path {
        template: "/v1/info",
        access: Access::Stranger,
        parameters: &[],
        operations: &[Operation {
            query: &[
                parameter(
                    "challenge",
                    "Letters and digits that the page chose; with `pairing`, the answer proves who the agent is.",
                ),
                parameter("pairing", "The id of the page's pairing."),
            ],
            ..get(
                Call::Info,
                "Who is there. An origin that is not allowed learns the product's name and the versions of the interface alone.",
                Content::Json(SchemaGenerator::subschema_for::<InfoView<'static>>),
            )
        }],
    },
    Path {
        template: "/v1/openapi.json",
        access: Access::Allowed,
        parameters: &[],
        operations: &[get(Call::Contract, "This document.", Content::Json(SchemaGenerator::subschema_for::<Document>))],
    },
    Path {
        template: "/v1/pairings",
        access: Access::Pairing,
        parameters: &[],
        operations: &[post(
            Call::BeginPairing,
            "Ask the person to allow this origin. The page shows the code; the person compares it.",
            Body::Json(SchemaGenerator::subschema_for::<PairingBody>, MAX_PAIRING),
            202,
            Content::Json(SchemaGenerator::subschema_for::<BegunPairing>),
        )],
    },
    Path {
        template: "/v1/pairings/{pairingId}",
        access: Access::Pairing,
        parameters: &[PAIRING_ID],
        operations: &[
            Operation {
                query: &[WAIT],
                ..get(
                    Call::PairingStatus,
                    "How a pairing stands. Whoever fetches a grant first gets the key.",
                    Content::Json(SchemaGenerator::subschema_for::<PairingView>),
                )
            },
            delete(Call::WithdrawPairing, "Take the question back."),
        ],
    },
    Path {
        template: "/v1/seals",
        access: Access::Allowed,
        parameters: &[],
        operations: &[get(
            Call::Seals,
            "All seals, those of absent tokens too.",
            Content::Json(SchemaGenerator::subschema_for::<Vec<SealView>>),
        )],
    },
    Path {
        template: "/v1/seals/{esId}",
        access: Access::Allowed,
        parameters: &[ES_ID],
        operations: &[get(Call::Seal, "One seal.", Content::Json(SchemaGenerator::subschema_for::<SealView>))],
    },
    Path {
        template: "/v1/seals/{esId}/data",
        access: Access::Allowed,
        parameters: &[ES_ID],
        operations: &[get(
            Call::SealData,
            "The seal's DER, for origins that may ask for signatures over digests.",
            Content::File(&["application/octet-stream"]),
        )],
    },
    Path {
        template: "/v1/seals/{esId}/picture",
        access: Access::Allowed,
        parameters: &[ES_ID],
        operations: &[get(Call::SealPicture, "The seal's picture, as it stands in the seal.", Content::File(PICTURES))],
    },
    Path {
        template: "/v1/signatures",
        access: Access::Allowed,
        parameters: &[],
        operations: &[post(
            Call::BeginSignatures,
            "Ask the person, once for all items.",
            Body::Json(SchemaGenerator::subschema_for::<SignatureBody>, MAX_JSON),
            202,
            Content::Json(SchemaGenerator::subschema_for::<Begun<'static>>),
        )],
    },
    Path {
        template: "/v1/signatures/{signatureId}",
        access: Access::Allowed,
        parameters: &[SIGNATURE_ID],
        operations: &[
            Operation {
                query: &[WAIT],
                ..get(Call::SignatureStatus, "How a request stands.", Content::Json(SchemaGenerator::subschema_for::<StatusView>))
            },
            delete(Call::CancelSignatures, "Withdraw a request, or forget its results."),
        ],
    },
    Path {
        template: "/v1/signatures/{signatureId}/documents/{documentId}",
        access: Access::Allowed,
        parameters: &[SIGNATURE_ID, DOCUMENT_ID],
        operations: &[get(
            Call::SignedDocument,
            "A signed document, as often as it is asked for.",
            Content::File(&["application/ofd", "application/pdf"]),
        )],
    },
    Path {
        template: "/v1/tokens",
        access: Access::Allowed,
        parameters: &[],
        operations: &[get(
            Call::Tokens,
            "The tokens that are plugged in.",
            Content::Json(SchemaGenerator::subschema_for::<Vec<TokenView>>),
        )],
    },
    Path {
        template: "/v1/tokens/{tokenId}",
        access: Access::Allowed,
        parameters: &[parameter("tokenId", "As it stands in the list.")],
        operations: &[get(Call::Token, "One token.", Content::Json(SchemaGenerator::subschema_for::<TokenView>))],
    },
    Path {
        template: "/v1/verifications",
        access: Access::Allowed,
        parameters: &[],
        operations: &[Operation {
            query: &[
                Parameter { required: false, ..NAME },
                Parameter { form: Form::Time, ..parameter("at", "The moment to judge for; now, if it is not said.") },
            ],
            ..post(
                Call::Verify,
                "Judge the signatures of a file. No person is asked; regions' services are asked only where the policy of the machine says so.",
                Body::File,
                200,
                Content::Json(SchemaGenerator::subschema_for::<Report>),
            )
        }],
    },
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Attack item 52.
    #[test]
    fn paths_are_routes_and_never_files() {
        let of = |path| Route::of(path).map(|route| (route.path.template, route.values));
        assert_eq!(of("/v1/info"), Some(("/v1/info", vec![])));
        assert_eq!(of("/v1/seals/%E5%8D%B0/picture"), Some(("/v1/seals/{esId}/picture", vec!["印".to_owned()])));
        let page = ("/v1/documents/{documentId}/pages/{number}.png", vec!["a".to_owned(), "2".to_owned()]);
        assert_eq!(of("/v1/documents/a/pages/2.png"), Some(page));
        for none in [
            "/",
            "/v1",
            "/v1/",
            "/v1/info/",
            "//v1/info",
            "/v2/info",
            "/v1/../etc/passwd",
            "/v1/documents/a/b",
            "/v1/documents/a/pages/2",
            "/v1/seals/%zz",
            "/v1/seals/%ff",
        ] {
            assert_eq!(of(none), None, "{none}");
        }
    }

    #[test]
    fn every_template_leads_to_itself_with_its_parameters() {
        for path in PATHS {
            let route = Route::of(path.template).unwrap();
            assert_eq!(route.path.template, path.template, "two paths have one form");
            let names: Vec<_> = path.template.split(['{', '}']).skip(1).step_by(2).collect();
            assert_eq!(names, path.parameters.iter().map(|p| p.name).collect::<Vec<_>>(), "{}", path.template);
            let methods: BTreeSet<_> = route.methods().collect();
            assert_eq!(methods.len(), path.operations.len(), "{}", path.template);
        }
        let calls: Vec<_> = PATHS.iter().flat_map(|path| path.operations).map(|operation| operation.call).collect();
        assert!(calls.iter().enumerate().all(|(n, call)| !calls[..n].contains(call)), "a call stands there twice");
    }
}
