//! What came of questions a moment ago: many files with one seal ask about it once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::ask::What;
use crate::pki::certificate::hex;
use crate::verify::report::Outcome;

/// How long it counts. An answer is fresh for hours at most services, and a run over an archive may last longer than that; a service that
/// was gone may be back.
const FOR: Duration = Duration::from_secs(300);
/// Most questions that are remembered, a few hundred bytes each.
const MAX: usize = 10_000;

/// One question's place: locked while it is asked, so that whoever has the same one waits for the answer.
pub(super) type Place = Arc<tokio::sync::Mutex<Option<Came>>>;

/// What came of a question that was really asked.
#[derive(Clone, Debug)]
pub(super) struct Came {
    of: Instant,
    /// What came of it.
    pub outcome: Outcome,
    /// Why not.
    pub detail: Option<String>,
}

impl Came {
    /// Just now.
    pub fn now(outcome: Outcome, detail: Option<String>) -> Self {
        Self { of: Instant::now(), outcome, detail }
    }

    /// Whether it still counts.
    pub fn counts(&self) -> bool {
        self.of.elapsed() < FOR
    }
}

/// The questions of one run.
#[derive(Debug, Default)]
pub struct Said(Mutex<HashMap<String, Place>>);

impl Said {
    /// The place of a question.
    pub(super) fn about(&self, what: &What) -> Place {
        let question = match what {
            What::Certificate(certificate, issuer) => format!("{} {}", certificate.sha256_hex(), issuer.sha256_hex()),
            // A region's name has no space.
            What::Seal(seal) => format!("{} {} {}", seal.region, hex(&seal.sm3.0), seal.es_id),
        };
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Full: some will be asked again. What is being asked now stays with those who ask.
        if places.len() >= MAX && !places.contains_key(&question) {
            places.clear();
        }
        Arc::clone(places.entry(question).or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sm::Sm3Digest;
    use crate::verify::looked_up::SealLookup;

    fn seal(number: usize) -> What {
        What::Seal(SealLookup { region: "shenzhen".to_owned(), es_id: number.to_string(), sm3: Sm3Digest([7; 32]) })
    }

    #[tokio::test(start_paused = true)]
    async fn what_came_of_a_question_counts_for_minutes_and_for_this_question() {
        let said = Said::default();
        *said.about(&seal(1)).lock().await = Some(Came::now(Outcome::Answered, None));
        assert!(said.about(&seal(1)).lock().await.as_ref().is_some_and(Came::counts));
        assert!(said.about(&seal(2)).lock().await.is_none());
        tokio::time::advance(FOR).await;
        assert!(!said.about(&seal(1)).lock().await.as_ref().is_some_and(Came::counts));
    }

    #[test]
    fn any_number_of_questions_takes_bounded_memory() {
        let said = Said::default();
        (0..MAX * 2 + 1).for_each(|number| drop(said.about(&seal(number))));
        assert_eq!(said.0.lock().unwrap().len(), 1);
    }
}
