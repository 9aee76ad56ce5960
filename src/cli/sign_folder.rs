//! `sealagent sign FOLDER -o OUTFOLDER`: every OFD and PDF of a folder in one request. One consent shows the list, one PIN signs it, and
//! each sealed document appears in the other folder as soon as it is done. What is there already is left alone, so that a command that
//! was interrupted is continued by being given again.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use super::sign::{Args, Failed, is_same_file, prompter, readable_as, stamps};
use super::{FAILED, Problem, UNREADABLE, WRONG_USE, exit_code, with_agent};
use crate::agent::Agent;
use crate::config::Config;
use crate::consent::Requester;
use crate::consent::prompt::Canceller;
use crate::failure::{Code, Failure, Language};
use crate::signing::progress::{Progress, Sink};
use crate::signing::request::run_batch;
use crate::signing::subject::{Document, FileError};
use crate::signing::{MAX_ITEMS, Output, Scratch, SigningItem, SigningRequest, State, Status, Subject};
use crate::sm::Sm3Digest;
use crate::stamp::Stamp;

/// What became of a file.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Fate {
    Done,
    Failed,
    Skipped,
}

/// A line of `--json`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    file: &'a Path,
    state: Fate,
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<&'a Path>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sm3: Option<Sm3Digest>,
    #[serde(flatten)]
    failed: Option<Failed>,
}

/// Tells the fate of each file, once.
struct Teller {
    json: bool,
    language: Language,
    bar: ProgressBar,
    /// Done, failed, skipped.
    counts: Mutex<[usize; 3]>,
    /// The exit code of the first failure.
    exit: Mutex<Option<u8>>,
}

/// A document on its way.
struct Entry {
    input: PathBuf,
    output: PathBuf,
    document: Arc<Document>,
}

/// Runs `sign` on a folder.
pub fn run(config: Config, args: &Args, language: Language) -> Result<ExitCode, Problem> {
    let stamps = stamps(args);
    fs::create_dir_all(&args.output)?;
    if is_same_file(&args.input, &args.output) {
        let hint = language.pick("name another folder with -o", "请用 -o 指定另一个文件夹");
        return Err(Problem::new(WRONG_USE, language.pick("the output is the input folder", "输出与输入是同一文件夹"), hint));
    }
    let files = documents(&args.input)?;
    let most = MAX_ITEMS / stamps.len().max(1);
    let prompter = prompter(&config, args, language)?;
    let teller = Arc::new(Teller {
        json: args.print.json,
        language,
        bar: ProgressBar::hidden(),
        counts: Mutex::default(),
        exit: Mutex::default(),
    });
    let left: Vec<(PathBuf, PathBuf)> = files
        .into_iter()
        .filter_map(|input| {
            let output = args.output.join(input.file_name()?);
            if !output.exists() {
                return Some((input, output));
            }
            teller.skipped(&input, &output);
            None
        })
        .collect();
    if left.len() > most {
        let what = match language {
            Language::English => format!("{} documents are left to seal; one consent holds {most}", left.len()),
            Language::Chinese => format!("待签文件 {} 个，一次最多同意 {most} 个", left.len()),
        };
        return Err(Problem::new(WRONG_USE, what, language.pick("split the folder", "请分成几个文件夹")));
    }
    if !left.is_empty() {
        let teller = teller.clone();
        with_agent(config, prompter, language, async |agent: &Agent| sign(agent, args, &stamps, left, &teller).await)??;
    }
    let [done, failed, skipped] = *teller.counts.lock().unwrap_or_else(PoisonError::into_inner);
    eprintln!(
        "{}",
        match language {
            Language::English => format!("{done} sealed, {failed} failed, {skipped} skipped"),
            Language::Chinese => format!("已签 {done}，失败 {failed}，跳过 {skipped}"),
        }
    );
    let exit = *teller.exit.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(exit.map_or(ExitCode::SUCCESS, ExitCode::from))
}

/// The documents of a folder by name; what is in folders below is not among them.
fn documents(folder: &Path) -> Result<Vec<PathBuf>, Problem> {
    let unreadable = |error: std::io::Error| Problem::new(UNREADABLE, format!("{}: {error}", folder.display()), "");
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let kind = path.extension().and_then(|e| e.to_str()).map(str::to_ascii_lowercase);
        if matches!(kind.as_deref(), Some("ofd" | "pdf")) && path.is_file() {
            files.push(path);
        }
    }
    files.sort_unstable();
    Ok(files)
}

