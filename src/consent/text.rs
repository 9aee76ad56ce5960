//! A summary as lines of text, in one language.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use jiff::{Timestamp, tz::TimeZone};
use ukey::PinStatus;

use super::pairing::PairingShown;
use super::pin::PinChangeShown;
use super::summary::{DocumentShown, PlacementShown, Requester, Summary, SummaryItem, TokenShown};
use crate::failure::Language;

static TEXTS: LazyLock<BTreeMap<String, [String; 2]>> = LazyLock::new(|| {
    #[expect(clippy::expect_used, reason = "the texts are part of the program, and a test reads them")]
    serde_json::from_str(include_str!("prompt.json")).expect("prompt.json")
});

/// A text of `prompt.json`.
pub fn text(key: &str, language: Language) -> &'static str {
    TEXTS.get(key).map_or("", |[en, zh]| language.pick(en, zh))
}

/// The summary in the order of ui.md: who asks, what, with which seal, with which token.
pub fn lines(summary: &Summary, language: Language) -> Vec<String> {
    let t = |key| text(key, language);
    let mut out = vec![String::new()];
    if summary.attempt > 1 {
        out.extend([format!("!! {}", t("wrong_pin")), String::new()]);
    }
    out.push(t("asks").to_owned());
    out.push(requester_line(&summary.requester, language));
    let count = summary.items.len();
    if count > 1 {
        out.push(format!("{}: {count}", t("batch")));
    }
    for (n, item) in summary.items.iter().enumerate() {
        out.push(String::new());
        let number = if count > 1 { format!("{}/{count} ", n + 1) } else { String::new() };
        item_lines(&mut out, item, &number, matches!(summary.requester, Requester::Origin(_)), language);
    }
    out.push(String::new());
    if let Some(host) = &summary.stamped_by {
        out.extend([t("stamped_by").to_owned(), format!("    {host}"), String::new()]);
    }
    out.extend(token_lines(&summary.token, &summary.pin, language));
    out
}

/// A pairing: who asks, and the code in two groups of three as the page shows it.
pub fn pairing_lines(shown: &PairingShown, language: Language) -> Vec<String> {
    let t = |key| text(key, language);
    let mut out = vec![String::new(), t("pairing").to_owned(), format!("    {}", shown.origin)];
    if let Some(label) = &shown.label {
        out.push(format!("    {label} {}", t("named_by_page")));
    }
    let (first, second) = shown.code.split_at_checked(3).unwrap_or((&shown.code, ""));
    out.extend([String::new(), t("pairing_code").to_owned(), format!("    {first} {second}"), String::new()]);
    out
}

/// A change of PIN: which token, and what a wrong old PIN costs.
pub fn pin_change_lines(shown: &PinChangeShown, language: Language) -> Vec<String> {
    let t = |key| text(key, language);
    let mut out = vec![String::new()];
    if shown.attempt > 1 {
        out.extend([format!("!! {}", t("wrong_pin")), String::new()]);
    }
    out.push(t("pin_change").to_owned());
    out.extend(token_lines(&shown.token, &shown.pin, language));
    if shown.is_last_try() {
        out.push(format!("!! {}", t("last_try")));
    }
    out
}

/// The little that stands beside the field of the PIN where the whole summary was read before: who asks, which seal or how many
/// signatures, which token.
pub fn pin_lines(summary: &Summary, language: Language) -> Vec<String> {
    let t = |key| text(key, language);
    let mut out = vec![t("asks").to_owned(), requester_line(&summary.requester, language)];
    out.push(match summary.items.as_slice() {
        [item] => format!("{}: {}", t("seal"), item.seal.name),
        items => format!("{}: {}", t("batch"), items.len()),
    });
    out.extend(token_lines(&summary.token, &summary.pin, language));
    out
}

fn requester_line(requester: &Requester, language: Language) -> String {
    match requester {
        Requester::CommandLine => format!("    {}", text("command_line", language)),
        Requester::Origin(origin) => format!("    {origin}"),
        Requester::OwnPage => format!("    {}", text("own_page", language)),
    }
}

