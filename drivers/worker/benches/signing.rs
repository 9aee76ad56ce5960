//! What the driver and the process border add to a signature: 1000 signatures under one login, by bare calls of the library in
//! this process, and by the worker, on the same virtual token. `cargo bench -p sealagent-worker`
//!
//! The virtual token signs in a fraction of a millisecond; a UKey takes 20 to 100. The added time is what counts, in absolute terms:
//! under 1 ms for each signature keeps a batch at 95 % of a 20 ms token's rate.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, unsafe_code)]

#[path = "../tests/remote/mod.rs"]
#[allow(dead_code)] // shared with the tests
mod remote;

use std::{
    ffi::{CString, c_void},
    fs,
    path::{Path, PathBuf},
    ptr,
    time::{Duration, Instant},
};

use remote::RemoteDriver;
use ukey::{Credential, DEFAULT_ID, Driver as _, KeyUsage, Pin, Sm2Message};
use ukey_virtual::{Token, TokenOptions};

const COUNT: u32 = 1000;
const PIN: &[u8] = b"13572468";

fn library(name: &str) -> PathBuf {
    let folder = std::env::current_exe().unwrap().parent().unwrap().to_owned();
    folder.join(format!("{}ukey_virtual_{name}{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX))
}

fn main() {
    let folder = tempfile::tempdir().unwrap();
    let tokens = folder.path().join("tokens");
    let pin = Pin::new(PIN.to_vec()).unwrap();
    let token = Token::create(&tokens, "bench", &pin, TokenOptions::default()).unwrap();
    token.login(&pin).unwrap().generate_key(KeyUsage::Signing).unwrap();
    let switches = folder.path().join("switches.json");
    fs::write(&switches, serde_json::json!({ "folder": tokens }).to_string()).unwrap();
    // SAFETY: no other thread runs yet.
    unsafe {
        std::env::set_var("UKEY_VIRTUAL_SKF", &switches);
        std::env::set_var("UKEY_VIRTUAL_PKCS11", &switches);
    }
    for (kind, bare) in [("skf", bare_skf()), ("pkcs11", bare_pkcs11())] {
        let worker = through_worker(kind, &library(kind));
        let added = worker.saturating_sub(bare) / COUNT;
        println!("{kind}: library {:?}, worker {:?}, added {added:?} a signature", bare / COUNT, worker / COUNT);
    }
}

/// Calls as a C program would make them; nothing is checked.
fn bare_skf() -> Duration {
    type Handle = *mut c_void;
    type Open = unsafe extern "system" fn(Handle, *const u8, *mut Handle) -> u32;
    // SAFETY: our own library and its prototypes (GM/T 0016); buffers are as large as it says.
    unsafe {
        let library = std::mem::ManuallyDrop::new(libloading::Library::new(library("skf")).unwrap());
        let enumerate = library.get::<unsafe extern "system" fn(u32, *mut u8, *mut u64) -> u32>(b"SKF_EnumDev").unwrap();
        let connect = library.get::<unsafe extern "system" fn(*const u8, *mut Handle) -> u32>(b"SKF_ConnectDev").unwrap();
        let open_application = library.get::<Open>(b"SKF_OpenApplication").unwrap();
        let open_container = library.get::<Open>(b"SKF_OpenContainer").unwrap();
        let verify_pin =
            library.get::<unsafe extern "system" fn(Handle, usize, *const i8, *mut u64) -> u32>(b"SKF_VerifyPIN").unwrap();
        let sign =
            library.get::<unsafe extern "system" fn(Handle, *const u8, usize, *mut u8) -> u32>(b"SKF_ECCSignData").unwrap();
        let (mut name, mut size) = ([0u8; 256], 256);
        assert_eq!(enumerate(1, name.as_mut_ptr(), &mut size), 0);
        let (mut device, mut application, mut container) = (ptr::null_mut(), ptr::null_mut(), ptr::null_mut());
        assert_eq!(connect(name.as_ptr(), &mut device), 0);
        assert_eq!(open_application(device, c"SEALAPP".as_ptr().cast(), &mut application), 0);
        assert_eq!(open_container(application, c"container-1".as_ptr().cast(), &mut container), 0);
        let pin = CString::new(PIN).unwrap();
        let mut left = 0;
        assert_eq!(verify_pin(application, 1, pin.as_ptr().cast(), &mut left), 0);
        let start = Instant::now();
        for i in 0..COUNT {
            let (mut e, mut out) = ([7; 32], [0; 128]);
            e[..4].copy_from_slice(&i.to_be_bytes());
            assert_eq!(sign(container, e.as_ptr(), 32, out.as_mut_ptr()), 0);
        }
        start.elapsed()
    }
}

/// The same through `C_SignInit` and `C_Sign`.
fn bare_pkcs11() -> Duration {
    use cryptoki::{
        context::{CInitializeArgs, CInitializeFlags, Pkcs11},
        mechanism::{Mechanism, MechanismType, vendor_defined::VendorDefinedMechanism},
        object::{Attribute, ObjectClass},
        session::UserType,
        types::AuthPin,
    };
    let module = Pkcs11::new(library("pkcs11")).unwrap();
    module.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)).unwrap();
    let session = module.open_ro_session(module.get_slots_with_token().unwrap()[0]).unwrap();
    session.login(UserType::User, Some(&AuthPin::new(String::from_utf8(PIN.to_vec()).unwrap().into()))).unwrap();
    let key = session.find_objects(&[Attribute::Class(ObjectClass::PRIVATE_KEY)]).unwrap()[0];
    let number = MechanismType::new_vendor_defined(0x8005_000b).unwrap();
    let mechanism = Mechanism::VendorDefined(VendorDefinedMechanism::new(number, None::<&()>));
    let start = Instant::now();
    for i in 0..COUNT {
        let mut e = [7; 32];
        e[..4].copy_from_slice(&i.to_be_bytes());
        session.sign(&mechanism, key, &e).unwrap();
    }
    start.elapsed()
}

/// Login, then one message after the other, as the agent sends them.
fn through_worker(kind: &str, library: &Path) -> Duration {
    let mut driver = RemoteDriver::start(&[kind.into(), library.into()]);
    let token = driver.tokens().unwrap().remove(0).id;
    let mut session = driver.open(&token).unwrap();
    let key = session.keys().unwrap().remove(0);
    let mut login = session.login(Credential::Pin(Pin::new(PIN.to_vec()).unwrap())).unwrap();
    let messages: Vec<_> =
        (0..COUNT).map(|i| Sm2Message::new(i.to_be_bytes().repeat(1000), DEFAULT_ID, key.public_key).unwrap()).collect();
    login.sign(&key.id, &messages[0]).unwrap();
    let start = Instant::now();
    for message in &messages {
        login.sign(&key.id, message).unwrap();
    }
    start.elapsed()
}