async fn sign(
    agent: &Agent,
    args: &Args,
    stamps: &[Stamp],
    files: Vec<(PathBuf, PathBuf)>,
    teller: &Arc<Teller>,
) -> Result<(), Problem> {
    let scratch = Scratch::Named(args.output.clone());
    let mut entries = Vec::new();
    for (input, output) in files {
        let (path, folder) = (input.clone(), scratch.clone());
        match tokio::task::spawn_blocking(move || Document::of_file(&path, &folder)).await {
            Ok(Ok(document)) => entries.push(Entry { input, output, document: Arc::new(document) }),
            Ok(Err(FileError::Failed(failure))) => teller.failed(&input, Failed::of(&failure), exit_code(failure.code)),
            Ok(Err(error @ FileError::Unreadable(_))) => {
                teller.failed(&input, Failed { detail: Some(error.to_string()), ..Failed::default() }, UNREADABLE);
            }
            Err(_) => teller.failed(&input, Failed::of(&Code::Internal.into()), FAILED),
        }
    }
    // A document that cannot be sealed as asked keeps no other one back: those that are in the way are told of and left out.
    while !entries.is_empty() {
        let status =
            request(agent, args, stamps, &entries, &scratch, teller).await.map_err(|f| Problem::of(&f, teller.language))?;
        let unfit = |n: usize| (n * stamps.len()..(n + 1) * stamps.len()).find(|item| status.unfit.contains(item));
        let is_about_documents =
            status.unfit.iter().all(|n| status.items[*n].failure.as_ref().is_some_and(|f| is_of_document(f.code)));
        if status.unfit.is_empty() || !is_about_documents {
            for (n, entry) in entries.iter().enumerate() {
                teller.ended(entry, &status.items[n * stamps.len()..(n + 1) * stamps.len()], status.state);
            }
            return Ok(());
        }
        let mut fit = Vec::new();
        for (n, entry) in std::mem::take(&mut entries).into_iter().enumerate() {
            match unfit(n).and_then(|item| status.items[item].failure.as_ref()) {
                Some(failure) => teller.failed(&entry.input, Failed::of(failure), exit_code(failure.code)),
                None => fit.push(entry),
            }
        }
        entries = fit;
    }
    Ok(())
}

/// One request for all entries; what is done is put into place at once.
async fn request(
    agent: &Agent,
    args: &Args,
    stamps: &[Stamp],
    entries: &[Entry],
    scratch: &Scratch,
    teller: &Arc<Teller>,
) -> Result<Status, Failure> {
    let mut items = Vec::new();
    for entry in entries {
        for (n, stamp) in stamps.iter().enumerate() {
            let close = args.close && n + 1 == stamps.len();
            let document = entry.document.clone();
            items.push(SigningItem {
                signed_value: args.signed_value(document.format),
                subject: Subject::Document { document, stamp: stamp.clone(), close },
                seal: args.seal.clone(),
            });
        }
    }
    let request = SigningRequest {
        requester: Requester::CommandLine,
        items,
        timestamp: args.timestamp.clone(),
        require_valid: args.require_valid,
    };
    let places: Vec<_> = entries.iter().map(|e| (e.document.clone(), e.input.clone(), e.output.clone())).collect();
    let tell = teller.clone();
    let sink: Sink = Arc::new(move |output| {
        let Output::Document { document, draft, sm3 } = output else { return };
        let Some((_, input, output)) = places.iter().find(|(of, ..)| Arc::ptr_eq(of, &document)) else { return };
        let Some(path) = draft.path else { return };
        // What came there meanwhile stays: nothing is overwritten.
        match readable_as(&path, input).and_then(|()| path.persist_noclobber(output).map_err(|e| e.error)) {
            Ok(()) => tell.done(input, output, sm3),
            Err(error) => tell.failed(input, Failed { detail: Some(error.to_string()), ..Failed::default() }, FAILED),
        }
    });
    let (progress, mut states) = Progress::new(request.items.len(), sink);
    let (canceller, cancel) = Canceller::new();
    // The bar comes when the token is at work: before, the terminal belongs to the prompt.
    let (bar, steps) = (teller.bar.clone(), stamps.len() as u64);
    let watching = tokio::spawn(async move {
        if states.wait_for(|status| status.state == State::Signing).await.is_err() {
            return;
        }
        bar.set_length(states.borrow().items.len() as u64 / steps);
        if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} · {per_sec} · {eta}") {
            bar.set_style(style);
        }
        bar.reset();
        bar.set_draw_target(indicatif::ProgressDrawTarget::stderr());
        loop {
            let done = states.borrow_and_update().items.iter().filter(|item| item.state.is_final()).count();
            bar.set_position(done as u64 / steps);
            if states.changed().await.is_err() {
                return;
            }
        }
    });
    let signing = run_batch(&agent.signer, request, scratch, &progress, cancel);
    tokio::pin!(signing);
    let status = tokio::select! {
        status = &mut signing => status,
        // While nothing is asked; once the token was asked the request runs to its end.
        _ = tokio::signal::ctrl_c() => {
            canceller.cancel();
            signing.await
        }
    };
    watching.abort();
    teller.bar.finish_and_clear();
    status
}

