//! The lowest level of the tile cache: the leaf hash of every line.
//!
//! The cache is not trusted by itself. Only if all of it leads to the signed root does it show which line is
//! wrong.

use std::path::Path;

use auditx_store::Tiles;
use auditx_tlog::{CompactRange, Hash};

use super::subtrees::Subtrees;

/// Hashes read at once.
const BATCH: u64 = 4_096;

/// The open cache.
#[derive(Debug)]
pub(super) struct LeafCache(Tiles);

impl LeafCache {
    /// `None` if there is no cache.
    pub(super) fn open(directory: &Path) -> Option<Self> {
        let tiles = Tiles::open(directory);
        tiles.node(0, 0).is_some().then_some(Self(tiles))
    }

    /// The hash that the cache has for one line.
    pub(super) fn hash(&self, seq: u64) -> Option<Hash> {
        self.0.node(0, seq)
    }

    /// The first of these lines whose hash differs from the cache. `buffer` is scratch space.
    pub(super) fn difference(&self, begin: u64, leaves: &[Hash], buffer: &mut Vec<Hash>) -> Option<u64> {
        buffer.clear();
        buffer.resize(leaves.len(), Hash::default());
        // Missing hashes stay zero, which is no line's hash.
        if self.0.leaves(begin, buffer) == leaves.len() && buffer == leaves {
            return None;
        }
        let at = buffer.iter().zip(leaves).position(|(cached, leaf)| cached != leaf);
        at.map(|at| begin + at as u64)
    }

    /// Whether the cached hashes extend this tree to the tree of `size` lines with this root. If so, the
    /// cache matches what was signed.
    pub(super) fn leads(&self, mut tree: CompactRange, size: u64, root: &Hash) -> bool {
        while tree.end() < size {
            let begin = tree.end();
            let count = (size - begin).min(BATCH);
            let Ok(len) = usize::try_from(count) else { return false };
            let mut leaves = vec![Hash::default(); len];
            if self.0.leaves(begin, &mut leaves) < len {
                return false;
            }
            for (level, hash) in Subtrees::new(begin, leaves).cover(begin + count) {
                tree.push_node(level, hash, &mut |_, _, _| ());
            }
        }
        tree.end() == size && tree.root().as_ref() == Some(root)
    }
}
