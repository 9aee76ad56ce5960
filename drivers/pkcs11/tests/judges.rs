//! Programs of others: `pkcs11-tool` and the `cryptoki` crate read our virtual module, and our driver refuses stock SoftHSM.
//! What is not installed makes its test *ignored*, not passed.

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../../virtual/tests/bench/mod.rs"]
mod bench;
#[path = "module/harness.rs"]
#[allow(dead_code)]
mod harness;

use std::{path::Path, process::Command};

use cryptoki::{
    context::{CInitializeArgs, CInitializeFlags},
    mechanism::{Mechanism, MechanismType, vendor_defined::VendorDefinedMechanism},
    object::{Attribute, AttributeType, ObjectClass},
    session::UserType,
    types::AuthPin,
};
use harness::*;
use libtest_mimic::{Arguments, Trial};
use ukey::{Driver as _, DriverError};
use ukey_pkcs11::Pkcs11;
use ukey_virtual::LoginPolicy;

const SOFTHSM: &str = "/usr/lib/softhsm/libsofthsm2.so";
const PKCS11_TOOL: &str = "/usr/bin/pkcs11-tool";

fn main() {
    let arguments = Arguments::from_args();
    let trials = vec![
        Trial::test("cryptoki_reads_the_virtual_module", || {
            cryptoki_reads_the_virtual_module();
            Ok(())
        }),
        Trial::test("pkcs11_tool_reads_the_virtual_module", || {
            pkcs11_tool_reads_the_virtual_module();
            Ok(())
        })
        .with_ignored_flag(!Path::new(PKCS11_TOOL).exists()),
        Trial::test("stock_softhsm_is_refused_as_ecdsa", || {
            stock_softhsm_is_refused_as_ecdsa();
            Ok(())
        })
        .with_ignored_flag(!Path::new(SOFTHSM).exists()),
    ];
    libtest_mimic::run(&arguments, trials).exit();
}

fn cryptoki_reads_the_virtual_module() {
    let module = Module::new();
    let token = module.token("公章", LoginPolicy::PerSession);
    let pkcs11 = cryptoki::context::Pkcs11::new(module.path()).unwrap();
    pkcs11.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)).unwrap();
    let slot = pkcs11.get_slots_with_token().unwrap().remove(0);
    let info = pkcs11.get_token_info(slot).unwrap();
    assert_eq!(info.label(), "公章");
    assert!(info.login_required() && !info.user_pin_locked());
    let session = pkcs11.open_ro_session(slot).unwrap();
    let data = session.find_objects(&[Attribute::Class(ObjectClass::DATA)]).unwrap();
    let Attribute::Value(value) = session.get_attributes(data[0], &[AttributeType::Value]).unwrap().remove(0) else { panic!() };
    assert_eq!(value, seal());
    assert!(session.find_objects(&[Attribute::Class(ObjectClass::PRIVATE_KEY)]).unwrap().is_empty(), "private before login");
    session.login(UserType::User, Some(&AuthPin::new(String::from_utf8(PIN.to_vec()).unwrap().into()))).unwrap();
    assert_eq!(session.find_objects(&[Attribute::Class(ObjectClass::PRIVATE_KEY)]).unwrap().len(), 2);
    // cryptoki asks for the length of the signature first.
    let key = token.keys().unwrap().remove(0);
    let message = message(key.public_key, 1);
    let sign = [Attribute::Class(ObjectClass::PRIVATE_KEY), Attribute::Sign(true)];
    let number = MechanismType::new_vendor_defined(0x8005_000b).unwrap();
    let mechanism = Mechanism::VendorDefined(VendorDefinedMechanism::new(number, None::<&()>));
    let raw = session.sign(&mechanism, session.find_objects(&sign).unwrap()[0], message.digest().as_bytes()).unwrap();
    let signature = ukey::Sm2Signature::from_raw(raw.as_slice().try_into().unwrap());
    assert!(ukey::check::verifies(&key.public_key, message.digest(), &signature));
}

fn tool(module: &Module, arguments: &[&str]) -> String {
    let switches = module.path().with_extension("json");
    std::fs::write(&switches, serde_json::to_vec(&module.switches).unwrap()).unwrap();
    let output = Command::new(PKCS11_TOOL)
        .arg("--module")
        .arg(module.path())
        .args(arguments)
        .env("UKEY_VIRTUAL_PKCS11", &switches)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    text
}

