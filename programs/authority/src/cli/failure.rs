//! What a person is told when something goes wrong: what happened, what to do, in Chinese or English. The texts are data:
//! `failures.json`.

use std::collections::BTreeMap;
use std::fmt::Display;

use sealauthority::{
    AddressError, IssueError, KeyError, NameError, PictureError, RegionError, RequestError, SealError, StatementError,
    StoreError, TokenError,
};
use serde::Deserialize;
use ukey::DriverError;
use ukey_virtual::TokenError as VirtualTokenError;

/// A language of the catalogue.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Language {
    Chinese,
    English,
}

impl Language {
    /// From `LC_ALL`, `LC_MESSAGES` or `LANG`, in that order.
    pub fn of_environment() -> Self {
        let mut names = ["LC_ALL", "LC_MESSAGES", "LANG"].iter().filter_map(|name| std::env::var(name).ok());
        match names.find(|value| !value.is_empty()) {
            Some(value) if value.starts_with("zh") => Self::Chinese,
            _ => Self::English,
        }
    }
}

/// One entry: what happened, then what to do.
#[derive(Deserialize)]
struct Text {
    en: [String; 2],
    zh: [String; 2],
}

/// A situation and the values that belong to it.
#[derive(Debug)]
pub struct Failure {
    key: &'static str,
    values: Vec<(&'static str, String)>,
}

impl Failure {
    /// The situation named `key` in the catalogue.
    pub fn new(key: &'static str, values: &[(&'static str, &dyn Display)]) -> Self {
        Self { key, values: values.iter().map(|(name, value)| (*name, value.to_string())).collect() }
    }

    /// Two lines, with their line ends.
    pub fn text(&self, language: Language) -> String {
        let catalogue = catalogue();
        let Some(text) = catalogue.get(self.key) else { return format!("{}\n", self.key) };
        let ([what, advice], hint) = match language {
            Language::Chinese => (&text.zh, "提示："),
            Language::English => (&text.en, "hint: "),
        };
        let fill = |text: &str| {
            self.values.iter().fold(text.to_owned(), |text, (name, value)| text.replace(&format!("{{{name}}}"), value))
        };
        format!("{}\n{hint}{}\n", fill(what), fill(advice))
    }
}

fn catalogue() -> BTreeMap<String, Text> {
    #[expect(clippy::expect_used, reason = "compiled in, and a test reads all of it")]
    serde_json::from_str(include_str!("failures.json")).expect("the catalogue is JSON")
}

impl From<RegionError> for Failure {
    fn from(error: RegionError) -> Self {
        match &error {
            RegionError::Key(KeyError::Token(error))
            | RegionError::Issue(IssueError::Key(KeyError::Token(error)))
            | RegionError::Seal(SealError::Key(KeyError::Token(error)))
            | RegionError::Statement(StatementError::Key(KeyError::Token(error))) => error.into(),
            RegionError::Store(error) => error.into(),
            RegionError::AlreadyRevoked(serial) => Self::new("already-revoked", &[("serial", serial)]),
            RegionError::Exists(path) => Self::new("exists", &[("path", &path.display())]),
            RegionError::Io { path, source } => Self::new("io", &[("path", &path.display()), ("reason", source)]),
            RegionError::Key(KeyError::Passphrase) => Self::new("passphrase-wrong", &[]),
            RegionError::NoRegion(path) => Self::new("no-region", &[("path", &path.display())]),
            RegionError::RegionId(found) => Self::new("region-id", &[("found", found)]),
            RegionError::UnknownSerial(serial) => Self::new("unknown-serial", &[("serial", serial)]),
            RegionError::Malformed { path, reason } => Self::new("malformed", &[("path", &path.display()), ("reason", reason)]),
            RegionError::Issue(reason) => Self::new("not-issued", &[("reason", reason)]),
            RegionError::Statement(reason) => Self::new("no-statement", &[("reason", reason)]),
            RegionError::OtherRecords { folder, found } => {
                Self::new("database-other", &[("path", &folder.display()), ("found", found)])
            }
            RegionError::Seal(reason) => Self::new("no-seal", &[("reason", reason)]),
            _ => Self::new("keys", &[("reason", &error)]),
        }
    }
}

impl From<&TokenError> for Failure {
    fn from(error: &TokenError) -> Self {
        use DriverError::{KeyAbsent, KeyChanged, PinBlocked, PinIncorrect, PinUnacceptable, TokenAbsent};
        match error {
            TokenError::Driver(PinIncorrect { tries_left: Some(tries) }) => Self::new("pin-wrong", &[("tries", tries)]),
            TokenError::Driver(PinIncorrect { tries_left: None } | PinUnacceptable { .. }) => {
                Self::new("pin-wrong", &[("tries", &"?")])
            }
            TokenError::Driver(PinBlocked) => Self::new("pin-locked", &[]),
            TokenError::Driver(TokenAbsent) => Self::new("token-absent", &[]),
            TokenError::Driver(KeyAbsent { .. } | KeyChanged { .. }) => Self::new("token-key", &[("reason", error)]),
            TokenError::NoKey(digits) => Self::new("token-no-key", &[("found", digits)]),
            TokenError::NoPin => Self::new("pin-needed", &[]),
            TokenError::Signature => Self::new("token-signature", &[]),
            _ => Self::new("token-unusable", &[("reason", error)]),
        }
    }
}

