//! An item on its way: its seal is checked, its stamp placed, and room made for its value.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::finish::is_intact;
use super::impression::Impression;
use super::licence;
use super::pipeline::Ended;
use super::subject::{Bytes, Format, PreparedDocument, of_document};
use super::{ItemStatus, SignedValueKind, SigningItem, SigningRequest, State, Subject};
use crate::config::Config;
use crate::consent::summary::Shown;
use crate::document::{Provider, SignatureKind, SigningPlan};
use crate::failure::{Code, Failure};
use crate::pdf::SignatureOptions;
use crate::pki::trust::TrustStore;
use crate::seals::{self, Holder, KnownSeal};
use crate::ses::Version;
use crate::sm::Sm3Digest;
use crate::stamp::{Placement, SizeMm, Spot, Stamp};
use crate::verify::report::{Indication, Level, SignatureReport};
use crate::verify::{Context, Verifier};
use crate::views::signer;

/// Room for a signed value beside the seal and the signer's certificate: attributes, and a time stamp with its certificates.
const ROOM: usize = 16 << 10;

/// An item on its way.
pub(super) struct Job {
    pub item: SigningItem,
    pub bound: Bound,
    pub placements: Vec<Placement>,
    /// The earlier item on the same document.
    pub after: Option<usize>,
    /// Whether a later item follows on the same document.
    pub followed: bool,
    pub room: Room,
    /// What the registry says of the signer.
    pub licence: Option<Shown>,
    /// What came of it: SM3 of the signed document, if there is one; `None` while it is under way.
    pub outcome: Option<Result<Option<Sm3Digest>, Failure>>,
    /// What did not go as wished although it is done; of several, what came last.
    pub warning: Option<Failure>,
}

impl Job {
    /// Whether its value can carry a time stamp; where it cannot, nothing is asked about it.
    pub fn has_place_for_a_stamp(&self) -> bool {
        has_place_for_a_stamp(&self.item, &self.bound.seal)
    }
}

/// Whether what an item becomes can carry a time stamp: a signature with a V1 seal has no place for one.
pub(super) fn has_place_for_a_stamp(item: &SigningItem, seal: &KnownSeal) -> bool {
    item.signed_value != SignedValueKind::Ses || seal.seal.version() != Version::V1
}

/// What an item is signed with.
pub(super) struct Bound {
    pub seal: KnownSeal,
    pub holder: Holder,
    pub impression: Impression,
    /// The host of the region's service that could not be asked about the seal.
    pub unanswered: Option<Shown>,
}

impl Bound {
    /// The picture that the person is shown: the seal's own file where nothing was made of it.
    pub fn shown(&self) -> Arc<[u8]> {
        self.impression.clone().unwrap_or_else(|_| self.seal.seal.picture().data.as_slice().into())
    }
}

/// What an item signs, as far as it is known.
pub(super) enum Room {
    /// A digest that was given.
    Digest { data_hash: Sm3Digest, property: String },
    /// A document that waits for its signed value.
    Prepared(Box<PreparedDocument>),
    /// Waits for the item before it, or is used up.
    None,
}

/// Step 4: each item's seal is checked, its stamp placed, and room made in its document if it is the first on it.
pub(super) fn plan(
    request: &SigningRequest,
    bound: Vec<Bound>,
    keywords: &[Vec<Spot>],
    config: &Config,
    licence_required: bool,
    trust: &TrustStore,
    now: Timestamp,
) -> Result<Vec<Job>, Ended> {
    let mut jobs: Vec<Job> = Vec::new();
    // Every item that is in the way is told of, not the first alone: whoever asked can leave all of them out.
    let mut failures: Vec<(usize, Failure)> = Vec::new();
    // What is found of a seal and its holder is found once: the items of a batch have the same.
    let mut checked: HashMap<_, Result<Option<Shown>, Failure>> = HashMap::new();
    for (n, (item, bound)) in request.items.iter().zip(bound).enumerate() {
        let after = item.subject.document().and_then(|document| jobs.iter().rposition(|job| job.item.subject.is(document)));
        let is_taken = jobs.iter().any(|job| item.subject.field().is_some_and(|field| job.item.subject.field() == Some(field)));
        if is_taken {
            failures.push((n, Failure::new(Code::BadRequest, "an item before it signs the same field")));
            continue;
        }
        let known = checked.entry((bound.seal.digest.0, *bound.holder.certificate.sha256()));
        let licence = known.or_insert_with(|| may_sign(&bound, licence_required, trust, now)).clone();
        let planned = licence.and_then(|licence| {
            let after = after.map(|after| &jobs[after]);
            let planned = plan_one(item, &bound, after, &keywords[n], request.require_valid, config, trust, now)?;
            Ok((planned, licence))
        });
        let ((placements, room), licence) = match planned {
            Ok(planned) => planned,
            Err(failure) => {
                failures.push((n, failure));
                continue;
            }
        };
        if let Some(after) = after {
            jobs[after].followed = true;
        }
        let unanswered = bound.unanswered.as_ref();
        let warning = unanswered.map(|host| Failure::new(Code::SealStatusUnanswered, format!("{host} did not answer")));
        jobs.push(Job { item: item.clone(), bound, placements, after, followed: false, room, licence, outcome: None, warning });
    }
    if failures.is_empty() { Ok(jobs) } else { Err(Ended::Failed(failures)) }
}

