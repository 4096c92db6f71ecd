//! What `record()` returns: the entry's id, and on demand the proof that it is durable.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use uuid::Uuid;

use crate::error::Result;
use crate::journal::Position;
use crate::tree::Hash;
use crate::watermark::Watermark;

/// A durable entry's place in the trail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recorded {
    /// Its line's index, from 0.
    pub seq: u64,
    /// Its line's hash in the trail's tree.
    pub leaf_hash: Hash,
}

/// The entry was accepted: it survives the death of this process. Dropping the receipt changes nothing.
#[derive(Debug, Clone)]
pub struct Receipt {
    id: Uuid,
    position: Position,
    watermark: Arc<Watermark>,
}

impl Receipt {
    pub(crate) fn new(id: Uuid, position: Position, watermark: Arc<Watermark>) -> Self {
        Self { id, position, watermark }
    }

    /// The entry's id.
    #[must_use]
    pub fn id(&self) -> Uuid {
        self.id
    }

    /// Blocks until the entry would survive a power loss: fdatasync(2) returned after it was written.
    ///
    /// # Errors
    /// `is_storage` where the disk refused.
    pub fn wait_durable(&self) -> Result<Recorded> {
        self.watermark.wait_durable(self.end(), None)?;
        Ok(self.recorded())
    }

    /// The same for async code, on any runtime.
    ///
    /// # Errors
    /// As [`Receipt::wait_durable`].
    pub fn durable(&self) -> impl Future<Output = Result<Recorded>> + Send + 'static {
        Durable { receipt: self.clone() }
    }

    fn end(&self) -> u64 {
        self.position.seq + 1
    }

    fn recorded(&self) -> Recorded {
        Recorded { seq: self.position.seq, leaf_hash: self.position.leaf_hash }
    }
}

struct Durable {
    receipt: Receipt,
}

impl Future for Durable {
    type Output = Result<Recorded>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.receipt.watermark.poll_durable(self.receipt.end(), cx.waker()) {
            Some(outcome) => Poll::Ready(outcome.map(|()| self.receipt.recorded())),
            None => Poll::Pending,
        }
    }
}
