//! Taking files in: lists, seal status, answers, licences, revocation data, each by its own signature.

use std::fs;
use std::path::Path;

use jiff::Timestamp;

use super::{Introduction, KnownRegion, MAX_FILES, MAX_REVOCATION, RegionError, Regions, State, Taken, at, read_file, write};
use crate::files::make_private_dir;
use crate::pki::certificate::hex;
use crate::pki::licence::Licence;
use crate::pki::seal_status::{StatusAnswer, status_list};
use crate::pki::signed::{DocumentKind, SignedError, kind_of};
use crate::pki::trust_list::{Accepted, SignedTrustList, Succession};
use crate::pki::{Crl, OcspResponse};
use crate::sm::sm3;

/// What is to be done with a list.
enum Decision {
    /// Done.
    Taken(Taken),
    /// A person decides, over this state.
    Ask(Option<State>),
}

impl Regions {
    /// Takes a file of any kind that regions sign. `ask` is asked before a region is accepted that policy does not name.
    pub fn take(&self, bytes: &[u8], now: Timestamp, ask: &mut dyn FnMut(&Introduction) -> bool) -> Result<Taken, RegionError> {
        make_private_dir(&self.folder).map_err(at(&self.folder))?;
        let taken = self.take_kind(bytes, now, ask)?;
        if !matches!(taken, Taken::Unchanged(_)) {
            self.changed()?;
        }
        Ok(taken)
    }

    fn take_kind(&self, bytes: &[u8], now: Timestamp, ask: &mut dyn FnMut(&Introduction) -> bool) -> Result<Taken, RegionError> {
        match kind_of(bytes) {
            Some(DocumentKind::TrustList) => self.take_list(bytes, now, ask),
            Some(DocumentKind::StatusList) => self.claimed(|region| self.take_status(region, bytes)),
            Some(DocumentKind::StatusAnswer) => self.claimed(|region| {
                let list = region.list.list();
                let answer = StatusAnswer::read(list, None, bytes)?;
                let is_newer = |here: &[u8]| StatusAnswer::read(list, None, here).is_ok_and(|here| here.as_of > answer.as_of);
                // Editions of one seal have answers of their own.
                let edition = answer.query.seal_sm3.map_or(String::new(), |sm3| hex(&sm3.0));
                let about = format!("{} {edition}", answer.query.es_id);
                self.keep(
                    region,
                    "answers",
                    &about,
                    bytes,
                    is_newer,
                    Taken::Answer(answer.region.clone(), answer.query.es_id.clone()),
                )
            }),
            Some(DocumentKind::Licence) => self.claimed(|region| {
                let licence = Licence::read(region.list.list(), bytes)?;
                let is_newer = |here: &[u8]| Licence::read(region.list.list(), here).is_ok_and(|here| here.as_of > licence.as_of);
                let taken = Taken::Licence(licence.region.clone(), licence.uscc.clone());
                self.keep(region, "licences", &licence.uscc, bytes, is_newer, taken)
            }),
            None => self.take_revocation(bytes),
        }
    }

    fn take_list(&self, bytes: &[u8], now: Timestamp, ask: &mut dyn FnMut(&Introduction) -> bool) -> Result<Taken, RegionError> {
        let list = SignedTrustList::parse(bytes)?;
        let mut agreed = None;
        loop {
            let before = match self.decide(&list, agreed.as_ref(), now)? {
                Decision::Taken(taken) => return Ok(taken),
                Decision::Ask(before) => before,
            };
            // Not under the lock: a person may take minutes, and other programs go on meanwhile. What they change is seen above.
            let introduction =
                Introduction { named_by: self.named_by(&list), removed_before: before.is_some(), list: list.clone() };
            if !ask(&introduction) {
                return Err(RegionError::Declined);
            }
            agreed = Some(before);
        }
    }

    /// Takes a list if it may be: it follows the accepted one, policy names it, or a person agreed while things were as they are now.
    fn decide(&self, list: &SignedTrustList, agreed: Option<&Option<State>>, now: Timestamp) -> Result<Decision, RegionError> {
        let region = list.list().region.clone();
        let _lock = self.lock()?;
        let before = self.state(&region)?;
        if let Some(state) = &before {
            let remembered = state.remembered().ok_or_else(|| RegionError::Unknown(region.clone()))?;
            match (remembered.judge(list, now)?, state.accepted) {
                (Succession::Same, true) => return Ok(Decision::Taken(Taken::Unchanged(region))),
                (Succession::Newer, true) => {
                    self.write(list, true, now)?;
                    let _ = fs::remove_file(self.list_path(&region, state.sequence));
                    return Ok(Decision::Taken(Taken::Updated(region, list.list().sequence)));
                }
                (_, false) => {}
            }
        }
        Accepted::judge_time(list.list(), now)?;
        if !self.presets.judge(list)? && agreed != Some(&before) {
            return Ok(Decision::Ask(before));
        }
        self.write(list, true, now)?;
        Ok(Decision::Taken(Taken::Accepted(region)))
    }

    /// What accepted lists say of the region of `list`.
    fn named_by(&self, list: &SignedTrustList) -> Vec<(String, bool)> {
        let pointers = self.accepted().flat_map(|region| {
            let from = region.list.list().region.clone();
            region.list.list().regions.clone().into_iter().map(move |pointer| (from.clone(), pointer))
        });
        pointers
            .filter(|(_, pointer)| pointer.region == list.list().region)
            .map(|(from, pointer)| (from, pointer.signers.contains(list.signer().sha256())))
            .collect()
    }

