//! A folder of tokens, through the traits of [`ukey`].

use std::path::PathBuf;

use ukey::{
    About, Authenticated, Credential, Driver, DriverError, KeyId, KeyInfo, Pin, PinStatus, Session, Sm2Message, Sm2Signature,
    TokenId, TokenInfo, driver::Hardware,
};

use crate::{
    faults::{Fault, Faults, Step, spoil},
    token::{Token, TokenError, Unlocked},
};

/// All tokens of one folder.
#[derive(Debug)]
pub struct VirtualDriver {
    folder: PathBuf,
    faults: Option<Faults>,
}

impl VirtualDriver {
    /// A folder of well-behaved tokens; one that is not there holds none.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into(), faults: None }
    }

    /// Tokens that misbehave as their folder's script says. For tests.
    pub fn with_faults(folder: impl Into<PathBuf>, faults: Faults) -> Self {
        Self { folder: folder.into(), faults: Some(faults) }
    }
}

fn pass(faults: Option<&Faults>, step: Step) -> Result<Option<Fault>, DriverError> {
    faults.map_or(Ok(None), |faults| faults.pass(step))
}

impl Driver for VirtualDriver {
    fn about(&self) -> About {
        About { profile: None, library: None, hardware: Hardware::Virtual }
    }

    fn tokens(&mut self) -> Result<Vec<TokenInfo>, DriverError> {
        pass(self.faults.as_ref(), Step::Tokens)?;
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
        pass(self.faults.as_ref(), Step::Open)?;
        Ok(Box::new(OpenToken { token: Token::open(&self.folder, token)?, faults: self.faults.as_ref() }))
    }
}

struct OpenToken<'a> {
    token: Token,
    faults: Option<&'a Faults>,
}

impl Session for OpenToken<'_> {
    fn keys(&mut self) -> Result<Vec<KeyInfo>, DriverError> {
        pass(self.faults, Step::Keys)?;
        Ok(self.token.keys()?)
    }

    fn seals(&mut self) -> Result<Vec<Vec<u8>>, DriverError> {
        pass(self.faults, Step::Seals)?;
        Ok(self.token.seals()?)
    }

    fn pin_status(&mut self) -> Result<PinStatus, DriverError> {
        pass(self.faults, Step::PinStatus)?;
        Ok(self.token.pin_status()?)
    }

    fn login(&mut self, credential: Credential) -> Result<Box<dyn Authenticated + '_>, DriverError> {
        let Credential::Pin(pin) = credential else { return Err(DriverError::unsupported("a PIN typed on the device")) };
        pass(self.faults, Step::Login)?;
        let unlocked = self.token.login(&pin)?;
        pass(self.faults, Step::LoggedIn)?;
        Ok(Box::new(LoggedIn { token: &self.token, faults: self.faults, pin: Some(pin), unlocked }))
    }

    fn change_pin(&mut self, old: Pin, new: Pin) -> Result<(), DriverError> {
        pass(self.faults, Step::ChangePin)?;
        Ok(self.token.change_pin(&old, &new)?)
    }
}

struct LoggedIn<'a> {
    token: &'a Token,
    faults: Option<&'a Faults>,
    pin: Option<Pin>,
    unlocked: Unlocked,
}

impl Authenticated for LoggedIn<'_> {
    fn sign(&mut self, key: &KeyId, message: &Sm2Message) -> Result<Sm2Signature, DriverError> {
        if let Some(fault) = pass(self.faults, Step::Sign)? {
            return spoil(&fault, self.unlocked.signing_key(key)?, message);
        }
        match self.unlocked.sign(key, message.digest()) {
            // The PIN was right before. If the token refuses it now all the same, it is wiped and never sent again.
            Err(TokenError::LoginEnded) => {
                let pin = self.pin.take().ok_or_else(|| DriverError::protocol("virtual token", "the login has ended"))?;
                self.unlocked = self.token.login(&pin)?;
                self.pin = Some(pin);
                Ok(self.unlocked.sign(key, message.digest())?)
            }
            result => Ok(result?),
        }
    }
}
