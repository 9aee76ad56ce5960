//! The prompt by a `pinentry` program of the system, for a person who has neither our window nor the agent's own terminal. Opt-in, and
//! held to the rules of the other prompts as far as such a program can be: the whole summary is shown, screen after screen, before the
//! PIN is asked for; what comes back at once was typed for another window and does not count; no text is left to the program to cut.
//!
//! It speaks the Assuan protocol: lines of at most 1000 bytes, `%`, CR and LF as `%XX`, `OK`, `ERR number text`, and `D data` for the PIN.
//! One process answers one question; no shell starts it. It is not asked to remember anything, and a PIN that it has from elsewhere than
//! the person is refused.

use std::io;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use ukey::{Credential, Pin, pin::MAX_PIN_BYTES};
use zeroize::{Zeroize as _, Zeroizing};

use super::pairing::{PairingAnswer, PairingShown};
use super::pin::{NEW_PIN_ROUNDS, NewPinFault, PinChangeAnswer, PinChangeShown, approved};
use super::prompt::Answer;
use super::summary::Summary;
use super::text::{lines, pairing_lines, pin_change_lines, pin_lines, text};
use crate::failure::Language;
use crate::workers::library::{Library, LibraryError};

/// Longest line of either side, in bytes without its end; the protocol has no longer one.
const MAX_LINE_BYTES: usize = 1000;
/// Most lines before the one that answers a command: comments and states, of which programs send one or two.
const MAX_LINES: usize = 32;
/// Columns of one screen; a line that is wider is broken by us. Terminals have 80, of which the program's frame takes some.
const COLUMNS: usize = 70;
/// Lines of one screen. Terminals have 24, of which frame, prompt and buttons take up to nine.
const ROWS: usize = 13;
/// Bytes of one screen as they are sent; number and note about an early answer have the rest of the line.
const SCREEN_BYTES: usize = 800;
/// Most screens of one question: nobody reads more of them one by one, so a larger batch is not asked for this way.
const MAX_SCREENS: usize = 12;
/// So often a question is asked again after an answer that came too early.
const EARLY_ROUNDS: usize = 5;

/// Codes of libgpg-error, without their source.
const ERR_CANCELED: u32 = 99;
const ERR_NOT_CONFIRMED: u32 = 114;
const ERR_FULLY_CANCELED: u32 = 198;

