//! What `record()` returns: the entry's id, and on demand the proof that it is durable.

use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use uuid::Uuid;

use crate::dir::Dir;
use crate::error::{Error, Kind, Result};
use crate::history::Found;
use crate::segment::TrailReader;
use crate::tree::{Hash, leaf_hash};
use crate::watermark::Watermark;

/// Trails that a thread keeps at hand; with more of them it begins again with the one it uses.
const AT_HAND: usize = 8;

/// A durable entry's position in the trail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recorded {
    /// Its line's index, from 0.
    pub seq: u64,
    /// Its line's hash in the trail's tree.
    pub leaf_hash: Hash,
}

/// The entry was accepted: it survives the death of this process. Dropping the receipt changes nothing.
#[derive(Clone)]
pub struct Receipt {
    id: Uuid,
    /// Behind it in the journal; none where the entry was dropped because the journal was full.
    position: Option<u64>,
    trail: Arc<Anchor>,
}

/// What receipts need of a trail.
#[derive(Debug, Clone)]
pub(crate) struct ReceiptSource {
    number: u64,
    watermark: Arc<Watermark>,
    directory: Dir,
}

/// A thread's own copy, so that threads do not fight over one counter of references.
type Anchor = ReceiptSource;

thread_local! {
    static ANCHORS: RefCell<Vec<Arc<Anchor>>> = const { RefCell::new(Vec::new()) };
}

impl ReceiptSource {
    pub(crate) fn new(watermark: Arc<Watermark>, directory: Dir) -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        Self { number: COUNT.fetch_add(1, Ordering::Relaxed), watermark, directory }
    }

    /// Costs no allocation after a thread's first entry.
    #[inline]
    pub(crate) fn receipt(&self, id: Uuid, position: Option<u64>) -> Receipt {
        let kept = ANCHORS.try_with(|anchors| {
            let mut anchors = anchors.try_borrow_mut().ok()?;
            Some(match anchors.iter().find(|anchor| anchor.number == self.number) {
                Some(anchor) => anchor.clone(),
                None => self.anchor(&mut anchors),
            })
        });
        // A thread that is being torn down keeps nothing.
        let trail = kept.ok().flatten().unwrap_or_else(|| Arc::new(self.clone()));
        Receipt { id, position, trail }
    }

    #[cold]
    fn anchor(&self, anchors: &mut Vec<Arc<Anchor>>) -> Arc<Anchor> {
        if anchors.len() == AT_HAND {
            anchors.clear();
        }
        let anchor = Arc::new(self.clone());
        anchors.push(anchor.clone());
        anchor
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
    /// The entry's id.
    #[must_use]
    pub fn id(&self) -> Uuid {
        self.id
    }

    /// Blocks until the entry would survive a power loss: fdatasync(2) returned after it was written.
    ///
    /// # Errors
    /// `is_storage` where the disk refused, `is_full` where the entry was dropped under [`OnFull::Drop`](crate::OnFull::Drop).
    pub fn wait_durable(&self) -> Result<Recorded> {
        let position = self.position()?;
        self.trail.watermark.wait_durable(position, None)?;
        self.recorded(position)
    }

    /// The same for async code, on any runtime.
    ///
    /// # Errors
    /// As [`Receipt::wait_durable`].
    pub fn durable(&self) -> impl Future<Output = Result<Recorded>> + Send + 'static {
        Durable { receipt: self.clone() }
    }

    /// The same, for those who need not know which line it became.
    pub(crate) fn await_durable(&self) -> Result<()> {
        self.trail.watermark.wait_durable(self.position()?, None)
    }

    fn position(&self) -> Result<u64> {
        self.position.ok_or_else(|| Error::new(Kind::Full, "the entry was dropped: the journal was full"))
    }

    /// Which line it became. One that was asked for long after is looked for in the trail.
    fn recorded(&self, position: u64) -> Result<Recorded> {
        let begin = match self.trail.watermark.history.find(position) {
            Found::Line(line) => return Ok(Recorded { seq: line.seq, leaf_hash: line.leaf_hash }),
            Found::NotBefore(seq) => seq,
        };
        let id = format!(",\"id\":\"{}\"", self.id.hyphenated());
        let mut reader = TrailReader::new(&self.trail.directory, begin);
        while let Some((seq, line)) = reader.next_line()? {
            let comma = memchr::memchr(b',', line).unwrap_or(line.len());
            if line[comma..].starts_with(id.as_bytes()) {
                return Ok(Recorded { seq, leaf_hash: leaf_hash(line) });
            }
        }
        Err(Error::invalid("the entry is durable, but its line was erased or retired since"))
    }
}

/// The receipts of one context's entries whose durability somebody will wait for: of each trail the latest.
#[derive(Debug, Default)]
pub(crate) struct Pledges(Mutex<Vec<Receipt>>);

impl Pledges {
    pub(crate) fn add(&self, receipt: &Receipt) {
        let mut receipts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // One that was dropped has no position, and is never made up for by a later one.
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

    /// Resolves once all that were added so far are durable; none where there are none, or no longer any.
    pub(crate) fn take(&self) -> Option<AllDurable> {
        let receipts = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        (!receipts.is_empty()).then_some(AllDurable(receipts))
    }
}

/// Resolves once every entry of a request is durable.
#[derive(Debug)]
pub(crate) struct AllDurable(Vec<Receipt>);

impl Future for AllDurable {
    type Output = Result<()>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        while let Some(receipt) = self.0.last() {
            let position = receipt.position()?;
            match receipt.trail.watermark.poll_durable(position, cx.waker()) {
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
        match self.receipt.trail.watermark.poll_durable(position, cx.waker()) {
            Some(outcome) => Poll::Ready(outcome.and_then(|()| self.receipt.recorded(position))),
            None => Poll::Pending,
        }
    }
}
