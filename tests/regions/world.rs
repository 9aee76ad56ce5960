//! Two regions with all their services, and a company in each: everything in memory, made by the pilot authority's code.

use std::io::Cursor;
use std::sync::Arc;

use jiff::Timestamp;
use sealagent::document::{Prepared as _, Provider, Signable as _, SignatureKind, SigningPlan};
use sealagent::ofd::Ofd;
use sealagent::ofd::write::{Item, NewDocument, NewPage};
use sealagent::pki::licence::{Licence, LicenceState};
use sealagent::pki::seal_status::{SealEntry, SealHistory, SealState, StateChange, StatusHead, status_list};
use sealagent::pki::trust::{TrustFile, TrustRole};
use sealagent::pki::trust_list::{
    ListedService, Provider as ServiceProvider, ServiceKind, ServiceStatus, SignedTrustList, StatusChange, TrustList,
};
use sealagent::pki::{Certificate, TrustStore};
use sealagent::ses::{CertList, Picture, Seal, SealDraft, TbsDraft, Version};
use sealagent::sm::sm3;
use sealagent::stamp::{PageNumber, Placement, RectMm, SizeMm};
use sealauthority::{
    CertificateProfile, CrlContents, Identity, Name, PrivateKey, RevokedCertificate, SerialNumber, Validity, issue_certificate,
    issue_crl, issue_licence, issue_status_list, issue_time_stamp, issue_trust_list, make_seal, self_signed,
};

/// When everything was set up.
pub const MADE: &str = "2026-01-05T00:00:00Z";
/// When the companies sign.
pub const SIGNED: &str = "2026-06-01T08:30:00Z";
/// When everything is judged.
pub const NOW: &str = "2026-11-24T06:00:00Z";

pub fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// A region's keys and certificates.
pub struct Region {
    pub id: &'static str,
    pub root: Identity,
    pub ca: Identity,
    pub maker: Identity,
    pub tsa: Identity,
    pub list: Identity,
    pub status: Identity,
    pub registry: Identity,
    serials: std::cell::Cell<u64>,
}

fn validity(years: i16) -> Validity {
    let until = format!("{}-01-01T00:00:00Z", 2026 + years);
    Validity { not_before: at(MADE), not_after: at(&until) }
}

impl Region {
    pub fn new(id: &'static str) -> Self {
        let serials = std::cell::Cell::new(1);
        let name = |who: &str| Name::china().organization(&format!("{id}试点")).common_name(&format!("{id}{who}"));
        let root = self_signed(PrivateKey::generate().unwrap(), &name("根CA"), validity(20), &next(&serials)).unwrap();
        let below = |issuer: &Identity, profile, who, years| {
            let key = PrivateKey::generate().unwrap();
            let der = issue_certificate(issuer, profile, &name(who), &key.public_key(), validity(years), &next(&serials));
            Identity::new(key, &der.unwrap()).unwrap()
        };
        let ca = below(&root, CertificateProfile::IssuingCa, "CA", 15);
        let [maker, tsa, list, status, registry] = [
            (CertificateProfile::SealMaker, "制章中心"),
            (CertificateProfile::TimeStampAuthority, "时间戳"),
            (CertificateProfile::RegionStatement, "信任列表"),
            (CertificateProfile::RegionStatement, "印章状态"),
            (CertificateProfile::RegionStatement, "登记机关"),
        ]
        .map(|(profile, who)| below(&ca, profile, who, 10));
        Self { id, root, ca, maker, tsa, list, status, registry, serials }
    }

    /// A further key with a certificate for signing statements.
    pub fn statement_key(&self, who: &str) -> Identity {
        let key = PrivateKey::generate().unwrap();
        let name = Name::china().organization(self.id).common_name(who);
        let profile = CertificateProfile::RegionStatement;
        let der = issue_certificate(&self.ca, profile, &name, &key.public_key(), validity(10), &next(&self.serials)).unwrap();
        Identity::new(key, &der).unwrap()
    }

