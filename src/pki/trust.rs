//! Whom to believe, for what, and when: anchors, seal makers, time stamp authorities, revocation data, seal status.
//!
//! The store is filled from bytes that somebody read elsewhere (a folder of files). What a service is
//! trusted for carries periods, because a document is judged at its signing time: a maker that lost its right yesterday made good
//! seals the day before.

use std::collections::HashMap;
use std::sync::Arc;

use base64::Engine as _;
use jiff::{SignedDuration, Timestamp};

use super::certificate::{Certificate, CertificateError};
use super::crl::Crl;
use super::licence::Licence;
use super::name::Name;
use super::ocsp::OcspResponse;
use super::seal_status::{SealHistory, StatusAnswer, StatusList};
use crate::asn1::Asn1Error;
use crate::sm::Sm3Digest;

/// Most files taken from one trust folder: some hundred CAs with their lists.
pub const MAX_FILES: usize = 10_000;
/// How far the clock of a service may be ahead of ours.
pub const CLOCK_SKEW: SignedDuration = SignedDuration::from_mins(5);

pub use super::seal_status::SealState;

/// What a certificate is trusted to certify.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Purpose {
    /// Certificates of signers.
    Signer,
    /// Seals: a maker's certificate, or a CA whose every certificate is a maker's.
    SealMaker,
    /// Time stamps.
    TimeStamp,
}

/// A span of time in which something counts; an open end has no bound.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Period {
    /// First moment.
    pub from: Option<Timestamp>,
    /// Last moment.
    pub until: Option<Timestamp>,
}

impl Period {
    /// Whether `at` is inside.
    pub fn contains(&self, at: Timestamp) -> bool {
        self.from.is_none_or(|from| from <= at) && self.until.is_none_or(|until| at <= until)
    }
}

/// A certificate that is believed for one purpose.
#[derive(Clone, Debug)]
pub struct Service {
    /// For what.
    pub purpose: Purpose,
    /// Whose.
    pub certificate: Arc<Certificate>,
    /// The region whose list names it.
    pub region: Option<Arc<str>>,
    /// When it counts; a withdrawn and granted again service has two.
    pub granted: Vec<Period>,
    /// Whether a self-signed certificate's own signature is wrong: nothing chains to it.
    broken: bool,
}

impl Service {
    /// A service that a region's list names.
    pub fn new(purpose: Purpose, certificate: Arc<Certificate>, region: Option<Arc<str>>, granted: Vec<Period>) -> Self {
        // A root made without Z (or under the empty id) verifies for nobody else: it is refused, not excused.
        let broken = certificate.is_self_issued() && certificate.verify_issued_by(&certificate).is_err();
        Self { purpose, certificate, region, granted, broken }
    }

    /// Whether the service counts at this moment.
    pub fn is_granted(&self, at: Timestamp) -> bool {
        self.granted.iter().any(|period| period.contains(at))
    }

    /// Whether the certificate is self-signed with a signature that does not verify.
    pub fn is_broken(&self) -> bool {
        self.broken
    }
}

/// What is known of a region beside its services.
#[derive(Clone, Debug)]
pub struct Region {
    /// Its name, as in [`Service::region`].
    pub name: Arc<str>,
    /// Its list is to be replaced by then.
    pub next_update: Option<Timestamp>,
    /// Whether it names a service that tells the status of seals.
    pub status_service: bool,
    /// Whether it is believed. A region that was taken back vouches for nothing, but is known by name.
    pub accepted: bool,
}

/// What is known of a seal, from a list or from an answer about it.
#[derive(Clone, Debug)]
pub struct SealStatus {
    /// The region whose seals this is about; `None` any.
    pub region: Option<Arc<str>>,
    /// Seal code.
    pub es_id: String,
    /// SM3 of the seal, when the answer is about one edition of it.
    pub seal_sm3: Option<Sm3Digest>,
    /// Whether its system knows the seal. A list cannot tell: it names only those that are not valid.
    pub known: bool,
    /// Its states.
    pub history: SealHistory,
    /// When this was so.
    pub as_of: Timestamp,
    /// Until when the answer may be used.
    pub fresh_until: Timestamp,
}

