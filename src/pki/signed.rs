//! The envelope of what a region says: `SignedData` (GB/T 35275) with one SM2 signer around a DER document.
//!
//! Each kind of document has a content type of its own, which the signature covers, so that one kind can never be taken for another.
//! Reading is strict: no tolerance of the CMS reader is accepted here, since only programs of this kind write these. A
//! parsed envelope is one whose signature is good under the certificate inside. Whether that certificate may speak is the caller's
//! question.

use std::sync::Arc;

use jiff::Timestamp;

use super::certificate::{self, Certificate, CertificateError};
use crate::asn1::{Asn1Error, GENERALIZED_TIME, Oid, Tlv, UTF8_STRING, der, oid};
use crate::cms::{self, BuildError, CmsError, Content, Identifiers, SignedData, SignedDataDraft, ToBeSigned};
use crate::sm::{self, SignatureEncoding, sm3};

/// Longest name or note, in bytes: some eighty Chinese characters.
pub const MAX_TEXT: usize = 256;
/// Longest short name of a region, in bytes: it is a folder's name.
const MAX_REGION: usize = 32;

/// What an envelope holds.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum DocumentKind {
    /// A licence statement of a registry.
    Licence,
    /// An answer about one seal.
    StatusAnswer,
    /// A list of seals that are not plain valid, or the changes since one.
    StatusList,
    /// A region's trust list.
    TrustList,
}

impl DocumentKind {
    /// eContentType, below an arc made from a UUID (`2.25.…`, ITU-T X.667): no registry had to be asked, and nobody else has it.
    pub const fn content_type(self) -> Oid<'static> {
        match self {
            Self::TrustList => Oid(b"\x69\x83\xe2\xc5\xbe\xb8\xc8\xa1\xda\x9b\x99\xb8\x88\xef\x83\x83\x97\x8c\xb1\x39\x01"),
            Self::StatusList => Oid(b"\x69\x83\xe2\xc5\xbe\xb8\xc8\xa1\xda\x9b\x99\xb8\x88\xef\x83\x83\x97\x8c\xb1\x39\x02"),
            Self::StatusAnswer => Oid(b"\x69\x83\xe2\xc5\xbe\xb8\xc8\xa1\xda\x9b\x99\xb8\x88\xef\x83\x83\x97\x8c\xb1\x39\x03"),
            Self::Licence => Oid(b"\x69\x83\xe2\xc5\xbe\xb8\xc8\xa1\xda\x9b\x99\xb8\x88\xef\x83\x83\x97\x8c\xb1\x39\x04"),
        }
    }
}

