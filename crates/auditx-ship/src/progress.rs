//! The progress of a shipper, for metrics and for callers that wait for it.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use crate::error::RetryKind;
use crate::source::Backlog;

/// What a shipper is doing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum State {
    /// It requests the last line that the destination holds.
    #[default]
    Connecting,
    /// It sends lines.
    Shipping,
    /// The destination holds all lines that may be shipped: signed ones or, with a policy, cosigned ones.
    CaughtUp,
    /// It waits before the next attempt.
    Waiting,
    /// It has ended.
    Ended,
}

/// The number of retries by kind of error.
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

    /// Returns the total number of retries.
    #[must_use]
    pub fn sum(&self) -> u64 {
        self.unreachable + self.timed_out + self.refused + self.source
    }
}

/// A snapshot of a shipper's progress.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Progress {
    /// What the shipper is doing.
    pub state: State,
    /// The line that is shipped next; the destination holds all lines before it.
    pub next: u64,
    /// The number of lines that a checkpoint covers; only these may be shipped. `signed - next` is the lag in
    /// lines.
    pub signed: u64,
    /// The line in the durable cursor; retention may remove lines before it.
    pub saved: u64,
    /// The number of lines sent, including those sent again.
    pub sent: u64,
    /// The size in bytes of the lines sent.
    pub sent_bytes: u64,
    /// The number of attempts that were retried.
    pub retries: Retries,
    /// How often the destination held fewer lines than it had acknowledged, so that lines were sent again.
    pub regressions: u64,
    /// The number of lines that the destination refused because of their content and that were parked.
    pub parked: u64,
    /// How often another shipper of the same trail stored lines first.
    pub fenced: u64,
    /// The size on disk of the lines not shipped yet, at most a second old; `None` if it is not known, as for
    /// a stream.
    pub lag_bytes: Option<u64>,
    /// The timestamp of the oldest line not shipped yet; `None` if all lines are shipped.
    pub oldest: Option<SystemTime>,
    /// When the destination last stored lines.
    pub last_success: Option<SystemTime>,
    /// The error of the last attempt; empty after a success.
    pub last_error: String,
}

impl Progress {
    /// Returns the age of the oldest line not shipped yet.
    #[must_use]
    pub fn age(&self) -> Duration {
        let age = self.oldest.and_then(|oldest| SystemTime::now().duration_since(oldest).ok());
        age.unwrap_or_default()
    }

    /// Returns the number of acknowledged lines beyond the durable cursor. They are sent again after a
    /// restart if the destination cannot report its last line.
    #[must_use]
    pub fn unsaved(&self) -> u64 {
        self.next.saturating_sub(self.saved)
    }

    /// Returns the number of signed lines not shipped yet.
    #[must_use]
    pub fn lag(&self) -> u64 {
        self.signed.saturating_sub(self.next)
    }
}

/// The state that the worker shares with the handle.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    progress: Mutex<Progress>,
    changed: Condvar,
}

impl Shared {
    /// Updates the size and age of the backlog. An error is ignored here: the next read reports it.
    pub(crate) fn measure(&self, backlog: impl FnOnce(u64, u64) -> Option<Backlog>) {
        let Progress { next, signed, .. } = self.progress();
        let found = if next < signed { backlog(next, signed) } else { Some(Backlog::default()) };
        self.change(|progress| {
            progress.lag_bytes = found.map(|backlog| backlog.bytes);
            if let Some(Backlog { oldest, .. }) = found {
                progress.oldest = oldest;
            }
        });
    }

    pub(crate) fn change(&self, change: impl FnOnce(&mut Progress)) {
        change(&mut self.progress.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.notify_all();
    }

    pub(crate) fn progress(&self) -> Progress {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until the condition holds. Returns false if the shipper ended or the deadline passed first.
    pub(crate) fn wait_until(&self, deadline: Instant, condition: impl Fn(&Progress) -> bool) -> bool {
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if condition(&progress) {
                return true;
            }
            let remaining = deadline.saturating_duration_since(Instant::now());
            if remaining.is_zero() || progress.state == State::Ended {
                return false;
            }
            progress =
                self.changed.wait_timeout(progress, remaining).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}
