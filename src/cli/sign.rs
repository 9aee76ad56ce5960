//! `sealagent sign`: the whole pipeline in this process, with the same consent, record and checks as for a page.

use std::fs;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::ValueEnum;
use indicatif::ProgressBar;
use serde::Serialize;
use tempfile::TempPath;

use super::{FAILED, Output, Problem, UNREADABLE, WRONG_USE, sign_folder, with_agent};
use crate::agent::Agent;
use crate::config::Config;
use crate::consent::Requester;
use crate::consent::descriptor::Descriptor;
use crate::consent::prompt::{Canceller, Prompter};
use crate::failure::{Code, Failure, Language};
use crate::preview;
use crate::signing::request::run_alone;
use crate::signing::subject::{Document, FileError};
use crate::signing::{self, Format, Scratch, Signed, SignedValueKind, SigningItem, SigningRequest, State, Subject};
use crate::sm::Sm3Digest;
use crate::stamp::{Edge, Occurrence, PageNumber, PageSelection, Stamp};

/// Arguments of `sign`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The document to seal, or a folder of documents. They are never changed.
    pub input: PathBuf,
    /// Where the sealed document goes; it appears whole or not at all. For a folder another one, in which nothing is overwritten.
    #[arg(short, long, value_name = "FILE|FOLDER")]
    pub output: PathBuf,
    /// Code of the seal (see `sealagent seals`).
    #[arg(long, value_name = "ESID")]
    pub seal: String,
    /// Pages that carry the seal of --at: numbers and ranges, "odd", "even", "all", such as 1-5,odd; the first when absent.
    #[arg(long, value_name = "PAGES", requires = "at", value_parser = pages)]
    pub page: Option<PageSelection>,
    /// Top left corner of the seal, in mm from the page's top left corner.
    #[arg(long, value_name = "X,Y", allow_hyphen_values = true, value_parser = position)]
    pub at: Option<(f64, f64)>,
    /// A seal beside this text, as a person sees it on the page: its first occurrence, or TEXT:2, or TEXT:all.
    #[arg(long, value_name = "TEXT[:N|:all]", conflicts_with = "at", value_parser = keyword)]
    pub keyword: Option<Keyword>,
    /// From the text's top left corner to the seal's, in mm.
    #[arg(long, value_name = "X,Y", requires = "keyword", allow_hyphen_values = true, value_parser = position, default_value = "0,0")]
    pub offset: (f64, f64),
    /// A straddle seal over this edge of the pages; together with another place a second signature.
    #[arg(long, value_name = "EDGE")]
    pub straddle: Option<EdgeArg>,
    /// Pages that the straddle seal is cut over, as for --page; all when absent.
    #[arg(long, value_name = "PAGES", requires = "straddle", value_parser = pages)]
    pub pages: Option<PageSelection>,
    /// Top edge of the straddle seal, in mm from the top of the page.
    #[arg(long, value_name = "MM", requires = "straddle", default_value_t = 120.0)]
    pub y: f64,
    /// An empty signature field of the PDF; the seal is shown as large as the field allows.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["at", "keyword"])]
    pub field: Option<String>,
    /// What the document carries afterwards; without it "ses" for OFD, "gbt35275" for PDF.
    #[arg(long, value_name = "KIND")]
    pub signed_value: Option<SignedValueArg>,
    /// Sign without an impression of the seal on any page.
    #[arg(long, conflicts_with_all = ["at", "field", "keyword", "straddle"])]
    pub no_impression: bool,
    /// A time stamp service of the configuration; without it the first that is required there, if one is.
    #[arg(long, value_name = "NAME")]
    pub timestamp: Option<String>,
    /// Refuse a document unless every signature in it is valid in all respects; a broken one is refused always.
    #[arg(long)]
    pub require_valid: bool,
    /// Let no further signature be possible.
    #[arg(long)]
    pub close: bool,
    /// Read one PIN from this descriptor instead of asking (unattended use: the command is the consent).
    #[arg(long, value_name = "N")]
    pub pin_fd: Option<u32>,
    /// How to print.
    #[command(flatten)]
    pub print: Output,
}

/// An edge of the page.
#[derive(Clone, Copy, Debug, ValueEnum)]
#[allow(missing_docs, reason = "the names say it")]
pub enum EdgeArg {
    Left,
    Right,
}

/// A kind of signed value.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum SignedValueArg {
    /// SignedData of GB/T 35275.
    Gbt35275,
    /// SES_Signature of GB/T 38540.
    Ses,
}

impl Args {
    /// What a document of this format carries afterwards.
    pub(super) fn signed_value(&self, format: Format) -> SignedValueKind {
        match self.signed_value {
            None => format.signed_value(),
            Some(SignedValueArg::Gbt35275) => SignedValueKind::Gbt35275,
            Some(SignedValueArg::Ses) => SignedValueKind::Ses,
        }
    }
}

