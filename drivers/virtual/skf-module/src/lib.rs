//! The virtual UKey as a real SKF library, for tests of `ukey-skf` and of workers.
//!
//! Each virtual token is a device with one application. Its behaviour is the standard's (GM/T 0016-2012) but for the [`Switches`]:
//! a JSON file named by the environment variable `UKEY_VIRTUAL_SKF`, or text given to [`UKEY_VIRTUAL_SKF_Configure`]. Without either
//! it has no devices.

#![allow(non_snake_case, reason = "the names of GM/T 0016")]
#![allow(unsafe_code, reason = "an SKF library is called through C")]
#![allow(clippy::missing_safety_doc, reason = "GM/T 0016 §7 states for each function what its pointers must be")]
#![allow(missing_docs, reason = "the functions are documented in GM/T 0016 §7")]

mod state;
pub mod switches;

use std::{
    ffi::{CStr, c_char, c_void},
    ptr,
    sync::{Mutex, OnceLock},
    thread,
    time::Duration,
};

use ukey::{DEFAULT_ID, Pin, Sm2Digest, Sm2PublicKey, Sm2Signature};
use ukey_virtual::Token;

pub use crate::switches::Switches;
use crate::{
    state::{Code, Object, State},
    switches::{Act, Alignment, Lie, SignAs},
};

const OK: u32 = 0;
const FAIL: u32 = 0x0A00_0001;
const NOT_SUPPORTED_YET: u32 = 0x0A00_0003;
const INVALID_HANDLE: u32 = 0x0A00_0005;
const INVALID_PARAM: u32 = 0x0A00_0006;
const TIMEOUT: u32 = 0x0A00_000F;
const IN_DATA_LEN: u32 = 0x0A00_0010;
const CERT_NOT_FOUND: u32 = 0x0A00_001C;
const BUFFER_TOO_SMALL: u32 = 0x0A00_0020;
const DEVICE_REMOVED: u32 = 0x0A00_0023;
const PIN_INCORRECT: u32 = 0x0A00_0024;
const PIN_LOCKED: u32 = 0x0A00_0025;
const PIN_LEN_RANGE: u32 = 0x0A00_0027;
const USER_ALREADY_LOGGED_IN: u32 = 0x0A00_0028;
const USER_TYPE_INVALID: u32 = 0x0A00_002A;
const USER_NOT_LOGGED_IN: u32 = 0x0A00_002D;
const APPLICATION_NOT_EXISTS: u32 = 0x0A00_002E;
const FILE_NOT_EXIST: u32 = 0x0A00_0031;

type Handle = *mut c_void;
/// Values come as the driver under test sends them: a machine word each; the width of what is written is a switch.
type Word = usize;

fn state() -> &'static Mutex<State> {
    static STATE: OnceLock<Mutex<State>> = OnceLock::new();
    STATE.get_or_init(|| {
        let text = std::env::var_os("UKEY_VIRTUAL_SKF").and_then(|path| std::fs::read(path).ok());
        let switches = text.and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default();
        Mutex::new(State::new(switches))
    })
}

fn with_state<T>(call: impl FnOnce(&mut State) -> T) -> T {
    // A panic in an earlier call leaves the state as good as it was.
    call(&mut state().lock().unwrap_or_else(|poisoned| poisoned.into_inner()))
}

/// Runs one function of the interface: counts it, lets a fault happen, turns the result into a code.
fn run(function: &'static str, call: impl FnOnce(&mut State) -> Result<(), Code>) -> u32 {
    match with_state(|state| state.enter(function)) {
        Some(Act::Crash) => std::process::abort(),
        Some(Act::Hang) => loop {
            thread::sleep(Duration::from_secs(3600));
        },
        Some(Act::Return(code)) => return code,
        Some(Act::Remove) => with_state(|state| state.remove_all()),
        Some(Act::Wait(milliseconds)) => thread::sleep(Duration::from_millis(milliseconds.into())),
        None => {}
    }
    with_state(call).err().unwrap_or(OK)
}

