//! Where a seal lands: what was asked ([`Stamp`]) becomes pages and rectangles ([`Placement`]) before a person sees it.
//!
//! Shared by OFD and PDF. All lengths are millimetres; the origin is the top left corner of the page as it is shown, y grows down.
//! Nothing here reads a document: the page sizes are arguments.

use std::num::NonZeroU32;

use crate::document::DocumentError;

/// A place may overhang its page by this much (mm): page sizes come from rounded decimals and from points (1/72 inch).
const SLACK: f64 = 0.01;

/// A page, counted from 1 in reading order.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct PageNumber(NonZeroU32);

impl PageNumber {
    /// `None` for 0: pages are counted from 1.
    pub fn new(number: u32) -> Option<Self> {
        NonZeroU32::new(number).map(Self)
    }

    /// The page at a place in a list that starts at 0.
    pub fn from_index(index: usize) -> Option<Self> {
        Self::new(u32::try_from(index.checked_add(1)?).ok()?)
    }

    /// Counted from 1.
    pub fn number(self) -> u32 {
        self.0.get()
    }

    /// Counted from 0.
    pub fn index(self) -> usize {
        self.0.get() as usize - 1
    }
}

impl std::fmt::Display for PageNumber {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// Width and height in mm, of a page or of a seal's picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SizeMm {
    /// Width.
    pub width: f64,
    /// Height.
    pub height: f64,
}

/// A rectangle in mm: top left corner and size.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RectMm {
    /// Left edge.
    pub x: f64,
    /// Top edge.
    pub y: f64,
    /// Width.
    pub width: f64,
    /// Height.
    pub height: f64,
}

impl RectMm {
    /// The size without the place.
    pub fn size(&self) -> SizeMm {
        SizeMm { width: self.width, height: self.height }
    }

    /// Whether this lies on a page of that size. False for anything that is not a number or has no area.
    fn is_on(&self, page: SizeMm) -> bool {
        self.width > 0.0
            && self.height > 0.0
            && self.x >= -SLACK
            && self.y >= -SLACK
            && self.x + self.width <= page.width + SLACK
            && self.y + self.height <= page.height + SLACK
    }
}

/// One appearance of a seal.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Placement {
    /// The page.
    pub page: PageNumber,
    /// The whole seal, measured from the page's top left corner; with a clip it may overhang the page.
    pub rect: RectMm,
    /// The part of the seal that is shown, measured from the top left corner of `rect`; `None` shows all.
    pub clip: Option<RectMm>,
}

/// Which pages.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum PageSelection {
    /// Every page.
    All,
    /// Pages 2, 4, 6…
    Even,
    /// These pages; order and repetition do not matter.
    List(Vec<PageNumber>),
    /// Pages 1, 3, 5…
    Odd,
}

impl PageSelection {
    /// The chosen pages of a document that has `pages`, in reading order, each once, at least one.
    pub fn resolve(&self, pages: usize) -> Result<Vec<PageNumber>, DocumentError> {
        let all = (0..pages).filter_map(PageNumber::from_index);
        let chosen: Vec<PageNumber> = match self {
            Self::All => all.collect(),
            Self::Even => all.filter(|page| page.number() % 2 == 0).collect(),
            Self::Odd => all.filter(|page| page.number() % 2 == 1).collect(),
            Self::List(list) => {
                if let Some(asked) = list.iter().find(|page| page.index() >= pages) {
                    return Err(DocumentError::PageNotFound { asked: *asked, pages });
                }
                let mut list = list.clone();
                list.sort_unstable();
                list.dedup();
                list
            }
        };
        if chosen.is_empty() { Err(DocumentError::NoPageChosen { pages }) } else { Ok(chosen) }
    }
}

/// The edge that a straddle seal (骑缝章) sits on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Edge {
    Left,
    Right,
}

/// Which occurrences of a keyword.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Occurrence {
    /// Every one.
    All,
    /// The one of this number, counted from 1 through the document in reading order.
    Nth(NonZeroU32),
}

/// A place on a page, such as that of a keyword.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spot {
    /// The page.
    pub page: PageNumber,
    /// The box, measured from the page's top left corner.
    pub rect: RectMm,
}

/// What was asked (shared `api.md`, `stamp`).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Stamp {
    /// Into an empty signature field of the document, as large as it allows.
    Field {
        /// Its fully qualified name.
        name: String,
    },
    /// Beside a text that a person can see, on whatever pages it stands.
    Keyword {
        /// The text.
        text: String,
        /// Which of its occurrences.
        occurrence: Occurrence,
        /// From the left edge of the text to the left edge of the seal.
        dx: f64,
        /// From the top edge of the text to the top edge of the seal.
        dy: f64,
    },
    /// A signature that shows nothing.
    Nowhere,
    /// The seal's top left corner at (x, y) on each of the pages.
    Page {
        /// On which pages.
        pages: PageSelection,
        /// Left edge of the seal.
        x: f64,
        /// Top edge of the seal.
        y: f64,
        /// Width of the seal, its height in proportion; `None` = the seal's own size.
        width: Option<f64>,
    },
    /// One seal cut into as many strips as there are pages, a strip on each (骑缝章).
    Straddle {
        /// On which edge.
        edge: Edge,
        /// Over which pages.
        pages: PageSelection,
        /// Top edge of the seal.
        y: f64,
    },
}

