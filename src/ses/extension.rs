//! `ExtData` of seals and of `TBS_Sign`.

use crate::asn1::{OCTET_STRING, Oid, SEQUENCE, Tlv};

use super::Tolerance;
use super::read::{Fields, Notes, SesError, limits, within};

/// `ExtData ::= SEQUENCE { extnID OBJECT IDENTIFIER, critical BOOLEAN DEFAULT FALSE, extnValue OCTET STRING }`
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Extension {
    oid: Vec<u8>,
    /// `critical`
    pub critical: bool,
    /// Contents of `extnValue`
    pub value: Vec<u8>,
}

impl Extension {
    /// A new one, for a [`SealDraft`](super::SealDraft) or [`TbsDraft`](super::TbsDraft).
    pub fn new(oid: Oid<'_>, critical: bool, value: Vec<u8>) -> Self {
        Self { oid: oid.0.to_vec(), critical, value }
    }

    /// `extnID`, nonsense contents included
    pub fn oid(&self) -> Oid<'_> {
        Oid(&self.oid)
    }
}

/// Reads an `ExtensionDatas`, given its SEQUENCE.
pub(super) fn read(list: Tlv<'_>, notes: &mut Notes) -> Result<Vec<Extension>, SesError> {
    let mut out = Vec::new();
    let mut fields = Fields::of(list, notes);
    while fields.peek().is_some() {
        within("extDatas", out.len() + 1, limits::EXTENSIONS)?;
        let element = fields.next("extDatas", SEQUENCE)?;
        let mut element = Fields::of(element, fields.notes);
        let oid = element.oid("extnID")?;
        if is_nonsense(&oid) {
            element.notes.add(Tolerance::ExtensionOidNonsense);
        }
        let critical = element.boolean_default_false("critical")?;
        let value = element.next("extnValue", OCTET_STRING)?.value.to_vec();
        element.end("extDatas")?;
        out.push(Extension { oid, critical, value });
    }
    Ok(out)
}

/// No OID at all, or one whose octets spell a word ("Version" was seen): assigned arcs do not.
fn is_nonsense(oid: &[u8]) -> bool {
    Oid(oid).dotted().starts_with("raw:") || (oid.len() > 3 && oid.iter().all(u8::is_ascii_alphabetic))
}
