//! Who calls, judged from the head alone, before the body is read and before anything is looked up.

use hyper::http::request::Parts;

use super::routes::{Access, Route};
use crate::config::Http;
use crate::consent::{Origin, Requester};
use crate::failure::{Code, Failure};
use crate::server::one;

/// A page that may call.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Caller {
    /// Its origin is allowed.
    Allowed(Origin),
    /// It is a page of the agent itself, in a session ([`super::pages`]).
    Own(Origin),
    /// Its origin is paired; each call must prove that this very page is.
    Paired(Origin),
    /// Its origin is not; it may learn that this program exists, and nothing else.
    Stranger(Origin),
}

impl Caller {
    /// Its origin.
    pub fn origin(&self) -> &Origin {
        match self {
            Self::Allowed(origin) | Self::Own(origin) | Self::Paired(origin) | Self::Stranger(origin) => origin,
        }
    }

    /// As whom it asks.
    pub fn requester(&self) -> Requester {
        match self {
            Self::Own(_) => Requester::OwnPage,
            Self::Allowed(origin) | Self::Paired(origin) | Self::Stranger(origin) => Requester::Origin(origin.clone()),
        }
    }
}

/// Host, origin and fetch mode. An error of this function is answered without CORS headers, so that a page that is refused here learns
/// nothing, not even the reason.
pub fn admit(
    head: &Parts,
    port: u16,
    route: Option<&Route>,
    http: &Http,
    is_paired: impl FnOnce(&Origin) -> bool,
) -> Result<Caller, Failure> {
    let headers = &head.headers;
    // The answer to DNS rebinding: the name is the attacker's, whatever address it leads to.
    let host = one(headers, hyper::header::HOST).ok_or(Code::WrongHost)?;
    let named = |name: &str| host.strip_prefix(name).and_then(|tail| tail.strip_prefix(':')) == Some(port.to_string().as_str());
    if !(named("127.0.0.1") || named("localhost")) {
        return Err(Code::WrongHost.into());
    }
    // Without `Origin` it is a navigation, an <img>, a <script>, or no browser: none of them has business here.
    let origin = one(headers, hyper::header::ORIGIN).and_then(|text| Origin::parse(text).ok()).ok_or(Code::OriginRefused)?;
    // Needs neither permission nor preflight, so nothing may happen by it.
    if let Some(mode) = headers.get("sec-fetch-mode")
        && !matches!(mode.as_bytes(), b"cors" | b"same-origin" | b"websocket")
    {
        return Err(Code::OriginRefused.into());
    }
    if http.origins.contains(&origin) || http.digest_only.contains(&origin) {
        return Ok(Caller::Allowed(origin));
    }
    if http.pairing && is_paired(&origin) {
        return Ok(Caller::Paired(origin));
    }
    let may_ask = !http.silent && (origin.is_https() || origin.is_loopback());
    let open = match route.map(|route| route.path.access) {
        Some(Access::Stranger) => true,
        Some(Access::Pairing) => http.pairing,
        Some(Access::Allowed) | None => false,
    };
    if may_ask && open { Ok(Caller::Stranger(origin)) } else { Err(Code::OriginRefused.into()) }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use hyper::Request;

    use super::*;

    fn admitted(headers: &[(&str, &str)], path: &str) -> Result<Caller, Code> {
        let mut request = Request::get("/");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (head, ()) = request.body(()).unwrap().into_parts();
        let http = Http {
            port: None,
            origins: BTreeSet::from([Origin::parse("https://gov.example").unwrap()]),
            digest_only: BTreeSet::new(),
            max_upload_bytes: 1,
            silent: false,
            pairing: true,
            tls: false,
            tls_port: None,
        };
        admit(&head, 17329, Route::of(path).as_ref(), &http, |origin| origin.as_str() == "https://paired.example")
            .map_err(|f| f.code)
    }

    const HOST: (&str, &str) = ("host", "127.0.0.1:17329");
    const INFO: &str = "/v1/info";
    const SEALS: &str = "/v1/seals";
    const GOOD: (&str, &str) = ("origin", "https://gov.example");

    #[test]
    fn the_allowed_page_passes_under_both_names() {
        for host in ["127.0.0.1:17329", "localhost:17329"] {
            assert!(matches!(admitted(&[("host", host), GOOD], SEALS), Ok(Caller::Allowed(_))), "{host}");
        }
    }

    /// Attack items 1, 2 and 4.
    #[test]
    fn every_other_host_is_misdirected() {
        for host in [
            "evil.example:17329",
            "127.0.0.1",
            "127.0.0.1:17330",
            "127.0.0.1.:17329",
            "127.0.0.1.evil.example:17329",
            "127.1:17329",
            "0x7f.1:17329",
            "[::1]:17329",
            "0.0.0.0:17329",
            "localhost.:17329",
            "LOCALHOST:17329",
            "user@127.0.0.1:17329",
            "127.0.0.1:017329",
            "",
        ] {
            assert_eq!(admitted(&[("host", host), GOOD], INFO), Err(Code::WrongHost), "{host}");
        }
        assert_eq!(admitted(&[HOST, HOST, GOOD], INFO), Err(Code::WrongHost));
        assert_eq!(admitted(&[GOOD], INFO), Err(Code::WrongHost));
    }

    /// Attack items 11, 12, 13 and 21.
    #[test]
    fn every_other_origin_is_refused_beyond_info() {
        for origin in [
            "null",
            "https://gov.example.evil.com",
            "https://evilgov.example",
            "https://gov.example@evil.com",
            "https://gov.example:444",
            "http://gov.example",
            "https://GOV.example",
            "https://gov.example.",
            "https://gov.example/",
            "https://g\u{43e}v.example",
            "https://xn--gv-fmc.example",
            "https://evil.example, https://gov.example",
            "chrome-extension://abcdefghijklmnopabcdefghijklmnop",
            "file://",
            "",
        ] {
            assert_eq!(admitted(&[HOST, ("origin", origin)], SEALS), Err(Code::OriginRefused), "{origin}");
        }
        assert_eq!(admitted(&[HOST], INFO), Err(Code::OriginRefused), "no origin");
        assert_eq!(admitted(&[HOST, GOOD, GOOD], INFO), Err(Code::OriginRefused), "two origins");
    }

    /// Attack item 18.
    #[test]
    fn strangers_reach_info_and_pairings_alone_and_only_from_https_or_loopback() {
        for route in [INFO, "/v1/pairings", "/v1/pairings/1"] {
            for origin in ["https://evil.example", "http://localhost:3000", "http://127.0.0.1:8080"] {
                let caller = admitted(&[HOST, ("origin", origin)], route);
                assert!(matches!(caller, Ok(Caller::Stranger(_))), "{origin}");
            }
            for origin in ["http://evil.example", "null"] {
                assert_eq!(admitted(&[HOST, ("origin", origin)], route), Err(Code::OriginRefused), "{origin}");
            }
        }
    }

    #[test]
    fn a_paired_origin_is_let_in_to_prove_itself() {
        let paired = ("origin", "https://paired.example");
        assert!(matches!(admitted(&[HOST, paired], SEALS), Ok(Caller::Paired(_))));
        assert!(matches!(admitted(&[HOST, GOOD], SEALS), Ok(Caller::Allowed(_))));
    }

    /// Attack item 11.
    #[test]
    fn navigations_and_no_cors_requests_are_refused_for_everyone() {
        for mode in ["navigate", "no-cors", "nonsense"] {
            assert_eq!(admitted(&[HOST, GOOD, ("sec-fetch-mode", mode)], INFO), Err(Code::OriginRefused), "{mode}");
        }
        assert!(admitted(&[HOST, GOOD, ("sec-fetch-mode", "cors")], INFO).is_ok());
    }
}
