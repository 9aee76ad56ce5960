//! Commands and answers of ISO 7816-4, in the short form that every card takes, over any channel.
//!
//! Limits: an answer is put together to at most 64 KiB (the largest certificate that is taken) in at most 300 pieces, so a card that
//! answers 61xx for ever ends.

use std::fmt;

use ukey::{DriverError, driver::MAX_CERTIFICATE_BYTES};
use zeroize::Zeroizing;

/// Most data in one short command; longer data is chained (ISO 7816-4 §5.3.3).
const MAX_DATA_BYTES: usize = 255;
const MAX_ANSWER_BYTES: usize = MAX_CERTIFICATE_BYTES;
const MAX_PIECES: usize = 300;
const CHAINED: u8 = 0x10;

/// Success.
pub(crate) const OK: u16 = 0x9000;

/// A way to exchange one command for one answer.
pub(crate) trait Channel {
    /// Gives the answer, status word included.
    fn transmit(&mut self, command: &[u8]) -> Result<Vec<u8>, DriverError>;
}

/// One command. Its data may be a PIN: it is wiped, and printing shows only the instruction and lengths.
pub(crate) struct Command {
    name: &'static str,
    header: [u8; 4],
    data: Zeroizing<Vec<u8>>,
    /// Whether an answer with data is expected.
    answers: bool,
}

impl Command {
    /// A command that answers a status word alone.
    pub(crate) fn new(name: &'static str, header: [u8; 4], data: impl Into<Zeroizing<Vec<u8>>>) -> Self {
        Self { name, header, data: data.into(), answers: false }
    }

    /// A command that answers data.
    pub(crate) fn asking(name: &'static str, header: [u8; 4], data: &[u8]) -> Self {
        Self { name, header, data: data.to_vec().into(), answers: true }
    }

    /// The commands that carry it: one, or a chain.
    fn pieces(&self) -> Vec<Zeroizing<Vec<u8>>> {
        let [class, instruction, p1, p2] = self.header;
        let count = self.data.len().div_ceil(MAX_DATA_BYTES).max(1);
        let piece = |at: usize| {
            let start = at * MAX_DATA_BYTES;
            let part = &self.data[start..self.data.len().min(start + MAX_DATA_BYTES)];
            let last = at + 1 == count;
            // Made to size, so that no copy of a PIN is left behind by growing.
            let mut bytes = Zeroizing::new(Vec::with_capacity(6 + part.len()));
            bytes.extend([if last { class } else { class | CHAINED }, instruction, p1, p2]);
            if !part.is_empty() {
                bytes.push(part.len() as u8); // at most 255
                bytes.extend_from_slice(part);
            }
            if last && self.answers {
                bytes.push(0);
            }
            bytes
        };
        (0..count).map(piece).collect()
    }
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [class, instruction, p1, p2] = self.header;
        write!(f, "{} ({class:02X} {instruction:02X} {p1:02X} {p2:02X}, {} bytes)", self.name, self.data.len())
    }
}

/// An answer: data and status word.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) name: &'static str,
    pub(crate) data: Vec<u8>,
    pub(crate) status: u16,
}

impl Answer {
    /// The status as an error.
    pub(crate) fn error(&self) -> DriverError {
        DriverError::module(self.name, self.status.into())
    }
}

/// Sends a command, follows 61xx and 6Cxx, and gives the whole answer.
pub(crate) fn send(channel: &mut dyn Channel, command: &Command) -> Result<Answer, DriverError> {
    let pieces = command.pieces();
    let mut status = OK;
    let mut data = Vec::new();
    for piece in &pieces {
        (data, status) = exchange(channel, command.name, piece)?;
        if status >> 8 == 0x6C && command.answers {
            // Wrong length: the card says the right one.
            let mut again = Zeroizing::new(Vec::with_capacity(piece.len()));
            again.extend_from_slice(&piece[..piece.len() - 1]);
            again.push(status as u8);
            (data, status) = exchange(channel, command.name, &again)?;
        }
        if status != OK {
            break;
        }
    }
    for _ in 0..MAX_PIECES {
        if status >> 8 != 0x61 {
            return Ok(Answer { name: command.name, data, status });
        }
        let (more, next) = exchange(channel, "GET RESPONSE", &[0, 0xC0, 0, 0, status as u8])?;
        status = next;
        data.extend(more);
        if data.len() > MAX_ANSWER_BYTES {
            return Err(DriverError::protocol(command.name, format!("more than {MAX_ANSWER_BYTES} bytes")));
        }
    }
    Err(DriverError::protocol(command.name, "an answer without end"))
}