impl SealStatus {
    /// Whether the answer may be used at `now`.
    pub fn is_fresh(&self, now: Timestamp) -> bool {
        self.as_of <= now + CLOCK_SKEW && now <= self.fresh_until
    }
}

impl From<StatusAnswer> for SealStatus {
    fn from(answer: StatusAnswer) -> Self {
        Self {
            region: Some(answer.region.into()),
            es_id: answer.query.es_id,
            seal_sm3: answer.query.seal_sm3,
            known: answer.known,
            history: answer.history,
            as_of: answer.as_of,
            fresh_until: answer.fresh_until,
        }
    }
}

/// The folder of a trust directory that a file stands in (report.md, `--trust DIR`).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TrustRole {
    /// `anchors/`: CAs trusted for signers.
    Anchor,
    /// `crls/`
    Crl,
    /// `intermediates/`: certificates that help to build paths and are not trusted by themselves.
    Intermediate,
    /// `makers/`: seal makers or their CAs.
    Maker,
    /// `ocsp/`
    Ocsp,
    /// `tsa/`: time stamp authorities or their CAs.
    TimeStamp,
}

/// One file of a trust directory.
#[derive(Clone, Debug)]
pub struct TrustFile {
    /// Its folder.
    pub role: TrustRole,
    /// Its name, for messages.
    pub name: String,
    /// PEM (several blocks allowed) or DER.
    pub bytes: Vec<u8>,
}

/// A file of the trust directory that was left out.
#[derive(Debug, thiserror::Error)]
#[error("{file}: {problem}")]
pub struct TrustFileError {
    /// The file's name.
    pub file: String,
    /// Why.
    pub problem: TrustFileProblem,
}

/// Why a file of the trust directory was left out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrustFileProblem {
    /// Not a certificate.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// Not a CRL or OCSP response.
    #[error("not a revocation list or response: {0}")]
    Revocation(#[from] Asn1Error),
    /// Neither PEM nor DER.
    #[error("neither PEM nor DER")]
    Encoding,
    /// More than [`MAX_FILES`].
    #[error("more than {MAX_FILES} files")]
    TooMany,
}

/// A list, and the certificates under whose key its signature was found good when the store was filled.
#[derive(Debug)]
struct StoredCrl {
    crl: Crl,
    signed_by: Vec<[u8; 32]>,
}

/// Everything that a verdict may rest on, beside the document.
#[derive(Debug, Default)]
pub struct TrustStore {
    services: Vec<Service>,
    regions: Vec<Region>,
    /// All certificates that may take part in a path, services' included, once each.
    certificates: Vec<Arc<Certificate>>,
    by_sha256: HashMap<[u8; 32], usize>,
    by_subject: HashMap<String, Vec<usize>>,
    /// For pairs of the above: whether the second signed the first. Checked once here, not once per document.
    issued: HashMap<([u8; 32], [u8; 32]), bool>,
    crls: Vec<StoredCrl>,
    ocsp: Vec<OcspResponse>,
    statuses: Vec<SealStatus>,
    status_lists: Vec<StatusList>,
    licences: Vec<Licence>,
}

impl TrustStore {
    /// A store that trusts nobody.
    pub fn empty() -> Self {
        Self::default()
    }

    /// A store from the files of a trust directory. Files that cannot be read are left out and told.
    pub fn from_files(files: impl IntoIterator<Item = TrustFile>) -> (Self, Vec<TrustFileError>) {
        let (mut store, mut problems) = (Self::default(), Vec::new());
        for (i, file) in files.into_iter().enumerate() {
            let result = if i < MAX_FILES { store.add_file(&file) } else { Err(TrustFileProblem::TooMany) };
            if let Err(problem) = result {
                problems.push(TrustFileError { file: file.name, problem });
            }
        }
        store.link();
        (store, problems)
    }

    /// Adds what a region's list says; call [`Self::link`] after the last one.
    pub fn add_region(&mut self, region: Region, services: impl IntoIterator<Item = Service>) {
        self.regions.push(region);
        for service in services {
            self.add_certificate(Arc::clone(&service.certificate));
            self.services.push(service);
        }
    }

    /// Adds answers of seal status services.
    pub fn add_statuses(&mut self, statuses: impl IntoIterator<Item = SealStatus>) {
        self.statuses.extend(statuses);
    }

