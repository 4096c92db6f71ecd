//! The trail's Merkle tree (RFC 6962, section 2.1): hashes of lines, hashes of subtrees, and the few of them that stand
//! for any range of lines.
//!
//! Comes in: lines. Goes out: hashes. It never reads JSON and never touches a file.

use sha2::{Digest, Sha256};

use crate::error::{Error, Result};

#[cfg(not(auditx_stub_hashing))]
mod lanes;

/// A SHA-256 hash.
pub type Hash = [u8; 32];

/// Domain separation of leaves from interior nodes.
const LEAF_PREFIX: u8 = 0;
const NODE_PREFIX: u8 = 1;

/// More levels than a tree with 2^64 leaves has.
const MAX_LEVEL: u8 = 64;

/// SHA-256(0x00 ‖ line without its final newline). By hand: `(printf '\0'; printf %s "$line") | sha256sum`.
#[cfg(not(auditx_stub_hashing))]
#[must_use]
pub fn leaf_hash(line: &[u8]) -> Hash {
    let mut hasher = Sha256::new();
    hasher.update([LEAF_PREFIX]);
    hasher.update(line);
    hasher.finalize().into()
}

/// SHA-256(0x01 ‖ left ‖ right).
#[cfg(not(auditx_stub_hashing))]
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
/// Two lines are hashed side by side where the processor has SHA extensions: many lines at once cost little more than half
/// of what they cost one by one. Lines of unlike lengths lose nothing by it.
///
/// ```
/// let mut hashes = Vec::new();
/// auditx_core::leaf_hashes([&b"first"[..], b"second"], &mut hashes);
/// assert_eq!(hashes, [auditx_core::leaf_hash(b"first"), auditx_core::leaf_hash(b"second")]);
/// ```
#[cfg(not(auditx_stub_hashing))]
pub fn leaf_hashes<'l>(lines: impl IntoIterator<Item = &'l [u8]>, hashes: &mut Vec<Hash>) {
    lanes::hash(lanes::Messages::Leaves(&mut lines.into_iter()), hashes);
}

/// Appends the [`node_hash`] of each pair, in order: two at a time, like [`leaf_hashes`].
#[cfg(not(auditx_stub_hashing))]
pub fn node_hashes(pairs: &[[Hash; 2]], hashes: &mut Vec<Hash>) {
    lanes::hash(lanes::Messages::Nodes(pairs), hashes);
}

/// What the measurement of hashing's cost compares with: no hashing at all.
#[cfg(auditx_stub_hashing)]
#[must_use]
pub fn leaf_hash(_line: &[u8]) -> Hash {
    [LEAF_PREFIX; 32]
}

/// What the measurement of hashing's cost compares with: no hashing at all.
#[cfg(auditx_stub_hashing)]
#[must_use]
pub fn node_hash(_left: &Hash, _right: &Hash) -> Hash {
    [NODE_PREFIX; 32]
}

/// What the measurement of hashing's cost compares with: no hashing at all.
#[cfg(auditx_stub_hashing)]
pub fn leaf_hashes<'l>(lines: impl IntoIterator<Item = &'l [u8]>, hashes: &mut Vec<Hash>) {
    hashes.extend(lines.into_iter().map(leaf_hash));
}

/// What the measurement of hashing's cost compares with: no hashing at all.
#[cfg(auditx_stub_hashing)]
pub fn node_hashes(pairs: &[[Hash; 2]], hashes: &mut Vec<Hash>) {
    hashes.extend(pairs.iter().map(|[left, right]| node_hash(left, right)));
}

