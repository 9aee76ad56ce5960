//! What the demo prints, in one language. The texts are data: `messages.json`.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde_json::Value;

use super::DemoError;
use crate::failure::Language;

static TEXTS: LazyLock<BTreeMap<String, [String; 2]>> = LazyLock::new(|| {
    #[expect(clippy::expect_used, reason = "the texts are part of the program, and a test reads them")]
    serde_json::from_str(include_str!("messages.json")).expect("messages.json")
});

/// Layers, states and verdicts in words: the page has the same.
static PAGE_TEXTS: LazyLock<BTreeMap<String, BTreeMap<String, String>>> = LazyLock::new(|| {
    #[expect(clippy::expect_used, reason = "the texts are part of the program, and a test reads them")]
    serde_json::from_str(include_str!("assets/texts.json")).expect("texts.json")
});

/// The layers in the report's order; a parsed JSON object has lost it.
const LAYERS: [&str; 7] = ["format", "integrity", "signature", "seal", "certificate", "time", "coverage"];

/// A text of `messages.json`.
pub fn text(key: &str, language: Language) -> &'static str {
    TEXTS.get(key).map_or("", |[en, zh]| language.pick(en, zh))
}

fn word(key: &str, language: Language) -> &str {
    PAGE_TEXTS.get(key).and_then(|texts| texts.get(language.pick("en", "zh"))).map_or(key, String::as_str)
}

/// What went wrong and what to do.
pub fn failure(error: &DemoError, language: Language) -> String {
    let (key, values): (&str, Vec<(&str, String)>) = match error {
        DemoError::AgentEnded { status, log, said } => {
            ("agent_ended", vec![("status", status.clone()), ("path", log.display().to_string()), ("said", said.clone())])
        }
        DemoError::AgentSilent { seconds, log } => {
            ("agent_silent", vec![("seconds", seconds.to_string()), ("path", log.display().to_string())])
        }
        DemoError::Call { request, reason } => ("call_failed", vec![("request", request.clone()), ("reason", reason.clone())]),
        DemoError::CrossOrigin { request, origin } => {
            ("cross_origin", vec![("request", request.clone()), ("origin", origin.clone())])
        }
        DemoError::FolderUsed(path) => ("folder_used", vec![("path", path.display().to_string())]),
        DemoError::Io { path, source } => ("io", vec![("path", path.display().to_string()), ("reason", source.to_string())]),
        DemoError::NoPrompt(seconds) => ("no_prompt", vec![("seconds", seconds.to_string())]),
        DemoError::NoSeal => ("no_seal", Vec::new()),
        DemoError::NotPassed(indication) => ("not_passed", vec![("indication", indication.clone())]),
        DemoError::NotShown(what) => ("not_shown", vec![("what", what.clone())]),
        DemoError::NotSigned { state, reason } => ("not_signed", vec![("state", state.clone()), ("reason", reason.clone())]),
        DemoError::ProgramFailed { program, said } => {
            ("program_failed", vec![("program", program.clone()), ("said", said.clone())])
        }
        DemoError::ProgramMissing(path) => ("program_missing", vec![("path", path.display().to_string())]),
        DemoError::Random => ("random", Vec::new()),
        DemoError::UnixOnly => ("unix_only", Vec::new()),
    };
    values.iter().fold(text(key, language).to_owned(), |text, (name, value)| text.replace(&format!("{{{name}}}"), value))
}

/// The report for a person at a terminal.
pub fn print_report(report: &Value, language: Language) {
    let string = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).unwrap_or("").to_owned();
    let mark = |state: &str| match state {
        "passed" | "TOTAL_PASSED" => '✔',
        "failed" | "TOTAL_FAILED" => '✘',
        "skipped" => '–',
        _ => '!',
    };
    let indication = string(report, "indication");
    println!("    {} {} ({indication})", mark(&indication), word(&indication, language));
    let none = Vec::new();
    let list = |value: &Value, key: &str| value.get(key).and_then(Value::as_array).unwrap_or(&none).clone();
    for signature in list(report, "signatures") {
        let (seal, signer) = (signature.get("seal").unwrap_or(&Value::Null), signature.get("signer").unwrap_or(&Value::Null));
        let source = string(&signature, "timeSource");
        for (key, value) in [
            ("seal", format!("{} {}", string(seal, "name"), string(seal, "esId"))),
            ("signer", string(signer, "name")),
            ("uscc", string(signer, "uscc")),
            ("signedAt", format!("{} ({})", string(&signature, "signedAt"), word(&source, language))),
        ] {
            println!("    {}: {value}", word(key, language));
        }
        let layers = signature.get("layers").unwrap_or(&Value::Null);
        let layers = LAYERS.map(|layer| format!("{} {}", mark(&string(layers, layer)), word(layer, language)));
        println!("    {}", layers.join("  "));
        for finding in list(&signature, "findings") {
            let message = string(&finding, language.pick("message", "messageZh"));
            println!("    · {} {message}", string(&finding, "code"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_is_there_in_both_languages() {
        assert!(TEXTS.len() > 20);
        for (key, [en, zh]) in TEXTS.iter() {
            assert!(!en.is_empty() && zh.chars().any(|c| c >= '\u{4e00}') || key == "io", "{key}");
        }
        for (key, texts) in PAGE_TEXTS.iter() {
            assert_eq!(texts.keys().collect::<Vec<_>>(), ["en", "zh"], "{key}");
            assert!(texts.values().all(|text| !text.is_empty()), "{key}");
        }
    }

    #[test]
    fn no_value_is_left_out_of_a_failure() {
        let error = DemoError::NotSigned { state: "declined".to_owned(), reason: "x".to_owned() };
        for language in [Language::English, Language::Chinese] {
            assert!(failure(&error, language).contains("declined") && !failure(&error, language).contains('{'));
        }
    }

    #[test]
    fn every_text_that_the_page_asks_for_is_there() {
        let html = include_str!("assets/index.html");
        for key in html.split("data-text=\"").skip(1).filter_map(|rest| rest.split('"').next()) {
            assert!(PAGE_TEXTS.contains_key(key), "{key}");
        }
        let script = include_str!("assets/app.js");
        for key in script.split(" t('").skip(1).filter_map(|rest| rest.split('\'').next()) {
            assert!(PAGE_TEXTS.contains_key(key), "{key}");
        }
    }
}
