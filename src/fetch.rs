//! Fetching what others sign: trust lists, seal status, revocation lists and answers, time stamps.
//!
//! Nothing is fetched that the configuration or an accepted trust list does not name; addresses in certificates and documents are shown,
//! never followed. A name is resolved first, its addresses are judged, and the connection goes to the judged address, so that a name cannot
//! point elsewhere in between. A private address is asked only where whoever named it said that it is private. No redirect
//! is followed, no cookie or credential sent. Plain `http` only: all that is fetched carries a signature that is checked afterwards, so TLS
//! would add secrecy (who asks about which seal) and nothing else; where that matters, point the proxy at one's own gateway.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::Bytes;
use hyper::header::{ACCEPT_ENCODING, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HOST, USER_AGENT};
use hyper::{Method, Request, Uri};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// Longest address that is taken; lists and certificates have some dozens of characters.
const MAX_URL: usize = 1024;
/// Addresses of one name that are tried, one after another.
const MAX_ADDRESSES: usize = 4;
/// How long one address may take to accept a connection.
const CONNECT: Duration = Duration::from_secs(5);
/// How long the whole may take, unless [`Fetcher::within`] says otherwise.
const DEADLINE: Duration = Duration::from_secs(20);
/// Most bytes of an answer's head, as hyper buffers it; heads have some hundred.
const MAX_HEAD: usize = 16 << 10;

/// Why nothing was fetched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// The answer has another status than 200. Redirects are among them.
    #[error("{host} answered with status {status}")]
    Answer {
        /// Who.
        host: String,
        /// HTTP status.
        status: u16,
    },
    /// The connection broke, or what came is no HTTP.
    #[error("the answer of {host} broke off: {reason}")]
    Broken {
        /// Who.
        host: String,
        /// What hyper says.
        reason: String,
    },
    /// An address on this machine or in a private network, and nobody said that it may be asked.
    #[error("{host} has the private address {address}, which the list does not allow")]
    Private {
        /// Who.
        host: String,
        /// The address.
        address: IpAddr,
    },
    /// The deadline passed.
    #[error("{host} took longer than {} s", .after.as_secs())]
    TimedOut {
        /// Who.
        host: String,
        /// The deadline.
        after: Duration,
    },
    /// The answer is longer than its kind may be.
    #[error("the answer of {host} is longer than {limit} bytes")]
    TooLong {
        /// Who.
        host: String,
        /// The limit, in bytes.
        limit: usize,
    },
    /// Nobody listens there.
    #[error("{host} cannot be reached: {error}")]
    Unreachable {
        /// Who.
        host: String,
        /// What the system says.
        error: std::io::Error,
    },
    /// The name has no address.
    #[error("the name {host} cannot be resolved: {error}")]
    Unresolved {
        /// The name.
        host: String,
        /// What the system says.
        error: std::io::Error,
    },
    /// Not an address that is fetched from.
    #[error("the address {url:?} is not used: {reason}")]
    Url {
        /// As it stands.
        url: String,
        /// What is wrong with it.
        reason: &'static str,
    },
}

impl FetchError {
    /// Whether the server could not be had, as opposed to an answer that is not accepted: only then is a kept answer used.
    pub fn is_outage(&self) -> bool {
        match self {
            Self::Broken { .. } | Self::TimedOut { .. } | Self::Unreachable { .. } | Self::Unresolved { .. } => true,
            Self::Answer { status, .. } => *status >= 500,
            _ => false,
        }
    }
}

/// An address that may be asked.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Target {
    uri: Uri,
    host: String,
    port: u16,
    private: bool,
}

impl Target {
    /// Reads `http://host[:port]/path`. `private` says that whoever named it wants it asked even at a private address.
    pub fn parse(url: &str, private: bool) -> Result<Self, FetchError> {
        let wrong = |reason| FetchError::Url { url: url.chars().take(MAX_URL).collect(), reason };
        if url.len() > MAX_URL {
            return Err(wrong("too long"));
        }
        if url.contains(['#', '\\']) || !url.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(wrong("characters that an address does not have"));
        }
        let uri: Uri = url.parse().map_err(|_| wrong("not an address"))?;
        match uri.scheme_str() {
            Some("http") => {}
            Some("https") => return Err(wrong("https; signed data is fetched by http")),
            _ => return Err(wrong("not http")),
        }
        let authority = uri.authority().ok_or_else(|| wrong("no host"))?;
        if authority.as_str().contains('@') {
            return Err(wrong("a user name in it"));
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
        if host.is_empty() {
            return Err(wrong("no host"));
        }
        let port = if authority.as_str().ends_with(':') { None } else { authority.port_u16() };
        let has_port = authority.as_str().len() > authority.host().len();
        let port = match (has_port, port) {
            (false, _) => 80,
            (true, Some(port)) if port != 0 => port,
            _ => return Err(wrong("no such port")),
        };
        Ok(Self { host, port, private, uri })
    }

