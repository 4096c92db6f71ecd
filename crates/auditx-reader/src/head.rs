//! What a trail must hold according to its latest checkpoint, read once before a reading command reads lines.
//!
//! A [`Head`] is read from a few small files. If they are not as the writer leaves them, it records a reason
//! for doubt, and verifying every line ([`verify`](crate::verify)) decides what is wrong. A doubt may be
//! unfounded; the only cost is time.

use std::fs;
use std::path::Path;

use auditx_core::VerifierKey;
use auditx_core::format::{StoredRecord, control_lines, leaf_of};
use auditx_core::store::{SegmentIndex, Tiles, checkpoint_history, checkpoint_path};
use auditx_core::tlog::SignedCheckpoint;

use crate::file;
use crate::identity::log_name;
use crate::signed_leaves::SignedLeaves;

/// The state of a trail that is known before any line is read.
#[derive(Debug, Default)]
pub(crate) struct Head {
    /// The hashes of the signed lines; `None` if nothing is signed or the tile cache does not lead to the
    /// checkpoint.
    pub(crate) signed_leaves: Option<SignedLeaves>,
    /// The checkpoint with the most lines. It is the trail's own unless there is a doubt.
    pub(crate) checkpoint: Option<SignedCheckpoint>,
    /// The number of signed lines; `None` if no checkpoint can be read.
    pub(crate) signed: Option<u64>,
    /// The number of the first line; more than 0 if segments were retired.
    pub(crate) first_seq: u64,
    /// Why every line must be read to find out whether the trail is intact; `None` if there is no doubt.
    pub(crate) doubt: Option<String>,
    /// For trails written by tests, whose indexes no line names.
    #[cfg(test)]
    pub(crate) trusts_indexes: bool,
}

impl Head {
    pub(crate) fn of(directory: &Path) -> Self {
        let checkpoint = match newest_checkpoint(directory) {
            Ok(Some(checkpoint)) => checkpoint,
            // Either a trail that is not signed yet or a directory of legacy lines: the first numbered line
            // tells them apart.
            Ok(None) => return Self::default(),
            Err(doubt) => return Self { doubt: Some(doubt), ..Self::default() },
        };
        let signed_leaves = SignedLeaves::open(Tiles::open(directory), &checkpoint);
        let mut head = Self { signed: Some(checkpoint.size()), ..Self::default() };
        let outcome = match &signed_leaves {
            Some(signed_leaves) => head.examine(directory, &checkpoint, signed_leaves),
            None => Err("the tile cache does not lead to the checkpoint".to_owned()),
        };
        head.doubt = outcome.err();
        head.checkpoint = Some(checkpoint);
        head.signed_leaves = signed_leaves;
        head
    }

    /// Whether the writer made this index: the line that names its hash is in the signed tree.
    pub(crate) fn trusts(&self, index: &SegmentIndex) -> bool {
        #[cfg(test)]
        if self.trusts_indexes {
            return true;
        }
        let signed_leaves = self.signed_leaves.as_ref();
        signed_leaves.zip(index.record()).is_some_and(|(signed_leaves, record)| signed_leaves.holds(record))
    }

    fn examine(
        &mut self,
        directory: &Path,
        checkpoint: &SignedCheckpoint,
        signed_leaves: &SignedLeaves,
    ) -> Result<(), String> {
        if log_name(directory).as_deref() != Some(checkpoint.origin()) {
            return Err(".auditx/trail.json names another trail than the checkpoint".to_owned());
        }
        let lines = control_lines(directory).ok().flatten().ok_or(".auditx/control.jsonl is missing")?;
        let mut key: Option<VerifierKey> = None;
        for line in lines {
            if !leaf_of(&line).is_some_and(|leaf| signed_leaves.holds(leaf)) {
                return Err(".auditx/control.jsonl holds a line that is not in the trail".to_owned());
            }
            match StoredRecord::read(&line) {
                Some(StoredRecord::Genesis { key: genesis, .. }) => key = key.or(genesis),
                Some(StoredRecord::Key { new, .. }) => key = Some(new),
                Some(StoredRecord::Retired { frontier }) => {
                    self.first_seq = self.first_seq.max(frontier.end())
                }
                _ => {}
            }
        }
        let key = key.ok_or(".auditx/control.jsonl names no key")?;
        checkpoint.verify(&[key]).map(drop).map_err(|fault| format!("the checkpoint: {fault}"))
    }
}

