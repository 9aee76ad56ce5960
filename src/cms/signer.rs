//! `SignerInfo`: one signer of a `SignedData`.

use std::borrow::Cow;

use crate::asn1::{Asn1Error, INTEGER, OCTET_STRING, OID, Oid, Reader, SEQUENCE, SET, Tlv, context, context_primitive, oid};
use crate::ses::Time;

use super::signed_data::{limits, next};
use super::{CmsError, Notes, Tolerance, at, within};

/// `AlgorithmIdentifier`
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Algorithm {
    oid: Vec<u8>,
    /// DER of the parameters; `05 00` when they are NULL, `None` when absent.
    pub parameters: Option<Vec<u8>>,
}

impl Algorithm {
    /// The algorithm's identifier.
    pub fn oid(&self) -> Oid<'_> {
        Oid(&self.oid)
    }

    pub(super) fn read(field: &'static str, tlv: Tlv<'_>) -> Result<Self, CmsError> {
        let mut elements = tlv.expect(SEQUENCE).map_err(at(field))?.elements();
        let oid = elements.next(OID).map_err(at(field))?.value.to_vec();
        let parameters = if elements.is_empty() { None } else { Some(elements.any().map_err(at(field))?.raw.to_vec()) };
        elements.end().map_err(at(field))?;
        Ok(Self { oid, parameters })
    }
}

/// `Attribute ::= SEQUENCE { type OBJECT IDENTIFIER, values SET OF ANY }`
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Attribute {
    oid: Vec<u8>,
    /// DER of each value.
    pub values: Vec<Vec<u8>>,
}

impl Attribute {
    /// The attribute's type.
    pub fn oid(&self) -> Oid<'_> {
        Oid(&self.oid)
    }
}

/// Which certificate is the signer's.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum SignerId {
    /// `issuerAndSerialNumber`
    IssuerAndSerial {
        /// DER of the issuer's Name.
        issuer: Vec<u8>,
        /// Contents octets of the serial number.
        serial: Vec<u8>,
    },
    /// `subjectKeyIdentifier [0]` of CMS version 3
    SubjectKeyId(Vec<u8>),
}

/// `authenticatedAttributes`, with the ones that every signer needs read out.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AuthenticatedAttributes {
    /// As they stand, tag `a0`.
    raw: Vec<u8>,
    content_type: Option<Vec<u8>>,
    message_digest: Vec<u8>,
    signing_time: Option<Time>,
    all: Vec<Attribute>,
}

impl AuthenticatedAttributes {
    /// The attributes as they stand, with the tag `31` of a SET OF: what is signed.
    pub fn signed_bytes(&self) -> Vec<u8> {
        let mut bytes = self.raw.clone();
        bytes[0] = SET; // `raw` is a whole value, so its first octet is the tag
        bytes
    }

    /// Value of contentType.
    pub fn content_type(&self) -> Option<Oid<'_>> {
        self.content_type.as_deref().map(Oid)
    }

    /// Value of messageDigest: the plain digest of the content, without Z.
    pub fn message_digest(&self) -> &[u8] {
        &self.message_digest
    }

    /// Value of signingTime, the signer's claim.
    pub fn signing_time(&self) -> Option<&Time> {
        self.signing_time.as_ref()
    }

    /// All of them, in the order in which they stand.
    pub fn all(&self) -> &[Attribute] {
        &self.all
    }
}

/// One signer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SignerInfo {
    version: u64,
    id: SignerId,
    digest_algorithm: Algorithm,
    attributes: Option<AuthenticatedAttributes>,
    signature_algorithm: Algorithm,
    signature: Vec<u8>,
    unauthenticated: Vec<Attribute>,
}

impl SignerInfo {
    /// `version`: 1, or 3 with a key identifier.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Which certificate is the signer's.
    pub fn id(&self) -> &SignerId {
        &self.id
    }

    /// `digestAlgorithm`
    pub fn digest_algorithm(&self) -> &Algorithm {
        &self.digest_algorithm
    }

