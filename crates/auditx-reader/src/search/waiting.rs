//! Entries that were accepted and are in no line yet: the disk of a live process is full, it is stopped, or was killed.

use std::path::Path;
use std::sync::Arc;

use auditx_core::{AUDITX_DIR, PendingEntries, lock_holder, parse_seq, pending_entries};

use crate::error::{Error, Result};
use crate::lines::Lines;
use crate::verify::record;

/// The journal, as it is named to people.
pub(super) const JOURNAL: &str = "ring";

/// What follows the last line.
#[derive(Debug)]
pub(super) struct Waiting {
    /// The number of that line; later ones are not read, since they may be these entries.
    pub(super) last_seq: Option<u64>,
    /// As lines, each with its newline.
    pub(super) text: Vec<u8>,
    pub(super) path: Arc<Path>,
}

impl Waiting {
    /// None where every accepted entry is in the trail, or the journal is not ours to read.
    ///
    /// # Errors
    /// `is_corrupt` where the journal is none, or of another trail.
    pub(super) fn of(directory: &Path) -> Result<Option<Self>> {
        let mut waiting = match pending_entries(directory) {
            Ok(waiting) if waiting.is_empty() => return Ok(None),
            Ok(waiting) => waiting,
            Err(error) if error.is_corrupt() => return Err(Error::from_core(error)),
            // The journal is its owner's only. A process that has the trail open, or that closed it, leaves nothing in it for long.
            Err(_) if is_left_in_order(directory) => return Ok(None),
            Err(error) => {
                let what = "the journal cannot be read by this user: entries that a process accepted before it was killed are not shown";
                return Err(Error::storage(what, directory, error));
            }
        };
        let last_seq = last_seq(directory);
        strike(&mut waiting, directory, last_seq);
        let text: Vec<u8> = waiting.lines().flat_map(|line| [line, b"\n"]).flatten().copied().collect();
        let path = directory.join(AUDITX_DIR).join(JOURNAL).into();
        Ok((!text.is_empty()).then_some(Self { last_seq, text, path }))
    }
}

/// Whether a process has the trail open, or its last line says that it was closed.
fn is_left_in_order(directory: &Path) -> bool {
    if matches!(lock_holder(directory), Ok(Some(_))) {
        return true;
    }
    let last = Lines::last(directory, 1).ok().and_then(|lines| lines.flatten().last());
    last.is_none_or(|line| match record::read_kind(line.bytes()) {
        Some(kind) => kind == "close",
        None => line.seq().is_none(),
    })
}

/// Strikes out what was written since, up to this line.
fn strike(waiting: &mut PendingEntries, directory: &Path, last: Option<u64>) {
    let Some(last) = last.filter(|last| *last >= waiting.looked_to()) else { return };
    // More may have come meanwhile, which is left out here as there.
    let count = last_seq(directory).unwrap_or(last) + 1 - waiting.looked_to();
    for line in Lines::last(directory, count).into_iter().flatten().flatten() {
        if line.seq().is_some_and(|seq| seq <= last) {
            waiting.pass(line.bytes());
        }
    }
}

fn last_seq(directory: &Path) -> Option<u64> {
    Lines::last(directory, 1).ok()?.flatten().last().and_then(|line| parse_seq(line.bytes()))
}
