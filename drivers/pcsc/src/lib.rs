//! Cards with an SM2 key in a standard applet, through PC/SC: CanoKey's PIV and OpenPGP applets. Each applet with an SM2 key is a token
//! of its own, as it has a PIN of its own.
//!
//! Which cards these are is found out by asking them, never from their ATR. A card holds no seal (objects are too small); seals lie in the
//! agent's store. Cards are only talked to when they are put in and when they are opened: selecting an applet takes other programs' PIN
//! state away. GM/T 0017's own commands are not here: its text is not public.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod apdu;
mod applet;
mod openpgp;
mod piv;
mod reader;
#[cfg(test)]
mod script;
#[cfg(test)]
mod scripts;

use ukey::{
    About, Authenticated, Credential, Driver, DriverError, KeyInfo, Pin, PinStatus, Session, TokenId, TokenInfo,
    driver::{Hardware, MAX_TOKENS},
};
use ukey_native::text;

use crate::{
    apdu::Channel,
    applet::{Applet, Login},
    reader::{Connected, Exchange, Present, Service},
};

/// Real cards that this driver was run on: card, system and day of each.
const RAN_ON: [&str; 0] = [];

/// The driver. Nothing is asked of the service before the first call.
#[derive(Default)]
pub struct Pcsc {
    service: Service,
    known: Vec<Known>,
}

/// A card that was looked at, and is not again while it stays in.
#[derive(Clone)]
struct Known {
    card: Present,
    found: Vec<Found>,
    /// How often looking at it failed.
    failures: u32,
}

/// A card that cannot be looked at is tried so many times, once at each call, and then left alone until it is put in anew.
const MAX_LOOKS: u32 = 3;

/// An applet with an SM2 key.
#[derive(Clone, Debug)]
struct Found {
    card: Present,
    applet: Applet,
    serial: Vec<u8>,
}

impl Pcsc {
    /// A driver for every reader of the system.
    pub fn new() -> Self {
        Self::default()
    }

    /// Looks at cards that are new, and forgets those that are gone.
    fn scan(&mut self) -> Result<Vec<Found>, DriverError> {
        let (context, cards) = self.service.cards()?;
        let mut known = Vec::new();
        let mut busy = None;
        for card in cards {
            let before = self.known.iter().find(|known| known.card == card);
            let failures = before.map_or(0, |known| known.failures);
            if let Some(before) = before.filter(|known| known.failures == 0 || known.failures >= MAX_LOOKS) {
                known.push(before.clone());
                continue;
            }
            match Connected::new(context.clone(), &card).and_then(|mut connected| look(&mut connected, &card)) {
                Ok(found) => known.push(Known { card, found, failures: 0 }),
                // Another program has it at this moment, or it is being pulled out.
                Err(DriverError::Busy) => busy = Some(DriverError::Busy),
                Err(DriverError::TokenAbsent) => {}
                Err(_) => known.push(Known { card, found: Vec::new(), failures: failures + 1 }),
            }
        }
        self.known = known;
        let all: Vec<_> = self.known.iter().flat_map(|known| known.found.iter().cloned()).collect();
        match busy {
            Some(error) if all.is_empty() => Err(error),
            _ => Ok(all),
        }
    }
}

/// The applets of a card that hold an SM2 key.
fn look(connected: &mut Connected, card: &Present) -> Result<Vec<Found>, DriverError> {
    let mut channel = connected.transaction()?;
    let mut found = Vec::new();
    for applet in Applet::ALL {
        if applet.select(&mut channel)? && !applet.keys(&mut channel)?.is_empty() {
            found.push(Found { card: card.clone(), applet, serial: applet.serial(&mut channel)? });
        }
    }
    Ok(found)
}