fn position(text: &str) -> Result<(f64, f64), String> {
    let (x, y) = text.split_once(',').ok_or("two numbers with a comma between them")?;
    let number = |t: &str| t.trim().parse::<f64>().ok().filter(|n| n.is_finite()).ok_or(format!("{t:?} is no number"));
    Ok((number(x)?, number(y)?))
}

/// A text and which of its occurrences.
#[derive(Clone, Debug, PartialEq)]
pub struct Keyword {
    text: String,
    occurrence: Occurrence,
}

fn keyword(argument: &str) -> Result<Keyword, String> {
    let first = (argument, Occurrence::Nth(NonZeroU32::MIN));
    let (text, occurrence) = match argument.rsplit_once(':') {
        Some((text, "all")) => (text, Occurrence::All),
        Some((text, number)) => number.parse().map_or(first, |nth| (text, Occurrence::Nth(nth))),
        None => first,
    };
    if !preview::keyword::is_keyword(text) {
        return Err("a text of 1 to 200 characters".to_owned());
    }
    Ok(Keyword { text: text.to_owned(), occurrence })
}

/// Largest page number that a list may name.
const MAX_PAGE: u32 = 100_000;

/// `all`, `odd`, `even`, or numbers and ranges, of which `odd` or `even` leaves the half: `1-3,7`, `1-5,odd`.
fn pages(argument: &str) -> Result<PageSelection, String> {
    let wrong = || format!("{argument:?} is not of the form 1-3,7 or 1-5,odd or all");
    let (mut list, mut half) = (Vec::new(), None);
    for part in argument.split(',').map(str::trim) {
        match part {
            "all" if argument.trim() == "all" => return Ok(PageSelection::All),
            "odd" | "even" if half.is_none() => half = Some(part == "odd"),
            _ => {
                let (first, last) = part.split_once('-').unwrap_or((part, part));
                let number = |text: &str| text.trim().parse().ok().filter(|n| (1..=MAX_PAGE).contains(n));
                let (first, last) = number(first).zip(number(last)).filter(|(first, last)| first <= last).ok_or_else(wrong)?;
                list.extend((first..=last).filter_map(PageNumber::new));
            }
        }
    }
    match (half, list.is_empty()) {
        (Some(true), true) => Ok(PageSelection::Odd),
        (Some(false), true) => Ok(PageSelection::Even),
        (None, true) => Err(wrong()),
        (half, false) => {
            list.retain(|page| half.is_none_or(|odd| (page.number() % 2 == 1) == odd));
            if list.is_empty() { Err(wrong()) } else { Ok(PageSelection::List(list)) }
        }
    }
}

/// What `--json` prints.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Printed<'a> {
    state: State,
    #[serde(flatten)]
    failed: Option<Failed>,
    #[serde(skip_serializing_if = "Option::is_none")]
    warning: Option<Code>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<&'a Path>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sm3: Option<Sm3Digest>,
}

/// Why something was not sealed, for programs.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Failed {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<Code>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message_zh: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

impl Failed {
    /// A failure of the catalogue.
    pub fn of(failure: &Failure) -> Self {
        Self {
            code: Some(failure.code),
            message: Some(failure.code.message(Language::English)),
            message_zh: Some(failure.code.message(Language::Chinese)),
            detail: failure.detail.clone(),
        }
    }

    /// The same for a person.
    pub fn words(&self, language: Language) -> String {
        let message = self.message.zip(self.message_zh).map(|(english, chinese)| language.pick(english, chinese));
        match (message, &self.detail) {
            (Some(message), Some(detail)) => format!("{message} ({detail})"),
            (Some(message), None) => message.to_owned(),
            (None, detail) => detail.clone().unwrap_or_default(),
        }
    }
}

