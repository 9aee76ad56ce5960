//! Who signed after whom, and whether anything but signing happened to the document.

use serde::Serialize;

use super::report::{Layer, LayerState, Level, SignatureReport};

/// The signatures of a document in the order in which they were put on it.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Order {
    /// Names of the signers as their certificates have them; the id of a signature whose signer is not known.
    pub signers: Vec<String>,
    /// Whether all signatures hold, cover what the document shows, and nothing else was done to it since the first of them.
    pub nothing_else: bool,
}

impl Order {
    /// Of signatures that stand in the document's order; `None` of none.
    pub(super) fn of(signatures: &[SignatureReport]) -> Option<Self> {
        let name = |signature: &SignatureReport| match &signature.signer {
            Some(signer) => signer.name.clone(),
            None => signature.id.clone(),
        };
        let order = Self { signers: signatures.iter().map(name).collect(), nothing_else: signatures.iter().all(is_untouched) };
        Some(order).filter(|order| !order.signers.is_empty())
    }
}

fn is_untouched(signature: &SignatureReport) -> bool {
    let holds = [Layer::Format, Layer::Integrity, Layer::Signature]
        .iter()
        .all(|layer| signature.layers.get(layer) == Some(&LayerState::Passed));
    let tells = |layer: Layer| signature.findings.iter().any(|f| f.level != Level::Info && f.layer == layer);
    holds && !tells(Layer::Integrity) && !tells(Layer::Coverage)
}
