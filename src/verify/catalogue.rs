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
        let mut out = template.map_or_else(|| key.clone(), |words| pick(words).to_owned());
        for (name, arg) in args {
            let value = match arg {
                Arg::Text(text) => harmless(text),
                Arg::Word(word) => self::word(word).map_or_else(|| (*word).to_owned(), |words| pick(words).to_owned()),
                Arg::Both(words) => harmless(pick(words)),
            };
            out = out.replace(&format!("{{{name}}}"), &value);
        }
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

/// Text of a file, as it may be shown: no control characters, no characters that turn the direction of writing or hide, no braces that
/// would look like a placeholder, and cut when long.
pub(super) fn harmless(text: &str) -> String {
    let mut out: String = text
        .chars()
        .take(MAX_TEXT)
        .map(|c| match c {
            '{' => '(',
            '}' => ')',
            '\u{061c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' => '\u{fffd}',
            c if c.is_control() => '\u{fffd}',
            c => c,
        })
        .collect();
    if text.chars().nth(MAX_TEXT).is_some() {
        out.push('…');
    }
    out
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
        let shown = harmless(&format!("a\u{202e}b\x1b[0m{{code}}{}", "x".repeat(1000)));
        assert!(shown.starts_with("a\u{fffd}b\u{fffd}[0m(code)"));
        assert_eq!(shown.chars().count(), MAX_TEXT + 1);
    }

    #[test]
    fn terms_are_in_the_language_of_the_message() {
        let words = message(Reason::TimestampSig, &[("role", Arg::Word("role.seal")), ("what", Arg::Word("stamp.signature"))]);
        assert!(words.en.contains("on the seal") && words.zh.starts_with("印章上的时间戳"), "{words:?}");
    }
}