    /// A company with its seal.
    pub fn company(&self, uscc: &'static str, name: &'static str, es_id: &'static str) -> Company {
        let key = PrivateKey::generate().unwrap();
        let subject = Name::seal_owner(uscc, name, es_id);
        let profile = CertificateProfile::CompanySigning;
        let der = issue_certificate(&self.ca, profile, &subject, &key.public_key(), validity(5), &next(&self.serials)).unwrap();
        let draft = SealDraft {
            es_id: es_id.into(),
            vid: "sealagent".into(),
            kind: 1,
            name: format!("{name}合同专用章"),
            cert_list: CertList::Certificates(vec![der.clone()]),
            created: at("2026-01-10T00:00:00Z"),
            valid_from: at("2026-01-10T00:00:00Z"),
            valid_to: at("2029-01-10T00:00:00Z"),
            picture: Picture::new("PNG", dot(), 40, 40),
            extensions: Vec::new(),
        };
        let seal = make_seal(&self.maker, &draft, Version::V4).unwrap();
        Company { uscc, name, identity: Identity::new(key, &der).unwrap(), seal }
    }

    pub fn service(&self, kind: ServiceKind, identity: &Identity) -> ListedService {
        ListedService {
            kind,
            provider: ServiceProvider { uscc: String::new(), name: format!("{}试点", self.id) },
            certificates: vec![Arc::new(identity.certificate().clone())],
            history: vec![StatusChange { from: at(MADE), status: ServiceStatus::Granted }],
            locations: Vec::new(),
            note: String::new(),
        }
    }

    /// A good list with everything in it.
    pub fn trust_list(&self, sequence: u64) -> TrustList {
        TrustList {
            region: self.id.into(),
            name: format!("{}试点地区", self.id),
            sequence,
            issued: at("2026-11-01T00:00:00Z"),
            next_update: at("2026-12-01T00:00:00Z"),
            signers: vec![Arc::new(self.list.certificate().clone())],
            locations: Vec::new(),
            services: vec![
                self.service(ServiceKind::RootCa, &self.root),
                self.service(ServiceKind::IssuingCa, &self.ca),
                self.service(ServiceKind::SealMaker, &self.maker),
                self.service(ServiceKind::TimeStamp, &self.tsa),
                self.service(ServiceKind::SealStatus, &self.status),
                self.service(ServiceKind::Registry, &self.registry),
            ],
            regions: Vec::new(),
        }
    }

    pub fn signed_list(&self, list: &TrustList) -> Vec<u8> {
        issue_trust_list(&self.list, list).unwrap()
    }

    pub fn status_head(&self, number: u64, base: Option<u64>) -> StatusHead {
        StatusHead {
            region: self.id.into(),
            number,
            base,
            this_update: at("2026-11-24T00:00:00Z"),
            next_update: at("2026-11-25T00:00:00Z"),
        }
    }

    /// A signed status list of these seals.
    pub fn signed_status(&self, number: u64, base: Option<u64>, seals: &[SealEntry]) -> Vec<u8> {
        issue_status_list(&self.status, &self.status_head(number, base), seals).unwrap()
    }

    /// The revocation lists of root and CA, with these serial numbers revoked by the CA.
    pub fn crls(&self, revoked: &[(&Certificate, &str)]) -> [Vec<u8>; 2] {
        let entry = |(certificate, when): &(&Certificate, &str)| RevokedCertificate {
            serial: SerialNumber::new(certificate.serial()).unwrap(),
            at: at(when),
            reason: None,
        };
        let revoked = revoked.iter().map(entry).collect();
        [Self::crl(&self.root, "2026-11-20T00:00:00Z", Vec::new()), Self::crl(&self.ca, "2026-11-20T00:00:00Z", revoked)]
    }

    /// A revocation list of that day, good for thirty.
    pub fn crl(issuer: &Identity, made: &str, revoked: Vec<RevokedCertificate>) -> Vec<u8> {
        let this_update = at(made);
        let next_update = this_update + jiff::SignedDuration::from_hours(30 * 24);
        issue_crl(issuer, &CrlContents { number: 1, this_update, next_update, expired_since: None, revoked }).unwrap()
    }

    pub fn licence(&self, company: &Company, state: LicenceState) -> Licence {
        Licence {
            region: self.id.into(),
            uscc: company.uscc.into(),
            name: company.name.into(),
            representative: "张三".into(),
            state,
            state_since: at("2026-03-01T00:00:00Z"),
            valid_from: at("2020-01-01T00:00:00Z"),
            valid_to: None,
            as_of: at("2026-11-24T00:00:00Z"),
            fresh_until: at("2026-11-25T00:00:00Z"),
            source: "试点登记机关".into(),
            evidence: Some(sm3(b"licence.ofd")),
        }
    }

