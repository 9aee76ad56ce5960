//! The calls of one SKF library: the only `unsafe` code of this driver.
//!
//! What the standard leaves open about memory, and how each is met:
//! * `ULONG` is 32 bits in the standard (GM/T 0016 table 1), 64 in libraries whose header says `unsigned long`. Every `ULONG *` points
//!   at an eight-byte [`Cell`] whose first four bytes are read; every `ULONG` goes in as a zero-extended machine word.
//! * Packing of structures is not said. Only fields at the same place in every layout are read, from buffers far larger than any.
//! * A length that a library returns is compared with the room it was given before anything is read.
//! * Functions are looked up when they are called: libraries leave out what they do not need.

use std::{
    ffi::{CStr, c_void},
    path::Path,
    ptr,
};

use ukey::{
    DriverError, Pin, Sm2PublicKey,
    driver::{MAX_CERTIFICATE_BYTES, MAX_TOKENS},
    library::LibraryError,
};
use ukey_native::text;
use zeroize::Zeroizing;

use crate::{
    names::{self, RawName},
    sar,
};

/// Longest list of names, in bytes: 64 names of the longest kind are a quarter of it.
const MAX_LIST_BYTES: usize = 64 << 10;
/// Room behind every buffer: a library that writes a little past the length it announced harms nothing.
const SLACK: usize = 1024;
/// Most files on a token: real ones have a handful; 255 is more than any directory we know of holds.
const MAX_FILES: usize = 255;
/// A `DEVINFO` has 294 to 340 bytes, by packing and width of `ULONG`.
const DEVICE_INFO_BYTES: usize = 1024;
/// A `FILEATTRIBUTE` has 44 to 56 bytes.
const FILE_INFO_BYTES: usize = 256;
/// `ECCSIGNATUREBLOB`: r and s in 64 bytes each.
pub(crate) const SIGNATURE_BYTES: usize = 128;
/// How long `SKF_LockDev` may wait for another program, in milliseconds.
const LOCK_WAIT_MS: usize = 3000;

const USER_TYPE: usize = 1;
const TRUE: u32 = 1;

type Handle = *mut c_void;
/// A `ULONG` that goes in by value: the standard's 32 bits where words have 32, else zero-extended to what an 8-byte reader expects.
type Word = usize;

/// An eight-byte place for a `ULONG` that a library writes: it may write four bytes or eight.
#[repr(C, align(8))]
struct Cell(u64);

impl Cell {
    fn new(value: u32) -> Self {
        let mut bytes = [0; 8];
        bytes[..4].copy_from_slice(&value.to_ne_bytes());
        Self(u64::from_ne_bytes(bytes))
    }

    fn value(&self) -> u32 {
        let [a, b, c, d, ..] = self.0.to_ne_bytes();
        u32::from_ne_bytes([a, b, c, d])
    }

    fn size(&self) -> usize {
        self.value() as usize // both systems have at least 32-bit words
    }
}

/// A `DEVHANDLE`. Handle kinds are types: a library may crash on one of the wrong kind.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Device(Handle);
/// An `HAPPLICATION`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Application(Handle);
/// An `HCONTAINER`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Container(Handle);

/// The fields of `DEVINFO` that lie at the same place in every layout.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct DeviceInfo {
    pub(crate) manufacturer: String,
    pub(crate) label: String,
    pub(crate) serial: Vec<u8>,
}

/// Tries of a PIN.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PinInfo {
    pub(crate) max: u32,
    pub(crate) left: u32,
}

/// What a call that looks at a PIN said: the code, and the tries left if it wrote them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PinAnswer {
    pub(crate) code: u32,
    pub(crate) tries_left: Option<u32>,
}

/// One loaded library.
#[derive(Debug)]
pub(crate) struct Library(ukey_native::Library);

/// Calls one function of the library: looks it up, converts nothing. Gives the code, or the error that it is not there.
macro_rules! call {
    ($library:expr, $name:literal, $($argument:expr => $type:ty),* $(,)?) => {{
        type Function = unsafe extern "system" fn($($type),*) -> u32;
        const ARGUMENTS: usize = [$(stringify!($type)),*].len();
        // SAFETY: `Function` is the prototype of GM/T 0016 §7 for this name, with the widths that the module's head explains, and
        // `extern "system"` is its DEVAPI. Every pointer among the arguments is null where the standard allows it, else points
        // at a live buffer of the length that goes with it; handles came from the same library and are not closed yet.
        $library.symbol::<Function>($name, ARGUMENTS).map(|function| unsafe { function($($argument),*) })
    }};
}

