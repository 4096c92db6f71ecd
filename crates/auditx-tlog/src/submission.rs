//! What a log sends to a witness: its new checkpoint, and the proof that the log only grew since the one that
//! the witness knows (C2SP tlog-witness, `add-checkpoint`).

use std::fmt;

use base64::prelude::{BASE64_STANDARD, Engine as _};

use crate::checkpoint::SignedCheckpoint;
use crate::error::{Error, Result};
use crate::tree::{self, CompactRange, Hash, ReadNodes};

/// The largest number of hashes of a proof.
const LONGEST_PROOF: usize = 63;

/// The body of an `add-checkpoint` request.
#[derive(Debug)]
pub struct Submission {
    old_size: u64,
    proof: Vec<Hash>,
    checkpoint: SignedCheckpoint,
}

impl Submission {
    /// The longest body, in bytes: a checkpoint of the longest form and a proof.
    pub const MAX_BYTES: usize = 80 * 1024;

    /// Makes the body for a witness that knows the tree of `old_size` lines. Calls `read` for the nodes it
    /// needs. They need not be trusted, since the finished proof is checked.
    ///
    /// # Errors
    /// The error of `read`; `is_invalid` if the old size is larger than the checkpoint; `is_corrupt` if the
    /// nodes are not those that were signed.
    pub fn make<E: From<Error>>(
        old_size: u64,
        checkpoint: SignedCheckpoint,
        read: ReadNodes<'_, E>,
    ) -> Result<Self, E> {
        let size = checkpoint.size();
        if old_size == 0 || old_size == size {
            return Ok(Self { old_size, proof: Vec::new(), checkpoint });
        }
        let proof = tree::prove_consistency(old_size, size, read)?;
        let submission = Self { old_size, proof, checkpoint };
        if submission.extends(&tree::root_of(old_size, read)?) {
            return Ok(submission);
        }
        let message = format!("the first {old_size} lines are not those of the signed tree of {size} lines");
        Err(Error::corrupt(message).into())
    }

    /// Parses a body. The checkpoint may have extension lines.
    ///
    /// # Errors
    /// `is_corrupt`, with the reason.
    pub fn parse(body: &[u8]) -> Result<Self> {
        let malformed = |what: &str| Error::corrupt(format!("not a submission to a witness: {what}"));
        let text = std::str::from_utf8(body).map_err(|_| malformed("it is not UTF-8"))?;
        let (head, note) = text.split_once("\n\n").ok_or_else(|| malformed("it has no checkpoint"))?;
        let mut lines = head.split('\n');
        let digits = lines.next().and_then(|line| line.strip_prefix("old "));
        let old_size = digits
            .and_then(|digits| digits.parse::<u64>().ok().filter(|size| size.to_string() == digits))
            .ok_or_else(|| malformed("it does not begin with the old size"))?;
        let mut proof = Vec::new();
        for line in lines {
            if proof.len() == LONGEST_PROOF {
                return Err(malformed("its proof has more than 63 hashes"));
            }
            let hash = BASE64_STANDARD.decode(line).ok().and_then(|hash| hash.try_into().ok());
            proof.push(hash.ok_or_else(|| malformed("its hashes are not 32 bytes in base64 each"))?);
        }
        let checkpoint = SignedCheckpoint::parse_extended(note.as_bytes())?;
        if old_size > checkpoint.size() {
            return Err(malformed("the old size is larger than the checkpoint"));
        }
        Ok(Self { old_size, proof, checkpoint })
    }

    /// Returns the size of the checkpoint from which the proof leads.
    #[must_use]
    pub fn old_size(&self) -> u64 {
        self.old_size
    }

    /// Returns the submitted checkpoint. Its signatures are not verified.
    #[must_use]
    pub fn checkpoint(&self) -> &SignedCheckpoint {
        &self.checkpoint
    }

    /// Returns whether the tree of the checkpoint begins with all lines of the tree of the old size and this
    /// root. The empty tree, whose root is not compared, begins each.
    #[must_use]
    pub fn extends(&self, old_root: &Hash) -> bool {
        let (size, root) = (self.checkpoint.size(), self.checkpoint.root());
        match self.old_size {
            0 if size == 0 => self.proof.is_empty() && CompactRange::new(0).root().as_ref() == Some(root),
            0 => self.proof.is_empty(),
            old if old == size => self.proof.is_empty() && old_root == root,
            old => tree::is_consistent(&self.proof, (old, old_root), (size, root)),
        }
    }
}

impl fmt::Display for Submission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "old {}", self.old_size)?;
        self.proof.iter().try_for_each(|hash| writeln!(f, "{}", BASE64_STANDARD.encode(hash)))?;
        write!(f, "\n{}", self.checkpoint)
    }
}

#[cfg(test)]
mod tests;
