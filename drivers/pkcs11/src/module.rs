//! The calls of one PKCS#11 module: the only `unsafe` code of this driver. Counts and lengths are compared with the room that was given
//! before anything is read; buffers have room to spare behind them.

use std::{
    ffi::c_void,
    mem::{MaybeUninit, size_of},
    path::Path,
    ptr,
};

use ukey::{Credential, DriverError, Pin, library::LibraryError};
use ukey_native::Library;

use crate::ffi::{self, Attribute, Function, FunctionList, Ulong};

/// Most slots of a module: network HSMs have some dozens.
const MAX_SLOTS: usize = 256;
/// Most mechanisms of a slot: rich modules have some hundred.
const MAX_MECHANISMS: usize = 4096;
/// Most objects of one class.
const MAX_OBJECTS: usize = 1024;
/// Longest result of `C_Sign` that can be a signature: DER of r and s has at most 72 bytes, RSA ones of a mistaken key 512.
const SIGN_ROOM: usize = 1024;
/// Room behind every buffer: a module that writes a little past its end harms nothing.
const SLACK: usize = 1024;

/// A `CK_SLOT_ID`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct SlotId(pub(crate) Ulong);
/// A `CK_SESSION_HANDLE`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SessionHandle(Ulong);
/// A `CK_OBJECT_HANDLE`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct ObjectHandle(Ulong);

/// One loaded and initialised module.
pub(crate) struct Module {
    functions: *const FunctionList,
    #[expect(dead_code, reason = "the functions lie in it")]
    library: Library,
}

/// A structure that a module fills, zeroed, with [`SLACK`] behind it.
#[repr(C)]
struct Padded<T> {
    value: T,
    slack: [u8; SLACK],
}

impl<T: Copy> Padded<T> {
    /// `T` is one of the `ffi` structures: integers and bytes, for which zeros are a value.
    fn zeroed() -> Self {
        // SAFETY: see above; both fields are valid when all their bytes are zero.
        unsafe { MaybeUninit::zeroed().assume_init() }
    }
}

/// Calls one function from the list: gives its `CK_RV` (32 bits of it), or the error that it is not there.
macro_rules! call {
    ($module:expr, $function:expr, $($argument:expr => $type:ty),* $(,)?) => {
        $module.function($function).map(|function| {
            type Function = unsafe extern "C" fn($($type),*) -> Ulong;
            // SAFETY: the function at this place of `CK_FUNCTION_LIST` has this type by `pkcs11f.h`, and every function pointer has the
            // same form. Pointers among the arguments are null where the standard allows it, else point at live memory of the length
            // that goes with them; handles came from the same module.
            let code = unsafe { std::mem::transmute::<unsafe extern "C" fn(), Function>(function)($($argument),*) };
            code as u32
        })
    };
}

impl Module {
    /// Loads a module by its absolute path and starts it.
    pub(crate) fn load(path: &Path) -> Result<Self, LibraryError> {
        type GetFunctionList = unsafe extern "C" fn(*mut *const FunctionList) -> Ulong;
        let library = Library::load(path)?;
        // SAFETY: this is its type (PKCS#11 §5.4); it is cdecl, so no name carries a count of arguments.
        let get = unsafe { library.symbol::<GetFunctionList>("C_GetFunctionList", 0) };
        let get = get.ok_or(LibraryError::Lacks { symbol: "C_GetFunctionList" })?;
        let mut functions = ptr::null();
        // SAFETY: a live place for one pointer.
        let code = unsafe { get(&mut functions) } as u32;
        if code != ffi::CKR_OK || functions.is_null() {
            return Err(LibraryError::Start { function: "C_GetFunctionList", code });
        }
        let module = Self { functions, library };
        match module.initialize() {
            Ok(ffi::CKR_OK | ffi::CKR_CRYPTOKI_ALREADY_INITIALIZED) => Ok(module),
            Ok(code) => Err(LibraryError::Start { function: "C_Initialize", code }),
            Err(_) => Err(LibraryError::Lacks { symbol: "C_Initialize" }),
        }
    }

    /// With the system's locks where the module has them: some start threads of their own.
    fn initialize(&self) -> Result<u32, DriverError> {
        let mut arguments =
            ffi::InitializeArgs { mutexes: [ptr::null(); 4], flags: ffi::CKF_OS_LOCKING_OK, reserved: ptr::null() };
        let arguments = ptr::from_mut(&mut arguments).cast::<c_void>();
        match call!(self, Function::Initialize, arguments => *mut c_void)? {
            ffi::CKR_CANT_LOCK => call!(self, Function::Initialize, ptr::null_mut() => *mut c_void),
            code => Ok(code),
        }
    }

