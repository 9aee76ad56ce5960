//! What a region publishes: its trust list, seal status, revocation lists, as files that any web server can carry; and what its services
//! answer.
//!
//! Readers fetch files, so that their number costs the authority nothing. A full status list is made once a week; in between only
//! the changes since it are made anew, however often. Which full list they belong to is read from the published file itself, so that
//! changes never belong to a list that is not there. A seal that was cancelled is refused everywhere once the last changes have grown
//! old: `fresh_for` is the region's promise.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use sealagent::pki::Certificate;
use sealagent::pki::licence::Licence;
use sealagent::pki::seal_status::{MAX_LIST, StatusAnswer, StatusHead, StatusList, StatusQuery};
use sealagent::pki::signed::{DocumentKind, Envelope};
use sealagent::pki::trust_list::{
    ListedService, Location, LocationUse, Pointer, Provider, ServiceKind, ServiceStatus, StatusChange, TrustList,
};

use crate::certificate::SerialNumber;
use crate::crl::RevocationReason;
use crate::identity::{Identity, IdentityError};
use crate::ocsp::{CertificateStatus, SingleResponse, issue_ocsp_response};
use crate::region::{
    Region, RegionError, Role, certificate_path, crl_path, io_at, key_path, read_certificate, read_file, sync_folder, turn,
    write_whole,
};
use crate::statement::{issue_licence, issue_status_answer, issue_status_list, issue_trust_list};
use crate::store::Counter;

/// The files that are published.
pub(crate) const FILES: [&str; 5] = ["trust-list.p7b", "status.p7b", "changes.p7b", "root.crl", "ca.crl"];
/// A trust list is replaced within this time, in days.
const LIST_DAYS: i64 = 30;
/// A full status list is made anew after this time, in days.
const FULL_STATUS_DAYS: i64 = 7;

/// Where what is published will be found, and how long it counts.
#[derive(Clone, Debug)]
pub struct Publication {
    /// `http://host/path` of the published folder, without a slash at the end; `None` when files are carried by hand.
    pub base_url: Option<String>,
    /// Whether the address is a private one.
    pub private: bool,
    /// How long seal status counts.
    pub fresh_for: SignedDuration,
    /// Other regions' lists.
    pub pointers: Vec<Pointer>,
}

impl Default for Publication {
    fn default() -> Self {
        Self { base_url: None, private: false, fresh_for: SignedDuration::from_hours(1), pointers: Vec::new() }
    }
}

impl Publication {
    fn location(&self, kind: LocationUse, file: &str) -> Vec<Location> {
        let place = |base: &String| Location { kind, url: format!("{base}/{file}"), private: self.private };
        self.base_url.iter().map(place).collect()
    }
}

impl Region {
    /// Makes the next trust list.
    pub fn trust_list(&self, publication: &Publication, now: Timestamp) -> Result<Vec<u8>, RegionError> {
        self.store.check_clock(now)?;
        let signer = self.identity(Role::List)?;
        let mut signers = vec![Arc::new(signer.certificate().clone())];
        if let Some(next) = self.next_list_certificate()? {
            signers.push(Arc::new(next));
        }
        let place = |kind, file| publication.location(kind, file);
        let list = TrustList {
            region: self.id().to_owned(),
            name: self.name().to_owned(),
            sequence: self.store.take_number(Counter::List)?,
            issued: now,
            next_update: now + SignedDuration::from_hours(24 * LIST_DAYS),
            signers,
            locations: place(LocationUse::TrustList, "trust-list.p7b"),
            services: vec![
                self.service(ServiceKind::RootCa, Role::Root, place(LocationUse::Crl, "root.crl"))?,
                self.service(
                    ServiceKind::IssuingCa,
                    Role::Ca,
                    [place(LocationUse::Crl, "ca.crl"), place(LocationUse::Ocsp, "ocsp")].concat(),
                )?,
                self.service(ServiceKind::SealMaker, Role::Maker, Vec::new())?,
                self.service(ServiceKind::TimeStamp, Role::TimeStamp, place(LocationUse::TimeStamp, "tsa"))?,
                self.service(
                    ServiceKind::SealStatus,
                    Role::Status,
                    [
                        place(LocationUse::StatusList, "status.p7b"),
                        place(LocationUse::StatusChanges, "changes.p7b"),
                        place(LocationUse::StatusQuery, "status"),
                    ]
                    .concat(),
                )?,
                self.service(ServiceKind::Registry, Role::Registry, Vec::new())?,
            ],
            regions: publication.pointers.clone(),
        };
        Ok(issue_trust_list(&signer, &list)?)
    }

