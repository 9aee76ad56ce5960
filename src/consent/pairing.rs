//! May this web site talk to the agent at all? The person compares six digits on the page with the same six in the prompt.
//!
//! A quiet matter: pairings have a queue of their own, wait behind every signature that is asked for, and make way when one comes
//! while they are shown.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::Origin;
use super::prompt::{Cancel, PromptQueue};
use super::summary::Shown;

/// What the person is shown.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PairingShown {
    /// Who asks, as the browser says. The largest text of the prompt.
    pub origin: Origin,
    /// Six digits, which the page shows too.
    pub code: String,
    /// What the page calls itself, if it says.
    pub label: Option<Shown>,
}

/// What came of asking.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum PairingAnswer {
    /// Yes, and for viewing always; signing asks each time.
    Always,
    /// There is nothing to show a prompt on.
    NoPrompt,
    /// Yes, this once.
    Once,
    /// No.
    Refused,
    /// No answer in time.
    TimedOut,
    /// The page does not want it any more.
    Withdrawn,
}

/// Why a shown question is taken away.
enum Interrupted {
    /// It is over.
    Ended(PairingAnswer),
    /// A signature is asked for; the question comes back after it.
    MakeWay,
}

impl PromptQueue {
    /// Asks once, whenever the person has nothing else before them, until `end`.
    pub async fn ask_pairing(&self, shown: &PairingShown, end: Instant, cancel: &Cancel) -> PairingAnswer {
        let mut signing = self.signing();
        let over = || async {
            let mut cancel = cancel.clone();
            tokio::select! {
                () = cancel.cancelled() => PairingAnswer::Withdrawn,
                () = tokio::time::sleep_until(end) => PairingAnswer::TimedOut,
            }
        };
        let _first_of_the_pairings = tokio::select! {
            biased;
            answer = over() => return answer,
            guard = self.pairings().lock() => guard,
        };
        loop {
            let _visible = tokio::select! {
                biased;
                answer = over() => return answer,
                visible = self.free(&mut signing) => visible,
            };
            let interrupt = async {
                tokio::select! {
                    biased;
                    answer = over() => Interrupted::Ended(answer),
                    () = until(&mut signing, |waiting| waiting > 0) => Interrupted::MakeWay,
                }
            };
            let left = end.saturating_duration_since(Instant::now()).max(Duration::from_secs(1));
            match self.prompter().ask_pairing(shown, left, interrupt).await {
                Ok(answer) | Err(Interrupted::Ended(answer)) => return answer,
                Err(Interrupted::MakeWay) => {}
            }
        }
    }

    /// The right to show something, taken when no signature waits for it.
    async fn free(&self, signing: &mut watch::Receiver<usize>) -> tokio::sync::OwnedMutexGuard<()> {
        loop {
            until(signing, |waiting| waiting == 0).await;
            let visible = self.visible().await;
            if *signing.borrow() == 0 {
                return visible;
            }
        }
    }
}

async fn until(signing: &mut watch::Receiver<usize>, is: impl Fn(usize) -> bool) {
    if signing.wait_for(|waiting| is(*waiting)).await.is_err() {
        std::future::pending::<()>().await; // the queue is gone, and the agent with it
    }
}

#[cfg(test)]
mod tests {
    use super::super::prompt::{Canceller, Prompter};
    use super::super::scripted::{Reply, Scripted};
    use super::super::summary::Requester;
    use super::*;

    fn shown(name: &str) -> PairingShown {
        let origin = Origin::parse(&format!("https://{name}.example")).unwrap();
        PairingShown { origin, code: "042317".into(), label: None }
    }

    fn queue(script: &Scripted) -> PromptQueue {
        PromptQueue::new(Prompter::Scripted(script.clone()), Duration::from_secs(300))
    }

    fn in_seconds(seconds: u64) -> Instant {
        Instant::now() + Duration::from_secs(seconds)
    }

    /// Attack item 24.
    #[tokio::test(start_paused = true)]
    async fn pairing_waits_for_signatures_and_makes_way_for_one() {
        let script = Scripted::new(|_| Reply::Decline);
        script.on_pairing(|_| None);
        let queue = queue(&script);
        let (_canceller, cancel) = Canceller::new();
        let signer = Requester::Origin(shown("sign").origin);
        let place = queue.admit(&signer).unwrap();
        let new = shown("new");
        let (answer, ()) = tokio::join!(queue.ask_pairing(&new, in_seconds(100), &cancel), async {
            tokio::time::sleep(Duration::from_secs(10)).await;
            assert_eq!(script.pairings().len(), 0, "a signature waits");
            drop(place);
            tokio::time::sleep(Duration::from_secs(10)).await;
            assert_eq!(script.pairings().len(), 1);
            let place = queue.admit(&signer).unwrap();
            let turn = queue.turn(place, &mut cancel.clone()).await.unwrap();
            tokio::time::sleep(Duration::from_secs(10)).await;
            assert_eq!(script.pairings().len(), 1, "it made way and stays away");
            drop(turn);
            tokio::time::sleep(Duration::from_secs(1)).await;
            assert_eq!(script.pairings().len(), 2, "it came back");
        });
        assert_eq!(answer, PairingAnswer::TimedOut);
        assert_eq!(script.pairings()[0], script.pairings()[1], "with the same code");
    }

    #[tokio::test(start_paused = true)]
    async fn one_pairing_is_shown_at_a_time_and_lapses() {
        let script = Scripted::new(|_| Reply::Decline);
        script.on_pairing(|shown| (shown.origin.as_str() == "https://b.example").then_some(PairingAnswer::Once));
        let queue = queue(&script);
        let (canceller, cancel) = Canceller::new();
        let (a, b) = (shown("a"), shown("b"));
        let (first, second) =
            tokio::join!(queue.ask_pairing(&a, in_seconds(60), &cancel), queue.ask_pairing(&b, in_seconds(120), &cancel));
        assert_eq!((first, second), (PairingAnswer::TimedOut, PairingAnswer::Once));
        canceller.cancel();
        assert_eq!(queue.ask_pairing(&a, in_seconds(60), &cancel).await, PairingAnswer::Withdrawn);
        assert_eq!(script.pairings().len(), 2, "what is withdrawn is not shown");
    }
}
