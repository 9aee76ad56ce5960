//! A good signed document, and knobs to make one thing about it wrong.

use std::io::Cursor;
use std::sync::Arc;

use base64::Engine as _;
use sealagent::asn1::{IA5_STRING, OCTET_STRING, Oid, bit_string, context, der, integer, object_identifier, oid, sequence};
use sealagent::cms::{self, Content, Identifiers, SignedDataDraft};
use sealagent::document::{Prepared as _, Provider, Signable as _, SignatureKind, SigningPlan};
use sealagent::ofd::Ofd;
use sealagent::ofd::write::{Item, NewDocument, NewPage};
use sealagent::pki::trust::{TrustFile, TrustRole};
use sealagent::pki::{Certificate, TrustStore};
use sealagent::ses::{self, CertDigest, CertList, Extension, Picture, PictureFormat, Seal, SealDraft, TbsDraft, Version};
use sealagent::sm::{DEFAULT_ID, Sm2Digest, sm3};
use sealagent::stamp::SizeMm;
use sealagent::verify::{Context, Report};

use crate::known::Verifier;

use super::{
    Files, Identity, Key, ListSpec, Spec, TIME_STAMPING, at, crl, file, generalized_time, issue, time_stamp, unzip, zip,
};

pub const COMPANY: &str = "深圳市测试科技有限公司";
/// Its check character fits.
pub const USCC: &str = "91440300MA5EXAMP0C";
pub const ES_ID: &str = "44030000012345";
pub const DESCRIPTION: &str = "Doc_0/Signs/Sign_0/Signature.xml";
pub const VALUE: &str = "Doc_0/Signs/Sign_0/SignedValue.dat";
pub const LIST: &str = "Doc_0/Signs/Signatures.xml";
pub const PAGE: &str = "Doc_0/Pages/Page_0/Content.xml";

/// Whom the seal lists.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Listed {
    Signer,
    Maker,
    SignerDigest,
    SignerDigestWithZ,
    MakerDigest,
}

/// What the signed value is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Value {
    Ses,
    /// GB/T 35275 with attributes, detached.
    Attributes,
    /// GB/T 35275 over the digest, without attributes.
    Digest,
    Bare,
}

/// A time stamp on signature or seal.
#[derive(Clone)]
pub struct StampSpec {
    pub time: &'static str,
    /// Stamps something else.
    pub over_other: bool,
    /// A changed octet in its signature.
    pub broken: bool,
    /// No token at all but these bytes.
    pub garbage: bool,
}

pub fn stamp(time: &'static str) -> Option<StampSpec> {
    Some(StampSpec { time, over_other: false, broken: false, garbage: false })
}