    fn function(&self, function: Function) -> Result<unsafe extern "C" fn(), DriverError> {
        // SAFETY: `C_GetFunctionList` gave this pointer, and the library is not unloaded. Read place by place: a list is only
        // promised to be as long as its version's.
        let entry = unsafe { ptr::addr_of!((*self.functions).functions[function as usize]).read_unaligned() };
        entry.ok_or_else(|| DriverError::unsupported(format!("{} is not in the module", function.name())))
    }

    /// Manufacturer, description and version of the library.
    pub(crate) fn info(&self) -> Result<ffi::Info, DriverError> {
        let mut info = Padded::<ffi::Info>::zeroed();
        ok(Function::GetInfo, call!(self, Function::GetInfo, &mut info.value => *mut ffi::Info)?)?;
        Ok(info.value)
    }

    /// Slots with a token in them.
    pub(crate) fn slots(&self) -> Result<Vec<SlotId>, DriverError> {
        let slots = numbers(
            Function::GetSlotList,
            MAX_SLOTS,
            |out, count| call!(self, Function::GetSlotList, 1 => u8, out => *mut Ulong, count => *mut Ulong),
        )?;
        Ok(slots.into_iter().map(SlotId).collect())
    }

    pub(crate) fn token_info(&self, slot: SlotId) -> Result<ffi::TokenInfo, DriverError> {
        let mut info = Padded::<ffi::TokenInfo>::zeroed();
        let code = call!(self, Function::GetTokenInfo, slot.0 => Ulong, &mut info.value => *mut ffi::TokenInfo)?;
        ok(Function::GetTokenInfo, code)?;
        Ok(info.value)
    }

    /// Numbers of the mechanisms that a slot names, vendors' own included.
    pub(crate) fn mechanisms(&self, slot: SlotId) -> Result<Vec<u32>, DriverError> {
        let mechanisms = numbers(
            Function::GetMechanismList,
            MAX_MECHANISMS,
            |out, count| call!(self, Function::GetMechanismList, slot.0 => Ulong, out => *mut Ulong, count => *mut Ulong),
        )?;
        Ok(mechanisms.into_iter().map(|number| number as u32).collect())
    }

    pub(crate) fn open_session(&self, slot: SlotId, writing: bool) -> Result<SessionHandle, DriverError> {
        type Notify = Option<unsafe extern "C" fn(Ulong, Ulong, *mut c_void) -> Ulong>;
        let flags = ffi::CKF_SERIAL_SESSION | if writing { ffi::CKF_RW_SESSION } else { 0 };
        let mut handle = 0;
        let code = call!(
            self, Function::OpenSession,
            slot.0 => Ulong, flags => Ulong, ptr::null_mut() => *mut c_void, None => Notify, &mut handle => *mut Ulong,
        )?;
        ok(Function::OpenSession, code)?;
        Ok(SessionHandle(handle))
    }

    pub(crate) fn close_session(&self, session: SessionHandle) {
        let _ = call!(self, Function::CloseSession, session.0 => Ulong);
    }

    /// Logs in and gives the code. The PIN goes out once, or is typed on the device.
    pub(crate) fn login(&self, session: SessionHandle, user: Ulong, credential: &Credential) -> Result<u32, DriverError> {
        let (pin, len) = match credential {
            Credential::OnDevice => (ptr::null(), 0),
            Credential::Pin(pin) => (pin.expose().as_ptr(), pin.expose().len() as Ulong),
        };
        call!(self, Function::Login, session.0 => Ulong, user => Ulong, pin => *const u8, len => Ulong)
    }

    pub(crate) fn logout(&self, session: SessionHandle) {
        let _ = call!(self, Function::Logout, session.0 => Ulong);
    }

    /// Changes the PIN of the user and gives the code.
    pub(crate) fn set_pin(&self, session: SessionHandle, old: &Pin, new: &Pin) -> Result<u32, DriverError> {
        let (old, new) = (old.expose(), new.expose());
        call!(
            self, Function::SetPin,
            session.0 => Ulong, old.as_ptr() => *const u8, old.len() as Ulong => Ulong, new.as_ptr() => *const u8,
            new.len() as Ulong => Ulong,
        )
    }

