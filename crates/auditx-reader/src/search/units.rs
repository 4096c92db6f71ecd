//! A trail cut into pieces that can be read side by side, in the order in which their entries are wanted.

use std::collections::VecDeque;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use auditx_core::SealedSegment;

use super::prune::{Bounds, State, Stretch};
use super::waiting::Waiting;
use super::{Cursor, Order, Source};
use crate::error::{Error, Result};
use crate::file;
use crate::listing::Listing;
use crate::segment::compressed_name;

/// So much of a plain file one thread takes at a time.
const PIECE: u64 = if cfg!(test) { 4 * 1024 } else { 1024 * 1024 };

/// So much of it is read at once: it stays in a processor's own cache while it is searched.
const STRETCH: u64 = if cfg!(test) { 1024 } else { 128 * 1024 };

/// The projection's name.
const SECURITY: &str = "security.jsonl";

/// What one thread reads at a time.
pub(super) enum Unit {
    /// The lines that begin in `begin..end` of a plain file.
    Piece(Piece),
    /// A compressed segment, of which only these stretches are wanted; all of it where there are none.
    Compressed { path: Arc<Path>, file: File, stretches: Option<Vec<Stretch>> },
    /// Lines that are in no file yet.
    Waiting { path: Arc<Path>, text: Vec<u8> },
    /// A segment that cannot be opened.
    Broken(Error),
}

#[derive(Clone)]
pub(super) struct Piece {
    pub(super) path: Arc<Path>,
    pub(super) file: Arc<File>,
    pub(super) begin: u64,
    pub(super) end: u64,
    /// How long the file was when the search began: what came later is not read.
    pub(super) len: u64,
    /// Whether bytes behind the last newline may still become a line.
    pub(super) grows: bool,
    pub(super) state: State,
}

impl Piece {
    /// Its parts that are read at once, in order.
    pub(super) fn stretches(&self, order: Order) -> impl Iterator<Item = Self> {
        let count = (self.end - self.begin).div_ceil(STRETCH);
        (0..count).map(move |number| {
            let number = if order == Order::OldestFirst { number } else { count - 1 - number };
            let begin = self.begin + number * STRETCH;
            Self { begin, end: (begin + STRETCH).min(self.end), ..self.clone() }
        })
    }
}

/// Hands out units in order. Files are opened one after the other, as they are reached.
pub(super) struct Units<'b> {
    directory: &'b Path,
    /// None where indexes are not asked.
    bounds: Option<&'b Bounds>,
    order: Order,
    files: VecDeque<Part>,
    open: VecDeque<Piece>,
}

/// A file still to be opened, or held open already.
enum Part {
    Sealed(SealedSegment),
    Open { path: Arc<Path>, file: File },
    Waiting { path: Arc<Path>, text: Vec<u8> },
    Broken(Error),
}

impl<'b> Units<'b> {
    /// # Errors
    /// `is_missing` where there is no such directory, `is_storage` where it cannot be listed.
    pub(super) fn of(
        directory: &'b Path,
        source: Source,
        order: Order,
        bounds: Option<&'b Bounds>,
    ) -> Result<Self> {
        let files = match source {
            Source::Audit => trail(directory)?,
            Source::Security => projection(directory)?,
        };
        Ok(Self { directory, bounds, order, files, open: VecDeque::new() })
    }

    /// Bytes of all files, as they lie on the disk.
    pub(super) fn bytes(&self) -> u64 {
        self.files.iter().map(Part::len).sum()
    }

    /// Leaves out the sealed segments that lie wholly on the side of a cursor that was searched before.
    pub(super) fn skip_to(&mut self, cursor: &Cursor) {
        let Cursor::Seq(seq) = cursor else { return };
        let begins_by = |part: &Part| matches!(part, Part::Sealed(sealed) if sealed.first_seq <= *seq);
        match (self.order, self.files.iter().rposition(begins_by)) {
            (Order::OldestFirst, Some(first)) => drop(self.files.drain(..first)),
            (Order::OldestFirst, None) => {}
            (Order::NewestFirst, _) => {
                self.files.retain(|part| !matches!(part, Part::Sealed(sealed) if sealed.first_seq > *seq));
            }
        }
    }

    /// What follows the last line.
    pub(super) fn add(&mut self, waiting: Waiting) {
        self.files.push_back(Part::Waiting { path: waiting.path, text: waiting.text });
    }

