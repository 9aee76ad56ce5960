//! When it was signed, and who says so: time stamps first, then the signer's claim (ses.md §5, §10 d).

use jiff::{SignedDuration, Timestamp};

use super::catalogue::Arg;
use super::certificate::{self, Role};
use super::findings::Findings;
use super::reason::Reason;
use super::report::{Finding, Layer, TimeSource};
use super::verifier::{About, Context, Verifier};
use crate::pki::certificate::hex;
use crate::pki::extensions::TIME_STAMPING;
use crate::pki::revocation::Moment;
use crate::pki::timestamp::{TimeStampFault, TimeStampToken};

/// Beijing time marked as UTC, the field's usual mistake.
const BEIJING: SignedDuration = SignedDuration::from_hours(8);
/// Two clocks that differ by less say the same.
const CLOCKS: SignedDuration = SignedDuration::from_mins(5);

/// The signing time that everything else is judged at.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct SigningTime {
    /// The time; nothing says when it was signed without it.
    pub at: Option<Timestamp>,
    /// Who says so.
    pub source: Option<TimeSource>,
    /// Whether a verified time stamp over the signature value proves that the signature is not younger.
    pub proven: bool,
}

impl SigningTime {
    /// The judging time: the signing time, else now.
    pub fn judged_at(self, now: Timestamp) -> Timestamp {
        self.at.unwrap_or(now)
    }
}

/// What there is to say when a signature was made.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Evidence<'a> {
    /// The signer's claim in the signed value.
    pub claimed: Option<Timestamp>,
    /// Another claim beside it, signed or not: SignatureDateTime of an OFD.
    pub beside: Option<Timestamp>,
    /// A time stamp over the signature value.
    pub stamp: Option<Stamp<'a>>,
}

/// A time stamp and what it must be over.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stamp<'a> {
    /// DER of the token.
    pub token: &'a [u8],
    /// The octets that were stamped.
    pub over: &'a [u8],
    /// A digest that is accepted as the imprint instead: V1 stamps the document itself, before signing.
    pub or_digest: Option<&'a [u8]>,
    /// Whether a good stamp proves that the signature existed. One inside the signed bytes proves only that they are younger.
    pub proves: bool,
}

/// Settles the signing time.
pub(super) fn signing_time(
    verifier: &mut Verifier<'_>,
    findings: &mut Findings,
    about: &mut About,
    evidence: Evidence<'_>,
) -> SigningTime {
    findings.reach(Layer::Time);
    let own = evidence.stamp.and_then(|stamp| judge_stamp(verifier, findings, "role.signature", stamp));
    let stamped = own.or(verifier.existed_by);
    let now = verifier.context.now;
    let claimed = evidence.claimed.or(evidence.beside);
    let time = match (stamped, claimed) {
        (Some(stamped), claimed) => {
            if let Some(claimed) = claimed.filter(|claimed| claimed.duration_since(stamped) > CLOCKS) {
                findings.add(Reason::TimeAfterStamp, &[("claimed", claimed.into()), ("stamped", stamped.into())]);
            }
            let proven = own.is_none() || evidence.stamp.is_some_and(|stamp| stamp.proves);
            SigningTime { at: Some(stamped), source: Some(TimeSource::Timestamp), proven }
        }
        (None, Some(claimed)) => {
            if evidence.stamp.is_none() {
                findings.add(Reason::TimeClaimedOnly, &[("time", claimed.into())]);
            }
            SigningTime { at: Some(claimed), source: Some(TimeSource::Claimed), proven: false }
        }
        (None, None) => {
            findings.add(Reason::TimeNone, &[]);
            SigningTime::default()
        }
    };
    if let (Some(claimed), Some(beside)) = (evidence.claimed, evidence.beside)
        && (claimed.duration_since(beside).abs() - BEIJING).abs() < CLOCKS
    {
        findings.add(Reason::TimeOffset, &[("time", claimed.into()), ("other", beside.into())]);
    }
    if let Some(at) = time.at.filter(|at| at.duration_since(now) > CLOCKS) {
        findings.add(Reason::TimeInFuture, &[("time", at.into()), ("now", now.into())]);
    }
    about.signed_at = time.at;
    about.time_source = time.source;
    time
}

