//! Finds a keyword in the text of a page, however the producer cut it up: invoices write every character as an object of its own.
//!
//! Only text that a person can see is searched: a keyword that is hidden must not move a seal.

use unicode_normalization::UnicodeNormalization as _;

use super::TextRun;
use crate::stamp::RectMm;

/// How far apart, in heights of a character, two characters may be and still be one word. A tab between columns is wider.
const MAX_GAP: f32 = 1.5;
/// How far, in heights of a character, two characters of one line may be apart vertically.
const MAX_SHIFT: f32 = 0.35;
/// Characters of a keyword; what a person would look for is shorter.
const MAX_KEYWORD: usize = 200;

/// Occurrences on one page. Each is compared with those before it, and a hostile page can have 100 000; a page that people read has
/// some thousand characters in all.
pub const MAX_OCCURRENCES: usize = 1000;

/// The keyword stands on the page more often than [`MAX_OCCURRENCES`]: which is which cannot be said.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TooMany;

/// A character with its place.
#[derive(Clone, Copy)]
struct Glyph {
    character: char,
    area: [f32; 4],
    /// The run it is from.
    run: usize,
}

/// Whether a text can be looked for: 1 to 200 characters that are not white space.
pub fn is_keyword(text: &str) -> bool {
    (1..=MAX_KEYWORD).contains(&folded(text).count())
}

/// Every occurrence of `text` on one page, the box around it, in reading order: by line, then from left to right. Compared after
/// compatibility normalisation (NFKC: full-width forms equal plain ones) and without white space. None when it is empty or longer than
/// 200 characters. Work for a thread that may compute.
pub fn all(runs: &[TextRun], text: &str) -> Result<Vec<RectMm>, TooMany> {
    let keyword: Vec<char> = folded(text).collect();
    if keyword.is_empty() || keyword.len() > MAX_KEYWORD {
        return Ok(Vec::new());
    }
    let mut found: Vec<[f32; 4]> = Vec::new();
    let mut take = |line: &[Glyph]| {
        for area in occurrences(line, &keyword) {
            // The same place can be met as part of its run and of its line.
            if !found.iter().any(|known| overlap(known, &area)) {
                if found.len() == MAX_OCCURRENCES {
                    return Err(TooMany);
                }
                found.push(area);
            }
        }
        Ok(())
    };
    let glyphs = visible(runs);
    // In the order in which the file writes it: upright and turned text.
    glyphs.chunk_by(|a, b| a.run == b.run).try_for_each(&mut take)?;
    // In the order in which it is seen: characters of one line, whatever objects they are from.
    for line in lines(glyphs) {
        line.chunk_by(|a, b| b.area[0] - (a.area[0] + a.area[2]) <= MAX_GAP * a.area[3]).try_for_each(&mut take)?;
    }
    // First into lines, then each of them: to be near is not transitive, so there is no order in one step.
    found.sort_by(|a, b| a[1].total_cmp(&b[1]));
    for line in found.chunk_by_mut(|a, b| b[1] - a[1] <= MAX_SHIFT * a[3].min(b[3])) {
        line.sort_by(|a, b| a[0].total_cmp(&b[0]));
    }
    let mm = |[x, y, width, height]: [f32; 4]| RectMm { x: x.into(), y: y.into(), width: width.into(), height: height.into() };
    Ok(found.into_iter().map(mm).collect())
}

/// Normalised and without white space.
fn folded(text: &str) -> impl Iterator<Item = char> {
    text.nfkc().filter(|character| !character.is_whitespace())
}

fn visible(runs: &[TextRun]) -> Vec<Glyph> {
    let mut glyphs = Vec::new();
    for (index, run) in runs.iter().enumerate().filter(|(_, run)| run.hidden.is_none()) {
        for (character, area) in run.text.chars().zip(&run.boxes) {
            let folded = folded(character.encode_utf8(&mut [0; 4])).collect::<Vec<_>>();
            glyphs.extend(folded.into_iter().map(|character| Glyph { character, area: *area, run: index }));
        }
    }
    glyphs
}

/// Characters sorted into lines, each from left to right.
fn lines(mut glyphs: Vec<Glyph>) -> Vec<Vec<Glyph>> {
    let middle = |glyph: &Glyph| glyph.area[1] + glyph.area[3] / 2.0;
    glyphs.sort_by(|a, b| middle(a).total_cmp(&middle(b)));
    let mut lines: Vec<Vec<Glyph>> = Vec::new();
    for glyph in glyphs {
        match lines.last_mut() {
            Some(line)
                if line
                    .last()
                    .is_some_and(|last| (middle(&glyph) - middle(last)).abs() <= MAX_SHIFT * glyph.area[3].min(last.area[3])) =>
            {
                line.push(glyph);
            }
            _ => lines.push(vec![glyph]),
        }
    }
    // A stable sort: the parts of one character, which have one place, stay in order.
    for line in &mut lines {
        line.sort_by(|a, b| a.area[0].total_cmp(&b.area[0]));
        // Some producers print a text twice to make it heavier.
        line.dedup_by(|b, a| a.character == b.character && a.run != b.run && overlap(&a.area, &b.area));
    }
    lines
}

fn occurrences(line: &[Glyph], keyword: &[char]) -> Vec<[f32; 4]> {
    let mut found = Vec::new();
    let mut at = 0;
    while at + keyword.len() <= line.len() {
        let part = &line[at..at + keyword.len()];
        if part.iter().map(|glyph| glyph.character).eq(keyword.iter().copied()) {
            found.push(part.iter().map(|glyph| glyph.area).fold(part[0].area, around));
            at += keyword.len();
        } else {
            at += 1;
        }
    }
    found
}

