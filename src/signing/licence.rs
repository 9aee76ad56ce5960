//! The business licence as proof of the subject, before the person is asked: what the registry of the signer's region says must agree with
//! the certificate and the seal.

use jiff::Timestamp;

use crate::consent::summary::Shown;
use crate::consent::text::date;
use crate::failure::{Code, Failure};
use crate::pki::licence::LicenceState;
use crate::pki::subject::subject_codes;
use crate::pki::trust::TrustStore;
use crate::pki::{PathFinder, PathOutcome, Purpose};
use crate::seals::Holder;
use crate::ses::Seal;

/// What the person is shown of a statement that agrees. One that disagrees is refused, whether it was required or not.
pub(super) fn check(
    required: bool,
    seal: &Seal,
    holder: &Holder,
    trust: &TrustStore,
    now: Timestamp,
) -> Result<Option<Shown>, Failure> {
    let region = match PathFinder::new(trust).find(&holder.certificate, Purpose::Signer, now) {
        PathOutcome::Trusted(path) => path.region,
        _ => None,
    };
    let codes = subject_codes(&holder.certificate);
    let licence = codes.iter().find_map(|code| trust.licence(region.as_deref(), &code.uscc));
    let Some(licence) = licence.filter(|licence| licence.is_fresh(now) || !licence.state.may_act()) else {
        return match required {
            true => Err(Failure::new(Code::LicenceMismatch, "no statement of the registry that is of now")),
            false => Ok(None),
        };
    };
    licence
        .check(&holder.certificate, Some(&seal.property().name), now)
        .map_err(|fault| Failure::new(Code::LicenceMismatch, fault.to_string()))?;
    let state = match licence.state {
        LicenceState::Abnormal => "经营异常",
        _ => "存续",
    };
    let parts = [licence.name.as_str(), &licence.representative, state, &date(licence.as_of)];
    Ok(Some(Shown::new(&parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" · "))))
}
