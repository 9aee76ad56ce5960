//! OFD packages: every signature of every document in them, and what each leaves unprotected (ofd-signature.md §9).

use std::collections::BTreeMap;
use std::io::{Read, Seek};

use super::catalogue::{self, Arg, Words};
use super::cms;
use super::coverage::{self, Covered, Judged};
use super::findings::Findings;
use super::reason::Reason;
use super::report::{FileFormat, Indication, Layer, Report, SignatureKind};
use super::seal_signature::{self, Place};
use super::verifier::{About, Input, Verifier};
use crate::ofd::{
    CheckMethod, Contents, DocBody, FileClass, ListedSignature, Ofd, OfdError, ReferenceOutcome, Signature, ToleranceKind,
};
use crate::ses::{self, Kind, SesSignature};

/// Most findings about single protected files of one document; each signature tells at least one, and how many more there are.
const TOLD: usize = 5_000;

/// Judges a package.
pub(super) fn verify(verifier: &mut Verifier<'_>, source: &mut dyn Input) -> Report {
    let mut ofd = match Ofd::open(source) {
        Ok(ofd) => ofd,
        Err(error) => {
            let mut findings = Findings::default();
            container(&mut findings, &error);
            return verifier.report(FileFormat::Ofd, Vec::new(), Vec::new(), findings);
        }
    };
    let mut findings = Findings::default();
    if ofd.is_encrypted() {
        findings.add(Reason::VersionUnsupported, &[("what", Arg::Word("thing.encrypted"))]);
    }
    let mut judged = Vec::new();
    for body in ofd.bodies().to_vec() {
        judged.extend(document(verifier, &mut ofd, &body, &mut findings));
    }
    judged.extend(integrity_list(verifier, &mut ofd, &mut findings));
    if judged.is_empty() && findings.indication(&[]) != Indication::TotalFailed {
        unsigned(&mut ofd, &mut findings);
    }
    tolerances(&ofd, &mut findings);
    let reports = judged.into_iter().map(Judged::report).collect();
    verifier.report(FileFormat::Ofd, reports, Vec::new(), findings)
}

/// Deviations that were read all the same: of each kind the first place, and how many more.
fn tolerances<R: Read + Seek>(ofd: &Ofd<R>, findings: &mut Findings) {
    let mut kinds: BTreeMap<&'static str, (&str, usize)> = BTreeMap::new();
    for tolerance in ofd.package.tolerances() {
        kinds.entry(tolerance_name(&tolerance.kind)).or_insert((&tolerance.path, 0)).1 += 1;
    }
    for (name, (path, count)) in kinds {
        let words = catalogue::tolerance(name);
        let more = if count > 1 { format!(", +{}", count - 1) } else { String::new() };
        let at = |text: &str| format!("{text} ({path}{more})");
        let what = Words { en: at(&words.en), zh: at(&words.zh) };
        findings.about(path, Reason::EncNonstd, &[("what", Arg::Both(what))]);
    }
}

/// A package that names no signature, and what in it looks like one all the same.
fn unsigned<R: Read + Seek>(ofd: &mut Ofd<R>, findings: &mut Findings) {
    findings.add(Reason::NoSignature, &[]);
    for body in ofd.bodies().to_vec() {
        // One that cannot be walked has no signature all the same.
        for stamp in ofd.contents(&body).unwrap_or_default().stamps.iter().take(TOLD) {
            findings.about(stamp, Reason::ImageOnly, &[("path", stamp.into())]);
        }
    }
    let ends = |end| ofd.package.files().find(|path| path.file_name().to_ascii_lowercase().ends_with(end));
    if let Some(list) = ends("signatures.xml") {
        findings.about(list, Reason::FormatUnlinked, &[("path", list.into())]);
    }
    if let Some(seal) = ends(".esl") {
        findings.about(seal, Reason::ImageOnly, &[("path", seal.into())]);
    }
}

/// A container, or a file in it, that cannot be read.
fn container(findings: &mut Findings, error: &OfdError) {
    findings.add(limit_or(error, Reason::FormatContainer), &[("what", error.into())]);
}

/// The limit that was exceeded, or what else is wrong.
fn limit_or(error: &OfdError, reason: Reason) -> Reason {
    if matches!(error, OfdError::Limit { .. }) { Reason::LimitExceeded } else { reason }
}

