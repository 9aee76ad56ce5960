//! WebSocket (RFC 6455) as far as events need it: the handshake, whole text frames of a few bytes from the page, ours to it.
//!
//! A page has nothing to say but its credential, pongs and goodbye. Everything else ends the connection: unmasked frames, reserved bits
//! (no compression was agreed), fragments, binary frames, text that is not UTF-8, more frames than the limits.

use std::io;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest as _, Sha1};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// Largest payload of a page's frame, in bytes: a credential has 150.
const MAX_PAYLOAD: usize = 1024;
/// RFC 6455 clause 5.5: control frames are short.
const MAX_CONTROL: usize = 125;

/// Close codes (RFC 6455 clause 7.4.1).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u16)]
pub enum Close {
    /// The page said goodbye.
    Normal = 1000,
    /// Unmasked, reserved bits, a control frame that is fragmented or long.
    Protocol = 1002,
    /// Binary.
    Unsupported = 1003,
    /// Not UTF-8.
    NotText = 1007,
    /// Fragments, too many frames, no credential, no pairing any more.
    Policy = 1008,
    /// More bytes than the limit.
    TooLarge = 1009,
}

/// A page's frame.
#[derive(Debug, Eq, PartialEq)]
pub enum Incoming {
    /// Text.
    Text(String),
    /// To be answered with a pong of the same payload.
    Ping(Vec<u8>),
    /// Proof of life.
    Pong,
}

/// Why there is no further frame.
#[derive(Debug)]
pub enum Ended {
    /// With this code.
    Close(Close),
    /// The connection broke.
    Gone,
}

impl From<io::Error> for Ended {
    fn from(_: io::Error) -> Self {
        Self::Gone
    }
}

/// `Sec-WebSocket-Accept` for a key, if the key is one (16 bytes in base64).
pub fn accept(key: &str) -> Option<String> {
    const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    STANDARD.decode(key).ok().filter(|bytes| bytes.len() == 16)?;
    Some(STANDARD.encode(Sha1::new().chain_update(key).chain_update(GUID).finalize()))
}

/// Reads one frame.
pub async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Result<Incoming, Ended> {
    let close = |code| Err(Ended::Close(code));
    let mut head = [0; 2];
    stream.read_exact(&mut head).await?;
    let (is_last, reserved, opcode) = (head[0] & 0x80 != 0, head[0] & 0x70, head[0] & 0x0f);
    if reserved != 0 || head[1] & 0x80 == 0 {
        return close(Close::Protocol);
    }
    let is_control = opcode & 0x08 != 0;
    let length = match head[1] & 0x7f {
        short @ 0..126 => usize::from(short),
        _ if is_control => return close(Close::Protocol),
        126 => {
            let mut length = [0; 2];
            stream.read_exact(&mut length).await?;
            usize::from(u16::from_be_bytes(length))
        }
        _ => return close(Close::TooLarge),
    };
    match (opcode, is_last) {
        (0x8..=0xa, true) if length <= MAX_CONTROL => {}
        (0x1, true) => {}
        // No message of a page needs fragments, so there is nothing to collect without end.
        (0x0 | 0x1, _) => return close(Close::Policy),
        (0x2, _) => return close(Close::Unsupported),
        _ => return close(Close::Protocol),
    }
    if length > MAX_PAYLOAD {
        return close(Close::TooLarge);
    }
    let mut mask = [0; 4];
    stream.read_exact(&mut mask).await?;
    let mut payload = vec![0; length];
    stream.read_exact(&mut payload).await?;
    for (byte, mask) in payload.iter_mut().zip(mask.iter().cycle()) {
        *byte ^= mask;
    }
    match opcode {
        0x1 => String::from_utf8(payload).map(Incoming::Text).or(close(Close::NotText)),
        0x9 => Ok(Incoming::Ping(payload)),
        0xa => Ok(Incoming::Pong),
        _ => close(Close::Normal),
    }
}

/// Sends text.
pub async fn text(stream: &mut (impl AsyncWrite + Unpin), text: &str) -> io::Result<()> {
    write(stream, 0x1, text.as_bytes()).await
}

/// Asks for a pong.
pub async fn ping(stream: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
    write(stream, 0x9, b"").await
}

/// Answers a ping.
pub async fn pong(stream: &mut (impl AsyncWrite + Unpin), payload: &[u8]) -> io::Result<()> {
    write(stream, 0xa, payload).await
}

/// Says goodbye.
pub async fn close(stream: &mut (impl AsyncWrite + Unpin), code: Close) -> io::Result<()> {
    write(stream, 0x8, &(code as u16).to_be_bytes()).await
}

