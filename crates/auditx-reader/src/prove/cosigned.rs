//! Chooses the cosigned checkpoint under which proofs are made.

use std::cmp::Reverse;
use std::path::Path;

use auditx_format::Error;
use auditx_store::Tiles;
use auditx_tlog::{SignedCheckpoint, root_of};

use super::nodes::with_nodes;
use super::signer::recorded_signer;
use crate::checkpoint::{cosigned_sizes, read_cosigned};

/// How many files are read. A witness that did not cosign the newest ones for so many segments is probably
/// no witness of the trail any more.
const CANDIDATES: usize = 16;

/// Adds to the latest checkpoint the cosignatures of its copy in `.auditx/cosigned`.
pub(super) fn with_cosignatures(directory: &Path, latest: SignedCheckpoint) -> SignedCheckpoint {
    let copy = read_cosigned(directory, latest.size()).ok().flatten();
    copy.and_then(|copy| latest.merged(&copy).ok()).unwrap_or(latest)
}

/// Returns the checkpoint that covers this line and has the most cosignatures, among the 16 largest cosigned
/// ones; of equals, the largest. `None` if none has more than the latest. The returned checkpoint is signed
/// with the same key as the latest, and its root is that of the lines.
///
/// Costs reading these files, and the checkpoint's frontier from the tile cache; if the cache is missing or
/// wrong, one pass over all lines.
pub(super) fn best(directory: &Path, latest: &SignedCheckpoint, seq: u64) -> Option<SignedCheckpoint> {
    let sizes = cosigned_sizes(directory).ok()?;
    let naming = sizes.into_iter().filter(|size| *size > seq && *size < latest.size()).take(CANDIDATES);
    let mut found: Vec<SignedCheckpoint> =
        naming.filter_map(|size| read_cosigned(directory, size).ok().flatten()).collect();
    found.retain(|cosigned| cosigned.cosignature_count() > latest.cosignature_count());
    if found.is_empty() {
        return None;
    }
    let signer = recorded_signer(directory, latest).ok().flatten()?;
    // Stable: the largest first among equals.
    found.sort_by_key(|cosigned| Reverse(cosigned.cosignature_count()));
    let tiles = Tiles::open(directory);
    found.into_iter().find(|cosigned| {
        cosigned.verify(std::slice::from_ref(&signer)).is_ok() && is_led_to(directory, &tiles, cosigned)
    })
}

/// Returns whether the lines of the trail have the root of this checkpoint.
fn is_led_to(directory: &Path, tiles: &Tiles, checkpoint: &SignedCheckpoint) -> bool {
    let led = with_nodes(directory, tiles, checkpoint.size(), |read| {
        let root = root_of(checkpoint.size(), read)?;
        if root == *checkpoint.root() { Ok(()) } else { Err(Error::corrupt("another root")) }
    });
    led.is_ok()
}

#[cfg(test)]
mod tests;
