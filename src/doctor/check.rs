//! One line of the check list. Its mark and its words stand in `checks.json`.

use std::collections::BTreeMap;
use std::fmt::{self, Display};
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use crate::failure::Language;
use crate::harmless;

/// How a thing is.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Mark {
    /// In order.
    Fine,
    /// It works, and somebody should know.
    Attention,
    /// It does not work.
    Wrong,
}

impl Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fine => "✔",
            Self::Attention => "!",
            Self::Wrong => "✘",
        })
    }
}

macro_rules! findings {
    ($($name:ident)*) => {
        /// What can be found. The names, in snake case, are those of `checks.json` and of the JSON that is printed.
        #[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
        #[serde(rename_all = "snake_case")]
        #[allow(missing_docs, reason = "checks.json says what each is")]
        pub enum Finding { $($name,)* }

        #[cfg(test)]
        const ALL: &[Finding] = &[$(Finding::$name,)*];
    };
}

findings! {
    BrowserAllows BrowserAsks
    CertificateExpired CertificateFine CertificateNotYet CertificateSoon
    ConfigurationRead ConfigurationWrong
    DriverBusy DriverCrashes DriverFailed DriverFine DriverHangs DriverNone DriverProfileUnknown DriverUntested DriverVirtual
    Library32Bit LibraryAbsent LibraryDigest LibraryForeign LibraryLacks LibraryNone LibraryNotAbsolute LibraryNotAFile
    LibraryStart LibraryUnloadable LibraryUnreadable LibraryWritable
    PcscService
    PolicyRead
    PortFree PortOurs PortRefused PortTaken PortTakenNext PortsAllTaken
    PreviewMissing PreviewPresent
    PromptMissing PromptPinentry PromptPinentryUnusable PromptPresent PromptTerminal
    RecordDamaged RecordFine RecordUnreadable
    SealExpired SealFine SealSoon
    TokenFewTries TokenFine TokenLastTry TokenLocked TokenNoCertificate TokenNone TokenUnreadable
    TrustFine TrustNone TrustProblem
    WorkerFails WorkerMissing WorkerPresent
}

/// What `checks.json` says of one finding: its mark, and what is so and what to do about it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    mark: Mark,
    en: [String; 2],
    zh: [String; 2],
}

static CATALOGUE: LazyLock<BTreeMap<Finding, Entry>> = LazyLock::new(|| {
    #[expect(clippy::expect_used, reason = "the catalogue is part of the program, and a test reads it")]
    serde_json::from_str(include_str!("checks.json")).expect("checks.json")
});

/// One line.
#[derive(Clone, Debug, Serialize)]
pub struct Check {
    /// What was found.
    pub finding: Finding,
    /// How it is.
    pub mark: Mark,
    /// What is so.
    pub what: String,
    /// What to do; empty when nothing is.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub hint: String,
}

impl Check {
    /// A finding with `values` in the places that its words name. Values may come from files and tokens; they are made harmless.
    pub fn new(finding: Finding, language: Language, values: &[(&str, &dyn Display)]) -> Self {
        let Some(entry) = CATALOGUE.get(&finding) else {
            return Self { finding, mark: Mark::Wrong, what: format!("{finding:?}"), hint: String::new() };
        };
        let [what, hint] = match language {
            Language::English => &entry.en,
            Language::Chinese => &entry.zh,
        };
        Self { finding, mark: entry.mark, what: fill(what, values), hint: fill(hint, values) }
    }
}

/// One pass, so that a value that looks like a place stays as it is.
fn fill(template: &str, values: &[(&str, &dyn Display)]) -> String {
    let mut out = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        let Some((name, tail)) = after.split_once('}') else { break };
        out.push_str(before);
        if let Some((_, value)) = values.iter().find(|(known, _)| *known == name) {
            out.push_str(&harmless_whole(&value.to_string()));
        }
        rest = tail;
    }
    (out + rest).trim_end().to_owned() // a value at the end may be empty
}

/// Longest value, in characters: a path is needed whole, and no path of a library is longer.
const MAX_VALUE: usize = 4 * harmless::MAX_CHARACTERS;

/// Harmless piece by piece, so that the middle stays.
fn harmless_whole(value: &str) -> String {
    let characters: Vec<char> = value.chars().take(MAX_VALUE).collect();
    characters.chunks(harmless::MAX_CHARACTERS).map(|piece| harmless::line(&piece.iter().collect::<String>())).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_finding_has_words_in_both_languages_with_the_same_places() {
        let places = |texts: &[String; 2]| -> BTreeSet<String> {
            let text = texts.concat();
            text.split('{').skip(1).map(|rest| rest.split('}').next().unwrap().to_owned()).collect()
        };
        for finding in ALL {
            let entry = CATALOGUE.get(finding).unwrap_or_else(|| panic!("{finding:?} is missing"));
            assert!(!entry.en[0].is_empty() && !entry.zh[0].is_empty(), "{finding:?}");
            assert_eq!(entry.en[1].is_empty(), entry.zh[1].is_empty(), "{finding:?}");
            assert_eq!(places(&entry.en), places(&entry.zh), "{finding:?}");
            assert!(entry.mark != Mark::Wrong || !entry.en[1].is_empty(), "{finding:?}: what is wrong needs a way out");
        }
        assert_eq!(CATALOGUE.len(), ALL.len());
    }

    #[test]
    fn values_cannot_forge_places_or_turn_the_terminal() {
        let check = Check::new(Finding::PortTaken, Language::English, &[("port", &17329), ("by", &"{port}\x1b[2J\u{202e}")]);
        assert!(check.what.contains("17329") && check.what.contains("{port}"), "{}", check.what);
        assert!(!check.what.contains(['\x1b', '\u{202e}']), "{}", check.what);
    }
}
