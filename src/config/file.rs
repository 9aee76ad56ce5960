//! The two files as they stand: configuration and policy have the same keys, and those under "policy only" are refused in the other.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{ConfigError, Driver, Limit, PdfIdentifiers, PromptKind, Timestamp, sys};
use crate::consent::Origin;

/// Largest configuration or policy file, in bytes. A thousand origins fit.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// Either file as it stands. Both have the same keys; those under "policy only" are refused in a configuration.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    #[serde(default)]
    pub(super) http: HttpFile,
    #[serde(default)]
    pub(super) prompt: PromptFile,
    #[serde(default)]
    pub(super) driver: Vec<Driver>,
    #[serde(default)]
    pub(super) timestamp: Vec<Timestamp>,
    #[serde(default)]
    pub(super) audit: AuditFile,
    #[serde(default)]
    pub(super) limit: Vec<Limit>,
    #[serde(default)]
    pub(super) pdf: PdfFile,
    #[serde(default)]
    pub(super) fetch: FetchFile,
    #[serde(default)]
    pub(super) region: Vec<RegionFile>,
    #[serde(default)]
    pub(super) update: Option<crate::update::Channel>,
    #[serde(default)]
    pub(super) places: Option<PlacesFile>,
    #[serde(default)]
    pub(super) policy: Option<PolicyFile>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HttpFile {
    pub(super) port: Option<u16>,
    pub(super) tls_port: Option<u16>,
    #[serde(default)]
    pub(super) origins: BTreeSet<Origin>,
    #[serde(default)]
    pub(super) digest_only: BTreeSet<Origin>,
    pub(super) max_upload_mib: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PromptFile {
    pub(super) kind: Option<PromptKind>,
    /// For the kind "pinentry" alone.
    pub(super) program: Option<PathBuf>,
    pub(super) timeout_seconds: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AuditFile {
    pub(super) keep_days: Option<u32>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PdfFile {
    pub(super) seal_filter: Option<String>,
    pub(super) seal_sub_filter: Option<String>,
    pub(super) identifiers: Option<PdfIdentifiers>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FetchFile {
    pub(super) enabled: Option<bool>,
    /// In the policy alone.
    pub(super) for_pages: Option<bool>,
    pub(super) proxy: Option<String>,
}

/// `[[region]]`, in the policy alone.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RegionFile {
    /// Short name.
    pub(super) id: String,
    /// SHA-256 of the certificate that may sign its first list.
    pub(super) signer: String,
    /// Its list, which the agent takes when it starts.
    pub(super) list: Option<PathBuf>,
}

impl RegionFile {
    /// The digest, if both parts are what they should be.
    pub(super) fn checked(&self) -> Option<[u8; 32]> {
        crate::regions::unhex(&self.signer).filter(|_| crate::pki::signed::is_region_name(&self.id))
    }
}

impl PdfFile {
    /// The two names, if they are given; an error where one is missing or none that a PDF can have.
    pub(super) fn filters(self) -> Result<Option<(String, String)>, &'static str> {
        match (self.seal_filter, self.seal_sub_filter) {
            (None, None) => Ok(None),
            (Some(filter), Some(sub)) if is_filter_name(&filter) && is_filter_name(&sub) => Ok(Some((filter, sub))),
            _ => Err("pdf.seal_filter and pdf.seal_sub_filter: both, each 1 to 60 letters, digits, dots or hyphens"),
        }
    }
}

/// Other folders than the usual ones, for a configuration that stands by itself (demo, tests).
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PlacesFile {
    pub(super) data: PathBuf,
    pub(super) state: PathBuf,
}

/// `[policy]`, in the policy alone.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PolicyFile {
    /// Whether the user's configuration may allow further origins.
    #[serde(default)]
    pub(super) user_origins: bool,
    /// Whether the user's configuration may name drivers.
    #[serde(default)]
    pub(super) user_drivers: bool,
    /// Whether `sign --pin-fd` may be used.
    #[serde(default)]
    pub(super) pin_fd: bool,
    /// Whether an origin that is not allowed gets no answer at all.
    #[serde(default)]
    pub(super) silent: bool,
    /// Whether the person may allow further origins by pairing; as `user_origins` when it is not said.
    pub(super) pairing: Option<bool>,
    /// Whether the user may make a certificate for the TLS listener.
    #[serde(default)]
    pub(super) tls: bool,
    /// Whether the person may accept further regions.
    #[serde(default)]
    pub(super) user_regions: bool,
    /// Whether every signature needs a licence statement of the signer's registry.
    #[serde(default)]
    pub(super) licence_required: bool,
}

fn is_filter_name(name: &str) -> bool {
    (1..=60).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-'))
}

/// Reads one file; `None` when there is none.
pub(super) fn read(path: &Path) -> Result<Option<File>, ConfigError> {
    use io::Read as _;
    let unreadable = |source| ConfigError::Unreadable { path: path.to_owned(), source };
    let file = match fs::File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(unreadable(e)),
    };
    let mut text = String::new();
    file.take(MAX_FILE_BYTES + 1).read_to_string(&mut text).map_err(unreadable)?;
    if text.len() as u64 > MAX_FILE_BYTES {
        return Err(ConfigError::Malformed { path: path.to_owned(), problem: "larger than 1 MiB".into() });
    }
    toml::from_str(&text)
        .map(Some)
        .map_err(|e| ConfigError::Malformed { path: path.to_owned(), problem: e.to_string().trim().to_owned() })
}

pub(super) fn read_policy(path: &Path) -> Result<Option<File>, ConfigError> {
    let Some(policy) = read(path)? else { return Ok(None) };
    let unreadable = |source| ConfigError::Unreadable { path: path.to_owned(), source };
    if !sys::only_administrators_write(path).map_err(unreadable)? {
        return Err(ConfigError::PolicyWritable { path: path.to_owned() });
    }
    if policy.places.is_some() {
        return Err(ConfigError::Value {
            path: path.to_owned(),
            what: "[places] belongs into a configuration, not into the policy".into(),
        });
    }
    Ok(Some(policy))
}
