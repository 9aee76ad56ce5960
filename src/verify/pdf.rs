//! Signatures in PDF: ranges, contents, and what later revisions did (pdf-signature.md §6).

use std::collections::HashMap;
use std::io::{self, Read, Seek, SeekFrom, Write};

use jiff::Timestamp;

use super::carried;
use super::catalogue::{self, Arg, Words};
use super::cms::{self, Data, SignedBytes};
use super::findings::Findings;
use super::reason::Reason;
use super::report::{FileFormat, Indication, Layer, Report, SignatureKind};
use super::seal::nonstandard;
use super::seal_signature::{self, Place};
use super::verifier::{About, Input, Verifier};
use crate::pdf::{
    ByteRange, Change, Digests, Document, FieldState, PdfError, PdfSignature, Permitted, SignaturePurpose, Tolerance,
    ValidationKind, ValidationValue,
};
use crate::pki::signature::Hash;
use crate::ses::{self, Kind, SesSignature};

/// SubFilters whose contents are one of the values judged here (pdf-signature.md §3): anything else under them is damage.
const KNOWN: [&str; 6] =
    ["fxit.sm.detached", "GM.sm2seal", "GM.sm2cms.detached", "adbe.pkcs7.detached", "ETSI.CAdES.detached", "ETSI.RFC3161"];
/// Most changes told of one signature.
const TOLD: usize = 20;
/// Most ambiguities told of each signature; one is enough.
const AMBIGUITIES: usize = 3;

/// Judges a PDF.
pub(super) fn verify(verifier: &mut Verifier<'_>, source: &mut dyn Input) -> Report {
    let mut findings = Findings::default();
    let mut document = match Document::open(source) {
        Ok(document) => document,
        Err(error) => return unreadable(verifier, findings, &error),
    };
    let signatures = match document.signatures() {
        Ok(signatures) => signatures,
        Err(error) => return unreadable(verifier, findings, &error),
    };
    let pictures = match document.unsigned_pictures() {
        Ok(pictures) => pictures,
        Err(error) => return unreadable(verifier, findings, &error),
    };
    if document.encryption().is_some() {
        findings.add(Reason::VersionUnsupported, &[("what", Arg::Word("thing.encrypted"))]);
    }
    for tolerance in document.tolerances() {
        nonstandard(&mut findings, tolerance_name(*tolerance));
    }
    for page in pictures {
        let page = Words { en: format!("page {}", page + 1), zh: format!("第 {} 页", page + 1) };
        findings.about(page.en.clone(), Reason::ImageOnly, &[("path", Arg::Both(page))]);
    }
    if signatures.iter().any(|s| s.state == FieldState::UsageRights) {
        nonstandard(&mut findings, "pdf-usage-rights");
    }
    take(verifier, &signatures, &document.validation_values());
    let ambiguities: Vec<Words> = document
        .ambiguities()
        .iter()
        .take(AMBIGUITIES)
        .map(|ambiguity| Words {
            en: format!("readers disagree about what it is: {ambiguity}"),
            zh: format!("不同的阅读器会看到不同的文档（{ambiguity}）"),
        })
        .collect();
    let mut source = document.into_inner();

    // Usage rights of Adobe Reader vouch for nothing that a document says.
    let shown: Vec<&PdfSignature> = signatures.iter().filter(|s| s.state != FieldState::UsageRights).collect();
    let stamps = document_time_stamps(verifier, &mut source, &shown);
    let mut judged: Vec<Judged<'_>> = Vec::new();
    for (i, field) in shown.iter().enumerate() {
        verifier.existed_by = proven(&stamps, field);
        let mut one = signature(verifier, &mut source, i, field);
        for ambiguity in &ambiguities {
            one.findings.add(Reason::FormatContainer, &[("what", Arg::Both(ambiguity.clone()))]);
        }
        judged.push(one);
    }
    later_signatures(&mut judged);
    if !judged.iter().any(|one| one.agrees) {
        findings.add(Reason::NoSignature, &[]);
    }
    let reports = judged.into_iter().map(|one| one.about.report(&one.id, one.findings, one.layers)).collect();
    verifier.report(FileFormat::Pdf, reports, Vec::new(), findings)
}