/// The token, and the tries left of its PIN.
fn token_lines(token: &TokenShown, pin: &PinStatus, language: Language) -> [String; 2] {
    let t = |key| text(key, language);
    let tries = match pin.tries_left {
        Some(tries) => format!("{}: {tries}", t("tries")),
        None => t("tries_unknown").to_owned(),
    };
    [format!("{}: {} · {} …{}", t("token"), token.label, t("serial"), token.serial_tail), tries]
}

fn item_lines(out: &mut Vec<String>, item: &SummaryItem, number: &str, by_page: bool, language: Language) {
    let t = |key| text(key, language);
    let named = |name| if by_page { format!("{name} {}", t("named_by_page")) } else { format!("{name}") };
    match &item.document {
        DocumentShown::Seen { name, format, pages, bytes, sm3 } => {
            out.push(format!("{number}{}: {}", t("document"), named(name)));
            out.push(format!("    {format} · {pages} {} · {bytes} {}", t("pages"), t("bytes")));
            out.push(format!("    SM3 {sm3}"));
        }
        DocumentShown::DigestOnly { name, sm3 } => {
            out.push(format!("{number}{}: {}", t("document"), named(name)));
            out.push(format!("    !! {}", t("digest_only")));
            out.push(format!("    SM3 {sm3}"));
        }
    }
    let seal = &item.seal;
    out.push(format!("{}: {}", t("seal"), seal.name));
    out.push(format!("    {} {} · {} {} – {}", t("es_id"), seal.es_id, t("valid"), date(seal.valid_from), date(seal.valid_to)));
    out.push(format!("    {} {}", t("signer"), seal.signer));
    if let Some(uscc) = &seal.uscc {
        out.push(format!("    {} {uscc}", t("uscc")));
    }
    if let Some(licence) = &seal.licence {
        out.push(format!("    {} {licence}", t("licence")));
    }
    if let Some(host) = &seal.unanswered {
        out.push(format!("    !! {} {host}", t("unanswered")));
    }
    if item.placements.is_empty() {
        out.push(format!("    {}", t("no_seal_shown")));
    }
    out.extend(places(&item.placements, language).into_iter().map(|place| format!("    {place}")));
    if item.closes {
        out.push(format!("    {}", t("closes")));
    }
}

/// What lands where: one line for all pages that carry the seal in the same place, since a straddle seal over 5 000 pages must not
/// scroll the question off the screen. Of more than [`MAX_PLACES`] different places the last line gives the number of the rest.
pub fn places(placements: &[PlacementShown], language: Language) -> Vec<String> {
    let t = |key| text(key, language);
    let words = |p: &PlacementShown| format!("{:.1}, {:.1} mm ({:.1} × {:.1} mm)", p.x, p.y, p.width, p.height);
    let mut groups: Vec<(String, Vec<u32>)> = Vec::new();
    for placement in placements {
        let where_ = words(placement);
        match groups.iter_mut().find(|(known, _)| *known == where_) {
            Some((_, pages)) => pages.push(placement.page),
            None => groups.push((where_, vec![placement.page])),
        }
    }
    let (shown, rest) = groups.split_at(groups.len().min(MAX_PLACES));
    let mut out: Vec<String> = shown.iter().map(|(where_, pages)| format!("{} {}: {where_}", t("page"), ranges(pages))).collect();
    let more: usize = rest.iter().map(|(_, pages)| pages.len()).sum();
    if more > 0 {
        out.push(format!("… {more} {}", t("more_places")));
    }
    out
}

/// Different places that are shown one by one.
const MAX_PLACES: usize = 12;

/// `1–3, 5`
fn ranges(pages: &[u32]) -> String {
    let mut runs: Vec<(u32, u32)> = Vec::new();
    for page in pages {
        match runs.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(*page) => *last = *page,
            _ => runs.push((*page, *page)),
        }
    }
    let run = |(first, last): &(u32, u32)| if first == last { format!("{first}") } else { format!("{first}–{last}") };
    let (shown, rest) = runs.split_at(runs.len().min(MAX_RUNS));
    let mut text = shown.iter().map(run).collect::<Vec<_>>().join(", ");
    if let (Some((_, last)), Some(_)) = (runs.last(), rest.first()) {
        text += &format!(", … {last}");
    }
    text
}

