//! The leaf hash that each line of a trail must have according to its latest checkpoint.
//!
//! The tile cache holds the hash of every line. It is not trusted by itself, but the signed root covers all
//! of it: a tile of 256 hashes is right if they lead to the node above them, and so on up to the root (C2SP
//! tlog-tiles). A reader that hashes some lines can thus check them without reading the others.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use auditx_format::control_record::StoredRecord;
use auditx_store::Tiles;
use auditx_store::control_lines;
use auditx_tlog::{Hash, Leaf, SignedCheckpoint, leaf_of, node_hashes};

/// Hashes in a tile.
const WIDTH: u64 = 256;

/// Levels of the tree in a tile.
const HEIGHT: u8 = 8;

/// Most tiles kept in memory: 2 MiB.
const MOST_KEPT: usize = 256;

/// A tile by its file in the cache and its index in that file.
type TileIndex = (u8, u64);

/// The hashes of the first `size` lines.
#[derive(Debug)]
pub(crate) struct SignedLeaves {
    size: u64,
    tiles: Tiles,
    /// The roots of the complete subtrees that cover all lines, by level.
    peaks: HashMap<u8, Hash>,
    checked: Mutex<HashMap<TileIndex, Arc<[Hash]>>>,
}

impl SignedLeaves {
    /// Opens the cache; `None` if it does not lead to the root of the checkpoint, so that only reading every
    /// line can tell.
    pub(crate) fn open(tiles: Tiles, checkpoint: &SignedCheckpoint) -> Option<Self> {
        let size = checkpoint.size();
        let frontier = tiles.frontier(size)?;
        if frontier.root().as_ref() != Some(checkpoint.root()) {
            return None;
        }
        let levels = (0..64).rev().filter(|level| size >> level & 1 == 1);
        let peaks = levels.zip(frontier.hashes().copied()).collect();
        Some(Self { size, tiles, peaks, checked: Mutex::default() })
    }

    /// The number of signed lines.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// The hash of one signed line; `None` if the cache is wrong there.
    pub(crate) fn leaf(&self, seq: u64) -> Option<Hash> {
        let tile = self.tile(0, seq / WIDTH)?;
        tile.get(usize::try_from(seq % WIDTH).ok()?).copied()
    }

    /// Whether this line is signed with this hash.
    pub(crate) fn holds(&self, leaf: Leaf) -> bool {
        leaf.seq < self.size && self.leaf(leaf.seq) == Some(leaf.hash)
    }

    /// Reads the copies of control records in `.auditx/control.jsonl`. Returns `None` if there is no such
    /// file. The vector has `None` for a line that is not in the signed tree, and omits kinds that readers do
    /// not use.
    pub(crate) fn control_records(&self, directory: &Path) -> Option<Vec<Option<StoredRecord>>> {
        let lines = control_lines(directory).ok().flatten()?;
        let read = |line: Vec<u8>| match leaf_of(&line).is_some_and(|leaf| self.holds(leaf)) {
            true => StoredRecord::read(&line).map(Some),
            false => Some(None),
        };
        Some(lines.into_iter().filter_map(read).collect())
    }

    /// Returns the first of these lines that does not have its signed hash. Lines that are not signed are not
    /// compared.
    pub(crate) fn difference(&self, first_seq: u64, leaves: &[Hash]) -> Option<u64> {
        let mut known: Option<(u64, Arc<[Hash]>)> = None;
        for (seq, leaf) in (first_seq..self.size).zip(leaves) {
            let (index, within) = (seq / WIDTH, usize::try_from(seq % WIDTH).unwrap_or(usize::MAX));
            if known.as_ref().is_none_or(|(tile, _)| *tile != index) {
                known = self.tile(0, index).map(|tile| (index, tile));
            }
            if known.as_ref().and_then(|(_, tile)| tile.get(within)) != Some(leaf) {
                return Some(seq);
            }
        }
        None
    }

    /// Returns a tile that was checked up to the root.
    fn tile(&self, file: u8, index: u64) -> Option<Arc<[Hash]>> {
        if let Some(known) = self.lock().get(&(file, index)) {
            return Some(known.clone());
        }
        let tile = self.read(file, index)?;
        let mut checked = self.lock();
        if checked.len() >= MOST_KEPT {
            checked.retain(|(file, _), _| *file > 0);
        }
        checked.insert((file, index), tile.clone());
        Some(tile)
    }