impl From<TokenError> for Failure {
    fn from(error: TokenError) -> Self {
        Self::from(&error)
    }
}

impl From<&StoreError> for Failure {
    fn from(error: &StoreError) -> Self {
        match error {
            StoreError::Address(error) => error.into(),
            StoreError::Busy | StoreError::Conflict => Self::new("store-busy", &[]),
            StoreError::ClockSetBack { last, now } => Self::new("clock-set-back", &[("last", last), ("now", now)]),
            StoreError::DiskFull => Self::new("disk-full", &[]),
            StoreError::Exists => Self::new("database-used", &[]),
            StoreError::InDoubt => Self::new("database-doubt", &[]),
            StoreError::Missing => Self::new("database-empty", &[]),
            StoreError::Newer { found } => Self::new("store-newer", &[("found", found)]),
            StoreError::NoSuchChange(state) => Self::new("no-such-change", &[("state", &format!("{state:?}").to_lowercase())]),
            StoreError::PasswordNeeded { user, host } => Self::new("database-password", &[("user", user), ("host", host)]),
            StoreError::Postgres { .. } => Self::new("database", &[("reason", error)]),
            StoreError::UnknownSeal(es_id) => Self::new("unknown-seal", &[("esId", es_id)]),
            StoreError::Unproven(reason) => Self::new("database-unproven", &[("reason", reason)]),
            StoreError::Unreachable(reason) => Self::new("database-unreachable", &[("reason", reason)]),
            StoreError::Unsuitable(reason) => Self::new("database-unsuitable", &[("reason", reason)]),
            _ => Self::new("store", &[("reason", error)]),
        }
    }
}

impl From<&AddressError> for Failure {
    fn from(error: &AddressError) -> Self {
        match error {
            AddressError::Password => Self::new("database-secret", &[]),
            AddressError::PasswordFileOpen(path) => Self::new("secret-file-open", &[("path", &path.display())]),
            AddressError::Plaintext(host) => Self::new("database-plaintext", &[("host", host)]),
            AddressError::Roots(host) => Self::new("database-roots", &[("host", host)]),
            AddressError::SslMode(found) => Self::new("database-sslmode", &[("found", found)]),
            _ => Self::new("database-address", &[("reason", error)]),
        }
    }
}

impl From<AddressError> for Failure {
    fn from(error: AddressError) -> Self {
        Self::from(&error)
    }
}

impl From<RequestError> for Failure {
    fn from(error: RequestError) -> Self {
        Self::new("request", &[("reason", &error)])
    }
}

impl From<NameError> for Failure {
    fn from(error: NameError) -> Self {
        Self::new("name", &[("reason", &error)])
    }
}

impl From<PictureError> for Failure {
    fn from(error: PictureError) -> Self {
        match &error {
            PictureError::NoFont(text) => Self::new("no-font", &[("text", text)]),
            PictureError::Text { found, limit, .. } => Self::new("seal-text", &[("found", found), ("limit", limit)]),
            _ => Self::new("picture", &[("reason", &error)]),
        }
    }
}

impl From<VirtualTokenError> for Failure {
    fn from(error: VirtualTokenError) -> Self {
        match &error {
            VirtualTokenError::Driver(DriverError::PinUnacceptable { .. }) => Self::new("pin-form", &[]),
            _ => Self::new("token", &[("reason", &error)]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_is_there_in_both_languages() {
        let catalogue = catalogue();
        assert!(catalogue.len() > 20);
        for (key, text) in catalogue {
            assert!(text.en.iter().chain(&text.zh).all(|line| !line.is_empty()), "{key}");
            assert!(text.zh.iter().all(|line| line.chars().any(|c| c >= '\u{4e00}')), "{key}");
        }
    }

    #[test]
    fn every_situation_in_the_code_stands_in_the_catalogue_and_the_reverse() {
        let sources = [
            include_str!("failure.rs"),
            include_str!("mod.rs"),
            include_str!("publish.rs"),
            include_str!("secret.rs"),
            include_str!("ukey.rs"),
            include_str!("verify_service.rs"),
        ];
        let mut used: Vec<&str> = sources
            .iter()
            .flat_map(|source| source.split("::new(\"").skip(1))
            .filter_map(|rest| rest.split('"').next())
            .collect();
        used.retain(|key| key.bytes().all(|b| b.is_ascii_lowercase() || b == b'-') && !key.is_empty());
        used.sort_unstable();
        used.dedup();
        assert_eq!(used, catalogue().keys().collect::<Vec<_>>());
    }

    #[test]
    fn values_are_filled_in() {
        let text = Failure::new("exists", &[("path", &"/x/y")]).text(Language::Chinese);
        assert!(text.contains("/x/y") && text.contains("提示：") && !text.contains('{'), "{text}");
    }
}