/// How to ask by such a program.
#[derive(Clone, Debug)]
pub struct Pinentry {
    /// The program, by absolute path. Nobody but root and the user may be able to write it.
    pub program: PathBuf,
    /// The terminal for a program that needs one.
    pub terminal: Option<String>,
    /// Language of the prompt.
    pub language: Language,
    /// How soon an answer counts.
    pub delay: Duration,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error("it ended or cannot be started: {0}")]
    Io(#[from] io::Error),
    #[error("the person said no")]
    No,
    #[error("it gave {0}")]
    Nonsense(&'static str),
    #[error(transparent)]
    Program(#[from] LibraryError),
    #[error("it cannot show the question (error {0} of libgpg-error)")]
    Refused(u32),
    #[error("the question takes more than {MAX_SCREENS} screens; use the window or the terminal for so large a batch")]
    TooLong,
}

impl Pinentry {
    /// Where the terminal is that a program may use: the agent's own, else the one that `GPG_TTY` names.
    pub fn own_terminal() -> Option<String> {
        if cfg!(unix) && io::IsTerminal::is_terminal(&io::stdin()) {
            return Some("/dev/tty".to_owned());
        }
        std::env::var("GPG_TTY").ok().filter(|name| name.starts_with("/dev/"))
    }

    /// Asks once. Dropping the future ends the program.
    pub(super) async fn ask(&self, summary: &Summary) -> Answer {
        match self.sign(summary).await {
            Ok(answer) => answer,
            Err(Ended::No) => Answer::Decline,
            Err(ended) => {
                self.log(&ended);
                Answer::NoPrompt
            }
        }
    }

    /// Asks whether a web site may talk to the agent, this once. Dropping the future ends the program.
    pub(super) async fn ask_pairing(&self, shown: &PairingShown) -> PairingAnswer {
        let asked = async {
            let screens = screens(&pairing_lines(shown, self.language))?;
            Talk::begin(self).await?.confirm_all(&screens, "pinentry_allow").await
        };
        match asked.await {
            Ok(()) => PairingAnswer::Once,
            Err(Ended::No) => PairingAnswer::Refused,
            Err(ended) => {
                self.log(&ended);
                PairingAnswer::NoPrompt
            }
        }
    }

    /// Asks for the old PIN and a new one. Dropping the future ends the program.
    pub(super) async fn ask_pin_change(&self, shown: &PinChangeShown) -> PinChangeAnswer {
        match self.change(shown).await {
            Ok(answer) => answer,
            Err(Ended::No) => PinChangeAnswer::Decline,
            Err(ended) => {
                self.log(&ended);
                PinChangeAnswer::NoPrompt
            }
        }
    }

    fn log(&self, ended: &Ended) {
        tracing::error!(program = %self.program.display(), error = %ended, "the pinentry gave no answer");
    }

    async fn sign(&self, summary: &Summary) -> Result<Answer, Ended> {
        let t = |key| text(key, self.language);
        let mut told = lines(summary, self.language);
        if summary.pin.on_device {
            told.push(t("on_device").to_owned());
        }
        // Before the program is started: what cannot be shown whole is not shown in part.
        let screens = screens(&told)?;
        let mut talk = Talk::begin(self).await?;
        talk.confirm_all(&screens, "pinentry_agree").await?;
        if summary.pin.is_last_try() {
            talk.confirm(&one_screen(&[t("last_try").to_owned()])?, "pinentry_last").await?;
        }
        if summary.pin.on_device {
            return Ok(Answer::Approve(Credential::OnDevice));
        }
        let pin = talk.pin(&one_screen(&pin_lines(summary, self.language))?, "pin", "pinentry_agree").await?;
        Ok(Pin::new(pin).map_or(Answer::Unacceptable, |pin| Answer::Approve(Credential::Pin(pin))))
    }

    async fn change(&self, shown: &PinChangeShown) -> Result<PinChangeAnswer, Ended> {
        let t = |key| text(key, self.language);
        let told = pin_change_lines(shown, self.language);
        let mut talk = Talk::begin(self).await?;
        if shown.is_last_try() {
            talk.confirm(&one_screen(&told)?, "pinentry_last").await?;
        }
        let old = talk.pin(&one_screen(&told)?, "pin_old", "pinentry_continue").await?;
        let (token, mut note) = (t("pin_change").to_owned(), None);
        for _ in 0..NEW_PIN_ROUNDS {
            let told: Vec<String> = note.into_iter().chain([token.clone(), shown.token.label.to_string()]).collect();
            let told = one_screen(&told)?;
            let new = talk.pin(&told, "pin_new", "pinentry_continue").await?;
            let again = talk.pin(&told, "pin_again", "pinentry_continue").await?;
            match NewPinFault::of(&old, &new, &again) {
                None => return Ok(approved(Pin::new(old), Pin::new(new))),
                Some(fault) => note = Some(format!("!! {}", t(fault.key()))),
            }
        }
        Ok(PinChangeAnswer::Decline)
    }
}

/// What the program says to a command.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Reply {
    Ok,
    /// A code of libgpg-error, without its source.
    Error(u32),
}

impl Reply {
    /// An error ends the dialog; some of them are the person's "no".
    fn ok(self) -> Result<(), Ended> {
        match self {
            Self::Ok => Ok(()),
            Self::Error(ERR_CANCELED | ERR_FULLY_CANCELED | ERR_NOT_CONFIRMED) => Err(Ended::No),
            Self::Error(code) => Err(Ended::Refused(code)),
        }
    }
}

/// One running program.
struct Talk<'a> {
    asked: &'a Pinentry,
    input: ChildStdin,
    output: ChildStdout,
    /// The line that is read: of the full size from the start, so that no copy of a PIN stays behind in freed memory.
    line: Zeroizing<Vec<u8>>,
    /// Ended when it is dropped.
    _child: Child,
    /// Dropped after it.
    #[cfg(unix)]
    _terminal: tty::Kept,
}

