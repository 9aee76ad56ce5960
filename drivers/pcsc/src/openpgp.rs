//! The OpenPGP card application 3.4 with an SM2 signing key, as CanoKey has it. It signs `e` as given and answers `r ‖ s`.
//!
//! Whether a key is SM2 is told by its point, not by its algorithm attributes: CanoKey writes those unlike any other curve's.

use ukey::{DriverError, KeyId, KeyInfo, KeyUsage, Sm2Digest, Sm2Signature, der, pin::MAX_PIN_BYTES, wire::Bytes};

use crate::{
    apdu::{Answer, Channel, Command, OK, find, send},
    applet::{Key, Reference, public_key},
};

pub(crate) const AID: &[u8] = b"\xD2\x76\x00\x01\x24\x01";
/// PW1 for signatures.
pub(crate) const PIN_REFERENCE: u8 = 0x81;
/// Fewest bytes of PW1 (§4.3.2).
const MIN_PIN_BYTES: usize = 6;
pub(crate) const SIGN: &str = "PSO: COMPUTE DIGITAL SIGNATURE";

/// The signing key, if it is SM2.
pub(crate) fn keys(channel: &mut dyn Channel) -> Result<Vec<Key>, DriverError> {
    // GENERATE with P1 81 only reads.
    let answer = send(channel, &Command::asking("GET PUBLIC KEY", [0, 0x47, 0x81, 0], &[0xB6, 0]))?;
    let key = find(&answer.data, 0x7F49).and_then(public_key);
    let (OK, Some(public_key)) = (answer.status, key) else { return Ok(Vec::new()) };
    let certificate = certificate(channel)?.filter(|der| der::certificate_public_key(der) == Some(public_key));
    let may_sign = certificate.as_deref().and_then(der::certificate_may_sign) != Some(false);
    let info = KeyInfo {
        id: KeyId("openpgp-sign".into()),
        usage: if may_sign { KeyUsage::Signing } else { KeyUsage::Encryption },
        public_key,
        certificate: certificate.map(Bytes),
    };
    Ok(vec![Key { info, reference: Reference::OpenPgpSign }])
}

/// The cardholder certificate of the signing key: the third of its name (§7.2.5).
fn certificate(channel: &mut dyn Channel) -> Result<Option<Vec<u8>>, DriverError> {
    let third = [0x60, 4, 0x5C, 2, 0x7F, 0x21];
    // A card without SELECT DATA has one certificate for all keys; whose it is is compared with the key.
    send(channel, &Command::new("SELECT DATA", [0, 0xA5, 2, 4], third.to_vec()))?;
    let answer = send(channel, &Command::asking("GET DATA", [0, 0xCA, 0x7F, 0x21], &[]))?;
    Ok(if answer.status == OK { der::trim_sequence(&answer.data).map(<[u8]>::to_vec) } else { None })
}

/// Manufacturer and serial number from the application's full name (§4.2.1).
pub(crate) fn serial(channel: &mut dyn Channel) -> Result<Vec<u8>, DriverError> {
    let answer = send(channel, &Command::asking("GET DATA", [0, 0xCA, 0, 0x4F], &[]))?;
    Ok(match answer.data.get(8..14) {
        Some(serial) if answer.status == OK => serial.to_vec(),
        _ => Vec::new(),
    })
}

/// The PW status bytes (§4.4.1, DO C4): validity of PW1, longest PW1, two more lengths, tries of PW1, …
fn pw_status(channel: &mut dyn Channel) -> Result<Option<[u8; 7]>, DriverError> {
    let answer = send(channel, &Command::asking("GET DATA", [0, 0xCA, 0, 0xC4], &[]))?;
    Ok(if answer.status == OK { answer.data.try_into().ok() } else { None })
}

pub(crate) fn tries_left(channel: &mut dyn Channel) -> Result<Option<u32>, DriverError> {
    Ok(pw_status(channel)?.map(|status| u32::from(status[4])))
}

/// Fewest and most bytes of PW1. The top bit of the length says that it is a PIN of another form, which is not for us to send.
pub(crate) fn pin_bytes(channel: &mut dyn Channel) -> Result<(usize, usize), DriverError> {
    let most = pw_status(channel)?.map_or(MAX_PIN_BYTES, |status| usize::from(status[1] & 0x7F).min(MAX_PIN_BYTES));
    Ok((MIN_PIN_BYTES, most))
}

pub(crate) fn sign(channel: &mut dyn Channel, e: &Sm2Digest) -> Result<(Answer, Option<Sm2Signature>), DriverError> {
    let answer = send(channel, &Command::asking(SIGN, [0, 0x2A, 0x9E, 0x9A], e.as_bytes()))?;
    let signature = <&[u8; 64]>::try_from(answer.data.as_slice()).ok().map(Sm2Signature::from_raw);
    Ok((answer, signature))
}
