//! The virtual UKey as a real PKCS#11 2.40 module, for tests of `ukey-pkcs11` and of workers.
//!
//! Each virtual token is a slot. Behaviour follows the [`Switches`]: a JSON file named by the environment variable `UKEY_VIRTUAL_PKCS11`,
//! or text given to [`UKEY_VIRTUAL_PKCS11_Configure`]. Without either it has no slots. Functions that a signing UKey lacks answer
//! `CKR_FUNCTION_NOT_SUPPORTED`.

#![allow(non_snake_case, reason = "the names of PKCS#11")]
#![allow(unsafe_code, reason = "a PKCS#11 module is called through C")]
#![allow(clippy::missing_safety_doc, reason = "PKCS#11 §5 states for each function what its pointers must be")]
#![allow(missing_docs, reason = "the functions are documented in PKCS#11 §5")]

mod objects;
pub mod switches;

use std::{
    collections::HashMap,
    ffi::{CStr, c_char, c_ulong, c_void},
    ptr,
    sync::{Mutex, OnceLock},
    thread,
    time::Duration,
};

use ukey::{DEFAULT_ID, DriverError, Pin, Sm2Digest, TokenId};
use ukey_virtual::{
    Token, TokenError, Unlocked,
    calls::{Act, Calls, Lie},
};

use crate::objects::Object;
pub use crate::switches::Switches;

pub(crate) type Ulong = c_ulong;
/// A code other than `CKR_OK`.
type Code = u32;

const SLOT_ID_INVALID: Code = 3;
const GENERAL_ERROR: Code = 5;
const ARGUMENTS_BAD: Code = 7;
const ATTRIBUTE_TYPE_INVALID: Code = 0x12;
const DATA_LEN_RANGE: Code = 0x21;
const DEVICE_REMOVED: Code = 0x32;
const FUNCTION_NOT_SUPPORTED: Code = 0x54;
const KEY_HANDLE_INVALID: Code = 0x60;
const KEY_FUNCTION_NOT_PERMITTED: Code = 0x68;
const MECHANISM_INVALID: Code = 0x70;
const OBJECT_HANDLE_INVALID: Code = 0x82;
const OPERATION_NOT_INITIALIZED: Code = 0x91;
const PIN_INCORRECT: Code = 0xA0;
const PIN_LEN_RANGE: Code = 0xA2;
const PIN_LOCKED: Code = 0xA4;
const SESSION_HANDLE_INVALID: Code = 0xB3;
const USER_ALREADY_LOGGED_IN: Code = 0x100;
const USER_NOT_LOGGED_IN: Code = 0x101;
const BUFFER_TOO_SMALL: Code = 0x150;
const CRYPTOKI_NOT_INITIALIZED: Code = 0x190;
const CRYPTOKI_ALREADY_INITIALIZED: Code = 0x191;

const ECDSA: u32 = 0x1041;
const CONTEXT_SPECIFIC: Ulong = 2;
const UNAVAILABLE: Ulong = Ulong::MAX;

#[derive(Default)]
struct State {
    switches: Switches,
    initialized: bool,
    calls: Calls,
    /// Slot ids are places in this list; tokens keep theirs.
    slots: Vec<TokenId>,
    sessions: HashMap<Ulong, Session>,
    last_session: Ulong,
    /// The login of each token: of the whole application (PKCS#11 §2.4).
    logins: HashMap<TokenId, Unlocked>,
}

struct Session {
    token: TokenId,
    slot: Ulong,
    flags: Ulong,
    found: Vec<Ulong>,
    /// Mechanism and object of a signature that was begun.
    signing: Option<(u32, Ulong)>,
    authenticated_for_key: bool,
}

fn with_state<T>(call: impl FnOnce(&mut State) -> T) -> T {
    static STATE: OnceLock<Mutex<State>> = OnceLock::new();
    let state = STATE.get_or_init(|| {
        let text = std::env::var_os("UKEY_VIRTUAL_PKCS11").and_then(|path| std::fs::read(path).ok());
        let switches = text.and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default();
        Mutex::new(State { switches, ..State::default() })
    });
    // A panic in an earlier call leaves the state as good as it was.
    call(&mut state.lock().unwrap_or_else(|poisoned| poisoned.into_inner()))
}

