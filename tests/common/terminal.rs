//! A program at a terminal that `script` (util-linux) makes: questions are read off the screen, answers are typed.

use std::io::{Read as _, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::termios::{LocalModes, tcgetattr};

/// A running program, and what its terminal shows.
pub struct Terminal {
    child: Child,
    keyboard: ChildStdin,
    screen: ChildStdout,
    shown: String,
}

impl Terminal {
    /// Starts `words` with whatever else `prepare` gives to the process.
    pub fn start<'a>(words: impl IntoIterator<Item = &'a str>, prepare: impl FnOnce(&mut Command)) -> Self {
        let line: Vec<String> = words.into_iter().map(|word| format!("'{word}'")).collect();
        let mut command = Command::new("script");
        command.args(["--quiet", "--return", "--flush", "--command", &line.join(" "), "/dev/null"]).env("LC_ALL", "C.UTF-8");
        prepare(&mut command);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (keyboard, screen) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Self { child, keyboard, screen, shown: String::new() }
    }

    /// Types a secret once its question stands on the screen and the terminal no longer shows what is typed.
    pub fn answer(&mut self, question: &str, secret: &str) {
        let mut bytes = [0; 1024];
        while !self.shown.contains(question) {
            let count = self.screen.read(&mut bytes).unwrap();
            assert!(count > 0, "{question} does not come: {}", self.shown);
            self.shown += &String::from_utf8_lossy(&bytes[..count]);
        }
        let end = Instant::now() + Duration::from_secs(60);
        while self.shows_what_is_typed() {
            assert!(Instant::now() < end, "what is typed to {question} would be shown");
            std::thread::sleep(Duration::from_millis(5));
        }
        self.keyboard.write_all(format!("{secret}\n").as_bytes()).unwrap();
    }

    fn shows_what_is_typed(&self) -> bool {
        let script = self.child.id();
        let started = std::fs::read_to_string(format!("/proc/{script}/task/{script}/children")).unwrap();
        let program = started.split_whitespace().next().expect("`script` has started it");
        let terminal = std::fs::File::open(format!("/proc/{program}/fd/0")).unwrap();
        tcgetattr(terminal).unwrap().local_modes.contains(LocalModes::ECHO)
    }

    /// Whether the program ended well, and all that was shown.
    pub fn end(mut self) -> (bool, String) {
        let mut rest = Vec::new();
        self.screen.read_to_end(&mut rest).unwrap();
        self.shown += &String::from_utf8_lossy(&rest);
        drop(self.keyboard);
        (self.child.wait().unwrap().success(), self.shown)
    }
}