/// Why bytes are not a document of a region.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SignedError {
    /// A certificate in it.
    #[error("a certificate in it: {0}")]
    Certificate(#[from] CertificateError),
    /// The envelope.
    #[error("not a signed document: {0}")]
    Envelope(#[from] CmsError),
    /// Signed, but another kind of document.
    #[error("it holds content of type {0}")]
    Kind(String),
    /// A limit of the reader.
    #[error("{what} exceeds the limit of {limit}")]
    Limit {
        /// What there is too much of.
        what: &'static str,
        /// The limit, in bytes or entries.
        limit: usize,
    },
    /// Encoded in another way than the one way that there is.
    #[error("not encoded as it must be: {0}")]
    NotStrict(&'static str),
    /// It speaks of another region than the one whose list it was held against.
    #[error("it speaks of region {0}")]
    OtherRegion(String),
    /// The signature does not verify.
    #[error("the signature is wrong")]
    Signature,
    /// The signer's certificate cannot have signed this: its dates or its key usage.
    #[error("the certificate {0} may not sign this: its dates or its key usage")]
    SignerUnfit(String),
    /// The document inside.
    #[error("the document inside: {0}")]
    Structure(#[from] Asn1Error),
    /// A value that cannot be.
    #[error("{0}")]
    Value(&'static str),
}

/// An envelope whose signature is good.
#[derive(Clone, Debug)]
pub struct Envelope {
    raw: Vec<u8>,
    content: Vec<u8>,
    signer: Arc<Certificate>,
}

impl Envelope {
    /// Reads an envelope of this kind and checks its signature. `limit` bounds its bytes.
    pub fn parse(kind: DocumentKind, bytes: &[u8], limit: usize) -> Result<Self, SignedError> {
        if bytes.len() > limit {
            return Err(SignedError::Limit { what: "the file", limit });
        }
        let signed = SignedData::parse(bytes)?;
        let found = signed.content_type();
        if found != kind.content_type() {
            return Err(SignedError::Kind(found.dotted()));
        }
        if signed.signed_data_type() != oid::GM_SIGNED_DATA || !signed.tolerances().is_empty() {
            return Err(SignedError::NotStrict("the envelope is not DER by GB/T 35275"));
        }
        let [info] = signed.signers() else { return Err(SignedError::NotStrict("not exactly one signer")) };
        let (Some(content), Some(attributes)) = (signed.content(), info.attributes()) else {
            return Err(SignedError::NotStrict("no content or no attributes"));
        };
        // What the signature does not cover has one form, so that no two files say the same.
        let [algorithm] = signed.digest_algorithms() else { return Err(SignedError::NotStrict("not exactly one digest")) };
        let plain = algorithm.oid() == oid::SM3
            && [algorithm, info.digest_algorithm(), info.signature_algorithm()].iter().all(|a| a.parameters.is_none())
            && (signed.version(), info.version()) == (3, 1)
            && signed.certificates().len() == 1
            && signed.crls().is_empty()
            && info.unauthenticated_attributes().is_empty();
        if !plain {
            return Err(SignedError::NotStrict("more in the envelope than there must be"));
        }
        if info.digest_algorithm().oid() != oid::SM3 || info.signature_algorithm().oid() != oid::SM2_WITH_SM3 {
            return Err(SignedError::NotStrict("other algorithms than SM3 and SM2"));
        }
        if attributes.content_type() != Some(kind.content_type()) || attributes.message_digest() != sm3(content).0 {
            return Err(SignedError::Signature);
        }
        let mut certificates = signed.certificates_of(info);
        let (Some(certificate), None) = (certificates.next(), certificates.next()) else {
            return Err(SignedError::NotStrict("not exactly one certificate of the signer"));
        };
        let signer = Certificate::parse(certificate)?;
        let key = signer.key().sm2().ok_or(SignedError::Signature)?;
        let (signature, encoding) = sm::read_signature(info.signature()).map_err(|_| SignedError::Signature)?;
        if encoding != SignatureEncoding::Der || !sm::verify(key, &attributes.signed_bytes(), &signature) {
            return Err(SignedError::Signature);
        }
        Ok(Self { raw: bytes.to_vec(), content: content.to_vec(), signer: Arc::new(signer) })
    }

    /// What stands ready to be signed by the key of `certificate` (DER): the two steps of [`SignedDataDraft`].
    pub fn to_be_signed(
        kind: DocumentKind,
        document: &[u8],
        certificate: &[u8],
        at: Timestamp,
    ) -> Result<ToBeSigned, BuildError> {
        let draft = SignedDataDraft {
            identifiers: Identifiers::Gm,
            content_type: Some(kind.content_type()),
            content: Content::Attached(document),
            signer_certificate: certificate,
            further_certificates: &[],
            signature_algorithm: oid::SM2_WITH_SM3,
            signing_time: Some(at),
            attributes: &[],
        };
        draft.to_be_signed()
    }

    /// The whole, as received.
    pub fn raw(&self) -> &[u8] {
        &self.raw
    }

    /// The document inside.
    pub fn content(&self) -> &[u8] {
        &self.content
    }

    /// Whose key signed.
    pub fn signer(&self) -> &Arc<Certificate> {
        &self.signer
    }

    /// Refuses a signer whose certificate is a CA's, is not for signing, or did not count at the moment that the document names as its own.
    pub(super) fn check_signer(&self, at: Timestamp) -> Result<(), SignedError> {
        let usage = self.signer.extensions().key_usage;
        let fit = !self.signer.is_ca() && usage.is_some_and(|usage| usage.signs()) && self.signer.valid_at(at);
        if fit { Ok(()) } else { Err(SignedError::SignerUnfit(self.signer.subject().to_string())) }
    }
}

/// Whether `bytes` look like an envelope of any of these kinds, without checking it: to tell a list from a certificate.
pub fn kind_of(bytes: &[u8]) -> Option<DocumentKind> {
    use DocumentKind::{Licence, StatusAnswer, StatusList, TrustList};
    if bytes.len() > cms::limits::BYTES {
        return None;
    }
    let signed = SignedData::parse(bytes).ok()?;
    [Licence, StatusAnswer, StatusList, TrustList].into_iter().find(|kind| signed.content_type() == kind.content_type())
}

/// UTF8String.
pub(super) fn text_der(text: &str) -> Vec<u8> {
    der(UTF8_STRING, text.as_bytes())
}

/// A UTF8String of 0 to [`MAX_TEXT`] bytes without control characters: it is shown to people.
pub(super) fn text(tlv: Tlv<'_>) -> Result<String, SignedError> {
    let bytes = tlv.expect(UTF8_STRING)?.value;
    if bytes.len() > MAX_TEXT {
        return Err(SignedError::Limit { what: "a text", limit: MAX_TEXT });
    }
    let text = std::str::from_utf8(bytes).map_err(|_| Asn1Error::Value(UTF8_STRING))?;
    if text.chars().any(|c| c.is_control()) {
        return Err(Asn1Error::Value(UTF8_STRING).into());
    }
    Ok(text.to_owned())
}

/// A region's short name: 1 to 32 lower-case letters, digits, hyphens, as it becomes a folder's name.
pub(super) fn region(tlv: Tlv<'_>) -> Result<String, SignedError> {
    let name = text(tlv)?;
    if is_region_name(&name) {
        Ok(name)
    } else {
        Err(SignedError::Value("the region's short name has other characters than a-z, 0-9, -"))
    }
}

/// Whether this can be the short name of a region.
pub fn is_region_name(name: &str) -> bool {
    (1..=MAX_REGION).contains(&name.len())
        && !name.starts_with('-')
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// GeneralizedTime in whole seconds. A fraction of a second is cut.
pub(super) fn time_der(at: Timestamp) -> Vec<u8> {
    der(GENERALIZED_TIME, at.strftime("%Y%m%d%H%M%SZ").to_string().as_bytes())
}

/// GeneralizedTime in whole seconds, the one way in which [`time_der`] writes it.
pub(super) fn time(tlv: Tlv<'_>) -> Result<Timestamp, SignedError> {
    let tlv = tlv.expect(GENERALIZED_TIME)?;
    match tlv.value.len() {
        15 => Ok(certificate::time(tlv)?),
        _ => Err(Asn1Error::Value(GENERALIZED_TIME).into()),
    }
}
