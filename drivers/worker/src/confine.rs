//! What a worker does not need is taken away before a library is loaded.
//!
//! Everywhere: no core dump, no debugger of the same user, no new privileges, no program started from here. Where the driver's writes are
//! known they are held to one folder. What a vendor's library reads, opens and talks to is its own affair: their middleware reaches
//! devices, sockets and lock files in ways nobody wrote down, and a list that is too short breaks a token in the field.

use std::path::Path;

/// For every driver. What the system cannot do is left: this is a second wall, not the first.
#[cfg(target_os = "linux")]
pub(crate) fn process() {
    use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    let _ = rustix::thread::set_no_new_privs(true);
}

/// The agent starts workers in a job object; Windows writes no core dump unless an administrator asked for them.
#[cfg(not(target_os = "linux"))]
pub(crate) fn process() {}

/// Starts no program and writes, makes and removes files below `folder` only.
#[cfg(target_os = "linux")]
pub(crate) fn writes_only_below(folder: &Path) {
    use landlock::{ABI, AccessFs, PathBeneath, PathFd, Ruleset, RulesetAttr as _, RulesetCreatedAttr as _, RulesetError};
    let confine = || -> Result<(), RulesetError> {
        let all = AccessFs::from_write(ABI::V3) | AccessFs::Execute;
        let mut rules = Ruleset::default().handle_access(all)?.create()?;
        if let Ok(folder) = PathFd::new(folder) {
            rules = rules.add_rule(PathBeneath::new(folder, AccessFs::from_write(ABI::V3)))?;
        }
        rules.restrict_self().map(drop)
    };
    if let Err(error) = confine() {
        eprintln!("not confined to the folder: {error}");
    }
}

/// No counterpart that a program without privileges could put on itself.
#[cfg(not(target_os = "linux"))]
pub(crate) fn writes_only_below(_folder: &Path) {}
