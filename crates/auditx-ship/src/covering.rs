//! Finds the checkpoints that cover the lines to ship: the latest one or, with a policy, the largest one that
//! a quorum of witnesses cosigned.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use auditx_store::{
    Tiles, TrailReader, checkpoint_history, checkpoint_path, cosigned_history, kept_sizes, read_kept,
};
use auditx_tlog::{CompactRange, Policy, SignedCheckpoint, leaf_of};

use crate::error::{Error, Result};

/// The checkpoints of a trail.
#[derive(Debug)]
pub(crate) struct Checkpoints {
    directory: PathBuf,
    policy: Option<Policy>,
    /// The tree of the lines that were compared with a cosigned checkpoint.
    compared: Option<CompactRange>,
}

impl Checkpoints {
    pub(crate) fn new(directory: &Path, policy: Option<Policy>) -> Self {
        let policy = policy.filter(|policy| !policy.needs_no_witness());
        Self { directory: directory.to_path_buf(), policy, compared: None }
    }

    /// Returns the checkpoint up to which lines may be shipped; `None` if there is no such checkpoint yet.
    /// `known` is what the last call returned.
    pub(crate) fn latest(&self, known: Option<&SignedCheckpoint>) -> Result<Option<SignedCheckpoint>> {
        let Some(latest) = read_checkpoint(&checkpoint_path(&self.directory))? else { return Ok(None) };
        let Some(policy) = &self.policy else { return Ok(Some(latest)) };
        let known = known.filter(|known| known.origin() == latest.origin());
        let (directory, now) = (cosigned_history(&self.directory), now());
        let mut sizes = sizes_in(&directory)?;
        let above = known.map_or(0, SignedCheckpoint::size);
        sizes.retain(|size| *size > above && *size <= latest.size());
        for size in sizes.into_iter().rev() {
            // A damaged file proves nothing; `auditx verify` says so.
            let Ok(Some(cosigned)) = read_checkpoint(&directory.join(size.to_string())) else { continue };
            let is_same_log = cosigned.origin() == latest.origin() && cosigned.size() == size;
            if is_same_log && policy.witnessed_at(&cosigned, now).is_ok() {
                return Ok(Some(cosigned));
            }
        }
        Ok(known.cloned())
    }

    /// With a policy, compares the lines from `position` on with a checkpoint that witnesses cosigned, so
    /// that none is shipped that they did not cosign. Reads and hashes each line once.
    ///
    /// # Errors
    /// If the lines differ, or cannot be read.
    pub(crate) fn compare(&mut self, position: u64, cosigned: &SignedCheckpoint) -> Result<()> {
        let size = cosigned.size();
        if self.policy.is_none() || self.compared.as_ref().is_some_and(|tree| tree.end() >= size) {
            return Ok(());
        }
        let tiles = || Tiles::open(&self.directory).frontier(position);
        let mut tree = self.compared.take().or_else(tiles).unwrap_or_else(|| CompactRange::new(0));
        let mut reader = TrailReader::new(&self.directory, tree.end());
        while tree.end() < size {
            let leaf = match reader.next_line().map_err(Error::new)? {
                Some((seq, line)) if seq == tree.end() => leaf_of(line),
                _ => None,
            };
            let Some(leaf) = leaf else {
                return Err(Error::new(format!(
                    "line {} cannot be compared with what witnesses cosigned",
                    tree.end()
                )));
            };
            tree.push(leaf.hash);
        }
        if tree.root().as_ref() != Some(cosigned.root()) {
            return Err(Error::new(format!(
                "the first {size} lines are not those that witnesses cosigned; run `auditx verify` for details"
            )));
        }
        self.compared = Some(tree);
        Ok(())
    }

    /// Returns the checkpoint of the first boundary after `position` and up to `end`; `None` without one.
    pub(crate) fn next_boundary(&self, position: u64, end: u64) -> Result<Option<SignedCheckpoint>> {
        let sizes = sizes_in(&checkpoint_history(&self.directory))?;
        let next = sizes.into_iter().find(|size| *size > position && *size <= end);
        next.map_or(Ok(None), |size| self.boundary(size))
    }

    /// Returns the checkpoint of the boundary at this size; with a policy, also its cosignatures.
    pub(crate) fn boundary(&self, size: u64) -> Result<Option<SignedCheckpoint>> {
        let boundary = read_checkpoint(&checkpoint_history(&self.directory).join(size.to_string()))?;
        let (Some(boundary), Some(_)) = (&boundary, &self.policy) else { return Ok(boundary) };
        let cosigned = read_checkpoint(&cosigned_history(&self.directory).join(size.to_string()));
        let cosigned = cosigned.ok().flatten().and_then(|cosigned| boundary.merged(&cosigned).ok());
        Ok(Some(cosigned.unwrap_or_else(|| boundary.clone())))
    }
}

/// Returns the sizes that name files in this directory, smallest first; none if it does not exist.
fn sizes_in(directory: &Path) -> Result<Vec<u64>> {
    let failed = |error| Error::new(format!("cannot read {}: {error}", directory.display()));
    kept_sizes(directory, "").map_err(failed)
}

