//! The sections of a configuration, as they are used: what each key means, and what a section checks of itself.

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use crate::consent::Origin;
use crate::fetch::Fetcher;

/// What is fetched, and how. Nothing, unless it is said.
#[derive(Clone, Debug, Default)]
pub struct Fetch {
    /// Whether the agent fetches by itself what accepted trust lists name, and asks the services that they name.
    pub enabled: bool,
    /// Whether a web page's verification may ask them too; the policy alone can say so.
    pub for_pages: bool,
    /// Whether the policy says that nothing is fetched, whoever asks for it.
    pub forbidden: bool,
    /// `http://host[:port]` through which everything is asked.
    pub proxy: Option<String>,
}

impl Fetch {
    /// What fetches, where fetching is on.
    pub fn fetcher(&self) -> Option<Fetcher> {
        self.by_hand().filter(|_| self.enabled)
    }

    /// What fetches for a person who asks for it: also where fetching is not on, but not against the policy.
    pub fn by_hand(&self) -> Option<Fetcher> {
        // The address was read when the configuration was.
        let fetcher = self.proxy.as_deref().map_or_else(|| Some(Fetcher::new()), |proxy| Fetcher::through(proxy).ok());
        fetcher.filter(|_| !self.forbidden)
    }
}

/// How signed values stand in a PDF: no national rule is known, so a region may name what its readers look for.
#[derive(Clone, Debug, Default)]
pub struct Pdf {
    /// `/Filter` and `/SubFilter` of an `SES_Signature`; `None` is what the PDF module writes by itself.
    pub seal_filters: Option<(String, String)>,
    /// Content types of `SignedData`.
    pub identifiers: PdfIdentifiers,
}

/// Content types of `SignedData` in a PDF.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub enum PdfIdentifiers {
    /// Those of GB/T 35275.
    #[default]
    Gm,
    /// Those of PKCS#7, with `1.2.156.10197.1.501` for the signature: readers that know no SM2 take the value apart, too.
    Pkcs7,
}

/// The listener and who may call it.
#[derive(Clone, Debug)]
pub struct Http {
    /// The port; `None` tries [`FIRST_PORT`](super::FIRST_PORT) to [`LAST_PORT`](super::LAST_PORT) in order. 0 takes any free one (tests).
    pub port: Option<u16>,
    /// Origins that are allowed without pairing.
    pub origins: BTreeSet<Origin>,
    /// Origins that may ask for a signature over a digest alone.
    pub digest_only: BTreeSet<Origin>,
    /// Largest document that a page may hand over, in bytes.
    pub max_upload_bytes: u64,
    /// Whether an origin that is not allowed gets no answer at all, not even the product's name.
    pub silent: bool,
    /// Whether the person may allow further origins by pairing.
    pub pairing: bool,
    /// Whether there may be a TLS listener. There is one when its certificate was made, too ([`crate::tls`]).
    pub tls: bool,
    /// Its port; `None` tries [`FIRST_TLS_PORT`](super::FIRST_TLS_PORT) to [`LAST_TLS_PORT`](super::LAST_TLS_PORT) in order. 0 takes any free one (tests).
    pub tls_port: Option<u16>,
}

/// How the person is asked.
#[derive(Clone, Debug)]
pub struct Prompt {
    /// Window, terminal, or a program of the system.
    pub kind: PromptKind,
    /// The program of [`PromptKind::Pinentry`], by absolute path; of no other kind.
    pub program: Option<PathBuf>,
    /// How long a prompt waits for its answer.
    pub timeout: Duration,
    /// How long nothing is accepted after a prompt has appeared.
    pub delay: Duration,
}

/// Kinds of prompt.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "camelCase")]
pub enum PromptKind {
    /// A `pinentry` program of the system, which the configuration names. Not on Windows.
    Pinentry,
    /// The terminal that the agent was started in.
    #[default]
    Terminal,
    /// A window of its own, by the program `sealagent-prompt`.
    Window,
}

