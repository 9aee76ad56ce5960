//! The agent's side: one process of `sealagent-preview` for each document, asked for pages, believed nothing.
//!
//! Every answer has a deadline and a size that was fixed before it was asked for. A preview that is late, too large, or dies is gone, and
//! with it nothing but pictures.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use ukey::wire;

use super::{Ask, Finding, Format, MAX_DOCUMENT, MAX_FINDINGS, MAX_GLYPHS, MAX_PIXELS, PageHead, PageRequest, Told};
use crate::pdf::MAX_PICTURE_PIXELS;
use crate::sm::Sm3Digest;

/// Pixels of a seal's picture: as many as a PDF takes.
const MAX_SEAL: u64 = MAX_PICTURE_PIXELS as u64;
/// For one answer: the slowest real page takes a second.
const ANSWER: Duration = Duration::from_secs(10);
/// For all answers about one document. Time in which nothing is asked does not count.
const DOCUMENT: Duration = Duration::from_secs(60);
/// Bytes of a document that are read at once.
const CHUNK: usize = 1 << 20;
/// Pages that a document may claim to have.
const MAX_PAGES: usize = 20_000;

/// The program, and how long it may take.
#[derive(Clone, Debug)]
pub struct Program {
    path: PathBuf,
    answer: Duration,
    document: Duration,
}

/// A document that is being looked at. Dropping it ends the process.
#[derive(Debug)]
pub struct Session {
    process: Process,
    answer: Duration,
    /// What is left for this document.
    left: Duration,
    /// What was found out when it was opened.
    pub document: Opened,
}

/// A running preview. Dropping it ends it.
#[derive(Debug)]
struct Process {
    child: Child,
    input: ChildStdin,
    output: ChildStdout,
    #[cfg(windows)]
    _job: super::job::Job,
}

/// A document as the preview sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct Opened {
    /// Its kind.
    pub format: Format,
    /// SM3 of the bytes that are drawn. Whoever shows a picture before signing compares it with what is signed.
    pub sm3: Sm3Digest,
    /// Width and height of each page in mm.
    pub pages: Vec<[f64; 2]>,
    /// Pages that carry seals, counted from 1.
    pub sealed: Vec<u32>,
    /// What concerns no single page.
    pub findings: Vec<Finding>,
}

/// A page: its head and its pixels.
#[derive(Clone, Debug, PartialEq)]
pub struct PagePicture {
    /// Size, text and findings.
    pub head: PageHead,
    /// Pixels (red, green, blue, alpha) of the page with all seals, and without the proposed ones when some were asked for.
    pub layers: Vec<Vec<u8>>,
}

