//! The table: one change to a good document, and exactly what it adds.

use std::collections::BTreeSet;

use crate::ecdsa;
use crate::forge::recipe::{DESCRIPTION, ES_ID, LIST, Listed, PAGE, Recipe, Value, World, remove_reference, stamp};
use crate::forge::{CERTIFYING, Files, Identity, Key, ListSpec, SHA256_WITH_RSA, Spec, at, file, issue, replace};
use sealagent::asn1::Oid;
use sealagent::pki::seal_status::{SealHistory, StateChange};
use sealagent::pki::trust::{Period, Region, SealState, SealStatus, Service, TrustRole};
use sealagent::pki::{Purpose, TrustStore};
use sealagent::ses::{Extension, Version};
use sealagent::verify::reason::Reason;
use sealagent::verify::report::{Code, Indication, Level, Report, SubIndication};

use Indication::TotalPassed;

/// Codes with their levels, of the file and of everything in it.
pub type Seen = BTreeSet<(Code, Level)>;

pub fn seen(report: &Report) -> Seen {
    let parts = report.signatures.iter().chain(&report.seals).flat_map(|part| &part.findings);
    parts.chain(&report.findings).map(|f| (f.code, f.level)).collect()
}

/// One change and what it must add to what the good document shows.
struct Case {
    name: &'static str,
    change: fn(&mut Recipe),
    adds: &'static [(Code, Level)],
    indication: Indication,
    sub: Option<SubIndication>,
}

macro_rules! cases {
    ($($name:ident: $change:expr => $indication:ident $($sub:ident)?, [$($code:ident $level:ident),* $(,)?];)*) => {
        &[$(Case {
            name: stringify!($name),
            change: $change,
            adds: &[$((Code::$code, Level::$level)),*],
            indication: Indication::$indication,
            sub: cases!(@sub $($sub)?),
        }),*]
    };
    (@sub) => { None };
    (@sub $sub:ident) => { Some(SubIndication::$sub) };
}

fn utf8(text: &str) -> Vec<u8> {
    sealagent::asn1::der(sealagent::asn1::UTF8_STRING, text.as_bytes())
}

pub fn region(store: &mut TrustStore, world: &World, next_update: Option<&str>, status_service: bool) {
    let always = vec![Period::default()];
    let name: std::sync::Arc<str> = "shenzhen".into();
    let service =
        |purpose, identity: &Identity| Service::new(purpose, identity.certificate.clone(), Some(name.clone()), always.clone());
    let region = Region { name: name.clone(), next_update: next_update.map(at), status_service, accepted: true };
    store.add_region(region, [service(Purpose::Signer, &world.root), service(Purpose::SealMaker, &world.maker)]);
}

pub fn status(state: SealState, since: &str) -> SealStatus {
    SealStatus {
        region: None,
        es_id: ES_ID.to_owned(),
        seal_sm3: None,
        known: true,
        history: SealHistory::new(vec![StateChange { at: at(since), state }]).unwrap(),
        as_of: at("2026-11-24T00:00:00Z"),
        fresh_until: at("2026-11-25T00:00:00Z"),
    }
}

pub fn revoked(serial: u8, date: &'static str) -> Option<ListSpec> {
    Some(ListSpec { revoked: vec![(serial, date, Some(1))], ..ListSpec::default() })
}

const OTHER_USCC: &str = "91110000MA00TE5T1A";
/// Private extension arc in which CAs put USCCs.
const CODE_EXTENSION: Oid<'static> = Oid(b"\x2a\x81\x1c\xd0\x14\x04\x01\x04");
const UNKNOWN: Oid<'static> = Oid(b"\x2a\x03\x04\x05");
/// After the signer's certificate expired.
const LATE: &str = "2031-03-01T00:00:00Z";

fn fresh_late() -> ListSpec {
    ListSpec {
        this_update: "2031-02-20T00:00:00Z",
        next_update: "2031-03-20T00:00:00Z",
        keeps_expired_since: Some("2020-01-01T00:00:00Z"),
        ..ListSpec::default()
    }
}

/// Adds a fourth signature line, `Relative` to the first unless told otherwise.
fn relate(files: &mut Files, base: &str) {
    replace(files, LIST, " BaseLoc=", &format!(" Relative=\"{base}\" BaseLoc="));
}