/// Runs one function of the interface: counts it, lets a fault happen, turns the result into a code.
fn run(function: &'static str, call: impl FnOnce(&mut State) -> Result<(), Code>) -> Ulong {
    let act = with_state(|state| state.calls.enter(function, &state.switches.faults));
    match act {
        Some(Act::Crash) => std::process::abort(),
        Some(Act::Hang) => loop {
            thread::sleep(Duration::from_secs(3600));
        },
        Some(Act::Return(code)) => return code.into(),
        Some(Act::Remove) => with_state(|state| state.remove_all()),
        Some(Act::Wait(milliseconds)) => thread::sleep(Duration::from_millis(milliseconds.into())),
        None => {}
    }
    let code = with_state(|state| {
        let ready = state.initialized || matches!(function, "C_Initialize" | "C_GetFunctionList");
        if ready { call(state).err().unwrap_or(0) } else { CRYPTOKI_NOT_INITIALIZED }
    });
    code.into()
}

impl State {
    fn lie(&self, function: &str) -> Option<Lie> {
        self.switches.lies.iter().find(|(name, _)| name == function).map(|(_, lie)| *lie)
    }

    /// Finds tokens that were not seen before, and gives the slots that have one now.
    fn present(&mut self) -> Vec<Ulong> {
        let tokens = Token::list(&self.switches.folder).unwrap_or_default();
        let mut present = Vec::new();
        for id in tokens.iter().filter_map(|token| token.info().ok()).map(|info| info.id) {
            let at = self.slots.iter().position(|known| *known == id).unwrap_or_else(|| {
                self.slots.push(id);
                self.slots.len() - 1
            });
            present.push(at as Ulong);
        }
        present.sort_unstable();
        present
    }

    fn remove_all(&mut self) {
        for slot in self.present() {
            if let Ok((_, token)) = self.slot(slot) {
                // Already pulled out is as good.
                let _ = token.unplug();
            }
        }
    }

    fn token(&self, id: &TokenId) -> Result<Token, Code> {
        Token::open(&self.switches.folder, id).map_err(|e| self.code(e))
    }

    fn slot(&self, slot: Ulong) -> Result<(TokenId, Token), Code> {
        let id = self.slots.get(slot as usize).ok_or(SLOT_ID_INVALID)?;
        Ok((id.clone(), self.token(id)?))
    }

    fn session(&mut self, handle: Ulong) -> Result<&mut Session, Code> {
        self.sessions.get_mut(&handle).ok_or(SESSION_HANDLE_INVALID)
    }

    fn token_of(&mut self, session: Ulong) -> Result<(TokenId, Token), Code> {
        let id = self.session(session)?.token.clone();
        let token = self.token(&id)?;
        Ok((id, token))
    }

    /// All objects of a session's token, and whether private ones may be seen.
    fn objects(&mut self, session: Ulong) -> Result<(Vec<Object>, bool), Code> {
        let (id, token) = self.token_of(session)?;
        let objects = objects::list(&token, &self.switches).map_err(|e| self.code(e))?;
        Ok((objects, self.logins.contains_key(&id)))
    }

    fn object(&mut self, session: Ulong, handle: Ulong) -> Result<Object, Code> {
        let (objects, private) = self.objects(session)?;
        let at = (handle as usize).checked_sub(1).ok_or(OBJECT_HANDLE_INVALID)?;
        objects.into_iter().nth(at).filter(|object| private || !object.is_private()).ok_or(OBJECT_HANDLE_INVALID)
    }

    fn code(&self, error: TokenError) -> Code {
        match error {
            TokenError::LoginEnded => USER_NOT_LOGGED_IN,
            TokenError::Driver(DriverError::TokenAbsent) => self.switches.removed_code,
            TokenError::Driver(DriverError::PinBlocked) => PIN_LOCKED,
            TokenError::Driver(DriverError::PinIncorrect { .. }) => self.switches.wrong_pin_code,
            TokenError::Driver(DriverError::PinUnacceptable { .. }) => PIN_LEN_RANGE,
            _ => GENERAL_ERROR,
        }
    }

