//! Keeps time stamps with the trail, in `.auditx/timestamps`: `<size>.checkpoint`, what was stamped, and
//! `<size>.tsr`, the answer of the authority. Other tools read both.
//!
//! Several processes may obtain stamps of the same trail. A stamp is never replaced: it is evidence.

use std::io;
use std::path::Path;

use auditx_store::{KeptFiles, read_kept, timestamp_history};

/// Stores a stamp. A stamp of the same size that exists is kept, and the new one is dropped.
///
/// # Errors
/// If a file cannot be written, or another checkpoint of this size was stamped before.
pub(crate) fn keep(trail: &Path, size: u64, stamped: &str, response: &[u8]) -> io::Result<()> {
    let kept = KeptFiles::lock(trail, timestamp_history(trail))?;
    let (checkpoint, answer) = (format!("{size}.checkpoint"), format!("{size}.tsr"));
    if kept.path(&answer).exists() {
        return match read_kept(&kept.path(&checkpoint)) {
            Ok(Some(bytes)) if bytes == stamped.as_bytes() => Ok(()),
            _ => Err(io::Error::other(format!(
                "another checkpoint of {size} lines was stamped before: run `auditx verify`"
            ))),
        };
    }
    // Written last: a reader that finds the answer also finds what was stamped.
    kept.write(&checkpoint, stamped.as_bytes())?;
    kept.write(&answer, response)
}
