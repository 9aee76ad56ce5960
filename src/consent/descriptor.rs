//! One PIN from a descriptor, for `sign --pin-fd`: an unattended job of the same user, for whom the command is the consent.

use std::io::{self, Read};
use std::sync::{Mutex, PoisonError};

use ukey::{Credential, Pin, pin::MAX_PIN_BYTES};
use zeroize::Zeroizing;

use super::prompt::Answer;
use super::summary::Summary;

/// Holds the one PIN until it is asked for.
#[derive(Debug)]
pub struct Descriptor {
    pin: Mutex<Option<Option<Pin>>>,
}

impl Descriptor {
    /// Reads one line, without its end, from an open descriptor of this process. At most 64 bytes are a PIN; more is none.
    pub fn open(number: u32) -> io::Result<Self> {
        #[cfg(unix)]
        let mut input = std::fs::File::open(format!("/dev/fd/{number}"))?;
        #[cfg(windows)]
        let mut input = match number {
            0 => io::stdin().lock(),
            _ => {
                return Err(io::Error::new(
                    io::ErrorKind::Unsupported,
                    "only descriptor 0 (standard input) can be named on Windows",
                ));
            }
        };
        Self::read(&mut input)
    }

    fn read(input: &mut impl Read) -> io::Result<Self> {
        // Never grown, so that no copy of the PIN stays behind in freed memory.
        let mut pin = Zeroizing::new(Vec::with_capacity(MAX_PIN_BYTES + 1));
        let mut byte = Zeroizing::new([0]);
        while pin.len() <= MAX_PIN_BYTES && input.read(&mut *byte)? == 1 && byte[0] != b'\n' {
            pin.push(byte[0]);
        }
        if pin.last() == Some(&b'\r') {
            pin.pop();
        }
        Ok(Self { pin: Mutex::new(Some(Pin::new(pin))) })
    }

    /// Gives the PIN, once, unless one try is left.
    pub(super) fn ask(&self, summary: &Summary) -> Answer {
        if summary.pin.is_last_try() {
            return Answer::LastTry;
        }
        if summary.pin.on_device {
            // One command is one try, on the device too.
            return if summary.attempt > 1 { Answer::NoMore } else { Answer::Approve(Credential::OnDevice) };
        }
        match self.pin.lock().unwrap_or_else(PoisonError::into_inner).take() {
            Some(Some(pin)) => Answer::Approve(Credential::Pin(pin)),
            Some(None) => Answer::Unacceptable,
            None => Answer::NoMore,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::consent::summary::tests::summary;

    fn asked(bytes: &[u8], tries: Option<u32>) -> (Descriptor, Answer) {
        let descriptor = Descriptor::read(&mut { bytes }).unwrap();
        let mut summary = summary();
        summary.pin.tries_left = tries;
        let answer = descriptor.ask(&summary);
        (descriptor, answer)
    }

    #[test]
    fn one_line_is_one_pin_given_once() {
        let (descriptor, answer) = asked(b"246813\r\n999999\n", Some(5));
        assert!(matches!(answer, Answer::Approve(Credential::Pin(pin)) if pin.expose() == b"246813"));
        assert!(matches!(descriptor.ask(&summary()), Answer::NoMore));
    }

    /// Attack item 34.
    #[test]
    fn one_command_is_one_try_on_the_device_too() {
        let (descriptor, _) = asked(b"", Some(5));
        let mut summary = summary();
        summary.pin.on_device = true;
        assert!(matches!(descriptor.ask(&summary), Answer::Approve(Credential::OnDevice)));
        summary.attempt = 2;
        assert!(matches!(descriptor.ask(&summary), Answer::NoMore));
        (summary.attempt, summary.pin.tries_left) = (1, Some(1));
        assert!(matches!(descriptor.ask(&summary), Answer::LastTry));
    }

    #[test]
    fn last_try_is_not_spent_without_a_person() {
        assert!(matches!(asked(b"246813\n", Some(1)).1, Answer::LastTry));
        assert!(matches!(asked(b"246813", None).1, Answer::Approve(_)));
    }

    #[test]
    fn what_is_no_pin_is_not_sent() {
        assert!(matches!(asked(b"", Some(5)).1, Answer::Unacceptable));
        assert!(matches!(asked(&[b'1'; 65], Some(5)).1, Answer::Unacceptable));
    }
}