impl Found {
    /// Serial number and applet; the reader joins the number where two cards have one, and stands alone where there is none. So an id
    /// that was given for one card never means another one that is put in beside it.
    fn id(&self, all: &[Self]) -> TokenId {
        let twin =
            |other: &Self| other.applet == self.applet && other.serial == self.serial && other.card.reader != self.card.reader;
        let reader = || text::id(self.card.reader.as_bytes());
        let serial = self.serial_text();
        let card = match (serial.is_empty(), all.iter().any(twin)) {
            (true, _) => format!("@{}", reader()),
            (false, true) => format!("{serial}@{}", reader()),
            (false, false) => serial,
        };
        TokenId(format!("{card}/{}", self.applet.name()))
    }

    fn serial_text(&self) -> String {
        self.serial.iter().map(|byte| format!("{byte:02X}")).collect()
    }

    fn info(&self, all: &[Self]) -> TokenInfo {
        let named = self.card.atr.to_ascii_lowercase().windows(7).any(|w| w == b"canokey");
        let maker = if named { "CanoKey" } else { "" };
        let label = format!("{} {} ({})", maker, self.applet.name(), text::display(self.card.reader.as_bytes()));
        TokenInfo { id: self.id(all), label: label.trim().to_owned(), manufacturer: maker.into(), serial: self.serial_text() }
    }
}

impl Driver for Pcsc {
    fn about(&self) -> About {
        About { profile: None, library: None, hardware: Hardware::of(&RAN_ON.map(str::to_owned)) }
    }

    fn tokens(&mut self) -> Result<Vec<TokenInfo>, DriverError> {
        let found = self.scan()?;
        Ok(found.iter().take(MAX_TOKENS).map(|token| token.info(&found)).collect())
    }

    fn open(&mut self, token: &TokenId) -> Result<Box<dyn Session + '_>, DriverError> {
        let found = self.scan()?;
        let wanted = found.iter().find(|t| t.id(&found) == *token).ok_or(DriverError::TokenAbsent)?;
        let connected = Connected::new(self.service.context()?, &wanted.card)?;
        Ok(Box::new(Opened { connected, applet: wanted.applet, serial: wanted.serial.clone() }))
    }
}

/// A connected card. Each call is a transaction of its own, so that other programs get their turn.
struct Opened {
    connected: Connected,
    applet: Applet,
    serial: Vec<u8>,
}

impl Opened {
    /// Begins a transaction and selects the applet; nobody is logged in then.
    fn enter(&mut self) -> Result<Exchange<'_>, DriverError> {
        let mut channel = self.connected.transaction()?;
        if self.applet.select(&mut channel)? && self.applet.serial(&mut channel)? == self.serial {
            Ok(channel)
        } else {
            Err(DriverError::TokenAbsent) // another card in the same reader
        }
    }

    fn run<T>(&mut self, call: impl FnOnce(Applet, &mut dyn Channel) -> Result<T, DriverError>) -> Result<T, DriverError> {
        let applet = self.applet;
        call(applet, &mut self.enter()?)
    }
}

impl Session for Opened {
    fn keys(&mut self) -> Result<Vec<KeyInfo>, DriverError> {
        self.run(|applet, channel| Ok(applet.keys(channel)?.into_iter().map(|key| key.info).collect()))
    }

    fn seals(&mut self) -> Result<Vec<Vec<u8>>, DriverError> {
        Ok(Vec::new())
    }

    fn pin_status(&mut self) -> Result<PinStatus, DriverError> {
        self.run(|applet, channel| applet.pin_status(channel))
    }

    fn login(&mut self, credential: Credential) -> Result<Box<dyn Authenticated + '_>, DriverError> {
        let Credential::Pin(pin) = credential else { return Err(DriverError::unsupported("a PIN typed on the reader")) };
        let applet = self.applet;
        Ok(Box::new(Login::new(applet, self.enter()?, pin)?))
    }

    fn change_pin(&mut self, old: Pin, new: Pin) -> Result<(), DriverError> {
        self.run(|applet, channel| applet.change_pin(channel, &old, &new))
    }
}