    pub(super) fn next(&mut self) -> Option<Unit> {
        loop {
            let piece = match self.order {
                Order::OldestFirst => self.open.pop_front(),
                Order::NewestFirst => self.open.pop_back(),
            };
            if let Some(piece) = piece {
                return Some(Unit::Piece(piece));
            }
            let part = match self.order {
                Order::OldestFirst => self.files.pop_front(),
                Order::NewestFirst => self.files.pop_back(),
            }?;
            match part {
                Part::Broken(error) => return Some(Unit::Broken(error)),
                Part::Waiting { path, text } => return Some(Unit::Waiting { path, text }),
                Part::Open { path, file } => {
                    if let Err(error) = self.cut(path, file, true, None) {
                        return Some(Unit::Broken(error));
                    }
                }
                Part::Sealed(sealed) => match self.open_sealed(&sealed) {
                    Ok(None) => {}
                    Ok(Some(unit)) => return Some(unit),
                    Err(error) => return Some(Unit::Broken(error)),
                },
            }
        }
    }

    /// Cuts a plain segment; gives a compressed one. Where it was retired since it was listed it gives nothing.
    fn open_sealed(&mut self, sealed: &SealedSegment) -> Result<Option<Unit>> {
        if !sealed.compressed {
            if let Some(file) = file::open(&sealed.path)? {
                let stretches = self.stretches(sealed, &file);
                self.cut(sealed.path.as_path().into(), file, false, stretches)?;
                return Ok(None);
            }
            // It may have been compressed since it was listed.
            let path = compressed_name(&sealed.path);
            let mut compressed = sealed.clone();
            (compressed.path, compressed.compressed) = (path, true);
            return self.open_compressed(&compressed);
        }
        self.open_compressed(sealed)
    }

    fn open_compressed(&self, sealed: &SealedSegment) -> Result<Option<Unit>> {
        let Some(file) = file::open(&sealed.path)? else { return Ok(None) };
        let stretches = self.stretches(sealed, &file);
        let is_wanted = stretches.as_ref().is_none_or(|stretches| !stretches.is_empty());
        Ok(is_wanted.then(|| Unit::Compressed { path: sealed.path.as_path().into(), file, stretches }))
    }

    fn stretches(&self, sealed: &SealedSegment, file: &File) -> Option<Vec<Stretch>> {
        self.bounds?.stretches(self.directory, sealed, file)
    }

    fn cut(
        &mut self,
        path: Arc<Path>,
        file: File,
        grows: bool,
        stretches: Option<Vec<Stretch>>,
    ) -> Result<()> {
        let metadata =
            file.metadata().map_err(|error| Error::storage("cannot examine the segment", &path, error))?;
        let (file, len) = (Arc::new(file), metadata.len());
        let stretches = stretches.unwrap_or_else(|| {
            let begins = (0..len.div_ceil(PIECE)).map(|number| number * PIECE);
            let stretch = |begin| Stretch { begin, end: (begin + PIECE).min(len), state: State::Unknown };
            begins.map(stretch).collect()
        });
        let piece = |Stretch { begin, end, state }| Piece {
            path: path.clone(),
            file: file.clone(),
            begin,
            end,
            len,
            grows,
            state,
        };
        self.open = stretches.into_iter().map(piece).collect();
        Ok(())
    }
}

impl Part {
    fn len(&self) -> u64 {
        let metadata = match self {
            Self::Sealed(sealed) => sealed.path.metadata(),
            Self::Open { file, .. } => file.metadata(),
            Self::Broken(_) | Self::Waiting { .. } => return 0,
        };
        metadata.map_or(0, |metadata| metadata.len())
    }
}

fn trail(directory: &Path) -> Result<VecDeque<Part>> {
    let Listing { sealed, active } = Listing::of(directory)?;
    let mut files: VecDeque<Part> = sealed.into_iter().map(Part::Sealed).collect();
    if let Some(active) = active {
        files.push_back(match active.and_then(|active| active.into_file()) {
            Ok((path, file)) => Part::Open { path, file },
            Err(error) => Part::Broken(error),
        });
    }
    Ok(files)
}

fn projection(directory: &Path) -> Result<VecDeque<Part>> {
    if !directory.is_dir() {
        return Err(Error::missing("there is no such directory", directory));
    }
    let path: PathBuf = directory.join(SECURITY);
    let file = file::open(&path)?;
    Ok(file.map(|file| Part::Open { path: path.into(), file }).into_iter().collect())
}