/// Why there is no picture.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PreviewError {
    /// The preview said something that it must not say.
    #[error("the preview answers nonsense: {0}")]
    Nonsense(&'static str),
    /// The program cannot be started, or it died.
    #[error("the preview is not running: {0}")]
    NotRunning(#[from] io::Error),
    /// The document or page cannot be drawn.
    #[error("cannot be drawn: {0}")]
    Refused(String),
    /// It took too long.
    #[error("drawing takes too long")]
    TooLate,
    /// The document has more bytes than are drawn.
    #[error("a document of {0} bytes is too large to be drawn")]
    TooLarge(u64),
}

impl Program {
    /// The program beside the agent's own, if it is installed.
    pub fn installed() -> Option<Self> {
        let name = format!("sealagent-preview{}", std::env::consts::EXE_SUFFIX);
        let path = std::env::current_exe().ok()?.with_file_name(name);
        path.is_file().then(|| Self::at(path))
    }

    /// The program at a path.
    pub fn at(path: PathBuf) -> Self {
        Self { path, answer: ANSWER, document: DOCUMENT }
    }

    /// With other deadlines: for one answer and for one document.
    pub fn with_deadlines(self, answer: Duration, document: Duration) -> Self {
        Self { answer, document, ..self }
    }

    /// Opens a document of `bytes` bytes. It is read piece by piece, off the threads that answer.
    pub async fn open(&self, document: impl Read + Send + 'static, bytes: u64) -> Result<Session, PreviewError> {
        if bytes > MAX_DOCUMENT {
            return Err(PreviewError::TooLarge(bytes));
        }
        let started = Instant::now();
        tokio::time::timeout(self.answer.min(self.document), self.start(document, bytes, started))
            .await
            .unwrap_or(Err(PreviewError::TooLate))
    }

    /// The file of a seal's picture, drawn by itself on nothing: a PNG file with its transparency, stretched to `mm` (width and height)
    /// and with at most `dpi` dots per inch and [`MAX_PICTURE_PIXELS`]. A picture of which anything cannot be drawn is refused.
    pub async fn seal(&self, file: &[u8], mm: [f64; 2], dpi: f32) -> Result<Vec<u8>, PreviewError> {
        let bytes = file.len() as u64;
        if bytes > MAX_DOCUMENT {
            return Err(PreviewError::TooLarge(bytes));
        }
        let drawn = async {
            let mut process = Process::start(&self.path)?;
            ask(&mut process.input, &Ask::Seal { bytes, mm, dpi, max_pixels: MAX_PICTURE_PIXELS }).await?;
            process.input.write_all(file).await?;
            process.input.flush().await?;
            let (width, height) = match told(&mut process.output).await? {
                Told::Seal { width, height } => (width, height),
                Told::Refused { reason } => return Err(PreviewError::Refused(crate::harmless::line(&reason))),
                Told::Opened { .. } | Told::Page(_) => return Err(PreviewError::Nonsense("an answer to another question")),
            };
            match u64::from(width) * u64::from(height) {
                1..=MAX_SEAL => {}
                _ => return Err(PreviewError::Nonsense("a picture of another size than asked for")),
            }
            let mut pixels = vec![0; width as usize * height as usize * 4];
            process.output.read_exact(&mut pixels).await?;
            Ok(png(width, height, &pixels)?)
        };
        tokio::time::timeout(self.answer.min(self.document), drawn).await.unwrap_or(Err(PreviewError::TooLate))
    }

    async fn start(&self, document: impl Read + Send + 'static, bytes: u64, started: Instant) -> Result<Session, PreviewError> {
        let mut process = Process::start(&self.path)?;
        ask(&mut process.input, &Ask::Open { bytes }).await?;
        send(document, bytes, &mut process.input).await?;
        let document = match told(&mut process.output).await? {
            Told::Opened { format, sm3, pages, sealed, findings } => {
                let sm3 = <[u8; 32]>::try_from(sm3.0).map_err(|_| PreviewError::Nonsense("a digest that is none"))?;
                Opened { format, sm3: Sm3Digest(sm3), pages, sealed, findings }
            }
            Told::Refused { reason } => return Err(PreviewError::Refused(crate::harmless::line(&reason))),
            Told::Page(_) | Told::Seal { .. } => return Err(PreviewError::Nonsense("an answer to another question")),
        };
        if document.pages.len() > MAX_PAGES || document.findings.len() > MAX_FINDINGS {
            return Err(PreviewError::Nonsense("more pages or findings than there can be"));
        }
        let left = self.document.saturating_sub(started.elapsed());
        Ok(Session { process, answer: self.answer, left, document })
    }
}

impl Process {
    fn start(program: &Path) -> io::Result<Self> {
        let mut child = spawn(program)?;
        // It reads nothing before this is done, so it is confined before it sees a byte.
        #[cfg(windows)]
        let job = super::job::Job::around(&child)?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(io::ErrorKind::BrokenPipe.into());
        };
        Ok(Self {
            child,
            input,
            output,
            #[cfg(windows)]
            _job: job,
        })
    }
}

impl Session {
    /// One page. After any error but `Refused` the session is over, and further calls fail.
    pub async fn page(&mut self, request: &PageRequest) -> Result<PagePicture, PreviewError> {
        let request = PageRequest { max_pixels: request.max_pixels.min(MAX_PIXELS), ..request.clone() };
        let started = Instant::now();
        let result =
            tokio::time::timeout(self.answer.min(self.left), self.draw(&request)).await.unwrap_or(Err(PreviewError::TooLate));
        self.left = self.left.saturating_sub(started.elapsed());
        if matches!(result, Err(PreviewError::TooLate | PreviewError::Nonsense(_))) {
            // Half an answer may be in the pipe; nothing after it can be believed.
            self.left = Duration::ZERO;
            let _ = self.process.child.start_kill();
        }
        result
    }

    async fn draw(&mut self, request: &PageRequest) -> Result<PagePicture, PreviewError> {
        ask(&mut self.process.input, &Ask::Page(request.clone())).await?;
        let head = match told(&mut self.process.output).await? {
            Told::Page(head) => head,
            Told::Refused { reason } => return Err(PreviewError::Refused(crate::harmless::line(&reason))),
            Told::Opened { .. } | Told::Seal { .. } => return Err(PreviewError::Nonsense("an answer to another question")),
        };
        check(&head, request)?;
        let bytes = head.width as usize * head.height as usize * 4;
        let mut layers = Vec::new();
        for _ in 0..head.layers {
            let mut pixels = vec![0; bytes];
            self.process.output.read_exact(&mut pixels).await?;
            layers.push(pixels);
        }
        Ok(PagePicture { head, layers })
    }
}