/// Whether a failure says something about a document, and nothing about seal, token or person.
fn is_of_document(code: Code) -> bool {
    matches!(
        code,
        Code::BadRequest
            | Code::DocumentClosed
            | Code::DocumentEncrypted
            | Code::DocumentMalformed
            | Code::DocumentSignatureBroken
            | Code::KeywordNotFound
            | Code::KeywordUnsearchable
            | Code::PageNotFound
            | Code::StampOutsidePage
    )
}

impl Teller {
    fn done(&self, input: &Path, output: &Path, sm3: Sm3Digest) {
        let line = Line { file: input, state: Fate::Done, output: Some(output), sm3: Some(sm3), failed: None };
        self.tell(&line, &format!("{}  SM3 {sm3}", output.display()));
    }

    fn failed(&self, input: &Path, failed: Failed, exit: u8) {
        self.exit.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(exit);
        let words = failed.words(self.language);
        self.tell(&Line { file: input, state: Fate::Failed, output: None, sm3: None, failed: Some(failed) }, &words);
    }

    fn skipped(&self, input: &Path, output: &Path) {
        let time = |path: &Path| fs::metadata(path).and_then(|metadata| metadata.modified());
        if matches!((time(input), time(output)), (Ok(input), Ok(output)) if output < input) {
            let detail = match self.language {
                Language::English => format!("{} is there and older than the document; it is not overwritten", output.display()),
                Language::Chinese => format!("{} 已存在且早于原文件，不予覆盖", output.display()),
            };
            return self.failed(input, Failed { detail: Some(detail), ..Failed::default() }, FAILED);
        }
        let words = self.language.pick("is there already", "已存在");
        let line = Line { file: input, state: Fate::Skipped, output: Some(output), sm3: None, failed: None };
        self.tell(&line, &format!("{} {words}", output.display()));
    }

    /// What is told at the end of a request of an entry that was not told of while it ran.
    fn ended(&self, entry: &Entry, items: &[crate::signing::ItemStatus], state: State) {
        if items.iter().all(|item| item.state == State::Done) {
            return;
        }
        match items.iter().find_map(|item| item.failure.as_ref()) {
            Some(failure) => self.failed(&entry.input, Failed::of(failure), exit_code(failure.code)),
            None => {
                let detail = match state {
                    State::Cancelled => self.language.pick("the request was withdrawn", "请求已撤回"),
                    State::Expired => self.language.pick("nobody answered in time", "超时未答复"),
                    _ => self.language.pick("declined", "已拒绝"),
                };
                self.failed(&entry.input, Failed { detail: Some(detail.to_owned()), ..Failed::default() }, FAILED);
            }
        }
    }

    fn tell(&self, line: &Line<'_>, words: &str) {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)[line.state as usize] += 1;
        let text = if self.json {
            serde_json::to_string(line).unwrap_or_default()
        } else {
            let state = match line.state {
                Fate::Done => self.language.pick("done", "已签"),
                Fate::Failed => self.language.pick("failed", "失败"),
                Fate::Skipped => self.language.pick("skipped", "跳过"),
            };
            let file = crate::harmless::line(&line.file.display().to_string());
            format!("{state}  {file}  {}", crate::harmless::line(words))
        };
        self.bar.suspend(|| println!("{text}"));
    }
}
