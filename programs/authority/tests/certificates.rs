//! OpenSSL judges certificates, requests, keys and revocation lists of the authority.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod bench;

use bench::{Bench, ID, changed, openssl, serial, years};
use jiff::Timestamp;
use sealagent::asn1::Tlv;
use sealauthority::{
    CertificateProfile, CertificationRequest, CrlContents, Identity, IssueError, Name, PrivateKey, RevocationReason,
    RevokedCertificate, Validity, issue_certificate, issue_crl, pem,
};

#[test]
fn request_is_accepted_and_a_changed_one_refused() {
    let bench = Bench::new();
    let request = CertificationRequest::make(&PrivateKey::generate().unwrap(), &Name::china().common_name("某公司")).unwrap();
    let verify = |der: &[u8]| {
        let file = bench.file("request.pem", pem::encode("CERTIFICATE REQUEST", der));
        let output = openssl(&["req", "-noout", "-verify", "-vfyopt", ID, "-in"], &[&file]);
        String::from_utf8_lossy(&output.stderr).contains("verify OK") && output.status.success()
    };
    assert!(verify(&request));
    assert!(!verify(&changed(&request, 1)));
}

#[test]
fn request_of_openssl_is_read() {
    let bench = Bench::new();
    let key = bench.folder.path().join("key.pem");
    assert!(openssl(&["genpkey", "-algorithm", "SM2", "-out"], &[&key]).status.success());
    let made = openssl(
        &["req", "-new", "-utf8", "-sm3", "-sigopt", ID, "-subj", "/C=CN/O=某公司/CN=44030000000001", "-outform", "DER", "-key"],
        &[&key],
    );
    assert!(made.status.success(), "{made:?}");
    let request = CertificationRequest::read(&made.stdout).unwrap();
    assert_eq!(request.subject(), &Name::china().organization("某公司").common_name("44030000000001"));
}

#[test]
fn key_files_open_in_openssl() {
    let bench = Bench::new();
    let key = PrivateKey::generate().unwrap();
    let expected = pem::encode("PUBLIC KEY", &{
        let parts = Tlv::read_all(bench.root.der()).unwrap().children().unwrap()[0].children().unwrap();
        let mut spki = parts[6].raw.to_vec();
        let at = spki.len() - 64;
        spki[at..].copy_from_slice(key.public_key().as_bytes());
        spki
    });
    let plain = bench.file("plain.key", key.to_plain_pem().unwrap().as_bytes());
    let output = openssl(&["pkey", "-pubout", "-in"], &[&plain]);
    assert_eq!(String::from_utf8_lossy(&output.stdout), expected, "{output:?}");
    let encrypted = bench.file("encrypted.key", key.to_encrypted_pem(b"passphrase").unwrap().as_bytes());
    let output = openssl(&["pkey", "-pubout", "-passin", "pass:passphrase", "-in"], &[&encrypted]);
    assert_eq!(String::from_utf8_lossy(&output.stdout), expected, "{output:?}");
    assert!(!openssl(&["pkey", "-pubout", "-passin", "pass:other", "-in"], &[&encrypted]).status.success());
}

#[test]
fn every_profile_is_accepted_over_its_own_link_and_a_changed_one_refused() {
    let bench = Bench::new();
    for profile in [
        CertificateProfile::CompanyEncryption,
        CertificateProfile::CompanySigning,
        CertificateProfile::CrlSigner,
        CertificateProfile::OcspResponder,
        CertificateProfile::SealMaker,
        CertificateProfile::TimeStampAuthority,
    ] {
        let good = bench.issue(profile).der().to_vec();
        let verify = |der: &[u8]| {
            let (ca, leaf) = (bench.certificate("ca.pem", bench.ca.der()), bench.certificate("leaf.pem", der));
            openssl(&["verify", "-x509_strict", "-vfyopt", ID, "-partial_chain", "-trusted"], &[&ca, &leaf]).status.success()
        };
        assert!(verify(&good), "{profile:?}");
        assert!(!verify(&changed(&good, 1)), "{profile:?}");
        assert!(bench.judge(bench.ca.der(), &good), "{profile:?}");
        // Some 100 bytes before the end are the signature; before that stand the extensions, which the signature covers.
        assert!(!bench.judge(bench.ca.der(), &changed(&good, 130)), "{profile:?}");
    }
}

#[test]
fn whole_path_is_accepted_and_refused_with_any_link_changed() {
    let bench = Bench::new();
    let leaf = bench.issue(CertificateProfile::CompanySigning).der().to_vec();
    let (root, ca) = (bench.root.der(), bench.ca.der());
    assert!(bench.chain(&[root, ca, &leaf]));
    assert!(!bench.chain(&[&changed(root, 1), ca, &leaf]));
    assert!(!bench.chain(&[root, &changed(ca, 1), &leaf]));
    assert!(!bench.chain(&[root, ca, &changed(&leaf, 1)]));
    assert!(!bench.chain(&[root, &leaf]), "the CA is missing");
}

