//! `sealagent demo`: a whole deployment on one machine, for a newcomer.
//!
//! Two pilot regions, a virtual UKey with a company's seal, the agent, and a signing page **from another origin**. With a display
//! a person drives the page and answers the agent's prompt; without one this program plays both: the page, speaking to the agent
//! exactly as a browser would let it, and the person, on a pseudo-terminal in front of the agent's own prompt. The agent that is
//! shown is the real one: the sibling programs `sealagent run`, `sealagent-worker` and `sealauthority`, found beside this one.

pub(crate) mod browser;
mod contract;
#[cfg_attr(windows, allow(dead_code, reason = "page and person are not played on Windows"))]
mod page;
#[cfg(unix)]
mod person;
mod rehearsal;
#[cfg_attr(windows, allow(dead_code, reason = "page and person are not played on Windows"))]
mod setup;
mod site;
mod text;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::failure::Language;
#[cfg(unix)]
use page::Page;
use setup::Stage;
use text::text;

/// Arguments of `demo`.
#[derive(clap::Args, Debug)]
pub struct DemoArgs {
    /// Play the page and the person too, without a browser; the default where there is no display.
    #[arg(long)]
    pub headless: bool,
    /// Where everything is put: absent or empty; a new temporary folder when not given.
    #[arg(long, value_name = "FOLDER")]
    pub folder: Option<PathBuf>,
    /// Rehearse how regions recognise each other: two authorities, two companies, one contract; then a seal is cancelled and trust is
    /// withdrawn.
    #[arg(long, conflicts_with = "headless")]
    pub rehearse: bool,
    /// Becomes the agent on the terminal that is standard input. For the demo's own use.
    #[cfg(unix)]
    #[arg(long, hide = true, value_name = "CONFIG")]
    pub become_agent: Option<PathBuf>,
}

/// Why the demo stops.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DemoError {
    /// The agent ended by itself.
    #[error("the agent ended: {status}")]
    AgentEnded {
        /// How.
        status: String,
        /// Its log.
        log: PathBuf,
        /// The end of its log.
        said: String,
    },
    /// The agent did not answer in time.
    #[error("the agent does not answer")]
    AgentSilent {
        /// Seconds waited.
        seconds: u64,
        /// Its log.
        log: PathBuf,
    },
    /// A call of the page failed.
    #[error("{request}: {reason}")]
    Call {
        /// Method and path.
        request: String,
        /// Status and body, or why there is none.
        reason: String,
    },
    /// The answer would not reach a page in a browser.
    #[error("{request}: no Access-Control-Allow-Origin for {origin}")]
    CrossOrigin {
        /// Method and path.
        request: String,
        /// The page's origin.
        origin: String,
    },
    /// The folder that was named is in use.
    #[error("{} is not empty", .0.display())]
    FolderUsed(PathBuf),
    /// A file could not be read or written.
    #[error("{}: {source}", .path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// No prompt appeared.
    #[error("no prompt within {0} s")]
    NoPrompt(u64),
    /// The agent offers no seal.
    #[error("no seal")]
    NoSeal,
    /// The verdict is not `TOTAL_PASSED`.
    #[error("the verdict is {0}")]
    NotPassed(String),
    /// The prompt did not show what the person looks for.
    #[error("the prompt did not show {0:?}")]
    NotShown(String),
    /// The request ended without a signature.
    #[error("the request ended as {state}: {reason}")]
    NotSigned {
        /// Its state.
        state: String,
        /// Code and message.
        reason: String,
    },
    /// A sibling program failed.
    #[error("{program} failed: {said}")]
    ProgramFailed {
        /// Which.
        program: String,
        /// What it wrote on standard error.
        said: String,
    },
    /// A sibling program is not there.
    #[error("{} is missing", .0.display())]
    ProgramMissing(PathBuf),
    /// No random numbers.
    #[error("no random numbers")]
    Random,
    /// A pseudo-terminal is needed.
    #[error("no pseudo-terminals on this system")]
    UnixOnly,
}

fn at(path: &Path) -> impl Fn(std::io::Error) -> DemoError {
    let path = path.to_owned();
    move |source| DemoError::Io { path: path.clone(), source }
}

/// Runs the demo; the exit code is 0 only when the sealed document was found valid (headless), or when the person ended it.
pub fn run(arguments: &DemoArgs) -> ExitCode {
    #[cfg(unix)]
    if let Some(config) = &arguments.become_agent {
        eprintln!("{}", person::become_agent(config));
        return ExitCode::FAILURE;
    }
    let language = Language::of_environment();
    if arguments.rehearse {
        return finished(rehearsal::run(arguments.folder.as_deref(), language), language);
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    let performed = runtime.block_on(perform(arguments, language));
    // A person who still waits for a prompt need not be waited for.
    runtime.shutdown_background();
    finished(performed, language)
}

fn finished(result: Result<(), DemoError>, language: Language) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}", text::failure(&error, language));
            ExitCode::FAILURE
        }
    }
}

