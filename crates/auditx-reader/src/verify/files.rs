//! The segments of a trail at one moment, each of which can be opened more than once.
//!
//! Unlike a listing for readers it keeps what should not be there: a segment whose name claims lines that the active one
//! holds is no race with a writer, but somebody's copy.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use auditx_core::{Frame, SealedSegment, parse_seq, sealed_segments};

use crate::error::{Error, Result};
use crate::file::{self, Place};
use crate::listing::active_path;
use crate::segment::compressed_name;

/// A writer that seals without pause lets nobody list the directory between two seals.
const ATTEMPTS: usize = 1_000;

/// More than `{"seq":N,` with the largest N.
const HEAD: usize = 64;

/// One file.
#[derive(Debug, Clone)]
pub(super) struct SegmentFile {
    path: PathBuf,
    /// The first line by its name; none of the active one.
    pub(super) named: Option<u64>,
    is_compressed: bool,
    /// The active one, held open: the same file whatever its name becomes.
    held: Option<Held>,
}

#[derive(Debug, Clone)]
enum Held {
    File(Arc<File>),
    Refused(String),
}

/// What stands under a segment's name.
#[derive(Debug)]
pub(super) enum Opened {
    /// So many bytes of it count.
    Plain(Arc<File>, u64),
    Packed(File),
    /// It was retired, or moved away, since it was listed.
    Vanished,
    /// It is no file.
    Refused(String),
}

impl SegmentFile {
    pub(super) fn name(&self) -> String {
        self.path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn is_active(&self) -> bool {
        self.named.is_none()
    }

    /// # Errors
    /// `is_storage` where the file system refuses.
    pub(super) fn open(&self) -> Result<Opened> {
        match &self.held {
            Some(Held::Refused(why)) => return Ok(Opened::Refused(why.clone())),
            Some(Held::File(file)) => return plain(file.clone(), &self.path),
            None => {}
        }
        // A plain one may have been compressed since it was listed.
        let (plain_path, compressed) = if self.is_compressed {
            (None, self.path.clone())
        } else {
            (Some(&self.path), compressed_name(&self.path))
        };
        if let Some(path) = plain_path
            && let Some(file) = refusal_apart(file::open(path))?
        {
            return file.map_or_else(|why| Ok(Opened::Refused(why)), |file| plain(Arc::new(file), path));
        }
        Ok(match refusal_apart(file::open(&compressed))? {
            Some(Ok(file)) => Opened::Packed(file),
            Some(Err(why)) => Opened::Refused(why),
            None => Opened::Vanished,
        })
    }

    /// The number of its first line; none where that cannot be read.
    pub(super) fn first_seq(&self) -> Option<u64> {
        let mut head = Vec::with_capacity(HEAD);
        let read = match self.open().ok()? {
            Opened::Plain(file, _) => {
                use std::os::unix::fs::FileExt;
                head.resize(HEAD, 0);
                let len = file.read_at(&mut head, 0).ok()?;
                head.truncate(len);
                len
            }
            Opened::Packed(file) => {
                let decoder = Frame::new(file).ok()?;
                decoder.take(HEAD as u64).read_to_end(&mut head).ok()?
            }
            Opened::Vanished | Opened::Refused(_) => 0,
        };
        parse_seq(&head[..read])
    }
}

/// What the active file holds when this is called counts; a sealed one does not grow.
fn plain(file: Arc<File>, path: &Path) -> Result<Opened> {
    let metadata =
        file.metadata().map_err(|error| Error::storage("cannot examine the segment", path, error))?;
    Ok(Opened::Plain(file, metadata.len()))
}

type Outcome = std::result::Result<File, String>;

/// None where there is no such file; the words where it is no file.
fn refusal_apart(opened: Result<Option<File>>) -> Result<Option<Outcome>> {
    match opened {
        Ok(file) => Ok(file.map(Ok)),
        Err(error) if error.is_refused() => Ok(Some(Err(error.why()))),
        Err(error) => Err(error),
    }
}

/// The segments in the order of their names, the active one last.
///
/// # Errors
/// `is_missing` where there is no such directory, `is_storage` where it cannot be listed.
pub(super) fn list(directory: &Path) -> Result<Vec<SegmentFile>> {
    let path = active_path(directory);
    let mut attempt = 0;
    loop {
        attempt += 1;
        // The active one first: what was sealed before it is then there to be listed.
        let active = refusal_apart(file::open(&path))?;
        let mut sealed = sealed_segments(directory).map_err(|error| match directory.try_exists() {
            Ok(false) => Error::missing("there is no such directory", directory),
            _ => Error::from_core(error),
        })?;
        if !is_still_active(&path, active.as_ref()) {
            if attempt < ATTEMPTS {
                continue;
            }
            drop_sealed_since(&mut sealed, active.as_ref());
        }
        let mut files: Vec<SegmentFile> = sealed.into_iter().map(SegmentFile::from).collect();
        if let Some(active) = active {
            let held = match active {
                Ok(file) => Held::File(Arc::new(file)),
                Err(why) => Held::Refused(why),
            };
            files.push(SegmentFile { path, named: None, is_compressed: false, held: Some(held) });
        }
        return Ok(files);
    }
}

/// Whether nothing was sealed since the active segment was opened.
fn is_still_active(path: &Path, active: Option<&Outcome>) -> bool {
    match active {
        Some(Ok(file)) => file.metadata().ok().map(|metadata| Place::of(&metadata)) == Place::named(path),
        Some(Err(_)) => true,
        None => Place::named(path).is_none(),
    }
}

/// What is named from the active one's first line on is that one under its new name, or newer.
fn drop_sealed_since(sealed: &mut Vec<SealedSegment>, active: Option<&Outcome>) {
    use std::os::unix::fs::FileExt;
    let Some(Ok(file)) = active else { return };
    let mut head = [0; HEAD];
    let first = file.read_at(&mut head, 0).ok().and_then(|len| parse_seq(&head[..len]));
    sealed.retain(|sealed| first.is_none_or(|first| sealed.first_seq < first));
}

impl From<SealedSegment> for SegmentFile {
    fn from(sealed: SealedSegment) -> Self {
        let named = Some(sealed.first_seq);
        Self { named, is_compressed: sealed.compressed, path: sealed.path, held: None }
    }
}