async fn write(stream: &mut (impl AsyncWrite + Unpin), opcode: u8, payload: &[u8]) -> io::Result<()> {
    let mut frame = vec![0x80 | opcode];
    match u16::try_from(payload.len()) {
        Ok(short @ 0..126) => frame.push(short as u8),
        Ok(length) => {
            frame.push(126);
            frame.extend_from_slice(&length.to_be_bytes());
        }
        Err(_) => return Err(io::ErrorKind::InvalidInput.into()),
    }
    frame.extend_from_slice(payload);
    stream.write_all(&frame).await?;
    stream.flush().await
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A page's frame: first byte, payload, and whether it is masked.
    fn frame(first: u8, payload: &[u8], is_masked: bool) -> Vec<u8> {
        let mask = if is_masked { 0x80 } else { 0 };
        let mut out = vec![first];
        if payload.len() < 126 {
            out.push(mask | payload.len() as u8);
        } else {
            out.push(mask | 126);
            out.extend_from_slice(&(payload.len() as u16).to_be_bytes());
        }
        if is_masked {
            out.extend_from_slice(&[1, 2, 3, 4]);
            out.extend(payload.iter().zip([1, 2, 3, 4].iter().cycle()).map(|(byte, mask)| byte ^ mask));
        } else {
            out.extend_from_slice(payload);
        }
        out
    }

    /// RFC 6455 clause 1.3.
    #[test]
    fn the_example_of_the_standard_is_accepted() {
        assert_eq!(accept("dGhlIHNhbXBsZSBub25jZQ==").as_deref(), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
        assert_eq!(accept("dGhlIHNhbXBsZQ=="), None);
        assert_eq!(accept("\r\n"), None);
    }

    #[tokio::test]
    async fn a_pages_words_are_read() {
        for (bytes, expected) in [
            (frame(0x81, "好".as_bytes(), true), Incoming::Text("好".into())),
            (frame(0x81, &[b'a'; 300], true), Incoming::Text("a".repeat(300))),
            (frame(0x89, b"x", true), Incoming::Ping(b"x".to_vec())),
            (frame(0x8a, b"", true), Incoming::Pong),
        ] {
            assert_eq!(read(&mut bytes.as_slice()).await.unwrap(), expected);
        }
    }

    /// Attack item 8.
    #[tokio::test]
    async fn everything_else_ends_the_connection_with_its_code() {
        let huge = [0x81, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
        for (what, bytes, expected) in [
            ("goodbye", frame(0x88, &1000u16.to_be_bytes(), true), Close::Normal),
            ("unmasked", frame(0x81, b"a", false), Close::Protocol),
            ("compressed", frame(0xc1, b"a", true), Close::Protocol),
            ("reserved bit", frame(0x91, b"a", true), Close::Protocol),
            ("unknown opcode", frame(0x83, b"a", true), Close::Protocol),
            ("unknown control", frame(0x8b, b"a", true), Close::Protocol),
            ("first fragment", frame(0x01, b"a", true), Close::Policy),
            ("endless fragments", frame(0x00, b"a", true), Close::Policy),
            ("last fragment", frame(0x80, b"a", true), Close::Policy),
            ("fragmented ping", frame(0x09, b"a", true), Close::Protocol),
            ("long ping", frame(0x89, &[0; 126], true), Close::Protocol),
            ("binary", frame(0x82, b"a", true), Close::Unsupported),
            ("not UTF-8", frame(0x81, b"\xff", true), Close::NotText),
            ("oversized", frame(0x81, &[b'a'; MAX_PAYLOAD + 1], true), Close::TooLarge),
            ("exabytes", huge.to_vec(), Close::TooLarge),
        ] {
            match read(&mut bytes.as_slice()).await {
                Err(Ended::Close(code)) => assert_eq!(code, expected, "{what}"),
                other => panic!("{what}: {other:?}"),
            }
        }
        assert!(matches!(read(&mut frame(0x81, b"abc", true)[..5].to_vec().as_slice()).await, Err(Ended::Gone)));
    }

    #[tokio::test]
    async fn our_frames_are_whole_and_unmasked() {
        let mut out = Vec::new();
        text(&mut out, &"a".repeat(200)).await.unwrap();
        assert_eq!(out[..4], [0x81, 126, 0, 200]);
        out.clear();
        close(&mut out, Close::Policy).await.unwrap();
        assert_eq!(out, [0x88, 2, 3, 240]);
    }
}