impl Stamp {
    /// Where a seal whose picture has the size `seal` lands in a document with these pages.
    ///
    /// `keywords` are the places of the chosen occurrences of [`Stamp::Keyword`]; no other kind looks at them.
    ///
    /// Fails with `PageNotFound`, `NoPageChosen`, or `OutsidePage` when any part that would be shown is not on its page, and with
    /// `NoSuchField` for a field: where those are, only the document says.
    pub fn place(&self, pages: &[SizeMm], seal: SizeMm, keywords: &[Spot]) -> Result<Vec<Placement>, DocumentError> {
        match self {
            Self::Field { name } => Err(DocumentError::NoSuchField { name: name.clone() }),
            Self::Keyword { dx, dy, .. } => {
                let place = |spot: &Spot| {
                    let SizeMm { width, height } = seal;
                    let rect = RectMm { x: spot.rect.x + dx, y: spot.rect.y + dy, width, height };
                    checked(Placement { page: spot.page, rect, clip: None }, rect, pages)
                };
                if keywords.is_empty() {
                    Err(DocumentError::NoPageChosen { pages: pages.len() })
                } else {
                    keywords.iter().map(place).collect()
                }
            }
            Self::Nowhere => Ok(Vec::new()),
            Self::Page { pages: selection, x, y, width } => {
                let width = width.unwrap_or(seal.width);
                let rect = RectMm { x: *x, y: *y, width, height: seal.height * (width / seal.width) };
                let chosen = selection.resolve(pages.len())?;
                chosen.into_iter().map(|page| checked(Placement { page, rect, clip: None }, rect, pages)).collect()
            }
            Self::Straddle { edge, pages: selection, y } => {
                let chosen = selection.resolve(pages.len())?;
                let count = chosen.len() as f64;
                let strip = seal.width / count;
                let place = |(k, page): (usize, PageNumber)| {
                    let k = k as f64;
                    // The first page on top carries the strip that lies farthest inside: pages fanned out show the whole seal.
                    let (clip_x, shown_x) = match edge {
                        Edge::Right => (seal.width * k / count, pages[page.index()].width - strip),
                        Edge::Left => (seal.width * (count - 1.0 - k) / count, 0.0),
                    };
                    let rect = RectMm { x: shown_x - clip_x, y: *y, width: seal.width, height: seal.height };
                    let clip = RectMm { x: clip_x, y: 0.0, width: strip, height: seal.height };
                    let shown = RectMm { x: shown_x, y: *y, width: strip, height: seal.height };
                    checked(Placement { page, rect, clip: Some(clip) }, shown, pages)
                };
                chosen.into_iter().enumerate().map(place).collect()
            }
        }
    }
}

