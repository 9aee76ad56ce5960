//! Who signed after whom, and whether anything but signing happened to the document.

use serde::Serialize;

use super::report::{Finding, Layer, LayerState, Level, SignatureReport};

/// The signatures of a document in the order in which they were put on it.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "agent", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Order {
    /// Names of the signers as their certificates have them; the id of a signature whose signer is not known.
    pub signers: Vec<String>,
    /// Whether all signatures hold, cover what the document shows, and nothing else was done to it since the first of them.
    pub nothing_else: bool,
}

impl Order {
    /// Of signatures that stand in the document's order; `None` of none.
    pub(super) fn of(signatures: &[SignatureReport], of_file: &[Finding]) -> Option<Self> {
        let name = |signature: &SignatureReport| match &signature.signer {
            Some(signer) => signer.name.clone(),
            None => signature.id.clone(),
        };
        let nothing_else = signatures.iter().all(is_untouched) && !of_file.iter().any(tells_of_content);
        let order = Self { signers: signatures.iter().map(name).collect(), nothing_else };
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

/// Whether a finding about the file as a whole leaves open what is in it.
fn tells_of_content(finding: &Finding) -> bool {
    finding.level != Level::Info && matches!(finding.layer, Layer::Format | Layer::Integrity | Layer::Coverage)
}
