//! Certificates of signers, seal makers and time stamp authorities: path, usage, dates, revocation, and whose they are.

use std::sync::Arc;

use jiff::Timestamp;

use super::catalogue::Arg;
use super::findings::Findings;
use super::reason::Reason;
use super::report::{Layer, LicenceSummary, Signer};
use super::time::SigningTime;
use super::verifier::Verifier;
use crate::pki::licence::{LicenceFault, LicenceState};
use crate::pki::path::{Path, PathOutcome, PathRule};
use crate::pki::revocation::{self, Moment, Revocation, WhyUnknown};
use crate::pki::subject::bare_name;
use crate::pki::{Certificate, Purpose, subject_codes};
use crate::ses::Seal;

/// In which part a certificate takes part.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Role {
    Maker,
    Signer,
    TimeStamp,
}

impl Role {
    fn purpose(self) -> Purpose {
        match self {
            Self::Maker => Purpose::SealMaker,
            Self::Signer => Purpose::Signer,
            Self::TimeStamp => Purpose::TimeStamp,
        }
    }

    fn layer(self) -> Layer {
        match self {
            Self::Maker => Layer::Seal,
            Self::Signer => Layer::Certificate,
            Self::TimeStamp => Layer::Time,
        }
    }

    fn no_anchor(self) -> Reason {
        match self {
            Self::Maker => Reason::MakerNoAnchor,
            Self::Signer => Reason::SignerNoAnchor,
            Self::TimeStamp => Reason::TimestampNoAnchor,
        }
    }

    fn broken(self) -> Reason {
        match self {
            Self::Maker => Reason::MakerPathBroken,
            Self::Signer => Reason::SignerPathBroken,
            Self::TimeStamp => Reason::TimestampPathBroken,
        }
    }
}

/// A path for `leaf`, its CAs judged at `at`. What is missing or wrong becomes a finding.
pub(super) fn path(
    verifier: &mut Verifier<'_>,
    findings: &mut Findings,
    role: Role,
    leaf: &Arc<Certificate>,
    at: Timestamp,
) -> Option<Path> {
    match verifier.paths.find(leaf, role.purpose(), at) {
        PathOutcome::Trusted(path) => {
            disagreement(verifier, findings, role, &path, at);
            Some(path)
        }
        PathOutcome::Broken { rule, certificate } => {
            let args = [("certificate", certificate.subject().into()), ("rule", Arg::Word(rule_word(rule)))];
            findings.about(leaf.subject(), role.broken(), &args);
            None
        }
        PathOutcome::NoAnchor { last } => no_anchor(verifier, findings, role, leaf, &last, at),
    }
}

/// No path that counts. Known to the store for something else, for another time, or by a region that was taken back: then it is not
/// unknown, and the finding says so. A maker without the right to make seals keeps its path, so that the rest is judged too.
fn no_anchor(
    verifier: &mut Verifier<'_>,
    findings: &mut Findings,
    role: Role,
    leaf: &Arc<Certificate>,
    last: &Certificate,
    at: Timestamp,
) -> Option<Path> {
    let trust = verifier.context.trust;
    if let PathOutcome::Trusted(path) = verifier.paths.find_any(leaf, at) {
        let region = path.region.as_deref().and_then(|name| trust.region(name));
        let anchor = path.certificates.last();
        let is_for_this = anchor.is_some_and(|anchor| trust.refusals(anchor, role.purpose(), at).next().is_some());
        let args = [
            ("subject", leaf.subject().short().into()),
            ("anchor", anchor.map_or_else(String::new, |c| c.subject().short()).into()),
            ("region", region.map_or_else(String::new, |r| r.name.to_string()).into()),
            ("time", at.into()),
            ("created", at.into()),
        ];
        let reason = match (role, region) {
            (Role::Maker, Some(region)) if !region.accepted => Some(Reason::MakerRegionWithdrawn),
            (Role::Signer, Some(region)) if !region.accepted => Some(Reason::SignerRegionWithdrawn),
            (Role::TimeStamp, Some(region)) if !region.accepted => Some(Reason::TimestampRegionWithdrawn),
            (Role::Maker, _) if trust.lists_makers() => Some(Reason::MakerNotAuthorised),
            (Role::Signer, _) if is_for_this => Some(Reason::SignerNotGranted),
            (Role::TimeStamp, _) if is_for_this => Some(Reason::TimestampNotGranted),
            _ => None,
        };
        if let Some(reason) = reason {
            findings.about(leaf.subject(), reason, &args);
            return (reason == Reason::MakerNotAuthorised).then_some(path);
        }
    }
    let args =
        [("subject", leaf.subject().short().into()), ("last", last.subject().short().into()), ("issuer", last.issuer().into())];
    findings.about(leaf.subject(), role.no_anchor(), &args);
    None
}

