//! Self-contained proofs that a line was in a trail, or that a trail only grew. Each is a text that can be
//! checked with nothing but a public key.

use std::fmt;

use base64::prelude::{BASE64_STANDARD, Engine as _};

use crate::checkpoint::SignedCheckpoint;
use crate::error::{Error, Result};
use crate::key::VerifierKey;
use crate::leaf::{MAX_LINE, leaf_of};
use crate::note::SignatureFault;
use crate::tree::{self, Hash, ReadNodes};

/// The first line of a C2SP tlog-proof.
const INCLUSION_HEADER: &str = "c2sp.org/tlog-proof@v1";

/// The first line of a consistency proof, for which C2SP defines no file format.
const CONSISTENCY_HEADER: &str = "auditx/consistency-proof@v1";

/// An upper bound for the path in a tree of 2^64 lines.
const LONGEST_PATH: usize = 128;

/// The reason why a proof is not valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProofFault {
    /// The signatures of its checkpoint are not accepted.
    Signature(SignatureFault),
    /// The sequence number of the line is not the index of the proof.
    WrongIndex,
    /// The two checkpoints belong to different logs.
    ForeignLog,
    /// The hashes do not lead to the root of the checkpoint.
    WrongPath,
}

impl fmt::Display for ProofFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Signature(fault) => write!(f, "its checkpoint is not valid: {fault}"),
            Self::WrongIndex => f.write_str("the sequence number of its line is not the index of the proof"),
            Self::ForeignLog => f.write_str("its two checkpoints belong to different logs"),
            Self::WrongPath => f.write_str("its hashes do not lead to the root that was signed"),
        }
    }
}

impl std::error::Error for ProofFault {}

/// Proves that a line is in a trail: the line, its index, the hashes up to the root, and the signed
/// checkpoint.
///
/// Its text is a C2SP tlog-proof with the line as extra data.
#[derive(Debug)]
pub struct InclusionProof {
    line: Vec<u8>,
    index: u64,
    path: Vec<Hash>,
    checkpoint: SignedCheckpoint,
}

impl InclusionProof {
    /// Makes the proof for `line` at `index`. Calls `read` once for all the nodes it needs. The
    /// nodes need not be trusted, since the finished proof is checked.
    ///
    /// # Errors
    /// The error of `read`; `is_invalid` if the index is beyond the checkpoint; `is_corrupt` if the nodes or
    /// the line are not those that were signed.
    pub fn make<E: From<Error>>(
        line: &[u8],
        index: u64,
        checkpoint: SignedCheckpoint,
        read: ReadNodes<'_, E>,
    ) -> Result<Self, E> {
        let path = tree::prove_inclusion(checkpoint.size(), index, read)?;
        let proof = Self { line: line.to_vec(), index, path, checkpoint };
        if proof.leads_to_root() {
            return Ok(proof);
        }
        let message = format!("line {index}, or a node of the tree, is not what was signed");
        Err(Error::corrupt(message).with_seq(index).into())
    }

    /// Parses a proof.
    ///
    /// # Errors
    /// `is_corrupt`, with the reason.
    pub fn parse(text: &[u8]) -> Result<Self> {
        let malformed = |what: &str| Error::corrupt(format!("not a proof: {what}"));
        let text = std::str::from_utf8(text).map_err(|_| malformed("it is not UTF-8"))?;
        let (head, note) = text.split_once("\n\n").ok_or_else(|| malformed("it has no checkpoint"))?;
        let mut lines = head.split('\n');
        if lines.next() != Some(INCLUSION_HEADER) {
            return Err(malformed(&format!("it does not begin with {INCLUSION_HEADER}")));
        }
        let extra = lines.next().and_then(|line| line.strip_prefix("extra "));
        let extra = extra.ok_or_else(|| malformed("its line is not in it"))?;
        let line = BASE64_STANDARD.decode(extra).map_err(|_| malformed("its line is not in base64"))?;
        if line.len() >= MAX_LINE {
            return Err(malformed("its line is too long"));
        }
        let digits = lines.next().and_then(|line| line.strip_prefix("index "));
        let index = digits
            .and_then(|digits| digits.parse::<u64>().ok().filter(|index| index.to_string() == digits))
            .ok_or_else(|| malformed("it has no index"))?;
        let path = read_path(lines).ok_or_else(|| malformed("its hashes are not 32 bytes in base64 each"))?;
        Ok(Self { line, index, path, checkpoint: SignedCheckpoint::parse(note.as_bytes())? })
    }

    /// Returns the line without its newline, or the stub that replaces it if the line was erased.
    #[must_use]
    pub fn line(&self) -> &[u8] {
        &self.line
    }

    /// Returns the index of the line in the trail.
    #[must_use]
    pub fn index(&self) -> u64 {
        self.index
    }

    /// Returns the checkpoint whose tree contains the line.
    #[must_use]
    pub fn checkpoint(&self) -> &SignedCheckpoint {
        &self.checkpoint
    }

    /// Returns whether the line was erased, so that only its hash is proved.
    #[must_use]
    pub fn is_erased(&self) -> bool {
        leaf_of(&self.line).is_some_and(|leaf| leaf.is_erased)
    }

