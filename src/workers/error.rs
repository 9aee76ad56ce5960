//! Why a worker did not give what was asked.

use ukey::{DriverError, PinStatus};

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
    #[error("the driver {driver} did not start: {reason}")]
    NotStarted {
        /// Name of the driver.
        driver: String,
        /// Why.
        reason: String,
    },
    /// The driver failed too often and is left alone for a while.
    #[error("the driver {driver} is set aside: {reason}")]
    SetAside {
        /// Name of the driver.
        driver: String,
        /// The last failure.
        reason: String,
    },
    /// The agent is shutting down.
    #[error("the agent is shutting down")]
    ShuttingDown,
    /// The token returned a signature that does not verify. It was not passed on.
    #[error("the token returned a signature that does not verify: {0}")]
    SignatureInvalid(Misbehaviour),
}

/// What a signature that does not verify turned out to be.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Misbehaviour {
    /// An SM2 signature of e hashed once more with Z: the library takes its input for the message (skf.md §7).
    #[error("the library hashes e again; it needs a profile that hands it the message")]
    DoubleHash,
    /// ECDSA with the key on the SM2 curve.
    #[error("it is ECDSA, not SM2")]
    Ecdsa,
    /// SM2 over the bare SM3 of the message, without Z.
    #[error("the signed digest lacks Z")]
    NoZ,
    /// None of the known ways to be wrong: another key, or garbage.
    #[error("by another key, or damaged")]
    Unknown,
}