/// Whether another accepted list names the path's anchor for the same purpose and does not grant it. Who is right no
/// program can tell.
fn disagreement(verifier: &Verifier<'_>, findings: &mut Findings, role: Role, path: &Path, at: Timestamp) {
    let trust = verifier.context.trust;
    let Some(anchor) = path.certificates.last() else { return };
    let is_accepted = |name: &str| trust.region(name).is_some_and(|region| region.accepted);
    let other = trust.refusals(anchor, role.purpose(), at).filter_map(|s| s.region.as_deref()).find(|name| is_accepted(name));
    if let Some(other) = other {
        let args = [
            ("subject", anchor.subject().short().into()),
            ("region", path.region.as_deref().unwrap_or("-").into()),
            ("other", other.into()),
            ("time", at.into()),
        ];
        findings.about_to(role.layer(), anchor.subject(), Reason::TrustListConflict, &args);
    }
}

fn rule_word(rule: PathRule) -> &'static str {
    match rule {
        PathRule::CriticalExtension => "rule.CriticalExtension",
        PathRule::Dates => "rule.Dates",
        PathRule::KeyUsage => "rule.KeyUsage",
        PathRule::NotCa => "rule.NotCa",
        PathRule::PathLength => "rule.PathLength",
        PathRule::RootSignature => "rule.RootSignature",
        PathRule::Signature => "rule.Signature",
    }
}

/// What became of a path's certificates.
#[derive(Default)]
pub(super) struct Revocations {
    /// The revoked ones, and since when.
    pub revoked: Vec<(Arc<Certificate>, Timestamp)>,
    /// Whether of one it is not known.
    pub unknown: bool,
}

/// Looks up every certificate of a path below its anchor. What is not known becomes a finding; what is revoked is given back, since
/// its weight depends on the role.
pub(super) fn revocations(
    verifier: &mut Verifier<'_>,
    findings: &mut Findings,
    role: Role,
    path: &Path,
    moment: Moment,
) -> Revocations {
    let mut pairs: Vec<(Arc<Certificate>, Option<Arc<Certificate>>)> =
        path.certificates.windows(2).map(|pair| (Arc::clone(&pair[0]), Some(Arc::clone(&pair[1])))).collect();
    if let [alone] = path.certificates.as_slice()
        && !alone.is_self_issued()
    {
        // Trusted by itself, but its issuer can still take it back.
        pairs.push((Arc::clone(alone), verifier.paths.issuer_of(alone)));
    }
    let mut out = Revocations::default();
    for (certificate, issuer) in pairs {
        if let (Some(looked_up), Some(issuer)) = (verifier.context.looked_up, &issuer) {
            looked_up.certificate(&certificate, issuer);
        }
        let state = match &issuer {
            Some(issuer) => revocation::check(verifier.context.trust, &mut verifier.enclosed, &certificate, issuer, moment),
            None => Revocation::Unknown(WhyUnknown::NoData),
        };
        match state {
            Revocation::Good => {}
            Revocation::Revoked(found) => out.revoked.push((certificate, found.at)),
            Revocation::Unknown(why) => {
                out.unknown = true;
                unknown(findings, role, &certificate, why);
            }
        }
    }
    out
}

fn unknown(findings: &mut Findings, role: Role, certificate: &Certificate, why: WhyUnknown) {
    let (reason, since) = match why {
        _ if role == Role::TimeStamp => (Reason::TimestampRevocationUnknown, None),
        WhyUnknown::NoData => (Reason::RevocationNoData, None),
        WhyUnknown::AfterExpiry => (Reason::RevocationAfterExpiry, None),
        WhyUnknown::Stale { since } => (Reason::RevocationStale, Some(since)),
    };
    let args = [
        ("subject", certificate.subject().into()),
        ("issuer", certificate.issuer().into()),
        ("to", certificate.not_after().into()),
        ("since", since.map_or_else(String::new, |t| t.to_string()).into()),
    ];
    findings.about_to(role.layer(), certificate.subject(), reason, &args);
}

