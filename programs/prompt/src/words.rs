//! The window's words, from `words.json`.

use std::collections::HashMap;

use sealagent::question::Language;
use serde::Deserialize;

#[derive(Deserialize)]
struct Entry {
    zh: String,
    en: String,
}

/// All words in one language.
pub struct Words {
    language: Language,
    entries: HashMap<String, Entry>,
}

impl Words {
    /// The catalogue that is built in.
    pub fn new(language: Language) -> Self {
        // Built in and read by the tests: it cannot be malformed. An empty catalogue would show the keys.
        Self { language, entries: serde_json::from_str(include_str!("words.json")).unwrap_or_default() }
    }

    /// The text for `key`, with `{name}` replaced by each value in turn.
    pub fn say(&self, key: &str, values: &[(&str, &str)]) -> String {
        let text = self.entries.get(key).map_or(key, |entry| match self.language {
            Language::En => &entry.en,
            Language::Zh => &entry.zh,
        });
        values.iter().fold(text.to_owned(), |text, (name, value)| text.replace(&format!("{{{name}}}"), value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_has_both_languages_with_the_same_places() {
        let entries: HashMap<String, Entry> = serde_json::from_str(include_str!("words.json")).unwrap();
        assert!(entries.len() > 30);
        for (key, entry) in &entries {
            let places = |text: &str| {
                text.split('{')
                    .skip(1)
                    .filter_map(|t| t.split('}').next().map(str::to_owned))
                    .collect::<std::collections::BTreeSet<_>>()
            };
            assert!(!entry.zh.is_empty() && !entry.en.is_empty(), "{key}");
            assert_eq!(places(&entry.zh), places(&entry.en), "{key}");
        }
    }

    #[test]
    fn every_word_that_the_code_says_is_there() {
        let entries: HashMap<String, Entry> = serde_json::from_str(include_str!("words.json")).unwrap();
        for part in [include_str!("paper.rs"), include_str!("view.rs")].iter().flat_map(|code| code.split("say(\"").skip(1)) {
            let key = part.split('"').next().unwrap();
            assert!(entries.contains_key(key), "{key}");
        }
    }
}
