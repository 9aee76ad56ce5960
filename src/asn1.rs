//! Reading and writing of ASN.1 values as they stand in files.
//!
//! Real seals, certificates and signed values are not always DER (shared finding: explicit `DEFAULT FALSE`, negative and
//! non-minimal integers, wrong string types), and every signature is checked over the bytes **as received**. So this reader never
//! re-encodes: a [`Tlv`] is a window on the input, and what it tolerated the caller names. It refuses indefinite lengths (BER),
//! lengths that leave the input, and counts beyond its limits. Nobody here recurses on input, so nesting costs nothing. The writer makes DER.

use std::fmt;

/// Most elements in one constructed value; the largest real one is a CRL with some ten thousand entries.
pub const MAX_ELEMENTS: usize = 2_000_000;

/// Identifier octet of a low-tag-number value. High tag numbers (`1f`) are refused: no structure here has one.
pub type Tag = u8;

/// `BOOLEAN`
pub const BOOLEAN: Tag = 0x01;
/// `INTEGER`
pub const INTEGER: Tag = 0x02;
/// `BIT STRING`
pub const BIT_STRING: Tag = 0x03;
/// `OCTET STRING`
pub const OCTET_STRING: Tag = 0x04;
/// `NULL`
pub const NULL: Tag = 0x05;
/// `OBJECT IDENTIFIER`
pub const OID: Tag = 0x06;
/// `ENUMERATED`
pub const ENUMERATED: Tag = 0x0a;
/// `UTF8String`
pub const UTF8_STRING: Tag = 0x0c;
/// `PrintableString`
pub const PRINTABLE_STRING: Tag = 0x13;
/// `IA5String`
pub const IA5_STRING: Tag = 0x16;
/// `UTCTime`
pub const UTC_TIME: Tag = 0x17;
/// `GeneralizedTime`
pub const GENERALIZED_TIME: Tag = 0x18;
/// `BMPString`
pub const BMP_STRING: Tag = 0x1e;
/// `SEQUENCE`
pub const SEQUENCE: Tag = 0x30;
/// `SET`
pub const SET: Tag = 0x31;

/// Context tag `[n]`, constructed.
pub const fn context(n: u8) -> Tag {
    0xa0 | n
}

/// Context tag `[n]`, primitive (IMPLICIT on a primitive type).
pub const fn context_primitive(n: u8) -> Tag {
    0x80 | n
}

/// Why bytes are not the value that was expected.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Asn1Error {
    /// The value ends inside a tag, a length or its contents.
    #[error("cut short")]
    Cut,
    /// A length form that is not used in signed structures (indefinite, or more than four octets).
    #[error("length form not accepted")]
    Length,
    /// More elements or deeper nesting than the limit.
    #[error("a limit of the reader is exceeded")]
    Limit,
    /// Another tag than expected, or a value missing.
    #[error("expected {expected:#04x}, found {found:?}")]
    Tag {
        /// The tag that was wanted.
        expected: Tag,
        /// The tag that stands there, or nothing.
        found: Option<Tag>,
    },
    /// Bytes after the end.
    #[error("bytes after the end of the value")]
    Trailing,
    /// The contents do not fit the type.
    #[error("contents do not fit the type {0:#04x}")]
    Value(Tag),
}

/// One tag-length-value, as it stands.
#[derive(Clone, Copy, Eq, PartialEq)]
pub struct Tlv<'a> {
    /// Identifier octet.
    pub tag: Tag,
    /// The whole encoding, header included: what signatures cover.
    pub raw: &'a [u8],
    /// The contents octets.
    pub value: &'a [u8],
}

impl fmt::Debug for Tlv<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tlv({:#04x}, {} bytes)", self.tag, self.value.len())
    }
}

impl<'a> Tlv<'a> {
    /// Reads one value from the start of `bytes`; returns it and what follows it.
    pub fn read(bytes: &'a [u8]) -> Result<(Self, &'a [u8]), Asn1Error> {
        let (tag, first) = match bytes {
            [tag, first, ..] => (*tag, *first),
            _ => return Err(Asn1Error::Cut),
        };
        if tag & 0x1f == 0x1f {
            return Err(Asn1Error::Value(tag));
        }
        let (header, len) = match first {
            0..=0x7f => (2, usize::from(first)),
            0x81..=0x84 => {
                let digits = bytes.get(2..2 + usize::from(first & 0x7f)).ok_or(Asn1Error::Cut)?;
                (2 + digits.len(), digits.iter().fold(0usize, |n, d| n << 8 | usize::from(*d)))
            }
            _ => return Err(Asn1Error::Length),
        };
        let end = header.checked_add(len).ok_or(Asn1Error::Length)?;
        let raw = bytes.get(..end).ok_or(Asn1Error::Cut)?;
        Ok((Self { tag, raw, value: &raw[header..] }, &bytes[end..]))
    }