    /// Host name or address, lower case.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Path and query, at least `/`.
    fn path(&self) -> &str {
        self.uri.path_and_query().map_or("/", |path| path.as_str())
    }

    fn authority(&self) -> &str {
        self.uri.authority().map_or("", |authority| authority.as_str())
    }
}

/// What is asked.
#[derive(Clone, Debug)]
pub enum Ask {
    /// GET: a file.
    Get,
    /// POST: a question to a service.
    Post {
        /// Its media type (`application/timestamp-query`).
        content_type: &'static str,
        /// The question.
        body: Vec<u8>,
    },
}

/// Fetches by these rules.
#[derive(Clone, Debug, Default)]
pub struct Fetcher {
    proxy: Option<(String, u16)>,
    deadline: Option<Duration>,
}

impl Fetcher {
    /// A fetcher that asks directly.
    pub fn new() -> Self {
        Self::default()
    }

    /// A fetcher that asks `http://host[:port]` of the configuration to ask. The proxy may have a private address, and it resolves the names;
    /// addresses in numbers are judged here all the same.
    pub fn through(proxy: &str) -> Result<Self, FetchError> {
        let target = Target::parse(proxy, true)?;
        Ok(Self { proxy: Some((target.host, target.port)), deadline: None })
    }

    /// The same with another deadline for a whole exchange.
    pub fn within(mut self, deadline: Duration) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// Asks, and gives the body of an answer with status 200 and at most `limit` bytes.
    pub async fn fetch(&self, target: &Target, ask: &Ask, limit: usize) -> Result<Bytes, FetchError> {
        let after = self.deadline.unwrap_or(DEADLINE);
        match tokio::time::timeout(after, self.exchange(target, ask, limit)).await {
            Ok(result) => result,
            Err(_) => Err(FetchError::TimedOut { host: target.host.clone(), after }),
        }
    }

    async fn exchange(&self, target: &Target, ask: &Ask, limit: usize) -> Result<Bytes, FetchError> {
        let host = || target.host.clone();
        let broken = |error: hyper::Error| FetchError::Broken { host: host(), reason: error.to_string() };
        let stream = self.connect(target).await?;
        let mut builder = hyper::client::conn::http1::Builder::new();
        builder.max_buf_size(MAX_HEAD);
        let (mut sender, connection) = builder.handshake(TokioIo::new(stream)).await.map_err(broken)?;
        // Ends with its sender, at the end of this function.
        tokio::spawn(async move {
            let _ = connection.await;
        });
        let answer = sender.send_request(self.request(target, ask)).await.map_err(broken)?;
        if answer.status() != hyper::StatusCode::OK {
            return Err(FetchError::Answer { host: host(), status: answer.status().as_u16() });
        }
        match Limited::new(answer.into_body(), limit).collect().await {
            Ok(body) => Ok(body.to_bytes()),
            Err(error) if error.is::<LengthLimitError>() => Err(FetchError::TooLong { host: host(), limit }),
            Err(error) => Err(FetchError::Broken { host: host(), reason: error.to_string() }),
        }
    }

    fn request(&self, target: &Target, ask: &Ask) -> Request<Full<Bytes>> {
        let address = match self.proxy {
            Some(_) => target.uri.to_string(),
            None => target.path().to_owned(),
        };
        let builder = Request::builder()
            .uri(address)
            .header(HOST, target.authority())
            .header(USER_AGENT, "sealagent")
            .header(ACCEPT_ENCODING, "identity")
            .header(CACHE_CONTROL, "no-cache")
            .header(CONNECTION, "close");
        let request = match ask {
            Ask::Get => builder.method(Method::GET).body(Full::default()),
            Ask::Post { content_type, body } => {
                builder.method(Method::POST).header(CONTENT_TYPE, *content_type).body(Full::from(body.clone()))
            }
        };
        #[expect(clippy::expect_used, reason = "address and authority are those of a parsed Uri, the rest are constants")]
        request.expect("a request of checked parts")
    }

