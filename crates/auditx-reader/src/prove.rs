//! Makes proofs about a trail on disk, to be checked without the trail.
//!
//! A proof is a text that is checked with nothing but the public key. Its tree nodes come from the tile cache
//! if they lead to what was signed; otherwise they are computed from the lines. A proof is made under a
//! checkpoint that a key of the trail signed. The trail itself names these keys, so the recipient must check
//! the proof with a key that they already know.

mod nodes;
mod signer;
mod parent;
mod cosigned;

use std::fmt;
use std::path::{Path, PathBuf};

use auditx_store::{Tiles, checkpoint_path};
use auditx_tlog::{ConsistencyProof, InclusionProof, SignedCheckpoint, Submission};

use crate::checkpoint::latest_checkpoint;
use crate::error::{Error, Result};
use crate::find::find_unchecked;
use crate::head::Head;
use crate::line::Line;
use crate::lines::Lines;
use crate::search::Found;
use crate::verify::{Remark, RemarkKind, VerifyOptions, verify};

use nodes::{ProofFailure, with_nodes};
use signer::ensure_signed;

pub use parent::prove_with_parent;
pub use signer::recorded_signer;

/// What to do if a trail and its checkpoint disagree.
const ADVICE: &str = "run `auditx verify` to see where";

/// Proves that the trail contains the line with this number, under the checkpoint that [`Prover::covering`]
/// chooses. For an erased line, the proof holds the hash in its stub.
///
/// Costs reading the line's segment up to the line, and a few nodes from the tile cache; if the cache is
/// missing or wrong, one pass over all lines, and one for each cosigned checkpoint. Memory is constant.
///
/// ```
/// use auditx_tlog::InclusionProof;
/// use auditx_core::{AuditLogger, Config};
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
/// `is_missing` if there is no trail or no checkpoint, or the line is not signed yet or was retired;
/// `is_corrupt` if the trail differs from what was signed; `is_storage` or `is_refused` if it cannot be read.
pub fn prove(directory: &Path, seq: u64) -> Result<InclusionProof> {
    let prover = Prover::open(directory)?;
    prover.ensure_signed(seq)?;
    let line = signed_line(directory, seq)?;
    prover.covering(seq).prove_at(seq, line.bytes(), || (line.path(), line.offset()))
}

/// Proves many lines of a trail, all under one checkpoint: that which was the latest when the prover was
/// opened, or a [cosigned](Self::covering) one.
///
/// For lines that were already read; [`prove`] finds the line first.
pub struct Prover {
    directory: PathBuf,
    /// The latest checkpoint.
    latest: SignedCheckpoint,
    /// The checkpoint of the proofs.
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
    /// Opens the trail in this directory.
    ///
    /// # Errors
    /// As [`latest_checkpoint`](crate::latest_checkpoint); `is_corrupt` if no key that the trail names signed
    /// the checkpoint.
    pub fn open(directory: &Path) -> Result<Self> {
        let head = Head::of(directory);
        let (checkpoint, trouble) = match (head.checkpoint, head.doubt) {
            (Some(newest), None) => (newest, None),
            // Nothing is signed: the error says so.
            (None, None) => (latest_checkpoint(directory)?, None),
            (_, Some(doubt)) => {
                let latest = latest_checkpoint(directory)?;
                let trouble = check_checkpoint(directory, &doubt, &latest)?;
                (latest, trouble)
            }
        };
        let latest = cosigned::with_cosignatures(directory, checkpoint);
        let (directory, tiles) = (directory.to_owned(), Tiles::open(directory));
        Ok(Self { directory, checkpoint: latest.clone(), latest, tiles, trouble })
    }

    /// Returns a prover for the checkpoint with the most cosignatures that covers all lines up to this one.
    /// The candidates are the latest checkpoint and the 16 largest cosigned ones; of equals, the largest is
    /// used. If none of them covers the line, the latest is used. Cosignatures are counted, not verified.
    ///
    /// Costs reading these checkpoints, and a few nodes from the tile cache for each; if the cache is missing
    /// or wrong, one pass over all lines for each.
    #[must_use]
    pub fn covering(&self, seq: u64) -> Self {
        let best = cosigned::best(&self.directory, &self.latest, seq);
        Self {
            directory: self.directory.clone(),
            latest: self.latest.clone(),
            checkpoint: best.unwrap_or_else(|| self.latest.clone()),
            tiles: Tiles::open(&*self.directory),
            trouble: self.trouble.clone(),
        }
    }

    /// The first difference from what was signed that a check of the checkpoint found; `None` if it found
    /// none. Proofs are valid in either case.
    #[must_use]
    pub fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    /// The checkpoint at the end of every proof.
    #[must_use]
    pub fn checkpoint(&self) -> &SignedCheckpoint {
        &self.checkpoint
    }

    /// Proves an entry that a search found. Costs a few nodes from the tile cache; if the cache is missing or
    /// wrong, one pass over all lines.
    ///
    /// # Errors
    /// `is_missing` if the line is not signed yet, not covered by the checkpoint, or has no number; otherwise
    /// as [`prove`].
    pub fn prove(&self, found: &Found<'_>) -> Result<InclusionProof> {
        let Some(seq) = found.row.seq() else {
            let message = "a legacy line has no sequence number and is in no tree";
            return Err(Error::missing(message, found.path).at_byte(found.offset));
        };
        self.ensure_signed(seq)?;
        self.prove_at(seq, found.row.line().as_bytes(), || (found.path, found.offset))
    }

