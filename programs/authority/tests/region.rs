//! An authority in a folder: made once, counts, revokes, hands out what verifiers need.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use sealagent::pki::revocation::{self, Moment, Revocation};
use sealagent::pki::{Certificate, Crl, Enclosed, TrustFile, TrustRole, TrustStore};
use sealauthority::{
    CertificateProfile, KeyError, KeyProtection, Name, PrivateKey, Publication, Region, RegionError, RegionNames,
    RevocationReason, SerialNumber,
};
use zeroize::Zeroizing;

fn now() -> Timestamp {
    "2026-11-24T06:00:00Z".parse().unwrap()
}

fn shenzhen() -> RegionNames {
    RegionNames { id: "shenzhen".to_owned(), name: "深圳".to_owned(), division: "440300".to_owned() }
}

fn pilot(folder: &Path) -> Region {
    Region::init(folder, &shenzhen(), &KeyProtection::PlainForPilot, now()).unwrap()
}

fn issue(region: &mut Region) -> Certificate {
    let key = PrivateKey::generate().unwrap();
    let name = Name::china().common_name("某公司");
    let der = region.issue(CertificateProfile::CompanySigning, &name, &key.public_key(), now(), 365).unwrap();
    Certificate::parse(&der).unwrap()
}

fn serial(certificate: &Certificate) -> SerialNumber {
    SerialNumber::new(certificate.serial()).unwrap()
}

#[test]
fn second_init_is_refused_and_changes_nothing() {
    let temp = tempfile::tempdir().unwrap();
    let folder = temp.path().join("shenzhen");
    let first = pilot(&folder).root().der().to_vec();
    assert!(matches!(
        Region::init(&folder, &shenzhen(), &KeyProtection::PlainForPilot, now()),
        Err(RegionError::Exists(found)) if found == folder
    ));
    assert_eq!(Region::open(&folder, None).unwrap().root().der(), first);
    assert_eq!(std::fs::read_dir(temp.path()).unwrap().count(), 1, "nothing is left beside it");
}

#[test]
fn folder_without_an_authority_is_named() {
    let temp = tempfile::tempdir().unwrap();
    assert!(matches!(Region::open(temp.path(), None), Err(RegionError::NoRegion(_))));
}

#[test]
fn short_name_that_could_be_a_path_is_refused() {
    let temp = tempfile::tempdir().unwrap();
    for id in ["", "../x", "深圳", "-x", "A", &"x".repeat(33)] {
        let names = RegionNames { id: id.to_owned(), ..shenzhen() };
        let made = Region::init(&temp.path().join("r"), &names, &KeyProtection::PlainForPilot, now());
        assert!(matches!(made, Err(RegionError::RegionId(_))), "{id:?}");
    }
}

