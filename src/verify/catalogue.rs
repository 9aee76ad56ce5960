//! Words for findings, in English and Chinese, out of `catalogue.json`.

use std::collections::HashMap;
use std::sync::LazyLock;

use serde::Deserialize;

use super::reason::Reason;

/// Longest piece of a file's own text that is put into a message.
const MAX_TEXT: usize = 300;

/// A text in both languages.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
pub(super) struct Words {
    pub en: String,
    pub zh: String,
}

#[derive(Deserialize)]
struct Catalogue {
    findings: HashMap<String, Words>,
    words: HashMap<String, Words>,
    tolerances: HashMap<String, Words>,
}

static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(|| {
    #[expect(clippy::expect_used, reason = "the file is compiled in, and a test reads it")]
    serde_json::from_str(include_str!("catalogue.json")).expect("catalogue.json is well-formed")
});

/// A value for a placeholder.
#[derive(Clone, Debug)]
pub(super) enum Arg {
    /// The same in both languages: names, times, numbers, digests. Shown harmless and not too long.
    Text(String),
    /// A term of the catalogue.
    Word(&'static str),
    /// A text in both languages.
    Both(Words),
}

impl<T: ToString> From<T> for Arg {
    fn from(value: T) -> Self {
        Self::Text(value.to_string())
    }
}

/// The message of `reason` with `args` in the place of `{name}`.
pub(super) fn message(reason: Reason, args: &[(&str, Arg)]) -> Words {
    let template = CATALOGUE.findings.get(&reason.key());
    let key = reason.key();
    let fill = |pick: fn(&Words) -> &str| {
        let mut rest = template.map_or(key.as_str(), pick);
        let mut out = String::new();
        // Once through: what a value says is never taken for a place of the template.
        while let Some((before, (name, after))) =
            rest.split_once('{').and_then(|(before, after)| Some((before, after.split_once('}')?)))
        {
            out.push_str(before);
            match args.iter().find(|(known, _)| *known == name) {
                Some((_, Arg::Text(text))) => out.push_str(&harmless(text)),
                Some((_, Arg::Word(word))) => out.push_str(self::word(word).map_or(word, pick)),
                Some((_, Arg::Both(words))) => out.push_str(&harmless(pick(words))),
                None => out.extend(["{", name, "}"]),
            }
            rest = after;
        }
        out.push_str(rest);
        out
    };
    Words { en: fill(|words| &words.en), zh: fill(|words| &words.zh) }
}

/// A term.
pub(super) fn word(key: &str) -> Option<&'static Words> {
    CATALOGUE.words.get(key)
}

/// The words for a tolerance, by its name; an unknown name stands for itself.
pub(super) fn tolerance(name: &str) -> Words {
    CATALOGUE.tolerances.get(name).cloned().unwrap_or_else(|| Words { en: name.to_owned(), zh: name.to_owned() })
}

/// Text of a file, as it may be shown ([`crate::harmless`]).
pub(super) fn harmless(text: &str) -> String {
    crate::harmless::within(text, MAX_TEXT)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn placeholders(text: &str) -> BTreeSet<&str> {
        text.split('{').skip(1).map(|rest| rest.split('}').next().unwrap()).collect()
    }

    #[test]
    fn every_reason_has_both_languages_with_the_same_placeholders_and_nothing_else_is_there() {
        for reason in Reason::ALL {
            let words = CATALOGUE.findings.get(&reason.key()).unwrap_or_else(|| panic!("{} is missing", reason.key()));
            assert!(!words.en.is_empty() && !words.zh.is_empty(), "{}", reason.key());
            assert_eq!(placeholders(&words.en), placeholders(&words.zh), "{}", reason.key());
            assert!(words.zh.chars().any(|c| ('\u{4e00}'..='\u{9fff}').contains(&c)), "{}", reason.key());
        }
        assert_eq!(CATALOGUE.findings.len(), Reason::ALL.len());
    }

    #[test]
    fn text_of_a_file_cannot_turn_writing_forge_placeholders_or_flood() {
        let hostile = format!("a\u{202e}b\x1b[0m{{rule}}{}", "x".repeat(1000));
        let words = message(Reason::SignerPathBroken, &[("certificate", hostile.into()), ("rule", Arg::Word("rule.Dates"))]);
        assert!(words.en.contains("a‹U+202E›b‹U+001B›[0m{rule}"), "{}", words.en);
        assert!(words.en.contains(&word("rule.Dates").unwrap().en) && words.en.contains('…'));
        assert!(words.en.chars().count() < 2 * MAX_TEXT);
    }

    #[test]
    fn terms_are_in_the_language_of_the_message() {
        let words = message(Reason::TimestampSig, &[("role", Arg::Word("role.seal")), ("what", Arg::Word("stamp.signature"))]);
        assert!(words.en.contains("on the seal") && words.zh.starts_with("印章上的时间戳"), "{words:?}");
    }
}
