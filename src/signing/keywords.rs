//! Where keywords stand: the preview draws the pages and tells what text is on them; the agent itself reads no page content.
//!
//! Hidden text is never chosen ([`keyword`]). What is found becomes part of what the person is shown and of the digest that they agree
//! to, so a preview that lies moves a seal before their eyes and never behind their back.

use std::sync::Arc;

use tokio::task::JoinSet;

use super::pipeline::{Ended, Signer};
use super::{Document, SigningItem, Subject};
use crate::failure::{Code, Failure};
use crate::preview::{FindingKind, PageRequest, PreviewError, Program, keyword};
use crate::stamp::{Occurrence, PageNumber, Spot, Stamp};

/// Resolution at which it is seen whether text leaves a mark: 4 mm of text are 11 pixels.
const DPI: f32 = 72.0;
/// Pixels of such a page: twice A0.
const MAX_PIXELS: u32 = 16 << 20;
/// Most occurrences of a keyword that get a seal each.
const MAX_SPOTS: usize = 1000;
/// How far the sizes of a page may differ (mm) between our reader and the preview, which counts whole pixels.
const SLACK: f64 = 0.5;

impl Signer {
    /// The chosen places of each item's keyword; none for an item without one.
    pub(super) async fn keywords(&self, items: &[SigningItem]) -> Result<Vec<Vec<Spot>>, Ended> {
        let mut searches = JoinSet::new();
        let mut failures = Vec::new();
        for (n, item) in items.iter().enumerate() {
            let Subject::Document { document, stamp: Stamp::Keyword { text, occurrence, .. }, .. } = &item.subject else {
                continue;
            };
            let Some(program) = self.preview.clone() else {
                return Err(Ended::one(n, Failure::new(Code::KeywordUnsearchable, "sealagent-preview is not installed")));
            };
            let (document, text, occurrence, pool) = (document.clone(), Arc::from(text.as_str()), *occurrence, self.pool.clone());
            searches.spawn(async move {
                let found = match pool.acquire().await {
                    Ok(_permit) => search(&program, &document, &text, occurrence).await,
                    Err(_) => Err(Code::Internal.into()),
                };
                (n, found)
            });
        }
        let mut spots = vec![Vec::new(); items.len()];
        while let Some(done) = searches.join_next().await {
            let (n, found) = done.map_err(|_| Ended::one(0, Code::Internal.into()))?;
            match found {
                Ok(found) => spots[n] = found,
                Err(failure) => failures.push((n, failure)),
            }
        }
        failures.sort_unstable_by_key(|(n, _)| *n);
        if failures.is_empty() { Ok(spots) } else { Err(Ended::Failed(failures)) }
    }
}

/// For a caller who holds one of the pool's permits: what is computed here waits for no other.
async fn search(program: &Program, document: &Arc<Document>, text: &Arc<str>, which: Occurrence) -> Result<Vec<Spot>, Failure> {
    let unsearchable = |error: PreviewError| Failure::new(Code::KeywordUnsearchable, error);
    let mut session = program.open(document.bytes.reader(), document.bytes.len()).await.map_err(unsearchable)?;
    if session.document.sm3 != document.sm3 {
        return Err(Failure::new(Code::Internal, "another document was searched than the one to be signed"));
    }
    let ours = document.pages.iter().map(|size| [size.width, size.height]);
    let is_same = |([a, b], [c, d]): ([f64; 2], &[f64; 2])| (a - c).abs() < SLACK && (b - d).abs() < SLACK;
    if session.document.pages.len() != document.pages.len() || !ours.zip(&session.document.pages).all(is_same) {
        return Err(Failure::new(Code::KeywordUnsearchable, "its pages are drawn in another size than they have"));
    }
    // Occurrences on the pages before; all of them are kept only where each gets a seal.
    let (mut count, mut found) = (0, Vec::new());
    for page in (0..document.pages.len()).filter_map(PageNumber::from_index) {
        let request = PageRequest { page: page.number(), dpi: DPI, max_pixels: MAX_PIXELS, stamps: Vec::new() };
        let head = session.page(&request).await.map_err(unsearchable)?.head;
        let is_whole = |kind: &FindingKind| !matches!(kind, FindingKind::NotDrawn { .. } | FindingKind::Truncated { .. });
        if !head.searchable || !head.findings.iter().all(|finding| is_whole(&finding.kind)) {
            // The keyword may stand there: which occurrence the next one is, and how many there are, nobody can say.
            return Err(Failure::new(Code::KeywordUnsearchable, format!("page {page} cannot be searched")));
        }
        let (runs, wanted) = (head.text, text.clone());
        let here = tokio::task::spawn_blocking(move || keyword::all(&runs, &wanted)).await.map_err(|error| {
            tracing::error!(%error, "the search for a keyword ended unexpectedly");
            Failure::from(Code::Internal)
        })?;
        let here = here.map_err(|keyword::TooMany| {
            let why = format!("the keyword stands in more than {} places of page {page}", keyword::MAX_OCCURRENCES);
            Failure::new(Code::BadRequest, why)
        })?;
        let mut here = here.into_iter().map(|rect| Spot { page, rect });
        let before = count;
        count += here.len();
        match which {
            Occurrence::Nth(nth) => {
                if let Some(spot) = here.nth(nth.get() as usize - 1 - before) {
                    return Ok(vec![spot]);
                }
            }
            Occurrence::All if count > MAX_SPOTS => {
                return Err(Failure::new(Code::BadRequest, format!("the keyword stands in more than {MAX_SPOTS} places")));
            }
            Occurrence::All => found.extend(here),
        }
    }
    match (which, count) {
        (Occurrence::All, 1..) => Ok(found),
        (_, 0) => Err(Failure::new(Code::KeywordNotFound, format!("no visible text {text:?} in {} pages", document.pages.len()))),
        (_, times) => Err(Failure::new(Code::KeywordNotFound, format!("the visible text {text:?} occurs {times} times"))),
    }
}
