//! Who may talk to the agent because the person said so: one file for each pairing, readable by this user alone.
//!
//! The files are the truth: each request reads them anew, so a grant that is revoked by a command ends at once in the agent that runs.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::Origin;
use super::summary::Shown;
use crate::files::{make_private_dir, private_file};
use crate::pki::certificate::hex;

/// Bytes of a key: as many as SHA-256 gives.
pub const KEY_BYTES: usize = 32;
/// Largest file, in bytes: origin and label have limits, the rest is fixed.
const MAX_FILE_BYTES: u64 = 8 << 10;
/// Most grants that are listed; each cost a person's "yes".
const MAX_GRANTS: usize = 10_000;
/// How long "once" lasts at most: a working day. It ends with the agent's run before that.
const ONCE: SignedDuration = SignedDuration::from_hours(8);

/// The key of one pairing. Wiped when dropped, never printed.
#[derive(Clone, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Key(Zeroizing<[u8; KEY_BYTES]>);

impl Key {
    /// A new one. Fails only when the system has no randomness to give.
    pub fn random() -> io::Result<Self> {
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        getrandom::fill(&mut *key).map_err(io::Error::other)?;
        Ok(Self(key))
    }

    /// Its bytes.
    pub fn expose(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }

    /// Its text, base64url: for its file and, once, for the page.
    pub fn to_text(&self) -> Zeroizing<String> {
        Zeroizing::new(URL_SAFE_NO_PAD.encode(*self.0))
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(..)")
    }
}

impl TryFrom<String> for Key {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        let text = Zeroizing::new(text);
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        match URL_SAFE_NO_PAD.decode_slice(text.as_bytes(), &mut *key) {
            Ok(KEY_BYTES) => Ok(Self(key)),
            _ => Err("a key has 32 bytes in base64url"),
        }
    }
}

impl From<Key> for String {
    fn from(key: Key) -> Self {
        URL_SAFE_NO_PAD.encode(*key.0)
    }
}

/// One pairing that the person granted.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Grant {
    /// Names it in credentials: 128 random bits, 32 hexadecimal digits.
    pub id: String,
    /// Whom it allows.
    pub origin: Origin,
    /// What the page called itself.
    pub label: Option<Shown>,
    /// When the person said yes.
    pub paired: Timestamp,
    /// Proves requests and the agent.
    pub key: Key,
    /// Set when it was granted "once".
    pub once: Option<Once>,
}

/// Until when a grant "once" lasts.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Once {
    /// The run of the agent in which it was granted.
    run: String,
    /// The end in any case.
    until: Timestamp,
}

impl Once {
    /// From `now`, in this run of the agent.
    pub fn from(now: Timestamp, run: &str) -> Self {
        Self { run: run.to_owned(), until: now.saturating_add(ONCE).unwrap_or(now) }
    }
}

impl Grant {
    fn counts(&self, now: Timestamp, run: Option<&str>) -> bool {
        self.once.as_ref().is_none_or(|once| now < once.until && run.is_none_or(|run| run == once.run))
    }
}

/// The folder of grants.
#[derive(Clone, Debug)]
pub struct Grants {
    dir: PathBuf,
}

impl Grants {
    /// The grants in `dir`, which is made with the first.
    pub fn new(dir: PathBuf) -> Self {
        Self { dir }
    }

    /// Whether an origin has any grant. Looks at names alone, since every stranger's request comes by here.
    pub fn knows(&self, origin: &Origin) -> bool {
        let prefix = prefix(origin);
        self.names().is_ok_and(|names| names.iter().any(|name| name.starts_with(&prefix)))
    }

    /// The grant of that id, if it is this origin's and counts now.
    pub fn find(&self, id: &str, origin: &Origin, now: Timestamp, run: &str) -> Option<Grant> {
        // What is not an id must not become a path.
        if id.len() != 32 || !id.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            return None;
        }
        let grant = read(&self.dir.join(format!("{}{id}.json", prefix(origin)))).ok()?;
        (grant.id == id && grant.origin == *origin && grant.counts(now, Some(run))).then_some(grant)
    }

    /// Puts a grant on the disk. Blocks.
    pub fn add(&self, grant: &Grant) -> io::Result<()> {
        make_private_dir(&self.dir)?;
        let text = Zeroizing::new(serde_json::to_vec(grant)?);
        let path = self.path(grant);
        let mut file = private_file().write(true).create_new(true).open(&path)?;
        let written = file.write_all(&text).and_then(|()| file.sync_all());
        if written.is_err() {
            let _ = fs::remove_file(&path);
        }
        written
    }

    /// All that count, oldest first. Files that are none are left out.
    pub fn list(&self, now: Timestamp) -> io::Result<Vec<Grant>> {
        let mut grants: Vec<Grant> = self.names()?.iter().filter_map(|name| read(&self.dir.join(name)).ok()).collect();
        grants.retain(|grant| grant.counts(now, None));
        grants.sort_by(|a, b| (a.paired, &a.id).cmp(&(b.paired, &b.id)));
        Ok(grants)
    }

    /// Ends all grants of an origin; returns how many there were.
    pub fn revoke(&self, origin: &Origin) -> io::Result<usize> {
        let prefix = prefix(origin);
        let mut count = 0;
        for name in self.names()?.iter().filter(|name| name.starts_with(&prefix)) {
            fs::remove_file(self.dir.join(name))?;
            count += 1;
        }
        Ok(count)
    }

    /// Removes what was granted "once" in earlier runs.
    pub fn sweep(&self, now: Timestamp, run: &str) {
        for name in self.names().unwrap_or_default() {
            let path = self.dir.join(name);
            if read(&path).is_ok_and(|grant| !grant.counts(now, Some(run)))
                && let Err(error) = fs::remove_file(&path)
            {
                tracing::warn!(%error, "a grant that has ended cannot be removed");
            }
        }
    }

    fn path(&self, grant: &Grant) -> PathBuf {
        self.dir.join(format!("{}{}.json", prefix(&grant.origin), grant.id))
    }

    fn names(&self) -> io::Result<Vec<String>> {
        let entries = match fs::read_dir(&self.dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut names = Vec::new();
        for entry in entries.take(MAX_GRANTS) {
            if let Ok(name) = entry?.file_name().into_string()
                && name.ends_with(".json")
            {
                names.push(name);
            }
        }
        Ok(names)
    }
}

