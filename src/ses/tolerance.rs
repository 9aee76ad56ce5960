//! What was read although the standards do not allow it.

/// One deviation that was accepted while reading, as it occurs in valid documents or as other readers accept it (ses.md §2 to §6).
/// Each becomes a warning in the report. Not deviations, because the standards leave them free: the spelling of a picture's type,
/// integers of business meaning, the form of propertyInfo, zeros that pad a PDF's `/Contents`. The encoding of the SM2 values is named by
/// [`SignatureEncoding`](crate::sm::SignatureEncoding), where they are read.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Tolerance {
    /// BOOLEAN TRUE with another value than `ff`
    BooleanNotDer,
    /// An element of certList that is neither a certificate nor a certificate digest; nobody is listed by it
    CertListOddElement,
    /// certListType is missing, stands in a V1 seal, or names the other kind of list than the one that is there
    CertListTypeMismatch,
    /// A certificate stands bare, not inside an OCTET STRING
    CertificateUnwrapped,
    /// dataHash is an OCTET STRING
    DataHashInOctetString,
    /// `critical FALSE` is written out, although it is the default
    DefaultFalseEncoded,
    /// extnID holds something that is no object identifier
    ExtensionOidNonsense,
    /// extDatas of a seal inside `[0]`
    ExtensionsTagged,
    /// extDatas of a TBS_Sign without the EXPLICIT `[0]`
    ExtensionsUntagged,
    /// An INTEGER with superfluous leading zeros
    IntegerNotMinimal,
    /// A length in more octets than it needs
    LengthNotMinimal,
    /// A picture's data are not of the format that its type names, or of none known here
    PictureTypeDiffers,
    /// Bytes beyond ASCII in propertyInfo, an IA5String
    PropertyInfoNotAscii,
    /// The SESeal stands inside an OCTET STRING
    SealInOctetString,
    /// signInfo of a V1 seal inside a BIT STRING
    SignInfoInBitString,
    /// Another string type than the standard's
    StringType,
    /// A time that is right but not in the form `YYYYMMDDHHMMSSZ` (UTCTime: `YYMMDDHHMMSSZ`)
    TimeForm,
    /// timeInfo of a V1 signature is an OCTET STRING, or that of a later one no GeneralizedTime
    TimeInfoType,
    /// timeInfo of a V1 signature is text where the DER of a UTCTime or a time stamp should stand
    TimeInfoText,
    /// `[0]` timeStamp IMPLICIT where we and others write EXPLICIT
    TimeStampImplicit,
    /// timeStamp without its tag `[0]`
    TimeStampUntagged,
    /// GeneralizedTime in a V1 seal, or UTCTime in a later one
    TimeType,
    /// A time without zone, read as China Standard Time (UTC+8)
    TimeWithoutZone,
}

impl Tolerance {
    /// Stable name, the key of its text in the catalogue of messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::BooleanNotDer => "boolean-not-der",
            Self::CertListOddElement => "cert-list-odd-element",
            Self::CertListTypeMismatch => "cert-list-type-mismatch",
            Self::CertificateUnwrapped => "certificate-unwrapped",
            Self::DataHashInOctetString => "data-hash-in-octet-string",
            Self::DefaultFalseEncoded => "default-false-encoded",
            Self::ExtensionOidNonsense => "extension-oid-nonsense",
            Self::ExtensionsTagged => "extensions-tagged",
            Self::ExtensionsUntagged => "extensions-untagged",
            Self::IntegerNotMinimal => "integer-not-minimal",
            Self::LengthNotMinimal => "length-not-minimal",
            Self::PictureTypeDiffers => "picture-type-differs",
            Self::PropertyInfoNotAscii => "property-info-not-ascii",
            Self::SealInOctetString => "seal-in-octet-string",
            Self::SignInfoInBitString => "sign-info-in-bit-string",
            Self::StringType => "string-type",
            Self::TimeForm => "time-form",
            Self::TimeInfoText => "time-info-text",
            Self::TimeInfoType => "time-info-type",
            Self::TimeStampImplicit => "time-stamp-implicit",
            Self::TimeStampUntagged => "time-stamp-untagged",
            Self::TimeType => "time-type",
            Self::TimeWithoutZone => "time-without-zone",
        }
    }
}
