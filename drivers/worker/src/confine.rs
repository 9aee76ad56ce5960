//! What a worker does not need is taken away before a library is loaded.
//!
//! Every driver on Linux: no core dump, no debugger of the same user, no new privileges, no program started from here. A driver whose
//! files are known also writes in their folder only and opens no TCP connection.
//!
//! What a vendor's library opens and talks to is its own affair: their middleware reaches devices, sockets and lock files in ways
//! nobody wrote down, and a list that is too short breaks a token in the field. For the same reason there is no list of system calls.

use std::path::Path;

/// For every driver; before the first thread is started, so that it holds for all of them. What the system cannot do is left: this
/// is a second wall, not the first.
#[cfg(target_os = "linux")]
pub(crate) fn process() {
    use landlock::{AccessFs, Ruleset, RulesetAttr as _};
    use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    let _ = rustix::thread::set_no_new_privs(true);
    say_if_open("programs can be started", || Ruleset::default().handle_access(AccessFs::Execute)?.create()?.restrict_self());
}

/// Windows writes no core dump unless an administrator asked for them, and has no counterpart that a program without privileges
/// could put on itself.
#[cfg(not(target_os = "linux"))]
pub(crate) fn process() {}

/// Writes, makes and removes files below `folder` only, and opens no TCP connection.
#[cfg(target_os = "linux")]
pub(crate) fn only_files_below(folder: &Path) {
    use landlock::{
        ABI, Access as _, AccessFs, AccessNet, PathBeneath, PathFd, Ruleset, RulesetAttr as _, RulesetCreatedAttr as _,
    };
    // A folder that is not there yet cannot be named in a rule.
    let Ok(folder) = PathFd::new(folder) else { return };
    let writes = AccessFs::from_write(ABI::V3);
    say_if_open("files can be written anywhere", || {
        let rules = Ruleset::default().handle_access(writes)?.handle_access(AccessNet::from_all(ABI::V4))?.create()?;
        rules.add_rule(PathBeneath::new(folder, writes))?.restrict_self()
    });
}

/// A kernel without Landlock, or with it switched off, leaves a door open: the log says which.
#[cfg(target_os = "linux")]
fn say_if_open(what: &str, close: impl FnOnce() -> Result<landlock::RestrictionStatus, landlock::RulesetError>) {
    match close() {
        Ok(status) if status.ruleset != landlock::RulesetStatus::NotEnforced => {}
        Ok(_) => eprintln!("{what}: no Landlock in this kernel"),
        Err(error) => eprintln!("{what}: {error}"),
    }
}

/// See [`process`].
#[cfg(not(target_os = "linux"))]
pub(crate) fn only_files_below(_folder: &Path) {}
