//! Lists the segments of a trail at one moment; each can be opened several times.
//!
//! Unlike the listing for readers, it keeps segments that should not exist: a segment whose name claims lines
//! that the active one holds cannot come from a race with a writer; it is a copy made by another program.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use auditx_store::{Frame, SealedSegment};
use auditx_tlog::parse_seq;

use crate::error::{Error, Result};
use crate::file::{self, FileId};
use crate::listing::{active_path, sealed_in};

/// How often to list again while a writer keeps sealing.
const ATTEMPTS: usize = 1_000;

/// One segment file.
#[derive(Debug, Clone)]
pub(super) enum SegmentFile {
    Sealed(SealedSegment),
    /// The active segment, held open so that it stays the same file if it is renamed; or what it is instead
    /// of a regular file.
    Active(PathBuf, Outcome<Arc<File>>),
}

/// What opening a segment found.
#[derive(Debug)]
pub(super) enum Opened {
    /// A plain file and the length to read.
    Plain(Arc<File>, u64),
    Compressed(File),
    /// The file was retired or moved after it was listed.
    Vanished,
    /// Something other than a regular file; the text says what.
    Refused(String),
}

impl SegmentFile {
    pub(super) fn name(&self) -> String {
        self.path().file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    }

    pub(super) fn path(&self) -> &Path {
        match self {
            Self::Sealed(listed) => &listed.path,
            Self::Active(path, _) => path,
        }
    }

    /// The first line according to the file name; `None` for the active segment.
    pub(super) fn named(&self) -> Option<u64> {
        match self {
            Self::Sealed(listed) => Some(listed.first_seq),
            Self::Active(..) => None,
        }
    }

    pub(super) fn is_active(&self) -> bool {
        matches!(self, Self::Active(..))
    }

    /// # Errors
    /// `is_storage` if the file cannot be opened.
    pub(super) fn open(&self) -> Result<Opened> {
        let listed = match self {
            Self::Active(_, Err(why)) => return Ok(Opened::Refused(why.clone())),
            Self::Active(path, Ok(file)) => return plain(file.clone(), path),
            Self::Sealed(listed) => listed,
        };
        match separate_refusal(file::open_sealed(listed))? {
            Some(Ok((sealed, file))) if sealed.compressed => Ok(Opened::Compressed(file)),
            Some(Ok((sealed, file))) => plain(Arc::new(file), &sealed.path),
            Some(Err(why)) => Ok(Opened::Refused(why)),
            None => Ok(Opened::Vanished),
        }
    }

    /// The number of its first line; `None` if that cannot be read.
    pub(super) fn first_seq(&self) -> Option<u64> {
        match self.open().ok()? {
            Opened::Plain(file, _) => file::first_seq(&file),
            Opened::Compressed(file) => {
                let mut head = Vec::new();
                Frame::new(file).ok()?.take(file::LINE_HEAD as u64).read_to_end(&mut head).ok()?;
                parse_seq(&head)
            }
            Opened::Vanished | Opened::Refused(_) => None,
        }
    }
}

/// The active segment counts up to its length at this moment; a sealed one does not grow.
fn plain(file: Arc<File>, path: &Path) -> Result<Opened> {
    let metadata =
        file.metadata().map_err(|error| Error::storage("cannot examine the segment", path, error))?;
    Ok(Opened::Plain(file, metadata.len()))
}

/// A file, or what is there instead of a regular file.
type Outcome<T> = std::result::Result<T, String>;

/// `None` if the file does not exist; `Err` with a description if it is not a regular file.
fn separate_refusal<T>(opened: Result<Option<T>>) -> Result<Option<Outcome<T>>> {
    match opened {
        Ok(opened) => Ok(opened.map(Ok)),
        Err(error) if error.is_refused() => Ok(Some(Err(error.why()))),
        Err(error) => Err(error),
    }
}

/// The segments in the order of their names, the active one last.
///
/// # Errors
/// `is_missing` if the directory does not exist, `is_storage` if it cannot be listed.
pub(super) fn list(directory: &Path) -> Result<Vec<SegmentFile>> {
    let path = active_path(directory);
    let mut attempt = 0;
    loop {
        attempt += 1;
        // The active segment is opened first, so that anything sealed before is already in the listing.
        let active = separate_refusal(file::open(&path))?;
        let mut sealed = sealed_in(directory)?;
        if !is_still_active(&path, active.as_ref()) {
            if attempt < ATTEMPTS {
                continue;
            }
            drop_sealed_since(&mut sealed, active.as_ref());
        }
        let sealed = sealed.into_iter().map(SegmentFile::Sealed);
        let active = active.map(|active| SegmentFile::Active(path, active.map(Arc::new)));
        return Ok(sealed.chain(active).collect());
    }
}

/// Whether nothing was sealed since the active segment was opened.
fn is_still_active(path: &Path, active: Option<&Outcome<File>>) -> bool {
    match active {
        Some(Ok(file)) => file.metadata().ok().map(|metadata| FileId::of(&metadata)) == FileId::named(path),
        Some(Err(_)) => true,
        None => FileId::named(path).is_none(),
    }
}

/// A sealed segment that starts at or after the active segment's first line is that segment under its new
/// name, or a newer one.
fn drop_sealed_since(sealed: &mut Vec<SealedSegment>, active: Option<&Outcome<File>>) {
    let Some(Ok(file)) = active else { return };
    let first = file::first_seq(file);
    sealed.retain(|sealed| first.is_none_or(|first| sealed.first_seq < first));
}
