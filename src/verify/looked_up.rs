//! What a verdict looked up beyond the file: whose revocation, and which seals' status. Whoever can ask the regions' services does so, and
//! judges again; nothing here asks.

use std::sync::{Arc, Mutex, PoisonError};

use crate::pki::Certificate;
use crate::sm::Sm3Digest;

/// Certificates, and seals, that are remembered of one file. A contract has some four of each; a hostile file must not make anybody ask
/// thousands of questions.
const MAX: usize = 32;

/// Collects what is looked up while a file is judged.
#[derive(Debug, Default)]
pub struct LookedUp(Mutex<Lookups>);

/// What was looked up, each once, in the order in which it was.
#[derive(Clone, Debug, Default)]
pub struct Lookups {
    /// Certificates with their issuers, below anchors.
    pub certificates: Vec<(Arc<Certificate>, Arc<Certificate>)>,
    /// Seals.
    pub seals: Vec<SealLookup>,
}

/// A seal that a region vouches for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SealLookup {
    /// The region.
    pub region: String,
    /// Seal code.
    pub es_id: String,
    /// SM3 of the seal.
    pub sm3: Sm3Digest,
}

impl Lookups {
    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.certificates.is_empty() && self.seals.is_empty()
    }
}

impl LookedUp {
    /// What was collected.
    pub fn take(&self) -> Lookups {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn certificate(&self, certificate: &Arc<Certificate>, issuer: &Arc<Certificate>) {
        let mut lookups = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = &mut lookups.certificates;
        if known.len() < MAX && !known.iter().any(|(c, i)| c == certificate && i == issuer) {
            known.push((Arc::clone(certificate), Arc::clone(issuer)));
        }
    }

    pub(super) fn seal(&self, region: &str, es_id: &str, sm3: Sm3Digest) {
        let mut lookups = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let lookup = SealLookup { region: region.to_owned(), es_id: es_id.to_owned(), sm3 };
        if lookups.seals.len() < MAX && !lookups.seals.contains(&lookup) {
            lookups.seals.push(lookup);
        }
    }
}
