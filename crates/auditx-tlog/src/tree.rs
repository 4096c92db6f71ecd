//! The Merkle tree of a trail (RFC 6962, section 2.1): leaf hashes, node hashes, and compact ranges of lines.
//!
//! The module only computes hashes. It does not parse JSON and does no I/O.

use sha2::{Digest, Sha256};

use crate::error::{Error, Result};

mod lanes;
mod path;

pub use path::{
    NodeIndex, ReadNodes, is_consistent, is_included, prove_consistency, prove_inclusion, root_of,
};

/// A SHA-256 hash.
pub type Hash = [u8; 32];

/// Domain separation of leaves from interior nodes.
const LEAF_PREFIX: u8 = 0;
const NODE_PREFIX: u8 = 1;

/// More levels than a tree with 2^64 leaves has.
const MAX_LEVEL: u8 = 64;

/// SHA-256(0x00 ‖ line without its final newline). By hand: `(printf '\0'; printf %s "$line") | sha256sum`.
#[must_use]
pub fn leaf_hash(line: &[u8]) -> Hash {
    let mut hasher = Sha256::new();
    hasher.update([LEAF_PREFIX]);
    hasher.update(line);
    hasher.finalize().into()
}

/// SHA-256(0x01 ‖ left ‖ right).
#[must_use]
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    let mut hasher = Sha256::new();
    hasher.update([NODE_PREFIX]);
    hasher.update(left);
    hasher.update(right);
    hasher.finalize().into()
}

/// Appends the [`leaf_hash`] of each line, in order (RFC 6962, section 2.1).
///
/// Where the processor has SHA extensions, two lines are hashed in parallel, so many lines cost little more
/// than half as much as they cost one by one. The lines may differ in length.
///
/// ```
/// let mut hashes = Vec::new();
/// auditx_tlog::leaf_hashes([&b"first"[..], b"second"], &mut hashes);
/// assert_eq!(hashes, [auditx_tlog::leaf_hash(b"first"), auditx_tlog::leaf_hash(b"second")]);
/// ```
pub fn leaf_hashes<'l>(lines: impl IntoIterator<Item = &'l [u8]>, hashes: &mut Vec<Hash>) {
    lanes::hash(lanes::Messages::Leaves(&mut lines.into_iter()), hashes);
}

/// Appends the [`node_hash`] of each pair, in order, two at a time like [`leaf_hashes`].
pub fn node_hashes(pairs: &[[Hash; 2]], hashes: &mut Vec<Hash>) {
    lanes::hash(lanes::Messages::Nodes(pairs), hashes);
}

