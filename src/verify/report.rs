//! The verification report, a contract with every reader of it (shared `report.md`): field names, codes, levels.

use serde::Serialize;

/// The conclusion, in the terms of ETSI EN 319 102-1. Ordered from best to worst.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
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
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the names say it")]
pub enum Level {
    Error,
    Indeterminate,
    Warning,
    Info,
}
