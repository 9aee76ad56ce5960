//! An item on its way: its seal is checked, its stamp placed, and room made for its value.

use jiff::Timestamp;

use super::finish::is_intact;
use super::licence;
use super::pipeline::Ended;
use super::subject::{Bytes, Format, PreparedDocument, of_document};
use super::{ItemStatus, SignedValueKind, SigningItem, State, Subject};
use crate::config::Config;
use crate::consent::summary::Shown;
use crate::document::{Provider, SignatureKind, SigningPlan};
use crate::failure::{Code, Failure};
use crate::pdf::SignatureOptions;
use crate::pki::trust::TrustStore;
use crate::seals::{self, Holder, KnownSeal};
use crate::sm::Sm3Digest;
use crate::stamp::{Placement, SizeMm, Spot, Stamp};
use crate::verify::{Context, Verifier};
use crate::views::signer;

/// Room for a signed value beside the seal and the signer's certificate: attributes, and a time stamp with its certificates.
const ROOM: usize = 16 << 10;

/// An item on its way.
pub(super) struct Job {
    pub item: SigningItem,
    pub seal: KnownSeal,
    pub holder: Holder,
    pub placements: Vec<Placement>,
    /// The earlier item on the same document.
    pub after: Option<usize>,
    /// Whether a later item follows on the same document.
    pub followed: bool,
    pub room: Room,
    /// What the registry says of the signer.
    pub licence: Option<Shown>,
    pub outcome: Result<Option<Sm3Digest>, Failure>,
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
    items: &[SigningItem],
    bound: Vec<(KnownSeal, Holder)>,
    keywords: &[Vec<Spot>],
    config: &Config,
    licence_required: bool,
    trust: &TrustStore,
    now: Timestamp,
) -> Result<Vec<Job>, Ended> {
    let mut jobs: Vec<Job> = Vec::new();
    for (n, (item, (seal, holder))) in items.iter().zip(bound).enumerate() {
        let after = item.subject.document().and_then(|document| jobs.iter().rposition(|job| job.item.subject.is(document)));
        let is_taken = jobs.iter().any(|job| item.subject.field().is_some_and(|field| job.item.subject.field() == Some(field)));
        if is_taken {
            return Err(Ended::Failed(n, Failure::new(Code::BadRequest, "an item before it signs the same field")));
        }
        let planned = plan_one(item, &seal, &holder, after.map(|a| &jobs[a]), &keywords[n], config, trust, now);
        let (placements, room) = planned.map_err(|failure| Ended::Failed(n, failure))?;
        let licence = licence::check(licence_required, &seal.seal, &holder, trust, now);
        let licence = licence.map_err(|failure| Ended::Failed(n, failure))?;
        if let Some(after) = after {
            jobs[after].followed = true;
        }
        jobs.push(Job { item: item.clone(), seal, holder, placements, after, followed: false, room, licence, outcome: Ok(None) });
    }
    Ok(jobs)
}

#[expect(clippy::too_many_arguments, reason = "the parts of one item, and what they are judged by")]
fn plan_one(
    item: &SigningItem,
    seal: &KnownSeal,
    holder: &Holder,
    after: Option<&Job>,
    keywords: &[Spot],
    config: &Config,
    trust: &TrustStore,
    now: Timestamp,
) -> Result<(Vec<Placement>, Room), Failure> {
    seals::check(&seal.seal, &holder.certificate, trust, now)?;
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
    }
    let prepared = RoomPlan::new(item, seal, holder, &placements, config, now).make(document.format, &document.bytes)?;
    Ok((placements, Room::Prepared(Box::new(prepared))))
}

/// How room is made for an item's signed value.
pub(super) struct RoomPlan {
    plan: SigningPlan,
    options: SignatureOptions,
}

impl RoomPlan {
    pub fn new(
        item: &SigningItem,
        seal: &KnownSeal,
        holder: &Holder,
        placements: &[Placement],
        config: &Config,
        time: Timestamp,
    ) -> Self {
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
            picture: Some(seal.seal.picture().data.clone()),
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
    match &job.outcome {
        Ok(_) => ItemStatus { state: State::Done, failure: None },
        Err(failure) => ItemStatus { state: State::Failed, failure: Some(failure.clone()) },
    }
}