    fn service(&self, kind: ServiceKind, role: Role, locations: Vec<Location>) -> Result<ListedService, RegionError> {
        let certificate = self.certificate(role)?;
        let mut history = vec![StatusChange { from: certificate.not_before(), status: ServiceStatus::Granted }];
        if let Ok(from) = self.store.text(&withdrawn_key(role))?.parse() {
            history.push(StatusChange { from, status: ServiceStatus::Withdrawn });
        }
        Ok(ListedService {
            kind,
            provider: Provider { uscc: String::new(), name: format!("{}电子印章试点", self.name()) },
            certificates: vec![Arc::new(certificate)],
            history,
            locations,
            note: String::new(),
        })
    }

    /// The certificate of a role, without its key.
    pub fn certificate(&self, role: Role) -> Result<Certificate, RegionError> {
        let der = read_certificate(&certificate_path(&self.folder, role))?;
        Ok(Certificate::parse(&der).map_err(IdentityError::from)?)
    }

    fn next_list_certificate(&self) -> Result<Option<Certificate>, RegionError> {
        if certificate_path(&self.folder, Role::NextList).is_file() {
            self.certificate(Role::NextList).map(Some)
        } else {
            Ok(None)
        }
    }

    /// Withdraws a service in the lists from now on. It cannot be granted again: that is a new key's matter.
    pub fn withdraw(&self, role: Role, now: Timestamp) -> Result<(), RegionError> {
        self.store.check_clock(now)?;
        let second = Timestamp::from_second(now.as_second()).unwrap_or(now);
        self.store.set_text_once(&withdrawn_key(role), &second.to_string())?;
        Ok(())
    }

    /// First half of a roll-over: makes the next list key. Lists are still signed with the old one and name both, until every reader
    /// has had such a list. It lies on the disk as the other keys do: one passphrase opens them all.
    pub fn announce_list_key(&self, now: Timestamp) -> Result<Certificate, RegionError> {
        if let Some(announced) = self.next_list_certificate()? {
            return Ok(announced);
        }
        self.make_identity(Role::NextList, now)?;
        self.certificate(Role::NextList)
    }

    /// Second half: lists are signed with the new key and name it alone.
    pub fn switch_list_key(&self) -> Result<Certificate, RegionError> {
        // Key first: a crash in between leaves a pair that does not fit and is refused when opened, and a second call mends it.
        for path in [key_path as fn(&Path, Role) -> std::path::PathBuf, certificate_path] {
            let (from, to) = (path(&self.folder, Role::NextList), path(&self.folder, Role::List));
            if from.is_file() {
                fs::rename(&from, &to).map_err(io_at(&from))?;
            }
            sync_folder(to.parent().unwrap_or(&self.folder))?;
        }
        self.certificate(Role::List)
    }

    /// Makes seal status: the changes since the full list that is `published`; and that list anew, when there is none that changes can
    /// be added to.
    pub fn status(
        &self,
        published: Option<&[u8]>,
        fresh_for: SignedDuration,
        now: Timestamp,
    ) -> Result<(Option<Vec<u8>>, Vec<u8>), RegionError> {
        self.store.check_clock(now)?;
        let signer = self.identity(Role::Status)?;
        let head = |number, base| StatusHead {
            region: self.id().to_owned(),
            number,
            base,
            this_update: now,
            next_update: now + fresh_for,
        };
        let (full, base) = match published.map(|bytes| self.base(bytes, &signer, now)).transpose()?.flatten() {
            Some(base) => (None, base),
            None => {
                let number = self.store.take_number(Counter::Status)?;
                (Some(issue_status_list(&signer, &head(number, None), &self.store.changed_seals(0)?)?), number)
            }
        };
        let number = self.store.take_number(Counter::Status)?;
        let changes = issue_status_list(&signer, &head(number, Some(base)), &self.store.changed_seals(base)?)?;
        Ok((full, changes))
    }