/// Takes certificates and revocation data from signed values and `/DSS`, in the order in which the file grew: room and patience are
/// limited, and what somebody appended must take them from nothing that was there. Broken ones are left out: they only lack.
fn take(verifier: &mut Verifier<'_>, signatures: &[PdfSignature], validation: &[ValidationValue]) {
    enum Source<'a> {
        Signature(&'a PdfSignature),
        Validation(&'a ValidationValue),
    }
    let place = |field: &PdfSignature| field.byte_range.map_or(u64::MAX, |range| range.first_end);
    let signed = signatures.iter().map(|field| (place(field), Source::Signature(field)));
    let mut sources: Vec<_> = signed.chain(validation.iter().map(|value| (value.offset, Source::Validation(value)))).collect();
    sources.sort_by_key(|(place, _)| *place);
    for (_, source) in sources {
        match source {
            Source::Signature(field) => carried::take(verifier, &field.contents),
            Source::Validation(ValidationValue { kind, der, .. }) => match kind {
                ValidationKind::Certificate => drop(verifier.certificate(der)),
                ValidationKind::Crl => verifier.enclosed.add_crl(der),
                ValidationKind::OcspResponse => verifier.enclosed.add_response(der),
            },
        }
    }
}

/// The earliest time at which a good time stamp over the document proves that this field was there.
fn proven(stamps: &[(u64, Timestamp)], field: &PdfSignature) -> Option<Timestamp> {
    let covers = |(first_end, _): &&(u64, Timestamp)| field.byte_range.is_ok_and(|range| range.end <= *first_end);
    stamps.iter().filter(covers).map(|(_, time)| *time).min()
}

/// Where the first range of each good time stamp over the document ends, and its time: what lies before that existed by then. The last
/// one first: it proves those under it, whose authorities may have gone since.
fn document_time_stamps<R: Read + Seek>(
    verifier: &mut Verifier<'_>,
    source: &mut R,
    shown: &[&PdfSignature],
) -> Vec<(u64, Timestamp)> {
    let mut out = Vec::new();
    for field in shown.iter().rev().filter(|field| field.purpose == SignaturePurpose::DocTimeStamp) {
        let (Ok(range), Some(digests)) = (&field.byte_range, &field.digests) else { continue };
        let Some(token) = cms::time_stamp_token(&field.contents) else { continue };
        let mut range = Range { source: &mut *source, range: *range, digests };
        let first_end = range.range.first_end;
        verifier.existed_by = proven(&out, field);
        // Its findings are told where the stamp itself is judged.
        let judged = cms::document_time_stamp(verifier, &mut Findings::default(), &token, Data::Stream(&mut range));
        out.extend(judged.signed_at.map(|time| (first_end, time)));
    }
    out
}

fn unreadable(verifier: &Verifier<'_>, mut findings: Findings, error: &PdfError) -> Report {
    match error {
        PdfError::Encrypted => findings.add(Reason::VersionUnsupported, &[("what", Arg::Word("thing.encrypted"))]),
        PdfError::Limit(_) => findings.add(Reason::LimitExceeded, &[("what", error.into())]),
        // Some arise in signing alone; were one met here, the file would be none that can be judged.
        _ => findings.add(Reason::FormatContainer, &[("what", error.into())]),
    };
    verifier.report(FileFormat::Pdf, Vec::new(), Vec::new(), findings)
}

fn tolerance_name(tolerance: Tolerance) -> &'static str {
    match tolerance {
        Tolerance::GenerationOutOfRange => "pdf-generation-out-of-range",
        Tolerance::TrailingWhiteSpace => "pdf-trailing-white-space",
        Tolerance::UsedEntryAtZero => "pdf-used-entry-at-zero",
    }
}

/// A field whose own checks are done.
struct Judged<'a> {
    id: String,
    field: &'a PdfSignature,
    about: About,
    findings: Findings,
    layers: &'static [Layer],
    /// Whether somebody agrees to the document by it; a time stamp is nobody's agreement.
    agrees: bool,
}

