//! A region's trust list: who may do what there, since when, until when, and where its signed data can be fetched (trust.md §11).
//!
//! ```asn1
//! TrustList ::= SEQUENCE {
//!     version         INTEGER (1),
//!     region          UTF8String,                -- short name: shenzhen
//!     name            UTF8String,
//!     sequenceNumber  INTEGER,                   -- one more with each list
//!     issued          GeneralizedTime,
//!     nextUpdate      GeneralizedTime,
//!     listSigners     SEQUENCE OF Certificate,   -- who may sign the next list: the key roll-over
//!     locations       SEQUENCE OF Location,      -- where the next list is
//!     services        SEQUENCE OF Service,
//!     regions         SEQUENCE OF Pointer }      -- the list of lists
//! Service ::= SEQUENCE {
//!     kind            ENUMERATED { rootCa(0), issuingCa(1), sealMaker(2), timeStamp(3), sealStatus(4), registry(5) },
//!     provider        SEQUENCE { uscc UTF8String, name UTF8String },
//!     certificates    SEQUENCE OF Certificate,
//!     history         SEQUENCE OF SEQUENCE { from GeneralizedTime, status ENUMERATED { granted(0), withdrawn(1) } },
//!     locations       SEQUENCE OF Location,
//!     note            UTF8String }
//! Location ::= SEQUENCE {
//!     use             ENUMERATED { trustList(0), statusList(1), statusChanges(2), statusQuery(3), crl(4), ocsp(5), timeStamp(6) },
//!     url             IA5String,
//!     private         BOOLEAN }                  -- whether it may be asked although its address is private
//! Pointer ::= SEQUENCE { region UTF8String, name UTF8String, location Location, listSigners SEQUENCE OF OCTET STRING } -- SHA-256
//! ```
//!
//! There is one encoding (DER without options), and a list that is encoded otherwise is refused. The services of a list are
//! separate: a CA that is trusted for signers makes nobody below it a seal maker. A pointer trusts nobody by itself: it says under
//! which key another region's list is to be had, and a person still accepts that region.
//!
//! Which list replaces which is [`Accepted::judge`]'s: same region, a signer that the last list named, a higher number.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::certificate::Certificate;
use super::signed::{self, DocumentKind, Envelope, SignedError};
use super::subject::is_uscc;
use super::trust::{Period, Purpose, Region, Service};
use crate::asn1::{
    Asn1Error, BOOLEAN, ENUMERATED, IA5_STRING, INTEGER, OCTET_STRING, Reader, SEQUENCE, Tlv, UTF8_STRING, der, integer, sequence,
};
use crate::sm::{Sm3Digest, sm3};

/// Largest list, in bytes: two thousand services with a certificate each.
pub const MAX_LIST: usize = 4 << 20;
/// Services of one list; a province has some dozens of CAs and makers.
const MAX_SERVICES: usize = 2_000;
/// Certificates of one service: the one in use, the last and the next.
const MAX_CERTIFICATES: usize = 16;
/// Changes of one service's status.
const MAX_HISTORY: usize = 64;
/// Locations of one service or list.
const MAX_LOCATIONS: usize = 16;
/// Pointers to other regions: all provinces and cities of a country.
const MAX_POINTERS: usize = 500;
/// Signers that one list names for the next.
const MAX_SIGNERS: usize = 8;
/// Longest address, in characters.
const MAX_URL: usize = 1024;
/// How far ahead of the clock a list may be issued: clocks of two machines differ, and a time zone may be set wrong by an hour or two.
const MAX_AHEAD: SignedDuration = SignedDuration::from_hours(24);

/// What a service is trusted to do.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[allow(missing_docs, reason = "the names are those of the structure above")]
pub enum ServiceKind {
    RootCa,
    IssuingCa,
    SealMaker,
    TimeStamp,
    SealStatus,
    Registry,
}

/// All kinds, in the order of their numbers.
const KINDS: [ServiceKind; 6] = [
    ServiceKind::RootCa,
    ServiceKind::IssuingCa,
    ServiceKind::SealMaker,
    ServiceKind::TimeStamp,
    ServiceKind::SealStatus,
    ServiceKind::Registry,
];

impl ServiceKind {
    /// What the paths of documents take it for; services that sign for themselves only are in no path.
    fn purpose(self) -> Option<Purpose> {
        match self {
            Self::RootCa | Self::IssuingCa => Some(Purpose::Signer),
            Self::SealMaker => Some(Purpose::SealMaker),
            Self::TimeStamp => Some(Purpose::TimeStamp),
            Self::SealStatus | Self::Registry => None,
        }
    }
}

