//! One-time links to the agent's own pages, and where the agent listens: files of this user, which a command of the same user writes
//! and the running agent reads. No other user and no page can put one there.
//!
//! The link's token is the name of nothing: the file is named by its digest, so that a listing of the folder opens no page.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::path::PathBuf;

use jiff::{SignedDuration, Timestamp};
use sha2::{Digest as _, Sha256};

use crate::config::Places;
use crate::files::{make_private_dir, private_file};
use crate::pki::certificate::hex;

/// How long a link can be used: a browser that starts cold on a slow disk takes some twenty seconds.
const LIFE: SignedDuration = SignedDuration::from_secs(60);
/// A clock of the same machine may be corrected between making and using.
const SKEW: SignedDuration = SignedDuration::from_secs(5);
/// Most bytes of a link's file: a time.
const MAX_FILE_BYTES: u64 = 64;
/// Links that nobody used and that are swept at once; a person opens a page a few times a day.
const MAX_SWEPT: usize = 10_000;

/// Random bytes as hexadecimal digits: 128 bits twice over.
pub(super) fn random_token() -> io::Result<String> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    Ok(hex(&bytes))
}

/// The digest by which a token is kept; `None` for what is no token.
pub(super) fn digest_of(token: &str) -> Option<[u8; 32]> {
    let is_token = token.len() == 64 && token.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    is_token.then(|| Sha256::digest(token).into())
}

/// The folder of links that were made and not used yet.
#[derive(Clone, Debug)]
pub struct Links {
    dir: PathBuf,
}

impl Links {
    /// Those of an agent whose files are in `places`.
    pub fn new(places: &Places) -> Self {
        Self { dir: places.state.join("links") }
    }

    /// Makes a link's token. Removes links that nobody used in time. Blocks.
    pub fn create(&self, now: Timestamp) -> io::Result<String> {
        make_private_dir(&self.dir)?;
        self.sweep(now);
        let token = random_token()?;
        let path = digest_of(&token).map(|digest| self.path(&digest)).ok_or(io::ErrorKind::InvalidInput)?;
        let mut file = private_file().write(true).create_new(true).open(path)?;
        file.write_all(now.to_string().as_bytes())?;
        file.sync_all()?;
        Ok(token)
    }

    /// Uses a link up; whether it was one that may still be used. Of two who bring the same token one gets in. Blocks.
    pub fn redeem(&self, token: &str, now: Timestamp) -> bool {
        let Some(path) = digest_of(token).map(|digest| self.path(&digest)) else { return false };
        let made = made(&path);
        // Removing a file succeeds once, however many try.
        fs::remove_file(&path).is_ok() && made.is_some_and(|made| is_fresh(made, now))
    }

    fn sweep(&self, now: Timestamp) {
        let Ok(entries) = fs::read_dir(&self.dir) else { return };
        for path in entries.take(MAX_SWEPT).filter_map(|entry| Some(entry.ok()?.path())) {
            if made(&path).is_none_or(|made| !is_fresh(made, now)) {
                let _ = fs::remove_file(path);
            }
        }
    }

    fn path(&self, digest: &[u8; 32]) -> PathBuf {
        self.dir.join(hex(digest))
    }
}

fn is_fresh(made: Timestamp, now: Timestamp) -> bool {
    let age = now.duration_since(made);
    -SKEW <= age && age <= LIFE
}

fn made(path: &std::path::Path) -> Option<Timestamp> {
    let mut text = String::new();
    fs::File::open(path).ok()?.take(MAX_FILE_BYTES).read_to_string(&mut text).ok()?;
    text.parse().ok()
}

/// The file in which a running agent tells commands of the same user its port.
#[derive(Debug)]
pub struct PortFile {
    path: PathBuf,
    port: u16,
}

impl PortFile {
    /// Writes it. It is removed when the answer is dropped.
    pub fn write(places: &Places, port: u16) -> io::Result<Self> {
        make_private_dir(&places.state)?;
        let path = Self::path(places);
        let next = path.with_extension("next");
        private_file().write(true).create(true).truncate(true).open(&next)?.write_all(port.to_string().as_bytes())?;
        fs::rename(&next, &path)?;
        Ok(Self { path, port })
    }

