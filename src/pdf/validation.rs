//! Validation data (`/DSS`, ISO 32000-2 12.8.4.3): certificates, revocation lists and OCSP responses that stand in the document for those
//! who judge it when nobody gives them out any more. Nothing here believes them; whoever uses them checks their signatures.

use std::{
    collections::HashSet,
    io::{Read, Seek},
};

use super::write::Update;
use super::{Dict, Document, Object, ObjectId, PdfError, filter, xref::View};

/// Most values that are taken: a chain has three certificates and as many lists, and a file is upgraded once in some years.
const MAX_VALUES: usize = 1_000;
/// Most references that are followed: the next `/DSS` lists all of the one before it again, and its `/VRI` all of them once more.
const MAX_REFERENCES: usize = 20_000;
/// Bytes of all values together: a large CA's list has megabytes. Who verifies takes as much ([`crate::pki::Enclosed`]).
const MAX_BYTES: usize = 8 << 20;
/// Bytes inflated to get them: a stream that inflates to more than is left is given up at that point.
const MAX_INFLATED: usize = 4 * MAX_BYTES;
/// Most revisions whose `/DSS` is looked at: the oldest ones, and the newest.
const MAX_REVISIONS: usize = 256;

/// DER values to be written, each once.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ValidationData {
    /// X.509 certificates.
    pub certificates: Vec<Vec<u8>>,
    /// Certificate revocation lists.
    pub crls: Vec<Vec<u8>>,
    /// OCSPResponse values.
    pub ocsp_responses: Vec<Vec<u8>>,
}

impl ValidationData {
    fn kinds(&self) -> [(ValidationKind, &Vec<Vec<u8>>); 3] {
        let [certificates, ocsp_responses, crls] = KINDS;
        [(certificates, &self.certificates), (ocsp_responses, &self.ocsp_responses), (crls, &self.crls)]
    }
}

/// What a value is said to be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ValidationKind {
    /// An X.509 certificate.
    Certificate,
    /// A certificate revocation list.
    Crl,
    /// An OCSPResponse.
    OcspResponse,
}

/// The order in which they are read: lists are large, and the rest must not wait behind them.
const KINDS: [ValidationKind; 3] = [ValidationKind::Certificate, ValidationKind::OcspResponse, ValidationKind::Crl];

impl ValidationKind {
    /// Its key in `/DSS`, and in an entry of `/VRI`.
    fn keys(self) -> [&'static str; 2] {
        match self {
            Self::Certificate => ["Certs", "Cert"],
            Self::Crl => ["CRLs", "CRL"],
            Self::OcspResponse => ["OCSPs", "OCSP"],
        }
    }
}

/// A value that stands in the document. Nobody has judged it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ValidationValue {
    /// Under which key it stands.
    pub kind: ValidationKind,
    /// The decoded stream: DER, if it is what it says.
    pub der: Vec<u8>,
    /// Offset of the stream's data in the file: what lies further back came later.
    pub offset: u64,
}

/// Reading in progress.
struct Collected {
    values: Vec<ValidationValue>,
    /// Streams that were looked at, by the section that gives them.
    seen: HashSet<(u32, View)>,
    references_left: usize,
    bytes_left: usize,
    inflated_left: usize,
}

impl<R: Read + Seek> Document<R> {
    /// What stands in the `/DSS` of each revision, `/VRI` included, the oldest first. Whoever appends a revision can add to it and take
    /// nothing away. What cannot be read is left out, and so is what exceeds a limit: it only lacks.
    pub fn validation_values(&mut self) -> Vec<ValidationValue> {
        let mut views: Vec<View> = self.revisions.iter().map(|(view, _)| *view).take(MAX_REVISIONS).collect();
        views.push(self.newest());
        views.dedup();
        self.values_in(&views)
    }

