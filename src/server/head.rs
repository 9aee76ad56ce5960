//! The form of a request's head, looked at byte by byte before the HTTP library sees it.
//!
//! A library is lenient where two programs could read differently (RFC 9112 allows it): bare line feeds, both `Content-Length` and
//! `Transfer-Encoding`, absolute targets. No browser sends any of these, so each is an attack or a mistake, and the connection ends.

/// Longest head, in bytes. Browsers send 1 to 2 KB; cookies are never sent here.
pub const MAX_HEAD_BYTES: usize = 16 << 10;
/// Most header lines. Browsers send about 20.
pub const MAX_HEADERS: usize = 64;

/// Why a head is refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum HeadError {
    /// `Content-Length` is no number or stands there twice.
    #[error("Content-Length")]
    ContentLength,
    /// A header line has no name, or white space where none belongs (also a folded line).
    #[error("header line")]
    HeaderLine,
    /// `Host` is missing or stands there twice.
    #[error("Host")]
    Host,
    /// A line does not end with CR LF, or has a CR inside.
    #[error("line end")]
    LineEnd,
    /// A further request came before the answer to the one before it.
    #[error("pipelining")]
    Pipelined,
    /// The request line is not `METHOD /path HTTP/1.1`.
    #[error("request line")]
    RequestLine,
    /// More bytes or lines than the limits.
    #[error("too large")]
    TooLarge,
    /// `Transfer-Encoding`: no browser sends one, and it is where requests are smuggled.
    #[error("Transfer-Encoding")]
    TransferEncoding,
}

/// Follows the bytes of one connection.
#[derive(Debug, Default)]
pub struct HeadScanner {
    at: At,
    line: Vec<u8>,
    head: usize,
    headers: usize,
    hosts: usize,
    length: Option<u64>,
    answered: bool,
}

#[derive(Debug, Default, Eq, PartialEq)]
enum At {
    #[default]
    RequestLine,
    Headers,
    Body(u64),
    /// The request is complete; the next byte begins another.
    End,
}

impl HeadScanner {
    /// Follows bytes that were received. After an error the connection must end.
    pub fn received(&mut self, mut bytes: &[u8]) -> Result<(), HeadError> {
        while let Some((&byte, rest)) = bytes.split_first() {
            match &mut self.at {
                At::Body(left) => {
                    let skip = (*left).min(bytes.len() as u64);
                    *left -= skip;
                    if *left == 0 {
                        self.at = At::End;
                    }
                    bytes = &bytes[skip as usize..];
                    continue;
                }
                At::End if !self.answered => return Err(HeadError::Pipelined),
                At::End => *self = Self::default(),
                At::RequestLine | At::Headers => {}
            }
            self.head += 1;
            if self.head > MAX_HEAD_BYTES {
                return Err(HeadError::TooLarge);
            }
            self.line.push(byte);
            if byte == b'\n' {
                let line = std::mem::take(&mut self.line);
                self.line(&line)?;
            }
            bytes = rest;
        }
        Ok(())
    }

    /// Notes that bytes of an answer were sent.
    pub fn sent(&mut self) {
        self.answered |= self.at == At::End;
    }

    /// Whether no byte of a request has come since the last answer.
    pub fn is_idle(&self) -> bool {
        self.head == 0 || (self.at == At::End && self.answered)
    }

    fn line(&mut self, line: &[u8]) -> Result<(), HeadError> {
        let line = line.strip_suffix(b"\r\n").ok_or(HeadError::LineEnd)?;
        if line.contains(&b'\r') {
            return Err(HeadError::LineEnd);
        }
        if self.at == At::RequestLine {
            self.at = At::Headers;
            return if is_request_line(line) { Ok(()) } else { Err(HeadError::RequestLine) };
        }
        if line.is_empty() {
            if self.hosts != 1 {
                return Err(HeadError::Host);
            }
            self.at = match self.length {
                None | Some(0) => At::End,
                Some(length) => At::Body(length),
            };
            return Ok(());
        }
        self.headers += 1;
        if self.headers > MAX_HEADERS {
            return Err(HeadError::TooLarge);
        }
        let colon = line.iter().position(|b| *b == b':').ok_or(HeadError::HeaderLine)?;
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        if name.is_empty() || name.iter().any(|b| b.is_ascii_whitespace() || b.is_ascii_control()) {
            return Err(HeadError::HeaderLine);
        }
        match name.to_ascii_lowercase().as_slice() {
            b"host" => self.hosts += 1,
            b"transfer-encoding" => return Err(HeadError::TransferEncoding),
            b"content-length" => {
                let digits = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
                let number = std::str::from_utf8(value).ok().and_then(|v| v.parse().ok()).filter(|_| digits);
                if number.is_none() || self.length.is_some() {
                    return Err(HeadError::ContentLength);
                }
                self.length = number;
            }
            _ => {}
        }
        Ok(())
    }
}