/// Runs `sign`.
pub fn run(config: Config, args: &Args, language: Language) -> Result<ExitCode, Problem> {
    let wrong = |what: &str, hint: &str| Problem::new(WRONG_USE, what, hint);
    let stamps = stamps(args);
    if stamps.is_empty() {
        return Err(wrong(
            language.pick("nothing says where the seal shall land", "没有指定印章位置"),
            language.pick(
                "give --at X,Y (with --page N), --keyword TEXT, --field NAME, --straddle right|left, or --no-impression",
                "请给出 --at X,Y（配合 --page N）、--keyword 关键字、--field 域名、--straddle right|left 或 --no-impression",
            ),
        ));
    }
    if args.input.is_dir() {
        return sign_folder::run(config, args, language);
    }
    if is_same_file(&args.input, &args.output) {
        return Err(wrong(
            language.pick("the output is the input, which is never changed", "输出与输入是同一文件，本程序不改动输入文件"),
            language.pick("name another file with -o", "请用 -o 指定另一个文件"),
        ));
    }
    let prompter = prompter(&config, args, language)?;
    // Beside the output, so that the last step is a rename.
    let folder = args.output.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let scratch = Scratch::Named(folder.to_owned());
    let signed = with_agent(config, prompter, language, async |agent: &Agent| sign(agent, args, stamps, &scratch).await)?;
    let mut warning = None;
    let (signed, failure) = match signed {
        Ok(signed) => {
            let failure = signed.status.items.iter().find_map(|item| item.failure.clone());
            warning = signed.status.items.iter().find_map(|item| item.warning.clone());
            (Some(signed), failure)
        }
        Err(FileError::Unreadable(error)) => {
            let hint = language.pick("check the name and that you may read the file", "请检查文件名以及读取权限");
            return Err(Problem::new(UNREADABLE, format!("{}: {error}", args.input.display()), hint));
        }
        Err(FileError::Failed(failure)) => (None, Some(failure)),
    };
    let state = signed.as_ref().map_or(State::Failed, |signed| signed.status.state);
    let made = match signed {
        Some(signed) if state == State::Done => Some(keep(signed, args, language)?),
        _ => None,
    };
    if args.print.json {
        let printed = Printed {
            state,
            failed: failure.as_ref().map(Failed::of),
            warning: warning.as_ref().map(|f| f.code),
            output: made.is_some().then_some(args.output.as_path()),
            sm3: made,
        };
        println!("{}", serde_json::to_string(&printed).map_err(std::io::Error::from)?);
    } else if let Some(sm3) = made {
        println!("{}  SM3 {sm3}", args.output.display());
        if let Some(warning) = warning {
            eprintln!("sealagent: {}", Failed::of(&warning).words(language));
        }
    }
    match (state, failure) {
        (State::Done, _) => Ok(ExitCode::SUCCESS),
        (_, Some(failure)) => Err(Problem::of(&failure, language)),
        (State::Expired, None) => {
            Err(Problem::new(FAILED, language.pick("nobody answered in time; nothing was signed", "超时未答复，未签章"), ""))
        }
        (State::Cancelled, None) => {
            Err(Problem::new(FAILED, language.pick("the request was withdrawn; nothing was signed", "请求已撤回，未签章"), ""))
        }
        (_, None) => Err(Problem::new(FAILED, language.pick("declined; nothing was signed", "已拒绝，未签章"), "")),
    }
}

/// Who is asked instead of the person that the configuration names.
pub(super) fn prompter(config: &Config, args: &Args, language: Language) -> Result<Option<Prompter>, Problem> {
    match args.pin_fd {
        Some(_) if !config.pin_fd => Err(Problem::of(&Failure::new(Code::PolicyRefused, "--pin-fd"), language)),
        Some(number) => {
            let descriptor = Descriptor::open(number).map_err(|e| {
                let hint = language.pick("give the number of an open descriptor", "请指定已打开的描述符编号");
                Problem::new(WRONG_USE, format!("--pin-fd {number}: {e}"), hint)
            })?;
            Ok(Some(Prompter::Descriptor(descriptor)))
        }
        None => Ok(None),
    }
}

async fn sign(agent: &Agent, args: &Args, stamps: Vec<Stamp>, scratch: &Scratch) -> Result<Signed, FileError> {
    let (input, folder) = (args.input.clone(), scratch.clone());
    // Seen when it takes more than a second; gone before the prompt comes, and never where a program reads.
    let reading = tokio::spawn(async {
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        let spinner = ProgressBar::new_spinner();
        spinner.enable_steady_tick(std::time::Duration::from_millis(120));
        Clears(spinner).stays().await;
    });
    let document = tokio::task::spawn_blocking(move || Document::of_file(&input, &folder)).await;
    reading.abort();
    let document = Arc::new(document.map_err(|_| FileError::Failed(Code::Internal.into()))??);
    let last = stamps.len() - 1;
    let signed_value = args.signed_value(document.format);
    let item = |(n, stamp)| SigningItem {
        subject: Subject::Document { document: document.clone(), stamp, close: args.close && n == last },
        seal: args.seal.clone(),
        signed_value,
    };
    let items = stamps.into_iter().enumerate().map(item).collect();
    let request = SigningRequest {
        requester: Requester::CommandLine,
        items,
        timestamp: args.timestamp.clone(),
        require_valid: args.require_valid,
    };
    let (canceller, cancel) = Canceller::new();
    let signing = run_alone(&agent.signer, request, scratch, cancel);
    tokio::pin!(signing);
    tokio::select! {
        signed = &mut signing => Ok(signed?),
        // Ctrl-C while nothing is asked; once the token was asked the request runs to its end.
        _ = tokio::signal::ctrl_c() => {
            canceller.cancel();
            Ok(signing.await?)
        }
    }
}

