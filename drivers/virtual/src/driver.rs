//! A folder of tokens, through the traits of [`ukey`].

use std::path::PathBuf;

use ukey::{
    Authenticated, Credential, Driver, DriverError, KeyId, KeyInfo, Pin, PinStatus, Session, Sm2Message, Sm2Signature, TokenId,
    TokenInfo,
};

use crate::token::{Token, TokenError, Unlocked};

/// All tokens of one folder.
#[derive(Debug)]
pub struct VirtualDriver {
    folder: PathBuf,
}

impl VirtualDriver {
    /// A folder of well-behaved tokens; one that is not there holds none.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }
}

impl Driver for VirtualDriver {
    fn tokens(&mut self) -> Result<Vec<TokenInfo>, DriverError> {
        let mut infos = Vec::new();
        for token in Token::list(&self.folder)? {
            match token.info() {
                Ok(info) => infos.push(info),
                Err(TokenError::Driver(DriverError::TokenAbsent)) => {} // pulled out since it was listed
                Err(error) => return Err(error.into()),
            }
        }
        Ok(infos)
    }

    fn open(&mut self, token: &TokenId) -> Result<Box<dyn Session + '_>, DriverError> {
        Ok(Box::new(OpenToken(Token::open(&self.folder, token)?)))
    }
}

struct OpenToken(Token);

impl Session for OpenToken {
    fn keys(&mut self) -> Result<Vec<KeyInfo>, DriverError> {
        Ok(self.0.keys()?)
    }

    fn seals(&mut self) -> Result<Vec<Vec<u8>>, DriverError> {
        Ok(self.0.seals()?)
    }

    fn pin_status(&mut self) -> Result<PinStatus, DriverError> {
        Ok(self.0.pin_status()?)
    }

    fn login(&mut self, credential: Credential) -> Result<Box<dyn Authenticated + '_>, DriverError> {
        let Credential::Pin(pin) = credential else { return Err(DriverError::unsupported("a PIN typed on the device")) };
        let unlocked = self.0.login(&pin)?;
        Ok(Box::new(LoggedIn { token: &self.0, pin: Some(pin), unlocked }))
    }

    fn change_pin(&mut self, old: Pin, new: Pin) -> Result<(), DriverError> {
        Ok(self.0.change_pin(&old, &new)?)
    }
}

struct LoggedIn<'a> {
    token: &'a Token,
    pin: Option<Pin>,
    unlocked: Unlocked,
}

impl Authenticated for LoggedIn<'_> {
    fn sign(&mut self, key: &KeyId, message: &Sm2Message) -> Result<Sm2Signature, DriverError> {
        match self.unlocked.sign(key, message.digest()) {
            // The PIN was right before. If the token refuses it now all the same, it is wiped and never sent again.
            Err(TokenError::LoginEnded) => {
                let pin = self.pin.take().ok_or(DriverError::Cancelled)?;
                self.unlocked = self.token.login(&pin)?;
                self.pin = Some(pin);
                Ok(self.unlocked.sign(key, message.digest())?)
            }
            result => Ok(result?),
        }
    }
}
