//! Distinguished names: kept as received, decoded leniently for people and for comparison.

use std::fmt;

use crate::asn1::{Asn1Error, Oid, SEQUENCE, SET, Tlv};

/// Most attributes in one name. Real ones have up to nine; the bound keeps a hostile name from costing time at each comparison.
const MAX_ATTRIBUTES: usize = 64;

/// `Name ::= SEQUENCE OF SET OF SEQUENCE { type OID, value ANY }` (RFC 5280 clause 4.1.2.4).
#[derive(Clone, Debug)]
pub struct Name {
    raw: Vec<u8>,
    attributes: Vec<Attribute>,
    key: String,
}

/// One attribute of a name.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Attribute {
    /// Contents octets of the type's OID.
    pub oid: Vec<u8>,
    /// The value as text: any string type, UTF-8 or GBK or UTF-16; other types as their raw octets read as text.
    pub text: String,
    /// The contents octets of the value as they stand.
    pub value: Vec<u8>,
}

/// Contents octets of attribute types that are shown by a short name.
const SHORT: [(&[u8], &str); 12] = [
    (&[0x55, 4, 3], "CN"),
    (&[0x55, 4, 4], "SN"),
    (&[0x55, 4, 5], "serialNumber"),
    (&[0x55, 4, 6], "C"),
    (&[0x55, 4, 7], "L"),
    (&[0x55, 4, 8], "ST"),
    (&[0x55, 4, 9], "street"),
    (&[0x55, 4, 10], "O"),
    (&[0x55, 4, 11], "OU"),
    (&[0x55, 4, 12], "title"),
    (&[0x55, 4, 42], "GN"),
    (b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x01", "emailAddress"),
];

/// commonName, `2.5.4.3`
pub const COMMON_NAME: &[u8] = &[0x55, 4, 3];
/// organizationName, `2.5.4.10`
pub const ORGANIZATION: &[u8] = &[0x55, 4, 10];

impl Name {
    /// Reads a name.
    pub fn parse(tlv: Tlv<'_>) -> Result<Self, Asn1Error> {
        let mut attributes = Vec::new();
        for set in tlv.expect(SEQUENCE)?.children()? {
            for pair in set.expect(SET)?.children()? {
                if attributes.len() == MAX_ATTRIBUTES {
                    return Err(Asn1Error::Limit);
                }
                let mut pair = pair.expect(SEQUENCE)?.elements();
                let oid = pair.next(crate::asn1::OID)?.oid()?.0.to_vec();
                let value = pair.any()?;
                pair.end()?;
                let text = value.text().unwrap_or_else(|| String::from_utf8_lossy(value.value).into_owned());
                attributes.push(Attribute { oid, text, value: value.value.to_vec() });
            }
        }
        let key = matching_key(&attributes);
        Ok(Self { raw: tlv.raw.to_vec(), attributes, key })
    }

    /// The encoding as received.
    pub fn raw(&self) -> &[u8] {
        &self.raw
    }

    /// The attributes in the order of the file.
    pub fn attributes(&self) -> &[Attribute] {
        &self.attributes
    }

    /// Text of the last attribute of this type: the most specific one.
    pub fn text_of(&self, oid: &[u8]) -> Option<&str> {
        self.attributes.iter().rev().find(|a| a.oid == oid).map(|a| a.text.as_str())
    }

    /// What a person is shown where one line is too much: CN, else O, else the whole name.
    pub fn short(&self) -> String {
        self.text_of(COMMON_NAME).or_else(|| self.text_of(ORGANIZATION)).map_or_else(|| self.to_string(), str::to_owned)
    }

    /// Equality of RFC 5280 clause 7.1, near enough for finding candidates: types in order, texts without regard to ASCII case,
    /// string type and repeated blanks. What decides in the end is the signature.
    pub fn matches(&self, other: &Self) -> bool {
        self.key == other.key
    }

    /// The same text for names that match.
    pub(super) fn key(&self) -> &str {
        &self.key
    }
}

/// Types in hexadecimal digits and normalised texts, each ended by a character that neither holds.
fn matching_key(attributes: &[Attribute]) -> String {
    let mut key = String::new();
    for attribute in attributes {
        key.push_str(&super::certificate::hex(&attribute.oid));
        for word in attribute.text.split_whitespace() {
            key.push(' ');
            key.push_str(&word.to_ascii_lowercase());
        }
        key.push('\0');
    }
    key
}

/// RFC 4514 order (most specific first), control characters shown escaped so that a name cannot move a terminal's cursor.
impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, attribute) in self.attributes.iter().rev().enumerate() {
            if i > 0 {
                f.write_str(", ")?;
            }
            match SHORT.iter().find(|(oid, _)| *oid == attribute.oid) {
                Some((_, short)) => f.write_str(short)?,
                None => write!(f, "{}", Oid(&attribute.oid))?,
            }
            f.write_str("=")?;
            for c in attribute.text.chars() {
                match c {
                    ',' | '+' | '"' | '\\' | '<' | '>' | ';' => write!(f, "\\{c}")?,
                    c if c.is_control() => write!(f, "{}", c.escape_default())?,
                    c => write!(f, "{c}")?,
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::asn1::{BMP_STRING, PRINTABLE_STRING, UTF8_STRING, der, der_of, object_identifier, sequence};

    fn name(pairs: &[(&[u8], u8, &[u8])]) -> Name {
        let sets: Vec<Vec<u8>> = pairs
            .iter()
            .map(|(oid, tag, text)| der_of(SET, &[&sequence(&[&object_identifier(Oid(oid)), &der(*tag, text)])]))
            .collect();
        Name::parse(Tlv::read_all(&der(SEQUENCE, &sets.concat())).unwrap()).unwrap()
    }

    #[test]
    fn gbk_and_utf16_names_are_readable() {
        let gbk = name(&[(COMMON_NAME, UTF8_STRING, &[0xd6, 0xd0, 0xb9, 0xfa])]);
        let bmp = name(&[(COMMON_NAME, BMP_STRING, &[0x4e, 0x2d, 0x56, 0xfd])]);
        assert_eq!((gbk.to_string().as_str(), bmp.to_string().as_str()), ("CN=中国", "CN=中国"));
        assert!(gbk.matches(&bmp));
    }

    #[test]
    fn names_match_over_string_types_case_and_blanks_but_not_over_types() {
        let a = name(&[(ORGANIZATION, PRINTABLE_STRING, b"Root  CA")]);
        assert!(a.matches(&name(&[(ORGANIZATION, UTF8_STRING, b"root ca")])));
        assert!(!a.matches(&name(&[(COMMON_NAME, UTF8_STRING, b"Root CA")])));
        assert!(!a.matches(&name(&[(ORGANIZATION, UTF8_STRING, b"Root CA 2")])));
    }

    #[test]
    fn control_characters_and_separators_are_escaped() {
        let evil = name(&[(COMMON_NAME, UTF8_STRING, b"a, O=b\x1b[2J")]);
        assert_eq!(evil.to_string(), "CN=a\\, O=b\\u{1b}[2J");
    }
}