/// Returns the bytes as lower-case hexadecimal digits, the form in which lines store hashes.
#[must_use]
pub fn to_hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |value: u8| char::from(DIGITS[usize::from(value)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// Parses a hash in exactly the form that [`to_hex`] writes.
#[must_use]
pub fn hash_from_hex(text: &str) -> Option<Hash> {
    let mut hash = Hash::default();
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if pairs.len() != hash.len() || !rest.is_empty() {
        return None;
    }
    for (byte, pair) in hash.iter_mut().zip(pairs) {
        let value = |digit: u8| match digit {
            b'0'..=b'9' => Some(digit - b'0'),
            b'a'..=b'f' => Some(digit - b'a' + 10),
            _ => None,
        };
        *byte = value(pair[0])? << 4 | value(pair[1])?;
    }
    Some(hash)
}

/// A range of leaves `begin..end`, as the hashes of the largest complete subtrees that cover it, from left to
/// right: at most two hashes per level.
///
/// If `begin` is 0, the range is the frontier of a growing tree and has a root. Adjacent ranges can be
/// joined, so parts of a trail can be hashed separately (Crosby and Wallach, *Efficient Data Structures for
/// Tamper-Evident Logging*, 2009).
///
/// ```
/// use auditx_tlog::{CompactRange, leaf_hash};
///
/// let leaves: Vec<_> = ["a", "b", "c", "d", "e"].iter().map(|line| leaf_hash(line.as_bytes())).collect();
/// let (mut left, mut right) = (CompactRange::new(0), CompactRange::new(3));
/// leaves[..3].iter().for_each(|leaf| left.push(*leaf));
/// leaves[3..].iter().for_each(|leaf| right.push(*leaf));
///
/// let mut whole = CompactRange::new(0);
/// leaves.iter().for_each(|leaf| whole.push(*leaf));
/// left.join(&right)?;
/// assert_eq!(left.root(), whole.root());
/// # Ok::<(), auditx_tlog::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompactRange {
    begin: u64,
    end: u64,
    nodes: Vec<(u8, Hash)>,
}

impl CompactRange {
    /// Creates an empty range. The first leaf that is pushed has the index `begin`.
    #[must_use]
    pub fn new(begin: u64) -> Self {
        Self { begin, end: begin, nodes: Vec::with_capacity(usize::from(MAX_LEVEL)) }
    }

    /// Creates the frontier of a tree of `size` leaves from its hashes.
    ///
    /// # Errors
    /// `is_corrupt` if a tree of that size has another number of frontier hashes.
    pub fn frontier(size: u64, hashes: &[Hash]) -> Result<Self> {
        let levels = (0..MAX_LEVEL).rev().filter(|level| size >> level & 1 == 1);
        if size.count_ones() as usize != hashes.len() {
            return Err(Error::corrupt(format!(
                "the frontier of a tree of {size} lines has {} hashes, not {}",
                size.count_ones(),
                hashes.len()
            )));
        }
        Ok(Self { begin: 0, end: size, nodes: levels.zip(hashes.iter().copied()).collect() })
    }

    /// Returns the index of the first leaf.
    #[must_use]
    pub fn begin(&self) -> u64 {
        self.begin
    }

    /// Returns the index after the last leaf. If `begin` is 0, this is the size of the tree.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.end
    }

    /// Returns the hashes from left to right.
    pub fn hashes(&self) -> impl DoubleEndedIterator<Item = &Hash> {
        self.nodes.iter().map(|(_, hash)| hash)
    }

    /// Adds one leaf. Costs one node hash on average.
    pub fn push(&mut self, leaf: Hash) {
        self.push_node(0, leaf, &mut |_, _, _| ());
    }

    /// Adds a complete subtree of 2^level leaves, which must begin at a multiple of 2^level. Calls `on_node`
    /// with the level, the index within the level and the hash of each node that is completed, the given one
    /// first.
    pub fn push_node(&mut self, level: u8, hash: Hash, on_node: &mut impl FnMut(u8, u64, &Hash)) {
        debug_assert!(
            self.end.trailing_zeros() >= u32::from(level),
            "a subtree begins at a multiple of its size"
        );
        let (mut level, mut hash, mut index) = (level, hash, self.end >> level);
        self.end += 1 << level;
        on_node(level, index, &hash);
        while index & 1 == 1
            && let Some((_, left)) = self.nodes.pop_if(|(other, _)| *other == level)
        {
            hash = node_hash(&left, &hash);
            (level, index) = (level + 1, index >> 1);
            on_node(level, index, &hash);
        }
        self.nodes.push((level, hash));
    }

    /// Adds leaves. The nodes are the same as with one `push` per leaf, but many leaves at once take little
    /// more than half the time (see [`node_hashes`]). Calls `on_node` for each completed node, level by
    /// level.
    pub fn extend(&mut self, leaves: &[Hash], on_node: &mut impl FnMut(u8, u64, &Hash)) {
        if let [leaf] = leaves {
            // Avoids the allocations.
            return self.push_node(0, *leaf, on_node);
        }
        let (mut level, mut first) = (0, self.end);
        self.end += leaves.len() as u64;
        let (mut nodes, mut parents) = (leaves.to_vec(), Vec::new());
        let mut rest = Vec::new();
        while !nodes.is_empty() {
            (first..).zip(&nodes).for_each(|(index, hash)| on_node(level, index, hash));
            if first & 1 == 1 {
                match self.nodes.pop_if(|(other, _)| *other == level) {
                    Some((_, left)) => {
                        nodes.insert(0, left);
                        first -= 1;
                    }
                    // Its sibling is outside this range.
                    None => {
                        self.nodes.push((level, nodes.remove(0)));
                        first += 1;
                    }
                }
            }
            let (pairs, odd) = nodes.as_chunks::<2>();
            node_hashes(pairs, &mut parents);
            rest.extend(odd.iter().map(|hash| (level, *hash)));
            (level, first) = (level + 1, first >> 1);
            (nodes, parents) = (parents, nodes);
            parents.clear();
        }
        self.nodes.extend(rest.into_iter().rev());
    }

    /// Appends the range that begins where this one ends. Costs a few hashes, regardless of the lengths.
    ///
    /// # Errors
    /// `is_invalid` if the ranges are not adjacent.
    pub fn join(&mut self, next: &Self) -> Result<()> {
        if next.begin != self.end {
            return Err(Error::invalid(format!(
                "cannot join ranges that are not adjacent: the second begins with line {}, not with line {}",
                next.begin, self.end
            )));
        }
        for (level, hash) in &next.nodes {
            self.push_node(*level, *hash, &mut |_, _, _| ());
        }
        Ok(())
    }

    /// Returns the root of the tree, or `None` if the range does not begin with the first leaf.
    #[must_use]
    pub fn root(&self) -> Option<Hash> {
        if self.begin != 0 {
            return None;
        }
        let mut hashes = self.hashes().rev();
        let Some(last) = hashes.next() else { return Some(Sha256::digest([]).into()) };
        Some(hashes.fold(*last, |right, left| node_hash(left, &right)))
    }
}

#[cfg(test)]
mod tests;