impl Library {
    /// Loads a library by its absolute path.
    pub(crate) fn load(path: &Path) -> Result<Self, LibraryError> {
        let library = Self(ukey_native::Library::load(path)?);
        for symbol in ["SKF_EnumDev", "SKF_ConnectDev"] {
            library.symbol::<Handle>(symbol, 3).map_err(|_| LibraryError::Lacks { symbol })?;
        }
        Ok(library)
    }

    fn symbol<T: Copy>(&self, name: &'static str, arguments: usize) -> Result<T, DriverError> {
        // SAFETY: only the address is taken here; `call!` vouches for the type, `load` asks for no more than an address.
        let symbol = unsafe { self.0.symbol::<T>(name, arguments) };
        symbol.ok_or_else(|| DriverError::unsupported(format!("{name} is not in the library")))
    }

    /// Names of the devices that are present.
    pub(crate) fn devices(&self) -> Result<Vec<RawName>, DriverError> {
        list("SKF_EnumDev", MAX_TOKENS, |out, size| call!(self, "SKF_EnumDev", TRUE => u32, out => *mut u8, size => *mut Cell))
    }

    pub(crate) fn connect(&self, name: &RawName) -> Result<Device, DriverError> {
        let mut handle = ptr::null_mut();
        let code = call!(self, "SKF_ConnectDev", name.as_c_str().as_ptr().cast() => *const u8, &mut handle => *mut Handle)?;
        opened("SKF_ConnectDev", code, handle).map(Device)
    }

    pub(crate) fn disconnect(&self, device: Device) {
        let _ = call!(self, "SKF_DisConnectDev", device.0 => Handle);
    }

    pub(crate) fn device_info(&self, device: Device) -> Result<DeviceInfo, DriverError> {
        let mut info = vec![0u8; DEVICE_INFO_BYTES];
        let code = call!(self, "SKF_GetDevInfo", device.0 => Handle, info.as_mut_ptr() => *mut u8)?;
        ok("SKF_GetDevInfo", code)?;
        Ok(DeviceInfo {
            manufacturer: text::display(text::field(&info[2..66])),
            label: text::display(text::field(&info[130..162])),
            serial: text::field(&info[162..194]).to_vec(),
        })
    }

    /// Takes the device for this program. `false` when the library cannot lock.
    pub(crate) fn lock(&self, device: Device) -> Result<bool, DriverError> {
        match call!(self, "SKF_LockDev", device.0 => Handle, LOCK_WAIT_MS => Word) {
            Ok(sar::OK) => Ok(true),
            Ok(sar::TIMEOUT) => Err(DriverError::Busy),
            Ok(sar::DEVICE_REMOVED) => Err(DriverError::TokenAbsent),
            // Not supported, or refused for a reason of its own: signing goes on without, as every other program does.
            Ok(_) | Err(_) => Ok(false),
        }
    }

    pub(crate) fn unlock(&self, device: Device) {
        let _ = call!(self, "SKF_UnlockDev", device.0 => Handle);
    }

    /// Names of the applications on a device.
    pub(crate) fn applications(&self, device: Device) -> Result<Vec<RawName>, DriverError> {
        list(
            "SKF_EnumApplication",
            MAX_TOKENS,
            |out, size| call!(self, "SKF_EnumApplication", device.0 => Handle, out => *mut u8, size => *mut Cell),
        )
    }

    pub(crate) fn open_application(&self, device: Device, name: &RawName) -> Result<Application, DriverError> {
        let mut handle = ptr::null_mut();
        let code = call!(
            self, "SKF_OpenApplication",
            device.0 => Handle, name.as_c_str().as_ptr().cast() => *const u8, &mut handle => *mut Handle,
        )?;
        opened("SKF_OpenApplication", code, handle).map(Application)
    }

    pub(crate) fn close_application(&self, application: Application) {
        let _ = call!(self, "SKF_CloseApplication", application.0 => Handle);
    }

