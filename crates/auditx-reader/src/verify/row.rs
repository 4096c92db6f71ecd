//! The lowest row of the cache of tree nodes, `.auditx/tiles/0`: the hash of every line, side by side.
//!
//! It is never trusted as it is. Where all of it together leads to the root that was signed, it is what was signed, and
//! tells which line is not.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use auditx_core::{CompactRange, Hash, OWN_DIR};

use super::subtrees::Subtrees;
use crate::file;

const HASH: u64 = 32;

/// Hashes that are read at once.
const BATCH: u64 = 4_096;

/// The open row.
#[derive(Debug)]
pub(super) struct Row(File);

impl Row {
    /// None where there is none that can be opened.
    pub(super) fn open(directory: &Path) -> Option<Self> {
        file::open(&directory.join(OWN_DIR).join("tiles").join("0")).ok().flatten().map(Self)
    }

    /// The hash of one line, as the cache has it.
    pub(super) fn hash(&self, seq: u64) -> Option<Hash> {
        let mut hash = Hash::default();
        self.0.read_exact_at(&mut hash, seq.checked_mul(HASH)?).ok()?;
        Some(hash)
    }

    /// The first of these lines of which it does not say the same. `buffer` is scratch.
    pub(super) fn difference(&self, begin: u64, leaves: &[Hash], buffer: &mut Vec<Hash>) -> Option<u64> {
        buffer.clear();
        buffer.resize(leaves.len(), Hash::default());
        let bytes = buffer.as_flattened_mut();
        let mut filled = 0;
        // What is not there is zero, and no hash of a line.
        while let Some(offset) = begin.checked_mul(HASH)
            && let Ok(read @ 1..) = self.0.read_at(&mut bytes[filled..], offset + filled as u64)
        {
            filled += read;
        }
        if buffer == leaves {
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
            let Some(offset) = begin.checked_mul(HASH) else { return false };
            if self.0.read_exact_at(leaves.as_flattened_mut(), offset).is_err() {
                return false;
            }
            for (level, hash) in Subtrees::new(begin, leaves).cover(begin + count) {
                tree.push_node(level, hash, &mut |_, _, _| ());
            }
        }
        tree.end() == size && tree.root().as_ref() == Some(root)
    }
}
