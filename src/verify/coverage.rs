//! What a signature leaves unprotected, and what signatures of one document mean for one another (report.md, coverage rule).

use super::findings::Findings;
use super::reason::Reason;
use super::report::{Indication, Layer, SignatureReport};
use super::verifier::About;
use crate::ofd::{Contents, DocBody, FileClass, Signature};

/// Paths named in one message; `uncovered` has them all.
const NAMED: usize = 5;
/// Most paths in `uncovered` of one signature, and of all signatures of a document together.
const LISTED: usize = 1_000;
const LISTED_IN_ALL: usize = 20_000;
/// Longest chain of `Relative` that is followed. A base is made before what builds on it; real documents have one or two.
const MAX_RELATIVE: usize = 64;

/// Which files of the package a signature's references name: one bit for each of [`Contents::files`]. Two thousand signatures over
/// five thousand files fit in 1.3 MB.
#[derive(Debug, Default)]
pub(super) struct Covered(Vec<u64>);

impl Covered {
    /// What the references of a description name.
    pub fn by(contents: &Contents, description: &Signature) -> Self {
        let mut bits = vec![u64::MAX; contents.files.len().div_ceil(64)];
        let mut uncovered = contents.uncovered_by(description).peekable();
        for (i, file) in contents.files.iter().enumerate() {
            if uncovered.peek().is_some_and(|next| std::ptr::eq(*next, file)) {
                bits[i / 64] &= !(1 << (i % 64));
                uncovered.next();
            }
        }
        Self(bits)
    }

    /// Nothing of `files`.
    fn none(files: usize) -> Self {
        Self(vec![0; files.div_ceil(64)])
    }

    fn add(&mut self, other: &Self) {
        self.0.iter_mut().zip(&other.0).for_each(|(mine, theirs)| *mine |= theirs);
    }

    fn has(&self, file: usize) -> bool {
        self.0.get(file / 64).is_some_and(|word| word >> (file % 64) & 1 == 1)
    }
}

/// A signature whose own checks are done.
pub(super) struct Judged {
    pub id: String,
    /// Its place in the list.
    pub place: usize,
    /// The id of the signature it builds on.
    pub relative: Option<String>,
    pub about: About,
    pub findings: Findings,
    /// `None` when its description cannot be read: then there is nothing to say about what it protects.
    pub covered: Option<Covered>,
    /// The layers that apply to it.
    pub layers: &'static [Layer],
}

impl Judged {
    /// The report.
    pub fn report(self) -> SignatureReport {
        self.about.report(&self.id, self.findings, self.layers)
    }

    /// Its verdict as far as it is known, with or without the coverage, which is settled last.
    fn indication(&self) -> Indication {
        let layers: Vec<Layer> = self.layers.iter().copied().filter(|layer| *layer != Layer::Coverage).collect();
        self.findings.indication(&layers)
    }
}

/// Base signatures that `Relative` names: they must be there and good themselves.
pub(super) fn relative(judged: &mut [Judged]) {
    // Coverage plays no part: what a base leaves open is said of the base.
    let own: Vec<Indication> = judged.iter().map(Judged::indication).collect();
    let base_of = |i: usize, judged: &[Judged]| {
        let id = judged[i].relative.clone()?;
        let base = judged.iter().position(|j| j.id == id);
        Some((id, base))
    };
    for i in 0..judged.len() {
        let mut at = i;
        for step in 0.. {
            let Some((id, base)) = base_of(at, judged) else { break };
            let reason = match base {
                None => Some(Reason::RelativeMissing),
                Some(_) if step == MAX_RELATIVE => Some(Reason::RelativeCircle),
                Some(base) if base == i => Some(Reason::RelativeCircle),
                Some(base) if own[base] == Indication::TotalFailed => Some(Reason::RelativeFailed),
                Some(base) if own[base] == Indication::Indeterminate => Some(Reason::RelativeIndeterminate),
                Some(_) => None,
            };
            if let Some(reason) = reason {
                judged[i].findings.about(&id, reason, &[("base", (&id).into())]);
                break;
            }
            let Some(base) = base else { break };
            at = base;
        }
    }
}

