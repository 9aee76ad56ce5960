//! One suite that every driver runs, so that all of them mean the same by each call.
//!
//! What a driver cannot do it declares in [`Lacks`], and the suite checks that it is so. Cases that spend tries of the PIN need
//! [`Fixture::renew`]; without it (a real token) they are named in [`Outcome::left_out`], never passed over in silence.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a failed expectation is how this module speaks

use sm2::dsa::{Signature, VerifyingKey, signature::hazmat::PrehashVerifier as _};

use crate::{
    Credential, DEFAULT_ID, Driver, DriverError, KeyId, KeyInfo, KeyUsage, Pin, Session, Sm2Message, Sm2Signature, TokenId,
    driver::Lacks,
};

/// A token that the suite may use, and what is true of it.
pub struct Fixture<'a> {
    /// Makes the driver anew, as a worker does after a restart.
    pub driver: &'a mut dyn FnMut() -> Box<dyn Driver>,
    /// A token of it, with at least one signing key.
    pub token: TokenId,
    /// Its user PIN.
    pub pin: &'a [u8],
    /// A wrong PIN of acceptable form.
    pub wrong_pin: &'a [u8],
    /// PINs that the token cannot take, by their length.
    pub unacceptable_pins: &'a [&'a [u8]],
    /// Tries after a right PIN.
    pub max_tries: u32,
    /// The seals on it, as they were stored, in any order.
    pub seals: &'a [Vec<u8>],
    /// The subject public key of a certificate, as the caller's reader of certificates finds it.
    pub certificate_key: &'a dyn Fn(&[u8]) -> [u8; 65],
    /// What the driver cannot do.
    pub lacks: Lacks,
    /// Gives the token its PIN and all tries back. `None` forbids the cases that spend tries.
    pub renew: Option<&'a mut dyn FnMut()>,
}

/// Which cases ran.
#[derive(Debug, Default)]
pub struct Outcome {
    /// These hold.
    pub held: Vec<&'static str>,
    /// These were not tried, because the token may not lose tries.
    pub left_out: Vec<&'static str>,
}

type Case = fn(&mut Fixture<'_>);

const GENTLE: &[(&str, Case)] = &[
    ("token_list_is_stable_and_holds_the_token", token_list_is_stable_and_holds_the_token),
    ("absent_token_does_not_open", absent_token_does_not_open),
    ("keys_are_distinct_and_match_their_certificates", keys_are_distinct_and_match_their_certificates),
    ("seals_read_back_byte_for_byte", seals_read_back_byte_for_byte),
    ("pin_status_spends_no_try", pin_status_spends_no_try),
    ("signatures_verify_under_e", signatures_verify_under_e),
    ("other_signer_id_is_signed_under_its_own_e", other_signer_id_is_signed_under_its_own_e),
    ("many_messages_in_one_login", many_messages_in_one_login),
    ("login_works_again_after_logout", login_works_again_after_logout),
    ("unknown_key_is_key_absent", unknown_key_is_key_absent),
    ("encryption_key_does_not_sign", encryption_key_does_not_sign),
    ("pin_of_impossible_form_spends_no_try", pin_of_impossible_form_spends_no_try),
];

const SPENDING: &[(&str, Case)] = &[
    ("wrong_pin_is_named_and_spends_one_try", wrong_pin_is_named_and_spends_one_try),
    ("right_pin_gives_tries_back", right_pin_gives_tries_back),
    ("pin_blocks_after_max_tries_and_says_so", pin_blocks_after_max_tries_and_says_so),
    ("pin_changes_with_the_right_old_pin_only", pin_changes_with_the_right_old_pin_only),
];

/// Runs all cases. Panics at the first that does not hold; the text before names it.
pub fn run(mut fixture: Fixture<'_>) -> Outcome {
    let mut outcome = Outcome::default();
    for (name, case) in GENTLE {
        eprintln!("contract: {name}");
        case(&mut fixture);
        outcome.held.push(name);
    }
    for (name, case) in SPENDING {
        if fixture.renew.is_none() {
            outcome.left_out.push(name);
            continue;
        }
        eprintln!("contract: {name}");
        fixture.renew();
        case(&mut fixture);
        outcome.held.push(name);
    }
    fixture.renew();
    outcome
}

impl Fixture<'_> {
    fn renew(&mut self) {
        if let Some(renew) = &mut self.renew {
            renew();
        }
    }

    fn session<T>(&mut self, act: impl FnOnce(&mut dyn Session, &Facts<'_>) -> T) -> T {
        let mut driver = (self.driver)();
        let mut session = driver.open(&self.token).expect("the fixture's token opens");
        act(session.as_mut(), &Facts { pin: self.pin, wrong_pin: self.wrong_pin, max_tries: self.max_tries, lacks: self.lacks })
    }
}

/// The part of the fixture that a case needs while a session is open.
struct Facts<'a> {
    pin: &'a [u8],
    wrong_pin: &'a [u8],
    max_tries: u32,
    lacks: Lacks,
}