impl<'a> Talk<'a> {
    async fn begin(asked: &'a Pinentry) -> Result<Self, Ended> {
        let program = Library { path: asked.program.clone(), sha256: None }.check()?;
        #[cfg(unix)]
        let terminal = tty::Kept::of(asked.terminal.as_deref());
        let mut child = Command::new(program)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null()) // nobody reads it, and it would have no bound
            .kill_on_drop(true)
            .spawn()?;
        let no_pipe = || io::Error::from(io::ErrorKind::BrokenPipe);
        let input = child.stdin.take().ok_or_else(no_pipe)?;
        let output = child.stdout.take().ok_or_else(no_pipe)?;
        let line = Zeroizing::new(Vec::with_capacity(MAX_LINE_BYTES + 1));
        let mut talk = Self {
            asked,
            input,
            output,
            line,
            _child: child,
            #[cfg(unix)]
            _terminal: terminal,
        };
        talk.reply(None).await?.ok()?;
        for (name, value) in options(asked.terminal.as_deref()) {
            // A program with a window may know none of them.
            talk.tell("OPTION", &format!("{name}={value}"), None).await?;
        }
        talk.set("SETTIMEOUT", "0").await?; // ours counts; some programs have one of their own that is shorter
        talk.set("SETTITLE", "sealagent").await?;
        Ok(talk)
    }

    /// Shows every screen and goes on after a "yes" to each.
    async fn confirm_all(&mut self, screens: &[String], last: &str) -> Result<(), Ended> {
        for (n, screen) in screens.iter().enumerate() {
            let is_last = n + 1 == screens.len();
            let numbered = if screens.len() > 1 { format!("{}/{}\n{screen}", n + 1, screens.len()) } else { screen.clone() };
            self.confirm(&numbered, if is_last { last } else { "pinentry_continue" }).await?;
        }
        Ok(())
    }

    /// A "yes" to one screen. `ok` is the key of the words on its button.
    async fn confirm(&mut self, screen: &str, ok: &str) -> Result<(), Ended> {
        self.buttons(ok).await?;
        for round in 0..EARLY_ROUNDS {
            self.describe(screen, round).await?;
            let asked = Instant::now();
            self.tell("CONFIRM", "", None).await?.ok()?;
            if asked.elapsed() >= self.asked.delay {
                return Ok(());
            }
        }
        Err(Ended::No)
    }

    /// A PIN, which may be of a length that none has, but is not empty. `prompt` and `ok` are keys of texts.
    async fn pin(&mut self, screen: &str, prompt: &str, ok: &str) -> Result<Zeroizing<Vec<u8>>, Ended> {
        self.buttons(ok).await?;
        self.set("SETPROMPT", text(prompt, self.asked.language).trim_end()).await?;
        for round in 0..EARLY_ROUNDS {
            self.describe(screen, round).await?;
            let mut pin = Zeroizing::new(Vec::with_capacity(MAX_PIN_BYTES + 1));
            let asked = Instant::now();
            self.tell("GETPIN", "", Some(&mut pin)).await?.ok()?;
            if asked.elapsed() >= self.asked.delay {
                return if pin.is_empty() { Err(Ended::No) } else { Ok(pin) };
            }
        }
        Err(Ended::No)
    }

    async fn buttons(&mut self, ok: &str) -> Result<(), Ended> {
        self.set("SETOK", text(ok, self.asked.language)).await?;
        self.set("SETCANCEL", text("pinentry_cancel", self.asked.language)).await
    }

    async fn describe(&mut self, screen: &str, round: usize) -> Result<(), Ended> {
        match round {
            0 => self.set("SETDESC", screen).await,
            _ => self.set("SETDESC", &format!("{}\n{screen}", text("pinentry_early", self.asked.language))).await,
        }
    }

    /// A text that the program must take.
    async fn set(&mut self, command: &str, text: &str) -> Result<(), Ended> {
        self.tell(command, text, None).await?.ok()
    }

    async fn tell(&mut self, command: &str, text: &str, pin: Option<&mut Zeroizing<Vec<u8>>>) -> Result<Reply, Ended> {
        let mut line = command.to_owned();
        if !text.is_empty() {
            line.push(' ');
            line.push_str(&escaped(text));
        }
        if line.len() > MAX_LINE_BYTES {
            return Err(Ended::TooLong);
        }
        line.push('\n');
        self.input.write_all(line.as_bytes()).await?;
        self.input.flush().await?;
        self.reply(pin).await
    }

    /// The answer to one command. What is data goes into `pin`, up to one byte more than a PIN has.
    async fn reply(&mut self, mut pin: Option<&mut Zeroizing<Vec<u8>>>) -> Result<Reply, Ended> {
        for _ in 0..MAX_LINES {
            self.read_line().await?;
            let (word, rest) = match self.line.iter().position(|b| *b == b' ') {
                Some(at) => (&self.line[..at], &self.line[at + 1..]),
                None => (self.line.as_slice(), [].as_slice()),
            };
            match word {
                b"OK" => return Ok(Reply::Ok),
                b"ERR" => return error_code(rest).map(Reply::Error).ok_or(Ended::Nonsense("an error without a number")),
                b"D" => decode(rest, pin.as_deref_mut().ok_or(Ended::Nonsense("data that nobody asked for"))?)?,
                b"S" if rest.starts_with(b"PASSWORD_FROM_CACHE") => return Err(Ended::Nonsense("a PIN that nobody typed")),
                b"S" => {}
                word if word.starts_with(b"#") => {}
                _ => return Err(Ended::Nonsense("an answer that is none")),
            }
        }
        Err(Ended::Nonsense("too many lines"))
    }

    /// One line, byte by byte and straight into its place: nothing that could keep a PIN reads ahead.
    async fn read_line(&mut self) -> Result<(), Ended> {
        self.line.zeroize();
        loop {
            let at = self.line.len();
            self.line.push(0);
            self.output.read_exact(&mut self.line[at..]).await?;
            match self.line[at] {
                b'\n' => {
                    self.line.pop();
                    return Ok(());
                }
                _ if at == MAX_LINE_BYTES => return Err(Ended::Nonsense("a line that is too long")),
                _ => {}
            }
        }
    }
}

