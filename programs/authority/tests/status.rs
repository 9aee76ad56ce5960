//! OCSP answers and time stamps: signatures judged by OpenSSL, contents as OpenSSL prints them, and read by our own reader.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod bench;

use bench::{Bench, changed, openssl, serial};
use jiff::{SignedDuration, Timestamp};
use sealagent::asn1::{OCTET_STRING, SEQUENCE, Tlv, context};
use sealagent::cms::SignedData;
use sealagent::pki::TimeStampToken;
use sealagent::sm::sm3;
use sealauthority::{
    CertificateProfile, CertificateStatus, Identity, RevocationReason, SingleResponse, issue_ocsp_response, issue_time_stamp,
};

/// The BasicOCSPResponse in an OCSPResponse.
fn basic(response: &[u8]) -> Vec<u8> {
    let parts = Tlv::read_all(response).unwrap().expect(SEQUENCE).unwrap().children().unwrap();
    let bytes = parts[1].expect(context(0)).unwrap().children().unwrap()[0].children().unwrap();
    bytes[1].expect(OCTET_STRING).unwrap().value.to_vec()
}

#[test]
fn ocsp_answer_is_accepted_reads_as_made_and_a_changed_one_is_refused() {
    let bench = Bench::new();
    let responder = bench.issue(CertificateProfile::OcspResponder);
    let at: Timestamp = "2026-11-24T06:00:00Z".parse().unwrap();
    let revoked = CertificateStatus::Revoked { at, reason: Some(RevocationReason::Superseded) };
    let responses: Vec<SingleResponse> = [CertificateStatus::Good, revoked, CertificateStatus::Unknown]
        .into_iter()
        .zip(1..)
        .map(|(status, n)| SingleResponse {
            serial: serial(n),
            status,
            this_update: at,
            next_update: Some(at + SignedDuration::from_hours(12)),
        })
        .collect();
    for who in [&responder, &bench.ca] {
        let response = issue_ocsp_response(who, bench.ca.certificate(), &responses, at, Some(b"nonce"));
        assert!(bench.judge(who.der(), &basic(&response)));
        let file = bench.file("response", &response);
        let output = openssl(&["ocsp", "-noverify", "-text", "-respin"], &[&file]);
        let text = String::from_utf8_lossy(&output.stdout);
        for expected in [
            "OCSP Response Status: successful",
            "Hash Algorithm: sm3",
            "Cert Status: good",
            "Cert Status: revoked\n    Revocation Time: Nov 24 06:00:00 2026 GMT\n    Revocation Reason: superseded",
            "Cert Status: unknown",
            "Next Update: Nov 24 18:00:00 2026 GMT",
            "OCSP Nonce",
        ] {
            assert!(text.contains(expected), "{expected:?} is missing from:\n{text}");
        }
        assert_eq!(text.contains("TLS Web") || text.contains("OCSP Signing"), who.der() == responder.der());
    }
    let response = issue_ocsp_response(&responder, bench.ca.certificate(), &responses, at, None);
    let parts = basic(&response);
    let data_length = Tlv::read_all(&parts).unwrap().children().unwrap()[0].raw.len();
    let mut altered = parts.clone();
    altered[data_length - 10] ^= 1;
    assert!(bench.judge(responder.der(), &parts) && !bench.judge(responder.der(), &altered));
}

fn stamp(authority: &Identity, message: &[u8]) -> Vec<u8> {
    let at = "2026-11-24T06:00:00Z".parse().unwrap();
    issue_time_stamp(authority, &sm3(message), at, &serial(77), Some(&serial(0xabcd))).unwrap()
}

#[test]
fn time_stamp_is_accepted_reads_as_made_and_a_changed_one_is_refused() {
    let bench = Bench::new();
    let authority = bench.issue(CertificateProfile::TimeStampAuthority);
    let token = stamp(&authority, b"signature value");

    let signed = SignedData::parse(&token).unwrap();
    let signer = &signed.signers()[0];
    let attributes = signer.attributes().unwrap().signed_bytes().to_vec();
    assert!(bench.judge_signature(authority.der(), &attributes, signer.signature()));
    assert!(!bench.judge_signature(authority.der(), &changed(&attributes, 1), signer.signature()));

    let file = bench.file("token", &token);
    let output = openssl(&["ts", "-reply", "-text", "-token_in", "-in"], &[&file]);
    let text = String::from_utf8_lossy(&output.stdout);
    for expected in
        ["Version: 1", "Hash Algorithm: sm3", "Serial number: 0x4D", "Time stamp: Nov 24 06:00:00 2026 GMT", "Nonce: 0xABCD"]
    {
        assert!(text.contains(expected), "{expected:?} is missing from:\n{text}\n{output:?}");
    }

    let read = TimeStampToken::parse(&token).unwrap();
    assert_eq!(read.imprint(), sm3(b"signature value").0);
    assert_eq!(read.verify(authority.certificate()), Ok(()));
    let other = bench.issue(CertificateProfile::TimeStampAuthority);
    assert!(read.verify(other.certificate()).is_err());
}

#[test]
fn no_changed_byte_of_a_time_stamp_passes() {
    let bench = Bench::new();
    let authority = bench.issue(CertificateProfile::TimeStampAuthority);
    let token = stamp(&authority, b"signature value");
    let signed = SignedData::parse(&token).unwrap();
    let signer = &signed.signers()[0];
    let part = |part: &[u8]| {
        let start = token.windows(part.len()).position(|window| window == part).unwrap();
        start..start + part.len()
    };
    // The attributes' own tag differs between file and signature, so they are found by their contents.
    let attributes = signer.attributes().unwrap().signed_bytes().to_vec();
    let attributes = Tlv::read_all(&attributes).unwrap().value;
    for i in part(signed.content().unwrap()).chain(part(attributes)).chain(part(signer.signature())) {
        let mut bad = token.clone();
        bad[i] ^= 1;
        let passes = TimeStampToken::parse(&bad)
            .is_ok_and(|read| read.imprint() == sm3(b"signature value").0 && read.verify(authority.certificate()).is_ok());
        assert!(!passes, "byte {i}");
    }
}
