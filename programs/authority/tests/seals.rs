//! Seals of all three standards, judged by OpenSSL (the maker's signature) and by our own reader (everything else).

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod bench;

use bench::{Bench, changed};
use jiff::{SignedDuration, Timestamp};
use sealagent::ses::{CertList, Picture, Seal, SealDraft, Version};
use sealauthority::{CertificateProfile, SealError, make_seal};

fn draft(certificate: &[u8], created: Timestamp) -> SealDraft {
    SealDraft {
        es_id: "44030000000001".to_owned(),
        vid: "sealagent".to_owned(),
        kind: 1,
        name: "深圳市某某科技有限公司".to_owned(),
        cert_list: CertList::Certificates(vec![certificate.to_vec()]),
        created,
        valid_from: created,
        valid_to: created + SignedDuration::from_hours(24 * 365),
        picture: Picture::new("PNG", b"\x89PNG\r\n\x1a\n".to_vec(), 40, 40),
        extensions: Vec::new(),
    }
}

#[test]
fn seal_of_every_version_is_accepted_and_a_changed_one_refused() {
    let bench = Bench::new();
    let maker = bench.issue(CertificateProfile::SealMaker);
    let owner = bench.issue(CertificateProfile::CompanySigning);
    for version in [Version::V1, Version::V4, Version::V5] {
        let seal = make_seal(&maker, &draft(owner.der(), Timestamp::now()), version).unwrap();
        assert_eq!(seal.version(), version);
        assert_eq!(seal.lists_certificate(owner.der()), Some(true));
        assert_eq!(seal.maker_certificate(), maker.der());
        assert!(seal.tolerances().is_empty(), "{version}: {:?}", seal.tolerances());
        assert!(bench.judge_signature(maker.der(), &seal.signed_bytes(), seal.signature()), "{version}");
        let altered = changed(&seal.signed_bytes(), 40);
        assert!(!bench.judge_signature(maker.der(), &altered, seal.signature()), "{version}");
        let read = Seal::parse(seal.raw()).unwrap();
        assert_eq!(read, seal, "{version}");
    }
}

#[test]
fn only_a_signing_certificate_within_its_dates_makes_seals() {
    let bench = Bench::new();
    let owner = bench.issue(CertificateProfile::CompanySigning);
    let now = Timestamp::now();
    for wrong in [bench.ca.clone(), bench.issue(CertificateProfile::CompanyEncryption)] {
        assert_eq!(make_seal(&wrong, &draft(owner.der(), now), Version::V4), Err(SealError::MakerUsage));
    }
    let maker = bench.issue(CertificateProfile::SealMaker);
    let too_late = now + SignedDuration::from_hours(24 * 365 * 6);
    assert_eq!(make_seal(&maker, &draft(owner.der(), too_late), Version::V4), Err(SealError::MakerNotValid));
}
