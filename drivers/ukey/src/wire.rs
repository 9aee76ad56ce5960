//! Frames between agent and worker, over the worker's standard input and output.
//!
//! ```text
//! u32 LE header length ‖ u32 LE secret length ‖ header (JSON) ‖ secret
//! ```
//! A PIN travels only as the secret trailer, which is read straight into a wiped buffer; a change of PIN carries two, each with a
//! length byte before it. Everything else is the header: one of [`Request`], [`Answer`].

use std::io::{self, Read, Write};

use base64::prelude::*;
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, DeserializeOwned},
};
use zeroize::Zeroizing;

use crate::{
    About, DriverError, KeyId, KeyInfo, Pin, PinStatus, Sm2PublicKey, Sm2Signature, TokenId, TokenInfo, pin::MAX_PIN_BYTES,
};

/// Version of this format; agent and worker come from one package, so a mismatch is a broken installation.
pub const VERSION: u32 = 2;
/// Largest header: 64 seals of 1 MiB in base64 would be more; a token that holds that much is not one.
pub const MAX_HEADER_BYTES: usize = 16 << 20;
/// Largest secret trailer: two PINs with their length bytes.
pub const MAX_SECRET_BYTES: usize = 2 * (MAX_PIN_BYTES + 1);

/// Bytes inside a header: base64 in JSON, which is a quarter of the size and of the time of a list of numbers.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Bytes(pub Vec<u8>);

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&BASE64_STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        BASE64_STANDARD.decode(String::deserialize(deserializer)?).map(Self).map_err(de::Error::custom)
    }
}

/// What the agent asks of a worker.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Request {
    /// First frame: are we the same version?
    Hello {
        /// [`VERSION`] of the agent.
        version: u32,
    },
    /// All tokens that are plugged in.
    Tokens,
    /// Keys, seals and PIN state of one token. No PIN needed.
    Inspect {
        /// Which token.
        token: TokenId,
    },
    /// One login. After [`Answer::LoggedIn`] come any number of `Message`, each answered before the next is sent, then `End`; a
    /// `Failed` or the end of the stream logs out too. Secret: the PIN, or nothing for a PIN that is typed on the device.
    ///
    /// Messages follow one by one because a later one may depend on an earlier signature, and because a batch of a thousand
    /// (each carries its seal) would fit into no frame.
    Sign {
        /// Which token.
        token: TokenId,
        /// Which key.
        key: KeyId,
        /// The public key that the person agreed to; another key under the same name is refused before the PIN is used.
        public_key: Sm2PublicKey,
        /// The person types the PIN on the device.
        on_device: bool,
    },
    /// Within `Sign`: one message, as its parts; the worker makes the `Sm2Message` again, so that bytes and digest cannot disagree.
    Message {
        /// The message bytes (DER of `TBS_Sign`, or signed attributes), whole.
        bytes: Bytes,
        /// Signer id, usually "1234567812345678".
        id: String,
    },
    /// Within `Sign`: no more messages; log out.
    End,
    /// Change of the user PIN. Secret: old and new, each after a length byte.
    ChangePin {
        /// Which token.
        token: TokenId,
    },
}

/// What a worker answers.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Answer {
    /// To `Hello`.
    Hello {
        /// [`VERSION`] of the worker.
        version: u32,
        /// What its driver says of itself; absent in other versions, which are then told by their number.
        #[serde(default)]
        about: Option<About>,
    },
    /// To `Tokens`.
    Tokens {
        /// The list, possibly empty.
        tokens: Vec<TokenInfo>,
    },
    /// To `Inspect`.
    Inspected {
        /// Its keys.
        keys: Vec<KeyInfo>,
        /// Objects on it that may be seals.
        seals: Vec<Bytes>,
        /// State of the user PIN.
        pin: PinStatus,
    },
    /// To `Sign`: the login went through. From here on the token may be signing.
    LoggedIn,
    /// To `Message`.
    Signed {
        /// As the token returned it.
        signature: Sm2Signature,
    },
    /// To `End`: logged out.
    Ended,
    /// To `ChangePin`.
    PinChanged,
    /// The request ended here, whatever it was; a login with it.
    Failed {
        /// Why.
        error: DriverError,
    },
    /// Not asked for: the set of tokens has changed since the last look.
    TokensChanged,
}

/// Writes one frame and flushes. The secret is written from where it is, without a copy.
pub fn write_frame(out: &mut impl Write, header: &impl Serialize, secret: &[u8]) -> io::Result<()> {
    let mut head = Vec::new();
    write_head(&mut head, header, secret.len())?;
    out.write_all(&head)?;
    out.write_all(secret)?;
    out.flush()
}