    /// Logs in with the PIN, or with what the person types on the device.
    fn log_in(&mut self, token: &Token, pin: Option<Pin>) -> Result<Unlocked, Code> {
        let pin = match (&self.switches.protected_path, pin) {
            (Some(typed), None) => Pin::new(typed.clone().into_bytes()).ok_or(PIN_LEN_RANGE)?,
            (None, Some(pin)) => pin,
            _ => return Err(ARGUMENTS_BAD),
        };
        token.login(&pin).map_err(|e| self.code(e))
    }
}

/// Writes to a place that the caller passes.
unsafe fn write<T>(out: *mut T, value: T) -> Result<(), Code> {
    if out.is_null() {
        return Err(ARGUMENTS_BAD);
    }
    // SAFETY: not null, and the caller promises that it is a place for a `T`.
    unsafe { out.write_unaligned(value) };
    Ok(())
}

/// Gives a list by the convention of PKCS#11 §5.2: the count alone where the buffer is null.
unsafe fn give(list: &[Ulong], lie: Option<Lie>, out: *mut Ulong, count: *mut Ulong) -> Result<(), Code> {
    if count.is_null() {
        return Err(ARGUMENTS_BAD);
    }
    let len = list.len() as Ulong;
    // SAFETY: the caller promises a count, and as many places as it says.
    unsafe {
        if out.is_null() {
            return write(count, if lie == Some(Lie::Huge) { 0x7fff_fff0 } else { len });
        }
        if count.read_unaligned() < len {
            write(count, len)?;
            return Err(BUFFER_TOO_SMALL);
        }
        ptr::copy_nonoverlapping(list.as_ptr(), out, list.len());
        write(count, if lie == Some(Lie::Overrun) { len + 1000 } else { len })
    }
}

/// A structure with the packing of the system's `pkcs11.h`.
#[derive(Default)]
struct Fields(Vec<u8>);

impl Fields {
    fn text(&mut self, len: usize, text: &[u8]) {
        self.0.extend(text.iter().copied().chain(std::iter::repeat(b' ')).take(len));
    }

    fn numbers(&mut self, numbers: &[Ulong]) {
        if !cfg!(windows) {
            self.0.resize(self.0.len().next_multiple_of(size_of::<Ulong>()), 0);
        }
        numbers.iter().for_each(|number| self.0.extend(number.to_ne_bytes()));
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.0.extend(bytes);
    }

    unsafe fn give(&self, out: *mut u8) -> Result<(), Code> {
        if out.is_null() {
            return Err(ARGUMENTS_BAD);
        }
        // SAFETY: the caller promises room for this structure.
        unsafe { ptr::copy_nonoverlapping(self.0.as_ptr(), out, self.0.len()) };
        Ok(())
    }
}

unsafe fn pin(pin: *const u8, len: Ulong) -> Result<Option<Pin>, Code> {
    if pin.is_null() {
        return Ok(None);
    }
    // SAFETY: the caller promises that many bytes.
    let bytes = unsafe { std::slice::from_raw_parts(pin, len as usize) };
    Pin::new(bytes.to_vec()).map(Some).ok_or(PIN_LEN_RANGE)
}

/// `CK_FUNCTION_LIST`.
#[cfg_attr(windows, repr(C, packed(1)))]
#[cfg_attr(not(windows), repr(C))]
struct FunctionList {
    version: [u8; 2],
    functions: [*const c_void; 68],
}

// SAFETY: constants and addresses of functions.
unsafe impl Sync for FunctionList {}

/// Stands for every function that a signing UKey lacks. (cdecl: the caller removes the arguments, however many.)
unsafe extern "C" fn not_supported() -> Ulong {
    FUNCTION_NOT_SUPPORTED.into()
}

static FUNCTIONS: FunctionList = {
    let mut functions = [not_supported as *const c_void; 68];
    functions[0] = C_Initialize as *const c_void;
    functions[1] = C_Finalize as *const c_void;
    functions[2] = C_GetInfo as *const c_void;
    functions[3] = C_GetFunctionList as *const c_void;
    functions[4] = C_GetSlotList as *const c_void;
    functions[5] = C_GetSlotInfo as *const c_void;
    functions[6] = C_GetTokenInfo as *const c_void;
    functions[7] = C_GetMechanismList as *const c_void;
    functions[8] = C_GetMechanismInfo as *const c_void;
    functions[11] = C_SetPIN as *const c_void;
    functions[12] = C_OpenSession as *const c_void;
    functions[13] = C_CloseSession as *const c_void;
    functions[14] = C_CloseAllSessions as *const c_void;
    functions[15] = C_GetSessionInfo as *const c_void;
    functions[18] = C_Login as *const c_void;
    functions[19] = C_Logout as *const c_void;
    functions[24] = C_GetAttributeValue as *const c_void;
    functions[26] = C_FindObjectsInit as *const c_void;
    functions[27] = C_FindObjects as *const c_void;
    functions[28] = C_FindObjectsFinal as *const c_void;
    functions[42] = C_SignInit as *const c_void;
    functions[43] = C_Sign as *const c_void;
    FunctionList { version: [2, 40], functions }
};

