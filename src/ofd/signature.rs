//! The list of signatures and their descriptions (GB/T 33190 clause 18; GM/T 0099-2020 clause 7.2).

use std::collections::HashSet;
use std::io::{Read, Seek};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::package::shorten;
use super::structure::limit;
use super::xml::{self, Element, MAX_XML};
use super::{DocBody, Ofd, OfdError, Package, PackagePath, ToleranceKind};
use crate::sm::{Sm3Digest, sm3};
use crate::stamp::RectMm;

/// Signatures of one document. Contracts have a dozen; each costs a parse of its references.
const MAX_SIGNATURES: usize = 2_000;
/// Bytes of a signed value or a seal. Real ones have 2 to 40 KiB; a seal's picture may be a photograph.
pub(super) const MAX_SIGNED_VALUE: u64 = 8 << 20;
/// SM3 as `CheckMethod` names it.
pub(super) const SM3_OID: &str = "1.2.156.10197.1.401";

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
    /// `ID`; empty when it has none.
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
    pub fn signature_list(&mut self, body: &DocBody) -> Result<Option<SignatureList>, OfdError> {
        let Some(path) = body.signature_list.clone() else { return Ok(None) };
        let package = &mut self.package;
        let root = package.xml(&path, "Signatures", &[])?;
        let mut signatures: Vec<ListedSignature> = Vec::new();
        let mut ids = HashSet::new();
        let mut paths = HashSet::new();
        for element in root.all("Signature") {
            if signatures.len() == MAX_SIGNATURES {
                return Err(limit(&path, "signatures", MAX_SIGNATURES));
            }
            let id = element.need_attribute("ID", &path)?.to_owned();
            let location = element.need_attribute("BaseLoc", &path)?;
            let description = package.locate(&path, location)?;
            if !paths.insert(description.clone()) {
                return Err(OfdError::BadValue { path, field: "BaseLoc of a second signature", value: shorten(location) });
            }
            if !ids.insert(id.clone()) {
                package.tolerate(&path, ToleranceKind::SignatureIdRepeated(shorten(&id)));
            }
            let kind = match element.attribute("Type").map(str::trim) {
                None => ListedKind::Seal,
                Some(kind) if kind.eq_ignore_ascii_case("Seal") => ListedKind::Seal,
                Some(kind) if kind.eq_ignore_ascii_case("Sign") => ListedKind::Sign,
                Some(kind) => ListedKind::Other(shorten(kind)),
            };
            let relative = element.attribute("Relative").map(str::to_owned);
            signatures.push(ListedSignature { id, kind, path: description, relative });
        }
        let max_sign_ids: Vec<&str> = root.all("MaxSignId").map(|element| element.text.as_str()).collect();
        if max_sign_ids.len() > 1 {
            package.tolerate(&path, ToleranceKind::MaxSignIdRepeated);
        }
        if let Some(max) = max_sign_ids.last() {
            let largest = signatures.iter().filter_map(|signature| id_number(&signature.id)).max();
            if id_number(max) < largest {
                package.tolerate(&path, ToleranceKind::MaxSignIdWrong);
            }
        }
        let max_sign_id = max_sign_ids.last().map(|id| (*id).to_owned());
        Ok(Some(SignatureList { path, signatures, max_sign_id }))
    }

    /// The description of a listed signature. Descriptions are read one at a time, since 2000 of them can name 5000 files each.
    pub fn signature(&mut self, listed: &ListedSignature) -> Result<Signature, OfdError> {
        let path = &listed.path;
        let raw = self.package.read(path, MAX_XML)?;
        let document = xml::parse(path, &raw, "Signature", &[])?;
        let package = &mut self.package;
        for kind in &document.tolerances {
            package.tolerate(path, kind.clone());
        }
        let root = &document.root;
        let info = root.need("SignedInfo", path)?;
        let references = info.need("References", path)?;
        let signature = Signature {
            provider: read_provider(package, path, info)?,
            method: info.text_of("SignatureMethod", path)?.map(str::to_owned),
            date_time: read_date_time(package, path, info)?,
            parameters: read_parameters(path, info)?,
            check_method: CheckMethod::named(references.attribute("CheckMethod")),
            references: read_references(package, path, references)?,
            stamps: read_stamps(package, path, info)?,
            seal: read_seal(package, path, info, "BaseLoc")?,
            seal_image: read_seal(package, path, info, "ImageLoc")?,
            signed_value: package.locate(path, &root.need("SignedValue", path)?.text)?,
            path: path.clone(),
            digest: sm3(&raw),
            raw,
        };
        Ok(signature)
    }

    /// Compares every reference with the package, in their order. Each file is hashed once per package, however many signatures
    /// name it, several files at a time. Fails only when the package itself cannot be read; a damaged entry counts as `Changed`.
    pub fn check_references(&mut self, signature: &Signature) -> Result<Vec<ReferenceResult>, OfdError> {
        let mut results = Vec::with_capacity(signature.references.len());
        if signature.check_method == CheckMethod::Sm3 {
            self.package.digest_together(signature.references.iter().filter_map(|reference| reference.path.as_ref()));
        }
        for reference in &signature.references {
            let path = reference.path.as_ref().map_or_else(|| shorten(&reference.file_ref), PackagePath::to_string);
            results.push(ReferenceResult { path, outcome: self.check_reference(&signature.check_method, reference)? });
        }
        Ok(results)
    }

    fn check_reference(&mut self, method: &CheckMethod, reference: &Reference) -> Result<ReferenceOutcome, OfdError> {
        let Some(path) = &reference.path else { return Ok(ReferenceOutcome::BadPath) };
        let Some(path) = self.package.find(path) else { return Ok(ReferenceOutcome::Missing) };
        if *method != CheckMethod::Sm3 {
            return Ok(ReferenceOutcome::BadMethod);
        }
        let Some(expected) = reference.check_value.as_deref().filter(|value| value.len() == 32) else {
            return Ok(ReferenceOutcome::BadValue);
        };
        match self.package.digest(&path) {
            Ok(digest) if digest.0 == expected => Ok(ReferenceOutcome::Ok),
            Ok(_) | Err(OfdError::EntryDamaged { .. }) => Ok(ReferenceOutcome::Changed),
            Err(error) => Err(error),
        }
    }

    /// The bytes of the signed value's file.
    pub fn signed_value(&mut self, signature: &Signature) -> Result<Vec<u8>, OfdError> {
        self.package.read(&signature.signed_value, MAX_SIGNED_VALUE)
    }

    /// The bytes of the seal's file; `None` when the description names none.
    pub fn seal_file(&mut self, signature: &Signature) -> Result<Option<Vec<u8>>, OfdError> {
        signature.seal.as_ref().map(|path| self.package.read(path, MAX_SIGNED_VALUE)).transpose()
    }
}

