//! Proofs about a trail on disk, for people who do not have it.
//!
//! Comes in: a trail with its latest checkpoint. Goes out: a text that is checked with nothing but the public key. The cache
//! of tree nodes is asked first and believed only as far as it leads to what was signed; else the nodes are computed from
//! the lines. A proof is made under a checkpoint that a key of the trail signed.
//! Which keys these are is the trail's own word: whoever is given the proof checks it with a key that they know.

mod nodes;

use std::fmt;
use std::path::{Path, PathBuf};

use auditx_core::{
    ConsistencyProof, Hash, InclusionProof, NodeIndex, SignedCheckpoint, Tiles, VerifierKey, checkpoint_path,
    control_lines, leaf_of,
};

use crate::error::{Error, Result};
use crate::find::find_unchecked;
use crate::head::Head;
use crate::keys::recorded_keys;
use crate::ledger::Ledger;
use crate::line::Line;
use crate::lines::Lines;
use crate::note::latest_checkpoint;
use crate::search::Found;
use crate::verify::record::{self, Record};
use crate::verify::{Remark, RemarkKind, VerifyOptions, verify};

/// How a proof asks for the nodes it takes.
type Read<'r> = &'r mut dyn FnMut(&[NodeIndex]) -> auditx_core::Result<Vec<Hash>>;

/// What to do where a trail and its checkpoint disagree.
const ADVICE: &str = "run `auditx verify` to see where";

/// Proves that the line with this number stands in the trail, under its latest checkpoint. An erased line is proved by the
/// hash that stands in its place.
///
/// Costs reading the line's segment up to it, and a few nodes from the trail's cache; where that is missing or wrong, one
/// pass over all lines. Memory stays flat.
///
/// ```
/// use auditx_core::{AuditLogger, Config, InclusionProof};
/// # let directory = tempfile::tempdir()?;
/// # let log_dir = directory.path();
///
/// let logger = AuditLogger::open(Config::new(log_dir))?;
/// let receipt = logger.log("Stock counted").record()?;
/// logger.close(std::time::Duration::from_secs(10))?;
/// let proof = auditx_reader::prove(log_dir, receipt.wait_durable()?.seq)?.to_string();
///
/// // Anywhere else, with nothing but the text and the public key:
/// InclusionProof::parse(proof.as_bytes())?.check(&[logger.verifier_key()?])?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// `is_missing` where there is no trail or no checkpoint, or the line is not signed yet or not there any more; `is_corrupt`
/// where the trail is not what was signed; `is_storage` or `is_refused` where it cannot be read.
pub fn prove(directory: &Path, seq: u64) -> Result<InclusionProof> {
    let prover = Prover::open(directory)?;
    prover.must_be_signed(seq)?;
    let line = signed_line(directory, seq)?;
    prover.prove_at(seq, line.bytes(), || (line.path(), line.offset()))
}

/// Proves many lines of a trail, all under the checkpoint that was its latest when this was opened.
///
/// For lines that are at hand; [`prove`] finds one first.
pub struct Prover {
    directory: PathBuf,
    checkpoint: SignedCheckpoint,
    tiles: Tiles,
    trouble: Option<String>,
}

impl fmt::Debug for Prover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prover").field("directory", &self.directory).finish_non_exhaustive()
    }
}

impl Prover {
    /// For the trail in this directory.
    ///
    /// # Errors
    /// As [`latest_checkpoint`](crate::latest_checkpoint); `is_corrupt` if no key that the trail names signed it.
    pub fn open(directory: &Path) -> Result<Self> {
        // Read first, so that a writer at work does not get ahead of the checkpoint that is proved with.
        let head = Head::of(directory);
        let checkpoint = latest_checkpoint(directory)?;
        let trouble = check_checkpoint(directory, &head, &checkpoint)?;
        Ok(Self { directory: directory.to_owned(), checkpoint, tiles: Tiles::open(directory), trouble })
    }

    /// What is not as it was signed in the trail, as far as its checkpoint shows it; what is proved holds all the same.
    #[must_use]
    pub fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    /// What every proof ends with.
    #[must_use]
    pub fn checkpoint(&self) -> &SignedCheckpoint {
        &self.checkpoint
    }

