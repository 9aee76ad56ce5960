//! Time stamp tokens (RFC 3161, GB/T 20520), with SM3 imprints and SM2 signatures.

use jiff::Timestamp;
use sealagent::asn1::{OCTET_STRING, Oid, der, integer, object_identifier, oid as gm, sequence};
use sealagent::cms::{Content, Identifiers, SignedDataDraft};
use sealagent::sm::{Sm3Digest, sm3};

use crate::certificate::SerialNumber;
use crate::identity::Identity;
use crate::oid;
use crate::statement::StatementError;
use crate::time::generalized_time;

/// Policy of stamps by a pilot authority: RFC 3161 demands one, and this arc (`2.25`, a UUID) says no more than that it is ours.
const PILOT_POLICY: Oid<'static> = Oid(b"\x69\x83\xe1\xa9\xd4\xf2\xb6\xc5\x8e\x92\xe0\x8a\xc3\xd1\xf7\xb4\xa9\xd8\x92\x11");

/// Stamps a digest with a time: DER of a `TimeStampToken`. `nonce` is the request's, big-endian, given back.
///
/// `authority` holds a certificate for [`crate::CertificateProfile::TimeStampAuthority`]; `serial` must be one that it never used.
pub fn issue_time_stamp(
    authority: &Identity,
    imprint: &Sm3Digest,
    time: Timestamp,
    serial: &SerialNumber,
    nonce: Option<&SerialNumber>,
) -> Result<Vec<u8>, StatementError> {
    let sm3_algorithm = sequence(&[&object_identifier(gm::SM3)]);
    let info = sequence(&[
        &integer(1),
        &object_identifier(PILOT_POLICY),
        &sequence(&[&sm3_algorithm, &der(OCTET_STRING, &imprint.0)]),
        &serial.to_der(),
        &generalized_time(time),
        &nonce.map_or(Vec::new(), SerialNumber::to_der),
    ]);
    // ESSCertIDv2 (RFC 5816): which certificate signs, so that none of the same key can be put in its place.
    let certificate_id = sequence(&[&sm3_algorithm, &der(OCTET_STRING, &sm3(authority.der()).0)]);
    let signing_certificate = sequence(&[&sequence(&[&certificate_id])]);
    let draft = SignedDataDraft {
        identifiers: Identifiers::Pkcs7,
        content_type: Some(gm::TST_INFO),
        content: Content::Attached(&info),
        signer_certificate: authority.der(),
        further_certificates: &[],
        signature_algorithm: gm::SM2_WITH_SM3,
        signing_time: Some(time),
        attributes: &[(oid::SIGNING_CERTIFICATE_V2, signing_certificate)],
    };
    let unsigned = draft.to_be_signed()?;
    Ok(unsigned.assemble(&authority.key().sign(unsigned.signed_bytes())?)?.raw().to_vec())
}
