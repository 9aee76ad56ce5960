//! Signatures in PDF (pdf-signature.md §6): what the reader of the format found, in the words of the report, and the verdict.

use std::collections::HashMap;
use std::io::{self, Read, Seek};

use super::catalogue::{self, Arg, Words};
use super::cms::{self, Data, SignedBytes};
use super::findings::Findings;
use super::reason::Reason;
use super::report::{FileFormat, Indication, Layer, Report, SignatureKind, SignatureReport};
use super::seal::nonstandard;
use super::seal_signature::{self, Place};
use super::verifier::{About, Verifier};
use crate::pdf::{
    Ambiguity, ByteRange, ByteRangeFault, Changed, Digests, Document, FieldState, PdfError, PdfSignature, Permitted, Tolerance,
};
use crate::pki::signature::Hash;
use crate::ses::{self, Kind, SesSignature};

/// SubFilters whose contents are one of the values judged here (pdf-signature.md §3): anything else under them is damage.
const KNOWN: [&str; 6] =
    ["fxit.sm.detached", "GM.sm2seal", "GM.sm2cms.detached", "adbe.pkcs7.detached", "ETSI.CAdES.detached", "ETSI.RFC3161"];
/// Ambiguities named for one signature; the first few tell a person enough.
const NAMED: usize = 5;

/// The signed bytes of one signature: digests that the reader has computed, the bytes themselves for what needs others.
struct Range<'a, R> {
    document: &'a mut Document<R>,
    range: ByteRange,
    digests: &'a Digests,
}

impl<R: Read + Seek> SignedBytes for Range<'_, R> {
    fn pour(&mut self, out: &mut dyn io::Write) -> io::Result<()> {
        self.document.pour(&self.range, out)
    }

    fn digest(&self, hash: Hash) -> Option<Vec<u8>> {
        match hash {
            Hash::Sm3 => Some(self.digests.sm3.0.to_vec()),
            Hash::Sha1 => self.digests.sha1.map(Vec::from),
            Hash::Sha256 => self.digests.sha256.map(Vec::from),
            Hash::Sha384 => self.digests.sha384.map(Vec::from),
            Hash::Sha512 => self.digests.sha512.map(Vec::from),
        }
    }
}

/// Judges a PDF.
pub(super) fn verify<R: Read + Seek>(verifier: &mut Verifier<'_>, input: R) -> Report {
    match judge(verifier, input) {
        Ok(report) => report,
        Err(PdfError::Encrypted) => {
            let mut findings = Findings::default();
            findings.add(Reason::VersionUnsupported, &[("what", Arg::Word("thing.encrypted"))]);
            verifier.report(FileFormat::Pdf, Vec::new(), Vec::new(), findings)
        }
        Err(error @ PdfError::Limit(_)) => verifier.unreadable(FileFormat::Pdf, Reason::LimitExceeded, error),
        Err(error) => verifier.unreadable(FileFormat::Pdf, Reason::FormatContainer, error),
    }
}

fn judge<R: Read + Seek>(verifier: &mut Verifier<'_>, input: R) -> Result<Report, PdfError> {
    let mut document = Document::open(input)?;
    let signatures = document.signatures()?;
    let pictures = document.unsigned_pictures()?;
    let mut findings = Findings::default();
    for tolerance in document.tolerances() {
        nonstandard(&mut findings, tolerance_name(*tolerance));
    }
    for page in pictures {
        findings.add(Reason::ImageOnly, &[("path", page_words(page))]);
    }
    // From the last to the first: a later signature that shows something vouches for it, and must be known to be good.
    let mut judged: HashMap<&str, (Indication, bool)> = HashMap::new();
    let mut reports = Vec::new();
    for (i, signature) in signatures.iter().enumerate().rev() {
        if signature.state == FieldState::UsageRights {
            nonstandard(&mut findings, "pdf-usage-rights");
            continue;
        }
        let report = one(verifier, &mut document, i, signature, &judged);
        if let Some(field) = &signature.field {
            let shows = signature.widgets.iter().any(|w| w.rect.width > 0.0 && w.rect.height > 0.0);
            judged.insert(field, (report.indication, shows));
        }
        reports.push(report);
    }
    reports.reverse();
    if reports.is_empty() {
        findings.add(Reason::NoSignature, &[]);
    }
    Ok(verifier.report(FileFormat::Pdf, reports, Vec::new(), findings))
}

