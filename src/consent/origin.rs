//! Where a request comes from: scheme, host and port of the page, as the browser sends it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Longest origin that is read, in bytes: a host name has at most 253.
const MAX_ORIGIN_BYTES: usize = 280;

/// A web origin in the one form in which browsers send it: `https://host[:port]` or `http://host[:port]`, lower case, without the
/// scheme's default port. Two origins are the same only when every byte is.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Origin(String);

/// Why a text is not an origin in canonical form.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NotAnOrigin {
    /// Neither `https://` nor `http://`. This covers `null` and extensions.
    #[error("an origin starts with https:// or http://")]
    Scheme,
    /// The host has characters, labels or a form that a browser would not send.
    #[error(
        "the host is not in the form in which browsers send it (lower case, no trailing dot, punycode for other letters, no path)"
    )]
    Host,
    /// The port is no number, has leading zeros, or is the scheme's own and must be left out.
    #[error("the port is not a plain number, or is the scheme's own and must be left out")]
    Port,
    /// Longer than any origin.
    #[error("too long for an origin")]
    Length,
}

impl Origin {
    /// Reads an origin; anything but the canonical form is refused, never repaired.
    pub fn parse(text: &str) -> Result<Self, NotAnOrigin> {
        if text.len() > MAX_ORIGIN_BYTES {
            return Err(NotAnOrigin::Length);
        }
        let (rest, own_port) = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
            (Some(rest), _) => (rest, "443"),
            (_, Some(rest)) => (rest, "80"),
            _ => return Err(NotAnOrigin::Scheme),
        };
        let (host, port) = match rest.strip_prefix('[') {
            Some(v6) => {
                let (address, tail) = v6.split_once(']').ok_or(NotAnOrigin::Host)?;
                let parsed: std::net::Ipv6Addr = address.parse().map_err(|_| NotAnOrigin::Host)?;
                if parsed.to_string() != address {
                    return Err(NotAnOrigin::Host);
                }
                (None, if tail.is_empty() { None } else { Some(tail.strip_prefix(':').ok_or(NotAnOrigin::Host)?) })
            }
            None => match rest.split_once(':') {
                Some((host, port)) => (Some(host), Some(port)),
                None => (Some(rest), None),
            },
        };
        if host.is_some_and(|host| !is_canonical_host(host)) {
            return Err(NotAnOrigin::Host);
        }
        if let Some(port) = port {
            let digits = !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) && !port.starts_with('0');
            if !digits || port == own_port || port.parse::<u16>().is_err() {
                return Err(NotAnOrigin::Port);
            }
        }
        Ok(Self(text.to_owned()))
    }

    /// That of what this machine serves on a port of 127.0.0.1.
    pub fn of_loopback(port: u16) -> Self {
        Self(if port == 80 { "http://127.0.0.1".to_owned() } else { format!("http://127.0.0.1:{port}") })
    }

    /// The canonical text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the browser vouches for who sent the page: https.
    pub fn is_https(&self) -> bool {
        self.0.starts_with("https://")
    }

    /// Whether the page comes from this machine.
    pub fn is_loopback(&self) -> bool {
        let host = self.0.split_once("://").map_or("", |(_, rest)| rest);
        ["127.0.0.1", "localhost", "[::1]"]
            .iter()
            .any(|name| host.strip_prefix(name).is_some_and(|tail| tail.is_empty() || tail.starts_with(':')))
    }
}

/// Labels of letters, digits, hyphens and underscores in lower case; a name whose last label is a number must be a dotted IPv4
/// address, since browsers read it as one.
fn is_canonical_host(host: &str) -> bool {
    let label = |l: &str| {
        !l.is_empty()
            && l.len() <= 63
            && l.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_')
    };
    let last = host.rsplit('.').next().unwrap_or("");
    let number = last.bytes().all(|b| b.is_ascii_digit()) || last.starts_with("0x");
    host.len() <= 253
        && host.split('.').all(label)
        && (!number || host.parse::<std::net::Ipv4Addr>().is_ok_and(|v4| v4.to_string() == host))
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Origin {
    type Error = NotAnOrigin;
    fn try_from(text: String) -> Result<Self, NotAnOrigin> {
        Self::parse(&text)
    }
}

impl From<Origin> for String {
    fn from(origin: Origin) -> Self {
        origin.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Attack items 12, 13 and 21.
    #[test]
    fn look_alikes_are_not_origins_or_are_other_origins() {
        let allowed = Origin::parse("https://gov.example").unwrap();
        for other in ["https://gov.example.evil.com", "https://evilgov.example", "https://gov.example:444", "http://gov.example"]
        {
            assert_ne!(Origin::parse(other).unwrap(), allowed, "{other}");
        }
        for refused in [
            "null",
            "",
            "file://",
            "https://",
            "https://gov.example@evil.com",
            "https://GOV.example",
            "HTTPS://gov.example",
            "https://gov.example.",
            "https://gov.example/",
            "https://gov.example:443",
            "http://gov.example:80",
            "https://gov.example:0444",
            "https://gov.example:",
            "https://gov.example:99999",
            "https://gоv.example", // Cyrillic o
            "https://gov..example",
            "https://gov.example evil",
            "https://127.1",
            "https://0x7f.1",
            "https://2130706433",
            "https://[::0001]",
            "https://[::1]x",
            "chrome-extension://abcdefghijklmnop",
            "moz-extension://1f6a",
        ] {
            assert!(Origin::parse(refused).is_err(), "{refused}");
        }
    }

    #[test]
    fn loopback_is_the_whole_host() {
        for yes in ["http://127.0.0.1:8080", "http://localhost", "https://localhost:1", "http://[::1]:3000"] {
            assert!(Origin::parse(yes).unwrap().is_loopback(), "{yes}");
        }
        for no in ["http://127.0.0.1.evil.example", "http://localhost.evil.example", "https://gov.example"] {
            assert!(!Origin::parse(no).unwrap().is_loopback(), "{no}");
        }
    }
}
