//! What must hold of a token's file, whoever else uses the folder.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::{fs, thread};

use tempfile::TempDir;
use ukey::{DriverError, KeyUsage, Pin, Sm2Digest, TokenId};
use ukey_virtual::{LoginPolicy, Token, TokenError, TokenOptions};

fn pin(text: &str) -> Pin {
    Pin::new(text.as_bytes().to_vec()).unwrap()
}

fn token(options: TokenOptions) -> (TempDir, Token) {
    let folder = tempfile::tempdir().unwrap();
    let token = Token::create(&folder.path().join("virtual"), "公章", &pin("13572468"), options).unwrap();
    (folder, token)
}

fn file(folder: &TempDir, token: &Token) -> std::path::PathBuf {
    folder.path().join("virtual").join(format!("{}.token.json", token.id()))
}

#[test]
fn tries_of_parallel_logins_are_all_counted() {
    let (_folder, token) = token(TokenOptions { max_tries: 10, ..Default::default() });
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                token.login(&pin("00000000")).unwrap_err();
                token.login(&pin("00000000")).unwrap_err();
            });
        }
    });
    assert_eq!(token.pin_status().unwrap().tries_left, Some(2));
}

#[cfg(unix)]
#[test]
fn folder_and_files_are_the_users_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let (folder, token) = token(TokenOptions::default());
    token.put_seal(b"seal").unwrap();
    let mode = |path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(folder.path().join("virtual")), 0o700);
    for entry in fs::read_dir(folder.path().join("virtual")).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(path.clone()), 0o600, "{}", path.display());
    }
}

#[test]
fn file_holds_neither_pin_nor_private_key_in_the_clear() {
    let (folder, token) = token(TokenOptions::default());
    let mut unlocked = token.login(&pin("13572468")).unwrap();
    let (key, public_key) = unlocked.generate_key(KeyUsage::Signing).unwrap();
    let text = fs::read_to_string(file(&folder, &token)).unwrap();
    assert!(!text.contains("13572468"));
    // Every base64 text of 32 bytes in the file is tried as the private key.
    let candidates = text.split('"').filter_map(|word| serde_json::from_str::<ukey::wire::Bytes>(&format!("\"{word}\"")).ok());
    for bytes in candidates.filter(|bytes| bytes.0.len() == 32) {
        if let Ok(secret) = sm2::SecretKey::from_slice(&bytes.0) {
            assert_ne!(&secret.public_key().to_sec1_bytes()[..], public_key.to_sec1());
        }
    }
    unlocked.sign_message(&key, b"message").unwrap();
}

#[test]
fn changed_file_gives_no_key() {
    let (folder, token) = token(TokenOptions::default());
    let (key, _) = token.login(&pin("13572468")).unwrap().generate_key(KeyUsage::Signing).unwrap();
    let text = fs::read_to_string(file(&folder, &token)).unwrap();
    let mut state: serde_json::Value = serde_json::from_str(&text).unwrap();
    let ciphertext = state["keys"][0]["privateKey"]["ciphertext"].as_str().unwrap().to_owned();
    let first = if ciphertext.starts_with('A') { "B" } else { "A" };
    state["keys"][0]["privateKey"]["ciphertext"] = format!("{first}{}", &ciphertext[1..]).into();
    fs::write(file(&folder, &token), state.to_string()).unwrap();
    let error = token.login(&pin("13572468")).unwrap().sign_message(&key, b"message").unwrap_err();
    assert!(matches!(error, TokenError::Driver(DriverError::Protocol { .. })), "{error:?}");
}

#[test]
fn token_forgets_the_login_after_each_signature_where_gmt_0027_is_kept() {
    let (_folder, token) = token(TokenOptions { login: LoginPolicy::PerSignature, ..Default::default() });
    let mut unlocked = token.login(&pin("13572468")).unwrap();
    let (key, public_key) = unlocked.generate_key(KeyUsage::Signing).unwrap();
    let e = Sm2Digest::new(b"message", ukey::DEFAULT_ID, &public_key).unwrap();
    unlocked.sign(&key, &e).unwrap();
    assert!(matches!(unlocked.sign(&key, &e), Err(TokenError::LoginEnded)));
}

#[test]
fn unplugged_token_is_absent_to_every_call_and_comes_back_whole() {
    let (folder, token) = token(TokenOptions::default());
    let mut unlocked = token.login(&pin("13572468")).unwrap();
    let (key, _) = unlocked.generate_key(KeyUsage::Signing).unwrap();
    token.unplug().unwrap();
    let absent = |result: Result<(), TokenError>| {
        assert!(matches!(result, Err(TokenError::Driver(DriverError::TokenAbsent))), "{result:?}");
    };
    absent(token.keys().map(drop));
    absent(token.pin_status().map(drop));
    absent(token.login(&pin("13572468")).map(drop));
    absent(token.put_seal(b"seal"));
    absent(unlocked.sign_message(&key, b"message").map(drop));
    absent(Token::open(&folder.path().join("virtual"), token.id()).map(drop));
    assert!(Token::list(&folder.path().join("virtual")).unwrap().is_empty());
    token.plug().unwrap();
    unlocked.sign_message(&key, b"message").unwrap();
}

#[test]
fn id_that_leads_out_of_the_folder_is_absent() {
    let (folder, token) = token(TokenOptions::default());
    let elsewhere = folder.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    let id = TokenId(format!("../virtual/{}", token.id()));
    assert!(matches!(Token::open(&elsewhere, &id), Err(TokenError::Driver(DriverError::TokenAbsent))));
}

#[test]
fn file_that_is_no_token_is_named() {
    let (folder, token) = token(TokenOptions::default());
    for text in ["", "{}", "[1, 2", "{\"version\": 99}"] {
        fs::write(file(&folder, &token), text).unwrap();
        let error = token.keys().unwrap_err();
        assert!(matches!(error, TokenError::Malformed { .. }), "{error:?}");
    }
}

#[test]
fn seals_are_kept_once_and_removed() {
    let (_folder, token) = token(TokenOptions::default());
    token.put_seal(b"one").unwrap();
    token.put_seal(b"two").unwrap();
    token.put_seal(b"one").unwrap();
    assert_eq!(token.seals().unwrap(), [b"one".to_vec(), b"two".to_vec()]);
    token.remove_seal(b"one").unwrap();
    assert_eq!(token.seals().unwrap(), [b"two".to_vec()]);
    assert!(matches!(token.put_seal(&vec![0; (1 << 20) + 1]), Err(TokenError::Full(_))));
}
