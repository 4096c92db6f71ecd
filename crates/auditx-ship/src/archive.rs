//! Where whole sealed segments go: a store of objects that are written once and never changed.

use std::future::Future;

use auditx_core::Hash;

use crate::batch::{Note, TrailName};
use crate::destination::{DestinationId, Position};
use crate::error::{Result, ShipError};

/// A sealed segment, packed.
#[derive(Debug, Clone)]
pub struct PackedSegment {
    /// Whose it is.
    pub trail: TrailName,
    /// The number of its first line.
    pub first: u64,
    /// Its last line.
    pub last: Position,
    /// SHA-256 of its lines, newlines included. It says the same however they are compressed.
    pub sha256: Hash,
    /// Bytes of its lines.
    pub bytes: u64,
    /// What was signed: over just these lines and all before them, or over more.
    pub note: Note,
    /// The lines as one Zstandard frame.
    pub packed: Vec<u8>,
}

/// A store that keeps segments.
///
/// A call may be given up at any moment by dropping its future.
pub trait Archive: Send + 'static {
    /// Names it.
    fn id(&self) -> &DestinationId;

    /// The last line of the last segment that it holds of this trail; none where it holds none.
    fn last(&mut self, trail: &TrailName) -> impl Future<Output = Result<Option<Position>, ShipError>>;

    /// Keeps a segment, if it is not there yet. One that holds other lines in its place is an answer of `Diverged`.
    fn keep(&mut self, segment: &PackedSegment) -> impl Future<Output = Result<(), ShipError>>;
}
