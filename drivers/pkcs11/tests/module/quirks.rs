//! The driver against the virtual module: each quirk of modules in the field, one test each.

use ukey::{Credential, Driver as _, DriverError, KeyUsage, library::LibraryError};
use ukey_pkcs11::{Pkcs11, Profile};
use ukey_virtual::LoginPolicy::{PerSession, PerSignature};
use ukey_virtual_pkcs11::switches::{Act, Lie, Point};

use crate::harness::*;

const GENERAL_ERROR: u32 = 5;
const DEVICE_ERROR: u32 = 0x30;
const USER_NOT_LOGGED_IN: u32 = 0x101;

/// Shows, inspects and signs twice.
fn works(module: &Module) -> (Pkcs11, ukey::TokenId) {
    let mut driver = module.driver();
    let token = only_token(&mut driver);
    let mut session = driver.open(&token).unwrap();
    assert_eq!(session.seals().unwrap(), [seal()]);
    let keys = session.keys().unwrap();
    assert_eq!(keys.iter().map(|k| k.usage).collect::<Vec<_>>(), [KeyUsage::Signing, KeyUsage::Encryption]);
    assert_ne!(keys[0].id, keys[1].id);
    for key in keys {
        let bits = if key.usage == KeyUsage::Signing { 0xc0 } else { 0x38 };
        assert_eq!(key.certificate.unwrap().0, certificate(&key.public_key, bits));
    }
    drop(session);
    let key = signing_key(&mut driver, &token);
    sign(&mut driver, &token, &key, typed(PIN), 2).unwrap();
    (driver, token)
}

#[test]
fn plain_module_works() {
    let module = Module::new();
    let token = module.token("公司印章", PerSession);
    let (mut driver, _) = works(&module);
    let info = driver.tokens().unwrap().remove(0);
    assert_eq!(info.label, "公司印章");
    assert!(token.info().unwrap().serial.ends_with(&info.serial));
}

#[test]
fn every_form_of_point_result_and_key_type_works() {
    for point in [Point::Bare, Point::BitString, Point::Coordinates, Point::Wrapped] {
        for (der, ec, private) in [(false, false, false), (true, false, true), (false, true, true), (true, true, false)] {
            let module = Module::new().with(|s| {
                (s.point, s.der_results, s.ec_key_type, s.private_point) = (point, der, ec, private);
                s.no_curve = !ec;
            });
            module.token("t", PerSession);
            works(&module);
        }
    }
}

#[test]
fn key_without_certificate_is_found_by_its_point() {
    for point in [Point::Bare, Point::BitString, Point::Coordinates, Point::Wrapped] {
        let module = Module::new().with(|s| s.point = point);
        let token = module.token("t", PerSession);
        let (_, bare) = token.login(&pin(PIN)).unwrap().generate_key(KeyUsage::Signing).unwrap();
        let mut driver = module.driver();
        let id = only_token(&mut driver);
        let keys = driver.open(&id).unwrap().keys().unwrap();
        let found = keys.into_iter().find(|k| k.public_key == bare).unwrap();
        assert_eq!((found.usage, &found.certificate), (KeyUsage::Signing, &None));
        sign(&mut driver, &id, &(found.id, bare), typed(PIN), 1).unwrap();
    }
}

#[test]
fn two_keys_of_one_id_are_told_apart() {
    let module = Module::new().with(|s| s.shared_ids = true);
    module.token("t", PerSession);
    works(&module);
}

#[test]
fn vendors_are_known_by_file_name_or_manufacturer_and_their_numbers_used() {
    let tass = Module::named("libtasspkcs11")
        .with(|s| (s.key_type, s.digest_mechanism, s.message_mechanism) = (0x8000_0004, 0x8000_8000, 0));
    tass.token("t", PerSession);
    works(&tass);
    let luna = Module::new().with(|s| {
        s.manufacturer = "SafeNet".into();
        (s.key_type, s.digest_mechanism, s.message_mechanism) = (0x8000_0016, 0x8000_0b21, 0);
    });
    luna.token("t", PerSession);
    works(&luna);
    // The module of a vendor that we know, but with another's numbers: the profile in the configuration wins.
    let odd = Module::named("libtasspkcs11");
    odd.token("t", PerSession);
    let mut driver = odd.driver_with(Profile::named("ibm"));
    let id = only_token(&mut driver);
    let key = signing_key(&mut driver, &id);
    sign(&mut driver, &id, &key, typed(PIN), 1).unwrap();
    let mut driver = odd.driver();
    let refused = sign(&mut driver, &id, &key, typed(PIN), 1).unwrap_err();
    assert!(matches!(refused, DriverError::Unsupported { .. }), "{refused:?}");
}

