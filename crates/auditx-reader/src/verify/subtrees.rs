//! All complete tree nodes over one run of lines, so that the tree over any prefix of the run can be computed
//! without hashing its lines again.
//!
//! Works on leaf hashes only.

use auditx_tlog::{Hash, node_hashes};

/// The leaves `begin..end` and every complete node above them.
#[derive(Debug, Clone, Default)]
pub(super) struct Subtrees {
    begin: u64,
    levels: Vec<Level>,
}

/// The nodes of one level, in order.
#[derive(Debug, Clone, Default)]
struct Level {
    /// The index of the first node in its level of the whole tree.
    first: u64,
    nodes: Vec<Hash>,
}

impl Subtrees {
    /// Costs one node hash per leaf.
    pub(super) fn new(begin: u64, leaves: Vec<Hash>) -> Self {
        let mut levels = vec![Level { first: begin, nodes: leaves }];
        while let Some(above) = levels.last().and_then(Level::above) {
            levels.push(above);
        }
        Self { begin, levels }
    }

    pub(super) fn end(&self) -> u64 {
        self.begin + self.leaves().len() as u64
    }

    pub(super) fn leaves(&self) -> &[Hash] {
        self.levels.first().map_or(&[], |level| &level.nodes)
    }

    /// The largest nodes that together cover the lines from the first one up to `end`, from left to right,
    /// with their levels.
    pub(super) fn cover(&self, end: u64) -> impl Iterator<Item = (u8, Hash)> {
        let mut at = self.begin;
        std::iter::from_fn(move || {
            let left = end.checked_sub(at).filter(|left| *left > 0)?;
            let level = at.trailing_zeros().min(left.ilog2());
            let nodes = self.levels.get(level as usize)?;
            let hash = nodes.nodes.get(usize::try_from((at >> level) - nodes.first).ok()?)?;
            at += 1 << level;
            Some((u8::try_from(level).ok()?, *hash))
        })
    }
}

impl Level {
    /// The level above; `None` if it would have no node.
    fn above(&self) -> Option<Self> {
        // A node starts at an even index of the level below.
        let odd = usize::from(self.first & 1 == 1);
        let (pairs, _) = self.nodes.get(odd..)?.as_chunks::<2>();
        let mut nodes = Vec::with_capacity(pairs.len());
        node_hashes(pairs, &mut nodes);
        (!nodes.is_empty()).then(|| Self { first: self.first.div_ceil(2), nodes })
    }
}

#[cfg(test)]
mod tests {
    use auditx_tlog::{CompactRange, leaf_hash};

    use super::*;

    #[test]
    fn runs_of_any_start_and_length_give_the_tree_of_their_leaves() {
        let leaves: Vec<Hash> = (0_u64..150).map(|number| leaf_hash(&number.to_le_bytes())).collect();
        let whole = |range: std::ops::Range<usize>| {
            let mut whole = CompactRange::new(range.start as u64);
            leaves[range].iter().for_each(|leaf| whole.push(*leaf));
            whole
        };
        for begin in 0..70 {
            let subtrees = Subtrees::new(begin as u64, leaves[begin..].to_vec());
            assert_eq!(subtrees.end(), 150);
            for end in begin..=150 {
                let mut range = whole(0..begin);
                for (level, hash) in subtrees.cover(end as u64) {
                    range.push_node(level, hash, &mut |_, _, _| ());
                }
                assert_eq!(range, whole(0..end), "{begin}..{end}");
            }
        }
        assert_eq!(Subtrees::new(7, Vec::new()).cover(7).count(), 0);
    }
}