    async fn connect(&self, target: &Target) -> Result<TcpStream, FetchError> {
        let literal = target.host.parse::<IpAddr>().ok();
        if let Some(address) = literal.filter(|address| !target.private && !is_public(*address)) {
            return Err(FetchError::Private { host: target.host.clone(), address });
        }
        let (host, port, any) = match &self.proxy {
            Some((host, port)) => (host.as_str(), *port, true),
            None => (target.host.as_str(), target.port, target.private),
        };
        let unresolved = |error| FetchError::Unresolved { host: host.to_owned(), error };
        let addresses: Vec<SocketAddr> = tokio::net::lookup_host((host, port)).await.map_err(unresolved)?.collect();
        let mut last = None;
        for address in addresses.into_iter().take(MAX_ADDRESSES) {
            if !any && !is_public(address.ip()) {
                last = Some(FetchError::Private { host: host.to_owned(), address: address.ip() });
                continue;
            }
            match tokio::time::timeout(CONNECT, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => last = Some(FetchError::Unreachable { host: host.to_owned(), error }),
                Err(_) => last = Some(FetchError::TimedOut { host: host.to_owned(), after: CONNECT }),
            }
        }
        Err(last.unwrap_or_else(|| unresolved(std::io::ErrorKind::NotFound.into())))
    }
}

/// Whether an address is one of the public Internet (IANA special-purpose registries). An IPv6 address that holds an IPv4 one is as
/// public as that.
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => is_public_v6(v6),
    }
}

fn is_public_v4(v4: Ipv4Addr) -> bool {
    let [a, b, c, _] = v4.octets();
    !(v4.is_private()
        || v4.is_loopback()
        || v4.is_link_local()
        || v4.is_documentation()
        || a == 0
        || (a == 100 && b & 0xc0 == 64) // shared by carriers
        || (a == 192 && b == 0 && c == 0)
        || (a == 198 && b & 0xfe == 18) // benchmarks
        || a >= 224) // multicast, reserved, broadcast
}

