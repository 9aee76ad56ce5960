//! `sealagent verify FILE…`: judges files on all cores and prints reports in the order of the arguments.

mod ordered;
mod print;

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, IsTerminal as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args as ClapArgs;
use jiff::Timestamp;
use serde::Serialize;

use super::no_fetching;
use crate::config::Config;
use crate::failure::Language;
use crate::fetch::Fetcher;
use crate::pki::{Certificate, Known, TrustStore};
use crate::regions::{Presets, Said};
use crate::signing::online::FOR_A_REPORT;
use crate::trust_dir;
use crate::trusted::Trusted;
use crate::verify::looked_up::LookedUp;
use crate::verify::report::{Indication, Report};
use crate::verify::{Context, Verifier};
use print::Style;

/// Arguments of `verify`.
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// OFD or PDF documents, seals, seal signatures, SignedData.
    #[arg(required_unless_present = "files_from", value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Also judge the files that this file names, one a line; - is standard input. For more names than a command line holds.
    #[arg(long, value_name = "LIST")]
    pub files_from: Option<PathBuf>,
    /// Print one JSON report a line.
    #[arg(long)]
    pub json: bool,
    /// Folder with anchors, makers, tsa, intermediates, crls, ocsp and accepted regions; or files that regions signed, trust lists
    /// first, which are believed because they are named here (several allowed). The user's own trust folder when absent.
    #[arg(long, value_name = "DIR|FILE")]
    pub trust: Vec<PathBuf>,
    /// Judge as if it were this time (RFC 3339, as 2026-11-24T06:00:00Z).
    #[arg(long, value_name = "TIME")]
    pub at: Option<Timestamp>,
    /// Ask the services that the lists of accepted regions name about the seals and certificates in the file. What they answer is kept in
    /// the user's own trust folder; who did not answer is told.
    #[arg(long, conflicts_with_all = ["trust", "at"])]
    pub online: bool,
    /// The original data of a signature that comes by itself.
    #[arg(long, value_name = "FILE")]
    pub data: Option<PathBuf>,
    /// The certificate of a signature that carries none.
    #[arg(long, value_name = "FILE")]
    pub signer_cert: Option<PathBuf>,
}

/// Exit codes of report.md.
const FAILED: u8 = 1;
const WRONG_USE: u8 = 2;
const INDETERMINATE: u8 = 3;
const UNREADABLE: u8 = 4;

/// Runs `verify`. 4 if any file could not be read, else 1 if any failed, else 3 if any is indeterminate, else 0; 2 is wrong use.
pub fn run(args: &Args, config: Option<&Path>) -> ExitCode {
    let language = Language::of_environment();
    match Inputs::read(args, config, language) {
        Ok(inputs) => ExitCode::from(verify_all(args, &inputs, language)),
        Err(problem) => {
            eprintln!("sealagent: {problem}");
            ExitCode::from(WRONG_USE)
        }
    }
}

/// What is the same for all files.
struct Inputs {
    trust: TrustStore,
    now: Timestamp,
    data: Option<Vec<u8>>,
    signer_certificate: Option<Arc<Certificate>>,
    /// What is found out about certificates and seals serves all files.
    known: Known,
    online: Option<Online>,
}

/// What asks, with `--online`.
struct Online {
    runtime: tokio::runtime::Runtime,
    trusted: Trusted,
    fetcher: Fetcher,
    /// What came of the questions that earlier files raised.
    said: Said,
}

impl Online {
    fn new(config: &Config, now: Timestamp, language: Language) -> Result<Self, String> {
        // Whoever asks for it on the command line has turned it on, as for `trust update`.
        let fetcher = config.fetch.by_hand().ok_or_else(|| format!("--online: {}", no_fetching(language)))?;
        let runtime = tokio::runtime::Runtime::new().map_err(|error| error.to_string())?;
        let trusted = Trusted::open(config.places.trust(), &config.presets, now).map_err(|error| error.to_string())?;
        Ok(Self { runtime, trusted, fetcher, said: Said::default() })
    }

