//! Keeps time stamps with the trail, in `.auditx/timestamps`: `<size>.checkpoint`, what was stamped, and
//! `<size>.tsr`, the answer of the authority. Other tools read both.
//!
//! Several processes may obtain stamps of the same trail. A stamp is never replaced: it is evidence.

use std::fs;
use std::io;
use std::path::Path;

use auditx_store::{KeptFiles, timestamp_history};

/// Stores a stamp. If there is one of the same size already, it remains.
///
/// # Errors
/// If a file cannot be written, or the trail had another checkpoint of this size that was stamped.
pub(crate) fn keep(trail: &Path, size: u64, stamped: &str, response: &[u8]) -> io::Result<()> {
    let kept = KeptFiles::lock(trail, timestamp_history(trail))?;
    let (checkpoint, answer) = (format!("{size}.checkpoint"), format!("{size}.tsr"));
    if kept.path(&answer).exists() {
        return match fs::read(kept.path(&checkpoint)) {
            Ok(bytes) if bytes == stamped.as_bytes() => Ok(()),
            _ => Err(io::Error::other(format!(
                "another checkpoint of {size} lines was stamped before: verify the trail"
            ))),
        };
    }
    // The answer comes last, so that it never lacks what was stamped.
    kept.write(&checkpoint, stamped.as_bytes())?;
    kept.write(&answer, response)
}
