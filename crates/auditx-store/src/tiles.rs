//! The tile cache: node hashes on disk, so that a proof or an open needs a few of them instead of every line.
//! It is rebuilt from the lines and never trusted: readers check it against a signed root.
//!
//! There is one file for every eighth level of the tree, `.auditx/tiles/0`, `1`, …: the hashes of that level
//! side by side, 32 bytes each. Entry n of file k covers the 256^k lines from n × 256^k on. The files consist
//! of the full tiles of C2SP tlog-tiles, one after the other.

use std::fmt;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use auditx_format::{Error, Result};
use auditx_tlog::{CompactRange, Hash, Leaf, node_hash};

use crate::dir::{Access, Dir};

/// The directory of the cache, relative to the trail's directory.
pub(crate) const TILES_DIR: &str = ".auditx/tiles";

/// The number of tree levels between two files.
const HEIGHT: u8 = 8;

/// Enough for 2^64 lines.
const FILES: u8 = 8;

const HASH_LEN: u64 = 32;

/// The number of pending bytes that triggers a write: one tile.
const PENDING: usize = 8 * 1024;

fn name_of(file: u8) -> String {
    format!("{TILES_DIR}/{file}")
}

/// Reads tree nodes from the tile cache of a trail.
pub struct Tiles {
    files: Vec<File>,
}

impl fmt::Debug for Tiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tiles").field("files", &self.files.len()).finish()
    }
}

impl Tiles {
    /// Opens the files that exist. Without files, every node is absent.
    #[must_use]
    pub fn open(directory: impl Into<Dir>) -> Self {
        let directory = directory.into();
        // Of any owner, since an auditor reads what a service wrote.
        let open = |file| directory.open_foreign(name_of(file), Access::READ).ok();
        Self { files: (0..FILES).map_while(open).collect() }
    }

    /// Returns a node of the tree, or `None` if the cache does not contain it. Costs one pread(2) of at most
    /// 4 KiB.
    #[must_use]
    pub fn node(&self, level: u8, index: u64) -> Option<Hash> {
        let file = self.files.get(usize::from(level / HEIGHT))?;
        let within = level % HEIGHT;
        let mut hashes = vec![Hash::default(); 1 << within];
        let begin = index.checked_shl(u32::from(within))?.checked_mul(HASH_LEN)?;
        file.read_exact_at(hashes.as_flattened_mut(), begin).ok()?;
        while hashes.len() > 1 {
            hashes = hashes.as_chunks::<2>().0.iter().map(|[left, right]| node_hash(left, right)).collect();
        }
        hashes.pop()
    }

    /// Returns whether the cache contains this leaf with this hash.
    #[must_use]
    pub(crate) fn holds(&self, leaf: Leaf) -> bool {
        self.node(0, leaf.seq) == Some(leaf.hash)
    }

    /// Reads the leaf hashes of the lines from `begin` on. Returns how many the cache contains.
    #[must_use]
    pub fn leaves(&self, begin: u64, leaves: &mut [Hash]) -> usize {
        self.nodes(0, begin, leaves)
    }

    /// Reads the nodes of level 8 × `file` from index `begin` on. Returns how many the cache contains.
    #[must_use]
    pub fn nodes(&self, file: u8, begin: u64, hashes: &mut [Hash]) -> usize {
        let file = self.files.get(usize::from(file));
        let (Some(file), Some(offset)) = (file, begin.checked_mul(HASH_LEN)) else { return 0 };
        let bytes = hashes.as_flattened_mut();
        let mut filled = 0;
        while let Ok(read @ 1..) = file.read_at(&mut bytes[filled..], offset + filled as u64) {
            filled += read;
        }
        filled / size_of::<Hash>()
    }

    /// Returns the frontier of the tree of `size` lines, or `None` if the cache lacks a node of it.
    #[must_use]
    pub fn frontier(&self, size: u64) -> Option<CompactRange> {
        let mut frontier = CompactRange::new(0);
        for file in (0..FILES).rev() {
            let end = size >> (file * HEIGHT);
            for index in end >> HEIGHT << HEIGHT..end {
                frontier.push_node(file * HEIGHT, self.node(file * HEIGHT, index)?, &mut |_, _, _| ());
            }
        }
        Some(frontier)
    }
}

