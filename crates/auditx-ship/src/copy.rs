//! Restores a trail from a destination, so that the copy can be verified like any other trail.

use std::future::Future;
use std::path::Path;

use auditx_store::RestoredTrail;
use auditx_tlog::SignedCheckpoint;

use crate::batch::ShippedLine;
use crate::error::{Error, Result};
use crate::position::TrailId;

/// The extent of a trail's copy at a destination.
#[derive(Debug, Clone)]
pub struct StoredTrail {
    /// The trail's id.
    pub trail: TrailId,
    /// The name under which its tree heads are signed.
    pub origin: String,
    /// The sequence number of the first stored line.
    pub first: u64,
    /// The sequence number after the last stored line.
    pub next: u64,
    /// The newest checkpoint that covers only stored lines; `None` if there is no such checkpoint.
    pub checkpoint: Option<SignedCheckpoint>,
    /// The checkpoints of boundaries, in order.
    pub boundaries: Vec<SignedCheckpoint>,
}

/// Reads a copy from a destination. The content is not trusted: verification of the restored trail checks all
/// of it.
pub trait StoredCopy {
    /// Returns the trails that the destination holds.
    fn trails(&mut self) -> impl Future<Output = Result<Vec<StoredTrail>>>;

    /// Returns lines from this sequence number on, ordered by the sequence numbers under which they are
    /// stored: at most a few MiB, and no lines if none follow. `leaf_hash` is the hash that is stored with
    /// the line, or the line's own hash if none is stored.
    fn lines(&mut self, trail: TrailId, from: u64) -> impl Future<Output = Result<Vec<ShippedLine>>>;
}

/// Restores a trail into `directory`, which must be empty or not exist. The restored trail can be verified
/// and searched like any other, but no writer can open it. `progress` is called with the number of restored
/// lines and their total.
///
/// # Errors
/// If the copy cannot be read or the trail cannot be written.
pub async fn restore(
    copy: &mut impl StoredCopy,
    stored: &StoredTrail,
    directory: &Path,
    mut progress: impl FnMut(u64, u64),
) -> Result<()> {
    let mut trail = RestoredTrail::create(directory, &stored.origin, stored.first).map_err(Error::new)?;
    let (mut from, all) = (stored.first, stored.next.saturating_sub(stored.first));
    loop {
        let lines = copy.lines(stored.trail, from).await?;
        let Some(last) = lines.last() else { break };
        from = last.seq + 1;
        for line in &lines {
            trail.push(line.line.as_bytes(), line.leaf_hash).map_err(Error::new)?;
        }
        progress(from.saturating_sub(stored.first), all);
    }
    trail.finish(stored.checkpoint.as_ref(), &stored.boundaries).map_err(Error::new)
}