/// Attributes of a SignedData: their types, and their values in DER.
pub type Attributes = Vec<(Oid<'static>, Vec<u8>)>;

/// All that a signed document and its judging depend on.
#[derive(Clone)]
pub struct Recipe {
    pub version: Version,
    pub value: Value,
    pub root: Spec,
    pub ca: Spec,
    pub maker: Spec,
    pub signer: Spec,
    pub tsa: Spec,
    /// Who issues maker and signer: themselves, or the CA.
    pub self_issued: [bool; 2],
    pub tsa_self_issued: bool,
    pub root_list: Option<ListSpec>,
    pub ca_list: Option<ListSpec>,
    pub listed: Listed,
    pub es_id: &'static str,
    pub seal_name: &'static str,
    pub created: &'static str,
    pub valid: [&'static str; 2],
    pub extensions: Vec<Extension>,
    pub picture: Vec<u8>,
    pub seal_stamp: Option<StampSpec>,
    pub signed_at: &'static str,
    pub stamp: Option<StampSpec>,
    pub tbs_version: Option<u64>,
    pub property: Option<&'static str>,
    pub wrong_hash: bool,
    pub wrong_value: bool,
    pub wrong_seal_value: bool,
    pub raw_value: bool,
    pub garbage_value: bool,
    pub cut_certificate: bool,
    pub algorithm: Oid<'static>,
    pub without_certificate: bool,
    /// Signed attributes beside the usual ones, in SignedData with attributes.
    pub attributes: fn(&World) -> Attributes,
    pub signatures: usize,
    pub close: bool,
    /// On the files of each new signature, before it is signed.
    pub before: fn(&mut Files),
    /// On the files of the signed package.
    pub after: fn(&mut Files, &World),
    /// On the package itself.
    pub package: fn(&mut Vec<u8>),
    pub trust: fn(&mut Vec<TrustFile>, &World),
    pub store: fn(&mut TrustStore, &World),
    pub now: &'static str,
    pub required_uscc: Option<&'static str>,
}

/// Everybody who takes part.
pub struct World {
    pub root: Identity,
    pub ca: Identity,
    pub maker: Identity,
    pub signer: Identity,
    pub tsa: Identity,
}

impl Recipe {
    /// A document that is TOTAL_PASSED.
    pub fn good() -> Self {
        let company = format!("{USCC}{COMPANY}");
        Self {
            version: Version::V4,
            value: Value::Ses,
            root: Spec::ca("Root", 1),
            ca: Spec::ca("CA", 2),
            maker: Spec::leaf("制章中心", "制章系统", 11),
            signer: Spec::leaf(&company, COMPANY, 12),
            tsa: Spec { purpose: Some(TIME_STAMPING), ..Spec::leaf("Test", "TSA", 13) },
            self_issued: [false, false],
            tsa_self_issued: false,
            root_list: Some(ListSpec::default()),
            ca_list: Some(ListSpec::default()),
            listed: Listed::Signer,
            es_id: ES_ID,
            seal_name: COMPANY,
            created: "2026-01-10T00:00:00Z",
            valid: ["2026-01-10T00:00:00Z", "2028-01-10T00:00:00Z"],
            extensions: Vec::new(),
            picture: png(),
            seal_stamp: None,
            signed_at: "2026-06-01T08:30:00Z",
            stamp: None,
            tbs_version: None,
            property: None,
            wrong_hash: false,
            wrong_value: false,
            wrong_seal_value: false,
            raw_value: false,
            garbage_value: false,
            cut_certificate: false,
            algorithm: oid::SM2_WITH_SM3,
            without_certificate: false,
            attributes: |_| Vec::new(),
            signatures: 1,
            close: false,
            before: |_| {},
            after: |_, _| {},
            package: |_| {},
            trust: |_, _| {},
            store: |_, _| {},
            now: "2026-11-24T06:00:00Z",
            required_uscc: None,
        }
    }

    /// The good document with something changed.
    pub fn with(change: impl FnOnce(&mut Self)) -> Self {
        let mut recipe = Self::good();
        change(&mut recipe);
        recipe
    }

    pub fn world(&self) -> World {
        let root = issue(None, Key::new(1), &self.root);
        let ca = issue(Some(&root), Key::new(2), &self.ca);
        let by = |alone: bool| if alone { None } else { Some(&ca) };
        World {
            maker: issue(by(self.self_issued[0]), Key::new(11), &self.maker),
            signer: issue(by(self.self_issued[1]), Key::new(12), &self.signer),
            tsa: issue(by(self.tsa_self_issued), Key::new(13), &self.tsa),
            root,
            ca,
        }
    }

    pub fn trust_files(&self, world: &World) -> Vec<TrustFile> {
        let file = |role, name: &str, bytes: &[u8]| TrustFile { role, name: name.to_owned(), bytes: bytes.to_vec() };
        let mut files = vec![
            file(TrustRole::Anchor, "root", world.root.der()),
            file(TrustRole::Maker, "maker", world.maker.der()),
            file(TrustRole::TimeStamp, "root", world.root.der()),
            file(TrustRole::Intermediate, "ca", world.ca.der()),
        ];
        let lists = [(&world.root, &self.root_list), (&world.ca, &self.ca_list)];
        files.extend(lists.iter().filter_map(|(by, list)| Some(file(TrustRole::Crl, "list", &crl(by, list.as_ref()?)))));
        (self.trust)(&mut files, world);
        files
    }

    pub fn trust_store(&self, world: &World) -> TrustStore {
        let (mut store, problems) = TrustStore::from_files(self.trust_files(world));
        assert!(problems.is_empty(), "{problems:?}");
        (self.store)(&mut store, world);
        store.link();
        store
    }

    pub fn seal(&self, world: &World) -> Seal {
        let digest = |value: [u8; 32]| {
            CertList::Digests(vec![CertDigest { kind: "certificate SM3 digest".to_owned(), value: value.to_vec() }])
        };
        let z = || Sm2Digest::new(world.signer.der(), DEFAULT_ID, &world.signer.key.public).unwrap();
        let draft = SealDraft {
            es_id: self.es_id.to_owned(),
            vid: "test".to_owned(),
            kind: 1,
            name: self.seal_name.to_owned(),
            cert_list: match self.listed {
                Listed::Signer => CertList::Certificates(vec![world.signer.der().to_vec()]),
                Listed::Maker => CertList::Certificates(vec![world.maker.der().to_vec()]),
                Listed::SignerDigest => digest(sm3(world.signer.der()).0),
                Listed::SignerDigestWithZ => digest(*z().as_bytes()),
                Listed::MakerDigest => digest(sm3(world.maker.der()).0),
            },
            created: at(self.created),
            valid_from: at(self.valid[0]),
            valid_to: at(self.valid[1]),
            picture: Picture {
                kind: "png".to_owned(),
                format: PictureFormat::Png,
                data: self.picture.clone(),
                width_mm: 40,
                height_mm: 40,
            },
            extensions: self.extensions.clone(),
        };
        let unsigned = draft.to_be_signed(self.version, world.maker.der()).unwrap();
        let mut signature = world.maker.key.sign(&unsigned.signed_bytes());
        signature.s[31] ^= u8::from(self.wrong_seal_value);
        let seal = unsigned.assemble(&signature).unwrap();
        match &self.seal_stamp {
            None => seal,
            Some(spec) => ses::add_seal_time_stamp(&seal, &spec.token(&world.tsa, seal.signature())).unwrap(),
        }
    }

    /// The signed value over `data`.
    pub fn signed_value(&self, world: &World, data: &[u8], property: &str) -> Vec<u8> {
        if self.garbage_value {
            return b"no signature at all".to_vec();
        }
        match self.value {
            Value::Ses => self.ses(world, data, property),
            Value::Bare => {
                let mut signature = world.signer.key.sign(data);
                signature.s[31] ^= u8::from(self.wrong_value);
                signature.to_der()
            }
            Value::Attributes | Value::Digest => self.cms(world, data),
        }
    }

    fn ses(&self, world: &World, data: &[u8], property: &str) -> Vec<u8> {
        let seal = self.seal(world);
        let mut hash = sm3(data);
        hash.0[0] ^= u8::from(self.wrong_hash);
        let property = self.property.unwrap_or(property);
        if self.version == Version::V1 {
            let draft = TbsDraft {
                seal: &seal,
                time: at(self.signed_at),
                data_hash: hash,
                property_info: property,
                signer_certificate: world.signer.der(),
            };
            let tbs = draft.to_be_signed().unwrap();
            return tbs.assemble(&world.signer.key.sign(tbs.signed_bytes()), None).unwrap().raw().to_vec();
        }
        let tbs = sequence(&[
            &integer(self.tbs_version.unwrap_or(seal.header_version())),
            seal.raw(),
            &generalized_time(self.signed_at),
            &bit_string(&hash.0),
            &der(IA5_STRING, property.as_bytes()),
        ]);
        let mut signature = world.signer.key.sign(&tbs);
        signature.s[31] ^= u8::from(self.wrong_value);
        let octets = if self.raw_value { signature.to_raw().to_vec() } else { signature.to_der() };
        let token = self.stamp.as_ref().map(|spec| spec.token(&world.tsa, &octets));
        let token = token.map(|token| der(context(0), &bit_string(&token))).unwrap_or_default();
        sequence(&[
            &tbs,
            &der(OCTET_STRING, &world.signer.der()[usize::from(self.cut_certificate)..]),
            &object_identifier(self.algorithm),
            &bit_string(&octets),
            &token,
        ])
    }

    fn cms(&self, world: &World, data: &[u8]) -> Vec<u8> {
        let mut hash = sm3(data);
        hash.0[0] ^= u8::from(self.wrong_hash);
        let with_attributes = self.value == Value::Attributes;
        let attributes = (self.attributes)(world);
        let draft = SignedDataDraft {
            identifiers: Identifiers::Gm,
            content_type: None,
            content: if with_attributes { Content::Detached(hash) } else { Content::Digest(hash) },
            signer_certificate: world.signer.der(),
            further_certificates: &[],
            signature_algorithm: self.algorithm,
            signing_time: with_attributes.then(|| at(self.signed_at)),
            attributes: if with_attributes { &attributes } else { &[] },
        };
        let unsigned = draft.to_be_signed().unwrap();
        let mut signature = world.signer.key.sign(unsigned.signed_bytes());
        signature.s[31] ^= u8::from(self.wrong_value);
        let mut value = unsigned.assemble(&signature).unwrap();
        if let Some(spec) = &self.stamp {
            let token = spec.token(&world.tsa, value.signers()[0].signature());
            value = cms::add_time_stamp(&value, 0, &token).unwrap();
        }
        let bytes = value.raw().to_vec();
        if !self.without_certificate {
            return bytes;
        }
        // The same value with an empty set of certificates.
        let set = der(context(0), world.signer.der());
        let start = bytes.windows(set.len()).position(|w| w == set).unwrap();
        let outer = sealagent::asn1::Tlv::read_all(&bytes).unwrap().children().unwrap();
        let inner = sealagent::asn1::Tlv::read_all(outer[1].value).unwrap();
        let offset = start - (inner.value.as_ptr() as usize - bytes.as_ptr() as usize);
        let rest = [&inner.value[..offset], &inner.value[offset + set.len()..]].concat();
        sequence(&[outer[0].raw, &der(context(0), &sequence(&[&rest]))])
    }

    /// The signed package.
    pub fn package(&self, world: &World) -> Vec<u8> {
        let text = Item::Text { x: 20.0, y: 30.0, size: 5.0, font: "宋体".to_owned(), text: "采购合同".to_owned() };
        let page = NewPage { size: SizeMm { width: 210.0, height: 297.0 }, items: vec![text] };
        let document = NewDocument {
            title: "采购合同".to_owned(),
            date: "2026-06-01".to_owned(),
            pages: vec![page.clone(), page],
            images: Vec::new(),
        };
        let mut package = Vec::new();
        document.write(&mut package).unwrap();
        for number in 0..self.signatures {
            package = self.sign(world, package, number);
        }
        let mut files = unzip(&package);
        (self.after)(&mut files, world);
        package = zip(&files);
        (self.package)(&mut package);
        package
    }

    fn sign(&self, world: &World, package: Vec<u8>, number: usize) -> Vec<u8> {
        let kind = match self.value {
            Value::Ses => SignatureKind::Seal(self.seal(world).raw().to_vec()),
            _ => SignatureKind::Sign,
        };
        let plan = SigningPlan {
            placements: Vec::new(),
            kind,
            provider: Provider { name: "test".to_owned(), version: "1".to_owned() },
            time: at(self.signed_at),
            close: self.close,
            room: 0,
        };
        let prepared = Ofd::open(Cursor::new(package)).unwrap().prepare(&plan).unwrap();
        let property = prepared.property().to_owned();
        let mut out = Vec::new();
        prepared.embed(b"-", &mut out).unwrap();
        let mut files = unzip(&out);
        let description = DESCRIPTION.replace("Sign_0", &format!("Sign_{number}"));
        (self.before)(&mut files);
        renew_digests(&mut files, &description);
        let data = file(&mut files, &description).clone();
        *file(&mut files, &VALUE.replace("Sign_0", &format!("Sign_{number}"))) = self.signed_value(world, &data, &property);
        zip(&files)
    }

    pub fn context<'a>(&self, trust: &'a TrustStore) -> Context<'a> {
        Context::new(trust, at(self.now))
    }

    /// The report about the signed package.
    pub fn judge(&self) -> Report {
        let world = self.world();
        let trust = self.trust_store(&world);
        let required = self.required_uscc;
        let certificate: Option<Arc<Certificate>> = None;
        let context = Context { required_uscc: required, signer_certificate: certificate.as_ref(), ..self.context(&trust) };
        Verifier::verify(Cursor::new(self.package(&world)), &context)
    }
}

