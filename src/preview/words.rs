//! Findings in words, in English and Chinese, out of `words.json`.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::Finding;
use crate::question::Language;

static WORDS: LazyLock<HashMap<String, HashMap<String, String>>> = LazyLock::new(|| {
    #[expect(clippy::expect_used, reason = "the file is compiled in, and a test reads it")]
    serde_json::from_str(include_str!("words.json")).expect("words.json is well-formed")
});

impl Finding {
    /// What it says to a person, in one line; texts of the file in it are made harmless.
    pub fn line(&self, language: Language) -> String {
        // The fields of a finding are its JSON: kind, object, and the details that the words name.
        let fields = match serde_json::to_value(self) {
            Ok(serde_json::Value::Object(fields)) => fields,
            _ => return String::new(),
        };
        let field = |name: &str| match fields.get(name) {
            Some(serde_json::Value::String(text)) => text.clone(),
            Some(value) => value.to_string(),
            None => String::new(),
        };
        let kind = field("kind");
        let mut line = words(&kind, language).unwrap_or(&kind).to_owned();
        for name in fields.keys() {
            let value = field(name);
            let value = if name == "why" { words(&value, language).map(str::to_owned).unwrap_or(value) } else { value };
            line = line.replace(&format!("{{{name}}}"), &crate::harmless::line(&value));
        }
        match &self.object {
            Some(object) => format!("{line} [{}]", crate::harmless::line(object)),
            None => line,
        }
    }
}

fn words(key: &str, language: Language) -> Option<&'static str> {
    let language = match language {
        Language::En => "en",
        Language::Zh => "zh",
    };
    WORDS.get(key)?.get(language).map(String::as_str)
}

#[cfg(test)]
mod tests {
    use super::super::{FindingKind as K, Hidden};
    use super::*;

    #[test]
    fn every_kind_has_words_with_its_details_in_both_languages() {
        let text = || "‹x›".to_owned();
        let kinds = [
            K::AnnotationSkipped { reason: text() },
            K::BlankPage,
            K::DrawnOtherwise { what: text() },
            K::FontSubstituted { wanted: text(), used: text() },
            K::GlyphMissing { characters: text() },
            K::HiddenText { text: text(), why: Hidden::Covered },
            K::HiddenText { text: text(), why: Hidden::NoMark },
            K::HiddenText { text: text(), why: Hidden::OutsidePage },
            K::ImageUnreadable { reason: text() },
            K::Invisible { what: text() },
            K::More,
            K::NotDrawn { reason: text() },
            K::ObjectSkipped { what: text() },
            K::SealSkipped { reason: text() },
            K::TextUnsearchable,
            K::Truncated { what: text(), limit: 7 },
            K::VersionNotDrawn { version: text() },
        ];
        for kind in kinds {
            let has_details = !matches!(kind, K::BlankPage | K::More | K::TextUnsearchable);
            for language in [Language::En, Language::Zh] {
                let line = Finding { object: None, kind: kind.clone() }.line(language);
                assert!(line.contains("‹x›") == has_details, "{line}");
                assert!(!line.contains(['{', '}']), "{line}");
                assert_eq!(line.chars().any(|c| ('一'..='鿿').contains(&c)), language == Language::Zh, "{line}");
            }
        }
    }

    #[test]
    fn texts_of_the_file_are_harmless() {
        let finding = Finding { object: Some("7\n8".into()), kind: K::Invisible { what: "a\u{202e}b".into() } };
        let line = finding.line(Language::En);
        assert!(line.contains("‹U+202E›") && !line.contains('\n'), "{line}");
    }
}