impl State {
    /// Writes a `ULONG`, four bytes or eight.
    unsafe fn write(&self, out: *mut u32, value: u32) -> Result<(), Code> {
        if out.is_null() {
            return Err(INVALID_PARAM);
        }
        if self.switches.wide_ulong {
            // SAFETY: that the caller left eight bytes is what the switch is there to test.
            unsafe { out.cast::<u64>().write_unaligned(value.into()) };
        } else {
            // SAFETY: the caller passes a `ULONG *`.
            unsafe { out.write_unaligned(value) };
        }
        Ok(())
    }

    /// Gives bytes by the convention of §6.2: the size alone where the buffer is null.
    unsafe fn give(&self, function: &str, bytes: &[u8], out: *mut u8, size: *mut u32) -> Result<(), Code> {
        let lie = self.switches.lies.iter().find(|(name, _)| name == function).map(|(_, lie)| *lie);
        if size.is_null() {
            return Err(INVALID_PARAM);
        }
        // SAFETY: the caller passes a `ULONG *`; blobs are at most a few kilobytes, so the length fits.
        unsafe {
            if out.is_null() {
                return self.write(size, if lie == Some(Lie::Huge) { 0x7fff_fff0 } else { bytes.len() as u32 });
            }
            if (size.read_unaligned() as usize) < bytes.len() {
                self.write(size, bytes.len() as u32)?;
                return Err(BUFFER_TOO_SMALL);
            }
            ptr::copy_nonoverlapping(bytes.as_ptr(), out, bytes.len());
            self.write(size, bytes.len() as u32 + if lie == Some(Lie::Overrun) { 4096 } else { 0 })
        }
    }

    unsafe fn give_list(&self, function: &str, names: &[Vec<u8>], out: *mut u8, size: *mut u32) -> Result<(), Code> {
        let mut bytes = names.join(&0);
        match names {
            [] => bytes.resize(self.switches.empty_list_size as usize, 0),
            _ => bytes.extend([0, 0]),
        }
        // SAFETY: as the caller promises.
        unsafe { self.give(function, &bytes, out, size) }
    }

    /// ASCII, or Chinese in GBK before it.
    fn name(&self, chinese: &str, ascii: &str) -> Vec<u8> {
        if self.switches.gbk_names { encoding_rs::GBK.encode(&format!("{chinese}{ascii}")).0.into_owned() } else { ascii.into() }
    }

    fn device_names(&self) -> Vec<(ukey::TokenId, Vec<u8>)> {
        self.tokens().into_iter().map(|id| (id.clone(), self.name("设备", &format!("DEV-{id}")))).collect()
    }

    fn application_name(&self) -> Vec<u8> {
        self.name("印章", "SEALAPP")
    }

    fn container_name(&self, at: usize) -> Vec<u8> {
        self.name("容器", &format!("container-{}", at + 1))
    }

    /// Seals in files that are larger than they; and a file that is no seal.
    fn file_list(&self, token: &Token) -> Result<Vec<File>, Code> {
        let mut files = vec![(b"README".to_vec(), b"no seal".to_vec())];
        for (at, mut seal) in token.seals().map_err(|e| self.code(e))?.into_iter().enumerate() {
            seal.resize(seal.len().next_multiple_of(512) + 512, 0xff);
            files.push((self.name("印章", &format!("seal-{}.esl", at + 1)), seal));
        }
        Ok(files)
    }

    fn file(&self, application: Handle, name: &[u8]) -> Result<Vec<u8>, Code> {
        let (_, token) = self.application(application as usize)?;
        self.file_list(&token)?.into_iter().find(|(known, _)| known == name).map(|(_, bytes)| bytes).ok_or(FILE_NOT_EXIST)
    }
}

/// Name and content.
type File = (Vec<u8>, Vec<u8>);

