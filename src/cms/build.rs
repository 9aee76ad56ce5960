//! Making `SignedData`: strict DER, in two steps, because the signature comes from a token in between.
//!
//! [`SignedDataDraft`] → [`ToBeSigned`] → [`SignedData`]. What is assembled is read back with our own reader before it is given out.

use jiff::Timestamp;

use crate::asn1::{
    OCTET_STRING, Oid, SEQUENCE, SET, Tlv, context, der, der_of, integer, object_identifier, oid, sequence, set_of,
};
use crate::ses::asn1_time;
use crate::sm::{Sm2Signature, Sm3Digest, sm3};

use super::{CmsError, SignedData, Tolerance, at, issuer_and_serial};

/// Why a `SignedData` cannot be built.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The signer's certificate is not DER of an X.509 certificate.
    #[error("the signer's certificate cannot be read")]
    Certificate,
    /// Without attributes there is no place for a signing time or further attributes.
    #[error("this form has no authenticated attributes")]
    NoAttributes,
    /// There is no signer with this index.
    #[error("no signer {0}")]
    NoSigner(usize),
    /// What was built would need a tolerance to be read.
    #[error("the result is not strict: {}", .0.name())]
    NotStrict(Tolerance),
    /// A year that UTCTime and GeneralizedTime cannot express.
    #[error("signingTime cannot be expressed")]
    Time,
    /// The signer has a time stamp already.
    #[error("a time stamp is present already")]
    TimeStampPresent,
    /// What was built is not what the reader takes.
    #[error("the result is not readable: {0}")]
    Unreadable(#[from] CmsError),
}

/// Which family of content types is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Identifiers {
    /// GB/T 35275: `1.2.156.10197.6.1.4.2.1` and `.2`
    Gm,
    /// PKCS#7: `1.2.840.113549.1.7.1` and `.2`, which PDF readers look for
    Pkcs7,
}

impl Identifiers {
    fn data(self) -> Oid<'static> {
        if self == Self::Gm { oid::GM_DATA } else { oid::PKCS7_DATA }
    }

    fn signed_data(self) -> Oid<'static> {
        if self == Self::Gm { oid::GM_SIGNED_DATA } else { oid::PKCS7_SIGNED_DATA }
    }
}

/// What is signed, and where it stands.
#[derive(Clone, Copy, Debug)]
pub enum Content<'a> {
    /// Inside, with attributes whose messageDigest is its SM3: signed lists, time stamps.
    Attached(&'a [u8]),
    /// Outside, with attributes whose messageDigest is this SM3 (shape A: ofd-signature.md §5, PDF).
    Detached(Sm3Digest),
    /// The SM3 of the data is itself the content, without attributes (shape B).
    Digest(Sm3Digest),
}

/// What a `SignedData` with one SM2 signer shall say.
#[derive(Clone, Debug)]
pub struct SignedDataDraft<'a> {
    /// Family of content types.
    pub identifiers: Identifiers,
    /// Type of the content where it is not plain data (TSTInfo …); then the version is 3 (RFC 5652 clause 5.1).
    pub content_type: Option<Oid<'a>>,
    /// What is signed.
    pub content: Content<'a>,
    /// DER of the signer's certificate, written first.
    pub signer_certificate: &'a [u8],
    /// DER of further certificates: the signer's CA, …
    pub further_certificates: &'a [Vec<u8>],
    /// digestEncryptionAlgorithm: [`oid::SM2_WITH_SM3`] or [`oid::SM2_SIGN`].
    pub signature_algorithm: Oid<'a>,
    /// signingTime, if it is to be said.
    pub signing_time: Option<Timestamp>,
    /// Further authenticated attributes: type and DER of the one value.
    pub attributes: &'a [(Oid<'a>, Vec<u8>)],
}

impl SignedDataDraft<'_> {
    /// The bytes that the signer signs, and what else the value needs.
    pub fn to_be_signed(&self) -> Result<ToBeSigned, BuildError> {
        let (issuer, serial) = issuer_and_serial(self.signer_certificate).ok_or(BuildError::Certificate)?;
        let content_type = self.content_type.unwrap_or(self.identifiers.data());
        let (digest, content) = match self.content {
            Content::Attached(content) => (sm3(content), content),
            Content::Detached(digest) => (digest, [].as_slice()),
            Content::Digest(ref digest) => (*digest, digest.0.as_slice()),
        };
        let attributes = match self.content {
            Content::Digest(_) if self.signing_time.is_some() || !self.attributes.is_empty() => {
                return Err(BuildError::NoAttributes);
            }
            Content::Digest(_) => None,
            Content::Attached(_) | Content::Detached(_) => Some(self.attribute_set(content_type, digest)?),
        };
        let info = match self.content {
            Content::Detached(_) => sequence(&[&object_identifier(content_type)]),
            _ => sequence(&[&object_identifier(content_type), &der_of(context(0), &[&der(OCTET_STRING, content)])]),
        };
        let mut certificates = vec![self.signer_certificate];
        certificates.extend(self.further_certificates.iter().map(Vec::as_slice));
        let plain_data = content_type == oid::GM_DATA || content_type == oid::PKCS7_DATA;
        let before_signers =
            [integer(if plain_data { 1 } else { 3 }), der(SET, &algorithm(oid::SM3)), info, der_of(context(0), &certificates)]
                .concat();
        let retagged = attributes.as_deref().map_or(Vec::new(), |set| retag(set, context(0)));
        let before_signature = [
            integer(1),
            sequence(&[issuer, &der(crate::asn1::INTEGER, serial)]),
            algorithm(oid::SM3),
            retagged,
            algorithm(self.signature_algorithm),
        ]
        .concat();
        Ok(ToBeSigned {
            signed_data_type: object_identifier(self.identifiers.signed_data()),
            before_signers,
            before_signature,
            bytes: attributes.unwrap_or_else(|| content.to_vec()),
            data_hash: digest,
            signer_certificate: self.signer_certificate.to_vec(),
        })
    }

    /// SET OF Attribute, in DER order.
    fn attribute_set(&self, content_type: Oid<'_>, digest: Sm3Digest) -> Result<Vec<u8>, BuildError> {
        let mut all = vec![
            attribute(oid::CONTENT_TYPE, &object_identifier(content_type)),
            attribute(oid::MESSAGE_DIGEST, &der(OCTET_STRING, &digest.0)),
        ];
        if let Some(time) = self.signing_time {
            all.push(attribute(oid::SIGNING_TIME, &asn1_time(time).ok_or(BuildError::Time)?));
        }
        all.extend(self.attributes.iter().map(|(oid, value)| attribute(*oid, value)));
        Ok(set_of(&all))
    }
}

