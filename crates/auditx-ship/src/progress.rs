//! How far a shipper is, for metrics and for whoever waits.

use std::time::SystemTime;

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
    /// Attempts that are tried again.
    pub retries: u64,
    /// How often the destination was behind what it had acknowledged, so that lines are sent again.
    pub regressions: u64,
    /// Lines that were refused for what they say, and parked.
    pub parked: u64,
    /// How often somebody else was faster.
    pub fenced: u64,
    /// When the destination last kept something.
    pub last_success: Option<SystemTime>,
    /// Why the last attempt failed; empty after a success.
    pub trouble: String,
}

impl Progress {
    /// Lines that wait to be shipped.
    #[must_use]
    pub fn lag(&self) -> u64 {
        self.signed.saturating_sub(self.next)
    }
}
