//! A trail cut into pieces that can be read side by side, in the order in which their entries are wanted.

use std::collections::VecDeque;
use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use auditx_core::{SealedSegment, parse_seq};

use super::prune::{Bounds, Stretch, blocks};
use super::waiting::Waiting;
use super::{Cursor, Order};
use crate::error::{Error, Result};
use crate::file;
use crate::head::Head;
use crate::listing::Listing;
use crate::segment::compressed_name;

/// So much of a plain file one thread takes at a time.
const PIECE: u64 = if cfg!(test) { 4 * 1024 } else { 1024 * 1024 };

/// So much of it is read at once: it stays in a processor's own cache while it is searched.
const STRETCH: u64 = if cfg!(test) { 1024 } else { 128 * 1024 };

/// More than `{"seq":N,` with the largest N.
const HEAD: usize = 64;

/// What one thread reads at a time.
pub(super) enum Unit {
    /// Part of a plain file.
    Piece(Piece),
    /// A compressed segment, and its blocks if it has an index.
    Compressed { path: Arc<Path>, file: File, blocks: Option<Vec<Stretch>> },
    /// Lines that the index says are not wanted, by their numbers.
    Skipped(Range<u64>),
    /// Lines that are in no file yet.
    Waiting { path: Arc<Path>, text: Vec<u8> },
    /// A segment that cannot be opened.
    Broken(Error),
}

#[derive(Clone)]
pub(super) struct Piece {
    pub(super) path: Arc<Path>,
    pub(super) file: Arc<File>,
    /// How long the file was when the search began: what came later is not read.
    pub(super) len: u64,
    /// Whether bytes behind the last newline may still become a line.
    pub(super) grows: bool,
    /// Whether it is of the Python package, whose lines are in no tree.
    pub(super) is_legacy: bool,
    pub(super) parts: Parts,
}

/// What of a plain file is read.
#[derive(Debug, Clone)]
pub(super) enum Parts {
    /// The lines that begin in these bytes.
    Bytes(Range<u64>),
    /// Blocks of the index.
    Blocks(Vec<Stretch>),
}

impl Parts {
    /// Its bytes in the file.
    pub(super) fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.end - bytes.start,
            Self::Blocks(blocks) => blocks.iter().map(|block| block.end - block.begin).sum(),
        }
    }
}

/// The parts of `begin..end` that are read at once, in order.
pub(super) fn stretches(bytes: Range<u64>, order: Order) -> impl Iterator<Item = Range<u64>> {
    let count = (bytes.end - bytes.start).div_ceil(STRETCH);
    (0..count).map(move |number| {
        let number = if order == Order::OldestFirst { number } else { count - 1 - number };
        let begin = bytes.start + number * STRETCH;
        begin..(begin + STRETCH).min(bytes.end)
    })
}

/// Hands out units in order. Files are opened one after the other, as they are reached.
pub(super) struct Units<'b> {
    directory: &'b Path,
    head: &'b Head,
    /// `None` if indexes are not asked what is wanted.
    bounds: Option<&'b Bounds>,
    order: Order,
    files: VecDeque<Part>,
    open: VecDeque<Unit>,
    /// Whether a segment may not belong to the trail.
    has_strays: bool,
}

/// A file still to be opened, or held open already.
enum Part {
    Legacy(PathBuf),
    Sealed(SealedSegment),
    Open { path: Arc<Path>, file: File },
    Waiting { path: Arc<Path>, text: Vec<u8> },
    Broken(Error),
}

impl<'b> Units<'b> {
    /// # Errors
    /// `is_missing` if there is no such directory, `is_storage` if it cannot be listed.
    pub(super) fn of(
        directory: &'b Path,
        head: &'b Head,
        order: Order,
        bounds: Option<&'b Bounds>,
    ) -> Result<Self> {
        let (files, has_strays) = trail(directory)?;
        Ok(Self { directory, head, bounds, order, files, open: VecDeque::new(), has_strays })
    }

    /// Whether there are segments whose names claim lines of the active one.
    pub(super) fn has_strays(&self) -> bool {
        self.has_strays
    }

    /// Whether the lines of this directory have numbers, as far as names and the first line of the active segment tell.
    pub(super) fn are_numbered(&self) -> bool {
        self.files.iter().any(|part| match part {
            Part::Sealed(_) => true,
            Part::Open { file, .. } => first_number(file).is_some(),
            Part::Legacy(_) | Part::Waiting { .. } | Part::Broken(_) => false,
        })
    }

    /// Bytes of all files, as they lie on the disk.
    pub(super) fn bytes(&self) -> u64 {
        self.files.iter().map(Part::len).sum()
    }

    /// Leaves out the segments that lie wholly on the side of a cursor that was searched before.
    pub(super) fn skip_to(&mut self, cursor: &Cursor) {
        let Cursor::Seq(seq) = cursor else { return };
        let begins_by = |part: &Part| matches!(part, Part::Sealed(sealed) if sealed.first_seq <= *seq);
        match (self.order, self.files.iter().rposition(begins_by)) {
            (Order::OldestFirst, Some(first)) => drop(self.files.drain(..first)),
            (Order::OldestFirst, None) => {}
            (Order::NewestFirst, _) => {
                self.files.retain(|part| match part {
                    Part::Sealed(sealed) => sealed.first_seq <= *seq,
                    Part::Open { file, .. } => first_number(file).is_none_or(|first| first <= *seq),
                    Part::Legacy(_) | Part::Waiting { .. } | Part::Broken(_) => true,
                });
            }
        }
    }