impl StampSpec {
    fn token(&self, authority: &Identity, octets: &[u8]) -> Vec<u8> {
        if self.garbage {
            return vec![0x30, 3, 2, 1, 1];
        }
        let mut token = time_stamp(authority, if self.over_other { b"other" } else { octets }, self.time);
        if self.broken {
            *token.last_mut().unwrap() ^= 1;
        }
        token
    }
}

/// Puts the right digests into a description whose references or files were edited.
fn renew_digests(files: &mut Files, description: &str) {
    let text = String::from_utf8(file(files, description).clone()).unwrap();
    let (open, close) = ("<ofd:CheckValue>", "</ofd:CheckValue>");
    let mut out = String::new();
    for (i, part) in text.split("FileRef=\"").enumerate() {
        if i == 0 {
            out.push_str(part);
            continue;
        }
        let path = part.split('"').next().unwrap();
        let bytes = files.iter().find(|(name, _)| name == path.trim_start_matches('/')).map(|(_, bytes)| bytes);
        let (before, rest) = part.split_once(open).unwrap();
        let (old, after) = rest.split_once(close).unwrap();
        let digest = bytes.map(|bytes| base64::engine::general_purpose::STANDARD.encode(sm3(bytes).0));
        out.push_str(&format!("FileRef=\"{before}{open}{}{close}{after}", digest.as_deref().unwrap_or(old)));
    }
    *file(files, description) = out.into_bytes();
}

/// Takes a reference out of a description.
pub fn remove_reference(files: &mut Files, path: &str) {
    let bytes = file(files, DESCRIPTION);
    let text = String::from_utf8(bytes.clone()).unwrap();
    let start = text.find(&format!("<ofd:Reference FileRef=\"{path}\"")).unwrap_or_else(|| panic!("no {path} in {text}"));
    let end = start + text[start..].find("</ofd:Reference>").unwrap() + "</ofd:Reference>".len();
    *bytes = format!("{}{}", &text[..start], &text[end..]).into_bytes();
}

/// A picture of one pixel.
fn png() -> Vec<u8> {
    let mut out = b"\x89PNG\r\n\x1a\n".to_vec();
    out.extend(b"\0\0\0\x0dIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0\x1f\x15\xc4\x89");
    out.extend(b"\0\0\0\x0aIDAT\x78\x9c\x63\0\x01\0\0\x05\0\x01\x0d\x0a\x2d\xb4");
    out.extend(b"\0\0\0\0IEND\xae\x42\x60\x82");
    out
}
