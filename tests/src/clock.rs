//! A stopped clock, so that timestamps are known exactly.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use auditx_core::Clock;

/// A clock that always returns 2026-11-24T15:24:54.123456Z.
#[derive(Debug, Clone, Copy, Default)]
pub struct StoppedClock;

impl StoppedClock {
    /// The clock's time, in the form of entries.
    pub const TIMESTAMP: &'static str = "2026-11-24T15:24:54.123456Z";
}

impl Clock for StoppedClock {
    fn now(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_micros(1_795_533_894_123_456)
    }
}
