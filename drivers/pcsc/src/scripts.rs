//! The exact bytes of whole sessions with a CanoKey, as written in its sources and seen from a build of its firmware: every command, in
//! order, and nothing else. Keys and signatures are made here; everything else is literal.

use sm2::dsa::{SigningKey, signature::hazmat::PrehashSigner as _};
use ukey::{Authenticated as _, DEFAULT_ID, DriverError, KeyId, Pin, Sm2Message, Sm2PublicKey, Sm2Signature};

use crate::{
    apdu::Channel,
    applet::{Applet, Login},
    script::Script,
};

/// Lends a script to a login, which drops its channel.
struct Lent<'s>(&'s mut Script);

impl Channel for Lent<'_> {
    fn transmit(&mut self, command: &[u8]) -> Result<Vec<u8>, DriverError> {
        self.0.transmit(command)
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02X}")).collect()
}

struct Values {
    message: Sm2Message,
    signature: Sm2Signature,
    point: String,
    e: String,
}

fn values() -> Values {
    let secret = sm2::SecretKey::from_slice(&[0x42; 32]).unwrap();
    let key = Sm2PublicKey::from_sec1(&secret.public_key().to_sec1_bytes()).unwrap();
    let message = Sm2Message::new(b"script".to_vec(), DEFAULT_ID, key).unwrap();
    let signer = SigningKey::new(DEFAULT_ID, &secret).unwrap();
    let signature: sm2::dsa::Signature = signer.sign_prehash(message.digest().as_bytes()).unwrap();
    let signature = Sm2Signature::from_raw(signature.to_bytes().as_slice().try_into().unwrap());
    Values { point: hex(&key.to_sec1()), e: hex(message.digest().as_bytes()), message, signature }
}

/// Metadata of the six slots: an SM2 key in 9C (PIN policy as given), P-256 in 9A, the others empty; no certificates.
fn piv_keys(values: &Values, policy: &str) -> String {
    format!(
        "> 00F7009C00           # metadata of 9C: algorithm, policies, origin, public key
         < 0101 54 0202 {policy}01 0301 01 0443 8641 {} 9000
         > 00CB3FFF055C035FC10A00  # its certificate
         < 6A82
         > 00F7009A00           # a P-256 key: its point is not on the SM2 curve
         < 0101 11 0202 0201 0301 01 0443 8641 04
           6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296
           4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5 9000
         > 00F7009D00
         < 6A88
         > 00F7009E00
         < 6A88
         > 00F7008200
         < 6A88
         > 00F7008300
         < 6A88
",
        values.point
    )
    .replace("\n           ", " ") // a long answer on several lines
}

fn pin() -> Pin {
    Pin::new(b"123456".to_vec()).unwrap()
}

const PIV_LOGIN: &str = "
    > 00200080                          # tries left
    < 63C3
    > 0020008008 313233343536FFFF       # the PIN, padded with FF
    < 9000
";
const PIV_LOGOUT: &str = "
    > 0020FF80
    < 9000
";

fn piv_sign(values: &Values) -> String {
    let der = values.signature.to_der();
    format!(
        "> 0087549C26 7C24 8200 8120 {} 00   # algorithm 54, slot 9C: e as it is\n< 7C{:02X} 82{:02X} {} 9000\n",
        values.e,
        der.len() + 2,
        der.len(),
        hex(&der)
    )
}

#[test]
fn piv_session_has_exactly_these_bytes() {
    let values = values();
    let text = [
        "> 00A4040005 A000000308 00\n< 6108 4F06 000010000100 9000\n".to_owned(),
        piv_keys(&values, "02"),
        PIV_LOGIN.to_owned(),
        piv_sign(&values),
        piv_sign(&values),
        PIV_LOGOUT.to_owned(),
    ];
    let mut script = Script::new(&text.concat());
    assert!(Applet::Piv.select(&mut script).unwrap());
    let mut login = Login::new(Applet::Piv, Lent(&mut script), pin()).unwrap();
    for _ in 0..2 {
        assert_eq!(login.sign(&KeyId("piv-9c".into()), &values.message).unwrap(), values.signature);
    }
    drop(login);
    script.finish();
}

