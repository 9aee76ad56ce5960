//! Checking the record.

use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::Serialize;

use super::record::{Head, Line, MAX_LINE_BYTES, Start};
use crate::sm::{Sm3Digest, sm3};

/// What is wrong with the record.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum Problem {
    /// The line does not carry the digest of the line before it: one of the two was edited, moved or replaced.
    ChainBroken,
    /// The line is older than the one before it.
    ClockWentBack,
    /// `head` cannot be read.
    HeadDamaged,
    /// `head` is gone.
    HeadMissing,
    /// Numbers are left out before this line.
    LinesMissing,
    /// It is no line of the record.
    NotALine,
    /// `head` counts more lines than there are, or another last one.
    TailCut,
    /// There are more lines than `head` counts.
    TailAdded,
}

/// A problem and where it is.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    /// What is wrong.
    pub problem: Problem,
    /// File name.
    pub file: String,
    /// Line in that file, from 1; 0 for the file as a whole.
    pub line: u64,
}

/// What a check found.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Verification {
    /// Lines read.
    pub lines: u64,
    /// Time of the first.
    pub first: Option<Timestamp>,
    /// Time of the last.
    pub last: Option<Timestamp>,
    /// What is wrong, in reading order.
    pub problems: Vec<Finding>,
}

/// The month files in order.
pub fn months(dir: &Path) -> io::Result<Vec<(String, PathBuf)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.extension().is_some_and(|e| e == "jsonl") {
            found.push((path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default(), path));
        }
    }
    found.sort();
    Ok(found)
}

/// Gives every line of a file that is one, in its order.
pub fn each_line(path: &Path, mut give: impl FnMut(Line)) -> io::Result<()> {
    let mut reader = BufReader::new(File::open(path)?);
    loop {
        let mut bytes = Vec::new();
        if reader.by_ref().take(MAX_LINE_BYTES as u64).read_until(b'\n', &mut bytes)? == 0 {
            return Ok(());
        }
        if let Ok(line) = serde_json::from_slice(&bytes) {
            give(line);
        }
    }
}

/// Number and digest of the last line of a file; `None` when it has none.
pub fn last_line(path: &Path) -> io::Result<Option<(u64, Sm3Digest)>> {
    let mut reader = BufReader::new(File::open(path)?);
    let mut last = None;
    loop {
        let mut bytes = Vec::new();
        if reader.by_ref().take(MAX_LINE_BYTES as u64).read_until(b'\n', &mut bytes)? == 0 {
            return Ok(last);
        }
        bytes.pop();
        if let Ok(line) = serde_json::from_slice::<Line>(&bytes) {
            last = Some((line.n, sm3(&bytes)));
        }
    }
}

/// Reads the whole record in `dir` and checks its chain. The error is of reading; what is wrong with the record is in the answer.
pub fn verify(dir: &Path) -> io::Result<Verification> {
    let mut found = Verification::default();
    let head = fs::read(dir.join("head")).map(|bytes| serde_json::from_slice::<Head>(&bytes).ok());
    let start = match &head {
        Ok(Some(head)) => head.start.clone(),
        _ => Start::default(),
    };
    let mut expected = (start.n, start.prev);
    let mut last_file = String::new();
    for (name, path) in months(dir)? {
        let mut reader = BufReader::new(File::open(path)?);
        let mut number = 0;
        last_file.clone_from(&name);
        loop {
            let mut bytes = Vec::new();
            if reader.by_ref().take(MAX_LINE_BYTES as u64).read_until(b'\n', &mut bytes)? == 0 {
                break;
            }
            number += 1;
            let mut report = |problem| found.problems.push(Finding { problem, file: name.clone(), line: number });
            let whole = bytes.pop() == Some(b'\n');
            let Some(line) = serde_json::from_slice::<Line>(&bytes).ok().filter(|_| whole) else {
                report(Problem::NotALine);
                continue;
            };
            // A file that is being removed: its lines are before the record's beginning.
            if line.n < start.n {
                continue;
            }
            // A missing line breaks the chain too, but "missing" says more; a moved one has a number that was passed already.
            if line.n > expected.0 {
                report(Problem::LinesMissing);
            } else if line.n < expected.0 || line.prev != expected.1 {
                report(Problem::ChainBroken);
            }
            if found.last.is_some_and(|last| line.at < last) {
                report(Problem::ClockWentBack);
            }
            expected = (line.n + 1, sm3(&bytes));
            found.first.get_or_insert(line.at);
            found.last = Some(line.at);
            found.lines += 1;
        }
    }
    let head = match head {
        Ok(head) => head.ok_or(Problem::HeadDamaged),
        Err(e) if e.kind() == io::ErrorKind::NotFound && found.lines == 0 => return Ok(found),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Err(Problem::HeadMissing),
        Err(e) => return Err(e),
    };
    match head {
        Err(problem) => found.problems.push(Finding { problem, file: "head".into(), line: 0 }),
        Ok(head) if (head.count, head.digest) == expected => {}
        Ok(head) => {
            let problem = if head.count < expected.0 { Problem::TailAdded } else { Problem::TailCut };
            found.problems.push(Finding { problem, file: last_file, line: 0 });
        }
    }
    Ok(found)
}