/// Whether a service counts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[allow(missing_docs, reason = "the names are those of the structure above")]
pub enum ServiceStatus {
    Granted,
    Withdrawn,
}

/// One line of a service's history.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct StatusChange {
    /// From when on.
    pub from: Timestamp,
    /// What.
    pub status: ServiceStatus,
}

/// What is to be had at a place.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum LocationUse {
    /// The region's newest trust list.
    TrustList,
    /// Its full list of seals that are not plain valid.
    StatusList,
    /// The changes since that list.
    StatusChanges,
    /// Answers about one seal.
    StatusQuery,
    /// A CA's revocation list.
    Crl,
    /// A CA's OCSP responder.
    Ocsp,
    /// Time stamps.
    TimeStamp,
}

const USES: [LocationUse; 7] = [
    LocationUse::TrustList,
    LocationUse::StatusList,
    LocationUse::StatusChanges,
    LocationUse::StatusQuery,
    LocationUse::Crl,
    LocationUse::Ocsp,
    LocationUse::TimeStamp,
];

/// A place to fetch from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Location {
    /// What is there.
    pub kind: LocationUse,
    /// `http://…`
    pub url: String,
    /// Whether it may be asked even at a private address (a government's own network).
    pub private: bool,
}

/// Who runs a service.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Provider {
    /// Unified social credit code, or empty.
    pub uscc: String,
    /// Name.
    pub name: String,
}

/// A service of the region.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ListedService {
    /// What it is trusted to do.
    pub kind: ServiceKind,
    /// Who runs it.
    pub provider: Provider,
    /// Its certificates, the newest first.
    pub certificates: Vec<Arc<Certificate>>,
    /// Its status, oldest line first, each line other than the one before.
    pub history: Vec<StatusChange>,
    /// Where its data can be fetched.
    pub locations: Vec<Location>,
    /// A note for people.
    pub note: String,
}

impl ListedService {
    /// The spans in which it was or is granted.
    pub fn granted(&self) -> Vec<Period> {
        let ends = self.history.iter().skip(1).map(|next| Some(next.from - SignedDuration::from_nanos(1))).chain([None]);
        self.history
            .iter()
            .zip(ends)
            .filter(|(change, _)| change.status == ServiceStatus::Granted)
            .map(|(change, until)| Period { from: Some(change.from), until })
            .collect()
    }

    /// Whether it counts at a moment.
    pub fn is_granted(&self, at: Timestamp) -> bool {
        self.granted().iter().any(|period| period.contains(at))
    }
}

/// Where another region's list is, and whose it must be.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Pointer {
    /// Short name of that region.
    pub region: String,
    /// Its name for people.
    pub name: String,
    /// Where its list is.
    pub location: Location,
    /// SHA-256 of the certificates that may sign it.
    pub signers: Vec<[u8; 32]>,
}

/// What a list says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TrustList {
    /// Short name of the region.
    pub region: String,
    /// Its name for people.
    pub name: String,
    /// One more with each list.
    pub sequence: u64,
    /// When it was made.
    pub issued: Timestamp,
    /// By when there is a newer one.
    pub next_update: Timestamp,
    /// Who may sign the next list.
    pub signers: Vec<Arc<Certificate>>,
    /// Where the next list is.
    pub locations: Vec<Location>,
    /// The region's services.
    pub services: Vec<ListedService>,
    /// Other regions.
    pub regions: Vec<Pointer>,
}

impl TrustList {
    /// The one encoding of this list.
    pub fn to_der(&self) -> Vec<u8> {
        sequence(&[
            &integer(1),
            &signed::text_der(&self.region),
            &signed::text_der(&self.name),
            &integer(self.sequence),
            &signed::time_der(self.issued),
            &signed::time_der(self.next_update),
            &list(&self.signers, |certificate| certificate.der().to_vec()),
            &list(&self.locations, location_der),
            &list(&self.services, service_der),
            &list(&self.regions, pointer_der),
        ])
    }