fn tolerance_name(kind: &ToleranceKind) -> &'static str {
    match kind {
        ToleranceKind::BackslashName => "BackslashName",
        ToleranceKind::BackslashPath => "BackslashPath",
        ToleranceKind::CaseFolded => "CaseFolded",
        ToleranceKind::FileRefRelative => "FileRefRelative",
        ToleranceKind::Further => "Further",
        ToleranceKind::GbkName => "GbkName",
        ToleranceKind::Namespace => "Namespace",
        ToleranceKind::MaxSignIdWrong => "MaxSignIdWrong",
        ToleranceKind::MaxSignIdRepeated => "MaxSignIdRepeated",
        ToleranceKind::ProviderElements => "ProviderElements",
        ToleranceKind::ResourceBeside => "ResourceBeside",
        ToleranceKind::SignatureIdRepeated(_) => "SignatureIdRepeated",
        ToleranceKind::SignatureDateTimeForm => "SignatureDateTimeForm",
        ToleranceKind::StampIdMissing => "StampIdMissing",
        ToleranceKind::Utf8NameUnflagged => "Utf8NameUnflagged",
        ToleranceKind::XmlEncoding(_) => "XmlEncoding",
    }
}

/// All signatures of one document.
fn document<R: Read + Seek>(
    verifier: &mut Verifier<'_>,
    ofd: &mut Ofd<R>,
    body: &DocBody,
    findings: &mut Findings,
) -> Vec<Judged> {
    let list = match ofd.signature_list(body) {
        Ok(Some(list)) => list,
        Ok(None) => return Vec::new(),
        Err(error) => {
            container(findings, &error);
            return Vec::new();
        }
    };
    ofd.hash_what_is_read();
    let contents = match ofd.contents(body) {
        Ok(contents) => contents,
        Err(error) => {
            container(findings, &error);
            Contents::default()
        }
    };
    let told = (TOLD / list.signatures.len().max(1)).clamp(1, 100);
    let mut judged: Vec<Judged> = list
        .signatures
        .iter()
        .enumerate()
        .map(|(place, listed)| signature(verifier, ofd, body, &contents, place, listed, told))
        .collect();
    coverage::relative(&mut judged);
    coverage::settle(&contents, &mut judged);
    judged
}

/// Everything about one signature but what depends on the others.
fn signature<R: Read + Seek>(
    verifier: &mut Verifier<'_>,
    ofd: &mut Ofd<R>,
    body: &DocBody,
    contents: &Contents,
    place: usize,
    listed: &ListedSignature,
    told: usize,
) -> Judged {
    let mut findings = Findings::default();
    let (about, covered, layers) = match ofd.signature(listed) {
        Ok(description) => {
            findings.reach(Layer::Format);
            references(ofd, contents, &description, &mut findings, told);
            let (about, layers) = value(verifier, ofd, &description, &mut findings);
            let covered = Covered::by(contents, &description);
            coverage::version(contents, body, &covered, &mut findings);
            (about, Some(covered), layers)
        }
        Err(error) => {
            findings.about(&listed.path, limit_or(&error, Reason::FormatDescription), &[("what", (&error).into())]);
            (About::new(SignatureKind::Unsupported), None, seal_signature::LAYERS.as_slice())
        }
    };
    Judged { id: listed.id.clone(), place, relative: listed.relative.clone(), about, findings, covered, layers }
}

/// The protected files against the package.
fn references<R: Read + Seek>(
    ofd: &mut Ofd<R>,
    contents: &Contents,
    description: &Signature,
    findings: &mut Findings,
    told: usize,
) {
    match &description.check_method {
        CheckMethod::Sm3 => {}
        CheckMethod::Absent => {
            findings.add(Reason::CheckMethodNotAccepted, &[("algorithm", "MD5".into())]);
        }
        CheckMethod::Other(name) => {
            findings.add(Reason::CheckMethodNotAccepted, &[("algorithm", name.into())]);
        }
    }
    let results = match ofd.check_references(description) {
        Ok(results) => results,
        Err(error) => return container(findings, &error),
    };
    let mut wrong = 0;
    for (reference, result) in description.references.iter().zip(results) {
        let reason = match result.outcome {
            ReferenceOutcome::Ok | ReferenceOutcome::BadMethod => continue,
            ReferenceOutcome::BadPath => Reason::ProtectedFileBadPath,
            ReferenceOutcome::BadValue => Reason::ProtectedFileBadValue,
            ReferenceOutcome::Changed => Reason::ProtectedFileChanged,
            ReferenceOutcome::Missing => Reason::ProtectedFileMissing,
        };
        wrong += 1;
        if wrong <= told {
            findings.about(&result.path, reason, &[("path", (&result.path).into())]);
        }
        let class = reference.path.as_ref().and_then(|path| contents.class(path));
        if reason == Reason::ProtectedFileChanged && class == Some(&FileClass::SignatureList) {
            findings.about(&result.path, Reason::SignedAfterClosed, &[]);
        }
    }
    if wrong > told {
        let more = format!("… (+{})", wrong - told);
        findings.about(&more, Reason::ProtectedFileChanged, &[("path", (&more).into())]);
    }
}

