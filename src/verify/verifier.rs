//! From a file of any kind to its report.

use std::collections::HashMap;
use std::io::{Read, Seek, SeekFrom};
use std::sync::Arc;

use jiff::Timestamp;

use super::catalogue::Arg;
use super::findings::Findings;
use super::looked_up::LookedUp;
use super::order::Order;
use super::reason::Reason;
use super::report::{FileFormat, Indication, Layer, Level, Report, SealPicture, SignatureKind, SignatureReport};
use super::seal_signature::{self, Place};
use super::{cms, ofd, pdf, seal};
use crate::pki::{Certificate, CertificateError, Enclosed, Known, PathFinder, SealFacts, TrustStore};
use crate::ses::{self, Kind, Seal, SesError, SesSignature};
use crate::sm::sm3;

/// Largest file that is read whole: a signed value or a seal by itself, as text. Real ones have up to 200 KB.
const MAX_VALUE: u64 = 16 << 20;
/// Bytes of certificates and of seal pictures that are kept of one document. Real documents have some ten kilobytes of each; hostile
/// ones could have as much as they are long.
const KEPT_CERTIFICATES: usize = 16 << 20;
const KEPT_PICTURES: usize = 16 << 20;
/// How much of a file is looked at to tell what it is: a PDF's header may stand in the first kilobyte.
const HEAD: u64 = 1024;

/// What a verdict rests on beside the file.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// Whom to believe.
    pub trust: &'a TrustStore,
    /// The moment of judging.
    pub now: Timestamp,
    /// The original data of a signed value that comes by itself.
    pub data: Option<&'a [u8]>,
    /// The certificate of a signature that carries none.
    pub signer_certificate: Option<&'a Arc<Certificate>>,
    /// The unified social credit code that policy or a licence requires of every signer.
    pub required_uscc: Option<&'a str>,
    /// What earlier documents of this run brought to light. It makes verdicts faster and never other.
    pub known: Option<&'a Known>,
    /// Whether policy requires a licence statement of every signer's registry.
    pub licence_required: bool,
    /// Is told what was looked up, by who can ask about it. It changes no verdict.
    pub looked_up: Option<&'a LookedUp>,
}

impl<'a> Context<'a> {
    /// Trust and time alone.
    pub fn new(trust: &'a TrustStore, now: Timestamp) -> Self {
        Self {
            trust,
            now,
            data: None,
            signer_certificate: None,
            required_uscc: None,
            known: None,
            licence_required: false,
            looked_up: None,
        }
    }
}

/// A file, wherever it is kept.
pub(super) trait Input: Read + Seek {}
impl<T: Read + Seek> Input for T {}

/// Judges one file. What it learned about certificates and seals on the way is used for all signatures of the file.
pub struct Verifier<'a> {
    pub(super) context: Context<'a>,
    pub(super) paths: PathFinder<'a>,
    /// Revocation data that the file brought.
    pub(super) enclosed: Enclosed,
    /// A good time stamp over the whole document proves that the signature being judged existed by then.
    pub(super) existed_by: Option<Timestamp>,
    certificates: HashMap<Vec<u8>, Result<Arc<Certificate>, CertificateError>>,
    certificate_room: usize,
    /// In the place of [`Context::known`] where none is given.
    own: Known,
    /// By the place in memory of what is known of the seal, which is kept beside: no other seal comes there meanwhile. The same picture may
    /// stand in two seals in two sizes.
    pictures: HashMap<usize, (Arc<SealFacts>, Arc<SealPicture>)>,
    picture_room: usize,
}

impl<'a> Verifier<'a> {
    /// Judges a file of any kind; its contents decide what it is. Every way in which it can be broken is a finding.
    pub fn verify(mut input: impl Read + Seek, context: &Context<'a>) -> Report {
        Self::judge(&mut input, context)
    }

    /// Compiled once for all kinds of input: the readers of OFD and PDF are a tenth of the program.
    fn judge(input: &mut dyn Input, context: &Context<'a>) -> Report {
        let mut verifier = Self::new(context);
        let mut head = Vec::new();
        if let Err(error) = (&mut *input).take(HEAD).read_to_end(&mut head).and_then(|_| input.seek(SeekFrom::Start(0))) {
            return verifier.unreadable(FileFormat::Unknown, Reason::FormatContainer, error);
        }
        match ses::detect(&head) {
            Kind::Ofd => ofd::verify(&mut verifier, input),
            Kind::Pdf => pdf::verify(&mut verifier, input),
            // Whether a longer value is one of ours its first kilobyte cannot tell.
            _ => {
                let mut bytes = Vec::new();
                match input.take(MAX_VALUE + 1).read_to_end(&mut bytes) {
                    Ok(length) if length as u64 > MAX_VALUE => {
                        verifier.unreadable(FileFormat::Unknown, Reason::FormatUnknown, "")
                    }
                    Ok(_) => verifier.value(&bytes),
                    Err(error) => verifier.unreadable(FileFormat::Unknown, Reason::FormatContainer, error),
                }
            }
        }
    }

