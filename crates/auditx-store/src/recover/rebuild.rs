//! Rebuilds the frontier by reading and hashing every line, if the tile cache is missing or disagrees.

use auditx_format::control_record::StoredRecord;
use auditx_format::{Error, Result};
use auditx_tlog::{CompactRange, SignedCheckpoint, leaf_of};

use super::disagreement;
use crate::dir::Dir;
use crate::segment::TrailReader;
use crate::tiles::{self, GrowingTree, Tiles};

/// Computes the frontier at the checkpoint from the lines. If they lead to the signed root, rebuilds the
/// cache.
///
/// # Errors
/// `is_corrupt`, with the first line that is not what was signed, if the cache can tell.
pub(super) fn frontier(directory: &Dir, latest: &SignedCheckpoint, tiles: &Tiles) -> Result<CompactRange> {
    let size = latest.size();
    let is_cache_valid =
        tiles.frontier(size).is_some_and(|frontier| frontier.root().as_ref() == Some(latest.root()));
    let mut range: Option<CompactRange> = None;
    let (mut retired, mut suspect) = (None, None);
    each_leaf(directory, |seq, line| {
        let leaf = leaf_of(line).map(|leaf| leaf.hash).unwrap_or_default();
        if seq < size {
            range.get_or_insert_with(|| CompactRange::new(seq)).push(leaf);
            // Blame the line only if the cached root matches the checkpoint, since another program may have
            // truncated the cache.
            if is_cache_valid && suspect.is_none() && tiles.node(0, seq).is_some_and(|known| known != leaf) {
                suspect = Some(seq);
            }
        }
        if let Some(range) = &range
            && range.begin() > 0
            && let Some(StoredRecord::Retired { frontier }) = StoredRecord::read(line)
            && frontier.end() == range.begin()
        {
            retired = Some(frontier);
        }
        Ok(())
    })?;
    let mut range = range.unwrap_or_else(|| CompactRange::new(0));
    let begin = range.begin();
    if begin > 0 {
        let mut whole = retired.ok_or_else(|| {
            disagreement(
                format!(
                    "the lines before line {begin} are missing, and no record says that they were retired"
                ),
                0,
            )
        })?;
        whole.join(&range)?;
        range = whole;
    }
    if range.root().as_ref() != Some(latest.root()) {
        if let Some(seq) = suspect {
            return Err(disagreement(format!("line {seq} is not what was signed"), seq));
        }
        return Err(disagreement(
            format!("the first {size} lines are not the lines that were signed"),
            begin,
        ));
    }
    if begin == 0 {
        rebuild_cache(directory, size)?;
    }
    Ok(range)
}

/// Rebuilds the cache. Not possible without the retired lines; the cache is then left unchanged.
fn rebuild_cache(directory: &Dir, size: u64) -> Result<()> {
    tiles::remove(directory)?;
    let mut tree = GrowingTree::open(directory, CompactRange::new(0))?;
    let failed = |error| Error::storage("cannot write the tiles", directory.path(), error);
    each_leaf(directory, |seq, line| {
        let leaf = leaf_of(line).map(|leaf| leaf.hash).unwrap_or_default();
        if seq < size { tree.push(leaf).map_err(failed) } else { Ok(()) }
    })?;
    tree.flush().map_err(failed)
}

fn each_leaf(directory: &Dir, mut take: impl FnMut(u64, &[u8]) -> Result<()>) -> Result<()> {
    let mut reader = TrailReader::new(directory, 0);
    while let Some((seq, line)) = reader.next_line()? {
        take(seq, line)?;
    }
    Ok(())
}
