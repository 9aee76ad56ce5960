//! The seal: its maker's signature and certificate, its dates, its status, its picture (ses.md §8).

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::catalogue::{self, Arg};
use super::certificate::{self, Role};
use super::findings::Findings;
use super::picture;
use super::reason::Reason;
use super::report::{Layer, SealSummary, SignatureKind, SignatureReport};
use super::time::{self, SigningTime, Stamp};
use super::verifier::{About, Verifier};
use crate::asn1::oid;
use crate::pki::revocation::Moment;
use crate::pki::seal_status::{SealHistory, SealState};
use crate::pki::trust::Purpose;
use crate::pki::{Certificate, SealFacts};
use crate::ses::{CertList, Extension, Seal, Version};
use crate::sm::{self, SignatureEncoding, Sm2Digest, Sm2Signature, sm3};

/// createDate may be a bare date or local time, so it counts to the day only (ses.md §5).
const DAY: SignedDuration = SignedDuration::from_hours(24);

/// How a seal comes to be judged.
#[derive(Clone, Copy, Debug)]
pub(super) enum Use<'a> {
    /// It is the file.
    ByItself,
    /// It was used by this certificate at this time.
    Signature(SigningTime, Option<&'a Certificate>),
}

/// The report about a file that is a seal.
pub(super) fn by_itself(verifier: &mut Verifier<'_>, seal: &Seal) -> SignatureReport {
    let mut findings = Findings::default();
    findings.reach(Layer::Format);
    let mut about = About::new(kind(seal.version()));
    let known = verifier.seal(seal);
    judge(verifier, &mut findings, &mut about, (seal, &known), Use::ByItself);
    about.report("1", findings, &[Layer::Format, Layer::Seal])
}

/// The kind of signed value that belongs to a version.
pub(super) fn kind(version: Version) -> SignatureKind {
    match version {
        Version::V1 => SignatureKind::SesV1,
        Version::V4 => SignatureKind::SesV4,
        Version::V5 => SignatureKind::SesV5,
    }
}

/// Judges a seal: all that can be checked is.
pub(super) fn judge(
    verifier: &mut Verifier<'_>,
    findings: &mut Findings,
    about: &mut About,
    (seal, known): (&Seal, &Arc<SealFacts>),
    used: Use<'_>,
) {
    findings.reach(Layer::Seal);
    form(findings, seal);
    let maker = match verifier.certificate(seal.maker_certificate()) {
        Ok(maker) => Some(maker),
        Err(error) => {
            let args = [("role", Arg::Word("role.maker")), ("what", error.into())];
            findings.add_to(Layer::Seal, Reason::FormatCertificate, &args);
            None
        }
    };
    let stamped = seal.time_stamp().and_then(|token| {
        let stamp = Stamp { token, over: seal.signature(), or_digest: None, proves: true };
        time::judge_stamp(verifier, findings, "role.seal", stamp)
    });
    let mut regions = Vec::new();
    if let Some(maker) = &maker {
        maker_signature(findings, (seal, known), maker);
        regions = maker_certificate(verifier, findings, seal, maker, used, stamped);
    }
    if let Use::Signature(_, Some(signer)) = used {
        listed(findings, seal, signer);
    }
    dates(verifier.context.now, findings, seal, used, stamped);
    // Whoever vouches for the maker may have cancelled the seal, and each is heard.
    let states: Vec<_> = match regions.as_slice() {
        [] => status(verifier, findings, (seal, known), used, None).into_iter().collect(),
        regions => regions.iter().filter_map(|r| status(verifier, findings, (seal, known), used, Some(r))).collect(),
    };
    let status = states.iter().find(|(state, _)| *state != SealState::Valid).or(states.first());

    let property = seal.property();
    about.seal = Some(SealSummary {
        es_id: seal.es_id().to_owned(),
        name: property.name.clone(),
        version: seal.header_version(),
        kind: property.kind,
        valid_from: property.valid_from.instant,
        valid_to: property.valid_to.instant,
        maker: maker.map(|m| m.subject().short()),
        status: status.map(|(state, _)| *state),
        status_as_of: status.map(|(_, as_of)| *as_of),
        region: regions.first().map(|r| r.to_string()),
    });
    about.seal_picture = verifier.picture(seal, known);
}

