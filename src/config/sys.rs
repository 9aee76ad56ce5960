//! What only the operating system knows: where the policy is, who can write it, and who we are.

use std::io;
use std::path::{Path, PathBuf};

#[cfg(unix)]
mod os {
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    /// Where an administrator puts the policy.
    pub fn policy_path() -> PathBuf {
        PathBuf::from("/etc/sealagent/policy.toml")
    }

    pub fn only_administrators_write(path: &Path) -> io::Result<bool> {
        let file = path.metadata()?;
        Ok(file.uid() == 0 && file.mode() & 0o022 == 0)
    }

    /// Name and number of the user that this process runs as. The name is from the user database, never from the environment.
    pub fn user() -> String {
        user_of_number(rustix::process::geteuid().as_raw())
    }

    /// Name and number of any user.
    pub fn user_of_number(id: u32) -> String {
        let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
        let name = users.lines().find_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next()?;
            (fields.nth(1)?.parse() == Ok(id)).then_some(name)
        });
        name.map_or_else(|| id.to_string(), |name| format!("{name} ({id})"))
    }
}

#[cfg(windows)]
#[allow(unsafe_code, reason = "calls of the Windows API")]
mod os {
    use std::os::windows::ffi::{OsStrExt as _, OsStringExt as _};
    use std::ptr::null_mut;

    use windows_sys::Win32::Foundation::{ERROR_SUCCESS, LocalFree};
    use windows_sys::Win32::Globalization::GetUserDefaultLocaleName;
    use windows_sys::Win32::Security::Authorization::{
        GetEffectiveRightsFromAclW, GetNamedSecurityInfoW, NO_MULTIPLE_TRUSTEE, SE_FILE_OBJECT, TRUSTEE_IS_SID,
        TRUSTEE_IS_UNKNOWN, TRUSTEE_W,
    };
    use windows_sys::Win32::Security::{
        ACL, CreateWellKnownSid, DACL_SECURITY_INFORMATION, IsWellKnownSid, OWNER_SECURITY_INFORMATION, PSID,
        SECURITY_MAX_SID_SIZE, WinAuthenticatedUserSid, WinBuiltinAdministratorsSid, WinBuiltinUsersSid, WinInteractiveSid,
        WinLocalSystemSid, WinWorldSid,
    };
    use windows_sys::Win32::Storage::FileSystem::{DELETE, FILE_APPEND_DATA, FILE_WRITE_DATA, WRITE_DAC, WRITE_OWNER};
    use windows_sys::Win32::System::Com::CoTaskMemFree;
    use windows_sys::Win32::System::SystemServices::LOCALE_NAME_MAX_LENGTH;
    use windows_sys::Win32::System::WindowsProgramming::GetUserNameW;
    use windows_sys::Win32::UI::Shell::{FOLDERID_ProgramData, SHGetKnownFolderPath};

    use super::*;

    /// The ProgramData folder by known-folder identifier: the variable of that name can be set by anyone.
    pub fn policy_path() -> PathBuf {
        let mut wide = null_mut();
        // SAFETY: the identifier is a static, and `wide` receives a pointer that the shell allocated, or null on failure.
        let result = unsafe { SHGetKnownFolderPath(&FOLDERID_ProgramData, 0, null_mut(), &mut wide) };
        let folder = if result == 0 && !wide.is_null() {
            // SAFETY: on success the text ends with a zero, so every unit up to it may be read.
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

    /// Owned by the administrators or the system, and no group of ordinary users has a right that changes it.
    pub fn only_administrators_write(path: &Path) -> io::Result<bool> {
        let wide: Vec<u16> = path.as_os_str().encode_wide().chain([0]).collect();
        let (mut owner, mut list, mut descriptor): (PSID, *mut ACL, _) = (null_mut(), null_mut(), null_mut());
        // SAFETY: the path ends with a zero; the three results point into `descriptor`, which is freed below and not before.
        let result = unsafe {
            GetNamedSecurityInfoW(
                wide.as_ptr(),
                SE_FILE_OBJECT,
                OWNER_SECURITY_INFORMATION | DACL_SECURITY_INFORMATION,
                &mut owner,
                null_mut(),
                &mut list,
                null_mut(),
                &mut descriptor,
            )
        };
        if result != ERROR_SUCCESS {
            return Err(io::Error::from_raw_os_error(result as i32));
        }
        // SAFETY: `owner` is a valid SID inside `descriptor`.
        let owned =
            unsafe { IsWellKnownSid(owner, WinBuiltinAdministratorsSid) != 0 || IsWellKnownSid(owner, WinLocalSystemSid) != 0 };
        // A file without a list is open to everyone.
        let safe = !list.is_null()
            && [WinWorldSid, WinAuthenticatedUserSid, WinBuiltinUsersSid, WinInteractiveSid].iter().all(|group| {
                // SAFETY: `list` is the valid access list inside `descriptor`.
                unsafe { rights(list, *group) }.is_some_and(|rights| rights & CHANGES == 0)
            });
        // SAFETY: allocated by GetNamedSecurityInfoW, and nothing points into it any more.
        unsafe { LocalFree(descriptor) };
        Ok(owned && safe)
    }

    const CHANGES: u32 = FILE_WRITE_DATA | FILE_APPEND_DATA | DELETE | WRITE_DAC | WRITE_OWNER;

    /// The rights that `list` gives to a well-known group.
    ///
    /// # Safety
    /// `list` points to a valid access list.
    unsafe fn rights(list: *const ACL, group: i32) -> Option<u32> {
        let mut sid = [0u8; SECURITY_MAX_SID_SIZE as usize];
        let mut size = SECURITY_MAX_SID_SIZE;
        // SAFETY: the buffer has the largest size that a SID can have.
        if unsafe { CreateWellKnownSid(group, null_mut(), sid.as_mut_ptr().cast(), &mut size) } == 0 {
            return None;
        }
        let trustee = TRUSTEE_W {
            pMultipleTrustee: null_mut(),
            MultipleTrusteeOperation: NO_MULTIPLE_TRUSTEE,
            TrusteeForm: TRUSTEE_IS_SID,
            TrusteeType: TRUSTEE_IS_UNKNOWN,
            ptstrName: sid.as_mut_ptr().cast(),
        };
        let mut rights = 0;
        // SAFETY: by the contract above, and `trustee` names a SID that lives until the call is over.
        let result = unsafe { GetEffectiveRightsFromAclW(list, &trustee, &mut rights) };
        (result == ERROR_SUCCESS).then_some(rights)
    }

    /// The user's locale, such as `zh-CN`.
    pub fn locale() -> Option<String> {
        let mut name = [0u16; LOCALE_NAME_MAX_LENGTH as usize];
        // SAFETY: the buffer has the length that is given, in units.
        let written = unsafe { GetUserDefaultLocaleName(name.as_mut_ptr(), name.len() as i32) };
        let written = usize::try_from(written).ok().filter(|n| *n > 0)?;
        Some(String::from_utf16_lossy(name.get(..written - 1)?))
    }

    /// Name of the user that this process runs as.
    pub fn user() -> String {
        let mut name = [0u16; 257];
        let mut size = name.len() as u32;
        // SAFETY: the buffer has the size that is given; on success `size` counts the units written with the final zero.
        if unsafe { GetUserNameW(name.as_mut_ptr(), &mut size) } == 0 {
            return "?".to_owned();
        }
        String::from_utf16_lossy(&name[..(size as usize).saturating_sub(1)])
    }
}

pub use os::*;
