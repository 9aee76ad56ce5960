//! What a signed value carries beside the signature: certificates of the signer, of the seal's maker and of time stamp authorities, and
//! revocation data. Nothing of it is believed because it came along.

use jiff::Timestamp;

use super::cms;
use super::verifier::Verifier;
use crate::cms::SignedData;
use crate::pki::TimeStampToken;
use crate::ses::{self, Kind, SesSignature};

/// DER of the certificates in a signed value (SES_Signature or SignedData, zeros after it allowed), those of its time stamps and of its
/// seal among them. Nothing where it cannot be read.
pub fn certificates(value: &[u8]) -> Vec<Vec<u8>> {
    let mut out = Vec::new();
    for part in parts(value) {
        match part {
            Part::Certificate(der) => out.push(der),
            Part::SignedData(data) => out.extend(data.certificates().iter().cloned()),
            Part::TimeStamp(token) => out.extend(token.signed_data().certificates().iter().cloned()),
        }
    }
    out
}

/// The time of the first time stamp over a signed value, as the token says it. Nobody has judged it.
pub fn stamped_at(value: &[u8]) -> Option<Timestamp> {
    parts(value).into_iter().find_map(|part| match part {
        Part::TimeStamp(token) => Some(token.time()),
        _ => None,
    })
}

/// Makes all of it known to the verifier, once for the whole document.
pub(super) fn take(verifier: &mut Verifier<'_>, value: &[u8]) {
    for part in parts(value) {
        match part {
            Part::Certificate(der) => drop(verifier.certificate(&der)),
            Part::SignedData(data) => take_from(verifier, &data),
            Part::TimeStamp(token) => take_from(verifier, token.signed_data()),
        }
    }
}

fn take_from(verifier: &mut Verifier<'_>, data: &SignedData) {
    data.certificates().iter().for_each(|der| drop(verifier.certificate(der)));
    cms::enclosed(verifier, data);
}

enum Part {
    Certificate(Vec<u8>),
    SignedData(Box<SignedData>),
    TimeStamp(Box<TimeStampToken>),
}

fn parts(value: &[u8]) -> Vec<Part> {
    let token = |der: &[u8]| TimeStampToken::parse(der).ok().map(|token| Part::TimeStamp(Box::new(token)));
    let mut out = Vec::new();
    match ses::detect(value) {
        Kind::Signature(_) => {
            let Ok(signature) = SesSignature::parse(value) else { return out };
            out.push(Part::Certificate(signature.signer_certificate().to_vec()));
            out.push(Part::Certificate(signature.seal().maker_certificate().to_vec()));
            out.extend(signature.time_stamp().and_then(token));
        }
        Kind::Cms => {
            let Ok(padded) = SignedData::parse_padded(value) else { return out };
            let tokens: Vec<Part> =
                padded.signed_data.signers().iter().flat_map(|signer| signer.time_stamps()).filter_map(token).collect();
            out.push(Part::SignedData(Box::new(padded.signed_data)));
            out.extend(tokens);
        }
        _ => {}
    }
    out
}