#[test]
fn encrypted_keys_need_their_passphrase() {
    let temp = tempfile::tempdir().unwrap();
    let folder = temp.path().join("r");
    let passphrase = Zeroizing::new(b"correct horse".to_vec());
    drop(Region::init(&folder, &shenzhen(), &KeyProtection::Passphrase(passphrase.clone()), now()).unwrap());
    assert!(matches!(Region::open(&folder, None), Err(RegionError::Key(KeyError::PassphraseNeeded))));
    assert!(matches!(Region::open(&folder, Some(b"wrong")), Err(RegionError::Key(KeyError::Passphrase))));
    assert!(Region::open(&folder, Some(&passphrase)).is_ok());
    let key = std::fs::read_to_string(folder.join("keys/root.key")).unwrap();
    assert!(key.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----"));
}

#[test]
fn plain_keys_carry_a_warning_and_only_their_owner_reads_them() {
    let temp = tempfile::tempdir().unwrap();
    let folder = temp.path().join("r");
    drop(pilot(&folder));
    let path = folder.join("keys/maker.key");
    assert!(std::fs::read_to_string(&path).unwrap().starts_with("# PILOT ONLY"));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}

#[test]
fn no_serial_number_and_no_seal_code_is_given_twice_even_after_reopening() {
    let temp = tempfile::tempdir().unwrap();
    let folder = temp.path().join("r");
    let mut serials = std::collections::BTreeSet::new();
    let mut codes = std::collections::BTreeSet::new();
    for round in 0..3 {
        let mut region = if round == 0 { pilot(&folder) } else { Region::open(&folder, None).unwrap() };
        for identity in [region.root(), region.ca(), region.maker()] {
            serials.insert(serial(identity.certificate()));
        }
        serials.insert(serial(&issue(&mut region)));
        serials.insert(serial(&issue(&mut region)));
        codes.insert(region.next_seal_code().unwrap());
    }
    assert_eq!(serials.len(), 3 + 6);
    assert_eq!(codes.into_iter().collect::<Vec<_>>(), ["44030000000001", "44030000000002", "44030000000003"]);
}

#[test]
fn certificate_that_would_outlive_the_ca_is_refused() {
    let temp = tempfile::tempdir().unwrap();
    let mut region = pilot(&temp.path().join("r"));
    let key = PrivateKey::generate().unwrap().public_key();
    let name = Name::china().common_name("某公司");
    assert!(matches!(region.issue(CertificateProfile::CompanySigning, &name, &key, now(), 30 * 365), Err(RegionError::Issue(_))));
}

/// Text of a list as OpenSSL reads it.
fn crl_text(path: &Path) -> String {
    let mut openssl = std::process::Command::new("openssl");
    openssl.args(["crl", "-inform", "DER", "-noout", "-text", "-in"]).arg(path);
    let output = openssl.output().expect("openssl runs: scripts/setup-debian.sh --test installs it");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn revoked_certificate_stands_in_the_next_list_and_only_once() {
    let temp = tempfile::tempdir().unwrap();
    let folder = temp.path().join("r");
    let mut region = pilot(&folder);
    let (good, bad) = (issue(&mut region), issue(&mut region));
    let later = now() + SignedDuration::from_hours(2);
    region.revoke(&serial(&bad), Some(RevocationReason::KeyCompromise), later).unwrap();
    assert!(matches!(region.revoke(&serial(&bad), None, later), Err(RegionError::AlreadyRevoked(_))));

    let text = crl_text(&folder.join("crls/ca.crl"));
    let heading = |certificate: &Certificate| format!("Serial Number: {}\n", serial(certificate).to_string().to_uppercase());
    assert_eq!(text.matches(&heading(&bad)).count(), 1, "{text}");
    assert!(!text.contains(&heading(&good)));
    assert!(text.contains("Revocation Date: Nov 24 08:00:00 2026 GMT") && text.contains("Key Compromise"), "{text}");
    assert!(
        text.contains("Last Update: Nov 24 08:00:00 2026 GMT") && text.contains("CRL Number: \n                3\n"),
        "{text}"
    );
    assert!(crl_text(&folder.join("crls/root.crl")).contains("No Revoked Certificates"));

    let unknown = "0badc0de".parse().unwrap();
    assert!(matches!(region.revoke(&unknown, None, later), Err(RegionError::UnknownSerial(_))));
}

/// As of records that came from a backup, and know nothing of the lists that were made since.
#[test]
fn list_with_a_number_that_the_records_never_gave_is_replaced() {
    let temp = tempfile::tempdir().unwrap();
    let (mut region, mut other) = (pilot(&temp.path().join("r")), pilot(&temp.path().join("other")));
    (0..9).for_each(|_| other.renew_crls(now()).unwrap());
    let path = temp.path().join("r/crls/ca.crl");
    std::fs::copy(temp.path().join("other/crls/ca.crl"), &path).unwrap();
    region.renew_crls(now()).unwrap();
    let list = Crl::parse(&std::fs::read(&path).unwrap()).unwrap();
    assert!(list.verify(region.ca().certificate()).is_ok());
}

/// What the region's list of a day two years on says of certificates that were good for one.
#[test]
fn expired_certificates_stay_judgeable_by_later_lists() {
    let temp = tempfile::tempdir().unwrap();
    let folder = temp.path().join("r");
    let mut region = pilot(&folder);
    let (good, bad) = (issue(&mut region), issue(&mut region));
    region.revoke(&serial(&bad), Some(RevocationReason::KeyCompromise), now() + SignedDuration::from_hours(2)).unwrap();
    let later = now() + SignedDuration::from_hours(24 * 730);
    region.renew_crls(later).unwrap();

    let list = std::fs::read(folder.join("crls/ca.crl")).unwrap();
    let since = Crl::parse(&list).unwrap().expired_certificates_since().unwrap();
    assert_eq!(since, region.ca().certificate().not_before());
    let written = since.strftime("%Y%m%d%H%M%SZ").to_string();
    let extension = [b"\x06\x03\x55\x1d\x3c\x04\x11\x18\x0f", written.as_bytes()].concat(); // not critical, GeneralizedTime
    assert!(list.windows(extension.len()).any(|window| window == extension));

    let ca = region.ca().certificate();
    let file = |role, bytes: &[u8]| TrustFile { role, name: String::new(), bytes: bytes.to_vec() };
    let (store, problems) = TrustStore::from_files([file(TrustRole::Anchor, ca.der()), file(TrustRole::Crl, &list)]);
    assert!(problems.is_empty(), "{problems:?}");
    let moment = Moment { used: now() + SignedDuration::from_hours(1), proven: true, now: later };
    let state = |certificate| revocation::check(&store, &mut Enclosed::default(), certificate, ca, moment);
    assert_eq!(state(&good), Revocation::Good);
    assert!(matches!(state(&bad), Revocation::Revoked(_)));
}

#[test]
fn revoked_ca_stands_in_the_list_of_the_root() {
    let temp = tempfile::tempdir().unwrap();
    let folder = temp.path().join("r");
    let mut region = pilot(&folder);
    let ca = serial(region.ca().certificate());
    region.revoke(&ca, Some(RevocationReason::CaCompromise), now()).unwrap();
    assert!(crl_text(&folder.join("crls/root.crl")).contains(&ca.to_string().to_uppercase()));
    assert!(crl_text(&folder.join("crls/ca.crl")).contains("No Revoked Certificates"));
}

#[cfg(unix)]
#[test]
fn publishing_opens_its_own_files_to_everybody_and_no_others() {
    use std::os::unix::fs::PermissionsExt as _;
    let temp = tempfile::tempdir().unwrap();
    let mut region = pilot(&temp.path().join("r"));
    let secret = temp.path().join("secret.key");
    std::fs::write(&secret, "somebody's").unwrap();
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o600)).unwrap();
    region.publish(temp.path(), &Publication::default(), now()).unwrap();
    let mode = |name: &str| std::fs::metadata(temp.path().join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!(["trust-list.p7b", "status.p7b", "changes.p7b", "root.crl", "ca.crl"].map(mode), [0o644; 5]);
    assert_eq!(mode("secret.key"), 0o600);
}

#[test]
fn trust_folder_takes_several_regions_side_by_side() {
    let temp = tempfile::tempdir().unwrap();
    let trust = temp.path().join("trust");
    for (id, name) in [("shenzhen", "深圳"), ("beijing", "北京")] {
        let names = RegionNames { id: id.to_owned(), name: name.to_owned(), division: "110000".to_owned() };
        let region = Region::init(&temp.path().join(id), &names, &KeyProtection::PlainForPilot, now()).unwrap();
        region.write_trust_folder(&trust).unwrap();
    }
    let mut found: Vec<String> = Vec::new();
    for sub in std::fs::read_dir(&trust).unwrap() {
        let sub = sub.unwrap();
        for file in std::fs::read_dir(sub.path()).unwrap() {
            found.push(format!("{}/{}", sub.file_name().display(), file.unwrap().file_name().display()));
        }
    }
    found.sort();
    assert_eq!(
        found,
        [
            "anchors/beijing-root.pem",
            "anchors/shenzhen-root.pem",
            "crls/beijing-ca.crl",
            "crls/beijing-root.crl",
            "crls/shenzhen-ca.crl",
            "crls/shenzhen-root.crl",
            "intermediates/beijing-ca.pem",
            "intermediates/shenzhen-ca.pem",
            "makers/beijing-maker.pem",
            "makers/shenzhen-maker.pem",
        ]
    );
}
