//! What the machine's administration says outside the policy file: on Windows, two keys of the registry that only administrators
//! write. Group policy (the ADMX file of the package) fills `Policies`; the installer leaves what its properties said in its own key.
//!
//! ```text
//! HKLM\SOFTWARE\Policies\sealagent   Origins Port Regions UserOrigins UserDrivers UserRegions Pairing PinFd   wins over the policy file
//! HKLM\SOFTWARE\sealagent            Origins Port Regions                                                     holds where the policy file is silent
//! ```
//! Origins add up: a site may ask when any of the three names it. So do regions, each as `shenzhen=` and the SHA-256 of the certificate
//! that signs its list. A value that is unknown in the first key, or cannot be what it should
//! be in either, stops the agent like a misspelt key in the file.

use std::path::PathBuf;

use super::ConfigError;
use super::file::{File, RegionFile};
use crate::consent::Origin;

/// One value of the registry: its name and its texts. Numbers come as their digits.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Value {
    pub(super) name: String,
    pub(super) texts: Vec<String>,
}

/// Where values come from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Key {
    /// Group policy.
    Policies,
    /// What the installer was told.
    Installer,
}

impl Key {
    /// The key below `HKEY_LOCAL_MACHINE`.
    pub(super) fn path(self) -> &'static str {
        match self {
            Self::Policies => r"SOFTWARE\Policies\sealagent",
            Self::Installer => r"SOFTWARE\sealagent",
        }
    }
}

/// The policy file with what the registry says. `None` stays `None` when neither says anything.
pub(super) fn with_registry(mut file: Option<File>) -> Result<Option<File>, ConfigError> {
    for key in [Key::Policies, Key::Installer] {
        let values = os::values(key).map_err(|source| ConfigError::Unreadable { path: shown(key), source })?;
        file = apply(file, key, &values)?;
    }
    Ok(file)
}

fn shown(key: Key) -> PathBuf {
    PathBuf::from(format!(r"HKEY_LOCAL_MACHINE\{}", key.path()))
}

fn apply(mut file: Option<File>, key: Key, values: &[Value]) -> Result<Option<File>, ConfigError> {
    for value in values {
        // The installer's key holds more than policy, and empty values of properties that nobody gave.
        let is_ours = key == Key::Policies || matches!(value.name.as_str(), "Origins" | "Port" | "Regions");
        if !is_ours || value.texts.iter().all(|text| text.is_empty()) {
            continue;
        }
        let wrong = |what| ConfigError::Value { path: shown(key), what: format!("{}: {what}", value.name) };
        set(file.get_or_insert_default(), key, value).map_err(wrong)?;
    }
    Ok(file)
}

fn set(file: &mut File, key: Key, value: &Value) -> Result<(), &'static str> {
    let text = value.texts.first().map_or("", |text| text.as_str());
    let flag = || match text {
        "0" => Ok(false),
        "1" => Ok(true),
        _ => Err("neither 0 nor 1"),
    };
    match value.name.as_str() {
        "Origins" => {
            for name in parts(value) {
                file.http.origins.insert(Origin::parse(name).map_err(|_| "not origins such as https://sign.example.gov.cn")?);
            }
        }
        "Port" => {
            let port = text.parse().ok().filter(|port| *port != 0).ok_or("not a port from 1 to 65535")?;
            if key == Key::Policies || file.http.port.is_none() {
                file.http.port = Some(port);
            }
        }
        "Pairing" => file.policy.get_or_insert_default().pairing = Some(flag()?),
        "PinFd" => file.policy.get_or_insert_default().pin_fd = flag()?,
        "Regions" => {
            for region in parts(value) {
                let (id, signer) = region.split_once('=').ok_or("not regions such as shenzhen=SHA-256")?;
                let region = RegionFile { id: id.to_owned(), signer: signer.to_owned(), list: None };
                region.checked().ok_or("not regions such as shenzhen=SHA-256")?;
                if !file.region.iter().any(|other| other.id == region.id) {
                    file.region.push(region);
                }
            }
        }
        "UserDrivers" => file.policy.get_or_insert_default().user_drivers = flag()?,
        "UserRegions" => file.policy.get_or_insert_default().user_regions = flag()?,
        "UserOrigins" => file.policy.get_or_insert_default().user_origins = flag()?,
        _ => return Err("unknown"),
    }
    Ok(())
}

/// The parts of a value: its texts, split at blanks, semicolons and commas.
fn parts(value: &Value) -> impl Iterator<Item = &str> {
    value.texts.iter().flat_map(|text| text.split([' ', ';', ','])).filter(|part| !part.is_empty())
}

#[cfg(unix)]
mod os {
    use super::{Key, Value};

    /// There is no registry.
    pub(super) fn values(_key: Key) -> std::io::Result<Vec<Value>> {
        Ok(Vec::new())
    }
}

#[cfg(windows)]
#[allow(unsafe_code, reason = "calls of the Windows API")]
mod os {
    use std::io;
    use std::ptr::{null, null_mut};

    use windows_sys::Win32::Foundation::{ERROR_FILE_NOT_FOUND, ERROR_NO_MORE_ITEMS, ERROR_SUCCESS};
    use windows_sys::Win32::System::Registry::{
        HKEY, HKEY_LOCAL_MACHINE, KEY_QUERY_VALUE, KEY_WOW64_64KEY, REG_DWORD, REG_MULTI_SZ, REG_SZ, RegCloseKey, RegEnumValueW,
        RegOpenKeyExW,
    };

    use super::{Key, Value};

    /// Values of one key; there are eight names.
    const MAX_VALUES: u32 = 64;
    /// Longest name, in UTF-16 units, with its end: what the registry allows is more.
    const MAX_NAME: usize = 256;
    /// Longest value, in bytes: a thousand origins.
    const MAX_BYTES: usize = 64 << 10;