/// The terminal's settings: a program that is ended in the middle of a question leaves it without echo, and the person would not see what
/// they type next.
#[cfg(unix)]
mod tty {
    use std::os::fd::OwnedFd;

    use rustix::fs::{Mode, OFlags, open};
    use rustix::process::getpgrp;
    use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetpgrp, tcsetattr};

    /// Puts them back when it is dropped, and throws away what was typed and not read: it may be half a PIN.
    pub struct Kept(Option<(OwnedFd, Termios)>);

    impl Kept {
        pub fn of(terminal: Option<&str>) -> Self {
            let kept = || {
                let tty = open(terminal?, OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty()).ok()?;
                let before = tcgetattr(&tty).ok()?;
                Some((tty, before))
            };
            Self(kept())
        }
    }

    impl Drop for Kept {
        fn drop(&mut self) {
            let Some((tty, before)) = &self.0 else { return };
            // A process in the background that changes its own terminal is stopped by it.
            let is_in_background = tcgetpgrp(tty).is_ok_and(|group| group != getpgrp());
            if !is_in_background {
                let _ = tcsetattr(tty, OptionalActions::Flush, before);
            }
        }
    }
}

/// The number after `ERR`, without the part that names its source.
fn error_code(rest: &[u8]) -> Option<u32> {
    let digits = rest.split(|b| *b == b' ').next()?;
    let number: u32 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    Some(number & 0xffff)
}

