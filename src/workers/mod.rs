//! Worker processes: started, watched, timed out, restarted; and the async [`Client`] that the rest of the agent speaks to.
//!
//! Vendor code never runs inside the agent (I4): each driver lives in a `sealagent-worker` of its own, and whatever happens in there
//! (a hang, a crash, an answer that is no frame) costs the request that met it and nothing else. A PIN is written to a worker once;
//! if the worker dies with it, the tries left are read and reported, and the PIN is not sent again (I3).
//!
//! ```text
//! Client ──Job──▶ supervisor (one task a driver) ──frames──▶ process (sealagent-worker)
//! ```

pub mod client;
pub mod error;
pub mod library;
mod process;
mod supervisor;

pub use client::{
    Client, DriverState, DriverStatus, Inspected, LoggedIn, SigningKey, Token, TokenEvent, TokenHandle, TokenList, Workers,
};
pub use error::{StartFailure, WorkerError};
pub use supervisor::{DriverConfig, DriverKind, Timing};
