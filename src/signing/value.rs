//! The signed value: what goes to the token, and what comes out of its answer.

use jiff::Timestamp;
use ukey::{DEFAULT_ID, Sm2Message};

use super::SignedValueKind;
use crate::asn1::oid;
use crate::cms::{self, Content, Identifiers, SignedData, SignedDataDraft};
use crate::config::PdfIdentifiers;
use crate::consent;
use crate::failure::{Code, Failure};
use crate::seals::{Holder, KnownSeal};
use crate::ses::{self, SesSignature, TbsDraft, TbsSign};
use crate::sm::{self, Sm2Signature, Sm3Digest};

/// `TBS_Sign`, or the signed attributes of `SignedData`.
#[derive(Debug)]
pub enum ToBeSigned {
    SignedData(cms::ToBeSigned),
    Ses(TbsSign),
}

/// What is signed, with what.
#[derive(Clone, Copy)]
pub struct Draft<'a> {
    pub kind: SignedValueKind,
    pub identifiers: PdfIdentifiers,
    pub seal: &'a KnownSeal,
    pub holder: &'a Holder,
    pub data_hash: Sm3Digest,
    pub property: &'a str,
    pub time: Timestamp,
}

impl Draft<'_> {
    /// The value without its signature, and the form in which consent is asked whether it is the agreed one.
    pub fn to_be_signed(self) -> Result<(ToBeSigned, consent::ToBeSigned), Failure> {
        let certificate = self.holder.certificate.der();
        let value = match self.kind {
            SignedValueKind::Ses => {
                let draft = TbsDraft {
                    seal: &self.seal.seal,
                    time: self.time,
                    data_hash: self.data_hash,
                    property_info: self.property,
                    signer_certificate: certificate,
                };
                ToBeSigned::Ses(draft.to_be_signed().map_err(internal)?)
            }
            SignedValueKind::Gbt35275 => {
                let (identifiers, signature_algorithm) = match self.identifiers {
                    PdfIdentifiers::Gm => (Identifiers::Gm, oid::SM2_SIGN),
                    PdfIdentifiers::Pkcs7 => (Identifiers::Pkcs7, oid::SM2_WITH_SM3),
                };
                let draft = SignedDataDraft {
                    identifiers,
                    content_type: None,
                    content: Content::Detached(self.data_hash),
                    signer_certificate: certificate,
                    further_certificates: &[],
                    signature_algorithm,
                    signing_time: Some(self.time),
                    attributes: &[],
                };
                ToBeSigned::SignedData(draft.to_be_signed().map_err(internal)?)
            }
        };
        let message = Sm2Message::new(value.signed_bytes().to_vec(), DEFAULT_ID, self.holder.key.public_key)
            .ok_or_else(|| internal("the signer id is too long"))?;
        // What the builders put in, not what was given to them.
        let (data_hash, property, seal) = match &value {
            ToBeSigned::Ses(tbs) => (tbs.data_hash(), tbs.property_info().to_owned(), sm::sm3(tbs.seal_raw())),
            ToBeSigned::SignedData(tbs) => (tbs.data_hash(), self.property.to_owned(), self.seal.digest),
        };
        Ok((value, consent::ToBeSigned { data_hash, property, seal, message }))
    }
}

impl ToBeSigned {
    fn signed_bytes(&self) -> &[u8] {
        match self {
            Self::SignedData(tbs) => tbs.signed_bytes(),
            Self::Ses(tbs) => tbs.signed_bytes(),
        }
    }

    /// The signed value, once the signature has been verified with the certificate that stands in it (I7). The builders read back
    /// what they assembled, so its form is right.
    pub fn assemble(&self, holder: &Holder, signature: &Sm2Signature) -> Result<SignedValue, Failure> {
        let key = holder.certificate.key().sm2().ok_or(Code::TokenSignatureInvalid)?;
        if !sm::verify(key, self.signed_bytes(), signature) {
            return Err(Code::TokenSignatureInvalid.into());
        }
        match self {
            Self::SignedData(tbs) => Ok(SignedValue::SignedData(Box::new(tbs.assemble(signature).map_err(internal)?))),
            Self::Ses(tbs) => Ok(SignedValue::Ses(Box::new(tbs.assemble(signature, None).map_err(internal)?))),
        }
    }
}

/// A signed value of one signer.
#[derive(Debug)]
pub enum SignedValue {
    SignedData(Box<SignedData>),
    Ses(Box<SesSignature>),
}

impl SignedValue {
    /// DER.
    pub fn raw(&self) -> &[u8] {
        match self {
            Self::SignedData(value) => value.raw(),
            Self::Ses(value) => value.raw(),
        }
    }

    /// What a time stamp is made over: the octets of the signature.
    pub fn signature(&self) -> &[u8] {
        match self {
            Self::SignedData(value) => value.signers().first().map_or(&[], |signer| signer.signature()),
            Self::Ses(value) => value.signature(),
        }
    }

    /// The same with a time stamp over its signature. A V1 `SES_Signature` has no place for one.
    pub fn with_time_stamp(&self, token: &[u8]) -> Result<Self, Failure> {
        let failed = |error: &dyn std::fmt::Display| Failure::new(Code::TimestampFailed, error);
        match self {
            Self::SignedData(value) => cms::add_time_stamp(value, 0, token)
                .map(|value| Self::SignedData(Box::new(value)))
                .map_err(|error| failed(&error)),
            Self::Ses(value) => {
                ses::add_time_stamp(value, token).map(|value| Self::Ses(Box::new(value))).map_err(|error| failed(&error))
            }
        }
    }
}

fn internal(error: impl std::fmt::Display) -> Failure {
    tracing::error!(%error, "a signed value cannot be built");
    Code::Internal.into()
}
