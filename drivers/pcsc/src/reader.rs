//! Readers and cards through the PC/SC service.

use std::{
    ffi::CString,
    thread,
    time::{Duration, Instant},
};

use pcsc::{Card, Context, Disposition, Error, Protocols, ReaderState, Scope, ShareMode, State, Transaction};
use ukey::DriverError;

use crate::apdu::Channel;

/// Longest answer to a short command: 256 bytes and the status word.
const ANSWER_BYTES: usize = 258;
/// A card's removal is noticed by the service within this time.
const REMOVAL_NOTICE: Duration = Duration::from_secs(1);

/// The error for a code of the service, and the call that gave it.
pub(crate) fn error(function: &'static str, error: Error) -> DriverError {
    match error {
        Error::NoSmartcard | Error::ReaderUnavailable | Error::RemovedCard | Error::UnknownReader => DriverError::TokenAbsent,
        Error::SharingViolation | Error::ServerTooBusy => DriverError::Busy,
        Error::InsufficientBuffer => DriverError::protocol(function, "an answer longer than any can be"),
        other => DriverError::module(function, other as u32),
    }
}

/// A card that is in a reader now.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Present {
    pub(crate) reader: CString,
    pub(crate) atr: Vec<u8>,
    /// How often cards came and went in this reader: tells a card from one that was put in before it.
    pub(crate) count: u32,
}

/// The service. Made when it is first needed, and anew after it was stopped.
#[derive(Default)]
pub(crate) struct Service(Option<Context>);

impl Service {
    pub(crate) fn context(&mut self) -> Result<Context, DriverError> {
        if let Some(context) = self.0.as_ref().filter(|context| context.is_valid().is_ok()) {
            return Ok(context.clone());
        }
        let context = Context::establish(Scope::User).map_err(|e| error("SCardEstablishContext", e))?;
        self.0 = Some(context.clone());
        Ok(context)
    }

    /// The cards that are there, and the context that they were seen in. pcsclite takes a context for valid after its service was
    /// stopped and started again; only a call shows it, once, and the next one has a new context.
    pub(crate) fn cards(&mut self) -> Result<(Context, Vec<Present>), DriverError> {
        let context = self.context()?;
        let cards = present(&context).inspect_err(|_| self.0 = None)?;
        Ok((context, cards))
    }
}

/// Which cards are there. Talks to the service only, not to the cards.
pub(crate) fn present(context: &Context) -> Result<Vec<Present>, DriverError> {
    let readers = match context.list_readers_owned() {
        Ok(readers) => readers,
        Err(Error::NoReadersAvailable) => return Ok(Vec::new()),
        Err(e) => return Err(error("SCardListReaders", e)),
    };
    let mut states: Vec<_> = readers.into_iter().map(|reader| ReaderState::new(reader, State::UNAWARE)).collect();
    if states.is_empty() {
        return Ok(Vec::new());
    }
    match context.get_status_change(Duration::ZERO, &mut states) {
        // A reader that was pulled out between the two calls: at the next look it is not listed.
        Ok(()) | Err(Error::Timeout | Error::UnknownReader) => {}
        Err(e) => return Err(error("SCardGetStatusChange", e)),
    }
    let there = |state: &&ReaderState| state.event_state().contains(State::PRESENT) && !state.event_state().contains(State::MUTE);
    let card =
        |state: &ReaderState| Present { reader: state.name().to_owned(), atr: state.atr().to_vec(), count: state.event_count() };
    Ok(states.iter().filter(there).map(card).collect())
}

/// A connected card; dropping it leaves the card as it is (others may be logged in on it).
pub(crate) struct Connected {
    context: Context,
    present: Present,
    card: Option<Card>,
}

impl Connected {
    pub(crate) fn new(context: Context, present: &Present) -> Result<Self, DriverError> {
        let card = context.connect(&present.reader, ShareMode::Shared, Protocols::ANY).map_err(|e| error("SCardConnect", e))?;
        Ok(Self { context, present: present.clone(), card: Some(card) })
    }

    /// The card for ourselves until the end of the transaction.
    pub(crate) fn transaction(&mut self) -> Result<Exchange<'_>, DriverError> {
        let presence = Presence { context: self.context.clone(), present: self.present.clone() };
        let card = self.card.as_mut().ok_or(DriverError::TokenAbsent)?;
        let card = match card.transaction2() {
            Ok(transaction) => return Ok(Exchange { transaction, presence }),
            // Another program reset the card: that is told once, and then all is well.
            Err((card, Error::ResetCard)) => card,
            Err((_, e)) => return Err(presence.explain(error("SCardBeginTransaction", e))),
        };
        let reconnected = card.reconnect(ShareMode::Shared, Protocols::ANY, Disposition::LeaveCard);
        reconnected.map_err(|e| error("SCardReconnect", e))?;
        if !presence.is_there() {
            return Err(DriverError::TokenAbsent); // not reset, but swapped
        }
        let transaction = card.transaction().map_err(|e| error("SCardBeginTransaction", e))?;
        Ok(Exchange { transaction, presence })
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        if let Some(card) = self.card.take()
            && let Err((card, _)) = card.disconnect(Disposition::LeaveCard)
        {
            // The card is gone, so there is nothing that a reset could disturb.
            drop(card);
        }
    }
}

/// Whether the card that was opened is still there.
struct Presence {
    context: Context,
    present: Present,
}

impl Presence {
    fn is_there(&self) -> bool {
        present(&self.context).map_or(true, |cards| cards.contains(&self.present))
    }

    /// A call to a card that was pulled out fails in any way. If the reader no longer has it, that is why. The service notices after up to
    /// half a second, so a failure waits for it.
    fn explain(&self, error: DriverError) -> DriverError {
        if !matches!(error, DriverError::Module { .. } | DriverError::Protocol { .. }) {
            return error;
        }
        let start = Instant::now();
        while self.is_there() {
            if start.elapsed() > REMOVAL_NOTICE {
                return error;
            }
            thread::sleep(Duration::from_millis(50));
        }
        DriverError::TokenAbsent
    }
}

/// A card in a transaction, which ends without a reset when this is dropped.
pub(crate) struct Exchange<'c> {
    transaction: Transaction<'c>,
    presence: Presence,
}

impl Channel for Exchange<'_> {
    fn transmit(&mut self, command: &[u8]) -> Result<Vec<u8>, DriverError> {
        let mut answer = [0; ANSWER_BYTES];
        match self.transaction.transmit(command, &mut answer) {
            Ok(answer) if answer.len() >= 2 => Ok(answer.to_vec()),
            // Some readers' drivers say so when the card goes during a command.
            Ok(_) => Err(self.presence.explain(DriverError::protocol("SCardTransmit", "an answer without a status word"))),
            Err(e) => Err(self.presence.explain(error("SCardTransmit", e))),
        }
    }
}