    /// All visible objects of a class.
    pub(crate) fn objects(&self, session: SessionHandle, class: Ulong) -> Result<Vec<ObjectHandle>, DriverError> {
        let mut class = class;
        let mut template =
            [Attribute { kind: ffi::CKA_CLASS, value: ptr::from_mut(&mut class).cast(), len: size_of::<Ulong>() as Ulong }];
        let code =
            call!(self, Function::FindObjectsInit, session.0 => Ulong, template.as_mut_ptr() => *mut Attribute, 1 => Ulong)?;
        ok(Function::FindObjectsInit, code)?;
        let found = self.find_objects(session);
        let _ = call!(self, Function::FindObjectsFinal, session.0 => Ulong);
        found
    }

    fn find_objects(&self, session: SessionHandle) -> Result<Vec<ObjectHandle>, DriverError> {
        let mut found = Vec::new();
        loop {
            let mut handles = [0 as Ulong; 64];
            let most = handles.len() / 2; // the other half is slack
            let mut count = 0;
            let code = call!(
                self, Function::FindObjects,
                session.0 => Ulong, handles.as_mut_ptr() => *mut Ulong, most as Ulong => Ulong, &mut count => *mut Ulong,
            )?;
            ok(Function::FindObjects, code)?;
            let count = usize::try_from(count).ok().filter(|count| *count <= most);
            let count = count.ok_or_else(|| DriverError::protocol("C_FindObjects", "more objects than were asked for"))?;
            if count == 0 {
                return Ok(found);
            }
            found.extend(handles[..count].iter().map(|handle| ObjectHandle(*handle)));
            if found.len() > MAX_OBJECTS {
                return Err(DriverError::protocol("C_FindObjects", format!("more than {MAX_OBJECTS} objects")));
            }
        }
    }

    /// One attribute; `None` where the object has none or does not show it. More than `max` bytes are an error. Asked one by one: modules
    /// refuse a whole list for one attribute that they do not know.
    pub(crate) fn attribute(
        &self,
        session: SessionHandle,
        object: ObjectHandle,
        kind: Ulong,
        max: usize,
    ) -> Result<Option<Vec<u8>>, DriverError> {
        let mut attribute = Attribute { kind, value: ptr::null_mut(), len: 0 };
        let Some(len) = self.attribute_value(session, object, &mut attribute)? else { return Ok(None) };
        if len > max {
            return Err(DriverError::protocol("C_GetAttributeValue", format!("{len} bytes; at most {max} are taken")));
        }
        let mut value = vec![0u8; len + SLACK];
        attribute = Attribute { kind, value: value.as_mut_ptr().cast(), len: len as Ulong };
        match self.attribute_value(session, object, &mut attribute)? {
            Some(written) if written <= len => {
                value.truncate(written);
                Ok(Some(value))
            }
            Some(_) => Err(DriverError::protocol("C_GetAttributeValue", "more bytes than there was room for")),
            None => Ok(None),
        }
    }

    fn attribute_value(
        &self,
        session: SessionHandle,
        object: ObjectHandle,
        attribute: &mut Attribute,
    ) -> Result<Option<usize>, DriverError> {
        let code = call!(
            self, Function::GetAttributeValue,
            session.0 => Ulong, object.0 => Ulong, ptr::from_mut(attribute) => *mut Attribute, 1 => Ulong,
        )?;
        match code {
            ffi::CKR_ATTRIBUTE_SENSITIVE | ffi::CKR_ATTRIBUTE_TYPE_INVALID | ffi::CKR_ATTRIBUTE_VALUE_INVALID => Ok(None),
            code => {
                ok(Function::GetAttributeValue, code)?;
                Ok((attribute.len != Ulong::MAX).then_some(attribute.len as usize)) // CK_UNAVAILABLE_INFORMATION
            }
        }
    }

    /// Begins a signature and gives the code.
    pub(crate) fn sign_init(
        &self,
        session: SessionHandle,
        mechanism: u32,
        parameter: &[u8],
        key: ObjectHandle,
    ) -> Result<u32, DriverError> {
        let mut mechanism = ffi::Mechanism {
            mechanism: mechanism.into(),
            parameter: if parameter.is_empty() { ptr::null() } else { parameter.as_ptr().cast() },
            len: parameter.len() as Ulong,
        };
        call!(self, Function::SignInit, session.0 => Ulong, ptr::from_mut(&mut mechanism) => *mut ffi::Mechanism, key.0 => Ulong)
    }