/// A growing tree: its frontier in memory, and the tile cache on disk.
#[derive(Debug)]
pub(crate) struct GrowingTree {
    frontier: CompactRange,
    files: Vec<TileFile>,
}

#[derive(Debug)]
struct TileFile {
    file: File,
    /// The index of the first pending hash in the file.
    index: u64,
    pending: Vec<u8>,
}

impl GrowingTree {
    /// Continues from a frontier. Cached nodes beyond it are overwritten.
    ///
    /// # Errors
    /// `is_storage` if the files of the cache cannot be opened.
    pub(crate) fn open(directory: &Dir, frontier: CompactRange) -> Result<Self> {
        directory.create_directory(TILES_DIR).map_err(|error| {
            Error::storage("cannot create the directory of tiles", directory.join(TILES_DIR), error)
        })?;
        let open = |file: u8| {
            let name = name_of(file);
            let opened = directory.open(&name, Access::READ_WRITE.or_create()).map_err(|error| {
                Error::storage("cannot open a file of tiles", directory.join(&name), error)
            })?;
            let index = frontier.end() >> (file * HEIGHT);
            Ok(TileFile { file: opened, index, pending: Vec::new() })
        };
        let files = (0..FILES).map(open).collect::<Result<_>>()?;
        Ok(Self { frontier, files })
    }

    pub(crate) fn frontier(&self) -> &CompactRange {
        &self.frontier
    }

    /// Returns a reader of the cache that uses the open files, even if they were renamed. It does not see
    /// unflushed nodes.
    pub(crate) fn tiles(&self) -> Option<Tiles> {
        let files = self.files.iter().map(|file| file.file.try_clone());
        Some(Tiles { files: files.collect::<io::Result<_>>().ok()? })
    }

    /// Adds a leaf. Costs one node hash on average, and one pwrite(2) in 256.
    ///
    /// # Errors
    /// As for [`extend`](Self::extend).
    pub(crate) fn push(&mut self, leaf: Hash) -> io::Result<()> {
        self.extend(&[leaf])
    }

    /// Adds leaves. Costs on average one node hash each, two of them computed in parallel, and at most one
    /// pwrite(2) per file.
    ///
    /// # Errors
    /// The I/O error. The tree has grown nevertheless; only the cache is incomplete.
    pub(crate) fn extend(&mut self, leaves: &[Hash]) -> io::Result<()> {
        let Self { frontier, files } = self;
        frontier.extend(leaves, &mut |level, _, hash| {
            if level % HEIGHT == 0
                && let Some(file) = files.get_mut(usize::from(level / HEIGHT))
            {
                file.pending.extend_from_slice(hash);
            }
        });
        // The lowest level grows fastest by far.
        if self.files.first().is_some_and(|file| file.pending.len() >= PENDING) {
            self.flush()
        } else {
            Ok(())
        }
    }

    /// Writes all pending nodes. They need not be durable: after a power loss, missing nodes are rebuilt from
    /// the lines.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.files.iter_mut().try_for_each(TileFile::flush)
    }
}

impl TileFile {
    fn flush(&mut self) -> io::Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let count = self.pending.len() as u64 / HASH_LEN;
        let outcome = self.file.write_all_at(&self.pending, self.index * HASH_LEN);
        // Readers detect a hole in the cache. Keeping the hashes until a write succeeds would fill the memory
        // instead.
        self.index += count;
        self.pending.clear();
        outcome
    }
}

/// Removes the cache, so that it is not used for another state of the trail.
pub(crate) fn remove(directory: &Dir) -> Result<()> {
    directory
        .remove_directory(TILES_DIR)
        .map_err(|error| Error::storage("cannot remove the tiles", directory.join(TILES_DIR), error))
}

#[cfg(test)]
mod tests {
    use auditx_tlog::leaf_hash;

    use super::*;
    use crate::segment::AUDITX_DIR;

