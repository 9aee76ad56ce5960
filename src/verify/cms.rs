//! SignedData (GB/T 35275, PKCS#7) and bare SM2 signatures: what was signed, by whom, when (ofd-signature.md §5, pdf-signature.md §2).

use std::io::{self, Write};
use std::sync::Arc;

use base64::Engine as _;
use jiff::Timestamp;

use super::catalogue::Arg;
use super::certificate;
use super::findings::Findings;
use super::reason::Reason;
use super::report::{Layer, SignatureKind, SignatureReport, TimeSource};
use super::seal::{nonstandard, sm2_value};
use super::time::{self, Evidence, Stamp};
use super::verifier::{About, Verifier};
use crate::asn1::{Oid, SET, oid};
use crate::cms::{CmsError, SignedData, SignerInfo, limits};
use crate::pki::certificate::hex;
use crate::pki::enclosed::REVOCATION_INFO_ARCHIVAL;
use crate::pki::signature::{self, Algorithm, Hash, PublicKey};
use crate::pki::{Certificate, TimeStampToken};
use crate::sm::{self, Sm2Digest, Sm3};

/// The layers of SignedData in a document: it has no seal.
pub(super) const LAYERS: [Layer; 6] =
    [Layer::Format, Layer::Integrity, Layer::Signature, Layer::Certificate, Layer::Time, Layer::Coverage];
/// The layers of one that comes as a file of its own.
const LAYERS_BY_ITSELF: [Layer; 5] = [Layer::Format, Layer::Integrity, Layer::Signature, Layer::Certificate, Layer::Time];

/// Bytes that were signed and are not in memory.
pub(super) trait SignedBytes {
    /// Their digest, where it is known.
    fn digest(&mut self, hash: Hash) -> Option<Vec<u8>>;
    /// Writes all of them, from the start.
    fn pour(&mut self, out: &mut dyn Write) -> io::Result<()>;
}

