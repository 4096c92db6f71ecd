//! Makes proofs from the hashes that are stored with the lines.

use auditx_tlog::{CompactRange, Hash, InclusionProof, NodeIndex, prove_inclusion};

use crate::copy::{PostgresCopy, TrailHead};
use crate::error::Result;
use crate::value::Uuid;

/// The number of hashes fetched at a time.
const PAGE: u64 = 50_000;

/// The outcome of [`PostgresCopy::prove`].
#[derive(Debug)]
#[non_exhaustive]
pub enum ProofOutcome {
    /// The proof, under the newest checkpoint of the copy.
    Proved(InclusionProof),
    /// No checkpoint of the copy covers the line.
    Unsigned,
    /// The copy lacks the line, or another one that the proof needs: it began later, or lines were removed.
    Incomplete,
    /// The line, or a hash that the proof needs, is not what was signed.
    Different,
}

impl PostgresCopy {
    /// Proves that a trail contains the line with this number. Fetches the hash of every signed line, 50,000
    /// at a time.
    ///
    /// # Errors
    /// If the database cannot be reached or refuses.
    pub async fn prove(&mut self, head: &TrailHead, seq: u64) -> Result<ProofOutcome> {
        let Some(checkpoint) = head.checkpoint.clone().filter(|checkpoint| seq < checkpoint.size()) else {
            return Ok(ProofOutcome::Unsigned);
        };
        let Some(stored) = self.line(head.trail, seq).await? else { return Ok(ProofOutcome::Incomplete) };
        let mut wanted = Vec::new();
        // Called only to learn which hashes are needed, since it cannot wait for them; it fails without them.
        let _no_hashes = prove_inclusion(checkpoint.size(), seq, &mut |nodes| {
            wanted = nodes.to_vec();
            Ok::<_, auditx_tlog::Error>(Vec::new())
        });
        let mut hashes = Vec::new();
        for node in wanted {
            let Some(hash) = self.node(head, node).await? else { return Ok(ProofOutcome::Incomplete) };
            hashes.push(hash);
        }
        let made = InclusionProof::make(stored.line.as_bytes(), seq, checkpoint, &mut |_| {
            Ok::<_, auditx_tlog::Error>(hashes.clone())
        });
        Ok(made.map_or(ProofOutcome::Different, ProofOutcome::Proved))
    }

    /// Returns the hash of a complete subtree; `None` if lines are missing.
    async fn node(&self, head: &TrailHead, (level, index): NodeIndex) -> Result<Option<Hash>> {
        let (mut next, end) = (index << level, (index + 1) << level);
        let signed = |seq: u64| i64::try_from(seq).unwrap_or(i64::MAX);
        // A subtree has the same hash wherever it is.
        let mut subtree = CompactRange::new(0);
        while next < end {
            let until = end.min(next + PAGE);
            let sql = "SELECT leaf_hash FROM auditx.entry WHERE trail_id = $1 AND seq >= $2 AND seq < $3 \
                       ORDER BY seq";
            let rows = self.rows(sql, &[&Uuid(head.trail.0), &signed(next), &signed(until)]).await?;
            if rows.len() as u64 != until - next {
                return Ok(None);
            }
            for row in &rows {
                subtree.push(Hash::try_from(row.try_get::<_, &[u8]>(0)?).unwrap_or_default());
            }
            next = until;
        }
        Ok(subtree.root())
    }
}
