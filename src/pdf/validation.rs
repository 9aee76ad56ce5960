//! Validation data (`/DSS`, ISO 32000-2 12.8.4.3): certificates, revocation lists and OCSP responses that stand in the document for those
//! who judge it when nobody gives them out any more. Nothing here believes them; whoever uses them checks their signatures.

use std::io::{Read, Seek};

use super::write::Update;
use super::{Dict, Document, Object, ObjectId, PdfError, filter, xref::View};

/// Most values of one kind. A chain has three certificates, and as many lists.
const MAX_VALUES: usize = 500;
/// Bytes of all values together: a large CA's list has megabytes.
const MAX_BYTES: usize = 64 << 20;

/// DER values, each once.
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
    fn kinds(&self) -> [(&'static str, &Vec<Vec<u8>>); 3] {
        [("Certs", &self.certificates), ("CRLs", &self.crls), ("OCSPs", &self.ocsp_responses)]
    }
}

impl<R: Read + Seek> Document<R> {
    /// What the newest revision holds.
    pub fn validation_data(&mut self) -> Result<ValidationData, PdfError> {
        let view = self.newest();
        let catalog = self.catalog(view)?;
        let dss = self.resolve_dict(catalog.value("DSS"), view)?;
        let mut data = ValidationData::default();
        let mut left = MAX_BYTES;
        for (key, out) in [("Certs", &mut data.certificates), ("CRLs", &mut data.crls), ("OCSPs", &mut data.ocsp_responses)] {
            for value in self.resolve_array(dss.value(key), view)?.iter().take(MAX_VALUES) {
                let Some(id) = value.reference() else { continue };
                let bytes = self.stream(id, view, left)?;
                left -= bytes.len();
                if !out.contains(&bytes) {
                    out.push(bytes);
                }
            }
        }
        Ok(data)
    }

    /// The decoded data of a stream.
    fn stream(&mut self, id: ObjectId, view: View, most: usize) -> Result<Vec<u8>, PdfError> {
        let located = self.load(id, view)?;
        let (Some(dict), Some(keyword_end)) = (located.object.dict(), located.stream) else {
            return Err(PdfError::Syntax { what: "validation data that is no stream", offset: 0 });
        };
        let (data, length) = self.stream_range(dict, keyword_end, view)?;
        let mut bytes = Vec::new();
        let raw = self.source.range(data, length)?;
        filter::decode(dict, raw)?.take(most as u64 + 1).read_to_end(&mut bytes).map_err(PdfError::from_range)?;
        if bytes.len() > most { Err(PdfError::Limit("bytes of validation data")) } else { Ok(bytes) }
    }

    /// Writes what is not there yet; gives what the catalog's `/DSS` is to be.
    pub(super) fn add_validation_data(
        &mut self,
        update: &mut Update,
        catalog: &Dict,
        data: &ValidationData,
    ) -> Result<Object, PdfError> {
        let view = self.newest();
        let present = self.validation_data()?;
        let old = catalog.value("DSS").clone();
        let mut dss = self.resolve_dict(&old, view)?;
        dss.put("Type", "DSS");
        for ((key, values), (_, present)) in data.kinds().into_iter().zip(present.kinds()) {
            let mut list = self.resolve_array(dss.value(key), view)?;
            for value in values.iter().filter(|value| !present.contains(value)) {
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
