//! `sealagent diagnostics`: one file that a person can send to a help desk. It says what is installed, configured and wrong, and names
//! nobody: no PIN, no key, no document, no serial number, no seal's code, no person (attack item 67).
//!
//! What is known to be private is taken out wherever it stands; of the log, everything that could be a number, a name or a document's
//! name goes as well, known or not.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{FAILED, Problem, with_agent};
use crate::agent::Agent;
use crate::audit::{self, Audit};
use crate::config::{self, Config};
use crate::consent::grants::Grants;
use crate::failure::Language;
use crate::files::private_file;
use crate::seals;
use crate::views::{SealView, TokenView};
use crate::workers::DriverState;

/// How much of the log is looked at, in bytes.
const LOG_BYTES: usize = 64 << 10;
/// Texts of fewer bytes are left where they stand: a label "1" would take every 1 out of the file. Names of two Chinese characters
/// have six.
const MIN_SECRET: usize = 4;
/// Digits in a row that may be a number of somebody or something.
const MAX_DIGITS: usize = 5;

/// Arguments of `diagnostics`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The file to write. It must not be there yet.
    #[arg(short, long, value_name = "FILE", default_value = "sealagent-diagnostics.json")]
    output: PathBuf,
}

/// Runs `diagnostics`.
pub fn run(config: Config, args: &Args, language: Language) -> Result<ExitCode, Problem> {
    let mut private = Private::default();
    let report = report(config, &mut private, language)?;
    let text = serde_json::to_string_pretty(&private.cleaned(report)).map_err(std::io::Error::from)?;
    let mut file = private_file().write(true).create_new(true).open(&args.output).map_err(|error| {
        Problem::new(
            FAILED,
            format!("{}: {error}", args.output.display()),
            language.pick("name another file with -o", "请用 -o 指定其他文件"),
        )
    })?;
    file.write_all(text.as_bytes())?;
    println!("{}", args.output.display());
    println!("{}", language.pick("Look through it before you send it.", "发送前请先查看其内容。"));
    Ok(ExitCode::SUCCESS)
}

fn report(config: Config, private: &mut Private, language: Language) -> Result<Value, Problem> {
    let (places, presets) = (config.places.clone(), config.presets.clone());
    let configuration = configuration(&config);
    private.learn_of_system();
    let grants = Grants::new(places.pairings()).list(Timestamp::now()).unwrap_or_default();
    for grant in &grants {
        private.learn([grant.key.to_text().as_str(), &grant.id, grant.label.as_ref().map_or("", |label| label.as_str())]);
    }
    let record = record(&places.audit(), private);
    let (known, status, now) = with_agent(config, None, language, async |agent: &Agent| {
        let known = seals::all(&agent.signer.workers, &agent.signer.config.places.seals()).await;
        (known, agent.signer.workers.status(), (agent.signer.clock)())
    })?;
    let (tokens, seals) = (TokenView::all(&known), SealView::all(&known, now));
    for token in &tokens {
        private.learn([token.label.as_str(), token.serial.as_str(), &token.id.0]);
        for key in &token.keys {
            private.learn([key.signer.as_str(), key.uscc.as_ref().map_or("", |uscc| uscc.as_str()), &key.sha256]);
        }
    }
    for seal in &seals {
        private.learn([seal.es_id.as_str(), seal.name.as_str()]);
    }
    let drivers: Vec<Value> = status
        .iter()
        .map(|driver| {
            let failure = known.tokens.failures.iter().find(|(name, _)| *name == driver.name).map(|(_, error)| error.to_string());
            let (state, reason) = match &driver.state {
                DriverState::Running => ("running", None),
                DriverState::SetAside { reason } => ("setAside", Some(reason.clone())),
                DriverState::Starting { after } => ("starting", after.clone()),
            };
            json!({"name": driver.name, "state": state, "reason": reason, "failure": failure})
        })
        .collect();
    let tokens: Vec<Value> = tokens
        .iter()
        .map(|token| json!({"manufacturer": token.manufacturer, "pin": token.pin, "keys": token.keys.len()}))
        .collect();
    let seals: Vec<Value> =
        seals.iter().map(|seal| json!({"version": seal.version, "state": seal.state, "validTo": seal.valid_to})).collect();
    let log = crate::log::last(&places.log(), LOG_BYTES);
    // What a vendor's library prints may be anything.
    let log: Vec<String> = log.lines().filter(|line| !line.contains("worker prints")).map(|line| private.line(line)).collect();
    Ok(json!({
        "at": now,
        "version": env!("CARGO_PKG_VERSION"),
        "system": {"os": std::env::consts::OS, "arch": std::env::consts::ARCH, "kernel": kernel()},
        "policy": {"file": config::policy_path(), "present": config::policy_path().exists()},
        "configuration": configuration,
        "pairings": grants.iter().map(|grant| json!({"origin": grant.origin, "once": grant.once.is_some()})).collect::<Vec<_>>(),
        "drivers": drivers,
        "tokens": tokens,
        "seals": seals,
        "trust": crate::trust_dir::read(&places.trust(), &presets).map_or_else(
            |error| json!({"error": error.to_string()}),
            |(_, problems)| json!({"problems": problems.len()}),
        ),
        "tls": crate::tls::Tls::new(places.tls()).status().map_or_else(
            |error| json!({"error": error.to_string()}),
            |status| json!({"validTo": status.map(|status| status.valid_to)}),
        ),
        "record": record,
        "log": log,
    }))
}

