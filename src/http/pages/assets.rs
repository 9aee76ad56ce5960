//! The files of the agent's own pages. They are part of the program: no path of a request reaches a disk.

/// One file.
#[derive(Debug)]
pub(super) struct Asset {
    /// Its path.
    pub path: &'static str,
    /// Its media type.
    pub kind: &'static str,
    /// Its bytes.
    pub bytes: &'static [u8],
}

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

macro_rules! asset {
    ($path:literal, $kind:expr, $file:literal) => {
        Asset { path: $path, kind: $kind, bytes: include_bytes!(concat!("assets/", $file)) }
    };
}

/// The pages are one shell; its script shows what the path names.
static ASSETS: &[Asset] = &[
    asset!("/", HTML, "page.html"),
    asset!("/diagnose", HTML, "page.html"),
    asset!("/app/verify", HTML, "page.html"),
    asset!("/app/sign", HTML, "page.html"),
    asset!("/app/seals", HTML, "page.html"),
    asset!("/app/settings", HTML, "page.html"),
    asset!("/app/history", HTML, "page.html"),
    asset!("/app/diagnose", HTML, "page.html"),
    asset!("/app/style.css", "text/css; charset=utf-8", "style.css"),
    asset!("/app/icon.svg", "image/svg+xml", "icon.svg"),
    asset!("/app/words.json", "application/json", "words.json"),
    asset!("/app/app.js", SCRIPT, "app.js"),
    asset!("/app/agent.js", SCRIPT, "agent.js"),
    asset!("/app/dom.js", SCRIPT, "dom.js"),
    asset!("/app/report.js", SCRIPT, "report.js"),
    asset!("/app/verify.js", SCRIPT, "verify.js"),
    asset!("/app/sign.js", SCRIPT, "sign.js"),
    asset!("/app/place.js", SCRIPT, "place.js"),
    asset!("/app/seals.js", SCRIPT, "seals.js"),
    asset!("/app/settings.js", SCRIPT, "settings.js"),
    asset!("/app/history.js", SCRIPT, "history.js"),
    asset!("/app/diagnose.js", SCRIPT, "diagnose.js"),
];

