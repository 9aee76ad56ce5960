//! Where the agent keeps things, for this user alone.

use std::path::PathBuf;

use super::ConfigError;

/// Where the agent keeps things. All are created 0700 when first needed, files in them 0600.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Places {
    /// Seals, pairings, trust lists, the virtual token.
    pub data: PathBuf,
    /// The record.
    pub state: PathBuf,
}

impl Places {
    /// The usual places of this system's user (XDG on Linux, known folders on Windows).
    pub fn of_user() -> Result<Self, ConfigError> {
        let dirs = directories::BaseDirs::new().ok_or(ConfigError::NoHome)?;
        let state = dirs.state_dir().unwrap_or_else(|| dirs.data_local_dir());
        Ok(Self { data: dirs.data_local_dir().join("sealagent"), state: state.join("sealagent") })
    }

    /// The certificate of the TLS listener.
    pub fn tls(&self) -> PathBuf {
        self.data.join("tls")
    }

    /// The log of the agent.
    pub fn log(&self) -> PathBuf {
        self.state.join("log")
    }

    /// The seal store.
    pub fn seals(&self) -> PathBuf {
        self.data.join("seals")
    }

    /// The pairings with web sites.
    pub fn pairings(&self) -> PathBuf {
        self.data.join("pairings")
    }

    /// The folder of virtual tokens.
    pub fn virtual_token(&self) -> PathBuf {
        self.data.join("virtual")
    }

    /// The user's trust folder.
    pub fn trust(&self) -> PathBuf {
        self.data.join("trust")
    }

    /// The record.
    pub fn audit(&self) -> PathBuf {
        self.state.join("audit")
    }
}