/// The configuration as it came out of policy and file.
fn configuration(config: &Config) -> Value {
    let http = &config.http;
    let drivers: Vec<Value> = config
        .drivers
        .iter()
        .map(|driver| {
            json!({
                "kind": driver.kind.as_str(),
                "library": driver.library,
                "libraryFound": driver.library.as_ref().map(|path| path.exists()),
                "profile": driver.profile,
                "pinned": driver.sha256.is_some(),
            })
        })
        .collect();
    json!({
        "port": http.port,
        "origins": http.origins,
        "digestOnly": http.digest_only,
        "maxUploadBytes": http.max_upload_bytes,
        "silent": http.silent,
        "pairing": http.pairing,
        "tls": http.tls,
        "prompt": format!("{:?}", config.prompt.kind),
        "promptTimeoutSeconds": config.prompt.timeout.as_secs(),
        "drivers": drivers,
        "timestampServices": config.timestamps.len(),
        "keepDays": config.audit.keep_days,
        "limits": config.limits.len(),
        "pinFd": config.pin_fd,
        "data": config.places.data,
        "state": config.places.state,
    })
}

/// The state of the record; what its lines name is private.
fn record(dir: &std::path::Path, private: &mut Private) -> Value {
    if let Ok(audit) = Audit::open(dir) {
        let mut lines = Vec::new();
        let _ = audit.export(&mut lines);
        for line in lines.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice::<audit::Line>(line).ok()) {
            private.learn([
                line.event.request.as_str(),
                &line.event.user,
                line.event.token.as_ref().map_or("", |token| token.as_str()),
            ]);
            for item in &line.event.items {
                private.learn([item.name.as_str(), item.seal.as_str(), &item.sm3.to_string()]);
            }
        }
    }
    match audit::verify(dir) {
        Ok(found) => json!(found),
        Err(error) => json!({"error": error.to_string()}),
    }
}

fn kernel() -> Option<String> {
    fs::read_to_string("/proc/sys/kernel/osrelease").ok().map(|text| text.trim().to_owned())
}

/// Texts that must not be in the file, and what stands there instead; longest first, since what holds another goes before it.
#[derive(Default)]
struct Private(BTreeMap<(Reverse<usize>, String), &'static str>);

impl Private {
    fn learn<'a>(&mut self, texts: impl IntoIterator<Item = &'a str>) {
        for text in texts {
            if text.len() >= MIN_SECRET {
                self.0.entry((Reverse(text.len()), text.to_owned())).or_insert("‹…›");
            }
        }
    }

    /// Who is logged in, and where they are at home.
    fn learn_of_system(&mut self) {
        if let Some(dirs) = directories::BaseDirs::new()
            && let Some(home) = dirs.home_dir().to_str()
        {
            self.0.insert((Reverse(home.len()), home.to_owned()), "~");
        }
        let user = config::user();
        let name = user.split(' ').next().unwrap_or_default().to_owned();
        self.learn([user.as_str(), name.as_str()]);
    }

    /// All texts of a value without what is private. The names of fields are ours and stay.
    fn cleaned(&self, value: Value) -> Value {
        match value {
            Value::Array(list) => list.into_iter().map(|value| self.cleaned(value)).collect(),
            Value::Object(fields) => fields.into_iter().map(|(name, value)| (name, self.cleaned(value))).collect(),
            Value::String(text) => Value::String(self.without(&text)),
            other => other,
        }
    }

    /// A text without what is private.
    fn without(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, ((_, secret), instead)| {
            if text.contains(secret.as_str()) { text.replace(secret.as_str(), instead) } else { text }
        })
    }

    /// A line of the log: the time it begins with stays; of the rest, numbers, words of other scripts than ours, and documents go.
    fn line(&self, line: &str) -> String {
        let (time, rest) = match line.split_once(' ') {
            Some((time, rest)) if time.parse::<Timestamp>().is_ok() => (time, rest),
            _ => ("", line),
        };
        let mut out = time.to_owned();
        for word in self.without(rest).split_inclusive([' ', '"', '/']) {
            let lower = word.to_ascii_lowercase();
            let is_named = [".ofd", ".pdf"].iter().any(|ending| lower.contains(ending));
            let digits = word.split(|c: char| !c.is_ascii_digit()).map(str::len).max().unwrap_or_default();
            let is_foreign = word.chars().any(|c| !c.is_ascii() && !"‹…›".contains(c));
            if is_named || is_foreign || digits > MAX_DIGITS {
                out.push_str(" ‹…› ");
            } else {
                if out.len() == time.len() && !time.is_empty() {
                    out.push(' ');
                }
                out.push_str(word);
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_lose_what_could_be_private_and_keep_what_helps() {
        let mut private = Private::default();
        private.learn(["王小明", "SN-00017", "1"]);
        assert_eq!(private.cleaned(json!({"1": "/data/王小明/1"})), json!({"1": "/data/‹…›/1"}));
        let cleaned = private.line("2026-11-24T06:00:00.123456Z  WARN sealagent::seals: a token cannot be inspected driver=\"skf\" error=code 0x0A000024");
        assert!(
            cleaned.starts_with("2026-11-24T06:00:00.123456Z") && cleaned.contains("a token cannot be inspected driver=\"skf\""),
            "{cleaned}"
        );
        for secret in ["738261904517", "采购合同", "contract.ofd", "王小明", "SN-00017"] {
            let cleaned = private.line(&format!("WARN x: before {secret} after"));
            assert!(!cleaned.contains(secret) && cleaned.contains("before") && cleaned.contains("after"), "{cleaned}");
        }
    }
}