fn signature<'a, R: Read + Seek>(
    verifier: &mut Verifier<'_>,
    source: &mut R,
    index: usize,
    field: &'a PdfSignature,
) -> Judged<'a> {
    let id = field.field.clone().filter(|name| !name.is_empty()).unwrap_or_else(|| format!("{}", index + 1));
    let mut findings = Findings::default();
    findings.reach(Layer::Format);
    if field.state == FieldState::Orphan {
        findings.about(&id, Reason::FormatValue, &[("what", Arg::Word("thing.orphan"))]);
    }
    if let Err(fault) = field.byte_range {
        let zh = catalogue::word(&format!("range.{fault:?}")).map_or_else(|| fault.to_string(), |words| words.zh.clone());
        findings.about(&id, Reason::ByteRange, &[("what", Arg::Both(Words { en: fault.to_string(), zh }))]);
    }
    for change in field.changes.iter().take(TOLD) {
        findings.about(&id, Reason::ChangedAfterSigning, &[("what", Arg::Both(changed(change)))]);
    }
    if !field.trailing.is_empty() {
        nonstandard(&mut findings, "trailing-value");
    }
    let (about, layers) = value(verifier, source, &id, field, &mut findings);
    let agrees = field.purpose == SignaturePurpose::Signature && cms::time_stamp_token(&field.contents).is_none();
    Judged { id, field, about, findings, layers, agrees }
}

/// The signed value: its contents decide what it is, the SubFilter only what else it could be.
fn value<R: Read + Seek>(
    verifier: &mut Verifier<'_>,
    source: &mut R,
    id: &str,
    field: &PdfSignature,
    findings: &mut Findings,
) -> (About, &'static [Layer]) {
    let unsupported = || (About::new(SignatureKind::Unsupported), seal_signature::LAYERS.as_slice());
    // A range that does not fit covers nothing that could be compared; all else is judged.
    let mut range = match (&field.byte_range, &field.digests) {
        (Ok(range), Some(digests)) => Some(Range { source, range: *range, digests }),
        _ => None,
    };
    match ses::detect(&field.contents) {
        Kind::Signature(_) => match SesSignature::parse(&field.contents) {
            Ok(signature) => {
                let digest = range.map(|range| range.digests.sm3);
                let place = Place { digest, path: None, claimed: field.claimed_time };
                let about = seal_signature::judge(verifier, findings, &signature, place);
                (about, seal_signature::LAYERS.as_slice())
            }
            Err(error) => {
                seal_signature::unreadable(findings, &error).subject = Some(catalogue::harmless(id));
                unsupported()
            }
        },
        Kind::Cms => {
            let data = match &mut range {
                Some(range) => Data::Stream(range),
                None => Data::Missing,
            };
            let about = match cms::time_stamp_token(&field.contents) {
                Some(token) => cms::document_time_stamp(verifier, findings, &token, data),
                None => cms::judge(verifier, findings, &field.contents, data, field.claimed_time),
            };
            (about, cms::LAYERS.as_slice())
        }
        _ => {
            let (filter, sub_filter) = (field.filter.as_deref().unwrap_or("–"), field.sub_filter.as_deref().unwrap_or("–"));
            if KNOWN.contains(&sub_filter) {
                findings.about(id, Reason::FormatValue, &[("what", Arg::Word("thing.value"))]);
            } else {
                let what = Words {
                    en: format!("a PDF signature of kind {filter} / {sub_filter}"),
                    zh: format!("类型为 {filter} / {sub_filter} 的 PDF 签名"),
                };
                findings.about(id, Reason::VersionUnsupported, &[("what", Arg::Both(what))]);
            }
            unsupported()
        }
    }
}

/// The signed bytes of a field, digested already by the algorithms that its value names.
struct Range<'a, R> {
    source: &'a mut R,
    range: ByteRange,
    digests: &'a Digests,
}