/// Appends the frame up to its secret of `secret_len` bytes, which the caller writes next from where it is.
pub fn write_head(out: &mut Vec<u8>, header: &impl Serialize, secret_len: usize) -> io::Result<()> {
    let header = serde_json::to_vec(header)?;
    if header.len() > MAX_HEADER_BYTES || secret_len > MAX_SECRET_BYTES {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "frame larger than its limit"));
    }
    out.reserve_exact(8 + header.len());
    out.extend((header.len() as u32).to_le_bytes());
    out.extend((secret_len as u32).to_le_bytes());
    out.extend(header);
    Ok(())
}

/// The two lengths at the start of a frame, checked against the limits.
pub fn frame_lengths(head: [u8; 8]) -> io::Result<(usize, usize)> {
    let [a, b, c, d, e, f, g, h] = head;
    let (header, secret) = (u32::from_le_bytes([a, b, c, d]) as usize, u32::from_le_bytes([e, f, g, h]) as usize);
    if header > MAX_HEADER_BYTES || secret > MAX_SECRET_BYTES {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "frame larger than its limit"));
    }
    Ok((header, secret))
}

/// Reads one frame. `Ok(None)` at a clean end of the stream, that is before its first byte.
pub fn read_frame<T: DeserializeOwned>(input: &mut impl Read) -> io::Result<Option<(T, Zeroizing<Vec<u8>>)>> {
    let mut head = [0; 8];
    let mut have = 0;
    while have < head.len() {
        match input.read(&mut head[have..]) {
            Ok(0) if have == 0 => return Ok(None),
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(n) => have += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    let (header_len, secret_len) = frame_lengths(head)?;
    let mut header = Vec::new();
    input.take(header_len as u64).read_to_end(&mut header)?;
    if header.len() < header_len {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let mut secret = Zeroizing::new(vec![0; secret_len]);
    input.read_exact(&mut secret)?;
    Ok(Some((serde_json::from_slice(&header)?, secret)))
}

/// The secret of [`Request::ChangePin`].
pub fn join_pins(old: &Pin, new: &Pin) -> Zeroizing<Vec<u8>> {
    let mut out = Zeroizing::new(Vec::with_capacity(MAX_SECRET_BYTES));
    for pin in [old, new] {
        out.push(pin.expose().len() as u8); // a Pin is at most 64 bytes
        out.extend_from_slice(pin.expose());
    }
    out
}

/// Takes [`join_pins`] apart.
pub fn split_pins(secret: &[u8]) -> Option<(Pin, Pin)> {
    let (len, rest) = secret.split_first()?;
    let (old, rest) = rest.split_at_checked(usize::from(*len))?;
    let (len, new) = rest.split_first()?;
    if usize::from(*len) != new.len() {
        return None;
    }
    Some((Pin::new(old.to_vec())?, Pin::new(new.to_vec())?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn frame_round_trip_keeps_the_secret_out_of_the_header() {
        let mut bytes = Vec::new();
        write_frame(&mut bytes, &Request::Tokens, b"246813").unwrap();
        let (request, secret) = read_frame::<Request>(&mut bytes.as_slice()).unwrap().unwrap();
        assert!(matches!(request, Request::Tokens));
        assert_eq!(secret.as_slice(), b"246813");
    }

    #[test]
    fn cut_frame_is_an_error_and_end_of_stream_is_not() {
        let mut bytes = Vec::new();
        write_frame(&mut bytes, &Answer::PinChanged, b"").unwrap();
        assert!(read_frame::<Answer>(&mut [].as_slice()).unwrap().is_none());
        for len in 1..bytes.len() {
            assert!(read_frame::<Answer>(&mut &bytes[..len]).is_err(), "{len}");
        }
    }

    #[test]
    fn length_over_the_limit_is_refused_before_it_is_allocated() {
        let head = [0xff; 8];
        assert!(frame_lengths(head).is_err());
        assert!(read_frame::<Answer>(&mut head.as_slice()).is_err());
    }

    #[test]
    fn two_pins_round_trip() {
        let (old, new) = (Pin::new(b"111111".to_vec()).unwrap(), Pin::new(b"2222222".to_vec()).unwrap());
        let (a, b) = split_pins(&join_pins(&old, &new)).unwrap();
        assert_eq!((a.expose(), b.expose()), (old.expose(), new.expose()));
        assert!(split_pins(b"\x06111111").is_none());
        assert!(split_pins(b"\x06111111\x07222222").is_none());
    }

    proptest! {
        #[test]
        fn read_frame_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let _ = read_frame::<Answer>(&mut bytes.as_slice());
            let _ = read_frame::<Request>(&mut bytes.as_slice());
        }
    }
}