fn checked(placement: Placement, shown: RectMm, pages: &[SizeMm]) -> Result<Placement, DocumentError> {
    let Some(size) = pages.get(placement.page.index()).copied() else {
        return Err(DocumentError::PageNotFound { asked: placement.page, pages: pages.len() });
    };
    if shown.is_on(size) { Ok(placement) } else { Err(DocumentError::OutsidePage { page: placement.page, size, shown }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A4: SizeMm = SizeMm { width: 210.0, height: 297.0 };
    const SEAL: SizeMm = SizeMm { width: 40.0, height: 40.0 };

    fn page(number: u32) -> PageNumber {
        PageNumber::new(number).unwrap()
    }

    /// The numbers of shared `ofd-signature.md` §7: 5 pages, 40 mm, right edge.
    #[test]
    fn straddle_on_the_right_is_the_arithmetic_of_real_files() {
        let stamp = Stamp::Straddle { edge: Edge::Right, pages: PageSelection::All, y: 128.5 };
        let places = stamp.place(&[A4; 5], SEAL, &[]).unwrap();
        assert_eq!(places.len(), 5);
        for (k, place) in places.iter().enumerate() {
            let k = k as f64;
            assert_eq!(place.rect, RectMm { x: 202.0 - 8.0 * k, y: 128.5, width: 40.0, height: 40.0 });
            assert_eq!(place.clip, Some(RectMm { x: 8.0 * k, y: 0.0, width: 8.0, height: 40.0 }));
        }
    }

    #[test]
    fn straddle_on_the_left_mirrors_it() {
        let stamp = Stamp::Straddle { edge: Edge::Left, pages: PageSelection::All, y: 10.0 };
        let places = stamp.place(&[A4; 4], SEAL, &[]).unwrap();
        let strips: Vec<(f64, f64)> = places.iter().map(|p| (p.rect.x, p.clip.unwrap().x)).collect();
        assert_eq!(strips, [(-30.0, 30.0), (-20.0, 20.0), (-10.0, 10.0), (0.0, 0.0)]);
    }

    #[test]
    fn strips_cover_the_seal_without_gap_for_any_page_count() {
        for count in 1..300 {
            for edge in [Edge::Left, Edge::Right] {
                let stamp = Stamp::Straddle { edge, pages: PageSelection::All, y: 0.0 };
                let mut clips: Vec<RectMm> =
                    stamp.place(&vec![A4; count], SEAL, &[]).unwrap().iter().map(|p| p.clip.unwrap()).collect();
                clips.sort_by(|a, b| a.x.total_cmp(&b.x));
                let mut edge = 0.0;
                for clip in clips {
                    assert!((clip.x - edge).abs() < 1e-9);
                    edge = clip.x + clip.width;
                }
                assert!((edge - SEAL.width).abs() < 1e-9);
            }
        }
    }

    #[test]
    fn odd_and_even_and_lists_choose_their_pages() {
        let chosen = |selection: PageSelection| selection.resolve(5).unwrap().iter().map(|p| p.number()).collect::<Vec<_>>();
        assert_eq!(chosen(PageSelection::Odd), [1, 3, 5]);
        assert_eq!(chosen(PageSelection::Even), [2, 4]);
        assert_eq!(chosen(PageSelection::List(vec![page(4), page(2), page(4)])), [2, 4]);
    }

    #[test]
    fn missing_pages_are_named() {
        let error = PageSelection::List(vec![page(2), page(9)]).resolve(3).unwrap_err();
        assert!(matches!(error, DocumentError::PageNotFound { asked, pages: 3 } if asked == page(9)));
        assert!(matches!(PageSelection::Even.resolve(1), Err(DocumentError::NoPageChosen { pages: 1 })));
    }

    #[test]
    fn a_seal_that_leaves_its_page_is_refused() {
        let at = |x: f64, y: f64, width: Option<f64>| {
            Stamp::Page { pages: PageSelection::All, x, y, width }.place(&[A4], SEAL, &[]).map(|places| places[0].rect)
        };
        assert_eq!(at(170.0, 257.0, None).unwrap(), RectMm { x: 170.0, y: 257.0, width: 40.0, height: 40.0 });
        assert_eq!(at(0.0, 0.0, Some(20.0)).unwrap().height, 20.0);
        for (x, y, width) in [
            (170.1, 0.0, None),
            (0.0, 257.1, None),
            (-0.1, 0.0, None),
            (f64::NAN, 0.0, None),
            (f64::INFINITY, 0.0, None),
            (0.0, 0.0, Some(0.0)),
            (0.0, 0.0, Some(-5.0)),
            (0.0, 0.0, Some(211.0)),
        ] {
            assert!(matches!(at(x, y, width), Err(DocumentError::OutsidePage { .. })), "{x} {y} {width:?}");
        }
        let straddle = Stamp::Straddle { edge: Edge::Right, pages: PageSelection::All, y: 260.0 };
        assert!(matches!(straddle.place(&[A4; 2], SEAL, &[]), Err(DocumentError::OutsidePage { .. })));
    }

    #[test]
    fn a_seal_by_a_keyword_keeps_its_distance_and_stays_on_the_page() {
        let spot = |number, x, y| Spot { page: page(number), rect: RectMm { x, y, width: 16.0, height: 4.0 } };
        let place = |dx, dy, spots: &[Spot]| {
            let stamp = Stamp::Keyword { text: "盖章".into(), occurrence: Occurrence::All, dx, dy };
            stamp.place(&[A4; 2], SEAL, spots)
        };
        let places = place(-10.0, -18.0, &[spot(1, 30.0, 100.0), spot(2, 120.0, 50.5)]).unwrap();
        let corners: Vec<(u32, f64, f64)> = places.iter().map(|p| (p.page.number(), p.rect.x, p.rect.y)).collect();
        assert_eq!(corners, [(1, 20.0, 82.0), (2, 110.0, 32.5)]);
        assert!(places.iter().all(|p| p.rect.size() == SEAL && p.clip.is_none()));
        assert!(matches!(place(-40.0, 0.0, &[spot(1, 30.0, 100.0)]), Err(DocumentError::OutsidePage { .. })));
        assert!(matches!(place(0.0, f64::NAN, &[spot(1, 30.0, 100.0)]), Err(DocumentError::OutsidePage { .. })));
        assert!(matches!(place(0.0, 0.0, &[spot(3, 30.0, 100.0)]), Err(DocumentError::PageNotFound { .. })));
        assert!(place(0.0, 0.0, &[]).is_err());
    }
}
