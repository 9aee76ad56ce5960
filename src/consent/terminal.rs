//! The prompt on a terminal: the summary as text, yes or no, then the PIN without echo.
//!
//! Nothing is accepted by default and nothing in the first moment; what was typed ahead is thrown away. Ctrl-C, Ctrl-D, Escape and
//! the end of input mean no.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use super::pairing::{PairingAnswer, PairingShown};
use super::pin::{NEW_PIN_ROUNDS, NewPinFault, PinChangeAnswer, PinChangeShown, approved};
use super::prompt::Answer;
use super::summary::Summary;
use super::text::{lines, pairing_lines, pin_change_lines, text};
use crate::failure::Language;

/// How to ask on a terminal.
#[derive(Clone, Debug)]
pub struct Terminal {
    /// Language of the prompt.
    pub language: Language,
    /// How long nothing is accepted at first.
    pub delay: Duration,
}

impl Terminal {
    /// Asks in a thread of its own; returns soon after `stop` is set.
    pub(super) async fn ask(&self, summary: &Summary, stop: &Arc<AtomicBool>) -> Answer {
        let (terminal, summary, stop) = (self.clone(), summary.clone(), stop.clone());
        tokio::task::spawn_blocking(move || os::ask(&terminal, &summary, &stop)).await.unwrap_or(Answer::NoPrompt)
    }

    /// Asks about a pairing, likewise.
    pub(super) async fn ask_pairing(&self, shown: &PairingShown, stop: &Arc<AtomicBool>) -> PairingAnswer {
        let (terminal, shown, stop) = (self.clone(), shown.clone(), stop.clone());
        let asked = tokio::task::spawn_blocking(move || os::ask_pairing(&terminal, &shown, &stop));
        asked.await.unwrap_or(PairingAnswer::NoPrompt)
    }

    /// Asks for the old PIN and a new one, likewise.
    pub(super) async fn ask_pin_change(&self, shown: &PinChangeShown, stop: &Arc<AtomicBool>) -> PinChangeAnswer {
        let (terminal, shown, stop) = (self.clone(), shown.clone(), stop.clone());
        let asked = tokio::task::spawn_blocking(move || os::ask_pin_change(&terminal, &shown, &stop));
        asked.await.unwrap_or(PinChangeAnswer::NoPrompt)
    }
}

/// What a typed line says to a pairing: one word is "yes", everything else is "no".
fn pairing_answer(line: &[u8]) -> PairingAnswer {
    match line {
        b"once" => PairingAnswer::Once,
        b"always" => PairingAnswer::Always,
        _ => PairingAnswer::Refused,
    }
}

/// Whether the last try is next.
fn is_last_try(summary: &Summary) -> bool {
    summary.pin.is_last_try()
}

#[cfg(unix)]
mod os {
    use std::fs::File;
    use std::io::{self, Write as _};
    use std::os::fd::AsFd as _;
    use std::sync::atomic::Ordering;
    use std::time::Instant;

    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use rustix::termios::{
        InputModes, LocalModes, OptionalActions, QueueSelector, Termios, isatty, tcflush, tcgetattr, tcgetpgrp, tcsetattr,
    };
    use ukey::{Credential, Pin, pin::MAX_PIN_BYTES};
    use zeroize::Zeroizing;

    use super::*;

