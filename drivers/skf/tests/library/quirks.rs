//! The driver against the virtual SKF library: each quirk of libraries and tokens in the field, one test each.

use crate::module::*;
use ukey::{Driver as _, DriverError, KeyUsage, library::LibraryError};
use ukey_skf::{Profile, SignInput, Skf};
use ukey_virtual::LoginPolicy::{PerSession, PerSignature};
use ukey_virtual_skf::switches::{Act, Alignment, Lie, SignAs};

const FAIL: u32 = 0x0A00_0001;
const NOT_SUPPORTED_YET: u32 = 0x0A00_0003;
const PIN_INVALID: u32 = 0x0A00_0026;
const USER_PIN_NOT_INITIALIZED: u32 = 0x0A00_0029;

/// Shows, inspects and signs twice.
fn works(module: &Module) -> (Skf, ukey::TokenId) {
    let mut driver = module.driver();
    let token = only_token(&mut driver);
    let mut session = driver.open(&token).unwrap();
    assert_eq!(session.seals().unwrap(), [seal()]);
    assert_eq!(session.pin_status().unwrap().tries_left, Some(6));
    let keys = session.keys().unwrap();
    assert_eq!(keys.iter().map(|k| k.usage).collect::<Vec<_>>(), [KeyUsage::Signing, KeyUsage::Encryption]);
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
fn plain_library_works() {
    let module = Module::new();
    let token = module.token("公司印章", PerSession);
    let (mut driver, _) = works(&module);
    let info = driver.tokens().unwrap().remove(0);
    assert_eq!((info.label.as_str(), info.serial), ("公司印章", token.info().unwrap().serial));
    assert_eq!(info.manufacturer, "sealagent virtual UKey");
}

#[test]
fn eight_byte_ulongs_and_aligned_structures_work() {
    for (wide, aligned) in [(true, false), (false, true), (true, true)] {
        let module = Module::new().with(|s| (s.wide_ulong, s.aligned_device_info) = (wide, aligned));
        module.token("t", PerSession);
        works(&module);
    }
}

#[test]
fn every_alignment_of_blobs_works() {
    for alignment in [Alignment::Left, Alignment::Right] {
        let module = Module::new().with(|s| s.alignment = alignment);
        module.token("t", PerSession);
        works(&module);
    }
    let mut module = Module::new();
    module.token("t", PerSession);
    let (mut driver, token) = works(&module);
    let key = signing_key(&mut driver, &token);
    // Only the signature can be compact: the public key is read before the switch is set.
    let mut session = driver.open(&token).unwrap();
    let mut login = session.login(typed(PIN)).unwrap();
    login.sign(&key.0, &message(key.1, 1)).unwrap();
    module.set(|s| s.alignment = Alignment::Compact);
    login.sign(&key.0, &message(key.1, 2)).unwrap();
}

#[test]
fn every_empty_list_is_empty() {
    for size in 0..3 {
        let module = Module::new().with(|s| s.empty_list_size = size);
        assert!(module.driver().tokens().unwrap().is_empty());
    }
}

#[test]
fn gbk_names_are_passed_back_as_they_came() {
    let module = Module::new().with(|s| s.gbk_names = true);
    module.token("甲", PerSession);
    let (mut driver, token) = works(&module);
    assert_eq!(driver.tokens().unwrap()[0].label, "印章甲");
    assert!(token.0.ends_with("/%D3%A1%D5%C2SEALAPP"), "{token}");
}

#[test]
fn certificate_in_the_other_place_is_paired_by_its_key() {
    let module = Module::new().with(|s| s.certificates_swapped = true);
    module.token("t", PerSession);
    works(&module);
}

#[test]
fn certificate_of_another_key_is_not_shown_as_the_keys() {
    let module = Module::new();
    let token = module.token("t", PerSession);
    let key = token.keys().unwrap().remove(0);
    let (_, other) = token.login(&pin(PIN)).unwrap().generate_key(KeyUsage::Signing).unwrap();
    token.put_certificate(&key.id, &certificate(&other, 0xc0)).unwrap();
    let mut driver = module.driver();
    let id = only_token(&mut driver);
    let keys = driver.open(&id).unwrap().keys().unwrap();
    assert_eq!(keys.iter().find(|k| k.public_key == key.public_key).unwrap().certificate, None);
}

#[test]
fn key_with_an_encryption_certificate_does_not_sign() {
    let module = Module::new();
    let token = module.token("t", PerSession);
    let key = token.keys().unwrap().remove(0);
    token.put_certificate(&key.id, &certificate(&key.public_key, 0x38)).unwrap();
    let mut driver = module.driver();
    let id = only_token(&mut driver);
    let shown = driver.open(&id).unwrap().keys().unwrap().remove(0);
    assert_eq!(shown.usage, KeyUsage::Encryption);
    let refused = sign(&mut driver, &id, &(shown.id.clone(), shown.public_key), typed(PIN), 1).unwrap_err();
    assert_eq!(refused, DriverError::KeyAbsent { key: shown.id.0 });
}

#[test]
fn optional_functions_may_be_missing() {
    let missing = ["SKF_LockDev", "SKF_UnlockDev", "SKF_GetContainerType", "SKF_WaitForDevEvent"];
    let module = Module::without(&missing);
    module.token("t", PerSession);
    works(&module);

    let module = Module::without(&["SKF_EnumFiles", "SKF_GetPINInfo"]);
    module.token("t", PerSession);
    let mut driver = module.driver();
    let token = only_token(&mut driver);
    let mut session = driver.open(&token).unwrap();
    assert!(session.seals().unwrap().is_empty());
    assert_eq!(session.pin_status().unwrap(), ukey::PinStatus::default());
    drop(session);
    let key = signing_key(&mut driver, &token);
    assert_eq!(sign(&mut driver, &token, &key, typed(WRONG_PIN), 1), Err(DriverError::PinIncorrect { tries_left: Some(5) }));
    sign(&mut driver, &token, &key, typed(PIN), 1).unwrap();
}

#[test]
fn missing_public_key_function_is_replaced_by_the_certificates() {
    let module = Module::without(&["SKF_ExportPublicKey"]);
    module.token("t", PerSession);
    works(&module);
}

#[test]
fn missing_sign_function_is_unsupported_by_name() {
    let module = Module::without(&["SKF_ECCSignData"]);
    module.token("t", PerSession);
    let mut driver = module.driver();
    let token = only_token(&mut driver);
    let key = signing_key(&mut driver, &token);
    let Err(DriverError::Unsupported { what }) = sign(&mut driver, &token, &key, typed(PIN), 1) else { panic!() };
    assert!(what.contains("SKF_ECCSignData"));
}

#[test]
fn lock_that_is_unsupported_is_done_without_and_one_that_is_held_means_busy() {
    let mut module = Module::new();
    let token = module.token("t", PerSession);
    let (mut driver, id) = works(&module);
    let key = signing_key(&mut driver, &id);
    module.fault("SKF_LockDev", 0, Act::Return(NOT_SUPPORTED_YET));
    sign(&mut driver, &id, &key, typed(PIN), 1).unwrap();
    module.set(|s| (s.faults, s.locked_by_other) = (Vec::new(), true));
    assert_eq!(sign(&mut driver, &id, &key, typed(WRONG_PIN), 1), Err(DriverError::Busy));
    assert_eq!(token.pin_status().unwrap().tries_left, Some(6));
}

#[test]
fn wrong_pin_is_known_by_its_count_whatever_the_code() {
    for code in [0x0A00_0024, USER_PIN_NOT_INITIALIZED, FAIL, PIN_INVALID, 0x0B00_0035] {
        let module = Module::new().with(|s| s.wrong_pin_code = code);
        let token = module.token("t", PerSession);
        let (mut driver, id) = works(&module);
        let key = signing_key(&mut driver, &id);
        assert_eq!(
            sign(&mut driver, &id, &key, typed(WRONG_PIN), 1),
            Err(DriverError::PinIncorrect { tries_left: Some(5) }),
            "{code:#x}"
        );
        assert_eq!(token.pin_status().unwrap().tries_left, Some(5), "one try, no more");
    }
}

#[test]
fn refusal_without_a_spent_try_is_no_wrong_pin() {
    let mut module = Module::new();
    module.token("t", PerSession);
    let (mut driver, id) = works(&module);
    let key = signing_key(&mut driver, &id);
    module.fault("SKF_VerifyPIN", 0, Act::Return(FAIL));
    assert_eq!(sign(&mut driver, &id, &key, typed(PIN), 1), Err(DriverError::module("SKF_VerifyPIN", FAIL)));
    module.fault("SKF_VerifyPIN", 0, Act::Return(PIN_INVALID));
    assert!(matches!(sign(&mut driver, &id, &key, typed(PIN), 1), Err(DriverError::PinUnacceptable { .. })));
}

#[test]
fn pin_of_impossible_length_is_not_sent() {
    let module = Module::new();
    let token = module.token("t", PerSession);
    let (mut driver, id) = works(&module);
    let key = signing_key(&mut driver, &id);
    assert!(matches!(sign(&mut driver, &id, &key, typed(b"12345"), 1), Err(DriverError::PinUnacceptable { .. })));
    assert_eq!(token.pin_status().unwrap().tries_left, Some(6));
}

#[test]
fn locked_pin_is_not_sent() {
    let module = Module::new();
    let token = module.token("t", PerSession);
    let (mut driver, id) = works(&module);
    let key = signing_key(&mut driver, &id);
    for left in (0..6).rev() {
        assert_eq!(sign(&mut driver, &id, &key, typed(WRONG_PIN), 1), Err(DriverError::PinIncorrect { tries_left: Some(left) }));
    }
    assert_eq!(sign(&mut driver, &id, &key, typed(PIN), 1), Err(DriverError::PinBlocked));
    assert!(token.pin_status().unwrap().blocked);
    let mut session = driver.open(&id).unwrap();
    assert!(session.pin_status().unwrap().blocked);
    assert_eq!(session.change_pin(pin(PIN), pin(b"888888")), Err(DriverError::PinBlocked));
}

#[test]
fn already_logged_in_is_no_proof_of_the_pin() {
    let mut module = Module::new();
    module.token("t", PerSession);
    let (mut driver, id) = works(&module);
    let key = signing_key(&mut driver, &id);
    module.set(|s| s.already_logged_in = true);
    assert_eq!(sign(&mut driver, &id, &key, typed(WRONG_PIN), 1), Err(DriverError::Busy));
    assert_eq!(sign(&mut driver, &id, &key, typed(PIN), 1), Err(DriverError::Busy));
}

#[test]
fn token_that_forgets_the_pin_gets_it_again_and_never_after_a_refusal() {
    let mut module = Module::new();
    let token = module.token("t", PerSignature);
    let mut driver = module.driver();
    let id = only_token(&mut driver);
    let key = signing_key(&mut driver, &id);
    sign(&mut driver, &id, &key, typed(PIN), 3).unwrap();
    let profile = Profile { login_each_signature: true, ..Profile::default() };
    sign(&mut module.driver_with(profile), &id, &key, typed(PIN), 3).unwrap();

    // The PIN changes behind our back after the first signature: one refusal, and the PIN is gone.
    let mut session = driver.open(&id).unwrap();
    let mut login = session.login(typed(PIN)).unwrap();
    login.sign(&key.0, &message(key.1, 1)).unwrap();
    token.change_pin(&pin(PIN), &pin(b"888888")).unwrap();
    for _ in 0..3 {
        let refused = login.sign(&key.0, &message(key.1, 2)).unwrap_err();
        assert_eq!(refused, DriverError::PinIncorrect { tries_left: Some(5) });
    }
    assert_eq!(token.pin_status().unwrap().tries_left, Some(5));
    drop(login);
    drop(session);
    // A library that denies the login each time is asked twice, not for ever.
    module.fault("SKF_ECCSignData", 0, Act::Return(0x0A00_002D));
    let denied = sign(&mut driver, &id, &key, typed(b"888888"), 1);
    assert_eq!(denied, Err(DriverError::module("SKF_ECCSignData", 0x0A00_002D)));
}

#[test]
fn wrong_signatures_are_refused_by_name() {
    for (sign_as, name) in
        [(SignAs::Message, "double hashing"), (SignAs::OtherKey, "another key"), (SignAs::Garbage, "does not verify")]
    {
        let mut module = Module::new();
        let token = module.token("t", PerSession);
        token.login(&pin(PIN)).unwrap().generate_key(KeyUsage::Signing).unwrap();
        let mut driver = module.driver();
        let id = only_token(&mut driver);
        let key = signing_key(&mut driver, &id);
        module.set(|s| s.sign_as = sign_as);
        let error = sign(&mut driver, &id, &key, typed(PIN), 1).unwrap_err();
        let DriverError::SignatureInvalid { function, what } = error else { panic!("{name}: {error:?}") };
        assert_eq!(function, "SKF_ECCSignData");
        assert!(what.contains(name), "{what}");
    }
}

#[test]
fn library_that_hashes_signs_under_the_message_profile() {
    let module = Module::new().with(|s| s.sign_as = SignAs::Message);
    module.token("t", PerSession);
    let profile = Profile::named("message-input").unwrap();
    assert_eq!(profile.sign_input, SignInput::Message);
    let mut driver = module.driver_with(profile);
    let id = only_token(&mut driver);
    let key = signing_key(&mut driver, &id);
    sign(&mut driver, &id, &key, typed(PIN), 2).unwrap();
    let other_id = ukey::Sm2Message::new(b"m".to_vec(), "another", key.1).unwrap();
    let mut session = driver.open(&id).unwrap();
    let mut login = session.login(typed(PIN)).unwrap();
    assert!(matches!(login.sign(&key.0, &other_id), Err(DriverError::Unsupported { .. })));
}

#[test]
fn lies_about_lengths_are_refused() {
    for lie in [Lie::Huge, Lie::Overrun] {
        for function in ["SKF_EnumDev", "SKF_EnumApplication"] {
            let module = Module::new().with(|s| s.lies = vec![(function.into(), lie)]);
            module.token("t", PerSession);
            assert!(matches!(module.driver().tokens(), Err(DriverError::Protocol { .. })), "{function} {lie:?}");
        }
        for function in ["SKF_EnumContainer", "SKF_ExportCertificate"] {
            let module = Module::new().with(|s| s.lies = vec![(function.into(), lie)]);
            module.token("t", PerSession);
            let mut driver = module.driver();
            let id = only_token(&mut driver);
            assert!(matches!(driver.open(&id).unwrap().keys(), Err(DriverError::Protocol { .. })), "{function} {lie:?}");
        }
    }
    for (function, lie) in [("SKF_ReadFile", Lie::Overrun), ("SKF_EnumFiles", Lie::Huge)] {
        let module = Module::new().with(|s| s.lies = vec![(function.into(), lie)]);
        module.token("t", PerSession);
        let mut driver = module.driver();
        let id = only_token(&mut driver);
        assert!(matches!(driver.open(&id).unwrap().seals(), Err(DriverError::Protocol { .. })), "{function}");
    }
    // A size of 4 GiB in the directory only bounds what is read; the seal's own length decides.
    let module = Module::new().with(|s| s.lies = vec![("SKF_GetFileInfo".into(), Lie::Huge)]);
    module.token("t", PerSession);
    let mut driver = module.driver();
    let id = only_token(&mut driver);
    assert_eq!(driver.open(&id).unwrap().seals().unwrap(), [seal()]);
}

#[test]
fn seal_of_a_hundred_kilobytes_is_read() {
    let module = Module::new();
    let token = module.token("t", PerSession);
    let mut large = vec![0x30, 0x83, 0x01, 0x90, 0x00];
    large.resize(5 + 0x19000, 7);
    token.put_seal(&large).unwrap();
    let mut driver = module.driver();
    let id = only_token(&mut driver);
    assert_eq!(driver.open(&id).unwrap().seals().unwrap(), [seal(), large]);
}

#[test]
fn two_tokens_of_one_label_are_two() {
    let module = Module::new();
    let tokens = [module.token("same", PerSession), module.token("same", PerSession)];
    let mut driver = module.driver();
    let infos = driver.tokens().unwrap();
    assert_eq!(infos.len(), 2);
    assert_ne!(infos[0].id, infos[1].id);
    for info in infos {
        let (_, shown) = signing_key(&mut driver, &info.id);
        let token = tokens.iter().find(|t| t.info().unwrap().serial == info.serial).unwrap();
        assert_eq!(shown, token.keys().unwrap()[0].public_key);
    }
}

#[test]
fn second_token_of_the_same_serial_makes_the_old_id_mean_nothing() {
    let module = Module::new().with(|s| s.serial = Some("0001".into()));
    module.token("a", PerSession);
    let mut driver = module.driver();
    let id = only_token(&mut driver);
    let key = signing_key(&mut driver, &id);
    module.token("b", PerSession);
    assert_eq!(sign(&mut driver, &id, &key, typed(PIN), 1), Err(DriverError::TokenAbsent));
    let ids: Vec<_> = driver.tokens().unwrap().into_iter().map(|t| t.id).collect();
    assert!(ids.len() == 2 && ids[0] != ids[1], "{ids:?}");
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
        "SKF_EnumApplication",
        "SKF_GetDevInfo",
        "SKF_OpenApplication",
        "SKF_LockDev",
        "SKF_GetPINInfo",
        "SKF_VerifyPIN",
        "SKF_EnumContainer",
        "SKF_OpenContainer",
        "SKF_ExportPublicKey",
        "SKF_ExportCertificate",
        "SKF_ECCSignData",
    ];
    for removed_code in [0x0A00_0023, FAIL, 0x0A00_0005, 0x0B00_0001] {
        for step in steps {
            let mut module = Module::new();
            let token = module.token("t", PerSession);
            let (mut driver, id) = works(&module);
            let key = signing_key(&mut driver, &id);
            module.set(|s| s.removed_code = removed_code);
            module.fault(step, 1, Act::Remove);
            let result = sign(&mut driver, &id, &key, typed(PIN), 1);
            assert!(matches!(result, Err(DriverError::TokenAbsent)), "{step} with {removed_code:#x}: {result:?}");
            token.plug().unwrap();
            module.set(|s| s.faults.clear());
            sign(&mut driver, &id, &key, typed(PIN), 1).unwrap();
        }
    }
}

