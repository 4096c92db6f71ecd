//! Cuts a trail into units that threads read in parallel, in search order.

use std::collections::VecDeque;
use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use auditx_store::SealedSegment;

use super::pending::Pending;
use super::prune::{Bounds, Extent, blocks};
use super::{Cursor, Order};
use crate::error::{Error, Result};
use crate::file;
use crate::head::Head;
use crate::listing::Listing;

/// The size of a piece of a plain file.
const PIECE: u64 = if cfg!(test) { 4 * 1024 } else { 1024 * 1024 };

/// The number of bytes read at once: they stay in a core's cache while they are searched.
const CHUNK: u64 = if cfg!(test) { 1024 } else { 128 * 1024 };

/// What a thread reads at a time.
pub(super) enum Unit {
    /// A part of a plain file.
    Piece(Piece),
    /// A compressed segment, and its extents if it has an index.
    Compressed { path: Arc<Path>, file: File, blocks: Option<Vec<Extent>> },
    /// The seqs of lines that the index rules out.
    Skipped(Range<u64>),
    /// Pending entries, which are in the journal only.
    Pending { path: Arc<Path>, text: Vec<u8> },
    /// A segment that could not be opened.
    Broken(Error),
}

#[derive(Clone)]
pub(super) struct Piece {
    pub(super) path: Arc<Path>,
    pub(super) file: Arc<File>,
    /// The file's length when the search began. Later lines are not read.
    pub(super) len: u64,
    /// Whether bytes after the last newline may still become a line.
    pub(super) is_growing: bool,
    /// Whether its lines are legacy lines, which the tree does not contain.
    pub(super) is_legacy: bool,
    pub(super) parts: Parts,
}

/// What to read of a plain file.
#[derive(Debug, Clone)]
pub(super) enum Parts {
    /// The lines that begin in this byte range.
    Bytes(Range<u64>),
    /// Extents of the index.
    Blocks(Vec<Extent>),
}

impl Parts {
    /// The number of bytes to read.
    pub(super) fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.end - bytes.start,
            Self::Blocks(blocks) => blocks.iter().map(|block| block.end - block.begin).sum(),
        }
    }
}

/// Splits a byte range into chunks that are read at once, in order.
pub(super) fn chunks(bytes: Range<u64>, order: Order) -> impl Iterator<Item = Range<u64>> {
    let count = (bytes.end - bytes.start).div_ceil(CHUNK);
    (0..count).map(move |number| {
        let number = if order == Order::OldestFirst { number } else { count - 1 - number };
        let begin = bytes.start + number * CHUNK;
        begin..(begin + CHUNK).min(bytes.end)
    })
}

/// Yields units in search order. Opens each file only when it is reached.
pub(super) struct Units<'b> {
    directory: &'b Path,
    head: &'b Head,
    /// `None` if indexes are not used.
    bounds: Option<&'b Bounds>,
    order: Order,
    files: VecDeque<Part>,
    open: VecDeque<Unit>,
    /// Whether a segment may not belong to the trail.
    has_strays: bool,
}

/// A file that is open or still to be opened.
enum Part {
    Legacy(PathBuf),
    Sealed(SealedSegment),
    Open { path: Arc<Path>, file: File },
    Pending { path: Arc<Path>, text: Vec<u8> },
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

    /// Whether there are sealed segments whose names claim lines of the active one.
    pub(super) fn has_strays(&self) -> bool {
        self.has_strays
    }

    /// Whether lines have sequence numbers, judged by file names and the first line of the active segment.
    pub(super) fn are_numbered(&self) -> bool {
        self.files.iter().any(|part| match part {
            Part::Sealed(_) => true,
            Part::Open { file, .. } => file::first_seq(file).is_some(),
            Part::Legacy(_) | Part::Pending { .. } | Part::Broken(_) => false,
        })
    }

    /// The total size of all files on disk.
    pub(super) fn bytes(&self) -> u64 {
        self.files.iter().map(Part::len).sum()
    }

    /// Drops the segments that an earlier search, which ended at the cursor, has covered completely.
    pub(super) fn skip_to(&mut self, cursor: &Cursor) {
        let Cursor::Seq(seq) = cursor else { return };
        let begins_by = |part: &Part| matches!(part, Part::Sealed(sealed) if sealed.first_seq <= *seq);
        match (self.order, self.files.iter().rposition(begins_by)) {
            (Order::OldestFirst, Some(first)) => drop(self.files.drain(..first)),
            (Order::OldestFirst, None) => {}
            (Order::NewestFirst, _) => {
                self.files.retain(|part| match part {
                    Part::Sealed(sealed) => sealed.first_seq <= *seq,
                    Part::Open { file, .. } => file::first_seq(file).is_none_or(|first| first <= *seq),
                    Part::Legacy(_) | Part::Pending { .. } | Part::Broken(_) => true,
                });
            }
        }
    }

