//! Certificates of signers, seal makers and time stamp authorities: path, usage, dates, revocation, and whose they are.

use std::sync::Arc;

use jiff::Timestamp;

use super::catalogue::Arg;
use super::findings::Findings;
use super::reason::Reason;
use super::report::{Layer, Signer};
use super::time::SigningTime;
use super::verifier::Verifier;
use crate::pki::path::{Path, PathOutcome, PathRule};
use crate::pki::revocation::{self, Moment, Revocation, WhyUnknown};
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
    let outcome = verifier.paths.find(leaf, role.purpose(), at);
    let outcome = match outcome {
        PathOutcome::NoAnchor { .. } if role == Role::Maker && verifier.context.trust.lists_makers() => {
            // Known to the store for something else, or for another time: then it is not unknown, but has no right to make seals.
            match verifier.paths.find_any(leaf, at) {
                PathOutcome::Trusted(path) => {
                    let args = [("subject", leaf.subject().into()), ("created", at.into())];
                    findings.about(leaf.subject(), Reason::MakerNotAuthorised, &args);
                    return Some(path);
                }
                _ => outcome,
            }
        }
        outcome => outcome,
    };
    match outcome {
        PathOutcome::Trusted(path) => Some(path),
        PathOutcome::Broken { rule, certificate } => {
            let args = [("certificate", certificate.subject().into()), ("rule", Arg::Word(rule_word(rule)))];
            findings.about(leaf.subject(), role.broken(), &args);
            None
        }
        PathOutcome::NoAnchor { last } => {
            let args = [
                ("subject", leaf.subject().short().into()),
                ("last", last.subject().short().into()),
                ("issuer", last.issuer().into()),
            ];
            findings.about(leaf.subject(), role.no_anchor(), &args);
            None
        }
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
        let state = match &issuer {
            Some(issuer) => revocation::check(verifier.context.trust, &certificate, issuer, moment).or(revocation::check(
                &verifier.given,
                &certificate,
                issuer,
                moment,
            )),
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
    Signer {
        name: certificate.subject().short(),
        uscc,
        uscc_carrier,
        issuer: certificate.issuer().to_string(),
        serial: certificate.serial_hex(),
        sha256: certificate.sha256_hex(),
        region: path.and_then(|p| p.region).map(|r| r.to_string()),
    }
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

/// A name without what writers differ in: blanks, width of brackets, a code in front.
fn bare_name(name: &str) -> String {
    let name: String = name
        .chars()
        .filter(|c| !c.is_whitespace())
        .map(|c| match c {
            '（' => '(',
            '）' => ')',
            c => c,
        })
        .collect();
    match name.get(..18) {
        Some(code) if crate::pki::subject::is_uscc(code.as_bytes()) => name[18..].to_owned(),
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_compared_without_codes_blanks_and_widths() {
        assert_eq!(bare_name("11370306MB2867521U淄博市周村区自然资源局"), "淄博市周村区自然资源局");
        assert_eq!(bare_name(" 深圳（测试） 公司"), "深圳(测试)公司");
    }
}