/// Whether the seal may be used now, by this holder; gives what the registry says of the holder.
fn may_sign(bound: &Bound, licence_required: bool, trust: &TrustStore, now: Timestamp) -> Result<Option<Shown>, Failure> {
    seals::check(&bound.seal.seal, &bound.holder.certificate, trust, now)?;
    licence::check(licence_required, &bound.seal.seal, &bound.holder, trust, now)
}

#[expect(clippy::too_many_arguments, reason = "the parts of one item, and what they are judged by")]
fn plan_one(
    item: &SigningItem,
    bound: &Bound,
    after: Option<&Job>,
    keywords: &[Spot],
    require_valid: bool,
    config: &Config,
    trust: &TrustStore,
    now: Timestamp,
) -> Result<(Vec<Placement>, Room), Failure> {
    let Bound { seal, impression, .. } = bound;
    let (document, stamp) = match &item.subject {
        Subject::Digest { sm3, property, .. } => {
            return Ok((Vec::new(), Room::Digest { data_hash: *sm3, property: property.clone() }));
        }
        Subject::Document { document, stamp, .. } => (document, stamp),
    };
    // OFD draws the seal that stands in the signed value, PDF the picture that is put beside it.
    if document.format == Format::Ofd && item.signed_value == SignedValueKind::Gbt35275 && *stamp != Stamp::Nowhere {
        return Err(Failure::new(Code::BadRequest, "in OFD a value of kind gbt35275 carries no seal: stamp must be none"));
    }
    let picture = seal.seal.picture();
    let size = SizeMm { width: picture.width_mm as f64, height: picture.height_mm as f64 };
    let placements = document.place(stamp, size, keywords).map_err(|e| of_document(&e))?;
    // What an OFD shows is drawn by whoever reads it.
    if document.format == Format::Pdf && !placements.is_empty() {
        impression.as_ref().map_err(Failure::clone)?;
    }
    match after {
        Some(Job { item: SigningItem { subject: Subject::Document { close: true, .. }, .. }, .. }) => {
            return Err(Failure::new(Code::DocumentClosed, "the item before it closes the document"));
        }
        Some(_) => return Ok((placements, Room::None)),
        None => {}
    }
    if document.signatures > 0 {
        let report = Verifier::verify(document.bytes.reader(), &Context::new(trust, now));
        if let Some(broken) = report.signatures.iter().find(|s| !is_intact(s)) {
            return Err(Failure::new(Code::DocumentSignatureBroken, format!("signature {}", Shown::new(&broken.id))));
        }
        let is_doubtful = |signature: &&SignatureReport| signature.indication != Indication::TotalPassed;
        if let Some(doubtful) = report.signatures.iter().find(is_doubtful).filter(|_| require_valid) {
            let reasons: Vec<&str> =
                doubtful.findings.iter().filter(|f| f.level <= Level::Indeterminate).map(|f| f.code.name()).collect();
            let what = format!("signature {} is not valid here: {}", Shown::new(&doubtful.id), reasons.join(", "));
            return Err(Failure::new(Code::DocumentSignatureBroken, what));
        }
    }
    let prepared = RoomPlan::new(item, bound, &placements, config, now).make(document.format, &document.bytes)?;
    Ok((placements, Room::Prepared(Box::new(prepared))))
}

/// How room is made for an item's signed value.
pub(super) struct RoomPlan {
    plan: SigningPlan,
    options: SignatureOptions,
}

impl RoomPlan {
    pub fn new(item: &SigningItem, bound: &Bound, placements: &[Placement], config: &Config, time: Timestamp) -> Self {
        let Bound { seal, holder, impression, .. } = bound;
        let certificate = &holder.certificate;
        let (kind, seal_len) = match item.signed_value {
            SignedValueKind::Ses => (SignatureKind::Seal(seal.seal.raw().to_vec()), seal.seal.raw().len()),
            SignedValueKind::Gbt35275 => (SignatureKind::Sign, 0),
        };
        let filters = config.pdf.seal_filters.clone().filter(|_| item.signed_value == SignedValueKind::Ses);
        let plan = SigningPlan {
            placements: placements.to_vec(),
            kind,
            provider: Provider { name: "sealagent".into(), version: env!("CARGO_PKG_VERSION").into() },
            time,
            close: matches!(item.subject, Subject::Document { close: true, .. }),
            room: seal_len + certificate.der().len() + ROOM,
        };
        let options = SignatureOptions {
            field: item.subject.field().map(|(_, name)| name.to_owned()),
            filters,
            // Without one nothing is shown: whatever would show it was refused.
            picture: impression.as_ref().ok().map(|picture| picture.to_vec()),
            name: Some(signer(certificate).as_str().to_owned()),
            ..SignatureOptions::default()
        };
        Self { plan, options }
    }

    pub fn make(self, format: Format, bytes: &Bytes) -> Result<PreparedDocument, Failure> {
        format.prepare(bytes, &self.plan, self.options).map_err(|e| of_document(&e))
    }
}

pub(super) fn item_status(job: &Job) -> ItemStatus {
    let warning = job.warning.clone();
    match &job.outcome {
        Some(Ok(_)) => ItemStatus { state: State::Done, failure: None, warning },
        Some(Err(failure)) => ItemStatus { state: State::Failed, failure: Some(failure.clone()), warning: None },
        None => ItemStatus { state: State::Failed, failure: Some(Code::Internal.into()), warning: None },
    }
}