impl<R: Read + Seek> SignedBytes for Range<'_, R> {
    fn digest(&mut self, hash: Hash) -> Option<Vec<u8>> {
        match hash {
            Hash::Sm3 => Some(self.digests.sm3.0.to_vec()),
            Hash::Sha1 => self.digests.sha1.map(Vec::from),
            Hash::Sha256 => self.digests.sha256.map(Vec::from),
            Hash::Sha384 => self.digests.sha384.map(Vec::from),
            Hash::Sha512 => self.digests.sha512.map(Vec::from),
        }
    }

    fn pour(&mut self, out: &mut dyn Write) -> io::Result<()> {
        for (start, end) in [(0, self.range.first_end), (self.range.second_start, self.range.end)] {
            self.source.seek(SeekFrom::Start(start))?;
            let wanted = end.saturating_sub(start);
            if io::copy(&mut self.source.by_ref().take(wanted), out)? != wanted {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(())
    }
}

fn changed(change: &Change) -> Words {
    let key = format!("changed.{:?}", change.what);
    let words = catalogue::word(&key).cloned().unwrap_or_else(|| Words { en: key.clone(), zh: key });
    let place = if change.place.is_empty() { String::new() } else { format!(" ({})", change.place) };
    Words { en: format!("{}{place}", words.en), zh: format!("{}{place}", words.zh) }
}

/// What later signatures and filled fields mean for the coverage of earlier ones, the last first: a further signature vouches for what
/// it draws over the page, so while it does not pass itself, that is nobody's.
fn later_signatures(judged: &mut [Judged<'_>]) {
    let mut verdicts: HashMap<String, (Indication, bool)> = HashMap::new();
    for this in judged.iter_mut().rev() {
        this.findings.reach(Layer::Coverage);
        for permitted in &this.field.permitted {
            let (field, reason) = match permitted {
                Permitted::FormFilled { field } => (field, Reason::UncoveredOther),
                Permitted::Metadata => {
                    nonstandard(&mut this.findings, "pdf-metadata-updated");
                    continue;
                }
                Permitted::Signature { field } => match verdicts.get(field) {
                    Some((Indication::TotalPassed, _) | (_, false)) => continue,
                    Some((Indication::TotalFailed, true)) | None => (field, Reason::UncoveredShown),
                    Some((Indication::Indeterminate, true)) => (field, Reason::UncoveredByOpenSignature),
                },
                _ => continue,
            };
            this.findings.about(field, reason, &[("count", 1.into()), ("paths", field.into())]);
            this.about.uncovered.push(field.clone());
        }
        let draws = this.field.widgets.iter().any(|widget| widget.rect.width > 0.0 && widget.rect.height > 0.0);
        verdicts.insert(this.id.clone(), (this.findings.indication(this.layers), draws));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pdf::{ByteRangeFault as Fault, Changed};

    #[test]
    fn every_situation_of_the_reader_has_its_words() {
        let faults = [
            Fault::Absent,
            Fault::BeyondFile,
            Fault::Contents,
            Fault::EndsInside,
            Fault::Gap,
            Fault::Negative,
            Fault::NotInRevision,
            Fault::NotIntegers,
            Fault::NotTwoRanges,
            Fault::OutsideChain,
            Fault::Overlap,
            Fault::StartsLate,
        ];
        let changes = [
            Changed::Annotation,
            Changed::Bytes,
            Changed::Catalog,
            Changed::Certified,
            Changed::Field,
            Changed::Filled,
            Changed::Information,
            Changed::Limit,
            Changed::Page,
            Changed::Shadow,
            Changed::Signature,
            Changed::Trailer,
            Changed::Unknown,
        ];
        let keys = faults.iter().map(|fault| format!("range.{fault:?}")).chain(changes.iter().map(|c| format!("changed.{c:?}")));
        for key in keys {
            assert!(catalogue::word(&key).is_some(), "{key}");
        }
        for tolerance in [Tolerance::GenerationOutOfRange, Tolerance::TrailingWhiteSpace, Tolerance::UsedEntryAtZero] {
            let name = tolerance_name(tolerance);
            assert_ne!(catalogue::tolerance(name).en, name);
        }
    }
}
