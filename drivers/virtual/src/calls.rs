//! Faults at single calls of the modules that are built on the virtual token: the SKF library and the PKCS#11 module of our tests.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

/// What happens at one call.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Act {
    /// The process dies of a signal.
    Crash,
    /// The call never returns.
    Hang,
    /// Every token is pulled out, then the call goes on.
    Remove,
    /// The call returns this code and does nothing.
    Return(u32),
    /// The call takes so many milliseconds longer: a device at its own speed.
    Wait(u32),
}

/// Something that happens at a given call of a function.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CallFault {
    /// The interface's name for the function.
    pub function: String,
    /// At which of its calls, from 1; 0 for each.
    pub call: u32,
    /// What happens.
    pub act: Act,
}

/// How a length or count is not the truth.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Lie {
    /// The size query says nearly 2 GiB.
    Huge,
    /// The call with a buffer says that it wrote more than the buffer holds.
    Overrun,
}

/// How often each function was called.
#[derive(Debug, Default)]
pub struct Calls(HashMap<&'static str, u32>);

impl Calls {
    /// Counts a call and gives what is to happen at it.
    pub fn enter(&mut self, function: &'static str, faults: &[CallFault]) -> Option<Act> {
        let count = self.0.entry(function).or_default();
        *count += 1;
        let count = *count;
        faults.iter().find(|f| f.function == function && (f.call == 0 || f.call == count)).map(|f| f.act)
    }
}