/// Lower-case hexadecimal digits, as lines hold hashes.
#[must_use]
pub fn to_hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |value: u8| char::from(DIGITS[usize::from(value)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// Reads exactly what [`to_hex`] writes of a hash.
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

/// The largest complete subtrees that together cover the leaves `begin..end`, left to right: at most two hashes a level.
///
/// With `begin` 0 it is the frontier of a growing tree, and has a root. Ranges that touch can be joined, so that parts of a
/// trail can be hashed apart (Crosby and Wallach, *Efficient Data Structures for Tamper-Evident Logging*, 2009).
///
/// ```
/// use auditx_core::{CompactRange, leaf_hash};
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
/// # Ok::<(), auditx_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompactRange {
    begin: u64,
    end: u64,
    nodes: Vec<(u8, Hash)>,
}

impl CompactRange {
    /// No leaves yet; the first to be pushed has this index.
    #[must_use]
    pub fn new(begin: u64) -> Self {
        Self { begin, end: begin, nodes: Vec::with_capacity(usize::from(MAX_LEVEL)) }
    }

    /// The frontier of a tree of `size` leaves.
    ///
    /// # Errors
    /// `is_corrupt` where a tree of that size has another number of hashes.
    pub fn frontier(size: u64, hashes: &[Hash]) -> Result<Self> {
        let levels = (0..MAX_LEVEL).rev().filter(|level| size >> level & 1 == 1);
        if size.count_ones() as usize != hashes.len() {
            return Err(Error::corrupt(format!(
                "{} hashes cannot stand for {size} lines: that takes {}",
                hashes.len(),
                size.count_ones()
            )));
        }
        Ok(Self { begin: 0, end: size, nodes: levels.zip(hashes.iter().copied()).collect() })
    }

    /// The index of its first leaf.
    #[must_use]
    pub fn begin(&self) -> u64 {
        self.begin
    }

    /// The index after its last leaf; with `begin` 0 the size of the tree.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.end
    }

    /// Its hashes, left to right.
    pub fn hashes(&self) -> impl DoubleEndedIterator<Item = &Hash> {
        self.nodes.iter().map(|(_, hash)| hash)
    }

    /// Adds one leaf. Costs one node hash on average.
    pub fn push(&mut self, leaf: Hash) {
        self.push_node(0, leaf, &mut |_, _, _| ());
    }

    /// Adds a complete subtree of 2^level leaves, which must begin at a multiple of that. `made` is told each node that
    /// comes to be, this one first: its level, its place in the level, and its hash.
    pub fn push_node(&mut self, level: u8, hash: Hash, made: &mut impl FnMut(u8, u64, &Hash)) {
        debug_assert!(
            self.end.trailing_zeros() >= u32::from(level),
            "a subtree begins at a multiple of its size"
        );
        let (mut level, mut hash, mut place) = (level, hash, self.end >> level);
        self.end += 1 << level;
        made(level, place, &hash);
        while place & 1 == 1
            && let Some((_, left)) = self.nodes.pop_if(|(other, _)| *other == level)
        {
            hash = node_hash(&left, &hash);
            (level, place) = (level + 1, place >> 1);
            made(level, place, &hash);
        }
        self.nodes.push((level, hash));
    }

    /// Adds leaves: the same nodes as by as many single pushes, in little more than half the time where many are added at once,
    /// as [`node_hashes`] says. `made` is told each node that comes to be, all of one level before those of the next.
    pub fn extend(&mut self, leaves: &[Hash], made: &mut impl FnMut(u8, u64, &Hash)) {
        if let [leaf] = leaves {
            // Without a row of its own.
            return self.push_node(0, *leaf, made);
        }
        let (mut level, mut first) = (0, self.end);
        self.end += leaves.len() as u64;
        let (mut row, mut above) = (leaves.to_vec(), Vec::new());
        let mut rest = Vec::new();
        while !row.is_empty() {
            (first..).zip(&row).for_each(|(place, hash)| made(level, place, hash));
            if first & 1 == 1 {
                match self.nodes.pop_if(|(other, _)| *other == level) {
                    Some((_, left)) => {
                        row.insert(0, left);
                        first -= 1;
                    }
                    // Its sibling is not of this range.
                    None => {
                        self.nodes.push((level, row.remove(0)));
                        first += 1;
                    }
                }
            }
            let (pairs, odd) = row.as_chunks::<2>();
            node_hashes(pairs, &mut above);
            rest.extend(odd.iter().map(|hash| (level, *hash)));
            (level, first) = (level + 1, first >> 1);
            (row, above) = (above, row);
            above.clear();
        }
        self.nodes.extend(rest.into_iter().rev());
    }

    /// Adds the range that begins where this one ends. Costs a few hashes, however long the ranges are.
    ///
    /// # Errors
    /// `is_invalid` where the two do not touch.
    pub fn join(&mut self, next: &Self) -> Result<()> {
        if next.begin != self.end {
            return Err(Error::invalid(format!(
                "lines from {} on cannot follow lines up to {}",
                next.begin, self.end
            )));
        }
        for (level, hash) in &next.nodes {
            self.push_node(*level, *hash, &mut |_, _, _| ());
        }
        Ok(())
    }

    /// The root of the tree; none where the range does not begin with the first leaf.
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
