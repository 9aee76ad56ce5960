//! The list of signatures and their descriptions (GB/T 33190 clause 18; GM/T 0099-2020 clause 7.2).

use std::io::{Read, Seek};

use super::{DocBody, Ofd, OfdError, PackagePath};
use crate::sm::Sm3Digest;
use crate::stamp::RectMm;

/// `Signatures.xml` (clause 18.1, table 66).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SignatureList {
    /// The list's own file.
    pub path: PackagePath,
    /// The signatures in the order of the list: the order in which they were made.
    pub signatures: Vec<ListedSignature>,
    /// `MaxSignId` as written (the last one when there are several).
    pub max_sign_id: Option<String>,
}

/// `Signatures/Signature`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ListedSignature {
    /// `ID`.
    pub id: String,
    /// `Type`.
    pub kind: ListedKind,
    /// `BaseLoc`: the description, Signature.xml.
    pub path: PackagePath,
    /// `Relative`: id of the base signature that must be verified with this one (GM/T 0099).
    pub relative: Option<String>,
}

/// `Type` of a listed signature. Compared without regard to case; absent means Seal.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ListedKind {
    /// The signed value is an `SES_Signature`.
    Seal,
    /// The signed value is GB/T 35275 `SignedData` (or a bare r,s of old products).
    Sign,
    /// Something else.
    Other(String),
}

/// `Signature.xml` (clause 18.2, tables 67 to 69).
#[derive(Clone, Debug, PartialEq)]
pub struct Signature {
    /// Its file.
    pub path: PackagePath,
    /// Its bytes as received: what the signed value is about.
    pub raw: Vec<u8>,
    /// SM3 of `raw`: must be `TBS_Sign.dataHash`.
    pub digest: Sm3Digest,
    /// `Provider`.
    pub provider: SignatureProvider,
    /// `SignatureMethod`: an OID.
    pub method: Option<String>,
    /// `SignatureDateTime`.
    pub date_time: Option<SignatureDateTime>,
    /// `Parameters/Parameter` (GM/T 0099).
    pub parameters: Vec<Parameter>,
    /// `References/@CheckMethod`.
    pub check_method: CheckMethod,
    /// `References/Reference`.
    pub references: Vec<Reference>,
    /// `StampAnnot`.
    pub stamps: Vec<StampAnnot>,
    /// `Seal/@BaseLoc`: the seal's file. Must equal the seal in the signed value, byte for byte.
    pub seal: Option<PackagePath>,
    /// `Seal/ImageLoc` (GM/T 0099).
    pub seal_image: Option<PackagePath>,
    /// `SignedValue`: the file with the signed value.
    pub signed_value: PackagePath,
}

/// `Provider`: the product that made the signature.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct SignatureProvider {
    /// `ProviderName`.
    pub name: Option<String>,
    /// `Version`.
    pub version: Option<String>,
    /// `Company`.
    pub company: Option<String>,
    /// `ProtocolVer` (GM/T 0099).
    pub protocol_version: Option<String>,
    /// `ExtendData` (GM/T 0099).
    pub extend_data: Option<String>,
}

/// `Parameter` (GM/T 0099).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Parameter {
    /// `Name`.
    pub name: String,
    /// `Type`.
    pub kind: Option<String>,
    /// The text.
    pub value: String,
}

/// `SignatureDateTime`: a claim.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SignatureDateTime {
    /// As written.
    pub raw: String,
    /// What it means; local Beijing time when it names no zone. `None` when it is in no known form.
    pub time: Option<jiff::Timestamp>,
}

/// The digest algorithm of the references.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum CheckMethod {
    /// Not given: MD5 by the standard. Not acceptable.
    Absent,
    /// Given and not SM3: not acceptable.
    Other(String),
    /// SM3, by name or as 1.2.156.10197.1.401.
    Sm3,
}

/// `Reference`: a protected file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Reference {
    /// `FileRef` as written.
    pub file_ref: String,
    /// The file; `None` when `FileRef` is no place in the package. It need not exist.
    pub path: Option<PackagePath>,
    /// `CheckValue`, decoded; `None` when it is no base64.
    pub check_value: Option<Vec<u8>>,
}

/// `StampAnnot`: where the seal shows.
#[derive(Clone, Debug, PartialEq)]
pub struct StampAnnot {
    /// `ID`.
    pub id: String,
    /// `PageRef`: the page's ID.
    pub page_ref: String,
    /// `Boundary` in the page's coordinates (mm).
    pub boundary: RectMm,
    /// `Clip`, measured from the corner of `boundary`.
    pub clip: Option<RectMm>,
}

/// A reference compared with the package.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ReferenceResult {
    /// The file, or `FileRef` as written where that is no path.
    pub path: String,
    /// What came of it.
    pub outcome: ReferenceOutcome,
}

/// What came of a comparison.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ReferenceOutcome {
    /// The digest algorithm is not acceptable; the file is there and was not compared.
    BadMethod,
    /// `FileRef` is no place in the package.
    BadPath,
    /// `CheckValue` is no digest.
    BadValue,
    /// The file has another digest.
    Changed,
    /// The file is not in the package.
    Missing,
    /// The digest is the same.
    Ok,
}

impl<R: Read + Seek> Ofd<R> {
    /// The signatures of a document; `None` when OFD.xml names no list.
    pub fn signature_list(&mut self, _body: &DocBody) -> Result<Option<SignatureList>, OfdError> {
        todo!()
    }

    /// The description of a listed signature. Descriptions are read one at a time, since 2000 of them can name 5000 files each.
    pub fn signature(&mut self, _listed: &ListedSignature) -> Result<Signature, OfdError> {
        todo!()
    }

    /// Compares every reference with the package, in their order. Each file is hashed once per package, however many signatures
    /// name it. Fails only when the package itself cannot be read; a damaged entry counts as `Changed`.
    pub fn check_references(&mut self, _signature: &Signature) -> Result<Vec<ReferenceResult>, OfdError> {
        todo!()
    }

    /// The bytes of the signed value's file.
    pub fn signed_value(&mut self, _signature: &Signature) -> Result<Vec<u8>, OfdError> {
        todo!()
    }

    /// The bytes of the seal's file; `None` when the description names none.
    pub fn seal_file(&mut self, _signature: &Signature) -> Result<Option<Vec<u8>>, OfdError> {
        todo!()
    }
}
