//! One vendor's library, loaded by its absolute path and never unloaded.

use std::{fs::File, io::Read as _, mem::ManuallyDrop, path::Path};

use ukey::library::{HEAD_BYTES, LibraryError, check_machine};

/// A loaded library. It is never unloaded: libraries leave threads and thread-exit handlers behind that would run into nothing.
#[derive(Debug)]
pub struct Library(ManuallyDrop<libloading::Library>);

impl Library {
    /// Loads a library, after a look at its first bytes: the system's loader calls everything "invalid".
    pub fn load(path: &Path) -> Result<Self, LibraryError> {
        if !path.is_absolute() {
            return Err(LibraryError::RelativePath);
        }
        check_machine(&read_head(path)?)?;
        let library = load(path).map_err(|e| LibraryError::Unloadable { reason: e.to_string() })?;
        Ok(Self(ManuallyDrop::new(library)))
    }

    /// The address of a function, as a function pointer of type `T`; `None` when the library does not export it. `arguments`, the number
    /// of 4-byte arguments, only matters to 32-bit Windows, where some libraries export `_NAME@BYTES`.
    ///
    /// # Safety
    /// `T` is the type of that function, or a plain pointer.
    pub unsafe fn symbol<T: Copy>(&self, name: &str, arguments: usize) -> Option<T> {
        // SAFETY: as the caller promises.
        if let Ok(symbol) = unsafe { self.0.get::<T>(name.as_bytes()) } {
            return Some(*symbol);
        }
        if cfg!(all(windows, target_arch = "x86")) {
            // SAFETY: as the caller promises.
            return unsafe { self.0.get::<T>(format!("_{name}@{}", 4 * arguments).as_bytes()) }.ok().map(|symbol| *symbol);
        }
        None
    }
}

fn read_head(path: &Path) -> Result<Vec<u8>, LibraryError> {
    let unreadable = |e: std::io::Error| match e.kind() {
        std::io::ErrorKind::NotFound => LibraryError::Absent,
        _ => LibraryError::Unreadable { reason: e.to_string() },
    };
    let mut head = Vec::new();
    File::open(path).map_err(unreadable)?.take(HEAD_BYTES as u64).read_to_end(&mut head).map_err(unreadable)?;
    Ok(head)
}

#[cfg(not(windows))]
fn load(path: &Path) -> Result<libloading::Library, libloading::Error> {
    // SAFETY: a library runs its initialisers here. The path is the administrator's, checked by the agent, and this process
    // holds nothing but this library. Lazy binding: vendors' libraries refer to functions that no system has.
    unsafe { libloading::Library::new(path) }
}

#[cfg(windows)]
fn load(path: &Path) -> Result<libloading::Library, libloading::Error> {
    use libloading::os::windows::{LOAD_LIBRARY_SEARCH_DLL_LOAD_DIR, LOAD_LIBRARY_SEARCH_SYSTEM32, Library};
    // Its own folder and the system's, never the current one or PATH: a planted DLL is not found.
    let flags = LOAD_LIBRARY_SEARCH_DLL_LOAD_DIR | LOAD_LIBRARY_SEARCH_SYSTEM32;
    // SAFETY: a library runs its initialisers here. The path is the administrator's, checked by the agent, and this process
    // holds nothing but this library.
    unsafe { Library::load_with_flags(path, flags) }.map(Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_library_is_told_apart() {
        let load = |path: &Path| Library::load(path).map(drop).unwrap_err();
        assert_eq!(load("relative.so".as_ref()), LibraryError::RelativePath);
        assert_eq!(load(&std::env::temp_dir().join("no such library")), LibraryError::Absent);
        let this_file = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
        assert_eq!(load(&this_file), LibraryError::NotALibrary);
    }
}
