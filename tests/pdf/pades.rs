//! PAdES of others: RSA and ECDSA, made by pyHanko under a root of its own, judged by OpenSSL and by us.

use std::fs;
use std::io::Cursor;
use std::path::PathBuf;
use std::process::Command;

use libtest_mimic::Failed;
use sealagent::pki::TrustStore;
use sealagent::pki::trust::{TrustFile, TrustRole};
use sealagent::verify::report::{Indication, Level, Report, SignatureKind};
use sealagent::verify::{Context, Verifier};

use super::makers::contract;
use super::{errors, python, values};

/// Key, digest, and whether it is judged.
pub const ROWS: [(&str, &str, bool); 7] = [
    ("rsa", "sha256", true),
    ("p256", "sha256", true),
    ("p256", "sha384", true),
    ("p384", "sha256", true),
    ("p384", "sha384", true),
    ("p384", "sha512", true),
    ("p521", "sha512", false),
];

/// TOTAL_PASSED under its root with its list, whatever the algorithm; named as not SM2 in any case.
pub fn row(kind: &str, digest: &str, judged: bool) -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let path = |name: &str| folder.path().join(name);
    fs::write(path("in.pdf"), contract(2))?;
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/judges/pades.py");
    let made = Command::new(python()).arg(script).args([kind, digest]).arg(path("in.pdf")).arg(folder.path()).output()?;
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let good = fs::read(path("signed.pdf"))?;
    let file = |role, name: &str| TrustFile { role, name: name.into(), bytes: fs::read(path(name)).unwrap() };
    let (trust, problems) = TrustStore::from_files([file(TrustRole::Anchor, "root.pem"), file(TrustRole::Crl, "root.crl")]);
    assert!(problems.is_empty(), "{problems:?}");
    let now = jiff::Timestamp::now();
    fn verdict(bytes: &[u8], trust: &TrustStore, now: jiff::Timestamp) -> Report {
        Verifier::verify(Cursor::new(bytes), &Context::new(trust, now))
    }

    let report = verdict(&good, &trust, now);
    let signature = &report.signatures[0];
    let told = signature.findings.iter().find(|f| f.code.name() == "NOT_SM2").map(|f| f.level);
    let expected = if judged {
        (Indication::TotalPassed, SignatureKind::Pades, Some(Level::Info))
    } else {
        (Indication::Indeterminate, SignatureKind::Unsupported, Some(Level::Indeterminate))
    };
    assert_eq!((report.indication, signature.kind, told), expected, "{:#?}", signature.findings);
    assert_eq!(errors(&report, 0), Vec::<&str>::new());
    let nobody = verdict(&good, &TrustStore::empty(), now);
    assert_eq!((nobody.indication, errors(&nobody, 0)), (Indication::Indeterminate, Vec::new()), "nobody trusts this key");

    let mut changed = good.clone();
    let at = changed.windows(16).position(|w| w == b"Contract, page 1").ok_or("the word is gone")?;
    changed[at + 15] ^= 1;
    assert_eq!(errors(&verdict(&changed, &trust, now), 0), if judged { vec!["DATA_HASH"] } else { vec![] });

    // The same three questions to OpenSSL and to us, about the value by itself.
    let [value] = &values::in_pdf(&good, ["cms"])[..] else { return Err("one signature".into()) };
    values::judged(value, |der, signed| {
        fs::write(path("value"), der).unwrap();
        fs::write(path("data"), signed).unwrap();
        let mut openssl = Command::new("openssl");
        openssl.args(["cms", "-verify", "-binary", "-inform", "DER", "-purpose", "any"]).current_dir(folder.path());
        openssl
            .args(["-in", "value", "-content", "data", "-CAfile", "root.pem", "-out", "out"])
            .output()
            .unwrap()
            .status
            .success()
    })?;
    if judged {
        values::judged(value, |der, signed| {
            let context = Context { data: Some(signed), ..Context::new(&trust, now) };
            Verifier::verify(Cursor::new(der), &context).indication == Indication::TotalPassed
        })?;
    }
    Ok(())
}
