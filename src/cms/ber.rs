//! BER to definite lengths: some certificate bundles and older signers write indefinite lengths and strings in pieces.

use crate::asn1::{Asn1Error, OCTET_STRING, Tlv, der};

/// Deepest nesting that is followed. A SignedData with certificates and an embedded time stamp has about 20 levels.
const MAX_DEPTH: usize = 48;

/// Identifier of an OCTET STRING in pieces.
const CONSTRUCTED_OCTET_STRING: u8 = 0x24;

/// The value at the start of `bytes` with definite lengths and whole OCTET STRINGs, and how many bytes it took. Values that have
/// neither indefinite lengths nor pieces inside stay byte for byte, so certificates and digests in it stay good.
pub fn to_definite(bytes: &[u8]) -> Result<(Vec<u8>, usize), Asn1Error> {
    convert(bytes, MAX_DEPTH)
}

fn convert(bytes: &[u8], depth: usize) -> Result<(Vec<u8>, usize), Asn1Error> {
    let depth = depth.checked_sub(1).ok_or(Asn1Error::Limit)?;
    if let [tag, 0x80, rest @ ..] = bytes {
        if tag & 0x20 == 0 {
            return Err(Asn1Error::Length);
        }
        let (mut contents, mut at) = (Vec::new(), 0);
        while !rest[at..].starts_with(&[0, 0]) {
            let (piece, taken) = convert(&rest[at..], depth)?;
            contents.extend(piece);
            at += taken;
        }
        return Ok((rebuild(*tag, &contents)?, at + 4));
    }
    let (tlv, _) = Tlv::read(bytes)?;
    if tlv.tag & 0x20 == 0 {
        return Ok((tlv.raw.to_vec(), tlv.raw.len()));
    }
    let (mut contents, mut at) = (Vec::with_capacity(tlv.value.len()), 0);
    while at < tlv.value.len() {
        let (piece, taken) = convert(&tlv.value[at..], depth)?;
        contents.extend(piece);
        at += taken;
    }
    let unchanged = contents == tlv.value && tlv.tag != CONSTRUCTED_OCTET_STRING;
    Ok((if unchanged { tlv.raw.to_vec() } else { rebuild(tlv.tag, &contents)? }, tlv.raw.len()))
}

/// A constructed value from its converted contents; the pieces of an OCTET STRING are joined.
fn rebuild(tag: u8, contents: &[u8]) -> Result<Vec<u8>, Asn1Error> {
    if tag != CONSTRUCTED_OCTET_STRING {
        return Ok(der(tag, contents));
    }
    let mut joined = Vec::with_capacity(contents.len());
    let mut rest = contents;
    while !rest.is_empty() {
        let (piece, after) = Tlv::read(rest)?;
        joined.extend_from_slice(piece.octet_string()?);
        rest = after;
    }
    Ok(der(OCTET_STRING, &joined))
}
