//! The record: who asked to have what sealed with which seal, and what came of it. One JSON object a line, each with the SM3 of the
//! line before it; one file a month; `head` holds count and digest of the last line, so that a cut tail shows.
//!
//! A line is on the disk before the answer that it is about is given (I9). It never holds a PIN or content. A program of the same
//! user can rewrite all of it, `head` included; what the chain shows is damage and careless editing.

mod chain;
mod record;

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use crate::files::{make_private_dir, private_file};
use crate::sm::{Sm3Digest, sm3};

pub use chain::{Problem, Verification, verify};
pub use record::{Event, ItemRecord, Kind, Line, Matter};

use record::Head;

/// Why nothing could be recorded. Whoever gets this must not sign.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuditError {
    /// The disk is full.
    #[error("no room for the record in {}", .0.display())]
    Full(PathBuf),
    /// Reading or writing failed.
    #[error("the record in {} cannot be written: {source}", .dir.display())]
    Io {
        /// The folder of the record.
        dir: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// The record of this user. Cheap to clone; every write locks the folder, so that agent and command line write side by side.
#[derive(Clone, Debug)]
pub struct Audit {
    dir: PathBuf,
}

impl Audit {
    /// The record in `dir`, which is made if it is not there.
    pub fn open(dir: &Path) -> Result<Self, AuditError> {
        let audit = Self { dir: dir.to_owned() };
        make_private_dir(dir).map_err(|e| audit.error(e))?;
        Ok(audit)
    }

    /// Where it is.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Adds a line and returns once it is on the disk. When this fails, no part of the line stays behind. Blocks.
    pub fn append(&self, at: Timestamp, event: &Event) -> Result<(), AuditError> {
        self.append_line(at, event).map_err(|e| self.error(e))
    }

    fn append_line(&self, at: Timestamp, event: &Event) -> io::Result<()> {
        let _lock = self.lock()?;
        let mut head = self.recovered_head()?;
        // A clock that was set back must not reopen an older file: `verify` reports it by the times of the lines.
        let month = at.strftime("%Y-%m").to_string().max(head.month.clone());
        if month != head.month {
            (head.month, head.length) = (month, 0);
        }
        let mut line = serde_json::to_vec(&Line { n: head.count, at, prev: head.digest, event: event.clone() })?;
        line.push(b'\n');

        let mut file = private_file().append(true).create(true).open(self.month(&head.month))?;
        let before = file.metadata()?.len();
        let written = file.write_all(&line).and_then(|()| file.sync_data()).and_then(|()| {
            let digest = sm3(&line[..line.len() - 1]);
            self.write_head(&Head { count: head.count + 1, digest, length: before + line.len() as u64, ..head })
        });
        if written.is_err() {
            file.set_len(before)?;
            file.sync_data()?;
        }
        written
    }

    /// The head, brought up to date with a line that reached the disk while its head did not, or freed of a torn line: neither was
    /// ever answered for.
    fn recovered_head(&self) -> io::Result<Head> {
        let mut head = match fs::read(self.dir.join("head")) {
            Ok(bytes) => serde_json::from_slice::<Head>(&bytes).map_err(|_| io::Error::other("its head file is damaged"))?,
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                if chain::months(&self.dir)?.is_empty() {
                    return Ok(Head::default());
                }
                return Err(io::Error::other("its head file is missing"));
            }
            Err(e) => return Err(e),
        };
        let path = self.month(&head.month);
        let Ok(mut file) = File::options().read(true).write(true).open(&path) else { return Ok(head) };
        let length = file.metadata()?.len();
        if length <= head.length {
            return Ok(head);
        }
        let mut tail = Vec::new();
        file.seek(SeekFrom::Start(head.length))?;
        (&file).take(record::MAX_LINE_BYTES as u64 + 1).read_to_end(&mut tail)?;
        match tail.iter().position(|b| *b == b'\n') {
            None if tail.len() <= record::MAX_LINE_BYTES => {
                file.set_len(head.length)?;
                file.sync_data()?;
            }
            Some(end) if end + 1 == tail.len() => {
                let follows =
                    serde_json::from_slice::<Line>(&tail[..end]).is_ok_and(|l| l.n == head.count && l.prev == head.digest);
                if follows {
                    head = Head { count: head.count + 1, digest: sm3(&tail[..end]), length, ..head };
                    self.write_head(&head)?;
                }
            }
            // Somebody else's lines. They stay, and `verify` reports them.
            _ => {}
        }
        Ok(head)
    }

    fn write_head(&self, head: &Head) -> io::Result<()> {
        let (next, path) = (self.dir.join("head.next"), self.dir.join("head"));
        let mut file = private_file().write(true).create(true).truncate(true).open(&next)?;
        file.write_all(&serde_json::to_vec(head)?)?;
        file.sync_all()?;
        fs::rename(&next, &path)?;
        #[cfg(unix)]
        File::open(&self.dir)?.sync_all()?;
        Ok(())
    }

    fn lock(&self) -> io::Result<File> {
        let file = private_file().write(true).create(true).truncate(false).open(self.dir.join("lock"))?;
        file.lock()?;
        Ok(file)
    }

    fn month(&self, month: &str) -> PathBuf {
        self.dir.join(format!("{month}.jsonl"))
    }

    fn error(&self, source: io::Error) -> AuditError {
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
                AuditError::Full(self.dir.clone())
            }
            _ => AuditError::Io { dir: self.dir.clone(), source },
        }
    }

    /// Removes the files of months that ended more than `keep_days` before `now`; the head keeps where the record now begins, so
    /// that `verify` tells this from a removed file. Returns how many files went. Blocks.
    pub fn prune(&self, now: Timestamp, keep_days: u32) -> Result<usize, AuditError> {
        self.prune_months(now, keep_days).map_err(|e| self.error(e))
    }

    fn prune_months(&self, now: Timestamp, keep_days: u32) -> io::Result<usize> {
        let keep = jiff::SignedDuration::from_hours(24 * i64::from(keep_days));
        let Ok(oldest) = now.saturating_sub(keep) else { return Ok(0) };
        let oldest = oldest.strftime("%Y-%m.jsonl").to_string();
        let _lock = self.lock()?;
        let mut head = self.recovered_head()?;
        let mut removed = 0;
        for (name, path) in chain::months(&self.dir)? {
            // Names of months sort as time does.
            if name >= oldest || name == format!("{}.jsonl", head.month) {
                break;
            }
            if let Some((n, digest)) = chain::last_line(&path)? {
                head.start = record::Start { n: n + 1, prev: digest };
                self.write_head(&head)?;
            }
            fs::remove_file(&path)?;
            removed += 1;
        }
        Ok(removed)
    }

    /// The newest lines before number `before` that `fits` takes, newest first, at most `count` of them. What is no line is left out
    /// here; [`verify`] reports it. Blocks.
    pub fn newest(&self, before: Option<u64>, count: usize, fits: impl Fn(&Line) -> bool) -> io::Result<Vec<Line>> {
        let mut found = Vec::new();
        for (_, path) in chain::months(&self.dir)?.into_iter().rev() {
            let mut last = VecDeque::new();
            chain::each_line(&path, |line| {
                if before.is_none_or(|before| line.n < before) && fits(&line) {
                    last.push_back(line);
                    if last.len() > count - found.len() {
                        last.pop_front();
                    }
                }
            })?;
            found.extend(last.into_iter().rev());
            if found.len() >= count {
                break;
            }
        }
        Ok(found)
    }

    /// Writes all lines of all months, as they stand, to `out`.
    pub fn export(&self, out: &mut impl io::Write) -> io::Result<()> {
        let _lock = self.lock()?;
        for (_, path) in chain::months(&self.dir)? {
            io::copy(&mut File::open(path)?, out)?;
        }
        Ok(())
    }
}

