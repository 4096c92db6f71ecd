//! Tree nodes for proofs: from the tile cache or, if it does not suffice, computed from the lines, which
//! costs one pass over the trail and a few hashes in memory per node.

use std::path::Path;

use auditx_format::control_record::StoredRecord;
use auditx_store::Tiles;
use auditx_tlog::{CompactRange, Hash, NodeIndex, leaf_of};

use super::ADVICE;
use crate::error::{Error, Result};
use crate::line::Line;
use crate::lines::Lines;

/// Reads the nodes that a proof needs.
pub(super) type Read<'r> = &'r mut dyn FnMut(&[NodeIndex]) -> auditx_format::Result<Vec<Hash>>;

/// Why a proof cannot be made.
pub(super) enum ProofFailure {
    /// The trail cannot be read.
    Read(Error),
    /// The nodes do not lead to what was signed.
    Mismatch(auditx_format::Error),
}

/// Makes a proof with nodes from the tile cache, or with nodes computed from the lines if the cache does not
/// suffice.
pub(super) fn with_nodes<P>(
    directory: &Path,
    tiles: &Tiles,
    size: u64,
    make: impl Fn(Read<'_>) -> auditx_format::Result<P>,
) -> Result<P, ProofFailure> {
    // A missing node leaves fewer nodes than requested, which cannot make a proof.
    let mut cached = |wanted: &[NodeIndex]| {
        Ok(wanted.iter().map_while(|(level, index)| tiles.node(*level, *index)).collect())
    };
    match make(&mut cached) {
        Err(error) if !error.is_invalid() => {}
        outcome => return outcome.map_err(ProofFailure::Mismatch),
    }
    let mut unreadable = None;
    let mut computed = |wanted: &[NodeIndex]| {
        let nodes = of_lines(directory, size, wanted);
        Ok(nodes.unwrap_or_else(|error| {
            unreadable = Some(error);
            Vec::new()
        }))
    };
    let outcome = make(&mut computed);
    outcome.map_err(|error| unreadable.map_or(ProofFailure::Mismatch(error), ProofFailure::Read))
}

/// Returns the requested nodes of the tree over the first `size` lines. Retired lines are represented by the
/// hashes in the record of their retirement.
///
/// # Errors
/// `is_corrupt` if lines are missing or out of order; otherwise as reading.
fn of_lines(directory: &Path, size: u64, wanted: &[NodeIndex]) -> Result<Vec<Hash>> {
    let mut pass: Option<Pass> = None;
    for line in Lines::all(directory)? {
        let line = line?;
        let seq = numbered(&line, pass.as_ref().map(|pass| pass.next))?;
        let pass = pass.get_or_insert_with(|| Pass::new(seq, wanted));
        if seq >= size && pass.is_beginning_known() {
            break;
        }
        pass.take(&line, seq < size);
    }
    let pass = pass.unwrap_or_else(|| Pass::new(0, wanted));
    if pass.next < size {
        let message =
            format!("the trail ends before line {}, but {size} lines were signed; {ADVICE}", pass.next);
        return Err(Error::corrupt(message, directory));
    }
    pass.finish(directory)
}

/// Returns the line's number, which must be `next`.
fn numbered(line: &Line, next: Option<u64>) -> Result<u64> {
    let wrong = match (line.seq(), next) {
        (Some(seq), None) => return Ok(seq),
        (Some(seq), Some(next)) if seq == next => return Ok(seq),
        (Some(seq), Some(next)) => format!("found line {seq} where line {next} is expected; {ADVICE}"),
        (None, _) => format!("a line does not begin with its number; {ADVICE}"),
    };
    Err(Error::corrupt(wrong, line.path()).at_byte(line.offset()))
}

struct Pass {
    /// The number of the oldest line.
    first: u64,
    /// The number of the next line.
    next: u64,
    nodes: Vec<Node>,
    /// The hashes of the retired lines before the first.
    retired: Option<CompactRange>,
}

/// A requested node.
struct Node {
    begin: u64,
    end: u64,
    /// The tree over those of its lines that are present, counted from the node's first line, which does not
    /// change a hash.
    tail: CompactRange,
}

impl Pass {
    fn new(first: u64, wanted: &[NodeIndex]) -> Self {
        let node = |&(level, index): &NodeIndex| {
            let (begin, end) = (index << level, (index + 1) << level);
            Node { begin, end, tail: CompactRange::new(first.clamp(begin, end) - begin) }
        };
        Self { first, next: first, nodes: wanted.iter().map(node).collect(), retired: None }
    }

    fn is_beginning_known(&self) -> bool {
        self.first == 0 || self.retired.is_some()
    }

    fn take(&mut self, line: &Line, is_signed: bool) {
        let seq = self.next;
        self.next += 1;
        if !self.is_beginning_known() {
            self.retired = match StoredRecord::read(line.bytes()) {
                Some(StoredRecord::Retired { frontier }) if frontier.end() == self.first => Some(frontier),
                _ => None,
            };
        }
        let is_within = |node: &&mut Node| (node.begin..node.end).contains(&seq);
        let mut wanting = self.nodes.iter_mut().filter(is_within).peekable();
        if is_signed
            && wanting.peek().is_some()
            && let Some(leaf) = leaf_of(line.bytes())
        {
            wanting.for_each(|node| node.tail.push(leaf.hash));
        }
    }

    fn finish(self, directory: &Path) -> Result<Vec<Hash>> {
        let Self { first, nodes, retired, .. } = self;
        let hash_of = |node: Node| node.hash(retired.as_ref());
        nodes.into_iter().map(hash_of).collect::<Option<_>>().ok_or_else(|| {
            let message = match retired {
                None => format!(
                    "the lines before line {first} are missing, but no record says that they were retired; \
{ADVICE}"
                ),
                Some(_) => format!(
                    "the lines before line {first} were retired, \
and with them the hashes that this proof needs"
                ),
            };
            Error::missing(message, directory)
        })
    }
}

impl Node {
    fn hash(self, retired: Option<&CompactRange>) -> Option<Hash> {
        let missing = self.tail.begin();
        if missing == 0 {
            return self.tail.root();
        }
        let within = self.begin..self.begin + missing;
        let hashes: Vec<Hash> = subtrees(retired?)
            .filter(|(begin, end, _)| within.contains(begin) && *end <= within.end)
            .map(|(_, _, hash)| hash)
            .collect();
        let mut whole = CompactRange::frontier(missing, &hashes).ok()?;
        whole.join(&self.tail).ok()?;
        whole.root()
    }
}

/// The first line, the line after the last, and the hash of each subtree of a frontier.
fn subtrees(frontier: &CompactRange) -> impl Iterator<Item = (u64, u64, Hash)> {
    let size = frontier.end();
    let ones = (0..u64::BITS).rev().filter(move |level| size >> level & 1 == 1);
    let mut begin = 0;
    ones.zip(frontier.hashes()).map(move |(level, hash)| {
        let end = begin + (1 << level);
        (std::mem::replace(&mut begin, end), end, *hash)
    })
}
