//! Faults on request. A script, `faults.json` in the tokens' folder, says at which step which fault is met, after how many good
//! passes, and how often. Obeyed only by [`VirtualDriver::with_faults`](crate::VirtualDriver::with_faults).
//!
//! A rule is used up **on disk before** it takes effect, so that a fault that ends the process is not met again by the next one.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Duration,
};

use serde::{Deserialize, Serialize};
use sm2::{
    ProjectivePoint, Scalar, U256,
    dsa::{SigningKey, signature::hazmat::PrehashSigner as _},
    elliptic_curve::{PrimeField as _, ops::Reduce as _, point::AffineCoordinates as _},
};
use ukey::{DEFAULT_ID, DriverError, Sm2Digest, Sm2Message, Sm2Signature};

use crate::token::{Token, replace_file};

const SCRIPT: &str = "faults.json";

/// Where a fault is met.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Step {
    /// The worker is asked for its version.
    Hello,
    /// The list of tokens.
    Tokens,
    /// Opening a token.
    Open,
    /// Reading its keys.
    Keys,
    /// Reading its seals.
    Seals,
    /// Reading the PIN's state.
    PinStatus,
    /// The PIN is there; the token has not seen it.
    Login,
    /// The token took the PIN; the driver has not said so.
    LoggedIn,
    /// A signature.
    Sign,
    /// Old and new PIN are there; the token has not seen them.
    ChangePin,
}

/// What goes wrong.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Fault {
    /// Every token of the folder is unplugged.
    Remove,
    /// The call never returns.
    Hang,
    /// The process dies.
    Crash,
    /// Another program holds the token.
    Busy,
    /// The call answers a code.
    Code {
        /// The call.
        function: String,
        /// The code.
        code: u32,
    },
    /// The call takes longer.
    Slow {
        /// Milliseconds.
        milliseconds: u64,
    },
    /// The library prints on standard output and standard error.
    Noise,
    /// What stands in for the next answer is no frame.
    Garbage,
    /// The next answer claims a length over the limit.
    Oversize,
    /// At [`Step::Sign`]: one bit of the signature is wrong.
    BadSignature,
    /// At [`Step::Sign`]: e is taken for the message and hashed again.
    DoubleHash,
    /// At [`Step::Sign`]: the bare SM3 of the message is signed.
    NoZ,
    /// At [`Step::Sign`]: ECDSA on the SM2 curve.
    Ecdsa,
    /// At [`Step::Sign`]: another key signs.
    OtherKey,
}

/// One line of the script.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rule {
    /// Where.
    pub at: Step,
    /// What.
    pub fault: Fault,
    /// This many passes go well first.
    #[serde(default)]
    pub skip: u32,
    /// How often.
    #[serde(default = "once")]
    pub times: u32,
}

fn once() -> u32 {
    1
}

impl Rule {
    /// The fault once, at the next pass.
    pub fn once(at: Step, fault: Fault) -> Self {
        Self { at, fault, skip: 0, times: 1 }
    }
}

/// Replaces the script of a folder; an empty one ends all faults.
pub fn write_script(folder: &Path, rules: &[Rule]) -> io::Result<()> {
    replace_file(&folder.join(SCRIPT), &serde_json::to_vec_pretty(rules)?)
}