/// Runs of pages that are shown one by one.
const MAX_RUNS: usize = 20;

/// A moment in the local zone, with the zone named.
pub fn date(at: Timestamp) -> String {
    let zone = TimeZone::try_system().unwrap_or(TimeZone::UTC);
    at.to_zoned_datetime(zone).strftime("%Y-%m-%d %H:%M %Z").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_told_once_for_all_pages_that_share_them() {
        let place = |page, x| PlacementShown { page, x, y: 120.0, width: 8.0, height: 40.0 };
        let straddle: Vec<PlacementShown> = (1..=5000).map(|page| place(page, 202.0)).collect();
        assert_eq!(places(&straddle, Language::English), ["Page 1–5000: 202.0, 120.0 mm (8.0 × 40.0 mm)"]);
        let odd: Vec<PlacementShown> = [1, 3, 4].map(|page| place(page, 202.0)).into();
        assert_eq!(places(&odd, Language::Chinese), ["页 1, 3–4: 202.0, 120.0 mm (8.0 × 40.0 mm)"]);
        let scattered: Vec<PlacementShown> = (1..=40).map(|n| place(n, f64::from(n))).collect();
        let lines = places(&scattered, Language::English);
        assert_eq!(lines.len(), MAX_PLACES + 1);
        assert!(lines[MAX_PLACES].starts_with("… 28 "), "{lines:?}");
    }

    #[test]
    fn the_time_stamp_service_is_named_once_before_the_token_in_both_languages() {
        let mut summary = super::super::summary::tests::summary();
        let told =
            |summary: &Summary, language| lines(summary, language).iter().filter(|line| line.contains("stamp.example")).count();
        assert_eq!(told(&summary, Language::English), 0);
        assert!(!lines(&summary, Language::Chinese).contains(&text("stamped_by", Language::Chinese).to_owned()));
        summary.stamped_by = Some(super::super::summary::Shown::new("stamp.example\u{202e}"));
        summary.items = vec![summary.items[0].clone(); 3];
        for language in [Language::English, Language::Chinese] {
            let lines = lines(&summary, language);
            let place = |what: &str| lines.iter().position(|line| line.starts_with(what)).unwrap();
            assert_eq!(lines[place(text("stamped_by", language)) + 1], "    stamp.example‹U+202E›");
            assert!(place(text("stamped_by", language)) < place(text("token", language)));
            assert_eq!(told(&summary, language), 1);
        }
    }

    #[test]
    fn a_region_that_did_not_answer_is_told_beside_its_seal_in_both_languages() {
        let mut summary = super::super::summary::tests::summary();
        summary.items = vec![summary.items[0].clone(); 2];
        summary.items[1].seal.unanswered = Some(super::super::summary::Shown::new("status.example\u{202e}"));
        for language in [Language::English, Language::Chinese] {
            let lines = lines(&summary, language);
            let told = format!("    !! {} status.example‹U+202E›", text("unanswered", language));
            let places: Vec<_> = lines.iter().enumerate().filter(|(_, line)| **line == told).map(|(n, _)| n).collect();
            let second = lines.iter().position(|line| line.starts_with("2/2 ")).unwrap();
            assert!(matches!(places[..], [place] if place > second), "{lines:#?}");
        }
    }

    #[test]
    fn every_text_has_both_languages() {
        let raw: BTreeMap<String, [String; 2]> = serde_json::from_str(include_str!("prompt.json")).unwrap();
        assert!(raw.values().flatten().all(|t| !t.is_empty()));
        for key in ["approve", "asks", "digest_only", "last_try", "pin", "tries", "wrong_pin"] {
            assert!(raw.contains_key(key), "{key}");
        }
    }
}
