//! A company of a region, for tests and benches.

use jiff::{SignedDuration, Timestamp};
use sealagent::ses::{CertList, Picture, SealDraft};
use sealauthority::{CertificateProfile, Name, PrivateKey, Region};

/// A certificate of a key that signs nothing.
pub fn certificate(region: &mut Region, at: Timestamp) -> Vec<u8> {
    let key = PrivateKey::generate().unwrap().public_key();
    region.issue(CertificateProfile::CompanySigning, &Name::china().common_name("某公司"), &key, at, 365).unwrap()
}

/// Its seals, but for their codes.
pub fn draft(certificate: Vec<u8>, at: Timestamp) -> SealDraft {
    SealDraft {
        es_id: String::new(),
        vid: "sealagent".to_owned(),
        kind: 1,
        name: "某公司".to_owned(),
        cert_list: CertList::Certificates(vec![certificate]),
        created: at,
        valid_from: at,
        valid_to: at + SignedDuration::from_hours(24 * 300),
        picture: Picture::new("PNG", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec(), 40, 40),
        extensions: Vec::new(),
    }
}
