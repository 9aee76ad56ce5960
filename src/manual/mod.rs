//! Reasons, for people who change sealagent. Read with `cargo doc`; nothing here is compiled into the program.

pub mod decisions;
pub mod standards;
