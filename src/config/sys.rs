//! What only the operating system knows: where the policy is, and who can write a file.

use std::io;
use std::path::{Path, PathBuf};

#[cfg(unix)]
mod os {
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    pub fn policy_path() -> PathBuf {
        PathBuf::from("/etc/sealagent/policy.toml")
    }

    pub fn only_administrators_write(path: &Path) -> io::Result<bool> {
        let file = path.metadata()?;
        Ok(file.uid() == 0 && file.mode() & 0o022 == 0)
    }

    pub fn others_can_write(path: &Path) -> io::Result<bool> {
        let file = path.metadata()?;
        let owned = file.uid() == 0 || file.uid() == rustix::process::geteuid().as_raw();
        // In a sticky folder others can add files but not replace ours.
        let writable = file.mode() & 0o022 != 0 && !(file.is_dir() && file.mode() & 0o1000 != 0);
        Ok(!owned || writable)
    }
}

#[cfg(windows)]
mod os {
    use super::*;

    /// The ProgramData folder by known-folder identifier: the variable of that name can be set by anyone.
    #[allow(unsafe_code)]
    pub fn policy_path() -> PathBuf {
        use std::os::windows::ffi::OsStringExt as _;
        use windows_sys::Win32::System::Com::CoTaskMemFree;
        use windows_sys::Win32::UI::Shell::{FOLDERID_ProgramData, SHGetKnownFolderPath};

        let mut wide = std::ptr::null_mut();
        // SAFETY: the identifier is a static, and `wide` receives a pointer that the shell allocated (or null on failure).
        let result = unsafe { SHGetKnownFolderPath(&FOLDERID_ProgramData, 0, std::ptr::null_mut(), &mut wide) };
        let folder = if result == 0 && !wide.is_null() {
            // SAFETY: on success the string is terminated by a zero, so every unit up to it may be read.
            let text = unsafe {
                let len = (0..).take_while(|i| *wide.add(*i) != 0).count();
                std::slice::from_raw_parts(wide, len)
            };
            std::ffi::OsString::from_wide(text)
        } else {
            r"C:\ProgramData".into()
        };
        // SAFETY: the documentation of SHGetKnownFolderPath asks for this call whether it succeeded or not.
        unsafe { CoTaskMemFree(wide.cast()) };
        PathBuf::from(folder).join("sealagent").join("policy.toml")
    }

    pub fn only_administrators_write(path: &Path) -> io::Result<bool> {
        Ok(!others_can_write(path)?)
    }

    /// Whether the discretionary list gives a right to write to anyone but the system, administrators, the owner and this user.
    #[allow(unsafe_code)]
    pub fn others_can_write(path: &Path) -> io::Result<bool> {
        super::acl::others_can_write(path)
    }
}

pub use os::*;
