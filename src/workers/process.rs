//! One worker process: its pipes, its noise, its end.

use std::{
    io,
    path::Path,
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

#[cfg(unix)]
use tokio::io::AsyncWriteExt as _;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, BufReader},
    process::{Child, ChildStderr, ChildStdout, Command},
    sync::mpsc,
    task::JoinHandle,
};
use ukey::wire::{self, Answer, Request};

/// Longest piece of a worker's standard error that goes to the log, in bytes; a longer line is cut.
const MAX_LINE_BYTES: usize = 400;
/// Most lines of one worker that go to the log. A library that logs every call must not fill the disk.
const MAX_LINES: usize = 500;
/// A worker whose input was closed has this long to log out and end.
const CLOSING: Duration = Duration::from_secs(1);
/// A worker whose pipe has closed has this long to end by itself, so that its exit code can be told.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// A running worker. Dropping it kills it.
pub(super) struct Process {
    child: Child,
    /// `None` once it is closed.
    input: Option<Input>,
    answers: mpsc::Receiver<io::Result<Answer>>,
    reader: JoinHandle<()>,
    /// From the first PIN on, nothing the worker prints is logged: a library may print a PIN, and its buffers may hold it back.
    had_pin: Arc<AtomicBool>,
}

impl Process {
    /// Starts `program` with `arguments`. `name` is the driver's, for the log.
    pub(super) fn spawn(program: &Path, arguments: &[std::ffi::OsString], name: &str) -> io::Result<Self> {
        let program = std::path::absolute(program)?;
        let mut command = Command::new(&program);
        // A library finds what it loads by itself in the current folder too, on some systems: that is ours then, not where the agent
        // happened to be started.
        if let Some(folder) = program.parent() {
            command.current_dir(folder);
        }
        #[cfg(windows)] // CREATE_NO_WINDOW: no console flashes up
        command.creation_flags(0x0800_0000);
        let mut child = command
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let (Some(stdin), Some(stdout), Some(stderr)) = (child.stdin.take(), child.stdout.take(), child.stderr.take()) else {
            return Err(io::ErrorKind::BrokenPipe.into());
        };
        let (sender, answers) = mpsc::channel(4);
        let had_pin = Arc::<AtomicBool>::default();
        tokio::spawn(log_stderr(stderr, name.to_owned(), had_pin.clone()));
        Ok(Self { child, input: Some(Input::new(stdin)?), answers, reader: tokio::spawn(read_answers(stdout, sender)), had_pin })
    }

    /// Writes one request; the secret goes from where it is into the pipe.
    pub(super) async fn send(&mut self, request: &Request, secret: &[u8]) -> io::Result<()> {
        if !secret.is_empty() {
            self.had_pin.store(true, Ordering::SeqCst);
        }
        let mut head = Vec::new();
        wire::write_head(&mut head, request, secret.len())?;
        let input = self.input.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
        input.write(head).await?;
        input.write_secret(secret).await
    }

    /// The next answer. Nothing is lost when the future is dropped.
    pub(super) async fn answer(&mut self) -> io::Result<Answer> {
        self.answers.recv().await.unwrap_or_else(|| Err(io::ErrorKind::UnexpectedEof.into()))
    }

    /// Closes its input, which ends a worker that is not in a call, and kills it if that takes long.
    pub(super) async fn close(mut self) {
        self.input = None;
        let _ = tokio::time::timeout(CLOSING, self.child.wait()).await;
    }

    /// Ends it, and says how it had ended if it had by itself.
    pub(super) async fn end(mut self) -> String {
        match tokio::time::timeout(LAST_WORDS, self.child.wait()).await {
            Ok(Ok(status)) => status.to_string(),
            _ => "killed".to_owned(),
        }
    }
}

/// Kills the worker at once (`kill_on_drop`). It is reaped in the background: a process inside a system call on a device may take
/// long to die, and nobody waits for it.
impl Drop for Process {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

async fn read_answers(mut stdout: ChildStdout, answers: mpsc::Sender<io::Result<Answer>>) {
    loop {
        let answer = read_answer(&mut stdout).await;
        let last = answer.is_err();
        if answers.send(answer).await.is_err() || last {
            return;
        }
    }
}

async fn read_answer(input: &mut (impl AsyncRead + Unpin)) -> io::Result<Answer> {
    let mut head = [0; 8];
    input.read_exact(&mut head).await?;
    let (header_len, secret_len) = wire::frame_lengths(head)?;
    if secret_len != 0 {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "a secret from a worker"));
    }
    let mut header = Vec::new();
    input.take(header_len as u64).read_to_end(&mut header).await?;
    if header.len() < header_len {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(serde_json::from_slice(&header)?)
}

/// What a worker and its library print goes to the log line by line, until the worker has had a PIN.
async fn log_stderr(stderr: ChildStderr, driver: String, had_pin: Arc<AtomicBool>) {
    let mut input = BufReader::new(stderr);
    let mut line = Vec::new();
    for count in 0.. {
        line.clear();
        match (&mut input).take(MAX_LINE_BYTES as u64).read_until(b'\n', &mut line).await {
            Ok(0) | Err(_) => return,
            Ok(_) if had_pin.load(Ordering::SeqCst) || count > MAX_LINES => {}
            Ok(_) if count == MAX_LINES => tracing::info!(driver, "the worker prints too much; the rest is not logged"),
            Ok(_) => {
                tracing::info!(driver, line = %String::from_utf8_lossy(line.trim_ascii_end()).escape_debug(), "worker prints")
            }
        }
    }
}

/// The worker's standard input. No buffer in between: the PIN is written from the memory that will be wiped.
#[cfg(unix)]
struct Input(tokio::process::ChildStdin);

#[cfg(unix)]
impl Input {
    fn new(stdin: tokio::process::ChildStdin) -> io::Result<Self> {
        Ok(Self(stdin))
    }

    async fn write(&mut self, bytes: Vec<u8>) -> io::Result<()> {
        self.0.write_all(&bytes).await
    }

    async fn write_secret(&mut self, secret: &[u8]) -> io::Result<()> {
        self.0.write_all(secret).await
    }
}

/// On Windows tokio writes a pipe from a copy in a buffer of its own, which nobody wipes; so the file itself is written, in the
/// blocking pool, from a copy that is wiped.
#[cfg(windows)]
struct Input(Arc<std::fs::File>);

#[cfg(windows)]
impl Input {
    fn new(stdin: tokio::process::ChildStdin) -> io::Result<Self> {
        Ok(Self(Arc::new(stdin.into_owned_handle()?.into())))
    }

    async fn write(&mut self, bytes: Vec<u8>) -> io::Result<()> {
        self.write_blocking(bytes.into()).await
    }

    async fn write_secret(&mut self, secret: &[u8]) -> io::Result<()> {
        self.write_blocking(secret.to_vec().into()).await
    }

    async fn write_blocking(&mut self, bytes: zeroize::Zeroizing<Vec<u8>>) -> io::Result<()> {
        use std::io::Write as _;
        let file = self.0.clone();
        tokio::task::spawn_blocking(move || file.as_ref().write_all(&bytes)).await?
    }
}
