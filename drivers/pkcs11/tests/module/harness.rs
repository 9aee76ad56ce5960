//! A private copy of the virtual module with switches of its own, and a folder of virtual tokens behind it.

use std::{ffi::CString, fs, mem::ManuallyDrop, path::PathBuf};

use tempfile::TempDir;
use ukey_pkcs11::{Pkcs11, Profile};
use ukey_virtual::{LoginPolicy, Token};
use ukey_virtual_pkcs11::{
    Switches,
    switches::{Act, CallFault},
};

use crate::bench;
pub use crate::bench::*;

/// The module that cargo built for this test crate: it lies beside the test program.
pub fn built_module() -> PathBuf {
    let folder = std::env::current_exe().unwrap().parent().unwrap().to_owned();
    folder.join(format!("{}ukey_virtual_pkcs11{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX))
}

pub struct Module {
    folder: TempDir,
    name: String,
    pub switches: Switches,
    configure: ManuallyDrop<libloading::Library>,
}

impl Module {
    pub fn new() -> Self {
        Self::named("module")
    }

    /// A copy under a file name that profiles may know.
    pub fn named(name: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let name = format!("{name}{}", std::env::consts::DLL_SUFFIX);
        let path = folder.path().join(&name);
        fs::copy(built_module(), &path).unwrap();
        // SAFETY: our own module.
        #[allow(unsafe_code)]
        let configure = ManuallyDrop::new(unsafe { libloading::Library::new(&path) }.unwrap());
        let switches = Switches { folder: folder.path().join("tokens"), ..Switches::default() };
        let module = Self { folder, name, switches, configure };
        module.apply();
        module
    }

    pub fn path(&self) -> PathBuf {
        self.folder.path().join(&self.name)
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
        type Configure = unsafe extern "C" fn(*const std::ffi::c_char) -> u32;
        // SAFETY: our own function, of this type.
        #[allow(unsafe_code)]
        let code = unsafe { self.configure.get::<Configure>(b"UKEY_VIRTUAL_PKCS11_Configure").unwrap()(json.as_ptr()) };
        assert_eq!(code, 0);
    }

    /// A token with one signing key, its encryption key, certificates for both, and a seal.
    pub fn token(&self, label: &str, login: LoginPolicy) -> Token {
        let token = bench::token(&self.switches.folder, label, login, 0);
        token.put_seal(&seal()).unwrap();
        token
    }

    pub fn driver(&self) -> Pkcs11 {
        self.driver_with(None)
    }

    pub fn driver_with(&self, profile: Option<Profile>) -> Pkcs11 {
        Pkcs11::load(&self.path(), profile).unwrap()
    }
}
