//! How secrets lie in a token's file: SM4-CTR, then HMAC-SM3 over initial value and ciphertext. The key is 32 bytes, half for each.
//!
//! The key that wraps the token's data key comes from the PIN by Argon2id; the wrap's authentication code is the only PIN verifier.

use argon2::{Algorithm, Argon2, Params, Version};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::{Deserialize, Serialize};
use sm3::Sm3;
use sm4::{Sm4, cipher::BlockCipherEncrypt as _};
use ukey::{Pin, wire::Bytes};
use zeroize::{Zeroize as _, Zeroizing};

/// Half for SM4, half for HMAC-SM3.
pub(crate) type Key = Zeroizing<[u8; 32]>;

/// 8 MiB and two passes: about 15 ms. The folder is no safer than the PIN is long, whatever this costs; a login that takes
/// longer than a real token's would only make the benches of the agent say less.
const MEMORY_KIB: u32 = 8 << 10;
const PASSES: u32 = 2;

/// Bytes under a [`Key`].
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wrapped {
    iv: Bytes,
    ciphertext: Bytes,
    mac: Bytes,
}

/// 32 fresh random bytes.
pub(crate) fn random_key() -> Result<Key, getrandom::Error> {
    let mut key = Key::default();
    getrandom::fill(key.as_mut_slice())?;
    Ok(key)
}

/// The key that a PIN gives with this salt.
pub(crate) fn key_from_pin(pin: &Pin, salt: &[u8]) -> Result<Key, argon2::Error> {
    let mut key = Key::default();
    let params = Params::new(MEMORY_KIB, PASSES, 1, Some(key.len()))?;
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params).hash_password_into(pin.expose(), salt, key.as_mut_slice())?;
    Ok(key)
}

impl Wrapped {
    /// Encrypts and authenticates `secret`. `context` says what it is; unwrapping needs the same.
    pub(crate) fn new(key: &Key, context: &str, secret: &[u8]) -> Result<Self, getrandom::Error> {
        let mut iv = [0; 16];
        getrandom::fill(&mut iv)?;
        let mut ciphertext = secret.to_vec();
        apply_sm4_ctr(key, iv, &mut ciphertext);
        let mac = mac(key, context, &iv, &ciphertext).finalize().into_bytes().to_vec();
        Ok(Self { iv: Bytes(iv.to_vec()), ciphertext: Bytes(ciphertext), mac: Bytes(mac) })
    }

    /// The secret; `None` when the key, the context or a byte is not what it was.
    pub(crate) fn open(&self, key: &Key, context: &str) -> Option<Zeroizing<Vec<u8>>> {
        let iv: [u8; 16] = self.iv.0.as_slice().try_into().ok()?;
        mac(key, context, &iv, &self.ciphertext.0).verify_slice(&self.mac.0).ok()?;
        let mut secret = Zeroizing::new(self.ciphertext.0.clone());
        apply_sm4_ctr(key, iv, &mut secret);
        Some(secret)
    }
}

fn mac(key: &Key, context: &str, iv: &[u8; 16], ciphertext: &[u8]) -> Hmac<Sm3> {
    // 16 bytes are less than HMAC-SM3's block, so `new_from_slice` takes them as they are; it refuses no length anyway.
    let mut mac = <Hmac<Sm3> as hmac::KeyInit>::new_from_slice(&key[16..])
        .unwrap_or_else(|_| unreachable!("HMAC takes keys of any length"));
    mac.update(&(context.len() as u64).to_be_bytes());
    mac.update(context.as_bytes());
    mac.update(iv);
    mac.update(ciphertext);
    mac
}

fn apply_sm4_ctr(key: &Key, iv: [u8; 16], data: &mut [u8]) {
    let mut sm4_key = [0; 16];
    sm4_key.copy_from_slice(&key[..16]);
    let cipher = Sm4::new(&sm4_key.into());
    sm4_key.zeroize();
    for (counter, chunk) in data.chunks_mut(16).enumerate() {
        let block = u128::from_be_bytes(iv).wrapping_add(counter as u128).to_be_bytes();
        let mut block = sm4::cipher::Array::from(block);
        cipher.encrypt_block(&mut block);
        chunk.iter_mut().zip(&block).for_each(|(byte, pad)| *byte ^= pad);
        block.as_mut_slice().zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> Key {
        Zeroizing::new([byte; 32])
    }

    /// GB/T 32907-2016 Annex A.1: the first block of CTR from iv P over zeros is the ECB encryption of P.
    #[test]
    fn standard_sm4_example_is_the_first_pad() {
        let p = 0x0123_4567_89ab_cdef_fedc_ba98_7654_3210_u128.to_be_bytes();
        let mut k = key(0);
        k[..16].copy_from_slice(&p);
        let mut data = [0; 16];
        apply_sm4_ctr(&k, p, &mut data);
        assert_eq!(u128::from_be_bytes(data), 0x681e_df34_d206_965e_86b3_e94f_536e_4246);
    }

    #[test]
    fn wrapped_opens_only_with_its_key_its_context_and_its_bytes() {
        let wrapped = Wrapped::new(&key(1), "data key", &[7; 40]).unwrap();
        assert_eq!(wrapped.open(&key(1), "data key").unwrap().as_slice(), [7; 40]);
        assert!(wrapped.open(&key(2), "data key").is_none());
        assert!(wrapped.open(&key(1), "other").is_none());
        let changes: [fn(&mut Wrapped); 4] =
            [|w| w.iv.0[3] ^= 1, |w| w.ciphertext.0[39] ^= 1, |w| w.mac.0[0] ^= 1, |w| w.mac.0.truncate(8)];
        for change in changes {
            let mut changed = wrapped.clone();
            change(&mut changed);
            assert!(changed.open(&key(1), "data key").is_none());
        }
    }
}
