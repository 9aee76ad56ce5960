//! Sessions of the agent's own pages: a token that a page got for its one-time link and sends with each call.
//!
//! Not a cookie: a browser sends the cookies of 127.0.0.1 to every port of it, also to those of other programs and users. The token lives
//! in the page's `sessionStorage`, which belongs to this port alone and ends with the tab, and travels in a header, which no form, image
//! or page of another origin can send.

use std::collections::HashMap;
use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::link::{digest_of, random_token};

/// A page that calls for nothing this long has to be opened anew.
const IDLE: Duration = Duration::from_secs(30 * 60);
/// A session ends after a working day in any case.
const LIFE: Duration = Duration::from_secs(8 * 3600);
/// Most at once; a further one ends the one that was idle longest.
const MAX_OPEN: usize = 32;

/// How calls name their session.
pub(super) const SCHEME: &str = "SealAgentPage ";

/// The sessions of this run.
#[derive(Debug, Default)]
pub struct Sessions {
    open: Mutex<HashMap<[u8; 32], Session>>,
}

#[derive(Debug)]
struct Session {
    begun: Instant,
    seen: Instant,
}

impl Session {
    fn counts(&self, now: Instant) -> bool {
        now.duration_since(self.seen) < IDLE && now.duration_since(self.begun) < LIFE
    }
}

impl Sessions {
    /// Begins one and gives its token, which is kept nowhere but in the page.
    pub fn begin(&self, now: Instant) -> io::Result<String> {
        let token = random_token()?;
        let key = digest_of(&token).ok_or(io::ErrorKind::InvalidInput)?;
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|_, session| session.counts(now));
        if open.len() >= MAX_OPEN
            && let Some(idlest) = open.iter().min_by_key(|(_, session)| session.seen).map(|(key, _)| *key)
        {
            open.remove(&idlest);
        }
        open.insert(key, Session { begun: now, seen: now });
        Ok(token)
    }

    /// Whether a header's value names a session that counts; if so it was seen now.
    pub fn admits(&self, authorization: &str, now: Instant) -> bool {
        let Some(key) = authorization.strip_prefix(SCHEME).and_then(digest_of) else { return false };
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        match open.get_mut(&key).filter(|session| session.counts(now)) {
            Some(session) => {
                session.seen = now;
                true
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_ends_when_nobody_uses_it_and_with_the_day() {
        let (sessions, start) = (Sessions::default(), Instant::now());
        let token = sessions.begin(start).unwrap();
        let header = format!("{SCHEME}{token}");
        let at = |minutes: u64| start + Duration::from_secs(60 * minutes);
        for minutes in (0..8 * 60).step_by(29) {
            assert!(sessions.admits(&header, at(minutes)), "{minutes}");
        }
        assert!(!sessions.admits(&header, at(8 * 60)));
        let idle = format!("{SCHEME}{}", sessions.begin(start).unwrap());
        assert!(!sessions.admits(&idle, at(30)));
    }

    #[test]
    fn what_is_no_session_opens_nothing() {
        let (sessions, now) = (Sessions::default(), Instant::now());
        let token = sessions.begin(now).unwrap();
        for other in [String::new(), token.clone(), format!("Bearer {token}"), format!("{SCHEME}{}", "0".repeat(64))] {
            assert!(!sessions.admits(&other, now), "{other}");
        }
    }

    #[test]
    fn a_flood_of_sessions_ends_the_idlest() {
        let (sessions, start) = (Sessions::default(), Instant::now());
        let tokens: Vec<_> = (0..=MAX_OPEN as u64)
            .map(|n| format!("{SCHEME}{}", sessions.begin(start + Duration::from_secs(n)).unwrap()))
            .collect();
        let now = start + Duration::from_secs(100);
        assert!(!sessions.admits(&tokens[0], now) && sessions.admits(&tokens[1], now));
    }
}
