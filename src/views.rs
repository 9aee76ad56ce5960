//! Tokens, seals and allowed web sites as pages and programs see them (api.md). Nothing here names a driver, library, slot or path.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use ukey::PinStatus;

use crate::config::Http;
use crate::consent::Origin;
use crate::consent::grants::Grant;
use crate::consent::summary::Shown;
use crate::http::openapi::{DateTime, Digest};
use crate::pki::subject::subject_codes;
use crate::seals::{KnownSeal, Seals};
use crate::sm::Sm3Digest;
use crate::workers::TokenHandle;

/// A token that is plugged in.
#[derive(Clone, Debug, JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TokenView {
    /// Its name in other calls.
    pub id: TokenHandle,
    /// Its label.
    pub label: Shown,
    /// Who made it.
    pub manufacturer: Shown,
    /// Its serial number.
    pub serial: Shown,
    /// State of its PIN.
    #[schemars(with = "PinView")]
    pub pin: PinStatus,
    /// Its signing keys that have a certificate.
    pub keys: Vec<KeyView>,
}

/// What [`PinStatus`] is in JSON: `ukey` knows no schemas.
#[derive(JsonSchema)]
#[serde(rename_all = "camelCase")]
#[expect(dead_code, reason = "for the contract alone; answers are held against it in tests")]
struct PinView {
    tries_left: Option<u32>,
    max_tries: Option<u32>,
    blocked: bool,
    last_try: bool,
    on_device: bool,
}

/// A signing key.
#[derive(Clone, Debug, JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyView {
    /// Whom the certificate names.
    pub signer: Shown,
    /// Unified social credit code, if the certificate has exactly one.
    pub uscc: Option<Shown>,
    /// Common name of its issuer.
    pub issuer: Shown,
    /// SHA-256 of the certificate.
    pub sha256: String,
    /// First moment of its validity.
    #[schemars(with = "DateTime")]
    pub valid_from: Timestamp,
    /// Last moment of its validity.
    #[schemars(with = "DateTime")]
    pub valid_to: Timestamp,
}

/// A seal.
#[derive(Clone, Debug, JsonSchema, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SealView {
    /// Its code.
    pub es_id: Shown,
    /// Its name.
    pub name: Shown,
    /// `header.version`.
    pub version: u64,
    /// `property.type`.
    #[serde(rename = "type")]
    pub kind: u64,
    /// First moment of its validity.
    #[schemars(with = "DateTime")]
    pub valid_from: Timestamp,
    /// Last moment of its validity.
    #[schemars(with = "DateTime")]
    pub valid_to: Timestamp,
    /// Width of its picture, in mm.
    pub width_mm: u64,
    /// Height of its picture, in mm.
    pub height_mm: u64,
    /// SM3 of its bytes.
    #[schemars(with = "Digest")]
    pub sm3: Sm3Digest,
    /// Whether it can be used now.
    pub state: SealState,
    /// The token that can use it.
    pub token: Option<TokenHandle>,
    /// The key that can use it.
    pub key: Option<KeyView>,
}

/// Whether a seal can be used now.
#[derive(Clone, Copy, Debug, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum SealState {
    /// Its token is not plugged in.
    Absent,
    /// It is past its dates.
    Expired,
    /// It is before its dates.
    NotYetValid,
    /// It can be used.
    Ready,
}

impl TokenView {
    /// All tokens that are plugged in.
    pub fn all(known: &Seals) -> Vec<Self> {
        let view = |token: &crate::workers::Token| {
            let own: Vec<_> = known.holders.iter().filter(|holder| holder.token.handle == token.handle).collect();
            Self {
                id: token.handle.clone(),
                label: Shown::new(&token.info.label),
                manufacturer: Shown::new(&token.info.manufacturer),
                serial: Shown::new(&token.info.serial),
                pin: known.pins.get(&token.handle).copied().unwrap_or_default(),
                keys: own.iter().map(|holder| KeyView::of(&holder.certificate)).collect(),
            }
        };
        known.tokens.tokens.iter().map(view).collect()
    }
}

impl KeyView {
    fn of(certificate: &crate::pki::Certificate) -> Self {
        let codes = subject_codes(certificate);
        Self {
            signer: signer(certificate),
            uscc: if let [only] = codes.as_slice() { Some(Shown::new(&only.uscc)) } else { None },
            issuer: Shown::new(&certificate.issuer().short()),
            sha256: certificate.sha256_hex(),
            valid_from: certificate.not_before(),
            valid_to: certificate.not_after(),
        }
    }
}

/// Who signs, as a person knows them: the organisation, without the code that the profile of GB/T 38540 puts before it, and the common
/// name where it says more.
pub fn signer(certificate: &crate::pki::Certificate) -> Shown {
    /// `organizationName`, 2.5.4.10
    const ORGANIZATION: &[u8] = &[0x55, 4, 10];
    let subject = certificate.subject();
    let common = subject.short();
    let Some(organization) = subject.text_of(ORGANIZATION) else { return Shown::new(&common) };
    let code = subject_codes(certificate).into_iter().map(|code| code.uscc).find(|code| organization.starts_with(code));
    let name = code.map_or(organization, |code| &organization[code.len()..]).trim();
    match (name.is_empty(), common == organization || common == name) {
        (true, _) => Shown::new(&common),
        (_, true) => Shown::new(name),
        _ => Shown::new(&format!("{name} ({common})")),
    }
}

impl SealView {
    /// All seals, present or absent.
    pub fn all(known: &Seals, now: Timestamp) -> Vec<Self> {
        known.seals.iter().map(|seal| Self::of(seal, now)).collect()
    }

    /// One seal.
    pub fn of(known: &KnownSeal, now: Timestamp) -> Self {
        let (seal, holder) = (&known.seal, known.holder.as_ref());
        let property = seal.property();
        let state = match holder {
            _ if now > property.valid_to.instant => SealState::Expired,
            _ if now < property.valid_from.instant => SealState::NotYetValid,
            None => SealState::Absent,
            Some(_) => SealState::Ready,
        };
        Self {
            es_id: Shown::new(seal.es_id()),
            name: Shown::new(&property.name),
            version: seal.header_version(),
            kind: property.kind,
            valid_from: property.valid_from.instant,
            valid_to: property.valid_to.instant,
            width_mm: seal.picture().width_mm,
            height_mm: seal.picture().height_mm,
            sm3: known.digest,
            state,
            token: holder.map(|h| h.token.handle.clone()),
            key: holder.map(|h| KeyView::of(&h.certificate)),
        }
    }
}

/// A web site that may call. No key is in it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OriginView {
    /// The site.
    pub origin: Origin,
    /// `configuration` or `pairing`.
    pub source: &'static str,
    /// What it called itself when it was paired.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<Shown>,
    /// When it was paired.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paired: Option<Timestamp>,
    /// Whether for once.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub once: bool,
    /// Whether it may ask for signatures over digests.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub digest_only: bool,
}

impl OriginView {
    /// All of them: those of configuration and policy, then the paired ones.
    pub fn all(http: &Http, grants: &[Grant]) -> Vec<Self> {
        let configured = http.origins.union(&http.digest_only).map(|origin| Self {
            origin: origin.clone(),
            source: "configuration",
            label: None,
            paired: None,
            once: false,
            digest_only: http.digest_only.contains(origin),
        });
        let paired = grants.iter().map(|grant| Self {
            origin: grant.origin.clone(),
            source: "pairing",
            label: grant.label.clone(),
            paired: Some(grant.paired),
            once: grant.once.is_some(),
            digest_only: false,
        });
        configured.chain(paired).collect()
    }
}
