//! What the two applets have in common: being selected, their PIN, a login that signs. The bytes of each are in `piv` and `openpgp`.

use ukey::{
    Authenticated, DriverError, KeyId, KeyInfo, KeyUsage, Pin, PinStatus, Sm2Digest, Sm2Message, Sm2PublicKey, Sm2Signature,
    check,
};
use zeroize::Zeroizing;

use crate::{
    apdu::{Answer, Channel, Command, OK, find, send},
    openpgp, piv,
};

/// Security status not satisfied: no PIN, or no longer.
pub(crate) const NOT_LOGGED_IN: u16 = 0x6982;
const PIN_BLOCKED: u16 = 0x6983;

/// An applet that is known to hold SM2 keys on some cards.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Applet {
    OpenPgp,
    Piv,
}

/// How the card names a key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Reference {
    OpenPgpSign,
    Piv {
        slot: u8,
        algorithm: u8,
        /// The PIN is wanted before each signature.
        pin_always: bool,
    },
}

/// A key and how to ask for it.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    pub(crate) info: KeyInfo,
    pub(crate) reference: Reference,
}

impl Applet {
    pub(crate) const ALL: [Self; 2] = [Self::Piv, Self::OpenPgp];

    /// For ids and labels.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::OpenPgp => "OpenPGP",
            Self::Piv => "PIV",
        }
    }

    /// Selects it: `false` when the card has none. Whatever was selected before loses its PIN state.
    pub(crate) fn select(self, channel: &mut dyn Channel) -> Result<bool, DriverError> {
        let aid = match self {
            Self::OpenPgp => openpgp::AID,
            Self::Piv => piv::AID,
        };
        Ok(send(channel, &Command::asking("SELECT", [0, 0xA4, 4, 0], aid))?.status == OK)
    }

    /// Its SM2 keys.
    pub(crate) fn keys(self, channel: &mut dyn Channel) -> Result<Vec<Key>, DriverError> {
        match self {
            Self::OpenPgp => openpgp::keys(channel),
            Self::Piv => piv::keys(channel),
        }
    }

    /// The card's serial number, or no bytes.
    pub(crate) fn serial(self, channel: &mut dyn Channel) -> Result<Vec<u8>, DriverError> {
        match self {
            Self::OpenPgp => openpgp::serial(channel),
            Self::Piv => piv::serial(channel),
        }
    }

    /// State of the PIN; spends no try.
    pub(crate) fn pin_status(self, channel: &mut dyn Channel) -> Result<PinStatus, DriverError> {
        let tries_left = match self {
            Self::OpenPgp => openpgp::tries_left(channel)?,
            Self::Piv => piv::tries_left(channel)?,
        };
        Ok(PinStatus { tries_left, blocked: tries_left == Some(0), last_try: tries_left == Some(1), ..PinStatus::default() })
    }

    /// Fewest and most bytes of a PIN.
    fn pin_bytes(self, channel: &mut dyn Channel) -> Result<(usize, usize), DriverError> {
        match self {
            Self::OpenPgp => openpgp::pin_bytes(channel),
            Self::Piv => Ok(piv::PIN_BYTES),
        }
    }

    /// The PIN as it is sent, or why it cannot be right.
    fn pin_data(self, channel: &mut dyn Channel, pin: &Pin) -> Result<Zeroizing<Vec<u8>>, DriverError> {
        let (least, most) = self.pin_bytes(channel)?;
        let pin = pin.expose();
        if !(least..=most).contains(&pin.len()) {
            return Err(DriverError::PinUnacceptable { reason: format!("{least} to {most} bytes are taken") });
        }
        // PIV pads with FF (SP 800-73-4 part 2 §2.4.3).
        let len = if self == Self::Piv { most } else { pin.len() };
        let mut data = Zeroizing::new(Vec::with_capacity(len));
        data.extend_from_slice(pin);
        data.resize(len, 0xFF);
        Ok(data)
    }

    fn pin_reference(self) -> u8 {
        match self {
            Self::OpenPgp => openpgp::PIN_REFERENCE,
            Self::Piv => piv::PIN_REFERENCE,
        }
    }

    /// Sends the PIN once; one that is locked already or has an impossible form is not sent.
    pub(crate) fn verify(self, channel: &mut dyn Channel, pin: &Pin) -> Result<(), DriverError> {
        let data = self.pin_data(channel, pin)?;
        if self.pin_status(channel)?.blocked {
            return Err(DriverError::PinBlocked);
        }
        let answer = send(channel, &Command::new("VERIFY", [0, 0x20, 0, self.pin_reference()], data))?;
        self.judge(channel, answer)
    }

    /// Changes the PIN; sends the old one once.
    pub(crate) fn change_pin(self, channel: &mut dyn Channel, old: &Pin, new: &Pin) -> Result<(), DriverError> {
        let (old, new) = (self.pin_data(channel, old)?, self.pin_data(channel, new)?);
        if self.pin_status(channel)?.blocked {
            return Err(DriverError::PinBlocked);
        }
        let mut data = Zeroizing::new(Vec::with_capacity(old.len() + new.len()));
        data.extend_from_slice(&old);
        data.extend_from_slice(&new);
        let answer = send(channel, &Command::new("CHANGE REFERENCE DATA", [0, 0x24, 0, self.pin_reference()], data))?;
        self.judge(channel, answer)
    }

    /// What the status of a command that carried a PIN means.
    fn judge(self, channel: &mut dyn Channel, answer: Answer) -> Result<(), DriverError> {
        Err(match answer.status {
            OK => return Ok(()),
            0x63C0..=0x63CF => DriverError::PinIncorrect { tries_left: Some(u32::from(answer.status & 0xF)) },
            // Older OpenPGP cards have one status for "wrong" and "not yet".
            NOT_LOGGED_IN => DriverError::PinIncorrect { tries_left: self.pin_status(channel)?.tries_left },
            PIN_BLOCKED => DriverError::PinBlocked,
            0x6700 | 0x6A80 => DriverError::PinUnacceptable { reason: "the card refuses its length or its characters".into() },
            _ => answer.error(),
        })
    }

    /// Signs `e`.
    fn sign(self, channel: &mut dyn Channel, reference: Reference, e: &Sm2Digest) -> Result<Signed, DriverError> {
        let (answer, signature) = match reference {
            Reference::OpenPgpSign => openpgp::sign(channel, e)?,
            Reference::Piv { slot, algorithm, .. } => piv::sign(channel, slot, algorithm, e)?,
        };
        match (answer.status, signature) {
            (OK, Some(signature)) => Ok(Signed::Signature(signature)),
            (OK, None) => Err(DriverError::signature(answer.name, "no signature in the answer")),
            (NOT_LOGGED_IN, _) => Ok(Signed::NotLoggedIn(answer.error())),
            _ => Err(answer.error()),
        }
    }

    /// Forgets the PIN, where the card has a command for it.
    fn log_out(self, channel: &mut dyn Channel) {
        let _ = send(channel, &Command::new("VERIFY (log out)", [0, 0x20, 0xFF, self.pin_reference()], Vec::new()));
    }
}

