//! What the given CRLs and OCSP responses say about one certificate.
//!
//! Evidence has to be about the right time. Lists may drop a certificate once it has expired, so a list made after that proves
//! nothing about it, unless it says that it keeps expired ones: otherwise a key that was stolen, revoked and then forgotten would
//! sign again, under any date it likes.

use jiff::Timestamp;

use super::certificate::Certificate;
use super::crl::{Crl, Revoked};
use super::enclosed::Enclosed;
use super::ocsp::CertStatus;
use super::trust::{CLOCK_SKEW, TrustStore};

/// What is known about a certificate's revocation.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Revocation {
    /// Not revoked, by data that counts.
    Good,
    /// Revoked, by data with a good signature; a revocation is final, so stale data can say it too.
    Revoked(Revoked),
    /// Nothing says so or otherwise.
    Unknown(WhyUnknown),
}

/// Why nothing is known. Ordered: the later one is nearer to an answer and is the one to tell.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum WhyUnknown {
    /// No list or response about this certificate was given, or none with a good signature.
    NoData,
    /// A list or response made after the certificate expired, silent about expired ones.
    AfterExpiry,
    /// A list or response past its next update.
    Stale {
        /// That next update, or the list's date when it names none.
        since: Timestamp,
    },
}

/// The moment a verdict is about, for choosing evidence.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// When the certificate was used, as far as is known.
    pub used: Timestamp,
    /// Whether a verified time stamp proves `used`.
    pub proven: bool,
    /// Now.
    pub now: Timestamp,
}

/// Looks `certificate` up in all that `store` has and the document brought, under its issuer's certificate.
pub fn check(
    store: &TrustStore,
    enclosed: &mut Enclosed,
    certificate: &Certificate,
    issuer: &Certificate,
    moment: Moment,
) -> Revocation {
    let mut why = WhyUnknown::NoData;
    let mut good = false;
    let mut revoked: Option<Revoked> = None;
    let mut weigh = |status: CertStatus, this_update, next_update: Option<Timestamp>, keeps_expired: bool| {
        // An answer that was just asked for carries the responder's clock.
        let begun = this_update <= moment.now + CLOCK_SKEW;
        let fresh = begun && next_update.is_some_and(|next| moment.now <= next);
        match status {
            // A hold may have been lifted since; only fresh data can say that it has not.
            CertStatus::Revoked(found) if fresh || !found.is_hold() => {
                if revoked.is_none_or(|known| found.at < known.at) {
                    revoked = Some(found);
                }
            }
            CertStatus::Good if !begun => {}
            CertStatus::Good => {
                let speaks = keeps_expired || this_update <= certificate.not_after();
                // Data from after a proven use needs no freshness: what happened later changes nothing about that use.
                let later_than_use = moment.proven && this_update >= moment.used;
                if speaks && (later_than_use || fresh) {
                    good = true;
                } else if fresh {
                    why = why.max(WhyUnknown::AfterExpiry);
                } else {
                    why = why.max(WhyUnknown::Stale { since: next_update.unwrap_or(this_update) });
                }
            }
            CertStatus::Revoked(_) | CertStatus::Unknown => {}
        }
    };
    for crl in store.crls_of(certificate, issuer).chain(enclosed.crls_of(certificate, issuer)) {
        let status = crl.find(certificate.serial()).map_or(CertStatus::Good, CertStatus::Revoked);
        weigh(status, crl.this_update(), crl.next_update(), keeps(crl, certificate));
    }
    for response in store.ocsp_responses() {
        if let Some(answer) = response.answer(certificate, issuer)
            && response.is_signed_for(issuer)
        {
            weigh(answer.status, answer.this_update, answer.next_update, false);
        }
    }
    for answer in enclosed.answers_about(certificate, issuer) {
        weigh(answer.status, answer.this_update, answer.next_update, false);
    }
    match revoked {
        Some(found) => Revocation::Revoked(found),
        None if good => Revocation::Good,
        None => Revocation::Unknown(why),
    }
}

fn keeps(crl: &Crl, certificate: &Certificate) -> bool {
    crl.expired_certificates_since().is_some_and(|since| since <= certificate.not_after())
}
