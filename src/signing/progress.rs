//! Where the items of a run stand, told to whoever watches the whole request.

use std::sync::Arc;

use tokio::sync::watch;

use super::pipeline::Output;
use super::{ItemStatus, State, Status};
use crate::failure::Failure;

/// Takes what was made, as soon as it is on the record.
pub type Sink = Arc<dyn Fn(Output) + Send + Sync>;

/// Tells the states of a run. A run that continues an interrupted request has only the items that are left of it.
#[derive(Clone)]
pub struct Progress {
    sender: watch::Sender<Status>,
    /// The place in the request of each item of the run.
    places: Arc<[usize]>,
    sink: Sink,
}

impl Progress {
    /// For a run of all items. `sink` takes what is made.
    pub fn new(items: usize, sink: Sink) -> (Self, watch::Receiver<Status>) {
        let (sender, receiver) = watch::channel(Status::all(items, State::Waiting, None));
        (Self { sender, places: (0..items).collect(), sink }, receiver)
    }

    /// The same request, for a run of the items at these places.
    pub fn of(&self, places: Vec<usize>) -> Self {
        Self { places: places.into(), ..self.clone() }
    }

    /// All items of the run, and with them the request, are in this state.
    pub(super) fn all(&self, state: State) {
        self.sender.send_modify(|status| {
            status.state = state;
            for place in self.places.iter() {
                status.items[*place] = ItemStatus { state, failure: None, warning: None };
            }
        });
    }

    /// An item of the run cannot be signed.
    pub(super) fn failed(&self, n: usize, failure: &Failure) {
        self.item(n, ItemStatus { state: State::Failed, failure: Some(failure.clone()), warning: None });
    }

    fn item(&self, n: usize, item: ItemStatus) {
        self.sender.send_modify(|status| status.items[self.places[n]] = item);
    }

    /// Items of the run are done, with what was made of them.
    pub(super) fn done(&self, finished: Finished) {
        let output = match finished.output {
            Output::Value { item, value } => Output::Value { item: self.places[item], value },
            document => document,
        };
        (self.sink)(output);
        for (n, warning) in finished.items {
            self.item(n, ItemStatus { state: State::Done, failure: None, warning });
        }
    }

    /// The end of the run. The request is done when every item of it is.
    pub fn end(&self, run: &Status) {
        self.sender.send_modify(|status| {
            for (place, item) in self.places.iter().zip(&run.items) {
                status.items[*place] = item.clone();
            }
            let is_done = run.state == State::Done && status.items.iter().all(|item| item.state == State::Done);
            status.state = if run.state == State::Done && !is_done { State::Failed } else { run.state };
        });
    }
}

/// What was made, and the items that it completes: all those of its document.
#[derive(Debug)]
pub(super) struct Finished {
    /// Items of the run, each with what did not go as wished.
    pub items: Vec<(usize, Option<Failure>)>,
    /// What was made.
    pub output: Output,
}
