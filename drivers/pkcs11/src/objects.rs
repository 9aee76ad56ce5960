//! What lies on a token: certificates, keys and data objects, as far as they can be seen.
//!
//! Keys are paired by their public key, never by position; `CKA_ID` only names them. The two certificates of a GM pair often share
//! subject and id, so an id that is not unique gets the start of the public key behind it.

use ukey::{
    DriverError, KeyId, KeyInfo, KeyUsage, Sm2PublicKey, der,
    driver::{MAX_CERTIFICATE_BYTES, MAX_SEAL_BYTES, MAX_SEALS},
    wire::Bytes,
};

use crate::{
    Opened, at_most_keys,
    ffi::{self, Ulong},
    module::ObjectHandle,
};

/// The curve 1.2.156.10197.1.301 as `CKA_EC_PARAMS` gives it.
const SM2_CURVE: &[u8] = b"\x06\x08\x2a\x81\x1c\xcf\x55\x01\x82\x2d";
/// Longest id, in bytes: ids are digests or short numbers.
const MAX_ID_BYTES: usize = 128;
/// Longest `CKA_EC_PARAMS` or `CKA_EC_POINT` that can be of an SM2 key, or of a larger curve that is passed over.
const MAX_POINT_BYTES: usize = 1024;

/// A public key seen in a certificate or a key object.
struct Seen {
    id: Vec<u8>,
    public_key: Sm2PublicKey,
    certificate: Option<Vec<u8>>,
    /// `CKA_VERIFY` of the public key object.
    verifies: Option<bool>,
}

/// A private key object.
#[derive(Clone, Copy)]
pub(crate) struct PrivateKey {
    pub(crate) object: ObjectHandle,
    /// It wants the PIN between `C_SignInit` and `C_Sign`, each time.
    pub(crate) always_authenticate: bool,
}

