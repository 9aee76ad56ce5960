//! `SignedData` of GB/T 35275 and PKCS#7 (RFC 2315, RFC 5652): reading every variant met in documents, building what we sign.
//!
//! Reading keeps the received bytes and hands out exactly what each signer signed; whatever is accepted beyond the standards is
//! named by a [`Tolerance`]. Building is strict DER. Nothing here verifies, fetches or knows the time. Time stamp tokens and signed
//! lists are `SignedData` too and are read by the same code.

mod ber;
mod build;
mod signed_data;
mod signer;

#[cfg(test)]
mod tests;

pub use ber::to_definite;
pub use build::{BuildError, Content, Identifiers, SignedDataDraft, ToBeSigned, add_time_stamp};
pub use signed_data::{Padded, SignedData, issuer_and_serial, limits};
pub use signer::{Algorithm, Attribute, AuthenticatedAttributes, SignerId, SignerInfo};

use crate::asn1::Asn1Error;

/// Why bytes are not a `SignedData`.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CmsError {
    /// An attribute that must have one value has none or several, or stands there twice.
    #[error("{attribute} has not exactly one value")]
    AttributeCount {
        /// Name of the attribute.
        attribute: &'static str,
    },
    /// Content signed without attributes looks like attributes: a signature moved from one form to the other.
    #[error("the signed content has the form of authenticated attributes")]
    ContentLooksLikeAttributes,
    /// A field is not encoded as it must be.
    #[error("{field}: {error}")]
    Field {
        /// The standard's name of the field.
        field: &'static str,
        /// What is wrong there.
        error: Asn1Error,
    },
    /// A limit of the reader ([`limits`]).
    #[error("{field} exceeds the limit of {limit}")]
    Limit {
        /// The standard's name of the field.
        field: &'static str,
        /// The limit, in bytes, elements or levels.
        limit: usize,
    },
    /// A ContentInfo of another kind.
    #[error("the content is {0}, not signedData")]
    NotSignedData(String),
}

/// One deviation that was accepted while reading. Each becomes a warning in the report. The choice between GM and PKCS identifiers,
/// absent or NULL parameters and the order of certificates are free. The encoding of the SM2 value is named by
/// [`SignatureEncoding`](crate::sm::SignatureEncoding), where it is read.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Tolerance {
    /// Authenticated attributes out of DER order; the signature is checked over them as they stand
    AttributesNotSorted,
    /// Indefinite lengths or strings in pieces (BER)
    BerEncoding,
    /// Content of another type than OCTET STRING, as PKCS#7 allows for content that is not plain data; its contents octets are taken
    ContentNotOctetString,
    /// The contentType attribute names another type than the content has
    ContentTypeDiffers,
    /// Authenticated attributes without contentType
    ContentTypeMissing,
    /// A length in more octets than it needs
    LengthNotMinimal,
    /// GM and PKCS#7 identifiers mixed: one outside, the other inside
    MixedIdentifiers,
}

impl Tolerance {
    /// Stable name, the key of its text in the catalogue of messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AttributesNotSorted => "cms-attributes-not-sorted",
            Self::BerEncoding => "cms-ber-encoding",
            Self::ContentNotOctetString => "cms-content-not-octet-string",
            Self::ContentTypeDiffers => "cms-content-type-differs",
            Self::ContentTypeMissing => "cms-content-type-missing",
            Self::LengthNotMinimal => "cms-length-not-minimal",
            Self::MixedIdentifiers => "cms-mixed-identifiers",
        }
    }
}

/// Reads fields and collects tolerances, each once.
#[derive(Default)]
struct Notes(Vec<Tolerance>);

impl Notes {
    fn add(&mut self, tolerance: Tolerance) {
        if !self.0.contains(&tolerance) {
            self.0.push(tolerance);
        }
    }
}

/// Puts the field's name to an ASN.1 error.
fn at(field: &'static str) -> impl Fn(Asn1Error) -> CmsError {
    move |error| CmsError::Field { field, error }
}

/// Refuses more than `limit`.
fn within(field: &'static str, size: usize, limit: usize) -> Result<(), CmsError> {
    if size <= limit { Ok(()) } else { Err(CmsError::Limit { field, limit }) }
}