    /// Logs out. Closing an application does not (GM/T 0016 §7.3).
    pub(crate) fn clear_secure_state(&self, application: Application) {
        let _ = call!(self, "SKF_ClearSecureState", application.0 => Handle);
    }

    /// State of the user PIN. Spends no try.
    pub(crate) fn pin_info(&self, application: Application) -> Result<PinInfo, DriverError> {
        let (mut max, mut left, mut is_default) = (Cell::new(0), Cell::new(0), Cell::new(0));
        let code = call!(
            self, "SKF_GetPINInfo",
            application.0 => Handle, USER_TYPE => Word,
            &mut max => *mut Cell, &mut left => *mut Cell, &mut is_default => *mut Cell,
        )?;
        ok("SKF_GetPINInfo", code)?;
        Ok(PinInfo { max: max.value(), left: left.value() })
    }

    /// Sends the user PIN once.
    pub(crate) fn verify_pin(&self, application: Application, pin: &Pin) -> Result<PinAnswer, DriverError> {
        let pin = c_string(pin);
        let mut left = Cell::new(u32::MAX);
        let code = call!(
            self, "SKF_VerifyPIN",
            application.0 => Handle, USER_TYPE => Word, pin.as_ptr() => *const u8, &mut left => *mut Cell,
        )?;
        Ok(PinAnswer { code, tries_left: written_tries(&left) })
    }

    /// Changes the user PIN; sends the old one once.
    pub(crate) fn change_pin(&self, application: Application, old: &Pin, new: &Pin) -> Result<PinAnswer, DriverError> {
        let (old, new) = (c_string(old), c_string(new));
        let mut left = Cell::new(u32::MAX);
        let code = call!(
            self, "SKF_ChangePIN",
            application.0 => Handle, USER_TYPE => Word, old.as_ptr() => *const u8, new.as_ptr() => *const u8, &mut left => *mut Cell,
        )?;
        Ok(PinAnswer { code, tries_left: written_tries(&left) })
    }

    /// Names of the files of an application.
    pub(crate) fn files(&self, application: Application) -> Result<Vec<RawName>, DriverError> {
        list(
            "SKF_EnumFiles",
            MAX_FILES,
            |out, size| call!(self, "SKF_EnumFiles", application.0 => Handle, out => *mut u8, size => *mut Cell),
        )
    }

    /// The size that a file was made with.
    pub(crate) fn file_size(&self, application: Application, file: &RawName) -> Result<usize, DriverError> {
        let mut info = [0u8; FILE_INFO_BYTES];
        let code = call!(
            self, "SKF_GetFileInfo",
            application.0 => Handle, file.as_c_str().as_ptr().cast() => *const u8, info.as_mut_ptr() => *mut u8,
        )?;
        ok("SKF_GetFileInfo", code)?;
        let [.., a, b, c, d] = info[..36] else { return Err(DriverError::protocol("SKF_GetFileInfo", "no size")) };
        Ok(u32::from_ne_bytes([a, b, c, d]) as usize)
    }

    /// Reads at most `len` bytes of a file.
    pub(crate) fn read_file(
        &self,
        application: Application,
        file: &RawName,
        offset: usize,
        len: usize,
    ) -> Result<Vec<u8>, DriverError> {
        let mut out = vec![0; len + SLACK];
        let mut size = Cell::new(len as u32); // the caller's chunks are small
        let code = call!(
            self, "SKF_ReadFile",
            application.0 => Handle, file.as_c_str().as_ptr().cast() => *const u8, offset => Word, len => Word,
            out.as_mut_ptr() => *mut u8, &mut size => *mut Cell,
        )?;
        ok("SKF_ReadFile", code)?;
        if size.size() > len {
            return Err(DriverError::protocol("SKF_ReadFile", format!("{} bytes where {len} were asked for", size.size())));
        }
        out.truncate(size.size());
        Ok(out)
    }

    /// Names of the containers of an application.
    pub(crate) fn containers(&self, application: Application, max: usize) -> Result<Vec<RawName>, DriverError> {
        list(
            "SKF_EnumContainer",
            max,
            |out, size| call!(self, "SKF_EnumContainer", application.0 => Handle, out => *mut u8, size => *mut Cell),
        )
    }

