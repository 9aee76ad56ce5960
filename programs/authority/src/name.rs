//! Distinguished names, for writing (GB/T 20518 clause 5.2.3.4, RFC 5280 clause 4.1.2.4).

use sealagent::asn1::{
    Asn1Error, Oid, PRINTABLE_STRING, SEQUENCE, SET, Tlv, UTF8_STRING, der, der_of, object_identifier, sequence,
};

use crate::oid;

/// Upper bounds in characters (RFC 5280 appendix A, ub-common-name and the like); 2 for the country.
const BOUND: usize = 64;
/// Most attributes that a name in a request may have; real ones have up to nine.
const MAX_ATTRIBUTES: usize = 64;

/// Why a text cannot stand in a name.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// The country is not two letters.
    #[error("the country must be two capital letters, found {0:?}")]
    Country(String),
    /// The bytes are no name.
    #[error("not a distinguished name: {0}")]
    Encoding(#[from] Asn1Error),
    /// Nothing to write.
    #[error("an attribute of the name is empty")]
    Empty,
    /// More characters than the attribute may have.
    #[error("an attribute of the name may have {BOUND} characters, this one has {found}")]
    TooLong {
        /// Characters that it has.
        found: usize,
    },
}

/// `Name`, one attribute to each relative name, in the order given. Texts are UTF8String, the country is a PrintableString.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Name {
    attributes: Vec<(Vec<u8>, String)>,
}

impl Name {
    /// A name in China: `C=CN` and nothing else yet.
    pub fn china() -> Self {
        Self { attributes: vec![(oid::COUNTRY.0.to_vec(), "CN".to_owned())] }
    }

    /// `C=CN, O=` USCC immediately followed by the name, `CN=` seal code: how government seals name their owner (trust.md §2).
    pub fn seal_owner(uscc: &str, name: &str, es_id: &str) -> Self {
        Self::china().organization(&format!("{uscc}{name}")).common_name(es_id)
    }

    /// Adds an organizationName.
    pub fn organization(self, text: &str) -> Self {
        self.with(oid::ORGANIZATION, text)
    }

    /// Adds an organizationalUnitName.
    pub fn organizational_unit(self, text: &str) -> Self {
        self.with(oid::ORGANIZATIONAL_UNIT, text)
    }

    /// Adds a commonName.
    pub fn common_name(self, text: &str) -> Self {
        self.with(oid::COMMON_NAME, text)
    }

    /// Adds any attribute, by the contents octets of its type (constants: [`crate::oid`]).
    pub fn with(mut self, oid: Oid<'_>, text: &str) -> Self {
        self.attributes.push((oid.0.to_vec(), text.to_owned()));
        self
    }

    /// Reads a name that somebody asks for. String types are forgotten: what is issued is written anew.
    pub fn from_der(bytes: &[u8]) -> Result<Self, NameError> {
        let mut attributes = Vec::new();
        for set in Tlv::read_all(bytes)?.expect(SEQUENCE)?.children()? {
            for pair in set.expect(SET)?.children()? {
                if attributes.len() == MAX_ATTRIBUTES {
                    return Err(Asn1Error::Limit.into());
                }
                let mut pair = pair.expect(SEQUENCE)?.elements();
                let oid = pair.any()?.oid()?;
                let value = pair.any()?;
                pair.end()?;
                attributes.push((oid.0.to_vec(), value.text().ok_or(Asn1Error::Value(value.tag))?));
            }
        }
        Ok(Self { attributes })
    }

    /// The first attribute of this type.
    pub fn attribute(&self, oid: Oid<'_>) -> Option<&str> {
        self.attributes.iter().find(|(found, _)| found == oid.0).map(|(_, text)| text.as_str())
    }

    /// DER of the name. Refuses what the attribute types cannot hold.
    pub fn to_der(&self) -> Result<Vec<u8>, NameError> {
        let mut sets = Vec::with_capacity(self.attributes.len());
        for (oid, text) in &self.attributes {
            let tag = if oid == oid::COUNTRY.0 {
                if text.len() != 2 || !text.bytes().all(|b| b.is_ascii_uppercase()) {
                    return Err(NameError::Country(text.clone()));
                }
                PRINTABLE_STRING
            } else {
                match text.chars().count() {
                    0 => return Err(NameError::Empty),
                    found if found > BOUND => return Err(NameError::TooLong { found }),
                    _ => UTF8_STRING,
                }
            };
            sets.push(der_of(SET, &[&sequence(&[&object_identifier(Oid(oid)), &der(tag, text.as_bytes())])]));
        }
        Ok(sequence(&sets.iter().map(Vec::as_slice).collect::<Vec<_>>()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn country_is_printable_and_the_rest_is_utf8() {
        let der = Name::china().common_name("印").to_der().unwrap();
        assert_eq!(
            der,
            b"\x30\x1b\x31\x0b\x30\x09\x06\x03\x55\x04\x06\x13\x02CN\x31\x0c\x30\x0a\x06\x03\x55\x04\x03\x0c\x03\xe5\x8d\xb0"
        );
    }

    #[test]
    fn name_is_read_back() {
        let name = Name::seal_owner("91440300MA5DEMO00X", "深圳市某某科技有限公司", "44030000000001");
        assert_eq!(Name::from_der(&name.to_der().unwrap()), Ok(name.clone()));
        assert_eq!(name.attribute(oid::ORGANIZATION), Some("91440300MA5DEMO00X深圳市某某科技有限公司"));
        assert!(Name::from_der(b"\x31\x00").is_err());
    }

    #[test]
    fn what_an_attribute_cannot_hold_is_refused() {
        assert_eq!(Name::china().common_name("").to_der(), Err(NameError::Empty));
        assert_eq!(Name::china().organization(&"印".repeat(65)).to_der(), Err(NameError::TooLong { found: 65 }));
        assert!(Name::china().organization(&"印".repeat(64)).to_der().is_ok());
        assert_eq!(Name::default().with(oid::COUNTRY, "cn").to_der(), Err(NameError::Country("cn".to_owned())));
    }
}