static OFD: &[Case] = cases! {
    garbage_as_signed_value: |r| r.garbage_value = true => TotalFailed FormatFailure, [Format Error];
    description_that_is_no_xml: |r| r.after = |f, _| *file(f, DESCRIPTION) = b"<".to_vec() => TotalFailed FormatFailure, [Format Error];
    package_cut_short: |r| r.package = |p| p.truncate(p.len() - 30) => TotalFailed, [Format Error];
    certificate_of_the_signer_cut: |r| r.cut_certificate = true => TotalFailed FormatFailure, [Format Error];
    nesting_beyond_the_limit: |r| r.after = |f, _| *file(f, "OFD.xml") = "<a>".repeat(1000).into_bytes() => TotalFailed, [LimitExceeded Error];
    encrypted_package: |r| r.after = |f, _| f.push(("Encryptions.xml".into(), b"<Encryptions/>".to_vec())) => Indeterminate, [VersionUnsupported Indeterminate, UncoveredContent Warning];
    sha1_as_check_method: |r| r.before = |f| replace(f, DESCRIPTION, "1.2.156.10197.1.401", "SHA1") => TotalFailed CryptoConstraintsFailure, [AlgUnsupported Error];
    rsa_as_signature_algorithm: |r| r.algorithm = SHA256_WITH_RSA => TotalFailed CryptoConstraintsFailure, [AlgUnsupported Error];
    key_on_another_curve: |r| r.signer.public_key = Some(ecdsa::P256.public_key()) => TotalFailed CryptoConstraintsFailure, [AlgUnsupported Error];
    makers_key_on_another_curve: |r| r.maker.public_key = Some(ecdsa::P256.public_key()) => TotalFailed CryptoConstraintsFailure, [AlgUnsupported Error];
    value_as_64_octets: |r| r.raw_value = true => TotalPassed, [EncNonstd Warning];
    picture_that_does_not_decode: |r| r.picture.truncate(20) => TotalPassed, [EncNonstd Warning];
    tbs_of_another_version: |r| r.tbs_version = Some(3) => TotalPassed, [VersionMismatch Warning];
    certificate_for_another_seal_code: |r| r.signer.common_name = "44030000099999".into() => TotalPassed, [EsidMismatch Warning];
    critical_extension_of_the_seal: |r| r.extensions = vec![Extension::new(UNKNOWN, true, vec![5, 0])] => TotalPassed, [ExtensionUnknownCritical Warning];
    property_names_another_place: |r| r.property = Some("/Doc_0/Signs/Sign_7/Signature.xml") => TotalPassed, [PropertyInfoMismatch Warning];

    data_hash_of_something_else: |r| r.wrong_hash = true => TotalFailed HashFailure, [DataHash Error];
    description_changed: |r| r.after = |f, _| replace(f, DESCRIPTION, "ProviderName=\"test", "ProviderName=\"best") => TotalFailed HashFailure, [DataHash Error];
    page_taken_away: |r| r.after = |f, _| f.retain(|(name, _)| name != PAGE) => TotalFailed HashFailure, [ProtectedFileMissing Error];
    reference_out_of_the_package: |r| r.before = |f| replace(f, DESCRIPTION, "FileRef=\"/OFD.xml\"", "FileRef=\"/../OFD.xml\"") => TotalFailed HashFailure, [ProtectedFileMissing Error, UncoveredContent Warning];
    page_changed: |r| r.after = |f, _| replace(f, PAGE, "采购", "采集") => TotalFailed HashFailure, [ProtectedFileChanged Error];
    reference_without_digest: |r| r.before = |f| {
        let text = String::from_utf8(file(f, DESCRIPTION).clone()).unwrap();
        let text = text.replace("FileRef=\"/OFD.xml\"", "FileRef=\"/OFD.XML\"");
        *file(f, DESCRIPTION) = text.into_bytes();
    } => TotalPassed, [EncNonstd Warning];
    signed_again_after_closing: |r| { r.close = true; r.after = |f, _| replace(f, LIST, "</ofd:Signatures>", " </ofd:Signatures>") } => TotalFailed HashFailure, [ProtectedFileChanged Error, SignedAfterClosed Info];
    another_seal_beside: |r| r.before = |f| file(f, "Doc_0/Signs/Sign_0/Seal.esl").push(0) => TotalFailed HashFailure, [SealFileMismatch Error];
    base_signature_missing: |r| r.after = |f, _| relate(f, "s999") => TotalFailed SigConstraintsFailure, [RelativeSignature Error];
    base_signature_is_itself: |r| r.after = |f, _| relate(f, "s001") => TotalFailed SigConstraintsFailure, [RelativeSignature Error];

    value_changed: |r| r.wrong_value = true => TotalFailed SigCryptoFailure, [SigValue Error];
    value_changed_in_signed_data: |r| { r.value = Value::Attributes; r.wrong_value = true } => TotalFailed SigCryptoFailure, [SigValue Error];
    digest_in_attributes_is_another: |r| { r.value = Value::Attributes; r.wrong_hash = true } => TotalFailed HashFailure, [DataHash Error];
    digest_as_content_is_another: |r| { r.value = Value::Digest; r.wrong_hash = true } => TotalFailed HashFailure, [DataHash Error];
    signed_data_without_certificate: |r| { r.value = Value::Attributes; r.without_certificate = true } => Indeterminate NoSigningCertificateFound, [SignerCertMissing Indeterminate];
    bare_value_without_certificate: |r| r.value = Value::Bare => Indeterminate NoSigningCertificateFound, [SignerCertMissing Indeterminate];

    makers_signature_changed: |r| r.wrong_seal_value = true => TotalFailed SigCryptoFailure, [SealSig Error];
    signer_not_in_seal: |r| r.listed = Listed::Maker => TotalFailed SigConstraintsFailure, [SignerNotInSeal Error];
    signer_digest_not_in_seal: |r| r.listed = Listed::MakerDigest => TotalFailed SigConstraintsFailure, [SignerNotInSeal Error];
    signer_digest_with_z_in_seal: |r| r.listed = Listed::SignerDigestWithZ => TotalPassed, [EncNonstd Warning];
    maker_unknown: |r| r.trust = |t, _| t.retain(|f| f.role != TrustRole::Maker) => Indeterminate NoCertificateChainFound, [SealMakerCertChain Indeterminate];
    maker_signs_its_own_certificate: |r| { r.self_issued[0] = true; r.trust = |t, _| t.retain(|f| f.role != TrustRole::Maker) } => Indeterminate NoCertificateChainFound, [SealMakerCertChain Indeterminate];
    maker_below_a_ca_with_a_critical_extension: |r| { r.maker.extra = vec![(UNKNOWN, true, vec![5, 0])] } => TotalFailed ChainConstraintsFailure, [SealMakerCertChain Error];
    maker_with_an_encryption_certificate: |r| r.maker.key_usage = Some([3, 0x38]) => TotalFailed ChainConstraintsFailure, [SealMakerCertUsage Error];
    maker_with_a_ca_certificate: |r| r.maker.ca = Some((true, None)) => TotalFailed ChainConstraintsFailure, [SealMakerCertUsage Error];
    maker_without_key_usage: |r| r.maker.key_usage = None => TotalPassed, [SealMakerCertUsage Warning];
    maker_expired_when_the_seal_was_made: |r| r.maker.to = "2026-01-08T00:00:00Z" => TotalFailed ChainConstraintsFailure, [SealMakerCertExpired Error, RevocationUnknown Indeterminate];
    maker_revoked_before_the_seal_was_made: |r| r.ca_list = revoked(11, "2026-01-05T00:00:00Z") => TotalFailed Revoked, [SealMakerCertRevoked Error];
    maker_revoked_later_without_a_stamp: |r| r.ca_list = revoked(11, "2026-08-01T00:00:00Z") => Indeterminate RevokedNoPoe, [SealMakerCertRevoked Indeterminate];
    maker_revoked_later_than_a_stamp_on_the_signature: |r| { r.ca_list = revoked(11, "2026-08-01T00:00:00Z"); r.stamp = stamp("2026-06-01T08:31:00Z") } => TotalPassed, [SealMakerCertRevoked Info];
    maker_revoked_later_than_a_stamp_on_the_seal: |r| { r.version = Version::V5; r.ca_list = revoked(11, "2026-03-01T00:00:00Z"); r.seal_stamp = stamp("2026-01-10T00:01:00Z") } => TotalPassed, [SealMakerCertRevoked Info];
    maker_trusted_as_signer_only: |r| r.trust = |t, w| {
        t.retain(|f| f.role != TrustRole::Maker);
        let other = issue(None, Key::new(99), &Spec::ca("Other makers", 9));
        t.push(sealagent::pki::TrustFile { role: TrustRole::Maker, name: "other".into(), bytes: other.der().to_vec() });
        let _ = w;
    } => TotalFailed ChainConstraintsFailure, [SealMakerNotAuthorised Error];
    seal_expired_since: |r| { r.valid[1] = "2026-07-01T00:00:00Z" } => TotalPassed, [SealExpired Info];
    seal_status_suspended: |r| r.store = |s, _| s.add_statuses([status(SealState::Suspended, "2026-05-01T00:00:00Z")]) => TotalFailed Revoked, [SealStatusSuspended Error];
    seal_status_suspended_later: |r| r.store = |s, _| s.add_statuses([status(SealState::Suspended, "2026-07-01T00:00:00Z")]) => Indeterminate RevokedNoPoe, [SealStatusSuspended Indeterminate];
    seal_status_suspended_later_than_a_stamp: |r| { r.stamp = stamp("2026-06-01T08:31:00Z"); r.store = |s, _| s.add_statuses([status(SealState::Suspended, "2026-07-01T00:00:00Z")]) } => TotalPassed, [SealStatusSuspended Info];
    seal_status_cancelled: |r| r.store = |s, _| s.add_statuses([status(SealState::Cancelled, "2026-05-01T00:00:00Z")]) => TotalFailed Revoked, [SealStatusCancelled Error];
    seal_status_cancelled_later: |r| r.store = |s, _| s.add_statuses([status(SealState::Cancelled, "2026-07-01T00:00:00Z")]) => Indeterminate RevokedNoPoe, [SealStatusCancelled Indeterminate];
    seal_status_cancelled_later_than_a_stamp: |r| { r.stamp = stamp("2026-06-01T08:31:00Z"); r.store = |s, _| s.add_statuses([status(SealState::Cancelled, "2026-07-01T00:00:00Z")]) } => TotalPassed, [SealStatusCancelled Info];
    seal_status_not_answered: |r| { r.trust = |t, _| t.retain(|f| f.role != TrustRole::Maker && f.role != TrustRole::Anchor); r.store = |s, w| region(s, w, None, true) } => Indeterminate TryLater, [SealStatusUnknown Indeterminate];

    signer_unknown: |r| r.trust = |t, _| t.retain(|f| f.role != TrustRole::Anchor) => Indeterminate NoCertificateChainFound, [SignerCertChain Indeterminate];
    signer_signs_its_own_certificate: |r| r.self_issued[1] = true => Indeterminate NoCertificateChainFound, [SignerCertChain Indeterminate];
    signer_with_a_critical_extension: |r| r.signer.extra = vec![(UNKNOWN, true, vec![5, 0])] => TotalFailed ChainConstraintsFailure, [SignerCertChain Error];
    signer_certificate_under_the_empty_id: |r| r.signer.empty_id = true => Indeterminate NoCertificateChainFound, [SignerCertChain Indeterminate];
    ca_that_is_no_ca: |r| r.ca.ca = Some((false, None)) => TotalFailed ChainConstraintsFailure, [SignerCertChain Error];
    ca_without_key_cert_sign: |r| r.ca.key_usage = Some([1, 0x02]) => TotalFailed ChainConstraintsFailure, [SignerCertChain Error];
    root_that_allows_no_ca_below: |r| r.root.ca = Some((true, Some(0))) => TotalFailed ChainConstraintsFailure, [SignerCertChain Error];
    ca_expired_at_signing: |r| r.ca.to = "2026-03-01T00:00:00Z" => TotalFailed ChainConstraintsFailure, [SignerCertChain Error];
    root_under_the_empty_id: |r| r.root.empty_id = true => TotalFailed ChainConstraintsFailure, [SignerCertChain Error];
    signer_with_an_encryption_certificate: |r| r.signer.key_usage = Some([3, 0x38]) => TotalFailed ChainConstraintsFailure, [SignerCertUsage Error];
    signer_with_a_ca_certificate: |r| { r.signer.ca = Some((true, None)) } => TotalFailed ChainConstraintsFailure, [SignerCertUsage Error];
    signer_with_a_ca_certificate_and_usage: |r| { r.signer.ca = Some((true, None)); r.signer.key_usage = CERTIFYING } => TotalFailed ChainConstraintsFailure, [SignerCertUsage Error];
    signer_without_key_usage: |r| r.signer.key_usage = None => TotalPassed, [SignerCertUsage Warning];
    signer_expired_since: |r| { r.signer.to = "2026-08-01T00:00:00Z"; r.ca_list.as_mut().unwrap().keeps_expired_since = Some("2020-01-01T00:00:00Z") } => TotalPassed, [SignerCertExpired Info];
    signer_and_maker_expired_since: |r| { r.now = LATE; r.root_list = Some(fresh_late()); r.ca_list = Some(fresh_late()) } => TotalPassed, [SignerCertExpired Info, SealMakerCertExpired Info, SealExpired Info];
    signer_expired_and_list_silent_about_it: |r| r.signer.to = "2026-08-01T00:00:00Z" => Indeterminate TryLater, [SignerCertExpired Info, RevocationUnknown Indeterminate];
    signer_expired_and_no_time_known: |r| { r.value = Value::Digest; r.signer.to = "2026-08-01T00:00:00Z"; r.ca_list.as_mut().unwrap().keeps_expired_since = Some("2020-01-01T00:00:00Z"); r.before = |f| replace(f, DESCRIPTION, "<ofd:SignatureDateTime>2026", "<ofd:SignatureDateTime>never 2026") } => Indeterminate OutOfBoundsNoPoe, [SignerCertExpired Indeterminate, EncNonstd Warning];
    signer_revoked_before_signing: |r| r.ca_list = revoked(12, "2026-05-01T00:00:00Z") => TotalFailed Revoked, [SignerCertRevoked Error];
    signer_revoked_after_signing: |r| r.ca_list = revoked(12, "2026-07-01T00:00:00Z") => Indeterminate RevokedNoPoe, [SignerCertRevoked Indeterminate];
    signer_revoked_after_a_stamp: |r| { r.ca_list = revoked(12, "2026-07-01T00:00:00Z"); r.stamp = stamp("2026-06-01T08:31:00Z") } => TotalPassed, [SignerCertRevoked Info];
    signer_revoked_before_a_stamp: |r| { r.ca_list = revoked(12, "2026-07-01T00:00:00Z"); r.stamp = stamp("2026-07-02T00:00:00Z") } => TotalFailed Revoked, [SignerCertRevoked Error];
    signer_revoked_by_a_stale_list: |r| r.ca_list = Some(ListSpec { next_update: "2026-11-22T00:00:00Z", ..revoked(12, "2026-05-01T00:00:00Z").unwrap() }) => TotalFailed Revoked, [SignerCertRevoked Error, RevocationUnknown Indeterminate];
    ca_revoked_before_signing: |r| r.root_list = revoked(2, "2026-05-01T00:00:00Z") => TotalFailed Revoked, [SignerCertRevoked Error];
    cas_of_makers_revoked: |r| { r.root_list = revoked(2, "2026-01-05T00:00:00Z"); r.trust = |t, w| t.iter_mut().filter(|f| f.role == TrustRole::Maker).for_each(|f| f.bytes = w.root.der().to_vec()) } => TotalFailed Revoked, [SignerCertRevoked Error, SealMakerCertRevoked Error];
    no_list: |r| r.ca_list = None => Indeterminate TryLater, [RevocationUnknown Indeterminate];
    no_list_of_the_root: |r| r.root_list = None => Indeterminate TryLater, [RevocationUnknown Indeterminate];
    stale_list: |r| r.ca_list.as_mut().unwrap().next_update = "2026-11-22T00:00:00Z" => Indeterminate TryLater, [RevocationUnknown Indeterminate];
    list_of_tomorrow: |r| r.ca_list.as_mut().unwrap().this_update = "2026-11-26T00:00:00Z" => Indeterminate TryLater, [RevocationUnknown Indeterminate];
    several_codes: |r| r.signer.extra = vec![(CODE_EXTENSION, false, utf8(OTHER_USCC))] => TotalPassed, [SubjectAmbiguous Warning];
    seal_of_another_name: |r| r.seal_name = "北京另一家公司" => TotalPassed, [SubjectMismatch Warning];
    seal_of_another_code: |r| r.es_id = OTHER_USCC => TotalPassed, [SubjectMismatch Warning];
    another_code_required: |r| r.required_uscc = Some(OTHER_USCC) => TotalFailed SigConstraintsFailure, [SubjectMismatch Error];
    trust_list_expired: |r| { r.trust = |t, _| t.retain(|f| f.role != TrustRole::Maker && f.role != TrustRole::Anchor); r.store = |s, w| region(s, w, Some("2026-11-01T00:00:00Z"), false) } => Indeterminate TryLater, [TrustListExpired Indeterminate];

    signed_after_the_certificate: |r| r.signer.to = "2026-05-01T00:00:00Z" => TotalFailed OutOfBoundsNoPoe, [TimeOutsideCert Error, RevocationUnknown Indeterminate];
    signed_before_the_certificate: |r| r.signer.from = "2026-07-01T00:00:00Z" => TotalFailed OutOfBoundsNoPoe, [TimeOutsideCert Error];
    signed_after_the_seal: |r| r.valid[1] = "2026-05-01T00:00:00Z" => TotalFailed OutOfBoundsNoPoe, [TimeOutsideSeal Error, SealExpired Info];
    signed_before_the_seal: |r| { r.created = "2026-07-01T00:00:00Z"; r.valid[0] = "2026-07-01T00:00:00Z" } => TotalFailed OutOfBoundsNoPoe, [TimeOutsideSeal Error, TimeOrder Warning];
    seal_not_yet_valid_now: |r| { r.valid[0] = "2026-12-01T00:00:00Z" } => TotalFailed OutOfBoundsNoPoe, [TimeOutsideSeal Error, SealNotYetValid Info];
    signing_time_after_the_stamp: |r| r.stamp = stamp("2026-05-31T00:00:00Z") => TotalPassed, [TimeOrder Warning];
    signing_time_off_by_eight_hours: |r| r.before = |f| replace(f, DESCRIPTION, "<ofd:SignatureDateTime>20260601083000Z", "<ofd:SignatureDateTime>20260601163000Z") => TotalPassed, [TimeOrder Warning];
    signing_time_in_the_future: |r| r.now = "2026-05-30T00:00:00Z" => Indeterminate TryLater, [TimeOrder Warning, RevocationUnknown Indeterminate];
    seal_made_after_signing: |r| { r.created = "2026-07-01T00:00:00Z" } => TotalPassed, [TimeOrder Warning];
    seal_valid_before_it_was_made: |r| r.created = "2026-01-10T09:00:00Z" => TotalPassed, [TimeOrder Warning];
    seal_made_within_a_day_of_the_makers_certificate: |r| r.maker.from = "2026-01-10T10:00:00Z" => TotalPassed, [TimeOrder Warning];
    seal_made_after_its_own_stamp: |r| { r.version = Version::V5; r.seal_stamp = stamp("2026-01-09T00:00:00Z") } => TotalFailed TimestampOrderFailure, [TimeOrder Error];
    stamp_that_is_none: |r| { r.stamp = stamp("2026-06-01T08:31:00Z"); r.stamp.as_mut().unwrap().garbage = true } => TotalFailed FormatFailure, [Format Error];
    stamp_with_a_changed_signature: |r| { r.stamp = stamp("2026-06-01T08:31:00Z"); r.stamp.as_mut().unwrap().broken = true } => TotalFailed SigCryptoFailure, [TimestampSig Error];
    stamp_over_something_else: |r| { r.stamp = stamp("2026-06-01T08:31:00Z"); r.stamp.as_mut().unwrap().over_other = true } => TotalFailed HashFailure, [TimestampImprint Error];
    stamp_of_an_unknown_authority: |r| { r.stamp = stamp("2026-06-01T08:31:00Z"); r.tsa_self_issued = true } => Indeterminate NoCertificateChainFound, [TimestampCert Indeterminate];
    stamp_of_a_certificate_for_documents: |r| { r.stamp = stamp("2026-06-01T08:31:00Z"); r.tsa.purpose = None } => TotalFailed ChainConstraintsFailure, [TimestampCert Error];
    stamp_of_an_expired_authority: |r| { r.stamp = stamp("2026-06-01T08:31:00Z"); r.tsa.to = "2026-05-01T00:00:00Z"; r.ca_list.as_mut().unwrap().keeps_expired_since = Some("2020-01-01T00:00:00Z") } => TotalFailed OutOfBoundsNoPoe, [TimestampCert Error];
    stamp_of_an_authority_with_a_critical_extension: |r| { r.stamp = stamp("2026-06-01T08:31:00Z"); r.tsa.extra = vec![(UNKNOWN, true, vec![5, 0])] } => TotalFailed ChainConstraintsFailure, [TimestampCert Error];
    stamp_of_a_revoked_authority: |r| { r.stamp = stamp("2026-06-01T08:31:00Z"); r.ca_list = revoked(13, "2026-05-01T00:00:00Z") } => TotalFailed Revoked, [TimestampCert Error];
    stamp_of_an_authority_revoked_later: |r| { r.stamp = stamp("2026-06-01T08:31:00Z"); r.ca_list = revoked(13, "2026-07-01T00:00:00Z") } => Indeterminate RevokedNoPoe, [TimestampCert Indeterminate];
    stamp_of_an_authority_with_a_stale_list: |r| { r.stamp = stamp("2026-06-01T08:31:00Z"); r.ca_list.as_mut().unwrap().next_update = "2026-11-22T00:00:00Z" } => Indeterminate TryLater, [TimestampCert Indeterminate, RevocationUnknown Indeterminate];

    page_not_protected: |r| r.before = |f| remove_reference(f, "/Doc_0/Pages/Page_0/Content.xml") => Indeterminate SigConstraintsFailure, [UncoveredContent Indeterminate];
    entry_file_not_protected: |r| r.before = |f| remove_reference(f, "/OFD.xml") => TotalPassed, [UncoveredContent Warning];
    file_added: |r| r.after = |f, _| f.push(("Doc_0/Attachs/extra.txt".into(), b"?".to_vec())) => TotalPassed, [UncoveredContent Warning];
    another_version_shown: |r| { r.before = |f| remove_reference(f, "/OFD.xml"); r.after = |f, _| {
        replace(f, "OFD.xml", "</ofd:DocRoot>", "</ofd:DocRoot><ofd:Versions><ofd:Version ID=\"1\" Index=\"1\" Current=\"true\" BaseLoc=\"Doc_0/Version.xml\"/></ofd:Versions>");
        f.push(("Doc_0/Version.xml".into(), br#"<ofd:DocVersion xmlns:ofd="http://www.ofdspec.org/2016" ID="1"><ofd:FileList/><ofd:DocRoot>/Doc_0/Document_1.xml</ofd:DocRoot></ofd:DocVersion>"#.to_vec()));
        let document = file(f, "Doc_0/Document.xml").clone();
        f.push(("Doc_0/Document_1.xml".into(), document));
    } } => Indeterminate SigConstraintsFailure, [UncoveredContent Indeterminate, UncoveredContent Warning, VersionNotSigned Indeterminate];
};

/// What the good document shows, which is no fault: no time stamp, no status service.
pub fn base() -> Seen {
    [(Code::TimeClaimedOnly, Level::Warning), (Code::SealStatusUnknown, Level::Info)].into()
}

#[test]
fn good_documents_of_every_kind_are_total_passed() {
    type Change = fn(&mut Recipe);
    let kinds: [(&str, Change); 11] = [
        ("V1", |r| r.version = Version::V1),
        ("V4", |_| {}),
        ("V5", |r| r.version = Version::V5),
        ("V4 with digests", |r| r.listed = Listed::SignerDigest),
        ("V4 stamped", |r| r.stamp = stamp("2026-06-01T08:31:00Z")),
        ("V5 stamped twice", |r| {
            r.version = Version::V5;
            r.seal_stamp = stamp("2026-01-10T00:01:00Z");
            r.stamp = stamp("2026-06-01T08:31:00Z");
        }),
        ("SignedData with attributes", |r| r.value = Value::Attributes),
        ("SignedData with attributes, stamped", |r| {
            r.value = Value::Attributes;
            r.stamp = stamp("2026-06-01T08:31:00Z");
        }),
        ("SignedData over the digest", |r| r.value = Value::Digest),
        ("closed", |r| r.close = true),
        ("three signatures", |r| r.signatures = 3),
    ];
    for (name, change) in kinds {
        let report = Recipe::with(change).judge();
        assert_eq!(report.indication, TotalPassed, "{name}: {report:#?}");
        assert!(seen(&report).is_subset(&base()), "{name}: {:?}", seen(&report));
    }
}

#[test]
fn each_change_adds_its_findings_and_nothing_else() {
    let mut problems = Vec::new();
    for case in OFD {
        let report = Recipe::with(case.change).judge();
        let adds: Seen = case.adds.iter().copied().collect();
        let added: Seen = seen(&report).difference(&base()).copied().collect();
        let sub = report.signatures.iter().find(|s| s.indication == report.indication).and_then(|s| s.sub_indication);
        if added != adds || report.indication != case.indication || (case.sub.is_some() && sub != case.sub) {
            let messages: Vec<_> = report
                .signatures
                .iter()
                .flat_map(|s| &s.findings)
                .chain(&report.findings)
                .map(|f| (f.code, &f.message))
                .collect();
            problems.push(format!("{}: {added:?} {:?} {sub:?} {messages:#?}", case.name, report.indication));
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n\n"));
}

/// Pairs of code and level that another file of this suite reaches, with the test that does.
const ELSEWHERE: &[(Code, Level, &str)] = &[
    (Code::NotSm2, Level::Info, "documents::foreign_algorithms_are_told_apart_from_bad_ones"),
    (Code::NotSm2, Level::Indeterminate, "documents::foreign_algorithms_are_told_apart_from_bad_ones"),
    (Code::DataMissing, Level::Indeterminate, "alone::seal_signature_by_itself_needs_its_data"),
    (Code::RelativeSignature, Level::Indeterminate, "documents::relative_signatures_are_as_good_as_their_base"),
    (Code::ByteRange, Level::Error, "pdf::ranges_that_leave_a_gap_are_told_and_nothing_is_compared"),
    (Code::ChangedAfterSigning, Level::Error, "pdf::later_changes_fail_the_signature_and_later_signatures_do_not"),
    (Code::IntegrityList, Level::Error, "documents::an_integrity_list_proves_names_and_no_contents"),
    (Code::IntegrityList, Level::Info, "documents::an_integrity_list_proves_names_and_no_contents"),
    (Code::SealExpired, Level::Error, "alone::seal_by_itself_is_judged_now"),
    (Code::SealNotYetValid, Level::Error, "alone::seal_by_itself_is_judged_now"),
    (Code::NoSignature, Level::Indeterminate, "documents::a_document_without_signature_proves_nothing_and_a_seal_in_it_neither"),
    (Code::LicenceChecked, Level::Info, "tests/regions: licence_is_compared_with_certificate_and_seal"),
    (Code::LicenceState, Level::Error, "tests/regions: licence_is_compared_with_certificate_and_seal"),
    (Code::LicenceUnknown, Level::Indeterminate, "tests/regions: licence_is_compared_with_certificate_and_seal"),
    (Code::TrustListConflict, Level::Indeterminate, "tests/regions: two_accepted_lists_that_disagree_decide_nothing"),
    (
        Code::TimestampCert,
        Level::Info,
        "dss::an_authority_revoked_after_a_later_stamp_is_told_and_one_revoked_before_it_is_not_believed",
    ),
    (Code::ImageOnly, Level::Warning, "documents::a_document_without_signature_proves_nothing_and_a_seal_in_it_neither"),
];

#[test]
fn every_code_is_reached_at_every_level_it_has() {
    let reached: Seen = OFD
        .iter()
        .flat_map(|case| case.adds.iter().copied())
        .chain(ELSEWHERE.iter().map(|(code, level, _)| (*code, *level)))
        .chain(base())
        .collect();
    let all: Seen = Reason::ALL.iter().map(|reason| (reason.code(), reason.level())).collect();
    assert_eq!(all.difference(&reached).collect::<Vec<_>>(), Vec::<&(Code, Level)>::new());
}

#[test]
fn messages_have_no_empty_place_and_name_both_sides() {
    for case in OFD {
        let report = Recipe::with(case.change).judge();
        for finding in report.signatures.iter().flat_map(|s| &s.findings).chain(&report.findings) {
            for text in [&finding.message, &finding.message_zh] {
                assert!(!text.contains(['{', '}']), "{}: {text}", case.name);
            }
        }
    }
}