impl Facts<'_> {
    /// Checks the number of tries left, where the driver can tell it.
    fn expect_tries(&self, session: &mut dyn Session, expected: u32) {
        let status = session.pin_status().expect("PIN status");
        if self.lacks.tries_left {
            assert_eq!(status.tries_left, None, "the driver declares that it cannot tell");
        } else {
            assert_eq!(status.tries_left, Some(expected), "tries left");
        }
        assert_eq!(status.blocked, expected == 0, "blocked");
    }
}

fn pin(bytes: &[u8]) -> Pin {
    Pin::new(bytes.to_vec()).expect("fixture PINs fit into a Pin")
}

fn credential(bytes: &[u8]) -> Credential {
    Credential::Pin(pin(bytes))
}

fn signing_key(session: &mut dyn Session) -> KeyInfo {
    session.keys().expect("keys").into_iter().find(|k| k.usage == KeyUsage::Signing).expect("the fixture has a signing key")
}

fn verify(message: &Sm2Message, signature: &Sm2Signature) {
    let key = VerifyingKey::from_sec1_bytes(DEFAULT_ID, &message.key().to_sec1()).expect("key on the curve");
    let signature = Signature::from_slice(&signature.to_raw()).expect("r and s in range");
    key.verify_prehash(message.digest().as_bytes(), &signature).expect("the signature verifies under e");
}

fn login_error(session: &mut dyn Session, bytes: &[u8]) -> DriverError {
    session.login(credential(bytes)).map(drop).expect_err("the token refuses this PIN")
}

fn token_list_is_stable_and_holds_the_token(f: &mut Fixture<'_>) {
    let mut driver = (f.driver)();
    let first = driver.tokens().expect("tokens");
    assert_eq!(driver.tokens().expect("tokens again"), first);
    assert_eq!(first.iter().filter(|t| t.id == f.token).count(), 1, "{first:?}");
    drop(driver);
    assert_eq!((f.driver)().tokens().expect("tokens of a fresh driver"), first);
}

fn absent_token_does_not_open(f: &mut Fixture<'_>) {
    let mut driver = (f.driver)();
    for id in ["no-such-token", "", "../escape", "令牌"] {
        assert_eq!(driver.open(&TokenId(id.into())).map(drop), Err(DriverError::TokenAbsent), "{id:?}");
    }
}

fn keys_are_distinct_and_match_their_certificates(f: &mut Fixture<'_>) {
    let keys = f.session(|session, _| session.keys().expect("keys"));
    assert!(keys.iter().any(|k| k.usage == KeyUsage::Signing), "a signing key");
    for (i, key) in keys.iter().enumerate() {
        assert!(keys[..i].iter().all(|other| (&other.id, other.usage) != (&key.id, key.usage)), "{:?} twice", key.id);
        if let Some(certificate) = &key.certificate {
            assert_eq!((f.certificate_key)(&certificate.0), key.public_key.to_sec1(), "certificate of {:?}", key.id);
        }
    }
}

