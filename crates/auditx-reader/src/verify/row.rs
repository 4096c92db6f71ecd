//! The lowest row of the cache of tree nodes: the hash of every line, side by side.
//!
//! It is never trusted as it is. Where all of it together leads to the root that was signed, it is what was signed, and
//! tells which line is not.

use std::path::Path;

use auditx_core::{CompactRange, Hash, Tiles};

use super::subtrees::Subtrees;

/// Hashes that are read at once.
const BATCH: u64 = 4_096;

/// The open row.
#[derive(Debug)]
pub(super) struct Row(Tiles);

impl Row {
    /// None where there is none.
    pub(super) fn open(directory: &Path) -> Option<Self> {
        let tiles = Tiles::open(directory);
        tiles.node(0, 0).is_some().then_some(Self(tiles))
    }

    /// The hash of one line, as the cache has it.
    pub(super) fn hash(&self, seq: u64) -> Option<Hash> {
        self.0.node(0, seq)
    }

    /// The first of these lines of which it does not say the same. `buffer` is scratch.
    pub(super) fn difference(&self, begin: u64, leaves: &[Hash], buffer: &mut Vec<Hash>) -> Option<u64> {
        buffer.clear();
        buffer.resize(leaves.len(), Hash::default());
        // What is not there is zero, and no hash of a line.
        if self.0.leaves(begin, buffer) == leaves.len() && buffer == leaves {
            return None;
        }
        let at = buffer.iter().zip(leaves).position(|(cached, leaf)| cached != leaf);
        at.map(|at| begin + at as u64)
    }

    /// Whether it leads from this tree to the tree of `size` lines with this root: then it is what was signed.
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
