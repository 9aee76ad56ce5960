//! Drivers, the UKeys they reach, and what is on those: found by doing what the agent does, with one try for each driver.

use std::fmt::Display;
use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use ukey::driver::Hardware;
use ukey::library::LibraryFault;
use ukey::{About, DriverError};

use super::check::{Check, Finding};
use crate::agent;
use crate::config::{Config, Driver};
use crate::consent::summary::TokenShown;
use crate::consent::text::date;
use crate::failure::Language;
use crate::seals::{self, Holder, Seals};
use crate::views::signer;
use crate::workers::library::LibraryError;
use crate::workers::{Client, DriverState, DriverStatus, StartFailure, Timing, Token, WorkerError, Workers};

/// So few tries left are worth a word.
const FEW_TRIES: u32 = 3;
/// A certificate or seal that ends within so many days is worth a word: renewing both takes weeks.
const SOON_DAYS: i64 = 30;

const DAY: i64 = 86_400;

/// Looks at all of them.
pub async fn checks(config: &Config, worker: &Path, now: Timestamp, language: Language) -> Vec<Check> {
    let names: Vec<_> = agent::drivers(config, worker, false);
    if names.is_empty() {
        return vec![Check::new(Finding::DriverNone, language, &[])];
    }
    // A driver that fails is not tried again: what it failed with is what is told.
    let workers = Workers::start(names.clone(), Timing { failure_limit: 1, ..Timing::default() });
    let client = workers.client();
    let known = seals::all(&client, &config.places.seals()).await;
    let mut words = Words { language, out: Vec::new() };
    for (driver, named) in config.drivers.iter().zip(&names) {
        words.driver(&named.name, driver, &known, &client);
    }
    if known.tokens.tokens.is_empty() && known.tokens.failures.is_empty() {
        words.say(Finding::TokenNone, &[]);
    }
    for token in &known.tokens.tokens {
        words.token(token, &known, &client, now).await;
    }
    for seal in &known.seals {
        let property = seal.seal.property();
        let until = Until::new(property.valid_to.instant, now);
        let values: &[(&str, &dyn Display)] =
            &[("name", &property.name), ("code", &seal.seal.es_id()), ("date", &until.date), ("days", &until.days)];
        words.say(until.pick(Finding::SealFine, Finding::SealSoon, Finding::SealExpired), values);
    }
    workers.shut_down().await;
    words.out
}

/// The end of a validity.
struct Until {
    days: i64,
    date: String,
    over: bool,
}

impl Until {
    fn new(end: Timestamp, now: Timestamp) -> Self {
        Self { days: (end.as_second() - now.as_second()).div_euclid(DAY), date: date(end), over: now > end }
    }

    fn pick(&self, fine: Finding, soon: Finding, over: Finding) -> Finding {
        match self.days {
            _ if self.over => over,
            ..=SOON_DAYS => soon,
            _ => fine,
        }
    }
}

/// The lines so far.
struct Words {
    language: Language,
    out: Vec<Check>,
}

impl Words {
    fn say(&mut self, finding: Finding, values: &[(&str, &dyn Display)]) {
        self.out.push(Check::new(finding, self.language, values));
    }

    fn driver(&mut self, name: &str, driver: &Driver, known: &Seals, client: &Client) {
        let path = driver.library.clone().unwrap_or_default();
        let status = client.status().into_iter().find(|status| status.name == name);
        let failure = known.tokens.failures.iter().find(|(failed, _)| failed == name);
        if let Some((_, error)) = failure {
            let (finding, path, problem) = failure_of(error, path);
            let values: &[(&str, &dyn Display)] =
                &[("driver", &name), ("path", &path.display()), ("problem", &problem), ("found", &problem)];
            self.say(finding, values);
            return;
        }
        let count = known.tokens.tokens.iter().filter(|token| token.driver == name).count();
        let about = status.as_ref().and_then(|status| status.about.as_ref());
        let library = about.map(|about| library_words(&path, about, self.language)).unwrap_or_default();
        if status.as_ref().is_some_and(|status| matches!(status.state, DriverState::SetAside { .. })) {
            return; // it failed at a token, whose line says how
        }
        self.say(Finding::DriverFine, &[("driver", &name), ("count", &count), ("library", &library)]);
        self.out.extend(status.as_ref().and_then(|status| untested(status, self.language)));
        if about.is_some_and(|about| about.hardware == Hardware::Virtual) {
            self.say(Finding::DriverVirtual, &[("driver", &name)]);
        }
    }

