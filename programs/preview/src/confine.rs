//! What drawing does not need is taken away before the first byte of a document is read.
//!
//! On Linux: memory, time and files are limited; nothing but fonts can be opened and nothing written (Landlock); the list of system
//! calls is what reading files and taking memory needs (seccomp). Every other call fails as if the kernel did not know it, which
//! libraries have to cope with. On Windows the agent puts the process into a job before it sends anything.
//!
//! A wall that this kernel does not have is named in the log and left out: the limits of the agent (time, size of answers) hold
//! without it.

use std::path::PathBuf;

/// Address space: pictures of 16 million pixels take 64 MB each, the largest Chinese fonts 100 MB.
#[cfg(target_os = "linux")]
const MEMORY: u64 = 1 << 30;
/// Seconds of computing for one request.
#[cfg(target_os = "linux")]
const SECONDS: u64 = 20;
/// Open files: the three standard ones, and one font at a time.
#[cfg(target_os = "linux")]
const FILES: u64 = 16;

/// For the whole process, before any thread is started.
#[cfg(target_os = "linux")]
pub(crate) fn process(fonts: &[PathBuf]) {
    use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
    let limit = |resource, value| setrlimit(resource, Rlimit { current: Some(value), maximum: Some(value) }).is_err();
    let failed = [limit(Resource::As, MEMORY), limit(Resource::Nofile, FILES), limit(Resource::Core, 0)];
    if failed.contains(&true) || rustix::thread::set_no_new_privs(true).is_err() {
        eprintln!("limits of the process could not be set");
    }
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    renew_time();
    if let Err(error) = only_fonts(fonts) {
        eprintln!("files are not kept away: {error}");
    }
    if let Err(error) = only_calls_for_drawing() {
        eprintln!("system calls are not limited: {error}");
    }
}

/// See the module: the agent's side has the counterpart.
#[cfg(not(target_os = "linux"))]
pub(crate) fn process(_fonts: &[PathBuf]) {}

/// Gives each request its own time: a long document is leafed through, a page that never ends is ended.
#[cfg(target_os = "linux")]
pub(crate) fn renew_time() {
    use rustix::process::{Resource, Rlimit, setrlimit};
    use rustix::time::{ClockId, clock_gettime};
    let used = clock_gettime(ClockId::ProcessCPUTime).tv_sec.unsigned_abs();
    let _ = setrlimit(Resource::Cpu, Rlimit { current: Some(used + SECONDS), maximum: None });
}

/// On other systems the agent's deadline is the only clock.
#[cfg(not(target_os = "linux"))]
pub(crate) fn renew_time() {}

#[cfg(target_os = "linux")]
fn only_fonts(folders: &[PathBuf]) -> Result<(), String> {
    use landlock::{
        ABI, Access as _, AccessFs, AccessNet, PathBeneath, PathFd, Ruleset, RulesetAttr as _, RulesetCreatedAttr as _,
        RulesetStatus,
    };
    let close = || {
        let rules = Ruleset::default().handle_access(AccessFs::from_all(ABI::V5))?.handle_access(AccessNet::from_all(ABI::V5))?;
        let mut rules = rules.create()?;
        for folder in folders {
            // A folder that is not there cannot be named, and need not be.
            if let Ok(folder) = PathFd::new(folder) {
                rules = rules.add_rule(PathBeneath::new(folder, AccessFs::ReadFile | AccessFs::ReadDir))?;
            }
        }
        rules.restrict_self()
    };
    match close() {
        Ok(status) if status.ruleset != RulesetStatus::NotEnforced => Ok(()),
        Ok(_) => Err("no Landlock in this kernel".to_owned()),
        Err(error) => Err(landlock::RulesetError::to_string(&error)),
    }
}

#[cfg(target_os = "linux")]
fn only_calls_for_drawing() -> Result<(), String> {
    use std::collections::BTreeMap;

    use seccompiler::{
        BpfProgram, SeccompAction, SeccompCmpArgLen as Len, SeccompCmpOp as Op, SeccompCondition, SeccompFilter, SeccompRule,
        TargetArch,
    };
    let arch = TargetArch::try_from(std::env::consts::ARCH).map_err(|error| error.to_string())?;
    let rule = |argument, operator, value| -> Result<Vec<SeccompRule>, String> {
        let condition = SeccompCondition::new(argument, Len::Dword, operator, value).map_err(|error| error.to_string())?;
        Ok(vec![SeccompRule::new(vec![condition]).map_err(|error| error.to_string())?])
    };
    let mut calls: BTreeMap<i64, Vec<SeccompRule>> = ALLOWED.iter().map(|call| (*call, Vec::new())).collect();
    // No memory becomes code; no file is opened for writing; no other process is signalled or limited.
    for call in [libc::SYS_mmap, libc::SYS_mprotect] {
        calls.insert(call, rule(2, Op::MaskedEq(libc::PROT_EXEC as u64), 0)?);
    }
    let writing = (libc::O_WRONLY | libc::O_RDWR | libc::O_CREAT | libc::O_TRUNC) as u64;
    calls.insert(libc::SYS_openat, rule(2, Op::MaskedEq(writing), 0)?);
    calls.insert(libc::SYS_tgkill, rule(0, Op::Eq, u64::from(std::process::id()))?);
    calls.insert(libc::SYS_prlimit64, rule(0, Op::Eq, 0)?);
    let unknown = SeccompAction::Errno(libc::ENOSYS as u32);
    let filter = SeccompFilter::new(calls, unknown, SeccompAction::Allow, arch).map_err(|error| error.to_string())?;
    let program: BpfProgram = filter.try_into().map_err(|error: seccompiler::BackendError| error.to_string())?;
    seccompiler::apply_filter(&program).map_err(|error| error.to_string())
}

/// Reading and writing what is open, memory, time, directories, and the end.
#[cfg(target_os = "linux")]
const ALLOWED: &[i64] = &[
    libc::SYS_brk,
    libc::SYS_clock_gettime,
    libc::SYS_close,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_fcntl,
    libc::SYS_fstat,
    libc::SYS_futex,
    libc::SYS_getcwd,
    libc::SYS_getdents64,
    libc::SYS_getpid,
    libc::SYS_getrandom,
    libc::SYS_gettid,
    libc::SYS_lseek,
    libc::SYS_madvise,
    libc::SYS_mremap,
    libc::SYS_munmap,
    libc::SYS_newfstatat,
    libc::SYS_pread64,
    libc::SYS_read,
    libc::SYS_readlinkat,
    libc::SYS_readv,
    libc::SYS_restart_syscall,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_yield,
    libc::SYS_sigaltstack,
    libc::SYS_statx,
    libc::SYS_write,
    libc::SYS_writev,
];