/// The rules that have not been used up.
pub fn read_script(folder: &Path) -> io::Result<Vec<Rule>> {
    match fs::read(folder.join(SCRIPT)) {
        Ok(bytes) => Ok(serde_json::from_slice(&bytes)?),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// The script at work. Clones share what is pending.
#[derive(Clone, Debug)]
pub struct Faults {
    folder: PathBuf,
    corruption: Arc<Mutex<Option<Fault>>>,
}

impl Faults {
    /// Obeys the script in `folder` from now on.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into(), corruption: Arc::default() }
    }

    /// Passes a step and does there what the script says. A fault of the signature itself is given back, for
    /// the signing to act on.
    pub fn pass(&self, step: Step) -> Result<Option<Fault>, DriverError> {
        let Some(fault) = self.take(step).map_err(|e| DriverError::protocol(SCRIPT, e.to_string()))? else { return Ok(None) };
        match fault {
            Fault::Remove => Token::list(&self.folder)?.iter().try_for_each(Token::unplug)?,
            Fault::Hang => loop {
                thread::sleep(Duration::from_secs(3600));
            },
            Fault::Crash => std::process::abort(),
            Fault::Busy => return Err(DriverError::Busy),
            Fault::Code { function, code } => return Err(DriverError::Module { function, code }),
            Fault::Slow { milliseconds } => thread::sleep(Duration::from_millis(milliseconds)),
            Fault::Noise => {
                println!("noise on standard output");
                eprintln!("noise on standard error");
            }
            Fault::Garbage | Fault::Oversize => *self.corruption.lock().unwrap_or_else(PoisonError::into_inner) = Some(fault),
            of_signature => return Ok(Some(of_signature)),
        }
        Ok(None)
    }

    /// What the worker writes instead of its next answer, once, when the script said so. `hello`: the answer is the one to `Hello`,
    /// which no driver call comes before, so [`Step::Hello`] is passed here.
    pub fn corruption(&self, hello: bool) -> Option<Vec<u8>> {
        if hello {
            let _ = self.pass(Step::Hello); // a code cannot be told here
        }
        match self.corruption.lock().unwrap_or_else(PoisonError::into_inner).take()? {
            Fault::Oversize => Some(vec![0xff; 8]),
            _ => Some(b"\x20\0\0\0\0\0\0\0Segmentation fault (no core)...\n".to_vec()),
        }
    }

    fn take(&self, step: Step) -> io::Result<Option<Fault>> {
        let mut rules = read_script(&self.folder)?;
        let Some(rule) = rules.iter_mut().find(|rule| rule.at == step && rule.times > 0) else { return Ok(None) };
        let met = rule.skip == 0;
        if met {
            rule.times -= 1;
        } else {
            rule.skip -= 1;
        }
        let fault = met.then(|| rule.fault.clone());
        rules.retain(|rule| rule.times > 0);
        write_script(&self.folder, &rules)?;
        Ok(fault)
    }
}

/// A signature that is wrong in the way that `fault` names.
pub(crate) fn spoil(fault: &Fault, key: &SigningKey, message: &Sm2Message) -> Result<Sm2Signature, DriverError> {
    let sign = |key: &SigningKey, e: &[u8]| {
        let signature: sm2::dsa::Signature =
            key.sign_prehash(e).map_err(|_| DriverError::protocol("virtual token", "no signature"))?;
        let mut raw = [0; 64];
        raw.copy_from_slice(&signature.to_bytes());
        Ok(Sm2Signature::from_raw(&raw))
    };
    let e = message.digest().as_bytes();
    let no_digest = || DriverError::protocol("virtual token", "no digest");
    match fault {
        Fault::DoubleHash => sign(key, Sm2Digest::new(e, message.id(), message.key()).ok_or_else(no_digest)?.as_bytes()),
        Fault::NoZ => {
            use sm3::Digest as _;
            sign(key, &sm3::Sm3::digest(message.bytes()))
        }
        Fault::Ecdsa => ecdsa(key, e).ok_or_else(no_digest),
        Fault::OtherKey => {
            let other = SigningKey::from_slice(DEFAULT_ID, &[0x55; 32]).map_err(|_| no_digest())?;
            sign(&other, e)
        }
        _ => {
            let mut signature = sign(key, e)?;
            signature.s[31] ^= 1;
            Ok(signature)
        }
    }
}

/// ECDSA (FIPS 186-5 clause 6.4.1) with a fixed k: the key is a test's.
fn ecdsa(key: &SigningKey, digest: &[u8; 32]) -> Option<Sm2Signature> {
    let k = Scalar::from(7u64);
    let r = Scalar::reduce(&(ProjectivePoint::GENERATOR * k).to_affine().x());
    let e = Scalar::reduce(&U256::from_be_slice(digest));
    let s = Option::<Scalar>::from(k.invert())? * (e + r * key.as_nonzero_scalar().as_ref());
    Some(Sm2Signature { r: r.to_repr().into(), s: s.to_repr().into() })
}