    async fn token(&mut self, token: &Token, known: &Seals, client: &Client, now: Timestamp) {
        let shown = TokenShown::of(&token.info);
        let name = format!("{} …{}", shown.label, shown.serial_tail);
        let Some(pin) = known.pins.get(&token.handle) else {
            // It was not read: once more, for the reason.
            if let Err(error) = client.inspect(&token.handle).await {
                self.say(Finding::TokenUnreadable, &[("token", &name), ("problem", &root(&error))]);
            }
            return;
        };
        let tries = pin.tries_left.unwrap_or_default();
        let finding = match pin.tries_left {
            _ if pin.blocked => Finding::TokenLocked,
            _ if pin.last_try => Finding::TokenLastTry,
            Some(1) => Finding::TokenLastTry,
            Some(..=FEW_TRIES) => Finding::TokenFewTries,
            _ => Finding::TokenFine,
        };
        self.say(finding, &[("token", &name), ("tries", &tries)]);
        let own: Vec<&Holder> = known.holders.iter().filter(|holder| holder.token.handle == token.handle).collect();
        if own.is_empty() {
            self.say(Finding::TokenNoCertificate, &[("token", &name)]);
        }
        for holder in own {
            let (from, until) = (holder.certificate.not_before(), Until::new(holder.certificate.not_after(), now));
            let signer = signer(&holder.certificate);
            if now < from {
                self.say(Finding::CertificateNotYet, &[("signer", &signer), ("date", &date(from))]);
                continue;
            }
            let finding = until.pick(Finding::CertificateFine, Finding::CertificateSoon, Finding::CertificateExpired);
            self.say(finding, &[("signer", &signer), ("date", &until.date), ("days", &until.days)]);
        }
    }
}

/// What was loaded: where from, what it calls itself, and by which profile it is driven.
fn library_words(path: &Path, about: &About, language: Language) -> String {
    let path = path.display().to_string();
    let profile = about.profile.as_ref().map(|profile| format!("{} {profile}", language.pick("profile", "配置名")));
    let parts = [Some(path).filter(|path| !path.is_empty()), about.library.clone(), profile];
    parts.into_iter().flatten().collect::<Vec<_>>().join(" · ")
}

/// The gate before real seals: a driver, under the profile it works by, that was never run on a real device is said to be so.
pub fn untested(driver: &DriverStatus, language: Language) -> Option<Check> {
    let about = driver.about.as_ref().filter(|about| about.hardware == Hardware::Never)?;
    let profile = match &about.profile {
        Some(profile) => format!("{} {profile}", language.pick("the profile", "配置")),
        None => language.pick("this driver", "该驱动").to_owned(),
    };
    Some(Check::new(Finding::DriverUntested, language, &[("driver", &driver.name), ("profile", &profile)]))
}

/// The failure itself, whatever it led to.
fn root(error: &WorkerError) -> &WorkerError {
    match error {
        WorkerError::SetAside { cause, .. } | WorkerError::DiedWithPin { cause, .. } => root(cause),
        error => error,
    }
}

/// Which line tells of a driver's failure, with the path and the problem to name in it.
fn failure_of(error: &WorkerError, library: PathBuf) -> (Finding, PathBuf, String) {
    let problem = root(error).to_string();
    match root(error) {
        WorkerError::Crashed { reason, .. } => (Finding::DriverCrashes, library, reason.clone()),
        WorkerError::Deadline { .. } => (Finding::DriverHangs, library, problem),
        WorkerError::Driver(error) => of_driver(error, library),
        WorkerError::NotStarted { cause: StartFailure::Driver(error), .. } => of_driver(error, library),
        WorkerError::NotStarted { cause: StartFailure::Library(error), .. } => of_library(error),
        WorkerError::NotStarted { cause: StartFailure::No32BitWorker { library, .. }, .. } => {
            (Finding::Library32Bit, library.clone(), problem)
        }
        WorkerError::NotStarted { cause, .. } => (Finding::WorkerFails, library, cause.to_string()),
        _ => (Finding::DriverFailed, library, problem),
    }
}

fn of_driver(error: &DriverError, library: PathBuf) -> (Finding, PathBuf, String) {
    let finding = match error {
        DriverError::Busy => Finding::DriverBusy,
        DriverError::Library { fault, .. } => match fault {
            LibraryFault::Absent => Finding::LibraryAbsent,
            LibraryFault::Lacks => Finding::LibraryLacks,
            LibraryFault::NotALibrary => Finding::LibraryNone,
            LibraryFault::OtherMachine => Finding::LibraryForeign,
            LibraryFault::RelativePath => Finding::LibraryNotAbsolute,
            LibraryFault::Start => Finding::LibraryStart,
            LibraryFault::Unloadable => Finding::LibraryUnloadable,
            LibraryFault::Unreadable => Finding::LibraryUnreadable,
        },
        // Nothing can be asked of the service: it is not there, whichever of its codes says so.
        DriverError::Module { function, .. } if function == "SCardEstablishContext" => Finding::PcscService,
        DriverError::Unsupported { .. } => Finding::DriverProfileUnknown,
        _ => Finding::DriverFailed,
    };
    (finding, library, error.to_string())
}

fn of_library(error: &LibraryError) -> (Finding, PathBuf, String) {
    let problem = error.to_string();
    match error {
        LibraryError::Digest { path, found } => (Finding::LibraryDigest, path.clone(), found.clone()),
        LibraryError::Io { path, source } if source.kind() == io::ErrorKind::NotFound => {
            (Finding::LibraryAbsent, path.clone(), problem)
        }
        LibraryError::Io { path, source } => (Finding::LibraryUnreadable, path.clone(), source.to_string()),
        LibraryError::NotAFile(path) => (Finding::LibraryNotAFile, path.clone(), problem),
        LibraryError::NotAbsolute(path) => (Finding::LibraryNotAbsolute, path.clone(), problem),
        LibraryError::WritableByOthers(path) => (Finding::LibraryWritable, path.clone(), problem),
    }
}