    /// Proves an entry that was found. Costs a few nodes from the trail's cache; where that is missing or wrong, one pass over
    /// all lines.
    ///
    /// # Errors
    /// `is_missing` where the line is not signed yet, or has no number; else as [`prove`].
    pub fn prove(&self, found: &Found<'_>) -> Result<InclusionProof> {
        let Some(seq) = found.row.seq() else {
            let message = "a line without a number, of the origin, is in no tree";
            return Err(Error::missing(message, found.path).at_byte(found.offset));
        };
        self.must_be_signed(seq)?;
        self.prove_at(seq, found.row.line().as_bytes(), || (found.path, found.offset))
    }

    fn must_be_signed(&self, seq: u64) -> Result<()> {
        let size = self.checkpoint.size();
        if seq < size {
            return Ok(());
        }
        let message = format!("line {seq} is not signed yet: the latest checkpoint speaks of {size} lines");
        Err(Error::missing(message, &self.directory))
    }

    fn prove_at<'p>(
        &self,
        seq: u64,
        line: &[u8],
        place: impl FnOnce() -> (&'p Path, u64),
    ) -> Result<InclusionProof> {
        let made = with_nodes(&self.directory, &self.tiles, self.checkpoint.size(), |read| {
            InclusionProof::make(line, seq, self.checkpoint.clone(), read)
        });
        made.map_err(|error| match error {
            Unmade::Reading(error) => error,
            Unmade::Differs(_) => {
                let message = format!(
                    "line {seq} cannot be proved: it, or other lines beside it, are not what was signed; {ADVICE}"
                );
                let (path, offset) = place();
                Error::corrupt(message, path).at_byte(offset)
            }
        })
    }
}

/// Proves that the trail of the newer checkpoint begins with all the lines of the older one. Both may be any of this trail;
/// its own latest one is [`latest_checkpoint`](crate::latest_checkpoint).
///
/// Costs as [`prove`].
///
/// # Errors
/// `is_invalid` where the two are of different logs, or the older one is empty or the larger; `is_corrupt` where they
/// disagree, or the trail disagrees with them; `is_missing`, `is_storage` or `is_refused` where it cannot be read.
pub fn prove_consistency(
    directory: &Path,
    older: SignedCheckpoint,
    newer: SignedCheckpoint,
) -> Result<ConsistencyProof> {
    let (old_size, size) = (older.size(), newer.size());
    let tiles = Tiles::open(directory);
    let made = with_nodes(directory, &tiles, size, |read| {
        ConsistencyProof::make(older.clone(), newer.clone(), read)
    });
    let proof = made.map_err(|error| match error {
        Unmade::Reading(error) => error,
        Unmade::Differs(error) if error.is_invalid() => Error::invalid(error.to_string(), directory),
        Unmade::Differs(_) => {
            let message = format!(
                "the trail does not show that its first {size} lines begin with the {old_size} lines that were signed before; {ADVICE}"
            );
            Error::corrupt(message, directory)
        }
    })?;
    must_be_signed(directory, proof.newer())?;
    Ok(proof)
}

/// What is wrong with a trail, if anything about its checkpoint is odd. A checkpoint that the trail's own key did not sign, as far
/// as the trail names its key, is refused: nobody could check a proof of it.
fn check_checkpoint(directory: &Path, head: &Head, checkpoint: &SignedCheckpoint) -> Result<Option<String>> {
    let doubt = match &head.doubt {
        Some(doubt) => doubt,
        None if head.signed > Some(checkpoint.size()) => "a newer checkpoint is kept",
        None => return Ok(None),
    };
    // A damaged cache is a doubt too: reading every line decides.
    let verification = verify(directory, &VerifyOptions::default(), &mut |_, _| ())?;
    match &verification.fault {
        Some(fault) if fault.is_of_signature() => {
            let message = format!("nothing can be proved: {doubt}; {}; {ADVICE}", fault.message);
            Err(Error::corrupt(message, &checkpoint_path(directory)))
        }
        _ if checkpoint.size() == 0 => Err(Error::missing("nothing is signed yet", directory)),
        Some(fault) => Ok(Some(fault.to_string())),
        None => Ok(stale(&verification.remarks)),
    }
}

