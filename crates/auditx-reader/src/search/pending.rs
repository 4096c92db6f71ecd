//! Pending entries: accepted, but not in the trail yet, because the disk of the writer is full, or because
//! the writer is stopped or was killed.

use std::path::Path;
use std::sync::Arc;

use auditx_format::control_record::StoredRecord;
use auditx_store::{AUDITX_DIR, PendingEntries, lock_holder, pending_entries};
use auditx_tlog::parse_seq;

use crate::error::{Error, Result};
use crate::lines::Lines;

/// The journal's file name, as shown to users.
pub(super) const JOURNAL: &str = "ring";

/// The pending entries, which follow the last line of the trail.
#[derive(Debug)]
pub(super) struct Pending {
    /// The seq of the last line. Later lines are skipped, since they may contain these entries.
    pub(super) last_seq: Option<u64>,
    /// The entries as lines, each with its newline.
    pub(super) text: Vec<u8>,
    pub(super) path: Arc<Path>,
}

impl Pending {
    /// Reads the pending entries. Returns `None` if there are none, or if this user may not read the journal
    /// of an orderly trail.
    ///
    /// # Errors
    /// `is_corrupt` if the journal is damaged or belongs to another trail; `is_storage` if it cannot be read
    /// and may have pending entries.
    pub(super) fn of(directory: &Path) -> Result<Option<Self>> {
        let mut pending = match pending_entries(directory) {
            Ok(pending) if pending.is_empty() => return Ok(None),
            Ok(pending) => pending,
            Err(error) if error.is_corrupt() => return Err(Error::from_store(error)),
            // Only the owner may read the journal. A process that has the trail open, or has closed it,
            // leaves nothing in it for long.
            Err(_) if is_orderly(directory) => return Ok(None),
            Err(error) => {
                let what = "the journal cannot be read by this user: \
                            entries that a killed process had accepted are not shown";
                return Err(Error::storage(what, directory, error));
            }
        };
        let last_seq = last_seq(directory);
        remove_written(&mut pending, directory, last_seq);
        let text: Vec<u8> = pending.lines().flat_map(|line| [line, b"\n"]).flatten().copied().collect();
        let path = directory.join(AUDITX_DIR).join(JOURNAL).into();
        Ok((!text.is_empty()).then_some(Self { last_seq, text, path }))
    }
}

/// Whether a process has the trail open, or the last line records that it was closed.
fn is_orderly(directory: &Path) -> bool {
    if matches!(lock_holder(directory), Ok(Some(_))) {
        return true;
    }
    let last = Lines::last(directory, 1).ok().and_then(|lines| lines.flatten().next());
    last.is_none_or(|line| match StoredRecord::kind(line.bytes()) {
        Some(kind) => kind == "close",
        None => line.seq().is_none(),
    })
}

/// Removes the entries that were written to the trail since, up to this line.
fn remove_written(pending: &mut PendingEntries, directory: &Path, last: Option<u64>) {
    let Some(last) = last.filter(|last| *last >= pending.scanned_to()) else { return };
    // Lines after `last` may have been added meanwhile; a search skips them too.
    let count = last_seq(directory).unwrap_or(last) + 1 - pending.scanned_to();
    for line in Lines::last(directory, count).into_iter().flatten().flatten() {
        match line.seq() {
            // A writer may be faster than this loop.
            Some(seq) if seq > last => break,
            Some(_) => pending.remove(line.bytes()),
            None => {}
        }
    }
}

fn last_seq(directory: &Path) -> Option<u64> {
    // Not the last line of the iterator: a fast writer would keep adding lines.
    Lines::last(directory, 1).ok()?.flatten().next().and_then(|line| parse_seq(line.bytes()))
}
