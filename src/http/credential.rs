//! What a paired page proves with each call, and what the agent proves to it. Both hold the key of the pairing; nothing that crosses
//! the wire can be used a second time.
//!
//! ```text
//! Authorization: SealAgent id=<pairing>, n=<number>, mac=<64 hexadecimal digits>
//! mac   = HMAC-SHA-256(key, "SealAgent-request-1" LF run LF method LF path?query LF n LF hex(SHA-256(JSON body)) or nothing)
//! proof = HMAC-SHA-256(key, "SealAgent-info-1" LF challenge LF port LF run)
//! ```
//!
//! `run` differs each time the agent starts, so a call that was seen before cannot be played to it afterwards, and no number need be
//! kept on the disk. Numbers grow; since calls overtake each other, a few that come late are still taken, each once.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use hmac::{Hmac, KeyInit as _, Mac as _};
use hyper::header;
use hyper::http::request::Parts;
use sha2::{Digest as _, Sha256};

use crate::consent::Origin;
use crate::consent::grants::{Grant, Grants, Key};
use crate::failure::{Code, Failure};
use crate::pki::certificate::hex;
use crate::server::one;
use crate::signing::{RequestId, Signer};

/// How many numbers back a call may come late. A browser has six connections to us.
const LATE: usize = 128;
/// Pairings whose numbers are kept. Only calls with a right MAC get here, so each is one that a person granted.
const MAX_KEPT: usize = 4096;
/// Longest challenge, in bytes.
const MAX_CHALLENGE: usize = 128;

/// The pairings that were granted, and the numbers that were used in this run.
pub struct Credentials {
    grants: Grants,
    run: String,
    seen: Mutex<HashMap<String, Numbers>>,
    clock: crate::signing::pipeline::Clock,
}

/// The claim of a call to come from a paired page, not yet proved.
pub struct Claim {
    grant: Grant,
    number: u64,
    mac: [u8; 32],
}

impl Claim {
    /// The pairing that is claimed.
    pub fn id(&self) -> &str {
        &self.grant.id
    }
}

/// What the agent says of itself to a paired page.
pub struct Proof {
    /// Marks this run of the agent.
    pub run: String,
    /// Over challenge, port and run, in hexadecimal digits.
    pub proof: String,
    /// The highest number seen in this run.
    pub seen: u64,
}

impl Credentials {
    /// The grants of this user, in a new run.
    pub fn new(signer: &Arc<Signer>) -> Self {
        let now = (signer.clock)();
        // Not secret, only never the same; the time is, too.
        let run = RequestId::random().map_or_else(|_| now.to_string(), |id| id.as_str().to_owned());
        let grants = Grants::new(signer.config.places.pairings());
        grants.sweep(now, &run);
        Self { grants, run, seen: Mutex::default(), clock: signer.clock.clone() }
    }

    /// The folder.
    pub fn grants(&self) -> &Grants {
        &self.grants
    }

    /// Marks this run of the agent.
    pub fn run(&self) -> &str {
        &self.run
    }

    /// Whether a pairing that was proved before still counts.
    pub fn is_granted(&self, id: &str, origin: &Origin) -> bool {
        self.grants.find(id, origin, (self.clock)(), &self.run).is_some()
    }

    /// Reads who a call claims to be; refused before its body is read when there is no such pairing.
    pub fn claim(&self, head: &Parts, origin: &Origin) -> Result<Claim, Failure> {
        let text = one(&head.headers, header::AUTHORIZATION).ok_or(Code::NotPaired)?;
        let (id, number, mac) = parse(text).ok_or(Code::NotPaired)?;
        let grant = self.grants.find(id, origin, (self.clock)(), &self.run).ok_or(Code::NotPaired)?;
        Ok(Claim { grant, number, mac })
    }

    /// Proves a claim for one call; `json` is its body when that is JSON. Uses the number up.
    pub fn prove(&self, claim: Claim, head: &Parts, json: Option<&[u8]>) -> Result<(), Failure> {
        let path = head.uri.path_and_query().map_or("", |path| path.as_str());
        let digest = json.map(|json| hex(&Sha256::digest(json))).unwrap_or_default();
        let number = claim.number.to_string();
        let lines = ["SealAgent-request-1", &self.run, head.method.as_str(), path, &number, &digest];
        mac(&claim.grant.key, &lines).verify_slice(&claim.mac).map_err(|_| Code::NotPaired)?;
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.len() >= MAX_KEPT && !seen.contains_key(&claim.grant.id) {
            return Err(Code::TooManyRequests.into());
        }
        if seen.entry(claim.grant.id).or_default().take(claim.number) { Ok(()) } else { Err(Code::NotPaired.into()) }
    }