    /// Adds a region's list of seals that are not plain valid.
    pub fn add_status_list(&mut self, list: StatusList) {
        self.status_lists.push(list);
    }

    /// Adds statements of a region's registry.
    pub fn add_licences(&mut self, licences: impl IntoIterator<Item = Licence>) {
        self.licences.extend(licences);
    }

    /// Checks, once for all documents, which of the store's certificates signed which, and its revocation lists.
    pub fn link(&mut self) {
        for child in &self.certificates {
            for issuer in self.certificates.iter().filter(|issuer| issuer.subject().matches(child.issuer())) {
                self.issued.entry((*child.sha256(), *issuer.sha256())).or_insert_with(|| child.verify_issued_by(issuer).is_ok());
            }
        }
        for stored in &mut self.crls {
            stored.signed_by = self
                .certificates
                .iter()
                .filter(|c| c.subject().matches(stored.crl.issuer()) && stored.crl.verify(c).is_ok())
                .map(|c| *c.sha256())
                .collect();
        }
    }

    /// Adds one file; call [`Self::link`] after the last one.
    pub fn add_file(&mut self, file: &TrustFile) -> Result<(), TrustFileProblem> {
        for der in decode(&file.bytes)? {
            let purpose = match file.role {
                TrustRole::Crl => {
                    self.crls.push(StoredCrl { crl: Crl::parse(&der)?, signed_by: Vec::new() });
                    continue;
                }
                TrustRole::Ocsp => {
                    self.ocsp.push(OcspResponse::parse(&der)?);
                    continue;
                }
                TrustRole::Intermediate => None,
                TrustRole::Anchor => Some(Purpose::Signer),
                TrustRole::Maker => Some(Purpose::SealMaker),
                TrustRole::TimeStamp => Some(Purpose::TimeStamp),
            };
            let certificate = self.add_certificate(Arc::new(Certificate::parse(&der)?));
            if let Some(purpose) = purpose {
                self.services.push(Service::new(purpose, certificate, None, vec![Period::default()]));
            }
        }
        Ok(())
    }

    fn add_certificate(&mut self, certificate: Arc<Certificate>) -> Arc<Certificate> {
        let next = self.certificates.len();
        let index = *self.by_sha256.entry(*certificate.sha256()).or_insert(next);
        if index == next {
            self.by_subject.entry(certificate.subject().key().to_owned()).or_default().push(index);
            self.certificates.push(certificate);
        }
        Arc::clone(&self.certificates[index])
    }

    /// The services for a purpose that count at `at`.
    pub fn anchors_for(&self, purpose: Purpose, at: Timestamp) -> impl Iterator<Item = &Service> {
        self.services.iter().filter(move |s| s.purpose == purpose && s.is_granted(at))
    }

    /// All services, whatever for and whenever.
    pub fn services(&self) -> &[Service] {
        &self.services
    }