/// Digest that the very first line carries.
fn genesis() -> Sm3Digest {
    Sm3Digest([0; 32])
}

#[cfg(test)]
mod tests {
    use super::record::tests::event;
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_795_000_000 + second).unwrap()
    }

    fn filled(lines: i64) -> (tempfile::TempDir, Audit, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let audit = Audit::open(&dir.path().join("audit")).unwrap();
        for n in 0..lines {
            audit.append(at(n), &event(Kind::Accepted)).unwrap();
        }
        let file = chain::months(audit.dir()).unwrap().pop().unwrap().1;
        (dir, audit, file)
    }

    fn problems(audit: &Audit) -> Vec<Problem> {
        verify(audit.dir()).unwrap().problems.into_iter().map(|f| f.problem).collect()
    }

    #[test]
    fn untouched_record_has_no_problem() {
        let (_dir, audit, _) = filled(5);
        let found = verify(audit.dir()).unwrap();
        assert_eq!((found.lines, found.problems.len()), (5, 0));
    }

    /// Attack item 66.
    #[test]
    fn edited_cut_and_reordered_lines_and_a_clock_set_back_are_reported() {
        let (_dir, audit, file) = filled(5);
        let text = fs::read_to_string(&file).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        let join = |lines: &[&str]| lines.iter().map(|l| format!("{l}\n")).collect::<String>();

        fs::write(&file, text.replacen("contract", "Contract", 1)).unwrap();
        assert_eq!(problems(&audit), [Problem::ChainBroken], "edited");
        fs::write(&file, join(&lines[..4])).unwrap();
        assert_eq!(problems(&audit), [Problem::TailCut], "cut at the end");
        fs::write(&file, join(&lines[1..])).unwrap();
        assert!(problems(&audit).contains(&Problem::LinesMissing), "cut at the start");
        fs::write(&file, join(&[lines[0], lines[2], lines[1], lines[3], lines[4]])).unwrap();
        assert!(problems(&audit).contains(&Problem::ChainBroken), "reordered");
        fs::write(&file, join(&[&lines[..2], &lines[3..]].concat())).unwrap();
        assert!(problems(&audit).contains(&Problem::LinesMissing), "cut in the middle");
        fs::write(&file, &text).unwrap();
        assert_eq!(problems(&audit), [], "put back");

        audit.append(at(-1000), &event(Kind::Signed)).unwrap();
        assert_eq!(problems(&audit), [Problem::ClockWentBack]);
        fs::remove_file(audit.dir().join("head")).unwrap();
        assert!(problems(&audit).contains(&Problem::HeadMissing));
        assert!(audit.append(at(9), &event(Kind::Signed)).is_err(), "a record without its head is not continued");
    }

    #[test]
    fn torn_line_of_a_crash_is_removed_and_a_whole_one_is_taken_in() {
        let (_dir, audit, file) = filled(2);
        let head = fs::read(audit.dir().join("head")).unwrap();
        audit.append(at(2), &event(Kind::Signed)).unwrap();
        fs::write(audit.dir().join("head"), &head).unwrap(); // the head of the third line never reached the disk
        audit.append(at(3), &event(Kind::Signed)).unwrap();
        let found = verify(audit.dir()).unwrap();
        assert_eq!((found.lines, found.problems.len()), (4, 0));

        fs::OpenOptions::new().append(true).open(&file).unwrap().write_all(b"{\"n\":4,\"at\":").unwrap();
        assert_eq!(problems(&audit), [Problem::NotALine]);
        audit.append(at(4), &event(Kind::Signed)).unwrap();
        let found = verify(audit.dir()).unwrap();
        assert_eq!((found.lines, found.problems.len()), (5, 0));
    }

    #[test]
    fn months_are_files_and_the_chain_runs_through() {
        let (_dir, audit, _) = filled(2);
        audit.append(at(40 * 86_400), &event(Kind::Signed)).unwrap();
        audit.append(at(41 * 86_400), &event(Kind::Signed)).unwrap();
        assert_eq!(chain::months(audit.dir()).unwrap().len(), 2);
        assert_eq!(problems(&audit), []);
        let mut out = Vec::new();
        audit.export(&mut out).unwrap();
        assert_eq!(out.split(|b| *b == b'\n').count(), 5);
    }

    #[test]
    fn old_months_are_removed_and_the_rest_is_still_a_whole_record() {
        let (_dir, audit, _) = filled(2);
        for month in 1..6 {
            audit.append(at(31 * 86_400 * month), &event(Kind::Signed)).unwrap();
        }
        let now = at(31 * 86_400 * 5);
        assert_eq!(audit.prune(now, 3650).unwrap(), 0);
        assert_eq!(audit.prune(now, 70).unwrap(), 3);
        let found = verify(audit.dir()).unwrap();
        assert_eq!((found.lines, found.problems.len()), (3, 0));
        audit.append(now, &event(Kind::Signed)).unwrap();
        assert_eq!(problems(&audit), []);
        fs::remove_file(&chain::months(audit.dir()).unwrap()[0].1).unwrap();
        assert!(problems(&audit).contains(&Problem::LinesMissing), "a file that was not pruned");
        assert_eq!(audit.prune(now, 0).unwrap(), 1, "the current month always stays");
    }

    #[test]
    fn newest_lines_come_first_and_go_on_where_the_last_page_ended() {
        let (_dir, audit, file) = filled(3);
        audit.append(at(40 * 86_400), &event(Kind::Signed)).unwrap();
        let numbers = |before, count, fits: &dyn Fn(&Line) -> bool| -> Vec<u64> {
            audit.newest(before, count, fits).unwrap().iter().map(|line| line.n).collect()
        };
        assert_eq!(numbers(None, 2, &|_| true), [3, 2]);
        assert_eq!(numbers(Some(2), 5, &|_| true), [1, 0]);
        assert_eq!(numbers(None, 5, &|line| line.event.event == Kind::Accepted), [2, 1, 0]);
        fs::write(&file, [b"no line\n".as_slice(), &fs::read(&file).unwrap()].concat()).unwrap();
        assert_eq!(numbers(None, 9, &|_| true), [3, 2, 1, 0], "what is no line hides no other");
    }

    #[test]
    fn many_writers_leave_one_chain() {
        let (_dir, audit, _) = filled(1);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..10).for_each(|_| audit.append(at(1), &event(Kind::Signed)).unwrap()));
            }
        });
        let found = verify(audit.dir()).unwrap();
        assert_eq!((found.lines, found.problems.len()), (41, 0));
    }

    /// Attack items 9 and 36.
    #[test]
    fn line_ends_in_names_stay_inside_their_line() {
        let (_dir, audit, file) = filled(1);
        let mut forged = event(Kind::Signed);
        forged.items[0].name = crate::consent::summary::Shown::new("a\n{\"n\":0}\r\u{202e}");
        audit.append(at(1), &forged).unwrap();
        assert_eq!(fs::read_to_string(file).unwrap().lines().count(), 2);
    }

    #[cfg(unix)]
    #[test]
    fn files_are_for_this_user_only() {
        use std::os::unix::fs::PermissionsExt as _;
        let (_dir, audit, file) = filled(1);
        assert_eq!(fs::metadata(audit.dir()).unwrap().permissions().mode() & 0o777, 0o700);
        for path in [file, audit.dir().join("head"), audit.dir().join("lock")] {
            assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }
}