    /// How often `stop` is looked at while nothing is typed.
    const TICK: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };

    pub fn ask(terminal: &Terminal, summary: &Summary, stop: &AtomicBool) -> Answer {
        own_terminal().map_or(Answer::NoPrompt, |tty| ask_on(tty, terminal, summary, stop))
    }

    pub fn ask_pairing(terminal: &Terminal, shown: &PairingShown, stop: &AtomicBool) -> PairingAnswer {
        own_terminal().map_or(PairingAnswer::NoPrompt, |tty| ask_pairing_on(tty, terminal, shown, stop))
    }

    pub fn ask_pin_change(terminal: &Terminal, shown: &PinChangeShown, stop: &AtomicBool) -> PinChangeAnswer {
        own_terminal().map_or(PinChangeAnswer::NoPrompt, |tty| ask_pin_change_on(tty, terminal, shown, stop))
    }

    fn own_terminal() -> Option<File> {
        let tty = File::options().read(true).write(true).open("/dev/tty").ok()?;
        // A process in the background that changes the terminal is stopped by it, and the person would type into another program.
        tcgetpgrp(&tty).is_ok_and(|group| group == rustix::process::getpgrp()).then_some(tty)
    }

    /// The dialog about a pairing on an open terminal.
    pub(super) fn ask_pairing_on(tty: File, terminal: &Terminal, shown: &PairingShown, stop: &AtomicBool) -> PairingAnswer {
        let Ok(mut dialog) = Dialog::begin(tty, stop) else { return PairingAnswer::NoPrompt };
        let t = |key| text(key, terminal.language);
        let answer = match dialog.run_pairing(terminal, shown) {
            Ok(answer) => answer,
            Err(Ended::No) => PairingAnswer::Refused,
            Err(Ended::Stopped) => PairingAnswer::Withdrawn,
            Err(Ended::Broken) => PairingAnswer::NoPrompt,
        };
        let last_word = match answer {
            PairingAnswer::Refused => t("pairing_refused"),
            PairingAnswer::Withdrawn => t("cancelled"),
            _ => "",
        };
        let _ = dialog.say(&format!("\r\n{last_word}\r\n"));
        answer
    }

    /// The dialog about a change of PIN on an open terminal.
    pub(super) fn ask_pin_change_on(
        tty: File,
        terminal: &Terminal,
        shown: &PinChangeShown,
        stop: &AtomicBool,
    ) -> PinChangeAnswer {
        let Ok(mut dialog) = Dialog::begin(tty, stop) else { return PinChangeAnswer::NoPrompt };
        let t = |key| text(key, terminal.language);
        let answer = match dialog.run_pin_change(terminal, shown) {
            Ok(answer) => answer,
            Err(Ended::No) => PinChangeAnswer::Decline,
            Err(Ended::Stopped) => PinChangeAnswer::Withdrawn,
            Err(Ended::Broken) => PinChangeAnswer::NoPrompt,
        };
        let last_word = match answer {
            PinChangeAnswer::Decline => t("pin_change_declined"),
            PinChangeAnswer::Withdrawn => t("cancelled"),
            _ => "",
        };
        let _ = dialog.say(&format!("\r\n{last_word}\r\n"));
        answer
    }

    /// The dialog on an open terminal.
    pub(super) fn ask_on(tty: File, terminal: &Terminal, summary: &Summary, stop: &AtomicBool) -> Answer {
        let Ok(mut dialog) = Dialog::begin(tty, stop) else { return Answer::NoPrompt };
        let t = |key| text(key, terminal.language);
        let answer = dialog.run(terminal, summary);
        let last_word = match &answer {
            Ok(Answer::Decline) | Err(Ended::No) => t("declined"),
            Ok(Answer::Unacceptable) => t("pin_unacceptable"),
            Err(Ended::Stopped) => t("cancelled"),
            _ => "",
        };
        let _ = dialog.say(&format!("\r\n{last_word}\r\n"));
        match answer {
            Ok(answer) => answer,
            Err(Ended::No) => Answer::Decline,
            Err(Ended::Stopped) => Answer::Cancelled,
            Err(Ended::Broken) => Answer::NoPrompt,
        }
    }

    /// Why the dialog ended without an answer.
    enum Ended {
        Broken,
        No,
        Stopped,
    }

    impl From<io::Error> for Ended {
        fn from(_: io::Error) -> Self {
            Self::Broken
        }
    }

    /// A terminal without echo, line editing and signals, put back as it was on drop.
    struct Dialog<'a> {
        tty: File,
        before: Termios,
        stop: &'a AtomicBool,
    }

    impl Drop for Dialog<'_> {
        fn drop(&mut self) {
            let _ = tcsetattr(&self.tty, OptionalActions::Flush, &self.before);
        }
    }

    impl<'a> Dialog<'a> {
        fn begin(tty: File, stop: &'a AtomicBool) -> io::Result<Self> {
            if !isatty(&tty) {
                return Err(io::ErrorKind::Unsupported.into());
            }
            let before = tcgetattr(&tty)?;
            let mut quiet = before.clone();
            quiet.local_modes &=
                !(LocalModes::ECHO | LocalModes::ECHONL | LocalModes::ICANON | LocalModes::ISIG | LocalModes::IEXTEN);
            quiet.input_modes |= InputModes::ICRNL;
            tcsetattr(&tty, OptionalActions::Flush, &quiet)?;
            Ok(Self { tty, before, stop })
        }

        fn run(&mut self, terminal: &Terminal, summary: &Summary) -> Result<Answer, Ended> {
            let t = |key| text(key, terminal.language);
            for line in lines(summary, terminal.language) {
                self.say(&line)?;
                self.say("\r\n")?;
            }
            self.wait(terminal.delay)?;
            self.say(if summary.items.len() > 1 { t("approve_many") } else { t("approve") })?;
            if !matches!(self.line(true)?.as_slice(), b"y" | b"Y") {
                return Ok(Answer::Decline);
            }
            if is_last_try(summary) {
                self.say(&format!("!! {}\r\n{}", t("last_try"), t("last_try_confirm")))?;
                if self.line(true)?.as_slice() != b"LAST" {
                    return Ok(Answer::Decline);
                }
            }
            if summary.pin.on_device {
                self.say(t("on_device"))?;
                return Ok(Answer::Approve(Credential::OnDevice));
            }
            self.say(t("pin"))?;
            let pin = self.line(false)?;
            if pin.is_empty() {
                self.say(&format!("\r\n{}", t("empty_pin")))?;
                return Err(Ended::No);
            }
            Ok(Pin::new(pin).map_or(Answer::Unacceptable, |pin| Answer::Approve(Credential::Pin(pin))))
        }

        fn run_pin_change(&mut self, terminal: &Terminal, shown: &PinChangeShown) -> Result<PinChangeAnswer, Ended> {
            let t = |key| text(key, terminal.language);
            for line in pin_change_lines(shown, terminal.language) {
                self.say(&line)?;
                self.say("\r\n")?;
            }
            self.wait(terminal.delay)?;
            if shown.is_last_try() {
                self.say(t("last_try_confirm"))?;
                if self.line(true)?.as_slice() != b"LAST" {
                    return Ok(PinChangeAnswer::Decline);
                }
            }
            self.say(t("pin_old"))?;
            let old = self.line(false)?;
            if old.is_empty() {
                return Ok(PinChangeAnswer::Decline);
            }
            for _ in 0..NEW_PIN_ROUNDS {
                self.say(t("pin_new"))?;
                let new = self.line(false)?;
                if new.is_empty() {
                    return Ok(PinChangeAnswer::Decline);
                }
                self.say(t("pin_again"))?;
                match NewPinFault::of(&old, &new, &self.line(false)?) {
                    None => return Ok(approved(Pin::new(old), Pin::new(new))),
                    Some(fault) => self.say(&format!("{}\r\n", t(fault.key())))?,
                }
            }
            Ok(PinChangeAnswer::Decline)
        }

        fn run_pairing(&mut self, terminal: &Terminal, shown: &PairingShown) -> Result<PairingAnswer, Ended> {
            for line in pairing_lines(shown, terminal.language) {
                self.say(&line)?;
                self.say("\r\n")?;
            }
            self.wait(terminal.delay)?;
            self.say(text("pairing_allow", terminal.language))?;
            let line = self.line(true)?;
            Ok(pairing_answer(&line))
        }

        fn say(&mut self, text: &str) -> io::Result<()> {
            self.tty.write_all(text.as_bytes())
        }

        /// Lets the delay pass and throws away what is typed in it; a "no" counts at once.
        fn wait(&mut self, delay: Duration) -> Result<(), Ended> {
            let end = Instant::now() + delay;
            while Instant::now() < end {
                self.byte(end)?;
            }
            tcflush(&self.tty, QueueSelector::IFlush).map_err(io::Error::from)?;
            Ok(())
        }

        /// One line, typed. The buffer never grows, so that no copy stays behind in freed memory; what is too long is cut after one
        /// byte more than a PIN has, so that it is refused and not shortened into another PIN.
        fn line(&mut self, echo: bool) -> Result<Zeroizing<Vec<u8>>, Ended> {
            let mut line = Zeroizing::new(Vec::with_capacity(MAX_PIN_BYTES + 1));
            let never = Instant::now() + Duration::from_secs(86_400);
            loop {
                let Some(byte) = self.byte(never)? else { return Err(Ended::No) };
                match byte[0] {
                    b'\n' | b'\r' => break,
                    0x08 | 0x7f => {
                        // One character, which is several bytes when it is not ASCII.
                        while line.pop().is_some_and(|b| b & 0xc0 == 0x80) {}
                        if echo {
                            self.say("\x08 \x08")?;
                        }
                    }
                    0x15 => line.clear(), // Ctrl-U
                    0..0x20 => {}
                    _ if line.len() <= MAX_PIN_BYTES => {
                        line.push(byte[0]);
                        if echo {
                            self.tty.write_all(&*byte)?;
                        }
                    }
                    _ => {}
                }
            }
            self.say("\r\n")?;
            Ok(line)
        }

        /// The next byte, or `None` at `end`.
        fn byte(&mut self, end: Instant) -> Result<Option<Zeroizing<[u8; 1]>>, Ended> {
            loop {
                if self.stop.load(Ordering::Relaxed) {
                    return Err(Ended::Stopped);
                }
                if Instant::now() >= end {
                    return Ok(None);
                }
                let mut ready = [PollFd::from_borrowed_fd(self.tty.as_fd(), PollFlags::IN)];
                match poll(&mut ready, Some(&TICK)) {
                    Ok(0) | Err(rustix::io::Errno::INTR) => continue,
                    Ok(_) => {}
                    Err(_) => return Err(Ended::Broken),
                }
                let mut byte = Zeroizing::new([0]);
                return match rustix::io::read(&self.tty, &mut *byte) {
                    Ok(0) => Err(Ended::No),
                    Ok(_) if matches!(byte[0], 0x03 | 0x04 | 0x1b) => Err(Ended::No), // Ctrl-C, Ctrl-D, Escape
                    Ok(_) => Ok(Some(byte)),
                    Err(rustix::io::Errno::INTR) => continue,
                    Err(_) => Err(Ended::No), // the terminal is gone, and the person with it
                };
            }
        }
    }
}

