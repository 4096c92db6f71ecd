//! Verifies the time stamps that a trail keeps.

use std::path::Path;

use auditx_reader::{KeptStamp, StampedCheckpoint, kept_stamp, stamp_sizes};
use auditx_tlog::SignedCheckpoint;

use crate::error::{Error, Result};
use crate::roots::Roots;
use crate::stamp::Stamp;

/// Verifies the time stamps of the trail in this directory. Returns the stamped checkpoints, and why other
/// stamps cannot be used: what [`VerifyOptions::time_stamps`](auditx_reader::VerifyOptions::time_stamps)
/// takes, which compares them with the lines. Call it before the lines are read.
///
/// # Errors
/// If the stamps cannot be listed.
pub fn verified(trail: &Path, roots: &Roots) -> Result<(Vec<StampedCheckpoint>, Vec<String>)> {
    let sizes = stamp_sizes(trail).map_err(|error| Error::new(error.to_string()))?;
    let (mut stamped, mut unusable) = (Vec::new(), Vec::new());
    for size in sizes {
        match verify(&kept_stamp(trail, size), roots) {
            Ok(checkpoint) => stamped.push(checkpoint),
            Err(error) => unusable.push(format!(".auditx/timestamps/{size}.tsr: {error}")),
        }
    }
    Ok((stamped, unusable))
}

fn verify(kept: &KeptStamp, roots: &Roots) -> Result<StampedCheckpoint> {
    let checkpoint = SignedCheckpoint::parse(&kept.checkpoint)
        .map_err(|error| Error::new(format!("the checkpoint beside it cannot be read: {error}")))?;
    let stamped = Stamp::parse(&kept.response)?.verify(&kept.checkpoint, roots)?;
    Ok(StampedCheckpoint::new(checkpoint, stamped.at, stamped.accuracy, stamped.authority))
}