    /// Reads one value that must be all of `bytes`.
    pub fn read_all(bytes: &'a [u8]) -> Result<Self, Asn1Error> {
        match Self::read(bytes)? {
            (tlv, []) => Ok(tlv),
            _ => Err(Asn1Error::Trailing),
        }
    }

    /// The same value, if it has this tag.
    pub fn expect(self, tag: Tag) -> Result<Self, Asn1Error> {
        if self.tag == tag { Ok(self) } else { Err(Asn1Error::Tag { expected: tag, found: Some(self.tag) }) }
    }

    /// Whether the length takes no more octets than it needs, as DER demands.
    pub fn has_minimal_length(&self) -> bool {
        let least = match self.value.len() {
            0..=0x7f => 2,
            0x80..=0xff => 3,
            0x100..=0xffff => 4,
            0x1_0000..=0xff_ffff => 5,
            _ => 6,
        };
        self.raw.len() - self.value.len() == least
    }

    /// A reader over the elements of a constructed value.
    pub fn elements(self) -> Reader<'a> {
        Reader { rest: self.value }
    }

    /// All elements of a constructed value.
    pub fn children(self) -> Result<Vec<Tlv<'a>>, Asn1Error> {
        let mut reader = self.elements();
        let mut out = Vec::new();
        while !reader.is_empty() {
            if out.len() == MAX_ELEMENTS {
                return Err(Asn1Error::Limit);
            }
            out.push(reader.any()?);
        }
        Ok(out)
    }

    /// Contents of a BIT STRING without the unused-bits octet, which must be 0.
    pub fn bit_string(self) -> Result<&'a [u8], Asn1Error> {
        match self.expect(BIT_STRING)?.value {
            [0, bits @ ..] => Ok(bits),
            _ => Err(Asn1Error::Value(BIT_STRING)),
        }
    }

    /// Contents of an OCTET STRING.
    pub fn octet_string(self) -> Result<&'a [u8], Asn1Error> {
        Ok(self.expect(OCTET_STRING)?.value)
    }

    /// A small non-negative INTEGER (versions, types, millimetres), non-minimal encodings accepted.
    pub fn small_integer(self) -> Result<u64, Asn1Error> {
        let digits = self.expect(INTEGER)?.value;
        if digits.is_empty() || digits[0] & 0x80 != 0 || digits.len() > 9 || (digits.len() == 9 && digits[0] != 0) {
            return Err(Asn1Error::Value(INTEGER));
        }
        Ok(digits.iter().fold(0, |n, d| n << 8 | u64::from(*d)))
    }

    /// BOOLEAN: `00` is false, every other single octet true.
    pub fn boolean(self) -> Result<bool, Asn1Error> {
        match self.expect(BOOLEAN)?.value {
            [b] => Ok(*b != 0),
            _ => Err(Asn1Error::Value(BOOLEAN)),
        }
    }

    /// OBJECT IDENTIFIER, as its contents octets. Nonsense contents are kept (ses.md §6.3); [`Oid::dotted`] shows them.
    pub fn oid(self) -> Result<Oid<'a>, Asn1Error> {
        Ok(Oid(self.expect(OID)?.value))
    }

    /// Text of any string type, decoded as its type says; UTF-8 that is not UTF-8 is read as GB18030, the other encoding met in the
    /// field. `None` for a type that is no string.
    pub fn text(self) -> Option<String> {
        match self.tag {
            UTF8_STRING | PRINTABLE_STRING | IA5_STRING | 0x14 | 0x1a | 0x12 | 0x1b => {
                Some(match std::str::from_utf8(self.value) {
                    Ok(text) => text.to_owned(),
                    Err(_) => encoding_rs::GB18030.decode_without_bom_handling(self.value).0.into_owned(),
                })
            }
            BMP_STRING => Some(encoding_rs::UTF_16BE.decode_without_bom_handling(self.value).0.into_owned()),
            _ => None,
        }
    }
}

/// Walks the elements of one constructed value.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// A reader over concatenated values.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Whether nothing is left.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The tag of the next element.
    pub fn peek(&self) -> Option<Tag> {
        self.rest.first().copied()
    }

    /// The next element, whatever it is.
    pub fn any(&mut self) -> Result<Tlv<'a>, Asn1Error> {
        let (tlv, rest) = Tlv::read(self.rest)?;
        self.rest = rest;
        Ok(tlv)
    }

    /// The next element, which must have this tag.
    pub fn next(&mut self, tag: Tag) -> Result<Tlv<'a>, Asn1Error> {
        match self.peek() {
            Some(found) if found == tag => self.any(),
            found => Err(Asn1Error::Tag { expected: tag, found }),
        }
    }

    /// The next element if it has this tag.
    pub fn optional(&mut self, tag: Tag) -> Result<Option<Tlv<'a>>, Asn1Error> {
        if self.peek() == Some(tag) { self.any().map(Some) } else { Ok(None) }
    }

    /// Nothing may be left.
    pub fn end(self) -> Result<(), Asn1Error> {
        if self.rest.is_empty() { Ok(()) } else { Err(Asn1Error::Trailing) }
    }
}