    pub fn signed_licence(&self, licence: &Licence) -> Vec<u8> {
        issue_licence(&self.registry, licence).unwrap()
    }
}

fn next(serials: &std::cell::Cell<u64>) -> SerialNumber {
    let n = serials.get();
    serials.set(n + 1);
    SerialNumber::from_number(std::num::NonZeroU64::new(n).unwrap())
}

/// A company with key, certificate and seal.
pub struct Company {
    pub uscc: &'static str,
    pub name: &'static str,
    pub identity: Identity,
    pub seal: Seal,
}

impl Company {
    /// `document` with one more seal signature at `time`, with a time stamp when `tsa` is given.
    pub fn sign(&self, document: &[u8], time: &str, tsa: Option<&Identity>) -> Vec<u8> {
        let plan = SigningPlan {
            placements: vec![Placement {
                page: PageNumber::new(1).unwrap(),
                rect: RectMm { x: 120.0, y: 200.0, width: 40.0, height: 40.0 },
                clip: None,
            }],
            kind: SignatureKind::Seal(self.seal.raw().to_vec()),
            provider: Provider { name: "sealagent".into(), version: "0".into() },
            time: at(time),
            close: false,
            room: 0,
        };
        let prepared = Ofd::open(Cursor::new(document)).unwrap().prepare(&plan).unwrap();
        let tbs = TbsDraft {
            seal: &self.seal,
            time: at(time),
            data_hash: prepared.digest(),
            property_info: prepared.property(),
            signer_certificate: self.identity.der(),
        };
        let tbs = tbs.to_be_signed().unwrap();
        let signature = self.identity.key().sign(tbs.signed_bytes()).unwrap();
        let token = tsa.map(|tsa| {
            let serial = SerialNumber::from_number(std::num::NonZeroU64::new(7).unwrap());
            issue_time_stamp(tsa, &sm3(&signature.to_der()), at(time), &serial, None).unwrap()
        });
        let signed = tbs.assemble(&signature, token.as_deref()).unwrap();
        let mut out = Vec::new();
        prepared.embed(signed.raw(), &mut out).unwrap();
        out
    }
}

/// A history from states and times.
pub fn history(changes: &[(SealState, &str)]) -> SealHistory {
    SealHistory::new(changes.iter().map(|(state, when)| StateChange { at: at(when), state: *state }).collect()).unwrap()
}

/// An entry for every edition of a seal.
pub fn entry(es_id: &str, changes: &[(SealState, &str)]) -> SealEntry {
    SealEntry { es_id: es_id.into(), seal_sm3: None, history: history(changes) }
}

/// What a verifier holds: lists, whether accepted, their status lists, licences, revocation lists.
#[derive(Default)]
pub struct Known {
    store: TrustStore,
}

impl Known {
    pub fn region(mut self, region: &Region, list: &TrustList, accepted: bool) -> Self {
        let signed = SignedTrustList::parse(&region.signed_list(list)).unwrap();
        let (told, services) = signed.list().region(accepted);
        self.store.add_region(told, services);
        self
    }

    pub fn status(mut self, list: &TrustList, bytes: &[u8]) -> Self {
        self.store.add_status_list(status_list(list, bytes).unwrap());
        self
    }

    pub fn licence(mut self, list: &TrustList, bytes: &[u8]) -> Self {
        self.store.add_licences([Licence::read(list, bytes).unwrap()]);
        self
    }

    pub fn crls(mut self, crls: [Vec<u8>; 2]) -> Self {
        for bytes in crls {
            self.store.add_file(&TrustFile { role: TrustRole::Crl, name: "list".into(), bytes }).unwrap();
        }
        self
    }

    pub fn store(mut self) -> TrustStore {
        self.store.link();
        self.store
    }
}

/// A contract of one page.
pub fn contract() -> Vec<u8> {
    let text = Item::Text { x: 20.0, y: 30.0, size: 4.0, font: "宋体".into(), text: "采购合同".into() };
    let document = NewDocument {
        title: "采购合同".into(),
        date: "2026-06-01".into(),
        pages: vec![NewPage { size: SizeMm { width: 210.0, height: 297.0 }, items: vec![text] }],
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
