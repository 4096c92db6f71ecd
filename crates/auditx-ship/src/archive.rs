//! The trait for archives of whole sealed segments: stores of objects that are written once and never
//! changed.

use std::future::Future;

use auditx_tlog::Hash;

use crate::batch::{CoveringCheckpoint, TrailName};
use crate::destination::DestinationId;
use crate::error::{Result, ShipError};
use crate::position::Position;

/// A compressed sealed segment.
#[derive(Debug, Clone)]
pub struct PackedSegment {
    /// The trail that it belongs to.
    pub trail: TrailName,
    /// The sequence number of its first line.
    pub first: u64,
    /// Its last line.
    pub last: Position,
    /// SHA-256 of its lines, newlines included; independent of the compression.
    pub sha256: Hash,
    /// The size of its lines in bytes, newlines included.
    pub bytes: u64,
    /// A checkpoint that covers these lines and all before them, and possibly later ones.
    pub checkpoint: CoveringCheckpoint,
    /// The lines, as one Zstandard frame.
    pub packed: Vec<u8>,
}

/// A system that stores segments.
///
/// A call may be cancelled at any time by dropping its future.
pub trait Archive: Send + 'static {
    /// Returns the archive's id.
    fn id(&self) -> &DestinationId;

    /// Returns the last line of the last segment of this trail that the archive holds, or `None` if it holds
    /// none.
    fn last(&mut self, trail: &TrailName) -> impl Future<Output = Result<Option<Position>, ShipError>>;

    /// Stores a segment unless the archive holds it already. Returns `Diverged` if the archive holds other
    /// lines under the same name.
    fn store(&mut self, segment: &PackedSegment) -> impl Future<Output = Result<(), ShipError>>;
}