/// What the names of an origin's files begin with: an origin is no file name, and its digest is.
fn prefix(origin: &Origin) -> String {
    let digest = Sha256::digest(origin.as_str());
    format!("{}-", hex(&digest[..16]))
}

fn read(path: &Path) -> io::Result<Grant> {
    let mut text = Zeroizing::new(Vec::new());
    fs::File::open(path)?.take(MAX_FILE_BYTES).read_to_end(&mut text)?;
    Ok(serde_json::from_slice(&text)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(origin: &str, id: char) -> Grant {
        Grant {
            id: String::from(id).repeat(32),
            origin: Origin::parse(origin).unwrap(),
            label: Some(Shown::new("政务")),
            paired: Timestamp::UNIX_EPOCH,
            key: Key::random().unwrap(),
            once: None,
        }
    }

    fn folder() -> (tempfile::TempDir, Grants) {
        let dir = tempfile::tempdir().unwrap();
        let grants = Grants::new(dir.path().join("pairings"));
        (dir, grants)
    }

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    /// Attack item 22.
    #[test]
    fn a_grant_is_its_origins_alone() {
        let (_dir, grants) = folder();
        let (a, b) = (grant("https://a.example", 'a'), grant("https://b.example", 'b'));
        grants.add(&a).unwrap();
        grants.add(&b).unwrap();
        assert_eq!(grants.find(&a.id, &a.origin, NOW, "r").unwrap().key.expose(), a.key.expose());
        assert!(grants.find(&a.id, &b.origin, NOW, "r").is_none());
        assert!(grants.find("../../etc/passwd", &a.origin, NOW, "r").is_none());
        let name = grants.path(&a).file_name().unwrap().to_owned();
        fs::rename(grants.path(&a), grants.path(&b)).unwrap();
        assert!(grants.find(&b.id, &b.origin, NOW, "r").is_none(), "{name:?} moved under another name");
    }

    #[test]
    fn revoked_grants_are_gone_at_once() {
        let (_dir, grants) = folder();
        let (a, again, b) = (grant("https://a.example", 'a'), grant("https://a.example", 'c'), grant("https://b.example", 'b'));
        for grant in [&a, &again, &b] {
            grants.add(grant).unwrap();
        }
        assert_eq!(grants.revoke(&a.origin).unwrap(), 2);
        assert!(!grants.knows(&a.origin) && grants.knows(&b.origin));
        assert_eq!(grants.list(NOW).unwrap().len(), 1);
        assert_eq!(grants.revoke(&a.origin).unwrap(), 0);
    }

    #[test]
    fn once_ends_with_the_run_and_with_the_day() {
        let (_dir, grants) = folder();
        let mut once = grant("https://a.example", 'a');
        once.once = Some(Once::from(NOW, "r1"));
        grants.add(&once).unwrap();
        let found = |hours, run| grants.find(&once.id, &once.origin, NOW + SignedDuration::from_hours(hours), run).is_some();
        assert!(found(7, "r1") && !found(8, "r1") && !found(0, "r2"));
        grants.sweep(NOW, "r1");
        assert!(grants.knows(&once.origin));
        grants.sweep(NOW, "r2");
        assert!(!grants.knows(&once.origin));
    }

    /// Attack item 45.
    #[cfg(unix)]
    #[test]
    fn only_this_user_reads_the_key() {
        use std::os::unix::fs::PermissionsExt as _;
        let (_dir, grants) = folder();
        let a = grant("https://a.example", 'a');
        grants.add(&a).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&grants.dir), mode(&grants.path(&a))), (0o700, 0o600));
        assert!(!format!("{a:?}").contains(&*a.key.to_text()), "a key is not printed");
        assert!(fs::read_to_string(grants.path(&a)).unwrap().contains(&*a.key.to_text()));
    }
}