#[test]
fn numbers_below_the_vendor_range_work() {
    let module = Module::new().with(|s| {
        (s.key_type, s.digest_mechanism, s.message_mechanism) = (0x0001_0001, 0x0001_0002, 0x0001_0004);
        s.point = Point::Coordinates;
        s.point_attributes = [0x0001_0002, 0x0001_0003];
    });
    module.token("t", PerSession);
    works(&module);
}

#[test]
fn module_that_only_hashes_itself_gets_the_message() {
    let module = Module::new().with(|s| s.digest_mechanism = 0);
    module.token("t", PerSession);
    let (mut driver, id) = works(&module);
    let key = signing_key(&mut driver, &id);
    let other_id = ukey::Sm2Message::new(b"m".to_vec(), "another", key.1).unwrap();
    let mut session = driver.open(&id).unwrap();
    let refused = session.login(typed(PIN)).unwrap().sign(&key.0, &other_id).unwrap_err();
    assert!(matches!(refused, DriverError::SignatureInvalid { .. } | DriverError::Unsupported { .. }), "{refused:?}");
}

#[test]
fn digest_mechanism_that_hashes_again_gives_way_to_the_one_that_hashes_once() {
    let module = Module::new().with(|s| s.hashes_again = true);
    module.token("t", PerSession);
    works(&module);
    let module = Module::new().with(|s| (s.hashes_again, s.message_mechanism) = (true, 0));
    module.token("t", PerSession);
    let mut driver = module.driver();
    let id = only_token(&mut driver);
    let key = signing_key(&mut driver, &id);
    let Err(DriverError::SignatureInvalid { what, .. }) = sign(&mut driver, &id, &key, typed(PIN), 1) else { panic!() };
    assert!(what.contains("double hashing"), "{what}");
}

#[test]
fn ecdsa_number_is_used_only_where_it_gives_sm2() {
    let module =
        Module::new().with(|s| (s.ecdsa_is_sm2, s.ec_key_type, s.digest_mechanism, s.message_mechanism) = (true, true, 0, 0));
    module.token("t", PerSession);
    works(&module);
}

#[test]
fn key_that_always_wants_the_pin_gets_it() {
    let module = Module::new().with(|s| s.always_authenticate = true);
    module.token("t", PerSession);
    works(&module);
}

#[test]
fn pin_typed_on_the_device_never_passes_the_host() {
    let module = Module::new().with(|s| s.protected_path = Some(String::from_utf8(PIN.to_vec()).unwrap()));
    module.token("t", PerSession);
    let mut driver = module.driver();
    let id = only_token(&mut driver);
    let key = signing_key(&mut driver, &id);
    assert!(driver.open(&id).unwrap().pin_status().unwrap().on_device);
    sign(&mut driver, &id, &key, Credential::OnDevice, 2).unwrap();
    assert!(matches!(sign(&mut driver, &id, &key, typed(PIN), 1), Err(DriverError::Unsupported { .. })));
    let module = Module::new();
    module.token("t", PerSession);
    let (mut driver, id) = works(&module);
    assert!(matches!(sign(&mut driver, &id, &key, Credential::OnDevice, 1), Err(DriverError::Unsupported { .. })));
}

#[test]
fn last_try_and_lock_are_read_from_the_flags() {
    let module = Module::new();
    let token = module.token("t", PerSession);
    let (mut driver, id) = works(&module);
    let key = signing_key(&mut driver, &id);
    for told in [None, None, None, None, Some(1)] {
        assert!(!driver.open(&id).unwrap().pin_status().unwrap().last_try);
        assert_eq!(sign(&mut driver, &id, &key, typed(WRONG_PIN), 1), Err(DriverError::PinIncorrect { tries_left: told }));
    }
    assert!(driver.open(&id).unwrap().pin_status().unwrap().last_try);
    assert_eq!(sign(&mut driver, &id, &key, typed(WRONG_PIN), 1), Err(DriverError::PinIncorrect { tries_left: Some(0) }));
    assert!(token.pin_status().unwrap().blocked);
    assert_eq!(sign(&mut driver, &id, &key, typed(PIN), 1), Err(DriverError::PinBlocked));
}

