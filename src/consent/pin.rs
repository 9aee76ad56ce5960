//! A new PIN in place of the old one: the person sees which token it is and how many tries are left, types the old PIN once and the
//! new one twice, and both leave the prompt together. Nothing is taken for a new PIN that breaks a rule no token would bend.

use std::fmt;

use ukey::{Pin, PinStatus};

use super::prompt::{Cancel, PromptQueue};
use super::summary::TokenShown;
use crate::question::MIN_NEW_PIN;

/// So often the new PIN may be typed anew after a slip; no token has seen it then.
pub(super) const NEW_PIN_ROUNDS: usize = 5;

/// What the person is shown.
#[derive(Clone, Debug)]
pub struct PinChangeShown {
    /// The token.
    pub token: TokenShown,
    /// State of its PIN, read just now.
    pub pin: PinStatus,
    /// 1, and one more after each wrong old PIN.
    pub attempt: u32,
}

impl PinChangeShown {
    /// Whether the next wrong old PIN locks the token.
    pub fn is_last_try(&self) -> bool {
        self.pin.is_last_try()
    }
}

/// Old and new PIN, typed and compared.
pub struct PinChange {
    /// The PIN that counts now.
    pub old: Pin,
    /// The one that shall.
    pub new: Pin,
}

impl fmt::Debug for PinChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PinChange(..)")
    }
}

/// What came of asking.
#[derive(Debug)]
#[non_exhaustive]
pub enum PinChangeAnswer {
    /// Change it.
    Approve(PinChange),
    /// No.
    Decline,
    /// There is nothing to show a prompt on.
    NoPrompt,
    /// No answer in time.
    TimedOut,
    /// What was typed breaks a rule; no token saw it.
    Unacceptable,
    /// It is not wanted any more.
    Withdrawn,
}

/// Which rule a new PIN breaks. Tokens have further ones of their own.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NewPinFault {
    /// It was typed in two ways.
    Differs,
    /// It is the old one.
    Same,
    /// It is shorter than [`MIN_NEW_PIN`] (GM/T 0027 clause 9.2).
    Short,
}

impl NewPinFault {
    /// What is wrong with `new`, typed once more as `again`. Takes as long for equal as for unequal PINs of one length.
    pub fn of(old: &[u8], new: &[u8], again: &[u8]) -> Option<Self> {
        let same = |a: &[u8], b: &[u8]| a.len() == b.len() && a.iter().zip(b).fold(0, |d, (a, b)| d | (a ^ b)) == 0;
        if !same(new, again) {
            Some(Self::Differs)
        } else if new.len() < MIN_NEW_PIN {
            Some(Self::Short)
        } else if same(old, new) {
            Some(Self::Same)
        } else {
            None
        }
    }

    /// Its text in `prompt.json`.
    pub(super) fn key(self) -> &'static str {
        match self {
            Self::Differs => "pin_differs",
            Self::Same => "pin_same",
            Self::Short => "pin_short",
        }
    }
}

/// Both PINs as typed, when no rule is broken.
pub(super) fn approved(old: Option<Pin>, new: Option<Pin>) -> PinChangeAnswer {
    match (old, new) {
        (Some(old), Some(new)) if NewPinFault::of(old.expose(), new.expose(), new.expose()).is_none() => {
            PinChangeAnswer::Approve(PinChange { old, new })
        }
        _ => PinChangeAnswer::Unacceptable,
    }
}

impl PromptQueue {
    /// Asks once, when no other prompt is visible.
    pub async fn ask_pin_change(&self, shown: &PinChangeShown, cancel: &Cancel) -> PinChangeAnswer {
        let mut withdrawn = cancel.clone();
        let _visible = tokio::select! {
            biased;
            () = withdrawn.cancelled() => return PinChangeAnswer::Withdrawn,
            visible = self.visible() => visible,
        };
        let interrupt = async {
            tokio::select! {
                () = withdrawn.cancelled() => PinChangeAnswer::Withdrawn,
                () = tokio::time::sleep(self.timeout()) => PinChangeAnswer::TimedOut,
            }
        };
        self.prompter().ask_pin_change(shown, interrupt).await.unwrap_or_else(|interrupted| interrupted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_pin_is_long_enough_typed_alike_and_another_one() {
        for (old, new, again, fault) in [
            ("135790", "246824", "246824", None),
            ("135790", "246824", "246825", Some(NewPinFault::Differs)),
            ("135790", "24682", "24682", Some(NewPinFault::Short)),
            ("135790", "135790", "135790", Some(NewPinFault::Same)),
            ("135790", "", "", Some(NewPinFault::Short)),
        ] {
            assert_eq!(NewPinFault::of(old.as_bytes(), new.as_bytes(), again.as_bytes()), fault, "{old} {new} {again}");
        }
    }

    #[test]
    fn debug_prints_no_digit() {
        let pin = |text: &str| Pin::new(text.as_bytes().to_vec());
        let answer = approved(pin("135790"), pin("246824"));
        assert_eq!(format!("{answer:?}"), "Approve(PinChange(..))");
        assert!(matches!(approved(pin("135790"), pin("135790")), PinChangeAnswer::Unacceptable));
        assert!(matches!(approved(None, pin("246824")), PinChangeAnswer::Unacceptable));
    }
}