/// Contents octets of an OBJECT IDENTIFIER.
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
pub struct Oid<'a>(pub &'a [u8]);

impl Oid<'_> {
    /// Dotted decimal form; contents that are no OID are shown as `raw:` and hexadecimal digits.
    pub fn dotted(&self) -> String {
        let mut arcs: Vec<u128> = Vec::new();
        let mut arc: u128 = 0;
        for (i, byte) in self.0.iter().enumerate() {
            if arc >> 120 != 0 || i > 64 {
                return self.raw();
            }
            arc = arc << 7 | u128::from(byte & 0x7f);
            if byte & 0x80 == 0 {
                if arcs.is_empty() {
                    let top = (arc / 40).min(2);
                    arcs.extend([top, arc - 40 * top]);
                } else {
                    arcs.push(arc);
                }
                arc = 0;
            }
        }
        if arcs.is_empty() || self.0.last().is_some_and(|b| b & 0x80 != 0) {
            return self.raw();
        }
        arcs.iter().map(u128::to_string).collect::<Vec<_>>().join(".")
    }

    fn raw(&self) -> String {
        self.0.iter().fold("raw:".to_owned(), |out, b| out + &format!("{b:02x}"))
    }
}

impl fmt::Debug for Oid<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.dotted())
    }
}

impl fmt::Display for Oid<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.dotted())
    }
}

/// DER of one value from its tag and contents.
pub fn der(tag: Tag, contents: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(contents.len() + 6);
    out.push(tag);
    match contents.len() {
        n @ 0..=0x7f => out.push(n as u8),
        n => {
            let digits = n.to_be_bytes();
            let digits = &digits[digits.iter().take_while(|d| **d == 0).count()..];
            out.push(0x80 | digits.len() as u8);
            out.extend_from_slice(digits);
        }
    }
    out.extend_from_slice(contents);
    out
}

/// DER of a constructed value from the DER of its elements.
pub fn der_of(tag: Tag, elements: &[&[u8]]) -> Vec<u8> {
    der(tag, &elements.concat())
}

/// DER SEQUENCE of the given elements.
pub fn sequence(elements: &[&[u8]]) -> Vec<u8> {
    der_of(SEQUENCE, elements)
}

/// DER SET OF: the elements sorted by their encodings (X.690 clause 11.6).
pub fn set_of(elements: &[Vec<u8>]) -> Vec<u8> {
    let mut sorted: Vec<&[u8]> = elements.iter().map(Vec::as_slice).collect();
    sorted.sort_unstable();
    der_of(SET, &sorted)
}

/// DER INTEGER from big-endian digits of a non-negative number.
pub fn unsigned_integer(digits: &[u8]) -> Vec<u8> {
    let digits = &digits[digits.iter().take_while(|d| **d == 0).count().min(digits.len().saturating_sub(1))..];
    match digits {
        [] => der(INTEGER, &[0]),
        [first, ..] if first & 0x80 != 0 => der_of(INTEGER, &[&[0], digits]),
        _ => der(INTEGER, digits),
    }
}

/// DER INTEGER from a small number.
pub fn integer(n: u64) -> Vec<u8> {
    unsigned_integer(&n.to_be_bytes())
}

/// DER BIT STRING with no unused bits.
pub fn bit_string(bytes: &[u8]) -> Vec<u8> {
    der_of(BIT_STRING, &[&[0], bytes])
}

/// DER OBJECT IDENTIFIER from its contents octets (a constant of [`oid`]).
pub fn object_identifier(oid: Oid<'_>) -> Vec<u8> {
    der(OID, oid.0)
}

/// Object identifiers, as contents octets.
pub mod oid {
    use super::Oid;