fn pkcs11_tool_reads_the_virtual_module() {
    let module = Module::new().with(|s| s.ec_key_type = true);
    module.token("seal token", LoginPolicy::PerSession);
    let slots = tool(&module, &["--list-slots"]);
    assert!(slots.contains("seal token") && slots.contains("login required"), "{slots}");
    let public = tool(&module, &["--list-objects"]);
    for text in ["Certificate Object; type = X.509 cert", "Public Key Object; EC", "Data object", "sign-1"] {
        assert!(public.contains(text), "{text}: {public}");
    }
    assert!(!public.contains("Private Key Object"), "{public}");
    let pin = std::str::from_utf8(PIN).unwrap();
    let all = tool(&module, &["--login", "--pin", pin, "--list-objects"]);
    assert!(all.contains("Private Key Object; EC"), "{all}");
    let read = module.path().with_extension("seal");
    tool(&module, &["--read-object", "--type", "data", "--label", "data-1", "--output-file", read.to_str().unwrap()]);
    assert_eq!(std::fs::read(read).unwrap(), seal());
    assert!(tool(&module, &["--list-mechanisms"]).contains("mechtype-0x8005000B"));
}

/// SoftHSM 2.6 makes a key on the SM2 curve and signs ECDSA with it.
fn stock_softhsm_is_refused_as_ecdsa() {
    let folder = tempfile::tempdir().unwrap();
    let configuration = folder.path().join("softhsm2.conf");
    std::fs::create_dir(folder.path().join("tokens")).unwrap();
    let text = format!(
        "directories.tokendir = {}\nobjectstore.backend = file\nlog.level = ERROR\n",
        folder.path().join("tokens").display()
    );
    std::fs::write(&configuration, text).unwrap();
    // SAFETY: set before SoftHSM is loaded, the only reader; this test's variable is nobody else's.
    #[allow(unsafe_code)]
    unsafe {
        std::env::set_var("SOFTHSM2_CONF", &configuration);
    }
    let made = Command::new("softhsm2-util")
        .args(["--init-token", "--free", "--label", "soft", "--so-pin", "12345678", "--pin", "123456"])
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");

    let softhsm = cryptoki::context::Pkcs11::new(SOFTHSM).unwrap();
    softhsm.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)).unwrap();
    let slot = softhsm.get_slots_with_initialized_token().unwrap().remove(0);
    let session = softhsm.open_rw_session(slot).unwrap();
    session.login(UserType::User, Some(&AuthPin::new("123456".to_owned().into()))).unwrap();
    let curve = b"\x06\x08\x2a\x81\x1c\xcf\x55\x01\x82\x2d".to_vec();
    let public = [Attribute::Token(true), Attribute::Private(false), Attribute::EcParams(curve), Attribute::Id(vec![1])];
    let private = [Attribute::Token(true), Attribute::Private(true), Attribute::Sign(true), Attribute::Id(vec![1])];
    session.generate_key_pair(&Mechanism::EccKeyPairGen, &public, &private).unwrap();
    let seal_object =
        [Attribute::Class(ObjectClass::DATA), Attribute::Token(true), Attribute::Private(false), Attribute::Value(seal())];
    session.create_object(&seal_object).unwrap();
    drop(session);

    let mut driver = Pkcs11::load(Path::new(SOFTHSM), None).unwrap();
    let token = only_token(&mut driver);
    assert_eq!(driver.tokens().unwrap()[0].label, "soft");
    assert_eq!(driver.open(&token).unwrap().seals().unwrap(), [seal()]);
    let key = signing_key(&mut driver, &token);
    assert_eq!(key.0.0, "01");
    let error = sign(&mut driver, &token, &key, typed(b"123456"), 1).unwrap_err();
    let DriverError::SignatureInvalid { function, what } = error else { panic!("{error:?}") };
    assert_eq!(function, "C_Sign");
    assert!(what.contains("ECDSA"), "{what}");
    let wrong = sign(&mut driver, &token, &key, typed(b"654321"), 1).unwrap_err();
    assert_eq!(wrong, DriverError::PinIncorrect { tries_left: None });
}
