//! Every finding that a report can hold: code, case, level and sub-indication, in the order of report.md's table.
//!
//! The words are in `catalogue.json`, under `CODE.case`. Here stands what decides a verdict.

use serde::Serialize;

use super::report::{Layer, Level, SubIndication};

macro_rules! codes {
    ($($layer:ident { $($code:ident => $name:literal,)* })*) => {
        /// Code of a finding, in the order of report.md's table.
        #[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
        #[cfg_attr(feature = "agent", derive(schemars::JsonSchema), schemars(rename = "FindingCode"))]
        #[allow(missing_docs, reason = "the table of report.md says what each means")]
        #[non_exhaustive]
        pub enum Code { $($(#[serde(rename = $name)] $code,)*)* }

        impl Code {
            /// All of them.
            pub const ALL: &'static [Self] = &[$($(Self::$code,)*)*];

            /// The layer it usually belongs to.
            pub const fn layer(self) -> Layer {
                match self { $($(Self::$code => Layer::$layer,)*)* }
            }

            /// As it stands in the report.
            pub const fn name(self) -> &'static str {
                match self { $($(Self::$code => $name,)*)* }
            }
        }
    };
}

codes! {
    Format {
        Format => "FORMAT",
        LimitExceeded => "LIMIT_EXCEEDED",
        VersionUnsupported => "VERSION_UNSUPPORTED",
        AlgUnsupported => "ALG_UNSUPPORTED",
        NotSm2 => "NOT_SM2",
        EncNonstd => "ENC_NONSTD",
        VersionMismatch => "VERSION_MISMATCH",
        EsidMismatch => "ESID_MISMATCH",
        ExtensionUnknownCritical => "EXTENSION_UNKNOWN_CRITICAL",
        PropertyInfoMismatch => "PROPERTY_INFO_MISMATCH",
    }
    Integrity {
        DataMissing => "DATA_MISSING",
        DataHash => "DATA_HASH",
        ProtectedFileMissing => "PROTECTED_FILE_MISSING",
        ProtectedFileChanged => "PROTECTED_FILE_CHANGED",
        SignedAfterClosed => "SIGNED_AFTER_CLOSED",
        SealFileMismatch => "SEAL_FILE_MISMATCH",
        RelativeSignature => "RELATIVE_SIGNATURE",
        ByteRange => "BYTE_RANGE",
        ChangedAfterSigning => "CHANGED_AFTER_SIGNING",
        IntegrityList => "INTEGRITY_LIST",
    }
    Signature {
        SigValue => "SIG_VALUE",
        SignerCertMissing => "SIGNER_CERT_MISSING",
    }
    Seal {
        SealSig => "SEAL_SIG",
        SignerNotInSeal => "SIGNER_NOT_IN_SEAL",
        SealMakerCertChain => "SEAL_MAKER_CERT_CHAIN",
        SealMakerCertUsage => "SEAL_MAKER_CERT_USAGE",
        SealMakerCertExpired => "SEAL_MAKER_CERT_EXPIRED",
        SealMakerCertRevoked => "SEAL_MAKER_CERT_REVOKED",
        SealMakerNotAuthorised => "SEAL_MAKER_NOT_AUTHORISED",
        SealExpired => "SEAL_EXPIRED",
        SealNotYetValid => "SEAL_NOT_YET_VALID",
        SealStatusSuspended => "SEAL_STATUS_SUSPENDED",
        SealStatusCancelled => "SEAL_STATUS_CANCELLED",
        SealStatusUnknown => "SEAL_STATUS_UNKNOWN",
    }
    Certificate {
        SignerCertChain => "SIGNER_CERT_CHAIN",
        SignerCertUsage => "SIGNER_CERT_USAGE",
        SignerCertExpired => "SIGNER_CERT_EXPIRED",
        SignerCertRevoked => "SIGNER_CERT_REVOKED",
        RevocationUnknown => "REVOCATION_UNKNOWN",
        SubjectAmbiguous => "SUBJECT_AMBIGUOUS",
        SubjectMismatch => "SUBJECT_MISMATCH",
        LicenceChecked => "LICENCE_CHECKED",
        LicenceState => "LICENCE_STATE",
        LicenceUnknown => "LICENCE_UNKNOWN",
        TrustListConflict => "TRUST_LIST_CONFLICT",
        TrustListExpired => "TRUST_LIST_EXPIRED",
    }
    Time {
        TimeOutsideCert => "TIME_OUTSIDE_CERT",
        TimeOutsideSeal => "TIME_OUTSIDE_SEAL",
        TimeClaimedOnly => "TIME_CLAIMED_ONLY",
        TimeOrder => "TIME_ORDER",
        TimestampSig => "TIMESTAMP_SIG",
        TimestampImprint => "TIMESTAMP_IMPRINT",
        TimestampCert => "TIMESTAMP_CERT",
    }
    Coverage {
        UncoveredContent => "UNCOVERED_CONTENT",
        VersionNotSigned => "VERSION_NOT_SIGNED",
    }
    Signature {
        NoSignature => "NO_SIGNATURE",
        ImageOnly => "IMAGE_ONLY",
    }
}

macro_rules! reasons {
    ($($name:ident: $code:ident $case:literal $level:ident $($sub:ident)?;)*) => {
        /// A case of a code. What it makes of the verdict is fixed; the words are the catalogue's.
        #[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
        #[allow(missing_docs, reason = "the catalogue says what each means")]
        #[non_exhaustive]
        pub enum Reason { $($name,)* }

        impl Reason {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Its code.
            pub const fn code(self) -> Code {
                match self { $(Self::$name => Code::$code,)* }
            }

            /// Which case of the code; empty where there is one only.
            pub const fn case(self) -> &'static str {
                match self { $(Self::$name => $case,)* }
            }

            /// Its weight.
            pub const fn level(self) -> Level {
                match self { $(Self::$name => Level::$level,)* }
            }

            /// What it makes of the verdict: given for errors and for what is indeterminate, except that a file has no signature.
            pub const fn sub_indication(self) -> Option<SubIndication> {
                match self { $(Self::$name => reasons!(@sub $($sub)?),)* }
            }
        }
    };
    (@sub) => { None };
    (@sub $sub:ident) => { Some(SubIndication::$sub) };
}

reasons! {
    FormatUnknown: Format "unknown" Error FormatFailure;
    FormatContainer: Format "container" Error FormatFailure;
    FormatDescription: Format "description" Error FormatFailure;
    FormatUnlinked: Format "unlinked" Error FormatFailure;
    FormatValue: Format "value" Error FormatFailure;
    FormatCertificate: Format "certificate" Error FormatFailure;
    FormatTimeStamp: Format "timeStamp" Error FormatFailure;
    LimitExceeded: LimitExceeded "" Error FormatFailure;
    VersionUnsupported: VersionUnsupported "" Indeterminate SignaturePolicyNotAvailable;
    AlgorithmNotAccepted: AlgUnsupported "notAccepted" Error CryptoConstraintsFailure;
    AlgorithmKeyDiffers: AlgUnsupported "keyDiffers" Error CryptoConstraintsFailure;
    CheckMethodNotAccepted: AlgUnsupported "checkMethod" Error CryptoConstraintsFailure;
    NotSm2Judged: NotSm2 "judged" Info;
    NotSm2Unjudged: NotSm2 "unjudged" Indeterminate SignaturePolicyNotAvailable;
    EncNonstd: EncNonstd "" Warning;
    PictureBroken: EncNonstd "picture" Warning;
    VersionMismatch: VersionMismatch "" Warning;
    EsidMismatch: EsidMismatch "" Warning;
    ExtensionUnknownCritical: ExtensionUnknownCritical "" Warning;
    PropertyInfoMismatch: PropertyInfoMismatch "" Warning;
    DataMissing: DataMissing "" Indeterminate SignedDataNotFound;
    DataHash: DataHash "" Error HashFailure;
    MessageDigest: DataHash "messageDigest" Error HashFailure;
    ProtectedFileMissing: ProtectedFileMissing "" Error HashFailure;
    ProtectedFileBadPath: ProtectedFileMissing "badPath" Error HashFailure;
    ProtectedFileChanged: ProtectedFileChanged "" Error HashFailure;
    ProtectedFileBadValue: ProtectedFileChanged "badValue" Error HashFailure;
    SignedAfterClosed: SignedAfterClosed "" Info;
    SealFileMismatch: SealFileMismatch "" Error HashFailure;
    SealFileMissing: SealFileMismatch "missing" Error HashFailure;
    RelativeMissing: RelativeSignature "missing" Error SigConstraintsFailure;
    RelativeCircle: RelativeSignature "circle" Error SigConstraintsFailure;
    RelativeFailed: RelativeSignature "failed" Error SigConstraintsFailure;
    RelativeIndeterminate: RelativeSignature "indeterminate" Indeterminate SigConstraintsFailure;
    ByteRange: ByteRange "" Error FormatFailure;
    ChangedAfterSigning: ChangedAfterSigning "" Error HashFailure;
    IntegrityListMissing: IntegrityList "missing" Error HashFailure;
    IntegrityListUnlisted: IntegrityList "unlisted" Error HashFailure;
    IntegrityListFits: IntegrityList "fits" Info;
    SigValue: SigValue "" Error SigCryptoFailure;
    SigValueForm: SigValue "form" Error SigCryptoFailure;
    SignerCertMissing: SignerCertMissing "" Indeterminate NoSigningCertificateFound;
    SealSig: SealSig "" Error SigCryptoFailure;
    SealSigForm: SealSig "form" Error SigCryptoFailure;
    SignerNotInSeal: SignerNotInSeal "" Error SigConstraintsFailure;
    SignerDigestNotInSeal: SignerNotInSeal "digest" Error SigConstraintsFailure;
    MakerNoAnchor: SealMakerCertChain "noAnchor" Indeterminate NoCertificateChainFound;
    MakerRegionWithdrawn: SealMakerCertChain "region" Indeterminate NoCertificateChainFound;
    MakerPathBroken: SealMakerCertChain "broken" Error ChainConstraintsFailure;
    MakerUsage: SealMakerCertUsage "" Error ChainConstraintsFailure;
    MakerIsCa: SealMakerCertUsage "ca" Error ChainConstraintsFailure;
    MakerNoUsage: SealMakerCertUsage "none" Warning;
    MakerOutsideAtCreation: SealMakerCertExpired "atCreation" Error ChainConstraintsFailure;
    MakerOutsideLater: SealMakerCertExpired "later" Info;
    MakerRevokedBefore: SealMakerCertRevoked "before" Error Revoked;
    MakerRevokedNoPoe: SealMakerCertRevoked "noPoe" Indeterminate RevokedNoPoe;
    MakerRevokedLater: SealMakerCertRevoked "later" Info;
    MakerNotAuthorised: SealMakerNotAuthorised "" Error ChainConstraintsFailure;
    SealExpired: SealExpired "seal" Error Expired;
    SealExpiredSince: SealExpired "signature" Info;
    SealNotYetValid: SealNotYetValid "seal" Error NotYetValid;
    SealNotYetValidNow: SealNotYetValid "signature" Info;
    SealSuspended: SealStatusSuspended "before" Error Revoked;
    SealSuspendedLater: SealStatusSuspended "later" Info;
    SealSuspendedNoPoe: SealStatusSuspended "noPoe" Indeterminate RevokedNoPoe;
    SealReinstated: SealStatusSuspended "reinstated" Info;
    SealCancelled: SealStatusCancelled "before" Error Revoked;
    SealCancelledLater: SealStatusCancelled "later" Info;
    SealCancelledNoPoe: SealStatusCancelled "noPoe" Indeterminate RevokedNoPoe;
    SealStatusNoAnswer: SealStatusUnknown "noAnswer" Indeterminate TryLater;
    SealStatusNotKnown: SealStatusUnknown "notKnown" Indeterminate TryLater;
    SealStatusNoService: SealStatusUnknown "noService" Info;
    SignerNoAnchor: SignerCertChain "noAnchor" Indeterminate NoCertificateChainFound;
    SignerNotGranted: SignerCertChain "notGranted" Indeterminate NoCertificateChainFound;
    SignerRegionWithdrawn: SignerCertChain "region" Indeterminate NoCertificateChainFound;
    SignerPathBroken: SignerCertChain "broken" Error ChainConstraintsFailure;
    SignerUsage: SignerCertUsage "" Error ChainConstraintsFailure;
    SignerIsCa: SignerCertUsage "ca" Error ChainConstraintsFailure;
    SignerNoUsage: SignerCertUsage "none" Warning;
    SignerExpiredSince: SignerCertExpired "later" Info;
    SignerExpiredNoTime: SignerCertExpired "noTime" Indeterminate OutOfBoundsNoPoe;
    SignerRevokedBefore: SignerCertRevoked "before" Error Revoked;
    SignerRevokedLater: SignerCertRevoked "later" Info;
    SignerRevokedNoPoe: SignerCertRevoked "noPoe" Indeterminate RevokedNoPoe;
    RevocationNoData: RevocationUnknown "noData" Indeterminate TryLater;
    RevocationStale: RevocationUnknown "stale" Indeterminate TryLater;
    RevocationAfterExpiry: RevocationUnknown "afterExpiry" Indeterminate TryLater;
    SubjectAmbiguous: SubjectAmbiguous "" Warning;
    SubjectNameDiffers: SubjectMismatch "name" Warning;
    SubjectCodeDiffers: SubjectMismatch "code" Warning;
    SubjectNotRequired: SubjectMismatch "required" Error SigConstraintsFailure;
    SubjectLicenceDiffers: SubjectMismatch "licence" Error SigConstraintsFailure;
    LicenceChecked: LicenceChecked "" Info;
    LicenceState: LicenceState "" Error SigConstraintsFailure;
    LicenceNone: LicenceUnknown "none" Indeterminate TryLater;
    LicenceStale: LicenceUnknown "stale" Indeterminate TryLater;
    TrustListConflict: TrustListConflict "" Indeterminate NoCertificateChainFound;
    TrustListExpired: TrustListExpired "" Indeterminate TryLater;
    TimeOutsideCert: TimeOutsideCert "" Error OutOfBoundsNoPoe;
    TimeOutsideSeal: TimeOutsideSeal "" Error OutOfBoundsNoPoe;
    TimeClaimedOnly: TimeClaimedOnly "" Warning;
    TimeNone: TimeClaimedOnly "none" Warning;
    TimeAfterStamp: TimeOrder "afterStamp" Warning;
    TimeOffset: TimeOrder "offset" Warning;
    TimeInFuture: TimeOrder "future" Warning;
    TimeBeforeSeal: TimeOrder "beforeSeal" Warning;
    TimeSealDates: TimeOrder "sealDates" Warning;
    TimeMakerDates: TimeOrder "makerDates" Warning;
    TimeSealStamp: TimeOrder "sealStamp" Error TimestampOrderFailure;
    TimestampSig: TimestampSig "" Error SigCryptoFailure;
    TimestampImprint: TimestampImprint "" Error HashFailure;
    TimestampNoAnchor: TimestampCert "noAnchor" Indeterminate NoCertificateChainFound;
    TimestampNotGranted: TimestampCert "notGranted" Indeterminate NoCertificateChainFound;
    TimestampRegionWithdrawn: TimestampCert "region" Indeterminate NoCertificateChainFound;
    TimestampPathBroken: TimestampCert "broken" Error ChainConstraintsFailure;
    TimestampUsage: TimestampCert "usage" Error ChainConstraintsFailure;
    TimestampOutsideCert: TimestampCert "dates" Error OutOfBoundsNoPoe;
    TimestampRevoked: TimestampCert "revoked" Error Revoked;
    TimestampRevokedNoPoe: TimestampCert "revokedLater" Indeterminate RevokedNoPoe;
    TimestampRevokedSince: TimestampCert "revokedSince" Info;
    TimestampRevocationUnknown: TimestampCert "unknown" Indeterminate TryLater;
    UncoveredShown: UncoveredContent "drawn" Indeterminate SigConstraintsFailure;
    UncoveredByOpenSignature: UncoveredContent "later" Indeterminate SigConstraintsFailure;
    UncoveredOther: UncoveredContent "other" Warning;
    CoverageUnknown: UncoveredContent "unknown" Indeterminate SigConstraintsFailure;
    VersionNotSigned: VersionNotSigned "" Indeterminate SigConstraintsFailure;
    NoSignature: NoSignature "" Indeterminate;
    ImageOnly: ImageOnly "" Warning;
}

impl Reason {
    /// Its key in the catalogue.
    pub fn key(self) -> String {
        match self.case() {
            "" => self.code().name().to_owned(),
            case => format!("{}.{case}", self.code().name()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_a_reason_and_only_errors_and_the_undecided_change_a_verdict() {
        for code in Code::ALL {
            assert!(Reason::ALL.iter().any(|r| r.code() == *code), "{code:?}");
        }
        for reason in Reason::ALL {
            let changes = matches!(reason.level(), Level::Error | Level::Indeterminate) && reason.code() != Code::NoSignature;
            assert_eq!(reason.sub_indication().is_some(), changes, "{reason:?}");
        }
    }
}