/// A `SignedData` that lacks its signature. Made only by [`SignedDataDraft::to_be_signed`], so its parts are what its bytes say.
#[derive(Clone, Debug)]
pub struct ToBeSigned {
    signed_data_type: Vec<u8>,
    before_signers: Vec<u8>,
    before_signature: Vec<u8>,
    bytes: Vec<u8>,
    data_hash: Sm3Digest,
    signer_certificate: Vec<u8>,
}

impl ToBeSigned {
    /// What the signer signs (SM2 over SM3 with Z): the attributes as a SET OF, or the 32 bytes of the digest in shape B.
    pub fn signed_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Plain SM3 of the data: messageDigest, or the content in shape B.
    pub fn data_hash(&self) -> Sm3Digest {
        self.data_hash
    }

    /// DER of the certificate whose key must sign.
    pub fn signer_certificate(&self) -> &[u8] {
        &self.signer_certificate
    }

    /// The value with its signature, DER `r, s` inside. A time stamp over it comes afterwards: [`add_time_stamp`].
    pub fn assemble(&self, signature: &Sm2Signature) -> Result<SignedData, BuildError> {
        let signer = sequence(&[&self.before_signature, &der(OCTET_STRING, &signature.to_der())]);
        let signed_data = sequence(&[&self.before_signers, &der(SET, &signer)]);
        strict(&sequence(&[&self.signed_data_type, &der(context(0), &signed_data)]))
    }
}

/// `signed_data` with `time_stamp`, the DER of a token over that signer's signature value, as an unauthenticated attribute. All that is
/// signed stays byte for byte.
pub fn add_time_stamp(signed_data: &SignedData, signer: usize, time_stamp: &[u8]) -> Result<SignedData, BuildError> {
    let found = signed_data.signers().get(signer).ok_or(BuildError::NoSigner(signer))?;
    if found.time_stamps().next().is_some() {
        return Err(BuildError::TimeStampPresent);
    }
    let outer = children(read(signed_data.raw())?)?;
    let [signed_data_type, explicit] = outer.as_slice() else { return Err(BuildError::NoSigner(signer)) };
    let fields = children(read(explicit.value)?)?;
    let Some((signer_infos, before)) = fields.split_last() else { return Err(BuildError::NoSigner(signer)) };
    let mut signers: Vec<Vec<u8>> = children(*signer_infos)?.iter().map(|s| s.raw.to_vec()).collect();
    let info = signers.get_mut(signer).ok_or(BuildError::NoSigner(signer))?;
    let mut elements: Vec<Vec<u8>> = children(read(info)?)?.iter().map(|e| e.raw.to_vec()).collect();
    let mut unauthenticated = Vec::new();
    if elements.last().is_some_and(|e| e.first() == Some(&context(1))) {
        let set = elements.pop().unwrap_or_default();
        unauthenticated.extend(children(read(&set)?)?.iter().map(|a| a.raw.to_vec()));
    }
    unauthenticated.push(attribute(oid::TIME_STAMP_TOKEN, time_stamp));
    elements.push(retag(&set_of(&unauthenticated), context(1)));
    *info = der(SEQUENCE, &elements.concat());
    let before: Vec<&[u8]> = before.iter().map(|f| f.raw).collect();
    let inner = sequence(&[&before.concat(), &der(SET, &signers.concat())]);
    Ok(SignedData::parse(&sequence(&[signed_data_type.raw, &der(context(0), &inner)]))?)
}

fn read(bytes: &[u8]) -> Result<Tlv<'_>, CmsError> {
    Tlv::read_all(bytes).map_err(at("SignedData"))
}

fn children(tlv: Tlv<'_>) -> Result<Vec<Tlv<'_>>, CmsError> {
    tlv.children().map_err(at("SignedData"))
}

fn strict(bytes: &[u8]) -> Result<SignedData, BuildError> {
    let signed_data = SignedData::parse(bytes)?;
    match signed_data.tolerances().first() {
        Some(tolerance) => Err(BuildError::NotStrict(*tolerance)),
        None => Ok(signed_data),
    }
}

/// AlgorithmIdentifier without parameters, as GB/T 35275 signers write SM2 and SM3.
fn algorithm(oid: Oid<'_>) -> Vec<u8> {
    sequence(&[&object_identifier(oid)])
}

fn attribute(oid: Oid<'_>, value: &[u8]) -> Vec<u8> {
    sequence(&[&object_identifier(oid), &der(SET, value)])
}

/// The same value under another tag.
fn retag(value: &[u8], tag: u8) -> Vec<u8> {
    match value.split_first() {
        Some((_, rest)) => [&[tag], rest].concat(),
        None => Vec::new(),
    }
}