#[test]
fn below_an_issuing_ca_no_further_ca_counts() {
    let bench = Bench::new();
    let key = PrivateKey::generate().unwrap();
    let name = Name::china().common_name("CA below the CA");
    let below =
        issue_certificate(&bench.ca, CertificateProfile::IssuingCa, &name, &key.public_key(), years(5), &serial(9)).unwrap();
    let below = Identity::new(key, &below).unwrap();
    let leaf_key = PrivateKey::generate().unwrap();
    let leaf = issue_certificate(
        &below,
        CertificateProfile::CompanySigning,
        &Name::china().common_name("leaf"),
        &leaf_key.public_key(),
        years(1),
        &serial(1),
    )
    .unwrap();
    assert!(!bench.chain(&[bench.root.der(), bench.ca.der(), below.der(), &leaf]));
}

#[test]
fn company_signing_certificate_reads_as_the_profile_says() {
    let bench = Bench::new();
    let leaf = bench.certificate("leaf.pem", bench.issue(CertificateProfile::CompanySigning).der());
    let output = openssl(&["x509", "-noout", "-text", "-nameopt", "utf8,sep_comma_plus", "-in"], &[&leaf]);
    let text = String::from_utf8_lossy(&output.stdout);
    for expected in [
        "Version: 3",
        "Serial Number: 128 (0x80)",
        "Signature Algorithm: SM2-with-SM3",
        "Subject: C=CN,O=91440300MA5DEM0006深圳市某某科技有限公司,CN=44030000000001",
        "Issuer: C=CN,O=深圳,CN=深圳 CA",
        "ASN1 OID: SM2",
        "X509v3 Key Usage: critical\n                Digital Signature, Non Repudiation\n",
        "CA:FALSE",
    ] {
        assert!(text.contains(expected), "{expected:?} is missing from:\n{text}");
    }
    let root = bench.certificate("root.pem", bench.root.der());
    let asn1 = openssl(&["asn1parse", "-in"], &[&root]).stdout;
    assert!(String::from_utf8_lossy(&asn1).contains("GENERALIZEDTIME"), "an end after 2049 is GeneralizedTime");
}

#[test]
fn identity_needs_its_own_certificate() {
    let bench = Bench::new();
    assert!(Identity::new(PrivateKey::generate().unwrap(), bench.ca.der()).is_err());
    assert!(Identity::new(bench.ca.key().clone(), b"\x30\x00").is_err());
}

#[test]
fn only_a_ca_issues_and_nothing_outlives_it() {
    let bench = Bench::new();
    let key = PrivateKey::generate().unwrap();
    let name = Name::china().common_name("leaf");
    let issue = |issuer: &Identity, validity| {
        issue_certificate(issuer, CertificateProfile::CompanySigning, &name, &key.public_key(), validity, &serial(3))
    };
    assert!(matches!(issue(&bench.ca, years(20)), Err(IssueError::OutlivesIssuer { .. })));
    let leaf = Identity::new(key.clone(), &issue(&bench.ca, years(1)).unwrap()).unwrap();
    assert_eq!(issue(&leaf, years(1)), Err(IssueError::NotCa));
    let backwards = Validity { not_before: years(1).not_after, not_after: years(1).not_before };
    assert_eq!(issue(&bench.ca, backwards), Err(IssueError::Dates));
}

#[test]
fn revocation_list_is_accepted_reads_as_made_and_a_changed_one_is_refused() {
    let bench = Bench::new();
    let at: Timestamp = "2026-10-01T08:00:00Z".parse().unwrap();
    let contents = CrlContents {
        number: 7,
        this_update: "2026-11-01T00:00:00Z".parse().unwrap(),
        next_update: "2026-12-01T00:00:00Z".parse().unwrap(),
        expired_since: None,
        revoked: vec![
            RevokedCertificate { serial: serial(0x80), at, reason: Some(RevocationReason::KeyCompromise) },
            RevokedCertificate { serial: serial(5), at, reason: None },
        ],
    };
    for contents in [CrlContents { revoked: Vec::new(), ..contents.clone() }, contents.clone()] {
        let good = issue_crl(&bench.ca, &contents).unwrap();
        assert!(bench.judge(bench.ca.der(), &good));
        assert!(!bench.judge(bench.ca.der(), &changed(&good, 120)));
    }
    let file = bench.file("list.pem", pem::encode("X509 CRL", &issue_crl(&bench.ca, &contents).unwrap()));
    let output = openssl(&["crl", "-noout", "-text", "-in"], &[&file]);
    let text = String::from_utf8_lossy(&output.stdout);
    for expected in [
        "Version 2",
        "Last Update: Nov  1 00:00:00 2026 GMT",
        "Next Update: Dec  1 00:00:00 2026 GMT",
        "CRL Number: \n                7\n",
        "Serial Number: 80\n        Revocation Date: Oct  1 08:00:00 2026 GMT",
        "Key Compromise",
        "Serial Number: 05",
    ] {
        assert!(text.contains(expected), "{expected:?} is missing from:\n{text}");
    }
}