    /// The agent's answer to a page that holds a pairing's id; `None` when the pairing is not known (any more).
    pub fn introduce(&self, origin: &Origin, id: &str, challenge: &str, port: u16) -> Option<Proof> {
        let is_plain =
            !challenge.is_empty() && challenge.len() <= MAX_CHALLENGE && challenge.bytes().all(|b| b.is_ascii_alphanumeric());
        if !is_plain {
            return None;
        }
        let grant = self.grants.find(id, origin, (self.clock)(), &self.run)?;
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner).get(id).map_or(0, Numbers::highest);
        let lines = ["SealAgent-info-1", challenge, &port.to_string(), &self.run];
        let proof = hex(&mac(&grant.key, &lines).finalize().into_bytes());
        Some(Proof { run: self.run.clone(), proof, seen })
    }
}

/// `SealAgent id=…, n=…, mac=…`, exactly so: pairing, number and MAC.
pub fn parse(text: &str) -> Option<(&str, u64, [u8; 32])> {
    let (id, rest) = text.strip_prefix("SealAgent id=")?.split_once(", n=")?;
    let (number, digits) = rest.split_once(", mac=")?;
    if !number.bytes().all(|b| b.is_ascii_digit()) || digits.len() != 64 {
        return None;
    }
    let mut mac = [0; 32];
    for (byte, pair) in mac.iter_mut().zip(digits.as_bytes().chunks_exact(2)) {
        let digit = |b: u8| char::from(b).to_digit(16);
        *byte = (digit(pair[0])? << 4 | digit(pair[1])?) as u8;
    }
    Some((id, number.parse().ok()?, mac))
}

fn mac(key: &Key, lines: &[&str]) -> Hmac<Sha256> {
    #[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
    let mut mac = Hmac::<Sha256>::new_from_slice(key.expose()).expect("a key of any length");
    mac.update(lines.join("\n").as_bytes());
    mac
}

/// The numbers of one pairing: the latest ones, and the bound below which all count as used.
#[derive(Debug, Default)]
struct Numbers {
    floor: u64,
    latest: BTreeSet<u64>,
}

impl Numbers {
    /// Uses a number up; whether it was fresh.
    fn take(&mut self, number: u64) -> bool {
        if number <= self.floor || !self.latest.insert(number) {
            return false;
        }
        if self.latest.len() > LATE
            && let Some(lowest) = self.latest.pop_first()
        {
            self.floor = lowest;
        }
        true
    }

    fn highest(&self) -> u64 {
        self.latest.last().copied().unwrap_or(self.floor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_counts_once_also_when_it_comes_late() {
        let mut numbers = Numbers::default();
        assert!(!numbers.take(0));
        assert!(numbers.take(10) && numbers.take(12) && numbers.take(11));
        for used in [10, 11, 12] {
            assert!(!numbers.take(used), "{used}");
        }
        for number in 100..100 + LATE as u64 {
            assert!(numbers.take(number));
        }
        assert!(!numbers.take(9), "too late");
        assert_eq!((numbers.highest(), numbers.latest.len()), (99 + LATE as u64, LATE));
    }

    #[test]
    fn credentials_have_one_form() {
        let id = "ab".repeat(16);
        let mac = "0f".repeat(32);
        assert_eq!(parse(&format!("SealAgent id={id}, n=7, mac={mac}")), Some((id.as_str(), 7, [0x0f; 32])));
        for other in [
            String::new(),
            format!("Bearer {id}"),
            format!("SealAgent id={id},n=7,mac={mac}"),
            format!("SealAgent id={id}, n=-7, mac={mac}"),
            format!("SealAgent id={id}, n=+7, mac={mac}"),
            format!("SealAgent id={id}, n=, mac={mac}"),
            format!("SealAgent id={id}, n=99999999999999999999, mac={mac}"),
            format!("SealAgent id={id}, n=7, mac={}", &mac[2..]),
            format!("SealAgent id={id}, n=7, mac={}zz", &mac[2..]),
            format!("SealAgent id={id}, n=7, mac={mac}, n=8"),
        ] {
            assert_eq!(parse(&other), None, "{other}");
        }
    }
}