fn seals_read_back_byte_for_byte(f: &mut Fixture<'_>) {
    let lacks = f.lacks.seals;
    let found = f.session(|session, _| session.seals());
    if lacks {
        let none = matches!(&found, Err(DriverError::Unsupported { .. })) || found.as_ref().is_ok_and(Vec::is_empty);
        assert!(none, "the driver declares that it has no seals");
        return;
    }
    let mut found = found.expect("seals");
    let mut expected = f.seals.to_vec();
    found.sort();
    expected.sort();
    assert!(found == expected, "{} seals, expected {}", found.len(), expected.len());
}

fn pin_status_spends_no_try(f: &mut Fixture<'_>) {
    for _ in 0..2 * f.max_tries {
        f.session(|session, facts| facts.expect_tries(session, facts.max_tries));
    }
    f.session(|session, facts| drop(session.login(credential(facts.pin)).expect("the PIN is not blocked")));
}

fn signatures_verify_under_e(f: &mut Fixture<'_>) {
    f.session(|session, facts| {
        let key = signing_key(session);
        let mut login = session.login(credential(facts.pin)).expect("login");
        for length in [1, 31, 32, 33, 64, 5000] {
            let message = Sm2Message::new(vec![length as u8; length], DEFAULT_ID, key.public_key).expect("message");
            verify(&message, &login.sign(&key.id, &message).expect("signature"));
        }
    });
}

fn other_signer_id_is_signed_under_its_own_e(f: &mut Fixture<'_>) {
    f.session(|session, facts| {
        let key = signing_key(session);
        let mut login = session.login(credential(facts.pin)).expect("login");
        let message = Sm2Message::new(b"message".to_vec(), "someone@example.com", key.public_key).expect("message");
        verify(&message, &login.sign(&key.id, &message).expect("signature"));
    });
}

fn many_messages_in_one_login(f: &mut Fixture<'_>) {
    f.session(|session, facts| {
        let key = signing_key(session);
        let mut login = session.login(credential(facts.pin)).expect("login");
        for i in 0..20_u32 {
            let message = Sm2Message::new(i.to_be_bytes().to_vec(), DEFAULT_ID, key.public_key).expect("message");
            verify(&message, &login.sign(&key.id, &message).expect("signature"));
        }
        drop(login);
        facts.expect_tries(session, facts.max_tries);
    });
}

fn login_works_again_after_logout(f: &mut Fixture<'_>) {
    f.session(|session, facts| {
        let key = signing_key(session);
        for _ in 0..3 {
            let mut login = session.login(credential(facts.pin)).expect("login");
            let message = Sm2Message::new(b"again".to_vec(), DEFAULT_ID, key.public_key).expect("message");
            verify(&message, &login.sign(&key.id, &message).expect("signature"));
        }
    });
}

fn unknown_key_is_key_absent(f: &mut Fixture<'_>) {
    f.session(|session, facts| {
        let key = signing_key(session);
        let mut login = session.login(credential(facts.pin)).expect("login");
        let message = Sm2Message::new(b"message".to_vec(), DEFAULT_ID, key.public_key).expect("message");
        let error = login.sign(&KeyId("no-such-key".into()), &message).expect_err("no such key");
        assert!(matches!(error, DriverError::KeyAbsent { .. }), "{error:?}");
    });
}

fn encryption_key_does_not_sign(f: &mut Fixture<'_>) {
    f.session(|session, facts| {
        let keys = session.keys().expect("keys");
        // A container may name both halves alike; then it is the signing half that signs.
        let alone =
            |k: &&KeyInfo| k.usage == KeyUsage::Encryption && !keys.iter().any(|o| o.id == k.id && o.usage == KeyUsage::Signing);
        for key in keys.iter().filter(alone) {
            let mut login = session.login(credential(facts.pin)).expect("login");
            let message = Sm2Message::new(b"message".to_vec(), DEFAULT_ID, key.public_key).expect("message");
            let error = login.sign(&key.id, &message).expect_err("an encryption key");
            assert!(matches!(error, DriverError::KeyAbsent { .. }), "{error:?}");
        }
    });
}

