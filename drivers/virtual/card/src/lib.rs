//! The virtual UKey as a card: CanoKey's PIV and OpenPGP applets over a [`Token`], and a connection to vpcd's virtual reader.
//!
//! Signing key n lies in the n-th of the slots 9C, 9A, 9E, the encryption key in 9D; the OpenPGP applet has the first signing key. Both
//! applets share the token's PIN. What a test wants otherwise is in [`Switches`].

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod applets;
mod vpcd;

use ukey_virtual::{
    Token, Unlocked,
    calls::{Act, CallFault, Calls},
};

pub use crate::vpcd::Inserted;

/// CanoKey's answer to reset: T=1, historical bytes "Canokey".
pub const ATR: [u8; 17] = *b"\x3B\xF7\x11\x00\x00\x81\x31\xFE\x65\x43\x61\x6E\x6F\x6B\x65\x79\x99";

/// What the card does otherwise than a CanoKey.
#[derive(Clone, Debug)]
pub struct Switches {
    /// The number of the SM2 algorithm.
    pub algorithm: u8,
    /// Answers to these instructions lose the second half of their data.
    pub corrupt: Vec<u8>,
    /// GET RESPONSE always has more.
    pub endless: bool,
    /// An Le that is not exact is answered by 6Cxx when data are read.
    pub exact_le: bool,
    /// What happens at which command; the function is the instruction in hexadecimal, such as `87`.
    pub faults: Vec<CallFault>,
    /// The card has no metadata command.
    pub no_metadata: bool,
    /// It has the OpenPGP applet.
    pub openpgp: bool,
    /// It has the PIV applet.
    pub piv: bool,
    /// PIV keys want the PIN before each use.
    pub pin_always: bool,
    /// The serial number.
    pub serial: [u8; 4],
    /// SM2 is switched off: its keys answer 6A86.
    pub sm2_off: bool,
    /// Certificates are compressed.
    pub zipped: bool,
}

impl Default for Switches {
    fn default() -> Self {
        Self {
            algorithm: 0x54,
            corrupt: Vec::new(),
            endless: false,
            exact_le: false,
            faults: Vec::new(),
            no_metadata: false,
            openpgp: true,
            piv: true,
            pin_always: false,
            serial: [0, 0, 0x30, 0x39],
            sm2_off: false,
            zipped: false,
        }
    }
}

/// What comes of a command.
#[derive(Debug, Eq, PartialEq)]
pub enum Outcome {
    /// Data and status word.
    Answer(Vec<u8>),
    /// The card never answers.
    Hang,
    /// The card is pulled out.
    Removed,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Applet {
    None,
    OpenPgp,
    Piv,
}

/// A card with a virtual token in it.
pub struct Card {
    token: Token,
    switches: Switches,
    calls: Calls,
    selected: Applet,
    login: Option<Unlocked>,
    /// Which certificate of the OpenPGP applet the next GET DATA reads.
    occurrence: u8,
    /// The rest of an answer, for GET RESPONSE.
    rest: Vec<u8>,
    /// Data of a chain that has not ended.
    chain: Vec<u8>,
}

/// A command taken apart.
struct Command<'a> {
    instruction: u8,
    p1: u8,
    p2: u8,
    data: &'a [u8],
    le: Option<usize>,
}

impl Card {
    /// A card that was just put in.
    pub fn new(token: Token, switches: Switches) -> Self {
        Self {
            token,
            switches,
            calls: Calls::default(),
            selected: Applet::None,
            login: None,
            occurrence: 0,
            rest: Vec::new(),
            chain: Vec::new(),
        }
    }

    /// Changes the switches; calls are counted from here on.
    fn set(&mut self, change: impl FnOnce(&mut Switches)) {
        change(&mut self.switches);
        self.calls = Calls::default();
    }

    /// Power was switched off or on.
    pub fn reset(&mut self) {
        (self.selected, self.login, self.occurrence) = (Applet::None, None, 0);
        self.rest.clear();
        self.chain.clear();
    }

    /// Takes one command.
    pub fn exchange(&mut self, bytes: &[u8]) -> Outcome {
        let Some((class, command)) = parse(bytes) else { return Outcome::Answer(vec![0x67, 0]) };
        const NAMES: [&str; 15] = ["A4", "20", "24", "87", "F7", "F8", "CB", "CA", "C0", "47", "2A", "A5", "FD", "DB", "DA"];
        let name = format!("{:02X}", command.instruction);
        let act = NAMES.iter().find(|known| **known == name).and_then(|name| self.calls.enter(name, &self.switches.faults));
        match act {
            Some(Act::Remove | Act::Crash) => return Outcome::Removed,
            Some(Act::Hang) => return Outcome::Hang,
            Some(Act::Return(status)) => return Outcome::Answer((status as u16).to_be_bytes().to_vec()),
            Some(Act::Wait(milliseconds)) => std::thread::sleep(std::time::Duration::from_millis(milliseconds.into())),
            None => {}
        }
        self.chain.extend_from_slice(command.data);
        if class & 0x10 != 0 {
            return Outcome::Answer(vec![0x90, 0]);
        }
        let data = std::mem::take(&mut self.chain);
        let command = Command { data: &data, ..command };
        Outcome::Answer(self.answer(&command))
    }

    fn answer(&mut self, command: &Command<'_>) -> Vec<u8> {
        let result = match command.instruction {
            0xC0 if self.switches.endless => Ok(vec![0; 256]),
            0xC0 => Ok(std::mem::take(&mut self.rest)),
            _ => self.run(command),
        };
        let mut data = match result {
            Ok(data) => data,
            Err(status) => return status.to_be_bytes().to_vec(),
        };
        if self.switches.corrupt.contains(&command.instruction) {
            data.truncate(data.len() / 2);
        }
        let le = command.le.unwrap_or(256);
        let reads = matches!(command.instruction, 0xCA | 0xCB | 0xF7 | 0xF8);
        if self.switches.exact_le && reads && !data.is_empty() && data.len() < le {
            return vec![0x6C, data.len() as u8]; // less than 256
        }
        let status = if data.len() > le || self.switches.endless && command.instruction == 0xC0 {
            self.rest = data.split_off(data.len().min(le));
            [0x61, self.rest.len().min(0xFF) as u8]
        } else {
            [0x90, 0]
        };
        data.extend(status);
        data
    }
}

/// Short and extended forms (ISO 7816-4 §5.2). `None`: lengths that do not add up.
fn parse(bytes: &[u8]) -> Option<(u8, Command<'_>)> {
    let [class, instruction, p1, p2, body @ ..] = bytes else { return None };
    let command = |data, le| (*class, Command { instruction: *instruction, p1: *p1, p2: *p2, data, le });
    let full = |le: usize, most: usize| Some(if le == 0 { most } else { le });
    Some(match body {
        [] => command(&[], None),
        [le] => command(&[], full(usize::from(*le), 256)),
        [0, a, b] => command(&[], full(usize::from(u16::from_be_bytes([*a, *b])), 65536)),
        [0, a, b, rest @ ..] => {
            let (data, le) = rest.split_at_checked(usize::from(u16::from_be_bytes([*a, *b])))?;
            match le {
                [] => command(data, None),
                [a, b] => command(data, full(usize::from(u16::from_be_bytes([*a, *b])), 65536)),
                _ => return None,
            }
        }
        [len, rest @ ..] => {
            let (data, le) = rest.split_at_checked(usize::from(*len))?;
            match le {
                [] => command(data, None),
                [le] => command(data, full(usize::from(*le), 256)),
                _ => return None,
            }
        }
    })
}
