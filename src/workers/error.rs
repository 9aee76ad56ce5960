//! Why a worker did not give what was asked.

use std::{path::PathBuf, sync::Arc};

use ukey::{DriverError, PinStatus, check::SignatureKind};

use super::library::LibraryError;
use crate::failure::Code;

/// One situation each. The texts are for the log; what a page or a person sees comes from the agent's catalogue.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WorkerError {
    /// The worker ended, or answered something that is no frame or no answer to the question. It has been replaced.
    #[error("the driver {driver} crashed: {reason}")]
    Crashed {
        /// Name of the driver.
        driver: String,
        /// What was seen.
        reason: String,
    },
    /// The token or its driver said no.
    #[error(transparent)]
    Driver(#[from] DriverError),
    /// No such token in any driver that works.
    #[error("no driver has this token")]
    TokenAbsent,
    /// The answer did not come in time; the worker was killed.
    #[error("the driver {driver} did not answer in time")]
    Deadline {
        /// Name of the driver.
        driver: String,
    },
    /// The worker ended while it had the PIN and before it said what the token made of it. The PIN was not sent again.
    #[error("{cause}; it had the PIN")]
    DiedWithPin {
        /// [`Self::Crashed`] or [`Self::Deadline`]
        cause: Box<WorkerError>,
        /// What a fresh worker read afterwards; `None` when that failed too.
        pin: Option<PinStatus>,
    },
    /// The login ended because no message came in time ([`Timing::between_messages`](super::Timing)).
    #[error("the login ended because nothing came to sign")]
    LoginExpired,
    /// The worker could not be started: program or library missing or not allowed, or the library would not load.
    #[error("the driver {driver} did not start: {cause}")]
    NotStarted {
        /// Name of the driver.
        driver: String,
        /// Why.
        cause: StartFailure,
    },
    /// The driver failed too often and is left alone for a while.
    #[error("the driver {driver} is set aside: {cause}")]
    SetAside {
        /// Name of the driver.
        driver: String,
        /// The last failure.
        cause: Box<WorkerError>,
    },
    /// The agent is shutting down.
    #[error("the agent is shutting down")]
    ShuttingDown,
    /// The token returned a signature that does not verify. It was not passed on.
    #[error("the token returned a signature that does not verify: {0}")]
    SignatureInvalid(SignatureKind),
}

/// Why a worker does not start.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartFailure {
    /// The worker's answer to the first question: most often its library cannot be used.
    #[error(transparent)]
    Driver(#[from] DriverError),
    /// The library may not be loaded.
    #[error(transparent)]
    Library(#[from] Arc<LibraryError>),
    /// The library is 32-bit, and there is no 32-bit worker.
    #[error("{} is 32-bit, and no worker for such libraries is installed ({})", library.display(), worker.display())]
    No32BitWorker {
        /// The library.
        library: PathBuf,
        /// Where the worker would be.
        worker: PathBuf,
    },
    /// The worker program does not run.
    #[error("{}: {reason}", program.display())]
    Program {
        /// The program.
        program: PathBuf,
        /// Why, in the system's words.
        reason: String,
    },
}

impl WorkerError {
    /// What it means outside of the agent. Vendor codes, paths and names of drivers stay in the log.
    pub fn code(&self) -> Code {
        match self {
            Self::Driver(error) => of_driver(error),
            Self::Deadline { .. } | Self::LoginExpired => Code::DriverTimeout,
            Self::DiedWithPin { cause, .. } => cause.code(),
            Self::ShuttingDown => Code::Internal,
            Self::SignatureInvalid(_) => Code::TokenSignatureInvalid,
            Self::TokenAbsent => Code::TokenRemoved,
            Self::Crashed { .. } | Self::NotStarted { .. } | Self::SetAside { .. } => Code::DriverCrashed,
        }
    }
}

fn of_driver(error: &DriverError) -> Code {
    match error {
        DriverError::Busy => Code::TokenBusy,
        DriverError::PinBlocked => Code::PinBlocked,
        DriverError::PinIncorrect { .. } => Code::PinIncorrect,
        DriverError::PinUnacceptable { .. } => Code::PinUnacceptable,
        DriverError::SignatureInvalid { .. } => Code::TokenSignatureInvalid,
        // The token that the person agreed to is not the one that is there now.
        DriverError::KeyAbsent { .. } | DriverError::KeyChanged { .. } | DriverError::TokenAbsent => Code::TokenRemoved,
        _ => Code::DriverCrashed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_swapped_token_and_a_wrong_signature_are_no_crash_of_the_driver() {
        let key = || "1".to_owned();
        for (error, code) in [
            (DriverError::KeyChanged { key: key() }, Code::TokenRemoved),
            (DriverError::KeyAbsent { key: key() }, Code::TokenRemoved),
            (DriverError::TokenAbsent, Code::TokenRemoved),
            (DriverError::signature("C_Sign", "an ECDSA signature"), Code::TokenSignatureInvalid),
            (DriverError::protocol("SKF_EnumDev", "2 GiB"), Code::DriverCrashed),
            (DriverError::module("SKF_ECCSignData", 0x0a00_0001), Code::DriverCrashed),
            (DriverError::Busy, Code::TokenBusy),
        ] {
            let cause = Box::new(WorkerError::Driver(error.clone()));
            assert_eq!(WorkerError::DiedWithPin { cause, pin: None }.code(), code, "{error}");
            assert_eq!(WorkerError::Driver(error).code(), code);
        }
        assert_eq!(WorkerError::SignatureInvalid(SignatureKind::Ecdsa).code(), Code::TokenSignatureInvalid);
    }
}