/// Returns the checkpoint with the most lines: `.auditx/checkpoint`, or one in `.auditx/checkpoints/`.
///
/// The writer saves a checkpoint to `checkpoints/` before it replaces the latest, so a saved one may be ahead
/// for a moment. It stays ahead if an older `.auditx/checkpoint` was put back; the trail is then checked
/// against the newer one.
fn newest_checkpoint(directory: &Path) -> Result<Option<SignedCheckpoint>, String> {
    let Some(latest) = read_checkpoint(&checkpoint_path(directory))? else { return Ok(None) };
    let kept = checkpoint_history(directory);
    let names = fs::read_dir(&kept).into_iter().flatten();
    let sizes = names.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u64>().ok());
    match sizes.max().filter(|newest| *newest > latest.size()) {
        Some(newest) => Ok(read_checkpoint(&kept.join(newest.to_string()))?.or(Some(latest))),
        None => Ok(Some(latest)),
    }
}

fn read_checkpoint(path: &Path) -> Result<Option<SignedCheckpoint>, String> {
    match file::read_small(path) {
        Ok(None) => Ok(None),
        Ok(Some(note)) => SignedCheckpoint::parse(&note).map(Some).map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use auditx_core::{AuditLogger, Config, KeySource, Retention};

    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(60);

    /// A doubt costs reading the whole trail, so an intact trail must not raise one.
    #[test]
    fn an_intact_trail_raises_no_doubt_at_any_time() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(Head::of(directory.path()).doubt, None, "no trail yet");
        let logger = AuditLogger::open(Config::new(directory.path()).max_file_bytes(65_536)).unwrap();
        let record = |count: usize| {
            for number in 0..count {
                logger.log(format!("entry {number} {}", "x".repeat(500))).record().unwrap();
                if number % 50 == 0 {
                    assert_eq!(Head::of(directory.path()).doubt, None, "entry {number}");
                }
            }
            logger.flush(TIMEOUT).unwrap();
        };
        record(600);
        logger.rotate_key(&KeySource::Trail).unwrap();
        assert_eq!(Head::of(directory.path()).doubt, None, "after a key change");
        logger.erase(9, "asked for").unwrap();
        record(300);
        assert!(!logger.retire(Retention::BackupCount(2)).unwrap().segments.is_empty());
        let head = Head::of(directory.path());
        assert_eq!(head.doubt, None, "after retention");
        assert!(head.first_seq > 0 && head.signed.unwrap() > 900);
        record(100);
        logger.close(TIMEOUT).unwrap();
        assert_eq!(Head::of(directory.path()).doubt, None, "closed");
        drop(AuditLogger::open(Config::new(directory.path())).unwrap());
        assert_eq!(Head::of(directory.path()).doubt, None, "opened again");
    }

    /// The state between the writes of the two files of one checkpoint.
    #[test]
    fn a_saved_checkpoint_ahead_of_the_latest_counts() {
        let directory = tempfile::tempdir().unwrap();
        let config = || Config::new(directory.path()).max_file_bytes(65_536);
        let open = || AuditLogger::open(config()).unwrap();
        open().close(TIMEOUT).unwrap();
        let latest = checkpoint_path(directory.path());
        let older = fs::read(&latest).unwrap();
        let logger = open();
        for number in 0..400 {
            logger.log(format!("entry {number} {}", "x".repeat(500))).record().unwrap();
        }
        logger.close(TIMEOUT).unwrap();
        fs::write(&latest, older).unwrap();
        let head = Head::of(directory.path());
        assert_eq!(head.doubt, None);
        assert!(head.signed.unwrap() > 200, "{:?}", head.signed);
    }
}
