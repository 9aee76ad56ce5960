//! What a seal looks like where its own file cannot be shown: SVG and packages (OFD) are drawn by the preview, once for each seal of a
//! request, before the person is asked. PDF gets that picture, and so does the prompt: what is shown is what is put on the page.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io;
use std::sync::Arc;

use super::pipeline::Signer;
use crate::consent::summary::Shown;
use crate::failure::{Code, Failure};
use crate::preview::PreviewError;
use crate::seals::KnownSeal;
use crate::ses::PictureFormat;
use crate::sm::Sm3Digest;

/// Dots per inch of a drawn seal, the first of them that is not too large: finer than what is printed of it, and as fine as a scan.
const DPI: [f32; 2] = [600.0, 300.0];
/// Bytes of a drawn seal, as for a picture inside a seal. It travels to the prompt and to the preview in frames.
const MAX_BYTES: usize = 4 << 20;

/// A seal's picture as PNG, GIF, BMP or JPEG; why there is none, if there is none.
pub(crate) type Impression = Result<Arc<[u8]>, Failure>;

impl Signer {
    /// The impressions of seals, by their digests.
    pub(super) async fn impressions(&self, seals: impl Iterator<Item = &KnownSeal>) -> HashMap<Sm3Digest, Impression> {
        let mut impressions = HashMap::new();
        for seal in seals {
            if let Entry::Vacant(place) = impressions.entry(seal.digest) {
                place.insert(self.impression(seal).await);
            }
        }
        impressions
    }

    /// What one seal looks like.
    pub(crate) async fn impression(&self, seal: &KnownSeal) -> Impression {
        let picture = seal.seal.picture();
        let failed = |code, why: String| {
            let name = Shown::new(&seal.seal.property().name);
            Failure::new(code, format!("{name}, {}: {why}", Shown::new(seal.seal.es_id())))
        };
        match picture.format {
            PictureFormat::Ofd | PictureFormat::Svg => {}
            PictureFormat::Unknown => return Err(failed(Code::SealPictureUnsupported, "of no known kind".to_owned())),
            _ => return Ok(picture.data.as_slice().into()),
        }
        let Some(preview) = &self.preview else {
            return Err(failed(Code::PreviewUnavailable, "sealagent-preview is not installed".to_owned()));
        };
        let _permit = self.pool.acquire().await.map_err(|_| Failure::from(Code::Internal))?;
        let mm = [picture.width_mm as f64, picture.height_mm as f64];
        for dpi in DPI {
            match preview.seal(&picture.data, mm, dpi).await {
                Ok(drawn) if drawn.len() <= MAX_BYTES => return Ok(drawn.into()),
                Ok(_) => {}
                Err(PreviewError::NotRunning(cause)) => {
                    // Started and gone: this picture was its end.
                    if matches!(cause.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::UnexpectedEof) {
                        return Err(failed(Code::SealPictureUnsupported, "drawing it takes too much".to_owned()));
                    }
                    tracing::error!(error = %cause, "the preview cannot be started");
                    return Err(failed(Code::PreviewUnavailable, "sealagent-preview cannot be started".to_owned()));
                }
                Err(error) => return Err(failed(Code::SealPictureUnsupported, error.to_string())),
            }
        }
        Err(failed(Code::SealPictureUnsupported, format!("more than {MAX_BYTES} bytes when it is drawn")))
    }
}
