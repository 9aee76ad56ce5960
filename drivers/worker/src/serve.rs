//! Requests → driver calls → answers. One at a time, and no state between requests: open, log in, sign all, log out.

use std::{
    io,
    sync::mpsc::{Receiver, RecvTimeoutError},
};

use ukey::{
    Credential, Driver, DriverError, KeyId, KeyUsage, Pin, Sm2Message, Sm2PublicKey, TokenId, TokenInfo,
    driver::{check_content, check_tokens},
    wire::{self, Answer, Bytes, Request},
};
use zeroize::Zeroizing;

use crate::{
    frames::{Answers, Event},
    host::Hosted,
};

/// Serves until the agent closes its pipe. An error is a broken pipe or a broken agent; what a driver says is an answer.
pub(crate) fn serve(mut hosted: Hosted, events: &Receiver<Event>, answers: &mut Answers) -> io::Result<()> {
    let driver = hosted.driver.as_mut();
    let mut known = None;
    loop {
        match events.recv_timeout(hosted.poll) {
            Ok(Event::Request(request, secret)) => answer(driver, request, secret, &mut known, events, answers)?,
            Ok(Event::End(result)) => return result,
            Err(RecvTimeoutError::Timeout) => poll(driver, &mut known, answers)?,
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
        }
    }
}

/// Says to the first request why there is no driver.
pub(crate) fn refuse(error: DriverError, events: &Receiver<Event>, answers: &mut Answers) -> io::Result<()> {
    match events.recv() {
        Ok(Event::Request(..)) => answers.write(&Answer::Failed { error }),
        Ok(Event::End(result)) => result,
        Err(_) => Ok(()),
    }
}

fn answer(
    driver: &mut dyn Driver,
    request: Request,
    secret: Zeroizing<Vec<u8>>,
    known: &mut Option<Vec<TokenInfo>>,
    events: &Receiver<Event>,
    answers: &mut Answers,
) -> io::Result<()> {
    let result = match request {
        Request::Hello { .. } => Ok(Answer::Hello { version: wire::VERSION, about: Some(driver.about()) }),
        Request::Tokens => driver.tokens().and_then(|tokens| {
            check_tokens(&tokens)?;
            *known = Some(tokens.clone());
            Ok(Answer::Tokens { tokens })
        }),
        Request::Inspect { token } => inspect(driver, &token),
        Request::Sign { token, key, public_key, on_device } => {
            let key = AgreedKey { token, id: key, public_key };
            match credential(on_device, secret) {
                Ok(credential) => match sign(driver, &key, credential, events, answers)? {
                    Signed::AllThatCame => Ok(Answer::Ended),
                    Signed::AgentGone => return Ok(()),
                    Signed::Failed(error) => Err(error),
                },
                Err(error) => Err(error),
            }
        }
        Request::ChangePin { token } => change_pin(driver, &token, secret),
        Request::Message { .. } | Request::End => return Err(broken_agent()),
    };
    answers.write(&result.unwrap_or_else(|error| Answer::Failed { error }))
}

fn inspect(driver: &mut dyn Driver, token: &TokenId) -> Result<Answer, DriverError> {
    let mut session = driver.open(token)?;
    let keys = session.keys()?;
    let seals = match session.seals() {
        Err(DriverError::Unsupported { .. }) => Vec::new(), // a token without room for seals is still a token
        seals => seals?,
    };
    check_content(&keys, seals.iter().map(Vec::len))?;
    Ok(Answer::Inspected { keys, seals: seals.into_iter().map(Bytes).collect(), pin: session.pin_status()? })
}

fn change_pin(driver: &mut dyn Driver, token: &TokenId, secret: Zeroizing<Vec<u8>>) -> Result<Answer, DriverError> {
    let (old, new) = wire::split_pins(&secret).ok_or_else(no_pin)?;
    drop(secret);
    driver.open(token)?.change_pin(old, new)?;
    Ok(Answer::PinChanged)
}

fn credential(on_device: bool, secret: Zeroizing<Vec<u8>>) -> Result<Credential, DriverError> {
    if on_device {
        return Ok(Credential::OnDevice);
    }
    Pin::new(secret).map(Credential::Pin).ok_or_else(no_pin)
}

/// The key that the person agreed to.
struct AgreedKey {
    token: TokenId,
    id: KeyId,
    public_key: Sm2PublicKey,
}

/// How a login ended. It has been logged out in each case.
enum Signed {
    AllThatCame,
    AgentGone,
    Failed(DriverError),
}

fn sign(
    driver: &mut dyn Driver,
    key: &AgreedKey,
    credential: Credential,
    events: &Receiver<Event>,
    answers: &mut Answers,
) -> io::Result<Signed> {
    let mut session = match driver.open(&key.token) {
        Ok(session) => session,
        Err(error) => return Ok(Signed::Failed(error)),
    };
    // Before the PIN is used: is it still that key? Tokens are swapped, and two may share a label.
    if let Err(error) = session.keys().and_then(|keys| {
        let found = keys.iter().find(|k| k.id == key.id && k.usage == KeyUsage::Signing);
        match found {
            None => Err(DriverError::KeyAbsent { key: key.id.0.clone() }),
            Some(found) if found.public_key != key.public_key => Err(DriverError::KeyChanged { key: key.id.0.clone() }),
            Some(_) => Ok(()),
        }
    }) {
        return Ok(Signed::Failed(error));
    }
    let mut authenticated = match session.login(credential) {
        Ok(authenticated) => authenticated,
        Err(error) => return Ok(Signed::Failed(error)),
    };
    answers.write(&Answer::LoggedIn)?;
    loop {
        let message = match events.recv() {
            Ok(Event::Request(Request::Message { bytes, id }, _)) => Sm2Message::new(bytes.0, &id, key.public_key),
            Ok(Event::Request(Request::End, _)) => return Ok(Signed::AllThatCame),
            Ok(Event::Request(..)) => return Err(broken_agent()),
            Ok(Event::End(result)) => return result.map(|()| Signed::AgentGone),
            Err(_) => return Ok(Signed::AgentGone),
        };
        let Some(message) = message else { return Err(broken_agent()) };
        match authenticated.sign(&key.id, &message) {
            Ok(signature) => answers.write(&Answer::Signed { signature })?,
            Err(error) => return Ok(Signed::Failed(error)),
        }
    }
}

/// Looks whether tokens came or went. A driver that cannot say now is asked again at the next turn.
fn poll(driver: &mut dyn Driver, known: &mut Option<Vec<TokenInfo>>, answers: &mut Answers) -> io::Result<()> {
    let Ok(tokens) = driver.tokens() else { return Ok(()) };
    if known.as_ref() == Some(&tokens) {
        return Ok(());
    }
    *known = Some(tokens);
    answers.write(&Answer::TokensChanged)
}

fn no_pin() -> DriverError {
    DriverError::PinUnacceptable { reason: "empty, too long, or with a NUL".to_owned() }
}

fn broken_agent() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "a request out of turn")
}
