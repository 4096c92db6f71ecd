//! How far the submission to witnesses is, and how a cosigned checkpoint is stored.

use std::collections::HashMap;
use std::path::Path;

use auditx_store::background::Shared;
use auditx_tlog::SignedCheckpoint;

use crate::cosigned;
use crate::error::{Error, Result};

/// How far the submission is.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Progress {
    /// The checkpoint that was cosigned last, with its cosignatures.
    pub cosigned: Option<SignedCheckpoint>,
    /// How many cosignatures were obtained.
    pub cosignatures: u64,
    /// Why witnesses did not cosign the last time, by their names.
    pub failures: HashMap<String, String>,
}

/// Stores a checkpoint that has new cosignatures.
pub(crate) fn keep(
    shared: &Shared<Progress>,
    trail: &Path,
    checkpoint: &SignedCheckpoint,
    new: u64,
) -> Result<()> {
    let kept = cosigned::keep(trail, checkpoint)
        .map_err(|error| Error::storage("cannot store a cosigned checkpoint", trail, error))?;
    shared.change(|progress| {
        progress.cosigned = Some(kept);
        progress.cosignatures += new;
    });
    Ok(())
}
