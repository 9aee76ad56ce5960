//! Which worker can load a library. On Windows a process loads libraries of its own width alone, and many vendors ship 32-bit ones, so
//! a second worker built for 32 bits lies beside the usual one.

use std::path::{Path, PathBuf};

/// As much of a library's start as is read; linkers put the header into the first few hundred bytes.
const HEAD: usize = 4096;
/// `IMAGE_FILE_MACHINE_I386`
const I386: [u8; 2] = [0x4c, 0x01];

/// `worker`, or the 32-bit one beside it where `library` needs that and it is installed.
pub fn worker_for(worker: &Path, library: &Path) -> PathBuf {
    let narrow = worker.with_file_name(format!("sealagent-worker32{}", std::env::consts::EXE_SUFFIX));
    if is_narrow(library) && narrow.is_file() { narrow } else { worker.to_owned() }
}

/// Whether the file is a 32-bit Windows library. What cannot be read is not: loading it will say why.
fn is_narrow(library: &Path) -> bool {
    use std::io::Read as _;
    let mut head = Vec::new();
    let read = std::fs::File::open(library).and_then(|file| file.take(HEAD as u64).read_to_end(&mut head));
    read.is_ok() && machine(&head) == Some(I386)
}

/// The machine of a PE file, from its first bytes: `MZ`, at 0x3c the place of `PE\0\0`, behind which it stands.
fn machine(head: &[u8]) -> Option<[u8; 2]> {
    let place = head.strip_prefix(b"MZ").and_then(|rest| rest.get(0x3a..0x3e))?;
    let place = u32::from_le_bytes(place.try_into().ok()?) as usize;
    let header = head.get(place..)?.strip_prefix(b"PE\0\0")?;
    header.get(..2)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The start of a PE file whose header lies at `place`.
    fn pe(place: u32, machine: u16) -> Vec<u8> {
        let mut file = vec![0; place as usize + 6];
        file[..2].copy_from_slice(b"MZ");
        file[0x3c..0x40].copy_from_slice(&place.to_le_bytes());
        file[place as usize..][..4].copy_from_slice(b"PE\0\0");
        file[place as usize + 4..][..2].copy_from_slice(&machine.to_le_bytes());
        file
    }

    #[test]
    fn narrow_library_gets_the_narrow_worker_where_there_is_one() {
        let folder = tempfile::tempdir().unwrap();
        let worker = folder.path().join(format!("sealagent-worker{}", std::env::consts::EXE_SUFFIX));
        let narrow = folder.path().join(format!("sealagent-worker32{}", std::env::consts::EXE_SUFFIX));
        let library = folder.path().join("skf.dll");
        std::fs::write(&library, pe(0x80, 0x014c)).unwrap();
        assert_eq!(worker_for(&worker, &library), worker);
        std::fs::write(&narrow, "").unwrap();
        assert_eq!(worker_for(&worker, &library), narrow);
        std::fs::write(&library, pe(0x80, 0x8664)).unwrap();
        assert_eq!(worker_for(&worker, &library), worker);
        assert_eq!(worker_for(&worker, &folder.path().join("missing.dll")), worker);
    }

    #[test]
    fn headers_that_lie_are_no_narrow_library() {
        let good = pe(0x80, 0x014c);
        assert_eq!(machine(&good), Some(I386));
        for cut in 0..good.len() {
            assert_eq!(machine(&good[..cut]), None, "{cut}");
        }
        let mut far = good.clone();
        far[0x3c..0x40].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(machine(&far), None);
        assert_eq!(machine(b"\x7fELF"), None);
    }
}
