//! Documents that pages handed over: bound to their origin, within a quota, gone after ten idle minutes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use crate::consent::Origin;
use crate::failure::{Code, Failure};
use crate::signing::{Document, RequestId};

/// How long a document that nobody asks about is kept.
pub const IDLE: Duration = Duration::from_secs(600);
/// How often it is looked for such documents.
const SWEEP: Duration = Duration::from_secs(15);
/// Most documents of one origin: a batch of [`crate::signing::MAX_ITEMS`] fits.
const MAX_DOCUMENTS: usize = 1024;

/// The documents of all origins.
#[derive(Debug)]
pub struct Documents {
    kept: Mutex<HashMap<String, Kept>>,
    /// There is something to be swept one day.
    came: Notify,
    /// Bytes of one origin.
    quota: u64,
}

#[derive(Debug)]
struct Kept {
    origin: Origin,
    /// Bytes that count against the quota: as announced while it is being received.
    bytes: u64,
    seen: Instant,
    document: Option<Arc<Document>>,
}

impl Documents {
    /// None yet; each origin may keep as many bytes as its largest document may have.
    pub fn new(quota: u64) -> Self {
        Self { kept: Mutex::default(), came: Notify::new(), quota }
    }

    /// Sets room aside for a document of `bytes` before a byte of it is received. Dropping the answer gives it back.
    pub fn reserve(&self, origin: &Origin, bytes: u64) -> Result<Reserved<'_>, Failure> {
        let id = RequestId::random()?;
        let mut kept = self.lock();
        let own = kept.values().filter(|k| k.origin == *origin);
        let (count, used) = own.fold((0, 0u64), |(n, sum), k| (n + 1, sum.saturating_add(k.bytes)));
        if bytes > self.quota {
            return Err(Failure::new(Code::TooLarge, format!("the limit is {} bytes", self.quota)));
        }
        if count >= MAX_DOCUMENTS || used.saturating_add(bytes) > self.quota {
            return Err(Failure::new(Code::TooManyRequests, "delete documents that are not needed any more"));
        }
        kept.insert(id.as_str().to_owned(), Kept { origin: origin.clone(), bytes, seen: Instant::now(), document: None });
        self.came.notify_one();
        Ok(Reserved { documents: self, id, filled: false })
    }

    /// A document of this origin; of others nobody learns that it exists.
    pub fn find(&self, id: &str, origin: &Origin) -> Option<Arc<Document>> {
        let mut kept = self.lock();
        let found = kept.get_mut(id).filter(|k| k.origin == *origin)?;
        found.seen = Instant::now();
        found.document.clone()
    }

    /// Forgets a document. Whether there was one.
    pub fn delete(&self, id: &str, origin: &Origin) -> bool {
        let mut kept = self.lock();
        kept.get(id).is_some_and(|k| k.origin == *origin && k.document.is_some()) && kept.remove(id).is_some()
    }

    /// Forgets what was idle too long, again and again, for ever.
    pub async fn keep_swept(&self) {
        keep_swept(&self.came, || self.lock().is_empty(), || self.sweep()).await;
    }

    /// Forgets what was idle too long.
    fn sweep(&self) {
        self.lock().retain(|_, k| k.document.is_none() || k.seen.elapsed() < IDLE);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sweeps again and again, for ever; while there is nothing it sleeps until something `came`, so that an idle agent does.
pub(super) async fn keep_swept(came: &Notify, is_empty: impl Fn() -> bool, sweep: impl Fn()) {
    loop {
        if is_empty() {
            came.notified().await;
        }
        tokio::time::sleep(SWEEP).await;
        sweep();
    }
}

/// Room for a document that is being received.
#[derive(Debug)]
pub struct Reserved<'a> {
    documents: &'a Documents,
    id: RequestId,
    filled: bool,
}

impl Reserved<'_> {
    /// The document has come; returns its id.
    pub fn fill(mut self, document: Arc<Document>) -> RequestId {
        document.id.get_or_init(|| self.id.as_str().to_owned());
        if let Some(kept) = self.documents.lock().get_mut(self.id.as_str()) {
            kept.seen = Instant::now();
            kept.document = Some(document);
        }
        self.filled = true;
        self.id.clone()
    }
}

impl Drop for Reserved<'_> {
    fn drop(&mut self) {
        if !self.filled {
            self.documents.lock().remove(self.id.as_str());
        }
    }
}
