//! What the record is told of a request.

use super::pipeline::Signer;
use super::{SigningItem, SigningRequest, Subject};
use crate::audit::{Event, ItemRecord, Kind, Matter};
use crate::consent::summary::Shown;
use crate::failure::{Code, Failure};
use crate::sm::Sm3Digest;

impl Signer {
    /// A line for those items of a request that are `done` and that nobody fetched.
    pub(super) async fn record_not_delivered(&self, id: &str, request: &SigningRequest, done: &[bool]) {
        // The result is gone in any case; a record that cannot be written has been logged.
        let lost = |n: usize| done.get(n).is_some_and(|done| *done).then_some((None, None));
        let _ = self.line(Kind::NotDelivered, id, request, None, lost).await;
    }

    /// Writes a line and waits until it is on the disk.
    pub(super) async fn record(
        &self,
        kind: Kind,
        id: &str,
        request: &SigningRequest,
        token: Option<Shown>,
        outcome: impl Fn(usize) -> (Option<Sm3Digest>, Option<Code>),
    ) -> Result<(), Failure> {
        self.line(kind, id, request, token, |n| Some(outcome(n))).await
    }

    /// The same about the items that have an outcome, as work that borrows nothing.
    pub(super) fn line(
        &self,
        kind: Kind,
        id: &str,
        request: &SigningRequest,
        token: Option<Shown>,
        outcome: impl Fn(usize) -> Option<(Option<Sm3Digest>, Option<Code>)>,
    ) -> impl Future<Output = Result<(), Failure>> + Send + 'static {
        self.write(self.event(kind, id, request, token, outcome))
    }

    /// One line of the record, on the disk when this ends. It borrows nothing.
    pub(crate) fn write(&self, event: Event) -> impl Future<Output = Result<(), Failure>> + Send + 'static {
        let (audit, at) = (self.audit.clone(), (self.clock)());
        async move {
            match tokio::task::spawn_blocking(move || audit.append(at, &event)).await {
                Ok(Ok(())) => Ok(()),
                Ok(Err(error)) => {
                    tracing::error!(%error, "the record cannot be written");
                    Err(Code::AuditUnavailable.into())
                }
                Err(error) => {
                    tracing::error!(%error, "writing the record ended unexpectedly");
                    Err(Code::AuditUnavailable.into())
                }
            }
        }
    }

    fn event(
        &self,
        kind: Kind,
        id: &str,
        request: &SigningRequest,
        token: Option<Shown>,
        outcome: impl Fn(usize) -> Option<(Option<Sm3Digest>, Option<Code>)>,
    ) -> Event {
        let record = |(n, item): (usize, &SigningItem)| {
            let (name, sm3, digest_only) = match &item.subject {
                Subject::Digest { name, sm3, .. } => (name, *sm3, true),
                Subject::Document { document, .. } => (&document.name, document.sm3, false),
            };
            let (signed, code) = outcome(n)?;
            Some(ItemRecord { name: Shown::new(name), sm3, digest_only, seal: Shown::new(&item.seal), signed, code })
        };
        Event {
            event: kind,
            matter: Matter::Signatures,
            request: id.to_owned(),
            requester: request.requester.clone(),
            user: self.user.clone(),
            items: request.items.iter().enumerate().filter_map(record).collect(),
            code: None,
            token,
            origin: None,
        }
    }
}