    fn read(&self, file: u8, index: u64) -> Option<Arc<[Hash]>> {
        let level = file.checked_mul(HEIGHT).filter(|level| *level < 64)?;
        let begin = index.checked_mul(WIDTH)?;
        let count = (self.size >> level).checked_sub(begin).filter(|count| *count > 0)?.min(WIDTH);
        let mut hashes = vec![Hash::default(); usize::try_from(count).ok()?];
        if self.tiles.nodes(file, begin, &mut hashes) < hashes.len() {
            return None;
        }
        let is_right = if count == WIDTH {
            let above = self.tile(file + 1, index / WIDTH)?;
            above.get(usize::try_from(index % WIDTH).ok()?) == Some(&root_of(&hashes))
        } else {
            self.are_peaks(level, &hashes)
        };
        is_right.then(|| hashes.into())
    }

    /// Whether the last hashes of a level, in a tile that is not full, lead to the subtrees that form the
    /// root.
    fn are_peaks(&self, level: u8, mut hashes: &[Hash]) -> bool {
        for bit in (0..HEIGHT).rev() {
            let len = 1 << bit;
            if hashes.len() & len != 0 {
                let (subtree, rest) = hashes.split_at(len);
                if self.peaks.get(&(level + bit)) != Some(&root_of(subtree)) {
                    return false;
                }
                hashes = rest;
            }
        }
        true
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<TileIndex, Arc<[Hash]>>> {
        self.checked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The root of a complete subtree.
fn root_of(leaves: &[Hash]) -> Hash {
    let (mut row, mut above) = (leaves.to_vec(), Vec::new());
    while row.len() > 1 {
        node_hashes(row.as_chunks().0, &mut above);
        std::mem::swap(&mut row, &mut above);
        above.clear();
    }
    row.pop().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::Duration;

    use auditx_core::{AuditLogger, Config};
    use auditx_tlog::leaf_hash;

    use super::*;
    use crate::checkpoint::latest_checkpoint;
    use crate::lines::Lines;

    fn trail(entries: usize) -> (tempfile::TempDir, Vec<Hash>) {
        let directory = tempfile::tempdir().unwrap();
        let logger = AuditLogger::open(Config::new(directory.path())).unwrap();
        for number in 0..entries {
            logger.log(format!("entry {number}")).record().unwrap();
        }
        logger.close(Duration::from_secs(60)).unwrap();
        let leaves = Lines::all(directory.path()).unwrap().map(|line| leaf_hash(line.unwrap().bytes()));
        let leaves = leaves.collect();
        (directory, leaves)
    }

    fn signed_leaves(directory: &tempfile::TempDir) -> Option<SignedLeaves> {
        SignedLeaves::open(Tiles::open(directory.path()), &latest_checkpoint(directory.path()).unwrap())
    }

    #[test]
    fn every_line_has_its_hash_at_any_trail_size() {
        for entries in [0, 1, 200, 251, 252, 253, 300, 800] {
            let (directory, leaves) = trail(entries);
            let signed_leaves = signed_leaves(&directory).unwrap();
            assert_eq!(signed_leaves.size(), leaves.len() as u64);
            for (seq, leaf) in (0..).zip(&leaves) {
                assert_eq!(signed_leaves.leaf(seq), Some(*leaf), "line {seq} of {entries} entries");
            }
            assert_eq!(signed_leaves.leaf(leaves.len() as u64), None);
            assert_eq!(signed_leaves.difference(0, &leaves), None);
            let unsigned = [&leaves[..], &[Hash::default()]].concat();
            assert_eq!(signed_leaves.difference(0, &unsigned), None);
            for wrong in [0, leaves.len() / 2, leaves.len() - 1] {
                let mut other = leaves.clone();
                other[wrong][7] ^= 1;
                assert_eq!(signed_leaves.difference(0, &other), Some(wrong as u64));
            }
        }
    }

    #[test]
    fn a_changed_cache_never_confirms_another_line() {
        let (directory, leaves) = trail(800);
        let lowest = directory.path().join(".auditx/tiles/0");
        let whole = fs::read(&lowest).unwrap();
        for seq in [0_usize, 3, 255, 256, 600, leaves.len() - 1] {
            let mut changed = whole.clone();
            changed[seq * 32] ^= 1;
            fs::write(&lowest, &changed).unwrap();
            let mut forged = leaves[seq];
            forged[0] ^= 1;
            let found = signed_leaves(&directory).and_then(|signed_leaves| signed_leaves.leaf(seq as u64));
            assert_ne!(found, Some(forged), "line {seq}");
        }
        let above = directory.path().join(".auditx/tiles/1");
        fs::write(&lowest, &whole).unwrap();
        let mut changed = fs::read(&above).unwrap();
        changed[1] ^= 1;
        fs::write(&above, changed).unwrap();
        assert!(signed_leaves(&directory).is_none_or(|signed_leaves| signed_leaves.leaf(3).is_none()));
    }
}
