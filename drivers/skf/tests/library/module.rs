//! A private copy of the virtual SKF library with switches of its own, and a folder of virtual tokens behind it.

use std::{
    ffi::CString,
    fs,
    path::{Path, PathBuf},
};

use tempfile::TempDir;
use ukey_skf::{Profile, Skf};
use ukey_virtual::{LoginPolicy, Token};
use ukey_virtual_skf::{
    Switches,
    switches::{Act, CallFault},
};

use crate::bench;
pub use crate::bench::*;

/// The library that cargo built for this test crate: it lies beside the test program.
pub fn built_library() -> PathBuf {
    let folder = std::env::current_exe().unwrap().parent().unwrap().to_owned();
    folder.join(format!("{}ukey_virtual_skf{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX))
}

pub struct Module {
    folder: TempDir,
    pub switches: Switches,
    configure: std::mem::ManuallyDrop<libloading::Library>,
}

impl Module {
    pub fn new() -> Self {
        Self::without(&[])
    }

    /// A library that does not export some functions: their names are overwritten in the copy's symbol table.
    pub fn without(functions: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut bytes = fs::read(built_library()).unwrap();
        for function in functions {
            let name = format!("\0{function}\0");
            let mut at = 0;
            let mut found = false;
            while let Some(next) = bytes[at..].windows(name.len()).position(|w| w == name.as_bytes()) {
                bytes[at + next + 1] = b'X';
                at += next + name.len();
                found = true;
            }
            assert!(found, "{function} is not exported");
        }
        fs::write(Self::path_in(folder.path()), bytes).unwrap();
        // SAFETY: our own library.
        #[allow(unsafe_code)]
        let configure = unsafe { libloading::Library::new(Self::path_in(folder.path())) }.unwrap();
        let switches = Switches { folder: folder.path().join("tokens"), ..Switches::default() };
        let module = Self { folder, switches, configure: std::mem::ManuallyDrop::new(configure) };
        module.apply();
        module
    }

    fn path_in(folder: &Path) -> PathBuf {
        folder.join(format!("library{}", std::env::consts::DLL_SUFFIX))
    }

    pub fn path(&self) -> PathBuf {
        Self::path_in(self.folder.path())
    }

    pub fn with(mut self, change: impl FnOnce(&mut Switches)) -> Self {
        self.set(change);
        self
    }

    pub fn set(&mut self, change: impl FnOnce(&mut Switches)) {
        change(&mut self.switches);
        self.apply();
    }

    pub fn fault(&mut self, function: &str, call: u32, act: Act) {
        self.set(|s| s.faults = vec![CallFault { function: function.into(), call, act }]);
    }

    fn apply(&self) {
        let json = CString::new(serde_json::to_vec(&self.switches).unwrap()).unwrap();
        type Configure = unsafe extern "system" fn(*const std::ffi::c_char) -> u32;
        // SAFETY: our own function, of this type.
        #[allow(unsafe_code)]
        let code = unsafe { self.configure.get::<Configure>(b"UKEY_VIRTUAL_SKF_Configure").unwrap()(json.as_ptr()) };
        assert_eq!(code, 0);
    }

    /// A token with one signing key, its encryption key, certificates for both, and a seal.
    pub fn token(&self, label: &str, login: LoginPolicy) -> Token {
        let token = bench::token(&self.switches.folder, label, login, 0);
        token.put_seal(&seal()).unwrap();
        token
    }

    pub fn driver(&self) -> Skf {
        self.driver_with(Profile::default())
    }

    pub fn driver_with(&self, profile: Profile) -> Skf {
        Skf::load(&self.path(), profile).unwrap()
    }
}