    /// The lists that name `certificate` for `purpose`, but do not grant it at `at`. The files of a trust folder are no list.
    pub fn refusals<'a>(
        &'a self,
        certificate: &'a Certificate,
        purpose: Purpose,
        at: Timestamp,
    ) -> impl Iterator<Item = &'a Service> {
        let named =
            self.services.iter().filter(move |s| s.purpose == purpose && s.region.is_some() && *s.certificate == *certificate);
        named.filter(move |s| !s.is_granted(at))
    }

    /// Whether a list names `certificate` for `purpose` and nobody grants it at `at`: then no path leads through it either.
    pub(super) fn is_withdrawn(&self, certificate: &Certificate, purpose: Purpose, at: Timestamp) -> bool {
        let granted = || self.services.iter().any(|s| s.purpose == purpose && *s.certificate == *certificate && s.is_granted(at));
        self.refusals(certificate, purpose, at).next().is_some() && !granted()
    }

    /// Whether the store says anything about who may make seals.
    pub fn lists_makers(&self) -> bool {
        self.services.iter().any(|s| s.purpose == Purpose::SealMaker)
    }

    /// Whether a certificate of this path, maker first, is granted the making of seals at `at`.
    pub fn is_maker_authorised(&self, path: &[Arc<Certificate>], at: Timestamp) -> bool {
        self.anchors_for(Purpose::SealMaker, at).any(|s| path.contains(&s.certificate))
    }

    /// What is known of a region.
    pub fn region(&self, name: &str) -> Option<&Region> {
        self.regions.iter().find(|r| &*r.name == name)
    }

    /// All certificates, trusted or not.
    pub fn certificates(&self) -> &[Arc<Certificate>] {
        &self.certificates
    }

    /// The certificates whose subject is `name`.
    pub fn named<'a>(&'a self, name: &'a Name) -> impl Iterator<Item = &'a Arc<Certificate>> {
        self.by_subject.get(name.key()).into_iter().flatten().map(|index| &self.certificates[*index])
    }

    /// Whether `issuer` signed `child`, if both are in the store.
    pub(super) fn known_link(&self, child: &Certificate, issuer: &Certificate) -> Option<bool> {
        self.issued.get(&(*child.sha256(), *issuer.sha256())).copied()
    }

    /// The lists that speak about `certificate` and whose signature is `issuer`'s.
    pub(super) fn crls_of<'a>(&'a self, certificate: &'a Certificate, issuer: &'a Certificate) -> impl Iterator<Item = &'a Crl> {
        let known = self.by_sha256.contains_key(issuer.sha256());
        self.crls.iter().filter_map(move |stored| {
            let good = stored.crl.covers(certificate)
                && if known { stored.signed_by.contains(issuer.sha256()) } else { stored.crl.verify(issuer).is_ok() };
            good.then_some(&stored.crl)
        })
    }

    pub(super) fn ocsp_responses(&self) -> &[OcspResponse] {
        &self.ocsp
    }

    /// The newest that is known about a seal that `region` vouches for. Its digest is asked for where something is known about its code.
    pub fn seal_status(&self, region: Option<&str>, es_id: &str, seal_sm3: impl Fn() -> Sm3Digest) -> Option<SealStatus> {
        let answers = self
            .statuses
            .iter()
            .filter(|s| s.region.as_deref().is_none_or(|named| Some(named) == region))
            .filter(|s| s.es_id == es_id && s.seal_sm3.is_none_or(|digest| digest == seal_sm3()));
        let answer = answers.max_by_key(|s| s.as_of);
        let lists = self.status_lists.iter().filter(|list| Some(list.head().region.as_str()) == region);
        let Some(list) = lists.max_by_key(|list| list.head().this_update) else { return answer.cloned() };
        let head = list.head();
        match answer {
            Some(answer) if answer.as_of >= head.this_update => Some(answer.clone()),
            _ => Some(SealStatus {
                region: Some(head.region.as_str().into()),
                es_id: es_id.to_owned(),
                seal_sm3: None,
                known: true,
                history: list.history(es_id, seal_sm3).unwrap_or_default(),
                as_of: head.this_update,
                fresh_until: head.next_update,
            }),
        }
    }

    /// The newest statement about a company by the registry of `region`, which is the one that vouches for the company's certificate:
    /// another region's registry cannot speak over it.
    pub fn licence(&self, region: Option<&str>, uscc: &str) -> Option<&Licence> {
        let about = self.licences.iter().filter(|licence| Some(licence.region.as_str()) == region && licence.uscc == uscc);
        about.max_by_key(|licence| licence.as_of)
    }
}

/// The DER values in a file: the file itself, or the blocks of a PEM file, whatever their labels.
pub fn decode(bytes: &[u8]) -> Result<Vec<Vec<u8>>, TrustFileProblem> {
    if bytes.first() == Some(&0x30) {
        return Ok(vec![bytes.to_vec()]);
    }
    let text = std::str::from_utf8(bytes).map_err(|_| TrustFileProblem::Encoding)?;
    let mut out = Vec::new();
    let mut block: Option<String> = None;
    for line in text.lines().map(str::trim) {
        if line.starts_with("-----BEGIN ") {
            block = Some(String::new());
        } else if line.starts_with("-----END ") {
            let base64 = block.take().ok_or(TrustFileProblem::Encoding)?;
            out.push(base64::engine::general_purpose::STANDARD.decode(base64).map_err(|_| TrustFileProblem::Encoding)?);
        } else if let Some(block) = &mut block {
            block.push_str(line);
        }
    }
    if out.is_empty() || block.is_some() { Err(TrustFileProblem::Encoding) } else { Ok(out) }
}