    /// Offers a document to each accepted region until one is its speaker's.
    fn claimed(&self, take: impl Fn(&KnownRegion) -> Result<Taken, RegionError>) -> Result<Taken, RegionError> {
        for region in self.accepted() {
            match take(&region) {
                Err(RegionError::Signed(SignedError::OtherRegion(_))) => {}
                result => return result,
            }
        }
        Err(RegionError::Unclaimed)
    }

    fn take_status(&self, region: &KnownRegion, bytes: &[u8]) -> Result<Taken, RegionError> {
        let new = status_list(region.list.list(), bytes)?;
        let head = new.head();
        let _lock = self.lock()?;
        let (full, changes) = self.status_parts(region);
        let file = if head.base.is_some() { "changes.p7b" } else { "status.p7b" };
        let here = if head.base.is_some() { changes } else { full };
        if let Some(here) = here.filter(|here| here.head().number > head.number) {
            return Err(RegionError::OldStatus { have: here.head().number, found: head.number });
        }
        let path = self.folder.join(&head.region).join(file);
        if is_same(&path, bytes) {
            return Ok(Taken::Unchanged(head.region.clone()));
        }
        write(&path, bytes)?;
        Ok(Taken::Status(head.region.clone(), head.number))
    }

    /// Revocation lists and answers that are signed for a CA of an accepted region; nothing is kept unverified.
    fn take_revocation(&self, bytes: &[u8]) -> Result<Taken, RegionError> {
        let decoded = crate::pki::trust::decode(bytes).map_err(|_| RegionError::NotKnown)?;
        let [der] = decoded.as_slice() else { return Err(RegionError::NotKnown) };
        let (crl, response) = (Crl::parse(der).ok(), OcspResponse::parse(der).ok());
        if crl.is_none() && response.is_none() {
            return Err(RegionError::NotKnown);
        }
        for region in self.accepted() {
            let mut certificates = region.list.list().services.iter().flat_map(|s| &s.certificates);
            let taken = Taken::Revocation(region.list.list().region.clone());
            if let Some(crl) = &crl
                && let Some(issuer) = certificates.clone().find(|c| c.subject().matches(crl.issuer()) && crl.verify(c).is_ok())
            {
                // One file for each key and kind of list: a newer list takes the place of the older, and never the other way round.
                let about = format!("{} {:?}", issuer.sha256_hex(), crl.scope);
                let is_newer = |here: &[u8]| Crl::parse(here).is_ok_and(|here| here.this_update() > crl.this_update());
                return self.keep(&region, "crls", &about, der, is_newer, taken);
            }
            if let Some(response) = &response
                && let Some(issuer) = response.issuer_among(&mut certificates)
            {
                // One file for each certificate, or set of them, that was asked about.
                let serials: Vec<String> = response.serials().map(hex).collect();
                let about = format!("{} {}", issuer.sha256_hex(), serials.join(" "));
                let is_newer =
                    |here: &[u8]| OcspResponse::parse(here).is_ok_and(|here| here.produced_at() > response.produced_at());
                return self.keep(&region, "ocsp", &about, der, is_newer, taken);
            }
        }
        Err(RegionError::Unclaimed)
    }

    /// Keeps a file under a name that is made of what it is about, unless what is there `is_newer`: an old list that comes again must not
    /// bring back what a newer one took. Gives `taken`, or that nothing changed.
    fn keep(
        &self,
        region: &KnownRegion,
        kind: &str,
        about: &str,
        bytes: &[u8],
        is_newer: impl Fn(&[u8]) -> bool,
        taken: Taken,
    ) -> Result<Taken, RegionError> {
        let region = &region.list.list().region;
        let folder = self.folder.join(region).join(kind);
        make_private_dir(&folder).map_err(at(&folder))?;
        let _lock = self.lock()?;
        let path = folder.join(hex(&sm3(about.as_bytes()).0[..16]));
        if is_same(&path, bytes) {
            return Ok(Taken::Unchanged(region.clone()));
        }
        match read_file(&path, MAX_REVOCATION) {
            Ok(here) if is_newer(&here) => return Err(RegionError::Older),
            Ok(_) => {}
            Err(_) => make_room(&folder),
        }
        write(&path, bytes)?;
        Ok(taken)
    }
}

/// Whether a file holds exactly this. A file is compared before it is written: what is fetched again and again is mostly what is here.
fn is_same(path: &Path, bytes: &[u8]) -> bool {
    fs::metadata(path).is_ok_and(|here| here.len() == bytes.len() as u64) && fs::read(path).is_ok_and(|here| here == bytes)
}

/// Removes the oldest file of a folder that has as many as are read; the one that comes would else be beyond them.
fn make_room(folder: &Path) {
    let entries: Vec<_> = fs::read_dir(folder).into_iter().flatten().flatten().collect();
    if entries.len() < MAX_FILES {
        return;
    }
    let oldest = entries.iter().min_by_key(|entry| entry.metadata().and_then(|metadata| metadata.modified()).ok());
    if let Some(oldest) = oldest {
        let _ = fs::remove_file(oldest.path());
    }
}