    pub(super) fn new(context: &Context<'a>) -> Self {
        let mut paths = PathFinder::new(context.trust);
        if let Some(known) = context.known {
            paths.remember_with(known);
        }
        if let Some(certificate) = context.signer_certificate {
            paths.add(Arc::clone(certificate));
        }
        Self {
            context: *context,
            paths,
            enclosed: Enclosed::default(),
            existed_by: None,
            certificates: HashMap::new(),
            certificate_room: KEPT_CERTIFICATES,
            own: Known::new(),
            pictures: HashMap::new(),
            picture_room: KEPT_PICTURES,
        }
    }

    /// A signed value or a seal by itself.
    fn value(&mut self, bytes: &[u8]) -> Report {
        match ses::detect(bytes) {
            Kind::Text => match ses::decode_text(bytes) {
                // Text inside text is not looked into.
                Some(inner) if ses::detect(&inner) != Kind::Text => self.value(&inner),
                _ => self.unreadable(FileFormat::Unknown, Reason::FormatUnknown, ""),
            },
            Kind::Seal(_) => match Seal::parse(bytes) {
                Ok(seal) => {
                    let report = seal::by_itself(self, &seal);
                    self.report(FileFormat::Seal, Vec::new(), vec![report], Findings::default())
                }
                Err(error) => self.broken(FileFormat::Seal, &error),
            },
            Kind::Signature(_) => match SesSignature::parse(bytes) {
                Ok(signature) => {
                    let mut findings = Findings::default();
                    findings.reach(Layer::Format);
                    let digest = self.context.data.map(sm3);
                    let about =
                        seal_signature::judge(self, &mut findings, &signature, Place { digest, path: None, claimed: None });
                    let report = about.report("1", findings, &seal_signature::LAYERS_BY_ITSELF);
                    self.report(FileFormat::SesSignature, vec![report], Vec::new(), Findings::default())
                }
                Err(error) => self.broken(FileFormat::SesSignature, &error),
            },
            Kind::Cms => {
                let data = self.context.data;
                let report = cms::by_itself(self, bytes, data);
                self.report(FileFormat::Cms, vec![report], Vec::new(), Findings::default())
            }
            Kind::BareSignature => {
                let data = self.context.data;
                let report = cms::bare_by_itself(self, bytes, data);
                self.report(FileFormat::SesSignature, vec![report], Vec::new(), Findings::default())
            }
            _ => self.unreadable(FileFormat::Unknown, Reason::FormatUnknown, ""),
        }
    }

    /// A certificate of the file, read once, and from then on a candidate for paths.
    pub(super) fn certificate(&mut self, der: &[u8]) -> Result<Arc<Certificate>, CertificateError> {
        if let Some(known) = self.certificates.get(der) {
            return known.clone();
        }
        let read = self.known().certificate(der);
        let Some(room) = self.certificate_room.checked_sub(der.len()) else { return read };
        self.certificate_room = room;
        if let Ok(certificate) = &read {
            self.paths.add(Arc::clone(certificate));
        }
        self.certificates.insert(der.to_vec(), read.clone());
        read
    }

    fn known(&self) -> &Known {
        self.context.known.unwrap_or(&self.own)
    }

    /// What a seal's bytes tell, found out once for all signatures that carry it.
    pub(super) fn seal(&self, seal: &Seal) -> Arc<SealFacts> {
        self.known().seal(seal.raw())
    }

    /// A seal or seal signature that does not parse.
    fn broken(&self, format: FileFormat, error: &SesError) -> Report {
        let mut findings = Findings::default();
        seal_signature::unreadable(&mut findings, error);
        self.report(format, Vec::new(), Vec::new(), findings)
    }

    /// A file about which one finding says all.
    pub(super) fn unreadable(&self, format: FileFormat, reason: Reason, what: impl ToString) -> Report {
        let mut findings = Findings::default();
        findings.add(reason, &[("what", Arg::from(what))]);
        self.report(format, Vec::new(), Vec::new(), findings)
    }

