//! Passphrases and PINs: from the terminal without echo, or from a descriptor; never from an argument or a variable.

use std::fs::File;
use std::io::Read;

use sealauthority::token::PinQuestion;
use ukey::{Credential, Pin};
use zeroize::Zeroizing;

use super::Failure;

/// Longest secret that is read from a descriptor, in bytes, its line end included.
const MAX_SECRET_BYTES: u64 = 1024;
/// Shortest passphrase that protects an authority's keys, in bytes.
const MIN_PASSPHRASE_BYTES: usize = 8;

/// The passphrase of keys that are there.
pub fn passphrase(fd: Option<u32>) -> Result<Zeroizing<Vec<u8>>, Failure> {
    read(fd, "Passphrase of the authority's keys / 私钥口令: ")
}

/// A passphrase for new keys: typed twice, since one with a slip of the finger in it loses the authority.
pub fn new_passphrase(fd: Option<u32>) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let first = read(fd, "New passphrase for the authority's keys / 设置私钥口令: ")?;
    if first.len() < MIN_PASSPHRASE_BYTES {
        return Err(Failure::new("passphrase-short", &[("least", &MIN_PASSPHRASE_BYTES)]));
    }
    if fd.is_none() && read(None, "Again / 再次输入: ")? != first {
        return Err(Failure::new("typed-differently", &[]));
    }
    Ok(first)
}

/// The password of a database user. There is no descriptor for it: programs have PostgreSQL's own password file.
pub fn database_password(user: &str, host: &str) -> Result<Zeroizing<String>, Failure> {
    let question = format!("Password of database user {user} at {host} / 数据库用户 {user}（{host}）的口令: ");
    let typed = rpassword::prompt_password(question);
    typed.map(Zeroizing::new).map_err(|_| Failure::new("database-password", &[("user", &user), ("host", &host)]))
}

/// The PIN of a token that has keys of the authority, for this run. Sent once.
pub fn pin(question: &PinQuestion) -> Option<Credential> {
    let PinQuestion { label, tries_left, last_try, on_device } = question;
    if *last_try {
        eprintln!("The next wrong PIN locks the token. / 再输错一次，令牌将被锁定。");
    }
    if *on_device {
        eprintln!("Type the PIN of token {label} on the device. / 请在设备上输入令牌 {label} 的口令。");
        return Some(Credential::OnDevice);
    }
    let tries = tries_left.map_or(String::new(), |n| format!(" ({n} tries left / 剩余 {n} 次)"));
    let typed = rpassword::prompt_password(format!("PIN of token {label} / 令牌 {label} 的口令 (PIN){tries}: "));
    Pin::new(typed.ok()?.into_bytes()).map(Credential::Pin)
}

/// A PIN for a new token, typed twice.
pub fn new_pin(fd: Option<u32>) -> Result<Pin, Failure> {
    let first = read(fd, "New PIN of the UKey / 设置 UKey 口令 (PIN): ")?;
    if fd.is_none() && read(None, "Again / 再次输入: ")? != first {
        return Err(Failure::new("typed-differently", &[]));
    }
    Pin::new(first).ok_or_else(|| Failure::new("pin-form", &[]))
}

fn read(fd: Option<u32>, question: &str) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let unreadable = |error: std::io::Error| Failure::new("secret-unreadable", &[("reason", &error)]);
    let Some(fd) = fd else {
        let typed = rpassword::prompt_password(question).map_err(unreadable)?;
        return Ok(Zeroizing::new(typed.into_bytes()));
    };
    let file: Box<dyn Read> = match fd {
        0 => Box::new(std::io::stdin()),
        // The system's name for an inherited descriptor: opening it needs no unsafe claim of ownership. Windows has only 0.
        _ => Box::new(File::open(format!("/dev/fd/{fd}")).map_err(unreadable)?),
    };
    let mut secret = Zeroizing::new(Vec::with_capacity(MAX_SECRET_BYTES as usize)); // never grows: no copy is left behind
    file.take(MAX_SECRET_BYTES).read_to_end(&mut secret).map_err(unreadable)?;
    let end = secret.iter().position(|b| matches!(b, b'\n' | b'\r')).unwrap_or(secret.len());
    secret.truncate(end);
    if secret.is_empty() { Err(Failure::new("secret-empty", &[("fd", &fd)])) } else { Ok(secret) }
}
