//! Change of a token's PIN: the person, the record, then the token, each once. No page can ask for it.

use ukey::DriverError;

use crate::audit::{Event, Kind, Matter};
use crate::consent::pin::{PinChange, PinChangeAnswer, PinChangeShown};
use crate::consent::prompt::Cancel;
use crate::consent::summary::{Requester, Shown, TokenShown};
use crate::failure::{Code, Failure};
use crate::signing::pipeline::{Signer, of_worker};
use crate::signing::request::RequestId;
use crate::workers::{Token, WorkerError};

/// What came of it.
#[derive(Debug)]
#[non_exhaustive]
pub enum Outcome {
    /// It was withdrawn.
    Cancelled,
    /// The token has the new PIN.
    Changed,
    /// The person said no.
    Declined,
    /// Nobody answered.
    Expired,
    /// The token has the old PIN.
    Failed(Failure),
    /// The driver failed while it had both: either PIN may be the right one.
    Unknown(Failure),
}

/// Asks the person, and the token with what they typed. A wrong old PIN is told and asked for anew, with the tries that are left then;
/// nothing else is tried twice.
pub async fn change(signer: &Signer, token: &Token, cancel: &Cancel) -> Outcome {
    let id = match RequestId::random() {
        Ok(id) => id.to_string(),
        Err(failure) => return Outcome::Failed(failure),
    };
    let record = |kind, code| signer.write(event(signer, &id, token, kind, code));
    let mut attempt = 1;
    let outcome = loop {
        let asked = match ask(signer, token, attempt, cancel).await {
            Ok(asked) => asked,
            Err(outcome) => break outcome,
        };
        // On the record before the token is asked.
        if let Err(failure) = record(Kind::Accepted, None).await {
            break Outcome::Failed(failure);
        }
        match signer.workers.change_pin(&token.handle, asked.old, asked.new).await {
            Ok(()) => break Outcome::Changed,
            Err(WorkerError::Driver(DriverError::PinIncorrect { .. })) => attempt += 1,
            Err(error @ WorkerError::DiedWithPin { .. }) => break Outcome::Unknown(of_worker(&error)),
            Err(WorkerError::Driver(DriverError::PinUnacceptable { reason })) => {
                break Outcome::Failed(Failure::new(Code::PinUnacceptable, reason));
            }
            Err(WorkerError::Driver(DriverError::Unsupported { .. })) => {
                break Outcome::Failed(Code::PinChangeUnsupported.into());
            }
            Err(error) => break Outcome::Failed(of_worker(&error)),
        }
    };
    let (kind, code) = match &outcome {
        Outcome::Cancelled => (Kind::Cancelled, None),
        Outcome::Changed => (Kind::PinChanged, None),
        Outcome::Declined => (Kind::Declined, None),
        Outcome::Expired => (Kind::Expired, None),
        Outcome::Failed(failure) | Outcome::Unknown(failure) => (Kind::Failed, Some(failure.code)),
    };
    match (record(kind, code).await, outcome) {
        // The token has the new PIN whether that could be written or not, and whoever typed it must know.
        (Err(error), Outcome::Changed) => {
            tracing::error!(code = %error.code, "the PIN was changed, and that could not be recorded");
            Outcome::Changed
        }
        (_, outcome) => outcome,
    }
}

/// Shows the token as it stands now. What cannot be done is said before anything is typed.
async fn ask(signer: &Signer, token: &Token, attempt: u32, cancel: &Cancel) -> Result<PinChange, Outcome> {
    let inspected = signer.workers.inspect(&token.handle).await.map_err(|error| Outcome::Failed(of_worker(&error)))?;
    let pin = inspected.pin;
    if pin.blocked {
        return Err(Outcome::Failed(Code::PinBlocked.into()));
    }
    if pin.on_device {
        return Err(Outcome::Failed(Code::PinChangeUnsupported.into()));
    }
    let shown = PinChangeShown { token: TokenShown::of(&token.info), pin, attempt };
    match signer.prompts.ask_pin_change(&shown, cancel).await {
        PinChangeAnswer::Approve(change) => Ok(change),
        PinChangeAnswer::Decline => Err(Outcome::Declined),
        PinChangeAnswer::NoPrompt => Err(Outcome::Failed(Code::PromptUnavailable.into())),
        PinChangeAnswer::TimedOut => Err(Outcome::Expired),
        PinChangeAnswer::Unacceptable => Err(Outcome::Failed(Code::PinUnacceptable.into())),
        PinChangeAnswer::Withdrawn => Err(Outcome::Cancelled),
    }
}

fn event(signer: &Signer, id: &str, token: &Token, kind: Kind, code: Option<Code>) -> Event {
    Event {
        event: kind,
        matter: Matter::PinChange,
        request: id.to_owned(),
        requester: Requester::CommandLine,
        user: signer.user.clone(),
        items: Vec::new(),
        code,
        token: Some(Shown::new(&token.info.serial)),
    }
}