    fn ensure_signed(&self, seq: u64) -> Result<()> {
        let (latest, size) = (self.latest.size(), self.checkpoint.size());
        let message = if seq >= latest {
            format!("line {seq} is not signed yet: the latest checkpoint covers {latest} lines")
        } else if seq >= size {
            format!("line {seq} is not covered by the cosigned checkpoint of {size} lines")
        } else {
            return Ok(());
        };
        Err(Error::missing(message, &self.directory))
    }

    fn prove_at<'p>(
        &self,
        seq: u64,
        line: &[u8],
        location: impl FnOnce() -> (&'p Path, u64),
    ) -> Result<InclusionProof> {
        let made = with_nodes(&self.directory, &self.tiles, self.checkpoint.size(), |read| {
            InclusionProof::make(line, seq, self.checkpoint.clone(), read)
        });
        made.map_err(|error| match error {
            ProofFailure::Read(error) => error,
            ProofFailure::Mismatch(_) => {
                let message = format!(
                    "line {seq} cannot be proved: it or lines near it differ from what was signed; {ADVICE}"
                );
                let (path, offset) = location();
                Error::corrupt(message, path).at_byte(offset)
            }
        })
    }
}

/// Proves that the trail of the newer checkpoint begins with all lines of the older one. Both may be any
/// checkpoints of this trail; [`latest_checkpoint`](crate::latest_checkpoint) reads its latest.
///
/// Costs the same as [`prove`].
///
/// # Errors
/// `is_invalid` if the two belong to different logs, or the older one is empty or larger; `is_corrupt` if
/// they disagree, or the trail disagrees with them; `is_missing`, `is_storage` or `is_refused` if the trail
/// cannot be read.
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
        ProofFailure::Read(error) => error,
        ProofFailure::Mismatch(error) if error.is_invalid() => Error::invalid(error.to_string(), directory),
        ProofFailure::Mismatch(_) => {
            let message = format!(
                "the first {size} lines of the trail do not begin with the {old_size} lines \
signed before; {ADVICE}"
            );
            Error::corrupt(message, directory)
        }
    })?;
    ensure_signed(directory, proof.newer())?;
    Ok(proof)
}

/// Makes what is submitted to a witness that knows the first `old_size` lines of this trail.
///
/// Costs the same as [`prove`].
///
/// # Errors
/// `is_invalid` if the old size is larger than the checkpoint; otherwise as [`prove_consistency`].
pub fn submission(directory: &Path, old_size: u64, checkpoint: &SignedCheckpoint) -> Result<Submission> {
    let tiles = Tiles::open(directory);
    let made = with_nodes(directory, &tiles, checkpoint.size(), |read| {
        Submission::make(old_size, checkpoint.clone(), read)
    });
    made.map_err(|error| match error {
        ProofFailure::Read(error) => error,
        ProofFailure::Mismatch(error) if error.is_invalid() => Error::invalid(error.to_string(), directory),
        ProofFailure::Mismatch(error) => Error::corrupt(format!("{error}; {ADVICE}"), directory),
    })
}

/// Verifies a trail whose checkpoint is in doubt, and returns what is wrong with it. Fails if
/// the trail names its keys and none of them signed the checkpoint: a proof under it could not be checked.
fn check_checkpoint(directory: &Path, doubt: &str, checkpoint: &SignedCheckpoint) -> Result<Option<String>> {
    // A damaged cache is a reason for doubt too: reading every line decides.
    let verification = verify(directory, &VerifyOptions::default(), &mut |_, _| ())?;
    match &verification.fault {
        Some(fault) if fault.is_of_signature() => {
            let message = format!("nothing can be proved: {doubt}; {}; {ADVICE}", fault.message);
            Err(Error::corrupt(message, &checkpoint_path(directory)))
        }
        _ if checkpoint.size() == 0 => Err(Error::missing("nothing is signed yet", directory)),
        fault => {
            // Verification knows no key if the records that named it were retired, or if it ended before
            // them; their copies may.
            ensure_signed(directory, checkpoint)?;
            Ok(fault.as_ref().map(ToString::to_string).or_else(|| stale(&verification.remarks)))
        }
    }
}

/// The message of the remark that a newer checkpoint was signed.
fn stale(remarks: &[Remark]) -> Option<String> {
    let remark = remarks.iter().find(|remark| remark.kind == RemarkKind::StaleCheckpoint)?;
    remark.examples.first().map(|example| example.message.clone())
}

/// Returns the line with this number, which a checkpoint names.
fn signed_line(directory: &Path, seq: u64) -> Result<Line> {
    if let Some(line) = find_unchecked(directory, seq)? {
        return Ok(line);
    }
    let oldest = Lines::all(directory)?.find_map(|line| line.ok()?.seq());
    Err(match oldest {
        Some(oldest) if oldest > seq => {
            let message = format!("line {seq} was retired: the trail begins with line {oldest}");
            Error::missing(message, directory)
        }
        _ => {
            let message = format!("line {seq} was signed, but is missing; {ADVICE}");
            Error::corrupt(message, directory)
        }
    })
}

#[cfg(test)]
mod tests;
