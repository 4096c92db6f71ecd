//! Finds an active segment that was renamed by another program (logrotate) when the process died before it
//! noticed.

use auditx_format::control_record::Restoration;
use auditx_format::{Error, Result};

use crate::dir::Dir;
use crate::segment::{ACTIVE, first_seq_of};
use crate::trail::Trail;

/// Renames the active segment back, if no data is stored under its name and another file begins with the
/// missing line. The contents are checked afterwards, as for any active segment.
///
/// # Errors
/// `is_storage` if the directory cannot be listed or the file cannot be renamed.
pub(super) fn adopt(trail: &Trail, missing: u64) -> Result<Option<Restoration>> {
    let directory = &trail.directory;
    let failed =
        |error| Error::storage("cannot rename the active segment back", directory.join(ACTIVE), error);
    if directory.stat(ACTIVE).map_err(failed)?.is_some_and(|found| !found.is_file() || found.len() > 0) {
        return Ok(None);
    }
    let Some(stray) = find(directory, missing)? else { return Ok(None) };
    trail
        .storage
        .rename(directory, &stray, ACTIVE)
        .and_then(|()| trail.storage.sync_directory(directory))
        .map_err(failed)?;
    trail.counters.restored.add(1);
    let cause = format!("segment `{ACTIVE}` had been renamed to `{stray}` by another program (logrotate?)");
    Ok(Some(Restoration { name: ACTIVE.to_owned(), cause, lost: Vec::new(), aside: None }))
}

/// Finds a file named `audit.jsonl` plus a suffix, whose first line has this sequence number.
fn find(directory: &Dir, first_seq: u64) -> Result<Option<String>> {
    let names = directory
        .list("")
        .map_err(|error| Error::storage("cannot list the trail's directory", directory.path(), error))?;
    let mut names: Vec<String> = names.into_iter().filter_map(|name| name.into_string().ok()).collect();
    names.retain(|name| name.len() > ACTIVE.len() && name.starts_with(ACTIVE));
    names.sort();
    // Files that cannot be read or are not segments are skipped.
    Ok(names.into_iter().find(|name| first_seq_of(directory, name).ok().flatten() == Some(first_seq)))
}

/// Returns a hint at the renamed file for the error message, or an empty string.
pub(super) fn hint(directory: &Dir, missing: u64) -> String {
    match find(directory, missing) {
        Ok(Some(stray)) => {
            format!("; `{stray}` begins with that line: if it was renamed, rename it back to `{ACTIVE}`")
        }
        _ => String::new(),
    }
}