/// A sign of life on the terminal, wiped when it is dropped.
struct Clears(ProgressBar);

impl Clears {
    async fn stays(self) {
        std::future::pending().await
    }
}

impl Drop for Clears {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// Moves the one signed document into place and returns its digest.
fn keep(signed: Signed, args: &Args, language: Language) -> Result<Sm3Digest, Problem> {
    for output in signed.outputs {
        if let signing::Output::Document { draft, sm3, .. } = output
            && let Some(path) = draft.path
        {
            persist(path, &args.input, &args.output).map_err(|error| {
                let hint = language.pick("check the folder of the output", "请检查输出文件夹");
                Problem::new(FAILED, format!("{}: {error}", args.output.display()), hint)
            })?;
            return Ok(sm3);
        }
    }
    Err(Problem::of(&Code::Internal.into(), language))
}

/// Moves a sealed document into its place.
pub(super) fn persist(path: TempPath, input: &Path, output: &Path) -> std::io::Result<()> {
    readable_as(&path, input)?;
    path.persist(output).map_err(|e| e.error)
}

/// Makes a signed document as readable as the one it was made of. (On Windows the folder's list decides.)
pub(super) fn readable_as(path: &TempPath, input: &Path) -> std::io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = fs::metadata(input)?.permissions().mode() & 0o777 | 0o600;
        fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    }
    #[cfg(not(unix))]
    let _ = (path, input);
    Ok(())
}

/// What the arguments ask for, each a signature.
pub(super) fn stamps(args: &Args) -> Vec<Stamp> {
    let mut stamps = Vec::new();
    if let Some((x, y)) = args.at {
        let first = || PageSelection::List(PageNumber::new(1).into_iter().collect());
        stamps.push(Stamp::Page { pages: args.page.clone().unwrap_or_else(first), x, y, width: None });
    }
    if let Some(Keyword { text, occurrence }) = args.keyword.clone() {
        stamps.push(Stamp::Keyword { text, occurrence, dx: args.offset.0, dy: args.offset.1 });
    }
    if let Some(name) = &args.field {
        stamps.push(Stamp::Field { name: name.clone() });
    }
    if let Some(edge) = args.straddle {
        let edge = match edge {
            EdgeArg::Left => Edge::Left,
            EdgeArg::Right => Edge::Right,
        };
        stamps.push(Stamp::Straddle { edge, pages: args.pages.clone().unwrap_or(PageSelection::All), y: args.y });
    }
    if args.no_impression {
        stamps.push(Stamp::Nowhere);
    }
    stamps
}

pub(super) fn is_same_file(a: &Path, b: &Path) -> bool {
    matches!((fs::canonicalize(a), fs::canonicalize(b)), (Ok(a), Ok(b)) if a == b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keywords_may_name_an_occurrence() {
        let nth = |n| Occurrence::Nth(NonZeroU32::new(n).unwrap());
        for (argument, text, occurrence) in [
            ("甲方盖章", "甲方盖章", nth(1)),
            ("甲方盖章:2", "甲方盖章", nth(2)),
            ("甲方盖章:all", "甲方盖章", Occurrence::All),
            ("甲方:盖章", "甲方:盖章", nth(1)),
            ("a:0", "a:0", nth(1)),
        ] {
            assert_eq!(keyword(argument), Ok(Keyword { text: text.into(), occurrence }), "{argument}");
        }
        for none in ["", " ", ":all", ":3"] {
            assert!(keyword(none).is_err(), "{none}");
        }
    }

    #[test]
    fn pages_are_numbers_ranges_and_halves() {
        let list = |numbers: &[u32]| PageSelection::List(numbers.iter().filter_map(|n| PageNumber::new(*n)).collect());
        for (argument, chosen) in [
            ("all", PageSelection::All),
            ("odd", PageSelection::Odd),
            ("even", PageSelection::Even),
            ("3", list(&[3])),
            ("1-3, 7", list(&[1, 2, 3, 7])),
            ("1-5,odd", list(&[1, 3, 5])),
            ("even,2-5", list(&[2, 4])),
        ] {
            assert_eq!(pages(argument), Ok(chosen), "{argument}");
        }
        for none in ["", "0", "3-1", "x", "1-", "1,,2", "all,1", "odd,even", "1,even", "1-4000000000"] {
            assert!(pages(none).is_err(), "{none}");
        }
    }
}