impl CheckMethod {
    /// Compared without regard to case. Other names of SM3 do not occur; a broken `1.2.156.10197.1.401.2` does and is none.
    fn named(name: Option<&str>) -> Self {
        match name.map(str::trim) {
            None => Self::Absent,
            Some(name) if name.eq_ignore_ascii_case("SM3") || name == SM3_OID => Self::Sm3,
            Some(name) => Self::Other(shorten(name)),
        }
    }
}

fn read_provider<R: Read + Seek>(
    package: &mut Package<R>,
    path: &PackagePath,
    info: &Element,
) -> Result<SignatureProvider, OfdError> {
    let Some(provider) = info.one("Provider", path)? else { return Ok(SignatureProvider::default()) };
    let mut field = |name: &'static str| -> Result<Option<String>, OfdError> {
        if let Some(value) = provider.attribute(name) {
            return Ok(Some(value.to_owned()));
        }
        let value = provider.text_of(name, path)?.map(str::to_owned);
        if value.is_some() && name != "ExtendData" {
            package.tolerate(path, ToleranceKind::ProviderElements);
        }
        Ok(value)
    };
    Ok(SignatureProvider {
        name: field("ProviderName")?,
        version: field("Version")?,
        company: field("Company")?,
        protocol_version: field("ProtocolVer")?,
        extend_data: field("ExtendData")?,
    })
}

fn read_date_time<R: Read + Seek>(
    package: &mut Package<R>,
    path: &PackagePath,
    info: &Element,
) -> Result<Option<SignatureDateTime>, OfdError> {
    let Some(raw) = info.text_of("SignatureDateTime", path)? else { return Ok(None) };
    let time = parse_date_time(raw);
    if time.is_none() {
        package.tolerate(path, ToleranceKind::SignatureDateTimeForm);
    }
    Ok(Some(SignatureDateTime { raw: raw.to_owned(), time }))
}