#[test]
fn pin_change_needs_the_old_one_and_a_token_that_is_there() {
    let mut module = Module::new();
    let token = module.token("t", PerSession);
    let (mut driver, id) = works(&module);
    let mut session = driver.open(&id).unwrap();
    assert_eq!(session.change_pin(pin(WRONG_PIN), pin(b"888888")), Err(DriverError::PinIncorrect { tries_left: Some(5) }));
    assert!(matches!(session.change_pin(pin(PIN), pin(b"8")), Err(DriverError::PinUnacceptable { .. })));
    assert_eq!(token.pin_status().unwrap().tries_left, Some(5));
    drop(session);
    module.fault("SKF_ChangePIN", 1, Act::Remove);
    assert_eq!(driver.open(&id).unwrap().change_pin(pin(PIN), pin(b"888888")), Err(DriverError::TokenAbsent));
    token.plug().unwrap();
    module.set(|s| s.faults.clear());
    driver.open(&id).unwrap().change_pin(pin(PIN), pin(b"888888")).unwrap();
    let key = signing_key(&mut driver, &id);
    assert_eq!(sign(&mut driver, &id, &key, typed(PIN), 1), Err(DriverError::PinIncorrect { tries_left: Some(5) }));
    sign(&mut driver, &id, &key, typed(b"888888"), 1).unwrap();
}

