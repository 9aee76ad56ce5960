//! Real files of other products against what is known of them: one trial for each row of the samples' `expect.json`, and the
//! certificate chains and revocation list beside them. Where the folder is absent every trial is reported as ignored.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, LazyLock};

use jiff::Timestamp;
use libtest_mimic::{Arguments, Failed, Trial};
use sealagent::pki::path::{PathFinder, PathOutcome, PathRule};
use sealagent::pki::revocation::{self, Moment, Revocation, WhyUnknown};
use sealagent::pki::trust::{TrustFile, TrustRole, decode};
use sealagent::pki::{Certificate, Crl, Enclosed, Known, Purpose, TrustStore, subject_codes};
use sealagent::verify::report::{Level, Report, SignatureKind};
use sealagent::verify::{Context, Verifier};
use serde_json::Value;

/// Expectations are "judged now"; this is that now, so that a sample's verdict does not change with the calendar.
const NOW: &str = "2026-11-24T06:00:00Z";

/// A trial over the folder of certificates.
type CertificateTrial = (&'static str, fn(&Path) -> Result<(), Failed>);
/// What the index says of certificates; listed here so that absent samples still show as ignored trials.
const CERTIFICATE_TRIALS: [CertificateTrial; 8] = [
    ("certs/taier_and_tjca_chain_to_their_national_roots", national_chains),
    ("certs/a_root_does_not_vouch_for_the_other_roots_ca", wrong_root),
    ("certs/tongsuo_signing_and_encryption_pair_chain", tongsuo_pair),
    ("certs/root_without_z_and_its_certificate_are_refused", root_without_z),
    ("certs/name_twin_with_the_same_key_does_not_chain", name_twin),
    ("certs/crl_is_read_and_verifies_and_is_stale_now", revocation_list),
    ("certs/usccs_are_found_in_every_carrier_met", carriers),
    ("certs/bare_signature_verifies_with_its_certificate_only", bare_signature),
];

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let samples = std::env::var_os("SEALAGENT_SAMPLES")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/samples"), PathBuf::from);
    let expectations = fs::read(samples.join("expect.json")).ok();
    let mut trials = Vec::new();
    match expectations {
        None => trials.push(Trial::test("expect.json (samples are absent)", || Ok(())).with_ignored_flag(true)),
        Some(bytes) => {
            let rows: serde_json::Map<String, Value> = serde_json::from_slice(&bytes).expect("expect.json is an object");
            for (file, expected) in rows {
                let (path, root) = (samples.join(&file), samples.clone());
                trials.push(Trial::test(file, move || row(&root, &path, &expected)));
            }
        }
    }
    let present = samples.join("certs").is_dir();
    for (name, run) in CERTIFICATE_TRIALS {
        let root = samples.join("certs");
        trials.push(Trial::test(name, move || run(&root)).with_ignored_flag(!present));
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// The report, which must be the same after all that was judged before.
fn judge(path: &Path, context: &Context<'_>) -> Report {
    static KNOWN: LazyLock<Known> = LazyLock::new(Known::new);
    let open = || BufReader::new(File::open(path).expect("sample opens"));
    let alone = Verifier::verify(open(), context);
    for _ in 0..2 {
        let together = Verifier::verify(open(), &Context { known: Some(&KNOWN), ..*context });
        assert_eq!(format!("{alone:?}"), format!("{together:?}"));
    }
    alone
}

/// One row of `expect.json`, from a program that trusts nobody.
fn row(samples: &Path, path: &Path, expected: &Value) -> Result<(), Failed> {
    let trust = TrustStore::empty();
    let data = expected["data"].as_str().map(|name| fs::read(samples.join(name)).expect("data opens"));
    let context = Context { data: data.as_deref(), ..Context::new(&trust, NOW.parse()?) };
    let report = judge(path, &context);
    let json = serde_json::to_value(&report)?;
    let of = |list: &str| json[list].as_array().cloned().unwrap_or_default();
    let signatures = of("signatures");
    let seals = of("seals");
    let findings: Vec<Value> = [of("findings"), findings_of(&signatures), findings_of(&seals)].concat();
    let codes: BTreeSet<&str> = findings.iter().filter_map(|f| f["code"].as_str()).collect();
    let errors: BTreeSet<&str> = findings.iter().filter(|f| f["level"] == "error").filter_map(|f| f["code"].as_str()).collect();

    let mut problems = Vec::new();
    let mut check = |good: bool, problem: String| {
        if !good {
            problems.push(problem)
        }
    };
    check(json["indication"] == expected["indication"], format!("indication is {}", json["indication"]));
    for code in strings(&expected["codes"]) {
        check(codes.contains(code.as_str()), format!("{code} is not among {codes:?}"));
    }
    for code in strings(&expected["errorsNot"]) {
        check(!errors.contains(code.as_str()), format!("{code} is an error"));
    }
    for (list, found) in [("signatures", signatures.len()), ("seals", seals.len())] {
        if let Some(wanted) = expected[list].as_u64() {
            check(found as u64 == wanted, format!("{found} {list}, not {wanted}"));
        }
    }
    let kinds: BTreeSet<&str> = signatures.iter().filter_map(|s| s["kind"].as_str()).collect();
    let wanted = strings(&expected["kinds"]);
    if !wanted.is_empty() {
        check(kinds == wanted.iter().map(String::as_str).collect(), format!("kinds are {kinds:?}"));
    }
    check(problems_in_form(&json).is_empty(), format!("{:?}", problems_in_form(&json)));
    if problems.is_empty() { Ok(()) } else { Err(format!("{problems:#?}\n{json:#}").into()) }
}

fn findings_of(parts: &[Value]) -> Vec<Value> {
    parts.iter().flat_map(|part| part["findings"].as_array().cloned().unwrap_or_default()).collect()
}

fn strings(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(|v| v.as_str().map(str::to_owned)).collect()
}

/// What every report must satisfy, whatever the file: layers, levels and sub-indication agree, and no placeholder is left.
fn problems_in_form(report: &Value) -> Vec<String> {
    let mut problems = Vec::new();
    let parts = ["signatures", "seals"].into_iter().flat_map(|list| report[list].as_array().cloned().unwrap_or_default());
    for part in parts {
        let layers = part["layers"].as_object().cloned().unwrap_or_default();
        if layers.len() != 7 {
            problems.push(format!("{} layers", layers.len()));
        }
        for finding in part["findings"].as_array().into_iter().flatten() {
            for text in [&finding["message"], &finding["messageZh"]] {
                if text.as_str().is_none_or(|t| t.is_empty() || t.contains(['{', '}'])) {
                    problems.push(format!("message {text}"));
                }
            }
            let state = &layers[finding["layer"].as_str().unwrap_or_default()];
            let agrees = match finding["level"].as_str() {
                Some("error") => state == "failed",
                Some("indeterminate") => state == "failed" || state == "indeterminate",
                _ => true,
            };
            if !agrees {
                problems.push(format!("{} in a layer that is {state}", finding["code"]));
            }
        }
        if (part["indication"] == "TOTAL_PASSED") == part["subIndication"].is_string() {
            problems.push(format!("{} with subIndication {}", part["indication"], part["subIndication"]));
        }
    }
    problems
}

/// All certificates of a file.
fn certificates(path: &Path) -> Vec<Arc<Certificate>> {
    let bytes = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    decode(&bytes).unwrap().iter().map(|der| Arc::new(Certificate::parse(der).unwrap())).collect()
}

fn store(certs: &Path, files: &[(TrustRole, &str)]) -> TrustStore {
    let files = files.iter().map(|(role, name)| TrustFile {
        role: *role,
        name: (*name).to_owned(),
        bytes: fs::read(certs.join(name)).unwrap(),
    });
    let (store, problems) = TrustStore::from_files(files);
    assert!(problems.is_empty(), "{problems:?}");
    store
}

/// The path of a certificate to an anchor for signers, at a time.
fn path(store: &TrustStore, leaf: &Arc<Certificate>, at: &str) -> PathOutcome {
    PathFinder::new(store).find(leaf, Purpose::Signer, at.parse().unwrap())
}

fn assert_length(outcome: &PathOutcome, length: usize) {
    match outcome {
        PathOutcome::Trusted(path) => assert_eq!(path.certificates.len(), length, "{path:?}"),
        other => panic!("{other:?}"),
    }
}

fn national_chains(certs: &Path) -> Result<(), Failed> {
    for (root, ca) in [("ROOTCA.pem", "Taier.pem"), ("CivilServantROOT.pem", "TJCA.pem")] {
        let trust = store(certs, &[(TrustRole::Anchor, root)]);
        assert_length(&path(&trust, &certificates(&certs.join(ca))[0], NOW), 2);
    }
    Ok(())
}

fn wrong_root(certs: &Path) -> Result<(), Failed> {
    let trust = store(certs, &[(TrustRole::Anchor, "ROOTCA.pem")]);
    let outcome = path(&trust, &certificates(&certs.join("TJCA.pem"))[0], NOW);
    assert!(matches!(outcome, PathOutcome::NoAnchor { .. }), "{outcome:?}");
    Ok(())
}

fn tongsuo_pair(certs: &Path) -> Result<(), Failed> {
    let trust = store(certs, &[(TrustRole::Anchor, "tongsuo/chain-ca.crt")]);
    for (file, signs) in [("tongsuo/client_sign.crt", true), ("tongsuo/client_enc.crt", false)] {
        let leaf = &certificates(&certs.join(file))[0];
        // The file holds root and sub CA, and both are anchors here: the nearest ends the path.
        assert_length(&path(&trust, leaf, NOW), 2);
        assert_eq!(leaf.extensions().key_usage.map(|usage| usage.signs()), Some(signs), "{file}");
    }
    let expired = &certificates(&certs.join("tongsuo/client_sign_expire.crt"))[0];
    assert!(!expired.valid_at(NOW.parse()?));
    Ok(())
}

fn root_without_z(certs: &Path) -> Result<(), Failed> {
    let trust = store(certs, &[(TrustRole::Anchor, "tongsuo/sm2-noza-root-cert.pem")]);
    let root = &certificates(&certs.join("tongsuo/sm2-noza-root-cert.pem"))[0];
    assert!(root.verify_issued_by(root).is_err());
    let outcome = path(&trust, &certificates(&certs.join("tongsuo/sm2-noza-cert.pem"))[0], NOW);
    assert!(!matches!(outcome, PathOutcome::Trusted(_)), "{outcome:?}");
    Ok(())
}

/// The root made without Z has the same key and key identifier as the sound root, and another name.
fn name_twin(certs: &Path) -> Result<(), Failed> {
    let trust = store(certs, &[(TrustRole::Anchor, "tongsuo/sm2-root-cert.pem")]);
    for file in ["tongsuo/sm2-cert.pem", "tongsuo/sm2-first-crt.pem"] {
        assert_length(&path(&trust, &certificates(&certs.join(file))[0], NOW), 2);
    }
    let outcome = path(&trust, &certificates(&certs.join("tongsuo/sm2-noza-cert.pem"))[0], NOW);
    assert!(matches!(outcome, PathOutcome::NoAnchor { .. }), "{outcome:?}");
    let outcome = PathFinder::new(&trust).find(
        &certificates(&certs.join("tongsuo/sm2-cert.pem"))[0],
        Purpose::Signer,
        "2051-01-01T00:00:00Z".parse()?,
    );
    assert!(matches!(outcome, PathOutcome::Broken { rule: PathRule::Dates, .. }), "{outcome:?}");
    Ok(())
}

fn revocation_list(certs: &Path) -> Result<(), Failed> {
    let root = Arc::clone(&certificates(&certs.join("ROOTCA.pem"))[0]);
    let crl = Crl::parse(&decode(&fs::read(certs.join("ROOTCA.crl"))?)?[0])?;
    assert_eq!((crl.len(), crl.verify(&root)), (18, Ok(())));
    let serial = [0x17, 0x59, 0x1f, 0x6e, 0x22, 0x4b, 0x3e, 0xb6, 0x0a, 0x35, 0xdc, 0x48, 0x27, 0x8c, 0x37, 0x74];
    let entry = crl.find(&serial).expect("a listed certificate");
    assert_eq!((entry.at.to_string().as_str(), entry.reason), ("2022-03-10T07:26:46Z", Some(5)));
    assert_eq!(crl.find(&[1]), None);
    assert!(crl.verify(&certificates(&certs.join("CivilServantROOT.pem"))[0]).is_err());

    let trust = store(certs, &[(TrustRole::Anchor, "ROOTCA.pem"), (TrustRole::Crl, "ROOTCA.crl")]);
    let taier = &certificates(&certs.join("Taier.pem"))[0];
    let state = |now: Timestamp| {
        revocation::check(&trust, &mut Enclosed::default(), taier, &root, Moment { used: now, proven: false, now })
    };
    assert_eq!(state("2022-05-20T00:00:00Z".parse()?), Revocation::Good);
    let stale = Revocation::Unknown(WhyUnknown::Stale { since: "2022-06-04T06:20:54Z".parse()? });
    assert_eq!(state(NOW.parse()?), stale);
    Ok(())
}

fn carriers(certs: &Path) -> Result<(), Failed> {
    let found = |file: &str| {
        let certificate = Arc::clone(&certificates(&certs.join("from-signatures").join(file))[0]);
        subject_codes(&certificate).into_iter().map(|c| (c.uscc, c.carrier)).collect::<Vec<_>>()
    };
    let only = |uscc: &str, carrier: &str| vec![(uscc.to_owned(), carrier.to_owned())];
    assert_eq!(found("csca-azt-seal-maker-uscc-in-surname.cer"), only("91110108756730417W", "subject 2.5.4.4"));
    assert_eq!(found("ynca-yunnan-housing-dept-1.2.5.29.1.cer"), only("115300000151003540", "subject 2.5.4.10"));
    assert_eq!(found("bjca-test-bidder.cer"), []);
    Ok(())
}

fn bare_signature(certs: &Path) -> Result<(), Failed> {
    let sample = certs.join("../ofd/ofdrw-bare-rs-sign.ofd");
    let trust = TrustStore::empty();
    let with = |file: &str| {
        let certificate = Arc::clone(&certificates(&certs.join(file))[0]);
        let context = Context { signer_certificate: Some(&certificate), ..Context::new(&trust, NOW.parse().unwrap()) };
        judge(&sample, &context)
    };
    let report = with("ofdrw-test/USER.cer.pem");
    assert_eq!(report.signatures[0].kind, SignatureKind::Bare);
    assert!(report.signatures[0].findings.iter().all(|f| f.level != Level::Error), "{report:#?}");
    let report = with("Taier.pem");
    let codes: Vec<&str> = report.signatures[0].findings.iter().map(|f| f.code.name()).collect();
    assert!(codes.contains(&"SIG_VALUE"), "{codes:?}");
    Ok(())
}