    /// Reads a list. Everything that [`Self::to_der`] would not write is refused.
    pub fn parse(bytes: &[u8]) -> Result<Self, SignedError> {
        if bytes.len() > MAX_LIST {
            return Err(SignedError::Limit { what: "the list", limit: MAX_LIST });
        }
        let mut fields = Tlv::read_all(bytes)?.expect(SEQUENCE)?.elements();
        if fields.next(INTEGER)?.small_integer()? != 1 {
            return Err(SignedError::Value("a version of the list that is not known here"));
        }
        let out = Self {
            region: signed::region(fields.next(UTF8_STRING)?)?,
            name: signed::text(fields.next(UTF8_STRING)?)?,
            sequence: fields.next(INTEGER)?.small_integer()?,
            issued: signed::time(fields.any()?)?,
            next_update: signed::time(fields.any()?)?,
            signers: many(&mut fields, "signers of the next list", MAX_SIGNERS, certificate)?,
            locations: many(&mut fields, "locations", MAX_LOCATIONS, location)?,
            services: many(&mut fields, "services", MAX_SERVICES, service)?,
            regions: many(&mut fields, "pointers", MAX_POINTERS, pointer)?,
        };
        fields.end()?;
        out.check()?;
        if out.to_der() != bytes {
            return Err(SignedError::NotStrict("the list is not in its one encoding"));
        }
        Ok(out)
    }

    /// Refuses what cannot be, whoever signed it.
    pub fn check(&self) -> Result<(), SignedError> {
        let wrong = |what| Err(SignedError::Value(what));
        if !signed::is_region_name(&self.region) {
            return wrong("the region's short name");
        }
        if self.sequence == 0 || self.next_update <= self.issued {
            return wrong("the list has number 0, or is to be replaced before it was made");
        }
        if self.signers.is_empty() {
            return wrong("the list names nobody who may sign the next one");
        }
        for service in &self.services {
            if service.certificates.is_empty() || service.history.is_empty() {
                return wrong("a service without certificate or without history");
            }
            if service.history.windows(2).any(|pair| pair[0].from >= pair[1].from || pair[0].status == pair[1].status) {
                return wrong("a service's history is out of order");
            }
            if !service.provider.uscc.is_empty() && !is_uscc(service.provider.uscc.as_bytes()) {
                return wrong("a provider's unified social credit code has a wrong check character");
            }
        }
        for (i, pointer) in self.regions.iter().enumerate() {
            let again = self.regions[..i].iter().any(|other| other.region == pointer.region);
            if again
                || pointer.region == self.region
                || pointer.signers.is_empty()
                || pointer.location.kind != LocationUse::TrustList
            {
                return wrong("a pointer to the region itself, to one region twice, or without a key");
            }
        }
        Ok(())
    }

    /// Whether this certificate may, by this list, do that at a moment. The certificate itself must be listed.
    pub fn grants(&self, kind: ServiceKind, certificate: &Certificate, at: Timestamp) -> bool {
        self.services.iter().any(|s| s.kind == kind && s.is_granted(at) && s.certificates.iter().any(|c| **c == *certificate))
    }

    /// The places for one use, of the list and of services that are granted at `now`.
    pub fn places(&self, kind: LocationUse, now: Timestamp) -> impl Iterator<Item = &Location> {
        let services = self.services.iter().filter(move |s| s.is_granted(now)).flat_map(|s| &s.locations);
        self.locations.iter().chain(services).filter(move |location| location.kind == kind)
    }

    /// What a [`TrustStore`](super::TrustStore) is told. A region that is not `accepted` (any more) vouches for nothing, but is known
    /// by name.
    pub fn region(&self, accepted: bool) -> (Region, Vec<Service>) {
        let name: Arc<str> = self.region.as_str().into();
        let status_service =
            self.services.iter().any(|s| s.kind == ServiceKind::SealStatus && s.history.last().is_some_and(is_grant));
        let region = Region { name: Arc::clone(&name), next_update: Some(self.next_update), status_service, accepted };
        let mut services = Vec::new();
        for service in &self.services {
            let Some(purpose) = service.kind.purpose() else { continue };
            for certificate in &service.certificates {
                let granted = if accepted { service.granted() } else { Vec::new() };
                services.push(Service::new(purpose, Arc::clone(certificate), Some(Arc::clone(&name)), granted));
            }
        }
        (region, services)
    }
}

fn is_grant(change: &StatusChange) -> bool {
    change.status == ServiceStatus::Granted
}

/// A list in its envelope, the signature good.
#[derive(Clone, Debug)]
pub struct SignedTrustList {
    envelope: Envelope,
    list: TrustList,
}

impl SignedTrustList {
    /// Reads a signed list. Whether its signer is the region's is [`Accepted::judge`]'s question, or a person's.
    pub fn parse(bytes: &[u8]) -> Result<Self, SignedError> {
        let envelope = Envelope::parse(DocumentKind::TrustList, bytes, MAX_LIST)?;
        let list = TrustList::parse(envelope.content())?;
        envelope.check_signer(list.issued)?;
        Ok(Self { envelope, list })
    }