/// Takes new switches as JSON text; sessions and logins stay. 0, or 1 when it is no such JSON.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn UKEY_VIRTUAL_PKCS11_Configure(json: *const c_char) -> u32 {
    // SAFETY: the caller passes a C string.
    let Ok(switches) = serde_json::from_slice(unsafe { CStr::from_ptr(json) }.to_bytes()) else { return 1 };
    with_state(|state| {
        state.switches = switches;
        state.calls = Calls::default();
    });
    0
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn C_GetFunctionList(out: *mut *const c_void) -> Ulong {
    run("C_GetFunctionList", |_| {
        // SAFETY: as the caller promises.
        unsafe { write(out, ptr::from_ref(&FUNCTIONS).cast()) }
    })
}

unsafe extern "C" fn C_Initialize(_arguments: *mut c_void) -> Ulong {
    run(
        "C_Initialize",
        |state| {
            if std::mem::replace(&mut state.initialized, true) { Err(CRYPTOKI_ALREADY_INITIALIZED) } else { Ok(()) }
        },
    )
}

unsafe extern "C" fn C_Finalize(_reserved: *mut c_void) -> Ulong {
    run("C_Finalize", |state| {
        state.initialized = false;
        state.sessions.clear();
        state.logins.clear();
        Ok(())
    })
}

unsafe extern "C" fn C_GetInfo(out: *mut u8) -> Ulong {
    run("C_GetInfo", |state| {
        let mut fields = Fields::default();
        fields.bytes(&[2, 40]);
        fields.text(32, state.switches.manufacturer.as_bytes());
        fields.numbers(&[0]);
        fields.text(32, b"virtual UKey");
        fields.bytes(&[1, 0]);
        // SAFETY: as the caller promises.
        unsafe { fields.give(out) }
    })
}

unsafe extern "C" fn C_GetSlotList(present_only: u8, out: *mut Ulong, count: *mut Ulong) -> Ulong {
    run("C_GetSlotList", |state| {
        let present = state.present();
        let slots = if present_only != 0 { present } else { (0..state.slots.len() as Ulong).collect() };
        // SAFETY: as the caller promises.
        unsafe { give(&slots, state.lie("C_GetSlotList"), out, count) }
    })
}

unsafe extern "C" fn C_GetSlotInfo(slot: Ulong, out: *mut u8) -> Ulong {
    run("C_GetSlotInfo", |state| {
        let present = state.present().contains(&slot);
        let id = state.slots.get(slot as usize).ok_or(SLOT_ID_INVALID)?;
        let mut fields = Fields::default();
        fields.text(64, format!("virtual slot of {id}").as_bytes());
        fields.text(32, b"sealagent");
        fields.numbers(&[2 | Ulong::from(present)]); // removable, present
        fields.bytes(&[1, 0, 1, 0]);
        // SAFETY: as the caller promises.
        unsafe { fields.give(out) }
    })
}

