//! What driver, process border and agent add to a token: `cargo bench --bench tokens`. Printed, never asserted: machines are noisy.
//!
//! 1. Added time a signature: 1000 signatures under one consent and one login by the agent's client, against the same calls made bare,
//!    as a C program would make them, in this process, on the same virtual token. (PC/SC: against the same commands to the card.)
//! 2. The rate of such a batch on a token as slow as a good UKey (20 ms a signature), as a share of the bare library's.
//! 3. From insertion to the agent's event.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, unsafe_code)]

#[path = "../tests/common/consent.rs"]
mod consent;
#[cfg(unix)]
#[path = "../drivers/pcsc/tests/card/service.rs"]
mod service;

use std::ffi::{CString, c_void};
use std::fs;
use std::path::{Path, PathBuf};
use std::ptr;
use std::time::{Duration, Instant};

use consent::consented;
use sealagent::workers::library::Library;
use sealagent::workers::{Client, DriverConfig, DriverKind, SigningKey, Timing, TokenEvent, Workers};
use serde_json::json;
use tokio::runtime::Runtime;
use ukey::{KeyUsage, Pin};
use ukey_virtual::{Token, TokenOptions};

const COUNT: u32 = 1000;
const PIN: &str = "13572468";
/// A good UKey.
const DEVICE_MS: u32 = 20;
const INSERTIONS: u32 = 8;

fn main() {
    let bench = Bench::new();
    println!("added time a signature, {COUNT} under one consent");
    let mut rates = Vec::new();
    // Once a signature: `cryptoki` calls C_Sign twice, for the length first.
    for (kind, sign_call) in [("skf", "SKF_ECCSignData"), ("pkcs11", "C_SignInit")] {
        for wait in [0, DEVICE_MS] {
            bench.switches(&[(sign_call, wait)]);
            // A process of its own: a library keeps the switches that it was loaded with.
            let bare = bare_in_process(kind, &bench);
            let agent = bench.through_agent(bench.driver(kind));
            if wait == 0 {
                row(kind, bare, agent);
            } else {
                rates.push((kind, bare, agent));
            }
        }
    }
    row("virtual (bare: the token itself)", bench.bare_token(), bench.through_agent(bench.driver("virtual")));
    #[cfg(unix)]
    let service = card_rows(&bench, &mut rates);

    println!("\na batch of {COUNT} on a token of {DEVICE_MS} ms a signature");
    for (kind, bare, agent) in rates {
        println!("{kind:40} {:6.2} % of the bare rate", 100.0 * bare.as_secs_f64() / agent.as_secs_f64());
    }
    println!("\nfrom insertion to the event, the longest of {INSERTIONS}");
    bench.switches(&[]);
    for kind in ["skf", "pkcs11", "virtual"] {
        let longest = bench.insertions(bench.driver(kind), || bench.token.plug().unwrap(), || bench.token.unplug().unwrap());
        println!("{kind:40} {:7.0} ms", longest.as_secs_f64() * 1e3);
    }
    #[cfg(unix)]
    if service.is_some() {
        // The card is this token, which was left unplugged.
        bench.token.plug().unwrap();
        let card = std::cell::RefCell::new(None);
        let insert = || drop(card.replace(Some(insert(&bench, 0))));
        let longest = bench.insertions(DriverKind::Pcsc, insert, || drop(card.take()));
        println!("{:40} {:7.0} ms", "pcsc", longest.as_secs_f64() * 1e3);
    }
}

fn row(kind: &str, bare: Duration, agent: Duration) {
    let each = |all: Duration| all.as_secs_f64() * 1e3 / f64::from(COUNT);
    println!("{kind:40} bare {:7.3} ms, agent {:7.3} ms, added {:7.3} ms", each(bare), each(agent), each(agent) - each(bare));
}

