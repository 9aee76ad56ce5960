//! What the person is shown of a request.

use super::Subject;
use super::job::{Job, Room};
use crate::consent::summary::{DocumentShown, PlacementShown, SealShown, Shown, SummaryItem};
use crate::consent::{Asked, ConsentItem, DataHash};
use crate::document::Prepared as _;
use crate::pki::subject::subject_codes;
use crate::stamp::Placement;
use crate::views::signer;

/// What the person is shown of a job, and what their "yes" binds.
pub(super) fn asked(job: &Job) -> Asked {
    let property = job.bound.seal.seal.property();
    let certificate = &job.bound.holder.certificate;
    let codes = subject_codes(certificate);
    let seal = SealShown {
        name: Shown::new(&property.name),
        es_id: Shown::new(job.bound.seal.seal.es_id()),
        valid_from: property.valid_from.instant,
        valid_to: property.valid_to.instant,
        signer: signer(certificate),
        uscc: codes.first().map(|code| Shown::new(&code.uscc)),
        licence: job.licence.clone(),
        unanswered: job.bound.unanswered.clone(),
        picture: job.bound.shown(),
    };
    let (document, closes) = match &job.item.subject {
        Subject::Digest { name, sm3, .. } => (DocumentShown::DigestOnly { name: Shown::new(name), sm3: *sm3 }, false),
        Subject::Document { document, close, .. } => {
            let field = job.item.subject.field().and_then(|(_, name)| document.fields.iter().find(|field| field.name == name));
            let shown = DocumentShown::Seen {
                name: Shown::new(&document.name),
                format: document.format.shown(),
                pages: document.pages.len(),
                bytes: document.bytes.len(),
                sm3: document.sm3,
            };
            (shown, *close || field.is_some_and(|field| field.closes))
        }
    };
    let placements = job.placements.iter().map(placement_shown).collect();
    let (data_hash, bound_property) = match (&job.room, job.after) {
        (Room::Digest { data_hash, property }, _) => (DataHash::Fixed(*data_hash), property.clone()),
        (Room::Prepared(prepared), _) => (DataHash::Fixed(prepared.digest()), prepared.property().to_owned()),
        (Room::None, after) => (DataHash::After(after.unwrap_or(usize::MAX)), String::new()),
    };
    let bound =
        ConsentItem { data_hash, property: bound_property, seal: job.bound.seal.digest, key: job.bound.holder.key.public_key };
    Asked { shown: SummaryItem { document, seal, placements, closes, page: None, leaves: None }, bound }
}

/// The part of the page that will show the seal.
fn placement_shown(placement: &Placement) -> PlacementShown {
    let (rect, clip) = (placement.rect, placement.clip);
    let (x, y, width, height) = match clip {
        Some(clip) => (rect.x + clip.x, rect.y + clip.y, clip.width, clip.height),
        None => (rect.x, rect.y, rect.width, rect.height),
    };
    PlacementShown { page: placement.page.number(), x, y, width, height }
}