#[test]
fn wrong_pin_with_another_code_is_known_by_the_flags() {
    let module = Module::new().with(|s| s.wrong_pin_code = GENERAL_ERROR);
    module.token("t", PerSession);
    let (mut driver, id) = works(&module);
    let key = signing_key(&mut driver, &id);
    assert_eq!(sign(&mut driver, &id, &key, typed(WRONG_PIN), 1), Err(DriverError::PinIncorrect { tries_left: None }));
    for _ in 0..3 {
        sign(&mut driver, &id, &key, typed(WRONG_PIN), 1).unwrap_err();
    }
    assert_eq!(sign(&mut driver, &id, &key, typed(WRONG_PIN), 1), Err(DriverError::PinIncorrect { tries_left: Some(1) }));
    assert_eq!(sign(&mut driver, &id, &key, typed(WRONG_PIN), 1), Err(DriverError::PinIncorrect { tries_left: Some(0) }));
}

/// `CKR_USER_ALREADY_LOGGED_IN`, `CKR_USER_ANOTHER_ALREADY_LOGGED_IN`: another program's login. The PIN was not looked at.
#[test]
fn token_that_another_program_holds_is_busy_and_no_try_is_spent() {
    for code in [0x100, 0x104] {
        let mut module = Module::new();
        let token = module.token("t", PerSession);
        let (mut driver, id) = works(&module);
        let key = signing_key(&mut driver, &id);
        module.fault("C_Login", 0, Act::Return(code));
        assert_eq!(sign(&mut driver, &id, &key, typed(WRONG_PIN), 1), Err(DriverError::Busy));
        assert_eq!(token.pin_status().unwrap().tries_left, Some(6));
        module.set(|s| s.faults.clear());
        sign(&mut driver, &id, &key, typed(PIN), 1).unwrap();
    }
}

#[test]
fn pin_change_needs_the_old_one_and_a_token_that_is_there() {
    let mut module = Module::new();
    let token = module.token("t", PerSession);
    let (mut driver, id) = works(&module);
    let key = signing_key(&mut driver, &id);
    let change = |driver: &mut Pkcs11, old: &[u8]| driver.open(&id).unwrap().change_pin(pin(old), pin(b"888888"));
    assert_eq!(change(&mut driver, WRONG_PIN), Err(DriverError::PinIncorrect { tries_left: None }));
    assert_eq!(token.pin_status().unwrap().tries_left, Some(5));
    module.fault("C_SetPIN", 1, Act::Remove);
    assert_eq!(change(&mut driver, PIN), Err(DriverError::TokenAbsent));
    token.plug().unwrap();
    module.set(|s| s.faults.clear());
    sign(&mut driver, &id, &key, typed(PIN), 1).unwrap();
    change(&mut driver, PIN).unwrap();
    sign(&mut driver, &id, &key, typed(b"888888"), 1).unwrap();
}

#[test]
fn token_that_forgets_the_pin_gets_it_again_and_never_after_a_refusal() {
    let mut module = Module::new();
    let token = module.token("t", PerSignature);
    let mut driver = module.driver();
    let id = only_token(&mut driver);
    let key = signing_key(&mut driver, &id);
    sign(&mut driver, &id, &key, typed(PIN), 3).unwrap();
    let mut session = driver.open(&id).unwrap();
    let mut login = session.login(typed(PIN)).unwrap();
    login.sign(&key.0, &message(key.1, 1)).unwrap();
    token.change_pin(&pin(PIN), &pin(b"888888")).unwrap();
    for _ in 0..3 {
        let refused = login.sign(&key.0, &message(key.1, 2)).unwrap_err();
        assert_eq!(refused, DriverError::PinIncorrect { tries_left: None });
    }
    assert_eq!(token.pin_status().unwrap().tries_left, Some(5));
    drop(login);
    drop(session);
    module.fault("C_Sign", 0, Act::Return(USER_NOT_LOGGED_IN));
    let denied = sign(&mut driver, &id, &key, typed(b"888888"), 1);
    assert_eq!(denied, Err(DriverError::module("C_Sign", USER_NOT_LOGGED_IN)));
}