#[test]
fn piv_key_that_always_wants_the_pin_gets_it_before_each_signature_but_the_first() {
    let values = values();
    let text = [
        piv_keys(&values, "03"),
        PIV_LOGIN.to_owned(),
        piv_sign(&values),
        PIV_LOGIN.to_owned(),
        piv_sign(&values),
        PIV_LOGOUT.to_owned(),
    ];
    let mut script = Script::new(&text.concat());
    let mut login = Login::new(Applet::Piv, Lent(&mut script), pin()).unwrap();
    for _ in 0..2 {
        login.sign(&KeyId("piv-9c".into()), &values.message).unwrap();
    }
    drop(login);
    script.finish();
}

#[test]
fn wrong_pin_is_sent_once_and_its_tries_are_read() {
    let values = values();
    let refused = "
        > 00200080
        < 63C3
        > 0020008008 313233343536FFFF
        < 63C2
    ";
    let mut script = Script::new(&[piv_keys(&values, "02"), refused.to_owned(), PIV_LOGOUT.to_owned()].concat());
    let error = Login::new(Applet::Piv, Lent(&mut script), pin()).map(drop).unwrap_err();
    assert_eq!(error, DriverError::PinIncorrect { tries_left: Some(2) });
    script.finish();
}

#[test]
fn blocked_pin_is_not_sent() {
    let values = values();
    let blocked = "> 00200080\n< 6983\n";
    let mut script = Script::new(&[piv_keys(&values, "02"), blocked.to_owned(), PIV_LOGOUT.to_owned()].concat());
    assert_eq!(Login::new(Applet::Piv, Lent(&mut script), pin()).map(drop), Err(DriverError::PinBlocked));
    script.finish();
}

#[test]
fn piv_change_of_pin_has_exactly_these_bytes() {
    let mut script = Script::new(
        "> 00200080
         < 63C3
         > 0024008010 313233343536FFFF 3132333435363738
         < 9000",
    );
    Applet::Piv.change_pin(&mut script, &pin(), &Pin::new(b"12345678".to_vec()).unwrap()).unwrap();
    script.finish();
}

#[test]
fn openpgp_session_has_exactly_these_bytes() {
    let values = values();
    let status = "> 00CA00C400\n< 00 40 40 40 03 00 03 9000\n";
    let verify = "> 0020008106 313233343536\n< 9000\n";
    let sign = format!("> 002A9E9A20 {} 00\n", values.e);
    let signature = format!("< {} 9000\n", hex(&values.signature.to_raw()));
    let text = [
        "> 00A4040006 D27600012401 00\n< 9000\n".to_owned(),
        format!("> 0047810002 B600 00   # read the public key\n< 7F49 43 8641 {} 9000\n", values.point),
        "> 00A5020406 60045C027F21\n< 9000\n> 00CA7F2100\n< 9000\n".to_owned(),
        [status, status, verify].concat(),
        format!("{sign}{signature}"),
        format!("{sign}< 6982\n"), // forced signature PIN
        [status, status, verify].concat(),
        format!("{sign}{signature}"),
        "> 0020FF81\n< 6B00     # older cards cannot log out\n".to_owned(),
    ];
    let mut script = Script::new(&text.concat());
    assert!(Applet::OpenPgp.select(&mut script).unwrap());
    let mut login = Login::new(Applet::OpenPgp, Lent(&mut script), pin()).unwrap();
    for _ in 0..2 {
        assert_eq!(login.sign(&KeyId("openpgp-sign".into()), &values.message).unwrap(), values.signature);
    }
    drop(login);
    script.finish();
}

#[test]
fn encryption_slot_does_not_sign() {
    let values = values();
    let text = format!(
        "> 00F7009C00
         < 6A88
         > 00F7009A00
         < 6A88
         > 00F7009D00
         < 0101 54 0443 8641 {} 9000
         > 00CB3FFF055C035FC10B00
         < 6A82
         > 00F7009E00
         < 6A88
         > 00F7008200
         < 6A88
         > 00F7008300
         < 6A88
",
        values.point
    );
    let mut script = Script::new(&[text, PIV_LOGIN.to_owned(), PIV_LOGOUT.to_owned()].concat());
    let mut login = Login::new(Applet::Piv, Lent(&mut script), pin()).unwrap();
    let error = login.sign(&KeyId("piv-9d".into()), &values.message).unwrap_err();
    assert_eq!(error, DriverError::KeyAbsent { key: "piv-9d".into() });
    drop(login);
    script.finish();
}