    /// `authenticatedAttributes`. `None`: the content itself is signed.
    pub fn attributes(&self) -> Option<&AuthenticatedAttributes> {
        self.attributes.as_ref()
    }

    /// `digestEncryptionAlgorithm`; for SM2 `1.2.156.10197.1.501`, `.301.1` or `.301`.
    pub fn signature_algorithm(&self) -> &Algorithm {
        &self.signature_algorithm
    }

    /// `encryptedDigest`: the signature value, which a time stamp covers. Read it with [`crate::sm::read_signature`].
    pub fn signature(&self) -> &[u8] {
        &self.signature
    }

    /// `unauthenticatedAttributes`
    pub fn unauthenticated_attributes(&self) -> &[Attribute] {
        &self.unauthenticated
    }

    /// DER of the time stamp tokens over [`Self::signature`], unjudged.
    pub fn time_stamps(&self) -> impl Iterator<Item = &[u8]> {
        let attributes = self.unauthenticated.iter().filter(|a| a.oid() == oid::TIME_STAMP_TOKEN);
        attributes.flat_map(|a| a.values.iter().map(Vec::as_slice))
    }

    /// What was signed: the attributes, or without any `content`, the contents octets of what is (or would be) inside the
    /// contentInfo. With attributes the caller must also compare [`AuthenticatedAttributes::message_digest`] with the digest of the
    /// content.
    ///
    /// Without attributes, content that has the form of attributes is refused: else a signature over attributes could be passed off as
    /// one over content that says something else.
    pub fn signature_input<'a>(&self, content: &'a [u8]) -> Result<Cow<'a, [u8]>, CmsError> {
        match &self.attributes {
            Some(attributes) => Ok(attributes.signed_bytes().into()),
            None if looks_like_attributes(content) => Err(CmsError::ContentLooksLikeAttributes),
            None => Ok(content.into()),
        }
    }

    pub(super) fn read(tlv: Tlv<'_>, content_type: Oid<'_>, notes: &mut Notes) -> Result<Self, CmsError> {
        let mut fields = tlv.elements();
        let version = next(&mut fields, "SignerInfo.version", INTEGER, notes)?;
        let version = version.small_integer().map_err(at("SignerInfo.version"))?;
        let id = SignerId::read(&mut fields, notes)?;
        let digest_algorithm = Algorithm::read("digestAlgorithm", next(&mut fields, "digestAlgorithm", SEQUENCE, notes)?)?;
        let attributes = match fields.peek() {
            Some(tag) if tag == context(0) => {
                let set = next(&mut fields, "authenticatedAttributes", context(0), notes)?;
                Some(AuthenticatedAttributes::read(set, content_type, notes)?)
            }
            _ => None,
        };
        const ALGORITHM: &str = "digestEncryptionAlgorithm";
        let signature_algorithm = Algorithm::read(ALGORITHM, next(&mut fields, ALGORITHM, SEQUENCE, notes)?)?;
        let signature = next(&mut fields, "encryptedDigest", OCTET_STRING, notes)?.value;
        within("encryptedDigest", signature.len(), limits::SIGNATURE_BYTES)?;
        let unauthenticated = match fields.optional(context(1)).map_err(at("unauthenticatedAttributes"))? {
            Some(set) => read_attributes("unauthenticatedAttributes", set)?,
            None => Vec::new(),
        };
        fields.end().map_err(at("SignerInfo"))?;
        Ok(Self {
            version,
            id,
            digest_algorithm,
            attributes,
            signature_algorithm,
            signature: signature.to_vec(),
            unauthenticated,
        })
    }
}