    /// Adds the pending entries after the last line.
    pub(super) fn add(&mut self, pending: Pending) {
        self.files.push_back(Part::Pending { path: pending.path, text: pending.text });
    }

    /// Returns the units of a sealed segment, none if it was retired after it was listed.
    fn cut_sealed(&self, sealed: &SealedSegment) -> Result<Vec<Unit>> {
        let Some((sealed, file)) = file::open_sealed(sealed)? else { return Ok(Vec::new()) };
        let blocks = blocks(self.directory, &sealed, &file, self.head, self.bounds);
        if !sealed.compressed {
            return cut(&sealed.path, file, Kind::Sealed(blocks));
        }
        Ok(match &blocks {
            Some(blocks) if blocks.iter().all(|block| !block.may_match) => {
                skipped(blocks).into_iter().collect()
            }
            _ => vec![Unit::Compressed { path: sealed.path.as_path().into(), file, blocks }],
        })
    }
}

impl Iterator for Units<'_> {
    type Item = Unit;

    fn next(&mut self) -> Option<Unit> {
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
                Part::Pending { path, text } => Ok(vec![Unit::Pending { path, text }]),
                Part::Open { path, file } => cut(&path, file, Kind::Active),
                Part::Legacy(path) => file::open(&path).and_then(|file| {
                    // `None` if it was rotated away after it was listed.
                    file.map_or(Ok(Vec::new()), |file| cut(&path, file, Kind::Legacy))
                }),
                Part::Sealed(sealed) => self.cut_sealed(&sealed),
            };
            self.open = cut.unwrap_or_else(|error| vec![Unit::Broken(error)]).into();
        }
    }
}

/// The kind of a plain file.
enum Kind {
    Legacy,
    /// A sealed segment, and its extents if it has an index.
    Sealed(Option<Vec<Extent>>),
    Active,
}

/// Cuts a plain file into units.
fn cut(path: &Path, file: File, kind: Kind) -> Result<Vec<Unit>> {
    let metadata =
        file.metadata().map_err(|error| Error::storage("cannot examine the segment", path, error))?;
    let (path, file, len): (Arc<Path>, _, _) = (path.into(), Arc::new(file), metadata.len());
    let (is_growing, is_legacy) = (matches!(kind, Kind::Active), matches!(kind, Kind::Legacy));
    let piece = |parts| {
        Unit::Piece(Piece { path: path.clone(), file: file.clone(), len, is_growing, is_legacy, parts })
    };
    let Kind::Sealed(Some(blocks)) = kind else {
        let begins = (0..len.div_ceil(PIECE)).map(|number| number * PIECE);
        return Ok(begins.map(|begin| piece(Parts::Bytes(begin..(begin + PIECE).min(len)))).collect());
    };
    let mut units = Vec::new();
    for run in blocks.chunk_by(|one, next| one.may_match == next.may_match) {
        if run[0].may_match {
            units.extend(pieces(run).map(|blocks| piece(Parts::Blocks(blocks))));
        } else {
            units.extend(skipped(run));
        }
    }
    Ok(units)
}

/// Groups extents into pieces.
fn pieces(blocks: &[Extent]) -> impl Iterator<Item = Vec<Extent>> {
    let begin = blocks.first().map_or(0, |block| block.begin);
    blocks
        .chunk_by(move |one, next| (one.begin - begin) / PIECE == (next.begin - begin) / PIECE)
        .map(<[_]>::to_vec)
}

/// The unit for consecutive extents that the index rules out.
fn skipped(blocks: &[Extent]) -> Option<Unit> {
    let (first, last) = (blocks.first()?, blocks.last()?);
    Some(Unit::Skipped(first.seqs.start..last.seqs.end))
}

impl Part {
    fn len(&self) -> u64 {
        let metadata = match self {
            Self::Legacy(path) => path.metadata(),
            Self::Sealed(sealed) => sealed.path.metadata(),
            Self::Open { file, .. } => file.metadata(),
            Self::Broken(_) | Self::Pending { .. } => return 0,
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
