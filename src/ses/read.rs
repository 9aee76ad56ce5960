//! Reading fields in order, with limits, naming on the way what is not DER.

use crate::asn1::{Asn1Error, BIT_STRING, BOOLEAN, IA5_STRING, INTEGER, OCTET_STRING, Reader, SEQUENCE, Tag, Tlv};

use super::Tolerance;

/// Limits of the reader. Input is hostile; each number is far above any real value.
pub mod limits {
    /// Bytes of a seal or a signature. The largest real one has 60 KB; `/Contents` of a PDF may be reserved in megabytes.
    pub const BYTES: usize = 8 << 20;
    /// Bytes of a seal's picture. Real ones have 2 to 57 KB, an uncompressed bitmap at 1000 dpi about 4 MB.
    pub const PICTURE_BYTES: usize = 4 << 20;
    /// Elements of certList: holders of one seal. Real ones list one or two.
    pub const CERTIFICATES: usize = 256;
    /// Bytes of one certificate; real ones have about 1 KB.
    pub const CERTIFICATE_BYTES: usize = 64 << 10;
    /// Extensions of a seal or a TBS_Sign; real ones have up to three.
    pub const EXTENSIONS: usize = 64;
    /// Bytes of a text: esID, Vid, name, picture type. Real ones stay below 100.
    pub const TEXT_BYTES: usize = 4 << 10;
    /// Bytes of propertyInfo, which may hold JSON about the document.
    pub const PROPERTY_INFO_BYTES: usize = 64 << 10;
    /// Bytes of dataHash; SM3 has 32, SHA-512 64.
    pub const DATA_HASH_BYTES: usize = 64;
    /// Bytes of a signature value; RSA with 16384 bits has 2048.
    pub const SIGNATURE_BYTES: usize = 2 << 10;
}

/// Why bytes are not a seal or a seal signature.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SesError {
    /// A field is not encoded as it must be.
    #[error("{field}: {error}")]
    Field {
        /// The standard's name of the field.
        field: &'static str,
        /// What is wrong there.
        error: Asn1Error,
    },
    /// header.ID is not "ES".
    #[error("header.ID is not \"ES\"")]
    HeaderId,
    /// A limit of the reader ([`limits`]).
    #[error("{field} exceeds the limit of {limit}")]
    Limit {
        /// The standard's name of the field.
        field: &'static str,
        /// The limit, in bytes or elements.
        limit: usize,
    },
    /// Neither of the standards' structures.
    #[error("{structure} with {elements} elements")]
    Shape {
        /// `SESeal` or `SES_Signature`.
        structure: &'static str,
        /// Elements of the outer SEQUENCE.
        elements: usize,
    },
    /// A time that cannot be read.
    #[error("{field} is not a time")]
    Time {
        /// The standard's name of the field.
        field: &'static str,
    },
}

/// The tolerances met so far, each once.
#[derive(Debug, Default)]
pub(super) struct Notes(Vec<Tolerance>);

impl Notes {
    pub(super) fn add(&mut self, tolerance: Tolerance) {
        if !self.0.contains(&tolerance) {
            self.0.push(tolerance);
        }
    }

    pub(super) fn finish(mut self) -> Vec<Tolerance> {
        self.0.sort_unstable();
        self.0
    }
}

/// Puts the field's name to an ASN.1 error.
pub(super) fn at(field: &'static str) -> impl Fn(Asn1Error) -> SesError {
    move |error| SesError::Field { field, error }
}

/// Refuses more than `limit`.
pub(super) fn within(field: &'static str, size: usize, limit: usize) -> Result<(), SesError> {
    if size <= limit { Ok(()) } else { Err(SesError::Limit { field, limit }) }
}

/// Walks the fields of one SEQUENCE.
pub(super) struct Fields<'a, 'n> {
    reader: Reader<'a>,
    pub(super) notes: &'n mut Notes,
}

impl<'a, 'n> Fields<'a, 'n> {
    /// Over the elements of a constructed value.
    pub(super) fn of(tlv: Tlv<'a>, notes: &'n mut Notes) -> Self {
        note_length(&tlv, notes);
        Self { reader: tlv.elements(), notes }
    }

    pub(super) fn peek(&self) -> Option<Tag> {
        self.reader.peek()
    }

