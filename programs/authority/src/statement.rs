//! What a region says, signed: its trust list, its seal status, its registry's licence statements. The formats are `sealagent`'s
//! ([`sealagent::pki::trust_list`], [`sealagent::pki::seal_status`], [`sealagent::pki::licence`]).

use jiff::Timestamp;
use sealagent::cms::BuildError;
use sealagent::pki::licence::Licence;
use sealagent::pki::seal_status::{SealEntry, StatusAnswer, StatusHead, StatusList};
use sealagent::pki::signed::{DocumentKind, Envelope, SignedError};
use sealagent::pki::trust_list::TrustList;

use crate::identity::Identity;
use crate::key::KeyError;

/// Why a statement is not signed.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum StatementError {
    /// The envelope cannot be built.
    #[error("{0}")]
    Build(#[from] BuildError),
    /// What was to be said is not what a verifier takes.
    #[error("{0}")]
    Contents(#[from] SignedError),
    /// The key does not sign.
    #[error("{0}")]
    Key(#[from] KeyError),
}

/// Signs a trust list, DER of its `SignedData`.
pub fn issue_trust_list(signer: &Identity, list: &TrustList) -> Result<Vec<u8>, StatementError> {
    let document = list.to_der();
    TrustList::parse(&document)?;
    sign(DocumentKind::TrustList, signer, &document, list.issued)
}

/// Signs a list of seals that are not plain valid, or the changes since one.
pub fn issue_status_list(signer: &Identity, head: &StatusHead, seals: &[SealEntry]) -> Result<Vec<u8>, StatementError> {
    let document = StatusList::to_der(head, seals);
    StatusList::parse(&document)?;
    sign(DocumentKind::StatusList, signer, &document, head.this_update)
}

/// Signs an answer about one seal.
pub fn issue_status_answer(signer: &Identity, answer: &StatusAnswer) -> Result<Vec<u8>, StatementError> {
    let document = answer.to_der();
    StatusAnswer::parse(&document)?;
    sign(DocumentKind::StatusAnswer, signer, &document, answer.as_of)
}

/// Signs a licence statement.
pub fn issue_licence(registry: &Identity, licence: &Licence) -> Result<Vec<u8>, StatementError> {
    let document = licence.to_der();
    Licence::parse(&document)?;
    sign(DocumentKind::Licence, registry, &document, licence.as_of)
}

fn sign(kind: DocumentKind, signer: &Identity, document: &[u8], at: Timestamp) -> Result<Vec<u8>, StatementError> {
    let unsigned = Envelope::to_be_signed(kind, document, signer.der(), at)?;
    Ok(unsigned.assemble(&signer.key().sign(unsigned.signed_bytes())?)?.raw().to_vec())
}
