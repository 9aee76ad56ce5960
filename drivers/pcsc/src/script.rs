//! Recorded exchanges as a card, for tests: `> command`, `< answer`, `# comment`. A command that the script does not have next, and an
//! exchange that is left over, fail the test.

use std::collections::VecDeque;

use ukey::DriverError;

use crate::apdu::Channel;

pub(crate) struct Script(VecDeque<(Vec<u8>, Vec<u8>)>);

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    assert!(digits.len().is_multiple_of(2), "{text}");
    digits.chunks(2).map(byte).collect()
}

impl Script {
    pub(crate) fn new(text: &str) -> Self {
        let mut exchanges = VecDeque::new();
        let mut command = None;
        for line in text.lines().map(|line| line.split('#').next().unwrap().trim()).filter(|line| !line.is_empty()) {
            match line.split_at(1) {
                (">", bytes) => assert!(command.replace(hex(bytes)).is_none(), "no answer before {line}"),
                ("<", bytes) => exchanges.push_back((command.take().expect("a command before its answer"), hex(bytes))),
                _ => panic!("{line}"),
            }
        }
        Self(exchanges)
    }

    /// Every exchange was used.
    pub(crate) fn finish(&self) {
        assert!(self.0.is_empty(), "left over: {:02X?}", self.0);
    }
}

impl Channel for Script {
    fn transmit(&mut self, command: &[u8]) -> Result<Vec<u8>, DriverError> {
        let (expected, answer) = self.0.pop_front().unwrap_or_else(|| panic!("unexpected {command:02X?}"));
        assert_eq!(command, expected, "{command:02X?} in place of {expected:02X?}");
        Ok(answer)
    }
}
