//! The settings of a shipper.

use std::time::Duration;

use auditx_tlog::Policy;

/// The settings of a shipper. The defaults suit a database in the same network.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Settings {
    /// Default: 2,000. The maximum number of lines in a batch.
    pub lines: usize,
    /// Default: 1 MiB. The maximum size of a batch in bytes; a batch of one line may be larger.
    pub bytes: usize,
    /// Default: 200 ms. The interval at which the trail is checked for new lines.
    pub poll_interval: Duration,
    /// Default: 30 s. How long a destination may take to respond.
    pub timeout: Duration,
    /// Default: 100 ms. The pause after the first failure; each further failure doubles it, up to
    /// `max_backoff`.
    pub initial_backoff: Duration,
    /// Default: 30 s. The longest pause between attempts.
    pub max_backoff: Duration,
    /// Default: none. Ships only lines that a quorum of the policy's witnesses cosigned, with a checkpoint
    /// with their cosignatures. Has no effect on [`Shipper::relay`](crate::Shipper::relay).
    pub policy: Option<Policy>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            lines: 2_000,
            bytes: 1024 * 1024,
            poll_interval: Duration::from_millis(200),
            timeout: Duration::from_secs(30),
            initial_backoff: Duration::from_millis(100),
            max_backoff: Duration::from_secs(30),
            policy: None,
        }
    }
}
