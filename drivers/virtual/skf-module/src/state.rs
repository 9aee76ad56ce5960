//! What the library knows between calls: handles, logins, counts of calls.

use std::collections::HashMap;

use ukey::{DriverError, KeyInfo, KeyUsage, TokenId};
use ukey_virtual::{
    Token, TokenError, Unlocked,
    calls::{Act, Calls},
};

use crate::{
    DEVICE_REMOVED, FAIL, INVALID_HANDLE, NOT_SUPPORTED_YET, PIN_LEN_RANGE, PIN_LOCKED, USER_NOT_LOGGED_IN, switches::Switches,
};

/// A code other than `SAR_OK`.
pub(crate) type Code = u32;

/// Where a handle leads. Handles are small integers, as real libraries have them.
#[derive(Clone, Debug)]
pub(crate) enum Object {
    Device(TokenId),
    Application(TokenId),
    Container(TokenId, usize),
}

#[derive(Default)]
pub(crate) struct State {
    pub(crate) switches: Switches,
    objects: Vec<Option<Object>>,
    /// The login of each token: shared by all handles, and not ended by closing them (GM/T 0016 §7.3).
    pub(crate) logins: HashMap<TokenId, Unlocked>,
    calls: Calls,
}

/// One container: a signing key, and the encryption key of the same number if there is one.
pub(crate) struct ContainerKeys {
    pub(crate) signing: KeyInfo,
    pub(crate) encryption: Option<KeyInfo>,
}

impl State {
    pub(crate) fn new(switches: Switches) -> Self {
        Self { switches, ..Self::default() }
    }

    /// Counts a call and gives what is to happen at it.
    pub(crate) fn enter(&mut self, function: &'static str) -> Option<Act> {
        self.calls.enter(function, &self.switches.faults)
    }

    pub(crate) fn forget_calls(&mut self) {
        self.calls = Calls::default();
    }

    pub(crate) fn tokens(&self) -> Vec<TokenId> {
        let tokens = Token::list(&self.switches.folder).unwrap_or_default();
        tokens.iter().filter_map(|token| token.info().ok()).map(|info| info.id).collect()
    }

    pub(crate) fn token(&self, id: &TokenId) -> Result<Token, Code> {
        Token::open(&self.switches.folder, id).map_err(|e| self.code(e))
    }

    pub(crate) fn remove_all(&self) {
        for id in self.tokens() {
            if let Ok(token) = self.token(&id) {
                // Already pulled out is as good.
                let _ = token.unplug();
            }
        }
    }

    pub(crate) fn handle(&mut self, object: Object) -> usize {
        self.objects.push(Some(object));
        self.objects.len()
    }

    pub(crate) fn close(&mut self, handle: usize) -> Result<(), Code> {
        let slot = handle.checked_sub(1).and_then(|at| self.objects.get_mut(at)).ok_or(INVALID_HANDLE)?;
        slot.take().map(drop).ok_or(INVALID_HANDLE)
    }

    fn object(&self, handle: usize) -> Result<Object, Code> {
        handle.checked_sub(1).and_then(|at| self.objects.get(at)).cloned().flatten().ok_or(INVALID_HANDLE)
    }

    pub(crate) fn device(&self, handle: usize) -> Result<Token, Code> {
        let Object::Device(id) = self.object(handle)? else { return Err(INVALID_HANDLE) };
        self.token(&id)
    }

    pub(crate) fn application(&self, handle: usize) -> Result<(TokenId, Token), Code> {
        let Object::Application(id) = self.object(handle)? else { return Err(INVALID_HANDLE) };
        let token = self.token(&id)?;
        Ok((id, token))
    }

    pub(crate) fn container(&self, handle: usize) -> Result<(TokenId, ContainerKeys), Code> {
        let Object::Container(id, at) = self.object(handle)? else { return Err(INVALID_HANDLE) };
        let keys = self.containers(&self.token(&id)?)?.into_iter().nth(at).ok_or(FAIL)?;
        Ok((id, keys))
    }

    pub(crate) fn containers(&self, token: &Token) -> Result<Vec<ContainerKeys>, Code> {
        let keys = token.keys().map_err(|e| self.code(e))?;
        let (signing, encryption): (Vec<_>, Vec<_>) = keys.into_iter().partition(|k| k.usage == KeyUsage::Signing);
        let mut encryption = encryption.into_iter();
        Ok(signing.into_iter().map(|signing| ContainerKeys { signing, encryption: encryption.next() }).collect())
    }

    /// The code that says what the virtual token said.
    pub(crate) fn code(&self, error: TokenError) -> Code {
        match error {
            TokenError::LoginEnded => USER_NOT_LOGGED_IN,
            TokenError::Driver(DriverError::TokenAbsent) => match self.switches.removed_code {
                0 => DEVICE_REMOVED,
                code => code,
            },
            TokenError::Driver(DriverError::PinBlocked) => PIN_LOCKED,
            TokenError::Driver(DriverError::PinIncorrect { .. }) => self.switches.wrong_pin_code,
            TokenError::Driver(DriverError::PinUnacceptable { .. }) => PIN_LEN_RANGE,
            TokenError::Driver(DriverError::Unsupported { .. }) => NOT_SUPPORTED_YET,
            _ => FAIL,
        }
    }
}