    /// An open key, closed when dropped.
    struct Open(HKEY);

    impl Drop for Open {
        fn drop(&mut self) {
            // SAFETY: opened by `values`, and closed here alone.
            unsafe { RegCloseKey(self.0) };
        }
    }

    /// The texts and numbers of a key; none where the key is not there.
    pub(super) fn values(key: Key) -> io::Result<Vec<Value>> {
        let path: Vec<u16> = key.path().encode_utf16().chain([0]).collect();
        let mut open: HKEY = null_mut();
        // SAFETY: the path ends with a zero; `open` receives a handle on success. The view is the 64-bit one, whoever asks.
        let result = unsafe { RegOpenKeyExW(HKEY_LOCAL_MACHINE, path.as_ptr(), 0, KEY_QUERY_VALUE | KEY_WOW64_64KEY, &mut open) };
        match result {
            ERROR_SUCCESS => {}
            ERROR_FILE_NOT_FOUND => return Ok(Vec::new()),
            error => return Err(io::Error::from_raw_os_error(error as i32)),
        }
        let open = Open(open);
        let (mut out, mut name, mut data) = (Vec::new(), vec![0u16; MAX_NAME], vec![0u8; MAX_BYTES]);
        for index in 0..MAX_VALUES {
            let (mut name_len, mut data_len, mut kind) = (name.len() as u32, data.len() as u32, 0);
            // SAFETY: both buffers have the lengths that are given with them, in units and in bytes; the key is open.
            let result = unsafe {
                RegEnumValueW(
                    open.0,
                    index,
                    name.as_mut_ptr(),
                    &mut name_len,
                    null(),
                    &mut kind,
                    data.as_mut_ptr(),
                    &mut data_len,
                )
            };
            match result {
                ERROR_SUCCESS => {}
                ERROR_NO_MORE_ITEMS => return Ok(out),
                error => return Err(io::Error::from_raw_os_error(error as i32)),
            }
            let bytes = data.get(..data_len as usize).unwrap_or_default();
            let name = String::from_utf16_lossy(name.get(..name_len as usize).unwrap_or_default());
            out.push(Value { name, texts: texts(kind, bytes) });
        }
        Err(io::Error::other("too many values"))
    }

    fn texts(kind: u32, bytes: &[u8]) -> Vec<String> {
        let units: Vec<u16> = bytes.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect();
        match (kind, bytes) {
            (REG_DWORD, &[a, b, c, d]) => vec![u32::from_le_bytes([a, b, c, d]).to_string()],
            (REG_SZ | REG_MULTI_SZ, _) => {
                units.split(|unit| *unit == 0).filter(|text| !text.is_empty()).map(String::from_utf16_lossy).collect()
            }
            // Of a kind that no value of ours has: not empty, so that it is an error and no silence.
            _ => vec!["?".to_owned()],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(name: &str, texts: &[&str]) -> Value {
        Value { name: name.to_owned(), texts: texts.iter().map(|text| (*text).to_owned()).collect() }
    }

    fn file(text: &str) -> Option<File> {
        Some(toml::from_str(text).unwrap())
    }

    #[test]
    fn group_policy_wins_over_the_file_and_the_file_over_the_installer() {
        let policy = file("[http]\nport = 17330\norigins = [\"https://a.example\"]\n[policy]\nuser_origins = true");
        let policy = apply(policy, Key::Policies, &[value("Port", &["17331"]), value("UserOrigins", &["0"])]).unwrap();
        let installer = [value("Port", &["17332"]), value("Origins", &["https://b.example;https://c.example:8443"])];
        let policy = apply(policy, Key::Installer, &installer).unwrap().unwrap();
        assert_eq!(policy.http.port, Some(17331));
        assert!(policy.policy.as_ref().is_some_and(|rules| !rules.user_origins));
        let names: Vec<_> = policy.http.origins.iter().map(ToString::to_string).collect();
        assert_eq!(names, ["https://a.example", "https://b.example", "https://c.example:8443"]);
        let digest = "0a".repeat(32);
        let regions = [value("Regions", &[&format!("shenzhen={digest};beijing={digest}")])];
        let named = apply(Some(policy), Key::Installer, &regions).unwrap().unwrap().region;
        assert_eq!(named.iter().map(|region| region.id.as_str()).collect::<Vec<_>>(), ["shenzhen", "beijing"]);
        let alone = apply(None, Key::Installer, &[value("Port", &["17332"])]).unwrap().unwrap();
        assert_eq!(alone.http.port, Some(17332));
    }

    #[test]
    fn properties_that_nobody_gave_make_no_policy() {
        let values = [value("Origins", &[""]), value("Port", &[]), value("InstallDir", &[r"C:\Program Files\sealagent\"])];
        assert!(apply(None, Key::Installer, &values).unwrap().is_none());
    }

    #[test]
    fn misspelt_or_impossible_values_stop_the_agent() {
        let refused = |key, name, text| matches!(apply(None, key, &[value(name, &[text])]), Err(ConfigError::Value { .. }));
        assert!(refused(Key::Policies, "Orgins", "https://a.example"));
        assert!(refused(Key::Policies, "UserOrigins", "no"));
        for key in [Key::Policies, Key::Installer] {
            assert!(["0", "65536", "17329x", "?"].iter().all(|port| refused(key, "Port", port)));
            assert!(["shenzhen", "shenzhen=00", "?"].iter().all(|region| refused(key, "Regions", region)));
            assert!(["a.example", "https://a.example/path", "?"].iter().all(|name| refused(key, "Origins", name)));
        }
    }
}
