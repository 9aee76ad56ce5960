//! A small world for tests and benches: one region, one company with a key and seals, a contract, and it sealed. Everything is made by
//! this project's own code.

#![allow(dead_code, reason = "several tests share it, and each uses its part")]

use std::io::{Cursor, Write};
use std::path::Path;

use jiff::Timestamp;
use sealagent::document::{Prepared as _, Provider, Signable, SignatureKind, SigningPlan};
use sealagent::ofd::Ofd;
use sealagent::ofd::write::{Item, NewDocument, NewPage};
use sealagent::ses::{CertList, Picture, Seal, SealDraft, TbsDraft, Version};
use sealagent::stamp::{PageNumber, Placement, RectMm, SizeMm};
use sealauthority::certificate::CertificateProfile;
use sealauthority::key::PrivateKey;
use sealauthority::name::Name;
use sealauthority::region::{KeyProtection, Region, RegionNames};

/// A company with a code whose check character fits.
pub const USCC: &str = "91440300MA5DEM0019";
/// The moment at which the world was made.
pub const MADE_AT: &str = "2026-11-01T08:00:00Z";
/// The moment at which its documents are signed.
pub const SIGNED_AT: &str = "2026-11-02T08:00:00Z";

/// One region and one company.
pub struct World {
    /// The region's authority.
    pub region: Region,
    /// The company's key.
    pub key: PrivateKey,
    /// The company's signing certificate.
    pub certificate: Vec<u8>,
    /// What its seals show: a PNG.
    pub picture: Vec<u8>,
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

impl World {
    /// Makes the region in `folder` and issues the company's certificate.
    pub fn new(folder: &Path) -> Self {
        let names = RegionNames { id: "shenzhen".into(), name: "深圳".into(), division: "440300".into() };
        let mut region = Region::init(folder, &names, &KeyProtection::PlainForPilot, at(MADE_AT)).unwrap();
        let key = PrivateKey::generate().unwrap();
        let subject = Name::seal_owner(USCC, "深圳市示例科技有限公司", "44030000000001");
        let certificate =
            region.issue(CertificateProfile::CompanySigning, &subject, &key.public_key(), at(MADE_AT), 365).unwrap();
        Self { region, key, certificate, picture: dot() }
    }

    /// The company's seal in the structure of `version`.
    pub fn seal(&self, version: Version) -> Seal {
        let draft = SealDraft {
            es_id: "44030000000001".into(),
            vid: "sealagent".into(),
            kind: 1,
            name: "深圳市示例科技有限公司合同专用章".into(),
            cert_list: CertList::Certificates(vec![self.certificate.clone()]),
            created: at(MADE_AT),
            valid_from: at(MADE_AT),
            valid_to: at("2027-10-01T00:00:00Z"),
            picture: Picture::new("PNG", self.picture.clone(), 40, 40),
            extensions: Vec::new(),
        };
        self.region.make_seal(&draft, version).unwrap()
    }

    /// `document`, an OFD, with one more seal signature on its first page.
    pub fn sign(&self, document: &[u8], version: Version) -> Vec<u8> {
        let on_first = Placement {
            page: PageNumber::new(1).unwrap(),
            rect: RectMm { x: 120.0, y: 200.0, width: 40.0, height: 40.0 },
            clip: None,
        };
        let mut out = Vec::new();
        self.sign_into(Ofd::open(Cursor::new(document)).unwrap(), version, vec![on_first], &mut out);
        out
    }

    /// Writes `document` with one more seal signature.
    pub fn sign_into(&self, document: impl Signable, version: Version, placements: Vec<Placement>, out: &mut dyn Write) {
        let seal = self.seal(version);
        let plan = SigningPlan {
            placements,
            kind: SignatureKind::Seal(seal.raw().to_vec()),
            provider: Provider { name: "sealagent".into(), version: "0".into() },
            time: at(SIGNED_AT),
            close: false,
            // Used by PDF alone: for a seal of this size, twice.
            room: 16 << 10,
        };
        let prepared = document.prepare(&plan).unwrap();
        let tbs = TbsDraft {
            seal: &seal,
            time: at(SIGNED_AT),
            data_hash: prepared.digest(),
            property_info: prepared.property(),
            signer_certificate: &self.certificate,
        };
        let tbs = tbs.to_be_signed().unwrap();
        let signed = tbs.assemble(&self.key.sign(tbs.signed_bytes()), None).unwrap();
        prepared.embed(signed.raw(), out).unwrap();
    }
}

/// A contract of so many pages with `lines` lines of text each.
pub fn contract(pages: usize, lines: usize) -> Vec<u8> {
    let page = |n: usize| {
        let line = |i: usize| Item::Text {
            x: 20.0,
            y: 30.0 + i as f64 * 6.0,
            size: 4.0,
            font: "宋体".into(),
            text: if i == 0 {
                format!("采购合同 第 {} 页", n + 1)
            } else {
                format!("第 {i} 条 甲方向乙方采购示例设备，数量与价格见附件。")
            },
        };
        NewPage { size: SizeMm { width: 210.0, height: 297.0 }, items: (0..=lines).map(line).collect() }
    };
    let document = NewDocument {
        title: "采购合同".into(),
        date: "2026-11-01".into(),
        pages: (0..pages).map(page).collect(),
        images: Vec::new(),
    };
    let mut out = Vec::new();
    document.write(&mut out).unwrap();
    out
}

/// A PNG of one red dot.
fn dot() -> Vec<u8> {
    const DOT: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x02\0\0\0\x90wS\xde\0\0\0\x0cIDATx\x9cc8!\xa0\x07\0\x02\xaa\x01\x07\x82%\x9a\xee\0\0\0\0IEND\xaeB`\x82";
    DOT.to_vec()
}

/// The package with one entry's contents changed by `change`; everything else is copied.
pub fn with_entry(package: &[u8], entry: &str, change: impl Fn(&mut Vec<u8>)) -> Vec<u8> {
    use std::io::Read as _;
    let mut source = zip::ZipArchive::new(Cursor::new(package)).unwrap();
    let mut out = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let mut found = false;
    for i in 0..source.len() {
        let mut file = source.by_index(i).unwrap();
        let name = file.name().unwrap().into_owned();
        if name.trim_start_matches('/') == entry {
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes).unwrap();
            change(&mut bytes);
            out.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
            out.write_all(&bytes).unwrap();
            found = true;
        } else {
            drop(file);
            out.raw_copy_file(source.by_index_raw(i).unwrap()).unwrap();
        }
    }
    assert!(found, "no entry {entry}");
    out.finish().unwrap().into_inner()
}

/// Contents of one entry.
pub fn entry(package: &[u8], name: &str) -> Vec<u8> {
    use std::io::Read as _;
    let mut source = zip::ZipArchive::new(Cursor::new(package)).unwrap();
    let mut bytes = Vec::new();
    source.by_name(name).unwrap().read_to_end(&mut bytes).unwrap();
    bytes
}

/// The package of a contract with another word on page 1.
pub fn with_changed_page(package: &[u8]) -> Vec<u8> {
    with_entry(package, "Doc_0/Pages/Page_0/Content.xml", |page| {
        let changed = String::from_utf8(std::mem::take(page)).unwrap().replace("采购", "销售");
        *page = changed.into_bytes();
    })
}
