//! Inclusion and consistency proofs (RFC 6962, sections 2.1.1 and 2.1.2) and their verification (RFC 9162,
//! sections 2.1.3.2 and 2.1.4.2).

use std::ops::Range;

use super::{CompactRange, Hash, node_hash};
use crate::error::{Error, Result};

/// A complete subtree: its level, 0 for leaves, and its index in that level.
pub type NodeIndex = (u8, u64);

/// Reads the hashes of nodes, in the same order.
pub type ReadNodes<'r, E> = &'r mut dyn FnMut(&[NodeIndex]) -> Result<Vec<Hash>, E>;

/// Returns the root of the tree of the first `size` leaves. `read` is called once.
///
/// # Errors
/// The error of `read`; `is_corrupt` if it returns too few hashes.
pub fn root_of<E: From<Error>>(size: u64, read: ReadNodes<'_, E>) -> Result<Hash, E> {
    let frontier = CompactRange::frontier(size, &read(&frontier_nodes(size))?)?;
    Ok(frontier.root().ok_or_else(|| Error::corrupt("the nodes do not begin with the first line"))?)
}

/// Returns the complete subtrees of a tree, largest first.
fn frontier_nodes(size: u64) -> Vec<NodeIndex> {
    let ones = (0..64_u8).rev().filter(|level| size >> level & 1 == 1);
    let mut begin = 0;
    ones.map(|level| {
        let index = begin >> level;
        begin += 1_u64 << level;
        (level, index)
    })
    .collect()
}

/// Returns the audit path of a leaf, from the leaf's sibling to the root's child. `read` is called once.
///
/// # Errors
/// `is_invalid` if there is no such leaf; the error of `read`; `is_corrupt` if it returns too few hashes.
pub fn prove_inclusion<E: From<Error>>(
    size: u64,
    index: u64,
    read: ReadNodes<'_, E>,
) -> Result<Vec<Hash>, E> {
    if index >= size {
        let message = format!("line {index} is not among the {size} lines of the checkpoint");
        return Err(Error::invalid(message).into());
    }
    let (mut subtree, mut siblings) = (0..size, Vec::new());
    while subtree.end - subtree.start > 1 {
        let middle = subtree.start + left_width(&subtree);
        if index < middle {
            siblings.push(middle..subtree.end);
            subtree.end = middle;
        } else {
            siblings.push(subtree.start..middle);
            subtree.start = middle;
        }
    }
    hashes_from_the_leaf(siblings, read)
}

/// Returns the proof that a tree of `old` leaves is a prefix of one of `size`. `read` is called once.
///
/// # Errors
/// `is_invalid` if it cannot be one; the error of `read`; `is_corrupt` if that returns too few hashes.
pub fn prove_consistency<E: From<Error>>(
    old: u64,
    size: u64,
    read: ReadNodes<'_, E>,
) -> Result<Vec<Hash>, E> {
    if old == 0 || old > size {
        let message = format!("a tree of {old} lines is not an earlier state of one of {size}");
        return Err(Error::invalid(message).into());
    }
    let (mut subtree, mut siblings) = (0..size, Vec::new());
    while subtree.end != old {
        let middle = subtree.start + left_width(&subtree);
        if old <= middle {
            siblings.push(middle..subtree.end);
            subtree.end = middle;
        } else {
            siblings.push(subtree.start..middle);
            subtree.start = middle;
        }
    }
    // The old root itself, which the verifier has.
    if subtree.start != 0 {
        siblings.push(subtree);
    }
    hashes_from_the_leaf(siblings, read)
}

/// Returns whether the path leads from this leaf at this index to the root.
#[must_use]
pub fn is_included(path: &[Hash], size: u64, root: &Hash, index: u64, leaf: &Hash) -> bool {
    if index >= size {
        return false;
    }
    let (mut node, mut last, mut hash) = (index, size - 1, *leaf);
    for sibling in path {
        if last == 0 {
            return false;
        }
        if node & 1 == 1 || node == last {
            hash = node_hash(sibling, &hash);
            skip_levels_without_sibling(&mut node, &mut last);
        } else {
            hash = node_hash(&hash, sibling);
        }
        (node, last) = (node >> 1, last >> 1);
    }
    last == 0 && hash == *root
}

/// Returns whether the path proves that the older tree is a prefix of the newer one.
#[must_use]
pub fn is_consistent(path: &[Hash], old: (u64, &Hash), new: (u64, &Hash)) -> bool {
    let ((old_size, old_root), (size, root)) = (old, new);
    if old_size == 0 || old_size > size {
        return false;
    }
    if old_size == size {
        return path.is_empty() && old_root == root;
    }
    // A complete old tree is a node of the new one, and the path leaves it out.
    let (first, rest) = if old_size.is_power_of_two() {
        (old_root, path)
    } else {
        let Some((first, rest)) = path.split_first() else { return false };
        (first, rest)
    };
    let (mut node, mut last) = (old_size - 1, size - 1);
    let odd = node.trailing_ones();
    (node, last) = (node >> odd, last >> odd);
    let (mut old_hash, mut new_hash) = (*first, *first);
    for sibling in rest {
        if last == 0 {
            return false;
        }
        if node & 1 == 1 || node == last {
            old_hash = node_hash(sibling, &old_hash);
            new_hash = node_hash(sibling, &new_hash);
            skip_levels_without_sibling(&mut node, &mut last);
        } else {
            new_hash = node_hash(&new_hash, sibling);
        }
        (node, last) = (node >> 1, last >> 1);
    }
    last == 0 && old_hash == *old_root && new_hash == *root
}

/// At the right edge, a node without a right sibling is its own parent.
fn skip_levels_without_sibling(node: &mut u64, last: &mut u64) {
    let levels = if *node == 0 { 0 } else { node.trailing_zeros() };
    (*node, *last) = (*node >> levels, *last >> levels);
}

/// The largest power of two below the width, which is at least 2.
fn left_width(subtree: &Range<u64>) -> u64 {
    1 << (subtree.end - subtree.start - 1).ilog2()
}

/// Returns the hash of each subtree, the last one first.
fn hashes_from_the_leaf<E: From<Error>>(
    subtrees: Vec<Range<u64>>,
    read: ReadNodes<'_, E>,
) -> Result<Vec<Hash>, E> {
    let (mut nodes, mut counts) = (Vec::new(), Vec::with_capacity(subtrees.len()));
    for subtree in subtrees.into_iter().rev() {
        let before = nodes.len();
        push_nodes(subtree, &mut nodes);
        counts.push(nodes.len() - before);
    }
    let hashes = if nodes.is_empty() { Vec::new() } else { read(&nodes)? };
    if hashes.len() != nodes.len() {
        return Err(Error::corrupt("nodes of the tree are missing").into());
    }
    let mut rest = hashes.as_slice();
    let mut path = Vec::with_capacity(counts.len());
    for count in counts {
        let (subtree, others) = rest.split_at(count);
        rest = others;
        path.extend(subtree.iter().rev().copied().reduce(|right, left| node_hash(&left, &right)));
    }
    Ok(path)
}

/// Appends the complete subtrees that make up this one, from left to right.
fn push_nodes(mut subtree: Range<u64>, nodes: &mut Vec<NodeIndex>) {
    while !subtree.is_empty() {
        let level = (subtree.end - subtree.start).ilog2();
        nodes.push((u8::try_from(level).expect("a u64 has 64 bits"), subtree.start >> level));
        subtree.start += 1 << level;
    }
}
