//! How a shipper goes about it.

use std::time::Duration;

/// The defaults are good for a database in the next room.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Settings {
    /// Lines sent at once at most. Default: 2,000.
    pub lines: usize,
    /// Bytes of lines sent at once at most, one line excepted. Default: 1 MiB.
    pub bytes: usize,
    /// How often the trail is looked at for something new. Default: 200 ms.
    pub look: Duration,
    /// How long a destination may take for one answer. Default: 30 s.
    pub patience: Duration,
    /// The pause after the first failure; it doubles with each, up to `longest_pause`. Default: 100 ms.
    pub first_pause: Duration,
    /// Default: 30 s.
    pub longest_pause: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            lines: 2_000,
            bytes: 1024 * 1024,
            look: Duration::from_millis(200),
            patience: Duration::from_secs(30),
            first_pause: Duration::from_millis(100),
            longest_pause: Duration::from_secs(30),
        }
    }
}