    /// SM2 with SM3 signature, `1.2.156.10197.1.501` (GB/T 33560)
    pub const SM2_WITH_SM3: Oid<'static> = Oid(b"\x2a\x81\x1c\xcf\x55\x01\x83\x75");
    /// SM3, `1.2.156.10197.1.401`
    pub const SM3: Oid<'static> = Oid(b"\x2a\x81\x1c\xcf\x55\x01\x83\x11");
    /// SM2 curve, `1.2.156.10197.1.301`
    pub const SM2_CURVE: Oid<'static> = Oid(b"\x2a\x81\x1c\xcf\x55\x01\x82\x2d");
    /// SM2 signature algorithm, `1.2.156.10197.1.301.1`
    pub const SM2_SIGN: Oid<'static> = Oid(b"\x2a\x81\x1c\xcf\x55\x01\x82\x2d\x01");
    /// `id-ecPublicKey`, `1.2.840.10045.2.1`
    pub const EC_PUBLIC_KEY: Oid<'static> = Oid(b"\x2a\x86\x48\xce\x3d\x02\x01");
    /// GB/T 35275 data, `1.2.156.10197.6.1.4.2.1`
    pub const GM_DATA: Oid<'static> = Oid(b"\x2a\x81\x1c\xcf\x55\x06\x01\x04\x02\x01");
    /// GB/T 35275 signedData, `1.2.156.10197.6.1.4.2.2`
    pub const GM_SIGNED_DATA: Oid<'static> = Oid(b"\x2a\x81\x1c\xcf\x55\x06\x01\x04\x02\x02");
    /// PKCS#7 data, `1.2.840.113549.1.7.1`
    pub const PKCS7_DATA: Oid<'static> = Oid(b"\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01");
    /// PKCS#7 signedData, `1.2.840.113549.1.7.2`
    pub const PKCS7_SIGNED_DATA: Oid<'static> = Oid(b"\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02");
    /// contentType attribute, `1.2.840.113549.1.9.3`
    pub const CONTENT_TYPE: Oid<'static> = Oid(b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x03");
    /// messageDigest attribute, `1.2.840.113549.1.9.4`
    pub const MESSAGE_DIGEST: Oid<'static> = Oid(b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x04");
    /// signingTime attribute, `1.2.840.113549.1.9.5`
    pub const SIGNING_TIME: Oid<'static> = Oid(b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x05");
    /// signature time stamp attribute, `1.2.840.113549.1.9.16.2.14`
    pub const TIME_STAMP_TOKEN: Oid<'static> = Oid(b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x02\x0e");
    /// TSTInfo content type, `1.2.840.113549.1.9.16.1.4`
    pub const TST_INFO: Oid<'static> = Oid(b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x01\x04");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn oids_print_dotted_and_nonsense_prints_raw() {
        assert_eq!(oid::SM2_WITH_SM3.dotted(), "1.2.156.10197.1.501");
        assert_eq!(oid::SM2_SIGN.dotted(), "1.2.156.10197.1.301.1");
        assert_eq!(oid::GM_SIGNED_DATA.dotted(), "1.2.156.10197.6.1.4.2.2");
        assert_eq!(oid::TST_INFO.dotted(), "1.2.840.113549.1.9.16.1.4");
        assert_eq!(oid::TIME_STAMP_TOKEN.dotted(), "1.2.840.113549.1.9.16.2.14");
        assert_eq!(Oid(b"\xff").dotted(), "raw:ff");
        assert_eq!(Oid(b"").dotted(), "raw:");
    }

    #[test]
    fn lengths_outside_the_input_and_indefinite_ones_are_refused() {
        assert_eq!(Tlv::read(&[0x30, 0x80, 0, 0]), Err(Asn1Error::Length));
        assert_eq!(Tlv::read(&[0x30, 5, 0]), Err(Asn1Error::Cut));
        assert_eq!(Tlv::read(&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff]), Err(Asn1Error::Cut));
        assert_eq!(Tlv::read(&[0x30, 0x85, 0, 0, 0, 0, 0]), Err(Asn1Error::Length));
        assert_eq!(Tlv::read_all(&[5, 0, 0]), Err(Asn1Error::Trailing));
    }

    #[test]
    fn integers_are_minimal_when_written() {
        assert_eq!(integer(0), [2, 1, 0]);
        assert_eq!(integer(127), [2, 1, 127]);
        assert_eq!(integer(128), [2, 2, 0, 128]);
        assert_eq!(unsigned_integer(&[0, 0, 0x80]), [2, 2, 0, 0x80]);
        assert_eq!(unsigned_integer(&[]), [2, 1, 0]);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(tag in prop::sample::select(vec![OCTET_STRING, SEQUENCE, BIT_STRING]), contents in prop::collection::vec(any::<u8>(), 0..70_000)) {
            let bytes = der(tag, &contents);
            let tlv = Tlv::read_all(&bytes).unwrap();
            prop_assert_eq!((tlv.tag, tlv.value, tlv.raw), (tag, contents.as_slice(), bytes.as_slice()));
        }

        #[test]
        fn reading_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            if let Ok((tlv, _)) = Tlv::read(&bytes) {
                let _ = (tlv.children(), tlv.text(), tlv.small_integer(), tlv.oid().map(|o| o.dotted()));
            }
        }
    }
}