fn is_public_v6(v6: Ipv6Addr) -> bool {
    let s = v6.segments();
    let inner = |high: u16, low: u16| is_public_v4(Ipv4Addr::from((u32::from(high) << 16) | u32::from(low)));
    match s {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => inner(high, low), // NAT64
        [0x2002, high, low, ..] => inner(high, low),               // 6to4
        [0x2001, 0, ..] | [0x2001, 0xdb8, ..] => false,            // Teredo, documentation
        [0x2001, second, ..] if second < 0x200 => false,           // other protocol assignments
        [first, ..] => first & 0xe000 == 0x2000, // 2000::/3 is all that is routed: no mapped, local or multicast ones
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    /// A server that answers one connection with these bytes, and gives what it was asked.
    async fn server(answer: Vec<u8>) -> (u16, tokio::task::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = vec![0; 4096];
            let n = stream.read(&mut head).await.unwrap();
            let _ = stream.write_all(&answer).await;
            let _ = stream.shutdown().await;
            String::from_utf8_lossy(&head[..n]).into_owned()
        });
        (port, asked)
    }

    fn local(port: u16) -> Target {
        Target::parse(&format!("http://127.0.0.1:{port}/lists/a.p7b?x=1"), true).unwrap()
    }

    #[tokio::test]
    async fn body_of_a_good_answer_is_given_and_the_request_is_plain() {
        let (port, asked) = server(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc".to_vec()).await;
        assert_eq!(&Fetcher::new().fetch(&local(port), &Ask::Get, 3).await.unwrap()[..], b"abc");
        let asked = asked.await.unwrap();
        assert!(asked.starts_with("GET /lists/a.p7b?x=1 HTTP/1.1\r\n"), "{asked}");
        assert!(!asked.to_ascii_lowercase().contains("cookie"));
    }

    #[tokio::test]
    async fn question_is_posted_with_its_type() {
        let (port, asked) = server(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_vec()).await;
        let ask = Ask::Post { content_type: "application/timestamp-query", body: b"question".to_vec() };
        Fetcher::new().fetch(&local(port), &ask, 10).await.unwrap();
        let asked = asked.await.unwrap();
        assert!(asked.starts_with("POST ") && asked.contains("application/timestamp-query"), "{asked}");
    }

    #[tokio::test]
    async fn answers_beyond_the_limit_redirects_and_broken_ones_are_refused() {
        type Case = (&'static [u8], fn(&FetchError) -> bool);
        let cases: [Case; 5] = [
            (b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabcd", |e| matches!(e, FetchError::TooLong { limit: 3, .. })),
            (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n0\r\n\r\n", |e| {
                matches!(e, FetchError::TooLong { .. })
            }),
            (b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1/\r\nContent-Length: 0\r\n\r\n", |e| {
                matches!(e, FetchError::Answer { status: 302, .. }) && !e.is_outage()
            }),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\na", |e| matches!(e, FetchError::Broken { .. }) && e.is_outage()),
            (b"220 mail.example ESMTP\r\n", |e| matches!(e, FetchError::Broken { .. })),
        ];
        for (i, (answer, expected)) in cases.into_iter().enumerate() {
            let (port, _asked) = server(answer.to_vec()).await;
            let error = Fetcher::new().fetch(&local(port), &Ask::Get, 3).await.unwrap_err();
            assert!(expected(&error), "case {i}: {error:?}");
        }
    }

    #[tokio::test]
    async fn server_that_says_nothing_or_is_gone_is_an_outage() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let slow = Fetcher::new().within(Duration::from_millis(50));
        let error = slow.fetch(&local(port), &Ask::Get, 3).await.unwrap_err();
        assert!(matches!(error, FetchError::TimedOut { .. }) && error.is_outage(), "{error:?}");
        drop(listener);
        let error = Fetcher::new().fetch(&local(port), &Ask::Get, 3).await.unwrap_err();
        assert!(matches!(error, FetchError::Unreachable { .. }) && error.is_outage(), "{error:?}");
    }

    #[tokio::test]
    async fn private_address_is_not_asked_by_number_or_by_name() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        for host in ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0"] {
            let target = Target::parse(&format!("http://{host}:{port}/"), false).unwrap();
            let error = Fetcher::new().fetch(&target, &Ask::Get, 3).await.unwrap_err();
            assert!(matches!(error, FetchError::Private { .. }), "{host}: {error:?}");
            // By a proxy, what stands there in numbers is judged as well.
            let through = Fetcher::through(&format!("http://127.0.0.1:{port}")).unwrap();
            if target.host().parse::<IpAddr>().is_ok() {
                assert!(matches!(through.fetch(&target, &Ask::Get, 3).await, Err(FetchError::Private { .. })), "{host}");
            }
        }
        assert!(tokio::time::timeout(Duration::from_millis(20), listener.accept()).await.is_err(), "nobody connected");
    }

    #[tokio::test]
    async fn proxy_is_asked_with_the_whole_address() {
        let (port, asked) = server(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".to_vec()).await;
        let fetcher = Fetcher::through(&format!("http://127.0.0.1:{port}")).unwrap();
        let target = Target::parse("http://lists.example/sz.p7b", false).unwrap();
        assert_eq!(&fetcher.fetch(&target, &Ask::Get, 9).await.unwrap()[..], b"ok");
        assert!(asked.await.unwrap().starts_with("GET http://lists.example/sz.p7b HTTP/1.1\r\n"));
    }

    #[test]
    fn addresses_that_are_not_fetched_from_are_refused() {
        for wrong in [
            "https://a.example/",
            "file:///etc/passwd",
            "ldap://a.example/",
            "OCSP://a.example",
            "http://user:secret@a.example/",
            "http://",
            "http:///x",
            "http://a.example:0/",
            "http://a.example:99999/",
            "http://a.example/\r\nHost: b",
            "http://a.example\\@b.example/",
            "//a.example/",
            "/etc/passwd",
            "",
        ] {
            assert!(Target::parse(wrong, true).is_err(), "{wrong:?}");
        }
        let target = Target::parse("http://A.Example:8080", false).unwrap();
        assert_eq!((target.host(), target.port, target.path()), ("a.example", 8080, "/"));
    }

    #[test]
    fn special_addresses_are_not_public() {
        for private in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "192.0.0.8",
            "203.0.113.1",
            "::",
            "::1",
            "fe80::1",
            "fc00::1",
            "ff02::1",
            "::ffff:10.0.0.1",
            "::10.0.0.1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "2001::1",
            "2001:db8::1",
            "fec0::1",
            "100::1",
        ] {
            assert!(!is_public(private.parse().unwrap()), "{private}");
        }
        for public in ["1.1.1.1", "59.255.0.1", "172.32.0.1", "100.128.0.1", "2400:3200::1", "2002:101:101::", "64:ff9b::101:101"]
        {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
    }
}