/// Deviations in the encoding, unknown critical extensions, a picture that does not decode.
fn form(findings: &mut Findings, seal: &Seal) {
    for tolerance in seal.tolerances() {
        nonstandard(findings, tolerance.name());
    }
    critical_extensions(findings, "role.seal", seal.critical_extensions());
    if let Err(fault) = picture::check(seal.picture()) {
        findings.add(Reason::PictureBroken, &[("what", Arg::Both(fault))]);
    }
}

/// A deviation that was read all the same.
pub(super) fn nonstandard(findings: &mut Findings, name: &str) {
    findings.add(Reason::EncNonstd, &[("what", Arg::Both(catalogue::tolerance(name)))]);
}

/// Critical extensions, none of which has a known meaning.
pub(super) fn critical_extensions<'e>(
    findings: &mut Findings,
    role: &'static str,
    extensions: impl Iterator<Item = &'e Extension>,
) {
    for extension in extensions {
        let oid = extension.oid().dotted();
        findings.about(&oid, Reason::ExtensionUnknownCritical, &[("role", Arg::Word(role)), ("oid", (&oid).into())]);
    }
}

/// Reads an SM2 signature value and names how it was encoded.
pub(super) fn sm2_value(findings: &mut Findings, value: &[u8], wrong_form: Reason) -> Option<Sm2Signature> {
    match sm::read_signature(value) {
        Ok((signature, encoding)) => {
            match encoding {
                SignatureEncoding::Der => {}
                SignatureEncoding::Raw => nonstandard(findings, "signature-Raw"),
                SignatureEncoding::NegativeInteger => nonstandard(findings, "signature-NegativeInteger"),
                SignatureEncoding::NonMinimalInteger => nonstandard(findings, "signature-NonMinimalInteger"),
            }
            Some(signature)
        }
        Err(_) => {
            findings.add(wrong_form, &[]);
            None
        }
    }
}

/// The SM2 key that a signature with this algorithm needs; what does not fit is a finding.
pub(super) fn sm2_key<'k>(
    findings: &mut Findings,
    role: &'static str,
    algorithm: crate::asn1::Oid<'_>,
    certificate: &'k Certificate,
) -> Option<&'k sm::Sm2PublicKey> {
    if algorithm != oid::SM2_WITH_SM3 {
        findings.add(Reason::AlgorithmNotAccepted, &[("role", Arg::Word(role)), ("algorithm", algorithm.into())]);
        return None;
    }
    let key = certificate.key().sm2();
    if key.is_none() {
        let args = [("role", Arg::Word(role)), ("algorithm", "SM2".into()), ("key", certificate.key().name().into())];
        findings.add(Reason::AlgorithmKeyDiffers, &args);
    }
    key
}

fn maker_signature(findings: &mut Findings, (seal, known): (&Seal, &SealFacts), maker: &Certificate) {
    let Some(key) = sm2_key(findings, "role.maker", seal.signature_algorithm(), maker) else { return };
    let Some(signature) = sm2_value(findings, seal.signature(), Reason::SealSigForm) else { return };
    if !known.is_made_by_its_maker(|| sm::verify(key, &seal.signed_bytes(), &signature)) {
        findings.about(maker.subject(), Reason::SealSig, &[("maker", maker.subject().short().into())]);
    }
}