impl PromptKind {
    /// Where nobody says: the terminal that this program was started in, else a window, as for an agent that starts with the session.
    pub(super) fn of_session() -> Self {
        if io::IsTerminal::is_terminal(&io::stdin()) { Self::Terminal } else { Self::Window }
    }
}

/// One way to reach tokens, as `[[driver]]` names it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Driver {
    /// Which interface.
    pub kind: DriverKind,
    /// The library to load (SKF, PKCS#11), by absolute path; the folder of a virtual token, else the usual one.
    #[serde(default)]
    pub library: Option<PathBuf>,
    /// The profile of the vendor's quirks.
    #[serde(default)]
    pub profile: Option<String>,
    /// SHA-256 that the library must have, 64 hexadecimal digits.
    #[serde(default)]
    pub sha256: Option<String>,
}

impl Driver {
    /// The SHA-256 that its library must have, if one is named.
    pub fn sha256(&self) -> Option<[u8; 32]> {
        let digits: Vec<u32> = self.sha256.as_deref()?.chars().map(|c| c.to_digit(16)).collect::<Option<_>>()?;
        let bytes: Vec<u8> = digits.chunks_exact(2).map(|pair| (pair[0] << 4 | pair[1]) as u8).collect();
        bytes.try_into().ok()
    }

    /// Whether the keys fit the kind.
    pub(super) fn check(&self) -> Result<(), &'static str> {
        let needs_library = matches!(self.kind, DriverKind::Skf | DriverKind::Pkcs11);
        match &self.library {
            None if needs_library => Err("a driver of kind \"skf\" or \"pkcs11\" needs library = \"/absolute/path\""),
            Some(library) if !library.is_absolute() => Err("driver.library must be an absolute path"),
            Some(_) if self.kind == DriverKind::Pcsc => Err("a driver of kind \"pcsc\" takes no library"),
            _ if self.sha256.as_deref().is_some_and(|d| d.len() != 64 || !d.bytes().all(|b| b.is_ascii_hexdigit())) => {
                Err("driver.sha256 must be 64 hexadecimal digits")
            }
            _ => Ok(()),
        }
    }
}

/// Interfaces to tokens.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum DriverKind {
    /// Smart cards with standard applets.
    Pcsc,
    /// A PKCS#11 module.
    Pkcs11,
    /// A library of GM/T 0016.
    Skf,
    /// A token in software, for demos and tests.
    Virtual,
}

impl DriverKind {
    /// The name in configuration files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pcsc => "pcsc",
            Self::Pkcs11 => "pkcs11",
            Self::Skf => "skf",
            Self::Virtual => "virtual",
        }
    }
}

/// A time stamp service.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Timestamp {
    /// What pages call it.
    pub name: String,
    /// Where it is.
    pub url: String,
    /// Whether a signature without its stamp is a failure.
    #[serde(default)]
    pub required: bool,
}

impl Timestamp {
    /// Whether it can be asked.
    pub(super) fn check(&self) -> Result<(), &'static str> {
        match crate::fetch::Target::parse(&self.url, true) {
            Ok(_) if !self.name.is_empty() => Ok(()),
            _ => Err(
                "timestamp.name must not be empty, and timestamp.url must be http://host/path: the answer is signed, https is not spoken",
            ),
        }
    }
}

/// The record of requests and signatures.
#[derive(Clone, Debug)]
pub struct Audit {
    /// How long whole months are kept, in days.
    pub keep_days: u32,
}

/// A narrower rule for one origin. What it does not name it does not narrow.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// Whom it binds.
    pub origin: Origin,
    /// The only seals it may ask for, by their codes.
    #[serde(default)]
    pub seals: Option<BTreeSet<String>>,
    /// The only formats it may have signed: "ofd", "pdf".
    #[serde(default)]
    pub formats: Option<BTreeSet<String>>,
    /// Whether its requests need a licence statement of the signer's registry.
    #[serde(default)]
    pub licence_required: bool,
}
