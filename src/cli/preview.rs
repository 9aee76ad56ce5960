//! `sealagent preview FILE -o DIR`: pages as PNG files, and what is not in them as the file has it.

use std::fs::File;
use std::path::PathBuf;
use std::process::ExitCode;

use super::{FAILED, Problem, UNREADABLE, WRONG_USE};
use crate::failure::Language;
use crate::harmless;
use crate::preview::{Finding, MAX_PIXELS, PageRequest, PreviewError, Program, Session, png};
use crate::question;

/// Arguments of `preview`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// OFD or PDF.
    pub file: PathBuf,
    /// Pages, such as 1-3,7; all when absent.
    #[arg(long, value_name = "PAGES")]
    pub pages: Option<String>,
    /// Dots per inch.
    #[arg(long, default_value_t = 144.0, value_name = "N")]
    pub dpi: f32,
    /// Folder for the pictures.
    #[arg(short, long, value_name = "DIR")]
    pub output: PathBuf,
}

/// Runs `preview`. Exits with 1 when a page could not be drawn.
pub fn run(args: &Args, language: Language) -> Result<ExitCode, Problem> {
    let pages = args.pages.as_deref().map(|text| {
        let hint = language.pick("for example --pages 1-3,7", "例如 --pages 1-3,7");
        ranges(text).ok_or_else(|| Problem::new(WRONG_USE, format!("--pages {}", harmless::line(text)), hint))
    });
    let pages = pages.transpose()?;
    if !(args.dpi >= 10.0 && args.dpi <= 1200.0) {
        return Err(Problem::new(WRONG_USE, format!("--dpi {}", args.dpi), language.pick("10 to 1200", "10 至 1200")));
    }
    let hint = language.pick("sealagent-preview belongs beside sealagent", "sealagent-preview 应与 sealagent 在同一文件夹");
    let program = Program::installed().ok_or_else(|| Problem::new(FAILED, "sealagent-preview is not installed", hint))?;
    let unreadable = |error: std::io::Error| Problem::new(UNREADABLE, format!("{}: {error}", args.file.display()), "");
    let file = File::open(&args.file).map_err(unreadable)?;
    let bytes = file.metadata().map_err(unreadable)?.len();
    std::fs::create_dir_all(&args.output)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut session = program.open(file, bytes).await.map_err(|error| problem(&error, args))?;
        tell(&session.document.findings, language);
        let count = u32::try_from(session.document.pages.len()).unwrap_or(u32::MAX);
        let pages = pages.unwrap_or_else(|| vec![(1, count)]);
        let mut failed = false;
        for page in pages.into_iter().flat_map(|(first, last)| first..=last.min(count.max(first))) {
            match draw(&mut session, args, page).await? {
                Ok((path, findings)) => {
                    println!("{}", path.display());
                    tell(&findings, language);
                }
                Err(error) => {
                    failed = true;
                    eprintln!("sealagent: {} {page}: {error}", language.pick("page", "第"));
                    if !matches!(error, PreviewError::Refused(_)) {
                        break;
                    }
                }
            }
        }
        Ok(if failed { ExitCode::from(FAILED) } else { ExitCode::SUCCESS })
    })
}

/// A page into its file. The outer error is ours, the inner one the preview's.
async fn draw(session: &mut Session, args: &Args, page: u32) -> Result<Result<(PathBuf, Vec<Finding>), PreviewError>, Problem> {
    let request = PageRequest { page, dpi: args.dpi, max_pixels: MAX_PIXELS, stamps: Vec::new() };
    let drawn = match session.page(&request).await {
        Ok(drawn) => drawn,
        Err(error) => return Ok(Err(error)),
    };
    let stem = args.file.file_stem().unwrap_or_default().to_string_lossy();
    let path = args.output.join(format!("{stem}-{page}.png"));
    let pixels = drawn.layers.first().map_or(&[][..], Vec::as_slice);
    std::fs::write(&path, png(drawn.head.width, drawn.head.height, pixels)?)?;
    Ok(Ok((path, drawn.head.findings)))
}

fn tell(findings: &[Finding], language: Language) {
    let language = match language {
        Language::English => question::Language::En,
        Language::Chinese => question::Language::Zh,
    };
    for finding in findings {
        let mark = if finding.is_incomplete() { '!' } else { '·' };
        println!("  {mark} {}", finding.line(language));
    }
}

fn problem(error: &PreviewError, args: &Args) -> Problem {
    let exit = if matches!(error, PreviewError::Refused(_) | PreviewError::TooLarge(_)) { UNREADABLE } else { FAILED };
    Problem::new(exit, format!("{}: {error}", args.file.display()), "")
}

/// `1-3,7` as first and last pages; `None` for anything else.
fn ranges(text: &str) -> Option<Vec<(u32, u32)>> {
    text.split(',')
        .map(|part| {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
            (0 < first && first <= last).then_some((first, last))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_numbers_and_ranges() {
        assert_eq!(ranges("1-3, 7"), Some(vec![(1, 3), (7, 7)]));
        for text in ["", "0", "3-1", "x", "1-", "1,,2"] {
            assert_eq!(ranges(text), None, "{text}");
        }
    }
}
