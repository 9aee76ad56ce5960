//! On Windows the preview runs in a job: 1 GiB of memory, one process, no clipboard and no other windows, gone with the agent.

#![allow(unsafe_code, reason = "job objects have no safe wrapper (ARCHITECTURE §2)")]

use std::ffi::c_void;
use std::io;
use std::os::windows::io::{FromRawHandle as _, OwnedHandle};

use std::os::windows::io::AsRawHandle as _;
use tokio::process::Child;
use windows_sys::Win32::System::JobObjects::{
    AssignProcessToJobObject, CreateJobObjectW, JOB_OBJECT_LIMIT_ACTIVE_PROCESS, JOB_OBJECT_LIMIT_DIE_ON_UNHANDLED_EXCEPTION,
    JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE, JOB_OBJECT_LIMIT_PROCESS_MEMORY, JOB_OBJECT_UILIMIT_DESKTOP,
    JOB_OBJECT_UILIMIT_DISPLAYSETTINGS, JOB_OBJECT_UILIMIT_EXITWINDOWS, JOB_OBJECT_UILIMIT_GLOBALATOMS,
    JOB_OBJECT_UILIMIT_HANDLES, JOB_OBJECT_UILIMIT_READCLIPBOARD, JOB_OBJECT_UILIMIT_SYSTEMPARAMETERS,
    JOB_OBJECT_UILIMIT_WRITECLIPBOARD, JOBOBJECT_BASIC_UI_RESTRICTIONS, JOBOBJECT_EXTENDED_LIMIT_INFORMATION, JOBOBJECTINFOCLASS,
    JobObjectBasicUIRestrictions, JobObjectExtendedLimitInformation, SetInformationJobObject,
};

/// Everything that a program may not do to the desktop that it runs on.
const EVERY_UI_LIMIT: u32 = JOB_OBJECT_UILIMIT_DESKTOP
    | JOB_OBJECT_UILIMIT_DISPLAYSETTINGS
    | JOB_OBJECT_UILIMIT_EXITWINDOWS
    | JOB_OBJECT_UILIMIT_GLOBALATOMS
    | JOB_OBJECT_UILIMIT_HANDLES
    | JOB_OBJECT_UILIMIT_READCLIPBOARD
    | JOB_OBJECT_UILIMIT_SYSTEMPARAMETERS
    | JOB_OBJECT_UILIMIT_WRITECLIPBOARD;

/// Bytes of memory, as on Linux.
const MEMORY: usize = 1 << 30;

/// A job with one process in it. Closing it kills the process.
#[derive(Debug)]
pub(super) struct Job(#[allow(dead_code, reason = "held to be closed")] OwnedHandle);

impl Job {
    /// Puts a child that has not been told anything yet into a job of its own.
    pub(super) fn around(child: &Child) -> io::Result<Self> {
        let process = child.raw_handle().ok_or(io::ErrorKind::NotFound)?;
        // SAFETY: both arguments may be null (CreateJobObjectW); the result is checked before use.
        let job = unsafe { CreateJobObjectW(std::ptr::null(), std::ptr::null()) };
        if job.is_null() {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the handle was just made and belongs to nobody else.
        let job = Self(unsafe { OwnedHandle::from_raw_handle(job) });
        let mut limits = JOBOBJECT_EXTENDED_LIMIT_INFORMATION { ProcessMemoryLimit: MEMORY, ..Default::default() };
        limits.BasicLimitInformation.ActiveProcessLimit = 1;
        limits.BasicLimitInformation.LimitFlags = JOB_OBJECT_LIMIT_ACTIVE_PROCESS
            | JOB_OBJECT_LIMIT_DIE_ON_UNHANDLED_EXCEPTION
            | JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE
            | JOB_OBJECT_LIMIT_PROCESS_MEMORY;
        job.set(JobObjectExtendedLimitInformation, &limits)?;
        let restrictions = JOBOBJECT_BASIC_UI_RESTRICTIONS { UIRestrictionsClass: EVERY_UI_LIMIT };
        job.set(JobObjectBasicUIRestrictions, &restrictions)?;
        // SAFETY: both handles are open: one is ours, the other the child's, which outlives the call.
        match unsafe { AssignProcessToJobObject(job.0.as_raw_handle(), process) } {
            0 => Err(io::Error::last_os_error()),
            _ => Ok(job),
        }
    }

    fn set<T>(&self, class: JOBOBJECTINFOCLASS, information: &T) -> io::Result<()> {
        let (pointer, size) = (std::ptr::from_ref(information).cast::<c_void>(), size_of::<T>() as u32);
        // SAFETY: the pointer is to a structure of the size given, which is that of the class; it is only read.
        match unsafe { SetInformationJobObject(self.0.as_raw_handle(), class, pointer, size) } {
            0 => Err(io::Error::last_os_error()),
            _ => Ok(()),
        }
    }
}
