//! Signatures in PDF: what the verifier needs to know of a field, and the verdict about it (pdf-signature.md §6).

use std::io;

use super::catalogue::Arg;
use super::cms::{self, Data, SignedBytes};
use super::findings::Findings;
use super::reason::Reason;
use super::report::{FileFormat, Layer, Report, SignatureKind, SignatureReport};
use super::seal::nonstandard;
use super::seal_signature::{self, Place};
use super::verifier::{About, Verifier};
use crate::pki::signature::Hash;
use crate::ses::{self, Kind, SesSignature};

/// What the PDF's structure says about one signature field with a value.
#[derive(Clone, Debug, Default)]
pub struct SignatureField {
    /// `/T`, fully qualified; unique in a sound document.
    pub name: String,
    /// `/Filter` of the value.
    pub filter: String,
    /// `/SubFilter` of the value, empty when absent. Contents decide what it is; this is for messages.
    pub sub_filter: String,
    /// Rules that `/ByteRange` breaks: gaps, overlaps, negative numbers, a gap that is more than `/Contents`, an end that is not the
    /// revision's, contents shared with another field. One text each, English.
    pub byte_range_faults: Vec<String>,
    /// Bytes of `/Contents`, padding included.
    pub contents: Vec<u8>,
    /// What revisions after this signature changed beyond signing, stamping and validation data. One text each, English.
    pub later_changes: Vec<String>,
    /// `/M`, the signer's claim beside the value.
    pub claimed: Option<jiff::Timestamp>,
}

/// A PDF that was read so far that its signatures are known.
pub trait SignedPdf {
    /// The fields, in the order in which they were signed.
    fn fields(&self) -> &[SignatureField];
    /// Writes the bytes that the field's ByteRange names. Not called for a field with [`SignatureField::byte_range_faults`].
    fn pour(&mut self, field: usize, out: &mut dyn io::Write) -> io::Result<()>;
    /// A page that shows what looks like a seal and belongs to no signature, if there is one.
    fn image_only(&self) -> Option<String>;
    /// Whether the document is encrypted and its objects could not be read.
    fn is_encrypted(&self) -> bool;
}

/// SubFilters whose contents are one of the values judged here (pdf-signature.md §3): anything else under them is damage.
const KNOWN: [&str; 6] =
    ["fxit.sm.detached", "GM.sm2seal", "GM.sm2cms.detached", "adbe.pkcs7.detached", "ETSI.CAdES.detached", "ETSI.RFC3161"];

struct Range<'a>(&'a mut dyn SignedPdf, usize);

impl SignedBytes for Range<'_> {
    fn pour(&mut self, out: &mut dyn io::Write) -> io::Result<()> {
        self.0.pour(self.1, out)
    }
}

/// Judges a PDF.
pub(super) fn verify(verifier: &mut Verifier<'_>, pdf: &mut dyn SignedPdf) -> Report {
    let mut findings = Findings::default();
    if pdf.is_encrypted() {
        findings.add(Reason::VersionUnsupported, &[("what", Arg::Word("thing.encrypted"))]);
    }
    let fields = pdf.fields().to_vec();
    let reports: Vec<SignatureReport> = fields.iter().enumerate().map(|(i, field)| signature(verifier, pdf, i, field)).collect();
    if reports.is_empty() {
        findings.add(Reason::NoSignature, &[]);
    }
    if let Some(page) = pdf.image_only() {
        findings.about(&page, Reason::ImageOnly, &[("path", (&page).into())]);
    }
    verifier.report(FileFormat::Pdf, reports, Vec::new(), findings)
}

fn signature(verifier: &mut Verifier<'_>, pdf: &mut dyn SignedPdf, i: usize, field: &SignatureField) -> SignatureReport {
    let mut findings = Findings::default();
    findings.reach(Layer::Format);
    // A range that does not fit covers nothing that could be compared; all else is judged.
    let sound = field.byte_range_faults.is_empty();
    for fault in &field.byte_range_faults {
        findings.about(&field.name, Reason::ByteRange, &[("what", fault.into())]);
    }
    for change in &field.later_changes {
        findings.about(&field.name, Reason::ChangedAfterSigning, &[("what", change.into())]);
    }
    findings.reach(Layer::Coverage);
    let (about, layers) = match ses::detect(&field.contents) {
        Kind::Signature(_) => match SesSignature::parse_padded(&field.contents) {
            Ok(padded) => {
                if !padded.after.is_empty() {
                    nonstandard(&mut findings, "trailing-value");
                }
                let mut hasher = Hash::Sm3.hasher();
                let digest = (sound && pdf.pour(i, &mut hasher).is_ok()).then(|| hasher.finish());
                let digest = digest.and_then(|d| d.try_into().ok()).map(crate::sm::Sm3Digest);
                let place = Place { digest, path: None, claimed: field.claimed };
                let about = seal_signature::judge(verifier, &mut findings, &padded.signature, place);
                (about, seal_signature::LAYERS.as_slice())
            }
            Err(error) => {
                seal_signature::unreadable(&mut findings, &error).subject = Some(field.name.clone());
                (About::new(SignatureKind::Unsupported), seal_signature::LAYERS.as_slice())
            }
        },
        Kind::Cms => {
            let mut range = Range(pdf, i);
            let data = if sound { Data::Stream(&mut range) } else { Data::Missing };
            let about = cms::judge(verifier, &mut findings, &field.contents, data, field.claimed);
            (about, cms::LAYERS.as_slice())
        }
        _ if KNOWN.contains(&field.sub_filter.as_str()) => {
            findings.about(&field.name, Reason::FormatValue, &[("what", Arg::Word("thing.value"))]);
            (About::new(SignatureKind::Unsupported), seal_signature::LAYERS.as_slice())
        }
        _ => {
            let what = super::catalogue::Words {
                en: format!("a PDF signature of kind {} / {}", field.filter, field.sub_filter),
                zh: format!("类型为 {} / {} 的 PDF 签名", field.filter, field.sub_filter),
            };
            findings.about(&field.name, Reason::VersionUnsupported, &[("what", Arg::Both(what))]);
            (About::new(SignatureKind::Unsupported), seal_signature::LAYERS.as_slice())
        }
    };
    about.report(&field.name, findings, layers)
}
