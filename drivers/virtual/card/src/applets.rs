//! The commands of the two applets, as CanoKey answers them.

use std::io::Write as _;

use flate2::{Compression, write::GzEncoder};
use ukey::{DriverError, KeyInfo, KeyUsage, Pin, Sm2Digest};
use ukey_virtual::TokenError;

use crate::{Applet, Card, Command};

type Answer = Result<Vec<u8>, u16>;

const PIV: &[u8] = b"\xA0\x00\x00\x03\x08";
const OPENPGP: &[u8] = b"\xD2\x76\x00\x01\x24\x01";
const NOT_LOGGED_IN: u16 = 0x6982;
const BLOCKED: u16 = 0x6983;
const NOT_FOUND: u16 = 0x6A82;
const WRONG_P1_P2: u16 = 0x6A86;
const NO_KEY: u16 = 0x6A88;
const UNKNOWN: u16 = 0x6D00;

/// A short TLV, or one with a length of two bytes.
fn tlv(tag: &[u8], value: &[u8]) -> Vec<u8> {
    let mut out = tag.to_vec();
    match value.len() {
        len @ 0..=0x7f => out.push(len as u8),
        len => {
            out.push(0x82);
            out.extend((len as u16).to_be_bytes());
        }
    }
    out.extend_from_slice(value);
    out
}

fn status(error: TokenError) -> u16 {
    match error {
        TokenError::LoginEnded => NOT_LOGGED_IN,
        TokenError::Driver(DriverError::PinBlocked) => BLOCKED,
        TokenError::Driver(DriverError::PinIncorrect { tries_left }) => 0x63C0 | tries_left.unwrap_or(0).min(15) as u16,
        TokenError::Driver(DriverError::PinUnacceptable { .. }) => 0x6A80,
        _ => 0x6F00,
    }
}

impl Card {
    pub(crate) fn run(&mut self, command: &Command<'_>) -> Answer {
        match (command.instruction, self.selected) {
            (0xA4, _) => self.select(command.data),
            (_, Applet::None) => Err(UNKNOWN),
            (0x20, _) => self.verify(command),
            (0x24, _) => self.change_pin(command),
            (_, Applet::OpenPgp) => self.openpgp(command),
            (_, Applet::Piv) => self.piv(command),
        }
    }

    fn select(&mut self, aid: &[u8]) -> Answer {
        let applet = match aid {
            PIV if self.switches.piv => Applet::Piv,
            OPENPGP if self.switches.openpgp => Applet::OpenPgp,
            _ => return Err(NOT_FOUND),
        };
        (self.selected, self.login, self.occurrence) = (applet, None, 0);
        Ok(if applet == Applet::Piv { tlv(&[0x61], &tlv(&[0x4F], &PIV[4..])) } else { Vec::new() })
    }

    fn pin_reference(&self) -> u8 {
        if self.selected == Applet::Piv { 0x80 } else { 0x81 }
    }

    fn verify(&mut self, command: &Command<'_>) -> Answer {
        if command.p2 != self.pin_reference() {
            return Err(NO_KEY);
        }
        if command.p1 == 0xFF {
            self.login = None;
            return Ok(Vec::new());
        }
        if command.data.is_empty() {
            let left = self.token.pin_status().map_err(status)?.tries_left.unwrap_or(0);
            return match (&self.login, left) {
                (Some(_), _) => Ok(Vec::new()),
                (None, 0) => Err(BLOCKED),
                (None, left) => Err(0x63C0 | left.min(15) as u16),
            };
        }
        self.login = None;
        self.login = Some(self.token.login(&self.pin(command.data)?).map_err(status)?);
        Ok(Vec::new())
    }

    /// PIV pads with FF, OpenPGP does not.
    fn pin(&self, data: &[u8]) -> Result<Pin, u16> {
        let end = if self.selected == Applet::Piv { data.iter().position(|b| *b == 0xFF) } else { None };
        Pin::new(data[..end.unwrap_or(data.len())].to_vec()).ok_or(0x6A80)
    }

    fn change_pin(&mut self, command: &Command<'_>) -> Answer {
        let half = match self.selected {
            Applet::Piv => 8,
            // OpenPGP has no separator: the card knows the length of the old one. This one is even with itself.
            _ => command.data.len() / 2,
        };
        let (old, new) = command.data.split_at_checked(half).ok_or(0x6700u16)?;
        self.token.change_pin(&self.pin(old)?, &self.pin(new)?).map_err(status)?;
        Ok(Vec::new())
    }