fn one<R: Read + Seek>(
    verifier: &mut Verifier<'_>,
    document: &mut Document<R>,
    i: usize,
    signature: &PdfSignature,
    later: &HashMap<&str, (Indication, bool)>,
) -> SignatureReport {
    let id = signature.field.clone().unwrap_or_else(|| format!("{} ({})", i + 1, signature.object));
    let mut findings = Findings::default();
    findings.reach(Layer::Format);
    findings.reach(Layer::Coverage);
    for ambiguity in document.ambiguities().iter().take(NAMED) {
        findings.about(&id, Reason::FormatContainer, &[("what", ambiguity_words(ambiguity))]);
    }
    if let Err(fault) = signature.byte_range {
        findings.about(&id, Reason::ByteRange, &[("what", Arg::Word(fault_key(fault)))]);
    }
    if signature.state == FieldState::Orphan {
        findings.about(&id, Reason::FormatDescription, &[("what", Arg::Word("pdf.orphan"))]);
    }
    for change in &signature.changes {
        let place = match (&change.object, change.place.as_str()) {
            (_, place) if !place.is_empty() => place.to_owned(),
            (Some(object), _) => object.to_string(),
            (None, _) => String::new(),
        };
        let what = with_place(changed_key(change.what), &place);
        findings.about(&id, Reason::ChangedAfterSigning, &[("what", what)]);
    }
    for permitted in &signature.permitted {
        match permitted {
            Permitted::Signature { field } => {
                let unproven =
                    later.get(field.as_str()).is_none_or(|(verdict, shows)| *shows && *verdict != Indication::TotalPassed);
                if unproven {
                    findings.about(&id, Reason::UncoveredAppearance, &[("field", field.into())]);
                }
            }
            Permitted::Metadata => nonstandard(&mut findings, "pdf-metadata-updated"),
            Permitted::FormFilled { field } => {
                findings.about(&id, Reason::EncNonstd, &[("what", with_place("pdf.formFilled", field))]);
            }
            _ => {}
        }
    }
    // A range that does not fit covers nothing that could be compared; all else is judged.
    let mut range =
        signature.byte_range.ok().zip(signature.digests.as_ref()).map(|(range, digests)| Range { document, range, digests });
    if !signature.trailing.is_empty() {
        nonstandard(&mut findings, "trailing-value");
    }
    let (about, layers) = match ses::detect(&signature.contents) {
        Kind::Signature(_) => match SesSignature::parse(&signature.contents) {
            Ok(value) => {
                let digest = range.as_ref().map(|range| range.digests.sm3);
                let place = Place { digest, path: None, claimed: signature.claimed_time };
                (seal_signature::judge(verifier, &mut findings, &value, place), seal_signature::LAYERS.as_slice())
            }
            Err(error) => {
                seal_signature::unreadable(&mut findings, &error).subject = Some(id.clone());
                (About::new(SignatureKind::Unsupported), seal_signature::LAYERS.as_slice())
            }
        },
        Kind::Cms => {
            let data = range.as_mut().map_or(Data::Missing, |range| Data::Stream(range));
            let about = cms::judge(verifier, &mut findings, &signature.contents, data, signature.claimed_time);
            (about, cms::LAYERS.as_slice())
        }
        _ if signature.sub_filter.as_deref().is_some_and(|sub_filter| KNOWN.contains(&sub_filter)) => {
            findings.about(&id, Reason::FormatValue, &[("what", Arg::Word("thing.value"))]);
            (About::new(SignatureKind::Unsupported), seal_signature::LAYERS.as_slice())
        }
        _ => {
            let name = |name: &Option<String>| name.clone().unwrap_or_default();
            let kind = format!("{} / {}", name(&signature.filter), name(&signature.sub_filter));
            let what = Words { en: format!("a PDF signature of kind {kind}"), zh: format!("类型为 {kind} 的 PDF 签名") };
            findings.about(&id, Reason::VersionUnsupported, &[("what", Arg::Both(what))]);
            (About::new(SignatureKind::Unsupported), seal_signature::LAYERS.as_slice())
        }
    };
    about.report(&id, findings, layers)
}

/// A term of the catalogue with the file's own name for the place behind it.
fn with_place(key: &'static str, place: &str) -> Arg {
    if place.is_empty() {
        return Arg::Word(key);
    }
    match catalogue::word(key) {
        Some(words) => Arg::Both(Words { en: format!("{} ({place})", words.en), zh: format!("{}（{place}）", words.zh) }),
        None => Arg::Word(key),
    }
}

fn page_words(page: usize) -> Arg {
    Arg::Both(Words { en: format!("page {}", page + 1), zh: format!("第 {} 页", page + 1) })
}