    fn values_in(&mut self, views: &[View]) -> Vec<ValidationValue> {
        let mut collected = Collected {
            values: Vec::new(),
            seen: HashSet::new(),
            references_left: MAX_REFERENCES,
            bytes_left: MAX_BYTES,
            inflated_left: MAX_INFLATED,
        };
        for view in views.iter().copied() {
            let Ok(dss) = self.catalog(view).and_then(|catalog| self.resolve_dict(catalog.value("DSS"), view)) else { continue };
            let vri = self.resolve_dict(dss.value("VRI"), view).unwrap_or_default();
            for kind in KINDS {
                let [in_dss, in_vri] = kind.keys();
                self.collect(dss.value(in_dss), kind, view, &mut collected);
                for (_, entry) in vri.0.iter().take(collected.references_left) {
                    collected.references_left = collected.references_left.saturating_sub(1);
                    if let Ok(entry) = self.resolve_dict(entry, view) {
                        self.collect(entry.value(in_vri), kind, view, &mut collected);
                    }
                }
            }
        }
        collected.values
    }

    /// Takes the values of one list.
    fn collect(&mut self, list: &Object, kind: ValidationKind, view: View, collected: &mut Collected) {
        for value in self.resolve_array(list, view).unwrap_or_default() {
            let most = collected.bytes_left.min(collected.inflated_left);
            if most == 0 || collected.references_left == 0 || collected.values.len() == MAX_VALUES {
                return;
            }
            collected.references_left -= 1;
            let Some(id) = value.reference() else { continue };
            let Some(entry) = self.xref.lookup(id.number, view) else { continue };
            if !collected.seen.insert((id.number, entry.section)) {
                continue;
            }
            let mut der = Vec::new();
            let read = self.stream(id, view, most, &mut der);
            // What breaks in the end was inflated all the same.
            collected.inflated_left -= der.len().min(most);
            if let Some(offset) = read.ok().filter(|_| der.len() <= most) {
                collected.bytes_left -= der.len();
                collected.values.push(ValidationValue { kind, der, offset });
            }
        }
    }

    /// Decodes a stream into `bytes`, up to one byte beyond `most` and as far as it goes; gives the offset of its data.
    fn stream(&mut self, id: ObjectId, view: View, most: usize, bytes: &mut Vec<u8>) -> Result<u64, PdfError> {
        let located = self.load(id, view)?;
        let (Some(dict), Some(keyword_end)) = (located.object.dict(), located.stream) else {
            return Err(PdfError::Syntax { what: "validation data that is no stream", offset: 0 });
        };
        let (data, length) = self.stream_range(dict, keyword_end, view)?;
        let raw = self.source.range(data, length)?;
        filter::decode(dict, raw)?.take(most as u64 + 1).read_to_end(bytes).map_err(PdfError::from_range)?;
        Ok(data)
    }

    /// Writes what is not there yet; gives what the catalog's `/DSS` is to be.
    pub(super) fn add_validation_data(
        &mut self,
        update: &mut Update,
        catalog: &Dict,
        data: &ValidationData,
    ) -> Result<Object, PdfError> {
        let view = self.newest();
        // Other readers look at the newest `/DSS` only: it is to have everything.
        let present = self.values_in(&[view]);
        let mut bytes: usize = present.iter().map(|value| value.der.len()).sum();
        let old = catalog.value("DSS").clone();
        let mut dss = self.resolve_dict(&old, view)?;
        dss.put("Type", "DSS");
        for (kind, values) in data.kinds() {
            let [key, _] = kind.keys();
            let mut list = self.resolve_array(dss.value(key), view)?;
            for value in values.iter().filter(|value| !present.iter().any(|known| known.kind == kind && known.der == **value)) {
                bytes += value.len();
                if bytes > MAX_BYTES {
                    return Err(PdfError::Limit("bytes of validation data"));
                }
                let id = update.reserve();
                update.stream(id, Dict::default(), value);
                list.push(id.into());
            }
            if !list.is_empty() {
                dss.put(key, list);
            }
        }
        let id = old.reference().unwrap_or_else(|| update.reserve());
        update.object(id, &dss.into());
        Ok(id.into())
    }
}
