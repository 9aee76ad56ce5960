//! The steps after the token's: the signature becomes a value, the value goes into its document, and what comes out is judged as anyone
//! else would judge it. They run beside the token, which signs the next item meanwhile.

use std::io::{BufWriter, Write};
use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::Semaphore;

use super::job::Room;
use super::pipeline::{Clock, Output, in_pool};
use super::subject::{Bytes, Document, Draft, PreparedDocument, Scratch, of_document, of_io};
use super::timestamp::Stamper;
use super::value::{SignedValue, ToBeSigned};
use crate::document::Prepared as _;
use crate::failure::{Code, Failure};
use crate::pki::trust::TrustStore;
use crate::seals::Holder;
use crate::ses::Version;
use crate::sm::{Sm2Signature, Sm3, Sm3Digest};
use crate::trusted::Trusted;
use crate::verify::report::{Layer, LayerState, SignatureReport};
use crate::verify::{Context, Verifier};

/// What finishing needs of the agent.
pub(super) struct Finisher {
    pub pool: Arc<Semaphore>,
    pub trust: Arc<Trusted>,
    pub clock: Clock,
    pub scratch: Scratch,
    /// The service that stamps the signatures, if one shall.
    pub stamper: Option<Stamper>,
}

/// An item that the token has signed.
pub(super) struct Unfinished {
    /// Index of the item.
    pub n: usize,
    pub value: ToBeSigned,
    pub signature: Sm2Signature,
    pub holder: Holder,
    pub room: Room,
}

/// What an item has become.
pub(super) struct Made {
    /// SM3 of the document with the value in it.
    pub sm3: Option<Sm3Digest>,
    pub output: Output,
    /// What did not go as wished, where that is no failure.
    pub warning: Option<Failure>,
}

impl Finisher {
    /// Steps 9 and 10. `document` is the item's document, how many signatures of this request are on it with this one, and whether this
    /// is the last of them.
    pub async fn finish(&self, item: Unfinished, document: Option<(Arc<Document>, usize, bool)>) -> Result<Made, Failure> {
        // 9: nothing is embedded that does not verify
        let Unfinished { n, value, signature, holder, room } = item;
        let value = in_pool(&self.pool, move || value.assemble(&holder, &signature)).await??;
        let (value, warning) = self.stamped(value).await?;
        // 10
        let (Room::Prepared(prepared), Some((document, new, complete))) = (room, document) else {
            return Ok(Made { sm3: None, output: Output::Value { item: n, value }, warning });
        };
        let (trust, now, scratch, before) = (self.trust.clone(), (self.clock)(), self.scratch.clone(), document.signatures);
        let (draft, sm3) = in_pool(&self.pool, move || {
            let (draft, sm3) = embed(*prepared, &value, &scratch)?;
            let draft = if complete { judge(draft, before, new, &trust.current(), now)? } else { draft };
            Ok::<_, Failure>((draft, sm3))
        })
        .await??;
        Ok(Made { sm3: Some(sm3), output: Output::Document { document, draft, sm3 }, warning })
    }

    /// DER of the value, with a time stamp where one is wanted. One that is wanted and not required leaves a warning where it cannot be
    /// had.
    async fn stamped(&self, value: SignedValue) -> Result<(Vec<u8>, Option<Failure>), Failure> {
        let Some(stamper) = &self.stamper else { return Ok((value.raw().to_vec(), None)) };
        let stamped = match &value {
            // Nothing leaves the machine for a value that has no place for the answer.
            SignedValue::Ses(value) if value.version() == Version::V1 => {
                Err(Failure::new(Code::TimestampFailed, "a signature with a V1 seal has no place for a time stamp"))
            }
            value => stamper.stamp(value.signature()).await.and_then(|token| value.with_time_stamp(&token)),
        };
        match stamped {
            Ok(stamped) => Ok((stamped.raw().to_vec(), None)),
            Err(failure) if stamper.is_required() => Err(failure),
            Err(failure) => Ok((value.raw().to_vec(), Some(failure))),
        }
    }
}

/// Step 10: the document with the value in it, on the disk.
fn embed(prepared: PreparedDocument, value: &[u8], scratch: &Scratch) -> Result<(Draft, Sm3Digest), Failure> {
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
fn judge(draft: Draft, before: usize, new: usize, trust: &TrustStore, now: Timestamp) -> Result<Draft, Failure> {
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
pub(crate) fn is_intact(signature: &SignatureReport) -> bool {
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