impl SignerId {
    fn read(fields: &mut Reader<'_>, notes: &mut Notes) -> Result<Self, CmsError> {
        const FIELD: &str = "issuerAndSerialNumber";
        if let Some(key_id) = fields.optional(context_primitive(0)).map_err(at("subjectKeyIdentifier"))? {
            return Ok(Self::SubjectKeyId(key_id.value.to_vec()));
        }
        let mut elements = next(fields, FIELD, SEQUENCE, notes)?.elements();
        let issuer = elements.next(SEQUENCE).map_err(at(FIELD))?.raw.to_vec();
        let serial = elements.next(INTEGER).map_err(at(FIELD))?.value.to_vec();
        elements.end().map_err(at(FIELD))?;
        Ok(Self::IssuerAndSerial { issuer, serial })
    }
}

impl AuthenticatedAttributes {
    fn read(set: Tlv<'_>, content_type: Oid<'_>, notes: &mut Notes) -> Result<Self, CmsError> {
        let all = read_attributes("authenticatedAttributes", set)?;
        let elements: Vec<&[u8]> = set.children().map_err(at("authenticatedAttributes"))?.iter().map(|tlv| tlv.raw).collect();
        if !elements.is_sorted() {
            notes.add(Tolerance::AttributesNotSorted);
        }
        let named = single(&all, oid::CONTENT_TYPE, "contentType")?;
        let named = named.map(|tlv| tlv.oid().map(|o| o.0.to_vec())).transpose().map_err(at("contentType"))?;
        match &named {
            None => notes.add(Tolerance::ContentTypeMissing),
            Some(named) if named != content_type.0 => notes.add(Tolerance::ContentTypeDiffers),
            Some(_) => {}
        }
        let digest = single(&all, oid::MESSAGE_DIGEST, "messageDigest")?;
        let digest = digest.ok_or(CmsError::AttributeCount { attribute: "messageDigest" })?;
        let message_digest = digest.octet_string().map_err(at("messageDigest"))?.to_vec();
        const TIME: &str = "signingTime";
        let signing_time = match single(&all, oid::SIGNING_TIME, TIME)? {
            None => None,
            Some(tlv) => Some(Time::from_asn1(tlv).ok_or_else(|| at(TIME)(Asn1Error::Value(tlv.tag)))?),
        };
        Ok(Self { raw: set.raw.to_vec(), content_type: named, message_digest, signing_time, all })
    }
}

fn read_attributes(field: &'static str, set: Tlv<'_>) -> Result<Vec<Attribute>, CmsError> {
    let mut out = Vec::new();
    let mut elements = set.elements();
    while !elements.is_empty() {
        within(field, out.len() + 1, limits::ATTRIBUTES)?;
        let mut attribute = elements.next(SEQUENCE).map_err(at(field))?.elements();
        let oid = attribute.next(OID).map_err(at(field))?.value.to_vec();
        let mut reader = attribute.next(SET).map_err(at(field))?.elements();
        attribute.end().map_err(at(field))?;
        let mut values = Vec::new();
        while !reader.is_empty() {
            within(field, values.len() + 1, limits::ATTRIBUTE_VALUES)?;
            values.push(reader.any().map_err(at(field))?.raw.to_vec());
        }
        out.push(Attribute { oid, values });
    }
    Ok(out)
}

/// The one value of the one attribute of a type, or nothing if there is none of that type.
fn single<'a>(all: &'a [Attribute], wanted: Oid<'_>, attribute: &'static str) -> Result<Option<Tlv<'a>>, CmsError> {
    let mut found = all.iter().filter(|a| a.oid() == wanted);
    match (found.next().map(|a| a.values.as_slice()), found.next()) {
        (None, _) => Ok(None),
        (Some([value]), None) => Ok(Some(Tlv::read_all(value).map_err(at(attribute))?)),
        _ => Err(CmsError::AttributeCount { attribute }),
    }
}

/// Whether content is DER of a SET OF Attribute that holds a messageDigest.
fn looks_like_attributes(content: &[u8]) -> bool {
    let set = Tlv::read_all(content).and_then(|tlv| tlv.expect(SET));
    let attributes = set.ok().and_then(|set| read_attributes("content", set).ok());
    attributes.is_some_and(|all| all.iter().any(|a| a.oid() == oid::MESSAGE_DIGEST))
}