enum Signed {
    NotLoggedIn(DriverError),
    Signature(Sm2Signature),
}

/// `86 41 04 x y` inside whatever lies around it: how both applets give a public key.
pub(crate) fn public_key(template: &[u8]) -> Option<Sm2PublicKey> {
    Sm2PublicKey::from_sec1(find(template, 0x86)?)
}

/// The PIN of one batch, or why the card refused it. After a refusal it is gone and never sent again.
enum Secret {
    Pin(Pin),
    Refused(DriverError),
}

/// A selected applet with the PIN given; dropping it logs out.
pub(crate) struct Login<C: Channel> {
    applet: Applet,
    channel: C,
    secret: Secret,
    keys: Vec<Key>,
    /// Nothing was signed since the PIN was sent.
    fresh: bool,
}

impl<C: Channel> Login<C> {
    /// The applet is selected on this channel.
    pub(crate) fn new(applet: Applet, mut channel: C, pin: Pin) -> Result<Self, DriverError> {
        let keys = applet.keys(&mut channel)?;
        let mut login = Self { applet, channel, secret: Secret::Pin(pin), keys, fresh: false };
        login.log_in()?;
        Ok(login)
    }

    /// Sends the PIN once; a refusal wipes it.
    fn log_in(&mut self) -> Result<(), DriverError> {
        let result = match &self.secret {
            Secret::Pin(pin) => self.applet.verify(&mut self.channel, pin),
            Secret::Refused(error) => Err(error.clone()),
        };
        match &result {
            Ok(()) => self.fresh = true,
            Err(error) => self.secret = Secret::Refused(error.clone()),
        }
        result
    }

    fn sign_once(&mut self, reference: Reference, e: &Sm2Digest) -> Result<Signed, DriverError> {
        self.fresh = false;
        self.applet.sign(&mut self.channel, reference, e)
    }
}

impl<C: Channel> Drop for Login<C> {
    fn drop(&mut self) {
        self.applet.log_out(&mut self.channel);
    }
}

impl<C: Channel> Authenticated for Login<C> {
    fn sign(&mut self, key: &KeyId, message: &Sm2Message) -> Result<Sm2Signature, DriverError> {
        if let Secret::Refused(error) = &self.secret {
            return Err(error.clone());
        }
        let found = self.keys.iter().find(|k| k.info.id == *key && k.info.usage == KeyUsage::Signing);
        let found = found.ok_or_else(|| DriverError::KeyAbsent { key: key.0.clone() })?;
        if found.info.public_key != *message.key() {
            return Err(DriverError::KeyChanged { key: key.0.clone() });
        }
        let reference = found.reference;
        if matches!(reference, Reference::Piv { pin_always: true, .. }) && !self.fresh {
            self.log_in()?;
        }
        let signature = match self.sign_once(reference, message.digest())? {
            Signed::Signature(signature) => signature,
            Signed::NotLoggedIn(_) => {
                self.log_in()?;
                match self.sign_once(reference, message.digest())? {
                    Signed::Signature(signature) => signature,
                    Signed::NotLoggedIn(error) => return Err(error),
                }
            }
        };
        let others = || self.keys.iter().map(|k| k.info.public_key).collect();
        let name = match reference {
            Reference::OpenPgpSign => openpgp::SIGN,
            Reference::Piv { .. } => piv::SIGN,
        };
        check::require_sm2(name, &signature, message, others).map(|()| signature)
    }
}
