//! The user PIN of a token: typed on the host, handed to one login, wiped.

use std::fmt;

use zeroize::Zeroizing;

/// Longest PIN that is accepted, in bytes. GM/T 0016 names no maximum; 64 is four times what tokens take.
pub const MAX_PIN_BYTES: usize = 64;

/// A PIN. It is moved, never cloned, has no `Serialize`, prints as `Pin(..)`, and its bytes are wiped when it is dropped.
///
/// ```compile_fail
/// let pin = ukey::Pin::new(b"123456".to_vec()).unwrap();
/// let copy = pin.clone();
/// ```
/// ```compile_fail
/// let pin = ukey::Pin::new(b"123456".to_vec()).unwrap();
/// println!("{pin}");
/// ```
/// ```compile_fail
/// fn needs<T: serde::Serialize>(_: T) {}
/// needs(ukey::Pin::new(b"123456".to_vec()).unwrap());
/// ```
pub struct Pin(Zeroizing<Vec<u8>>);

impl Pin {
    /// Takes the bytes as typed. Returns `None`, with the bytes wiped, when there are none or more than [`MAX_PIN_BYTES`],
    /// or when one is NUL (every token interface would cut the PIN there).
    pub fn new(bytes: impl Into<Zeroizing<Vec<u8>>>) -> Option<Self> {
        let bytes = bytes.into();
        if bytes.is_empty() || bytes.len() > MAX_PIN_BYTES || bytes.contains(&0) { None } else { Some(Self(bytes)) }
    }

    /// The bytes, for the one call that hands them to the token.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pin(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_prints_no_digit() {
        let pin = Pin::new(b"135791".to_vec()).unwrap();
        assert_eq!(format!("{pin:?}"), "Pin(..)");
    }

    #[test]
    fn empty_long_and_nul_are_refused() {
        assert!(Pin::new(Vec::new()).is_none());
        assert!(Pin::new(vec![b'1'; MAX_PIN_BYTES + 1]).is_none());
        assert!(Pin::new(b"12\x0034".to_vec()).is_none());
        assert_eq!(Pin::new(vec![b'1'; MAX_PIN_BYTES]).unwrap().expose().len(), MAX_PIN_BYTES);
    }
}