#[test]
fn security_state_is_cleared_before_closing() {
    let mut module = Module::new();
    module.token("t", PerSession);
    let (mut driver, id) = works(&module);
    let key = signing_key(&mut driver, &id);
    sign(&mut driver, &id, &key, typed(PIN), 1).unwrap();
    // Were anybody still logged in, a library that looks at no PIN would sign now.
    module.fault("SKF_VerifyPIN", 0, Act::Return(0));
    let denied = sign(&mut driver, &id, &key, typed(WRONG_PIN), 1);
    assert_eq!(denied, Err(DriverError::module("SKF_ECCSignData", 0x0A00_002D)));
}

#[test]
fn what_is_no_skf_library_is_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let load = |path: &std::path::Path| Skf::load(path, Profile::default()).map(drop).unwrap_err();
    assert_eq!(load("libskf.so".as_ref()), LibraryError::RelativePath);
    assert_eq!(load(&folder.path().join("absent.so")), LibraryError::Absent);
    let text = folder.path().join("text.so");
    std::fs::write(&text, "not a library").unwrap();
    assert_eq!(load(&text), LibraryError::NotALibrary);
    let other = folder.path().join("other.so");
    let mut bytes = std::fs::read(built_library()).unwrap();
    if cfg!(target_os = "linux") {
        bytes[18] = 3; // EM_386
        std::fs::write(&other, &bytes).unwrap();
        assert!(matches!(load(&other), LibraryError::OtherMachine { .. }));
    }
    assert_eq!(load(&Module::without(&["SKF_EnumDev"]).path()), LibraryError::Lacks { symbol: "SKF_EnumDev" });
}
