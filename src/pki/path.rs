//! Path building and checking (RFC 5280 clause 6, without policies and name constraints, which are refused when critical).
//!
//! Candidates are found by name and by key identifier; what makes one an issuer is its signature. A certificate that only bears a
//! trusted name never chains. Dates, usage and revocation of the first certificate are the caller's: they have codes of their own.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::certificate::Certificate;
use super::known::Known;
use super::trust::{Purpose, Service, TrustStore};

/// Longest path, the anchor included. Real ones have three or four certificates.
pub const MAX_PATH: usize = 8;
/// Most wrong signatures of certificates looked at for one document: a hostile file can carry many certificates of one name. Right ones
/// need no limit: each certificate of a document has one issuer.
const MAX_WRONG: u32 = 64;

/// A path to an anchor that satisfies every rule.
#[derive(Clone, Debug)]
pub struct Path {
    /// From the first certificate to the anchor; one certificate when it is trusted by itself.
    pub certificates: Vec<Arc<Certificate>>,
    /// The region whose list names the anchor.
    pub region: Option<Arc<str>>,
}

/// The rule of RFC 5280 clause 6.1 that a path to an anchor breaks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PathRule {
    /// A critical extension that nobody here understands.
    CriticalExtension,
    /// A CA outside its validity at that moment.
    Dates,
    /// An issuer whose keyUsage lacks keyCertSign.
    KeyUsage,
    /// An issuer that is no CA.
    NotCa,
    /// More CAs below than pathLenConstraint allows.
    PathLength,
    /// A self-signed anchor whose own signature is wrong (for one, made without Z).
    RootSignature,
    /// The signature of a certificate that names this issuer and its key.
    Signature,
}

/// What building a path came to.
#[derive(Clone, Debug)]
pub enum PathOutcome {
    /// It leads to an anchor.
    Trusted(Path),
    /// It leads to an anchor but breaks a rule.
    Broken {
        /// The rule.
        rule: PathRule,
        /// The certificate that breaks it.
        certificate: Arc<Certificate>,
    },
    /// No anchor: the last certificate reached, whose issuer is not known.
    NoAnchor {
        /// That certificate.
        last: Arc<Certificate>,
    },
}

/// Which services end a path.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Ends {
    /// Those for a purpose that count at the moment.
    For(Purpose),
    /// All, whatever for and whenever.
    Any,
}

/// Builds paths for the certificates of one document; remembers every signature that it checked.
pub struct PathFinder<'a> {
    store: &'a TrustStore,
    extra: Vec<Arc<Certificate>>,
    known: Option<&'a Known>,
    issued: HashMap<([u8; 32], [u8; 32]), bool>,
    wrong_left: u32,
}

impl<'a> PathFinder<'a> {
    /// A finder for one document.
    pub fn new(store: &'a TrustStore) -> Self {
        Self { store, extra: Vec::new(), known: None, issued: HashMap::new(), wrong_left: MAX_WRONG }
    }

    /// Looks signatures up in what other documents brought to light before it checks them.
    pub fn remember_with(&mut self, known: &'a Known) {
        self.known = Some(known);
    }

