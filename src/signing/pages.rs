//! Pictures of the pages on which seals will land, for the person who is asked.
//!
//! Without a picture the prompt says that there is none and the request goes on. A picture of other bytes than those to be signed ends
//! the request: it would show one contract and send another.

use std::sync::Arc;
use std::time::Duration;

use super::Document;
use crate::consent::summary::PageShown;
use crate::failure::{Code, Failure};
use crate::preview::{PageRequest, PreviewError, Program, ProposedStamp, png};
use crate::stamp::Placement;
use ukey::wire::Bytes;

/// Dots per inch of a page in the prompt: its text can be read, its file has some hundred KB.
const DPI: f32 = 110.0;
/// Pixels of a page in the prompt.
const MAX_PIXELS: u32 = 4 << 20;
/// Bytes of all pictures of one prompt, which travel in one frame.
const MAX_BYTES: usize = 8 << 20;
/// How long a person waits for pictures before the prompt comes without.
const PATIENCE: Duration = Duration::from_secs(12);

/// What shall be shown of one item.
pub(super) struct Wanted {
    pub document: Arc<Document>,
    pub placements: Vec<Placement>,
    /// The file of the seal's picture.
    pub seal: Vec<u8>,
}

/// A picture for each that is wanted, in their order, as long as patience and room last.
pub(super) async fn pictures(program: &Program, wanted: &[Option<Wanted>]) -> Result<Vec<Option<PageShown>>, Failure> {
    let mut out = Vec::new();
    let mut bytes = 0;
    let until = tokio::time::Instant::now() + PATIENCE;
    for wanted in wanted {
        let shown = match wanted {
            Some(wanted) if bytes < MAX_BYTES => match tokio::time::timeout_at(until, picture(program, wanted)).await {
                Ok(shown) => shown?,
                Err(_) => None,
            },
            _ => None,
        };
        bytes += shown.as_ref().map_or(0, |shown| shown.png.len());
        out.push(shown.filter(|_| bytes < MAX_BYTES));
    }
    Ok(out)
}

async fn picture(program: &Program, wanted: &Wanted) -> Result<Option<PageShown>, Failure> {
    match draw(program, wanted).await {
        Ok(shown) => shown.map(Some),
        Err(error) => {
            tracing::warn!(%error, "no picture of a page for the prompt");
            Ok(None)
        }
    }
}

async fn draw(program: &Program, wanted: &Wanted) -> Result<Result<PageShown, Failure>, PreviewError> {
    let document = &wanted.document;
    let mut session = program.open(document.bytes.reader(), document.bytes.len()).await?;
    if session.document.sm3 != document.sm3 {
        return Ok(Err(Failure::new(Code::Internal, "the picture is of another document than the one to be signed")));
    }
    let page = wanted.placements.first().map_or(1, |placement| placement.page.number());
    let array = |rect: crate::stamp::RectMm| [rect.x, rect.y, rect.width, rect.height];
    let on_page = wanted.placements.iter().filter(|placement| placement.page.number() == page);
    let stamps = on_page.map(|placement| ProposedStamp {
        rect: array(placement.rect),
        clip: placement.clip.map(array),
        picture: Bytes(wanted.seal.clone()),
    });
    let request = PageRequest { page, dpi: DPI, max_pixels: MAX_PIXELS, stamps: stamps.collect() };
    let drawn = session.page(&request).await?;
    let (head, layer) = (drawn.head, drawn.layers.first().ok_or(PreviewError::Nonsense("no layer"))?);
    let findings = session.document.findings.iter().chain(&head.findings).cloned().collect::<Vec<_>>();
    let is_incomplete = findings.iter().any(crate::preview::Finding::is_incomplete);
    let png = png(head.width, head.height, layer)?;
    Ok(Ok(PageShown { number: page, png, is_incomplete }))
}