fn tolerance_name(tolerance: Tolerance) -> &'static str {
    match tolerance {
        Tolerance::GenerationOutOfRange => "pdf-generation",
        Tolerance::TrailingWhiteSpace => "pdf-trailing-space",
        Tolerance::UsedEntryAtZero => "pdf-entry-at-zero",
    }
}

fn ambiguity_words(ambiguity: &Ambiguity) -> Arg {
    let (key, place) = match ambiguity {
        Ambiguity::DuplicateInObjectStream(number) => ("pdf.objectTwice", number.to_string()),
        Ambiguity::DuplicateKey { object, key } => ("pdf.keyTwice", format!("{object}/{key}")),
        Ambiguity::FieldTwice(name) => ("pdf.fieldTwice", name.clone()),
        Ambiguity::ObjectMissing(object) => ("pdf.objectMissing", object.to_string()),
        Ambiguity::StreamLength(object) => ("pdf.streamLength", object.to_string()),
        Ambiguity::TwoPlaces(number) => ("pdf.twoPlaces", number.to_string()),
    };
    with_place(key, &place)
}

fn fault_key(fault: ByteRangeFault) -> &'static str {
    match fault {
        ByteRangeFault::Absent => "pdf.range.absent",
        ByteRangeFault::BeyondFile => "pdf.range.beyondFile",
        ByteRangeFault::Contents => "pdf.range.contents",
        ByteRangeFault::EndsInside => "pdf.range.endsInside",
        ByteRangeFault::Gap => "pdf.range.gap",
        ByteRangeFault::Negative => "pdf.range.negative",
        ByteRangeFault::NotInRevision => "pdf.range.notInRevision",
        ByteRangeFault::NotIntegers => "pdf.range.notIntegers",
        ByteRangeFault::NotTwoRanges => "pdf.range.notTwoRanges",
        ByteRangeFault::OutsideChain => "pdf.range.outsideChain",
        ByteRangeFault::Overlap => "pdf.range.overlap",
        ByteRangeFault::StartsLate => "pdf.range.startsLate",
    }
}

fn changed_key(changed: Changed) -> &'static str {
    match changed {
        Changed::Annotation => "pdf.changed.annotation",
        Changed::Bytes => "pdf.changed.bytes",
        Changed::Catalog => "pdf.changed.catalog",
        Changed::Certified => "pdf.changed.certified",
        Changed::Field => "pdf.changed.field",
        Changed::Filled => "pdf.changed.filled",
        Changed::Information => "pdf.changed.information",
        Changed::Limit => "pdf.changed.limit",
        Changed::Page => "pdf.changed.page",
        Changed::Shadow => "pdf.changed.shadow",
        Changed::Signature => "pdf.changed.signature",
        Changed::Trailer => "pdf.changed.trailer",
        Changed::Unknown => "pdf.changed.unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_situation_of_the_reader_has_its_words() {
        use ByteRangeFault as F;
        let faults = [
            F::Absent,
            F::BeyondFile,
            F::Contents,
            F::EndsInside,
            F::Gap,
            F::Negative,
            F::NotInRevision,
            F::NotIntegers,
            F::NotTwoRanges,
            F::OutsideChain,
            F::Overlap,
            F::StartsLate,
        ];
        use Changed as C;
        let changes = [
            C::Annotation,
            C::Bytes,
            C::Catalog,
            C::Certified,
            C::Field,
            C::Filled,
            C::Information,
            C::Limit,
            C::Page,
            C::Shadow,
            C::Signature,
            C::Trailer,
            C::Unknown,
        ];
        let object = crate::pdf::ObjectId { number: 1, generation: 0 };
        let ambiguities = [
            Ambiguity::DuplicateInObjectStream(1),
            Ambiguity::DuplicateKey { object, key: "K".into() },
            Ambiguity::FieldTwice("f".into()),
            Ambiguity::ObjectMissing(object),
            Ambiguity::StreamLength(object),
            Ambiguity::TwoPlaces(1),
        ];
        let keys = faults.map(fault_key).into_iter().chain(changes.map(changed_key)).chain(["pdf.orphan", "pdf.formFilled"]);
        for key in keys {
            assert!(catalogue::word(key).is_some(), "{key}");
        }
        for ambiguity in ambiguities {
            assert!(matches!(ambiguity_words(&ambiguity), Arg::Both(_)), "{ambiguity}");
        }
        let tolerances = [Tolerance::GenerationOutOfRange, Tolerance::TrailingWhiteSpace, Tolerance::UsedEntryAtZero];
        for name in tolerances.map(tolerance_name).into_iter().chain(["pdf-usage-rights", "pdf-metadata-updated"]) {
            assert_ne!(catalogue::tolerance(name).en, name);
        }
    }
}