/// Judges the signer's certificate and says who signed.
pub(super) fn signer(
    verifier: &mut Verifier<'_>,
    findings: &mut Findings,
    certificate: &Arc<Certificate>,
    time: SigningTime,
    seal: Option<&Seal>,
) -> Signer {
    let now = verifier.context.now;
    let at = time.judged_at(now);
    findings.reach(Layer::Certificate);
    usage(findings, certificate, [Reason::SignerUsage, Reason::SignerIsCa, Reason::SignerNoUsage]);

    let dates = [("time", at.into()), ("from", certificate.not_before().into()), ("to", certificate.not_after().into())];
    match time.at {
        Some(at) if !certificate.valid_at(at) => findings.about(certificate.subject(), Reason::TimeOutsideCert, &dates),
        None if !certificate.valid_at(now) => findings.about(certificate.subject(), Reason::SignerExpiredNoTime, &dates),
        _ if now > certificate.not_after() => findings.about(certificate.subject(), Reason::SignerExpiredSince, &dates),
        _ => {}
    }

    let path = path(verifier, findings, Role::Signer, certificate, at);
    if let Some(path) = &path {
        let moment = Moment { used: at, proven: time.proven, now };
        for (certificate, revoked) in revocations(verifier, findings, Role::Signer, path, moment).revoked {
            let reason = if revoked <= at {
                Reason::SignerRevokedBefore
            } else if time.proven {
                Reason::SignerRevokedLater
            } else {
                Reason::SignerRevokedNoPoe
            };
            let subject = certificate.subject();
            let args = [("subject", subject.into()), ("revoked", revoked.into()), ("time", at.into())];
            findings.about(subject, reason, &args);
        }
        trust_list(verifier, findings, Layer::Certificate, path.region.as_deref());
    }
    let (uscc, uscc_carrier) = subject(verifier, findings, certificate, seal);
    let region = path.and_then(|p| p.region);
    let licence = licence(verifier, findings, certificate, seal, at, region.as_deref());
    Signer {
        name: certificate.subject().short(),
        uscc,
        uscc_carrier,
        issuer: certificate.issuer().to_string(),
        serial: certificate.serial_hex(),
        sha256: certificate.sha256_hex(),
        region: region.map(|r| r.to_string()),
        licence,
        certificate: certificate.clone(),
    }
}

/// What the registry of the signer's region says of the company. A statement that is at hand counts whether it was required or not.
fn licence(
    verifier: &Verifier<'_>,
    findings: &mut Findings,
    certificate: &Certificate,
    seal: Option<&Seal>,
    at: Timestamp,
    region: Option<&str>,
) -> Option<LicenceSummary> {
    let subject = certificate.subject();
    let found = subject_codes(certificate).iter().find_map(|code| verifier.context.trust.licence(region, &code.uscc));
    let Some(licence) = found else {
        if verifier.context.licence_required {
            findings.about(subject, Reason::LicenceNone, &[]);
        }
        return None;
    };
    let state = match licence.state {
        LicenceState::Active => "licence.active",
        LicenceState::Abnormal => "licence.abnormal",
        LicenceState::Revoked => "licence.revoked",
        LicenceState::Cancelled => "licence.cancelled",
    };
    let mut args = vec![
        ("uscc", (&licence.uscc).into()),
        ("name", (&licence.name).into()),
        ("region", (&licence.region).into()),
        ("state", Arg::Word(state)),
        ("asOf", licence.as_of.into()),
        ("until", licence.fresh_until.into()),
        ("time", at.into()),
    ];
    let name = seal.map(|seal| seal.property().name.as_str());
    let reason = match licence.check(certificate, name, at) {
        Err(fault) => {
            let reason = match fault {
                LicenceFault::State { .. } | LicenceFault::Dates(_) => Reason::LicenceState,
                _ => Reason::SubjectLicenceDiffers,
            };
            args.push(("what", fault.to_string().into()));
            reason
        }
        Ok(()) if licence.is_fresh(verifier.context.now) => Reason::LicenceChecked,
        Ok(()) if verifier.context.licence_required => Reason::LicenceStale,
        // Old, and nobody asked for it: it is shown with its date.
        Ok(()) => Reason::LicenceChecked,
    };
    findings.about(subject, reason, &args);
    Some(LicenceSummary {
        name: licence.name.clone(),
        uscc: licence.uscc.clone(),
        representative: licence.representative.clone(),
        state: licence.state,
        as_of: licence.as_of,
        source: licence.source.clone(),
    })
}