fn pin_of_impossible_form_spends_no_try(f: &mut Fixture<'_>) {
    for bytes in f.unacceptable_pins {
        f.session(|session, facts| {
            let error = login_error(session, bytes);
            assert!(matches!(error, DriverError::PinUnacceptable { .. }), "{error:?}");
            if !facts.lacks.change_pin {
                let error = session.change_pin(pin(facts.pin), pin(bytes)).expect_err("a new PIN of impossible form");
                assert!(matches!(error, DriverError::PinUnacceptable { .. }), "{error:?}");
            }
            facts.expect_tries(session, facts.max_tries);
        });
    }
}

fn wrong_pin_is_named_and_spends_one_try(f: &mut Fixture<'_>) {
    f.session(|session, facts| {
        let error = login_error(session, facts.wrong_pin);
        let tries_left = (!facts.lacks.tries_left).then_some(facts.max_tries - 1);
        match error {
            DriverError::PinIncorrect { tries_left: told } => {
                assert!(told.is_none() || told == tries_left || facts.lacks.tries_left)
            }
            error => panic!("{error:?}"),
        }
        facts.expect_tries(session, facts.max_tries - 1);
    });
    f.session(|session, facts| facts.expect_tries(session, facts.max_tries - 1));
}

fn right_pin_gives_tries_back(f: &mut Fixture<'_>) {
    f.session(|session, facts| {
        login_error(session, facts.wrong_pin);
        drop(session.login(credential(facts.pin)).expect("login"));
        facts.expect_tries(session, facts.max_tries);
    });
}

fn pin_blocks_after_max_tries_and_says_so(f: &mut Fixture<'_>) {
    f.session(|session, facts| {
        for left in (0..facts.max_tries).rev() {
            let error = login_error(session, facts.wrong_pin);
            // With the last try a token may say either.
            let named = matches!(error, DriverError::PinIncorrect { .. }) || left == 0 && error == DriverError::PinBlocked;
            assert!(named, "{error:?} with {left} left");
        }
        assert!(session.pin_status().expect("PIN status").blocked);
        assert_eq!(login_error(session, facts.wrong_pin), DriverError::PinBlocked);
        assert_eq!(login_error(session, facts.pin), DriverError::PinBlocked, "the right PIN comes too late");
    });
    f.session(|session, facts| assert_eq!(login_error(session, facts.pin), DriverError::PinBlocked, "in a new session too"));
}

fn pin_changes_with_the_right_old_pin_only(f: &mut Fixture<'_>) {
    if f.lacks.change_pin {
        let error = f.session(|session, facts| session.change_pin(pin(facts.pin), pin(b"97531086"))).expect_err("declared");
        assert!(matches!(error, DriverError::Unsupported { .. }), "{error:?}");
        return;
    }
    let new = b"97531086".as_slice();
    f.session(|session, facts| {
        let error = session.change_pin(pin(facts.wrong_pin), pin(new)).expect_err("a wrong old PIN");
        assert!(matches!(error, DriverError::PinIncorrect { .. }), "{error:?}");
        facts.expect_tries(session, facts.max_tries - 1);
        session.change_pin(pin(facts.pin), pin(new)).expect("change of PIN");
        facts.expect_tries(session, facts.max_tries);
    });
    f.session(|session, facts| {
        assert!(matches!(login_error(session, facts.pin), DriverError::PinIncorrect { .. }), "the old PIN is wrong now");
        let key = signing_key(session);
        let mut login = session.login(credential(new)).expect("login with the new PIN");
        let message = Sm2Message::new(b"after the change".to_vec(), DEFAULT_ID, key.public_key).expect("message");
        verify(&message, &login.sign(&key.id, &message).expect("signature"));
    });
}