    pub(super) fn any(&mut self, field: &'static str) -> Result<Tlv<'a>, SesError> {
        let tlv = self.reader.any().map_err(at(field))?;
        note_length(&tlv, self.notes);
        Ok(tlv)
    }

    pub(super) fn next(&mut self, field: &'static str, tag: Tag) -> Result<Tlv<'a>, SesError> {
        let tlv = self.reader.next(tag).map_err(at(field))?;
        note_length(&tlv, self.notes);
        Ok(tlv)
    }

    pub(super) fn optional(&mut self, field: &'static str, tag: Tag) -> Result<Option<Tlv<'a>>, SesError> {
        if self.peek() == Some(tag) { self.next(field, tag).map(Some) } else { Ok(None) }
    }

    pub(super) fn end(self, field: &'static str) -> Result<(), SesError> {
        self.reader.end().map_err(at(field))
    }

    pub(super) fn integer(&mut self, field: &'static str) -> Result<u64, SesError> {
        let tlv = self.next(field, INTEGER)?;
        if matches!(tlv.value, [0, next, ..] if next & 0x80 == 0) {
            self.notes.add(Tolerance::IntegerNotMinimal);
        }
        tlv.small_integer().map_err(at(field))
    }

    /// Text whose type should be `tag`; other string types are accepted, and bytes beyond ASCII in an IA5String.
    pub(super) fn text(&mut self, field: &'static str, tag: Tag, limit: usize) -> Result<String, SesError> {
        Ok(self.text_and_raw(field, tag, limit, Tolerance::StringType)?.0)
    }

    /// The same with its contents octets; `not_ascii` is the name of bytes beyond ASCII in an IA5String.
    pub(super) fn text_and_raw(
        &mut self,
        field: &'static str,
        tag: Tag,
        limit: usize,
        not_ascii: Tolerance,
    ) -> Result<(String, &'a [u8]), SesError> {
        let tlv = self.any(field)?;
        within(field, tlv.value.len(), limit)?;
        let text = tlv.text().ok_or_else(|| at(field)(Asn1Error::Tag { expected: tag, found: Some(tlv.tag) }))?;
        if tlv.tag != tag {
            self.notes.add(Tolerance::StringType);
        }
        if tag == IA5_STRING && !tlv.value.is_ascii() {
            self.notes.add(not_ascii);
        }
        Ok((text, tlv.value))
    }

    pub(super) fn oid(&mut self, field: &'static str) -> Result<Vec<u8>, SesError> {
        let oid = self.next(field, crate::asn1::OID)?.oid().map_err(at(field))?;
        within(field, oid.0.len(), limits::TEXT_BYTES)?;
        Ok(oid.0.to_vec())
    }

    pub(super) fn boolean_default_false(&mut self, field: &'static str) -> Result<bool, SesError> {
        let Some(tlv) = self.optional(field, BOOLEAN)? else { return Ok(false) };
        match tlv.value {
            [0] => self.notes.add(Tolerance::DefaultFalseEncoded),
            [0xff] => {}
            _ => self.notes.add(Tolerance::BooleanNotDer),
        }
        tlv.boolean().map_err(at(field))
    }

    pub(super) fn bits(&mut self, field: &'static str, limit: usize) -> Result<&'a [u8], SesError> {
        let bits = self.next(field, BIT_STRING)?.bit_string().map_err(at(field))?;
        within(field, bits.len(), limit)?;
        Ok(bits)
    }

    /// A BIT STRING, or the OCTET STRING that some write in its place.
    pub(super) fn bits_or_octets(
        &mut self,
        field: &'static str,
        limit: usize,
        tolerance: Tolerance,
    ) -> Result<&'a [u8], SesError> {
        match self.optional(field, OCTET_STRING)? {
            None => self.bits(field, limit),
            Some(octets) => {
                self.notes.add(tolerance);
                within(field, octets.value.len(), limit)?;
                Ok(octets.value)
            }
        }
    }

    /// A certificate, in an OCTET STRING or bare. Returns the element as it stands and the certificate's DER.
    pub(super) fn certificate(&mut self, field: &'static str) -> Result<(&'a [u8], &'a [u8]), SesError> {
        let (raw, certificate) = match self.optional(field, SEQUENCE)? {
            Some(bare) => {
                self.notes.add(Tolerance::CertificateUnwrapped);
                (bare.raw, bare.raw)
            }
            None => {
                let octets = self.next(field, OCTET_STRING)?;
                (octets.raw, octets.value)
            }
        };
        within(field, certificate.len(), limits::CERTIFICATE_BYTES)?;
        Ok((raw, certificate))
    }
}

fn note_length(tlv: &Tlv<'_>, notes: &mut Notes) {
    if !tlv.has_minimal_length() {
        notes.add(Tolerance::LengthNotMinimal);
    }
}
