//! The last steps with a document: the value goes in, and what came out is judged as anyone else would judge it.

use std::io::{BufWriter, Write};

use jiff::Timestamp;

use super::subject::{Bytes, Draft, PreparedDocument, Scratch, of_document, of_io};
use crate::document::Prepared as _;
use crate::failure::{Code, Failure};
use crate::pki::trust::TrustStore;
use crate::sm::{Sm3, Sm3Digest};
use crate::verify::report::{Layer, LayerState, SignatureReport};
use crate::verify::{Context, Verifier};

/// Step 10: the document with the value in it, on the disk.
pub(super) fn embed(prepared: PreparedDocument, value: &[u8], scratch: &Scratch) -> Result<(Draft, Sm3Digest), Failure> {
    let draft = scratch.draft().map_err(|e| of_io(&e))?;
    let sm3 = {
        let mut out = Hashing { out: BufWriter::new(&draft.file), digest: Sm3::new() };
        prepared.embed(value, &mut out).map_err(|e| of_document(&e))?;
        out.flush().map_err(|e| of_io(&e))?;
        out.digest.clone().finish()
    };
    draft.file.sync_data().map_err(|e| of_io(&e))?;
    Ok((draft, sm3))
}

/// The last check: the finished document, read from the disk as anyone else would, has exactly the new signatures more, and they are
/// good in all that does not depend on whom a reader trusts.
pub(super) fn judge(draft: Draft, before: usize, new: usize, trust: &TrustStore, now: Timestamp) -> Result<Draft, Failure> {
    let bytes = Bytes::new(draft.file.try_clone().map_err(|e| of_io(&e))?).map_err(|e| of_io(&e))?;
    let report = Verifier::verify(bytes.reader(), &Context::new(trust, now));
    let signatures = &report.signatures;
    if signatures.len() != before + new || !signatures.iter().all(is_intact) {
        for finding in signatures.iter().flat_map(|s| &s.findings).chain(&report.findings) {
            tracing::error!(code = ?finding.code, level = ?finding.level, finding.message, "our own signature does not verify");
        }
        return Err(Code::Internal.into());
    }
    Ok(draft)
}

/// Whether form, digests and the signer's signature hold.
pub(super) fn is_intact(signature: &SignatureReport) -> bool {
    [Layer::Format, Layer::Integrity, Layer::Signature]
        .iter()
        .all(|layer| signature.layers.get(layer).is_none_or(|state| *state != LayerState::Failed))
}

/// Digests what it passes on.
struct Hashing<W> {
    out: W,
    digest: Sm3,
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.digest.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.out.flush()
    }
}