/// Why a newer checkpoint must have been there.
fn stale(remarks: &[Remark]) -> Option<String> {
    let remark = remarks.iter().find(|remark| remark.kind == RemarkKind::StaleCheckpoint)?;
    remark.examples.first().map(|example| example.message.clone())
}

/// Refuses a checkpoint that no key signed which the trail names. A trail that names none, since the records that did were
/// retired, cannot refuse any.
///
/// Costs reading `.auditx/control.jsonl`; if no key of a line of it that is in the tree signed, reading every line once.
///
/// # Errors
/// `is_corrupt` if it is not signed, and as [`recorded_keys`].
fn must_be_signed(directory: &Path, checkpoint: &SignedCheckpoint) -> Result<()> {
    let is_signed_by = |key: &VerifierKey| checkpoint.verify(std::slice::from_ref(key)).is_ok();
    let ledger = Ledger::open(Tiles::open(directory), checkpoint);
    let is_recorded =
        |line: &&Vec<u8>| ledger.as_ref().zip(leaf_of(line)).is_some_and(|(ledger, leaf)| ledger.holds(leaf));
    let copies = control_lines(directory).ok().flatten().unwrap_or_default();
    let named = copies.iter().filter(is_recorded).filter_map(|line| match record::read(line, &[]) {
        Some(Record::Genesis { key, .. }) => key,
        Some(Record::Key { new, .. }) => Some(new),
        _ => None,
    });
    if named.into_iter().any(|key| is_signed_by(&key)) {
        return Ok(());
    }
    let recorded = recorded_keys(directory)?;
    if recorded.is_empty() || recorded.iter().any(|recorded| is_signed_by(&recorded.key)) {
        return Ok(());
    }
    let message = "no key that the trail names signed the checkpoint: run `auditx verify`";
    Err(Error::corrupt(message, &checkpoint_path(directory)))
}

/// Why there is no proof.
enum Unmade {
    /// The trail cannot be read.
    Reading(Error),
    /// It could be read, and does not lead to what was signed.
    Differs(auditx_core::Error),
}

/// Makes a proof with nodes from the cache, and where that does not do, with nodes from the lines.
fn with_nodes<P>(
    directory: &Path,
    tiles: &Tiles,
    size: u64,
    make: impl Fn(Read<'_>) -> auditx_core::Result<P>,
) -> Result<P, Unmade> {
    // One that is missing leaves fewer than were asked for, which makes no proof.
    let mut cached = |wanted: &[NodeIndex]| {
        Ok(wanted.iter().map_while(|(level, place)| tiles.node(*level, *place)).collect())
    };
    match make(&mut cached) {
        Err(error) if !error.is_invalid() => {}
        outcome => return outcome.map_err(Unmade::Differs),
    }
    let mut unreadable = None;
    let mut computed = |wanted: &[NodeIndex]| {
        let nodes = nodes::of_lines(directory, size, wanted);
        Ok(nodes.unwrap_or_else(|error| {
            unreadable = Some(error);
            Vec::new()
        }))
    };
    let outcome = make(&mut computed);
    outcome.map_err(|error| unreadable.map_or(Unmade::Differs(error), Unmade::Reading))
}

/// The line of that number, which a checkpoint speaks of.
fn signed_line(directory: &Path, seq: u64) -> Result<Line> {
    if let Some(line) = find_unchecked(directory, seq)? {
        return Ok(line);
    }
    let oldest = Lines::all(directory)?.find_map(|line| line.ok()?.seq());
    Err(match oldest {
        Some(oldest) if oldest > seq => {
            let message = format!("line {seq} is not kept any more: the trail begins with line {oldest}");
            Error::missing(message, directory)
        }
        _ => {
            let message = format!("line {seq} was signed, and is not where it must be; {ADVICE}");
            Error::corrupt(message, directory)
        }
    })
}

#[cfg(test)]
mod tests;