unsafe extern "C" fn C_GetTokenInfo(slot: Ulong, out: *mut u8) -> Ulong {
    run("C_GetTokenInfo", |state| {
        let (_, token) = state.slot(slot)?;
        let info = token.info().map_err(|e| state.code(e))?;
        let pin = token.pin_status().map_err(|e| state.code(e))?;
        let left = pin.tries_left.unwrap_or(0);
        let mut flags = 0x400 | 8 | 4; // initialised, user PIN set, login needed
        flags |= if pin.max_tries == Some(left) { 0 } else { 0x1_0000 };
        flags |= if left == 1 { 0x2_0000 } else { 0 };
        flags |= if left == 0 { 0x4_0000 } else { 0 };
        flags |= if state.switches.protected_path.is_some() { 0x100 } else { 0 };
        let mut fields = Fields::default();
        fields.text(32, if state.switches.gbk_label { b"\xd3\xa1\xd5\xc2" } else { info.label.as_bytes() });
        fields.text(32, info.manufacturer.as_bytes());
        fields.text(16, b"virtual UKey");
        let serial = state.switches.serial.clone().unwrap_or(info.serial);
        fields.text(16, &serial.as_bytes()[serial.len().saturating_sub(16)..]);
        fields.numbers(&[flags, 0, 0, 0, 0, 16, 6, UNAVAILABLE, UNAVAILABLE, UNAVAILABLE, UNAVAILABLE]);
        fields.bytes(&[1, 0, 1, 0]);
        fields.bytes(&[0; 16]);
        // SAFETY: as the caller promises.
        unsafe { fields.give(out) }
    })
}

fn mechanisms(switches: &Switches) -> Vec<u32> {
    let own = [switches.digest_mechanism, switches.message_mechanism];
    own.into_iter().filter(|number| *number != 0).chain(switches.ecdsa_is_sm2.then_some(ECDSA)).collect()
}

unsafe extern "C" fn C_GetMechanismList(slot: Ulong, out: *mut Ulong, count: *mut Ulong) -> Ulong {
    run("C_GetMechanismList", |state| {
        state.slot(slot)?;
        let list: Vec<_> = mechanisms(&state.switches).into_iter().map(Ulong::from).collect();
        // SAFETY: as the caller promises.
        unsafe { give(&list, state.lie("C_GetMechanismList"), out, count) }
    })
}

unsafe extern "C" fn C_GetMechanismInfo(slot: Ulong, mechanism: Ulong, out: *mut u8) -> Ulong {
    run("C_GetMechanismInfo", |state| {
        state.slot(slot)?;
        if !mechanisms(&state.switches).iter().any(|known| Ulong::from(*known) == mechanism) {
            return Err(MECHANISM_INVALID);
        }
        let mut fields = Fields::default();
        fields.numbers(&[256, 256, if state.switches.wrong_flags { 0x1_0000 } else { 0x801 }]);
        // SAFETY: as the caller promises.
        unsafe { fields.give(out) }
    })
}

unsafe extern "C" fn C_OpenSession(
    slot: Ulong,
    flags: Ulong,
    _application: *mut c_void,
    _notify: *mut c_void,
    out: *mut Ulong,
) -> Ulong {
    run("C_OpenSession", |state| {
        state.present();
        let (token, _) = state.slot(slot)?;
        state.last_session += 1;
        let session = Session { token, slot, flags, found: Vec::new(), signing: None, authenticated_for_key: false };
        state.sessions.insert(state.last_session, session);
        // SAFETY: as the caller promises.
        unsafe { write(out, state.last_session) }
    })
}

unsafe extern "C" fn C_CloseSession(handle: Ulong) -> Ulong {
    run("C_CloseSession", |state| {
        let closed = state.sessions.remove(&handle).ok_or(SESSION_HANDLE_INVALID)?;
        if !state.sessions.values().any(|session| session.token == closed.token) {
            state.logins.remove(&closed.token); // the last session takes the login with it
        }
        Ok(())
    })
}

unsafe extern "C" fn C_CloseAllSessions(slot: Ulong) -> Ulong {
    run("C_CloseAllSessions", |state| {
        let id = state.slots.get(slot as usize).cloned().ok_or(SLOT_ID_INVALID)?;
        state.sessions.retain(|_, session| session.slot != slot);
        state.logins.remove(&id);
        Ok(())
    })
}

unsafe extern "C" fn C_GetSessionInfo(handle: Ulong, out: *mut u8) -> Ulong {
    run("C_GetSessionInfo", |state| {
        let (id, _) = state.token_of(handle)?;
        let user = state.logins.contains_key(&id);
        let session = state.session(handle)?;
        let writing = session.flags & 2 != 0;
        let mut fields = Fields::default();
        fields.numbers(&[session.slot, Ulong::from(user) + 2 * Ulong::from(writing), session.flags, 0]);
        // SAFETY: as the caller promises.
        unsafe { fields.give(out) }
    })
}