    fn key_in(&self, slot: u8) -> Result<KeyInfo, u16> {
        let keys = self.token.keys().map_err(status)?;
        let mut signing = keys.iter().filter(|k| k.usage == KeyUsage::Signing);
        let found = match slot {
            0x9C => signing.next(),
            0x9A => signing.nth(1),
            0x9E => signing.nth(2),
            0x9D => keys.iter().find(|k| k.usage == KeyUsage::Encryption),
            _ => None,
        };
        found.cloned().ok_or(NO_KEY)
    }

    fn public_key(key: &KeyInfo) -> Vec<u8> {
        tlv(&[0x86], &key.public_key.to_sec1())
    }

    fn piv(&mut self, command: &Command<'_>) -> Answer {
        match command.instruction {
            0xFD => Ok(vec![5, 7, 0]),
            0xF8 => Ok(self.switches.serial.to_vec()),
            0xF7 if self.switches.no_metadata => Err(UNKNOWN),
            0xF7 => {
                let key = self.key_in(command.p2)?;
                let policy = if self.switches.pin_always { 3 } else { 2 };
                let parts = [
                    tlv(&[1], &[self.switches.algorithm]),
                    tlv(&[2], &[policy, 1]),
                    tlv(&[3], &[1]),
                    tlv(&[4], &Self::public_key(&key)),
                ];
                Ok(parts.concat())
            }
            0xCB => self.data_object(command.data),
            0x87 => self.piv_sign(command),
            _ => Err(UNKNOWN),
        }
    }

    fn data_object(&self, wanted: &[u8]) -> Answer {
        let slot = match wanted {
            [0x5C, 3, 0x5F, 0xC1, 0x0A] => 0x9C,
            [0x5C, 3, 0x5F, 0xC1, 0x05] => 0x9A,
            [0x5C, 3, 0x5F, 0xC1, 0x0B] => 0x9D,
            [0x5C, 3, 0x5F, 0xC1, 0x01] => 0x9E,
            _ => return Err(NOT_FOUND),
        };
        let certificate = self.key_in(slot).map_err(|_| NOT_FOUND)?.certificate.ok_or(NOT_FOUND)?.0;
        let (stored, info) = if self.switches.zipped {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
            encoder.write_all(&certificate).map_err(|_| 0x6F00u16)?;
            (encoder.finish().map_err(|_| 0x6F00u16)?, 1)
        } else {
            (certificate, 0)
        };
        Ok(tlv(&[0x53], &[tlv(&[0x70], &stored), tlv(&[0x71], &[info]), tlv(&[0xFE], &[])].concat()))
    }

    fn piv_sign(&mut self, command: &Command<'_>) -> Answer {
        let key = self.key_in(command.p2).map_err(|_| 0x6985u16)?;
        if self.switches.sm2_off || command.p1 != self.switches.algorithm {
            return Err(WRONG_P1_P2);
        }
        let [0x7C, 0x24, 0x82, 0, 0x81, 0x20, e @ ..] = command.data else { return Err(0x6A80) };
        let e = Sm2Digest::from_bytes(e.try_into().map_err(|_| 0x6700u16)?);
        let login = self.login.as_mut().ok_or(NOT_LOGGED_IN)?;
        let signature = login.sign(&key.id, &e).map_err(status)?;
        if self.switches.pin_always {
            self.login = None;
        }
        Ok(tlv(&[0x7C], &tlv(&[0x82], &signature.to_der())))
    }

    fn openpgp(&mut self, command: &Command<'_>) -> Answer {
        let key = self.key_in(0x9C);
        match (command.instruction, command.p1, command.p2) {
            (0xCA, 0, 0x4F) => {
                let [a, b, c, d] = self.switches.serial;
                Ok([OPENPGP, &[3, 4, 0xF1, 0xD0, a, b, c, d, 0, 0]].concat())
            }
            (0xCA, 0, 0xC4) => {
                let left = self.token.pin_status().map_err(status)?.tries_left.unwrap_or(0);
                Ok(vec![0, 16, 16, 16, left as u8, 0, 3])
            }
            (0xA5, occurrence, 4) => {
                self.occurrence = occurrence;
                Ok(Vec::new())
            }
            (0xCA, 0x7F, 0x21) => match (self.occurrence, key?.certificate) {
                (2, Some(certificate)) => Ok(certificate.0),
                _ => Ok(Vec::new()),
            },
            (0x47, 0x81, 0) => Ok(tlv(&[0x7F, 0x49], &Self::public_key(&key?))),
            (0x2A, 0x9E, 0x9A) => {
                let e = Sm2Digest::from_bytes(command.data.try_into().map_err(|_| 0x6700u16)?);
                // "Forced signature PIN": one VERIFY, one signature.
                let mut login = self.login.take().ok_or(NOT_LOGGED_IN)?;
                let signature = login.sign(&key?.id, &e).map_err(status)?;
                Ok(signature.to_raw().to_vec())
            }
            _ => Err(UNKNOWN),
        }
    }
}