    /// What follows the last line.
    pub(super) fn add(&mut self, waiting: Waiting) {
        self.files.push_back(Part::Waiting { path: waiting.path, text: waiting.text });
    }

    pub(super) fn next(&mut self) -> Option<Unit> {
        loop {
            let unit = match self.order {
                Order::OldestFirst => self.open.pop_front(),
                Order::NewestFirst => self.open.pop_back(),
            };
            if unit.is_some() {
                return unit;
            }
            let part = match self.order {
                Order::OldestFirst => self.files.pop_front(),
                Order::NewestFirst => self.files.pop_back(),
            }?;
            let cut = match part {
                Part::Broken(error) => Err(error),
                Part::Waiting { path, text } => Ok(vec![Unit::Waiting { path, text }]),
                Part::Open { path, file } => cut(&path, file, Kind::Active),
                Part::Legacy(path) => file::open(&path).and_then(|file| {
                    // It may have been rotated away since it was listed.
                    file.map_or(Ok(Vec::new()), |file| cut(&path, file, Kind::Legacy))
                }),
                Part::Sealed(sealed) => self.cut_sealed(&sealed),
            };
            self.open = cut.unwrap_or_else(|error| vec![Unit::Broken(error)]).into();
        }
    }

    /// The units of a sealed segment; none if it was retired since it was listed.
    fn cut_sealed(&self, sealed: &SealedSegment) -> Result<Vec<Unit>> {
        let mut sealed = sealed.clone();
        if !sealed.compressed {
            if let Some(file) = file::open(&sealed.path)? {
                let blocks = blocks(self.directory, &sealed, &file, self.head, self.bounds);
                return cut(&sealed.path, file, Kind::Sealed(blocks));
            }
            // It may have been compressed since it was listed.
            (sealed.path, sealed.compressed) = (compressed_name(&sealed.path), true);
        }
        let Some(file) = file::open(&sealed.path)? else { return Ok(Vec::new()) };
        let blocks = blocks(self.directory, &sealed, &file, self.head, self.bounds);
        Ok(match &blocks {
            Some(blocks) if blocks.iter().all(|block| !block.is_wanted) => {
                skipped(blocks).into_iter().collect()
            }
            _ => vec![Unit::Compressed { path: sealed.path.as_path().into(), file, blocks }],
        })
    }
}

/// What a plain file is.
enum Kind {
    Legacy,
    /// A sealed segment, and its blocks if it has an index.
    Sealed(Option<Vec<Stretch>>),
    Active,
}

/// The units of a plain file.
fn cut(path: &Path, file: File, kind: Kind) -> Result<Vec<Unit>> {
    let metadata =
        file.metadata().map_err(|error| Error::storage("cannot examine the segment", path, error))?;
    let (path, file, len): (Arc<Path>, _, _) = (path.into(), Arc::new(file), metadata.len());
    let (grows, is_legacy) = (matches!(kind, Kind::Active), matches!(kind, Kind::Legacy));
    let piece =
        |parts| Unit::Piece(Piece { path: path.clone(), file: file.clone(), len, grows, is_legacy, parts });
    let Kind::Sealed(Some(blocks)) = kind else {
        let begins = (0..len.div_ceil(PIECE)).map(|number| number * PIECE);
        return Ok(begins.map(|begin| piece(Parts::Bytes(begin..(begin + PIECE).min(len)))).collect());
    };
    let mut units = Vec::new();
    for run in blocks.chunk_by(|one, next| one.is_wanted == next.is_wanted) {
        if run[0].is_wanted {
            units.extend(pieces(run).map(|blocks| piece(Parts::Blocks(blocks))));
        } else {
            units.extend(skipped(run));
        }
    }
    Ok(units)
}

/// Blocks that one thread takes at a time.
fn pieces(blocks: &[Stretch]) -> impl Iterator<Item = Vec<Stretch>> {
    let begin = blocks.first().map_or(0, |block| block.begin);
    blocks
        .chunk_by(move |one, next| (one.begin - begin) / PIECE == (next.begin - begin) / PIECE)
        .map(<[_]>::to_vec)
}

/// The numbers of the lines of blocks that follow each other.
fn skipped(blocks: &[Stretch]) -> Option<Unit> {
    let (first, last) = (blocks.first()?, blocks.last()?);
    Some(Unit::Skipped(first.seqs.start..last.seqs.end))
}

/// The number of the first line of a plain file.
fn first_number(file: &File) -> Option<u64> {
    let mut head = [0; HEAD];
    let len = file.read_at(&mut head, 0).ok()?;
    parse_seq(&head[..len])
}

impl Part {
    fn len(&self) -> u64 {
        let metadata = match self {
            Self::Legacy(path) => path.metadata(),
            Self::Sealed(sealed) => sealed.path.metadata(),
            Self::Open { file, .. } => file.metadata(),
            Self::Broken(_) | Self::Waiting { .. } => return 0,
        };
        metadata.map_or(0, |metadata| metadata.len())
    }
}

fn trail(directory: &Path) -> Result<(VecDeque<Part>, bool)> {
    let Listing { legacy, sealed, active, has_strays } = Listing::of(directory)?;
    let legacy = legacy.into_iter().map(Part::Legacy);
    let mut files: VecDeque<Part> = legacy.chain(sealed.into_iter().map(Part::Sealed)).collect();
    if let Some(active) = active {
        files.push_back(match active.and_then(|active| active.into_file()) {
            Ok((path, file)) => Part::Open { path, file },
            Err(error) => Part::Broken(error),
        });
    }
    Ok((files, has_strays))
}