/// The signed value, whatever kind it is of: its contents decide, not the type in the list.
fn value<R: Read + Seek>(
    verifier: &mut Verifier<'_>,
    ofd: &mut Ofd<R>,
    description: &Signature,
    findings: &mut Findings,
) -> (About, &'static [Layer]) {
    let unsupported = (About::new(SignatureKind::Unsupported), seal_signature::LAYERS.as_slice());
    let bytes = match ofd.signed_value(description) {
        Ok(bytes) => bytes,
        Err(error) => {
            findings.about(&description.signed_value, limit_or(&error, Reason::FormatValue), &[("what", (&error).into())]);
            return unsupported;
        }
    };
    let claimed = description.date_time.as_ref().and_then(|d| d.time);
    match ses::detect(&bytes) {
        Kind::Signature(_) => match SesSignature::parse(&bytes) {
            Ok(signature) => {
                let path = description.path.as_str();
                let found = Place { digest: Some(description.digest), path: Some(path), claimed };
                let about = seal_signature::judge(verifier, findings, &signature, found);
                seal_file(ofd, description, signature.seal().raw(), findings);
                (about, seal_signature::LAYERS.as_slice())
            }
            Err(error) => {
                seal_signature::unreadable(findings, &error).subject = Some(description.signed_value.to_string());
                unsupported
            }
        },
        Kind::Cms => {
            (cms::judge(verifier, findings, &bytes, cms::Data::whole(&description.raw), claimed), cms::LAYERS.as_slice())
        }
        // 64 bytes r ‖ s look like nothing in particular.
        Kind::BareSignature | Kind::Unknown if bytes.len() <= 80 => {
            (cms::bare(verifier, findings, &bytes, Some(&description.raw), claimed), cms::LAYERS.as_slice())
        }
        _ => {
            let what = [("what", Arg::Word("thing.value"))];
            findings.about(&description.signed_value, Reason::FormatValue, &what);
            unsupported
        }
    }
}

/// The seal's own file must be the seal inside the signed value, byte for byte.
fn seal_file<R: Read + Seek>(ofd: &mut Ofd<R>, description: &Signature, embedded: &[u8], findings: &mut Findings) {
    let Some(path) = &description.seal else { return };
    let reason = match ofd.seal_file(description) {
        Ok(Some(file)) if file == embedded => return,
        Ok(Some(_)) => Reason::SealFileMismatch,
        Ok(None) | Err(_) => Reason::SealFileMissing,
    };
    findings.about(path, reason, &[("path", path.into())]);
}

/// The list of GM/T 0099, as a signature that covers names and no contents.
fn integrity_list<R: Read + Seek>(verifier: &mut Verifier<'_>, ofd: &mut Ofd<R>, file_findings: &mut Findings) -> Option<Judged> {
    let list = match ofd.integrity_list() {
        Ok(list) => list?,
        Err(error) => {
            container(file_findings, &error);
            return None;
        }
    };
    let mut findings = Findings::default();
    findings.reach(Layer::Format);
    for path in list.missing.iter().take(100) {
        findings.about(path, Reason::IntegrityListMissing, &[("path", path.into())]);
    }
    for path in list.unlisted.iter().take(100) {
        findings.about(path, Reason::IntegrityListUnlisted, &[("path", path.into())]);
    }
    if list.missing.is_empty() && list.unlisted.is_empty() {
        findings.about(&list.path, Reason::IntegrityListFits, &[("count", list.files.len().into())]);
    }
    let mut about = match ofd.integrity_value(&list) {
        Ok(bytes) => cms::judge(verifier, &mut findings, &bytes, cms::Data::whole(&list.raw), None),
        Err(error) => {
            findings.about(&list.signed_value, Reason::FormatValue, &[("what", error.into())]);
            About::new(SignatureKind::Gmt0099)
        }
    };
    about.kind = SignatureKind::Gmt0099;
    let mut judged = Judged {
        id: list.path.file_name().to_owned(),
        place: usize::MAX,
        relative: None,
        about,
        findings,
        covered: Some(Covered::default()),
        layers: cms::LAYERS.as_slice(),
    };
    for body in ofd.bodies().to_vec() {
        match ofd.contents(&body) {
            Ok(contents) => coverage::settle(&contents, std::slice::from_mut(&mut judged)),
            Err(error) => container(file_findings, &error),
        }
    }
    Some(judged)
}