    /// Checks the proof with the keys of the expected trail. Costs one signature and a few hashes.
    ///
    /// # Errors
    /// The reason why the proof is not valid.
    pub fn check(&self, keys: &[VerifierKey]) -> Result<(), ProofFault> {
        self.checkpoint.verify(keys).map_err(ProofFault::Signature)?;
        if leaf_of(&self.line).is_none_or(|leaf| leaf.seq != self.index) {
            return Err(ProofFault::WrongIndex);
        }
        if self.leads_to_root() { Ok(()) } else { Err(ProofFault::WrongPath) }
    }

    fn leads_to_root(&self) -> bool {
        let (size, root) = (self.checkpoint.size(), self.checkpoint.root());
        leaf_of(&self.line)
            .is_some_and(|leaf| tree::is_included(&self.path, size, root, self.index, &leaf.hash))
    }
}

impl fmt::Display for InclusionProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{INCLUSION_HEADER}\nextra {}\nindex {}",
            BASE64_STANDARD.encode(&self.line),
            self.index
        )?;
        write_path(f, &self.path)?;
        write!(f, "\n{}", self.checkpoint)
    }
}

/// Proves that the trail of a newer checkpoint begins with all the lines of an older one.
#[derive(Debug)]
pub struct ConsistencyProof {
    path: Vec<Hash>,
    older: SignedCheckpoint,
    newer: SignedCheckpoint,
}

impl ConsistencyProof {
    /// Makes the proof. For `read`, see [`InclusionProof::make`].
    ///
    /// # Errors
    /// The error of `read`; `is_invalid` if `older` is larger, empty or of another log; `is_corrupt` if the
    /// two disagree, or the nodes are not those that were signed.
    pub fn make<E: From<Error>>(
        older: SignedCheckpoint,
        newer: SignedCheckpoint,
        read: ReadNodes<'_, E>,
    ) -> Result<Self, E> {
        if older.origin() != newer.origin() {
            return Err(Error::invalid("the two checkpoints belong to different logs").into());
        }
        let path = tree::prove_consistency(older.size(), newer.size(), read)?;
        let proof = Self { path, older, newer };
        if proof.is_prefix() {
            return Ok(proof);
        }
        Err(Error::corrupt(format!(
            "the tree of {} lines does not begin with the tree of {} lines that was signed",
            proof.newer.size(),
            proof.older.size()
        ))
        .into())
    }

    /// Parses a proof.
    ///
    /// # Errors
    /// `is_corrupt`, with the reason.
    pub fn parse(text: &[u8]) -> Result<Self> {
        let malformed = |what: &str| Error::corrupt(format!("not a proof: {what}"));
        let text = std::str::from_utf8(text).map_err(|_| malformed("it is not UTF-8"))?;
        let blocks: Vec<&str> = text.split("\n\n").collect();
        let [head, older_head, older_signatures, newer_head, newer_signatures] = blocks[..] else {
            return Err(malformed("it does not hold two checkpoints"));
        };
        let mut lines = head.split('\n');
        if lines.next() != Some(CONSISTENCY_HEADER) {
            return Err(malformed(&format!("it does not begin with {CONSISTENCY_HEADER}")));
        }
        let path = read_path(lines).ok_or_else(|| malformed("its hashes are not 32 bytes in base64 each"))?;
        let older = SignedCheckpoint::parse(format!("{older_head}\n\n{older_signatures}\n").as_bytes())?;
        let newer = SignedCheckpoint::parse(format!("{newer_head}\n\n{newer_signatures}").as_bytes())?;
        Ok(Self { path, older, newer })
    }

    /// Returns the older checkpoint.
    #[must_use]
    pub fn older(&self) -> &SignedCheckpoint {
        &self.older
    }

    /// Returns the newer checkpoint.
    #[must_use]
    pub fn newer(&self) -> &SignedCheckpoint {
        &self.newer
    }

    /// Checks the proof with the keys of the expected trail. Costs two signatures and a few hashes.
    ///
    /// # Errors
    /// The reason why the proof is not valid.
    pub fn check(&self, keys: &[VerifierKey]) -> Result<(), ProofFault> {
        self.older.verify(keys).map_err(ProofFault::Signature)?;
        self.newer.verify(keys).map_err(ProofFault::Signature)?;
        if self.older.origin() != self.newer.origin() {
            return Err(ProofFault::ForeignLog);
        }
        if self.is_prefix() { Ok(()) } else { Err(ProofFault::WrongPath) }
    }

    fn is_prefix(&self) -> bool {
        let of = |checkpoint: &SignedCheckpoint| (checkpoint.size(), *checkpoint.root());
        let ((old_size, old_root), (size, root)) = (of(&self.older), of(&self.newer));
        tree::is_consistent(&self.path, (old_size, &old_root), (size, &root))
    }
}

impl fmt::Display for ConsistencyProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{CONSISTENCY_HEADER}")?;
        write_path(f, &self.path)?;
        write!(f, "\n{}\n{}", self.older, self.newer)
    }
}

fn write_path(f: &mut fmt::Formatter<'_>, path: &[Hash]) -> fmt::Result {
    path.iter().try_for_each(|hash| writeln!(f, "{}", BASE64_STANDARD.encode(hash)))
}

fn read_path<'l>(lines: impl Iterator<Item = &'l str>) -> Option<Vec<Hash>> {
    let mut path = Vec::new();
    for line in lines {
        if path.len() == LONGEST_PATH {
            return None;
        }
        path.push(BASE64_STANDARD.decode(line).ok()?.try_into().ok()?);
    }
    Some(path)
}

#[cfg(test)]
mod tests;