    /// Judges, asks about what was looked up, and judges again where that changed the trust.
    fn judge(&self, file: &File, inputs: &Inputs) -> Report {
        let looked_up = LookedUp::default();
        let context = inputs.context();
        let trust = self.trusted.current();
        let first = Context { trust: &trust, now: Timestamp::now(), looked_up: Some(&looked_up), ..context };
        let report = Verifier::verify(BufReader::new(file), &first);
        let asking = self.trusted.ask(&self.fetcher, looked_up.take(), FOR_A_REPORT, Timestamp::now(), Some(&self.said));
        let asked = self.runtime.block_on(asking);
        let before = trust;
        let trust = self.trusted.current();
        // It rests on all answers already: those to the questions of earlier files.
        if Arc::ptr_eq(&before, &trust) {
            return Report { asked, ..report };
        }
        // The verifier begins at the start of what it reads.
        let mut again = BufReader::new(file);
        let report = match again.rewind() {
            Ok(()) => Verifier::verify(again, &Context { trust: &trust, now: Timestamp::now(), ..context }),
            Err(_) => report,
        };
        Report { asked, ..report }
    }
}

impl Inputs {
    fn read(args: &Args, config: Option<&Path>, language: Language) -> Result<Self, String> {
        // Whoever names a folder says whom to trust.
        let config = args.trust.is_empty().then(|| Config::load(config).map_err(|error| error.to_string())).transpose()?;
        let (trust, problems) = match &config {
            Some(config) => {
                let own = config.places.trust();
                let own = if own.is_dir() { vec![own] } else { Vec::new() };
                trust_dir::read_all(&own, &config.presets)
            }
            None => trust_dir::read_all(&args.trust, &Presets::none()),
        }
        .map_err(|error| error.to_string())?;
        for problem in problems {
            eprintln!("{} {problem}", language.pick("hint:", "提示："));
        }
        let read = |path: &Path| std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()));
        let data = args.data.as_deref().map(read).transpose()?;
        let signer_certificate = match &args.signer_cert {
            None => None,
            Some(path) => {
                let wrong = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
                let first = crate::pki::trust::decode(&read(path)?).map_err(|e| wrong(&e))?.into_iter().next();
                let certificate = Certificate::parse(&first.unwrap_or_default()).map_err(|e| wrong(&e))?;
                Some(Arc::new(certificate))
            }
        };
        let now = args.at.unwrap_or_else(Timestamp::now);
        let online = config.filter(|_| args.online).map(|config| Online::new(&config, now, language)).transpose()?;
        Ok(Self { trust, now, data, signer_certificate, known: Known::new(), online })
    }

    fn context(&self) -> Context<'_> {
        Context {
            data: self.data.as_deref(),
            signer_certificate: self.signer_certificate.as_ref(),
            known: Some(&self.known),
            ..Context::new(&self.trust, self.now)
        }
    }
}

/// One file's part of the output, and the exit code it asks for.
struct Judged {
    text: String,
    error: Option<String>,
    code: u8,
}

#[derive(Serialize)]
struct JsonReport<'a> {
    file: &'a str,
    #[serde(flatten)]
    report: &'a Report,
}

#[derive(Serialize)]
struct JsonError<'a> {
    file: &'a str,
    error: &'a str,
}

