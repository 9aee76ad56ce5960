//! Making seals: the maker's signature over a draft (GB/T 38540 clause 6, GM/T 0031 clause 6.1.1).

use sealagent::ses::{BuildError, Seal, SealDraft, Version};

use crate::identity::Identity;
use crate::key::KeyError;

/// Why a seal is not made.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// The draft cannot be written.
    #[error("{0}")]
    Draft(#[from] BuildError),
    /// The maker's key does not sign.
    #[error("{0}")]
    Key(#[from] KeyError),
    /// createDate is outside the validity of the maker's certificate.
    #[error("the seal's creation date is outside the validity of the maker's certificate")]
    MakerNotValid,
    /// The maker's certificate may not sign seals.
    #[error("the maker's certificate is not one for signing (key usage, basic constraints)")]
    MakerUsage,
}

/// Makes the seal of a draft in the structure of `version`. As the standards want, the maker's own certificate is checked first.
pub fn make_seal(maker: &Identity, draft: &SealDraft, version: Version) -> Result<Seal, SealError> {
    let certificate = maker.certificate();
    if certificate.is_ca() || !certificate.extensions().key_usage.is_some_and(|usage| usage.signs()) {
        return Err(SealError::MakerUsage);
    }
    if !certificate.valid_at(draft.created) {
        return Err(SealError::MakerNotValid);
    }
    let unsigned = draft.to_be_signed(version, certificate.der())?;
    Ok(unsigned.assemble(&maker.key().sign(&unsigned.signed_bytes())?)?)
}