    /// The store.
    pub fn store(&self) -> &'a TrustStore {
        self.store
    }

    /// Adds a certificate that came with the document: a candidate, trusted for nothing.
    pub fn add(&mut self, certificate: Arc<Certificate>) {
        if !self.extra.contains(&certificate) {
            self.extra.push(certificate);
        }
    }

    /// A path for `leaf` to an anchor for `purpose`, all CAs judged at `at`.
    pub fn find(&mut self, leaf: &Arc<Certificate>, purpose: Purpose, at: Timestamp) -> PathOutcome {
        self.search(leaf, Ends::For(purpose), at)
    }

    /// A path for `leaf` to any service that the store knows, whatever for and whenever that counts.
    pub fn find_any(&mut self, leaf: &Arc<Certificate>, at: Timestamp) -> PathOutcome {
        self.search(leaf, Ends::Any, at)
    }

    fn search(&mut self, leaf: &Arc<Certificate>, ends: Ends, at: Timestamp) -> PathOutcome {
        let mut found = Found { broken: None, last: Arc::clone(leaf), longest: 0 };
        match self.extend(&mut vec![Arc::clone(leaf)], ends, at, &mut found) {
            Some(path) => PathOutcome::Trusted(path),
            None => match found.broken {
                Some((rule, certificate)) => PathOutcome::Broken { rule, certificate },
                None => PathOutcome::NoAnchor { last: found.last },
            },
        }
    }

    /// Depth first; the chain is at most [`MAX_PATH`] long, so that is the depth too.
    fn extend(&mut self, chain: &mut Vec<Arc<Certificate>>, ends: Ends, at: Timestamp, found: &mut Found) -> Option<Path> {
        let top = Arc::clone(chain.last()?);
        if let Ends::For(purpose) = ends {
            // A CA (or maker) that was taken back is not vouched for by the root above it.
            let as_ca = chain.len() > 1 && self.store.is_withdrawn(&top, Purpose::Signer, at);
            if as_ca || self.store.is_withdrawn(&top, purpose, at) {
                return None;
            }
        }
        for service in self.ends(&top, ends, at, chain.len()) {
            let verdict = if service.is_broken() { Err((PathRule::RootSignature, Arc::clone(&top))) } else { check(chain, at) };
            match verdict {
                Ok(()) => return Some(Path { certificates: chain.clone(), region: service.region.clone() }),
                Err(broken) => found.broken = found.broken.take().or(Some(broken)),
            }
        }
        if chain.len() > found.longest {
            found.longest = chain.len();
            found.last = Arc::clone(&top);
        }
        if chain.len() == MAX_PATH {
            return None;
        }
        for (candidate, by_key) in self.candidates(&top) {
            if chain.iter().any(|c| c.key() == candidate.key() && c.subject().matches(candidate.subject())) {
                continue; // a loop
            }
            if !self.is_issued_by(&top, &candidate) {
                // Named by name and key, and yet the signature is wrong: the certificate was changed, not just unknown.
                if by_key && self.store.services().iter().any(|s| s.certificate == candidate) {
                    found.broken = found.broken.take().or(Some((PathRule::Signature, Arc::clone(&top))));
                }
                continue;
            }
            chain.push(candidate);
            if let Some(path) = self.extend(chain, ends, at, found) {
                return Some(path);
            }
            chain.pop();
        }
        None
    }

    fn ends(&self, top: &Arc<Certificate>, ends: Ends, at: Timestamp, length: usize) -> Vec<&'a Service> {
        let store = self.store;
        store
            .services()
            .iter()
            .filter(|service| service.certificate == *top)
            .filter(|service| match ends {
                Ends::Any => true,
                Ends::For(purpose) => service.purpose == purpose && service.is_granted(at),
            })
            // Makers and time stamp authorities may be listed themselves; signers are trusted through a CA only.
            .filter(|service| length > 1 || service.purpose != Purpose::Signer)
            .collect()
    }

    /// Certificates whose subject is the issuer of `child`, those whose key identifier fits first, the store's before the
    /// document's; and whether the identifiers of both are there and equal.
    fn candidates(&self, child: &Certificate) -> Vec<(Arc<Certificate>, bool)> {
        let wanted = child.extensions().authority_key_id.as_deref();
        let mut all: Vec<_> = self
            .store
            .named(child.issuer())
            .chain(self.extra.iter().filter(|c| c.subject().matches(child.issuer())))
            .filter_map(|candidate| match (wanted, candidate.extensions().subject_key_id.as_deref()) {
                (Some(wanted), Some(id)) => (wanted == id).then(|| (Arc::clone(candidate), true)),
                _ => Some((Arc::clone(candidate), false)),
            })
            .collect();
        all.sort_by_key(|(_, by_key)| !by_key);
        all
    }

    fn is_issued_by(&mut self, child: &Certificate, issuer: &Certificate) -> bool {
        if let Some(known) = self.store.known_link(child, issuer) {
            return known;
        }
        let pair = (*child.sha256(), *issuer.sha256());
        if let Some(known) = self.issued.get(&pair) {
            return *known;
        }
        if self.wrong_left == 0 {
            return false;
        }
        let good = match self.known {
            Some(known) => known.is_issued_by(child, issuer),
            None => child.verify_issued_by(issuer).is_ok(),
        };
        // Known or not: what other documents held must not change how far this one is looked into.
        self.wrong_left -= u32::from(!good);
        self.issued.insert(pair, good);
        good
    }

    /// The certificate that signed `child`, if it is known: under whom revocation of a certificate trusted by itself is looked up.
    pub fn issuer_of(&mut self, child: &Certificate) -> Option<Arc<Certificate>> {
        self.candidates(child).into_iter().map(|(c, _)| c).find(|c| c != child && self.is_issued_by(child, c))
    }
}

impl PartialEq<Certificate> for Arc<Certificate> {
    fn eq(&self, other: &Certificate) -> bool {
        **self == *other
    }
}

struct Found {
    broken: Option<(PathRule, Arc<Certificate>)>,
    last: Arc<Certificate>,
    longest: usize,
}

/// The rules for a path whose signatures are good.
fn check(chain: &[Arc<Certificate>], at: Timestamp) -> Result<(), (PathRule, Arc<Certificate>)> {
    for (below, certificate) in chain.iter().enumerate() {
        let broken = |rule| Err((rule, Arc::clone(certificate)));
        let extensions = certificate.extensions();
        if !extensions.unknown_critical.is_empty() {
            return broken(PathRule::CriticalExtension);
        }
        if below == 0 {
            continue;
        }
        if !certificate.valid_at(at) {
            return broken(PathRule::Dates);
        }
        if !certificate.is_ca() {
            return broken(PathRule::NotCa);
        }
        if extensions.key_usage.is_some_and(|usage| !usage.signs_certificates()) {
            return broken(PathRule::KeyUsage);
        }
        let cas_below = chain[1..below].iter().filter(|c| !c.is_self_issued()).count() as u64;
        if extensions.basic_constraints.and_then(|b| b.path_len).is_some_and(|limit| cas_below > limit) {
            return broken(PathRule::PathLength);
        }
    }
    Ok(())
}