    /// What it says.
    pub fn list(&self) -> &TrustList {
        &self.list
    }

    /// Who signed it.
    pub fn signer(&self) -> &Arc<Certificate> {
        self.envelope.signer()
    }

    /// The whole, as received.
    pub fn raw(&self) -> &[u8] {
        self.envelope.raw()
    }

    /// What is remembered once this list is accepted.
    pub fn accepted(&self) -> Accepted {
        Accepted {
            region: self.list.region.clone(),
            sequence: self.list.sequence,
            content: sm3(self.envelope.content()),
            signers: self.list.signers.iter().map(|c| *c.sha256()).collect(),
        }
    }
}

/// What is remembered of a region's last accepted list: its number, what it said, and who may sign the next.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Accepted {
    /// The region.
    pub region: String,
    /// Number of the list.
    pub sequence: u64,
    /// SM3 of the list without its envelope.
    pub content: Sm3Digest,
    /// SHA-256 of the certificates that may sign the next list.
    pub signers: Vec<[u8; 32]>,
}

/// What a list is to one that was accepted before.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Succession {
    /// The next.
    Newer,
    /// The same.
    Same,
}

/// Why a list does not take the place of the accepted one. The accepted one stays.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ListRefusal {
    /// Two lists with one number: somebody holds the key who should not, or the region made a mistake.
    #[error("list {0} is here already and says something else")]
    Disagrees(u64),
    /// Issued later than now.
    #[error("the list says it was issued at {0}, which is in the future")]
    FromTheFuture(Timestamp),
    /// Another region's.
    #[error("the list is of region {found}, not {expected}")]
    OtherRegion {
        /// Of which region it had to be.
        expected: String,
        /// Of which it is.
        found: String,
    },
    /// An older one than the accepted one.
    #[error("the list has number {found}, and number {accepted} is here already")]
    Rollback {
        /// The accepted one's number.
        accepted: u64,
        /// Its own.
        found: u64,
    },
    /// Signed by somebody whom the accepted list does not name.
    #[error("the list is signed with the certificate {0}, which the accepted list does not name")]
    WrongSigner(String),
}

impl Accepted {
    /// Whether `new` may take the place of the list that this remembers.
    pub fn judge(&self, new: &SignedTrustList, now: Timestamp) -> Result<Succession, ListRefusal> {
        let list = new.list();
        if list.region != self.region {
            return Err(ListRefusal::OtherRegion { expected: self.region.clone(), found: list.region.clone() });
        }
        let is_same = list.sequence == self.sequence && sm3(new.envelope.content()) == self.content;
        if is_same {
            return Ok(Succession::Same);
        }
        if !self.signers.contains(new.signer().sha256()) {
            return Err(ListRefusal::WrongSigner(new.signer().sha256_hex()));
        }
        match list.sequence.cmp(&self.sequence) {
            std::cmp::Ordering::Less => Err(ListRefusal::Rollback { accepted: self.sequence, found: list.sequence }),
            std::cmp::Ordering::Equal => Err(ListRefusal::Disagrees(list.sequence)),
            std::cmp::Ordering::Greater => Self::judge_time(list, now).map(|()| Succession::Newer),
        }
    }

    /// Refuses a list of the future, as the first one too: its number would shut out all that come in between.
    pub fn judge_time(list: &TrustList, now: Timestamp) -> Result<(), ListRefusal> {
        if list.issued > now + MAX_AHEAD { Err(ListRefusal::FromTheFuture(list.issued)) } else { Ok(()) }
    }
}

fn list<T>(items: &[T], item_der: impl Fn(&T) -> Vec<u8>) -> Vec<u8> {
    der(SEQUENCE, &items.iter().map(item_der).collect::<Vec<_>>().concat())
}

fn many<'a, T>(
    fields: &mut Reader<'a>,
    what: &'static str,
    limit: usize,
    read: impl Fn(Tlv<'a>) -> Result<T, SignedError>,
) -> Result<Vec<T>, SignedError> {
    let mut elements = fields.next(SEQUENCE)?.elements();
    let mut out = Vec::new();
    while !elements.is_empty() {
        if out.len() == limit {
            return Err(SignedError::Limit { what, limit });
        }
        out.push(read(elements.any()?)?);
    }
    Ok(out)
}

/// ENUMERATED, as the place in `all`.
pub(super) fn enumerated<T: Copy>(tlv: Tlv<'_>, all: &[T]) -> Result<T, SignedError> {
    match tlv.expect(ENUMERATED)?.value {
        [n] => all.get(usize::from(*n)).copied().ok_or(SignedError::Structure(Asn1Error::Value(ENUMERATED))),
        _ => Err(Asn1Error::Value(ENUMERATED).into()),
    }
}