/// Reads a checkpoint. `None` if the file does not exist.
pub(crate) fn read_checkpoint(path: &Path) -> Result<Option<SignedCheckpoint>> {
    let bytes =
        read_kept(path).map_err(|error| Error::new(format!("cannot read {}: {error}", path.display())))?;
    bytes.map(|bytes| SignedCheckpoint::parse(&bytes).map_err(Error::new)).transpose()
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use auditx_tlog::{Signer as _, SigningKey, VerifierKey, WitnessKey};
    use tempfile::TempDir;

    use super::*;

    /// A trail without lines: what covers them is all that is read here.
    struct Trail {
        directory: TempDir,
        key: SigningKey,
        witnesses: [SigningKey; 2],
    }

    impl Trail {
        fn new() -> Self {
            let directory = tempfile::tempdir().unwrap();
            for part in ["checkpoints", "cosigned"] {
                fs::create_dir_all(directory.path().join(".auditx").join(part)).unwrap();
            }
            let trail = Self {
                directory,
                key: SigningKey::generate(),
                witnesses: [SigningKey::generate(), SigningKey::generate()],
            };
            fs::write(checkpoint_path(trail.directory.path()), trail.checkpoint(30, 0).as_str()).unwrap();
            trail
        }

        /// A checkpoint that the first `count` witnesses cosigned.
        fn checkpoint(&self, size: u64, count: usize) -> SignedCheckpoint {
            let checkpoint = SignedCheckpoint::sign("erp/auditx/1", size, &[7; 32], &[&self.key]).unwrap();
            self.witnesses[..count].iter().enumerate().fold(checkpoint, |checkpoint, (number, witness)| {
                let key = WitnessKey::new(&format!("w{number}"), &witness.public_key()).unwrap();
                let line = checkpoint.cosign(key.name(), witness, 1_700_000_000).unwrap();
                checkpoint.with_cosignature(&line, &key).unwrap()
            })
        }

        fn keep(&self, part: &str, checkpoint: &SignedCheckpoint) {
            let path = self.directory.path().join(".auditx").join(part).join(checkpoint.size().to_string());
            fs::write(path, checkpoint.as_str()).unwrap();
        }

        fn checkpoints(&self) -> Checkpoints {
            let mut policy =
                format!("log {}\n", VerifierKey::new("erp/auditx/1", &self.key.public_key()).unwrap());
            for (number, witness) in self.witnesses.iter().enumerate() {
                let key = WitnessKey::new(&format!("w{number}"), &witness.public_key()).unwrap();
                policy += &format!("witness w{number} {key}\n");
            }
            let policy = Policy::parse(format!("{policy}group both all w0 w1\nquorum both\n").as_bytes());
            Checkpoints::new(self.directory.path(), Some(policy.unwrap()))
        }
    }

    #[test]
    fn only_what_a_quorum_cosigned_is_covered() {
        let (trail, size) = (Trail::new(), |found: Option<SignedCheckpoint>| found.map(|it| it.size()));
        let checkpoints = trail.checkpoints();
        assert_eq!(size(checkpoints.latest(None).unwrap()), None, "nothing is cosigned");
        trail.keep("cosigned", &trail.checkpoint(10, 2));
        trail.keep("cosigned", &trail.checkpoint(20, 1));
        trail.keep("cosigned", &trail.checkpoint(40, 2));
        fs::write(trail.directory.path().join(".auditx/cosigned/25"), "damaged").unwrap();
        let covered = checkpoints.latest(None).unwrap();
        assert_eq!(size(covered.clone()), Some(10), "20 lacks a witness, 40 is not signed");
        trail.keep("cosigned", &trail.checkpoint(20, 2));
        let covered = checkpoints.latest(covered.as_ref()).unwrap();
        assert_eq!(size(covered.clone()), Some(20));
        // What was covered stays covered.
        fs::remove_dir_all(trail.directory.path().join(".auditx/cosigned")).unwrap();
        assert_eq!(size(checkpoints.latest(covered.as_ref()).unwrap()), Some(20));
        let unconditional = Checkpoints::new(trail.directory.path(), None);
        assert_eq!(size(unconditional.latest(None).unwrap()), Some(30));
    }

    #[test]
    fn a_boundary_has_its_cosignatures() {
        let trail = Trail::new();
        for size in [10, 20] {
            trail.keep("checkpoints", &trail.checkpoint(size, 0));
        }
        let cosigned = trail.checkpoint(20, 2);
        trail.keep("cosigned", &cosigned);
        let checkpoints = trail.checkpoints();
        let boundary = |position| checkpoints.next_boundary(position, 30).unwrap().unwrap();
        assert_eq!(boundary(0).as_str(), trail.checkpoint(10, 0).as_str());
        assert_eq!(boundary(10).as_str(), cosigned.as_str());
        assert!(checkpoints.next_boundary(10, 19).unwrap().is_none());
    }
}