#[cfg(windows)]
mod os {
    use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
    use std::sync::atomic::Ordering;

    use ukey::{Credential, Pin};
    use zeroize::Zeroizing;

    use super::*;

    pub fn ask(terminal: &Terminal, summary: &Summary, stop: &AtomicBool) -> Answer {
        if !io::stdin().is_terminal() {
            return Answer::NoPrompt;
        }
        match run(terminal, summary) {
            _ if stop.load(Ordering::Relaxed) => Answer::Cancelled,
            Ok(answer) => answer,
            Err(_) => Answer::Decline,
        }
    }

    pub fn ask_pairing(terminal: &Terminal, shown: &PairingShown, stop: &AtomicBool) -> PairingAnswer {
        if !io::stdin().is_terminal() {
            return PairingAnswer::NoPrompt;
        }
        let run = || -> io::Result<PairingAnswer> {
            let mut out = io::stderr().lock();
            for line in pairing_lines(shown, terminal.language) {
                writeln!(out, "{line}")?;
            }
            std::thread::sleep(terminal.delay);
            write!(out, "{}", text("pairing_allow", terminal.language))?;
            Ok(pairing_answer(line()?.as_bytes()))
        };
        match run() {
            _ if stop.load(Ordering::Relaxed) => PairingAnswer::Withdrawn,
            Ok(answer) => answer,
            Err(_) => PairingAnswer::Refused,
        }
    }