/// What cargo built beside the benchmark.
fn library(name: &str) -> PathBuf {
    let folder = std::env::current_exe().unwrap().parent().unwrap().to_owned();
    folder.join(format!("{}ukey_virtual_{name}{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX))
}

/// One token, for whatever library the switches put before it.
struct Bench {
    folder: tempfile::TempDir,
    token: Token,
    runtime: Runtime,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let pin = Pin::new(PIN.as_bytes().to_vec()).unwrap();
        let token = Token::create(&folder.path().join("tokens"), "bench", &pin, TokenOptions::default()).unwrap();
        token.login(&pin).unwrap().generate_key(KeyUsage::Signing).unwrap();
        let switches = folder.path().join("switches.json");
        // SAFETY: no other thread runs yet.
        unsafe {
            std::env::set_var("UKEY_VIRTUAL_SKF", &switches);
            std::env::set_var("UKEY_VIRTUAL_PKCS11", &switches);
        }
        Self { folder, token, runtime: Runtime::new().unwrap() }
    }

    /// Calls that take longer, for libraries that are loaded from now on.
    fn switches(&self, waits: &[(&str, u32)]) {
        let wait = |(function, ms): &(&str, u32)| json!({ "function": function, "call": 0, "act": { "wait": ms } });
        let faults: Vec<_> = waits.iter().filter(|(_, ms)| *ms > 0).map(wait).collect();
        let switches = json!({ "folder": self.folder.path().join("tokens"), "faults": faults });
        fs::write(self.folder.path().join("switches.json"), switches.to_string()).unwrap();
    }

    fn driver(&self, kind: &str) -> DriverKind {
        let library = Library { path: library(kind), sha256: None };
        let profile = "generic".to_owned();
        match kind {
            "skf" => DriverKind::Skf { library, profile },
            "pkcs11" => DriverKind::Pkcs11 { library, profile },
            _ => DriverKind::Virtual { folder: self.folder.path().join("tokens"), faults: false },
        }
    }

    fn workers(&self, kind: DriverKind) -> Workers {
        let program = Path::new(env!("CARGO_BIN_EXE_sealagent"))
            .with_file_name(format!("sealagent-worker{}", std::env::consts::EXE_SUFFIX));
        assert!(program.is_file(), "run: cargo build --release --bins -p sealagent-worker");
        Workers::start(vec![DriverConfig { name: "bench".into(), program, kind }], Timing::default())
    }

    /// The first token that the driver shows, and its signing key.
    async fn key(client: &Client) -> SigningKey {
        let start = Instant::now();
        loop {
            let list = client.tokens().await;
            if let Some(token) = list.tokens.first() {
                let keys = client.inspect(&token.handle).await.unwrap().keys;
                let key = keys.into_iter().find(|key| key.usage == KeyUsage::Signing).unwrap();
                return SigningKey { token: token.handle.clone(), key: key.id, public_key: key.public_key };
            }
            assert!(start.elapsed() < Duration::from_secs(5), "{list:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// One consent, one login, message after message.
    fn through_agent(&self, kind: DriverKind) -> Duration {
        self.runtime.block_on(async {
            let workers = self.workers(kind);
            let client = workers.client();
            let key = Self::key(&client).await;
            let (mut messages, credential) = consented(key.public_key, COUNT + 1, PIN).await;
            let mut login = client.login(&key, credential).await.unwrap();
            login.sign(messages.remove(0)).await.unwrap();
            let start = Instant::now();
            for message in messages {
                login.sign(message).await.unwrap();
            }
            let taken = start.elapsed();
            drop(login);
            workers.shut_down().await;
            taken
        })
    }

    fn bare_token(&self) -> Duration {
        let mut unlocked = self.token.login(&Pin::new(PIN.as_bytes().to_vec()).unwrap()).unwrap();
        let key = self.token.keys().unwrap().remove(0).id;
        let start = Instant::now();
        for i in 0..COUNT {
            unlocked.sign_message(&key, format!("message {i}").as_bytes()).unwrap();
        }
        start.elapsed()
    }

    fn insertions(&self, kind: DriverKind, insert: impl Fn(), remove: impl Fn()) -> Duration {
        remove();
        self.runtime.block_on(async {
            let workers = self.workers(kind);
            let client = workers.client();
            while !client.tokens().await.tokens.is_empty() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            let mut events = client.events();
            let mut longest = Duration::ZERO;
            for turn in 0..INSERTIONS {
                // At another point of the poll each time.
                tokio::time::sleep(Duration::from_millis(u64::from(turn) * 103)).await;
                let start = Instant::now();
                insert();
                while !matches!(events.recv().await.unwrap(), TokenEvent::Added(_)) {}
                longest = longest.max(start.elapsed());
                remove();
                while !matches!(events.recv().await.unwrap(), TokenEvent::Removed(_)) {}
            }
            workers.shut_down().await;
            longest
        })
    }
}

/// The bare calls, in a process that loads the library anew.
fn bare_in_process(kind: &str, bench: &Bench) -> Duration {
    let library = fs::read(library(kind)).unwrap();
    // A copy under a name of its own is a library of its own, with switches that are read anew.
    let copy = tempfile::Builder::new().suffix(std::env::consts::DLL_SUFFIX).tempfile_in(bench.folder.path()).unwrap();
    fs::write(copy.path(), library).unwrap();
    if kind == "skf" { bare_skf(copy.path()) } else { bare_pkcs11(copy.path()) }
}

/// Calls as a C program would make them; nothing is checked.
fn bare_skf(path: &Path) -> Duration {
    type Handle = *mut c_void;
    type Open = unsafe extern "system" fn(Handle, *const u8, *mut Handle) -> u32;
    // SAFETY: our own library and its prototypes (GM/T 0016); buffers are as large as it says.
    unsafe {
        let library = std::mem::ManuallyDrop::new(libloading::Library::new(path).unwrap());
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
fn bare_pkcs11(path: &Path) -> Duration {
    use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
    use cryptoki::mechanism::vendor_defined::VendorDefinedMechanism;
    use cryptoki::mechanism::{Mechanism, MechanismType};
    use cryptoki::object::{Attribute, ObjectClass};
    use cryptoki::session::UserType;
    use cryptoki::types::AuthPin;
    let module = Pkcs11::new(path).unwrap();
    module.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)).unwrap();
    let session = module.open_ro_session(module.get_slots_with_token().unwrap()[0]).unwrap();
    session.login(UserType::User, Some(&AuthPin::new(PIN.to_owned().into()))).unwrap();
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

#[cfg(unix)]
fn insert(bench: &Bench, wait: u32) -> ukey_virtual_card::Inserted {
    use ukey_virtual::calls::{Act, CallFault};
    let faults = if wait == 0 { Vec::new() } else { vec![CallFault { function: "87".into(), call: 0, act: Act::Wait(wait) }] };
    let switches = ukey_virtual_card::Switches { openpgp: false, faults, ..Default::default() };
    ukey_virtual_card::Inserted::new(service::port(0), ukey_virtual_card::Card::new(bench.token.clone(), switches)).unwrap()
}

/// The card behind a service of our own, where this machine can run one.
#[cfg(unix)]
fn card_rows(bench: &Bench, rates: &mut Vec<(&'static str, Duration, Duration)>) -> Option<service::Service> {
    let service = service::Service::start();
    if service.is_none() {
        println!("pcsc: no pcscd of our own can run here");
        return None;
    }
    for wait in [0, DEVICE_MS] {
        let card = insert(bench, wait);
        let agent = bench.through_agent(DriverKind::Pcsc);
        let bare = bare_card();
        if wait == 0 {
            row("pcsc", bare, agent);
        } else {
            rates.push(("pcsc", bare, agent));
        }
        drop(card);
    }
    service
}

/// `VERIFY`, then one `GENERAL AUTHENTICATE` a signature, as `apdu.md` has them.
#[cfg(unix)]
fn bare_card() -> Duration {
    let context = pcsc::Context::establish(pcsc::Scope::User).unwrap();
    let reader = context.list_readers_owned().unwrap().remove(0);
    let card = context.connect(&reader, pcsc::ShareMode::Shared, pcsc::Protocols::ANY).unwrap();
    let mut answer = [0; 258];
    let mut send = |command: &[u8]| {
        let answer = card.transmit(command, &mut answer).unwrap();
        assert_eq!(answer[answer.len() - 2..], [0x90, 0], "{command:02x?}");
    };
    send(&[0, 0xA4, 4, 0, 5, 0xA0, 0, 0, 3, 8, 0]);
    let mut verify = vec![0, 0x20, 0, 0x80, 8];
    verify.extend(PIN.as_bytes());
    verify.resize(13, 0xff);
    send(&verify);
    let start = Instant::now();
    for i in 0..COUNT {
        let mut sign = vec![0, 0x87, 0x54, 0x9C, 38, 0x7C, 36, 0x82, 0, 0x81, 32];
        sign.extend([7; 28]);
        sign.extend(i.to_be_bytes());
        sign.push(0);
        send(&sign);
    }
    start.elapsed()
}