/// The maker's certificate, judged at createDate. Gives the regions that vouch for it, the one by which it is trusted first.
fn maker_certificate(
    verifier: &mut Verifier<'_>,
    findings: &mut Findings,
    seal: &Seal,
    maker: &Arc<Certificate>,
    used: Use<'_>,
    stamped: Option<Timestamp>,
) -> Vec<Arc<str>> {
    let now = verifier.context.now;
    let created = seal.property().created.instant;
    let subject = maker.subject();
    certificate::usage(findings, maker, [Reason::MakerUsage, Reason::MakerIsCa, Reason::MakerNoUsage]);

    let (from, to) = (maker.not_before(), maker.not_after());
    let dates =
        |when: &'static str| [("created", created.into()), ("from", from.into()), ("to", to.into()), ("when", Arg::Word(when))];
    let signed = match used {
        Use::Signature(time, _) => time.at,
        Use::ByItself => None,
    };
    let outside_by = (from.duration_since(created)).max(created.duration_since(to));
    if outside_by > DAY {
        findings.about(subject, Reason::MakerOutsideAtCreation, &dates("when.now"));
    } else if outside_by > SignedDuration::ZERO {
        findings.about(subject, Reason::TimeMakerDates, &dates("when.now"));
    } else if signed.is_some_and(|at| !maker.valid_at(at)) {
        findings.about(subject, Reason::MakerOutsideLater, &dates("when.signing"));
    } else if !maker.valid_at(now) {
        findings.about(subject, Reason::MakerOutsideLater, &dates("when.now"));
    }

    // Within a day of its certificate's dates a seal counts as made within them, also for the CAs above.
    let made = created.clamp(from.min(to), to.max(from));
    let made = if outside_by > DAY { created } else { made };
    let Some(path) = certificate::path(verifier, findings, Role::Maker, maker, made) else { return Vec::new() };
    let proven = match used {
        Use::Signature(SigningTime { at: Some(at), proven: true, .. }, _) => Some(stamped.map_or(at, |s| s.min(at))),
        _ => stamped,
    };
    let moment = Moment { used: proven.unwrap_or(created), proven: proven.is_some(), now };
    for (certificate, revoked) in certificate::revocations(verifier, findings, Role::Maker, &path, moment).revoked {
        let reason = if revoked <= created {
            Reason::MakerRevokedBefore
        } else if proven.is_some_and(|proven| proven < revoked) {
            Reason::MakerRevokedLater
        } else {
            Reason::MakerRevokedNoPoe
        };
        let subject = certificate.subject();
        let args = [("subject", subject.into()), ("revoked", revoked.into()), ("created", created.into())];
        findings.about(subject, reason, &args);
    }
    certificate::trust_list(verifier, findings, Layer::Seal, path.region.as_deref());
    let mut regions: Vec<_> = path.region.into_iter().collect();
    for service in verifier.context.trust.services() {
        let vouches = service.purpose == Purpose::SealMaker && path.certificates.last() == Some(&service.certificate);
        if let Some(region) =
            service.region.as_ref().filter(|region| vouches && service.is_granted(made) && !regions.contains(region))
        {
            regions.push(Arc::clone(region));
        }
    }
    regions
}

/// Whether the signer may use the seal: byte for byte, or by digest.
fn listed(findings: &mut Findings, seal: &Seal, signer: &Certificate) {
    let subject = signer.subject();
    match &seal.property().cert_list {
        CertList::Certificates(list) => {
            if !list.iter().any(|c| c == signer.der()) {
                let args = [("signer", subject.short().into()), ("count", list.len().into())];
                findings.about(subject, Reason::SignerNotInSeal, &args);
            }
        }
        CertList::Digests(list) => {
            let plain = sm3(signer.der()).0;
            if list.iter().any(|d| d.value == plain) {
                return;
            }
            // Some products are said to digest with Z (ses.md §3).
            let with_z = signer.key().sm2().and_then(|key| Sm2Digest::new(signer.der(), sm::DEFAULT_ID, key));
            if with_z.is_some_and(|e| list.iter().any(|d| d.value == e.as_bytes())) {
                nonstandard(findings, "digest-with-z");
            } else {
                let args = [("signer", subject.short().into()), ("count", list.len().into())];
                findings.about(subject, Reason::SignerDigestNotInSeal, &args);
            }
        }
    }
}

