//! Every seal, seal signature and SignedData inside the real sample files is read, and what should verify verifies.
//!
//! One row a value, and one a file that says the rows are all there is. The folder is `SEALAGENT_SAMPLES`, else
//! `../shared/samples`; rows of absent files count as ignored.

use std::fmt::Write as _;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use libtest_mimic::{Arguments, Failed, Trial};
use sealagent::cms::SignedData;
use sealagent::ses::{Kind, Seal, SesSignature, decode_text, detect};
use sealagent::sm::{self, SignatureEncoding, Sm2PublicKey};

/// File, value in it (empty: the file itself), and what is found: kind, outcome of each check, names of deviations.
#[rustfmt::skip]
const ROWS: &[(&str, &str, &str)] = &[
    ("ses/azt-sign0.Seal.esl", "", "seal V4 maker:ok(NegativeInteger) Bmp"),
    ("ses/azt-sign0.SignedValue.dat", "", "signature V4 signer:ok hash:ok | seal V4 maker:ok(NegativeInteger) Bmp"),
    ("ses/gede-SESealData-extdatas.der", "", "seal V4 maker:FAIL Gif critical default-false-encoded"),
    ("ses/gomain-guangdong-tax.SignedValue.dat", "", "signature V4 signer:ok hash:ok | seal V4 maker:ok Ofd default-false-encoded"),
    ("ses/gomain-zhejiang-tax.SignedValue.dat", "", "signature V4 signer:ok hash:ok | seal V4 maker:ok Ofd default-false-encoded"),
    ("ses/ofdrw-SignedValueV4.dat", "", "signature V4 signer:ok | seal V4 maker:ok Png"),
    ("ses/ofdrw-UserV1.esl", "", "seal V1 maker:ok Png"),
    ("ses/ofdrw-UserV4.esl", "", "seal V4 maker:ok Png"),
    ("ses/ofdrw-UserV5.esl", "", "seal V5 maker:ok Png"),
    ("ofd/antchain-zhejiang-list.ofd", "Doc_0/Signs/Sign_0/SignedValue.dat", "signature V4 signer:ok hash:ok | seal V4 maker:ok Ofd"),
    ("ofd/dms360-v1-broken.ofd", "Doc_0/Signs/Sign_0/Seal.esl", "seal V1 maker:ok Png critical cert-list-odd-element"),
    ("ofd/dms360-v1-broken.ofd", "Doc_0/Signs/Sign_0/SignedValue.dat", "signature V1 signer:FAIL hash:FAIL time-info-text | seal V1 maker:ok Png critical cert-list-odd-element"),
    ("ofd/gomain-yunnan-two-seals-pages-edited.ofd", "Doc_0/Signs/Sign_0/Seal.esl", "seal V4 maker:ok Png"),
    ("ofd/gomain-yunnan-two-seals-pages-edited.ofd", "Doc_0/Signs/Sign_0/SignedValue.dat", "signature V4 signer:ok hash:ok | seal V4 maker:ok Png"),
    ("ofd/gomain-yunnan-two-seals-pages-edited.ofd", "Doc_0/Signs/Sign_1/Seal.esl", "seal V4 maker:ok Png"),
    ("ofd/gomain-yunnan-two-seals-pages-edited.ofd", "Doc_0/Signs/Sign_1/SignedValue.dat", "signature V4 signer:ok hash:ok | seal V4 maker:ok Png"),
    ("ofd/kinggrid-tax-test-999.ofd", "Doc_0/Signs/Sign_0/SignedValue.dat", "signature V4 signer:ok hash:ok | seal V4 maker:ok Ofd default-false-encoded"),
    ("ofd/kinsec-fujian-two-seals-versions.ofd", "Doc_0/Signs/Sign_1/SignedValue.dat", "signature V4 signer:ok hash:ok default-false-encoded extension-oid-nonsense | seal V4 maker:ok Gif critical default-false-encoded extension-oid-nonsense"),
    ("ofd/kinsec-fujian-two-seals-versions.ofd", "Doc_0/Signs/Sign_0/SignedValue.dat", "signature V4 signer:ok hash:ok default-false-encoded extension-oid-nonsense | seal V4 maker:ok Gif critical default-false-encoded extension-oid-nonsense"),
    ("ofd/ofdrw-bare-rs-sign.ofd", "Doc_0/Signs/Sign_0/SignedValue.dat", "bare signer:ok"),
    ("ofd/ofdrw-gmt0099-integrity.ofd", "signedvalue.dat", "cms signer:ok hash:ok"),
    ("ofd/ofdrw-two-sigs-list-protected.ofd", "Doc_0/Signs/Sign_0/Seal.esl", "seal V4 maker:ok Png"),
    ("ofd/ofdrw-two-sigs-list-protected.ofd", "Doc_0/Signs/Sign_0/SignedValue.dat", "signature V4 signer:ok hash:ok | seal V4 maker:ok Png"),
    ("ofd/ofdrw-two-sigs-list-protected.ofd", "Doc_0/Signs/Sign_1/Seal.esl", "seal V4 maker:ok Png"),
    ("ofd/ofdrw-two-sigs-list-protected.ofd", "Doc_0/Signs/Sign_1/SignedValue.dat", "signature V4 signer:ok hash:ok | seal V4 maker:ok Png"),
    ("ofd/ofdrw-v4-single.ofd", "Doc_0/Signs/Sign_0/Seal.esl", "seal V4 maker:ok Png"),
    ("ofd/ofdrw-v4-single.ofd", "Doc_0/Signs/Sign_0/SignedValue.dat", "signature V4 signer:ok hash:ok | seal V4 maker:ok Png"),
    ("ofd/ofdrw-v4-straddle-right.ofd", "Doc_0/Signs/Sign_0/Seal.esl", "seal V4 maker:ok Png"),
    ("ofd/ofdrw-v4-straddle-right.ofd", "Doc_0/Signs/Sign_0/SignedValue.dat", "signature V4 signer:ok hash:ok | seal V4 maker:ok Png"),
    ("ofd/yunnan-cms-two-sign.ofd", "Doc_0/Signs/Sign_0/SignedValue.dat", "cms signer:ok hash:ok cms-attributes-not-sorted cms-content-type-differs cms-mixed-identifiers"),
    ("ofd/yunnan-cms-two-sign.ofd", "Doc_0/Signs/Sign_1/SignedValue.dat", "cms signer:ok hash:ok cms-attributes-not-sorted cms-content-type-differs cms-mixed-identifiers"),
    ("pdf/foxit-sm-detached-ses-page1.pdf", "Contents", "signature V4 signer:ok(Raw) hash:FAIL tbs-version:3 | seal V4 maker:FAIL Png"),
    ("certs/CivilServantROOT.pem", "", "text of Certificate"),
    ("certs/ROOTCA.crl", "", "CertificateList"),
    ("certs/ROOTCA.pem", "", "text of Certificate"),
    ("certs/TJCA.pem", "", "text of Certificate"),
    ("certs/Taier.pem", "", "text of Certificate"),
    ("certs/mini_sm2Root.cer", "", "text of Certificate"),
    ("certs/from-signatures/bjca-test-bidder.cer", "", "Certificate"),
    ("certs/from-signatures/csca-azt-seal-maker-uscc-in-surname.cer", "", "Certificate"),
    ("certs/from-signatures/fjca-seal-maker.cer", "", "Certificate"),
    ("certs/from-signatures/tax-guangdong.cer", "", "Certificate"),
    ("certs/from-signatures/tax-seal-maker.cer", "", "Certificate"),
    ("certs/from-signatures/ynca-yunnan-housing-dept-1.2.5.29.1.cer", "", "Certificate"),
    ("certs/ofdrw-test/SealBuilder.cer.pem", "", "text of Certificate"),
    ("certs/ofdrw-test/USER.cer.pem", "", "text of Certificate"),
    ("certs/ofdrw-test/sign_cert.pem", "", "text of Certificate"),
    ("certs/tongsuo/chain-ca.crt", "", "text of Certificate"),
    ("certs/tongsuo/client_enc.crt", "", "text of Certificate"),
    ("certs/tongsuo/client_sign.crt", "", "text of Certificate"),
    ("certs/tongsuo/client_sign_expire.crt", "", "text of Certificate"),
    ("certs/tongsuo/server_sign.crt", "", "text of Certificate"),
    ("certs/tongsuo/sm2-cert.pem", "", "text of Certificate"),
    ("certs/tongsuo/sm2-first-crt.pem", "", "text of Certificate"),
    ("certs/tongsuo/sm2-noza-cert.pem", "", "text of Certificate"),
    ("certs/tongsuo/sm2-noza-root-cert.pem", "", "text of Certificate"),
    ("certs/tongsuo/sm2-root-cert.pem", "", "text of Certificate"),
];