fn is_request_line(line: &[u8]) -> bool {
    let mut parts = line.split(|b| *b == b' ');
    let (method, target, version, none) = (parts.next(), parts.next(), parts.next(), parts.next());
    method.is_some_and(|m| !m.is_empty() && m.iter().all(u8::is_ascii_alphabetic))
        && target.is_some_and(|t| t.starts_with(b"/") && t.iter().all(u8::is_ascii_graphic))
        && version == Some(b"HTTP/1.1")
        && none.is_none()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HEAD: &str = "POST /v1/documents?name=a HTTP/1.1\r\nHost: 127.0.0.1:17329\r\nContent-Length: 5\r\n\r\n";

    fn scan(text: &str) -> Result<(), HeadError> {
        HeadScanner::default().received(text.as_bytes())
    }

    #[test]
    fn requests_one_after_the_other_pass_in_any_cut() {
        for cut in 1..HEAD.len() {
            let mut scanner = HeadScanner::default();
            for _ in 0..3 {
                let bytes = format!("{HEAD}hello");
                for part in bytes.as_bytes().chunks(cut) {
                    scanner.received(part).unwrap();
                }
                assert!(!scanner.is_idle());
                scanner.sent();
                assert!(scanner.is_idle());
            }
        }
    }

    /// Attack items 2, 5 and 6.
    #[test]
    fn what_two_programs_could_read_differently_is_refused() {
        let with = |line: &str| HEAD.replace("Content-Length: 5\r\n", line);
        for (text, error) in [
            (with("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"), HeadError::TransferEncoding),
            (with("Transfer-Encoding: chunked\r\n"), HeadError::TransferEncoding),
            (with("Content-Length: 5\r\nContent-Length: 6\r\n"), HeadError::ContentLength),
            (with("Content-Length: 5\r\nContent-Length: 5\r\n"), HeadError::ContentLength),
            (with("Content-Length: +5\r\n"), HeadError::ContentLength),
            (with("Content-Length: 5, 5\r\n"), HeadError::ContentLength),
            (with("Content-Length: 99999999999999999999999\r\n"), HeadError::ContentLength),
            (with("X: a\r\n folded\r\n"), HeadError::HeaderLine),
            (with("X : a\r\n"), HeadError::HeaderLine),
            (with("no colon\r\n"), HeadError::HeaderLine),
            (with("X: a\n"), HeadError::LineEnd),
            (with("X: a\rb\r\n"), HeadError::LineEnd),
            (with("Host: 127.0.0.1:17329\r\n"), HeadError::Host),
            (HEAD.replace("Host: 127.0.0.1:17329\r\n", ""), HeadError::Host),
            (HEAD.replace("/v1/documents", "http://127.0.0.1:17329/v1/documents"), HeadError::RequestLine),
            (HEAD.replace("/v1/documents", "*"), HeadError::RequestLine),
            (HEAD.replace("HTTP/1.1", "HTTP/1.0"), HeadError::RequestLine),
            (HEAD.replace("HTTP/1.1", "HTTP/1.1 x"), HeadError::RequestLine),
            (with(&format!("X: {}\r\n", "a".repeat(MAX_HEAD_BYTES))), HeadError::TooLarge),
            (with(&"X: a\r\n".repeat(MAX_HEADERS + 1)), HeadError::TooLarge),
            (format!("{HEAD}helloGET / HTTP/1.1\r\n"), HeadError::Pipelined),
        ] {
            assert_eq!(scan(&text), Err(error), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_followed_without_a_panic(parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 0..8)) {
            let mut scanner = HeadScanner::default();
            for part in parts {
                if scanner.received(&part).is_err() {
                    break;
                }
                scanner.sent();
            }
        }
    }
}
