//! An active segment that has another name: a process died after another program (logrotate) renamed it, and before it
//! noticed.

use crate::appender::Means;
use crate::control_record::Restoration;
use crate::dir::Dir;
use crate::error::{Error, Result};
use crate::segment::{ACTIVE, first_seq_of};

/// Gives the active segment its name back, where the file in its place holds nothing and another one begins with the line that
/// is missing. What is in it is checked afterwards, as what has the name always is.
///
/// # Errors
/// `is_storage` where the directory cannot be listed or the file cannot be renamed.
pub(super) fn adopt(means: &Means, missing: u64) -> Result<Option<Restoration>> {
    let directory = &means.directory;
    let failed =
        |error| Error::storage("cannot rename the active segment back", directory.join(ACTIVE), error);
    if directory.stat(ACTIVE).map_err(failed)?.is_some_and(|found| !found.is_file() || found.len() > 0) {
        return Ok(None);
    }
    let Some(stray) = find(directory, missing)? else { return Ok(None) };
    means
        .storage
        .rename(directory, &stray, ACTIVE)
        .and_then(|()| means.storage.sync_directory(directory))
        .map_err(failed)?;
    means.counters.restored.add(1);
    let cause = format!("segment `{ACTIVE}` had been renamed to `{stray}` by another program (logrotate?)");
    Ok(Some(Restoration { name: ACTIVE.to_owned(), cause, lost: Vec::new(), aside: None }))
}

/// `audit.jsonl` with something behind it, whose first line has this number.
fn find(directory: &Dir, first_seq: u64) -> Result<Option<String>> {
    let names = directory
        .list("")
        .map_err(|error| Error::storage("cannot list the trail's directory", directory.path(), error))?;
    let mut names: Vec<String> = names.into_iter().filter_map(|name| name.into_string().ok()).collect();
    names.retain(|name| name.len() > ACTIVE.len() && name.starts_with(ACTIVE));
    names.sort();
    // A file that cannot be read, or is no segment, is not it.
    Ok(names.into_iter().find(|name| first_seq_of(directory, name).ok().flatten() == Some(first_seq)))
}

/// Where the file may be that would make the trail whole, for the message that refuses it.
pub(super) fn hint(directory: &Dir, missing: u64) -> String {
    match find(directory, missing) {
        Ok(Some(stray)) => {
            format!("; `{stray}` begins with that line: if it was renamed, rename it back to `{ACTIVE}`")
        }
        _ => String::new(),
    }
}
