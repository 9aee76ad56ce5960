//! The person, played: sits before the agent's own prompt on a pseudo-terminal, reads what it shows, refuses when it does not show
//! what they look for, and types the PIN.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use zeroize::Zeroizing;

use super::{DemoError, at};
use crate::consent::text::text as prompt_text;
use crate::failure::Language;

/// How long the person waits for a prompt.
const PROMPT_SECONDS: u64 = 60;
/// Most that the terminal may show, in bytes: a prompt has some two thousand.
const MAX_SCREEN_BYTES: usize = 1 << 20;
const TERMINAL: Winsize = Winsize { ws_row: 50, ws_col: 120, ws_xpixel: 0, ws_ypixel: 0 };

/// The person's end of the terminal.
pub struct Terminal {
    master: File,
}

impl Terminal {
    /// A new pseudo-terminal: the person's end, and the device that becomes the agent's terminal.
    pub fn open() -> Result<(Self, OwnedFd), DemoError> {
        let path = Path::new("/dev/ptmx");
        let made = || -> io::Result<(File, OwnedFd)> {
            let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
            grantpt(&master)?;
            unlockpt(&master)?;
            tcsetwinsize(&master, TERMINAL)?;
            let name = ptsname(&master, Vec::new())?.into_string().map_err(io::Error::other)?;
            let flags = rustix::fs::OFlags::RDWR | rustix::fs::OFlags::NOCTTY | rustix::fs::OFlags::CLOEXEC;
            let device = rustix::fs::open(name, flags, rustix::fs::Mode::empty())?;
            Ok((File::from(master), device))
        };
        let (master, device) = made().map_err(at(path))?;
        Ok((Self { master }, device))
    }

    /// Waits for the prompt; answers yes and types the PIN when it shows everything `expected`, else no. Gives what the prompt showed.
    ///
    /// The terminal must stay open while the agent is wanted: closing it hangs up, which ends the agent.
    pub fn answer(&mut self, expected: &[String], pin: &str, language: Language) -> Result<String, DemoError> {
        let summary = self.read_until(prompt_text("approve", language))?;
        let summary = summary.replace('\r', "").trim_matches('\n').to_owned();
        if let Some(missing) = expected.iter().find(|text| !summary.contains(text.as_str())) {
            self.type_line("n")?;
            return Err(DemoError::NotShown(missing.clone()));
        }
        self.type_line("y")?;
        self.read_until(prompt_text("pin", language))?;
        self.type_line(pin)?;
        Ok(summary)
    }

    fn type_line(&mut self, text: &str) -> Result<(), DemoError> {
        let line = Zeroizing::new(format!("{text}\n"));
        self.master.write_all(line.as_bytes()).map_err(at(Path::new("/dev/ptmx")))
    }

    /// What the terminal shows up to and without `question`.
    fn read_until(&mut self, question: &str) -> Result<String, DemoError> {
        let end = Instant::now() + Duration::from_secs(PROMPT_SECONDS);
        let mut shown = Vec::new();
        while Instant::now() < end && shown.len() < MAX_SCREEN_BYTES {
            let mut ready = [PollFd::new(&self.master, PollFlags::IN)];
            if poll(&mut ready, Some(&Timespec { tv_sec: 0, tv_nsec: 100_000_000 })).unwrap_or(0) == 0 {
                continue;
            }
            let mut bytes = [0; 4096];
            let Ok(count @ 1..) = self.master.read(&mut bytes) else { break };
            shown.extend_from_slice(&bytes[..count]);
            let text = String::from_utf8_lossy(&shown);
            if let Some(at) = text.find(question) {
                return Ok(text[..at].to_owned());
            }
        }
        Err(DemoError::NoPrompt(PROMPT_SECONDS))
    }
}

/// Makes the terminal on standard input this process's own, then becomes `sealagent run`. Returns only to say why not.
pub fn become_agent(config: &Path) -> io::Error {
    let prepared = || -> io::Result<std::path::PathBuf> {
        rustix::process::setsid()?;
        rustix::process::ioctl_tiocsctty(io::stdin())?;
        std::env::current_exe()
    };
    match prepared() {
        Ok(program) => std::process::Command::new(program).arg("run").arg("--config").arg(config).exec(),
        Err(error) => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Plays the agent's side on the device: shows `screen`, gives back what was typed up to `lines` line ends.
    fn agent(device: OwnedFd, screen: Vec<(String, bool)>) -> std::thread::JoinHandle<String> {
        std::thread::spawn(move || {
            let mut device = File::from(device);
            let mut typed = String::new();
            for (text, waits) in screen {
                device.write_all(text.as_bytes()).unwrap();
                while waits && !typed.ends_with('\n') {
                    let mut byte = [0; 64];
                    let count = device.read(&mut byte).unwrap();
                    typed.push_str(std::str::from_utf8(&byte[..count]).unwrap());
                }
                if waits {
                    typed.push('|');
                }
            }
            typed
        })
    }

    #[test]
    fn person_approves_what_they_look_for_and_types_the_pin() {
        let (mut terminal, device) = Terminal::open().unwrap();
        let t = |key| prompt_text(key, Language::English).to_owned();
        let screen = vec![("\nhttp://127.0.0.1:1 \n44\n".to_owned(), false), (t("approve"), true), (t("pin"), true)];
        let agent = agent(device, screen);
        let shown = terminal.answer(&["http://127.0.0.1:1".to_owned()], "123456", Language::English).unwrap();
        assert_eq!(shown, "http://127.0.0.1:1 \n44");
        assert_eq!(agent.join().unwrap(), "y\n|123456\n|");
    }

    #[test]
    fn person_declines_when_the_origin_is_not_shown() {
        let (mut terminal, device) = Terminal::open().unwrap();
        let screen = vec![("http://evil\n".to_owned(), false), (prompt_text("approve", Language::English).to_owned(), true)];
        let agent = agent(device, screen);
        let answered = terminal.answer(&["http://127.0.0.1:1".to_owned()], "123456", Language::English);
        assert!(matches!(answered, Err(DemoError::NotShown(what)) if what == "http://127.0.0.1:1"));
        assert_eq!(agent.join().unwrap(), "n\n|");
    }
}
