//! Copies read back: whoever doubts a destination makes a trail of what it holds, and verifies that.

use std::future::Future;
use std::path::Path;

use auditx_core::{RestoredTrail, SignedCheckpoint};

use crate::batch::Shipped;
use crate::destination::TrailId;
use crate::error::{Error, Result};

/// What a destination holds of a trail.
#[derive(Debug, Clone)]
pub struct StoredTrail {
    /// Its id.
    pub trail: TrailId,
    /// The name under which its tree heads are signed.
    pub origin: String,
    /// The number of the first line that is there.
    pub first: u64,
    /// The number of the line that comes next.
    pub next: u64,
    /// The newest note; it speaks of no line that is not there. None where nothing was ever signed over what is there.
    pub checkpoint: Option<SignedCheckpoint>,
    /// Those of boundaries, in order.
    pub boundaries: Vec<SignedCheckpoint>,
}

/// A destination, read back. Nothing that it says is believed.
pub trait StoredCopy {
    /// The trails that it holds.
    fn trails(&mut self) -> impl Future<Output = Result<Vec<StoredTrail>>>;

    /// The lines from this number on, in the order of the numbers under which they are kept: some of them, at most a few MiB; none
    /// where none follow. `leaf_hash` is what is kept beside the line, or the line's own where nothing is.
    fn lines(&mut self, trail: TrailId, from: u64) -> impl Future<Output = Result<Vec<Shipped>>>;
}

/// Makes a trail in `directory`, which must be empty or absent, of what a destination holds: it can be verified and searched like any
/// other, and not be continued. `progress` is told how many lines of how many are there.
///
/// # Errors
/// Where the copy cannot be read, or the trail not be written.
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
