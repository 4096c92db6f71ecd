//! How far a follower may read, and how far it is, as other threads see it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::watermark::Watermark;

/// How far a follower may read: what is written, or only what would survive a power loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gate {
    Written,
    Durable,
}

impl Gate {
    /// Returns the number of lines that may be read.
    pub(super) fn limit(self, watermark: &Watermark) -> u64 {
        match self {
            Self::Written => watermark.written(),
            Self::Durable => watermark.durable(),
        }
    }
}

/// What other threads can see of a follower.
#[derive(Debug)]
pub(crate) struct Progress {
    pub(super) name: String,
    /// The seq of the line it takes next.
    pub(super) position: AtomicU64,
    pub(super) failures: AtomicU64,
    pub(super) is_failing: AtomicBool,
    pub(super) ended: AtomicBool,
    pub(super) gate: Gate,
    /// Whether retention must wait for it.
    pub(super) is_required: bool,
    /// Whether `flush` waits for it. Built-in followers depend on no application code.
    pub(super) is_builtin: bool,
}

impl Progress {
    pub(super) fn new(name: &str, position: u64, gate: Gate, is_required: bool, is_builtin: bool) -> Self {
        Self {
            name: name.to_owned(),
            position: position.into(),
            failures: AtomicU64::new(0),
            is_failing: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            gate,
            is_required,
            is_builtin,
        }
    }

    pub(super) fn position(&self) -> u64 {
        // ORDERING: pairs with the store in `Follower::step`: the sink has taken every line below it.
        // Retention and `flush` need Acquire.
        self.position.load(Ordering::SeqCst)
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Whether this follower allows retention to remove every line below `end`.
    pub(crate) fn has_passed(&self, end: u64) -> bool {
        !self.is_required || self.position() >= end
    }
}
