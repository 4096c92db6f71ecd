//! How far a shipper is, for metrics and for whoever waits.

use std::time::{Duration, SystemTime};

use crate::error::RetryKind;

/// What a shipper is about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum State {
    /// It asks the destination how far it is.
    #[default]
    Connecting,
    /// It sends.
    Shipping,
    /// Everything that is signed is there.
    CaughtUp,
    /// It waits before it tries again.
    Waiting,
    /// It has ended.
    Ended,
}

/// How often what was tried again, by the kind of trouble.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Retries {
    /// [`RetryKind::Unreachable`]
    pub unreachable: u64,
    /// [`RetryKind::TimedOut`]
    pub timed_out: u64,
    /// [`RetryKind::Refused`]
    pub refused: u64,
    /// [`RetryKind::Source`]
    pub source: u64,
}

impl Retries {
    pub(crate) fn count(&mut self, kind: RetryKind) {
        *match kind {
            RetryKind::Unreachable => &mut self.unreachable,
            RetryKind::TimedOut => &mut self.timed_out,
            RetryKind::Refused => &mut self.refused,
            RetryKind::Source => &mut self.source,
        } += 1;
    }

    /// All of them.
    #[must_use]
    pub fn sum(&self) -> u64 {
        self.unreachable + self.timed_out + self.refused + self.source
    }
}

/// A moment of a shipper.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Progress {
    /// What it is about.
    pub state: State,
    /// The line it ships next: all before it are at the destination.
    pub next: u64,
    /// Lines that a checkpoint covers: as far as may be shipped. `signed - next` is the lag in entries.
    pub signed: u64,
    /// The line that the cursor on disk names: as far as retention may go.
    pub saved: u64,
    /// Lines sent, those sent again included.
    pub sent: u64,
    /// Bytes of them.
    pub sent_bytes: u64,
    /// Attempts that were tried again.
    pub retries: Retries,
    /// How often the destination was behind what it had acknowledged, so that lines are sent again.
    pub regressions: u64,
    /// Lines that were refused for what they say, and parked.
    pub parked: u64,
    /// How often somebody else was faster.
    pub fenced: u64,
    /// Bytes on the disk of lines that wait, at most a second ago; none where that is not known, as of a stream.
    pub lag_bytes: Option<u64>,
    /// When the oldest line was recorded that waits; none where none does.
    pub oldest: Option<SystemTime>,
    /// When the destination last kept something.
    pub last_success: Option<SystemTime>,
    /// Why the last attempt failed; empty after a success.
    pub trouble: String,
}

impl Progress {
    /// For how long the oldest line waits.
    #[must_use]
    pub fn age(&self) -> Duration {
        let age = self.oldest.and_then(|oldest| SystemTime::now().duration_since(oldest).ok());
        age.unwrap_or_default()
    }

    /// Lines that are acknowledged and that the cursor on disk does not name yet: sent again after a restart where the destination
    /// cannot say how far it is.
    #[must_use]
    pub fn unsaved(&self) -> u64 {
        self.next.saturating_sub(self.saved)
    }

    /// Lines that wait to be shipped.
    #[must_use]
    pub fn lag(&self) -> u64 {
        self.signed.saturating_sub(self.next)
    }
}