fn verify_all(args: &Args, inputs: &Inputs, language: Language) -> u8 {
    let style = Style { language, colour: io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none() && cfg!(unix) };
    let judge = |named: io::Result<PathBuf>| match named {
        Ok(path) => one(args, inputs, style, &path),
        Err(error) => unreadable(args, &args.files_from.as_deref().unwrap_or(Path::new("-")).display().to_string(), &error),
    };
    let listed = match args.files_from.as_deref().map(listed).transpose() {
        Ok(listed) => listed,
        Err(problem) => {
            eprintln!("sealagent: {problem}");
            return WRONG_USE;
        }
    };
    // How many a list names shows at its end only.
    let count = listed.is_none().then_some(args.files.len());
    let progress = ordered::Progress::new(count, language.pick("files", "个文件"));
    let mut worst = Worst::default();
    let mut broken_pipe = false;
    let files = args.files.iter().cloned().map(Ok).chain(listed.into_iter().flatten());
    ordered::map(files, judge, |judged: Judged| {
        worst.add(judged.code);
        let written = progress.pause(|| {
            if let Some(error) = &judged.error {
                eprintln!("sealagent: {error}");
            }
            let mut out = io::stdout().lock();
            out.write_all(judged.text.as_bytes()).and_then(|()| out.flush())
        });
        progress.step();
        // Whoever read has gone: the rest would be work for nobody.
        broken_pipe = written.is_err();
        !broken_pipe
    });
    progress.finish();
    if broken_pipe { UNREADABLE } else { worst.code() }
}

/// The exit code so far: unreadable before failed before indeterminate.
#[derive(Default)]
struct Worst(u8);

impl Worst {
    fn add(&mut self, code: u8) {
        const ORDER: [u8; 4] = [0, INDETERMINATE, FAILED, UNREADABLE];
        let rank = |code| ORDER.iter().position(|known| *known == code);
        if rank(code) > rank(self.0) {
            self.0 = code;
        }
    }

    fn code(self) -> u8 {
        self.0
    }
}

fn one(args: &Args, inputs: &Inputs, style: Style, path: &Path) -> Judged {
    let name = path.display().to_string();
    let opened = File::open(path).and_then(|file| {
        if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::new(io::ErrorKind::InvalidInput, "not a file")) }
    });
    let report = match opened {
        Ok(file) => match &inputs.online {
            Some(online) => online.judge(&file, inputs),
            None => Verifier::verify(BufReader::new(file), &inputs.context()),
        },
        Err(error) => return unreadable(args, &name, &error),
    };
    let text = if args.json { line(&JsonReport { file: &name, report: &report }) } else { print::report(&name, &report, style) };
    let code = match report.indication {
        Indication::TotalPassed => 0,
        Indication::Indeterminate => INDETERMINATE,
        Indication::TotalFailed => FAILED,
    };
    Judged { text, error: None, code }
}

fn unreadable(args: &Args, name: &str, error: &io::Error) -> Judged {
    let error = error.to_string();
    let text = if args.json { line(&JsonError { file: name, error: &error }) } else { String::new() };
    Judged { text, error: Some(format!("{name}: {error}")), code: UNREADABLE }
}

/// The names in a list, read as they are needed. Empty lines name nothing.
fn listed(list: &Path) -> Result<impl Iterator<Item = io::Result<PathBuf>> + Send, String> {
    let input: Box<dyn io::Read + Send> = match list {
        list if list == Path::new("-") => Box::new(io::stdin()),
        list => Box::new(File::open(list).map_err(|error| format!("{}: {error}", list.display()))?),
    };
    // After an error a reader may give the same one for ever: it is told once.
    let mut broken = false;
    let lines = BufReader::new(input).lines().take_while(move |line| !std::mem::replace(&mut broken, line.is_err()));
    Ok(lines.filter(|line| !line.as_ref().is_ok_and(String::is_empty)).map(|line| line.map(PathBuf::from)))
}

fn line(value: &impl Serialize) -> String {
    // Strings, numbers and times only: nothing in a report can fail to be JSON.
    let mut line = serde_json::to_string(value).unwrap_or_default();
    line.push('\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unreadable_outranks_failed_outranks_indeterminate() {
        let code = |codes: &[u8]| {
            let mut worst = Worst::default();
            codes.iter().for_each(|code| worst.add(*code));
            worst.code()
        };
        assert_eq!(code(&[0, 0]), 0);
        assert_eq!(code(&[0, 3, 0]), 3);
        assert_eq!(code(&[3, 1, 3]), 1);
        assert_eq!(code(&[1, 4, 1, 0]), 4);
    }
}