    fn trail() -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        Dir::from(directory.path()).create_directory(AUDITX_DIR).unwrap();
        directory
    }

    fn leaf(number: u64) -> Hash {
        leaf_hash(&number.to_le_bytes())
    }

    fn frontier_of(range: std::ops::Range<u64>) -> CompactRange {
        let mut frontier = CompactRange::new(range.start);
        range.for_each(|number| frontier.push(leaf(number)));
        frontier
    }

    #[test]
    fn frontiers_and_nodes_are_read_back_from_the_files() {
        let directory = trail();
        let mut tree = GrowingTree::open(&directory.path().into(), CompactRange::new(0)).unwrap();
        for number in 0..1000 {
            tree.push(leaf(number)).unwrap();
        }
        tree.flush().unwrap();
        let tiles = Tiles::open(directory.path());
        for size in [0, 1, 2, 3, 255, 256, 257, 511, 512, 700, 999, 1000] {
            assert_eq!(tiles.frontier(size), Some(frontier_of(0..size)), "size {size}");
        }
        assert_eq!(tiles.frontier(1001), None);
        let mut leaves = [Hash::default(); 5];
        assert_eq!((tiles.leaves(997, &mut leaves), leaves[2]), (3, leaf(999)));
        assert_eq!(tiles.leaves(u64::MAX, &mut leaves), 0);
        for (level, index) in [(0, 999), (3, 5), (7, 6), (8, 2), (9, 0)] {
            let nodes = frontier_of(index << level..(index + 1) << level);
            assert_eq!(tiles.node(level, index).as_ref(), nodes.hashes().next(), "{level} {index}");
        }
        assert_eq!(
            [tiles.node(0, 1000), tiles.node(8, 3), tiles.node(16, 0), tiles.node(63, u64::MAX)],
            [None; 4]
        );
    }

    #[test]
    fn extend_and_push_write_the_same_files() {
        let leaves: Vec<Hash> = (0..3_000).map(leaf).collect();
        let [singly, together] = [(); 2].map(|()| trail());
        let mut tree = GrowingTree::open(&singly.path().into(), CompactRange::new(0)).unwrap();
        leaves.iter().for_each(|leaf| tree.push(*leaf).unwrap());
        tree.flush().unwrap();
        let mut grown = GrowingTree::open(&together.path().into(), CompactRange::new(0)).unwrap();
        let (mut rest, mut counts) = (&leaves[..], [1, 0, 2, 7, 300, 1_000].into_iter().cycle());
        while !rest.is_empty() {
            let (next, after) = rest.split_at(rest.len().min(counts.next().unwrap()));
            grown.extend(next).unwrap();
            rest = after;
        }
        grown.flush().unwrap();
        assert_eq!(grown.frontier(), tree.frontier());
        for file in 0..FILES {
            let [expected, actual] =
                [&singly, &together].map(|trail| std::fs::read(trail.path().join(name_of(file))).unwrap());
            assert_eq!(actual.len(), 32 * (3_000 >> (file * HEIGHT).min(63)), "file {file}");
            assert!(actual == expected, "file {file}");
        }
    }

    #[test]
    fn a_reopened_tree_overwrites_nodes_beyond_its_frontier() {
        let directory = trail();
        let mut tree = GrowingTree::open(&directory.path().into(), CompactRange::new(0)).unwrap();
        (0..600).for_each(|_| tree.push(leaf(7)).unwrap());
        tree.flush().unwrap();
        let begin = Tiles::open(directory.path()).frontier(0).unwrap();
        let mut tree = GrowingTree::open(&directory.path().into(), begin).unwrap();
        (0..300).for_each(|number| tree.push(leaf(number)).unwrap());
        tree.flush().unwrap();
        let frontier = Tiles::open(directory.path()).frontier(300).unwrap();
        let mut tree = GrowingTree::open(&directory.path().into(), frontier).unwrap();
        (300..600).for_each(|number| tree.push(leaf(number)).unwrap());
        tree.flush().unwrap();
        assert_eq!(tree.frontier(), &frontier_of(0..600));
        assert_eq!(Tiles::open(directory.path()).frontier(600), Some(frontier_of(0..600)));
    }

    #[test]
    fn without_files_there_are_no_nodes() {
        let directory = tempfile::tempdir().unwrap();
        let tiles = Tiles::open(directory.path());
        assert_eq!((tiles.node(0, 0), tiles.frontier(0).map(|range| range.end())), (None, Some(0)));
        remove(&directory.path().into()).unwrap();
    }
}
