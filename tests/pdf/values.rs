//! The signed values in our PDFs and the bytes that they are about, for programs that know SM2 and nothing of us. Each judge accepts the
//! good ones first, and refuses each with one byte changed.

use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use libtest_mimic::Failed;
use sealagent::cms::SignedData;
use sealagent::pdf::{Document, PdfSignature};
use sealagent::ses::SesSignature;

use super::makers::contract;
use super::world::World;
use super::{place, sign_cms, sign_ses};

const JARS: [&str; 3] = ["/usr/share/java/bcprov.jar", "/usr/share/java/bcpkix.jar", "/usr/share/java/bcutil.jar"];

/// Whether Bouncy Castle and a compiler are there.
pub fn has_java() -> bool {
    Command::new("javac").arg("-version").output().is_ok() && JARS.iter().all(|jar| Path::new(jar).exists())
}

/// A value, and the bytes that its signature is about.
pub struct Value {
    pub kind: &'static str,
    pub der: Vec<u8>,
    pub signed: Vec<u8>,
}

/// The values in a PDF, in the order of its fields.
pub fn in_pdf(bytes: &[u8], kinds: impl IntoIterator<Item = &'static str>) -> Vec<Value> {
    let signatures = Document::open(Cursor::new(bytes)).unwrap().signatures().unwrap();
    let value = |(signature, kind): (&PdfSignature, _)| {
        let range = signature.byte_range.unwrap();
        let part = |from: u64, to: u64| &bytes[from as usize..to as usize];
        let signed = [part(0, range.first_end), part(range.second_start, range.end)].concat();
        Value { kind, der: signature.contents.clone(), signed }
    };
    signatures.iter().zip(kinds).map(value).collect()
}

/// A PDF with a SignedData and an SES_Signature on top of it.
fn signed(world: &World) -> [Value; 2] {
    let once = sign_cms(world, &contract(2), vec![place(1, 120.0, 200.0)]);
    let bytes = sign_ses(world, &once, vec![place(2, 20.0, 20.0)]);
    in_pdf(&bytes, ["cms", "ses"]).try_into().unwrap_or_else(|_| panic!("two signatures"))
}

fn flipped(bytes: &[u8], at: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[at] ^= 1;
    bytes
}

/// The good one is accepted, one with a changed document and one with a changed signature are not.
pub fn judged(value: &Value, accepts: impl Fn(&[u8], &[u8]) -> bool) -> Result<(), Failed> {
    let middle = value.signed.len() / 2;
    if !accepts(&value.der, &value.signed) {
        return Err(format!("{}: the judge refuses the good one", value.kind).into());
    }
    if accepts(&value.der, &flipped(&value.signed, middle)) {
        return Err(format!("{}: the judge accepts a changed document", value.kind).into());
    }
    if accepts(&flipped(&value.der, value.der.len() - 1), &value.signed) {
        return Err(format!("{}: the judge accepts a changed signature", value.kind).into());
    }
    Ok(())
}

pub fn by_bouncy_castle() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let world = World::new(&folder.path().join("region"));
    let (value, data) = (folder.path().join("value"), folder.path().join("data"));
    for one in signed(&world) {
        judged(&one, |der, signed| {
            fs::write(&value, der).unwrap();
            fs::write(&data, signed).unwrap();
            bouncy_castle(one.kind, &[&value, &data])
        })?;
    }
    Ok(())
}

/// Compiles the judge once; its classes lie in the target folder.
fn bouncy_castle(command: &str, arguments: &[&Path]) -> bool {
    static CLASSES: OnceLock<PathBuf> = OnceLock::new();
    let classes = CLASSES.get_or_init(|| {
        let classes = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bc-judge-pdf");
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/judges/BcJudge.java");
        let compiled = Command::new("javac").args(["-cp", &JARS.join(":"), "-d"]).arg(&classes).arg(source).status().unwrap();
        assert!(compiled.success(), "BcJudge.java does not compile");
        classes
    });
    let path = format!("{}:{}", classes.display(), JARS.join(":"));
    let output =
        Command::new("java").args(["-XX:TieredStopAtLevel=1", "-cp", &path, "BcJudge", command]).args(arguments).output();
    output.unwrap().status.success()
}

/// OpenSSL sees the signature and the octets under it: the signed attributes, or TBS_Sign. That they name the document's digest is
/// Bouncy Castle's to say.
pub fn by_openssl() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let world = World::new(&folder.path().join("region"));
    let file = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    };
    let algorithm = b"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x81\x1c\xcf\x55\x01\x82\x2d\x03\x42\x00";
    let key = [algorithm.as_slice(), &world.key.public_key().to_sec1()].concat();
    let key = file("key.pem", sealauthority::pem::encode("PUBLIC KEY", &key).as_bytes());
    for one in signed(&world) {
        let (message, signature) = match one.kind {
            "cms" => {
                let value = SignedData::parse(&one.der)?;
                let signer = &value.signers()[0];
                (signer.signature_input(&[])?.into_owned(), signer.signature().to_vec())
            }
            _ => {
                let value = SesSignature::parse(&one.der)?;
                (value.signed_bytes().to_vec(), value.signature().to_vec())
            }
        };
        let part = Value { kind: one.kind, der: signature, signed: message };
        judged(&part, |signature, message| {
            let (signature, message) = (file("signature", signature), file("message", message));
            let mut openssl = Command::new("openssl");
            openssl.args(["dgst", "-sm3", "-sigopt", "distid:1234567812345678", "-verify"]).arg(&key);
            openssl.arg("-signature").arg(signature).arg(message).output().unwrap().status.success()
        })?;
    }
    Ok(())
}