    pub fn ask_pin_change(terminal: &Terminal, shown: &PinChangeShown, stop: &AtomicBool) -> PinChangeAnswer {
        if !io::stdin().is_terminal() {
            return PinChangeAnswer::NoPrompt;
        }
        match run_pin_change(terminal, shown) {
            _ if stop.load(Ordering::Relaxed) => PinChangeAnswer::Withdrawn,
            Ok(answer) => answer,
            Err(_) => PinChangeAnswer::Decline,
        }
    }

    fn run_pin_change(terminal: &Terminal, shown: &PinChangeShown) -> io::Result<PinChangeAnswer> {
        let t = |key| text(key, terminal.language);
        let typed = |key| Ok::<_, io::Error>(Zeroizing::new(rpassword::prompt_password(t(key))?.into_bytes()));
        let mut out = io::stderr().lock();
        for line in pin_change_lines(shown, terminal.language) {
            writeln!(out, "{line}")?;
        }
        std::thread::sleep(terminal.delay);
        if shown.is_last_try() {
            write!(out, "{}", t("last_try_confirm"))?;
            if line()? != "LAST" {
                return Ok(PinChangeAnswer::Decline);
            }
        }
        let old = typed("pin_old")?;
        for _ in 0..NEW_PIN_ROUNDS {
            let new = typed("pin_new")?;
            if old.is_empty() || new.is_empty() {
                return Ok(PinChangeAnswer::Decline);
            }
            match NewPinFault::of(&old, &new, &typed("pin_again")?) {
                None => return Ok(approved(Pin::new(old), Pin::new(new))),
                Some(fault) => writeln!(out, "{}", t(fault.key()))?,
            }
        }
        Ok(PinChangeAnswer::Decline)
    }