unsafe extern "C" fn C_Login(handle: Ulong, user: Ulong, secret: *const u8, len: Ulong) -> Ulong {
    run("C_Login", |state| {
        let (id, token) = state.token_of(handle)?;
        if user != CONTEXT_SPECIFIC && state.logins.contains_key(&id) {
            return Err(USER_ALREADY_LOGGED_IN);
        }
        // SAFETY: as the caller promises.
        let unlocked = state.log_in(&token, unsafe { pin(secret, len) }?)?;
        state.logins.insert(id, unlocked);
        state.session(handle)?.authenticated_for_key = user == CONTEXT_SPECIFIC;
        Ok(())
    })
}

unsafe extern "C" fn C_Logout(handle: Ulong) -> Ulong {
    run("C_Logout", |state| {
        let id = state.session(handle)?.token.clone();
        state.logins.remove(&id).map(drop).ok_or(USER_NOT_LOGGED_IN)
    })
}

unsafe extern "C" fn C_SetPIN(handle: Ulong, old: *const u8, old_len: Ulong, new: *const u8, new_len: Ulong) -> Ulong {
    run("C_SetPIN", |state| {
        let (_, token) = state.token_of(handle)?;
        // SAFETY: as the caller promises.
        let (old, new) = unsafe { (pin(old, old_len)?, pin(new, new_len)?) };
        let (Some(old), Some(new)) = (old, new) else { return Err(ARGUMENTS_BAD) };
        token.change_pin(&old, &new).map_err(|e| state.code(e))
    })
}

/// `CK_ATTRIBUTE`.
#[cfg_attr(windows, repr(C, packed(1)))]
#[cfg_attr(not(windows), repr(C))]
#[derive(Clone, Copy)]
pub struct Attribute {
    kind: Ulong,
    value: *mut u8,
    len: Ulong,
}

unsafe fn template<'a>(template: *mut Attribute, count: Ulong) -> &'a mut [Attribute] {
    if template.is_null() || count == 0 {
        return &mut [];
    }
    // SAFETY: the caller promises that many attributes, for as long as the call lasts.
    unsafe { std::slice::from_raw_parts_mut(template, count as usize) }
}

unsafe extern "C" fn C_FindObjectsInit(handle: Ulong, attributes: *mut Attribute, count: Ulong) -> Ulong {
    run("C_FindObjectsInit", |state| {
        let (objects, private) = state.objects(handle)?;
        // SAFETY: as the caller promises.
        let wanted = unsafe { template(attributes, count) };
        let fits = |object: &Object| {
            (private || !object.is_private())
                && wanted.iter().all(|wanted| {
                    // SAFETY: as the caller promises.
                    let value = unsafe { std::slice::from_raw_parts(wanted.value, wanted.len as usize) };
                    object.attribute(wanted.kind) == Some(value)
                })
        };
        let found = objects.iter().enumerate().filter(|(_, object)| fits(object)).map(|(at, _)| at as Ulong + 1).collect();
        state.session(handle)?.found = found;
        Ok(())
    })
}

unsafe extern "C" fn C_FindObjects(handle: Ulong, out: *mut Ulong, max: Ulong, count: *mut Ulong) -> Ulong {
    run("C_FindObjects", |state| {
        let lie = state.lie("C_FindObjects");
        let found = &mut state.session(handle)?.found;
        let given: Vec<_> = found.drain(..found.len().min(max as usize)).collect();
        // SAFETY: as the caller promises.
        unsafe {
            ptr::copy_nonoverlapping(given.as_ptr(), out, given.len());
            write(count, if lie.is_some() { 0x7fff_fff0 } else { given.len() as Ulong })
        }
    })
}

unsafe extern "C" fn C_FindObjectsFinal(handle: Ulong) -> Ulong {
    run("C_FindObjectsFinal", |state| {
        state.session(handle)?.found.clear();
        Ok(())
    })
}