    pub(crate) fn open_container(&self, application: Application, name: &CStr) -> Result<Container, DriverError> {
        let mut handle = ptr::null_mut();
        let code = call!(
            self, "SKF_OpenContainer",
            application.0 => Handle, name.as_ptr().cast() => *const u8, &mut handle => *mut Handle,
        )?;
        opened("SKF_OpenContainer", code, handle).map(Container)
    }

    pub(crate) fn close_container(&self, container: Container) {
        let _ = call!(self, "SKF_CloseContainer", container.0 => Handle);
    }

    /// 1 for RSA, 2 for SM2, 0 for neither yet.
    pub(crate) fn container_type(&self, container: Container) -> Result<u32, DriverError> {
        let mut kind = Cell::new(0);
        let code = call!(self, "SKF_GetContainerType", container.0 => Handle, &mut kind => *mut Cell)?;
        ok("SKF_GetContainerType", code)?;
        Ok(kind.value())
    }

    /// The certificate of the signing key, or of the encryption key.
    pub(crate) fn certificate(&self, container: Container, signing: bool) -> Result<Vec<u8>, DriverError> {
        sized("SKF_ExportCertificate", MAX_CERTIFICATE_BYTES, |out, size| {
            call!(
                self, "SKF_ExportCertificate",
                container.0 => Handle, u32::from(signing) => u32, out => *mut u8, size => *mut Cell,
            )
        })
    }

    /// The public half of the signing key, or of the encryption key.
    pub(crate) fn public_key(&self, container: Container, signing: bool) -> Result<Sm2PublicKey, DriverError> {
        let blob = sized(
            "SKF_ExportPublicKey",
            1024,
            |out, size| call!(self, "SKF_ExportPublicKey", container.0 => Handle, u32::from(signing) => u32, out => *mut u8, size => *mut Cell),
        )?;
        parse_public_key(&blob).ok_or_else(|| DriverError::protocol("SKF_ExportPublicKey", "no point on the SM2 curve"))
    }

    /// Signs. `input` is `e`, or a message where the profile says so.
    pub(crate) fn sign(&self, container: Container, input: &[u8]) -> Result<[u8; SIGNATURE_BYTES], DriverError> {
        let mut blob = vec![0u8; SIGNATURE_BYTES + SLACK];
        let code = call!(
            self, "SKF_ECCSignData",
            container.0 => Handle, input.as_ptr() => *const u8, input.len() => Word, blob.as_mut_ptr() => *mut u8,
        )?;
        ok("SKF_ECCSignData", code)?;
        let mut out = [0; SIGNATURE_BYTES];
        out.copy_from_slice(&blob[..SIGNATURE_BYTES]);
        Ok(out)
    }
}

/// Turns a code into an error.
fn ok(function: &'static str, code: u32) -> Result<(), DriverError> {
    match code {
        sar::OK => Ok(()),
        sar::DEVICE_REMOVED => Err(DriverError::TokenAbsent),
        sar::NOT_SUPPORTED_YET => Err(DriverError::unsupported(function)),
        sar::PIN_LOCKED => Err(DriverError::PinBlocked),
        _ => Err(DriverError::module(function, code)),
    }
}

fn opened(function: &'static str, code: u32, handle: Handle) -> Result<Handle, DriverError> {
    ok(function, code)?;
    if handle.is_null() { Err(DriverError::protocol(function, "success, but no handle")) } else { Ok(handle) }
}

/// A count that the library left alone is none.
fn written_tries(cell: &Cell) -> Option<u32> {
    Some(cell.value()).filter(|tries| *tries <= crate::MAX_TRIES)
}

fn c_string(pin: &Pin) -> Zeroizing<Vec<u8>> {
    let mut out = Zeroizing::new(Vec::with_capacity(pin.expose().len() + 1));
    out.extend_from_slice(pin.expose());
    out.push(0);
    out
}

/// Asks for a size, then for the bytes. What is asked about can change in between, so it is tried three times.
fn sized(
    function: &'static str,
    max: usize,
    call: impl Fn(*mut u8, *mut Cell) -> Result<u32, DriverError>,
) -> Result<Vec<u8>, DriverError> {
    for _ in 0..3 {
        let mut size = Cell::new(0);
        ok(function, call(ptr::null_mut(), &mut size)?)?;
        let room = size.size();
        if room == 0 {
            return Ok(Vec::new());
        }
        if room > max {
            return Err(DriverError::protocol(function, format!("{room} bytes; at most {max} are taken")));
        }
        let mut out = vec![0; room + SLACK];
        match call(out.as_mut_ptr(), &mut size)? {
            sar::BUFFER_TOO_SMALL => continue,
            code => ok(function, code)?,
        }
        if size.size() <= room {
            out.truncate(size.size());
            return Ok(out);
        }
    }
    Err(DriverError::protocol(function, "the size changed with every call"))
}