/// Whether a head answers the request, before room is made for what it announces.
fn check(head: &PageHead, request: &PageRequest) -> Result<(), PreviewError> {
    let pixels = u64::from(head.width) * u64::from(head.height);
    let layers = if request.stamps.is_empty() { 1 } else { 2 };
    let glyphs: usize = head.text.iter().map(|run| run.boxes.len()).sum();
    let sensible = |mm: f64| mm.is_finite() && mm > 0.0;
    if pixels == 0 || pixels > u64::from(request.max_pixels) {
        return Err(PreviewError::Nonsense("a picture of another size than asked for"));
    }
    if head.page != request.page || head.layers != layers {
        return Err(PreviewError::Nonsense("another page, or other layers, than asked for"));
    }
    if glyphs > MAX_GLYPHS || head.findings.len() > MAX_FINDINGS || !sensible(head.width_mm) || !sensible(head.height_mm) {
        return Err(PreviewError::Nonsense("more text or findings than there can be, or a page without a size"));
    }
    Ok(())
}

fn spawn(program: &Path) -> io::Result<Child> {
    let mut command = Command::new(program);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
    // Its fonts, and nothing else that the agent's surroundings hold.
    command.env_clear();
    for name in ["HOME", "SystemRoot", "LOCALAPPDATA"] {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    #[cfg(windows)] // CREATE_NO_WINDOW: no console flashes up
    command.creation_flags(0x0800_0000);
    command.spawn()
}

async fn ask(input: &mut ChildStdin, ask: &Ask) -> io::Result<()> {
    let mut frame = Vec::new();
    wire::write_frame(&mut frame, ask, &[])?;
    input.write_all(&frame).await?;
    input.flush().await
}

async fn send(mut document: impl Read + Send + 'static, bytes: u64, input: &mut ChildStdin) -> io::Result<()> {
    let mut left = bytes;
    let mut chunk = vec![0; CHUNK];
    while left > 0 {
        let most = usize::try_from(left).map_or(CHUNK, |left| left.min(CHUNK));
        let read;
        (read, document, chunk) = tokio::task::spawn_blocking(move || {
            let read = document.read(&mut chunk[..most]);
            (read, document, chunk)
        })
        .await
        .map_err(io::Error::other)?;
        match read? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => {
                input.write_all(&chunk[..read]).await?;
                left -= read as u64;
            }
        }
    }
    input.flush().await
}

async fn told(output: &mut ChildStdout) -> Result<Told, PreviewError> {
    let mut head = [0; 8];
    output.read_exact(&mut head).await?;
    let (length, secret) = wire::frame_lengths(head).map_err(|_| PreviewError::Nonsense("a frame larger than its limit"))?;
    if secret != 0 {
        return Err(PreviewError::Nonsense("a secret"));
    }
    let mut header = Vec::new();
    output.take(length as u64).read_to_end(&mut header).await?;
    if header.len() < length {
        return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
    }
    serde_json::from_slice(&header).map_err(|_| PreviewError::Nonsense("a frame that is none"))
}

/// A layer as a PNG file.
pub fn png(width: u32, height: u32, rgba: &[u8]) -> io::Result<Vec<u8>> {
    let mut out = Vec::new();
    let mut encoder = png::Encoder::new(&mut out, width, height);
    encoder.set_color(png::ColorType::Rgba);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::Fast);
    let mut writer = encoder.write_header().map_err(io::Error::other)?;
    writer.write_image_data(rgba).map_err(io::Error::other)?;
    writer.finish().map_err(io::Error::other)?;
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(width: u32, height: u32, layers: u32) -> PageHead {
        let (width_mm, height_mm) = (210.0, 297.0);
        PageHead { page: 1, width_mm, height_mm, width, height, layers, text: Vec::new(), searchable: true, findings: Vec::new() }
    }

    #[test]
    fn pictures_that_nobody_asked_for_are_nonsense() {
        let request = PageRequest { page: 1, dpi: 96.0, max_pixels: 1000, stamps: Vec::new() };
        assert!(check(&head(25, 40, 1), &request).is_ok());
        for head in [head(26, 40, 1), head(u32::MAX, u32::MAX, 1), head(0, 40, 1), head(25, 40, 2), head(25, 40, 0)] {
            assert!(matches!(check(&head, &request), Err(PreviewError::Nonsense(_))), "{head:?}");
        }
        assert!(check(&PageHead { page: 2, ..head(25, 40, 1) }, &request).is_err());
        assert!(check(&PageHead { width_mm: f64::NAN, ..head(25, 40, 1) }, &request).is_err());
    }

    #[test]
    fn a_layer_becomes_a_png_of_its_pixels() {
        let rgba = [[255, 0, 0, 255], [0, 255, 0, 255]].concat();
        let file = png(2, 1, &rgba).unwrap();
        let mut reader = png::Decoder::new(io::Cursor::new(file)).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        reader.next_frame(&mut pixels).unwrap();
        assert_eq!(pixels, rgba);
    }
}