#[test]
fn lies_about_counts_and_lengths_are_refused() {
    for lie in [Lie::Huge, Lie::Overrun] {
        let module = Module::new().with(|s| s.lies = vec![("C_GetSlotList".into(), lie)]);
        module.token("t", PerSession);
        assert!(matches!(module.driver().tokens(), Err(DriverError::Protocol { .. })), "{lie:?}");
        for function in ["C_FindObjects", "C_GetAttributeValue"] {
            let module = Module::new().with(|s| s.lies = vec![(function.into(), lie)]);
            module.token("t", PerSession);
            let mut driver = module.driver();
            let id = only_token(&mut driver);
            let mut session = driver.open(&id).unwrap();
            assert!(matches!(session.keys(), Err(DriverError::Protocol { .. })), "{function} {lie:?}");
            assert!(matches!(session.seals(), Err(DriverError::Protocol { .. })), "{function} {lie:?}");
        }
    }
    let mut module = Module::new();
    module.token("t", PerSession);
    let (mut driver, id) = works(&module);
    let key = signing_key(&mut driver, &id);
    module.set(|s| s.lies = vec![("C_Sign".into(), Lie::Huge)]);
    assert!(matches!(sign(&mut driver, &id, &key, typed(PIN), 1), Err(DriverError::Protocol { .. })));
    module.set(|s| s.lies = vec![("C_GetMechanismList".into(), Lie::Huge)]);
    assert!(matches!(sign(&mut driver, &id, &key, typed(PIN), 1), Err(DriverError::Unsupported { .. })));
}

#[test]
fn two_tokens_of_one_label_are_two_and_of_one_serial_are_refused_under_the_old_id() {
    let mut module = Module::new();
    module.token("same", PerSession);
    let mut driver = module.driver();
    module.set(|s| s.serial = Some("0001".into()));
    let id = only_token(&mut driver);
    let key = signing_key(&mut driver, &id);
    module.token("same", PerSession);
    assert_eq!(sign(&mut driver, &id, &key, typed(PIN), 1), Err(DriverError::TokenAbsent));
    module.set(|s| s.serial = None);
    let infos = driver.tokens().unwrap();
    assert!(infos.len() == 2 && infos[0].id != infos[1].id && infos[0].label == infos[1].label);
}

#[test]
fn swapped_token_is_not_signed_with() {
    let module = Module::new().with(|s| s.serial = Some("0001".into()));
    let first = module.token("a", PerSession);
    let mut driver = module.driver();
    let id = only_token(&mut driver);
    let key = signing_key(&mut driver, &id);
    first.unplug().unwrap();
    let second = module.token("a", PerSession);
    assert_eq!(sign(&mut driver, &id, &key, typed(PIN), 1), Err(DriverError::KeyChanged { key: key.0.0.clone() }));
    assert_eq!(second.pin_status().unwrap().tries_left, Some(6));
}

#[test]
fn token_pulled_out_at_each_step_is_absent() {
    let steps = [
        "C_GetTokenInfo",
        "C_OpenSession",
        "C_Login",
        "C_FindObjectsInit",
        "C_GetAttributeValue",
        "C_GetMechanismList",
        "C_SignInit",
        "C_Sign",
    ];
    for removed_code in [0x32, 0xE0, GENERAL_ERROR, DEVICE_ERROR, 0xB3] {
        for step in steps {
            let mut module = Module::new();
            let token = module.token("t", PerSession);
            let (mut driver, id) = works(&module);
            let key = signing_key(&mut driver, &id);
            module.set(|s| s.removed_code = removed_code);
            module.fault(step, 1, Act::Remove);
            let result = sign(&mut driver, &id, &key, typed(PIN), 1);
            assert_eq!(result, Err(DriverError::TokenAbsent), "{step} with {removed_code:#x}");
            token.plug().unwrap();
            module.set(|s| s.faults.clear());
            sign(&mut driver, &id, &key, typed(PIN), 1).unwrap();
        }
    }
}

#[test]
fn what_is_no_module_is_told_apart() {
    let load = |path: &std::path::Path| Pkcs11::load(path, None).map(drop).unwrap_err();
    assert_eq!(load("module.so".as_ref()), LibraryError::RelativePath);
    // A library of another kind, from beside the test program.
    let built = std::fs::read_dir(built_module().parent().unwrap()).unwrap().map(|entry| entry.unwrap().path());
    let is_other = |path: &std::path::PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy();
        name.contains("serde_derive-") && name.ends_with(std::env::consts::DLL_SUFFIX)
    };
    let other = built.into_iter().find(is_other).unwrap();
    assert_eq!(load(&other), LibraryError::Lacks { symbol: "C_GetFunctionList" });
    let mut module = Module::new();
    module.fault("C_Initialize", 0, Act::Return(GENERAL_ERROR));
    assert_eq!(load(&module.path()), LibraryError::Start { function: "C_Initialize", code: GENERAL_ERROR });
}
