//! Lists the segments of a trail at one moment, while a writer may be sealing and compressing them.

use std::collections::VecDeque;
use std::fs;
use std::path::{Path, PathBuf};

use auditx_store::{ACTIVE, SealedSegment, sealed_segments};

use crate::error::{Error, Result};
use crate::file;
use crate::segment::Segment;

/// The segments of a trail at one moment.
pub(crate) struct Listing {
    /// Files that the Python package rotated, oldest first. They precede all segments.
    pub(crate) legacy: VecDeque<PathBuf>,
    /// The sealed segments in order.
    pub(crate) sealed: VecDeque<SealedSegment>,
    /// The active segment, held open: it can be read to its end even if it is sealed meanwhile.
    pub(crate) active: Option<Result<Segment>>,
    /// Whether the names of sealed segments claim lines of the active one: either it was sealed just now, or
    /// they do not belong to the trail.
    pub(crate) has_strays: bool,
}

impl Listing {
    /// Lists the directory. The active segment is opened first: segments that were sealed before it are then
    /// listed, and a listed segment that begins at its first line or later is the same segment under its new
    /// name, or newer.
    ///
    /// # Errors
    /// `is_missing` if there is no such directory; `is_storage` if it cannot be listed.
    pub(crate) fn of(directory: &Path) -> Result<Self> {
        let path = active_path(directory);
        let active = file::open(&path).map(|file| file.map(|file| Segment::plain(&path, file))).transpose();
        let mut sealed = sealed_in(directory)?;
        let active_seq = active.as_ref().and_then(|active| active.as_ref().ok()?.first_seq());
        let listed = sealed.len();
        sealed.retain(|sealed| active_seq.is_none_or(|active_seq| sealed.first_seq < active_seq));
        let has_strays = sealed.len() < listed;
        let legacy = legacy_files(directory).into_iter().map(|(_, path)| path).collect();
        Ok(Self { legacy, sealed: sealed.into(), active, has_strays })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.legacy.is_empty() && self.sealed.is_empty() && self.active.is_none()
    }
}

/// The sealed segments of a directory in the order of their names.
///
/// # Errors
/// `is_missing` if there is no such directory; `is_storage` if it cannot be listed.
pub(crate) fn sealed_in(directory: &Path) -> Result<Vec<SealedSegment>> {
    sealed_segments(directory).map_err(|error| match directory.try_exists() {
        Ok(false) => Error::missing("there is no such directory", directory),
        _ => Error::from_store(error),
    })
}

pub(crate) fn active_path(directory: &Path) -> PathBuf {
    directory.join(ACTIVE)
}

/// The number of a file that the Python package rotated, `audit.jsonl.1` or `.2`; `None` for any other name.
pub(crate) fn legacy_number(name: &str) -> Option<u64> {
    let digits = name.strip_prefix(ACTIVE)?.strip_prefix('.')?;
    let is_number = !digits.starts_with('0') && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().ok())?
}

/// The files that the Python package rotated, oldest first: the one with the largest number. A file whose
/// first line has a sequence number is not one of them, but a copy that another program made of a segment.
pub(crate) fn legacy_files(directory: &Path) -> Vec<(u64, PathBuf)> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let mut files: Vec<(u64, PathBuf)> = entries
        .filter_map(|entry| Some((legacy_number(entry.file_name().to_str()?)?, entry.path())))
        .filter(|(_, path)| begins_as_legacy(path))
        .collect();
    files.sort_unstable_by(|one, other| other.cmp(one));
    files
}

/// Whether a file begins with a JSON object without a sequence number.
pub(crate) fn begins_as_legacy(path: &Path) -> bool {
    file::open(path).ok().flatten().is_some_and(|file| file::begins_as_legacy(&file))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn legacy_files_are_listed_oldest_first() {
        let directory = tempfile::tempdir().unwrap();
        for (name, text) in [
            ("audit.jsonl.1", "{\"timestamp\": \"t\"}\n"),
            ("audit.jsonl.10", "{\"timestamp\": \"t\"}\n"),
            ("audit.jsonl.2", "{\"timestamp\": \"t\"}\n"),
            ("audit.jsonl.3", "{\"seq\":0,\"id\":\"i\"}\n"),
            ("audit.jsonl.04", "{}\n"),
            ("audit.jsonl.4.gz", "{}\n"),
            ("audit.jsonl.aside", "{}\n"),
        ] {
            fs::write(directory.path().join(name), text).unwrap();
        }
        let found: Vec<u64> = legacy_files(directory.path()).into_iter().map(|(number, _)| number).collect();
        assert_eq!(found, [10, 2, 1]);
    }
}