/// The bytes of a C string that a caller passes.
unsafe fn text<'a>(text: *const c_char) -> Result<&'a [u8], Code> {
    if text.is_null() {
        return Err(INVALID_PARAM);
    }
    // SAFETY: §6.1: an `LPSTR` ends with NUL; it lives as long as the call.
    Ok(unsafe { CStr::from_ptr(text) }.to_bytes())
}

unsafe fn pin(pin: *const c_char) -> Result<Pin, Code> {
    // SAFETY: as the caller promises.
    Pin::new(unsafe { text(pin) }?.to_vec()).ok_or(PIN_LEN_RANGE)
}

fn put_scalar(field: &mut [u8], value: &[u8], alignment: Alignment) {
    let at = if alignment == Alignment::Right { 32 } else { 0 };
    field[at..at + 32].copy_from_slice(value);
}

/// Takes new switches as JSON text; handles and logins stay. 0, or 1 when it is no such JSON.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn UKEY_VIRTUAL_SKF_Configure(json: *const c_char) -> u32 {
    // SAFETY: the caller passes a C string.
    let Ok(json) = (unsafe { text(json) }) else { return 1 };
    let Ok(switches) = serde_json::from_slice(json) else { return 1 };
    with_state(|state| {
        state.switches = switches;
        state.forget_calls();
    });
    0
}