unsafe extern "C" fn C_GetAttributeValue(handle: Ulong, object: Ulong, attributes: *mut Attribute, count: Ulong) -> Ulong {
    run("C_GetAttributeValue", |state| {
        let object = state.object(handle, object)?;
        let lie = state.lie("C_GetAttributeValue");
        let mut result = Ok(());
        // SAFETY: as the caller promises.
        for wanted in unsafe { template(attributes, count) } {
            let room = wanted.len;
            let Some(value) = object.attribute(wanted.kind) else {
                wanted.len = UNAVAILABLE;
                result = Err(ATTRIBUTE_TYPE_INVALID);
                continue;
            };
            wanted.len = value.len() as Ulong;
            if wanted.value.is_null() {
                if lie == Some(Lie::Huge) {
                    wanted.len = 0x7fff_fff0;
                }
            } else if room < wanted.len {
                wanted.len = UNAVAILABLE;
                result = Err(BUFFER_TOO_SMALL);
            } else {
                // SAFETY: the caller promises that much room.
                unsafe { ptr::copy_nonoverlapping(value.as_ptr(), wanted.value, value.len()) };
                if lie == Some(Lie::Overrun) {
                    wanted.len += 4096;
                }
            }
        }
        result
    })
}

/// `CK_MECHANISM`.
#[cfg_attr(windows, repr(C, packed(1)))]
#[cfg_attr(not(windows), repr(C))]
#[derive(Clone, Copy)]
pub struct Mechanism {
    mechanism: Ulong,
    parameter: *const c_void,
    len: Ulong,
}

unsafe extern "C" fn C_SignInit(handle: Ulong, mechanism: *const Mechanism, key: Ulong) -> Ulong {
    run("C_SignInit", |state| {
        if mechanism.is_null() {
            return Err(ARGUMENTS_BAD);
        }
        // SAFETY: as the caller promises.
        let mechanism = unsafe { mechanism.read_unaligned() }.mechanism as u32;
        let object = state.object(handle, key).map_err(|_| KEY_HANDLE_INVALID)?;
        if object.key.is_none() || object.attribute(0x108) != Some(&[1]) {
            return Err(KEY_FUNCTION_NOT_PERMITTED);
        }
        if !mechanisms(&state.switches).contains(&mechanism) {
            return Err(MECHANISM_INVALID);
        }
        let session = state.session(handle)?;
        session.signing = Some((mechanism, key));
        session.authenticated_for_key = false;
        Ok(())
    })
}

unsafe extern "C" fn C_Sign(handle: Ulong, data: *const u8, len: Ulong, out: *mut u8, out_len: *mut Ulong) -> Ulong {
    run("C_Sign", |state| {
        let most = if state.switches.der_results { 72 } else { 64 };
        let session = state.session(handle)?;
        if out.is_null() && session.signing.is_some() {
            // SAFETY: as the caller promises. The question for the length does not end the operation (§5.2).
            return unsafe { write(out_len, most) };
        }
        let (mechanism, key) = session.signing.take().ok_or(OPERATION_NOT_INITIALIZED)?;
        let authenticated = session.authenticated_for_key;
        if state.switches.always_authenticate && !authenticated {
            return Err(USER_NOT_LOGGED_IN);
        }
        let (id, _) = state.token_of(handle)?;
        let key = state.object(handle, key)?.key.ok_or(KEY_HANDLE_INVALID)?;
        if data.is_null() || out_len.is_null() {
            return Err(ARGUMENTS_BAD);
        }
        // SAFETY: as the caller promises.
        let input = unsafe { std::slice::from_raw_parts(data, len as usize) };
        let e = if mechanism == state.switches.message_mechanism || state.switches.hashes_again {
            Sm2Digest::new(input, DEFAULT_ID, &key.public_key).ok_or(DATA_LEN_RANGE)?
        } else {
            Sm2Digest::from_bytes(input.try_into().map_err(|_| DATA_LEN_RANGE)?)
        };
        let signed = state.logins.get_mut(&id).ok_or(USER_NOT_LOGGED_IN)?.sign(&key.id, &e);
        let signature = signed.map_err(|e| state.code(e))?;
        let bytes = if state.switches.der_results { signature.to_der() } else { signature.to_raw().to_vec() };
        let lie = state.lie("C_Sign");
        // SAFETY: as the caller promises.
        unsafe {
            if out_len.read_unaligned() < bytes.len() as Ulong {
                return Err(BUFFER_TOO_SMALL);
            }
            ptr::copy_nonoverlapping(bytes.as_ptr(), out, bytes.len());
            write(out_len, if lie.is_some() { 0x7fff_fff0 } else { bytes.len() as Ulong })
        }
    })
}