    /// Ends a signature: the bytes, or the code.
    pub(crate) fn sign(&self, session: SessionHandle, input: &[u8]) -> Result<Result<Vec<u8>, u32>, DriverError> {
        let mut out = vec![0u8; SIGN_ROOM + SLACK];
        let mut len = SIGN_ROOM as Ulong;
        let code = call!(
            self, Function::Sign,
            session.0 => Ulong, input.as_ptr() => *const u8, input.len() as Ulong => Ulong, out.as_mut_ptr() => *mut u8,
            &mut len => *mut Ulong,
        )?;
        if code != ffi::CKR_OK {
            return Ok(Err(code));
        }
        let len = usize::try_from(len).ok().filter(|len| *len <= SIGN_ROOM);
        out.truncate(len.ok_or_else(|| DriverError::protocol("C_Sign", "more bytes than there was room for"))?);
        Ok(Ok(out))
    }
}

impl Drop for Module {
    fn drop(&mut self) {
        let _ = call!(self, Function::Finalize, ptr::null_mut() => *mut c_void);
    }
}

/// Turns a code into an error.
pub(crate) fn ok(function: Function, code: u32) -> Result<(), DriverError> {
    if code == ffi::CKR_OK { Ok(()) } else { Err(error(function, code)) }
}

/// The error for a code other than `CKR_OK`.
pub(crate) fn error(function: Function, code: u32) -> DriverError {
    match code {
        ffi::CKR_DEVICE_REMOVED | ffi::CKR_TOKEN_NOT_PRESENT | ffi::CKR_TOKEN_NOT_RECOGNIZED | ffi::CKR_SLOT_ID_INVALID => {
            DriverError::TokenAbsent
        }
        ffi::CKR_FUNCTION_NOT_SUPPORTED => DriverError::unsupported(function.name()),
        ffi::CKR_FUNCTION_CANCELED | ffi::CKR_FUNCTION_REJECTED => DriverError::Cancelled,
        _ => DriverError::module(function.name(), code),
    }
}

/// Asks for a count, then for the numbers. What is counted can change in between, so it is tried three times.
fn numbers(
    function: Function,
    max: usize,
    call: impl Fn(*mut Ulong, *mut Ulong) -> Result<u32, DriverError>,
) -> Result<Vec<Ulong>, DriverError> {
    for _ in 0..3 {
        let mut count = 0;
        ok(function, call(ptr::null_mut(), &mut count)?)?;
        let room = usize::try_from(count).ok().filter(|count| *count <= max);
        let room = room.ok_or_else(|| DriverError::protocol(function.name(), format!("more than {max}")))?;
        if room == 0 {
            return Ok(Vec::new());
        }
        let mut out = vec![0; room + SLACK / size_of::<Ulong>()];
        match call(out.as_mut_ptr(), &mut count)? {
            ffi::CKR_BUFFER_TOO_SMALL => continue,
            code => ok(function, code)?,
        }
        if let Some(count) = usize::try_from(count).ok().filter(|count| *count <= room) {
            out.truncate(count);
            return Ok(out);
        }
    }
    Err(DriverError::protocol(function.name(), "the count changed with every call"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn structures_have_the_sizes_of_the_header() {
        let word = size_of::<Ulong>();
        let pointer = size_of::<usize>();
        if cfg!(windows) {
            assert_eq!(size_of::<ffi::Info>(), 68 + word);
            assert_eq!(size_of::<FunctionList>(), 2 + 68 * pointer);
        } else {
            assert_eq!(size_of::<ffi::Info>(), if word == 8 { 88 } else { 76 });
            assert_eq!(size_of::<FunctionList>(), 69 * pointer);
        }
        assert_eq!(size_of::<ffi::TokenInfo>(), if word == 8 { 208 } else { 160 });
        assert_eq!(size_of::<Attribute>(), 2 * word + pointer);
    }

    #[test]
    fn count_that_never_fits_is_refused() {
        let answer = |count: Ulong| {
            move |out: *mut Ulong, size: *mut Ulong| {
                // SAFETY: `numbers` passes a live place.
                unsafe { *size = if out.is_null() { 2 } else { count } };
                Ok(ffi::CKR_OK)
            }
        };
        assert_eq!(numbers(Function::GetSlotList, 8, answer(2)).unwrap(), [0, 0]);
        assert!(numbers(Function::GetSlotList, 8, answer(3)).is_err());
        assert!(numbers(Function::GetSlotList, 1, answer(1)).is_err());
        assert!(numbers(Function::GetSlotList, 8, |_, _| Ok(5)).is_err());
    }
}
