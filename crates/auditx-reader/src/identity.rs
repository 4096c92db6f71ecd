//! The identity of a trail, `.auditx/trail.json`.

use std::path::Path;

use auditx_store::AUDITX_DIR;
use serde::{Deserialize, Serialize};

use crate::file;

/// The identity of a trail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Identity {
    /// The version of the format of lines and files.
    pub format: u32,
    /// The trail's id: 128 random bits in hexadecimal.
    pub trail_id: String,
    /// The name that the log was given.
    pub origin: String,
}

/// The format without a tree and checkpoints. Its trails can still be read.
pub(crate) const FORMAT_WITHOUT_TREE: u32 = 1;

/// Reads the identity of a trail; `None` if it cannot be read.
pub(crate) fn read(directory: &Path) -> Option<Identity> {
    let bytes = file::read_small(&directory.join(AUDITX_DIR).join("trail.json")).ok()??;
    serde_json::from_slice(&bytes).ok()
}

/// The log name of a trail's checkpoints, from `.auditx/trail.json`; `None` if that cannot be read.
pub(crate) fn log_name(directory: &Path) -> Option<String> {
    let identity = read(directory)?;
    Some(auditx_tlog::log_name(&identity.origin, &identity.trail_id))
}