fn exchange(channel: &mut dyn Channel, name: &'static str, command: &[u8]) -> Result<(Vec<u8>, u16), DriverError> {
    let mut answer = channel.transmit(command)?;
    let (Some(low), Some(high)) = (answer.pop(), answer.pop()) else {
        return Err(DriverError::protocol(name, "an answer without a status word"));
    };
    Ok((answer, u16::from_be_bytes([high, low])))
}

/// The first element of BER-TLV data: tag of one or two bytes, value, rest.
fn element(bytes: &[u8]) -> Option<(u16, &[u8], &[u8])> {
    let (&first, mut rest) = bytes.split_first()?;
    let mut tag = u16::from(first);
    if first & 0x1f == 0x1f {
        let (&second, after) = rest.split_first()?;
        tag = tag << 8 | u16::from(second);
        rest = after;
    }
    let (&first, rest) = rest.split_first()?;
    let (len, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81 | 0x82 => {
            let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (digits.iter().fold(0, |len, digit| len << 8 | usize::from(*digit)), rest)
        }
        _ => return None,
    };
    let (value, rest) = rest.split_at_checked(len)?;
    Some((tag, value, rest))
}

/// The value of the first element of that tag among those that lie side by side in `bytes`.
pub(crate) fn find(mut bytes: &[u8], tag: u16) -> Option<&[u8]> {
    loop {
        let (found, value, rest) = element(bytes)?;
        if found == tag {
            return Some(value);
        }
        bytes = rest;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::Script;

    #[test]
    fn long_data_is_chained_and_pieces_of_an_answer_are_joined() {
        let long = vec![7; 300];
        let mut script = Script::new(&format!(
            "> 10DB3FFFFF{}\n< 9000\n> 00DB3FFF2D{}00\n< 0102 6102\n> 00C0000002\n< 0304 61FF\n> 00C00000FF\n< 05 9000\n",
            "07".repeat(255),
            "07".repeat(45)
        ));
        let answer = send(&mut script, &Command::asking("PUT DATA", [0, 0xDB, 0x3F, 0xFF], &long)).unwrap();
        assert_eq!((answer.status, answer.data.as_slice()), (OK, [1, 2, 3, 4, 5].as_slice()));
        script.finish();
    }

    #[test]
    fn wrong_length_is_asked_for_again_with_the_right_one() {
        let mut script = Script::new("> 00F8000000\n< 6C04\n> 00F8000004\n< 01020304 9000\n");
        let answer = send(&mut script, &Command::asking("GET SERIAL", [0, 0xF8, 0, 0], &[])).unwrap();
        assert_eq!((answer.status, answer.data.as_slice()), (OK, [1, 2, 3, 4].as_slice()));
        script.finish();
    }

    #[test]
    fn answer_without_end_or_status_is_refused() {
        struct Endless(Vec<u8>);
        impl Channel for Endless {
            fn transmit(&mut self, _: &[u8]) -> Result<Vec<u8>, DriverError> {
                Ok(self.0.clone())
            }
        }
        let ask = Command::asking("GET DATA", [0, 0xCB, 0x3F, 0xFF], &[]);
        for answer in [vec![0x61, 0], [vec![0; 256], vec![0x61, 0xFF]].concat(), vec![], vec![0x90]] {
            assert!(matches!(send(&mut Endless(answer), &ask), Err(DriverError::Protocol { .. })));
        }
    }

    #[test]
    fn printing_a_command_shows_no_pin() {
        let command = Command::new("VERIFY", [0, 0x20, 0, 0x80], b"135791\xff\xff".to_vec());
        assert_eq!(format!("{command:?}"), "VERIFY (00 20 00 80, 8 bytes)");
    }

    #[test]
    fn elements_are_found_and_cut_ones_are_not() {
        let bytes = [0x7F, 0x49, 2, 0x86, 0, 0x53, 0x81, 1, 9];
        assert_eq!(find(&bytes, 0x53), Some([9].as_slice()));
        assert_eq!(find(&bytes, 0x7F49), Some([0x86, 0].as_slice()));
        for len in 0..bytes.len() {
            assert_eq!(find(&bytes[..len], 0x53), None);
        }
        assert_eq!(find(&[0x53, 0x84, 0xff, 0xff, 0xff, 0xff], 0x53), None);
    }
}