fn list(
    function: &'static str,
    max: usize,
    call: impl Fn(*mut u8, *mut Cell) -> Result<u32, DriverError>,
) -> Result<Vec<RawName>, DriverError> {
    names::parse_list(function, &sized(function, MAX_LIST_BYTES, call)?, max)
}

/// `ECCPUBLICKEYBLOB`: a bit length of four bytes or eight, then x and y in 64 bytes each, right-aligned after GmSSL and the
/// libraries seen, left-aligned in a few. The reading that is a point of the curve is the right one.
fn parse_public_key(blob: &[u8]) -> Option<Sm2PublicKey> {
    let readings = [(4, 32), (8, 32), (4, 0), (8, 0)];
    readings.into_iter().find_map(|(start, skip)| {
        let mut xy = [0; 64];
        for (out, field) in xy.chunks_mut(32).zip(blob.get(start..start + 128)?.chunks(64)) {
            let (value, rest) = if skip == 0 { field.split_at(32) } else { (&field[32..], &field[..32]) };
            if rest.iter().any(|b| *b != 0) {
                return None;
            }
            out.copy_from_slice(value);
        }
        Sm2PublicKey::new(xy)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> Sm2PublicKey {
        // The generator of the curve: any point will do.
        let g = "32c4ae2c1f1981195f9904466a39c9948fe30bbff2660be1715a4589334c74c7bc3736a2f4f6779c59bdcee36b692153d0a9877cc62a474002df32e52139f0a0";
        g.parse().unwrap()
    }

    fn blob(start: usize, left: bool) -> Vec<u8> {
        let mut blob = vec![0; start + 128];
        blob[..4].copy_from_slice(&256u32.to_ne_bytes());
        for (i, half) in key().as_bytes().chunks(32).enumerate() {
            let at = start + 64 * i + if left { 0 } else { 32 };
            blob[at..at + 32].copy_from_slice(half);
        }
        blob
    }

    #[test]
    fn public_key_is_read_in_every_layout() {
        for (start, left) in [(4, false), (8, false), (4, true), (8, true)] {
            assert_eq!(parse_public_key(&blob(start, left)), Some(key()), "{start} {left}");
        }
        assert_eq!(parse_public_key(&blob(4, false)[..100]), None);
        assert_eq!(parse_public_key(&[0; 200]), None);
    }

    #[test]
    fn cell_reads_what_four_and_eight_byte_writers_leave() {
        let mut cell = Cell::new(7);
        cell.0 = u64::from_ne_bytes({
            let mut bytes = [0; 8];
            bytes[..4].copy_from_slice(&9u32.to_ne_bytes());
            bytes
        });
        assert_eq!(cell.value(), 9);
        assert_eq!(Cell::new(u32::MAX).value(), u32::MAX);
        assert_eq!(size_of::<Cell>(), 8);
    }

    #[test]
    fn size_that_grows_is_asked_for_again_and_one_that_never_fits_refused() {
        use std::cell::Cell as Counter;
        let calls = Counter::new(0);
        let answer = |grow: u32| {
            let calls = &calls;
            move |out: *mut u8, size: *mut Cell| {
                calls.set(calls.get() + 1);
                // SAFETY: `sized` passes a live cell.
                let size = unsafe { &mut *size };
                *size = Cell::new(if out.is_null() { 3 } else { 3 + grow });
                Ok(sar::OK)
            }
        };
        assert_eq!(sized("f", 10, answer(0)).unwrap(), [0; 3]);
        assert!(sized("f", 10, answer(1)).is_err());
        assert_eq!(calls.get(), 2 + 6);
        assert!(sized("f", 2, answer(0)).is_err());
        assert!(sized("f", 2, |_, _| Ok(sar::DEVICE_REMOVED)).is_err_and(|e| e == DriverError::TokenAbsent));
    }
}