/// Takes `%XX` for the byte that it is. What is longer than a PIN stays one byte too long, so that it is refused and not cut.
fn decode(mut data: &[u8], pin: &mut Zeroizing<Vec<u8>>) -> Result<(), Ended> {
    while let [byte, rest @ ..] = data {
        let byte = match (byte, rest) {
            (b'%', [high, low, after @ ..]) => {
                let digit = |b: &u8| char::from(*b).to_digit(16).ok_or(Ended::Nonsense("a broken escape"));
                data = after;
                (digit(high)? << 4 | digit(low)?) as u8
            }
            (b'%', _) => return Err(Ended::Nonsense("a broken escape")),
            (byte, after) => {
                data = after;
                *byte
            }
        };
        if pin.len() <= MAX_PIN_BYTES {
            pin.push(byte);
        }
    }
    Ok(())
}

/// What stands for itself nowhere in a line.
fn escaped(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// The terminal, what kind it is, and an encoding that has every character of the question.
fn options(terminal: Option<&str>) -> Vec<(&'static str, String)> {
    let mut out = Vec::new();
    if let Some(terminal) = terminal {
        out.push(("ttyname", terminal.to_owned()));
        out.extend(std::env::var("TERM").ok().map(|kind| ("ttytype", kind)));
    }
    let named = ["LC_ALL", "LC_CTYPE", "LANG"].iter().find_map(|name| std::env::var(name).ok().filter(|v| !v.is_empty()));
    let is_utf8 = |locale: &String| locale.to_ascii_lowercase().replace('-', "").ends_with("utf8");
    out.push(("lc-ctype", named.filter(is_utf8).unwrap_or_else(|| "C.UTF-8".to_owned())));
    out
}

/// The lines on as many screens as they take, none of which the program has to break or to cut.
fn screens(lines: &[String]) -> Result<Vec<String>, Ended> {
    let mut out: Vec<String> = Vec::new();
    let (mut screen, mut bytes): (Vec<String>, usize) = (Vec::new(), 0);
    for row in lines.iter().flat_map(|line| rows(line)) {
        let size = escaped(&row).len() + 3; // with its end as it is sent
        if screen.len() == ROWS || bytes + size > SCREEN_BYTES {
            out.push(screen.join("\n").trim_end().to_owned());
            (screen, bytes) = (Vec::new(), 0);
        }
        if !(screen.is_empty() && row.is_empty()) {
            bytes += size;
            screen.push(row);
        }
    }
    if !screen.is_empty() {
        out.push(screen.join("\n").trim_end().to_owned());
    }
    if out.len() > MAX_SCREENS { Err(Ended::TooLong) } else { Ok(out) }
}

/// The lines, which must not need more than one screen.
fn one_screen(lines: &[String]) -> Result<String, Ended> {
    let mut screens = screens(lines)?;
    match screens.len() {
        1 => Ok(screens.remove(0)),
        _ => Err(Ended::TooLong),
    }
}

/// One line in rows of [`COLUMNS`]. A row that continues another says so, lest a long name begin a line of its own. Programs with a
/// window may take `<` and `&` for marks of a text with styles; they get look-alikes.
fn rows(line: &str) -> Vec<String> {
    const CONTINUES: &str = "    ↳ ";
    let mut out = vec![String::new()];
    let mut columns = 0;
    for c in line.chars() {
        let c = match c {
            '<' => '‹',
            '&' => '＆',
            c => c,
        };
        // From here on characters may be two columns wide; one that is not wastes a column.
        let width = if c < '\u{1100}' { 1 } else { 2 };
        if columns + width > COLUMNS {
            out.push(CONTINUES.to_owned());
            columns = CONTINUES.chars().count() + 1;
        }
        columns += width;
        if let Some(row) = out.last_mut() {
            row.push(c);
        }
    }
    out
}

#[cfg(all(test, unix))]
#[path = "pinentry_tests.rs"]
mod tests;