fn around(a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
    let (x, y) = (a[0].min(b[0]), a[1].min(b[1]));
    let (right, bottom) = ((a[0] + a[2]).max(b[0] + b[2]), (a[1] + a[3]).max(b[1] + b[3]));
    [x, y, right - x, bottom - y]
}

/// Whether two boxes share more than half of the smaller one.
fn overlap(a: &[f32; 4], b: &[f32; 4]) -> bool {
    let shared = |i: usize| ((a[i] + a[i + 2]).min(b[i] + b[i + 2]) - a[i].max(b[i])).max(0.0);
    shared(0) * shared(1) * 2.0 > (a[2] * a[3]).min(b[2] * b[3])
}

#[cfg(test)]
mod tests {
    use super::super::{Hidden, TextSource};
    use super::*;

    /// The `nth` occurrence, from 1.
    fn find(runs: &[TextRun], text: &str, nth: usize) -> Option<RectMm> {
        all(runs, text).unwrap().into_iter().nth(nth - 1)
    }

    fn run(text: &str, x: f32, y: f32, size: f32) -> TextRun {
        let boxes = (0..text.chars().count()).map(|i| [x + i as f32 * size, y, size, size]).collect();
        TextRun { text: text.into(), boxes, source: TextSource::Page, hidden: None }
    }

    #[test]
    fn characters_of_several_objects_are_one_word() {
        let runs = [run("章", 24.0, 50.1, 4.0), run("盖", 20.0, 50.0, 4.0), run("处", 28.0, 49.9, 4.0)];
        assert_eq!(find(&runs, "盖章处", 1).map(|r| (r.x, r.width)), Some((20.0, 12.0)));
        assert_eq!(find(&runs, "盖处", 1), None);
    }

    #[test]
    fn characters_printed_twice_count_once() {
        let runs = ["盖", "盖", "章", "章"].map(|c| run(c, if c == "盖" { 20.0 } else { 24.0 }, 50.0, 4.0));
        assert_eq!(all(&runs, "盖章").unwrap().len(), 1);
        assert_eq!(all(&runs, "盖").unwrap().len(), 1);
    }

    #[test]
    fn columns_are_not_one_word() {
        let runs = [run("甲方", 20.0, 50.0, 4.0), run("盖章", 60.0, 50.0, 4.0)];
        assert_eq!(find(&runs, "方盖", 1), None);
        assert!(find(&runs, "盖章", 1).is_some());
    }

    #[test]
    fn full_width_forms_and_spaces_do_not_matter() {
        let runs = [run("（盖 章）：Ａ１", 10.0, 10.0, 4.0)];
        for keyword in ["(盖章):A1", "（盖章）：", "盖　章"] {
            assert!(find(&runs, keyword, 1).is_some(), "{keyword}");
        }
        assert_eq!(find(&runs, "", 1), None);
    }

    #[test]
    fn hidden_text_is_never_found() {
        let mut hidden = run("盖章", 10.0, 10.0, 4.0);
        hidden.hidden = Some(Hidden::NoMark);
        let runs = [hidden, run("盖章", 10.0, 90.0, 4.0)];
        assert_eq!(find(&runs, "盖章", 1).map(|r| r.y), Some(90.0));
        assert_eq!(find(&runs, "盖章", 2), None);
    }

    #[test]
    fn occurrences_come_in_reading_order_and_once() {
        let runs = [run("盖章 盖章", 10.0, 90.0, 4.0), run("盖章", 100.0, 20.0, 4.0), run("盖章", 10.0, 20.2, 4.0)];
        let places: Vec<(f64, f64)> = all(&runs, "盖章").unwrap().iter().map(|r| (r.x.round(), r.y.round())).collect();
        assert_eq!(places, [(10.0, 20.0), (100.0, 20.0), (10.0, 90.0), (22.0, 90.0)]);
    }

    #[test]
    fn lines_that_run_into_each_other_have_an_order() {
        let runs: Vec<TextRun> = (0..200).map(|i| run("章", (i * 37 % 101) as f32 * 5.0, (i * 7919 % 200) as f32, 4.0)).collect();
        let found = all(&runs, "章").unwrap();
        assert_eq!(found.len(), 200);
        assert!(found.is_sorted_by(|a, b| a.x <= b.x), "each is near the next, so they are one line");
    }

    #[test]
    fn a_page_with_too_many_occurrences_is_refused_soon_and_one_with_as_many_as_may_be_is_searched() {
        let page = |count: usize| -> Vec<TextRun> {
            (0..count).map(|i| run("章", (i % 300) as f32 * 9.0, (i / 300) as f32 * 9.0, 4.0)).collect()
        };
        assert_eq!(all(&page(MAX_OCCURRENCES), "章").unwrap().len(), MAX_OCCURRENCES);
        assert_eq!(all(&page(MAX_OCCURRENCES + 1), "章"), Err(TooMany));
        // Every pair of these compared would take minutes.
        assert_eq!(all(&page(crate::preview::MAX_GLYPHS), "章"), Err(TooMany));
    }

    #[test]
    fn text_that_runs_down_is_found_in_the_order_of_its_object() {
        let boxes = (0..3).map(|i| [10.0, 10.0 + 4.0 * i as f32, 4.0, 4.0]).collect();
        let runs = [TextRun { text: "盖章处".into(), boxes, source: TextSource::Page, hidden: None }];
        assert_eq!(find(&runs, "盖章处", 1).map(|r| (r.width, r.height)), Some((4.0, 12.0)));
    }
}