fn main() {
    let folder = folder();
    let mut trials: Vec<Trial> = Vec::new();
    for (file, entry, expected) in ROWS {
        let path = folder.join(file);
        let absent = !path.is_file();
        let name = format!("{file}{}{entry}", if entry.is_empty() { "" } else { "!" });
        trials.push(Trial::test(name, move || row(&path, entry, expected)).with_ignored_flag(absent));
    }
    let mut files: Vec<&str> = ROWS.iter().map(|(file, ..)| *file).collect();
    files.dedup();
    for file in files {
        let path = folder.join(file);
        let absent = !path.is_file();
        let trial = Trial::test(format!("rows_name_every_value_of {file}"), move || every_value_has_a_row(&path, file));
        trials.push(trial.with_ignored_flag(absent));
    }
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

fn folder() -> PathBuf {
    match std::env::var_os("SEALAGENT_SAMPLES") {
        Some(folder) => folder.into(),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/samples"),
    }
}

fn row(path: &Path, entry: &str, expected: &str) -> Result<(), Failed> {
    let values = values(path)?;
    let value = values.iter().find(|v| v.entry == entry).ok_or("there is no such value")?;
    let found = describe(value)?;
    if found == expected { Ok(()) } else { Err(format!("found    {found}\nexpected {expected}").into()) }
}

fn every_value_has_a_row(path: &Path, file: &str) -> Result<(), Failed> {
    for value in values(path)? {
        if !ROWS.iter().any(|(f, e, _)| *f == file && *e == value.entry) {
            return Err(format!("no row for {:?}: {}", value.entry, describe(&value)?).into());
        }
    }
    Ok(())
}

/// A value and, if known, the data it signs.
struct Value {
    entry: String,
    bytes: Vec<u8>,
    data: Option<Vec<u8>>,
}

/// All values in a file that are something with a signature of its own.
fn values(path: &Path) -> Result<Vec<Value>, Failed> {
    let bytes = fs::read(path)?;
    match detect(&bytes) {
        Kind::Ofd => values_of_package(&bytes),
        Kind::Pdf => Ok(vec![pdf_value(&bytes)?]),
        _ => {
            let data = fs::read(path.to_string_lossy().replace("SignedValue.dat", "Signature.xml")).ok();
            Ok(vec![Value { entry: String::new(), data: data.filter(|d| *d != bytes), bytes }])
        }
    }
}

fn values_of_package(bytes: &[u8]) -> Result<Vec<Value>, Failed> {
    let mut package = zip::ZipArchive::new(std::io::Cursor::new(bytes))?;
    let mut entries = Vec::new();
    for i in 0..package.len() {
        let mut entry = package.by_index(i)?;
        let mut content = Vec::new();
        entry.read_to_end(&mut content)?;
        entries.push((entry.name()?.into_owned(), content));
    }
    let mut found = Vec::new();
    for (name, content) in &entries {
        if matches!(detect(content), Kind::Seal(_) | Kind::Signature(_) | Kind::Cms | Kind::BareSignature) {
            let folder = name.rsplit_once('/').map_or("", |(folder, _)| folder);
            let described = [format!("{folder}/Signature.xml"), "OFDEntries.xml".to_owned()];
            let data = entries.iter().find(|(n, _)| described.contains(n)).map(|(_, content)| content.clone());
            found.push(Value { entry: name.clone(), bytes: content.clone(), data });
        }
    }
    Ok(found)
}

/// The one signature of a PDF, cut out by hand; its data are what stands outside the string of /Contents.
fn pdf_value(bytes: &[u8]) -> Result<Value, Failed> {
    let at = |needle: &[u8], from: usize| {
        bytes[from..].windows(needle.len()).position(|w| w == needle).map(|i| i + from).ok_or("no signature found")
    };
    let start = at(b"/Contents<30", 0)? + b"/Contents".len();
    let end = at(b">", start)? + 1;
    let hex: Vec<u32> = bytes[start + 1..end - 1].iter().filter_map(|b| char::from(*b).to_digit(16)).collect();
    let value = hex.chunks(2).map(|pair| (pair[0] << 4 | pair[1]) as u8).collect();
    Ok(Value { entry: "Contents".to_owned(), bytes: value, data: Some([&bytes[..start], &bytes[end..]].concat()) })
}

fn describe(value: &Value) -> Result<String, Failed> {
    let mut out = String::new();
    match detect(&value.bytes) {
        Kind::Seal(version) => {
            let seal = Seal::parse(&value.bytes)?;
            write!(out, "seal {}", seal.version())?;
            assert_eq!(version, seal.version(), "detect and parse agree");
            describe_seal(&seal, &mut out)?;
        }
        Kind::Signature(version) => {
            let padded = SesSignature::parse_padded(&value.bytes)?;
            let signature = padded.signature;
            assert_eq!(version, signature.version(), "detect and parse agree");
            assert!(padded.after.is_empty(), "only padding follows");
            assert!(value.bytes.starts_with(signature.raw()));
            write!(out, "signature {}", signature.version())?;
            let key = signature.signer_certificate();
            write!(out, "{}", outcome("signer", key, signature.signed_bytes(), signature.signature()))?;
            write_hash(signature.data_hash(), value, &mut out)?;
            if signature.has_version_mismatch() {
                write!(out, " tbs-version:{}", signature.tbs_version())?;
            }
            signature.tolerances().iter().try_for_each(|t| write!(out, " {}", t.name()))?;
            write!(out, " | seal {}", signature.seal().version())?;
            describe_seal(signature.seal(), &mut out)?;
        }
        Kind::Cms => {
            let signed_data = SignedData::parse(&value.bytes)?;
            write!(out, "cms")?;
            for signer in signed_data.signers() {
                let content = signed_data.content().or(value.data.as_deref()).unwrap_or_default();
                let digest = signer.attributes().map_or(content, |a| a.message_digest());
                let certificate = signed_data.certificates_of(signer).next().unwrap_or_default();
                let input = signer.signature_input(content)?;
                write!(out, "{}", outcome("signer", certificate, &input, signer.signature()))?;
                write_hash(digest, value, &mut out)?;
            }
            signed_data.tolerances().iter().try_for_each(|t| write!(out, " {}", t.name()))?;
        }
        Kind::BareSignature => {
            let data = value.data.as_deref().unwrap_or_default();
            let certificate = fs::read(folder().join("certs/ofdrw-test/USER.cer.pem"))?;
            let certificate = decode_text(&certificate).ok_or("the certificate is no PEM")?;
            write!(out, "bare{}", outcome("signer", &certificate, data, &value.bytes))?;
        }
        Kind::Text => {
            let inside = decode_text(&value.bytes).ok_or("detected as text but not decoded")?;
            write!(out, "text of {:?}", detect(&inside))?;
        }
        other => write!(out, "{other:?}")?,
    }
    Ok(out)
}

fn describe_seal(seal: &Seal, out: &mut String) -> Result<(), Failed> {
    write!(out, "{}", outcome("maker", seal.maker_certificate(), &seal.signed_bytes(), seal.signature()))?;
    write!(out, " {:?}", seal.picture().format)?;
    if seal.critical_extensions().next().is_some() {
        write!(out, " critical")?;
    }
    Ok(seal.tolerances().iter().try_for_each(|t| write!(out, " {}", t.name()))?)
}

fn write_hash(hash: &[u8], value: &Value, out: &mut String) -> Result<(), Failed> {
    let verdict = match &value.data {
        None => return Ok(()),
        Some(data) if sm::sm3(data).0 == hash => "ok",
        Some(_) => "FAIL",
    };
    Ok(write!(out, " hash:{verdict}")?)
}

fn outcome(who: &str, certificate: &[u8], message: &[u8], value: &[u8]) -> String {
    let Ok((signature, encoding)) = sm::read_signature(value) else { return format!(" {who}:UNREADABLE") };
    let good = key_of(certificate).is_some_and(|key| sm::verify(&key, message, &signature));
    let encoding = if encoding == SignatureEncoding::Der { String::new() } else { format!("({encoding:?})") };
    format!(" {who}:{}{encoding}", if good { "ok" } else { "FAIL" })
}

/// The public key of a certificate, found by its BIT STRING's header; reading certificates properly is another module's work.
fn key_of(certificate: &[u8]) -> Option<Sm2PublicKey> {
    const HEADER: [u8; 4] = [0x03, 0x42, 0x00, 0x04];
    let at = certificate.windows(4).position(|w| w == HEADER)? + 3;
    Sm2PublicKey::from_sec1(certificate.get(at..at + 65)?)
}
