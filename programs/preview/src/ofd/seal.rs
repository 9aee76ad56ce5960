//! Seals of a document as their signed values show them: never the file beside it, which nobody signed.

use sealagent::ofd::PackagePath;
use sealagent::ses::SesSignature;
use sealagent::stamp::RectMm;

use super::Source;
use crate::findings::shorten;

/// Bytes of a signed value.
const MAX_SIGNED_VALUE: u64 = 8 << 20;

/// Where a signature shows its seal.
#[derive(Clone)]
pub(super) struct Stamp {
    /// ID of the signature.
    pub signature: String,
    /// File of its signed value.
    pub signed_value: PackagePath,
    /// `Boundary`.
    pub boundary: RectMm,
    /// `Clip`.
    pub clip: Option<RectMm>,
}

impl Stamp {
    /// The picture of the seal inside the signed value.
    pub fn picture(&self, package: &mut Source) -> Result<Vec<u8>, String> {
        let bytes = package.read(&self.signed_value, MAX_SIGNED_VALUE).map_err(|error| shorten(&error.to_string()))?;
        let signature = SesSignature::parse(&bytes).map_err(|error| shorten(&error.to_string()))?;
        Ok(signature.seal().picture().data.clone())
    }
}
