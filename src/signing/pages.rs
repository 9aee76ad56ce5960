//! Pictures of the pages on which seals will land, and of any other page that the person turns to.
//!
//! Without a picture the prompt says that there is none and the request goes on. A picture of other bytes than those to be signed ends
//! the request: it would show one contract and send another.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use ukey::wire::Bytes;

use super::Document;
use crate::consent::summary::{Leaves, Look, PageShown};
use crate::failure::{Code, Failure};
use crate::preview::{Finding, PageRequest, PreviewError, Program, ProposedStamp, Session, png};
use crate::stamp::{Placement, RectMm};

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
    pub seal: Arc<[u8]>,
}

/// Draws pages of the documents of one request, with one process at a time.
pub(super) struct Pages {
    program: Program,
    wanted: Vec<Option<Wanted>>,
    /// The document that was drawn last.
    open: Option<(Arc<Document>, Session)>,
}

/// Why there is no picture.
#[derive(Debug, thiserror::Error)]
enum NoPicture {
    #[error("the picture is of another document than the one to be signed")]
    Different,
    #[error("nothing can be drawn of this item")]
    Nothing,
    #[error(transparent)]
    Preview(#[from] PreviewError),
}

impl Pages {
    /// `wanted`: an entry an item, `None` where no document was seen.
    pub fn new(program: Program, wanted: Vec<Option<Wanted>>) -> Self {
        Self { program, wanted, open: None }
    }

    /// The page of the first seal of each item, in their order, as long as patience and room last.
    pub async fn first(&mut self) -> Result<Vec<Option<PageShown>>, Failure> {
        let mut out = Vec::new();
        let mut bytes = 0;
        let until = tokio::time::Instant::now() + PATIENCE;
        for item in 0..self.wanted.len() {
            let number = self.wanted[item].as_ref().map(|w| w.placements.first().map_or(1, |place| place.page.number()));
            let shown = match number {
                Some(page) if bytes < MAX_BYTES => match tokio::time::timeout_at(until, self.draw(item, page, false)).await {
                    Ok(Ok(shown)) => Some(shown),
                    Ok(Err(error @ NoPicture::Different)) => return Err(Failure::new(Code::Internal, error)),
                    Ok(Err(error)) => {
                        tracing::warn!(%error, "no picture of a page for the prompt");
                        None
                    }
                    Err(_) => None,
                },
                _ => None,
            };
            bytes += shown.as_ref().map_or(0, |shown| shown.png.len());
            out.push(shown.filter(|_| bytes < MAX_BYTES));
        }
        Ok(out)
    }

    /// Goes on drawing, one page after the other, until nobody can ask any more.
    pub fn leaves(mut self) -> Vec<Option<Leaves>> {
        let (looks, mut asked) = mpsc::channel::<Look>(1);
        let leaves = self.wanted.iter().enumerate();
        let leaves = leaves.map(|(item, wanted)| wanted.is_some().then(|| Leaves { item, looks: looks.clone() })).collect();
        drop(looks);
        tokio::spawn(async move {
            while let Some(look) = asked.recv().await {
                let drawn = self.draw(look.item, look.page, look.bare).await;
                let drawn = drawn.inspect_err(|error| tracing::warn!(%error, page = look.page, "no picture of this page"));
                let _ = look.answer.send(drawn.ok().filter(|shown| shown.png.len() < MAX_BYTES)); // the person may have gone
            }
        });
        leaves
    }

    async fn draw(&mut self, item: usize, page: u32, bare: bool) -> Result<PageShown, NoPicture> {
        let wanted = self.wanted.get(item).and_then(Option::as_ref).ok_or(NoPicture::Nothing)?;
        let array = |rect: RectMm| [rect.x, rect.y, rect.width, rect.height];
        let on_page = wanted.placements.iter().filter(|placement| placement.page.number() == page);
        let stamps = on_page.map(|placement| ProposedStamp {
            rect: array(placement.rect),
            clip: placement.clip.map(array),
            picture: Bytes(wanted.seal.to_vec()),
        });
        let request =
            PageRequest { page, dpi: DPI, max_pixels: MAX_PIXELS, stamps: if bare { Vec::new() } else { stamps.collect() } };

        let document = wanted.document.clone();
        let kept = self.open.take_if(|(open, _)| Arc::ptr_eq(open, &document));
        self.open = None;
        if let Some((_, mut session)) = kept {
            match session.page(&request).await {
                // Used up by the pages before this one: the next process has time and memory of its own.
                Err(PreviewError::NotRunning(_) | PreviewError::TooLate) => {}
                drawn => return self.keep(document, session, drawn),
            }
        }
        let mut session = self.program.open(document.bytes.reader(), document.bytes.len()).await?;
        if session.document.sm3 != document.sm3 {
            return Err(NoPicture::Different);
        }
        let drawn = session.page(&request).await;
        self.keep(document, session, drawn)
    }

    fn keep(
        &mut self,
        document: Arc<Document>,
        session: Session,
        drawn: Result<crate::preview::PagePicture, PreviewError>,
    ) -> Result<PageShown, NoPicture> {
        let shown = drawn.and_then(|drawn| {
            let (head, layer) = (drawn.head, drawn.layers.first().ok_or(PreviewError::Nonsense("no layer"))?);
            let is_incomplete = session.document.findings.iter().chain(&head.findings).any(Finding::is_incomplete);
            Ok(PageShown { number: head.page, png: png(head.width, head.height, layer)?, is_incomplete })
        });
        if matches!(shown, Ok(_) | Err(PreviewError::Refused(_))) {
            self.open = Some((document, session));
        }
        Ok(shown?)
    }
}