    /// The picture of a seal, kept once for all signatures that carry it while there is room.
    pub(super) fn picture(&mut self, seal: &Seal, known: &Arc<SealFacts>) -> Option<Arc<SealPicture>> {
        let place = Arc::as_ptr(known).addr();
        if !self.pictures.contains_key(&place) {
            let picture = seal.picture();
            self.picture_room = self.picture_room.checked_sub(picture.data.len())?;
            let kept = SealPicture {
                format: picture.format,
                data: picture.data.clone(),
                width_mm: picture.width_mm,
                height_mm: picture.height_mm,
            };
            self.pictures.insert(place, (Arc::clone(known), Arc::new(kept)));
        }
        self.pictures.get(&place).map(|(_, picture)| Arc::clone(picture))
    }

    /// The report: the file is as good as the worst of all that was found.
    pub(super) fn report(
        &self,
        format: FileFormat,
        signatures: Vec<SignatureReport>,
        seals: Vec<SignatureReport>,
        findings: Findings,
    ) -> Report {
        let findings = findings.conclude(&[]).findings;
        let of_file = findings.iter().map(|f| match f.level {
            Level::Error => Indication::TotalFailed,
            Level::Indeterminate => Indication::Indeterminate,
            Level::Warning | Level::Info => Indication::TotalPassed,
        });
        let worst = signatures.iter().chain(&seals).map(|s| s.indication).chain(of_file).max();
        // Nothing found is nothing proven.
        let nothing = signatures.is_empty() && seals.is_empty();
        let indication = worst.unwrap_or(Indication::Indeterminate).max(if nothing {
            Indication::Indeterminate
        } else {
            Indication::TotalPassed
        });
        let order = Order::of(&signatures, &findings);
        Report { format, indication, verified_at: self.context.now, signatures, order, seals, findings, asked: Vec::new() }
    }
}

/// All that is reported of a signature beside its findings.
#[derive(Debug)]
pub(super) struct About {
    pub kind: SignatureKind,
    pub signer: Option<super::report::Signer>,
    pub seal: Option<super::report::SealSummary>,
    pub seal_picture: Option<Arc<SealPicture>>,
    pub signed_at: Option<Timestamp>,
    pub time_source: Option<super::report::TimeSource>,
    pub uncovered: Vec<String>,
}

impl About {
    /// Nothing known yet but the kind.
    pub fn new(kind: SignatureKind) -> Self {
        Self { kind, signer: None, seal: None, seal_picture: None, signed_at: None, time_source: None, uncovered: Vec::new() }
    }

    /// The report about the signature.
    pub fn report(self, id: &str, findings: Findings, applies: &[Layer]) -> SignatureReport {
        let conclusion = findings.conclude(applies);
        SignatureReport {
            id: id.to_owned(),
            kind: self.kind,
            indication: conclusion.indication,
            sub_indication: conclusion.sub_indication,
            layers: conclusion.layers,
            findings: conclusion.findings,
            signer: self.signer,
            seal: self.seal,
            signed_at: self.signed_at,
            time_source: self.time_source,
            uncovered: self.uncovered,
            seal_picture: self.seal_picture,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ses::{CertList, Picture, SealDraft, Version};
    use crate::sm::Sm2Signature;

    #[test]
    fn one_picture_in_two_seals_is_shown_in_the_size_of_each() {
        let seal = |mm| {
            let draft = SealDraft {
                es_id: "44030000000001".to_owned(),
                vid: "VENDOR".to_owned(),
                kind: 1,
                name: "深圳市测试有限公司".to_owned(),
                cert_list: CertList::Certificates(vec![b"signer's certificate".to_vec()]),
                created: Timestamp::UNIX_EPOCH,
                valid_from: Timestamp::UNIX_EPOCH,
                valid_to: "2030-01-01T00:00:00Z".parse().unwrap(),
                picture: Picture::new("PNG", b"\x89PNG\r\n\x1a\n picture".to_vec(), mm, mm),
                extensions: Vec::new(),
            };
            let value = Sm2Signature { r: [0x81; 32], s: [0x42; 32] };
            draft.to_be_signed(Version::V4, b"maker's certificate").unwrap().assemble(&value).unwrap()
        };
        let trust = TrustStore::empty();
        let mut verifier = Verifier::new(&Context::new(&trust, Timestamp::UNIX_EPOCH));
        for mm in [40, 58, 40] {
            let seal = seal(mm);
            let known = verifier.seal(&seal);
            assert_eq!(verifier.picture(&seal, &known).map(|picture| picture.width_mm), Some(mm));
        }
    }
}
