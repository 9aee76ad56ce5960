//! The program's log: standard error and, for an agent that runs, a file of the user's state folder that cannot grow without end.
//!
//! What is logged holds no PIN and no content of documents. The file is there for `sealagent diagnostics`, which leaves out more.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::files::{make_private_dir, private_file};

/// Largest file, in bytes; one more is kept beside it. Some thousand lines: days of an agent that has something to complain about.
const MAX_BYTES: u64 = 1 << 20;
const NOW: &str = "agent.log";
const BEFORE: &str = "agent.log.1";

static KEPT: Mutex<Option<Kept>> = Mutex::new(None);

struct Kept {
    dir: PathBuf,
    file: File,
    length: u64,
}

/// From now on, lines are kept in this folder, too. Blocks.
pub fn keep(dir: &Path) -> io::Result<()> {
    make_private_dir(dir)?;
    let kept = Kept::open(dir.to_owned())?;
    *lock() = Some(kept);
    Ok(())
}

/// The last lines that were kept in a folder, oldest first: at most so many bytes. Blocks.
pub fn last(dir: &Path, bytes: usize) -> String {
    let read = |name| fs::read(dir.join(name)).unwrap_or_default();
    let all = [read(BEFORE), read(NOW)].concat();
    let tail = &all[all.len().saturating_sub(bytes)..];
    // The first line may be cut.
    let whole =
        if tail.len() < all.len() { tail.iter().position(|b| *b == b'\n').map_or(&[][..], |end| &tail[end + 1..]) } else { tail };
    String::from_utf8_lossy(whole).into_owned()
}

/// Where lines go.
#[derive(Clone, Copy, Debug)]
pub struct Log;

impl Write for Log {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if let Some(kept) = lock().as_mut() {
            // A full disk must not stop what is logged about.
            let _ = kept.add(line);
        }
        io::stderr().write_all(line)?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

impl Kept {
    fn open(dir: PathBuf) -> io::Result<Self> {
        let file = private_file().append(true).create(true).open(dir.join(NOW))?;
        let length = file.metadata()?.len();
        Ok(Self { dir, file, length })
    }

    fn add(&mut self, line: &[u8]) -> io::Result<()> {
        if self.length + line.len() as u64 > MAX_BYTES {
            fs::rename(self.dir.join(NOW), self.dir.join(BEFORE))?;
            *self = Self::open(self.dir.clone())?;
        }
        self.file.write_all(line)?;
        self.length += line.len() as u64;
        Ok(())
    }
}

fn lock() -> MutexGuard<'static, Option<Kept>> {
    KEPT.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_files_hold_the_last_lines_and_no_more() {
        let dir = tempfile::tempdir().unwrap();
        let mut kept = Kept::open(dir.path().to_owned()).unwrap();
        let line = format!("{}\n", "x".repeat(1023));
        for _ in 0..3000 {
            kept.add(line.as_bytes()).unwrap();
        }
        kept.add(b"last\n").unwrap();
        let sizes: u64 = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len()).sum();
        assert!(sizes <= 2 * MAX_BYTES, "{sizes}");
        assert_eq!(last(dir.path(), 1500), format!("{line}last\n"));
        assert_eq!(last(dir.path(), 10), "last\n");
    }
}