    fn run(terminal: &Terminal, summary: &Summary) -> io::Result<Answer> {
        let t = |key| text(key, terminal.language);
        let mut out = io::stderr().lock();
        for line in lines(summary, terminal.language) {
            writeln!(out, "{line}")?;
        }
        std::thread::sleep(terminal.delay);
        write!(out, "{}", if summary.items.len() > 1 { t("approve_many") } else { t("approve") })?;
        if !matches!(line()?.as_str(), "y" | "Y") {
            return Ok(Answer::Decline);
        }
        if is_last_try(summary) {
            write!(out, "!! {}\n{}", t("last_try"), t("last_try_confirm"))?;
            if line()? != "LAST" {
                return Ok(Answer::Decline);
            }
        }
        if summary.pin.on_device {
            writeln!(out, "{}", t("on_device"))?;
            return Ok(Answer::Approve(Credential::OnDevice));
        }
        let pin = Zeroizing::new(rpassword::prompt_password(t("pin"))?.into_bytes());
        Ok(match Pin::new(pin) {
            Some(pin) => Answer::Approve(Credential::Pin(pin)),
            None => Answer::Unacceptable,
        })
    }

    fn line() -> io::Result<String> {
        let mut line = String::new();
        io::stdin().lock().read_line(&mut line)?;
        Ok(line.trim().to_owned())
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs::File;
    use std::io::{Read as _, Write as _};
    use std::sync::atomic::Ordering;
    use std::thread;

    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    use ukey::Credential;

    use super::*;
    use crate::consent::summary::tests::summary;

    /// Types `keys` (a pause before each) at the dialog and returns its answer and all that the terminal showed.
    fn typed(summary: Summary, delay: Duration, keys: &[(u64, &str)]) -> (Answer, String) {
        let terminal = Terminal { language: Language::English, delay };
        with_typist(keys, |tty, stop| os::ask_on(tty, &terminal, &summary, stop))
    }

    /// The same for any dialog.
    fn with_typist<T>(keys: &[(u64, &str)], ask: impl FnOnce(File, &AtomicBool) -> T) -> (T, String) {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
        let slave = File::options().read(true).write(true).open(name).unwrap();
        let mut master = File::from(master);
        let mut reader = master.try_clone().unwrap();
        let screen = thread::spawn(move || {
            let mut shown = Vec::new();
            let mut bytes = [0; 4096];
            while let Ok(n @ 1..) = reader.read(&mut bytes) {
                shown.extend_from_slice(&bytes[..n]);
            }
            String::from_utf8_lossy(&shown).into_owned()
        });
        let keys: Vec<(u64, String)> = keys.iter().map(|(pause, text)| (*pause, (*text).to_owned())).collect();
        let typist = thread::spawn(move || {
            for (pause, text) in keys {
                thread::sleep(Duration::from_millis(pause));
                master.write_all(text.as_bytes()).unwrap();
            }
            master
        });
        let stop = AtomicBool::new(false);
        let answer = thread::scope(|scope| {
            // A hanging dialog fails the test instead of stopping it.
            scope.spawn(|| {
                for _ in 0..250 {
                    thread::sleep(Duration::from_millis(20));
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                }
                stop.store(true, Ordering::Relaxed);
            });
            let answer = ask(slave, &stop);
            stop.store(true, Ordering::Relaxed);
            answer
        });
        drop(typist.join().unwrap());
        (answer, screen.join().unwrap())
    }

    const SOON: Duration = Duration::from_millis(50);

    #[test]
    fn yes_and_pin_approve_and_the_pin_is_never_shown() {
        let (answer, screen) = typed(summary(), SOON, &[(300, "y\n"), (100, "24x\x7f6813\n")]);
        assert!(matches!(answer, Answer::Approve(Credential::Pin(pin)) if pin.expose() == b"246813"));
        assert!(!screen.contains("6813") && !screen.contains("24x"), "{screen}");
        for shown in ["https://sign.example", "contract‹U+202E›.ofd", "44030000012345", "Tries left: 5", "SM3 "] {
            assert!(screen.contains(shown), "{shown} not in {screen}");
        }
    }

    /// Attack item 25.
    #[test]
    fn what_is_typed_in_the_first_moment_counts_for_nothing() {
        let (answer, _) = typed(summary(), Duration::from_millis(600), &[(100, "y\n246813\n"), (1000, "n\n")]);
        assert!(matches!(answer, Answer::Decline));
    }

    #[test]
    fn everything_but_yes_is_no() {
        for keys in ["\n", "n\n", "yes please\n", "\x03", "\x04", "\x1b", "y\n\x03", "y\n\n"] {
            let (answer, _) = typed(summary(), SOON, &[(300, keys)]);
            assert!(matches!(answer, Answer::Decline), "{keys:?}");
        }
    }

    /// Attack item 34.
    #[test]
    fn last_try_needs_its_own_word() {
        let mut last = summary();
        last.pin.tries_left = Some(1);
        let (answer, screen) = typed(last.clone(), SOON, &[(300, "y\n"), (50, "y\n")]);
        assert!(matches!(answer, Answer::Decline), "{screen}");
        let (answer, _) = typed(last, SOON, &[(300, "y\n"), (50, "LAST\n"), (50, "246813\n")]);
        assert!(matches!(answer, Answer::Approve(_)));
    }

    /// Attack items 22 and 25.
    #[test]
    fn pairing_shows_origin_and_code_and_takes_one_word_for_yes() {
        let shown = PairingShown {
            origin: crate::consent::Origin::parse("https://sign.example").unwrap(),
            code: "042317".into(),
            label: Some(super::super::summary::Shown::new("政务\u{202e}网")),
        };
        let typed = |delay, keys: &[(u64, &str)]| {
            let terminal = Terminal { language: Language::English, delay };
            with_typist(keys, |tty, stop| os::ask_pairing_on(tty, &terminal, &shown, stop))
        };
        let (answer, screen) = typed(SOON, &[(300, "once\n")]);
        assert_eq!(answer, PairingAnswer::Once);
        for part in ["https://sign.example", "042 317", "政务‹U+202E›网"] {
            assert!(screen.contains(part), "{part} not in {screen}");
        }
        assert_eq!(typed(SOON, &[(300, "always\n")]).0, PairingAnswer::Always);
        for no in ["\n", "y\n", "yes\n", "onc\n", "\x1b", "\x03"] {
            assert_eq!(typed(SOON, &[(300, no)]).0, PairingAnswer::Refused, "{no:?}");
        }
        let early = typed(Duration::from_millis(600), &[(100, "always\n"), (1000, "n\n")]);
        assert_eq!(early.0, PairingAnswer::Refused);
    }

    #[test]
    fn digest_only_says_that_the_content_was_not_seen() {
        let mut blind = summary();
        blind.items[0].document = super::super::summary::DocumentShown::DigestOnly {
            name: super::super::summary::Shown::new("x"),
            sm3: crate::sm::sm3(b""),
        };
        let (_, screen) = typed(blind, SOON, &[(300, "n\n")]);
        assert!(screen.contains("has not seen the document"), "{screen}");
    }

    fn change_typed(pin: ukey::PinStatus, keys: &[(u64, &str)]) -> (PinChangeAnswer, String) {
        let terminal = Terminal { language: Language::English, delay: Duration::ZERO };
        let shown = PinChangeShown { token: summary().token, pin, attempt: 1 };
        with_typist(keys, |tty, stop| os::ask_pin_change_on(tty, &terminal, &shown, stop))
    }

    #[test]
    fn a_new_pin_is_typed_twice_and_neither_is_shown() {
        let pin = ukey::PinStatus { tries_left: Some(5), ..Default::default() };
        let keys = [(200, "135790\r"), (100, "246824\r"), (100, "246825\r"), (100, "246824\r"), (100, "246824\r")];
        let (answer, screen) = change_typed(pin, &keys);
        let PinChangeAnswer::Approve(change) = answer else { panic!("{answer:?}: {screen}") };
        assert_eq!((change.old.expose(), change.new.expose()), (b"135790".as_slice(), b"246824".as_slice()));
        assert!(screen.find("Tries left: 5").unwrap() < screen.find("Old PIN").unwrap(), "said before it is asked: {screen}");
        assert!(screen.contains("differ") && !screen.contains("2468") && !screen.contains("1357"), "{screen}");
    }

    #[test]
    fn the_last_try_of_a_change_needs_its_own_word() {
        for pin in [
            ukey::PinStatus { tries_left: Some(1), ..Default::default() },
            ukey::PinStatus { last_try: true, ..Default::default() },
        ] {
            let (answer, screen) = change_typed(pin, &[(200, "135790\r"), (100, "246824\r"), (100, "246824\r")]);
            assert!(matches!(answer, PinChangeAnswer::Decline), "{answer:?}: {screen}");
            let (answer, screen) = change_typed(pin, &[(200, "LAST\r"), (100, "135790\r"), (100, "246824\r"), (100, "246824\r")]);
            assert!(matches!(answer, PinChangeAnswer::Approve(_)), "{answer:?}: {screen}");
        }
    }

    #[test]
    fn a_change_ends_with_escape_an_empty_line_or_too_many_slips() {
        let pin = ukey::PinStatus { tries_left: Some(5), ..Default::default() };
        let slips: Vec<(u64, &str)> = [(200, "135790\r")].into_iter().chain([(50, "1\r"); 2 * NEW_PIN_ROUNDS]).collect();
        for keys in [vec![(200, "\x1b")], vec![(200, "\r")], vec![(200, "135790\r"), (100, "\r")], slips] {
            let (answer, screen) = change_typed(pin, &keys);
            assert!(matches!(answer, PinChangeAnswer::Decline), "{answer:?}: {screen}");
            assert!(screen.contains("was not changed"), "{screen}");
        }
    }
}
