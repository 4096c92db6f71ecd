//! Receipts, which `record()` returns: the id of the entry, and a way to wait until it is durable.

use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use auditx_format::{Error, Result};
use auditx_store::writer::{Positions, Recorded};
use uuid::Uuid;

/// The number of trails that a thread caches a [`ReceiptSource`] of. The cache is cleared when it is full.
const CACHED: usize = 8;

/// The confirmation that an entry was accepted: the entry survives the death of this process.
///
/// A receipt need not be kept; dropping it does not affect the entry.
#[derive(Clone)]
pub struct Receipt {
    id: Uuid,
    /// The journal position of the end of the entry. `None` if the entry was dropped because the journal was
    /// full.
    position: Option<u64>,
    trail: Arc<ReceiptSource>,
}

/// The parts of a trail that receipts need.
#[derive(Debug, Clone)]
pub(crate) struct ReceiptSource {
    number: u64,
    positions: Positions,
}

thread_local! {
    /// A copy of the source per thread, so that threads do not contend on one reference count.
    static SOURCES: RefCell<Vec<Arc<ReceiptSource>>> = const { RefCell::new(Vec::new()) };
}

impl ReceiptSource {
    pub(crate) fn new(positions: Positions) -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        Self { number: COUNT.fetch_add(1, Ordering::Relaxed), positions }
    }

    /// Creates a receipt. Does not allocate after the first entry of a thread.
    #[inline]
    pub(crate) fn receipt(&self, id: Uuid, position: Option<u64>) -> Receipt {
        let cached = SOURCES.try_with(|sources| {
            let mut sources = sources.try_borrow_mut().ok()?;
            Some(match sources.iter().find(|source| source.number == self.number) {
                Some(source) => source.clone(),
                None => self.cache_in(&mut sources),
            })
        });
        // During thread teardown there is no cache.
        let trail = cached.ok().flatten().unwrap_or_else(|| Arc::new(self.clone()));
        Receipt { id, position, trail }
    }

    #[cold]
    fn cache_in(&self, sources: &mut Vec<Arc<Self>>) -> Arc<Self> {
        if sources.len() == CACHED {
            sources.clear();
        }
        let source = Arc::new(self.clone());
        sources.push(source.clone());
        source
    }
}

impl fmt::Debug for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut receipt = f.debug_struct("Receipt");
        receipt.field("id", &format_args!("{}", self.id));
        match self.position {
            Some(position) => receipt.field("position", &position),
            None => receipt.field("position", &format_args!("dropped")),
        };
        receipt.finish()
    }
}

impl Receipt {
    /// Returns the id of the entry.
    #[must_use]
    pub fn id(&self) -> Uuid {
        self.id
    }

    /// Blocks until the entry is durable, that is, survives a power loss: fdatasync(2) returned after it was
    /// written.
    ///
    /// # Errors
    /// - `is_storage` if a write or an fdatasync failed.
    /// - `is_full` if the entry was dropped under [`OnFull::Drop`](crate::OnFull::Drop).
    /// - `is_invalid` if the entry is durable, but its line was erased or retired before this call.
    pub fn wait_durable(&self) -> Result<Recorded> {
        let position = self.position()?;
        self.trail.positions.wait_durable(position)?;
        self.trail.positions.line_of(self.id, position)
    }

    /// Like [`Receipt::wait_durable`], for async code on any runtime.
    ///
    /// # Errors
    /// The same as [`Receipt::wait_durable`].
    pub fn durable(&self) -> impl Future<Output = Result<Recorded>> + Send + 'static {
        Durable { receipt: self.clone() }
    }

    /// Like [`Receipt::wait_durable`], without looking up the line.
    pub(crate) fn await_durable(&self) -> Result<()> {
        self.trail.positions.wait_durable(self.position()?)
    }

    fn position(&self) -> Result<u64> {
        self.position.ok_or_else(|| Error::full("the entry was dropped: the journal was full"))
    }
}

/// The receipts of one context that a request will wait for. Only the latest receipt of each trail is kept,
/// since it is durable last.
#[derive(Debug, Default)]
pub(crate) struct AwaitedReceipts(Mutex<Vec<Receipt>>);

impl AwaitedReceipts {
    pub(crate) fn add(&self, receipt: &Receipt) {
        let mut receipts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // The receipt of a dropped entry has no position and must not be replaced: waiting for it has to
        // fail.
        let earlier = receipts.iter_mut().find(|other| {
            other.trail.number == receipt.trail.number
                && other.position.is_some()
                && receipt.position.is_some()
        });
        match earlier {
            Some(earlier) if earlier.position < receipt.position => *earlier = receipt.clone(),
            Some(_) => {}
            None => receipts.push(receipt.clone()),
        }
    }

    /// Returns a future that resolves once all receipts added since the last call are durable. `None` if
    /// there are none.
    pub(crate) fn take(&self) -> Option<AllDurable> {
        let receipts = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        (!receipts.is_empty()).then_some(AllDurable(receipts))
    }
}

/// A future that resolves once all its receipts are durable.
#[derive(Debug)]
pub(crate) struct AllDurable(Vec<Receipt>);

impl Future for AllDurable {
    type Output = Result<()>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        // Only the last receipt holds the waker; when it is durable, the one before is polled.
        while let Some(receipt) = self.0.last() {
            let position = receipt.position()?;
            match receipt.trail.positions.poll_durable(position, cx.waker()) {
                Some(outcome) => outcome?,
                None => return Poll::Pending,
            }
            self.0.pop();
        }
        Poll::Ready(Ok(()))
    }
}

struct Durable {
    receipt: Receipt,
}

impl Future for Durable {
    type Output = Result<Recorded>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let position = self.receipt.position()?;
        match self.receipt.trail.positions.poll_durable(position, cx.waker()) {
            Some(outcome) => Poll::Ready(
                outcome.and_then(|()| self.receipt.trail.positions.line_of(self.receipt.id, position)),
            ),
            None => Poll::Pending,
        }
    }
}
