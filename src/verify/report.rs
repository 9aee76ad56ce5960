//! The verification report, a contract with every reader of it (shared `report.md`): field names, codes, levels.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;

pub use super::reason::Code;
use crate::pki::Certificate;
use crate::ses::PictureFormat;

/// What a file turned out to be.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "agent", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum FileFormat {
    /// SignedData by itself.
    Cms,
    /// An OFD package.
    Ofd,
    /// A PDF.
    Pdf,
    /// An SESeal by itself.
    Seal,
    /// An SES_Signature (or a bare r, s) by itself.
    SesSignature,
    /// None of these.
    Unknown,
}

/// What kind of signed value a signature has.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "agent", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub enum SignatureKind {
    /// `SEQUENCE { r, s }` or 64 bytes, and nothing else.
    #[serde(rename = "bare")]
    Bare,
    /// SignedData with SM2 (GB/T 35275, PKCS#7 shape).
    #[serde(rename = "gbt35275")]
    Gbt35275,
    /// The integrity list of GM/T 0099.
    #[serde(rename = "gmt0099")]
    Gmt0099,
    /// SignedData with RSA or ECDSA.
    #[serde(rename = "pades")]
    Pades,
    /// GM/T 0031-2014.
    #[serde(rename = "ses-v1")]
    SesV1,
    /// GB/T 38540-2020.
    #[serde(rename = "ses-v4")]
    SesV4,
    /// GM/T 0031-2025.
    #[serde(rename = "ses-v5")]
    SesV5,
    /// Something that nobody here can judge.
    #[serde(rename = "unsupported")]
    Unsupported,
}

/// The verdict about a file.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "agent", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// What the file is.
    pub format: FileFormat,
    /// The worst of its signatures, seals and findings.
    pub indication: Indication,
    /// The moment of judging.
    #[cfg_attr(feature = "agent", schemars(with = "crate::http::openapi::DateTime"))]
    pub verified_at: Timestamp,
    /// In the order of the document.
    pub signatures: Vec<SignatureReport>,
    /// Who signed after whom.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order: Option<super::order::Order>,
    /// For a file that is a seal by itself: that seal.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub seals: Vec<SignatureReport>,
    /// What is to be said of the file as a whole.
    pub findings: Vec<Finding>,
    /// What regions' services were asked for this report, and what came of it; absent where nobody was asked.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub asked: Vec<Asked>,
}

/// A question to a service of a region. What was not answered is judged by what was kept, by the kept answer's own dates.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "agent", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Asked {
    /// What was asked.
    pub question: Question,
    /// The seal's code, or the certificate's subject.
    pub subject: String,
    /// The region whose service it is.
    pub region: String,
    /// Host name or address of the service; absent where the region's list names none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// What came of it.
    pub outcome: Outcome,
    /// Why not, for the help desk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// What a region's service is asked.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "agent", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum Question {
    /// Whether a certificate is revoked (OCSP).
    Certificate,
    /// Whether a seal is suspended or cancelled.
    Seal,
}

/// What came of a question.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "agent", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum Outcome {
    /// A good answer came; the report rests on it.
    Answered,
    /// The region names no place to ask.
    NoPlace,
    /// Something came that does not count, or the place may not be asked.
    Refused,
    /// The service could not be had.
    Unreachable,
}

/// The verdict about one signature, or about a seal by itself (then without signer and signing time).
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "agent", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct SignatureReport {
    /// The id in the document; for a file that is a signed value, its kind.
    pub id: String,
    /// The kind of signed value.
    pub kind: SignatureKind,
    /// The verdict.
    pub indication: Indication,
    /// Why not better; absent for `TOTAL_PASSED`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sub_indication: Option<SubIndication>,
    /// All seven; a layer that does not apply to this kind is `skipped` and plays no part in the verdict.
    pub layers: BTreeMap<Layer, LayerState>,
    /// In the order of the table of report.md.
    pub findings: Vec<Finding>,
    /// Who signed, as far as the certificate says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signer: Option<Signer>,
    /// The seal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seal: Option<SealSummary>,
    /// The signing time, stamped or claimed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "agent", schemars(with = "Option<crate::http::openapi::DateTime>"))]
    pub signed_at: Option<Timestamp>,
    /// Who says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_source: Option<TimeSource>,
    /// Files of the document that the signature does not protect, at most a thousand of them; a finding has their number.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub uncovered: Vec<String>,
    /// The seal's picture, for those who show it. Not part of the JSON report; absent when a document has more than can be kept.
    #[serde(skip)]
    pub seal_picture: Option<Arc<SealPicture>>,
}

