//! The PIV applet (NIST SP 800-73-4) with the SM2 extension of CanoKey: the card signs `e` as it is given, without SM3 or Z.
//!
//! The algorithm's number is read from each key's metadata: owners can change it. Cards that know no metadata are taken at the word
//! of their certificates, with CanoKey's default number.

use std::io::Read as _;

use flate2::read::GzDecoder;
use ukey::{
    DriverError, KeyId, KeyInfo, KeyUsage, Sm2Digest, Sm2PublicKey, Sm2Signature, der, driver::MAX_CERTIFICATE_BYTES, wire::Bytes,
};

use crate::{
    apdu::{Answer, Channel, Command, OK, find, send},
    applet::{Key, Reference, public_key},
};

pub(crate) const AID: &[u8] = b"\xA0\x00\x00\x03\x08";
pub(crate) const PIN_REFERENCE: u8 = 0x80;
/// Fewest and most bytes of a PIN; it is padded to the most.
pub(crate) const PIN_BYTES: (usize, usize) = (6, 8);
pub(crate) const SIGN: &str = "GENERAL AUTHENTICATE";

/// CanoKey's number for SM2 where nobody changed it.
const DEFAULT_SM2: u8 = 0x54;
/// PIN policy of a key (metadata tag 02): the PIN before each use.
const PIN_ALWAYS: u8 = 3;

/// A place for a key and its certificate's data object.
struct Slot {
    slot: u8,
    object: [u8; 3],
    /// By its place the key decrypts; a certificate may say otherwise.
    decrypts: bool,
}

const SLOTS: [Slot; 6] = [
    Slot { slot: 0x9C, object: [0x5F, 0xC1, 0x0A], decrypts: false },
    Slot { slot: 0x9A, object: [0x5F, 0xC1, 0x05], decrypts: false },
    Slot { slot: 0x9D, object: [0x5F, 0xC1, 0x0B], decrypts: true },
    Slot { slot: 0x9E, object: [0x5F, 0xC1, 0x01], decrypts: false },
    Slot { slot: 0x82, object: [0x5F, 0xC1, 0x0D], decrypts: true },
    Slot { slot: 0x83, object: [0x5F, 0xC1, 0x0E], decrypts: true },
];

/// What metadata say of a slot.
enum Metadata {
    /// No key, or one of another kind.
    NoSm2Key,
    Sm2 {
        public_key: Sm2PublicKey,
        algorithm: u8,
        pin_always: bool,
    },
    /// The card has no such command.
    Unknown,
}

pub(crate) fn keys(channel: &mut dyn Channel) -> Result<Vec<Key>, DriverError> {
    let mut keys = Vec::new();
    for slot in &SLOTS {
        let metadata = metadata(channel, slot.slot)?;
        if matches!(metadata, Metadata::NoSm2Key) {
            continue;
        }
        let certificate = certificate(channel, slot.object)?;
        let certified = certificate.as_deref().and_then(der::certificate_public_key);
        let (public_key, algorithm, pin_always) = match metadata {
            Metadata::Sm2 { public_key, algorithm, pin_always } => (public_key, algorithm, pin_always),
            _ => match certified {
                Some(public_key) => (public_key, DEFAULT_SM2, false),
                None => continue,
            },
        };
        let certificate = certificate.filter(|_| certified == Some(public_key));
        let may_sign = match certificate.as_deref().and_then(der::certificate_may_sign) {
            Some(may_sign) => may_sign,
            None => !slot.decrypts,
        };
        keys.push(Key {
            info: KeyInfo {
                id: KeyId(format!("piv-{:02x}", slot.slot)),
                usage: if may_sign { KeyUsage::Signing } else { KeyUsage::Encryption },
                public_key,
                certificate: certificate.map(Bytes),
            },
            reference: Reference::Piv { slot: slot.slot, algorithm, pin_always },
        });
    }
    Ok(keys)
}

fn metadata(channel: &mut dyn Channel, slot: u8) -> Result<Metadata, DriverError> {
    let answer = send(channel, &Command::asking("GET METADATA", [0, 0xF7, 0, slot], &[]))?;
    Ok(match answer.status {
        OK => {
            let algorithm = find(&answer.data, 1).and_then(|value| value.first().copied());
            // A point on another curve is no point of this one.
            let key = find(&answer.data, 4).and_then(public_key);
            let pin_always = find(&answer.data, 2).and_then(|value| value.first()) == Some(&PIN_ALWAYS);
            match (algorithm, key) {
                (Some(algorithm), Some(public_key)) => Metadata::Sm2 { public_key, algorithm, pin_always },
                _ => Metadata::NoSm2Key,
            }
        }
        // INS or class unknown, function not supported.
        0x6D00 | 0x6E00 | 0x6A81 => Metadata::Unknown,
        _ => Metadata::NoSm2Key,
    })
}

/// A certificate object: `53 { 70 certificate, 71 00|01 (gzip), FE }` (SP 800-73-4 part 1 appendix A). One that cannot be read is none.
fn certificate(channel: &mut dyn Channel, object: [u8; 3]) -> Result<Option<Vec<u8>>, DriverError> {
    let [a, b, c] = object;
    let answer = send(channel, &Command::asking("GET DATA", [0, 0xCB, 0x3F, 0xFF], &[0x5C, 3, a, b, c]))?;
    if answer.status != OK {
        return Ok(None);
    }
    let read = || {
        let object = find(&answer.data, 0x53)?;
        let stored = find(object, 0x70)?;
        let zipped = find(object, 0x71).and_then(|info| info.first()).is_some_and(|info| info & 1 != 0);
        let mut bytes = Vec::new();
        if zipped {
            GzDecoder::new(stored).take(MAX_CERTIFICATE_BYTES as u64).read_to_end(&mut bytes).ok()?;
        } else {
            bytes.extend_from_slice(stored);
        }
        Some(der::trim_sequence(&bytes)?.to_vec())
    };
    Ok(read())
}

pub(crate) fn serial(channel: &mut dyn Channel) -> Result<Vec<u8>, DriverError> {
    let answer = send(channel, &Command::asking("GET SERIAL", [0, 0xF8, 0, 0], &[]))?;
    Ok(if answer.status == OK && answer.data.len() == 4 { answer.data } else { Vec::new() })
}

/// VERIFY without data. Right after SELECT nobody is logged in, so the card tells the tries.
pub(crate) fn tries_left(channel: &mut dyn Channel) -> Result<Option<u32>, DriverError> {
    let answer = send(channel, &Command::new("VERIFY (status)", [0, 0x20, 0, PIN_REFERENCE], Vec::new()))?;
    match answer.status {
        0x63C0..=0x63CF => Ok(Some(u32::from(answer.status & 0xF))),
        0x6983 => Ok(Some(0)),
        OK => Ok(None),
        _ => Err(answer.error()),
    }
}

/// `7C { 82 (empty: the answer is wanted), 81 e }` → `7C { 82 DER of r and s }`.
pub(crate) fn sign(
    channel: &mut dyn Channel,
    slot: u8,
    algorithm: u8,
    e: &Sm2Digest,
) -> Result<(Answer, Option<Sm2Signature>), DriverError> {
    let data = [&[0x7C, 0x24, 0x82, 0, 0x81, 0x20], e.as_bytes().as_slice()].concat();
    let answer = send(channel, &Command::asking(SIGN, [0, 0x87, algorithm, slot], &data))?;
    let signature = find(&answer.data, 0x7C).and_then(|template| find(template, 0x82)).and_then(Sm2Signature::from_der);
    Ok((answer, signature))
}