/// `20220819084224Z`, `20200723130907.763Z`, `20201010151120`, `2020-04-22 16:22:44`, `2020-04-22T16:22:44+08:00`.
fn parse_date_time(raw: &str) -> Option<jiff::Timestamp> {
    const BEIJING: i32 = 8 * 3600;
    let mut digits = Vec::with_capacity(14);
    let mut rest = raw;
    while digits.len() < 14 {
        let mut characters = rest.chars();
        match characters.next()? {
            digit @ '0'..='9' => digits.push(digit as i32 - '0' as i32),
            '-' | '/' | ':' | ' ' | 'T' if matches!(digits.len(), 4 | 6 | 8 | 10 | 12) => {}
            _ => return None,
        }
        rest = characters.as_str();
    }
    if let Some(fraction) = rest.strip_prefix('.') {
        rest = fraction.trim_start_matches(|character: char| character.is_ascii_digit());
    }
    let offset = match rest.trim() {
        "" => BEIJING,
        "Z" | "z" => 0,
        zone => {
            let sign = if zone.starts_with('+') {
                1
            } else if zone.starts_with('-') {
                -1
            } else {
                return None;
            };
            let zone = zone[1..].replace(':', "");
            if zone.len() != 4 || !zone.bytes().all(|byte| byte.is_ascii_digit()) {
                return None;
            }
            let zone: i32 = zone.parse().ok()?;
            sign * (zone / 100 * 3600 + zone % 100 * 60)
        }
    };
    let two = |at: usize| (digits[at] * 10 + digits[at + 1]) as i8;
    let year = i16::from(two(0)) * 100 + i16::from(two(2));
    let civil = jiff::civil::DateTime::new(year, two(4), two(6), two(8), two(10), two(12), 0).ok()?;
    jiff::tz::Offset::from_seconds(offset).ok()?.to_timestamp(civil).ok()
}

fn read_parameters(path: &PackagePath, info: &Element) -> Result<Vec<Parameter>, OfdError> {
    let Some(list) = info.one("Parameters", path)? else { return Ok(Vec::new()) };
    let read = |element: &Element| {
        let name = element.need_attribute("Name", path)?.to_owned();
        Ok(Parameter { name, kind: element.attribute("Type").map(str::to_owned), value: element.text.clone() })
    };
    list.all("Parameter").map(read).collect()
}

fn read_references<R: Read + Seek>(
    package: &mut Package<R>,
    path: &PackagePath,
    list: &Element,
) -> Result<Vec<Reference>, OfdError> {
    let mut references = Vec::new();
    for element in list.all("Reference") {
        let file_ref = element.need_attribute("FileRef", path)?;
        if !file_ref.trim_start().starts_with(['/', '\\']) {
            package.tolerate(path, ToleranceKind::FileRefRelative);
        }
        let value: String = element.need("CheckValue", path)?.text.split_ascii_whitespace().collect();
        references.push(Reference {
            file_ref: file_ref.to_owned(),
            path: package.locate(path, file_ref).ok(),
            check_value: BASE64.decode(value).ok(),
        });
    }
    Ok(references)
}

fn read_stamps<R: Read + Seek>(
    package: &mut Package<R>,
    path: &PackagePath,
    info: &Element,
) -> Result<Vec<StampAnnot>, OfdError> {
    let rectangle = |field, text: &str| {
        xml::rectangle(text).ok_or_else(|| OfdError::BadValue { path: path.clone(), field, value: shorten(text) })
    };
    let mut stamps = Vec::new();
    for element in info.all("StampAnnot") {
        let id = element.attribute("ID").unwrap_or_default();
        if id.is_empty() {
            package.tolerate(path, ToleranceKind::StampIdMissing);
        }
        stamps.push(StampAnnot {
            id: id.to_owned(),
            page_ref: element.need_attribute("PageRef", path)?.to_owned(),
            boundary: rectangle("Boundary", element.need_attribute("Boundary", path)?)?,
            clip: element.attribute("Clip").map(|text| rectangle("Clip", text)).transpose()?,
        });
    }
    Ok(stamps)
}

/// A location in `Seal`, as attribute or as child element: both are in use.
fn read_seal<R: Read + Seek>(
    package: &mut Package<R>,
    path: &PackagePath,
    info: &Element,
    field: &'static str,
) -> Result<Option<PackagePath>, OfdError> {
    let Some(seal) = info.one("Seal", path)? else { return Ok(None) };
    let location = match seal.attribute(field) {
        Some(location) => Some(location),
        None => seal.text_of(field, path)?,
    };
    location.map(|location| package.locate(path, location)).transpose()
}

/// The number in an id: `s001`, `001`, `1`, `0`. Ids with more than nine digits or none count as none.
pub(super) fn id_number(id: &str) -> Option<u32> {
    let digits = id.trim_start_matches(|character: char| !character.is_ascii_digit());
    (digits.len() <= 9).then(|| digits.parse().ok()).flatten()
}