/// The file at a path.
pub(super) fn find(path: &str) -> Option<&'static Asset> {
    ASSETS.iter().find(|asset| asset.path == path)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    fn text(path: &str) -> &'static str {
        std::str::from_utf8(find(path).unwrap().bytes).unwrap()
    }

    fn words() -> BTreeMap<String, BTreeMap<String, String>> {
        serde_json::from_str(text("/app/words.json")).unwrap()
    }

    /// What follows each call that begins so; `split('` is none of `t('`.
    fn calls<'a>(source: &'a str, begin: &'a str) -> impl Iterator<Item = &'a str> {
        let is_own = |at: usize| !source[..at].ends_with(|c: char| c.is_alphanumeric() || c == '.');
        source.match_indices(begin).filter(move |(at, _)| is_own(*at)).map(move |(at, _)| &source[at + begin.len()..])
    }

    #[test]
    fn every_text_is_there_in_chinese_and_in_english() {
        let is_chinese = |c: char| ('\u{4e00}'..='\u{9fff}').contains(&c);
        for (key, languages) in words() {
            assert_eq!(languages.keys().map(String::as_str).collect::<Vec<_>>(), ["en", "zh"], "{key}");
            assert!(languages.values().all(|text| !text.trim().is_empty()), "{key}");
            assert!(key == "language" || !languages["en"].contains(is_chinese), "{key}");
            let gaps = |text: &str| {
                text.split('{').skip(1).filter_map(|rest| Some(rest.split_once('}')?.0.to_owned())).collect::<BTreeSet<_>>()
            };
            assert_eq!(gaps(&languages["en"]), gaps(&languages["zh"]), "{key}");
        }
    }

    #[test]
    fn every_event_of_the_record_has_its_word_and_its_mark() {
        use crate::audit::Kind;
        /// Does not compile unless these are all kinds.
        macro_rules! all {
            ($($kind:ident)*) => {{
                let _ = |kind| match kind {
                    $(Kind::$kind => {})*
                };
                [$(Kind::$kind),*]
            }};
        }
        let all = all!(Accepted Cancelled Declined Expired Failed NotDelivered Paired PairedOnce PairingRefused PinChanged Refused
            Revoked Signed SignedInPart);
        let (words, history) = (words(), text("/app/history.js"));
        for kind in all {
            let name = serde_json::to_value(kind).unwrap().as_str().unwrap().to_owned();
            assert!(words.contains_key(&format!("event.{name}")), "{name}");
            assert!(history.contains(&format!("'{name}'")) && history.contains(&format!("{name}: '")), "{name}");
        }
    }

    #[test]
    fn pages_use_no_text_that_is_not_there_and_none_is_there_for_nothing() {
        let words = words();
        let mut used = BTreeSet::new();
        for asset in ASSETS.iter().filter(|asset| asset.kind == SCRIPT || asset.kind == HTML) {
            let source = std::str::from_utf8(asset.bytes).unwrap();
            for (before, after) in [("t('", '\''), ("data-text=\"", '"')] {
                for rest in calls(source, before) {
                    let key = rest.split(after).next().unwrap();
                    assert!(words.contains_key(key), "{}: {key}", asset.path);
                    used.insert(key.to_owned());
                }
            }
            // Families whose key ends in a value of the agent: t(`family.${value}`).
            for rest in calls(source, "t(`") {
                let family = rest.split("${").next().unwrap();
                let members: Vec<_> = words.keys().filter(|key| key.starts_with(family)).cloned().collect();
                assert!(family.ends_with('.') && !members.is_empty(), "{}: {family}", asset.path);
                used.extend(members);
            }
        }
        let idle: Vec<_> = words.keys().filter(|key| !used.contains(*key)).collect();
        assert!(idle.is_empty(), "{idle:?}");
    }

    /// Attack item 27.
    #[test]
    fn no_script_writes_markup_and_no_page_holds_script_or_style() {
        for asset in ASSETS {
            let source = std::str::from_utf8(asset.bytes).unwrap();
            for sink in [
                "innerHTML",
                "outerHTML",
                "insertAdjacentHTML",
                "document.write",
                "eval(",
                "new Function",
                "setAttribute('on",
                "DOMParser",
            ] {
                assert!(!source.contains(sink), "{}: {sink}", asset.path);
            }
            if asset.kind == HTML {
                assert!(!source.contains("<style") && !source.contains("style=") && !source.contains(" on"), "{}", asset.path);
                assert_eq!(source.matches("<script").count(), source.matches("<script type=\"module\" src=\"/app/").count());
            }
            assert!(!source.contains("https://") && !source.contains("//cdn"), "{} is from here alone", asset.path);
        }
    }

    fn colours(css: &str) -> BTreeMap<&str, [f64; 3]> {
        let colour = |digits: &str| [0, 2, 4].map(|at| f64::from(u8::from_str_radix(&digits[at..at + 2], 16).unwrap()) / 255.0);
        let pairs = css.split("--").skip(1).filter_map(|rest| rest.split_once(": #"));
        pairs.filter(|(name, _)| !name.contains([')', ';'])).map(|(name, value)| (name, colour(&value[..6]))).collect()
    }

    /// WCAG 2.2, 1.4.3: relative luminance and contrast.
    fn contrast(a: [f64; 3], b: [f64; 3]) -> f64 {
        let luminance = |colour: [f64; 3]| {
            let linear = colour.map(|c| if c <= 0.04045 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) });
            0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
        };
        let (a, b) = (luminance(a), luminance(b));
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    #[test]
    fn colours_are_readable_in_light_and_in_dark() {
        let css = text("/app/style.css");
        let blocks: Vec<_> = css.split(":root {").skip(1).take(2).map(|rest| colours(rest.split('}').next().unwrap())).collect();
        for scheme in &blocks {
            for (ink, grounds) in [
                ("ink", &["paper", "ground", "good-ground", "unsure-ground", "bad-ground"][..]),
                ("soft", &["paper", "ground"]),
                ("action", &["paper", "ground"]),
                ("on-action", &["action"]),
                ("paper", &["ink", "good", "unsure", "bad", "soft"]),
                ("good", &["paper"]),
                ("unsure", &["paper"]),
                ("bad", &["paper"]),
            ] {
                for ground in grounds {
                    let found = contrast(scheme[ink], scheme[ground]);
                    assert!(found >= 4.5, "{ink} on {ground}: {found:.2}");
                }
            }
        }
    }
}