impl Opened<'_> {
    fn bytes(&self, object: ObjectHandle, kind: Ulong, max: usize) -> Result<Vec<u8>, DriverError> {
        Ok(self.module().attribute(self.session, object, kind, max)?.unwrap_or_default())
    }

    /// A `CK_BBOOL` attribute; `None` where it is not shown.
    fn flag(&self, object: ObjectHandle, kind: Ulong) -> Result<Option<bool>, DriverError> {
        let value = self.module().attribute(self.session, object, kind, MAX_ID_BYTES)?;
        Ok(value.and_then(|bytes| bytes.first().map(|byte| *byte != 0)))
    }

    fn id(&self, object: ObjectHandle) -> Result<Vec<u8>, DriverError> {
        self.bytes(object, ffi::CKA_ID, MAX_ID_BYTES)
    }

    /// Every SM2 key that a certificate or a public key object shows.
    pub(crate) fn key_list(&self) -> Result<Vec<KeyInfo>, DriverError> {
        let mut seen = Vec::<Seen>::new();
        for object in self.module().objects(self.session, ffi::CKO_CERTIFICATE)? {
            let value = self.bytes(object, ffi::CKA_VALUE, MAX_CERTIFICATE_BYTES)?;
            let Some(certificate) = der::trim_sequence(&value) else { continue };
            let Some(public_key) = der::certificate_public_key(certificate) else { continue };
            let id = self.id(object)?;
            if seen.iter().all(|s| s.public_key != public_key) {
                seen.push(Seen { id, public_key, certificate: Some(certificate.to_vec()), verifies: None });
            }
        }
        for object in self.module().objects(self.session, ffi::CKO_PUBLIC_KEY)? {
            let Some(public_key) = self.point(object)? else { continue };
            let verifies = self.flag(object, ffi::CKA_VERIFY)?;
            match seen.iter_mut().find(|s| s.public_key == public_key) {
                Some(known) => known.verifies = verifies,
                None => seen.push(Seen { id: self.id(object)?, public_key, certificate: None, verifies }),
            }
        }
        let info = |key: &Seen| {
            let may_sign = match &key.certificate {
                Some(certificate) => der::certificate_may_sign(certificate).unwrap_or(false),
                None => key.verifies != Some(false),
            };
            KeyInfo {
                id: key_id(key, &seen),
                usage: if may_sign { KeyUsage::Signing } else { KeyUsage::Encryption },
                public_key: key.public_key,
                certificate: key.certificate.clone().map(Bytes),
            }
        };
        Ok(at_most_keys(seen.iter().map(info).collect()))
    }

    /// The SM2 point of a key object; `None` for keys of other kinds, and for private keys that do not show it.
    fn point(&self, object: ObjectHandle) -> Result<Option<Sm2PublicKey>, DriverError> {
        let mut kind = [0; size_of::<Ulong>()];
        let value = self.bytes(object, ffi::CKA_KEY_TYPE, MAX_ID_BYTES)?;
        if value.len() == kind.len() {
            kind.copy_from_slice(&value);
        }
        let kind = Ulong::from_ne_bytes(kind);
        let profiles = &self.driver.profiles;
        let vendors_own = profiles.iter().any(|p| p.key_types.iter().any(|known| Ulong::from(*known) == kind));
        if kind != ffi::CKK_EC && !vendors_own {
            return Ok(None);
        }
        let curve = self.bytes(object, ffi::CKA_EC_PARAMS, MAX_POINT_BYTES)?;
        // Modules leave the curve out where the key type says it.
        if curve != SM2_CURVE && !(vendors_own && curve.is_empty()) {
            return Ok(None);
        }
        if let Some(point) = read_point(&self.bytes(object, ffi::CKA_EC_POINT, MAX_POINT_BYTES)?) {
            return Ok(Some(point));
        }
        for [x, y] in profiles.iter().filter_map(|p| p.point_attributes) {
            let x = self.bytes(object, x.into(), MAX_POINT_BYTES)?;
            let y = self.bytes(object, y.into(), MAX_POINT_BYTES)?;
            if let Some(point) = read_coordinates(&x, &y) {
                return Ok(Some(point));
            }
        }
        Ok(None)
    }

    /// Private keys that may be the one: those that show its point, else those with its id; none that may not sign.
    pub(crate) fn private_keys(&self, key: &KeyId, public_key: &Sm2PublicKey) -> Result<Vec<PrivateKey>, DriverError> {
        let (mut by_point, mut by_id) = (Vec::new(), Vec::new());
        for object in self.module().objects(self.session, ffi::CKO_PRIVATE_KEY)? {
            if self.flag(object, ffi::CKA_SIGN)? == Some(false) {
                continue;
            }
            let list = match self.point(object)? {
                Some(point) if point == *public_key => &mut by_point,
                Some(_) => continue,
                None => {
                    let id = hex(&self.id(object)?);
                    if key.0 != id && !key.0.strip_prefix(&id).is_some_and(|rest| rest.starts_with('-')) {
                        continue;
                    }
                    &mut by_id
                }
            };
            let always_authenticate = self.flag(object, ffi::CKA_ALWAYS_AUTHENTICATE)? == Some(true);
            list.push(PrivateKey { object, always_authenticate });
        }
        Ok(if by_point.is_empty() { by_id } else { by_point })
    }

    /// Data objects that begin with a SEQUENCE, without what follows it.
    pub(crate) fn seal_list(&self) -> Result<Vec<Vec<u8>>, DriverError> {
        let mut seals = Vec::new();
        for object in self.module().objects(self.session, ffi::CKO_DATA)? {
            let value = self.bytes(object, ffi::CKA_VALUE, MAX_SEAL_BYTES)?;
            if let Some(seal) = der::trim_sequence(&value) {
                seals.push(seal.to_vec());
            }
        }
        seals.truncate(MAX_SEALS);
        Ok(seals)
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// `CKA_ID` in hex, with the first eight bytes of x behind it where another key has the same.
fn key_id(key: &Seen, all: &[Seen]) -> KeyId {
    let id = hex(&key.id);
    if all.iter().filter(|other| other.id == key.id).count() == 1 && !id.is_empty() {
        return KeyId(id);
    }
    KeyId(format!("{id}-{}", hex(&key.public_key.as_bytes()[..8])))
}

/// `CKA_EC_POINT`: an OCTET STRING around the point (PKCS#11 §6.3), the bare point, x ‖ y alone, or a BIT STRING.
fn read_point(value: &[u8]) -> Option<Sm2PublicKey> {
    let point = match value {
        [0x04, 0x41, point @ ..] if point.len() == 65 => point,
        [0x04, 0x81, 0x41, point @ ..] if point.len() == 65 => point,
        [0x03, 0x42, 0x00, point @ ..] => point,
        xy if xy.len() == 64 => return Sm2PublicKey::new(xy.try_into().ok()?),
        point => point,
    };
    Sm2PublicKey::from_sec1(point)
}

/// Coordinates in attributes of their own, padded with zeros at the front or stripped of them.
fn read_coordinates(x: &[u8], y: &[u8]) -> Option<Sm2PublicKey> {
    let mut xy = [0; 64];
    for (out, value) in xy.chunks_mut(32).zip([x, y]) {
        let zeros = value.iter().take_while(|byte| **byte == 0).count();
        let digits = &value[zeros..];
        out.get_mut(32usize.checked_sub(digits.len())?..)?.copy_from_slice(digits);
    }
    Sm2PublicKey::new(xy)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> Sm2PublicKey {
        "32c4ae2c1f1981195f9904466a39c9948fe30bbff2660be1715a4589334c74c7bc3736a2f4f6779c59bdcee36b692153d0a9877cc62a474002df32e52139f0a0"
            .parse()
            .unwrap()
    }

    #[test]
    fn point_is_read_in_every_form() {
        let bare = key().to_sec1();
        for form in [
            [&[0x04, 0x41], bare.as_slice()].concat(),
            [&[0x04, 0x81, 0x41], bare.as_slice()].concat(),
            [&[0x03, 0x42, 0x00], bare.as_slice()].concat(),
            bare.to_vec(),
            key().as_bytes().to_vec(),
        ] {
            assert_eq!(read_point(&form), Some(key()), "{form:02x?}");
            assert_eq!(read_point(&form[..form.len() - 1]), None);
        }
        let key_bytes = *key().as_bytes();
        let (x, y) = key_bytes.split_at(32);
        assert_eq!(read_coordinates(&[&[0, 0], x].concat(), y), Some(key()));
        assert_eq!(read_coordinates(x, x), None);
        assert_eq!(read_coordinates(&[1; 33], y), None);
    }

    #[test]
    fn keys_that_share_an_id_get_different_names() {
        let seen = |id: &[u8]| Seen { id: id.to_vec(), public_key: key(), certificate: None, verifies: None };
        let all = [seen(b"\x01"), seen(b"\x02"), seen(b"\x02"), seen(b"")];
        let ids: Vec<_> = all.iter().map(|key| key_id(key, &all).0).collect();
        assert_eq!(ids, ["01", "02-32c4ae2c1f198119", "02-32c4ae2c1f198119", "-32c4ae2c1f198119"]);
    }
}
