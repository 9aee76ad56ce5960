//! Collects the findings about one signature, and concludes.

use std::collections::BTreeMap;

use super::catalogue::{self, Arg};
use super::reason::Reason;
use super::report::{Finding, Indication, Layer, LayerState, Level, SubIndication};

const LAYERS: [Layer; 7] =
    [Layer::Format, Layer::Integrity, Layer::Signature, Layer::Seal, Layer::Certificate, Layer::Time, Layer::Coverage];

/// The findings about one signature, seal or file, and which layers the checks got to.
#[derive(Debug, Default)]
pub(super) struct Findings {
    list: Vec<Finding>,
    reached: Vec<Layer>,
}

/// What the findings come to.
pub(super) struct Conclusion {
    pub indication: Indication,
    pub sub_indication: Option<SubIndication>,
    pub layers: BTreeMap<Layer, LayerState>,
    pub findings: Vec<Finding>,
}

impl Findings {
    /// The checks of a layer were made.
    pub fn reach(&mut self, layer: Layer) {
        if !self.reached.contains(&layer) {
            self.reached.push(layer);
        }
    }

    /// Adds a finding to the layer of its code.
    pub fn add(&mut self, reason: Reason, args: &[(&str, Arg)]) -> &mut Finding {
        self.add_to(reason.code().layer(), reason, args)
    }

    /// Adds a finding to another layer: revocation of the seal's maker belongs to the seal.
    pub fn add_to(&mut self, layer: Layer, reason: Reason, args: &[(&str, Arg)]) -> &mut Finding {
        let words = catalogue::message(reason, args);
        let index = self.list.len();
        self.list.push(Finding {
            code: reason.code(),
            level: reason.level(),
            layer,
            subject: None,
            message: words.en,
            message_zh: words.zh,
            sub_indication: reason.sub_indication(),
        });
        &mut self.list[index]
    }

    /// Adds a finding about something that has a name.
    pub fn about(&mut self, subject: impl ToString, reason: Reason, args: &[(&str, Arg)]) {
        self.add(reason, args).subject = Some(catalogue::harmless(&subject.to_string()));
    }

    /// [`Self::about`], in another layer.
    pub fn about_to(&mut self, layer: Layer, subject: impl ToString, reason: Reason, args: &[(&str, Arg)]) {
        self.add_to(layer, reason, args).subject = Some(catalogue::harmless(&subject.to_string()));
    }

    /// What the findings so far come to, if these layers apply.
    pub fn indication(&self, applies: &[Layer]) -> Indication {
        if self.list.iter().any(|f| f.level == Level::Error) {
            Indication::TotalFailed
        } else if self.list.iter().any(|f| f.level == Level::Indeterminate)
            || applies.iter().any(|layer| !self.reached.contains(layer))
        {
            Indication::Indeterminate
        } else {
            Indication::TotalPassed
        }
    }

    /// The verdict, with the findings in the order of report.md's table.
    pub fn conclude(mut self, applies: &[Layer]) -> Conclusion {
        self.list.sort_by_key(|f| f.code);
        // A signature and its seal often deviate in the same way: once is enough.
        self.list.dedup_by(|a, b| a.code == b.code && a.subject == b.subject && a.message == b.message);
        let indication = self.indication(applies);
        let worst = self.list.iter().map(|f| f.level).min().filter(|level| *level <= Level::Indeterminate);
        let sub_indication = worst.and_then(|worst| self.list.iter().filter(|f| f.level == worst).find_map(|f| f.sub_indication));
        let layers = LAYERS.into_iter().map(|layer| (layer, self.state(layer))).collect();
        Conclusion { indication, sub_indication, layers, findings: self.list }
    }

    fn state(&self, layer: Layer) -> LayerState {
        match self.list.iter().filter(|f| f.layer == layer).map(|f| f.level).min() {
            Some(Level::Error) => LayerState::Failed,
            Some(Level::Indeterminate) => LayerState::Indeterminate,
            _ if self.reached.contains(&layer) => LayerState::Passed,
            _ => LayerState::Skipped,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layer_that_applies_and_was_not_reached_is_no_pass() {
        let mut findings = Findings::default();
        findings.reach(Layer::Format);
        assert_eq!(findings.indication(&[Layer::Format]), Indication::TotalPassed);
        assert_eq!(findings.indication(&[Layer::Format, Layer::Seal]), Indication::Indeterminate);
        assert_eq!(findings.conclude(&[Layer::Format]).layers[&Layer::Seal], LayerState::Skipped);
    }

    #[test]
    fn sub_indication_is_of_the_first_code_in_the_table_among_the_worst() {
        let mut findings = Findings::default();
        findings.add(Reason::TimeOutsideSeal, &[]);
        findings.add(Reason::SignerNoAnchor, &[]);
        findings.add(Reason::SigValue, &[]);
        findings.add(Reason::DataMissing, &[]);
        let conclusion = findings.conclude(&LAYERS);
        assert_eq!(conclusion.indication, Indication::TotalFailed);
        assert_eq!(conclusion.sub_indication, Some(SubIndication::SigCryptoFailure));
        assert_eq!(conclusion.layers[&Layer::Signature], LayerState::Failed);
        assert_eq!(conclusion.layers[&Layer::Certificate], LayerState::Indeterminate);
        assert_eq!(conclusion.layers[&Layer::Coverage], LayerState::Skipped);
    }

    #[test]
    fn warnings_and_notices_change_no_verdict() {
        let mut findings = Findings::default();
        LAYERS.into_iter().for_each(|layer| findings.reach(layer));
        findings.add(Reason::EncNonstd, &[]);
        findings.add(Reason::SignerExpiredSince, &[]);
        let conclusion = findings.conclude(&LAYERS);
        assert_eq!((conclusion.indication, conclusion.sub_indication), (Indication::TotalPassed, None));
    }
}