async fn perform(arguments: &DemoArgs, language: Language) -> Result<(), DemoError> {
    let stage = Stage::set(arguments.folder.as_deref(), language).await?;
    if arguments.headless || !has_display() { play(stage, language).await } else { present(stage, language).await }
}

/// Whether a browser could be shown.
fn has_display() -> bool {
    cfg!(windows)
        || ["DISPLAY", "WAYLAND_DISPLAY"].iter().any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()))
}

/// A person drives: the page is served until they end it.
async fn present(stage: Stage, language: Language) -> Result<(), DemoError> {
    println!();
    stage.show_pin_letter(language);
    let mut agent = stage.start_agent(language).await?;
    let url = format!("{}/", stage.origin());
    println!("{}: {url}", text("page", language));
    println!("{}", text("browser", language));
    println!("{}", text("stop", language));
    println!("{}: {}", text("files", language), stage.folder().display());
    if !browser::open(&url).await {
        println!("{}", text("no_browser", language));
    }
    tokio::select! {
        // First: Ctrl-C reaches the agent too, and its end is then no failure.
        biased;
        _ = tokio::signal::ctrl_c() => Ok(()),
        served = stage.serve() => served,
        ended = agent.ended() => Err(ended),
    }
}

/// Nobody is there: page and person are played, then the report is printed.
#[cfg(unix)]
async fn play(stage: Stage, language: Language) -> Result<(), DemoError> {
    println!();
    println!("{}", text("headless", language));
    stage.show_pin_letter(language);
    let (mut agent, mut terminal) = stage.start_agent_on_terminal(language).await?;
    let page = Page::new(stage.agent_port(), stage.origin().to_owned());
    let expected = [stage.origin().to_owned(), stage.es_id().to_owned()];
    let person = tokio::task::spawn_blocking({
        let pin = stage.take_pin();
        move || (terminal.answer(&expected, &pin, language), terminal)
    });
    let played = tokio::select! {
        biased;
        _ = tokio::signal::ctrl_c() => return Ok(()),
        played = show(&page, &stage, person, language) => played,
        ended = agent.ended() => Err(ended),
    };
    agent.stop().await;
    played
}

#[cfg(windows)]
async fn play(_stage: Stage, _language: Language) -> Result<(), DemoError> {
    Err(DemoError::UnixOnly)
}

/// The five steps, told as they happen.
#[cfg(unix)]
async fn show(
    page: &Page,
    stage: &Stage,
    mut person: tokio::task::JoinHandle<(Result<String, DemoError>, person::Terminal)>,
    language: Language,
) -> Result<(), DemoError> {
    println!();
    println!("{}: {}", text("step_request", language), stage.origin());
    let request =
        page.ask_for_seal(stage.es_id(), &stage.contract().file, stage.contract_bytes(), &stage.contract().stamp).await?;
    println!("    {} {}", stage.contract().file, stage.es_id());

    let mut waiting = std::pin::pin!(page.signed_document(&request));
    let (summary, _terminal) = tokio::select! {
        biased;
        answered = &mut person => answered.map_err(|error| DemoError::Call { request: "person".to_owned(), reason: error.to_string() })?,
        // Only a failure comes before the person's answer.
        ended = &mut waiting => {
            return Err(ended.err().unwrap_or(DemoError::NoPrompt(0)));
        }
    };
    println!("{}:", text("step_approve", language));
    for line in summary?.lines() {
        println!("    │ {line}");
    }
    let signed = waiting.await?;
    println!("{}", text("step_sign", language));
    let (signed_file, report_file) = (stage.folder().join("signed.ofd"), stage.folder().join("report.json"));
    std::fs::write(&signed_file, &signed).map_err(at(&signed_file))?;
    println!("{} ({} {})", text("step_embed", language), signed.len(), text("bytes", language));

    println!("{}:", text("step_verify", language));
    let report = page.verify(&stage.contract().file, signed).await?;
    std::fs::write(&report_file, format!("{report:#}\n")).map_err(at(&report_file))?;
    text::print_report(&report, language);

    println!("{}: {}", text("files", language), stage.folder().display());
    println!("    {}: {}", text("signed_file", language), signed_file.display());
    println!("    {}: {}", text("report_file", language), report_file.display());
    println!("{}:", text("verify_again", language));
    println!("    sealagent verify --trust {} {}", stage.trust().display(), signed_file.display());
    match report.get("indication").and_then(|indication| indication.as_str()) {
        Some("TOTAL_PASSED") => Ok(()),
        found => Err(DemoError::NotPassed(found.unwrap_or("?").to_owned())),
    }
}
