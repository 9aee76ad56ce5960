//! The bytes of a PIN while it is typed. One buffer of fixed capacity, wiped when dropped; the window's text only ever holds dots.

use ukey::{Pin, pin::MAX_PIN_BYTES};
use zeroize::Zeroizing;

/// A PIN in the making.
pub struct PinField(Zeroizing<Vec<u8>>);

impl PinField {
    /// Empty, with all the room that it will ever use, so that no copy is left behind by growing.
    pub fn new() -> Self {
        Self(Zeroizing::new(Vec::with_capacity(MAX_PIN_BYTES)))
    }

    /// Takes one typed character: printable ASCII, as no input method is on. Others are ignored, and so is one too many.
    pub fn push(&mut self, c: char) {
        if c.is_ascii_graphic() && self.0.len() < MAX_PIN_BYTES {
            self.0.push(c as u8);
        }
    }

    /// Takes the last character away.
    pub fn pop(&mut self) {
        if let Some(last) = self.0.last_mut() {
            *last = 0;
            self.0.pop();
        }
    }

    /// How many characters are there.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether both hold the same, without saying where they differ.
    pub fn same_as(&self, other: &Self) -> bool {
        self.len() == other.len() && self.0.iter().zip(other.0.iter()).fold(0, |d, (a, b)| d | (a ^ b)) == 0
    }

    /// The PIN; the field is empty afterwards.
    pub fn take(&mut self) -> Option<Pin> {
        Pin::new(std::mem::replace(&mut self.0, Zeroizing::new(Vec::new())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_printable_ascii_is_taken_and_never_too_much() {
        let mut field = PinField::new();
        for c in "12 \u{7}3汉4\n".chars() {
            field.push(c);
        }
        assert_eq!(field.len(), 4);
        field.pop();
        let room = field.0.as_ptr();
        for _ in 0..1000 {
            field.push('x');
        }
        assert_eq!(field.len(), MAX_PIN_BYTES);
        assert_eq!(field.0.as_ptr(), room, "the buffer moved: a copy of the PIN was left behind");
        assert_eq!(&field.take().unwrap().expose()[..4], b"123x");
        assert_eq!(field.len(), 0);
    }

    #[test]
    fn comparison_sees_every_difference() {
        let fill = |text: &str| {
            let mut field = PinField::new();
            text.chars().for_each(|c| field.push(c));
            field
        };
        assert!(fill("135790").same_as(&fill("135790")));
        assert!(!fill("135790").same_as(&fill("135791")));
        assert!(!fill("135790").same_as(&fill("13579")));
    }
}