/// ENUMERATED from the place in `all`.
pub(super) fn enumerated_der<T: PartialEq>(value: &T, all: &[T]) -> Vec<u8> {
    let place = all.iter().position(|known| known == value).unwrap_or_default();
    der(ENUMERATED, &[place as u8])
}

fn certificate(tlv: Tlv<'_>) -> Result<Arc<Certificate>, SignedError> {
    Ok(Arc::new(Certificate::parse(tlv.raw)?))
}

fn location(tlv: Tlv<'_>) -> Result<Location, SignedError> {
    let mut fields = tlv.expect(SEQUENCE)?.elements();
    let kind = enumerated(fields.any()?, &USES)?;
    let url = fields.next(IA5_STRING)?.value;
    let private = fields.next(BOOLEAN)?.boolean()?;
    fields.end()?;
    let is_address = url.len() <= MAX_URL && url.starts_with(b"http://") && url.iter().all(u8::is_ascii_graphic);
    if !is_address {
        return Err(SignedError::Value("an address that is not http://…"));
    }
    Ok(Location { kind, url: String::from_utf8_lossy(url).into_owned(), private })
}

fn location_der(location: &Location) -> Vec<u8> {
    let private = if location.private { 0xff } else { 0 };
    let use_der = enumerated_der(&location.kind, &USES);
    sequence(&[&use_der, &der(IA5_STRING, location.url.as_bytes()), &der(BOOLEAN, &[private])])
}

fn service(tlv: Tlv<'_>) -> Result<ListedService, SignedError> {
    let mut fields = tlv.expect(SEQUENCE)?.elements();
    let kind = enumerated(fields.any()?, &KINDS)?;
    let mut provider = fields.next(SEQUENCE)?.elements();
    let provider_fields = Provider { uscc: signed::text(provider.any()?)?, name: signed::text(provider.any()?)? };
    provider.end()?;
    let out = ListedService {
        kind,
        provider: provider_fields,
        certificates: many(&mut fields, "certificates of a service", MAX_CERTIFICATES, certificate)?,
        history: many(&mut fields, "changes of a service", MAX_HISTORY, change)?,
        locations: many(&mut fields, "locations", MAX_LOCATIONS, location)?,
        note: signed::text(fields.any()?)?,
    };
    fields.end()?;
    Ok(out)
}

fn service_der(service: &ListedService) -> Vec<u8> {
    sequence(&[
        &enumerated_der(&service.kind, &KINDS),
        &sequence(&[&signed::text_der(&service.provider.uscc), &signed::text_der(&service.provider.name)]),
        &list(&service.certificates, |certificate| certificate.der().to_vec()),
        &list(&service.history, |change| sequence(&[&signed::time_der(change.from), &enumerated_der(&change.status, &STATUSES)])),
        &list(&service.locations, location_der),
        &signed::text_der(&service.note),
    ])
}

const STATUSES: [ServiceStatus; 2] = [ServiceStatus::Granted, ServiceStatus::Withdrawn];

fn change(tlv: Tlv<'_>) -> Result<StatusChange, SignedError> {
    let mut fields = tlv.expect(SEQUENCE)?.elements();
    let change = StatusChange { from: signed::time(fields.any()?)?, status: enumerated(fields.any()?, &STATUSES)? };
    fields.end()?;
    Ok(change)
}

fn pointer(tlv: Tlv<'_>) -> Result<Pointer, SignedError> {
    let mut fields = tlv.expect(SEQUENCE)?.elements();
    let digest = |tlv: Tlv<'_>| -> Result<[u8; 32], SignedError> {
        tlv.octet_string()?.try_into().map_err(|_| SignedError::Structure(Asn1Error::Value(OCTET_STRING)))
    };
    let out = Pointer {
        region: signed::region(fields.any()?)?,
        name: signed::text(fields.any()?)?,
        location: location(fields.any()?)?,
        signers: many(&mut fields, "signers of a pointer", MAX_SIGNERS, digest)?,
    };
    fields.end()?;
    Ok(out)
}

fn pointer_der(pointer: &Pointer) -> Vec<u8> {
    sequence(&[
        &signed::text_der(&pointer.region),
        &signed::text_der(&pointer.name),
        &location_der(&pointer.location),
        &list(&pointer.signers, |digest| der(OCTET_STRING, digest)),
    ])
}
