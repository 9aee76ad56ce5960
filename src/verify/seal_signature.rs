//! `SES_Signature`: the checks of ses.md §10 in the order of ARCHITECTURE §6. None hides another.

use jiff::Timestamp;

use super::catalogue::Arg;
use super::certificate;
use super::findings::Findings;
use super::reason::Reason;
use super::report::{Finding, Layer};
use super::seal::{self, Use, critical_extensions, nonstandard};
use super::time::{self, Evidence, Stamp};
use super::verifier::{About, Verifier};
use crate::pki::SealFacts;
use crate::pki::certificate::hex;
use crate::ses::{SesError, SesSignature, TimeInfo};
use crate::sm::{self, Sm2PublicKey, Sm2Signature, Sm3Digest};

/// The layers of a seal signature in a document.
pub(super) const LAYERS: [Layer; 7] =
    [Layer::Format, Layer::Integrity, Layer::Signature, Layer::Seal, Layer::Certificate, Layer::Time, Layer::Coverage];
/// The layers of one that comes as a file of its own: there is no document whose coverage could be judged.
pub(super) const LAYERS_BY_ITSELF: [Layer; 6] =
    [Layer::Format, Layer::Integrity, Layer::Signature, Layer::Seal, Layer::Certificate, Layer::Time];

/// Where a signed value was found.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    /// SM3 of the signed data, if they are at hand.
    pub digest: Option<Sm3Digest>,
    /// The signed file in an OFD.
    pub path: Option<&'a str>,
    /// A time that the document claims beside the signed value.
    pub claimed: Option<Timestamp>,
}

/// A seal, or seal signature, that cannot be read.
pub(super) fn unreadable<'f>(findings: &'f mut Findings, error: &SesError) -> &'f mut Finding {
    let reason = if matches!(error, SesError::Limit { .. }) { Reason::LimitExceeded } else { Reason::FormatValue };
    findings.add(reason, &[("what", error.into())])
}

/// Judges everything about a seal signature but its coverage.
pub(super) fn judge(verifier: &mut Verifier<'_>, findings: &mut Findings, signature: &SesSignature, place: Place<'_>) -> About {
    let mut about = About::new(seal::kind(signature.version()));
    form(findings, signature, place);
    data_hash(findings, signature, place.digest);

    let known = verifier.seal(signature.seal());
    let signer = match verifier.certificate(signature.signer_certificate()) {
        Ok(signer) => Some(signer),
        Err(error) => {
            let args = [("role", Arg::Word("role.signer")), ("what", error.into())];
            findings.add(Reason::FormatCertificate, &args);
            None
        }
    };
    if let Some(signer) = &signer {
        findings.reach(Layer::Signature);
        if let Some(key) = seal::sm2_key(findings, "role.signer", signature.signature_algorithm(), signer)
            && let Some(value) = seal::sm2_value(findings, signature.signature(), Reason::SigValueForm)
            && !signed(&known, signature, key, &value)
        {
            findings.about(signer.subject(), Reason::SigValue, &[("signer", signer.subject().short().into())]);
        }
    }

    let evidence = Evidence {
        claimed: signature.time_info().claimed().map(|time| time.instant),
        beside: place.claimed,
        stamp: stamp(signature),
    };
    let signing_time = time::signing_time(verifier, findings, &mut about, evidence);
    seal::judge(verifier, findings, &mut about, (signature.seal(), &known), Use::Signature(signing_time, signer.as_deref()));
    if let Some(signer) = &signer {
        about.signer = Some(certificate::signer(verifier, findings, signer, signing_time, Some(signature.seal())));
    }
    about
}

fn signed(known: &SealFacts, signature: &SesSignature, key: &Sm2PublicKey, value: &Sm2Signature) -> bool {
    let digest = known.signed_digest(key, signature.signed_bytes(), signature.seal_at());
    digest.is_some_and(|e| sm::verify_digest(key, &e, value))
}

fn form(findings: &mut Findings, signature: &SesSignature, place: Place<'_>) {
    for tolerance in signature.tolerances() {
        nonstandard(findings, tolerance.name());
    }
    if signature.has_version_mismatch() {
        let args = [("signature", signature.tbs_version().into()), ("seal", signature.seal().header_version().into())];
        findings.add(Reason::VersionMismatch, &args);
    }
    critical_extensions(findings, "role.signature", signature.extensions().iter().filter(|e| e.critical));
    if let Some(path) = place.path
        && names_another_place(signature.property_info(), path)
    {
        let args = [("property", signature.property_info().into()), ("place", path.into())];
        findings.add(Reason::PropertyInfoMismatch, &args);
    }
}

/// Whether propertyInfo, whose form is free (a path, JSON, or like JSON), names some other file than `path` and not that one.
fn names_another_place(property: &str, path: &str) -> bool {
    let mut places = property
        .split(|c: char| c.is_whitespace() || c.is_control() || "\"'{}[];,".contains(c))
        .map(|part| part.trim_start_matches([':', '/', '.']))
        .filter(|part| part.to_ascii_lowercase().ends_with(".xml"))
        .peekable();
    let path = path.trim_start_matches('/');
    places.peek().is_some()
        && !places.any(|place| path == place || path.strip_suffix(place).is_some_and(|dir| dir.ends_with('/')))
}

fn data_hash(findings: &mut Findings, signature: &SesSignature, digest: Option<Sm3Digest>) {
    findings.reach(Layer::Integrity);
    match digest {
        None => {
            findings.add(Reason::DataMissing, &[]);
        }
        Some(found) if signature.data_hash() != found.0 => {
            let args = [("found", found.into()), ("signed", hex(signature.data_hash()).into())];
            findings.add(Reason::DataHash, &args);
        }
        Some(_) => {}
    }
}

/// The time stamp: over the signature value, or (V1) inside timeInfo.
fn stamp(signature: &SesSignature) -> Option<Stamp<'_>> {
    if let Some(token) = signature.time_stamp() {
        return Some(Stamp { token, over: signature.signature(), or_digest: None, proves: true });
    }
    match signature.time_info() {
        // GM/T 0031-2014 does not say what this one stamps; it is signed itself, so it is older than the signature.
        TimeInfo::TimeStamp(token) => {
            Some(Stamp { token, over: signature.data_hash(), or_digest: Some(signature.data_hash()), proves: false })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn property_info_in_every_form_met_is_compared_with_the_place() {
        let path = "/Doc_0/Signs/Sign_0/Signature.xml";
        for good in [
            path,
            "Doc_0/Signs/Sign_0/Signature.xml",
            "Signature.xml",
            r#"{"DocId":"x","Entry":"/Doc_0/Signs/Sign_0/Signature.xml"}"#,
            r#"{"DocId":"x","Entry":"Sign_0/Signature.xml"}"#,
            r#"{"doc.DocID":"x";"ofd.Sign":"/Doc_0/Signs/Sign_0/Signature.xml"}"#,
            "",
            "whole document",
        ] {
            assert!(!names_another_place(good, path), "{good}");
        }
        for other in ["/Doc_0/Signs/Sign_1/Signature.xml", r#"{"Entry":"Sign_10/Signature.xml"}"#, "xSignature.xml"] {
            assert!(names_another_place(other, path), "{other}");
        }
    }
}
