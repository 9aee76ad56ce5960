//! Why a vendor's library cannot be loaded, told from its first bytes before the system's loader says less.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How many bytes from the start of a library [`check_machine`] wants to see. The header of a PE file is not at its start.
pub const HEAD_BYTES: usize = 4096;

/// The processor that a library or program is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Machine {
    /// 64-bit Arm.
    Arm64,
    /// 64-bit LoongArch.
    LoongArch64,
    /// Another one, by the file format's own number.
    Other(u32),
    /// 32-bit x86.
    X86,
    /// 64-bit x86.
    X86_64,
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Arm64 => f.write_str("64-bit ARM"),
            Self::LoongArch64 => f.write_str("64-bit LoongArch"),
            Self::Other(number) => write!(f, "machine type {number:#x}"),
            Self::X86 => f.write_str("32-bit x86"),
            Self::X86_64 => f.write_str("64-bit x86"),
        }
    }
}

impl Machine {
    /// The one this program was built for; `None` for one that no vendor's library is known for.
    pub const fn of_this_program() -> Option<Self> {
        if cfg!(target_arch = "x86_64") {
            Some(Self::X86_64)
        } else if cfg!(target_arch = "x86") {
            Some(Self::X86)
        } else if cfg!(target_arch = "aarch64") {
            Some(Self::Arm64)
        } else if cfg!(target_arch = "loongarch64") {
            Some(Self::LoongArch64)
        } else {
            None
        }
    }

    /// Reads the machine type of an ELF or PE library; `None` when `head` is the start of neither.
    pub fn of_library(head: &[u8]) -> Option<Self> {
        if head.starts_with(b"\x7fELF") {
            let number = u16::from_le_bytes(head.get(18..20)?.try_into().ok()?);
            return Some(match number {
                3 => Self::X86,
                62 => Self::X86_64,
                183 => Self::Arm64,
                258 => Self::LoongArch64,
                other => Self::Other(other.into()),
            });
        }
        if head.starts_with(b"MZ") {
            let start = u32::from_le_bytes(head.get(0x3c..0x40)?.try_into().ok()?) as usize;
            let number = head.get(start..start.checked_add(6)?)?.strip_prefix(b"PE\0\0")?;
            return Some(match u16::from_le_bytes(number.try_into().ok()?) {
                0x14c => Self::X86,
                0x8664 => Self::X86_64,
                0xaa64 => Self::Arm64,
                other => Self::Other(other.into()),
            });
        }
        None
    }
}

/// Why a library does not serve as a driver. The path is the caller's to add.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum LibraryError {
    /// No such file.
    #[error("the library is not there")]
    Absent,
    /// It loads, but is no library of this interface.
    #[error("the library does not export {symbol}, so it is not a library of this kind")]
    Lacks {
        /// A function that every library of the kind has.
        symbol: &'static str,
    },
    /// Neither ELF, PE nor whatever else this system loads.
    #[error("the file is not a library")]
    NotALibrary,
    /// For another processor, or 32-bit where this worker is 64-bit.
    #[error("the library is for {library}, this worker for {program}")]
    OtherMachine {
        /// What the library is for.
        library: Machine,
        /// What the worker was built for.
        program: Machine,
    },
    /// Only absolute paths are loaded: a bare name would be searched for in folders that others may write to.
    #[error("the path of the library is not absolute")]
    RelativePath,
    /// Its own start-up call failed.
    #[error("{function} answered {code:#010x}")]
    Start {
        /// The call.
        function: &'static str,
        /// The code it returned.
        code: u32,
    },
    /// The system's loader refused it.
    #[error("the system cannot load the library: {reason}")]
    Unloadable {
        /// In the loader's words.
        reason: String,
    },
    /// It is there, but cannot be read.
    #[error("the library cannot be read: {reason}")]
    Unreadable {
        /// In the system's words.
        reason: String,
    },
}

/// The situation of a [`LibraryError`], for whoever tells a person in their language.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "each is the error of its name")]
pub enum LibraryFault {
    Absent,
    Lacks,
    NotALibrary,
    OtherMachine,
    RelativePath,
    Start,
    Unloadable,
    Unreadable,
}

impl LibraryError {
    /// The situation without its particulars.
    pub fn fault(&self) -> LibraryFault {
        match self {
            Self::Absent => LibraryFault::Absent,
            Self::Lacks { .. } => LibraryFault::Lacks,
            Self::NotALibrary => LibraryFault::NotALibrary,
            Self::OtherMachine { .. } => LibraryFault::OtherMachine,
            Self::RelativePath => LibraryFault::RelativePath,
            Self::Start { .. } => LibraryFault::Start,
            Self::Unloadable { .. } => LibraryFault::Unloadable,
            Self::Unreadable { .. } => LibraryFault::Unreadable,
        }
    }
}

/// Refuses what the loader would refuse with less to go on. `head`: the first [`HEAD_BYTES`] of the file, or all of a shorter one.
pub fn check_machine(head: &[u8]) -> Result<(), LibraryError> {
    // A Mach-O library may hold several machines: left to the loader.
    if cfg!(target_vendor = "apple") {
        return Ok(());
    }
    let format = if cfg!(windows) { head.starts_with(b"MZ") } else { head.starts_with(b"\x7fELF") };
    match (format.then(|| Machine::of_library(head)).flatten(), Machine::of_this_program()) {
        (None, _) => Err(LibraryError::NotALibrary),
        (Some(library), Some(program)) if library != program => Err(LibraryError::OtherMachine { library, program }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pe(machine: u16) -> Vec<u8> {
        let mut head = vec![0; 0x80];
        head[..2].copy_from_slice(b"MZ");
        head[0x3c] = 0x80;
        head.extend(b"PE\0\0");
        head.extend(machine.to_le_bytes());
        head
    }

    fn elf(machine: u16) -> Vec<u8> {
        let mut head = b"\x7fELF\x02\x01\x01".to_vec();
        head.resize(18, 0);
        head.extend(machine.to_le_bytes());
        head
    }

    #[test]
    fn machine_is_read_from_elf_and_pe() {
        assert_eq!(Machine::of_library(&elf(3)), Some(Machine::X86));
        assert_eq!(Machine::of_library(&elf(183)), Some(Machine::Arm64));
        assert_eq!(Machine::of_library(&pe(0x14c)), Some(Machine::X86));
        assert_eq!(Machine::of_library(&pe(0x8664)), Some(Machine::X86_64));
        assert_eq!(Machine::of_library(b"#!/bin/sh"), None);
        let mut far = pe(0x14c);
        far[0x3c..0x40].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(Machine::of_library(&far), None);
    }

    #[test]
    #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
    fn library_for_another_machine_is_named() {
        assert_eq!(check_machine(&elf(62)), Ok(()));
        let error = check_machine(&elf(3)).unwrap_err();
        assert_eq!(error.to_string(), "the library is for 32-bit x86, this worker for 64-bit x86");
        assert_eq!(check_machine(&pe(0x8664)), Err(LibraryError::NotALibrary));
        assert_eq!(check_machine(b""), Err(LibraryError::NotALibrary));
    }
}
