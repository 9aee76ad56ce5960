//! The few calls that a safe interface does not give.
#![allow(unsafe_code)]

#[cfg(unix)]
pub(crate) use unix::{kill_self, lock_memory, take_standard_streams};
#[cfg(windows)]
pub(crate) use windows::{kill_self, lock_memory, take_standard_streams};

#[cfg(unix)]
mod unix {
    use std::{fs::File, io};

    /// Input and output as files that no child inherits. Descriptor 0 becomes empty and descriptor 1 a second standard error.
    pub(crate) fn take_standard_streams() -> io::Result<(File, File)> {
        let input = rustix::io::fcntl_dupfd_cloexec(io::stdin(), 3)?;
        let out = rustix::io::fcntl_dupfd_cloexec(io::stdout(), 3)?;
        rustix::stdio::dup2_stdin(File::open("/dev/null")?)?;
        rustix::stdio::dup2_stdout(io::stderr())?;
        Ok((input.into(), out.into()))
    }

    /// Keeps the page of these bytes out of swap, where the limit allows it. It stays locked: other secrets will lie there too.
    pub(crate) fn lock_memory(bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        // SAFETY: mlock(2) neither reads nor writes the range, which a borrow shows to be mapped.
        let _ = unsafe { rustix::mm::mlock(bytes.as_ptr().cast_mut().cast(), bytes.len()) };
    }

    /// Ends the process without running anything of a library's.
    pub(crate) fn kill_self() {
        let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    }
}

#[cfg(windows)]
mod windows {
    use std::{fs::File, io, os::windows::io::AsHandle as _};

    use windows_sys::Win32::System::{
        Console::{GetStdHandle, STD_ERROR_HANDLE, STD_INPUT_HANDLE, STD_OUTPUT_HANDLE, SetStdHandle},
        Memory::VirtualLock,
        Threading::{GetCurrentProcess, TerminateProcess},
    };

    /// Input and output as handles of our own. The standard input handle becomes none, and standard output a second standard error,
    /// so that a C runtime in a library that is loaded later finds only these.
    pub(crate) fn take_standard_streams() -> io::Result<(File, File)> {
        let input = io::stdin().as_handle().try_clone_to_owned()?;
        let out = io::stdout().as_handle().try_clone_to_owned()?;
        // SAFETY: both calls take and give handle values and touch no memory of ours.
        let done = unsafe {
            SetStdHandle(STD_INPUT_HANDLE, std::ptr::null_mut()) != 0
                && SetStdHandle(STD_OUTPUT_HANDLE, GetStdHandle(STD_ERROR_HANDLE)) != 0
        };
        if done { Ok((input.into(), out.into())) } else { Err(io::Error::last_os_error()) }
    }

    /// Keeps the page of these bytes out of the page file, where the limit allows it.
    pub(crate) fn lock_memory(bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        // SAFETY: VirtualLock neither reads nor writes the range, which a borrow shows to be mapped.
        let _ = unsafe { VirtualLock(bytes.as_ptr().cast(), bytes.len()) };
    }

    /// Ends the process without running anything of a library's.
    pub(crate) fn kill_self() {
        // SAFETY: the pseudo handle of the own process is always valid.
        let _ = unsafe { TerminateProcess(GetCurrentProcess(), 1) };
    }
}