    /// The port in it, whether or not somebody still listens there.
    pub fn read(places: &Places) -> Option<u16> {
        port_in(&Self::path(places))
    }

    fn path(places: &Places) -> PathBuf {
        places.state.join("port")
    }
}

impl Drop for PortFile {
    fn drop(&mut self) {
        // Another agent of this user may have written its own meanwhile.
        if port_in(&self.path) == Some(self.port) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn port_in(path: &std::path::Path) -> Option<u16> {
    let mut text = String::new();
    fs::File::open(path).ok()?.take(MAX_FILE_BYTES).read_to_string(&mut text).ok()?;
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn links() -> (tempfile::TempDir, Links) {
        let dir = tempfile::tempdir().unwrap();
        let links = Links { dir: dir.path().join("links") };
        (dir, links)
    }

    fn after(seconds: i64) -> Timestamp {
        NOW + SignedDuration::from_secs(seconds)
    }

    #[test]
    fn a_link_is_used_once() {
        let (_dir, links) = links();
        let token = links.create(NOW).unwrap();
        assert!(!links.redeem(&"0".repeat(64), NOW), "a guess");
        assert!(links.redeem(&token, after(1)));
        assert!(!links.redeem(&token, after(1)));
    }

    #[test]
    fn of_many_who_bring_the_same_link_one_gets_in() {
        let (_dir, links) = links();
        let token = links.create(NOW).unwrap();
        let let_in = std::thread::scope(|scope| {
            let all: Vec<_> = (0..8).map(|_| scope.spawn(|| links.redeem(&token, NOW))).collect();
            all.into_iter().map(|one| one.join().unwrap()).filter(|is_in| *is_in).count()
        });
        assert_eq!(let_in, 1);
    }

    #[test]
    fn a_link_ends_after_a_minute_and_is_swept_by_the_next() {
        let (_dir, links) = links();
        let (late, future) = (links.create(NOW).unwrap(), links.create(after(30)).unwrap());
        assert!(!links.redeem(&future, NOW), "made after it is used: the clock went back");
        assert!(!links.redeem(&late, after(61)));
        links.create(NOW).unwrap();
        links.create(after(100)).unwrap();
        assert_eq!(fs::read_dir(&links.dir).unwrap().count(), 1);
    }

    #[test]
    fn what_is_no_token_is_no_path() {
        let (dir, links) = links();
        fs::write(dir.path().join("victim"), NOW.to_string()).unwrap();
        for text in ["", "../victim", "..", "/etc/passwd", &"G".repeat(64), &"a".repeat(63)] {
            assert!(!links.redeem(text, NOW), "{text}");
        }
        assert!(dir.path().join("victim").exists());
    }

    #[cfg(unix)]
    #[test]
    fn only_this_user_reads_links_and_their_names_open_nothing() {
        use std::os::unix::fs::PermissionsExt as _;
        let (_dir, links) = links();
        let token = links.create(NOW).unwrap();
        let file = fs::read_dir(&links.dir).unwrap().next().unwrap().unwrap();
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(&links.dir).unwrap().permissions().mode() & 0o777, 0o700);
        let name = file.file_name().into_string().unwrap();
        assert!(!name.contains(&token) && !fs::read_to_string(file.path()).unwrap().contains(&token));
        assert!(!links.redeem(&name, NOW));
    }

    #[test]
    fn the_port_is_told_while_the_agent_runs() {
        let dir = tempfile::tempdir().unwrap();
        let places = Places { data: dir.path().into(), state: dir.path().join("state") };
        assert_eq!(PortFile::read(&places), None);
        let file = PortFile::write(&places, 17329).unwrap();
        assert_eq!(PortFile::read(&places), Some(17329));
        let other = PortFile::write(&places, 17330).unwrap();
        drop(file);
        assert_eq!(PortFile::read(&places), Some(17330), "the one that ends takes its own away alone");
        drop(other);
        assert_eq!(PortFile::read(&places), None);
    }
}