/// The data of a detached signature.
pub(super) enum Data<'a> {
    /// Not at hand.
    Missing,
    /// In memory.
    Whole(&'a [u8]),
    /// In a file.
    Stream(&'a mut dyn SignedBytes),
}

impl<'a> Data<'a> {
    /// Data in memory.
    pub fn whole(bytes: &'a [u8]) -> Self {
        Self::Whole(bytes)
    }

    fn pour(&mut self, out: &mut dyn Write) -> Option<()> {
        match self {
            Self::Missing => None,
            Self::Whole(bytes) => out.write_all(bytes).ok(),
            Self::Stream(source) => source.pour(out).ok(),
        }
    }

    fn digest(&mut self, hash: Hash) -> Option<Vec<u8>> {
        match self {
            Self::Missing => None,
            Self::Whole(bytes) => Some(hash.digest(bytes)),
            Self::Stream(source) => source.digest(hash),
        }
    }

    /// `e` of SM2 over the data.
    fn sm2_digest(&mut self, key: &sm::Sm2PublicKey) -> Option<Sm2Digest> {
        let mut digest = Sm3::new();
        digest.update(&ukey::sm2::z_value(sm::DEFAULT_ID, key)?);
        self.pour(&mut digest)?;
        Some(Sm2Digest::from_bytes(digest.finish().0))
    }

    /// Whether a signature over somebody's attributes could be passed off as one over these data ([`SignerInfo::signature_input`]).
    fn looks_like_attributes(&mut self, signer: &SignerInfo) -> bool {
        match self {
            Self::Missing => false,
            Self::Whole(bytes) => signer.signature_input(bytes).is_err(),
            Self::Stream(source) => {
                let mut set = SetOnly::default();
                match source.pour(&mut set) {
                    Ok(()) => signer.signature_input(&set.bytes).is_err(),
                    // What cannot be read is not known to be harmless.
                    Err(_) => !set.is_other,
                }
            }
        }
    }

    /// Whether the data are exactly these bytes.
    fn is(&mut self, bytes: &[u8]) -> bool {
        match self {
            Self::Missing => false,
            Self::Whole(whole) => *whole == bytes,
            Self::Stream(_) => self.digest(Hash::Sm3).is_some_and(|digest| digest == Hash::Sm3.digest(bytes)),
        }
    }
}

/// Keeps what may be a SET of attributes, and wants no more of anything else.
#[derive(Default)]
struct SetOnly {
    bytes: Vec<u8>,
    is_other: bool,
}

impl Write for SetOnly {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes.extend(bytes);
        // No SignedData that this program reads has room for more attributes.
        self.is_other = self.bytes.first().is_some_and(|tag| *tag != SET) || self.bytes.len() > limits::BYTES;
        if self.is_other { Err(io::ErrorKind::InvalidData.into()) } else { Ok(bytes.len()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The report about a file that is SignedData.
pub(super) fn by_itself(verifier: &mut Verifier<'_>, bytes: &[u8], data: Option<&[u8]>) -> SignatureReport {
    let mut findings = Findings::default();
    let about = judge(verifier, &mut findings, bytes, data.map_or(Data::Missing, Data::Whole), None);
    about.report("1", findings, &LAYERS_BY_ITSELF)
}

/// The report about a file that is an SM2 signature and nothing else.
pub(super) fn bare_by_itself(verifier: &mut Verifier<'_>, bytes: &[u8], data: Option<&[u8]>) -> SignatureReport {
    let mut findings = Findings::default();
    let about = bare(verifier, &mut findings, bytes, data, None);
    about.report("1", findings, &LAYERS_BY_ITSELF)
}

/// `r, s` over the data themselves (old ofdrw); the certificate comes from outside.
pub(super) fn bare(
    verifier: &mut Verifier<'_>,
    findings: &mut Findings,
    bytes: &[u8],
    data: Option<&[u8]>,
    claimed: Option<Timestamp>,
) -> About {
    let mut about = About::new(SignatureKind::Bare);
    findings.reach(Layer::Format);
    findings.reach(Layer::Integrity);
    if data.is_none() {
        findings.add(Reason::DataMissing, &[]);
    }
    let value = sm2_value(findings, bytes, Reason::SigValueForm);
    let time = time::signing_time(verifier, findings, &mut about, Evidence { claimed, ..Evidence::default() });
    let Some(signer) = verifier.context.signer_certificate.cloned() else {
        findings.add(Reason::SignerCertMissing, &[]);
        return about;
    };
    match signer.key() {
        PublicKey::Sm2(key) => {
            if let (Some(value), Some(data)) = (value, data) {
                findings.reach(Layer::Signature);
                if !sm::verify(key, data, &value) {
                    findings.about(signer.subject(), Reason::SigValue, &[("signer", signer.subject().short().into())]);
                }
            }
        }
        other => key_differs(findings, Algorithm::Sm2Sm3, other),
    }
    about.signer = Some(certificate::signer(verifier, findings, &signer, time, None));
    about
}

/// Judges SignedData over `data`. `claimed` is a time beside it.
pub(super) fn judge(
    verifier: &mut Verifier<'_>,
    findings: &mut Findings,
    bytes: &[u8],
    mut data: Data<'_>,
    claimed: Option<Timestamp>,
) -> About {
    let mut about = About::new(SignatureKind::Gbt35275);
    findings.reach(Layer::Format);
    let value = match SignedData::parse_padded(bytes) {
        Ok(padded) => {
            if !padded.after.is_empty() {
                nonstandard(findings, "trailing-value");
            }
            padded.signed_data
        }
        Err(error) => {
            let reason = if matches!(error, CmsError::Limit { .. }) { Reason::LimitExceeded } else { Reason::FormatValue };
            findings.add(reason, &[("what", error.into())]);
            return about;
        }
    };
    for tolerance in value.tolerances() {
        nonstandard(findings, tolerance.name());
    }
    match value.content_type() {
        oid::GM_DATA | oid::PKCS7_DATA => {}
        other => {
            // A signature over something that only looks like the digest of a document.
            findings.add(Reason::FormatValue, &[("what", format!("contentInfo: {other}").into())]);
        }
    }
    unsigned_fields(findings, &value);
    let mut read = Vec::new();
    for der in value.certificates() {
        // One that cannot be read helps nobody; whether it was needed shows when the signer's is looked for.
        read.extend(verifier.certificate(der).ok());
    }
    enclosed(verifier, &value);
    if value.signers().is_empty() {
        findings.add(Reason::FormatValue, &[("what", "signerInfos: 0".into())]);
    }
    for (i, signer) in value.signers().iter().enumerate() {
        let judged = one(verifier, findings, &value, signer, &mut data, claimed);
        if i == 0 {
            about = judged;
        }
    }
    about
}

/// Revocation data that came along. What cannot be read is as good as absent: other data may be at hand.
pub(super) fn enclosed(verifier: &mut Verifier<'_>, value: &SignedData) {
    value.crls().iter().for_each(|crl| verifier.enclosed.add_crl(crl));
    for attributes in value.signers().iter().filter_map(|signer| signer.attributes()) {
        for archival in attributes.all().iter().filter(|attribute| attribute.oid() == REVOCATION_INFO_ARCHIVAL) {
            for der in &archival.values {
                let _ = verifier.enclosed.add_archival(der);
            }
        }
    }
}

/// The time stamp token at the start of the contents of a PDF field (SubFilter `ETSI.RFC3161`), if it is one.
pub(super) fn time_stamp_token(contents: &[u8]) -> Option<Vec<u8>> {
    let value = SignedData::parse_padded(contents).ok()?.signed_data;
    (value.content_type() == oid::TST_INFO).then(|| value.raw().to_vec())
}

/// A time stamp over a document: it says when, and nobody agrees to anything by it. Only PDF has such fields; in the place of an OFD's
/// signature it would be a pass that anyone can buy.
pub(super) fn document_time_stamp(
    verifier: &mut Verifier<'_>,
    findings: &mut Findings,
    token: &[u8],
    mut data: Data<'_>,
) -> About {
    let mut about = About::new(SignatureKind::Gbt35275);
    for layer in [Layer::Integrity, Layer::Signature, Layer::Certificate] {
        findings.reach(layer);
    }
    match TimeStampToken::parse(token) {
        Err(error) => {
            findings.add(Reason::FormatTimeStamp, &[("what", error.into())]);
        }
        Ok(token) => match data.digest(token.hash()) {
            None => {
                findings.add(Reason::DataMissing, &[]);
            }
            Some(found) => {
                about.signed_at = time::judge_token(verifier, findings, "role.document", &token, &found);
                about.time_source = about.signed_at.map(|_| TimeSource::Timestamp);
            }
        },
    }
    about
}

/// Fields that no signature covers and nothing here rests on: what they say wrongly is told, since nobody else would notice.
fn unsigned_fields(findings: &mut Findings, value: &SignedData) {
    let listed = |signer: &SignerInfo| value.digest_algorithms().iter().any(|a| a.oid() == signer.digest_algorithm().oid());
    if !value.signers().iter().all(listed) {
        nonstandard(findings, "cms-digest-algorithms");
    }
    if !(1..=5).contains(&value.version()) || value.signers().iter().any(|s| !matches!(s.version(), 1 | 3)) {
        nonstandard(findings, "cms-version");
    }
}

/// The algorithms of a signer, as far as they are judged.
enum Judgeable {
    Yes(Algorithm, Hash),
    /// Known, and not acceptable.
    Refused,
    /// Not judged here.
    No,
}

fn algorithms(signer: &SignerInfo, candidates: &[Arc<Certificate>]) -> Judgeable {
    /// Families whose signatures could be good but are not judged here: RSA-PSS, Ed25519.
    const UNJUDGED: [Oid<'static>; 2] = [Oid(b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a"), Oid(b"\x2b\x65\x70")];
    let signature = signer.signature_algorithm().oid();
    let hash = Hash::from_oid(signer.digest_algorithm().oid());
    match (hash, Algorithm::from_oid(signature, hash)) {
        (Some(hash @ Hash::Sm3), Some(algorithm @ Algorithm::Sm2Sm3)) => Judgeable::Yes(algorithm, hash),
        (Some(hash), Some(algorithm @ (Algorithm::Rsa(by) | Algorithm::Ecdsa(by)))) if by == hash => {
            let other = |certificate: &Arc<Certificate>| matches!(certificate.key(), PublicKey::OtherCurve(_));
            // Which curve it is the certificate alone says.
            if matches!(algorithm, Algorithm::Ecdsa(_)) && !candidates.is_empty() && candidates.iter().all(other) {
                Judgeable::No
            } else {
                Judgeable::Yes(algorithm, hash)
            }
        }
        (Some(Hash::Sha256 | Hash::Sha384 | Hash::Sha512), _) if UNJUDGED.contains(&signature) => Judgeable::No,
        _ => Judgeable::Refused,
    }
}

/// One signer.
fn one(
    verifier: &mut Verifier<'_>,
    findings: &mut Findings,
    value: &SignedData,
    signer: &SignerInfo,
    data: &mut Data<'_>,
    claimed: Option<Timestamp>,
) -> About {
    let mut about = About::new(SignatureKind::Gbt35275);
    let name = signer.signature_algorithm().oid();
    let mut candidates: Vec<Arc<Certificate>> = Vec::new();
    for der in value.certificates_of(signer) {
        candidates.extend(verifier.certificate(der).ok());
    }
    candidates.extend(verifier.context.signer_certificate.cloned());
    let judgeable = match algorithms(signer, &candidates) {
        Judgeable::Yes(algorithm, hash) => {
            if algorithm != Algorithm::Sm2Sm3 {
                about.kind = SignatureKind::Pades;
                findings.add(Reason::NotSm2Judged, &[("algorithm", name.into())]);
            }
            integrity(findings, value, signer, hash, data);
            Some(algorithm)
        }
        Judgeable::No => {
            about.kind = SignatureKind::Unsupported;
            let curve = candidates.first().map(|certificate| certificate.key());
            let algorithm = match curve {
                Some(PublicKey::OtherCurve(curve)) => format!("{name} ({curve})"),
                _ => name.dotted(),
            };
            findings.add(Reason::NotSm2Unjudged, &[("algorithm", algorithm.into())]);
            None
        }
        Judgeable::Refused => {
            let digest = signer.digest_algorithm().oid();
            let args = [("role", Arg::Word("role.signer")), ("algorithm", format!("{name} / {digest}").into())];
            findings.add(Reason::AlgorithmNotAccepted, &args);
            None
        }
    };

    let evidence = Evidence {
        claimed: signer.attributes().and_then(|a| a.signing_time()).map(|time| time.instant),
        beside: claimed,
        stamp: signer.time_stamps().next().map(|token| Stamp { token, over: signer.signature(), or_digest: None, proves: true }),
    };
    let time = time::signing_time(verifier, findings, &mut about, evidence);

    if candidates.is_empty() {
        findings.add(Reason::SignerCertMissing, &[]);
        return about;
    }
    let good = judgeable.and_then(|algorithm| {
        findings.reach(Layer::Signature);
        candidates.iter().position(|c| is_signed_by(value, signer, algorithm, c, data))
    });
    let certificate = Arc::clone(&candidates[good.unwrap_or(0)]);
    if let (Some(algorithm), None) = (judgeable, good) {
        wrong_value(findings, value, signer, algorithm, &certificate, data);
    }
    about.signer = Some(certificate::signer(verifier, findings, &certificate, time, None));
    about
}

/// Why no certificate fits the value.
fn wrong_value(
    findings: &mut Findings,
    value: &SignedData,
    signer: &SignerInfo,
    algorithm: Algorithm,
    certificate: &Certificate,
    data: &Data<'_>,
) {
    match (algorithm, certificate.key()) {
        // Nothing to check the value over; that the data are missing is said already.
        _ if signer.attributes().is_none() && value.content().is_none() && matches!(data, Data::Missing) => {}
        (Algorithm::Sm2Sm3, PublicKey::Sm2(_))
        | (Algorithm::Rsa(_), PublicKey::Rsa { .. })
        | (Algorithm::Ecdsa(_), PublicKey::P256(_) | PublicKey::P384(_)) => {
            let form = algorithm == Algorithm::Sm2Sm3 && sm::read_signature(signer.signature()).is_err();
            let reason = if form { Reason::SigValueForm } else { Reason::SigValue };
            findings.about(certificate.subject(), reason, &[("signer", certificate.subject().short().into())]);
        }
        (algorithm, other) => key_differs(findings, algorithm, other),
    }
}

fn key_differs(findings: &mut Findings, algorithm: Algorithm, key: &PublicKey) {
    let args = [("role", Arg::Word("role.signer")), ("algorithm", algorithm.family().into()), ("key", key.name().into())];
    findings.add(Reason::AlgorithmKeyDiffers, &args);
}

/// Whether what was signed is about the data: messageDigest, or the content in one of the forms met.
fn integrity(findings: &mut Findings, value: &SignedData, signer: &SignerInfo, hash: Hash, data: &mut Data<'_>) {
    findings.reach(Layer::Integrity);
    let content = value.content();
    if let Some(attributes) = signer.attributes() {
        let found = match content {
            Some(content) => Some(hash.digest(content)),
            None => data.digest(hash),
        };
        match found {
            Some(found) if found != attributes.message_digest() => {
                let args = [("found", hex(&found).into()), ("signed", hex(attributes.message_digest()).into())];
                findings.add(Reason::MessageDigest, &args);
            }
            Some(_) => {}
            None => {
                findings.add(Reason::DataMissing, &[]);
            }
        }
    }
    match (content, &data) {
        // Attached content is the data, unless it only looks like a digest of data that are elsewhere.
        (Some(content), Data::Missing) => {
            if content.len() == 32 || decoded_digest(content).is_some() {
                findings.add(Reason::DataMissing, &[]);
            }
        }
        (Some(content), _) => {
            let digest = data.digest(hash).unwrap_or_default();
            let is_digest = content == digest || decoded_digest(content).is_some_and(|decoded| decoded == digest);
            if !is_digest && !data.is(content) {
                let shown = decoded_digest(content).unwrap_or_else(|| content[..content.len().min(64)].to_vec());
                findings.add(Reason::DataHash, &[("found", hex(&digest).into()), ("signed", hex(&shown).into())]);
            }
        }
        (None, Data::Missing) if signer.attributes().is_none() => {
            findings.add(Reason::DataMissing, &[]);
        }
        (None, _) => {}
    }
}

/// A digest of 32 bytes in base64, as ofdrw offers it for readers that want it.
fn decoded_digest(content: &[u8]) -> Option<Vec<u8>> {
    (content.len() <= 64)
        .then(|| base64::engine::general_purpose::STANDARD.decode(content.trim_ascii()).ok())
        .flatten()
        .filter(|decoded| decoded.len() == 32)
}

/// Whether `certificate`'s key made the value: over the attributes as they stand, the content, or the data, whose digest alone is signed
/// where there are no attributes (RFC 5652 clause 5.4).
fn is_signed_by(
    value: &SignedData,
    signer: &SignerInfo,
    algorithm: Algorithm,
    certificate: &Certificate,
    data: &mut Data<'_>,
) -> bool {
    let inside = signer.attributes().is_some().then_some(&[][..]).or(value.content());
    let made = signer.signature();
    match (inside, algorithm, certificate.key()) {
        (Some(content), Algorithm::Sm2Sm3, PublicKey::Sm2(key)) => {
            let Ok((made, _)) = sm::read_signature(made) else { return false };
            signer.signature_input(content).is_ok_and(|message| sm::verify(key, &message, &made))
        }
        (Some(content), _, key) => {
            signer.signature_input(content).is_ok_and(|message| signature::verify(key, algorithm, &message, made).is_ok())
        }
        (None, _, _) if data.looks_like_attributes(signer) => false,
        (None, Algorithm::Sm2Sm3, PublicKey::Sm2(key)) => {
            let Ok((made, _)) = sm::read_signature(made) else { return false };
            data.sm2_digest(key).is_some_and(|e| sm::verify_digest(key, &e, &made))
        }
        (None, Algorithm::Rsa(hash) | Algorithm::Ecdsa(hash), key) => {
            data.digest(hash).is_some_and(|digest| signature::verify_digest(key, algorithm, &digest, made).is_ok())
        }
        (None, Algorithm::Sm2Sm3, _) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_may_be_attributes_is_kept_of_a_stream() {
        let mut set = SetOnly::default();
        assert!(set.write_all(&[SET, 1]).and_then(|()| set.write_all(&[5])).is_ok());
        assert_eq!((set.bytes.as_slice(), set.is_other), ([SET, 1, 5].as_slice(), false));
        assert!(set.write_all(&vec![0; limits::BYTES]).is_err() && set.is_other, "a set longer than any SignedData");
        let mut other = SetOnly::default();
        assert!(other.write_all(b"%PDF-1.7").is_err() && other.is_other);
    }
}