#[unsafe(no_mangle)]
pub unsafe extern "system" fn SKF_EnumDev(_present: u32, out: *mut u8, size: *mut u32) -> u32 {
    run("SKF_EnumDev", |state| {
        if state.switches.prints {
            println!("virtual SKF library: listing devices");
        }
        let names: Vec<_> = state.device_names().into_iter().map(|(_, name)| name).collect();
        // SAFETY: as the caller promises.
        unsafe { state.give_list("SKF_EnumDev", &names, out, size) }
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "system" fn SKF_ConnectDev(name: *const c_char, handle: *mut Handle) -> u32 {
    run("SKF_ConnectDev", |state| {
        // SAFETY: as the caller promises.
        let name = unsafe { text(name) }?;
        let (id, _) = state.device_names().into_iter().find(|(_, known)| known == name).ok_or(FAIL)?;
        // SAFETY: as the caller promises.
        unsafe { handle.write(state.handle(Object::Device(id)) as Handle) };
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "system" fn SKF_DisConnectDev(device: Handle) -> u32 {
    run("SKF_DisConnectDev", |state| state.close(device as usize))
}

#[unsafe(no_mangle)]
pub unsafe extern "system" fn SKF_GetDevState(name: *const c_char, out: *mut u32) -> u32 {
    run("SKF_GetDevState", |state| {
        // SAFETY: as the caller promises.
        let name = unsafe { text(name) }?;
        let present = state.device_names().iter().any(|(_, known)| known == name);
        // SAFETY: as the caller promises.
        unsafe { state.write(out, present.into()) }
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "system" fn SKF_GetDevInfo(device: Handle, out: *mut u8) -> u32 {
    run("SKF_GetDevInfo", |state| {
        let info = state.device(device as usize)?.info().map_err(|e| state.code(e))?;
        let mut bytes = vec![1, 0];
        let label = state.name("印章", &info.label);
        let serial = state.switches.serial.clone().unwrap_or(info.serial);
        for (len, value) in [(64, info.manufacturer.as_bytes()), (64, b"virtual"), (32, &label), (32, serial.as_bytes())] {
            let end = bytes.len() + len;
            bytes.extend(&value[..value.len().min(len - 1)]);
            bytes.resize(end, 0);
        }
        bytes.extend([1, 0, 1, 0]);
        if state.switches.aligned_device_info || state.switches.wide_ulong {
            bytes.extend([0, 0]);
        }
        for value in [0u32, 0x0002_0200, 1, 0x401, 1 << 20, 1 << 19, 1024, 1024] {
            bytes.extend(value.to_ne_bytes());
            if state.switches.wide_ulong {
                bytes.extend([0; 4]);
            }
        }
        bytes.extend([0; 64]);
        // SAFETY: that the caller left room for the widest layout is what the switches are there to test.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), out, bytes.len()) };
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "system" fn SKF_LockDev(device: Handle, _timeout: Word) -> u32 {
    run("SKF_LockDev", |state| {
        state.device(device as usize)?;
        if state.switches.locked_by_other { Err(TIMEOUT) } else { Ok(()) }
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "system" fn SKF_UnlockDev(device: Handle) -> u32 {
    run("SKF_UnlockDev", |state| state.device(device as usize).map(drop))
}

#[unsafe(no_mangle)]
pub unsafe extern "system" fn SKF_WaitForDevEvent(_name: *mut u8, _len: *mut u32, event: *mut u32) -> u32 {
    run("SKF_WaitForDevEvent", |state| {
        // SAFETY: as the caller promises.
        if state.switches.wait_returns_at_once { unsafe { state.write(event, 1) } } else { Err(NOT_SUPPORTED_YET) }
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "system" fn SKF_CancelWaitForDevEvent() -> u32 {
    run("SKF_CancelWaitForDevEvent", |_| Ok(()))
}

#[unsafe(no_mangle)]
pub unsafe extern "system" fn SKF_EnumApplication(device: Handle, out: *mut u8, size: *mut u32) -> u32 {
    run("SKF_EnumApplication", |state| {
        state.device(device as usize)?;
        // SAFETY: as the caller promises.
        unsafe { state.give_list("SKF_EnumApplication", &[state.application_name()], out, size) }
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "system" fn SKF_OpenApplication(device: Handle, name: *const c_char, handle: *mut Handle) -> u32 {
    run("SKF_OpenApplication", |state| {
        let id = state.device(device as usize)?.info().map_err(|e| state.code(e))?.id;
        // SAFETY: as the caller promises.
        if unsafe { text(name) }? != state.application_name() {
            return Err(APPLICATION_NOT_EXISTS);
        }
        // SAFETY: as the caller promises.
        unsafe { handle.write(state.handle(Object::Application(id)) as Handle) };
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "system" fn SKF_CloseApplication(application: Handle) -> u32 {
    run("SKF_CloseApplication", |state| state.close(application as usize))
}

#[unsafe(no_mangle)]
pub unsafe extern "system" fn SKF_GetPINInfo(app: Handle, who: Word, max: *mut u32, left: *mut u32, is_default: *mut u32) -> u32 {
    run("SKF_GetPINInfo", |state| {
        let (_, token) = state.application(app as usize)?;
        if who != 1 {
            return Err(USER_TYPE_INVALID);
        }
        let status = token.pin_status().map_err(|e| state.code(e))?;
        // SAFETY: as the caller promises.
        unsafe {
            state.write(max, status.max_tries.unwrap_or(0))?;
            state.write(left, status.tries_left.unwrap_or(0))?;
            state.write(is_default, 0)
        }
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "system" fn SKF_VerifyPIN(application: Handle, who: Word, secret: *const c_char, left: *mut u32) -> u32 {
    run("SKF_VerifyPIN", |state| {
        let (id, token) = state.application(application as usize)?;
        if who != 1 {
            return Err(USER_TYPE_INVALID);
        }
        if state.switches.already_logged_in {
            return Err(USER_ALREADY_LOGGED_IN);
        }
        // SAFETY: as the caller promises.
        let result = token.login(&unsafe { pin(secret) }?);
        let status = token.pin_status().map_err(|e| state.code(e))?;
        // SAFETY: as the caller promises.
        unsafe { state.write(left, status.tries_left.unwrap_or(0)) }?;
        state.logins.insert(id, result.map_err(|e| state.code(e))?);
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "system" fn SKF_ChangePIN(
    application: Handle,
    who: Word,
    old: *const c_char,
    new: *const c_char,
    left: *mut u32,
) -> u32 {
    run("SKF_ChangePIN", |state| {
        let (_, token) = state.application(application as usize)?;
        if who != 1 {
            return Err(USER_TYPE_INVALID);
        }
        // SAFETY: as the caller promises.
        let result = unsafe { token.change_pin(&pin(old)?, &pin(new)?) };
        let status = token.pin_status().map_err(|e| state.code(e))?;
        // SAFETY: as the caller promises.
        unsafe { state.write(left, status.tries_left.unwrap_or(0)) }?;
        result.map_err(|e| state.code(e))
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "system" fn SKF_ClearSecureState(application: Handle) -> u32 {
    run("SKF_ClearSecureState", |state| {
        let (id, _) = state.application(application as usize)?;
        state.logins.remove(&id);
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "system" fn SKF_EnumFiles(application: Handle, out: *mut u8, size: *mut u32) -> u32 {
    run("SKF_EnumFiles", |state| {
        let (_, token) = state.application(application as usize)?;
        let names: Vec<_> = state.file_list(&token)?.into_iter().map(|(name, _)| name).collect();
        // SAFETY: as the caller promises.
        unsafe { state.give_list("SKF_EnumFiles", &names, out, size) }
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "system" fn SKF_GetFileInfo(application: Handle, name: *const c_char, out: *mut u8) -> u32 {
    run("SKF_GetFileInfo", |state| {
        // SAFETY: as the caller promises.
        let name = unsafe { text(name) }?;
        let mut bytes = name.to_vec();
        bytes.resize(32, 0);
        let lie = state.switches.lies.iter().any(|(function, lie)| function == "SKF_GetFileInfo" && *lie == Lie::Huge);
        let size = if lie { u32::MAX } else { state.file(application, name)?.len() as u32 };
        for value in [size, 0xff, 0x10] {
            bytes.extend(value.to_ne_bytes());
            if state.switches.wide_ulong {
                bytes.extend([0; 4]);
            }
        }
        // SAFETY: that the caller left room for the widest layout is what the switch is there to test.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), out, bytes.len()) };
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "system" fn SKF_ReadFile(
    application: Handle,
    name: *const c_char,
    offset: Word,
    len: Word,
    out: *mut u8,
    out_len: *mut u32,
) -> u32 {
    run("SKF_ReadFile", |state| {
        // SAFETY: as the caller promises.
        let bytes = state.file(application, unsafe { text(name) }?)?;
        if len > 4096 {
            return Err(IN_DATA_LEN); // as tokens with a small transfer buffer do
        }
        let rest = bytes.get(offset..).ok_or(INVALID_PARAM)?;
        // SAFETY: as the caller promises.
        unsafe { state.give("SKF_ReadFile", &rest[..rest.len().min(len)], out, out_len) }
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "system" fn SKF_EnumContainer(application: Handle, out: *mut u8, size: *mut u32) -> u32 {
    run("SKF_EnumContainer", |state| {
        let (_, token) = state.application(application as usize)?;
        let names: Vec<_> = (0..state.containers(&token)?.len()).map(|at| state.container_name(at)).collect();
        // SAFETY: as the caller promises.
        unsafe { state.give_list("SKF_EnumContainer", &names, out, size) }
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "system" fn SKF_OpenContainer(application: Handle, name: *const c_char, handle: *mut Handle) -> u32 {
    run("SKF_OpenContainer", |state| {
        let (id, token) = state.application(application as usize)?;
        // SAFETY: as the caller promises.
        let name = unsafe { text(name) }?;
        let count = state.containers(&token)?.len();
        let at = (0..count).find(|at| state.container_name(*at) == name).ok_or(FAIL)?;
        // SAFETY: as the caller promises.
        unsafe { handle.write(state.handle(Object::Container(id, at)) as Handle) };
        Ok(())
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "system" fn SKF_CloseContainer(container: Handle) -> u32 {
    run("SKF_CloseContainer", |state| state.close(container as usize))
}

#[unsafe(no_mangle)]
pub unsafe extern "system" fn SKF_GetContainerType(container: Handle, kind: *mut u32) -> u32 {
    run("SKF_GetContainerType", |state| {
        state.container(container as usize)?;
        // SAFETY: as the caller promises.
        unsafe { state.write(kind, 2) }
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "system" fn SKF_ExportCertificate(container: Handle, signing: u32, out: *mut u8, size: *mut u32) -> u32 {
    run("SKF_ExportCertificate", |state| {
        let (_, keys) = state.container(container as usize)?;
        let signing = (signing != 0) != state.switches.certificates_swapped;
        let key = if signing { Some(keys.signing) } else { keys.encryption };
        let certificate = key.and_then(|key| key.certificate).ok_or(CERT_NOT_FOUND)?;
        // SAFETY: as the caller promises.
        unsafe { state.give("SKF_ExportCertificate", &certificate.0, out, size) }
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "system" fn SKF_ExportPublicKey(container: Handle, signing: u32, out: *mut u8, size: *mut u32) -> u32 {
    run("SKF_ExportPublicKey", |state| {
        let (_, keys) = state.container(container as usize)?;
        let key = if signing != 0 { keys.signing } else { keys.encryption.ok_or(FAIL)? };
        let blob = public_key_blob(&key.public_key, &state.switches);
        // SAFETY: as the caller promises.
        unsafe { state.give("SKF_ExportPublicKey", &blob, out, size) }
    })
}

fn public_key_blob(key: &Sm2PublicKey, switches: &Switches) -> Vec<u8> {
    let mut blob = 256u32.to_ne_bytes().to_vec();
    blob.resize(if switches.wide_ulong { 8 } else { 4 }, 0);
    for half in key.as_bytes().chunks(32) {
        let mut field = [0; 64];
        put_scalar(&mut field, half, switches.alignment);
        blob.extend(field);
    }
    blob
}

#[unsafe(no_mangle)]
pub unsafe extern "system" fn SKF_ECCSignData(container: Handle, data: *const u8, len: Word, out: *mut u8) -> u32 {
    run("SKF_ECCSignData", |state| {
        let (id, keys) = state.container(container as usize)?;
        if data.is_null() || out.is_null() {
            return Err(INVALID_PARAM);
        }
        // SAFETY: as the caller promises.
        let input = unsafe { std::slice::from_raw_parts(data, len) };
        let sign_as = state.switches.sign_as;
        let e = match sign_as {
            SignAs::Message => Sm2Digest::new(input, DEFAULT_ID, &keys.signing.public_key).ok_or(IN_DATA_LEN)?,
            _ => Sm2Digest::from_bytes(input.try_into().map_err(|_| IN_DATA_LEN)?),
        };
        let mut key = keys.signing.id;
        if sign_as == SignAs::OtherKey {
            let all = state.containers(&state.token(&id)?)?;
            key = all.into_iter().map(|c| c.signing.id).find(|other| *other != key).ok_or(FAIL)?;
        }
        let login = state.logins.get_mut(&id).ok_or(USER_NOT_LOGGED_IN)?;
        let signed = login.sign(&key, &e);
        let mut signature = signed.map_err(|e| state.code(e))?;
        if sign_as == SignAs::Garbage {
            signature = Sm2Signature { r: [0x11; 32], s: [0x22; 32] };
        }
        let mut blob = [0; 128];
        if state.switches.alignment == Alignment::Compact {
            blob[..64].copy_from_slice(&signature.to_raw());
        } else {
            put_scalar(&mut blob[..64], &signature.r, state.switches.alignment);
            put_scalar(&mut blob[64..], &signature.s, state.switches.alignment);
        }
        // SAFETY: `ECCSIGNATUREBLOB` is 128 bytes.
        unsafe { ptr::copy_nonoverlapping(blob.as_ptr(), out, blob.len()) };
        Ok(())
    })
}
