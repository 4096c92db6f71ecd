//! The parts of an open trail that its appender works with.

use std::sync::Arc;
use std::time::Duration;

use crate::bell::Bell;
use crate::clock::Clock;
use crate::dir::Dir;
use crate::encode::Envelope;
use crate::metrics::Counters;
use crate::segment::Registry;
use crate::storage::Storage;
use crate::watermark::Watermark;

/// The parts an appender works with.
#[derive(Debug, Clone)]
pub(crate) struct Resources {
    pub(crate) directory: Dir,
    pub(crate) storage: Arc<dyn Storage>,
    pub(crate) envelope: Arc<Envelope>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) max_file_bytes: u64,
    pub(crate) max_age: Option<Duration>,
    /// The sealed segments, so that a missing one is noticed.
    pub(crate) registry: Arc<Registry>,
    /// Notified when a sealed segment is durable.
    pub(crate) sealed: Arc<Bell>,
    /// Learns of every line and every failure.
    pub(crate) watermark: Arc<Watermark>,
}