/// Who signed.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "agent", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Signer {
    /// CN, else O, else the whole name.
    pub name: String,
    /// Unified social credit code, if the certificate has exactly one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uscc: Option<String>,
    /// Where it stands in the certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uscc_carrier: Option<String>,
    /// The issuer's whole name.
    pub issuer: String,
    /// Hexadecimal digits.
    pub serial: String,
    /// Fingerprint of the certificate.
    pub sha256: String,
    /// The region whose list names the anchor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// What the region's registry says of the company, if a statement is at hand.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub licence: Option<LicenceSummary>,
    /// The certificate itself, for those who show more of it. Not part of the JSON report.
    #[serde(skip)]
    pub certificate: Arc<Certificate>,
}

/// A company as its registry knows it.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "agent", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct LicenceSummary {
    /// Its name.
    pub name: String,
    /// Unified social credit code.
    pub uscc: String,
    /// Legal representative.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub representative: String,
    /// Its state.
    pub state: crate::pki::licence::LicenceState,
    /// When that was so.
    #[cfg_attr(feature = "agent", schemars(with = "crate::http::openapi::DateTime"))]
    pub as_of: Timestamp,
    /// Where the registry took it from.
    pub source: String,
}

/// A seal.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "agent", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct SealSummary {
    /// Seal code.
    pub es_id: String,
    /// Its name.
    pub name: String,
    /// `header.version`
    pub version: u64,
    /// `property.type`
    #[serde(rename = "type")]
    pub kind: u64,
    /// validStart
    #[cfg_attr(feature = "agent", schemars(with = "crate::http::openapi::DateTime"))]
    pub valid_from: Timestamp,
    /// validEnd
    #[cfg_attr(feature = "agent", schemars(with = "crate::http::openapi::DateTime"))]
    pub valid_to: Timestamp,
    /// The maker's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub maker: Option<String>,
    /// Its state in the region's seal system, if somebody answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<crate::pki::trust::SealState>,
    /// When that was so.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "agent", schemars(with = "Option<crate::http::openapi::DateTime>"))]
    pub status_as_of: Option<Timestamp>,
    /// The region whose list names the maker.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
}

/// Who says when a document was signed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "agent", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum TimeSource {
    /// The signer.
    Claimed,
    /// A verified time stamp.
    Timestamp,
}

/// A seal's picture, as it stands.
#[derive(Clone, Debug)]
pub struct SealPicture {
    /// By its first bytes.
    pub format: PictureFormat,
    /// The bytes.
    pub data: Vec<u8>,
    /// Width in mm.
    pub width_mm: u64,
    /// Height in mm.
    pub height_mm: u64,
}

/// One reason.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "agent", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// Stable code.
    pub code: Code,
    /// Its weight.
    pub level: Level,
    /// What it is about.
    pub layer: Layer,
    /// The file or certificate concerned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// For people, in English.
    pub message: String,
    /// For people, in Chinese.
    pub message_zh: String,
    /// What it makes of the verdict.
    #[serde(skip)]
    pub sub_indication: Option<SubIndication>,
}

/// The conclusion, in the terms of ETSI EN 319 102-1. Ordered from best to worst.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[cfg_attr(feature = "agent", derive(schemars::JsonSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Indication {
    /// Every check was made and passed.
    TotalPassed,
    /// Something is missing to say either.
    Indeterminate,
    /// A check failed.
    TotalFailed,
}

/// Why not `TOTAL_PASSED` (ETSI EN 319 102-1 clause 5.1.3).
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "agent", derive(schemars::JsonSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[allow(missing_docs, reason = "the names are the standard's; the table of report.md says when each is given")]
#[non_exhaustive]
pub enum SubIndication {
    ChainConstraintsFailure,
    CryptoConstraintsFailure,
    Expired,
    FormatFailure,
    HashFailure,
    NoCertificateChainFound,
    NoSigningCertificateFound,
    NotYetValid,
    OutOfBoundsNoPoe,
    Revoked,
    RevokedNoPoe,
    SigConstraintsFailure,
    SigCryptoFailure,
    SignaturePolicyNotAvailable,
    SignedDataNotFound,
    TimestampOrderFailure,
    TryLater,
}

/// What was judged, a layer at a time, so that a person sees which recognition is missing.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[cfg_attr(feature = "agent", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum Layer {
    /// The bytes are what they should be.
    Format,
    /// The document is the one that was signed.
    Integrity,
    /// The signer's SM2 signature.
    Signature,
    /// The seal: maker's signature, dates, signer in its list, status.
    Seal,
    /// The signer's certificate: path, dates, usage, revocation.
    Certificate,
    /// When it was signed, and who says so.
    Time,
    /// Whether all that the document shows was signed.
    Coverage,
}

/// State of a layer.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "agent", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the names say it")]
pub enum LayerState {
    Passed,
    Failed,
    Indeterminate,
    Skipped,
}

/// Weight of a finding; only the first two change a verdict.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[cfg_attr(feature = "agent", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the names say it")]
pub enum Level {
    Error,
    Indeterminate,
    Warning,
    Info,
}