    /// The number of a published full list, if changes can be added to it: ours, not too old, and numbered as the store numbers, which a
    /// store that came from a backup might not.
    fn base(&self, published: &[u8], signer: &Identity, now: Timestamp) -> Result<Option<u64>, RegionError> {
        let Ok(envelope) = Envelope::parse(DocumentKind::StatusList, published, MAX_LIST) else { return Ok(None) };
        let Ok(list) = StatusList::parse(envelope.content()) else { return Ok(None) };
        let StatusHead { region, number, base, this_update, .. } = list.head();
        let is_ours = envelope.signer().der() == signer.der() && region == self.id() && base.is_none();
        let is_old = now.duration_since(*this_update) > SignedDuration::from_hours(24 * FULL_STATUS_DAYS);
        Ok((is_ours && !is_old && *number <= self.store.counter(Counter::Status)?).then_some(*number))
    }

    /// Writes everything into `out`, each file whole: a web server may carry the folder while this runs.
    pub fn publish(&mut self, out: &Path, publication: &Publication, now: Timestamp) -> Result<(), RegionError> {
        fs::create_dir_all(out).map_err(io_at(out))?;
        self.renew_due_crls(now)?;
        self.publish_status(out, publication.fresh_for, now)?;
        let _turn = turn(out)?;
        for role in [Role::Root, Role::Ca] {
            write_whole(&out.join(format!("{}.crl", role.as_str())), &read_file(&crl_path(&self.folder, role))?)?;
        }
        write_whole(&out.join("trust-list.p7b"), &self.trust_list(publication, now)?)?;
        readable(out)
    }

    /// Writes seal status alone: what has to be new every hour.
    pub fn publish_status(&self, out: &Path, fresh_for: SignedDuration, now: Timestamp) -> Result<(), RegionError> {
        let _turn = turn(out)?;
        let status = out.join("status.p7b");
        let published = if status.is_file() { Some(read_file(&status)?) } else { None };
        let (full, changes) = self.status(published.as_deref(), fresh_for, now)?;
        if let Some(full) = full {
            write_whole(&status, &full)?;
        }
        write_whole(&out.join("changes.p7b"), &changes)?;
        readable(out)
    }

    /// Answers a question about a seal. `signer` is the status service's identity, opened once.
    pub fn status_answer(
        &self,
        signer: &Identity,
        query: StatusQuery,
        fresh_for: SignedDuration,
        now: Timestamp,
    ) -> Result<Vec<u8>, RegionError> {
        let known = self.store.knows_seal(&query.es_id, query.seal_sm3.as_ref())?;
        let history = if known { self.store.history(&query.es_id)? } else { Default::default() };
        let region = self.id().to_owned();
        let answer = StatusAnswer { region, query, as_of: now, fresh_until: now + fresh_for, known, history };
        Ok(issue_status_answer(signer, &answer)?)
    }

    /// Answers an OCSP question about certificates of the CA.
    pub fn ocsp_answer(
        &self,
        responder: &Identity,
        serials: &[SerialNumber],
        nonce: Option<&[u8]>,
        fresh_for: SignedDuration,
        now: Timestamp,
    ) -> Result<Vec<u8>, RegionError> {
        let mut responses = Vec::new();
        for serial in serials {
            let text = serial.to_string();
            let status = match self.store.revocations(Some(&text))?.first() {
                Some(revocation) => CertificateStatus::Revoked {
                    at: revocation.at,
                    reason: revocation.reason.and_then(RevocationReason::from_number),
                },
                None if self.knows_certificate(serial)? => CertificateStatus::Good,
                None => CertificateStatus::Unknown,
            };
            responses.push(SingleResponse {
                serial: serial.clone(),
                status,
                this_update: now,
                next_update: Some(now + fresh_for),
            });
        }
        Ok(issue_ocsp_response(responder, self.ca().certificate(), &responses, now, nonce))
    }

    /// Signs what the registry says of a company.
    pub fn licence(&self, licence: Licence) -> Result<Vec<u8>, RegionError> {
        Ok(issue_licence(&self.identity(Role::Registry)?, &Licence { region: self.id().to_owned(), ..licence })?)
    }
}

fn withdrawn_key(role: Role) -> String {
    format!("withdrawn:{}", role.as_str())
}

/// Published files are for everybody; temporary files, of which they are made, are for their owner alone. What else lies there stays as
/// it is.
fn readable(out: &Path) -> Result<(), RegionError> {
    #[cfg(unix)]
    for path in FILES.map(|file| out.join(file)).iter().filter(|path| path.is_file()) {
        use std::os::unix::fs::PermissionsExt as _;
        fs::set_permissions(path, fs::Permissions::from_mode(0o644)).map_err(io_at(path))?;
    }
    let _ = out;
    Ok(())
}