/// Judges a token by itself, as it will be judged in a document: its time, if everything about it is good and its imprint is `digest`
/// (by the token's own algorithm); else what is not.
pub fn time_stamp(token: &TimeStampToken, digest: &[u8], context: &Context<'_>) -> Result<Timestamp, Vec<Finding>> {
    let (mut verifier, mut findings) = (Verifier::new(context), Findings::default());
    let time = judge_token(&mut verifier, &mut findings, "role.signature", token, digest);
    time.ok_or_else(|| findings.conclude(&[]).findings)
}

/// The time of a stamp, if everything about it is good; else findings say what is not.
pub(super) fn judge_stamp(
    verifier: &mut Verifier<'_>,
    findings: &mut Findings,
    role: &'static str,
    stamp: Stamp<'_>,
) -> Option<Timestamp> {
    findings.reach(Layer::Time);
    let token = match TimeStampToken::parse(stamp.token) {
        Ok(token) => token,
        Err(error) => {
            findings.add(Reason::FormatTimeStamp, &[("what", error.into())]);
            return None;
        }
    };
    let found = match stamp.or_digest {
        Some(digest) if digest == token.imprint() => digest.to_vec(),
        _ => token.hash().digest(stamp.over),
    };
    judge_token(verifier, findings, role, &token, &found)
}

/// The time of a token, if everything about it is good and its imprint is the digest that was found.
pub(super) fn judge_token(
    verifier: &mut Verifier<'_>,
    findings: &mut Findings,
    role: &'static str,
    token: &TimeStampToken,
    found: &[u8],
) -> Option<Timestamp> {
    findings.reach(Layer::Time);
    let mut good = token.imprint() == found;
    if !good {
        let args = [("role", Arg::Word(role)), ("stamped", hex(token.imprint()).into()), ("found", hex(found).into())];
        findings.add(Reason::TimestampImprint, &args);
    }
    for certificate in token.certificates() {
        verifier.paths.add(certificate.clone());
    }
    super::cms::enclosed(verifier, token.signed_data());
    let signature = |findings: &mut Findings, what| {
        findings.add(Reason::TimestampSig, &[("role", Arg::Word(role)), ("what", Arg::Word(what))]);
    };
    let Some(signer) = token.signer(verifier.context.trust) else {
        signature(findings, "stamp.noCertificate");
        return None;
    };
    if let Err(fault) = token.verify(&signer) {
        signature(
            findings,
            match fault {
                TimeStampFault::Algorithm => "stamp.algorithm",
                TimeStampFault::Digest => "stamp.digest",
                TimeStampFault::Signature => "stamp.signature",
            },
        );
        good = false;
    }

    let (at, subject) = (token.time(), signer.subject());
    let args = [
        ("subject", subject.into()),
        ("time", at.into()),
        ("from", signer.not_before().into()),
        ("to", signer.not_after().into()),
    ];
    if !signer.extensions().has_purpose(TIME_STAMPING) || signer.extensions().key_usage.is_some_and(|usage| !usage.signs()) {
        findings.about(subject, Reason::TimestampUsage, &args);
        good = false;
    }
    if !signer.valid_at(at) {
        findings.about(subject, Reason::TimestampOutsideCert, &args);
        good = false;
    }
    let path = certificate::path(verifier, findings, Role::TimeStamp, &signer, at)?;
    // A later stamp over the whole document proves that this one was made before its authority was taken back.
    let proof = verifier.existed_by;
    let moment = Moment { used: proof.map_or(at, |by| by.max(at)), proven: proof.is_some(), now: verifier.context.now };
    let revocations = certificate::revocations(verifier, findings, Role::TimeStamp, &path, moment);
    good &= !revocations.unknown;
    for (certificate, revoked) in revocations.revoked {
        let reason = if revoked <= at {
            Reason::TimestampRevoked
        } else if moment.proven && revoked > moment.used {
            Reason::TimestampRevokedSince
        } else {
            Reason::TimestampRevokedNoPoe
        };
        let subject = certificate.subject();
        findings.about(subject, reason, &[("subject", subject.into()), ("revoked", revoked.into()), ("time", at.into())]);
        good &= reason == Reason::TimestampRevokedSince;
    }
    certificate::trust_list(verifier, findings, Layer::Time, path.region.as_deref());
    good.then_some(at)
}