/// Key usage of a certificate that signs documents or seals: reasons for "not for signing", "a CA's", "says nothing".
pub(super) fn usage(findings: &mut Findings, certificate: &Certificate, [wrong, ca, none]: [Reason; 3]) {
    let subject = certificate.subject();
    if certificate.is_ca() {
        findings.about(subject, ca, &[("subject", subject.into())]);
    }
    match certificate.extensions().key_usage {
        None => findings.about(subject, none, &[("subject", subject.into())]),
        Some(usage) if !usage.signs() => findings.about(subject, wrong, &[("subject", subject.into())]),
        Some(_) => {}
    }
}

/// Whether the list of the region that vouches is still current.
pub(super) fn trust_list(verifier: &Verifier<'_>, findings: &mut Findings, layer: Layer, region: Option<&str>) {
    let known = region.and_then(|name| verifier.context.trust.region(name));
    if let Some(region) = known
        && let Some(until) = region.next_update
        && until < verifier.context.now
    {
        findings.about_to(
            layer,
            &region.name,
            Reason::TrustListExpired,
            &[("region", (&region.name).into()), ("until", until.into())],
        );
    }
}

/// Compares certificate, seal and what is required with one another; gives the certificate's code and its carrier.
fn subject(
    verifier: &Verifier<'_>,
    findings: &mut Findings,
    certificate: &Certificate,
    seal: Option<&Seal>,
) -> (Option<String>, Option<String>) {
    let codes = subject_codes(certificate);
    if codes.len() > 1 {
        let all = codes.iter().map(|c| c.uscc.as_str()).collect::<Vec<_>>().join(", ");
        findings.about(certificate.subject(), Reason::SubjectAmbiguous, &[("codes", all.into())]);
    }
    if let Some(required) = verifier.context.required_uscc
        && !matches!(codes.as_slice(), [only] if only.uscc == required)
    {
        let found = if codes.is_empty() {
            certificate.subject().to_string()
        } else {
            codes.iter().map(|c| c.uscc.as_str()).collect::<Vec<_>>().join(", ")
        };
        let args = [("required", required.into()), ("certificate", found.into())];
        findings.about(certificate.subject(), Reason::SubjectNotRequired, &args);
    }
    if let Some(seal) = seal {
        compare_with_seal(findings, certificate, &codes, seal);
    }
    match codes.into_iter().collect::<Vec<_>>().as_mut_slice() {
        [only] => (Some(std::mem::take(&mut only.uscc)), Some(std::mem::take(&mut only.carrier))),
        _ => (None, None),
    }
}

fn compare_with_seal(findings: &mut Findings, certificate: &Certificate, codes: &[crate::pki::SubjectCode], seal: &Seal) {
    use crate::pki::name::{COMMON_NAME, ORGANIZATION};
    let es_id = seal.es_id();
    // Government seals have their code as the certificate's CN (trust.md §3); the CN of a company's is its name.
    if let Some(name) = certificate.subject().text_of(COMMON_NAME)
        && name != es_id
        && name.len() >= 10
        && name.bytes().all(|b| b.is_ascii_digit())
    {
        findings.about(certificate.subject(), Reason::EsidMismatch, &[("esId", es_id.into()), ("name", name.into())]);
    }
    let in_seal = crate::pki::subject::codes_in(es_id).into_iter().chain(crate::pki::subject::codes_in(&seal.property().name));
    for code in in_seal {
        if !codes.is_empty() && codes.iter().all(|c| c.uscc != code) {
            let args = [("seal", code.into()), ("certificate", (&codes[0].uscc).into())];
            findings.about(certificate.subject(), Reason::SubjectCodeDiffers, &args);
        }
    }
    let seal_name = bare_name(&seal.property().name);
    let mut names = [COMMON_NAME, ORGANIZATION].iter().filter_map(|oid| certificate.subject().text_of(oid)).map(bare_name);
    let fits = |name: String| !name.is_empty() && (seal_name.contains(&name) || name.contains(&seal_name));
    if !seal_name.is_empty() && !names.any(fits) {
        let args = [("seal", (&seal.property().name).into()), ("name", certificate.subject().short().into())];
        findings.about(certificate.subject(), Reason::SubjectNameDiffers, &args);
    }
}