/// Whether the version that a document shows is the one that was signed.
pub(super) fn version(contents: &Contents, body: &DocBody, covered: &Covered, findings: &mut Findings) {
    let is_covered = |root| contents.files.binary_search_by(|(path, _)| path.cmp(root)).is_ok_and(|i| covered.has(i));
    if is_covered(&body.current_root) {
        return;
    }
    let signed = body.versions.iter().filter_map(|v| v.root.as_ref()).chain([&body.root]).find(|root| is_covered(root));
    if let Some(signed) = signed {
        let args = [("current", (&body.current_root).into()), ("signed", signed.into())];
        findings.about(&body.current_root, Reason::VersionNotSigned, &args);
    }
}

/// Settles what each signature leaves unprotected, the last first: a later signature lends its protection only if it is itself
/// `TOTAL_PASSED`, else a self-made second one could hide an annotation that was added.
pub(super) fn settle(contents: &Contents, judged: &mut [Judged]) {
    let mut later: Vec<(usize, Indication)> = Vec::new();
    let mut room = LISTED_IN_ALL;
    for i in (0..judged.len()).rev() {
        let Some(open) = uncovered(contents, judged, i, &later) else { continue };
        let this = &mut judged[i];
        this.findings.reach(Layer::Coverage);
        if contents.files.is_empty() {
            this.findings.add(Reason::CoverageUnknown, &[("what", "OFD".into())]);
        }
        for (path, error) in &contents.unreadable {
            this.findings.about(path, Reason::CoverageUnknown, &[("what", error.into())]);
        }
        report(this, Reason::UncoveredShown, &open.shown);
        report(this, Reason::UncoveredByOpenSignature, &open.lent);
        report(this, Reason::UncoveredOther, &open.other);
        let mut paths: Vec<&str> = [open.shown, open.lent, open.other].concat();
        paths.sort_unstable();
        paths.truncate(LISTED.min(room));
        room -= paths.len();
        this.about.uncovered.extend(paths.into_iter().map(str::to_owned));
        let indication = this.findings.indication(this.layers);
        later.push((i, indication));
    }
}

#[derive(Default)]
struct Uncovered<'c> {
    /// Shown, and protected by nothing.
    shown: Vec<&'c str>,
    /// Shown, and protected only by a later signature that is not proven itself.
    lent: Vec<&'c str>,
    /// Not shown.
    other: Vec<&'c str>,
}

fn uncovered<'c>(contents: &'c Contents, judged: &[Judged], i: usize, later: &[(usize, Indication)]) -> Option<Uncovered<'c>> {
    let this = &judged[i];
    let covered = this.covered.as_ref()?;
    // Only a signature over this one's own files speaks for it.
    let own: Vec<usize> = contents
        .files
        .iter()
        .enumerate()
        .filter(|(_, (_, class))| *class == FileClass::SignatureFile(this.place))
        .map(|(file, _)| file)
        .collect();
    let (mut passed, mut open) = (Covered::none(contents.files.len()), Covered::none(contents.files.len()));
    for (j, indication) in later {
        let Some(theirs) = judged[*j].covered.as_ref() else { continue };
        if own.is_empty() || !own.iter().all(|file| theirs.has(*file)) {
            continue;
        }
        match indication {
            Indication::TotalPassed => passed.add(theirs),
            Indication::Indeterminate => open.add(theirs),
            Indication::TotalFailed => {}
        }
    }
    let mut out = Uncovered::default();
    for (file, (path, class)) in contents.files.iter().enumerate() {
        if covered.has(file) || passed.has(file) {
            continue;
        }
        let path = path.as_str();
        match class {
            FileClass::SignatureList | FileClass::OtherDocument => {}
            FileClass::SignatureFile(place) if *place >= this.place => {}
            FileClass::Drawn if open.has(file) => out.lent.push(path),
            FileClass::Drawn => out.shown.push(path),
            // The list's own files are what its signature is about.
            FileClass::IntegrityList | FileClass::SignatureFile(_) if this.place == usize::MAX => {}
            FileClass::Attached
            | FileClass::EntryFile
            | FileClass::IntegrityList
            | FileClass::OtherVersion
            | FileClass::SignatureFile(_)
            | FileClass::Unreferenced => out.other.push(path),
        }
    }
    Some(out)
}

fn report(judged: &mut Judged, reason: Reason, paths: &[&str]) {
    let Some(first) = paths.first() else { return };
    let mut named = paths.iter().take(NAMED).copied().collect::<Vec<_>>().join(", ");
    if paths.len() > NAMED {
        named.push_str(", …");
    }
    judged.findings.about(first, reason, &[("count", paths.len().into()), ("paths", named.into())]);
}