fn dates(now: Timestamp, findings: &mut Findings, seal: &Seal, used: Use<'_>, stamped: Option<Timestamp>) {
    let property = seal.property();
    let (created, from, to) = (property.created.instant, property.valid_from.instant, property.valid_to.instant);
    let args = |time: Timestamp| [("time", time.into()), ("created", created.into()), ("from", from.into()), ("to", to.into())];
    match used {
        Use::ByItself if now > to => {
            findings.add(Reason::SealExpired, &args(now));
        }
        Use::ByItself if now < from => {
            findings.add(Reason::SealNotYetValid, &args(now));
        }
        Use::ByItself => {}
        Use::Signature(time, _) => {
            let at = time.judged_at(now);
            if !(from..=to).contains(&at) {
                findings.add(Reason::TimeOutsideSeal, &args(at));
            }
            if now > to {
                findings.add(Reason::SealExpiredSince, &args(now));
            } else if now < from {
                findings.add(Reason::SealNotYetValidNow, &args(now));
            }
            if time.at.is_some_and(|at| at < created) {
                findings.add(Reason::TimeBeforeSeal, &args(at));
            }
        }
    }
    if from < created {
        findings.reach(Layer::Time);
        findings.add(Reason::TimeSealDates, &args(created));
    }
    if let Some(stamped) = stamped.filter(|stamped| created > *stamped) {
        findings.add(Reason::TimeSealStamp, &[("created", created.into()), ("stamped", stamped.into())]);
    }
}

/// The seal's state in its region's system, as far as somebody answered.
fn status(
    verifier: &Verifier<'_>,
    findings: &mut Findings,
    (seal, known): (&Seal, &SealFacts),
    used: Use<'_>,
    region: Option<&str>,
) -> Option<(SealState, Timestamp)> {
    let now = verifier.context.now;
    let (at, proven) = match used {
        Use::ByItself => (now, false),
        Use::Signature(time, _) => (time.judged_at(now), time.proven),
    };
    let es_id = seal.es_id();
    if let (Some(looked_up), Some(region)) = (verifier.context.looked_up, region) {
        looked_up.seal(region, es_id, known.digest());
    }
    let answer = verifier.context.trust.seal_status(region, es_id, || known.digest());
    let fresh = answer.as_ref().is_some_and(|answer| answer.is_fresh(now));
    let service = region.and_then(|name| verifier.context.trust.region(name)).filter(|r| r.status_service);
    if !fresh {
        match service {
            Some(region) => {
                let args = [("region", (&region.name).into()), ("esId", es_id.into())];
                findings.about(es_id, Reason::SealStatusNoAnswer, &args);
            }
            None if answer.is_none() => findings.about(es_id, Reason::SealStatusNoService, &[("esId", es_id.into())]),
            None => {}
        }
    }
    let answer = answer?;
    if !answer.known {
        let args = [("region", region.unwrap_or("-").into()), ("esId", es_id.into())];
        findings.about(es_id, Reason::SealStatusNotKnown, &args);
        return None;
    }
    if let Some((reason, since, until)) = unusual(&answer.history, at, proven) {
        let args = [("esId", es_id.into()), ("since", since.into()), ("until", until.into()), ("time", at.into())];
        findings.about(es_id, reason, &args);
    }
    let state = answer.history.last().map_or(SealState::Valid, |change| change.state);
    Some((state, answer.as_of))
}

/// What a seal's history makes of its use at `at`: the finding, the start of the state that it is about, and the end of a
/// suspension that is over. In force at that time, it counts whatever came later; else what is in force last does.
fn unusual(history: &SealHistory, at: Timestamp, proven: bool) -> Option<(Reason, Timestamp, Timestamp)> {
    let reasons = |state| match state {
        SealState::Valid => None,
        SealState::Suspended => Some([Reason::SealSuspended, Reason::SealSuspendedLater, Reason::SealSuspendedNoPoe]),
        SealState::Cancelled => Some([Reason::SealCancelled, Reason::SealCancelledLater, Reason::SealCancelledNoPoe]),
    };
    if let Some(change) = history.change_before(at)
        && let Some([in_force, ..]) = reasons(change.state)
    {
        return Some((in_force, change.at, change.at));
    }
    let last = history.last()?;
    match reasons(last.state) {
        Some([_, later, _]) if proven => Some((later, last.at, last.at)),
        Some([.., no_poe]) => Some((no_poe, last.at, last.at)),
        None => {
            let suspended = history.changes().iter().rev().find(|change| change.state != SealState::Valid)?;
            Some((Reason::SealReinstated, suspended.at, last.at))
        }
    }
}
